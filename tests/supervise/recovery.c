/* SPDX-License-Identifier: MIT */
/* recovery crash N | hang N LIMIT_MS | stream PAIRS SECONDS: figures of recovery, one JSON object a line (tests/soak/run). */

#include <mach/mig_errors.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Nearest rank; sorts. */
static double
percentile(double *values, size_t n, double p)
{
	size_t rank = (size_t)(p / 100.0 * (double)n + 0.999999);

	qsort(values, n, sizeof *values, compare);
	return values[rank < 1 ? 0 : rank > n ? n - 1 : rank - 1];
}

/* For information: no bar. */
static void
note(const char *id, const char *measure, double value, const char *unit, const char *counters)
{
	printf("{\"id\": \"%s\", \"measure\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"op\": \"<\", \"bar\": null, \"counters\": {%s}}\n", id,
	       measure, value, unit, counters);
}

static void
figure(const char *id, const char *measure, double value, const char *unit, const char *op, double bar, const char *counters)
{
	printf("{\"id\": \"%s\", \"measure\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"op\": \"%s\", \"bar\": %g, \"counters\": {%s}}\n", id,
	       measure, value, unit, op, bar, counters);
	(void)fflush(stdout);
}

/* ---- R4, R5 ---- */

static void
crash(unsigned n)
{
	double *noticed = calloc(n, sizeof *noticed), *back = calloc(n, sizeof *back);
	uint64_t id = 0, incident_id = last_incident();
	io_service_t service = wait_service(0, &id);
	unsigned n_noticed = 0, n_back = 0, n_wrong = 0;
	char counters[160];

	for (unsigned i = 0; i < n; i++) {
		io_connect_t connection = open_service(service);
		pid_t pid = driver_pid();
		CFDictionaryRef incident;
		kern_return_t ret;
		uint64_t at;

		if (ping(connection, &ret) != 1 || pid <= 0)
			failed("the driver does not answer: %#x", (unsigned)ret);
		IOObjectRelease(service);
		at = now_ns();
		if (kill(pid, SIGKILL) < 0)
			failed("the driver is gone");
		service = wait_service(id, &id);
		back[n_back++] = (double)(now_ns() - at) / 1e6;
		incident = wait_incident(incident_id);
		incident_id = (uint64_t)number_at(incident, "id");
		noticed[n_noticed++] = (double)((uint64_t)number_at(incident, "noticed") - at) / 1e6;
		CFRelease(incident);
		(void)ping(connection, &ret);
		n_wrong += ret != MIG_SERVER_DIED && ret != MACH_SEND_INVALID_DEST;
		(void)IOServiceClose(connection);
		if ((i + 1) % 100 == 0)
			fprintf(stderr, "recovery: %u of %u kills\n", i + 1, n);
	}
	(void)snprintf(counters, sizeof counters, "\"kills\": %u, \"noticed\": %u, \"republished\": %u, \"wrong codes\": %u", n, n_noticed,
		       n_back, n_wrong);
	if (n_wrong)
		failed("%u callers got another code than that of a dead driver", n_wrong);
	note("R4", "SIGKILL to noticed by dextd, p50", percentile(noticed, n_noticed, 50), "ms", counters);
	figure("R4", "SIGKILL to noticed by dextd, p99", percentile(noticed, n_noticed, 99), "ms", "<", 1, counters);
	figure("R5", "SIGKILL to republished, p50", percentile(back, n_back, 50), "ms", "<", 20, counters);
	figure("R5", "SIGKILL to republished, p99", percentile(back, n_back, 99), "ms", "<", 100, counters);
	IOObjectRelease(service);
	free(noticed);
	free(back);
}

/* ---- R6 ---- */

/* Wall time of the last line that begins with @p rule, 0: there is none. */
static uint64_t
told_at(const char *rule, unsigned *ret_n)
{
	uint64_t after = 0, next = 0, at = 0;
	char line[4096];

	*ret_n = 0;
	do {
		CFArrayRef lines = NULL;
		after = next;
		if (adx_copy_log(after, NULL, &lines, &next) != kIOReturnSuccess)
			failed("dextd does not answer");
		for (CFIndex i = 0; i < CFArrayGetCount(lines); i++) {
			CFDictionaryRef dict = CFArrayGetValueAtIndex(lines, i);
			if (strncmp(text_at(dict, "text", line, sizeof line), rule, strlen(rule)) != 0)
				continue;
			at = (uint64_t)number_at(dict, "time");
			(*ret_n)++;
		}
		CFRelease(lines);
	} while (next != after);
	return at;
}

static void
hang(unsigned n, unsigned limit_ms)
{
	double *late = calloc(n, sizeof *late);
	unsigned n_told = 0, n_died = 0;
	uint64_t id = 0;
	char measure[96], counters[96];

	for (unsigned i = 0; i < n; i++) {
		io_service_t service = wait_service(id, &id);
		io_connect_t connection = open_service(service);
		struct timespec begin;
		const char *rule = i % 2 ? "[SUP002]" : "[SUP001]";
		unsigned before, after;

		IOObjectRelease(service);
		(void)told_at(rule, &before);
		(void)clock_gettime(CLOCK_REALTIME, &begin);
		n_died += end_now(connection, i % 2 ? kWayStop : kWayHang, 0) == MIG_SERVER_DIED;
		late[i] = ((double)told_at(rule, &after) - ((double)begin.tv_sec * 1e9 + (double)begin.tv_nsec)) / 1e6 - limit_ms;
		n_told += after == before + 1;
		(void)IOServiceClose(connection);
	}
	if (n_told != n || n_died != n)
		failed("%u hangs, %u told, %u callers got MIG_SERVER_DIED", n, n_told, n_died);
	(void)snprintf(measure, sizeof measure, "hang noticed, after a limit of %u ms, at most", limit_ms);
	(void)snprintf(counters, sizeof counters, "\"hangs\": %u, \"told\": %u, \"callers ended\": %u", n, n_told, n_died);
	figure("R6", measure, percentile(late, n, 100), "ms", "<=", 1000, counters);
	free(late);
}

/* ---- R7 ---- */

static _Atomic bool killing;
static _Atomic unsigned n_kills;

static void *
kill_every_2_s(void *unused)
{
	struct timespec next;

	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	next.tv_sec += 1; /* in the middle */
	while (killing) {
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		next.tv_sec += 2;
		pid_t pid = killing ? driver_pid() : 0;
		if (pid > 0 && kill(pid, SIGKILL) == 0)
			n_kills++;
	}
	return NULL;
}

/* Calls that succeeded within @p seconds; a client that opens the driver anew whenever it is gone. */
static uint64_t
stream(unsigned seconds, unsigned *ret_recoveries)
{
	uint64_t end = now_ns() + seconds * 1000000000ull, n = 0, id = 0, last_id = 0;
	io_connect_t connection = IO_OBJECT_NULL;
	kern_return_t ret = kIOReturnSuccess;

	*ret_recoveries = 0;
	while (now_ns() < end) {
		if (connection == IO_OBJECT_NULL) {
			io_service_t service = wait_service(last_id, &id);
			if (IOServiceOpen(service, mach_task_self(), 0, &connection) != kIOReturnSuccess)
				connection = IO_OBJECT_NULL; /* it was killed meanwhile */
			IOObjectRelease(service);
			continue;
		}
		if (ping(connection, &ret) == 1) {
			n++;
			continue;
		}
		if (ret != MIG_SERVER_DIED && ret != MACH_SEND_INVALID_DEST)
			failed("a killed driver's caller gets %#x", (unsigned)ret);
		(void)IOServiceClose(connection);
		connection = IO_OBJECT_NULL;
		last_id = id;
		(*ret_recoveries)++;
	}
	if (connection != IO_OBJECT_NULL)
		(void)IOServiceClose(connection);
	return n;
}

/* Plain and killed by turns, so that what else the machine does meets both. */
static void
streams(unsigned pairs, unsigned seconds)
{
	uint64_t plain = 0, killed = 0;
	unsigned recoveries = 0, now = 0;
	char counters[160];
	pthread_t killer;

	for (unsigned i = 0; i < pairs; i++) {
		plain += stream(seconds, &now);
		if (now)
			failed("a driver that nobody killed ended");
		killing = true;
		if (pthread_create(&killer, NULL, kill_every_2_s, NULL))
			failed("no thread");
		killed += stream(seconds, &now);
		recoveries += now;
		killing = false;
		(void)pthread_join(killer, NULL);
		fprintf(stderr, "recovery: %u of %u pairs, %llu calls plain, %llu killed\n", i + 1, pairs, (unsigned long long)plain,
			(unsigned long long)killed);
	}
	if (recoveries == 0 || recoveries > n_kills)
		failed("%u kills, %u recoveries", n_kills, recoveries);
	(void)snprintf(counters, sizeof counters, "\"calls plain\": %llu, \"calls killed\": %llu, \"kills\": %u, \"recoveries\": %u",
		       (unsigned long long)plain, (unsigned long long)killed, n_kills, recoveries);
	figure("R7", "throughput lost, the driver killed every 2 s", 100.0 * (1.0 - (double)killed / (double)plain), "%", "<=", 10, counters);
}

int
main(int argc, char **argv)
{
	unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0, more = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;

	if (n > 0 && strcmp(argv[1], "crash") == 0)
		crash(n);
	else if (n > 0 && more > 0 && strcmp(argv[1], "hang") == 0)
		hang(n, more);
	else if (n > 0 && more > 0 && strcmp(argv[1], "stream") == 0)
		streams(n, more);
	else
		failed("crash N | hang N LIMIT_MS | stream PAIRS SECONDS");
	return 0;
}
