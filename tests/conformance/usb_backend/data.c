/* SPDX-License-Identifier: MIT */
/* Bytes going in and out, in order. */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MANY	16
#define LARGE	(256u << 10)

static void
one_packet_comes(void **state)
{
	struct rig *rig = *state;
	uint8_t data[1024];
	uint32_t actual, packet = rig->target->packet;

	rig_claim(rig);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(rig_move(rig, rig->target->source, data, packet, 0, &actual),
				 USB_OK);
		assert_int_equal(actual, packet);
		pattern_check(rig->target->pattern, i * packet, data, packet);
	}
}

static void
large_reads_in_flight_keep_their_order(void **state)
{
	struct rig *rig = *state;
	struct item *items[MANY];
	uint64_t at = 0;

	rig_claim(rig);
	for (unsigned i = 0; i < MANY / 2; i++) {
		items[i] = item_new(rig, LARGE);
		item_submit(items[i], rig->target->source, LARGE, 0);
	}
	/* The oldest comes first; each is sent out again as soon as it is back. */
	for (unsigned i = 0; i < 4 * MANY; i++, at += LARGE) {
		struct item *item = items[i % (MANY / 2)];

		item_expect(item, USB_OK, LARGE);
		assert_int_equal(item->order, i + 1);
		pattern_check(rig->target->pattern, at, item->data, LARGE);
		if (i < 4 * MANY - MANY / 2)
			item_submit(item, rig->target->source, LARGE, 0);
	}
	for (unsigned i = 0; i < MANY / 2; i++)
		item_free(items[i]);
}

static void
many_sizes_are_read_whole(void **state)
{
	struct rig *rig = *state;
	uint32_t packet = rig->target->packet;
	uint64_t at = 0;

	rig_claim(rig);
	for (uint32_t n = 1; n <= 2048 * 1024 / packet; n = n * 3 + 1) {
		struct item *item = item_new(rig, n * packet);

		item_submit(item, rig->target->source, n * packet, 0);
		item_expect(item, USB_OK, n * packet);
		pattern_check(rig->target->pattern, at, item->data, n * packet);
		at += n * packet;
		item_free(item);
	}
}

static void
large_writes_in_flight_keep_their_order(void **state)
{
	struct rig *rig = *state;
	struct item *items[MANY];

	rig_claim(rig);
	for (unsigned i = 0; i < MANY; i++) {
		items[i] = item_new(rig, LARGE);
		pattern_fill(rig->target->pattern, (uint64_t) i * LARGE, items[i]->data, LARGE);
		item_submit(items[i], rig->target->sink, LARGE, 0);
	}
	for (unsigned i = 0; i < MANY; i++) {
		item_expect(items[i], USB_OK, LARGE);
		assert_int_equal(items[i]->order, i + 1);
		item_free(items[i]);
	}
}

static void
an_empty_write_is_a_transfer(void **state)
{
	struct rig *rig = *state;
	struct item *item = item_new(rig, 0);

	rig_claim(rig);
	for (unsigned i = 0; i < 3; i++) {
		item_submit(item, rig->target->sink ? rig->target->sink : rig->target->loop_out, 0,
			    0);
		item_expect(item, USB_OK, 0);
	}
	item_free(item);
}

static void
what_is_looped_comes_back(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	/* Shorter than a packet, so that each write ends a read. */
	static const uint32_t lengths[] = { 1, 2, 63, 200, 511, 7 };
	struct item *reads[N_OF(lengths)];
	uint8_t data[512];
	uint32_t actual;

	rig_claim(rig);
	for (unsigned i = 0; i < N_OF(lengths); i++) {
		reads[i] = item_new(rig, 4096);
		item_submit(reads[i], target->loop_in, 4096, 0);
	}
	for (unsigned i = 0; i < N_OF(lengths); i++) {
		for (uint32_t at = 0; at < lengths[i]; at++)
			data[at] = at * 7 + i;
		assert_int_equal(rig_move(rig, target->loop_out, data, lengths[i], 0, &actual),
				 USB_OK);
		assert_int_equal(actual, lengths[i]);
		item_expect(reads[i], USB_OK, lengths[i]); /* a short packet ends it */
		assert_memory_equal(reads[i]->data, data, lengths[i]);
		item_free(reads[i]);
	}
}

/* Large transfers both ways at once, the loop holding back whoever is ahead. */
static void
a_loop_carries_more_than_it_can_hold(void **state)
{
	enum { N = 8, LENGTH = 128 << 10 };
	struct rig *rig = *state;
	const struct target *target = rig->target;
	struct item *writes[N], *reads[N];

	rig_claim(rig);
	for (unsigned i = 0; i < N; i++) {
		writes[i] = item_new(rig, LENGTH);
		reads[i] = item_new(rig, LENGTH);
		pattern_fill(PATTERN_COUNTED, (uint64_t) i * LENGTH, writes[i]->data, LENGTH);
		item_submit(writes[i], target->loop_out, LENGTH, 0);
	}
	for (unsigned i = 0; i < N; i++)
		item_submit(reads[i], target->loop_in, LENGTH, 0);
	for (unsigned i = 0; i < N; i++) {
		item_expect(writes[i], USB_OK, LENGTH);
		item_expect(reads[i], USB_OK, LENGTH);
		pattern_check(PATTERN_COUNTED, (uint64_t) i * LENGTH, reads[i]->data, LENGTH);
		item_free(writes[i]);
		item_free(reads[i]);
	}
}

static void
an_empty_packet_ends_a_read(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	struct item *read = item_new(rig, 4096);
	uint8_t data[2048] = { 1, 2, 3 };

	rig_claim(rig);
	item_submit(read, target->loop_in, 4096, 0);
	assert_int_equal(rig_move(rig, target->loop_out, data, 2 * target->packet, 0, NULL),
			 USB_OK);
	assert_false(item_has_ended(read)); /* whole packets only: it goes on */
	assert_int_equal(rig_move(rig, target->loop_out, data, 0, 0, NULL), USB_OK);
	item_expect(read, USB_OK, 2 * target->packet);
	/* Alone, too. */
	item_submit(read, target->loop_in, 4096, 0);
	assert_int_equal(rig_move(rig, target->loop_out, data, 0, 0, NULL), USB_OK);
	item_expect(read, USB_OK, 0);
	item_free(read);
}

static void
a_read_smaller_than_the_packet_is_a_babble(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	struct item *item = item_new(rig, 8192);
	uint8_t data[1024] = { 0 };
	uint8_t endpoint = target->loop_in ? target->loop_in : target->source;

	rig_claim(rig);
	if (target->loop_in)
		assert_int_equal(rig_move(rig, target->loop_out, data, 100, 0, NULL), USB_OK);
	item_submit(item, endpoint, 99, 0);
	item_wait(item);
	assert_int_equal(item->n_ended, 1);
	assert_int_equal(item->status, USB_OVERFLOW);
	assert_true(item->actual <= 99);
	assert_int_equal(rig->ops->clear_halt(rig->device, endpoint, true), 0);
	/* Enough room: all is well again. */
	if (target->loop_in)
		assert_int_equal(rig_move(rig, target->loop_out, data, 100, 0, NULL), USB_OK);
	item_submit(item, endpoint, target->packet, 0);
	item_wait(item);
	assert_int_equal(item->status, USB_OK);
	item_free(item);
}

/* Several threads, one pipe: each transfer ends once, and no byte of the stream is given twice or
 * lost. */
struct reader {
	pthread_t thread;
	struct rig *rig;
	struct item *item;
	uint64_t bytes;
	int error;
};

#define READER_TRANSFERS 64

static void *
read_some(void *userdata)
{
	struct reader *reader = userdata;
	struct item *item = reader->item;
	struct rig *rig = reader->rig;

	for (unsigned i = 0; i < READER_TRANSFERS && !reader->error; i++) {
		item->n_ended = 0;
		reader->error = rig->ops->submit(rig->device, &item->transfer);
		if (reader->error)
			break;
		pthread_mutex_lock(&rig->lock);
		while (item->n_ended == 0)
			pthread_cond_wait(&rig->changed, &rig->lock);
		if (item->n_ended != 1 || item->status != USB_OK)
			reader->error = -EIO;
		reader->bytes += item->actual;
		pthread_mutex_unlock(&rig->lock);
	}
	return NULL;
}

static void
threads_share_a_pipe(void **state)
{
	enum { N = 4 };
	struct rig *rig = *state;
	struct reader readers[N] = { 0 };
	uint32_t length = 4 * rig->target->packet;
	uint8_t *data = calloc(1, length);
	uint64_t bytes = 0;

	rig_claim(rig);
	for (unsigned i = 0; i < N; i++) {
		readers[i].rig = rig;
		readers[i].item = item_new(rig, length);
		readers[i].item->transfer.endpoint = rig->target->source;
		readers[i].item->transfer.type = USB_BULK;
		readers[i].item->transfer.length = length;
		readers[i].item->transfer.data = readers[i].item->data;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_some, &readers[i]),
				 0);
	}
	for (unsigned i = 0; i < N; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].error, 0);
		bytes += readers[i].bytes;
		item_free(readers[i].item);
	}
	assert_int_equal(bytes, (uint64_t) N * READER_TRANSFERS * length);
	/* The stream stands where they left it. */
	assert_int_equal(rig_move(rig, rig->target->source, data, length, 0, NULL), USB_OK);
	pattern_check(rig->target->pattern, bytes, data, length);
	free(data);
}

void
add_data_tests(struct test_list *list, const struct target *target)
{
	if (target->source) {
		ADD(list, target, one_packet_comes);
		ADD(list, target, large_reads_in_flight_keep_their_order);
		ADD(list, target, many_sizes_are_read_whole);
		ADD(list, target, threads_share_a_pipe);
	}
	if (target->sink)
		ADD(list, target, large_writes_in_flight_keep_their_order);
	if (target->sink || target->loop_out)
		ADD(list, target, an_empty_write_is_a_transfer);
	if (target->loop_in) {
		ADD(list, target, what_is_looped_comes_back);
		ADD(list, target, a_loop_carries_more_than_it_can_hold);
	}
	if (target->loop_by_packet)
		ADD(list, target, an_empty_packet_ends_a_read);
	if (target->exact_packets)
		ADD(list, target, a_read_smaller_than_the_packet_is_a_babble);
}
