/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_UNDERWAY_H
#define DRIVERKIT_UNDERWAY_H

/**
 * @file driverkit/underway.h
 * @brief What each thread of a driver is doing, so that somebody can say it: of a method that does
 * not return while a caller waits (T23), and of the one that crashed (T4, T5, DRV002).
 *
 * A thread's place is written by that thread alone; the watch reads it from outside, so its words
 * are atomic and name only what lives as long as its library.
 */

#include <ambidext/class.h>

struct crash_place;

enum adxi_input {
	ADXI_INPUT_NONE,
	ADXI_INPUT_INLINE,
	ADXI_INPUT_DESCRIPTOR,
};

/* What a thread does. */
struct adxi_underway {
	const char *method;     /* "Class::Method"; NULL: nothing */
	const char *class_name; /* of the target */
	const char *client;     /* class of the user client whose external method runs, or NULL */
	uint64_t selector;
	uint64_t input_size;
	enum adxi_input input;
	unsigned callers; /* that wait for this thread's methods */
};

/** The thread begins @p method of @p target; @p answers: a caller waits. *ret_outer: for the end.
 */
void adxi_underway_enter(const struct OSMethod *method, const OS_OBJECT *target, bool answers,
			 struct adxi_underway *ret_outer);
/** The method is an external one. */
void adxi_underway_external(const char *client, uint64_t selector, uint64_t input_size,
			    enum adxi_input input);
void adxi_underway_leave(const struct adxi_underway *outer);
/** What the calling thread does. Async-signal-safe. */
struct adxi_underway adxi_underway_now(void);
/** The calling thread's part of the crash record, or NULL. Async-signal-safe. */
const struct crash_place *adxi_underway_flight(void);

/** How long the method that has not moved for longest has been seen so; *text (@p size): which, of what, and the queues that are
 * held. What runs when this looks for the first time counts from then on. @return milliseconds */
uint64_t adxi_underway_stuck(char *text, size_t size);

/** Have crashes of this process told with what was under way; the signal then takes its course. */
void adxi_fault_install(void);

#endif /* DRIVERKIT_UNDERWAY_H */
