/* SPDX-License-Identifier: MIT */
/* Hosted processes: which there are, check-in, end. How one is made is in launch.c. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <Ambidext/ADXHost.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/rules.h"
#include "dextd/launch.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.server"
#include "base/log.h"

static const unsigned server_moves[SERVER_STATE_COUNT] = {
	[SERVER_LAUNCHING] = 1u << SERVER_RUNNING | 1u << SERVER_LEAVING | 1u << SERVER_DEAD,
	[SERVER_RUNNING] = 1u << SERVER_LEAVING | 1u << SERVER_DEAD,
	[SERVER_LEAVING] = 1u << SERVER_DEAD,
	[SERVER_DEAD] = 0,
};

static const char *const server_state_names[SERVER_STATE_COUNT] = {
	[SERVER_LAUNCHING] = "launching",
	[SERVER_RUNNING] = "running",
	[SERVER_LEAVING] = "leaving",
	[SERVER_DEAD] = "dead",
};

const char *
server_state_name(enum server_state state)
{
	return server_state_names[state];
}

static void
server_move(struct server *server, enum server_state next)
{
	adxi_assert(server_moves[server->state] & 1u << next);
	log_debug("%s (pid %d): %s -> %s", server->name, (int)server->pid,
		  server_state_names[server->state], server_state_names[next]);
	server->state = next;
}

struct server *
server_ref(struct server *server)
{
	server->n_ref++;
	return server;
}

struct server *
server_unref(struct server *server)
{
	struct pair *pair, *next;

	if (!server || --server->n_ref)
		return NULL;
	ADXI_LIST_EACH_SAFE(pair, next, &server->pairs, link)
		server_pair_drop(pair);
	adxi_source_remove(server->child);
	adxi_source_remove(server->timer);
	adxi_source_remove(server->output);
	if (server->object)
		protocol_server_end(server->object);
	value_unref(server->object);
	value_unref(server->host);
	bundle_unref(server->bundle);
	quota_account_unref(server->account);
	launch_free_strings(server->argv);
	launch_close_passed(server);
	if (server->record_fd >= 0)
		(void)close(server->record_fd);
	sandbox_free(server->sandbox);
	free(server->cutter);
	free(server->name);
	free(server);
	return NULL;
}

ADXI_DEFINE_CLEANUP(struct server, server_unref)

struct server *
server_find(struct realm *realm, uint64_t id)
{
	struct server *server;

	ADXI_LIST_EACH(server, &realm->servers, link)
		if (server->id == id)
			return server;
	return NULL;
}

struct ADXHost *
server_host(struct server *server)
{
	if (server->state != SERVER_RUNNING || !server->host || !server->connection ||
	    !connection_may_send(server->connection))
		return NULL;
	return (struct ADXHost *)server->host;
}

/* ---------------------------------------------------------------------------------------------
 * Direct channels
 */

struct pair *
server_pair(struct server *user, const struct server *host)
{
	struct pair *pair;

	ADXI_LIST_EACH(pair, &user->pairs, link)
		if (pair->host_id == host->id)
			return pair;
	return NULL;
}

int
server_pair_new(struct server *user, const struct server *host, struct adxi_endpoint *ret_host_end,
		struct pair **ret_pair)
{
	struct adxi_endpoint ends[2];
	struct pair *pair = calloc(1, sizeof *pair);
	int r;

	if (!pair)
		return -ENOMEM;
	/* A driver and a host: both have workers. */
	r = adxi_endpoint_pair((const unsigned[2]){ adxi_bells(), adxi_bells() }, ends);
	if (r < 0) {
		free(pair);
		return r;
	}
	pair->host_id = host->id;
	pair->pending = ends[1];
	adxi_list_append(&user->pairs, &pair->link);
	*ret_host_end = ends[0];
	*ret_pair = pair;
	return 0;
}

void
server_pair_drop(struct pair *pair)
{
	adxi_list_remove(&pair->link);
	if (!pair->sent)
		adxi_endpoint_done(&pair->pending);
	free(pair);
}

/* The peers of a process that has gone get a new channel if it is ever needed. */
static void
drop_pairs_with(struct realm *realm, uint64_t host_id)
{
	struct server *server;
	struct pair *pair, *next;

	ADXI_LIST_EACH(server, &realm->servers, link)
		ADXI_LIST_EACH_SAFE(pair, next, &server->pairs, link)
			if (pair->host_id == host_id)
				server_pair_drop(pair);
}

/* ---------------------------------------------------------------------------------------------
 * Launch
 */

static void child_ended(struct adxi_source *source, pid_t pid, int status, void *userdata);
static void time_is_up(struct adxi_source *source, void *userdata);

static struct server *
server_new(struct realm *realm, const char *name, uint64_t tag)
{
	struct server *server = calloc(1, sizeof *server);
	unsigned char random[16];
	size_t i;

	if (!server)
		return NULL;
	server->n_ref = 1;
	server->realm = realm;
	server->id = realm->next_peer++;
	server->tag = tag;
	server->record_fd = -1;
	server->name = strdup(name);
	server->account = quota_account(realm->quotas, QUOTA_OF_SERVER, server->id);
	server->cutter = calloc(1, sizeof *server->cutter);
	adxi_list_init(&server->link);
	adxi_list_init(&server->services);
	adxi_list_init(&server->pairs);
	if (!server->name || !server->cutter || !server->account ||
	    getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return server_unref(server);
	for (i = 0; i < sizeof random; i++)
		(void)snprintf(server->token + 2 * i, 3, "%02x", random[i]);
	return server;
}

/* In the realm's list from here on; the list's reference goes when the process is reaped. */
static int
launch(struct server *server)
{
	int r;

	adxi_list_append(&server->realm->servers, &server_ref(server)->link);
	incident_prepare(server);
	r = launch_spawn(server, child_ended, time_is_up);
	if (r == 0)
		return 0;
	realm_log(server->realm, server, "%s cannot be launched: %s", server->argv[0],
		  strerror(-r));
	if (server->connection) {
		server->connection->server = NULL;
		connection_close(server->connection);
		server->connection = NULL;
	}
	server_kill(server, ENDING_LATE);
	if (!server->pid) {
		server->output = adxi_source_remove(server->output);
		server->timer = adxi_source_remove(server->timer);
		server_move(server, SERVER_DEAD);
		adxi_list_remove(&server->link);
		server_unref(server);
	}
	return r;
}

/* NULL-terminated copy, or NULL: no memory. */
static char **
copy_strings(const char *const *strings)
{
	char **copy;
	size_t n = 0, i;

	while (strings[n])
		n++;
	copy = calloc(n + 1, sizeof *copy);
	for (i = 0; copy && i < n; i++) {
		copy[i] = strdup(strings[i]);
		if (!copy[i]) {
			launch_free_strings(copy);
			return NULL;
		}
	}
	return copy;
}

int
server_for_personality(struct realm *realm, struct personality *personality, uint64_t tag,
		       struct server **ret_server)
{
	adxi_cleanup(server_unrefp) struct server *server = NULL;
	struct server *other;
	int r;

	ADXI_LIST_EACH(other, &realm->servers, link) {
		/* A process of a version that was replaced runs the old code. */
		if (personality->one_process && !other->is_host && other->bundle->loaded &&
		    !strcmp(other->name, personality->server_name) &&
		    (other->state == SERVER_RUNNING || other->state == SERVER_LAUNCHING)) {
			*ret_server = server_ref(other);
			return 0;
		}
	}
	server = server_new(realm, personality->server_name, tag);
	if (!server)
		return -ENOMEM;
	server->one_process = personality->one_process;
	server->bundle = bundle_ref(personality->bundle);
	server->argv = copy_strings((const char *const[]){ personality->bundle->executable, NULL });
	if (!server->argv)
		return -ENOMEM;
	r = launch(server);
	if (r < 0)
		return r;
	realm_log(realm, server, "%s-0x%" PRIx64 " started as process %d for personality '%s'",
		  server->name, server->tag, (int)server->pid, personality->name);
	*ret_server = TAKE(server);
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Life
 */

static void
ready_later(void *userdata)
{
	struct server *server = userdata;
	struct service *service, *next;

	ADXI_LIST_EACH_SAFE(service, next, &server->services, server_link)
		if (server->state == SERVER_RUNNING)
			service_server_ready(service);
	device_check(server->realm);
	server_check_leave(server);
	server_unref(server);
}

int
server_check_in(struct connection *connection, const char *token, OSMetaClassBase *host,
		struct server **ret_server)
{
	struct server *server = connection->server;
	unsigned different = 0;
	size_t i;

	if (!server || server->state != SERVER_LAUNCHING || !host ||
	    strlen(token) != strlen(server->token))
		return -EACCES;
	for (i = 0; server->token[i]; i++)
		different |= (unsigned char)(server->token[i] ^ token[i]);
	if (different)
		return -EACCES;
	server->object = protocol_server_new(server);
	if (!server->object)
		return -ENOMEM;
	server->host = value_ref(host);
	server->timer = adxi_source_remove(server->timer);
	sandbox_checked_in(server->sandbox);
	server_move(server, SERVER_RUNNING);
	/* The answer to the check-in has to be under way before the first request is. */
	if (adxi_loop_post(server->realm->loop, ready_later, server_ref(server)) < 0) {
		server_unref(server);
		return -ENOMEM;
	}
	*ret_server = server;
	return 0;
}

void
server_kill(struct server *server, enum ending_kind why)
{
	if (!server->killed_for)
		server->killed_for = why;
	if (server->pid > 0)
		(void)kill(-server->pid, SIGKILL);
}

static void
time_is_up(struct adxi_source *source, void *userdata)
{
	struct server *server = userdata;

	if (server->state == SERVER_LAUNCHING)
		adxi_tell(ADXI_RULE_T72, "process %d of %s (%s) has not checked in within %llu s",
			  (int)server->pid, server->name, server->argv[0],
			  server->realm->config.checkin_ns / ADXI_NS_PER_S);
	else
		realm_log(server->realm, server, "process %d does not exit and is killed",
			  (int)server->pid);
	server->timer = adxi_source_remove(server->timer);
	server_kill(server, server->was_leaving ? ENDING_ASKED : ENDING_LATE);
	server_gone(server);
}

static void
leave(struct server *server)
{
	struct realm *realm = server->realm;
	struct ADXHost *host = server_host(server);

	server->timer = adxi_source_remove(server->timer);
	if (host)
		ADXHost_Exit(host, 0);
	server_move(server, SERVER_LEAVING);
	server->was_leaving = true;
	if (!host)
		server_kill(server, ENDING_ASKED);
	(void)adxi_loop_add_timer(realm->loop, adxi_deadline_ns(realm->config.exit_ns), time_is_up,
				  server, &server->timer);
}

void
server_check_leave(struct server *server)
{
	if (!adxi_list_is_empty(&server->services) ||
	    (server->is_host && server->realm->state == REALM_RUNNING))
		return;
	if (server->state == SERVER_RUNNING || server->state == SERVER_LAUNCHING)
		leave(server);
}

void
server_gone(struct server *server)
{
	struct realm *realm = server->realm;
	struct service *service;
	size_t left;

	if (server->state == SERVER_DEAD)
		return;
	server_ref(server);
	if (!server->noticed_ns)
		server->noticed_ns = adxi_now_ns();
	hang_end(server);
	server_move(server, SERVER_DEAD);
	if (server->object)
		protocol_server_end(server->object);
	if (server->connection) {
		server->connection->server = NULL;
		connection_close(server->connection);
		server->connection = NULL;
	}
	drop_pairs_with(realm, server->id);
	/* Whatever it still does is for nobody. If it has ended by itself, its status is fixed
	 * already. */
	if (server->pid > 0) {
		if (!server->ending && !process_is_exiting(server->pid))
			server_kill(server, ENDING_BREACH);
		(void)kill(-server->pid, SIGKILL);
	}
	/* Each call may remove several; those that wait for others' Stop stay. */
	for (left = server->n_services; left > 0; left--) {
		service = ADXI_LIST_FIRST(&server->services, struct service, server_link);
		if (!service)
			break;
		adxi_list_remove(&service->server_link);
		adxi_list_append(&server->services, &service->server_link);
		service_server_gone(service);
	}
	device_check(realm);
	server_unref(server);
}

/* ---------------------------------------------------------------------------------------------
 * Family hosts
 *
 * A family host is always wanted: without it no device can come, and nobody but dextd can bring it
 * back. So it is started again however often it ends.
 */

struct host {
	struct adxi_list link;         /* in realm->hosts */
	struct realm *realm;           /* borrowed */
	char **argv;                   /* owned */
	struct supervised *supervised; /* owned */
};

static struct host *
host_free(struct host *host)
{
	struct server *server;

	ADXI_LIST_EACH(server, &host->realm->servers, link)
		if (server->keeper == host)
			server->keeper = NULL;
	adxi_list_remove(&host->link);
	supervised_free(host->supervised);
	launch_free_strings(host->argv);
	free(host);
	return NULL;
}

void
server_forget_hosts(struct realm *realm)
{
	struct host *host, *next;

	ADXI_LIST_EACH_SAFE(host, next, &realm->hosts, link)
		host_free(host);
}

bool
server_host_is_coming(const struct realm *realm)
{
	const struct host *host;

	ADXI_LIST_EACH(host, &realm->hosts, link)
		if (supervised_is_waiting(host->supervised, NULL))
			return true;
	return false;
}

static int
launch_host(struct host *host)
{
	const char *name = strrchr(host->argv[0], '/');
	adxi_cleanup(server_unrefp) struct server *server =
		server_new(host->realm, name ? name + 1 : host->argv[0], 0);

	if (!server)
		return -ENOMEM;
	server->is_host = true;
	server->keeper = host;
	server->argv = copy_strings((const char *const *)host->argv);
	return server->argv ? launch(server) : -ENOMEM;
}

static void
host_again(void *userdata)
{
	struct host *host = userdata;

	if (host->realm->state == REALM_RUNNING)
		(void)launch_host(host);
	device_check(host->realm);
}

static void
host_ended(struct server *server)
{
	struct host *host = server->keeper;
	unsigned n_row;

	if (!host || server->realm->state != REALM_RUNNING)
		return;
	if (supervised_ended(host->supervised, server->noticed_ns - server->launched_ns,
			     ending_is_fault(server->ending)) < 0)
		return;
	n_row = supervised_record(host->supervised)->n_row;
	if (server->realm->config.restart.limit && n_row == server->realm->config.restart.limit)
		adxi_tell(ADXI_RULE_T70, "host %s ended %u times in a row", server->name, n_row);
}

int
server_keep_host(struct realm *realm, const char *const *argv)
{
	struct host *host = calloc(1, sizeof *host);
	int r = -ENOMEM;

	if (!host)
		return -ENOMEM;
	host->realm = realm;
	adxi_list_append(&realm->hosts, &host->link);
	host->argv = copy_strings(argv);
	if (host->argv)
		r = supervised_new(realm->loop, &realm->config.restart, true, host_again, host,
				   &host->supervised);
	if (r == 0)
		r = launch_host(host);
	if (r < 0)
		host_free(host);
	return r;
}

/* ---------------------------------------------------------------------------------------------
 * The end
 */

static void
find_ending(struct server *server, int status)
{
	unsigned long kills = server->realm->memory_kills;
	struct ending_facts facts = {
		.status = status,
		.was_leaving = server->was_leaving,
		.by_us = server->killed_for,
	};

	facts.crash_signal = incident_signal(server, &facts.memory_failed);

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !facts.by_us) {
		server->realm->memory_kills = process_memory_kills();
		facts.memory_killed = server->realm->memory_kills > kills;
	}
	server->ending = ending_kind_of(&facts);
}

/* Its sentence, and the rule to tell it by; false: nothing is wrong. */
static bool
say_ending(struct server *server, int status, int crash_signal, enum adxi_rule *ret_rule)
{
	double seconds = (double)(server->noticed_ns - server->launched_ns) / 1e9;
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : crash_signal;
	char *text = server->last_words;
	size_t size = sizeof server->last_words;

	*ret_rule = ADXI_RULE_SRV001;
	if (server->ending == ENDING_HUNG) {
		(void)snprintf(text, size, "process %d of %s hung, and was killed after %.3f s: %.200s",
			       (int)server->pid, server->name, seconds, server->hang.what);
		return false;
	}
	if (server->ending == ENDING_ASKED ||
	    (server->killed_for && server->ending == server->killed_for)) {
		(void)snprintf(text, size, "process %d of %s ended after %.3f s (%s)",
			       (int)server->pid, server->name, seconds,
			       ending_word(server->ending));
		return false;
	}
	if (server->ending == ENDING_MEMORY) {
		*ret_rule = ADXI_RULE_SUP003;
		(void)snprintf(text, size,
			       "process %d of %s was killed by signal %d (%s) after %.3f s, as no "
			       "memory was left for it",
			       (int)server->pid, server->name, signal, strsignal(signal), seconds);
	} else if (!server->host && WIFEXITED(status)) {
		*ret_rule = ADXI_RULE_T72;
		(void)snprintf(text, size,
			       "process %d of %s (%s) ended with status %d before it checked in",
			       (int)server->pid, server->name, server->argv[0],
			       WEXITSTATUS(status));
	} else if (WIFEXITED(status)) {
		(void)snprintf(text, size, "process %d of %s ended with status %d after %.3f s",
			       (int)server->pid, server->name, WEXITSTATUS(status), seconds);
	} else {
		(void)snprintf(text, size,
			       "process %d of %s was killed by signal %d (%s)%s after %.3f s%s",
			       (int)server->pid, server->name, signal, strsignal(signal),
			       WCOREDUMP(status) ? ", core dumped" : "", seconds,
			       server->ending == ENDING_KILLED
				       ? "; somebody sent it, so that it is no crash of the driver"
				       : "");
	}
	return true;
}

static void
tell_ending(struct server *server, int status)
{
	bool no_memory;
	enum adxi_rule rule;

	if (say_ending(server, status, incident_signal(server, &no_memory), &rule))
		adxi_tell(rule, "%s", server->last_words);
	else
		realm_log(server->realm, server, "%s", server->last_words);
}

static void
child_ended(struct adxi_source *source, pid_t pid, int status, void *userdata)
{
	struct server *server = userdata;
	struct realm *realm = server->realm;

	server->child = NULL;
	adxi_source_remove(source);
	/* What it forked goes too; the group's number is ours until the leader's is reused. */
	(void)kill(-pid, SIGKILL);
	if (!server->noticed_ns)
		server->noticed_ns = adxi_now_ns();
	launch_end_output(server);
	find_ending(server, status);
	sandbox_ended(server->sandbox, status);
	if (!sandbox_refused(server->sandbox)) {
		tell_ending(server, status);
		incident_ended(server, status);
	}
	server_gone(server);
	provider_server_ended(realm, server);
	server->pid = 0;
	server->timer = adxi_source_remove(server->timer);
	adxi_list_remove(&server->link);
	if (server->is_host)
		host_ended(server);
	device_check(realm);
	server_unref(server);
	wait_check_unloads(realm);
	realm_check_end(realm);
}
