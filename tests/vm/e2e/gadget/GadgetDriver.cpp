/* SPDX-License-Identifier: MIT */
/* Moves data through a gadget's two bulk endpoints: many transfers at once, or one at a time, as the client says. */

#include <string.h>

#include <os/log.h>

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "GadgetDriver.h"
#include "GadgetMethods.h"

struct Slot {
	IOBufferMemoryDescriptor *buffer;
	uint8_t *bytes;
	OSAction *action;
};

/* What one kGadgetRun does. Touched on the service's queue only. */
struct Job {
	IOUserClient *client;   /* retained while it runs */
	OSAction *completion;   /* retained while it runs */
	IOUSBHostPipe *pipe;    /* borrowed: kept by the driver, whose pipes do not change while a job runs */
	bool isIn;
	uint64_t transfers, size;
	uint32_t inFlight;
	uint64_t words[kGadgetWordCount];
};

struct GadgetDriver_IVars {
	IOUSBHostInterface *interface;
	IODispatchQueue *queue;
	IOUSBHostPipe *pipes[kPipeCount];
	uint32_t packet;
	Slot slots[kGadgetInFlight];
	IOBufferMemoryDescriptor *input, *output; /* of kGadgetIO and kGadgetEcho */
	uint8_t *inBytes, *outBytes;
	Job job;
	IOService *stopProvider; /* retained from Stop until super's */
};

bool
GadgetDriver::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(GadgetDriver_IVars, 1);
	return ivars != nullptr;
}

void
GadgetDriver::free()
{
	if (ivars) {
		os_log(OS_LOG_DEFAULT, "e2e: driver freed: %llu accepted, %llu completed", ivars->job.words[kWordSubmitted],
		       ivars->job.words[kWordCompleted]);
		for (auto &slot : ivars->slots) {
			OSSafeReleaseNULL(slot.action);
			OSSafeReleaseNULL(slot.buffer);
		}
		OSSafeReleaseNULL(ivars->input);
		OSSafeReleaseNULL(ivars->output);
		for (auto &pipe : ivars->pipes)
			OSSafeReleaseNULL(pipe);
		OSSafeReleaseNULL(ivars->queue);
		OSSafeReleaseNULL(ivars->interface);
	}
	IOSafeDeleteNULL(ivars, GadgetDriver_IVars, 1);
	super::free();
}

/* The bulk endpoints of the current alternate setting, from the device's own descriptors. */
kern_return_t
GadgetDriver::copyPipes()
{
	IOUSBHostPipe *found[kPipeCount] = {};
	const IOUSBEndpointDescriptor *endpoint = nullptr;
	auto configuration = ivars->interface->CopyConfigurationDescriptor();
	auto setting = configuration ? ivars->interface->GetInterfaceDescriptor(configuration) : nullptr;
	kern_return_t ret = setting ? kIOReturnSuccess : kIOReturnNoResources;

	while (ret == kIOReturnSuccess &&
	       (endpoint = IOUSBGetNextEndpointDescriptor(configuration, setting,
							  reinterpret_cast<const IOUSBDescriptorHeader *>(endpoint)))) {
		auto which = endpoint->bEndpointAddress & 0x80 ? kPipeIn : kPipeOut;

		if ((endpoint->bmAttributes & 3) != 2 || found[which])
			continue;
		ret = ivars->interface->CopyPipe(endpoint->bEndpointAddress, &found[which]);
		ivars->packet = endpoint->wMaxPacketSize;
	}
	if (configuration)
		IOUSBHostFreeDescriptor(configuration);
	if (ret == kIOReturnSuccess && (!found[kPipeIn] || !found[kPipeOut]))
		ret = kIOReturnNotFound;
	for (int i = 0; i < kPipeCount; i++) {
		OSSafeReleaseNULL(ivars->pipes[i]);
		ivars->pipes[i] = found[i];
	}
	return ret;
}

static kern_return_t
make_buffer(IOUSBHostInterface *interface, uint64_t direction, uint64_t size, IOBufferMemoryDescriptor **buffer, uint8_t **bytes)
{
	IOAddressSegment range = {};
	auto ret = interface->CreateIOBuffer(direction, size, buffer);

	if (ret == kIOReturnSuccess)
		ret = (*buffer)->GetAddressRange(&range);
	*bytes = reinterpret_cast<uint8_t *>(range.address);
	return ret;
}

kern_return_t
IMPL(GadgetDriver, Start)
{
	kern_return_t ret = Start(provider, SUPERDISPATCH);

	if (ret != kIOReturnSuccess)
		return ret;
	ivars->interface = OSDynamicCast(IOUSBHostInterface, provider);
	if (!ivars->interface)
		return kIOReturnNoDevice;
	ivars->interface->retain();
	ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &ivars->queue);
	if (ret == kIOReturnSuccess)
		ret = ivars->interface->Open(this, 0, nullptr);
	if (ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "e2e: Open: %#x", ret);
		return ret;
	}
	ret = copyPipes();
	if (ret == kIOReturnSuccess)
		ret = make_buffer(ivars->interface, kIOMemoryDirectionIn, kGadgetMaxSize, &ivars->input, &ivars->inBytes);
	if (ret == kIOReturnSuccess)
		ret = make_buffer(ivars->interface, kIOMemoryDirectionOut, kGadgetMaxSize, &ivars->output, &ivars->outBytes);
	for (uint32_t i = 0; ret == kIOReturnSuccess && i < kGadgetInFlight; i++) {
		auto &slot = ivars->slots[i];

		ret = make_buffer(ivars->interface, kIOMemoryDirectionInOut, kGadgetMaxSize, &slot.buffer, &slot.bytes);
		if (ret == kIOReturnSuccess)
			ret = CreateActiontransferDone(sizeof i, &slot.action);
		if (ret == kIOReturnSuccess)
			memcpy(slot.action->GetReference(), &i, sizeof i);
	}
	if (ret == kIOReturnSuccess)
		ret = RegisterService();
	if (ret != kIOReturnSuccess) {
		os_log(OS_LOG_DEFAULT, "e2e: Start: %#x", ret);
		ivars->interface->Close(this, 0);
	}
	return ret;
}

/* What is in flight comes back first, on this queue; the last one ends the service. */
kern_return_t
IMPL(GadgetDriver, Stop)
{
	retain();
	provider->retain();
	ivars->stopProvider = provider;
	if (!ivars->job.inFlight)
		finishStop();
	else
		ivars->job.pipe->Abort(kIOUSBAbortAsynchronous, kIOReturnAborted, nullptr);
	return kIOReturnSuccess;
}

void
GadgetDriver::finishStop()
{
	IOService *provider = ivars->stopProvider;

	ivars->stopProvider = nullptr;
	for (auto &slot : ivars->slots)
		if (slot.action)
			slot.action->Cancel(nullptr);
	ivars->interface->Close(this, 0); /* after an unplug there is nothing to close: any answer is right */
	Stop(provider, SUPERDISPATCH);
	provider->release();
	release();
}

kern_return_t
IMPL(GadgetDriver, NewUserClient)
{
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

/* g_zero's pattern 1: it begins anew with each packet. */
static void
fill(uint8_t *bytes, uint64_t size, uint32_t packet)
{
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = static_cast<uint8_t>(i % packet % 63);
}

kern_return_t
GadgetDriver::run(IOUserClient *client, IOUserClientMethodArguments *arguments)
{
	__block kern_return_t ret = kIOReturnError;

	ivars->queue->DispatchSync(^{
		ret = begin(client, arguments->completion, arguments->scalarInput);
	});
	return ret;
}

kern_return_t
GadgetDriver::begin(IOUserClient *client, OSAction *completion, const uint64_t *scalars)
{
	auto &job = ivars->job;

	if (job.client || ivars->stopProvider)
		return kIOReturnBusy;
	if (scalars[0] >= kPipeCount || scalars[2] == 0 || scalars[2] > kGadgetMaxSize)
		return kIOReturnBadArgument;
	job = {};
	client->retain();
	job.client = client;
	completion->retain();
	job.completion = completion;
	job.pipe = ivars->pipes[scalars[0]];
	job.isIn = scalars[0] == kPipeIn;
	job.transfers = scalars[1];
	job.size = scalars[2];
	for (auto &slot : ivars->slots) {
		if (job.isIn)
			memset(slot.bytes, 0xEE, kGadgetMaxSize);
		else
			fill(slot.bytes, kGadgetMaxSize, ivars->packet);
		if (!job.isIn && scalars[3] == kFillWrong)
			slot.bytes[job.size / 2] ^= 0x80;
	}
	for (uint32_t i = 0; i < kGadgetInFlight; i++)
		submit(i);
	if (!job.inFlight)
		endOfJob();
	return kIOReturnSuccess;
}

/* A transfer that is refused counts as failed; none is submitted after the first that failed. */
void
GadgetDriver::submit(uint32_t index)
{
	auto &job = ivars->job;
	auto &slot = ivars->slots[index];

	if ((job.transfers && job.words[kWordSubmitted] == job.transfers) || job.words[kWordFailed] || ivars->stopProvider)
		return;
	auto ret = job.pipe->AsyncIO(slot.buffer, static_cast<uint32_t>(job.size), slot.action, 0);
	if (ret == kIOReturnSuccess) {
		job.words[kWordSubmitted]++;
		if (++job.inFlight > job.words[kWordInFlight])
			job.words[kWordInFlight] = job.inFlight;
	} else {
		job.words[kWordFailed]++;
		job.words[kWordStatus] = static_cast<uint32_t>(ret);
	}
}

void
IMPL(GadgetDriver, transferDone)
{
	auto &job = ivars->job;
	uint32_t index;

	memcpy(&index, action->GetReference(), sizeof index);
	auto bytes = ivars->slots[index].bytes;
	job.inFlight--;
	job.words[kWordCompleted]++;
	job.words[kWordBytes] += actualByteCount;
	if (status != kIOReturnSuccess && job.words[kWordFailed]++ == 0)
		job.words[kWordStatus] = static_cast<uint32_t>(status);
	if (job.isIn) {
		for (uint32_t i = 0; i < actualByteCount; i++)
			job.words[kWordDamaged] += bytes[i] != static_cast<uint8_t>(i % ivars->packet % 63);
		memset(bytes, 0xEE, job.size);
	}
	submit(index);
	if (!job.inFlight)
		endOfJob();
}

void
GadgetDriver::endOfJob()
{
	auto &job = ivars->job;

	job.client->AsyncCompletion(job.completion, kIOReturnSuccess, job.words, kGadgetWordCount);
	OSSafeReleaseNULL(job.completion);
	OSSafeReleaseNULL(job.client);
	job.pipe = nullptr;
	if (ivars->stopProvider)
		finishStop();
}

kern_return_t
GadgetDriver::io(IOUserClientMethodArguments *arguments)
{
	auto scalars = arguments->scalarInput;
	uint32_t n = 0;

	if (scalars[0] >= kPipeCount || scalars[1] > kGadgetMaxSize)
		return kIOReturnBadArgument;
	fill(ivars->outBytes, scalars[1], ivars->packet);
	auto ret = ivars->pipes[scalars[0]]->IO(scalars[0] == kPipeIn ? ivars->input : ivars->output,
						static_cast<uint32_t>(scalars[1]), &n, static_cast<uint32_t>(scalars[2]));
	arguments->scalarOutput[0] = n;
	return ret;
}

kern_return_t
GadgetDriver::echo(IOUserClientMethodArguments *arguments)
{
	auto size = static_cast<uint32_t>(arguments->structureInput->getLength());
	uint32_t n = 0;

	memcpy(ivars->outBytes, arguments->structureInput->getBytesNoCopy(), size);
	memset(ivars->inBytes, 0xEE, size);
	auto ret = ivars->pipes[kPipeOut]->IO(ivars->output, size, &n, 0);
	if (ret == kIOReturnSuccess)
		ret = n == size ? ivars->pipes[kPipeIn]->IO(ivars->input, size, &n, 0) : kIOReturnUnderrun;
	if (ret != kIOReturnSuccess)
		return ret;
	arguments->structureOutput = OSData::withBytes(ivars->inBytes, n);
	return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
GadgetDriver::clear(IOUserClientMethodArguments *arguments)
{
	if (arguments->scalarInput[0] >= kPipeCount)
		return kIOReturnBadArgument;
	return ivars->pipes[arguments->scalarInput[0]]->ClearStall(true);
}

kern_return_t
GadgetDriver::select(IOUserClientMethodArguments *arguments)
{
	auto ret = ivars->interface->SelectAlternateSetting(static_cast<uint8_t>(arguments->scalarInput[0]));

	return ret == kIOReturnSuccess ? copyPipes() : ret;
}

kern_return_t
GadgetDriver::progress(IOUserClientMethodArguments *arguments)
{
	ivars->queue->DispatchSync(^{
		memcpy(arguments->scalarOutput, ivars->job.words, sizeof ivars->job.words);
	});
	return kIOReturnSuccess;
}

static GadgetDriver *
driver_of(OSObject *target)
{
	return OSDynamicCast(GadgetDriver, static_cast<GadgetUserClient *>(target)->GetProvider());
}

static const IOUserClientMethodDispatch methods[kGadgetMethodCount] = {
	[kGadgetRun] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->run(static_cast<GadgetUserClient *>(target), arguments);
		},
		.checkCompletionExists = true, .checkScalarInputCount = 4 },
	[kGadgetIO] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->io(arguments);
		},
		.checkScalarInputCount = 3, .checkScalarOutputCount = 1 },
	[kGadgetEcho] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->echo(arguments);
		},
		.checkStructureInputSize = kGadgetEchoSize, .checkStructureOutputSize = kGadgetEchoSize },
	[kGadgetClear] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->clear(arguments);
		},
		.checkScalarInputCount = 1 },
	[kGadgetSelect] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->select(arguments);
		},
		.checkScalarInputCount = 1 },
	[kGadgetProgress] = {
		.function = [](OSObject *target, void *, IOUserClientMethodArguments *arguments) {
			return driver_of(target)->progress(arguments);
		},
		.checkScalarOutputCount = kGadgetWordCount },
};

kern_return_t
GadgetUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
				 const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kGadgetMethodCount || !driver_of(this))
		return kIOReturnUnsupported;
	return super::ExternalMethod(selector, arguments, &methods[selector], this, nullptr);
}
