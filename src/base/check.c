/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_TOPIC "check"
#include "base/log.h"

/* Not through the log: the process may have none, and it dies here. */
__attribute__((noreturn)) static void
last_words(const char *text, int len)
{
	ssize_t r;

	r = write(STDERR_FILENO, text, len > 0 ? (size_t)len : 0);
	(void)r; /* nobody is left to tell */
	abort();
}

void
adxi_die(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof line - 1, fmt, ap);
	va_end(ap);
	if (len < 0)
		len = 0;
	if (len > (int)sizeof line - 2)
		len = sizeof line - 2;
	line[len++] = '\n';
	last_words(line, len);
}

void
adxi_assert_failed(const char *expr, const char *file, int line, const char *function)
{
	adxi_die("ambidext: assertion failed: %s (%s:%d, %s)", expr, file, line, function);
}

void
adxi_check_failed(const char *expr, const char *file, int line, const char *function)
{
	log_debug("bad argument: %s wants %s (%s:%d)", function, expr, file, line);
}
