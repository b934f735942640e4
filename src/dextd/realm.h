/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_REALM_H
#define DEXTD_REALM_H

/**
 * @file dextd/realm.h
 * @brief A realm: everything that one dextd keeps, and how its parts hang together.
 *
 *   realm -- registry -- entry -- service (its life) -- server (its process) -- connection (its
 * control channel) |                   `-- provider (matching of drivers for it)
 *         |- catalogue -- bundle -- personality
 *         |- connections: clients, tools and hosted processes, one each; notifications hang on them
 *         `- openings, waits, device calls: requests that are answered when a driver process has
 * answered
 *
 * Everything runs on one thread, dextd's loop; nothing here waits for another process. What is
 * asked of a process is answered by a callback, whose context names things by id, since they may be
 * gone by then.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "channel/channel.h"
#include "channel/loop.h"
#include "dextd/catalogue.h"
#include "dextd/ending.h"
#include "dextd/hang.h"
#include "dextd/incident.h"
#include "dextd/log.h"
#include "dextd/quota.h"
#include "dextd/registry.h"
#include "dextd/sandbox.h"
#include "dextd/supervise.h"
#include "dextd/upgrade.h"

struct realm;
struct server;
struct provider;
struct access;

/* ---------------------------------------------------------------------------------------------
 * realm.c
 */

struct realm_config {
	const char *dir;      /* borrowed; absolute */
	unsigned socket_mode; /* 0600 or 0666 */
	struct access *access; /* borrowed; NULL: owner and root only */
	bool strict;
	enum sandbox_mode sandbox;
	OSDictionary *grants;     /* owned reference: the policy's Sandbox, or NULL */
	uint64_t checkin_ns;      /* a launched process checks in within this */
	uint64_t stop_warning_ns; /* Stop runs this long: told */
	uint64_t stop_limit_ns;   /* then the process is killed */
	uint64_t hang_ns;         /* a process that keeps somebody waiting so long is looked at; 0: never */
	uint64_t hang_kill_ns;    /* one that hangs so long is killed; 0: never */
	uint64_t exit_ns;         /* a process that was told to exit has this long */
	struct supervise_rules restart;
	unsigned crashes_kept;    /* folders of incidents */
};
extern const struct realm_config realm_config_default;

#define REALM_RULE_LINES 64u

enum realm_state { REALM_RUNNING, REALM_ENDING, REALM_ENDED };

struct realm {
	struct realm_config config;
	enum realm_state state;
	struct adxi_loop *loop;      /* borrowed */
	struct registry *registry;   /* owned */
	struct catalogue *catalogue; /* owned */
	struct journal *journal;     /* owned */
	struct journal *audit;       /* owned: who opened what */
	struct quotas *quotas;       /* owned */
	struct incidents *incidents; /* owned */
	uint64_t next_peer; /* connections, servers and openings share these numbers; 0 is none */
	struct adxi_list connections;
	struct adxi_list servers;
	struct adxi_list hosts; /* family hosts that are kept alive */
	struct adxi_list services;
	struct adxi_list openings;
	struct adxi_list waits;
	struct adxi_list device_calls;
	struct adxi_list unloads;
	struct adxi_list upgrades;
	struct adxi_source *end_timer; /* owned */
	bool quiet_check;              /* posted */
	const struct server *teller;   /* borrowed: whom the rule is about that is told now */
	struct adxi_list guards;       /* inits of processes' namespaces */
	uint64_t said[32];             /* hashes: sandboxes that the log has */
	unsigned n_said;
	unsigned long memory_kills;    /* process_memory_kills() when it was last looked at */
	struct quota_account *rule_lines[REALM_RULE_LINES]; /* owned references: lines of rules, by hash */
};

int realm_new(const struct realm_config *config, struct adxi_loop *loop, struct realm **ret_realm);
struct realm *realm_free(struct realm *realm);
/** End all services, then all processes, then stop the loop. */
void realm_end(struct realm *realm);
/** Something went: stop the loop if the realm ends and nothing is left. */
void realm_check_end(struct realm *realm);
/** A line of dextd's own into the ring. */
void realm_log(struct realm *realm, const struct server *server, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** A line of a peer's, which @p account is charged for; what is too much is left out, and told. */
void realm_peer_log(struct realm *realm, struct quota_account *account, int pid, const char *name,
		    const char *rule, const char *text);
/** Problems are sentences. 0: loaded (they are warnings), -EINVAL: not. @p ret_id borrowed from the
 * catalogue. */
int realm_load(struct realm *realm, const char *path, OSArray *problems, const char **ret_id);
/** Bundles and hosts as tools list them. +1, NULL: no memory. */
OSArray *realm_copy_bundles(struct realm *realm);
OSArray *realm_copy_servers(struct realm *realm);
/** Take a bundle out and end its services; wait_unload() tells when they are gone. */
void realm_unload(struct realm *realm, struct bundle *bundle);

/* ---------------------------------------------------------------------------------------------
 * connection.c
 */

struct connection {
	struct realm *realm;   /* borrowed */
	struct adxi_list link; /* in realm->connections */
	struct adxi_post freeing;
	uint64_t id;
	struct adxi_channel *channel; /* owned reference */
	struct adxi_source *source;   /* owned */
	OSMetaClassBase *door;        /* owned reference: its ADXRegistry */
	struct server *server;        /* borrowed: the hosted process behind it, or NULL */
	int pid;
	int pidfd; /* owned; -1: not known */
	unsigned uid;
	unsigned *groups; /* owned: all that its user is in */
	size_t n_groups;
	bool dead;
	bool cut_off; /* closes at the end of the turn */
	struct adxi_list notifications;
	struct quota_account *account; /* owned reference: its process's */
	struct quota_account *user;    /* owned reference; NULL: a hosted process's */
	struct adxi_list clients; /* services (user clients) that it opened */
};

/** Serve a socket that a process connected with (taken). -EDQUOT: its process or user has too many;
 * told, also to the process. */
int connection_new(struct realm *realm, int socket, struct server *server,
		   struct connection **ret_connection);
/** End it now, with all that hangs on it. Its memory goes at the end of the loop's turn. */
void connection_close(struct connection *connection);
/** Whether more may be sent to it; a peer that does not read is cut off here (rule SRV006). */
bool connection_may_send(struct connection *connection);
/** The process that connected is still there, so that what /proc said of its number was about it. */
bool connection_peer_lives(const struct connection *connection);
/** May load bundles, attach devices, read the log, end the realm: our user or root, and no process that we host. */
bool connection_is_owner(const struct connection *connection);
/** "pid 12" or a server's name, for sentences. Valid until the next call. */
const char *connection_who(const struct connection *connection);
struct connection *connection_find(struct realm *realm, uint64_t id);

/* ---------------------------------------------------------------------------------------------
 * server.c
 */

enum server_state {
	SERVER_LAUNCHING, /* until it checks in */
	SERVER_RUNNING,
	SERVER_LEAVING, /* told to exit, or killed */
	SERVER_DEAD,    /* gone; waits for its status */
	SERVER_STATE_COUNT,
};

#define LAUNCH_PASSED_MAX 4u

struct server {
	unsigned n_ref;
	struct realm *realm;   /* borrowed */
	struct adxi_list link; /* in realm->servers */
	enum server_state state;
	uint64_t id;  /* its peer number */
	uint64_t tag; /* entry that it was launched for; 0: a family host */
	char *name;   /* owned: IOUserServerName, or the host's program */
	char token[33];
	bool is_host;
	bool one_process;
	char **argv;                   /* owned */
	struct {
		const char *variable; /* borrowed */
		int fd;               /* owned */
	} passed[LAUNCH_PASSED_MAX];
	unsigned n_passed;             /* 0 once launched */
	struct sandbox *sandbox;       /* owned; NULL: never launched */
	struct bundle *bundle;         /* owned reference, or NULL */
	pid_t pid;                     /* also its process group; 0: reaped */
	struct connection *connection; /* borrowed; NULL: not yet, or gone */
	OSMetaClassBase *host;         /* owned reference: proxy of its ADXHost */
	OSMetaClassBase *object;       /* owned reference: the ADXServer that it calls */
	struct adxi_source *child;     /* owned */
	struct adxi_source *timer;     /* owned: check-in, then exit */
	struct adxi_source *output;    /* owned: its stdout and stderr */
	int output_fd;                 /* borrowed from output */
	struct line_cutter *cutter;    /* owned */
	struct adxi_list services;     /* struct service::server_link */
	size_t n_services;
	struct adxi_list pairs; /* direct channels to hosts of its providers */
	struct host *keeper;    /* borrowed; family hosts: what starts it again */
	struct quota_account *account; /* owned reference */
	uint64_t launched_ns;
	uint64_t noticed_ns;        /* its end was seen, by its channel or its status; 0: it lives */
	uint64_t refusals;          /* SRV004 */
	enum ending_kind killed_for; /* dextd killed it, and why is in the log; ENDING_NONE: did not */
	enum ending_kind ending;    /* known when it is reaped; ENDING_NONE before */
	bool was_leaving;           /* its end was asked for */
	struct hang hang;
	int record_fd;              /* owned: its crash record; -1: none */
	uint64_t incident_id;       /* 0: none yet */
	char last_words[320];       /* how it ended, as a sentence */
};

/** Process for @p personality's service @p tag: one that is shared, or a new one. +1. */
int server_for_personality(struct realm *realm, struct personality *personality, uint64_t tag,
			   struct server **ret_server);
/** Family host: argv[0] a program. Launched now, and again when it ends. */
int server_keep_host(struct realm *realm, const char *const *argv);
/** No family host is kept alive any more. */
void server_forget_hosts(struct realm *realm);
/** A family host waits to be launched again. */
bool server_host_is_coming(const struct realm *realm);
struct server *server_ref(struct server *server);
struct server *server_unref(struct server *server);
/** A process says that it is there. -EACCES: not on its connection, or a wrong token. */
int server_check_in(struct connection *connection, const char *token, OSMetaClassBase *host,
		    struct server **ret_server);
/** Its channel is dead, or it is to be: every service of it crashes. Idempotent. */
void server_gone(struct server *server);
/** SIGKILL to its process group. */
void server_kill(struct server *server, enum ending_kind why);
/** Tell it to exit if nothing is left in it. */
void server_check_leave(struct server *server);
struct server *server_find(struct realm *realm, uint64_t id);
/** Host proxy, if messages may be sent to it now; else NULL. Borrowed. */
struct ADXHost *server_host(struct server *server);
const char *server_state_name(enum server_state state);

/* The direct channel between a process and the process of its provider. */
struct pair {
	struct adxi_list link;        /* in the user's pairs */
	uint64_t host_id;             /* server of the provider */
	struct adxi_endpoint pending; /* the user's end, until it is sent; owned */
	bool sent;
};
struct pair *server_pair(struct server *user, const struct server *host);
int server_pair_new(struct server *user, const struct server *host,
		    struct adxi_endpoint *ret_host_end, struct pair **ret_pair);
void server_pair_drop(struct pair *pair);

/* ---------------------------------------------------------------------------------------------
 * service.c: the life of one service
 *
 *   LAUNCHING --check-in--> INTRODUCING --provider's process knows--> STARTING --ok--> RUNNING
 *       |                        |                                        |failed         |
 *       +------------------------+--------> GONE (never started) <--------+               |
 *                                                                     terminate           |
 *   GONE <--no children-- STOPPED <--Stopped, crash-- STOPPING <--gate open-- WAITING <---+
 *
 * Nubs and what Create() makes begin as RUNNING. INACTIVE is set when WAITING begins.
 */

enum service_state {
	SERVICE_LAUNCHING,
	SERVICE_INTRODUCING,
	SERVICE_STARTING,
	SERVICE_RUNNING,
	SERVICE_WAITING,
	SERVICE_STOPPING,
	SERVICE_STOPPED,
	SERVICE_GONE,
	SERVICE_STATE_COUNT,
};

enum service_kind { SERVICE_NUB, SERVICE_DRIVER, SERVICE_CHILD, SERVICE_USER_CLIENT };

struct service {
	unsigned n_ref;
	struct realm *realm;             /* borrowed */
	struct adxi_list link;           /* in realm->services */
	struct entry *entry;             /* owned reference */
	struct server *server;           /* owned reference */
	struct adxi_list server_link;    /* in server->services */
	struct personality *personality; /* owned reference; drivers */
	enum service_kind kind;
	enum service_state state;
	bool start_pending;           /* StartService is not answered */
	bool register_pending;        /* RegisterService in Start */
	bool ran;                     /* was RUNNING at some time */
	bool crashed;                 /* its process went */
	bool hosted;                  /* its process holds an object: ReleaseService at the end */
	bool stop_done;               /* Stop need not be asked */
	bool warned;                  /* T65 was told */
	unsigned n_openings;          /* NewUserClient under way */
	struct connection *opener;    /* borrowed; user clients */
	struct adxi_list opener_link; /* in opener->clients */
	struct adxi_source *timer;    /* owned: Stop takes long */
	uint64_t since_ns;            /* of the state */
	uint64_t ran_ns;              /* how long it was RUNNING, when it no longer is */
	OSArray *openers; /* owned reference, or NULL: entry ids that have it open (SetOpen) */
	bool charged;            /* its process published it, and has it on its account */
	uint64_t property_bytes; /* the same, of what it published and set */
};

/** Start @p personality's driver on @p provider. */
int service_start(struct entry *provider, struct personality *personality, struct realm *realm);
/** New service in the RUNNING state: a nub, or what Create() made in a driver's process. */
int service_publish(struct server *server, struct entry *parent, const OSArray *classes,
		    const char *user_class, const char *name, const char *location,
		    const OSDictionary *properties, struct service **ret_service);
struct service *service_ref(struct service *service);
struct service *service_unref(struct service *service);
/** RegisterService(): now, or when Start has succeeded. */
void service_register(struct service *service);
/** Its process has checked in. */
void service_server_ready(struct service *service);
/** Its process is gone. */
void service_server_gone(struct service *service);
/** Terminate @p victim and all below it. Idempotent, asynchronous. */
void service_terminate(struct service *victim);
/** The driver says that super::Stop ran, or that the object never started. */
void service_stopped(struct service *service);
/** An opening ended: the gate may open. */
void service_opening_done(struct service *service);
struct service *service_find(struct realm *realm, uint64_t entry_id);
const char *service_state_name(enum service_state state);

/* ---------------------------------------------------------------------------------------------
 * provider.c: matching of drivers for one entry, categories, relaunch
 */

/** Registered: tell it, and look for drivers. Also with entries that nobody hosts. */
void provider_register(struct realm *realm, struct entry *entry);
/** Look for drivers (again): the catalogue changed, or a driver has gone. */
void provider_match(struct realm *realm, struct entry *entry);
/** Everything that is registered. */
void provider_match_all(struct realm *realm);
/** The start of a driver on it ended. */
void provider_started(struct realm *realm, struct entry *entry, struct service *service, bool ok);
/** A driver that had started has gone from it, @p crashed or not. */
void provider_driver_gone(struct realm *realm, struct entry *entry, struct service *service);
/** It becomes inactive: nothing more is started on it. */
void provider_end(struct entry *entry);
/** How the process of drivers that have gone ended is known now: they are started again, or not. */
void provider_server_ended(struct realm *realm, const struct server *server);
/** End quarantines: of the bundle or personality @p name, or (NULL) all. @return how many */
unsigned provider_unquarantine(struct realm *realm, const char *name);
/** Forget relaunches and quarantines of a bundle that was replaced. */
void provider_forget_bundle(struct realm *realm, const struct bundle *bundle);
/** Personalities of @p bundle that have crashed, as dictionaries {personality, provider, providerID,
 * crashes, ends, state, nextMs}; only those in quarantine, or all. Appended to @p array. */
void provider_list_restarts(struct realm *realm, const struct bundle *bundle, bool quarantined,
			    OSArray *array);

/* ---------------------------------------------------------------------------------------------
 * notify.c
 */

enum notify_type {
	NOTIFY_PUBLISH,
	NOTIFY_FIRST_PUBLISH,
	NOTIFY_MATCHED,
	NOTIFY_FIRST_MATCH,
	NOTIFY_TERMINATED,
	NOTIFY_WILL_TERMINATE,
	NOTIFY_TYPE_COUNT,
};

/** Type by its name ("IOServiceMatched"), or -ENOENT. */
int notify_type(const char *name);
/** @p observer: retained. -EEXIST: token in use; -EDQUOT. */
int notify_add(struct connection *connection, enum notify_type type, const OSDictionary *matching,
	       OSMetaClassBase *observer, uint64_t token, OSArray **ret_entries);
/** -ENOTSUP: unknown type, or the entry is inactive. */
int notify_add_interest(struct connection *connection, struct entry *entry, const char *type,
			OSMetaClassBase *observer, uint64_t token);
/** -ENOENT */
int notify_remove(struct connection *connection, uint64_t token);
void notify_remove_all(struct connection *connection);
/** Entry reached a state: tell whose dictionaries fit. */
void notify_entry(struct realm *realm, enum notify_type type, struct entry *entry);
/** To general (or busy) interest on an entry. */
void notify_message(struct realm *realm, struct entry *entry, uint32_t message, uint64_t argument);
/** The entry is gone for good: interest in it ends. */
void notify_forget(struct realm *realm, const struct entry *entry);
/** Registered and matched entries that fit. +1, NULL: no memory. Tells why nothing fits (T48, T49,
 * T51, T52). */
OSArray *notify_lookup(struct realm *realm, const OSDictionary *matching, uint32_t state,
		       bool explain);

/* ---------------------------------------------------------------------------------------------
 * open.c
 */

struct OSReply;

/** NewUserClient, introduction, answer. @p reply is taken. */
void open_begin(struct connection *connection, uint64_t entry_id, uint32_t type,
		const OSDictionary *info, struct OSReply *reply);
/** A connection is gone: its openings are not for anybody any more. */
void open_forget(struct connection *connection);
/** Nobody has that user client open any more. */
void open_left(struct service *client);

/* ---------------------------------------------------------------------------------------------
 * wait.c: answers that come later
 */

void wait_quiet(struct connection *connection, struct entry *entry, uint64_t timeout_ns,
		struct OSReply *reply);
void wait_check(struct realm *realm);
/** A connection is gone: nobody waits on it any more. */
void wait_forget(struct connection *connection);
void wait_unload(struct realm *realm, struct bundle *bundle, struct OSReply *reply);
void wait_check_unloads(struct realm *realm);
void device_attach(struct realm *realm, OSString *what, struct OSReply *reply);
void device_detach(struct realm *realm, OSString *what, struct OSReply *reply);
/** A host came or went: go on with device calls that wait for it. */
void device_check(struct realm *realm);
/** Answer everything: the realm is gone. */
void wait_forget_all(struct realm *realm);

/* ---------------------------------------------------------------------------------------------
 * protocol.c, protocol_server.c: what other processes call
 */

OSMetaClassBase *protocol_registry_new(struct connection *connection);
OSMetaClassBase *protocol_server_new(struct server *server);
/** The connection or process behind is gone: calls that still come are refused. */
void protocol_registry_end(OSMetaClassBase *registry);
void protocol_server_end(OSMetaClassBase *server);
/** CopyEntry()'s dictionary. +1, NULL: no memory. */
OSDictionary *protocol_entry_dict(const struct entry *entry);

#endif /* DEXTD_REALM_H */
