/* SPDX-License-Identifier: MIT */
/* Control channels: one for each client, tool and hosted process. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rules.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.connection"
#include "base/log.h"

/* ---------------------------------------------------------------------------------------------
 * Quotas
 */

/* A hosted process has one connection, which dextd made. */
static int
connection_charge(struct connection *connection, const struct ucred *peer)
{
	struct quotas *quotas = connection->realm->quotas;
	char who[32];
	int r;

	if (connection->server) {
		connection->account = quota_account(quotas, QUOTA_OF_SERVER, connection->server->id);
		return connection->account ? 0 : -ENOMEM;
	}
	/* A process of a pid namespace that is not ours has no number here: it is its user's alone. */
	connection->account = quota_account(quotas, QUOTA_OF_CLIENT,
					    peer->pid > 0 ? (uint64_t)peer->pid : connection->id << 32);
	connection->user = quota_account(quotas, QUOTA_OF_USER, peer->uid);
	if (!connection->account || !connection->user)
		return -ENOMEM;
	(void)snprintf(who, sizeof who, "pid %d", (int)peer->pid);
	r = quota_take(connection->account, QUOTA_CONNECTIONS, 1, who);
	if (r == 0) {
		r = quota_take(connection->user, QUOTA_USER_CONNECTIONS, 1, who);
		if (r < 0)
			quota_give(connection->account, QUOTA_CONNECTIONS, 1);
	}
	return r;
}

/* The accounts alone: what was taken is given back by connection_discharge(). */
static void
connection_end_accounts(struct connection *connection)
{
	connection->account = quota_account_unref(connection->account);
	connection->user = quota_account_unref(connection->user);
}

static void
connection_discharge(struct connection *connection)
{
	if (connection->user) {
		quota_give(connection->account, QUOTA_CONNECTIONS, 1);
		quota_give(connection->user, QUOTA_USER_CONNECTIONS, 1);
	}
	connection_end_accounts(connection);
}

/* ---------------------------------------------------------------------------------------------
 * Life
 */

static void
connection_free(void *userdata)
{
	struct connection *connection = userdata;

	if (!connection)
		return;
	adxi_source_remove(connection->source);
	adxi_channel_unref(connection->channel);
	value_unref(connection->door);
	if (connection->pidfd >= 0)
		(void)close(connection->pidfd);
	free(connection->groups);
	connection_discharge(connection);
	free(connection);
}

static void
free_later(struct adxi_post *post)
{
	connection_free(adxi_container_of(post, struct connection, freeing));
}

/* What hangs on it ends with it. */
static void
connection_gone(struct connection *connection)
{
	struct service *client;

	if (connection->dead)
		return;
	connection->dead = true;
	protocol_registry_end(connection->door);
	adxi_list_remove(&connection->link);
	notify_remove_all(connection);
	open_forget(connection);
	wait_forget(connection);
	while ((client = ADXI_LIST_FIRST(&connection->clients, struct service, opener_link))) {
		open_left(client);
		service_terminate(client);
	}
	if (connection->server) {
		connection->server->connection = NULL;
		server_gone(connection->server);
	}
	/* The channel may be calling us. */
	adxi_loop_post_own(connection->realm->loop, &connection->freeing, free_later);
}

static void
channel_closed(struct adxi_channel *channel, void *userdata, int reason)
{
	struct connection *connection = userdata;

	/* The rule was told, and is paced; this is not, and any client can have it said for ever. */
	if (reason && !connection->dead)
		log_info("connection of pid %d ends: %s", connection->pid, strerror(-reason));
	connection_gone(connection);
}

/* The groups of whoever connected, as they were then. */
static int
read_groups(struct connection *connection, int socket)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	unsigned *groups = NULL;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	/* Without room it says how much is wanted. */
	size = 0;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
		return -errno;
	groups = malloc(size + sizeof *groups);
	if (!groups)
		return -ENOMEM;
	if (size && getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &size) < 0) {
		free(groups);
		return -errno;
	}
	groups[0] = peer.gid;
	connection->groups = groups;
	connection->n_groups = 1 + size / sizeof *groups;
	return 0;
}

bool
connection_peer_lives(const struct connection *connection)
{
	return connection->pidfd >= 0 && pidfd_send_signal(connection->pidfd, 0, NULL, 0) == 0;
}

static const struct adxi_channel_ops channel_ops = { .closed = channel_closed };

int
connection_new(struct realm *realm, int socket, struct server *server,
	       struct connection **ret_connection)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	struct connection *connection = calloc(1, sizeof *connection);
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;
	char name[64];
	int r = connection ? read_groups(connection, socket) : -ENOMEM;

	if (connection)
		connection->pidfd = -1;
	if (r < 0) {
		(void)close(socket);
		connection_free(connection);
		return r;
	}
	connection->realm = realm;
	connection->server = server;
	connection->id = realm->next_peer++;
	(void)getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	r = connection_charge(connection, &peer);
	if (r < 0) {
		adxi_endpoint_refuse(socket);
		connection_end_accounts(connection);
		connection_free(connection);
		return r;
	}
	r = adxi_endpoint_serve(socket, &endpoint);
	if (r < 0) {
		connection_free(connection);
		return r;
	}
	adxi_list_init(&connection->notifications);
	adxi_list_init(&connection->clients);
	(void)snprintf(name, sizeof name, "%s %llu", server ? server->name : "client",
		       (unsigned long long)connection->id);
	r = adxi_channel_open(&endpoint, name, &channel_ops, connection, &connection->channel);
	if (r < 0) {
		connection_free(connection);
		return r;
	}
	adxi_channel_limit_descriptors(connection->channel, QUOTA_DESCRIPTORS);
	adxi_channel_peer(connection->channel, &connection->pid, &connection->uid);
	if (server) {
		/* The socket pair was made here: its other end is the child's. */
		connection->pid = 0;
		connection->uid = geteuid();
	} else {
		connection->pidfd = pidfd_open(connection->pid, 0);
	}
	adxi_list_append(&realm->connections, &connection->link);
	connection->door = protocol_registry_new(connection);
	if (!connection->door) {
		r = -ENOMEM;
	} else {
		adxi_channel_set_door(connection->channel, connection->door);
		r = adxi_loop_add_channel(realm->loop, connection->channel, &connection->source);
	}
	if (r < 0) {
		connection->server = NULL;
		connection_close(connection);
		return r;
	}
	*ret_connection = connection;
	return 0;
}

void
connection_close(struct connection *connection)
{
	struct adxi_channel *channel = adxi_channel_ref(connection->channel);

	connection_gone(connection);
	adxi_channel_close(channel);
	adxi_channel_unref(channel);
}

static void
close_later(void *userdata)
{
	struct connection *connection = userdata;

	if (!connection->dead)
		connection_close(connection);
	/* The reference that kept the channel: connection_free() is posted after this. */
}

bool
connection_may_send(struct connection *connection)
{
	struct adxi_channel_stats stats;

	if (connection->dead || connection->cut_off || adxi_channel_is_dead(connection->channel))
		return false;
	adxi_channel_get_stats(connection->channel, &stats);
	if (stats.waiting < (connection->server ? QUOTA_QUEUED_SERVER : QUOTA_QUEUED))
		return true;
	adxi_tell(ADXI_RULE_SRV006, "pid %d has left %llu messages unread", connection->pid,
		  (unsigned long long)stats.waiting);
	/* Callers walk lists that closing would change. */
	connection->cut_off = true;
	if (adxi_loop_post(connection->realm->loop, close_later, connection) < 0)
		connection->cut_off = false;
	return false;
}

const char *
connection_who(const struct connection *connection)
{
	static char text[96];

	if (connection->server)
		(void)snprintf(text, sizeof text, "process %d of %.64s", connection->pid,
			       connection->server->name);
	else
		(void)snprintf(text, sizeof text, "pid %d", connection->pid);
	return text;
}

bool
connection_is_owner(const struct connection *connection)
{
	return !connection->server &&
	       (connection->uid == 0 || connection->uid == (unsigned)geteuid());
}

struct connection *
connection_find(struct realm *realm, uint64_t id)
{
	struct connection *connection;

	ADXI_LIST_EACH(connection, &realm->connections, link)
		if (connection->id == id)
			return connection;
	return NULL;
}
