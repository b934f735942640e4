/* SPDX-License-Identifier: MIT */
#include "channel/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mach/mig_errors.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "channel/region.h"

#define RUNG_MAX 512u            /* bytes that may lie unread in a bell: fewer than it holds */

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
	for (unsigned i = 0; i < ch->n_bells; i++)
		(void)close(ch->bells[i]);
	for (unsigned i = 0; i < ch->n_peer_bells; i++)
		(void)close(ch->peer_bells[i]);
	(void)pthread_mutex_destroy(&ch->lock);
	(void)pthread_mutex_destroy(&ch->tx_lock);
	free(ch->calls);
	free(ch->name);
	free(ch);
}

static int
channel_watch(const struct adxi_channel *ch)
{
	adxi_cleanup(adxi_closep) int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	if (epoll < 0)
		return -errno;
	for (unsigned i = 0; i < ch->n_bells; i++)
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, ch->bells[i], &event) < 0)
			return -errno;
	/* Not EPOLLIN: packets wait there for their messages. The end of the peer is told unasked. */
	event.events = 0;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, ch->socket, &event) < 0)
		return -errno;
	return TAKE_FD(epoll);
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
	while (ch->n_bells < endpoint->n_receive) {
		ch->bells[ch->n_bells] = TAKE_FD(endpoint->wake_receive[ch->n_bells]);
		ch->n_bells++;
	}
	while (ch->n_peer_bells < endpoint->n_send) {
		ch->peer_bells[ch->n_peer_bells] = TAKE_FD(endpoint->wake_send[ch->n_peer_bells]);
		ch->n_peer_bells++;
	}
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
		r = ch->n_bells && ch->n_peer_bells ? 0 : -EPROTO;
	for (unsigned i = 0; r == 0 && i < ch->n_bells; i++)
		r = wake_check(ch->bells[i]);
	for (unsigned i = 0; r == 0 && i < ch->n_peer_bells; i++)
		r = wake_check(ch->peer_bells[i]);
	if (r == 0)
		r = region_map(endpoint->memory, &ch->region, &why);
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
 * Plain questions
 */

int
adxi_channel_fd(struct adxi_channel *ch)
{
	(void)pthread_mutex_lock(&ch->lock);
	if (ch->epoll < 0)
		ch->epoll = channel_watch(ch);
	int fd = ch->epoll;
	(void)pthread_mutex_unlock(&ch->lock);
	return fd;
}

unsigned
adxi_channel_take_edges(struct adxi_channel *ch, int ret_bells[ADXI_MAX_BELLS], int *ret_socket)
{
	atomic_store(&ch->takes_edges, true);
	for (unsigned i = 0; i < ch->n_bells; i++)
		ret_bells[i] = ch->bells[i];
	*ret_socket = ch->socket;
	return ch->n_bells;
}

void
adxi_channel_rung(struct adxi_channel *ch, unsigned bell)
{
	const uint32_t n = atomic_fetch_add_explicit(&ch->n_rung[bell], 1, memory_order_relaxed);

	if (n % RUNG_MAX == RUNG_MAX - 1 || !wake_tells_each())
		(void)wake_read(ch->bells[bell]);
}

void
adxi_channel_hung_up(struct adxi_channel *ch)
{
	atomic_store(&ch->hung_up, true);
	channel_kick(ch); /* a thread that lingers hears of nothing else */
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
		.waiting = atomic_load(&ch->n_waiting),
		.dropped = atomic_load(&ch->dropped),
		.wakes_sent = atomic_load(&ch->wakes_sent),
		.wakes_received = atomic_load(&ch->wakes_received),
	};
	(void)pthread_mutex_lock(&ch->table.lock);
	ret_stats->exported = ch->table.n_exports;
	ret_stats->imported = ch->table.n_imports;
	ret_stats->descriptors = ch->table.n_fds;
	ret_stats->shared_bytes = ch->table.shared_bytes;
	(void)pthread_mutex_unlock(&ch->table.lock);
}
