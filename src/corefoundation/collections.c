/* SPDX-License-Identifier: MIT */
/* CFArray, CFSet, CFDictionary on OSArray, OSSet, OSDictionary; constant strings. */

#include <pthread.h>
#include <stdlib.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/check.h"
#include "corefoundation/cf.h"
#include "object/containers.h"

const CFArrayCallBacks kCFTypeArrayCallBacks = { 0 };
const CFSetCallBacks kCFTypeSetCallBacks = { 0 };
const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks = { 0 };
const CFDictionaryKeyCallBacks kCFCopyStringDictionaryKeyCallBacks = { 0 };
const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks = { 0 };

CFStringRef
adxi_cf_constant(const char *text)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static OSDictionary *constants; /* text to itself; never freed */

	pthread_mutex_lock(&lock);
	if (!constants)
		constants = adxi_dict_new();
	OSObject *string = adxi_dict_get(constants, text);
	if (!string && adxi_dict_set_string(constants, text, text) == 0)
		string = adxi_dict_get(constants, text);
	pthread_mutex_unlock(&lock);
	if (!string)
		adxi_die("CFSTR(\"%s\"): no memory", text);
	return (CFStringRef)string;
}

/* ---- arrays ---- */

CFTypeID
CFArrayGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&OSArray_Class;
}

CFMutableArrayRef
CFArrayCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFArrayCallBacks *callBacks)
{
	/* Elements are objects and are retained; an array of bare pointers is not to be had. */
	return callBacks == &kCFTypeArrayCallBacks ? (CFMutableArrayRef)adxi_array_new() : NULL;
}

CFArrayRef
CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex numValues, const CFArrayCallBacks *callBacks)
{
	CFMutableArrayRef array = CFArrayCreateMutable(allocator, numValues, callBacks);

	for (CFIndex i = 0; array && i < numValues; i++)
		CFArrayAppendValue(array, values[i]);
	return array;
}

CFIndex
CFArrayGetCount(CFArrayRef theArray)
{
	return (CFIndex)adxi_array_count((const OSArray *)theArray);
}

const void *
CFArrayGetValueAtIndex(CFArrayRef theArray, CFIndex idx)
{
	return idx < 0 ? NULL : adxi_array_get((const OSArray *)theArray, (uint32_t)idx);
}

Boolean
CFArrayContainsValue(CFArrayRef theArray, CFRange range, const void *value)
{
	for (CFIndex i = range.location; i < range.location + range.length; i++)
		if (adxi_equal(CFArrayGetValueAtIndex(theArray, i), value))
			return TRUE;
	return FALSE;
}

void
CFArrayApplyFunction(CFArrayRef theArray, CFRange range, CFArrayApplierFunction applier, void *context)
{
	for (CFIndex i = range.location; i < range.location + range.length && i < CFArrayGetCount(theArray); i++)
		applier(CFArrayGetValueAtIndex(theArray, i), context);
}

void
CFArrayAppendValue(CFMutableArrayRef theArray, const void *value)
{
	(void)adxi_array_append((OSArray *)theArray, value);
}

void
CFArrayRemoveValueAtIndex(CFMutableArrayRef theArray, CFIndex idx)
{
	if (idx >= 0)
		OSArray_removeObject((OSArray *)theArray, (uint32_t)idx);
}

void
CFArrayRemoveAllValues(CFMutableArrayRef theArray)
{
	OSArray_flushCollection((OSArray *)theArray);
}

/* ---- sets ---- */

CFTypeID
CFSetGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&OSSet_Class;
}

CFMutableSetRef
CFSetCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFSetCallBacks *callBacks)
{
	return callBacks == &kCFTypeSetCallBacks ? (CFMutableSetRef)OSSet_withCapacity(8) : NULL;
}

CFIndex
CFSetGetCount(CFSetRef theSet)
{
	return (CFIndex)adxi_array_count((const OSArray *)theSet);
}

Boolean
CFSetContainsValue(CFSetRef theSet, const void *value)
{
	return adxi_array_contains((const OSArray *)theSet, value);
}

void
CFSetGetValues(CFSetRef theSet, const void **values)
{
	for (CFIndex i = 0; values && i < CFSetGetCount(theSet); i++)
		values[i] = adxi_array_get((const OSArray *)theSet, (uint32_t)i);
}

void
CFSetAddValue(CFMutableSetRef theSet, const void *value)
{
	if (value && !CFSetContainsValue(theSet, value))
		(void)OSSet_setObject((OSSet *)theSet, value);
}

void
CFSetRemoveValue(CFMutableSetRef theSet, const void *value)
{
	for (CFIndex i = 0; i < CFSetGetCount(theSet); i++) {
		OSObject *each = adxi_array_get((const OSArray *)theSet, (uint32_t)i);
		if (adxi_equal(each, value)) {
			OSSet_removeObject((OSSet *)theSet, (OSMetaClassBase *)each);
			return;
		}
	}
}

/* ---- dictionaries ---- */

CFTypeID
CFDictionaryGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&OSDictionary_Class;
}

CFMutableDictionaryRef
CFDictionaryCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFDictionaryKeyCallBacks *keyCallBacks,
			  const CFDictionaryValueCallBacks *valueCallBacks)
{
	bool objects = (keyCallBacks == &kCFTypeDictionaryKeyCallBacks || keyCallBacks == &kCFCopyStringDictionaryKeyCallBacks) &&
		       valueCallBacks == &kCFTypeDictionaryValueCallBacks;

	return objects ? (CFMutableDictionaryRef)adxi_dict_new() : NULL;
}

CFDictionaryRef
CFDictionaryCreate(CFAllocatorRef allocator, const void **keys, const void **values, CFIndex numValues,
		   const CFDictionaryKeyCallBacks *keyCallBacks, const CFDictionaryValueCallBacks *valueCallBacks)
{
	CFMutableDictionaryRef dictionary = CFDictionaryCreateMutable(allocator, numValues, keyCallBacks, valueCallBacks);

	for (CFIndex i = 0; dictionary && i < numValues; i++)
		CFDictionarySetValue(dictionary, keys[i], values[i]);
	return dictionary;
}

CFMutableDictionaryRef
CFDictionaryCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFDictionaryRef theDict)
{
	return theDict ? (CFMutableDictionaryRef)OSDictionary_withDictionary((const OSDictionary *)theDict, 0) : NULL;
}

CFDictionaryRef
CFDictionaryCreateCopy(CFAllocatorRef allocator, CFDictionaryRef theDict)
{
	return CFDictionaryCreateMutableCopy(allocator, 0, theDict);
}

CFIndex
CFDictionaryGetCount(CFDictionaryRef theDict)
{
	return (CFIndex)adxi_dict_count((const OSDictionary *)theDict);
}

const void *
CFDictionaryGetValue(CFDictionaryRef theDict, const void *key)
{
	return theDict && key ? OSDictionary_getObject((const OSDictionary *)theDict, key) : NULL;
}

Boolean
CFDictionaryContainsKey(CFDictionaryRef theDict, const void *key)
{
	return CFDictionaryGetValue(theDict, key) != NULL;
}

Boolean
CFDictionaryGetValueIfPresent(CFDictionaryRef theDict, const void *key, const void **value)
{
	const void *found = CFDictionaryGetValue(theDict, key);

	if (found && value)
		*value = found;
	return found != NULL;
}

void
CFDictionaryGetKeysAndValues(CFDictionaryRef theDict, const void **keys, const void **values)
{
	for (CFIndex i = 0; i < CFDictionaryGetCount(theDict); i++) {
		OSObject *value = NULL;
		OSObject *key = adxi_dict_pair((const OSDictionary *)theDict, (uint32_t)i, &value);
		if (keys)
			keys[i] = key;
		if (values)
			values[i] = value;
	}
}

void
CFDictionaryApplyFunction(CFDictionaryRef theDict, CFDictionaryApplierFunction applier, void *context)
{
	for (CFIndex i = 0; i < CFDictionaryGetCount(theDict); i++) {
		OSObject *value = NULL;
		OSObject *key = adxi_dict_pair((const OSDictionary *)theDict, (uint32_t)i, &value);
		applier(key, value, context);
	}
}

void
CFDictionarySetValue(CFMutableDictionaryRef theDict, const void *key, const void *value)
{
	if (theDict && key && value)
		(void)OSDictionary_setObject((OSDictionary *)theDict, key, value);
}

void
CFDictionaryAddValue(CFMutableDictionaryRef theDict, const void *key, const void *value)
{
	if (!CFDictionaryContainsKey(theDict, key))
		CFDictionarySetValue(theDict, key, value);
}

void
CFDictionaryRemoveValue(CFMutableDictionaryRef theDict, const void *key)
{
	if (key)
		OSDictionary_removeObject((OSDictionary *)theDict, key);
}

void
CFDictionaryRemoveAllValues(CFMutableDictionaryRef theDict)
{
	OSDictionary_flushCollection((OSDictionary *)theDict);
}
