/* SPDX-License-Identifier: MIT */
/* Callbacks of actions without messages: what runtime.c does for one that arrived. */

#include "driverkit/invoke.h"

#include <stdlib.h>

#include "base/rules.h"
#include "driverkit/action.h"
#include "driverkit/queue.h"
#include "driverkit/runtime.h"
#include "driverkit/service.h"
#include "driverkit/underway.h"

#define LOG_TOPIC "driverkit.invoke"
#include "base/log.h"

struct adxi_invoker {
	struct adxi_work work;
	struct adxi_queue *queue; /* owned reference */
	void (*run)(void *context, bool dropped);
	void *context;
};

static void
work_run(struct adxi_work *work)
{
	struct adxi_invoker *invoker = adxi_container_of(work, struct adxi_invoker, work);

	invoker->run(invoker->context, false);
}

static void
work_drop(struct adxi_work *work)
{
	struct adxi_invoker *invoker = adxi_container_of(work, struct adxi_invoker, work);

	invoker->run(invoker->context, true);
}

struct adxi_invoker *
adxi_invoker_new(OSAction *action, void (*run)(void *context, bool dropped), void *context)
{
	struct adxi_queue *queue = adxi_action_copy_queue(action);
	struct adxi_invoker *invoker;

	/* While one callback sleeps on a reentrant queue the next may run: run() is called once at a time. */
	if (!queue || adxi_queue_flags(queue) & (ADXI_QUEUE_CONCURRENT | ADXI_QUEUE_REENTRANT) ||
	    !(invoker = calloc(1, sizeof(*invoker)))) {
		adxi_queue_unref(queue);
		return NULL;
	}
	adxi_list_init(&invoker->work.link);
	invoker->work.run = work_run;
	invoker->work.drop = work_drop;
	invoker->queue = queue;
	invoker->run = run;
	invoker->context = context;
	return invoker;
}

struct adxi_invoker *
adxi_invoker_free(struct adxi_invoker *invoker)
{
	if (invoker)
		adxi_queue_unref(invoker->queue);
	free(invoker);
	return NULL;
}

bool
adxi_invoker_takes(const struct adxi_invoker *invoker, OSAction *action)
{
	struct adxi_queue *queue = adxi_action_copy_queue(action);
	bool takes = queue == invoker->queue;

	adxi_queue_unref(queue);
	return takes;
}

void
adxi_invoker_post(struct adxi_invoker *invoker)
{
	adxi_queue_async(invoker->queue, &invoker->work);
}

static void
run_claimed(OSAction *action, OS_OBJECT *target, const struct OSMethod *method, adxi_invoke_call *call, void *context)
{
	struct adxi_underway outer;

	adxi_underway_enter(method, target, false, &outer);
	call(context, target, method, action);
	adxi_underway_leave(&outer);
}

bool
adxi_invoker_invoke(struct adxi_invoker *invoker, OSAction *action, uint64_t id, OSMethodInvoke *invoke,
		    adxi_invoke_call *call, void *context)
{
	const struct OSMethod *method;
	struct adxi_queue *queue;
	OS_OBJECT *target;
	bool runs, here;

	switch (adxi_action_claim(action, id, &target, &method)) {
	case ADXI_CLAIM_NO:
		return false;
	case ADXI_CLAIM_CANCELLED:
		log_debug("%s not run: its action was cancelled", OSMethodName(id));
		return true;
	case ADXI_CLAIM_YES:
		break;
	}
	queue = adxi_runtime_queue(target, method, action);
	/* Whatever a message would be refused for, a message is to be refused for. */
	here = queue == invoker->queue && method->invoke == invoke && method->impl &&
	       (!method->action_type || OSMetaClassCast((OS_OBJECT *)action, *method->action_type));
	adxi_queue_unref(queue);
	runs = here;
	if (here && OSMetaClassIsKindOf(target->meta, &IOService_Class) && !adxi_service_accepts((IOService *)target)) {
		adxi_tell(ADXI_RULE_T41, "%s of a %s that has stopped: not run", method->name, target->meta->name);
		runs = false;
	}
	if (runs)
		run_claimed(action, target, method, call, context);
	adxi_action_done(action, runs);
	return here;
}

void
adxi_action_let_go(OSAction *action)
{
	const struct OSClassHooks *hooks = OSAction_Class.hooks;

	if (!(__atomic_load_n(&((OS_OBJECT *)action)->flags, __ATOMIC_RELAXED) & (OS_OBJECT_EXPORTED | OS_OBJECT_PENDING)))
		hooks->no_senders((OS_OBJECT *)action);
}
