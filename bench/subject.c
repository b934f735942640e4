/* SPDX-License-Identifier: MIT */
/* The commands of a subject: slices, idle calls, counters. */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "subject.h"

#define WARM_UP_NS         200000000u
#define WARM_UP_OPERATIONS 2000u
/* What a slice does before its time begins: caches and the other side's sleep are as in the middle
 * of it. */
#define LEAD_IN_OPERATIONS 20u
#define LEAD_IN_NS         200000u
/* The clock is read once in about this time: reading it costs as much as the shortest operations.
 */
#define BATCH_NS       10000u
#define MAX_BATCH      1024u
#define MAX_IDLE_COUNT 100000u

struct bench_counters {
	FILE *out;
	unsigned n;
};

struct run {
	const struct bench_subject *subject;
	unsigned batch; /* operations between two looks at the clock */
	uint64_t operations, slices;
};

void
bench_add_server(struct bench_subject *subject, pid_t pid)
{
	if (subject->n_servers == BENCH_MAX_SERVERS)
		bench_fail("more than %u servers", BENCH_MAX_SERVERS);
	subject->servers[subject->n_servers++] = pid;
}

void
bench_count(struct bench_counters *counters, const char *name, uint64_t value)
{
	fprintf(counters->out, "%s\"%s\": %" PRIu64, counters->n++ ? ", " : "", name, value);
}

void
bench_count_real(struct bench_counters *counters, const char *name, double value)
{
	fprintf(counters->out, "%s\"%s\": %.3f", counters->n++ ? ", " : "", name, value);
}

static uint64_t
cpu_of_servers(const struct bench_subject *subject)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < subject->n_servers; i++)
		sum += bench_cpu_of_ns(subject->servers[i]);
	return sum;
}

/* One call of the operation; how many operations it was. */
static uint64_t
operate(struct run *run)
{
	int done = run->subject->operation(run->subject->context);

	if (done < 0)
		bench_fail("operation %" PRIu64 " failed: %s", run->operations + 1,
			   strerror(-done));
	if (done == 0)
		done = 1;
	run->operations += (uint64_t)done;
	return (uint64_t)done;
}

static void
turn(int (*hook)(void *), void *context, const char *what)
{
	int r = hook ? hook(context) : 0;

	if (r < 0)
		bench_fail("cannot %s: %s", what, strerror(-r));
}

static void
resume(const struct run *run)
{
	turn(run->subject->resume, run->subject->context, "resume");
}

static void
pause_servers(const struct run *run)
{
	turn(run->subject->pause, run->subject->context, "pause");
}

static void
warm_up(struct run *run)
{
	uint64_t start, elapsed, calls = 0;

	resume(run);
	start = bench_now_ns();
	do {
		(void)operate(run);
		calls++;
		elapsed = bench_now_ns() - start;
	} while (elapsed < WARM_UP_NS && calls < WARM_UP_OPERATIONS);
	/* Again, without what the first ones cost. */
	start = bench_now_ns();
	calls = 0;
	do {
		(void)operate(run);
		calls++;
		elapsed = bench_now_ns() - start;
	} while (elapsed < LEAD_IN_NS && calls < MAX_BATCH);
	pause_servers(run);
	run->batch = (unsigned)(BATCH_NS * calls / (elapsed ? elapsed : 1));
	if (run->batch < 1)
		run->batch = 1;
	if (run->batch > MAX_BATCH)
		run->batch = MAX_BATCH;
}

static void
slice(struct run *run, uint64_t ns)
{
	uint64_t start, now, n = 0, client, server;

	resume(run);
	start = bench_now_ns();
	for (unsigned i = 0; i < LEAD_IN_OPERATIONS && bench_now_ns() - start < LEAD_IN_NS; i++)
		(void)operate(run);
	client = bench_cpu_self_ns();
	server = cpu_of_servers(run->subject);
	start = bench_now_ns();
	do {
		for (unsigned i = 0; i < run->batch; i++)
			n += operate(run);
		now = bench_now_ns();
	} while (now - start < ns);
	client = bench_cpu_self_ns() - client;
	server = cpu_of_servers(run->subject) - server;
	pause_servers(run);
	run->slices++;
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", n, now - start, client, server);
}

static int
compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static int
idle(struct run *run, uint64_t gap_ns, unsigned count)
{
	const struct bench_subject *subject = run->subject;
	uint64_t *latencies;
	int r = 0;

	if (count < 1 || count > MAX_IDLE_COUNT)
		return -EINVAL;
	latencies = calloc(count, sizeof *latencies);
	if (!latencies)
		return -ENOMEM;
	resume(run);
	if (subject->idle) {
		r = subject->idle(subject->context, gap_ns, count, latencies);
		run->operations += count;
	}
	for (unsigned i = 0; i < count && !subject->idle; i++) {
		uint64_t start;
		bench_sleep_ns(gap_ns);
		start = bench_now_ns();
		(void)operate(run);
		latencies[i] = bench_now_ns() - start;
	}
	pause_servers(run);
	qsort(latencies, count, sizeof *latencies, compare);
	if (r == 0)
		printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", latencies[count / 2],
		       latencies[count * 99ull / 100], latencies[count - 1]);
	free(latencies);
	return r;
}

static void
print_counters(const struct run *run)
{
	struct bench_counters counters = { .out = stdout };

	putchar('{');
	bench_count(&counters, "operations", run->operations);
	bench_count(&counters, "slices", run->slices);
	if (run->subject->counters)
		run->subject->counters(run->subject->context, &counters);
	printf("}\n");
}

static void
answer(struct run *run, const char *line)
{
	uint64_t ns;
	unsigned count;
	int r = 0;

	if (sscanf(line, "slice %" SCNu64, &ns) == 1)
		slice(run, ns);
	else if (sscanf(line, "idle %" SCNu64 " %u", &ns, &count) == 2)
		r = idle(run, ns, count);
	else if (strcmp(line, "counters\n") == 0)
		print_counters(run);
	else
		r = -EINVAL;
	if (r < 0)
		bench_fail("%.*s: %s", (int)strcspn(line, "\n"), line, strerror(-r));
	(void)fflush(stdout);
}

int
bench_main(const struct bench_subject *subject)
{
	struct run run = { .subject = subject };
	char line[256];

	(void)prctl(PR_SET_TIMERSLACK, 1);
	(void)signal(SIGPIPE, SIG_IGN);
	warm_up(&run);
	printf("ready\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		answer(&run, line);
	for (unsigned i = 0; i < subject->n_servers; i++) {
		/* Of a stranger waitpid says ECHILD, and it is left alone. */
		if (waitpid(subject->servers[i], NULL, WNOHANG) == 0) {
			(void)kill(subject->servers[i], SIGKILL);
			(void)waitpid(subject->servers[i], NULL, 0);
		}
	}
	return 0;
}
