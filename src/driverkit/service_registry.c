/* SPDX-License-Identifier: MIT */
/* class IOService: what it asks dextd by registry entry id, on native objects and proxies alike. */

#include <stdlib.h>
#include <string.h>

#include <DriverKit/OSArray.h>
#include <DriverKit/OSBoolean.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSString.h>

#include "base/ioreturn.h"
#include "base/rules.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/process.h"
#include "driverkit/runtime.h"
#include "driverkit/service.h"

#define PLANE_SERVICE "IOService"

/* Both, or a code that says which is missing. */
static kern_return_t
registry_of(IOService *self, ADXRegistry **ret_registry, uint64_t *ret_id)
{
	*ret_registry = adxi_process_registry();
	if (!*ret_registry)
		return kIOReturnOffline;
	*ret_id = adxi_service_entry_id(self);
	return *ret_id ? kIOReturnSuccess : kIOReturnNotAttached;
}

static kern_return_t
server_of(IOService *self, ADXServer **ret_server, uint64_t *ret_id)
{
	*ret_server = adxi_process_server();
	if (!*ret_server)
		return kIOReturnOffline;
	*ret_id = adxi_service_entry_id(self);
	return *ret_id ? kIOReturnSuccess : kIOReturnNotAttached;
}

kern_return_t
IOService_RegisterService(IOService *self)
{
	ADXServer *server;
	uint64_t id;
	kern_return_t ret = server_of(self, &server, &id);

	return ret == kIOReturnSuccess ? ADXServer_Register(server, id) : ret;
}

kern_return_t
IOService_SetName(IOService *self, const char *name)
{
	ADXServer *server;
	uint64_t id;
	kern_return_t ret = server_of(self, &server, &id);
	size_t length = name ? strlen(name) : 0;

	if (!name)
		return kIOReturnBadArgument;
	if (ret != kIOReturnSuccess)
		return ret;
	if (length >= sizeof(IOServiceName)) {
		adxi_tell(ADXI_RULE_T42, "SetName: the name of %zu bytes is cut to %zu", length,
			  sizeof(IOServiceName) - 1);
		length = sizeof(IOServiceName) - 1;
	}
	OSString *string = OSString_withCStringLength(name, length);
	ret = string ? ADXServer_SetName(server, id, string) : kIOReturnNoMemory;
	OSRelease((OS_OBJECT *)string);
	return ret;
}

/* One value of CopyEntry's dictionary, +1. */
static OSObject *
copy_entry_value(IOService *self, const char *key, kern_return_t *ret)
{
	ADXRegistry *registry;
	OSDictionary *entry = NULL;
	OSObject *value = NULL;
	uint64_t id;

	*ret = registry_of(self, &registry, &id);
	if (*ret == kIOReturnSuccess)
		*ret = ADXRegistry_CopyEntry(registry, id, &entry);
	if (*ret == kIOReturnSuccess && entry) {
		value = OSDictionary_getObjectForCString(entry, key);
		OSRetain((OS_OBJECT *)value);
	}
	OSRelease((OS_OBJECT *)entry);
	return value;
}

kern_return_t
IOService_CopyName(IOService *self, OSString **name)
{
	kern_return_t ret;
	OSObject *value;

	if (!name)
		return kIOReturnBadArgument;
	value = copy_entry_value(self, "name", &ret);
	*name = OSDynamicCast(OSString, value);
	if (!*name)
		OSRelease((OS_OBJECT *)value);
	return ret == kIOReturnSuccess && !*name ? kIOReturnNotFound : ret;
}

kern_return_t
IOService_CopyProperties(IOService *self, OSDictionary **properties)
{
	ADXRegistry *registry;
	uint64_t id;
	kern_return_t ret = registry_of(self, &registry, &id);

	if (!properties)
		return kIOReturnBadArgument;
	return ret == kIOReturnSuccess ? ADXRegistry_CopyProperties(registry, id, properties) : ret;
}

kern_return_t
IOService_SearchProperty(IOService *self, const char *name, const char *plane, uint64_t options,
			 OSContainer **property)
{
	ADXRegistry *registry;
	uint64_t id;
	kern_return_t ret = registry_of(self, &registry, &id);

	if (!property || !name)
		return kIOReturnBadArgument;
	*property = NULL;
	if (ret != kIOReturnSuccess)
		return ret;
	OSString *string = OSString_withCString(name);
	if (!string)
		return kIOReturnNoMemory;
	/* kIORegistryIterateRecursively and kIORegistryIterateParents */
	ret = ADXRegistry_CopyProperty(registry, id, string,
				       plane && *plane ? plane : PLANE_SERVICE,
				       options & kIOServiceSearchPropertyParents ? 3 : 0, property);
	OSRelease((OS_OBJECT *)string);
	return ret == kIOReturnSuccess && !*property ? kIOReturnNotFound : ret;
}

/* The keys of all that are wanted; IOClass stands for the class names. +1, NULL: no memory. */
static OSDictionary *
select_properties(OSDictionary *all, OSArray *keys, OSObject *classes)
{
	OSDictionary *selected = OSDictionary_withCapacity(8);
	uint32_t n = keys ? OSCollection_getCount((OSCollection *)keys) : 0;

	if (!selected)
		return NULL;
	if (!keys)
		(void)OSDictionary_merge(selected, all);
	for (uint32_t i = 0; i < n; i++) {
		OSObject *key = OSArray_getObject(keys, i),
			 *value = OSDictionary_getObject(all, key);

		if (value)
			(void)OSDictionary_setObject(selected, key, (OS_OBJECT *)value);
	}
	bool wants_class = !keys;
	for (uint32_t i = 0; i < n && !wants_class; i++) {
		OSString *key = OSDynamicCast(OSString, OSArray_getObject(keys, i));

		wants_class = key && OSString_isEqualToCString(key, "IOClass");
	}
	if (wants_class && classes)
		(void)OSDictionary_setObjectForCString(selected, "IOClass", (OS_OBJECT *)classes);
	return selected;
}

static kern_return_t
add_level(ADXRegistry *registry, uint64_t id, OSArray *keys, OSArray *levels)
{
	OSDictionary *all = NULL, *entry = NULL, *selected = NULL;
	kern_return_t ret = ADXRegistry_CopyProperties(registry, id, &all);

	if (ret == kIOReturnSuccess)
		ret = ADXRegistry_CopyEntry(registry, id, &entry);
	if (ret == kIOReturnSuccess) {
		selected = select_properties(all, keys,
					     OSDictionary_getObjectForCString(entry, "classes"));
		if (!selected || !OSArray_setObject(levels, (OS_OBJECT *)selected))
			ret = kIOReturnNoMemory;
	}
	OSRelease((OS_OBJECT *)selected);
	OSRelease((OS_OBJECT *)entry);
	OSRelease((OS_OBJECT *)all);
	return ret;
}

/* 0: at the root. */
static uint64_t
parent_of(ADXRegistry *registry, uint64_t id)
{
	OSArray *parents = NULL;
	uint64_t parent = 0;

	if (ADXRegistry_CopyRelatives(registry, id, PLANE_SERVICE, kADXRelativesParents,
				      &parents) == kIOReturnSuccess &&
	    parents) {
		OSNumber *number = OSDynamicCast(OSNumber, OSArray_getObject(parents, 0));

		parent = number ? OSNumber_unsigned64BitValue(number) : 0;
	}
	OSRelease((OS_OBJECT *)parents);
	return parent;
}

kern_return_t
IOService_CopyProviderProperties(IOService *self, OSArray *propertyKeys, OSArray **properties)
{
	ADXRegistry *registry;
	uint64_t id;
	kern_return_t ret = registry_of(self, &registry, &id);
	OSArray *levels;

	if (!properties)
		return kIOReturnBadArgument;
	if (ret != kIOReturnSuccess)
		return ret;
	levels = OSArray_withCapacity(8);
	if (!levels)
		return kIOReturnNoMemory;
	for (unsigned depth = 0; id && depth < 64 && ret == kIOReturnSuccess; depth++) {
		ret = add_level(registry, id, propertyKeys, levels);
		id = parent_of(registry, id);
	}
	if (ret != kIOReturnSuccess) {
		OSRelease((OS_OBJECT *)levels);
		return ret;
	}
	*properties = levels;
	return kIOReturnSuccess;
}

/* Called by the service's own driver, its own process. A peer has no business here, an
 * application's request comes through ADXHost and ends with the base class: macOS refuses it, too.
 */
kern_return_t
IOService_SetProperties_Impl(IOService *self, OSDictionary *properties)
{
	ADXServer *server;
	uint64_t id;
	kern_return_t ret;

	if (!properties)
		return kIOReturnBadArgument;
	if (adxi_runtime_caller() || *adxi_by_application()) {
		adxi_tell(ADXI_RULE_T74,
			  "SetProperties of %s-0x%llx by another process, and its driver has no "
			  "override",
			  ((OS_OBJECT *)self)->meta->name,
			  (unsigned long long)adxi_service_entry_id(self));
		return kIOReturnUnsupported;
	}
	ret = server_of(self, &server, &id);
	return ret == kIOReturnSuccess ? ADXServer_SetProperties(server, id, properties) : ret;
}

kern_return_t
IOService_RemoveProperty(IOService *self, OSString *propertyName)
{
	ADXServer *server;
	uint64_t id;
	kern_return_t ret = server_of(self, &server, &id);

	if (!propertyName || OSIsRemote((OS_OBJECT *)self))
		return kIOReturnUnsupported;
	return ret == kIOReturnSuccess ? ADXServer_RemoveProperty(server, id, propertyName) : ret;
}

kern_return_t
IOService_Terminate(IOService *self, uint64_t options)
{
	ADXServer *server;
	uint64_t id;
	kern_return_t ret = server_of(self, &server, &id);

	if (options)
		return kIOReturnUnsupported;
	if (OSIsRemote((OS_OBJECT *)self))
		return kIOReturnNotPermitted;
	return ret == kIOReturnSuccess ? ADXServer_Terminate(server, id, options) : ret;
}

kern_return_t
IOService_AdjustBusy(IOService *self, int32_t delta)
{
	ADXServer *server;
	uint64_t id;
	kern_return_t ret = server_of(self, &server, &id);

	return ret == kIOReturnSuccess ? ADXServer_AdjustBusy(server, id, delta) : ret;
}

kern_return_t
IOService_GetBusyState(IOService *self, uint32_t *busyState)
{
	ADXRegistry *registry;
	uint64_t id;
	kern_return_t ret = registry_of(self, &registry, &id);

	if (!busyState)
		return kIOReturnBadArgument;
	return ret == kIOReturnSuccess ? ADXRegistry_GetBusyState(registry, id, busyState) : ret;
}

/* ---------------------------------------------------------------------------------------------
 * Power: this machine sleeps without asking drivers; a driver's own requests come back to it
 */

struct power_change {
	IOService *service; /* owned reference */
	uint32_t flags;
};

static void
power_change_end(void *context)
{
	struct power_change *change = context;

	OSRelease((OS_OBJECT *)change->service);
	free(change);
}

static void
power_change_run(void *context)
{
	struct power_change *change = context;

	if (adxi_service_accepts(change->service))
		(void)IOService_SetPowerState(change->service, change->flags);
	power_change_end(change);
}

kern_return_t
IOService_ChangePowerState(IOService *self, uint32_t powerFlags)
{
	struct power_change *change;
	struct adxi_queue *queue;

	if (powerFlags != kIOServicePowerCapabilityOff &&
	    powerFlags != kIOServicePowerCapabilityOn && powerFlags != kIOServicePowerCapabilityLow)
		return kIOReturnBadArgument;
	if (OSIsRemote((OS_OBJECT *)self))
		return kIOReturnNotPermitted;
	queue = adxi_service_queue(self, NULL);
	change = queue ? calloc(1, sizeof(*change)) : NULL;
	if (!change) {
		adxi_queue_unref(queue);
		return queue ? kIOReturnNoMemory : kIOReturnNotReady;
	}
	*change = (struct power_change){ self, powerFlags };
	OSRetain((OS_OBJECT *)self);
	int r = adxi_queue_async_f(queue, power_change_run, power_change_end, change);
	adxi_queue_unref(queue);
	if (r < 0)
		power_change_end(change);
	return r < 0 ? kIOReturnNoMemory : kIOReturnSuccess;
}

kern_return_t
IOService_SetPowerOverride(IOService *self, bool enable)
{
	return adxi_service_entry_id(self) ? kIOReturnSuccess : kIOReturnError;
}

kern_return_t
IOService_JoinPMTree(IOService *self)
{
	return adxi_service_entry_id(self) ? kIOReturnSuccess : kIOReturnNotReady;
}

kern_return_t
IOService_RequireMaxBusStall(IOService *self, uint64_t maxBusStall)
{
	return maxBusStall > UINT32_MAX ? kIOReturnBadArgument : kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Statistics and state items: nobody collects them here
 */

kern_return_t
IOService_SetLegend(IOService *self, OSArray *legend, bool isPublic)
{
	return legend ? kIOReturnSuccess : kIOReturnError;
}

kern_return_t
IOService_CoreAnalyticsSendEvent(IOService *self, uint64_t options, OSString *eventName,
				 OSDictionary *eventPayload)
{
	return kIOReturnNotReady;
}

kern_return_t
IOService_CopySystemStateNotificationService(IOService *self, IOService **service)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOService_StateNotificationItemCreate(IOService *self, OSString *itemName, OSDictionary *schema)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOService_StateNotificationItemSet(IOService *self, OSString *itemName, OSDictionary *value)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOService_StateNotificationItemCopy(IOService *self, OSString *itemName, OSDictionary **value)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOService_StringFromReturn(IOService *self, IOReturn retval, OSString **str)
{
	if (!str)
		return kIOReturnBadArgument;
	*str = OSString_withCString(adxi_ioreturn_name(retval));
	return *str ? kIOReturnSuccess : kIOReturnError;
}

/* ---------------------------------------------------------------------------------------------
 * Matching dictionaries
 */

/* matching (given or new, +1) with key: value; value is borrowed, its absence is no memory. */
static OSDictionary *
add_condition(OSDictionary *matching, const char *key, OSObject *value)
{
	if (!value)
		return NULL;
	if (matching)
		OSRetain((OS_OBJECT *)matching);
	else
		matching = OSDictionary_withCapacity(4);
	if (matching && !OSDictionary_setObjectForCString(matching, key, (OS_OBJECT *)value)) {
		OSRelease((OS_OBJECT *)matching);
		return NULL;
	}
	return matching;
}

static OSDictionary *
add_string(OSDictionary *matching, const char *key, const char *value)
{
	OSString *string = value ? OSString_withCString(value) : NULL;
	OSDictionary *ret = add_condition(matching, key, (OSObject *)string);

	OSRelease((OS_OBJECT *)string);
	return ret;
}

OSDictionary *
IOService_CreatePropertyMatchingDictionary(const char *key, OSObjectPtr value,
					   OSDictionary *matching)
{
	OSDictionary *properties, *ret = NULL;

	if (!key || !value)
		return NULL;
	properties = add_condition(NULL, key, value);
	if (properties)
		ret = add_condition(matching, "IOPropertyMatch", (OSObject *)properties);
	OSRelease((OS_OBJECT *)properties);
	return ret;
}

OSDictionary *
IOService_CreatePropertyMatchingDictionaryWithCString(const char *key, const char *value,
						      OSDictionary *matching)
{
	OSString *string = value ? OSString_withCString(value) : NULL;
	OSDictionary *ret =
		IOService_CreatePropertyMatchingDictionary(key, (OSObject *)string, matching);

	OSRelease((OS_OBJECT *)string);
	return ret;
}

OSDictionary *
IOService_CreateKernelClassMatchingDictionary(OSString *className, OSDictionary *matching)
{
	return add_condition(matching, "IOProviderClass", (OSObject *)className);
}

OSDictionary *
IOService_CreateKernelClassMatchingDictionaryWithCString(const char *className,
							 OSDictionary *matching)
{
	return add_string(matching, "IOProviderClass", className);
}

OSDictionary *
IOService_CreateUserClassMatchingDictionary(OSString *className, OSDictionary *matching)
{
	return IOService_CreatePropertyMatchingDictionary("IOUserClass", (OSObject *)className,
							  matching);
}

OSDictionary *
IOService_CreateUserClassMatchingDictionaryWithCString(const char *className,
						       OSDictionary *matching)
{
	return IOService_CreatePropertyMatchingDictionaryWithCString("IOUserClass", className,
								     matching);
}

OSDictionary *
IOService_CreateNameMatchingDictionary(OSString *serviceName, OSDictionary *matching)
{
	return add_condition(matching, "IONameMatch", (OSObject *)serviceName);
}

OSDictionary *
IOService_CreateNameMatchingDictionaryWithCString(const char *serviceName, OSDictionary *matching)
{
	return add_string(matching, "IONameMatch", serviceName);
}
