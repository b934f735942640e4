/* SPDX-License-Identifier: MIT */
/* The restart policies, on a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <signal.h>

#include "dextd/ending.h"
#include "dextd/supervise.h"

#define MS ADXI_NS_PER_MS
#define S  ADXI_NS_PER_S

static uint64_t clock_ns;
static unsigned n_decisions;

/* Runs for @p ran_ns, ends. The delay in ms, or -1: quarantine. */
static long
run(struct supervise_record *record, const struct supervise_rules *rules, uint64_t ran_ns,
    bool fault)
{
	struct supervise_end end = { clock_ns += ran_ns, ran_ns, fault };
	uint64_t delay = 77 * MS;

	n_decisions++;
	if (!supervise_decide(record, rules, &end, false, &delay)) {
		assert_int_equal(delay, 77 * MS);
		return -1;
	}
	clock_ns += delay;
	return (long)(delay / MS);
}

static void
test_backoff(void **state)
{
	static const long wanted[] = { 0, 50, 100, 200, 400, -1 };
	const struct supervise_rules rules = SUPERVISE_RULES_DEFAULT;
	struct supervise_record record = { 0 };

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		assert_int_equal(run(&record, &rules, 3 * MS, true), wanted[i]);
	assert_true(record.quarantined);
	assert_int_equal(record.n_faults, 6);
}

static void
test_healthy_run_ends_the_row_not_the_count(void **state)
{
	const struct supervise_rules rules = SUPERVISE_RULES_DEFAULT;
	struct supervise_record record = { 0 };

	assert_int_equal(run(&record, &rules, 1 * MS, true), 0);
	assert_int_equal(run(&record, &rules, 1 * MS, true), 50);
	assert_int_equal(run(&record, &rules, 2 * S, true), 0);
	assert_int_equal(run(&record, &rules, 999 * MS, true), 50);
	assert_int_equal(run(&record, &rules, 1 * S, true), 0);
	assert_int_equal(run(&record, &rules, 1 * S, true), -1);
}

/* R7: killed every 2 s from outside, for days. */
static void
test_kills_are_no_faults(void **state)
{
	const struct supervise_rules rules = SUPERVISE_RULES_DEFAULT;
	struct supervise_record record = { 0 };

	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(run(&record, &rules, 2 * S, false), 0);
	/* In quick succession they are slowed down, never stopped. */
	assert_int_equal(run(&record, &rules, 1 * MS, false), 50);
	for (unsigned i = 0; i < 100; i++)
		assert_true(run(&record, &rules, 1 * MS, false) >= 100);
	assert_int_equal(run(&record, &rules, 1 * MS, false), 12800);
	assert_int_equal(record.n_faults, 0);
	assert_int_equal(run(&record, &rules, 2 * S, true), 0);
	assert_int_equal(record.n_faults, 1);
}

static void
test_window(void **state)
{
	const struct supervise_rules rules = SUPERVISE_RULES_DEFAULT;
	struct supervise_record record = { 0 };

	/* Five within the window, for ever. */
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(run(&record, &rules, 361 * S, true), 0);
	/* One sooner. */
	assert_int_equal(run(&record, &rules, 355 * S, true), -1);
}

static void
test_apple(void **state)
{
	struct supervise_rules rules = SUPERVISE_RULES_DEFAULT;
	struct supervise_record record = { 0 };

	rules.policy = SUPERVISE_APPLE;
	/* Killed or crashed, soon or late: IORematchCount 0 to 1000. */
	for (unsigned i = 0; i < 1001; i++)
		assert_int_equal(run(&record, &rules, i % 3 * S, i % 2), 0);
	assert_int_equal(run(&record, &rules, 10 * S, false), -1);
}

static void
test_at_once(void **state)
{
	struct supervise_rules rules = SUPERVISE_RULES_DEFAULT;
	struct supervise_record record = { 0 };

	rules.policy = SUPERVISE_AT_ONCE;
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(run(&record, &rules, 1 * MS, true), 0);
}

static void
test_no_limit_and_hosts(void **state)
{
	struct supervise_rules rules = SUPERVISE_RULES_DEFAULT;
	struct supervise_record record = { 0 }, host = { 0 };
	uint64_t delay = 0;

	for (unsigned i = 0; i < 1000; i++) {
		struct supervise_end end = { clock_ns += S / 10, S / 10, true };
		assert_true(supervise_decide(&host, &rules, &end, true, &delay));
	}
	assert_int_equal(delay, 12800 * MS);
	assert_false(host.quarantined);
	rules.limit = 0;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(run(&record, &rules, 2 * S, true), 0);
}

/* ---- endings: wait()'s status is the signal, or the exit code in the second byte ---- */

static enum ending_kind
kind(int status, bool leaving, enum ending_kind by_us, bool oom, bool no_memory)
{
	const struct ending_facts facts = { .status = status,
					    .was_leaving = leaving,
					    .by_us = by_us,
					    .memory_killed = oom,
					    .memory_failed = no_memory };

	return ending_kind_of(&facts);
}

static void
test_endings(void **state)
{
	assert_int_equal(kind(0, true, ENDING_NONE, false, false), ENDING_ASKED);
	assert_int_equal(kind(0, false, ENDING_NONE, false, false), ENDING_EXIT);
	assert_int_equal(kind(3 << 8, true, ENDING_NONE, false, false), ENDING_EXIT);
	assert_int_equal(kind(SIGSEGV, false, ENDING_NONE, false, false), ENDING_SIGNAL);
	assert_int_equal(kind(SIGSEGV | 0x80, false, ENDING_NONE, false, false), ENDING_SIGNAL);
	assert_int_equal(kind(SIGSYS, false, ENDING_NONE, false, false), ENDING_SIGNAL);
	assert_int_equal(kind(SIGABRT, false, ENDING_NONE, false, false), ENDING_ABORT);
	assert_int_equal(kind(SIGKILL, false, ENDING_NONE, false, false), ENDING_KILLED);
	assert_int_equal(kind(SIGTERM, false, ENDING_NONE, true, false), ENDING_KILLED);
	assert_int_equal(kind(SIGKILL, false, ENDING_NONE, true, false), ENDING_MEMORY);
	assert_int_equal(kind(SIGSEGV, false, ENDING_NONE, false, true), ENDING_MEMORY);
	assert_int_equal(kind(SIGABRT, false, ENDING_NONE, false, true), ENDING_MEMORY);
	assert_int_equal(kind(SIGKILL, false, ENDING_HUNG, false, false), ENDING_HUNG);
	/* A sanitizer made an exit of it; its last words were stuck, and an alarm ended them. */
	assert_int_equal(ending_kind_of(&(const struct ending_facts){ .status = 1 << 8,
								      .crash_signal = SIGSEGV }),
			 ENDING_SIGNAL);
	assert_int_equal(ending_kind_of(&(const struct ending_facts){ .status = SIGALRM,
								      .crash_signal = SIGABRT }),
			 ENDING_ABORT);
	/* It crashed before dextd's blow came. */
	assert_int_equal(kind(SIGSEGV, false, ENDING_HUNG, false, false), ENDING_SIGNAL);
	assert_false(ending_is_fault(ENDING_KILLED));
	assert_false(ending_is_fault(ENDING_ASKED));
	assert_true(ending_is_fault(ENDING_EXIT));
	assert_true(ending_is_fault(ENDING_MEMORY));
}

static void
test_names(void **state)
{
	assert_int_equal(supervise_policy_find("backoff"), SUPERVISE_BACKOFF);
	assert_int_equal(supervise_policy_find("apple"), SUPERVISE_APPLE);
	assert_int_equal(supervise_policy_find("at-once"), SUPERVISE_AT_ONCE);
	assert_true(supervise_policy_find("appl") < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_healthy_run_ends_the_row_not_the_count),
		cmocka_unit_test(test_kills_are_no_faults),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_apple),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_no_limit_and_hosts),
		cmocka_unit_test(test_endings),
		cmocka_unit_test(test_names),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	printf("%u decisions\n", n_decisions);
	return r;
}
