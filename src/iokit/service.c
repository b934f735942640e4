/* SPDX-License-Identifier: MIT */
/* Finding services and asking what they are: matching dictionaries, lookup, classes, busy state. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rules.h"
#include "iokit/iokit.h"
#include "iokit/iterator.h"

/* ---- matching dictionaries ---- */

static CFStringRef
string_of(const char *text)
{
	return CFStringCreateWithCString(kCFAllocatorDefault, text, kCFStringEncodingUTF8);
}

/* A new dictionary {key: value}; @p value is taken and may be NULL. */
static CFMutableDictionaryRef
matching_with(const char *key, CFTypeRef value)
{
	CFMutableDictionaryRef dictionary = NULL;
	CFStringRef name = value ? string_of(key) : NULL;

	if (name)
		dictionary = CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks,
						       &kCFTypeDictionaryValueCallBacks);
	if (dictionary)
		CFDictionarySetValue(dictionary, name, value);
	if (name)
		CFRelease(name);
	if (value)
		CFRelease(value);
	return dictionary;
}

CFMutableDictionaryRef
IOServiceMatching(const char *name)
{
	return name ? matching_with(kIOProviderClassKey, string_of(name)) : NULL;
}

CFMutableDictionaryRef
IOServiceNameMatching(const char *name)
{
	return name ? matching_with(kIONameMatchKey, string_of(name)) : NULL;
}

CFMutableDictionaryRef
IOBSDNameMatching(mach_port_t mainPort, uint32_t options, const char *bsdName)
{
	return bsdName ? matching_with(kIOBSDNameKey, string_of(bsdName)) : NULL;
}

CFMutableDictionaryRef
IOOpenFirmwarePathMatching(mach_port_t mainPort, uint32_t options, const char *path)
{
	char whole[512];

	if (!path || snprintf(whole, sizeof whole, "%s:%s", kIODeviceTreePlane, path) >= (int)sizeof whole)
		return NULL;
	return matching_with(kIOPathMatchKey, string_of(whole));
}

CFMutableDictionaryRef
IORegistryEntryIDMatching(uint64_t entryID)
{
	int64_t value = (int64_t)entryID;

	return matching_with(kIORegistryEntryIDKey, CFNumberCreate(kCFAllocatorDefault, kCFNumberSInt64Type, &value));
}

/* ---- lookup ---- */

/* Ids of what matches, +1; consumes @p matching. */
static kern_return_t
copy_matching(mach_port_t main_port, CFDictionaryRef matching, OSArray **ret_ids)
{
	ADXRegistry *registry;
	kern_return_t ret;

	if (!matching)
		return kIOReturnBadArgument;
	if (CFGetTypeID(matching) != CFDictionaryGetTypeID())
		ret = kIOReturnUnsupported;
	else
		ret = iokit_check_main_port(main_port);
	if (ret == kIOReturnSuccess) {
		registry = iokit_registry();
		ret = registry ? ADXRegistry_CopyMatching(registry, (OSDictionary *)matching, ret_ids) : kIOReturnNoDevice;
	}
	CFRelease(matching);
	return ret;
}

io_service_t
IOServiceGetMatchingService(mach_port_t mainPort, CFDictionaryRef matching)
{
	io_service_t service = IO_OBJECT_NULL;
	OSArray *ids = NULL;

	if (copy_matching(mainPort, matching, &ids) != kIOReturnSuccess || !ids)
		return IO_OBJECT_NULL;
	if (CFArrayGetCount((CFArrayRef)ids) > 0)
		service = iokit_name_entry(iokit_number(CFArrayGetValueAtIndex((CFArrayRef)ids, 0)));
	CFRelease(ids);
	return service;
}

kern_return_t
IOServiceGetMatchingServices(mach_port_t mainPort, CFDictionaryRef matching, io_iterator_t *existing)
{
	OSArray *ids = NULL;
	kern_return_t ret;

	if (!existing) {
		if (matching)
			CFRelease(matching);
		return kIOReturnBadArgument;
	}
	ret = copy_matching(mainPort, matching, &ids);
	if (ret != kIOReturnSuccess)
		return ret;
	*existing = IO_OBJECT_NULL;
	if (ids && CFArrayGetCount((CFArrayRef)ids) > 0) {
		*existing = iokit_iterator_over((CFArrayRef)ids);
		ret = *existing ? kIOReturnSuccess : kIOReturnNoMemory;
	}
	if (ids)
		CFRelease(ids);
	return ret;
}

kern_return_t
IOServiceMatchPropertyTable(io_service_t service, CFDictionaryRef matching, boolean_t *matches)
{
	ADXRegistry *registry;
	uint64_t id;
	bool answer = false;

	if (!matching || !matches)
		return kIOReturnBadArgument;
	kern_return_t ret = iokit_entry_id(service, &id);
	if (ret != kIOReturnSuccess)
		return ret;
	if (CFGetTypeID(matching) != CFDictionaryGetTypeID())
		return kIOReturnUnsupported;
	registry = iokit_registry();
	ret = registry ? ADXRegistry_MatchEntry(registry, id, (OSDictionary *)matching, &answer) : kIOReturnNoDevice;
	if (ret == kIOReturnSuccess)
		*matches = answer;
	return ret;
}

/* ---- what an object is ---- */

/* dextd's description of an entry, +1. */
static kern_return_t
copy_entry(io_object_t object, CFDictionaryRef *ret_entry)
{
	ADXRegistry *registry;
	OSDictionary *entry = NULL;
	uint64_t id;
	kern_return_t ret = iokit_entry_id(object, &id);

	if (ret != kIOReturnSuccess)
		return ret;
	registry = iokit_registry();
	ret = registry ? ADXRegistry_CopyEntry(registry, id, &entry) : kIOReturnNoDevice;
	if (ret != kIOReturnSuccess)
		return ret;
	if (!entry)
		return kIOReturnInternalError;
	*ret_entry = (CFDictionaryRef)entry;
	return kIOReturnSuccess;
}

static CFTypeRef
entry_value(CFDictionaryRef entry, const char *key)
{
	CFStringRef name = string_of(key);
	CFTypeRef value = name ? CFDictionaryGetValue(entry, name) : NULL;

	if (name)
		CFRelease(name);
	return value;
}

/* Text of a string in @p entry, cut to the size that the API has; false: there is none. */
static bool
entry_text(CFDictionaryRef entry, const char *key, char *text, size_t size)
{
	CFTypeRef value = entry_value(entry, key);

	if (!value || CFGetTypeID(value) != CFStringGetTypeID())
		return false;
	const char *whole = CFStringGetCStringPtr(value, kCFStringEncodingUTF8);
	(void)snprintf(text, size, "%s", whole ? whole : "");
	return true;
}

static const char *const kind_classes[IOKIT_KIND_COUNT] = {
	[IOKIT_MAIN_PORT] = "IOMainPort",
	[IOKIT_ITERATOR] = "IOUserIterator",
	[IOKIT_INTEREST] = "IOUserNotification",
	[IOKIT_CONNECTION] = "IOUserUserClient",
	[IOKIT_PORT] = "IONotificationPort",
};

kern_return_t
IOObjectGetClass(io_object_t object, io_name_t className)
{
	CFDictionaryRef entry = NULL;

	if (!className)
		return kIOReturnBadArgument;
	iokit_auto struct iokit_object *found = iokit_get(object, IOKIT_NONE);
	if (!found)
		return MACH_SEND_INVALID_DEST;
	if (found->kind != IOKIT_ENTRY) {
		(void)snprintf(className, sizeof(io_name_t), "%s", kind_classes[found->kind]);
		return kIOReturnSuccess;
	}
	kern_return_t ret = copy_entry(object, &entry);
	if (ret != kIOReturnSuccess)
		return ret;
	if (!entry_text(entry, "class", className, sizeof(io_name_t)))
		ret = kIOReturnInternalError;
	CFRelease(entry);
	return ret;
}

CFStringRef
IOObjectCopyClass(io_object_t object)
{
	io_name_t name;

	return IOObjectGetClass(object, name) == kIOReturnSuccess ? string_of(name) : NULL;
}

/* Super classes of the classes that services have here. dextd tells an object's whole chain; a bare class name is looked up
 * in the few that do not depend on an object. */
static const char *const class_tree[][2] = {
	{ "IOUserUserClient", "IOUserClient" }, { "IOUserClient", "IOService" },
	{ "IOUserService", "IOService" },       { "IOUSBHostDevice", "IOService" },
	{ "IOUSBHostInterface", "IOService" },  { "IOResources", "IOService" },
	{ "IOUserResources", "IOService" },     { "IOUserServer", "IOUserClient" },
	{ "IOService", "IORegistryEntry" },     { "IORegistryEntry", "OSObject" },
};

CFStringRef
IOObjectCopySuperclassForClass(CFStringRef classname)
{
	const char *name = classname ? CFStringGetCStringPtr(classname, kCFStringEncodingUTF8) : NULL;

	for (size_t i = 0; name && i < sizeof class_tree / sizeof *class_tree; i++)
		if (strcmp(class_tree[i][0], name) == 0)
			return string_of(class_tree[i][1]);
	return NULL;
}

CFStringRef
IOObjectCopyBundleIdentifierForClass(CFStringRef classname)
{
	CFStringRef super = IOObjectCopySuperclassForClass(classname);

	if (!super)
		return NULL;
	CFRelease(super);
	return string_of("com.apple.kpi.iokit");
}

boolean_t
IOObjectConformsTo(io_object_t object, const char *className)
{
	CFDictionaryRef entry = NULL;
	io_name_t name;
	bool conforms = false;

	if (!className)
		return FALSE;
	if (copy_entry(object, &entry) != kIOReturnSuccess)
		return IOObjectGetClass(object, name) == kIOReturnSuccess && strcmp(name, className) == 0;
	CFTypeRef classes = entry_value(entry, "classes");
	if (classes && CFGetTypeID(classes) == CFArrayGetTypeID()) {
		for (CFIndex i = 0; i < CFArrayGetCount(classes); i++) {
			CFTypeRef each = CFArrayGetValueAtIndex(classes, i);
			const char *text = CFGetTypeID(each) == CFStringGetTypeID()
						   ? CFStringGetCStringPtr(each, kCFStringEncodingUTF8)
						   : NULL;
			conforms = conforms || (text && strcmp(text, className) == 0);
		}
	}
	if (!conforms && entry_text(entry, "class", name, sizeof name))
		conforms = strcmp(name, className) == 0;
	CFRelease(entry);
	return conforms;
}

uint32_t
IOObjectGetKernelRetainCount(io_object_t object)
{
	CFDictionaryRef entry = NULL;
	uint32_t count;

	if (copy_entry(object, &entry) != kIOReturnSuccess)
		return 0;
	count = (uint32_t)iokit_number(entry_value(entry, "retain"));
	CFRelease(entry);
	return count ? count : 1;
}

uint32_t
IOObjectGetRetainCount(io_object_t object)
{
	return IOObjectGetKernelRetainCount(object);
}

kern_return_t
IORegistryEntryGetName(io_registry_entry_t object, io_name_t name)
{
	CFDictionaryRef entry = NULL;
	kern_return_t ret = name ? copy_entry(object, &entry) : kIOReturnBadArgument;

	if (ret != kIOReturnSuccess)
		return ret;
	if (!entry_text(entry, "name", name, sizeof(io_name_t)))
		ret = kIOReturnInternalError;
	CFRelease(entry);
	return ret;
}

kern_return_t
IORegistryEntryGetNameInPlane(io_registry_entry_t entry, const char *plane, io_name_t name)
{
	return IORegistryEntryGetName(entry, name);
}

kern_return_t
IORegistryEntryGetLocationInPlane(io_registry_entry_t object, const char *plane, io_name_t location)
{
	CFDictionaryRef entry = NULL;
	kern_return_t ret = location ? copy_entry(object, &entry) : kIOReturnBadArgument;

	if (ret != kIOReturnSuccess)
		return ret;
	if (!entry_text(entry, "location", location, sizeof(io_name_t)) || !*location)
		ret = kIOReturnNotFound;
	CFRelease(entry);
	return ret;
}

/* ---- busy state ---- */

static kern_return_t
busy_state(uint64_t entry_id, uint32_t *busy)
{
	ADXRegistry *registry = iokit_registry();
	uint32_t value = 0;
	kern_return_t ret = registry ? ADXRegistry_GetBusyState(registry, entry_id, &value) : kIOReturnNoDevice;

	*busy = ret == kIOReturnSuccess ? value : 0;
	return ret;
}

static kern_return_t
wait_quiet(uint64_t entry_id, const mach_timespec_t *wait)
{
	ADXRegistry *registry = iokit_registry();
	uint64_t ns = wait ? (uint64_t)wait->tv_sec * NSEC_PER_SEC + (uint64_t)(wait->tv_nsec > 0 ? wait->tv_nsec : 0) : 0;

	if (!registry)
		return kIOReturnNoDevice;
	return ADXRegistry_WaitQuiet(registry, entry_id, wait && ns == 0 ? 1 : ns);
}

kern_return_t
IOServiceGetBusyState(io_service_t service, uint32_t *busyState)
{
	uint64_t id;

	if (!busyState)
		return kIOReturnBadArgument;
	*busyState = 0;
	kern_return_t ret = iokit_entry_id(service, &id);
	return ret == kIOReturnSuccess ? busy_state(id, busyState) : ret;
}

kern_return_t
IOServiceWaitQuiet(io_service_t service, mach_timespec_t *waitTime)
{
	uint64_t id;
	kern_return_t ret = iokit_entry_id(service, &id);

	return ret == kIOReturnSuccess ? wait_quiet(id, waitTime) : ret;
}

kern_return_t
IOKitGetBusyState(mach_port_t mainPort, uint32_t *busyState)
{
	if (!busyState)
		return kIOReturnBadArgument;
	*busyState = 0;
	kern_return_t ret = iokit_check_main_port(mainPort);
	return ret == kIOReturnSuccess ? busy_state(0, busyState) : ret;
}

kern_return_t
IOKitWaitQuiet(mach_port_t mainPort, mach_timespec_t *waitTime)
{
	kern_return_t ret = iokit_check_main_port(mainPort);

	return ret == kIOReturnSuccess ? wait_quiet(0, waitTime) : ret;
}

kern_return_t
IOServiceRequestProbe(io_service_t service, uint32_t options)
{
	uint64_t id;
	kern_return_t ret = iokit_entry_id(service, &id);

	return ret == kIOReturnSuccess ? kIOReturnUnsupported : ret;
}

kern_return_t
IOServiceAuthorize(io_service_t service, uint32_t options)
{
	uint64_t id;

	/* There is no agent to ask; access is decided by IOServiceOpen(). */
	return iokit_entry_id(service, &id) == kIOReturnSuccess ? kIOReturnSuccess : kIOReturnBadArgument;
}
