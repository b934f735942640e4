/* SPDX-License-Identifier: MIT */
/* What an endpoint's bytes mean at a speed. The values are masked as the specifications say, and nonsense that is
 * left (an interval of 0, or too long) is brought into range. */

#include <USBDriverKit/AppleUSBDescriptorParsing.h>

#include <stddef.h>

#define LONGEST_ENCODED 16u

static bool
is_superspeed(uint32_t speed)
{
	return speed >= kIOUSBHostConnectionSpeedSuper && speed < kIOUSBHostConnectionSpeedCount;
}

static bool
is_periodic(uint8_t type)
{
	return type == kIOUSBEndpointTypeInterrupt || type == kIOUSBEndpointTypeIsochronous;
}

uint8_t
IOUSBGetEndpointType(const IOUSBEndpointDescriptor *descriptor)
{
	return descriptor->bmAttributes & kIOUSBEndpointDescriptorTransferType;
}

uint8_t
IOUSBGetEndpointDirection(const IOUSBEndpointDescriptor *descriptor)
{
	if (IOUSBGetEndpointType(descriptor) == kIOUSBEndpointTypeControl)
		return kIOUSBEndpointDirectionUnknown;
	return descriptor->bEndpointAddress & kIOUSBEndpointDescriptorDirection ?
		       kIOUSBEndpointDirectionIn :
		       kIOUSBEndpointDirectionOut;
}

uint8_t
IOUSBGetEndpointAddress(const IOUSBEndpointDescriptor *descriptor)
{
	return descriptor->bEndpointAddress &
	       (kIOUSBEndpointDescriptorDirection | kIOUSBEndpointDescriptorNumber);
}

uint8_t
IOUSBGetEndpointNumber(const IOUSBEndpointDescriptor *descriptor)
{
	return descriptor->bEndpointAddress & kIOUSBEndpointDescriptorNumber;
}

uint8_t
IOUSBGetEndpointSynchronizationType(const IOUSBEndpointDescriptor *descriptor)
{
	return (descriptor->bmAttributes & kIOUSBEndpointDescriptorSynchronizationType) >>
	       kIOUSBEndpointDescriptorSynchronizationTypePhase;
}

uint8_t
IOUSBGetEndpointUsageType(const IOUSBEndpointDescriptor *descriptor)
{
	return (descriptor->bmAttributes & kIOUSBEndpointDescriptorUsageType) >>
	       kIOUSBEndpointDescriptorUsageTypePhase;
}

uint16_t
IOUSBGetEndpointMaxPacketSize(uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor)
{
	return USBToHost16(descriptor->wMaxPacketSize) & kIOUSBEndpointDescriptorPacketSize;
}

uint8_t
IOUSBGetEndpointMult(uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor,
		     const IOUSBSuperSpeedEndpointCompanionDescriptor *companionDescriptor,
		     const IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor *sspCompanionDescriptor)
{
	uint8_t type = IOUSBGetEndpointType(descriptor);
	unsigned mult = 0;

	if (usbDeviceSpeed == kIOUSBHostConnectionSpeedHigh && is_periodic(type))
		mult = (USBToHost16(descriptor->wMaxPacketSize) & kIOUSBEndpointDescriptorPacketSizeMult) >>
		       kIOUSBEndpointDescriptorPacketSizeMultPhase;
	else if (is_superspeed(usbDeviceSpeed) && type == kIOUSBEndpointTypeIsochronous &&
		 companionDescriptor != NULL && sspCompanionDescriptor == NULL)
		mult = companionDescriptor->bmAttributes & kIOUSBSuperSpeedEndpointCompanionDescriptorIsocMult;
	return (uint8_t)(mult > 2 ? 3 : mult + 1);
}

uint32_t
IOUSBGetEndpointBurstSize(uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor,
			  const IOUSBSuperSpeedEndpointCompanionDescriptor *companionDescriptor,
			  const IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor *sspCompanionDescriptor)
{
	uint32_t bytes = IOUSBGetEndpointMaxPacketSize(usbDeviceSpeed, descriptor);

	bytes *= IOUSBGetEndpointMult(usbDeviceSpeed, descriptor, companionDescriptor, sspCompanionDescriptor);
	if (!is_superspeed(usbDeviceSpeed) || companionDescriptor == NULL)
		return bytes;
	if (IOUSBGetEndpointType(descriptor) == kIOUSBEndpointTypeIsochronous && sspCompanionDescriptor != NULL)
		return USBToHost32(sspCompanionDescriptor->dwBytesPerInterval);
	return bytes * ((companionDescriptor->bMaxBurst & 0xfu) + 1);
}

uint32_t
IOUSBGetEndpointIntervalEncodedMicroframes(uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor)
{
	uint8_t type = IOUSBGetEndpointType(descriptor);
	unsigned interval = descriptor->bInterval != 0 ? descriptor->bInterval : 1;
	uint32_t encoded;

	if (!is_periodic(type))
		return 0;
	encoded = interval > LONGEST_ENCODED ? LONGEST_ENCODED : interval;
	if (usbDeviceSpeed == kIOUSBHostConnectionSpeedHigh || is_superspeed(usbDeviceSpeed))
		return encoded;
	/* Slower: in frames, 2^3 microframes; an interrupt endpoint's is not encoded. */
	if (type == kIOUSBEndpointTypeIsochronous)
		return encoded + 3;
	return (31u - (unsigned)__builtin_clz(interval)) + 4;
}

uint32_t
IOUSBGetEndpointIntervalMicroframes(uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor)
{
	uint32_t encoded = IOUSBGetEndpointIntervalEncodedMicroframes(usbDeviceSpeed, descriptor);

	return encoded != 0 ? 1u << (encoded - 1) : 0;
}

uint32_t
IOUSBGetEndpointIntervalFrames(uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor)
{
	return IOUSBGetEndpointIntervalMicroframes(usbDeviceSpeed, descriptor) / 8;
}

uint32_t
IOUSBGetEndpointMaxStreamsEncoded(uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor,
				  const IOUSBSuperSpeedEndpointCompanionDescriptor *companionDescriptor)
{
	uint32_t encoded;

	if (!is_superspeed(usbDeviceSpeed) || companionDescriptor == NULL ||
	    IOUSBGetEndpointType(descriptor) != kIOUSBEndpointTypeBulk)
		return 0;
	encoded = companionDescriptor->bmAttributes &
		  kIOUSBSuperSpeedEndpointCompanionDescriptorBulkMaxStreams;
	return encoded > 16 ? 16 : encoded;
}

uint32_t
IOUSBGetEndpointMaxStreams(uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor,
			   const IOUSBSuperSpeedEndpointCompanionDescriptor *companionDescriptor)
{
	uint32_t encoded =
		IOUSBGetEndpointMaxStreamsEncoded(usbDeviceSpeed, descriptor, companionDescriptor);

	return encoded != 0 ? 1u << encoded : 0;
}

uint32_t
IOUSBGetConfigurationMaxPowerMilliAmps(uint32_t usbDeviceSpeed, const IOUSBConfigurationDescriptor *descriptor)
{
	return (uint32_t)descriptor->MaxPower * (is_superspeed(usbDeviceSpeed) ?
							 kIOUSB30BusCurrentMaxPowerUnits :
							 kIOUSB20BusCurrentMaxPowerUnits);
}
