/* SPDX-License-Identifier: MIT */
/*
 * transfer: transfers of a driver on the model back end, from AsyncIO to CompleteAsyncIO, through the public API.
 *
 *   transfer [--bytes N] [--depth D] [--touch] [--pin one|two|free]   reads of N bytes (8), D in flight (1)
 *   transfer --null-call [--pin …]                                    null external methods of the same driver
 *
 * --plugged: the device is there already; a gadget of the kernel, as bench/usb/in_guest has it (with --touch).
 *
 * Transfers are made and counted in the driver's process, which is the client of this measurement; the server is usbhost. This
 * program tells them for how long. model:source_sink gives the data: a number in every 1024 bytes, so that the device costs
 * nothing; with --touch every byte, so that what it costs is writing them.
 *
 * Run inside tools/with-build. It starts a realm of its own and goes on inside of it.
 */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>

#include "../ambidext/client.h"
#include "methods.h"

#define WARM_UP_TRANSFERS 2000u
#define START_NS UINT64_C(30000000000)

struct usb {
	io_connect_t connection;
	pid_t driver, usbhost;
	uint64_t transfers, failed, bytes, slices;
};

static bool
has_argument(char **argv, const char *wanted)
{
	while (*argv && strcmp(*argv, wanted) != 0)
		argv++;
	return *argv != NULL;
}

static void
enter_realm(char **argv)
{
	const char *const attach[] = { "--attach", "model:source_sink", NULL };
	const char *build = getenv("AMBIDEXT_BUILD_DIR");
	char bundle[4096];

	if (!build)
		bench_skip("it runs inside tools/with-build, or ./run exec");
	(void)snprintf(bundle, sizeof bundle, "%s/bench/usb/BenchUSB.dext", build);
	(void)setenv("ADX_BENCH_BUNDLE", bundle, 0);
	bench_enter_realm(argv, has_argument(argv, "--plugged") ? NULL : attach);
}

static int
parent_of(pid_t pid, char name[32])
{
	char path[64], line[512];
	int parent = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(line, sizeof line, file)) {
		char *from = strchr(line, '('), *to = strrchr(line, ')');

		if (from && to && sscanf(to + 1, " %*c %d", &parent) == 1)
			(void)snprintf(name, 32, "%.*s", (int)(to - from - 1), from + 1);
	}
	(void)fclose(file);
	return parent;
}

/* dextd's child of that name: the driver is another one. */
static pid_t
find_usbhost(pid_t driver)
{
	char name[32] = "";
	pid_t dextd = parent_of(driver, name), found = 0;
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && !found && (entry = readdir(proc))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		if (pid > 0 && parent_of(pid, name) == dextd && strcmp(name, "usbhost") == 0)
			found = pid;
	}
	if (proc)
		(void)closedir(proc);
	return found;
}

static void
call(const struct usb *usb, uint32_t selector, const uint64_t *in, uint32_t n_in, uint64_t *out, uint32_t n_out)
{
	bench_expect(IOConnectCallScalarMethod(usb->connection, selector, in, n_in, out, &n_out), "a method");
}

static void
open_driver(struct usb *usb)
{
	const uint64_t until = bench_now_ns() + START_NS;
	mach_timespec_t wait = { .tv_sec = 30 };
	io_service_t service;
	kern_return_t ret;

	/* A real bus takes its time to say what is there. */
	do {
		(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
		service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("BenchUSBDriver"));
		if (!service)
			bench_sleep_ns(100000000);
	} while (!service && bench_now_ns() < until);
	if (!service)
		bench_fail("the driver did not start");
	ret = IOServiceOpen(service, mach_task_self(), 0, &usb->connection);
	IOObjectRelease(service);
	bench_expect(ret, "open");
}

/* Transfers for @p ns nanoseconds, or @p transfers of them: how many, in which time. */
static void
run(struct usb *usb, uint64_t ns, uint64_t transfers, uint64_t *ret_done, uint64_t *ret_ns)
{
	uint64_t out[5] = { 0 };

	call(usb, kBenchUSBRun, (uint64_t[]){ ns, transfers }, 2, NULL, 0);
	/* Looking costs the driver something, so only when it must be over. */
	if (ns)
		bench_sleep_ns(ns + 100000);
	for (;;) {
		call(usb, kBenchUSBResult, NULL, 0, out, 5);
		if (out[2])
			break;
		bench_sleep_ns(100000);
	}
	if (out[3])
		bench_fail("%" PRIu64 " of %" PRIu64 " transfers failed", out[3], out[0] + out[3]);
	usb->transfers += out[0];
	usb->bytes += out[4];
	*ret_done = out[0];
	*ret_ns = out[1];
}

static void
slice(struct usb *usb, uint64_t ns)
{
	uint64_t done, elapsed, client = bench_cpu_of_ns(usb->driver), server = bench_cpu_of_ns(usb->usbhost);

	run(usb, ns, 0, &done, &elapsed);
	client = bench_cpu_of_ns(usb->driver) - client;
	server = bench_cpu_of_ns(usb->usbhost) - server;
	usb->slices++;
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", done, elapsed, client, server);
}

static int
compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static void
idle(struct usb *usb, uint64_t gap_ns, unsigned count)
{
	uint64_t *latencies = calloc(count ? count : 1, sizeof *latencies), done;

	if (!latencies || count < 1)
		bench_fail("idle %u times", count);
	for (unsigned i = 0; i < count; i++) {
		bench_sleep_ns(gap_ns);
		run(usb, 0, 1, &done, &latencies[i]);
	}
	qsort(latencies, count, sizeof *latencies, compare);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", latencies[count / 2], latencies[count * 99ull / 100],
	       latencies[count - 1]);
	free(latencies);
}

static void
answer(struct usb *usb, const char *line)
{
	uint64_t ns;
	unsigned count;

	if (sscanf(line, "slice %" SCNu64, &ns) == 1)
		slice(usb, ns);
	else if (sscanf(line, "idle %" SCNu64 " %u", &ns, &count) == 2)
		idle(usb, ns, count);
	else if (sscanf(line, "transfers %" SCNu64, &ns) == 1) { /* an exact number: to count instructions */
		uint64_t done, elapsed;

		run(usb, 0, ns, &done, &elapsed);
		printf("%" PRIu64 " %" PRIu64 "\n", done, elapsed);
	} else if (strcmp(line, "pids\n") == 0)
		printf("%d %d\n", (int)usb->driver, (int)usb->usbhost);
	else if (strcmp(line, "counters\n") == 0)
		printf("{\"operations\": %" PRIu64 ", \"slices\": %" PRIu64 ", \"bytes\": %" PRIu64 "}\n", usb->transfers,
		       usb->slices, usb->bytes);
	else
		bench_fail("%.*s: no such command", (int)strcspn(line, "\n"), line);
	(void)fflush(stdout);
}

static int
null_call(void *context)
{
	const struct usb *usb = context;

	return IOConnectCallScalarMethod(usb->connection, kBenchUSBNull, NULL, 0, NULL, NULL) == kIOReturnSuccess ? 0 : -EIO;
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct usb usb = { 0 };
	uint64_t depth, done, elapsed, out[1] = { 0 };
	bool touch, null_calls;
	char line[256];

	enter_realm(argv);
	bench_options(&argc, argv, &options);
	depth = bench_option_number(&argc, argv, "--depth", 1);
	touch = bench_option_flag(&argc, argv, "--touch");
	(void)bench_option_flag(&argc, argv, "--plugged");
	null_calls = bench_option_flag(&argc, argv, "--null-call");
	bench_no_more_options(argc, argv);
	(void)prctl(PR_SET_TIMERSLACK, 1);

	open_driver(&usb);
	call(&usb, kBenchUSBSetup, (uint64_t[]){ depth, options.bytes ? options.bytes : 8, !touch }, 3, out, 1);
	usb.driver = (pid_t)out[0];
	usb.usbhost = find_usbhost(usb.driver);
	if (!usb.usbhost)
		usb.usbhost = -1; /* under valgrind it has another name; its time is 0 then */
	if (null_calls) {
		struct bench_subject subject = { .operation = null_call, .context = &usb };

		bench_add_server(&subject, usb.driver);
		bench_pin(BENCH_CLIENT, &options);
		(void)bench_pin_process(BENCH_SERVER, &options, usb.driver);
		return bench_main(&subject);
	}
	(void)bench_pin_process(BENCH_CLIENT, &options, usb.driver);
	(void)bench_pin_process(BENCH_SERVER, &options, usb.usbhost);
	run(&usb, 0, options.bytes > 4096 ? WARM_UP_TRANSFERS / 20 : WARM_UP_TRANSFERS, &done, &elapsed);
	printf("ready\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		answer(&usb, line);
	return 0;
}
