/* SPDX-License-Identifier: MIT */
/* A call among --connections idle ones of the same client, or with --services of the driver in the
 * realm; and what each of them costs. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"
#include "proc.h"

struct cost {
	uint64_t client, driver, dextd, kernel;
};

struct scale {
	struct bench_client client;
	pid_t dextd;
	uint8_t *request, *reply; /* owned */
	io_connect_t *idle;       /* owned: n_idle handles */
	uint64_t n_idle, n_services, calls, checked;
	struct cost before, after;
};

static int
call(void *context)
{
	struct scale *scale = context;
	size_t bytes = scale->client.options.bytes, size = bytes;
	int r;

	scale->calls++;
	if (bytes == 0)
		return bench_result(IOConnectCallScalarMethod(scale->client.connection, kBenchNull,
							      NULL, 0, NULL, NULL),
				    "kBenchNull");
	r = bench_result(IOConnectCallStructMethod(scale->client.connection, kBenchEcho,
						   scale->request, bytes, scale->reply, &size),
			 "kBenchEcho");
	if (r == 0 && scale->calls % BENCH_CHECK_EVERY == 0) {
		scale->checked++;
		if (size != bytes || memcmp(scale->request, scale->reply, bytes) != 0)
			r = -EBADMSG;
	}
	return r;
}

static void
take(const struct scale *scale, struct cost *ret_cost)
{
	*ret_cost = (struct cost){ .client = proc_memory(getpid()),
				   .driver = proc_memory(scale->client.driver),
				   .dextd = proc_memory(scale->dextd),
				   .kernel = proc_kernel_memory() };
}

static void
open_idle(struct scale *scale)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	scale->idle = calloc(scale->n_idle + 1, sizeof *scale->idle);
	if (!scale->idle)
		bench_fail("no memory");
	for (uint64_t i = 0; i < scale->n_idle; i++)
		bench_expect(
			IOServiceOpen(scale->client.service, mach_task_self(), 0, &scale->idle[i]),
			"IOServiceOpen");
}

static void
publish(struct scale *scale)
{
	uint64_t n = 0;
	uint32_t n_out = 1;

	bench_expect(IOConnectCallScalarMethod(scale->client.connection, kBenchPublish,
					       &scale->n_services, 1, &n, &n_out),
		     "kBenchPublish");
	if (n != scale->n_services)
		bench_fail("%llu services were published", (unsigned long long)n);
}

/* What one of @p n costs. Memory that went away meanwhile is nobody's gain here. */
static double
each(uint64_t before, uint64_t after, uint64_t n)
{
	return after > before ? (double)(after - before) / (double)n : 0;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct scale *scale = context;
	uint64_t n = scale->n_idle ? scale->n_idle : scale->n_services;
	double client, driver, dextd, kernel;

	bench_count(counters, "calls", scale->calls);
	bench_count(counters, "checked", scale->checked);
	bench_count(counters, "connections", scale->n_idle);
	bench_count(counters, "services", scale->n_services);
	bench_count(counters, "descriptors_client", proc_descriptors(getpid()));
	bench_count(counters, "descriptors_driver", proc_descriptors(scale->client.driver));
	if (n == 0)
		return;
	client = each(scale->before.client, scale->after.client, n);
	driver = each(scale->before.driver, scale->after.driver, n);
	dextd = each(scale->before.dextd, scale->after.dextd, n);
	kernel = each(scale->before.kernel, scale->after.kernel, n);
	bench_count_real(counters, "bytes_client", client);
	bench_count_real(counters, "bytes_driver", driver);
	bench_count_real(counters, "bytes_dextd", dextd);
	bench_count_real(counters, "bytes_kernel", kernel);
	bench_count_real(counters, scale->n_idle ? "bytes_per_connection" : "bytes_per_service",
			 client + driver + dextd + kernel);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct scale scale = { 0 };
	struct bench_subject subject = { .operation = call,
					 .counters = counters,
					 .context = &scale };

	bench_enter_realm(argv, NULL);
	bench_options(&argc, argv, &options);
	scale.n_idle = bench_option_number(&argc, argv, "--connections", 0);
	scale.n_services = bench_option_number(&argc, argv, "--services", 0);
	bench_no_more_options(argc, argv);
	bench_client_open(&scale.client, &options);
	scale.dextd = bench_parent_of(scale.client.driver);
	scale.request = malloc(options.bytes + 1);
	scale.reply = malloc(options.bytes + 1);
	if (!scale.request || !scale.reply)
		bench_fail("no memory");
	bench_fill(scale.request, options.bytes, 1);
	/* What a first call costs is not what an idle connection costs. */
	if (call(&scale) < 0)
		bench_fail("the first call failed");
	take(&scale, &scale.before);
	if (scale.n_idle > 0)
		open_idle(&scale);
	if (scale.n_services > 0)
		publish(&scale);
	take(&scale, &scale.after);
	bench_add_server(&subject, scale.client.driver);
	return bench_main(&subject);
}
