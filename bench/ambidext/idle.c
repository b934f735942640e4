/* SPDX-License-Identifier: MIT */
/* Wakeups of a driver and a client that have nothing to do, after both had: counted, for five
 * seconds. Who counts is another process, so that the client's only thread sleeps. */

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "proc.h"

#define SETTLE_NS (7 * UINT64_C(1000000000)) /* longer than a call is watched for being stuck: AMBIDEXT_PATIENCE_MS */
#define WATCH_NS  5000000000u

struct idle {
	struct bench_client client;
	IONotificationPortRef
		port; /* owned: delivers on a queue, so that its thread is watched too */
};

struct watched {
	struct proc_switches client, driver;
};

static int
call(void *context)
{
	struct idle *idle = context;

	return bench_result(
		IOConnectCallScalarMethod(idle->client.connection, kBenchNull, NULL, 0, NULL, NULL),
		"kBenchNull");
}

static void
take(pid_t client, pid_t driver, struct watched *ret_watched)
{
	if (proc_switches(client, &ret_watched->client) < 0 ||
	    proc_switches(driver, &ret_watched->driver) < 0)
		_exit(1);
}

static uint64_t
sum(const struct proc_switches *before, const struct proc_switches *after)
{
	return after->voluntary + after->involuntary - before->voluntary - before->involuntary;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct idle *idle = context;
	pid_t client = getpid(), pid;
	uint64_t wakeups[2] = { 0 };
	int result[2], status = 1;

	if (pipe(result) < 0 || (pid = fork()) < 0)
		bench_fail("fork: %m");
	if (pid == 0) {
		struct watched before = { 0 }, after = { 0 };
		bench_sleep_ns(SETTLE_NS);
		take(client, idle->client.driver, &before);
		bench_sleep_ns(WATCH_NS);
		take(client, idle->client.driver, &after);
		wakeups[0] = sum(&before.client, &after.client);
		wakeups[1] = sum(&before.driver, &after.driver);
		_exit(write(result[1], wakeups, sizeof wakeups) == sizeof wakeups ? 0 : 1);
	}
	(void)waitpid(pid, &status, 0);
	if (status != 0 || read(result[0], wakeups, sizeof wakeups) != sizeof wakeups)
		bench_fail("who counts has failed");
	close(result[0]);
	close(result[1]);
	bench_count(counters, "wakeups", wakeups[0] + wakeups[1]);
	bench_count(counters, "client_wakeups", wakeups[0]);
	bench_count(counters, "driver_wakeups", wakeups[1]);
	bench_count(counters, "seconds", WATCH_NS / 1000000000u);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct idle idle = { 0 };
	struct bench_subject subject = { .operation = call,
					 .counters = counters,
					 .context = &idle };
	int status;

	bench_enter_realm(argv, NULL);
	bench_options(&argc, argv, &options);
	bench_no_more_options(argc, argv);
	bench_client_open(&idle.client, &options);
	idle.port = IONotificationPortCreate(kIOMainPortDefault);
	if (!idle.port)
		bench_fail("no notification port");
	IONotificationPortSetDispatchQueue(
		idle.port, dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0));
	bench_add_server(&subject, idle.client.driver);
	status = bench_main(&subject);
	IOServiceClose(idle.client.connection);
	IONotificationPortDestroy(idle.port);
	return status;
}
