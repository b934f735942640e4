/* SPDX-License-Identifier: MIT */
/* class IOUserClient: the external method's way in and out, and the client's memory. */

#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXClientMemory.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>

#include "base/rules.h"
#include "channel/channel.h"
#include "channel/memory_object.h"
#include "driverkit/client_buffers.h"
#include "driverkit/service.h"
#include "driverkit/underway.h"
#include "driverkit/user_client.h"

#define LOG_TOPIC "driverkit.userclient"
#include "base/log.h"

#define ANY UINT32_MAX

struct IOUserClient_IVars {
	pthread_mutex_t lock;         /* guards all but buffers; taken alone */
	OSDictionary *entitlements;   /* owned reference */
	struct adxi_channel *channel; /* owned reference: to the client's process */
	uint64_t pid;                 /* for sentences */
	struct adxi_client_buffers buffers;
};

bool
IOUserClient_init_Impl(IOUserClient *self)
{
	if (!IOUserClient_init_super(self))
		return false;
	self->ivars = calloc(1, sizeof(*self->ivars));
	if (!self->ivars)
		return false;
	pthread_mutex_init(&self->ivars->lock, NULL);
	adxi_client_buffers_init(&self->ivars->buffers);
	return true;
}

void
IOUserClient_free_Impl(IOUserClient *self)
{
	if (self->ivars) {
		OSRelease((OS_OBJECT *)self->ivars->entitlements);
		adxi_channel_unref(self->ivars->channel);
		adxi_client_buffers_done(&self->ivars->buffers);
		pthread_mutex_destroy(&self->ivars->lock);
		free(self->ivars);
	}
	IOUserClient_free_super(self);
}

void
adxi_user_client_set_entitlements(IOUserClient *client, OSDictionary *entitlements)
{
	struct IOUserClient_IVars *ivars = client->ivars;
	OSDictionary *old;

	OSRetain((OS_OBJECT *)entitlements);
	pthread_mutex_lock(&ivars->lock);
	old = ivars->entitlements;
	ivars->entitlements = entitlements;
	pthread_mutex_unlock(&ivars->lock);
	OSRelease((OS_OBJECT *)old);
}

void
adxi_user_client_connect(IOUserClient *client, struct adxi_channel *channel, OSDictionary *info)
{
	OSObject *pid = info ? OSDictionary_getObjectForCString(info, "pid") : NULL;
	OSNumber *number = OSDynamicCast(OSNumber, pid);
	struct IOUserClient_IVars *ivars = client->ivars;
	struct adxi_channel *old;

	adxi_channel_ref(channel);
	pthread_mutex_lock(&ivars->lock);
	old = ivars->channel;
	ivars->channel = channel;
	ivars->pid = number ? OSNumber_unsigned64BitValue(number) : 0;
	pthread_mutex_unlock(&ivars->lock);
	adxi_channel_unref(old);
}

kern_return_t
IOUserClient_CopyClientEntitlements(IOUserClient *self, OSDictionary **entitlements)
{
	struct IOUserClient_IVars *ivars = self->ivars;

	if (!entitlements)
		return kIOReturnBadArgument;
	if (!ivars)
		return kIOReturnUnsupported;
	pthread_mutex_lock(&ivars->lock);
	*entitlements = ivars->entitlements;
	OSRetain((OS_OBJECT *)ivars->entitlements);
	pthread_mutex_unlock(&ivars->lock);
	return *entitlements ? kIOReturnSuccess : kIOReturnNotReady;
}

/* ---------------------------------------------------------------------------------------------
 * The dispatch table's checks
 */

static uint64_t
input_size(const IOUserClientMethodArguments *arguments)
{
	uint64_t size = 0;

	if (arguments->structureInputDescriptor)
		(void)IOMemoryDescriptor_GetLength(arguments->structureInputDescriptor, &size);
	else if (arguments->structureInput)
		size = OSData_getLength(arguments->structureInput);
	return size;
}

/* One line of the table: what the row demands, what came. */
static bool
check_count(IOUserClient *self, uint64_t selector, const char *what, const char *field,
	    uint32_t wanted, uint64_t found)
{
	if (wanted == ANY || wanted == found)
		return true;
	adxi_tell(wanted == 0 ? ADXI_RULE_T8 : ADXI_RULE_T9,
		  "%s selector %llu: %s is %llu, the dispatch entry's %s requires %u",
		  ((OS_OBJECT *)self)->meta->name, (unsigned long long)selector, what,
		  (unsigned long long)found, field, wanted);
	return false;
}

static bool
check_completion(IOUserClient *self, uint64_t selector, uint32_t wanted, const OSAction *completion)
{
	if (wanted == ANY || !wanted == !completion)
		return true;
	if (completion)
		adxi_tell(ADXI_RULE_T8,
			  "%s selector %llu: the call is asynchronous, the dispatch entry's "
			  "checkCompletionExists "
			  "is 0; use 1, or -1U for either",
			  ((OS_OBJECT *)self)->meta->name, (unsigned long long)selector);
	else
		adxi_tell(ADXI_RULE_T10,
			  "%s selector %llu: the dispatch entry's checkCompletionExists is %u, the "
			  "call has no "
			  "completion: it was synchronous or made with wake port 0",
			  ((OS_OBJECT *)self)->meta->name, (unsigned long long)selector, wanted);
	return false;
}

/* A sentence for drivers that index their table with a selector that nobody checked: such an entry
 * lies behind the table, where its count fields are never all plausible. */
static bool
entry_is_plausible(const IOUserClientMethodDispatch *dispatch)
{
	return (dispatch->checkCompletionExists <= 1 || dispatch->checkCompletionExists == ANY) &&
	       (dispatch->checkScalarInputCount <= kIOUserClientScalarArrayCountMax ||
		dispatch->checkScalarInputCount == ANY) &&
	       (dispatch->checkScalarOutputCount <= kIOUserClientScalarArrayCountMax ||
		dispatch->checkScalarOutputCount == ANY);
}

kern_return_t
IOUserClient_ExternalMethod_Impl(IOUserClient *self, uint64_t selector,
				 IOUserClientMethodArguments *arguments,
				 const IOUserClientMethodDispatch *dispatch, OSObject *target,
				 void *reference)
{
	if (!arguments)
		return kIOReturnBadArgument;
	if (!dispatch) {
		adxi_tell(ADXI_RULE_T21, "%s selector %llu: no dispatch entry",
			  ((OS_OBJECT *)self)->meta->name, (unsigned long long)selector);
		return kIOReturnUnsupported;
	}
	if (!entry_is_plausible(dispatch)) {
		adxi_tell(ADXI_RULE_T21,
			  "%s selector %llu: its dispatch entry asks for %u and %u scalars (the "
			  "most is 16): it is not "
			  "part of a table",
			  ((OS_OBJECT *)self)->meta->name, (unsigned long long)selector,
			  dispatch->checkScalarInputCount, dispatch->checkScalarOutputCount);
		return kIOReturnBadArgument;
	}
	if (!check_completion(self, selector, dispatch->checkCompletionExists,
			      arguments->completion) ||
	    !check_count(self, selector, "scalarInputCount", "checkScalarInputCount",
			 dispatch->checkScalarInputCount, arguments->scalarInputCount) ||
	    !check_count(self, selector, "the input structure's size", "checkStructureInputSize",
			 dispatch->checkStructureInputSize, input_size(arguments)) ||
	    !check_count(self, selector, "scalarOutputCount", "checkScalarOutputCount",
			 dispatch->checkScalarOutputCount, arguments->scalarOutputCount) ||
	    !check_count(self, selector, "structureOutputMaximumSize", "checkStructureOutputSize",
			 dispatch->checkStructureOutputSize, arguments->structureOutputMaximumSize))
		return kIOReturnBadArgument;
	if (!dispatch->function)
		return kIOReturnNoCompletion;
	return dispatch->function(target, reference, arguments);
}

/* ---------------------------------------------------------------------------------------------
 * A call: arguments in, results out
 */

static void
tell_missing_output(IOUserClient *self, uint64_t selector, bool kept_completion, uint64_t offered)
{
	if (kept_completion)
		adxi_tell(ADXI_RULE_T1,
			  "%s selector %llu returned success, kept the completion and left "
			  "structureOutput NULL although "
			  "the client offered %llu bytes",
			  ((OS_OBJECT *)self)->meta->name, (unsigned long long)selector,
			  (unsigned long long)offered);
	else
		adxi_tell(ADXI_RULE_T2,
			  "%s selector %llu: the client offered %llu output bytes, the driver "
			  "produced none",
			  ((OS_OBJECT *)self)->meta->name, (unsigned long long)selector,
			  (unsigned long long)offered);
}

/* structureOutput into the reply's inline bytes. */
static kern_return_t
give_output(IOUserClient *self, IOUserClientMethodArguments *a, bool kept_completion,
	    uint8_t *bytes, uint32_t *count)
{
	uint64_t size = a->structureOutput ? OSData_getLength(a->structureOutput) : 0;

	if (a->structureOutputDescriptor) {
		if (size == 0)
			return kIOReturnSuccess;
		adxi_tell(ADXI_RULE_T6,
			  "%s selector %llu set a structureOutput of %llu bytes; the client "
			  "offered %llu, out of line",
			  ((OS_OBJECT *)self)->meta->name, (unsigned long long)a->selector,
			  (unsigned long long)size,
			  (unsigned long long)a->structureOutputMaximumSize);
		return kIOReturnBadArgument;
	}
	if (size > *count) {
		adxi_tell(ADXI_RULE_T3,
			  "%s selector %llu: structureOutput is %llu bytes, the client offered %u",
			  ((OS_OBJECT *)self)->meta->name, (unsigned long long)a->selector,
			  (unsigned long long)size, *count);
		return kIOReturnBadArgument;
	}
	if (!a->structureOutput) {
		/* macOS reports the offered size; the bytes are zeros here. */
		if (*count > 0)
			tell_missing_output(self, a->selector, kept_completion, *count);
		return kIOReturnSuccess;
	}
	if (size)
		memcpy(bytes, OSData_getBytesNoCopy(a->structureOutput), size);
	*count = (uint32_t)size;
	return kIOReturnSuccess;
}

static kern_return_t
give_variable(IOUserClientMethodArguments *a, OSData **ret)
{
	if (!a->structureOutput)
		return kIOReturnUnderrun;
	*ret = a->structureOutput;
	a->structureOutput = NULL;
	return kIOReturnSuccess;
}

static void
tell_of_descriptor(IOUserClient *self, const IOUserClientMethodArguments *a, kern_return_t ret)
{
	if (ret != kIOReturnSuccess && a->structureInputDescriptor)
		adxi_tell(
			ADXI_RULE_T4,
			"%s selector %llu returned %#x: the input is %llu bytes, so that it is in "
			"structureInputDescriptor and structureInput is NULL",
			((OS_OBJECT *)self)->meta->name, (unsigned long long)a->selector,
			(unsigned)ret, (unsigned long long)input_size(a));
}

/* The driver's method, and its results. */
static kern_return_t
run_method(IOUserClient *self, IOUserClientMethodArguments *a, bool variable,
	   uint8_t structureOutput[4096], uint32_t *structureOutputCount, OSData **variableOutput)
{
	OSAction *completion = a->completion;
	uint32_t references = completion ? OSGetRetainCount((OS_OBJECT *)completion) : 0;

	adxi_underway_external(((OS_OBJECT *)self)->meta->name, a->selector, input_size(a),
			       a->structureInputDescriptor ? ADXI_INPUT_DESCRIPTOR
			       : a->structureInput         ? ADXI_INPUT_INLINE
							   : ADXI_INPUT_NONE);
	kern_return_t ret = IOUserClient_ExternalMethod(self, a->selector, a, NULL, NULL, NULL);
	tell_of_descriptor(self, a, ret);
	if (ret != kIOReturnSuccess)
		return ret;
	bool kept = completion && OSGetRetainCount((OS_OBJECT *)completion) > references;
	return variable ? give_variable(a, variableOutput)
			: give_output(self, a, kept, structureOutput, structureOutputCount);
}

/* run_method() with the client's own memory in place of structures that do not fit into a message.
 */
static kern_return_t
run_with_memory(IOUserClient *self, IOUserClientMethodArguments *a, bool variable,
		uint64_t structureInputSize, uint8_t structureOutput[4096],
		uint32_t *structureOutputCount, OSData **variableOutput)
{
	IOMemoryDescriptor *input = NULL, *output = NULL;
	struct adxi_memory *snapshot = NULL;
	kern_return_t ret = kIOReturnSuccess;
	uint64_t holders = 0;

	if (!self->ivars)
		return kIOReturnNotReady;
	struct adxi_client_buffers *buffers = &self->ivars->buffers;
	if (a->structureInputDescriptor)
		ret = adxi_client_buffers_input(buffers, a->structureInputDescriptor,
						structureInputSize, &input, &snapshot);
	if (ret == kIOReturnSuccess && a->structureOutputDescriptor) {
		output = adxi_client_buffers_output(buffers, a->structureOutputDescriptor);
		ret = output ? kIOReturnSuccess : kIOReturnNoMemory;
	}
	if (ret == kIOReturnSuccess) {
		a->structureInputDescriptor = input;
		a->structureOutputDescriptor = output;
		if (output)
			holders = adxi_client_buffers_holders(output);
		ret = run_method(self, a, variable, structureOutput, structureOutputCount,
				 variableOutput);
	}
	bool kept = adxi_client_buffers_end_output(output, holders);
	adxi_client_buffers_end_input(buffers, input, snapshot);
	/* A client's memory that is kept stays shared: a byte says so where there is no other. */
	if (output)
		*structureOutputCount = *structureOutputCount > 0 && kept;
	return ret;
}

kern_return_t
IOUserClient__ExternalMethod_Impl(
	IOUserClient *self, uint64_t selector, const uint64_t scalarInput[16],
	uint32_t scalarInputCount, const uint8_t structureInput[4096], uint32_t structureInputCount,
	IOMemoryDescriptor *structureInputDescriptor, uint64_t structureInputSize,
	OSAction *completion, uint64_t scalarOutput[16], uint32_t *scalarOutputCount,
	uint8_t structureOutput[4096], uint32_t *structureOutputCount,
	uint64_t structureOutputMaximumSize, IOMemoryDescriptor *structureOutputDescriptor,
	OSData **variableOutput)
{
	bool variable = structureOutputMaximumSize == kIOUserClientVariableStructureSize;
	uint32_t offered_scalars = *scalarOutputCount;
	IOUserClientMethodArguments a = {
		.version = kIOUserClientMethodArgumentsCurrentVersion,
		.selector = selector,
		.completion = completion,
		.scalarInput = scalarInput,
		.scalarInputCount = scalarInputCount,
		.structureInputDescriptor = structureInputDescriptor,
		.scalarOutput = scalarOutput,
		.scalarOutputCount = offered_scalars,
		.structureOutputDescriptor = structureOutputDescriptor,
		.structureOutputMaximumSize = structureOutputMaximumSize,
	};
	OSData *input = NULL;
	kern_return_t ret;

	if (!variable && !structureOutputDescriptor)
		a.structureOutputMaximumSize = *structureOutputCount;
	if (structureInputCount > 0 && !structureInputDescriptor) {
		input = OSData_withBytes(structureInput, structureInputCount);
		if (!input)
			return kIOReturnNoMemory;
	}
	a.structureInput = input;
	if (structureInputDescriptor || structureOutputDescriptor)
		ret = run_with_memory(self, &a, variable, structureInputSize, structureOutput,
				      structureOutputCount, variableOutput);
	else
		ret = run_method(self, &a, variable, structureOutput, structureOutputCount,
				 variableOutput);
	*scalarOutputCount =
		a.scalarOutputCount < offered_scalars ? a.scalarOutputCount : offered_scalars;
	OSRelease((OS_OBJECT *)a.structureOutput);
	OSRelease((OS_OBJECT *)input);
	return ret;
}

/* ---------------------------------------------------------------------------------------------
 * Memory
 */

kern_return_t
IOUserClient_CopyClientMemoryForType_Impl(IOUserClient *self, uint64_t type, uint64_t *options,
					  IOMemoryDescriptor **memory)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOUserClient__CopyClientMemory_Impl(IOUserClient *self, uint64_t type, uint64_t *options,
				    IOMemoryDescriptor **memory)
{
	uint64_t driver_options = 0;

	/* The driver's override runs on the same queue, inline. */
	kern_return_t ret =
		IOUserClient_CopyClientMemoryForType(self, type, &driver_options, memory);
	*options = driver_options;
	return ret;
}

static kern_return_t
copy_segment(ADXClientMemory *door, const IOAddressSegment *segment, uint64_t options,
	     IOMemoryDescriptor **ret)
{
	kern_return_t status = ADXClientMemory_CopyMemory(door, segment->address, segment->length,
							  (uint32_t)options, ret);

	if (status == kIOReturnSuccess && !*ret)
		status = kIOReturnIPCError;
	if (status != kIOReturnSuccess)
		return status;
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)*ret);
	if (memory && adxi_memory_length(memory) == segment->length)
		return kIOReturnSuccess;
	OSSafeReleaseNULL(*ret);
	return kIOReturnIPCError;
}

/* Several segments as one descriptor. */
static kern_return_t
join(IOMemoryDescriptor **parts, uint32_t n, uint64_t direction, IOMemoryDescriptor **ret)
{
	struct adxi_memory *memories[32], *all = NULL;
	uint32_t flags = (uint32_t)direction;

	for (uint32_t i = 0; i < n; i++) {
		memories[i] = adxi_memory_of((OS_OBJECT *)parts[i]);
		flags |= adxi_memory_flags(memories[i]) & ADXI_MEMORY_COPY_ON_WRITE;
	}
	if (adxi_memory_concat(memories, n, flags, &all) < 0)
		return kIOReturnNoMemory;
	*ret = adxi_memory_object(all);
	return *ret ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
IOUserClient_CreateMemoryDescriptorFromClient(IOUserClient *self, uint64_t options,
					      uint32_t segmentsCount,
					      const IOAddressSegment *segments,
					      IOMemoryDescriptor **memory)
{
	struct IOUserClient_IVars *ivars = self->ivars;
	uint64_t direction = options & ADXI_MEMORY_DIRECTIONS;
	IOMemoryDescriptor *parts[32] = { NULL };
	struct adxi_channel *channel = NULL;
	kern_return_t ret = kIOReturnSuccess;
	uint32_t n = 0;

	if (segmentsCount > 32)
		return kIOReturnOverrun;
	if (!ivars || !memory || !segments || segmentsCount == 0 || direction == 0 ||
	    options & ~(uint64_t)(ADXI_MEMORY_DIRECTIONS | kIOMemoryDisableCopyOnWrite))
		return kIOReturnBadArgument;
	pthread_mutex_lock(&ivars->lock);
	if (ivars->channel)
		channel = adxi_channel_ref(ivars->channel);
	pthread_mutex_unlock(&ivars->lock);
	if (!channel || adxi_service_state((IOService *)self) == SERVICE_STOPPED) {
		adxi_tell(ADXI_RULE_T63, "%s::CreateMemoryDescriptorFromClient %s",
			  ((OS_OBJECT *)self)->meta->name,
			  channel ? "after Stop" : "before a client is connected");
		adxi_channel_unref(channel);
		return kIOReturnNotReady;
	}
	ADXClientMemory *door =
		(ADXClientMemory *)adxi_channel_copy_door(channel, &ADXClientMemory_Class);
	if (!door)
		ret = kIOReturnNoMemory;
	while (ret == kIOReturnSuccess && n < segmentsCount) {
		ret = copy_segment(door, &segments[n], options, &parts[n]);
		if (ret == kIOReturnSuccess)
			n++;
	}
	if (ret == kIOReturnSuccess && n == 1) {
		*memory = parts[0];
		parts[0] = NULL;
	} else if (ret == kIOReturnSuccess) {
		ret = join(parts, n, direction, memory);
	}
	for (uint32_t i = 0; i < n; i++)
		OSRelease((OS_OBJECT *)parts[i]);
	OSRelease((OS_OBJECT *)door);
	adxi_channel_unref(channel);
	return ret;
}
