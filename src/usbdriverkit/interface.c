/* SPDX-License-Identifier: MIT */
/* The local half of IOUSBHostInterface. */

#include "usbdriverkit/descriptors.h"

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <USBDriverKit/IOUSBHostInterface.h>

static kern_return_t
fetch(void *self, uint8_t type, uint8_t index, uint16_t language, uint16_t max_length, OSData **ret_data)
{
	return IOUSBHostInterface__CopyDescriptor(self, type, index, language,
						  kIOUSBDeviceRequestTypeValueStandard,
						  kIOUSBDeviceRequestRecipientValueDevice, max_length, ret_data);
}

kern_return_t
IOUSBHostInterface_Open(IOUSBHostInterface *self, IOService *forClient, IOOptionBits options, uint8_t *arg)
{
	uintptr_t alternate = (uintptr_t)arg;

	if (alternate > UINT8_MAX)
		return kIOReturnBadArgument;
	return IOUSBHostInterface__Open(self, forClient, options, (uint8_t)alternate);
}

const IOUSBConfigurationDescriptor *
IOUSBHostInterface_CopyConfigurationDescriptor(IOUSBHostInterface *self)
{
	OSData *data = NULL;

	if (IOUSBHostInterface__CopyConfiguration(self, &data) != kIOReturnSuccess)
		return NULL;
	return usb_adopt_descriptor(data, kIOUSBDescriptorTypeConfiguration);
}

const IOUSBInterfaceDescriptor *
IOUSBHostInterface_GetInterfaceDescriptor(IOUSBHostInterface *self,
					  const IOUSBConfigurationDescriptor *configurationDescriptor)
{
	const IOUSBInterfaceDescriptor *found = NULL;
	uint8_t number = 0, alternate = 0;

	if (configurationDescriptor == NULL ||
	    IOUSBHostInterface__GetInterfaceDescriptorHeader(self, &number, &alternate) != kIOReturnSuccess)
		return NULL;
	while ((found = IOUSBGetNextInterfaceDescriptor(configurationDescriptor,
							(const IOUSBDescriptorHeader *)found)) != NULL)
		if (found->bInterfaceNumber == number && found->bAlternateSetting == alternate)
			return found;
	return NULL;
}

const IOUSBStringDescriptor *
IOUSBHostInterface_CopyStringDescriptorWithLanguage(IOUSBHostInterface *self, uint8_t index,
						    uint16_t languageID)
{
	return usb_copy_string(fetch, self, index, languageID);
}

const IOUSBStringDescriptor *
IOUSBHostInterface_CopyStringDescriptor(IOUSBHostInterface *self, uint8_t index)
{
	return usb_copy_string(fetch, self, index, index == 0 ? 0 : kIOUSBLanguageIDEnglishUS);
}

kern_return_t
IOUSBHostInterface_CreateIOBuffer(IOUSBHostInterface *self, IOOptionBits options, uint64_t capacity,
				  IOBufferMemoryDescriptor **buffer)
{
	return IOBufferMemoryDescriptor_Create(options, capacity, 0, buffer);
}
