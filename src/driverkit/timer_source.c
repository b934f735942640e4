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
	struct adxi_timer timer; /* armed: holds a reference of the source */
	IOTimerDispatchSource *self;
	uint64_t generation;       /* changes when the deadline does */
	uint64_t fired_generation; /* of the deadline that passed last */
	uint64_t fired_time;
	bool due; /* it passed while the source was disabled */
};

static void
occurred(void *context)
{
	struct IOTimerDispatchSource_IVars *ivars = context;
	OSAction *action = adxi_source_action(&ivars->state);

	if (action)
		IOTimerDispatchSource_TimerOccurred(ivars->self, action, ivars->fired_time);
	OSRelease((OS_OBJECT *)action);
}

/* On the source's queue, with the reference that the timer held. */
static void
timer_run(void *context)
{
	IOTimerDispatchSource *self = context;
	struct IOTimerDispatchSource_IVars *ivars = self->ivars;

	pthread_mutex_lock(&ivars->state.lock);
	bool stale = ivars->fired_generation != ivars->generation;
	if (!stale && !ivars->state.enabled)
		ivars->due = true;
	pthread_mutex_unlock(&ivars->state.lock);
	if (!stale)
		adxi_runtime_inline(occurred, ivars);
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

	pthread_mutex_lock(&ivars->state.lock);
	ivars->fired_generation = ivars->generation;
	ivars->fired_time = adxi_clock_now(ADXI_CLOCK_UPTIME);
	pthread_mutex_unlock(&ivars->state.lock);
	if (adxi_queue_async_f(ivars->state.queue, timer_run, timer_dropped, ivars->self) < 0)
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

static void
disarm(IOTimerDispatchSource *self)
{
	if (adxi_timer_disarm(&self->ivars->timer))
		OSRelease((OS_OBJECT *)self);
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
	disarm(self);
	pthread_mutex_lock(&ivars->state.lock);
	bool cancelled = ivars->state.cancelled;
	ivars->generation++;
	ivars->due = false;
	pthread_mutex_unlock(&ivars->state.lock);
	if (cancelled)
		return kIOReturnAborted;
	OSRetain((OS_OBJECT *)self);
	if (adxi_timer_arm(&ivars->timer, clock, deadline) < 0) {
		OSRelease((OS_OBJECT *)self);
		return kIOReturnNoMemory;
	}
	return kIOReturnSuccess;
}

kern_return_t
IOTimerDispatchSource_Cancel_f_Impl(IOTimerDispatchSource *self, void *context,
				    IODispatchFunction handler)
{
	kern_return_t ret =
		adxi_source_cancel(&self->ivars->state, (OS_OBJECT *)self, context, handler);

	disarm(self);
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
	if (fire)
		ivars->due = false;
	pthread_mutex_unlock(&ivars->state.lock);
	if (fire) {
		OSRetain((OS_OBJECT *)self);
		if (adxi_queue_async_f(ivars->state.queue, timer_run, timer_dropped, self) < 0)
			timer_dropped(self);
	}
	return ret;
}
