/* SPDX-License-Identifier: MIT */
/* Delivering what was received, in its order, and dispatching. */
#include "channel/internal.h"

#include <errno.h>
#include <poll.h>

static _Thread_local struct delivery *deliveries; /* of this thread, innermost first */

bool
channel_delivers_here(const struct adxi_channel *ch)
{
	return ch->delivery && ch->deliverer == (const void *)&deliveries;
}

bool
channel_in_delivery(const struct adxi_channel *ch)
{
	for (const struct delivery *delivery = deliveries; delivery; delivery = delivery->outer) {
		if (delivery->channel == ch && !delivery->handed_over)
			return true;
	}
	return false;
}

unsigned
channel_depth(void)
{
	return deliveries ? deliveries->depth : 0;
}

struct adxi_channel *
adxi_channel_current(void)
{
	return deliveries ? deliveries->channel : NULL;
}

static void
put_locked(struct adxi_channel *ch, struct item *item)
{
	adxi_list_append(&ch->inbox, &item->link);
	COUNT(ch->n_inbox, 1u, memory_order_release);
	if (ch->delivery && ch->delivery->waiter)
		(void)pthread_cond_signal(&ch->delivery->waiter->wake);
}

void
channel_put(struct adxi_channel *ch, struct item *item)
{
	(void)pthread_mutex_lock(&ch->lock);
	put_locked(ch, item);
	(void)pthread_mutex_unlock(&ch->lock);
}

bool
channel_is_delivered(struct adxi_channel *ch)
{
	/* Whoever takes the last item says that it delivers before it says that none is left. */
	return atomic_load_explicit(&ch->n_inbox, memory_order_acquire) == 0 &&
	       !atomic_load_explicit(&ch->delivers, memory_order_acquire);
}

static void
set_delivery_locked(struct adxi_channel *ch, struct delivery *delivery)
{
	ch->delivery = delivery;
	atomic_store_explicit(&ch->delivers, delivery != NULL, memory_order_release);
}

static void
deliver_locked(struct adxi_channel *ch)
{
	struct delivery delivery = { .channel = ch, .outer = deliveries };
	struct item *item;

	delivery.depth = channel_depth() + 1;
	while (inbox_is_ready_locked(ch)) {
		item = ADXI_LIST_FIRST(&ch->inbox, struct item, link);
		adxi_list_remove(&item->link);
		delivery.below = ch->delivery;
		delivery.handed_over = false;
		set_delivery_locked(ch, &delivery);
		COUNT(ch->n_inbox, -1u, memory_order_release);
		ch->deliverer = &deliveries;
		deliveries = &delivery;
		(void)pthread_mutex_unlock(&ch->lock);
		item->run(ch, item);
		(void)pthread_mutex_lock(&ch->lock);
		deliveries = delivery.outer;
		if (!delivery.handed_over)
			set_delivery_locked(ch, delivery.below);
	}
}

void
channel_deliver(struct adxi_channel *ch)
{
	(void)adxi_channel_ref(ch);
	(void)pthread_mutex_lock(&ch->lock);
	deliver_locked(ch);
	(void)pthread_mutex_unlock(&ch->lock);
	(void)adxi_channel_unref(ch);
}

int
channel_deliver_between(struct adxi_channel *ch)
{
	struct item *arrived = ch->arrived;
	int r = 0;

	if (!arrived && atomic_load(&ch->n_inbox) == 0)
		return 0;
	ch->arrived = NULL;
	(void)pthread_mutex_lock(&ch->lock);
	if (arrived)
		put_locked(ch, arrived);
	if (inbox_is_ready_locked(ch)) {
		ch->leading = NULL;
		ch->receiving = false;
		(void)role_pass_locked(ch);
		deliver_locked(ch);
		r = role_take_locked(ch) ? 1 : -EBUSY;
	}
	(void)pthread_mutex_unlock(&ch->lock);
	if (r == 1)
		role_awake(ch);
	return r;
}

void
adxi_channel_hand_over(void)
{
	struct delivery *delivery;
	struct adxi_channel *ch;
	bool free_role, more;
	uint32_t head = 0;

	if (!deliveries || deliveries->handed_over)
		return;
	ch = deliveries->channel;
	(void)pthread_mutex_lock(&ch->lock);
	for (delivery = deliveries; delivery; delivery = delivery->outer) {
		if (delivery->channel == ch)
			delivery->handed_over = true;
	}
	set_delivery_locked(ch, NULL);
	free_role = !ch->receiving;
	if (free_role) {
		head = ch->rx.head;
		if (role_pass_locked(ch))
			free_role = false;
	}
	more = !adxi_list_is_empty(&ch->inbox);
	(void)pthread_mutex_unlock(&ch->lock);
	if (free_role && !role_asleep(ch, head, WIRE_BELLS))
		more = true;
	if (more)
		channel_kick(ch);
}

/* Who polls edge-triggered hears of the peer's end once. If another thread receives at that time and does not look at the
 * socket, it must at least pass the news on. */
static bool
socket_is_hung_up(struct adxi_channel *ch)
{
	struct pollfd fd = { .fd = ch->socket, .events = 0 };

	if (poll(&fd, 1, 0) <= 0 || !(fd.revents & (POLLHUP | POLLERR | POLLNVAL)))
		return false;
	atomic_store(&ch->hung_up, true);
	return true;
}

/* [role] It is given up. */
static int
dispatch(struct adxi_channel *ch, unsigned budget, uint64_t linger_ns)
{
	bool hung_up, left;
	int handled = 0;
	int r = 0;

again:
	for (;;) {
		if (atomic_load(&ch->queued_bytes) > 0 && (r = send_flush(ch)) < 0)
			break;
		hung_up = atomic_load(&ch->hung_up);
		r = receive_one(ch);
		if (r < 0)
			break;
		if (r == RECEIVED_NONE && handled == 0 && !hung_up && !atomic_load(&ch->takes_edges)) {
			role_look(ch);
			hung_up = atomic_load(&ch->hung_up);
			r = receive_one(ch);
			if (r < 0)
				break;
		}
		if (r != RECEIVED_NONE)
			handled++;
		if (channel_deliver_between(ch) == -EBUSY)
			return handled;
		if (adxi_channel_is_dead(ch))
			break;
		if (r == RECEIVED_NONE) {
			if (hung_up)
				r = -EPIPE;
			else if (handled == 0 && linger_ns > 0 && role_linger(ch, linger_ns))
				continue;
			break;
		}
		if ((unsigned)handled >= budget)
			break;
	}
	left = role_leave(ch);
	/* What came since is taken without a system call. */
	if (left && r >= 0 && (unsigned)handled < budget && !adxi_channel_is_dead(ch) && channel_try_role(ch))
		goto again;
	if (left)
		channel_kick(ch);
	if (r < 0) {
		channel_die(ch, r == -EPIPE ? 0 : r);
		if (handled == 0)
			handled = -EPIPE;
	}
	return handled;
}

int
adxi_channel_dispatch(struct adxi_channel *ch, unsigned budget)
{
	int handled = 0;

	if (!channel_usable(ch))
		return -ECHILD;
	if (adxi_channel_is_dead(ch))
		return -EPIPE;
	(void)adxi_channel_ref(ch);
	if (channel_try_role(ch) || (socket_is_hung_up(ch) && channel_try_role(ch)))
		handled = dispatch(ch, budget, 0);
	else
		channel_deliver(ch); /* the one who receives leaves what this thread may have to run */
	if (handled == 0 && adxi_channel_is_dead(ch))
		handled = -EPIPE;
	(void)adxi_channel_unref(ch);
	return handled;
}

/* ---------------------------------------------------------------------------------------------
 * Staying: from the reply to one request until the next is looked for
 */

static _Thread_local struct {
	const struct OSReply *expected; /* borrowed; compared only */
	struct adxi_channel *channel;   /* owned reference; its role is this thread's */
} stay;

void
adxi_channel_stay(const struct OSReply *reply)
{
	stay.expected = reply;
}

void
channel_stay_on_reply(struct adxi_channel *ch, const struct OSReply *reply)
{
	if (!stay.expected || stay.expected != reply)
		return;
	stay.expected = NULL;
	if (!reply->deferred && !stay.channel && channel_try_role(ch))
		stay.channel = adxi_channel_ref(ch);
}

struct adxi_channel *
adxi_channel_stayed(void)
{
	return stay.channel;
}

void
adxi_channel_leave(void)
{
	struct adxi_channel *ch = stay.channel;

	if (!ch)
		return;
	stay.channel = NULL;
	channel_drop_role(ch);
	(void)adxi_channel_unref(ch);
}

int
adxi_channel_resume(unsigned budget, uint64_t linger_ns)
{
	struct adxi_channel *ch = stay.channel;
	int handled;

	stay.channel = NULL;
	handled = dispatch(ch, budget, linger_ns);
	if (handled == 0 && adxi_channel_is_dead(ch))
		handled = -EPIPE;
	(void)adxi_channel_unref(ch);
	return handled;
}
