/* SPDX-License-Identifier: MIT */
/* class OSAction: the right to call one method of one object, with storage, cancelling and waiting.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <ambidext/runtime.h>
#include <DriverKit/OSString.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/ledger.h"
#include "base/list.h"
#include "base/rules.h"
#include "driverkit/action.h"
#include "driverkit/block.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/runtime.h"
#include "driverkit/timer.h"

/* A function that runs once, or is dropped. */
struct handler {
	void (*run)(void *context);
	void (*drop)(void *context); /* may be NULL */
	void *context;
};

struct OSActionWaitToken {
	OSAction *action; /* owned reference */
	pthread_cond_t cond;
	struct adxi_timer timer;
	bool done, aborted, expired;
};

struct OSAction_IVars {
	OSAction *self;
	OSObject *target;       /* owned reference until cancelled or freed; NULL: none */
	uint64_t target_method; /* what runs on target */
	uint64_t method;        /* what invokers call */
	void *reference;        /* owned: reference_size zeroed bytes */
	size_t reference_size;
	struct adxi_queue *queue; /* owned reference: where it was created; may be NULL */
	struct adxi_list link;    /* in actions */
	pthread_mutex_t lock;     /* guards all below, and target */
	unsigned claims;
	adxi_ticket ticket; /* while there are claims */
	bool cancelled, finished, aborted;
	struct handler cancel, abort;
	OSActionWaitToken *waiter; /* borrowed from its user */
};

static pthread_mutex_t actions_lock =
	PTHREAD_MUTEX_INITIALIZER; /* guards the list; taken before an action's lock */
static struct adxi_list actions = ADXI_LIST_INIT(actions);

static void
handler_drop(struct handler *handler)
{
	if (handler->run && handler->drop)
		handler->drop(handler->context);
	*handler = (struct handler){ 0 };
}

/* ---------------------------------------------------------------------------------------------
 * Creation
 */

/* Once for each class: a driver that makes one such object makes thousands. Strict mode refuses
 * each, and says so. */
static bool
refuse_type_allocated(const struct OSMetaClass *type, const struct OSMetaClass *meta)
{
	static const struct OSMetaClass *told[16]; /* guarded by actions_lock */
	unsigned i = 0;

	pthread_mutex_lock(&actions_lock);
	while (i < 16 && told[i] && told[i] != meta)
		i++;
	bool known = i < 16 && told[i];
	if (i < 16)
		told[i] = meta;
	pthread_mutex_unlock(&actions_lock);
	if (known && !adxi_strict())
		return false;
	return adxi_tell(ADXI_RULE_T27, "%s: its target is a %s made with OSTypeAlloc", type->name,
			 meta->name);
}

/* Whether target can be one. Its rules are told here. */
static kern_return_t
check_target(const struct OSMetaClass *type, const OS_OBJECT *target, uint64_t target_method)
{
	const struct OSMethod *method;

	if (target->remote) {
		adxi_tell(ADXI_RULE_T27,
			  "%s: its target is a proxy of a %s that another process has", type->name,
			  target->meta->name);
		return kIOReturnBadArgument;
	}
	method = OSMetaClassFindMethod(target->meta, target_method);
	if (!method || !method->impl) {
		adxi_tell(ADXI_RULE_T33, "%s: class %s has no method %s (%#llx) for the callback",
			  type->name, target->meta->name, OSMethodName(target_method),
			  (unsigned long long)target_method);
		return kIOReturnBadArgument;
	}
	if (!(target->flags & OS_OBJECT_INITIALISED))
		adxi_tell(ADXI_RULE_T28, "%s: its target, a %s, was not initialised", type->name,
			  target->meta->name);
	if (!(target->flags & OS_OBJECT_HOSTED) && target->flags & OS_OBJECT_TYPE_ALLOCATED &&
	    refuse_type_allocated(type, target->meta))
		return kIOReturnBadArgument;
	return kIOReturnSuccess;
}

static struct OSAction_IVars *
ivars_new(OSObject *target, uint64_t target_method, uint64_t method, size_t reference_size)
{
	struct OSAction_IVars *ivars = calloc(1, sizeof(*ivars));

	if (!ivars)
		return NULL;
	if (reference_size) {
		ivars->reference = calloc(1, reference_size);
		if (!ivars->reference) {
			free(ivars);
			return NULL;
		}
	}
	ivars->target_method = target_method;
	ivars->method = method;
	ivars->reference_size = reference_size;
	ivars->target = target;
	OSRetain((OS_OBJECT *)target);
	ivars->queue = adxi_queue_current();
	if (ivars->queue)
		adxi_queue_ref(ivars->queue);
	pthread_mutex_init(&ivars->lock, NULL);
	adxi_list_init(&ivars->link);
	return ivars;
}

kern_return_t
OSAction_CreateOfClass(const struct OSMetaClass *type, OSObject *target, uint64_t target_method,
		       uint64_t method, size_t reference_size, OSAction **ret_action)
{
	kern_return_t ret = kIOReturnSuccess;
	OSAction *self;

	if (!ret_action || !type || !OSMetaClassIsKindOf(type, &OSAction_Class) ||
	    reference_size > UINT32_MAX)
		return kIOReturnBadArgument;
	if (target)
		ret = check_target(type, (OS_OBJECT *)target, target_method);
	if (ret != kIOReturnSuccess)
		return ret;
	self = (OSAction *)OSMetaClassAllocate(type);
	if (self && OSObject_init((OSObject *)self))
		self->ivars = ivars_new(target, target_method, method, reference_size);
	if (!self || !self->ivars) {
		OSSafeReleaseNULL(self);
		return kIOReturnNoMemory;
	}
	self->ivars->self = self;
	pthread_mutex_lock(&actions_lock);
	adxi_list_append(&actions, &self->ivars->link);
	pthread_mutex_unlock(&actions_lock);
	*ret_action = self;
	return kIOReturnSuccess;
}

/* Sources that name ids do not name the type: the target's method knows it. */
static const struct OSMetaClass *
type_of_method(const OSObject *target, uint64_t target_method)
{
	const struct OSMethod *method =
		target ? OSMetaClassFindMethod(((const OS_OBJECT *)target)->meta, target_method)
		       : NULL;

	return method && method->action_type && *method->action_type ? *method->action_type
								     : &OSAction_Class;
}

kern_return_t
OSAction_Create(OSObject *target, uint64_t targetmsgid, uint64_t msgid, size_t referenceSize,
		OSAction **action)
{
	return OSAction_CreateOfClass(type_of_method(target, targetmsgid), target, targetmsgid,
				      msgid, referenceSize, action);
}

kern_return_t
OSAction_CreateWithTypeName(OSObject *target, uint64_t targetmsgid, uint64_t msgid,
			    size_t referenceSize, OSString *typeName, OSAction **action)
{
	const struct OSMetaClass *type;

	if (!typeName)
		return OSAction_Create(target, targetmsgid, msgid, referenceSize, action);
	type = OSMetaClassWithName(OSString_getCStringNoCopy(typeName));
	if (!type || type->super != &OSAction_Class)
		return kIOReturnBadArgument;
	return OSAction_CreateOfClass(type, target, targetmsgid, msgid, referenceSize, action);
}

void
OSAction_free_Impl(OSAction *self)
{
	struct OSAction_IVars *ivars = self->ivars;

	if (ivars) {
		pthread_mutex_lock(&actions_lock);
		adxi_list_remove(&ivars->link);
		pthread_mutex_unlock(&actions_lock);
		handler_drop(&ivars->cancel);
		handler_drop(&ivars->abort);
		OSRelease((OS_OBJECT *)ivars->target);
		adxi_queue_unref(ivars->queue);
		pthread_mutex_destroy(&ivars->lock);
		free(ivars->reference);
		free(ivars);
	}
	OSAction_free_super(self);
}

void *
OSAction_GetReference(OSAction *self)
{
	if (self->ivars && self->ivars->reference)
		return self->ivars->reference;
	adxi_tell(ADXI_RULE_T31, "GetReference of %s: %s", ((OS_OBJECT *)self)->meta->name,
		  self->ivars ? "its referenceSize is 0" : "it was created by another process");
	return NULL;
}

bool
adxi_action_is_native(const OSAction *action)
{
	return action && action->ivars;
}

struct adxi_queue *
adxi_action_queue(OSAction *action)
{
	return action->ivars ? action->ivars->queue : NULL;
}

unsigned
adxi_actions_report(const OSObject *target)
{
	struct OSAction_IVars *ivars;
	unsigned n = 0;

	pthread_mutex_lock(&actions_lock);
	ADXI_LIST_EACH(ivars, &actions, link) {
		/* A cancelled one lets go by itself, as soon as its last callback has ended. */
		pthread_mutex_lock(&ivars->lock);
		bool holds = ivars->target == target && !ivars->cancelled;
		pthread_mutex_unlock(&ivars->lock);
		if (!holds)
			continue;
		n++;
		adxi_tell(ADXI_RULE_T29, "%s %p still holds a %s that has stopped",
			  ((OS_OBJECT *)ivars->self)->meta->name, (void *)ivars->self,
			  ((const OS_OBJECT *)target)->meta->name);
	}
	pthread_mutex_unlock(&actions_lock);
	return n;
}

/* ---------------------------------------------------------------------------------------------
 * Invocations
 */

static void
claim_locked(struct OSAction_IVars *ivars)
{
	if (ivars->claims++ == 0)
		ivars->ticket = adxi_ledger_open(ADXI_LEDGER_ACTION, (uintptr_t)ivars);
}

/* It goes to the action's own class, if anywhere. */
static OS_OBJECT *
not_redirected(OS_OBJECT *object, uint64_t method)
{
	struct OSAction_IVars *ivars = ((OSAction *)object)->ivars;

	if (OSMetaClassFindMethod(object->meta, method))
		return object;
	pthread_mutex_lock(&ivars->lock);
	bool has_target = ivars->target || ivars->cancelled; /* a cancelled one had one */
	pthread_mutex_unlock(&ivars->lock);
	if (!has_target)
		return object;
	adxi_tell(ADXI_RULE_T33, "%s was invoked as %s, and it was made for %s: dropped",
		  object->meta->name, OSMethodName(method), OSMethodName(ivars->method));
	return NULL;
}

static OS_OBJECT *
action_redirect(OS_OBJECT *object, uint64_t *method)
{
	struct OSAction_IVars *ivars = ((OSAction *)object)->ivars;
	OS_OBJECT *to = object;

	if (!ivars)
		return object;
	if (*method != ivars->method)
		return not_redirected(object, *method);
	pthread_mutex_lock(&ivars->lock);
	if (ivars->cancelled) {
		to = NULL;
	} else if (ivars->target) {
		claim_locked(ivars);
		to = (OS_OBJECT *)ivars->target;
		*method = ivars->target_method;
	}
	pthread_mutex_unlock(&ivars->lock);
	return to;
}

enum adxi_claim
adxi_action_claim(OSAction *action, uint64_t id, OS_OBJECT **ret_target,
		  const struct OSMethod **ret_method)
{
	struct OSAction_IVars *ivars = action->ivars;
	const struct OSMethod *method;
	OS_OBJECT *target;

	if (!ivars || ivars->method != id)
		return ADXI_CLAIM_NO;
	pthread_mutex_lock(&ivars->lock);
	bool cancelled = ivars->cancelled;
	target = (OS_OBJECT *)ivars->target;
	if (!cancelled && target)
		claim_locked(ivars);
	pthread_mutex_unlock(&ivars->lock);
	if (cancelled)
		return ADXI_CLAIM_CANCELLED;
	if (!target)
		return ADXI_CLAIM_NO;
	method = OSMetaClassFindMethod(target->meta, ivars->target_method);
	if (!method) {
		adxi_action_done(action, false);
		return ADXI_CLAIM_NO;
	}
	*ret_target = target;
	*ret_method = method;
	return ADXI_CLAIM_YES;
}

struct adxi_queue *
adxi_action_copy_queue(OSAction *action)
{
	struct adxi_queue *queue = NULL;
	const struct OSMethod *method;
	OS_OBJECT *target;

	if (!action->ivars ||
	    adxi_action_claim(action, action->ivars->method, &target, &method) != ADXI_CLAIM_YES)
		return NULL;
	queue = adxi_runtime_queue(target, method, action);
	adxi_action_done(action, false);
	return queue;
}

bool
adxi_action_may_run(OSAction *action)
{
	struct OSAction_IVars *ivars = action->ivars;

	pthread_mutex_lock(&ivars->lock);
	bool may = !ivars->cancelled;
	pthread_mutex_unlock(&ivars->lock);
	return may;
}

/* The cancel handler, then the target goes; the action is held until both happened. */
static void
cancel_run(void *context)
{
	OSAction *self = context;
	struct OSAction_IVars *ivars = self->ivars;
	struct handler handler = ivars->cancel; /* nobody else touches it once finished */
	OSObject *target = ivars->target;

	ivars->cancel = (struct handler){ 0 };
	if (handler.run)
		handler.run(handler.context);
	pthread_mutex_lock(&ivars->lock);
	ivars->target = NULL;
	pthread_mutex_unlock(&ivars->lock);
	OSRelease((OS_OBJECT *)target);
	OSRelease((OS_OBJECT *)self);
}

/* The target's queue was cancelled before the handler's turn came. */
static void
cancel_elsewhere(void *context)
{
	OSAction *self = context;

	if (adxi_tell(ADXI_RULE_T32,
		      "%s: the queue of its %s is gone; its cancel handler runs on the process's "
		      "queue",
		      ((OS_OBJECT *)self)->meta->name,
		      self->ivars->target ? ((OS_OBJECT *)self->ivars->target)->meta->name
					  : "target"))
		adxi_die("%s", adxi_told_last());
	if (adxi_queue_async_f(adxi_queue_root(), cancel_run, NULL, self) < 0)
		adxi_die("no memory to run a cancel handler");
}

/* Cancelled and nothing under way: hand over to the handler. Called without the lock, once. */
static void
finish_cancel(OSAction *self)
{
	struct OSAction_IVars *ivars = self->ivars;
	struct adxi_queue *queue = NULL;
	const struct OSMethod *method;

	if (ivars->target) {
		method = OSMetaClassFindMethod(((OS_OBJECT *)ivars->target)->meta,
					       ivars->target_method);
		queue = adxi_runtime_queue((OS_OBJECT *)ivars->target, method, self);
	}
	if (!queue)
		queue = adxi_queue_ref(adxi_queue_root());
	OSRetain((OS_OBJECT *)self);
	if (adxi_queue_async_f(queue, cancel_run, cancel_elsewhere, self) < 0)
		adxi_die("no memory to run a cancel handler");
	adxi_queue_unref(queue);
}

static void
wake_waiter_locked(struct OSAction_IVars *ivars, bool done, bool aborted)
{
	if (!ivars->waiter)
		return;
	ivars->waiter->done |= done;
	ivars->waiter->aborted |= aborted;
	pthread_cond_broadcast(&ivars->waiter->cond);
}

void
adxi_action_done(OSAction *action, bool ran)
{
	struct OSAction_IVars *ivars = action->ivars;

	pthread_mutex_lock(&ivars->lock);
	adxi_assert(ivars->claims > 0);
	if (--ivars->claims == 0)
		adxi_ledger_close(ADXI_LEDGER_ACTION, ivars->ticket, (uintptr_t)ivars,
				  ran ? ADXI_LEDGER_DONE : ADXI_LEDGER_DROPPED);
	wake_waiter_locked(ivars, ran, false);
	bool finish = ivars->cancelled && !ivars->finished && ivars->claims == 0;
	ivars->finished |= finish;
	pthread_mutex_unlock(&ivars->lock);
	if (finish)
		finish_cancel(action);
}

static kern_return_t
action_cancel(OSAction *self, const struct handler *handler)
{
	struct OSAction_IVars *ivars = self->ivars;

	if (!ivars)
		return kIOReturnUnsupported;
	pthread_mutex_lock(&ivars->lock);
	if (ivars->cancelled) {
		pthread_mutex_unlock(&ivars->lock);
		return kIOReturnAborted;
	}
	ivars->cancelled = true;
	ivars->cancel = *handler;
	wake_waiter_locked(ivars, false, true);
	bool finish = ivars->claims == 0;
	ivars->finished = finish;
	pthread_mutex_unlock(&ivars->lock);
	if (finish)
		finish_cancel(self);
	return kIOReturnSuccess;
}

kern_return_t
OSAction_Cancel_f(OSAction *self, void *context, IODispatchFunction function)
{
	return action_cancel(self, &(struct handler){ .run = function, .context = context });
}

kern_return_t
OSAction_Cancel(OSAction *self, OSActionCancelHandler block)
{
	struct handler handler = { 0 };

	if (block)
		handler = (struct handler){ adxi_block_run_once, adxi_block_drop,
					    adxi_block_copy(block) };
	kern_return_t ret = action_cancel(self, &handler);
	if (ret != kIOReturnSuccess)
		handler_drop(&handler);
	return ret;
}

/* ---------------------------------------------------------------------------------------------
 * The peers let go
 */

static void
aborted_run(void *context)
{
	OSAction *self = context;
	struct OSAction_IVars *ivars = self->ivars;
	struct handler handler;

	pthread_mutex_lock(&ivars->lock);
	handler = ivars->abort;
	ivars->abort = (struct handler){ 0 };
	pthread_mutex_unlock(&ivars->lock);
	if (handler.run)
		handler.run(handler.context);
	OSRelease((OS_OBJECT *)self);
}

static void
aborted_dropped(void *context)
{
	OSRelease((OS_OBJECT *)context);
}

/* Called from a receiving thread: what a driver wants to do about it runs on a queue. */
static void
action_no_senders(OS_OBJECT *object)
{
	OSAction *self = (OSAction *)object;
	struct OSAction_IVars *ivars = self->ivars;

	if (!ivars)
		return;
	pthread_mutex_lock(&ivars->lock);
	if (ivars->claims == 0 && ivars->waiter && !ivars->waiter->done)
		wake_waiter_locked(ivars, false, true);
	bool run = ivars->abort.run && !ivars->aborted;
	ivars->aborted |= run;
	pthread_mutex_unlock(&ivars->lock);
	if (!run)
		return;
	struct adxi_queue *queue = adxi_action_copy_queue(self);
	OSRetain(object);
	if (adxi_queue_async_f(queue ? queue : adxi_queue_root(), aborted_run, aborted_dropped,
			       self) < 0)
		adxi_die("no memory to run an aborted handler");
	adxi_queue_unref(queue);
}

static kern_return_t
set_aborted(OSAction *self, struct handler *handler)
{
	struct OSAction_IVars *ivars = self->ivars;
	struct handler old;

	if (!ivars)
		return kIOReturnUnsupported;
	pthread_mutex_lock(&ivars->lock);
	old = ivars->abort;
	ivars->abort = *handler;
	pthread_mutex_unlock(&ivars->lock);
	handler_drop(&old);
	return kIOReturnSuccess;
}

kern_return_t
OSAction_SetAbortedHandler_f(OSAction *self, void *context, IODispatchFunction function)
{
	return set_aborted(self, &(struct handler){ .run = function, .context = context });
}

kern_return_t
OSAction_SetAbortedHandler(OSAction *self, OSActionAbortedHandler block)
{
	struct handler handler = { 0 };

	if (block)
		handler = (struct handler){ adxi_block_run_once, adxi_block_drop,
					    adxi_block_copy(block) };
	kern_return_t ret = set_aborted(self, &handler);
	if (ret != kIOReturnSuccess)
		handler_drop(&handler);
	return ret;
}

/* ---------------------------------------------------------------------------------------------
 * Waiting
 */

static void
wait_expired(struct adxi_timer *timer)
{
	OSActionWaitToken *token = adxi_container_of(timer, OSActionWaitToken, timer);
	OSAction *action = token->action;

	OSRetain((OS_OBJECT *)action); /* the token may go as soon as the lock is free */
	pthread_mutex_lock(&action->ivars->lock);
	token->expired = true;
	pthread_cond_broadcast(&token->cond);
	pthread_mutex_unlock(&action->ivars->lock);
	OSRelease((OS_OBJECT *)action);
}

kern_return_t
OSAction_WillWait(OSAction *self, OSActionWaitToken **ret_token)
{
	struct OSAction_IVars *ivars = self->ivars;
	OSActionWaitToken *token;

	if (!ivars)
		return kIOReturnUnsupported;
	if (!ret_token)
		return kIOReturnBadArgument;
	token = calloc(1, sizeof(*token));
	if (!token)
		return kIOReturnNoMemory;
	token->timer.fire = wait_expired;
	token->action = self;
	pthread_cond_init(&token->cond, NULL); /* whoever finds the token signals it */
	pthread_mutex_lock(&ivars->lock);
	bool free_slot = !ivars->waiter;
	if (free_slot)
		ivars->waiter = token;
	token->aborted = ivars->cancelled;
	pthread_mutex_unlock(&ivars->lock);
	if (!free_slot) {
		pthread_cond_destroy(&token->cond);
		free(token);
		return kIOReturnBusy;
	}
	OSRetain((OS_OBJECT *)self);
	*ret_token = token;
	return kIOReturnSuccess;
}

/* A wait on the very queue that the callback needs cannot end. */
static bool
waits_on_callback_queue(OSAction *self)
{
	struct adxi_queue *queue = adxi_action_copy_queue(self);
	bool is_current = queue && adxi_queue_is_current(queue);

	if (is_current)
		adxi_tell(ADXI_RULE_T36, "%s: Wait() on queue '%s', which its callback needs",
			  ((OS_OBJECT *)self)->meta->name, adxi_queue_name(queue));
	adxi_queue_unref(queue);
	return is_current;
}

kern_return_t
OSAction_Wait(OSAction *self, OSActionWaitToken *token, uint64_t clockOptions, uint64_t deadline)
{
	struct OSAction_IVars *ivars = self->ivars;
	bool timed = clockOptions != 0 || deadline != 0;
	enum adxi_clock clock;
	kern_return_t ret;

	if (!ivars || !token || token->action != self ||
	    adxi_clock_from_options(clockOptions, &clock) < 0)
		return kIOReturnBadArgument;
	if (waits_on_callback_queue(self) && !timed)
		return kIOReturnCannotLock;
	token->expired = false;
	if (timed && adxi_timer_arm(&token->timer, clock, deadline) < 0)
		return kIOReturnNoMemory;
	pthread_mutex_lock(&ivars->lock);
	while (!token->done && !token->aborted && !token->expired)
		pthread_cond_wait(&token->cond, &ivars->lock);
	if (timed && !token->expired) {
		pthread_mutex_unlock(&ivars->lock);
		bool disarmed = adxi_timer_disarm(&token->timer);
		pthread_mutex_lock(&ivars->lock);
		while (!disarmed && !token->expired) /* it is being called */
			pthread_cond_wait(&token->cond, &ivars->lock);
	}
	ret = token->done ? kIOReturnSuccess : token->aborted ? kIOReturnAborted : kIOReturnTimeout;
	pthread_mutex_unlock(&ivars->lock);
	return ret;
}

kern_return_t
OSAction_EndWait(OSAction *self, OSActionWaitToken *token)
{
	struct OSAction_IVars *ivars = self->ivars;

	if (!ivars || !token || token->action != self)
		return kIOReturnBadArgument;
	pthread_mutex_lock(&ivars->lock);
	if (ivars->waiter == token)
		ivars->waiter = NULL;
	pthread_mutex_unlock(&ivars->lock);
	pthread_cond_destroy(&token->cond);
	free(token);
	OSRelease((OS_OBJECT *)self);
	return kIOReturnSuccess;
}

static const struct OSClassHooks action_hooks = {
	.redirect = action_redirect,
	.no_senders = action_no_senders,
};

__attribute__((constructor(101))) static void
action_hooks_install(void)
{
	OSAction_Class.hooks = &action_hooks;
}
