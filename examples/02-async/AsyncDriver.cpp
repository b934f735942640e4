/* SPDX-License-Identifier: MIT */
/* Keeps a client's completion and calls it back later, as often as the client asks. */

#include <os/log.h>

#include <DriverKit/DriverKit.h>

#include "AsyncDriver.h"
#include "AsyncMethods.h"

struct AsyncUserClient_IVars {
	IOTimerDispatchSource *timer;
	OSAction *timerAction;
	OSAction *completion;         /* the client's callback */
	OSAction *shareCompletion;
	IOMemoryDescriptor *shared;   /* the client's buffer */
	uint64_t sent;
	uint64_t due;                 /* callbacks that a request still waits for */
	uint32_t words;
};

kern_return_t
IMPL(AsyncDriver, Start)
{
	kern_return_t ret = Start(provider, SUPERDISPATCH);

	return ret == kIOReturnSuccess ? RegisterService() : ret;
}

kern_return_t
IMPL(AsyncDriver, NewUserClient)
{
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

bool
AsyncUserClient::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(AsyncUserClient_IVars, 1);
	return ivars != nullptr;
}

void
AsyncUserClient::free()
{
	if (ivars) {
		OSSafeReleaseNULL(ivars->completion);
		OSSafeReleaseNULL(ivars->shareCompletion);
		OSSafeReleaseNULL(ivars->shared);
		OSSafeReleaseNULL(ivars->timerAction);
		OSSafeReleaseNULL(ivars->timer);
	}
	IOSafeDeleteNULL(ivars, AsyncUserClient_IVars, 1);
	super::free();
}

kern_return_t
IMPL(AsyncUserClient, Start)
{
	IODispatchQueue *queue = nullptr;
	kern_return_t ret = Start(provider, SUPERDISPATCH);

	if (ret == kIOReturnSuccess)
		ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &queue);
	if (ret == kIOReturnSuccess)
		ret = IOTimerDispatchSource::Create(queue, &ivars->timer);
	if (ret == kIOReturnSuccess)
		ret = CreateActiontimerOccurred(0, &ivars->timerAction);
	if (ret == kIOReturnSuccess)
		ret = ivars->timer->SetHandler(ivars->timerAction);
	OSSafeReleaseNULL(queue);
	return ret;
}

/* The timer's last word comes from a handler, and super::Stop after that. */
kern_return_t
IMPL(AsyncUserClient, Stop)
{
	if (!ivars->timer)
		return Stop(provider, SUPERDISPATCH);
	retain();
	provider->retain();
	return ivars->timer->Cancel(^{
		ivars->timerAction->Cancel(nullptr);
		Stop(provider, SUPERDISPATCH);
		provider->release();
		release();
	});
}

kern_return_t
AsyncUserClient::registerCallback(IOUserClientMethodArguments *arguments)
{
	ReadDataStruct data = { .version = 1, .callbacks_sent = ivars->sent };

	arguments->structureOutput = OSData::withBytes(&data, sizeof data);
	if (!arguments->structureOutput)
		return kIOReturnNoMemory;
	/* It is ours only for the call: kept, it must be retained. */
	arguments->completion->retain();
	OSSafeReleaseNULL(ivars->completion);
	ivars->completion = arguments->completion;
	return kIOReturnSuccess;
}

kern_return_t
AsyncUserClient::request(IOUserClientMethodArguments *arguments)
{
	if (!ivars->completion)
		return kIOReturnNotReady;
	if (arguments->scalarInput[1] > kAsyncMaxWords)
		return kIOReturnBadArgument;
	ivars->due = arguments->scalarInput[0];
	ivars->words = static_cast<uint32_t>(arguments->scalarInput[1]);
	return ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time() + 1000000, 0);
}

kern_return_t
AsyncUserClient::share(IOUserClientMethodArguments *arguments)
{
	if (!arguments->structureOutputDescriptor)
		return kIOReturnBadArgument;
	arguments->structureOutputDescriptor->retain();
	OSSafeReleaseNULL(ivars->shared);
	ivars->shared = arguments->structureOutputDescriptor;
	arguments->completion->retain();
	OSSafeReleaseNULL(ivars->shareCompletion);
	ivars->shareCompletion = arguments->completion;
	return ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time() + 1000000, 0);
}

void
IMPL(AsyncUserClient, timerOccurred)
{
	uint64_t data[kAsyncMaxWords];

	for (; ivars->due > 0; ivars->due--) {
		for (uint32_t i = 0; i < ivars->words; i++)
			data[i] = ivars->sent + i;
		ivars->sent++;
		AsyncCompletion(ivars->completion, kIOReturnSuccess, data, ivars->words);
	}
	if (ivars->shared) {
		IOMemoryMap *map = nullptr;
		kern_return_t ret = ivars->shared->CreateMapping(0, 0, 0, 0, 0, &map);
		if (ret == kIOReturnSuccess)
			memset(reinterpret_cast<void *>(map->GetAddress()), kAsyncShareByte, map->GetLength());
		OSSafeReleaseNULL(map);
		OSSafeReleaseNULL(ivars->shared);
		AsyncCompletion(ivars->shareCompletion, ret, nullptr, 0);
		OSSafeReleaseNULL(ivars->shareCompletion);
	}
}

static kern_return_t
static_register(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	return static_cast<AsyncUserClient *>(target)->registerCallback(arguments);
}

static kern_return_t
static_request(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	return static_cast<AsyncUserClient *>(target)->request(arguments);
}

static kern_return_t
static_share(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	return static_cast<AsyncUserClient *>(target)->share(arguments);
}

static const IOUserClientMethodDispatch methods[kAsyncMethodCount] = {
	[kAsyncRegister] = { .function = static_register, .checkCompletionExists = true,
			     .checkStructureOutputSize = sizeof(ReadDataStruct) },
	[kAsyncRequest] = { .function = static_request, .checkScalarInputCount = 2 },
	[kAsyncShare] = { .function = static_share, .checkCompletionExists = true,
			  .checkStructureOutputSize = kAsyncShareSize },
};

kern_return_t
AsyncUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
				const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector < kAsyncMethodCount) {
		dispatch = &methods[selector];
		if (!target)
			target = this;
	}
	return super::ExternalMethod(selector, arguments, dispatch, target, reference);
}
