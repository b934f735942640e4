/* SPDX-License-Identifier: MIT */
/* One transfer's way through libusb and back. */

#include "usbhost/libusb/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* fails for no valid clock */
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static struct flight *
flight_free(struct flight *flight)
{
	if (!flight)
		return NULL;
	if (flight->usb)
		libusb_free_transfer(flight->usb);
	free(flight->control);
	free(flight);
	return NULL;
}

/* Isochronous ones carry their frames in the libusb transfer and are made to measure. */
static struct flight *
flight_new(struct usb_backend *backend, uint32_t n_frames)
{
	struct flight *flight = NULL;

	if (n_frames == 0) {
		pthread_mutex_lock(&backend->lock);
		flight = backend->spare;
		if (flight)
			backend->spare = flight->next;
		pthread_mutex_unlock(&backend->lock);
	}
	if (flight)
		return flight;
	flight = calloc(1, sizeof *flight);
	if (!flight)
		return NULL;
	flight->usb = libusb_alloc_transfer(n_frames);
	return flight->usb ? flight : flight_free(flight);
}

/* Back into the drawer. */
static void
flight_put(struct usb_backend *backend, struct flight *flight)
{
	if (flight->usb->num_iso_packets > 0) {
		flight_free(flight);
		return;
	}
	free(flight->control);
	*flight = (struct flight){ .usb = flight->usb };
	pthread_mutex_lock(&backend->lock);
	flight->next = backend->spare;
	backend->spare = flight;
	pthread_mutex_unlock(&backend->lock);
}

void
real_transfer_free_spare(struct usb_backend *backend)
{
	for (struct flight *flight; (flight = backend->spare);) {
		backend->spare = flight->next;
		flight_free(flight);
	}
}

static enum usb_status
status_of(enum libusb_transfer_status status)
{
	switch (status) {
	case LIBUSB_TRANSFER_COMPLETED:
		return USB_OK;
	case LIBUSB_TRANSFER_STALL:
		return USB_STALL;
	case LIBUSB_TRANSFER_TIMED_OUT:
		return USB_TIMEOUT;
	case LIBUSB_TRANSFER_CANCELLED:
		return USB_CANCELLED;
	case LIBUSB_TRANSFER_NO_DEVICE:
		return USB_NO_DEVICE;
	case LIBUSB_TRANSFER_OVERFLOW:
		return USB_OVERFLOW;
	case LIBUSB_TRANSFER_ERROR:
		break;
	}
	return USB_IO_ERROR;
}

static void
read_frames(struct flight *flight)
{
	const struct libusb_iso_packet_descriptor *packets = flight->usb->iso_packet_desc;

	flight->actual = 0;
	for (uint32_t i = 0; i < flight->core->n_frames; i++) {
		flight->core->frames[i].actual = packets[i].actual_length;
		flight->core->frames[i].status = status_of(packets[i].status);
		flight->actual += packets[i].actual_length;
	}
}

static void
queue_done(struct usb_backend *backend, struct flight *flight)
{
	pthread_mutex_lock(&backend->lock);
	flight->next = NULL;
	*backend->done_end = flight;
	backend->done_end = &flight->next;
	pthread_mutex_unlock(&backend->lock);
}

/* Events thread, inside libusb. */
static void LIBUSB_CALL
on_landed(struct libusb_transfer *usb)
{
	struct flight *flight = usb->user_data;
	struct usb_device *device = flight->device;
	struct usb_backend *backend = device->backend;

	flight->time_ns = now_ns();
	flight->status = status_of(usb->status);
	flight->actual = usb->actual_length > 0 ? usb->actual_length : 0;
	if (flight->core->n_frames > 0)
		read_frames(flight);
	else if (flight->control && flight->core->setup[0] & 0x80)
		memcpy(flight->core->data, flight->control + LIBUSB_CONTROL_SETUP_SIZE,
		       flight->actual);

	pthread_mutex_lock(&device->lock);
	*(flight->prev ? &flight->prev->next : &device->flying) = flight->next;
	if (flight->next)
		flight->next->prev = flight->prev;
	/* An endpoint that a change of settings takes away ends its transfers with ESHUTDOWN, as
	 * unplugging does. */
	if (flight->flushed && flight->status != USB_OK && !device->gone)
		flight->status = USB_CANCELLED;
	else if (flight->status == USB_CANCELLED && device->gone)
		flight->status = USB_NO_DEVICE;
	pthread_mutex_unlock(&device->lock);

	queue_done(backend, flight);
}

static void
complete(struct usb_backend *backend, struct flight *flight)
{
	struct usb_device *device = flight->device; /* its reference is now ours */
	struct usb_transfer *transfer = flight->core;
	enum usb_status status = flight->status;
	uint32_t actual = flight->actual;
	uint64_t time_ns = flight->time_ns;

	/* From here on cancel finds nothing. */
	pthread_mutex_lock(&device->lock);
	transfer->backend = NULL;
	pthread_mutex_unlock(&device->lock);
	flight_put(backend, flight);
	transfer->complete(transfer, status, actual, time_ns);
	pthread_mutex_lock(&device->lock);
	if (--device->n_flying == 0)
		pthread_cond_broadcast(&device->landed);
	pthread_mutex_unlock(&device->lock);
	real_device_unref(device);
}

void
real_transfer_deliver(struct usb_backend *backend)
{
	for (;;) {
		struct flight *flight;

		pthread_mutex_lock(&backend->lock);
		flight = backend->done;
		if (flight)
			backend->done = flight->next;
		if (!backend->done)
			backend->done_end = &backend->done;
		if (flight)
			flight->core->more = backend->done != NULL; /* nobody else takes it */
		pthread_mutex_unlock(&backend->lock);
		if (!flight)
			return;
		complete(backend, flight);
	}
}

/* Is this a transfer that the current settings know? Control is checked by itself. */
static bool
is_acceptable(const struct usb_device *device, const struct usb_transfer *transfer)
{
	const struct usb_setting_endpoint *endpoint =
		&device->settings.endpoints[usb_endpoint_index(transfer->endpoint)];
	uint64_t sum = 0;

	if (!endpoint->present || endpoint->address != transfer->endpoint ||
	    endpoint->type != transfer->type ||
	    !real_device_is_claimed(device, endpoint->interface))
		return false;
	if (transfer->type != USB_ISOCHRONOUS)
		return transfer->n_frames == 0;
	if (transfer->n_frames == 0 || transfer->n_frames > INT_MAX || !transfer->frames)
		return false;
	for (uint32_t i = 0; i < transfer->n_frames; i++)
		sum += transfer->frames[i].length;
	return sum <= transfer->length;
}

/* Requests that change what the kernel must know go through its own calls. 1: it was one and
 * *ret_status says how it ended; 0: it was none. */
static int
divert_request(struct usb_device *device, const uint8_t setup[8], enum usb_status *ret_status)
{
	uint16_t value = usb_get_u16(setup + 2), index = usb_get_u16(setup + 4);
	int r;

	if (setup[0] == 0 && setup[1] == USB_REQUEST_SET_CONFIGURATION)
		r = value < 256 ? real_device_set_configuration(device, value) : -EINVAL;
	else if (setup[0] == 1 && setup[1] == USB_REQUEST_SET_INTERFACE)
		r = value < 256 && index < 256 ? real_device_set_alternate(device, index, value)
					       : -EINVAL;
	else if (setup[0] == 2 && setup[1] == USB_REQUEST_CLEAR_FEATURE &&
		 value == USB_FEATURE_ENDPOINT_HALT && index & 0xF)
		r = real_device_clear_halt(device, index, true);
	else if (setup[0] == 0 && setup[1] == USB_REQUEST_SET_ADDRESS)
		r = -EPIPE;
	else
		return 0;
	if (r == -ENODEV || r == -EACCES)
		return r;
	*ret_status = r == 0 ? USB_OK : USB_STALL;
	return 1;
}

/* A transfer that is over before it flew: the events thread tells, in its turn. */
static int
land_at_once(struct usb_device *device, struct flight *flight, enum usb_status status)
{
	pthread_mutex_lock(&device->lock);
	if (device->gone) {
		pthread_mutex_unlock(&device->lock);
		return -ENODEV;
	}
	device->n_flying++;
	pthread_mutex_unlock(&device->lock);
	flight->time_ns = now_ns();
	flight->status = status;
	queue_done(device->backend, flight);
	libusb_interrupt_event_handler(device->backend->context);
	return 0;
}

static int
prepare_control(struct flight *flight)
{
	const struct usb_transfer *transfer = flight->core;

	/* libusb wants setup and data in one piece. */
	flight->control = malloc(LIBUSB_CONTROL_SETUP_SIZE + transfer->length);
	if (!flight->control)
		return -ENOMEM;
	memcpy(flight->control, transfer->setup, LIBUSB_CONTROL_SETUP_SIZE);
	if (!(transfer->setup[0] & 0x80) && transfer->length > 0)
		memcpy(flight->control + LIBUSB_CONTROL_SETUP_SIZE, transfer->data,
		       transfer->length);
	flight->usb->buffer = flight->control;
	flight->usb->length = LIBUSB_CONTROL_SETUP_SIZE + transfer->length;
	return 0;
}

static void
prepare_frames(struct flight *flight)
{
	const struct usb_transfer *transfer = flight->core;

	flight->usb->num_iso_packets = transfer->n_frames;
	for (uint32_t i = 0; i < transfer->n_frames; i++)
		flight->usb->iso_packet_desc[i].length = transfer->frames[i].length;
}

/* ops_lock held. On failure the flight is still the caller's. */
static int
launch(struct usb_device *device, struct flight *flight)
{
	struct usb_transfer *transfer = flight->core;
	struct libusb_transfer *usb = flight->usb;
	int r;

	*usb = (struct libusb_transfer){
		.dev_handle = device->handle,
		.endpoint = transfer->endpoint,
		.type = transfer->type,
		.timeout = transfer->timeout_ms,
		.buffer = transfer->data,
		.length = transfer->length,
		.callback = on_landed,
		.user_data = flight,
	};
	r = transfer->type == USB_CONTROL ? prepare_control(flight) : 0;
	if (r < 0)
		return r;
	if (transfer->type == USB_ISOCHRONOUS)
		prepare_frames(flight);

	pthread_mutex_lock(&device->lock);
	if (device->gone) {
		pthread_mutex_unlock(&device->lock);
		return -ENODEV;
	}
	flight->next = device->flying;
	flight->prev = NULL;
	if (device->flying)
		device->flying->prev = flight;
	device->flying = flight;
	device->n_flying++;
	transfer->backend = flight;
	pthread_mutex_unlock(&device->lock);

	/* From here on it may complete: flight and transfer are ours again only if this fails. */
	r = libusb_submit_transfer(usb);
	if (r == 0)
		return 0;
	pthread_mutex_lock(&device->lock);
	transfer->backend = NULL;
	*(flight->prev ? &flight->prev->next : &device->flying) = flight->next;
	if (flight->next)
		flight->next->prev = flight->prev;
	if (r == LIBUSB_ERROR_NO_DEVICE)
		device->gone = true;
	if (--device->n_flying == 0)
		pthread_cond_broadcast(&device->landed);
	pthread_mutex_unlock(&device->lock);
	return real_errno_of(r);
}

int
real_transfer_submit(struct usb_device *device, struct usb_transfer *transfer)
{
	bool control = usb_endpoint_index(transfer->endpoint) == 0;
	enum usb_status status = USB_OK;
	struct flight *flight;
	int r = 0;

	if ((transfer->length > 0 && !transfer->data) || transfer->length > INT_MAX ||
	    (control && (transfer->type != USB_CONTROL ||
			 usb_get_u16(transfer->setup + 6) != transfer->length)))
		return -EINVAL;
	flight = flight_new(device->backend, transfer->n_frames);
	if (!flight)
		return -ENOMEM;
	flight->device = real_device_ref(device);
	flight->core = transfer;

	if (control)
		r = divert_request(device, transfer->setup, &status);
	if (r > 0) {
		r = land_at_once(device, flight, status);
	} else if (r == 0) {
		pthread_mutex_lock(&device->ops_lock);
		r = real_device_open_locked(device);
		if (r == 0 && !control && !is_acceptable(device, transfer))
			r = -EINVAL;
		if (r == 0)
			r = launch(device, flight);
		pthread_mutex_unlock(&device->ops_lock);
	}
	if (r < 0) {
		flight_put(device->backend, flight);
		real_device_unref(device);
	}
	return r;
}

void
real_transfer_cancel(struct usb_device *device, struct usb_transfer *transfer)
{
	struct flight *flight;

	/* ops_lock: a transfer that another thread is just submitting is waited for, or libusb
	 * would not know it. lock: a flight is not reused before its transfer forgot it. */
	pthread_mutex_lock(&device->ops_lock);
	pthread_mutex_lock(&device->lock);
	flight = transfer->backend;
	if (flight)
		(void) libusb_cancel_transfer(flight->usb); /* not found: it has just landed */
	pthread_mutex_unlock(&device->lock);
	pthread_mutex_unlock(&device->ops_lock);
}

void
real_transfer_flush(struct usb_device *device, uint32_t pipes)
{
	pthread_mutex_lock(&device->lock);
	for (struct flight *flight = device->flying; flight; flight = flight->next) {
		if (!(pipes >> usb_endpoint_index(flight->core->endpoint) & 1))
			continue;
		flight->flushed = true;
		(void) libusb_cancel_transfer(flight->usb); /* as above */
	}
	pthread_mutex_unlock(&device->lock);
}
