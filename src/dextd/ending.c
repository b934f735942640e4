/* SPDX-License-Identifier: MIT */
/* How a hosted process ended. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dextd/ending.h"

#define PF_EXITING 0x4ul /* of the kernel's task flags, field 9 of /proc/PID/stat */

static const struct {
	const char *word;
	bool fault;
} kinds[ENDING_KIND_COUNT] = {
	[ENDING_NONE] = { "alive", false },    [ENDING_ASKED] = { "asked", false },
	[ENDING_EXIT] = { "exit", true },      [ENDING_SIGNAL] = { "crash", true },
	[ENDING_ABORT] = { "abort", true },    [ENDING_MEMORY] = { "memory", true },
	[ENDING_KILLED] = { "killed", false }, [ENDING_HUNG] = { "hang", true },
	[ENDING_STOP] = { "stop", true },      [ENDING_LATE] = { "late", true },
	[ENDING_BREACH] = { "breach", true },  [ENDING_REPORT] = { "report", true },
};

const char *
ending_word(enum ending_kind kind)
{
	return kinds[kind].word;
}

bool
ending_is_fault(enum ending_kind kind)
{
	return kinds[kind].fault;
}

/* Signals that no fault of a program raises: whoever has them was sent them. */
static bool
is_sent(int signal)
{
	return signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGHUP ||
	       signal == SIGQUIT || signal == SIGUSR1 || signal == SIGUSR2 || signal == SIGALRM;
}

enum ending_kind
ending_kind_of(const struct ending_facts *facts)
{
	int signal = WIFSIGNALED(facts->status) ? WTERMSIG(facts->status) : 0;

	/* A handler that was there before ours may have made something else of it: a sanitizer
	 * exits, and last words that are stuck end with an alarm. */
	if (facts->crash_signal && signal != SIGKILL)
		signal = facts->crash_signal;

	if (facts->was_leaving && WIFEXITED(facts->status) && WEXITSTATUS(facts->status) == 0)
		return ENDING_ASKED;
	if (!signal)
		return ENDING_EXIT;
	if (signal == SIGKILL && facts->by_us != ENDING_NONE)
		return facts->by_us;
	if (facts->memory_failed || (signal == SIGKILL && facts->memory_killed))
		return ENDING_MEMORY;
	if (signal == SIGABRT)
		return ENDING_ABORT;
	return is_sent(signal) ? ENDING_KILLED : ENDING_SIGNAL;
}

/* ---------------------------------------------------------------------------------------------
 * /proc
 */

/* Length of the text, 0: cannot be read. */
static size_t
read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t r = 1;

	while (fd >= 0 && r > 0 && len < size - 1) {
		r = read(fd, text + len, size - 1 - len);
		len += r > 0 ? (size_t)r : 0;
	}
	if (fd >= 0)
		(void)close(fd);
	text[len] = '\0';
	return len;
}

static bool
read_stat(pid_t pid, char *ret_state, unsigned long *ret_flags)
{
	char path[32], text[1024], *at;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (!read_file(path, text, sizeof text))
		return false;
	/* The name may have parentheses in it. */
	at = strrchr(text, ')');
	return at && sscanf(at, ") %c %*d %*d %*d %*d %*d %lu", ret_state, ret_flags) == 2;
}

bool
process_is_exiting(pid_t pid)
{
	unsigned long flags;
	char state;

	return !read_stat(pid, &state, &flags) || flags & PF_EXITING || state == 'Z' ||
	       state == 'X';
}

char
process_state(pid_t pid)
{
	unsigned long flags;
	char state;

	return read_stat(pid, &state, &flags) ? state : '\0';
}

pid_t
process_tracer(pid_t pid)
{
	char path[32], text[4096], *at;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (!read_file(path, text, sizeof text))
		return 0;
	at = strstr(text, "\nTracerPid:");
	return at ? (pid_t)strtol(at + strlen("\nTracerPid:"), NULL, 10) : 0;
}

unsigned long
process_memory_kills(void)
{
	char text[16384], *at;

	if (!read_file("/proc/vmstat", text, sizeof text))
		return 0;
	at = strstr(text, "\noom_kill ");
	return at ? strtoul(at + strlen("\noom_kill "), NULL, 10) : 0;
}
