/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

/**
 * @file bench/subject.h
 * @brief What every subject of the benchmarks links: a program that measures one thing in slices.
 *
 *   SUBJECT [--bytes N] [--pin one|two|free] [options of its own]
 *
 * It starts its servers, warms up, prints `ready` (or `skip REASON`, and exits with 77), and
 * answers each line of standard input with one line:
 *
 *   slice NS             do operations for NS nanoseconds
 *                        -> OPERATIONS ELAPSED_NS CPU_CLIENT_NS CPU_SERVER_NS
 *   idle GAP_NS COUNT    COUNT times: sleep, one operation
 *                        -> P50_NS P99_NS MAX_NS
 *   counters             what was done until now
 *                        -> a JSON object
 *
 * At the end of input it ends, and its servers with it. So a reference and a candidate can both be
 * alive and be measured in turns. Between two commands neither side may use a processor: a server
 * that spins does so only while the client is in a slice.
 *
 * A subject is a main() like this:
 *
 *	struct bench_options options;
 *	bench_options(&argc, argv, &options);
 *	... map shared memory ...
 *	struct bench_subject subject = { .operation = call, .context = &link };
 *	bench_add_server(&subject, bench_fork(BENCH_SERVER, &options, serve, &link));
 *	bench_pin(BENCH_CLIENT, &options);
 *	return bench_main(&subject);
 *
 * Threads: [main thread] all of it, once.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define BENCH_SKIPPED     77
#define BENCH_MAX_SERVERS 8u
/* Contents are compared at this distance, and cheaply (first word) always. */
#define BENCH_CHECK_EVERY 1000u

enum bench_pin_mode {
	BENCH_PIN_FREE, /* nobody is pinned */
	BENCH_PIN_ONE,  /* all on processor 0 */
	BENCH_PIN_TWO,  /* client on 0, servers on 1 */
};
enum bench_side { BENCH_CLIENT, BENCH_SERVER };

struct bench_options {
	size_t bytes; /* this many in and this many out, per operation; 0: none */
	enum bench_pin_mode pin;
};

struct bench_counters;

struct bench_subject {
	/* One operation, contents checked. Returns 0 (one operation was done), the number of
	 * operations that were done, or -errno, which ends the subject. */
	int (*operation)(void *context);
	/* Instead of sleep and operation, for what is paced by the other side: fill @p
	 * ret_latencies with @p count values in nanoseconds, @p gap_ns apart. 0 or -errno. NULL:
	 * sleep, operation. */
	int (*idle)(void *context, uint64_t gap_ns, unsigned count, uint64_t *ret_latencies);
	/* Before and after a command's operations: servers that spin or stream. 0 or -errno. May be
	 * NULL. */
	int (*resume)(void *context);
	int (*pause)(void *context);
	/* Add to what `counters` prints: bench_count(). May be NULL. */
	void (*counters)(void *context, struct bench_counters *counters);
	void *context;                    /* borrowed */
	pid_t servers[BENCH_MAX_SERVERS]; /* whose processor time is the servers' */
	unsigned n_servers;
};

/**
 * Take --bytes and --pin out of the command line; what is left is the subject's own.
 *
 * Ends the process with 2 and a sentence when they are wrong; knows 0 <= bytes <= 16 MiB.
 *
 * @param argc, argv  [in, out] as main() got them, argv[0] stays
 */
void bench_options(int *argc, char **argv, struct bench_options *ret_options);
/** Take an option of the subject's own out of the command line: "--name VALUE" or "--name=VALUE".
 * NULL: it is not there. */
const char *bench_option(int *argc, char **argv, const char *name);
/** The same for a number; @p otherwise when it is not there. Ends the process with 2 when it is no
 * number. */
uint64_t bench_option_number(int *argc, char **argv, const char *name, uint64_t otherwise);
/** The same for "--name" alone: whether it is there. */
int bench_option_flag(int *argc, char **argv, const char *name);
/** To be called when all options were taken: what is left is wrong, and ends the process with 2. */
void bench_no_more_options(int argc, char **argv);

/** `skip REASON`, exit status 77. One line. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_skip(const char *format, ...);
/** The reason on standard error, exit status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *format, ...);

/** Pin the calling thread, and what it will start, as the options say for @p side. */
void bench_pin(enum bench_side side, const struct bench_options *options);
/** Pin all threads of another process. 0 or -errno; 0 also when the options pin nobody. */
int bench_pin_process(enum bench_side side, const struct bench_options *options, pid_t pid);
/** Fork a process that is pinned, runs @p run and ends, at the latest with its parent. Never fails:
 * bench_fail(). */
pid_t bench_fork(enum bench_side side, const struct bench_options *options,
		 void (*run)(void *context), void *context);
/** Count the processor time of @p pid as the servers'; ended by bench_main() only if it is a child.
 */
void bench_add_server(struct bench_subject *subject, pid_t pid);

/** Memory that bench_fork() shares, zeroed. Never fails. */
void *bench_shared(size_t len);
/** Bytes that depend on @p seed: what @p data must hold for bench_holds(). */
void bench_fill(void *data, size_t len, uint64_t seed);
/** Whether they are these. 1 or 0. */
int bench_holds(const void *data, size_t len, uint64_t seed);

/** CLOCK_MONOTONIC. */
uint64_t bench_now_ns(void);
/** Processor time of all threads of this process; of another (0 when it is gone). */
uint64_t bench_cpu_self_ns(void);
uint64_t bench_cpu_of_ns(pid_t pid);
/** Sleep; with the timer slack of 1 ns that bench_main() sets. */
void bench_sleep_ns(uint64_t ns);

/** One more pair of the object that `counters` prints. */
void bench_count(struct bench_counters *counters, const char *name, uint64_t value);
void bench_count_real(struct bench_counters *counters, const char *name, double value);

/** Warm up, print `ready`, answer commands until the input ends, end the servers that are children.
 * The exit status. */
int bench_main(const struct bench_subject *subject);

#endif /* BENCH_SUBJECT_H */
