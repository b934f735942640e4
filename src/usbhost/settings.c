/* SPDX-License-Identifier: MIT */
/* Walks configuration blobs and keeps the table of current endpoints. */

#include "usbhost/settings.h"

#include <errno.h>
#include <string.h>

#include "usbhost/backend.h"

/* The next descriptor after @p at, or NULL at the end. The blob is checked. */
static const uint8_t *
next_descriptor(const uint8_t *blob, const uint8_t *at)
{
	at = at ? at + at[0] : blob;
	return at < blob + usb_get_u16(blob + 2) ? at : NULL;
}

bool
usb_configuration_has(const uint8_t *blob, uint8_t interface, uint8_t alternate)
{
	for (const uint8_t *d = NULL; (d = next_descriptor(blob, d));)
		if (d[1] == USB_DESCRIPTOR_INTERFACE && d[2] == interface && d[3] == alternate)
			return true;
	return false;
}

int
usb_configuration_check(const uint8_t *blob, size_t length, const char **ret_why)
{
	bool in_interface = false;
	uint32_t seen = 0;
	size_t total;

	if (length < 9 || blob[0] < 9 || blob[1] != USB_DESCRIPTOR_CONFIGURATION) {
		*ret_why = "a configuration descriptor begins with its own 9 bytes, type 2";
		return -EINVAL;
	}
	total = usb_get_u16(blob + 2);
	if (total < blob[0] || total > length) {
		*ret_why = "wTotalLength of a configuration descriptor disagrees with the bytes that are there";
		return -EINVAL;
	}
	if (blob[5] == 0) {
		*ret_why = "bConfigurationValue 0 cannot be selected: 0 means unconfigured";
		return -EINVAL;
	}
	for (size_t at = 0, size; at < total; at += size) {
		const uint8_t *d = blob + at;

		size = total - at < 2 ? 0 : d[0];
		if (size < 2 || size > total - at) {
			*ret_why = "a descriptor inside the configuration is shorter than 2 bytes or "
				   "reaches over its end";
			return -EINVAL;
		}
		if (d[1] == USB_DESCRIPTOR_INTERFACE) {
			if (size < 9) {
				*ret_why = "an interface descriptor has fewer than 9 bytes";
				return -EINVAL;
			}
			in_interface = true;
			seen = 0;
		} else if (d[1] == USB_DESCRIPTOR_ENDPOINT) {
			uint32_t bit;

			if (size < 7 || !in_interface || !(d[2] & 0xF)) {
				*ret_why = "an endpoint descriptor has fewer than 7 bytes, stands before any "
					   "interface, or describes endpoint 0";
				return -EINVAL;
			}
			bit = 1u << usb_endpoint_index(d[2]);
			if (seen & bit) {
				*ret_why = "one setting of an interface has the same endpoint twice";
				return -EINVAL;
			}
			seen |= bit;
		}
	}
	return 0;
}

/* Put the endpoints of the settings chosen now into the table. */
static void
fill_endpoints(struct usb_settings *settings)
{
	const uint8_t *interface =
		NULL; /* the one we are inside, if it is in its current setting */

	memset(settings->endpoints, 0, sizeof settings->endpoints);
	if (!settings->configuration)
		return;
	for (const uint8_t *d = NULL; (d = next_descriptor(settings->configuration, d));) {
		struct usb_setting_endpoint *endpoint;

		if (d[1] == USB_DESCRIPTOR_INTERFACE) {
			interface = settings->alternate[d[2]] == d[3] ? d : NULL;
			continue;
		}
		if (d[1] != USB_DESCRIPTOR_ENDPOINT || !interface)
			continue;
		endpoint = &settings->endpoints[usb_endpoint_index(d[2])];
		if (endpoint->present)
			continue; /* two interfaces claim it: the first keeps it */
		*endpoint = (struct usb_setting_endpoint){
			.present = true,
			.address = d[2],
			.type = d[3] & 3,
			.interface = interface[2],
			.max_packet = usb_get_u16(d + 4) & 0x7FF,
		};
	}
}

void
usb_settings_configure(struct usb_settings *settings, const uint8_t *blob)
{
	*settings = (struct usb_settings){
		.configuration = blob,
		.length = blob ? usb_get_u16(blob + 2) : 0,
		.value = blob ? blob[5] : 0,
	};
	fill_endpoints(settings);
}

int
usb_settings_alternate(struct usb_settings *settings, uint8_t interface, uint8_t alternate)
{
	if (!settings->configuration ||
	    !usb_configuration_has(settings->configuration, interface, alternate))
		return -ENOENT;
	settings->alternate[interface] = alternate;
	fill_endpoints(settings);
	return 0;
}
