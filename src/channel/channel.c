/* SPDX-License-Identifier: MIT */
#include "channel/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mach/mig_errors.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "channel/region.h"

/* Counts the forks that led here: a child must not touch its parent's channels. */
static unsigned fork_generation;

static void
after_fork(void)
{
	fork_generation++;
}

__attribute__((constructor)) static void
watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, after_fork);
}

bool
channel_usable(const struct adxi_channel *ch)
{
	return ch->fork_generation == fork_generation;
}

/* ---------------------------------------------------------------------------------------------
 * Life
 */

static void
channel_free(struct adxi_channel *ch)
{
	if (!ch)
		return;
	table_done(&ch->table);
	send_discard(ch);
	ch->region = region_unmap(ch->region);
	if (ch->epoll >= 0)
		(void)close(ch->epoll);
	if (ch->socket >= 0)
		(void)close(ch->socket);
	if (ch->wake_receive >= 0)
		(void)close(ch->wake_receive);
	if (ch->wake_send >= 0)
		(void)close(ch->wake_send);
	(void)pthread_mutex_destroy(&ch->lock);
	(void)pthread_mutex_destroy(&ch->tx_lock);
	free(ch->calls);
	free(ch->name);
	free(ch);
}

static int
channel_watch(struct adxi_channel *ch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = ch->wake_receive };

	ch->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ch->epoll < 0 || epoll_ctl(ch->epoll, EPOLL_CTL_ADD, ch->wake_receive, &event) < 0)
		return -errno;
	/* Not EPOLLIN: packets wait there for their messages. The end of the peer is told unasked. */
	event = (struct epoll_event){ .events = 0, .data.fd = ch->socket };
	return epoll_ctl(ch->epoll, EPOLL_CTL_ADD, ch->socket, &event) < 0 ? -errno : 0;
}

static int
channel_check_socket(int socket)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return -EPROTO;
	return 0;
}

int
adxi_channel_open(struct adxi_endpoint *endpoint, const char *name, const struct adxi_channel_ops *ops,
		  void *userdata, struct adxi_channel **ret_channel)
{
	struct adxi_channel *ch = calloc(1, sizeof(*ch));
	const char *why = "its descriptors are not those of a channel";
	struct ucred cred;
	socklen_t cred_len = sizeof(cred);
	int r;

	if (!ch) {
		adxi_endpoint_done(endpoint);
		return -ENOMEM;
	}
	atomic_init(&ch->refs, 1);
	ch->epoll = -1;
	ch->socket = TAKE_FD(endpoint->socket);
	ch->wake_receive = TAKE_FD(endpoint->wake_receive);
	ch->wake_send = TAKE_FD(endpoint->wake_send);
	ch->side = endpoint->side & 1;
	ch->ops = ops;
	ch->userdata = userdata;
	ch->fork_generation = fork_generation;
	ch->calls_free = CHANNEL_NO_SLOT;
	adxi_list_init(&ch->waiters);
	adxi_list_init(&ch->inbox);
	adxi_list_init(&ch->queue);
	(void)pthread_mutex_init(&ch->lock, NULL);
	(void)pthread_mutex_init(&ch->tx_lock, NULL);
	ch->name = strdup(name ? name : "peer");
	r = table_init(&ch->table);
	if (r == 0 && !ch->name)
		r = -ENOMEM;
	if (r == 0)
		r = channel_check_socket(ch->socket);
	if (r == 0)
		r = wake_check(ch->wake_receive);
	if (r == 0)
		r = wake_check(ch->wake_send);
	if (r == 0)
		r = region_map(endpoint->memory, &ch->region, &why);
	if (r == 0)
		r = channel_watch(ch);
	if (r == -EPROTO)
		adxi_tell(ADXI_RULE_CHN002, "the end of a channel to %s is refused: %s", ch->name ? ch->name : "a peer",
			  why);
	adxi_endpoint_done(endpoint);
	if (r < 0) {
		channel_free(ch);
		return r;
	}
	if (getsockopt(ch->socket, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) == 0) {
		ch->pid = cred.pid;
		ch->uid = cred.uid;
	}
	ring_tx_init(&ch->tx, ch->region, ch->side);
	ring_rx_init(&ch->rx, ch->region, !ch->side);
	/* From here on whoever polls the descriptor is woken for messages. */
	channel_drop_role(ch);
	*ret_channel = ch;
	return 0;
}

struct adxi_channel *
adxi_channel_ref(struct adxi_channel *ch)
{
	atomic_fetch_add_explicit(&ch->refs, 1, memory_order_relaxed);
	return ch;
}

struct adxi_channel *
channel_try_ref(struct adxi_channel *ch)
{
	uint32_t refs = atomic_load(&ch->refs);

	while (refs > 0) {
		if (atomic_compare_exchange_weak(&ch->refs, &refs, refs + 1))
			return ch;
	}
	return NULL;
}

struct adxi_channel *
adxi_channel_unref(struct adxi_channel *ch)
{
	if (!ch || atomic_fetch_sub(&ch->refs, 1) != 1)
		return NULL;
	if (atomic_load(&ch->state) == CHANNEL_OPEN && channel_usable(ch)) {
		/* What ending it gives up may name the channel; nobody else can. */
		atomic_store(&ch->refs, 1);
		adxi_channel_close(ch);
		if (atomic_fetch_sub(&ch->refs, 1) != 1)
			return NULL;
	}
	channel_free(ch);
	return NULL;
}

static bool
channel_end(struct adxi_channel *ch)
{
	int open = CHANNEL_OPEN;

	if (!atomic_compare_exchange_strong(&ch->state, &open, CHANNEL_DEAD))
		return false;
	(void)shutdown(ch->socket, SHUT_RDWR);
	call_fail_all(ch, MIG_SERVER_DIED);
	send_discard(ch);
	channel_room(ch);
	channel_kick(ch);
	channel_deliver(ch); /* what a thread that went away left */
	table_close(ch);
	return true;
}

void
channel_die(struct adxi_channel *ch, int reason)
{
	(void)adxi_channel_ref(ch);
	if (channel_end(ch) && ch->ops && ch->ops->closed)
		ch->ops->closed(ch, ch->userdata, reason);
	(void)adxi_channel_unref(ch);
}

void
adxi_channel_close(struct adxi_channel *ch)
{
	if (!channel_usable(ch))
		return;
	(void)adxi_channel_ref(ch);
	atomic_store(&ch->closed, true);
	(void)channel_end(ch);
	(void)adxi_channel_unref(ch);
}

/* ---------------------------------------------------------------------------------------------
 * Waking and the role of the receiver (docs/channel.md, "Waking")
 */

void
channel_kick(struct adxi_channel *ch)
{
	atomic_fetch_add(&ch->wakes_owed, 1);
	wake_write(ch->wake_receive);
}

void
channel_wake_peer(struct adxi_channel *ch, bool wanted)
{
	if (!wanted)
		return;
	atomic_fetch_add_explicit(&ch->wakes_sent, 1, memory_order_relaxed);
	wake_write(ch->wake_send);
}

/* Withdraw the wish for a wake; take the byte that the peer wrote if it was granted. [role] */
static void
role_awake(struct adxi_channel *ch)
{
	if (atomic_exchange(&ch->announced, false) &&
	    atomic_exchange(&ch->rx.shared->consumer_sleeps, 0) == 0)
		atomic_fetch_add(&ch->wakes_owed, 1);
	if (atomic_load(&ch->wakes_owed) > 0 && wake_read(ch->wake_receive)) {
		atomic_store(&ch->wakes_owed, 0);
		atomic_fetch_add_explicit(&ch->wakes_received, 1, memory_order_relaxed);
	}
}

/* Wish for a wake. False: something is there already. Without the role @p head is what the role had last. */
static bool
role_asleep(struct adxi_channel *ch, uint32_t head)
{
	atomic_store(&ch->announced, true);
	atomic_store(&ch->rx.shared->consumer_sleeps, 1);
	return !ring_has_more(ch->rx.shared, head);
}

static bool
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

static bool
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
static bool
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

void
channel_drop_role(struct adxi_channel *ch)
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
	if (!passed && (!role_asleep(ch, head) || more || atomic_load(&ch->hung_up)))
		channel_kick(ch);
}

/* Give it up for the time of a delivery only: those who wait may take it, those who poll are not woken. */
static void
role_pause(struct adxi_channel *ch)
{
	(void)pthread_mutex_lock(&ch->lock);
	ch->receiving = false;
	(void)role_pass_locked(ch);
	(void)pthread_mutex_unlock(&ch->lock);
}

static bool
inbox_is_ready(struct adxi_channel *ch)
{
	bool ready;

	if (atomic_load(&ch->n_inbox) == 0)
		return false;
	(void)pthread_mutex_lock(&ch->lock);
	ready = inbox_is_ready_locked(ch);
	(void)pthread_mutex_unlock(&ch->lock);
	return ready;
}

/* Sleep until the peer wrote, made room or died, or another thread kicked. [role] */
static void
role_sleep(struct adxi_channel *ch)
{
	struct pollfd fds[2] = {
		{ .fd = ch->wake_receive, .events = POLLIN },
		{ .fd = ch->socket, .events = 0 },
	};
	/* Descriptors that the kernel did not take are tried again: nothing tells when it would. */
	int timeout_ms = atomic_load(&ch->queued_bytes) > 0 ? 100 : -1;

	if (!role_asleep(ch, ch->rx.head)) {
		role_awake(ch);
		return;
	}
	(void)poll(fds, 2, timeout_ms);
	atomic_fetch_add(&ch->wakes_owed, (fds[0].revents & POLLIN) ? 1 : 0);
	role_awake(ch);
	/* What it sent before it died still counts. */
	if (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL))
		atomic_store(&ch->hung_up, true);
}

/* Look without sleeping. [role] */
static void
role_look(struct adxi_channel *ch)
{
	struct pollfd fds[2] = {
		{ .fd = ch->wake_receive, .events = POLLIN },
		{ .fd = ch->socket, .events = 0 },
	};

	(void)poll(fds, 2, 0);
	if (fds[0].revents & POLLIN) {
		(void)wake_read(ch->wake_receive);
		atomic_store(&ch->wakes_owed, 0);
	}
	if (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL))
		atomic_store(&ch->hung_up, true);
}

/* Receive for everybody until @p waiter is done. Returns without the role. */
static void
channel_lead(struct adxi_channel *ch, struct waiter *waiter)
{
	bool hung_up;
	int r = 0;

	role_awake(ch);
	while (!waiter_is_done(ch, waiter) && !adxi_channel_is_dead(ch)) {
		if (atomic_load(&ch->queued_bytes) > 0 && (r = send_flush(ch)) < 0)
			break;
		hung_up = atomic_load(&ch->hung_up); /* before the ring: what the peer said last is in it */
		r = receive_one(ch);
		if (r < 0)
			break;
		if (inbox_is_ready(ch)) {
			role_pause(ch);
			channel_deliver(ch);
			if (!channel_try_role(ch))
				return;
			continue;
		}
		if (r != RECEIVED_NONE || waiter_is_done(ch, waiter))
			continue;
		if (hung_up) {
			r = -EPIPE;
			break;
		}
		role_sleep(ch);
	}
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
}

void
channel_wait(struct adxi_channel *ch, struct waiter *waiter)
{
	struct delivery *mine;
	bool orphan;

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
			waiter->asleep = true;
			(void)pthread_cond_wait(&waiter->wake, &ch->lock);
			waiter->asleep = false;
			continue;
		}
		waiter->chosen = false;
		(void)pthread_mutex_unlock(&ch->lock);
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

/* ---------------------------------------------------------------------------------------------
 * Delivering
 */

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

void
channel_put(struct adxi_channel *ch, struct item *item)
{
	(void)pthread_mutex_lock(&ch->lock);
	adxi_list_append(&ch->inbox, &item->link);
	atomic_fetch_add(&ch->n_inbox, 1);
	if (ch->delivery && ch->delivery->waiter)
		(void)pthread_cond_signal(&ch->delivery->waiter->wake);
	(void)pthread_mutex_unlock(&ch->lock);
}

void
channel_deliver(struct adxi_channel *ch)
{
	struct delivery delivery = { .channel = ch, .outer = deliveries };
	struct item *item;

	(void)adxi_channel_ref(ch);
	delivery.depth = channel_depth() + 1;
	(void)pthread_mutex_lock(&ch->lock);
	while (inbox_is_ready_locked(ch)) {
		item = ADXI_LIST_FIRST(&ch->inbox, struct item, link);
		adxi_list_remove(&item->link);
		atomic_fetch_sub(&ch->n_inbox, 1);
		delivery.below = ch->delivery;
		delivery.handed_over = false;
		ch->delivery = &delivery;
		ch->deliverer = &deliveries;
		deliveries = &delivery;
		(void)pthread_mutex_unlock(&ch->lock);
		item->run(ch, item);
		(void)pthread_mutex_lock(&ch->lock);
		deliveries = delivery.outer;
		if (!delivery.handed_over)
			ch->delivery = delivery.below;
	}
	(void)pthread_mutex_unlock(&ch->lock);
	(void)adxi_channel_unref(ch);
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
	ch->delivery = NULL;
	free_role = !ch->receiving;
	if (free_role) {
		head = ch->rx.head;
		if (role_pass_locked(ch))
			free_role = false;
	}
	more = !adxi_list_is_empty(&ch->inbox);
	(void)pthread_mutex_unlock(&ch->lock);
	if (free_role && !role_asleep(ch, head))
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

int
adxi_channel_dispatch(struct adxi_channel *ch, unsigned budget)
{
	bool hung_up;
	int handled = 0;
	int r = 0;

	if (!channel_usable(ch))
		return -ECHILD;
	if (adxi_channel_is_dead(ch))
		return -EPIPE;
	(void)adxi_channel_ref(ch);
	if (!channel_try_role(ch) && (!socket_is_hung_up(ch) || !channel_try_role(ch))) {
		/* The one who receives leaves what this thread may have to run. */
		channel_deliver(ch);
		goto out;
	}
	for (;;) {
		if (atomic_load(&ch->queued_bytes) > 0 && (r = send_flush(ch)) < 0)
			break;
		hung_up = atomic_load(&ch->hung_up);
		r = receive_one(ch);
		if (r < 0)
			break;
		if (r == RECEIVED_NONE && handled == 0 && !hung_up) {
			role_look(ch);
			hung_up = atomic_load(&ch->hung_up);
			r = receive_one(ch);
			if (r < 0)
				break;
		}
		if (r != RECEIVED_NONE)
			handled++;
		if (inbox_is_ready(ch)) {
			role_pause(ch);
			channel_deliver(ch);
			if (!channel_try_role(ch))
				goto out;
		}
		if (adxi_channel_is_dead(ch))
			break;
		if (r == RECEIVED_NONE) {
			if (hung_up)
				r = -EPIPE;
			break;
		}
		if ((unsigned)handled >= budget)
			break;
	}
	channel_drop_role(ch);
	if (r < 0) {
		channel_die(ch, r == -EPIPE ? 0 : r);
		if (handled == 0)
			handled = -EPIPE;
	}
out:
	if (handled == 0 && adxi_channel_is_dead(ch))
		handled = -EPIPE;
	(void)adxi_channel_unref(ch);
	return handled;
}

bool
adxi_channel_prepare_sleep(struct adxi_channel *ch)
{
	bool may = true;

	if (adxi_channel_is_dead(ch))
		return false;
	if (!channel_try_role(ch))
		return true; /* who has it sees to it that this side is woken */
	may = !ring_has_more(ch->rx.shared, ch->rx.head) && !inbox_is_ready(ch);
	channel_drop_role(ch);
	return may;
}

/* ---------------------------------------------------------------------------------------------
 * Plain questions
 */

int
adxi_channel_fd(struct adxi_channel *ch)
{
	return ch->epoll;
}

bool
adxi_channel_is_dead(const struct adxi_channel *ch)
{
	return atomic_load(&ch->state) != CHANNEL_OPEN;
}

const char *
adxi_channel_name(const struct adxi_channel *ch)
{
	return ch->name;
}

void *
adxi_channel_userdata(const struct adxi_channel *ch)
{
	return ch->userdata;
}

void
adxi_channel_peer(const struct adxi_channel *ch, int *ret_pid, unsigned *ret_uid)
{
	*ret_pid = ch->pid;
	*ret_uid = ch->uid;
}

void
adxi_channel_set_door(struct adxi_channel *ch, OS_OBJECT *door)
{
	(void)table_set_door(ch, door);
}

OS_OBJECT *
adxi_channel_copy_door(struct adxi_channel *ch, const struct OSMetaClass *meta)
{
	const struct wire_ref door = { 0, 0 };
	OS_OBJECT *object = table_live_import(ch, door, meta);

	if (object)
		return object;
	return table_import(ch, door, meta, false, &object) == 0 ? object : NULL;
}

void
adxi_channel_get_stats(struct adxi_channel *ch, struct adxi_channel_stats *ret_stats)
{
	*ret_stats = (struct adxi_channel_stats){
		.sent = atomic_load(&ch->sent),
		.received = atomic_load(&ch->received),
		.calls_pending = atomic_load(&ch->calls_pending),
		.queued = atomic_load(&ch->n_queued),
		.dropped = atomic_load(&ch->dropped),
		.wakes_sent = atomic_load(&ch->wakes_sent),
		.wakes_received = atomic_load(&ch->wakes_received),
	};
	(void)pthread_mutex_lock(&ch->table.lock);
	ret_stats->exported = ch->table.n_exports;
	ret_stats->imported = ch->table.n_imports;
	(void)pthread_mutex_unlock(&ch->table.lock);
}
