/* SPDX-License-Identifier: MIT */
/* Seed A in a realm: callbacks come and the verdict is told; with --strict it is refused with that sentence. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ambidext/realm.h>

#define CALLBACKS 2000u

/* Number of log lines that tell of @p rule and hold @p words. */
static unsigned
count_told(const char *rule, const char *words)
{
	CFArrayRef lines = NULL;
	uint64_t next;
	unsigned n = 0;

	if (adx_copy_log(0, NULL, &lines, &next) != kIOReturnSuccess)
		return 0;
	for (CFIndex i = 0; i < CFArrayGetCount(lines); i++) {
		CFDictionaryRef line = CFArrayGetValueAtIndex(lines, i);
		CFStringRef id = CFDictionaryGetValue(line, CFSTR("rule")), text = CFDictionaryGetValue(line, CFSTR("text"));
		if (id && text && strcmp(CFStringGetCStringPtr(id, kCFStringEncodingUTF8), rule) == 0 &&
		    strstr(CFStringGetCStringPtr(text, kCFStringEncodingUTF8), words)) {
			if (n++ == 0)
				printf("[%s] %s\n", rule, CFStringGetCStringPtr(text, kCFStringEncodingUTF8));
		}
	}
	CFRelease(lines);
	return n;
}

static int
works(void)
{
	uint64_t counters[3] = { 0 };
	io_connect_t connection;
	io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("SeedDriver"));

	if (!service || IOServiceOpen(service, mach_task_self(), 0, &connection) != kIOReturnSuccess) {
		printf("SeedDriver did not start or cannot be opened\n");
		return 1;
	}
	IOObjectRelease(service);
	for (int i = 0; i < 20000 && counters[0] < CALLBACKS; i++) {
		uint32_t n = 3;
		if (IOConnectCallScalarMethod(connection, 0, NULL, 0, counters, &n) != kIOReturnSuccess)
			return 1;
		usleep(500);
	}
	IOServiceClose(connection);
	printf("callbacks %llu, bytes %llu, failed %llu\n", (unsigned long long)counters[0], (unsigned long long)counters[1],
	       (unsigned long long)counters[2]);
	if (counters[0] < CALLBACKS || counters[1] == 0 || counters[2] != 0)
		return 1;
	return count_told("T27", "Transfer") > 0 ? 0 : 1;
}

static int
is_refused(void)
{
	io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("SeedDriver"));

	if (service) {
		printf("in strict mode the driver started all the same\n");
		return 1;
	}
	return count_told("T27", "Transfer") > 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	mach_timespec_t wait = { .tv_sec = 60 };

	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	int status = argc > 1 && strcmp(argv[1], "--strict") == 0 ? is_refused() : works();
	printf("%s\n", status == 0 ? "passed" : "FAILED");
	return status;
}
