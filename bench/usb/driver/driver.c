/* SPDX-License-Identifier: MIT */
/* Reads of model:source_sink, some at a time, and their number. All of it runs on the service's default
 * queue; the user client has one of its own, and calls the service's methods. */

#include <time.h>
#include <unistd.h>

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "BenchUSBDriver.h"
#include "../methods.h"

#define SOURCE 0x81

struct read {
	IOBufferMemoryDescriptor *buffer;
	OSAction *action;
};

struct BenchUSBDriver_IVars {
	IOUSBHostDevice *device;
	IOUSBHostInterface *interface;
	IOUSBHostPipe *pipe;
	struct read reads[kBenchUSBMaxDepth]; /* the first depth */
	uint32_t depth, bytes, in_flight;
	uint64_t started_ns, ns;           /* ns 0: transfers counts down */
	uint64_t transfers;                /* left to submit */
	bool running;
	struct {
		uint64_t done, elapsed_ns, failed, bytes;
	} result;
	IOService *stop_provider;          /* retained from Stop until super's */
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
reads_free(struct BenchUSBDriver_IVars *ivars)
{
	for (uint32_t i = 0; i < ivars->depth; i++) {
		OSSafeReleaseNULL(ivars->reads[i].action);
		OSSafeReleaseNULL(ivars->reads[i].buffer);
	}
	ivars->depth = 0;
	OSSafeReleaseNULL(ivars->pipe);
}

bool
BenchUSBDriver_init_Impl(BenchUSBDriver *self)
{
	if (!BenchUSBDriver_init_super(self))
		return false;
	self->ivars = IONewZero(struct BenchUSBDriver_IVars, 1);
	return self->ivars != NULL;
}

void
BenchUSBDriver_free_Impl(BenchUSBDriver *self)
{
	if (self->ivars) {
		reads_free(self->ivars);
		OSSafeReleaseNULL(self->ivars->interface);
		OSSafeReleaseNULL(self->ivars->device);
	}
	IOSafeDeleteNULL(self->ivars, struct BenchUSBDriver_IVars, 1);
	BenchUSBDriver_free_super(self);
}

/* The device is its vendor's, so nobody has configured it. */
static kern_return_t
take_interface(BenchUSBDriver *self)
{
	struct BenchUSBDriver_IVars *ivars = self->ivars;
	uintptr_t iterator = 0;
	kern_return_t ret = IOUSBHostDevice_Open(ivars->device, (IOService *)self, 0, 0);

	if (ret == kIOReturnSuccess)
		ret = IOUSBHostDevice_SetConfiguration(ivars->device, 1, false);
	if (ret == kIOReturnSuccess)
		ret = IOUSBHostDevice_CreateInterfaceIterator(ivars->device, &iterator);
	if (ret == kIOReturnSuccess) {
		ret = IOUSBHostDevice_CopyInterface(ivars->device, iterator, &ivars->interface);
		(void)IOUSBHostDevice_DestroyInterfaceIterator(ivars->device, iterator);
	}
	if (ret == kIOReturnSuccess && !ivars->interface)
		ret = kIOReturnNotFound;
	return ret == kIOReturnSuccess ? IOUSBHostInterface_Open(ivars->interface, (IOService *)self, 0, NULL) : ret;
}

kern_return_t
BenchUSBDriver_Start_Impl(BenchUSBDriver *self, IOService *provider)
{
	kern_return_t ret = BenchUSBDriver_Start_super(self, provider);

	if (ret != kIOReturnSuccess)
		return ret;
	self->ivars->device = OSDynamicCast(IOUSBHostDevice, provider);
	if (!self->ivars->device)
		return kIOReturnNoDevice;
	OSObjectRetain((OSObject *)self->ivars->device);
	ret = take_interface(self);
	if (ret == kIOReturnSuccess)
		ret = BenchUSBDriver_RegisterService(self);
	return ret;
}

static void
finish_stop(BenchUSBDriver *self)
{
	IOService *provider = self->ivars->stop_provider;

	self->ivars->stop_provider = NULL;
	for (uint32_t i = 0; i < self->ivars->depth; i++)
		OSAction_Cancel(self->ivars->reads[i].action, NULL);
	(void)IOUSBHostInterface_Close(self->ivars->interface, (IOService *)self, 0);
	(void)IOUSBHostDevice_Close(self->ivars->device, (IOService *)self, 0);
	(void)BenchUSBDriver_Stop_super(self, provider);
	OSObjectRelease((OSObject *)provider);
	OSObjectRelease((OSObject *)self);
}

kern_return_t
BenchUSBDriver_Stop_Impl(BenchUSBDriver *self, IOService *provider)
{
	OSObjectRetain((OSObject *)self);
	OSObjectRetain((OSObject *)provider);
	self->ivars->stop_provider = provider;
	if (self->ivars->pipe)
		(void)IOUSBHostPipe_Abort(self->ivars->pipe, kIOUSBAbortAsynchronous, kIOReturnAborted, (IOService *)self);
	if (self->ivars->in_flight == 0)
		finish_stop(self);
	return kIOReturnSuccess;
}

kern_return_t
BenchUSBDriver_NewUserClient_Impl(BenchUSBDriver *self, uint32_t type, IOUserClient **userClient)
{
	IOService *client = NULL;
	kern_return_t ret = BenchUSBDriver_Create(self, (IOService *)self, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

static void
submit(BenchUSBDriver *self, uint32_t index)
{
	struct BenchUSBDriver_IVars *ivars = self->ivars;
	struct read *read = &ivars->reads[index];

	if (!ivars->ns) {
		if (ivars->transfers == 0)
			return;
		ivars->transfers--;
	}
	if (IOUSBHostPipe_AsyncIO(ivars->pipe, (IOMemoryDescriptor *)read->buffer, ivars->bytes, read->action, 0) ==
	    kIOReturnSuccess)
		ivars->in_flight++;
	else
		ivars->result.failed++;
}

void
BenchUSBDriver_readDone_Impl(BenchUSBDriver *self, OSAction *action, IOReturn status, uint32_t actualByteCount,
			     uint64_t completionTimestamp)
{
	struct BenchUSBDriver_IVars *ivars = self->ivars;
	bool over = ivars->stop_provider != NULL;

	ivars->in_flight--;
	if (status != kIOReturnSuccess || actualByteCount != ivars->bytes)
		ivars->result.failed++;
	/* The clock costs: it is read once in 16 transfers, and for each when they are large. */
	if (ivars->running) {
		ivars->result.done++;
		ivars->result.bytes += actualByteCount;
		if (ivars->ns ? ivars->bytes >= 4096 || (ivars->result.done & 15) == 0
			      : ivars->in_flight == 0 && ivars->transfers == 0) {
			ivars->result.elapsed_ns = now_ns() - ivars->started_ns;
			ivars->running = ivars->ns && ivars->result.elapsed_ns < ivars->ns;
		}
	}
	if (ivars->running && !over && status == kIOReturnSuccess)
		submit(self, *(uint32_t *)OSAction_GetReference(action));
	if (over && ivars->in_flight == 0)
		finish_stop(self);
}

static kern_return_t
make_reads(BenchUSBDriver *self, uint32_t depth, uint32_t bytes)
{
	struct BenchUSBDriver_IVars *ivars = self->ivars;

	ivars->bytes = bytes;
	for (uint32_t i = 0; i < depth; i++) {
		struct read *read = &ivars->reads[i];
		kern_return_t ret = IOUSBHostInterface_CreateIOBuffer(ivars->interface, kIOMemoryDirectionIn,
								      bytes ? bytes : 8, &read->buffer);

		if (ret == kIOReturnSuccess)
			ret = BenchUSBDriver_CreateActionreadDone(self, sizeof(uint32_t), &read->action);
		if (ret != kIOReturnSuccess)
			return ret;
		*(uint32_t *)OSAction_GetReference(read->action) = i;
		ivars->depth = i + 1;
	}
	return kIOReturnSuccess;
}

static BenchUSBDriver *
driver_of(OSObject *target)
{
	return OSDynamicCast(BenchUSBDriver, BenchUSBUserClient_GetProvider((BenchUSBUserClient *)target));
}

static kern_return_t
call_null(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	return kIOReturnSuccess;
}

kern_return_t
BenchUSBDriver_Setup_Impl(BenchUSBDriver *self, uint32_t depth, uint32_t bytes, uint8_t alternate)
{
	kern_return_t ret;

	if (self->ivars->in_flight)
		return kIOReturnBusy;
	reads_free(self->ivars);
	ret = IOUSBHostInterface_SelectAlternateSetting(self->ivars->interface, alternate);
	if (ret == kIOReturnSuccess)
		ret = IOUSBHostInterface_CopyPipe(self->ivars->interface, SOURCE, &self->ivars->pipe);
	return ret == kIOReturnSuccess ? make_reads(self, depth, bytes) : ret;
}

static kern_return_t
call_setup(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	const uint64_t *in = arguments->scalarInput;
	BenchUSBDriver *self = driver_of(target);

	if (!self)
		return kIOReturnNotAttached;
	if (in[0] < 1 || in[0] > kBenchUSBMaxDepth || in[1] > kBenchUSBMaxBytes || in[2] > 1)
		return kIOReturnBadArgument;
	arguments->scalarOutput[0] = (uint64_t)getpid();
	return BenchUSBDriver_Setup(self, (uint32_t)in[0], (uint32_t)in[1], (uint8_t)in[2]);
}

kern_return_t
BenchUSBDriver_Run_Impl(BenchUSBDriver *self, uint64_t nanoseconds, uint64_t transfers)
{
	struct BenchUSBDriver_IVars *ivars = self->ivars;

	if (ivars->running || ivars->in_flight)
		return kIOReturnBusy;
	ivars->ns = nanoseconds;
	ivars->transfers = transfers;
	if (!ivars->depth || (!ivars->ns && !ivars->transfers))
		return kIOReturnBadArgument;
	ivars->result.done = ivars->result.elapsed_ns = ivars->result.failed = ivars->result.bytes = 0;
	ivars->running = true;
	ivars->started_ns = now_ns();
	for (uint32_t i = 0; i < ivars->depth; i++)
		submit(self, i);
	ivars->running = ivars->in_flight > 0;
	return ivars->result.failed ? (kern_return_t)kIOReturnIOError : kIOReturnSuccess;
}

kern_return_t
BenchUSBDriver_Result_Impl(BenchUSBDriver *self, uint64_t *done, uint64_t *elapsed, bool *over, uint64_t *failed,
			   uint64_t *bytes)
{
	*done = self->ivars->result.done;
	*elapsed = self->ivars->result.elapsed_ns;
	*over = !self->ivars->running && !self->ivars->in_flight;
	*failed = self->ivars->result.failed;
	*bytes = self->ivars->result.bytes;
	return kIOReturnSuccess;
}

static kern_return_t
call_run(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	BenchUSBDriver *self = driver_of(target);

	return self ? BenchUSBDriver_Run(self, arguments->scalarInput[0], arguments->scalarInput[1]) : kIOReturnNotAttached;
}

static kern_return_t
call_result(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	BenchUSBDriver *self = driver_of(target);
	uint64_t *out = arguments->scalarOutput;
	bool over = false;
	kern_return_t ret;

	if (!self)
		return kIOReturnNotAttached;
	ret = BenchUSBDriver_Result(self, &out[0], &out[1], &over, &out[3], &out[4]);
	out[2] = over;
	return ret;
}

static const IOUserClientMethodDispatch methods[kBenchUSBMethodCount] = {
	[kBenchUSBNull] = { .function = call_null },
	[kBenchUSBSetup] = { .function = call_setup, .checkScalarInputCount = 3, .checkScalarOutputCount = 1 },
	[kBenchUSBRun] = { .function = call_run, .checkScalarInputCount = 2 },
	[kBenchUSBResult] = { .function = call_result, .checkScalarOutputCount = 5 },
};

kern_return_t
BenchUSBUserClient_ExternalMethod_Impl(BenchUSBUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
				       const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kBenchUSBMethodCount)
		return kIOReturnUnsupported;
	return BenchUSBUserClient_ExternalMethod_super(self, selector, arguments, &methods[selector], (OSObject *)self, NULL);
}
