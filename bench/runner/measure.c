/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "load.h"
#include "measure.h"
#include "soak.h"

#define SLICE_NS        5000000u
#define FOREIGN_PERCENT 10.0 /* a round with more is measured again */
#define RETRIES         2u
#define FIGURE_ROUNDS   3u

/* Values of one kind. */
struct series {
	double *values; /* owned */
	size_t n, room;
};

enum series_index {
	PAIRS,
	REFERENCE_NS,
	REFERENCE_CLIENT,
	REFERENCE_SERVER,
	CANDIDATE_NS,
	CANDIDATE_CLIENT,
	CANDIDATE_SERVER,
	SERIES_COUNT,
};

struct run {
	const struct bench_row *row;
	const struct measure_plan *plan;
	struct measure_result *result;
	struct child *reference, *candidate; /* owned, in a round */
	struct series all[SERIES_COUNT];     /* over the rounds that count */
};

static int
add(struct series *series, double value)
{
	if (series->n == series->room) {
		size_t room = series->room ? 2 * series->room : 128;
		double *values = realloc(series->values, room * sizeof *values);
		if (!values)
			return -ENOMEM;
		series->values = values;
		series->room = room;
	}
	series->values[series->n++] = value;
	return 0;
}

static int
compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

/* Sorts. @p part: 0 the least, 1 the greatest. */
static double
quantile(double *values, size_t n, double part)
{
	double place;
	size_t below;

	if (n == 0)
		return 0;
	qsort(values, n, sizeof *values, compare);
	place = part * (double)(n - 1);
	below = (size_t)place;
	if (below + 1 >= n)
		return values[n - 1];
	return values[below] + (values[below + 1] - values[below]) * (place - (double)below);
}

static double
median(struct series *series)
{
	return quantile(series->values, series->n, 0.5);
}

static double
ratio_of(const struct bench_row *row, double reference, double candidate)
{
	if (row->direction == BENCH_AT_LEAST)
		return candidate > 0 ? reference / candidate : 0;
	return reference > 0 ? candidate / reference : 0;
}

/* ---- one side, once ---- */

struct sample {
	double ns, client, server; /* an operation */
};

static int
take_slice(struct child *child, struct sample *ret_sample)
{
	struct child_slice slice;
	int r = child_slice(child, SLICE_NS, &slice);
	double n;

	if (r < 0)
		return r;
	n = (double)slice.operations;
	*ret_sample = (struct sample){ .ns = (double)slice.elapsed_ns / n,
				       .client = (double)slice.cpu_client_ns / n,
				       .server = (double)slice.cpu_server_ns / n };
	return 0;
}

static int
take_idle(const struct run *run, struct child *child, struct sample *ret_sample)
{
	struct child_idle idle;
	int r = child_idle(child, run->row->gap_ns, run->plan->idle_count, &idle);

	if (r < 0)
		return r;
	*ret_sample = (struct sample){
		.ns = (double)(run->row->kind == BENCH_IDLE_P99 ? idle.p99_ns : idle.p50_ns)
	};
	return 0;
}

static int
is_idle(const struct bench_row *row)
{
	return row->kind == BENCH_IDLE_P50 || row->kind == BENCH_IDLE_P99;
}

static int
take(const struct run *run, struct child *child, struct sample *ret_sample)
{
	return is_idle(run->row) ? take_idle(run, child, ret_sample)
				 : take_slice(child, ret_sample);
}

/* ---- a round ---- */

static void
failed(struct run *run, const struct child *child, const char *side)
{
	struct measure_result *result = run->result;

	result->state = MEASURE_FAILED;
	if (child &&
	    (child_state(child) == CHILD_NOT_BUILT || child_state(child) == CHILD_SKIPPED)) {
		result->state = MEASURE_MISSING;
		result->candidate_missing = child == run->candidate;
	}
	(void)snprintf(result->reason, sizeof result->reason, "%s: %s", side,
		       child ? child_reason(child) : "no memory");
}

static int
start(struct run *run, const char *command, struct child **child, const char *side)
{
	int r = child_start(command, child);

	if (r == 0 && child_state(*child) == CHILD_READY)
		return 0;
	failed(run, *child, side);
	return r < 0 ? r : -ENOENT;
}

/* One pair. The side that begins changes: what drifts does so for both. */
static int
take_pair(struct run *run, unsigned number, struct series *series)
{
	struct sample reference = { 0 }, candidate = { 0 };
	double left, right;
	int r = 0, rc = 0;

	if (number % 2 == 0)
		r = take(run, run->reference, &reference);
	if (r == 0)
		rc = take(run, run->candidate, &candidate);
	if (r == 0 && rc == 0 && number % 2 == 1)
		r = take(run, run->reference, &reference);
	if (r < 0 || rc < 0) {
		if (r < 0)
			failed(run, run->reference, "reference");
		else
			failed(run, run->candidate, "candidate");
		return -EIO;
	}
	left = run->row->kind == BENCH_CPU ? reference.client + reference.server : reference.ns;
	right = run->row->kind == BENCH_CPU ? candidate.client + candidate.server : candidate.ns;
	r = add(&series[PAIRS], ratio_of(run->row, left, right));
	r = r < 0 ? r : add(&series[REFERENCE_NS], reference.ns);
	r = r < 0 ? r : add(&series[REFERENCE_CLIENT], reference.client);
	r = r < 0 ? r : add(&series[REFERENCE_SERVER], reference.server);
	r = r < 0 ? r : add(&series[CANDIDATE_NS], candidate.ns);
	r = r < 0 ? r : add(&series[CANDIDATE_CLIENT], candidate.client);
	return r < 0 ? r : add(&series[CANDIDATE_SERVER], candidate.server);
}

static int
take_pairs(struct run *run, struct series *series, double *ret_foreign)
{
	unsigned pairs = is_idle(run->row) ? run->plan->idle_pairs : run->plan->pairs;
	struct load_look look;

	if (!(run->row->flags & BENCH_LOADED))
		(void)load_wait_quiet(run->plan->quiet_limit_ms);
	load_look(&look);
	for (unsigned i = 0; i < pairs; i++) {
		int r = take_pair(run, i, series);
		if (r < 0)
			return r;
	}
	*ret_foreign = load_foreign_since(&look);
	return 0;
}

static void
free_series(struct series *series)
{
	for (unsigned i = 0; i < SERIES_COUNT; i++) {
		free(series[i].values);
		series[i] = (struct series){ 0 };
	}
}

/* Again when others were too busy meanwhile; what counts is the quietest. */
static int
quietest(struct run *run, struct series *ret_series, double *ret_foreign)
{
	double foreign = 0;

	for (unsigned i = 0; i <= RETRIES; i++) {
		struct series series[SERIES_COUNT] = { 0 };
		int r = take_pairs(run, series, &foreign);
		if (r < 0) {
			free_series(series);
			return r;
		}
		if (i == 0 || foreign < *ret_foreign) {
			free_series(ret_series);
			memcpy(ret_series, series, sizeof series);
			*ret_foreign = foreign;
		} else {
			free_series(series);
		}
		if (*ret_foreign < FOREIGN_PERCENT)
			break;
	}
	return 0;
}

static void
keep_counters(struct child *child, char **counters)
{
	const char *json;

	if (child_counters(child, &json) < 0)
		return;
	free(*counters);
	*counters = strdup(json);
}

static int
compared_round(struct run *run, double *ret_ratio, double *ret_foreign)
{
	struct series series[SERIES_COUNT] = { 0 };
	int r = start(run, run->row->reference, &run->reference, "reference");

	if (r == 0)
		r = start(run, run->row->candidate, &run->candidate, "candidate");
	if (r == 0 && run->row->flags & BENCH_LOADED)
		r = load_start();
	if (r == 0)
		r = quietest(run, series, ret_foreign);
	load_stop();
	if (r == 0) {
		keep_counters(run->reference, &run->result->reference.counters);
		keep_counters(run->candidate, &run->result->candidate.counters);
		*ret_ratio = median(&series[PAIRS]);
	}
	for (unsigned i = 0; i < SERIES_COUNT; i++)
		for (size_t n = 0; n < series[i].n && r == 0; n++)
			r = add(&run->all[i], series[i].values[n]);
	free_series(series);
	return r;
}

static int
figure_round(struct run *run, double *ret_figure, double *ret_foreign)
{
	struct load_look look;
	char key[128], *place;
	int r = start(run, run->row->candidate, &run->candidate, "candidate");

	if (r < 0)
		return r;
	(void)load_wait_quiet(run->plan->quiet_limit_ms);
	load_look(&look);
	keep_counters(run->candidate, &run->result->candidate.counters);
	*ret_foreign = load_foreign_since(&look);
	(void)snprintf(key, sizeof key, "\"%s\": ", run->row->figure);
	place = run->result->candidate.counters ? strstr(run->result->candidate.counters, key)
						: NULL;
	if (!place) {
		run->result->state = MEASURE_FAILED;
		(void)snprintf(run->result->reason, sizeof run->result->reason,
			       "candidate: its counters do not have %s", run->row->figure);
		return -ENODATA;
	}
	*ret_figure = strtod(place + strlen(key), NULL);
	return 0;
}

static int
soak_round(struct run *run, double *ret_lost, double *ret_foreign)
{
	int r = start(run, run->row->candidate, &run->candidate, "candidate");
	struct load_look look;
	struct soak_result soak = { 0 };

	if (r < 0)
		return r;
	load_look(&look);
	r = soak_run(run->candidate, run->plan->soak_calls, &soak);
	*ret_foreign = load_foreign_since(&look);
	if (r == 0)
		keep_counters(run->candidate, &run->result->candidate.counters);
	/* A call that does not come back is what is looked for, and no failure to look. */
	*ret_lost = (double)soak.timeouts;
	if (r < 0 && soak.timeouts == 0) {
		failed(run, run->candidate, "candidate");
		return r;
	}
	return 0;
}

static void
finish(struct run *run, double *foreign)
{
	struct measure_result *result = run->result;
	double sorted[MEASURE_MAX_ROUNDS];

	memcpy(sorted, result->rounds, sizeof sorted);
	result->ratio.median = quantile(sorted, result->n_rounds, 0.5);
	result->ratio.min = sorted[0];
	result->ratio.max = sorted[result->n_rounds - 1];
	result->foreign_percent = quantile(foreign, result->n_rounds, 0.5);
	result->pairs_p10 = quantile(run->all[PAIRS].values, run->all[PAIRS].n, 0.1);
	result->pairs_p90 = quantile(run->all[PAIRS].values, run->all[PAIRS].n, 0.9);
	result->reference.ns = median(&run->all[REFERENCE_NS]);
	result->reference.cpu_client_ns = median(&run->all[REFERENCE_CLIENT]);
	result->reference.cpu_server_ns = median(&run->all[REFERENCE_SERVER]);
	result->candidate.ns = median(&run->all[CANDIDATE_NS]);
	result->candidate.cpu_client_ns = median(&run->all[CANDIDATE_CLIENT]);
	result->candidate.cpu_server_ns = median(&run->all[CANDIDATE_SERVER]);
}

void
measure_row(const struct bench_row *row, const struct measure_plan *plan,
	    struct measure_result *ret_result)
{
	struct run run = { .row = row, .plan = plan, .result = ret_result };
	unsigned rounds = plan->rounds;
	double foreign[MEASURE_MAX_ROUNDS] = { 0 };
	int r = 0;

	*ret_result = (struct measure_result){ .state = MEASURED };
	if (row->kind == BENCH_FIGURE && rounds > FIGURE_ROUNDS)
		rounds = FIGURE_ROUNDS;
	if (row->kind == BENCH_SOAK)
		rounds = 1;
	for (unsigned i = 0; i < rounds && r == 0; i++) {
		if (plan->progress)
			plan->progress(plan->userdata, i + 1);
		if (row->kind == BENCH_FIGURE)
			r = figure_round(&run, &ret_result->rounds[i], &foreign[i]);
		else if (row->kind == BENCH_SOAK)
			r = soak_round(&run, &ret_result->rounds[i], &foreign[i]);
		else
			r = compared_round(&run, &ret_result->rounds[i], &foreign[i]);
		run.reference = child_end(run.reference);
		run.candidate = child_end(run.candidate);
		ret_result->n_rounds += r == 0;
	}
	if (r < 0 && ret_result->state == MEASURED) {
		ret_result->state = MEASURE_FAILED;
		(void)snprintf(ret_result->reason, sizeof ret_result->reason, "%s", strerror(-r));
	}
	if (ret_result->state == MEASURED)
		finish(&run, foreign);
	free_series(run.all);
}

void
measure_done(struct measure_result *result)
{
	free(result->reference.counters);
	free(result->candidate.counters);
	result->reference.counters = result->candidate.counters = NULL;
}

enum measure_verdict
measure_verdict(const struct bench_row *row, const struct measure_result *result)
{
	/* Of what must never happen the worst round is judged. */
	double figure =
		!row->reference && row->wanted == 0 ? result->ratio.max : result->ratio.median;

	if (!*row->bar || row->direction == BENCH_SHOWN)
		return VERDICT_NONE;
	if (result->state == MEASURE_FAILED)
		return VERDICT_NOT_MET;
	if (result->state == MEASURE_MISSING)
		return result->candidate_missing && !(row->flags & BENCH_OPTIONAL)
			       ? VERDICT_NOT_MET
			       : VERDICT_NOT_MEASURED;
	if (row->direction == BENCH_AT_LEAST)
		return figure >= row->wanted ? VERDICT_MET : VERDICT_NOT_MET;
	return figure <= row->wanted ? VERDICT_MET : VERDICT_NOT_MET;
}
