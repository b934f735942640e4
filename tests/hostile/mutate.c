/* SPDX-License-Identifier: MIT */
/* hostile-mutate SEED MESSAGES: valid traffic to dextd and to the driver of "HostileDriver", changed at random. The same seed sends the
 * same. Prints {"sent", "answered", "errors", "evictions"}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static uint64_t n_sent, n_answered, n_errors, n_evictions, root, service;

static unsigned
content_of(uint64_t method, uint64_t *words)
{
	words[0] = random_below(3) ? root : service;
	words[1] = random_below(2);
	if (method == ADXRegistry_GetRoot_ID || method == ADXRegistry_GetGeneration_ID)
		return 0;
	return method == ADXRegistry_WaitQuiet_ID ? 16 : 8;
}

/* One message as an honest client would send it. */
static size_t
valid(uint8_t *bytes, bool driver)
{
	static const uint64_t methods[] = { ADXRegistry_GetRoot_ID,      ADXRegistry_GetGeneration_ID, ADXRegistry_CopyEntry_ID,
					    ADXRegistry_CopyProperties_ID, ADXRegistry_GetBusyState_ID,  ADXRegistry_Close_ID,
					    ADXRegistry_RemoveNotification_ID, ADXRegistry_WaitQuiet_ID };
	struct wire_header header = { .kind = WIRE_REQUEST, .transaction = n_sent };
	uint64_t words[2];

	header.method = driver ? ADXDoor_CopyService_ID : methods[random_below(8)];
	header.content_size = driver ? 8 : content_of(header.method, words);
	if (driver)
		words[0] = random_below(4) ? service : random_word();
	header.size = 64 + header.content_size;
	memcpy(bytes, &header, sizeof header);
	memcpy(bytes + 64, words, header.content_size);
	return header.size;
}

/* Bits, bytes, words and the length of it. */
static size_t
mutate(uint8_t *bytes, size_t size)
{
	static const uint32_t far[] = { 0, 1, 7, 8, 63, 64, 65, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff };

	for (unsigned i = random_below(3); i > 0; i--) {
		switch (random_below(5)) {
		case 0:
			bytes[random_below((unsigned)size)] ^= (uint8_t)(1u << random_below(8));
			break;
		case 1:
			bytes[random_below((unsigned)size)] = (uint8_t)random_word();
			break;
		case 2:
			memcpy(bytes + 4 * random_below((unsigned)size / 4), &far[random_below(13)], 4);
			break;
		case 3: { /* longer, and it says so */
			uint32_t more = 8 * (1 + random_below(40));

			for (uint32_t at = 0; at < more; at++)
				bytes[size + at] = (uint8_t)random_word();
			size += more;
			memcpy(bytes, &(uint32_t){ (uint32_t)size }, 4);
			break;
		}
		default: /* objects */
			bytes[5] = (uint8_t)random_below(4);
			break;
		}
	}
	return size;
}

static bool
reopen(struct client *client, struct raw *raw, bool driver)
{
	struct user_client user;

	if (!driver)
		return raw_connect(raw) == 0;
	(void)ADXRegistry_Close(client->registry, service); /* the one before, if it was one */
	if (client_open(client, "HostileDriver", &user) != kIOReturnSuccess)
		return false;
	service = user.id;
	return raw_open(raw, &user.end) == 0;
}

static bool
take_answers(struct raw *raw, int timeout_ms)
{
	struct wire_header reply;
	int r;

	while ((r = raw_take(raw, &reply, NULL, timeout_ms)) == 1) {
		n_answered += reply.kind == WIRE_REPLY;
		n_errors += reply.kind == WIRE_REPLY && reply.status != 0;
		timeout_ms = 0;
	}
	return r == 0;
}

static bool
run(struct client *client, uint64_t n_messages, bool driver)
{
	static _Alignas(8) uint8_t bytes[8192];
	struct raw raw;

	if (!reopen(client, &raw, driver))
		return false;
	for (uint64_t n = 0; n < n_messages; n++) {
		size_t size = valid(bytes, driver);
		struct wire_header header;

		size = mutate(bytes, size);
		memcpy(&header, bytes, sizeof header);
		n_sent += raw_put(&raw, &header, bytes + 64, size - 64);
		if (!take_answers(&raw, n % 16 ? 0 : 1) || raw_is_evicted(&raw, 0)) {
			n_evictions++;
			raw_close(&raw);
			if (!reopen(client, &raw, driver))
				return false;
		}
	}
	(void)take_answers(&raw, 20);
	raw_close(&raw);
	return true;
}

int
main(int argc, char **argv)
{
	const uint64_t n_messages = argc > 2 ? strtoull(argv[2], NULL, 0) : 10000;
	struct client client;
	bool done;

	random_seed(argc > 1 ? strtoull(argv[1], NULL, 0) : 1);
	done = client_connect(&client) && ADXRegistry_GetRoot(client.registry, &root) == kIOReturnSuccess &&
	       (service = client_find(&client, "HostileDriver")) && run(&client, n_messages / 2, false) &&
	       run(&client, n_messages - n_messages / 2, true);
	printf("{\"sent\": %llu, \"answered\": %llu, \"errors\": %llu, \"evictions\": %llu}\n", (unsigned long long)n_sent,
	       (unsigned long long)n_answered, (unsigned long long)n_errors, (unsigned long long)n_evictions);
	return done ? 0 : 1;
}
