/* SPDX-License-Identifier: MIT */
#ifndef RACES_RACE_H
#define RACES_RACE_H

/**
 * @file races/race.h
 * @brief Threads of one case against each other, again and again, each time in another order that
 * its seed decides.
 *
 * Stepped schedules run one thread at a time. It gives way where it locks, unlocks, waits, signals
 * or makes a thread, and in a build for ThreadSanitizer at each atomic access of what is linked
 * statically too. Who is next is drawn from the seed, so a schedule that fails comes again from its
 * seed. ThreadSanitizer does not see the giving way: accesses that nothing but the schedule keeps
 * apart are reported, whatever the order was.
 *
 * Free schedules run all threads at once, with delays at the same points.
 *
 *   begin() --> actors, workers, threads that they make --> all actors and threads ended, workers
 * idle --> end()
 *
 * A schedule in which nobody can go on, though somebody has not ended, first lets time pass, and
 * then fails as a deadlock. Threads: begin and end on the main thread, when no other runs; time()
 * by one worker at a time.
 */

#include <stdbool.h>
#include <stdint.h>

enum { RACE_ACTORS = 5, RACE_WORKERS = 2, RACE_COUNTERS = 32 };

struct race_case {
	const char *name;
	unsigned n_actors, n_workers;
	void (*begin)(void);
	void (*actor)(unsigned index);
	bool (*work)(void); /* a worker's turn; false: there was nothing to do */
	bool (*time)(void); /* nobody can go on: let time pass; false: there is nothing to come */
	void (*end)(void);
	const char *counters[RACE_COUNTERS]; /* each must have counted something in the end */
};

/** Below @p below, from the schedule's seed: the same for each thread of the schedule, whatever the
 * order. [any] */
uint32_t race_random(uint32_t below);
bool race_is_free(void);
/** Whether the calling thread is one of a schedule: before and after it no other can be made. */
bool race_is_inside(void);
/** Here another thread may come in between. [any] */
void race_point(void);
/** Something is there for workers. [any] */
void race_wake_workers(void);
/** Stepped: wait until race_wake(). @p timed: nobody else can go on is an end, too: false. */
bool race_wait(bool timed);
/** Whoever waits, and workers, look again. [any] */
void race_wake(void);
/** Another thread of this schedule. */
void race_spawn(void *(*start)(void *context), void *context);
void race_count(unsigned counter);
/** The schedule is wrong: tells how to have it again, and ends the process. */
void race_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define race_check(condition, ...)                                                                 \
	do {                                                                                       \
		if (!(condition))                                                                  \
			race_fail(__VA_ARGS__);                                                    \
	} while (0)

/** Run @p n schedules, with seeds from @p seed on. */
void race_run(const struct race_case *which, uint64_t seed, uint64_t n, bool free_running);
/** Threads given way to, in all schedules; and what the case counted. */
uint64_t race_switches(void);
uint64_t race_counted(unsigned counter);
void race_reset_counters(void);

#endif /* RACES_RACE_H */
