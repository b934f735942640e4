/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_USBDRIVERKIT_APPLEUSBDEFINITIONS_H
#define AMBIDEXT_USBDRIVERKIT_APPLEUSBDEFINITIONS_H

/** @file USBDriverKit/AppleUSBDefinitions.h
 *  @brief Descriptors, requests and constants of the USB specifications, under their usual names.
 *
 *  Fields of more than a byte are little-endian: read them with USBToHost16/32/64. Some names are
 *  misspelt where sources rely on it. */

#include <stdint.h>

#include <DriverKit/IOTypes.h>
#include <libkern/OSByteOrder.h>

#define IOUSBBit(bit) ((uint32_t)(1u << (bit)))
#define IOUSBBitRange(start, end) ((uint32_t)(((0xffffffffu >> (31u - ((end) - (start)))) << (start))))
#define IOUSBBitRange64(start, end) \
	((uint64_t)(((0xffffffffffffffffull >> (63u - ((end) - (start)))) << (start))))
#define IOUSBBitRangePhase(start, end) (start)

#define USBToHost16 OSSwapLittleToHostInt16
#define USBToHost32 OSSwapLittleToHostInt32
#define USBToHost64 OSSwapLittleToHostInt64
#define HostToUSB16 OSSwapHostToLittleInt16
#define HostToUSB32 OSSwapHostToLittleInt32
#define HostToUSB64 OSSwapHostToLittleInt64

#define kIOUSB20BitrateLow ((uint64_t)1500000ull)
#define kIOUSB20BitrateFull ((uint64_t)12000000ull)
#define kIOUSB20BitrateHigh ((uint64_t)480000000ull)
#define kIOUSB30Bitrate5Gbps ((uint64_t)5000000000ull)
#define kIOUSB30Bitrate10Gbps ((uint64_t)10000000000ull)
#define kIOUSB32Bitrate20Gbps ((uint64_t)20000000000ull)

enum {
	kIOUSBAppleVendorID = 0x05AC,
};

/* ---------------------------------------------------------------------------------------------
 * Descriptors
 */

#define ADX_PACKED __attribute__((packed))

typedef enum tIOUSBDescriptorType {
	kIOUSBDescriptorTypeDevice = 1,
	kIOUSBDescriptorTypeConfiguration = 2,
	kIOUSBDescriptorTypeString = 3,
	kIOUSBDescriptorTypeInterface = 4,
	kIOUSBDescriptorTypeEndpoint = 5,
	kIOUSBDescriptorTypeDeviceQualifier = 6,
	kIOUSBDescriptorTypeOtherSpeedConfiguration = 7,
	kIOUSBDescriptorTypeInterfacePower = 8,
	kIOUSBDescriptorTypeOTG = 9,
	kIOUSBDescriptorTypeDebug = 10,
	kIOUSBDescriptorTypeInterfaceAssociation = 11,
	kIOUSBDescriptorTypeBOS = 15,
	kIOUSBDescriptorTypeDeviceCapability = 16,
	kIOUSBDecriptorTypeHID = 33,
	kIOUSBDecriptorTypeReport = 34,
	kIOUSBDescriptorTypePhysical = 35,
	kIOUSBDescriptorTypeHub = 41,
	kIOUSBDescriptorTypeSuperSpeedHub = 42,
	kIOUSBDescriptorTypeSuperSpeedUSBEndpointCompanion = 48,
	kIOUSBDescriptorTypeSuperSpeedPlusIsochronousEndpointCompanion = 49,
} tIOUSBDescriptorType;

typedef enum tIOUSBDescriptorSize {
	kIOUSBDescriptorHeaderSize = 2,
	kIOUSBDescriptorSizeDevice = 18,
	kIOUSBDescriptorSizeConfiguration = 9,
	kIOUSBDescriptorSizeInterface = 9,
	kIOUSBDescriptorSizeEndpoint = 7,
	kIOUSBDescriptorSizeStringMinimum = 2,
	kIOUSBDescriptorSizeStringMaximum = 255,
	kIOUSBDescriptorSizeDeviceQualifier = 10,
	kIOUSBDescriptorSizeInterfaceAssociation = 8,
	kIOUSBDescriptorSizeBOS = 5,
	kIOUSBDescriptorSizeDeviceCapability = 3,
	kIOUSBDescriptorSizeUSB20ExtensionCapability = 7,
	kIOUSBDescriptorSizeSuperSpeedUSBDeviceCapability = 10,
	kIOUSBDescriptorSizeContainerIDCapability = 20,
	kIOUSBDescriptorSizeHubMinimum = 9,
	kIOUSBDescriptorSizeHubMaximum = 21,
	kIOUSBDescriptorSizeSuperSpeedHub = 12,
	kIOUSBDescriptorSizeSuperSpeedUSBEndpointCompanion = 6,
	kIOUSBDescriptorSizeSuperSpeedPlusIsochronousEndpointCompanion = 8,
	kIOUSBDescriptorSizeBillboardDeviceMinimum = 44,
	kIOUSBDescriptorSizeBillboardDeviceMaximum = 256,
	kIOUSBDescriptorSizePlatformECIDCapability = 28,
	kIOUSBDescriptorSizePlatformCapability = 20,
} tIOUSBDescriptorSize;

typedef struct ADX_PACKED IOUSBDescriptorHeader {
	uint8_t bLength;
	uint8_t bDescriptorType;
} IOUSBDescriptorHeader;

typedef IOUSBDescriptorHeader IOUSBDescriptor;

typedef struct ADX_PACKED IOUSBDeviceDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint16_t bcdUSB;
	uint8_t bDeviceClass;
	uint8_t bDeviceSubClass;
	uint8_t bDeviceProtocol;
	uint8_t bMaxPacketSize0;
	uint16_t idVendor;
	uint16_t idProduct;
	uint16_t bcdDevice;
	uint8_t iManufacturer;
	uint8_t iProduct;
	uint8_t iSerialNumber;
	uint8_t bNumConfigurations;
} IOUSBDeviceDescriptor;

typedef struct ADX_PACKED IOUSBDeviceQualifierDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint16_t bcdUSB;
	uint8_t bDeviceClass;
	uint8_t bDeviceSubClass;
	uint8_t bDeviceProtocol;
	uint8_t bMaxPacketSize0;
	uint8_t bNumConfigurations;
	uint8_t bReserved;
} IOUSBDeviceQualifierDescriptor;

typedef struct ADX_PACKED IOUSBConfigurationDescHeader {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint16_t wTotalLength;
} IOUSBConfigurationDescHeader;

typedef struct ADX_PACKED IOUSBConfigurationDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint16_t wTotalLength;
	uint8_t bNumInterfaces;
	uint8_t bConfigurationValue;
	uint8_t iConfiguration;
	uint8_t bmAttributes;
	uint8_t MaxPower;
} IOUSBConfigurationDescriptor;

enum {
	kIOUSBConfigurationDescriptorAttributeRemoteWakeCapable = IOUSBBit(5),
	kIOUSBConfigurationDescriptorAttributeSelfPowered = IOUSBBit(6),
};

typedef struct ADX_PACKED IOUSBInterfaceDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bInterfaceNumber;
	uint8_t bAlternateSetting;
	uint8_t bNumEndpoints;
	uint8_t bInterfaceClass;
	uint8_t bInterfaceSubClass;
	uint8_t bInterfaceProtocol;
	uint8_t iInterface;
} IOUSBInterfaceDescriptor;

typedef struct ADX_PACKED IOUSBEndpointDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bEndpointAddress;
	uint8_t bmAttributes;
	uint16_t wMaxPacketSize;
	uint8_t bInterval;
} IOUSBEndpointDescriptor;

/* bEndpointAddress */
enum {
	kIOUSBEndpointDescriptorNumber = IOUSBBitRange(0, 3),
	kIOUSBEndpointDescriptorNumberPhase = IOUSBBitRangePhase(0, 3),
	kIOUSBEndpointDescriptorEndpointAddressReserved = IOUSBBitRange(4, 6),
	kIOUSBEndpointDescriptorDirection = IOUSBBit(7),
	kIOUSBEndpointDescriptorDirectionPhase = IOUSBBitRangePhase(7, 7),
	kIOUSBEndpointDescriptorDirectionOut = 0,
	kIOUSBEndpointDescriptorDirectionIn = IOUSBBit(7),
};

/* bmAttributes */
enum {
	kIOUSBEndpointDescriptorTransferType = IOUSBBitRange(0, 1),
	kIOUSBEndpointDescriptorTransferTypePhase = IOUSBBitRangePhase(0, 1),
	kIOUSBEndpointDescriptorTransferTypeControl = (0 << 0),
	kIOUSBEndpointDescriptorTransferTypeIsochronous = (1 << 0),
	kIOUSBEndpointDescriptorTransferTypeBulk = (2 << 0),
	kIOUSBEndpointDescriptorTransferTypeInterrupt = (3 << 0),
	kIOUSBEndpointDescriptorSynchronizationType = IOUSBBitRange(2, 3),
	kIOUSBEndpointDescriptorSynchronizationTypePhase = IOUSBBitRangePhase(2, 3),
	kIOUSBEndpointDescriptorSynchronizationTypeNone = (0 << 2),
	kIOUSBEndpointDescriptorSynchronizationTypeAsynchronous = (1 << 2),
	kIOUSBEndpointDescriptorSynchronizationTypeAdaptive = (2 << 2),
	kIOUSBEndpointDescriptorSynchronizationTypeSynchronous = (3 << 2),
	kIOUSBEndpointDescriptorUsageType = IOUSBBitRange(4, 5),
	kIOUSBEndpointDescriptorUsageTypePhase = IOUSBBitRangePhase(4, 5),
	kIOUSBEndpointDescriptorUsageTypeInterruptPeriodic = (0 << 4),
	kIOUSBEndpointDescriptorUsageTypeInterruptNotification = (1 << 4),
	kIOUSBEndpointDescriptorUsageTypeInterruptReserved1 = (2 << 4),
	kIOUSBEndpointDescriptorUsageTypeInterruptReserved2 = (3 << 4),
	kIOUSBEndpointDescriptorUsageTypeIsocData = (0 << 4),
	kIOUSBEndpointDescriptorUsageTypeIsocFeedback = (1 << 4),
	kIOUSBEndpointDescriptorUsageTypeIsocImplicit = (2 << 4),
	kIOUSBEndpointDescriptorUsageTypeIsocReserved = (3 << 4),
};

/* wMaxPacketSize */
enum {
	kIOUSBEndpointDescriptorPacketSize = IOUSBBitRange(0, 10),
	kIOUSBEndpointDescriptorPacketSizePhase = IOUSBBitRangePhase(0, 10),
	kIOUSBEndpointDescriptorPacketSizeMult = IOUSBBitRange(11, 12),
	kIOUSBEndpointDescriptorPacketSizeMultPhase = IOUSBBitRangePhase(11, 12),
	kIOUSBEndpointDescriptorReserved = IOUSBBitRange(13, 15),
	kIOUSBEndpointDescriptorReservedPhase = IOUSBBitRangePhase(13, 15),
};

typedef enum tIOUSBEndpointDirection {
	kIOUSBEndpointDirectionOut = 0,
	kIOUSBEndpointDirectionIn = 1,
	kIOUSBEndpointDirectionUnknown = 2,
} tIOUSBEndpointDirection;

typedef enum tIOUSBEndpointType {
	kIOUSBEndpointTypeControl = 0,
	kIOUSBEndpointTypeIsochronous = 1,
	kIOUSBEndpointTypeBulk = 2,
	kIOUSBEndpointTypeInterrupt = 3,
} tIOUSBEndpointType;

/* UTF-16LE, bLength - 2 bytes of it. */
typedef struct ADX_PACKED IOUSBStringDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bString[1];
} IOUSBStringDescriptor;

typedef enum tIOUSBLanguageID {
	kIOUSBLanguageIDEnglishUS = 0x0409,
} tIOUSBLanguageID;

typedef struct ADX_PACKED IOUSBBOSDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint16_t wTotalLength;
	uint8_t bNumDeviceCaps;
} IOUSBBOSDescriptor;

typedef struct ADX_PACKED IOUSBDeviceCapabilityDescriptorHeader {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bDevCapabilityType;
} IOUSBDeviceCapabilityDescriptorHeader;

typedef enum tIOUSBDeviceCapabilityType {
	kIOUSBDeviceCapabilityTypeWireless = 1,
	kIOUSBDeviceCapabilityTypeUSB20Extension = 2,
	kIOUSBDeviceCapabilityTypeSuperSpeed = 3,
	kIOUSBDeviceCapabilityTypeContainerID = 4,
	kIOUSBDeviceCapabilityTypePlatform = 5,
	kIOUSBDeviceCapabilityTypePowerDelivery = 6,
	kIOUSBDeviceCapabilityTypeBatteryInfo = 7,
	kIOUSBDeviceCapabilityTypePdConsumerPort = 8,
	kIOUSBDeviceCapabilityTypePdProviderPort = 9,
	kIOUSBDeviceCapabilityTypeSuperSpeedPlus = 10,
	kIOUSBDeviceCapabilityTypePrecisionMeasurement = 11,
	kIOUSBDeviceCapabilityTypeWirelessExt = 12,
	kIOUSBDeviceCapabilityTypeBillboard = 13,
	kIOUSBDeviceCapabilityTypeBillboardAltMode = 15,
} tIOUSBDeviceCapabilityType;

typedef struct ADX_PACKED IOUSBDeviceCapabilityUSB2Extension {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bDevCapabilityType;
	uint32_t bmAttributes;
} IOUSBDeviceCapabilityUSB2Extension;

enum {
	kIOUSBUSB20ExtensionCapabilityLPM = IOUSBBit(1),
	kIOUSBUSB20ExtensionCapabilityBESLSupport = IOUSBBit(2),
	kIOUSBUSB20ExtensionCapabilityBESLValid = IOUSBBit(3),
	kIOUSBUSB20ExtensionCapabilityBESLDValid = IOUSBBit(4),
	kIOUSBUSB20ExtensionCapabilityBESL = IOUSBBitRange(8, 11),
	kIOUSBUSB20ExtensionCapabilityBESLPhase = IOUSBBitRangePhase(8, 11),
	kIOUSBUSB20ExtensionCapabilityBESLD = IOUSBBitRange(12, 15),
	kIOUSBUSB20ExtensionCapabilityBESLDPhase = IOUSBBitRangePhase(12, 15),
};

typedef struct ADX_PACKED IOUSBDeviceCapabilitySuperSpeedUSB {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bDevCapabilityType;
	uint8_t bmAttributes;
	uint16_t wSpeedsSupported;
	uint8_t bFunctionalitySupport;
	uint8_t bU1DevExitLat;
	uint16_t wU2DevExitLat;
} IOUSBDeviceCapabilitySuperSpeedUSB;

enum {
	kIOUSBSuperSpeedDeviceCapabilityLTM = IOUSBBit(1),
	kIOUSBSuperSpeedDeviceCapabilityLowSpeed = IOUSBBit(0),
	kIOUSBSuperSpeedDeviceCapabilityFullSpeed = IOUSBBit(1),
	kIOUSBSuperSpeedDeviceCapabilityHighSpeed = IOUSBBit(2),
	kIOUSBSuperSpeedDeviceCapability5Gb = IOUSBBit(3),
	kIOUSBSuperSpeedDeviceCapabilitySupportLowSpeed = 0,
	kIOUSBSuperSpeedDeviceCapabilitySupportFullSpeed = 1,
	kIOUSBSuperSpeedDeviceCapabilitySupportHighSpeed = 2,
	kIOUSBSuperSpeedDeviceCapabilitySupport5Gb = 3,
	kIOUSBSuperSpeedDeviceCapabilityU1DevExitLatMax = 0xa,
	kIOUSBSuperSpeedDeviceCapabilityU2DevExitLatMax = 0x7ff,
};

/* As many attributes as bmAttributes counts. */
typedef struct ADX_PACKED IOUSBDeviceCapabilitySuperSpeedPlusUSB {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bDevCapabilityType;
	uint8_t bReserved;
	uint32_t bmAttributes;
	uint16_t wFunctionalitySupport;
	uint16_t wReserved;
	uint32_t bmSublinkSpeedAttr[1];
} IOUSBDeviceCapabilitySuperSpeedPlusUSB;

/* bmAttributes */
enum {
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedAttrCount = IOUSBBitRange(0, 4),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedAttrCountPhase = IOUSBBitRangePhase(0, 4),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedIdCount = IOUSBBitRange(5, 8),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedIdCountPhase = IOUSBBitRangePhase(5, 8),
};

/* wFunctionalitySupport */
enum {
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkMinSpeedId = IOUSBBitRange(0, 3),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkMinSpeedIdPhase = IOUSBBitRangePhase(0, 3),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkReserved0 = IOUSBBitRange(4, 7),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkReserved0Phase = IOUSBBitRangePhase(4, 7),
	kIOUSBSuperSpeedPlusDeviceCapabilityMinRxLaneCount = IOUSBBitRange(8, 11),
	kIOUSBSuperSpeedPlusDeviceCapabilityMinRxLaneCountPhase = IOUSBBitRangePhase(8, 11),
	kIOUSBSuperSpeedPlusDeviceCapabilityMinTxLaneCount = IOUSBBitRange(12, 15),
	kIOUSBSuperSpeedPlusDeviceCapabilityMinTxLaneCountPhase = IOUSBBitRangePhase(12, 15),
};

/* bmSublinkSpeedAttr */
enum {
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedId = IOUSBBitRange(0, 3),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedIdPhase = IOUSBBitRangePhase(0, 3),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkLSE = IOUSBBitRange(4, 5),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkLSEPhase = IOUSBBitRangePhase(4, 5),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkLSEBits = (0 << 4),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkLSEKbits = (1 << 4),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkLSEMbits = (2 << 4),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkLSEGbits = (3 << 4),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkType = IOUSBBitRange(6, 7),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkTypePhase = IOUSBBitRangePhase(6, 7),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSymmetry = IOUSBBitRange(6, 6),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSymmetryPhase = IOUSBBitRangePhase(6, 6),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSymmetric = (0 << 6),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkAsymmetric = (1 << 6),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkDirection = IOUSBBitRange(7, 7),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkDirectionPhase = IOUSBBitRangePhase(7, 7),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkDirectionRx = (0 << 7),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkDirectionTx = (1 << 7),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkReserved = IOUSBBitRange(8, 13),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkReservedPhase = IOUSBBitRangePhase(8, 13),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkProtocol = IOUSBBitRange(14, 15),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkProtocolPhase = IOUSBBitRangePhase(14, 15),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedMantissa = IOUSBBitRange(16, 31),
	kIOUSBSuperSpeedPlusDeviceCapabilitySublinkSpeedMantissaPhase = IOUSBBitRangePhase(16, 31),
};

typedef struct ADX_PACKED IOUSBDeviceCapabilityContainerID {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bDevCapabilityType;
	uint8_t bReservedID;
	uint8_t containerID[16];
} IOUSBDeviceCapabilityContainerID;

typedef uint8_t IOUSBUUID[16]; /* as uuid_t, without its header */

typedef struct ADX_PACKED IOUSBPlatformCapabilityDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bDevCapabilityType;
	uint8_t bReserved;
	uint8_t PlatformCapabilityUUID[16];
} IOUSBPlatformCapabilityDescriptor;

typedef struct ADX_PACKED IOUSBDeviceCapabilityBillboardAltConfigCompatibility {
	uint16_t wSVID;
	uint32_t dwAlternateMode;
	uint8_t iAlternateModeString;
} IOUSBDeviceCapabilityBillboardAltConfigCompatibility;

typedef struct ADX_PACKED IOUSBDeviceCapabilityBillboardAltConfig {
	uint16_t wSVID;
	uint8_t bAltenateMode;
	uint8_t iAlternateModeString;
} IOUSBDeviceCapabilityBillboardAltConfig;

typedef struct ADX_PACKED IOUSBDeviceCapabilityBillboard {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bDevCapabilityType;
	uint8_t iAdditionalInfoURL;
	uint8_t bNumberOfAlternateModes;
	uint8_t bPreferredAlternateMode;
	uint16_t vCONNPower;
	uint8_t bmConfigured[32];
	uint16_t bcdVersion;
	uint8_t bAdditionalFailureInfo;
	uint8_t bReserved;
	IOUSBDeviceCapabilityBillboardAltConfig pAltConfigurations[];
} IOUSBDeviceCapabilityBillboard;

typedef struct ADX_PACKED IOUSBDeviceCapabilityBillboardAltMode {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bDevCapabilityType;
	uint8_t bIndex;
	uint16_t dwAlternateModeVdo;
} IOUSBDeviceCapabilityBillboardAltMode;

typedef struct ADX_PACKED IOUSBInterfaceAssociationDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bFirstInterface;
	uint8_t bInterfaceCount;
	uint8_t bFunctionClass;
	uint8_t bFunctionSubClass;
	uint8_t bFunctionProtocol;
	uint8_t iFunction;
} IOUSBInterfaceAssociationDescriptor;

typedef struct ADX_PACKED IOUSBSuperSpeedEndpointCompanionDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bMaxBurst;
	uint8_t bmAttributes;
	uint16_t wBytesPerInterval;
} IOUSBSuperSpeedEndpointCompanionDescriptor;

enum {
	kIOUSBSuperSpeedEndpointCompanionDescriptorMaxBurst = IOUSBBitRange(0, 4),
	kIOUSBSuperSpeedEndpointCompanionDescriptorMaxBurstPhase = IOUSBBitRangePhase(0, 4),
	kIOUSBSuperSpeedEndpointCompanionDescriptorBulkMaxStreams = IOUSBBitRange(0, 4),
	kIOUSBSuperSpeedEndpointCompanionDescriptorBulkMaxStreamsPhase = IOUSBBitRangePhase(0, 4),
	kIOUSBSuperSpeedEndpointCompanionDescriptorBulkReserved = IOUSBBitRange(5, 7),
	kIOUSBSuperSpeedEndpointCompanionDescriptorBulkReservedPhase = IOUSBBitRangePhase(5, 7),
	kIOUSBSuperSpeedEndpointCompanionDescriptorIsocMult = IOUSBBitRange(0, 1),
	kIOUSBSuperSpeedEndpointCompanionDescriptorIsocMultPhase = IOUSBBitRangePhase(0, 1),
	kIOUSBSuperSpeedEndpointCompanionDescriptorIsocReserved = IOUSBBitRange(2, 6),
	kIOUSBSuperSpeedEndpointCompanionDescriptorIsocReservedPhase = IOUSBBitRangePhase(2, 6),
	kIOUSBSuperSpeedEndpointCompanionDescriptorSSPIsocCompanion = IOUSBBit(7),
	kIOUSBSuperSpeedEndpointCompanionDescriptorSSPIsocCompanionPhase = IOUSBBitRangePhase(7, 7),
};

typedef struct ADX_PACKED IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint16_t wReserved;
	uint32_t dwBytesPerInterval;
} IOUSBSuperSpeedPlusIsochronousEndpointCompanionDescriptor;

typedef struct ADX_PACKED IOUSB20HubDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bNumberPorts;
	uint16_t wHubCharacteristics;
	uint8_t bPowerOnToPowerGood;
	uint8_t bHubControllerCurrent;
	uint8_t deviceRemovable[2];
	uint8_t reserved[2];
} IOUSB20HubDescriptor;

typedef struct ADX_PACKED IOUSBSuperSpeedHubDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bNumberPorts;
	uint16_t wHubCharacteristics;
	uint8_t bPowerOnToPowerGood;
	uint8_t bHubControllerCurrent;
	uint8_t bHubDecodeLatency;
	uint16_t wHubDelay;
	uint16_t deviceRemovable;
} IOUSBSuperSpeedHubDescriptor;

enum {
	kIOUSBSuperSpeedHubCharacteristicsPowerSwitchingMask = IOUSBBitRange(0, 1),
	kIOUSBSuperSpeedHubCharacteristicsPowerSwitchingGanged = 0,
	kIOUSBSuperSpeedHubCharacteristicsPowerSwitchingIndividual = IOUSBBit(0),
	kIOUSBSuperSpeedHubCharacteristicsCompoundDevice = IOUSBBit(2),
	kIOUSBSuperSpeedHubCharacteristicsOverCurrentMask = IOUSBBitRange(3, 4),
	kIOUSBSuperSpeedHubCharacteristicsOverCurrentGlobal = 0,
	kIOUSBSuperSpeedHubCharacteristicsOverCurrentIndividual = IOUSBBit(3),
	kIOUSBSuperSpeedHubCharacteristicsReserved = IOUSBBitRange(5, 15),
	kIOUSBSuperSpeedHubDecodeLatencyMax = 10,
	kIOUSBSuperSpeedHubDelayMax = 400,
};

typedef struct ADX_PACKED UASPipeDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bPipeID;
	uint8_t bReserved;
} UASPipeDescriptor;

typedef struct ADX_PACKED IOUSBHIDDescriptor {
	uint8_t descLen;
	uint8_t descType;
	uint16_t descVersNum;
	uint8_t hidCountryCode;
	uint8_t hidNumDescriptors;
	uint8_t hidDescriptorType;
	uint8_t hidDescriptorLengthLo;
	uint8_t hidDescriptorLengthHi;
} IOUSBHIDDescriptor;

typedef struct ADX_PACKED IOUSBHIDReportDesc {
	uint8_t hidDescriptorType;
	uint8_t hidDescriptorLengthLo;
	uint8_t hidDescriptorLengthHi;
} IOUSBHIDReportDesc;

typedef struct ADX_PACKED IOUSBDFUDescriptor {
	uint8_t bLength;
	uint8_t bDescriptorType;
	uint8_t bmAttributes;
	uint16_t wDetachTimeout;
	uint16_t wTransferSize;
} IOUSBDFUDescriptor;

/* ---------------------------------------------------------------------------------------------
 * Requests
 */

typedef struct ADX_PACKED IOUSBDeviceRequest {
	uint8_t bmRequestType;
	uint8_t bRequest;
	uint16_t wValue;
	uint16_t wIndex;
	uint16_t wLength;
} IOUSBDeviceRequest;

/* Microseconds. */
typedef struct ADX_PACKED IOUSBDeviceRequestSetSELData {
	uint8_t u1Sel;
	uint8_t u1Pel;
	uint16_t u2Sel;
	uint16_t u2Pel;
} IOUSBDeviceRequestSetSELData;

typedef enum tIOUSBDeviceRequestDirectionValue {
	kIOUSBDeviceRequestDirectionValueOut = 0,
	kIOUSBDeviceRequestDirectionValueIn = 1,
} tIOUSBDeviceRequestDirectionValue;

typedef enum tIOUSBDeviceRequestTypeValue {
	kIOUSBDeviceRequestTypeValueStandard = 0,
	kIOUSBDeviceRequestTypeValueClass = 1,
	kIOUSBDeviceRequestTypeValueVendor = 2,
} tIOUSBDeviceRequestTypeValue;

typedef enum tIOUSBDeviceRequestRecipientValue {
	kIOUSBDeviceRequestRecipientValueDevice = 0,
	kIOUSBDeviceRequestRecipientValueInterface = 1,
	kIOUSBDeviceRequestRecipientValueEndpoint = 2,
	kIOUSBDeviceRequestRecipientValueOther = 3,
} tIOUSBDeviceRequestRecipientValue;

/* bmRequestType: or one of each. */
typedef enum tIOUSBDeviceRequest {
	kIOUSBDeviceRequestSize = 8,
	kIOUSBDeviceRequestDirectionMask = IOUSBBit(7),
	kIOUSBDeviceRequestDirectionPhase = IOUSBBitRangePhase(7, 7),
	kIOUSBDeviceRequestDirectionOut = (0 << 7),
	kIOUSBDeviceRequestDirectionIn = (1 << 7),
	kIOUSBDeviceRequestTypeMask = IOUSBBitRange(5, 6),
	kIOUSBDeviceRequestTypePhase = IOUSBBitRangePhase(5, 6),
	kIOUSBDeviceRequestTypeStandard = (0 << 5),
	kIOUSBDeviceRequestTypeClass = (1 << 5),
	kIOUSBDeviceRequestTypeVendor = (2 << 5),
	kIOUSBDeviceRequestRecipientMask = IOUSBBitRange(0, 4),
	kIOUSBDeviceRequestRecipientPhase = IOUSBBitRangePhase(0, 4),
	kIOUSBDeviceRequestRecipientDevice = 0,
	kIOUSBDeviceRequestRecipientInterface = 1,
	kIOUSBDeviceRequestRecipientEndpoint = 2,
	kIOUSBDeviceRequestRecipientOther = 3,
} tIOUSBDeviceRequest;

#define USBmakebmRequestType(direction, type, recipient) \
	((uint8_t)((((direction) & 1) << 7) | (((type) & 3) << 5) | ((recipient) & 0x1f)))

/* bRequest */
enum {
	kIOUSBDeviceRequestGetStatus = 0,
	kIOUSBDeviceRequestClearFeature = 1,
	kIOUSBDeviceRequestGetState = 2,
	kIOUSBDeviceRequestSetFeature = 3,
	kIOUSBDeviceRequestSetAddress = 5,
	kIOUSBDeviceRequestGetDescriptor = 6,
	kIOUSBDeviceRequestSetDescriptor = 7,
	kIOUSBDeviceRequestGetConfiguration = 8,
	kIOUSBDeviceRequestSetConfiguration = 9,
	kIOUSBDeviceRequestGetInterface = 10,
	kIOUSBDeviceRequestSetInterface = 11,
	kIOUSBDeviceRequestSynchFrame = 12,
	kIOUSBDeviceRequestSetSel = 48,
	kIOUSBDeviceRequestSetIsochronousDelay = 49,
};

/* GET_STATUS */
enum {
	kIOUSBDeviceStatusSelfPowered = IOUSBBit(0),
	kIOUSBDeviceStatusRemoteWakeEnable = IOUSBBit(1),
	kIOUSBDeviceStatusU1Enable = IOUSBBit(2),
	kIOUSBDeviceStatusU2Enable = IOUSBBit(3),
	kIOUSBDeviceStatusLTMEnable = IOUSBBit(4),
	kIOUSBInterfaceStatusRemoteWakeCapable = IOUSBBit(0),
	kIOUSBInterfaceStatusRemoteWakeEnable = IOUSBBit(1),
	IOUSBEndpointStatusHalt = IOUSBBit(0),
};

/* SET_FEATURE */
enum {
	kIOUSBDeviceFeatureSelectorRemoteWakeup = 1,
	kIOUSBDeviceFeatureSelectorTestMode = 2,
	kIOUSBDeviceFeatureSelectorU1Enable = 48,
	kIOUSBDeviceFeatureSelectorU2Enable = 49,
	kIOUSBDeviceFeatureSelectorLTMEnable = 50,
	kIOUSBInterfaceFeatureSelectorSuspend = 0,
	IOUSBEndpointFeatureSelectorStall = 0,
	kIOUSBInterfaceSuspendLowPower = IOUSBBit(0),
	kIOUSBInterfaceSuspendRemoteWakeEnable = IOUSBBit(1),
};

/* ---------------------------------------------------------------------------------------------
 * Power, timing, links, ports
 */

typedef enum tIOUSBBusVoltage {
	kIOUSBBusVoltageDefault = 5,
} tIOUSBBusVoltage;

/* Milliamperes */
typedef enum tIOUSB20BusCurrent {
	kIOUSB20BusCurrentMinimum = 100,
	kIOUSB20BusCurrentDefault = 500,
	kIOUSB20BusCurrentMaxPowerUnits = 2,
} tIOUSB20BusCurrent;

typedef enum tIOUSB30BusCurrent {
	kIOUSB30BusCurrentMinimum = 150,
	kIOUSB30BusCurrentDefault = 900,
	kIOUSB30BusCurrentMaxPowerUnits = 8,
} tIOUSB30BusCurrent;

enum {
	kIOUSBHubPort2PortExitLatencyNs = 1000,
	kIOUSBHubDelayNs = 400,
	kIOUSBPingResponseTimeNs = 400,
};

/* Milliseconds */
typedef enum tIOUSB30ResetTimeout {
	kIOUSB30ResetMinimumTimeout = 80,
	kIOUSB30ResetTypicalTimeout = 100,
	kIOUSB30ResetMaximumTimeout = 120,
	kIOUSB30ResetMaximumWithMarginTimeout = 150,
} tIOUSB30ResetTimeout;

typedef enum tIOUSB30TimingParameters {
	kIOUSB30TimingParameterBELTDefaultNs = 1000000,
	kIOUSB30TimingParameterBELTMinNs = 125000,
} tIOUSB30TimingParameters;

/* Milliseconds */
typedef enum tIOUSB30LinkStateTimeout {
	kIOUSB30LinkStateSSInactiveQuietTimeout = 12,
	kIOUSB30LinkStateRxDetectQuietTimeout = 12,
	kIOUSB30LinkStatePollingLFPSTimeout = 360,
	kIOUSB30LinkStatePollingActiveTimeout = 12,
	kIOUSB30LinkStatePollingConfigurationTimeout = 12,
	kIOUSB30LinkStatePollingIdleTimeout = 2,
	kIOUSB30LinkStateU0RecoveryTimeout = 1,
	kIOUSB30LinkStateU0LTimeout = 0,
	kIOUSB30LinkStateU1NoLFPSResponseTimeout = 2,
	kIOUSB30LinkStateU1PingTimeout = 300,
	kIOUSB30LinkStateU2NoLFPSResponseTimeout = 2,
	kIOUSB30LinKStateU2RxDetectDelay = 100,
	kIOUSB30LinkStateU3NoLFPSResponseTimeout = 10,
	kIOUSB30LinkStateU3WakeupRetryDelay = 100,
	kIOUSB30LinkStateU3RxDetectDelay = 100,
	kIOUSB30LinkStateRecoveryActiveTimeout = 12,
	kIOUSB30LinkStateRecoveryConfigurationTimeout = 6,
	kIOUSB30LinkStateRecoveryIdleTimeout = 2,
	kIOUSB30LinkStateLoopbackExitTimeout = 2,
	kIOUSB30LinkStateHotResetActiveTimeout = 12,
	kIOUSB30LinkStateHotResetExistTimeout = 2,
	kIOUSB30LinkStatePollingDeadline = 387,
	kIOUSB30LinkStateSSResumeDeadline = 30,
} tIOUSB30LinkStateTimeout;

typedef enum tIOUSB30DeviceNotificationType {
	kIOUSB30DeviceNotificationTypeFunctionWake = 1,
	kIOUSB30DeviceNotificationTypeLatencyTolerance = 2,
	kIOUSB30DeviceNotificationTypeBusIntervalAdjustment = 3,
	kIOUSB30DeviceNotificationTypeHostRoleRequest = 4,
	kIOUSB30DeviceNotificationTypeSublinkSpeed = 5,
} tIOUSB30DeviceNotificationType;

typedef enum tIOUSB30HubPortStatusCode {
	kIOUSB30HubPortStatusCodeStandard = 0,
	kIOUSB30HubPortStatusCodePD = 1,
	kIOUSB30HubPortStatusCodeExt = 2,
	kIOUSB30HubPortStatusCodeCount = 3,
} tIOUSB30HubPortStatusCode;

typedef struct ADX_PACKED IOUSB30HubPortStatusExt {
	uint16_t wPortStatus;
	uint16_t wPortChange;
	uint32_t dwExtPortStatus;
} IOUSB30HubPortStatusExt;

typedef enum tIOUSB30HubExtStatus {
	kIOUSB30HubExtStatusRxSublinkSpeedID = IOUSBBitRange(0, 3),
	kIOUSB30HubExtStatusRxSublinkSpeedIDPhase = IOUSBBitRangePhase(0, 3),
	kIOUSB30HubExtStatusTxSublinkSpeedID = IOUSBBitRange(4, 7),
	kIOUSB30HubExtStatusTxSublinkSpeedIDPhase = IOUSBBitRangePhase(4, 7),
	kIOUSB30HubExtStatusRxLaneCount = IOUSBBitRange(8, 11),
	kIOUSB30HubExtStatusRxLaneCountPhase = IOUSBBitRangePhase(8, 11),
	kIOUSB30HubExtStatusTxLaneCount = IOUSBBitRange(12, 15),
	kIOUSB30HubExtStatusTxLaneCountPhase = IOUSBBitRangePhase(12, 15),
} tIOUSB30HubExtStatus;

#undef ADX_PACKED

#endif /* AMBIDEXT_USBDRIVERKIT_APPLEUSBDEFINITIONS_H */
