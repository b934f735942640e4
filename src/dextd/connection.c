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

/* Messages that may wait for a peer; beyond it the peer is cut off, since sending would block some
 * time. */
#define QUEUED_MAX 512u

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
	free(connection);
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
	while ((client = ADXI_LIST_FIRST(&connection->clients, struct service, opener_link))) {
		adxi_list_remove(&client->opener_link);
		client->opener = NULL;
		service_terminate(client);
	}
	if (connection->server) {
		connection->server->connection = NULL;
		server_gone(connection->server);
	}
	/* The channel may be calling us. */
	if (adxi_loop_post(connection->realm->loop, connection_free, connection) < 0)
		log_error("connection of pid %d is not freed: no memory", connection->pid);
}

static void
channel_closed(struct adxi_channel *channel, void *userdata, int reason)
{
	struct connection *connection = userdata;

	if (reason && !connection->dead)
		log_warning("connection of pid %d ends: %s", connection->pid, strerror(-reason));
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
	char name[64];
	int r = connection ? read_groups(connection, socket) : -ENOMEM;

	if (connection)
		connection->pidfd = -1;
	if (r < 0)
		(void)close(socket);
	else
		r = adxi_endpoint_serve(socket, &endpoint);
	if (r < 0) {
		connection_free(connection);
		return r;
	}
	connection->realm = realm;
	connection->server = server;
	connection->id = realm->next_peer++;
	adxi_list_init(&connection->notifications);
	adxi_list_init(&connection->clients);
	(void)snprintf(name, sizeof name, "%s %llu", server ? server->name : "client",
		       (unsigned long long)connection->id);
	r = adxi_channel_open(&endpoint, name, &channel_ops, connection, &connection->channel);
	if (r < 0) {
		connection_free(connection);
		return r;
	}
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
	if (stats.queued < QUEUED_MAX)
		return true;
	adxi_tell(ADXI_RULE_SRV006, "pid %d has left %llu messages unread", connection->pid,
		  (unsigned long long)stats.queued);
	/* Callers walk lists that closing would change. */
	connection->cut_off = true;
	if (adxi_loop_post(connection->realm->loop, close_later, connection) < 0)
		connection->cut_off = false;
	return false;
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
