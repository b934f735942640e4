/* SPDX-License-Identifier: MIT */
/* ADXServer: what a hosted process may tell about its own entries. One object a process; nothing
 * that it says is taken for more than the entries that it hosts. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXServer.h>

#include "base/clock.h"
#include "base/rules.h"
#include "dextd/realm.h"

#define ENTRY_PROPERTIES_MAX 4096u
#define PROPERTY_VALUES_MAX 65536u
#define OPENERS_MAX         64u

struct ADXServer_IVars {
	struct server *server; /* borrowed; NULL: gone */
};

OSMetaClassBase *
protocol_server_new(struct server *server)
{
	ADXServer *object = (ADXServer *)OSMetaClassAllocate(&ADXServer_Class);
	struct ADXServer_IVars *ivars = calloc(1, sizeof *ivars);

	if (!object || !ivars || !OSObject_init((OSObject *)object)) {
		free(ivars);
		value_unref(object);
		return NULL;
	}
	ivars->server = server;
	object->ivars = ivars;
	return (OSMetaClassBase *)object;
}

void
protocol_server_end(OSMetaClassBase *object)
{
	ADXServer *server = (ADXServer *)object;

	free(server->ivars);
	server->ivars = NULL;
}

/* The service of that entry if this process hosts it. */
static IOReturn
own(ADXServer *self, uint64_t entry_id, const char *what, struct service **ret_service)
{
	struct server *server = self->ivars ? self->ivars->server : NULL;
	struct service *service;

	if (!server)
		return kIOReturnOffline;
	service = service_find(server->realm, entry_id);
	if (service && service->server == server) {
		*ret_service = service;
		return kIOReturnSuccess;
	}
	/* It may not know yet that the entry is gone: that is no fault. */
	if (!service && registry_was_used(server->realm->registry, entry_id))
		return kIOReturnOffline;
	server->refusals++;
	adxi_tell(ADXI_RULE_SRV004, "process %d of %s calls %s for entry 0x%" PRIx64,
		  (int)server->pid, server->name, what, entry_id);
	return kIOReturnNotPermitted;
}

static IOReturn
find_parent(ADXServer *self, uint64_t provider_id, struct entry **ret_parent)
{
	struct server *server = self->ivars->server;
	struct service *service = NULL;
	IOReturn status;

	if (provider_id == 0 && server->is_host) {
		*ret_parent = registry_root(server->realm->registry);
		return kIOReturnSuccess;
	}
	status = own(self, provider_id, "Publish", &service);
	if (status != kIOReturnSuccess)
		return status;
	if (service->entry->state & ENTRY_INACTIVE)
		return kIOReturnOffline;
	*ret_parent = service->entry;
	return kIOReturnSuccess;
}

static IOReturn
too_much(struct server *server, const char *what)
{
	adxi_tell(ADXI_RULE_SRV005, "process %d of %s: %s", (int)server->pid, server->name, what);
	return kIOReturnNoResources;
}

/* Classes of entries that only dextd makes, or a family's host: a driver that published one would be given the drivers that
 * match it. */
static bool
is_foreign_class(void *context, const OSObject *value)
{
	static const char *const of_dextd[] = { "IOResources", "IOUserResources", NULL };
	static const char *const of_hosts[] = { "IOUSBHostDevice", "IOUSBHostInterface", NULL };
	const struct server *server = context;
	const char *name = value_cstr(value);
	const char *const *at;

	for (at = of_dextd; name && *at; at++)
		if (!strcmp(name, *at))
			return true;
	for (at = of_hosts; name && !server->is_host && *at; at++)
		if (!strcmp(name, *at))
			return true;
	return false;
}

static const char *
server_who(const struct server *server)
{
	static char text[96];

	(void)snprintf(text, sizeof text, "process %d of %.64s", (int)server->pid, server->name);
	return text;
}

/* Room for one more service with those properties. */
static IOReturn
charge(struct server *server, uint64_t bytes)
{
	if (quota_take(server->account, QUOTA_SERVICES, 1, server_who(server)) < 0)
		return kIOReturnNoResources;
	if (quota_take(server->account, QUOTA_PROPERTIES, bytes, server_who(server)) == 0)
		return kIOReturnSuccess;
	quota_give(server->account, QUOTA_SERVICES, 1);
	return kIOReturnNoResources;
}

/* What its driver set weighs otherwise now. */
static bool
recharge(struct service *service, uint64_t before, uint64_t bytes)
{
	struct quota_account *account = service->server->account;

	if (bytes > before &&
	    quota_take(account, QUOTA_PROPERTIES, bytes - before, server_who(service->server)) < 0)
		return false;
	if (bytes < before)
		quota_give(account, QUOTA_PROPERTIES, before - bytes);
	service->property_bytes += bytes - before;
	return true;
}

kern_return_t
ADXServer_Publish_Impl(ADXServer *self, uint64_t providerID, OSArray *classes, OSString *userClass,
		       OSString *name, OSString *location, OSDictionary *properties,
		       uint64_t *entryID)
{
	value_auto OSArray *names = NULL;
	struct service *service = NULL;
	struct entry *parent = NULL;
	struct server *server;
	const char *class_name;
	IOReturn status;
	uint64_t bytes;
	int r;

	if (!self->ivars)
		return kIOReturnOffline;
	server = self->ivars->server;
	status = find_parent(self, providerID, &parent);
	if (status != kIOReturnSuccess)
		return status;
	if (properties && !value_is_storable(properties, PROPERTY_VALUES_MAX))
		return too_much(server,
				"an entry's properties are too many or of no property type");
	if (value_each_member(classes, is_foreign_class, server)) {
		server->refusals++;
		adxi_tell(ADXI_RULE_HOS001, "%s publishes an entry of such a class", server_who(server));
		return kIOReturnNotPermitted;
	}
	bytes = quota_weigh(properties) + quota_weigh(classes);
	status = charge(server, bytes);
	if (status != kIOReturnSuccess)
		return status;
	/* Of what Create() makes, the classes of the system's side follow from IOClass where it is
	 * known here. */
	class_name = userClass ? value_get_cstr(properties, "IOClass") : NULL;
	names = class_name && class_name_is_known(class_name) ? class_names_new(class_name)
							      : value_ref(classes);
	r = service_publish(server, parent, names, value_cstr(userClass), value_cstr(name),
			    value_cstr(location), properties, &service);
	if (r < 0) {
		quota_give(server->account, QUOTA_SERVICES, 1);
		quota_give(server->account, QUOTA_PROPERTIES, bytes);
		return r == -ENOMEM ? kIOReturnNoMemory : kIOReturnBadArgument;
	}
	service->charged = true;
	service->property_bytes = bytes;
	*entryID = service->entry->id;
	return kIOReturnSuccess;
}

kern_return_t
ADXServer_Register_Impl(ADXServer *self, uint64_t entryID)
{
	struct service *service;
	IOReturn status = own(self, entryID, "RegisterService", &service);

	if (status != kIOReturnSuccess)
		return status;
	if (service->entry->state & ENTRY_INACTIVE)
		return kIOReturnOffline;
	service_register(service);
	return kIOReturnSuccess;
}

kern_return_t
ADXServer_SetName_Impl(ADXServer *self, uint64_t entryID, OSString *name)
{
	struct service *service;
	IOReturn status = own(self, entryID, "SetName", &service);

	if (status == kIOReturnSuccess && entry_set_name(service->entry, value_cstr(name)) < 0)
		status = kIOReturnBadArgument;
	return status;
}

kern_return_t
ADXServer_SetProperties_Impl(ADXServer *self, uint64_t entryID, OSDictionary *properties)
{
	value_auto OSDictionary *merged = NULL;
	struct service *service;
	IOReturn status = own(self, entryID, "SetProperties", &service);
	uint64_t before;

	if (status != kIOReturnSuccess)
		return status;
	if (!properties || !value_is_storable(properties, PROPERTY_VALUES_MAX))
		return kIOReturnBadArgument;
	if (value_count(service->entry->set) + value_count(properties) > ENTRY_PROPERTIES_MAX)
		return too_much(service->server, "an entry has 4096 properties");
	/* Weighed before it is changed: a refusal changes nothing. */
	before = quota_weigh(service->entry->set);
	merged = value_merged(service->entry->set, properties);
	if (!merged)
		return kIOReturnNoMemory;
	if (!recharge(service, before, quota_weigh(merged)))
		return kIOReturnNoResources;
	return entry_merge_set(service->entry, properties) < 0 ? kIOReturnNoMemory
							       : kIOReturnSuccess;
}

kern_return_t
ADXServer_RemoveProperty_Impl(ADXServer *self, uint64_t entryID, OSString *name)
{
	struct service *service;
	IOReturn status = own(self, entryID, "RemoveProperty", &service);
	uint64_t before;

	if (status != kIOReturnSuccess)
		return status;
	if (!value_cstr(name))
		return kIOReturnUnsupported;
	before = quota_weigh(service->entry->set);
	if (entry_remove_set(service->entry, value_cstr(name)) < 0)
		return kIOReturnNotFound;
	(void)recharge(service, before, quota_weigh(service->entry->set)); /* it is no more than before */
	return kIOReturnSuccess;
}

kern_return_t
ADXServer_AdjustBusy_Impl(ADXServer *self, uint64_t entryID, int32_t delta)
{
	struct service *service;
	IOReturn status = own(self, entryID, "AdjustBusy", &service);

	if (status != kIOReturnSuccess)
		return status;
	return entry_adjust_busy(service->entry, delta) < 0 ? kIOReturnBadArgument
							    : kIOReturnSuccess;
}

kern_return_t
ADXServer_Terminate_Impl(ADXServer *self, uint64_t entryID, uint64_t options)
{
	struct service *service;
	IOReturn status = own(self, entryID, "Terminate", &service);

	if (status != kIOReturnSuccess)
		return status;
	if (options)
		return kIOReturnUnsupported;
	service_terminate(service);
	return kIOReturnSuccess;
}

kern_return_t
ADXServer_Stopped_Impl(ADXServer *self, uint64_t entryID)
{
	struct service *service;
	IOReturn status = own(self, entryID, "Stopped", &service);

	if (status == kIOReturnSuccess)
		service_stopped(service);
	return status;
}

static OSArray *
without(const OSArray *array, uint64_t id)
{
	OSArray *rest = value_array_new();
	uint32_t i, n = value_count(array);
	uint64_t number;

	for (i = 0; rest && i < n; i++)
		if (value_u64(value_at(array, i), &number) && number != id)
			value_append(rest, value_at(array, i));
	return rest;
}

kern_return_t
ADXServer_SetOpen_Impl(ADXServer *self, uint64_t entryID, uint64_t clientID, bool open)
{
	struct service *service;
	IOReturn status = own(self, entryID, "SetOpen", &service);
	OSArray *openers;

	if (status != kIOReturnSuccess)
		return status;
	openers = without(service->openers, clientID);
	if (!openers)
		return kIOReturnNoMemory;
	if (open && (value_count(openers) >= OPENERS_MAX || !value_append_u64(openers, clientID))) {
		value_unref(openers);
		return kIOReturnNoResources;
	}
	value_unref(service->openers);
	service->openers = openers;
	return kIOReturnSuccess;
}

void
ADXServer_MessageClients_Impl(ADXServer *self, uint64_t entryID, uint32_t messageType,
			      uint64_t argument)
{
	struct service *service;
	struct server *server;

	if (own(self, entryID, "MessageClients", &service) != kIOReturnSuccess)
		return;
	server = service->server;
	if (!quota_pace(server->account, QUOTA_MESSAGES, 1, adxi_now_ns()))
		adxi_tell(ADXI_RULE_QUO008, "%s sends messages to its clients faster than that",
			  server_who(server));
	else
		notify_message(service->realm, service->entry, messageType, argument);
}
