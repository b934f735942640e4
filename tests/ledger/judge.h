/* SPDX-License-Identifier: MIT */
#ifndef LEDGER_JUDGE_H
#define LEDGER_JUDGE_H

/**
 * @file ledger/judge.h
 * @brief Whether the ledgers that processes left in a directory balance (base/ledger.h).
 */

#include <stdbool.h>
#include <stdio.h>

#include "base/ledger_file.h"

struct ledger_kind_total {
	uint64_t opened;
	uint64_t closed[ADXI_LEDGER_HOWS];
	uint64_t twice, unopened, wrong;
	uint64_t lost; /* open in a process that lives, or whose kind is not given up by ending */
	uint64_t given_up; /* open in a process that ended by its own will */
	uint64_t voided;   /* open in a process that was killed */
};

struct ledger_total {
	uint64_t living, ended, killed; /* processes */
	uint64_t overflows, unreadable;
	struct ledger_kind_total kinds[ADXI_LEDGER_KINDS];
};

/**
 * Add up all ledgers in @p dir.
 *
 * @param fold     those of processes that are gone are removed and remembered in the directory's
 * total
 * @param wait_s   wait so long for processes that live still to end; 0: what lives is judged as it
 * is
 * @return 0, -Exxx
 */
int ledger_judge(const char *dir, bool fold, unsigned wait_s, struct ledger_total *ret_total);
/** Completions that were lost, doubled or wrong, and what makes that unknown. 0: it balances. */
uint64_t ledger_faults(const struct ledger_total *total);
uint64_t ledger_opened(const struct ledger_total *total);
void ledger_print(const struct ledger_total *total, FILE *to);
/** What is open, and of whom. */
void ledger_print_open(const char *dir, FILE *to);

#endif /* LEDGER_JUDGE_H */
