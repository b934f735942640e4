/* SPDX-License-Identifier: MIT */
/* A process from clone to its first word. --namespaces user,pid,mnt,net,ipc,uts: any of them,
 * default none. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../subject.h"

#define CHILD "--child"

struct spawn {
	unsigned long flags;
	uint64_t spawned;
};

static unsigned long
flags_of(const char *names)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} all[] = { { "user", CLONE_NEWUSER }, { "pid", CLONE_NEWPID }, { "mnt", CLONE_NEWNS },
		    { "net", CLONE_NEWNET },   { "ipc", CLONE_NEWIPC }, { "uts", CLONE_NEWUTS } };
	unsigned long flags = 0;

	for (; names && *names; names += strcspn(names, ","), names += *names == ',') {
		size_t len = strcspn(names, ","), i;
		for (i = 0; i < sizeof all / sizeof all[0]; i++)
			if (strlen(all[i].name) == len && strncmp(all[i].name, names, len) == 0)
				break;
		if (i == sizeof all / sizeof all[0])
			bench_fail("--namespaces does not know '%.*s'", (int)len, names);
		flags |= all[i].flag;
	}
	return flags;
}

static int
spawn(void *context)
{
	struct spawn *spawn = context;
	static const char self[] = "/proc/self/exe", child[] = CHILD;
	char *const arguments[] = { (char *)(uintptr_t)self, (char *)(uintptr_t)child, NULL };
	int pipes[2];
	char byte;
	long pid;
	int r = 0;

	if (pipe(pipes) < 0)
		return -errno;
	pid = syscall(SYS_clone, spawn->flags | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0) {
		/* Its first word goes to standard output. */
		if (dup2(pipes[1], STDOUT_FILENO) >= 0)
			(void)execv(self, arguments);
		_exit(127);
	}
	if (pid < 0)
		r = -errno;
	close(pipes[1]);
	if (r == 0 && read(pipes[0], &byte, 1) != 1)
		r = -EPIPE;
	close(pipes[0]);
	if (pid > 0)
		(void)waitpid((pid_t)pid, NULL, 0);
	spawn->spawned++;
	return r;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct spawn *spawn = context;

	bench_count(counters, "spawned", spawn->spawned);
}

int
main(int argc, char **argv)
{
	struct bench_options options;
	struct spawn state = { 0 };
	struct bench_subject subject = { .operation = spawn,
					 .counters = counters,
					 .context = &state };

	if (argc > 1 && strcmp(argv[1], CHILD) == 0)
		return write(STDOUT_FILENO, "1", 1) == 1 ? 0 : 1;
	bench_options(&argc, argv, &options);
	state.flags = flags_of(bench_option(&argc, argv, "--namespaces"));
	bench_no_more_options(argc, argv);
	bench_pin(BENCH_CLIENT, &options);
	if (spawn(&state) < 0)
		bench_skip("cannot make these namespaces: %m");
	return bench_main(&subject);
}
