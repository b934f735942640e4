/* SPDX-License-Identifier: MIT */
/* Attacks on the memory, the bells and the messages of a channel: of dextd's, and of a driver's. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client.h"

/* Another end each time: dextd's own, or the driver's behind a user client. */
struct target {
	bool driver;
	struct client client; /* driver */
	struct raw raw;
	uint64_t id;
};

static bool
target_open(struct target *target, bool driver)
{
	struct user_client user;

	*target = (struct target){ .driver = driver };
	if (!driver)
		return raw_connect(&target->raw) == 0;
	if (!client_connect(&target->client) || client_open(&target->client, "HostileDriver", &user) != kIOReturnSuccess)
		return false;
	target->id = user.id;
	return raw_open(&target->raw, &user.end) == 0;
}

static void
target_close(struct target *target)
{
	raw_close(&target->raw);
	if (target->driver)
		client_close(&target->client);
}

static bool
target_answers(struct target *target)
{
	return raw_answers(&target->raw, target->driver ? ADXDoor_CopyService_ID : ADXRegistry_GetRoot_ID);
}

/* Every word of both directions, each with values that are near, far and wrong. The peer may live or end the channel; an honest
 * message afterwards is answered, or the channel has ended. */
static const char *
words(bool driver)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 63, 64, 65, 128, 65472, 65536, 65600, 0x7fffffc0, 0x80000000, 0xffffffc0, 0xffffffff };
	unsigned n_evicted = 0, n_alive = 0;

	for (unsigned line = 0; line < 10; line++) {
		for (unsigned at = 0; at < 2; at++) {
			for (unsigned i = 0; i < sizeof values / sizeof values[0]; i += driver ? 3 : 1) {
				struct wire_header request = { .size = 64, .kind = WIRE_REQUEST, .method = 1 };
				struct target target;
				volatile uint32_t *word;

				if (!target_open(&target, driver))
					return "no connection";
				if (!target_answers(&target))
					return "no answer before anything was done";
				word = (volatile uint32_t *)((uint8_t *)target.raw.region + 64 + 64 * line + 4 * at);
				*word = values[i];
				raw_ring_bell(&target.raw);
				(void)raw_put(&target.raw, &request, NULL, 0);
				*word = values[i] ^ (uint32_t)random_word();
				raw_ring_bell(&target.raw);
				if (raw_is_evicted(&target.raw, 2))
					n_evicted++;
				else
					n_alive++;
				target_close(&target);
			}
		}
	}
	return n_evicted > 0 && n_alive > 0 ? NULL : wrong("%u evicted, %u alive", n_evicted, n_alive);
}

static const char *
dextd_words(void)
{
	return words(false);
}

static const char *
driver_words(void)
{
	return words(true);
}

/* How it sleeps is written all the time while it serves. */
static const char *
sleeps(bool driver)
{
	struct target target;

	if (!target_open(&target, driver))
		return "no connection";
	for (unsigned i = 0; i < 2000; i++) {
		struct wire_header request = { .size = 64, .kind = WIRE_REQUEST, .method = ADXRegistry_GetRoot_ID, .transaction = i };
		struct wire_header reply;

		for (unsigned side = 0; side < 2; side++) {
			struct wire_direction *direction = &target.raw.region->direction[side];

			atomic_store(&direction->consumer_sleeps, (uint32_t)random_word() % 5);
			atomic_store(&direction->producer_waits, (uint32_t)random_word() % 3);
			atomic_store(&direction->consumer_polls, (uint32_t)random_word() % 70);
			atomic_store(&direction->producer_bell, (uint32_t)random_word());
		}
		(void)raw_put(&target.raw, &request, NULL, 0);
		while (raw_take(&target.raw, &reply, NULL, 0) == 1)
			;
	}
	/* Left in a state that says truth, it serves again. */
	atomic_store(&target.raw.tx.shared->consumer_sleeps, WIRE_BELLS);
	raw_ring_bell(&target.raw);
	if (!target_answers(&target))
		return "no answer any more";
	target_close(&target);
	return NULL;
}

static const char *
dextd_sleeps(void)
{
	return sleeps(false);
}

static const char *
driver_sleeps(void)
{
	return sleeps(true);
}

/* Bells full, without their flags, closed. */
static const char *
bells(bool driver)
{
	struct target target;

	if (!target_open(&target, driver))
		return "no connection";
	/* Full to the brim, so that nobody can ring any more; and the flag that keeps a writer from blocking taken from our own end. */
	(void)fcntl(target.raw.end.wake_receive[0], F_SETFL, 0);
	(void)fcntl(target.raw.end.wake_receive[0], F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; i < target.raw.end.n_receive; i++)
		while (write(target.raw.end.wake_receive[i], "xxxxxxxxxxxxxxxx", 16) > 0)
			;
	for (unsigned i = 0; i < target.raw.end.n_send; i++)
		while (write(target.raw.end.wake_send[i], "xxxxxxxxxxxxxxxx", 16) > 0)
			;
	(void)fcntl(target.raw.end.wake_receive[0], F_SETFL, 0);
	if (!target_answers(&target))
		return "full bells kept it from answering";
	for (unsigned i = 0; i < target.raw.end.n_receive; i++)
		(void)close(target.raw.end.wake_receive[i]);
	for (unsigned i = 0; i < 20; i++) {
		struct wire_header request = { .size = 64, .kind = WIRE_REQUEST, .method = 1, .transaction = i };

		atomic_store(&target.raw.rx.shared->consumer_sleeps, WIRE_BELLS);
		(void)raw_put(&target.raw, &request, NULL, 0);
	}
	target.raw.end.n_receive = 0;
	target_close(&target);
	return NULL;
}

static const char *
dextd_bells(void)
{
	return bells(false);
}

static const char *
driver_bells(void)
{
	return bells(true);
}

/* Messages that an honest peer would not send: each ends the channel, or is refused. */
static const char *
messages(bool driver)
{
	static const struct wire_header odd[] = {
		{ .size = 64, .kind = WIRE_REPLY, .transaction = 1 },
		{ .size = 64, .kind = WIRE_RELEASE, .target = { 1, 0 }, .count = 1 },
		{ .size = 64, .kind = WIRE_RELEASE, .target = { 0, 0 }, .count = 77 },
		{ .size = 64, .kind = WIRE_REQUEST, .target = { 0, 1 } },
		{ .size = 64, .kind = WIRE_REQUEST, .target = { 9999, 0 } },
		{ .size = 64, .kind = 77 },
		{ .size = 64, .kind = WIRE_PAD },
		{ .size = 80, .kind = WIRE_REQUEST, .n_objects = 1 },
	};
	struct target target;

	for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		uint8_t slot[16] = { 200 };

		if (!target_open(&target, driver) || !raw_put(&target.raw, &odd[i], slot, odd[i].size - 64))
			return "no connection";
		if (!raw_is_evicted(&target.raw, 10000))
			return wrong("message %u was believed", i);
		target_close(&target);
	}
	/* Twice freed is no fault of form: it may be late. */
	if (!target_open(&target, driver))
		return "no connection";
	for (unsigned i = 0; i < 100; i++)
		(void)raw_put(&target.raw, &(struct wire_header){ .size = 64, .kind = WIRE_FREED, .target = { i, i } }, NULL, 0);
	if (!target_answers(&target))
		return "an object that is unknown was not just forgotten";
	target_close(&target);
	return NULL;
}

static const char *
dextd_messages(void)
{
	return messages(false);
}

static const char *
driver_messages(void)
{
	return messages(true);
}

/* Requests that are never finished, as many as fit: the driver's unfinished bytes are bounded. */
static const char *
driver_flood(void)
{
	struct target target;
	struct wire_header reply;
	unsigned n = 0, n_answered = 0;
	uint64_t end = adxi_deadline_ns(20 * ADXI_NS_PER_S);
	static uint8_t body[16384];

	if (!target_open(&target, true))
		return "no connection";
	while (n < 4000 && adxi_now_ns() < end && !raw_is_evicted(&target.raw, 0)) {
		struct wire_header request = { .size = 64 + sizeof body, .kind = WIRE_REQUEST, .method = 1, .transaction = n,
					       .content_size = sizeof body };

		n += raw_put(&target.raw, &request, body, sizeof body);
		while (raw_take(&target.raw, &reply, NULL, 0) == 1)
			n_answered++;
	}
	while (n_answered < n && raw_take(&target.raw, &reply, NULL, 5000) == 1)
		n_answered++;
	target_close(&target);
	return n_answered == n ? NULL : wrong("%u of %u answered", n_answered, n);
}

static const char *
driver_slow_reader(void)
{
	struct target target;
	unsigned n = 0;

	if (!target_open(&target, true))
		return "no connection";
	/* Answers without content are 64 bytes: a quarter of a million of them. */
	for (; n < 1000000; n++) {
		struct wire_header request = { .size = 64, .kind = WIRE_REQUEST, .method = 1, .transaction = n };

		while (!raw_put(&target.raw, &request, NULL, 0))
			if (raw_is_evicted(&target.raw, 1))
				break;
		if (n % 64 == 0 && raw_is_evicted(&target.raw, 0))
			break;
	}
	if (!raw_is_evicted(&target.raw, 5000))
		return wrong("%u answers were kept", n);
	target_close(&target);
	return NULL;
}

/* Selectors and sizes of an external method, by a connection that is honest otherwise. */
static const char *
driver_counts(void)
{
	struct user_client user;
	struct client client;
	unsigned n_refused = 0;
	uint64_t sum;

	if (!client_connect(&client) || client_open(&client, "HostileDriver", &user) != kIOReturnSuccess ||
	    user_client_connect(&user) != kIOReturnSuccess)
		return "no user client";
	for (unsigned i = 0; i < 200; i++) {
		uint64_t input[16] = { 0 }, output[16];
		static uint8_t in[4096], out[4096];
		uint32_t n_in = random_below(40), n_output = random_below(40), n_bytes = (uint32_t)random_word() % 9000, n_out = random_below(9000);
		OSData *variable = NULL;

		if (IOUserClient__ExternalMethod(user.client, i % 4 ? random_word() : i % 3, input, n_in, in, n_bytes, NULL, random_word(), NULL, output,
						 &n_output, out, &n_out, random_word(), NULL, &variable) != kIOReturnSuccess)
			n_refused++;
		OSRelease((OS_OBJECT *)variable);
	}
	if (user_client_sum(&user, 40, 2, &sum) != kIOReturnSuccess || sum != 42)
		return "no answer any more";
	user_client_close(&user);
	client_close(&client);
	return n_refused > 150 ? NULL : wrong("%u of 200 refused", n_refused);
}

const struct attack channel_attacks[] = {
	{ "dextd-words", "every shared word of the channel, near and far", "eviction, or it lives and answers", "CHN001", dextd_words },
	{ "driver-words", "the same of a driver's channel", "eviction, or it lives and answers", "CHN001", driver_words },
	{ "dextd-sleep-words", "how the peer sleeps, written all the time", "it serves", NULL, dextd_sleeps },
	{ "driver-sleep-words", "the same of a driver's channel", "it serves", NULL, driver_sleeps },
	{ "dextd-bells", "bells full, blocking, closed", "it serves", NULL, dextd_bells },
	{ "driver-bells", "the same of a driver's channel", "it serves", NULL, driver_bells },
	{ "dextd-messages", "replies, releases and targets that cannot be", "eviction each", "CHN001", dextd_messages },
	{ "driver-messages", "the same to a driver", "eviction each", "CHN001", driver_messages },
	{ "driver-flood", "4000 requests of 16 KiB at once", "every one is answered", NULL, driver_flood },
	{ "driver-slow-reader", "asks a driver and takes no answer", "eviction when 16 MiB wait", "CHN004", driver_slow_reader },
	{ "driver-wrong-counts", "external methods with any selector, count and size", "an error each", NULL, driver_counts },
	{ 0 },
};
