/* SPDX-License-Identifier: MIT */
/* The form that works on macOS too: the driver is the target of all its actions and forwards each completion. */

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "ForwardDriver.h"
#include "../03-transfer/TransferMethods.h"

static constexpr uint64_t kCheckFactor = 0x9E3779B97F4A7C15ull;

struct Sample {
	uint64_t number;
	uint64_t check;
};

/* A read that is always in flight. A plain struct; its action knows it. */
struct Read {
	IOBufferMemoryDescriptor *buffer;
	OSAction *action;
	void *bytes;
};

struct Reference {
	Read *read;
};

struct ForwardDriver_IVars {
	IOUSBHostInterface *interface;
	IOUSBHostPipe *pipe;
	Read reads[kTransferInFlight];
	uint64_t counters[kTransferCounterCount];
	uint64_t next;
	IOService *stopProvider; /* retained from Stop until super's */
};

bool
ForwardDriver::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(ForwardDriver_IVars, 1);
	return ivars != nullptr;
}

void
ForwardDriver::free()
{
	if (ivars) {
		for (auto &read : ivars->reads) {
			OSSafeReleaseNULL(read.action);
			OSSafeReleaseNULL(read.buffer);
		}
		OSSafeReleaseNULL(ivars->pipe);
		OSSafeReleaseNULL(ivars->interface);
	}
	IOSafeDeleteNULL(ivars, ForwardDriver_IVars, 1);
	super::free();
}

static kern_return_t
submit(ForwardDriver_IVars *ivars, Read *read)
{
	kern_return_t ret = ivars->pipe->AsyncIO(read->buffer, kTransferSize, read->action, 0);

	/* The callback comes on this same queue, so it cannot have run yet. */
	ivars->counters[kCounterSubmitted] += ret == kIOReturnSuccess;
	return ret;
}

kern_return_t
IMPL(ForwardDriver, Start)
{
	kern_return_t ret = Start(provider, SUPERDISPATCH);

	if (ret != kIOReturnSuccess)
		return ret;
	ivars->interface = OSDynamicCast(IOUSBHostInterface, provider);
	if (!ivars->interface)
		return kIOReturnNoDevice;
	ivars->interface->retain();
	ret = ivars->interface->Open(this, 0, NULL);
	if (ret != kIOReturnSuccess)
		return ret;
	ret = ivars->interface->CopyPipe(kTransferEndpoint, &ivars->pipe);
	for (auto &read : ivars->reads) {
		IOAddressSegment range = {};
		if (ret == kIOReturnSuccess)
			ret = ivars->interface->CreateIOBuffer(kIOMemoryDirectionIn, kTransferSize, &read.buffer);
		if (ret == kIOReturnSuccess)
			ret = read.buffer->GetAddressRange(&range);
		if (ret == kIOReturnSuccess)
			ret = CreateActionreadComplete(sizeof(Reference), &read.action);
		if (ret != kIOReturnSuccess)
			break;
		read.bytes = reinterpret_cast<void *>(range.address);
		static_cast<Reference *>(read.action->GetReference())->read = &read;
	}
	if (ret == kIOReturnSuccess)
		ret = RegisterService();
	for (auto &read : ivars->reads)
		if (ret == kIOReturnSuccess)
			ret = submit(ivars, &read);
	if (ret != kIOReturnSuccess)
		ivars->interface->Close(this, 0);
	return ret;
}

/* The reads that are in flight come back aborted, on this queue; the last one ends the service. */
kern_return_t
IMPL(ForwardDriver, Stop)
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
ForwardDriver::finishStop()
{
	IOService *provider = ivars->stopProvider;

	ivars->stopProvider = nullptr;
	for (auto &read : ivars->reads)
		read.action->Cancel(nullptr);
	ivars->interface->Close(this, 0);
	Stop(provider, SUPERDISPATCH);
	provider->release();
	release();
}

/* Callbacks and copyCounters run on the driver's Default queue, so nothing is locked. */
void
IMPL(ForwardDriver, readComplete)
{
	Read *read = static_cast<Reference *>(action->GetReference())->read;
	auto samples = static_cast<const Sample *>(read->bytes);
	auto counters = ivars->counters;

	counters[kCounterCompleted]++;
	counters[kCounterFailed] += status != kIOReturnSuccess;
	counters[kCounterBytes] += actualByteCount;
	for (uint32_t i = 0; i < actualByteCount / sizeof(Sample); i++) {
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
	if (!ivars->stopProvider) {
		if (status == kIOReturnSuccess)
			submit(ivars, read);
	} else if (counters[kCounterSubmitted] == counters[kCounterCompleted]) {
		finishStop();
	}
}

kern_return_t
IMPL(ForwardDriver, NewUserClient)
{
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

void
ForwardDriver::copyCounters(uint64_t counters[8])
{
	IODispatchQueue *queue = nullptr;
	__block uint64_t *out = counters;

	if (CopyDispatchQueue(kIOServiceDefaultQueueName, &queue) != kIOReturnSuccess)
		return;
	queue->DispatchSync(^{
		memcpy(out, ivars->counters, sizeof ivars->counters);
	});
	queue->release();
}

static kern_return_t
copy_counters(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	auto driver = OSDynamicCast(ForwardDriver, static_cast<ForwardUserClient *>(target)->GetProvider());

	if (!driver)
		return kIOReturnNotAttached;
	driver->copyCounters(arguments->scalarOutput);
	return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch methods[kTransferMethodCount] = {
	[kTransferCounters] = { .function = copy_counters, .checkScalarOutputCount = kTransferCounterCount },
};

kern_return_t
ForwardUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
				  const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kTransferMethodCount)
		return kIOReturnUnsupported;
	return super::ExternalMethod(selector, arguments, &methods[selector], this, nullptr);
}
