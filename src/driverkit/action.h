/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_ACTION_H
#define DRIVERKIT_ACTION_H

/**
 * @file driverkit/action.h
 * @brief OSAction inside: each invocation claims its action until it has run.
 *
 *   LIVE --Cancel--> CANCELLED --last claim ends--> handler runs --> target released
 *                    (claimed ones that have not begun are dropped)
 *
 * A claim is taken by the redirect hook, so a target lives as long as a message for it does.
 */

#include <stdbool.h>

#include <DriverKit/OSAction.h>

struct adxi_queue;

enum adxi_claim {
	ADXI_CLAIM_YES,
	ADXI_CLAIM_CANCELLED, /* the invocation is dropped */
	ADXI_CLAIM_NO,        /* a message would be refused, or run on the action itself: let it */
};

/** Claim an action of this process for an invocation as @p id without a message. *ret_target is borrowed
 * until adxi_action_done(). [any] */
enum adxi_claim adxi_action_claim(OSAction *action, uint64_t id, OS_OBJECT **ret_target,
				  const struct OSMethod **ret_method);
/** Queue on which its invocations run now, +1; NULL: none of its own, it was cancelled, or it is a proxy. [any] */
struct adxi_queue *adxi_action_copy_queue(OSAction *action);

/** Whether a claimed invocation may begin. False: cancelled meanwhile. [any] */
bool adxi_action_may_run(OSAction *action);
/** A claimed invocation has run (@p ran) or was dropped. [any] */
void adxi_action_done(OSAction *action, bool ran);
/** Queue that the action was created on, borrowed; NULL: on none, or a proxy. */
struct adxi_queue *adxi_action_queue(OSAction *action);
/** Whether the action was made here, so that its invocations are claimed. */
bool adxi_action_is_native(const OSAction *action);
/** Tell rule T29 for every action that still holds @p target. @return their number */
unsigned adxi_actions_report(const OSObject *target);

#endif /* DRIVERKIT_ACTION_H */
