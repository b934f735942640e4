/* SPDX-License-Identifier: MIT */
/* Equality, hashes, copies, and the short forms of containers.h. */

#include "object/containers.h"

#include <errno.h>
#include <string.h>

#include "base/block.h"
#include "object/hash.h"

enum { COPY_MAX_DEPTH = 64 };

static bool
is(const void *object, const struct OSMetaClass *meta)
{
	return OSMetaClassCast(object, meta) != NULL;
}

bool
adxi_equal(const void *left, const void *right)
{
	if (left == right)
		return true;
	return left && right && OSObject_isEqualTo(left, right);
}

uint64_t
adxi_hash(const void *object)
{
	uint64_t value = 0;

	if (is(object, &OSString_Class))
		return adxi_hash_bytes(OSString_getCStringNoCopy(object),
				       OSString_getLength(object));
	if (is(object, &OSData_Class)) {
		/* Equal to a string, with or without its NUL. */
		const uint8_t *bytes = OSData_getBytesNoCopy(object);
		size_t len = OSData_getLength(object);

		if (len && !bytes[len - 1])
			len--;
		return adxi_hash_bytes(bytes, len);
	}
	/* What is equal in spite of width, sign and kind has these 8 bits in common. */
	if (is(object, &OSNumber_Class))
		value = OSNumber_unsigned8BitValue(object);
	else if (is(object, &OSCollection_Class))
		value = OSCollection_getCount(object);
	else
		value = (uint64_t)(uintptr_t)object;
	return adxi_hash_bytes(&value, sizeof value);
}

const char *
adxi_class_name(const void *object)
{
	return object ? ((const OSMetaClassBase *)object)->meta->name : "NULL";
}

static _Thread_local unsigned copy_depth;

OSObject *
adxi_copy_deep(const void *object)
{
	OSObject *copy;

	if (!is(object, &OSCollection_Class)) {
		if (is(object, &OSData_Class))
			return (OSObject *)OSData_withData(object);
		return adxi_retain(object);
	}
	if (copy_depth == COPY_MAX_DEPTH)
		return NULL;
	copy_depth++;
	copy = (OSObject *)OSCollection_copyCollection(object, NULL);
	copy_depth--;
	return copy;
}

static bool
object_by_block(void *context, OSObject *object)
{
	bool (*invoke)(void *, OSObject *);

	invoke = (bool (*)(void *, OSObject *))adxi_block_invoke(context);
	return invoke(context, object);
}

bool
OSCollection_iterateObjects(const OSCollection *self, OSCollectionIterateObjectsBlock block)
{
	return block && OSCollection_iterateObjects_f(self, (void *)block, object_by_block);
}

/* ---------------------------------------------------------------------------------------------
 * Dictionaries
 */

OSDictionary *
adxi_dict_new(void)
{
	return OSDictionary_withCapacity(0);
}

int
adxi_dict_set(OSDictionary *dict, const char *key, const void *value)
{
	if (!dict || !key || !value)
		return -EINVAL;
	return OSDictionary_setObjectForCString(dict, key, value) ? 0 : -ENOMEM;
}

int
adxi_dict_set_take(OSDictionary *dict, const char *key, void *value)
{
	int r;

	if (!value)
		return -ENOMEM;
	r = adxi_dict_set(dict, key, value);
	adxi_release(value);
	return r;
}

int
adxi_dict_set_string(OSDictionary *dict, const char *key, const char *value)
{
	if (!value)
		return -EINVAL;
	return adxi_dict_set_take(dict, key, OSString_withCString(value));
}

int
adxi_dict_set_number(OSDictionary *dict, const char *key, uint64_t value, unsigned bits)
{
	return adxi_dict_set_take(dict, key, OSNumber_withNumber(value, bits));
}

int
adxi_dict_set_bool(OSDictionary *dict, const char *key, bool value)
{
	return adxi_dict_set(dict, key, OSBoolean_withBoolean(value));
}

int
adxi_dict_set_data(OSDictionary *dict, const char *key, const void *bytes, size_t len)
{
	return adxi_dict_set_take(dict, key, OSData_withBytes(bytes, len));
}

void
adxi_dict_remove(OSDictionary *dict, const char *key)
{
	OSDictionary_removeObjectForCString(dict, key);
}

OSObject *
adxi_dict_get(const OSDictionary *dict, const char *key)
{
	return OSDictionary_getObjectForCString(dict, key);
}

const char *
adxi_dict_get_string(const OSDictionary *dict, const char *key)
{
	return adxi_string_text(adxi_dict_get(dict, key));
}

bool
adxi_dict_get_number(const OSDictionary *dict, const char *key, uint64_t *ret_value)
{
	return adxi_number_value(adxi_dict_get(dict, key), ret_value);
}

bool
adxi_dict_get_bool(const OSDictionary *dict, const char *key, bool otherwise)
{
	const OSObject *value = adxi_dict_get(dict, key);
	uint64_t number;

	if (is(value, &OSBoolean_Class))
		return OSBoolean_getValue((const OSBoolean *)value);
	return adxi_number_value(value, &number) ? number != 0 : otherwise;
}

OSDictionary *
adxi_dict_get_dict(const OSDictionary *dict, const char *key)
{
	return OSDynamicCast(OSDictionary, adxi_dict_get(dict, key));
}

OSArray *
adxi_dict_get_array(const OSDictionary *dict, const char *key)
{
	return OSDynamicCast(OSArray, adxi_dict_get(dict, key));
}

OSData *
adxi_dict_get_data(const OSDictionary *dict, const char *key)
{
	return OSDynamicCast(OSData, adxi_dict_get(dict, key));
}

uint32_t
adxi_dict_count(const OSDictionary *dict)
{
	return dict ? OSDictionary_getCount_Impl(dict) : 0;
}

/* ---------------------------------------------------------------------------------------------
 * Arrays
 */

OSArray *
adxi_array_new(void)
{
	return OSArray_withCapacity(0);
}

int
adxi_array_append(OSArray *array, const void *value)
{
	if (!array || !value)
		return -EINVAL;
	return OSArray_setObject(array, value) ? 0 : -ENOMEM;
}

int
adxi_array_append_take(OSArray *array, void *value)
{
	int r;

	if (!value)
		return -ENOMEM;
	r = adxi_array_append(array, value);
	adxi_release(value);
	return r;
}

int
adxi_array_append_string(OSArray *array, const char *value)
{
	if (!value)
		return -EINVAL;
	return adxi_array_append_take(array, OSString_withCString(value));
}

uint32_t
adxi_array_count(const OSArray *array)
{
	return array ? OSArray_getCount_Impl(array) : 0;
}

OSObject *
adxi_array_get(const OSArray *array, uint32_t index)
{
	return array ? OSArray_getObject(array, index) : NULL;
}

const char *
adxi_array_get_string(const OSArray *array, uint32_t index)
{
	return adxi_string_text(adxi_array_get(array, index));
}

bool
adxi_array_contains(const OSArray *array, const void *value)
{
	uint32_t i;

	for (i = 0; i < adxi_array_count(array); i++)
		if (adxi_equal(adxi_array_get(array, i), value))
			return true;
	return false;
}

/* ---------------------------------------------------------------------------------------------
 * Values
 */

const char *
adxi_string_text(const void *object)
{
	return is(object, &OSString_Class) ? OSString_getCStringNoCopy(object) : NULL;
}

bool
adxi_number_value(const void *object, uint64_t *ret_value)
{
	if (!is(object, &OSNumber_Class))
		return false;
	*ret_value = OSNumber_unsigned64BitValue(object);
	return true;
}
