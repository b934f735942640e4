/* SPDX-License-Identifier: MIT */
/* class IODispatchQueue over queue.c. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rules.h"
#include "driverkit/block.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/timer.h"

struct IODispatchQueue_IVars {
	struct adxi_queue *queue; /* owned reference */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct adxi_queue *root, *control; /* owned: for the life of the process */

static void
make_process_queues(void)
{
	if (adxi_queue_new("Root", 0, &root) < 0 || adxi_queue_new("Control", 0, &control) < 0)
		adxi_die("no memory for the process's first queues");
}

struct adxi_queue *
adxi_queue_root(void)
{
	pthread_once(&once, make_process_queues);
	return root;
}

struct adxi_queue *
adxi_queue_control(void)
{
	pthread_once(&once, make_process_queues);
	return control;
}

struct adxi_queue *
adxi_queue_of(const IODispatchQueue *object)
{
	return object && object->ivars ? object->ivars->queue : NULL;
}

IODispatchQueue *
adxi_queue_object(struct adxi_queue *queue)
{
	IODispatchQueue *self = (IODispatchQueue *)OSMetaClassAllocate(&IODispatchQueue_Class);

	if (self && !OSObject_init((OSObject *)self))
		OSSafeReleaseNULL(self);
	if (self)
		self->ivars->queue = adxi_queue_ref(queue);
	return self;
}

kern_return_t
IODispatchQueue_Create(const char *name, uint64_t options, uint64_t priority,
		       IODispatchQueue **ret_queue)
{
	struct adxi_queue *queue;
	uint32_t flags = 0;

	if (!name || !ret_queue ||
	    strnlen(name, sizeof(IODispatchQueueName)) == sizeof(IODispatchQueueName) ||
	    options &
		    ~(uint64_t)(kIODispatchQueueReentrant | kIODispatchQueueMethodsNotSynchronized))
		return kIOReturnBadArgument;
	if (strcmp(name, "Root") == 0) /* the process has it */
		return kIOReturnStillOpen;
	if (options & kIODispatchQueueReentrant)
		flags |= ADXI_QUEUE_REENTRANT;
	if (options & kIODispatchQueueMethodsNotSynchronized)
		flags |= ADXI_QUEUE_CONCURRENT;
	if (adxi_queue_new(name, flags, &queue) < 0)
		return kIOReturnNoMemory;
	*ret_queue = adxi_queue_object(queue);
	adxi_queue_unref(queue);
	return *ret_queue ? kIOReturnSuccess : kIOReturnNoMemory;
}

bool
IODispatchQueue_init_Impl(IODispatchQueue *self)
{
	if (!IODispatchQueue_init_super(self))
		return false;
	self->ivars = calloc(1, sizeof(*self->ivars));
	return self->ivars != NULL;
}

void
IODispatchQueue_free_Impl(IODispatchQueue *self)
{
	if (self->ivars) {
		adxi_queue_unref(self->ivars->queue);
		free(self->ivars);
	}
	IODispatchQueue_free_super(self);
}

/* A queue from OSTypeAlloc has nothing behind it: the process ends, with a sentence, as it would on
 * macOS without. */
static struct adxi_queue *
required(const IODispatchQueue *self)
{
	struct adxi_queue *queue = adxi_queue_of(self);

	if (!queue)
		adxi_die("an IODispatchQueue is used that IODispatchQueue::Create did not make");
	return queue;
}

bool
IODispatchQueue_OnQueue(IODispatchQueue *self)
{
	return adxi_queue_is_current(required(self));
}

const char *
IODispatchQueue_GetName(IODispatchQueue *self)
{
	return adxi_queue_name(required(self));
}

kern_return_t
IODispatchQueue_Cancel_f(IODispatchQueue *self, void *context, IODispatchFunction handler)
{
	int r = adxi_queue_cancel(required(self), handler, context);

	return r == 0 ? kIOReturnSuccess : kIOReturnAborted;
}

kern_return_t
IODispatchQueue_Cancel(IODispatchQueue *self, IODispatchQueueCancelHandler handler)
{
	void *block = handler ? adxi_block_copy(handler) : NULL;
	kern_return_t ret =
		IODispatchQueue_Cancel_f(self, block, block ? adxi_block_run_once : NULL);

	if (ret != kIOReturnSuccess && block)
		adxi_block_release(block);
	return ret;
}

static void
dispatch_async(struct adxi_queue *queue, void (*run)(void *), void (*drop)(void *), void *context)
{
	if (adxi_queue_async_f(queue, run, drop, context) < 0)
		adxi_die("no memory to dispatch on queue '%s'", adxi_queue_name(queue));
}

void
IODispatchQueue_DispatchAsync_f(IODispatchQueue *self, void *context, IODispatchFunction function)
{
	dispatch_async(required(self), function, NULL, context);
}

void
IODispatchQueue_DispatchAsync(IODispatchQueue *self, IODispatchBlock block)
{
	dispatch_async(required(self), adxi_block_run_once, adxi_block_drop,
		       adxi_block_copy(block));
}

/* What would hang on macOS: recursion into a queue that is not reentrant, and a wait cycle. */
static int
dispatch_sync(struct adxi_queue *queue, void (*run)(void *), void *context)
{
	if (adxi_queue_is_current(queue) && !(adxi_queue_flags(queue) & ADXI_QUEUE_REENTRANT) &&
	    adxi_tell(ADXI_RULE_T36, "DispatchSync on queue '%s' from itself: it runs inline here",
		      adxi_queue_name(queue)))
		adxi_die("%s", adxi_told_last());
	return adxi_queue_sync(queue, run, context);
}

void
IODispatchQueue_DispatchSync_f(IODispatchQueue *self, void *context, IODispatchFunction function)
{
	if (dispatch_sync(required(self), function, context) == -EDEADLK)
		adxi_die("%s",
			 adxi_told_last()); /* nobody can be told: the function has no result */
}

void
IODispatchQueue_DispatchSync(IODispatchQueue *self, IODispatchBlock block)
{
	IODispatchQueue_DispatchSync_f(self, (void *)block, adxi_block_call);
}

struct concurrent_work {
	struct adxi_work work;
	void (*run)(void *context);
	void (*drop)(void *context); /* may be NULL */
	void *context;
};

static void
concurrent_run(struct adxi_work *work)
{
	struct concurrent_work copy = *(struct concurrent_work *)work;

	free(work);
	copy.run(copy.context);
}

static void
concurrent_drop(struct adxi_work *work)
{
	struct concurrent_work copy = *(struct concurrent_work *)work;

	free(work);
	if (copy.drop)
		copy.drop(copy.context);
}

static void
dispatch_concurrent(struct adxi_queue *queue, void (*run)(void *), void (*drop)(void *),
		    void *context)
{
	struct concurrent_work *work;

	if (!(adxi_queue_flags(queue) & ADXI_QUEUE_REENTRANT)) {
		adxi_tell(ADXI_RULE_T37,
			  "DispatchConcurrent on queue '%s', which was made without "
			  "kIODispatchQueueReentrant: it "
			  "runs like DispatchAsync",
			  adxi_queue_name(queue));
		dispatch_async(queue, run, drop, context);
		return;
	}
	work = calloc(1, sizeof(*work));
	if (!work)
		adxi_die("no memory to dispatch on queue '%s'", adxi_queue_name(queue));
	*work = (struct concurrent_work){ .work.run = concurrent_run,
					  .work.drop = concurrent_drop,
					  .run = run,
					  .drop = drop,
					  .context = context };
	adxi_queue_concurrent(queue, &work->work);
}

void
IODispatchQueue_DispatchConcurrent_f(IODispatchQueue *self, void *context,
				     IODispatchFunction function)
{
	dispatch_concurrent(required(self), function, NULL, context);
}

void
IODispatchQueue_DispatchConcurrent(IODispatchQueue *self, IODispatchBlock block)
{
	dispatch_concurrent(required(self), adxi_block_run_once, adxi_block_drop,
			    adxi_block_copy(block));
}

struct action_call {
	kern_return_t (*action)(void *context);
	void *context;
	kern_return_t ret;
};

static void
action_run(void *context)
{
	struct action_call *call = context;

	call->ret = call->action(call->context);
}

kern_return_t
IODispatchQueue_RunAction_f(IODispatchQueue *self, void *context,
			    kern_return_t (*action)(void *context))
{
	struct action_call call = { action, context, kIOReturnSuccess };

	switch (adxi_queue_sync(required(self), action_run, &call)) {
	case 0:
		return call.ret;
	case -EDEADLK:
		return kIOReturnCannotLock;
	default:
		return kIOReturnAborted;
	}
}

static kern_return_t
action_block(void *block)
{
	return ADXI_BLOCK_INVOKE(block, kern_return_t(*)(void *))(block);
}

kern_return_t
IODispatchQueue_RunAction(IODispatchQueue *self, IODispatchAction action)
{
	return IODispatchQueue_RunAction_f(self, (void *)action, action_block);
}

static kern_return_t
sleep_until(IODispatchQueue *self, const void *event, enum adxi_clock clock, uint64_t deadline)
{
	switch (adxi_queue_sleep(required(self), event, clock, deadline)) {
	case 0:
		return kIOReturnSuccess;
	case -ETIMEDOUT:
		return kIOReturnTimeout;
	case -EPERM:
		return kIOReturnNotPermitted;
	default:
		return kIOReturnAborted;
	}
}

kern_return_t
IODispatchQueue_SleepWithDeadline(IODispatchQueue *self, void *event, uint64_t options,
				  uint64_t deadline)
{
	uint64_t clock_options = options & ~(uint64_t)kIODispatchQueueSleepReuseEvent;
	enum adxi_clock clock;

	if (adxi_clock_from_options(clock_options, &clock) < 0)
		return kIOReturnBadArgument;
	return sleep_until(self, event, clock, clock_options || deadline ? deadline : UINT64_MAX);
}

kern_return_t
IODispatchQueue_SleepWithTimeout(IODispatchQueue *self, void *event, uint64_t timeout)
{
	uint64_t now = adxi_clock_now(ADXI_CLOCK_UPTIME);

	return sleep_until(self, event, ADXI_CLOCK_UPTIME,
			   timeout > UINT64_MAX - now ? UINT64_MAX : now + timeout);
}

kern_return_t
IODispatchQueue_Sleep(IODispatchQueue *self, void *event, uint64_t timeout)
{
	return IODispatchQueue_SleepWithTimeout(self, event, timeout);
}

kern_return_t
IODispatchQueue_WakeupWithOptions(IODispatchQueue *self, void *event, uint64_t options)
{
	if (options & ~(uint64_t)kIODispatchQueueWakeupAll)
		return kIOReturnBadArgument;
	int n = adxi_queue_wake(required(self), event, options & kIODispatchQueueWakeupAll);
	return n < 0 ? kIOReturnNotPermitted : kIOReturnSuccess;
}

kern_return_t
IODispatchQueue_Wakeup(IODispatchQueue *self, void *event)
{
	return IODispatchQueue_WakeupWithOptions(self, event, 0);
}

static void
log_one(void *output, const char *name, unsigned queued, bool held)
{
	(void)((IODispatchLogFunction)(void (*)(void))output)("queue %s: %s, %u waiting\n", name,
							      held ? "held" : "free", queued);
}

void
IODispatchQueue_Log(const char *message, IODispatchLogFunction output)
{
	if (!output)
		return;
	(void)output("%s\n", message ? message : "");
	adxi_queue_each_busy(log_one, (void *)(void (*)(void))output);
}

/* A queue is this process's: other processes reach its methods, not it. */
static int
queue_may_cross(OS_OBJECT *self)
{
	return -EPERM;
}

static const struct OSClassHooks queue_hooks = { .may_cross = queue_may_cross };

__attribute__((constructor(101))) static void
queue_hooks_install(void)
{
	IODispatchQueue_Class.hooks = &queue_hooks;
}
