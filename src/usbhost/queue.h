/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_QUEUE_H
#define USBHOST_QUEUE_H

/**
 * @file usbhost/queue.h
 * @brief Requests of one endpoint, or of one session on endpoint 0: each that is accepted ends exactly once.
 *
 *   new --submit--> SUBMITTING --back end took it--> PENDING --complete--> ENDED --its turn--> end() --> free()
 *        |               |                                        ^
 *        |refused        |back end refused                        | may come while SUBMITTING
 *        v               v
 *      free()          free()
 *
 * Requests that are aborted together end in the order in which they came, though they are cancelled last first, so that the
 * bus does not serve one while those before it are being cancelled.
 *
 * Threads: everything [any]. queue.lock is held while no back end op and no end() runs.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <DriverKit/IOReturn.h>

#include "base/ledger.h"
#include "base/list.h"
#include "usbhost/backend.h"

/* First member of what is counted: devices, interfaces, pipes. */
struct host_ref {
	atomic_uint n;
	void (*free)(struct host_ref *ref);
};

static inline void *
host_ref(void *object)
{
	struct host_ref *ref = object;

	atomic_fetch_add_explicit(&ref->n, 1, memory_order_relaxed);
	return object;
}

/** NULL is allowed; always NULL. */
static inline void *
host_unref(void *object)
{
	struct host_ref *ref = object;

	if (ref && atomic_fetch_sub_explicit(&ref->n, 1, memory_order_acq_rel) == 1)
		ref->free(ref);
	return NULL;
}

/* As many as a queue takes: what its owner's process cannot have been told about stays bounded. */
#define HOST_QUEUE_MAX 4096u

/* A word in which somebody else sees what a queue refuses. */
struct host_shown {
	struct adxi_list link;           /* in host_queue::shown */
	_Atomic uint32_t *word;          /* borrowed */
};

struct host_queue {
	pthread_mutex_t lock;
	const struct usb_backend_ops *ops;
	struct usb_device *device;       /* borrowed: outlives the owner */
	struct host_ref *owner;          /* borrowed: contains the queue; each pending request holds it */
	IOReturn refuse;                 /* what submit answers; 0: open */
	uint64_t sequence;               /* of the last request */
	unsigned n_pending;
	struct host_counters {
		uint64_t submitted, completed; /* without those that were refused */
		uint64_t refused, bytes;
	} counters;
	bool ending;                     /* a thread is giving ends, in order */
	struct adxi_list pending;        /* by sequence */
	struct adxi_list drains;
	struct adxi_list shown;
};

struct host_request {
	struct adxi_list link;
	struct host_queue *queue;
	struct usb_transfer transfer;    /* the caller's, but for complete and core */
	uint64_t sequence;
	unsigned n_refs;                 /* under the queue's lock */
	bool submitting, cancelled, to_cancel, ended, given;
	IOReturn error;                  /* instead of kIOReturnAborted, when it is cancelled */
	IOReturn status;                 /* ended */
	uint32_t actual;
	uint64_t time_ns;
	adxi_ticket ticket;
	/* Once for each submit that returned success. */
	void (*end)(struct host_request *request, IOReturn status, uint32_t actual, uint64_t time_ns);
	/* Last: gives back what it holds, and its memory. */
	void (*free)(struct host_request *request);
};

/* Waits for parts: begin with one, host_barrier_leave() ends it. done may free it. */
struct host_barrier {
	atomic_uint n;
	void (*done)(struct host_barrier *barrier);
};

static inline void
host_barrier_init(struct host_barrier *barrier, void (*done)(struct host_barrier *))
{
	atomic_init(&barrier->n, 1);
	barrier->done = done;
}

static inline void
host_barrier_leave(struct host_barrier *barrier)
{
	if (atomic_fetch_sub(&barrier->n, 1) == 1)
		barrier->done(barrier);
}

void host_queue_init(struct host_queue *queue, const struct usb_backend_ops *ops, struct usb_device *device,
		     struct host_ref *owner, IOReturn refuse);
void host_queue_fini(struct host_queue *queue);
/** What submit answers from now on; 0: it accepts. A queue that refused with kIOReturnNoDevice stays so. */
void host_queue_refuse(struct host_queue *queue, IOReturn refuse);
/** Keep *shown->word what the queue was told to answer, until it is hidden. */
void host_queue_show(struct host_queue *queue, struct host_shown *shown);
void host_queue_hide(struct host_queue *queue, struct host_shown *shown);
/** What it was told to answer; a back end may refuse besides. */
IOReturn host_queue_refuses(struct host_queue *queue);
/** Inside end(): more ends follow on this thread at once, and then host_queue_settled is called. */
bool host_queue_more_follow(void);
/** Called after a completion that is not followed by another one. Set before there are queues; NULL: nobody waits for it. */
extern void (*host_queue_settled)(void);
/**
 * The caller holds the queue's owner.
 *
 * @param request  taken, also when it is refused (free() runs then, end() does not)
 * @return the queue's refusal; kIOReturnNoResources: HOST_QUEUE_MAX are pending; the back end's error
 */
IOReturn host_queue_submit(struct host_queue *queue, struct host_request *request);
/** A request that its driver was told is accepted ended without being submitted: it counts as both, so that both sides count the
 *  same. @p was_refused: host_queue_submit() has counted it as refused. */
void host_queue_count_end(struct host_queue *queue, bool was_refused);
/** Cancel everything that is pending now, to end with @p error. @p barrier (may be NULL) is entered until it has ended. */
void host_queue_abort(struct host_queue *queue, IOReturn error, struct host_barrier *barrier);
unsigned host_queue_pending(struct host_queue *queue);

#endif /* USBHOST_QUEUE_H */
