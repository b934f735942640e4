/* SPDX-License-Identifier: MIT */
/* The fastest there is, at the price of both processors: each side spins on a word. */

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pingpong.h"

static void
tell(struct pingpong *link, unsigned direction, uint32_t value)
{
}

static void
await(struct pingpong *link, unsigned direction, uint32_t value)
{
	_Atomic uint32_t *word = &link->shared->turn[direction].value,
			 *active = &link->shared->active.value;

	while (atomic_load_explicit(word, memory_order_acquire) != value) {
		__builtin_ia32_pause();
		/* Nobody's slice is to be disturbed by a server that spins for nothing. */
		if (direction == 0 && !atomic_load_explicit(active, memory_order_relaxed))
			(void)syscall(SYS_futex, active, FUTEX_WAIT, 0, NULL, NULL, 0);
	}
}

static int
resume(void *context)
{
	struct pingpong *link = context;

	atomic_store(&link->shared->active.value, 1);
	(void)syscall(SYS_futex, &link->shared->active.value, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return 0;
}

static int
pause_server(void *context)
{
	struct pingpong *link = context;

	atomic_store(&link->shared->active.value, 0);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct pingpong_ops ops = {
		.tell = tell, .await = await, .resume = resume, .pause = pause_server
	};

	return pingpong_main(argc, argv, &ops);
}
