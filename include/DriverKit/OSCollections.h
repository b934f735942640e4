/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DRIVERKIT_OSCOLLECTIONS_H
#define AMBIDEXT_DRIVERKIT_OSCOLLECTIONS_H

/** @file DriverKit/OSCollections.h
 *  @brief Containers as plain functions. Create returns +1, Get lends; a NULL object is allowed
 *  everywhere and has no content. Threads: containers have no locks. */

#include <ambidext/collections.h>

ADX_BEGIN_DECLS

/* What OSCollectionTypeID() tells. */
enum {
	kOSCollectionTypeArray = 1,
	kOSCollectionTypeBoolean,
	kOSCollectionTypeData,
	kOSCollectionTypeDictionary,
	kOSCollectionTypeNumber,
	kOSCollectionTypeSerialization,
	kOSCollectionTypeSet,
	kOSCollectionTypeString,
	kOSCollectionTypeSymbol,
};

/* An index that means the end, in OSArraySet… */
#define kOSArrayAppend 0xffffffffu

ADX_API OSArrayPtr OSArrayCreate(void);
ADX_API uint32_t OSArrayGetCount(OSArrayPtr array);
/** NULL, 0: there is none, or it is of another class. */
ADX_API OSObjectPtr OSArrayGetValue(OSArrayPtr array, uint32_t index);
ADX_API uint64_t OSArrayGetUInt64Value(OSArrayPtr array, uint32_t index);
ADX_API const char *OSArrayGetStringValue(OSArrayPtr array, uint32_t index);
/** Inserts at index. False: no such place, NULL, or no memory. */
ADX_API bool OSArraySetValue(OSArrayPtr array, uint32_t index, OSObjectPtr value);
ADX_API bool OSArraySetUInt64Value(OSArrayPtr array, uint32_t index, uint64_t value);
ADX_API bool OSArraySetStringValue(OSArrayPtr array, uint32_t index, const char *value);
ADX_API bool OSArrayAppendValue(OSArrayPtr array, OSObjectPtr value);
ADX_API bool OSArrayReplaceValue(OSArrayPtr array, uint32_t index, OSObjectPtr value);
/** True stops. True: stopped. */
ADX_API bool OSArrayApply(OSArrayPtr array, OSArrayApplier applier);
ADX_API bool OSArrayApply_f(OSArrayPtr array, void *context,
			    OSCollectionIterateObjectsCallback callback);

ADX_API OSDictionaryPtr OSDictionaryCreate(void);
ADX_API uint32_t OSDictionaryGetCount(OSDictionaryPtr dictionary);
ADX_API OSObjectPtr OSDictionaryGetValue(OSDictionaryPtr dictionary, const char *key);
ADX_API uint64_t OSDictionaryGetUInt64Value(OSDictionaryPtr dictionary, const char *key);
ADX_API const char *OSDictionaryGetStringValue(OSDictionaryPtr dictionary, const char *key);
ADX_API bool OSDictionarySetValue(OSDictionaryPtr dictionary, const char *key, OSObjectPtr value);
ADX_API bool OSDictionarySetUInt64Value(OSDictionaryPtr dictionary, const char *key,
					uint64_t value);
ADX_API bool OSDictionarySetStringValue(OSDictionaryPtr dictionary, const char *key,
					const char *value);
ADX_API bool OSDictionaryApply(OSDictionaryPtr dictionary, OSDictionaryApplier applier);
ADX_API bool OSDictionaryApply_f(OSDictionaryPtr dictionary, void *context,
				 OSDictionaryApplierFunction applier);

ADX_API OSStringPtr OSStringCreate(const char *cstring, size_t length);
ADX_API const char *OSStringGetStringPtr(OSStringPtr string);
ADX_API size_t OSStringGetLength(OSStringPtr string);

ADX_API OSNumberPtr OSNumberCreateWithUInt64Value(uint64_t value);
ADX_API uint64_t OSNumberGetUInt64Value(OSNumberPtr number);

ADX_API OSDataPtr OSDataCreate(const void *bytes, size_t length);
ADX_API bool OSDataAppendBytes(OSDataPtr data, const void *bytes, size_t length);
/** Copies at most length bytes; returns how many. */
ADX_API size_t OSDataGetBytes(OSDataPtr data, void *buffer, size_t offset, size_t length);
/** NULL: the range is not wholly inside. */
ADX_API const void *OSDataGetBytesPtr(OSDataPtr data, size_t offset, size_t length);
ADX_API size_t OSDataGetLength(OSDataPtr data);

ADX_API OSSerializationPtr OSCreateSerializationFromObject(OSObjectPtr object);
ADX_API OSSerializationPtr OSCreateSerializationFromBytes(
	const void *bytes, size_t length, OSSerializationFreeBufferHandler handler);
ADX_API OSObjectPtr OSCreateObjectFromSerialization(OSSerializationPtr serialization);
ADX_API const void *OSSerializationGetBytes(OSSerializationPtr serialization, size_t *length);

/** kOSCollectionType…, or 0. */
ADX_API uint64_t OSCollectionTypeID(OSObjectPtr object);
/** Name of a type, never NULL. */
ADX_API const char *OSCollectionTypeName(uint64_t type);
/** Nothing needs it; it is there for sources that call it. */
ADX_API void OSCollectionsInitialize(void);

ADX_END_DECLS

/* Drivers that include this one header use the methods as well. */
#ifndef __IIG
#include <DriverKit/OSArray.h>
#include <DriverKit/OSBoolean.h>
#include <DriverKit/OSData.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSOrderedSet.h>
#include <DriverKit/OSSerialization.h>
#include <DriverKit/OSSet.h>
#include <DriverKit/OSString.h>
#endif

#endif /* AMBIDEXT_DRIVERKIT_OSCOLLECTIONS_H */
