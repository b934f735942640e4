/* SPDX-License-Identifier: MIT */
/* A real dextd in a realm of its own, real processes that speak the protocol (fake_driver.c), and this client. Every
 * wait is for an event; the only clock is the daemon's back-off. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <Ambidext/ADXObserver.h>
#include <Ambidext/ADXRegistry.h>

#include "base/clock.h"
#include "channel/channel.h"
#include "channel/loop.h"
#include "dextd/value.h"

#define SECONDS 20

struct test {
	char dir[64];
	pid_t dextd;
	struct adxi_loop *loop;
	struct adxi_channel *channel;
	ADXRegistry *registry;
	ADXObserver *observer;
};

static const char *dextd_path, *driver_path;

/* What came for each token, in order. */
static struct heard {
	uint64_t token;
	uint64_t id;
	uint32_t message;
	uint64_t argument;
} heard[256];
static unsigned n_heard;

void
ADXObserver_Matched_Impl(ADXObserver *self, uint64_t token, OSArray *entryIDs)
{
	uint32_t i;

	for (i = 0; i < value_count(entryIDs) && n_heard < 256; i++) {
		heard[n_heard].token = token;
		assert_true(value_u64(value_at(entryIDs, i), &heard[n_heard].id));
		heard[n_heard++].message = 0;
	}
}

void
ADXObserver_Message_Impl(ADXObserver *self, uint64_t token, uint64_t entryID, uint32_t messageType, uint64_t argument,
			 const uint8_t data[64], uint32_t dataCount)
{
	if (n_heard < 256)
		heard[n_heard++] = (struct heard){ token, entryID, messageType, argument };
}

/* ---------------------------------------------------------------------------------------------
 * The daemon and this client
 */

static void
start_dextd(struct test *test, const char *const *more)
{
	char number[16], byte;
	const char *argv[32] = { dextd_path, "--realm", test->dir, "--ready-fd", number };
	int ready[2], n = 5;

	assert_int_equal(pipe(ready), 0);
	(void)snprintf(number, sizeof number, "%d", ready[1]);
	while (*more)
		argv[n++] = *more++;
	if (getenv("DEXTD_TEST_LOG"))
		argv[n++] = "--foreground";
	test->dextd = fork();
	if (test->dextd == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ready[0]);
		(void)setenv("FAKE_SECRET", "1", 1);
		execv(dextd_path, (char *const *)argv);
		_exit(127);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
}

static void
connect_client(struct test *test)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/dextd.sock", test->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(adxi_endpoint_connect(fd, 10000, &endpoint), 0);
	assert_int_equal(adxi_channel_open(&endpoint, "dextd", NULL, NULL, &test->channel), 0);
	assert_int_equal(adxi_loop_new(&test->loop), 0);
	assert_int_equal(adxi_loop_add_channel(test->loop, test->channel, NULL), 0);
	test->registry = (ADXRegistry *)adxi_channel_copy_door(test->channel, &ADXRegistry_Class);
	test->observer = (ADXObserver *)OSMetaClassAllocate(&ADXObserver_Class);
	assert_true(OSObject_init((OSObject *)test->observer));
	n_heard = 0;
}

static void
disconnect_client(struct test *test)
{
	value_unref(test->registry);
	value_unref(test->observer);
	if (test->channel)
		adxi_channel_close(test->channel);
	adxi_channel_unref(test->channel);
	if (test->loop)
		adxi_loop_free(test->loop);
	test->channel = NULL;
	test->registry = NULL;
	test->observer = NULL;
	test->loop = NULL;
}

static const char *const with_host[] = { "--host", NULL, "--stop-limit", "400", "--checkin-limit", "400", NULL };

static int
set_up_with(void **state, bool host)
{
	const char *args[8];
	struct test *test = calloc(1, sizeof *test);

	strcpy(test->dir, "/tmp/dextd_test.XXXXXX");
	assert_non_null(mkdtemp(test->dir));
	memcpy(args, with_host, sizeof with_host);
	args[1] = host ? driver_path : "none";
	start_dextd(test, args);
	connect_client(test);
	*state = test;
	return 0;
}

static int
set_up(void **state)
{
	return set_up_with(state, true);
}

static int
set_up_strict(void **state)
{
	static const char *const args[] = { "--strict", "macos", "--host", "none", NULL };
	struct test *test = calloc(1, sizeof *test);

	strcpy(test->dir, "/tmp/dextd_test.XXXXXX");
	assert_non_null(mkdtemp(test->dir));
	start_dextd(test, args);
	connect_client(test);
	*state = test;
	return 0;
}

static int
set_up_alone(void **state)
{
	return set_up_with(state, false);
}

static bool
is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* SIGTERM leaves nothing: no process, no socket. */
static int
tear_down(void **state)
{
	struct test *test = *state;
	pid_t pids[32];
	unsigned n = 0, i;
	uint64_t number;
	OSArray *servers = NULL;
	char path[128];
	int status = 0;

	if (test->registry && ADXRegistry_CopyServers(test->registry, &servers) == kIOReturnSuccess)
		for (i = 0; i < value_count(servers); i++)
			if (value_u64(value_get((OSDictionary *)value_at(servers, i), "pid"), &number) && number)
				pids[n++] = (pid_t)number;
	value_unref(servers);
	(void)kill(test->dextd, SIGTERM);
	assert_int_equal(waitpid(test->dextd, &status, 0), test->dextd);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("dextd ended with wait status 0x%x", status);
	for (i = 0; i < n; i++)
		assert_true(is_gone(pids[i]));
	disconnect_client(test);
	(void)snprintf(path, sizeof path, "%s/dextd.sock", test->dir);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof path, "rm -rf %s", test->dir);
	assert_int_equal(system(path), 0);
	free(test);
	return 0;
}

static void
turn_until(struct test *test, bool (*done)(void *context), void *context, const char *what)
{
	uint64_t end = adxi_deadline_ns(SECONDS * ADXI_NS_PER_S);

	while (!done(context)) {
		if (adxi_now_ns() > end)
			fail_msg("%s: nothing for %d s", what, SECONDS);
		adxi_loop_turn(test->loop, 100);
	}
}

static bool
has_heard(void *context)
{
	const struct heard *wanted = context;
	unsigned i;

	for (i = 0; i < n_heard; i++)
		if (heard[i].token == wanted->token && (!wanted->id || heard[i].id == wanted->id) &&
		    heard[i].message == wanted->message)
			return true;
	return false;
}

static uint64_t
wait_heard(struct test *test, uint64_t token, uint64_t id, uint32_t message, const char *what)
{
	struct heard wanted = { token, id, message, 0 };
	unsigned i;

	turn_until(test, has_heard, &wanted, what);
	for (i = 0; i < n_heard; i++)
		if (heard[i].token == token && (!id || heard[i].id == id) && heard[i].message == message)
			return heard[i].id;
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Bundles, lookups
 */

static void
write_bundle(struct test *test, const char *name, const char *server_name, const char *category, const char *keys)
{
	char path[192], command[512];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s.dext", test->dir, name);
	(void)snprintf(command, sizeof command, "mkdir -p %s && cp %s %s/driver", path, driver_path, path);
	assert_int_equal(system(command), 0);
	strcat(path, "/Info.plist");
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"<plist version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>com.acme.%s</string>"
		"<key>CFBundleExecutable</key><string>driver</string><key>CFBundlePackageType</key><string>DEXT</string>"
		"<key>CFBundleVersion</key><string>1</string><key>CFBundleShortVersionString</key><string>1</string>"
		"<key>OSBundleUsageDescription</key><string>x</string>"
		"<key>IOKitPersonalities</key><dict><key>%s</key><dict>"
		"<key>CFBundleIdentifier</key><string>com.acme.%s</string>"
		"<key>IOClass</key><string>IOUserService</string><key>IOUserClass</key><string>%s</string>"
		"<key>IOUserServerName</key><string>%s</string><key>IOMatchCategory</key><string>%s</string>%s"
		"</dict></dict></dict></plist>",
		name, name, name, name, server_name, category, keys);
	fclose(file);
}

#define ON_RESOURCES "<key>IOProviderClass</key><string>IOUserResources</string><key>IOResourceMatch</key><string>IOKit</string>"
#define ON_NUB "<key>IOProviderClass</key><string>FakeNub</string>"
#define ON_CHILD "<key>IOProviderClass</key><string>FakeChild</string>"
#define REGISTERS "<key>FakeRegister</key><true/>"
#define HOW(key, value) "<key>" key "</key><string>" value "</string>"

static void
load(struct test *test, const char *name)
{
	value_auto OSArray *problems = NULL;
	value_auto OSString *path = NULL, *id = NULL;
	char text[192];
	uint32_t i;

	(void)snprintf(text, sizeof text, "%s/%s.dext", test->dir, name);
	path = value_string_new(text);
	assert_int_equal(ADXRegistry_LoadBundle(test->registry, path, &id, &problems), kIOReturnSuccess);
	if (!id)
		for (i = 0; i < value_count(problems); i++)
			print_message("%s\n", value_cstr(value_at(problems, i)));
	assert_non_null(id);
}

static IOReturn
unload(struct test *test, const char *id)
{
	value_auto OSString *text = value_string_new(id);

	return ADXRegistry_UnloadBundle(test->registry, text);
}

static OSDictionary *
by_name(const char *name)
{
	OSDictionary *dict = value_dict_new();

	value_set_cstr(dict, "IONameMatch", name);
	return dict;
}

static unsigned
lookup(struct test *test, const char *name, uint64_t *ret_id)
{
	value_auto OSDictionary *matching = by_name(name);
	value_auto OSArray *ids = NULL;

	assert_int_equal(ADXRegistry_CopyMatching(test->registry, matching, &ids), kIOReturnSuccess);
	if (ret_id && value_count(ids))
		assert_true(value_u64(value_at(ids, 0), ret_id));
	return value_count(ids);
}

static void
quiet(struct test *test)
{
	assert_int_equal(ADXRegistry_WaitQuiet(test->registry, 0, SECONDS * ADXI_NS_PER_S), kIOReturnSuccess);
}

static uint64_t
attach(struct test *test, const char *name)
{
	value_auto OSString *what = NULL, *problem = NULL;
	uint64_t id = 0;
	char text[64];

	(void)snprintf(text, sizeof text, "fake:%s", name);
	what = value_string_new(text);
	assert_int_equal(ADXRegistry_AttachDevice(test->registry, what, &id, &problem), kIOReturnSuccess);
	assert_null(problem);
	assert_true(id > 0);
	return id;
}

static void
detach(struct test *test)
{
	value_auto OSString *what = value_string_new("fake:any"), *problem = NULL;

	assert_int_equal(ADXRegistry_DetachDevice(test->registry, what, &problem), kIOReturnSuccess);
}

static uint64_t
notify(struct test *test, const char *type, const char *name, uint64_t token)
{
	value_auto OSDictionary *matching = by_name(name);
	value_auto OSArray *ids = NULL;
	char text[128] = "";

	strcpy(text, type);
	assert_int_equal(ADXRegistry_AddNotification(test->registry, text, matching, test->observer, token, &ids),
			 kIOReturnSuccess);
	return value_count(ids);
}

static IOReturn
tell_driver(struct test *test, uint64_t id, const char *key, uint64_t number)
{
	value_auto OSDictionary *properties = value_dict_new();

	value_set_u64(properties, key, number);
	return ADXRegistry_SetProperties(test->registry, id, properties);
}

static bool
log_has(struct test *test, const char *rule, const char *text)
{
	uint64_t after = 0, next = 0;
	bool found = false;
	uint32_t i;

	for (;;) {
		OSArray *lines = NULL;

		assert_int_equal(ADXRegistry_CopyLog(test->registry, after, NULL, &lines, &next), kIOReturnSuccess);
		for (i = 0; i < value_count(lines); i++) {
			const OSDictionary *line = (const OSDictionary *)value_at(lines, i);

			if (!strcmp(value_get_cstr(line, "rule"), rule) && strstr(value_get_cstr(line, "text"), text))
				found = true;
		}
		value_unref(lines);
		if (found || next == after)
			return found;
		after = next;
	}
}

struct log_wait {
	struct test *test;
	const char *rule, *text;
};

static bool
log_has_now(void *context)
{
	const struct log_wait *wait = context;

	return log_has(wait->test, wait->rule, wait->text);
}

static void
wait_log(struct test *test, const char *rule, const char *text)
{
	struct log_wait wait = { test, rule, text };

	turn_until(test, log_has_now, &wait, text);
}

static uint64_t
entry_number(struct test *test, uint64_t id, const char *key)
{
	value_auto OSDictionary *entry = NULL;
	uint64_t number = 0;

	assert_int_equal(ADXRegistry_CopyEntry(test->registry, id, &entry), kIOReturnSuccess);
	assert_true(value_u64(value_get(entry, key), &number));
	return number;
}

static unsigned
server_count(struct test *test)
{
	value_auto OSArray *servers = NULL;

	assert_int_equal(ADXRegistry_CopyServers(test->registry, &servers), kIOReturnSuccess);
	return value_count(servers);
}

static IOReturn
open_client(struct test *test, uint64_t id, uint32_t type, uint64_t *ret_client)
{
	value_auto OSDictionary *info = value_dict_new();
	value_auto ADXEndpoint *endpoint = NULL;
	IOReturn status;

	value_set_cstr(info, "procname", "daemon_test");
	status = ADXRegistry_Open(test->registry, id, type, info, ret_client, &endpoint);
	if (status == kIOReturnSuccess)
		assert_non_null(endpoint);
	return status;
}

/* ---------------------------------------------------------------------------------------------
 * Tests
 */

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
	assert_int_equal(ADXRegistry_GetBusyState(test->registry, id, &(uint32_t){ 0 }), MACH_SEND_INVALID_DEST);
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

	write_bundle(test, "Best", "com.acme.Best", "c", ON_NUB HOW("FakeStart", "fail") "<key>IOProbeScore</key><integer>9</integer>");
	write_bundle(test, "Crashes", "com.acme.Crashes", "c", ON_NUB HOW("FakeStart", "crash") "<key>IOProbeScore</key><integer>8</integer>");
	write_bundle(test, "Mute", "com.acme.mute", "c", ON_NUB "<key>IOProbeScore</key><integer>7</integer>");
	write_bundle(test, "Forger", "com.acme.forger", "c", ON_NUB "<key>IOProbeScore</key><integer>6</integer>");
	write_bundle(test, "Sleeper", "com.acme.sleeper", "c", ON_NUB "<key>IOProbeScore</key><integer>5</integer>");
	write_bundle(test, "Publishes", "com.acme.Publishes", "c", ON_NUB HOW("FakeStart", "publish") "<key>IOProbeScore</key><integer>4</integer>");
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
	write_bundle(test, "Two", "com.acme.Two", "c", ON_NUB REGISTERS "<key>IOProbeScore</key><integer>9</integer>");
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

	write_bundle(test, "A", "com.acme.shared", "a", ON_NUB REGISTERS "<key>IOUserServerOneProcess</key><true/>");
	write_bundle(test, "B", "com.acme.shared", "b", ON_NUB REGISTERS "<key>IOUserServerOneProcess</key><true/>");
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
	uint64_t nub, id = 0, last = 0, client = 0;
	unsigned i;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_NUB REGISTERS);
	write_bundle(test, "Spare", "com.acme.Spare", "c", ON_NUB REGISTERS "<key>IOProbeScore</key><integer>-1</integer>");
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
	/* Loaded anew it has a clean record. */
	assert_int_equal(unload(test, "com.acme.Spare"), kIOReturnSuccess);
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
	assert_int_equal(ADXRegistry_CopyProperties(test->registry, client, &properties), kIOReturnSuccess);
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
	assert_int_equal(ADXRegistry_GetBusyState(test->registry, client, &(uint32_t){ 0 }), MACH_SEND_INVALID_DEST);
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
	assert_int_equal(ADXRegistry_GetBusyState(test->registry, client, &(uint32_t){ 0 }), MACH_SEND_INVALID_DEST);
	assert_int_equal(lookup(test, "Drv", NULL), 1);
}

static void
test_interest(void **state)
{
	struct test *test = *state;
	char general[128] = "IOGeneralInterest", busy[128] = "IOBusyInterest", unknown[128] = "IOOther";
	uint64_t id = 0;

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS);
	load(test, "Drv");
	quiet(test);
	assert_int_equal(lookup(test, "Drv", &id), 1);
	assert_int_equal(ADXRegistry_AddInterest(test->registry, id, general, test->observer, 1), kIOReturnSuccess);
	assert_int_equal(ADXRegistry_AddInterest(test->registry, id, general, test->observer, 1), kIOReturnBadArgument);
	assert_int_equal(ADXRegistry_AddInterest(test->registry, id, busy, test->observer, 2), kIOReturnSuccess);
	assert_int_equal(ADXRegistry_AddInterest(test->registry, id, unknown, test->observer, 3), kIOReturnUnsupported);
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

	assert_int_equal(ADXRegistry_AddNotification(test->registry, type, matching, test->observer, 1, &ids),
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

		assert_int_equal(ADXRegistry_CopyProperties(test->registry, a, &properties), kIOReturnSuccess);
		assert_non_null(value_get(properties, "Own"));
	}
}

static void
test_devices(void **state)
{
	struct test *test = *state;
	value_auto OSString *broken = value_string_new("fake:broken"), *strange = value_string_new("other:x"),
		*first = NULL, *second = NULL;
	uint64_t id = 7;

	assert_int_equal(ADXRegistry_AttachDevice(test->registry, broken, &id, &first), kIOReturnSuccess);
	assert_string_equal(value_cstr(first), "it is broken");
	assert_int_equal(id, 0);
	assert_int_equal(ADXRegistry_AttachDevice(test->registry, strange, &id, &second), kIOReturnSuccess);
	assert_string_equal(value_cstr(second), "no host process knows 'other:x'");
}

static void
test_no_host(void **state)
{
	struct test *test = *state;
	value_auto OSString *what = value_string_new("model:x"), *problem = NULL;
	uint64_t id = 7;

	assert_int_equal(ADXRegistry_AttachDevice(test->registry, what, &id, &problem), kIOReturnSuccess);
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

/* Lookups that find nothing say why. */
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

	write_bundle(test, "Drv", "com.acme.Drv", "c", ON_RESOURCES REGISTERS "<key>Number</key><integer>1</integer>");
	load(test, "Drv");
	quiet(test);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		value_auto OSDictionary *matching = value_dict_new();
		value_auto OSArray *ids = NULL;

		value_set_cstr(matching, cases[i].key, cases[i].value);
		assert_int_equal(ADXRegistry_CopyMatching(test->registry, matching, &ids), kIOReturnSuccess);
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
	write_entitlements(test, "Open", "com.apple.developer.driverkit.allow-any-userclient-access");
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
	assert_true(log_has(test, "T62", "has no com.apple.developer.driverkit.userclient-access for com.acme.Shut"));
	assert_int_equal(lookup(test, "Silent", &id), 1);
	assert_int_equal(open_client(test, id, 0, &client), kIOReturnSuccess);
	assert_true(log_has(test, "T62", "declares entitlements"));
}

/* One that never reads is cut off; the others are told all the same. */
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

		assert_int_equal(ADXRegistry_AddInterest(deaf.registry, id, type, deaf.observer, i + 1), kIOReturnSuccess);
	}
	for (i = 0; i < 100 && !log_has(test, "SRV006", "messages unread"); i++)
		assert_int_equal(tell_driver(test, id, "message", 0xe0000130), kIOReturnSuccess);
	assert_true(log_has(test, "SRV006", "messages unread"));
	disconnect_client(&deaf);
	assert_int_equal(lookup(test, "Drv", NULL), 1);
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

		status = ADXRegistry_AddNotification(test->registry, type, matching, test->observer, i, &ids);
	}
	assert_int_equal(status, kIOReturnNoResources);
	assert_int_equal(i, 1025);
}

static void
test_resource_on_hardware(void **state)
{
	struct test *test = *state;

	write_bundle(test, "Waits", "com.acme.Waits", "c", ON_NUB REGISTERS HOW("IOResourceMatch", "FooReady"));
	write_bundle(test, "Starts", "com.acme.Starts", "d", ON_NUB REGISTERS HOW("IOResourceMatch", "IOKit"));
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

#define TEST_STRICT(name) cmocka_unit_test_setup_teardown(name, set_up_strict, tear_down)
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_ALONE(name) cmocka_unit_test_setup_teardown(name, set_up_alone, tear_down)

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
		TEST_ALONE(test_open_and_close),
		TEST_ALONE(test_client_death_closes),
		TEST_ALONE(test_interest),
		TEST_ALONE(test_notification_rules),
		TEST_ALONE(test_foreign_entries),
		TEST(test_devices),
		TEST_ALONE(test_no_host),
		TEST(test_host_crash),
		TEST_ALONE(test_lookups_explain),
		TEST_STRICT(test_strict_access),
		TEST_ALONE(test_deaf_observer),
		TEST_ALONE(test_too_many_notifications),
		TEST(test_resource_on_hardware),
		TEST(test_shutdown),
		TEST_ALONE(test_second_daemon_is_refused),
		TEST_ALONE(test_process_that_will_not_exit),
	};

	if (argc < 3) {
		fprintf(stderr, "usage: daemon_test DEXTD FAKE_DRIVER [TEST]\n");
		return 2;
	}
	dextd_path = argv[1];
	driver_path = argv[2];
	if (argc > 3)
		cmocka_set_test_filter(argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
