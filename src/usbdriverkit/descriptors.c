/* SPDX-License-Identifier: MIT */
#include "usbdriverkit/descriptors.h"

#include <DriverKit/OSData.h>

#include <stdlib.h>
#include <string.h>

const void *
usb_adopt_descriptor(OSData *data, uint8_t type)
{
	const void *bytes;
	void *copy = NULL;
	size_t size;

	if (data == NULL)
		return NULL;
	bytes = OSData_getBytesNoCopy(data);
	size = OSData_getLength(data);
	if (usb_descriptor_is_whole(bytes, size, type)) {
		copy = malloc(size);
		if (copy != NULL)
			memcpy(copy, bytes, size);
	}
	OSObject_release(data);
	return copy;
}

const IOUSBStringDescriptor *
usb_copy_string(usb_fetch *fetch, void *self, uint8_t index, uint16_t language)
{
	OSData *data = NULL;

	if (fetch(self, kIOUSBDescriptorTypeString, index, language, kIOUSBDescriptorSizeStringMaximum, &data) !=
	    kIOReturnSuccess)
		return NULL;
	return usb_adopt_descriptor(data, kIOUSBDescriptorTypeString);
}
