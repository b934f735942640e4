/* SPDX-License-Identifier: MIT */
/* plug_test DRIVER.dext CYCLES [SEED [--json]]: devices come and go, and eight listeners in four
 * processes hear each of them once, in order.
 *
 * Runs inside a realm. Most cycles wait until everybody has heard; others come in storms, two
 * devices with one serial number at once, with a driver, and with the plug pulled while that
 * matches, starts and is opened. Afterwards dextd and usbhost have what they had. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../faults/rig.h"
#include "listener.h"

enum { LAG = 128 };
enum kind { CALM, STORM, TWINS, DRIVEN, CUT, KINDS };
static const char *const kind_names[KINDS] = { "calm", "storm", "twins", "driven", "cut short" };

static struct {
	struct listeners *listeners;
	uint32_t n_plugged, n_unplugged, max;
	uint64_t *plugged, *unplugged; /* owned: entry ids, in order */
	bool *was_calm;                /* owned: everybody had heard before it went */
	uint64_t n_of[KINDS];
	uint64_t n_opened;
} test;

static uint64_t
attach(const char *what)
{
	CFStringRef text = CFStringCreateWithCString(NULL, what, kCFStringEncodingUTF8),
		    problem = NULL;
	uint64_t id = 0;
	kern_return_t ret = adx_device_attach(text, &id, &problem);

	if (ret != kIOReturnSuccess)
		rig_failed("attach %s: %s %s", what, mach_error_string(ret),
			   problem ? CFStringGetCStringPtr(problem, kCFStringEncodingUTF8) : "");
	CFRelease(text);
	test.plugged[test.n_plugged++] = id;
	return id;
}

static void
detach(const char *what, uint64_t id)
{
	CFStringRef text = CFStringCreateWithCString(NULL, what, kCFStringEncodingUTF8),
		    problem = NULL;
	kern_return_t ret = adx_device_detach(text, &problem);

	if (ret != kIOReturnSuccess)
		rig_failed("detach %s: %s %s", what, mach_error_string(ret),
			   problem ? CFStringGetCStringPtr(problem, kCFStringEncodingUTF8) : "");
	CFRelease(text);
	test.unplugged[test.n_unplugged++] = id;
}

/* "0x00100000": how `dext detach` tells two alike apart. */
static void
location_of(uint64_t id, char text[32])
{
	io_service_t service =
		IOServiceGetMatchingService(kIOMainPortDefault, IORegistryEntryIDMatching(id));
	CFNumberRef number =
		service ? IORegistryEntryCreateCFProperty(service, CFSTR("locationID"), NULL, 0)
			: NULL;
	int64_t location = 0;

	if (!number || !CFNumberGetValue(number, kCFNumberSInt64Type, &location))
		rig_failed("device %#" PRIx64 " has no locationID", id);
	(void)snprintf(text, 32, "0x%08x", (unsigned)location);
	CFRelease(number);
	(void)IOObjectRelease(service);
}

/* ---------------------------------------------------------------------------------------------
 * What everybody has to hear
 */

static uint64_t
last_heard(const struct sequence *sequence)
{
	uint32_t n = atomic_load(&sequence->n);

	return n > 0 && n <= test.max ? sequence->ids[n - 1] : 0;
}

/* All came; late ones skip what went before its matching ended, so the last one counts. */
static bool
all_came(struct listeners *listeners, void *unused __attribute__((unused)))
{
	for (unsigned i = 0; i < LISTENERS; i++) {
		const struct sequence *came = &listeners->heard[i][CAME];

		if (listener_is_late(i) ? last_heard(came) != test.plugged[test.n_plugged - 1]
					: atomic_load(&came->n) < test.n_plugged)
			return false;
	}
	return true;
}

static bool
all_went(struct listeners *listeners, void *lag)
{
	for (unsigned i = 0; i < LISTENERS; i++)
		if (atomic_load(&listeners->heard[i][WENT].n) + *(uint32_t *)lag < test.n_unplugged)
			return false;
	return true;
}

/* The end of a sequence, beside what was done. */
static void
tell_last(const char *what, const uint64_t *ids, uint32_t n)
{
	fprintf(stderr, "  %s %u:", what, n);
	for (uint32_t i = n > 4 ? n - 4 : 0; i < n && i < test.max; i++)
		fprintf(stderr, " %#" PRIx64, ids[i]);
	fprintf(stderr, "\n");
}

static void
tell_state(void)
{
	tell_last("plugged", test.plugged, test.n_plugged);
	tell_last("unplugged", test.unplugged, test.n_unplugged);
	for (unsigned i = 0; i < LISTENERS; i++) {
		struct sequence *heard = test.listeners->heard[i];

		fprintf(stderr, "listener %u (%s):\n", i, listener_kind(i));
		tell_last("came", heard[CAME].ids, atomic_load(&heard[CAME].n));
		tell_last("went", heard[WENT].ids, atomic_load(&heard[WENT].n));
		tell_last("messages", heard[MESSAGE].ids, atomic_load(&heard[MESSAGE].n));
	}
}

static void
wait_came(void)
{
	if (!listeners_wait(test.listeners, all_came, NULL)) {
		tell_state();
		rig_failed("a listener does not hear of device %u", test.n_plugged);
	}
	test.was_calm[test.n_plugged - 1] = true;
}

static void
wait_went(uint32_t lag)
{
	if (!listeners_wait(test.listeners, all_went, &lag)) {
		tell_state();
		rig_failed("a listener does not hear of the end of device %u", test.n_unplugged);
	}
}

/* @p heard is @p wanted, each once and in order; @p may_miss: some may be left out, but those of
 * was_calm. */
static void
check_sequence(unsigned listener, const char *what, const struct sequence *heard,
	       const uint64_t *wanted, uint32_t n_wanted, bool may_miss)
{
	uint32_t n = atomic_load(&heard->n), at = 0;

	for (uint32_t i = 0; i < n_wanted; i++) {
		if (at < n && heard->ids[at] == wanted[i])
			at++;
		else if (!may_miss || test.was_calm[i])
			rig_failed("listener %u (%s): %s %u is %#" PRIx64
				   ", and it heard %#" PRIx64,
				   listener, listener_kind(listener), what, i, wanted[i],
				   at < n ? heard->ids[at] : 0);
	}
	if (at != n)
		rig_failed("listener %u (%s): %s: it heard %u, %u of them in order", listener,
			   listener_kind(listener), what, n, at);
}

static bool
all_messages(struct listeners *listeners, void *n_calm)
{
	for (unsigned i = 0; i < LISTENERS; i++)
		if (listener_has_interest(i) &&
		    atomic_load(&listeners->heard[i][MESSAGE].n) < *(uint32_t *)n_calm)
			return false;
	return true;
}

static int
by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
check_all(void)
{
	uint32_t n_calm = 0;

	for (uint32_t i = 0; i < test.n_plugged; i++)
		n_calm += test.was_calm[i];
	if (!listeners_wait(test.listeners, all_messages, &n_calm))
		tell_state();
	for (unsigned i = 0; i < LISTENERS; i++) {
		struct sequence *heard = test.listeners->heard[i];
		uint32_t n = atomic_load(&heard[MESSAGE].n);

		check_sequence(i, "arrival", &heard[CAME], test.plugged, test.n_plugged,
			       listener_is_late(i));
		check_sequence(i, "end", &heard[WENT], test.unplugged, test.n_unplugged, false);
		if (!listener_has_interest(i))
			continue;
		/* It is the last word of a service, after its driver's Stop, so one without a
		 * driver is sooner. */
		qsort(heard[MESSAGE].ids, n < test.max ? n : test.max, sizeof(uint64_t), by_id);
		check_sequence(i, "message", &heard[MESSAGE], test.plugged, test.n_plugged, true);
	}
}

/* ---------------------------------------------------------------------------------------------
 * Cycles
 */

static void
calm(void)
{
	uint64_t id = attach("model:loopback");

	wait_came();
	detach("model:loopback", id);
	wait_went(0);
}

static void
storm(void)
{
	uint64_t id = attach("model:loopback");

	detach("model:loopback", id);
	wait_went(LAG); /* what a port holds is bounded */
}

static void
twins(void)
{
	char first[32], second[32];
	uint64_t one = attach("model:loopback,serial=7"), other = attach("model:loopback,serial=7");

	location_of(one, first);
	location_of(other, second);
	if (one == other || !strcmp(first, second))
		rig_failed("two devices are one");
	if (rig_random_below(2)) {
		detach(first, one);
		wait_went(0);
		detach(second, other);
	} else {
		detach(second, other);
		wait_went(0); /* or the order in which both went were not to be seen: listener.c */
		detach(first, one);
	}
	wait_went(0);
}

static bool
try_open(const char *name)
{
	io_service_t service =
		IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(name));
	io_connect_t connection = IO_OBJECT_NULL;
	bool opened = service &&
		      IOServiceOpen(service, mach_task_self(), 0, &connection) == kIOReturnSuccess;

	if (service)
		(void)IOObjectRelease(service);
	if (opened)
		(void)IOServiceClose(connection);
	return opened;
}

static void
driven(void)
{
	uint64_t id = attach("model:sensor");

	wait_came();
	rig_must_come_back("TransferDriver", "plugging in");
	test.n_opened++;
	detach("model:sensor", id);
	wait_went(0);
}

/* The plug is pulled while the driver matches, starts or is opened. */
static void
cut(void)
{
	uint64_t id = attach("model:sensor");
	double until = rig_now() + (double)rig_random_below(30000) / 1e6;

	while (rig_now() < until)
		test.n_opened += try_open("TransferDriver");
	detach("model:sensor", id);
	wait_went(0);
}

static enum kind
draw_kind(uint32_t cycle)
{
	if (cycle % 100 == 50)
		return DRIVEN;
	if (cycle % 100 == 75)
		return CUT;
	return cycle / 16 % 4 == 1 ? STORM : cycle % 16 == 3 ? TWINS : CALM;
}

static void
run_cycles(uint32_t from, uint32_t to)
{
	static void (*const cycles[KINDS])(void) = { calm, storm, twins, driven, cut };

	for (uint32_t i = from; i < to; i++) {
		enum kind kind = draw_kind(i);

		cycles[kind]();
		test.n_of[kind]++;
		if (i % 1000 == 999)
			fprintf(stderr, "%u cycles\n", i + 1);
	}
	wait_went(0);
}

/* ---------------------------------------------------------------------------------------------
 * What is left
 */

static unsigned
count_entries(pid_t unused __attribute__((unused)))
{
	return rig_count_services("IOService");
}

static unsigned
resident_kib(pid_t pid)
{
	char path[64], line[256];
	unsigned kib = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmRSS: %u", &kib) == 1)
			break;
	if (file)
		(void)fclose(file);
	return kib;
}

static const struct {
	const char *name;
	unsigned (*count)(pid_t pid);
	bool of_host;
} counts[] = {
	{ "registry entries", count_entries, false },
	{ "processes of the realm", rig_count_children, false },
	{ "descriptors of dextd", rig_count_fds, false },
	{ "shared memory of dextd", rig_count_memfds, false },
	{ "descriptors of usbhost", rig_count_fds, true },
	{ "shared memory of usbhost", rig_count_memfds, true },
};
enum { COUNTS = sizeof counts / sizeof counts[0] };

static void
print_json(double seconds, uint32_t cycles, unsigned leaked, int dextd_kib, int host_kib)
{
	uint64_t n_heard = 0;

	for (unsigned i = 0; i < LISTENERS; i++)
		for (unsigned what = 0; what < HEARD; what++)
			n_heard += atomic_load(&test.listeners->heard[i][what].n);
	printf("{\"id\":\"R8\",\"measure\":\"plug/unplug cycles, none lost or doubled, in order "
	       "for 8 listeners\",\"value\":%u,"
	       "\"unit\":\"cycles\",\"op\":\">=\",\"bar\":%u,\"counters\":{\"plugged\":%u,"
	       "\"unplugged\":%u,\"heard\":%" PRIu64 ",\"storms\":%" PRIu64 ",\"twins\":%" PRIu64
	       ",\"driven\":%" PRIu64 ",\"cut\":%" PRIu64 ",\"opened\":%" PRIu64
	       ",\"seconds\":%.0f}}\n",
	       cycles, cycles, test.n_plugged, test.n_unplugged, n_heard, test.n_of[STORM],
	       test.n_of[TWINS], test.n_of[DRIVEN], test.n_of[CUT], test.n_opened, seconds);
	printf("{\"id\":\"R13\",\"measure\":\"left over after the cycles: entries, processes, "
	       "descriptors, mappings\",\"value\":%u,"
	       "\"unit\":\"things\",\"op\":\"==\",\"bar\":0,\"counters\":{\"plugged\":%u}}\n",
	       leaked, test.n_plugged);
	printf("{\"id\":\"R13\",\"measure\":\"resident memory of dextd, growth after "
	       "warm-up\",\"value\":%d,\"unit\":\"KiB\",\"op\":\"<\","
	       "\"bar\":1024,\"counters\":{\"plugged\":%u}}\n",
	       dextd_kib, test.n_plugged);
	printf("{\"id\":\"R13\",\"measure\":\"resident memory of usbhost, growth after "
	       "warm-up\",\"value\":%d,\"unit\":\"KiB\",\"op\":\"<\","
	       "\"bar\":1024,\"counters\":{\"plugged\":%u}}\n",
	       host_kib, test.n_plugged);
}

int
main(int argc, char **argv)
{
	uint32_t cycles = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;
	bool json = argc > 4 && !strcmp(argv[4], "--json");
	mach_timespec_t wait = { .tv_sec = 30 };
	unsigned before[COUNTS], leaked = 0, n;

	if (cycles == 0) {
		fprintf(stderr, "usage: plug_test DRIVER.dext CYCLES [SEED [--json]]\n");
		return 2;
	}
	rig_seed = argc > 3 ? strtoull(argv[3], NULL, 0) | 1 : 1;
	test.max = 4 * cycles + 512;
	test.listeners = listeners_start(test.max);
	test.plugged = calloc(test.max, sizeof *test.plugged);
	test.unplugged = calloc(test.max, sizeof *test.unplugged);
	test.was_calm = calloc(test.max, sizeof *test.was_calm);
	if (!test.listeners || !test.plugged || !test.unplugged || !test.was_calm)
		rig_failed("the listeners cannot be started");
	rig_load_bundle(argv[1]);
	/* Until the log is full, and what is kept for reuse is there. */
	run_cycles(0, cycles / 4 + 100);
	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	pid_t dextd = rig_dextd_pid(), host = rig_pid_of("usbhost");
	for (unsigned i = 0; i < COUNTS; i++)
		before[i] = counts[i].count(counts[i].of_host ? host : dextd);
	unsigned dextd_kib = resident_kib(dextd), host_kib = resident_kib(host);
	double start = rig_now();
	run_cycles(0, cycles);
	double seconds = rig_now() - start;
	(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
	for (unsigned i = 0; i < COUNTS; i++)
		rig_settles(counts[i].name, counts[i].count, counts[i].of_host ? host : dextd,
			    before[i]);
	for (unsigned i = 0; i < COUNTS; i++)
		if ((n = counts[i].count(counts[i].of_host ? host : dextd)) > before[i])
			leaked += n - before[i];
	check_all();
	int dextd_growth = (int)resident_kib(dextd) - (int)dextd_kib,
	    host_growth = (int)resident_kib(host) - (int)host_kib;
	if (json)
		print_json(seconds, cycles, leaked, dextd_growth, host_growth);
	else
		printf("%u cycles in %.1f s: plugged %u; %s %" PRIu64 ", %s %" PRIu64
		       ", %s %" PRIu64 ", %s %" PRIu64 ", %s %" PRIu64 "; opened %" PRIu64
		       "; growth of dextd %d KiB, of usbhost %d KiB\n",
		       cycles, seconds, test.n_plugged, kind_names[CALM], test.n_of[CALM],
		       kind_names[STORM], test.n_of[STORM], kind_names[TWINS], test.n_of[TWINS],
		       kind_names[DRIVEN], test.n_of[DRIVEN], kind_names[CUT], test.n_of[CUT],
		       test.n_opened, dextd_growth, host_growth);
	for (unsigned kind = 0; kind < KINDS; kind++)
		if (test.n_of[kind] == 0)
			rig_failed("no cycle was %s", kind_names[kind]);
	if (!listeners_end(test.listeners))
		rig_failed("a listener died");
	return 0;
}
