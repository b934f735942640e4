/* SPDX-License-Identifier: MIT */
/* Prints services of a class as they come and go, until N of each were seen. */

#include <stdio.h>
#include <stdlib.h>

#include <IOKit/IOKitLib.h>

static int n_wanted, n_came, n_went;

/* Draining the iterator is what arms the notification again. */
static int
drain(io_iterator_t iterator, const char *what)
{
	io_service_t service;
	int n = 0;

	while ((service = IOIteratorNext(iterator))) {
		io_name_t name = "?";
		uint64_t id = 0;
		IORegistryEntryGetName(service, name);
		IORegistryEntryGetRegistryEntryID(service, &id);
		printf("%s: %s %#llx\n", what, name, (unsigned long long)id);
		IOObjectRelease(service);
		n++;
	}
	fflush(stdout);
	return n;
}

static void
came(void *refcon, io_iterator_t iterator)
{
	n_came += drain(iterator, "came");
}

static void
went(void *refcon, io_iterator_t iterator)
{
	n_went += drain(iterator, "went");
	if (n_went >= n_wanted && n_came >= n_wanted)
		CFRunLoopStop(CFRunLoopGetCurrent());
}

int
main(int argc, char **argv)
{
	const char *class_name = argc > 1 ? argv[1] : "IOUSBHostDevice";
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	io_iterator_t arrivals, departures;

	n_wanted = argc > 2 ? atoi(argv[2]) : 1;
	if (!port)
		return 1;
	CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
	kern_return_t ret = IOServiceAddMatchingNotification(port, kIOFirstMatchNotification, IOServiceMatching(class_name), came,
							     NULL, &arrivals);
	if (ret == kIOReturnSuccess)
		ret = IOServiceAddMatchingNotification(port, kIOTerminatedNotification, IOServiceMatching(class_name), went, NULL,
						       &departures);
	if (ret != kIOReturnSuccess) {
		fprintf(stderr, "IOServiceAddMatchingNotification: %s %s\n", mach_error_string(ret), adx_last_explanation());
		return 1;
	}
	came(NULL, arrivals);
	went(NULL, departures);
	puts("waiting");
	fflush(stdout);
	CFRunLoopRun();
	IOObjectRelease(arrivals);
	IOObjectRelease(departures);
	IONotificationPortDestroy(port);
	return 0;
}
