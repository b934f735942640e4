/* SPDX-License-Identifier: MIT */
/* Peers that are other processes, and die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "channel/peer_test.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mach/message.h>
#include <mach/mig_errors.h>

/* A child that serves its end until it is killed, or the parent's is gone. */
static pid_t
child_serve(struct adxi_endpoint ends[2], struct end *ret_end, bool threaded)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct end end;

		adxi_endpoint_done(&ends[0]);
		end_open(&end, &ends[1], "parent", false);
		if (adxi_loop_new(&end.loop) < 0 || adxi_loop_add_channel(end.loop, end.channel, NULL) < 0)
			_exit(1);
		while (!adxi_channel_is_dead(end.channel))
			(void)adxi_loop_turn(end.loop, -1);
		_exit(0);
	}
	adxi_endpoint_done(&ends[1]);
	end_open(ret_end, &ends[0], "child", threaded);
	return pid;
}

static void
reap(pid_t pid, int *ret_status)
{
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
}

static void
test_two_processes(void **state)
{
	struct adxi_endpoint ends[2];
	OS_OBJECT *back = NULL;
	struct end end;
	int status;
	pid_t pid;

	assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
	pid = child_serve(ends, &end, false);
	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t words[2] = { i, ~i };

		assert_int_equal(echo_call(end.peer, ECHO_ECHO, words, 2, NULL, NULL), kIOReturnSuccess);
		assert_true(words[0] == i && words[1] == ~i);
	}
	for (uint64_t i = 0; i < 10; i++) {
		uint64_t depth = i;

		assert_int_equal(echo_call(end.peer, ECHO_CALL_BACK, &depth, 1, echo_object(end.door), NULL),
				 kIOReturnSuccess);
		assert_int_equal(depth, i);
	}
	assert_int_equal(echo_call(end.peer, ECHO_ECHO, NULL, 0, echo_object(end.door), &back), kIOReturnSuccess);
	assert_ptr_equal(back, end.door);
	OSRelease(back);
	end_close(&end);
	reap(pid, &status);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct held_call {
	struct end *end;
	pthread_t thread;
	IOReturn status;
	_Atomic unsigned done;
};

static void *
held_run(void *context)
{
	struct held_call *call = context;

	call->status = echo_call(call->end->peer, ECHO_HOLD, NULL, 0, NULL, NULL);
	atomic_fetch_add(&call->done, 1);
	return NULL;
}

static void
held_done(void *context, IOReturn status, const struct OSMessage *reply)
{
	struct held_call *call = context;

	call->status = status;
	atomic_fetch_add(&call->done, 1);
}

#define N_SYNC  8
#define N_ASYNC 40

/* Killed with calls pending: each ends once, the rights that it held go. */
static void
killed(bool threaded)
{
	struct held_call sync[N_SYNC] = { 0 }, async[N_ASYNC] = { 0 };
	struct adxi_channel_stats stats;
	struct adxi_endpoint ends[2];
	struct echo *mine = echo_new();
	struct end end;
	int status;
	pid_t pid;

	assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
	pid = child_serve(ends, &end, threaded);
	assert_int_equal(echo_call(end.peer, ECHO_KEEP, NULL, 0, echo_object(mine), NULL), kIOReturnSuccess);
	for (unsigned i = 0; i < N_ASYNC; i++) {
		struct OSCall call = { .target = end.peer, .method = ECHO_HOLD, .name = "test" };

		assert_int_equal(OSInvokeAsync(&call, held_done, &async[i]), kIOReturnSuccess);
	}
	for (unsigned i = 0; i < N_SYNC; i++) {
		sync[i].end = &end;
		assert_int_equal(pthread_create(&sync[i].thread, NULL, held_run, &sync[i]), 0);
	}
	do
		adxi_channel_get_stats(end.channel, &stats);
	while (stats.calls_pending != N_SYNC + N_ASYNC);
	assert_int_equal(kill(pid, SIGKILL), 0);
	for (unsigned i = 0; i < N_SYNC; i++) {
		(void)pthread_join(sync[i].thread, NULL);
		assert_int_equal(sync[i].status, MIG_SERVER_DIED);
		assert_int_equal(sync[i].done, 1);
	}
	reap(pid, &status);
	while (end.closed == 0 || mine->n_no_senders == 0)
		;
	for (unsigned i = 0; i < N_ASYNC; i++) {
		while (async[i].done == 0)
			;
		assert_int_equal(async[i].status, MIG_SERVER_DIED);
		assert_int_equal(async[i].done, 1);
	}
	adxi_channel_get_stats(end.channel, &stats);
	assert_int_equal(stats.calls_pending, 0);
	assert_int_equal(stats.exported, 0);
	assert_true(adxi_channel_is_dead(end.channel));
	assert_int_equal(mine->n_no_senders, 1);
	assert_int_equal(OSGetRetainCount(echo_object(mine)), 1);
	assert_int_equal(echo_call(end.peer, ECHO_NULL, NULL, 0, NULL, NULL), MACH_SEND_INVALID_DEST);
	assert_int_equal(echo_post(end.peer, 1), kIOReturnSuccess);
	assert_int_equal(adxi_channel_dispatch(end.channel, 1), -EPIPE);
	assert_int_equal(end.closed, 1);
	assert_int_equal(end.reason, 0);
	end_close(&end);
	assert_int_equal(end.closed, 1);
	OSRelease(echo_object(mine));
	assert_int_equal(echo_count, 0);
}

static void
test_killed_without_loop(void **state)
{
	killed(false);
}

static void
test_killed_with_loop(void **state)
{
	killed(true);
}

static void *
burst_run(void *context)
{
	struct held_call *call = context;

	do
		call->status = echo_call(call->end->peer, ECHO_NULL, NULL, 0, NULL, NULL);
	while (call->status == kIOReturnSuccess);
	return NULL;
}

/* Killed at any moment of four threads' calls. */
static void
test_killed_under_load(void **state)
{
	for (unsigned round = 0; round < 100; round++) {
		struct held_call call[4] = { 0 };
		struct adxi_endpoint ends[2];
		struct end end;
		int status;
		pid_t pid;

		assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
		pid = child_serve(ends, &end, round % 2);
		for (unsigned i = 0; i < 4; i++) {
			call[i].end = &end;
			assert_int_equal(pthread_create(&call[i].thread, NULL, burst_run, &call[i]), 0);
		}
		for (unsigned i = 0; i < round; i++)
			(void)echo_call(end.peer, ECHO_NULL, NULL, 0, NULL, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		for (unsigned i = 0; i < 4; i++) {
			(void)pthread_join(call[i].thread, NULL);
			assert_true(call[i].status == MIG_SERVER_DIED ||
				    call[i].status == MACH_SEND_INVALID_DEST);
		}
		reap(pid, &status);
		end_close(&end);
		assert_int_equal(echo_count, 0);
	}
}

/* What a process said before it ended is delivered first. */
static void
test_last_words(void **state)
{
	struct adxi_endpoint ends[2];
	struct end end;
	int status, n;
	pid_t pid;

	assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		adxi_endpoint_done(&ends[0]);
		end_open(&end, &ends[1], "parent", false);
		for (uint64_t i = 1; i <= 100; i++)
			(void)echo_post(end.peer, i);
		_exit(0);
	}
	adxi_endpoint_done(&ends[1]);
	end_open(&end, &ends[0], "child", false);
	reap(pid, &status);
	do
		n = adxi_channel_dispatch(end.channel, 7);
	while (n >= 0);
	assert_int_equal(n, -EPIPE);
	assert_int_equal(end.door->posts_in_order, 100);
	assert_int_equal(end.closed, 1);
	end_close(&end);
}

/* A forked child has its parent's channels in memory; using them would mix up both. */
static void
test_fork(void **state)
{
	struct adxi_endpoint ends[2];
	struct end a, b;
	int status;
	pid_t pid;

	assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
	end_open(&a, &ends[0], "b", false);
	end_open(&b, &ends[1], "a", true);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (echo_call(a.peer, ECHO_NULL, NULL, 0, NULL, NULL) == kIOReturnSuccess ||
		    adxi_channel_dispatch(a.channel, 1) != -ECHILD)
			_exit(1);
		OSRelease(a.peer);
		adxi_channel_close(a.channel);
		_exit(0);
	}
	reap(pid, &status);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(echo_call(a.peer, ECHO_NULL, NULL, 0, NULL, NULL), kIOReturnSuccess);
	end_close(&a);
	end_close(&b);
}

static void
closing_request(struct adxi_channel *channel, void *userdata, struct OSMessage *message)
{
	adxi_channel_close(channel);
	OSMessageFree(message);
}

/* From inside of a delivery; and the other end hears of it. */
static void
test_close_in_delivery(void **state)
{
	static const struct adxi_channel_ops ops = { .request = closing_request };
	struct adxi_endpoint ends[2];
	struct adxi_channel *channel;
	struct echo *door = echo_new();
	struct end end;

	assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
	end_open(&end, &ends[0], "closer", false);
	assert_int_equal(adxi_channel_open(&ends[1], "caller", &ops, NULL, &channel), 0);
	adxi_channel_set_door(channel, echo_object(door));
	assert_int_equal(echo_post(end.peer, 1), kIOReturnSuccess);
	assert_int_equal(echo_post(end.peer, 2), kIOReturnSuccess);
	assert_int_equal(adxi_channel_dispatch(channel, 8), 1);
	assert_true(adxi_channel_is_dead(channel));
	assert_int_equal(OSGetRetainCount(echo_object(door)), 1);
	assert_int_equal(echo_call(end.peer, ECHO_NULL, NULL, 0, NULL, NULL), MIG_SERVER_DIED);
	assert_int_equal(end.closed, 1);
	channel = adxi_channel_unref(channel);
	OSRelease(echo_object(door));
	end_close(&end);
}

static void
test_bootstrap(void **state)
{
	struct adxi_endpoint server, client;
	struct end a, b;
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(adxi_endpoint_serve(sockets[0], &server), 0);
	assert_int_equal(adxi_endpoint_connect(sockets[1], 1000, &client), 0);
	end_open(&a, &server, "client", true);
	end_open(&b, &client, "server", false);
	assert_int_equal(echo_call(b.peer, ECHO_NULL, NULL, 0, NULL, NULL), kIOReturnSuccess);
	end_close(&a);
	end_close(&b);
}

static void
test_bad_bootstrap(void **state)
{
	struct adxi_endpoint client = ADXI_ENDPOINT_NONE;
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(adxi_endpoint_connect(sockets[1], 0, &client), -ETIMEDOUT);
	(void)close(sockets[0]);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(send(sockets[0], "GET / HTTP/1.0\r\n", 16, 0), 16);
	assert_int_equal(adxi_endpoint_connect(sockets[1], 1000, &client), -EPROTO);
	(void)close(sockets[0]);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	(void)close(sockets[0]);
	assert_int_equal(adxi_endpoint_connect(sockets[1], 1000, &client), -EPROTO);
	assert_int_equal(client.socket, -1);
}

/* A thread that kept the receiver's role for the next request, and then waits for an answer on the same channel, would wait for
 * itself: it gives up what it kept. Nobody else receives here: without that this test does not end. */
static void
test_waits_after_staying(void **state)
{
	struct adxi_endpoint ends[2];
	struct end a, b;

	assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
	end_open(&a, &ends[0], "a", true);
	end_open(&b, &ends[1], "b", true);
	for (unsigned i = 1; i <= 200; i++) {
		assert_int_equal(echo_call(a.peer, ECHO_STAY, NULL, 0, echo_object(a.door), NULL), kIOReturnSuccess);
		/* Its own call may still be on its way; requests that come meanwhile would nest in it. */
		while (atomic_load(&b.door->n_answered) < i)
			(void)sched_yield();
	}
	print_message("kept the role %u times, was answered %u times\n", b.door->n_stayed, b.door->n_answered);
	assert_true(b.door->n_stayed > 0);
	assert_int_equal(b.door->n_answered, 200);
	end_close(&a);
	end_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_processes),
		cmocka_unit_test(test_killed_without_loop),
		cmocka_unit_test(test_killed_with_loop),
		cmocka_unit_test(test_killed_under_load),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_close_in_delivery),
		cmocka_unit_test(test_bootstrap),
		cmocka_unit_test(test_bad_bootstrap),
		cmocka_unit_test(test_waits_after_staying),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
