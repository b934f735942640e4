/* SPDX-License-Identifier: MIT */
/* Records of the memory classes for the client library; libDriverKit has those with the drivers' methods. */

#include <errno.h>

#include <DriverKit/IOBufferMemoryDescriptor.h>

#include "iokit/memory_object.h"
#include "object/grant.h"

_Static_assert(OS_GRANT_MAX_BYTES >= ADXI_MEMORY_WIRE_MAX && OS_GRANT_MAX_FDS >= ADXI_MEMORY_MAX_FDS,
	       "a grant holds any memory's description");

/* The record's one variable stands where a driver's ivars are. */
static struct adxi_memory **
memory_in(const OS_OBJECT *object)
{
	return (struct adxi_memory **)(void *)&((IOMemoryDescriptor *)(uintptr_t)object)->ivars;
}

struct adxi_memory *
adxi_memory_of(const OS_OBJECT *object)
{
	return OSMetaClassCast(object, &IOMemoryDescriptor_Class) ? *memory_in(object) : NULL;
}

static OS_OBJECT *
object_with(const struct OSMetaClass *meta, struct adxi_memory *memory)
{
	OS_OBJECT *object = OSMetaClassAllocate(meta);

	if (object)
		*memory_in(object) = memory;
	else
		adxi_memory_unref(memory);
	return object;
}

IOMemoryDescriptor *
adxi_memory_object(struct adxi_memory *memory)
{
	return (IOMemoryDescriptor *)object_with(&IOMemoryDescriptor_Class, memory);
}

static void
memory_free(OSObject *object)
{
	adxi_memory_unref(*memory_in((OS_OBJECT *)object));
	((const struct OSObject_Ops *)OSObject_Class.ops)->free(object);
}

static int
grant(OS_OBJECT *object, struct OSGrant *to)
{
	size_t size;
	unsigned n_fds;

	adxi_memory_export(*memory_in(object), to->bytes, &size, to->fds, &n_fds);
	to->n_bytes = (uint32_t)size;
	to->n_fds = n_fds;
	return 0;
}

static int
accept_as(const struct OSMetaClass *meta, struct OSGrant *from, OS_OBJECT **ret)
{
	struct adxi_memory *memory = NULL;
	int r = adxi_memory_import(from->bytes, from->n_bytes, from->fds, from->n_fds, &memory);

	if (r < 0)
		return r;
	OS_OBJECT *object = object_with(meta, memory);
	if (!object)
		return -ENOMEM;
	*ret = object;
	return 0;
}

static int
accept_memory(struct OSGrant *from, OS_OBJECT **ret)
{
	return accept_as(&IOMemoryDescriptor_Class, from, ret);
}

static int
accept_buffer(struct OSGrant *from, OS_OBJECT **ret)
{
	return accept_as(&IOBufferMemoryDescriptor_Class, from, ret);
}

static struct OSObject_Ops memory_ops = { .free = memory_free };
static struct OSObject_Ops buffer_ops;
static const struct OSClassHooks memory_hooks = { .grant = grant, .accept = accept_memory };
static const struct OSClassHooks buffer_hooks = { .grant = grant, .accept = accept_buffer };

struct OSMetaClass IOMemoryDescriptor_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_CAN_REMOTE,
	.name = "IOMemoryDescriptor",
	.super = &OSObject_Class,
	.instance_size = sizeof(IOMemoryDescriptor),
	.ops_size = sizeof memory_ops,
	.ops = (void **)&memory_ops,
	.hooks = &memory_hooks,
};

struct OSMetaClass IOBufferMemoryDescriptor_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_CAN_REMOTE,
	.name = "IOBufferMemoryDescriptor",
	.super = &IOMemoryDescriptor_Class,
	.instance_size = sizeof(IOBufferMemoryDescriptor),
	.ops_size = sizeof buffer_ops,
	.ops = (void **)&buffer_ops,
	.hooks = &buffer_hooks,
};

static void __attribute__((constructor))
register_classes(void)
{
	OSMetaClassRegister(&IOBufferMemoryDescriptor_Class);
}
