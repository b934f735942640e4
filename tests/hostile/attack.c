/* SPDX-License-Identifier: MIT */
/* hostile-client: runs one attack as a client, in the realm of $AMBIDEXT_REALM.
 *
 *   hostile-client --list           the rows, one JSON object a line
 *   hostile-client NAME             exit status 0: it ended as it must; 77: this machine cannot do it
 *
 * Services "EchoDriver" (someone else's) and "HostileDriver" (the one that is attacked) must be there. */
#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct attack *const tables[] = { dextd_attacks, channel_attacks, boundary_attacks };

const char *
wrong(const char *fmt, ...)
{
	static char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return text;
}

static void
list(void)
{
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		for (const struct attack *attack = tables[i]; attack->name; attack++)
			printf("{\"name\": \"%s\", \"attacker\": \"client\", \"does\": \"%s\", \"must\": \"%s\", \"rule\": \"%s\"}\n", attack->name,
			       attack->does, attack->must, attack->rule ? attack->rule : "");
}

int
main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list();
		return 0;
	}
	for (size_t i = 0; argc == 2 && i < sizeof tables / sizeof tables[0]; i++) {
		for (const struct attack *attack = tables[i]; attack->name; attack++) {
			const char *complaint;

			if (strcmp(attack->name, argv[1]) != 0)
				continue;
			complaint = attack->run();
			if (complaint)
				printf("%s: %s\n", attack->name, complaint);
			return !complaint ? 0 : !strncmp(complaint, "skip: ", 6) ? 77 : 1;
		}
	}
	fprintf(stderr, "usage: hostile-client --list | NAME\n");
	return 2;
}
