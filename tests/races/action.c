/* SPDX-License-Identifier: MIT */
/* An action that is invoked by messages and without, while it is cancelled, waited for, let go of
 * by its peers, and its queue ends. */

#include <string.h>

#include "cases.h"
#include "driverkit/action.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/invoke.h"
#include "driverkit/probe.h"
#include "driverkit/queue.h"

enum { MAX_SENT = 8 };
enum {
	SENT,
	POSTED,
	RAN,
	NOT_RUN,
	CANCELLED,
	CANCELLED_AGAIN,
	HANDLED,
	ABORTED_HANDLER,
	WAIT_DONE,
	WAIT_ABORTED,
	WAIT_TIMED_OUT,
	WAIT_BUSY,
	QUEUE_ENDED,
	LET_GO,
	REPORTED,
};

static struct {
	Probe *probe;                 /* owned */
	OSAction *action;             /* owned */
	struct adxi_queue *queue;     /* owned; NULL: the process's */
	struct adxi_invoker *invoker; /* owned; NULL: its queue is for messages only */
	bool handled, running; /* on the queue, and after it: ThreadSanitizer sees it when not */
	unsigned n_handled, n_aborted;
	uint32_t n_sent, ran[MAX_SENT], dropped;
	_Atomic bool cancelled, queue_ended;
	bool posted;
} now;

static void
fired(OSObject *self, OSAction *by, uint64_t id)
{
	race_check((Probe *)self == now.probe && by == now.action, "a callback of something else");
	race_check(!now.running, "two callbacks of one queue at once");
	race_check(!now.handled, "a callback runs after the cancel handler");
	now.running = true;
	race_point();
	now.ran[id]++;
	race_count(RAN);
	if (race_random(16) == 0 && OSAction_Cancel_f(by, NULL, NULL) == kIOReturnSuccess)
		now.cancelled = true;
	race_point();
	now.running = false;
}

static void
handler(void *unused __attribute__((unused)))
{
	race_check(!now.running, "the cancel handler runs beside a callback");
	now.handled = true;
	now.n_handled++;
	race_count(HANDLED);
}

static void
aborted_handler(void *unused __attribute__((unused)))
{
	__atomic_fetch_add(&now.n_aborted, 1, __ATOMIC_RELAXED);
	race_count(ABORTED_HANDLER);
}

static void
create(void *unused __attribute__((unused)))
{
	race_check(Probe_CreateActionFired(now.probe, 16, &now.action) == kIOReturnSuccess,
		   "no action");
}

static void
call_fired(void *context, OS_OBJECT *target, const struct OSMethod *method __attribute__((unused)),
	   OSAction *action)
{
	fired((OSObject *)target, action, *(uint64_t *)context);
}

/* On the queue, without a message. */
static void
invoked(void *context __attribute__((unused)), bool dropped)
{
	uint64_t id = MAX_SENT - 1;

	if (dropped)
		__atomic_fetch_add(&now.dropped, 1, __ATOMIC_RELAXED);
	else if (!adxi_invoker_invoke(now.invoker, now.action,
				      IOTimerDispatchSource_TimerOccurred_ID,
				      IOTimerDispatchSource_TimerOccurred_Invoke, call_fired, &id))
		race_fail("an invocation is refused");
	adxi_action_let_go(now.action);
}

static void
begin(void)
{
	memset(&now, 0, sizeof now);
	driver_clock_set();
	probe_fired = fired;
	now.probe = probe_new();
	if (race_random(4) > 0) {
		race_check(adxi_queue_new("race", 0, &now.queue) == 0, "no queue");
		race_check(adxi_queue_sync(now.queue, create, NULL) == 0, "no action");
		now.invoker = adxi_invoker_new(now.action, invoked, NULL);
	} else {
		create(NULL);
	}
}

static void
send(void)
{
	unsigned n = 1 + race_random(MAX_SENT - 2);

	now.n_sent = n;
	for (unsigned i = 0; i < n; i++) {
		IOTimerDispatchSource_TimerOccurred(NULL, now.action, i);
		race_count(SENT);
	}
}

static void
cancel(void)
{
	kern_return_t ret;

	if (race_random(4) == 0)
		return;
	ret = OSAction_Cancel_f(now.action, NULL, handler);
	if (ret == kIOReturnSuccess) {
		race_count(CANCELLED);
		now.cancelled = true;
	} else {
		race_check(ret == kIOReturnAborted, "Cancel: %#x", (unsigned)ret);
		race_count(CANCELLED_AGAIN);
	}
}

static void
wait(void)
{
	OSActionWaitToken *token = NULL;
	kern_return_t ret = OSAction_WillWait(now.action, &token);

	if (ret == kIOReturnBusy) {
		race_count(WAIT_BUSY);
		return;
	}
	race_check(ret == kIOReturnSuccess, "WillWait: %#x", (unsigned)ret);
	ret = OSAction_Wait(now.action, token, 0x88, driver_now() + 1 + race_random(3000));
	race_count(ret == kIOReturnSuccess   ? WAIT_DONE
		   : ret == kIOReturnAborted ? WAIT_ABORTED
					     : WAIT_TIMED_OUT);
	race_check(ret == kIOReturnSuccess || ret == kIOReturnAborted || ret == kIOReturnTimeout,
		   "Wait: %#x", (unsigned)ret);
	race_check(OSAction_EndWait(now.action, token) == kIOReturnSuccess, "EndWait");
}

static void
let_go(void)
{
	race_check(OSAction_SetAbortedHandler_f(now.action, NULL, aborted_handler) ==
			   kIOReturnSuccess,
		   "SetAbortedHandler");
	adxi_action_let_go(now.action);
	race_count(LET_GO);
}

static void
meddle(void)
{
	switch (race_random(5)) {
	case 0:
		if (now.queue && adxi_queue_cancel(now.queue, NULL, NULL) == 0) {
			race_count(QUEUE_ENDED);
			now.queue_ended = true;
		}
		break;
	case 1:
		(void)adxi_actions_report((OSObject *)now.probe);
		race_count(REPORTED);
		break;
	case 2:
		wait();
		break;
	default:
		let_go();
		break;
	}
}

static void
actor(unsigned index)
{
	switch (index) {
	case 0:
		send();
		break;
	case 1:
		cancel();
		break;
	case 2:
		wait();
		break;
	case 3:
		meddle();
		break;
	default:
		driver_pass(race_random(2000));
		if (now.invoker) {
			now.posted = true;
			adxi_invoker_post(now.invoker);
			race_count(POSTED);
		}
	}
}

static void
end(void)
{
	unsigned n_ran = 0;

	driver_rest();
	for (unsigned i = 0; i < MAX_SENT; i++) {
		race_check(now.ran[i] <= 1, "invocation %u ran %u times", i, now.ran[i]);
		n_ran += now.ran[i];
	}
	if (n_ran < now.n_sent + now.posted) {
		race_check(now.cancelled || now.queue_ended, "%u invocations of %u ran", n_ran,
			   now.n_sent + now.posted);
		race_count(NOT_RUN);
	}
	race_check(now.n_handled <= 1 && now.n_aborted <= 1, "handlers ran %u and %u times",
		   now.n_handled, now.n_aborted);
	now.invoker = adxi_invoker_free(now.invoker);
	race_check(OSGetRetainCount((OS_OBJECT *)now.action) == 1, "the action has %u references",
		   (unsigned)OSGetRetainCount((OS_OBJECT *)now.action));
	OSSafeReleaseNULL(now.action);
	race_check(OSGetRetainCount((OS_OBJECT *)now.probe) == 1, "the target has %u references",
		   (unsigned)OSGetRetainCount((OS_OBJECT *)now.probe));
	OSSafeReleaseNULL(now.probe);
	now.queue = adxi_queue_unref(now.queue);
}

const struct race_case race_action = {
	.name = "action",
	.n_actors = 5,
	.n_workers = 2,
	.begin = begin,
	.actor = actor,
	.work = driver_work,
	.time = driver_time,
	.end = end,
	.counters = { [SENT] = "invoked",
		      [POSTED] = "invoked without a message",
		      [RAN] = "ran",
		      [NOT_RUN] = "not all ran",
		      [CANCELLED] = "cancelled",
		      [CANCELLED_AGAIN] = "cancelled again",
		      [HANDLED] = "cancel handlers",
		      [ABORTED_HANDLER] = "aborted handlers",
		      [WAIT_DONE] = "waits done",
		      [WAIT_ABORTED] = "waits aborted",
		      [WAIT_TIMED_OUT] = "waits timed out",
		      [WAIT_BUSY] = "waits refused",
		      [QUEUE_ENDED] = "queues ended",
		      [LET_GO] = "let go",
		      [REPORTED] = "reported" },
};
