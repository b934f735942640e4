/* SPDX-License-Identifier: MIT */
/* Exactly so many calls (--calls N; --bytes: a structure in and out, else null), or completions in
 * a stream (--events N), and what can be counted of them without a clock: how often each side went
 * to sleep, how many pages it was given. No subject of the runner: valgrind runs it, and the tests
 * of wakes and of large structures.
 *
 * --most N: end with 1 if a side slept more often than N times in a thousand calls.
 * --most-faults N: the same for pages. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"
#include "proc.h"

#define WARM_UP_CALLS 200u
/* As many completions at a time as other subjects ask for. */
#define AT_A_TIME 2000u

struct count {
	struct bench_client client;
	IONotificationPortRef port; /* owned; NULL: no completions */
	uint64_t next, wanted, lost;
	uint8_t *request, *reply; /* owned */
};

static void
echo(struct count *count)
{
	size_t bytes = count->client.options.bytes, size = bytes;

	count->request[count->next++ % bytes]++;
	bench_expect(IOConnectCallStructMethod(count->client.connection, kBenchEcho, count->request,
					       bytes, count->reply, &size),
		     "kBenchEcho");
	if (size != bytes || memcmp(count->request, count->reply, bytes) != 0)
		bench_fail("a reply is not what was sent");
}

static void
call(struct count *count, uint64_t n)
{
	for (uint64_t i = 0; i < n && count->client.options.bytes > 0; i++)
		echo(count);
	for (uint64_t i = 0; i < n && count->client.options.bytes == 0; i++)
		bench_expect(IOConnectCallScalarMethod(count->client.connection, kBenchNull, NULL,
						       0, NULL, NULL),
			     "kBenchNull");
}

static void
event(void *refcon, IOReturn result, void *arg0, void *arg1)
{
	struct count *count = refcon;

	count->lost += (uintptr_t)arg0 != count->next;
	if (++count->next == count->wanted)
		CFRunLoopStop(CFRunLoopGetCurrent());
}

static void
receive(struct count *count, uint64_t n)
{
	while (n > 0) {
		uint64_t part = n < AT_A_TIME ? n : AT_A_TIME;
		count->next = 0;
		count->wanted = part;
		bench_expect(bench_call_async(&count->client, count->port, kBenchStream, event,
					      count, &part, 1),
			     "kBenchStream");
		while (count->next < part)
			if (bench_run_loop() < 0)
				bench_fail("%" PRIu64 " completions did not come",
					   part - count->next);
		n -= part;
	}
}

/* Of the calling thread: the client has no other. */
static uint64_t
client_sleeps(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_nvcsw;
}

static uint64_t
driver_sleeps(const struct count *count)
{
	struct proc_switches switches = { 0 };

	if (proc_switches(count->client.driver, &switches) < 0)
		bench_fail("the driver is gone");
	return switches.voluntary;
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct count count = { 0 };
	uint64_t calls, events, most, most_faults, client, driver, client_faults, driver_faults;

	bench_enter_realm(argv, NULL);
	bench_options(&argc, argv, &options);
	calls = bench_option_number(&argc, argv, "--calls", 0);
	events = bench_option_number(&argc, argv, "--events", 0);
	most = bench_option_number(&argc, argv, "--most", UINT64_MAX);
	most_faults = bench_option_number(&argc, argv, "--most-faults", UINT64_MAX);
	bench_no_more_options(argc, argv);
	bench_client_open(&count.client, &options);
	count.request = calloc(1, options.bytes + 1);
	count.reply = calloc(1, options.bytes + 1);
	if (!count.request || !count.reply)
		bench_fail("no memory");
	if (events > 0)
		count.port = bench_port();
	call(&count, WARM_UP_CALLS);
	client_faults = proc_faults(getpid());
	driver_faults = proc_faults(count.client.driver);
	client = client_sleeps();
	driver = driver_sleeps(&count);
	call(&count, calls);
	receive(&count, events);
	client = client_sleeps() - client;
	driver = driver_sleeps(&count) - driver;
	client_faults = proc_faults(getpid()) - client_faults;
	driver_faults = proc_faults(count.client.driver) - driver_faults;
	printf("{\"calls\": %" PRIu64 ", \"events\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"client_sleeps\": %" PRIu64 ", \"driver_sleeps\": %" PRIu64
	       ", \"client_faults\": %" PRIu64 ", \"driver_faults\": %" PRIu64 "}\n",
	       calls, events, count.lost, client, driver, client_faults, driver_faults);
	IOServiceClose(count.client.connection);
	free(count.request);
	free(count.reply);
	if (count.lost > 0)
		return 1;
	if (most != UINT64_MAX && (client * 1000 > most * calls || driver * 1000 > most * calls)) {
		printf("more than %" PRIu64 " sleeps in 1000 calls: one wake each way is wanted\n",
		       most);
		return 1;
	}
	if (most_faults != UINT64_MAX && (client_faults * 1000 > most_faults * calls ||
					  driver_faults * 1000 > most_faults * calls)) {
		printf("more than %" PRIu64
		       " pages in 1000 calls: buffers are to be known and mapped once\n",
		       most_faults);
		return 1;
	}
	return 0;
}
