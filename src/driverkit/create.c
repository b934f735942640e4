/* SPDX-License-Identifier: MIT */
/* IOService::Create: an object of this binary from a dictionary of the personality. */

#include <string.h>

#include <DriverKit/IOUserClient.h>
#include <DriverKit/OSArray.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSString.h>

#include "base/rules.h"
#include "driverkit/process.h"
#include "driverkit/service.h"

#define LOG_TOPIC "driverkit.create"
#include "base/log.h"

static _Thread_local struct adxi_created created;
static _Thread_local bool by_application;

struct adxi_created *
adxi_created(void)
{
	return &created;
}

bool *
adxi_by_application(void)
{
	return &by_application;
}

static bool
append_name(OSArray *names, const char *name)
{
	OSString *string = OSString_withCString(name);
	bool ok = string && OSArray_setObject(names, (OS_OBJECT *)string);

	OSRelease((OS_OBJECT *)string);
	return ok;
}

OSArray *
adxi_class_names(const struct OSMetaClass *meta)
{
	OSArray *names = OSArray_withCapacity(4);
	bool ok = names != NULL;

	while (ok && meta) {
		ok = append_name(names, meta->name);
		if (meta == &IOService_Class)
			break;
		meta = meta->super;
	}
	if (!ok)
		OSSafeReleaseNULL(names);
	return names;
}

/* What the dictionary asks for. */
struct recipe {
	OSDictionary *properties;       /* owned reference */
	const char *kernel_class;       /* borrowed from properties: IOClass */
	const char *user_class;         /* borrowed from properties: IOUserClass */
	const struct OSMetaClass *meta; /* of user_class */
};

static const char *
string_of(OSDictionary *dictionary, const char *key)
{
	OSString *string =
		OSDynamicCast(OSString, OSDictionary_getObjectForCString(dictionary, key));

	return string ? OSString_getCStringNoCopy(string) : NULL;
}

#define REFUSE(ret, ...)                                                                           \
	do {                                                                                       \
		adxi_tell(ADXI_RULE_T60, __VA_ARGS__);                                             \
		return (ret);                                                                      \
	} while (0)

static kern_return_t
read_recipe(IOService *self, const char *key, struct recipe *recipe)
{
	const char *name = ((OS_OBJECT *)self)->meta->name;
	OSContainer *property = NULL;
	kern_return_t ret = IOService_SearchProperty(self, key, "IOService", 0, &property);

	if (ret == kIOReturnNotFound)
		REFUSE(kIOReturnBadArgument, "%s::Create(\"%s\"): the service has no such property",
		       name, key);
	if (ret != kIOReturnSuccess)
		return ret;
	recipe->properties = OSDynamicCast(OSDictionary, property);
	if (!recipe->properties) {
		const char *found = ((OS_OBJECT *)property)->meta->name;

		OSRelease((OS_OBJECT *)property);
		REFUSE(kIOReturnBadArgument,
		       "%s::Create(\"%s\"): the property is an %s, not a dictionary", name, key,
		       found);
	}
	recipe->kernel_class = string_of(recipe->properties, "IOClass");
	recipe->user_class = string_of(recipe->properties, "IOUserClass");
	if (!recipe->kernel_class)
		REFUSE(kIOReturnBadArgument, "%s::Create(\"%s\"): the dictionary has no IOClass",
		       name, key);
	if (!recipe->user_class)
		REFUSE(kIOReturnUnsupported,
		       "%s::Create(\"%s\"): the dictionary has no IOUserClass", name, key);
	recipe->meta = OSMetaClassWithName(recipe->user_class);
	if (!recipe->meta || !OSMetaClassIsKindOf(recipe->meta, &IOService_Class))
		REFUSE(kIOReturnUnsupported, "%s::Create(\"%s\"): IOUserClass %s is %s", name, key,
		       recipe->user_class,
		       recipe->meta ? "no IOService" : "no class of this binary");
	return kIOReturnSuccess;
}

/* IOClass and what such a class derives from on the other side. */
static OSArray *
kernel_classes(const struct recipe *recipe)
{
	bool is_client = OSMetaClassIsKindOf(recipe->meta, &IOUserClient_Class);
	OSArray *classes = OSArray_withCapacity(3);
	bool ok = classes && append_name(classes, recipe->kernel_class);

	if (ok && is_client && strcmp(recipe->kernel_class, "IOUserClient") != 0)
		ok = append_name(classes, "IOUserClient");
	if (ok && strcmp(recipe->kernel_class, "IOService") != 0)
		ok = append_name(classes, "IOService");
	if (!ok)
		OSSafeReleaseNULL(classes);
	return classes;
}

static kern_return_t
publish(ADXServer *server, uint64_t provider_id, const struct recipe *recipe, uint64_t *ret_id)
{
	OSArray *classes = kernel_classes(recipe), *user_classes = adxi_class_names(recipe->meta);
	OSString *user_class = OSString_withCString(recipe->user_class);
	kern_return_t ret = kIOReturnNoMemory;

	if (classes && user_classes && user_class &&
	    OSDictionary_setObjectForCString(recipe->properties, "IOUserClasses",
					     (OS_OBJECT *)user_classes))
		ret = ADXServer_Publish(server, provider_id, classes, user_class, user_class, NULL,
					recipe->properties, ret_id);
	OSRelease((OS_OBJECT *)classes);
	OSRelease((OS_OBJECT *)user_classes);
	OSRelease((OS_OBJECT *)user_class);
	return ret;
}

static kern_return_t
start(IOService *service, IOService *provider)
{
	adxi_service_set_state(service, SERVICE_STARTING);
	kern_return_t ret = IOService_Start(service, provider);
	adxi_service_set_state(service,
			       ret == kIOReturnSuccess ? SERVICE_STARTED : SERVICE_STOPPED);
	return ret;
}

static kern_return_t
make(IOService *self, const struct recipe *recipe, uint64_t entry_id, IOService **ret_service)
{
	struct adxi_service_identity identity = { .entry_id = entry_id, .provider = self };
	IOService *service = NULL;
	kern_return_t ret = adxi_service_new(recipe->meta, &identity, &service);

	if (ret != kIOReturnSuccess)
		return ret;
	if (adxi_process_add(entry_id, service) < 0)
		ret = kIOReturnNoMemory;
	created.entry_id = entry_id;
	created.is_client = OSMetaClassIsKindOf(recipe->meta, &IOUserClient_Class);
	if (ret == kIOReturnSuccess && !created.is_client)
		ret = start(service, self); /* a user client's when NewUserClient has returned */
	if (ret != kIOReturnSuccess) {
		OSRelease((OS_OBJECT *)service);
		return ret;
	}
	*ret_service = service;
	return kIOReturnSuccess;
}

kern_return_t
IOService_Create(IOService *self, IOService *provider, const char *propertiesKey,
		 IOService **result)
{
	ADXServer *server = adxi_process_server();
	uint64_t provider_id, entry_id = 0;
	struct recipe recipe = { 0 };
	kern_return_t ret;

	if (!propertiesKey || !result)
		return kIOReturnBadArgument;
	if (provider != self)
		REFUSE(kIOReturnUnsupported,
		       "%s::Create(\"%s\"): its provider argument is not the service itself",
		       ((OS_OBJECT *)self)->meta->name, propertiesKey);
	if (OSIsRemote((OS_OBJECT *)self))
		return kIOReturnNotPermitted;
	provider_id = adxi_service_entry_id(self);
	if (!server || !provider_id)
		return server ? kIOReturnNotAttached : kIOReturnOffline;
	ret = read_recipe(self, propertiesKey, &recipe);
	if (ret == kIOReturnSuccess)
		ret = publish(server, provider_id, &recipe, &entry_id);
	if (ret == kIOReturnSuccess) {
		ret = make(self, &recipe, entry_id, result);
		if (ret != kIOReturnSuccess) /* its entry goes the way of all entries */
			(void)ADXServer_Terminate(server, entry_id, 0);
	}
	log_debug("%s::Create(\"%s\"): entry 0x%llx, 0x%08x", ((OS_OBJECT *)self)->meta->name,
		  propertiesKey, (unsigned long long)entry_id, (unsigned)ret);
	OSRelease((OS_OBJECT *)recipe.properties);
	return ret;
}
