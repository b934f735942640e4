/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_INTERNAL_H
#define CHANNEL_INTERNAL_H

/**
 * @file channel/internal.h
 * @brief The channel from inside. Grouped by the file that has the functions.
 *
 * Locks, none held while a hook, a callback or a delivery runs, and never two at once but table inside none, tx inside none:
 *   role   not a lock: `receiving` says that some thread reads the ring. It owns rx, and sleeps for all others.
 *   lock   role, waiters, pending calls, inbox, deliveries
 *   table  exports and imports
 *   tx     ring_tx, queue, packets
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ledger.h"
#include "base/list.h"
#include "channel/channel.h"
#include "channel/ring.h"
#include "object/remote.h"
#include "channel/wake.h"
#include "object/reply.h"

#pragma GCC visibility push(hidden) /* not of libambidext's interface */

#define CHANNEL_QUOTA      (1u << 20)  /* bytes of one-way messages that wait here for room */
#define CHANNEL_ROOM       (CHANNEL_QUOTA / 2) /* threads that wait for room go on when no more wait */
#define CHANNEL_HARD_QUOTA (16u << 20) /* bytes of anything that wait here for room: beyond it the peer is dead */
#define CHANNEL_INCOMING   (64u << 20) /* bytes of delivered requests that this process has not finished */
#define CHANNEL_IMPORTS    (1u << 18)  /* objects of the peer that are known here */
#define CHANNEL_EXPORTS    (1u << 20)
#define CHANNEL_FDS        4096u       /* descriptors that objects of the peer keep here (QUO009) */
#define CHANNEL_SHARED     (64ull << 30) /* bytes of memory that they may map (QUO010) */
#define CHANNEL_DEPTH      32u         /* deliveries inside calls inside deliveries, a thread */

enum channel_state { CHANNEL_OPEN, CHANNEL_DEAD };

/* Something to run in order on a delivering thread: a request, a completion, a last release. */
struct item {
	struct adxi_list link; /* in adxi_channel::inbox */
	void (*run)(struct adxi_channel *channel, struct item *item); /* takes item */
};

/* A thread that cannot go on: for a reply, or for room. On its stack. */
struct waiter {
	struct adxi_list link; /* in adxi_channel::waiters */
	pthread_cond_t wake;
	_Atomic bool done;
	bool wants_room;
	bool asleep;           /* on wake */
	bool chosen;           /* was told to take the role */
	bool has_role;         /* took it before it published, so that an early reply finds this side awake */
	bool own;              /* the thread that waits found its reply itself */
	bool owes_wake;        /* its request was published for one who polls; the peer was not woken */
};

struct call {
	struct waiter waiter;      /* sync */
	struct OSMessage *reply;   /* borrowed from the caller; NULL: async, or no reply wanted */
	IOReturn status;
	OSInvokeDone *done;        /* async; then the struct is on the heap, owned by the table */
	void *context;
	struct item item;
	struct OSMessage *received; /* owned: async reply with its buffers */
	uint64_t transaction;
	adxi_ticket ticket;
	enum adxi_ledger_how how;
};

/* The way back of a request. */
struct call_reply {
	struct OSReply reply;         /* first */
	struct adxi_channel *channel; /* borrowed: whoever has the memory keeps it */
	uint64_t transaction;
	adxi_ticket ticket;
	void (*sent)(struct call_reply *reply); /* called last */
};

struct call_slot {
	struct call *call; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct export {
	OS_OBJECT *object;        /* owned reference */
	struct wire_ref ref;
	uint64_t rights;          /* times that it was sent, less what was given back */
	bool pinned;              /* the door */
	_Atomic bool granted;     /* what the peer needs to build it was sent */
	struct export *next;      /* by object */
	struct item item;
};

struct export_slot {
	struct export *entry; /* owned; NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

/* An object of the peer. Of a proxy it is the remote part; of an accepted native object, what keeps it. */
struct import {
	struct OSRemote remote;          /* first: proxies */
	struct adxi_channel *channel;    /* proxies: owned reference; accepted: borrowed */
	struct wire_ref ref;
	OS_OBJECT *object;               /* proxies: weak; accepted: owned, NULL when it could not be built */
	uint64_t received;               /* rights to give back */
	uint64_t shared_bytes;           /* accepted: charged to the table, as is n_fds */
	uint32_t n_fds;
	bool accepted, linked;
	struct import *next;             /* by index */
	struct import *next_watched;     /* by object, in the process's table */
	struct item item;
};

struct table {
	pthread_mutex_t lock;
	bool closed;
	struct export_slot *slots; /* owned; [0] is the door */
	uint32_t n_slots, capacity, free_head, n_exports;
	struct export **by_object; /* owned; power of two */
	uint32_t by_object_size;
	struct import **by_index;  /* owned; power of two */
	uint64_t by_index_seed;    /* odd, unknown to the peer, which chooses the indices */
	uint32_t by_index_size, n_imports;
	uint32_t n_fds, max_fds;   /* of accepted imports */
	uint64_t shared_bytes;
};

struct queued; /* a message that waits for room */

struct delivery {
	struct adxi_channel *channel;
	struct delivery *outer; /* this thread's */
	struct delivery *below; /* the channel's owner before */
	struct waiter *waiter;  /* while it waits on the same channel; borrowed */
	unsigned depth;
	bool handed_over;
};

struct adxi_channel {
	_Atomic uint32_t refs;
	_Atomic int state;
	char *name;      /* owned */
	const struct adxi_channel_ops *ops; /* borrowed; may be NULL */
	void *userdata;
	unsigned fork_generation;
	int socket, epoll;                /* owned; epoll: -1 until somebody asks for it */
	int bells[ADXI_MAX_BELLS];        /* owned; n_bells: this side sleeps on them */
	int peer_bells[ADXI_MAX_BELLS];   /* owned; n_peer_bells */
	unsigned n_bells, n_peer_bells;
	_Atomic bool takes_edges;         /* bells stay unread; adxi_channel_bells() */
	_Atomic uint32_t n_rung[ADXI_MAX_BELLS];
	_Atomic uint32_t polls_missed;    /* calls that do not trust the peer's polling yet */
	int pid;
	unsigned uid;
	unsigned side;
	struct wire_region *region; /* owned mapping */

	/* role */
	struct ring_rx rx;
	uint32_t fd_sequence_rx;
	struct item *arrived; /* what receive_one() took, until channel_deliver_between() puts it */
	bool immediate;       /* the last one-way message was for an object of a class whose messages run at once */
	const struct waiter *leading; /* borrowed: what the role's thread itself waits for */
	_Atomic bool hung_up; /* the peer is gone; what it sent before is still taken */

	pthread_mutex_t lock;
	bool receiving;
	bool calls_closed;
	struct adxi_list waiters;
	struct adxi_list inbox;
	struct delivery *delivery; /* who delivers; borrowed from its stack */
	_Atomic bool delivers;     /* the same, to look at without the lock */
	const void *deliverer;     /* its thread */
	struct call_slot *calls;   /* owned */
	uint32_t n_calls, calls_free;
	_Atomic uint32_t n_inbox;
	_Atomic uint32_t wakes_owed; /* bytes that are or will be in bells */
	_Atomic uint32_t announced;  /* what consumer_sleeps was set to since the role last looked */
	_Atomic bool closed;         /* by this side: nothing is delivered any more */

	pthread_mutex_t tx_lock;
	struct ring_tx tx;
	uint32_t fd_sequence_tx;
	struct adxi_list queue;
	_Atomic size_t queued_bytes;

	struct table table;

	_Atomic size_t incoming_bytes;
	_Atomic bool told_drop, told_refused;
	_Atomic uint64_t sent, received, calls_pending, dropped, wakes_sent, wakes_received;
	_Atomic uint64_t n_queued;
	_Atomic uint32_t n_waiting;
	_Atomic uint64_t requests; /* received that want a reply */
};

#define CHANNEL_NO_SLOT UINT32_MAX

/* Of a counter that one thread at a time writes (under a lock, with the role) and any may read: no locked instruction. */
#define COUNT(counter, n, order)                                                                                        \
	atomic_store_explicit(&(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + (n), order)

/* channel.c */
/** Dead from now on: everything pending ends, rights are given up, closed() runs. No lock, no role may be held. */
void channel_die(struct adxi_channel *channel, int reason);
/** Reference to a channel that may be ending on another thread, or NULL. */
struct adxi_channel *channel_try_ref(struct adxi_channel *channel);
bool channel_usable(const struct adxi_channel *channel); /* false in a forked child */

/* role.c */
/** Wake whoever sleeps for or polls this side, from this side. */
void channel_kick(struct adxi_channel *channel);
/** Wake the peer if it sleeps: something was published, or there is room. */
void channel_wake_peer(struct adxi_channel *channel);
bool channel_try_role(struct adxi_channel *channel);
/** Give the role to somebody who waits, or else to whoever polls. */
void channel_drop_role(struct adxi_channel *channel);
/** The same. True: something is left that nobody was told of. */
bool role_leave(struct adxi_channel *channel);
/** Sleep for the next message @p ns at most, as a caller does. False: the time is up. [role] */
bool role_linger(struct adxi_channel *channel, uint64_t ns);
/** Look at bells and socket without sleeping. [role] */
void role_look(struct adxi_channel *channel);
/** Wish for a wake. False: something is there already, or room. Without the role @p head is what the role had last. */
bool role_asleep(struct adxi_channel *channel, uint32_t head, enum wire_sleep how);
bool role_pass_locked(struct adxi_channel *channel);
bool role_take_locked(struct adxi_channel *channel);
/** Withdraw the wish for a wake; take the byte that the peer wrote if it was granted. [role] */
void role_awake(struct adxi_channel *channel);
bool inbox_is_ready_locked(const struct adxi_channel *channel);
/** Wait until @p waiter is done, receiving for everybody if nobody else does. It is in waiters. */
void channel_wait(struct adxi_channel *channel, struct waiter *waiter);
void waiter_init(struct waiter *waiter, bool wants_room);
/** Room waiters look again: the queue has become shorter. */
void channel_room(struct adxi_channel *channel);

/* spin.c */
/** Whether a thread of the peer on another processor watches what this one publishes: a caller may spin for its reply. */
bool channel_is_polled(struct adxi_channel *channel);
/** Let the peer know from which processor it is called. */
void channel_say_where(struct adxi_channel *channel);
/** It did not answer in time: the next calls sleep. */
void channel_distrust_polling(struct adxi_channel *channel);
/** Watch the ring for as long as a wake would take. [role] */
bool role_spin(struct adxi_channel *channel);

/* deliver.c */
/** @p reply is about to be sent: take the role if this thread said that it will dispatch. */
void channel_stay_on_reply(struct adxi_channel *channel, const struct OSReply *reply);
/** Run what is in the inbox unless another thread does. */
void channel_deliver(struct adxi_channel *channel);
/** The same with the role, which is given up meanwhile: those who wait may take it, those who poll are not woken.
 *  @retval 0 nothing to run here  @retval 1 it ran  @retval -EBUSY it ran, and somebody has taken the role */
int channel_deliver_between(struct adxi_channel *channel);
/** Append and remember. */
void channel_put(struct adxi_channel *channel, struct item *item);
/** Whether everything that was put has run, so that what came next may. [role] */
bool channel_is_delivered(struct adxi_channel *channel);
/** [lock] */
bool channel_delivers_here(const struct adxi_channel *channel);
/** Whether this thread is inside a delivery of @p channel that it did not hand over. */
bool channel_in_delivery(const struct adxi_channel *channel);
unsigned channel_depth(void);

/* held.c */
static inline uint32_t
hash_pointer(const void *pointer)
{
	return (uint32_t)(((uintptr_t)pointer >> 4) * 0x9e3779b97f4a7c15ull >> 32);
}
int held_export(OS_OBJECT *object);
/** True: no channel exports it any more. */
bool held_unexport(OS_OBJECT *object);
/** Watch import->object, which keeps its reference. -ENOMEM */
int held_accept(struct import *import);
void held_forget(struct import *import);
bool held_is_accepted(OS_OBJECT *object, const struct adxi_channel *channel, struct wire_ref *ret_ref);
/** A channel of which @p object was accepted, +1, or NULL. */
struct adxi_channel *held_accepted_by(OS_OBJECT *object, struct wire_ref *ret_ref);

/* table.c */
extern const struct OSRemoteOps channel_remote_ops;
int table_init(struct table *table);
/** Give up everything. Objects whose last right went are told. */
void table_close(struct adxi_channel *channel);
void table_done(struct table *table);
int table_set_door(struct adxi_channel *channel, OS_OBJECT *door);
/** Reference for a message: rights grow by one. 0, -EPIPE, -ENOMEM, -ENOSPC. @p ret_granted: the peer can build it already. */
int table_export(struct adxi_channel *channel, OS_OBJECT *object, struct wire_ref *ret_ref, bool *ret_granted);
/** What the peer needs to build it was put into the ring. */
void table_granted(struct adxi_channel *channel, struct wire_ref ref);
/** A right that was not sent after all. */
void table_unexport(struct adxi_channel *channel, struct wire_ref ref);
bool table_is_granted(struct adxi_channel *channel, OS_OBJECT *object);
/** Object of the peer's reference, +1. -EPROTO: never granted. -ESTALE. */
int table_resolve(struct adxi_channel *channel, struct wire_ref ref, OS_OBJECT **ret_object);
/** RELEASE came. The item to deliver, if any, is put. 0, -EPROTO. */
int table_released(struct adxi_channel *channel, struct wire_ref ref, uint32_t count, bool wants_freed);
int table_freed(struct adxi_channel *channel, struct wire_ref ref);
/** Known object of the peer, +1 and one right more; -ENOENT; -EBADMSG: it could not be built. [role] */
int table_known(struct adxi_channel *channel, struct wire_ref ref, bool accepted, OS_OBJECT **ret_object);
/** New proxy for a reference, +1. 0, -ENOMEM, -ENOSPC, -EPIPE. [role, or the door] */
int table_import(struct adxi_channel *channel, struct wire_ref ref, const struct OSMetaClass *meta, bool counted,
		 OS_OBJECT **ret_object);
/** Remember a native object that was built for a reference; @p object NULL: it could not be. [role] */
int table_import_accepted(struct adxi_channel *channel, struct wire_ref ref, OS_OBJECT *object, unsigned n_fds,
			  uint64_t shared_bytes);
/** Whether the peer's objects may keep so much more here. False: told. */
bool table_has_room(struct adxi_channel *channel, unsigned n_fds, uint64_t shared_bytes);
/** Reference of @p object if it came from this channel's peer. */
bool table_is_yours(struct adxi_channel *channel, OS_OBJECT *object, struct wire_ref *ret_ref);
/** Proxy of the door if there is a live one of class @p meta, +1. */
OS_OBJECT *table_live_import(struct adxi_channel *channel, struct wire_ref ref, const struct OSMetaClass *meta);

/* send.c */
enum send_policy {
	SEND_WAIT, /* a one-way message that meets the quota waits for room */
	SEND_DROP, /* the same, but it is dropped */
	SEND_QUIET, /* as SEND_WAIT, and the peer polls: it is not woken */
};
/** 0; 1: SEND_QUIET, and the caller owes the peer a wake; -EPIPE dead; -EINVAL an object may not cross (told); -EMSGSIZE; -ENOMEM; -ENOBUFS dropped (told). */
int send_message(struct adxi_channel *channel, struct wire_header *header, const struct OSSpan *spans, uint32_t n_spans,
		 OS_OBJECT *const *objects, uint32_t n_objects, enum send_policy policy);
/** RELEASE, FREED. One that cannot be sent ends the channel: the peer would keep the object for ever. */
void send_control(struct adxi_channel *channel, enum wire_kind kind, struct wire_ref ref, uint32_t count, bool wants_freed);
/** What send_message() said of something that the peer waits for: if it cannot have that, the channel ends. */
void send_must_arrive(struct adxi_channel *channel, int r);
/** Try to get the queue into the ring. -EPROTO, 0. */
int send_flush(struct adxi_channel *channel);
void send_discard(struct adxi_channel *channel);
IOReturn send_status(int error);

/* receive.c */
enum received { RECEIVED_NONE, RECEIVED_SOME };
/** Take one message. -EPROTO (told). [role] */
int receive_one(struct adxi_channel *channel);

/* objects.c */
struct incoming_fds {
	int fds[WIRE_MAX_FDS]; /* owned; -1: claimed */
	unsigned n_fds, next;
};
/** 0; -EPROTO; -EBADMSG and *reterr_status: whole, but this process cannot deliver it. @p ret_objects owned, n_objects. */
int objects_decode(struct adxi_channel *channel, const struct wire_header *header, const uint8_t *payload,
		   struct incoming_fds *fds, OS_OBJECT **ret_objects, IOReturn *reterr_status);
/** Hooks of the nearest class that has some, or NULL. */
const struct OSClassHooks *objects_hooks(const struct OSMetaClass *meta);
bool objects_by_value(const struct OSMetaClass *meta);

/* call.c */
IOReturn call_invoke(struct OSRemote *remote, const struct OSCall *call, struct OSMessage *ret_reply);
IOReturn call_invoke_async(struct OSRemote *remote, const struct OSCall *call, OSInvokeDone *done, void *context);
/** Take the call that waits for @p transaction out of the table: whoever has it must complete it. NULL: there is none. */
struct call *call_detach(struct adxi_channel *channel, uint64_t transaction);
/** Exactly once a call. */
void call_complete(struct adxi_channel *channel, struct call *call, IOReturn status);
/** The same for what was received for @p transaction. [role] */
void call_received(struct adxi_channel *channel, struct call *call, uint64_t transaction, IOReturn status);
/** All that are pending end with @p status. */
void call_fail_all(struct adxi_channel *channel, IOReturn status);
/** Make @p reply one that sends to the peer. Its memory is its maker's. */
void call_reply_init(struct call_reply *reply, struct adxi_channel *channel, uint64_t transaction,
		     void (*sent)(struct call_reply *reply));
/** Answer without content. */
void call_answer(struct adxi_channel *channel, uint64_t transaction, IOReturn status);
/** Send a request on to the process that has its target. Takes @p message. */
void call_forward(struct OSMessage *message);

#pragma GCC visibility pop

#endif /* CHANNEL_INTERNAL_H */
