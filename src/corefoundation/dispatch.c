/* SPDX-License-Identifier: MIT */
/* Serial queues: a thread while there is work, none otherwise. The main queue is drained by the main run loop. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CoreFoundation/CFRunLoop.h>
#include <dispatch/dispatch.h>

#include "base/block.h"
#include "base/check.h"
#include "base/list.h"
#include "corefoundation/dispatch.h"

struct work {
	struct adxi_list link;         /* in dispatch_queue_s::work */
	dispatch_function_t function;
	void *context;
	bool *done;                    /* borrowed: a waiting dispatch_sync_f's; guarded by the queue's lock */
};

struct dispatch_queue_s {
	_Atomic unsigned n_ref;        /* a running thread holds one */
	char *label;                   /* owned */
	pthread_mutex_t lock;          /* guards all below */
	pthread_cond_t ended;          /* some work with a waiter has run */
	struct adxi_list work;         /* owned struct work::link, oldest first */
	bool running;                  /* a thread drains it (or the main loop does, now) */
	bool is_main;
};

static struct dispatch_queue_s main_queue = {
	.n_ref = 1, .label = (char *)"com.apple.main-thread", .lock = PTHREAD_MUTEX_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER, .work = ADXI_LIST_INIT(main_queue.work), .is_main = true,
};
static struct dispatch_queue_s global_queue = {
	.n_ref = 1, .label = (char *)"com.apple.root.default-qos", .lock = PTHREAD_MUTEX_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER, .work = ADXI_LIST_INIT(global_queue.work),
};

static _Thread_local dispatch_queue_t current;

dispatch_queue_t
dispatch_queue_create(const char *label, dispatch_queue_attr_t attr)
{
	struct dispatch_queue_s *queue = calloc(1, sizeof *queue);

	if (!queue)
		return NULL;
	atomic_init(&queue->n_ref, 1);
	queue->label = strdup(label ? label : "");
	if (!queue->label) {
		free(queue);
		return NULL;
	}
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->ended, NULL);
	adxi_list_init(&queue->work);
	return queue;
}

static bool
is_static(dispatch_queue_t queue)
{
	return queue == &main_queue || queue == &global_queue;
}

void
dispatch_retain(dispatch_queue_t queue)
{
	if (queue && !is_static(queue))
		atomic_fetch_add_explicit(&queue->n_ref, 1, memory_order_relaxed);
}

void
dispatch_release(dispatch_queue_t queue)
{
	if (!queue || is_static(queue) || atomic_fetch_sub_explicit(&queue->n_ref, 1, memory_order_acq_rel) != 1)
		return;
	pthread_cond_destroy(&queue->ended);
	pthread_mutex_destroy(&queue->lock);
	free(queue->label);
	free(queue);
}

dispatch_queue_t
dispatch_get_main_queue(void)
{
	return &main_queue;
}

dispatch_queue_t
dispatch_get_global_queue(long identifier, unsigned long flags)
{
	return &global_queue;
}

const char *
dispatch_queue_get_label(dispatch_queue_t queue)
{
	return queue ? queue->label : "";
}

/* Run what is queued, in order, until nothing is. */
static void
drain(struct dispatch_queue_s *queue)
{
	dispatch_queue_t outer = current;

	current = queue;
	pthread_mutex_lock(&queue->lock);
	while (!adxi_list_is_empty(&queue->work)) {
		struct work *work = ADXI_LIST_FIRST(&queue->work, struct work, link);
		adxi_list_remove(&work->link);
		pthread_mutex_unlock(&queue->lock);
		work->function(work->context);
		pthread_mutex_lock(&queue->lock);
		if (work->done) {
			*work->done = true;
			pthread_cond_broadcast(&queue->ended);
		}
		free(work);
	}
	queue->running = false;
	pthread_mutex_unlock(&queue->lock);
	current = outer;
}

static void *
thread_main(void *context)
{
	drain(context);
	dispatch_release(context);
	return NULL;
}

/* Under the queue's lock: somebody will drain it. */
static void
start_locked(struct dispatch_queue_s *queue)
{
	pthread_attr_t attributes;
	pthread_t thread;

	if (queue->running)
		return;
	if (queue->is_main) {
		CFRunLoopWakeUp(CFRunLoopGetMain());
		return;
	}
	queue->running = true;
	dispatch_retain(queue);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, thread_main, queue) != 0)
		adxi_die("dispatch queue '%s': no thread can be made, so its work would never run", queue->label);
	pthread_attr_destroy(&attributes);
}

static void
enqueue(dispatch_queue_t queue, void *context, dispatch_function_t function, bool *done)
{
	struct work *work = calloc(1, sizeof *work);

	if (!work)
		adxi_die("dispatch queue '%s': no memory for work", queue->label);
	work->function = function;
	work->context = context;
	work->done = done;
	pthread_mutex_lock(&queue->lock);
	adxi_list_append(&queue->work, &work->link);
	start_locked(queue);
	while (done && !*done)
		pthread_cond_wait(&queue->ended, &queue->lock);
	pthread_mutex_unlock(&queue->lock);
}

void
dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	enqueue(queue, context, work, NULL);
}

void
dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	bool done = false;

	if (current == queue)
		adxi_die("dispatch_sync on queue '%s' from that queue: it would wait for itself; call the function", queue->label);
	enqueue(queue, context, work, &done);
}

static void
call_block(void *context)
{
	((void (*)(void *))adxi_block_invoke(context))(context);
	adxi_block_release(context);
}

/* With blocks the parameter is a block; here it is its address. */
void dispatch_async(dispatch_queue_t queue, void *block);
void dispatch_sync(dispatch_queue_t queue, void *block);

ADX_API void
dispatch_async(dispatch_queue_t queue, void *block)
{
	dispatch_async_f(queue, adxi_block_copy(block), call_block);
}

ADX_API void
dispatch_sync(dispatch_queue_t queue, void *block)
{
	dispatch_sync_f(queue, adxi_block_copy(block), call_block);
}

bool
adxi_dispatch_drain_main(void)
{
	pthread_mutex_lock(&main_queue.lock);
	bool due = !adxi_list_is_empty(&main_queue.work) && !main_queue.running;
	if (due)
		main_queue.running = true;
	pthread_mutex_unlock(&main_queue.lock);
	if (due)
		drain(&main_queue);
	return due;
}

void
dispatch_main(void)
{
	for (;;)
		(void)CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1e9, FALSE);
}
