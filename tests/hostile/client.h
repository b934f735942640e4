/* SPDX-License-Identifier: MIT */
#ifndef HOSTILE_CLIENT_H
#define HOSTILE_CLIENT_H

/**
 * @file hostile/client.h
 * @brief An honest beginning for hostile clients, over the protocol's own stubs.
 */

#include <sys/types.h>

#include <Ambidext/ADXDoor.h>
#include <Ambidext/ADXRegistry.h>
#include <DriverKit/IOUserClient.h>

#include "raw.h"

struct client {
	struct adxi_channel *channel; /* owned */
	ADXRegistry *registry;        /* owned reference */
	ADXObserver *observer;        /* owned reference */
};

struct user_client {
	uint64_t id;
	struct adxi_endpoint end;     /* owned until user_client_connect() */
	struct adxi_channel *channel; /* owned */
	ADXDoor *door;                /* owned reference */
	IOUserClient *client;         /* owned reference */
};

/* One row of what is done and what has to come of it. */
struct attack {
	const char *name;
	const char *does;
	const char *must;
	const char *rule;         /* that the realm's log must tell; NULL: none */
	const char *(*run)(void); /* NULL: as it must be; else what was wrong */
};

/** This file's rows; each array ends with a row without a name. */
extern const struct attack dextd_attacks[], channel_attacks[], boundary_attacks[];

extern uint64_t n_heard; /* by observers */

bool client_connect(struct client *client);
void client_close(struct client *client);
OSDictionary *dictionary(const char *key, const char *value);
/** Entry of that name; 0: none. */
uint64_t client_find(struct client *client, const char *name);
/** IOServiceOpen, up to the end of the direct channel. */
IOReturn client_open(struct client *client, const char *name, struct user_client *ret);
/** Use that end honestly: the driver's user client as a proxy. */
IOReturn user_client_connect(struct user_client *user);
void user_client_close(struct user_client *user);
IOReturn user_client_sum(struct user_client *user, uint64_t a, uint64_t b, uint64_t *ret_sum);
pid_t dextd_pid(void);

/** "what was wrong", formatted; one at a time. */
const char *wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* HOSTILE_CLIENT_H */
