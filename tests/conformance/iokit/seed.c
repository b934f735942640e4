/* SPDX-License-Identifier: MIT */
/* The call of seed B: as it was asked, and as it was answered. */

#include "rig.h"

#include <string.h>

struct seed {
	CFRunLoopRef loop;
	unsigned n_calls;
	IOReturn result;
	uint64_t args[16];
	uint32_t n_args;
};

static struct seed seed;

static void
async_callback(void *refcon, IOReturn result, void **args, uint32_t numArgs)
{
	seed.n_calls++;
	seed.result = result;
	seed.n_args = numArgs;
	for (uint32_t i = 0; i < numArgs && i < 16; i++)
		seed.args[i] = (uintptr_t)args[i];
	CFRunLoopStop(seed.loop);
}

/* With the structure output of the question, 16 bytes; the driver's row asks for a completion and
 * exactly that size. */
static kern_return_t
seed_call(mach_port_t port)
{
	io_async_ref64_t asyncRef = { 0 };
	uint8_t outputAssignCallback[16];
	size_t outputSize = sizeof outputAssignCallback;

	asyncRef[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)(uintptr_t)async_callback;
	asyncRef[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)0;
	return IOConnectCallAsyncStructMethod(connection_shared(), kCheckCompletion, port, asyncRef,
					      kIOAsyncCalloutCount, NULL, 0, &outputAssignCallback,
					      &outputSize);
}

static kern_return_t
as_asked(void)
{
	mach_port_t masterPort = kIOMasterPortDefault;
	kern_return_t ret = seed_call(masterPort);

	assert_told(SAID_BY_DRIVER, "T10", "wake port");
	return ret;
}

static kern_return_t
with_main_port(void)
{
	mach_port_t masterPort = MACH_PORT_NULL;

	assert_int_equal(IOMasterPort(MACH_PORT_NULL, &masterPort), kIOReturnSuccess);
	kern_return_t ret = seed_call(masterPort);
	assert_int_equal(mach_port_deallocate(mach_task_self(), masterPort), kIOReturnSuccess);
	return ret;
}

static kern_return_t
as_answered(void)
{
	IONotificationPortRef notify_port = IONotificationPortCreate(kIOMasterPortDefault);
	CFRunLoopSourceRef source = IONotificationPortGetRunLoopSource(notify_port);
	kern_return_t ret;

	memset(&seed, 0, sizeof seed);
	seed.loop = CFRunLoopGetCurrent();
	CFRunLoopAddSource(seed.loop, source, kCFRunLoopDefaultMode);
	ret = seed_call(IONotificationPortGetMachPort(notify_port));
	assert_int_equal(call3(connection_shared(), kComplete, 0, 5, 1), kIOReturnSuccess);
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, false),
			 kCFRunLoopRunStopped);
	assert_int_equal(seed.n_calls, 1);
	assert_int_equal(seed.result, kIOReturnSuccess);
	assert_int_equal(seed.n_args, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(seed.args[i], CONFORMANCE_WORD(i));
	CFRunLoopRemoveSource(seed.loop, source, kCFRunLoopDefaultMode);
	IONotificationPortDestroy(notify_port);
	return ret;
}

const struct situation seed_rows[] = {
	{ "as it was asked: masterPort as wake port", as_asked, kIOReturnBadArgument, "T10",
	  "IONotificationPortGetMachPort", SAID_BY_CLIENT },
	{ "as it was asked, the port from IOMasterPort", with_main_port, MACH_SEND_INVALID_RIGHT,
	  "T10", "wakePort", SAID_BY_CLIENT },
	{ "as it was answered", as_answered, kIOReturnSuccess },
};
const unsigned n_seed_rows = N_ROWS(seed_rows);
