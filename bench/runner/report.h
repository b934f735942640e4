/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RUNNER_REPORT_H
#define BENCH_RUNNER_REPORT_H

/**
 * @file bench/runner/report.h
 * @brief Results as a table for people, as JSON, and as the list of bars. On standard output.
 *
 * Threads: [main thread].
 */

#include "measure.h"

/** First line of the table; then a row each, as soon as it is measured. Colour only on a terminal
 * without NO_COLOR. */
void report_head(void);
void report_row(const struct bench_row *row, const struct measure_result *result);

/** One JSON object with all of it. */
void report_json(const struct bench_row *const *rows, const struct measure_result *results,
		 unsigned n, const struct measure_plan *plan);

/** Each bar with its figure, wanted, and whether it is met. @return how many are not */
unsigned report_bars(const struct bench_row *const *rows, const struct measure_result *results,
		     unsigned n);

#endif /* BENCH_RUNNER_REPORT_H */
