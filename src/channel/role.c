/* SPDX-License-Identifier: MIT */
/* The role of the receiver: who has it, how it sleeps and is woken, who waits for what (docs/channel.md, "Waking"). */
#include "channel/internal.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rules.h"

#define FUTEX_NS (20u * 1000000u) /* a wait that lasts longer goes on in poll(), which hears of the peer's end at once */

void
channel_kick(struct adxi_channel *ch)
{
	if (ring_wake_consumer(ch->rx.shared) == WIRE_FUTEX)
		wake_word(&ch->rx.shared->consumer_sleeps);
	atomic_fetch_add(&ch->wakes_owed, 1);
	wake_write(ch->bells[adxi_bell_here(ch->n_bells)]);
}

void
channel_wake_peer(struct adxi_channel *ch)
{
	struct wire_direction *shared = ch->tx.shared;

	switch (ring_wake_consumer(shared)) {
	case WIRE_AWAKE:
		return;
	case WIRE_FUTEX:
		wake_word(&shared->consumer_sleeps);
		break;
	case WIRE_BELLS:
		wake_write(ch->peer_bells[adxi_bell_here(ch->n_peer_bells)]);
		break;
	}
	atomic_fetch_add_explicit(&ch->wakes_sent, 1, memory_order_relaxed);
}

static bool
bells_read(struct adxi_channel *ch)
{
	bool any = false;

	for (unsigned i = 0; i < ch->n_bells; i++)
		any |= wake_read(ch->bells[i]);
	return any;
}

/* Withdraw the wish for a wake; take the byte that the peer wrote if it was granted. [role] */
void
role_awake(struct adxi_channel *ch)
{
	const uint32_t announced = atomic_load_explicit(&ch->announced, memory_order_relaxed);
	_Atomic uint32_t *word = &ch->rx.shared->consumer_sleeps;

	if (announced != WIRE_AWAKE)
		atomic_store_explicit(&ch->announced, WIRE_AWAKE, memory_order_relaxed);
	if (announced != WIRE_AWAKE &&
	    (atomic_load(word) == WIRE_AWAKE || atomic_exchange(word, WIRE_AWAKE) == WIRE_AWAKE)) {
		COUNT(ch->wakes_received, 1, memory_order_relaxed);
		if (announced == WIRE_BELLS)
			atomic_fetch_add(&ch->wakes_owed, 1);
	}
	if (!atomic_load(&ch->takes_edges) && atomic_load(&ch->wakes_owed) > 0 && bells_read(ch))
		atomic_store(&ch->wakes_owed, 0);
}

/* Wish for a wake. False: something is there already, or room. Without the role @p head is what the role had last. */
bool
role_asleep(struct adxi_channel *ch, uint32_t head, enum wire_sleep how)
{
	atomic_store_explicit(&ch->announced, how, memory_order_relaxed);
	atomic_store(&ch->rx.shared->consumer_sleeps, how);
	return !ring_has_more(ch->rx.shared, head) &&
	       (atomic_load(&ch->queued_bytes) == 0 || ring_wishes_room(&ch->tx));
}

bool
role_take_locked(struct adxi_channel *ch)
{
	if (ch->receiving)
		return false;
	ch->receiving = true;
	return true;
}

bool
channel_try_role(struct adxi_channel *ch)
{
	bool taken;

	(void)pthread_mutex_lock(&ch->lock);
	taken = role_take_locked(ch);
	(void)pthread_mutex_unlock(&ch->lock);
	if (taken)
		role_awake(ch);
	return taken;
}

bool
inbox_is_ready_locked(const struct adxi_channel *ch)
{
	return !adxi_list_is_empty(&ch->inbox) && (!ch->delivery || channel_delivers_here(ch));
}

static bool
waiter_is_done(const struct adxi_channel *ch, const struct waiter *waiter)
{
	if (waiter->wants_room)
		return adxi_channel_is_dead(ch) || atomic_load(&ch->queued_bytes) <= CHANNEL_ROOM;
	return atomic_load(&waiter->done);
}

/* Nobody has the role: tell one who waits to take it. */
bool
role_pass_locked(struct adxi_channel *ch)
{
	struct waiter *waiter;

	ADXI_LIST_EACH(waiter, &ch->waiters, link) {
		/* A thread that delivers meanwhile comes for the role by itself. */
		if (!waiter->asleep || waiter_is_done(ch, waiter))
			continue;
		waiter->chosen = true;
		(void)pthread_cond_signal(&waiter->wake);
		return true;
	}
	return false;
}

/* Give the role up. True: something is left that nobody was told of. */
bool
role_leave(struct adxi_channel *ch)
{
	uint32_t head = ch->rx.head;
	bool passed, more;

	/* The byte that was read may have told of room. An error is met again by the next message. */
	if (atomic_load(&ch->queued_bytes) > 0)
		(void)send_flush(ch);
	(void)pthread_mutex_lock(&ch->lock);
	ch->receiving = false;
	passed = role_pass_locked(ch);
	more = inbox_is_ready_locked(ch);
	(void)pthread_mutex_unlock(&ch->lock);
	/* A wake for room that came since the flush may have gone to a thread that found the role taken, and turned back. The wish
	 * is gone then, and nobody else would look. */
	if (atomic_load(&ch->queued_bytes) > 0 && !ring_wishes_room(&ch->tx))
		(void)send_flush(ch);
	return !passed && (!role_asleep(ch, head, WIRE_BELLS) || more || atomic_load(&ch->hung_up));
}

void
channel_drop_role(struct adxi_channel *ch)
{
	if (role_leave(ch))
		channel_kick(ch);
}

/* Poll bells and socket. True: a byte is in some bell. *ret_late: nothing came in time. [role] */
static bool
role_poll(struct adxi_channel *ch, int timeout_ms, bool *ret_late)
{
	struct pollfd fds[1 + ADXI_MAX_BELLS] = { { .fd = ch->socket, .events = 0 } };
	bool rung = false;

	for (unsigned i = 0; i < ch->n_bells; i++)
		fds[1 + i] = (struct pollfd){ .fd = ch->bells[i], .events = POLLIN };
	*ret_late = poll(fds, 1 + ch->n_bells, timeout_ms) == 0;
	for (unsigned i = 0; i < ch->n_bells; i++)
		rung |= fds[1 + i].revents & POLLIN;
	/* What it sent before it died still counts. */
	if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		atomic_store(&ch->hung_up, true);
	return rung;
}

/* Sleep until the peer wrote, made room or died, or another thread kicked. [role] */
static void
role_sleep(struct adxi_channel *ch)
{
	_Atomic uint32_t *word = &ch->rx.shared->consumer_sleeps;
	/* Descriptors that the kernel did not take are tried again: nothing tells when it would. */
	const bool queued = atomic_load(&ch->queued_bytes) > 0, tells = ch->ops && ch->ops->waits_long;
	const int timeout_ms = queued ? 100 : tells ? (int)(adxi_patience_ns() / ADXI_NS_PER_MS) : -1;
	bool late = false;

	if (!role_asleep(ch, ch->rx.head, WIRE_FUTEX) || adxi_channel_is_dead(ch) ||
	    wake_wait(word, WIRE_FUTEX, FUTEX_NS)) {
		role_awake(ch);
		return;
	}
	if (atomic_load(&ch->takes_edges))
		(void)bells_read(ch); /* the role looks at everything that they told of */
	if (role_asleep(ch, ch->rx.head, WIRE_BELLS) && !adxi_channel_is_dead(ch) && role_poll(ch, timeout_ms, &late))
		atomic_fetch_add(&ch->wakes_owed, 1);
	role_awake(ch);
	if (late && tells && !queued)
		ch->ops->waits_long(ch, ch->userdata);
}

bool
role_linger(struct adxi_channel *ch, uint64_t ns)
{
	bool woken = !role_asleep(ch, ch->rx.head, WIRE_FUTEX) || adxi_channel_is_dead(ch) ||
		     wake_wait(&ch->rx.shared->consumer_sleeps, WIRE_FUTEX, ns);

	role_awake(ch);
	return woken;
}

/* Look without sleeping. [role] */
void
role_look(struct adxi_channel *ch)
{
	bool late;

	if (role_poll(ch, 0, &late)) {
		(void)bells_read(ch);
		atomic_store(&ch->wakes_owed, 0);
	}
}

/* The request was published for one who polls, and nobody polls, or this thread does not spin after all. */
static void
waiter_pay(struct adxi_channel *ch, struct waiter *waiter)
{
	if (!waiter->owes_wake)
		return;
	waiter->owes_wake = false;
	channel_distrust_polling(ch);
	channel_wake_peer(ch);
}

/* Receive for everybody until @p waiter is done. Returns without the role. */
static void
channel_lead(struct adxi_channel *ch, struct waiter *waiter)
{
	bool hung_up;
	int r = 0;

	ch->leading = waiter;
	while (!waiter_is_done(ch, waiter) && !adxi_channel_is_dead(ch)) {
		if (atomic_load(&ch->queued_bytes) > 0 && (r = send_flush(ch)) < 0)
			break;
		hung_up = atomic_load(&ch->hung_up); /* before the ring: what the peer said last is in it */
		r = receive_one(ch);
		if (r < 0)
			break;
		switch (channel_deliver_between(ch)) {
		case -EBUSY:
			return;
		case 1:
			ch->leading = waiter; /* others led meanwhile */
			continue;
		default:
			break;
		}
		if (r != RECEIVED_NONE || waiter_is_done(ch, waiter))
			continue;
		if (hung_up) {
			r = -EPIPE;
			break;
		}
		if (waiter->owes_wake && role_spin(ch))
			continue;
		waiter_pay(ch, waiter);
		role_sleep(ch);
	}
	ch->leading = NULL;
	channel_drop_role(ch);
	if (r < 0)
		channel_die(ch, r == -EPIPE ? 0 : r);
}

void
waiter_init(struct waiter *waiter, bool wants_room)
{
	adxi_list_init(&waiter->link);
	(void)pthread_cond_init(&waiter->wake, NULL);
	atomic_init(&waiter->done, false);
	waiter->wants_room = wants_room;
	waiter->asleep = false;
	waiter->chosen = false;
	waiter->owes_wake = false;
	waiter->has_role = false;
	waiter->own = false;
}

void
channel_wait(struct adxi_channel *ch, struct waiter *waiter)
{
	struct delivery *mine;
	bool orphan;

	adxi_channel_leave(); /* what was kept for the next request must not keep this from its answer */
	/* Who has the role from the start and finds its reply needs no list: nobody else could wake it. */
	if (waiter->has_role) {
		waiter->has_role = false;
		channel_lead(ch, waiter);
		if (waiter_is_done(ch, waiter)) {
			/* Another thread that said so may still look at it, with the lock. */
			if (!waiter->own) {
				(void)pthread_mutex_lock(&ch->lock);
				(void)pthread_mutex_unlock(&ch->lock);
			}
			(void)pthread_cond_destroy(&waiter->wake);
			return;
		}
	}
	(void)pthread_mutex_lock(&ch->lock);
	adxi_list_append(&ch->waiters, &waiter->link);
	mine = channel_delivers_here(ch) ? ch->delivery : NULL;
	if (mine)
		mine->waiter = waiter;
	while (!waiter_is_done(ch, waiter)) {
		/* Inside a delivery nobody else delivers, and what this thread waits for may depend on it. */
		if (mine && inbox_is_ready_locked(ch)) {
			orphan = waiter->chosen && role_take_locked(ch);
			waiter->chosen = false;
			(void)pthread_mutex_unlock(&ch->lock);
			if (orphan)
				channel_drop_role(ch);
			channel_deliver(ch);
			(void)pthread_mutex_lock(&ch->lock);
			continue;
		}
		if (!role_take_locked(ch)) {
			waiter_pay(ch, waiter);
			waiter->asleep = true;
			(void)pthread_cond_wait(&waiter->wake, &ch->lock);
			waiter->asleep = false;
			continue;
		}
		waiter->chosen = false;
		(void)pthread_mutex_unlock(&ch->lock);
		role_awake(ch);
		channel_lead(ch, waiter);
		(void)pthread_mutex_lock(&ch->lock);
	}
	adxi_list_remove(&waiter->link);
	if (mine)
		mine->waiter = NULL;
	/* Told to take the role, but done before: somebody else has to. */
	orphan = waiter->chosen && role_take_locked(ch);
	(void)pthread_mutex_unlock(&ch->lock);
	(void)pthread_cond_destroy(&waiter->wake);
	if (orphan)
		channel_drop_role(ch);
}

void
channel_room(struct adxi_channel *ch)
{
	struct waiter *waiter;
	bool kick = false;

	(void)pthread_mutex_lock(&ch->lock);
	ADXI_LIST_EACH(waiter, &ch->waiters, link) {
		if (!waiter->wants_room)
			continue;
		(void)pthread_cond_signal(&waiter->wake);
		kick = true; /* it may be the one that sleeps for all */
	}
	(void)pthread_mutex_unlock(&ch->lock);
	if (kick)
		channel_kick(ch);
}
