/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <mach/message.h>

#include "channel/memory.h"
#include "channel/memory_object.h"
#include "iokit/staging.h"

#define SMALLEST ((size_t)1 << 14)

void
iokit_staging_init(struct iokit_staging *staging)
{
	*staging = (struct iokit_staging){ 0 };
	pthread_mutex_init(&staging->lock, NULL);
}

void
iokit_staging_done(struct iokit_staging *staging)
{
	for (unsigned i = 0; i < IOKIT_STAGING_SPARE; i++)
		OSSafeReleaseNULL(staging->spare[i]);
	pthread_mutex_destroy(&staging->lock);
}

static size_t
room(IOMemoryDescriptor *memory)
{
	return memory ? (size_t)adxi_memory_length(adxi_memory_of((OS_OBJECT *)memory)) : 0;
}

static IOMemoryDescriptor *
take_spare(struct iokit_staging *staging, size_t size)
{
	IOMemoryDescriptor *found = NULL;

	pthread_mutex_lock(&staging->lock);
	for (unsigned i = 0; i < IOKIT_STAGING_SPARE && !found; i++) {
		if (room(staging->spare[i]) < size)
			continue;
		found = staging->spare[i];
		staging->spare[i] = NULL;
	}
	pthread_mutex_unlock(&staging->lock);
	return found;
}

static kern_return_t
return_of(int r)
{
	if (r == -EFAULT)
		return MACH_SEND_INVALID_MEMORY;
	return r == 0                                         ? kIOReturnSuccess
	       : r == -ENOMEM || r == -EMFILE || r == -ENFILE ? kIOReturnNoMemory
							      : kIOReturnError;
}

/* Takes memory, also on failure. */
static kern_return_t
object_of(struct adxi_memory *memory, IOMemoryDescriptor **ret_memory)
{
	*ret_memory = adxi_memory_object(memory);
	return *ret_memory ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
iokit_staging_take(struct iokit_staging *staging, const void *bytes, size_t size,
		   IOMemoryDescriptor **ret_memory)
{
	IOMemoryDescriptor *memory = NULL;
	struct adxi_memory *pages = NULL;
	kern_return_t ret = kIOReturnSuccess;
	size_t capacity = SMALLEST;
	int r;

	if (size > IOKIT_STAGING_MAX) {
		r = adxi_memory_create_immutable(bytes, size, ADXI_MEMORY_OUT, &pages);
		return r < 0 ? return_of(r) : object_of(pages, ret_memory);
	}
	while (capacity < size)
		capacity *= 2;
	memory = take_spare(staging, size);
	if (!memory) {
		r = adxi_memory_create(capacity, ADXI_MEMORY_OUT, &pages);
		ret = r < 0 ? return_of(r) : object_of(pages, &memory);
	}
	if (ret == kIOReturnSuccess)
		ret = return_of(adxi_memory_fill(adxi_memory_of((OS_OBJECT *)memory), bytes, size));
	if (ret == kIOReturnSuccess)
		*ret_memory = memory;
	else
		iokit_staging_give(staging, memory);
	return ret;
}

void
iokit_staging_give(struct iokit_staging *staging, IOMemoryDescriptor *memory)
{
	if (!memory)
		return;
	if (room(memory) <= IOKIT_STAGING_MAX) {
		pthread_mutex_lock(&staging->lock);
		for (unsigned i = 0; i < IOKIT_STAGING_SPARE && memory; i++) {
			IOMemoryDescriptor *here = staging->spare[i];

			if (room(here) >= room(memory))
				continue;
			staging->spare[i] = memory;
			memory = here;
		}
		pthread_mutex_unlock(&staging->lock);
	}
	OSRelease((OSMetaClassBase *)memory);
}
