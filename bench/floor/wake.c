/* SPDX-License-Identifier: MIT */
/* How long a bare eventfd takes to wake who waits for it. The server sends at the pace that `idle`
 * asks for, and notes when; what is measured is from there to the client that has read it. */

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "../subject.h"

#define STAMPS 4096u

struct shared {
	_Atomic uint64_t count, period_ns;
	_Atomic uint64_t sent_ns[STAMPS];
};

struct link {
	struct bench_options options;
	struct shared *shared;
	int request, event; /* eventfds */
	uint64_t received;
};

static void
serve(void *context)
{
	struct link *link = context;
	struct shared *shared = link->shared;
	uint64_t one = 1, n = 0;

	(void)prctl(PR_SET_TIMERSLACK, 1);
	while (read(link->request, &one, sizeof one) == sizeof one) {
		uint64_t period = atomic_load(&shared->period_ns), due = bench_now_ns();
		for (uint64_t i = atomic_load(&shared->count); i > 0; i--) {
			struct timespec time;
			due += period;
			time.tv_sec = (time_t)(due / 1000000000u);
			time.tv_nsec = (long)(due % 1000000000u);
			if (period > 0)
				(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
			one = 1;
			atomic_store(&shared->sent_ns[n++ % STAMPS], bench_now_ns());
			if (write(link->event, &one, sizeof one) != sizeof one)
				return;
		}
	}
}

/* A reader that is late finds several at once, and all of them were late. */
static int
paced(void *context, uint64_t gap_ns, unsigned count, uint64_t *ret_latencies)
{
	struct link *link = context;
	uint64_t one = 1, due;

	atomic_store(&link->shared->count, count);
	atomic_store(&link->shared->period_ns, gap_ns);
	if (write(link->request, &one, sizeof one) != sizeof one)
		return -errno;
	for (unsigned i = 0; i < count;) {
		if (read(link->event, &due, sizeof due) != sizeof due)
			return -errno;
		uint64_t now = bench_now_ns();
		for (; due > 0 && i < count; due--)
			ret_latencies[i++] =
				now -
				atomic_load(&link->shared->sent_ns[link->received++ % STAMPS]);
	}
	return 0;
}

static int
wake(void *context)
{
	uint64_t latency;

	return paced(context, 0, 1, &latency);
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct link *link = context;

	bench_count(counters, "events", link->received);
}

int
main(int argc, char **argv)
{
	struct link link = { 0 };
	struct bench_subject subject = {
		.operation = wake, .idle = paced, .counters = counters, .context = &link
	};

	bench_options(&argc, argv, &link.options);
	bench_no_more_options(argc, argv);
	link.shared = bench_shared(sizeof *link.shared);
	link.request = eventfd(0, EFD_CLOEXEC);
	link.event = eventfd(0, EFD_CLOEXEC);
	if (link.request < 0 || link.event < 0)
		bench_fail("eventfd: %m");
	bench_add_server(&subject, bench_fork(BENCH_SERVER, &link.options, serve, &link));
	bench_pin(BENCH_CLIENT, &link.options);
	return bench_main(&subject);
}
