/* SPDX-License-Identifier: MIT */
/* What `./run demo` shows: a stream through a driver, callbacks to a client, unplug and replug in the midst of it.
 *
 * Runs in a private realm that holds the drivers of examples/02-async and 03-transfer and a simulated sensor. Transfers are counted
 * by the driver and by usbhost, samples by the sensor and by the driver, callbacks by the driver and here. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ambidext/realm.h>

#include "../../examples/02-async/AsyncMethods.h"
#include "../../examples/03-transfer/TransferMethods.h"

#define SENSOR          "model:sensor"
#define STREAM_BYTES    (256ull << 20)
#define CALLBACKS       100000ull
#define CALLBACKS_A_TIME 5000ull
#define GIVE_UP_SECONDS 120.0

static struct {
	uint64_t received, wrong;        /* callbacks, and those with words that were not expected */
	uint64_t asked;
} callbacks;

/* Of all lives of the driver and of the device. */
struct totals {
	uint64_t submitted, completed, bytes, lost, duplicated, damaged, failed, refused;
	unsigned n;
};

static double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void __attribute__((format(printf, 1, 2)))
say(const char *fmt, ...)
{
	va_list arguments;

	printf("demo: ");
	va_start(arguments, fmt);
	vprintf(fmt, arguments);
	va_end(arguments);
	printf("\n");
	(void)fflush(stdout);
}

static void __attribute__((noreturn, format(printf, 1, 2)))
give_up(const char *fmt, ...)
{
	va_list arguments;

	printf("demo: ");
	va_start(arguments, fmt);
	vprintf(fmt, arguments);
	va_end(arguments);
	printf("; FAIL\n");
	if (*adx_last_explanation())
		printf("  %s\n", adx_last_explanation());
	exit(1);
}

static CFStringRef
sensor(void)
{
	return CFSTR(SENSOR);
}

static void
plug(void)
{
	CFStringRef problem = NULL;
	uint64_t id = 0;
	kern_return_t ret = adx_device_attach(sensor(), &id, &problem);

	if (ret != kIOReturnSuccess)
		give_up("attach: %s %s", mach_error_string(ret), problem ? CFStringGetCStringPtr(problem, kCFStringEncodingUTF8) : "");
	say("plugged in %s: registry entry %#" PRIx64, SENSOR, id);
}

static void
unplug(void)
{
	CFStringRef problem = NULL;
	kern_return_t ret = adx_device_detach(sensor(), &problem);

	if (ret != kIOReturnSuccess)
		give_up("detach: %s %s", mach_error_string(ret), problem ? CFStringGetCStringPtr(problem, kCFStringEncodingUTF8) : "");
	say("unplugged %s", SENSOR);
}

/* A connection to the service of that name, which may still be starting. */
static io_connect_t
open_service(const char *name)
{
	double until = now() + GIVE_UP_SECONDS;
	io_connect_t connection = IO_OBJECT_NULL;

	while (now() < until) {
		mach_timespec_t wait = { .tv_sec = 10 };
		(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
		io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(name));
		kern_return_t ret = service ? IOServiceOpen(service, mach_task_self(), 0, &connection) : kIOReturnNotFound;
		if (service)
			(void)IOObjectRelease(service);
		if (ret == kIOReturnSuccess)
			return connection;
		(void)usleep(1000);
	}
	give_up("%s did not appear", name);
}

static void
read_counters(io_connect_t connection, uint64_t *counters)
{
	uint32_t n = kTransferCounterCount;
	kern_return_t ret = IOConnectCallScalarMethod(connection, kTransferCounters, NULL, 0, counters, &n);

	if (ret != kIOReturnSuccess)
		give_up("the transfer driver does not answer any more: %s", mach_error_string(ret));
}

static void
called(void *refcon __attribute__((unused)), IOReturn result, void *arg0, void *arg1)
{
	uint64_t number = (uintptr_t)arg0;

	if (result != kIOReturnSuccess || number != callbacks.received || (uintptr_t)arg1 != number + 1)
		callbacks.wrong++;
	callbacks.received++;
}

static kern_return_t
register_callback(io_connect_t connection, IONotificationPortRef port, struct ReadDataStruct *data)
{
	uint64_t reference[kIOAsyncCalloutCount] = { 0 };
	size_t size = sizeof *data;

	reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)called;
	return IOConnectCallAsyncStructMethod(connection, kAsyncRegister, IONotificationPortGetMachPort(port), reference,
					      kIOAsyncCalloutCount, NULL, 0, data, &size);
}

/* Ask for more callbacks when those that were asked for have come, and run what is due. */
static void
pump_callbacks(io_connect_t connection)
{
	if (callbacks.received == callbacks.asked && callbacks.asked < CALLBACKS) {
		uint64_t request[2] = { CALLBACKS_A_TIME, 2 };
		kern_return_t ret = IOConnectCallScalarMethod(connection, kAsyncRequest, request, 2, NULL, NULL);
		if (ret != kIOReturnSuccess)
			give_up("asking for callbacks: %s", mach_error_string(ret));
		callbacks.asked += CALLBACKS_A_TIME;
	}
	(void)CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.002, false);
}

/* Until the driver has read @p bytes; its own callbacks go on meanwhile. */
static void
stream(io_connect_t transfer, io_connect_t async, uint64_t bytes)
{
	uint64_t counters[kTransferCounterCount] = { 0 };
	double until = now() + GIVE_UP_SECONDS, next_line = now() + 1.0;

	do {
		read_counters(transfer, counters);
		pump_callbacks(async);
		if (now() > next_line) {
			say("%4" PRIu64 " MiB in %" PRIu64 " transfers, %" PRIu64 " callbacks", counters[kCounterBytes] >> 20,
			    counters[kCounterCompleted], callbacks.received);
			next_line = now() + 1.0;
		}
	} while (counters[kCounterBytes] < bytes && now() < until);
	if (counters[kCounterBytes] < bytes)
		give_up("the stream stands still at %" PRIu64 " bytes", counters[kCounterBytes]);
}

/* Add up what the lines of @p server that begin with @p prefix say: "… name=NUMBER name=NUMBER". */
static struct totals
totals_of(const char *prefix)
{
	struct totals totals = { 0 };
	CFArrayRef lines = NULL;
	uint64_t next;

	if (adx_copy_log(0, NULL, &lines, &next) != kIOReturnSuccess)
		return totals;
	for (CFIndex i = 0; i < CFArrayGetCount(lines); i++) {
		CFStringRef string = CFDictionaryGetValue(CFArrayGetValueAtIndex(lines, i), CFSTR("text"));
		const char *text = string ? CFStringGetCStringPtr(string, kCFStringEncodingUTF8) : "";
		const char *at = strstr(text, prefix);
		const struct { const char *name; uint64_t *value; } fields[] = {
			{ "submitted=", &totals.submitted }, { "completed=", &totals.completed }, { "bytes=", &totals.bytes },
			{ "lost=", &totals.lost }, { "duplicated=", &totals.duplicated }, { "damaged=", &totals.damaged },
			{ "failed=", &totals.failed }, { "refused=", &totals.refused },
		};
		if (!at)
			continue;
		totals.n++;
		for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
			const char *found = strstr(at, fields[f].name);
			if (found)
				*fields[f].value += strtoull(found + strlen(fields[f].name), NULL, 10);
		}
	}
	CFRelease(lines);
	return totals;
}

/* The last words of @p n lives. */
static struct totals
wait_totals(const char *prefix, unsigned n)
{
	double until = now() + GIVE_UP_SECONDS;
	struct totals totals;

	do {
		totals = totals_of(prefix);
		if (totals.n < n)
			(void)usleep(10000);
	} while (totals.n < n && now() < until);
	if (totals.n < n)
		give_up("%u of %u lines '%s' in the log", totals.n, n, prefix);
	return totals;
}

int
main(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	struct ReadDataStruct data;
	double start = now();

	if (!port)
		give_up("no notification port");
	CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
	plug();
	io_connect_t transfer = open_service("TransferDriver"), async = open_service("AsyncDriver");
	if (register_callback(async, port, &data) != kIOReturnSuccess)
		give_up("registering a callback");
	say("streaming %d reads of %d bytes in flight", kTransferInFlight, kTransferSize);
	stream(transfer, async, STREAM_BYTES / 2);

	say("the registry now:");
	(void)fflush(stdout);
	if (system("ioreg -w 0") != 0)
		give_up("ioreg");
	unplug();
	(void)IOServiceClose(transfer);
	plug();
	transfer = open_service("TransferDriver");
	stream(transfer, async, STREAM_BYTES / 2);
	while (callbacks.received < CALLBACKS && now() - start < 2 * GIVE_UP_SECONDS)
		pump_callbacks(async);
	/* One more round trip says how many the driver has sent. */
	if (register_callback(async, port, &data) != kIOReturnSuccess)
		give_up("asking how many callbacks were sent");
	(void)IOServiceClose(transfer);
	unplug();

	struct totals driver = wait_totals("transfers of this driver:", 2), host = wait_totals("transfers of this device:", 2);
	say("driver: submitted=%" PRIu64 " completed=%" PRIu64 " bytes=%" PRIu64 "; usbhost: submitted=%" PRIu64 " completed=%" PRIu64
	    " bytes=%" PRIu64 "; unplugs ended %" PRIu64 " and refused %" PRIu64, driver.submitted,
	    driver.completed, driver.bytes, host.submitted, host.completed, host.bytes, driver.failed, host.refused);
	(void)IOServiceClose(async);
	IONotificationPortDestroy(port);
	bool pass = driver.submitted == driver.completed && host.submitted == host.completed && driver.submitted == host.submitted &&
		    driver.bytes == host.bytes && driver.bytes >= STREAM_BYTES && !driver.lost && !driver.duplicated && !driver.damaged &&
		    callbacks.received == data.callbacks_sent && callbacks.received >= CALLBACKS && !callbacks.wrong;
	printf("demo: transfers submitted=%" PRIu64 " completed=%" PRIu64 " lost=%" PRIu64 " duplicated=%" PRIu64 "; callbacks sent=%" PRIu64
	       " received=%" PRIu64 "; %s\n", driver.submitted, driver.completed, driver.lost + driver.damaged, driver.duplicated,
	       data.callbacks_sent, callbacks.received, pass ? "PASS" : "FAIL");
	return pass ? 0 : 1;
}
