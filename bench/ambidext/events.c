/* SPDX-License-Identifier: MIT */
/* A stream of completions of two words, in a run loop: time an event. The client asks for so many
 * at a time, so that nothing is on its way between two slices.
 * --slow: once, a client that does not look for a while, and more events than wait anywhere. */

#include <errno.h>
#include <string.h>

#include <ambidext/realm.h>

#include "client.h"

#define AT_A_TIME 2000u
/* Each is more than 64 bytes: several times what a ring and its queue hold. */
#define SLOW_EVENTS 50000u
#define SLOW_NS     300000000u

struct events {
	struct bench_client client;
	IONotificationPortRef port; /* owned */
	uint64_t next, wanted;      /* of this request */
	uint64_t events, lost, out_of_order;
	int slow;
};

static void
event(void *refcon, IOReturn result, void *arg0, void *arg1)
{
	struct events *events = refcon;
	uint64_t number = (uintptr_t)arg0;

	events->events++;
	if (number > events->next)
		events->lost += number - events->next;
	else if (number < events->next)
		events->out_of_order++;
	events->next = number + 1;
	if (events->next >= events->wanted)
		CFRunLoopStop(CFRunLoopGetCurrent());
}

static int
request(struct events *events, uint64_t n)
{
	events->next = 0;
	events->wanted = n;
	return bench_result(
		bench_call_async(&events->client, events->port, kBenchStream, event, events, &n, 1),
		"kBenchStream");
}

static int
receive(void *context)
{
	struct events *events = context;
	int r = request(events, AT_A_TIME);

	if (r == 0)
		r = bench_run_loop();
	if (r == 0 && !events->slow && (events->lost > 0 || events->out_of_order > 0))
		r = -EBADMSG;
	return r < 0 ? r : (int)AT_A_TIME;
}

/* Lines of the realm's log that tell of dropped messages. */
static uint64_t
told(void)
{
	CFArrayRef lines = NULL;
	uint64_t next = 0, n = 0;

	if (adx_copy_log(0, NULL, &lines, &next) != kIOReturnSuccess)
		return 0;
	for (CFIndex i = 0; i < CFArrayGetCount(lines); i++) {
		CFStringRef rule =
			CFDictionaryGetValue(CFArrayGetValueAtIndex(lines, i), CFSTR("rule"));
		const char *text = rule ? CFStringGetCStringPtr(rule, kCFStringEncodingUTF8) : NULL;
		n += text && strcmp(text, "CHN003") == 0;
	}
	CFRelease(lines);
	return n;
}

static void
slow_client(struct events *events, struct bench_counters *counters)
{
	uint64_t lost = events->lost, seen = events->events, reports;

	if (request(events, SLOW_EVENTS) < 0)
		return;
	bench_sleep_ns(SLOW_NS);
	/* The last ones may be among the lost: then nothing more comes. */
	(void)bench_run_loop();
	lost = events->lost - lost + (SLOW_EVENTS - events->next);
	reports = told();
	bench_count(counters, "slow_sent", SLOW_EVENTS);
	bench_count(counters, "slow_received", events->events - seen);
	bench_count(counters, "slow_lost", lost);
	bench_count(counters, "slow_told", reports);
	bench_count(counters, "lost_untold", reports > 0 ? 0 : lost);
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct events *events = context;

	if (events->slow)
		slow_client(events, counters);
	bench_count(counters, "events", events->events);
	bench_count(counters, "lost", events->lost);
	bench_count(counters, "out_of_order", events->out_of_order);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct events events = { 0 };
	struct bench_subject subject = { .operation = receive,
					 .counters = counters,
					 .context = &events };
	int status;

	bench_enter_realm(argv, NULL);
	bench_options(&argc, argv, &options);
	events.slow = bench_option_flag(&argc, argv, "--slow");
	bench_no_more_options(argc, argv);
	bench_client_open(&events.client, &options);
	events.port = bench_port();
	bench_add_server(&subject, events.client.driver);
	status = bench_main(&subject);
	IOServiceClose(events.client.connection);
	IONotificationPortDestroy(events.port);
	return status;
}
