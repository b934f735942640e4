/* SPDX-License-Identifier: MIT */
/* One read that is always in flight, with a callback of its own. */

#include <os/log.h>

#include "driver.h"

struct TransferC_IVars {
	TransferDriverC *driver; /* borrowed: it holds this object, and cancels it first */
	IOUSBHostPipe *pipe;
	IOBufferMemoryDescriptor *buffer;
	OSAction *action;
	void *bytes;
};

bool
TransferC_init_Impl(TransferC *self)
{
	if (!TransferC_init_super(self))
		return false;
	self->ivars = IONewZero(struct TransferC_IVars, 1);
	return self->ivars != NULL;
}

void
TransferC_free_Impl(TransferC *self)
{
	if (self->ivars) {
		OSSafeReleaseNULL(self->ivars->action);
		OSSafeReleaseNULL(self->ivars->buffer);
		OSSafeReleaseNULL(self->ivars->pipe);
	}
	IOSafeDeleteNULL(self->ivars, struct TransferC_IVars, 1);
	TransferC_free_super(self);
}

bool
transfer_setup(TransferC *self, TransferDriverC *driver, IOUSBHostInterface *interface)
{
	IOAddressSegment range = { 0 };

	self->ivars->driver = driver;
	kern_return_t ret = IOUSBHostInterface_CopyPipe(interface, kTransferEndpoint, &self->ivars->pipe);
	if (ret == kIOReturnSuccess)
		ret = IOUSBHostInterface_CreateIOBuffer(interface, kIOMemoryDirectionIn, kTransferSize, &self->ivars->buffer);
	if (ret == kIOReturnSuccess)
		ret = IOBufferMemoryDescriptor_GetAddressRange(self->ivars->buffer, &range);
	if (ret == kIOReturnSuccess)
		ret = TransferC_CreateActioncompleteCallback(self, 0, &self->ivars->action);
	if (ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "setup of a transfer: %#x", ret);
		return false;
	}
	self->ivars->bytes = (void *)(uintptr_t)range.address;
	return true;
}

bool
transfer_submit(TransferC *self)
{
	kern_return_t ret = IOUSBHostPipe_AsyncIO(self->ivars->pipe, (IOMemoryDescriptor *)self->ivars->buffer, kTransferSize,
						  self->ivars->action, 0);
	/* The callback comes on this same queue, so it cannot have run yet. */
	if (ret == kIOReturnSuccess)
		driver_submitted(self->ivars->driver);
	return ret == kIOReturnSuccess;
}

void
transfer_cancel(TransferC *self)
{
	if (self->ivars->action)
		OSAction_Cancel(self->ivars->action, NULL);
}

void
TransferC_completeCallback_Impl(TransferC *self, OSAction *action, IOReturn status, uint32_t actualByteCount,
				uint64_t completionTimestamp)
{
	if (driver_completed(self->ivars->driver, status, self->ivars->bytes, actualByteCount))
		(void)transfer_submit(self);
}
