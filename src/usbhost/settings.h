/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_SETTINGS_H
#define USBHOST_SETTINGS_H

/**
 * @file usbhost/settings.h
 * @brief Which endpoints a device has now: configuration blob plus the chosen alternate settings.
 *
 * For back ends, which must refuse a transfer to an endpoint that is not there or not claimed. The
 * blobs are a device's bytes: usb_configuration_check() comes first, everything else relies on it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USB_REQUEST_GET_STATUS		0
#define USB_REQUEST_CLEAR_FEATURE	1
#define USB_REQUEST_SET_FEATURE		3
#define USB_REQUEST_SET_ADDRESS		5
#define USB_REQUEST_GET_DESCRIPTOR	6
#define USB_REQUEST_GET_CONFIGURATION	8
#define USB_REQUEST_SET_CONFIGURATION	9
#define USB_REQUEST_GET_INTERFACE	10
#define USB_REQUEST_SET_INTERFACE	11

#define USB_DESCRIPTOR_DEVICE		1
#define USB_DESCRIPTOR_CONFIGURATION	2
#define USB_DESCRIPTOR_STRING		3
#define USB_DESCRIPTOR_INTERFACE	4
#define USB_DESCRIPTOR_ENDPOINT		5
#define USB_DESCRIPTOR_BOS		15

#define USB_FEATURE_ENDPOINT_HALT	0
#define USB_FEATURE_REMOTE_WAKEUP	1

/* One endpoint of the current settings. */
struct usb_setting_endpoint {
	bool present;
	uint8_t address;
	uint8_t type;             /* enum usb_endpoint_type */
	uint8_t interface;
	uint16_t max_packet;      /* low 11 bits of wMaxPacketSize */
};

#define USB_SETTINGS_ENDPOINTS 32

/* What holds now. All zero: unconfigured. */
struct usb_settings {
	const uint8_t *configuration; /* borrowed, checked; NULL: unconfigured */
	uint32_t length;
	uint8_t value;                /* bConfigurationValue */
	uint8_t alternate[256];       /* by interface number */
	struct usb_setting_endpoint endpoints[USB_SETTINGS_ENDPOINTS]; /* by usb_endpoint_index() */
};

/** Index of an endpoint address, 0 .. USB_SETTINGS_ENDPOINTS - 1. Both directions of 0 are index
 * 0. */
static inline unsigned
usb_endpoint_index(uint8_t address)
{
	unsigned number = address & 0xF;

	return number && address & 0x80 ? 16 + number : number;
}

/** The inverse. */
static inline uint8_t
usb_endpoint_address(unsigned index)
{
	return index >= 16 ? 0x80 | (index - 16) : index;
}

static inline uint16_t
usb_get_u16(const uint8_t *bytes)
{
	return bytes[0] | bytes[1] << 8;
}

/**
 * Check a configuration blob: lengths inside bounds, wTotalLength not over @p length, endpoints
 * only after an interface, no endpoint 0, no endpoint twice in one setting.
 *
 * @param ret_why  [out] static text on failure
 * @retval 0        the first wTotalLength bytes may be walked without further checks
 * @retval -EINVAL  see *ret_why
 */
int usb_configuration_check(const uint8_t *blob, size_t length, const char **ret_why);

/** Does the (checked) configuration have this interface, in this alternate setting? */
bool usb_configuration_has(const uint8_t *blob, uint8_t interface, uint8_t alternate);

/** Take up a checked configuration with every alternate setting 0; NULL unconfigures. */
void usb_settings_configure(struct usb_settings *settings, const uint8_t *blob);

/** Choose an alternate setting. -ENOENT: there is none; nothing changed then. */
int usb_settings_alternate(struct usb_settings *settings, uint8_t interface, uint8_t alternate);

#endif /* USBHOST_SETTINGS_H */
