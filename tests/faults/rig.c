/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t rig_seed = 88172645463325252ull;
const char *rig_device_name = "model:sensor";

CFStringRef
rig_device(void)
{
	static CFStringRef device;

	if (!device)
		device = CFStringCreateWithCString(NULL, rig_device_name, kCFStringEncodingUTF8);
	return device;
}

double
rig_now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

uint64_t
rig_random_below(uint64_t bound)
{
	rig_seed ^= rig_seed << 13;
	rig_seed ^= rig_seed >> 7;
	rig_seed ^= rig_seed << 17;
	return rig_seed % bound;
}

void __attribute__((noreturn, format(printf, 1, 2))) rig_failed(const char *fmt, ...)
{
	va_list arguments;

	fprintf(stderr, "FAILED: ");
	va_start(arguments, fmt);
	vfprintf(stderr, fmt, arguments);
	va_end(arguments);
	fprintf(stderr, "\n");
	(void)fflush(stdout);
	exit(1);
}

/* Process of a driver, by its bundle's name, or of usbhost; 0: none now. */
pid_t
rig_pid_of(const char *name)
{
	CFArrayRef servers = NULL;
	int64_t pid = 0;

	if (adx_copy_servers(&servers) != kIOReturnSuccess)
		rig_failed("dextd does not answer");
	for (CFIndex i = 0; i < CFArrayGetCount(servers); i++) {
		CFDictionaryRef server = CFArrayGetValueAtIndex(servers, i);
		CFStringRef text = CFDictionaryGetValue(server, CFSTR("name"));
		CFNumberRef number = CFDictionaryGetValue(server, CFSTR("pid"));
		if (text && number &&
		    strstr(CFStringGetCStringPtr(text, kCFStringEncodingUTF8), name))
			(void)CFNumberGetValue(number, kCFNumberSInt64Type, &pid);
	}
	CFRelease(servers);
	return (pid_t)pid;
}

pid_t
rig_dextd_pid(void)
{
	char path[4096], text[32] = "";

	(void)snprintf(path, sizeof path, "%s/dextd.pid", getenv("AMBIDEXT_REALM"));
	FILE *file = fopen(path, "re");
	if (!file || !fgets(text, sizeof text, file))
		rig_failed("%s cannot be read", path);
	(void)fclose(file);
	return (pid_t)atoi(text);
}

unsigned
rig_count_fds(pid_t pid)
{
	char path[64];
	unsigned n = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *folder = opendir(path);
	if (!folder)
		rig_failed("%s: %s", path, strerror(errno));
	while (readdir(folder))
		n++;
	(void)closedir(folder);
	return n;
}

unsigned
rig_count_memfds(pid_t pid)
{
	char line[512];
	unsigned n = 0;

	(void)snprintf(line, sizeof line, "/proc/%d/maps", (int)pid);
	FILE *maps = fopen(line, "re");
	while (maps && fgets(line, sizeof line, maps))
		n += strstr(line, "/memfd:") != NULL;
	if (maps)
		(void)fclose(maps);
	return n;
}

/* Children of dextd that are still there: drivers and hosts. */
unsigned
rig_count_children(pid_t parent)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	unsigned n = 0;

	while (folder && (entry = readdir(folder))) {
		char path[300], text[512] = "";
		int ppid = 0;
		if (atoi(entry->d_name) <= 0)
			continue;
		(void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		FILE *file = fopen(path, "re");
		if (file && fgets(text, sizeof text, file)) {
			const char *after = strrchr(text, ')');
			if (after && sscanf(after, ") %*c %d", &ppid) == 1 && ppid == parent)
				n++;
		}
		if (file)
			(void)fclose(file);
	}
	if (folder)
		(void)closedir(folder);
	return n;
}

/* A new connection to a service, as soon as it is there; 0 when the time is over. */
io_connect_t
rig_connect_within(const char *name, double seconds)
{
	double until = rig_now() + seconds;
	io_connect_t connection = IO_OBJECT_NULL;

	do {
		io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault,
								   IOServiceNameMatching(name));
		kern_return_t ret =
			service ? IOServiceOpen(service, mach_task_self(), 0, &connection)
				: kIOReturnNotFound;
		if (service)
			(void)IOObjectRelease(service);
		if (ret == kIOReturnSuccess)
			return connection;
		(void)usleep(2000);
	} while (rig_now() < until);
	return IO_OBJECT_NULL;
}

void
rig_load_bundle(const char *path)
{
	CFStringRef string = CFStringCreateWithCString(NULL, path, kCFStringEncodingUTF8),
		    id = NULL;
	CFArrayRef problems = NULL;

	if (adx_bundle_load(string, &id, &problems) != kIOReturnSuccess)
		rig_failed("%s cannot be loaded", path);
	CFRelease(id);
	if (problems)
		CFRelease(problems);
	CFRelease(string);
}

void
rig_unload_bundle(const char *id)
{
	CFStringRef string = CFStringCreateWithCString(NULL, id, kCFStringEncodingUTF8);
	kern_return_t ret = adx_bundle_unload(string);

	if (ret != kIOReturnSuccess)
		rig_failed("%s cannot be unloaded: %s", id, mach_error_string(ret));
	CFRelease(string);
}

/* Until a device can be attached: a host that was killed is being started again. */
void
rig_plug(void)
{
	double until = rig_now() + BACK_WITHIN_SECONDS;
	CFStringRef problem = NULL;
	uint64_t id;
	kern_return_t ret;

	while ((ret = adx_device_attach(rig_device(), &id, &problem)) != kIOReturnSuccess &&
	       rig_now() < until) {
		if (problem)
			CFRelease(problem);
		(void)usleep(5000);
	}
	if (ret != kIOReturnSuccess)
		rig_failed("no device can be attached any more: %s", mach_error_string(ret));
}

void
rig_unplug(void)
{
	CFStringRef problem = NULL;
	kern_return_t ret = adx_device_detach(rig_device(), &problem);

	if (ret != kIOReturnSuccess)
		rig_failed("detach: %s %s", mach_error_string(ret),
			   problem ? CFStringGetCStringPtr(problem, kCFStringEncodingUTF8) : "");
}

void
rig_must_come_back(const char *name, const char *after)
{
	io_connect_t connection = rig_connect_within(name, BACK_WITHIN_SECONDS);

	if (!connection)
		rig_failed("%s did not come back after %s", name, after);
	(void)IOServiceClose(connection);
}

unsigned
rig_count_services(const char *class_name)
{
	io_iterator_t iterator = IO_OBJECT_NULL;
	unsigned n = 0;
	io_object_t object;

	if (IORegistryCreateIterator(kIOMainPortDefault, kIOServicePlane,
				     kIORegistryIterateRecursively, &iterator) != kIOReturnSuccess)
		return 0;
	while ((object = IOIteratorNext(iterator))) {
		n += IOObjectConformsTo(object, class_name) != 0;
		(void)IOObjectRelease(object);
	}
	(void)IOObjectRelease(iterator);
	return n;
}

/* Wait until @p count gives no more than @p wanted. */
void
rig_settles(const char *what, unsigned (*count)(pid_t), pid_t pid, unsigned wanted)
{
	double until = rig_now() + BACK_WITHIN_SECONDS;
	unsigned n;

	while ((n = count(pid)) > wanted && rig_now() < until)
		(void)usleep(20000);
	fprintf(stderr, "%s: %u, before %u\n", what, n, wanted);
	if (n > wanted)
		rig_failed("%s: %u are left over", what, n - wanted);
}

unsigned
rig_count_user_clients(pid_t unused __attribute__((unused)))
{
	return rig_count_services("IOUserUserClient");
}

unsigned
rig_detach_all(void)
{
	io_iterator_t iterator = IO_OBJECT_NULL;
	io_object_t object;
	unsigned n = 0;

	if (IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("IOUSBHostDevice"),
					 &iterator) != kIOReturnSuccess)
		return 0;
	while ((object = IOIteratorNext(iterator))) {
		CFNumberRef number =
			IORegistryEntryCreateCFProperty(object, CFSTR("locationID"), NULL, 0);
		CFStringRef location = NULL, problem = NULL;
		int64_t value = 0;
		char text[24];
		if (number && CFNumberGetValue(number, kCFNumberSInt64Type, &value)) {
			(void)snprintf(text, sizeof text, "0x%llx", (unsigned long long)value);
			location = CFStringCreateWithCString(NULL, text, kCFStringEncodingUTF8);
		}
		if (location)
			(void)adx_device_detach(location, &problem);
		if (problem)
			CFRelease(problem);
		if (location)
			CFRelease(location);
		if (number)
			CFRelease(number);
		(void)IOObjectRelease(object);
		n++;
	}
	(void)IOObjectRelease(iterator);
	return n;
}
