/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include <USBDriverKit/AppleUSBDescriptorParsing.h>

#include "usbdriverkit/descriptors.h"

/* A copy of bytes that ends where memory ends: one byte read too far ends the test. */
struct fence {
	uint8_t *pages;
	size_t size;
};

static void *
fence_in(struct fence *fence, const void *bytes, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	fence->size = (n + page - 1) / page * page + page;
	fence->pages = mmap(NULL, fence->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(fence->pages, MAP_FAILED);
	assert_int_equal(mprotect(fence->pages + fence->size - page, page, PROT_NONE), 0);
	return memcpy(fence->pages + fence->size - page - n, bytes, n);
}

static void
fence_free(struct fence *fence)
{
	assert_int_equal(munmap(fence->pages, fence->size), 0);
}

/* Two interfaces, the second with an alternate setting, an association, class descriptors between. */
static const uint8_t composite[] = {
	9, 2, 76, 0, 2, 1, 0, 0xc0, 50,
	8, 11, 0, 2, 2, 2, 1, 0,
	9, 4, 0, 0, 1, 2, 2, 1, 0,
	5, 0x24, 0, 0x10, 0x01,
	7, 5, 0x81, 3, 8, 0, 16,
	9, 4, 1, 0, 0, 10, 0, 0, 0,
	9, 4, 1, 1, 2, 10, 0, 0, 0,
	7, 5, 0x02, 2, 0, 2, 0,
	6, 48, 3, 4, 0, 0,
	7, 5, 0x82, 2, 0, 2, 0,
};

static void
test_walk(void **state)
{
	static const uint8_t types[] = { 11, 4, 0x24, 5, 4, 4, 5, 48, 5 };
	struct fence fence;
	const IOUSBConfigurationDescriptor *cfg = fence_in(&fence, composite, sizeof composite);
	const IOUSBDescriptorHeader *header = NULL;
	const IOUSBInterfaceDescriptor *interface;
	const IOUSBEndpointDescriptor *endpoint;
	size_t n = 0;

	assert_int_equal(USBToHost16(cfg->wTotalLength), sizeof composite);
	while ((header = IOUSBGetNextDescriptor(cfg, header)) != NULL) {
		assert_true(n < sizeof types);
		assert_int_equal(header->bDescriptorType, types[n++]);
	}
	assert_int_equal(n, sizeof types);

	assert_int_equal(IOUSBGetNextInterfaceAssociationDescriptor(cfg, NULL)->bInterfaceCount, 2);

	interface = IOUSBGetNextInterfaceDescriptor(cfg, NULL);
	assert_int_equal(interface->bInterfaceNumber, 0);
	endpoint = IOUSBGetNextEndpointDescriptor(cfg, interface, NULL);
	assert_int_equal(endpoint->bEndpointAddress, 0x81);
	/* The next interface's endpoints are not this one's. */
	assert_null(IOUSBGetNextEndpointDescriptor(cfg, interface, (const IOUSBDescriptorHeader *)endpoint));

	interface = IOUSBGetNextInterfaceDescriptor(cfg, (const IOUSBDescriptorHeader *)interface);
	assert_int_equal(interface->bAlternateSetting, 0);
	assert_null(IOUSBGetNextEndpointDescriptor(cfg, interface, NULL));
	interface = IOUSBGetNextInterfaceDescriptor(cfg, (const IOUSBDescriptorHeader *)interface);
	assert_int_equal(interface->bAlternateSetting, 1);
	endpoint = IOUSBGetNextEndpointDescriptor(cfg, interface, NULL);
	assert_int_equal(endpoint->bEndpointAddress, 0x02);
	endpoint = IOUSBGetNextEndpointDescriptor(cfg, interface, (const IOUSBDescriptorHeader *)endpoint);
	assert_int_equal(endpoint->bEndpointAddress, 0x82);
	assert_null(IOUSBGetNextEndpointDescriptor(cfg, interface, (const IOUSBDescriptorHeader *)endpoint));
	assert_null(IOUSBGetNextInterfaceDescriptor(cfg, (const IOUSBDescriptorHeader *)interface));
	assert_int_equal(IOUSBGetConfigurationMaxPowerMilliAmps(kIOUSBHostConnectionSpeedHigh, cfg), 100);
	assert_int_equal(IOUSBGetConfigurationMaxPowerMilliAmps(kIOUSBHostConnectionSpeedSuper, cfg), 400);
	fence_free(&fence);
}

/* Each is refused or cut short, without a byte read outside. */
static void
test_damaged(void **state)
{
	static const struct {
		const char *what;
		size_t size;
		uint8_t bytes[40];
		unsigned descriptors;
	} rows[] = {
		{ "a length of zero", 18, { 9, 2, 18, 0, 1, 1, 0, 0x80, 50, 0, 4 }, 0 },
		{ "a length of one", 18, { 9, 2, 18, 0, 1, 1, 0, 0x80, 50, 1, 4 }, 0 },
		{ "longer than what is left", 18, { 9, 2, 18, 0, 1, 1, 0, 0x80, 50, 10, 4 }, 0 },
		{ "half a header at the end", 19, { 9, 2, 19, 0, 1, 1, 0, 0x80, 50, 9, 4 }, 1 },
		{ "no room after the head", 9, { 9, 2, 9, 0, 1, 1, 0, 0x80, 50 }, 0 },
		{ "a total below the head", 9, { 9, 2, 4, 0, 1, 1, 0, 0x80, 50 }, 0 },
		{ "a short head", 9, { 4, 2, 9, 0, 1, 1, 0, 0x80, 50 }, 0 },
		{ "not a configuration", 18, { 9, 4, 18, 0, 1, 1, 0, 0x80, 50, 9, 4 }, 0 },
		{ "a head longer than all", 9, { 200, 2, 9, 0, 1, 1, 0, 0x80, 50 }, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fence fence;
		const IOUSBConfigurationDescriptor *cfg = fence_in(&fence, rows[i].bytes, rows[i].size);
		const IOUSBDescriptorHeader *header = NULL;
		unsigned n = 0;

		while ((header = IOUSBGetNextDescriptor(cfg, header)) != NULL)
			n++;
		if (n != rows[i].descriptors)
			fail_msg("%s: %u descriptors, wanted %u", rows[i].what, n, rows[i].descriptors);
		fence_free(&fence);
	}
}

/* A descriptor too short for its type is passed over, not handed out as that type. */
static void
test_short_for_its_type(void **state)
{
	static const uint8_t bytes[] = { 9, 2, 27, 0, 1, 1, 0, 0x80, 50, 4, 4, 0, 0,
					 9, 4, 7, 0, 1, 0xff, 0, 0, 0, 5, 5, 0x81, 2, 0 };
	struct fence fence;
	const IOUSBConfigurationDescriptor *cfg = fence_in(&fence, bytes, sizeof bytes);
	const IOUSBInterfaceDescriptor *interface = IOUSBGetNextInterfaceDescriptor(cfg, NULL);

	assert_int_equal(interface->bInterfaceNumber, 7);
	assert_null(IOUSBGetNextEndpointDescriptor(cfg, interface, NULL));
	fence_free(&fence);
}

static void
test_strange_arguments(void **state)
{
	struct fence fence;
	const IOUSBConfigurationDescriptor *cfg = fence_in(&fence, composite, sizeof composite);
	const uint8_t *bytes = (const uint8_t *)cfg;
	const IOUSBDescriptorHeader *outside = (const IOUSBDescriptorHeader *)composite;
	const IOUSBInterfaceDescriptor *first = IOUSBGetNextInterfaceDescriptor(cfg, NULL), *second;

	assert_null(IOUSBGetNextDescriptor(NULL, NULL));
	assert_null(IOUSBGetNextDescriptor(cfg, outside));
	assert_null(IOUSBGetNextDescriptor(cfg, (const IOUSBDescriptorHeader *)(bytes + sizeof composite)));
	assert_null(IOUSBGetNextDescriptor(cfg, (const IOUSBDescriptorHeader *)(bytes + sizeof composite - 1)));
	assert_null(IOUSBGetNextAssociatedDescriptor(cfg, NULL, NULL));
	assert_null(IOUSBGetNextAssociatedDescriptor(cfg, outside, NULL));
	assert_null(IOUSBGetNextEndpointDescriptor(cfg, NULL, NULL));
	/* From before the parent. */
	second = IOUSBGetNextInterfaceDescriptor(cfg, (const IOUSBDescriptorHeader *)first);
	assert_null(IOUSBGetNextAssociatedDescriptor(cfg, (const IOUSBDescriptorHeader *)second,
						     (const IOUSBDescriptorHeader *)first));
	/* The head itself is where one may begin. */
	assert_ptr_equal(IOUSBGetNextDescriptor(cfg, (const IOUSBDescriptorHeader *)cfg), bytes + 9);
	fence_free(&fence);
}

#define DAMAGED_CAPABILITY 82

static const uint8_t bos_bytes[] = {
	5, 15, 118, 0, 7,
	7, 16, 2, 0x1e, 0xf4, 0, 0,
	10, 16, 3, 2, 0x0e, 0, 1, 10, 0xff, 7,
	20, 16, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	20, 16, 5, 0, 0xdf, 0x60, 0xdd, 0xd8, 0x89, 0x45, 0xc7, 0x4c, 0x9c, 0xd2, 0x65, 0x9d, 0x9e, 0x64, 0x8a, 0x9f,
	20, 16, 5, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	/* SuperSpeedPlus: counts two attributes, has room for one */
	16, 16, 10, 0, 1, 0, 0, 0, 0, 0x11, 0, 0, 0x30, 0x40, 5, 0,
	/* and once more, whole */
	20, 16, 10, 0, 1, 0, 0, 0, 0, 0x11, 0, 0, 0x30, 0x40, 5, 0, 0xb0, 0x40, 5, 0,
};

static void
test_bos(void **state)
{
	static const uint8_t uuid[16] = { 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 };
	static const uint8_t no_uuid[16] = { 3 };
	uint8_t bytes[sizeof bos_bytes];
	struct fence fence;
	const IOUSBBOSDescriptor *bos;

	memcpy(bytes, bos_bytes, sizeof bytes);
	assert_int_equal(bytes[2], sizeof bytes);
	bos = fence_in(&fence, bytes, sizeof bytes);
	assert_int_equal(USBToHost32(IOUSBGetUSB20ExtensionDeviceCapabilityDescriptor(bos)->bmAttributes), 0xf41e);
	assert_int_equal(IOUSBGetSuperSpeedDeviceCapabilityDescriptor(bos)->bU1DevExitLat, 10);
	assert_int_equal(IOUSBGetContainerIDDescriptor(bos)->containerID[15], 16);
	assert_int_equal(IOUSBGetPlatformCapabilityDescriptor(bos)->PlatformCapabilityUUID[0], 0xdf);
	assert_int_equal(IOUSBGetPlatformCapabilityDescriptorWithUUID(bos, uuid)->PlatformCapabilityUUID[0], 2);
	assert_null(IOUSBGetPlatformCapabilityDescriptorWithUUID(bos, no_uuid));
	assert_null(IOUSBGetPlatformCapabilityDescriptorWithUUID(bos, NULL));
	/* Its attributes are not all there. */
	assert_null(IOUSBGetSuperSpeedPlusDeviceCapabilityDescriptor(bos));
	assert_null(IOUSBGetBillboardDescriptor(bos));
	assert_null(IOUSBGetContainerIDDescriptor(NULL));
	fence_free(&fence);

	bytes[DAMAGED_CAPABILITY + 2] = 0;
	bos = fence_in(&fence, bytes, sizeof bytes);
	assert_int_equal(IOUSBGetSuperSpeedPlusDeviceCapabilityDescriptor(bos)->bLength, 20);
	fence_free(&fence);
}

static void
test_endpoints(void **state)
{
	const IOUSBEndpointDescriptor bulk = { 7, 5, 0x8f, 0x02, HostToUSB16(0xf200), 0 };
	const IOUSBEndpointDescriptor control = { 7, 5, 0x80, 0x00, HostToUSB16(64), 0 };
	const IOUSBEndpointDescriptor interrupt = { 7, 5, 0x71, 0x13, HostToUSB16(0x1400), 255 };
	const IOUSBEndpointDescriptor isoch = { 7, 5, 0x82, 0x25, HostToUSB16(0x0c00), 4 };
	const IOUSBSuperSpeedEndpointCompanionDescriptor burst = { 6, 48, 15, 4, 0 };
	const IOUSBSuperSpeedEndpointCompanionDescriptor streams = { 6, 48, 255, 0x1f, 0 };
	const IOUSBSuperSpeedEndpointCompanionDescriptor multiple = { 6, 48, 1, 2, 0 };
	const IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor plus = { 8, 49, 0,
										 HostToUSB32(96 * 1024) };

	assert_int_equal(IOUSBGetEndpointDirection(&bulk), kIOUSBEndpointDirectionIn);
	assert_int_equal(IOUSBGetEndpointDirection(&interrupt), kIOUSBEndpointDirectionOut);
	assert_int_equal(IOUSBGetEndpointDirection(&control), kIOUSBEndpointDirectionUnknown);
	assert_int_equal(IOUSBGetEndpointAddress(&interrupt), 0x01);
	assert_int_equal(IOUSBGetEndpointNumber(&bulk), 15);
	assert_int_equal(IOUSBGetEndpointType(&isoch), kIOUSBEndpointTypeIsochronous);
	assert_int_equal(IOUSBGetEndpointSynchronizationType(&isoch), 1);
	assert_int_equal(IOUSBGetEndpointUsageType(&isoch), 2);
	assert_int_equal(IOUSBGetEndpointUsageType(&interrupt), 1);

	assert_int_equal(IOUSBGetEndpointMaxPacketSize(kIOUSBHostConnectionSpeedHigh, &bulk), 512);
	assert_int_equal(IOUSBGetEndpointBurstSize(kIOUSBHostConnectionSpeedHigh, &bulk, NULL, NULL), 512);
	assert_int_equal(IOUSBGetEndpointBurstSize(kIOUSBHostConnectionSpeedSuper, &bulk, &burst, NULL), 8192);
	assert_int_equal(IOUSBGetEndpointMult(kIOUSBHostConnectionSpeedHigh, &interrupt, NULL, NULL), 3);
	assert_int_equal(IOUSBGetEndpointBurstSize(kIOUSBHostConnectionSpeedHigh, &interrupt, NULL, NULL), 3072);
	assert_int_equal(IOUSBGetEndpointMult(kIOUSBHostConnectionSpeedFull, &interrupt, NULL, NULL), 1);
	assert_int_equal(IOUSBGetEndpointBurstSize(kIOUSBHostConnectionSpeedSuper, &isoch, &multiple, NULL),
			 1024 * 3 * 2);
	assert_int_equal(IOUSBGetEndpointBurstSize(kIOUSBHostConnectionSpeedSuperPlus, &isoch, &multiple, &plus),
			 96 * 1024);

	assert_int_equal(IOUSBGetEndpointIntervalEncodedMicroframes(kIOUSBHostConnectionSpeedHigh, &isoch), 4);
	assert_int_equal(IOUSBGetEndpointIntervalMicroframes(kIOUSBHostConnectionSpeedHigh, &isoch), 8);
	assert_int_equal(IOUSBGetEndpointIntervalFrames(kIOUSBHostConnectionSpeedHigh, &isoch), 1);
	assert_int_equal(IOUSBGetEndpointIntervalFrames(kIOUSBHostConnectionSpeedFull, &isoch), 8);
	assert_int_equal(IOUSBGetEndpointIntervalFrames(kIOUSBHostConnectionSpeedFull, &interrupt), 128);
	assert_int_equal(IOUSBGetEndpointIntervalMicroframes(kIOUSBHostConnectionSpeedHigh, &interrupt), 1 << 15);
	assert_int_equal(IOUSBGetEndpointIntervalMicroframes(kIOUSBHostConnectionSpeedHigh, &bulk), 0);

	assert_int_equal(IOUSBGetEndpointMaxStreams(kIOUSBHostConnectionSpeedSuper, &bulk, &burst), 16);
	assert_int_equal(IOUSBGetEndpointMaxStreams(kIOUSBHostConnectionSpeedSuper, &bulk, &streams), 1 << 16);
	assert_int_equal(IOUSBGetEndpointMaxStreams(kIOUSBHostConnectionSpeedHigh, &bulk, &burst), 0);
	assert_int_equal(IOUSBGetEndpointMaxStreams(kIOUSBHostConnectionSpeedSuper, &isoch, &burst), 0);
}

static uint32_t
random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Random bytes that begin like a configuration or a BOS: walks end, and stay inside. */
static void
test_random(void **state)
{
	uint32_t seed = 0x1d0c5eed;

	for (unsigned round = 0; round < 20000; round++) {
		uint8_t bytes[256];
		size_t n = 9 + random_next(&seed) % (sizeof bytes - 9);
		bool as_bos = round % 2;
		struct fence fence;
		const uint8_t *start;
		uintptr_t last = 0;
		unsigned found = 0;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(random_next(&seed) % (i % 3 ? 12 : 256));
		bytes[0] = as_bos ? 5 : 9;
		bytes[1] = as_bos ? 15 : 2;
		bytes[2] = (uint8_t)n;
		bytes[3] = 0;
		start = fence_in(&fence, bytes, n);
		if (as_bos) {
			const IOUSBDeviceCapabilityDescriptorHeader *cap = NULL;
			const IOUSBBOSDescriptor *bos = (const IOUSBBOSDescriptor *)start;

			while ((cap = IOUSBGetNextCapabilityDescriptor(bos, cap)) != NULL) {
				assert_true((uintptr_t)cap > last);
				last = (uintptr_t)cap;
				assert_true(last + cap->bLength <= (uintptr_t)start + n);
				found++;
			}
			(void)IOUSBGetBillboardDescriptor(bos);
			(void)IOUSBGetSuperSpeedPlusDeviceCapabilityDescriptor(bos);
		} else {
			const IOUSBConfigurationDescriptor *cfg = (const IOUSBConfigurationDescriptor *)start;
			const IOUSBInterfaceDescriptor *interface = NULL;
			const IOUSBDescriptorHeader *header = NULL;

			while ((header = IOUSBGetNextDescriptor(cfg, header)) != NULL) {
				assert_true((uintptr_t)header > last);
				last = (uintptr_t)header;
				assert_true(last + header->bLength <= (uintptr_t)start + n);
				found++;
			}
			while ((interface = IOUSBGetNextInterfaceDescriptor(
					cfg, (const IOUSBDescriptorHeader *)interface)) != NULL) {
				const IOUSBEndpointDescriptor *endpoint = NULL;

				while ((endpoint = IOUSBGetNextEndpointDescriptor(
						cfg, interface, (const IOUSBDescriptorHeader *)endpoint)) != NULL)
					assert_true((uintptr_t)(endpoint + 1) <= (uintptr_t)start + n);
			}
		}
		assert_true(found <= n / 2);
		fence_free(&fence);
	}
}

/* What a host sent, before a driver may trust its lengths. */
static void
test_whole(void **state)
{
	static const struct {
		uint8_t type;
		size_t size;
		uint8_t bytes[20];
		bool whole;
	} rows[] = {
		{ kIOUSBDescriptorTypeConfiguration, 9, { 9, 2, 9, 0, 1, 1, 0, 0x80, 50 }, true },
		{ kIOUSBDescriptorTypeConfiguration, 12, { 9, 2, 9, 0, 1, 1, 0, 0x80, 50 }, true },
		{ kIOUSBDescriptorTypeConfiguration, 9, { 9, 2, 10, 0, 1, 1, 0, 0x80, 50 }, false },
		{ kIOUSBDescriptorTypeConfiguration, 9, { 9, 2, 8, 0, 1, 1, 0, 0x80, 50 }, false },
		{ kIOUSBDescriptorTypeConfiguration, 8, { 9, 2, 8, 0, 1, 1, 0, 0x80 }, false },
		{ kIOUSBDescriptorTypeConfiguration, 9, { 9, 4, 9, 0, 1, 1, 0, 0x80, 50 }, false },
		{ kIOUSBDescriptorTypeDevice, 18, { 18, 1 }, true },
		{ kIOUSBDescriptorTypeDevice, 18, { 17, 1 }, false },
		{ kIOUSBDescriptorTypeDevice, 17, { 18, 1 }, false },
		{ kIOUSBDescriptorTypeString, 4, { 4, 3, 'a', 0 }, true },
		{ kIOUSBDescriptorTypeString, 4, { 5, 3, 'a', 0 }, false },
		{ kIOUSBDescriptorTypeString, 1, { 1 }, false },
		{ kIOUSBDescriptorTypeString, 2, { 0, 3 }, false },
		{ kIOUSBDescriptorTypeBOS, 5, { 5, 15, 5, 0, 0 }, true },
		{ kIOUSBDescriptorTypeBOS, 5, { 5, 15, 6, 0, 0 }, false },
		{ kIOUSBDescriptorTypeBOS, 5, { 5, 15, 0, 1, 0 }, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fence fence;
		const void *bytes = fence_in(&fence, rows[i].bytes, rows[i].size);

		if (usb_descriptor_is_whole(bytes, rows[i].size, rows[i].type) != rows[i].whole)
			fail_msg("row %zu is %swhole", i, rows[i].whole ? "" : "not ");
		fence_free(&fence);
	}
	assert_false(usb_descriptor_is_whole(NULL, 0, kIOUSBDescriptorTypeString));
}

static void
test_layout(void **state)
{
	assert_int_equal(sizeof(IOUSBDeviceDescriptor), kIOUSBDescriptorSizeDevice);
	assert_int_equal(sizeof(IOUSBDeviceQualifierDescriptor), kIOUSBDescriptorSizeDeviceQualifier);
	assert_int_equal(sizeof(IOUSBConfigurationDescriptor), kIOUSBDescriptorSizeConfiguration);
	assert_int_equal(sizeof(IOUSBInterfaceDescriptor), kIOUSBDescriptorSizeInterface);
	assert_int_equal(sizeof(IOUSBEndpointDescriptor), kIOUSBDescriptorSizeEndpoint);
	assert_int_equal(sizeof(IOUSBBOSDescriptor), kIOUSBDescriptorSizeBOS);
	assert_int_equal(sizeof(IOUSBDeviceCapabilityUSB2Extension), kIOUSBDescriptorSizeUSB20ExtensionCapability);
	assert_int_equal(sizeof(IOUSBDeviceCapabilitySuperSpeedUSB),
			 kIOUSBDescriptorSizeSuperSpeedUSBDeviceCapability);
	assert_int_equal(sizeof(IOUSBDeviceCapabilityContainerID), kIOUSBDescriptorSizeContainerIDCapability);
	assert_int_equal(sizeof(IOUSBPlatformCapabilityDescriptor), kIOUSBDescriptorSizePlatformCapability);
	assert_int_equal(sizeof(IOUSBDeviceCapabilityBillboard), kIOUSBDescriptorSizeBillboardDeviceMinimum);
	assert_int_equal(sizeof(IOUSBInterfaceAssociationDescriptor), kIOUSBDescriptorSizeInterfaceAssociation);
	assert_int_equal(sizeof(IOUSBSuperSpeedEndpointCompanionDescriptor), 6);
	assert_int_equal(sizeof(IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor), 8);
	assert_int_equal(sizeof(IOUSBDeviceCapabilityBillboardAltMode), 6);
	assert_int_equal(sizeof(IOUSBDeviceRequest), kIOUSBDeviceRequestSize);
	assert_int_equal(sizeof(IOUSBSuperSpeedHubDescriptor), kIOUSBDescriptorSizeSuperSpeedHub);
	assert_int_equal(sizeof(IOUSBHIDDescriptor), 9);
	assert_int_equal(kIOUSBEndpointDescriptorReserved, 0xe000);
	assert_int_equal(kIOUSBHostPortStatusConnectedSpeedSuper, 0x400);
	assert_int_equal(USBmakebmRequestType(1, 2, 1), 0xc1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),      cmocka_unit_test(test_walk),
		cmocka_unit_test(test_damaged),     cmocka_unit_test(test_short_for_its_type),
		cmocka_unit_test(test_strange_arguments), cmocka_unit_test(test_bos),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_endpoints),   cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
