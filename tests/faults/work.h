/* SPDX-License-Identifier: MIT */
#ifndef FAULTS_WORK_H
#define FAULTS_WORK_H

/**
 * @file faults/work.h
 * @brief A client's day: calls with and without data, small and large, callbacks, the registry;
 * each answer is compared with its question.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <IOKit/IOKitLib.h>

struct work_counts {
	_Atomic uint64_t begun, returned; /* calls; equal when nobody is at work */
	_Atomic uint64_t refused;         /* returned with an error */
	_Atomic uint64_t wrong;           /* succeeded, with another question's answer */
	_Atomic uint64_t accepted, told,
		twice;            /* asynchronous calls; callbacks, and those that came again */
	_Atomic uint64_t aborted; /* told that none will come */
	_Atomic uint64_t connections;
};

extern struct work_counts work_counts;

/** Start @p n threads; they wait until work_go(true). */
void work_start(unsigned n, uint64_t seed);
/** Work, or close all and stand still: returns when all do. */
void work_go(bool go);
void work_end(void);
/** Threads that wait for a callback that was promised: what each is at, when the test is stuck. */
void work_print_stuck(void);

#endif /* FAULTS_WORK_H */
