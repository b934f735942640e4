/* SPDX-License-Identifier: MIT */
/* Drivers that start, fail, hang, crash and are unplugged: what dextd makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "dextd/realm_test.h"

static void
test_virtual_driver(void **state)
{
	struct test *test = *state;
	value_auto OSString *path = NULL;
	value_auto OSDictionary *entry = NULL;
	char plane[128] = "IOService";
	uint64_t id = 0, found = 0;

	write_bundle(test, "Echo", "com.acme.Echo", "com.acme.Echo", ON_RESOURCES REGISTERS);
	assert_int_equal(notify(test, "IOServiceFirstMatch", "Echo", 1), 0);
	load(test, "Echo");
	id = wait_heard(test, 1, 0, 0, "FirstMatch of Echo");
	quiet(test);
	assert_int_equal(lookup(test, "Echo", &found), 1);
	assert_int_equal(found, id);
	assert_int_equal(ADXRegistry_CopyPath(test->registry, id, plane, &path), kIOReturnSuccess);
	assert_string_equal(value_cstr(path), "IOService:/IOUserResources/Echo");
	assert_int_equal(ADXRegistry_CopyEntry(test->registry, id, &entry), kIOReturnSuccess);
	assert_string_equal(value_get_cstr(entry, "class"), "IOUserService");
	assert_string_equal(value_get_cstr(entry, "userClass"), "Echo");
	assert_true(value_is_true(value_get(entry, "registered")));
	assert_true(log_has(test, "", "DK: Echo-0x"));
	wait_log(test, "T27", "a rule was told by com.acme.Echo");

	/* Unloading ends service and process before it answers. */
	notify(test, "IOServiceTerminate", "Echo", 2);
	assert_int_equal(unload(test, "com.acme.Echo"), kIOReturnSuccess);
	wait_heard(test, 2, id, 0, "Terminated of Echo");
	assert_int_equal(lookup(test, "Echo", NULL), 0);
	assert_int_equal(server_count(test), 0);
	assert_int_equal(unload(test, "com.acme.Echo"), kIOReturnNotFound);
	assert_int_equal(ADXRegistry_GetBusyState(test->registry, id, &(uint32_t){ 0 }),
			 MACH_SEND_INVALID_DEST);
}

static void
test_plug_and_unplug(void **state)
{
	struct test *test = *state;
	uint64_t nub, id = 0;
	unsigned i;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_NUB REGISTERS);
	load(test, "Drv");
	notify(test, "IOServiceFirstPublish", "n", 1);
	notify(test, "IOServiceTerminate", "n", 2);
	notify(test, "IOServiceTerminate", "Drv", 3);
	for (i = 0; i < 5; i++) {
		n_heard = 0;
		nub = attach(test, "n");
		wait_heard(test, 1, nub, 0, "publication");
		quiet(test);
		assert_int_equal(lookup(test, "Drv", &id), 1);
		assert_true(log_has(test, "", "Start Drv on n peer other"));
		detach(test);
		wait_heard(test, 2, nub, 0, "the nub's end");
		wait_heard(test, 3, id, 0, "the driver's end");
		quiet(test);
		assert_int_equal(lookup(test, "Drv", NULL), 0);
		assert_int_equal(lookup(test, "n", NULL), 0);
	}
	/* The driver's processes end; the host's stays. */
	wait_log(test, "", "process");
	assert_true(server_count(test) >= 1);
}

static void
test_start_fails_next_is_tried(void **state)
{
	struct test *test = *state;

	write_bundle(test, "Best", "com.acme.Best", "c",
		     ON_NUB HOW("FakeStart", "fail") "<key>IOProbeScore</key><integer>9</integer>");
	write_bundle(
		test, "Crashes", "com.acme.Crashes", "c",
		ON_NUB HOW("FakeStart", "crash") "<key>IOProbeScore</key><integer>8</integer>");
	write_bundle(test, "Mute", "com.acme.mute", "c",
		     ON_NUB "<key>IOProbeScore</key><integer>7</integer>");
	write_bundle(test, "Forger", "com.acme.forger", "c",
		     ON_NUB "<key>IOProbeScore</key><integer>6</integer>");
	write_bundle(test, "Sleeper", "com.acme.sleeper", "c",
		     ON_NUB "<key>IOProbeScore</key><integer>5</integer>");
	write_bundle(
		test, "Publishes", "com.acme.Publishes", "c",
		ON_NUB HOW("FakeStart", "publish") "<key>IOProbeScore</key><integer>4</integer>");
	write_bundle(test, "Last", "com.acme.Last", "c", ON_NUB REGISTERS);
	write_bundle(test, "Elsewhere", "com.acme.Elsewhere", "other", ON_NUB REGISTERS);
	load(test, "Best");
	load(test, "Crashes");
	load(test, "Mute");
	load(test, "Forger");
	load(test, "Sleeper");
	load(test, "Publishes");
	load(test, "Last");
	load(test, "Elsewhere");
	attach(test, "n");
	quiet(test);
	assert_int_equal(lookup(test, "Last", NULL), 1);
	assert_int_equal(lookup(test, "Elsewhere", NULL), 1);
	assert_int_equal(lookup(test, "Best", NULL), 0);
	assert_int_equal(lookup(test, "child", NULL), 0);
	assert_true(log_has(test, "", "fail (0xe00002e9)"));
	assert_true(log_has(test, "T71", "Crashes-0x"));
	assert_true(log_has(test, "T72", "of com.acme.mute"));
	assert_true(log_has(test, "T72", "ended with status 5 before it checked in"));
	assert_true(log_has(test, "SRV004", "a token that is not its own"));
	assert_true(log_has(test, "T72", "of com.acme.sleeper"));
	assert_true(log_has(test, "T72", "has not checked in within"));
}

static void
test_one_category(void **state)
{
	struct test *test = *state;
	uint64_t nub;

	write_bundle(test, "One", "com.acme.One", "c", ON_NUB REGISTERS);
	write_bundle(test, "Two", "com.acme.Two", "c",
		     ON_NUB REGISTERS "<key>IOProbeScore</key><integer>9</integer>");
	load(test, "One");
	nub = attach(test, "n");
	quiet(test);
	load(test, "Two");
	quiet(test);
	assert_int_equal(lookup(test, "One", NULL), 1);
	assert_int_equal(lookup(test, "Two", NULL), 0);
	assert_true(log_has(test, "T53", "personality 'Two' of com.acme.Two (score 9) waits"));
	/* Its turn comes when the other is unloaded. */
	assert_int_equal(unload(test, "com.acme.One"), kIOReturnSuccess);
	quiet(test);
	assert_int_equal(lookup(test, "Two", NULL), 1);
	assert_int_equal(entry_number(test, nub, "busy"), 0);
}

static void
test_one_process(void **state)
{
	struct test *test = *state;
	uint64_t a = 0, b = 0, c = 0;

	write_bundle(test, "A", "com.acme.shared", "a",
		     ON_NUB REGISTERS "<key>IOUserServerOneProcess</key><true/>");
	write_bundle(test, "B", "com.acme.shared", "b",
		     ON_NUB REGISTERS "<key>IOUserServerOneProcess</key><true/>");
	write_bundle(test, "C", "com.acme.alone", "c", ON_NUB REGISTERS);
	load(test, "A");
	load(test, "B");
	load(test, "C");
	attach(test, "n");
	quiet(test);
	assert_int_equal(lookup(test, "A", &a), 1);
	assert_int_equal(lookup(test, "B", &b), 1);
	assert_int_equal(lookup(test, "C", &c), 1);
	assert_int_equal(entry_number(test, a, "server"), entry_number(test, b, "server"));
	assert_int_not_equal(entry_number(test, a, "server"), entry_number(test, c, "server"));
	/* One of two goes: the process stays for the other. */
	assert_int_equal(tell_driver(test, a, "terminate", 1), kIOReturnSuccess);
	quiet(test);
	assert_int_equal(lookup(test, "A", NULL), 0);
	assert_int_equal(tell_driver(test, b, "Alive", 1), kIOReturnSuccess);
}

static void
test_crash_and_relaunch(void **state)
{
	struct test *test = *state;
	value_auto OSString *other = value_string_new("com.acme.Spare"),
			    *personality = value_string_new("com.acme.Drv");
	uint64_t nub, id = 0, last = 0, client = 0;
	uint32_t count = 7;
	unsigned i;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_NUB REGISTERS);
	write_bundle(test, "Spare", "com.acme.Spare", "c",
		     ON_NUB REGISTERS "<key>IOProbeScore</key><integer>-1</integer>");
	load(test, "Drv");
	load(test, "Spare");
	nub = attach(test, "n");
	quiet(test);
	notify(test, "IOServiceFirstMatch", "Drv", 1);
	notify(test, "IOServiceTerminate", "Drv", 2);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	for (i = 1; i < 6; i++) {
		last = id;
		n_heard = 0;
		if (i == 1)
			assert_int_equal(open_client(test, id, 0, &client), kIOReturnSuccess);
		assert_int_equal(tell_driver(test, id, "crash", 1), MIG_SERVER_DIED);
		wait_heard(test, 2, last, 0, "the end of what crashed");
		id = wait_heard(test, 1, 0, 0, "its successor");
		assert_true(id > last);
	}
	assert_true(log_has(test, "T70", "crashed 5 times"));
	assert_true(log_has(test, "SRV001", "killed by signal 6 (Aborted)"));
	/* The sixth is the last; the next candidate has its turn. */
	assert_int_equal(tell_driver(test, id, "crash", 1), MIG_SERVER_DIED);
	wait_log(test, "SRV002", "crashed 6 times");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", NULL), 0);
	assert_int_equal(lookup(test, "Spare", NULL), 1);
	assert_int_equal(entry_number(test, nub, "busy"), 0);
	/* Another chance, with a clean record, once the category is free. */
	assert_int_equal(ADXRegistry_Unquarantine(test->registry, other, &count), kIOReturnSuccess);
	assert_int_equal(count, 0);
	assert_int_equal(ADXRegistry_Unquarantine(test->registry, personality, &count),
			 kIOReturnSuccess);
	assert_int_equal(count, 1);
	assert_int_equal(ADXRegistry_Unquarantine(test->registry, NULL, &count), kIOReturnSuccess);
	assert_int_equal(count, 0);
	assert_int_equal(unload(test, "com.acme.Spare"), kIOReturnSuccess);
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	n_heard = 0;
	assert_int_equal(tell_driver(test, id, "crash", 1), MIG_SERVER_DIED);
	assert_true(wait_heard(test, 1, 0, 0, "its successor, at once") > id);
	/* Loaded anew it has a clean record, too. */
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", NULL), 1);
}

static void
test_clean_exit_is_a_crash(void **state)
{
	struct test *test = *state;
	uint64_t id = 0;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	notify(test, "IOServiceFirstMatch", "Drv", 1);
	assert_int_equal(tell_driver(test, id, "exit", 0), MIG_SERVER_DIED);
	assert_true(wait_heard(test, 1, 0, 0, "its successor") > id);
	wait_log(test, "SRV001", "ended with status 0");
}

static void
test_stop_that_does_not_end(void **state)
{
	struct test *test = *state;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_NUB REGISTERS HOW("FakeStop", "never"));
	load(test, "Drv");
	attach(test, "n");
	quiet(test);
	detach(test);
	quiet(test);
	assert_true(log_has(test, "T65", "Drv-0x"));
	assert_true(log_has(test, "SRV003", "has not stopped within 400 ms"));
	assert_int_equal(lookup(test, "n", NULL), 0);
}

static void
test_start_that_hangs_is_unplugged(void **state)
{
	struct test *test = *state;
	uint64_t nub;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_NUB HOW("FakeStart", "hang"));
	load(test, "Drv");
	nub = attach(test, "n");
	wait_log(test, "", "Start Drv on n");
	assert_int_equal(ADXRegistry_WaitQuiet(test->registry, nub, 1000000), kIOReturnTimeout);
	assert_int_equal(entry_number(test, nub, "busy"), 1);
	/* Termination waits for Start; the realm's end does not wait for ever. */
	detach(test);
	assert_int_equal(lookup(test, "n", NULL), 0);
}

static void
test_devices(void **state)
{
	struct test *test = *state;
	value_auto OSString *broken = value_string_new("fake:broken"),
			    *strange = value_string_new("other:x"), *first = NULL, *second = NULL;
	uint64_t id = 7;

	assert_int_equal(ADXRegistry_AttachDevice(test->registry, broken, &id, &first),
			 kIOReturnSuccess);
	assert_string_equal(value_cstr(first), "it is broken");
	assert_int_equal(id, 0);
	assert_int_equal(ADXRegistry_AttachDevice(test->registry, strange, &id, &second),
			 kIOReturnSuccess);
	assert_string_equal(value_cstr(second), "no host process knows 'other:x'");
}

static void
test_no_host(void **state)
{
	struct test *test = *state;
	value_auto OSString *what = value_string_new("model:x"), *problem = NULL;
	uint64_t id = 7;

	assert_int_equal(ADXRegistry_AttachDevice(test->registry, what, &id, &problem),
			 kIOReturnSuccess);
	assert_non_null(strstr(value_cstr(problem), "--host"));
}

static void
test_host_crash(void **state)
{
	struct test *test = *state;
	uint64_t nub;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_NUB REGISTERS);
	load(test, "Drv");
	notify(test, "IOServiceTerminate", "Drv", 2);
	nub = attach(test, "n");
	quiet(test);
	assert_int_equal(tell_driver(test, nub, "crash", 1), MIG_SERVER_DIED);
	wait_heard(test, 2, 0, 0, "the driver's end");
	quiet(test);
	assert_int_equal(lookup(test, "n", NULL), 0);
	/* It is back. */
	attach(test, "n");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", NULL), 1);
}

static void
test_resource_on_hardware(void **state)
{
	struct test *test = *state;

	write_bundle(test, "Waits", "com.acme.Waits", "c",
		     ON_NUB REGISTERS HOW("IOResourceMatch", "FooReady"));
	write_bundle(test, "Starts", "com.acme.Starts", "d",
		     ON_NUB REGISTERS HOW("IOResourceMatch", "IOKit"));
	load(test, "Waits");
	load(test, "Starts");
	attach(test, "n");
	quiet(test);
	assert_int_equal(lookup(test, "Starts", NULL), 1);
	assert_int_equal(lookup(test, "Waits", NULL), 0);
	assert_true(log_has(test, "T56", "for the resource 'FooReady'"));
}

static void
test_shutdown(void **state)
{
	struct test *test = *state;
	int status;

	assert_int_equal(ADXRegistry_Shutdown(test->registry), kIOReturnSuccess);
	assert_int_equal(waitpid(test->dextd, &status, 0), test->dextd);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* For tear_down(), which ends one. */
	disconnect_client(test);
	start_dextd(test, (const char *const[]){ "--host", "none", NULL });
	connect_client(test);
}

static void
test_second_daemon_is_refused(void **state)
{
	struct test *test = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)freopen("/dev/null", "w", stderr);
		execl(dextd_path, dextd_path, "--realm", test->dir, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(lookup(test, "IOUserResources", NULL), 1);
}

static void
test_process_that_will_not_exit(void **state)
{
	struct test *test = *state;
	uint64_t id = 0;

	write_bundle(test, "Drv", "com.acme.immortal", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	/* tear_down() sees that it is gone all the same. */
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST_ALONE(test_virtual_driver),
		TEST(test_plug_and_unplug),
		TEST(test_start_fails_next_is_tried),
		TEST(test_one_category),
		TEST(test_one_process),
		TEST(test_crash_and_relaunch),
		TEST_ALONE(test_clean_exit_is_a_crash),
		TEST(test_stop_that_does_not_end),
		TEST(test_start_that_hangs_is_unplugged),
		TEST(test_devices),
		TEST_ALONE(test_no_host),
		TEST(test_host_crash),
		TEST(test_resource_on_hardware),
		TEST(test_shutdown),
		TEST_ALONE(test_second_daemon_is_refused),
		TEST_ALONE(test_process_that_will_not_exit),
	};

	if (!test_arguments(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
