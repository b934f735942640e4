/* SPDX-License-Identifier: MIT */
/* hostile-ask SERVICE ACT [async] [SECONDS]: opens SERVICE through libIOKit as any application does, and asks it to do ACT (a number of
 * driver/HostileMethods.h). Prints what it got: "open 0x...", "call 0x...", and for each callback "callback 0x...". Whatever the
 * driver does, this ends by itself: exit status 0. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ambidext/realm.h>

static unsigned n_callbacks;

static void
called(void *refcon, IOReturn result, void **args, uint32_t n_args)
{
	printf("callback %#x\n", (unsigned)result);
	n_callbacks++;
}

static void
called0(void *refcon, IOReturn result)
{
	called(refcon, result, NULL, 0);
}

int
main(int argc, char **argv)
{
	const bool async = argc > 3 && !strcmp(argv[3], "async");
	const double seconds = argc > 4 ? atof(argv[4]) : 0.2;
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	uint64_t reference[kIOAsyncCalloutCount] = { 0, 0, 0 }, input = 0;
	const time_t until = time(NULL) + 8; /* a service that is not there does not come */
	io_connect_t connection = IO_OBJECT_NULL;
	io_service_t service = IO_OBJECT_NULL;
	kern_return_t ret;

	if (argc < 3) {
		fprintf(stderr, "usage: hostile-ask SERVICE ACT [async|sync] [SECONDS]\n");
		return 2;
	}
	while (!service && time(NULL) < until) {
		service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(argv[1]));
		if (!service)
			(void)usleep(5000);
	}
	ret = service ? IOServiceOpen(service, mach_task_self(), 0, &connection) : kIOReturnNotFound;
	printf("open %#x\n", (unsigned)ret);
	if (ret != kIOReturnSuccess)
		return 0;
	input = strtoull(argv[2], NULL, 0);
	/* A driver sends none, or as many words as it likes. */
	reference[kIOAsyncCalloutFuncIndex] = input == 1 ? (uintptr_t)called : (uintptr_t)called0;
	CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
	if (async)
		ret = IOConnectCallAsyncScalarMethod(connection, 2, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount, &input, 1,
						     NULL, NULL);
	else
		ret = IOConnectCallScalarMethod(connection, 2, &input, 1, NULL, NULL);
	printf("call %#x\n", (unsigned)ret);
	(void)CFRunLoopRunInMode(kCFRunLoopDefaultMode, seconds, false);
	printf("callbacks %u\n", n_callbacks);
	(void)IOServiceClose(connection);
	return 0;
}
