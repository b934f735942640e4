/* SPDX-License-Identifier: MIT */
/* Queues with and without workers: order, exclusion, recursion, sleep, cancel, wait cycles; timers
 * on a clock that the test moves. */

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rules.h"
#include "driverkit/job.h"
#include "driverkit/queue.h"
#include "driverkit/timer.h"
#include "driverkit/workers.h"

static struct adxi_queue *a, *b;
static char trace[4096]; /* what ran, one letter each; guarded by its queue */
static size_t n_trace;

static void
mark(void *letter)
{
	trace[n_trace++] = *(const char *)letter;
	trace[n_trace] = 0;
}

static void
mark_dropped(void *letter)
{
	trace[n_trace++] = '-';
	mark(letter);
}

static int
setup(void **state)
{
	n_trace = 0;
	trace[0] = 0;
	assert_int_equal(adxi_queue_new("a", 0, &a), 0);
	assert_int_equal(adxi_queue_new("b", ADXI_QUEUE_REENTRANT, &b), 0);
	return 0;
}

static int
teardown(void **state)
{
	a = adxi_queue_unref(a);
	b = adxi_queue_unref(b);
	return 0;
}

static int
setup_workers(void **state)
{
	setup(state);
	return adxi_workers_start();
}

static int
teardown_workers(void **state)
{
	adxi_workers_stop();
	return teardown(state);
}

static void
push(struct adxi_queue *queue, const char *letter)
{
	assert_int_equal(adxi_queue_async_f(queue, mark, mark_dropped, (void *)letter), 0);
}

/* ---- without workers: nothing runs until the test says so ---- */

static void
nested(void *unused)
{
	assert_true(adxi_queue_is_current(a));
	push(a, "2"); /* never inline */
	assert_int_equal(adxi_queue_sync(a, mark, (void *)"1"), 0);
	assert_int_equal(adxi_queue_sync(b, mark, (void *)"x"), 0);
	assert_ptr_equal(adxi_queue_current(), a);
}

static void
test_order_and_recursion(void **state)
{
	assert_false(adxi_queue_is_current(a));
	push(a, "p");
	push(a, "q");
	assert_string_equal(trace, "");
	assert_int_equal(adxi_jobs_run(), 1); /* one job drains the queue */
	assert_string_equal(trace, "pq");
	assert_int_equal(adxi_queue_sync(a, nested, NULL), 0);
	adxi_jobs_run();
	assert_string_equal(trace, "pq1x2");
	assert_null(adxi_queue_current());
}

static void
outer(void *inner)
{
	assert_true(adxi_queue_is_current(a));
	assert_true(adxi_queue_is_current(b) == (inner != NULL));
	if (!inner)
		assert_int_equal(adxi_queue_sync(b, outer, trace), 0);
}

static void
test_on_queue_counts_outer_queues(void **state)
{
	assert_int_equal(adxi_queue_sync(a, outer, NULL), 0);
}

static void
cancel_inside(void *unused)
{
	push(a, "x");
	assert_int_equal(adxi_queue_cancel(a, mark, (void *)"!"), 0);
	assert_int_equal(adxi_queue_cancel(a, mark, (void *)"?"), -EALREADY);
	push(a, "y");
	mark((void *)"r"); /* what runs goes on, and the handler comes after it */
}

static void
test_cancel(void **state)
{
	assert_int_equal(adxi_queue_async_f(a, cancel_inside, NULL, NULL), 0);
	push(a, "z");
	adxi_jobs_run();
	assert_string_equal(trace, "-z-x-yr!");
	assert_int_equal(adxi_queue_sync(a, mark, (void *)"n"), -ECANCELED);
	assert_true(adxi_queue_is_cancelled(a));

	assert_int_equal(adxi_queue_cancel(b, mark, (void *)"i"), 0); /* idle */
	assert_string_equal(trace, "-z-x-yr!");
	adxi_jobs_run();
	assert_string_equal(trace, "-z-x-yr!i");
}

static void
test_sleep_needs_the_queue(void **state)
{
	assert_int_equal(adxi_queue_sleep(b, trace, ADXI_CLOCK_UPTIME, 0), -EPERM);
	assert_non_null(strstr(adxi_told_last(), "T37"));
	assert_int_equal(adxi_queue_wake(b, trace, true), -EPERM);
}

static uint64_t clock_ns;

static uint64_t
test_clock(enum adxi_clock clock)
{
	return __atomic_load_n(&clock_ns, __ATOMIC_SEQ_CST);
}

static struct adxi_timer timers[8];

static void
timer_fired(struct adxi_timer *timer)
{
	trace[n_trace++] = (char)('0' + (timer - timers));
	trace[n_trace] = 0;
}

static void
test_timers(void **state)
{
	static const uint64_t deadlines[8] = { 50, 10, 70, 30, 20, 80, 60, 40 };

	clock_ns = 0;
	adxi_timers_set_clock(test_clock);
	for (int i = 0; i < 8; i++) {
		timers[i] = (struct adxi_timer){ .fire = timer_fired };
		assert_int_equal(adxi_timer_arm(&timers[i], ADXI_CLOCK_BOOT, deadlines[i]), 0);
	}
	assert_int_equal(adxi_timers_run(ADXI_CLOCK_BOOT), 0);
	clock_ns = 30;
	assert_int_equal(adxi_timers_run(ADXI_CLOCK_WALL), 0);
	assert_int_equal(adxi_timers_run(ADXI_CLOCK_BOOT), 3);
	assert_string_equal(trace, "143");
	assert_true(adxi_timer_disarm(&timers[0]));
	assert_false(adxi_timer_disarm(&timers[0]));
	assert_false(adxi_timer_disarm(&timers[1]));
	assert_int_equal(adxi_timer_arm(&timers[7], ADXI_CLOCK_BOOT, 75), 0); /* moves */
	clock_ns = 100;
	assert_int_equal(adxi_timers_run(ADXI_CLOCK_BOOT), 4);
	assert_string_equal(trace, "1436275");
	adxi_timers_set_clock(NULL);
}

static void
test_clock_options(void **state)
{
	enum adxi_clock clock;

	assert_int_equal(adxi_clock_from_options(0x88, &clock), 0);
	assert_int_equal(clock, ADXI_CLOCK_UPTIME);
	assert_int_equal(adxi_clock_from_options(0xc4 | 0x100, &clock), 0);
	assert_int_equal(clock, ADXI_CLOCK_BOOT);
	assert_int_equal(adxi_clock_from_options(0x80, &clock), 0);
	assert_int_equal(clock, ADXI_CLOCK_WALL);
	assert_int_equal(adxi_clock_from_options(1, &clock), -EINVAL);
}

/* ---- with workers ---- */

static sem_t done;

static void
post(void *unused)
{
	sem_post(&done);
}

static unsigned counter,
	inside; /* on queue a only, and unguarded: TSan sees it if that is not so */

static void
count(void *unused)
{
	assert_int_equal(inside, 0);
	inside = 1;
	counter++;
	inside = 0;
}

static void *
hammer(void *unused)
{
	for (int i = 0; i < 1000; i++) {
		if (i % 3)
			assert_int_equal(adxi_queue_async_f(a, count, NULL, NULL), 0);
		else
			assert_int_equal(adxi_queue_sync(a, count, NULL), 0);
	}
	return NULL;
}

static void
test_exclusion(void **state)
{
	pthread_t threads[4];

	counter = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(adxi_queue_sync(a, count, NULL), 0);
	assert_int_equal(counter, 4001);
}

static void
sleeper(void *woken)
{
	*(int *)woken = adxi_queue_sleep(b, trace, ADXI_CLOCK_UPTIME, UINT64_MAX);
	assert_true(adxi_queue_is_current(b));
	sem_post(&done);
}

static void
waker(void *n)
{
	*(int *)n = adxi_queue_wake(b, trace, false);
}

static void
test_sleep_gives_the_queue_up(void **state)
{
	int first = 1, second = 1, woken = 0;

	sem_init(&done, 0, 0);
	assert_int_equal(adxi_queue_async_f(b, sleeper, NULL, &first), 0);
	assert_int_equal(adxi_queue_async_f(b, sleeper, NULL, &second), 0);
	while (woken < 2) { /* a sleeper that has not come yet is not there to be woken */
		int n = 0;

		assert_int_equal(adxi_queue_sync(b, waker, &n), 0);
		woken += n;
	}
	sem_wait(&done);
	sem_wait(&done);
	assert_int_equal(first, 0);
	assert_int_equal(second, 0);
	sem_destroy(&done);
}

static void
past_sleeper(void *result)
{
	*(int *)result = adxi_queue_sleep(b, trace, ADXI_CLOCK_UPTIME, 1);
}

static void
test_sleep_ends_at_its_deadline(void **state)
{
	int r = 0;

	assert_int_equal(adxi_queue_sync(b, past_sleeper, &r), 0);
	assert_int_equal(r, -ETIMEDOUT);
}

static sem_t holds_a, holds_b, go;
static int inner_result[2];

static void
nothing(void *unused)
{
}

static void
a_then_b(void *unused)
{
	sem_post(&holds_a);
	sem_wait(&holds_b);
	inner_result[0] = adxi_queue_sync(b, nothing, NULL);
}

static void *
a_then_b_thread(void *unused)
{
	assert_int_equal(adxi_queue_sync(a, a_then_b, NULL), 0);
	return NULL;
}

static void
b_then_a(void *unused)
{
	sem_post(&holds_b);
	sem_wait(&holds_a);
	inner_result[1] = adxi_queue_sync(a, nothing, NULL);
}

static void
test_wait_cycle_is_broken(void **state)
{
	pthread_t thread;

	sem_init(&holds_a, 0, 0);
	sem_init(&holds_b, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, a_then_b_thread, NULL), 0);
	assert_int_equal(adxi_queue_sync(b, b_then_a, NULL), 0);
	pthread_join(thread, NULL);
	sem_destroy(&holds_a);
	sem_destroy(&holds_b);
	/* One of the two was told; the other one got its queue. */
	assert_int_equal((inner_result[0] == -EDEADLK) + (inner_result[1] == -EDEADLK), 1);
	assert_int_equal((inner_result[0] == 0) + (inner_result[1] == 0), 1);
}

struct shared_work {
	struct adxi_work work;
	pthread_barrier_t *meet;
};

static void
meet(struct adxi_work *work)
{
	pthread_barrier_wait(
		((struct shared_work *)work)->meet); /* hangs unless both run at once */
	sem_post(&done);
}

static void
test_concurrent_work_runs_together(void **state)
{
	pthread_barrier_t barrier;
	struct shared_work works[2] = { { { .run = meet }, &barrier },
					{ { .run = meet }, &barrier } };

	sem_init(&done, 0, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	adxi_queue_concurrent(b, &works[0].work);
	adxi_queue_concurrent(b, &works[1].work);
	assert_int_equal(adxi_queue_async_f(b, post, NULL, NULL), 0);
	for (int i = 0; i < 3; i++)
		sem_wait(&done);
	assert_int_equal(adxi_queue_sync(b, nothing, NULL), 0);
	pthread_barrier_destroy(&barrier);
	sem_destroy(&done);
}

static void
block_until_go(void *unused)
{
	sem_post(&done);
	sem_wait(&go);
}

static void
test_pool_grows_while_work_blocks(void **state)
{
	struct adxi_queue *queues[8];
	unsigned all, waiting;

	sem_init(&done, 0, 0);
	sem_init(&go, 0, 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(adxi_queue_new("blocked", 0, &queues[i]), 0);
		assert_int_equal(adxi_queue_async_f(queues[i], block_until_go, NULL, NULL), 0);
	}
	for (int i = 0; i < 8; i++)
		sem_wait(&done); /* all eight run at once */
	adxi_workers_count(&all, &waiting);
	assert_true(all >= 8);
	for (int i = 0; i < 8; i++)
		sem_post(&go);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(adxi_queue_sync(queues[i], nothing, NULL), 0);
		adxi_queue_unref(queues[i]);
	}
	sem_destroy(&go);
	sem_destroy(&done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_and_recursion, setup, teardown),
		cmocka_unit_test_setup_teardown(test_on_queue_counts_outer_queues, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleep_needs_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timers, setup, teardown),
		cmocka_unit_test(test_clock_options),
		cmocka_unit_test_setup_teardown(test_exclusion, setup_workers, teardown_workers),
		cmocka_unit_test_setup_teardown(test_sleep_gives_the_queue_up, setup_workers,
						teardown_workers),
		cmocka_unit_test_setup_teardown(test_sleep_ends_at_its_deadline, setup_workers,
						teardown_workers),
		cmocka_unit_test_setup_teardown(test_wait_cycle_is_broken, setup_workers,
						teardown_workers),
		cmocka_unit_test_setup_teardown(test_concurrent_work_runs_together, setup_workers,
						teardown_workers),
		cmocka_unit_test_setup_teardown(test_pool_grows_while_work_blocks, setup_workers,
						teardown_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
