/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_SOURCE_H
#define DRIVERKIT_SOURCE_H

/**
 * @file driverkit/source.h
 * @brief What dispatch sources share: a queue, an action, enabled, cancelled.
 */

#include <pthread.h>
#include <stdbool.h>

#include <DriverKit/IODispatchSource.h>

struct adxi_queue;

struct adxi_source_state {
	pthread_mutex_t lock;     /* guards all below, and what the source adds; before timer.c's */
	struct adxi_queue *queue; /* owned reference; NULL: none */
	OSAction *action;         /* owned reference; NULL: no handler */
	bool enabled, cancelled;
	unsigned inside;          /* callbacks under way, which the cancel handler comes after */
	struct adxi_ending *ending; /* owned: the cancel handler while it waits for them */
};

void adxi_source_state_init(struct adxi_source_state *state);
void adxi_source_state_done(struct adxi_source_state *state);
/** New object of @p meta, init() run, or NULL. */
void *adxi_source_object(const struct OSMetaClass *meta);
/** Replace the action, NULL: none. kIOReturnAborted: cancelled. */
kern_return_t adxi_source_set_action(struct adxi_source_state *state, OSAction *action);
/** Action to call now, +1, or NULL: disabled, cancelled, none. */
OSAction *adxi_source_action(struct adxi_source_state *state);
/** A callback begins; if true adxi_source_leave() follows. False: cancelled. */
bool adxi_source_enter(struct adxi_source_state *state);
void adxi_source_leave(struct adxi_source_state *state);
/**
 * Have @p call invoke @p action (taken; NULL: nothing happens) on the queue of its target, unless the source is cancelled by then. No
 * callback begins, or is under way, when the cancel handler runs. @p self is kept until then.
 */
void adxi_source_send(struct adxi_source_state *state, OS_OBJECT *self, OSAction *action,
		      void (*call)(OS_OBJECT *self, OSAction *action));
/** Cancel: @p handler (may be NULL) runs on the queue after what is queued there, and after the last
 * callback. @p self is kept until then. kIOReturnAborted: it was cancelled before. */
kern_return_t adxi_source_cancel(struct adxi_source_state *state, OS_OBJECT *self, void *context,
				 IODispatchFunction handler);
kern_return_t adxi_source_enable(struct adxi_source_state *state, OS_OBJECT *self, bool enable,
				 void *context, IODispatchFunction handler);

#endif /* DRIVERKIT_SOURCE_H */
