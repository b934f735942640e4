/* SPDX-License-Identifier: MIT */
/* DriverKit/OSCollections.h: containers as plain functions. */

#include <DriverKit/OSCollections.h>

#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "object/containers.h"

/* Hands a pair on with its key as text. */
struct applying {
	void *context;
	OSDictionaryApplierFunction applier;
};

static bool
is(const void *object, const struct OSMetaClass *meta)
{
	return OSMetaClassCast(object, meta) != NULL;
}

static uint64_t
u64_of(const void *object)
{
	uint64_t value = 0;

	(void)adxi_number_value(object, &value); /* 0 for another class */
	return value;
}

OSArrayPtr
OSArrayCreate(void)
{
	return adxi_array_new();
}

uint32_t
OSArrayGetCount(OSArrayPtr array)
{
	return adxi_array_count(array);
}

OSObjectPtr
OSArrayGetValue(OSArrayPtr array, uint32_t index)
{
	return adxi_array_get(array, index);
}

uint64_t
OSArrayGetUInt64Value(OSArrayPtr array, uint32_t index)
{
	return u64_of(adxi_array_get(array, index));
}

const char *
OSArrayGetStringValue(OSArrayPtr array, uint32_t index)
{
	return adxi_array_get_string(array, index);
}

bool
OSArraySetValue(OSArrayPtr array, uint32_t index, OSObjectPtr value)
{
	if (!array || !value)
		return false;
	if (index == kOSArrayAppend)
		return OSArray_setObject(array, (OSMetaClassBase *)value);
	return OSArray_setObjectAtIndex(array, index, (OSMetaClassBase *)value);
}

bool
OSArraySetUInt64Value(OSArrayPtr array, uint32_t index, uint64_t value)
{
	adxi_cleanup(adxi_releasep) OSNumber *number = OSNumber_withNumber(value, 64);

	return OSArraySetValue(array, index, (OSObject *)number);
}

bool
OSArraySetStringValue(OSArrayPtr array, uint32_t index, const char *value)
{
	adxi_cleanup(adxi_releasep) OSString *string = OSString_withCString(value);

	return OSArraySetValue(array, index, (OSObject *)string);
}

bool
OSArrayAppendValue(OSArrayPtr array, OSObjectPtr value)
{
	return OSArraySetValue(array, kOSArrayAppend, value);
}

bool
OSArrayReplaceValue(OSArrayPtr array, uint32_t index, OSObjectPtr value)
{
	return array && OSArray_replaceObject(array, index, (OSMetaClassBase *)value);
}

bool
OSArrayApply(OSArrayPtr array, OSArrayApplier applier)
{
	return array && OSCollection_iterateObjects((OSCollection *)array,
						    (OSCollectionIterateObjectsBlock)applier);
}

bool
OSArrayApply_f(OSArrayPtr array, void *context, OSCollectionIterateObjectsCallback callback)
{
	return array && OSCollection_iterateObjects_f((OSCollection *)array, context, callback);
}

OSDictionaryPtr
OSDictionaryCreate(void)
{
	return adxi_dict_new();
}

uint32_t
OSDictionaryGetCount(OSDictionaryPtr dictionary)
{
	return adxi_dict_count(dictionary);
}

OSObjectPtr
OSDictionaryGetValue(OSDictionaryPtr dictionary, const char *key)
{
	return adxi_dict_get(dictionary, key);
}

uint64_t
OSDictionaryGetUInt64Value(OSDictionaryPtr dictionary, const char *key)
{
	return u64_of(adxi_dict_get(dictionary, key));
}

const char *
OSDictionaryGetStringValue(OSDictionaryPtr dictionary, const char *key)
{
	return adxi_dict_get_string(dictionary, key);
}

bool
OSDictionarySetValue(OSDictionaryPtr dictionary, const char *key, OSObjectPtr value)
{
	return adxi_dict_set(dictionary, key, value) == 0;
}

bool
OSDictionarySetUInt64Value(OSDictionaryPtr dictionary, const char *key, uint64_t value)
{
	return adxi_dict_set_number(dictionary, key, value, 64) == 0;
}

bool
OSDictionarySetStringValue(OSDictionaryPtr dictionary, const char *key, const char *value)
{
	return adxi_dict_set_string(dictionary, key, value) == 0;
}

static bool
apply_pair(void *context, OSObject *key, OSObject *value)
{
	const struct applying *applying = context;
	const char *text = adxi_string_text(key);

	return text && applying->applier(applying->context, text, value);
}

static bool
apply_by_block(void *context, const char *key, OSObject *value)
{
	bool (*invoke)(void *, const char *, OSObject *);

	invoke = (bool (*)(void *, const char *, OSObject *))adxi_block_invoke(context);
	return invoke(context, key, value);
}

bool
OSDictionaryApply(OSDictionaryPtr dictionary, OSDictionaryApplier applier)
{
	return applier && OSDictionaryApply_f(dictionary, (void *)applier, apply_by_block);
}

bool
OSDictionaryApply_f(OSDictionaryPtr dictionary, void *context, OSDictionaryApplierFunction applier)
{
	struct applying applying = {context, applier};

	return dictionary && OSDictionary_iteratePairs_f(dictionary, &applying, apply_pair);
}

OSStringPtr
OSStringCreate(const char *cstring, size_t length)
{
	return OSString_withCStringLength(cstring, length);
}

const char *
OSStringGetStringPtr(OSStringPtr string)
{
	return adxi_string_text(string);
}

size_t
OSStringGetLength(OSStringPtr string)
{
	return string ? OSString_getLength(string) : 0;
}

OSNumberPtr
OSNumberCreateWithUInt64Value(uint64_t value)
{
	return OSNumber_withNumber(value, 64);
}

uint64_t
OSNumberGetUInt64Value(OSNumberPtr number)
{
	return u64_of(number);
}

OSDataPtr
OSDataCreate(const void *bytes, size_t length)
{
	return OSData_withBytes(bytes, length);
}

bool
OSDataAppendBytes(OSDataPtr data, const void *bytes, size_t length)
{
	return data && OSData_appendBytes(data, bytes, length);
}

size_t
OSDataGetBytes(OSDataPtr data, void *buffer, size_t offset, size_t length)
{
	size_t len = OSDataGetLength(data);

	if (offset >= len)
		return 0;
	if (length > len - offset)
		length = len - offset;
	memcpy(buffer, (const uint8_t *)OSData_getBytesNoCopy(data) + offset, length);
	return length;
}

const void *
OSDataGetBytesPtr(OSDataPtr data, size_t offset, size_t length)
{
	return data ? OSData_getBytesNoCopyRange(data, offset, length) : NULL;
}

size_t
OSDataGetLength(OSDataPtr data)
{
	return data ? OSData_getLength(data) : 0;
}

OSSerializationPtr
OSCreateSerializationFromObject(OSObjectPtr object)
{
	return OSSerialization_createFromObject(object);
}

OSSerializationPtr
OSCreateSerializationFromBytes(const void *bytes, size_t length,
			       OSSerializationFreeBufferHandler handler)
{
	return OSSerialization_createFromBytes(bytes, length, handler);
}

OSObjectPtr
OSCreateObjectFromSerialization(OSSerializationPtr serialization)
{
	return serialization ? OSSerialization_copyObject(serialization) : NULL;
}

const void *
OSSerializationGetBytes(OSSerializationPtr serialization, size_t *length)
{
	if (serialization)
		return OSSerialization_finalizeBuffer(serialization, length);
	if (length)
		*length = 0;
	return NULL;
}

/* Derived classes before what they derive from. */
static const struct {
	const struct OSMetaClass *meta;
	uint64_t type;
	const char *name;
} collection_types[] = {
	{&OSSet_Class, kOSCollectionTypeSet, "Set"},
	{&OSArray_Class, kOSCollectionTypeArray, "Array"},
	{&OSBoolean_Class, kOSCollectionTypeBoolean, "Boolean"},
	{&OSData_Class, kOSCollectionTypeData, "Data"},
	{&OSDictionary_Class, kOSCollectionTypeDictionary, "Dictionary"},
	{&OSNumber_Class, kOSCollectionTypeNumber, "Number"},
	{&OSSerialization_Class, kOSCollectionTypeSerialization, "Serialization"},
	{&OSString_Class, kOSCollectionTypeString, "String"},
	{&OSString_Class, kOSCollectionTypeSymbol, "Symbol"},
};

uint64_t
OSCollectionTypeID(OSObjectPtr object)
{
	size_t i;

	for (i = 0; i < sizeof collection_types / sizeof collection_types[0]; i++)
		if (is(object, collection_types[i].meta))
			return collection_types[i].type;
	return 0;
}

const char *
OSCollectionTypeName(uint64_t type)
{
	size_t i;

	for (i = 0; i < sizeof collection_types / sizeof collection_types[0]; i++)
		if (collection_types[i].type == type)
			return collection_types[i].name;
	return "Unknown";
}

void
OSCollectionsInitialize(void)
{
}
