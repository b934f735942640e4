/* SPDX-License-Identifier: MIT */
/* hostile-counters: the counters of the oldest TransferDriver of the realm (examples/03-transfer), as one JSON object. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <ambidext/realm.h>

#include "../../../examples/03-transfer/TransferMethods.h"

int
main(void)
{
	static const char *const names[kTransferCounterCount] = { "submitted", "completed", "bytes", "samples", "lost", "duplicated", "damaged",
								   "failed" };
	uint64_t counters[kTransferCounterCount] = { 0 };
	uint32_t n = kTransferCounterCount;
	io_connect_t connection = IO_OBJECT_NULL;
	io_service_t service = IO_OBJECT_NULL;
	kern_return_t ret = kIOReturnNotFound;

	for (unsigned i = 0; i < 2000 && ret != kIOReturnSuccess; i++) {
		service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("TransferDriver"));
		ret = service ? IOServiceOpen(service, mach_task_self(), 0, &connection) : kIOReturnNotFound;
		if (ret != kIOReturnSuccess)
			(void)usleep(5000);
	}
	if (ret == kIOReturnSuccess)
		ret = IOConnectCallScalarMethod(connection, kTransferCounters, NULL, 0, counters, &n);
	if (ret != kIOReturnSuccess) {
		fprintf(stderr, "hostile-counters: %s\n", mach_error_string(ret));
		return 1;
	}
	printf("{");
	for (unsigned i = 0; i < kTransferCounterCount; i++)
		printf("%s\"%s\": %" PRIu64, i ? ", " : "", names[i], counters[i]);
	printf("}\n");
	return 0;
}
