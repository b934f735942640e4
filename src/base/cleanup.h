/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

/**
 * @file base/cleanup.h
 * @brief Local owners that free themselves on every way out.
 *
 *     adxi_cleanup(thing_freep) struct thing *thing = NULL;
 *     ...
 *     *ret_thing = TAKE(thing);
 *     return 0;
 */

#include <stdlib.h>
#include <unistd.h>

#define adxi_cleanup(fn) __attribute__((cleanup(fn)))

/** Value of @p pointer, which becomes NULL: ownership moves to the reader. */
#define TAKE(pointer)                                                                              \
	({                                                                                         \
		__typeof__(pointer) adxi_taken = (pointer);                                        \
		(pointer) = NULL;                                                                  \
		adxi_taken;                                                                        \
	})

/** The same for a descriptor, which becomes -1. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int adxi_taken_fd = (fd);                                                          \
		(fd) = -1;                                                                         \
		adxi_taken_fd;                                                                     \
	})

/** Define fn##p(type **) for adxi_cleanup; fn takes NULL or is not called with it. */
#define ADXI_DEFINE_CLEANUP(type, fn)                                                              \
	static inline void fn##p(type **pointer)                                                   \
	{                                                                                          \
		if (*pointer)                                                                      \
			(void)fn(*pointer);                                                        \
	}

/** For anything from malloc. */
static inline void
adxi_freep(void *pointer)
{
	free(*(void **)pointer);
}

/** For descriptors; -1: none. */
static inline void
adxi_closep(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* never retried, never fails an operation */
}

#endif /* BASE_CLEANUP_H */
