/* SPDX-License-Identifier: MIT */
/* The realm as a whole: birth, bundles, lists for tools, end. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rules.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.realm"
#include "base/log.h"

#define MESSAGE_BUSY_STATE_CHANGE 0xe0000120u /* kIOMessageServiceBusyStateChange */
#define JOURNAL_LINES             8192u
#define JOURNAL_BYTES             (2u << 20)
#define END_NS                    (5 * ADXI_NS_PER_S)

const struct realm_config realm_config_default = {
	.socket_mode = 0600,
	.checkin_ns = 120 * ADXI_NS_PER_S,
	.stop_warning_ns = 5 * ADXI_NS_PER_S,
	.stop_limit_ns = 15 * ADXI_NS_PER_S,
	.hang_ns = 5 * ADXI_NS_PER_S,
	.hang_kill_ns = 60 * ADXI_NS_PER_S,
	.exit_ns = 3 * ADXI_NS_PER_S,
	.restart = SUPERVISE_RULES_DEFAULT,
	.crashes_kept = 20,
};

void
realm_log(struct realm *realm, const struct server *server, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	journal_add(realm->journal, server ? (int)server->pid : 0, server ? server->name : "dextd",
		    "", text);
}

void
realm_peer_log(struct realm *realm, struct quota_account *account, int pid, const char *name,
	       const char *rule, const char *text)
{
	const uint64_t now = adxi_now_ns();
	uint64_t left_out;

	if (!quota_pace(account, QUOTA_LOG_LINES, 1, now) ||
	    !quota_pace(account, QUOTA_LOG_BYTES, strlen(text), now)) {
		if (quota_log_overflows(account))
			adxi_tell(ADXI_RULE_QUO007, "%s (pid %d) writes faster than that; lines are left out", name,
				  pid);
		return;
	}
	left_out = quota_log_recovers(account, now);
	if (left_out > 0)
		realm_log(realm, NULL, "%llu lines of %s (pid %d) were left out before this (QUO007)",
			  (unsigned long long)left_out, name, pid);
	journal_add(realm->journal, pid, name, rule, text);
}

/* A rule that a peer can make dextd tell for ever fills no log: each has an account. */
static void
told(void *context, const char *rule_id, const char *line)
{
	struct realm *realm = context;
	const struct server *teller = realm->teller;
	uint64_t id = 0;
	const char *at;

	if (teller) {
		realm_peer_log(realm, teller->account, (int)teller->pid, teller->name, rule_id,
			       line);
		return;
	}
	for (at = rule_id; *at; at++)
		id = id << 8 | (unsigned char)*at;
	if (!realm->rule_lines[id % REALM_RULE_LINES])
		realm->rule_lines[id % REALM_RULE_LINES] =
			quota_account(realm->quotas, QUOTA_OF_RULE, id % REALM_RULE_LINES);
	if (!realm->rule_lines[id % REALM_RULE_LINES])
		return;
	if (!quota_pace(realm->rule_lines[id % REALM_RULE_LINES], QUOTA_LOG_LINES, 1, adxi_now_ns()))
		return;
	journal_add(realm->journal, 0, "dextd", rule_id, line);
}

static void
check_quiet(void *userdata)
{
	struct realm *realm = userdata;

	realm->quiet_check = false;
	wait_check(realm);
	upgrade_check(realm);
}

/* Counts touch 0 for a moment while one reason to be busy takes over from another: who waits is
 * told at the end of the turn. */
static void
busy_changed(void *userdata, struct entry *entry, bool busy)
{
	struct realm *realm = userdata;

	notify_message(realm, entry, MESSAGE_BUSY_STATE_CHANGE, busy);
	if (!busy && !realm->quiet_check)
		realm->quiet_check = adxi_loop_post(realm->loop, check_quiet, realm) == 0;
}

int
realm_new(const struct realm_config *config, struct adxi_loop *loop, struct realm **ret_realm)
{
	static const struct registry_ops ops = { .busy_changed = busy_changed };
	struct realm *realm = calloc(1, sizeof *realm);
	int r;

	if (!realm)
		return -ENOMEM;
	realm->config = *config;
	realm->loop = loop;
	realm->next_peer = 1;
	realm->memory_kills = process_memory_kills();
	adxi_list_init(&realm->connections);
	adxi_list_init(&realm->servers);
	adxi_list_init(&realm->hosts);
	adxi_list_init(&realm->services);
	adxi_list_init(&realm->openings);
	adxi_list_init(&realm->waits);
	adxi_list_init(&realm->device_calls);
	adxi_list_init(&realm->unloads);
	adxi_list_init(&realm->upgrades);
	adxi_list_init(&realm->guards);
	realm->quotas = quotas_new();
	if (!realm->quotas) {
		free(realm);
		return -ENOMEM;
	}
	r = journal_new(JOURNAL_LINES, JOURNAL_BYTES, &realm->journal);
	if (r == 0)
		r = journal_new(JOURNAL_LINES, JOURNAL_BYTES, &realm->audit);
	if (r == 0)
		r = incidents_new(config->dir, config->crashes_kept, &realm->incidents);
	if (r == 0)
		r = registry_new(&ops, realm, &realm->registry);
	if (r == 0)
		r = catalogue_new(&realm->catalogue);
	if (r < 0) {
		realm_free(realm);
		return r;
	}
	value_set_cstr(registry_root(realm->registry)->base, "IOKitBuildVersion",
		       "Ambidext " AMBIDEXT_VERSION);
	adxi_tell_set_sink(told, realm);
	if (config->sandbox == SANDBOX_OFF)
		(void)adxi_tell(ADXI_RULE_SBX011,
				"dextd runs with --sandbox=off: drivers may do whatever user %d may",
				(int)geteuid());
	*ret_realm = realm;
	return 0;
}

struct realm *
realm_free(struct realm *realm)
{
	struct connection *connection, *next;

	if (!realm)
		return NULL;
	realm->state = REALM_ENDED;
	adxi_source_remove(realm->end_timer);
	server_forget_hosts(realm);
	sandbox_forget_all(realm);
	wait_forget_all(realm);
	upgrade_forget_all(realm);
	ADXI_LIST_EACH_SAFE(connection, next, &realm->connections, link)
		connection_close(connection);
	/* Connections are freed at the end of a turn. */
	(void)adxi_loop_turn(realm->loop, 0);
	adxi_tell_set_sink(NULL, NULL);
	if (realm->registry) {
		struct entry *entry;

		ADXI_LIST_EACH(entry, registry_entries(realm->registry), link)
			provider_end(entry);
	}
	registry_free(realm->registry);
	catalogue_free(realm->catalogue);
	incidents_free(realm->incidents);
	journal_free(realm->journal);
	journal_free(realm->audit);
	quotas_free(realm->quotas);
	free(realm);
	return NULL;
}

/* ---------------------------------------------------------------------------------------------
 * Bundles
 */

int
realm_load(struct realm *realm, const char *path, OSArray *problems, const char **ret_id)
{
	struct bundle *bundle = NULL, *old;
	int r = bundle_read(path, problems, &bundle);

	if (r < 0)
		return r;
	old = catalogue_find(realm->catalogue, bundle->id);
	if (old)
		realm_unload(realm, old);
	r = catalogue_add(realm->catalogue, bundle, problems);
	if (r == 0) {
		*ret_id = bundle->id;
		realm_log(realm, NULL, "%s %s %s, version %s", old ? "replaced" : "loaded",
			  bundle->id, bundle->path, bundle->version ? bundle->version : "?");
		provider_match_all(realm);
	}
	bundle_unref(bundle);
	return r;
}

static struct service *
next_of_bundle(struct realm *realm, const struct bundle *bundle)
{
	struct service *service;

	ADXI_LIST_EACH(service, &realm->services, link)
		if (service->personality && service->personality->bundle == bundle &&
		    !(service->entry->state & ENTRY_INACTIVE))
			return service;
	return NULL;
}

void
realm_unload(struct realm *realm, struct bundle *bundle)
{
	struct service *service;

	bundle_ref(bundle);
	catalogue_remove(realm->catalogue, bundle);
	provider_forget_bundle(realm, bundle);
	while ((service = next_of_bundle(realm, bundle)))
		service_terminate(service);
	realm_log(realm, NULL, "unloaded %s", bundle->id);
	bundle_unref(bundle);
}

static OSDictionary *
service_dict(const struct service *service)
{
	OSDictionary *dict = value_dict_new();

	value_set_u64(dict, "id", service->entry->id);
	value_set_cstr(dict, "name", service->entry->name);
	value_set_cstr(dict, "class", entry_class(service->entry));
	value_set_cstr(dict, "state", service_state_name(service->state));
	value_set_u64(dict, "pid", (uint64_t)service->server->pid);
	return dict;
}

static OSDictionary *
bundle_dict(struct realm *realm, const struct bundle *bundle)
{
	OSDictionary *dict = value_dict_new();
	OSArray *personalities = value_array_new(), *services = value_array_new(),
		*quarantine = value_array_new(), *restarts = value_array_new();
	const struct personality *personality;
	const struct service *service;

	ADXI_LIST_EACH(personality, &bundle->personalities, link)
		value_append_cstr(personalities, personality->name);
	ADXI_LIST_EACH(service, &realm->services, link)
		if (service->personality && service->personality->bundle == bundle)
			value_append_new(services, service_dict(service));
	provider_list_restarts(realm, bundle, true, quarantine);
	provider_list_restarts(realm, bundle, false, restarts);
	value_set_cstr(dict, "id", bundle->id);
	value_set_cstr(dict, "path", bundle->path);
	value_set_cstr(dict, "version", bundle->version);
	value_set_cstr(dict, "executable", bundle->executable);
	value_set_new(dict, "personalities", personalities);
	value_set_new(dict, "services", services);
	value_set_new(dict, "quarantine", quarantine);
	value_set_new(dict, "restarts", restarts);
	return dict;
}

OSArray *
realm_copy_bundles(struct realm *realm)
{
	const struct bundle *bundle;
	OSArray *array = value_array_new();

	ADXI_LIST_EACH(bundle, catalogue_bundles(realm->catalogue), link)
		if (!value_append_new(array, bundle_dict(realm, bundle)))
			return value_unref(array);
	return array;
}

static OSDictionary *
server_dict(const struct server *server)
{
	const struct service *service;
	OSDictionary *dict = value_dict_new();
	OSArray *services = value_array_new();

	ADXI_LIST_EACH(service, &server->services, server_link)
		value_append_new(services, service_dict(service));
	value_set_cstr(dict, "name", server->name);
	value_set_u64(dict, "pid", (uint64_t)server->pid);
	value_set_cstr(dict, "state", server_state_name(server->state));
	if (server->hang.state == HANG_HUNG)
		value_set_cstr(dict, "hangs", server->hang.what);
	value_set_u64(dict, "tag", server->tag);
	value_set_bool(dict, "host", server->is_host);
	value_set_bool(dict, "shared", server->one_process);
	value_set_cstr(dict, "bundle", server->bundle ? server->bundle->id : NULL);
	if (server->sandbox)
		value_set_new(dict, "sandbox", sandbox_dict(server->sandbox));
	value_set_new(dict, "services", services);
	value_set_new(dict, "quotas", quota_dict(server->account));
	return dict;
}

OSArray *
realm_copy_servers(struct realm *realm)
{
	const struct server *server;
	OSArray *array = value_array_new();

	ADXI_LIST_EACH(server, &realm->servers, link)
		if (!value_append_new(array, server_dict(server)))
			return value_unref(array);
	return array;
}

/* ---------------------------------------------------------------------------------------------
 * End
 */

void
realm_check_end(struct realm *realm)
{
	if (realm->state != REALM_ENDING || !adxi_list_is_empty(&realm->servers))
		return;
	realm->end_timer = adxi_source_remove(realm->end_timer);
	adxi_loop_stop(realm->loop);
}

static void
kill_all(struct adxi_source *source, void *userdata)
{
	struct realm *realm = userdata;
	struct server *server;

	ADXI_LIST_EACH(server, &realm->servers, link) {
		realm_log(realm, server, "process %d is killed: the realm ends", (int)server->pid);
		server_kill(server, ENDING_ASKED);
	}
}

static struct service *
next_active(struct realm *realm)
{
	struct service *service;
	struct entry *provider;

	ADXI_LIST_EACH(service, &realm->services, link) {
		provider = entry_parent(service->entry, PLANE_SERVICE);
		/* Tops only: what is below ends with them. */
		if (!(service->entry->state & ENTRY_INACTIVE) && (!provider || !provider->service))
			return service;
	}
	return NULL;
}

void
realm_end(struct realm *realm)
{
	struct service *service;
	struct server *server, *next;

	if (realm->state != REALM_RUNNING)
		return;
	realm->state = REALM_ENDING;
	realm_log(realm, NULL, "the realm ends");
	if (adxi_loop_add_timer(realm->loop, adxi_deadline_ns(END_NS), kill_all, realm,
				&realm->end_timer) < 0)
		kill_all(NULL, realm);
	while ((service = next_active(realm)))
		service_terminate(service);
	ADXI_LIST_EACH_SAFE(server, next, &realm->servers, link)
		server_check_leave(server);
	realm_check_end(realm);
}
