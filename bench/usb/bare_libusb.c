/* SPDX-License-Identifier: MIT */
/*
 * bare_libusb VENDOR:PRODUCT [--bytes N] [--depth D]: bulk reads of endpoint 0x81 of interface 0, D in flight, by nothing but
 * libusb: what a program without Ambidext would get. A subject as bench/subject.h says, but for `idle`.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libusb.h>

#include "../subject.h"

#define SOURCE    0x81
#define MAX_DEPTH 256u
#define WARM_UP_NS 100000000u

struct bare {
	libusb_context *context;
	libusb_device_handle *handle;
	unsigned depth, bytes, in_flight;
	struct libusb_transfer *transfers[MAX_DEPTH];
	bool running;
	uint64_t done;
};

static void
submit(struct bare *bare, struct libusb_transfer *transfer)
{
	int r = libusb_submit_transfer(transfer);

	if (r != 0)
		bench_fail("submit: %s", libusb_strerror(r));
	bare->in_flight++;
}

static void LIBUSB_CALL
read_done(struct libusb_transfer *transfer)
{
	struct bare *bare = transfer->user_data;

	bare->in_flight--;
	if (transfer->status != LIBUSB_TRANSFER_COMPLETED || transfer->actual_length != transfer->length)
		bench_fail("a read ended with %d after %d bytes", transfer->status, transfer->actual_length);
	if (!bare->running)
		return;
	bare->done++;
	submit(bare, transfer);
}

static void
open_device(struct bare *bare, unsigned vendor, unsigned product)
{
	int r = libusb_init(&bare->context);

	if (r != 0)
		bench_fail("libusb: %s", libusb_strerror(r));
	bare->handle = libusb_open_device_with_vid_pid(bare->context, (uint16_t)vendor, (uint16_t)product);
	if (!bare->handle)
		bench_skip("there is no %04x:%04x", vendor, product);
	(void)libusb_set_auto_detach_kernel_driver(bare->handle, 1);
	r = libusb_claim_interface(bare->handle, 0);
	if (r != 0)
		bench_fail("claim: %s", libusb_strerror(r));
	for (unsigned i = 0; i < bare->depth; i++) {
		unsigned char *data = calloc(1, bare->bytes);

		bare->transfers[i] = libusb_alloc_transfer(0);
		if (!data || !bare->transfers[i])
			bench_fail("no memory");
		libusb_fill_bulk_transfer(bare->transfers[i], bare->handle, SOURCE, data, (int)bare->bytes, read_done, bare, 0);
	}
}

static void
handle(struct bare *bare)
{
	struct timeval timeout = { .tv_sec = 1 };
	int r = libusb_handle_events_timeout(bare->context, &timeout);

	if (r != 0)
		bench_fail("events: %s", libusb_strerror(r));
}

static uint64_t
run(struct bare *bare, uint64_t ns)
{
	uint64_t start = bench_now_ns(), elapsed;

	bare->done = 0;
	bare->running = true;
	for (unsigned i = 0; i < bare->depth; i++)
		submit(bare, bare->transfers[i]);
	do {
		handle(bare);
		elapsed = bench_now_ns() - start;
	} while (elapsed < ns);
	bare->running = false;
	while (bare->in_flight > 0)
		handle(bare);
	return elapsed;
}

int
main(int argc, char **argv)
{
	struct bare bare = { 0 };
	struct bench_options options;
	unsigned vendor, product;
	uint64_t ns, transfers = 0;
	char line[256];

	bench_options(&argc, argv, &options);
	bare.depth = (unsigned)bench_option_number(&argc, argv, "--depth", 1);
	bare.bytes = options.bytes ? (unsigned)options.bytes : 16384;
	if (argc < 2 || sscanf(argv[1], "%x:%x", &vendor, &product) != 2 || bare.depth < 1 || bare.depth > MAX_DEPTH)
		bench_fail("usage: bare_libusb VENDOR:PRODUCT [--bytes N] [--depth D]");
	open_device(&bare, vendor, product);
	bench_pin(BENCH_CLIENT, &options);
	(void)run(&bare, WARM_UP_NS);
	printf("ready\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "slice %" SCNu64, &ns) == 1) {
			uint64_t cpu = bench_cpu_self_ns(), elapsed = run(&bare, ns), done = bare.done;

			transfers += done;
			printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " 0\n", done, elapsed, bench_cpu_self_ns() - cpu);
		} else if (strcmp(line, "counters\n") == 0) {
			printf("{\"operations\": %" PRIu64 ", \"bytes\": %" PRIu64 "}\n", transfers, transfers * bare.bytes);
		} else {
			bench_fail("%.*s: no such command", (int)strcspn(line, "\n"), line);
		}
		(void)fflush(stdout);
	}
	return 0;
}
