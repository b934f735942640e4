/* SPDX-License-Identifier: MIT */
/* An external method's round trip: without data, or a structure of --bytes in and out. --scalar: a
 * number in, the next one out. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

struct rpc {
	struct bench_client client;
	uint8_t *request, *reply; /* owned: bytes each */
	int scalar;
	uint64_t calls, replies, checked;
};

static int
call_null(struct rpc *rpc)
{
	return bench_result(
		IOConnectCallScalarMethod(rpc->client.connection, kBenchNull, NULL, 0, NULL, NULL),
		"kBenchNull");
}

static int
call_next(struct rpc *rpc)
{
	uint64_t in = rpc->calls, out = 0;
	uint32_t n_out = 1;
	int r = bench_result(
		IOConnectCallScalarMethod(rpc->client.connection, kBenchNext, &in, 1, &out, &n_out),
		"kBenchNext");

	rpc->checked++;
	return r < 0 ? r : n_out == 1 && out == in + 1 ? 0 : -EBADMSG;
}

static int
call_echo(struct rpc *rpc)
{
	size_t bytes = rpc->client.options.bytes, size = bytes;
	uint32_t n = (uint32_t)rpc->calls;
	int r;

	if (bytes >= sizeof n)
		memcpy(rpc->request, &n, sizeof n);
	r = bench_result(IOConnectCallStructMethod(rpc->client.connection, kBenchEcho, rpc->request,
						   bytes, rpc->reply, &size),
			 "kBenchEcho");
	if (r < 0)
		return r;
	if (size != bytes)
		return -EBADMSG;
	if (rpc->calls % BENCH_CHECK_EVERY == 0) {
		rpc->checked++;
		if (memcmp(rpc->request, rpc->reply, bytes) != 0)
			return -EBADMSG;
	}
	return 0;
}

static int
call(void *context)
{
	struct rpc *rpc = context;
	int r;

	rpc->calls++;
	r = rpc->scalar                     ? call_next(rpc)
	    : rpc->client.options.bytes > 0 ? call_echo(rpc)
					    : call_null(rpc);
	if (r == 0)
		rpc->replies++;
	return r;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct rpc *rpc = context;

	bench_count(counters, "calls", rpc->calls);
	bench_count(counters, "replies", rpc->replies);
	bench_count(counters, "checked", rpc->checked);
	bench_count(counters, "bytes", rpc->calls * rpc->client.options.bytes * 2);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct rpc rpc = { 0 };
	struct bench_subject subject = { .operation = call, .counters = counters, .context = &rpc };
	int status;

	bench_enter_realm(argv, NULL);
	bench_options(&argc, argv, &options);
	rpc.scalar = bench_option_flag(&argc, argv, "--scalar");
	bench_no_more_options(argc, argv);
	bench_client_open(&rpc.client, &options);
	rpc.request = malloc(options.bytes + 1);
	rpc.reply = malloc(options.bytes + 1);
	if (!rpc.request || !rpc.reply)
		bench_fail("no memory");
	bench_fill(rpc.request, options.bytes, 1);
	bench_add_server(&subject, rpc.client.driver);
	status = bench_main(&subject);
	IOServiceClose(rpc.client.connection);
	IOObjectRelease(rpc.client.service);
	free(rpc.request);
	free(rpc.reply);
	return status;
}
