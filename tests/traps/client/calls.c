/* SPDX-License-Identifier: MIT */
/* T1 to T26: external methods and asynchronous calls. */

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../calls/TrapCallsMethods.h"
#include "rig.h"

#define DRIVER "TrapCalls"

static mach_port_t
wake_port(struct rig *rig)
{
	return IONotificationPortGetMachPort(rig->port);
}

static kern_return_t
call_struct(struct rig *rig, uint32_t selector, size_t in, size_t out)
{
	void *input = calloc(1, in + 1), *output = calloc(1, out + 1);
	size_t size = out;
	kern_return_t ret = kIOReturnNoMemory;

	if (input && output)
		ret = IOConnectCallStructMethod(rig->connection, selector, in ? input : NULL, in, out ? output : NULL,
						out ? &size : NULL);
	free(input);
	free(output);
	return ret;
}

static kern_return_t
call_scalar(struct rig *rig, uint32_t selector, uint64_t value)
{
	return IOConnectCallScalarMethod(rig->connection, selector, &value, 1, NULL, NULL);
}

static kern_return_t
call_plain(struct rig *rig, uint32_t selector)
{
	return IOConnectCallScalarMethod(rig->connection, selector, NULL, 0, NULL, NULL);
}

/* ---- T1 to T7: structures ---- */

static kern_return_t
later_output(struct rig *rig)
{
	uint64_t reference[8];
	char output[64];
	size_t size = sizeof output;

	rig_reference(rig, 0, reference);
	return IOConnectCallAsyncStructMethod(rig->connection, kCallsLaterOutput, wake_port(rig), reference, kIOAsyncCalloutCount, NULL, 0,
					      output, &size);
}

static kern_return_t
no_output(struct rig *rig)
{
	return call_struct(rig, kCallsNoOutput, 0, 64);
}

static kern_return_t
wide_output(struct rig *rig)
{
	return call_struct(rig, kCallsWideOutput, 0, 64);
}

static kern_return_t
read_input(struct rig *rig, size_t size)
{
	static const char input[5000];
	uint64_t output;
	uint32_t n = 1;

	return IOConnectCallMethod(rig->connection, kCallsReadInput, NULL, 0, size ? input : NULL, size, &output, &n, NULL, NULL);
}

static kern_return_t
large_input(struct rig *rig)
{
	return read_input(rig, 5000);
}

static kern_return_t
largest_inline_input(struct rig *rig)
{
	return read_input(rig, 4096);
}

static kern_return_t
empty_input(struct rig *rig)
{
	return read_input(rig, 0);
}

static kern_return_t
refused_large_input(struct rig *rig)
{
	return call_struct(rig, kCallsRefuseInput, 5000, 0);
}

static kern_return_t
inline_for_descriptor(struct rig *rig)
{
	return call_struct(rig, kCallsWideOutput, 0, 8192);
}

static kern_return_t
short_output(struct rig *rig)
{
	size_t size = 8192;
	unsigned char *output = calloc(1, size);
	uint64_t written = 0;
	uint32_t n = 1;

	if (!output)
		return kIOReturnNoMemory;
	kern_return_t ret = IOConnectCallMethod(rig->connection, kCallsShortOutput, NULL, 0, NULL, 0, &written, &n, output, &size);
	want(rig, size == 8192, "the size of a shared output changed");
	want(rig, written == 10 && output[9] == 0x77 && output[10] == 0, "the scalar does not say how much is there");
	free(output);
	return ret;
}

/* ---- T8 to T10: checks ---- */

static kern_return_t
forgotten_completion(struct rig *rig)
{
	return rig_call_async(rig, kCallsForgottenField, 0);
}

static kern_return_t
forgotten_scalar(struct rig *rig)
{
	return call_scalar(rig, kCallsNoOutput, 1);
}

static kern_return_t
strict(struct rig *rig, uint32_t n_in, size_t size_in, uint32_t n_out, size_t size_out)
{
	uint64_t input[16] = { 0 }, output[16], in[16] = { 0 }, out[16];

	return IOConnectCallMethod(rig->connection, kCallsStrict, input, n_in, in, size_in, output, &n_out, out, &size_out);
}

static kern_return_t
wrong_scalars(struct rig *rig)
{
	return strict(rig, 2, 8, 1, 8);
}

static kern_return_t
wrong_input_size(struct rig *rig)
{
	return strict(rig, 1, 12, 1, 8);
}

static kern_return_t
wrong_scalar_outputs(struct rig *rig)
{
	return strict(rig, 1, 8, 3, 8);
}

static kern_return_t
wrong_output_size(struct rig *rig)
{
	return strict(rig, 1, 8, 1, 16);
}

static kern_return_t
call_with_port(struct rig *rig, uint32_t selector, mach_port_t port)
{
	uint64_t reference[8];

	rig_reference(rig, 0, reference);
	return IOConnectCallAsyncScalarMethod(rig->connection, selector, port, reference, kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
}

static kern_return_t
no_port(struct rig *rig)
{
	kern_return_t ret = call_with_port(rig, kCallsKeepAndFail, kIOMainPortDefault);

	want(rig, strstr(adx_last_explanation(), "wakePort 0"), "adx_last_explanation() does not name the wake port");
	return ret;
}

static kern_return_t
main_port(struct rig *rig)
{
	mach_port_t port = MACH_PORT_NULL;

	(void)IOMainPort(MACH_PORT_NULL, &port);
	return call_with_port(rig, kCallsKeepAndFail, port);
}

static kern_return_t
synchronous(struct rig *rig)
{
	return call_plain(rig, kCallsKeepAndFail);
}

/* ---- T11 to T20: completions ---- */

static kern_return_t
not_retained(struct rig *rig)
{
	kern_return_t ret = rig_call_async(rig, kCallsNotRetained, 0);

	return ret == kIOReturnSuccess ? call_scalar(rig, kCallsComplete, 0) : ret;
}

static kern_return_t
dropped(struct rig *rig)
{
	static const char *const said[MAX_SAID] = { "selector 0" };
	kern_return_t ret = rig_call_async(rig, kCallsKeep, 0);

	if (ret == kIOReturnSuccess)
		ret = call_plain(rig, kCallsDrop);
	if (!rig->strict) {
		rig_run(rig, 1);
		want(rig, rig->n_calls == 1 && rig->result == kIOReturnAborted, "the client was not told that it is over");
		return ret;
	}
	while (!rig->wrong && adx_notification_port_dispatch(rig->port) == 0 && !strstr(adx_last_explanation(), "[T12]"))
		(void)poll(NULL, 0, 1);
	want(rig, rig_is_told("T12", said), "nothing says T12");
	want(rig, rig->n_calls == 0, "a callback came, which macOS does not send");
	return ret;
}

/* What the driver kept ends with it. */
static kern_return_t
driver_ended(struct rig *rig)
{
	kern_return_t ret = rig_call_async(rig, kCallsKeep, 0);

	want(rig, ret == kIOReturnSuccess, "the asynchronous call failed");
	ret = read_input(rig, 0);
	if (!rig->strict)
		rig_run(rig, 1);
	else
		(void)adx_notification_port_dispatch(rig->port);
	want(rig, rig->n_calls == !rig->strict, "the client was not told once, or strictly at all, that it is over");
	want(rig, rig->strict || rig->result == kIOReturnAborted, "the result was not kIOReturnAborted");
	return ret;
}

static kern_return_t
completed_after_error(struct rig *rig)
{
	kern_return_t ret = rig_call_async(rig, kCallsKeepAndFail, 0);

	want(rig, ret == kCallsFailure, "the driver's error did not arrive");
	ret = call_scalar(rig, kCallsComplete, 0);
	rig_run(rig, 1);
	return ret;
}

static kern_return_t
completed_before_error(struct rig *rig)
{
	kern_return_t ret = rig_call_async(rig, kCallsCompleteAndFail, 0);

	rig_run(rig, 1);
	return ret;
}

static kern_return_t
too_many_words(struct rig *rig)
{
	kern_return_t ret = rig_call_async(rig, kCallsKeep, 3);

	if (ret == kIOReturnSuccess)
		ret = call_scalar(rig, kCallsComplete, 20);
	want(rig, adx_notification_port_dispatch(rig->port) == 0 && rig->n_calls == 0, "a completion with 20 words came");
	if (ret == kIOReturnSuccess)
		ret = call_scalar(rig, kCallsComplete, 16);
	rig_run(rig, 1);
	want(rig, rig->n_args == 16 && rig->first_arg == 100, "a completion with 16 words did not come");
	return ret;
}

static kern_return_t
forms(struct rig *rig)
{
	kern_return_t ret = kIOReturnSuccess;

	for (unsigned n = 0; n <= 3 && ret == kIOReturnSuccess; n++) {
		uint64_t reference[8], words = n;
		rig_reference(rig, n, reference);
		ret = IOConnectCallAsyncScalarMethod(rig->connection, kCallsCompleteNow, wake_port(rig), reference, kIOAsyncCalloutCount,
						     &words, 1, NULL, NULL);
		rig_run(rig, n + 1);
		want(rig, rig->n_calls == n + 1 && rig->n_args == n, "the callback of another form was called");
	}
	return ret;
}

static kern_return_t
short_reference(struct rig *rig)
{
	uint64_t reference[8];

	rig_reference(rig, 0, reference);
	kern_return_t ret = IOConnectCallAsyncScalarMethod(rig->connection, kCallsKeep, wake_port(rig), reference, 1, NULL, 0, NULL, NULL);
	want(rig, strstr(adx_last_explanation(), "[T16]"), "adx_last_explanation() does not say it");
	return ret;
}

static kern_return_t
own_first_reference(struct rig *rig)
{
	uint64_t reference[8], words = 1;

	rig_reference(rig, 1, reference);
	reference[kIOAsyncReservedIndex] = 0x1234;
	kern_return_t ret = IOConnectCallAsyncScalarMethod(rig->connection, kCallsCompleteNow, wake_port(rig), reference,
							   kIOAsyncCalloutCount, &words, 1, NULL, NULL);
	rig_run(rig, 1);
	want(rig, rig->n_calls == 1 && rig->first_arg == 100, "a value in reference[0] kept the callback away");
	return ret;
}

/* The callback lets the call return: it can only run before that. */
static io_connect_t second_connection;
static kern_return_t second_result;

static void
let_go_on(void *refcon, IOReturn result)
{
	(void)refcon;
	second_result = IOConnectCallScalarMethod(second_connection, kCallsContinue, NULL, 0, NULL, NULL);
}

static void
nothing(void *context)
{
	(void)context;
}

static kern_return_t
callback_first(struct rig *rig)
{
	dispatch_queue_t queue = dispatch_queue_create("callbacks", NULL);
	uint64_t reference[8] = { 0 };

	second_connection = rig_open(DRIVER);
	second_result = kIOReturnNotReady;
	IONotificationPortSetDispatchQueue(rig->port, queue);
	reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)let_go_on;
	kern_return_t ret = IOConnectCallAsyncScalarMethod(rig->connection, kCallsCompleteAndWait, wake_port(rig), reference,
							   kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
	dispatch_sync_f(queue, NULL, nothing); /* the callback has returned */
	want(rig, second_result == kIOReturnSuccess, "the second connection's call failed");
	IOServiceClose(second_connection);
	IONotificationPortSetDispatchQueue(rig->port, NULL);
	dispatch_release(queue);
	return ret;
}

static kern_return_t
closed_first(struct rig *rig)
{
	uint64_t reference[8], words = 0;

	rig_reference(rig, 0, reference);
	kern_return_t ret = IOConnectCallAsyncScalarMethod(rig->connection, kCallsCompleteNow, wake_port(rig), reference,
							   kIOAsyncCalloutCount, &words, 1, NULL, NULL);
	IOServiceClose(rig->connection);
	rig->connection = 0;
	(void)adx_notification_port_dispatch(rig->port);
	want(rig, rig->n_calls == 0, "the callback ran on a closed connection");
	return ret;
}

/* AMBIDEXT_PATIENCE_MS is small here. */
static kern_return_t
nobody_receives(struct rig *rig)
{
	uint64_t reference[8], words = 0;
	kern_return_t ret = kIOReturnSuccess;

	rig_reference(rig, 0, reference);
	for (int i = 0; i < 1000 && ret == kIOReturnSuccess && !strstr(adx_last_explanation(), "[T20]"); i++) {
		ret = IOConnectCallAsyncScalarMethod(rig->connection, kCallsCompleteNow, wake_port(rig), reference, kIOAsyncCalloutCount,
						     &words, 1, NULL, NULL);
		(void)poll(NULL, 0, 1);
	}
	return ret;
}

/* ---- T21 to T26 ---- */

static kern_return_t
beyond_table(struct rig *rig)
{
	return call_plain(rig, kCallsCount);
}

static kern_return_t
no_row(struct rig *rig)
{
	return call_plain(rig, kCallsNoRow);
}

static kern_return_t
fail_with_output(struct rig *rig)
{
	uint64_t output = 1, bytes = 2;
	uint32_t n = 1;
	size_t size = sizeof bytes;
	kern_return_t ret = IOConnectCallMethod(rig->connection, kCallsFailWithOutput, NULL, 0, NULL, 0, &output, &n, &bytes, &size);

	want(rig, output == 1 && bytes == 2 && n == 1, "an error came with outputs");
	return ret;
}

static void *
wait_in_driver(void *context)
{
	struct rig *rig = context;

	rig->result = call_plain(rig, kCallsWait);
	return NULL;
}

static kern_return_t
blocked(struct rig *rig)
{
	static const char *const said[MAX_SAID] = { "_ExternalMethod" };
	io_connect_t other = rig_open(DRIVER);
	pthread_t thread;

	if (pthread_create(&thread, NULL, wait_in_driver, rig) != 0)
		return kIOReturnNoMemory;
	want(rig, rig_is_told("T23", said), "nothing is told while the call waits");
	kern_return_t ret = IOConnectCallScalarMethod(other, kCallsContinue, NULL, 0, NULL, NULL);
	(void)pthread_join(thread, NULL);
	IOServiceClose(other);
	return ret == kIOReturnSuccess ? rig->result : ret;
}

struct overlap {
	io_connect_t connection;
	uint64_t overlaps;
	kern_return_t ret;
};

static void *
call_often(void *context)
{
	struct overlap *overlap = context;

	for (int i = 0; i < 50 && overlap->ret == kIOReturnSuccess; i++) {
		uint32_t n = 1;
		overlap->ret = IOConnectCallScalarMethod(overlap->connection, kCallsOverlap, NULL, 0, &overlap->overlaps, &n);
	}
	return NULL;
}

static kern_return_t
serial(struct rig *rig)
{
	struct overlap overlaps[3] = { { rig->connection }, { rig->connection }, { rig->connection } };
	pthread_t threads[3];
	kern_return_t ret = kIOReturnSuccess;

	for (int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, call_often, &overlaps[i]) != 0)
			abort();
	for (int i = 0; i < 3; i++) {
		(void)pthread_join(threads[i], NULL);
		want(rig, overlaps[i].overlaps == 0, "two calls of a connection ran at once");
		ret = ret ? ret : overlaps[i].ret;
	}
	return ret;
}

static kern_return_t
unknown_trap(struct rig *rig)
{
	return IOConnectTrap2(rig->connection, 7, 1, 2);
}

static kern_return_t
set_port(struct rig *rig)
{
	return IOConnectSetNotificationPort(rig->connection, 0, wake_port(rig), 0);
}

static kern_return_t
add_client(struct rig *rig)
{
	return IOConnectAddClient(rig->connection, rig->connection);
}

static kern_return_t
reused_count(struct rig *rig)
{
	char output[64];
	size_t size = 8;
	uint64_t reference[8];
	uint32_t selector = kCallsKeep;
	kern_return_t ret;

	rig_reference(rig, 0, reference);
	ret = IOConnectCallAsyncStructMethod(rig->connection, selector, wake_port(rig), reference, kIOAsyncCalloutCount, NULL, 0, output,
					     &size);
	want(rig, size == 8, "the driver's 8 bytes did not come");
	/* The buffer has 64; what the driver may write is what the variable held. */
	size = 4;
	if (ret == kIOReturnSuccess)
		ret = IOConnectCallAsyncStructMethod(rig->connection, selector, wake_port(rig), reference, kIOAsyncCalloutCount, NULL, 0,
						     output, &size);
	want(rig, size == 4, "the count is not what was offered before the call");
	return ret;
}

const struct trap call_traps[] = {
	{ "T1: output later", DRIVER, later_output, 0, 0, "T1", { "TrapCallsClient selector 4", "64 bytes", "kept the completion" }, 0 },
	{ "T2: no output", DRIVER, no_output, 0, 0, "T2", { "selector 5", "offered 64 output bytes", "produced none" }, 0 },
	{ "T3: wide output", DRIVER, wide_output, kIOReturnBadArgument, 0, "T3", { "selector 6", "96 bytes", "offered 64" }, 0 },
	{ "T4: large input read", DRIVER, large_input, MIG_SERVER_DIED, 0, "T4",
	  { "TrapCallsClient selector 7", "5000 bytes", "structureInputDescriptor" }, TRAP_DIES },
	{ "T4: large input refused", DRIVER, refused_large_input, kIOReturnBadArgument, 0, "T4",
	  { "selector 8", "5000 bytes", "structureInputDescriptor", "0xe00002c2" }, 0 },
	{ "T4: 4096 bytes are inline", DRIVER, largest_inline_input, 0, 0, NULL, { NULL }, 0 },
	{ "T5: empty input read", DRIVER, empty_input, MIG_SERVER_DIED, 0, "T5",
	  { "TrapCallsClient selector 7", "structureInput is NULL", "no input" }, TRAP_DIES },
	{ "T6: inline output for a descriptor", DRIVER, inline_for_descriptor, kIOReturnBadArgument, 0, "T6",
	  { "selector 6", "32 bytes", "offered 8192" }, 0 },
	{ "T7: shared output keeps its size", DRIVER, short_output, 0, 0, NULL, { NULL }, 0 },
	{ "T8: checkCompletionExists left out", DRIVER, forgotten_completion, kIOReturnBadArgument, 0, "T8",
	  { "selector 10", "checkCompletionExists is 0", "asynchronous", "-1U" }, 0 },
	{ "T8: checkScalarInputCount left out", DRIVER, forgotten_scalar, kIOReturnBadArgument, 0, "T8",
	  { "selector 5", "scalarInputCount is 1", "checkScalarInputCount requires 0" }, 0 },
	{ "T9: scalars", DRIVER, wrong_scalars, kIOReturnBadArgument, 0, "T9",
	  { "selector 11", "scalarInputCount is 2", "checkScalarInputCount requires 1" }, 0 },
	{ "T9: input size", DRIVER, wrong_input_size, kIOReturnBadArgument, 0, "T9",
	  { "selector 11", "size is 12", "checkStructureInputSize requires 8" }, 0 },
	{ "T9: scalar outputs", DRIVER, wrong_scalar_outputs, kIOReturnBadArgument, 0, "T9",
	  { "selector 11", "scalarOutputCount is 3", "checkScalarOutputCount requires 1" }, 0 },
	{ "T9: output size", DRIVER, wrong_output_size, kIOReturnBadArgument, 0, "T9",
	  { "selector 11", "is 16", "checkStructureOutputSize requires 8" }, 0 },
	{ "T10: wake port 0", DRIVER, no_port, kIOReturnBadArgument, 0, "T10",
	  { "selector 13", "wakePort 0", "IONotificationPortGetMachPort(port)" }, 0 },
	{ "T10: wake port 0 at the driver", DRIVER, no_port, kIOReturnBadArgument, 0, "T10",
	  { "TrapCallsClient selector 13", "checkCompletionExists is 1", "no completion" }, 0 },
	{ "T10: main port", DRIVER, main_port, (kern_return_t)0x1000000a, 0, "T10", { "selector 13", "not a notification port" }, 0 },
	{ "T10: synchronous", DRIVER, synchronous, kIOReturnBadArgument, 0, "T10",
	  { "TrapCallsClient selector 13", "synchronous" }, 0 },
	{ "T11: not retained", DRIVER, not_retained, 0, 0, "T11", { "IOUserClient::AsyncCompletion", "OSAction", "had been released" }, 0 },
	{ "T12: dropped", DRIVER, dropped, 0, 0, "T12", { "selector 0", "without AsyncCompletion" }, 0 },
	{ "T12: driver ended", DRIVER, driver_ended, MIG_SERVER_DIED, 0, "T12", { "selector 0", "its driver ended" }, TRAP_DIES },
	{ "T13: completed after an error", DRIVER, completed_after_error, 0, 0, "T13", { "selector 13", "0xe00002c0" }, 0 },
	{ "T13: completed before an error", DRIVER, completed_before_error, kCallsFailure, 0, "T13", { "selector 14", "0xe00002c0" }, 0 },
	{ "T14: 20 words", DRIVER, too_many_words, 0, 0, "T14", { "AsyncCompletion", "20", "16" }, 0 },
	{ "T15: forms", DRIVER, forms, 0, 0, "T15", { "selector 15", "IOAsyncCallback2", "2 words" }, 0 },
	{ "T16: short reference", DRIVER, short_reference, kIOReturnBadArgument, 0, "T16",
	  { "selector 0", "referenceCnt is 1", "kIOAsyncCalloutCount (3)" }, 0 },
	{ "T17: reference[0]", DRIVER, own_first_reference, 0, 0, NULL, { NULL }, 0 },
	{ "T18: callback before return", DRIVER, callback_first, 0, 0, NULL, { NULL }, 0 },
	{ "T19: callback after close", DRIVER, closed_first, 0, 0, "T19", { "after IOServiceClose", "not run" }, 0 },
	{ "T20: nobody receives", DRIVER, nobody_receives, 0, 0, "T20", { "notification port", "neither a run loop source nor" }, 0 },
	{ "T21: beyond the table", DRIVER, beyond_table, kIOReturnBadArgument, 0, "T21",
	  { "TrapCallsClient selector 21", "not part of a table" }, 0 },
	{ "T21: no row", DRIVER, no_row, kIOReturnUnsupported, 0, "T21", { "selector 20", "no dispatch entry" }, 0 },
	{ "T22: error with outputs", DRIVER, fail_with_output, kCallsFailure, 0, NULL, { NULL }, 0 },
	{ "T23: blocked", DRIVER, blocked, 0, 0, "T23", { "_ExternalMethod", "ms" }, 0 },
	{ "T24: serial", DRIVER, serial, 0, 0, NULL, { NULL }, 0 },
	{ "T25: unknown trap", DRIVER, unknown_trap, kIOReturnUnsupported, SUCCESS_WHEN_STRICT, "T25", { "index 7", "not implemented" }, 0 },
	{ "T25: SetNotificationPort", DRIVER, set_port, kIOReturnUnsupported, 0, "T25", { "IOConnectSetNotificationPort" }, 0 },
	{ "T25: AddClient", DRIVER, add_client, kIOReturnUnsupported, 0, "T25", { "IOConnectAddClient" }, 0 },
	{ "T26: output size is an input", DRIVER, reused_count, 0, 0, NULL, { NULL }, 0 },
};
const unsigned n_call_traps = sizeof call_traps / sizeof *call_traps;
