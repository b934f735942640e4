/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_RUNTIME_H
#define DRIVERKIT_RUNTIME_H

/**
 * @file driverkit/runtime.h
 * @brief Which queue a call runs on, and getting it there: what libDriverKit adds to the object
 * model.
 *
 *   target                              queue
 *   an IOService of this process        the one under the method's QUEUENAME, else its Default
 *   an action's, made by OSTypeAlloc    the one on which the action was created, else Root
 *   dextd's counterparts (ADXHost ...)  Control
 *   a host's KERNEL methods             none: the worker that received runs them; they do not block
 *   anything else                       none for local calls, Root for a peer's
 */

#include <ambidext/class.h>

struct adxi_channel;
struct adxi_queue;

/** Make this process's object calls follow the table above. Idempotent. [any] */
void adxi_runtime_install(void);

/** Queue for @p method (may be NULL: Default) of @p target, +1, or NULL: it has none. @p action may
 * be NULL. [any] */
struct adxi_queue *adxi_runtime_queue(OS_OBJECT *target, const struct OSMethod *method,
				      OSAction *action);

/** Channel of the peer whose call runs in the calling thread, borrowed for the call, or NULL: a
 * local call. */
struct adxi_channel *adxi_runtime_caller(void);

/** Run @p call, which invokes one one-way method on a local object, so that the invocation runs
 * inline on the current queue and not on its target's. For dispatch sources that have a queue of
 * their own. */
void adxi_runtime_inline(void (*call)(void *context), void *context);

#endif /* DRIVERKIT_RUNTIME_H */
