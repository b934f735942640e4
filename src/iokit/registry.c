/* SPDX-License-Identifier: MIT */
/* Registry entries: paths, relatives, properties. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "iokit/iokit.h"
#include "iokit/iterator.h"

#define PROPERTY_KEYS "IORegistryEntryPropertyKeys"

io_registry_entry_t
IORegistryGetRootEntry(mach_port_t mainPort)
{
	ADXRegistry *registry;
	uint64_t id;

	if (iokit_check_main_port(mainPort) != kIOReturnSuccess || !(registry = iokit_registry()))
		return IO_OBJECT_NULL;
	return ADXRegistry_GetRoot(registry, &id) == kIOReturnSuccess ? iokit_name_entry(id) : IO_OBJECT_NULL;
}

io_registry_entry_t
IORegistryEntryCopyFromPath(mach_port_t mainPort, CFStringRef path)
{
	ADXRegistry *registry;
	uint64_t id;

	if (!path || iokit_check_main_port(mainPort) != kIOReturnSuccess || !(registry = iokit_registry()))
		return IO_OBJECT_NULL;
	return ADXRegistry_FindPath(registry, (OSString *)path, &id) == kIOReturnSuccess ? iokit_name_entry(id)
											    : IO_OBJECT_NULL;
}

io_registry_entry_t
IORegistryEntryFromPath(mach_port_t mainPort, const char *path)
{
	CFStringRef string = path ? CFStringCreateWithCString(NULL, path, kCFStringEncodingUTF8) : NULL;
	io_registry_entry_t entry = string ? IORegistryEntryCopyFromPath(mainPort, string) : IO_OBJECT_NULL;

	if (string)
		CFRelease(string);
	return entry;
}

/* Everything below starts the same way: an entry id and the daemon. */
static kern_return_t
begin(io_registry_entry_t entry, uint64_t *ret_id, ADXRegistry **ret_registry)
{
	kern_return_t ret = iokit_entry_id(entry, ret_id);

	if (ret != kIOReturnSuccess)
		return ret;
	*ret_registry = iokit_registry();
	return *ret_registry ? kIOReturnSuccess : kIOReturnNoDevice;
}

static kern_return_t
copy_path(io_registry_entry_t entry, const char *plane, CFStringRef *ret_path)
{
	ADXRegistry *registry;
	OSString *path = NULL;
	ADXName name = { 0 };
	uint64_t id;
	kern_return_t ret = plane ? begin(entry, &id, &registry) : kIOReturnBadArgument;

	if (ret != kIOReturnSuccess)
		return ret;
	strncpy(name, plane, sizeof name - 1);
	ret = ADXRegistry_CopyPath(registry, id, name, &path);
	if (ret == kIOReturnSuccess && !path)
		ret = kIOReturnInternalError;
	if (ret == kIOReturnSuccess)
		*ret_path = (CFStringRef)path;
	return ret;
}

CFStringRef
IORegistryEntryCopyPath(io_registry_entry_t entry, const char *plane)
{
	CFStringRef path = NULL;

	return copy_path(entry, plane, &path) == kIOReturnSuccess ? path : NULL;
}

kern_return_t
IORegistryEntryGetPath(io_registry_entry_t entry, const char *plane, io_string_t path)
{
	CFStringRef string = NULL;
	kern_return_t ret = path ? copy_path(entry, plane, &string) : kIOReturnBadArgument;

	if (ret != kIOReturnSuccess)
		return ret;
	if (!CFStringGetCString(string, path, sizeof(io_string_t), kCFStringEncodingUTF8))
		ret = kIOReturnBadArgument;
	CFRelease(string);
	return ret;
}

kern_return_t
IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entryID)
{
	if (!entryID)
		return kIOReturnBadArgument;
	*entryID = 0;
	return iokit_entry_id(entry, entryID);
}

kern_return_t
IORegistryEntryCreateCFProperties(io_registry_entry_t entry, CFMutableDictionaryRef *properties,
				  CFAllocatorRef allocator, IOOptionBits options)
{
	ADXRegistry *registry;
	OSDictionary *dictionary = NULL;
	uint64_t id;
	kern_return_t ret = properties ? begin(entry, &id, &registry) : kIOReturnBadArgument;

	if (ret == kIOReturnSuccess)
		ret = ADXRegistry_CopyProperties(registry, id, &dictionary);
	if (ret == kIOReturnSuccess && !dictionary)
		ret = kIOReturnInternalError;
	if (ret == kIOReturnSuccess)
		*properties = (CFMutableDictionaryRef)dictionary;
	return ret;
}

CFTypeRef
IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const char *plane, CFStringRef key,
				CFAllocatorRef allocator, IOOptionBits options)
{
	ADXRegistry *registry;
	OSContainer *property = NULL;
	ADXName name = { 0 };
	uint64_t id;

	if (!key || begin(entry, &id, &registry) != kIOReturnSuccess)
		return NULL;
	if (plane)
		strncpy(name, plane, sizeof name - 1);
	if (ADXRegistry_CopyProperty(registry, id, (OSString *)key, name, options, &property) != kIOReturnSuccess)
		return NULL;
	return property;
}

/* Names of all properties of @p entry, +1. */
static CFTypeRef
copy_property_keys(io_registry_entry_t entry)
{
	CFMutableDictionaryRef all = NULL;
	CFMutableArrayRef names = NULL;

	if (IORegistryEntryCreateCFProperties(entry, &all, NULL, 0) != kIOReturnSuccess)
		return NULL;
	CFIndex n = CFDictionaryGetCount(all);
	const void **keys = calloc(n > 0 ? (size_t)n : 1, sizeof *keys);
	if (keys)
		names = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
	if (names) {
		CFDictionaryGetKeysAndValues(all, keys, NULL);
		for (CFIndex i = 0; i < n; i++)
			CFArrayAppendValue(names, keys[i]);
	}
	free(keys);
	CFRelease(all);
	return names;
}

CFTypeRef
IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key, CFAllocatorRef allocator, IOOptionBits options)
{
	const char *text = key ? CFStringGetCStringPtr(key, kCFStringEncodingUTF8) : NULL;

	if (text && strcmp(text, PROPERTY_KEYS) == 0)
		return copy_property_keys(entry);
	return IORegistryEntrySearchCFProperty(entry, NULL, key, allocator, 0);
}

/* Bytes of a property as the old call gives them. False: a type that it cannot give. */
static bool
property_bytes(CFTypeRef property, const void **ret_bytes, size_t *ret_size, uint64_t *number)
{
	CFTypeID type = CFGetTypeID(property);

	if (type == CFDataGetTypeID()) {
		*ret_bytes = CFDataGetBytePtr(property);
		*ret_size = (size_t)CFDataGetLength(property);
	} else if (type == CFStringGetTypeID()) {
		const char *text = CFStringGetCStringPtr(property, kCFStringEncodingUTF8);
		*ret_bytes = text ? text : "";
		*ret_size = strlen(*ret_bytes) + 1;
	} else if (type == CFBooleanGetTypeID()) {
		*ret_bytes = CFBooleanGetValue(property) ? "Yes" : "No";
		*ret_size = strlen(*ret_bytes) + 1;
	} else if (type == CFNumberGetTypeID()) {
		*number = iokit_number(property);
		*ret_bytes = number;
		*ret_size = (size_t)CFNumberGetByteSize(property);
	} else {
		return false;
	}
	return true;
}

kern_return_t
IORegistryEntryGetProperty(io_registry_entry_t entry, const char *propertyName, io_struct_inband_t buffer,
			   uint32_t *size)
{
	CFStringRef key = propertyName ? CFStringCreateWithCString(NULL, propertyName, kCFStringEncodingUTF8) : NULL;
	const void *bytes;
	size_t n;
	uint64_t number, id;
	kern_return_t ret = key && buffer && size ? iokit_entry_id(entry, &id) : kIOReturnBadArgument;
	CFTypeRef property = NULL;

	if (ret == kIOReturnSuccess) {
		property = IORegistryEntryCreateCFProperty(entry, key, NULL, 0);
		ret = property ? kIOReturnSuccess : kIOReturnNoResources;
	}
	if (ret == kIOReturnSuccess && !property_bytes(property, &bytes, &n, &number))
		ret = kIOReturnBadArgument;
	if (ret == kIOReturnSuccess && n > *size)
		ret = kIOReturnIPCError;
	if (ret == kIOReturnSuccess) {
		memcpy(buffer, bytes, n);
		*size = (uint32_t)n;
	}
	if (property)
		CFRelease(property);
	if (key)
		CFRelease(key);
	return ret;
}

kern_return_t
IORegistryEntrySetCFProperties(io_registry_entry_t entry, CFTypeRef properties)
{
	ADXRegistry *registry;
	uint64_t id;
	kern_return_t ret = properties ? begin(entry, &id, &registry) : kIOReturnBadArgument;

	if (ret != kIOReturnSuccess)
		return ret;
	if (CFGetTypeID(properties) != CFDictionaryGetTypeID())
		return kIOReturnUnsupported;
	return ADXRegistry_SetProperties(registry, id, (OSDictionary *)properties);
}

kern_return_t
IORegistryEntrySetCFProperty(io_registry_entry_t entry, CFStringRef propertyName, CFTypeRef property)
{
	if (!propertyName || !property)
		return kIOReturnBadArgument;
	CFMutableDictionaryRef one = CFDictionaryCreateMutable(NULL, 1, &kCFTypeDictionaryKeyCallBacks,
							       &kCFTypeDictionaryValueCallBacks);
	if (!one)
		return kIOReturnNoMemory;
	CFDictionarySetValue(one, propertyName, property);
	kern_return_t ret = IORegistryEntrySetCFProperties(entry, one);
	CFRelease(one);
	return ret;
}

static kern_return_t
first_relative(io_registry_entry_t entry, const char *plane, uint32_t direction, io_registry_entry_t *ret_entry)
{
	ADXRegistry *registry;
	OSArray *ids = NULL;
	ADXName name = { 0 };
	uint64_t id;
	kern_return_t ret = plane && ret_entry ? begin(entry, &id, &registry) : kIOReturnBadArgument;

	if (ret != kIOReturnSuccess)
		return ret;
	strncpy(name, plane, sizeof name - 1);
	ret = ADXRegistry_CopyRelatives(registry, id, name, direction, &ids);
	if (ret != kIOReturnSuccess)
		return ret;
	if (ids && CFArrayGetCount((CFArrayRef)ids) > 0) {
		*ret_entry = iokit_name_entry(iokit_number(CFArrayGetValueAtIndex((CFArrayRef)ids, 0)));
		ret = *ret_entry ? kIOReturnSuccess : kIOReturnNoMemory;
	} else {
		ret = kIOReturnNoDevice;
	}
	if (ids)
		CFRelease(ids);
	return ret;
}

kern_return_t
IORegistryEntryGetChildEntry(io_registry_entry_t entry, const char *plane, io_registry_entry_t *child)
{
	return first_relative(entry, plane, kADXRelativesChildren, child);
}

kern_return_t
IORegistryEntryGetParentEntry(io_registry_entry_t entry, const char *plane, io_registry_entry_t *parent)
{
	return first_relative(entry, plane, kADXRelativesParents, parent);
}

boolean_t
IORegistryEntryInPlane(io_registry_entry_t entry, const char *plane)
{
	CFStringRef path = NULL;

	if (copy_path(entry, plane, &path) != kIOReturnSuccess)
		return FALSE;
	CFRelease(path);
	return TRUE;
}
