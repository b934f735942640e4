/* SPDX-License-Identifier: MIT */
/* IOUSBHostPipe's methods: bulk and interrupt requests, and what a pipe tells of itself. See bundle.c and isoch.c. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "object/containers.h"
#include "usbhost/nub.h"
#include "usbhost/request.h"
#include "usbhost/ring.h"

static struct host_pipe *
pipe_of(IOUSBHostPipe *self)
{
	return self->ivars->pipe;
}

static struct host_device *
device_of(IOUSBHostPipe *self)
{
	return self->ivars->pipe->interface->device;
}

/* ---------------------------------------------------------------------------------------------
 * Bulk and interrupt requests
 */

static void
async_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	const struct request *request = (const struct request *)base;

	IOUSBHostPipe_CompleteAsyncIO(NULL, request_action(request), status, actual, time_ns);
}

static void
sync_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	struct request *request = (struct request *)base;

	IOUSBHostPipe_IO_Reply(TAKE(request->reply), status, actual);
}

/* Whether the pipe can be read or written so, and where the buffer is. */
static IOReturn
check_buffer(IOUSBHostPipe *self, IOMemoryDescriptor *buffer, uint32_t length, uint8_t **ret_data)
{
	const struct usb_setting_endpoint *endpoint = &pipe_of(self)->endpoint;
	char what[32];

	(void)snprintf(what, sizeof what, "I/O on endpoint 0x%02x", endpoint->address); /* fits */
	if (endpoint->type != USB_BULK && endpoint->type != USB_INTERRUPT) {
		(void)adxi_tell(ADXI_RULE_USB014, "%s, which is %s", what,
				endpoint->type == USB_ISOCHRONOUS ? "isochronous" : "a control endpoint");
		return kIOReturnUnsupported;
	}
	return request_buffer(buffer, length, endpoint->address & 0x80, what, ret_data);
}

/* A request that is ready to be submitted, all checked. */
static IOReturn
prepare(IOUSBHostPipe *self, IOMemoryDescriptor *buffer, uint32_t length, uint32_t timeout_ms, OSAction *action,
	void (*end)(struct host_request *, IOReturn, uint32_t, uint64_t), struct request **ret_request)
{
	const struct usb_setting_endpoint *endpoint = &pipe_of(self)->endpoint;
	IOReturn status;
	uint8_t *data;

	status = check_buffer(self, buffer, length, &data);
	if (status != kIOReturnSuccess)
		return status;
	*ret_request = request_new(sizeof **ret_request, buffer, action, end);
	if (!*ret_request)
		return kIOReturnNoMemory;
	(*ret_request)->base.transfer = (struct usb_transfer){
		.endpoint = endpoint->address,
		.type = endpoint->type,
		.length = length,
		.timeout_ms = timeout_ms,
		.data = data,
	};
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostPipe__AsyncIO_Impl(IOUSBHostPipe *self, IOMemoryDescriptor *dataBuffer, uint32_t dataBufferLength,
			    OSAction *completion, uint32_t completionTimeoutMs)
{
	struct request *request;
	IOReturn status;

	if (!completion)
		return kIOReturnBadArgument;
	nub_pipe_take(self);
	status = prepare(self, dataBuffer, dataBufferLength, completionTimeoutMs, completion, async_end, &request);
	if (status != kIOReturnSuccess)
		return status;
	return request_submit(&pipe_of(self)->queue, request, "AsyncIO", device_of(self));
}

kern_return_t
IOUSBHostPipe_IO_Impl(IOUSBHostPipe *self, IOMemoryDescriptor *dataBuffer, uint32_t dataBufferLength,
		      uint32_t *bytesTransferred, uint32_t completionTimeoutMs)
{
	struct request *request;
	struct OSReply *reply;
	IOReturn status;

	nub_pipe_take(self);
	status = prepare(self, dataBuffer, dataBufferLength, completionTimeoutMs, NULL, sync_end, &request);
	if (status != kIOReturnSuccess)
		return status;
	reply = request->reply = OSReplyDefer();
	if (!reply) {
		request_free(&request->base);
		return kIOReturnUnsupported;
	}
	status = request_submit(&pipe_of(self)->queue, request, "IO", device_of(self));
	if (status != kIOReturnSuccess)
		IOUSBHostPipe_IO_Reply(reply, status, 0);
	return status;
}

/* ---------------------------------------------------------------------------------------------
 * AsyncIO in shared memory
 */

kern_return_t
IOUSBHostPipe__CreateRing_Impl(IOUSBHostPipe *self, ADXUSBCompletions *completions, IOMemoryDescriptor **memory,
			       uint8_t *address)
{
	const struct usb_setting_endpoint *endpoint = &pipe_of(self)->endpoint;
	struct IOUSBHostPipe_IVars *ivars = self->ivars;
	struct host_ring *ring, *before;
	bool mine;

	if (endpoint->type != USB_BULK && endpoint->type != USB_INTERRUPT)
		return kIOReturnUnsupported;
	if (!completions)
		return kIOReturnBadArgument;
	nub_pipe_take(self);
	ring = host_ring_new(pipe_of(self), completions);
	if (!ring)
		return kIOReturnNoMemory;
	/* A driver makes another one when it had let go of the pipe, so the first one is done with. */
	(void)pthread_mutex_lock(&ivars->lock);
	before = ivars->requests;
	mine = !before || host_ring_is_of(before, completions);
	if (mine)
		ivars->requests = host_ref(ring);
	(void)pthread_mutex_unlock(&ivars->lock);
	if (mine) {
		(void)host_unref(before);
		*memory = adxi_retain(host_ring_memory(ring));
		*address = endpoint->address;
	}
	(void)host_unref(ring);
	return mine ? kIOReturnSuccess : kIOReturnBusy;
}

kern_return_t
IOUSBHostPipe__Submit_Impl(IOUSBHostPipe *self, uint32_t cookie, IOMemoryDescriptor *dataBuffer, uint32_t dataBufferLength,
			   uint32_t completionTimeoutMs)
{
	struct host_ring *ring = nub_pipe_ring(self);
	kern_return_t status;
	uint8_t *data;

	if (!ring)
		return kIOReturnNotReady;
	status = check_buffer(self, dataBuffer, dataBufferLength, &data);
	if (status == kIOReturnSuccess) {
		status = host_ring_submit(ring, cookie, dataBuffer, data, dataBufferLength, completionTimeoutMs);
		request_refused(&pipe_of(self)->queue, status, "AsyncIO", device_of(self));
	}
	(void)host_unref(ring);
	return status;
}

kern_return_t
IOUSBHostPipe__SetBuffer_Impl(IOUSBHostPipe *self, uint32_t index, IOMemoryDescriptor *buffer)
{
	struct host_ring *ring = nub_pipe_ring(self);
	kern_return_t status = ring ? host_ring_set_buffer(ring, index, buffer) : kIOReturnNotReady;

	(void)host_unref(ring);
	return status;
}

/* ---------------------------------------------------------------------------------------------
 * Abort, ClearStall
 */

static void
clear_done(void *context, IOReturn status)
{
	IOUSBHostPipe_ClearStall_Reply(context, status);
}

kern_return_t
IOUSBHostPipe_Abort_Impl(IOUSBHostPipe *self, IOOptionBits options, kern_return_t withError, IOService *forClient)
{
	nub_pipe_take(self);
	return request_abort(&pipe_of(self)->queue, options, withError, IOUSBHostPipe_Abort_Reply);
}

kern_return_t
IOUSBHostPipe_ClearStall_Impl(IOUSBHostPipe *self, bool withRequest)
{
	struct OSReply *reply = OSReplyDefer();

	if (!reply)
		return kIOReturnUnsupported;
	nub_pipe_take(self);
	host_pipe_clear_stall(pipe_of(self), withRequest, clear_done, reply);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Descriptors and policies
 */

static void
original(IOUSBHostPipe *self, IOUSBStandardEndpointDescriptors *ret)
{
	const uint8_t *endpoint, *ss, *ssp;

	memset(ret, 0, sizeof *ret);
	ret->bcdUSB = usb_get_u16(device_of(self)->descriptor + 2);
	if (!host_pipe_descriptors(pipe_of(self), &endpoint, &ss, &ssp))
		return;
	memcpy(&ret->descriptor, endpoint, sizeof ret->descriptor);
	if (ss)
		memcpy(&ret->ssCompanionDescriptor, ss, sizeof ret->ssCompanionDescriptor);
	if (ssp)
		memcpy(&ret->sspCompanionDescriptor, ssp, sizeof ret->sspCompanionDescriptor);
}

kern_return_t
IOUSBHostPipe_GetDescriptors_Impl(IOUSBHostPipe *self, IOUSBStandardEndpointDescriptors *descriptors,
				  IOUSBGetEndpointDescriptorOptions type)
{
	if (type > kIOUSBGetEndpointDescriptorCurrentPolicy)
		return kIOReturnBadArgument;
	original(self, descriptors);
	if (type == kIOUSBGetEndpointDescriptorOriginal)
		return kIOReturnSuccess;
	(void)pthread_mutex_lock(&self->ivars->lock);
	if (self->ivars->adjusted)
		*descriptors = self->ivars->policy;
	(void)pthread_mutex_unlock(&self->ivars->lock);
	return kIOReturnSuccess;
}

static const uint16_t usb_versions[] = { 0x0110, 0x0200, 0x0300, 0x0310 };

static bool
is_version(uint16_t version)
{
	size_t i;

	for (i = 0; i < sizeof usb_versions / sizeof usb_versions[0]; i++)
		if (usb_versions[i] == version)
			return true;
	return false;
}

/* What the driver wants is kept as its policy: it promises to use less. The bus keeps what it reserved. */
kern_return_t
IOUSBHostPipe_AdjustPipe_Impl(IOUSBHostPipe *self, const IOUSBStandardEndpointDescriptors *descriptors)
{
	const struct usb_setting_endpoint *endpoint = &pipe_of(self)->endpoint;
	IOUSBStandardEndpointDescriptors now;
	const char *why = NULL;

	original(self, &now);
	if (endpoint->type != USB_INTERRUPT && endpoint->type != USB_ISOCHRONOUS)
		why = "the endpoint is not periodic";
	else if (!is_version(descriptors->bcdUSB))
		why = "bcdUSB is none of 0x0110, 0x0200, 0x0300, 0x0310";
	else if (descriptors->descriptor.bEndpointAddress != endpoint->address)
		why = "bEndpointAddress is another's";
	else if (USBToHost16(descriptors->descriptor.wMaxPacketSize) > USBToHost16(now.descriptor.wMaxPacketSize))
		why = "wMaxPacketSize is above the endpoint's";
	else if (descriptors->descriptor.bInterval < now.descriptor.bInterval)
		why = "bInterval is below the endpoint's";
	if (why) {
		(void)adxi_tell(ADXI_RULE_USB011, "AdjustPipe on endpoint 0x%02x: %s", endpoint->address, why);
		return kIOReturnBadArgument;
	}
	(void)pthread_mutex_lock(&self->ivars->lock);
	self->ivars->policy = *descriptors;
	self->ivars->adjusted = true;
	(void)pthread_mutex_unlock(&self->ivars->lock);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostPipe_SetIdlePolicy_Impl(IOUSBHostPipe *self, uint32_t ioIdleTimeoutMs)
{
	(void)pthread_mutex_lock(&self->ivars->lock);
	self->ivars->idle_ms = ioIdleTimeoutMs;
	(void)pthread_mutex_unlock(&self->ivars->lock);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostPipe_GetIdlePolicy_Impl(IOUSBHostPipe *self, uint32_t *ioIdleTimeoutMs)
{
	(void)pthread_mutex_lock(&self->ivars->lock);
	*ioIdleTimeoutMs = self->ivars->idle_ms;
	(void)pthread_mutex_unlock(&self->ivars->lock);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostPipe_GetSpeed_Impl(IOUSBHostPipe *self, uint8_t *speed)
{
	*speed = device_of(self)->speed;
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostPipe_GetDeviceAddress_Impl(IOUSBHostPipe *self, uint8_t *address)
{
	*address = device_of(self)->address;
	return kIOReturnSuccess;
}
