/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_QUEUE_H
#define DRIVERKIT_QUEUE_H

/**
 * @file driverkit/queue.h
 * @brief Serial first-in-first-out execution: what is behind IODispatchQueue. A queue has no thread
 * of its own.
 *
 *   IDLE --async work--> READY (a job) --a worker takes it--> HELD --nothing left--> IDLE
 *   IDLE --sync caller--> HELD by the caller
 *   HELD --next is a sync caller--> HELD by that one
 *   IDLE --concurrent work--> SHARED --the last one ended--> READY, HELD or IDLE
 *
 * A thread that holds a queue may call into it again: it runs inline. A caller that waits for a
 * queue whose holder waits, over any number of queues, for one that the caller holds, gets -EDEADLK
 * and rule T36 is told.
 *
 * Threads: everything [any]. Lock order: queue.lock, workers.lock. No lock is held while work runs.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct adxi_queue;

enum {
	ADXI_QUEUE_REENTRANT = 1u << 0,  /* kIODispatchQueueReentrant */
	ADXI_QUEUE_CONCURRENT = 1u << 1, /* kIODispatchQueueMethodsNotSynchronized */
};

/* Work: embedded in its caller's struct. Exactly one of run and drop is called, once. */
struct adxi_work {
	struct adxi_list link;                /* in adxi_queue::work */
	void (*run)(struct adxi_work *work);  /* on the queue; may free the work */
	void (*drop)(struct adxi_work *work); /* the queue was cancelled first; may free the work */
	uint8_t kind;                         /* queue.c's */
};

int adxi_queue_new(const char *name, uint32_t flags, struct adxi_queue **ret_queue);
struct adxi_queue *adxi_queue_ref(struct adxi_queue *queue);
/** Always NULL; NULL is allowed. Queued work holds a reference of its own. */
struct adxi_queue *adxi_queue_unref(struct adxi_queue *queue);
const char *adxi_queue_name(const struct adxi_queue *queue);
uint32_t adxi_queue_flags(const struct adxi_queue *queue);

/** Whether the calling thread runs on @p queue, or on one that it entered from there. */
bool adxi_queue_is_current(const struct adxi_queue *queue);
/** Queue that the calling thread entered last, borrowed, or NULL. */
struct adxi_queue *adxi_queue_current(void);

/** Run after what is queued. Never inline. */
void adxi_queue_async(struct adxi_queue *queue, struct adxi_work *work);
/** Run beside other concurrent work, apart from the rest. */
void adxi_queue_concurrent(struct adxi_queue *queue, struct adxi_work *work);
/** adxi_queue_async with an allocated work. -ENOMEM. @p drop may be NULL. */
int adxi_queue_async_f(struct adxi_queue *queue, void (*run)(void *context),
		       void (*drop)(void *context), void *context);
/** Run on the queue and return when it has. 0, -ECANCELED (not run), -EDEADLK (not run, told). */
int adxi_queue_sync(struct adxi_queue *queue, void (*run)(void *context), void *context);

/**
 * Give up the queue until adxi_queue_wake(event) or a deadline on a clock of timer.h; it is held
 * again when this returns. On a queue that is not reentrant rule T37 is told, since macOS would
 * keep it; strict mode: -EPERM.
 *
 * @return 0, -ETIMEDOUT, -EPERM (not on the queue; T37 told), -ECANCELED
 */
int adxi_queue_sleep(struct adxi_queue *queue, const void *event, unsigned clock,
		     uint64_t deadline_ns);
/** Wake one sleeper of @p event, or all. @return sleepers woken, -EPERM (not on the queue; T37
 * told) */
int adxi_queue_wake(struct adxi_queue *queue, const void *event, bool all);

/** Nothing begins any more; what is queued is dropped; @p done (may be NULL) runs on a worker when
 * nothing runs on the queue any more. Callers that wait get -ECANCELED. -EALREADY: it was cancelled
 * before. */
int adxi_queue_cancel(struct adxi_queue *queue, void (*done)(void *context), void *context);
bool adxi_queue_is_cancelled(struct adxi_queue *queue);

/** Call @p each for every queue that is held or has work: name, entries queued. For
 * IODispatchQueue::Log. */
void adxi_queue_each_busy(void (*each)(void *context, const char *name, unsigned queued, bool held),
			  void *context);

#endif /* DRIVERKIT_QUEUE_H */
