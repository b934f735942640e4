/* SPDX-License-Identifier: MIT */
#include "channel/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mach/message.h>
#include <mach/mig_errors.h>

/* ---------------------------------------------------------------------------------------------
 * Calls that wait for their replies
 */

static int
call_slots_grow_locked(struct adxi_channel *ch)
{
	uint32_t n = ch->n_calls ? ch->n_calls * 2 : 16;
	struct call_slot *bigger;

	if (n > 1u << 20)
		return -ENOSPC;
	bigger = reallocarray(ch->calls, n, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	for (uint32_t i = ch->n_calls; i < n; i++)
		bigger[i] = (struct call_slot){ .next_free = i + 1 < n ? i + 1 : CHANNEL_NO_SLOT };
	ch->calls_free = ch->n_calls;
	ch->calls = bigger;
	ch->n_calls = n;
	return 0;
}

/* @p leads: and take the role if it is free. From here on the channel's end may complete it: one with a function is gone then. */
static int
call_register(struct adxi_channel *ch, struct call *call, bool leads, uint64_t *ret_transaction)
{
	bool has_role = false;
	int r = 0;

	(void)pthread_mutex_lock(&ch->lock);
	if (ch->calls_closed)
		r = -EPIPE;
	else if (ch->calls_free == CHANNEL_NO_SLOT)
		r = call_slots_grow_locked(ch);
	if (r == 0) {
		const uint32_t index = ch->calls_free;
		struct call_slot *slot = &ch->calls[index];

		ch->calls_free = slot->next_free;
		slot->call = call;
		call->transaction = (uint64_t)slot->generation << 32 | index;
		COUNT(ch->calls_pending, 1, memory_order_relaxed);
		call->ticket = adxi_ledger_open(call->done ? ADXI_LEDGER_ASYNC : ADXI_LEDGER_CALL, call->transaction);
		has_role = leads && role_take_locked(ch);
		call->waiter.has_role = has_role;
		*ret_transaction = call->transaction;
	}
	(void)pthread_mutex_unlock(&ch->lock);
	if (has_role)
		role_awake(ch);
	return r;
}

static struct call *
call_detach_locked(struct adxi_channel *ch, uint32_t index)
{
	struct call_slot *slot = &ch->calls[index];
	struct call *call = slot->call;

	slot->call = NULL;
	slot->generation++;
	slot->next_free = ch->calls_free;
	ch->calls_free = index;
	COUNT(ch->calls_pending, -1ull, memory_order_relaxed);
	return call;
}

struct call *
call_detach(struct adxi_channel *ch, uint64_t transaction)
{
	const uint32_t index = (uint32_t)transaction;
	struct call *call = NULL;

	(void)pthread_mutex_lock(&ch->lock);
	if (index < ch->n_calls && ch->calls[index].call &&
	    ch->calls[index].generation == (uint32_t)(transaction >> 32))
		call = call_detach_locked(ch, index);
	(void)pthread_mutex_unlock(&ch->lock);
	return call;
}

static void
call_done_run(struct adxi_channel *ch, struct item *item)
{
	struct call *call = adxi_container_of(item, struct call, item);

	call->done(call->context, call->status, call->received);
	adxi_ledger_close(ADXI_LEDGER_ASYNC, call->ticket, call->transaction, call->how);
	if (call->received) {
		OSMessageDone(call->received);
		free(call->received);
	}
	free(call);
}

/* Its end is certain. Of one with a function it is written when that has run. */
static void
call_ends(struct call *call, uint64_t transaction, IOReturn status, enum adxi_ledger_how how)
{
	call->status = status;
	call->how = how;
	if (!call->done)
		adxi_ledger_close(ADXI_LEDGER_CALL, call->ticket, transaction, how);
}

/* Says it to whoever waits. */
static void
call_tell(struct adxi_channel *ch, struct call *call)
{
	if (call->done) {
		call->item.run = call_done_run;
		channel_put(ch, &call->item);
		return;
	}
	/* Once done is seen the caller's stack is gone, at once if it leads: nothing of it is looked at after that. One that sleeps
	 * cannot see it before it has the lock. */
	(void)pthread_mutex_lock(&ch->lock);
	if (call->waiter.asleep)
		(void)pthread_cond_signal(&call->waiter.wake);
	atomic_store(&call->waiter.done, true);
	(void)pthread_mutex_unlock(&ch->lock);
}

void
call_complete(struct adxi_channel *ch, struct call *call, IOReturn status)
{
	call_ends(call, call->transaction, status, ADXI_LEDGER_FAILED);
	call_tell(ch, call);
}

void
call_received(struct adxi_channel *ch, struct call *call, uint64_t transaction, IOReturn status)
{
	call_ends(call, transaction, status, ADXI_LEDGER_DONE);
	if (call->done || ch->leading != &call->waiter) {
		call_tell(ch, call);
		return;
	}
	call->waiter.own = true;
	atomic_store_explicit(&call->waiter.done, true, memory_order_relaxed); /* this thread's own */
}

void
call_fail_all(struct adxi_channel *ch, IOReturn status)
{
	uint32_t n_calls;

	(void)pthread_mutex_lock(&ch->lock);
	ch->calls_closed = true;
	n_calls = ch->n_calls;
	(void)pthread_mutex_unlock(&ch->lock);
	for (uint32_t i = 0; i < n_calls; i++) {
		struct call *call = NULL;

		(void)pthread_mutex_lock(&ch->lock);
		if (ch->calls[i].call)
			call = call_detach_locked(ch, i);
		(void)pthread_mutex_unlock(&ch->lock);
		if (call)
			call_complete(ch, call, status);
	}
}

/* ---------------------------------------------------------------------------------------------
 * OSInvoke, OSInvokeAsync
 */

static IOReturn
invoke_one_way(struct import *import, const struct OSCall *call, enum send_policy policy)
{
	struct wire_header header = { .kind = WIRE_ONEWAY, .method = call->method, .target = import->ref };
	int r = send_message(import->channel, &header, call->spans, call->n_spans, call->objects, call->n_objects,
			     policy);

	/* To nobody: dropped, as Mach does with a dead port. Full: dropped and told. */
	return r == -EPIPE || r == -ENOBUFS ? kIOReturnSuccess : send_status(r);
}

/* Take @p call out again because it was not sent. False: somebody completes it. */
static bool
call_withdraw(struct adxi_channel *ch, struct call *call)
{
	return call_detach(ch, call->transaction) == call;
}

IOReturn
call_invoke(struct OSRemote *remote, const struct OSCall *args, struct OSMessage *ret_reply)
{
	struct import *import = (struct import *)(void *)remote;
	struct adxi_channel *ch = import->channel;
	struct wire_header header = { .kind = WIRE_REQUEST, .method = args->method, .target = import->ref };
	struct call call = { .reply = ret_reply };
	int r;

	if (args->flags & OS_METHOD_ONEWAY)
		return invoke_one_way(import, args, SEND_WAIT);
	waiter_init(&call.waiter, false);
	r = channel_usable(ch) ? call_register(ch, &call, true, &header.transaction) : -ECHILD;
	if (r < 0)
		return send_status(r);
	(void)adxi_channel_ref(ch);
	channel_say_where(ch);
	r = send_message(ch, &header, args->spans, args->n_spans, args->objects, args->n_objects,
			 channel_is_polled(ch) ? SEND_QUIET : SEND_WAIT);
	call.waiter.owes_wake = r == 1;
	if (r < 0 && call_withdraw(ch, &call)) {
		call_ends(&call, call.transaction, send_status(r), ADXI_LEDGER_REFUSED);
		if (call.waiter.has_role)
			channel_drop_role(ch);
	} else {
		channel_wait(ch, &call.waiter);
		/* It died before this call was on its way. */
		if (r == -EPIPE)
			call.status = MACH_SEND_INVALID_DEST;
	}
	(void)adxi_channel_unref(ch);
	return call.status;
}

IOReturn
call_invoke_async(struct OSRemote *remote, const struct OSCall *args, OSInvokeDone *done, void *context)
{
	struct import *import = (struct import *)(void *)remote;
	struct adxi_channel *ch = import->channel;
	struct wire_header header = { .kind = WIRE_REQUEST, .method = args->method, .target = import->ref };
	struct call *call;
	int r;

	if (atomic_load(&ch->queued_bytes) > CHANNEL_QUOTA)
		return kIOReturnNoResources;
	call = calloc(1, sizeof(*call));
	if (!call)
		return kIOReturnNoMemory;
	call->done = done;
	call->context = context;
	r = channel_usable(ch) ? call_register(ch, call, false, &header.transaction) : -ECHILD;
	if (r < 0) {
		free(call);
		return send_status(r);
	}
	r = send_message(ch, &header, args->spans, args->n_spans, args->objects, args->n_objects, SEND_WAIT);
	if (r == 0)
		return kIOReturnSuccess;
	if (call_detach(ch, header.transaction) != call)
		return kIOReturnSuccess; /* completed by the channel's end: done runs */
	adxi_ledger_close(ADXI_LEDGER_ASYNC, call->ticket, call->transaction, ADXI_LEDGER_REFUSED);
	free(call);
	return send_status(r);
}

/* ---------------------------------------------------------------------------------------------
 * Replies
 */

static void
reply_send(struct OSReply *base, IOReturn status, const struct OSSpan *spans, uint32_t n_spans,
	   OS_OBJECT *const *objects, uint32_t n_objects)
{
	struct call_reply *reply = (struct call_reply *)(void *)base;
	struct wire_header header = {
		.kind = WIRE_REPLY,
		.transaction = reply->transaction,
		.status = status,
	};
	int r;

	channel_stay_on_reply(reply->channel, base);
	r = send_message(reply->channel, &header, spans, n_spans, objects, n_objects, SEND_DROP);
	/* The caller waits for something. */
	if (r < 0 && r != -EPIPE && r != -ECHILD)
		call_answer(reply->channel, reply->transaction, send_status(r));
	adxi_ledger_close(ADXI_LEDGER_REPLY, reply->ticket, reply->transaction, r < 0 ? ADXI_LEDGER_FAILED : ADXI_LEDGER_DONE);
	reply->sent(reply);
}

void
call_reply_init(struct call_reply *reply, struct adxi_channel *ch, uint64_t transaction, void (*sent)(struct call_reply *reply))
{
	*reply = (struct call_reply){
		.reply.send = reply_send,
		.channel = ch,
		.transaction = transaction,
		.ticket = adxi_ledger_open(ADXI_LEDGER_REPLY, transaction),
		.sent = sent,
	};
}

void
call_answer(struct adxi_channel *ch, uint64_t transaction, IOReturn status)
{
	struct wire_header header = { .kind = WIRE_REPLY, .transaction = transaction, .status = status };

	send_must_arrive(ch, send_message(ch, &header, NULL, 0, NULL, 0, SEND_DROP));
}

/* ---------------------------------------------------------------------------------------------
 * Forwarding: the target is an object of another process, which this one passed on
 */

static void
forward_done(void *context, IOReturn status, const struct OSMessage *received)
{
	const struct OSSpan span = {
		.data = received ? received->content : NULL,
		.size = received ? received->content_size : 0,
	};

	OSReplySend(context, status, &span, 1, received ? received->objects : NULL,
		    received ? received->n_objects : 0);
}

void
call_forward(struct OSMessage *message)
{
	const struct OSSpan span = { .data = message->content, .size = message->content_size };
	struct OSRemote *remote = message->target->remote;
	struct OSCall call = {
		.target = message->target,
		.method = message->method,
		.n_spans = 1,
		.spans = &span,
		.n_objects = message->n_objects,
		.objects = message->objects,
		.name = "forwarded",
	};
	IOReturn status;

	if (message->flags & OS_MESSAGE_ONEWAY) {
		call.flags = OS_METHOD_ONEWAY;
		if (remote->ops == &channel_remote_ops)
			(void)invoke_one_way((struct import *)(void *)remote, &call, SEND_DROP);
		else
			(void)remote->ops->invoke(remote, &call, NULL);
	} else {
		struct OSReply *reply = message->reply;

		message->reply = NULL;
		status = remote->ops->invoke_async(remote, &call, forward_done, reply);
		if (status != kIOReturnSuccess)
			OSReplySend(reply, status, NULL, 0, NULL, 0);
	}
	OSMessageFree(message);
}
