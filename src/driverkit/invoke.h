/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_INVOKE_H
#define DRIVERKIT_INVOKE_H

/**
 * @file driverkit/invoke.h
 * @brief Invocations of this process's actions that come without a message. Exported by libDriverKit, not installed.
 *
 * A family's library that hears of completions in shared memory runs callbacks as the runtime would have done for one message
 * each: on the queue of the action's target, in their order, claimed, not after a cancel or a Stop.
 *
 * Threads: everything [any] unless it says otherwise.
 */

#include <stdbool.h>

#include <ambidext/class.h>

struct adxi_invoker;

/**
 * A place in the queue on which @p action's invocations run.
 *
 * @param run  called on the queue after adxi_invoker_post(); @p dropped: instead of that, on any thread, the queue is cancelled
 * @return NULL: no memory, not an action of this process, or it has no queue where one invocation comes after the other for sure
 *         (none, a concurrent one, one that lets others in while it sleeps)
 */
ADX_API struct adxi_invoker *adxi_invoker_new(OSAction *action, void (*run)(void *context, bool dropped),
					      void *context);
/** Not while it is posted. Always NULL; NULL is allowed. */
ADX_API struct adxi_invoker *adxi_invoker_free(struct adxi_invoker *invoker);
/** Whether invocations of @p action run on the same queue. */
ADX_API bool adxi_invoker_takes(const struct adxi_invoker *invoker, OSAction *action);
/** Have run called once. Not while it is posted already; inside run it is not posted any more. */
ADX_API void adxi_invoker_post(struct adxi_invoker *invoker);

/** The invoked method's implementation is called with the action, if it is to be called. */
typedef void adxi_invoke_call(void *context, OS_OBJECT *target, const struct OSMethod *method, OSAction *action);
/**
 * Invoke @p action as @p method, inside of run. @p invoke: how messages would do it; an implementation that has another is not called.
 *
 * @return false: it is not for this queue (any more), or not made for @p method; nothing happened, invoke it by a message
 */
ADX_API bool adxi_invoker_invoke(struct adxi_invoker *invoker, OSAction *action, uint64_t method, OSMethodInvoke *invoke,
				 adxi_invoke_call *call, void *context);
/** The last request that held @p action for its peers is over: what hooks->no_senders does, unless a channel has it too. */
ADX_API void adxi_action_let_go(OSAction *action);

#endif /* DRIVERKIT_INVOKE_H */
