/* SPDX-License-Identifier: MIT */
/* Faults by a schedule, until so many have happened, while clients work; between batches everything
 * is counted.
 *
 * Runs in a realm under tests/faults/inject. Arguments: SOAK.dext, faults wanted, seconds at most
 * (0: none). Figures go to standard output, as tests/soak/run wants them. */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include <ambidext/realm.h>

#include "inject/shared.h"
#include "judge.h"
#include "rig.h"
#include "work.h"

#define N_WORKERS        4u
#define STUCK_SECONDS    60u
#define TRIES            3u
#define PATIENCE_SECONDS 5.0
#define WARM_CALLS       8000u
#define FULL_SIZE        20000u

static struct fault_shared *shared;
static const char *soak_bundle;
static pid_t dextd;
static int dextd_fd; /* readable when it has ended */
static uint64_t n_batches, n_plugs, n_repairs;

/* What dextd and usbhost have when nothing runs. */
struct held {
	unsigned fds, memfds, children, user_clients, services;
	int64_t blocks;
	uint64_t rss_kb;
};

static void
stuck(int number __attribute__((unused)))
{
	static const char text[] = "FAILED: a call or a callback did not come\n";

	(void)!write(2, text, sizeof text - 1);
	work_print_stuck();
	ledger_print_open(getenv("AMBIDEXT_LEDGER"), stderr);
	abort();
}

static uint64_t
activated(enum fault_kind kind)
{
	uint64_t n = 0;

	for (unsigned role = 0; role < ROLES; role++)
		n += atomic_load(&shared->activated[role][kind]);
	return n;
}

static uint64_t
all_activated(void)
{
	uint64_t n = n_plugs;

	for (unsigned kind = 0; kind < FAULT_KINDS; kind++)
		n += activated((enum fault_kind)kind);
	return n;
}

static uint64_t
rss_kb(pid_t pid)
{
	char line[256];
	uint64_t kb = 0;

	(void)snprintf(line, sizeof line, "/proc/%d/status", (int)pid);
	FILE *file = fopen(line, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmRSS: %" SCNu64, &kb) == 1)
			break;
	if (file)
		(void)fclose(file);
	return kb;
}

static kern_return_t
copy_log(uint64_t after, CFArrayRef *ret_lines, uint64_t *ret_next)
{
	return adx_copy_log(after, NULL, ret_lines, ret_next);
}

/* Of the realm's log, or of who opened what, that dextd keeps: a block each. */
static int64_t
count_lines(kern_return_t (*copy)(uint64_t after, CFArrayRef *ret_lines, uint64_t *ret_next))
{
	uint64_t next = 0, after;
	CFArrayRef lines = NULL;
	int64_t n = 0;

	do {
		after = next;
		if (copy(after, &lines, &next) != kIOReturnSuccess)
			return n;
		n += CFArrayGetCount(lines);
		CFRelease(lines);
	} while (next != after);
	return n;
}

/* Of dextd, once it has freed what its last answers took. */
static int64_t
settled_blocks(void)
{
	int64_t before = -1, now = atomic_load(&shared->blocks[ROLE_DEXTD]);

	for (unsigned same = 0; same < 3; same = now == before ? same + 1 : 0) {
		(void)usleep(2000);
		before = now;
		now = atomic_load(&shared->blocks[ROLE_DEXTD]);
	}
	return now;
}

static void
look_at(struct held *ret_held)
{
	const int64_t blocks = settled_blocks();

	*ret_held = (struct held){
		.fds = rig_count_fds(dextd),
		.memfds = rig_count_memfds(dextd),
		.children = rig_count_children(dextd),
		.user_clients = rig_count_user_clients(0),
		.services = rig_count_services("IOService"),
		.blocks = blocks - count_lines(copy_log) - count_lines(adx_copy_audit),
		.rss_kb = rss_kb(dextd),
	};
}

static void
must_live(void)
{
	struct pollfd fd = { .fd = dextd_fd, .events = POLLIN };

	if (poll(&fd, 1, 0) != 0)
		rig_failed("dextd died after %" PRIu64 " faults", all_activated());
}

static bool
is_clear(void)
{
	return rig_count_services("IOUSBHostDevice") == 0 && rig_pid_of("org.example.Soak") == 0 &&
	       rig_count_services("IOUserService") == 0;
}

/* Everything that was started has ended: no device, no driver. A device that stays because its
 * going was not told, for want of memory, goes with its host, which dextd starts again. */
static void
clear(void)
{
	mach_timespec_t wait = { .tv_sec = 5 };
	double start = rig_now();
	bool repaired = false;

	rig_unload_bundle("org.example.Soak");
	while (!is_clear()) {
		must_live();
		(void)rig_detach_all();
		(void)IOKitWaitQuiet(kIOMainPortDefault, &wait);
		(void)usleep(2000);
		if (!repaired && rig_now() > start + PATIENCE_SECONDS) {
			repaired = true;
			n_repairs++;
			(void)kill(rig_pid_of("usbhost"), SIGKILL);
		}
		if (rig_now() < start + BACK_WITHIN_SECONDS)
			continue;
		(void)!system("ioreg -w0 | cut -c1-150 >&2; dext list >&2");
		rig_failed("after %" PRIu64 " faults %u processes and %u devices do not go away",
			   all_activated(), rig_count_children(dextd),
			   rig_count_services("IOUSBHostDevice"));
	}
}

static void
prepare(void)
{
	io_connect_t connection = IO_OBJECT_NULL;

	for (unsigned i = 0; i < TRIES && !connection; i++) {
		if (i > 0) {
			n_repairs++;
			clear();
		}
		rig_load_bundle(soak_bundle);
		if (rig_count_services("IOUSBHostDevice") == 0)
			rig_plug();
		connection = rig_connect_within("SoakDriver", PATIENCE_SECONDS);
	}
	if (!connection)
		rig_failed("after %" PRIu64 " faults no driver starts any more", all_activated());
	(void)IOServiceClose(connection);
}

static void
judge(struct ledger_total *ret_total)
{
	const char *dir = getenv("AMBIDEXT_LEDGER");
	const double until = rig_now() + PATIENCE_SECONDS;
	int r;

	/* What is under way ends; what is lost stays so. */
	while ((r = ledger_judge(dir, false, 0, ret_total)) == 0 && ledger_faults(ret_total) > 0 &&
	       rig_now() < until)
		(void)usleep(2000);
	if (r == 0 && ledger_faults(ret_total) > 0) {
		ledger_print(ret_total, stderr);
		ledger_print_open(dir, stderr);
		rig_failed("after %" PRIu64 " faults the ledger does not balance", all_activated());
	}
	if (r == 0)
		r = ledger_judge(dir, true, 0, ret_total);
	if (r < 0)
		rig_failed("the ledger cannot be judged: %s", strerror(-r));
}

/* The device goes at this point, or comes again. */
static void
replug(bool *plugged)
{
	CFStringRef problem = NULL;
	uint64_t id;

	if (*plugged && adx_device_detach(rig_device(), &problem) == kIOReturnSuccess) {
		*plugged = false;
		n_plugs++;
	}
	if (problem)
		CFRelease(problem);
	problem = NULL;
	if (!*plugged)
		*plugged = adx_device_attach(rig_device(), &id, &problem) == kIOReturnSuccess;
	if (problem)
		CFRelease(problem);
}

static void
hurt(uint64_t wanted)
{
	bool plugged = true;
	const uint64_t until = all_activated() + wanted;
	double limit = rig_now() + 60;

	atomic_store(&shared->enabled, 1);
	work_go(true);
	while (all_activated() < until && rig_now() < limit) {
		(void)nanosleep(
			&(struct timespec){ .tv_nsec = (long)(1 + rig_random_below(40)) * 1000000 },
			NULL);
		must_live();
		if (rig_random_below(4) != 0)
			continue;
		replug(&plugged);
	}
	atomic_store(&shared->enabled, 0);
	(void)alarm(STUCK_SECONDS);
	work_go(false);
	(void)alarm(0);
}

static void
figure(const char *id, const char *measure, uint64_t value, const char *op, int64_t bar,
       uint64_t wanted)
{
	printf("{\"id\":\"%s\",\"measure\":\"%s\",\"value\":%" PRIu64
	       ",\"unit\":\"\",\"op\":\"%s\",\"bar\":%" PRId64 ",\"counters\":{\"faults\":%" PRIu64
	       ",\"wanted\":%" PRIu64 ",\"alloc\":%" PRIu64 ",\"fd\":%" PRIu64
	       ",\"message\":%" PRIu64 ",\"delay\":%" PRIu64 ",\"transfer\":%" PRIu64
	       ",\"crash\":%" PRIu64 ",\"unplug\":%" PRIu64 ",\"batches\":%" PRIu64
	       ",\"calls\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"callbacks\":%" PRIu64 "}}\n",
	       id, measure, value, op, bar, all_activated(), wanted, activated(FAULT_ALLOC),
	       activated(FAULT_FD), activated(FAULT_MESSAGE), activated(FAULT_DELAY),
	       activated(FAULT_TRANSFER), activated(FAULT_CRASH), n_plugs, n_batches,
	       atomic_load(&work_counts.begun), atomic_load(&work_counts.refused),
	       atomic_load(&work_counts.told));
	(void)fflush(stdout);
}

static uint64_t
more(int64_t now, int64_t before)
{
	return now > before ? (uint64_t)(now - before) : 0;
}

int
main(int argc, char **argv)
{
	struct ledger_total total;
	struct held before = { 0 }, middle = { 0 },
		    after = {
			    0
		    }; /* middle: what dextd keeps of the last so many things is all there */
	double end;
	uint64_t wanted;

	if (argc < 4) {
		fprintf(stderr, "usage: faults-soak SOAK.dext FAULTS SECONDS\n");
		return 2;
	}
	soak_bundle = argv[1];
	wanted = strtoull(argv[2], NULL, 0);
	end = atof(argv[3]) > 0 ? rig_now() + atof(argv[3]) : 0;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, FAULTS_FD, 0);
	if (shared == MAP_FAILED || shared->magic != FAULTS_MAGIC || !getenv("AMBIDEXT_LEDGER"))
		rig_failed("it runs under tests/faults/inject/faults, with a ledger");
	rig_seed ^= shared->seed * 0x9e3779b97f4a7c15ull;
	(void)signal(SIGALRM, stuck);
	rig_device_name = "model:sensor,rate=20000";
	dextd = rig_dextd_pid();
	dextd_fd = pidfd_open(dextd, 0);
	work_start(N_WORKERS, shared->seed);
	/* What is made on first use, and what is kept for the next time. */
	prepare();
	work_go(true);
	while (atomic_load(&work_counts.begun) < WARM_CALLS)
		(void)usleep(10000);
	work_go(false);
	for (bool first = true;
	     first || (all_activated() < wanted && (end == 0 || rig_now() < end)); first = false) {
		prepare();
		hurt(wanted / 20 < 5000 ? wanted / 20 + 1 : 5000);
		must_live();
		clear();
		prepare(); /* everything works again */
		clear();
		must_live();
		judge(&total);
		look_at(first ? &before : &after);
		if (first)
			middle = after = before;
		else if (all_activated() < wanted / 2)
			middle = after;
		n_batches++;
		fprintf(stderr,
			"faults: batch %" PRIu64 ": %" PRIu64 " faults, calls %" PRIu64
			", refused %" PRIu64 ", callbacks %" PRIu64 " (%" PRIu64
			" aborted); dextd: %u descriptors, %u mappings, %" PRId64
			" blocks, %" PRIu64 " KB; %u services\n",
			n_batches, all_activated(), atomic_load(&work_counts.begun),
			atomic_load(&work_counts.refused), atomic_load(&work_counts.told),
			atomic_load(&work_counts.aborted), after.fds, after.memfds, after.blocks,
			after.rss_kb, after.services);
	}
	work_end();
	ledger_print(&total, stderr);
	figure("R1", "injected faults", all_activated(), ">=", end == 0 ? (int64_t)wanted : 1,
	       wanted);
	must_live();
	figure("R1", "crashes of dextd", 0, "==", 0, wanted);
	figure("R3", "wrong, lost or doubled completions by the ledger", ledger_faults(&total),
	       "==", 0, wanted);
	figure("R3", "wrong or doubled answers by the clients",
	       atomic_load(&work_counts.wrong) + atomic_load(&work_counts.twice), "==", 0, wanted);
	figure("R3", "calls that did not return",
	       atomic_load(&work_counts.begun) - atomic_load(&work_counts.returned), "==", 0,
	       wanted);
	figure("R3", "callbacks that did not come",
	       more((int64_t)atomic_load(&work_counts.accepted),
		    (int64_t)atomic_load(&work_counts.told)),
	       "==", 0, wanted);
	figure("R2", "descriptors of dextd left over", more(after.fds, before.fds), "==", 0,
	       wanted);
	figure("R2", "shared memory of dextd left over", more(after.memfds, before.memfds), "==", 0,
	       wanted);
	figure("R2", "processes left over", more(after.children, before.children), "==", 0, wanted);
	figure("R2", "registry entries left over", more(after.services, before.services), "==", 0,
	       wanted);
	figure("R2", "blocks of memory that dextd grew in the second half",
	       more(after.blocks, middle.blocks), "<=", wanted < FULL_SIZE ? INT64_MAX : 500,
	       wanted);
	figure("R1", "times that usbhost had to be started again", n_repairs,
	       "<=", (int64_t)n_batches, wanted);
	figure("R13", "KB that dextd grew in the second half",
	       more((int64_t)after.rss_kb, (int64_t)middle.rss_kb), "<=", 1024, wanted);
	return 0;
}
