/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_COREFOUNDATION_CFARRAY_H
#define AMBIDEXT_COREFOUNDATION_CFARRAY_H

/** @file CoreFoundation/CFArray.h
 *  @brief Arrays of objects; the callbacks argument is kCFTypeArrayCallBacks (others: NULL is returned). */

#include <CoreFoundation/CFBase.h>

ADX_BEGIN_DECLS

typedef struct { CFIndex version; } CFArrayCallBacks;
CF_EXPORT const CFArrayCallBacks kCFTypeArrayCallBacks;
typedef void (*CFArrayApplierFunction)(const void *value, void *context);

CF_EXPORT CFTypeID CFArrayGetTypeID(void);
CF_EXPORT CFArrayRef CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex numValues,
				   const CFArrayCallBacks *callBacks);
CF_EXPORT CFMutableArrayRef CFArrayCreateMutable(CFAllocatorRef allocator, CFIndex capacity,
						 const CFArrayCallBacks *callBacks);
CF_EXPORT CFIndex CFArrayGetCount(CFArrayRef theArray);
/** Borrowed; NULL: out of range (macOS ends the process). */
CF_EXPORT const void *CFArrayGetValueAtIndex(CFArrayRef theArray, CFIndex idx);
CF_EXPORT Boolean CFArrayContainsValue(CFArrayRef theArray, CFRange range, const void *value);
CF_EXPORT void CFArrayApplyFunction(CFArrayRef theArray, CFRange range, CFArrayApplierFunction applier, void *context);
CF_EXPORT void CFArrayAppendValue(CFMutableArrayRef theArray, const void *value);
CF_EXPORT void CFArrayRemoveValueAtIndex(CFMutableArrayRef theArray, CFIndex idx);
CF_EXPORT void CFArrayRemoveAllValues(CFMutableArrayRef theArray);

ADX_END_DECLS
#endif /* AMBIDEXT_COREFOUNDATION_CFARRAY_H */
