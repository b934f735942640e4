/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_CHANNEL_H
#define CHANNEL_CHANNEL_H

/**
 * @file channel/channel.h
 * @brief A connection between two processes: messages, objects by capability, descriptors, liveness.
 *
 *   socket (seqpacket): liveness (HUP), descriptors, bootstrap      memory (memfd, sealed): a ring each way
 *   bells (pipes): some a direction; the sender writes one only when the receiver said that it sleeps on them
 *
 * States: OPEN --close()--> CLOSED        OPEN --peer gone, protocol error--> DEAD --close()--> CLOSED
 * DEAD: every pending call ends with MIG_SERVER_DIED, every right that the peer held is given up
 * (hooks->no_senders), every proxy answers MACH_SEND_INVALID_DEST; closed() is told once. What the peer sent before it
 * went is delivered first. close() does the same for this side, without closed().
 *
 * A process names only what it was given: references are {index, generation} in a table of the channel. Index 0
 * is the "door": an object that each side may offer from the start. A peer that sends anything malformed is dead
 * from then on, with rule CHN00n told; nothing that it wrote is looked at twice in shared memory.
 *
 * Back-pressure: what finds no room in the ring waits in this process, and goes when the peer makes room. One-way messages
 * do so up to 1 MiB; beyond it a sending thread waits, except inside a delivery of the same channel that was not handed over,
 * where the message is dropped, counted and told (rule CHN003). Anything up to 16 MiB; then the peer is given up (CHN004).
 * Receiving never waits for sending, so no two sides can wait for each other's room. Requests that this side does not finish
 * count too: above 64 MiB of them new ones are refused (CHN007).
 *
 * Receiving: one thread at a time reads the ring, for all: the one that dispatches, or one that waits for a reply. Requests
 * go to a list in the order of their arrival, and one thread at a time delivers from it, in that order, while others may
 * go on receiving; a thread that waits inside a delivery delivers what comes meanwhile. adxi_channel_hand_over() lets the next
 * thread deliver.
 *
 * Threads: everything [any] unless it says otherwise. No lock is held while an object's hook, a reply callback or a delivery
 * runs; hooks->grant and accept must not call through the channel. docs/channel.md has the format and the waking.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ambidext/class.h>

struct adxi_channel;

#define ADXI_MAX_BELLS 4u
/** Bells of a process that has threads bound to processors (a driver, a host): one a processor up to ADXI_MAX_BELLS. Others
 *  have one. */
unsigned adxi_bells(void);
/** Which of a receiver's @p n_bells a thread on this processor rings. A hint: the thread may move. */
unsigned adxi_bell_here(unsigned n_bells);

/* One end before it is opened: what an introduction passes. All descriptors owned, CLOEXEC; -1 when taken. */
struct adxi_endpoint {
	int socket;
	int memory;
	int wake_receive[ADXI_MAX_BELLS]; /* I sleep on them; the first n_receive */
	int wake_send[ADXI_MAX_BELLS];    /* I write them; the first n_send */
	unsigned n_receive, n_send;       /* 1 to ADXI_MAX_BELLS */
	uint32_t side;                    /* 0 or 1: which ring is mine to send */
};

/** Make both ends of a new connection: memfd sealed against resizing, bells, socket pair. @p n_bells: for each end to sleep on.
 *  0, -ENOMEM, -EMFILE. */
int adxi_endpoint_pair(const unsigned n_bells[2], struct adxi_endpoint ret_ends[2]);
/** Close what is still owned. Any state, also zeroed-with--1. */
void adxi_endpoint_done(struct adxi_endpoint *endpoint);
#define ADXI_ENDPOINT_NONE ((struct adxi_endpoint){ .socket = -1, .memory = -1 })

/** Bootstrap over a connected SOCK_SEQPACKET socket (dextd's listening socket): the server makes the region and sends
 *  it, the client receives and checks seals, size and version. The socket becomes the channel's. Server: does not
 *  block. Client: waits at most @p timeout_ms. 0, -EPROTO (told), -ETIMEDOUT, -errno. @p socket is taken, also on failure. */
int adxi_endpoint_serve(int socket, struct adxi_endpoint *ret_endpoint);
/** The same, where the server has no room for this client (-EDQUOT there, told). Takes @p socket. */
void adxi_endpoint_refuse(int socket);
int adxi_endpoint_connect(int socket, int timeout_ms, struct adxi_endpoint *ret_endpoint);

/* An endpoint as an object, so that it can be a parameter of a method: class ADXEndpoint (interfaces/Ambidext/ADXEndpoint.iig),
 * whose hooks pass the descriptors. */
/** New object that owns @p endpoint (taken). NULL: no memory (endpoint closed). */
OS_OBJECT *adxi_endpoint_object(struct adxi_endpoint *endpoint);
/** Move the endpoint out of an object that arrived. -EINVAL: not an endpoint; -EBADF: already moved out. */
int adxi_endpoint_take(OS_OBJECT *object, struct adxi_endpoint *ret_endpoint);

struct adxi_channel_ops {
	/* The channel is dead: peer gone (reason 0), or -EPROTO (it broke the format), -errno. Once; on the thread that
	 * noticed. The channel stays valid until adxi_channel_unref. May be NULL. */
	void (*closed)(struct adxi_channel *channel, void *userdata, int reason);
	/* A request or one-way message came. NULL: OSDeliver(message). @p message is taken. */
	void (*request)(struct adxi_channel *channel, void *userdata, struct OSMessage *message);
	/* A call has waited for the realm's patience (adxi_patience_ns()) since it began or since the last time; on the thread that
	 * waits. It must not call over this channel. May be NULL. */
	void (*waits_long)(struct adxi_channel *channel, void *userdata);
};

/**
 * Start using an end.
 *
 * @param endpoint  taken, also on failure
 * @param name      for the log, copied: "dextd", "app pid 12"
 * @retval -EPROTO  seals or sizes are not those of a channel (told)
 */
int adxi_channel_open(struct adxi_endpoint *endpoint, const char *name, const struct adxi_channel_ops *ops,
		      void *userdata, struct adxi_channel **ret_channel);
/** Offer an object as index 0 (retained). Before the peer's first call, best before open returns to a loop. */
void adxi_channel_set_door(struct adxi_channel *channel, OS_OBJECT *door);
/** Proxy for the peer's door, +1, of class @p meta (trusted: it is this side that says the class). NULL: no memory. */
OS_OBJECT *adxi_channel_copy_door(struct adxi_channel *channel, const struct OSMetaClass *meta);
/** Dead at once for both; idempotent. Pending calls end. Does not wait for dispatches on other threads. */
void adxi_channel_close(struct adxi_channel *channel);
struct adxi_channel *adxi_channel_ref(struct adxi_channel *channel);
/** The last one closes. Always NULL. Proxies hold references of their own. */
struct adxi_channel *adxi_channel_unref(struct adxi_channel *channel);

/**
 * Descriptor to poll for POLLIN: something may be there, or the peer died. Borrowed; an epoll instance over the bells
 * and the socket, made at the first call, so it can be added to another epoll, a poll() or a run loop. Level-triggered: every
 * dispatch leaves the peer's sender told that this side sleeps, and the descriptor readable if something is left. -errno.
 */
int adxi_channel_fd(struct adxi_channel *channel);
/* For a receiver whose threads are bound to processors: */
/** The channel's bells, one a group of threads, and its socket, each to be polled edge-triggered (borrowed; bells for EPOLLIN, the
 *  socket for its hang-up alone). From now on bells are not read, but by adxi_channel_rung(). @return how many bells */
unsigned adxi_channel_take_edges(struct adxi_channel *channel, int ret_bells[ADXI_MAX_BELLS], int *ret_socket);
/** An edge of that bell came; dispatch next. */
void adxi_channel_rung(struct adxi_channel *channel, unsigned bell);
/** The socket's edge came; dispatch next. */
void adxi_channel_hung_up(struct adxi_channel *channel);
/**
 * Said by a thread that is about to run the method that @p reply (borrowed) belongs to, and dispatches when it has run: when the
 * reply is sent the thread takes the receiver's role, so the caller's next request finds this side awake and needs no wake. Until
 * adxi_channel_resume() or adxi_channel_leave() nobody else receives: nothing may run meanwhile that could wait. A deferred
 * reply, or a role that another thread has, changes nothing. NULL: no reply is expected any more.
 */
void adxi_channel_stay(const struct OSReply *reply);
/** Channel whose role this thread took by that, borrowed, or NULL. */
struct adxi_channel *adxi_channel_stayed(void);
/** Give it up. No-op without. */
void adxi_channel_leave(void);
/** adxi_channel_dispatch() of it. If nothing is there, sleep for it first, @p linger_ns at most: a caller on this processor wakes
 *  this thread then at less cost than by a bell. */
int adxi_channel_resume(unsigned budget, uint64_t linger_ns);
/** Whether the peer's last call came from a processor of that bell. */
bool adxi_channel_is_called_from(const struct adxi_channel *channel, unsigned bell);
/** Tell the peer's callers that a thread of group @p bell watches the ring, so that they neither wake nor sleep at once. False: another
 *  one does, or AMBIDEXT_SPIN=off. */
bool adxi_channel_set_polled(struct adxi_channel *channel, unsigned bell);
void adxi_channel_end_polled(struct adxi_channel *channel);
/** Calls that came so far. */
uint64_t adxi_channel_requests(const struct adxi_channel *channel);
/** Watch the ring without the role until @p until_ns. True: something is there; dispatch. */
bool adxi_channel_spin(struct adxi_channel *channel, uint64_t until_ns);
/**
 * Receive what is there: replies go to their callers, requests to ops->request. At most @p budget messages.
 * Several threads may call it; one works, the others return 0 at once.
 *
 * @return messages handled (0: none, or another thread is at it), -EPIPE: dead
 */
int adxi_channel_dispatch(struct adxi_channel *channel, unsigned budget);
/** Call @p each for every object of the peer's that this process still refers to: proxies, and native ones that somebody besides the
 *  channel holds. Under the channel's lock: @p each makes no calls. */
void adxi_channel_each_held(struct adxi_channel *channel, void (*each)(void *context, const OS_OBJECT *object), void *context);
/**
 * Said inside a delivery by a runtime that has put the message in its order and now runs it on this thread: the next
 * messages may be delivered by other threads meanwhile, and one that polls is woken for them. No-op elsewhere.
 */
void adxi_channel_hand_over(void);

bool adxi_channel_is_dead(const struct adxi_channel *channel);
const char *adxi_channel_name(const struct adxi_channel *channel);
void *adxi_channel_userdata(const struct adxi_channel *channel);
/** pid and uid of the peer at the time of bootstrap or introduction: SO_PEERCRED of the socket; 0 unknown. */
void adxi_channel_peer(const struct adxi_channel *channel, int *ret_pid, unsigned *ret_uid);

/** Channel that @p object is a proxy on, borrowed, or NULL for native objects. */
struct adxi_channel *adxi_channel_of(const OS_OBJECT *object);
/** Channel whose message the calling thread is delivering (through OSDeliver or ops->request), or NULL. Borrowed. */
struct adxi_channel *adxi_channel_current(void);

/** Take back a native object that was granted on this channel (generation advances; later uses answer
 *  MACH_SEND_INVALID_DEST, or MACH_SEND_INVALID_RIGHT as an argument). hooks->no_senders is not told. */
void adxi_channel_revoke(struct adxi_channel *channel, OS_OBJECT *object);

/** Objects that the peer passes may keep at most @p n descriptors in this process (rule QUO009). Before the first message. */
void adxi_channel_limit_descriptors(struct adxi_channel *channel, unsigned n);

/* Counters, for tests, `dext list --json` and leak checks. */
struct adxi_channel_stats {
	uint64_t sent, received, calls_pending, dropped, wakes_sent, wakes_received;
	uint64_t queued;             /* messages that ever had to wait for room */
	uint32_t waiting;            /* that do now */
	uint32_t exported, imported; /* entries in the tables now */
	uint32_t descriptors;        /* that objects of the peer keep here */
	uint64_t shared_bytes;       /* of its memory that they may map */
};
void adxi_channel_get_stats(struct adxi_channel *channel, struct adxi_channel_stats *ret_stats);

#endif /* CHANNEL_CHANNEL_H */
