/* SPDX-License-Identifier: MIT */
/* What a driver may ask its client for: memory at an address that the client gave it. */

#include <stdlib.h>

#include <Ambidext/ADXClientMemory.h>

#include "base/rules.h"
#include "channel/memory.h"
#include "iokit/connection.h"
#include "iokit/maps.h"

/* The door of a connection's channel outlives the connection on whatever thread dispatches, so it holds it weakly. */
struct ADXClientMemory_IVars {
	pthread_mutex_t lock;                 /* guards connection, and what is done with it */
	struct iokit_connection *connection;  /* borrowed; NULL: closed */
};

OS_OBJECT *
iokit_client_memory_new(struct iokit_connection *connection)
{
	ADXClientMemory *self = (ADXClientMemory *)OSMetaClassAllocate(&ADXClientMemory_Class);

	if (!self)
		return NULL;
	self->ivars = calloc(1, sizeof *self->ivars);
	if (!self->ivars) {
		OSRelease((OSMetaClassBase *)self);
		return NULL;
	}
	pthread_mutex_init(&self->ivars->lock, NULL);
	self->ivars->connection = connection;
	return (OSMetaClassBase *)self;
}

void
iokit_client_memory_detach(OS_OBJECT *object)
{
	ADXClientMemory *self = (ADXClientMemory *)object;

	if (!self)
		return;
	pthread_mutex_lock(&self->ivars->lock);
	self->ivars->connection = NULL;
	pthread_mutex_unlock(&self->ivars->lock);
}

static void
client_memory_free(OSObject *object)
{
	ADXClientMemory *self = (ADXClientMemory *)object;

	if (self->ivars)
		pthread_mutex_destroy(&self->ivars->lock);
	free(self->ivars);
	((const struct OSObject_Ops *)OSObject_Class.ops)->free(object);
}

static struct OSObject_Ops client_memory_ops = { .free = client_memory_free };

static void __attribute__((constructor(110)))
set_ops(void)
{
	ADXClientMemory_Class.ops = (void **)&client_memory_ops;
	ADXClientMemory_Class.ops_size = sizeof client_memory_ops;
}

/* What the driver does with it is not told. */
static kern_return_t
share(struct iokit_connection *connection, void *at, size_t length, bool write, IOMemoryDescriptor **ret_memory)
{
	struct iokit_shared *shared = NULL;
	kern_return_t ret = iokit_memory_share(connection, at, length, write, &shared, ret_memory);

	if (ret == kIOReturnSuccess)
		iokit_memory_unshare(connection, shared, true);
	return ret;
}

kern_return_t
ADXClientMemory_CopyMemory_Impl(ADXClientMemory *self, uint64_t address, uint64_t length, uint32_t options,
				IOMemoryDescriptor **memory)
{
	uint32_t direction = options & ADXI_MEMORY_DIRECTIONS;
	void *at = (void *)(uintptr_t)address;
	kern_return_t ret = kIOReturnNotReady;

	if (!length || !direction || address + length < address)
		return kIOReturnBadArgument;
	pthread_mutex_lock(&self->ivars->lock);
	/* A driver gets at its client's memory while the client is in a call to it, and at no other time. */
	struct iokit_connection *connection = self->ivars->connection;
	if (!connection || atomic_load(&connection->n_calls) == 0)
		(void)adxi_tell(ADXI_RULE_T63, "the driver asked for %llu bytes at %#llx of its client, which is not in a call to it",
				(unsigned long long)length, (unsigned long long)address);
	else if (!iokit_maps_are_there(at, length, false))
		ret = kIOReturnVMError;
	else if (options & kIOMemoryDisableCopyOnWrite)
		ret = share(connection, at, length, direction & kIOMemoryDirectionIn, memory);
	else
		ret = iokit_memory_copy(at, length, direction | ADXI_MEMORY_COPY_ON_WRITE, memory);
	pthread_mutex_unlock(&self->ivars->lock);
	return ret;
}
