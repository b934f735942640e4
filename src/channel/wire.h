/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_WIRE_H
#define CHANNEL_WIRE_H

/**
 * @file channel/wire.h
 * @brief What two processes share: the region word by word, and the format of messages. docs/channel.md draws it.
 *
 * Native byte order and alignment: both ends run on one machine. Everything is checked by its receiver.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC     0x4c4e4843444d4241ull /* "ABMDCHNL" */
#define WIRE_VERSION   3u
#define WIRE_RING_SIZE 65536u /* bytes a direction, power of two */
#define WIRE_PAGE      4096u
#define WIRE_GRAIN     64u    /* records begin on it */
#define WIRE_MAX       32768u /* bytes of a message with its header */

/* One direction. Indices count bytes and wrap at 2^32; each word has one writer besides the sleep words. */
struct wire_direction {
	_Alignas(64) _Atomic uint32_t tail;            /* producer: bytes put in */
	_Atomic uint32_t producer_bell;                /* producer: 1 + the bell of the processor that it called from last */
	_Alignas(64) _Atomic uint32_t head;            /* consumer: bytes taken out */
	_Alignas(64) _Atomic uint32_t consumer_sleeps; /* enum wire_sleep: how to wake it at the next message */
	_Alignas(64) _Atomic uint32_t producer_waits;  /* 1: producer wants a wake when there is more room */
	_Alignas(64) _Atomic uint32_t consumer_polls;  /* 1 + the bell of the thread that watches tail; 0: none */
};

enum wire_sleep {
	WIRE_AWAKE, /* somebody will look */
	WIRE_BELLS, /* nobody receives: write the pipe of the producer's own processor */
	WIRE_FUTEX, /* one thread receives for all and waits on this word */
};

struct wire_region {
	uint64_t magic;
	uint32_t version;
	uint32_t ring_size;
	struct wire_direction direction[2]; /* [s]: what side s sends */
};

#define WIRE_RING_OFFSET(side) (WIRE_PAGE + (size_t)(side)*WIRE_RING_SIZE)
#define WIRE_REGION_SIZE       (WIRE_PAGE + 2u * WIRE_RING_SIZE)
static_assert(sizeof(struct wire_region) <= WIRE_PAGE, "the header has one page");

enum wire_kind {
	WIRE_PAD = 1, /* fills the end of the ring */
	WIRE_REQUEST, /* target, method, transaction; wants one REPLY */
	WIRE_REPLY,   /* transaction, status */
	WIRE_ONEWAY,  /* target, method */
	WIRE_RELEASE, /* target: gives count rights back */
	WIRE_FREED,   /* target (the sender's own): what was granted under it is known to nobody any more */
	WIRE_KIND_END,
};

struct wire_ref {
	uint32_t index;
	uint32_t generation;
};

/* Then slots[n_objects - how], each slot's attachments in order, content; all padded to 8. */
struct wire_header {
	uint32_t size; /* bytes with header and padding, multiple of 8; the record takes the next multiple of WIRE_GRAIN */
	uint8_t kind;
	uint8_t n_objects;
	uint8_t n_fds; /* in the socket's packet number fd_sequence */
	uint8_t how;   /* RELEASE: 1 = answer with FREED; else how many of the last objects are NULL and have no slot */
	uint64_t method;
	struct wire_ref target;
	uint64_t transaction;
	int32_t status;
	uint32_t content_size;
	uint32_t fd_sequence;
	uint32_t count;
	uint64_t reserved[2];
};
static_assert(sizeof(struct wire_header) == WIRE_GRAIN, "a header is one grain");

enum wire_slot_kind {
	SLOT_NULL,
	SLOT_YOURS, /* ref in the receiver's table */
	SLOT_PROXY, /* ref in the sender's table, name of its class: the receiver has or makes a proxy */
	SLOT_GRANT, /* the same, with what it takes to build a native object: bytes and descriptors */
	SLOT_KNOWN, /* ref of an object that was granted before and not given back */
	SLOT_VALUE, /* serialized bytes; no ref */
	SLOT_VALUE_MEMORY, /* serialized bytes in a sealed memory descriptor */
	SLOT_KIND_END,
};

/* Attachment: name_size bytes of class name, padding, extra_size bytes of grant or value, padding. */
struct wire_slot {
	uint8_t kind;
	uint8_t n_fds;
	uint16_t name_size;
	uint32_t extra_size;
	struct wire_ref ref;
};
static_assert(sizeof(struct wire_slot) == 16, "slots are two words");

/* The packet on the socket that carries the descriptors of one message. */
struct wire_packet {
	uint32_t sequence;
	uint32_t n_fds;
};

/* Bootstrap (adxi_endpoint_serve): the first packet, with memory, wake_receive[0], wake_send[0] of the client. */
struct wire_welcome {
	uint64_t magic;
	uint32_t version;
	uint32_t side; /* the client's */
};
#define WIRE_NO_ROOM UINT32_MAX /* side of a welcome without descriptors: the server's quota is used up */

#define WIRE_MAX_NAME 128u /* bytes of a class name */
#define WIRE_MAX_FDS  128u /* a message */

static inline uint32_t
wire_pad8(uint32_t size)
{
	return (size + 7u) & ~7u;
}

static inline uint32_t
wire_record_size(uint32_t size)
{
	return (size + WIRE_GRAIN - 1u) & ~(WIRE_GRAIN - 1u);
}

#endif /* CHANNEL_WIRE_H */
