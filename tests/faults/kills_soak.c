/* SPDX-License-Identifier: MIT */
/* A driver dies with 64 calls in flight, again and again; each call ends once, and nothing is left
 * over.
 *
 * Runs in a realm whose dextd restarts at once. Arguments: SOAK.dext, kills, seconds at most (0:
 * none), seed. Figures go to standard output, as tests/soak/run wants them. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <ambidext/realm.h>

#include "driver/SoakMethods.h"
#include "judge.h"
#include "rig.h"

#define N_WAITING     48u /* threads whose calls do not return */
#define N_HELD        16u /* asynchronous calls whose completions are held */
#define N_CONNECTIONS 4u
#define FOLD_EVERY    200u
#define STUCK_SECONDS 60u

struct caller {
	pthread_t thread;
	io_connect_t *connection;
	uint64_t returned, succeeded;
};

static struct caller callers[N_WAITING];
static io_connect_t connections[N_CONNECTIONS];
static uint64_t told[N_HELD],
	aborted; /* callbacks of this round, and of all rounds those that said "aborted" */
static pthread_barrier_t begin, done;
static bool ending;
static uint64_t n_calls, n_returned, n_wrong, n_callbacks;

static void
stuck(int number __attribute__((unused)))
{
	static const char text[] =
		"FAILED: a call or a callback of a driver that was killed did not come\n";

	(void)!write(2, text, sizeof text - 1);
	abort();
}

static void *
call(void *context)
{
	struct caller *caller = context;

	for (;;) {
		(void)pthread_barrier_wait(&begin);
		if (ending)
			return NULL;
		if (IOConnectCallScalarMethod(*caller->connection, kSoakHold, NULL, 0, NULL,
					      NULL) == kIOReturnSuccess)
			caller->succeeded++;
		caller->returned++;
		(void)pthread_barrier_wait(&done);
	}
}

static void
called_back(void *refcon, IOReturn result)
{
	(*(uint64_t *)refcon)++;
	aborted += result == kIOReturnAborted;
}

/* This process's own ledger, which says how many calls have been accepted and not ended. */
static const struct ledger_file *
own_ledger(void)
{
	const char *path = getenv("AMBIDEXT_LEDGER");
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		int fd = entry->d_name[0] == '.'
				 ? -1
				 : openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC);
		const struct ledger_file *file =
			fd < 0 ? MAP_FAILED
			       : mmap(NULL, sizeof *file, PROT_READ, MAP_SHARED, fd, 0);

		if (fd >= 0)
			(void)close(fd);
		if (file != MAP_FAILED && file->magic == LEDGER_MAGIC &&
		    file->pid == (int32_t)getpid()) {
			(void)closedir(folder);
			return file;
		}
		if (file != MAP_FAILED)
			(void)munmap((void *)(uintptr_t)file, sizeof *file);
	}
	rig_failed("this process has no ledger in %s", path);
}

static uint64_t
in_flight(const struct ledger_file *ledger)
{
	const volatile uint64_t *closed = ledger->closed[ADXI_LEDGER_CALL];
	uint64_t n = 0;

	for (unsigned how = 0; how < ADXI_LEDGER_HOWS; how++)
		n += closed[how];
	return *(const volatile uint64_t *)&ledger->opened[ADXI_LEDGER_CALL] - n;
}

static void
hold(IONotificationPortRef port)
{
	for (unsigned i = 0; i < N_HELD; i++) {
		uint64_t reference[kIOAsyncCalloutCount] = { 0, (uintptr_t)called_back,
							     (uintptr_t)&told[i] };

		told[i] = 0;
		if (IOConnectCallAsyncScalarMethod(connections[i % N_CONNECTIONS], kSoakAsyncHold,
						   IONotificationPortGetMachPort(port), reference,
						   kIOAsyncCalloutCount, NULL, 0, NULL,
						   NULL) != kIOReturnSuccess)
			rig_failed("the driver does not hold a completion");
	}
}

static void
hear(IONotificationPortRef port)
{
	struct pollfd fd = { .fd = adx_notification_port_get_fd(port), .events = POLLIN };
	unsigned n;

	for (;;) {
		(void)adx_notification_port_dispatch(port);
		n = 0;
		for (unsigned i = 0; i < N_HELD; i++)
			n += told[i] > 0;
		if (n == N_HELD)
			return;
		(void)poll(&fd, 1, 1000);
	}
}

static void
round_of(const struct ledger_file *ledger, IONotificationPortRef port)
{
	static const int signals[] = { SIGKILL, SIGKILL, SIGSEGV, SIGABRT };
	pid_t pid = 0;

	(void)alarm(STUCK_SECONDS);
	for (unsigned i = 0; i < N_CONNECTIONS; i++) {
		connections[i] = rig_connect_within("SoakDriver", BACK_WITHIN_SECONDS);
		if (!connections[i])
			rig_failed("the driver did not come back after %" PRIu64 " kills",
				   n_returned / N_WAITING);
	}
	while (pid == 0 && (pid = rig_pid_of("org.example.Soak")) == 0)
		continue;
	hold(port);
	(void)pthread_barrier_wait(&begin);
	while (in_flight(ledger) < N_WAITING)
		(void)sched_yield();
	n_calls += N_WAITING + N_HELD;
	if (kill(pid, signals[rig_random_below(4)]) < 0)
		rig_failed("process %d is not there: %s", (int)pid, strerror(errno));
	(void)pthread_barrier_wait(&done);
	hear(port);
	for (unsigned i = 0; i < N_CONNECTIONS; i++)
		(void)IOServiceClose(connections[i]);
	(void)adx_notification_port_dispatch(port);
	for (unsigned i = 0; i < N_HELD; i++) {
		n_callbacks += told[i];
		n_wrong += told[i] != 1;
	}
	(void)alarm(0);
}

static void
sum_up(void)
{
	n_returned = 0;
	for (unsigned i = 0; i < N_WAITING; i++) {
		n_returned += callers[i].returned;
		n_wrong += callers[i].succeeded; /* nobody answered it */
		callers[i].succeeded = 0;
	}
}

static uint64_t
more(unsigned now, unsigned before)
{
	return now > before ? now - before : 0;
}

static void
figure(const char *id, const char *measure, uint64_t value, const char *op, uint64_t bar,
       uint64_t kills)
{
	printf("{\"id\":\"%s\",\"measure\":\"%s\",\"value\":%" PRIu64
	       ",\"unit\":\"\",\"op\":\"%s\",\"bar\":%" PRIu64 ",\"counters\":{\"kills\":%" PRIu64
	       ",\"in flight\":%u,\"calls\":%" PRIu64 ",\"returned\":%" PRIu64
	       ",\"callbacks\":%" PRIu64 "}}\n",
	       id, measure, value, op, bar, kills, N_WAITING + N_HELD, n_calls, n_returned,
	       n_callbacks);
	(void)fflush(stdout);
}

int
main(int argc, char **argv)
{
	const uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 0) : 100;
	const double seconds = argc > 3 ? atof(argv[3]) : 0;
	const char *dir = getenv("AMBIDEXT_LEDGER");
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	unsigned fds = 0, memfds = 0, children = 0, clients = 0, services = 0;
	struct ledger_total total;
	uint64_t kills = 0;
	double until;

	if (argc < 2 || !dir) {
		fprintf(stderr, "usage: AMBIDEXT_LEDGER=DIR kills-soak SOAK.dext [KILLS [SECONDS "
				"[SEED]]]\n");
		return 2;
	}
	if (argc > 4)
		rig_seed ^= strtoull(argv[4], NULL, 0) * 0x9e3779b97f4a7c15ull;
	rig_device_name = "model:sensor,rate=20000";
	(void)signal(SIGALRM, stuck);
	rig_load_bundle(argv[1]);
	rig_plug();
	rig_must_come_back("SoakDriver", "start");
	const struct ledger_file *ledger = own_ledger();
	const pid_t dextd = rig_dextd_pid();
	struct pollfd alive = { .fd = pidfd_open(dextd, 0), .events = POLLIN };
	(void)pthread_barrier_init(&begin, NULL, N_WAITING + 1);
	(void)pthread_barrier_init(&done, NULL, N_WAITING + 1);
	for (unsigned i = 0; i < N_WAITING; i++) {
		callers[i].connection = &connections[i % N_CONNECTIONS];
		if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0)
			rig_failed("no thread");
	}
	const double start = rig_now();
	while (kills < wanted && (seconds == 0 || rig_now() < start + seconds)) {
		round_of(ledger, port);
		kills++;
		sum_up();
		if (poll(&alive, 1, 0) != 0)
			rig_failed("dextd died after %" PRIu64 " kills", kills);
		if (kills == 3) { /* what is made on first use is there */
			rig_must_come_back("SoakDriver", "a kill");
			fds = rig_count_fds(dextd);
			memfds = rig_count_memfds(dextd);
			children = rig_count_children(dextd);
			clients = rig_count_user_clients(0);
			services = rig_count_services("IOService");
		}
		if (kills % FOLD_EVERY == 0) {
			(void)ledger_judge(dir, true, 0, &total);
			fprintf(stderr,
				"kills: %" PRIu64 ", %.1f ms each; calls %" PRIu64
				", returned %" PRIu64 ", callbacks %" PRIu64 "\n",
				kills, (rig_now() - start) * 1000 / (double)kills, n_calls,
				n_returned, n_callbacks);
		}
	}
	ending = true;
	(void)pthread_barrier_wait(&begin);
	for (unsigned i = 0; i < N_WAITING; i++)
		(void)pthread_join(callers[i].thread, NULL);
	rig_must_come_back("SoakDriver", "the last kill");
	rig_settles("user clients", rig_count_user_clients, dextd, clients);
	rig_settles("processes", rig_count_children, dextd, children);
	rig_settles("descriptors of dextd", rig_count_fds, dextd, fds);
	rig_settles("shared memory of dextd", rig_count_memfds, dextd, memfds);
	figure("R2", "kills of a driver with calls in flight", kills,
	       ">=", seconds == 0 ? wanted : 1, kills);
	figure("R3", "calls and callbacks that ended not exactly once",
	       n_wrong + (n_calls - n_returned - n_callbacks), "==", 0, kills);
	figure("R2", "descriptors of dextd left over", more(rig_count_fds(dextd), fds), "==", 0,
	       kills);
	figure("R2", "shared memory of dextd left over", more(rig_count_memfds(dextd), memfds),
	       "==", 0, kills);
	figure("R2", "processes left over", more(rig_count_children(dextd), children), "==", 0,
	       kills);
	figure("R2", "registry entries left over", more(rig_count_services("IOService"), services),
	       "==", 0, kills);
	/* All that still flows ends: then what is open was lost. */
	(void)rig_detach_all();
	rig_unload_bundle("org.example.Soak");
	until = rig_now() + BACK_WITHIN_SECONDS;
	do { /* what is lost stays so */
		(void)usleep(2000);
		if (ledger_judge(dir, false, 0, &total) < 0)
			rig_failed("the ledger cannot be judged");
	} while (ledger_faults(&total) > 0 && rig_now() < until);
	ledger_print(&total, stderr);
	if (ledger_faults(&total) > 0)
		ledger_print_open(dir, stderr);
	figure("R3", "wrong, lost or doubled completions by the ledger", ledger_faults(&total),
	       "==", 0, kills);
	figure("R1", "crashes of dextd", poll(&alive, 1, 0) != 0, "==", 0, kills);
	IONotificationPortDestroy(port);
	return 0;
}
