/* SPDX-License-Identifier: MIT */
/* kill -9 of the driver, the client and usbhost, and unplug, each at random moments under load.
 *
 * Runs in a realm that has the drivers of examples/02-async and 03-transfer. After each blow the system must be usable again within
 * a bounded time, every call must have returned, and at the end no process, descriptor or mapping is left over in dextd and usbhost.
 * Arguments: rounds of each kind, seed. Prints what was done. */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ambidext/realm.h>

#include "../../examples/02-async/AsyncMethods.h"
#include "../../examples/03-transfer/TransferMethods.h"

#define BACK_WITHIN_SECONDS 30.0
#define N_CALLERS 2

static uint64_t seed;
static _Atomic uint64_t n_calls, n_returned, n_refused; /* of the load: begun, ended, ended with an error */
static _Atomic bool stopping;
static const char *transfer_bundle, *async_bundle;      /* paths */

static double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t
random_below(uint64_t bound)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % bound;
}

static void __attribute__((noreturn, format(printf, 1, 2)))
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

/* Process of a driver, by its bundle's name, or of usbhost; 0: none now. */
static pid_t
pid_of(const char *name)
{
	CFArrayRef servers = NULL;
	int64_t pid = 0;

	if (adx_copy_servers(&servers) != kIOReturnSuccess)
		failed("dextd does not answer");
	for (CFIndex i = 0; i < CFArrayGetCount(servers); i++) {
		CFDictionaryRef server = CFArrayGetValueAtIndex(servers, i);
		CFStringRef text = CFDictionaryGetValue(server, CFSTR("name"));
		CFNumberRef number = CFDictionaryGetValue(server, CFSTR("pid"));
		if (text && number && strstr(CFStringGetCStringPtr(text, kCFStringEncodingUTF8), name))
			(void)CFNumberGetValue(number, kCFNumberSInt64Type, &pid);
	}
	CFRelease(servers);
	return (pid_t)pid;
}

static pid_t
dextd_pid(void)
{
	char path[4096], text[32] = "";

	(void)snprintf(path, sizeof path, "%s/dextd.pid", getenv("AMBIDEXT_REALM"));
	FILE *file = fopen(path, "re");
	if (!file || !fgets(text, sizeof text, file))
		failed("%s cannot be read", path);
	(void)fclose(file);
	return (pid_t)atoi(text);
}

static unsigned
count_fds(pid_t pid)
{
	char path[64];
	unsigned n = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *folder = opendir(path);
	if (!folder)
		failed("%s: %s", path, strerror(errno));
	while (readdir(folder))
		n++;
	(void)closedir(folder);
	return n;
}

static unsigned
count_memfds(pid_t pid)
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
static unsigned
count_children(pid_t parent)
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
static io_connect_t
connect_within(const char *name, double seconds)
{
	double until = now() + seconds;
	io_connect_t connection = IO_OBJECT_NULL;

	do {
		io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(name));
		kern_return_t ret = service ? IOServiceOpen(service, mach_task_self(), 0, &connection) : kIOReturnNotFound;
		if (service)
			(void)IOObjectRelease(service);
		if (ret == kIOReturnSuccess)
			return connection;
		(void)usleep(2000);
	} while (now() < until);
	return IO_OBJECT_NULL;
}

/* One caller: connects, calls until refused, connects again. */
static void *
caller(void *name)
{
	uint64_t counters[kTransferCounterCount];

	while (!atomic_load(&stopping)) {
		io_connect_t connection = connect_within(name, 0.05);
		if (!connection)
			continue;
		kern_return_t ret = kIOReturnSuccess;
		while (ret == kIOReturnSuccess && !atomic_load(&stopping)) {
			uint32_t n = kTransferCounterCount;
			atomic_fetch_add(&n_calls, 1);
			ret = IOConnectCallScalarMethod(connection, kTransferCounters, NULL, 0, counters, &n);
			atomic_fetch_add(&n_returned, 1);
			if (ret != kIOReturnSuccess)
				atomic_fetch_add(&n_refused, 1);
		}
		(void)IOServiceClose(connection);
	}
	return NULL;
}

static void
ignore(void *refcon __attribute__((unused)), IOReturn result __attribute__((unused)), void *arg0 __attribute__((unused)))
{
}

/* The client that is killed: calls and callbacks until its end. */
static void __attribute__((noreturn))
victim_client(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	uint64_t reference[kIOAsyncCalloutCount] = { 0, (uintptr_t)ignore, 0 }, request[2] = { 50, 1 };

	CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
	for (;;) {
		io_connect_t connection = connect_within("AsyncDriver", 10);
		struct ReadDataStruct data;
		size_t size = sizeof data;
		kern_return_t ret = IOConnectCallAsyncStructMethod(connection, kAsyncRegister, IONotificationPortGetMachPort(port), reference,
								   kIOAsyncCalloutCount, NULL, 0, &data, &size);
		for (int i = 0; i < 50 && ret == kIOReturnSuccess; i++) {
			ret = IOConnectCallScalarMethod(connection, kAsyncRequest, request, 2, NULL, NULL);
			(void)CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.001, false);
		}
		(void)IOServiceClose(connection);
	}
}

static void
load_bundle(const char *path)
{
	CFStringRef string = CFStringCreateWithCString(NULL, path, kCFStringEncodingUTF8), id = NULL;
	CFArrayRef problems = NULL;

	if (adx_bundle_load(string, &id, &problems) != kIOReturnSuccess)
		failed("%s cannot be loaded", path);
	CFRelease(id);
	if (problems)
		CFRelease(problems);
	CFRelease(string);
}

static void
unload_bundle(const char *id)
{
	CFStringRef string = CFStringCreateWithCString(NULL, id, kCFStringEncodingUTF8);
	kern_return_t ret = adx_bundle_unload(string);

	if (ret != kIOReturnSuccess)
		failed("%s cannot be unloaded: %s", id, mach_error_string(ret));
	CFRelease(string);
}

/* Until a device can be attached: a host that was killed is being started again. */
static void
plug(void)
{
	double until = now() + BACK_WITHIN_SECONDS;
	CFStringRef problem = NULL;
	uint64_t id;
	kern_return_t ret;

	while ((ret = adx_device_attach(CFSTR("model:sensor"), &id, &problem)) != kIOReturnSuccess && now() < until) {
		if (problem)
			CFRelease(problem);
		(void)usleep(5000);
	}
	if (ret != kIOReturnSuccess)
		failed("no device can be attached any more: %s", mach_error_string(ret));
}

static void
unplug(void)
{
	CFStringRef problem = NULL;
	kern_return_t ret = adx_device_detach(CFSTR("model:sensor"), &problem);

	if (ret != kIOReturnSuccess)
		failed("detach: %s %s", mach_error_string(ret), problem ? CFStringGetCStringPtr(problem, kCFStringEncodingUTF8) : "");
}

static void
must_come_back(const char *name, const char *after)
{
	io_connect_t connection = connect_within(name, BACK_WITHIN_SECONDS);

	if (!connection)
		failed("%s did not come back after %s", name, after);
	(void)IOServiceClose(connection);
}

static void
kill_one(const char *name)
{
	double until = now() + BACK_WITHIN_SECONDS;
	pid_t pid;

	while ((pid = pid_of(name)) == 0 && now() < until)
		(void)usleep(1000);
	if (pid == 0)
		failed("%s has no process to kill", name);
	(void)usleep((useconds_t)random_below(8000));
	(void)kill(pid, SIGKILL);
}

static void
blow_dext(unsigned round)
{
	/* More than five crashes in half an hour are quarantined: a new load of the bundle starts the count anew. */
	if (round % 4 == 3) {
		unload_bundle("org.example.Transfer");
		load_bundle(transfer_bundle);
	}
	must_come_back("TransferDriver", "loading");
	kill_one("org.example.Transfer");
	must_come_back("TransferDriver", "kill -9 of the driver");
}

static void
blow_client(unsigned round __attribute__((unused)))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		victim_client();
	(void)usleep((useconds_t)(10000 + random_below(20000)));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	must_come_back("AsyncDriver", "kill -9 of a client");
}

static void
blow_unplug(unsigned round __attribute__((unused)))
{
	must_come_back("TransferDriver", "plugging in");
	(void)usleep((useconds_t)random_below(8000));
	unplug();
	plug();
	must_come_back("TransferDriver", "unplug and replug");
}

static void
blow_usbhost(unsigned round __attribute__((unused)))
{
	must_come_back("TransferDriver", "plugging in");
	kill_one("usbhost");
	plug();
	must_come_back("TransferDriver", "kill -9 of usbhost");
}

static const struct {
	const char *name;
	void (*blow)(unsigned round);
} blows[] = {
	{ "driver", blow_dext }, { "client", blow_client }, { "unplug", blow_unplug }, { "usbhost", blow_usbhost },
};

static unsigned
count_services(const char *class_name)
{
	io_iterator_t iterator = IO_OBJECT_NULL;
	unsigned n = 0;
	io_object_t object;

	if (IORegistryCreateIterator(kIOMainPortDefault, kIOServicePlane, kIORegistryIterateRecursively, &iterator) != kIOReturnSuccess)
		return 0;
	while ((object = IOIteratorNext(iterator))) {
		n += IOObjectConformsTo(object, class_name) != 0;
		(void)IOObjectRelease(object);
	}
	(void)IOObjectRelease(iterator);
	return n;
}

/* Wait until @p count gives no more than @p wanted. */
static void
settles(const char *what, unsigned (*count)(pid_t), pid_t pid, unsigned wanted)
{
	double until = now() + BACK_WITHIN_SECONDS;
	unsigned n;

	while ((n = count(pid)) > wanted && now() < until)
		(void)usleep(20000);
	printf("%s: %u, before %u\n", what, n, wanted);
	if (n > wanted)
		failed("%s: %u are left over", what, n - wanted);
}

static unsigned
count_user_clients(pid_t unused __attribute__((unused)))
{
	return count_services("IOUserUserClient");
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 100;
	mach_timespec_t wait = { .tv_sec = 30 };
	pthread_t callers[N_CALLERS];

	if (argc < 3) {
		fprintf(stderr, "usage: kill_test TRANSFER.dext ASYNC.dext [ROUNDS [SEED]]\n");
		return 2;
	}
	transfer_bundle = argv[1];
	async_bundle = argv[2];
	seed = argc > 4 ? strtoull(argv[4], NULL, 0) : 88172645463325252ull;
	load_bundle(transfer_bundle);
	load_bundle(async_bundle);
	plug();
	must_come_back("TransferDriver", "start");
	must_come_back("AsyncDriver", "start");
	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	/* One of each once, so that what is made on first use counts as there before. */
	for (size_t i = 0; i < sizeof blows / sizeof *blows; i++)
		blows[i].blow(0);
	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	pid_t dextd = dextd_pid();
	unsigned fds = count_fds(dextd), memfds = count_memfds(dextd), children = count_children(dextd);
	unsigned user_clients = count_user_clients(0);

	for (int i = 0; i < N_CALLERS; i++)
		if (pthread_create(&callers[i], NULL, caller, (void *)"TransferDriver") != 0)
			failed("no thread");
	for (size_t i = 0; i < sizeof blows / sizeof *blows; i++) {
		double start = now();
		for (unsigned round = 0; round < rounds; round++)
			blows[i].blow(round);
		printf("%s: %u blows, %.1f ms each; calls %" PRIu64 ", refused %" PRIu64 "\n", blows[i].name, rounds,
		       (now() - start) * 1000 / rounds, atomic_load(&n_calls), atomic_load(&n_refused));
		(void)fflush(stdout);
	}
	atomic_store(&stopping, true);
	for (int i = 0; i < N_CALLERS; i++)
		(void)pthread_join(callers[i], NULL);
	if (atomic_load(&n_calls) != atomic_load(&n_returned) || atomic_load(&n_calls) == 0)
		failed("%" PRIu64 " calls, %" PRIu64 " returned", atomic_load(&n_calls), atomic_load(&n_returned));
	if (kill(dextd, 0) < 0)
		failed("dextd died");
	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	settles("user clients", count_user_clients, 0, user_clients);
	settles("processes of the realm", count_children, dextd, children);
	settles("descriptors of dextd", count_fds, dextd, fds);
	settles("shared memory of dextd", count_memfds, dextd, memfds);
	printf("passed: %u blows of each of %zu kinds\n", rounds, sizeof blows / sizeof *blows);
	return 0;
}
