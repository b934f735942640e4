/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/rules.h"
#include "channel/memory.h"
#include "channel/memory_object.h"
#include "driverkit/client_buffers.h"

/* Snapshots have at least that much room, so that sizes that differ a little share one. */
#define SMALLEST_SNAPSHOT (UINT64_C(1) << 14)

/* References to a snapshot that nobody else has: to the memory, and the memory's to its pages. */
#define HOLDERS_OF_FREE 2u

void
adxi_client_buffers_init(struct adxi_client_buffers *buffers)
{
	*buffers = (struct adxi_client_buffers){ 0 };
	pthread_mutex_init(&buffers->lock, NULL);
}

void
adxi_client_buffers_done(struct adxi_client_buffers *buffers)
{
	for (unsigned i = 0; i < CLIENT_BUFFERS_KNOWN; i++)
		OSSafeReleaseNULL(buffers->known[i]);
	for (unsigned i = 0; i < CLIENT_BUFFERS_SNAPSHOTS; i++)
		buffers->snapshots[i] = adxi_memory_unref(buffers->snapshots[i]);
	pthread_mutex_destroy(&buffers->lock);
}

/* The reference is what makes the channel name it by number the next time. */
static void
remember(struct adxi_client_buffers *buffers, IOMemoryDescriptor *descriptor)
{
	IOMemoryDescriptor *carried = descriptor, *next;
	unsigned i = 0;

	pthread_mutex_lock(&buffers->lock);
	if (buffers->known[0] == descriptor) {
		pthread_mutex_unlock(&buffers->lock);
		return;
	}
	OSRetain((OS_OBJECT *)descriptor);
	do { /* to the front; those before its old place move back */
		next = buffers->known[i];
		buffers->known[i] = carried;
		carried = next;
	} while (carried && carried != descriptor && ++i < CLIENT_BUFFERS_KNOWN);
	pthread_mutex_unlock(&buffers->lock);
	OSRelease((OS_OBJECT *)carried); /* one that had to go, or its own from its old place */
}

/* ---- input ---- */

static struct adxi_memory *
take_snapshot(struct adxi_client_buffers *buffers, uint64_t size)
{
	struct adxi_memory *found = NULL;

	pthread_mutex_lock(&buffers->lock);
	for (unsigned i = 0; i < CLIENT_BUFFERS_SNAPSHOTS && !found; i++) {
		if (!buffers->snapshots[i] || adxi_memory_capacity(buffers->snapshots[i]) < size)
			continue;
		found = buffers->snapshots[i];
		buffers->snapshots[i] = NULL;
	}
	pthread_mutex_unlock(&buffers->lock);
	return found;
}

static int
new_snapshot(uint64_t size, struct adxi_memory **ret_snapshot)
{
	uint64_t capacity = SMALLEST_SNAPSHOT;

	while (capacity < size)
		capacity *= 2;
	int r = adxi_memory_create(capacity, ADXI_MEMORY_OUT | ADXI_MEMORY_SNAPSHOT, ret_snapshot);
	if (r == 0 && !adxi_strict()) /* strict: an address ends with its IOMemoryMap */
		adxi_memory_keep_mapped(*ret_snapshot);
	return r;
}

/* The kernel reads the client's pages: where there are none it fails, and nobody gets SIGBUS. */
static int
fill_snapshot(struct adxi_memory *snapshot, struct adxi_memory *from, uint64_t size)
{
	void *bytes;
	int r = adxi_memory_set_length(snapshot, size);

	if (r == 0)
		r = adxi_memory_address(from, &bytes);
	return r == 0 ? adxi_memory_fill(snapshot, bytes, size) : r;
}

static kern_return_t
copy_input(struct adxi_client_buffers *buffers, struct adxi_memory *memory, uint64_t size,
	   IOMemoryDescriptor **ret_input, struct adxi_memory **ret_snapshot)
{
	struct adxi_memory *snapshot = take_snapshot(buffers, size);
	int r = snapshot ? 0 : new_snapshot(size, &snapshot);

	if (r == 0)
		r = fill_snapshot(snapshot, memory, size);
	*ret_input = r == 0 ? adxi_memory_object(adxi_memory_ref(snapshot)) : NULL;
	if (*ret_input) {
		*ret_snapshot = snapshot;
		return kIOReturnSuccess;
	}
	adxi_memory_unref(snapshot);
	return r == 0 || r == -ENOMEM || r == -EMFILE || r == -ENFILE ? kIOReturnNoMemory
								      : kIOReturnBadArgument;
}

kern_return_t
adxi_client_buffers_input(struct adxi_client_buffers *buffers, IOMemoryDescriptor *input,
			  uint64_t size, IOMemoryDescriptor **ret_input,
			  struct adxi_memory **ret_snapshot)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)input);
	uint64_t length = memory ? adxi_memory_length(memory) : 0;

	*ret_snapshot = NULL;
	if (size > 0 && size == length && adxi_memory_is_immutable(memory)) {
		OSRetain((OS_OBJECT *)input);
		*ret_input = input;
		return kIOReturnSuccess;
	}
	if (size == 0 || size > length || length > CLIENT_BUFFERS_COPIED) {
		adxi_tell(ADXI_RULE_SPD001,
			  "an input of %llu bytes in memory of %llu bytes that can be changed",
			  (unsigned long long)size, (unsigned long long)length);
		return kIOReturnBadArgument;
	}
	kern_return_t ret = copy_input(buffers, memory, size, ret_input, ret_snapshot);
	if (ret == kIOReturnSuccess)
		remember(buffers, input);
	return ret;
}

void
adxi_client_buffers_end_input(struct adxi_client_buffers *buffers, IOMemoryDescriptor *input,
			      struct adxi_memory *snapshot)
{
	OSRelease((OS_OBJECT *)input);
	/* Whoever holds anything of it still has its only name: nobody can come by it any more once
	 * nobody holds it. */
	if (!snapshot || adxi_memory_holders(snapshot) > HOLDERS_OF_FREE) {
		adxi_memory_unref(snapshot);
		return;
	}
	pthread_mutex_lock(&buffers->lock);
	for (unsigned i = 0; i < CLIENT_BUFFERS_SNAPSHOTS && snapshot; i++) {
		struct adxi_memory *here = buffers->snapshots[i];

		if (here && adxi_memory_capacity(here) >= adxi_memory_capacity(snapshot))
			continue;
		buffers->snapshots[i] = snapshot;
		snapshot = here;
	}
	pthread_mutex_unlock(&buffers->lock);
	adxi_memory_unref(snapshot);
}

/* ---- output ---- */

IOMemoryDescriptor *
adxi_client_buffers_output(struct adxi_client_buffers *buffers, IOMemoryDescriptor *output)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)output);

	if (!memory)
		return NULL;
	if (!adxi_strict())
		adxi_memory_keep_mapped(memory);
	remember(buffers, output);
	return adxi_memory_object(adxi_memory_ref(memory));
}

uint64_t
adxi_client_buffers_holders(IOMemoryDescriptor *given)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)given);

	return memory ? OSGetRetainCount((OS_OBJECT *)given) + adxi_memory_holders(memory) : 0;
}

bool
adxi_client_buffers_end_output(IOMemoryDescriptor *given, uint64_t holders)
{
	bool kept = given && adxi_client_buffers_holders(given) > holders;

	OSRelease((OS_OBJECT *)given);
	return kept;
}
