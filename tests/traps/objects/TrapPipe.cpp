/* SPDX-License-Identifier: MIT */
/* Mistakes on a USB pipe: one action for two reads, and a pipe that is never released. */

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "TrapObjects.h"
#include "TrapObjectsMethods.h"

struct TrapPipe_IVars {
	IOUSBHostInterface *interface;
	IOUSBHostPipe *pipe;
	OSAction *action;
	IOBufferMemoryDescriptor *buffer;
};

bool
TrapPipe::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(TrapPipe_IVars, 1);
	return ivars != nullptr;
}

/* The pipe is not released: that is one of the mistakes. */
void
TrapPipe::free()
{
	if (ivars) {
		OSSafeReleaseNULL(ivars->action);
		OSSafeReleaseNULL(ivars->buffer);
		OSSafeReleaseNULL(ivars->interface);
	}
	IOSafeDeleteNULL(ivars, TrapPipe_IVars, 1);
	super::free();
}

kern_return_t
IMPL(TrapPipe, Start)
{
	kern_return_t ret = Start(provider, SUPERDISPATCH);

	if (ret != kIOReturnSuccess)
		return ret;
	ivars->interface = OSDynamicCast(IOUSBHostInterface, provider);
	if (!ivars->interface)
		return kIOReturnNoDevice;
	ivars->interface->retain();
	ret = ivars->interface->Open(this, 0, nullptr);
	if (ret == kIOReturnSuccess)
		ret = ivars->interface->CopyPipe(0x81, &ivars->pipe);
	if (ret == kIOReturnSuccess)
		ret = ivars->interface->CreateIOBuffer(kIOMemoryDirectionIn, 512, &ivars->buffer);
	if (ret == kIOReturnSuccess)
		ret = CreateActionCompleted(0, &ivars->action);
	return ret == kIOReturnSuccess ? RegisterService() : ret;
}

kern_return_t
IMPL(TrapPipe, Stop)
{
	if (ivars->pipe)
		ivars->pipe->Abort(kIOUSBAbortSynchronous, kIOReturnAborted, this);
	if (ivars->action)
		ivars->action->Cancel(nullptr);
	if (ivars->interface)
		ivars->interface->Close(this, 0);
	return Stop(provider, SUPERDISPATCH);
}

kern_return_t
IMPL(TrapPipe, NewUserClient)
{
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret == kIOReturnSuccess)
		*userClient = OSDynamicCast(IOUserClient, client);
	return ret;
}

void
IMPL(TrapPipe, Completed)
{
}

kern_return_t
IMPL(TrapPipe, SubmitTwice)
{
	/* The sensor was told to be silent, so the first is there when the second comes. */
	kern_return_t ret = ivars->pipe->AsyncIO(ivars->buffer, 512, ivars->action, 0);

	return ret == kIOReturnSuccess ? ivars->pipe->AsyncIO(ivars->buffer, 512, ivars->action, 0) : ret;
}

kern_return_t
TrapPipeClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
			       const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	TrapPipe *driver = OSDynamicCast(TrapPipe, GetProvider());

	return selector == kPipeTwice && driver ? driver->SubmitTwice() : kIOReturnUnsupported;
}
