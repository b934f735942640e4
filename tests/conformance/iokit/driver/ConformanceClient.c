/* SPDX-License-Identifier: MIT */
/* External methods, one a situation. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <DriverKit/DriverKit.h>

#include "ConformanceDriver.h"
#include "ConformanceMethods.h"
#include "driver.h"

struct ConformanceClient_IVars {
	uint32_t type;
	OSAction *completion;             /* owned reference */
	IOMemoryMap *output;              /* owned reference: kKeepOutput's or kClientMemory's */
	IOBufferMemoryDescriptor *memory; /* owned reference: types 0 and 1 */
	unsigned n_once;                  /* how often kMemoryOnce was asked for */
};

static atomic_ulong n_made, n_started, n_stopped, n_freed;

/* kBlock waits here. */
static pthread_mutex_t block_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t block_cond = PTHREAD_COND_INITIALIZER;
static unsigned n_blocked, n_turns;

bool
ConformanceClient_init_Impl(ConformanceClient *self)
{
	if (!ConformanceClient_init_super(self))
		return false;
	atomic_fetch_add(&n_made, 1);
	self->ivars = calloc(1, sizeof *self->ivars);
	return self->ivars != NULL;
}

void
ConformanceClient_free_Impl(ConformanceClient *self)
{
	if (self->ivars) {
		OSSafeReleaseNULL(self->ivars->completion);
		OSSafeReleaseNULL(self->ivars->output);
		OSSafeReleaseNULL(self->ivars->memory);
	}
	free(self->ivars);
	atomic_fetch_add(&n_freed, 1);
	ConformanceClient_free_super(self);
}

void
conformance_client_set_type(ConformanceClient *client, uint32_t type)
{
	client->ivars->type = type;
}

kern_return_t
ConformanceClient_Start_Impl(ConformanceClient *self, IOService *provider)
{
	IODispatchQueue *queue = NULL;
	kern_return_t ret = ConformanceClient_Start_super(self, provider);

	if (ret != kIOReturnSuccess)
		return ret;
	atomic_fetch_add(&n_started, 1);
	if (self->ivars->type == kTypeStartFails)
		return (kern_return_t)CONFORMANCE_FAILURE;
	if (self->ivars->type == kTypeOwnQueue) {
		ret = IODispatchQueue_Create("conformance external methods", 0, 0, &queue);
		if (ret == kIOReturnSuccess)
			ret = ConformanceClient_SetDispatchQueue(
				self, kIOUserClientQueueNameExternalMethod, queue);
		OSSafeReleaseNULL(queue);
	}
	if (ret == kIOReturnSuccess)
		ret = IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, CONFORMANCE_MEMORY,
						      0, &self->ivars->memory);
	return ret;
}

kern_return_t
ConformanceClient_Stop_Impl(ConformanceClient *self, IOService *provider)
{
	OSSafeReleaseNULL(self->ivars->completion);
	atomic_fetch_add(&n_stopped, 1);
	return ConformanceClient_Stop_super(self, provider);
}

#define METHOD(name)                                                                               \
	static kern_return_t name(OSObject *target, void *reference, IOUserClientMethodArguments *a)
#define SELF ((ConformanceClient *)target)

/* ---- how it was called ---- */

/* Inputs that a call need not have; ret_default without it. */
static uint64_t
input(const IOUserClientMethodArguments *a, uint32_t index, uint64_t otherwise)
{
	return index < a->scalarInputCount ? a->scalarInput[index] : otherwise;
}

static uint64_t
sum(const uint8_t *bytes, size_t size)
{
	uint64_t result = 0;

	while (size--)
		result += *bytes++;
	return result;
}

METHOD(do_seen)
{
	uint64_t seen[kSeenCount] = {
		[kSeenSelector] = a->selector,
		[kSeenVersion] = a->version,
		[kSeenCompletion] = a->completion != NULL,
		[kSeenScalarInputs] = a->scalarInputCount,
		[kSeenScalarOutputs] = a->scalarOutputCount,
		[kSeenOutputMaximum] = a->structureOutputMaximumSize,
		[kSeenInputDescriptor] = a->structureInputDescriptor != NULL,
		[kSeenOutputDescriptor] = a->structureOutputDescriptor != NULL,
	};
	IOMemoryMap *map = NULL;
	const uint8_t *bytes = NULL;
	uint64_t size = 0;

	if (a->structureInput) {
		bytes = OSData_getBytesNoCopy(a->structureInput);
		size = OSData_getLength(a->structureInput);
	} else if (a->structureInputDescriptor) {
		kern_return_t ret = IOMemoryDescriptor_CreateMapping(a->structureInputDescriptor, 0,
								     0, 0, 0, 0, &map);
		if (ret != kIOReturnSuccess)
			return ret;
		bytes = (const uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map);
		size = IOMemoryMap_GetLength(map);
	}
	seen[kSeenStructInput] = size;
	if (size > 0)
		seen[kSeenFirstByte] = bytes[0];
	seen[kSeenSum] = sum(bytes, size);
	OSSafeReleaseNULL(map);
	for (uint32_t i = 0; i < a->scalarOutputCount && i < kSeenCount; i++)
		a->scalarOutput[i] = seen[i];
	if (a->scalarOutputCount > kSeenCount)
		a->scalarOutputCount = kSeenCount;
	if (a->structureOutputMaximumSize > 0 && !a->structureOutputDescriptor)
		a->structureOutput = OSData_withCapacity(0);
	return kIOReturnSuccess;
}

/* ---- outputs ---- */

static kern_return_t
give(IOUserClientMethodArguments *a, size_t size)
{
	uint8_t *bytes = malloc(size + 1);

	if (!bytes)
		return kIOReturnNoMemory;
	for (size_t i = 0; i < size; i++)
		bytes[i] = CONFORMANCE_BYTE(i);
	a->structureOutput = OSData_withBytes(bytes, size);
	free(bytes);
	return a->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

METHOD(do_echo)
{
	for (uint32_t i = 0; i < a->scalarOutputCount; i++)
		a->scalarOutput[i] = input(a, i, 0);
	if (a->structureInput)
		a->structureOutput = OSData_withBytes(OSData_getBytesNoCopy(a->structureInput),
						      OSData_getLength(a->structureInput));
	else if (a->structureOutputMaximumSize > 0)
		a->structureOutput = OSData_withCapacity(0);
	return kIOReturnSuccess;
}

METHOD(do_fill)
{
	uint64_t size = input(a, 0, UINT64_MAX);

	for (uint32_t i = 0; i < a->scalarOutputCount; i++)
		a->scalarOutput[i] = CONFORMANCE_WORD(i);
	return size == UINT64_MAX ? kIOReturnSuccess : give(a, size);
}

METHOD(do_fewer)
{
	for (uint32_t i = 0; i < a->scalarOutputCount; i++)
		a->scalarOutput[i] = CONFORMANCE_WORD(i);
	a->scalarOutputCount = (uint32_t)input(a, 0, 0);
	return kIOReturnSuccess;
}

METHOD(do_fail)
{
	for (uint32_t i = 0; i < a->scalarOutputCount; i++)
		a->scalarOutput[i] = CONFORMANCE_WORD(i);
	if (a->structureOutputMaximumSize > 0 && !a->structureOutputDescriptor)
		(void)give(a, 1);
	return (kern_return_t)input(a, 0, CONFORMANCE_FAILURE);
}

static void
write_to(IOMemoryMap *map, uint64_t size)
{
	uint8_t *bytes = (uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map);

	for (uint64_t i = 0; i < size && i < IOMemoryMap_GetLength(map); i++)
		bytes[i] = CONFORMANCE_BYTE(i);
}

METHOD(do_write_output)
{
	IOMemoryMap *map = NULL;
	kern_return_t ret = kIOReturnBadArgument;

	if (a->structureOutputDescriptor)
		ret = IOMemoryDescriptor_CreateMapping(a->structureOutputDescriptor, 0, 0, 0, 0, 0,
						       &map);
	if (ret == kIOReturnSuccess)
		write_to(map, input(a, 0, 0));
	OSSafeReleaseNULL(map);
	return ret;
}

METHOD(do_keep_output)
{
	OSSafeReleaseNULL(SELF->ivars->output);
	if (!a->structureOutputDescriptor)
		return give(a, a->structureOutputMaximumSize);
	return IOMemoryDescriptor_CreateMapping(a->structureOutputDescriptor, 0, 0, 0, 0, 0,
						&SELF->ivars->output);
}

METHOD(do_write_kept)
{
	if (!SELF->ivars->output)
		return kIOReturnNotReady;
	write_to(SELF->ivars->output, input(a, 0, 0));
	return kIOReturnSuccess;
}

METHOD(do_nothing)
{
	return a->structureOutputMaximumSize > 0 && !a->structureOutputDescriptor
		       ? give(a, a->structureOutputMaximumSize)
		       : kIOReturnSuccess;
}

/* ---- completions ---- */

static void
complete(ConformanceClient *self, OSAction *action, uint64_t status, uint64_t n_words)
{
	uint64_t words[32];

	for (unsigned i = 0; i < 32; i++)
		words[i] = CONFORMANCE_WORD(i);
	ConformanceClient_AsyncCompletion(self, action, (IOReturn)status, words, (uint32_t)n_words);
}

METHOD(do_keep)
{
	OSSafeReleaseNULL(SELF->ivars->completion);
	SELF->ivars->completion = a->completion;
	OSRetain((OSMetaClassBase *)a->completion);
	return do_nothing(target, reference, a);
}

METHOD(do_complete)
{
	if (!SELF->ivars->completion)
		return kIOReturnNotReady;
	for (uint64_t i = 0; i < input(a, 2, 1); i++)
		complete(SELF, SELF->ivars->completion, input(a, 0, 0) + i, input(a, 1, 0));
	return kIOReturnSuccess;
}

METHOD(do_complete_now)
{
	complete(SELF, a->completion, input(a, 0, 0), input(a, 1, 0));
	return kIOReturnSuccess;
}

METHOD(do_drop)
{
	OSSafeReleaseNULL(SELF->ivars->completion);
	return kIOReturnSuccess;
}

/* ---- memory ---- */

METHOD(do_client_memory)
{
	const IOAddressSegment segments[32] = { { .address = input(a, 0, 0),
						  .length = input(a, 1, 0) } };
	IOMemoryDescriptor *memory = NULL;
	IOMemoryMap *map = NULL;
	uint64_t what = input(a, 3, 0);
	kern_return_t ret;

	ret = ConformanceClient_CreateMemoryDescriptorFromClient(SELF, input(a, 2, 0), 1, segments,
								 &memory);
	if (ret == kIOReturnSuccess)
		ret = IOMemoryDescriptor_CreateMapping(memory, what == 0 ? kIOMemoryMapReadOnly : 0,
						       0, 0, 0, 0, &map);
	if (ret == kIOReturnSuccess && what == 0)
		a->scalarOutput[0] = sum((const uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map),
					 IOMemoryMap_GetLength(map));
	if (ret == kIOReturnSuccess && what == 1)
		write_to(map, IOMemoryMap_GetLength(map));
	if (ret == kIOReturnSuccess && what == 2) {
		OSSafeReleaseNULL(SELF->ivars->output);
		SELF->ivars->output = map;
		map = NULL;
	}
	OSSafeReleaseNULL(map);
	OSSafeReleaseNULL(memory);
	return ret;
}

METHOD(do_client_segments)
{
	IOAddressSegment segments[40] = { { 0 } };
	IOMemoryDescriptor *memory = NULL;
	IOMemoryMap *map = NULL;
	uint32_t n = (uint32_t)input(a, 2, 0);
	kern_return_t ret;

	/* From the last to the first, so that the order shows. */
	for (uint32_t i = 0; i < n && i < 40; i++)
		segments[i] = (IOAddressSegment){ .address = input(a, 0, 0) +
							     (n - 1 - i) * input(a, 1, 0),
						  .length = input(a, 1, 0) };
	ret = ConformanceClient_CreateMemoryDescriptorFromClient(SELF, kIOMemoryDirectionOut, n,
								 segments, &memory);
	if (ret == kIOReturnSuccess)
		ret = IOMemoryDescriptor_CreateMapping(memory, kIOMemoryMapReadOnly, 0, 0, 0, 0,
						       &map);
	if (ret == kIOReturnSuccess) {
		a->scalarOutput[0] = IOMemoryMap_GetLength(map);
		a->scalarOutput[1] = *(const uint8_t *)(uintptr_t)IOMemoryMap_GetAddress(map);
	}
	OSSafeReleaseNULL(map);
	OSSafeReleaseNULL(memory);
	return ret;
}

kern_return_t
ConformanceClient_CopyClientMemoryForType_Impl(ConformanceClient *self, uint64_t type,
					       uint64_t *options, IOMemoryDescriptor **memory)
{
	*options = type == kMemoryReadOnly ? kIOUserClientMemoryReadOnly : 0;
	if (type == kMemoryNone)
		return kIOReturnSuccess;
	if (type > kMemoryOnce || type == kMemoryRefused ||
	    (type == kMemoryOnce && self->ivars->n_once++ > 0))
		return (kern_return_t)CONFORMANCE_FAILURE;
	*memory = (IOMemoryDescriptor *)self->ivars->memory;
	OSRetain((OSMetaClassBase *)*memory);
	return kIOReturnSuccess;
}

METHOD(do_write_memory)
{
	IOAddressSegment range;
	kern_return_t ret = IOBufferMemoryDescriptor_GetAddressRange(SELF->ivars->memory, &range);

	for (uint64_t i = 0; ret == kIOReturnSuccess && i < input(a, 0, 0) && i < range.length; i++)
		((uint8_t *)(uintptr_t)range.address)[i] = CONFORMANCE_BYTE(i);
	return ret;
}

METHOD(do_sum_memory)
{
	IOAddressSegment range;
	kern_return_t ret = IOBufferMemoryDescriptor_GetAddressRange(SELF->ivars->memory, &range);

	if (ret == kIOReturnSuccess)
		a->scalarOutput[0] = sum((const uint8_t *)(uintptr_t)range.address, range.length);
	return ret;
}

/* ---- others ---- */

METHOD(do_block)
{
	unsigned turn;

	(void)pthread_mutex_lock(&block_lock);
	n_blocked++;
	for (turn = n_turns; turn == n_turns;)
		(void)pthread_cond_wait(&block_cond, &block_lock);
	n_blocked--;
	(void)pthread_mutex_unlock(&block_lock);
	return kIOReturnSuccess;
}

METHOD(do_is_blocked)
{
	(void)pthread_mutex_lock(&block_lock);
	a->scalarOutput[0] = n_blocked;
	(void)pthread_mutex_unlock(&block_lock);
	return kIOReturnSuccess;
}

METHOD(do_unblock)
{
	(void)pthread_mutex_lock(&block_lock);
	n_turns++;
	(void)pthread_cond_broadcast(&block_cond);
	(void)pthread_mutex_unlock(&block_lock);
	return kIOReturnSuccess;
}

METHOD(do_counts)
{
	a->scalarOutput[0] = atomic_load(&n_started);
	a->scalarOutput[1] = atomic_load(&n_stopped);
	a->scalarOutput[2] = atomic_load(&n_freed);
	a->scalarOutput[3] = atomic_load(&n_made) - atomic_load(&n_freed);
	return kIOReturnSuccess;
}

METHOD(do_abort)
{
	abort();
}

METHOD(do_terminate)
{
	return ConformanceClient_Terminate(SELF, 0);
}

METHOD(do_publish)
{
	IOService *driver = ConformanceClient_GetProvider(SELF), *nub = NULL;
	kern_return_t ret = IOService_Create(driver, driver, "NubProperties", &nub);

	OSSafeReleaseNULL(nub);
	return ret;
}

#define ANY kIOUserClientVariableStructureSize
/* A row that checks nothing; what follows in it overrides. */
#define ROW(f, ...)                                                                                \
	{                                                                                          \
		.function = f, .checkCompletionExists = ANY, .checkScalarInputCount = ANY,         \
		.checkStructureInputSize = ANY, .checkScalarOutputCount = ANY,                     \
		.checkStructureOutputSize = ANY, __VA_ARGS__                                       \
	}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#pragma clang diagnostic ignored "-Winitializer-overrides"
static const IOUserClientMethodDispatch methods[kMethodCount] = {
	[kSeen] = ROW(do_seen),
	[kEcho] = ROW(do_echo),
	[kFill] = ROW(do_fill),
	[kFewer] = ROW(do_fewer),
	[kFail] = ROW(do_fail),
	[kWriteOutput] = ROW(do_write_output),
	[kKeepOutput] = ROW(do_keep_output),
	[kWriteKept] = ROW(do_write_kept, .checkScalarInputCount = 1),
	[kCheckCompletion] = ROW(do_keep, .checkCompletionExists = 1),
	[kCheckNoCompletion] = ROW(do_nothing, .checkCompletionExists = 0),
	[kCheckAnyCompletion] = ROW(do_nothing, .checkCompletionExists = ANY),
	[kCheckScalarIn] = ROW(do_nothing, .checkScalarInputCount = 2),
	[kCheckStructIn] = ROW(do_nothing, .checkStructureInputSize = 8),
	[kCheckBigIn] = ROW(do_nothing, .checkStructureInputSize = 8192),
	[kCheckScalarOut] = ROW(do_nothing, .checkScalarOutputCount = 2),
	[kCheckStructOut] = ROW(do_nothing, .checkStructureOutputSize = 16),
	[kCheckBigOut] = ROW(do_nothing, .checkStructureOutputSize = 8192),
	[kCheckNothing] = { .function = do_nothing },
	[kNoFunction] = ROW(NULL),
	[kKeep] = ROW(do_keep, .checkCompletionExists = 1),
	[kComplete] = ROW(do_complete),
	[kCompleteNow] = ROW(do_complete_now, .checkCompletionExists = 1),
	[kDrop] = ROW(do_drop),
	[kClientMemory] =
		ROW(do_client_memory, .checkScalarInputCount = 4, .checkScalarOutputCount = 1),
	[kClientSegments] =
		ROW(do_client_segments, .checkScalarInputCount = 3, .checkScalarOutputCount = 2),
	[kWriteMemory] = ROW(do_write_memory),
	[kSumMemory] = ROW(do_sum_memory, .checkScalarOutputCount = 1),
	[kBlock] = ROW(do_block),
	[kIsBlocked] = ROW(do_is_blocked, .checkScalarOutputCount = 1),
	[kUnblock] = ROW(do_unblock),
	[kCounts] = ROW(do_counts, .checkScalarOutputCount = 4),
	[kAbort] = ROW(do_abort),
	[kTerminate] = ROW(do_terminate),
	[kPublish] = ROW(do_publish),
};
#pragma GCC diagnostic pop

kern_return_t
ConformanceClient_ExternalMethod_Impl(ConformanceClient *self, uint64_t selector,
				      IOUserClientMethodArguments *arguments,
				      const IOUserClientMethodDispatch *dispatch, OSObject *target,
				      void *reference)
{
	if (selector >= kMethodCount)
		return kIOReturnBadArgument;
	return ConformanceClient_ExternalMethod_super(
		self, selector, arguments, selector == kNoRow ? NULL : &methods[selector],
		(OSObject *)self, NULL);
}
