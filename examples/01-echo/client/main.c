/* SPDX-License-Identifier: MIT */
/* Finds the echo driver, sends it a structure and two numbers. */

#include <stdio.h>
#include <string.h>

#include <IOKit/IOKitLib.h>

#include "../EchoMethods.h"

static int
refused(const char *what, kern_return_t ret)
{
	fprintf(stderr, "%s: %s (%#x) %s\n", what, mach_error_string(ret), (unsigned)ret, adx_last_explanation());
	return 1;
}

int
main(void)
{
	io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("EchoDriver"));
	io_connect_t connection;
	kern_return_t ret;

	if (!service)
		return refused("no EchoDriver in this realm", kIOReturnNotFound);
	ret = IOServiceOpen(service, mach_task_self(), 0, &connection);
	IOObjectRelease(service);
	if (ret != kIOReturnSuccess)
		return refused("IOServiceOpen", ret);

	char answer[64] = "";
	size_t size = sizeof answer;
	const char *question = "is there anybody?";
	ret = IOConnectCallStructMethod(connection, kEchoStruct, question, strlen(question) + 1, answer, &size);
	if (ret != kIOReturnSuccess)
		return refused("kEchoStruct", ret);
	printf("echo: %s (%zu bytes)\n", answer, size);

	uint64_t numbers[2] = { 40, 2 }, sum = 0;
	uint32_t n_sums = 1;
	ret = IOConnectCallScalarMethod(connection, kEchoSum, numbers, 2, &sum, &n_sums);
	if (ret != kIOReturnSuccess)
		return refused("kEchoSum", ret);
	printf("sum: %llu\n", (unsigned long long)sum);

	IOServiceClose(connection);
	return 0;
}
