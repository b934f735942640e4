/* SPDX-License-Identifier: MIT */
/* Shared memory with an eventfd each way, as who needs a descriptor would do it. */

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pingpong.h"

static int
open_bells(struct pingpong *link)
{
	for (unsigned i = 0; i < 2; i++) {
		link->fds[i] = eventfd(0, EFD_CLOEXEC);
		if (link->fds[i] < 0)
			return -errno;
	}
	return 0;
}

static void
tell(struct pingpong *link, unsigned direction, uint32_t value)
{
	uint64_t one = 1;

	if (write(link->fds[direction], &one, sizeof one) != sizeof one)
		bench_fail("eventfd: %m");
}

static void
await(struct pingpong *link, unsigned direction, uint32_t value)
{
	uint64_t count;

	while (atomic_load_explicit(&link->shared->turn[direction].value, memory_order_acquire) !=
	       value)
		if (read(link->fds[direction], &count, sizeof count) != sizeof count &&
		    errno != EINTR)
			bench_fail("eventfd: %m");
}

int
main(int argc, char **argv)
{
	static const struct pingpong_ops ops = { .open = open_bells, .tell = tell, .await = await };

	return pingpong_main(argc, argv, &ops);
}
