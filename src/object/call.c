/* SPDX-License-Identifier: MIT */
/* Where a call goes: over a channel, to a native object of this process, or to whom an action
 * names. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <mach/mig_errors.h>
#include <ambidext/class.h>

#include "base/check.h"
#include "object/classes.h"
#include "object/message.h"
#include "object/remote.h"
#include "object/reply.h"

#define LOG_TOPIC "object.call"
#include "base/log.h"

struct OSRuntime os_runtime;

void
OSSetRuntime(const struct OSRuntime *runtime)
{
	os_runtime = *runtime;
}

IOReturn
OSRunLocal(OS_OBJECT *target, const struct OSMethod *method, void (*run)(void *frame), void *frame)
{
	if (os_runtime.run)
		return os_runtime.run(target, method, run, frame);
	run(frame);
	return kIOReturnSuccess;
}

static void
deliver(struct OSMessage *message, const struct OSMethod *method)
{
	if (os_runtime.deliver) {
		os_runtime.deliver(message, method);
		return;
	}
	method->invoke(message->target, method, message);
	OSMessageFree(message);
}

/* Answer or drop a request that nobody will run. */
static void
refuse(struct OSMessage *message, IOReturn status, const char *why)
{
	log_debug("request %016llx for %s %s: %s", (unsigned long long)message->method,
		  message->target ? message->target->meta->name : "nobody",
		  message->reply ? "refused" : "dropped", why);
	OSMessageReply(message, status, NULL, 0, NULL, 0);
	OSMessageFree(message);
}

void
OSDeliver(struct OSMessage *message)
{
	const struct OSClassHooks *hooks;
	const struct OSMethod *method;
	OS_OBJECT *target = message->target, *to;

	if (!target) {
		refuse(message, MACH_SEND_INVALID_DEST, "no target");
		return;
	}
	hooks = target->meta->hooks;
	if (hooks && hooks->redirect) {
		to = hooks->redirect(target, &message->method);
		if (!to) {
			refuse(message, kIOReturnAborted, "its action leads nowhere");
			return;
		}
		if (to != target) {
			OSRetain(to);
			OSRelease((OS_OBJECT *)message->action);
			message->action = (OSAction *)target;
			message->target = to;
		}
	}
	method = OSMetaClassFindMethod(message->target->meta, message->method);
	if (!method || !method->impl || !method->invoke || method->flags & OS_METHOD_STATIC) {
		refuse(message, kIOReturnUnsupported, "no such method");
		return;
	}
	if (message->target->remote) {
		refuse(message, kIOReturnUnsupported, "the target is a proxy here");
		return;
	}
	deliver(message, method);
}

void
OSDeliverAtOnce(struct OSMessage *message)
{
	const struct OSMethod *method =
		OSMetaClassFindMethod(message->target->meta, message->method);

	if (!method || !method->impl || !method->invoke || !(method->flags & OS_METHOD_ONEWAY)) {
		refuse(message, kIOReturnUnsupported, "no such method");
		return;
	}
	method->invoke(message->target, method, message);
	OSMessageFree(message);
}

/* ---------------------------------------------------------------------------------------------
 * Calls with an answer on native objects, through the same way as a peer's
 */

struct waiting_reply {
	struct OSReply reply;   /* base */
	struct OSMessage *into; /* borrowed: the caller's, who waits */
	pthread_mutex_t lock;   /* guards answered */
	pthread_cond_t cond;
	bool answered;
};

static void
waiting_send(struct OSReply *reply, IOReturn status, const struct OSSpan *spans, uint32_t n_spans,
	     OS_OBJECT *const *objects, uint32_t n_objects)
{
	/* The caller's stack: it returns as soon as it sees answered, so nothing is touched after
	 * unlock. */
	struct waiting_reply *waiting = (struct waiting_reply *)reply;

	(void)pthread_mutex_lock(&waiting->lock);
	(void)OSMessageFill(waiting->into, status, spans, n_spans, objects, n_objects);
	waiting->answered = true;
	(void)pthread_cond_signal(&waiting->cond);
	(void)pthread_mutex_unlock(&waiting->lock);
}

static IOReturn
check_call(const struct OSCall *call)
{
	if (OSSpansSize(call->spans, call->n_spans) == SIZE_MAX ||
	    call->n_objects > OS_MESSAGE_MAX_OBJECTS)
		return kIOReturnMessageTooLarge;
	return kIOReturnSuccess;
}

static IOReturn
invoke_native(const struct OSCall *call, struct OSMessage *ret_reply)
{
	struct waiting_reply waiting = {
		.reply.send = waiting_send,
		.into = ret_reply,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};
	struct OSMessage *message;

	message = OSMessageFromCall(call, ret_reply ? &waiting.reply : NULL);
	if (!message)
		return kIOReturnNoMemory;
	OSDeliver(message);
	if (!ret_reply)
		return kIOReturnSuccess;

	(void)pthread_mutex_lock(&waiting.lock);
	while (!waiting.answered)
		(void)pthread_cond_wait(&waiting.cond, &waiting.lock);
	(void)pthread_mutex_unlock(&waiting.lock);
	(void)pthread_cond_destroy(&waiting.cond);
	(void)pthread_mutex_destroy(&waiting.lock);
	return ret_reply->status;
}

IOReturn
OSInvoke(const struct OSCall *call, struct OSMessage *ret_reply)
{
	struct OSRemote *remote;
	IOReturn status;

	if (!call->target)
		return MACH_SEND_INVALID_DEST;
	status = check_call(call);
	if (status != kIOReturnSuccess)
		return status;
	if (__atomic_load_n(&call->target->flags, __ATOMIC_RELAXED) & OS_OBJECT_DEAD) {
		object_tell_dead(call->target, call->name);
		return MACH_SEND_INVALID_DEST;
	}
	if (call->flags & OS_METHOD_ONEWAY)
		ret_reply = NULL;
	remote = call->target->remote;
	return remote ? remote->ops->invoke(remote, call, ret_reply)
		      : invoke_native(call, ret_reply);
}

/* ---------------------------------------------------------------------------------------------
 * The same without waiting
 */

struct async_reply {
	struct OSReply reply; /* base */
	OSInvokeDone *done;
	void *context; /* borrowed: the caller's */
};

static void
async_send(struct OSReply *reply, IOReturn status, const struct OSSpan *spans, uint32_t n_spans,
	   OS_OBJECT *const *objects, uint32_t n_objects)
{
	struct async_reply *async = (struct async_reply *)reply;
	size_t size = OSSpansSize(spans, n_spans);
	struct OSMessage message = {.status = status};
	uint64_t *content = NULL;

	if (size == SIZE_MAX || n_objects > OS_MESSAGE_MAX_OBJECTS) {
		message.status = kIOReturnIPCError;
		size = 0;
		n_objects = 0;
	}
	if (size)
		content = malloc(size);
	if (size && !content) {
		message.status = kIOReturnNoMemory;
		n_objects = 0;
	} else if (size) {
		OSSpansGather(content, spans, n_spans);
		message.content = (const uint8_t *)content;
		message.content_size = (uint32_t)size;
	}
	/* Borrowed by the callback, so no references are needed. */
	message.objects = (OS_OBJECT **)(uintptr_t)objects;
	message.n_objects = n_objects;
	async->done(async->context, message.status, &message);
	free(content);
	free(async);
}

IOReturn
OSInvokeAsync(const struct OSCall *call, OSInvokeDone *done, void *context)
{
	struct async_reply *async;
	struct OSMessage *message;
	struct OSRemote *remote;
	IOReturn status;

	if (!call->target)
		return MACH_SEND_INVALID_DEST;
	status = check_call(call);
	if (status != kIOReturnSuccess)
		return status;
	remote = call->target->remote;
	if (remote)
		return remote->ops->invoke_async(remote, call, done, context);

	async = malloc(sizeof *async);
	if (!async)
		return kIOReturnNoMemory;
	*async = (struct async_reply){.reply.send = async_send, .done = done, .context = context};
	message = OSMessageFromCall(call, &async->reply);
	if (!message) {
		free(async);
		return kIOReturnNoMemory;
	}
	OSDeliver(message);
	return kIOReturnSuccess;
}
