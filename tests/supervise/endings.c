/* SPDX-License-Identifier: MIT */
/* endings [WAY...]: each kind of end, once: what the caller gets, what dextd calls it, that the driver is back.
 *
 * Runs in a realm whose restart policy is at-once. Prints a line for each: "WAY INCIDENT HOW SIGNAL". */

#include <mach/mig_errors.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static const struct {
	const char *name;
	enum ending_way way;
	uint64_t argument;
	const char *how;
	int signal;
} ways[] = {
	{ "null", kWayNull, 0, "crash", SIGSEGV },
	{ "abort", kWayAbort, 0, "abort", SIGABRT },
	{ "exit", kWayExit, 3, "exit", 0 },
	{ "exit0", kWayExit, 0, "exit", 0 },
	{ "memory", kWayMemory, 0, "memory", SIGSEGV },
	{ "overflow", kWayOverflow, 0, "crash", SIGSEGV },
	{ "heap", kWayHeap, 0, "abort", SIGABRT },
	{ "wild", kWayWild, 0, "crash", SIGSEGV },
	{ "jump", kWayJump, 0, "crash", SIGSEGV },
	{ "kill", kWayKill, 0, "killed", SIGKILL },
};
static unsigned n_ends, n_died, n_bystanders, n_back, n_incidents, n_kills_only;

static bool
is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

static void
run(size_t i, uint64_t *last_id)
{
	uint64_t id = 0, incident_id = last_incident();
	io_service_t service = wait_service(*last_id, &id);
	io_connect_t connection = open_service(service), bystander = open_service(service);
	CFDictionaryRef incident;
	char how[32], folder[512];
	kern_return_t ret, second;

	if (ping(connection, &ret) != 1 || ping(bystander, &ret) != 1)
		failed("%s: the driver does not answer before it ends: %#x", ways[i].name, (unsigned)ret);
	n_ends++;
	ret = end_now(connection, ways[i].way, ways[i].argument);
	if (ret != MIG_SERVER_DIED)
		failed("%s: the call that was under way answers %#x", ways[i].name, (unsigned)ret);
	n_died++;
	/* Whoever was not calling: the first call may have been on its way, the second was not. */
	(void)ping(bystander, &ret);
	(void)ping(bystander, &second);
	if (ret != MIG_SERVER_DIED || second != MACH_SEND_INVALID_DEST)
		failed("%s: another connection answers %#x, then %#x", ways[i].name, (unsigned)ret, (unsigned)second);
	(void)IOServiceClose(bystander);
	n_bystanders++;
	/* Back, as another service. */
	IOObjectRelease(service);
	service = wait_service(id, last_id);
	(void)IOServiceClose(connection);
	connection = open_service(service);
	if (ping(connection, &ret) != 1)
		failed("%s: its successor answers %#x", ways[i].name, (unsigned)ret);
	n_back++;
	incident = wait_incident(incident_id);
	text_at(incident, "how", how, sizeof how);
	if (strcmp(how, ways[i].how) != 0 || number_at(incident, "signal") != ways[i].signal)
		failed("%s: dextd calls it '%s', signal %d, and not '%s', signal %d", ways[i].name, how,
		       (int)number_at(incident, "signal"), ways[i].how, ways[i].signal);
	/* What the driver did not do itself leaves nothing to look at. */
	if ((*text_at(incident, "folder", folder, sizeof folder) != '\0') == (ways[i].way == kWayKill))
		failed("%s: its folder is '%s'", ways[i].name, folder);
	if (*folder) {
		printf("%s %d %s %d\n", ways[i].name, (int)number_at(incident, "id"), how, ways[i].signal);
		n_incidents++;
	} else {
		n_kills_only++;
	}
	CFRelease(incident);
	(void)IOServiceClose(connection);
	IOObjectRelease(service);
	*last_id = id;
}

/* A sanitizer's line from a driver that goes on: the client notices nothing. */
static int
report(void)
{
	uint64_t id = 0, after = last_incident();
	io_service_t service = wait_service(0, &id);
	io_connect_t connection = open_service(service);
	CFDictionaryRef incident;
	kern_return_t ret;
	char how[32];

	if (end_now(connection, kWayReport, 0) != kIOReturnSuccess || ping(connection, &ret) != 1)
		failed("a driver that only reported something does not go on");
	incident = wait_incident(after);
	if (strcmp(text_at(incident, "how", how, sizeof how), "report") != 0)
		failed("a report is called '%s'", how);
	printf("1 report of a driver that lives\n");
	CFRelease(incident);
	(void)IOServiceClose(connection);
	IOObjectRelease(service);
	return 0;
}

int
main(int argc, char **argv)
{
	uint64_t last_id = 0;

	if (argc == 2 && strcmp(argv[1], "report") == 0)
		return report();
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (is_wanted(ways[i].name, argc, argv))
			run(i, &last_id);
	printf("%u ends: %u calls answered MIG_SERVER_DIED, %u bystanders that and then MACH_SEND_INVALID_DEST, %u drivers back, "
	       "%u incidents, %u kills\n", n_ends, n_died, n_bystanders, n_back, n_incidents, n_kills_only);
	return n_ends > 0 && n_died == n_ends && n_back == n_ends && n_incidents + n_kills_only == n_ends ? 0 : 1;
}
