/* SPDX-License-Identifier: MIT */
#ifndef IOKIT_IOKIT_H
#define IOKIT_IOKIT_H

/**
 * @file iokit/iokit.h
 * @brief Inside of the client library: handles, the session with dextd, ports, iterators, connections.
 *
 *   io_object_t --handle.c--> struct iokit_object: entry | iterator | interest | connection | port | main port
 *
 * A handle holds one reference on its object for as long as the user holds any on the handle; functions take one more
 * while they work (iokit_get / iokit_put), so that a release in another thread never frees what is in use.
 *
 * Lock order: connection.calls, handle table, port.lock, iterator.lock, session.lock. No lock is held in a call to dextd or a
 * driver (except connection.calls, read), nor in a user's callback.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <IOKit/IOKitLib.h>

#include "base/list.h"
#include "channel/channel.h"
#include <Ambidext/ADXRegistry.h>

enum iokit_kind {
	IOKIT_NONE,
	IOKIT_MAIN_PORT,
	IOKIT_ENTRY,
	IOKIT_ITERATOR,   /* registry iterators, matching results and matching notifications */
	IOKIT_INTEREST,
	IOKIT_CONNECTION,
	IOKIT_PORT,
	IOKIT_KIND_COUNT,
};

struct iokit_object {
	enum iokit_kind kind;
	_Atomic unsigned n_ref;
	io_object_t name;                        /* 0: no handle */
	void (*destroy)(struct iokit_object *);  /* last reference gone; frees */
	void (*unnamed)(struct iokit_object *);  /* last user reference gone, before the handle's is; may be NULL */
};

/* ---- handle.c ---- */

void iokit_object_init(struct iokit_object *object, enum iokit_kind kind, void (*destroy)(struct iokit_object *));
/** Name for @p object with one user reference; the handle takes over the caller's reference. 0: no memory
 *  (the reference is given up). */
io_object_t iokit_name(struct iokit_object *object);
/** Name for registry entry @p entry_id, +1: the same one while any is held. 0: no memory. */
io_object_t iokit_name_entry(uint64_t entry_id);
/** Object of @p name if it is of @p kind (IOKIT_NONE: any), +1, else NULL. */
struct iokit_object *iokit_get(io_object_t name, enum iokit_kind kind);
struct iokit_object *iokit_ref(struct iokit_object *object);
void iokit_put(struct iokit_object *object);
void iokit_putp(struct iokit_object **object);
#define iokit_auto __attribute__((cleanup(iokit_putp)))
/** Entry id behind a service or registry entry handle. kIOReturnSuccess, MACH_SEND_INVALID_DEST (0, dead),
 *  kIOReturnBadArgument (a handle of another kind). */
kern_return_t iokit_entry_id(io_object_t name, uint64_t *ret_entry_id);
/** Number of handles in use, for leak checks. */
unsigned iokit_handle_count(void);

/* ---- session.c ---- */

/** dextd's registry of the realm ($AMBIDEXT_REALM), connected on first use and again after dextd went. Borrowed; NULL: there is
 *  no dextd (rule CLI001 told). */
ADXRegistry *iokit_registry(void);
/** The observer object that dextd calls for this process. Borrowed, not NULL after iokit_registry() succeeded. */
ADXObserver *iokit_observer(void);
/** Have receivers (ports) also watch this channel; until it is closed. */
int iokit_watch_channel(struct adxi_channel *channel);
void iokit_unwatch_channel(struct adxi_channel *channel);
/** epoll instance over every channel of the process. Borrowed; -1: none. */
int iokit_receive_fd(void);
/** Take in what every channel has, without waiting. */
void iokit_receive(void);
/** 0 or a name of the main port: fine; else kIOReturnNotPrivileged. */
kern_return_t iokit_check_main_port(mach_port_t port);

/* ---- port.c ---- */

struct IONotificationPort;

struct iokit_event {
	struct adxi_list link;                      /* in IONotificationPort::events */
	void (*run)(struct iokit_event *event);     /* calls the user; the event is freed after */
	void (*done)(struct iokit_event *event);    /* frees what it holds */
	struct iokit_object *source;                /* owned reference: iterator, interest or connection */
	uint64_t time_ns;                           /* when it was posted while nobody received; 0: else */
	struct iokit_event_block *block;            /* what it lies in; NULL: memory of its own */
};

/** Queue @p event (taken) for @p port and wake whoever receives there. */
void iokit_port_post(struct IONotificationPort *port, struct iokit_event *event);
/** The same for many small events: memory of @p size bytes (IOKIT_EVENT_MAX) is the port's, zeroed up to the end of struct
 *  iokit_event, and filled by @p fill, with a leaf lock held. Without memory, or on a destroyed port, nothing is filled.
 *  False then. */
bool iokit_port_post_small(struct IONotificationPort *port, size_t size, void (*fill)(struct iokit_event *event, void *context),
			   void *context);
#define IOKIT_EVENT_MAX 512u
struct iokit_object *iokit_port_object(struct IONotificationPort *port);
/** Port behind a wake port name, +1 (give back with iokit_put(iokit_port_object())), or NULL. */
struct IONotificationPort *iokit_port_get(mach_port_t name);

/* ---- iterator.c, notify.c ---- */

/** Iterator over a fixed list of ids (an array of OSNumber). @return its name, 0: no memory */
io_iterator_t iokit_iterator_over(CFArrayRef entry_ids);
/** dextd told of a match or message for @p token. */
void iokit_notify_matched(uint64_t token, CFArrayRef entry_ids);
void iokit_notify_message(uint64_t token, uint64_t entry_id, uint32_t type, uint64_t argument,
			  const uint8_t *data, uint32_t data_count);

#endif /* IOKIT_IOKIT_H */
