/* SPDX-License-Identifier: MIT */
/* Dispatch sources: a timer that is armed, disabled, given another handler and cancelled while its
 * deadline passes; a data queue with one producer and one consumer, cancelled under them. */

#include <string.h>

#include <DriverKit/IODataQueueDispatchSource.h>
#include <DriverKit/IOTimerDispatchSource.h>

#include "cases.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/probe.h"

static struct {
	Probe *probe;                                   /* owned */
	OSAction *actions[2];                           /* owned */
	IODispatchQueue *queue;                         /* owned */
	IOTimerDispatchSource *timer;                   /* owned */
	_Atomic bool cancelled, queue_ended, disturbed; /* disturbed: no handler for a while, so a
							   deadline may have passed unheard */
	/* One at a time, and after the callbacks: ThreadSanitizer sees it when not */
	bool handled, running;
	unsigned n_fired, n_handled;
	_Atomic unsigned n_armed, n_toggled, n_toggles;
	/* The data queue's */
	IODataQueueDispatchSource *data; /* owned */
	uint32_t n_put, n_got;
	bool is_put;
} now;

static void
begin(void)
{
	memset(&now, 0, sizeof now);
	driver_clock_set();
	now.probe = probe_new();
	race_check(IODispatchQueue_Create("race", 0, 0, &now.queue) == kIOReturnSuccess,
		   "no queue");
}

static void
end(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!now.actions[i])
			continue;
		race_check(OSGetRetainCount((OS_OBJECT *)now.actions[i]) == 1,
			   "action %u has %u references", i,
			   (unsigned)OSGetRetainCount((OS_OBJECT *)now.actions[i]));
		OSSafeReleaseNULL(now.actions[i]);
	}
	race_check(OSGetRetainCount((OS_OBJECT *)now.probe) == 1, "the target has %u references",
		   (unsigned)OSGetRetainCount((OS_OBJECT *)now.probe));
	OSSafeReleaseNULL(now.probe);
	OSSafeReleaseNULL(now.queue);
}

static void
end_queue(unsigned counter)
{
	if (IODispatchQueue_Cancel(now.queue, NULL) == kIOReturnSuccess) {
		now.queue_ended = true;
		race_count(counter);
	}
}

/* The cancel handler of the source. */
static void
handler(void *unused __attribute__((unused)))
{
	race_check(!now.running, "the cancel handler runs beside a callback");
	now.handled = true;
	now.n_handled++;
}

/* ---------------------------------------------------------------------------------------------
 * Timer
 */

enum {
	ARMED,
	ARMED_LATE,
	FIRED,
	DISABLED,
	ENABLED,
	TOGGLED,
	HANDLER_SET,
	HANDLER_REMOVED,
	CANCELLED,
	TIMER_QUEUE_ENDED
};

static void
fired(OSObject *self, OSAction *by, uint64_t time)
{
	race_check((Probe *)self == now.probe && (by == now.actions[0] || by == now.actions[1]),
		   "a callback of something else");
	race_check(IODispatchQueue_OnQueue(now.queue), "a callback on another queue");
	race_check(!now.running, "two callbacks at once");
	race_check(!now.handled, "a callback runs after the cancel handler");
	race_check(time <= driver_now(), "it fired before its time");
	now.running = true;
	race_point();
	now.n_fired++;
	race_count(FIRED);
	if (race_random(4) == 0 &&
	    IOTimerDispatchSource_WakeAtTime(now.timer, 0, driver_now() + 1 + race_random(300),
					     0) == kIOReturnSuccess)
		now.n_armed++;
	now.running = false;
}

static void
timer_begin(void)
{
	begin();
	probe_fired = fired;
	race_check(IOTimerDispatchSource_Create(now.queue, &now.timer) == kIOReturnSuccess,
		   "no timer");
	for (unsigned i = 0; i < 2; i++)
		race_check(Probe_CreateActionFired(now.probe, 0, &now.actions[i]) ==
				   kIOReturnSuccess,
			   "no action");
	race_check(IOTimerDispatchSource_SetHandler(now.timer, now.actions[0]) == kIOReturnSuccess,
		   "SetHandler");
}

static void
arm(void)
{
	unsigned n = 1 + race_random(3);

	for (unsigned i = 0; i < n; i++) {
		kern_return_t ret = IOTimerDispatchSource_WakeAtTime(
			now.timer, 0, driver_now() + race_random(500), 0);

		race_check(ret == kIOReturnSuccess || ret == kIOReturnAborted, "WakeAtTime: %#x",
			   (unsigned)ret);
		race_count(ret == kIOReturnSuccess ? ARMED : ARMED_LATE);
		if (ret == kIOReturnSuccess)
			now.n_armed++;
	}
}

static void
toggled(void *unused __attribute__((unused)))
{
	now.n_toggled++;
	race_count(TOGGLED);
}

static void
toggle(void)
{
	unsigned n = 1 + race_random(3);

	for (unsigned i = 0; i < n; i++) {
		bool enable = race_random(2);
		kern_return_t ret;

		ret = IOTimerDispatchSource_SetEnableWithCompletion_f(now.timer, enable, NULL,
								      toggled);
		race_check(ret == kIOReturnSuccess || ret == kIOReturnUnsupported, "SetEnable: %#x",
			   (unsigned)ret);
		if (ret == kIOReturnSuccess) {
			now.n_toggles++;
			race_count(enable ? ENABLED : DISABLED);
		}
	}
	(void)IOTimerDispatchSource_SetEnable(now.timer,
					      true); /* in the end it is: what was due is fired */
}

static void
timer_cancel(void)
{
	kern_return_t ret;

	if (race_random(2) == 0)
		return;
	ret = IOTimerDispatchSource_Cancel_f(now.timer, NULL, handler);
	race_check(ret == kIOReturnSuccess, "Cancel: %#x", (unsigned)ret);
	race_check(IOTimerDispatchSource_Cancel_f(now.timer, NULL, handler) == kIOReturnAborted,
		   "Cancel again");
	now.cancelled = true;
	race_count(CANCELLED);
}

static void
timer_meddle(void)
{
	switch (race_random(8)) {
	case 0:
		end_queue(TIMER_QUEUE_ENDED);
		break;
	case 1:
		now.disturbed = true;
		(void)IOTimerDispatchSource_SetHandler(now.timer, NULL);
		race_count(HANDLER_REMOVED);
		break;
	default:
		(void)IOTimerDispatchSource_SetHandler(now.timer, now.actions[1]);
		race_count(HANDLER_SET);
		break;
	}
	driver_pass(race_random(400));
}

static void
timer_actor(unsigned index)
{
	static void (*const roles[])(void) = { arm, toggle, timer_cancel, timer_meddle };

	if (index < 4)
		roles[index]();
	else if (race_random(3) == 0)
		arm();
	else
		driver_pass(race_random(2000));
}

static void
timer_end(void)
{
	driver_rest();
	race_check(now.n_handled == now.cancelled, "cancel handlers: %u", now.n_handled);
	race_check(now.n_toggled == now.n_toggles, "completions of SetEnable: %u of %u",
		   now.n_toggled, now.n_toggles);
	race_check(now.n_fired <= now.n_armed, "fired %u times, armed %u times", now.n_fired,
		   now.n_armed);
	/* Somebody armed it last, and nobody took that away. */
	if (now.n_armed > 0 && !now.cancelled && !now.queue_ended && !now.disturbed)
		race_check(now.n_fired > 0, "armed %u times, and it never fired", now.n_armed);
	if (!now.cancelled) /* what a callback armed last */
		race_check(IOTimerDispatchSource_Cancel_f(now.timer, NULL, NULL) ==
				   kIOReturnSuccess,
			   "Cancel");
	while (driver_work())
		;
	race_check(OSGetRetainCount((OS_OBJECT *)now.timer) == 1, "the timer has %u references",
		   (unsigned)OSGetRetainCount((OS_OBJECT *)now.timer));
	OSSafeReleaseNULL(now.timer);
	end();
}

const struct race_case race_timer = {
	.name = "timer",
	.n_actors = 5,
	.n_workers = 2,
	.begin = timer_begin,
	.actor = timer_actor,
	.work = driver_work,
	.time = driver_time,
	.end = timer_end,
	.counters = { [ARMED] = "armed",
		      [ARMED_LATE] = "armed after its end",
		      [FIRED] = "fired",
		      [DISABLED] = "disabled",
		      [ENABLED] = "enabled",
		      [TOGGLED] = "completions of that",
		      [HANDLER_SET] = "handlers set",
		      [HANDLER_REMOVED] = "handlers removed",
		      [CANCELLED] = "cancelled",
		      [TIMER_QUEUE_ENDED] = "queues ended" },
};

/* ---------------------------------------------------------------------------------------------
 * Data queue
 */

enum { PUT, FULL, GOT, AVAILABLE, SERVICED, DATA_DISABLED, DATA_CANCELLED, DATA_QUEUE_ENDED };
enum { ENTRIES = 12, ROOM = 64 }; /* bytes: some eight entries */

static void
take(void *context, const void *bytes, size_t size)
{
	uint32_t number = UINT32_MAX;

	race_check(size == 4, "an entry of %zu bytes", size);
	memcpy(&number, bytes, sizeof number);
	race_check(number == now.n_got, "entry %u where %u is next", number, now.n_got);
	now.n_got++;
	*(bool *)context = true;
	race_count(GOT);
}

/* The consumer: DataAvailable runs it on the actions' queue, one at a time. */
static void
available(Probe *self, OSAction *by __attribute__((unused)))
{
	bool got, send;

	race_check(self == now.probe, "a callback of something else");
	race_check(!now.running, "two callbacks at once");
	race_check(!now.handled, "a callback runs after the cancel handler");
	now.running = true;
	race_count(AVAILABLE);
	do {
		got = send = false;
		(void)IODataQueueDispatchSource_DequeueWithCoalesce_f(now.data, &send, &got, take);
		if (send)
			IODataQueueDispatchSource_SendDataServiced(now.data);
	} while (got);
	now.running = false;
}

static void
serviced(Probe *self, OSAction *by __attribute__((unused)))
{
	race_check(self == now.probe, "a callback of something else");
	race_check(!now.handled, "DataServiced runs after the cancel handler");
	race_count(SERVICED);
}

static void
data_actions(void *unused __attribute__((unused)))
{
	race_check(Probe_CreateActionAvailable(now.probe, 0, &now.actions[0]) == kIOReturnSuccess,
		   "no action");
	race_check(Probe_CreateActionServiced(now.probe, 0, &now.actions[1]) == kIOReturnSuccess,
		   "no action");
}

static void
data_begin(void)
{
	begin();
	probe_available = available;
	probe_serviced = serviced;
	race_check(adxi_queue_sync(adxi_queue_of(now.queue), data_actions, NULL) == 0,
		   "no actions");
	race_check(IODataQueueDispatchSource_Create(ROOM, now.queue, &now.data) == kIOReturnSuccess,
		   "no source");
	race_check(IODataQueueDispatchSource_SetDataAvailableHandler(now.data, now.actions[0]) ==
			   kIOReturnSuccess,
		   "handler");
	race_check(IODataQueueDispatchSource_SetDataServicedHandler(now.data, now.actions[1]) ==
			   kIOReturnSuccess,
		   "handler");
}

static void
fill(void *context, void *bytes, size_t size)
{
	race_check(size == 4, "room of %zu bytes", size);
	memcpy(bytes, context, 4);
}

static void
produce(void)
{
	for (uint32_t tries = 0; tries < 3 * ENTRIES && now.n_put < ENTRIES; tries++) {
		bool send = false;
		kern_return_t ret = IODataQueueDispatchSource_EnqueueWithCoalesce_f(
			now.data, 4, &send, &now.n_put, fill);

		race_check(ret == kIOReturnSuccess || ret == kIOReturnOverrun, "Enqueue: %#x",
			   (unsigned)ret);
		if (ret == kIOReturnSuccess) {
			now.n_put++;
			race_count(PUT);
		} else {
			race_count(FULL);
			race_point();
		}
		if (send)
			IODataQueueDispatchSource_SendDataAvailable(now.data);
	}
}

static void
data_cancel(void)
{
	if (race_random(3) == 0)
		return;
	race_check(IODataQueueDispatchSource_Cancel_f(now.data, NULL, handler) == kIOReturnSuccess,
		   "Cancel");
	now.cancelled = true;
	race_count(DATA_CANCELLED);
}

static void
data_meddle(void)
{
	switch (race_random(3)) {
	case 0:
		end_queue(DATA_QUEUE_ENDED);
		break;
	case 1:
		(void)IODataQueueDispatchSource_SetEnable(now.data, false);
		race_count(DATA_DISABLED);
		race_point();
		(void)IODataQueueDispatchSource_SetEnable(now.data, true);
		break;
	default:
		break;
	}
}

static void
data_actor(unsigned index)
{
	static void (*const roles[])(void) = { produce, data_cancel, data_meddle };

	roles[index]();
}

static void
data_end(void)
{
	while (driver_work())
		;
	race_check(now.n_handled == now.cancelled, "cancel handlers: %u", now.n_handled);
	if (!now.cancelled && !now.queue_ended)
		race_check(now.n_got == now.n_put, "%u entries came of %u", now.n_got, now.n_put);
	race_check(OSGetRetainCount((OS_OBJECT *)now.data) == 1, "the source has %u references",
		   (unsigned)OSGetRetainCount((OS_OBJECT *)now.data));
	OSSafeReleaseNULL(now.data);
	end();
}

const struct race_case race_data = {
	.name = "data",
	.n_actors = 3,
	.n_workers = 2,
	.begin = data_begin,
	.actor = data_actor,
	.work = driver_work,
	.time = driver_time,
	.end = data_end,
	.counters = { [PUT] = "put",
		      [FULL] = "found it full",
		      [GOT] = "got",
		      [AVAILABLE] = "DataAvailable",
		      [SERVICED] = "DataServiced",
		      [DATA_DISABLED] = "disabled",
		      [DATA_CANCELLED] = "cancelled",
		      [DATA_QUEUE_ENDED] = "queues ended" },
};
