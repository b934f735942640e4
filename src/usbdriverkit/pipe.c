/* SPDX-License-Identifier: MIT */
/* AsyncIO through the memory that a driver shares with usbhost: ring.h. Whatever does not fit goes by a message. */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <DriverKit/IOMemoryDescriptor.h>
#include <USBDriverKit/ADXUSBCompletions.h>
#include <USBDriverKit/IOUSBHostPipe.h>

#include "base/clock.h"
#include "base/ledger.h"
#include "base/rules.h"
#include "channel/memory_object.h"
#include "driverkit/invoke.h"
#include "usbdriverkit/ring.h"

#define LOG_TOPIC "usb.ring"
#include "base/log.h"

#define NO_SLOT    UINT32_MAX
#define DRAIN_MAX  128u /* callbacks before others get the queue */
#define LOOK_NS    20000u /* longer than a wake takes, or looking never pays */
#define N_NOTICED  256u
#define FEW_BUFFERS 64u

/* A request in the ring; its number is the cookie. */
struct slot {
	OSAction *action;  /* owned reference; NULL: free */
	uint32_t buffer;   /* number, or USB_RING_NO_BUFFER */
	uint32_t length;
	uint32_t next_free;
	adxi_ticket ticket;
};

/* A buffer that usbhost knows by its number. */
struct buffer {
	IOMemoryDescriptor *descriptor; /* owned reference; NULL: free */
	uint32_t in_flight;
	bool known;                     /* usbhost has answered */
};

/* A pipe's ring in this process. It lives as long as the pipe's proxy and usbhost's end of it. */
struct ADXUSBCompletions_IVars {
	struct adxi_mapping *mapping;  /* owned */
	struct usb_ring *_Atomic mapped; /* in it, as long as there is one: for who comes uncalled */
	struct usb_ring *shared;       /* the same: for who has the pipe, or was posted */
	struct adxi_invoker *invoker;  /* owned: callbacks run there */
	uint8_t address;
	_Atomic bool posted;           /* the invoker is, with a reference to the object */
	_Atomic bool ending;           /* usbhost has let go */
	_Atomic uint32_t seen;         /* completions: written by the invoker's run alone, which has posted */
	_Atomic bool broken;           /* usbhost wrote what cannot be: nothing of it is looked at any more */
	/* Actions of which it is known that the invoker takes them, and buffers that were used once. Borrowed, only compared: an
	 * old one costs a look, or a message. */
	_Atomic uintptr_t noticed[N_NOTICED];

	pthread_mutex_t lock;          /* guards all below; nothing is called while it is held */
	bool dead;
	uint32_t submitted, n_slots, free_slot;
	uint32_t n_known;              /* buffers ever */
	uint32_t next_buffer;          /* to be replaced when all are taken */
	struct slot slots[USB_RING_COMPLETIONS];
	struct buffer buffers[USB_RING_BUFFERS];
	uint8_t hints[USB_RING_BUFFERS]; /* where a buffer was last, by hash */
};

/* Of a proxy; usbhost's own have others. */
struct IOUSBHostPipe_IVars {
	ADXUSBCompletions *completions; /* owned reference */
};

/* A pipe that was refused one, and one for which it is being made. */
static struct IOUSBHostPipe_IVars no_ring, making_ring;

static unsigned
hash(const void *object)
{
	return (unsigned)((uintptr_t)object >> 5 ^ (uintptr_t)object >> 13);
}

static bool
is_noticed(const struct ADXUSBCompletions_IVars *ring, const void *object)
{
	return atomic_load_explicit(&ring->noticed[hash(object) % N_NOTICED], memory_order_relaxed) == (uintptr_t)object;
}

/* Until another one has the same place. */
static void
notice(struct ADXUSBCompletions_IVars *ring, const void *object)
{
	atomic_store_explicit(&ring->noticed[hash(object) % N_NOTICED], (uintptr_t)object, memory_order_relaxed);
}

/* ---------------------------------------------------------------------------------------------
 * Completions
 */

struct completion {
	IOReturn status;
	uint32_t actual;
	uint64_t time_ns;
};

typedef void complete_function(OS_OBJECT *self, OSAction *action, IOReturn status, uint32_t actual, uint64_t time_ns);

static void
call_implementation(void *context, OS_OBJECT *target, const struct OSMethod *method, OSAction *action)
{
	const struct completion *completion = context;

	((complete_function *)method->impl)(target, action, completion->status, completion->actual, completion->time_ns);
}

/* The request is no more; its action's reference is the caller's. NULL: there is none of that number. @p marked: the action is free for
 * the next one. */
static OSAction *
take_slot(struct ADXUSBCompletions_IVars *ring, uint32_t cookie, bool marked, enum adxi_ledger_how how, uint32_t *ret_length)
{
	OSAction *action = NULL;

	(void)pthread_mutex_lock(&ring->lock);
	if (cookie < ring->n_slots && ring->slots[cookie].action) {
		struct slot *slot = &ring->slots[cookie];

		action = slot->action;
		*ret_length = slot->length;
		slot->action = NULL;
		if (slot->buffer != USB_RING_NO_BUFFER)
			ring->buffers[slot->buffer].in_flight--;
		adxi_ledger_close(ADXI_LEDGER_TRANSFER, slot->ticket, cookie, how);
		slot->next_free = ring->free_slot;
		ring->free_slot = cookie;
	}
	(void)pthread_mutex_unlock(&ring->lock);
	if (action && marked)
		__atomic_fetch_and(&((OS_OBJECT *)action)->flags, ~OS_OBJECT_PENDING, __ATOMIC_RELAXED);
	return action;
}

static void
breaks(struct ADXUSBCompletions_IVars *ring, const char *what)
{
	ring->broken = true;
	(void)adxi_tell(ADXI_RULE_HOS002, "usbhost %s on endpoint 0x%02x", what, ring->address);
}

static void
finish(struct ADXUSBCompletions_IVars *ring, OSAction *action, const struct completion *completion, bool dropped)
{
	if (!dropped && !adxi_invoker_invoke(ring->invoker, action, IOUSBHostPipe_CompleteAsyncIO_ID,
					     IOUSBHostPipe_CompleteAsyncIO_Invoke, call_implementation, (void *)(uintptr_t)completion))
		IOUSBHostPipe_CompleteAsyncIO(NULL, action, completion->status, completion->actual, completion->time_ns);
	adxi_action_let_go(action);
	OSRelease((OS_OBJECT *)action);
}

static void
complete(struct ADXUSBCompletions_IVars *ring, const struct usb_ring_completion *entry, bool dropped)
{
	struct completion completion = { entry->status, entry->actual, entry->time_ns };
	uint32_t length = 0;
	OSAction *action = take_slot(ring, entry->cookie, true, dropped ? ADXI_LEDGER_DROPPED : ADXI_LEDGER_DONE, &length);

	if (!action) {
		adxi_ledger_unopened(ADXI_LEDGER_TRANSFER);
		breaks(ring, "completed a request that there is not");
		return;
	}
	/* A driver reads so many bytes of its buffer. */
	if (completion.actual > length) {
		breaks(ring, "moved more bytes than the request asked for");
		completion.status = kIOReturnIPCError;
		completion.actual = 0;
	}
	finish(ring, action, &completion, dropped);
}

/* Usbhost broke it or died: each request ends here, once, so that its driver can stop. What it submits from now on goes by messages. */
static void
fail_ring(struct ADXUSBCompletions_IVars *ring, IOReturn status, bool dropped)
{
	const struct completion failed = { .status = status, .time_ns = adxi_now_ns() };
	uint32_t n_slots, length;

	(void)pthread_mutex_lock(&ring->lock);
	ring->dead = true;
	n_slots = ring->n_slots;
	(void)pthread_mutex_unlock(&ring->lock);
	for (uint32_t i = 0; i < n_slots; i++) {
		OSAction *action = take_slot(ring, i, true, dropped ? ADXI_LEDGER_DROPPED : ADXI_LEDGER_FAILED, &length);

		if (action)
			finish(ring, action, &failed, dropped);
	}
}

/* Usbhost will complete nothing more: what is left is let go. */
static void
end_ring(struct ADXUSBCompletions_IVars *ring)
{
	uint32_t i, n_slots, length;

	(void)pthread_mutex_lock(&ring->lock);
	ring->dead = true;
	n_slots = ring->n_slots;
	(void)pthread_mutex_unlock(&ring->lock);
	for (i = 0; i < n_slots; i++) {
		OSAction *action = take_slot(ring, i, true, ADXI_LEDGER_FAILED, &length);

		if (!action)
			continue;
		adxi_action_let_go(action);
		OSRelease((OS_OBJECT *)action);
	}
	for (i = 0; i < USB_RING_BUFFERS; i++) {
		IOMemoryDescriptor *descriptor = NULL;

		(void)pthread_mutex_lock(&ring->lock);
		if (ring->buffers[i].known) { /* else whoever makes it known gives it up */
			descriptor = ring->buffers[i].descriptor;
			ring->buffers[i] = (struct buffer){ 0 };
		}
		(void)pthread_mutex_unlock(&ring->lock);
		OSRelease((OS_OBJECT *)descriptor);
	}
}

static void
post(ADXUSBCompletions *self)
{
	if (atomic_exchange(&self->ivars->posted, true))
		return;
	OSRetain((OS_OBJECT *)self);
	adxi_invoker_post(self->ivars->invoker);
}

static bool
has_completion(const struct ADXUSBCompletions_IVars *ring)
{
	return !atomic_load_explicit(&ring->broken, memory_order_relaxed) &&
	       atomic_load_explicit(&ring->shared->completed, memory_order_acquire) !=
		       atomic_load_explicit(&ring->seen, memory_order_relaxed);
}

/* Up to @p max completions. */
static uint32_t
drain(struct ADXUSBCompletions_IVars *ring, uint32_t max, bool dropped)
{
	uint32_t n = 0;

	while (n < max && has_completion(ring)) {
		uint32_t seen = atomic_load_explicit(&ring->seen, memory_order_relaxed);
		if (atomic_load_explicit(&ring->shared->completed, memory_order_relaxed) - seen > USB_RING_COMPLETIONS) {
			breaks(ring, "wrote a place that cannot be");
			break;
		}
		struct usb_ring_completion entry = ring->shared->completions[seen % USB_RING_COMPLETIONS];

		__asm__ volatile("" : : : "memory"); /* usbhost may be writing it: this copy alone is used */
		atomic_store_explicit(&ring->seen, seen + 1, memory_order_relaxed);
		complete(ring, &entry, dropped);
		n++;
	}
	return n;
}

static bool
look_until(struct ADXUSBCompletions_IVars *ring, uint32_t looks)
{
	uint64_t until = 0;

	for (;;) {
		for (unsigned i = 0; i < 32; i++) {
			if (has_completion(ring))
				return true;
			usb_ring_relax();
		}
		/* The first turn is shorter than the clock is worth. */
		if (until == 0)
			until = adxi_now_ns() + LOOK_NS;
		else if (adxi_now_ns() >= until)
			return false;
		if (atomic_load_explicit(&ring->shared->host_looks, memory_order_relaxed) != looks)
			return false;
	}
}

/* While a thread of usbhost looks at what this one submits, on another processor, its completion is there sooner than a bell. */
static bool
look(struct ADXUSBCompletions_IVars *ring)
{
	struct usb_ring *shared = ring->shared;
	uint32_t looks = atomic_load_explicit(&shared->host_looks, memory_order_relaxed);

	if (looks == 0 || looks - 1 == (uint32_t)sched_getcpu())
		return false;
	atomic_store_explicit(&shared->driver_knows, 1, memory_order_relaxed);
	return atomic_load_explicit(&shared->submitted, memory_order_relaxed) !=
		       atomic_load_explicit(&ring->seen, memory_order_relaxed) &&
	       look_until(ring, looks);
}

/* On the callbacks' queue. */
static void
run(void *context, bool dropped)
{
	ADXUSBCompletions *self = context;
	struct ADXUSBCompletions_IVars *ring = self->ivars;
	struct usb_ring *shared = ring->shared;
	uint32_t left = DRAIN_MAX;

	for (;;) {
		left -= drain(ring, dropped ? UINT32_MAX : left, dropped);
		if (ring->broken) {
			fail_ring(ring, kIOReturnAborted, dropped);
			end_ring(ring);
		}
		if (left == 0 && !dropped) {
			adxi_invoker_post(ring->invoker); /* behind what else is there; the reference goes along */
			return;
		}
		if (!dropped && look(ring))
			continue;
		atomic_store(&ring->posted, false);
		usb_ring_want_bell(&shared->completion_bell);
		/* What came before the bell was wanted. */
		if (!has_completion(ring) && !atomic_load(&ring->ending))
			break;
		if (atomic_exchange(&ring->posted, true))
			break; /* the bell was faster */
		atomic_store_explicit(&shared->completion_bell, 0, memory_order_relaxed);
		if (!has_completion(ring) && atomic_load(&ring->ending)) {
			fail_ring(ring, kIOReturnNoDevice, dropped);
			end_ring(ring);
			break; /* posted for ever: nobody rings */
		}
	}
	OSRelease((OS_OBJECT *)self);
}

/* On the thread that received it. */
void
ADXUSBCompletions_Completed_Impl(ADXUSBCompletions *self)
{
	if (self->ivars && atomic_load(&self->ivars->mapped))
		post(self);
}

/* Usbhost's last right is gone: the pipe was closed for good, or the process died. What it completed before is delivered first. */
static void
completions_no_senders(OS_OBJECT *object)
{
	ADXUSBCompletions *self = (ADXUSBCompletions *)object;

	if (!self->ivars)
		return;
	/* Perhaps the ring is being mapped just now: either this thread sees it, or that one sees this. */
	atomic_store(&self->ivars->ending, true);
	if (atomic_load(&self->ivars->mapped))
		post(self);
}

static void
completions_destruct(void *object)
{
	struct ADXUSBCompletions_IVars *ring = ((ADXUSBCompletions *)object)->ivars;

	if (!ring)
		return;
	if (ring->shared)
		end_ring(ring);
	(void)adxi_invoker_free(ring->invoker);
	(void)adxi_mapping_unref(ring->mapping);
	(void)pthread_mutex_destroy(&ring->lock);
	free(ring);
}

static void
pipe_destruct(void *object)
{
	struct IOUSBHostPipe_IVars *ivars = ((IOUSBHostPipe *)object)->ivars;

	if (!ivars || ivars == &no_ring || ivars == &making_ring)
		return;
	OSRelease((OS_OBJECT *)ivars->completions);
	free(ivars);
}

__attribute__((constructor(101))) static void
install(void)
{
	static const struct OSClassHooks hooks = { .no_senders = completions_no_senders };

	ADXUSBCompletions_Class.hooks = &hooks;
	ADXUSBCompletions_Class.destruct = completions_destruct;
	IOUSBHostPipe_Class.destruct = pipe_destruct;
}

/* ---------------------------------------------------------------------------------------------
 * Making one
 */

static ADXUSBCompletions *
completions_new(OSAction *action)
{
	ADXUSBCompletions *self = (ADXUSBCompletions *)OSMetaClassAllocate(&ADXUSBCompletions_Class);
	struct ADXUSBCompletions_IVars *ring = self ? calloc(1, sizeof *ring) : NULL;

	if (ring) {
		(void)pthread_mutex_init(&ring->lock, NULL);
		ring->free_slot = NO_SLOT;
		self->ivars = ring;
		ring->invoker = adxi_invoker_new(action, run, self);
	}
	if (!ring || !ring->invoker || !ADXUSBCompletions_init(self)) {
		OSRelease((OS_OBJECT *)self);
		return NULL;
	}
	return self;
}

static IOReturn
map_ring(struct ADXUSBCompletions_IVars *ring, IOMemoryDescriptor *descriptor)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)descriptor);

	if (!memory || adxi_memory_capacity(memory) < sizeof(struct usb_ring) ||
	    adxi_memory_map(memory, 0, sizeof(struct usb_ring), 0, 0, &ring->mapping) < 0)
		return kIOReturnVMError;
	ring->shared = adxi_mapping_address(ring->mapping);
	atomic_store(&ring->mapped, ring->shared);
	return kIOReturnSuccess;
}

/* NULL: there is none. *ret_keep: nor will there be. */
static struct IOUSBHostPipe_IVars *
make_ring(IOUSBHostPipe *self, OSAction *action, bool *ret_keep)
{
	struct IOUSBHostPipe_IVars *ivars = calloc(1, sizeof *ivars);
	ADXUSBCompletions *completions = ivars ? completions_new(action) : NULL;
	IOMemoryDescriptor *memory = NULL;
	IOReturn status;

	*ret_keep = completions != NULL;
	if (!completions) { /* another action may have a better queue */
		free(ivars);
		return NULL;
	}
	status = IOUSBHostPipe__CreateRing(self, completions, &memory, &completions->ivars->address);
	if (status == kIOReturnSuccess)
		status = map_ring(completions->ivars, memory);
	OSRelease((OS_OBJECT *)memory);
	if (status == kIOReturnSuccess) {
		ivars->completions = completions;
		if (atomic_load(&completions->ivars->ending))
			post(completions);
		return ivars;
	}
	log_debug("AsyncIO goes by messages: %#x", (unsigned)status);
	OSRelease((OS_OBJECT *)completions);
	free(ivars);
	return NULL;
}

/* Made at the first AsyncIO. NULL: it goes by a message. */
static struct ADXUSBCompletions_IVars *
ring_of(IOUSBHostPipe *self, OSAction *action)
{
	struct IOUSBHostPipe_IVars *ivars = __atomic_load_n(&self->ivars, __ATOMIC_ACQUIRE);
	bool keep;

	if (!ivars && __atomic_compare_exchange_n(&self->ivars, &ivars, &making_ring, false, __ATOMIC_ACQ_REL,
						  __ATOMIC_ACQUIRE)) {
		ivars = make_ring(self, action, &keep);
		if (!ivars && keep)
			ivars = &no_ring;
		__atomic_store_n(&self->ivars, ivars, __ATOMIC_RELEASE);
	}
	if (!ivars || ivars == &no_ring || ivars == &making_ring)
		return NULL;
	return ivars->completions->ivars;
}

/* ---------------------------------------------------------------------------------------------
 * Buffers
 */

/* Whether usbhost would accept it: it says why when it does not. Others' memory is not kept known: who gave it wants it back. */
static bool
may_move(const struct ADXUSBCompletions_IVars *ring, IOMemoryDescriptor *buffer, uint32_t length)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)buffer);

	return memory && adxi_memory_is_own(memory) && adxi_memory_capacity(memory) >= length &&
	       adxi_memory_flags(memory) & (ring->address & 0x80 ? ADXI_MEMORY_IN : ADXI_MEMORY_OUT);
}

static uint32_t
find_buffer_locked(struct ADXUSBCompletions_IVars *ring, const IOMemoryDescriptor *descriptor)
{
	uint8_t *hint = &ring->hints[hash(descriptor) % USB_RING_BUFFERS];

	if (ring->buffers[*hint].descriptor == descriptor)
		return *hint;
	for (uint32_t i = 0; i < USB_RING_BUFFERS; i++)
		if (ring->buffers[i].descriptor == descriptor)
			return *hint = (uint8_t)i;
	return USB_RING_NO_BUFFER;
}

/* Nobody but this table and the channel holds it. */
static bool
is_forgotten(const struct buffer *buffer)
{
	const OS_OBJECT *object = (const OS_OBJECT *)buffer->descriptor;
	uint32_t flags = __atomic_load_n(&object->flags, __ATOMIC_RELAXED);

	return OSGetRetainCount(object) <= 1 + !!(flags & OS_OBJECT_EXPORTED);
}

/* A number for @p descriptor, which gets the reference that the number had before. USB_RING_NO_BUFFER: all are in use. */
static uint32_t
number_buffer(struct ADXUSBCompletions_IVars *ring, IOMemoryDescriptor *descriptor, IOMemoryDescriptor **ret_before)
{
	uint32_t i, found = USB_RING_NO_BUFFER, idle = USB_RING_NO_BUFFER;

	(void)pthread_mutex_lock(&ring->lock);
	if (!ring->dead && find_buffer_locked(ring, descriptor) == USB_RING_NO_BUFFER) {
		for (i = 0; i < USB_RING_BUFFERS && found == USB_RING_NO_BUFFER; i++) {
			const struct buffer *buffer = &ring->buffers[i];

			if (!buffer->descriptor || (buffer->known && !buffer->in_flight && is_forgotten(buffer)))
				found = i;
		}
		for (i = 0; i < USB_RING_BUFFERS && found == USB_RING_NO_BUFFER; i++) {
			idle = ring->next_buffer++ % USB_RING_BUFFERS;
			if (ring->buffers[idle].known && !ring->buffers[idle].in_flight)
				found = idle;
		}
	}
	if (found != USB_RING_NO_BUFFER) {
		*ret_before = ring->buffers[found].descriptor;
		OSRetain((OS_OBJECT *)descriptor);
		ring->buffers[found] = (struct buffer){ .descriptor = descriptor };
		ring->n_known++;
	}
	(void)pthread_mutex_unlock(&ring->lock);
	return found;
}

/* Once for each buffer. False: it goes by a message. */
static bool
make_known(IOUSBHostPipe *self, struct ADXUSBCompletions_IVars *ring, IOMemoryDescriptor *descriptor)
{
	IOMemoryDescriptor *before = NULL;
	uint32_t number;
	bool known;

	number = number_buffer(ring, descriptor, &before);
	if (number == USB_RING_NO_BUFFER)
		return false;
	OSRelease((OS_OBJECT *)before);
	known = IOUSBHostPipe__SetBuffer(self, number, descriptor) == kIOReturnSuccess;
	(void)pthread_mutex_lock(&ring->lock);
	known = known && !ring->dead;
	if (known)
		ring->buffers[number].known = true;
	else
		ring->buffers[number] = (struct buffer){ 0 };
	(void)pthread_mutex_unlock(&ring->lock);
	if (!known)
		OSRelease((OS_OBJECT *)descriptor);
	return known;
}

/* ---------------------------------------------------------------------------------------------
 * Submissions
 */

/* An action has one reference storage, so it belongs to one request at a time. False: it is in another one. */
static bool
mark_pending(OSAction *action)
{
	return !(__atomic_fetch_or(&((OS_OBJECT *)action)->flags, OS_OBJECT_PENDING, __ATOMIC_RELAXED) & OS_OBJECT_PENDING);
}

static uint32_t
slot_new_locked(struct ADXUSBCompletions_IVars *ring)
{
	uint32_t cookie = ring->free_slot;

	if (cookie != NO_SLOT)
		ring->free_slot = ring->slots[cookie].next_free;
	else if (ring->n_slots < USB_RING_COMPLETIONS)
		cookie = ring->n_slots++;
	return cookie;
}

/* Where most buffers are used once only, it would cost more to make one known than to send it. */
static bool
is_for_once_locked(struct ADXUSBCompletions_IVars *ring, const IOMemoryDescriptor *buffer)
{
	if (ring->n_known <= FEW_BUFFERS || ring->n_known < ring->submitted / 2 || is_noticed(ring, buffer))
		return false;
	notice(ring, buffer);
	return true;
}

enum put { PUT, NOT_KNOWN, NO_ROOM };

/* A request of @p action, which is marked: *ret_marked false if it was in another one. NO_SLOT: there are too many. */
static uint32_t
begin_locked(struct ADXUSBCompletions_IVars *ring, OSAction *action, uint32_t buffer, uint32_t length, bool *ret_marked)
{
	uint32_t cookie = ring->dead ? NO_SLOT : slot_new_locked(ring);

	if (cookie == NO_SLOT)
		return NO_SLOT;
	OSRetain((OS_OBJECT *)action);
	ring->slots[cookie].action = action;
	ring->slots[cookie].buffer = buffer;
	ring->slots[cookie].length = length;
	ring->slots[cookie].ticket = adxi_ledger_open(ADXI_LEDGER_TRANSFER, cookie);
	if (buffer != USB_RING_NO_BUFFER)
		ring->buffers[buffer].in_flight++;
	*ret_marked = mark_pending(action);
	return cookie;
}

static void
tell_twice(const struct ADXUSBCompletions_IVars *ring)
{
	(void)adxi_tell(ADXI_RULE_T30, "AsyncIO on endpoint 0x%02x: its action is in another request that is pending",
			ring->address);
}

static enum put
put(struct ADXUSBCompletions_IVars *ring, IOMemoryDescriptor *buffer, uint32_t length, OSAction *action,
    uint32_t timeout_ms)
{
	struct usb_ring *shared = ring->shared;
	uint32_t number = USB_RING_NO_BUFFER, cookie = NO_SLOT;
	enum put result = NO_ROOM;
	bool marked = true;

	(void)pthread_mutex_lock(&ring->lock);
	if (length > 0)
		number = find_buffer_locked(ring, buffer);
	if (length > 0 && (number == USB_RING_NO_BUFFER || !ring->buffers[number].known))
		result = is_for_once_locked(ring, buffer) ? NO_ROOM : NOT_KNOWN;
	else if (ring->submitted - atomic_load_explicit(&shared->taken, memory_order_acquire) < USB_RING_SUBMISSIONS)
		cookie = begin_locked(ring, action, number, length, &marked);
	if (cookie != NO_SLOT) {
		shared->submissions[ring->submitted % USB_RING_SUBMISSIONS] =
			(struct usb_ring_submission){ cookie, number, length, timeout_ms };
		ring->submitted++;
		atomic_store_explicit(&shared->driver_cpu, (uint32_t)sched_getcpu(), memory_order_relaxed);
		if (atomic_load_explicit(&shared->host_looks, memory_order_relaxed))
			atomic_store_explicit(&shared->driver_knows, 1, memory_order_relaxed);
		atomic_store_explicit(&shared->submitted, ring->submitted, memory_order_release);
		result = PUT;
	}
	(void)pthread_mutex_unlock(&ring->lock);
	if (!marked)
		tell_twice(ring);
	return result;
}

/* By a message, whose completion comes through the ring in its turn. False: not even that. */
static bool
send(IOUSBHostPipe *self, struct ADXUSBCompletions_IVars *ring, IOMemoryDescriptor *buffer, uint32_t length, OSAction *action,
     uint32_t timeout_ms, IOReturn *ret_status)
{
	bool marked = true;
	uint32_t cookie;

	(void)pthread_mutex_lock(&ring->lock);
	cookie = begin_locked(ring, action, USB_RING_NO_BUFFER, length, &marked);
	(void)pthread_mutex_unlock(&ring->lock);
	if (cookie == NO_SLOT)
		return false;
	if (!marked)
		tell_twice(ring);
	*ret_status = IOUSBHostPipe__Submit(self, cookie, buffer, length, timeout_ms);
	if (*ret_status != kIOReturnSuccess) {
		OSAction *refused = take_slot(ring, cookie, marked, ADXI_LEDGER_REFUSED, &length);

		/* Usbhost's end was faster, and has called the completion: it is not refused, too. */
		if (!refused)
			*ret_status = kIOReturnSuccess;
		OSRelease((OS_OBJECT *)refused);
	}
	return true;
}

static bool
submit(IOUSBHostPipe *self, IOMemoryDescriptor *buffer, uint32_t length, OSAction *action, uint32_t timeout_ms,
       IOReturn *ret_status)
{
	struct ADXUSBCompletions_IVars *ring = ring_of(self, action);
	enum put result = NO_ROOM;

	if (!ring)
		return false;
	if (!is_noticed(ring, action)) {
		if (!adxi_invoker_takes(ring->invoker, action))
			return false;
		notice(ring, action);
	}
	if (atomic_load_explicit(&ring->shared->refuse, memory_order_acquire) == kIOReturnSuccess &&
	    (length == 0 || may_move(ring, buffer, length))) {
		result = put(ring, buffer, length, action, timeout_ms);
		if (result == NOT_KNOWN && make_known(self, ring, buffer))
			result = put(ring, buffer, length, action, timeout_ms);
	}
	if (result != PUT)
		return send(self, ring, buffer, length, action, timeout_ms, ret_status);
	if (usb_ring_wants_bell(&ring->shared->submission_bell))
		IOUSBHostPipe__Submitted(self);
	*ret_status = kIOReturnSuccess;
	return true;
}

kern_return_t
IOUSBHostPipe_AsyncIO(IOUSBHostPipe *self, IOMemoryDescriptor *dataBuffer, uint32_t dataBufferLength, OSAction *completion,
		      uint32_t completionTimeoutMs)
{
	IOReturn status;

	if (completion && OSIsRemote((OS_OBJECT *)self) &&
	    submit(self, dataBuffer, dataBufferLength, completion, completionTimeoutMs, &status))
		return status;
	return IOUSBHostPipe__AsyncIO(self, dataBuffer, dataBufferLength, completion, completionTimeoutMs);
}
