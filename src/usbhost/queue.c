/* SPDX-License-Identifier: MIT */
/* Requests from submit to their end. */

#include <errno.h>
#include <stdlib.h>

#include "base/fault.h"
#include "usbhost/queue.h"
#include "usbhost/status.h"

/* Waits until no request up to limit is pending. */
struct drain {
	struct adxi_list link;
	uint64_t limit;
	struct host_barrier *barrier; /* borrowed: entered */
};

void (*host_queue_settled)(void);
static _Thread_local bool more_follow;

bool
host_queue_more_follow(void)
{
	return more_follow;
}

void
host_queue_init(struct host_queue *queue, const struct usb_backend_ops *ops, struct usb_device *device,
		struct host_ref *owner, IOReturn refuse)
{
	*queue = (struct host_queue){ .ops = ops, .device = device, .owner = owner, .refuse = refuse };
	(void)pthread_mutex_init(&queue->lock, NULL);
	adxi_list_init(&queue->pending);
	adxi_list_init(&queue->drains);
	adxi_list_init(&queue->shown);
}

void
host_queue_fini(struct host_queue *queue)
{
	(void)pthread_mutex_destroy(&queue->lock);
}

static void
show_locked(const struct host_queue *queue, const struct host_shown *shown)
{
	atomic_store_explicit(shown->word, (uint32_t)queue->refuse, memory_order_release);
}

void
host_queue_show(struct host_queue *queue, struct host_shown *shown)
{
	(void)pthread_mutex_lock(&queue->lock);
	adxi_list_append(&queue->shown, &shown->link);
	show_locked(queue, shown);
	(void)pthread_mutex_unlock(&queue->lock);
}

void
host_queue_hide(struct host_queue *queue, struct host_shown *shown)
{
	(void)pthread_mutex_lock(&queue->lock);
	adxi_list_remove(&shown->link);
	(void)pthread_mutex_unlock(&queue->lock);
}

void
host_queue_refuse(struct host_queue *queue, IOReturn refuse)
{
	const struct host_shown *shown;

	(void)pthread_mutex_lock(&queue->lock);
	if (queue->refuse != kIOReturnNoDevice)
		queue->refuse = refuse;
	ADXI_LIST_EACH(shown, &queue->shown, link)
		show_locked(queue, shown);
	(void)pthread_mutex_unlock(&queue->lock);
}

IOReturn
host_queue_refuses(struct host_queue *queue)
{
	IOReturn refuse;

	(void)pthread_mutex_lock(&queue->lock);
	refuse = queue->refuse;
	(void)pthread_mutex_unlock(&queue->lock);
	return refuse;
}

unsigned
host_queue_pending(struct host_queue *queue)
{
	unsigned n;

	(void)pthread_mutex_lock(&queue->lock);
	n = queue->n_pending;
	(void)pthread_mutex_unlock(&queue->lock);
	return n;
}

/* Takes the drains that have nothing left to wait for. */
static void
ready_drains_locked(struct host_queue *queue, struct adxi_list *ret_ready)
{
	struct host_request *first = ADXI_LIST_FIRST(&queue->pending, struct host_request, link);
	struct drain *drain, *after;

	ADXI_LIST_EACH_SAFE(drain, after, &queue->drains, link) {
		if (first && first->sequence <= drain->limit)
			continue;
		adxi_list_remove(&drain->link);
		adxi_list_append(ret_ready, &drain->link);
	}
}

static void
leave_drains(struct adxi_list *ready)
{
	struct drain *drain;

	while ((drain = ADXI_LIST_FIRST(ready, struct drain, link))) {
		struct host_barrier *barrier = drain->barrier;

		adxi_list_remove(&drain->link);
		free(drain);
		host_barrier_leave(barrier);
	}
}

/* Returns the request if that was the last reference: the caller frees it when the lock is released. */
static struct host_request *
unref_locked(struct host_request *request)
{
	return --request->n_refs == 0 ? request : NULL;
}

static void
free_request(struct host_request *request)
{
	struct host_ref *owner;

	if (!request)
		return;
	owner = request->queue->owner;
	request->free(request);
	(void)host_unref(owner);
}

/* A request that may be given its end now, or NULL: ended, and none before it is on its way to be aborted. */
static struct host_request *
next_end_locked(struct host_queue *queue)
{
	struct host_request *request;

	ADXI_LIST_EACH(request, &queue->pending, link) {
		if (request->ended && !request->given)
			return request;
		if (request->cancelled && !request->ended)
			return NULL;
	}
	return NULL;
}

/* Give the ends that are due, in order. One thread a queue; what becomes due meanwhile is left to it. The caller holds
 * the owner. */
static void
give_ends(struct host_queue *queue)
{
	struct adxi_list ready = ADXI_LIST_INIT(ready);
	struct host_request *request, *last;

	(void)pthread_mutex_lock(&queue->lock);
	if (queue->ending) {
		(void)pthread_mutex_unlock(&queue->lock);
		return;
	}
	queue->ending = true;
	while ((request = next_end_locked(queue))) {
		request->given = true;
		(void)pthread_mutex_unlock(&queue->lock);

		request->end(request, request->status, request->actual, request->time_ns);

		(void)pthread_mutex_lock(&queue->lock);
		adxi_list_remove(&request->link);
		queue->n_pending--;
		queue->counters.completed++;
		adxi_ledger_close(ADXI_LEDGER_REQUEST, request->ticket, request->sequence,
				  request->cancelled ? ADXI_LEDGER_DROPPED : request->status == kIOReturnSuccess ? ADXI_LEDGER_DONE : ADXI_LEDGER_FAILED);
		queue->counters.bytes += request->actual;
		last = unref_locked(request);
		if (!adxi_list_is_empty(&queue->drains))
			ready_drains_locked(queue, &ready);
		if (last || !adxi_list_is_empty(&ready)) {
			(void)pthread_mutex_unlock(&queue->lock);
			free_request(last);
			leave_drains(&ready);
			(void)pthread_mutex_lock(&queue->lock);
		}
	}
	queue->ending = false;
	(void)pthread_mutex_unlock(&queue->lock);
}

static void
complete(struct usb_transfer *transfer, enum usb_status status, uint32_t actual, uint64_t time_ns)
{
	struct host_request *request = transfer->core;
	struct host_queue *queue = request->queue;
	struct host_ref *owner = host_ref(queue->owner);
	bool more = transfer->more;
	int fault = adxi_fault(ADXI_FAULT_TRANSFER);

	if (fault > 0)
		status = (enum usb_status)(USB_STALL + fault % (USB_NO_MEMORY - USB_STALL + 1));
	(void)pthread_mutex_lock(&queue->lock);
	if (request->ended)
		adxi_ledger_unopened(ADXI_LEDGER_REQUEST);
	request->status = usb_status_return(status);
	if (status == USB_CANCELLED && request->cancelled)
		request->status = request->error;
	/* A back end that counts more than was asked for would make the driver read beyond its data. */
	request->actual = actual <= transfer->length ? actual : transfer->length;
	request->time_ns = time_ns;
	request->ended = true;
	(void)pthread_mutex_unlock(&queue->lock);
	more_follow = more;
	give_ends(queue);
	more_follow = false;
	(void)host_unref(owner);
	if (!more && host_queue_settled)
		host_queue_settled();
}

static IOReturn
enter(struct host_queue *queue, struct host_request *request)
{
	IOReturn r;

	(void)pthread_mutex_lock(&queue->lock);
	r = queue->refuse;
	if (r == kIOReturnSuccess && queue->n_pending >= HOST_QUEUE_MAX)
		r = kIOReturnNoResources;
	if (r == kIOReturnSuccess) {
		request->queue = queue;
		request->sequence = ++queue->sequence;
		request->n_refs = 2; /* the list's, submit's */
		request->submitting = true;
		request->transfer.complete = complete;
		request->transfer.core = request;
		adxi_list_append(&queue->pending, &request->link);
		queue->n_pending++;
		queue->counters.submitted++;
		request->ticket = adxi_ledger_open(ADXI_LEDGER_REQUEST, request->sequence);
	} else {
		queue->counters.refused++;
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return r;
}

IOReturn
host_queue_submit(struct host_queue *queue, struct host_request *request)
{
	struct adxi_list ready = ADXI_LIST_INIT(ready);
	struct host_request *last;
	bool cancel;
	IOReturn r;
	int error;

	r = enter(queue, request);
	if (r != kIOReturnSuccess) {
		request->free(request);
		return r;
	}
	(void)host_ref(queue->owner);
	error = adxi_fault(ADXI_FAULT_SUBMIT);
	if (error == 0)
		error = queue->ops->submit(queue->device, &request->transfer);

	(void)pthread_mutex_lock(&queue->lock);
	request->submitting = false;
	cancel = error == 0 && request->cancelled && !request->ended;
	if (error < 0) {
		adxi_list_remove(&request->link);
		queue->n_pending--;
		request->n_refs--;
		queue->counters.submitted--;
		queue->counters.refused++;
		adxi_ledger_close(ADXI_LEDGER_REQUEST, request->ticket, request->sequence, ADXI_LEDGER_REFUSED);
		ready_drains_locked(queue, &ready);
	}
	if (cancel) {
		(void)pthread_mutex_unlock(&queue->lock);
		queue->ops->cancel(queue->device, &request->transfer);
		(void)pthread_mutex_lock(&queue->lock);
	}
	last = unref_locked(request);
	(void)pthread_mutex_unlock(&queue->lock);
	if (error < 0) {
		/* Ends behind it may have waited for its turn. */
		give_ends(queue);
		leave_drains(&ready);
	}
	free_request(last);
	return usb_error_return(error);
}

void
host_queue_count_end(struct host_queue *queue, bool was_refused)
{
	(void)pthread_mutex_lock(&queue->lock);
	queue->counters.submitted++;
	queue->counters.completed++;
	if (was_refused)
		queue->counters.refused--;
	(void)pthread_mutex_unlock(&queue->lock);
}

/* All are marked before the first is cancelled: next_end_locked() keeps their order. */
static void
mark_locked(struct host_queue *queue, IOReturn error)
{
	struct host_request *request;

	ADXI_LIST_EACH(request, &queue->pending, link) {
		if (request->cancelled || request->ended)
			continue;
		request->cancelled = true;
		request->error = error;
		request->to_cancel = !request->submitting; /* else whoever submits it cancels it */
	}
}

/* The last request that is marked and not cancelled yet, with a reference; or NULL. */
static struct host_request *
last_to_cancel_locked(struct host_queue *queue)
{
	struct adxi_list *link;

	for (link = queue->pending.prev; link != &queue->pending; link = link->prev) {
		struct host_request *request = adxi_container_of(link, struct host_request, link);

		if (!request->to_cancel)
			continue;
		request->to_cancel = false;
		if (request->ended)
			continue;
		request->n_refs++;
		return request;
	}
	return NULL;
}

void
host_queue_abort(struct host_queue *queue, IOReturn error, struct host_barrier *barrier)
{
	struct host_ref *owner = host_ref(queue->owner);
	struct drain *drain = barrier ? malloc(sizeof *drain) : NULL;
	struct host_request *request, *last;

	(void)pthread_mutex_lock(&queue->lock);
	if (drain && !adxi_list_is_empty(&queue->pending)) {
		*drain = (struct drain){ .limit = queue->sequence, .barrier = barrier };
		adxi_list_init(&drain->link);
		adxi_list_append(&queue->drains, &drain->link);
		(void)atomic_fetch_add(&barrier->n, 1);
		drain = NULL;
	}
	mark_locked(queue, error);
	while ((request = last_to_cancel_locked(queue))) {
		(void)pthread_mutex_unlock(&queue->lock);
		queue->ops->cancel(queue->device, &request->transfer);
		(void)pthread_mutex_lock(&queue->lock);
		last = unref_locked(request);
		if (last) {
			(void)pthread_mutex_unlock(&queue->lock);
			free_request(last);
			(void)pthread_mutex_lock(&queue->lock);
		}
	}
	(void)pthread_mutex_unlock(&queue->lock);
	free(drain);
	(void)host_unref(owner);
}
