/* SPDX-License-Identifier: MIT */
/* One simulated device: queues, asking the model, and telling the core what came of it. */

#include "usbhost/model/engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#define NS_PER_MS 1000000ull

/* The device whose lock this thread holds: tells a model's own call from one out of the blue. */
static _Thread_local struct usb_device *inside;

/*
 * Lists
 */

static void
list_append(struct request_list *list, struct request *request)
{
	request->next = NULL;
	request->prev = list->last;
	*(list->last ? &list->last->next : &list->first) = request;
	list->last = request;
}

static void
list_remove(struct request_list *list, struct request *request)
{
	*(request->prev ? &request->prev->next : &list->first) = request->next;
	*(request->next ? &request->next->prev : &list->last) = request->prev;
}

/* Most transfers of a device share one timeout, so the place is nearly always at the end. */
static void
deadline_insert(struct request_list *list, struct request *request)
{
	struct request *after = list->last;

	while (after && after->deadline_ns > request->deadline_ns)
		after = after->sooner;
	request->sooner = after;
	request->later = after ? after->later : list->first;
	*(request->sooner ? &request->sooner->later : &list->first) = request;
	*(request->later ? &request->later->sooner : &list->last) = request;
}

static void
deadline_remove(struct request_list *list, struct request *request)
{
	*(request->sooner ? &request->sooner->later : &list->first) = request->later;
	*(request->later ? &request->later->sooner : &list->last) = request->sooner;
	request->deadline_ns = 0;
}

/*
 * Life
 */

struct usb_device *
model_device_ref(struct usb_device *device)
{
	atomic_fetch_add_explicit(&device->n_refs, 1, memory_order_relaxed);
	return device;
}

/* Copes with a half-built device. */
static struct usb_device *
device_free(struct usb_device *device)
{
	struct usb_backend *backend = device->backend;

	for (struct request *request; (request = device->spare);) {
		device->spare = request->next;
		free(request);
	}
	free(device->state);
	free(device->serial);
	if (device->object)
		(void) dlclose(device->object); /* nothing to do about a failure */
	pthread_mutex_destroy(&device->lock);
	free(device);
	atomic_fetch_sub(&backend->n_devices, 1);
	model_backend_unref(backend);
	return NULL;
}

struct usb_device *
model_device_unref(struct usb_device *device)
{
	if (!device || atomic_fetch_sub_explicit(&device->n_refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	return device_free(device);
}

struct usb_device *
model_device_new(struct usb_backend *backend)
{
	struct usb_device *device;

	device = calloc(1, sizeof *device);
	if (!device)
		return NULL;
	device->handle.host = &model_device_host;
	device->backend = model_backend_ref(backend);
	atomic_init(&device->n_refs, 1);
	pthread_mutex_init(&device->lock, NULL);
	if (model_timer_reserve(&backend->timer, atomic_fetch_add(&backend->n_devices, 1) + 1) < 0)
		return model_device_unref(device);
	return device;
}

void
model_device_enter(struct usb_device *device)
{
	pthread_mutex_lock(&device->lock);
	inside = device;
}

/* Calls the completions of one pipe, in order, until there are none. Another thread that finds more
 * to deliver meanwhile, or this one from inside complete, leaves it to this loop. */
static void
deliver(struct usb_device *device, unsigned index)
{
	struct pipe *pipe = &device->pipes[index];
	uint32_t bit = 1u << index;
	struct request *request;

	device->delivering_mask |= bit;
	while ((request = pipe->done.first)) {
		struct usb_transfer *transfer = request->transfer;
		enum usb_status status = request->status;
		uint32_t actual = request->actual;
		uint64_t time_ns = request->time_ns;

		list_remove(&pipe->done, request);
		request->next = device->spare;
		device->spare = request;
		transfer->backend = NULL;
		inside = NULL;
		pthread_mutex_unlock(&device->lock);
		transfer->complete(transfer, status, actual, time_ns);
		model_device_enter(device);
	}
	device->done_mask &= ~bit;
	device->delivering_mask &= ~bit;
}

/* The core's last word about the device. */
static void
tell_detached(struct usb_device *device)
{
	device->life = DEVICE_TOLD;
	device->telling = true;
	inside = NULL;
	pthread_mutex_unlock(&device->lock);
	device->backend->events->detached(device->backend->core, device->core_device);
	model_device_enter(device);
	device->telling = false;
}

static void
arm(struct usb_device *device)
{
	uint64_t next = device->wake_ns;

	if (device->deadlines.first && (!next || device->deadlines.first->deadline_ns < next))
		next = device->deadlines.first->deadline_ns;
	if (next && (!device->armed_ns || next < device->armed_ns)) {
		device->armed_ns = next;
		model_timer_arm(&device->backend->timer, device, next);
	}
}

void
model_device_leave(struct usb_device *device)
{
	bool forget, held;

	if (device->vanish)
		model_device_unplug(device);
	held = device->done_mask || device->gone;
	/* The core may let go of the device while we are inside its functions. */
	if (held)
		(void) model_device_ref(device);
	for (uint32_t mask; (mask = device->done_mask & ~device->delivering_mask);)
		deliver(device, __builtin_ctz(mask));
	if (device->gone && device->life == DEVICE_LIVE)
		tell_detached(device);
	forget = device->gone && device->life == DEVICE_TOLD && !device->telling &&
		 !device->delivering_mask && !device->forgotten;
	if (forget)
		device->forgotten = true;
	if (!device->gone)
		arm(device);
	inside = NULL;
	pthread_mutex_unlock(&device->lock);
	if (forget)
		model_backend_forget(device->backend, device);
	if (held)
		model_device_unref(device);
}

/*
 * Requests
 */

static void
finish(struct usb_device *device, struct request *request, enum usb_status status)
{
	unsigned index = usb_endpoint_index(request->transfer->endpoint);
	struct pipe *pipe = &device->pipes[index];

	if (request->queued)
		list_remove(&pipe->queue, request);
	request->queued = false;
	if (request->deadline_ns)
		deadline_remove(&device->deadlines, request);
	request->status = status;
	request->time_ns = model_timer_now_ns(&device->backend->timer);
	list_append(&pipe->done, request);
	device->done_mask |= 1u << index;
}

void
model_device_flush(struct usb_device *device, uint32_t pipes, enum usb_status status)
{
	for (; pipes; pipes &= pipes - 1) {
		struct pipe *pipe = &device->pipes[__builtin_ctz(pipes)];

		while (pipe->queue.first)
			finish(device, pipe->queue.first, status);
	}
}

void
model_device_unplug(struct usb_device *device)
{
	if (device->gone)
		return;
	device->gone = true;
	model_timer_remove(&device->backend->timer, device);
	model_device_flush(device, ~0u, USB_NO_DEVICE);
	usb_settings_configure(&device->settings, NULL);
	if (device->model->detach)
		device->model->detach(&device->handle, device->state);
}

/* One question to the model, about what a transfer has left. */
static int
ask(struct usb_device *device, const struct request *request)
{
	const struct usb_transfer *transfer = request->transfer;
	const struct usb_model *model = device->model;
	uint8_t *data = transfer->data ? transfer->data + request->actual : NULL;
	uint32_t length = transfer->length - request->actual;
	int r;

	if (transfer->type == USB_CONTROL) {
		r = model_standard_request(device, transfer->setup, data, length);
		if (r != STANDARD_NOT_MINE)
			return r;
		return model->control ? model->control(&device->handle, device->state,
						       transfer->setup, data, length)
				      : USB_MODEL_STALL;
	}
	if (transfer->endpoint & 0x80)
		return model->in ? model->in(&device->handle, device->state, transfer->endpoint,
					     data, length)
				 : USB_MODEL_NAK;
	return model->out ? model->out(&device->handle, device->state, transfer->endpoint, data,
				       length)
			  : USB_MODEL_NAK;
}

static bool
is_in(const struct usb_transfer *transfer)
{
	return (transfer->type == USB_CONTROL ? transfer->setup[0] : transfer->endpoint) & 0x80;
}

/* Takes what the model answered. False: the request stays, to be asked again later. */
static bool
answer(struct usb_device *device, struct request *request, int answered)
{
	const struct usb_transfer *transfer = request->transfer;
	uint32_t left = transfer->length - request->actual;
	bool more;

	switch (answered) {
	case USB_MODEL_NAK:
		return false;
	case USB_MODEL_STALL:
		if (transfer->type == USB_CONTROL) {
			finish(device, request, USB_STALL);
			return true;
		}
		device->pipes[usb_endpoint_index(transfer->endpoint)].halted = true;
		model_device_flush(device, 1u << usb_endpoint_index(transfer->endpoint), USB_STALL);
		return true;
	case USB_MODEL_BABBLE:
		request->actual = transfer->length;
		finish(device, request, USB_OVERFLOW);
		return true;
	case USB_MODEL_VANISH:
		model_device_unplug(device);
		return true;
	}
	more = answered > 0 && answered & USB_MODEL_MORE;
	if (more)
		answered &= ~USB_MODEL_MORE;
	if (answered < 0 || (uint32_t) answered > left) {
		finish(device, request,
		       answered < 0 || !is_in(transfer) ? USB_IO_ERROR : USB_OVERFLOW);
		return true;
	}
	request->actual += answered;
	if (more && (uint32_t) answered < left)
		return false;
	finish(device, request,
	       is_in(transfer) || (uint32_t) answered == left ? USB_OK : USB_IO_ERROR);
	return true;
}

void
model_device_serve(struct usb_device *device, uint32_t pipes)
{
	for (;;) {
		struct pipe *pipe;

		if (device->vanish)
			model_device_unplug(device);
		if (device->gone)
			return;
		if (atomic_load_explicit(&device->ready, memory_order_relaxed))
			pipes |= atomic_exchange(&device->ready, 0);
		if (!pipes)
			return;
		pipe = &device->pipes[__builtin_ctz(pipes)];
		pipes &= pipes - 1;
		while (pipe->queue.first &&
		       answer(device, pipe->queue.first, ask(device, pipe->queue.first)))
			;
	}
}

/* Ends one request early. The next in line may want something else of the model, so it is asked. */
static void
end_early(struct usb_device *device, struct request *request, enum usb_status status)
{
	unsigned index = usb_endpoint_index(request->transfer->endpoint);
	bool was_first = device->pipes[index].queue.first == request;

	finish(device, request, status);
	if (was_first)
		model_device_serve(device, 1u << index);
}

void
model_device_due(struct usb_device *device, uint64_t now_ns)
{
	while (device->deadlines.first && device->deadlines.first->deadline_ns <= now_ns)
		end_early(device, device->deadlines.first, USB_TIMEOUT);
	if (device->gone || !device->wake_ns || device->wake_ns > now_ns)
		return;
	device->wake_ns = 0;
	if (device->model->woken)
		device->model->woken(&device->handle, device->state, now_ns);
	model_device_serve(device, ~0u);
}

void
model_device_cancel(struct usb_device *device, struct usb_transfer *transfer)
{
	struct request *request = transfer->backend;

	if (request && request->queued)
		end_early(device, request, USB_CANCELLED);
}

bool
model_device_is_claimed(const struct usb_device *device, uint8_t interface)
{
	return device->claimed[interface / 32] >> interface % 32 & 1;
}

/* Is this a transfer that the current settings know? */
static bool
is_acceptable(const struct usb_device *device, const struct usb_transfer *transfer)
{
	unsigned index = usb_endpoint_index(transfer->endpoint);
	const struct usb_setting_endpoint *endpoint = &device->settings.endpoints[index];

	if ((transfer->length > 0 && !transfer->data) || transfer->length >= USB_MODEL_MORE)
		return false;
	if (index == 0)
		return transfer->type == USB_CONTROL &&
		       usb_get_u16(transfer->setup + 6) == transfer->length;
	return endpoint->present && endpoint->address == transfer->endpoint &&
	       endpoint->type == transfer->type &&
	       model_device_is_claimed(device, endpoint->interface);
}

int
model_device_submit(struct usb_device *device, struct usb_transfer *transfer)
{
	unsigned index = usb_endpoint_index(transfer->endpoint);
	struct pipe *pipe = &device->pipes[index];
	struct request *request = device->spare;
	bool is_first;

	if (device->gone)
		return -ENODEV;
	if (!is_acceptable(device, transfer))
		return -EINVAL;
	if (request)
		device->spare = request->next;
	else if (!(request = malloc(sizeof *request)))
		return -ENOMEM;
	*request = (struct request){ .transfer = transfer };
	transfer->backend = request;
	if (pipe->halted) {
		finish(device, request, USB_STALL);
		return 0;
	}
	is_first = !pipe->queue.first;
	request->queued = true;
	list_append(&pipe->queue, request);
	if (is_first)
		model_device_serve(device, 1u << index);
	if (request->queued && transfer->timeout_ms) {
		request->deadline_ns = model_timer_now_ns(&device->backend->timer) +
				       transfer->timeout_ms * NS_PER_MS;
		deadline_insert(&device->deadlines, request);
	}
	return 0;
}

/*
 * What models call
 */

static void
host_ready(struct usb_model_device *handle, uint8_t endpoint)
{
	struct usb_device *device = (struct usb_device *) handle;

	atomic_fetch_or(&device->ready, 1u << usb_endpoint_index(endpoint));
	if (inside == device)
		return; /* whoever called the model looks at it */
	model_device_enter(device);
	model_device_serve(device, 0);
	model_device_leave(device);
}

static void
host_wake_at(struct usb_model_device *handle, uint64_t deadline_ns)
{
	((struct usb_device *) handle)->wake_ns = deadline_ns;
}

static uint64_t
host_now_ns(struct usb_model_device *handle)
{
	return model_timer_now_ns(&((struct usb_device *) handle)->backend->timer);
}

static void
host_unplug(struct usb_model_device *handle)
{
	((struct usb_device *) handle)->vanish = true;
}

const struct usb_model_host model_device_host = {
	.ready = host_ready,
	.wake_at = host_wake_at,
	.now_ns = host_now_ns,
	.unplug = host_unplug,
};
