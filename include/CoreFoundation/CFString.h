/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_COREFOUNDATION_CFSTRING_H
#define AMBIDEXT_COREFOUNDATION_CFSTRING_H

/** @file CoreFoundation/CFString.h
 *  @brief Immutable strings. Bytes are UTF-8; lengths count bytes, which differs from macOS outside ASCII. */

#include <stdarg.h>

#include <CoreFoundation/CFBase.h>

ADX_BEGIN_DECLS

typedef UInt32 CFStringEncoding;
enum {
	kCFStringEncodingMacRoman = 0,
	kCFStringEncodingASCII = 0x0600,
	kCFStringEncodingUTF8 = 0x08000100,
};

typedef CFOptionFlags CFStringCompareFlags;
enum { kCFCompareCaseInsensitive = 1 };

CF_EXPORT CFTypeID CFStringGetTypeID(void);
/** NULL: cStr is NULL, an unknown encoding, or no memory. MacRoman is taken as ASCII. */
CF_EXPORT CFStringRef CFStringCreateWithCString(CFAllocatorRef alloc, const char *cStr, CFStringEncoding encoding);
CF_EXPORT CFStringRef CFStringCreateWithBytes(CFAllocatorRef alloc, const UInt8 *bytes, CFIndex numBytes,
					      CFStringEncoding encoding, Boolean isExternalRepresentation);
CF_EXPORT CFStringRef CFStringCreateCopy(CFAllocatorRef alloc, CFStringRef theString);
/** printf's conversions and %@ (an object's text). */
CF_EXPORT CFStringRef CFStringCreateWithFormat(CFAllocatorRef alloc, CFDictionaryRef formatOptions, CFStringRef format, ...);
CF_EXPORT CFStringRef CFStringCreateWithFormatAndArguments(CFAllocatorRef alloc, CFDictionaryRef formatOptions,
							   CFStringRef format, va_list arguments);
CF_EXPORT CFIndex CFStringGetLength(CFStringRef theString);
CF_EXPORT CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding);
/** False: it does not fit with its NUL. */
CF_EXPORT Boolean CFStringGetCString(CFStringRef theString, char *buffer, CFIndex bufferSize, CFStringEncoding encoding);
/** Borrowed; never NULL for a string here. */
CF_EXPORT const char *CFStringGetCStringPtr(CFStringRef theString, CFStringEncoding encoding);
CF_EXPORT CFComparisonResult CFStringCompare(CFStringRef theString1, CFStringRef theString2, CFStringCompareFlags options);
CF_EXPORT Boolean CFStringHasPrefix(CFStringRef theString, CFStringRef prefix);
CF_EXPORT Boolean CFStringHasSuffix(CFStringRef theString, CFStringRef suffix);
CF_EXPORT SInt32 CFStringGetIntValue(CFStringRef str);

/* A constant string: the same object for the same text, for the life of the process. */
CF_EXPORT CFStringRef __CFStringMakeConstantString(const char *cStr);
#define CFSTR(cStr) __CFStringMakeConstantString("" cStr "")

ADX_END_DECLS
#endif /* AMBIDEXT_COREFOUNDATION_CFSTRING_H */
