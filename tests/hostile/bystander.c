/* SPDX-License-Identifier: MIT */
/* hostile-bystander SERVICE [PAUSE_US]: an honest client of SERVICE (examples/01-echo, or the driver here), through libIOKit.
 *
 * It calls without end, checks every answer, and looks the service up and opens it anew now and then. A line on standard input
 * names what is going on from then on ("quiet", "attack"); "end" or the end of the input ends it. It prints one JSON object then:
 * calls, wrong, reopened, refused by phase, and the latencies of its calls as percentiles. A service that is gone is waited for: that is
 * counted as "gone", and is wrong unless the phase allows it (its name begins with "kill"). */

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ambidext/realm.h>

#define PHASES   8
#define BUCKETS  2000
#define REOPEN   512 /* calls */

struct phase {
	char name[32];
	uint64_t calls, wrong, gone, reopened;
	char complaint[160];
	uint64_t buckets[BUCKETS]; /* of latencies, 1.01 apart from 1 us on */
};

static struct phase phases[PHASES];
static unsigned n_phases = 1;
static struct phase *now_in = &phases[0];

static uint64_t
now_ns(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void
note(uint64_t ns)
{
	double at = 1000;
	unsigned i = 0;

	while (at < (double)ns && i < BUCKETS - 1) {
		at *= 1.01;
		i++;
	}
	now_in->buckets[i]++;
}

static double
percentile_us(const struct phase *phase, double share)
{
	uint64_t sum = 0, all = 0;
	double at = 1;

	for (unsigned i = 0; i < BUCKETS; i++)
		all += phase->buckets[i];
	for (unsigned i = 0; i < BUCKETS; i++, at *= 1.01) {
		sum += phase->buckets[i];
		if ((double)sum >= share * (double)all && all > 0)
			return at;
	}
	return 0;
}

static void
complain(const char *what, kern_return_t ret)
{
	now_in->wrong++;
	if (!*now_in->complaint)
		(void)snprintf(now_in->complaint, sizeof now_in->complaint, "%s: %#x %s", what, (unsigned)ret, mach_error_string(ret));
}

static io_connect_t
connect_to(const char *name)
{
	io_connect_t connection = IO_OBJECT_NULL;

	for (unsigned i = 0; i < 4000; i++) {
		io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(name));
		kern_return_t ret = service ? IOServiceOpen(service, mach_task_self(), 0, &connection) : kIOReturnNotFound;

		if (service)
			(void)IOObjectRelease(service);
		if (ret == kIOReturnSuccess)
			return connection;
		now_in->gone++;
		(void)usleep(5000);
	}
	return IO_OBJECT_NULL;
}

/* True: the connection is to be made anew. */
static bool
call(io_connect_t connection, uint64_t n)
{
	uint64_t input[2] = { n, 3 * n }, output = 0, before = now_ns();
	uint8_t in[256], out[256];
	size_t size = sizeof out;
	uint32_t count = 1;
	kern_return_t ret;

	now_in->calls++;
	if (n % 2) {
		ret = IOConnectCallScalarMethod(connection, 1, input, 2, &output, &count);
		note(now_ns() - before);
		if (ret == kIOReturnSuccess && (output != 4 * n || count != 1))
			complain("a wrong sum", ret);
	} else {
		memset(in, (int)n, sizeof in);
		ret = IOConnectCallStructMethod(connection, 0, in, sizeof in, out, &size);
		note(now_ns() - before);
		if (ret == kIOReturnSuccess && (size != sizeof in || memcmp(in, out, size) != 0))
			complain("a wrong structure", ret);
	}
	if (ret == kIOReturnSuccess)
		return false;
	if (strncmp(now_in->name, "kill", 4) != 0)
		complain("a call", ret);
	now_in->gone++;
	return true;
}

/* False: the end. */
static bool
listen_for_phase(void)
{
	struct pollfd fd = { .fd = 0, .events = POLLIN };
	static char line[64];
	unsigned i;

	if (poll(&fd, 1, 0) <= 0)
		return true;
	for (i = 0; i < sizeof line - 1; i++)
		if (read(0, &line[i], 1) != 1 || line[i] == '\n')
			break;
	line[i] = '\0';
	if (i == 0 || !strcmp(line, "end"))
		return false;
	for (i = 0; i < n_phases && strcmp(phases[i].name, line) != 0; i++)
		;
	if (i == n_phases && n_phases < PHASES)
		(void)snprintf(phases[n_phases++].name, sizeof phases[0].name, "%.31s", line);
	if (i < PHASES)
		now_in = &phases[i];
	printf("%s\n", line);
	(void)fflush(stdout);
	return true;
}

static void
report(void)
{
	printf("{");
	for (unsigned i = 0; i < n_phases; i++)
		printf("%s\"%s\": {\"calls\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"gone\": %" PRIu64 ", \"reopened\": %" PRIu64
		       ", \"p50\": %.2f, \"p99\": %.2f, \"max\": %.2f, \"complaint\": \"%s\"}",
		       i ? ", " : "", phases[i].name, phases[i].calls, phases[i].wrong, phases[i].gone, phases[i].reopened,
		       percentile_us(&phases[i], 0.5), percentile_us(&phases[i], 0.99), percentile_us(&phases[i], 1), phases[i].complaint);
	printf("}\n");
}

int
main(int argc, char **argv)
{
	const unsigned pause_us = argc > 2 ? (unsigned)atoi(argv[2]) : 200;
	io_connect_t connection;

	if (argc < 2) {
		fprintf(stderr, "usage: hostile-bystander SERVICE [PAUSE_US]\n");
		return 2;
	}
	(void)snprintf(phases[0].name, sizeof phases[0].name, "start");
	connection = connect_to(argv[1]);
	for (uint64_t n = 1; listen_for_phase(); n++) {
		bool again = !connection || call(connection, n);

		if (again || n % REOPEN == 0) {
			if (connection)
				(void)IOServiceClose(connection);
			connection = connect_to(argv[1]);
			if (!connection)
				complain("the service does not come back", kIOReturnNotFound);
			now_in->reopened++;
		}
		if (pause_us)
			(void)usleep(pause_us);
	}
	report();
	return 0;
}
