/* SPDX-License-Identifier: MIT */
/* Asynchronous calls: the forms of callbacks, and the ways to receive them. */

#include "rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <dispatch/dispatch.h>

static void
check_args(const struct receiver *receiver, uint32_t n)
{
	assert_int_equal(receiver->n_args, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(receiver->args[i], CONFORMANCE_WORD(i));
}

static kern_return_t
forms(void)
{
	static const uint32_t words[] = { 0, 1, 2, 3, 4, 15, 16 };
	struct receiver receiver;

	for (unsigned i = 0; i < N_ROWS(words); i++) {
		receiver_init(&receiver);
		assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, words[i]),
				 kIOReturnSuccess);
		assert_int_equal(
			call3(connection_shared(), kComplete, CONFORMANCE_FAILURE, words[i], 1),
			kIOReturnSuccess);
		assert_true(receiver_run(&receiver, 1));
		assert_int_equal(receiver.results[0], FAILURE);
		check_args(&receiver, words[i]);
		receiver_done(&receiver);
	}
	return kIOReturnSuccess;
}

/* 17 words vanish; what follows comes. */
static kern_return_t
too_many(void)
{
	struct receiver receiver;

	receiver_init(&receiver);
	assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, 1), kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 7, 17, 1), kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 8, 1, 1), kIOReturnSuccess);
	assert_true(receiver_run(&receiver, 1));
	assert_int_equal(receiver.results[0], 8);
	receiver_drain(&receiver);
	assert_int_equal(receiver.n_calls, 1);
	receiver_done(&receiver);
	return kIOReturnSuccess;
}

static kern_return_t
in_order(void)
{
	struct receiver receiver;

	receiver_init(&receiver);
	assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, 2), kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 0, 2, MAX_EVENTS), kIOReturnSuccess);
	assert_true(receiver_run(&receiver, MAX_EVENTS));
	for (unsigned i = 0; i < MAX_EVENTS; i++)
		assert_int_equal(receiver.results[i], i);
	receiver_drain(&receiver);
	assert_int_equal(receiver.n_calls, MAX_EVENTS);
	receiver_done(&receiver);
	return kIOReturnSuccess;
}

/* The driver completes before it returns: no callback inside the call, one after it. */
static kern_return_t
before_return(void)
{
	const uint64_t in[2] = { 3, 1 };
	struct receiver receiver;
	uint64_t reference[8];
	kern_return_t ret;

	receiver_init(&receiver);
	receiver_reference(&receiver, 1, reference);
	reference[kIOAsyncReservedIndex] = 0x1234;
	ret = IOConnectCallAsyncScalarMethod(connection_shared(), kCompleteNow,
					     IONotificationPortGetMachPort(receiver.port),
					     reference, kIOAsyncCalloutCount, in, 2, NULL, NULL);
	assert_int_equal(receiver.n_calls, 0);
	assert_int_equal(reference[kIOAsyncReservedIndex],
			 0x1234); /* the library's copy is what is overwritten */
	assert_true(receiver_run(&receiver, 1));
	assert_int_equal(receiver.results[0], 3);
	check_args(&receiver, 1);
	receiver_done(&receiver);
	return ret;
}

/* No reference: it completes, and there is nothing to call. */
static kern_return_t
no_reference(void)
{
	struct receiver receiver;
	kern_return_t ret;

	receiver_init(&receiver);
	ret = IOConnectCallAsyncScalarMethod(connection_shared(), kKeep,
					     IONotificationPortGetMachPort(receiver.port), NULL, 0,
					     NULL, 0, NULL, NULL);
	assert_int_equal(call3(connection_shared(), kComplete, 0, 0, 1), kIOReturnSuccess);
	receiver.n_calls = 0;
	while (adx_notification_port_dispatch(receiver.port) == 0)
		;
	assert_int_equal(receiver.n_calls, 0);
	receiver_done(&receiver);
	return ret;
}

/* The driver lets go of the completion. */
static kern_return_t
dropped(void)
{
	struct receiver receiver;

	receiver_init(&receiver);
	assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, 0), kIOReturnSuccess);
	assert_int_equal(call0(connection_shared(), kDrop), kIOReturnSuccess);
	assert_true(receiver_run(&receiver, 1));
	kern_return_t ret = receiver.results[0];
	receiver_drain(&receiver);
	assert_int_equal(receiver.n_calls, 1);
	receiver_done(&receiver);
	return ret;
}

/* The port is gone when the completion comes: the call that completes notices nothing. */
static kern_return_t
port_destroyed(void)
{
	struct receiver receiver;

	receiver_init(&receiver);
	assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, 0), kIOReturnSuccess);
	receiver_done(&receiver);
	kern_return_t ret = call3(connection_shared(), kComplete, 0, 0, 1);
	assert_int_equal(call0(connection_shared(), kCheckNothing), kIOReturnSuccess);
	assert_int_equal(receiver.n_calls, 0);
	return ret;
}

/* ---- an output in shared memory ---- */

static void *
no_work(void *context)
{
	return context;
}

/* In a program with threads what malloc gave is brought up to date before each callback. */
static kern_return_t
output_before_callback(void)
{
	enum { SIZE = 9000 };
	uint8_t *bytes = calloc(1, SIZE + 8);
	struct receiver receiver;
	size_t size = SIZE;
	pthread_t thread;

	assert_non_null(bytes);
	assert_int_equal(pthread_create(&thread, NULL, no_work, NULL), 0);
	receiver_init(&receiver);
	assert_int_equal(IOConnectCallStructMethod(connection_shared(), kKeepOutput, NULL, 0,
						   bytes + 8, &size),
			 kIOReturnSuccess);
	assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, 0), kIOReturnSuccess);
	assert_int_equal(call1(connection_shared(), kWriteKept, SIZE), kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 0, 0, 1), kIOReturnSuccess);
	assert_true(receiver_run(&receiver, 1));
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(bytes[8 + i], CONFORMANCE_BYTE(i));
	assert_int_equal(pthread_join(thread, NULL), 0);
	receiver_done(&receiver);
	free(bytes);
	return kIOReturnSuccess;
}

static bool
is_written(void *context)
{
	const volatile uint8_t *bytes = context;

	return bytes[8191] == CONFORMANCE_BYTE(8191);
}

/* Pages that were shared before, and are no more, are shared again. */
static kern_return_t
pages_again(void)
{
	enum { N = 20, SIZE = 8192 };
	uint8_t *bytes =
		mmap(NULL, N * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	io_connect_t other = connection_open(DRIVER, kTypeNormal);
	const uint64_t n_written = SIZE;
	size_t size = SIZE;
	pthread_t thread;

	assert_true(bytes != MAP_FAILED);
	assert_int_equal(pthread_create(&thread, NULL, no_work, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(IOConnectCallMethod(other, kWriteOutput, &n_written, 1, NULL, 0,
						     NULL, NULL, bytes + i * SIZE, &size),
				 kIOReturnSuccess);
	memset(bytes, 0, N * SIZE);
	assert_int_equal(
		IOConnectCallStructMethod(connection_shared(), kKeepOutput, NULL, 0, bytes, &size),
		kIOReturnSuccess);
	assert_int_equal(call1(connection_shared(), kWriteKept, SIZE), kIOReturnSuccess);
	assert_true(wait_until(is_written, bytes));
	assert_int_equal(IOServiceClose(other), kIOReturnSuccess);
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(bytes[i], CONFORMANCE_BYTE(i));
	for (unsigned i = SIZE; i < N * SIZE; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(munmap(bytes, N * SIZE), 0);
	return kIOReturnSuccess;
}

/* ---- receivers ---- */

static void
stop_loop(void *refcon, IOReturn result, void *arg0)
{
	*(uint64_t *)refcon = (uintptr_t)arg0;
	CFRunLoopStop(CFRunLoopGetCurrent());
}

static kern_return_t
run_loop(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	CFRunLoopSourceRef source = IONotificationPortGetRunLoopSource(port);
	uint64_t got = 0, reference[8] = { 0 };

	assert_non_null(source);
	assert_ptr_equal(IONotificationPortGetRunLoopSource(port), source);
	reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)stop_loop;
	reference[kIOAsyncCalloutRefconIndex] = (uintptr_t)&got;
	assert_int_equal(IOConnectCallAsyncScalarMethod(
				 connection_shared(), kKeep, IONotificationPortGetMachPort(port),
				 reference, kIOAsyncCalloutCount, NULL, 0, NULL, NULL),
			 kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 0, 1, 1), kIOReturnSuccess);
	CFRunLoopAddSource(CFRunLoopGetCurrent(), source, kCFRunLoopDefaultMode);
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, false),
			 kCFRunLoopRunStopped);
	assert_int_equal(got, CONFORMANCE_WORD(0));
	CFRetain(source);
	IONotificationPortDestroy(port);
	assert_false(CFRunLoopSourceIsValid(source));
	CFRelease(source);
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, false),
			 kCFRunLoopRunTimedOut);
	return kIOReturnSuccess;
}

static bool
has_called(void *context)
{
	const struct receiver *receiver = context;

	return __atomic_load_n(&receiver->n_calls, __ATOMIC_ACQUIRE) > 0;
}

/* On a queue, then on none, then by hand. */
static kern_return_t
dispatch_queue(void)
{
	dispatch_queue_t queue = dispatch_queue_create("conformance", NULL);
	struct receiver receiver;

	receiver_init(&receiver);
	IONotificationPortSetDispatchQueue(receiver.port, queue);
	assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, 3), kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 0, 3, 1), kIOReturnSuccess);
	assert_true(wait_until(has_called, &receiver));
	check_args(&receiver, 3);
	IONotificationPortSetDispatchQueue(receiver.port, NULL);
	assert_int_equal(call3(connection_shared(), kComplete, 5, 3, 1), kIOReturnSuccess);
	assert_true(receiver_run(&receiver, 2));
	assert_int_equal(receiver.results[1], 5);
	receiver_done(&receiver);
	dispatch_release(queue);
	return kIOReturnSuccess;
}

static kern_return_t
ports_apart(void)
{
	struct receiver one, other;

	receiver_init(&one);
	receiver_init(&other);
	assert_int_not_equal(IONotificationPortGetMachPort(one.port),
			     IONotificationPortGetMachPort(other.port));
	assert_int_equal(receiver_call(&one, connection_shared(), kKeep, 0), kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 1, 0, 1), kIOReturnSuccess);
	assert_int_equal(receiver_call(&other, connection_shared(), kKeep, 0), kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 2, 0, 1), kIOReturnSuccess);
	assert_true(receiver_run(&other, 1));
	assert_true(receiver_run(&one, 1));
	assert_int_equal(one.results[0], 1);
	assert_int_equal(other.results[0], 2);
	assert_int_equal(one.n_calls + other.n_calls, 2);
	receiver_done(&one);
	receiver_done(&other);
	return kIOReturnSuccess;
}

static kern_return_t
receive_port_type(void)
{
	mach_port_t port;

	assert_int_equal(IOCreateReceivePort(kOSNotificationMessageID, &port), kIOReturnSuccess);
	assert_int_equal(mach_port_deallocate(mach_task_self(), port), kIOReturnSuccess);
	return IOCreateReceivePort(54, &port);
}

const struct situation async_rows[] = {
	{ "0, 1, 2, 3, 4, 15 and 16 words", forms, kIOReturnSuccess },
	{ "17 words are dropped", too_many, kIOReturnSuccess, "T14", NULL, SAID_BY_DRIVER },
	{ "many completions of one call arrive in order", in_order, kIOReturnSuccess },
	{ "a completion before the call returns", before_return, kIOReturnSuccess },
	{ "no reference", no_reference, kIOReturnSuccess, "T16", "no callback", SAID_BY_CLIENT },
	{ "a completion that the driver drops", dropped, kIOReturnAborted, "T12", NULL,
	  SAID_BY_DRIVER },
	{ "the port is destroyed before", port_destroyed, kIOReturnSuccess },
	{ "a large output is there when the callback runs", output_before_callback,
	  kIOReturnSuccess },
	{ "pages shared again, written later, with threads", pages_again, kIOReturnSuccess },
	{ "a run loop receives", run_loop, kIOReturnSuccess },
	{ "a dispatch queue receives", dispatch_queue, kIOReturnSuccess },
	{ "each port gets its own", ports_apart, kIOReturnSuccess },
	{ "a receive port of an unknown type", receive_port_type, kIOReturnBadArgument },
};
const unsigned n_async_rows = N_ROWS(async_rows);
