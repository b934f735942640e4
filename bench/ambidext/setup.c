/* SPDX-License-Identifier: MIT */
/* IOServiceOpen and IOServiceClose. dextd, which introduces the two, is a server here. */

#include "client.h"

struct setup {
	struct bench_client client;
	uint64_t connections;
};

static int
open_and_close(void *context)
{
	struct setup *setup = context;
	io_connect_t connection;
	int r = bench_result(IOServiceOpen(setup->client.service, mach_task_self(), 0, &connection),
			     "IOServiceOpen");

	if (r < 0)
		return r;
	setup->connections++;
	return bench_result(IOServiceClose(connection), "IOServiceClose");
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct setup *setup = context;

	bench_count(counters, "connections", setup->connections);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct setup setup = { 0 };
	struct bench_subject subject = { .operation = open_and_close,
					 .counters = counters,
					 .context = &setup };

	bench_enter_realm(argv, NULL);
	bench_options(&argc, argv, &options);
	bench_no_more_options(argc, argv);
	bench_client_open(&setup.client, &options);
	bench_add_server(&subject, setup.client.driver);
	bench_add_server(&subject, bench_parent_of(setup.client.driver));
	return bench_main(&subject);
}
