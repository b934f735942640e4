/* SPDX-License-Identifier: MIT */
/* Isochronous requests: a list of frames in the driver's memory. */

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "channel/memory_object.h"
#include "object/containers.h"
#include "usbhost/nub.h"
#include "usbhost/request.h"
#include "usbhost/status.h"

#define FRAMES_MAX 1024u

struct isoch_request {
	struct request request;
	IOMemoryDescriptor *list;      /* owned reference */
	IOUSBIsochronousFrame *out;    /* in the list, n frames: written only */
	uint32_t n;
	struct usb_frame frames[];     /* what the back end works with: the driver cannot change it */
};

static void
write_results(struct isoch_request *isoch, IOReturn status, uint64_t time_ns)
{
	uint32_t i;

	for (i = 0; i < isoch->n; i++) {
		IOUSBIsochronousFrame *out = &isoch->out[i];
		const struct usb_frame *frame = &isoch->frames[i];

		out->status = status == kIOReturnSuccess ? usb_status_return(frame->status) : status;
		out->completeCount = frame->actual <= frame->length ? frame->actual : frame->length;
		out->timeStamp = time_ns;
	}
}

static void
isoch_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	struct isoch_request *isoch = (struct isoch_request *)base;

	write_results(isoch, status, time_ns);
	if (isoch->request.action)
		IOUSBHostPipe_CompleteAsyncIsochIO(NULL, request_action(&isoch->request), status);
	else
		IOUSBHostPipe_IsochIO_Reply(TAKE(isoch->request.reply), status);
}

static void
isoch_free(struct host_request *base)
{
	adxi_release(((struct isoch_request *)base)->list);
	request_free(base);
}

/* Where the frames are, and how many: a whole number of them. */
static IOReturn
find_frames(IOMemoryDescriptor *list, IOUSBIsochronousFrame **ret_frames, uint32_t *ret_n)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)list);
	uint64_t length = memory ? adxi_memory_length(memory) : 0;
	void *address;

	if (length == 0 || length % sizeof **ret_frames || length / sizeof **ret_frames > FRAMES_MAX) {
		(void)adxi_tell(ADXI_RULE_USB013, "frameList is %llu bytes long, frames of %zu bytes",
				(unsigned long long)length, sizeof **ret_frames);
		return kIOReturnBadArgument;
	}
	if ((adxi_memory_flags(memory) & ADXI_MEMORY_DIRECTIONS) == ADXI_MEMORY_OUT) {
		(void)adxi_tell(ADXI_RULE_USB004, "results are written into frameList, whose direction is "
				"kIOMemoryDirectionOut");
		return kIOReturnBadArgument;
	}
	if (adxi_memory_address(memory, &address) < 0)
		return kIOReturnVMError;
	*ret_frames = address;
	*ret_n = (uint32_t)(length / sizeof **ret_frames);
	return kIOReturnSuccess;
}

/* Reads each requestCount once: the driver may write them meanwhile. */
static uint64_t
read_counts(struct isoch_request *isoch)
{
	uint64_t total = 0;
	uint32_t i;

	for (i = 0; i < isoch->n; i++) {
		const volatile IOUSBIsochronousFrame *frame = &isoch->out[i]; /* packed: an atomic load would be a call */
		isoch->frames[i].length = frame->requestCount;
		total += isoch->frames[i].length;
		isoch->out[i].status = kIOReturnInvalid;
		isoch->out[i].completeCount = 0;
	}
	return total;
}

static IOReturn
prepare(struct host_pipe *pipe, IOMemoryDescriptor *buffer, IOMemoryDescriptor *list, uint64_t first_frame,
	OSAction *completion, struct isoch_request **ret_isoch)
{
	const struct usb_setting_endpoint *endpoint = &pipe->endpoint;
	IOUSBIsochronousFrame *frames;
	struct isoch_request *isoch;
	uint8_t *data = NULL;
	uint64_t total;
	IOReturn status;
	uint32_t n;

	if (endpoint->type != USB_ISOCHRONOUS) {
		(void)adxi_tell(ADXI_RULE_USB014, "IsochIO on endpoint 0x%02x, which is not isochronous",
				endpoint->address);
		return kIOReturnUnsupported;
	}
	status = find_frames(list, &frames, &n);
	if (status != kIOReturnSuccess)
		return status;
	isoch = (struct isoch_request *)request_new(sizeof *isoch + n * sizeof isoch->frames[0], buffer, completion,
						    isoch_end);
	if (!isoch)
		return kIOReturnNoMemory;
	isoch->request.base.free = isoch_free;
	isoch->list = adxi_retain(list);
	isoch->out = frames;
	isoch->n = n;
	total = read_counts(isoch);
	if (total > UINT32_MAX)
		status = kIOReturnBadArgument;
	else
		status = request_buffer(buffer, (uint32_t)total, endpoint->address & 0x80, "IsochIO", &data);
	if (status != kIOReturnSuccess) {
		isoch_free(&isoch->request.base);
		return status;
	}
	isoch->request.base.transfer = (struct usb_transfer){
		.endpoint = endpoint->address, .type = endpoint->type, .length = (uint32_t)total, .data = data,
		.n_frames = n, .frames = isoch->frames, .first_frame = first_frame,
	};
	*ret_isoch = isoch;
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostPipe_IsochIO_Impl(IOUSBHostPipe *self, IOMemoryDescriptor *dataBuffer, IOMemoryDescriptor *frameList,
			   uint64_t firstFrameNumber, OSAction *completion)
{
	struct host_pipe *pipe = self->ivars->pipe;
	struct isoch_request *isoch;
	struct OSReply *reply = NULL;
	IOReturn status;

	status = prepare(pipe, dataBuffer, frameList, firstFrameNumber, completion, &isoch);
	if (status != kIOReturnSuccess)
		return status;
	if (!completion) {
		reply = isoch->request.reply = OSReplyDefer();
		if (!reply) {
			isoch_free(&isoch->request.base);
			return kIOReturnUnsupported;
		}
	}
	status = request_submit(&pipe->queue, &isoch->request, "IsochIO", pipe->interface->device);
	if (status != kIOReturnSuccess && reply)
		IOUSBHostPipe_IsochIO_Reply(reply, status);
	return status;
}
