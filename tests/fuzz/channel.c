/* SPDX-License-Identifier: MIT */
/* A peer that owns one end of a channel and does with ring, socket and descriptors what the input says. The other end must
 * answer, refuse, or end the channel; complete each of its own calls once; write only what is well-formed; and leave no
 * descriptor open. Inputs: a line of operations; docs/decisions/0012. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/memory_object.h"
#include "channel/packet.h"
#include "channel/region.h"
#include "channel/ring.h"
#include "channel_class.h"
#include "object/containers.h"

enum op {
	OP_MESSAGE,    /* a record, honest but for the lies that are asked for */
	OP_DISPATCH,   /* the victim receives */
	OP_DRAIN,      /* the peer takes what the victim wrote */
	OP_CALL,       /* the victim calls the peer's door */
	OP_UNHOLD,     /* the victim answers what it held */
	OP_RAW,        /* a record of the input's own 64 bytes and body */
	OP_WORD,       /* one of the shared words */
	OP_BYTES,      /* bytes of the ring */
	OP_PACKET,     /* a packet with descriptors and no message */
	OP_HANG_UP,    /* the peer's socket is shut */
	OP_COUNT,
};

enum {
	LIE_SIZE = 1 << 0,
	LIE_OBJECTS = 1 << 1,
	LIE_CONTENT = 1 << 2,
	LIE_FDS = 1 << 3,
	LIE_SEQUENCE = 1 << 4,
	LIE_KIND = 1 << 5,
	LIE_SLOT = 1 << 6,
	LIE_REF = 1 << 7,
};

#define MEMORY_MAGIC 0x4d444158u /* src/channel/memory.c */
#define OPS_MAX   64u
#define SLOTS_MAX 6u
#define FDS_MAX   6u

struct rig {
	struct adxi_endpoint end;    /* the peer's: owned */
	struct wire_region *region;  /* owned */
	struct ring_tx tx;
	struct ring_rx rx;
	struct adxi_channel *victim; /* owned */
	OS_OBJECT *door, *peer;      /* owned: the victim's, and its proxy of the peer's */
	uint32_t sequence;
	unsigned n_closed;
	bool spoilt;                 /* the peer wrote where only the victim may: it cannot judge what it reads */
};

static void
closed(struct adxi_channel *channel, void *userdata, int reason)
{
	(void)channel;
	(void)reason;
	((struct rig *)userdata)->n_closed++;
}

static const struct adxi_channel_ops ops = { .closed = closed };

static void
rig_open(struct rig *rig)
{
	static const unsigned bells[2] = { 2, 1 };
	struct adxi_endpoint ends[2];
	const char *why;

	memset(rig, 0, sizeof(*rig));
	FUZZ_CHECK(adxi_endpoint_pair(bells, ends) == 0);
	rig->door = fuzz_object_new();
	FUZZ_CHECK(adxi_channel_open(&ends[0], "fuzz", &ops, rig, &rig->victim) == 0);
	adxi_channel_set_door(rig->victim, rig->door);
	rig->peer = adxi_channel_copy_door(rig->victim, &fuzz_class);
	FUZZ_CHECK(rig->peer);
	rig->end = ends[1];
	FUZZ_CHECK(region_map(rig->end.memory, &rig->region, &why) == 0);
	ring_tx_init(&rig->tx, rig->region, 1);
	ring_rx_init(&rig->rx, rig->region, 0);
}

static void
rig_close(struct rig *rig)
{
	fuzz_object_unhold(rig->door);
	adxi_channel_close(rig->victim);
	OSRelease(rig->peer);
	OSRelease(rig->door);
	rig->victim = adxi_channel_unref(rig->victim);
	rig->region = region_unmap(rig->region);
	adxi_endpoint_done(&rig->end);
}

/* ---------------------------------------------------------------------------------------------
 * Descriptors of many kinds
 */

static int
memfd(const void *bytes, size_t size, int seals)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(ftruncate(fd, (off_t)size) == 0);
	if (bytes && size > 0)
		FUZZ_CHECK(pwrite(fd, bytes, size, 0) == (ssize_t)size);
	if (seals)
		FUZZ_CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static int
take_fd(struct fuzz *in)
{
	const uint8_t *bytes;
	size_t n;
	int fds[2];

	switch (fuzz_below(in, 8)) {
	case 0: /* memory as an importer wants it */
		return memfd(NULL, 4096u * (1 + fuzz_below(in, 3)), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	case 1: /* memory that can shrink */
		return memfd(NULL, 4096, 0);
	case 2: /* a serialized value */
		bytes = fuzz_bytes(in, fuzz_uint8(in), &n);
		return memfd(bytes, n, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	case 3:
		return eventfd(0, EFD_CLOEXEC);
	case 4: /* a channel's region, for endpoints */
		FUZZ_CHECK(region_create(&fds[0]) == 0);
		return fds[0];
	case 5:
		FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
		(void)close(fds[1]);
		return fds[0];
	case 6:
		FUZZ_CHECK(pipe2(fds, O_CLOEXEC) == 0);
		n = fuzz_uint8(in) & 1;
		(void)close(fds[1 - n]);
		return fds[n];
	default:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	}
}

/* ---------------------------------------------------------------------------------------------
 * A message
 */

struct draft {
	uint8_t body[4096];
	uint32_t size;
	unsigned n_fds;
};

static void
draft_pad(struct draft *draft)
{
	while (draft->size % 8 != 0)
		draft->body[draft->size++] = 0;
}

static uint32_t
draft_bytes(struct draft *draft, const void *bytes, size_t n)
{
	if (n > sizeof(draft->body) - 8 - draft->size)
		n = sizeof(draft->body) - 8 - draft->size;
	if (n > 0)
		memcpy(draft->body + draft->size, bytes, n);
	draft->size += (uint32_t)n;
	draft_pad(draft);
	return (uint32_t)n;
}

/* What a memory descriptor's grant holds: src/channel/memory.c. */
static uint32_t
draft_memory(struct draft *draft, struct fuzz *in, unsigned n_fds)
{
	struct {
		uint32_t magic, flags;
		uint64_t length;
		uint32_t n_segments, n_fds;
		struct {
			uint32_t fd, reserved;
			uint64_t offset, length;
		} segments[3];
	} memory = { .magic = MEMORY_MAGIC, .n_fds = n_fds };
	const unsigned n = fuzz_below(in, 4);

	memory.flags = fuzz_uint16(in);
	memory.length = fuzz_uint16(in);
	memory.n_segments = n;
	for (unsigned i = 0; i < n && i < 3; i++) {
		memory.segments[i].fd = fuzz_uint8(in);
		memory.segments[i].offset = (uint64_t)fuzz_uint16(in) << (fuzz_uint8(in) & 63);
		memory.segments[i].length = (uint64_t)fuzz_uint16(in) << (fuzz_uint8(in) & 63);
	}
	return draft_bytes(draft, &memory, 24 + n * sizeof(memory.segments[0]));
}

static const char *const class_names[] = {
	"FuzzObject", "OSObject", "IOMemoryDescriptor", "IOBufferMemoryDescriptor", "ADXEndpoint", "IOMemoryMap", "Nobody",
};

/* Bytes that go with a slot: any, a serialized value, a description of memory or of an endpoint. */
static uint32_t
draft_extra(struct draft *draft, struct fuzz *in, unsigned n_fds)
{
	const uint8_t *bytes;
	uint32_t three[3];
	size_t n;

	switch (fuzz_below(in, 4)) {
	case 0:
		return draft_memory(draft, in, n_fds);
	case 1:
		for (unsigned i = 0; i < 3; i++)
			three[i] = fuzz_uint8(in);
		return draft_bytes(draft, three, sizeof(three));
	case 2:
		return 0;
	default:
		bytes = fuzz_bytes(in, fuzz_uint8(in), &n);
		return draft_bytes(draft, bytes, n);
	}
}

static struct wire_ref
take_ref(struct fuzz *in)
{
	const uint8_t small = fuzz_uint8(in);

	if (small & 0x80)
		return (struct wire_ref){ fuzz_uint32(in), fuzz_uint32(in) };
	return (struct wire_ref){ small & 15, small >> 4 };
}

static void
draft_slot(struct draft *draft, struct fuzz *in, struct wire_slot *slot, uint8_t lies)
{
	const unsigned name = fuzz_uint8(in);
	const char *text = NULL;
	char *own = NULL;

	slot->kind = (uint8_t)fuzz_below(in, SLOT_KIND_END);
	slot->ref = take_ref(in);
	if (slot->kind == SLOT_GRANT)
		slot->n_fds = (uint8_t)fuzz_below(in, FDS_MAX);
	else if (slot->kind == SLOT_VALUE_MEMORY)
		slot->n_fds = 1;
	if (slot->kind == SLOT_GRANT || slot->kind == SLOT_PROXY) {
		if (name < 240)
			text = class_names[name % (sizeof(class_names) / sizeof(class_names[0]))];
		else
			text = own = fuzz_text(in);
		slot->name_size = (uint16_t)draft_bytes(draft, text, strlen(text));
		free(own);
	}
	if (slot->kind == SLOT_GRANT || slot->kind == SLOT_VALUE)
		slot->extra_size = draft_extra(draft, in, slot->n_fds);
	draft->n_fds += slot->n_fds;
	if (lies & LIE_SLOT) {
		slot->kind ^= fuzz_uint8(in);
		slot->n_fds ^= fuzz_uint8(in);
		slot->name_size ^= fuzz_uint16(in);
		slot->extra_size ^= fuzz_uint32(in);
	}
}

static void
send_packet(struct rig *rig, struct fuzz *in, uint32_t sequence, unsigned n_fds)
{
	struct wire_packet packet = { sequence, n_fds };
	int fds[FDS_MAX * SLOTS_MAX] = { 0 };

	for (unsigned i = 0; i < n_fds; i++)
		fds[i] = take_fd(in);
	(void)packet_send(rig->end.socket, &packet, sizeof(packet), fds, n_fds);
	for (unsigned i = 0; i < n_fds; i++)
		(void)close(fds[i]);
}

/* Into the ring if there is room. */
static void
put(struct rig *rig, const struct wire_header *header, const void *body, uint32_t size)
{
	uint8_t *place;

	if (ring_reserve(&rig->tx, (uint32_t)sizeof(*header) + size, &place) < 0)
		return;
	memcpy(place, header, sizeof(*header));
	if (size > 0)
		memcpy(place + sizeof(*header), body, size);
	ring_publish(&rig->tx);
}

static void
op_message(struct rig *rig, struct fuzz *in)
{
	const uint8_t kind = (uint8_t)(WIRE_REQUEST + fuzz_below(in, WIRE_KIND_END - WIRE_REQUEST));
	const uint8_t lies = fuzz_uint8(in);
	struct wire_header header = { .kind = kind };
	struct wire_slot slots[SLOTS_MAX];
	struct draft draft = { .size = 0 };
	const uint8_t *content;
	size_t n;

	header.method = fuzz_below(in, FUZZ_METHODS + 1);
	header.target = take_ref(in);
	header.transaction = fuzz_uint8(in);
	if (header.transaction & 0x80)
		header.transaction = fuzz_uint64(in);
	if (kind == WIRE_REPLY)
		header.status = (int32_t)fuzz_uint8(in);
	if (kind == WIRE_RELEASE || kind == WIRE_FREED) {
		header.count = fuzz_uint8(in);
		header.how = fuzz_uint8(in);
	} else {
		header.n_objects = (uint8_t)fuzz_below(in, SLOTS_MAX);
	}
	memset(slots, 0, sizeof(slots));
	draft.size = header.n_objects * (uint32_t)sizeof(slots[0]);
	for (unsigned i = 0; i < header.n_objects; i++)
		draft_slot(&draft, in, &slots[i], lies);
	memcpy(draft.body, slots, header.n_objects * sizeof(slots[0]));
	if (kind != WIRE_RELEASE && kind != WIRE_FREED) {
		content = fuzz_bytes(in, fuzz_uint8(in), &n);
		n = draft_bytes(&draft, content, n);
		header.content_size = wire_pad8((uint32_t)n);
	}
	header.n_fds = (uint8_t)draft.n_fds;
	header.size = (uint32_t)sizeof(header) + draft.size;
	header.fd_sequence = rig->sequence;
	if (lies & LIE_SIZE)
		header.size = fuzz_uint32(in);
	if (lies & LIE_OBJECTS)
		header.n_objects = fuzz_uint8(in);
	if (lies & LIE_CONTENT)
		header.content_size = fuzz_uint32(in);
	if (lies & LIE_FDS)
		header.n_fds = fuzz_uint8(in);
	if (lies & LIE_SEQUENCE)
		header.fd_sequence = fuzz_uint32(in);
	if (lies & LIE_KIND)
		header.kind = fuzz_uint8(in);
	if (lies & LIE_REF)
		header.target = (struct wire_ref){ fuzz_uint32(in), fuzz_uint32(in) };
	if (draft.n_fds > 0)
		send_packet(rig, in, rig->sequence++, draft.n_fds);
	put(rig, &header, draft.body, draft.size);
}

static void
op_raw(struct rig *rig, struct fuzz *in)
{
	struct wire_header header;
	const uint8_t *body;
	size_t n;

	fuzz_fill(in, &header, sizeof(header));
	body = fuzz_bytes(in, fuzz_uint8(in), &n);
	put(rig, &header, body, (uint32_t)n);
}

/* The words are any process's to write; ring_tx and ring_rx of the peer go on from what they know. */
static void
op_word(struct rig *rig, struct fuzz *in)
{
	const unsigned side = fuzz_below(in, 2), which = fuzz_below(in, 6);
	struct wire_direction *shared = &rig->region->direction[side];
	_Atomic uint32_t *const words[] = { &shared->tail,		&shared->head,		 &shared->producer_bell,
					    &shared->consumer_sleeps,	&shared->producer_waits, &shared->consumer_polls };
	uint32_t value = fuzz_uint8(in);

	if (value & 0x80)
		value = fuzz_uint32(in);
	else
		value = *words[which] + (value & 0x7f) * WIRE_GRAIN - 32 * WIRE_GRAIN;
	atomic_store(words[which], value);
	rig->spoilt = true;
}

static void
op_bytes(struct rig *rig, struct fuzz *in)
{
	const unsigned side = fuzz_below(in, 2);
	const size_t at = fuzz_uint16(in) % WIRE_RING_SIZE;
	const uint8_t *bytes;
	size_t n;

	bytes = fuzz_bytes(in, fuzz_uint8(in), &n);
	if (n > WIRE_RING_SIZE - at)
		n = WIRE_RING_SIZE - at;
	if (n > 0)
		memcpy((uint8_t *)rig->region + WIRE_RING_OFFSET(side) + at, bytes, n);
	rig->spoilt |= side == 0;
}

/* What the victim writes has the form that any receiver demands. */
static void
op_drain(struct rig *rig)
{
	struct wire_header header;
	const uint8_t *body;
	int r;

	for (unsigned i = 0; i < 64; i++) {
		r = ring_peek(&rig->rx, &header, &body);
		if (!rig->spoilt) {
			FUZZ_CHECK(r >= 0);
			FUZZ_CHECK(r == 0 || header.content_size <= header.size - sizeof(header));
			FUZZ_CHECK(r == 0 || header.n_objects <= OS_MESSAGE_MAX_OBJECTS);
		}
		if (r <= 0)
			return;
		(void)ring_consume(&rig->rx);
	}
}

static void
op_call(struct rig *rig, struct fuzz *in)
{
	OS_OBJECT *objects[2] = { NULL, NULL };
	const unsigned n_objects = fuzz_below(in, 3);
	const uint8_t *content;
	size_t n;

	content = fuzz_bytes(in, fuzz_uint8(in), &n);
	for (unsigned i = 0; i < n_objects; i++) {
		switch (fuzz_below(in, 4)) {
		case 0:
			objects[i] = adxi_retain(rig->door);
			break;
		case 1:
			objects[i] = fuzz_object_new();
			break;
		case 2:
			objects[i] = (OS_OBJECT *)adxi_dict_new();
			break;
		default:
			break;
		}
	}
	fuzz_object_call(rig->peer, content, n, objects, n_objects);
	for (unsigned i = 0; i < n_objects; i++)
		OSRelease(objects[i]);
}

static void
step(struct rig *rig, struct fuzz *in)
{
	switch ((enum op)fuzz_below(in, OP_COUNT)) {
	case OP_MESSAGE:
		op_message(rig, in);
		break;
	case OP_DISPATCH:
		(void)adxi_channel_dispatch(rig->victim, 1 + fuzz_below(in, 16));
		break;
	case OP_DRAIN:
		op_drain(rig);
		break;
	case OP_CALL:
		op_call(rig, in);
		break;
	case OP_UNHOLD:
		fuzz_object_unhold(rig->door);
		break;
	case OP_RAW:
		op_raw(rig, in);
		break;
	case OP_WORD:
		op_word(rig, in);
		break;
	case OP_BYTES:
		op_bytes(rig, in);
		break;
	case OP_PACKET:
		send_packet(rig, in, fuzz_uint8(in), fuzz_below(in, FDS_MAX));
		break;
	default:
		(void)shutdown(rig->end.socket, SHUT_RDWR);
		break;
	}
}

/* The lowest descriptor that is free: the same before and after, or one was left open. */
static int
lowest_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0);
	(void)close(fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static bool warm; /* the first call opens what a process keeps, like its ledger */
	struct fuzz in = { bytes, size };
	const int fd = lowest_fd();
	struct rig rig;

	rig_open(&rig);
	for (unsigned i = 0; i < OPS_MAX && in.left > 0; i++)
		step(&rig, &in);
	(void)adxi_channel_dispatch(rig.victim, 64);
	FUZZ_CHECK(adxi_channel_is_dead(rig.victim) == (rig.n_closed == 1));
	rig_close(&rig);
	FUZZ_CHECK(rig.n_closed <= 1);
	FUZZ_CHECK(fuzz_objects_alive == 0);
	FUZZ_CHECK(fuzz_calls_begun == fuzz_calls_ended);
	FUZZ_CHECK(lowest_fd() == fd || !warm);
	warm |= fuzz_calls_begun > 0;
	return 0;
}
