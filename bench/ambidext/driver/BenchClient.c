/* SPDX-License-Identifier: MIT */
/* External methods. Completions come from a queue of the client's own, so that calls go on
 * meanwhile. */

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <DriverKit/DriverKit.h>

#include "BenchDriver.h"
#include "BenchMethods.h"

struct BenchClient_IVars {
	IOService *driver;      /* borrowed: the provider, which outlives its clients */
	IODispatchQueue *queue; /* owned reference: where completions are sent from */
	IOService *device;      /* owned reference: what kBenchAttach has made */
	uint64_t published;
};

/* Completions to send. Owned by the job on the queue. */
struct stream {
	BenchClient *client;  /* owned reference */
	OSAction *completion; /* owned reference */
	uint64_t count;
	uint64_t period_ns; /* 0: as fast as they go */
};

bool
BenchClient_init_Impl(BenchClient *self)
{
	if (!BenchClient_init_super(self))
		return false;
	self->ivars = calloc(1, sizeof *self->ivars);
	return self->ivars != NULL;
}

void
BenchClient_free_Impl(BenchClient *self)
{
	if (self->ivars) {
		OSSafeReleaseNULL(self->ivars->queue);
		OSSafeReleaseNULL(self->ivars->device);
	}
	free(self->ivars);
	BenchClient_free_super(self);
}

kern_return_t
BenchClient_Start_Impl(BenchClient *self, IOService *provider)
{
	kern_return_t ret = BenchClient_Start_super(self, provider);

	if (ret != kIOReturnSuccess)
		return ret;
	self->ivars->driver = provider;
	return kIOReturnSuccess;
}

static uint64_t
now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void
sleep_until(uint64_t ns)
{
	struct timespec time = { .tv_sec = (time_t)(ns / 1000000000u),
				 .tv_nsec = (long)(ns % 1000000000u) };

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void
run_stream(void *context)
{
	struct stream *stream = context;
	uint64_t due = now_ns();

	if (stream->period_ns > 0)
		(void)prctl(PR_SET_TIMERSLACK, 1);
	for (uint64_t i = 0; i < stream->count; i++) {
		uint64_t words[2] = { i, 0 };
		if (stream->period_ns > 0) {
			due += stream->period_ns;
			sleep_until(due);
			words[1] = now_ns();
		}
		BenchClient_AsyncCompletion(stream->client, stream->completion, kIOReturnSuccess,
					    words, 2);
	}
	OSSafeReleaseNULL(stream->completion);
	OSSafeReleaseNULL(stream->client);
	free(stream);
}

static kern_return_t
start_stream(BenchClient *self, IOUserClientMethodArguments *arguments, uint64_t period_ns)
{
	struct stream *stream;
	kern_return_t ret;

	if (!self->ivars->queue) {
		ret = IODispatchQueue_Create("completions", 0, 0, &self->ivars->queue);
		if (ret != kIOReturnSuccess)
			return ret;
	}
	stream = calloc(1, sizeof *stream);
	if (!stream)
		return kIOReturnNoMemory;
	*stream = (struct stream){ .client = self,
				   .completion = arguments->completion,
				   .count = arguments->scalarInput[0],
				   .period_ns = period_ns };
	OSObject_retain((OSObject *)self);
	OSObject_retain((OSObject *)arguments->completion);
	IODispatchQueue_DispatchAsync_f(self->ivars->queue, stream, run_stream);
	return kIOReturnSuccess;
}

#define METHOD(name)                                                                               \
	static kern_return_t name(OSObject *target, void *reference,                               \
				  IOUserClientMethodArguments *arguments)
#define SELF ((BenchClient *)target)

METHOD(do_null)
{
	return kIOReturnSuccess;
}

METHOD(do_next)
{
	arguments->scalarOutput[0] = arguments->scalarInput[0] + 1;
	return kIOReturnSuccess;
}

/* What does not fit into a message is in the client's memory, both ways. */
static kern_return_t
echo_large(IOUserClientMethodArguments *arguments)
{
	IOMemoryMap *in = NULL, *out = NULL;
	kern_return_t ret;

	ret = IOMemoryDescriptor_CreateMapping(arguments->structureInputDescriptor, 0, 0, 0, 0, 0,
					       &in);
	if (ret == kIOReturnSuccess)
		ret = IOMemoryDescriptor_CreateMapping(arguments->structureOutputDescriptor, 0, 0,
						       0, 0, 0, &out);
	if (ret == kIOReturnSuccess && IOMemoryMap_GetLength(in) > IOMemoryMap_GetLength(out))
		ret = kIOReturnNoSpace;
	if (ret == kIOReturnSuccess)
		memcpy((void *)(uintptr_t)IOMemoryMap_GetAddress(out),
		       (const void *)(uintptr_t)IOMemoryMap_GetAddress(in),
		       IOMemoryMap_GetLength(in));
	OSSafeReleaseNULL(in);
	OSSafeReleaseNULL(out);
	return ret;
}

METHOD(do_echo)
{
	OSData *input = arguments->structureInput;

	if (arguments->structureInputDescriptor && arguments->structureOutputDescriptor)
		return echo_large(arguments);
	if (!input)
		return kIOReturnBadArgument;
	arguments->structureOutput =
		OSData_withBytes(OSData_getBytesNoCopy(input), OSData_getLength(input));
	return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

METHOD(do_stream)
{
	return start_stream(SELF, arguments, 0);
}

METHOD(do_pace)
{
	if (arguments->scalarInput[1] == 0)
		return kIOReturnBadArgument;
	return start_stream(SELF, arguments, arguments->scalarInput[1]);
}

METHOD(do_publish)
{
	kern_return_t ret = kIOReturnSuccess;
	IOService *nub;

	for (uint64_t i = 0; i < arguments->scalarInput[0] && ret == kIOReturnSuccess; i++) {
		nub = NULL;
		ret = IOService_Create(SELF->ivars->driver, SELF->ivars->driver, "NubProperties",
				       &nub);
		if (ret == kIOReturnSuccess)
			SELF->ivars->published++;
		OSSafeReleaseNULL(nub); /* the registry holds it */
	}
	arguments->scalarOutput[0] = SELF->ivars->published;
	return ret;
}

METHOD(do_attach)
{
	if (SELF->ivars->device)
		return kIOReturnBusy;
	return IOService_Create(SELF->ivars->driver, SELF->ivars->driver, "DeviceProperties",
				&SELF->ivars->device);
}

METHOD(do_detach)
{
	kern_return_t ret = kIOReturnNotAttached;

	if (SELF->ivars->device)
		ret = IOService_Terminate(SELF->ivars->device, 0);
	OSSafeReleaseNULL(SELF->ivars->device);
	return ret;
}

static const IOUserClientMethodDispatch methods[kBenchMethodCount] = {
	[kBenchNull] = { .function = do_null },
	[kBenchNext] = { .function = do_next,
			 .checkScalarInputCount = 1,
			 .checkScalarOutputCount = 1 },
	[kBenchEcho] = { .function = do_echo,
			 .checkStructureInputSize = kIOUserClientVariableStructureSize,
			 .checkStructureOutputSize = kIOUserClientVariableStructureSize },
	[kBenchStream] = { .function = do_stream,
			   .checkCompletionExists = 1,
			   .checkScalarInputCount = 1 },
	[kBenchPace] = { .function = do_pace,
			 .checkCompletionExists = 1,
			 .checkScalarInputCount = 2 },
	[kBenchPublish] = { .function = do_publish,
			    .checkScalarInputCount = 1,
			    .checkScalarOutputCount = 1 },
	[kBenchAttach] = { .function = do_attach },
	[kBenchDetach] = { .function = do_detach },
};

kern_return_t
BenchClient_ExternalMethod_Impl(BenchClient *self, uint64_t selector,
				IOUserClientMethodArguments *arguments,
				const IOUserClientMethodDispatch *dispatch, OSObject *target,
				void *reference)
{
	if (selector >= kBenchMethodCount)
		return kIOReturnUnsupported;
	return BenchClient_ExternalMethod_super(self, selector, arguments, &methods[selector],
						(OSObject *)self, NULL);
}
