/* SPDX-License-Identifier: MIT */
#ifndef HOSTILE_RAW_H
#define HOSTILE_RAW_H

/**
 * @file hostile/raw.h
 * @brief An end of a channel without the channel: memory, descriptors, and messages byte by byte. For attackers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/channel.h"
#include "channel/ring.h"
#include "channel/wire.h"

struct raw {
	struct adxi_endpoint end; /* owned */
	struct wire_region *region; /* owned mapping */
	struct ring_tx tx;
	struct ring_rx rx;
	uint32_t fd_sequence;
	uint64_t n_sent;
};

/** Socket that dextd listens on, of $AMBIDEXT_REALM. -errno. */
int raw_socket(void);
/** A channel to dextd. -errno. */
int raw_connect(struct raw *raw);
/** Use an end that was passed: @p endpoint is taken. */
int raw_open(struct raw *raw, struct adxi_endpoint *endpoint);
void raw_close(struct raw *raw);

/** Put a message as it is and wake the peer. False: there is no room, or the peer's words make no sense. */
bool raw_put(struct raw *raw, const struct wire_header *header, const void *body, size_t size);
/** Wake the peer whether it wants it or not. */
void raw_ring_bell(struct raw *raw);
/** Take the next message within @p timeout_ms; @p ret_body (may be NULL) has WIRE_MAX bytes. 1, 0: none came, -EPIPE: hung up. */
int raw_take(struct raw *raw, struct wire_header *ret_header, uint8_t *ret_body, int timeout_ms);
/** Whether the peer gives this end up within @p timeout_ms. */
bool raw_is_evicted(struct raw *raw, int timeout_ms);
/** Descriptors for the next message, with the sequence that the peer expects. */
int raw_send_fds(struct raw *raw, const int *fds, unsigned n_fds);
/** Whether the peer answers a request of @p method without content to object 0 with any reply. */
bool raw_answers(struct raw *raw, uint64_t method);

/** Seeded numbers. */
void random_seed(uint64_t seed);
uint64_t random_word(void);
unsigned random_below(unsigned n);

#endif /* HOSTILE_RAW_H */
