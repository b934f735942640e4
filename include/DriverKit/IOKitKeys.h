/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DRIVERKIT_IOKITKEYS_H
#define AMBIDEXT_DRIVERKIT_IOKITKEYS_H

/** @file DriverKit/IOKitKeys.h
 *  @brief Names of registry properties and planes, for drivers; the clients' names are a part of them. */

#include <IOKit/IOKitKeys.h>

#define kIOUserClassesKey "IOUserClasses"
#define kIOUserServerCDHashKey "IOUserServerCDHash"
#define kIOUserServerOneProcessKey "IOUserServerOneProcess"
#define kIOUserServerPreserveUserspaceRebootKey "IOUserServerPreserveUserspaceReboot"
#define kIOServiceDEXTEntitlementsKey "IOServiceDEXTEntitlements"
#define kIOSupportedPropertiesKey "IOSupportedProperties"
#define kIOUserServicePropertiesKey "IOUserServiceProperties"
#define kIOMatchedPersonalityKey "IOMatchedPersonality"
#define kIORematchPersonalityKey "IORematchPersonality"
#define kIORematchCountKey "IORematchCount"
#define kIODEXTMatchCountKey "IODEXTMatchCount"
#define kIOMatchDeferKey "IOMatchDefer"
#define kIOModuleIdentifierKey "CFBundleIdentifier"
#define kIOModuleIdentifierKernelKey "CFBundleIdentifierKernel"

#define kIOMaximumBlockCountReadKey "IOMaximumBlockCountRead"
#define kIOMaximumBlockCountWriteKey "IOMaximumBlockCountWrite"
#define kIOMaximumByteCountReadKey "IOMaximumByteCountRead"
#define kIOMaximumByteCountWriteKey "IOMaximumByteCountWrite"
#define kIOMaximumSegmentCountReadKey "IOMaximumSegmentCountRead"
#define kIOMaximumSegmentCountWriteKey "IOMaximumSegmentCountWrite"
#define kIOMaximumSegmentByteCountReadKey "IOMaximumSegmentByteCountRead"
#define kIOMaximumSegmentByteCountWriteKey "IOMaximumSegmentByteCountWrite"
#define kIOMinimumSegmentAlignmentByteCountKey "IOMinimumSegmentAlignmentByteCount"
#define kIOMaximumSegmentAddressableBitCountKey "IOMaximumSegmentAddressableBitCount"
#define kIOMinimumSaturationByteCountKey "IOMinimumSaturationByteCount"
#define kIOCommandPoolSizeKey "IOCommandPoolSize"

#define kIODriverKitEntitlementKey "com.apple.developer.driverkit"
#define kIODriverKitUSBTransportEntitlementKey "com.apple.developer.driverkit.transport.usb"
#define kIODriverKitHIDTransportEntitlementKey "com.apple.developer.driverkit.transport.hid"
#define kIODriverKitHIDFamilyDeviceEntitlementKey "com.apple.developer.driverkit.family.hid.device"
#define kIODriverKitHIDFamilyEventServiceEntitlementKey "com.apple.developer.driverkit.family.hid.eventservice"
#define kIODriverKitUserClientEntitlementsKey "com.apple.developer.driverkit.userclient-access"
#define kIODriverKitUserClientEntitlementAllowAnyKey "com.apple.developer.driverkit.allow-any-userclient-access"
#define kIODriverKitUserClientEntitlementAdministratorKey "com.apple.developer.driverkit.administrator"

#define kIOSystemStateClamshellKey "com.apple.iokit.pm.clamshell"
#define kIOSystemStateSleepDescriptionKey "com.apple.iokit.pm.sleepdescription"
#define kIOSystemStateSleepDescriptionReasonKey "com.apple.iokit.pm.sleepreason"
#define kIOSystemStateSleepDescriptionHibernateStateKey "com.apple.iokit.pm.hibernatestate"
#define kIOSystemStateWakeDescriptionKey "com.apple.iokit.pm.wakedescription"
#define kIOSystemStateWakeDescriptionWakeReasonKey "com.apple.iokit.pm.wakereason"
#define kIOSystemStateHaltDescriptionKey "com.apple.iokit.pm.haltdescription"
#define kIOSystemStateHaltDescriptionHaltStateKey "com.apple.iokit.pm.haltstate"
#define kIOSystemStatePowerSourceDescriptionKey "com.apple.iokit.pm.powersourcedescription"

#endif /* AMBIDEXT_DRIVERKIT_IOKITKEYS_H */
