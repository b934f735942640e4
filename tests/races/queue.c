/* SPDX-License-Identifier: MIT */
/* Two queues: work of each kind, calls from one into the other both ways round, sleepers, and the
 * end of one of them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "driverkit/queue.h"
#include "driverkit/timer.h"

enum {
	ASYNC,
	RAN,
	DROPPED,
	CONCURRENT,
	SYNC,
	SYNC_CANCELLED,
	DEADLOCKS,
	SLEPT_WOKEN,
	SLEPT_LATE,
	SLEPT_CANCELLED,
	WOKE,
	CANCELLED,
	DONE
};
enum { PER_SENDER = 6, SENDERS = 2 };

struct item {
	struct adxi_work work;
	unsigned sender, number;
	bool concurrent;
};

static struct {
	struct adxi_queue *a, *b; /* owned; a is reentrant and may end */
	unsigned inside_b;        /* on b */
	_Atomic unsigned n_sent, n_ran, n_dropped;
	unsigned next[SENDERS]; /* on a: the next async item of each sender */
	_Atomic bool cancelled, done;
	int event;
} now;

static void
item_run(struct adxi_work *work)
{
	struct item *item = (struct item *)work;

	race_check(adxi_queue_is_current(now.a), "work on another queue");
	race_check(!now.done, "work runs after the queue's end");
	if (!item->concurrent) {
		race_check(item->number == now.next[item->sender],
			   "work %u of sender %u, %u was next", item->number, item->sender,
			   now.next[item->sender]);
		now.next[item->sender]++;
	}
	race_point();
	now.n_ran++;
	race_count(RAN);
	free(item);
}

static void
item_drop(struct adxi_work *work)
{
	now.n_dropped++;
	race_count(DROPPED);
	free(work);
}

static void
send(unsigned sender)
{
	unsigned number = 0;

	for (unsigned i = 0; i < PER_SENDER; i++) {
		struct item *item = calloc(1, sizeof *item);

		race_check(item, "no memory");
		item->work.run = item_run;
		item->work.drop = item_drop;
		item->sender = sender;
		item->concurrent = race_random(4) == 0;
		item->number = item->concurrent ? 0 : number++;
		now.n_sent++;
		race_count(item->concurrent ? CONCURRENT : ASYNC);
		if (item->concurrent)
			adxi_queue_concurrent(now.a, &item->work);
		else
			adxi_queue_async(now.a, &item->work);
	}
}

static void
in_b(void *context)
{
	race_check(now.inside_b == 0 || context, "two threads on one queue");
	now.inside_b++;
	race_point();
	now.inside_b--;
}

static void
in_a(void *unused __attribute__((unused)))
{
	race_point();
}

static void
note(int r)
{
	race_check(r == 0 || r == -ECANCELED || r == -EDEADLK, "sync: %d", r);
	race_count(r == 0 ? SYNC : r == -ECANCELED ? SYNC_CANCELLED : DEADLOCKS);
}

static void
b_from_a(void *unused __attribute__((unused)))
{
	note(adxi_queue_sync(now.b, in_b, NULL));
}

static void
a_from_b(void *unused __attribute__((unused)))
{
	now.inside_b++;
	note(adxi_queue_sync(now.a, in_a, NULL));
	now.inside_b--;
}

static void
sleep_on_a(void *unused __attribute__((unused)))
{
	int r = adxi_queue_sleep(now.a, &now.event, ADXI_CLOCK_UPTIME,
				 driver_now() + 1 + race_random(3000));

	race_check(r == 0 || r == -ETIMEDOUT || r == -ECANCELED, "sleep: %d", r);
	race_check(adxi_queue_is_current(now.a), "not on the queue after a sleep");
	race_count(r == 0 ? SLEPT_WOKEN : r == -ETIMEDOUT ? SLEPT_LATE : SLEPT_CANCELLED);
}

static void
wake_on_a(void *unused __attribute__((unused)))
{
	if (adxi_queue_wake(now.a, &now.event, race_random(2)) > 0)
		race_count(WOKE);
}

static void
done(void *unused __attribute__((unused)))
{
	race_check(!now.done, "the queue ended twice");
	now.done = true;
	race_count(DONE);
}

static void
begin(void)
{
	memset(&now, 0, sizeof now);
	driver_clock_set();
	race_check(adxi_queue_new("a", ADXI_QUEUE_REENTRANT, &now.a) == 0, "no queue");
	race_check(adxi_queue_new("b", 0, &now.b) == 0, "no queue");
}

static void
actor(unsigned index)
{
	switch (index) {
	case 0:
		send(0);
		note(adxi_queue_sync(now.a, b_from_a, NULL));
		break;
	case 1:
		note(adxi_queue_sync(now.b, a_from_b, NULL));
		send(1);
		break;
	case 2:
		note(adxi_queue_sync(now.a, sleep_on_a, NULL));
		break;
	case 3:
		driver_pass(race_random(2000));
		note(adxi_queue_sync(now.a, race_random(2) ? wake_on_a : sleep_on_a, NULL));
		break;
	default:
		note(adxi_queue_sync(now.a, wake_on_a, NULL));
		if (race_random(3) == 0)
			break;
		race_check(adxi_queue_cancel(now.a, done, NULL) == 0, "cancel");
		race_check(adxi_queue_cancel(now.a, done, NULL) == -EALREADY, "cancel again");
		now.cancelled = true;
		race_count(CANCELLED);
	}
}

static void
end(void)
{
	while (driver_work())
		;
	race_check(now.n_ran + now.n_dropped == now.n_sent, "%u sent, %u ran, %u dropped",
		   now.n_sent, now.n_ran, now.n_dropped);
	race_check(now.cancelled == now.done, "cancelled %d, done %d", now.cancelled, now.done);
	race_check(now.cancelled || now.n_dropped == 0, "%u dropped of a queue that lives",
		   now.n_dropped);
	now.a = adxi_queue_unref(now.a);
	now.b = adxi_queue_unref(now.b);
}

const struct race_case race_queue = {
	.name = "queue",
	.n_actors = 5,
	.n_workers = 2,
	.begin = begin,
	.actor = actor,
	.work = driver_work,
	.time = driver_time,
	.end = end,
	.counters = { [ASYNC] = "async",
		      [CONCURRENT] = "concurrent",
		      [RAN] = "ran",
		      [DROPPED] = "dropped",
		      [SYNC] = "sync",
		      [SYNC_CANCELLED] = "sync cancelled",
		      [DEADLOCKS] = "deadlocks refused",
		      [SLEPT_WOKEN] = "sleeps woken",
		      [SLEPT_LATE] = "sleeps expired",
		      [SLEPT_CANCELLED] = "sleeps cancelled",
		      [WOKE] = "wakes",
		      [CANCELLED] = "cancelled",
		      [DONE] = "ended" },
};
