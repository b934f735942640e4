/* SPDX-License-Identifier: MIT */
/* Every function works on bytes that a device sent. A position is only trusted when it lies between the head
 * and the end that wTotalLength gives; a descriptor is only followed when its bLength is 2 or more. */

#include <USBDriverKit/AppleUSBDescriptorParsing.h>

#include <stdlib.h>
#include <string.h>

/* One run of descriptors: a configuration's, or a BOS's. */
struct blob {
	const uint8_t *head;
	size_t first; /* bytes before the first descriptor that can be returned */
	size_t total;
};

static bool
open_blob(const void *head, size_t head_size, uint16_t total, struct blob *ret)
{
	if (head == NULL)
		return false;
	ret->head = head;
	ret->first = ret->head[0];
	ret->total = USBToHost16(total);
	return ret->first >= head_size && ret->total >= ret->first;
}

static bool
open_configuration(const IOUSBConfigurationDescriptor *configuration, struct blob *ret)
{
	return configuration != NULL &&
	       configuration->bDescriptorType == kIOUSBDescriptorTypeConfiguration &&
	       open_blob(configuration, sizeof *configuration, configuration->wTotalLength, ret);
}

static bool
open_bos(const IOUSBBOSDescriptor *bos, struct blob *ret)
{
	return bos != NULL && bos->bDescriptorType == kIOUSBDescriptorTypeBOS &&
	       open_blob(bos, sizeof *bos, bos->wTotalLength, ret);
}

/* Descriptor at @p offset, if all of it is there. */
static const IOUSBDescriptorHeader *
at(const struct blob *blob, size_t offset)
{
	const IOUSBDescriptorHeader *header;

	if (offset > blob->total || blob->total - offset < sizeof *header)
		return NULL;
	header = (const IOUSBDescriptorHeader *)(blob->head + offset);
	if (header->bLength < sizeof *header || header->bLength > blob->total - offset)
		return NULL;
	return header;
}

/* Offset of @p current; false when it is not a whole descriptor of this blob. */
static bool
offset_of(const struct blob *blob, const void *current, size_t *ret)
{
	uintptr_t position = (uintptr_t)current, head = (uintptr_t)blob->head;

	if (position < head || position - head > blob->total)
		return false;
	*ret = position - head;
	return at(blob, *ret) != NULL;
}

static const IOUSBDescriptorHeader *
next(const struct blob *blob, const void *current)
{
	size_t offset = 0;

	if (current == NULL || current == (const void *)blob->head)
		return at(blob, blob->first);
	if (!offset_of(blob, current, &offset))
		return NULL;
	return at(blob, offset + blob->head[offset]);
}

/* Bytes that a descriptor of a type must have before it is handed out as that type's struct. */
static size_t
least_size(uint8_t type)
{
	switch (type) {
	case kIOUSBDescriptorTypeDevice:
		return sizeof(IOUSBDeviceDescriptor);
	case kIOUSBDescriptorTypeConfiguration:
	case kIOUSBDescriptorTypeOtherSpeedConfiguration:
		return sizeof(IOUSBConfigurationDescriptor);
	case kIOUSBDescriptorTypeInterface:
		return sizeof(IOUSBInterfaceDescriptor);
	case kIOUSBDescriptorTypeEndpoint:
		return sizeof(IOUSBEndpointDescriptor);
	case kIOUSBDescriptorTypeDeviceQualifier:
		return sizeof(IOUSBDeviceQualifierDescriptor);
	case kIOUSBDescriptorTypeInterfaceAssociation:
		return sizeof(IOUSBInterfaceAssociationDescriptor);
	case kIOUSBDescriptorTypeBOS:
		return sizeof(IOUSBBOSDescriptor);
	case kIOUSBDescriptorTypeDeviceCapability:
		return sizeof(IOUSBDeviceCapabilityDescriptorHeader);
	case kIOUSBDescriptorTypeSuperSpeedUSBEndpointCompanion:
		return sizeof(IOUSBSuperSpeedEndpointCompanionDescriptor);
	case kIOUSBDescriptorTypeSuperSpeedPlusIsochronousEndpointCompanion:
		return sizeof(IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor);
	default:
		return sizeof(IOUSBDescriptorHeader);
	}
}

static const IOUSBDescriptorHeader *
next_with_type(const struct blob *blob, const void *current, uint8_t type)
{
	const IOUSBDescriptorHeader *found = next(blob, current);

	while (found != NULL && (found->bDescriptorType != type || found->bLength < least_size(type)))
		found = next(blob, found);
	return found;
}

const IOUSBDescriptorHeader *
IOUSBGetNextDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
		       const IOUSBDescriptorHeader *currentDescriptor)
{
	struct blob blob;

	return open_configuration(configurationDescriptor, &blob) ? next(&blob, currentDescriptor) : NULL;
}

const IOUSBDescriptorHeader *
IOUSBGetNextDescriptorWithType(const IOUSBConfigurationDescriptor *configurationDescriptor,
			       const IOUSBDescriptorHeader *currentDescriptor, const uint8_t type)
{
	struct blob blob;

	return open_configuration(configurationDescriptor, &blob) ?
		       next_with_type(&blob, currentDescriptor, type) :
		       NULL;
}

const IOUSBDescriptorHeader *
IOUSBGetNextAssociatedDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
				 const IOUSBDescriptorHeader *parentDescriptor,
				 const IOUSBDescriptorHeader *currentDescriptor)
{
	const IOUSBDescriptorHeader *found;
	struct blob blob;
	size_t parent = 0, current = 0;

	if (!open_configuration(configurationDescriptor, &blob) || parentDescriptor == NULL ||
	    !offset_of(&blob, parentDescriptor, &parent))
		return NULL;
	if (currentDescriptor == NULL)
		currentDescriptor = parentDescriptor;
	if (!offset_of(&blob, currentDescriptor, &current) || current < parent)
		return NULL;
	found = next(&blob, currentDescriptor);
	return found != NULL && found->bDescriptorType != parentDescriptor->bDescriptorType ? found : NULL;
}

const IOUSBDescriptorHeader *
IOUSBGetNextAssociatedDescriptorWithType(const IOUSBConfigurationDescriptor *configurationDescriptor,
					 const IOUSBDescriptorHeader *parentDescriptor,
					 const IOUSBDescriptorHeader *currentDescriptor, const uint8_t type)
{
	const IOUSBDescriptorHeader *found = currentDescriptor;

	do
		found = IOUSBGetNextAssociatedDescriptor(configurationDescriptor, parentDescriptor, found);
	while (found != NULL && (found->bDescriptorType != type || found->bLength < least_size(type)));
	return found;
}

const IOUSBInterfaceAssociationDescriptor *
IOUSBGetNextInterfaceAssociationDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
					   const IOUSBDescriptorHeader *currentDescriptor)
{
	return (const IOUSBInterfaceAssociationDescriptor *)IOUSBGetNextDescriptorWithType(
		configurationDescriptor, currentDescriptor, kIOUSBDescriptorTypeInterfaceAssociation);
}

const IOUSBInterfaceDescriptor *
IOUSBGetNextInterfaceDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
				const IOUSBDescriptorHeader *currentDescriptor)
{
	return (const IOUSBInterfaceDescriptor *)IOUSBGetNextDescriptorWithType(
		configurationDescriptor, currentDescriptor, kIOUSBDescriptorTypeInterface);
}

const IOUSBEndpointDescriptor *
IOUSBGetNextEndpointDescriptor(const IOUSBConfigurationDescriptor *configurationDescriptor,
			       const IOUSBInterfaceDescriptor *interfaceDescriptor,
			       const IOUSBDescriptorHeader *currentDescriptor)
{
	if (interfaceDescriptor == NULL)
		return NULL;
	return (const IOUSBEndpointDescriptor *)IOUSBGetNextAssociatedDescriptorWithType(
		configurationDescriptor, (const IOUSBDescriptorHeader *)interfaceDescriptor, currentDescriptor,
		kIOUSBDescriptorTypeEndpoint);
}

/* ---------------------------------------------------------------------------------------------
 * Capabilities
 */

const IOUSBDeviceCapabilityDescriptorHeader *
IOUSBGetNextCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor,
				 const IOUSBDeviceCapabilityDescriptorHeader *currentDescriptor)
{
	struct blob blob;

	if (!open_bos(bosDescriptor, &blob))
		return NULL;
	return (const IOUSBDeviceCapabilityDescriptorHeader *)next_with_type(
		&blob, currentDescriptor, kIOUSBDescriptorTypeDeviceCapability);
}

const IOUSBDeviceCapabilityDescriptorHeader *
IOUSBGetNextCapabilityDescriptorWithType(const IOUSBBOSDescriptor *bosDescriptor,
					 const IOUSBDeviceCapabilityDescriptorHeader *currentDescriptor,
					 const uint8_t type)
{
	const IOUSBDeviceCapabilityDescriptorHeader *found =
		IOUSBGetNextCapabilityDescriptor(bosDescriptor, currentDescriptor);

	while (found != NULL && found->bDevCapabilityType != type)
		found = IOUSBGetNextCapabilityDescriptor(bosDescriptor, found);
	return found;
}

/* The first of that type with @p size bytes or more. */
static const void *
capability(const IOUSBBOSDescriptor *bos, uint8_t type, size_t size)
{
	const IOUSBDeviceCapabilityDescriptorHeader *found =
		IOUSBGetNextCapabilityDescriptorWithType(bos, NULL, type);

	while (found != NULL && found->bLength < size)
		found = IOUSBGetNextCapabilityDescriptorWithType(bos, found, type);
	return found;
}

const IOUSBDeviceCapabilityUSB2Extension *
IOUSBGetUSB20ExtensionDeviceCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor)
{
	return capability(bosDescriptor, kIOUSBDeviceCapabilityTypeUSB20Extension,
			  sizeof(IOUSBDeviceCapabilityUSB2Extension));
}

const IOUSBDeviceCapabilitySuperSpeedUSB *
IOUSBGetSuperSpeedDeviceCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor)
{
	return capability(bosDescriptor, kIOUSBDeviceCapabilityTypeSuperSpeed,
			  sizeof(IOUSBDeviceCapabilitySuperSpeedUSB));
}

const IOUSBDeviceCapabilitySuperSpeedPlusUSB *
IOUSBGetSuperSpeedPlusDeviceCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor)
{
	const IOUSBDeviceCapabilitySuperSpeedPlusUSB *found =
		capability(bosDescriptor, kIOUSBDeviceCapabilityTypeSuperSpeedPlus, sizeof *found);
	size_t attributes;

	if (found == NULL)
		return NULL;
	attributes = (USBToHost32(found->bmAttributes) &
		      kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedAttrCount) + 1;
	if (found->bLength < sizeof *found + (attributes - 1) * sizeof(uint32_t))
		return NULL;
	return found;
}

const IOUSBDeviceCapabilityContainerID *
IOUSBGetContainerIDDescriptor(const IOUSBBOSDescriptor *bosDescriptor)
{
	return capability(bosDescriptor, kIOUSBDeviceCapabilityTypeContainerID,
			  sizeof(IOUSBDeviceCapabilityContainerID));
}

const IOUSBPlatformCapabilityDescriptor *
IOUSBGetPlatformCapabilityDescriptor(const IOUSBBOSDescriptor *bosDescriptor)
{
	return capability(bosDescriptor, kIOUSBDeviceCapabilityTypePlatform,
			  sizeof(IOUSBPlatformCapabilityDescriptor));
}

const IOUSBPlatformCapabilityDescriptor *
IOUSBGetPlatformCapabilityDescriptorWithUUID(const IOUSBBOSDescriptor *bosDescriptor, const uint8_t uuid[16])
{
	const IOUSBDeviceCapabilityDescriptorHeader *found = NULL;

	if (uuid == NULL)
		return NULL;
	while ((found = IOUSBGetNextCapabilityDescriptorWithType(bosDescriptor, found,
								 kIOUSBDeviceCapabilityTypePlatform))) {
		const IOUSBPlatformCapabilityDescriptor *platform =
			(const IOUSBPlatformCapabilityDescriptor *)found;

		if (found->bLength >= sizeof *platform &&
		    memcmp(platform->PlatformCapabilityUUID, uuid, 16) == 0)
			return platform;
	}
	return NULL;
}

const IOUSBDeviceCapabilityBillboard *
IOUSBGetBillboardDescriptor(const IOUSBBOSDescriptor *bosDescriptor)
{
	const IOUSBDeviceCapabilityBillboard *found =
		capability(bosDescriptor, kIOUSBDeviceCapabilityTypeBillboard, sizeof *found);

	if (found == NULL || found->bLength < sizeof *found + found->bNumberOfAlternateModes *
								      sizeof found->pAltConfigurations[0])
		return NULL;
	return found;
}

void
adx_usb_free_descriptor(const void *descriptor)
{
	free((void *)(uintptr_t)descriptor);
}
