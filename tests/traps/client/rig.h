/* SPDX-License-Identifier: MIT */
#ifndef TRAPS_RIG_H
#define TRAPS_RIG_H

/** @file rig.h
 *  @brief Traps as a table: what is planted, what the caller gets, and what is said. Single thread, except where a plant says so. */

#include <stdbool.h>

#include <IOKit/IOKitLib.h>

#define MAX_SAID 6

enum trap_flags {
	TRAP_DIES = 1u << 0,      /* ends the driver: run in a realm of its own */
	TRAP_DEVICE = 1u << 1,    /* needs the sensor */
	TRAP_NO_SERVICE = 1u << 2, /* the plant opens what it needs itself */
};

#define SUCCESS_WHEN_STRICT 1 /* as wanted_strict, where 0 is: the same as plainly */

struct rig {
	io_connect_t connection;
	IONotificationPortRef port; /* owned */
	bool strict;                /* AMBIDEXT_STRICT=macos */
	const char *wrong;          /* why a demonstration did not show what it should; literal */
	unsigned n_calls;           /* callbacks that ran */
	IOReturn result;            /* the last one's */
	uint32_t n_args;
	uint64_t first_arg;
};

struct trap {
	const char *name;   /* "T9: scalars"; before the colon its rule's row is looked up */
	const char *driver; /* service's name */
	kern_return_t (*plant)(struct rig *rig);
	kern_return_t wanted, wanted_strict;
	const char *rule;   /* what is told, or NULL: nothing need be */
	const char *said[MAX_SAID]; /* parts of the sentence that is told, in any order */
	unsigned flags;
};

extern const struct trap call_traps[], object_traps[];
extern const unsigned n_call_traps, n_object_traps;

/** Note why a demonstration failed, once. */
static inline void
want(struct rig *rig, bool condition, const char *otherwise)
{
	if (!condition && !rig->wrong)
		rig->wrong = otherwise;
}

/** Wait (10 s at most) until the realm's log has a line of @p rule, told since this trap began, that holds all of @p said. */
bool rig_is_told(const char *rule, const char *const said[MAX_SAID]);
/** Open @p name, waiting for it to appear. 0: it did not. */
io_connect_t rig_open(const char *name);
/** Run callbacks until @p n have run or 10 s have passed. */
void rig_run(struct rig *rig, unsigned n);
/** Reference for asynchronous calls with callbacks that are counted in @p rig; @p n_words picks the form. */
void rig_reference(struct rig *rig, unsigned n_words, uint64_t reference[8]);
/** An asynchronous call without arguments, with rig's port, expecting @p n_words. */
kern_return_t rig_call_async(struct rig *rig, uint32_t selector, unsigned n_words);

#endif
