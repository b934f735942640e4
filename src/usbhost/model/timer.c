/* SPDX-License-Identifier: MIT */
/* The clock of the model back end: a heap of devices by the time they wait for, and one thread, or
 * a test. */

#include "usbhost/model/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "usbhost/model/model.h"

#define NS_PER_S 1000000000ull
/* A virtual clock does not begin at 0: 0 means "no deadline". */
#define VIRTUAL_START_NS NS_PER_S

uint64_t
model_timer_now_ns(struct timer *timer)
{
	struct timespec now;

	if (timer->is_virtual)
		return atomic_load_explicit(&timer->virtual_ns, memory_order_relaxed);
	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* fails for no valid clock */
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void
heap_put(struct timer *timer, size_t at, struct usb_device *device)
{
	timer->heap[at] = device;
	device->heap_at = at + 1;
}

static void
heap_up(struct timer *timer, size_t at)
{
	struct usb_device *device = timer->heap[at];

	for (size_t parent; at > 0; at = parent) {
		parent = (at - 1) / 2;
		if (timer->heap[parent]->heap_ns <= device->heap_ns)
			break;
		heap_put(timer, at, timer->heap[parent]);
	}
	heap_put(timer, at, device);
}

static void
heap_down(struct timer *timer, size_t at)
{
	struct usb_device *device = timer->heap[at];

	for (size_t child; (child = 2 * at + 1) < timer->n_heap; at = child) {
		if (child + 1 < timer->n_heap &&
		    timer->heap[child + 1]->heap_ns < timer->heap[child]->heap_ns)
			child++;
		if (device->heap_ns <= timer->heap[child]->heap_ns)
			break;
		heap_put(timer, at, timer->heap[child]);
	}
	heap_put(timer, at, device);
}

static void
heap_take(struct timer *timer, struct usb_device *device)
{
	size_t at = device->heap_at - 1;
	struct usb_device *last = timer->heap[--timer->n_heap];

	device->heap_at = 0;
	if (last == device)
		return;
	heap_put(timer, at, last);
	heap_down(timer, at);
	heap_up(timer, last->heap_at - 1);
}

int
model_timer_reserve(struct timer *timer, size_t n_devices)
{
	int r = 0;

	pthread_mutex_lock(&timer->lock);
	if (n_devices > timer->n_alloc) {
		struct usb_device **heap;

		heap = reallocarray(timer->heap, 2 * n_devices, sizeof *heap);
		if (heap) {
			timer->heap = heap;
			timer->n_alloc = 2 * n_devices;
		} else {
			r = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&timer->lock);
	return r;
}

void
model_timer_arm(struct timer *timer, struct usb_device *device, uint64_t deadline_ns)
{
	bool first;

	pthread_mutex_lock(&timer->lock);
	if (device->heap_at == 0) {
		device->heap_ns = deadline_ns;
		heap_put(timer, timer->n_heap++, device);
		heap_up(timer, timer->n_heap - 1);
	} else if (deadline_ns < device->heap_ns) {
		device->heap_ns = deadline_ns;
		heap_up(timer, device->heap_at - 1);
	}
	first = timer->heap[0] == device;
	pthread_mutex_unlock(&timer->lock);
	if (first)
		pthread_cond_signal(&timer->changed);
}

void
model_timer_remove(struct timer *timer, struct usb_device *device)
{
	pthread_mutex_lock(&timer->lock);
	if (device->heap_at > 0)
		heap_take(timer, device);
	pthread_mutex_unlock(&timer->lock);
}

/* Takes out the first device that is due at @p now_ns and returns a reference to it, or NULL. Lock
 * held. */
static struct usb_device *
take_due_locked(struct timer *timer, uint64_t now_ns)
{
	struct usb_device *device;

	if (timer->n_heap == 0 || timer->heap[0]->heap_ns > now_ns)
		return NULL;
	/* A device in the heap is alive: unplugging takes it out before the list's reference
	 * goes. */
	device = model_device_ref(timer->heap[0]);
	heap_take(timer, device);
	return device;
}

static void
serve_due(struct usb_device *device, uint64_t now_ns)
{
	model_device_enter(device);
	device->armed_ns = 0;
	model_device_due(device, now_ns);
	model_device_leave(device);
	model_device_unref(device);
}

static void *
timer_main(void *userdata)
{
	struct timer *timer = userdata;

	pthread_mutex_lock(&timer->lock);
	while (!timer->stop) {
		uint64_t now_ns = model_timer_now_ns(timer);
		struct usb_device *device = take_due_locked(timer, now_ns);

		if (device) {
			pthread_mutex_unlock(&timer->lock);
			serve_due(device, now_ns);
			pthread_mutex_lock(&timer->lock);
		} else if (timer->n_heap > 0) {
			uint64_t until = timer->heap[0]->heap_ns;
			struct timespec at = { .tv_sec = until / NS_PER_S,
					       .tv_nsec = until % NS_PER_S };

			(void) pthread_cond_timedwait(&timer->changed, &timer->lock, &at);
		} else {
			pthread_cond_wait(&timer->changed, &timer->lock);
		}
	}
	pthread_mutex_unlock(&timer->lock);
	return NULL;
}

void
usb_model_pass(struct usb_backend *backend, uint64_t ns)
{
	struct timer *timer = &backend->timer;
	uint64_t target = atomic_load(&timer->virtual_ns) + ns;

	for (;;) {
		uint64_t now = atomic_load(&timer->virtual_ns);
		struct usb_device *device;

		pthread_mutex_lock(&timer->lock);
		if (timer->n_heap > 0 && timer->heap[0]->heap_ns > now)
			now = timer->heap[0]->heap_ns < target ? timer->heap[0]->heap_ns : target;
		device = take_due_locked(timer, now);
		pthread_mutex_unlock(&timer->lock);
		if (!device)
			break;
		atomic_store(&timer->virtual_ns, now);
		serve_due(device, now);
	}
	atomic_store(&timer->virtual_ns, target);
}

int
model_timer_start(struct timer *timer, bool is_virtual)
{
	pthread_condattr_t monotonic;
	int r;

	timer->is_virtual = is_virtual;
	atomic_store(&timer->virtual_ns, VIRTUAL_START_NS);
	pthread_mutex_init(&timer->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&timer->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (is_virtual)
		return 0;
	r = pthread_create(&timer->thread, NULL, timer_main, timer);
	if (r == 0) {
		timer->has_thread = true;
		(void) pthread_setname_np(timer->thread, "usb-model"); /* only a name */
	}
	return -r;
}

void
model_timer_stop(struct timer *timer)
{
	if (!timer->has_thread)
		return;
	pthread_mutex_lock(&timer->lock);
	timer->stop = true;
	pthread_mutex_unlock(&timer->lock);
	pthread_cond_signal(&timer->changed);
	pthread_join(timer->thread, NULL);
	timer->has_thread = false;
}

void
model_timer_fini(struct timer *timer)
{
	free(timer->heap);
	pthread_cond_destroy(&timer->changed);
	pthread_mutex_destroy(&timer->lock);
}
