/* SPDX-License-Identifier: MIT */
/* Completions at a pace: how long each is on its way, from before the driver sends it to the
 * callback. */

#include <errno.h>
#include <stdlib.h>

#include "client.h"

struct paced {
	struct bench_client client;
	IONotificationPortRef port; /* owned */
	uint64_t *latencies;        /* borrowed: of this command */
	unsigned count, received;
	uint64_t events, early;
};

static void
event(void *refcon, IOReturn result, void *arg0, void *arg1)
{
	struct paced *paced = refcon;
	uint64_t now = bench_now_ns(), sent = (uintptr_t)arg1;

	paced->events++;
	paced->early += sent > now;
	if (paced->received < paced->count)
		paced->latencies[paced->received++] = now > sent ? now - sent : 0;
	if (paced->received == paced->count)
		CFRunLoopStop(CFRunLoopGetCurrent());
}

static int
receive(void *context, uint64_t gap_ns, unsigned count, uint64_t *ret_latencies)
{
	struct paced *paced = context;
	uint64_t input[2] = { count, gap_ns };
	int r;

	paced->latencies = ret_latencies;
	paced->count = count;
	paced->received = 0;
	r = bench_result(
		bench_call_async(&paced->client, paced->port, kBenchPace, event, paced, input, 2),
		"kBenchPace");
	while (r == 0 && paced->received < count)
		r = bench_run_loop();
	return r;
}

static int
once(void *context)
{
	uint64_t latency;

	return receive(context, 1000, 1, &latency);
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct paced *paced = context;

	bench_count(counters, "events", paced->events);
	bench_count(counters, "early", paced->early);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct paced paced = { 0 };
	struct bench_subject subject = {
		.operation = once, .idle = receive, .counters = counters, .context = &paced
	};
	int status;

	bench_enter_realm(argv, NULL);
	bench_options(&argc, argv, &options);
	bench_no_more_options(argc, argv);
	bench_client_open(&paced.client, &options);
	paced.port = bench_port();
	bench_add_server(&subject, paced.client.driver);
	status = bench_main(&subject);
	IOServiceClose(paced.client.connection);
	IONotificationPortDestroy(paced.port);
	return status;
}
