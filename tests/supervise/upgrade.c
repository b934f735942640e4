/* SPDX-License-Identifier: MIT */
/* upgrade ROUNDS V1 V2 CRASHES BROKEN: a driver is replaced again and again while clients call it.
 *
 * Runs in a realm with V1 loaded. Every call returns once, with success or with a dead driver's code; every upgrade is followed by
 * the version that it named. CRASHES is a version whose Start crashes, BROKEN one that cannot be loaded. */

#include <mach/mig_errors.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define N_CALLERS 3

static _Atomic bool stopping;
static _Atomic uint64_t n_ok, n_died, n_gone, n_not_ready, n_opens, n_refused, n_reopened;

static io_connect_t
open_any(void)
{
	io_connect_t connection = IO_OBJECT_NULL;
	io_service_t service;
	uint64_t id;

	while (!stopping) {
		service = wait_service(0, &id);
		kern_return_t ret = IOServiceOpen(service, mach_task_self(), 0, &connection);
		IOObjectRelease(service);
		if (ret == kIOReturnSuccess) {
			n_opens++;
			return connection;
		}
		/* It went between lookup and open. */
		if (ret != MACH_SEND_INVALID_DEST && ret != kIOReturnOffline && ret != kIOReturnNotReady && ret != MIG_SERVER_DIED)
			failed("IOServiceOpen answers %#x", (unsigned)ret);
		n_refused++;
	}
	return IO_OBJECT_NULL;
}

static void *
call_on(void *unused)
{
	io_connect_t connection = open_any();

	while (!stopping) {
		kern_return_t ret;
		uint64_t version = ping(connection, &ret);
		if (ret == kIOReturnSuccess && (version == 1 || version == 2)) {
			n_ok++;
			continue;
		}
		if (ret == MIG_SERVER_DIED)
			n_died++;
		else if (ret == MACH_SEND_INVALID_DEST)
			n_gone++;
		else if (ret == kIOReturnNotReady)
			n_not_ready++;
		else
			failed("a call answers %#x, version %llu", (unsigned)ret, (unsigned long long)version);
		(void)IOServiceClose(connection);
		connection = open_any();
		n_reopened++;
	}
	if (connection != IO_OBJECT_NULL)
		(void)IOServiceClose(connection);
	return NULL;
}

/* Version that runs, and its entry. */
static uint64_t
running(uint64_t *ret_id)
{
	io_service_t service = wait_service(0, ret_id);
	io_connect_t connection = open_service(service);
	kern_return_t ret;
	uint64_t version = ping(connection, &ret);

	IOObjectRelease(service);
	(void)IOServiceClose(connection);
	return version;
}

static bool
upgrade(const char *path, char *problem, size_t size)
{
	CFStringRef string = CFStringCreateWithCString(NULL, path, kCFStringEncodingUTF8), id = NULL;
	CFArrayRef problems = NULL;
	kern_return_t ret = adx_bundle_upgrade(string, &id, &problems);

	problem[0] = '\0';
	if (problems && CFArrayGetCount(problems) > 0)
		(void)snprintf(problem, size, "%s",
			       CFStringGetCStringPtr(CFArrayGetValueAtIndex(problems, CFArrayGetCount(problems) - 1), kCFStringEncodingUTF8));
	if (problems)
		CFRelease(problems);
	if (id)
		CFRelease(id);
	CFRelease(string);
	return ret == kIOReturnSuccess;
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc == 6 ? (unsigned)strtoul(argv[1], NULL, 10) : 0, n_upgrades = 0;
	pthread_t callers[N_CALLERS];
	uint64_t id = 0, before = 0;
	char problem[1024];

	if (rounds == 0)
		failed("ROUNDS V1 V2 CRASHES BROKEN");
	for (unsigned i = 0; i < N_CALLERS; i++)
		if (pthread_create(&callers[i], NULL, call_on, NULL))
			failed("no thread");
	for (unsigned i = 0; i < rounds; i++) {
		unsigned wanted = i % 2 ? 1 : 2;
		uint64_t n_before = n_ok;
		if (!upgrade(argv[wanted + 1], problem, sizeof problem))
			failed("upgrade %u: %s", i, problem);
		if (running(&id) != wanted)
			failed("version %u does not run after it was upgraded to", wanted);
		while (n_ok < n_before + N_CALLERS) /* the callers are back */
			(void)running(&id);
		n_upgrades++;
	}
	/* The last one was version 1 or 2: it comes back. */
	unsigned last = rounds % 2 ? 2 : 1;
	if (upgrade(argv[4], problem, sizeof problem))
		failed("a version whose Start crashes counts as upgraded to");
	if (!strstr(problem, "[SUP005]") && !strstr(problem, "is back"))
		failed("the rollback says '%s'", problem);
	if (running(&id) != last)
		failed("the old version is not back");
	if (upgrade(argv[5], problem, sizeof problem) || !problem[0])
		failed("a broken bundle counts as upgraded to");
	if (running(&before) != last || before != id)
		failed("a broken bundle touches the version that runs");
	stopping = true;
	for (unsigned i = 0; i < N_CALLERS; i++)
		(void)pthread_join(callers[i], NULL);
	printf("%u upgrades, 1 rollback, 1 refusal; %llu calls succeeded, %llu MIG_SERVER_DIED, %llu MACH_SEND_INVALID_DEST, %llu NotReady; "
	       "%llu opens, %llu too late, %llu reopened\n", n_upgrades, (unsigned long long)n_ok, (unsigned long long)n_died,
	       (unsigned long long)n_gone, (unsigned long long)n_not_ready, (unsigned long long)n_opens, (unsigned long long)n_refused,
	       (unsigned long long)n_reopened);
	return n_upgrades == rounds && n_ok > 0 && n_reopened >= rounds ? 0 : 1;
}
