/* SPDX-License-Identifier: MIT */
/* The device's methods, against the model "loopback". */

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "UsbMethods.h"
#include "check.h"

static unsigned
count_interfaces(IOUSBHostDevice *device, Checks &c)
{
	IOUSBHostInterface *interface = nullptr;
	uintptr_t iterator = 0;
	unsigned n = 0;

	EQUAL(c, device->CreateInterfaceIterator(&iterator), kIOReturnSuccess);
	while (device->CopyInterface(iterator, &interface) == kIOReturnSuccess && interface) {
		n++;
		interface->release();
		interface = nullptr;
	}
	EQUAL(c, device->DestroyInterfaceIterator(iterator), kIOReturnSuccess);
	EQUAL(c, device->DestroyInterfaceIterator(iterator), kIOReturnBadArgument);
	EQUAL(c, device->CopyInterface(iterator, &interface), kIOReturnBadArgument);
	return n;
}

static void
check_properties(IOUSBHostDevice *device, Checks &c)
{
	OSDictionary *properties = nullptr;
	static const char *const keys[] = { "idVendor", "idProduct", "bcdDevice", "locationID", "USBSpeed", "USB Product Name",
					    "kUSBProductString", "kUSBCurrentConfiguration", "sessionID", "Device Speed" };

	EQUAL(c, device->CopyProperties(&properties), kIOReturnSuccess);
	if (!properties)
		return;
	for (auto key : keys)
		c.equal(OSDictionaryGetValue(properties, key) != nullptr, 1, key, __LINE__);
	properties->release();
}

kern_return_t
IMPL(UsbDeviceMethods, Start)
{
	IOBufferMemoryDescriptor *buffer = nullptr;
	Checks c = {};
	uint8_t bytes[64];
	uint16_t length = sizeof bytes, n = 0;

	auto ret = Start(provider, SUPERDISPATCH);
	if (ret != kIOReturnSuccess)
		return ret;
	auto device = OSDynamicCast(IOUSBHostDevice, provider);
	TRUE(c, device != nullptr);
	if (!device)
		return kIOReturnNoDevice;
	EQUAL(c, device->SetConfiguration(1, true), kIOReturnNotOpen);
	EQUAL(c, device->Reset(), kIOReturnNotOpen);
	EQUAL(c, device->Open(this, 0, 0), kIOReturnSuccess);
	EQUAL(c, device->Open(this, 0, 0), kIOReturnExclusiveAccess);
	EQUAL(c, device->SetConfiguration(9, false), kIOReturnNotFound);
	EQUAL(c, device->SetConfiguration(1, false), kIOReturnSuccess);
	EQUAL(c, count_interfaces(device, c), 1);
	EQUAL(c, device->SetConfiguration(0, false), kIOReturnSuccess);
	EQUAL(c, count_interfaces(device, c), 0);
	TRUE(c, device->CopyConfigurationDescriptor(this) == nullptr);
	EQUAL(c, device->SetConfiguration(1, false), kIOReturnSuccess);
	check_properties(device, c);

	EQUAL(c, device->CopyDescriptor(kIOUSBDescriptorTypeDevice, &length, 0, 0, kIOUSBDeviceRequestTypeValueStandard,
					kIOUSBDeviceRequestRecipientValueDevice, bytes), kIOReturnSuccess);
	EQUAL(c, length, 18);
	EQUAL(c, device->CreateIOBuffer(kIOMemoryDirectionInOut, 64, &buffer), kIOReturnSuccess);
	EQUAL(c, device->DeviceRequest(this, 0xC0, 2, 0, 0, 40, buffer, &n, 5000), kIOReturnSuccess);
	EQUAL(c, n, 40);
	EQUAL(c, device->DeviceRequest(this, 0x80, kIOUSBDeviceRequestGetConfiguration, 0, 0, 1, buffer, &n, 0),
	      kIOReturnSuccess);
	EQUAL(c, n, 1);
	EQUAL(c, device->AbortDeviceRequests(this, kIOUSBAbortAsynchronous, kIOReturnAborted), kIOReturnSuccess);
	OSSafeReleaseNULL(buffer);
	EQUAL(c, device->Close(this, 0), kIOReturnSuccess);
	EQUAL(c, device->DeviceRequest(this, 0xC0, 2, 0, 0, 0, nullptr, &n, 0), kIOReturnNotOpen);
	c.report("device");
	return kIOReturnSuccess;
}

kern_return_t
IMPL(UsbDeviceMethods, Stop)
{
	return Stop(provider, SUPERDISPATCH);
}
