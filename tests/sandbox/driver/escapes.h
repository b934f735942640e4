/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SANDBOX_ESCAPES_H
#define TESTS_SANDBOX_ESCAPES_H

/** @file tests/sandbox/driver/escapes.h
 *  @brief The attempts, by kind. Each does no harm where it succeeds. */

#include <errno.h>
#include <stddef.h>

#include "../world.h"

struct escape {
	const char *name, *what;
	/* 0: it could be done; else an errno, or ESCAPE_ABSENT. */
	int (*attempt)(const struct world *world);
	const char *rule;
	unsigned flags;
};

extern const struct escape file_escapes[], socket_escapes[], process_escapes[], kernel_escapes[], limit_escapes[];
extern const size_t n_file_escapes, n_socket_escapes, n_process_escapes, n_kernel_escapes, n_limit_escapes;

/** Result of a call: 0, errno. */
#define TRIED(call) ((call) < 0 ? errno : 0)

/** The same, where an argument was wrong on purpose: @p reached is what the kernel says once it has
 * decided that the caller may. */
static inline int
tried_until(long result, int reached)
{
	if (result >= 0 || errno == reached)
		return 0;
	return errno == ENOSYS ? ESCAPE_ABSENT : errno;
}

#endif /* TESTS_SANDBOX_ESCAPES_H */
