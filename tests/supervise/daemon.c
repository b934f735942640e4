/* SPDX-License-Identifier: MIT */
/* daemon: dextd is killed. Its drivers end with it, and no client hangs.
 *
 * Runs in a realm of its own, which it leaves without a dextd. */

#include <errno.h>
#include <limits.h>
#include <mach/mig_errors.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"

static io_connect_t connection;
static kern_return_t held_ret;
static unsigned n_returned;

static void *
hold(void *unused)
{
	held_ret = end_now(connection, kWayHang, 0);
	n_returned++;
	return NULL;
}

static pid_t
daemon_pid(void)
{
	char path[PATH_MAX];
	int pid = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/dextd.pid", getenv("AMBIDEXT_REALM"));
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d", &pid) != 1)
		failed("no number in %s", path);
	(void)fclose(file);
	return pid;
}

/* Gone, or nobody's child any more that still has a name. */
static void
wait_gone(pid_t pid)
{
	uint64_t deadline = now_ns() + 30000000000ull;

	while (kill(pid, 0) == 0 && now_ns() < deadline)
		(void)poll(NULL, 0, 1);
	if (kill(pid, 0) == 0)
		failed("the driver %d outlives its dextd", (int)pid);
}

int
main(void)
{
	uint64_t id = 0;
	io_service_t service = wait_service(0, &id);
	io_connect_t idle = open_service(service), late = IO_OBJECT_NULL;
	pid_t driver = driver_pid();
	CFArrayRef servers = NULL;
	kern_return_t ret, first, second;
	pthread_t thread;

	connection = open_service(service);
	if (ping(connection, &ret) != 1 || ping(idle, &ret) != 1)
		failed("the driver does not answer: %#x", (unsigned)ret);
	if (pthread_create(&thread, NULL, hold, NULL))
		failed("no thread");
	while (!log_contains("[T23]")) /* it is in the method */
		(void)poll(NULL, 0, 1);
	if (kill(daemon_pid(), SIGKILL) < 0)
		failed("dextd is gone");
	(void)pthread_join(thread, NULL);
	wait_gone(driver);
	if (n_returned != 1 || held_ret != MIG_SERVER_DIED)
		failed("the call under way returned %u times, with %#x", n_returned, (unsigned)held_ret);
	(void)ping(idle, &first);
	(void)ping(idle, &second);
	if (first != MIG_SERVER_DIED || second != MACH_SEND_INVALID_DEST)
		failed("a connection that was idle answers %#x, then %#x", (unsigned)first, (unsigned)second);
	ret = IOServiceOpen(service, mach_task_self(), 0, &late);
	if (ret == kIOReturnSuccess || late != IO_OBJECT_NULL)
		failed("a service of a dead realm can be opened");
	if (IOServiceClose(idle) != kIOReturnSuccess || IOServiceClose(connection) != kIOReturnSuccess)
		failed("a dead connection cannot be closed");
	if (adx_copy_servers(&servers) == kIOReturnSuccess)
		failed("a dead dextd answers");
	printf("dextd killed: 1 driver gone, 1 call MIG_SERVER_DIED, 1 idle connection, open answers %#x\n", (unsigned)ret);
	return 0;
}
