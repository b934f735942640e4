/* SPDX-License-Identifier: MIT */
/* traps-client [--list] [--strict] [NAME…]: runs the traps of these names or numbers, or all that leave the driver alive. */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ambidext/realm.h>

#include "rig.h"

#define PATIENCE_S 3
#define CLOSING_S  0.2

static uint64_t log_from; /* lines after this one are of the trap that runs */

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the realm's log ---- */

static bool
line_says(CFDictionaryRef line, const char *rule, const char *const said[MAX_SAID])
{
	CFStringRef its_rule = CFDictionaryGetValue(line, CFSTR("rule"));
	CFStringRef its_text = CFDictionaryGetValue(line, CFSTR("text"));
	char id[32] = "", text[2048] = "";

	if (!its_rule || !its_text || !CFStringGetCString(its_rule, id, sizeof id, kCFStringEncodingUTF8) ||
	    !CFStringGetCString(its_text, text, sizeof text, kCFStringEncodingUTF8) || strcmp(id, rule) != 0)
		return false;
	for (unsigned i = 0; i < MAX_SAID && said[i]; i++)
		if (!strstr(text, said[i]))
			return false;
	return true;
}

static uint64_t
log_end(void)
{
	CFArrayRef lines = NULL;
	uint64_t next = 0;

	if (adx_copy_log(0, NULL, &lines, &next) == kIOReturnSuccess)
		CFRelease(lines);
	return next;
}

static bool
log_says(const char *rule, const char *const said[MAX_SAID])
{
	CFArrayRef lines = NULL;
	uint64_t next;
	bool found = false;

	if (adx_copy_log(log_from, NULL, &lines, &next) != kIOReturnSuccess)
		return false;
	for (CFIndex i = 0; i < CFArrayGetCount(lines) && !found; i++)
		found = line_says(CFArrayGetValueAtIndex(lines, i), rule, said);
	CFRelease(lines);
	return found;
}

static void
log_show(void)
{
	CFArrayRef lines = NULL;
	uint64_t next;
	char text[2048];

	if (adx_copy_log(log_from, NULL, &lines, &next) != kIOReturnSuccess)
		return;
	for (CFIndex i = 0; i < CFArrayGetCount(lines); i++)
		if (CFStringGetCString(CFDictionaryGetValue(CFArrayGetValueAtIndex(lines, i), CFSTR("text")), text, sizeof text,
				       kCFStringEncodingUTF8))
			printf("    log: %s\n", text);
	CFRelease(lines);
}

static bool
is_told_within(double seconds, const char *rule, const char *const said[MAX_SAID])
{
	double until = now() + seconds;
	bool found;

	/* A line travels through the driver's standard error to dextd: each look is a round trip to where it arrives. */
	while (!(found = log_says(rule, said)) && now() < until)
		(void)poll(NULL, 0, 1);
	return found;
}

bool
rig_is_told(const char *rule, const char *const said[MAX_SAID])
{
	return is_told_within(PATIENCE_S, rule, said);
}

/* ---- services, callbacks ---- */

io_connect_t
rig_open(const char *name)
{
	double until = now() + PATIENCE_S;
	io_connect_t connection = 0;

	do {
		io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(name));
		if (service && IOServiceOpen(service, mach_task_self(), 0, &connection) != kIOReturnSuccess)
			connection = 0;
		if (service)
			IOObjectRelease(service);
		else
			(void)poll(NULL, 0, 1);
	} while (!connection && now() < until);
	return connection;
}

void
rig_run(struct rig *rig, unsigned n)
{
	struct pollfd fd = { .fd = adx_notification_port_get_fd(rig->port), .events = POLLIN };
	double until = now() + PATIENCE_S;

	while (rig->n_calls < n && now() < until) {
		(void)poll(&fd, 1, 100);
		(void)adx_notification_port_dispatch(rig->port);
	}
}

static void
called(struct rig *rig, IOReturn result, uint32_t n_args, uint64_t first)
{
	rig->n_calls++;
	rig->result = result;
	rig->n_args = n_args;
	rig->first_arg = first;
}

static void
called_0(void *refcon, IOReturn result)
{
	called(refcon, result, 0, 0);
}

static void
called_1(void *refcon, IOReturn result, void *arg0)
{
	called(refcon, result, 1, (uintptr_t)arg0);
}

static void
called_2(void *refcon, IOReturn result, void *arg0, void *arg1)
{
	called(refcon, result, 2, (uintptr_t)arg0);
}

static void
called_more(void *refcon, IOReturn result, void **args, uint32_t numArgs)
{
	called(refcon, result, numArgs, numArgs ? (uintptr_t)args[0] : 0);
}

void
rig_reference(struct rig *rig, unsigned n_words, uint64_t reference[8])
{
	static void *const forms[] = { (void *)called_0, (void *)called_1, (void *)called_2, (void *)called_more };

	memset(reference, 0, 8 * sizeof *reference);
	reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)forms[n_words < 3 ? n_words : 3];
	reference[kIOAsyncCalloutRefconIndex] = (uintptr_t)rig;
}

kern_return_t
rig_call_async(struct rig *rig, uint32_t selector, unsigned n_words)
{
	uint64_t reference[8];

	rig_reference(rig, n_words, reference);
	return IOConnectCallAsyncScalarMethod(rig->connection, selector, IONotificationPortGetMachPort(rig->port), reference,
					      kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
}

/* ---- the table's runner ---- */

/* `dext explain` has something to say about it. */
static bool
is_explained(const struct trap *trap)
{
	char id[16];
	struct adx_rule rule;

	(void)snprintf(id, sizeof id, "%.*s", (int)strcspn(trap->name, ":"), trap->name);
	return adx_rule_find(id, &rule) == 0 && *rule.title && *rule.wanted && *rule.fix;
}

static int
fails(const struct trap *trap, const char *why)
{
	printf("FAIL %s: %s\n", trap->name, why);
	log_show();
	return 1;
}

static int
run(const struct trap *trap, bool strict)
{
	struct rig rig = { .strict = strict, .port = IONotificationPortCreate(kIOMainPortDefault) };
	kern_return_t wanted = !strict || trap->wanted_strict == 0 ? trap->wanted
			       : trap->wanted_strict == SUCCESS_WHEN_STRICT ? kIOReturnSuccess
									    : trap->wanted_strict;
	char why[256];
	int status = 0;

	log_from = log_end();
	if (!(trap->flags & TRAP_NO_SERVICE) && !(rig.connection = rig_open(trap->driver))) {
		IONotificationPortDestroy(rig.port);
		return fails(trap, "its service did not appear");
	}
	kern_return_t ret = trap->plant(&rig);
	/* What the driver has yet to run is not run once its client has closed. Some things are told at the close only. */
	if (rig.connection && trap->rule)
		(void)is_told_within(CLOSING_S, trap->rule, trap->said);
	if (rig.connection)
		IOServiceClose(rig.connection);
	if (ret != wanted) {
		(void)snprintf(why, sizeof why, "the caller got %#x (%s), not %#x (%s)", (unsigned)ret, mach_error_string(ret),
			       (unsigned)wanted, mach_error_string(wanted));
		status = fails(trap, why);
	} else if (rig.wrong) {
		status = fails(trap, rig.wrong);
	} else if (trap->rule && !rig_is_told(trap->rule, trap->said)) {
		(void)snprintf(why, sizeof why, "nothing says [%s] with '%s', '%s', '%s'", trap->rule, trap->said[0] ? trap->said[0] : "",
			       trap->said[1] ? trap->said[1] : "", trap->said[2] ? trap->said[2] : "");
		status = fails(trap, why);
	} else if (!is_explained(trap)) {
		status = fails(trap, "there is no such rule");
	} else {
		printf("ok   %s\n", trap->name);
	}
	IONotificationPortDestroy(rig.port);
	return status;
}

static bool
is_chosen(const struct trap *trap, int argc, char **argv, int first)
{
	for (int i = first; i < argc; i++) {
		size_t n = strlen(argv[i]);
		if (strncmp(trap->name, argv[i], n) == 0 && (trap->name[n] == ':' || strchr(argv[i], ':')))
			return true;
	}
	return first == argc && !(trap->flags & TRAP_DIES);
}

int
main(int argc, char **argv)
{
	const struct { const struct trap *traps; unsigned n; } tables[] = {
		{ call_traps, n_call_traps },
		{ object_traps, n_object_traps },
	};
	bool list = false, strict = false;
	int first = 1, failed = 0, n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
		list = list || strcmp(argv[first], "--list") == 0;
		strict = strict || strcmp(argv[first], "--strict") == 0;
	}
	for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++) {
		for (unsigned j = 0; j < tables[i].n; j++) {
			const struct trap *trap = &tables[i].traps[j];
			if (list && trap->flags & TRAP_DIES)
				printf("%s\n", trap->name);
			if (list || !is_chosen(trap, argc, argv, first))
				continue;
			n++;
			failed += run(trap, strict);
		}
	}
	if (!list)
		printf("%d of %d traps as they should be\n", n - failed, n);
	return !list && (failed || n == 0);
}
