/* SPDX-License-Identifier: MIT */
/* Bundled requests: a ring of buffers, up to 16 of them submitted and completed in one message. */

#include <stdio.h>
#include <stdlib.h>

#include "base/rules.h"
#include "object/containers.h"
#include "usbhost/nub.h"
#include "usbhost/request.h"

#define RING_MAX 4096u

/* One submission. Results come in the slots' order; what is there when nobody sends is sent by whoever brought it. */
struct bundle {
	struct host_ref ref;       /* one each request, one while it is being submitted */
	pthread_mutex_t lock;      /* guards all below */
	OSAction *action;          /* owned reference */
	uint32_t first, ring_size;
	unsigned n_ended, n_sent;
	bool sending;              /* also while it is being submitted, so that what ends at once goes together */
	uint32_t actual[kIOUSBHostPipeBundlingMax];
	kern_return_t status[kIOUSBHostPipeBundlingMax];
};

struct slot_request {
	struct request request;
	struct bundle *bundle;     /* owned reference */
};

static void
bundle_free(struct host_ref *ref)
{
	struct bundle *bundle = (struct bundle *)ref;

	adxi_release(bundle->action);
	(void)pthread_mutex_destroy(&bundle->lock);
	free(bundle);
}

/* Send what has ended. The lock is held, and given up for each message; sending is set. */
static void
send_locked(struct bundle *bundle)
{
	while (bundle->n_sent < bundle->n_ended) {
		unsigned from = bundle->n_sent, n = bundle->n_ended - from;
		uint32_t index = (bundle->first + from) % bundle->ring_size;

		bundle->n_sent += n;
		(void)pthread_mutex_unlock(&bundle->lock);
		/* Entries below n_ended do not change any more. */
		IOUSBHostPipe_CompleteAsyncIOBundled(NULL, bundle->action, index, n, bundle->actual + from, (int)n,
						     bundle->status + from, (int)n);
		(void)pthread_mutex_lock(&bundle->lock);
	}
	bundle->sending = false;
}

static void
slot_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	struct bundle *bundle = ((struct slot_request *)base)->bundle;

	(void)pthread_mutex_lock(&bundle->lock);
	bundle->actual[bundle->n_ended] = actual;
	bundle->status[bundle->n_ended] = status;
	bundle->n_ended++;
	if (!bundle->sending) {
		bundle->sending = true;
		send_locked(bundle);
	}
	(void)pthread_mutex_unlock(&bundle->lock);
}

static void
slot_free(struct host_request *base)
{
	struct bundle *bundle = ((struct slot_request *)base)->bundle;

	request_free(base);
	(void)host_unref(bundle);
}

kern_return_t
IOUSBHostPipe_CreateMemoryDescriptorRing_Impl(IOUSBHostPipe *self, uint32_t size)
{
	struct IOUSBHostPipe_IVars *ivars = self->ivars;
	kern_return_t status = kIOReturnSuccess;

	if (ivars->pipe->endpoint.type != USB_BULK)
		return kIOReturnUnsupported;
	if (size == 0 || size > RING_MAX) {
		(void)adxi_tell(ADXI_RULE_USB012, "a ring of %u slots: 1 to %u are possible", size, RING_MAX);
		return kIOReturnBadArgument;
	}
	(void)pthread_mutex_lock(&ivars->lock);
	if (ivars->ring) {
		(void)adxi_tell(ADXI_RULE_USB012, "a second ring on endpoint 0x%02x", ivars->pipe->endpoint.address);
		status = kIOReturnBusy;
	} else {
		ivars->ring = calloc(size, sizeof *ivars->ring);
		if (ivars->ring)
			ivars->ring_size = size;
		else
			status = kIOReturnNoMemory;
	}
	(void)pthread_mutex_unlock(&ivars->lock);
	return status;
}

kern_return_t
IOUSBHostPipe_SetMemoryDescriptor_Impl(IOUSBHostPipe *self, IOMemoryDescriptor *memoryDescriptor, uint32_t index)
{
	struct IOUSBHostPipe_IVars *ivars = self->ivars;
	IOMemoryDescriptor *old = NULL;
	kern_return_t status = kIOReturnSuccess;

	(void)pthread_mutex_lock(&ivars->lock);
	if (index < ivars->ring_size) {
		old = ivars->ring[index];
		ivars->ring[index] = adxi_retain(memoryDescriptor);
	} else {
		(void)adxi_tell(ADXI_RULE_USB012, "slot %u of a ring of %u", index, ivars->ring_size);
		status = kIOReturnBadArgument;
	}
	(void)pthread_mutex_unlock(&ivars->lock);
	adxi_release(old);
	return status;
}

static IOMemoryDescriptor *
copy_slot(struct IOUSBHostPipe_IVars *ivars, uint32_t index)
{
	IOMemoryDescriptor *buffer;

	(void)pthread_mutex_lock(&ivars->lock);
	buffer = adxi_retain(ivars->ring[index % ivars->ring_size]);
	(void)pthread_mutex_unlock(&ivars->lock);
	return buffer;
}

static IOReturn
submit_slot(struct IOUSBHostPipe_IVars *ivars, struct bundle *bundle, uint32_t index, uint32_t length,
	    uint32_t timeout_ms)
{
	const struct usb_setting_endpoint *endpoint = &ivars->pipe->endpoint;
	IOMemoryDescriptor *buffer = copy_slot(ivars, index);
	struct slot_request *slot = NULL;
	IOReturn status;
	uint8_t *data;

	if (!buffer) {
		(void)adxi_tell(ADXI_RULE_USB012, "slot %u of endpoint 0x%02x is empty", index % ivars->ring_size,
				endpoint->address);
		return kIOReturnBadArgument;
	}
	status = request_buffer(buffer, length, endpoint->address & 0x80, "AsyncIOBundled", &data);
	if (status == kIOReturnSuccess) {
		slot = (struct slot_request *)request_new(sizeof *slot, buffer, NULL, slot_end);
		if (!slot)
			status = kIOReturnNoMemory;
	}
	adxi_release(buffer);
	if (status != kIOReturnSuccess)
		return status;
	slot->request.base.free = slot_free;
	slot->bundle = host_ref(bundle);
	slot->request.base.transfer = (struct usb_transfer){
		.endpoint = endpoint->address, .type = endpoint->type, .length = length,
		.timeout_ms = timeout_ms, .data = data,
	};
	return request_submit(&ivars->pipe->queue, &slot->request, "AsyncIOBundled", ivars->pipe->interface->device);
}

static IOReturn
check(IOUSBHostPipe *self, uint32_t index, uint32_t count, int n_lengths)
{
	struct IOUSBHostPipe_IVars *ivars = self->ivars;
	uint32_t size;

	if (ivars->pipe->endpoint.type != USB_BULK) {
		(void)adxi_tell(ADXI_RULE_USB014, "AsyncIOBundled on endpoint 0x%02x, which is not bulk",
				ivars->pipe->endpoint.address);
		return kIOReturnUnsupported;
	}
	(void)pthread_mutex_lock(&ivars->lock);
	size = ivars->ring_size;
	(void)pthread_mutex_unlock(&ivars->lock);
	if (size == 0 || index >= size || count == 0 || count > kIOUSBHostPipeBundlingMax || count > size ||
	    n_lengths < 0 || (uint32_t)n_lengths != count) {
		(void)adxi_tell(ADXI_RULE_USB012, "AsyncIOBundled of %u slots from %u with %d lengths on a ring of %u",
				count, index, n_lengths, size);
		return kIOReturnBadArgument;
	}
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostPipe_AsyncIOBundled_Impl(IOUSBHostPipe *self, uint32_t ioTransferIndex, uint32_t ioTransferCount,
				  uint32_t *ioTransferAcceptedCount, const uint32_t dataBufferLengthArray[16],
				  int dataBufferLengthArrayCount, OSAction *completion, uint32_t completionTimeoutMs)
{
	struct IOUSBHostPipe_IVars *ivars = self->ivars;
	IOReturn status = check(self, ioTransferIndex, ioTransferCount, dataBufferLengthArrayCount);
	struct bundle *bundle;
	uint32_t i;

	if (status == kIOReturnSuccess && !completion)
		status = kIOReturnBadArgument;
	if (status != kIOReturnSuccess)
		return status;
	nub_pipe_take(self);
	bundle = calloc(1, sizeof *bundle);
	if (!bundle)
		return kIOReturnNoMemory;
	atomic_init(&bundle->ref.n, 1);
	bundle->ref.free = bundle_free;
	(void)pthread_mutex_init(&bundle->lock, NULL);
	bundle->action = adxi_retain(completion);
	bundle->first = ioTransferIndex;
	bundle->ring_size = ivars->ring_size; /* set once, and check() saw it */
	bundle->sending = true;

	for (i = 0; i < ioTransferCount && status == kIOReturnSuccess; i++)
		status = submit_slot(ivars, bundle, ioTransferIndex + i, dataBufferLengthArray[i],
				     completionTimeoutMs);
	if (status != kIOReturnSuccess)
		i--; /* the last one was not accepted */
	(void)pthread_mutex_lock(&bundle->lock);
	send_locked(bundle);
	(void)pthread_mutex_unlock(&bundle->lock);
	(void)host_unref(bundle);
	*ioTransferAcceptedCount = i;
	return i > 0 ? kIOReturnSuccess : status;
}
