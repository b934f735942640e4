/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_CLASSES_BY_HAND_H
#define OBJECT_CLASSES_BY_HAND_H

/** @file object/classes_by_hand.h
 *  @brief Stands in for the generated headers of the containers. Same names, same layout. */

#include <ambidext/collections.h>

extern struct OSMetaClass OSObject_Class;
struct OSObject_IVars;
struct OSObject {
	struct OSMetaClassBase super;
	struct OSObject_IVars *ivars;
};
struct OSObject_Ops {
	struct OSMetaClassBase_Ops super;
	bool (*init)(OSObject *self);
	void (*free)(OSObject *self);
	bool (*isEqualTo)(const OSObject *self, const OSMetaClassBase *object);
};
ADX_API bool OSObject_init(OSObject *self);
ADX_API void OSObject_free(OSObject *self);
ADX_API bool OSObject_isEqualTo(const OSObject *self, const OSMetaClassBase *object);
bool OSObject_init_Impl(OSObject *self);
void OSObject_free_Impl(OSObject *self);
bool OSObject_isEqualTo_Impl(const OSObject *self, const OSMetaClassBase *object);
ADX_API kern_return_t OSObject_CopyDispatchQueue(OSObject *self, const IODispatchQueueName name, IODispatchQueue ** queue);

extern struct OSMetaClass OSContainer_Class;
struct OSContainer_IVars;
struct OSContainer {
	struct OSObject super;
	struct OSContainer_IVars *ivars;
};
struct OSContainer_Ops {
	struct OSObject_Ops super;
};

extern struct OSMetaClass OSString_Class;
struct OSString_IVars;
struct OSString {
	struct OSContainer super;
	struct OSString_IVars *ivars;
};
struct OSString_Ops {
	struct OSContainer_Ops super;
};
void OSString_free_Impl(OSString *self);
bool OSString_isEqualTo_Impl(const OSString *self, const OSMetaClassBase *anObject);
ADX_API OSString *OSString_withCString(const char *cString);
ADX_API OSString *OSString_withCStringLength(const char *cString, size_t maxLength);
ADX_API OSString *OSString_withCStringNoCopy(const char *cString);
ADX_API OSString *OSString_withString(const OSString *aString);
ADX_API bool OSString_isEqualToString(const OSString *self, const OSString *aString);
ADX_API bool OSString_isEqualToCString(const OSString *self, const char *cString);
ADX_API bool OSString_isEqualToData(const OSString *self, const OSData *aDataObject);
ADX_API const char *OSString_getCStringNoCopy(const OSString *self);
ADX_API size_t OSString_getLength(const OSString *self);

extern struct OSMetaClass OSNumber_Class;
struct OSNumber_IVars;
struct OSNumber {
	struct OSContainer super;
	struct OSNumber_IVars *ivars;
};
struct OSNumber_Ops {
	struct OSContainer_Ops super;
};
bool OSNumber_isEqualTo_Impl(const OSNumber *self, const OSMetaClassBase *anObject);
ADX_API OSNumber *OSNumber_withNumber(uint64_t value, size_t numberOfBits);
ADX_API OSNumber *OSNumber_withNumberString(const char *valueString, size_t numberOfBits);
ADX_API bool OSNumber_isEqualToNumber(const OSNumber *self, const OSNumber *aNumber);
ADX_API size_t OSNumber_numberOfBits(const OSNumber *self);
ADX_API uint8_t OSNumber_unsigned8BitValue(const OSNumber *self);
ADX_API uint16_t OSNumber_unsigned16BitValue(const OSNumber *self);
ADX_API uint32_t OSNumber_unsigned32BitValue(const OSNumber *self);
ADX_API uint64_t OSNumber_unsigned64BitValue(const OSNumber *self);

extern struct OSMetaClass OSBoolean_Class;
struct OSBoolean_IVars;
struct OSBoolean {
	struct OSContainer super;
	struct OSBoolean_IVars *ivars;
};
struct OSBoolean_Ops {
	struct OSContainer_Ops super;
};
bool OSBoolean_isEqualTo_Impl(const OSBoolean *self, const OSMetaClassBase *anObject);
ADX_API OSBoolean *OSBoolean_withBoolean(bool value);
ADX_API bool OSBoolean_isEqualToBoolean(const OSBoolean *self, const OSBoolean *aBoolean);
ADX_API bool OSBoolean_getValue(const OSBoolean *self);
ADX_API bool OSBoolean_isTrue(const OSBoolean *self);
ADX_API bool OSBoolean_isFalse(const OSBoolean *self);

extern struct OSMetaClass OSData_Class;
struct OSData_IVars;
struct OSData {
	struct OSContainer super;
	struct OSData_IVars *ivars;
};
struct OSData_Ops {
	struct OSContainer_Ops super;
};
void OSData_free_Impl(OSData *self);
bool OSData_isEqualTo_Impl(const OSData *self, const OSMetaClassBase *anObject);
ADX_API OSData *OSData_withCapacity(uint32_t capacity);
ADX_API OSData *OSData_withBytes(const void *bytes, size_t numBytes);
ADX_API OSData *OSData_withBytesNoCopy(void *bytes, size_t numBytes);
ADX_API OSData *OSData_withData(const OSData *data);
ADX_API OSData *OSData_withDataRange(const OSData *data, size_t start, size_t numBytes);
ADX_API bool OSData_isEqualToData(const OSData *self, const OSData *data);
ADX_API bool OSData_isEqualToBytes(const OSData *self, const void *bytes, size_t numBytes);
ADX_API bool OSData_isEqualToString(const OSData *self, const OSString *obj);
ADX_API bool OSData_appendBytes(OSData *self, const void *bytes, size_t numBytes);
ADX_API bool OSData_appendData(OSData *self, const OSData *data);
ADX_API const void *OSData_getBytesNoCopy(const OSData *self);
ADX_API const void *OSData_getBytesNoCopyRange(const OSData *self, size_t start, size_t numBytes);
ADX_API size_t OSData_getLength(const OSData *self);
ADX_API size_t OSData_getCapacity(const OSData *self);

extern struct OSMetaClass OSCollection_Class;
struct OSCollection_IVars;
struct OSCollection {
	struct OSContainer super;
	struct OSCollection_IVars *ivars;
};
struct OSCollection_Ops {
	struct OSContainer_Ops super;
	uint32_t (*getCount)(const OSCollection *self);
	uint32_t (*getCapacity)(const OSCollection *self);
	uint32_t (*ensureCapacity)(OSCollection *self, uint32_t newCapacity);
	void (*flushCollection)(OSCollection *self);
	bool (*iterateObjects_f)(const OSCollection *self, void *context, OSCollectionIterateObjectsCallback callback);
	OSCollection * (*copyCollection)(const OSCollection *self, OSDictionary *cycleDict);
};
ADX_API uint32_t OSCollection_getCount(const OSCollection *self);
ADX_API uint32_t OSCollection_getCapacity(const OSCollection *self);
ADX_API uint32_t OSCollection_ensureCapacity(OSCollection *self, uint32_t newCapacity);
ADX_API void OSCollection_flushCollection(OSCollection *self);
ADX_API bool OSCollection_iterateObjects_f(const OSCollection *self, void *context, OSCollectionIterateObjectsCallback callback);
ADX_API OSCollection *OSCollection_copyCollection(const OSCollection *self, OSDictionary *cycleDict);
ADX_API bool OSCollection_iterateObjects(const OSCollection *self, OSCollectionIterateObjectsBlock block);

extern struct OSMetaClass OSArray_Class;
struct OSArray_IVars;
struct OSArray {
	struct OSCollection super;
	struct OSArray_IVars *ivars;
};
struct OSArray_Ops {
	struct OSCollection_Ops super;
};
void OSArray_free_Impl(OSArray *self);
bool OSArray_isEqualTo_Impl(const OSArray *self, const OSMetaClassBase *anObject);
uint32_t OSArray_getCount_Impl(const OSArray *self);
uint32_t OSArray_getCapacity_Impl(const OSArray *self);
uint32_t OSArray_ensureCapacity_Impl(OSArray *self, uint32_t newCapacity);
void OSArray_flushCollection_Impl(OSArray *self);
bool OSArray_iterateObjects_f_Impl(const OSArray *self, void *context, OSCollectionIterateObjectsCallback callback);
OSCollection *OSArray_copyCollection_Impl(const OSArray *self, OSDictionary *cycleDict);
ADX_API OSArray *OSArray_withCapacity(uint32_t capacity);
ADX_API OSArray *OSArray_withObjects(const OSObject *values[], uint32_t count, uint32_t capacity);
ADX_API OSArray *OSArray_withArray(const OSArray *array, uint32_t capacity);
ADX_API bool OSArray_isEqualToArray(const OSArray *self, const OSArray *anArray);
ADX_API bool OSArray_setObject(OSArray *self, const OSMetaClassBase *anObject);
ADX_API bool OSArray_setObjectAtIndex(OSArray *self, uint32_t index, const OSMetaClassBase *anObject);
ADX_API bool OSArray_replaceObject(OSArray *self, uint32_t index, const OSMetaClassBase *anObject);
ADX_API void OSArray_removeObject(OSArray *self, uint32_t index);
ADX_API bool OSArray_merge(OSArray *self, const OSArray *otherArray);
ADX_API OSObject *OSArray_getObject(const OSArray *self, uint32_t index);
ADX_API OSObject *OSArray_getLastObject(const OSArray *self);
ADX_API uint32_t OSArray_getNextIndexOfObject(const OSArray *self, const OSMetaClassBase *anObject, uint32_t index);

extern struct OSMetaClass OSSet_Class;
struct OSSet_IVars;
struct OSSet {
	struct OSArray super;
	struct OSSet_IVars *ivars;
};
struct OSSet_Ops {
	struct OSArray_Ops super;
};
bool OSSet_isEqualTo_Impl(const OSSet *self, const OSMetaClassBase *anObject);
OSCollection *OSSet_copyCollection_Impl(const OSSet *self, OSDictionary *cycleDict);
ADX_API OSSet *OSSet_withCapacity(uint32_t capacity);
ADX_API OSSet *OSSet_withObjects(const OSObject *objects[], uint32_t count, uint32_t capacity);
ADX_API OSSet *OSSet_withArray(const OSArray *array, uint32_t capacity);
ADX_API bool OSSet_setObject(OSSet *self, const OSMetaClassBase *anObject);
ADX_API bool OSSet_containsObject(const OSSet *self, const OSMetaClassBase *anObject);
ADX_API bool OSSet_member(const OSSet *self, const OSMetaClassBase *anObject);
ADX_API OSObject *OSSet_getAnyObject(const OSSet *self);
ADX_API void OSSet_removeObject(OSSet *self, const OSMetaClassBase *anObject);
ADX_API bool OSSet_merge(OSSet *self, const OSArray *array);

extern struct OSMetaClass OSOrderedSet_Class;
struct OSOrderedSet_IVars;
struct OSOrderedSet {
	struct OSSet super;
	struct OSOrderedSet_IVars *ivars;
};
struct OSOrderedSet_Ops {
	struct OSSet_Ops super;
};
void OSOrderedSet_free_Impl(OSOrderedSet *self);
OSCollection *OSOrderedSet_copyCollection_Impl(const OSOrderedSet *self, OSDictionary *cycleDict);
ADX_API OSOrderedSet *OSOrderedSet_withCapacity(uint32_t capacity, OSOrderBlock orderBlock);
ADX_API OSOrderedSet *OSOrderedSet_withCapacity_f(uint32_t capacity, void *context, OSOrderFunction order);
ADX_API bool OSOrderedSet_setObject(OSOrderedSet *self, const OSMetaClassBase *anObject);
ADX_API bool OSOrderedSet_setFirstObject(OSOrderedSet *self, const OSMetaClassBase *anObject);
ADX_API bool OSOrderedSet_setLastObject(OSOrderedSet *self, const OSMetaClassBase *anObject);
ADX_API OSObject *OSOrderedSet_getFirstObject(const OSOrderedSet *self);
ADX_API OSObject *OSOrderedSet_getLastObject(const OSOrderedSet *self);
ADX_API int32_t OSOrderedSet_orderObject(OSOrderedSet *self, const OSMetaClassBase *anObject);

extern struct OSMetaClass OSDictionary_Class;
struct OSDictionary_IVars;
struct OSDictionary {
	struct OSCollection super;
	struct OSDictionary_IVars *ivars;
};
struct OSDictionary_Ops {
	struct OSCollection_Ops super;
};
void OSDictionary_free_Impl(OSDictionary *self);
bool OSDictionary_isEqualTo_Impl(const OSDictionary *self, const OSMetaClassBase *anObject);
uint32_t OSDictionary_getCount_Impl(const OSDictionary *self);
uint32_t OSDictionary_getCapacity_Impl(const OSDictionary *self);
uint32_t OSDictionary_ensureCapacity_Impl(OSDictionary *self, uint32_t newCapacity);
void OSDictionary_flushCollection_Impl(OSDictionary *self);
bool OSDictionary_iterateObjects_f_Impl(const OSDictionary *self, void *context, OSCollectionIterateObjectsCallback callback);
OSCollection *OSDictionary_copyCollection_Impl(const OSDictionary *self, OSDictionary *cycleDict);
ADX_API OSDictionary *OSDictionary_withCapacity(uint32_t capacity);
ADX_API OSDictionary *OSDictionary_withObjects(const OSObject *values[], const OSObject *keys[], uint32_t count, uint32_t capacity);
ADX_API OSDictionary *OSDictionary_withDictionary(const OSDictionary *dict, uint32_t capacity);
ADX_API bool OSDictionary_isEqualToDictionary(const OSDictionary *self, const OSDictionary *aDictionary);
ADX_API bool OSDictionary_isEqualToDictionaryForKeys(const OSDictionary *self, const OSDictionary *aDictionary, const OSCollection *keys);
ADX_API bool OSDictionary_setObject(OSDictionary *self, const OSObject *aKey, const OSMetaClassBase *anObject);
ADX_API bool OSDictionary_setObjectForCString(OSDictionary *self, const char *aKey, const OSMetaClassBase *anObject);
ADX_API OSObject *OSDictionary_getObject(const OSDictionary *self, const OSObject *aKey);
ADX_API OSObject *OSDictionary_getObjectForCString(const OSDictionary *self, const char *aKey);
ADX_API void OSDictionary_removeObject(OSDictionary *self, const OSObject *aKey);
ADX_API void OSDictionary_removeObjectForCString(OSDictionary *self, const char *aKey);
ADX_API bool OSDictionary_merge(OSDictionary *self, const OSDictionary *otherDict);
ADX_API bool OSDictionary_iterateObjects(const OSDictionary *self, OSDictionaryIterateObjectsBlock block);
ADX_API bool OSDictionary_iteratePairs_f(const OSDictionary *self, void *context, OSDictionaryIterateObjectsCallback callback);

extern struct OSMetaClass OSSerialization_Class;
struct OSSerialization_IVars;
struct OSSerialization {
	struct OSContainer super;
	struct OSSerialization_IVars *ivars;
};
struct OSSerialization_Ops {
	struct OSContainer_Ops super;
};
void OSSerialization_free_Impl(OSSerialization *self);
ADX_API OSSerialization *OSSerialization_createFromObject(OSObjectPtr obj);
ADX_API OSSerialization *OSSerialization_createFromBytes(const void *buffer, size_t length, OSSerializationFreeBufferHandler handler);
ADX_API OSSerialization *OSSerialization_createFromBytes_f(const void *buffer, size_t length, void *context, OSSerializationFreeBufferFunction handler);
ADX_API void OSSerialization_freeBuffer(const void *buffer, size_t length);
ADX_API const void *OSSerialization_finalizeBuffer(OSSerialization *self, size_t *length);
ADX_API OSObject *OSSerialization_copyObject(OSSerialization *self);

#endif /* OBJECT_CLASSES_BY_HAND_H */
