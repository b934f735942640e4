/* SPDX-License-Identifier: MIT */
/* class IODispatchSource, and what its subclasses share. */

#include <stdlib.h>

#include "driverkit/action.h"
#include "driverkit/block.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/runtime.h"
#include "driverkit/source.h"

bool
IODispatchSource_init_Impl(IODispatchSource *self)
{
	return IODispatchSource_init_super(self);
}

void
IODispatchSource_free_Impl(IODispatchSource *self)
{
	IODispatchSource_free_super(self);
}

kern_return_t
IODispatchSource_Cancel_f_Impl(IODispatchSource *self, void *context, IODispatchFunction handler)
{
	return kIOReturnUnsupported;
}

kern_return_t
IODispatchSource_SetEnableWithCompletion_f_Impl(IODispatchSource *self, bool enable, void *context,
						IODispatchFunction handler)
{
	return kIOReturnUnsupported;
}

kern_return_t
IODispatchSource_Cancel(IODispatchSource *self, IODispatchSourceCancelHandler handler)
{
	void *block = handler ? adxi_block_copy(handler) : NULL;
	kern_return_t ret =
		IODispatchSource_Cancel_f(self, block, block ? adxi_block_run_once : NULL);

	if (ret != kIOReturnSuccess)
		adxi_block_release(block);
	return ret;
}

kern_return_t
IODispatchSource_SetEnableWithCompletion(IODispatchSource *self, bool enable,
					 IODispatchSourceCancelHandler handler)
{
	void *block = handler ? adxi_block_copy(handler) : NULL;
	kern_return_t ret = IODispatchSource_SetEnableWithCompletion_f(
		self, enable, block, block ? adxi_block_run_once : NULL);

	if (ret != kIOReturnSuccess)
		adxi_block_release(block);
	return ret;
}

kern_return_t
IODispatchSource_SetEnable(IODispatchSource *self, bool enable)
{
	return IODispatchSource_SetEnableWithCompletion_f(self, enable, NULL, NULL);
}

/* ---------------------------------------------------------------------------------------------
 * Shared by subclasses
 */

void
adxi_source_state_init(struct adxi_source_state *state)
{
	pthread_mutex_init(&state->lock, NULL);
	state->enabled = true;
}

void
adxi_source_state_done(struct adxi_source_state *state)
{
	OSRelease((OS_OBJECT *)state->action);
	adxi_queue_unref(state->queue);
	pthread_mutex_destroy(&state->lock);
}

void *
adxi_source_object(const struct OSMetaClass *meta)
{
	OS_OBJECT *object = OSMetaClassAllocate(meta);

	if (object && !OSObject_init((OSObject *)object)) {
		OSRelease(object);
		return NULL;
	}
	return object;
}

kern_return_t
adxi_source_set_action(struct adxi_source_state *state, OSAction *action)
{
	OSAction *old;

	OSRetain((OS_OBJECT *)action);
	pthread_mutex_lock(&state->lock);
	bool cancelled = state->cancelled;
	old = cancelled ? action : state->action;
	if (!cancelled)
		state->action = action;
	pthread_mutex_unlock(&state->lock);
	OSRelease((OS_OBJECT *)old);
	return cancelled ? kIOReturnAborted : kIOReturnSuccess;
}

OSAction *
adxi_source_action(struct adxi_source_state *state)
{
	pthread_mutex_lock(&state->lock);
	OSAction *action = state->enabled && !state->cancelled ? state->action : NULL;
	OSRetain((OS_OBJECT *)action);
	pthread_mutex_unlock(&state->lock);
	return action;
}

/* ---------------------------------------------------------------------------------------------
 * Callbacks
 */

bool
adxi_source_enter(struct adxi_source_state *state)
{
	pthread_mutex_lock(&state->lock);
	bool may = !state->cancelled;
	state->inside += may;
	pthread_mutex_unlock(&state->lock);
	return may;
}

static void end_on_queue(struct adxi_queue *queue, struct adxi_ending *ending);

void
adxi_source_leave(struct adxi_source_state *state)
{
	struct adxi_ending *ending = NULL;

	pthread_mutex_lock(&state->lock);
	if (--state->inside == 0) {
		ending = state->ending;
		state->ending = NULL;
	}
	pthread_mutex_unlock(&state->lock);
	if (ending)
		end_on_queue(state->queue, ending);
}

/* A callback on its way to the queue of its action's target. */
struct sending {
	struct adxi_work work;
	struct adxi_source_state *state; /* of self */
	OS_OBJECT *self;                 /* owned reference */
	OSAction *action;                /* owned reference */
	void (*call)(OS_OBJECT *self, OSAction *action);
};

static void
sending_free(struct adxi_work *work)
{
	struct sending *sending = adxi_container_of(work, struct sending, work);

	OSRelease((OS_OBJECT *)sending->action);
	OSRelease(sending->self);
	free(sending);
}

static void
sending_call(void *context)
{
	struct sending *sending = context;

	sending->call(sending->self, sending->action);
}

static void
sending_run(struct adxi_work *work)
{
	struct sending *sending = adxi_container_of(work, struct sending, work);

	if (adxi_source_enter(sending->state)) {
		adxi_runtime_inline(sending_call, sending);
		adxi_source_leave(sending->state);
	}
	sending_free(work);
}

void
adxi_source_send(struct adxi_source_state *state, OS_OBJECT *self, OSAction *action,
		 void (*call)(OS_OBJECT *self, OSAction *action))
{
	struct adxi_queue *queue = action ? adxi_action_copy_queue(action) : NULL;
	struct sending *sending = queue ? calloc(1, sizeof(*sending)) : NULL;

	if (sending) {
		*sending = (struct sending){ { .run = sending_run, .drop = sending_free },
					     state, self, action, call };
		adxi_list_init(&sending->work.link);
		OSRetain(self);
		if (adxi_queue_flags(queue) & ADXI_QUEUE_CONCURRENT)
			adxi_queue_concurrent(queue, &sending->work);
		else
			adxi_queue_async(queue, &sending->work);
	} else if (action) { /* another process's, or a message refuses it */
		call(self, action);
		OSRelease((OS_OBJECT *)action);
	}
	adxi_queue_unref(queue);
}

/* ---------------------------------------------------------------------------------------------
 * The end
 */

/* A handler on its way through the source's queue, behind every callback that is queued there. */
struct adxi_ending {
	struct adxi_work work;
	OS_OBJECT *self; /* owned reference */
	OSAction *
		action; /* owned reference: let go when nothing can call it any more; may be NULL */
	void *context;
	IODispatchFunction handler;
};

static void
ending_run(struct adxi_work *work)
{
	struct adxi_ending *ending = adxi_container_of(work, struct adxi_ending, work);

	if (ending->handler)
		ending->handler(ending->context);
	OSRelease((OS_OBJECT *)ending->action);
	OSRelease(ending->self);
	free(ending);
}

/* Its queue was cancelled: the handler is owed all the same. */
static void
ending_elsewhere(struct adxi_work *work)
{
	adxi_queue_async(adxi_queue_root(), work);
}

static struct adxi_ending *
ending_new(OS_OBJECT *self, void *context, IODispatchFunction handler)
{
	struct adxi_ending *ending = calloc(1, sizeof(*ending));

	if (!ending)
		return NULL;
	adxi_list_init(&ending->work.link);
	ending->work.run = ending_run;
	ending->work.drop = ending_elsewhere;
	ending->self = self;
	OSRetain(self);
	ending->context = context;
	ending->handler = handler;
	return ending;
}

static void
ending_free(struct adxi_ending *ending)
{
	OSRelease(ending->self);
	free(ending);
}

static void
end_on_queue(struct adxi_queue *queue, struct adxi_ending *ending)
{
	adxi_queue_async(queue ? queue : adxi_queue_root(), &ending->work);
}

kern_return_t
adxi_source_cancel(struct adxi_source_state *state, OS_OBJECT *self, void *context,
		   IODispatchFunction handler)
{
	struct adxi_ending *ending = ending_new(self, context, handler);

	if (!ending)
		return kIOReturnNoMemory;
	pthread_mutex_lock(&state->lock);
	bool cancelled = state->cancelled, waits = state->inside > 0;
	if (!cancelled) {
		state->cancelled = true;
		ending->action = state->action;
		state->action = NULL;
		if (waits)
			state->ending = ending;
	}
	pthread_mutex_unlock(&state->lock);
	if (cancelled)
		ending_free(ending);
	else if (!waits)
		end_on_queue(state->queue, ending);
	return cancelled ? kIOReturnAborted : kIOReturnSuccess;
}

kern_return_t
adxi_source_enable(struct adxi_source_state *state, OS_OBJECT *self, bool enable, void *context,
		   IODispatchFunction handler)
{
	struct adxi_ending *ending = handler ? ending_new(self, context, handler) : NULL;

	if (handler && !ending)
		return kIOReturnNoMemory;
	pthread_mutex_lock(&state->lock);
	bool cancelled = state->cancelled;
	if (!cancelled)
		state->enabled = enable;
	pthread_mutex_unlock(&state->lock);
	if (cancelled && ending)
		ending_free(ending);
	else if (ending)
		end_on_queue(state->queue, ending);
	return cancelled ? kIOReturnUnsupported : kIOReturnSuccess;
}
