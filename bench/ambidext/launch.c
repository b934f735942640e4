/* SPDX-License-Identifier: MIT */
/* A device appears; its driver is matched, launched, and has started. `idle` times that alone; an
 * operation is that and the device's end. */

#include <errno.h>
#include <signal.h>

#include "client.h"

#define PATIENCE_NS UINT64_C(10000000000)

struct launch {
	struct bench_client client;
	IONotificationPortRef port; /* owned */
	io_iterator_t matched;      /* owned handle */
	io_service_t launched;      /* owned handle: the driver that has started */
	uint64_t launches;
};

/* Takes what is there, which also arms the notification. */
static void
appeared(void *refcon, io_iterator_t iterator)
{
	struct launch *launch = refcon;
	io_service_t service;

	while ((service = IOIteratorNext(iterator))) {
		if (launch->launched)
			IOObjectRelease(launch->launched);
		launch->launched = service;
	}
	if (launch->launched)
		CFRunLoopStop(CFRunLoopGetCurrent());
}

static int
attach(struct launch *launch)
{
	int r = bench_result(IOConnectCallScalarMethod(launch->client.connection, kBenchAttach,
						       NULL, 0, NULL, NULL),
			     "kBenchAttach");

	while (r == 0 && !launch->launched)
		r = bench_run_loop();
	launch->launches++;
	return r;
}

/* Until its process is gone: the next launch must be one. */
static int
detach(struct launch *launch)
{
	pid_t pid = bench_server_of(launch->launched);
	uint64_t end = bench_now_ns() + PATIENCE_NS;
	int r = bench_result(IOConnectCallScalarMethod(launch->client.connection, kBenchDetach,
						       NULL, 0, NULL, NULL),
			     "kBenchDetach");

	while (r == 0 && pid > 0 && kill(pid, 0) == 0) {
		bench_sleep_ns(200000);
		if (bench_now_ns() > end)
			r = -ETIMEDOUT;
	}
	IOObjectRelease(launch->launched);
	launch->launched = IO_OBJECT_NULL;
	return r;
}

static int
launch_once(void *context)
{
	int r = attach(context);

	return r < 0 ? r : detach(context);
}

static int
launch_timed(void *context, uint64_t gap_ns, unsigned count, uint64_t *ret_latencies)
{
	int r = 0;

	for (unsigned i = 0; i < count && r == 0; i++) {
		uint64_t start;
		bench_sleep_ns(gap_ns);
		start = bench_now_ns();
		r = attach(context);
		ret_latencies[i] = bench_now_ns() - start;
		if (r == 0)
			r = detach(context);
	}
	return r;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct launch *launch = context;

	bench_count(counters, "launches", launch->launches);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct launch launch = { 0 };
	struct bench_subject subject = { .operation = launch_once,
					 .idle = launch_timed,
					 .counters = counters,
					 .context = &launch };

	bench_enter_realm(argv, NULL);
	bench_options(&argc, argv, &options);
	bench_no_more_options(argc, argv);
	bench_client_open(&launch.client, &options);
	launch.port = bench_port();
	bench_expect(IOServiceAddMatchingNotification(launch.port, kIOPublishNotification,
						      IOServiceNameMatching("BenchLaunched"),
						      appeared, &launch, &launch.matched),
		     "IOServiceAddMatchingNotification");
	appeared(&launch, launch.matched);
	bench_add_server(&subject, launch.client.driver);
	bench_add_server(&subject, bench_parent_of(launch.client.driver));
	return bench_main(&subject);
}
