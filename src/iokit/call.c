/* SPDX-License-Identifier: MIT */
/* External methods: the six IOConnectCall forms are one. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/rules.h"
#include "iokit/connection.h"

#define MAX_SCALARS   16u
#define MAX_INLINE    4096u
#define MAX_REFERENCE 8u
#define VAR_OUTPUT    ((size_t)kIOConnectMethodVarOutputSize)

struct call {
	uint32_t selector;
	const uint64_t *input;
	uint32_t n_input;
	const void *input_struct;
	size_t input_struct_size;
	uint64_t *output;
	uint32_t *n_output;          /* NULL: none wanted */
	void *output_struct;
	size_t *output_struct_size;  /* NULL: none wanted */

	bool async;
	mach_port_t wake_port;
	const uint64_t *reference;
	uint32_t n_reference;
};

/* The completion object of an asynchronous call; NULL with success when there is no wake port, as the driver's own check refuses. */
static kern_return_t
make_completion(struct iokit_connection *connection, const struct call *call, OS_OBJECT **ret_completion)
{
	uint64_t reference[MAX_REFERENCE] = { 0 };

	if (call->reference && call->n_reference == 0)
		return kIOReturnBadArgument;
	if (call->reference && call->n_reference < kIOAsyncCalloutCount) {
		(void)adxi_tell(ADXI_RULE_T16, "selector %u: referenceCnt is %u, but the callback is in reference[%d] and its refcon in "
				"reference[%d], so it must be kIOAsyncCalloutCount (%d) at least", call->selector, call->n_reference,
				kIOAsyncCalloutFuncIndex, kIOAsyncCalloutRefconIndex, kIOAsyncCalloutCount);
		return kIOReturnBadArgument;
	}
	if (call->reference)
		memcpy(reference, call->reference, call->n_reference * sizeof *reference);
	if (call->wake_port == MACH_PORT_NULL) {
		(void)adxi_tell(ADXI_RULE_T10, "asynchronous call of selector %u with wakePort 0 (kIOMainPortDefault is 0): the driver gets no "
				"completion, so a method that needs one refuses with kIOReturnBadArgument", call->selector);
		return kIOReturnSuccess;
	}
	struct IONotificationPort *port = iokit_port_get(call->wake_port);
	if (!port) {
		(void)adxi_tell(ADXI_RULE_T10, "asynchronous call of selector %u with wakePort %#x, which is not a notification port",
				call->selector, call->wake_port);
		return MACH_SEND_INVALID_RIGHT;
	}
	*ret_completion = iokit_completion_new(connection, port, reference, call->selector);
	iokit_put(iokit_port_object(port));
	return *ret_completion ? kIOReturnSuccess : kIOReturnNoMemory;
}

/* A variable-size output: a buffer of its own that the caller frees with vm_deallocate(). */
static kern_return_t
give_variable(const struct call *call, OSData *data)
{
	size_t size = data ? OSData_getLength(data) : 0;
	void *buffer = NULL;

	if (!data)
		return kIOReturnUnderrun;
	if (size > 0) {
		buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (buffer == MAP_FAILED)
			return kIOReturnNoMemory;
		memcpy(buffer, OSData_getBytesNoCopy(data), size);
	}
	*(void **)call->output_struct = buffer;
	*call->output_struct_size = size;
	return kIOReturnSuccess;
}

static void
tell_of_memory(const struct call *call, kern_return_t ret, const char *name, const void *address, size_t size, const char *access)
{
	if (ret == MACH_SEND_INVALID_MEMORY)
		(void)adxi_tell(ADXI_RULE_CLI002, "selector %u: this process may not %s all of the %zu bytes of %s at %p", call->selector,
				access, size, name, address);
}

static kern_return_t
make_call(struct iokit_connection *connection, const struct call *call, OS_OBJECT *completion)
{
	uint64_t scalars[MAX_SCALARS], *to = call->output;
	uint8_t kept = 0;
	uint32_t n_scalars = call->n_output ? (*call->n_output < MAX_SCALARS ? *call->n_output : MAX_SCALARS) : 0;
	size_t offered = call->output_struct_size ? *call->output_struct_size : 0;
	uint32_t n_inline = 0;
	uint64_t maximum = offered;
	IOMemoryDescriptor *input_memory = NULL, *output_memory = NULL;
	struct iokit_shared *shared = NULL;
	OSData *variable = NULL;
	kern_return_t ret = kIOReturnSuccess;

	if (call->input_struct_size > MAX_INLINE) {
		ret = iokit_staging_take(&connection->staging, call->input_struct, call->input_struct_size, &input_memory);
		tell_of_memory(call, ret, "inputStruct", call->input_struct, call->input_struct_size, "read");
	}
	if (offered == VAR_OUTPUT && call->output_struct_size) {
		maximum = kIOUserClientVariableStructureSize;
		to = scalars; /* the caller's stay as they are if there is no memory for its structure */
	} else if (offered <= MAX_INLINE)
		n_inline = (uint32_t)offered;
	else if (ret == kIOReturnSuccess) {
		ret = iokit_memory_share(connection, call->output_struct, offered, true, &shared, &output_memory);
		tell_of_memory(call, ret, "outputStruct", call->output_struct, offered, "read and write");
	}
	if (output_memory)
		n_inline = 1; /* comes back when the driver keeps the memory */
	if (ret == kIOReturnSuccess)
		ret = IOUserClient__ExternalMethod(connection->client, call->selector, call->input, call->n_input,
						   input_memory ? NULL : call->input_struct,
						   input_memory ? 0 : (uint32_t)call->input_struct_size, input_memory,
						   input_memory ? call->input_struct_size : 0, (OSAction *)completion, to, &n_scalars,
						   output_memory ? &kept : call->output_struct, &n_inline, maximum, output_memory,
						   &variable);
	iokit_completion_called(completion, ret);
	if (output_memory) {
		iokit_memory_sync(connection);
		iokit_memory_unshare(connection, shared, ret == kIOReturnSuccess && n_inline == 1);
	}
	if (ret == kIOReturnSuccess && maximum == kIOUserClientVariableStructureSize && offered == VAR_OUTPUT)
		ret = give_variable(call, variable);
	else if (ret == kIOReturnSuccess && call->output_struct_size && !output_memory)
		*call->output_struct_size = n_inline;
	if (ret == kIOReturnSuccess && call->n_output) {
		if (n_scalars > 0 && to == scalars)
			memcpy(call->output, scalars, n_scalars * sizeof *scalars);
		*call->n_output = n_scalars;
	}
	OSRelease((OSMetaClassBase *)variable);
	iokit_staging_give(&connection->staging, input_memory);
	OSRelease((OSMetaClassBase *)output_memory);
	return ret;
}

static kern_return_t
check(const struct call *call)
{
	size_t offered = call->output_struct_size ? *call->output_struct_size : 0;

	if (call->n_input > MAX_SCALARS || call->n_reference > MAX_REFERENCE)
		return MIG_ARRAY_TOO_LARGE;
	if ((call->n_input > 0 && !call->input) || (call->input_struct_size > 0 && !call->input_struct))
		return kIOReturnBadArgument;
	if ((call->n_output && *call->n_output > 0 && !call->output) || (offered > 0 && !call->output_struct))
		return kIOReturnBadArgument;
	if (offered == VAR_OUTPUT && call->async)
		return kIOReturnIPCError;
	if (offered != VAR_OUTPUT && offered > UINT32_MAX)
		return kIOReturnIPCError;
	return kIOReturnSuccess;
}

static kern_return_t
call_method(mach_port_t name, const struct call *call)
{
	struct iokit_connection *connection;
	OS_OBJECT *completion = NULL;
	kern_return_t ret = iokit_connection_get(name, &connection);

	if (ret != kIOReturnSuccess)
		return ret;
	ret = check(call);
	if (ret == kIOReturnSuccess && call->async)
		ret = make_completion(connection, call, &completion);
	if (ret == kIOReturnSuccess) {
		pthread_rwlock_rdlock(&connection->calls);
		atomic_fetch_add(&connection->n_calls, 1);
		ret = atomic_load(&connection->closed) ? MACH_SEND_INVALID_DEST : make_call(connection, call, completion);
		atomic_fetch_sub(&connection->n_calls, 1);
		pthread_rwlock_unlock(&connection->calls);
	}
	OSRelease(completion);
	iokit_put(&connection->object);
	return ret;
}

kern_return_t
IOConnectCallMethod(mach_port_t connection, uint32_t selector, const uint64_t *input, uint32_t inputCnt,
		    const void *inputStruct, size_t inputStructCnt, uint64_t *output, uint32_t *outputCnt,
		    void *outputStruct, size_t *outputStructCnt)
{
	const struct call call = {
		.selector = selector,
		.input = input,
		.n_input = inputCnt,
		.input_struct = inputStruct,
		.input_struct_size = inputStructCnt,
		.output = output,
		.n_output = outputCnt,
		.output_struct = outputStruct,
		.output_struct_size = outputStructCnt,
	};
	return call_method(connection, &call);
}

kern_return_t
IOConnectCallAsyncMethod(mach_port_t connection, uint32_t selector, mach_port_t wakePort, uint64_t *reference,
			 uint32_t referenceCnt, const uint64_t *input, uint32_t inputCnt, const void *inputStruct,
			 size_t inputStructCnt, uint64_t *output, uint32_t *outputCnt, void *outputStruct,
			 size_t *outputStructCnt)
{
	const struct call call = {
		.selector = selector,
		.input = input,
		.n_input = inputCnt,
		.input_struct = inputStruct,
		.input_struct_size = inputStructCnt,
		.output = output,
		.n_output = outputCnt,
		.output_struct = outputStruct,
		.output_struct_size = outputStructCnt,
		.async = true,
		.wake_port = wakePort,
		.reference = reference,
		.n_reference = referenceCnt,
	};
	return call_method(connection, &call);
}

kern_return_t
IOConnectCallStructMethod(mach_port_t connection, uint32_t selector, const void *inputStruct, size_t inputStructCnt,
			  void *outputStruct, size_t *outputStructCnt)
{
	return IOConnectCallMethod(connection, selector, NULL, 0, inputStruct, inputStructCnt, NULL, NULL, outputStruct,
				   outputStructCnt);
}

kern_return_t
IOConnectCallAsyncStructMethod(mach_port_t connection, uint32_t selector, mach_port_t wakePort, uint64_t *reference,
			       uint32_t referenceCnt, const void *inputStruct, size_t inputStructCnt, void *outputStruct,
			       size_t *outputStructCnt)
{
	return IOConnectCallAsyncMethod(connection, selector, wakePort, reference, referenceCnt, NULL, 0, inputStruct,
					inputStructCnt, NULL, NULL, outputStruct, outputStructCnt);
}

kern_return_t
IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector, const uint64_t *input, uint32_t inputCnt,
			  uint64_t *output, uint32_t *outputCnt)
{
	return IOConnectCallMethod(connection, selector, input, inputCnt, NULL, 0, output, outputCnt, NULL, NULL);
}

kern_return_t
IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector, mach_port_t wakePort, uint64_t *reference,
			       uint32_t referenceCnt, const uint64_t *input, uint32_t inputCnt, uint64_t *output,
			       uint32_t *outputCnt)
{
	return IOConnectCallAsyncMethod(connection, selector, wakePort, reference, referenceCnt, input, inputCnt, NULL, 0,
					output, outputCnt, NULL, NULL);
}
