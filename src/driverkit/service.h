/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_SERVICE_H
#define DRIVERKIT_SERVICE_H

/**
 * @file driverkit/service.h
 * @brief IOService inside: identity in the registry, provider, queues, state.
 *
 *   NEW --Start entered--> STARTING --success--> STARTED --Stop entered--> STOPPING
 *                             |                                               |
 *                             `--failure (Stop is not called)--> STOPPED <----'--IOService::Stop
 *
 * Proxies have an identity only, filled in when it is first asked for.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <DriverKit/IOService.h>

struct adxi_queue;

enum adxi_service_state {
	SERVICE_NEW,
	SERVICE_STARTING,
	SERVICE_STARTED,
	SERVICE_STOPPING,
	SERVICE_STOPPED,
};

struct adxi_service_queue {
	char *name;             /* owned; NULL: Default */
	IODispatchQueue *queue; /* owned reference */
};

struct IOService_IVars {
	uint64_t entry_id;    /* atomic; 0: none */
	pthread_mutex_t lock; /* guards all below; taken alone */
	enum adxi_service_state state;     /* atomic reads without the lock */
	IOService *provider;               /* owned reference until hosting ends */
	struct adxi_service_queue *queues; /* owned array */
	unsigned n_queues;
};

/* What a service is born with: set by the host around init(), so that init() already knows it. */
struct adxi_service_identity {
	uint64_t entry_id;
	IOService *provider; /* borrowed; retained by the service */
};

/** New object of @p meta with an identity, init() run. +1. kIOReturnNoMemory, kIOReturnUnsupported
 * (init() said no). */
kern_return_t adxi_service_new(const struct OSMetaClass *meta,
			       const struct adxi_service_identity *identity,
			       IOService **ret_service);
/** State of a native service; STOPPED for proxies. */
enum adxi_service_state adxi_service_state(IOService *service);
void adxi_service_set_state(IOService *service, enum adxi_service_state state);
/** Whether messages may still run: it has not stopped. */
bool adxi_service_accepts(IOService *service);
/** End of hosting: give up the provider, so that cycles end. */
void adxi_service_release_provider(IOService *service);
/** Entry id of a native service or a proxy, 0: it has none. Asks the peer for a proxy's, once. */
uint64_t adxi_service_entry_id(const IOService *service);
/** Say that @p service, a proxy, is entry @p entry_id. */
void adxi_service_set_entry_id(IOService *service, uint64_t entry_id);

/** Queue under @p name (NULL: Default), else Default, +1, or NULL: it has none yet. */
struct adxi_queue *adxi_service_queue(IOService *service, const char *name);
kern_return_t adxi_service_set_queue(OSObject *object, const char *name, IODispatchQueue *queue);
kern_return_t adxi_service_copy_queue(OSObject *object, const char *name, IODispatchQueue **queue);

#endif /* DRIVERKIT_SERVICE_H */
