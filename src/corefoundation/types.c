/* SPDX-License-Identifier: MIT */
/* CFBase, strings, numbers, data: a second face of the containers in src/object. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/buf.h"
#include "base/check.h"
#include "corefoundation/cf.h"
#include "object/containers.h"
#include "object/format.h"

const CFAllocatorRef kCFAllocatorDefault = NULL;
const CFAllocatorRef kCFAllocatorSystemDefault = NULL;
const CFAllocatorRef kCFAllocatorMalloc = NULL;
const CFAllocatorRef kCFAllocatorNull = NULL;

CFTypeRef
CFRetain(CFTypeRef cf)
{
	if (!cf)
		adxi_die("CFRetain(NULL): test the reference first");
	return adxi_retain(cf);
}

void
CFRelease(CFTypeRef cf)
{
	if (!cf)
		adxi_die("CFRelease(NULL): test the reference first");
	(void)adxi_release(cf);
}

CFIndex
CFGetRetainCount(CFTypeRef cf)
{
	return cf ? (CFIndex)OSGetRetainCount((const OSMetaClassBase *)cf) : 0;
}

/* A type id is the class that CF knows the object by. */
static const struct OSMetaClass *
cf_class(CFTypeRef cf)
{
	static const struct OSMetaClass *const known[] = { &OSString_Class, &OSNumber_Class,     &OSBoolean_Class, &OSData_Class,
							   &OSSet_Class,    &OSDictionary_Class, &OSArray_Class };
	const struct OSMetaClass *meta = ((const OSMetaClassBase *)cf)->meta;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (OSMetaClassIsKindOf(meta, known[i]))
			return known[i];
	return meta;
}

CFTypeID
CFGetTypeID(CFTypeRef cf)
{
	return cf ? (CFTypeID)(uintptr_t)cf_class(cf) : 0;
}

Boolean
CFEqual(CFTypeRef cf1, CFTypeRef cf2)
{
	/* A string and data of its bytes are equal to drivers, but not to applications. */
	return cf1 == cf2 || (cf1 && cf2 && cf_class(cf1) == cf_class(cf2) && adxi_equal(cf1, cf2));
}

CFHashCode
CFHash(CFTypeRef cf)
{
	return (CFHashCode)adxi_hash(cf);
}

CFStringRef
CFCopyTypeIDDescription(CFTypeID type_id)
{
	const struct OSMetaClass *meta = (const struct OSMetaClass *)type_id;

	return type_id ? CFStringCreateWithCString(NULL, meta->name, kCFStringEncodingUTF8) : NULL;
}

CFStringRef
CFCopyDescription(CFTypeRef cf)
{
	struct adxi_buf buf = { 0 };
	CFStringRef string = NULL;

	if (adxi_object_describe(cf, &buf) == 0)
		string = (CFStringRef)adxi_string_bytes((const char *)buf.data, buf.len);
	adxi_buf_done(&buf);
	return string;
}

void
CFShow(CFTypeRef cf)
{
	CFStringRef text = CFCopyDescription(cf);

	fprintf(stderr, "%s\n", text ? CFStringGetCStringPtr(text, kCFStringEncodingUTF8) : "(no memory)");
	if (text)
		CFRelease(text);
}

char *
adx_json(CFTypeRef object)
{
	struct adxi_buf buf = { 0 };
	char *text = NULL;

	if (adxi_object_json(object, &buf, 0) == 0)
		text = strndup((const char *)buf.data, buf.len);
	adxi_buf_done(&buf);
	return text;
}

/* ---- strings ---- */

CFTypeID
CFStringGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&OSString_Class;
}

static bool
known_encoding(CFStringEncoding encoding)
{
	return encoding == kCFStringEncodingUTF8 || encoding == kCFStringEncodingASCII || encoding == kCFStringEncodingMacRoman;
}

CFStringRef
CFStringCreateWithBytes(CFAllocatorRef alloc, const UInt8 *bytes, CFIndex numBytes, CFStringEncoding encoding,
			Boolean isExternalRepresentation)
{
	if (!known_encoding(encoding) || numBytes < 0 || (numBytes > 0 && !bytes))
		return NULL;
	return (CFStringRef)adxi_string_bytes((const char *)bytes, (size_t)numBytes);
}

CFStringRef
CFStringCreateWithCString(CFAllocatorRef alloc, const char *cStr, CFStringEncoding encoding)
{
	return cStr ? CFStringCreateWithBytes(alloc, (const UInt8 *)cStr, (CFIndex)strlen(cStr), encoding, FALSE) : NULL;
}

CFStringRef
CFStringCreateCopy(CFAllocatorRef alloc, CFStringRef theString)
{
	return theString ? CFRetain(theString) : NULL;
}

CFStringRef
CFStringCreateWithFormatAndArguments(CFAllocatorRef alloc, CFDictionaryRef formatOptions, CFStringRef format, va_list arguments)
{
	struct adxi_buf buf = { 0 };
	CFStringRef string = NULL;

	if (adxi_format(&buf, CFStringGetCStringPtr(format, kCFStringEncodingUTF8), arguments) == 0)
		string = (CFStringRef)adxi_string_bytes((const char *)buf.data, buf.len);
	adxi_buf_done(&buf);
	return string;
}

CFStringRef
CFStringCreateWithFormat(CFAllocatorRef alloc, CFDictionaryRef formatOptions, CFStringRef format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	CFStringRef string = CFStringCreateWithFormatAndArguments(alloc, formatOptions, format, arguments);
	va_end(arguments);
	return string;
}

CFIndex
CFStringGetLength(CFStringRef theString)
{
	return (CFIndex)strlen(CFStringGetCStringPtr(theString, kCFStringEncodingUTF8));
}

CFIndex
CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding)
{
	return length;
}

const char *
CFStringGetCStringPtr(CFStringRef theString, CFStringEncoding encoding)
{
	const char *text = adxi_string_text(theString);

	return text ? text : "";
}

Boolean
CFStringGetCString(CFStringRef theString, char *buffer, CFIndex bufferSize, CFStringEncoding encoding)
{
	const char *text = adxi_string_text(theString);
	size_t n = text ? strlen(text) + 1 : 0;

	if (!text || !known_encoding(encoding) || bufferSize < 0 || n > (size_t)bufferSize)
		return FALSE;
	memcpy(buffer, text, n);
	return TRUE;
}

CFComparisonResult
CFStringCompare(CFStringRef theString1, CFStringRef theString2, CFStringCompareFlags options)
{
	const char *left = CFStringGetCStringPtr(theString1, kCFStringEncodingUTF8);
	const char *right = CFStringGetCStringPtr(theString2, kCFStringEncodingUTF8);
	int order = options & kCFCompareCaseInsensitive ? strcasecmp(left, right) : strcmp(left, right);

	return order < 0 ? kCFCompareLessThan : order > 0 ? kCFCompareGreaterThan : kCFCompareEqualTo;
}

Boolean
CFStringHasPrefix(CFStringRef theString, CFStringRef prefix)
{
	const char *start = CFStringGetCStringPtr(prefix, kCFStringEncodingUTF8);

	return strncmp(CFStringGetCStringPtr(theString, kCFStringEncodingUTF8), start, strlen(start)) == 0;
}

Boolean
CFStringHasSuffix(CFStringRef theString, CFStringRef suffix)
{
	const char *text = CFStringGetCStringPtr(theString, kCFStringEncodingUTF8);
	const char *end = CFStringGetCStringPtr(suffix, kCFStringEncodingUTF8);
	size_t n = strlen(text), n_end = strlen(end);

	return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

SInt32
CFStringGetIntValue(CFStringRef str)
{
	long value = strtol(CFStringGetCStringPtr(str, kCFStringEncodingUTF8), NULL, 10);

	return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (SInt32)value;
}

CFStringRef
__CFStringMakeConstantString(const char *cStr)
{
	return adxi_cf_constant(cStr);
}

/* ---- booleans and numbers ---- */

CFTypeID
CFBooleanGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&OSBoolean_Class;
}

Boolean
CFBooleanGetValue(CFBooleanRef boolean)
{
	return (const void *)boolean == (const void *)kOSBooleanTrue;
}

CFTypeID
CFNumberGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&OSNumber_Class;
}

/* Width of a type in bits, and whether it is a floating one. 0: no such type. */
static unsigned
width_of(CFNumberType type, bool *ret_floating)
{
	static const struct { unsigned char bits; bool floating; } types[] = {
		[kCFNumberSInt8Type] = { 8, false },   [kCFNumberSInt16Type] = { 16, false },
		[kCFNumberSInt32Type] = { 32, false }, [kCFNumberSInt64Type] = { 64, false },
		[kCFNumberFloat32Type] = { 32, true }, [kCFNumberFloat64Type] = { 64, true },
		[kCFNumberCharType] = { 8, false },    [kCFNumberShortType] = { 16, false },
		[kCFNumberIntType] = { 32, false },    [kCFNumberLongType] = { 64, false },
		[kCFNumberLongLongType] = { 64, false }, [kCFNumberFloatType] = { 32, true },
		[kCFNumberDoubleType] = { 64, true },  [kCFNumberCFIndexType] = { 64, false },
	};

	if (type < 0 || (size_t)type >= sizeof types / sizeof *types)
		return 0;
	*ret_floating = types[type].floating;
	return types[type].bits;
}

CFNumberRef
CFNumberCreate(CFAllocatorRef allocator, CFNumberType theType, const void *valuePtr)
{
	bool floating = false;
	unsigned bits = width_of(theType, &floating);
	uint64_t value = 0;

	if (!bits || !valuePtr)
		return NULL;
	if (floating) {
		double real = bits == 32 ? (double)*(const float *)valuePtr : *(const double *)valuePtr;
		return (CFNumberRef)adxi_number_real(real, bits);
	}
	memcpy(&value, valuePtr, bits / 8); /* little-endian, as everything here */
	if (bits < 32) /* those have no sign here */
		value = (uint64_t)(bits == 8 ? (int8_t)value : (int16_t)value);
	return (CFNumberRef)OSNumber_withNumber(value, bits < 32 ? 32 : bits);
}

CFNumberType
CFNumberGetType(CFNumberRef number)
{
	bool real = adxi_number_is_real((const OSNumber *)number);

	switch (OSNumber_numberOfBits((const OSNumber *)number)) {
	case 8:
	case 16:
	case 32:
		return real ? kCFNumberFloat32Type : kCFNumberSInt32Type;
	default:
		return real ? kCFNumberFloat64Type : kCFNumberSInt64Type;
	}
}

CFIndex
CFNumberGetByteSize(CFNumberRef number)
{
	size_t bits = OSNumber_numberOfBits((const OSNumber *)number);

	return bits < 32 ? 4 : (CFIndex)(bits / 8);
}

Boolean
CFNumberIsFloatType(CFNumberRef number)
{
	return adxi_number_is_real((const OSNumber *)number);
}

Boolean
CFNumberGetValue(CFNumberRef number, CFNumberType theType, void *valuePtr)
{
	bool floating = false;
	unsigned bits = width_of(theType, &floating);
	const OSNumber *from = (const OSNumber *)number;
	int64_t value;

	if (!bits || !valuePtr)
		return FALSE;
	if (floating) {
		double real = adxi_number_is_real(from) ? adxi_number_double(from) : (double)adxi_number_signed(from);
		if (bits == 32)
			*(float *)valuePtr = (float)real;
		else
			*(double *)valuePtr = real;
		return TRUE;
	}
	value = adxi_number_is_real(from) ? (int64_t)adxi_number_double(from) : adxi_number_signed(from);
	memcpy(valuePtr, &value, bits / 8);
	/* A value whose upper bits are only sign, or only zero, has arrived whole. */
	uint64_t raw = OSNumber_unsigned64BitValue(from);
	return bits == 64 || (uint64_t)value >> bits == 0 || raw >> bits == 0 || value >> (bits - 1) == -1;
}

CFComparisonResult
CFNumberCompare(CFNumberRef number, CFNumberRef otherNumber, void *context)
{
	const OSNumber *a = (const OSNumber *)number, *b = (const OSNumber *)otherNumber;

	if (adxi_number_is_real(a) || adxi_number_is_real(b)) {
		double left = adxi_number_double(a), right = adxi_number_double(b);
		return left < right ? kCFCompareLessThan : left > right ? kCFCompareGreaterThan : kCFCompareEqualTo;
	}
	int64_t left = adxi_number_signed(a), right = adxi_number_signed(b);
	return left < right ? kCFCompareLessThan : left > right ? kCFCompareGreaterThan : kCFCompareEqualTo;
}

/* ---- data ---- */

CFTypeID
CFDataGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&OSData_Class;
}

CFDataRef
CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length)
{
	if (length < 0 || (length > 0 && !bytes))
		return NULL;
	return (CFDataRef)(length ? OSData_withBytes(bytes, (size_t)length) : OSData_withCapacity(0));
}

CFDataRef
CFDataCreateCopy(CFAllocatorRef allocator, CFDataRef theData)
{
	return theData ? CFDataCreate(allocator, CFDataGetBytePtr(theData), CFDataGetLength(theData)) : NULL;
}

CFMutableDataRef
CFDataCreateMutable(CFAllocatorRef allocator, CFIndex capacity)
{
	return (CFMutableDataRef)OSData_withCapacity(capacity > 0 ? (size_t)capacity : 0);
}

CFIndex
CFDataGetLength(CFDataRef theData)
{
	return (CFIndex)OSData_getLength((const OSData *)theData);
}

const UInt8 *
CFDataGetBytePtr(CFDataRef theData)
{
	return OSData_getBytesNoCopy((const OSData *)theData);
}

void
CFDataGetBytes(CFDataRef theData, CFRange range, UInt8 *buffer)
{
	CFIndex length = CFDataGetLength(theData);

	if (range.location < 0 || range.length <= 0 || range.location > length || range.length > length - range.location)
		return;
	memcpy(buffer, CFDataGetBytePtr(theData) + range.location, (size_t)range.length);
}

void
CFDataAppendBytes(CFMutableDataRef theData, const UInt8 *bytes, CFIndex length)
{
	if (length > 0)
		(void)OSData_appendBytes((OSData *)theData, bytes, (size_t)length);
}
