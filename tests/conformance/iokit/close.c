/* SPDX-License-Identifier: MIT */
/* The end of a connection: by IOServiceClose, by the last reference, by the client's death, by the
 * driver. */

#include "rig.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

struct wanted_counts {
	uint64_t stopped, freed;
};

static bool
is_ended(void *context)
{
	const struct wanted_counts *wanted = context;
	uint64_t counts[4];

	counts_get(counts);
	return counts[1] >= wanted->stopped && counts[2] >= wanted->freed;
}

/* The driver's Stop and free run once for what ended since @p before. */
static void
assert_ended(const uint64_t before[4])
{
	struct wanted_counts wanted = { before[1] + 1, before[2] + 1 };
	uint64_t after[4];

	assert_true(wait_until(is_ended, &wanted));
	counts_get(after);
	assert_int_equal(after[1], wanted.stopped);
	assert_int_equal(after[2], wanted.freed);
}

static kern_return_t
closed(void)
{
	uint64_t before[4];
	io_connect_t connection;

	counts_settle(before);
	connection = connection_open(DRIVER, kTypeNormal);
	assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
	assert_ended(before);
	return IOServiceClose(connection); /* the handle went with it */
}

static kern_return_t
closed_twice(void)
{
	io_connect_t connection = connection_open(DRIVER, kTypeNormal);

	assert_int_equal(IOConnectAddRef(connection), kIOReturnSuccess);
	assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
	assert_int_equal(call0(connection, kCheckNothing), MACH_SEND_INVALID_DEST);
	return IOServiceClose(connection);
}

static kern_return_t
released(void)
{
	uint64_t before[4];
	io_connect_t connection;

	counts_settle(before);
	connection = connection_open(DRIVER, kTypeNormal);
	assert_int_equal(IOConnectAddRef(connection), kIOReturnSuccess);
	assert_int_equal(IOConnectRelease(connection), kIOReturnSuccess);
	assert_int_equal(call0(connection, kCheckNothing), kIOReturnSuccess);
	assert_int_equal(IOConnectRelease(connection), kIOReturnSuccess);
	assert_ended(before);
	return call0(connection, kCheckNothing);
}

static kern_return_t
close_0(void)
{
	return IOServiceClose(IO_OBJECT_NULL);
}

static kern_return_t
close_service(void)
{
	io_service_t service = service_copy(DRIVER);
	kern_return_t ret = IOServiceClose(service);

	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return ret;
}

/* ---- closing during a call ---- */

struct blocked {
	io_connect_t connection, other;
	bool ended_before_close; /* the method, when IOServiceClose returned */
	kern_return_t call_result, close_result;
};

static bool
is_blocked(void *context)
{
	struct blocked *b = context;
	uint64_t n = 0;
	uint32_t count = 1;

	return IOConnectCallScalarMethod(b->other, kIsBlocked, NULL, 0, &n, &count) ==
		       kIOReturnSuccess &&
	       n == 1;
}

static void *
call_blocks(void *context)
{
	struct blocked *b = context;

	b->call_result = call0(b->connection, kBlock);
	return NULL;
}

static void *
close_waits(void *context)
{
	struct blocked *b = context;

	b->close_result = IOServiceClose(b->connection);
	b->ended_before_close = !is_blocked(b);
	return NULL;
}

static kern_return_t
waits_for_calls(void)
{
	struct blocked b = { .call_result = -1 };
	pthread_t caller, closer;

	b.connection = connection_open(DRIVER, kTypeNormal);
	b.other = connection_open(DRIVER, kTypeNormal);
	assert_int_equal(pthread_create(&caller, NULL, call_blocks, &b), 0);
	assert_true(wait_until(is_blocked, &b));
	assert_int_equal(pthread_create(&closer, NULL, close_waits, &b), 0);
	assert_int_equal(call0(b.other, kUnblock), kIOReturnSuccess);
	assert_int_equal(pthread_join(closer, NULL), 0);
	assert_int_equal(pthread_join(caller, NULL), 0);
	assert_int_equal(b.close_result, kIOReturnSuccess);
	assert_true(b.ended_before_close);
	assert_int_equal(IOServiceClose(b.other), kIOReturnSuccess);
	return b.call_result;
}

/* What had arrived before and was not dispatched is not delivered after. */
static kern_return_t
no_callback_after(void)
{
	io_connect_t connection = connection_open(DRIVER, kTypeNormal);
	struct receiver receiver;
	kern_return_t ret;

	receiver_init(&receiver);
	assert_int_equal(receiver_call(&receiver, connection, kKeep, 0), kIOReturnSuccess);
	assert_int_equal(call3(connection, kComplete, 0, 0, 3), kIOReturnSuccess);
	ret = IOServiceClose(connection);
	receiver_drain(&receiver);
	assert_int_equal(receiver.n_calls, 0);
	receiver_done(&receiver);
	return ret;
}

/* ---- a client that ends ---- */

static kern_return_t
client_ends(void)
{
	char *arguments[] = { (char *)"iokit-conformance", (char *)"--open-and-end", NULL };
	uint64_t before[4];
	int status;
	pid_t pid;

	counts_settle(before);
	assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status)); /* killed itself with its connection open */
	assert_ended(before);
	return kIOReturnSuccess;
}

/* ---- a user client that ends ---- */

static bool
is_dead(void *context)
{
	return call0(*(io_connect_t *)context, kCheckNothing) == MACH_SEND_INVALID_DEST;
}

static kern_return_t
driver_terminates(void)
{
	uint64_t before[4];
	io_connect_t connection;
	kern_return_t ret;

	counts_settle(before);
	connection = connection_open(DRIVER, kTypeNormal);
	assert_int_equal(call0(connection, kTerminate), kIOReturnSuccess);
	(void)wait_until(is_dead, &connection);
	ret = call0(connection, kCheckNothing);
	assert_ended(before);
	assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
	return ret;
}

const struct situation close_rows[] = {
	{ "Stop and free run once, a second close finds nothing", closed, MACH_SEND_INVALID_DEST },
	{ "a second close with a reference held", closed_twice, kIOReturnSuccess },
	{ "the last release closes", released, MACH_SEND_INVALID_DEST },
	{ "close of 0", close_0, MACH_SEND_INVALID_DEST },
	{ "close of a service", close_service, kIOReturnBadArgument },
	{ "close waits for a call under way", waits_for_calls, kIOReturnSuccess },
	{ "no callback after close", no_callback_after, kIOReturnSuccess },
	{ "the client's process ends", client_ends, kIOReturnSuccess },
	{ "the user client terminates itself", driver_terminates, MACH_SEND_INVALID_DEST },
};
const unsigned n_close_rows = N_ROWS(close_rows);
