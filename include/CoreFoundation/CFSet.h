/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_COREFOUNDATION_CFSET_H
#define AMBIDEXT_COREFOUNDATION_CFSET_H

/** @file CoreFoundation/CFSet.h
 *  @brief Sets of objects. */

#include <CoreFoundation/CFBase.h>

ADX_BEGIN_DECLS

typedef struct { CFIndex version; } CFSetCallBacks;
CF_EXPORT const CFSetCallBacks kCFTypeSetCallBacks;

CF_EXPORT CFTypeID CFSetGetTypeID(void);
CF_EXPORT CFMutableSetRef CFSetCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFSetCallBacks *callBacks);
CF_EXPORT CFIndex CFSetGetCount(CFSetRef theSet);
CF_EXPORT Boolean CFSetContainsValue(CFSetRef theSet, const void *value);
CF_EXPORT void CFSetGetValues(CFSetRef theSet, const void **values);
CF_EXPORT void CFSetAddValue(CFMutableSetRef theSet, const void *value);
CF_EXPORT void CFSetRemoveValue(CFMutableSetRef theSet, const void *value);

ADX_END_DECLS
#endif /* AMBIDEXT_COREFOUNDATION_CFSET_H */
