/* SPDX-License-Identifier: MIT */
/* One read that is always in flight, with a callback of its own. */

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "Transfer.h"
#include "TransferDriver.h"

struct Transfer_IVars {
	TransferDriver *driver;        /* not retained: it holds this object, and cancels it first */
	IOUSBHostPipe *pipe;
	IOBufferMemoryDescriptor *buffer;
	OSAction *action;
	void *bytes;
	int size;
};

bool
Transfer::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(Transfer_IVars, 1);
	return ivars != nullptr;
}

void
Transfer::free()
{
	if (ivars) {
		OSSafeReleaseNULL(ivars->action);
		OSSafeReleaseNULL(ivars->buffer);
		OSSafeReleaseNULL(ivars->pipe);
	}
	IOSafeDeleteNULL(ivars, Transfer_IVars, 1);
	super::free();
}

bool
Transfer::setup(TransferDriver *driver, IOUSBHostInterface *interface, int endpointAddress, int transferSize)
{
	IOAddressSegment range = {};

	ivars->driver = driver;
	ivars->size = transferSize;
	if (auto ret = interface->CopyPipe(endpointAddress, &ivars->pipe); ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "CopyPipe(%#x): %#x", endpointAddress, ret);
		return false;
	}
	if (auto ret = interface->CreateIOBuffer(kIOMemoryDirectionIn, transferSize, &ivars->buffer); ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "CreateIOBuffer: %#x", ret);
		return false;
	}
	if (ivars->buffer->GetAddressRange(&range) != kIOReturnSuccess)
		return false;
	ivars->bytes = reinterpret_cast<void *>(range.address);
	if (auto ret = CreateActioncompleteCallback(0, &ivars->action); ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "CreateActioncompleteCallback: %#x", ret);
		return false;
	}
	return true;
}

bool
Transfer::submit()
{
	if (auto ret = ivars->pipe->AsyncIO(ivars->buffer, ivars->size, ivars->action, 0); ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "AsyncIO: %#x", ret);
		return false;
	}
	/* The callback comes on this same queue, so it cannot have run yet. */
	ivars->driver->submitted();
	return true;
}

void
Transfer::cancel()
{
	if (ivars->action)
		ivars->action->Cancel(nullptr);
}

void
IMPL(Transfer, completeCallback)
{
	if (ivars->driver->completed(status, ivars->bytes, actualByteCount))
		submit();
}
