/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "../subject.h"
#include "load.h"
#include "soak.h"

/* Now with load, now without: what is fatal is often the change. */
#define SLICE_NS      500000000u
#define QUIET_SLICES  8u
#define FIRST_LOOK_NS 20000000u

int
soak_run(struct child *child, uint64_t calls, struct soak_result *ret_result)
{
	uint64_t start = bench_now_ns(), done = 0, length = FIRST_LOOK_NS;
	struct child_slice slice;
	unsigned n = 0;
	int r = 0;

	*ret_result = (struct soak_result){ 0 };
	while (done < calls && r == 0) {
		if (n % QUIET_SLICES != QUIET_SLICES - 1)
			r = load_start();
		if (r == 0)
			r = child_slice(child, length, &slice);
		load_stop();
		if (r < 0)
			break;
		done += slice.operations;
		length = SLICE_NS;
		/* Not much more than was asked for. */
		if ((calls - done) * slice.elapsed_ns / slice.operations < length && done < calls)
			length = (calls - done) * slice.elapsed_ns / slice.operations + 1000000u;
		n++;
	}
	ret_result->calls = done;
	ret_result->timeouts = r == -ETIMEDOUT;
	ret_result->seconds = (double)(bench_now_ns() - start) / 1e9;
	return r;
}
