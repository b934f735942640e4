/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_HOST_H
#define DRIVERKIT_HOST_H

/**
 * @file driverkit/host.h
 * @brief A family host's process (usbhost): its nubs, its devices, its peers. Exported by
 * libDriverKit, not installed.
 *
 *   start --> publish --> register --(drivers match, open, call)--> terminate --> released
 *
 * A nub is a native object of a KERNEL class that the host implements. libDriverKit serves
 * everything of IOService on it; when dextd stops it, it is stopped at once (a nub has no Start and
 * Stop of its own).
 *
 * Methods of objects of KERNEL classes other than OSAction run in no queue: on whichever worker
 * received them, in the order in which one peer sent them, several peers at once. A host locks for
 * itself and does not block there (deferred replies, see docs/iig.md).
 *
 * Threads: everything [any], except start and run.
 */

#include <stdint.h>

#include <ambidext/classes.h>

struct adxi_channel;

struct adxi_host_ops {
	/* `dext attach WHAT`. On a worker; may block and may publish. *ret_entry: the new nub's.
	 * Not 0: *ret_problem is a sentence, malloc'd. NULL: this host's devices come by
	 * themselves. */
	int (*attach)(void *userdata, const char *what, uint64_t *ret_entry, char **ret_problem);
	int (*detach)(void *userdata, const char *what, char **ret_problem);
	/* dextd detached the nub: the process gave up its own reference, nobody can open it any
	 * more. May be NULL. */
	void (*released)(void *userdata, IOService *nub);
	/* A peer's channel is dead: every proxy on it leads nowhere, its rights on objects here are
	 * gone. Compare adxi_channel_of(client). May be NULL. */
	void (*peer_closed)(void *userdata, struct adxi_channel *channel);
	/* dextd says that the process is to end, or dextd has gone; adxi_host_run() returns after
	 * it. May be NULL. */
	void (*ending)(void *userdata);
};

/** Check in with the dextd that started this process (its environment says how) and start workers.
 * 0, -errno (told on stderr). @p ops is borrowed for ever; NULL: a dext, which publishes nothing by
 * itself. */
ADX_API int adxi_host_start(const struct adxi_host_ops *ops, void *userdata);
/** Serve until dextd says Exit or goes away. Exit status. */
ADX_API int adxi_host_run(void);

/**
 * A registry entry for @p nub, which is retained until it is released. Not matched before
 * IOService_RegisterService(nub).
 *
 * @param provider    a nub of this process, or NULL: the root
 * @param name        copied; NULL: the class's name
 * @param location    what stands after '@', or NULL
 * @param properties  borrowed; copied
 * @param ret_entry   may be NULL
 */
ADX_API IOReturn adxi_host_publish(IOService *nub, IOService *provider, const char *name,
				   const char *location, OSDictionary *properties,
				   uint64_t *ret_entry);
/** Merge into the nub's properties. */
ADX_API IOReturn adxi_host_set_properties(IOService *nub, OSDictionary *properties);
/** The device is gone: the nub, and all below it, are terminated. Asynchronous; ops->released
 * follows for each nub. */
ADX_API IOReturn adxi_host_terminate(IOService *nub);

/** Peer whose call runs in this thread, borrowed for the call; NULL: a call of this process. */
ADX_API struct adxi_channel *adxi_host_caller(void);
/** End the process: no destructors run under threads that may still work. */
ADX_API void adxi_host_exit(int status) __attribute__((noreturn));

#endif /* DRIVERKIT_HOST_H */
