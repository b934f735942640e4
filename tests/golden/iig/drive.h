/* SPDX-License-Identifier: MIT */
#ifndef GOLDEN_DRIVE_H
#define GOLDEN_DRIVE_H

/** @file drive.h
 *  @brief What drive.c and drive.cpp, the same driver in two languages, show of themselves to
 * drive_test.c. */

#include <ambidext/base.h>
#include <stdint.h>

ADX_BEGIN_DECLS

struct drive_seen {
	char trace[64]; /* E, T: Engine's, Turbo's init; e, t: Speed; h, H: Hook; f: free */
	uint32_t note;
	uint32_t data_sum;
	int32_t status;
	void *target; /* self of the last callback */
	void *object;
};
extern struct drive_seen drive_seen;

/** What only the language itself can say: calls by its own means on the Turbo @p turbo. 0: all is
 * well, else the line that failed. */
int drive_language(void *turbo);
/** An action on the Engine or Turbo @p engine's Finished. */
void *drive_create_action(void *engine);
void drive_saw(char what);

ADX_END_DECLS
#endif
