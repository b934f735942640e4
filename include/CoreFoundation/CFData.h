/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_COREFOUNDATION_CFDATA_H
#define AMBIDEXT_COREFOUNDATION_CFDATA_H

/** @file CoreFoundation/CFData.h
 *  @brief Bytes. */

#include <CoreFoundation/CFBase.h>

ADX_BEGIN_DECLS

CF_EXPORT CFTypeID CFDataGetTypeID(void);
CF_EXPORT CFDataRef CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length);
CF_EXPORT CFDataRef CFDataCreateCopy(CFAllocatorRef allocator, CFDataRef theData);
CF_EXPORT CFMutableDataRef CFDataCreateMutable(CFAllocatorRef allocator, CFIndex capacity);
CF_EXPORT CFIndex CFDataGetLength(CFDataRef theData);
/** Borrowed; NULL when empty. */
CF_EXPORT const UInt8 *CFDataGetBytePtr(CFDataRef theData);
CF_EXPORT void CFDataGetBytes(CFDataRef theData, CFRange range, UInt8 *buffer);
CF_EXPORT void CFDataAppendBytes(CFMutableDataRef theData, const UInt8 *bytes, CFIndex length);

ADX_END_DECLS
#endif /* AMBIDEXT_COREFOUNDATION_CFDATA_H */
