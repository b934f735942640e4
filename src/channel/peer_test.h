/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_PEER_TEST_H
#define CHANNEL_PEER_TEST_H

/**
 * @file channel/peer_test.h
 * @brief For the channel's tests: a class by hand whose objects echo, call back, keep and hold; ends with a thread each.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channel/channel.h"
#include "channel/loop.h"
#include "object/classes.h"
#include "object/remote.h"

/* Bells of both ends: more than one, as drivers have. */
#define BELLS ((const unsigned[2]){ 2, 1 })

struct echo {
	struct OSObject super;
	pthread_mutex_t lock;
	OS_OBJECT *kept;              /* owned */
	struct OSReply *held[64];     /* owned */
	_Atomic unsigned n_held;
	_Atomic uint64_t n_posts, last_post, posts_in_order;
	_Atomic unsigned n_no_senders;
	_Atomic unsigned n_stayed, n_answered; /* ECHO_STAY: kept the role; and its own call was answered */
};

extern struct OSMetaClass echo_class;
extern _Atomic int echo_count; /* alive */

/* Methods, in ascending order. */
enum {
	ECHO_NULL = 1,  /* answers nothing */
	ECHO_ECHO,      /* answers what came */
	ECHO_CALL_BACK, /* u64 depth, object: calls the object's CALL_BACK with depth - 1 and itself; answers the depth reached */
	ECHO_POST,      /* one-way: u64 number */
	ECHO_KEEP,      /* keeps the object, or drops what it kept */
	ECHO_GET,       /* answers the kept object */
	ECHO_HOLD,      /* is not answered until hold_release() */
	ECHO_FAIL,      /* u64: answers it as status */
	ECHO_POST_MANY, /* u64 count, object: posts that often to the object, answers when done */
	ECHO_STAY,      /* object: answers, keeps the receiver's role for the next request, and calls the object's ECHO_NULL all the same */
};

struct echo *echo_new(void);
static inline OS_OBJECT *
echo_object(struct echo *echo)
{
	return (OS_OBJECT *)echo;
}
/** Answer everything that is held. */
void echo_unhold(struct echo *echo);

/** Call with content and at most one object; *ret_object (may be NULL) is +1. */
IOReturn echo_call(OS_OBJECT *target, uint64_t method, uint64_t *content, unsigned n_words, OS_OBJECT *object,
		   OS_OBJECT **ret_object);
IOReturn echo_post(OS_OBJECT *target, uint64_t number);

/* One end with its loop in a thread. */
struct end {
	struct adxi_channel *channel; /* owned */
	struct adxi_loop *loop;       /* owned */
	pthread_t thread;
	struct echo *door;            /* owned */
	OS_OBJECT *peer;              /* owned: proxy of the other's door */
	_Atomic int closed, reason;
	bool running;
};

/** Open @p endpoint with a door; @p threaded: dispatch it in a thread. */
void end_open(struct end *end, struct adxi_endpoint *endpoint, const char *name, bool threaded);
void end_close(struct end *end);

#endif /* CHANNEL_PEER_TEST_H */
