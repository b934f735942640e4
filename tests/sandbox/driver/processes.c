/* SPDX-License-Identifier: MIT */
/* Attempts on other processes, and on having some. */
#define _GNU_SOURCE


#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "escapes.h"

static int
trace(const struct world *world)
{
	if (ptrace(PTRACE_SEIZE, world->victim, NULL, NULL) < 0)
		return errno;
	(void)ptrace(PTRACE_INTERRUPT, world->victim, NULL, NULL);
	(void)waitpid(world->victim, NULL, __WALL);
	(void)ptrace(PTRACE_DETACH, world->victim, NULL, NULL);
	return 0;
}

static int
read_memory(const struct world *world)
{
	uint64_t word;
	struct iovec here = { &word, sizeof word };
	struct iovec there = { (void *)(uintptr_t)world->victim_address, sizeof word };

	return TRIED(process_vm_readv(world->victim, &here, 1, &there, 1, 0));
}

static int
try_proc(int pid, const char *file, int flags)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	fd = open(path, flags);
	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int
open_memory(const struct world *world)
{
	return try_proc(world->victim, "mem", O_RDWR);
}

static int
read_environment(const struct world *world)
{
	return try_proc(world->dextd, "environ", O_RDONLY);
}

static int
read_command(const struct world *world)
{
	return try_proc(world->other, "cmdline", O_RDONLY);
}

static int
take_descriptor(const struct world *world)
{
	long process = syscall(SYS_pidfd_open, world->victim, 0), fd;

	if (process < 0)
		return errno;
	fd = syscall(SYS_pidfd_getfd, process, 0, 0);
	int r = fd < 0 ? errno : 0;
	(void)close((int)fd);
	(void)close((int)process);
	return r;
}

static int
kill_victim(const struct world *world)
{
	return TRIED(kill(world->victim, SIGKILL));
}

/* A signal that does nothing to who runs: it could be another. */
static int
signal_dextd(const struct world *world)
{
	return TRIED(kill(world->dextd, SIGCONT));
}

static int
signal_usbhost(const struct world *world)
{
	return TRIED(kill(world->usbhost, SIGCONT));
}

static int
signal_other(const struct world *world)
{
	return TRIED(kill(world->other, SIGCONT));
}

static int
signal_all(const struct world *world)
{
	return TRIED(kill(-1, 0));
}

static int
fork_some(const struct world *world)
{
	for (unsigned i = 0; i < 16; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid < 0)
			return errno;
		(void)waitpid(pid, NULL, 0);
	}
	return 0;
}

static int
run(const char *program)
{
	char *arguments[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)"-c", (char *)(uintptr_t)"exit 0", NULL };
	int status = 0;
	pid_t pid;
	int r = posix_spawn(&pid, program, NULL, NULL, arguments, NULL);

	if (r != 0)
		return r;
	return waitpid(pid, &status, 0) < 0 ? errno : WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ENOEXEC : 0;
}

static int
run_shell(const struct world *world)
{
	return run("/bin/sh");
}

/* It asks for a password, of nobody, and ends. */
static int
run_setuid(const struct world *world)
{
	return run("/usr/bin/newgrp");
}

/* In place of this one: a file that cannot be run is refused after the right was looked at. */
static int
run_memory(const struct world *world)
{
	static char *const none[] = { NULL };
	int fd = memfd_create("program", MFD_CLOEXEC);

	if (fd < 0 || write(fd, "nothing", 7) != 7)
		return EIO;
	int r = tried_until(syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH), ENOEXEC);
	(void)close(fd);
	return r == EACCES ? 0 : r;
}

static int
new_namespaces(const struct world *world)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return errno;
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static int
leave_namespace(const struct world *world)
{
	return TRIED(unshare(CLONE_NEWUTS));
}

static int
enter_namespace(const struct world *world)
{
	/* Its own: with a right to that it would have a right to others. */
	int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	int r = TRIED(setns(fd, CLONE_NEWUTS));
	(void)close(fd);
	return r;
}

const struct escape process_escapes[] = {
	{ "ptrace", "another process is traced", trace, "SBX005", ESCAPE_TOLD },
	{ "process_vm_readv", "another process's memory is read", read_memory, "SBX005", ESCAPE_TOLD },
	{ "open /proc/PID/mem", "another process's memory is opened", open_memory, "SBX003", ESCAPE_TOLD },
	{ "read /proc/PID/environ", "dextd's environment is read", read_environment, "SBX003", ESCAPE_TOLD },
	{ "read /proc/PID/cmdline", "another driver's process is looked at", read_command, "SBX003", ESCAPE_TOLD },
	{ "pidfd_getfd", "another process's descriptor is taken", take_descriptor, "SBX005", ESCAPE_TOLD },
	{ "kill", "another process is killed", kill_victim, "SBX005", ESCAPE_TOLD },
	{ "signal dextd", "dextd is sent a signal", signal_dextd, "SBX005", ESCAPE_TOLD },
	{ "signal usbhost", "usbhost is sent a signal", signal_usbhost, "SBX005", ESCAPE_TOLD },
	{ "signal another driver", "another driver is sent a signal", signal_other, "SBX005", ESCAPE_TOLD },
	{ "signal everybody", "all processes are sent a signal", signal_all, "SBX005", ESCAPE_TOLD },
	{ "fork", "processes are made", fork_some, "SBX006", ESCAPE_TOLD },
	{ "run a shell", "/bin/sh is run", run_shell, "SBX006", ESCAPE_TOLD },
	{ "run a setuid program", "a program that becomes root is run", run_setuid, "SBX006", ESCAPE_TOLD },
	{ "run memory", "what was written is run", run_memory, "SBX006", ESCAPE_TOLD },
	{ "clone into a namespace", "a process with all rights of its own namespace", new_namespaces, "SBX006",
	  ESCAPE_TOLD },
	{ "unshare", "a namespace is left", leave_namespace, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "setns", "a namespace is entered", enter_namespace, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
};
const size_t n_process_escapes = sizeof process_escapes / sizeof process_escapes[0];
