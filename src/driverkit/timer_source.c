/* SPDX-License-Identifier: MIT */
/* class IOTimerDispatchSource: one deadline, delivered on the queue of Create(). */

#include <stdlib.h>

#include <DriverKit/IOTimerDispatchSource.h>

#include "base/rules.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/runtime.h"
#include "driverkit/source.h"
#include "driverkit/timer.h"

struct IOTimerDispatchSource_IVars {
	struct adxi_source_state state;
	struct adxi_timer timer; /* armed, under state.lock: holds a reference of the source */
	IOTimerDispatchSource *self;
	/* The next three under state.lock */
	bool wanted;         /* a deadline was set and has not passed */
	bool due;            /* it has passed, and nobody was told */
	uint64_t fired_time; /* when */
};

struct occurrence {
	IOTimerDispatchSource *self;
	OSAction *action; /* owned reference */
	uint64_t time;
};

static void
occurred(void *context)
{
	const struct occurrence *occurrence = context;

	IOTimerDispatchSource_TimerOccurred(occurrence->self, occurrence->action, occurrence->time);
}

/* What is due, if it may be told. One that passed while the source was disabled stays due. */
static bool
take_due(struct IOTimerDispatchSource_IVars *ivars, struct occurrence *ret)
{
	pthread_mutex_lock(&ivars->state.lock);
	bool take = ivars->due && ivars->state.enabled;
	if (take)
		ivars->due = false;
	OSAction *action = take && !ivars->state.cancelled ? ivars->state.action : NULL;
	if (action) {
		OSRetain((OS_OBJECT *)action);
		*ret = (struct occurrence){ ivars->self, action, ivars->fired_time };
		ivars->state.inside++;
	}
	pthread_mutex_unlock(&ivars->state.lock);
	return action;
}

/* On the source's queue, with the reference that the timer held. */
static void
timer_run(void *context)
{
	IOTimerDispatchSource *self = context;
	struct occurrence occurrence;

	if (take_due(self->ivars, &occurrence)) {
		adxi_runtime_inline(occurred, &occurrence);
		OSRelease((OS_OBJECT *)occurrence.action);
		adxi_source_leave(&self->ivars->state);
	}
	OSRelease((OS_OBJECT *)self);
}

static void
timer_dropped(void *context)
{
	OSRelease((OS_OBJECT *)context);
}

/* On a worker: hand over to the queue. */
static void
timer_fired(struct adxi_timer *timer)
{
	struct IOTimerDispatchSource_IVars *ivars =
		adxi_container_of(timer, struct IOTimerDispatchSource_IVars, timer);

	/* It may have been armed again since it was taken out to be fired: then that deadline counts. */
	pthread_mutex_lock(&ivars->state.lock);
	bool due = ivars->wanted && !adxi_timer_is_armed(timer);
	if (due) {
		ivars->wanted = false;
		ivars->due = true;
		ivars->fired_time = adxi_clock_now(ADXI_CLOCK_UPTIME);
	}
	pthread_mutex_unlock(&ivars->state.lock);
	if (!due ||
	    adxi_queue_async_f(ivars->state.queue, timer_run, timer_dropped, ivars->self) < 0)
		timer_dropped(ivars->self);
}

kern_return_t
IOTimerDispatchSource_Create(IODispatchQueue *queue, IOTimerDispatchSource **source)
{
	IOTimerDispatchSource *self;

	if (!adxi_queue_of(queue) || !source)
		return kIOReturnBadArgument;
	self = adxi_source_object(&IOTimerDispatchSource_Class);
	if (!self)
		return kIOReturnNoMemory;
	self->ivars->state.queue = adxi_queue_ref(adxi_queue_of(queue));
	*source = self;
	return kIOReturnSuccess;
}

bool
IOTimerDispatchSource_init_Impl(IOTimerDispatchSource *self)
{
	if (!IOTimerDispatchSource_init_super(self))
		return false;
	self->ivars = calloc(1, sizeof(*self->ivars));
	if (!self->ivars)
		return false;
	adxi_source_state_init(&self->ivars->state);
	self->ivars->self = self;
	self->ivars->timer.fire = timer_fired;
	return true;
}

void
IOTimerDispatchSource_free_Impl(IOTimerDispatchSource *self)
{
	if (self->ivars) { /* an armed timer holds a reference: it is not armed */
		adxi_source_state_done(&self->ivars->state);
		free(self->ivars);
	}
	IOTimerDispatchSource_free_super(self);
}

kern_return_t
IOTimerDispatchSource_SetHandler(IOTimerDispatchSource *self, OSAction *action)
{
	return adxi_source_set_action(&self->ivars->state, action);
}

kern_return_t
IOTimerDispatchSource_WakeAtTime(IOTimerDispatchSource *self, uint64_t options, uint64_t deadline,
				 uint64_t leeway)
{
	struct IOTimerDispatchSource_IVars *ivars = self->ivars;
	enum adxi_clock clock;

	if (!ivars->state.queue)
		return kIOReturnNotReady;
	if (adxi_clock_from_options(options, &clock) < 0)
		return kIOReturnBadArgument;
	/* Under the lock, so that a Cancel comes before it, or disarms. */
	pthread_mutex_lock(&ivars->state.lock);
	kern_return_t ret = ivars->state.cancelled ? kIOReturnAborted : kIOReturnSuccess;
	bool had_reference = ret == kIOReturnSuccess && adxi_timer_disarm(&ivars->timer);
	if (ret == kIOReturnSuccess) {
		OSRetain((OS_OBJECT *)self);
		ivars->due = false;
		ivars->wanted = true;
		if (adxi_timer_arm(&ivars->timer, clock, deadline) < 0) {
			ivars->wanted = false;
			ret = kIOReturnNoMemory;
		}
	}
	pthread_mutex_unlock(&ivars->state.lock);
	if (had_reference)
		OSRelease((OS_OBJECT *)self);
	if (ret == kIOReturnNoMemory)
		OSRelease((OS_OBJECT *)self);
	return ret;
}

kern_return_t
IOTimerDispatchSource_Cancel_f_Impl(IOTimerDispatchSource *self, void *context,
				    IODispatchFunction handler)
{
	kern_return_t ret =
		adxi_source_cancel(&self->ivars->state, (OS_OBJECT *)self, context, handler);

	if (adxi_timer_disarm(&self->ivars->timer))
		OSRelease((OS_OBJECT *)self);
	return ret;
}

kern_return_t
IOTimerDispatchSource_SetEnableWithCompletion_f_Impl(IOTimerDispatchSource *self, bool enable,
						     void *context, IODispatchFunction handler)
{
	struct IOTimerDispatchSource_IVars *ivars = self->ivars;
	kern_return_t ret =
		adxi_source_enable(&ivars->state, (OS_OBJECT *)self, enable, context, handler);

	pthread_mutex_lock(&ivars->state.lock);
	bool fire = ret == kIOReturnSuccess && enable && ivars->due;
	pthread_mutex_unlock(&ivars->state.lock);
	if (fire) {
		OSRetain((OS_OBJECT *)self);
		if (adxi_queue_async_f(ivars->state.queue, timer_run, timer_dropped, self) < 0)
			timer_dropped(self);
	}
	return ret;
}
