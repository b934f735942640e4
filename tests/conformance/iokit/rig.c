/* SPDX-License-Identifier: MIT */
/* What all rows need: the driver, callbacks, and what was told. */

#include "rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ambidext/realm.h>

#define PATIENCE_S 10

static uint64_t log_from; /* lines after this one are the row's */
static io_connect_t shared;

/* ---- waiting ---- */

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

bool
wait_until(bool (*is_so)(void *context), void *context)
{
	double until = now() + PATIENCE_S;
	bool so;

	/* Looks at another process, which tells nobody: each look is a round trip. */
	while (!(so = is_so(context)) && now() < until)
		(void)poll(NULL, 0, 1);
	return so;
}

/* ---- the realm's log ---- */

struct wanted_line {
	const char *rule, *said;
};

static bool
text_of(CFDictionaryRef line, CFStringRef key, char *text, CFIndex size)
{
	CFStringRef string = CFDictionaryGetValue(line, key);

	return string && CFStringGetCString(string, text, size, kCFStringEncodingUTF8);
}

static bool
log_has(void *context)
{
	const struct wanted_line *wanted = context;
	char rule[32], text[2048];
	CFArrayRef lines = NULL;
	bool found = false;
	uint64_t next;

	if (adx_copy_log(log_from, NULL, &lines, &next) != kIOReturnSuccess)
		return false;
	for (CFIndex i = 0; i < CFArrayGetCount(lines) && !found; i++) {
		CFDictionaryRef line = CFArrayGetValueAtIndex(lines, i);

		found = text_of(line, CFSTR("rule"), rule, sizeof rule) &&
			text_of(line, CFSTR("text"), text, sizeof text) &&
			!strcmp(rule, wanted->rule) &&
			(!wanted->said || strstr(text, wanted->said));
	}
	CFRelease(lines);
	return found;
}

static void
log_show(void)
{
	CFArrayRef lines = NULL;
	char text[2048];
	uint64_t next;

	if (adx_copy_log(log_from, NULL, &lines, &next) != kIOReturnSuccess)
		return;
	for (CFIndex i = 0; i < CFArrayGetCount(lines); i++)
		if (text_of(CFArrayGetValueAtIndex(lines, i), CFSTR("text"), text, sizeof text))
			print_error("    log: %s\n", text);
	CFRelease(lines);
}

void
row_begin(void)
{
	CFArrayRef lines = NULL;

	assert_int_equal(adx_copy_log(log_from, NULL, &lines, &log_from), kIOReturnSuccess);
	CFRelease(lines);
}

void
assert_told(enum where where, const char *rule, const char *said)
{
	struct wanted_line wanted = { rule, said };
	char id[34];

	if (where == SAID_BY_DRIVER) {
		if (wait_until(log_has, &wanted))
			return;
		log_show();
		fail_msg("the log has no line of %s with '%s'", rule, said ? said : "");
	}
	(void)snprintf(id, sizeof id, "[%s]", rule);
	if (strncmp(adx_last_explanation(), id, strlen(id)) ||
	    (said && !strstr(adx_last_explanation(), said)))
		fail_msg("wanted %s with '%s', adx_last_explanation() is '%s'", id,
			 said ? said : "", adx_last_explanation());
}

/* ---- tables ---- */

static void
situation_test(void **state)
{
	const struct situation *row = *state;
	kern_return_t ret;

	row_begin();
	ret = row->act();
	if (ret != row->wanted)
		fail_msg("%s: 0x%08x (%s), wanted 0x%08x (%s)", row->name, (unsigned)ret,
			 mach_error_string(ret), (unsigned)row->wanted,
			 mach_error_string(row->wanted));
	if (row->rule)
		assert_told(row->where, row->rule, row->said);
}

int
situations_run(const char *name, const struct situation *rows, unsigned n_rows)
{
	struct CMUnitTest *tests = calloc(n_rows, sizeof *tests);
	int n_failed;

	if (!tests)
		return 1;
	for (unsigned i = 0; i < n_rows; i++)
		tests[i] = (struct CMUnitTest){ .name = rows[i].name,
						.test_func = situation_test,
						.initial_state = (void *)&rows[i] };
	n_failed = _cmocka_run_group_tests(name, tests, n_rows, NULL, NULL);
	free(tests);
	return n_failed;
}

/* ---- the driver ---- */

struct lookup {
	const char *name;
	io_service_t service;
};

static bool
is_there(void *context)
{
	struct lookup *lookup = context;

	lookup->service = IOServiceGetMatchingService(kIOMainPortDefault,
						      IOServiceNameMatching(lookup->name));
	return lookup->service != IO_OBJECT_NULL;
}

io_service_t
service_copy(const char *name)
{
	struct lookup lookup = { .name = name };

	assert_true(wait_until(is_there, &lookup));
	return lookup.service;
}

bool
driver_is_there(void)
{
	struct lookup lookup = { .name = DRIVER };
	bool there = wait_until(is_there, &lookup);

	if (there)
		(void)IOObjectRelease(lookup.service);
	else
		log_show();
	return there;
}

io_connect_t
connection_open(const char *name, uint32_t type)
{
	io_service_t service = service_copy(name);
	io_connect_t connection = IO_OBJECT_NULL;

	assert_int_equal(IOServiceOpen(service, mach_task_self(), type, &connection),
			 kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return connection;
}

io_connect_t
connection_shared(void)
{
	if (!shared)
		shared = connection_open(DRIVER, kTypeNormal);
	return shared;
}

kern_return_t
call0(io_connect_t connection, uint32_t selector)
{
	return IOConnectCallScalarMethod(connection, selector, NULL, 0, NULL, NULL);
}

kern_return_t
call1(io_connect_t connection, uint32_t selector, uint64_t a)
{
	return IOConnectCallScalarMethod(connection, selector, &a, 1, NULL, NULL);
}

kern_return_t
call3(io_connect_t connection, uint32_t selector, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t in[] = { a, b, c };

	return IOConnectCallScalarMethod(connection, selector, in, 3, NULL, NULL);
}

void
counts_get(uint64_t counts[4])
{
	uint32_t n = 4;

	assert_int_equal(
		IOConnectCallScalarMethod(connection_shared(), kCounts, NULL, 0, counts, &n),
		kIOReturnSuccess);
	assert_int_equal(n, 4);
}

static bool
is_alone(void *context)
{
	uint64_t *counts = context;

	counts_get(counts);
	return counts[3] == 1;
}

void
counts_settle(uint64_t counts[4])
{
	assert_true(wait_until(is_alone, counts));
}

/* ---- callbacks ---- */

static void
called(struct receiver *receiver, IOReturn result, uint32_t n_args, void **args)
{
	unsigned n = __atomic_load_n(&receiver->n_calls, __ATOMIC_ACQUIRE);

	receiver->results[n % MAX_EVENTS] = result;
	receiver->n_args = n_args;
	for (uint32_t i = 0; i < n_args && i < 16; i++)
		receiver->args[i] = (uintptr_t)args[i];
	__atomic_store_n(&receiver->n_calls, n + 1, __ATOMIC_RELEASE);
}

static void
called_0(void *refcon, IOReturn result)
{
	called(refcon, result, 0, NULL);
}

static void
called_1(void *refcon, IOReturn result, void *arg0)
{
	called(refcon, result, 1, &arg0);
}

static void
called_2(void *refcon, IOReturn result, void *arg0, void *arg1)
{
	void *args[] = { arg0, arg1 };

	called(refcon, result, 2, args);
}

static void
called_n(void *refcon, IOReturn result, void **args, uint32_t n_args)
{
	called(refcon, result, n_args, args);
}

void
receiver_init(struct receiver *receiver)
{
	*receiver = (struct receiver){ .port = IONotificationPortCreate(kIOMainPortDefault) };
	assert_non_null(receiver->port);
}

void
receiver_done(struct receiver *receiver)
{
	IONotificationPortDestroy(receiver->port);
}

void
receiver_reference(struct receiver *receiver, unsigned n_words, uint64_t reference[8])
{
	memset(reference, 0, 8 * sizeof *reference);
	reference[kIOAsyncCalloutRefconIndex] = (uintptr_t)receiver;
	reference[kIOAsyncCalloutFuncIndex] = n_words == 0   ? (uintptr_t)called_0
					      : n_words == 1 ? (uintptr_t)called_1
					      : n_words == 2 ? (uintptr_t)called_2
							     : (uintptr_t)called_n;
}

kern_return_t
receiver_call(struct receiver *receiver, io_connect_t connection, uint32_t selector,
	      unsigned n_words)
{
	uint64_t reference[8];

	receiver_reference(receiver, n_words, reference);
	return IOConnectCallAsyncScalarMethod(connection, selector,
					      IONotificationPortGetMachPort(receiver->port),
					      reference, kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
}

bool
receiver_run(struct receiver *receiver, unsigned n)
{
	struct pollfd fd = { .fd = adx_notification_port_get_fd(receiver->port), .events = POLLIN };
	double until = now() + PATIENCE_S;

	while (receiver->n_calls < n && now() < until) {
		(void)poll(&fd, 1, 100);
		(void)adx_notification_port_dispatch(receiver->port);
	}
	return receiver->n_calls >= n;
}

void
receiver_drain(struct receiver *receiver)
{
	struct pollfd fd = { .fd = adx_notification_port_get_fd(receiver->port), .events = POLLIN };

	while (poll(&fd, 1, 0) > 0 && adx_notification_port_dispatch(receiver->port) > 0)
		;
}
