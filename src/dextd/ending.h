/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_ENDING_H
#define DEXTD_ENDING_H

/**
 * @file dextd/ending.h
 * @brief How a hosted process ended: what its status, its last words and dextd's own deeds say.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum ending_kind {
	ENDING_NONE,   /* it lives */
	ENDING_ASKED,  /* it was told to exit, or its realm ended */
	ENDING_EXIT,   /* it called exit(), unasked */
	ENDING_SIGNAL, /* a fault */
	ENDING_ABORT,  /* its own assertion */
	ENDING_MEMORY, /* none was left for it */
	ENDING_KILLED, /* somebody else's signal */
	ENDING_HUNG,   /* dextd: it did not go on */
	ENDING_STOP,   /* dextd: a Stop did not end */
	ENDING_LATE,   /* dextd: it did not check in, or did not exit */
	ENDING_BREACH, /* dextd: it closed its channel, or broke the protocol on it */
	ENDING_REPORT, /* a sanitizer said something; the process may live */
	ENDING_KIND_COUNT,
};

struct ending_facts {
	int status;             /* of wait() */
	bool was_leaving;       /* its end was asked for */
	enum ending_kind by_us; /* dextd killed it, and why; ENDING_NONE: did not */
	bool memory_killed;     /* the kernel killed for lack of memory meanwhile */
	int crash_signal;       /* its last words: the signal that its handler saw; 0: none */
	bool memory_failed;     /* its last words: nothing could be allocated */
};

enum ending_kind ending_kind_of(const struct ending_facts *facts);
/** One word: "crash", "abort", "exit" ... */
const char *ending_word(enum ending_kind kind);
/** The driver is to blame, so that it counts for quarantine and is worth a crash record. */
bool ending_is_fault(enum ending_kind kind);

/** @p pid has begun to exit. Also true when it is gone. */
bool process_is_exiting(pid_t pid);
/** 'R', 'S', 'T' ... as in /proc; 0: gone. */
char process_state(pid_t pid);
/** Debugger of @p pid, 0: none. */
pid_t process_tracer(pid_t pid);
/** How often the kernel has killed for lack of memory since it booted; 0: it does not tell. */
unsigned long process_memory_kills(void);

#endif /* DEXTD_ENDING_H */
