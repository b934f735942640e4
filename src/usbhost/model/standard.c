/* SPDX-License-Identifier: MIT */
/* Standard requests answered for a model from its table, and the changes of settings they cause. */

#include "usbhost/model/engine.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define RECIPIENT_DEVICE	0
#define RECIPIENT_INTERFACE	1
#define RECIPIENT_ENDPOINT	2

#define LANGUAGE_US 0x0409

static int
give(uint8_t *data, uint32_t length, const void *bytes, size_t n_bytes)
{
	size_t n = n_bytes < length ? n_bytes : length;

	memcpy(data, bytes, n);
	return n;
}

/* UTF-8 to UTF-16LE, at most n_units. What is no UTF-8 becomes U+FFFD. Returns the units
 * written. */
static size_t
to_utf16(const char *text, uint8_t *units, size_t n_units)
{
	const uint8_t *at = (const uint8_t *) text;
	size_t n = 0;

	while (*at && n < n_units) {
		uint32_t c = *at++, low = 0;
		unsigned n_more = c < 0x80       ? 0
				  : c >> 5 == 6  ? 1
				  : c >> 4 == 14 ? 2
				  : c >> 3 == 30 ? 3
						 : 9;

		if (n_more == 9) {
			c = 0xFFFD;
		} else if (n_more) {
			c &= 0x3F >> n_more;
			for (; n_more && (*at & 0xC0) == 0x80; n_more--)
				c = c << 6 | (*at++ & 0x3F);
			if (n_more)
				c = 0xFFFD;
		}
		if (c > 0xFFFF) {
			if (n + 2 > n_units)
				break;
			low = 0xDC00 | (c & 0x3FF);
			c = 0xD800 | ((c - 0x10000) >> 10 & 0x3FF);
		}
		units[2 * n] = c, units[2 * n++ + 1] = c >> 8;
		if (low)
			units[2 * n] = low, units[2 * n++ + 1] = low >> 8;
	}
	return n;
}

static int
get_string(struct usb_device *device, uint8_t index, uint8_t *data, uint32_t length)
{
	const uint8_t *descriptor = device->model->device_descriptor;
	uint8_t answer[254] = { 4, USB_DESCRIPTOR_STRING, LANGUAGE_US & 0xFF, LANGUAGE_US >> 8 };
	const char *text = NULL;

	if (index == 0)
		return give(data, length, answer, 4);
	if (device->serial && index == descriptor[16])
		text = device->serial;
	for (unsigned i = 1; !text && device->model->strings && device->model->strings[i - 1]; i++)
		if (i == index)
			text = device->model->strings[i - 1];
	if (!text)
		return USB_MODEL_STALL;
	answer[0] = 2 + 2 * to_utf16(text, answer + 2, (sizeof answer - 2) / 2);
	return give(data, length, answer, answer[0]);
}

static int
get_descriptor(struct usb_device *device, const uint8_t setup[8], uint8_t *data, uint32_t length)
{
	const struct usb_model *model = device->model;
	uint8_t index = setup[2];

	switch (setup[3]) {
	case USB_DESCRIPTOR_DEVICE:
		return give(data, length, model->device_descriptor, 18);
	case USB_DESCRIPTOR_CONFIGURATION:
		for (unsigned i = 0; model->configurations[i]; i++)
			if (i == index)
				return give(data, length, model->configurations[i],
					    usb_get_u16(model->configurations[i] + 2));
		return USB_MODEL_STALL;
	case USB_DESCRIPTOR_STRING:
		return get_string(device, index, data, length);
	case USB_DESCRIPTOR_BOS:
		return model->bos ? give(data, length, model->bos, usb_get_u16(model->bos + 2))
				  : USB_MODEL_STALL;
	}
	return STANDARD_NOT_MINE;
}

static bool
has_interface(const struct usb_device *device, uint16_t interface)
{
	return interface < 256 && device->settings.configuration &&
	       usb_configuration_has(device->settings.configuration, interface, 0);
}

/* Index of an endpoint that is there now (0 always is), or -1. */
static int
endpoint_index(const struct usb_device *device, uint16_t address)
{
	unsigned index = usb_endpoint_index(address);

	if (address & ~0x8F)
		return -1;
	return index == 0 || device->settings.endpoints[index].present ? (int) index : -1;
}

static int
get_status(struct usb_device *device, const uint8_t setup[8], uint8_t *data, uint32_t length)
{
	uint8_t status[2] = { 0, 0 };
	uint16_t where = usb_get_u16(setup + 4);
	const uint8_t *configuration = device->settings.configuration;
	int index;

	switch (setup[0] & 0x1F) {
	case RECIPIENT_DEVICE:
		status[0] = (configuration && configuration[7] & 0x40 ? 1 : 0) |
			    device->remote_wakeup << 1;
		break;
	case RECIPIENT_INTERFACE:
		if (!has_interface(device, where))
			return USB_MODEL_STALL;
		break;
	case RECIPIENT_ENDPOINT:
		index = endpoint_index(device, where);
		if (index < 0)
			return USB_MODEL_STALL;
		status[0] = device->pipes[index].halted;
		break;
	default:
		return USB_MODEL_STALL;
	}
	return give(data, length, status, sizeof status);
}

static int
change_feature(struct usb_device *device, const uint8_t setup[8], bool set)
{
	uint16_t feature = usb_get_u16(setup + 2);
	int index;

	if ((setup[0] & 0x1F) == RECIPIENT_DEVICE && feature == USB_FEATURE_REMOTE_WAKEUP) {
		if (!device->settings.configuration || !(device->settings.configuration[7] & 0x20))
			return USB_MODEL_STALL;
		device->remote_wakeup = set;
		return 0;
	}
	if ((setup[0] & 0x1F) != RECIPIENT_ENDPOINT || feature != USB_FEATURE_ENDPOINT_HALT)
		return STANDARD_NOT_MINE;
	index = endpoint_index(device, usb_get_u16(setup + 4));
	if (index < 0)
		return USB_MODEL_STALL;
	if (index > 0 && set) {
		device->pipes[index].halted = true;
		model_device_flush(device, 1u << index, USB_STALL);
	} else if (index > 0) {
		model_standard_clear_halt(device, usb_endpoint_address(index));
	}
	return 0;
}

void
model_standard_clear_halt(struct usb_device *device, uint8_t endpoint)
{
	device->pipes[usb_endpoint_index(endpoint)].halted = false;
	if (device->model->halt_cleared)
		device->model->halt_cleared(&device->handle, device->state, endpoint);
}

static void
unhalt_all(struct usb_device *device)
{
	for (unsigned i = 0; i < USB_SETTINGS_ENDPOINTS; i++)
		device->pipes[i].halted = false;
}

static void
tell_configured(struct usb_device *device, uint8_t value)
{
	if (device->model->configured)
		device->model->configured(&device->handle, device->state, value);
}

int
model_standard_configure(struct usb_device *device, uint8_t value)
{
	const uint8_t *const *configuration = device->model->configurations;

	for (unsigned i = 0; i < 8; i++)
		if (device->claimed[i])
			return -EBUSY;
	while (*configuration && (*configuration)[5] != value)
		configuration++;
	if (value && !*configuration)
		return -ENOENT;
	model_device_flush(device, ~1u, USB_CANCELLED);
	unhalt_all(device);
	usb_settings_configure(&device->settings, value ? *configuration : NULL);
	device->remote_wakeup = false;
	tell_configured(device, value);
	return 0;
}

int
model_standard_alternate(struct usb_device *device, uint8_t interface, uint8_t alternate)
{
	uint32_t pipes = 0;

	if (!device->settings.configuration ||
	    !usb_configuration_has(device->settings.configuration, interface, alternate))
		return -ENOENT;
	for (unsigned i = 1; i < USB_SETTINGS_ENDPOINTS; i++) {
		const struct usb_setting_endpoint *endpoint = &device->settings.endpoints[i];

		if (endpoint->present && endpoint->interface == interface) {
			pipes |= 1u << i;
			device->pipes[i].halted = false;
		}
	}
	model_device_flush(device, pipes, USB_CANCELLED);
	(void) usb_settings_alternate(&device->settings, interface, alternate); /* it has it */
	if (device->model->alternate)
		device->model->alternate(&device->handle, device->state, interface, alternate);
	return 0;
}

void
model_standard_reset(struct usb_device *device)
{
	const uint8_t *configuration = device->settings.configuration;

	model_device_flush(device, ~0u, USB_CANCELLED);
	unhalt_all(device);
	device->remote_wakeup = false;
	tell_configured(device, 0);
	usb_settings_configure(&device->settings, configuration);
	if (configuration)
		tell_configured(device, configuration[5]);
}

int
model_standard_request(struct usb_device *device, const uint8_t setup[8], uint8_t *data,
		       uint32_t length)
{
	uint16_t value = usb_get_u16(setup + 2), index = usb_get_u16(setup + 4);
	uint8_t recipient = setup[0] & 0x1F;
	bool in = setup[0] & 0x80;

	if (setup[0] & 0x60)
		return STANDARD_NOT_MINE;
	switch (setup[1]) {
	case USB_REQUEST_GET_STATUS:
		return in ? get_status(device, setup, data, length) : USB_MODEL_STALL;
	case USB_REQUEST_CLEAR_FEATURE:
	case USB_REQUEST_SET_FEATURE:
		return in ? USB_MODEL_STALL
			  : change_feature(device, setup, setup[1] == USB_REQUEST_SET_FEATURE);
	case USB_REQUEST_GET_DESCRIPTOR:
		/* An interface's descriptors (HID reports ...) are the model's. */
		return in && recipient == RECIPIENT_DEVICE
			       ? get_descriptor(device, setup, data, length)
			       : STANDARD_NOT_MINE;
	case USB_REQUEST_GET_CONFIGURATION:
		return in ? give(data, length, &device->settings.value, 1) : USB_MODEL_STALL;
	case USB_REQUEST_SET_CONFIGURATION:
		return !in && value < 256 && model_standard_configure(device, value) == 0
			       ? 0
			       : USB_MODEL_STALL;
	case USB_REQUEST_GET_INTERFACE:
		if (!in || !has_interface(device, index))
			return USB_MODEL_STALL;
		return give(data, length, &device->settings.alternate[index], 1);
	case USB_REQUEST_SET_INTERFACE:
		return !in && value < 256 && has_interface(device, index) &&
				       model_device_is_claimed(device, index) &&
				       model_standard_alternate(device, index, value) == 0
			? 0
			: USB_MODEL_STALL;
	case USB_REQUEST_SET_ADDRESS:
		return USB_MODEL_STALL;
	}
	return STANDARD_NOT_MINE;
}
