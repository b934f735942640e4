/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "channel/channel.h"
#include "channel/loop.h"

static struct adxi_loop *
loop_open(void)
{
	struct adxi_loop *loop = NULL;

	assert_int_equal(adxi_loop_new(&loop), 0);
	return loop;
}

struct seen {
	struct adxi_loop *loop;
	struct adxi_source *source, *other;
	unsigned n, n_other;
	int last[16];
};

static void
fd_take(struct adxi_source *source, int fd, uint32_t events, void *userdata)
{
	struct seen *seen = userdata;
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(fd, &byte, 1), 1);
	seen->n++;
}

static void
test_fd(void **state)
{
	struct seen seen = { 0 };
	int ends[2];

	seen.loop = loop_open();
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(adxi_loop_add_fd(seen.loop, ends[0], true, EPOLLIN, fd_take, &seen, &seen.source), 0);
	assert_int_equal(adxi_loop_turn(seen.loop, 0), 0);
	assert_int_equal(write(ends[1], "ab", 2), 2);
	assert_int_equal(adxi_loop_turn(seen.loop, -1), 1);
	assert_int_equal(adxi_loop_turn(seen.loop, -1), 1);
	assert_int_equal(adxi_loop_turn(seen.loop, 0), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(write(ends[1], "c", 1), 1);
	seen.source = adxi_source_remove(seen.source);
	assert_int_equal(adxi_loop_turn(seen.loop, 0), 0);
	assert_true(fcntl(ends[0], F_GETFD) < 0); /* it owned it */
	(void)close(ends[1]);
	seen.loop = adxi_loop_free(seen.loop);
}

static void
fd_remove_both(struct adxi_source *source, int fd, uint32_t events, void *userdata)
{
	struct seen *seen = userdata;

	seen->source = adxi_source_remove(seen->source);
	seen->other = adxi_source_remove(seen->other);
	seen->n++;
}

/* Two are ready in one turn; the first removes both, and the other does not run. */
static void
test_remove_inside(void **state)
{
	struct seen seen = { 0 };
	int a[2], b[2];

	seen.loop = loop_open();
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	assert_int_equal(adxi_loop_add_fd(seen.loop, a[0], true, EPOLLIN, fd_remove_both, &seen, &seen.source), 0);
	assert_int_equal(adxi_loop_add_fd(seen.loop, b[0], true, EPOLLIN, fd_remove_both, &seen, &seen.other), 0);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	assert_int_equal(adxi_loop_turn(seen.loop, 0), 1);
	assert_int_equal(adxi_loop_turn(seen.loop, 0), 0);
	assert_int_equal(seen.n, 1);
	(void)close(a[1]);
	(void)close(b[1]);
	seen.loop = adxi_loop_free(seen.loop);
}

struct timer {
	struct seen *seen;
	int id;
	struct adxi_source *source;
};

static void
timer_note(struct adxi_source *source, void *userdata)
{
	struct timer *timer = userdata;

	timer->seen->last[timer->seen->n++] = timer->id;
}

static void
test_timers(void **state)
{
	const uint64_t now = adxi_now_ns();
	struct seen seen = { 0 };
	struct timer timer[8];

	seen.loop = loop_open();
	/* All passed already, in an order that is not theirs. */
	for (int i = 0; i < 8; i++) {
		timer[i] = (struct timer){ &seen, i, NULL };
		assert_int_equal(adxi_loop_add_timer(seen.loop, now - 1000 + (uint64_t)((i * 5) % 8), timer_note,
						     &timer[i], &timer[i].source), 0);
	}
	adxi_source_set_deadline(timer[3].source, 0);
	adxi_source_set_deadline(timer[6].source, adxi_deadline_ns(3600 * ADXI_NS_PER_S));
	assert_int_equal(adxi_loop_turn(seen.loop, -1), 6);
	for (unsigned i = 1; i < seen.n; i++)
		assert_true((seen.last[i - 1] * 5) % 8 < (seen.last[i] * 5) % 8);
	assert_int_equal(adxi_loop_turn(seen.loop, 0), 0);
	/* Armed again, one fires again. */
	adxi_source_set_deadline(timer[3].source, now);
	assert_int_equal(adxi_loop_turn(seen.loop, -1), 1);
	assert_int_equal(seen.last[6], 3);
	for (int i = 0; i < 4; i++)
		timer[i].source = adxi_source_remove(timer[i].source);
	seen.loop = adxi_loop_free(seen.loop);
}

static void
child_note(struct adxi_source *source, pid_t pid, int status, void *userdata)
{
	struct seen *seen = userdata;

	seen->last[seen->n++] = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	adxi_loop_stop(seen->loop);
}

static void
test_child(void **state)
{
	struct seen seen = { 0 };
	pid_t pid;

	seen.loop = loop_open();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(7);
	assert_int_equal(adxi_loop_add_child(seen.loop, pid, child_note, &seen, &seen.source), 0);
	assert_int_equal(adxi_loop_run(seen.loop), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last[0], 7);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1); /* reaped */
	seen.source = adxi_source_remove(seen.source);
	seen.loop = adxi_loop_free(seen.loop);
}

static void
signal_note(struct adxi_source *source, int signal, void *userdata)
{
	struct seen *seen = userdata;

	seen->last[seen->n++] = signal;
}

static void
test_signal(void **state)
{
	struct seen seen = { 0 };

	seen.loop = loop_open();
	assert_int_equal(adxi_loop_add_signal(seen.loop, SIGUSR1, signal_note, &seen, NULL), 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_int_equal(adxi_loop_turn(seen.loop, -1), 1);
	assert_int_equal(seen.last[0], SIGUSR1);
	seen.loop = adxi_loop_free(seen.loop);
}

static void
post_count(void *userdata)
{
	struct seen *seen = userdata;

	if (++seen->n == 4000)
		adxi_loop_stop(seen->loop);
}

static void *
poster_run(void *context)
{
	struct seen *seen = context;

	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(adxi_loop_post(seen->loop, post_count, seen), 0);
	return NULL;
}

static void
test_post(void **state)
{
	struct seen seen = { 0 };
	pthread_t threads[4];

	seen.loop = loop_open();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, poster_run, &seen), 0);
	assert_int_equal(adxi_loop_run(seen.loop), 0);
	for (unsigned i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(seen.n, 4000);
	/* What was not run is given up with the loop. */
	assert_int_equal(adxi_loop_post(seen.loop, post_count, &seen), 0);
	seen.loop = adxi_loop_free(seen.loop);
	assert_int_equal(seen.n, 4000);
}

static void
channel_closed(struct adxi_channel *channel, void *userdata, int reason)
{
	unsigned *n = userdata;

	(*n)++;
}

/* The channel's end is told by the loop, which then lets go of it. */
static void
test_channel_end(void **state)
{
	static const struct adxi_channel_ops ops = { .closed = channel_closed };
	struct adxi_loop *loop = loop_open();
	struct adxi_channel *a, *b;
	struct adxi_endpoint ends[2];
	struct adxi_source *kept;
	unsigned n_a = 0, n_b = 0;

	assert_int_equal(adxi_endpoint_pair((const unsigned[2]){ 1, 1 }, ends), 0);
	assert_int_equal(adxi_channel_open(&ends[0], "b", &ops, &n_a, &a), 0);
	assert_int_equal(adxi_channel_open(&ends[1], "a", &ops, &n_b, &b), 0);
	assert_int_equal(adxi_loop_add_channel(loop, a, &kept), 0);
	assert_int_equal(adxi_loop_turn(loop, 0), 0);
	adxi_channel_close(b);
	assert_int_equal(n_b, 0);
	assert_true(adxi_loop_turn(loop, -1) > 0);
	assert_int_equal(n_a, 1);
	assert_true(adxi_channel_is_dead(a));
	assert_int_equal(adxi_loop_turn(loop, 0), 0);
	kept = adxi_source_remove(kept);
	a = adxi_channel_unref(a);
	b = adxi_channel_unref(b);
	loop = adxi_loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_remove_inside),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_channel_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
