/* SPDX-License-Identifier: MIT */
/* Watches a transfer driver until it has read as much as was asked for, and prints its counters. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>

#include "../TransferMethods.h"

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "TransferDriver";
	uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 0) : 16u << 20;
	uint64_t counters[kTransferCounterCount] = { 0 };
	io_connect_t connection;
	mach_timespec_t wait = { .tv_sec = 30 };

	IOKitWaitQuiet(kIOMainPortDefault, &wait);
	io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(name));
	if (!service) {
		fprintf(stderr, "there is no %s; attach its device: dext attach model:sensor\n", name);
		return 1;
	}
	kern_return_t ret = IOServiceOpen(service, mach_task_self(), 0, &connection);
	IOObjectRelease(service);
	while (ret == kIOReturnSuccess && counters[kCounterBytes] < wanted) {
		uint32_t n = kTransferCounterCount;
		ret = IOConnectCallScalarMethod(connection, kTransferCounters, NULL, 0, counters, &n);
		usleep(1000);
	}
	if (ret != kIOReturnSuccess) {
		fprintf(stderr, "%s: %s (%#x) %s\n", name, mach_error_string(ret), (unsigned)ret, adx_last_explanation());
		return 1;
	}
	printf("%s: %llu MiB or more in %llu-byte reads, lost %llu, duplicated %llu, damaged %llu, failed %llu\n", name,
	       (unsigned long long)(wanted >> 20), (unsigned long long)kTransferSize,
	       (unsigned long long)counters[kCounterLost], (unsigned long long)counters[kCounterDuplicated],
	       (unsigned long long)counters[kCounterDamaged], (unsigned long long)counters[kCounterFailed]);
	IOServiceClose(connection);
	return counters[kCounterLost] || counters[kCounterDuplicated] || counters[kCounterDamaged] || counters[kCounterFailed];
}
