/* SPDX-License-Identifier: MIT */
/* The Bulk-Only Transport: a wrapper of 31 bytes goes out, the data goes either way, a status of 13 bytes comes in. */

#include <string.h>

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "StickDriver.h"
#include "StickMethods.h"

static constexpr uint32_t kWrapperSize = 31, kStatusSize = 13, kInlineSize = 4096, kTimeoutMs = 30000;
static constexpr uint8_t kClassIn = 0xA1, kGetMaxLun = 0xFE;

enum Phase { kIdle, kWrapper, kData, kStatus };

/* What one kStickShared does. Touched on the service's queue only. */
struct Job {
	IOUserClient *client;   /* retained while it runs */
	OSAction *completion;   /* retained while it runs */
	Phase phase;
	uint64_t command[2], commandLength, length, direction, times;
	uint64_t words[kSharedWordCount];
};

struct StickDriver_IVars {
	IOUSBHostInterface *interface;
	IODispatchQueue *queue;
	IOUSBHostPipe *in, *out;
	IOBufferMemoryDescriptor *wrapper, *status, *data, *shared;
	uint8_t *wrapperBytes, *statusBytes, *dataBytes;
	OSAction *action;
	uint32_t tag;
	Job job;
	IOService *stopProvider; /* retained from Stop until super's */
};

bool
StickDriver::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(StickDriver_IVars, 1);
	return ivars != nullptr;
}

void
StickDriver::free()
{
	if (ivars) {
		os_log(OS_LOG_DEFAULT, "e2e: driver freed: %llu shared commands, %s", ivars->job.words[kWordCommands],
		       ivars->job.phase == kIdle ? "idle" : "BUSY");
		OSSafeReleaseNULL(ivars->action);
		OSSafeReleaseNULL(ivars->wrapper);
		OSSafeReleaseNULL(ivars->status);
		OSSafeReleaseNULL(ivars->data);
		OSSafeReleaseNULL(ivars->shared);
		OSSafeReleaseNULL(ivars->in);
		OSSafeReleaseNULL(ivars->out);
		OSSafeReleaseNULL(ivars->queue);
		OSSafeReleaseNULL(ivars->interface);
	}
	IOSafeDeleteNULL(ivars, StickDriver_IVars, 1);
	super::free();
}

kern_return_t
StickDriver::copyPipes()
{
	const IOUSBEndpointDescriptor *endpoint = nullptr;
	auto configuration = ivars->interface->CopyConfigurationDescriptor();
	auto setting = configuration ? ivars->interface->GetInterfaceDescriptor(configuration) : nullptr;
	kern_return_t ret = setting ? kIOReturnSuccess : kIOReturnNoResources;

	while (ret == kIOReturnSuccess &&
	       (endpoint = IOUSBGetNextEndpointDescriptor(configuration, setting,
							  reinterpret_cast<const IOUSBDescriptorHeader *>(endpoint)))) {
		auto &pipe = endpoint->bEndpointAddress & 0x80 ? ivars->in : ivars->out;

		if ((endpoint->bmAttributes & 3) == 2 && !pipe)
			ret = ivars->interface->CopyPipe(endpoint->bEndpointAddress, &pipe);
	}
	if (configuration)
		IOUSBHostFreeDescriptor(configuration);
	return ret == kIOReturnSuccess && (!ivars->in || !ivars->out) ? kIOReturnNotFound : ret;
}

static kern_return_t
make_buffer(IOUSBHostInterface *interface, uint64_t direction, uint64_t size, IOBufferMemoryDescriptor **buffer, uint8_t **bytes)
{
	IOAddressSegment range = {};
	auto ret = interface->CreateIOBuffer(direction, size, buffer);

	if (ret == kIOReturnSuccess && bytes) {
		ret = (*buffer)->GetAddressRange(&range);
		*bytes = reinterpret_cast<uint8_t *>(range.address);
	}
	return ret;
}

kern_return_t
IMPL(StickDriver, Start)
{
	kern_return_t ret = Start(provider, SUPERDISPATCH);

	if (ret != kIOReturnSuccess)
		return ret;
	auto interface = OSDynamicCast(IOUSBHostInterface, provider);
	if (!interface)
		return kIOReturnNoDevice;
	interface->retain();
	ivars->interface = interface;
	ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &ivars->queue);
	if (ret == kIOReturnSuccess)
		ret = interface->Open(this, 0, nullptr);
	if (ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "e2e: Open: %#x", ret);
		return ret;
	}
	ret = copyPipes();
	if (ret == kIOReturnSuccess)
		ret = make_buffer(interface, kIOMemoryDirectionOut, kWrapperSize, &ivars->wrapper, &ivars->wrapperBytes);
	if (ret == kIOReturnSuccess)
		ret = make_buffer(interface, kIOMemoryDirectionIn, kStatusSize, &ivars->status, &ivars->statusBytes);
	if (ret == kIOReturnSuccess)
		ret = make_buffer(interface, kIOMemoryDirectionInOut, kInlineSize, &ivars->data, &ivars->dataBytes);
	if (ret == kIOReturnSuccess)
		ret = make_buffer(interface, kIOMemoryDirectionInOut, kStickSharedSize, &ivars->shared, nullptr);
	if (ret == kIOReturnSuccess)
		ret = CreateActionstepDone(0, &ivars->action);
	if (ret == kIOReturnSuccess)
		ret = RegisterService();
	if (ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "e2e: Start: %#x", ret);
		interface->Close(this, 0);
	}
	return ret;
}

/* The transfer that is in flight comes back first, on this queue, and ends the service. */
kern_return_t
IMPL(StickDriver, Stop)
{
	retain();
	provider->retain();
	ivars->stopProvider = provider;
	if (ivars->job.phase == kIdle) {
		finishStop();
		return kIOReturnSuccess;
	}
	ivars->in->Abort(kIOUSBAbortAsynchronous, kIOReturnAborted, nullptr);
	ivars->out->Abort(kIOUSBAbortAsynchronous, kIOReturnAborted, nullptr);
	return kIOReturnSuccess;
}

void
StickDriver::finishStop()
{
	IOService *provider = ivars->stopProvider;

	ivars->stopProvider = nullptr;
	if (ivars->action)
		ivars->action->Cancel(nullptr);
	ivars->interface->Close(this, 0); /* after an unplug there is nothing to close: any answer is right */
	Stop(provider, SUPERDISPATCH);
	provider->release();
	release();
}

kern_return_t
IMPL(StickDriver, NewUserClient)
{
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

kern_return_t
StickDriver::luns(IOUserClientMethodArguments *arguments)
{
	uint16_t n = 0;
	auto ret = ivars->interface->DeviceRequest(kClassIn, kGetMaxLun, 0, 0, 1, ivars->data, &n, 5000);

	if (ret == kIOReturnSuccess && n != 1)
		ret = kIOReturnUnderrun;
	arguments->scalarOutput[0] = ivars->dataBytes[0];
	return ret;
}

static void
put_wrapper(uint8_t *bytes, uint32_t tag, const uint64_t *command, uint64_t command_length, uint32_t length, uint64_t direction)
{
	memset(bytes, 0, kWrapperSize);
	memcpy(bytes, "USBC", 4);
	memcpy(bytes + 4, &tag, 4);
	memcpy(bytes + 8, &length, 4);
	bytes[12] = direction == kDirectionIn ? 0x80 : 0;
	bytes[14] = static_cast<uint8_t>(command_length);
	memcpy(bytes + 15, command, 16);
}

static kern_return_t
take_status(const uint8_t *bytes, uint32_t tag, uint64_t *words)
{
	uint32_t residue;

	if (memcmp(bytes, "USBS", 4) || memcmp(bytes + 4, &tag, 4))
		return kIOReturnIOError;
	memcpy(&residue, bytes + 8, 4);
	words[kWordStatus] = bytes[12];
	words[kWordResidue] = residue;
	return kIOReturnSuccess;
}

/* One transfer, waited for. A halted endpoint is cleared; the status that follows tells why. */
kern_return_t
StickDriver::move(uint32_t direction, IOMemoryDescriptor *memory, uint32_t length)
{
	auto pipe = direction == kDirectionIn ? ivars->in : ivars->out;
	uint32_t n = 0;
	auto ret = pipe->IO(memory, length, &n, kTimeoutMs);

	return ret == kUSBHostReturnPipeStalled ? pipe->ClearStall(true) : ret;
}

/* Data of up to 4096 bytes travels in the call; more is the client's memory, which the device reads and writes. */
kern_return_t
StickDriver::command(IOUserClientMethodArguments *arguments, uint32_t direction)
{
	IOMemoryDescriptor *memory = direction == kDirectionIn ? arguments->structureOutputDescriptor :
								 arguments->structureInputDescriptor;
	uint64_t length = direction == kDirectionIn ? arguments->structureOutputMaximumSize : 0;
	bool isInline = !memory;

	if (arguments->scalarInput[2] > 16)
		return kIOReturnBadArgument;
	if (memory) {
		auto ret = memory->GetLength(&length);
		if (ret != kIOReturnSuccess)
			return ret;
	} else {
		if (direction == kDirectionOut && arguments->structureInput) {
			length = arguments->structureInput->getLength();
			memcpy(ivars->dataBytes, arguments->structureInput->getBytesNoCopy(), length);
		}
		memory = ivars->data;
	}
	put_wrapper(ivars->wrapperBytes, ++ivars->tag, arguments->scalarInput, arguments->scalarInput[2],
		    static_cast<uint32_t>(length), direction);
	auto ret = move(kDirectionOut, ivars->wrapper, kWrapperSize);
	if (ret == kIOReturnSuccess && length)
		ret = move(direction, memory, static_cast<uint32_t>(length));
	if (ret == kIOReturnSuccess)
		ret = move(kDirectionIn, ivars->status, kStatusSize);
	if (ret == kIOReturnSuccess)
		ret = take_status(ivars->statusBytes, ivars->tag, arguments->scalarOutput);
	if (ret == kIOReturnSuccess && direction == kDirectionIn && isInline && length) {
		arguments->structureOutput = OSData::withBytes(ivars->dataBytes, length);
		ret = arguments->structureOutput ? ret : kIOReturnNoMemory;
	}
	return ret;
}

kern_return_t
StickDriver::copyShared(IOMemoryDescriptor **memory)
{
	ivars->shared->retain();
	*memory = ivars->shared;
	return kIOReturnSuccess;
}

kern_return_t
StickDriver::shared(IOUserClient *client, IOUserClientMethodArguments *arguments)
{
	__block kern_return_t ret = kIOReturnError;

	ivars->queue->DispatchSync(^{
		ret = begin(client, arguments->completion, arguments->scalarInput);
	});
	return ret;
}

kern_return_t
StickDriver::begin(IOUserClient *client, OSAction *completion, const uint64_t *scalars)
{
	auto &job = ivars->job;

	if (job.phase != kIdle || ivars->stopProvider)
		return kIOReturnBusy;
	if (scalars[2] > 16 || scalars[3] > kStickSharedSize || scalars[4] > kDirectionIn)
		return kIOReturnBadArgument;
	job = {};
	client->retain();
	job.client = client;
	completion->retain();
	job.completion = completion;
	job.command[0] = scalars[0];
	job.command[1] = scalars[1];
	job.commandLength = scalars[2];
	job.length = scalars[3];
	job.direction = scalars[4];
	job.times = scalars[5];
	step(kIOReturnSuccess);
	return kIOReturnSuccess;
}

/* The phase that was, ended with status: begins the next one. */
void
StickDriver::step(IOReturn status)
{
	auto &job = ivars->job;
	kern_return_t ret = status;

	if (ret == kIOReturnSuccess && job.phase == kStatus) {
		ret = take_status(ivars->statusBytes, ivars->tag, job.words);
		job.words[kWordCommands] += ret == kIOReturnSuccess;
	}
	if (ret != kIOReturnSuccess || ivars->stopProvider || (job.phase == kStatus && job.words[kWordCommands] == job.times)) {
		endOfJob(ret);
		return;
	}
	switch (job.phase) {
	case kIdle:
	case kStatus:
		put_wrapper(ivars->wrapperBytes, ++ivars->tag, job.command, job.commandLength, static_cast<uint32_t>(job.length),
			    job.direction);
		job.phase = kWrapper;
		ret = ivars->out->AsyncIO(ivars->wrapper, kWrapperSize, ivars->action, kTimeoutMs);
		break;
	case kWrapper:
		job.phase = kData;
		if (job.length) {
			auto pipe = job.direction == kDirectionIn ? ivars->in : ivars->out;

			ret = pipe->AsyncIO(ivars->shared, static_cast<uint32_t>(job.length), ivars->action, kTimeoutMs);
			break;
		}
		[[fallthrough]];
	case kData:
		job.phase = kStatus;
		ret = ivars->in->AsyncIO(ivars->status, kStatusSize, ivars->action, kTimeoutMs);
		break;
	}
	if (ret != kIOReturnSuccess)
		endOfJob(ret);
}

void
IMPL(StickDriver, stepDone)
{
	step(status);
}

void
StickDriver::endOfJob(IOReturn status)
{
	auto &job = ivars->job;

	job.phase = kIdle;
	job.client->AsyncCompletion(job.completion, status, job.words, kSharedWordCount);
	OSSafeReleaseNULL(job.completion);
	OSSafeReleaseNULL(job.client);
	if (ivars->stopProvider)
		finishStop();
}

kern_return_t
StickDriver::count(IOUserClientMethodArguments *arguments)
{
	ivars->queue->DispatchSync(^{
		arguments->scalarOutput[0] = ivars->job.words[kWordCommands];
	});
	return kIOReturnSuccess;
}

static StickDriver *
driver_of(OSObject *target)
{
	return OSDynamicCast(StickDriver, static_cast<StickUserClient *>(target)->GetProvider());
}

static const IOUserClientMethodDispatch methods[kStickMethodCount] = {
	[kStickLuns] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->luns(arguments);
		},
		.checkScalarOutputCount = 1 },
	[kStickRead] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->command(arguments, kDirectionIn);
		},
		.checkScalarInputCount = 3, .checkScalarOutputCount = kStickWordCount,
		.checkStructureOutputSize = kIOUserClientVariableStructureSize },
	[kStickWrite] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->command(arguments, kDirectionOut);
		},
		.checkScalarInputCount = 3, .checkStructureInputSize = kIOUserClientVariableStructureSize,
		.checkScalarOutputCount = kStickWordCount },
	[kStickShared] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->shared(static_cast<StickUserClient *>(target), arguments);
		},
		.checkCompletionExists = true, .checkScalarInputCount = 6 },
	[kStickCount] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->count(arguments);
		},
		.checkScalarOutputCount = 1 },
};

kern_return_t
StickUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
				const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kStickMethodCount || !driver_of(this))
		return kIOReturnUnsupported;
	return super::ExternalMethod(selector, arguments, &methods[selector], this, nullptr);
}

kern_return_t
IMPL(StickUserClient, CopyClientMemoryForType)
{
	auto driver = driver_of(this);

	if (type != 0 || !driver)
		return kIOReturnBadArgument;
	return driver->copyShared(memory);
}
