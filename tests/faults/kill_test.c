/* SPDX-License-Identifier: MIT */
/* kill -9 of the driver, the client and usbhost, and unplug, each at random moments under load.
 *
 * Runs in a realm that has the drivers of examples/02-async and 03-transfer. After each blow the
 * system must be usable again within a bounded time, every call must have returned, and at the end
 * no process, descriptor or mapping is left over in dextd and usbhost. Arguments: rounds of each
 * kind, seed. Prints what was done. */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ambidext/realm.h>

#include "rig.h"
#include "../../examples/02-async/AsyncMethods.h"
#include "../../examples/03-transfer/TransferMethods.h"

#define N_CALLERS 2

static _Atomic uint64_t n_calls, n_returned,
	n_refused; /* of the load: begun, ended, ended with an error */
static _Atomic bool stopping;
static const char *transfer_bundle, *async_bundle; /* paths */

/* One caller: connects, calls until refused, connects again. */
static void *
caller(void *name)
{
	uint64_t counters[kTransferCounterCount];

	while (!atomic_load(&stopping)) {
		io_connect_t connection = rig_connect_within(name, 0.05);
		if (!connection)
			continue;
		kern_return_t ret = kIOReturnSuccess;
		while (ret == kIOReturnSuccess && !atomic_load(&stopping)) {
			uint32_t n = kTransferCounterCount;
			atomic_fetch_add(&n_calls, 1);
			ret = IOConnectCallScalarMethod(connection, kTransferCounters, NULL, 0,
							counters, &n);
			atomic_fetch_add(&n_returned, 1);
			if (ret != kIOReturnSuccess)
				atomic_fetch_add(&n_refused, 1);
		}
		(void)IOServiceClose(connection);
	}
	return NULL;
}

static void
ignore(void *refcon __attribute__((unused)), IOReturn result __attribute__((unused)),
       void *arg0 __attribute__((unused)))
{
}

/* The client that is killed: calls and callbacks until its end. */
static void __attribute__((noreturn)) victim_client(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	uint64_t reference[kIOAsyncCalloutCount] = { 0, (uintptr_t)ignore, 0 },
		 request[2] = { 50, 1 };

	CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port),
			   kCFRunLoopDefaultMode);
	for (;;) {
		io_connect_t connection = rig_connect_within("AsyncDriver", 10);
		struct ReadDataStruct data;
		size_t size = sizeof data;
		kern_return_t ret = IOConnectCallAsyncStructMethod(
			connection, kAsyncRegister, IONotificationPortGetMachPort(port), reference,
			kIOAsyncCalloutCount, NULL, 0, &data, &size);
		for (int i = 0; i < 50 && ret == kIOReturnSuccess; i++) {
			ret = IOConnectCallScalarMethod(connection, kAsyncRequest, request, 2, NULL,
							NULL);
			(void)CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.001, false);
		}
		(void)IOServiceClose(connection);
	}
}

static void
kill_one(const char *name)
{
	double until = rig_now() + BACK_WITHIN_SECONDS;
	pid_t pid;

	while ((pid = rig_pid_of(name)) == 0 && rig_now() < until)
		(void)usleep(1000);
	if (pid == 0)
		rig_failed("%s has no process to kill", name);
	(void)usleep((useconds_t)rig_random_below(8000));
	(void)kill(pid, SIGKILL);
}

static void
blow_dext(unsigned round)
{
	/* More than five crashes in half an hour are quarantined: a new load of the bundle starts
	 * the count anew. */
	if (round % 4 == 3) {
		rig_unload_bundle("org.example.Transfer");
		rig_load_bundle(transfer_bundle);
	}
	rig_must_come_back("TransferDriver", "loading");
	kill_one("org.example.Transfer");
	rig_must_come_back("TransferDriver", "kill -9 of the driver");
}

static void
blow_client(unsigned round __attribute__((unused)))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		victim_client();
	(void)usleep((useconds_t)(10000 + rig_random_below(20000)));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	rig_must_come_back("AsyncDriver", "kill -9 of a client");
}

static void
blow_unplug(unsigned round __attribute__((unused)))
{
	rig_must_come_back("TransferDriver", "plugging in");
	(void)usleep((useconds_t)rig_random_below(8000));
	rig_unplug();
	rig_plug();
	rig_must_come_back("TransferDriver", "unplug and replug");
}

static void
blow_usbhost(unsigned round __attribute__((unused)))
{
	rig_must_come_back("TransferDriver", "plugging in");
	kill_one("usbhost");
	rig_plug();
	rig_must_come_back("TransferDriver", "kill -9 of usbhost");
}

static const struct {
	const char *name;
	void (*blow)(unsigned round);
} blows[] = {
	{ "driver", blow_dext },
	{ "client", blow_client },
	{ "unplug", blow_unplug },
	{ "usbhost", blow_usbhost },
};

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 100;
	mach_timespec_t wait = { .tv_sec = 30 };
	pthread_t callers[N_CALLERS];

	if (argc < 3) {
		fprintf(stderr, "usage: kill_test TRANSFER.dext ASYNC.dext [ROUNDS [SEED]]\n");
		return 2;
	}
	transfer_bundle = argv[1];
	async_bundle = argv[2];
	rig_seed = argc > 4 ? strtoull(argv[4], NULL, 0) : rig_seed;
	rig_load_bundle(transfer_bundle);
	rig_load_bundle(async_bundle);
	rig_plug();
	rig_must_come_back("TransferDriver", "start");
	rig_must_come_back("AsyncDriver", "start");
	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	/* One of each once, so that what is made on first use counts as there before. */
	for (size_t i = 0; i < sizeof blows / sizeof *blows; i++)
		blows[i].blow(0);
	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	pid_t dextd = rig_dextd_pid();
	unsigned fds = rig_count_fds(dextd), memfds = rig_count_memfds(dextd),
		 children = rig_count_children(dextd);
	unsigned user_clients = rig_count_user_clients(0);

	for (int i = 0; i < N_CALLERS; i++)
		if (pthread_create(&callers[i], NULL, caller, (void *)"TransferDriver") != 0)
			rig_failed("no thread");
	for (size_t i = 0; i < sizeof blows / sizeof *blows; i++) {
		double start = rig_now();
		for (unsigned round = 0; round < rounds; round++)
			blows[i].blow(round);
		printf("%s: %u blows, %.1f ms each; calls %" PRIu64 ", refused %" PRIu64 "\n",
		       blows[i].name, rounds, (rig_now() - start) * 1000 / rounds,
		       atomic_load(&n_calls), atomic_load(&n_refused));
		(void)fflush(stdout);
	}
	atomic_store(&stopping, true);
	for (int i = 0; i < N_CALLERS; i++)
		(void)pthread_join(callers[i], NULL);
	if (atomic_load(&n_calls) != atomic_load(&n_returned) || atomic_load(&n_calls) == 0)
		rig_failed("%" PRIu64 " calls, %" PRIu64 " returned", atomic_load(&n_calls),
			   atomic_load(&n_returned));
	if (kill(dextd, 0) < 0)
		rig_failed("dextd died");
	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	rig_settles("user clients", rig_count_user_clients, 0, user_clients);
	rig_settles("processes of the realm", rig_count_children, dextd, children);
	rig_settles("descriptors of dextd", rig_count_fds, dextd, fds);
	rig_settles("shared memory of dextd", rig_count_memfds, dextd, memfds);
	printf("passed: %u blows of each of %zu kinds\n", rounds, sizeof blows / sizeof *blows);
	return 0;
}
