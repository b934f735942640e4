/* SPDX-License-Identifier: MIT */
/* Opening and closing connections, and what a driver's user client does not offer. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <Ambidext/ADXDoor.h>
#include <Ambidext/ADXRegistry.h>

#include "base/check.h"
#include "base/rules.h"
#include "iokit/connection.h"

static void
connection_close(struct iokit_connection *connection)
{
	ADXRegistry *registry;

	if (atomic_exchange(&connection->closed, true))
		return;
	registry = iokit_registry();
	if (registry)
		(void)ADXRegistry_Close(registry, connection->client_id);
	iokit_client_memory_detach(connection->door);
	iokit_unwatch_channel(connection->channel);
	adxi_channel_close(connection->channel);
}

static void
connection_unnamed(struct iokit_object *object)
{
	connection_close((struct iokit_connection *)object);
}

/* Copes with a half-built connection. */
static void
connection_destroy(struct iokit_object *object)
{
	struct iokit_connection *connection = (struct iokit_connection *)object;

	if (connection->client)
		connection_close(connection);
	iokit_client_memory_detach(connection->door);
	OSRelease(connection->door);
	OSRelease((OSMetaClassBase *)connection->client);
	adxi_channel_unref(connection->channel);
	iokit_memory_done(connection);
	iokit_staging_done(&connection->staging);
	pthread_mutex_destroy(&connection->lock);
	pthread_rwlock_destroy(&connection->calls);
	free(connection);
}

static struct iokit_connection *
connection_new(uint64_t service_id)
{
	struct iokit_connection *connection = calloc(1, sizeof *connection);

	if (!connection)
		return NULL;
	iokit_object_init(&connection->object, IOKIT_CONNECTION, connection_destroy);
	connection->object.unnamed = connection_unnamed;
	connection->service_id = service_id;
	pthread_rwlock_init(&connection->calls, NULL);
	pthread_mutex_init(&connection->lock, NULL);
	adxi_list_init(&connection->mappings);
	adxi_list_init(&connection->shared);
	iokit_staging_init(&connection->staging);
	return connection;
}

static bool
has_mappings(struct iokit_connection *connection)
{
	pthread_mutex_lock(&connection->lock);
	bool has = !adxi_list_is_empty(&connection->mappings);
	pthread_mutex_unlock(&connection->lock);
	return has;
}

kern_return_t
iokit_connection_get(io_connect_t name, struct iokit_connection **ret_connection)
{
	struct iokit_object *object = iokit_get(name, IOKIT_NONE);

	if (!object)
		return MACH_SEND_INVALID_DEST;
	struct iokit_connection *connection = (struct iokit_connection *)object;
	if (object->kind != IOKIT_CONNECTION || atomic_load(&connection->closed)) {
		/* What is closed but still mapped is there, and takes no calls. */
		kern_return_t ret = object->kind != IOKIT_CONNECTION || has_mappings(connection) ? kIOReturnBadArgument
												 : MACH_SEND_INVALID_DEST;
		iokit_put(object);
		return ret;
	}
	*ret_connection = connection;
	return kIOReturnSuccess;
}

/* What dextd's access check and the driver's log want to know about this process. +1. */
static CFMutableDictionaryRef
copy_client_info(void)
{
	CFMutableDictionaryRef info = CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks,
								&kCFTypeDictionaryValueCallBacks);
	CFStringRef name = CFStringCreateWithCString(NULL, program_invocation_short_name, kCFStringEncodingUTF8);

	if (info && name)
		CFDictionarySetValue(info, CFSTR("procname"), name);
	if (name)
		CFRelease(name);
	return info;
}

/* The driver keeps a caller waiting: dextd looks whether it is still there. */
static void
waits_long(struct adxi_channel *channel, void *userdata)
{
	const struct iokit_connection *connection = userdata;
	ADXRegistry *registry = iokit_registry();

	if (registry)
		ADXRegistry_Check(registry, connection->client_id);
}

static const struct adxi_channel_ops channel_ops = { .waits_long = waits_long };

/* Take the driver's end: the user client's proxy. */
static kern_return_t
connect_client(struct iokit_connection *connection, ADXEndpoint *end)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	IOService *service = NULL;
	char name[64];

	if (adxi_endpoint_take((OSMetaClassBase *)end, &endpoint) < 0)
		return kIOReturnIPCError;
	(void)snprintf(name, sizeof name, "user client %#llx", (unsigned long long)connection->client_id);
	int r = adxi_channel_open(&endpoint, name, &channel_ops, connection, &connection->channel);
	if (r < 0)
		return r == -ENOMEM ? kIOReturnNoMemory : kIOReturnIPCError;
	connection->door = iokit_client_memory_new(connection);
	if (!connection->door)
		return kIOReturnNoMemory;
	adxi_channel_set_door(connection->channel, connection->door);
	ADXDoor *door = (ADXDoor *)adxi_channel_copy_door(connection->channel, gADXDoorMetaClass);
	if (!door)
		return kIOReturnNoMemory;
	kern_return_t ret = ADXDoor_CopyService(door, connection->client_id, &service);
	OSRelease((OSMetaClassBase *)door);
	/* dextd has had it granted: the driver was stopped since, and took it back. */
	if (ret == kIOReturnNotPermitted)
		ret = kIOReturnOffline;
	if (ret != kIOReturnSuccess)
		return ret;
	connection->client = (IOUserClient *)OSMetaClassCast((OSMetaClassBase *)service, gIOUserClientMetaClass);
	if (!connection->client) {
		OSRelease((OSMetaClassBase *)service);
		return kIOReturnUnsupported;
	}
	return iokit_watch_channel(connection->channel) < 0 ? kIOReturnNoMemory : kIOReturnSuccess;
}

kern_return_t
IOServiceOpen(io_service_t service, task_port_t owningTask, uint32_t type, io_connect_t *connect)
{
	ADXEndpoint *endpoint = NULL;
	uint64_t service_id;
	kern_return_t ret;

	if (!connect || owningTask != mach_task_self())
		return kIOReturnBadArgument;
	*connect = IO_OBJECT_NULL;
	ret = iokit_entry_id(service, &service_id);
	if (ret != kIOReturnSuccess)
		return ret;
	ADXRegistry *registry = iokit_registry();
	if (!registry)
		return kIOReturnNoDevice;
	struct iokit_connection *connection = connection_new(service_id);
	if (!connection)
		return kIOReturnNoMemory;
	CFMutableDictionaryRef info = copy_client_info();
	ret = info ? ADXRegistry_Open(registry, service_id, type, (OSDictionary *)info, &connection->client_id, &endpoint)
		   : kIOReturnNoMemory;
	if (info)
		CFRelease(info);
	if (ret == kIOReturnSuccess && !endpoint)
		ret = kIOReturnIPCError;
	if (ret == kIOReturnSuccess)
		ret = connect_client(connection, endpoint);
	OSRelease((OSMetaClassBase *)endpoint);
	if (ret != kIOReturnSuccess) {
		if (connection->client_id && !connection->client)
			(void)ADXRegistry_Close(registry, connection->client_id);
		iokit_put(&connection->object);
		return ret;
	}
	*connect = iokit_name(&connection->object);
	return *connect ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
IOServiceClose(io_connect_t connect)
{
	iokit_auto struct iokit_object *object = iokit_get(connect, IOKIT_NONE);

	if (!object)
		return MACH_SEND_INVALID_DEST;
	if (object->kind != IOKIT_CONNECTION)
		return kIOReturnBadArgument;
	struct iokit_connection *connection = (struct iokit_connection *)object;
	/* Waits for calls that are under way, as the lock of a user client does. A second close is success. */
	pthread_rwlock_wrlock(&connection->calls);
	connection_close(connection);
	pthread_rwlock_unlock(&connection->calls);
	(void)IOObjectRelease(connect);
	return kIOReturnSuccess;
}

kern_return_t
IOConnectAddRef(io_connect_t connect)
{
	return IOObjectRetain(connect);
}

kern_return_t
IOConnectRelease(io_connect_t connect)
{
	return IOObjectRelease(connect);
}

/* Calls that no driver's user client has. */
static kern_return_t
unsupported(io_connect_t connect, const char *what)
{
	struct iokit_connection *connection;
	kern_return_t ret = iokit_connection_get(connect, &connection);

	if (ret != kIOReturnSuccess)
		return ret;
	(void)adxi_tell(ADXI_RULE_T25, "%s on user client %#llx: a driver's user client does not have it", what,
			(unsigned long long)connection->client_id);
	iokit_put(&connection->object);
	return kIOReturnUnsupported;
}

kern_return_t
IOConnectGetService(io_connect_t connect, io_service_t *service)
{
	return service ? unsupported(connect, "IOConnectGetService") : kIOReturnBadArgument;
}

kern_return_t
IOConnectSetNotificationPort(io_connect_t connect, uint32_t type, mach_port_t port, uintptr_t reference)
{
	return unsupported(connect, "IOConnectSetNotificationPort");
}

kern_return_t
IOConnectAddClient(io_connect_t connect, io_connect_t client)
{
	return unsupported(connect, "IOConnectAddClient");
}

kern_return_t
IOConnectSetCFProperties(io_connect_t connect, CFTypeRef properties)
{
	return unsupported(connect, "IOConnectSetCFProperties");
}

kern_return_t
IOConnectSetCFProperty(io_connect_t connect, CFStringRef propertyName, CFTypeRef property)
{
	return unsupported(connect, "IOConnectSetCFProperty");
}

/* macOS answers success to a trap that nobody implements; here it is refused, and in strict mode told and passed. */
static kern_return_t
trap(io_connect_t connect, uint32_t index)
{
	struct iokit_connection *connection;
	kern_return_t ret = iokit_connection_get(connect, &connection);

	if (ret != kIOReturnSuccess)
		return ret;
	bool strict = adxi_tell(ADXI_RULE_T25, "IOConnectTrap index %u on user client %#llx is not implemented", index,
				(unsigned long long)connection->client_id);
	iokit_put(&connection->object);
	return strict && index > 1 ? kIOReturnSuccess : kIOReturnUnsupported;
}

kern_return_t
IOConnectTrap0(io_connect_t connect, uint32_t index)
{
	return trap(connect, index);
}

kern_return_t
IOConnectTrap1(io_connect_t connect, uint32_t index, uintptr_t p1)
{
	return trap(connect, index);
}

kern_return_t
IOConnectTrap2(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2)
{
	return trap(connect, index);
}

kern_return_t
IOConnectTrap3(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3)
{
	return trap(connect, index);
}

kern_return_t
IOConnectTrap4(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4)
{
	return trap(connect, index);
}

kern_return_t
IOConnectTrap5(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4,
	       uintptr_t p5)
{
	return trap(connect, index);
}

kern_return_t
IOConnectTrap6(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3, uintptr_t p4,
	       uintptr_t p5, uintptr_t p6)
{
	return trap(connect, index);
}
