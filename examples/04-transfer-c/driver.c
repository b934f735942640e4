/* SPDX-License-Identifier: MIT */
/* Opens the sensor's interface and keeps kTransferInFlight reads in flight. */

#include <os/log.h>

#include "driver.h"

#define CHECK_FACTOR 0x9E3779B97F4A7C15ull

struct sample {
	uint64_t number, check;
};

struct TransferDriverC_IVars {
	IOUSBHostInterface *interface;
	IOUSBHostPipe *pipe;
	TransferC *transfers[kTransferInFlight];
	IOLock *lock; /* guards counters: the user client reads them on a queue of its own */
	uint64_t counters[kTransferCounterCount];
	uint64_t next;
	IOService *stop_provider; /* retained from Stop until super's */
};

bool
TransferDriverC_init_Impl(TransferDriverC *self)
{
	if (!TransferDriverC_init_super(self))
		return false;
	self->ivars = IONewZero(struct TransferDriverC_IVars, 1);
	if (!self->ivars)
		return false;
	self->ivars->lock = IOLockAlloc();
	return self->ivars->lock != NULL;
}

void
TransferDriverC_free_Impl(TransferDriverC *self)
{
	if (self->ivars) {
		for (int i = 0; i < kTransferInFlight; i++)
			OSSafeReleaseNULL(self->ivars->transfers[i]);
		OSSafeReleaseNULL(self->ivars->pipe);
		OSSafeReleaseNULL(self->ivars->interface);
		if (self->ivars->lock)
			IOLockFree(self->ivars->lock);
	}
	IOSafeDeleteNULL(self->ivars, struct TransferDriverC_IVars, 1);
	TransferDriverC_free_super(self);
}

static kern_return_t
make_transfers(TransferDriverC *self)
{
	for (int i = 0; i < kTransferInFlight; i++) {
		TransferC *transfer = OSTypeAlloc(TransferC);
		self->ivars->transfers[i] = transfer;
		if (!transfer || !TransferC_init(transfer) || !transfer_setup(transfer, self, self->ivars->interface))
			return kIOReturnError;
	}
	return kIOReturnSuccess;
}

kern_return_t
TransferDriverC_Start_Impl(TransferDriverC *self, IOService *provider)
{
	kern_return_t ret = TransferDriverC_Start_super(self, provider);

	if (ret != kIOReturnSuccess)
		return ret;
	self->ivars->interface = OSDynamicCast(IOUSBHostInterface, provider);
	if (!self->ivars->interface)
		return kIOReturnNoDevice;
	OSObjectRetain((OSObject *)self->ivars->interface);
	ret = IOUSBHostInterface_Open(self->ivars->interface, (IOService *)self, 0, NULL);
	if (ret != kIOReturnSuccess)
		return ret;
	ret = IOUSBHostInterface_CopyPipe(self->ivars->interface, kTransferEndpoint, &self->ivars->pipe);
	if (ret == kIOReturnSuccess)
		ret = make_transfers(self);
	if (ret == kIOReturnSuccess)
		ret = TransferDriverC_RegisterService(self);
	if (ret != kIOReturnSuccess) {
		IOUSBHostInterface_Close(self->ivars->interface, (IOService *)self, 0);
		return ret;
	}
	for (int i = 0; i < kTransferInFlight; i++)
		(void)transfer_submit(self->ivars->transfers[i]);
	return kIOReturnSuccess;
}

static void
finish_stop(TransferDriverC *self)
{
	IOService *provider = self->ivars->stop_provider;

	self->ivars->stop_provider = NULL;
	for (int i = 0; i < kTransferInFlight; i++)
		transfer_cancel(self->ivars->transfers[i]);
	IOUSBHostInterface_Close(self->ivars->interface, (IOService *)self, 0);
	(void)TransferDriverC_Stop_super(self, provider);
	OSObjectRelease((OSObject *)provider);
	OSObjectRelease((OSObject *)self);
}

/* The reads that are in flight come back aborted, on this queue; the last one ends the service. */
kern_return_t
TransferDriverC_Stop_Impl(TransferDriverC *self, IOService *provider)
{
	OSObjectRetain((OSObject *)self);
	OSObjectRetain((OSObject *)provider);
	self->ivars->stop_provider = provider;
	(void)IOUSBHostPipe_Abort(self->ivars->pipe, kIOUSBAbortAsynchronous, kIOReturnAborted, (IOService *)self);
	if (self->ivars->counters[kCounterSubmitted] == self->ivars->counters[kCounterCompleted])
		finish_stop(self);
	return kIOReturnSuccess;
}

kern_return_t
TransferDriverC_NewUserClient_Impl(TransferDriverC *self, uint32_t type, IOUserClient **userClient)
{
	IOService *client = NULL;
	kern_return_t ret = TransferDriverC_Create(self, (IOService *)self, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

void
driver_submitted(TransferDriverC *self)
{
	IOLockLock(self->ivars->lock);
	self->ivars->counters[kCounterSubmitted]++;
	IOLockUnlock(self->ivars->lock);
}

bool
driver_completed(TransferDriverC *self, IOReturn status, const void *bytes, uint32_t n_bytes)
{
	const struct sample *samples = bytes;
	uint64_t *counters = self->ivars->counters;

	IOLockLock(self->ivars->lock);
	counters[kCounterCompleted]++;
	counters[kCounterFailed] += status != kIOReturnSuccess;
	counters[kCounterBytes] += n_bytes;
	for (uint32_t i = 0; i < n_bytes / sizeof *samples; i++) {
		uint64_t number = samples[i].number;
		if (samples[i].check != number * CHECK_FACTOR) {
			counters[kCounterDamaged]++;
			continue;
		}
		counters[kCounterSamples]++;
		if (number > self->ivars->next)
			counters[kCounterLost] += number - self->ivars->next;
		else if (number < self->ivars->next)
			counters[kCounterDuplicated]++;
		self->ivars->next = number + 1;
	}
	bool is_last = counters[kCounterSubmitted] == counters[kCounterCompleted];
	IOLockUnlock(self->ivars->lock);
	if (!self->ivars->stop_provider)
		return status == kIOReturnSuccess;
	if (is_last)
		finish_stop(self);
	return false;
}

static kern_return_t
copy_counters(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	TransferDriverC *driver = OSDynamicCast(TransferDriverC, TransferUserClientC_GetProvider((TransferUserClientC *)target));

	if (!driver)
		return kIOReturnNotAttached;
	IOLockLock(driver->ivars->lock);
	memcpy(arguments->scalarOutput, driver->ivars->counters, sizeof driver->ivars->counters);
	IOLockUnlock(driver->ivars->lock);
	return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch methods[kTransferMethodCount] = {
	[kTransferCounters] = { .function = copy_counters, .checkScalarOutputCount = kTransferCounterCount },
};

kern_return_t
TransferUserClientC_ExternalMethod_Impl(TransferUserClientC *self, uint64_t selector, IOUserClientMethodArguments *arguments,
					const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kTransferMethodCount)
		return kIOReturnUnsupported;
	return TransferUserClientC_ExternalMethod_super(self, selector, arguments, &methods[selector], (OSObject *)self, NULL);
}
