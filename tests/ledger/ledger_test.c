/* SPDX-License-Identifier: MIT */
/* Each imbalance planted in a process of its own, and found; a whole day's honest work, and none
 * found. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "judge.h"

#define KIND ADXI_LEDGER_CALL

static adxi_ticket
opened(uint64_t key)
{
	return adxi_ledger_open(KIND, key);
}

static void
closes(adxi_ticket ticket, uint64_t key)
{
	adxi_ledger_close(KIND, ticket, key, ADXI_LEDGER_DONE);
}

static void
plant_honest(void)
{
	adxi_ticket first = opened(1), second = opened(2);

	closes(first, 1);
	for (uint64_t i = 0; i < 1000; i++)
		closes(opened(i), i);
	closes(second, 2);
}

static void
plant_killed(void)
{
	closes(opened(1), 1);
	(void)opened(2);
	(void)raise(SIGKILL);
}

static void
plant_lost(void)
{
	(void)opened(1);
}

static void
plant_given_up(void)
{
	(void)adxi_ledger_open(ADXI_LEDGER_TRANSFER, 1);
}

static void
plant_twice(void)
{
	adxi_ticket ticket = opened(1);

	closes(ticket, 1);
	closes(opened(7), 7); /* has the same place */
	closes(ticket, 1);
}

static void
plant_unopened(void)
{
	closes(opened(1), 1);
	adxi_ledger_unopened(KIND);
}

static void
plant_wrong(void)
{
	adxi_ticket first = opened(1), second = opened(2);

	closes(first, 2);
	closes(second, 2);
}

static void
plant_too_many(void)
{
	for (unsigned i = 0; i <= LEDGER_SLOTS; i++)
		closes(opened(i), i);
	for (unsigned i = 0; i <= LEDGER_SLOTS; i++)
		(void)opened(i);
	(void)raise(SIGKILL);
}

/* Its parent's entries are not its own. */
static void
plant_forked(void)
{
	adxi_ticket ticket = opened(1);
	pid_t child = fork();

	if (child == 0) {
		closes(opened(5), 5);
		closes(ticket, 1);
		_exit(0);
	}
	(void)waitpid(child, NULL, 0);
	closes(ticket, 1);
}

static const struct {
	const char *name;
	void (*plant)(void);
} plants[] = {
	{ "honest", plant_honest }, { "killed", plant_killed },
	{ "lost", plant_lost },     { "given_up", plant_given_up },
	{ "twice", plant_twice },   { "unopened", plant_unopened },
	{ "wrong", plant_wrong },   { "too_many", plant_too_many },
	{ "forked", plant_forked },
};

static void
forget(const char *dir)
{
	char path[64];

	(void)snprintf(path, sizeof path, "%s/.total", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Runs @p name in a process that has its ledger in a new directory, and judges it twice: the second
 * time of what was folded. */
static struct ledger_total
judge(const char *name)
{
	char dir[] = "/tmp/ledger-test-XXXXXX";
	struct ledger_total total, again;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	pid = fork();
	if (pid == 0) {
		(void)setenv("AMBIDEXT_LEDGER", dir, 1);
		(void)execl("/proc/self/exe", "ledger_test", name, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(ledger_judge(dir, true, 0, &total), 0);
	assert_int_equal(ledger_judge(dir, false, 0, &again), 0);
	assert_memory_equal(&total, &again, sizeof total);
	forget(dir);
	return total;
}

static void
test_balanced(void **state __attribute__((unused)))
{
	struct ledger_total total = judge("honest");

	assert_int_equal(total.ended, 1);
	assert_int_equal(total.kinds[KIND].opened, 1002);
	assert_int_equal(total.kinds[KIND].closed[ADXI_LEDGER_DONE], 1002);
	assert_int_equal(ledger_faults(&total), 0);
	total = judge("killed");
	assert_int_equal(total.killed, 1);
	assert_int_equal(total.kinds[KIND].voided, 1);
	assert_int_equal(ledger_faults(&total), 0);
	total = judge("given_up");
	assert_int_equal(total.kinds[ADXI_LEDGER_TRANSFER].given_up, 1);
	assert_int_equal(ledger_faults(&total), 0);
	total = judge("forked");
	assert_int_equal(total.ended, 1);
	assert_int_equal(total.killed, 1); /* by _exit() */
	assert_int_equal(total.kinds[KIND].opened, 2);
	assert_int_equal(ledger_faults(&total), 0);
}

static void
test_found(void **state __attribute__((unused)))
{
	struct ledger_total total = judge("lost");

	assert_int_equal(total.kinds[KIND].lost, 1);
	assert_int_equal(ledger_faults(&total), 1);
	total = judge("twice");
	assert_int_equal(total.kinds[KIND].twice, 1);
	assert_int_equal(total.kinds[KIND].closed[ADXI_LEDGER_DONE], 2);
	assert_int_equal(ledger_faults(&total), 1);
	total = judge("unopened");
	assert_int_equal(total.kinds[KIND].unopened, 1);
	assert_int_equal(ledger_faults(&total), 1);
	total = judge("wrong");
	assert_int_equal(total.kinds[KIND].wrong, 1);
	assert_int_equal(ledger_faults(&total), 1);
	total = judge("too_many");
	assert_int_equal(total.overflows, 1);
	assert_int_equal(ledger_faults(&total), 1);
}

/* One that lives is judged as it is, and its file stays. */
static void
test_living(void **state __attribute__((unused)))
{
	char dir[] = "/tmp/ledger-test-XXXXXX";
	struct ledger_total total;
	int up[2], r;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		(void)setenv("AMBIDEXT_LEDGER", dir, 1);
		(void)dup2(up[1], 1);
		(void)execl("/proc/self/exe", "ledger_test", "lives", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(read(up[0], &(char){ 0 }, 1), 1);
	r = ledger_judge(dir, true, 0, &total);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_int_equal(r, 0);
	assert_int_equal(total.living, 1);
	assert_int_equal(total.kinds[KIND].lost, 1);
	assert_int_equal(ledger_judge(dir, true, 10, &total), 0);
	assert_int_equal(total.killed, 1);
	assert_int_equal(total.living, 0);
	assert_int_equal(total.kinds[KIND].voided, 1);
	assert_int_equal(ledger_faults(&total), 0);
	forget(dir);
	(void)close(up[0]);
	(void)close(up[1]);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_balanced),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_living),
	};

	for (size_t i = 0; argc > 1 && i < sizeof plants / sizeof *plants; i++) {
		if (strcmp(plants[i].name, argv[1]) != 0)
			continue;
		plants[i].plant();
		return 0;
	}
	if (argc > 1) {
		(void)opened(1);
		return write(1, "", 1) == 1 ? pause() : 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
