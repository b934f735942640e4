/* SPDX-License-Identifier: MIT */
/* class IODataQueueDispatchSource: a ring of entries in memory that an application may share. One
 * producer, one consumer; neither trusts what stands in the memory.
 *
 *   head (consumer's), tail (producer's), "wants DataServiced": 128 bytes in all
 *   then entries: size, data, padding to 4
 */

#include <stdlib.h>
#include <string.h>

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IODataQueueDispatchSource.h>

#include "driverkit/block.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/source.h"

struct ring {
	uint32_t head;          /* atomic; consumer's */
	uint32_t tail;          /* atomic; producer's */
	uint8_t wants_serviced; /* atomic */
	uint8_t reserved[119];
	uint8_t entries[];
};
_Static_assert(sizeof(struct ring) == 128, "applications read it");

#define ENTRY_HEADER 4u

struct IODataQueueDispatchSource_IVars {
	struct adxi_source_state state;   /* action: DataAvailable */
	OSAction *serviced;               /* owned reference; guarded by state.lock */
	IOBufferMemoryDescriptor *memory; /* owned reference */
	struct ring *ring;                /* mapped as long as memory */
	uint32_t size;                    /* bytes of entries */
};

static uint32_t
padded(uint32_t size)
{
	return ENTRY_HEADER + ((size + 3u) & ~3u);
}

kern_return_t
IODataQueueDispatchSource_Create(uint64_t queueByteCount, IODispatchQueue *queue,
				 IODataQueueDispatchSource **source)
{
	IODataQueueDispatchSource *self;
	IOAddressSegment range;
	kern_return_t ret;

	if (!source || queueByteCount == 0 || queueByteCount % 4 ||
	    queueByteCount > UINT32_MAX - sizeof(struct ring))
		return kIOReturnBadArgument;
	self = adxi_source_object(&IODataQueueDispatchSource_Class);
	if (!self)
		return kIOReturnNoMemory;
	if (adxi_queue_of(queue))
		self->ivars->state.queue = adxi_queue_ref(adxi_queue_of(queue));
	ret = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut,
					      sizeof(struct ring) + queueByteCount, 0,
					      &self->ivars->memory);
	if (ret == kIOReturnSuccess)
		ret = IOBufferMemoryDescriptor_GetAddressRange(self->ivars->memory, &range);
	if (ret != kIOReturnSuccess) {
		OSRelease((OS_OBJECT *)self);
		return ret;
	}
	self->ivars->ring = (struct ring *)(uintptr_t)range.address;
	self->ivars->size = (uint32_t)queueByteCount;
	*source = self;
	return kIOReturnSuccess;
}

size_t
IODataQueueDispatchSource_GetDataQueueEntryHeaderSize(void)
{
	return ENTRY_HEADER;
}

bool
IODataQueueDispatchSource_init_Impl(IODataQueueDispatchSource *self)
{
	if (!IODataQueueDispatchSource_init_super(self))
		return false;
	self->ivars = calloc(1, sizeof(*self->ivars));
	if (!self->ivars)
		return false;
	adxi_source_state_init(&self->ivars->state);
	return true;
}

void
IODataQueueDispatchSource_free_Impl(IODataQueueDispatchSource *self)
{
	if (self->ivars) {
		OSRelease((OS_OBJECT *)self->ivars->serviced);
		OSRelease((OS_OBJECT *)self->ivars->memory);
		adxi_source_state_done(&self->ivars->state);
		free(self->ivars);
	}
	IODataQueueDispatchSource_free_super(self);
}

kern_return_t
IODataQueueDispatchSource_Cancel_f_Impl(IODataQueueDispatchSource *self, void *context,
					IODispatchFunction handler)
{
	return adxi_source_cancel(&self->ivars->state, (OS_OBJECT *)self, context, handler);
}

kern_return_t
IODataQueueDispatchSource_SetEnableWithCompletion_f_Impl(IODataQueueDispatchSource *self,
							 bool enable, void *context,
							 IODispatchFunction handler)
{
	kern_return_t ret =
		adxi_source_enable(&self->ivars->state, (OS_OBJECT *)self, enable, context, handler);

	/* What came meanwhile was not told. */
	if (ret == kIOReturnSuccess && enable && IODataQueueDispatchSource_IsDataAvailable(self))
		IODataQueueDispatchSource_SendDataAvailable(self);
	return ret;
}

/* ---------------------------------------------------------------------------------------------
 * Handlers
 */

static void
call_available(OS_OBJECT *self, OSAction *action)
{
	IODataQueueDispatchSource_DataAvailable((IODataQueueDispatchSource *)self, action);
}

static void
call_serviced(OS_OBJECT *self, OSAction *action)
{
	IODataQueueDispatchSource_DataServiced((IODataQueueDispatchSource *)self, action);
}

void
IODataQueueDispatchSource_SendDataAvailable(IODataQueueDispatchSource *self)
{
	struct adxi_source_state *state = &self->ivars->state;

	adxi_source_send(state, (OS_OBJECT *)self, adxi_source_action(state), call_available);
}

static OSAction *
serviced_action(IODataQueueDispatchSource *self)
{
	struct IODataQueueDispatchSource_IVars *ivars = self->ivars;

	pthread_mutex_lock(&ivars->state.lock);
	OSAction *action = ivars->state.cancelled ? NULL : ivars->serviced;
	OSRetain((OS_OBJECT *)action);
	pthread_mutex_unlock(&ivars->state.lock);
	return action;
}

void
IODataQueueDispatchSource_SendDataServiced(IODataQueueDispatchSource *self)
{
	adxi_source_send(&self->ivars->state, (OS_OBJECT *)self, serviced_action(self),
			 call_serviced);
}

kern_return_t
IODataQueueDispatchSource_SetDataAvailableHandler(IODataQueueDispatchSource *self, OSAction *action)
{
	kern_return_t ret = adxi_source_set_action(&self->ivars->state, action);

	if (ret == kIOReturnSuccess && action && IODataQueueDispatchSource_IsDataAvailable(self))
		IODataQueueDispatchSource_SendDataAvailable(self);
	return ret;
}

kern_return_t
IODataQueueDispatchSource_SetDataServicedHandler(IODataQueueDispatchSource *self, OSAction *action)
{
	struct IODataQueueDispatchSource_IVars *ivars = self->ivars;
	OSAction *old;

	OSRetain((OS_OBJECT *)action);
	pthread_mutex_lock(&ivars->state.lock);
	old = ivars->serviced;
	ivars->serviced = action;
	pthread_mutex_unlock(&ivars->state.lock);
	OSRelease((OS_OBJECT *)old);
	return kIOReturnSuccess;
}

kern_return_t
IODataQueueDispatchSource_CopyMemory(IODataQueueDispatchSource *self, IOMemoryDescriptor **memory)
{
	if (!memory)
		return kIOReturnBadArgument;
	if (!self->ivars->memory)
		return kIOReturnNotReady;
	*memory = (IOMemoryDescriptor *)self->ivars->memory;
	OSRetain((OS_OBJECT *)*memory);
	return kIOReturnSuccess;
}

kern_return_t
IODataQueueDispatchSource_CopyDataAvailableHandler(IODataQueueDispatchSource *self,
						   OSAction **action)
{
	*action = adxi_source_action(&self->ivars->state);
	return *action ? kIOReturnSuccess : kIOReturnNotFound;
}

kern_return_t
IODataQueueDispatchSource_CopyDataServicedHandler(IODataQueueDispatchSource *self,
						  OSAction **action)
{
	*action = serviced_action(self);
	return *action ? kIOReturnSuccess : kIOReturnNotFound;
}

/* ---------------------------------------------------------------------------------------------
 * Consumer
 */

bool
IODataQueueDispatchSource_IsDataAvailable(IODataQueueDispatchSource *self)
{
	struct ring *ring = self->ivars->ring;

	return ring && __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) !=
			       __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
}

struct entry {
	const uint8_t *data;
	uint32_t size;
	uint32_t next_head;
};

/* The first entry, checked against the ring's own size. */
static kern_return_t
first_entry(IODataQueueDispatchSource *self, struct entry *entry)
{
	struct ring *ring = self->ivars->ring;
	uint32_t capacity = self->ivars->size, head, tail, size = 0;

	if (!ring)
		return kIOReturnNoMemory;
	head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
	tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	if (head > capacity || tail > capacity || head % 4 || tail % 4)
		return kIOReturnError;
	if (head == tail)
		return kIOReturnUnderrun;
	bool fits = capacity - head >= ENTRY_HEADER;
	if (fits) {
		memcpy(&size, &ring->entries[head], sizeof(size));
		fits = size <= capacity && padded(size) <= capacity - head;
	}
	if (!fits) { /* the producer went on at the beginning */
		head = 0;
		memcpy(&size, &ring->entries[0], sizeof(size));
		if (size > capacity || padded(size) > capacity || padded(size) > tail)
			return kIOReturnError;
	}
	*entry = (struct entry){ &ring->entries[head + ENTRY_HEADER], size, head + padded(size) };
	return kIOReturnSuccess;
}

kern_return_t
IODataQueueDispatchSource_Peek_f(IODataQueueDispatchSource *self, void *context,
				 IODataQueueClientDequeueEntryFunction callback)
{
	struct entry entry;
	kern_return_t ret = first_entry(self, &entry);

	if (ret == kIOReturnSuccess && callback)
		callback(context, entry.data, entry.size);
	return ret;
}

kern_return_t
IODataQueueDispatchSource_DequeueWithCoalesce_f(IODataQueueDispatchSource *self,
						bool *sendDataServiced, void *context,
						IODataQueueClientDequeueEntryFunction callback)
{
	struct ring *ring = self->ivars->ring;
	struct entry entry;
	OSAction *serviced;
	kern_return_t ret = first_entry(self, &entry);

	if (ret == kIOReturnSuccess) {
		if (callback)
			callback(context, entry.data, entry.size);
		__atomic_store_n(&ring->head, entry.next_head, __ATOMIC_SEQ_CST);
	}
	/* The flag stays until there is somebody to tell. */
	if (ring && __atomic_load_n(&ring->wants_serviced, __ATOMIC_SEQ_CST) &&
	    (serviced = serviced_action(self))) {
		__atomic_store_n(&ring->wants_serviced, 0, __ATOMIC_SEQ_CST);
		*sendDataServiced = true;
		OSRelease((OS_OBJECT *)serviced);
	}
	return ret;
}

kern_return_t
IODataQueueDispatchSource_Dequeue_f(IODataQueueDispatchSource *self, void *context,
				    IODataQueueClientDequeueEntryFunction callback)
{
	bool send = false;
	kern_return_t ret =
		IODataQueueDispatchSource_DequeueWithCoalesce_f(self, &send, context, callback);

	if (send)
		IODataQueueDispatchSource_SendDataServiced(self);
	return ret;
}

static void
dequeue_block(void *block, const void *data, size_t size)
{
	ADXI_BLOCK_INVOKE(block, void (*)(void *, const void *, size_t))(block, data, size);
}

kern_return_t
IODataQueueDispatchSource_Peek(IODataQueueDispatchSource *self,
			       IODataQueueClientDequeueEntryBlock callback)
{
	return IODataQueueDispatchSource_Peek_f(self, (void *)callback,
						callback ? dequeue_block : NULL);
}

kern_return_t
IODataQueueDispatchSource_Dequeue(IODataQueueDispatchSource *self,
				  IODataQueueClientDequeueEntryBlock callback)
{
	return IODataQueueDispatchSource_Dequeue_f(self, (void *)callback,
						   callback ? dequeue_block : NULL);
}

kern_return_t
IODataQueueDispatchSource_DequeueWithCoalesce(IODataQueueDispatchSource *self,
					      bool *sendDataServiced,
					      IODataQueueClientDequeueEntryBlock callback)
{
	return IODataQueueDispatchSource_DequeueWithCoalesce_f(
		self, sendDataServiced, (void *)callback, callback ? dequeue_block : NULL);
}

/* ---------------------------------------------------------------------------------------------
 * Producer
 */

struct place {
	uint32_t old_tail, at, new_tail;
	bool was_empty;
};

/* Where an entry of that size would go. */
static kern_return_t
find_place(IODataQueueDispatchSource *self, uint64_t need, struct place *place)
{
	struct ring *ring = self->ivars->ring;
	uint32_t capacity = self->ivars->size, head, tail;

	if (!ring)
		return kIOReturnNoMemory;
	tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
	head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
	if (head > capacity || tail > capacity || head % 4 || tail % 4)
		return kIOReturnUnderrun;
	*place = (struct place){ .old_tail = tail, .at = tail, .was_empty = head == tail };
	if (tail >= head) {
		if (need > capacity - tail) {
			if (head <= need)
				return kIOReturnOverrun;
			place->at = 0;
		}
	} else if (head - tail <= need) {
		return kIOReturnOverrun;
	}
	place->new_tail = place->at + (uint32_t)need;
	return kIOReturnSuccess;
}

kern_return_t
IODataQueueDispatchSource_EnqueueWithCoalesce_f(IODataQueueDispatchSource *self, uint32_t dataSize,
						bool *sendDataAvailable, void *context,
						IODataQueueClientEnqueueEntryFunction callback)
{
	struct ring *ring = self->ivars->ring;
	uint64_t need = ENTRY_HEADER + (((uint64_t)dataSize + 3u) & ~(uint64_t)3u);
	struct place place;
	kern_return_t ret = find_place(self, need, &place);

	if (ret == kIOReturnOverrun) {
		__atomic_store_n(&ring->wants_serviced, 1, __ATOMIC_SEQ_CST);
		*sendDataAvailable = true;
	}
	if (ret != kIOReturnSuccess)
		return ret;
	if (callback)
		callback(context, &ring->entries[place.at + ENTRY_HEADER], dataSize);
	memcpy(&ring->entries[place.at], &dataSize, sizeof(dataSize));
	/* The same size at the end tells the consumer to go on at the beginning: it does not fit
	 * there. */
	if (place.at != place.old_tail && self->ivars->size - place.old_tail >= ENTRY_HEADER)
		memcpy(&ring->entries[place.old_tail], &dataSize, sizeof(dataSize));
	__atomic_store_n(&ring->tail, place.new_tail, __ATOMIC_SEQ_CST);
	if (place.was_empty || __atomic_load_n(&ring->head, __ATOMIC_SEQ_CST) == place.old_tail)
		*sendDataAvailable = true;
	return kIOReturnSuccess;
}

kern_return_t
IODataQueueDispatchSource_Enqueue_f(IODataQueueDispatchSource *self, uint32_t dataSize,
				    void *context, IODataQueueClientEnqueueEntryFunction callback)
{
	bool send = false;
	kern_return_t ret = IODataQueueDispatchSource_EnqueueWithCoalesce_f(self, dataSize, &send,
									    context, callback);

	if (send)
		IODataQueueDispatchSource_SendDataAvailable(self);
	return ret;
}

static void
enqueue_block(void *block, void *data, size_t size)
{
	ADXI_BLOCK_INVOKE(block, void (*)(void *, void *, size_t))(block, data, size);
}

kern_return_t
IODataQueueDispatchSource_Enqueue(IODataQueueDispatchSource *self, uint32_t dataSize,
				  IODataQueueClientEnqueueEntryBlock callback)
{
	return IODataQueueDispatchSource_Enqueue_f(self, dataSize, (void *)callback,
						   callback ? enqueue_block : NULL);
}

kern_return_t
IODataQueueDispatchSource_EnqueueWithCoalesce(IODataQueueDispatchSource *self, uint32_t dataSize,
					      bool *sendDataAvailable,
					      IODataQueueClientEnqueueEntryBlock callback)
{
	return IODataQueueDispatchSource_EnqueueWithCoalesce_f(self, dataSize, sendDataAvailable,
							       (void *)callback,
							       callback ? enqueue_block : NULL);
}

kern_return_t
IODataQueueDispatchSource_CanEnqueueDataCount(IODataQueueDispatchSource *self, uint32_t dataSize,
					      uint32_t dataCount)
{
	uint64_t one = ENTRY_HEADER + (((uint64_t)dataSize + 3u) & ~(uint64_t)3u), need;
	struct place place;
	kern_return_t ret;

	if (__builtin_mul_overflow(one, (uint64_t)dataCount, &need))
		return kIOReturnOverrun;
	ret = find_place(self, need, &place); /* in one piece, which is more than is asked for */
	return ret == kIOReturnUnderrun ? kIOReturnError : ret;
}

kern_return_t
IODataQueueDispatchSource_CanEnqueueData(IODataQueueDispatchSource *self, uint32_t dataSize)
{
	return IODataQueueDispatchSource_CanEnqueueDataCount(self, dataSize, 1);
}
