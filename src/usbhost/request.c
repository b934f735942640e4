/* SPDX-License-Identifier: MIT */
/* What all requests of drivers share, and control requests. */

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rules.h"
#include "channel/channel.h"
#include "channel/memory_object.h"
#include "driverkit/host.h"
#include "object/containers.h"
#include "usbhost/nub.h"
#include "usbhost/request.h"
#include "usbhost/status.h"

struct request *
request_new(size_t size, IOMemoryDescriptor *buffer, OSAction *action,
	    void (*end)(struct host_request *, IOReturn, uint32_t, uint64_t))
{
	struct request *request = calloc(1, size);

	if (!request)
		return NULL;
	adxi_list_init(&request->base.link);
	request->base.end = end;
	request->base.free = request_free;
	request->action = adxi_retain(action);
	request->buffer = adxi_retain(buffer);
	return request;
}

void
request_free(struct host_request *base)
{
	struct request *request = (struct request *)base;

	adxi_release(request->buffer);
	adxi_release(request->action);
	free(request);
}

IOReturn
request_buffer(IOMemoryDescriptor *buffer, uint32_t length, bool in, const char *what, uint8_t **ret_data)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)buffer);
	uint32_t wanted = in ? ADXI_MEMORY_IN : ADXI_MEMORY_OUT, has;
	void *address;

	*ret_data = NULL;
	if (length == 0)
		return kIOReturnSuccess;
	/* Capacity: the driver's SetLength() is not a message, so the length here may be an old one. */
	if (!memory || adxi_memory_capacity(memory) < length) {
		(void)adxi_tell(ADXI_RULE_USB003, "%s of %u bytes with %s of %llu bytes", what, length,
				memory ? "a buffer" : "no buffer, which is one",
				memory ? (unsigned long long)adxi_memory_capacity(memory) : 0ull);
		return kIOReturnBadArgument;
	}
	has = adxi_memory_flags(memory) & ADXI_MEMORY_DIRECTIONS;
	if (!(has & wanted)) {
		(void)adxi_tell(ADXI_RULE_USB004, "%s moves data %s memory, and the buffer's direction is %s", what,
				in ? "into" : "out of",
				has == ADXI_MEMORY_IN ? "kIOMemoryDirectionIn" :
				has == ADXI_MEMORY_OUT ? "kIOMemoryDirectionOut" : "kIOMemoryDirectionNone");
		return kIOReturnBadArgument;
	}
	if (adxi_memory_address(memory, &address) < 0)
		return kIOReturnVMError;
	*ret_data = address;
	return kIOReturnSuccess;
}

static void
tell_refusal(IOReturn status, const char *what, struct host_device *device)
{
	switch (status) {
	case kIOReturnNotOpen:
		(void)adxi_tell(ADXI_RULE_USB002, "%s on %s at 0x%08x, which is not open", what, device->source,
				device->location);
		break;
	case kIOReturnNoDevice:
		/* A driver cannot know of an unplug before it hears of it. */
		if (!host_device_is_gone(device))
			(void)adxi_tell(ADXI_RULE_USB007, "%s on %s at 0x%08x, which has another setting now", what,
					device->source, device->location);
		break;
	case kIOReturnNoResources:
		(void)adxi_tell(ADXI_RULE_USB009, "%s on %s at 0x%08x with %u requests pending", what,
				device->source, device->location, HOST_QUEUE_MAX);
		break;
	default:
		break;
	}
}

OSAction *
request_action(const struct request *request)
{
	__atomic_fetch_and(&((OS_OBJECT *)request->action)->flags, ~OS_OBJECT_PENDING, __ATOMIC_RELAXED);
	return request->action;
}

/* An action has one reference storage, so it belongs to one request at a time. */
static bool
mark_pending(OSAction *action, uint8_t endpoint, const char *what, const struct host_device *device)
{
	if (!(__atomic_fetch_or(&((OS_OBJECT *)action)->flags, OS_OBJECT_PENDING, __ATOMIC_RELAXED) & OS_OBJECT_PENDING))
		return true;
	(void)adxi_tell(ADXI_RULE_T30, "%s on endpoint 0x%02x of %s at 0x%08x: its action is in another request that is pending", what,
			endpoint, device->source, device->location);
	return false;
}

IOReturn
request_submit(struct host_queue *queue, struct request *request, const char *what,
	       struct host_device *device)
{
	OSAction *action = request->action; /* the caller's message holds it */
	bool marked = action && mark_pending(action, request->base.transfer.endpoint, what, device);
	IOReturn status = host_queue_submit(queue, &request->base);

	if (status != kIOReturnSuccess && marked)
		__atomic_fetch_and(&((OS_OBJECT *)action)->flags, ~OS_OBJECT_PENDING, __ATOMIC_RELAXED);
	request_refused(queue, status, what, device);
	return status;
}

void
request_refused(struct host_queue *queue, IOReturn status, const char *what, struct host_device *device)
{
	/* A back end may know of an unplug before the host hears of it: no mistake of the driver's. */
	if (status != kIOReturnSuccess && (status != kIOReturnNoDevice || host_queue_refuses(queue) == status))
		tell_refusal(status, what, device);
}

/* ---------------------------------------------------------------------------------------------
 * Control requests
 */

struct control_request {
	struct request request;
	void (*answer)(struct OSReply *, IOReturn, uint16_t);
};

static void
control_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	struct control_request *control = (struct control_request *)base;

	if (control->request.action)
		IOUSBHostDevice_CompleteAsyncDeviceRequest(NULL, request_action(&control->request), status, actual);
	else
		control->answer(TAKE(control->request.reply), status, (uint16_t)actual);
}

#define TYPE_AND_RECIPIENT 0x7F

/* Requests after which the host would know something else than the device: type and recipient, number. */
static const uint8_t reserved_requests[][2] = {
	{ 0x00, USB_REQUEST_SET_ADDRESS },
	{ 0x00, USB_REQUEST_SET_CONFIGURATION },
	{ 0x01, USB_REQUEST_SET_INTERFACE },
};

static bool
is_reserved(const struct control *control)
{
	size_t i;

	for (i = 0; i < sizeof reserved_requests / sizeof reserved_requests[0]; i++)
		if ((control->type & TYPE_AND_RECIPIENT) == reserved_requests[i][0] &&
		    control->request == reserved_requests[i][1])
			return true;
	return false;
}

IOReturn
request_control(struct host_device *device, struct host_queue *queue, const struct control *control,
		OSAction *completion, void (*answer)(struct OSReply *, IOReturn, uint16_t))
{
	struct control_request *request;
	struct OSReply *reply = NULL;
	IOReturn status;
	uint8_t *data;

	if (!completion && !answer)
		return kIOReturnBadArgument;
	if (is_reserved(control)) {
		(void)adxi_tell(ADXI_RULE_USB008, "bmRequestType 0x%02x bRequest %u for %s at 0x%08x", control->type,
				control->request, device->source, device->location);
		return kIOReturnNotPermitted;
	}
	status = request_buffer(control->buffer, control->length, control->type & 0x80, "a control request", &data);
	if (status != kIOReturnSuccess)
		return status;
	request = (struct control_request *)request_new(sizeof *request, control->buffer, completion, control_end);
	if (!request)
		return kIOReturnNoMemory;
	request->request.base.transfer = (struct usb_transfer){
		.type = USB_CONTROL,
		.setup = { control->type, control->request, (uint8_t)control->value,
			   (uint8_t)(control->value >> 8), (uint8_t)control->index,
			   (uint8_t)(control->index >> 8), (uint8_t)control->length,
			   (uint8_t)(control->length >> 8) },
		.length = control->length,
		.timeout_ms = control->timeout_ms,
		.data = data,
	};
	if (!completion) {
		reply = OSReplyDefer();
		if (!reply) {
			request_free(&request->request.base);
			return kIOReturnUnsupported; /* nobody to answer: a call inside this process */
		}
		request->request.reply = reply;
		request->answer = answer;
	}
	status = request_submit(queue, &request->request, "a control request", device);
	if (status != kIOReturnSuccess && reply)
		answer(reply, status, 0);
	return status;
}

struct abort {
	struct host_barrier barrier;
	struct OSReply *reply;   /* owned until done */
	struct host_ref *owner;  /* owned reference: the queue's */
	void (*answer)(struct OSReply *, IOReturn);
};

static void
abort_done(struct host_barrier *barrier)
{
	struct abort *abort = (struct abort *)barrier;

	abort->answer(abort->reply, kIOReturnSuccess);
	(void)host_unref(abort->owner);
	free(abort);
}

IOReturn
request_abort(struct host_queue *queue, IOOptionBits options, IOReturn error,
	      void (*answer)(struct OSReply *, IOReturn))
{
	struct abort *abort = NULL;

	if (options & ~(IOOptionBits)kIOUSBAbortSynchronous)
		return kIOReturnBadArgument;
	if (error == kIOReturnSuccess)
		error = kIOReturnAborted;
	if (options & kIOUSBAbortSynchronous) {
		abort = calloc(1, sizeof *abort);
		if (!abort)
			return kIOReturnNoMemory;
		abort->reply = OSReplyDefer();
		if (!abort->reply) {
			free(abort);
			return kIOReturnUnsupported;
		}
		abort->answer = answer;
		abort->owner = host_ref(queue->owner);
		host_barrier_init(&abort->barrier, abort_done);
	}
	host_queue_abort(queue, error, abort ? &abort->barrier : NULL);
	if (abort)
		host_barrier_leave(&abort->barrier);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Sessions
 */

static IOReturn
gone_or_closed(struct host_device *device, const char *what)
{
	IOReturn status = host_device_is_gone(device) ? kIOReturnNoDevice : kIOReturnNotOpen;

	tell_refusal(status, what, device);
	return status;
}

/* The session is open, and by the process that calls. */
static bool
is_callers(struct host_device *device, const struct host_session *session, const void *client)
{
	const struct adxi_channel *caller = adxi_host_caller();
	bool is;

	(void)pthread_mutex_lock(&device->lock);
	is = session->state == HOST_OPEN && (!client || session->client == client) &&
	     (!caller || adxi_channel_of(session->client) == caller);
	(void)pthread_mutex_unlock(&device->lock);
	return is;
}

IOReturn
request_device_open(struct host_device *device, IOService *client, const char *what)
{
	return is_callers(device, &device->session, client) ? kIOReturnSuccess : gone_or_closed(device, what);
}

IOReturn
request_interface_open(struct host_interface *interface, const char *what)
{
	return is_callers(interface->device, &interface->session, NULL) ? kIOReturnSuccess
									 : gone_or_closed(interface->device, what);
}

IOReturn
request_frame_number(struct host_device *device, uint64_t *frame, uint64_t *time)
{
	uint64_t ns;
	int r = -ENOTSUP;

	if (device->ops->current_frame)
		r = device->ops->current_frame(device->backend, frame, &ns);
	if (r == -ENOTSUP && !host_device_is_gone(device)) {
		/* The bus does not tell: a frame is a millisecond, counted from the clock's beginning. */
		*frame = adxi_now_ns() / ADXI_NS_PER_MS;
		ns = *frame * ADXI_NS_PER_MS;
		r = 0;
	}
	if (r == 0 && time)
		*time = ns;
	return host_device_is_gone(device) ? kIOReturnNoDevice : usb_error_return(r);
}

IOReturn
request_port_status(struct host_device *device, uint32_t *status)
{
	if (host_device_is_gone(device))
		return kIOReturnNoDevice;
	*status = kIOUSBHostPortStatusPortTypeStandard | kIOUSBHostPortStatusEnabled |
		  (uint32_t)device->speed << kIOUSBHostPortStatusConnectedSpeedPhase;
	return kIOReturnSuccess;
}
