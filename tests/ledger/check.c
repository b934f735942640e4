/* SPDX-License-Identifier: MIT */
/* ledger-check DIR: exit status 1 if what the processes that were there wrote down does not
 * balance. */

#include <stdlib.h>
#include <string.h>

#include "judge.h"

#define WAIT_SECONDS 10u

int
main(int argc, char **argv)
{
	struct ledger_total total;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: ledger-check DIR\n");
		return 2;
	}
	r = ledger_judge(argv[1], false, WAIT_SECONDS, &total);
	if (r < 0) {
		fprintf(stderr, "ledger-check: %s: %s\n", argv[1], strerror(-r));
		return 2;
	}
	if (total.ended + total.killed + total.living == 0)
		return 0;
	ledger_print(&total, stderr);
	if (getenv("AMBIDEXT_LEDGER_SHOW") || ledger_faults(&total) > 0)
		ledger_print_open(argv[1], stderr);
	return ledger_faults(&total) > 0 ? 1 : 0;
}
