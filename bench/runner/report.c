/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "report.h"

enum colour { PLAIN, GOOD, BAD, DIM };

static const char *const verdict_names[] = {
	[VERDICT_MET] = "met",
	[VERDICT_NOT_MET] = "NOT MET",
	[VERDICT_NOT_MEASURED] = "not measured",
	[VERDICT_NONE] = "",
};
static const char *const kind_names[] = {
	[BENCH_TIME] = "time",         [BENCH_CPU] = "cpu",       [BENCH_IDLE_P50] = "idle p50",
	[BENCH_IDLE_P99] = "idle p99", [BENCH_FIGURE] = "figure", [BENCH_SOAK] = "soak",
};
static const char *const wanted_names[] = {
	[BENCH_AT_MOST] = "<=",
	[BENCH_AT_LEAST] = ">=",
	[BENCH_SHOWN] = "",
};

static const char *
paint(enum colour colour)
{
	static const char *const codes[] = {
		[PLAIN] = "\033[0m", [GOOD] = "\033[32m", [BAD] = "\033[31;1m", [DIM] = "\033[2m"
	};

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") ? codes[colour] : "";
}

static enum colour
colour_of(enum measure_verdict verdict)
{
	return verdict == VERDICT_MET ? GOOD : verdict == VERDICT_NOT_MET ? BAD : PLAIN;
}

/* ---- the table ---- */

/* Nanoseconds, as many digits as mean something. */
static void
time_text(double ns, char *text, size_t size)
{
	if (ns <= 0)
		(void)snprintf(text, size, "-");
	else if (ns < 1000)
		(void)snprintf(text, size, "%.0f ns", ns);
	else if (ns < 1e6)
		(void)snprintf(text, size, ns < 1e5 ? "%.2f us" : "%.0f us", ns / 1e3);
	else
		(void)snprintf(text, size, "%.2f ms", ns / 1e6);
}

static void
cpu_text(const struct measure_side *side, char *text, size_t size)
{
	if (side->cpu_client_ns + side->cpu_server_ns > 0)
		(void)snprintf(text, size, "%.2f+%.2f", side->cpu_client_ns / 1e3,
			       side->cpu_server_ns / 1e3);
	else
		(void)snprintf(text, size, "-");
}

static void
wanted_text(const struct bench_row *row, char *text, size_t size)
{
	if (row->direction == BENCH_SHOWN)
		(void)snprintf(text, size, "-");
	else
		(void)snprintf(text, size, "%s %.4g", wanted_names[row->direction], row->wanted);
}

void
report_head(void)
{
	printf("%-4s %-26s %8s %-17s %-17s %-8s %-12s %10s %10s %-13s %-13s %7s\n", "bar", "row",
	       "ratio", "rounds min-max", "pairs p10-p90", "wanted", "", "reference", "candidate",
	       "ref CPU us", "cand CPU us", "foreign");
}

void
report_row(const struct bench_row *row, const struct measure_result *result)
{
	enum measure_verdict verdict = measure_verdict(row, result);
	char wanted[32], range[32], pairs[32], left[32], right[32], left_cpu[32], right_cpu[32];

	wanted_text(row, wanted, sizeof wanted);
	if (result->state != MEASURED) {
		printf("%-4s %-26s %8s %-17s %-17s %-8s %s%-12s%s %s\n", row->bar, row->name, "-",
		       "", "", wanted, paint(colour_of(verdict)),
		       *verdict_names[verdict] ? verdict_names[verdict] : "not measured",
		       paint(PLAIN), result->reason);
		(void)fflush(stdout);
		return;
	}
	(void)snprintf(range, sizeof range, "%.4g-%.4g", result->ratio.min, result->ratio.max);
	(void)snprintf(pairs, sizeof pairs, "%.4g-%.4g", result->pairs_p10, result->pairs_p90);
	time_text(result->reference.ns, left, sizeof left);
	time_text(result->candidate.ns, right, sizeof right);
	cpu_text(&result->reference, left_cpu, sizeof left_cpu);
	cpu_text(&result->candidate, right_cpu, sizeof right_cpu);
	if (!row->reference) {
		(void)snprintf(pairs, sizeof pairs, "%s", row->unit);
		*left = '\0';
		*right = '\0';
	}
	printf("%-4s %-26s %8.4g %-17s %-17s %-8s %s%-12s%s %10s %10s %-13s %-13s %6.0f%%\n",
	       row->bar, row->name, result->ratio.median, range, pairs, wanted,
	       paint(colour_of(verdict)), verdict_names[verdict], paint(PLAIN), left, right,
	       left_cpu, right_cpu, result->foreign_percent);
	printf("%s     %s%s\n", paint(DIM), row->what, paint(PLAIN));
	if (result->reference.counters)
		printf("%s       reference %s%s\n", paint(DIM), result->reference.counters,
		       paint(PLAIN));
	if (result->candidate.counters)
		printf("%s       candidate %s%s\n", paint(DIM), result->candidate.counters,
		       paint(PLAIN));
	(void)fflush(stdout);
}

/* ---- JSON ---- */

static void
json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void
json_pair(const char *name, const char *value)
{
	json_string(name);
	printf(": ");
	json_string(value);
	printf(", ");
}

static void
json_real(const char *name, double value, const char *end)
{
	json_string(name);
	if (isfinite(value))
		printf(": %.6g%s", value, end);
	else
		printf(": null%s", end);
}

static void
json_side(const char *name, const char *command, const struct measure_side *side)
{
	json_string(name);
	printf(": {");
	json_pair("command", command);
	json_real("ns", side->ns, ", ");
	json_real("cpu_client_ns", side->cpu_client_ns, ", ");
	json_real("cpu_server_ns", side->cpu_server_ns, ", ");
	printf("\"counters\": %s}", side->counters ? side->counters : "{}");
}

static void
json_row(const struct bench_row *row, const struct measure_result *result)
{
	enum measure_verdict verdict = measure_verdict(row, result);

	printf("{");
	json_pair("bar", row->bar);
	json_pair("group", row->group);
	json_pair("name", row->name);
	json_pair("what", row->what);
	json_pair("kind", kind_names[row->kind]);
	json_pair("direction", wanted_names[row->direction]);
	if (row->direction != BENCH_SHOWN)
		json_real("wanted", row->wanted, ", ");
	json_pair("verdict", verdict_names[verdict]);
	if (result->state != MEASURED) {
		json_pair("state", result->state == MEASURE_MISSING ? "missing" : "failed");
		json_string("reason");
		printf(": ");
		json_string(result->reason);
		printf("}");
		return;
	}
	json_pair("state", "measured");
	json_real("median", result->ratio.median, ", ");
	json_real("min", result->ratio.min, ", ");
	json_real("max", result->ratio.max, ", ");
	json_real("pairs_p10", result->pairs_p10, ", ");
	json_real("pairs_p90", result->pairs_p90, ", ");
	json_real("foreign_percent", result->foreign_percent, ", ");
	printf("\"rounds\": [");
	for (unsigned i = 0; i < result->n_rounds; i++)
		printf("%s%.6g", i ? ", " : "", result->rounds[i]);
	printf("], ");
	if (row->reference) {
		json_side("reference", row->reference, &result->reference);
		printf(", ");
	}
	json_side("candidate", row->candidate, &result->candidate);
	printf("}");
}

void
report_json(const struct bench_row *const *rows, const struct measure_result *results, unsigned n,
	    const struct measure_plan *plan)
{
	struct utsname system = { 0 };

	(void)uname(&system);
	printf("{\"machine\": {");
	json_pair("kernel", system.release);
	json_pair("architecture", system.machine);
	printf("\"processors\": %ld}, ", sysconf(_SC_NPROCESSORS_ONLN));
	printf("\"rounds\": %u, \"pairs\": %u, \"rows\": [", plan->rounds, plan->pairs);
	for (unsigned i = 0; i < n; i++) {
		printf("%s\n", i ? "," : "");
		json_row(rows[i], &results[i]);
	}
	printf("\n]}\n");
}

/* ---- bars ---- */

unsigned
report_bars(const struct bench_row *const *rows, const struct measure_result *results, unsigned n)
{
	unsigned count[4] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		enum measure_verdict verdict = measure_verdict(rows[i], &results[i]);
		char wanted[32], figure[32] = "-";
		if (verdict == VERDICT_NONE)
			continue;
		count[verdict]++;
		wanted_text(rows[i], wanted, sizeof wanted);
		if (results[i].state == MEASURED)
			(void)snprintf(figure, sizeof figure, "%.4g",
				       !rows[i]->reference && rows[i]->wanted == 0
					       ? results[i].ratio.max
					       : results[i].ratio.median);
		printf("%-4s %-26s %9s  wanted %-9s %s%-12s%s %s\n", rows[i]->bar, rows[i]->name,
		       figure, wanted, paint(colour_of(verdict)), verdict_names[verdict],
		       paint(PLAIN),
		       results[i].state == MEASURED ? rows[i]->what : results[i].reason);
	}
	printf("bars: %u met, %u not met, %u not measured\n", count[VERDICT_MET],
	       count[VERDICT_NOT_MET], count[VERDICT_NOT_MEASURED]);
	return count[VERDICT_NOT_MET];
}
