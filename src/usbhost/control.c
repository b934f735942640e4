/* SPDX-License-Identifier: MIT */
/* The host's own requests on endpoint 0: descriptors, and what is kept of them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "usbhost/core.h"
#include "usbhost/status.h"

#define READ_TIMEOUT_MS 1000u
#define LANGUAGE_ENGLISH 0x0409

/* GET_DESCRIPTOR on its way. */
struct read {
	struct host_request request;
	struct host_device *device;   /* owned reference */
	uint8_t request_type, type, index;
	uint16_t language, maximum;
	host_descriptor_done *done;
	void *context;
	uint8_t bytes[];
};

static void
read_free(struct host_request *request)
{
	struct read *read = (struct read *)request;

	(void)host_unref(read->device);
	free(read);
}

/* What never changes: the standard descriptors of the device, not of an interface or endpoint. */
static bool
may_keep(const struct read *read)
{
	return read->request_type == 0x80 && (read->type == USB_DESCRIPTOR_STRING || read->type == USB_DESCRIPTOR_BOS);
}

static void
keep(const struct read *read, uint16_t length)
{
	struct host_device *device = read->device;
	struct host_descriptor *kept = malloc(sizeof *kept + length);

	if (!kept)
		return; /* it is read again then */
	kept->type = read->type;
	kept->index = read->index;
	kept->language = read->language;
	kept->length = length;
	memcpy(kept->bytes, read->bytes, length);
	adxi_list_init(&kept->link);
	(void)pthread_mutex_lock(&device->lock);
	adxi_list_append(&device->descriptors, &kept->link);
	(void)pthread_mutex_unlock(&device->lock);
}

static void
read_end(struct host_request *request, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	struct read *read = (struct read *)request;
	uint16_t length = (uint16_t)actual;

	/* The length that a descriptor states is never more than what is there. */
	if (status == kIOReturnSuccess && read->type != USB_DESCRIPTOR_BOS && length >= 2 &&
	    read->request_type == 0x80 && read->bytes[0] < length)
		length = read->bytes[0];
	if (status == kIOReturnSuccess && read->request_type == 0x80 &&
	    (length < 2 || read->bytes[1] != read->type || read->bytes[0] > length))
		status = kIOReturnNotFound; /* an answer that is no descriptor of that kind */
	if (status == kIOReturnSuccess && may_keep(read) && read->maximum >= 255)
		keep(read, length);
	read->done(read->context, status, status == kIOReturnSuccess ? read->bytes : NULL,
		   status == kIOReturnSuccess ? length : 0);
}

/* The device's own, and configurations: they came with the device. */
static bool
known_descriptor(struct host_device *device, uint8_t type, uint8_t index, const uint8_t **ret_bytes,
		 uint16_t *ret_length)
{
	if (type == USB_DESCRIPTOR_DEVICE && index == 0) {
		*ret_bytes = device->descriptor;
		*ret_length = sizeof device->descriptor;
		return true;
	}
	if (type == USB_DESCRIPTOR_CONFIGURATION && index < device->n_configurations) {
		*ret_bytes = device->configurations[index];
		*ret_length = usb_get_u16(*ret_bytes + 2);
		return true;
	}
	return false;
}

static struct host_descriptor *
find_kept(struct host_device *device, uint8_t type, uint8_t index, uint16_t language)
{
	struct host_descriptor *kept, *found = NULL;

	/* Kept ones are never taken out before the device ends. */
	(void)pthread_mutex_lock(&device->lock);
	ADXI_LIST_EACH(kept, &device->descriptors, link)
		if (kept->type == type && kept->index == index && kept->language == language)
			found = kept;
	(void)pthread_mutex_unlock(&device->lock);
	return found;
}

void
host_get_descriptor(struct host_device *device, uint8_t request_type, uint8_t type, uint8_t index, uint16_t language,
		    uint16_t maximum, host_descriptor_done *done, void *context)
{
	struct host_descriptor *kept;
	const uint8_t *bytes;
	struct read *read;
	uint16_t length;
	IOReturn r;

	if (host_device_is_gone(device)) {
		done(context, kIOReturnNoDevice, NULL, 0);
		return;
	}
	if (request_type == 0x80 && known_descriptor(device, type, index, &bytes, &length)) {
		done(context, kIOReturnSuccess, bytes, length < maximum ? length : maximum);
		return;
	}
	kept = request_type == 0x80 ? find_kept(device, type, index, language) : NULL;
	if (kept) {
		done(context, kIOReturnSuccess, kept->bytes, kept->length < maximum ? kept->length : maximum);
		return;
	}
	if (maximum == 0) {
		done(context, kIOReturnBadArgument, NULL, 0);
		return;
	}
	read = calloc(1, sizeof *read + maximum);
	if (!read) {
		done(context, kIOReturnNoMemory, NULL, 0);
		return;
	}
	adxi_list_init(&read->request.link);
	read->request.transfer = (struct usb_transfer){
		.type = USB_CONTROL,
		.setup = { request_type, USB_REQUEST_GET_DESCRIPTOR, index, type, (uint8_t)language,
			   (uint8_t)(language >> 8), (uint8_t)maximum, (uint8_t)(maximum >> 8) },
		.length = maximum,
		.timeout_ms = READ_TIMEOUT_MS,
		.data = read->bytes,
	};
	read->request.end = read_end;
	read->request.free = read_free;
	read->device = host_ref(device);
	read->request_type = request_type;
	read->type = type;
	read->index = index;
	read->language = language;
	read->maximum = maximum;
	read->done = done;
	read->context = context;
	r = host_queue_submit(&device->own, &read->request);
	if (r != kIOReturnSuccess)
		done(context, r, NULL, 0);
}

/* ---------------------------------------------------------------------------------------------
 * Strings as text
 */

struct wait {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	IOReturn status;
	uint16_t length;
	uint8_t bytes[255];
};

static void
wait_done(void *context, IOReturn status, const uint8_t *bytes, uint16_t length)
{
	struct wait *wait = context;

	(void)pthread_mutex_lock(&wait->lock);
	wait->status = status;
	wait->length = length < sizeof wait->bytes ? length : sizeof wait->bytes;
	if (bytes)
		memcpy(wait->bytes, bytes, wait->length);
	wait->done = true;
	(void)pthread_cond_signal(&wait->cond);
	(void)pthread_mutex_unlock(&wait->lock);
}

static int
append_utf8(struct adxi_buf *buf, uint32_t code)
{
	uint8_t bytes[4];
	size_t n = 0;

	if (code < 0x80) {
		bytes[n++] = (uint8_t)code;
	} else if (code < 0x800) {
		bytes[n++] = (uint8_t)(0xC0 | code >> 6);
		bytes[n++] = 0x80 | (code & 0x3F);
	} else if (code < 0x10000) {
		bytes[n++] = (uint8_t)(0xE0 | code >> 12);
		bytes[n++] = 0x80 | (code >> 6 & 0x3F);
		bytes[n++] = 0x80 | (code & 0x3F);
	} else {
		bytes[n++] = (uint8_t)(0xF0 | code >> 18);
		bytes[n++] = 0x80 | (code >> 12 & 0x3F);
		bytes[n++] = 0x80 | (code >> 6 & 0x3F);
		bytes[n++] = 0x80 | (code & 0x3F);
	}
	return adxi_buf_append(buf, bytes, n);
}

/* Halves of pairs that stand alone, and NUL, become U+FFFD. */
static char *
text_of(const uint8_t *units, size_t n_units)
{
	struct adxi_buf buf = { 0 };
	size_t i;

	for (i = 0; i < n_units; i++) {
		uint32_t code = usb_get_u16(units + 2 * i);
		uint32_t next = i + 1 < n_units ? usb_get_u16(units + 2 * i + 2) : 0;

		if (code >= 0xD800 && code < 0xDC00 && next >= 0xDC00 && next < 0xE000) {
			code = 0x10000 + ((code - 0xD800) << 10) + (next - 0xDC00);
			i++;
		} else if (code == 0 || (code >= 0xD800 && code < 0xE000)) {
			code = 0xFFFD;
		}
		if (append_utf8(&buf, code) < 0) {
			adxi_buf_done(&buf);
			return NULL;
		}
	}
	return adxi_buf_take(&buf, NULL);
}

char *
host_copy_string(struct host_device *device, uint8_t index)
{
	struct wait wait = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

	/* It ends: by its timeout at the latest. */
	host_get_descriptor(device, 0x80, USB_DESCRIPTOR_STRING, index, LANGUAGE_ENGLISH, 255, wait_done, &wait);
	(void)pthread_mutex_lock(&wait.lock);
	while (!wait.done)
		(void)pthread_cond_wait(&wait.cond, &wait.lock);
	(void)pthread_mutex_unlock(&wait.lock);
	(void)pthread_cond_destroy(&wait.cond);
	(void)pthread_mutex_destroy(&wait.lock);
	return wait.status == kIOReturnSuccess && wait.length >= 2
	       ? text_of(wait.bytes + 2, (wait.length - 2u) / 2) : NULL;
}
