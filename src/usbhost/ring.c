/* SPDX-License-Identifier: MIT */
/* The host's end of a pipe's ring: usbdriverkit/ring.h. */

#include "usbhost/ring.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <USBDriverKit/ADXUSBCompletions.h>

#include "base/clock.h"
#include "base/rules.h"
#include "channel/channel.h"
#include "channel/memory_object.h"
#include "object/containers.h"
#include "usbdriverkit/ring.h"
#include "usbhost/look.h"
#include "usbhost/request.h"

#define TAKE_MAX  512u /* submissions before others get the thread */
#define BELL_AT   16u  /* completions of one take that may wait for its end */
#define SPARE_MAX 64u  /* requests kept for the next ones */

/* The ring is looked at, by a thread of another processor than the driver's, once HOT_BELLS came less than HOT_NS apart, and until nothing
 * came for LOOK_NS, which is longer than a wake takes. */
#define HOT_BELLS  16u
#define HOT_NS     60000u
#define LOOK_NS    20000u
#define WORTH      64u   /* submissions; a look that found fewer makes the next one wait for more bells */
#define WAIT_BELLS 64u  /* so many at most */

struct ring_request {
	struct host_request base;
	struct host_ring *ring;     /* owned reference */
	IOMemoryDescriptor *buffer; /* owned reference, or NULL */
	struct ring_request *next;  /* in host_ring::spare */
	uint32_t cookie;
};

/* What the driver means by a number. */
struct known_buffer {
	IOMemoryDescriptor *descriptor; /* owned reference, or NULL */
	uint8_t *data;                  /* in its memory */
	uint64_t capacity;
};

struct host_ring {
	struct host_ref ref;            /* the object's, each request's, the job's */
	struct host_pipe *pipe;         /* owned reference */
	ADXUSBCompletions *completions; /* owned reference: the driver's end */
	IOMemoryDescriptor *memory;     /* owned reference: ours */
	struct usb_ring *shared;        /* in it */
	struct host_shown shown;
	struct host_job job;

	_Atomic bool looking;           /* a thread looks at the submissions, */
	_Atomic bool look_begun;        /* or will soon */
	_Atomic unsigned wanted;        /* others that want to take: it stops */
	/* How hot it is: hints, written by whoever is rung */
	_Atomic uint64_t rung_ns;
	_Atomic unsigned streak, streak_wanted;

	pthread_mutex_t taking;         /* guards the three below; held while the back end takes what is submitted */
	uint32_t taken;
	bool job_pending;
	struct known_buffer buffers[USB_RING_BUFFERS];

	pthread_mutex_t giving;         /* guards all below; innermost */
	uint32_t completed;
	struct ring_request *spare;     /* owned */
	unsigned n_spare;
};

/* The ring from which this thread takes: the bell for what ends meanwhile may wait. */
static _Thread_local struct host_ring *taking_from;
static _Thread_local unsigned unrung;

/* Rings that this thread gave completions to while more were to follow. */
#define UNSETTLED_MAX 8u
static _Thread_local struct host_ring *unsettled[UNSETTLED_MAX]; /* owned references */
static _Thread_local unsigned n_unsettled;

static void
ring_free(struct host_ref *ref)
{
	struct host_ring *ring = (struct host_ring *)ref;
	struct ring_request *request;

	host_queue_hide(&ring->pipe->queue, &ring->shown);
	while ((request = ring->spare)) {
		ring->spare = request->next;
		free(request);
	}
	for (uint32_t i = 0; i < USB_RING_BUFFERS; i++)
		adxi_release(ring->buffers[i].descriptor);
	adxi_release(ring->completions);
	adxi_release(ring->memory);
	(void)pthread_mutex_destroy(&ring->taking);
	(void)pthread_mutex_destroy(&ring->giving);
	(void)host_unref(ring->pipe);
	free(ring);
}

/* ---------------------------------------------------------------------------------------------
 * Completions
 */

static void
bell(struct host_ring *ring)
{
	if (usb_ring_wants_bell(&ring->shared->completion_bell))
		ADXUSBCompletions_Completed(ring->completions);
}

static void
settled(void)
{
	while (n_unsettled > 0) {
		struct host_ring *ring = unsettled[--n_unsettled];

		bell(ring);
		(void)host_unref(ring);
	}
}

/* Whether the bell may wait for what else ends with this one. */
static bool
may_wait(struct host_ring *ring)
{
	if (!host_queue_more_follow())
		return false;
	for (unsigned i = 0; i < n_unsettled; i++)
		if (unsettled[i] == ring)
			return true;
	if (n_unsettled == UNSETTLED_MAX)
		return false;
	unsettled[n_unsettled++] = host_ref(ring);
	return true;
}

static void
give(struct host_ring *ring, uint32_t cookie, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	struct usb_ring *shared = ring->shared;

	(void)pthread_mutex_lock(&ring->giving);
	shared->completions[ring->completed % USB_RING_COMPLETIONS] = (struct usb_ring_completion){
		.cookie = cookie, .status = status, .actual = actual, .time_ns = time_ns,
	};
	ring->completed++;
	atomic_store_explicit(&shared->completed, ring->completed, memory_order_release);
	(void)pthread_mutex_unlock(&ring->giving);
	if (taking_from != ring) {
		if (!may_wait(ring))
			bell(ring);
		return;
	}
	if (++unrung >= BELL_AT) {
		unrung = 0;
		bell(ring);
	}
}

static void
ring_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	struct ring_request *request = (struct ring_request *)base;

	give(request->ring, request->cookie, status, actual, time_ns);
}

static void
ring_request_free(struct host_request *base)
{
	struct ring_request *request = (struct ring_request *)base;
	struct host_ring *ring = request->ring;

	adxi_release(request->buffer);
	(void)pthread_mutex_lock(&ring->giving);
	if (ring->n_spare < SPARE_MAX) {
		request->next = ring->spare;
		ring->spare = request;
		ring->n_spare++;
		request = NULL;
	}
	(void)pthread_mutex_unlock(&ring->giving);
	free(request);
	(void)host_unref(ring);
}

/* ---------------------------------------------------------------------------------------------
 * Submissions
 */

static struct ring_request *
ring_request_new(struct host_ring *ring)
{
	struct ring_request *request;

	(void)pthread_mutex_lock(&ring->giving);
	request = ring->spare;
	if (request) {
		ring->spare = request->next;
		ring->n_spare--;
	}
	(void)pthread_mutex_unlock(&ring->giving);
	if (!request)
		request = malloc(sizeof *request);
	if (!request)
		return NULL;
	*request = (struct ring_request){ .base = { .end = ring_end, .free = ring_request_free } };
	adxi_list_init(&request->base.link);
	request->ring = host_ref(ring);
	return request;
}

/* *ret_asked: the queue was, and counts. */
static IOReturn
submit(struct host_ring *ring, const struct usb_ring_submission *submission, IOMemoryDescriptor *buffer, uint8_t *data, bool *ret_asked)
{
	const struct usb_setting_endpoint *endpoint = &ring->pipe->endpoint;
	struct ring_request *request = ring_request_new(ring);

	if (!request)
		return kIOReturnNoMemory;
	request->cookie = submission->cookie;
	request->buffer = adxi_retain(buffer);
	request->base.transfer = (struct usb_transfer){
		.endpoint = endpoint->address,
		.type = endpoint->type,
		.length = submission->length,
		.timeout_ms = submission->timeout_ms,
		.data = data,
	};
	*ret_asked = true;
	return host_queue_submit(&ring->pipe->queue, &request->base);
}

static IOReturn
submit_known(struct host_ring *ring, const struct usb_ring_submission *submission, bool *ret_asked)
{
	const struct known_buffer *buffer;

	if (submission->length == 0)
		return submit(ring, submission, NULL, NULL, ret_asked);
	if (submission->buffer >= USB_RING_BUFFERS)
		return kIOReturnBadArgument;
	buffer = &ring->buffers[submission->buffer];
	if (!buffer->descriptor || submission->length > buffer->capacity)
		return kIOReturnBadArgument;
	return submit(ring, submission, buffer->descriptor, buffer->data, ret_asked);
}

/* The driver was told that it is accepted, so a refusal is its end. */
static void
take_one(struct host_ring *ring, const struct usb_ring_submission *submission)
{
	bool asked = false;
	IOReturn status = submit_known(ring, submission, &asked);

	if (status == kIOReturnSuccess)
		return;
	host_queue_count_end(&ring->pipe->queue, asked);
	/* It was open when the driver looked: had this come a moment sooner, it had been aborted. */
	give(ring, submission->cookie, status == kIOReturnNotOpen ? kIOReturnAborted : status, 0, adxi_now_ns());
}

static void job_run(struct host_job *job);

/* Left for later, on a thread that nobody waits for. False: there is none. */
static bool
leave_rest_locked(struct host_ring *ring)
{
	if (ring->job_pending)
		return true;
	ring->job.run = job_run;
	ring->job_pending = true;
	(void)host_ref(ring);
	if (host_device_job(ring->pipe->interface->device, &ring->job) == 0)
		return true;
	ring->job_pending = false;
	(void)host_unref(ring);
	return false;
}

/* Submissions that wait; what the driver says is checked. */
static uint32_t
waiting_locked(struct host_ring *ring)
{
	uint32_t waiting = atomic_load_explicit(&ring->shared->submitted, memory_order_acquire) - ring->taken;

	if (waiting <= USB_RING_SUBMISSIONS)
		return waiting;
	(void)adxi_tell(ADXI_RULE_HOS003, "a driver wrote a place that cannot be into the ring of endpoint 0x%02x of %s",
			ring->pipe->endpoint.address, ring->pipe->interface->device->source);
	ring->taken += waiting - USB_RING_SUBMISSIONS;
	return USB_RING_SUBMISSIONS;
}

static void
take_next_locked(struct host_ring *ring)
{
	struct usb_ring *shared = ring->shared;
	struct usb_ring_submission submission = shared->submissions[ring->taken % USB_RING_SUBMISSIONS];

	__asm__ volatile("" : : : "memory"); /* checked and used from this copy alone: the driver may be writing it */
	ring->taken++;
	atomic_store_explicit(&shared->taken, ring->taken, memory_order_release);
	take_one(ring, &submission);
}

/* What ended on this thread meanwhile and was not rung for. */
static void
ring_rest(struct host_ring *ring)
{
	if (unrung)
		bell(ring);
	unrung = 0;
}

static void
take_locked(struct host_ring *ring)
{
	struct usb_ring *shared = ring->shared;
	unsigned n = 0;

	for (;;) {
		if (waiting_locked(ring) > 0) {
			if (n++ >= TAKE_MAX && leave_rest_locked(ring))
				return;
			take_next_locked(ring);
			continue;
		}
		usb_ring_want_bell(&shared->submission_bell);
		if (waiting_locked(ring) == 0)
			return;
		atomic_store_explicit(&shared->submission_bell, 0, memory_order_relaxed);
	}
}

/* The lock is held, and given up before the bell: who is woken may come in this thread's place at once. */
static void
take_and_unlock(struct host_ring *ring)
{
	struct host_ring *outer = taking_from;
	unsigned outer_unrung = unrung;

	taking_from = ring;
	unrung = 0;
	take_locked(ring);
	taking_from = outer;
	(void)pthread_mutex_unlock(&ring->taking);
	ring_rest(ring);
	unrung = outer_unrung;
}

void
host_ring_take(struct host_ring *ring)
{
	if (!ring || taking_from == ring)
		return;
	atomic_fetch_add(&ring->wanted, 1);
	(void)pthread_mutex_lock(&ring->taking);
	atomic_fetch_sub(&ring->wanted, 1);
	take_and_unlock(ring);
}

/* Nothing waits. Whether something comes while it pays to look. */
static bool
look_locked(struct host_ring *ring, uint32_t here)
{
	struct usb_ring *shared = ring->shared;
	uint64_t until = 0;

	for (;;) {
		for (unsigned i = 0; i < 32; i++) {
			if (waiting_locked(ring) > 0)
				return true;
			usb_ring_relax();
		}
		/* The first turn is shorter than the clock is worth. */
		if (until == 0)
			until = adxi_now_ns() + LOOK_NS;
		else if (adxi_now_ns() >= until)
			return false;
		if (atomic_load_explicit(&ring->wanted, memory_order_relaxed) > 0 ||
		    atomic_load_explicit(&shared->driver_cpu, memory_order_relaxed) == here)
			return false;
	}
}

/* On the thread that may: submissions taken. */
static unsigned
look_and_take(struct host_ring *ring, uint32_t here)
{
	unsigned n = 0;

	atomic_store(&ring->looking, true); /* from here on who is rung leaves it to this thread */
	(void)pthread_mutex_lock(&ring->taking);
	taking_from = ring;
	unrung = 0;
	atomic_store_explicit(&ring->shared->submission_bell, 0, memory_order_relaxed);
	do {
		while (waiting_locked(ring) > 0 && atomic_load_explicit(&ring->wanted, memory_order_relaxed) == 0) {
			take_next_locked(ring);
			n++;
		}
		ring_rest(ring);
	} while (atomic_load_explicit(&ring->wanted, memory_order_relaxed) == 0 && look_locked(ring, here));
	atomic_store_explicit(&ring->shared->host_looks, 0, memory_order_relaxed);
	atomic_store(&ring->looking, false); /* bells count again, and then the last look */
	take_locked(ring);
	taking_from = NULL;
	ring_rest(ring);
	(void)pthread_mutex_unlock(&ring->taking);
	return n;
}

static bool
driver_knows(struct host_ring *ring)
{
	const uint64_t until = adxi_now_ns() + LOOK_NS;

	do {
		for (unsigned i = 0; i < 32; i++) {
			if (atomic_load_explicit(&ring->shared->driver_knows, memory_order_relaxed))
				return true;
			usb_ring_relax();
		}
	} while (adxi_now_ns() < until);
	return false;
}

static void
look(void *context)
{
	struct host_ring *ring = context;
	const uint32_t here = (uint32_t)sched_getcpu();
	uint32_t wanted = atomic_load_explicit(&ring->streak_wanted, memory_order_relaxed);
	unsigned n = 0;

	atomic_store_explicit(&ring->shared->driver_knows, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->shared->host_looks, 1 + here, memory_order_release);
	if (driver_knows(ring))
		n = look_and_take(ring, here);
	atomic_store_explicit(&ring->shared->host_looks, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->streak_wanted,
			      n >= WORTH ? HOT_BELLS : wanted * 2 < WAIT_BELLS ? wanted * 2 : WAIT_BELLS, memory_order_relaxed);
	atomic_store(&ring->look_begun, false);
	(void)host_unref(ring);
}

/* One bell, again and again, for few requests each: the driver waits for each of them. */
static void
note_heat(struct host_ring *ring)
{
	const uint64_t now = adxi_now_ns();
	const uint64_t last = atomic_exchange_explicit(&ring->rung_ns, now, memory_order_relaxed);
	unsigned streak = 0;

	if (now - last < HOT_NS)
		streak = atomic_load_explicit(&ring->streak, memory_order_relaxed) + 1;
	atomic_store_explicit(&ring->streak, streak, memory_order_relaxed);
	if (streak < atomic_load_explicit(&ring->streak_wanted, memory_order_relaxed) || atomic_exchange(&ring->look_begun, true))
		return;
	atomic_store_explicit(&ring->streak, 0, memory_order_relaxed);
	(void)host_ref(ring);
	if (host_look_begin(atomic_load_explicit(&ring->shared->driver_cpu, memory_order_relaxed), look, ring))
		return;
	atomic_store(&ring->look_begun, false);
	(void)host_unref(ring);
}

void
host_ring_rung(struct host_ring *ring)
{
	struct timespec until;

	if (!ring || taking_from == ring)
		return;
	note_heat(ring);
	/* Whoever looks has seen it, or will: it does not have to stop for this. Others are waited for. */
	while (!atomic_load(&ring->looking)) {
		(void)clock_gettime(CLOCK_REALTIME, &until); /* ThreadSanitizer does not know pthread_mutex_clocklock() */
		until.tv_nsec += LOOK_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (pthread_mutex_timedlock(&ring->taking, &until) == 0) {
			take_and_unlock(ring);
			return;
		}
	}
}

static void
job_run(struct host_job *job)
{
	struct host_ring *ring = adxi_container_of(job, struct host_ring, job);

	(void)pthread_mutex_lock(&ring->taking);
	ring->job_pending = false;
	(void)pthread_mutex_unlock(&ring->taking);
	host_ring_take(ring);
	(void)host_unref(ring);
}

IOReturn
host_ring_submit(struct host_ring *ring, uint32_t cookie, IOMemoryDescriptor *buffer, uint8_t *data, uint32_t length,
		 uint32_t timeout_ms)
{
	const struct usb_ring_submission submission = { cookie, USB_RING_NO_BUFFER, length, timeout_ms };

	host_ring_take(ring);
	return submit(ring, &submission, buffer, data, &(bool){ false }); /* its driver hears of a refusal now */
}

IOReturn
host_ring_set_buffer(struct host_ring *ring, uint32_t index, IOMemoryDescriptor *descriptor)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)descriptor);
	struct known_buffer buffer = { 0 }, before;
	IOReturn status;

	if (index >= USB_RING_BUFFERS)
		return kIOReturnBadArgument;
	if (descriptor) {
		buffer.capacity = memory ? adxi_memory_capacity(memory) : 0;
		if (buffer.capacity > UINT32_MAX)
			buffer.capacity = UINT32_MAX;
		status = request_buffer(descriptor, (uint32_t)buffer.capacity, ring->pipe->endpoint.address & 0x80, "AsyncIO",
					&buffer.data);
		if (status == kIOReturnSuccess && !buffer.data)
			status = kIOReturnBadArgument;
		if (status != kIOReturnSuccess)
			return status;
		buffer.descriptor = adxi_retain(descriptor);
	}
	(void)pthread_mutex_lock(&ring->taking);
	before = ring->buffers[index];
	ring->buffers[index] = buffer;
	(void)pthread_mutex_unlock(&ring->taking);
	adxi_release(before.descriptor);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Life
 */

bool
host_ring_is_of(const struct host_ring *ring, ADXUSBCompletions *completions)
{
	return adxi_channel_of((OS_OBJECT *)ring->completions) == adxi_channel_of((OS_OBJECT *)completions);
}

IOMemoryDescriptor *
host_ring_memory(struct host_ring *ring)
{
	return ring->memory;
}

static IOMemoryDescriptor *
memory_new(struct usb_ring **ret_shared)
{
	struct adxi_memory *memory;
	IOMemoryDescriptor *object;
	void *address;

	if (adxi_memory_create(sizeof(struct usb_ring), ADXI_MEMORY_IN | ADXI_MEMORY_OUT, &memory) < 0)
		return NULL;
	object = adxi_memory_object(memory);
	if (!object || adxi_memory_address(memory, &address) < 0)
		return adxi_release(object);
	*ret_shared = address;
	return object;
}

__attribute__((constructor)) static void
wait_for_more(void)
{
	host_queue_settled = settled;
}

struct host_ring *
host_ring_new(struct host_pipe *pipe, ADXUSBCompletions *completions)
{
	struct host_ring *ring = calloc(1, sizeof *ring);

	if (!ring)
		return NULL;
	ring->memory = memory_new(&ring->shared);
	if (!ring->memory) {
		free(ring);
		return NULL;
	}
	atomic_init(&ring->ref.n, 1);
	ring->ref.free = ring_free;
	ring->pipe = host_ref(pipe);
	ring->completions = adxi_retain(completions);
	(void)pthread_mutex_init(&ring->taking, NULL);
	(void)pthread_mutex_init(&ring->giving, NULL);
	atomic_store(&ring->shared->submission_bell, 1);
	atomic_store(&ring->shared->completion_bell, 1);
	atomic_store(&ring->streak_wanted, HOT_BELLS);
	ring->shown.word = &ring->shared->refuse;
	host_queue_show(&pipe->queue, &ring->shown);
	return ring;
}
