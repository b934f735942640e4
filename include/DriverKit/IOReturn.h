/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DRIVERKIT_IORETURN_H
#define AMBIDEXT_DRIVERKIT_IORETURN_H

/** @file DriverKit/IOReturn.h
 *  @brief Return codes of drivers and of IOKitLib. Depends on no class; both sides include it.
 *
 *  src/base/ioreturn.def gives each code its text. */

#include <mach/error.h>
#include <mach/kern_return.h>
#include <mach/message.h>
#include <mach/mig_errors.h>
#include <stdint.h>

typedef kern_return_t IOReturn;

#define sys_iokit err_system(0x38)

#define sub_iokit_common err_sub(0)
#define sub_iokit_usb err_sub(1)
#define sub_iokit_firewire err_sub(2)
#define sub_iokit_block_storage err_sub(4)
#define sub_iokit_graphics err_sub(5)
#define sub_iokit_networking err_sub(6)
#define sub_iokit_bluetooth err_sub(8)
#define sub_iokit_pmu err_sub(9)
#define sub_iokit_acpi err_sub(10)
#define sub_iokit_smbus err_sub(11)
#define sub_iokit_ahci err_sub(12)
#define sub_iokit_powermanagement err_sub(13)
#define sub_iokit_hidsystem err_sub(14)
#define sub_iokit_scsi err_sub(16)
#define sub_iokit_usbaudio err_sub(17)
#define sub_iokit_wirelesscharging err_sub(18)
#define sub_iokit_nvme err_sub(28)
#define sub_iokit_thunderbolt err_sub(29)
#define sub_iokit_graphics_acceleration err_sub(30)
#define sub_iokit_keystore err_sub(31)
#define sub_iokit_smc err_sub(32)
#define sub_iokit_apfs err_sub(33)
#define sub_iokit_acpiec err_sub(34)
#define sub_iokit_timesync_avb err_sub(35)
#define sub_iokit_platform err_sub(0x2A)
#define sub_iokit_audio_video err_sub(0x45)
#define sub_iokit_cec err_sub(0x46)
#define sub_iokit_arc err_sub(0x47)
#define sub_iokit_baseband err_sub(0x80)
#define sub_iokit_HDA err_sub(0xFE)
#define sub_iokit_hsic err_sub(0x147)
#define sub_iokit_sdio err_sub(0x174)
#define sub_iokit_wlan err_sub(0x208)
#define sub_iokit_appleembeddedsleepwakehandler err_sub(0x209)
#define sub_iokit_appleppm err_sub(0x20A)
#define sub_iokit_vendor_specific err_sub(-2)
#define sub_iokit_reserved err_sub(-1)

#define iokit_common_err(return) (sys_iokit | sub_iokit_common | (return))
#define iokit_family_err(sub, return) (sys_iokit | (sub) | (return))
#define iokit_vendor_specific_err(return) (sys_iokit | sub_iokit_vendor_specific | (return))
#define iokit_common_msg(message) ((uint32_t)(sys_iokit | sub_iokit_common | (message)))
#define iokit_family_msg(sub, message) ((uint32_t)(sys_iokit | (sub) | (message)))
#define iokit_vendor_specific_msg(message) \
	((uint32_t)(sys_iokit | sub_iokit_vendor_specific | (message)))

#define kIOReturnSuccess KERN_SUCCESS
#define kIOReturnError iokit_common_err(0x2bc) /* general error */
#define kIOReturnNoMemory iokit_common_err(0x2bd) /* memory could not be allocated */
#define kIOReturnNoResources iokit_common_err(0x2be) /* a resource ran short */
#define kIOReturnIPCError iokit_common_err(0x2bf) /* messaging failed */
#define kIOReturnNoDevice iokit_common_err(0x2c0) /* no such device */
#define kIOReturnNotPrivileged iokit_common_err(0x2c1) /* a privilege is missing */
#define kIOReturnBadArgument iokit_common_err(0x2c2) /* an argument is not acceptable */
#define kIOReturnLockedRead iokit_common_err(0x2c3) /* device is locked for reading */
#define kIOReturnLockedWrite iokit_common_err(0x2c4) /* device is locked for writing */
#define kIOReturnExclusiveAccess iokit_common_err(0x2c5) /* somebody else has it open */
#define kIOReturnBadMessageID iokit_common_err(0x2c6) /* unknown message */
#define kIOReturnUnsupported iokit_common_err(0x2c7) /* not supported */
#define kIOReturnVMError iokit_common_err(0x2c8) /* virtual memory failed */
#define kIOReturnInternalError iokit_common_err(0x2c9) /* internal error */
#define kIOReturnIOError iokit_common_err(0x2ca) /* general I/O error */
#define kIOReturnCannotLock iokit_common_err(0x2cc) /* lock could not be taken */
#define kIOReturnNotOpen iokit_common_err(0x2cd) /* not open */
#define kIOReturnNotReadable iokit_common_err(0x2ce) /* not readable */
#define kIOReturnNotWritable iokit_common_err(0x2cf) /* not writable */
#define kIOReturnNotAligned iokit_common_err(0x2d0) /* not aligned */
#define kIOReturnBadMedia iokit_common_err(0x2d1) /* media error */
#define kIOReturnStillOpen iokit_common_err(0x2d2) /* still open */
#define kIOReturnRLDError iokit_common_err(0x2d3) /* linking failed */
#define kIOReturnDMAError iokit_common_err(0x2d4) /* DMA failed */
#define kIOReturnBusy iokit_common_err(0x2d5) /* busy */
#define kIOReturnTimeout iokit_common_err(0x2d6) /* time ran out */
#define kIOReturnOffline iokit_common_err(0x2d7) /* offline */
#define kIOReturnNotReady iokit_common_err(0x2d8) /* not ready */
#define kIOReturnNotAttached iokit_common_err(0x2d9) /* not attached */
#define kIOReturnNoChannels iokit_common_err(0x2da) /* no DMA channel is left */
#define kIOReturnNoSpace iokit_common_err(0x2db) /* no space for data */
#define kIOReturnPortExists iokit_common_err(0x2dd) /* port exists already */
#define kIOReturnCannotWire iokit_common_err(0x2de) /* memory could not be pinned */
#define kIOReturnNoInterrupt iokit_common_err(0x2df) /* no interrupt attached */
#define kIOReturnNoFrames iokit_common_err(0x2e0) /* no DMA frames queued */
#define kIOReturnMessageTooLarge iokit_common_err(0x2e1) /* message is too large */
#define kIOReturnNotPermitted iokit_common_err(0x2e2) /* not permitted */
#define kIOReturnNoPower iokit_common_err(0x2e3) /* no power */
#define kIOReturnNoMedia iokit_common_err(0x2e4) /* no media */
#define kIOReturnUnformattedMedia iokit_common_err(0x2e5) /* media is not formatted */
#define kIOReturnUnsupportedMode iokit_common_err(0x2e6) /* mode is not supported */
#define kIOReturnUnderrun iokit_common_err(0x2e7) /* less data than asked for */
#define kIOReturnOverrun iokit_common_err(0x2e8) /* more data than room */
#define kIOReturnDeviceError iokit_common_err(0x2e9) /* device malfunctions */
#define kIOReturnNoCompletion iokit_common_err(0x2ea) /* a completion routine is required */
#define kIOReturnAborted iokit_common_err(0x2eb) /* aborted */
#define kIOReturnNoBandwidth iokit_common_err(0x2ec) /* bus bandwidth would be exceeded */
#define kIOReturnNotResponding iokit_common_err(0x2ed) /* device does not respond */
#define kIOReturnIsoTooOld iokit_common_err(0x2ee) /* isochronous request for the past */
#define kIOReturnIsoTooNew iokit_common_err(0x2ef) /* isochronous request too far ahead */
#define kIOReturnNotFound iokit_common_err(0x2f0) /* not found */
#define kIOReturnInvalid iokit_common_err(0x001) /* never returned */

#endif /* AMBIDEXT_DRIVERKIT_IORETURN_H */
