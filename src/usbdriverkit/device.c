/* SPDX-License-Identifier: MIT */
/* The local half of IOUSBHostDevice: descriptors and buffers. */

#include "usbdriverkit/descriptors.h"

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <USBDriverKit/IOUSBHostDevice.h>

#include <string.h>

static kern_return_t
fetch(void *self, uint8_t type, uint8_t index, uint16_t language, uint16_t max_length, OSData **ret_data)
{
	return IOUSBHostDevice__CopyDescriptor(self, type, index, language, kIOUSBDeviceRequestTypeValueStandard,
					       kIOUSBDeviceRequestRecipientValueDevice, max_length, ret_data);
}

const IOUSBDeviceDescriptor *
IOUSBHostDevice_CopyDeviceDescriptor(IOUSBHostDevice *self)
{
	OSData *data = NULL;

	if (fetch(self, kIOUSBDescriptorTypeDevice, 0, 0, kIOUSBDescriptorSizeDevice, &data) != kIOReturnSuccess)
		return NULL;
	return usb_adopt_descriptor(data, kIOUSBDescriptorTypeDevice);
}

static const IOUSBConfigurationDescriptor *
copy_configuration(IOUSBHostDevice *self, uint8_t which, uint8_t value)
{
	OSData *data = NULL;

	if (IOUSBHostDevice__CopyConfiguration(self, which, value, &data) != kIOReturnSuccess)
		return NULL;
	return usb_adopt_descriptor(data, kIOUSBDescriptorTypeConfiguration);
}

const IOUSBConfigurationDescriptor *
IOUSBHostDevice_CopyConfigurationDescriptorWithIndex(IOUSBHostDevice *self, uint8_t index)
{
	return copy_configuration(self, kADXUSBConfigurationWithIndex, index);
}

const IOUSBConfigurationDescriptor *
IOUSBHostDevice_CopyConfigurationDescriptorWithValue(IOUSBHostDevice *self, uint8_t bConfigurationValue)
{
	return copy_configuration(self, kADXUSBConfigurationWithValue, bConfigurationValue);
}

const IOUSBConfigurationDescriptor *
IOUSBHostDevice_CopyConfigurationDescriptor(IOUSBHostDevice *self, IOService *forClient)
{
	return copy_configuration(self, kADXUSBConfigurationCurrent, 0);
}

const IOUSBBOSDescriptor *
IOUSBHostDevice_CopyCapabilityDescriptors(IOUSBHostDevice *self)
{
	const IOUSBBOSDescriptor *head;
	OSData *data = NULL;
	uint16_t total = 0;

	if (fetch(self, kIOUSBDescriptorTypeBOS, 0, 0, kIOUSBDescriptorSizeBOS, &data) != kIOReturnSuccess ||
	    data == NULL)
		return NULL;
	head = OSData_getBytesNoCopyRange(data, 0, sizeof *head);
	if (head != NULL && head->bDescriptorType == kIOUSBDescriptorTypeBOS)
		total = USBToHost16(head->wTotalLength);
	OSSafeReleaseNULL(data);
	if (total < sizeof *head ||
	    fetch(self, kIOUSBDescriptorTypeBOS, 0, 0, total, &data) != kIOReturnSuccess)
		return NULL;
	return usb_adopt_descriptor(data, kIOUSBDescriptorTypeBOS);
}

const IOUSBStringDescriptor *
IOUSBHostDevice_CopyStringDescriptorWithLanguage(IOUSBHostDevice *self, uint8_t index, uint16_t languageID)
{
	return usb_copy_string(fetch, self, index, languageID);
}

const IOUSBStringDescriptor *
IOUSBHostDevice_CopyStringDescriptor(IOUSBHostDevice *self, uint8_t index)
{
	return usb_copy_string(fetch, self, index, index == 0 ? 0 : kIOUSBLanguageIDEnglishUS);
}

kern_return_t
IOUSBHostDevice_CopyDescriptor(IOUSBHostDevice *self, uint8_t type, uint16_t *length, uint8_t index,
			       uint16_t languageID, uint8_t requestType, uint8_t requestRecipient,
			       uint8_t *descriptor)
{
	OSData *data = NULL;
	kern_return_t ret;
	size_t got;

	if (length == NULL || descriptor == NULL || *length == 0)
		return kIOReturnBadArgument;
	ret = IOUSBHostDevice__CopyDescriptor(self, type, index, languageID, requestType, requestRecipient,
					      *length, &data);
	if (ret != kIOReturnSuccess)
		return ret;
	if (data == NULL)
		return kIOReturnNotFound;
	got = OSData_getLength(data);
	if (got > *length) {
		OSObject_release(data);
		return kIOReturnOverrun;
	}
	if (got != 0)
		memcpy(descriptor, OSData_getBytesNoCopy(data), got);
	*length = (uint16_t)got;
	OSObject_release(data);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostDevice_CreateIOBuffer(IOUSBHostDevice *self, IOOptionBits options, uint64_t capacity,
			       IOBufferMemoryDescriptor **buffer)
{
	return IOBufferMemoryDescriptor_Create(options, capacity, 0, buffer);
}
