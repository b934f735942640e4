/* SPDX-License-Identifier: MIT */
/* conformance [TABLE…]: the client API's rules against a driver in its own process. Runs in a
 * private realm that has the driver. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"

static bool
is_chosen(const char *name, bool on_demand, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc < 2 && !on_demand;
}

int
main(int argc, char **argv)
{
	/* calls comes first: one of its rules is for programs without threads, and later tables
	 * make some. */
	const struct {
		const char *name;
		const struct situation *rows;
		unsigned n_rows;
		bool on_demand;
	} tables[] = {
		{ "calls", NULL, 0 },
		{ "seed", seed_rows, n_seed_rows },
		{ "open", open_rows, n_open_rows },
		{ "async", async_rows, n_async_rows },
		{ "memory", memory_rows, n_memory_rows },
		{ "objects", object_rows, n_object_rows },
		{ "close", close_rows, n_close_rows },
		{ "death", death_rows, n_death_rows },
		{ "strict", strict_rows, n_strict_rows, true },
	};
	int n_failed = 0;

	if (is_chosen("--open-and-end", true, argc, argv)) {
		(void)connection_open(DRIVER, kTypeNormal);
		return raise(SIGKILL);
	}
	if (!driver_is_there())
		return 1; /* every row would wait for it */
	for (unsigned i = 0; i < N_ROWS(tables); i++)
		if (is_chosen(tables[i].name, tables[i].on_demand, argc, argv))
			n_failed += tables[i].rows ? situations_run(tables[i].name, tables[i].rows,
								    tables[i].n_rows)
						   : calls_run();
	return n_failed ? 1 : 0;
}
