/* SPDX-License-Identifier: MIT */
/* The hooks of the object model: local calls, messages that arrive, queues by name. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXDoor.h>
#include <Ambidext/ADXHost.h>
#include <Ambidext/ADXObserver.h>

#include "base/check.h"
#include "base/rules.h"
#include "channel/channel.h"
#include "driverkit/action.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/runtime.h"
#include "driverkit/service.h"
#include "driverkit/underway.h"
#include "driverkit/workers.h"

#define LOG_TOPIC "driverkit.runtime"
#include "base/log.h"

#define MAX_RECURSION                                                                              \
	64u /* the same method of the same object inside itself: it never ends (rule T38) */

/* A message on its way to its queue. */
struct delivery {
	struct adxi_work work;
	struct OSMessage *message; /* owned */
	const struct OSMethod *method;
	OSAction *claimed;           /* owned reference, with a claim; NULL: none */
	struct adxi_channel *caller; /* owned reference; NULL: local */
};

/* A local call on the stack of its thread. */
struct call_frame {
	const struct call_frame *outer;
	const OS_OBJECT *target;
	const struct OSMethod *method;
	unsigned same; /* frames directly outside with the same target and method */
};

static _Thread_local const struct call_frame *calls;
static _Thread_local struct adxi_channel *caller;
static _Thread_local bool deliver_inline;

struct adxi_channel *
adxi_runtime_caller(void)
{
	return caller;
}

static bool
is_dextds(const OS_OBJECT *target)
{
	return OSMetaClassIsKindOf(target->meta, &ADXHost_Class) ||
	       OSMetaClassIsKindOf(target->meta, &ADXDoor_Class) ||
	       OSMetaClassIsKindOf(target->meta, &ADXObserver_Class);
}

struct adxi_queue *
adxi_runtime_queue(OS_OBJECT *target, const struct OSMethod *method, OSAction *action)
{
	struct adxi_queue *queue;

	if (OSMetaClassIsKindOf(target->meta, &IOService_Class))
		return adxi_service_queue((IOService *)target, method ? method->queue : NULL);
	if (is_dextds(target))
		return adxi_queue_ref(adxi_queue_control());
	if (action && (queue = adxi_action_queue(action)))
		return adxi_queue_ref(queue);
	return NULL;
}

/* ---------------------------------------------------------------------------------------------
 * Calls from this process
 */

struct local_call {
	void (*run)(void *frame);
	void *frame;
	struct call_frame call;
};

static void
local_run(void *context)
{
	struct local_call *call = context;
	struct adxi_channel *outer_caller = caller;

	struct adxi_underway outer;

	call->call.outer = calls;
	calls = &call->call;
	caller = NULL;
	adxi_underway_enter(call->call.method, call->call.target, false, &outer);
	call->run(call->frame);
	adxi_underway_leave(&outer);
	caller = outer_caller;
	calls = call->call.outer;
}

static bool
recurses(struct call_frame *frame)
{
	if (calls && calls->target == frame->target && calls->method == frame->method)
		frame->same = calls->same + 1;
	if (frame->same < MAX_RECURSION)
		return false;
	adxi_tell(ADXI_RULE_T38, "%s of a %s called itself %u times without end",
		  frame->method->name, frame->target->meta->name, frame->same);
	return true;
}

static IOReturn
runtime_run(OS_OBJECT *target, const struct OSMethod *method, void (*run)(void *frame), void *frame)
{
	struct local_call call = { run, frame, { .target = target, .method = method } };
	struct adxi_queue *queue;
	int r = 0;

	if (recurses(&call.call))
		return kIOReturnInternalError;
	queue = adxi_runtime_queue(target, method, NULL);
	if (!queue || adxi_queue_flags(queue) & ADXI_QUEUE_CONCURRENT)
		local_run(&call);
	else
		r = adxi_queue_sync(queue, local_run, &call);
	adxi_queue_unref(queue);
	return r == 0 ? kIOReturnSuccess : r == -EDEADLK ? kIOReturnCannotLock : kIOReturnNotReady;
}

/* ---------------------------------------------------------------------------------------------
 * Messages
 */

static void
delivery_end(struct delivery *delivery, bool ran)
{
	OSMessageFree(delivery->message);
	if (delivery->claimed) {
		adxi_action_done(delivery->claimed, ran);
		OSRelease((OS_OBJECT *)delivery->claimed);
	}
	adxi_channel_unref(delivery->caller);
	free(delivery);
}

static void
delivery_drop(struct adxi_work *work)
{
	struct delivery *delivery = adxi_container_of(work, struct delivery, work);

	log_debug("%s dropped: its queue is gone", delivery->method->name);
	OSMessageReply(delivery->message, kIOReturnNotReady, NULL, 0, NULL, 0);
	delivery_end(delivery, false);
}

/* A service that has stopped gets no more calls, and a cancelled action's invocations are not
 * wanted. */
static bool
may_run(const struct delivery *delivery)
{
	OS_OBJECT *target = delivery->message->target;

	if (delivery->claimed && !adxi_action_may_run(delivery->claimed))
		return false;
	if (!OSMetaClassIsKindOf(target->meta, &IOService_Class) ||
	    adxi_service_accepts((IOService *)target))
		return true;
	if (delivery->claimed)
		adxi_tell(ADXI_RULE_T41, "%s of a %s that has stopped: not run",
			  delivery->method->name, target->meta->name);
	return false;
}

/* Whether nothing of a driver's runs between the reply and the return to the worker: the method's last act is its reply, and
 * what is released after that is ours. */
static bool
may_stay(const struct delivery *delivery)
{
	const struct OSMessage *message = delivery->message;

	for (uint32_t i = 0; i < message->n_objects; i++)
		if (message->objects[i])
			return false;
	/* Inside a delivery, in a call that waits, the receiver's role is that call's. */
	if (adxi_channel_current())
		return false;
	return message->reply && !delivery->claimed && delivery->caller &&
	       delivery->caller == adxi_workers_channel() && OSGetRetainCount(message->target) > 1;
}

static void
delivery_run(struct adxi_work *work)
{
	struct delivery *delivery = adxi_container_of(work, struct delivery, work);
	struct adxi_channel *outer_caller = caller;
	bool runs = may_run(delivery);
	struct adxi_underway outer;

	if (runs) {
		caller = delivery->caller;
		adxi_underway_enter(delivery->method, delivery->message->target,
				    delivery->message->reply, &outer);
		if (may_stay(delivery))
			adxi_channel_stay(delivery->message->reply);
		delivery->method->invoke(delivery->message->target, delivery->method,
					 delivery->message);
		adxi_channel_stay(NULL);
		adxi_underway_leave(&outer);
		caller = outer_caller;
	} else {
		log_debug("%s not run: %s", delivery->method->name,
			  delivery->claimed ? "its action was cancelled or its target has stopped"
					    : "the service has stopped");
		OSMessageReply(delivery->message, kIOReturnNotReady, NULL, 0, NULL, 0);
	}
	delivery_end(delivery, runs);
}

static void
runtime_deliver(struct OSMessage *message, const struct OSMethod *method)
{
	bool claimed = message->action && adxi_action_is_native(message->action);
	struct delivery *delivery = malloc(sizeof(*delivery));
	struct adxi_queue *queue;

	if (!delivery) {
		OSAction *action = claimed ? message->action : NULL;

		OSRetain((OS_OBJECT *)action);
		OSMessageReply(message, kIOReturnNoMemory, NULL, 0, NULL, 0);
		OSMessageFree(message);
		if (action)
			adxi_action_done(action, false);
		OSRelease((OS_OBJECT *)action);
		return;
	}
	*delivery = (struct delivery){ .work.run = delivery_run,
				       .work.drop = delivery_drop,
				       .message = message,
				       .method = method };
	if (claimed) {
		delivery->claimed = message->action;
		OSRetain((OS_OBJECT *)message->action);
	}
	if (adxi_channel_current())
		delivery->caller = adxi_channel_ref(adxi_channel_current());
	if (deliver_inline ||
	    (method->flags & OS_METHOD_KERNEL && !claimed && !is_dextds(message->target))) {
		deliver_inline = false;
		delivery_run(&delivery->work);
		return;
	}
	queue = adxi_runtime_queue(message->target, method, claimed ? message->action : NULL);
	if (!queue)
		queue = adxi_queue_ref(adxi_queue_root());
	if (adxi_queue_flags(queue) & ADXI_QUEUE_CONCURRENT)
		adxi_queue_concurrent(queue, &delivery->work);
	else
		adxi_queue_async(queue, &delivery->work);
	adxi_queue_unref(queue);
}

void
adxi_runtime_inline(void (*call)(void *context), void *context)
{
	deliver_inline = true;
	call(context);
	deliver_inline = false;
}

/* ---------------------------------------------------------------------------------------------
 * Installation
 */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
install(void)
{
	static const struct OSRuntime runtime = {
		.run = runtime_run,
		.deliver = runtime_deliver,
		.set_queue = adxi_service_set_queue,
		.copy_queue = adxi_service_copy_queue,
	};

	OSSetRuntime(&runtime);
}

void
adxi_runtime_install(void)
{
	pthread_once(&once, install);
}

/* Whoever links the library is a driver or a host: local calls hop to queues from the first one on.
 */
__attribute__((constructor)) static void
install_at_load(void)
{
	adxi_runtime_install();
}
