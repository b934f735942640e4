/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RUNNER_LOAD_H
#define BENCH_RUNNER_LOAD_H

/**
 * @file bench/runner/load.h
 * @brief What others do on this machine meanwhile, and load that is wanted.
 *
 * Threads: [main thread].
 */

#include <stdint.h>

/* A look at the processors. */
struct load_look {
	uint64_t time_ns, busy_ns, own_ns;
};

/** Look now. Own is this process and all that descend from it. Some milliseconds. */
void load_look(struct load_look *ret_look);
/** Processor time that others used since then, in percent of one processor. */
double load_foreign_since(const struct load_look *look);
/** Wait until others use less than 8 percent, at most @p limit_ms. @return what they used at last
 */
double load_wait_quiet(unsigned limit_ms);

/** A loop on each processor, of our priority, until load_stop(). 0, -errno. */
int load_start(void);
void load_stop(void);

#endif /* BENCH_RUNNER_LOAD_H */
