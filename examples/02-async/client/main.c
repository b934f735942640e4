/* SPDX-License-Identifier: MIT */
/* Registers a callback, asks for callbacks with 0, 1, 2 and 3 words, and shares a buffer. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <IOKit/IOKitLib.h>

#include "../AsyncMethods.h"

static int n_callbacks;

static int
refused(const char *what, kern_return_t ret)
{
	fprintf(stderr, "%s: %s (%#x)\n  %s\n", what, mach_error_string(ret), (unsigned)ret, adx_last_explanation());
	return 1;
}

/* Which of these is called depends on how many words the driver sends. */
static void
called_0(void *refcon, IOReturn result)
{
	printf("callback %d: %s, no word\n", ++n_callbacks, mach_error_string(result));
	CFRunLoopStop(CFRunLoopGetCurrent());
}

static void
called_1(void *refcon, IOReturn result, void *arg0)
{
	printf("callback %d: %s, word %ju\n", ++n_callbacks, mach_error_string(result), (uintmax_t)(uintptr_t)arg0);
	CFRunLoopStop(CFRunLoopGetCurrent());
}

static void
called_2(void *refcon, IOReturn result, void *arg0, void *arg1)
{
	printf("callback %d: %s, words %ju %ju\n", ++n_callbacks, mach_error_string(result), (uintmax_t)(uintptr_t)arg0,
	       (uintmax_t)(uintptr_t)arg1);
	CFRunLoopStop(CFRunLoopGetCurrent());
}

static void
called(void *refcon, IOReturn result, void **args, uint32_t numArgs)
{
	printf("callback %d: %s, %u words:", ++n_callbacks, mach_error_string(result), numArgs);
	for (uint32_t i = 0; i < numArgs; i++)
		printf(" %ju", (uintmax_t)(uintptr_t)args[i]);
	printf("\n");
	CFRunLoopStop(CFRunLoopGetCurrent());
}

static kern_return_t
register_callback(io_connect_t connection, mach_port_t wake_port, void *function, struct ReadDataStruct *data)
{
	uint64_t reference[kIOAsyncCalloutCount] = { 0 };
	size_t size = sizeof *data;

	reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)(uintptr_t)function;
	return IOConnectCallAsyncStructMethod(connection, kAsyncRegister, wake_port, reference, kIOAsyncCalloutCount, NULL, 0, data,
					      &size);
}

/* The driver writes the buffer of kAsyncShareSize bytes after its method has returned. */
static int
share(io_connect_t connection, mach_port_t wake_port, unsigned char *buffer)
{
	uint64_t reference[kIOAsyncCalloutCount] = { 0 };
	size_t size = kAsyncShareSize, n = 0;

	reference[kIOAsyncCalloutFuncIndex] = (io_user_reference_t)(uintptr_t)called_0;
	kern_return_t ret = IOConnectCallAsyncStructMethod(connection, kAsyncShare, wake_port, reference, kIOAsyncCalloutCount, NULL, 0,
							   buffer, &size);
	if (ret != kIOReturnSuccess)
		return refused("kAsyncShare", ret);
	CFRunLoopRun();
	while (n < kAsyncShareSize && buffer[n] == kAsyncShareByte)
		n++;
	printf("shared: %zu of %d bytes written by the driver later\n", n, kAsyncShareSize);
	return n == kAsyncShareSize ? 0 : 1;
}

int
main(void)
{
	io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("AsyncDriver"));
	static void *const forms[] = { (void *)called_0, (void *)called_1, (void *)called_2, (void *)called };
	struct ReadDataStruct data;
	io_connect_t connection;
	kern_return_t ret;

	if (!service)
		return refused("no AsyncDriver in this realm", kIOReturnNotFound);
	ret = IOServiceOpen(service, mach_task_self(), 0, &connection);
	IOObjectRelease(service);
	if (ret != kIOReturnSuccess)
		return refused("IOServiceOpen", ret);

	/* The mistake of the question: the main port is no wake port. */
	ret = register_callback(connection, kIOMainPortDefault, (void *)called, &data);
	printf("with kIOMainPortDefault: %s\n", mach_error_string(ret));
	if (ret != kIOReturnBadArgument)
		return 1;

	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
	for (uint64_t words = 0; words < 4; words++) {
		ret = register_callback(connection, IONotificationPortGetMachPort(port), forms[words], &data);
		if (ret != kIOReturnSuccess)
			return refused("kAsyncRegister", ret);
		uint64_t request[2] = { 1, words };
		ret = IOConnectCallScalarMethod(connection, kAsyncRequest, request, 2, NULL, NULL);
		if (ret != kIOReturnSuccess)
			return refused("kAsyncRequest", ret);
		CFRunLoopRun();
	}
	unsigned char *buffer = calloc(1, kAsyncShareSize);
	int status = buffer ? share(connection, IONotificationPortGetMachPort(port), buffer) : 1;
	IOServiceClose(connection);
	free(buffer); /* the driver had it until here */
	IONotificationPortDestroy(port);
	return status;
}
