/* SPDX-License-Identifier: MIT */
#ifndef BENCH_FLOOR_PINGPONG_H
#define BENCH_FLOOR_PINGPONG_H

/**
 * @file bench/floor/pingpong.h
 * @brief Two processes that hand a word to and fro over shared memory, with a payload copied in and
 * out on each side.
 *
 * futex, spin and eventfd differ in how one waits for the other only. The copies are what any
 * channel needs that does not trust its peer: the sender writes into shared memory, the receiver
 * takes a copy of its own.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "../subject.h"

struct pingpong_word {
	_Alignas(64) _Atomic uint32_t value;
};

struct pingpong_shared {
	struct pingpong_word turn[2]; /* [0]: requests made, [1]: replies made */
	struct pingpong_word active;  /* spin: 0 while the client is in no command */
	_Alignas(64) uint8_t slots[]; /* request, then reply: bytes each */
};

struct pingpong;

/* How a word is passed. Both are called with the number that was, or will be, stored. */
struct pingpong_ops {
	/* Before the fork: descriptors. 0, -errno. May be NULL. */
	int (*open)(struct pingpong *link);
	/* turn[@p direction] was set: tell who waits for it. */
	void (*tell)(struct pingpong *link, unsigned direction, uint32_t value);
	/* Return when turn[@p direction] is @p value. */
	void (*await)(struct pingpong *link, unsigned direction, uint32_t value);
	int (*resume)(void *link), (*pause)(void *link); /* as in struct bench_subject */
};

struct pingpong {
	const struct pingpong_ops *ops;
	struct pingpong_shared *shared;
	struct bench_options options;
	uint8_t *request,
		*reply; /* owned: the client's copies; the server has its own after the fork */
	uint32_t calls;
	uint64_t checked;
	int fds[2]; /* eventfd: one a direction */
};

/** The rest of a subject's main(). */
int pingpong_main(int argc, char **argv, const struct pingpong_ops *ops);

#endif /* BENCH_FLOOR_PINGPONG_H */
