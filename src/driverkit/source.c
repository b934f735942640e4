/* SPDX-License-Identifier: MIT */
/* class IODispatchSource, and what its subclasses share. */

#include <stdlib.h>

#include "base/check.h"
#include "driverkit/block.h"
#include "driverkit/dispatch_queue.h"
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

/* A handler on its way through the source's queue, behind every callback that is queued there. */
struct ending {
	OS_OBJECT *self; /* owned reference */
	OSAction *
		action; /* owned reference: let go when nothing can call it any more; may be NULL */
	void *context;
	IODispatchFunction handler;
};

static void
ending_run(void *context)
{
	struct ending ending = *(struct ending *)context;

	free(context);
	if (ending.handler)
		ending.handler(ending.context);
	OSRelease((OS_OBJECT *)ending.action);
	OSRelease(ending.self);
}

/* Its queue was cancelled: the handler is owed all the same. */
static void
ending_elsewhere(void *context)
{
	if (adxi_queue_async_f(adxi_queue_root(), ending_run, NULL, context) < 0)
		adxi_die("no memory to run a source's handler");
}

static kern_return_t
end_on_queue(struct adxi_queue *queue, struct ending ending)
{
	struct ending *copy = malloc(sizeof(*copy));

	if (!copy)
		return kIOReturnNoMemory;
	*copy = ending;
	OSRetain(ending.self);
	if (adxi_queue_async_f(queue ? queue : adxi_queue_root(), ending_run, ending_elsewhere,
			       copy) < 0) {
		OSRelease(ending.self);
		free(copy);
		return kIOReturnNoMemory;
	}
	return kIOReturnSuccess;
}

kern_return_t
adxi_source_cancel(struct adxi_source_state *state, OS_OBJECT *self, void *context,
		   IODispatchFunction handler)
{
	OSAction *action;

	pthread_mutex_lock(&state->lock);
	bool cancelled = state->cancelled;
	action = cancelled ? NULL : state->action;
	state->cancelled = true;
	if (!cancelled)
		state->action = NULL;
	pthread_mutex_unlock(&state->lock);
	if (cancelled)
		return kIOReturnAborted;
	return end_on_queue(state->queue, (struct ending){ self, action, context, handler });
}

kern_return_t
adxi_source_enable(struct adxi_source_state *state, OS_OBJECT *self, bool enable, void *context,
		   IODispatchFunction handler)
{
	pthread_mutex_lock(&state->lock);
	bool cancelled = state->cancelled;
	if (!cancelled)
		state->enabled = enable;
	pthread_mutex_unlock(&state->lock);
	if (cancelled)
		return kIOReturnUnsupported;
	return handler ? end_on_queue(state->queue, (struct ending){ self, NULL, context, handler })
		       : kIOReturnSuccess;
}
