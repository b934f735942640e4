/* SPDX-License-Identifier: MIT */
/* Calls in a loop: the caller spins for its reply, and a thread of the peer on another processor for the next call. */
#include "channel/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define SPIN_NS  20000u /* longer than a wake takes, or spinning never pays */
#define MISTRUST 64u    /* calls without spinning after one whose reply did not come while it spun */

static bool
spinning_is_off(void)
{
	static _Atomic int off = -1;
	int known = atomic_load_explicit(&off, memory_order_relaxed);

	if (known < 0) {
		const char *value = getenv("AMBIDEXT_SPIN");

		known = adxi_bells() < 2 || (value && !strcmp(value, "off"));
		atomic_store_explicit(&off, known, memory_order_relaxed);
	}
	return known;
}

static inline void
cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Whether something lies beyond *head, before SPIN_NS or @p until_ns. */
static bool
spin(struct adxi_channel *ch, const _Atomic uint32_t *head, uint64_t until_ns)
{
	do {
		for (unsigned i = 0; i < 32; i++) {
			if (ring_has_more(ch->rx.shared, atomic_load(head)))
				return true;
			cpu_relax();
		}
	} while (adxi_now_ns() < until_ns);
	return false;
}

bool
channel_is_polled(struct adxi_channel *ch)
{
	const uint32_t polls = atomic_load_explicit(&ch->tx.shared->consumer_polls, memory_order_relaxed);
	uint32_t missed;

	if (polls == 0 || spinning_is_off() || polls - 1 == adxi_bell_here(ch->n_peer_bells))
		return false;
	missed = atomic_load_explicit(&ch->polls_missed, memory_order_relaxed);
	if (missed > 0)
		atomic_store_explicit(&ch->polls_missed, missed - 1, memory_order_relaxed);
	return missed == 0;
}

void
channel_say_where(struct adxi_channel *ch)
{
	_Atomic uint32_t *word = &ch->tx.shared->producer_bell;
	const uint32_t here = 1 + adxi_bell_here(ch->n_peer_bells);

	if (atomic_load_explicit(word, memory_order_relaxed) != here)
		atomic_store_explicit(word, here, memory_order_relaxed);
}

bool
adxi_channel_is_called_from(const struct adxi_channel *ch, unsigned bell)
{
	return atomic_load_explicit(&ch->rx.shared->producer_bell, memory_order_relaxed) == 1 + bell;
}

void
channel_distrust_polling(struct adxi_channel *ch)
{
	atomic_store_explicit(&ch->polls_missed, MISTRUST, memory_order_relaxed);
}

bool
role_spin(struct adxi_channel *ch)
{
	_Atomic uint32_t head = ch->rx.head;

	return spin(ch, &head, adxi_now_ns() + SPIN_NS);
}

/* The shared head may be anything: it costs this thread a look. */
bool
adxi_channel_spin(struct adxi_channel *ch, uint64_t until_ns)
{
	return spin(ch, &ch->rx.shared->head, until_ns);
}

uint64_t
adxi_channel_requests(const struct adxi_channel *ch)
{
	return atomic_load_explicit(&ch->requests, memory_order_relaxed);
}

bool
adxi_channel_set_polled(struct adxi_channel *ch, unsigned bell)
{
	uint32_t none = 0;

	return !spinning_is_off() && atomic_compare_exchange_strong(&ch->rx.shared->consumer_polls, &none, bell + 1);
}

void
adxi_channel_end_polled(struct adxi_channel *ch)
{
	atomic_store(&ch->rx.shared->consumer_polls, 0);
}
