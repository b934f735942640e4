/* SPDX-License-Identifier: MIT */
/* adx-bench: measures rows of the table and reports. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "report.h"

#define USAGE                                                                                      \
	"usage: ./run bench [GROUP|ROW …] [OPTION …]\n"                                        \
	"\n"                                                                                       \
	"Measures Ambidext beside the floor of this machine and beside other systems, in turns.\n" \
	"docs/benchmarks.md explains the method and each group: rpc, events, usb, scale, launch, " \
	"instructions.\n"                                                                          \
	"Without a name: all of them. soak-calls: the rows of B16 alone.\n"                        \
	"\n"                                                                                       \
	"  --json        for programs\n"                                                           \
	"  --check       end with each bar of the issue, its figure and whether it is met; 1 if "  \
	"one is not\n"                                                                             \
	"  --rounds N    both sides are started anew N times (7)\n"                                \
	"  --pairs N     pairs of slices a round (60)\n"                                           \
	"  --quick       1 round of 20 pairs\n"                                                    \
	"  --calls N     calls of a soak (1000000)\n"                                              \
	"  --wait MS     how long a round waits for others to be quiet (5000)\n"                   \
	"  --list        print the rows, and measure nothing\n"                                    \
	"  --help        print this\n"

enum { MAX_ROWS = 256 };

struct options {
	int json, check, list;
	struct measure_plan plan;
};

static unsigned n_selected, current;
static const struct bench_row *selected[MAX_ROWS];

__attribute__((format(printf, 1, 2), noreturn)) static void
wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "bench: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "; see ./run bench --help\n");
	va_end(args);
	exit(2);
}

static uint64_t
number(const char *option, const char *text, uint64_t least, uint64_t most)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || value < least || value > most)
		wrong("--%s wants a number from %llu to %llu, not '%s'", option,
		      (unsigned long long)least, (unsigned long long)most, text);
	return value;
}

/* Only what is asked for by name is measured for the plots. */
static int
is_for_plots(const struct bench_row *row)
{
	return strcmp(row->group, "payload") == 0 || strcmp(row->group, "depth") == 0;
}

static void
select_row(const struct bench_row *row)
{
	for (unsigned i = 0; i < n_selected; i++)
		if (selected[i] == row)
			return;
	if (n_selected < MAX_ROWS)
		selected[n_selected++] = row;
}

static void
select_rows(const char *name)
{
	unsigned n = n_selected;

	for (unsigned i = 0; i < bench_n_rows; i++) {
		const struct bench_row *row = &bench_rows[i];
		if (!name ? !is_for_plots(row)
			  : strcmp(name, row->group) == 0 || strcmp(name, row->name) == 0 ||
				    (*row->bar && strcmp(name, row->bar) == 0) ||
				    (strcmp(name, "soak-calls") == 0 && row->kind == BENCH_SOAK))
			select_row(row);
	}
	if (n == n_selected && name)
		wrong("there is no group or row '%s'", name);
}

static void
parse(int argc, char **argv, struct options *ret_options)
{
	static const struct option names[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "check", no_argument, NULL, 'c' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "pairs", required_argument, NULL, 'p' },
		{ "quick", no_argument, NULL, 'q' },
		{ "calls", required_argument, NULL, 'n' },
		{ "wait", required_argument, NULL, 'w' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .plan = { .rounds = 7,
					     .pairs = 60,
					     .idle_pairs = 3,
					     .idle_count = 200,
					     .soak_calls = 1000000,
					     .quiet_limit_ms = 5000 } };
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 'j':
			options.json = 1;
			break;
		case 'c':
			options.check = 1;
			break;
		case 'l':
			options.list = 1;
			break;
		case 'r':
			options.plan.rounds =
				(unsigned)number("rounds", optarg, 1, MEASURE_MAX_ROUNDS);
			break;
		case 'p':
			options.plan.pairs = (unsigned)number("pairs", optarg, 1, 10000);
			break;
		case 'n':
			options.plan.soak_calls =
				number("calls", optarg, 1, UINT64_C(100000000000));
			break;
		case 'w':
			options.plan.quiet_limit_ms = (unsigned)number("wait", optarg, 0, 3600000);
			break;
		case 'q':
			options.plan.rounds = 1;
			options.plan.pairs = 20;
			options.plan.idle_pairs = 1;
			options.plan.idle_count = 50;
			options.plan.soak_calls = 20000;
			options.plan.quiet_limit_ms = 500;
			break;
		case 'h':
			fputs(USAGE, stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind == argc)
		select_rows(NULL);
	for (; optind < argc; optind++)
		select_rows(argv[optind]);
	*ret_options = options;
}

/* On a terminal one line that changes; elsewhere a line a row. */
static void
progress(void *userdata, unsigned round)
{
	const struct measure_plan *plan = userdata;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[Kbench: %u of %u: %s, round %u of %u\r", current + 1,
			n_selected, selected[current]->name, round, plan->rounds);
	else if (round == 1)
		fprintf(stderr, "bench: %u of %u: %s\n", current + 1, n_selected,
			selected[current]->name);
}

static void
end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static void
list(void)
{
	for (unsigned i = 0; i < n_selected; i++)
		printf("%-4s %-12s %-26s %s\n", selected[i]->bar, selected[i]->group,
		       selected[i]->name, selected[i]->what);
}

int
main(int argc, char **argv)
{
	static struct measure_result results[MAX_ROWS];
	struct options options;
	unsigned not_met = 0, failed = 0;

	parse(argc, argv, &options);
	if (options.list) {
		list();
		return 0;
	}
	if (!getenv("AMBIDEXT_BUILD_DIR"))
		wrong("run it as ./run bench");
	(void)signal(SIGPIPE, SIG_IGN);
	options.plan.progress = progress;
	options.plan.userdata = &options.plan;
	if (!options.json)
		report_head();
	for (current = 0; current < n_selected; current++) {
		measure_row(selected[current], &options.plan, &results[current]);
		failed += results[current].state == MEASURE_FAILED;
		end_progress();
		if (!options.json)
			report_row(selected[current], &results[current]);
	}
	if (options.json)
		report_json(selected, results, n_selected, &options.plan);
	else if (options.check)
		printf("\n");
	if (options.check && !options.json)
		not_met = report_bars(selected, results, n_selected);
	for (unsigned i = 0; i < n_selected && options.check && options.json; i++)
		not_met += measure_verdict(selected[i], &results[i]) == VERDICT_NOT_MET;
	for (unsigned i = 0; i < n_selected; i++)
		measure_done(&results[i]);
	return not_met || failed ? 1 : 0;
}
