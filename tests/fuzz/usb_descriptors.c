/* SPDX-License-Identifier: MIT */
/* Descriptors as a driver reads them: what is found lies inside the bytes, the search ends, and values are in their range. */
#include "fuzz.h"

#include "usbdriverkit/descriptors.h"

static const uint8_t *first, *end;

static void
inside(const void *descriptor, size_t least)
{
	const uint8_t *at = descriptor;

	FUZZ_CHECK(at >= first && at < end && (size_t)(end - at) >= least);
	FUZZ_CHECK(at[0] >= 2 && at[0] <= end - at);
}

/* The companions that follow an endpoint. */
static void
read_endpoint(const IOUSBConfigurationDescriptor *configuration, const IOUSBInterfaceDescriptor *interface,
	      const IOUSBEndpointDescriptor *endpoint)
{
	const IOUSBDescriptorHeader *parent = (const IOUSBDescriptorHeader *)endpoint;
	const IOUSBSuperSpeedEndpointCompanionDescriptor *companion;
	const IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor *plus;

	(void)interface;
	inside(endpoint, sizeof(*endpoint));
	companion = (const void *)IOUSBGetNextAssociatedDescriptorWithType(
		configuration, parent, NULL, kIOUSBDescriptorTypeSuperSpeedUSBEndpointCompanion);
	plus = (const void *)IOUSBGetNextAssociatedDescriptorWithType(
		configuration, parent, NULL, kIOUSBDescriptorTypeSuperSpeedPlusIsochronousEndpointCompanion);
	if (companion)
		inside(companion, sizeof(*companion));
	if (plus)
		inside(plus, sizeof(*plus));
	(void)IOUSBGetEndpointAddress(endpoint);
	(void)IOUSBGetEndpointUsageType(endpoint);
	FUZZ_CHECK(IOUSBGetEndpointNumber(endpoint) <= 15);
	FUZZ_CHECK(IOUSBGetEndpointType(endpoint) <= 3);
	FUZZ_CHECK(IOUSBGetEndpointSynchronizationType(endpoint) <= 3);
	FUZZ_CHECK(IOUSBGetEndpointDirection(endpoint) <= kIOUSBEndpointDirectionUnknown);
	for (uint32_t speed = 0; speed < 9; speed++) {
		const uint32_t encoded = IOUSBGetEndpointIntervalEncodedMicroframes(speed, endpoint);
		const uint32_t microframes = IOUSBGetEndpointIntervalMicroframes(speed, endpoint);

		FUZZ_CHECK(encoded <= 19);
		FUZZ_CHECK(microframes == (encoded ? 1u << (encoded - 1) : 0));
		FUZZ_CHECK(IOUSBGetEndpointIntervalFrames(speed, endpoint) == microframes / 8);
		FUZZ_CHECK(IOUSBGetEndpointMaxPacketSize(speed, endpoint) <= 2047);
		for (unsigned with = 0; with < 4; with++) {
			const IOUSBSuperSpeedEndpointCompanionDescriptor *c = with & 1 ? companion : NULL;
			const IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor *p = with & 2 ? plus : NULL;
			const uint8_t mult = IOUSBGetEndpointMult(speed, endpoint, c, p);

			FUZZ_CHECK(mult >= 1 && mult <= 3);
			(void)IOUSBGetEndpointBurstSize(speed, endpoint, c, p);
			FUZZ_CHECK(IOUSBGetEndpointMaxStreams(speed, endpoint, c) <= 65536);
		}
	}
}

static void
read_configuration(const IOUSBConfigurationDescriptor *configuration)
{
	const IOUSBDescriptorHeader *header = NULL, *part;
	const IOUSBInterfaceAssociationDescriptor *association = NULL;
	const IOUSBInterfaceDescriptor *interface = NULL;
	const IOUSBEndpointDescriptor *endpoint;
	const void *before = NULL;
	unsigned parts = 0;

	while ((header = IOUSBGetNextDescriptor(configuration, header))) {
		inside(header, sizeof(*header));
		FUZZ_CHECK((const void *)header > before);
		before = header;
		/* Quadratic by its interface: the search below one parent alone is bounded. */
		for (part = NULL; parts < 4096 && (part = IOUSBGetNextAssociatedDescriptor(configuration, header, part));
		     parts++)
			inside(part, sizeof(*part));
	}
	while ((association = IOUSBGetNextInterfaceAssociationDescriptor(
			configuration, (const IOUSBDescriptorHeader *)association)))
		inside(association, sizeof(*association));
	while ((interface = IOUSBGetNextInterfaceDescriptor(configuration, (const IOUSBDescriptorHeader *)interface))) {
		inside(interface, sizeof(*interface));
		for (endpoint = NULL;
		     (endpoint = IOUSBGetNextEndpointDescriptor(configuration, interface,
								(const IOUSBDescriptorHeader *)endpoint));)
			read_endpoint(configuration, interface, endpoint);
	}
	for (uint32_t speed = 0; speed < 9; speed++)
		FUZZ_CHECK(IOUSBGetConfigurationMaxPowerMilliAmps(speed, configuration) <= 255 * 8);
}

static void
read_bos(const IOUSBBOSDescriptor *bos, const uint8_t uuid[16])
{
	const IOUSBDeviceCapabilityDescriptorHeader *header = NULL;
	const IOUSBDeviceCapabilitySuperSpeedPlusUSB *plus;
	const IOUSBDeviceCapabilityBillboard *billboard;
	const void *one[] = {
		IOUSBGetUSB20ExtensionDeviceCapabilityDescriptor(bos),
		IOUSBGetSuperSpeedDeviceCapabilityDescriptor(bos),
		IOUSBGetContainerIDDescriptor(bos),
		IOUSBGetPlatformCapabilityDescriptor(bos),
		IOUSBGetPlatformCapabilityDescriptorWithUUID(bos, uuid),
	};
	static const size_t sizes[] = {
		sizeof(IOUSBDeviceCapabilityUSB2Extension),	sizeof(IOUSBDeviceCapabilitySuperSpeedUSB),
		sizeof(IOUSBDeviceCapabilityContainerID),	sizeof(IOUSBPlatformCapabilityDescriptor),
		sizeof(IOUSBPlatformCapabilityDescriptor),
	};

	while ((header = IOUSBGetNextCapabilityDescriptor(bos, header)))
		inside(header, sizeof(*header));
	for (unsigned type = 0; type < 32; type++)
		for (header = NULL;
		     (header = IOUSBGetNextCapabilityDescriptorWithType(bos, header, (uint8_t)type));)
			inside(header, sizeof(*header));
	for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++)
		if (one[i])
			inside(one[i], sizes[i]);
	plus = IOUSBGetSuperSpeedPlusDeviceCapabilityDescriptor(bos);
	if (plus) /* sublink attributes: bmAttributes' low five bits and one, four bytes each */
		inside(plus, 12 + 4 * ((USBToHost32(plus->bmAttributes) & 31) + 1));
	billboard = IOUSBGetBillboardDescriptor(bos);
	if (billboard)
		inside(billboard, 44 + 4u * billboard->bNumberOfAlternateModes);
}

/* Byte 0: what of the bytes after it is looked for. */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz in = { bytes, size };
	const unsigned what = fuzz_uint8(&in);
	uint8_t uuid[16] = { 0 };
	uint8_t *copy = fuzz_exact(in.at, in.left);

	for (unsigned type = 0; type < 256; type += 5)
		(void)usb_descriptor_is_whole(copy, in.left, (uint8_t)type);
	if (what & 1) {
		if (usb_descriptor_is_whole(copy, in.left, kIOUSBDescriptorTypeConfiguration)) {
			first = copy;
			end = copy + (copy[2] | copy[3] << 8);
			read_configuration((const IOUSBConfigurationDescriptor *)(const void *)copy);
		}
	} else if (usb_descriptor_is_whole(copy, in.left, kIOUSBDescriptorTypeBOS)) {
		first = copy;
		end = copy + (copy[2] | copy[3] << 8);
		if (end - copy >= 16)
			memcpy(uuid, end - 16, 16);
		read_bos((const IOUSBBOSDescriptor *)(const void *)copy, uuid);
	}
	free(copy);
	return 0;
}
