/* SPDX-License-Identifier: MIT */
/* races_test [--schedules N] [--seed S] [--case NAME] [--free] [--json]: cancel, complete, close
 * and unplug in every order.
 *
 * Every case gets its share of the schedules: one in eight free running, the others stepped. --free
 * or a seed's own repetition
 * (--schedules 1) run one kind alone. Prints what was done and how it ended; each kind must have
 * occurred. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

static struct {
	uint64_t schedules, seed;
	const char *only;
	bool free_running, json;
} options = { .schedules = 8000, .seed = 1 };

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr,
		"usage: races_test [--schedules N] [--seed S] [--case NAME] [--free] [--json]\n");
	exit(2);
}

static void
read_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--free"))
			options.free_running = true;
		else if (!strcmp(argv[i], "--json"))
			options.json = true;
		else if (!value)
			usage();
		else if (!strcmp(argv[i], "--schedules"))
			options.schedules = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			options.seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--case"))
			options.only = argv[++i];
		else
			usage();
	}
}

static bool
tell_counters(const struct race_case *which, uint64_t n)
{
	bool all = true;

	printf("%s: %" PRIu64 " schedules", which->name, n);
	for (unsigned i = 0; i < RACE_COUNTERS; i++) {
		if (!which->counters[i])
			continue;
		printf(", %s %" PRIu64, which->counters[i], race_counted(i));
		all = all && race_counted(i) > 0;
	}
	printf("\n");
	(void)fflush(stdout);
	return all;
}

int
main(int argc, char **argv)
{
	uint64_t share, n_free, n_run = 0;
	unsigned n_cases = 0;
	bool all = true, found = false;

	read_options(argc, argv);
	while (race_cases[n_cases])
		n_cases++;
	share = options.only ? options.schedules : options.schedules / n_cases;
	n_free = options.free_running ? share : share / 8;
	for (unsigned i = 0; race_cases[i]; i++) {
		if (options.only && strcmp(options.only, race_cases[i]->name) != 0)
			continue;
		found = true;
		race_reset_counters();
		race_run(race_cases[i], options.seed, share - n_free, false);
		race_run(race_cases[i], options.seed, n_free, true);
		n_run += share;
		/* A few schedules cannot show every outcome. */
		if (!tell_counters(race_cases[i], share) && share >= 1000) {
			fprintf(stderr, "%s: some outcome never occurred\n", race_cases[i]->name);
			all = false;
		}
	}
	if (!found) {
		fprintf(stderr, "no case \"%s\"\n", options.only);
		return 2;
	}
	printf("%" PRIu64 " schedules, %" PRIu64 " changes of thread\n", n_run, race_switches());
	return all ? 0 : 1;
}
