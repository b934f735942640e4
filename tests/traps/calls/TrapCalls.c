/* SPDX-License-Identifier: MIT */
/* Mistakes in external methods and asynchronous calls. Every one of them is meant. */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <DriverKit/DriverKit.h>

#include "TrapCalls.h"
#include "TrapCallsMethods.h"

struct TrapCallsClient_IVars {
	OSAction *kept;
	bool owned; /* kept is a reference of ours */
};

/* What kCallsContinue, on another connection, sets. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool go;

static atomic_int inside, overlaps;

kern_return_t
TrapCalls_Start_Impl(TrapCalls *self, IOService *provider)
{
	kern_return_t ret = TrapCalls_Start_super(self, provider);

	return ret == kIOReturnSuccess ? TrapCalls_RegisterService(self) : ret;
}

kern_return_t
TrapCalls_NewUserClient_Impl(TrapCalls *self, uint32_t type, IOUserClient **userClient)
{
	IOService *client = NULL;
	kern_return_t ret = TrapCalls_Create(self, (IOService *)self, "UserClientProperties", &client);

	if (ret == kIOReturnSuccess)
		*userClient = OSDynamicCast(IOUserClient, client);
	return ret;
}

bool
TrapCallsClient_init_Impl(TrapCallsClient *self)
{
	if (!TrapCallsClient_init_super(self))
		return false;
	self->ivars = calloc(1, sizeof *self->ivars);
	return self->ivars != NULL;
}

static void
drop(TrapCallsClient *self)
{
	if (self->ivars->owned)
		OSSafeReleaseNULL(self->ivars->kept);
	self->ivars->kept = NULL;
	self->ivars->owned = false;
}

void
TrapCallsClient_free_Impl(TrapCallsClient *self)
{
	if (self->ivars)
		drop(self);
	free(self->ivars);
	TrapCallsClient_free_super(self);
}

static void
keep(TrapCallsClient *self, OSAction *completion)
{
	drop(self);
	OSRetain((OSMetaClassBase *)completion);
	self->ivars->kept = completion;
	self->ivars->owned = true;
}

static void
complete(TrapCallsClient *self, OSAction *action, uint64_t n_words)
{
	uint64_t words[32];

	for (unsigned i = 0; i < 32; i++)
		words[i] = 100 + i;
	TrapCallsClient_AsyncCompletion(self, action, kIOReturnSuccess, words, (uint32_t)n_words);
}

static kern_return_t
give(IOUserClientMethodArguments *a, size_t size)
{
	static const uint8_t bytes[4096 + 64];

	a->structureOutput = OSData_withBytes(bytes, size);
	return a->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

/* At most ten seconds, so that a test that fails ends. */
static kern_return_t
wait_for_other(void)
{
	struct timespec until;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	(void)pthread_mutex_lock(&lock);
	while (!go && r == 0)
		r = pthread_cond_timedwait(&cond, &lock, &until);
	go = false;
	(void)pthread_mutex_unlock(&lock);
	return r == 0 ? kIOReturnSuccess : kIOReturnTimeout;
}

#define METHOD(name)                                                                               \
	static kern_return_t name(OSObject *target, void *reference, IOUserClientMethodArguments *a)
#define SELF ((TrapCallsClient *)target)

METHOD(do_keep)
{
	keep(SELF, a->completion);
	return a->structureOutputMaximumSize ? give(a, a->structureOutputMaximumSize) : kIOReturnSuccess;
}

METHOD(do_complete)
{
	if (!SELF->ivars->kept)
		return kIOReturnNotReady;
	complete(SELF, SELF->ivars->kept, a->scalarInput[0]);
	return kIOReturnSuccess;
}

METHOD(do_drop)
{
	drop(SELF);
	return kIOReturnSuccess;
}

METHOD(do_continue)
{
	(void)pthread_mutex_lock(&lock);
	go = true;
	(void)pthread_cond_broadcast(&cond);
	(void)pthread_mutex_unlock(&lock);
	return kIOReturnSuccess;
}

METHOD(do_later_output)
{
	keep(SELF, a->completion);
	return kIOReturnSuccess;
}

METHOD(do_no_output)
{
	return kIOReturnSuccess;
}

METHOD(do_wide_output)
{
	return give(a, a->structureOutputDescriptor ? 32 : a->structureOutputMaximumSize + 32);
}

METHOD(do_read_input)
{
	const volatile uint8_t *bytes = OSData_getBytesNoCopy(a->structureInput);

	a->scalarOutput[0] = bytes[0];
	return kIOReturnSuccess;
}

METHOD(do_refuse_input)
{
	return a->structureInput ? kIOReturnSuccess : kIOReturnBadArgument;
}

METHOD(do_short_output)
{
	IOMemoryMap *map = NULL;
	kern_return_t ret = kIOReturnBadArgument;

	if (a->structureOutputDescriptor)
		ret = IOMemoryDescriptor_CreateMapping(a->structureOutputDescriptor, 0, 0, 0, 0, 0, &map);
	if (ret != kIOReturnSuccess)
		return ret;
	memset((void *)(uintptr_t)IOMemoryMap_GetAddress(map), 0x77, 10);
	a->scalarOutput[0] = 10;
	OSSafeReleaseNULL(map);
	return kIOReturnSuccess;
}

METHOD(do_not_retained)
{
	drop(SELF);
	SELF->ivars->kept = a->completion;
	return kIOReturnSuccess;
}

METHOD(do_keep_and_fail)
{
	keep(SELF, a->completion);
	return kCallsFailure;
}

METHOD(do_complete_and_fail)
{
	complete(SELF, a->completion, 0);
	return kCallsFailure;
}

METHOD(do_complete_now)
{
	complete(SELF, a->completion, a->scalarInput[0]);
	return kIOReturnSuccess;
}

METHOD(do_complete_and_wait)
{
	complete(SELF, a->completion, 0);
	return wait_for_other();
}

METHOD(do_fail_with_output)
{
	a->scalarOutput[0] = 4711;
	(void)give(a, 8);
	return kCallsFailure;
}

METHOD(do_wait)
{
	return wait_for_other();
}

METHOD(do_overlap)
{
	if (atomic_fetch_add(&inside, 1) > 0)
		atomic_fetch_add(&overlaps, 1);
	for (int i = 0; i < 100; i++)
		sched_yield();
	atomic_fetch_sub(&inside, 1);
	a->scalarOutput[0] = (uint64_t)atomic_load(&overlaps);
	return kIOReturnSuccess;
}

#define ANY kIOUserClientVariableStructureSize

/* The table, and bytes behind it that are none: what an unchecked selector finds. */
static const struct {
	IOUserClientMethodDispatch rows[kCallsCount];
	uint8_t behind[sizeof(IOUserClientMethodDispatch)];
} table = {
	.rows = {
		[kCallsKeep] = { .function = do_keep, .checkCompletionExists = 1, .checkStructureOutputSize = ANY },
		[kCallsComplete] = { .function = do_complete, .checkScalarInputCount = 1 },
		[kCallsDrop] = { .function = do_drop },
		[kCallsContinue] = { .function = do_continue },
		[kCallsLaterOutput] = { .function = do_later_output, .checkCompletionExists = 1,
					.checkStructureOutputSize = ANY },
		[kCallsNoOutput] = { .function = do_no_output, .checkStructureOutputSize = ANY },
		[kCallsWideOutput] = { .function = do_wide_output, .checkStructureOutputSize = ANY },
		[kCallsReadInput] = { .function = do_read_input, .checkStructureInputSize = ANY,
				      .checkScalarOutputCount = 1 },
		[kCallsRefuseInput] = { .function = do_refuse_input, .checkStructureInputSize = ANY },
		[kCallsShortOutput] = { .function = do_short_output, .checkScalarOutputCount = 1,
					.checkStructureOutputSize = ANY },
		[kCallsForgottenField] = { .function = do_keep, .checkStructureOutputSize = ANY },
		[kCallsStrict] = { .function = do_no_output, .checkScalarInputCount = 1, .checkStructureInputSize = 8,
				   .checkScalarOutputCount = 1, .checkStructureOutputSize = 8 },
		[kCallsNotRetained] = { .function = do_not_retained, .checkCompletionExists = 1 },
		[kCallsKeepAndFail] = { .function = do_keep_and_fail, .checkCompletionExists = 1 },
		[kCallsCompleteAndFail] = { .function = do_complete_and_fail, .checkCompletionExists = 1 },
		[kCallsCompleteNow] = { .function = do_complete_now, .checkCompletionExists = 1,
					.checkScalarInputCount = 1 },
		[kCallsCompleteAndWait] = { .function = do_complete_and_wait, .checkCompletionExists = 1 },
		[kCallsFailWithOutput] = { .function = do_fail_with_output, .checkScalarOutputCount = 1,
					   .checkStructureOutputSize = ANY },
		[kCallsWait] = { .function = do_wait },
		[kCallsOverlap] = { .function = do_overlap, .checkScalarOutputCount = 1 },
	},
	.behind = { [0 ... sizeof(IOUserClientMethodDispatch) - 1] = 0x5a },
};

kern_return_t
TrapCallsClient_ExternalMethod_Impl(TrapCallsClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
				    const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector == kCallsNoRow)
		return TrapCallsClient_ExternalMethod_super(self, selector, arguments, NULL, (OSObject *)self, NULL);
	/* T21: no look at the selector; further than one row would be further than the test can answer for. */
	if (selector > kCallsCount)
		return kIOReturnUnsupported;
	dispatch = (const IOUserClientMethodDispatch *)(const void *)((const uint8_t *)&table + selector * sizeof *dispatch);
	return TrapCallsClient_ExternalMethod_super(self, selector, arguments, dispatch, (OSObject *)self, NULL);
}
