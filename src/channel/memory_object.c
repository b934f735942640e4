/* SPDX-License-Identifier: MIT */
/* The memory classes over memory.c: argument rules, return codes, crossing. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOMemoryDescriptor.h>
#include <DriverKit/IOMemoryMap.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "channel/memory_object.h"
#include "object/grant.h"

struct IOMemoryDescriptor_IVars {
	struct adxi_memory *memory; /* owned reference */
	struct adxi_mapping *map;   /* owned reference: Map()'s; atomic */
};

struct IOMemoryMap_IVars {
	struct adxi_mapping *mapping; /* owned reference */
	uint64_t offset;
};

#define MAP_OPTIONS                                                                                \
	(kIOMemoryMapFixedAddress | kIOMemoryMapReadOnly | kIOMemoryMapGuardedMask |               \
	 kIOMemoryMapCacheModeInhibit | kIOMemoryMapCacheModeCopyback |                            \
	 kIOMemoryMapCacheModeWriteThrough | kIOMemoryMapCacheModeRealTime)
#define CACHE_MODES                                                                                \
	(kIOMemoryMapCacheModeInhibit | kIOMemoryMapCacheModeCopyback |                            \
	 kIOMemoryMapCacheModeWriteThrough | kIOMemoryMapCacheModeRealTime)

static IOReturn
return_of(int error)
{
	switch (error) {
	case 0:
		return kIOReturnSuccess;
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
		return kIOReturnNoMemory;
	case -E2BIG:
		return kIOReturnOverrun;
	default:
		return kIOReturnBadArgument;
	}
}

/* ---------------------------------------------------------------------------------------------
 * class IOMemoryDescriptor
 */

static IOMemoryDescriptor *
descriptor_new(const struct OSMetaClass *meta, struct adxi_memory *memory)
{
	IOMemoryDescriptor *self = (IOMemoryDescriptor *)OSMetaClassAllocate(meta);

	if (self && (!OSObject_init((OSObject *)self) || !self->ivars))
		OSSafeReleaseNULL(self);
	if (!self) {
		adxi_memory_unref(memory);
		return NULL;
	}
	self->ivars->memory = memory;
	return self;
}

IOMemoryDescriptor *
adxi_memory_object(struct adxi_memory *memory)
{
	return descriptor_new(adxi_memory_flags(memory) & ADXI_MEMORY_BUFFER
				      ? &IOBufferMemoryDescriptor_Class
				      : &IOMemoryDescriptor_Class,
			      memory);
}

struct adxi_memory *
adxi_memory_of(const OS_OBJECT *object)
{
	IOMemoryDescriptor *self =
		(IOMemoryDescriptor *)OSMetaClassCast(object, &IOMemoryDescriptor_Class);

	return self && self->ivars ? self->ivars->memory : NULL;
}

bool
IOMemoryDescriptor_init_Impl(IOMemoryDescriptor *self)
{
	if (!OSObject_init_Impl((OSObject *)self))
		return false;
	self->ivars = calloc(1, sizeof(*self->ivars));
	return self->ivars != NULL;
}

void
IOMemoryDescriptor_free_Impl(IOMemoryDescriptor *self)
{
	if (self->ivars) {
		adxi_mapping_unref(self->ivars->map);
		adxi_memory_unref(self->ivars->memory);
		free(self->ivars);
	}
	OSObject_free_Impl((OSObject *)self);
}

kern_return_t
IOMemoryDescriptor_GetLength_Impl(IOMemoryDescriptor *self, uint64_t *returnLength)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)self);

	if (!returnLength)
		return kIOReturnBadArgument;
	if (!memory)
		return kIOReturnNotReady;
	*returnLength = adxi_memory_length(memory);
	return kIOReturnSuccess;
}

static const char *
why_not_mapped(int error)
{
	switch (error) {
	case -ERANGE:
		return "the range is not inside the descriptor";
	case -ENOTSUP:
		return "its parts do not meet on page boundaries, so they have no addresses in a "
		       "row";
	case -EEXIST:
		return "the fixed address is in use";
	case -EINVAL:
		return "the fixed address is not that of the range in its page";
	default:
		return "the process has no memory or address space left";
	}
}

static kern_return_t
map(IOMemoryDescriptor *self, uint64_t options, uint64_t address, uint64_t offset, uint64_t length,
    struct adxi_mapping **ret_mapping)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)self);
	uint64_t cache = options & CACHE_MODES;
	uint32_t flags = 0;

	if (!memory)
		return kIOReturnNotReady;
	if (options & ~(uint64_t)MAP_OPTIONS || (cache & (cache - 1))) {
		adxi_tell(ADXI_RULE_T98, "CreateMapping with options %#llx: %s",
			  (unsigned long long)options,
			  options & ~(uint64_t)MAP_OPTIONS ? "unknown bits"
							   : "several cache modes");
		return kIOReturnBadArgument;
	}
	if (options & kIOMemoryMapFixedAddress)
		flags |= ADXI_MAP_FIXED;
	if (options & kIOMemoryMapReadOnly)
		flags |= ADXI_MAP_READ_ONLY;
	if (!adxi_memory_is_own(memory) &&
	    (adxi_memory_flags(memory) & ADXI_MEMORY_DIRECTIONS) == ADXI_MEMORY_OUT)
		flags |= ADXI_MAP_READ_ONLY;
	int r = adxi_memory_map(memory, offset, length, flags, address, ret_mapping);
	if (r < 0) {
		adxi_tell(ADXI_RULE_T98,
			  "CreateMapping of offset %llu, length %llu of a descriptor of %llu "
			  "bytes: %s",
			  (unsigned long long)offset, (unsigned long long)length,
			  (unsigned long long)adxi_memory_length(memory), why_not_mapped(r));
		return kIOReturnError;
	}
	if (adxi_memory_flags(memory) & ADXI_MEMORY_COPY_ON_WRITE && !(flags & ADXI_MAP_READ_ONLY))
		adxi_tell(ADXI_RULE_T64,
			  "a writable mapping of an application's memory of %llu bytes",
			  (unsigned long long)adxi_memory_length(memory));
	return kIOReturnSuccess;
}

kern_return_t
IOMemoryDescriptor_CreateMapping(IOMemoryDescriptor *self, uint64_t options, uint64_t address,
				 uint64_t offset, uint64_t length, uint64_t alignment,
				 IOMemoryMap **ret_map)
{
	struct adxi_mapping *mapping = NULL;

	if (!ret_map)
		return kIOReturnBadArgument;
	kern_return_t ret = map(self, options, address, offset, length, &mapping);
	if (ret != kIOReturnSuccess)
		return ret;
	IOMemoryMap *object = (IOMemoryMap *)OSMetaClassAllocate(&IOMemoryMap_Class);
	if (object && (!OSObject_init((OSObject *)object) || !object->ivars))
		OSSafeReleaseNULL(object);
	if (!object) {
		adxi_mapping_unref(mapping);
		return kIOReturnNoMemory;
	}
	object->ivars->mapping = mapping;
	object->ivars->offset = offset;
	*ret_map = object;
	return kIOReturnSuccess;
}

kern_return_t
IOMemoryDescriptor_Map(IOMemoryDescriptor *self, uint64_t options, uint64_t address,
		       uint64_t length, uint64_t alignment, uint64_t *returnAddress,
		       uint64_t *returnLength)
{
	struct adxi_mapping *mapping, *none = NULL;

	if (!adxi_memory_of((OS_OBJECT *)self))
		return kIOReturnNotReady;
	mapping = __atomic_load_n(&self->ivars->map, __ATOMIC_ACQUIRE);
	if (!mapping) {
		kern_return_t ret = map(self, options, address, 0, length, &mapping);
		if (ret != kIOReturnSuccess)
			return ret;
		if (!__atomic_compare_exchange_n(&self->ivars->map, &none, mapping, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			adxi_mapping_unref(mapping);
			mapping = none;
		}
	}
	if (returnAddress)
		*returnAddress = (uintptr_t)adxi_mapping_address(mapping);
	if (returnLength)
		*returnLength = adxi_mapping_length(mapping);
	return kIOReturnSuccess;
}

kern_return_t
IOMemoryDescriptor_CreateSubMemoryDescriptor(uint64_t options, uint64_t offset, uint64_t length,
					     IOMemoryDescriptor *of,
					     IOMemoryDescriptor **ret_memory)
{
	struct adxi_memory *whole = adxi_memory_of((OS_OBJECT *)of), *memory = NULL;

	if (!whole || !ret_memory || options & ~(uint64_t)ADXI_MEMORY_DIRECTIONS)
		return kIOReturnBadArgument;
	int r = adxi_memory_sub(whole, (uint32_t)options, offset, length, &memory);
	if (r < 0)
		return return_of(r);
	*ret_memory = adxi_memory_object(memory);
	return *ret_memory ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
IOMemoryDescriptor_CreateWithMemoryDescriptors(uint64_t options, uint32_t count,
					       IOMemoryDescriptor *const *list,
					       IOMemoryDescriptor **ret_memory)
{
	struct adxi_memory *parts[32], *memory = NULL;

	if (count > 32)
		return kIOReturnOverrun;
	if (!list || !ret_memory || count == 0 || options & ~(uint64_t)ADXI_MEMORY_DIRECTIONS)
		return kIOReturnBadArgument;
	for (uint32_t i = 0; i < count; i++) {
		parts[i] = adxi_memory_of((OS_OBJECT *)list[i]);
		if (!parts[i] || options & ~(uint64_t)adxi_memory_flags(parts[i]))
			return kIOReturnBadArgument;
	}
	int r = adxi_memory_concat(parts, count, (uint32_t)options, &memory);
	if (r < 0)
		return return_of(r);
	*ret_memory = adxi_memory_object(memory);
	return *ret_memory ? kIOReturnSuccess : kIOReturnNoMemory;
}

/* ---------------------------------------------------------------------------------------------
 * class IOBufferMemoryDescriptor
 */

kern_return_t
IOBufferMemoryDescriptor_Create(uint64_t options, uint64_t capacity, uint64_t alignment,
				IOBufferMemoryDescriptor **ret_memory)
{
	struct adxi_memory *memory = NULL;

	if (!ret_memory || options & ~(uint64_t)ADXI_MEMORY_DIRECTIONS)
		return kIOReturnBadArgument;
	int r = adxi_memory_create(capacity, (uint32_t)options | ADXI_MEMORY_BUFFER, &memory);
	if (r < 0)
		return kIOReturnNoMemory;
	if (adxi_memory_align(memory, alignment) < 0) {
		adxi_memory_unref(memory);
		return kIOReturnBadArgument;
	}
	*ret_memory = (IOBufferMemoryDescriptor *)adxi_memory_object(memory);
	return *ret_memory ? kIOReturnSuccess : kIOReturnNoMemory;
}

bool
IOBufferMemoryDescriptor_init_Impl(IOBufferMemoryDescriptor *self)
{
	return IOMemoryDescriptor_init_Impl((IOMemoryDescriptor *)self);
}

void
IOBufferMemoryDescriptor_free_Impl(IOBufferMemoryDescriptor *self)
{
	IOMemoryDescriptor_free_Impl((IOMemoryDescriptor *)self);
}

kern_return_t
IOBufferMemoryDescriptor_GetAddressRange(IOBufferMemoryDescriptor *self, IOAddressSegment *range)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)self);
	void *address;

	if (!memory || !range)
		return kIOReturnBadArgument;
	int r = adxi_memory_address(memory, &address);
	if (r < 0)
		return return_of(r);
	range->address = (uintptr_t)address;
	range->length = adxi_memory_length(memory);
	return kIOReturnSuccess;
}

kern_return_t
IOBufferMemoryDescriptor_SetLength(IOBufferMemoryDescriptor *self, uint64_t length)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)self);

	return memory ? return_of(adxi_memory_set_length(memory, length)) : kIOReturnNotReady;
}

/* ---------------------------------------------------------------------------------------------
 * class IOMemoryMap
 */

bool
IOMemoryMap_init_Impl(IOMemoryMap *self)
{
	if (!OSObject_init_Impl((OSObject *)self))
		return false;
	self->ivars = calloc(1, sizeof(*self->ivars));
	return self->ivars != NULL;
}

void
IOMemoryMap_free_Impl(IOMemoryMap *self)
{
	if (self->ivars) {
		adxi_mapping_unref(self->ivars->mapping);
		free(self->ivars);
	}
	OSObject_free_Impl((OSObject *)self);
}

uint64_t
IOMemoryMap_GetAddress(IOMemoryMap *self)
{
	return self->ivars && self->ivars->mapping
		       ? (uintptr_t)adxi_mapping_address(self->ivars->mapping)
		       : 0;
}

uint64_t
IOMemoryMap_GetLength(IOMemoryMap *self)
{
	return self->ivars && self->ivars->mapping ? adxi_mapping_length(self->ivars->mapping) : 0;
}

uint64_t
IOMemoryMap_GetOffset(IOMemoryMap *self)
{
	return self->ivars ? self->ivars->offset : 0;
}

/* ---------------------------------------------------------------------------------------------
 * Crossing
 */

_Static_assert(ADXI_MEMORY_WIRE_MAX <= OS_GRANT_MAX_BYTES &&
		       ADXI_MEMORY_MAX_FDS <= OS_GRANT_MAX_FDS,
	       "a memory's description fits a grant");

static int
memory_grant(OS_OBJECT *self, struct OSGrant *grant)
{
	struct adxi_memory *memory = adxi_memory_of(self);
	unsigned n_fds;
	size_t size;

	if (!memory)
		return -EINVAL;
	adxi_memory_export(memory, grant->bytes, &size, grant->fds, &n_fds);
	grant->n_bytes = (uint32_t)size;
	grant->n_fds = n_fds;
	return 0;
}

static int
memory_accept(struct OSGrant *grant, OS_OBJECT **ret)
{
	struct adxi_memory *memory = NULL;
	int r = adxi_memory_import(grant->bytes, grant->n_bytes, grant->fds, grant->n_fds, &memory);

	if (r < 0)
		return r;
	grant->shared_bytes = adxi_memory_capacity(memory);
	*ret = (OS_OBJECT *)adxi_memory_object(memory);
	return *ret ? 0 : -ENOMEM;
}

/* A map is an address of this process: nobody else can do anything with it. */
static int
map_may_cross(OS_OBJECT *self)
{
	return -EPERM;
}

static const struct OSClassHooks memory_hooks = { .grant = memory_grant, .accept = memory_accept };
static const struct OSClassHooks map_hooks = { .may_cross = map_may_cross };

/* Before the generated constructors register the records. */
__attribute__((constructor(101))) static void
memory_hooks_install(void)
{
	IOMemoryDescriptor_Class.hooks = &memory_hooks;
	IOBufferMemoryDescriptor_Class.hooks = &memory_hooks;
	IOMemoryMap_Class.hooks = &map_hooks;
}
