/* SPDX-License-Identifier: MIT */
#include "usbdriverkit/descriptors.h"

static size_t
least_size(uint8_t type)
{
	switch (type) {
	case kIOUSBDescriptorTypeDevice:
		return sizeof(IOUSBDeviceDescriptor);
	case kIOUSBDescriptorTypeConfiguration:
	case kIOUSBDescriptorTypeOtherSpeedConfiguration:
		return sizeof(IOUSBConfigurationDescriptor);
	case kIOUSBDescriptorTypeBOS:
		return sizeof(IOUSBBOSDescriptor);
	default:
		return sizeof(IOUSBDescriptorHeader);
	}
}

bool
usb_descriptor_is_whole(const void *bytes, size_t size, uint8_t type)
{
	const IOUSBConfigurationDescHeader *header = bytes;
	size_t total;

	if (bytes == NULL || size < least_size(type) || header->bDescriptorType != type ||
	    header->bLength < least_size(type) || header->bLength > size)
		return false;
	/* Both have wTotalLength at the same place. */
	if (type != kIOUSBDescriptorTypeConfiguration && type != kIOUSBDescriptorTypeOtherSpeedConfiguration &&
	    type != kIOUSBDescriptorTypeBOS)
		return true;
	total = USBToHost16(header->wTotalLength);
	return total >= header->bLength && total <= size;
}
