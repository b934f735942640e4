/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define BACK_WITHIN_NS 30000000000ull /* a bound for a machine under load, no measure */

void
failed(const char *fmt, ...)
{
	va_list arguments;

	printf("FAILED: ");
	va_start(arguments, fmt);
	vprintf(fmt, arguments);
	va_end(arguments);
	printf("\n");
	(void)fflush(stdout);
	exit(1);
}

uint64_t
now_ns(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static CFTypeRef
value_at(CFDictionaryRef dict, const char *key)
{
	CFStringRef name = CFStringCreateWithCString(NULL, key, kCFStringEncodingUTF8);
	CFTypeRef value = CFDictionaryGetValue(dict, name);

	CFRelease(name);
	return value;
}

const char *
text_at(CFDictionaryRef dict, const char *key, char *to, size_t size)
{
	CFTypeRef value = value_at(dict, key);

	to[0] = '\0';
	if (value && CFGetTypeID(value) == CFStringGetTypeID())
		(void)snprintf(to, size, "%s", CFStringGetCStringPtr(value, kCFStringEncodingUTF8));
	return to;
}

int64_t
number_at(CFDictionaryRef dict, const char *key)
{
	CFTypeRef value = value_at(dict, key);
	int64_t number = 0;

	if (value && CFGetTypeID(value) == CFNumberGetTypeID())
		(void)CFNumberGetValue(value, kCFNumberSInt64Type, &number);
	return number;
}

static bool
appeared(io_iterator_t iterator, uint64_t not_id, io_service_t *ret_service, uint64_t *ret_id)
{
	io_service_t service;

	while ((service = IOIteratorNext(iterator))) {
		if (IORegistryEntryGetRegistryEntryID(service, ret_id) == kIOReturnSuccess && *ret_id > not_id) {
			*ret_service = service;
			return true;
		}
		IOObjectRelease(service);
	}
	return false;
}

static void
matched(void *refcon, io_iterator_t iterator)
{
}

io_service_t
wait_service(uint64_t not_id, uint64_t *ret_id)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	uint64_t deadline = now_ns() + BACK_WITHIN_NS;
	struct pollfd pollfd = { .fd = adx_notification_port_get_fd(port), .events = POLLIN };
	io_service_t service = IO_OBJECT_NULL, more;
	io_iterator_t iterator;

	if (IOServiceAddMatchingNotification(port, kIOFirstMatchNotification, IOServiceNameMatching("EndingDriver"), matched, NULL,
					     &iterator) != kIOReturnSuccess)
		failed("no notification");
	while (!appeared(iterator, not_id, &service, ret_id)) {
		if (now_ns() > deadline)
			failed("no driver came within 30 s");
		(void)poll(&pollfd, 1, 1000);
		(void)adx_notification_port_dispatch(port);
	}
	/* To its end: released before, it would be told (T82). */
	while ((more = IOIteratorNext(iterator)))
		IOObjectRelease(more);
	IOObjectRelease(iterator);
	IONotificationPortDestroy(port);
	return service;
}

io_connect_t
open_service(io_service_t service)
{
	io_connect_t connection = IO_OBJECT_NULL;
	kern_return_t ret = IOServiceOpen(service, mach_task_self(), 0, &connection);

	if (ret != kIOReturnSuccess)
		failed("IOServiceOpen answered %#x: %s", (unsigned)ret, adx_last_explanation());
	return connection;
}

uint64_t
ping(io_connect_t connection, kern_return_t *ret_status)
{
	uint64_t input = 41, output[2] = { 0 };
	uint32_t count = 2;

	*ret_status = IOConnectCallScalarMethod(connection, kEndingPing, &input, 1, output, &count);
	if (*ret_status == kIOReturnSuccess && output[1] != 42)
		failed("41 + 1 is %llu", (unsigned long long)output[1]);
	return *ret_status == kIOReturnSuccess ? output[0] : 0;
}

kern_return_t
end_now(io_connect_t connection, enum ending_way way, uint64_t argument)
{
	const uint64_t input[2] = { (uint64_t)way, argument };

	return IOConnectCallScalarMethod(connection, kEndingNow, input, 2, NULL, NULL);
}

pid_t
driver_pid(void)
{
	CFArrayRef servers = NULL;
	int64_t pid = 0;
	char name[128], state[32];

	if (adx_copy_servers(&servers) != kIOReturnSuccess)
		failed("dextd does not answer");
	for (CFIndex i = 0; i < CFArrayGetCount(servers); i++) {
		CFDictionaryRef server = CFArrayGetValueAtIndex(servers, i);
		if (strcmp(text_at(server, "name", name, sizeof name), "org.example.Ending") == 0 &&
		    strcmp(text_at(server, "state", state, sizeof state), "running") == 0)
			pid = number_at(server, "pid");
	}
	CFRelease(servers);
	return (pid_t)pid;
}

uint64_t
last_incident(void)
{
	CFArrayRef incidents = NULL;
	uint64_t id = 0;

	if (adx_copy_incidents(0, &incidents) != kIOReturnSuccess)
		failed("no incidents: dextd does not answer");
	if (CFArrayGetCount(incidents) > 0)
		id = (uint64_t)number_at(CFArrayGetValueAtIndex(incidents, CFArrayGetCount(incidents) - 1), "id");
	CFRelease(incidents);
	return id;
}

CFDictionaryRef
wait_incident(uint64_t after)
{
	uint64_t deadline = now_ns() + BACK_WITHIN_NS;
	CFDictionaryRef incident = NULL;

	while (!incident) {
		CFArrayRef incidents = NULL;
		if (adx_copy_incidents(after, &incidents) != kIOReturnSuccess || now_ns() > deadline)
			failed("no incident after %llu within 30 s", (unsigned long long)after);
		if (CFArrayGetCount(incidents) > 0)
			incident = (CFDictionaryRef)CFRetain(CFArrayGetValueAtIndex(incidents, 0));
		CFRelease(incidents);
		if (!incident)
			(void)poll(NULL, 0, 1);
	}
	return incident;
}

bool
log_contains(const char *text)
{
	uint64_t after = 0, next = 0;
	char line[4096];
	bool found = false;

	do {
		CFArrayRef lines = NULL;
		after = next;
		if (adx_copy_log(after, NULL, &lines, &next) != kIOReturnSuccess)
			failed("no log: dextd does not answer");
		for (CFIndex i = 0; i < CFArrayGetCount(lines); i++)
			found = found || strstr(text_at(CFArrayGetValueAtIndex(lines, i), "text", line, sizeof line), text);
		CFRelease(lines);
	} while (!found && next != after);
	return found;
}
