/* SPDX-License-Identifier: MIT */
/* hangs: a method that does not return, a process that is stopped, and those that only look so.
 *
 * Runs in a realm with a hang limit of 100 ms and a kill limit of 500 ms. */

#include <mach/mig_errors.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

struct caller {
	io_connect_t connection;
	enum ending_way way;
	uint64_t argument;
	kern_return_t ret;
	unsigned n_returned;
	pthread_t thread;
};

static unsigned n_hangs, n_died, n_back, n_spared;

static void *
call(void *userdata)
{
	struct caller *caller = userdata;

	caller->ret = end_now(caller->connection, caller->way, caller->argument);
	caller->n_returned++;
	return NULL;
}

/* The driver hangs: a caller in the method, one behind it in the queue, and one of another connection. */
static void
hang(enum ending_way way, const char *rule, const char *said, uint64_t *last_id)
{
	uint64_t id = 0, after = last_incident();
	io_service_t service = wait_service(*last_id, &id);
	io_connect_t connections[2] = { open_service(service), open_service(service) };
	struct caller callers[] = { { connections[0], way, 0, 0, 0, 0 },
				    { connections[0], kWaySlow, 0, 0, 0, 0 },
				    { connections[1], kWaySlow, 0, 0, 0, 0 } };
	CFDictionaryRef incident;
	char text[512];

	IOObjectRelease(service);
	/* The first is in the method before the others come, so that all three wait for the one. */
	for (size_t i = 0; i < 3; i++) {
		if (pthread_create(&callers[i].thread, NULL, call, &callers[i]))
			failed("no thread");
		while (i == 0 && !log_contains(rule))
			(void)usleep(1000);
	}
	incident = wait_incident(after);
	for (size_t i = 0; i < 3; i++)
		(void)pthread_join(callers[i].thread, NULL);
	n_hangs++;
	if (strcmp(text_at(incident, "how", text, sizeof text), "hang") != 0)
		failed("dextd calls it '%s'", text);
	if (!strstr(text_at(incident, "text", text, sizeof text), said))
		failed("the incident does not say '%s' but '%s'", said, text);
	CFRelease(incident);
	if (!log_contains("[SUP004]"))
		failed("nobody says that it was killed");
	for (size_t i = 0; i < 3; i++) {
		/* A user client has a queue of its own: one that hangs in a method does not keep another's callers. */
		kern_return_t wanted = i == 2 && way == kWayHang ? kIOReturnSuccess : MIG_SERVER_DIED;
		if (callers[i].n_returned != 1 || callers[i].ret != wanted)
			failed("caller %zu returned %u times, with %#x", i, callers[i].n_returned, (unsigned)callers[i].ret);
		n_died += wanted == MIG_SERVER_DIED;
	}
	service = wait_service(id, last_id);
	*last_id = id;
	IOObjectRelease(service);
	n_back++;
	(void)IOServiceClose(connections[0]);
	(void)IOServiceClose(connections[1]);
}

/* Longer than the limit, not as long as the second. */
static void
spared(enum ending_way way, uint64_t argument, const char *rule, uint64_t *last_id)
{
	uint64_t id = 0, after = last_incident();
	io_service_t service = wait_service(*last_id, &id);
	io_connect_t connection = open_service(service);
	struct caller caller = { connection, way, argument, 0, 0, 0 };
	kern_return_t ret;

	IOObjectRelease(service);
	if (pthread_create(&caller.thread, NULL, call, &caller))
		failed("no thread");
	while (!log_contains(rule))
		(void)usleep(1000);
	if (way == kWayStop && kill(driver_pid(), SIGCONT) < 0)
		failed("the driver is gone");
	(void)pthread_join(caller.thread, NULL);
	if (caller.ret != kIOReturnSuccess || ping(connection, &ret) != 1)
		failed("a driver that goes on answers %#x", (unsigned)caller.ret);
	if (last_incident() != after)
		failed("a driver that goes on is an incident");
	(void)IOServiceClose(connection);
	n_spared++;
}

int
main(int argc, char **argv)
{
	uint64_t last_id = 0;

	if (argc != 2)
		failed("which: method, stopped, slow or continued");
	if (strcmp(argv[1], "method") == 0)
		hang(kWayHang, "[SUP001]", "selector 1 of a EndingUserClient", &last_id);
	else if (strcmp(argv[1], "stopped") == 0)
		hang(kWayStop, "[SUP002]", "stopped (SIGSTOP)", &last_id);
	else if (strcmp(argv[1], "slow") == 0)
		spared(kWaySlow, 400, "[SUP001]", &last_id);
	else if (strcmp(argv[1], "continued") == 0)
		spared(kWayStop, 0, "[SUP002]", &last_id);
	printf("%s: %u hangs, %u calls answered MIG_SERVER_DIED once, %u drivers back, %u spared\n", argv[1], n_hangs, n_died, n_back,
	       n_spared);
	return n_hangs + n_spared == 1 && (n_hangs == 0 || n_died >= 2) && n_back == n_hangs ? 0 : 1;
}
