/* SPDX-License-Identifier: MIT */
#ifndef CONFORMANCE_RIG_H
#define CONFORMANCE_RIG_H

/** @file rig.h
 *  @brief Tables of situations, each row a test: what is done, the code, what is told. Single
 * thread, but where a row makes another. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <IOKit/IOKitLib.h>

#include "driver/ConformanceMethods.h"

#define DRIVER          "ConformanceDriver"
#define MORTAL          "ConformanceMortal"
#define BARE            "ConformanceBare"
#define SLOW            "ConformanceSlow"
#define GUARDED         "ConformanceGuarded"
#define FAILURE         ((kern_return_t)CONFORMANCE_FAILURE)
#define BYTES_UNTOUCHED 0xee

/* What is told of a row. */
enum where {
	SAID_BY_CLIENT, /* adx_last_explanation() of the thread that called */
	SAID_BY_DRIVER, /* the realm's log, a line of that rule */
};

/* A row that is done by a function. */
struct situation {
	const char *name;
	/** @return the code that the table wants; other things it asserts itself. */
	kern_return_t (*act)(void);
	kern_return_t wanted;
	const char *rule; /* NULL: nothing need be told */
	const char *said; /* part of the sentence; NULL: any */
	enum where where;
};

/** Run @p rows as a group of tests. @return how many failed */
int situations_run(const char *name, const struct situation *rows, unsigned n_rows);

/* ---- the driver ---- */

/** +1; waits until it is there. Fails the test without one. */
io_service_t service_copy(const char *name);
/** Whether DRIVER comes up; what the realm says is printed if not. */
bool driver_is_there(void);
/** A connection of @p type to @p name. */
io_connect_t connection_open(const char *name, uint32_t type);
/** One connection of kTypeNormal to DRIVER for all rows that leave it whole. Borrowed. */
io_connect_t connection_shared(void);
/** Scalars only: the code. */
kern_return_t call0(io_connect_t connection, uint32_t selector);
kern_return_t call1(io_connect_t connection, uint32_t selector, uint64_t a);
kern_return_t call3(io_connect_t connection, uint32_t selector, uint64_t a, uint64_t b, uint64_t c);
/** kCounts: user clients started, stopped, freed so far, and how many there are. */
void counts_get(uint64_t counts[4]);
/** The same once those of earlier rows are gone. */
void counts_settle(uint64_t counts[4]);

/* ---- callbacks ---- */

#define MAX_EVENTS 64u

struct receiver {
	IONotificationPortRef port; /* owned */
	unsigned n_calls;           /* atomic */
	IOReturn results[MAX_EVENTS];
	uint32_t n_args; /* of the last call */
	uint64_t args[16];
};

void receiver_init(struct receiver *receiver);
void receiver_done(struct receiver *receiver);
/** Reference of kIOAsyncCalloutCount words for the form that @p n_words has. */
void receiver_reference(struct receiver *receiver, unsigned n_words, uint64_t reference[8]);
/** An asynchronous call without inputs or outputs. */
kern_return_t receiver_call(struct receiver *receiver, io_connect_t connection, uint32_t selector,
			    unsigned n_words);
/** Dispatch the port's descriptor until @p n callbacks have run or 10 s have passed. @return
 * whether they have */
bool receiver_run(struct receiver *receiver, unsigned n);
/** Run what is due and nothing more. */
void receiver_drain(struct receiver *receiver);

/** Wait (10 s at most) until @p is_so answers true. */
bool wait_until(bool (*is_so)(void *context), void *context);
/** Fails the test unless a line of @p rule that holds @p said was told since the row began. */
void assert_told(enum where where, const char *rule, const char *said);

/* ---- tables ---- */

extern const struct situation open_rows[], async_rows[], memory_rows[], close_rows[], object_rows[],
	death_rows[], seed_rows[], strict_rows[];
extern const unsigned n_open_rows, n_async_rows, n_memory_rows, n_close_rows, n_object_rows,
	n_death_rows, n_seed_rows, n_strict_rows;
/** The table of IOConnectCall rows (calls.c). @return how many failed */
int calls_run(void);

/* For tables in calls.c */
void row_begin(void);

#define N_ROWS(table) ((unsigned)(sizeof(table) / sizeof *(table)))

#endif
