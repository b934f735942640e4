/* SPDX-License-Identifier: MIT */
/* One-way messages of classes that are immediate: they run where they are received, and in their
 * turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>

#include "channel/peer_test.h"

enum { QUICK_POST = 1, QUICK_WAIT };

/* Posts that came, and how. */
static struct {
	_Atomic uint64_t n, in_order, at_once;
	sem_t entered, leave; /* QUICK_WAIT's */
} seen;

static void
invoke_post(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	uint32_t cursor = 0;
	const uint64_t *number = OSMessageRead(message, &cursor, sizeof(*number));

	assert_non_null(number);
	atomic_fetch_add(&seen.in_order, *number == atomic_load(&seen.n));
	atomic_fetch_add(&seen.at_once, adxi_channel_current() == NULL);
	atomic_fetch_add(&seen.n, 1);
}

static void
invoke_wait(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	(void)sem_post(&seen.entered);
	(void)sem_wait(&seen.leave);
	OSMessageReply(message, kIOReturnSuccess, NULL, 0, NULL, 0);
}

static void
implemented(void)
{
}

static const struct OSMethod quick_methods[] = {
	{ .id = QUICK_POST, .name = "post", .impl = implemented, .invoke = invoke_post, .flags = OS_METHOD_ONEWAY },
	{ .id = QUICK_WAIT, .name = "wait", .impl = implemented, .invoke = invoke_wait },
};
static const struct OSClassHooks quick_hooks = { .immediate = true };
static struct OSObject_Ops quick_ops;
static struct OSMetaClass quick_class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_CAN_REMOTE,
	.name = "ChannelTestQuick",
	.super = &OSObject_Class,
	.instance_size = sizeof(struct OSObject),
	.ops_size = sizeof(quick_ops),
	.ops = (void **)&quick_ops,
	.methods = quick_methods,
	.n_methods = sizeof(quick_methods) / sizeof(quick_methods[0]),
	.hooks = &quick_hooks,
};

/* a posts to an object of b, which is dispatched by hand. */
struct fixture {
	struct end a, b;
	OS_OBJECT *quick; /* owned: a's proxy */
};

static int
setup(void **state)
{
	static struct fixture fixture;
	struct adxi_endpoint ends[2];

	OSMetaClassRegister(&quick_class);
	memset(&seen, 0, sizeof(seen));
	(void)sem_init(&seen.entered, 0, 0);
	(void)sem_init(&seen.leave, 0, 0);
	assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
	end_open(&fixture.a, &ends[0], "b", false);
	end_open(&fixture.b, &ends[1], "a", true);
	fixture.b.door->kept = OSMetaClassAllocate(&quick_class);
	assert_non_null(fixture.b.door->kept);
	fixture.quick = NULL;
	assert_int_equal(echo_call(fixture.a.peer, ECHO_GET, NULL, 0, NULL, &fixture.quick), kIOReturnSuccess);
	assert_non_null(fixture.quick);
	adxi_loop_stop(fixture.b.loop);
	(void)pthread_join(fixture.b.thread, NULL);
	fixture.b.running = false;
	*state = &fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	OSRelease(fixture->quick);
	end_close(&fixture->a);
	end_close(&fixture->b);
	(void)sem_destroy(&seen.entered);
	(void)sem_destroy(&seen.leave);
	assert_int_equal(atomic_load(&echo_count), 0);
	return 0;
}

static void
post(struct fixture *fixture, uint64_t number, size_t size)
{
	static uint64_t words[128];
	struct OSSpan span = { words, size };
	struct OSCall call = { .target = fixture->quick,
			       .method = QUICK_POST,
			       .flags = OS_METHOD_ONEWAY,
			       .spans = &span,
			       .n_spans = 1,
			       .name = "test" };

	words[0] = number;
	assert_int_equal(OSInvoke(&call, NULL), kIOReturnSuccess);
}

static void
test_all_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct adxi_channel_stats stats;
	uint64_t next = 0;

	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 100; i++, next++)
			post(fixture, next, i % 10 == 9 ? sizeof(uint64_t) * 128 : sizeof(uint64_t));
		while (adxi_channel_dispatch(fixture->b.channel, 64) > 0)
			;
	}
	assert_int_equal(seen.n, next);
	assert_int_equal(seen.in_order, next);
	/* All but the first, which told what they are, and the large ones. */
	assert_int_equal(seen.at_once, next - next / 10 - 1);
	adxi_channel_get_stats(fixture->b.channel, &stats);
	assert_int_equal(stats.dropped, 0);
}

static void *
call_wait(void *context)
{
	struct fixture *fixture = context;

	assert_int_equal(echo_call(fixture->quick, QUICK_WAIT, NULL, 0, NULL, NULL), kIOReturnSuccess);
	return NULL;
}

static void *
dispatch_until_3(void *context)
{
	struct fixture *fixture = context;

	while (atomic_load(&seen.n) < 3)
		(void)adxi_channel_dispatch(fixture->b.channel, 1);
	return NULL;
}

/* Another thread is still at what came before. */
static void
test_after_what_came_before(void **state)
{
	struct fixture *fixture = *state;
	pthread_t caller, dispatcher;

	post(fixture, 0, sizeof(uint64_t));
	post(fixture, 1, sizeof(uint64_t));
	while (adxi_channel_dispatch(fixture->b.channel, 64) > 0)
		;
	assert_int_equal(seen.at_once, 1);
	assert_int_equal(pthread_create(&caller, NULL, call_wait, fixture), 0);
	assert_int_equal(pthread_create(&dispatcher, NULL, dispatch_until_3, fixture), 0);
	(void)sem_wait(&seen.entered);
	post(fixture, 2, sizeof(uint64_t));
	while (adxi_channel_dispatch(fixture->b.channel, 64) > 0)
		;
	assert_int_equal(seen.n, 2);
	(void)sem_post(&seen.leave);
	(void)pthread_join(dispatcher, NULL);
	(void)pthread_join(caller, NULL);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.in_order, 3);
	assert_int_equal(seen.at_once, 1);
}

/* This side has closed: what came is not run. */
static void
test_not_after_close(void **state)
{
	struct fixture *fixture = *state;

	post(fixture, 0, sizeof(uint64_t));
	while (adxi_channel_dispatch(fixture->b.channel, 64) > 0)
		;
	post(fixture, 1, sizeof(uint64_t));
	adxi_channel_close(fixture->b.channel);
	(void)adxi_channel_dispatch(fixture->b.channel, 64);
	assert_int_equal(seen.n, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_after_what_came_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_after_close, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
