/* SPDX-License-Identifier: MIT */
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

#include "base/clock.h"
#include "dextd/realm_test.h"

const char *dextd_path, *driver_path;
struct heard heard[256];
unsigned n_heard;

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
ADXObserver_Message_Impl(ADXObserver *self, uint64_t token, uint64_t entryID, uint32_t messageType,
			 uint64_t argument, const uint8_t data[64], uint32_t dataCount)
{
	if (n_heard < 256)
		heard[n_heard++] = (struct heard){ token, entryID, messageType, argument };
}

/* ---------------------------------------------------------------------------------------------
 * The daemon and this client
 */

void
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

int
connect_socket(struct test *test)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/dextd.sock", test->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

void
connect_client(struct test *test)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;

	assert_int_equal(adxi_endpoint_connect(connect_socket(test), 10000, &endpoint), 0);
	assert_int_equal(adxi_channel_open(&endpoint, "dextd", NULL, NULL, &test->channel), 0);
	assert_int_equal(adxi_loop_new(&test->loop), 0);
	assert_int_equal(adxi_loop_add_channel(test->loop, test->channel, NULL), 0);
	test->registry = (ADXRegistry *)adxi_channel_copy_door(test->channel, &ADXRegistry_Class);
	test->observer = (ADXObserver *)OSMetaClassAllocate(&ADXObserver_Class);
	assert_true(OSObject_init((OSObject *)test->observer));
	n_heard = 0;
}

void
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

static const char *const with_host[] = { "--host", NULL, "--stop-limit", "400", "--checkin-limit",
					 "400",    NULL };

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

int
set_up(void **state)
{
	return set_up_with(state, true);
}

int
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

int
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
int
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
			if (value_u64(value_get((OSDictionary *)value_at(servers, i), "pid"),
				      &number) &&
			    number)
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

void
turn_until(struct test *test, bool (*done)(void *context), void *context, const char *what)
{
	uint64_t end = adxi_deadline_ns(SECONDS * ADXI_NS_PER_S);

	while (!done(context)) {
		if (adxi_now_ns() > end)
			fail_msg("%s: nothing for %d s", what, SECONDS);
		adxi_loop_turn(test->loop, 100);
	}
}

bool
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

uint64_t
wait_heard(struct test *test, uint64_t token, uint64_t id, uint32_t message, const char *what)
{
	struct heard wanted = { token, id, message, 0 };
	unsigned i;

	turn_until(test, has_heard, &wanted, what);
	for (i = 0; i < n_heard; i++)
		if (heard[i].token == token && (!id || heard[i].id == id) &&
		    heard[i].message == message)
			return heard[i].id;
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Bundles, lookups
 */

void
write_bundle(struct test *test, const char *name, const char *server_name, const char *category,
	     const char *keys)
{
	char path[192], command[512];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s.dext", test->dir, name);
	(void)snprintf(command, sizeof command, "mkdir -p %s && cp %s %s/driver", path, driver_path,
		       path);
	assert_int_equal(system(command), 0);
	strcat(path, "/Info.plist");
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"<plist "
		"version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>com.acme.%s</string>"
		"<key>CFBundleExecutable</key><string>driver</string><key>CFBundlePackageType</"
		"key><string>DEXT</string>"
		"<key>CFBundleVersion</key><string>1</string><key>CFBundleShortVersionString</"
		"key><string>1</string>"
		"<key>OSBundleUsageDescription</key><string>x</string>"
		"<key>IOKitPersonalities</key><dict><key>%s</key><dict>"
		"<key>CFBundleIdentifier</key><string>com.acme.%s</string>"
		"<key>IOClass</key><string>IOUserService</string><key>IOUserClass</key><string>%s</"
		"string>"
		"<key>IOUserServerName</key><string>%s</string><key>IOMatchCategory</"
		"key><string>%s</string>%s"
		"</dict></dict></dict></plist>",
		name, name, name, name, server_name, category, keys);
	fclose(file);
}

void
load(struct test *test, const char *name)
{
	value_auto OSArray *problems = NULL;
	value_auto OSString *path = NULL, *id = NULL;
	char text[192];
	uint32_t i;

	(void)snprintf(text, sizeof text, "%s/%s.dext", test->dir, name);
	path = value_string_new(text);
	assert_int_equal(ADXRegistry_LoadBundle(test->registry, path, &id, &problems),
			 kIOReturnSuccess);
	if (!id)
		for (i = 0; i < value_count(problems); i++)
			print_message("%s\n", value_cstr(value_at(problems, i)));
	assert_non_null(id);
}

IOReturn
unload(struct test *test, const char *id)
{
	value_auto OSString *text = value_string_new(id);

	return ADXRegistry_UnloadBundle(test->registry, text);
}

OSDictionary *
by_name(const char *name)
{
	OSDictionary *dict = value_dict_new();

	value_set_cstr(dict, "IONameMatch", name);
	return dict;
}

unsigned
lookup(struct test *test, const char *name, uint64_t *ret_id)
{
	value_auto OSDictionary *matching = by_name(name);
	value_auto OSArray *ids = NULL;

	assert_int_equal(ADXRegistry_CopyMatching(test->registry, matching, &ids),
			 kIOReturnSuccess);
	if (ret_id && value_count(ids))
		assert_true(value_u64(value_at(ids, 0), ret_id));
	return value_count(ids);
}

void
quiet(struct test *test)
{
	assert_int_equal(ADXRegistry_WaitQuiet(test->registry, 0, SECONDS * ADXI_NS_PER_S),
			 kIOReturnSuccess);
}

uint64_t
attach(struct test *test, const char *name)
{
	value_auto OSString *what = NULL, *problem = NULL;
	uint64_t id = 0;
	char text[64];

	(void)snprintf(text, sizeof text, "fake:%s", name);
	what = value_string_new(text);
	assert_int_equal(ADXRegistry_AttachDevice(test->registry, what, &id, &problem),
			 kIOReturnSuccess);
	assert_null(problem);
	assert_true(id > 0);
	return id;
}

void
detach(struct test *test)
{
	value_auto OSString *what = value_string_new("fake:any"), *problem = NULL;

	assert_int_equal(ADXRegistry_DetachDevice(test->registry, what, &problem),
			 kIOReturnSuccess);
}

uint64_t
notify(struct test *test, const char *type, const char *name, uint64_t token)
{
	value_auto OSDictionary *matching = by_name(name);
	value_auto OSArray *ids = NULL;
	char text[128] = "";

	strcpy(text, type);
	assert_int_equal(ADXRegistry_AddNotification(test->registry, text, matching, test->observer,
						     token, &ids),
			 kIOReturnSuccess);
	return value_count(ids);
}

IOReturn
tell_driver(struct test *test, uint64_t id, const char *key, uint64_t number)
{
	value_auto OSDictionary *properties = value_dict_new();

	value_set_u64(properties, key, number);
	return ADXRegistry_SetProperties(test->registry, id, properties);
}

bool
log_has(struct test *test, const char *rule, const char *text)
{
	uint64_t after = 0, next = 0;
	bool found = false;
	uint32_t i;

	for (;;) {
		OSArray *lines = NULL;

		assert_int_equal(ADXRegistry_CopyLog(test->registry, after, NULL, &lines, &next),
				 kIOReturnSuccess);
		for (i = 0; i < value_count(lines); i++) {
			const OSDictionary *line = (const OSDictionary *)value_at(lines, i);

			if (!strcmp(value_get_cstr(line, "rule"), rule) &&
			    strstr(value_get_cstr(line, "text"), text))
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

void
wait_log(struct test *test, const char *rule, const char *text)
{
	struct log_wait wait = { test, rule, text };

	turn_until(test, log_has_now, &wait, text);
}

uint64_t
entry_number(struct test *test, uint64_t id, const char *key)
{
	value_auto OSDictionary *entry = NULL;
	uint64_t number = 0;

	assert_int_equal(ADXRegistry_CopyEntry(test->registry, id, &entry), kIOReturnSuccess);
	assert_true(value_u64(value_get(entry, key), &number));
	return number;
}

unsigned
server_count(struct test *test)
{
	value_auto OSArray *servers = NULL;

	assert_int_equal(ADXRegistry_CopyServers(test->registry, &servers), kIOReturnSuccess);
	return value_count(servers);
}

IOReturn
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

bool
test_arguments(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s DEXTD FAKE_DRIVER [TEST]\n", argv[0]);
		return false;
	}
	dextd_path = argv[1];
	driver_path = argv[2];
	if (argc > 3)
		cmocka_set_test_filter(argv[3]);
	return true;
}
