/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RUNNER_MEASURE_H
#define BENCH_RUNNER_MEASURE_H

/**
 * @file bench/runner/measure.h
 * @brief One row, measured: reference and candidate alive at the same time, in turns.
 *
 * Absolute times of a shared machine are worth little; the ratio of two slices of 5 ms that follow
 * each other is worth something, and its median over many pairs is stable. A round starts both
 * sides anew, so that what a process was lucky with does not stay for all rounds.
 *
 * Threads: [main thread].
 */

#include "rows.h"

#define MEASURE_MAX_ROUNDS 64u

struct measure_plan {
	unsigned rounds, pairs, idle_pairs, idle_count;
	uint64_t soak_calls;
	unsigned quiet_limit_ms; /* how long a round waits for others to be quiet */
	void (*progress)(void *userdata, unsigned round);
	void *userdata;
};

enum measure_state {
	MEASURED,
	MEASURE_MISSING, /* a side is not built, or cannot run here */
	MEASURE_FAILED,
};

/* Medians over all slices of all rounds, a single operation. */
struct measure_side {
	double ns, cpu_client_ns, cpu_server_ns;
	char *counters; /* owned: JSON of the last round; NULL: none */
};

struct measure_spread {
	double median, min, max;
};

struct measure_result {
	enum measure_state state;
	char reason[640];
	int candidate_missing; /* MEASURE_MISSING: it is the candidate */
	unsigned n_rounds;
	double rounds[MEASURE_MAX_ROUNDS]; /* a ratio each; without reference: the figure */
	struct measure_spread ratio;
	double pairs_p10, pairs_p90;
	double foreign_percent; /* of one processor, median of the rounds */
	struct measure_side reference, candidate;
};

enum measure_verdict { VERDICT_MET, VERDICT_NOT_MET, VERDICT_NOT_MEASURED, VERDICT_NONE };

/** Measure. @p ret_result is always filled; measure_done() frees what is in it. */
void measure_row(const struct bench_row *row, const struct measure_plan *plan,
		 struct measure_result *ret_result);
void measure_done(struct measure_result *result);
/** What the bar says of it. VERDICT_NONE: the row has no bar. */
enum measure_verdict measure_verdict(const struct bench_row *row,
				     const struct measure_result *result);

#endif /* BENCH_RUNNER_MEASURE_H */
