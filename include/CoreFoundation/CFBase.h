/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_COREFOUNDATION_CFBASE_H
#define AMBIDEXT_COREFOUNDATION_CFBASE_H

/** @file CoreFoundation/CFBase.h
 *  @brief References, types, allocators. The subset of CoreFoundation that IOKitLib clients need, on the object model of
 *  drivers: a CFStringRef is an OSString, a CFDictionaryRef an OSDictionary. There is one allocator, malloc's.
 *
 *  Names with Create or Copy return +1, those with Get return a borrowed reference. Threads: [any]; a mutable object
 *  belongs to one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ambidext/base.h>

#define CF_EXTERN_C_BEGIN ADX_BEGIN_DECLS
#define CF_EXTERN_C_END   ADX_END_DECLS
#define CF_EXPORT         ADX_API extern

ADX_BEGIN_DECLS

typedef unsigned char Boolean;
typedef unsigned char UInt8;
typedef signed char SInt8;
typedef unsigned short UInt16;
typedef signed short SInt16;
typedef uint32_t UInt32;
typedef int32_t SInt32;
typedef uint64_t UInt64;
typedef int64_t SInt64;
typedef uint16_t UniChar;

typedef unsigned long CFTypeID;
typedef unsigned long CFOptionFlags;
typedef unsigned long CFHashCode;
typedef signed long CFIndex;
typedef double CFTimeInterval;
typedef CFTimeInterval CFAbsoluteTime;

typedef const void *CFTypeRef;
typedef const struct __CFAllocator *CFAllocatorRef;
typedef const struct __CFString *CFStringRef;
typedef struct __CFString *CFMutableStringRef;
typedef const struct __CFData *CFDataRef;
typedef struct __CFData *CFMutableDataRef;
typedef const struct __CFNumber *CFNumberRef;
typedef const struct __CFBoolean *CFBooleanRef;
typedef const struct __CFArray *CFArrayRef;
typedef struct __CFArray *CFMutableArrayRef;
typedef const struct __CFSet *CFSetRef;
typedef struct __CFSet *CFMutableSetRef;
typedef const struct __CFDictionary *CFDictionaryRef;
typedef struct __CFDictionary *CFMutableDictionaryRef;
typedef CFTypeRef CFPropertyListRef;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#ifndef nil
#define nil NULL
#endif

enum { kCFNotFound = -1 };
typedef enum { kCFCompareLessThan = -1, kCFCompareEqualTo = 0, kCFCompareGreaterThan = 1 } CFComparisonResult;

typedef struct {
	CFIndex location;
	CFIndex length;
} CFRange;

static inline CFRange
CFRangeMake(CFIndex location, CFIndex length)
{
	CFRange range = { location, length };
	return range;
}

/* All NULL: malloc is the one there is. */
CF_EXPORT const CFAllocatorRef kCFAllocatorDefault;
CF_EXPORT const CFAllocatorRef kCFAllocatorSystemDefault;
CF_EXPORT const CFAllocatorRef kCFAllocatorMalloc;
CF_EXPORT const CFAllocatorRef kCFAllocatorNull;

/** NULL ends the process, as it does on macOS, but with a sentence. */
CF_EXPORT CFTypeRef CFRetain(CFTypeRef cf);
CF_EXPORT void CFRelease(CFTypeRef cf);
CF_EXPORT CFIndex CFGetRetainCount(CFTypeRef cf);
CF_EXPORT CFTypeID CFGetTypeID(CFTypeRef cf);
CF_EXPORT Boolean CFEqual(CFTypeRef cf1, CFTypeRef cf2);
CF_EXPORT CFHashCode CFHash(CFTypeRef cf);
CF_EXPORT CFStringRef CFCopyTypeIDDescription(CFTypeID type_id);
CF_EXPORT CFStringRef CFCopyDescription(CFTypeRef cf);
/** To standard error, as its name promises. */
CF_EXPORT void CFShow(CFTypeRef cf);

ADX_END_DECLS
#endif /* AMBIDEXT_COREFOUNDATION_CFBASE_H */
