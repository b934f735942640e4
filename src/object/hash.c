/* SPDX-License-Identifier: MIT */
#include "object/hash.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed[2];

static void
seed_read(void)
{
	struct timespec ts = {0};

	if (getrandom(seed, sizeof seed, GRND_NONBLOCK) == sizeof seed)
		return;
	/* Early boot: weaker, but not the same each time. */
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	seed[0] = (uint64_t)ts.tv_nsec * 0x9e3779b97f4a7c15u;
	seed[1] = (uint64_t)(uintptr_t)&ts ^ (uint64_t)ts.tv_sec;
}

/* High and low half of the product, folded. */
static uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t
adxi_hash_bytes(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t hash, a, b;

	(void)pthread_once(&seed_once, seed_read);
	hash = seed[0] ^ len;
	for (; len >= 16; p += 16, len -= 16) {
		memcpy(&a, p, 8);
		memcpy(&b, p + 8, 8);
		hash = mix(hash ^ a ^ 0xa0761d6478bd642fu, b ^ seed[1]);
	}
	a = b = 0;
	if (len > 8) {
		memcpy(&a, p, 8);
		memcpy(&b, p + 8, len - 8);
	} else if (len) {
		memcpy(&a, p, len);
	}
	hash = mix(hash ^ a ^ 0xe7037ed1a0b428dbu, b ^ seed[1] ^ 0x8ebc6af09c88c6e3u);
	return mix(hash ^ seed[0], 0x589965cc75374cc3u);
}
