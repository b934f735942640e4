/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_USBDRIVERKIT_USBDRIVERKITDEFS_H
#define AMBIDEXT_USBDRIVERKIT_USBDRIVERKITDEFS_H

/** @file USBDriverKit/USBDriverKitDefs.h
 *  @brief Options and structures of the methods of the USB classes. */

#include <DriverKit/IOTypes.h>
#include <USBDriverKit/AppleUSBDefinitions.h>

typedef struct __attribute__((packed)) IOUSBIsochronousFrame {
	IOReturn status;        /* kIOReturnInvalid until the frame is done */
	uint32_t requestCount;  /* bytes asked for */
	uint32_t completeCount; /* bytes moved */
	uint32_t reserved;
	uint64_t timeStamp; /* mach_absolute_time() */
} IOUSBIsochronousFrame;

/* bcdUSB: 0x0110, 0x0200, 0x0300 or 0x0310. Descriptors that an endpoint has not are zeros. */
typedef struct IOUSBStandardEndpointDescriptors {
	uint16_t bcdUSB;
	IOUSBEndpointDescriptor descriptor;
	IOUSBSuperSpeedEndpointCompanionDescriptor ssCompanionDescriptor;
	IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor sspCompanionDescriptor;
} IOUSBStandardEndpointDescriptors;

#ifdef __cplusplus
#define ADX_UNSIGNED_ENUM(name) enum name : unsigned
#else
#define ADX_UNSIGNED_ENUM(name)     \
	typedef unsigned int name; \
	enum
#endif

ADX_UNSIGNED_ENUM(IOUSBAbortOptions) {
	kIOUSBAbortAsynchronous = 0, /* returns at once; completions follow */
	kIOUSBAbortSynchronous = 1,  /* returns when the completions have been sent */
};

ADX_UNSIGNED_ENUM(IOUSBGetEndpointDescriptorOptions) {
	kIOUSBGetEndpointDescriptorOriginal = 0,
	kIOUSBGetEndpointDescriptorCurrentPolicy = 1,
};

#undef ADX_UNSIGNED_ENUM

enum {
	kIOUSBHostPipeBundlingMax = 16,
};

/* Open's options. With SelectAlternateSetting, the argument is the number, cast to a pointer. */
enum {
	kUSBHostOpenOptionSelectAlternateSetting = 1 << 16,
	kUSBHostOpenOptionUserClientSession = 1 << 17,
};

#endif /* AMBIDEXT_USBDRIVERKIT_USBDRIVERKITDEFS_H */
