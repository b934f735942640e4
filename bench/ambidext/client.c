/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ambidext/realm.h>

#include "client.h"

/* Says that the realm in AMBIDEXT_REALM is one of ours. */
#define INSIDE        "ADX_BENCH_REALM"
#define MAX_ARGUMENTS 64u

void
bench_enter_realm(char **argv, const char *const *extra)
{
	const char *build = getenv("AMBIDEXT_BUILD_DIR"), *given = getenv("ADX_BENCH_BUNDLE");
	char bundle[PATH_MAX], self[PATH_MAX];
	const char *arguments[MAX_ARGUMENTS] = { "dext", "realm", "run", "--load", bundle };
	size_t n = 5;
	ssize_t len;

	if (getenv(INSIDE))
		return;
	if (!build)
		bench_fail("run it inside tools/with-build, or ./run exec");
	if (snprintf(bundle, sizeof bundle, "%s/bench/ambidext/BenchDriver.dext", build) >=
	    (int)sizeof bundle)
		bench_fail("the path of the build directory is too long");
	len = readlink("/proc/self/exe", self, sizeof self - 1);
	if (len < 0)
		bench_fail("/proc/self/exe: %m");
	self[len] = '\0';
	if (given)
		arguments[4] = given;
	for (; extra && *extra && n < MAX_ARGUMENTS - 3; extra++)
		arguments[n++] = *extra;
	arguments[n++] = "--";
	arguments[n++] = self;
	for (argv++; *argv && n < MAX_ARGUMENTS - 1; argv++)
		arguments[n++] = *argv;
	arguments[n] = NULL;
	(void)setenv(INSIDE, "1", 1);
	execvp(arguments[0], (char *const *)arguments);
	bench_fail("dext: %m");
}

void
bench_expect(kern_return_t ret, const char *what)
{
	if (ret != kIOReturnSuccess)
		bench_fail("%s: %s (%#x) %s", what, mach_error_string(ret), (unsigned)ret,
			   adx_last_explanation());
}

int
bench_result(kern_return_t ret, const char *what)
{
	if (ret == kIOReturnSuccess)
		return 0;
	fprintf(stderr, "%s: %s (%#x) %s\n", what, mach_error_string(ret), (unsigned)ret,
		adx_last_explanation());
	return -EIO;
}

IONotificationPortRef
bench_port(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);

	if (!port)
		bench_fail("no notification port");
	CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port),
			   kCFRunLoopDefaultMode);
	return port;
}

kern_return_t
bench_call_async(const struct bench_client *client, IONotificationPortRef port, uint32_t selector,
		 IOAsyncCallback2 callback, void *refcon, const uint64_t *input, uint32_t n_input)
{
	uint64_t reference[kIOAsyncCalloutCount] = { 0 };

	reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)(uintptr_t)callback;
	reference[kIOAsyncCalloutRefconIndex] = (io_user_reference_t)(uintptr_t)refcon;
	return IOConnectCallAsyncScalarMethod(client->connection, selector,
					      IONotificationPortGetMachPort(port), reference,
					      kIOAsyncCalloutCount, input, n_input, NULL, NULL);
}

int
bench_run_loop(void)
{
	return CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, 0) == kCFRunLoopRunStopped
		       ? 0
		       : -ETIMEDOUT;
}

pid_t
bench_parent_of(pid_t pid)
{
	char path[64], text[1024], *rest;
	int parent = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(text, sizeof text, file) && (rest = strrchr(text, ')')) &&
	    sscanf(rest + 1, " %*c %d", &parent) != 1)
		parent = 0;
	(void)fclose(file);
	return (pid_t)parent;
}

pid_t
bench_server_of(io_service_t service)
{
	CFDictionaryRef description = NULL;
	int64_t pid = 0;

	if (adx_entry_copy(service, &description) != kIOReturnSuccess)
		return 0;
	CFNumberRef number = CFDictionaryGetValue(description, CFSTR("server"));
	if (number)
		(void)CFNumberGetValue(number, kCFNumberSInt64Type, &pid);
	CFRelease(description);
	return (pid_t)pid;
}

void
bench_client_pin_driver(const struct bench_client *client)
{
	int r = bench_pin_process(BENCH_SERVER, &client->options, client->driver);

	if (r < 0)
		bench_skip("the driver cannot be pinned: %s", strerror(-r));
}

void
bench_client_open(struct bench_client *client, const struct bench_options *options)
{
	*client = (struct bench_client){ .options = *options };
	client->service = IOServiceGetMatchingService(kIOMainPortDefault,
						      IOServiceNameMatching("BenchDriver"));
	if (!client->service)
		bench_fail("no BenchDriver in this realm");
	client->driver = bench_server_of(client->service);
	if (client->driver <= 0)
		bench_fail("BenchDriver has no process");
	bench_pin(BENCH_CLIENT, options);
	bench_client_pin_driver(client);
	bench_expect(IOServiceOpen(client->service, mach_task_self(), 0, &client->connection),
		     "IOServiceOpen");
	/* Those that the connection started, if a thread that was not pinned yet did so. */
	bench_client_pin_driver(client);
}
