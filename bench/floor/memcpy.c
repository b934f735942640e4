/* SPDX-License-Identifier: MIT */
/* What one processor copies: --bytes an operation, between as many buffers as a stream has in
 * flight. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../subject.h"

#define BUFFERS 8u

struct copy {
	size_t bytes;
	uint8_t *from, *to; /* owned: BUFFERS * bytes */
	uint64_t copies;
};

static int
copy(void *context)
{
	struct copy *copy = context;
	size_t place = copy->copies++ % BUFFERS * copy->bytes;

	memcpy(copy->to + place, copy->from + place, copy->bytes);
	/* Or the compiler sees that nobody looks. */
	__asm__ volatile("" : : "r"(copy->to) : "memory");
	return 0;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct copy *copy = context;

	bench_count(counters, "copies", copy->copies);
	bench_count(counters, "bytes", copy->copies * copy->bytes);
	bench_count(counters, "same", memcmp(copy->from, copy->to, BUFFERS * copy->bytes) == 0);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct copy state = { 0 };
	struct bench_subject subject = { .operation = copy,
					 .counters = counters,
					 .context = &state };

	bench_options(&argc, argv, &options);
	bench_no_more_options(argc, argv);
	state.bytes = options.bytes ? options.bytes : 65536;
	state.from = malloc(BUFFERS * state.bytes);
	state.to = malloc(BUFFERS * state.bytes);
	if (!state.from || !state.to)
		bench_fail("no memory");
	bench_fill(state.from, BUFFERS * state.bytes, 1);
	bench_pin(BENCH_CLIENT, &options);
	return bench_main(&subject);
}
