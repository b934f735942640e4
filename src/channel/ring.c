/* SPDX-License-Identifier: MIT */
#include "channel/ring.h"

#include <errno.h>
#include <string.h>

#define RING_MASK (WIRE_RING_SIZE - 1u)

static_assert((WIRE_RING_SIZE & RING_MASK) == 0, "offsets are index & mask");
static_assert(2 * WIRE_MAX <= WIRE_RING_SIZE, "an empty ring has room for padding and any message");

void
ring_tx_init(struct ring_tx *ring, struct wire_region *region, unsigned side)
{
	*ring = (struct ring_tx){
		.shared = &region->direction[side],
		.data = (uint8_t *)region + WIRE_RING_OFFSET(side),
	};
}

void
ring_rx_init(struct ring_rx *ring, struct wire_region *region, unsigned side)
{
	*ring = (struct ring_rx){
		.shared = &region->direction[side],
		.data = (const uint8_t *)region + WIRE_RING_OFFSET(side),
	};
}

void
ring_copy(void *to, const void *from, size_t size)
{
	if (size > 0)
		memcpy(to, from, size);
	__asm__ volatile("" : : : "memory");
}

static bool
ring_has_room(const struct ring_tx *ring, uint32_t need)
{
	return WIRE_RING_SIZE - (ring->tail - ring->head_seen) >= need;
}

int
ring_reserve(struct ring_tx *ring, uint32_t size, uint8_t **ret_place)
{
	uint32_t record = wire_record_size(size);
	uint32_t offset = ring->tail & RING_MASK;
	uint32_t contiguous = WIRE_RING_SIZE - offset;
	uint32_t pad = record > contiguous ? contiguous : 0;

	if (!ring_has_room(ring, pad + record)) {
		uint32_t head = atomic_load(&ring->shared->head);
		if (ring->tail - head > WIRE_RING_SIZE || head % WIRE_GRAIN != 0)
			return -EPROTO;
		ring->head_seen = head;
		if (!ring_has_room(ring, pad + record))
			return -EAGAIN;
	}
	if (pad) {
		struct wire_header filler = { .size = sizeof(filler), .kind = WIRE_PAD };
		memcpy(ring->data + offset, &filler, sizeof(filler));
		offset = 0;
	}
	ring->reserved = ring->tail + pad + record;
	*ret_place = ring->data + offset;
	return 0;
}

void
ring_publish(struct ring_tx *ring)
{
	ring->tail = ring->reserved;
	/* Sequentially consistent, as all of "Waking" in docs/channel.md. */
	atomic_store(&ring->shared->tail, ring->tail);
}

enum wire_sleep
ring_wake_consumer(struct wire_direction *shared)
{
	if (atomic_load(&shared->consumer_sleeps) == WIRE_AWAKE)
		return WIRE_AWAKE;
	switch (atomic_exchange(&shared->consumer_sleeps, WIRE_AWAKE)) {
	case WIRE_AWAKE:
		return WIRE_AWAKE;
	case WIRE_FUTEX:
		return WIRE_FUTEX;
	default:
		return WIRE_BELLS;
	}
}

void
ring_wait_room(struct ring_tx *ring)
{
	atomic_store(&ring->shared->producer_waits, 1);
}

bool
ring_wishes_room(const struct ring_tx *ring)
{
	return atomic_load(&ring->shared->producer_waits) != 0;
}

bool
ring_has_more(const struct wire_direction *shared, uint32_t head)
{
	return atomic_load(&shared->tail) != head;
}

int
ring_peek(struct ring_rx *ring, struct wire_header *ret_header, const uint8_t **ret_body)
{
	for (;;) {
		uint32_t offset = ring->head & RING_MASK;
		uint32_t contiguous = WIRE_RING_SIZE - offset;
		uint32_t record, available;

		if (ring->tail_seen == ring->head) {
			uint32_t tail = atomic_load(&ring->shared->tail);
			if (tail - ring->head > WIRE_RING_SIZE || tail % WIRE_GRAIN != 0)
				return -EPROTO;
			ring->tail_seen = tail;
			if (tail == ring->head)
				return 0;
		}
		available = ring->tail_seen - ring->head;
		ring_copy(ret_header, ring->data + offset, sizeof(*ret_header));
		if (ret_header->kind == WIRE_PAD) {
			if (contiguous > available)
				return -EPROTO;
			ring->head += contiguous;
			atomic_store_explicit(&ring->shared->head, ring->head, memory_order_release);
			continue;
		}
		if (ret_header->kind == 0 || ret_header->kind >= WIRE_KIND_END ||
		    ret_header->size < sizeof(*ret_header) || ret_header->size > WIRE_MAX ||
		    ret_header->size % 8 != 0)
			return -EPROTO;
		record = wire_record_size(ret_header->size);
		if (record > available || record > contiguous)
			return -EPROTO;
		ring->taken = record;
		*ret_body = ring->data + offset + sizeof(*ret_header);
		return 1;
	}
}

bool
ring_consume(struct ring_rx *ring)
{
	ring->head += ring->taken;
	ring->taken = 0;
	atomic_store(&ring->shared->head, ring->head);
	/* Half of it at once: a wake for each message would cost more than the message. */
	return ring->tail_seen - ring->head <= WIRE_RING_SIZE / 2 &&
	       atomic_load(&ring->shared->producer_waits) != 0 &&
	       atomic_exchange(&ring->shared->producer_waits, 0) != 0;
}
