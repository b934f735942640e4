/* SPDX-License-Identifier: MIT */
#ifndef USBDRIVERKIT_RING_H
#define USBDRIVERKIT_RING_H

/**
 * @file usbdriverkit/ring.h
 * @brief The memory that a driver and usbhost share for one pipe: submissions one way, completions the other.
 *
 *   driver (pipe.c)                                       usbhost (src/usbhost/ring.c)
 *   AsyncIO ── submissions[tail++] ── _Submitted ───────► takes them, submits to the back end
 *           └─ _Submit, a message, for what does not fit ► likewise, and answers
 *   callback ◄─ Completed ───────── completions[tail++] ◄─ the back end's end
 *
 * A bell is a one-way message on the channel, so that whoever waits sleeps where it always sleeps. It is rung only when its
 * word is 1, by who sets it to 0; who is rung looks until there is nothing, sets it to 1 and looks once more. Both are "store
 * mine, then load theirs", sequentially consistent, so nothing lies there unseen.
 *
 * Nothing here is trusted. An entry is copied before it is looked at; a side's own place comes from its own memory, the other
 * side's is only compared with it. The cookie is the driver's own word for the request, which usbhost gives back without a
 * look. Completions cannot overflow, because the driver has at most so many requests in the ring; one that has more
 * loses its own. Buffers are numbers that _SetBuffer gave a meaning.
 *
 * When bells follow each other so fast that sleeping costs more than the transfers, a thread of usbhost on another processor looks at
 * the submissions for a while (host_looks), and so does the driver at the completions while it does. It
 * begins to take when the driver knows (driver_knows): who sleeps is best woken from his own processor, where the thread is that he rang for.
 *
 * refuse is what submit would answer now (0: open), so that AsyncIO knows at once what a message would be told: see
 * docs/decisions/0006. Completions come through the ring whichever way the submission went, so they keep their order.
 */

#include <stdatomic.h>
#include <stdint.h>

#define USB_RING_SUBMISSIONS 256u  /* a power of two, as the next */
#define USB_RING_COMPLETIONS 4096u /* as many as a pipe takes: HOST_QUEUE_MAX */
#define USB_RING_BUFFERS     256u
#define USB_RING_NO_BUFFER   UINT32_MAX

struct usb_ring_submission {
	uint32_t cookie, buffer, length, timeout_ms;
};

struct usb_ring_completion {
	uint32_t cookie;
	int32_t status; /* IOReturn */
	uint32_t actual;
	uint32_t reserved;
	uint64_t time_ns;
	uint64_t reserved2;
};

/* Each word has a cache line: its writers are on one side, except a bell's. */
struct usb_ring {
	_Alignas(64) _Atomic uint32_t submitted;       /* the driver's: entries ever put in */
	_Atomic uint32_t driver_cpu;                   /* the driver's: where it put the last one */
	_Alignas(64) _Atomic uint32_t taken;           /* usbhost's: entries ever taken out */
	_Alignas(64) _Atomic uint32_t submission_bell; /* 1: ring */
	_Alignas(64) _Atomic uint32_t completed;       /* usbhost's */
	_Alignas(64) _Atomic uint32_t completion_bell;
	_Atomic uint32_t driver_knows;                 /* 1: the driver has seen host_looks, and will look before it sleeps */
	_Alignas(64) _Atomic uint32_t refuse;          /* usbhost's */
	_Atomic uint32_t host_looks;                   /* usbhost's: 1 + the processor of a thread that looks; 0: none */
	_Alignas(64) struct usb_ring_submission submissions[USB_RING_SUBMISSIONS];
	struct usb_ring_completion completions[USB_RING_COMPLETIONS];
};

/** Between two looks. */
static inline void
usb_ring_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/** Whoever put something in: does the other side want its bell? Then it is the caller's to ring, now. */
static inline int
usb_ring_wants_bell(_Atomic uint32_t *bell)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(bell, memory_order_relaxed) && atomic_exchange(bell, 0);
}

/** Whoever found nothing: ring me. The caller looks once more. */
static inline void
usb_ring_want_bell(_Atomic uint32_t *bell)
{
	atomic_store_explicit(bell, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

#endif /* USBDRIVERKIT_RING_H */
