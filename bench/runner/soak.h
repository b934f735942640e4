/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RUNNER_SOAK_H
#define BENCH_RUNNER_SOAK_H

/**
 * @file bench/runner/soak.h
 * @brief Very many calls while others take the processors away: does every reply come?
 *
 * The lost wakes that were met while this was designed needed 10^7 calls and foreign load. A wake
 * that is lost shows as a subject that does not answer: its client waits for ever.
 */

#include <stdint.h>

#include "child.h"

struct soak_result {
	uint64_t calls, timeouts;
	double seconds;
};

/** Have a subject do @p calls operations while a loop keeps each processor busy. 0, or
 * child_slice()'s error; then, too, @p ret_result says what was done. */
int soak_run(struct child *child, uint64_t calls, struct soak_result *ret_result);

#endif /* BENCH_RUNNER_SOAK_H */
