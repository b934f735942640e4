/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "channel/peer_test.h"

_Atomic int echo_count;

static void
echo_construct(void *self)
{
	struct echo *echo = self;

	(void)pthread_mutex_init(&echo->lock, NULL);
}

static void
echo_destruct(void *self)
{
	struct echo *echo = self;

	if (echo->super.super.remote)
		return;
	echo_unhold(echo);
	OSRelease(echo->kept);
	(void)pthread_mutex_destroy(&echo->lock);
}

static void
echo_free(OSObject *self)
{
	if (!((OS_OBJECT *)self)->remote)
		atomic_fetch_sub(&echo_count, 1);
	OSObject_free_Impl(self);
}

static void
echo_no_senders(OS_OBJECT *self)
{
	atomic_fetch_add(&((struct echo *)self)->n_no_senders, 1);
}

static uint64_t
word(struct OSMessage *message)
{
	uint32_t cursor = 0;
	const uint64_t *at = OSMessageRead(message, &cursor, sizeof(*at));

	return at ? *at : 0;
}

static OS_OBJECT *
first_object(struct OSMessage *message)
{
	return message->n_objects > 0 ? message->objects[0] : NULL;
}

static void
invoke_null(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	OSMessageReply(message, kIOReturnSuccess, NULL, 0, NULL, 0);
}

static void
invoke_echo(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	struct OSSpan span = { message->content, message->content_size };

	OSMessageReply(message, kIOReturnSuccess, &span, 1, message->objects, message->n_objects);
}

static void
invoke_call_back(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	uint64_t depth = word(message);
	struct OSSpan span = { &depth, sizeof(depth) };
	IOReturn status = kIOReturnSuccess;

	if (depth > 0) {
		uint64_t inner = depth - 1;

		status = echo_call(first_object(message), ECHO_CALL_BACK, &inner, 1, self, NULL);
		depth = inner + 1;
	}
	OSMessageReply(message, status, &span, 1, NULL, 0);
}

/* What a worker of a driver does, and then what it must not do: wait on the channel that it receives from. */
static void
invoke_stay(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	struct echo *echo = (struct echo *)self;

	adxi_channel_stay(message->reply);
	OSMessageReply(message, kIOReturnSuccess, NULL, 0, NULL, 0);
	adxi_channel_stay(NULL);
	if (adxi_channel_stayed())
		atomic_fetch_add(&echo->n_stayed, 1);
	if (echo_call(first_object(message), ECHO_NULL, NULL, 0, NULL, NULL) == kIOReturnSuccess)
		atomic_fetch_add(&echo->n_answered, 1);
	adxi_channel_leave();
}

static void
invoke_post(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	struct echo *echo = (struct echo *)self;
	uint64_t number = word(message);

	if (number == atomic_exchange(&echo->last_post, number) + 1)
		atomic_fetch_add(&echo->posts_in_order, 1);
	atomic_fetch_add(&echo->n_posts, 1);
}

static void
invoke_keep(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	struct echo *echo = (struct echo *)self;
	OS_OBJECT *old;

	(void)pthread_mutex_lock(&echo->lock);
	old = echo->kept;
	echo->kept = first_object(message);
	OSRetain(echo->kept);
	(void)pthread_mutex_unlock(&echo->lock);
	OSRelease(old);
	OSMessageReply(message, kIOReturnSuccess, NULL, 0, NULL, 0);
}

static void
invoke_get(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	struct echo *echo = (struct echo *)self;

	OSMessageReply(message, kIOReturnSuccess, NULL, 0, &echo->kept, 1);
}

static void
invoke_hold(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	struct echo *echo = (struct echo *)self;

	(void)pthread_mutex_lock(&echo->lock);
	assert_true(echo->n_held < 64);
	echo->held[echo->n_held] = message->reply;
	message->reply = NULL;
	atomic_fetch_add(&echo->n_held, 1);
	(void)pthread_mutex_unlock(&echo->lock);
}

static void
invoke_fail(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	OSMessageReply(message, (IOReturn)word(message), NULL, 0, NULL, 0);
}

static void
invoke_post_many(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	uint64_t count = word(message);

	adxi_channel_hand_over();
	for (uint64_t i = 1; i <= count; i++)
		(void)echo_post(first_object(message), i);
	OSMessageReply(message, kIOReturnSuccess, NULL, 0, NULL, 0);
}

static void
implemented(void)
{
}

#define METHOD(number, function, how) \
	{ .id = (number), .name = #number, .impl = implemented, .invoke = (function), .flags = (how) }

static const struct OSMethod echo_methods[] = {
	METHOD(ECHO_NULL, invoke_null, 0),
	METHOD(ECHO_ECHO, invoke_echo, 0),
	METHOD(ECHO_CALL_BACK, invoke_call_back, 0),
	METHOD(ECHO_POST, invoke_post, OS_METHOD_ONEWAY),
	METHOD(ECHO_KEEP, invoke_keep, 0),
	METHOD(ECHO_GET, invoke_get, 0),
	METHOD(ECHO_HOLD, invoke_hold, 0),
	METHOD(ECHO_FAIL, invoke_fail, 0),
	METHOD(ECHO_POST_MANY, invoke_post_many, 0),
	METHOD(ECHO_STAY, invoke_stay, 0),
};

static const struct OSClassHooks echo_hooks = { .no_senders = echo_no_senders };
static struct OSObject_Ops echo_ops = { .free = echo_free };

struct OSMetaClass echo_class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_CAN_REMOTE,
	.name = "ChannelTestEcho",
	.super = &OSObject_Class,
	.instance_size = sizeof(struct echo),
	.ops_size = sizeof(echo_ops),
	.ops = (void **)&echo_ops,
	.methods = echo_methods,
	.n_methods = sizeof(echo_methods) / sizeof(echo_methods[0]),
	.construct = echo_construct,
	.destruct = echo_destruct,
	.hooks = &echo_hooks,
};

struct echo *
echo_new(void)
{
	struct echo *echo = (struct echo *)OSMetaClassAllocate(&echo_class);

	assert_non_null(echo);
	atomic_fetch_add(&echo_count, 1);
	return echo;
}

void
echo_unhold(struct echo *echo)
{
	(void)pthread_mutex_lock(&echo->lock);
	while (echo->n_held > 0) {
		unsigned last = atomic_fetch_sub(&echo->n_held, 1) - 1;

		OSReplySend(echo->held[last], kIOReturnSuccess, NULL, 0, NULL, 0);
	}
	(void)pthread_mutex_unlock(&echo->lock);
}

IOReturn
echo_call(OS_OBJECT *target, uint64_t method, uint64_t *content, unsigned n_words, OS_OBJECT *object,
	  OS_OBJECT **ret_object)
{
	struct OSSpan span = { content, n_words * sizeof(uint64_t) };
	struct OSCall call = {
		.target = target,
		.method = method,
		.spans = &span,
		.n_spans = 1,
		.objects = &object,
		.n_objects = object ? 1 : 0,
		.name = "test",
	};
	OS_OBJECT *objects[2] = { NULL };
	struct OSMessage reply;
	IOReturn status;

	OSMessageInit(&reply, content, n_words * (uint32_t)sizeof(uint64_t), objects, 2);
	status = OSInvoke(&call, &reply);
	if (status == kIOReturnSuccess && ret_object && reply.n_objects > 0) {
		*ret_object = objects[0];
		objects[0] = NULL;
	}
	OSMessageDone(&reply);
	return status;
}

IOReturn
echo_post(OS_OBJECT *target, uint64_t number)
{
	struct OSSpan span = { &number, sizeof(number) };
	struct OSCall call = {
		.target = target,
		.method = ECHO_POST,
		.flags = OS_METHOD_ONEWAY,
		.spans = &span,
		.n_spans = 1,
		.name = "test",
	};

	return OSInvoke(&call, NULL);
}

static void
end_closed(struct adxi_channel *channel, void *userdata, int reason)
{
	struct end *end = userdata;

	end->reason = reason;
	atomic_fetch_add(&end->closed, 1);
}

static const struct adxi_channel_ops end_ops = { .closed = end_closed };

static void *
end_run(void *context)
{
	struct end *end = context;

	(void)adxi_loop_run(end->loop);
	return NULL;
}

void
end_open(struct end *end, struct adxi_endpoint *endpoint, const char *name, bool threaded)
{
	memset(end, 0, sizeof(*end));
	OSMetaClassRegister(&echo_class);
	end->door = echo_new();
	assert_int_equal(adxi_channel_open(endpoint, name, &end_ops, end, &end->channel), 0);
	adxi_channel_set_door(end->channel, echo_object(end->door));
	end->peer = adxi_channel_copy_door(end->channel, &echo_class);
	assert_non_null(end->peer);
	if (!threaded)
		return;
	assert_int_equal(adxi_loop_new(&end->loop), 0);
	assert_int_equal(adxi_loop_add_channel(end->loop, end->channel, NULL), 0);
	assert_int_equal(pthread_create(&end->thread, NULL, end_run, end), 0);
	end->running = true;
}

void
end_close(struct end *end)
{
	if (end->running) {
		adxi_loop_stop(end->loop);
		(void)pthread_join(end->thread, NULL);
	}
	adxi_channel_close(end->channel);
	OSRelease(end->peer);
	OSRelease(echo_object(end->door));
	end->loop = adxi_loop_free(end->loop);
	end->channel = adxi_channel_unref(end->channel);
}
