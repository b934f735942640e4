/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_RING_H
#define CHANNEL_RING_H

/**
 * @file channel/ring.h
 * @brief One direction of a channel: records in shared memory, one producer, one consumer.
 *
 * The peer may write anything into the shared words at any time. So: own index, size and mask are private; the peer's
 * index is loaded once and must lie within one ring of the own one; a header is copied once and checked from the copy;
 * a body's place follows from private values only, and its reader copies it before looking at it.
 *
 * Threads: one at a time each side; the caller sees to it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "channel/wire.h"

#pragma GCC visibility push(hidden) /* not of libambidext's interface */

struct ring_tx {
	struct wire_direction *shared; /* borrowed from the mapping */
	uint8_t *data;                 /* borrowed: WIRE_RING_SIZE bytes */
	uint32_t tail;                 /* published */
	uint32_t head_seen;
	uint32_t reserved;             /* tail after the record being written */
};

struct ring_rx {
	struct wire_direction *shared;
	const uint8_t *data;
	uint32_t head;                 /* published */
	uint32_t tail_seen;
	uint32_t taken;                /* record size of the message that was peeked */
};

void ring_tx_init(struct ring_tx *ring, struct wire_region *region, unsigned side);
void ring_rx_init(struct ring_rx *ring, struct wire_region *region, unsigned side);

/** Room for @p size bytes (at most WIRE_MAX), in one piece. 0, -EAGAIN: no room now, -EPROTO. */
int ring_reserve(struct ring_tx *ring, uint32_t size, uint8_t **ret_place);
/** Make the reserved record visible. The consumer may sleep: wake it by ring_wake_consumer()'s answer. */
void ring_publish(struct ring_tx *ring);
/** How the consumer is to be woken; WIRE_AWAKE: it need not be. Whoever gets another answer must do it. [any] */
enum wire_sleep ring_wake_consumer(struct wire_direction *shared);
/** Ask for a wake when the consumer has made room. Try to reserve again after it. */
void ring_wait_room(struct ring_tx *ring);
/** Whether that wish still stands: the consumer takes it away before it wakes. [any] */
bool ring_wishes_room(const struct ring_tx *ring);

/**
 * Look at the next message.
 *
 * @param ret_header  checked copy: known kind, sizes within the record and the record within what was published
 * @param ret_body    size - sizeof(header) bytes in shared memory: copy, then check
 * @retval 1 there is one   @retval 0 empty   @retval -EPROTO
 */
int ring_peek(struct ring_rx *ring, struct wire_header *ret_header, const uint8_t **ret_body);
/** Done with it. True: the producer waits for room and must be woken. */
bool ring_consume(struct ring_rx *ring);
/** Whether something was published beyond @p head; any thread. */
bool ring_has_more(const struct wire_direction *shared, uint32_t head);

/** Copy out of memory that the peer may be writing: the compiler must not look at the source again. */
void ring_copy(void *to, const void *from, size_t size);

#pragma GCC visibility pop

#endif /* CHANNEL_RING_H */
