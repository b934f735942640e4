// SPDX-License-Identifier: MIT
// The shape of the question's class: what it leaves out (includes, log macros, what the callback does) is added.
#include <os/log.h>
#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>
#include "Transfer.h"
#include "SeedDriver.h"

#define LOG_DEBUG(fmt, ...) os_log_debug(OS_LOG_DEFAULT, "Transfer: " fmt, ##__VA_ARGS__)
#define LOG_ERROR(fmt, ...) os_log_error(OS_LOG_DEFAULT, "Transfer: " fmt, ##__VA_ARGS__)
#define kern_return_t_toCStr(ret) ((ret) == kIOReturnSuccess ? "success" : "failure")

struct Transfer_IVars {
IOUSBHostInterface* interface;
int maxPacketSize;
IOUSBHostPipe* pipe;
IOBufferMemoryDescriptor* buffer;
OSAction* ioCompleteCallback;
};

bool Transfer::init() {
LOG_DEBUG();
if (!super::init()) {
LOG_ERROR("super::init failed");
}
if (ivars = IONewZero(Transfer_IVars, 1); ivars == nullptr) {
LOG_ERROR("Allocating ivars failed");
return false;
}
return true;
}

void Transfer::free() {
LOG_DEBUG();
IOSafeDeleteNULL(ivars, Transfer_IVars, 1);
super::free();
}

bool Transfer::setup(IOUSBHostInterface* interface, int endpointAddress,
int maxPacketSize) {
ivars->interface = interface;
ivars->maxPacketSize = maxPacketSize;
if (auto ret = interface->CopyPipe(endpointAddress, &ivars->pipe);
ret != kIOReturnSuccess) {
LOG_ERROR("Could not copy pipe: %{public}s, endpointAddress: %{public}d",
kern_return_t_toCStr(ret), endpointAddress);
}
if (auto ret =
interface->CreateIOBuffer(kIOMemoryDirectionIn, maxPacketSize, &ivars->buffer);
ret != kIOReturnSuccess) {
LOG_ERROR("CreateIOBuffer failed, ret: %{public}d", ret);
return false;
}
if (auto ret = CreateActioncompleteCallback(0, &ivars->ioCompleteCallback);
ret != kIOReturnSuccess) {
LOG_ERROR("Failed to set iocomplete callback, ret: %{public}d", ret);
return false;
}
return true;
}

bool Transfer::submit() {
if (auto ret = ivars->pipe->AsyncIO(ivars->buffer, ivars->maxPacketSize,
ivars->ioCompleteCallback, 0);
ret != kIOReturnSuccess) {
LOG_ERROR("Failed to call AsyncIO, ret: %{public}d", ret);
return false;
}
return true;
}

void IMPL(Transfer, completeCallback) {
LOG_DEBUG(
"Complete callback bytecount %{public}d, timestamp: %{public}llu, status %{public}s",
actualByteCount, completionTimestamp, kern_return_t_toCStr(status));
seed_completed(status, actualByteCount);
if (status == kIOReturnSuccess)
submit();
}
