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
	pthread_mutex_t lock;     /* guards all below, and what the source adds; taken alone */
	struct adxi_queue *queue; /* owned reference; NULL: none */
	OSAction *action;         /* owned reference; NULL: no handler */
	bool enabled, cancelled;
};

void adxi_source_state_init(struct adxi_source_state *state);
void adxi_source_state_done(struct adxi_source_state *state);
/** New object of @p meta, init() run, or NULL. */
void *adxi_source_object(const struct OSMetaClass *meta);
/** Replace the action, NULL: none. kIOReturnAborted: cancelled. */
kern_return_t adxi_source_set_action(struct adxi_source_state *state, OSAction *action);
/** Action to call now, +1, or NULL: disabled, cancelled, none. */
OSAction *adxi_source_action(struct adxi_source_state *state);
/** Cancel: @p handler (may be NULL) runs on the queue after what is queued there. @p self is kept
 * until then. kIOReturnAborted: it was cancelled before. */
kern_return_t adxi_source_cancel(struct adxi_source_state *state, OS_OBJECT *self, void *context,
				 IODispatchFunction handler);
kern_return_t adxi_source_enable(struct adxi_source_state *state, OS_OBJECT *self, bool enable,
				 void *context, IODispatchFunction handler);

#endif /* DRIVERKIT_SOURCE_H */
