/* SPDX-License-Identifier: MIT */
/* A peer that has a true end of a channel and does with it what it likes. The other side must live: it answers, refuses, or
 * ends this channel. Under the sanitizers this is also the test that nothing is read twice or beyond its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "channel/peer_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/internal.h"
#include "channel/packet.h"
#include "channel/region.h"
#include "channel/wake.h"
#include "channel/ring.h"

static uint64_t random_state;

static uint64_t
random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static unsigned
below(unsigned n)
{
	return (unsigned)(random_word() % n);
}

/* The hostile end: the raw descriptors and memory. */
struct hostile {
	struct adxi_endpoint end;
	struct wire_region *region;
	struct ring_tx tx;
	struct ring_rx rx;
	struct end victim;
};

static void
hostile_open(struct hostile *hostile)
{
	struct adxi_endpoint ends[2];
	const char *why;

	assert_int_equal(adxi_endpoint_pair(BELLS, ends), 0);
	end_open(&hostile->victim, &ends[0], "a hostile peer", false);
	hostile->end = ends[1];
	assert_int_equal(region_map(hostile->end.memory, &hostile->region, &why), 0);
	ring_tx_init(&hostile->tx, hostile->region, 1);
	ring_rx_init(&hostile->rx, hostile->region, 0);
}

static void
hostile_close(struct hostile *hostile)
{
	hostile->region = region_unmap(hostile->region);
	adxi_endpoint_done(&hostile->end);
	end_close(&hostile->victim);
	assert_int_equal(echo_count, 0);
}

static bool
victim_dispatch(struct hostile *hostile)
{
	return adxi_channel_dispatch(hostile->victim.channel, 16) >= 0;
}

/* Put @p header and body as they are. */
static void
put(struct hostile *hostile, const struct wire_header *header, const void *body, uint32_t size)
{
	uint8_t *place;

	assert_int_equal(ring_reserve(&hostile->tx, (uint32_t)sizeof(*header) + size, &place), 0);
	memcpy(place, header, sizeof(*header));
	if (size > 0)
		memcpy(place + sizeof(*header), body, size);
	(void)ring_publish(&hostile->tx);
}

/* What the victim answers to @p header: the reply's header; false: it gave the channel up. */
static bool
answer(struct hostile *hostile, const struct wire_header *header, const void *body, uint32_t size,
       struct wire_header *ret_reply)
{
	const uint8_t *reply_body;

	put(hostile, header, body, size);
	if (!victim_dispatch(hostile))
		return false;
	if (ring_peek(&hostile->rx, ret_reply, &reply_body) != 1)
		memset(ret_reply, 0, sizeof(*ret_reply));
	else
		(void)ring_consume(&hostile->rx);
	return !adxi_channel_is_dead(hostile->victim.channel);
}

static void
test_honest_first(void **state)
{
	struct wire_header request = { .size = 64, .kind = WIRE_REQUEST, .method = ECHO_NULL, .transaction = 77 };
	struct wire_header reply;
	struct hostile hostile;

	hostile_open(&hostile);
	assert_true(answer(&hostile, &request, NULL, 0, &reply));
	assert_int_equal(reply.kind, WIRE_REPLY);
	assert_int_equal(reply.transaction, 77);
	assert_int_equal(reply.status, 0);
	hostile_close(&hostile);
}

struct lie {
	const char *name;
	struct wire_header header;
	struct wire_slot slot;
	uint8_t extra[64];
	uint32_t body;  /* bytes of slot and extra that are put */
};

#define REQUEST(...) { .size = 64, .kind = WIRE_REQUEST, .method = ECHO_NULL, __VA_ARGS__ }
#define ONE_SLOT(bytes) { .size = 64 + (bytes), .kind = WIRE_REQUEST, .method = ECHO_ECHO, .n_objects = 1 }

/* Each ends the channel. */
static const struct lie lies[] = {
	{ "size 0", { .size = 0, .kind = WIRE_REQUEST } },
	{ "size of less than a header", { .size = 56, .kind = WIRE_REQUEST } },
	{ "size of more than was published", { .size = 4096, .kind = WIRE_REQUEST } },
	{ "size of more than any message", { .size = 0x80000000u, .kind = WIRE_REQUEST } },
	{ "odd size", { .size = 65, .kind = WIRE_REQUEST } },
	{ "kind 0", { .size = 64, .kind = 0 } },
	{ "unknown kind", { .size = 64, .kind = WIRE_KIND_END } },
	{ "padding that is not at the end", { .size = 64, .kind = WIRE_PAD } },
	{ "more objects than bytes", REQUEST(.n_objects = 1) },
	{ "more objects than allowed", REQUEST(.n_objects = 255) },
	{ "more content than bytes", REQUEST(.content_size = 8) },
	{ "content of 4 GiB", REQUEST(.content_size = 0xfffffff8u) },
	{ "odd content", REQUEST(.content_size = 4) },
	{ "descriptors that are not there", REQUEST(.n_fds = 1) },
	{ "200 descriptors", REQUEST(.n_fds = 200) },
	{ "an index that was never granted", REQUEST(.target = { 5, 0 }) },
	{ "an index far beyond", REQUEST(.target = { 0xffffffffu, 0 }) },
	{ "a generation of the future", REQUEST(.target = { 0, 1 }) },
	{ "a reply that no call waits for", { .size = 64, .kind = WIRE_REPLY, .transaction = 0 } },
	{ "a reply to call 2^64-1", { .size = 64, .kind = WIRE_REPLY, .transaction = ~0ull } },
	{ "a release of what it has not", { .size = 64, .kind = WIRE_RELEASE, .target = { 1, 0 }, .count = 1 } },
	{ "a release of more than it has", { .size = 64, .kind = WIRE_RELEASE, .count = 1 } },
	{ "a release with content", { .size = 72, .kind = WIRE_RELEASE, .content_size = 8 }, .body = 8 },
	{ "bytes that belong to nothing", { .size = 72, .kind = WIRE_REQUEST, .method = ECHO_NULL }, .body = 8 },
	{ "unknown slot kind", ONE_SLOT(16), { .kind = SLOT_KIND_END }, .body = 16 },
	{ "slot kind 255", ONE_SLOT(16), { .kind = 255 }, .body = 16 },
	{ "NULL with a name", ONE_SLOT(24), { .kind = SLOT_NULL, .name_size = 3 }, "abc", 24 },
	{ "NULL with bytes", ONE_SLOT(24), { .kind = SLOT_NULL, .extra_size = 3 }, "abc", 24 },
	{ "a name that is longer than the message", ONE_SLOT(24), { .kind = SLOT_PROXY, .name_size = 100 }, "abc", 24 },
	{ "a name that is longer than any", ONE_SLOT(24), { .kind = SLOT_PROXY, .name_size = 65535 }, "abc", 24 },
	{ "no name", ONE_SLOT(16), { .kind = SLOT_PROXY }, .body = 16 },
	{ "a name with a control character", ONE_SLOT(24), { .kind = SLOT_PROXY, .name_size = 3 }, "a\nb", 24 },
	{ "extra bytes of 4 GiB", ONE_SLOT(24), { .kind = SLOT_VALUE, .extra_size = 0xffffffffu }, "abc", 24 },
	{ "a value that is none", ONE_SLOT(24), { .kind = SLOT_VALUE, .extra_size = 8 }, "notvalue", 24 },
	{ "a value in a descriptor that is not there", ONE_SLOT(16), { .kind = SLOT_VALUE_MEMORY, .n_fds = 1 },
	  .body = 16 },
	{ "a known object that is not", ONE_SLOT(16), { .kind = SLOT_KNOWN, .ref = { 3, 0 } }, .body = 16 },
	{ "my object that I never gave", ONE_SLOT(16), { .kind = SLOT_YOURS, .ref = { 3, 0 } }, .body = 16 },
	{ "a grant of more bytes than any", ONE_SLOT(16 + 8 + 320),
	  { .kind = SLOT_GRANT, .name_size = 3, .extra_size = 320 }, "abc", 16 + 8 + 40 },
};

static void
test_lies(void **state)
{
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct lie *lie = &lies[i];
		struct wire_header reply;
		struct hostile hostile;
		uint8_t body[16 + sizeof(lie->extra)];

		memcpy(body, &lie->slot, 16);
		memcpy(body + 16, lie->extra, sizeof(lie->extra));
		hostile_open(&hostile);
		if (answer(&hostile, &lie->header, body, lie->body, &reply))
			fail_msg("%s was believed", lie->name);
		assert_true(adxi_channel_is_dead(hostile.victim.channel));
		assert_int_equal(hostile.victim.closed, 1);
		assert_int_equal(hostile.victim.reason, -EPROTO);
		hostile_close(&hostile);
	}
}

/* These are no lies: the peer can be honest and the message undeliverable. */
static void
test_refusals(void **state)
{
	struct {
		struct wire_slot slot;
		char extra[48];
	} body = { .slot = { .kind = SLOT_GRANT, .name_size = 8, .extra_size = 32 } };
	struct wire_header request = {
		.size = 64 + 16 + 40,
		.kind = WIRE_REQUEST,
		.method = ECHO_ECHO,
		.n_objects = 1,
	};
	struct wire_header reply;
	struct hostile hostile;

	hostile_open(&hostile);
	/* A class that is not known here: the right comes back, the request is refused. */
	memcpy(body.extra, "NotKnown", 8);
	put(&hostile, &request, &body, 56);
	assert_true(victim_dispatch(&hostile));
	const uint8_t *at;
	assert_int_equal(ring_peek(&hostile.rx, &reply, &at), 1);
	assert_int_equal(reply.kind, WIRE_RELEASE);
	assert_int_equal(reply.count, 1);
	(void)ring_consume(&hostile.rx);
	assert_int_equal(ring_peek(&hostile.rx, &reply, &at), 1);
	assert_int_equal(reply.kind, WIRE_REPLY);
	assert_int_equal(reply.status, kIOReturnNoResources);
	(void)ring_consume(&hostile.rx);
	/* A proxy of an unknown class is an object all the same. */
	body.slot = (struct wire_slot){ .kind = SLOT_PROXY, .name_size = 8, .ref = { 9, 4 } };
	request.size = 64 + 16 + 8;
	assert_true(answer(&hostile, &request, &body, 24, &reply));
	assert_int_equal(reply.kind, WIRE_REPLY);
	assert_int_equal(reply.status, 0);
	hostile_close(&hostile);
}

/* The memory changes all the time while the victim works: words, headers, bodies. */
static unsigned
scribble(unsigned seed, unsigned n_steps)
{
	/* Not those in which the victim waits for this peer: it may let it wait. */
	static const uint64_t methods[] = { ECHO_NULL, ECHO_ECHO, ECHO_POST, ECHO_KEEP, ECHO_GET, ECHO_FAIL, 99 };
	struct hostile hostile;
	unsigned n_alive = 0;

	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	hostile_open(&hostile);
	for (unsigned step = 0; step < n_steps; step++) {
		uint8_t *memory = (uint8_t *)hostile.region;
		const bool wild = below(16) == 0;
		struct wire_header header = {
			.size = 64 + 16,
			.kind = below(2) ? WIRE_REQUEST : WIRE_ONEWAY,
			.method = methods[below(7)],
			.transaction = random_word(),
			.content_size = 16,
		};
		if (wild)
			header = (struct wire_header){
				.size = 64 + 8 * below(6),
				.kind = (uint8_t)below(8),
				.n_objects = (uint8_t)(below(3) ? 0 : below(3)),
				.method = methods[below(7)],
				.transaction = random_word(),
				.content_size = 8 * below(3),
				.target = { below(3), below(2) },
				.count = below(3),
			};
		uint64_t body[6];

		for (unsigned i = 0; i < 6; i++)
			body[i] = below(4) ? below(8) | (uint64_t)below(300) << 32 : random_word();
		switch (below(100)) {
		case 0: /* a shared word */
			*(uint32_t *)(void *)(memory + 64 + 64 * below(10)) = (uint32_t)random_word();
			break;
		case 1: /* a shared word, plausible */
			*(uint32_t *)(void *)(memory + 64 + 64 * below(10)) = 64 * below(2048);
			break;
		case 2: /* bytes in the ring that the victim reads */
			for (unsigned i = 0; i < 64; i++)
				memory[WIRE_RING_OFFSET(1) + below(4096)] = (uint8_t)random_word();
			break;
		case 3: /* a packet that belongs to nothing */
			(void)send(hostile.end.socket, body, below(48), MSG_DONTWAIT | MSG_NOSIGNAL);
			break;
		case 4: { /* descriptors */
			struct wire_packet packet = { .sequence = below(4), .n_fds = below(3) };
			int fds[3] = { hostile.end.memory, hostile.end.socket, hostile.end.wake_send[0] };

			(void)packet_send(hostile.end.socket, &packet, sizeof(packet), fds, 1 + below(3));
			header.n_fds = (uint8_t)below(4);
			break;
		}
		case 5:
			wake_write(hostile.end.wake_send[0]);
			break;
		default:
			break;
		}
		{
			uint8_t *place;
			int r = ring_reserve(&hostile.tx, header.size, &place);

			if (r == 0) {
				memcpy(place, &header, sizeof(header));
				memcpy(place + sizeof(header), body, header.size - sizeof(header));
				(void)ring_publish(&hostile.tx);
			}
		}
		{
			struct wire_header taken;
			const uint8_t *at;

			while (ring_peek(&hostile.rx, &taken, &at) == 1)
				(void)ring_consume(&hostile.rx);
		}
		if (!victim_dispatch(&hostile))
			break;
		n_alive++;
	}
	hostile_close(&hostile);
	return n_alive;
}

static void
test_scribble(void **state)
{
	unsigned n = 0;

	for (unsigned seed = 1; seed <= 3000; seed++)
		n += scribble(seed, 200);
	/* It got somewhere each time before it was thrown out. */
	assert_true(n > 5 * 3000);
}

struct scribbler {
	struct wire_region *region;
	_Atomic bool stop;
};

static void *
scribbler_run(void *context)
{
	struct scribbler *scribbler = context;
	uint64_t state = 88172645463325252ull;

	while (!scribbler->stop) {
		uint8_t *memory = (uint8_t *)scribbler->region;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		/* Bodies and headers in the victim's incoming ring, words now and then. */
		__atomic_store_n(&memory[WIRE_RING_OFFSET(1) + (state >> 8) % 512], (uint8_t)state, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Written while the scribbler writes it too. */
static void
put_atomically(uint8_t *place, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		__atomic_store_n(&place[i], ((const uint8_t *)bytes)[i], __ATOMIC_RELAXED);
}

/* The same from another thread, at any moment of the victim's work. */
static void
test_concurrent_scribble(void **state)
{
	for (unsigned round = 0; round < 200; round++) {
		struct scribbler scribbler = { 0 };
		struct hostile hostile;
		pthread_t thread;

		hostile_open(&hostile);
		scribbler.region = hostile.region;
		assert_int_equal(pthread_create(&thread, NULL, scribbler_run, &scribbler), 0);
		for (unsigned i = 0; i < 500; i++) {
			struct wire_header header = {
				.size = 64 + 16 + 24 + 8,
				.kind = i % 3 ? WIRE_ONEWAY : WIRE_REQUEST,
				.n_objects = 1,
				.method = ECHO_ECHO,
				.content_size = 8,
			};
			struct {
				struct wire_slot slot;
				char name[24];
				uint64_t content;
			} body = { { .kind = SLOT_PROXY, .name_size = 15, .ref = { i % 8, 0 } }, "ChannelTestEcho", 7 };
			struct wire_header taken;
			const uint8_t *at;
			uint8_t *place;

			if (ring_reserve(&hostile.tx, header.size, &place) == 0) {
				put_atomically(place, &header, sizeof(header));
				put_atomically(place + sizeof(header), &body, sizeof(body));
				(void)ring_publish(&hostile.tx);
			}
			while (ring_peek(&hostile.rx, &taken, &at) == 1)
				(void)ring_consume(&hostile.rx);
			if (!victim_dispatch(&hostile))
				break;
		}
		scribbler.stop = true;
		(void)pthread_join(thread, NULL);
		hostile_close(&hostile);
	}
}

/* A peer that fills its own wake pipe and socket, and takes nothing: no call of the victim blocks. */
static void
test_stuffed(void **state)
{
	struct hostile hostile;
	struct adxi_channel_stats stats;
	struct adxi_channel *channel;
	uint64_t n = 0;

	hostile_open(&hostile);
	while (write(hostile.end.wake_receive[0], "", 1) > 0)
		;
	channel = hostile.victim.channel;
	/* Requests whose answers nobody takes: 16 MiB of them, and the peer is given up. */
	while (!adxi_channel_is_dead(channel)) {
		struct wire_header request = {
			.size = 64 + 16384,
			.kind = WIRE_REQUEST,
			.method = ECHO_ECHO,
			.content_size = 16384,
		};
		uint8_t *place;

		if (ring_reserve(&hostile.tx, request.size, &place) == 0) {
			memcpy(place, &request, sizeof(request));
			(void)ring_publish(&hostile.tx);
			n++;
		}
		(void)victim_dispatch(&hostile);
		assert_true(n < 2000);
	}
	assert_true(n > 900);
	adxi_channel_get_stats(channel, &stats);
	assert_int_equal(stats.exported, 0);
	assert_int_equal(hostile.victim.reason, -ENOBUFS);
	hostile_close(&hostile);
}

/* The peer chooses the indices of its objects: what is looked up by them must not become a list. */
static void
test_chosen_indices(void **state)
{
	enum { OBJECTS = 20000 };
	OS_OBJECT **objects = calloc(OBJECTS, sizeof(*objects));
	const struct table *table;
	struct hostile hostile;
	unsigned longest = 0, found = 0;

	assert_non_null(objects);
	hostile_open(&hostile);
	table = &hostile.victim.channel->table;
	for (uint32_t i = 0; i < OBJECTS; i++) {
		const struct wire_ref ref = { (i + 1) << 14, 0 };

		assert_int_equal(table_import(hostile.victim.channel, ref, &echo_class, true, &objects[i]), 0);
	}
	for (uint32_t i = 0; i < table->by_index_size; i++) {
		unsigned n = 0;

		for (const struct import *import = table->by_index[i]; import; import = import->next)
			n++;
		longest = n > longest ? n : longest;
		found += n;
	}
	if (found < OBJECTS || longest >= 200)
		fail_msg("%u objects, %u of them in one place", found, longest);
	for (uint32_t i = 0; i < OBJECTS; i++)
		OSRelease(objects[i]);
	hostile_close(&hostile);
	free(objects);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest_first),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_scribble),
		cmocka_unit_test(test_concurrent_scribble),
		cmocka_unit_test(test_stuffed),
		cmocka_unit_test(test_chosen_indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
