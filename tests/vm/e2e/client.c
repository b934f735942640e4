/* SPDX-License-Identifier: MIT */
/*
 * e2e_client source|loopback|stick PRODUCT OFF ON
 *
 * A real device's driver, through IOKit: dextd, usbhost, libusb, the driver in gadget/ or stick/, and this client.
 * OFF and ON are the commands that unplug and plug the device.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct client client;

static time_t
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

bool
client_wait(const volatile unsigned *counter, unsigned wanted)
{
	time_t end = now_s() + LIMIT_S;

	while (*counter < wanted && now_s() < end)
		CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1, true);
	return *counter >= wanted;
}

bool
client_wait_ending(struct ending *ending)
{
	time_t end = now_s() + LIMIT_S;

	while (!ending->done && now_s() < end)
		CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1, true);
	return ending->done;
}

void
client_check(kern_return_t ret, kern_return_t wanted, const char *what)
{
	if (ret == wanted)
		return;
	fail_msg("%s is %s (%#x), not %#x. %s", what, mach_error_string(ret), (unsigned) ret, (unsigned) wanted,
		 adx_last_explanation());
}

static void
ended(void *refcon, IOReturn status, void **words, uint32_t n)
{
	struct ending *ending = refcon;

	assert_false(ending->done); /* a completion comes once */
	ending->done = true;
	ending->status = status;
	ending->n_words = n;
	for (uint32_t i = 0; i < n; i++)
		ending->words[i] = (uint64_t) (uintptr_t) words[i];
}

kern_return_t
client_async(uint32_t selector, const uint64_t *scalars, uint32_t n, struct ending *ending)
{
	uint64_t reference[kIOAsyncCalloutCount] = { 0 };

	memset(ending, 0, sizeof *ending);
	reference[kIOAsyncCalloutFuncIndex] = (uint64_t) (uintptr_t) ended;
	reference[kIOAsyncCalloutRefconIndex] = (uint64_t) (uintptr_t) ending;
	return IOConnectCallAsyncScalarMethod(client.connection, selector, IONotificationPortGetMachPort(client.port),
					      reference, kIOAsyncCalloutCount, scalars, n, NULL, NULL);
}

void
client_run(const char *command)
{
	if (system(command))
		fail_msg("'%s' failed", command);
}

static bool
is_ours(io_service_t service)
{
	int32_t product = -1;
	CFTypeRef number = IORegistryEntrySearchCFProperty(service, kIOServicePlane, CFSTR("idProduct"), kCFAllocatorDefault,
							   kIORegistryIterateRecursively | kIORegistryIterateParents);

	if (number) {
		(void) CFNumberGetValue(number, kCFNumberSInt32Type, &product);
		CFRelease(number);
	}
	return product == client.product;
}

static void
came(void *refcon, io_iterator_t iterator)
{
	io_service_t service;

	while ((service = IOIteratorNext(iterator))) {
		if (is_ours(service) && !client.service) {
			client.service = service;
			client.n_came++;
		} else {
			IOObjectRelease(service);
		}
	}
}

static void
went(void *refcon, io_iterator_t iterator)
{
	io_service_t service;

	while ((service = IOIteratorNext(iterator))) {
		if (client.service && IOObjectIsEqualTo(service, client.service)) {
			IOObjectRelease(client.service);
			client.service = 0;
			client.n_went++;
		}
		IOObjectRelease(service);
	}
}

int
client_begin(void **state)
{
	client.port = IONotificationPortCreate(kIOMainPortDefault);
	if (!client.port)
		return -1;
	CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(client.port), kCFRunLoopDefaultMode);
	kern_return_t ret = IOServiceAddMatchingNotification(client.port, kIOFirstMatchNotification,
							     IOServiceNameMatching(client.driver), came, NULL,
							     &client.arrivals);
	if (ret == kIOReturnSuccess)
		ret = IOServiceAddMatchingNotification(client.port, kIOTerminatedNotification,
						       IOServiceNameMatching(client.driver), went, NULL,
						       &client.departures);
	if (ret != kIOReturnSuccess) {
		fprintf(stderr, "e2e: %s\n", adx_last_explanation());
		return -1;
	}
	came(NULL, client.arrivals);
	went(NULL, client.departures);
	return 0;
}

int
client_end(void **state)
{
	if (client.connection)
		IOServiceClose(client.connection);
	if (client.service)
		IOObjectRelease(client.service);
	IOObjectRelease(client.arrivals);
	IOObjectRelease(client.departures);
	IONotificationPortDestroy(client.port);
	return 0;
}

/* Waits for the driver. A connection whose driver has gone was closed by the test that saw it go. */
int
client_open(void **state)
{
	if (client.connection)
		return 0;
	if (!client_wait(&client.n_came, client.n_went + 1)) {
		fprintf(stderr, "e2e: no %s on product %#x after %d s\n", client.driver, (unsigned) client.product, LIMIT_S);
		return -1;
	}
	kern_return_t ret = IOServiceOpen(client.service, mach_task_self(), 0, &client.connection);
	if (ret != kIOReturnSuccess)
		fprintf(stderr, "e2e: IOServiceOpen: %s %s\n", mach_error_string(ret), adx_last_explanation());
	return ret == kIOReturnSuccess ? 0 : -1;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name, *driver;
		int (*tests)(void);
	} groups[] = {
		{ "source", "GadgetDriver", gadget_source_tests },
		{ "loopback", "GadgetDriver", gadget_loopback_tests },
		{ "stick", "StickDriver", stick_tests },
	};

	for (size_t i = 0; argc == 5 && i < sizeof groups / sizeof *groups; i++) {
		if (strcmp(argv[1], groups[i].name))
			continue;
		client.driver = groups[i].driver;
		client.product = (int32_t) strtol(argv[2], NULL, 16);
		client.off = argv[3];
		client.on = argv[4];
		return groups[i].tests() ? 1 : 0;
	}
	fprintf(stderr, "usage: e2e_client source|loopback|stick PRODUCT OFF ON\n");
	return 2;
}
