/* SPDX-License-Identifier: MIT */
/* The floor: a bare futex ping-pong over shared memory. */

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pingpong.h"

static void
tell(struct pingpong *link, unsigned direction, uint32_t value)
{
	(void)syscall(SYS_futex, &link->shared->turn[direction].value, FUTEX_WAKE, 1, NULL, NULL,
		      0);
}

static void
await(struct pingpong *link, unsigned direction, uint32_t value)
{
	_Atomic uint32_t *word = &link->shared->turn[direction].value;
	uint32_t seen;

	while ((seen = atomic_load_explicit(word, memory_order_acquire)) != value)
		(void)syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

int
main(int argc, char **argv)
{
	static const struct pingpong_ops ops = { .tell = tell, .await = await };

	return pingpong_main(argc, argv, &ops);
}
