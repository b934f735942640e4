/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_PROCESS_H
#define DRIVERKIT_PROCESS_H

/**
 * @file driverkit/process.h
 * @brief The process's side of dextd: its objects, the services that are hosted here, the peers.
 *
 * Threads: everything [any]. Lock order: each lock here is taken alone.
 */

#include <stdbool.h>
#include <stdint.h>

#include <Ambidext/ADXObserver.h>
#include <Ambidext/ADXRegistry.h>
#include <Ambidext/ADXServer.h>
#include <DriverKit/IOService.h>

struct adxi_channel;
struct adxi_endpoint;

/** dextd's objects, borrowed for the life of the process; NULL: not connected. */
ADXRegistry *adxi_process_registry(void);
ADXServer *adxi_process_server(void);
/** Retained; NULL: none. */
void adxi_process_set_dextd(ADXRegistry *registry, ADXServer *server);

/** Service of this process under an entry id, +1, or NULL. */
IOService *adxi_process_find(uint64_t entry_id);
/** Host @p service (retained) as @p entry_id. -ENOMEM. */
int adxi_process_add(uint64_t entry_id, IOService *service);
/** End that; the table's reference goes to the caller. NULL: it was not hosted. */
IOService *adxi_process_take(uint64_t entry_id);

/* ---- peers.c: processes and connections that dextd introduced ---- */

/** Take the endpoint that came with an introduction. 0, -EALREADY: that peer has one, -errno. */
int adxi_peer_add(uint64_t peer_id, OS_OBJECT *endpoint, const char *name);
/** Channel to a peer, +1, or NULL. */
struct adxi_channel *adxi_peer_channel(uint64_t peer_id);
uint64_t adxi_peer_id(struct adxi_channel *channel);
/** The peer's door shall hand out @p entry_id. -ENOENT: no such peer. -ENOMEM. */
int adxi_peer_grant(uint64_t peer_id, uint64_t entry_id);
/** Nobody may name @p service any more. */
void adxi_peers_revoke(uint64_t entry_id, IOService *service);
/** Called, on the Control queue, after a peer is gone. */
void adxi_peers_on_gone(void (*gone)(struct adxi_channel *channel));

/** Tell rule T45 for what is left of other processes' objects, when the driver ends. */
void adxi_peers_report(void);

/* ---- observer.c: one observer for the process ---- */

typedef void adxi_matched_fn(void *context, const uint64_t *entry_ids, uint32_t n_entries);
struct adxi_observation;
/** Have @p matched called, on the Control queue, for services that come (@p type a notification
 * type), and now, from inside, for those that are there. */
kern_return_t adxi_observe(const char *type, OSDictionary *matching, adxi_matched_fn *matched,
			   void *context, struct adxi_observation **ret_observation);
/** No call of matched begins after this, and none runs unless this is called from it. Always NULL.
 */
struct adxi_observation *adxi_observe_end(struct adxi_observation *observation);

/* ---- create.c ---- */

struct adxi_created {
	uint64_t entry_id; /* 0: nothing */
	bool is_client;    /* an IOUserClient */
};
/** What Create() made last in this thread since this was zeroed. */
struct adxi_created *adxi_created(void);
/** Names of @p meta and its supers up to IOService, nearest first; +1; NULL: no memory. */
OSArray *adxi_class_names(const struct OSMetaClass *meta);
/** Whether what runs in this thread was asked for by an application (ADXHost::SetProperties). */
bool *adxi_by_application(void);

#endif /* DRIVERKIT_PROCESS_H */
