/* SPDX-License-Identifier: MIT */
/* Who opened what. */

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ioreturn.h"
#include "dextd/audit.h"
#include "dextd/realm.h"

void
audit(const struct connection *connection, IOReturn status, const char *fmt, ...)
{
	char link[32], program[256], user[32], what[512], text[1024];
	ssize_t len;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	(void)snprintf(link, sizeof link, "/proc/%d/exe", connection->pid);
	len = readlink(link, program, sizeof program - 1);
	program[len > 0 ? len : 0] = '\0';
	(void)snprintf(user, sizeof user, "user %u", connection->uid);
	(void)snprintf(text, sizeof text, "%s: %s by %s", adxi_ioreturn_name(status), what,
		       len > 0 && connection_peer_lives(connection) ? program
								    : "a program that has ended");
	journal_add(connection->realm->audit, connection->pid, user, "", text);
}
