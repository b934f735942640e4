/* SPDX-License-Identifier: MIT */
/* See SoakMethods.h. */

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "SoakDriver.h"
#include "SoakMethods.h"
#include "Transfer.h"

struct Sample {
	uint64_t number;
	uint64_t check;
};

enum { kSubmitted, kCompleted, kDamaged, kSamples, kCounterCount };

struct SoakDriver_IVars {
	IOUSBHostInterface *interface;
	IOUSBHostPipe *pipe;
	Transfer *transfers[kSoakInFlight];
	IOLock *lock;
	uint64_t counters[kCounterCount];
	IOService *stopProvider; /* retained from Stop until super's */
};

struct SoakUserClient_IVars {
	OSAction *held[kSoakHeld];
	unsigned n_held;
};

bool
SoakDriver::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(SoakDriver_IVars, 1);
	if (!ivars)
		return false;
	ivars->lock = IOLockAlloc();
	return ivars->lock != nullptr;
}

void
SoakDriver::free()
{
	if (ivars) {
		for (auto &transfer : ivars->transfers)
			OSSafeReleaseNULL(transfer);
		OSSafeReleaseNULL(ivars->pipe);
		OSSafeReleaseNULL(ivars->interface);
		if (ivars->lock)
			IOLockFree(ivars->lock);
	}
	IOSafeDeleteNULL(ivars, SoakDriver_IVars, 1);
	super::free();
}

kern_return_t
IMPL(SoakDriver, Start)
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
	ret = ivars->interface->CopyPipe(kSoakEndpoint, &ivars->pipe);
	for (auto &transfer : ivars->transfers) {
		if (ret != kIOReturnSuccess)
			break;
		transfer = OSTypeAlloc(Transfer);
		if (!transfer || !transfer->init() || !transfer->setup(this, ivars->interface, kSoakEndpoint, kSoakTransferSize))
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

kern_return_t
IMPL(SoakDriver, Stop)
{
	retain();
	provider->retain();
	ivars->stopProvider = provider;
	if (ivars->pipe)
		ivars->pipe->Abort(kIOUSBAbortAsynchronous, kIOReturnAborted, this);
	if (ivars->counters[kSubmitted] == ivars->counters[kCompleted])
		finishStop();
	return kIOReturnSuccess;
}

void
SoakDriver::finishStop()
{
	IOService *provider = ivars->stopProvider;

	ivars->stopProvider = nullptr;
	for (auto transfer : ivars->transfers)
		if (transfer)
			transfer->cancel();
	ivars->interface->Close(this, 0);
	Stop(provider, SUPERDISPATCH);
	provider->release();
	release();
}

kern_return_t
IMPL(SoakDriver, NewUserClient)
{
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

void
SoakDriver::submitted()
{
	IOLockLock(ivars->lock);
	ivars->counters[kSubmitted]++;
	IOLockUnlock(ivars->lock);
}

/* One that failed is submitted again only while that may help: the stream goes on until the driver is stopped. */
bool
SoakDriver::completed(IOReturn status, const void *bytes, uint32_t byteCount)
{
	auto samples = static_cast<const Sample *>(bytes);

	IOLockLock(ivars->lock);
	ivars->counters[kCompleted]++;
	for (uint32_t i = 0; status == kIOReturnSuccess && i < byteCount / sizeof(Sample); i++) {
		ivars->counters[kSamples]++;
		ivars->counters[kDamaged] += samples[i].check != samples[i].number * kSoakKey;
	}
	bool isLast = ivars->counters[kSubmitted] == ivars->counters[kCompleted];
	IOLockUnlock(ivars->lock);
	if (!ivars->stopProvider)
		return status != kIOReturnAborted && status != kIOReturnNoDevice && status != kIOReturnNotOpen;
	if (isLast)
		finishStop();
	return false;
}

void
SoakDriver::copyCounters(uint64_t counters[4])
{
	IOLockLock(ivars->lock);
	for (int i = 0; i < kCounterCount; i++)
		counters[i] = ivars->counters[i];
	IOLockUnlock(ivars->lock);
}

bool
SoakUserClient::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(SoakUserClient_IVars, 1);
	return ivars != nullptr;
}

void
SoakUserClient::free()
{
	if (ivars)
		for (auto &held : ivars->held)
			OSSafeReleaseNULL(held);
	IOSafeDeleteNULL(ivars, SoakUserClient_IVars, 1);
	super::free();
}

static kern_return_t
echo(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	for (int i = 0; i < 4; i++)
		arguments->scalarOutput[i] = arguments->scalarInput[i] ^ kSoakKey;
	return kIOReturnSuccess;
}

/* Address and length of what a descriptor names, mapped for the call. */
static kern_return_t
map(IOMemoryDescriptor *descriptor, IOMemoryMap **ret_map, uint8_t **ret_bytes, uint64_t *ret_length)
{
	kern_return_t ret = descriptor->CreateMapping(0, 0, 0, 0, 0, ret_map);

	if (ret == kIOReturnSuccess) {
		*ret_bytes = reinterpret_cast<uint8_t *>((*ret_map)->GetAddress());
		*ret_length = (*ret_map)->GetLength();
	}
	return ret;
}

kern_return_t
SoakUserClient::echoStruct(IOUserClientMethodArguments *arguments)
{
	IOMemoryMap *inMap = nullptr, *outMap = nullptr;
	uint8_t *in = nullptr, *out = nullptr;
	uint64_t size = 0, room = 0;
	OSData *data = nullptr;
	kern_return_t ret = kIOReturnSuccess;

	if (arguments->structureInputDescriptor) {
		ret = map(arguments->structureInputDescriptor, &inMap, &in, &size);
	} else if (arguments->structureInput) {
		in = static_cast<uint8_t *>(const_cast<void *>(arguments->structureInput->getBytesNoCopy()));
		size = arguments->structureInput->getLength();
	}
	if (ret == kIOReturnSuccess && arguments->structureOutputDescriptor) {
		ret = map(arguments->structureOutputDescriptor, &outMap, &out, &room);
	} else if (ret == kIOReturnSuccess) {
		data = OSData::withCapacity(static_cast<uint32_t>(size ? size : 1));
		room = size;
		if (!data)
			ret = kIOReturnNoMemory;
	}
	if (ret == kIOReturnSuccess && room < size)
		ret = kIOReturnNoSpace;
	for (uint64_t i = 0; ret == kIOReturnSuccess && i < size; i++) {
		uint8_t byte = in[i] ^ 0xA5;

		if (out)
			out[i] = byte;
		else if (!data->appendBytes(&byte, 1))
			ret = kIOReturnNoMemory;
	}
	if (ret == kIOReturnSuccess && data)
		arguments->structureOutput = data;
	else
		OSSafeReleaseNULL(data);
	OSSafeReleaseNULL(inMap);
	OSSafeReleaseNULL(outMap);
	return ret;
}

kern_return_t
SoakUserClient::async(IOUserClientMethodArguments *arguments)
{
	uint64_t cookie = arguments->scalarInput[0], data[2] = { cookie ^ kSoakKey, cookie };

	AsyncCompletion(arguments->completion, kIOReturnSuccess, data, 2);
	return kIOReturnSuccess;
}

kern_return_t
SoakUserClient::asyncHold(IOUserClientMethodArguments *arguments)
{
	if (ivars->n_held == kSoakHeld)
		return kIOReturnNoResources;
	arguments->completion->retain();
	ivars->held[ivars->n_held++] = arguments->completion;
	return kIOReturnSuccess;
}

static kern_return_t
static_echo_struct(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	return static_cast<SoakUserClient *>(target)->echoStruct(arguments);
}

static kern_return_t
static_async(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	return static_cast<SoakUserClient *>(target)->async(arguments);
}

static kern_return_t
static_async_hold(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	return static_cast<SoakUserClient *>(target)->asyncHold(arguments);
}

static kern_return_t
hold(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	for (;;)
		IOSleep(1000000);
}

static kern_return_t
counters(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	auto driver = OSDynamicCast(SoakDriver, static_cast<SoakUserClient *>(target)->GetProvider());

	if (!driver)
		return kIOReturnNotAttached;
	driver->copyCounters(arguments->scalarOutput);
	return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch methods[kSoakMethodCount] = {
	[kSoakEcho] = { .function = echo, .checkScalarInputCount = 4, .checkScalarOutputCount = 4 },
	[kSoakEchoStruct] = { .function = static_echo_struct, .checkStructureInputSize = 0xffffffff, .checkStructureOutputSize = 0xffffffff },
	[kSoakAsync] = { .function = static_async, .checkCompletionExists = true, .checkScalarInputCount = 1 },
	[kSoakAsyncHold] = { .function = static_async_hold, .checkCompletionExists = true },
	[kSoakHold] = { .function = hold },
	[kSoakCounters] = { .function = counters, .checkScalarOutputCount = 4 },
};

kern_return_t
SoakUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
			       const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kSoakMethodCount)
		return kIOReturnUnsupported;
	return super::ExternalMethod(selector, arguments, &methods[selector], this, nullptr);
}
