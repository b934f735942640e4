/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_USBDRIVERKIT_APPLEUSBDESCRIPTORPARSING_H
#define AMBIDEXT_USBDRIVERKIT_APPLEUSBDESCRIPTORPARSING_H

/** @file USBDriverKit/AppleUSBDescriptorParsing.h
 *  @brief Finding and reading descriptors in a configuration's or a BOS's bytes.
 *
 *  Nothing is allocated: pointers are into the given bytes, NULL means there is none. The bytes are as
 *  the device sent them and are not trusted: nothing outside wTotalLength is read, a descriptor is only
 *  returned when it is wholly inside and long enough for its type. The caller vouches for wTotalLength
 *  bytes being there. @p current and @p parent are pointers that these functions returned, or NULL for
 *  the start. @p speed is a tIOUSBHostConnectionSpeed. Threads: [any]. */

#include <USBDriverKit/AppleUSBDefinitions.h>
#include <USBDriverKit/IOUSBHostFamilyDefinitions.h>

ADX_BEGIN_DECLS

ADX_API const IOUSBDescriptorHeader *
IOUSBGetNextDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
		       const IOUSBDescriptorHeader *currentDescriptor);
ADX_API const IOUSBDescriptorHeader *
IOUSBGetNextDescriptorWithType(const IOUSBConfigurationDescriptor *configurationDescriptor,
			       const IOUSBDescriptorHeader *currentDescriptor, const uint8_t type);
/** Those after @p parentDescriptor up to the next one of the parent's type. */
ADX_API const IOUSBDescriptorHeader *
IOUSBGetNextAssociatedDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
				 const IOUSBDescriptorHeader *parentDescriptor,
				 const IOUSBDescriptorHeader *currentDescriptor);
ADX_API const IOUSBDescriptorHeader *
IOUSBGetNextAssociatedDescriptorWithType(const IOUSBConfigurationDescriptor *configurationDescriptor,
					 const IOUSBDescriptorHeader *parentDescriptor,
					 const IOUSBDescriptorHeader *currentDescriptor,
					 const uint8_t type);
ADX_API const IOUSBInterfaceAssociationDescriptor *IOUSBGetNextInterfaceAssociationDescriptor(
	const IOUSBConfigurationDescriptor *configurationDescriptor,
	const IOUSBDescriptorHeader *currentDescriptor);
/** Alternate settings too, in the order of the bytes. */
ADX_API const IOUSBInterfaceDescriptor *
IOUSBGetNextInterfaceDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
				const IOUSBDescriptorHeader *currentDescriptor);
ADX_API const IOUSBEndpointDescriptor *
IOUSBGetNextEndpointDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
			       const IOUSBInterfaceDescriptor *interfaceDescriptor,
			       const IOUSBDescriptorHeader *currentDescriptor);

ADX_API const IOUSBDeviceCapabilityDescriptorHeader *
IOUSBGetNextCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor,
				 const IOUSBDeviceCapabilityDescriptorHeader *currentDescriptor);
ADX_API const IOUSBDeviceCapabilityDescriptorHeader *IOUSBGetNextCapabilityDescriptorWithType(
	const IOUSBBOSDescriptor *bosDescriptor,
	const IOUSBDeviceCapabilityDescriptorHeader *currentDescriptor, const uint8_t type);
ADX_API const IOUSBDeviceCapabilityUSB2Extension *
IOUSBGetUSB20ExtensionDeviceCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor);
ADX_API const IOUSBDeviceCapabilitySuperSpeedUSB *
IOUSBGetSuperSpeedDeviceCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor);
/** All its sublink attributes are inside. */
ADX_API const IOUSBDeviceCapabilitySuperSpeedPlusUSB *
IOUSBGetSuperSpeedPlusDeviceCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor);
ADX_API const IOUSBDeviceCapabilityContainerID *
IOUSBGetContainerIDDescriptor(const IOUSBBOSDescriptor *bosDescriptor);
ADX_API const IOUSBPlatformCapabilityDescriptor *
IOUSBGetPlatformCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor);
ADX_API const IOUSBPlatformCapabilityDescriptor *
IOUSBGetPlatformCapabilityDescriptorWithUUID(const IOUSBBOSDescriptor *bosDescriptor,
					     const uint8_t uuid[16]);
/** All its alternate modes are inside. */
ADX_API const IOUSBDeviceCapabilityBillboard *
IOUSBGetBillboardDescriptor(const IOUSBBOSDescriptor *bosDescriptor);

/** tIOUSBEndpointDirection; Unknown for control endpoints. */
ADX_API uint8_t IOUSBGetEndpointDirection(const IOUSBEndpointDescriptor *descriptor);
ADX_API uint8_t IOUSBGetEndpointAddress(const IOUSBEndpointDescriptor *descriptor);
ADX_API uint8_t IOUSBGetEndpointNumber(const IOUSBEndpointDescriptor *descriptor);
/** tIOUSBEndpointType. */
ADX_API uint8_t IOUSBGetEndpointType(const IOUSBEndpointDescriptor *descriptor);
/** 0..3. */
ADX_API uint8_t IOUSBGetEndpointSynchronizationType(const IOUSBEndpointDescriptor *descriptor);
ADX_API uint8_t IOUSBGetEndpointUsageType(const IOUSBEndpointDescriptor *descriptor);
/** Bytes of one packet. */
ADX_API uint16_t IOUSBGetEndpointMaxPacketSize(uint32_t usbDeviceSpeed,
					       const IOUSBEndpointDescriptor *descriptor);
/** Bytes of one service interval. The companions may be NULL. */
ADX_API uint32_t IOUSBGetEndpointBurstSize(
	uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor,
	const IOUSBSuperSpeedEndpointCompanionDescriptor *companionDescriptor,
	const IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor *sspCompanionDescriptor);
ADX_API uint8_t IOUSBGetEndpointMult(
	uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor,
	const IOUSBSuperSpeedEndpointCompanionDescriptor *companionDescriptor,
	const IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor *sspCompanionDescriptor);
/** n of 2^(n-1) microframes; 0: not a periodic endpoint. */
ADX_API uint32_t IOUSBGetEndpointIntervalEncodedMicroframes(
	uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor);
ADX_API uint32_t IOUSBGetEndpointIntervalMicroframes(uint32_t usbDeviceSpeed,
						     const IOUSBEndpointDescriptor *descriptor);
/** Whole frames; 0: less than one, or not a periodic endpoint. */
ADX_API uint32_t IOUSBGetEndpointIntervalFrames(uint32_t usbDeviceSpeed,
						const IOUSBEndpointDescriptor *descriptor);
/** n of 2^n streams. 0: none. */
ADX_API uint32_t IOUSBGetEndpointMaxStreamsEncoded(
	uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor,
	const IOUSBSuperSpeedEndpointCompanionDescriptor *companionDescriptor);
ADX_API uint32_t IOUSBGetEndpointMaxStreams(
	uint32_t usbDeviceSpeed, const IOUSBEndpointDescriptor *descriptor,
	const IOUSBSuperSpeedEndpointCompanionDescriptor *companionDescriptor);
ADX_API uint32_t IOUSBGetConfigurationMaxPowerMilliAmps(
	uint32_t usbDeviceSpeed, const IOUSBConfigurationDescriptor *descriptor);

/** Ends what a Copy…Descriptor() method of IOUSBHostDevice or IOUSBHostInterface returned. NULL is
 *  allowed. In C it takes any of the four; in C++ there are overloads. */
ADX_API void adx_usb_free_descriptor(const void *descriptor);

ADX_END_DECLS

#ifdef __cplusplus
static inline void
IOUSBHostFreeDescriptor(const IOUSBDeviceDescriptor *descriptor)
{
	adx_usb_free_descriptor(descriptor);
}
static inline void
IOUSBHostFreeDescriptor(const IOUSBConfigurationDescriptor *descriptor)
{
	adx_usb_free_descriptor(descriptor);
}
static inline void
IOUSBHostFreeDescriptor(const IOUSBBOSDescriptor *descriptor)
{
	adx_usb_free_descriptor(descriptor);
}
static inline void
IOUSBHostFreeDescriptor(const IOUSBStringDescriptor *descriptor)
{
	adx_usb_free_descriptor(descriptor);
}
#else
#define IOUSBHostFreeDescriptor(descriptor) adx_usb_free_descriptor(descriptor)
#endif

#endif /* AMBIDEXT_USBDRIVERKIT_APPLEUSBDESCRIPTORPARSING_H */
