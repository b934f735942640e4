/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RUNNER_CHILD_H
#define BENCH_RUNNER_CHILD_H

/**
 * @file bench/runner/child.h
 * @brief A subject that runs: bench/subject.h says what it understands.
 *
 * Threads: [main thread]. Everything waits, but not for ever: a subject that does not answer is
 * ended and gives -ETIMEDOUT.
 */

#include <stdint.h>

struct child;

enum child_state {
	CHILD_READY,
	CHILD_NOT_BUILT, /* there is no such program */
	CHILD_SKIPPED,   /* it says that it cannot run here */
	CHILD_FAILED,    /* it ended, or did not answer */
};

struct child_slice {
	uint64_t operations, elapsed_ns, cpu_client_ns, cpu_server_ns;
};
struct child_idle {
	uint64_t p50_ns, p99_ns, max_ns;
};

/**
 * Start a subject and wait until it is ready.
 *
 * @param command    as in struct bench_row
 * @param ret_child  [out] owned, child_end(); also when it is not ready
 * @retval -ENOMEM, -EMFILE
 */
int child_start(const char *command, struct child **ret_child);
enum child_state child_state(const struct child *child);
/** Why it is not ready: one line; "" when it is. Borrowed. */
const char *child_reason(const struct child *child);

/** 0, -ETIMEDOUT, -EPIPE, -EBADMSG; after an error the state is CHILD_FAILED. */
int child_slice(struct child *child, uint64_t ns, struct child_slice *ret_slice);
int child_idle(struct child *child, uint64_t gap_ns, unsigned count, struct child_idle *ret_idle);
/** The counters' JSON object, a line without its end. Borrowed until the next question. */
int child_counters(struct child *child, const char **ret_json);

/** End its input, wait for it, and help if need be. NULL is allowed. Always NULL. */
struct child *child_end(struct child *child);

#endif /* BENCH_RUNNER_CHILD_H */
