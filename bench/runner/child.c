/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../subject.h"
#include "child.h"

#define MAX_WORDS        64u
#define READY_TIMEOUT_MS 120000 /* a realm, warming up, a thousand connections */
#define ANSWER_EXTRA_MS  30000  /* more than what was asked for takes */
#define END_TIMEOUT_MS   10000

struct child {
	enum child_state state;
	pid_t pid;
	int input, output, errors; /* owned; -1: closed. errors is a file without a name */
	char line[4096];           /* what has come; complete when it has a newline */
	size_t len;
	char reason[512];
};

static int
failed(struct child *child, int r)
{
	char said[400];
	ssize_t n;

	child->state = CHILD_FAILED;
	n = pread(child->errors, said, sizeof said - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	/* Its first sentence: what comes after is a log. */
	said[strcspn(said, "\n")] = '\0';
	(void)snprintf(child->reason, sizeof child->reason, "%s%s%s",
		       r == -ETIMEDOUT ? "it did not answer"
		       : r == -EPIPE   ? "it ended"
				       : strerror(-r),
		       *said ? ": " : "", said);
	return r;
}

/* The next line of its output, without the newline. */
static int
read_line(struct child *child, int timeout_ms)
{
	uint64_t end = bench_now_ns() + (uint64_t)timeout_ms * 1000000u;

	child->len = 0;
	for (;;) {
		struct pollfd pollfd = { .fd = child->output, .events = POLLIN };
		uint64_t now = bench_now_ns();
		ssize_t n;
		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&pollfd, 1, (int)((end - now) / 1000000u) + 1) < 0 && errno != EINTR)
			return -errno;
		if (!pollfd.revents)
			continue;
		n = read(child->output, child->line + child->len,
			 sizeof child->line - 1 - child->len);
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		child->len += (size_t)n;
		if (child->line[child->len - 1] == '\n') {
			child->line[child->len - 1] = '\0';
			return 0;
		}
		if (child->len == sizeof child->line - 1)
			return -EMSGSIZE;
	}
}

/* In the child. */
__attribute__((noreturn)) static void
become(char *const *words, int input, int output, int errors)
{
	unsigned i = 0;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)dup2(input, STDIN_FILENO);
	(void)dup2(output, STDOUT_FILENO);
	(void)dup2(errors, STDERR_FILENO);
	for (; words[i] && strchr(words[i], '='); i++)
		(void)putenv(words[i]);
	execv(words[i], &words[i]);
	_exit(127);
}

/* Words of @p command; the program's is a path. Returns the program's index, or -errno. */
static int
split(char *command, char **words, char *program, size_t program_size)
{
	const char *build = getenv("AMBIDEXT_BUILD_DIR");
	unsigned n = 0, first = 0;
	char *rest = NULL;

	for (char *word = strtok_r(command, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		if (n == MAX_WORDS)
			return -E2BIG;
		words[n++] = word;
	}
	words[n] = NULL;
	while (words[first] && strchr(words[first], '='))
		first++;
	if (!words[first] || !build)
		return -EINVAL;
	if (snprintf(program, program_size, "%s/bench/%s", build, words[first]) >=
	    (int)program_size)
		return -ENAMETOOLONG;
	words[first] = program;
	return (int)first;
}

static int
launch(struct child *child, char *const *words)
{
	int input[2] = { -1, -1 }, output[2] = { -1, -1 };

	if (pipe2(input, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0) {
		int r = -errno;
		if (input[0] >= 0) {
			close(input[0]);
			close(input[1]);
		}
		return r;
	}
	child->input = input[1];
	child->output = output[0];
	child->pid = fork();
	if (child->pid == 0)
		become(words, input[0], output[1], child->errors);
	close(input[0]);
	close(output[1]);
	return child->pid < 0 ? -errno : 0;
}

static void
wait_ready(struct child *child)
{
	int r = read_line(child, READY_TIMEOUT_MS);

	if (r == 0 && strcmp(child->line, "ready") == 0) {
		child->state = CHILD_READY;
	} else if (r == 0 && strncmp(child->line, "skip ", 5) == 0) {
		child->state = CHILD_SKIPPED;
		(void)snprintf(child->reason, sizeof child->reason, "%.500s", child->line + 5);
	} else {
		(void)failed(child, r < 0 ? r : -EBADMSG);
	}
}

int
child_start(const char *command, struct child **ret_child)
{
	struct child *child = calloc(1, sizeof *child);
	char *copy = strdup(command), program[PATH_MAX], *words[MAX_WORDS + 1];
	int r = child && copy ? split(copy, words, program, sizeof program) : -ENOMEM;

	if (child) {
		child->pid = -1;
		child->input = child->output = -1;
		child->errors = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (child->errors < 0)
			child->errors = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	if (r >= 0 && access(program, X_OK) < 0) {
		child->state = CHILD_NOT_BUILT;
		(void)snprintf(child->reason, sizeof child->reason, "not built");
		r = 0;
	} else if (r >= 0) {
		r = launch(child, words);
		if (r == 0)
			wait_ready(child);
	}
	free(copy);
	if (r < 0) {
		(void)child_end(child);
		return r;
	}
	*ret_child = child;
	return 0;
}

enum child_state
child_state(const struct child *child)
{
	return child->state;
}

const char *
child_reason(const struct child *child)
{
	return child->reason;
}

static int
ask(struct child *child, int timeout_ms, const char *question)
{
	size_t len = strlen(question);
	int r;

	if (child->state != CHILD_READY)
		return -EPIPE;
	r = write(child->input, question, len) == (ssize_t)len ? read_line(child, timeout_ms)
							       : -EPIPE;
	return r < 0 ? failed(child, r) : 0;
}

int
child_slice(struct child *child, uint64_t ns, struct child_slice *ret_slice)
{
	struct child_slice slice;
	char question[64];
	int r;

	(void)snprintf(question, sizeof question, "slice %" PRIu64 "\n", ns);
	r = ask(child, (int)(ns / 1000000u) + ANSWER_EXTRA_MS, question);
	if (r < 0)
		return r;
	if (sscanf(child->line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &slice.operations,
		   &slice.elapsed_ns, &slice.cpu_client_ns, &slice.cpu_server_ns) != 4 ||
	    slice.operations == 0)
		return failed(child, -EBADMSG);
	*ret_slice = slice;
	return 0;
}

int
child_idle(struct child *child, uint64_t gap_ns, unsigned count, struct child_idle *ret_idle)
{
	struct child_idle idle;
	char question[64];
	int r;

	(void)snprintf(question, sizeof question, "idle %" PRIu64 " %u\n", gap_ns, count);
	r = ask(child, (int)(gap_ns * count / 1000000u) + ANSWER_EXTRA_MS, question);
	if (r < 0)
		return r;
	if (sscanf(child->line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &idle.p50_ns, &idle.p99_ns,
		   &idle.max_ns) != 3)
		return failed(child, -EBADMSG);
	*ret_idle = idle;
	return 0;
}

int
child_counters(struct child *child, const char **ret_json)
{
	int r = ask(child, ANSWER_EXTRA_MS, "counters\n");

	if (r < 0)
		return r;
	if (child->line[0] != '{')
		return failed(child, -EBADMSG);
	*ret_json = child->line;
	return 0;
}

static void
close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct child *
child_end(struct child *child)
{
	if (!child)
		return NULL;
	close_once(&child->input);
	if (child->pid > 0) {
		uint64_t end = bench_now_ns() + (uint64_t)END_TIMEOUT_MS * 1000000u;
		pid_t gone = 0;
		/* A realm takes its time; who does not end by itself is asked, then made to. */
		while ((gone = waitpid(child->pid, NULL, WNOHANG)) == 0 && bench_now_ns() < end)
			bench_sleep_ns(2000000);
		if (gone == 0) {
			(void)kill(-child->pid, SIGTERM);
			bench_sleep_ns(500000000);
			(void)kill(-child->pid, SIGKILL);
			(void)waitpid(child->pid, NULL, 0);
		}
	}
	close_once(&child->output);
	close_once(&child->errors);
	free(child);
	return NULL;
}
