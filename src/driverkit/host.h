/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_HOST_H
#define DRIVERKIT_HOST_H

/**
 * @file driverkit/host.h
 * @brief Being a process that hosts services: connect to dextd, serve its commands, publish nubs.
 *
 * A dext's main() uses connect and serve. A family host (usbhost) also publishes: it makes a native object of a
 * KERNEL class whose glue it compiles with -DKERNEL=1, publishes and registers it; dextd introduces drivers, whose
 * calls arrive as X_method_Impl on the object's Default queue.
 *
 *   object --publish--> entry --register--> matched, introduced, called --terminate--> (dextd stops its clients) --> released()
 *
 * Threads: everything [any] unless it says otherwise.
 */

#include <stdint.h>

#include <DriverKit/IOService.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSString.h>

struct adxi_channel;
struct adxi_queue;

/* What a host is told. NULL members: not supported, or nothing to do. Called on a worker, one at a time for attach and detach. */
struct adxi_host_ops {
	/* `dext attach WHAT`. @p ret_entry_id: the nub, published. @p ret_problem: +1 sentence when it fails. May block. */
	kern_return_t (*attach)(void *userdata, const char *what, uint64_t *ret_entry_id, OSString **ret_problem);
	kern_return_t (*detach)(void *userdata, const char *what, OSString **ret_problem);
	/* dextd has let go of a published service: nobody will call it any more. Borrowed. */
	void (*released)(void *userdata, IOService *service);
	/* A peer (a driver's process) is gone, with all its rights: close what it had opened. Borrowed for the call. Nothing of it is
	 * running or queued on the Control queue. */
	void (*peer_gone)(void *userdata, struct adxi_channel *channel);
	/* Queue, +1, for calls of peers on objects that are no services (pipes); NULL: the Root queue, one for all. */
	struct adxi_queue *(*place)(OSMetaClassBase *target, const struct OSMethod *method);
	/* The process is to end with this status: last words. */
	void (*exiting)(void *userdata, int status);
};

/**
 * Connect, start workers, check in.
 *
 * @param socket  connected to dextd; taken
 * @param token   from the environment
 * @param ops     may be NULL; kept
 * @retval -EPERM     dextd does not know the token
 * @retval -EALREADY  connected
 * @retval -EPROTO, -ETIMEDOUT, -ENOMEM, -errno
 */
int adxi_host_connect(int socket, const char *token, const struct adxi_host_ops *ops, void *userdata);
/** Serve in this thread too until dextd says Exit or is gone. @return the status to exit with */
int adxi_host_serve(void);
/** End the process as a host or driver does: no destructors run under threads that may still work. */
__attribute__((noreturn)) void adxi_host_exit(int status);

/** The realm as CheckIn described it, borrowed; NULL before. */
OSDictionary *adxi_host_realm(void);

/**
 * Make @p service (native, init() done) an entry below @p provider_id (0: the root).
 *
 * @param classes   names it matches by, nearest first, NULL-terminated: "IOUSBHostDevice", "IOService"
 * @param location  may be NULL
 * @param properties  borrowed; may be NULL
 */
kern_return_t adxi_host_publish(IOService *service, uint64_t provider_id, const char *const *classes, const char *name,
				const char *location, OSDictionary *properties, uint64_t *ret_entry_id);
/** Ask for the end of a published service and all above it: unplug. */
kern_return_t adxi_host_terminate(IOService *service);

/** Peer whose call runs in this thread, borrowed for the call; NULL: none. */
struct adxi_channel *adxi_host_caller(void);
/** dextd's id of a peer's process or connection, 0: not a peer. */
uint64_t adxi_host_peer_id(struct adxi_channel *channel);

#endif /* DRIVERKIT_HOST_H */
