/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_COLLECTIONS_H
#define AMBIDEXT_COLLECTIONS_H

/** @file ambidext/collections.h
 *  @brief Types and constants of the container classes. */

#include <DriverKit/OSMetaClass.h>

ADX_BLOCK_TYPE(bool, OSCollectionIterateObjectsBlock, OSObject *object);
ADX_BLOCK_TYPE(bool, OSDictionaryIterateObjectsBlock, OSObject *key, OSObject *value);
ADX_BLOCK_TYPE(int, OSOrderBlock, const OSMetaClassBase *left, const OSMetaClassBase *right);
ADX_BLOCK_TYPE(bool, OSArrayApplier, OSObject *object);
ADX_BLOCK_TYPE(bool, OSDictionaryApplier, const char *key, OSObject *value);
ADX_BLOCK_TYPE(void, OSSerializationFreeBufferHandler, const void *buffer, size_t length);

/* Iterating: true stops, and the iterating function then returns true. */
typedef bool (*OSCollectionIterateObjectsCallback)(void *context, OSObject *object);
typedef bool (*OSDictionaryIterateObjectsCallback)(void *context, OSObject *key, OSObject *value);
typedef bool (*OSDictionaryApplierFunction)(void *context, const char *key, OSObject *value);
typedef int (*OSOrderFunction)(void *context, const OSMetaClassBase *left,
			       const OSMetaClassBase *right);
typedef void (*OSSerializationFreeBufferFunction)(void *context, const void *buffer, size_t length);

ADX_BEGIN_DECLS
/* The two booleans; compare by pointer. References to them do not count. */
extern ADX_API const OSBooleanPtr kOSBooleanTrue;
extern ADX_API const OSBooleanPtr kOSBooleanFalse;
ADX_END_DECLS

#endif /* AMBIDEXT_COLLECTIONS_H */
