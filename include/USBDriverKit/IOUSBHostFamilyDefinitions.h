/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_USBDRIVERKIT_IOUSBHOSTFAMILYDEFINITIONS_H
#define AMBIDEXT_USBDRIVERKIT_IOUSBHOSTFAMILYDEFINITIONS_H

/** @file USBDriverKit/IOUSBHostFamilyDefinitions.h
 *  @brief The USB family's return codes, speeds, and names of properties. */

#include <DriverKit/IOTypes.h>
#include <USBDriverKit/AppleUSBDefinitions.h>

#define IOUSBHostFamilyBit(bit) IOUSBBit(bit)
#define IOUSBHostFamilyBitRange(start, end) IOUSBBitRange(start, end)
#define IOUSBHostFamilyBitRangePhase(start, end) IOUSBBitRangePhase(start, end)

/* ---------------------------------------------------------------------------------------------
 * Codes: subsystem usb, bits 12..13 a group, bits 0..11 the code
 */

#define iokit_usb_codemask IOUSBBitRange(0, 11)
#define iokit_usbhost_group (1 << 12)
#define iokit_usblegacy_group (0 << 12)
#define iokit_usbhost_err(code) \
	((IOReturn)(sys_iokit | sub_iokit_usb | iokit_usbhost_group | (int)((code) & 0xfff)))
#define iokit_usbhost_msg(code) ((uint32_t)iokit_usbhost_err(code))
#define iokit_usblegacy_err_msg(code) \
	((uint32_t)(sys_iokit | sub_iokit_usb | iokit_usblegacy_group | (int)((code) & 0xfff)))

#define kUSBHostReturnPipeStalled iokit_usbhost_err(0) /* a STALL arrived; ClearStall is needed */
#define kUSBHostReturnNoPower iokit_usbhost_err(1)     /* no configuration fits the bus's power */
#define kUSBHostReturnRedundant iokit_usbhost_err(2)   /* that setting is selected already */

#define kUSBHostMessageConfigurationSet iokit_usbhost_msg(0)
#define kUSBHostMessageRenegotiateCurrent iokit_usbhost_msg(1)
#define kUSBHostMessageControllerException iokit_usbhost_msg(2)
#define kUSBHostMessageDeviceIsRequestingClose iokit_usbhost_msg(3)

/* What older sources compare with. */
#define iokit_usb_err(code) ((IOReturn)(sys_iokit | sub_iokit_usb | (code)))
#define kIOUSBUnknownPipeErr iokit_usb_err(0x61)
#define kIOUSBTooManyPipesErr iokit_usb_err(0x60)
#define kIOUSBNoAsyncPortErr iokit_usb_err(0x5f)
#define kIOUSBNotEnoughPipesErr iokit_usb_err(0x5e)
#define kIOUSBNotEnoughPowerErr iokit_usb_err(0x5d)
#define kIOUSBEndpointNotFound iokit_usb_err(0x57)
#define kIOUSBConfigNotFound iokit_usb_err(0x56)
#define kIOUSBPortWasSuspended iokit_usb_err(0x52)
#define kIOUSBTransactionTimeout iokit_usb_err(0x51)
#define kIOUSBTransactionReturned iokit_usb_err(0x50)
#define kIOUSBPipeStalled iokit_usb_err(0x4f)
#define kIOUSBInterfaceNotFound iokit_usb_err(0x4e)
#define kIOUSBLowLatencyBufferNotPreviouslyAllocated iokit_usb_err(0x4d)
#define kIOUSBLowLatencyFrameListNotPreviouslyAllocated iokit_usb_err(0x4c)
#define kIOUSBHighSpeedSplitError iokit_usb_err(0x4b)
#define kIOUSBSyncRequestOnWLThread iokit_usb_err(0x4a)
#define kIOUSBDeviceTransferredToCompanion iokit_usb_err(0x49)
#define kIOUSBDeviceNotHighSpeed iokit_usb_err(0x49)
#define kIOUSBClearPipeStallNotRecursive iokit_usb_err(0x48)
#define kIOUSBDevicePortWasNotSuspended iokit_usb_err(0x47)
#define kIOUSBEndpointCountExceeded iokit_usb_err(0x46)
#define kIOUSBDeviceCountExceeded iokit_usb_err(0x45)
#define kIOUSBStreamsNotSupported iokit_usb_err(0x44)
#define kIOUSBInvalidSSEndpoint iokit_usb_err(0x43)
#define kIOUSBTooManyTransactionsPending iokit_usb_err(0x42)
#define kIOUSBLinkErr iokit_usb_err(0x10)
#define kIOUSBNotSent2Err iokit_usb_err(0x0f)
#define kIOUSBNotSent1Err iokit_usb_err(0x0e)
#define kIOUSBBufferUnderrunErr iokit_usb_err(0x0d)
#define kIOUSBBufferOverrunErr iokit_usb_err(0x0c)
#define kIOUSBReserved2Err iokit_usb_err(0x0b)
#define kIOUSBReserved1Err iokit_usb_err(0x0a)
#define kIOUSBWrongPIDErr iokit_usb_err(0x07)
#define kIOUSBPIDCheckErr iokit_usb_err(0x06)
#define kIOUSBDataToggleErr iokit_usb_err(0x03)
#define kIOUSBBitstufErr iokit_usb_err(0x02)
#define kIOUSBCRCErr iokit_usb_err(0x01)

typedef enum tIOUSBHostConnectionSpeed {
	kIOUSBHostConnectionSpeedNone = 0,
	kIOUSBHostConnectionSpeedFull = 1,
	kIOUSBHostConnectionSpeedLow = 2,
	kIOUSBHostConnectionSpeedHigh = 3,
	kIOUSBHostConnectionSpeedSuper = 4,
	kIOUSBHostConnectionSpeedSuperPlus = 5,
	kIOUSBHostConnectionSpeedSuperPlusBy2 = 6,
	kIOUSBHostConnectionSpeedCount = 7,
} tIOUSBHostConnectionSpeed;

typedef enum tIOUSBHostPortType {
	kIOUSBHostPortTypeStandard = 0,
	kIOUSBHostPortTypeCaptive = 1,
	kIOUSBHostPortTypeInternal = 2,
	kIOUSBHostPortTypeAccessory = 3,
	kIOUSBHostPortTypeExpressCard = 4,
	kIOUSBHostPortTypeCount = 5,
} tIOUSBHostPortType;

typedef enum tIOUSBHostPortStatus {
	kIOUSBHostPortStatusPortTypeMask = IOUSBBitRange(0, 3),
	kIOUSBHostPortStatusPortTypePhase = IOUSBBitRangePhase(0, 3),
	kIOUSBHostPortStatusPortTypeStandard = (kIOUSBHostPortTypeStandard << 0),
	kIOUSBHostPortStatusPortTypeCaptive = (kIOUSBHostPortTypeCaptive << 0),
	kIOUSBHostPortStatusPortTypeInternal = (kIOUSBHostPortTypeInternal << 0),
	kIOUSBHostPortStatusPortTypeAccessory = (kIOUSBHostPortTypeAccessory << 0),
	kIOUSBHostPortStatusPortTypeReserved = IOUSBBitRange(4, 7),
	kIOUSBHostPortStatusConnectedSpeedMask = IOUSBBitRange(8, 10),
	kIOUSBHostPortStatusConnectedSpeedPhase = IOUSBBitRangePhase(8, 10),
	kIOUSBHostPortStatusConnectedSpeedNone = (kIOUSBHostConnectionSpeedNone << 8),
	kIOUSBHostPortStatusConnectedSpeedFull = (kIOUSBHostConnectionSpeedFull << 8),
	kIOUSBHostPortStatusConnectedSpeedLow = (kIOUSBHostConnectionSpeedLow << 8),
	kIOUSBHostPortStatusConnectedSpeedHigh = (kIOUSBHostConnectionSpeedHigh << 8),
	kIOUSBHostPortStatusConnectedSpeedSuper = (kIOUSBHostConnectionSpeedSuper << 8),
	kIOUSBHostPortStatusConnectedSpeedSuperPlus = (kIOUSBHostConnectionSpeedSuperPlus << 8),
	kIOUSBHostPortStatusConnectedSpeedSuperPlusBy2 = (kIOUSBHostConnectionSpeedSuperPlusBy2 << 8),
	kIOUSBHostPortStatusResetting = IOUSBBit(11),
	kIOUSBHostPortStatusEnabled = IOUSBBit(12),
	kIOUSBHostPortStatusSuspended = IOUSBBit(13),
	kIOUSBHostPortStatusOvercurrent = IOUSBBit(14),
	kIOUSBHostPortStatusTestMode = IOUSBBit(15),
} tIOUSBHostPortStatus;

/* ---------------------------------------------------------------------------------------------
 * Names
 */

#define kIOUSBHostDeviceClassName "IOUSBHostDevice"
#define kIOUSBHostInterfaceClassName "IOUSBHostInterface"

#define kIOUSBTransportDextEntitlement "com.apple.developer.driverkit.transport.usb"
#define kIOUSBHostVMEntitlement "com.apple.vm.device-access"
#define kIOUSBHostControllerInterfaceEntitlement "com.apple.developer.usb.host-controller-interface"

/* Matching */
#define kUSBHostMatchingPropertySpeed "USBSpeed"
#define kUSBHostMatchingPropertyPortType "USBPortType"
#define kUSBHostMatchingPropertyVendorID "idVendor"
#define kUSBHostMatchingPropertyProductID "idProduct"
#define kUSBHostMatchingPropertyProductIDMask "idProductMask"
#define kUSBHostMatchingPropertyProductIDArray "idProductArray"
#define kUSBHostMatchingPropertyDeviceClass "bDeviceClass"
#define kUSBHostMatchingPropertyDeviceSubClass "bDeviceSubClass"
#define kUSBHostMatchingPropertyDeviceProtocol "bDeviceProtocol"
#define kUSBHostMatchingPropertyDeviceReleaseNumber "bcdDevice"
#define kUSBHostMatchingPropertyConfigurationValue "bConfigurationValue"
#define kUSBHostMatchingPropertyInterfaceClass "bInterfaceClass"
#define kUSBHostMatchingPropertyInterfaceSubClass "bInterfaceSubClass"
#define kUSBHostMatchingPropertyInterfaceProtocol "bInterfaceProtocol"
#define kUSBHostMatchingPropertyInterfaceNumber "bInterfaceNumber"

/* Any nub */
#define kUSBHostPropertyLocationID "locationID"
#define kUSBHostPropertyDebugOptions "kUSBDebugOptions"
#define kUSBHostPropertyWakePowerSupply "kUSBWakePowerSupply"
#define kUSBHostPropertySleepPowerSupply "kUSBSleepPowerSupply"
#define kUSBHostPropertyWakePortCurrentLimit "kUSBWakePortCurrentLimit"
#define kUSBHostPropertySleepPortCurrentLimit "kUSBSleepPortCurrentLimit"
#define kUSBHostPropertyFailedRemoteWake "kUSBFailedRemoteWake"
#define kUSBHostPropertyBusCurrentPoolID "UsbBusCurrentPoolID"
#define kUSBHostPropertySmcBusCurrentPoolID "UsbSmcBusCurrentPoolID"
#define kUSBHostPropertyForcePower "UsbForcePower"
#define kUSBHostPropertyForceLinkSpeed "UsbLinkSpeed"
#define kUSBHostPropertyForceHardwareException "UsbHardwareException"
#define kUSBHostPropertyAllowSoftRetry "UsbAllowSoftRetry"

/* User clients */
#define kUSBHostUserClientPropertyOwningTaskName "UsbUserClientOwningTaskName"
#define kUSBHostUserClientPropertyEntitlementRequired "UsbUserClientEntitlementRequired"
#define kUSBHostUserClientPropertyEnableReset "UsbUserClientEnableReset"
#define kUSBHostUserClientPropertyEnableDataToggleReset "UsbUserClientEnableDataToggleReset"

/* Device */
#define kUSBHostDevicePropertyVendorString "kUSBVendorString"
#define kUSBHostDevicePropertySerialNumberString "kUSBSerialNumberString"
#define kUSBHostDevicePropertyProductString "kUSBProductString"
#define kUSBHostDevicePropertyContainerID "kUSBContainerID"
#define kUSBHostDevicePropertyFailedRequestedPower "kUSBFailedRequestedPower"
#define kUSBHostDevicePropertyResumeRecoveryTime "kUSBResumeRecoveryTime"
#define kUSBHostDevicePropertyPreferredConfiguration "kUSBPreferredConfiguration"
#define kUSBHostDevicePropertyPreferredRecoveryConfiguration "kUSBPreferredRecoveryConfiguration"
#define kUSBHostDevicePropertyCurrentConfiguration "kUSBCurrentConfiguration"
#define kUSBHostDevicePropertyRemoteWakeOverride "kUSBRemoteWakeOverride"
#define kUSBHostDevicePropertyConfigurationDescriptorOverride "kUSBConfigurationDescriptorOverride"
#define kUSBHostDevicePropertyDeviceDescriptorOverride "kUSBDeviceDescriptorOverride"
#define kUSBHostDevicePropertyConfigurationCurrentOverride "kUSBConfigurationCurrentOverride"
#define kUSBHostDevicePropertyResetDurationOverride "kUSBResetDurationOverride"
#define kUSBHostDevicePropertyDesiredChargingCurrent "kUSBDesiredChargingCurrent"
#define kUSBHostDevicePropertyDescriptorOverride "kUSBDescriptorOverride"
#define kUSBHostDevicePropertyDeviceECID "kUSBDeviceECID"
#define kUSBHostDevicePropertyEnableLPM "kUSBHostDeviceEnableLPM"
#define kUSBHostDevicePropertyDisablePortLPM "kUSBHostDeviceDisablePortLPM"
#define kUSBHostDevicePropertyStreamsSupported "UsbStreamsSupported"
#define kUSBHostDevicePropertyAddress "kUSBAddress"
#define kUSBHostDevicePropertyManufacturerStringIndex "iManufacturer"
#define kUSBHostDevicePropertyProductStringIndex "iProduct"
#define kUSBHostDevicePropertySerialNumberStringIndex "iSerialNumber"
#define kUSBHostDevicePropertyNumConfigs "bNumConfigurations"
#define kUSBHostDevicePropertyMaxPacketSize "bMaxPacketSize0"
#define kUSBHostDevicePropertyStandardVersion "bcdUSB"

/* Descriptor overrides */
#define kUSBHostDescriptorOverrideVendorStringIndex "UsbDescriptorOverrideVendorStringIndex"
#define kUSBHostDescriptorOverrideProductStringIndex "UsbDescriptorOverrideProductStringIndex"
#define kUSBHostDescriptorOverrideSerialNumberStringIndex "UsbDescriptorOverrideSerialNumberStringIndex"

/* Interface */
#define kUSBHostInterfacePropertyAlternateSetting "bAlternateSetting"
#define kUSBHostInterfacePropertyStringIndex "iInterface"
#define kUSBHostInterfacePropertyString "kUSBString"
#define kUSBHostInterfacePropertyNumEndpoints "bNumEndpoints"

/* Port */
#define kUSBHostPortPropertyStatus "port-status"
#define kUSBHostPortPropertyOvercurrent "UsbHostPortOvercurrent"
#define kUSBHostPortPropertyPortNumber "port"
#define kUSBHostPortPropertyRemovable "removable"
#define kUSBHostPortPropertyTestMode "kUSBTestMode"
#define kUSBHostPortPropertyUsb3ComplianceMode "kUSBHostPortPropertyUsb3ComplianceMode"
#define kUSBHostPortPropertySimulateInterrupt "kUSBSimulateInterrupt"
#define kUSBHostPortPropertyBusCurrentAllocation "kUSBBusCurrentAllocation"
#define kUSBHostPortPropertyBusCurrentSleepAllocation "kUSBBusCurrentSleepAllocation"
#define kUSBHostPortPropertyConnectable "UsbConnectable"
#define kUSBHostPortPropertyConnectorType "UsbConnector"
#define kUSBHostPortPropertyMux "UsbMux"
#define kUSBHostPortPropertyCompanionIndex "kUSBCompanionIndex"
#define kUSBHostPortPropertyDisconnectInterval "kUSBDisconnectInterval"
#define kUSBHostPortPropertyUsbCPortNumber "UsbCPortNumber"
#define kUSBHostPortPropertyCompanionPortNumber "UsbCompanionPortNumber"
#define kUSBHostPortPropertyPowerSource "UsbPowerSource"
#define kUSBHostPortPropertyUSB3Mode "Usb3Mode"
#define kUSBHostPortPropertyExternalDeviceResetController "kUSBHostPortExternalDeviceResetController"
#define kUSBHostPortPropertyExternalDevicePowerController "kUSBHostPortExternalDevicePowerController"
#define kUSBHostPortPropertyCardReader "kUSBHostPortPropertyCardReader"
#define kUSBHostPortPropertyCardReaderValidateDescriptors "kUSBHostPortPropertyCardReaderValidateDescriptors"

/* Hub */
#define kUSBHostHubPropertyPowerSupply "kUSBHubPowerSupply"
#define kUSBHostHubPropertyIdlePolicy "kUSBHubIdlePolicy"
#define kUSBHostHubPropertyStartupDelay "kUSBHubStartupDelay"
#define kUSBHostHubPropertyPortSequenceDelay "kUSBHubPortSequenceDelay"
#define kUSBHostHubPropertyHubPowerSupplyType "kUSBHubPowerSupplyType"
#define kUSBHostHubPropertyGlobalSuspendSupported "UsbHubGlobalSuspendSupported"

/* Controller */
#define kUSBHostControllerPropertyIsochronousRequiresContiguous "kUSBIsochronousRequiresContiguous"
#define kUSBHostControllerPropertySleepSupported "kUSBSleepSupported"
#define kUSBHostControllerPropertyRTD3Supported "UsbRTD3Supported"
#define kUSBHostControllerPropertyMuxEnabled "kUSBMuxEnabled"
#define kUSBHostControllerPropertyCompanion "kUSBCompanion"
#define kUSBHostControllerPropertyLowSpeedCompanion "kUSBLowSpeedCompanion"
#define kUSBHostControllerPropertyFullSpeedCompanion "kUSBFullSpeedCompanion"
#define kUSBHostControllerPropertyHighSpeedCompanion "kUSBHighSpeedCompanion"
#define kUSBHostControllerPropertySuperSpeedCompanion "kUSBSuperSpeedCompanion"
#define kUSBHostControllerPropertyRevision "Revision"
#define kUSBHostControllerPropertyCompanionControllerName "UsbCompanionControllerName"
#define kUSBHostControllerPropertyDisableUSB3LPM "kUSBHostControllerDisableUSB3LPM"
#define kUSBHostControllerPropertyDisableUSB2LPM "kUSBHostControllerDisableUSB2LPM"
#define kUSBHostControllerPropertyDisableWakeSources "UsbHostControllerDisableWakeSources"
#define kUSBHostControllerPropertyPersistFullSpeedIsochronous "UsbHostControllerPersistFullSpeedIsochronous"
#define kUSBHostControllerPropertyDeferRegisterService "UsbHostControllerDeferRegisterService"
#define kUSBHostControllerPropertyStreamPolicy "UsbHostControllerStreamPolicy"
#define kUSBHostControllerPropertyTierLimit "UsbHostControllerTierLimit"

/* Billboard */
#define kUSBHostBillboardDevicePropertyNumberOfAlternateModes "bNumberOfAlternateModes"
#define kUSBHostBillboardDevicePropertyPreferredAlternateMode "bPreferredAlternateMode"
#define kUSBHostBillboardDevicePropertyVCONNPower "VCONNPower"
#define kUSBHostBillboardDevicePropertyConfigured "bmConfigured"
#define kUSBHostBillboardDevicePropertyAdditionalFailureInfo "bAdditonalFailureInfo"
#define kUSBHostBillboardDevicePropertyBcdVersion "BcdVersion"
#define kUSBHostBillboardDevicePropertySVID "wSVID"
#define kUSBHostBillboardDevicePropertyAlternateMode "bAlternateMode"
#define kUSBHostBillboardDevicePropertyAlternateModeStringIndex "iAlternateModeString"
#define kUSBHostBillboardDevicePropertyAlternateModeString "AlternateModeString"
#define kUSBHostBillboardDevicePropertyAddtionalInfoURLIndex "iAddtionalInfoURL"
#define kUSBHostBillboardDevicePropertyAddtionalInfoURL "AddtionalInfoURL"
#define kUSBHostBillboardDevicePropertydwAlternateModeVdo "dwAlternateModeVdo"

/* Older names */
#define kAppleMaxPortCurrent "AAPL,current-available"
#define kAppleCurrentExtra "AAPL,current-extra"
#define kAppleMaxPortCurrentInSleep "AAPL,max-port-current-in-sleep"
#define kAppleCurrentExtraInSleep "AAPL,current-extra-in-sleep"
#define kAppleExternalConnectorBitmap "AAPL,ExternalConnectorBitmap"

#endif /* AMBIDEXT_USBDRIVERKIT_IOUSBHOSTFAMILYDEFINITIONS_H */
