/* SPDX-License-Identifier: MIT */
/* Opens the sensor's interface and keeps kTransferInFlight reads in flight. */

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "Transfer.h"
#include "TransferDriver.h"
#include "TransferMethods.h"

static constexpr uint64_t kCheckFactor = 0x9E3779B97F4A7C15ull;

struct Sample {
	uint64_t number;
	uint64_t check;
};

struct TransferDriver_IVars {
	IOUSBHostInterface *interface;
	IOUSBHostPipe *pipe;
	Transfer *transfers[kTransferInFlight];
	/* The user client has a queue of its own, so it reads the counters beside the callbacks. */
	IOLock *lock;
	uint64_t counters[kTransferCounterCount];
	uint64_t next;
	IOService *stopProvider; /* retained from Stop until super's */
};

bool
TransferDriver::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(TransferDriver_IVars, 1);
	if (!ivars)
		return false;
	ivars->lock = IOLockAlloc();
	return ivars->lock != nullptr;
}

void
TransferDriver::free()
{
	if (ivars) {
		auto counters = ivars->counters;
		os_log(OS_LOG_DEFAULT, "transfers of this driver: submitted=%llu completed=%llu bytes=%llu lost=%llu duplicated=%llu damaged=%llu "
		       "failed=%llu", counters[kCounterSubmitted], counters[kCounterCompleted], counters[kCounterBytes],
		       counters[kCounterLost], counters[kCounterDuplicated], counters[kCounterDamaged], counters[kCounterFailed]);
		for (auto &transfer : ivars->transfers)
			OSSafeReleaseNULL(transfer);
		OSSafeReleaseNULL(ivars->pipe);
		OSSafeReleaseNULL(ivars->interface);
		if (ivars->lock)
			IOLockFree(ivars->lock);
	}
	IOSafeDeleteNULL(ivars, TransferDriver_IVars, 1);
	super::free();
}

kern_return_t
IMPL(TransferDriver, Start)
{
	kern_return_t ret = Start(provider, SUPERDISPATCH);

	if (ret != kIOReturnSuccess)
		return ret;
	ivars->interface = OSDynamicCast(IOUSBHostInterface, provider);
	if (!ivars->interface)
		return kIOReturnNoDevice;
	ivars->interface->retain();
	ret = ivars->interface->Open(this, 0, NULL);
	if (ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "Open: %#x", ret);
		return ret;
	}
	ret = ivars->interface->CopyPipe(kTransferEndpoint, &ivars->pipe);
	for (auto &transfer : ivars->transfers) {
		if (ret != kIOReturnSuccess)
			break;
		transfer = OSTypeAlloc(Transfer);
		if (!transfer || !transfer->init() ||
		    !transfer->setup(this, ivars->interface, kTransferEndpoint, kTransferSize))
			ret = kIOReturnError;
	}
	if (ret == kIOReturnSuccess)
		ret = RegisterService();
	if (ret != kIOReturnSuccess) {
		ivars->interface->Close(this, 0);
		return ret;
	}
	for (auto &transfer : ivars->transfers)
		transfer->submit();
	return kIOReturnSuccess;
}

/* The reads that are in flight come back aborted, on this queue; the last one ends the service. */
kern_return_t
IMPL(TransferDriver, Stop)
{
	retain();
	provider->retain();
	ivars->stopProvider = provider;
	ivars->pipe->Abort(kIOUSBAbortAsynchronous, kIOReturnAborted, this);
	if (ivars->counters[kCounterSubmitted] == ivars->counters[kCounterCompleted])
		finishStop();
	return kIOReturnSuccess;
}

void
TransferDriver::finishStop()
{
	IOService *provider = ivars->stopProvider;

	ivars->stopProvider = nullptr;
	for (auto transfer : ivars->transfers)
		transfer->cancel();
	ivars->interface->Close(this, 0);
	Stop(provider, SUPERDISPATCH);
	provider->release();
	release();
}

kern_return_t
IMPL(TransferDriver, NewUserClient)
{
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

void
TransferDriver::submitted()
{
	IOLockLock(ivars->lock);
	ivars->counters[kCounterSubmitted]++;
	IOLockUnlock(ivars->lock);
}

bool
TransferDriver::completed(IOReturn status, const void *bytes, uint32_t byteCount)
{
	auto samples = static_cast<const Sample *>(bytes);
	auto counters = ivars->counters;

	IOLockLock(ivars->lock);
	counters[kCounterCompleted]++;
	if (status != kIOReturnSuccess)
		counters[kCounterFailed]++;
	counters[kCounterBytes] += byteCount;
	for (uint32_t i = 0; i < byteCount / sizeof(Sample); i++) {
		if (samples[i].check != samples[i].number * kCheckFactor) {
			counters[kCounterDamaged]++;
			continue;
		}
		counters[kCounterSamples]++;
		if (samples[i].number > ivars->next)
			counters[kCounterLost] += samples[i].number - ivars->next;
		else if (samples[i].number < ivars->next)
			counters[kCounterDuplicated]++;
		ivars->next = samples[i].number + 1;
	}
	bool isLast = counters[kCounterSubmitted] == counters[kCounterCompleted];
	IOLockUnlock(ivars->lock);
	if (!ivars->stopProvider)
		return status == kIOReturnSuccess;
	if (isLast)
		finishStop();
	return false;
}

void
TransferDriver::copyCounters(uint64_t counters[8])
{
	IOLockLock(ivars->lock);
	for (int i = 0; i < kTransferCounterCount; i++)
		counters[i] = ivars->counters[i];
	IOLockUnlock(ivars->lock);
}

static kern_return_t
copy_counters(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	auto client = static_cast<TransferUserClient *>(target);
	auto driver = OSDynamicCast(TransferDriver, client->GetProvider());

	if (!driver)
		return kIOReturnNotAttached;
	driver->copyCounters(arguments->scalarOutput);
	return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch methods[kTransferMethodCount] = {
	[kTransferCounters] = { .function = copy_counters, .checkScalarOutputCount = kTransferCounterCount },
};

kern_return_t
TransferUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
				   const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kTransferMethodCount)
		return kIOReturnUnsupported;
	return super::ExternalMethod(selector, arguments, &methods[selector], this, nullptr);
}
