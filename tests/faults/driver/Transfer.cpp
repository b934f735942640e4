/* SPDX-License-Identifier: MIT */
/* One read that is always in flight, with a callback of its own. */

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "Transfer.h"
#include "SoakDriver.h"

struct Transfer_IVars {
	SoakDriver *driver;        /* not retained: it holds this object, and cancels it first */
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
Transfer::setup(SoakDriver *driver, IOUSBHostInterface *interface, int endpointAddress, int transferSize)
{
	IOAddressSegment range = {};

	ivars->driver = driver;
	ivars->size = transferSize;
	if (interface->CopyPipe(endpointAddress, &ivars->pipe) != kIOReturnSuccess)
		return false;
	if (interface->CreateIOBuffer(kIOMemoryDirectionIn, transferSize, &ivars->buffer) != kIOReturnSuccess)
		return false;
	if (ivars->buffer->GetAddressRange(&range) != kIOReturnSuccess)
		return false;
	ivars->bytes = reinterpret_cast<void *>(range.address);
	if (CreateActioncompleteCallback(0, &ivars->action) != kIOReturnSuccess)
		return false;
	return true;
}

bool
Transfer::submit()
{
	if (ivars->pipe->AsyncIO(ivars->buffer, ivars->size, ivars->action, 0) != kIOReturnSuccess)
		return false;
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
