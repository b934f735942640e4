/* SPDX-License-Identifier: MIT */
#ifndef IOKIT_CONNECTION_H
#define IOKIT_CONNECTION_H

/** @file iokit/connection.h
 *  @brief io_connect_t: a user client in a driver's process, reached on a channel of its own.
 *
 *   OPEN --IOServiceClose--> CLOSED (calls: MACH_SEND_INVALID_DEST; mappings stay) --last release--> freed
 *   The peer's death shows in the channel; the state here stays OPEN and calls answer what the channel says. */

#include <DriverKit/IOUserClient.h>

#include "iokit/iokit.h"
#include "iokit/staging.h"

struct adxi_mapping;

struct iokit_mapping {
	struct adxi_list link;            /* in iokit_connection::mappings */
	uint32_t type;
	struct adxi_mapping *mapping;     /* owned reference */
};

struct iokit_connection {
	struct iokit_object object;
	struct adxi_channel *channel;     /* owned reference */
	IOUserClient *client;             /* owned reference: proxy */
	uint64_t client_id, service_id;
	pthread_rwlock_t calls;           /* read: a call is under way; write: closing. Guards closed, for calls */
	_Atomic bool closed;
	_Atomic unsigned n_calls;         /* external methods under way */
	OS_OBJECT *door;                  /* owned reference: ADXClientMemory, offered to the driver */
	pthread_mutex_t lock;             /* guards mappings, shared */
	struct adxi_list mappings;        /* owned struct iokit_mapping::link */
	struct adxi_list shared;          /* owned struct iokit_shared::link (memory.c) */
	_Atomic unsigned n_shared;        /* how many these are */
	struct iokit_staging staging;
};

/** Connection behind a handle, +1. kIOReturnSuccess; MACH_SEND_INVALID_DEST: 0, dead or closed; kIOReturnBadArgument: another
 *  kind, or closed with mappings. */
kern_return_t iokit_connection_get(io_connect_t name, struct iokit_connection **ret_connection);

/* ---- completion.c ---- */

/** Object that a driver's AsyncCompletion() reaches: class ADXCompletion, known to the peer as OSAction. Keeps what it needs
 *  of connection and port. NULL: no memory. @p reference: 8 words. */
OS_OBJECT *iokit_completion_new(struct iokit_connection *connection, struct IONotificationPort *port,
				const uint64_t reference[8], uint32_t selector);
/** The call that passed it has returned @p result. */
void iokit_completion_called(OS_OBJECT *completion, kern_return_t result);

/* ---- memory.c ---- */

struct iokit_shared;

/** The caller's own memory at @p address as a descriptor, so that what the driver writes at any later time shows there
 *  (docs/decisions). Registered with the connection until iokit_memory_unshare(). +1. MACH_SEND_INVALID_MEMORY: not all
 *  of it can be read or, with @p write, written.
 *  @param ret_shared [out] borrowed from the connection; NULL: memory that is registered already, nothing to end */
kern_return_t iokit_memory_share(struct iokit_connection *connection, void *address, size_t size, bool write,
				 struct iokit_shared **ret_shared, IOMemoryDescriptor **ret_memory);
/** The call that shared it has returned. @p kept: the driver may write to it later, so it stays for as long as the
 *  connection. NULL @p shared is allowed. */
void iokit_memory_unshare(struct iokit_connection *connection, struct iokit_shared *shared, bool kept);
/** A copy of the client's memory at @p address, with ADXI_MEMORY flags. +1. MACH_SEND_INVALID_MEMORY. */
kern_return_t iokit_memory_copy(const void *address, size_t size, uint32_t flags, IOMemoryDescriptor **ret_memory);
/** Bring what could not be shared in place (edges of pages) up to date: before a call returns and before a callback runs. */
void iokit_memory_sync(struct iokit_connection *connection);
void iokit_memory_done(struct iokit_connection *connection);

/* ---- client_memory.c ---- */

/** What the driver's CreateMemoryDescriptorFromClient() asks. +1; holds @p connection weakly. NULL: no memory. */
OS_OBJECT *iokit_client_memory_new(struct iokit_connection *connection);
/** The connection is going: no more of its memory is given. NULL is allowed. */
void iokit_client_memory_detach(OS_OBJECT *object);

#endif /* IOKIT_CONNECTION_H */
