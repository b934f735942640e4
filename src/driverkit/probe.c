/* SPDX-License-Identifier: MIT */
/* For unit tests: the probe classes, and a dextd inside the process. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSString.h>

#include "base/rules.h"
#include "driverkit/probe.h"

void (*probe_fired)(OSObject *self, OSAction *action, uint64_t time);
void (*probe_available)(Probe *self, OSAction *action);
void (*probe_serviced)(Probe *self, OSAction *action);
kern_return_t (*probe_external)(ProbeClient *self, uint64_t selector,
				IOUserClientMethodArguments *arguments);
kern_return_t probe_start_result;
bool probe_stop_is_late;
unsigned probe_starts, probe_stops;
struct fake_dextd fake;

void
Probe_Fired_Impl(Probe *self, OSAction *action, uint64_t time)
{
	if (probe_fired)
		probe_fired((OSObject *)self, action, time);
}

void
Probe_Available_Impl(Probe *self, OSAction *action)
{
	if (probe_available)
		probe_available(self, action);
}

void
Probe_Serviced_Impl(Probe *self, OSAction *action)
{
	if (probe_serviced)
		probe_serviced(self, action);
}

void
ProbeService_Fired_Impl(ProbeService *self, OSAction *action, uint64_t time)
{
	if (probe_fired)
		probe_fired((OSObject *)self, action, time);
}

kern_return_t
ProbeService_Start_Impl(ProbeService *self, IOService *provider)
{
	kern_return_t ret = ProbeService_Start_super(self, provider);

	probe_starts++;
	return ret == kIOReturnSuccess ? probe_start_result : ret;
}

kern_return_t
ProbeService_Stop_Impl(ProbeService *self, IOService *provider)
{
	probe_stops++;
	return probe_stop_is_late ? kIOReturnSuccess : ProbeService_Stop_super(self, provider);
}

static uint64_t
where(ProbeService *self, const char *name)
{
	IODispatchQueue *queue = NULL;
	uint64_t on = 0;

	if (OSObject_CopyDispatchQueue((OSObject *)self, name, &queue) == kIOReturnSuccess)
		on = IODispatchQueue_OnQueue(queue);
	OSSafeReleaseNULL(queue);
	return on;
}

/* order: 1 on Default, 2 on Aux. */
kern_return_t
ProbeService_OnDefault_Impl(ProbeService *self, uint64_t *order)
{
	*order = where(self, "Default") | where(self, "Aux") << 1;
	return kIOReturnSuccess;
}

kern_return_t
ProbeService_OnAux_Impl(ProbeService *self, uint64_t *order)
{
	return ProbeService_OnDefault_Impl(self, order);
}

kern_return_t
ProbeClient_ExternalMethod_Impl(ProbeClient *self, uint64_t selector,
				IOUserClientMethodArguments *arguments,
				const IOUserClientMethodDispatch *dispatch, OSObject *target,
				void *reference)
{
	return probe_external ? probe_external(self, selector, arguments) : kIOReturnUnsupported;
}

Probe *
probe_new(void)
{
	Probe *probe = OSTypeAlloc(Probe);

	return probe && Probe_init(probe) ? probe : NULL;
}

const char *
told_rule(void)
{
	static char id[16];

	id[0] = '\0';
	(void)sscanf(adxi_told_last(), "[%15[^]]", id);
	return id;
}

/* ---------------------------------------------------------------------------------------------
 * dextd
 */

static kern_return_t
fake_stopped(ADXServer *self, uint64_t id)
{
	fake.stopped[fake.n_stopped++] = id;
	return kIOReturnSuccess;
}

static kern_return_t
fake_register(ADXServer *self, uint64_t id)
{
	fake.registered[fake.n_registered++] = id;
	return kIOReturnSuccess;
}

static kern_return_t
fake_terminate(ADXServer *self, uint64_t id, uint64_t options)
{
	fake.terminated[fake.n_terminated++] = id;
	return kIOReturnSuccess;
}

static kern_return_t
fake_publish(ADXServer *self, uint64_t provider, OSArray *classes, OSString *user_class,
	     OSString *name, OSString *location, OSDictionary *properties, uint64_t *ret_id)
{
	fake.published_below[fake.n_published++] = provider;
	*ret_id = 500 + fake.n_published;
	return kIOReturnSuccess;
}

static kern_return_t
fake_copy_property(ADXRegistry *self, uint64_t id, OSString *name, const char *plane,
		   uint32_t options, OSContainer **ret)
{
	OSObject *found =
		fake.properties ? OSDictionary_getObject(fake.properties, (OSObject *)name) : NULL;

	OSRetain((OS_OBJECT *)found);
	*ret = (OSContainer *)found;
	return found ? kIOReturnSuccess : kIOReturnNotFound;
}

#define METHOD(cls, method, function)                                                              \
	{                                                                                          \
		.id = cls##_##method##_ID, .name = #cls "::" #method,                              \
		.impl = (void (*)(void))(function), .invoke = cls##_##method##_Invoke              \
	}

static struct OSMethod server_methods[] = {
	METHOD(ADXServer, Stopped, fake_stopped),
	METHOD(ADXServer, Register, fake_register),
	METHOD(ADXServer, Terminate, fake_terminate),
	METHOD(ADXServer, Publish, fake_publish),
};
static struct OSMethod registry_methods[] = { METHOD(ADXRegistry, CopyProperty,
						     fake_copy_property) };

static struct OSObject_Ops no_ops[2]; /* all inherited */
static struct OSMetaClass server_class = {
	.abi = OS_METACLASS_ABI,
	.name = "FakeServer",
	.super = &ADXServer_Class,
	.instance_size = sizeof(struct ADXServer),
	.ops_size = sizeof(struct OSObject_Ops),
	.ops = (void **)&no_ops[0],
	.methods = server_methods,
	.n_methods = sizeof(server_methods) / sizeof(server_methods[0]),
};
static struct OSMetaClass registry_class = {
	.abi = OS_METACLASS_ABI,
	.name = "FakeRegistry",
	.super = &ADXRegistry_Class,
	.instance_size = sizeof(struct ADXRegistry),
	.ops_size = sizeof(struct OSObject_Ops),
	.ops = (void **)&no_ops[1],
	.methods = registry_methods,
	.n_methods = sizeof(registry_methods) / sizeof(registry_methods[0]),
};

static int
by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct OSMethod *)a)->id, y = ((const struct OSMethod *)b)->id;

	return x < y ? -1 : x > y;
}

void
fake_dextd_begin(void)
{
	qsort(server_methods, server_class.n_methods, sizeof(server_methods[0]), by_id);
	OSMetaClassRegister(&server_class);
	OSMetaClassRegister(&registry_class);
	memset(&fake, 0, sizeof(fake));
	probe_starts = probe_stops = 0;
	probe_start_result = kIOReturnSuccess;
	probe_stop_is_late = false;
	probe_external = NULL;
	probe_fired = NULL;

	OS_OBJECT *registry = OSMetaClassAllocate(&registry_class),
		  *server = OSMetaClassAllocate(&server_class);
	(void)OSObject_init((OSObject *)registry);
	(void)OSObject_init((OSObject *)server);
	adxi_process_set_dextd((ADXRegistry *)registry, (ADXServer *)server);
	OSRelease(registry);
	OSRelease(server);
}

void
fake_dextd_end(void)
{
	adxi_process_set_dextd(NULL, NULL);
}
