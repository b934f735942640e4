/* SPDX-License-Identifier: MIT */
/* Timers on a clock that the test moves; the data queue's ring, whole and damaged. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <DriverKit/IOBufferMemoryDescriptor.h>

#include "driverkit/dispatch_queue.h"
#include "driverkit/probe.h"
#include "driverkit/timer.h"

static Probe *probe;
static IODispatchQueue *queue;
static IOTimerDispatchSource *timer;
static OSAction *action;
static uint64_t now_ns;
static unsigned fired, ended;

static uint64_t
test_clock(enum adxi_clock clock)
{
	return now_ns + (clock == ADXI_CLOCK_WALL ? 1000000 : 0);
}

static void
pass(uint64_t ns)
{
	now_ns += ns;
	for (int clock = 0; clock < ADXI_CLOCK_COUNT; clock++)
		adxi_timers_run((enum adxi_clock)clock);
	adxi_jobs_run();
}

static void
on_fired(OSObject *self, OSAction *by, uint64_t time)
{
	assert_true(IODispatchQueue_OnQueue(queue)); /* Create()'s queue */
	assert_int_equal(ended, 0);
	assert_true(time <= now_ns);
	fired++;
}

static void
on_end(void *unused)
{
	ended++;
}

static int
setup(void **state)
{
	fired = ended = 0;
	now_ns = 1000;
	adxi_timers_set_clock(test_clock);
	probe_fired = on_fired;
	probe = probe_new();
	assert_int_equal(IODispatchQueue_Create("timers", 0, 0, &queue), kIOReturnSuccess);
	assert_int_equal(IOTimerDispatchSource_Create(queue, &timer), kIOReturnSuccess);
	assert_int_equal(Probe_CreateActionFired(probe, 0, &action), kIOReturnSuccess);
	assert_int_equal(IOTimerDispatchSource_SetHandler(timer, action), kIOReturnSuccess);
	return 0;
}

static int
teardown(void **state)
{
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)timer),
			 1); /* no timer is armed, no work is queued */
	OSSafeReleaseNULL(timer);
	OSSafeReleaseNULL(action);
	OSSafeReleaseNULL(queue);
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)probe), 1);
	OSSafeReleaseNULL(probe);
	adxi_timers_set_clock(NULL);
	return 0;
}

static void
test_fires_once(void **state)
{
	assert_int_equal(IOTimerDispatchSource_WakeAtTime(timer, kIOTimerClockUptimeRaw, 1500, 0),
			 kIOReturnSuccess);
	pass(499);
	assert_int_equal(fired, 0);
	pass(1);
	assert_int_equal(fired, 1);
	pass(10000);
	assert_int_equal(fired, 1);
	assert_int_equal(IOTimerDispatchSource_WakeAtTime(timer, kIOTimerClockWallTime,
							  1000000 + now_ns + 5, 0),
			 kIOReturnSuccess);
	pass(5);
	assert_int_equal(fired, 2);
	assert_int_equal(IOTimerDispatchSource_WakeAtTime(timer, 3, 0, 0), kIOReturnBadArgument);
}

static void
test_a_later_deadline_replaces(void **state)
{
	IOTimerDispatchSource_WakeAtTime(timer, 0, 1100, 0);
	IOTimerDispatchSource_WakeAtTime(timer, 0, 2000, 0);
	pass(500);
	assert_int_equal(fired, 0);
	/* Also one whose callback is queued already. */
	now_ns = 2000;
	adxi_timers_run(ADXI_CLOCK_UPTIME);
	IOTimerDispatchSource_WakeAtTime(timer, 0, 3000, 0);
	adxi_jobs_run();
	assert_int_equal(fired, 0);
	pass(1000);
	assert_int_equal(fired, 1);
}

static void
test_disabled(void **state)
{
	assert_int_equal(IODispatchSource_SetEnableWithCompletion_f((IODispatchSource *)timer,
								    false, NULL, on_end),
			 kIOReturnSuccess);
	adxi_jobs_run();
	assert_int_equal(ended, 1);
	ended = 0;
	IOTimerDispatchSource_WakeAtTime(timer, 0, 1100, 0);
	pass(200);
	assert_int_equal(fired, 0);
	assert_int_equal(IODispatchSource_SetEnable((IODispatchSource *)timer, true),
			 kIOReturnSuccess);
	adxi_jobs_run();
	assert_int_equal(fired, 1); /* it was due meanwhile */
}

static void
test_cancel(void **state)
{
	IOTimerDispatchSource_WakeAtTime(timer, 0, 1100, 0);
	now_ns = 1100;
	adxi_timers_run(ADXI_CLOCK_UPTIME); /* the callback is queued */
	assert_int_equal(IODispatchSource_Cancel_f((IODispatchSource *)timer, NULL, on_end),
			 kIOReturnSuccess);
	assert_int_equal(IODispatchSource_Cancel_f((IODispatchSource *)timer, NULL, on_end),
			 kIOReturnAborted);
	assert_int_equal(ended, 0);
	adxi_jobs_run();
	assert_int_equal(fired, 0);
	assert_int_equal(ended, 1);
	assert_int_equal(IOTimerDispatchSource_WakeAtTime(timer, 0, 1200, 0), kIOReturnAborted);
	pass(1000);
	assert_int_equal(fired, 0);
	assert_int_equal(IODispatchSource_SetEnable((IODispatchSource *)timer, true),
			 kIOReturnUnsupported);
}

/* ---- data queue ---- */

static IODataQueueDispatchSource *data;
static uint32_t *ring; /* head, tail, flag */
static unsigned available, serviced;

static void
on_available(Probe *self, OSAction *by)
{
	available++;
}

static void
on_serviced(Probe *self, OSAction *by)
{
	serviced++;
}

static int
data_setup(void **state)
{
	IOMemoryDescriptor *memory = NULL;
	IOAddressSegment range;
	OSAction *by;

	available = serviced = 0;
	probe_available = on_available;
	probe_serviced = on_serviced;
	probe = probe_new();
	assert_int_equal(IODataQueueDispatchSource_Create(63, NULL, &data), kIOReturnBadArgument);
	assert_int_equal(IODataQueueDispatchSource_Create(64, NULL, &data), kIOReturnSuccess);
	assert_int_equal(Probe_CreateActionAvailable(probe, 0, &by), kIOReturnSuccess);
	assert_int_equal(IODataQueueDispatchSource_SetDataAvailableHandler(data, by),
			 kIOReturnSuccess);
	OSSafeReleaseNULL(by);
	assert_int_equal(Probe_CreateActionServiced(probe, 0, &by), kIOReturnSuccess);
	assert_int_equal(IODataQueueDispatchSource_SetDataServicedHandler(data, by),
			 kIOReturnSuccess);
	OSSafeReleaseNULL(by);
	assert_int_equal(IODataQueueDispatchSource_CopyMemory(data, &memory), kIOReturnSuccess);
	assert_int_equal(IOBufferMemoryDescriptor_GetAddressRange(
				 (IOBufferMemoryDescriptor *)memory, &range),
			 kIOReturnSuccess);
	ring = (uint32_t *)(uintptr_t)range.address;
	OSSafeReleaseNULL(memory);
	return 0;
}

static int
data_teardown(void **state)
{
	adxi_jobs_run();
	OSSafeReleaseNULL(data);
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)probe), 1);
	OSSafeReleaseNULL(probe);
	return 0;
}

static void
fill(void *value, void *bytes, size_t size)
{
	memset(bytes, *(const char *)value, size);
}

static void
check_entry(void *value, const void *bytes, size_t size)
{
	const char *expect = value; /* letter, length */

	assert_int_equal(size, expect[1]);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(((const char *)bytes)[i], expect[0]);
}

static kern_return_t
put(char letter, uint32_t size)
{
	return IODataQueueDispatchSource_Enqueue_f(data, size, &letter, fill);
}

static kern_return_t
get(char letter, char size)
{
	char expect[2] = { letter, size };

	return IODataQueueDispatchSource_Dequeue_f(data, expect, check_entry);
}

static void
test_ring(void **state)
{
	assert_int_equal(get('-', 0), kIOReturnUnderrun);
	assert_int_equal(put('a', 10), kIOReturnSuccess); /* 16 of 64 */
	assert_int_equal(put('b', 28), kIOReturnSuccess); /* 48 */
	assert_int_equal(put('c', 12), kIOReturnSuccess); /* 64: the tail stands at the end */
	assert_int_equal(put('d', 1), kIOReturnOverrun);
	adxi_jobs_run();
	assert_int_equal(available, 2); /* empty to not empty, and the overrun */
	assert_int_equal(IODataQueueDispatchSource_CanEnqueueData(data, 1), kIOReturnOverrun);
	assert_int_equal(get('a', 10), kIOReturnSuccess);
	adxi_jobs_run();
	assert_int_equal(serviced, 1);
	/* 16 free at the beginning; one byte of entries must stay free, so 12 and not 16 go in. */
	assert_int_equal(IODataQueueDispatchSource_CanEnqueueData(data, 12), kIOReturnOverrun);
	assert_int_equal(put('d', 8), kIOReturnSuccess);
	assert_int_equal(get('b', 28), kIOReturnSuccess);
	assert_int_equal(get('c', 12), kIOReturnSuccess);
	assert_true(IODataQueueDispatchSource_IsDataAvailable(data));
	assert_int_equal(get('d', 8), kIOReturnSuccess);
	assert_int_equal(get('-', 0), kIOReturnUnderrun);
	/* Each entry in turn, past every end. */
	for (int i = 0; i < 200; i++) {
		uint32_t size = (uint32_t)(i * 7 % 24);

		assert_int_equal(put('x', size), kIOReturnSuccess);
		assert_int_equal(get('x', (char)size), kIOReturnSuccess);
	}
}

static void
test_damaged_ring(void **state)
{
	static const struct {
		uint32_t head, tail, size;
	} damages[] = {
		{ 65, 0, 4 },          { 0, 68, 4 },  { 2, 32, 4 },           { 0, 32, 4000 },
		{ 0, 32, UINT32_MAX }, { 60, 8, 64 }, { 0xfffffffc, 64, 64 }, { 8, 0, 400 },
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		char expect[2] = { 0, 0 };
		kern_return_t ret;

		memset(ring, 0, 128 + 64);
		ring[0] = damages[i].head;
		ring[1] = damages[i].tail;
		for (int at = 0; at < 16; at++)
			ring[32 + at] = damages[i].size;
		ret = IODataQueueDispatchSource_Peek_f(data, expect, NULL);
		assert_int_equal(ret, kIOReturnError);
	}
	memset(ring, 0, 128);
	ring[0] = 999;
	assert_int_equal(put('x', 4), kIOReturnUnderrun);
	assert_int_equal(IODataQueueDispatchSource_CanEnqueueData(data, 4), kIOReturnError);
	assert_int_equal(IODataQueueDispatchSource_CanEnqueueData(data, UINT32_MAX),
			 kIOReturnError);
	memset(ring, 0, 128);
	assert_int_equal(put('x', UINT32_MAX), kIOReturnOverrun);
	memset(ring, 0, 128);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fires_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_later_deadline_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disabled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ring, data_setup, data_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_ring, data_setup, data_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
