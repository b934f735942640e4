/* SPDX-License-Identifier: MIT */
/* What clients get from dextd: lookups, openings, notifications, refusals. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/rules.h"
#include "dextd/realm_test.h"

static void
test_open_and_close(void **state)
{
	struct test *test = *state;
	uint64_t id = 0, client = 0, second = 0;
	value_auto OSDictionary *properties = NULL;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	assert_int_equal(open_client(test, id, 0, &client), kIOReturnSuccess);
	assert_int_equal(open_client(test, id, 0, &second), kIOReturnSuccess);
	assert_true(second > client);
	assert_int_equal(ADXRegistry_CopyProperties(test->registry, client, &properties),
			 kIOReturnSuccess);
	assert_string_equal(value_get_cstr(properties, "IOUserClass"), "FakeClient");
	assert_non_null(strstr(value_get_cstr(properties, "IOUserClientCreator"), ", daemon_test"));
	assert_string_equal(value_get_cstr(properties, "CFBundleIdentifier"), "com.acme.Drv");

	assert_int_equal(open_client(test, id, 1, &second), kIOReturnExclusiveAccess);
	assert_int_equal(open_client(test, id, 2, &second), kIOReturnError);
	assert_true(log_has(test, "T61", "NewUserClient"));
	assert_int_equal(open_client(test, id, 4, &second), kIOReturnUnsupported);
	assert_true(log_has(test, "SRV004", "answered NewUserClient"));
	assert_int_equal(open_client(test, 1, 0, &second), MACH_SEND_INVALID_DEST);

	assert_int_equal(ADXRegistry_Close(test->registry, client), kIOReturnSuccess);
	assert_int_equal(ADXRegistry_Close(test->registry, client), kIOReturnSuccess);
	assert_int_equal(ADXRegistry_Close(test->registry, id), kIOReturnBadArgument);
	assert_int_equal(ADXRegistry_Close(test->registry, UINT64_MAX), kIOReturnBadArgument);
	quiet(test);
	assert_int_equal(ADXRegistry_GetBusyState(test->registry, client, &(uint32_t){ 0 }),
			 MACH_SEND_INVALID_DEST);
	/* The driver dies in NewUserClient. */
	assert_int_equal(open_client(test, id, 3, &second), MIG_SERVER_DIED);
	quiet(test);
	assert_int_equal(lookup(test, "Drv", NULL), 1);
}

static void
test_client_death_closes(void **state)
{
	struct test *test = *state;
	uint64_t id = 0, client = 0;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	assert_int_equal(open_client(test, id, 0, &client), kIOReturnSuccess);
	disconnect_client(test);
	connect_client(test);
	notify(test, "IOServiceTerminate", "FakeClient", 1);
	/* Either its end is still to come, or it has gone already. */
	wait_log(test, "", "::terminate(Drv-0x");
	assert_int_equal(ADXRegistry_GetBusyState(test->registry, client, &(uint32_t){ 0 }),
			 MACH_SEND_INVALID_DEST);
	assert_int_equal(lookup(test, "Drv", NULL), 1);
}

static void
test_interest(void **state)
{
	struct test *test = *state;
	char general[128] = "IOGeneralInterest", busy[128] = "IOBusyInterest",
	     unknown[128] = "IOOther";
	uint64_t id = 0;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	assert_int_equal(ADXRegistry_AddInterest(test->registry, id, general, test->observer, 1),
			 kIOReturnSuccess);
	assert_int_equal(ADXRegistry_AddInterest(test->registry, id, general, test->observer, 1),
			 kIOReturnBadArgument);
	assert_int_equal(ADXRegistry_AddInterest(test->registry, id, busy, test->observer, 2),
			 kIOReturnSuccess);
	assert_int_equal(ADXRegistry_AddInterest(test->registry, id, unknown, test->observer, 3),
			 kIOReturnUnsupported);
	assert_int_equal(tell_driver(test, id, "message", 0xe0000130), kIOReturnSuccess);
	wait_heard(test, 1, id, 0xe0000130, "the driver's message");
	/* Its process may end before it has answered. */
	(void)tell_driver(test, id, "terminate", 1);
	wait_heard(test, 1, id, 0xe0000010, "IsTerminated");
	wait_heard(test, 2, id, 0xe0000120, "BusyStateChange");
	assert_int_equal(ADXRegistry_RemoveNotification(test->registry, 99), kIOReturnNotFound);
}

static void
test_notification_rules(void **state)
{
	struct test *test = *state;
	value_auto OSDictionary *matching = by_name("IOUserResources");
	value_auto OSArray *ids = NULL;
	char type[128] = "IOServiceNever";

	assert_int_equal(ADXRegistry_AddNotification(test->registry, type, matching, test->observer,
						     1, &ids),
			 kIOReturnUnsupported);
	assert_int_equal(notify(test, "IOServicePublish", "IOUserResources", 1), 1);
	assert_int_equal(notify(test, "IOServiceMatched", "IOUserResources", 2), 1);
	assert_int_equal(notify(test, "IOServiceTerminate", "IOUserResources", 3), 0);
	assert_int_equal(ADXRegistry_RemoveNotification(test->registry, 1), kIOReturnSuccess);
	/* A rematch is told to those who ask for each, not to those who ask for the first. */
	assert_int_equal(notify(test, "IOServiceFirstMatch", "IOUserResources", 4), 1);
	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES);
	load(test, "Drv");
	wait_heard(test, 2, 0, 0, "the second pass");
	quiet(test);
	assert_false(has_heard(&(struct heard){ .token = 4 }));
	/* It does not register: nobody finds it, and the lookup says why. */
	assert_int_equal(lookup(test, "Drv", NULL), 0);
	assert_true(log_has(test, "T46", "Drv-0x"));
}

static void
test_foreign_entries(void **state)
{
	struct test *test = *state;
	uint64_t a = 0, b = 0;

	write_bundle(test, "A", "com.acme.A", "a", ON_RESOURCES REGISTERS);
	write_bundle(test, "B", "com.acme.B", "b", ON_RESOURCES REGISTERS);
	load(test, "A");
	load(test, "B");
	quiet(test);
	assert_int_equal(lookup(test, "A", &a), 1);
	assert_int_equal(lookup(test, "B", &b), 1);
	assert_int_equal(tell_driver(test, a, "foreign", b), kIOReturnNotPermitted);
	assert_true(log_has(test, "SRV004", "of com.acme.A calls SetProperties"));
	assert_int_equal(tell_driver(test, a, "Own", 5), kIOReturnSuccess);
	{
		value_auto OSDictionary *properties = NULL;

		assert_int_equal(ADXRegistry_CopyProperties(test->registry, a, &properties),
				 kIOReturnSuccess);
		assert_non_null(value_get(properties, "Own"));
	}
}

static void
test_lookups_explain(void **state)
{
	struct test *test = *state;
	static const struct {
		const char *key, *value, *rule, *says;
	} cases[] = {
		{ "IOProviderClass", "Drv", "T48", "is the IOUserClass of Drv-0x" },
		{ "IOProviderClass", "Nothing", "T49", "IOProviderClass: wanted 'Nothing'" },
		{ "IONameMach", "Drv", "T51", "'IONameMach'" },
	};
	value_auto OSDictionary *typed = value_dict_new(), *inner = value_dict_new();
	value_auto OSArray *none = NULL;
	size_t i;

	write_bundle(test, "Drv", "com.acme.Drv", "c",
		     ON_RESOURCES REGISTERS "<key>Number</key><integer>1</integer>");
	load(test, "Drv");
	quiet(test);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		value_auto OSDictionary *matching = value_dict_new();
		value_auto OSArray *ids = NULL;

		value_set_cstr(matching, cases[i].key, cases[i].value);
		assert_int_equal(ADXRegistry_CopyMatching(test->registry, matching, &ids),
				 kIOReturnSuccess);
		if (!log_has(test, cases[i].rule, cases[i].says))
			fail_msg("%s=%s: no %s", cases[i].key, cases[i].value, cases[i].rule);
	}
	value_set_cstr(inner, "Number", "1");
	value_set(typed, "IOPropertyMatch", inner);
	value_set_cstr(typed, "IONameMatch", "Drv");
	assert_int_equal(ADXRegistry_CopyMatching(test->registry, typed, &none), kIOReturnSuccess);
	assert_int_equal(value_count(none), 0);
	assert_true(log_has(test, "T52", "wanted string '1', Drv-0x"));
}

static void
write_entitlements(struct test *test, const char *bundle, const char *key)
{
	char path[192];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s.dext/Entitlements.plist", test->dir, bundle);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "<plist version=\"1.0\"><dict><key>%s</key><true/></dict></plist>", key);
	fclose(file);
}

static void
test_strict_access(void **state)
{
	struct test *test = *state;
	uint64_t id = 0, client = 0;

	write_bundle(test, "Open", "com.acme.Open", "a", ON_RESOURCES REGISTERS);
	write_entitlements(test, "Open",
			   "com.apple.developer.driverkit.allow-any-userclient-access");
	write_bundle(test, "Shut", "com.acme.Shut", "b", ON_RESOURCES REGISTERS);
	write_entitlements(test, "Shut", "com.apple.developer.driverkit");
	write_bundle(test, "Silent", "com.acme.Silent", "c", ON_RESOURCES REGISTERS);
	load(test, "Open");
	load(test, "Shut");
	load(test, "Silent");
	quiet(test);
	assert_int_equal(lookup(test, "Open", &id), 1);
	assert_int_equal(open_client(test, id, 0, &client), kIOReturnSuccess);
	assert_int_equal(lookup(test, "Shut", &id), 1);
	assert_int_equal(open_client(test, id, 0, &client), kIOReturnNotPermitted);
	assert_true(log_has(
		test, "T62",
		"has no com.apple.developer.driverkit.userclient-access for com.acme.Shut"));
	assert_int_equal(lookup(test, "Silent", &id), 1);
	assert_int_equal(open_client(test, id, 0, &client), kIOReturnSuccess);
	assert_true(log_has(test, "T62", "declares entitlements"));
}

static bool
audit_has(struct test *test, const char *text)
{
	value_auto OSArray *lines = NULL;
	uint64_t next = 0;
	uint32_t i;

	assert_int_equal(ADXRegistry_CopyAudit(test->registry, 0, &lines, &next), kIOReturnSuccess);
	for (i = 0; i < value_count(lines); i++)
		if (strstr(value_get_cstr((const OSDictionary *)value_at(lines, i), "text"), text))
			return true;
	return false;
}

/* A process that dextd hosts has the owner's uid, and none of the owner's rights. */
static void
test_drivers_are_no_owners(void **state)
{
	struct test *test = *state;
	uint64_t id = 0;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	assert_int_equal(tell_driver(test, id, "owner", 1), kIOReturnSuccess);
	assert_true(log_has(test, "ACC003", "may not read the audit"));
	assert_true(audit_has(test, "kIOReturnNotPrivileged: end the realm"));
	assert_int_equal(lookup(test, "Drv", NULL), 1);
}

static void
test_audit(void **state)
{
	struct test *test = *state;
	uint64_t id = 0, client = 0;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	assert_int_equal(open_client(test, id, 0, &client), kIOReturnSuccess);
	assert_true(audit_has(test, "kIOReturnSuccess: load /"));
	assert_true(audit_has(test, "kIOReturnSuccess: open Drv-0x"));
	assert_true(audit_has(test, "dextd_client_test"));
	assert_int_equal(open_client(test, id, 1, &client), kIOReturnExclusiveAccess);
	assert_true(audit_has(test, "kIOReturnExclusiveAccess: open Drv-0x"));
}

#define FRIEND   65533u
#define STRANGER 65532u
#define GROUP    65531u

/* As another user: what each call returned. */
struct foreign {
	IOReturn open_first, open_second, log, load;
	unsigned found;
};

static struct foreign
as_user(struct test *test, uid_t user, gid_t group, uint64_t first, uint64_t second)
{
	struct foreign result;
	int pipes[2], status;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		struct test other = { .dextd = test->dextd };
		value_auto OSArray *lines = NULL, *problems = NULL;
		value_auto OSString *path = value_string_new("/x.dext"), *id = NULL;
		uint64_t next = 0, client = 0;

		strcpy(other.dir, test->dir);
		if (setgroups(0, NULL) < 0 || setgid(group) < 0 || setuid(user) < 0)
			_exit(1);
		connect_client(&other);
		memset(&result, 0, sizeof result);
		result.open_first = open_client(&other, first, 0, &client);
		result.open_second = open_client(&other, second, 0, &client);
		result.log = ADXRegistry_CopyLog(other.registry, 0, NULL, &lines, &next);
		result.load = ADXRegistry_LoadBundle(other.registry, path, &id, &problems);
		result.found = lookup(&other, "First", NULL);
		_exit(write(pipes[1], &result, sizeof result) != sizeof result);
	}
	(void)close(pipes[1]);
	assert_int_equal(read(pipes[0], &result, sizeof result), sizeof result);
	(void)close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return result;
}

static int
set_up_for_others(void **state)
{
	struct test *test = calloc(1, sizeof *test);
	char policy[128];
	const char *const args[] = { "--host",   "none", "--open-to", "user:65533",
				     "--policy", policy, NULL };
	FILE *file;

	strcpy(test->dir, "/tmp/dextd_test.XXXXXX");
	assert_non_null(mkdtemp(test->dir));
	assert_int_equal(chmod(test->dir, 0755), 0);
	(void)snprintf(policy, sizeof policy, "%s/policy.plist", test->dir);
	file = fopen(policy, "w");
	assert_non_null(file);
	fputs("<plist version=\"1.0\"><dict><key>Access</key><array><dict><key>Bundle</key>"
	      "<string>com.acme.Second</string><key>OpenTo</key><string>group:65531</string></dict>"
	      "</array></dict></plist>",
	      file);
	fclose(file);
	start_dextd(test, args);
	connect_client(test);
	*state = test;
	return 0;
}

static void
test_other_users(void **state)
{
	struct test *test = *state;
	uint64_t first = 0, second = 0;
	struct foreign got;

	if (geteuid() != 0) {
		print_message("only root can become other users: skipped\n");
		skip();
	}
	write_bundle(test, "First", "com.acme.First", "a", ON_RESOURCES REGISTERS);
	write_bundle(test, "Second", "com.acme.Second", "b", ON_RESOURCES REGISTERS);
	load(test, "First");
	load(test, "Second");
	quiet(test);
	assert_int_equal(lookup(test, "First", &first), 1);
	assert_int_equal(lookup(test, "Second", &second), 1);

	got = as_user(test, FRIEND, FRIEND, first, second);
	assert_int_equal(got.open_first, kIOReturnSuccess);
	assert_int_equal(got.open_second, kIOReturnNotPermitted);
	assert_int_equal(got.log, kIOReturnNotPrivileged);
	assert_int_equal(got.load, kIOReturnNotPrivileged);
	assert_int_equal(got.found, 1);
	got = as_user(test, STRANGER, GROUP, first, second);
	assert_int_equal(got.open_first, kIOReturnNotPermitted);
	assert_int_equal(got.open_second, kIOReturnSuccess);
	assert_int_equal(got.log, kIOReturnNotPrivileged);
	got = as_user(test, STRANGER, STRANGER, first, second);
	assert_int_equal(got.open_first, kIOReturnNotPermitted);
	assert_int_equal(got.open_second, kIOReturnNotPermitted);
	assert_true(log_has(test, "ACC001", "of user 65532 may not open Second-0x"));
	assert_true(log_has(test, "ACC003", "of user 65532 may not load a bundle"));
	assert_true(audit_has(test, "kIOReturnNotPermitted: open First-0x"));
}

static void
test_deaf_observer(void **state)
{
	struct test *test = *state, deaf = { 0 };
	uint64_t id = 0;
	unsigned i;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	strcpy(deaf.dir, test->dir);
	connect_client(&deaf);
	for (i = 0; i < 200; i++) {
		char type[128] = "IOGeneralInterest";

		assert_int_equal(
			ADXRegistry_AddInterest(deaf.registry, id, type, deaf.observer, i + 1),
			kIOReturnSuccess);
	}
	for (i = 0; i < 100 && !log_has(test, "SRV006", "messages unread"); i++)
		assert_int_equal(tell_driver(test, id, "message", 0xe0000130), kIOReturnSuccess);
	assert_true(log_has(test, "SRV006", "messages unread"));
	disconnect_client(&deaf);
	assert_int_equal(lookup(test, "Drv", NULL), 1);
}

/* One that lags, but reads: what once waited for it is not held against it. */
static void
test_slow_observer(void **state)
{
	struct test *test = *state, slow = { 0 };
	struct adxi_channel_stats stats;
	uint64_t id = 0;
	unsigned i, j;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	strcpy(slow.dir, test->dir);
	connect_client(&slow);
	for (i = 0; i < 200; i++) {
		char type[128] = "IOGeneralInterest";

		assert_int_equal(
			ADXRegistry_AddInterest(slow.registry, id, type, slow.observer, i + 1),
			kIOReturnSuccess);
	}
	for (i = 0; i < 10; i++) {
		for (j = 0; j < 3; j++)
			assert_int_equal(tell_driver(test, id, "message", 0xe0000130),
					 kIOReturnSuccess);
		/* An answered call: everything before it was taken. */
		assert_int_equal(ADXRegistry_GetBusyState(slow.registry, id, &(uint32_t){ 0 }),
				 kIOReturnSuccess);
	}
	adxi_channel_get_stats(slow.channel, &stats);
	print_message("the slow one took %llu messages\n", (unsigned long long)stats.received);
	assert_true(stats.received > 10 * 3 * 200);
	assert_false(log_has(test, "SRV006", "messages unread"));
	disconnect_client(&slow);
}

static void
test_too_many_notifications(void **state)
{
	struct test *test = *state;
	value_auto OSDictionary *matching = by_name("x");
	char type[128] = "IOServicePublish";
	IOReturn status = kIOReturnSuccess;
	unsigned i;

	for (i = 0; status == kIOReturnSuccess && i < 2000; i++) {
		value_auto OSArray *ids = NULL;

		status = ADXRegistry_AddNotification(test->registry, type, matching, test->observer,
						     i, &ids);
	}
	assert_int_equal(status, kIOReturnNoResources);
	assert_int_equal(i, 1025);
	assert_true(log_has(test, "QUO002", "more than 1024 notifications"));
	assert_int_equal(ADXRegistry_RemoveNotification(test->registry, 7), kIOReturnSuccess);
	assert_int_equal(notify(test, "IOServicePublish", "x", 7), 0);
}

/* The 65th is refused in words that reach the process, and one that goes makes room. */
static void
test_too_many_connections(void **state)
{
	struct test *test = *state, more[64] = { 0 };
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	unsigned i;

	for (i = 0; i < 63; i++) {
		strcpy(more[i].dir, test->dir);
		connect_client(&more[i]);
	}
	assert_int_equal(adxi_endpoint_connect(connect_socket(test), 10000, &endpoint), -EDQUOT);
	assert_non_null(strstr(adxi_told_last(), "QUO001"));
	assert_true(log_has(test, "QUO001", "more than 64 connections"));
	disconnect_client(&more[0]);
	/* dextd hears of its end in a turn of its own. */
	while (adxi_endpoint_connect(connect_socket(test), 10000, &endpoint) == -EDQUOT)
		assert_int_equal(lookup(test, "IOResources", NULL), 1);
	adxi_endpoint_done(&endpoint);
	for (i = 1; i < 63; i++)
		disconnect_client(&more[i]);
}

/* All that a client had open ends at once when it goes: its driver may take its time to hear of it. */
static void
test_many_user_clients(void **state)
{
	struct test *test = *state, many = { 0 };
	uint64_t id = 0, client = 0;
	unsigned n;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	strcpy(many.dir, test->dir);
	connect_client(&many);
	/* The fake driver keeps a channel for each: its own descriptors may be used up first. */
	for (n = 0; open_client(&many, id, 0, &client) == kIOReturnSuccess; n++)
		assert_true(n < 256);
	assert_true(n >= 200);
	disconnect_client(&many);
	quiet(test);
	assert_false(log_has(test, "SRV006", "messages unread"));
	assert_int_equal(lookup(test, "Drv", &id), 1);
}

/* Who waits and goes leaves no wait behind. */
static void
wait_forever_done(void *context, IOReturn status)
{
}

static void
test_too_many_waits(void **state)
{
	struct test *test = *state, waiter = { 0 };
	unsigned round, i;
	uint64_t id = 0;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES HOW("FakeStart", "hang"));
	load(test, "Drv");
	assert_int_equal(lookup(test, "IOUserResources", &id), 1);
	strcpy(waiter.dir, test->dir);
	for (round = 0; round < 3; round++) {
		connect_client(&waiter);
		for (i = 0; i < 256; i++)
			assert_int_equal(ADXRegistry_WaitQuiet_Async(waiter.registry, id, 0,
								     wait_forever_done, NULL),
					 kIOReturnSuccess);
		assert_int_equal(ADXRegistry_WaitQuiet(waiter.registry, id, 0),
				 kIOReturnNoResources);
		disconnect_client(&waiter);
	}
	assert_true(log_has(test, "QUO004", "more than 256 waits"));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST_ALONE(test_open_and_close),
		TEST_ALONE(test_client_death_closes),
		TEST_ALONE(test_interest),
		TEST_ALONE(test_notification_rules),
		TEST_ALONE(test_foreign_entries),
		TEST_ALONE(test_lookups_explain),
		TEST_STRICT(test_strict_access),
		TEST_ALONE(test_drivers_are_no_owners),
		TEST_ALONE(test_audit),
		cmocka_unit_test_setup_teardown(test_other_users, set_up_for_others, tear_down),
		TEST_ALONE(test_deaf_observer),
		TEST_ALONE(test_slow_observer),
		TEST_ALONE(test_too_many_connections),
		TEST_ALONE(test_too_many_waits),
		TEST_ALONE(test_many_user_clients),
		TEST_ALONE(test_too_many_notifications),
	};

	if (!test_arguments(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
