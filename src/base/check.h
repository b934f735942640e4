/* SPDX-License-Identifier: MIT */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/**
 * @file base/check.h
 * @brief Our bug: adxi_assert. The caller's bug at a public function: adxi_check_arg.
 *
 * What the world does wrong (a peer, a device, memory) is neither: it takes the normal error path.
 */

#include <stdbool.h>

/** Always compiled in. Prints the expression and aborts. No side effects inside. */
#define adxi_assert(expr)                                                                          \
	do {                                                                                       \
		if (__builtin_expect(!(expr), 0))                                                  \
			adxi_assert_failed(#expr, __FILE__, __LINE__, __func__);                   \
	} while (0)

/** Return @p value from the calling function unless @p expr; logged at debug level. */
#define adxi_check_arg(expr, value)                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(expr), 0)) {                                                \
			adxi_check_failed(#expr, __FILE__, __LINE__, __func__);                    \
			return value;                                                              \
		}                                                                                  \
	} while (0)

/** End the process after saying why, as a rule demands it. One line, then abort(). */
__attribute__((noreturn, format(printf, 1, 2))) void adxi_die(const char *fmt, ...);

__attribute__((noreturn)) void adxi_assert_failed(const char *expr, const char *file, int line,
						  const char *function);
void adxi_check_failed(const char *expr, const char *file, int line, const char *function);

#endif /* BASE_CHECK_H */
