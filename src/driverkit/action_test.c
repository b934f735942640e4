/* SPDX-License-Identifier: MIT */
/* Actions: targets, storage, order, cancelling, waiting. Nothing runs until the test runs jobs. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <DriverKit/OSString.h>

#include "base/rules.h"
#include "driverkit/action.h"
#include "driverkit/probe.h"
#include "driverkit/queue.h"
#include "driverkit/timer.h"
#include "driverkit/workers.h"

static Probe *probe;
static OSAction *action;
static unsigned fired, handled;
static uint64_t last_time;

static void
on_fired(OSObject *self, OSAction *by, uint64_t time)
{
	assert_ptr_equal(self, probe);
	assert_ptr_equal(by, action);
	assert_int_equal(handled, 0); /* none begins after the handler */
	fired++;
	last_time = time;
}

static void
on_handler(void *context)
{
	assert_string_equal(context, "context");
	handled++;
}

static void
invoke(uint64_t time)
{
	IOTimerDispatchSource_TimerOccurred(NULL, action, time);
}

static int
setup(void **state)
{
	fired = handled = 0;
	probe_fired = on_fired;
	probe = probe_new();
	assert_int_equal(Probe_CreateActionFired(probe, 24, &action), kIOReturnSuccess);
	return 0;
}

static int
teardown(void **state)
{
	OSSafeReleaseNULL(action);
	adxi_jobs_run();
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)probe),
			 1); /* nothing holds the target any more */
	OSSafeReleaseNULL(probe);
	return 0;
}

static void
test_type_allocated_target_works(void **state)
{
	invoke(7);
	assert_int_equal(fired, 0); /* one-way: never inline */
	adxi_jobs_run();
	assert_int_equal(fired, 1);
	assert_int_equal(last_time, 7);
}

static void
test_t27_is_told_once_a_class(void **state)
{
	OSAction *other = NULL;

	adxi_tell(ADXI_RULE_T37, "something else");
	assert_int_equal(Probe_CreateActionFired(probe, 0, &other), kIOReturnSuccess);
	assert_string_equal(told_rule(), "T37");
	OSSafeReleaseNULL(other);
}

static void
test_reference(void **state)
{
	OSAction *bare = NULL;
	uint8_t *reference = OSAction_GetReference(action);

	assert_non_null(reference);
	assert_int_equal((uintptr_t)reference % 16, 0);
	for (int i = 0; i < 24; i++)
		assert_int_equal(reference[i], 0);
	assert_int_equal(Probe_CreateActionFired(probe, 0, &bare), kIOReturnSuccess);
	assert_null(OSAction_GetReference(bare));
	assert_string_equal(told_rule(), "T31");
	OSSafeReleaseNULL(bare);
}

static void
test_cancel_drops_what_has_not_begun(void **state)
{
	invoke(1);
	invoke(2);
	assert_int_equal(OSAction_Cancel_f(action, (void *)"context", on_handler),
			 kIOReturnSuccess);
	assert_int_equal(OSAction_Cancel_f(action, (void *)"context", on_handler),
			 kIOReturnAborted);
	assert_int_equal(handled, 0); /* asynchronous */
	adxi_jobs_run();
	assert_int_equal(fired, 0);
	assert_int_equal(handled, 1);
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)probe),
			 1); /* the cycle is broken with the action still there */
	invoke(3);
	adxi_jobs_run();
	assert_int_equal(fired, 0);
	assert_int_equal(handled, 1);
}

static void
cancel_inside(OSObject *self, OSAction *by, uint64_t time)
{
	fired++;
	assert_int_equal(OSAction_Cancel_f(by, (void *)"context", on_handler), kIOReturnSuccess);
	assert_int_equal(handled, 0);
}

static void
test_cancel_from_the_callback(void **state)
{
	probe_fired = cancel_inside;
	invoke(1);
	invoke(2);
	adxi_jobs_run();
	assert_int_equal(fired, 1); /* the one that was running; the next one was dropped */
	assert_int_equal(handled, 1);
}

static void
test_aborted_handler_runs_once(void **state)
{
	void (*no_senders)(OS_OBJECT *) = OSAction_Class.hooks->no_senders;

	no_senders((OS_OBJECT *)action); /* nobody asked for it yet */
	adxi_jobs_run();
	assert_int_equal(OSAction_SetAbortedHandler_f(action, (void *)"context", on_handler),
			 kIOReturnSuccess);
	no_senders((OS_OBJECT *)action);
	no_senders((OS_OBJECT *)action);
	adxi_jobs_run();
	assert_int_equal(handled, 1);
	handled = 0;
	assert_int_equal(OSAction_SetAbortedHandler_f(action, NULL, NULL), kIOReturnSuccess);
}

static void
test_ids_by_hand(void **state)
{
	OSAction *by_hand = NULL;
	OSString *name = OSString_withCString("OSAction_Probe_Fired"),
		 *bad = OSString_withCString("Probe");

	/* The id of the method is enough to know the type that it wants. */
	assert_int_equal(OSAction_Create((OSObject *)probe, Probe_Fired_ID,
					 IOTimerDispatchSource_TimerOccurred_ID, 0, &by_hand),
			 kIOReturnSuccess);
	assert_string_equal(((OS_OBJECT *)by_hand)->meta->name, "OSAction_Probe_Fired");
	OSSafeReleaseNULL(by_hand);
	assert_int_equal(OSAction_CreateWithTypeName((OSObject *)probe, Probe_Fired_ID,
						     IOTimerDispatchSource_TimerOccurred_ID, 0,
						     name, &by_hand),
			 kIOReturnSuccess);
	OSSafeReleaseNULL(by_hand);
	assert_int_equal(OSAction_CreateWithTypeName((OSObject *)probe, Probe_Fired_ID,
						     IOTimerDispatchSource_TimerOccurred_ID, 0, bad,
						     &by_hand),
			 kIOReturnBadArgument);
	assert_int_equal(OSAction_Create((OSObject *)probe, 12345,
					 IOTimerDispatchSource_TimerOccurred_ID, 0, &by_hand),
			 kIOReturnBadArgument);
	assert_string_equal(told_rule(), "T33");
	assert_null(by_hand);
	OSSafeReleaseNULL(name);
	OSSafeReleaseNULL(bad);
}

static void
test_uninitialised_target_is_told(void **state)
{
	Probe *raw = OSTypeAlloc(Probe);
	OSAction *on_raw = NULL;

	assert_int_equal(Probe_CreateActionFired(raw, 0, &on_raw), kIOReturnSuccess);
	assert_string_equal(told_rule(), "T28");
	OSSafeReleaseNULL(on_raw);
	OSSafeReleaseNULL(raw);
}

static void
test_wait_times_out_and_aborts(void **state)
{
	OSActionWaitToken *token = NULL, *second = NULL;

	assert_int_equal(OSAction_WillWait(action, &token), kIOReturnSuccess);
	assert_int_equal(OSAction_WillWait(action, &second), kIOReturnBusy);
	assert_int_equal(OSAction_Wait(action, token, 1, 0),
			 kIOReturnBadArgument); /* no such clock */
	OSAction_Class.hooks->no_senders((OS_OBJECT *)action);
	assert_int_equal(OSAction_Wait(action, token, 0, 0), kIOReturnAborted);
	assert_int_equal(OSAction_EndWait(action, token), kIOReturnSuccess);
	assert_int_equal(OSAction_WillWait(action, &token), kIOReturnSuccess);
	assert_int_equal(adxi_workers_start(), 0);
	assert_int_equal(OSAction_Wait(action, token, 0x88, 1), kIOReturnTimeout);
	invoke(9); /* runs on a worker */
	assert_int_equal(OSAction_Wait(action, token, 0, 0), kIOReturnSuccess);
	assert_int_equal(last_time, 9);
	assert_int_equal(OSAction_EndWait(action, token), kIOReturnSuccess);
	adxi_workers_stop();
}

static struct adxi_queue *callback_queue;

static void
on_which_queue(OSObject *self, OSAction *by, uint64_t time)
{
	fired++;
	callback_queue = adxi_queue_current();
}

static void
create_here(void *unused)
{
	OSSafeReleaseNULL(action);
	assert_int_equal(Probe_CreateActionFired(probe, 0, &action), kIOReturnSuccess);
}

static void
wait_here(void *result)
{
	OSActionWaitToken *token = NULL;

	assert_int_equal(OSAction_WillWait(action, &token), kIOReturnSuccess);
	*(kern_return_t *)result = OSAction_Wait(action, token, 0, 0);
	assert_int_equal(OSAction_EndWait(action, token), kIOReturnSuccess);
}

static void
test_callbacks_run_where_the_action_was_created(void **state)
{
	struct adxi_queue *queue;
	kern_return_t ret = kIOReturnSuccess;

	probe_fired = on_which_queue;
	assert_int_equal(adxi_queue_new("driver", 0, &queue), 0);
	assert_int_equal(adxi_queue_sync(queue, create_here, NULL), 0);
	invoke(1);
	adxi_jobs_run();
	assert_int_equal(fired, 1);
	assert_ptr_equal(callback_queue, queue);
	/* And waiting for the callback there would never end. */
	assert_int_equal(adxi_queue_sync(queue, wait_here, &ret), 0);
	assert_int_equal(ret, kIOReturnCannotLock);
	assert_string_equal(told_rule(), "T36");
	adxi_queue_unref(queue);
}

static void
test_cycle_is_reported(void **state)
{
	assert_int_equal(adxi_actions_report((OSObject *)probe), 1);
	assert_string_equal(told_rule(), "T29");
}

static void
test_strict_refuses_type_allocated_targets(void **state)
{
	probe = probe_new();
	action = NULL;
	assert_int_equal(Probe_CreateActionFired(probe, 0, &action), kIOReturnBadArgument);
	assert_string_equal(told_rule(), "T27");
	assert_null(action);
	OSSafeReleaseNULL(probe);
}

int
main(void)
{
	const struct CMUnitTest strict[] = { cmocka_unit_test(
		test_strict_refuses_type_allocated_targets) };
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_type_allocated_target_works),
		TEST(test_t27_is_told_once_a_class),
		TEST(test_reference),
		TEST(test_cancel_drops_what_has_not_begun),
		TEST(test_cancel_from_the_callback),
		TEST(test_aborted_handler_runs_once),
		TEST(test_ids_by_hand),
		TEST(test_uninitialised_target_is_told),
		TEST(test_wait_times_out_and_aborts),
		TEST(test_callbacks_run_where_the_action_was_created),
		TEST(test_cycle_is_reported),
	};

	if (adxi_strict())
		return cmocka_run_group_tests_name("strict", strict, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
