/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../subject.h"
#include "load.h"

#define QUIET_PERCENT 8.0
#define LOOK_NS       25000000u
#define MAX_LOOPS     64u
#define MAX_PROCESSES 8192u

static pid_t loops[MAX_LOOPS];
static unsigned n_loops;

static size_t
read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* Of the whole machine. The root cgroup's figure is exact; /proc/stat counts ticks. */
static uint64_t
busy_ns(void)
{
	uint64_t ticks[8] = { 0 }, sum = 0;
	char text[512];

	if (read_file("/sys/fs/cgroup/cpuacct/cpuacct.usage", text, sizeof text) > 0)
		return strtoull(text, NULL, 10);
	if (read_file("/sys/fs/cgroup/cpu.stat", text, sizeof text) > 0 &&
	    sscanf(text, "usage_usec %" SCNu64, &sum) == 1)
		return sum * 1000u;
	if (read_file("/proc/stat", text, sizeof text) == 0)
		return 0;
	(void)sscanf(text,
		     "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		     " %" SCNu64 " %" SCNu64,
		     &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6],
		     &ticks[7]);
	for (unsigned i = 0; i < 8; i++)
		if (i != 3 && i != 4) /* idle, iowait */
			sum += ticks[i];
	return sum * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

struct process {
	pid_t pid, parent;
	uint64_t reaped_ns; /* of children that have ended */
	int own;
};

static int
read_process(pid_t pid, struct process *ret_process)
{
	uint64_t user = 0, system = 0;
	char path[64], text[1024], *rest;
	int parent = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (read_file(path, text, sizeof text) == 0 || !(rest = strrchr(text, ')')))
		return -ESRCH;
	if (sscanf(rest + 1,
		   " %*c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64,
		   &parent, &user, &system) != 3)
		return -EBADMSG;
	*ret_process =
		(struct process){ .pid = pid,
				  .parent = (pid_t)parent,
				  .reaped_ns = (user + system) *
					       (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)) };
	return 0;
}

/* Time of this process and its descendants, with those that have ended: a parent is given a child's
 * time when it waits for it. */
static uint64_t
own_ns(void)
{
	struct process *processes = calloc(MAX_PROCESSES, sizeof *processes);
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t sum = 0;
	size_t n = 0;
	int more = 1;

	while (processes && proc && n < MAX_PROCESSES && (entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name) &&
		    read_process((pid_t)atoi(entry->d_name), &processes[n]) == 0)
			n++;
	for (size_t i = 0; i < n; i++)
		processes[i].own = processes[i].pid == getpid();
	while (more) {
		more = 0;
		for (size_t i = 0; i < n; i++) {
			for (size_t j = 0; j < n && !processes[i].own; j++)
				if (processes[j].own && processes[j].pid == processes[i].parent)
					more = processes[i].own = 1;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (processes[i].own)
			sum += processes[i].reaped_ns + bench_cpu_of_ns(processes[i].pid);
	if (proc)
		closedir(proc);
	free(processes);
	return sum;
}

void
load_look(struct load_look *ret_look)
{
	ret_look->own_ns = own_ns();
	ret_look->busy_ns = busy_ns();
	ret_look->time_ns = bench_now_ns();
}

double
load_foreign_since(const struct load_look *look)
{
	uint64_t busy = busy_ns() - look->busy_ns, now = bench_now_ns(),
		 own = own_ns() - look->own_ns;
	double foreign = ((double)busy - (double)own) / (double)(now - look->time_ns) * 100;

	return foreign > 0 ? foreign : 0;
}

double
load_wait_quiet(unsigned limit_ms)
{
	uint64_t end = bench_now_ns() + (uint64_t)limit_ms * 1000000u;
	struct load_look look;
	double foreign;

	for (;;) {
		load_look(&look);
		bench_sleep_ns(LOOK_NS);
		foreign = load_foreign_since(&look);
		if (foreign < QUIET_PERCENT || bench_now_ns() >= end)
			return foreign;
		bench_sleep_ns(4 * (uint64_t)LOOK_NS);
	}
}

__attribute__((noreturn)) static void
loop_on(unsigned processor)
{
	cpu_set_t set;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	(void)sched_setaffinity(0, sizeof set, &set);
	for (volatile uint64_t i = 0;; i++)
		;
}

int
load_start(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	while (n_loops < MAX_LOOPS && n_loops < (unsigned long)processors) {
		pid_t pid = fork();
		if (pid < 0) {
			int r = -errno;
			load_stop();
			return r;
		}
		if (pid == 0)
			loop_on(n_loops);
		loops[n_loops++] = pid;
	}
	return 0;
}

void
load_stop(void)
{
	while (n_loops > 0) {
		pid_t pid = loops[--n_loops];
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
}
