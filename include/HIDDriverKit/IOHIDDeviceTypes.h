/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_HIDDRIVERKIT_IOHIDDEVICETYPES_H
#define AMBIDEXT_HIDDRIVERKIT_IOHIDDEVICETYPES_H

/** @file HIDDriverKit/IOHIDDeviceTypes.h
 *  @brief Kinds of reports, elements and collections. The numbers are the open HID family's; those of items and
 *  collections follow the HID specification 1.11, section 6.2.2. */

#include <stdint.h>

enum IOHIDReportType {
	kIOHIDReportTypeInput = 0,
	kIOHIDReportTypeOutput,
	kIOHIDReportTypeFeature,
	kIOHIDReportTypeCount,
};
typedef enum IOHIDReportType IOHIDReportType;

enum {
	kIOHIDReportOptionNotInterrupt = 0x100,
	kIOHIDReportOptionVariableSize = 0x200,
};

enum IOHIDElementType {
	kIOHIDElementTypeInput_Misc = 1,
	kIOHIDElementTypeInput_Button = 2,
	kIOHIDElementTypeInput_Axis = 3,
	kIOHIDElementTypeInput_ScanCodes = 4,
	kIOHIDElementTypeInput_NULL = 5,
	kIOHIDElementTypeOutput = 129,
	kIOHIDElementTypeFeature = 257,
	kIOHIDElementTypeCollection = 513,
};
typedef enum IOHIDElementType IOHIDElementType;

enum IOHIDElementCollectionType {
	kIOHIDElementCollectionTypePhysical = 0,
	kIOHIDElementCollectionTypeApplication,
	kIOHIDElementCollectionTypeLogical,
	kIOHIDElementCollectionTypeReport,
	kIOHIDElementCollectionTypeNamedArray,
	kIOHIDElementCollectionTypeUsageSwitch,
	kIOHIDElementCollectionTypeUsageModifier,
};
typedef enum IOHIDElementCollectionType IOHIDElementCollectionType;

enum {
	kIOHIDElementFlagsConstantMask = 0x0001,
	kIOHIDElementFlagsVariableMask = 0x0002,
	kIOHIDElementFlagsRelativeMask = 0x0004,
	kIOHIDElementFlagsWrapMask = 0x0008,
	kIOHIDElementFlagsNonLinearMask = 0x0010,
	kIOHIDElementFlagsNoPreferredMask = 0x0020,
	kIOHIDElementFlagsNullStateMask = 0x0040,
	kIOHIDElementFlagsVolativeMask = 0x0080, /* as the family spells it */
	kIOHIDElementFlagsBufferedByteMask = 0x0100,
};

#endif /* AMBIDEXT_HIDDRIVERKIT_IOHIDDEVICETYPES_H */
