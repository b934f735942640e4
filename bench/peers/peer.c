/* SPDX-License-Identifier: MIT */
/* Options, servers and checks of a peer; see peer.h. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

#define SEED     1
#define START_MS 10000

/* A server of peer_fork() or peer_spawn() until it runs. */
struct birth {
	int (*serve)(void *context);
	void *context;
	const char *const *argv; /* NULL: serve */
};

static struct bench_options placement;
static int listening[2]; /* owned: the last server writes a byte when clients may come */
static struct bench_subject subject;
static char folder[128];

static const struct peer_ops *ops;
static struct peer_options options;
static uint8_t *request, *answer; /* owned: options.bytes each, PEER_MIN_ROOM at least */
static uint64_t calls, checked;

static void
remove_folder(void)
{
	char path[sizeof(folder) + sizeof(((struct dirent *)NULL)->d_name) + 1];
	struct dirent *entry;
	DIR *dir;

	if (!folder[0])
		return;
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		unlink(path); /* fails on . and .., as it should */
	}
	if (dir)
		closedir(dir);
	rmdir(folder);
	folder[0] = '\0';
}

/* Before anything that ends the process: nothing may stay behind. */
static void
tidy_up(void)
{
	if (ops->stop)
		ops->stop();
	for (unsigned i = 0; i < subject.n_servers; i++) {
		kill(subject.servers[i], SIGKILL);
		waitpid(subject.servers[i], NULL, 0);
	}
	subject.n_servers = 0;
	remove_folder();
}

void
peer_skip(const char *fmt, ...)
{
	char reason[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	if (ops)
		tidy_up();
	bench_skip("%s", reason);
}

static void
live(void *context)
{
	struct birth *birth = context;
	int err, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* The runner's commands and answers are not a server's. */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		bench_fail("the server's standard input and output: %s", strerror(errno));
	if (birth->argv) {
		/* exec() does not write to the strings; its type is older than const. */
		execvp(birth->argv[0], (char *const *)birth->argv);
		bench_fail("%s: %s", birth->argv[0], strerror(errno));
	}
	err = birth->serve(birth->context);
	if (err < 0)
		bench_fail("the server: %s", strerror(-err));
}

void
peer_fork(int (*serve)(void *context), void *context)
{
	struct birth birth = { .serve = serve, .context = context };

	if (pipe2(listening, O_CLOEXEC) < 0)
		bench_fail("pipe: %s", strerror(errno));
	bench_add_server(&subject, bench_fork(BENCH_SERVER, &placement, live, &birth));
	/* So that its end is the pipe's end. */
	close(listening[1]);
}

void
peer_spawn(const char *const argv[])
{
	struct birth birth = { .argv = argv };

	bench_add_server(&subject, bench_fork(BENCH_SERVER, &placement, live, &birth));
}

void
peer_listening(void)
{
	if (write(listening[1], "", 1) < 0)
		bench_fail("telling that the server listens: %s", strerror(errno));
}

int
peer_await_server(void)
{
	struct pollfd what = { .fd = listening[0], .events = POLLIN };
	char byte;
	int n = poll(&what, 1, START_MS);

	if (n <= 0)
		return n < 0 ? -errno : -ETIMEDOUT;
	return read(listening[0], &byte, 1) == 1 ? 0 : -EPIPE;
}

int
peer_socketpair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

const char *
peer_folder(void)
{
	const char *base = getenv("TMPDIR");

	if (folder[0])
		return folder;
	snprintf(folder, sizeof(folder), "%s/ambidext-bench-XXXXXX",
		 base && base[0] ? base : "/tmp");
	if (!mkdtemp(folder))
		folder[0] = '\0';
	return folder[0] ? folder : NULL;
}

/* Each call carries its number, so that the answer of another one is not taken for its own. */
static int
operate(void *context)
{
	int err;

	calls++;
	if (options.bytes >= sizeof(calls))
		memcpy(request, &calls, sizeof(calls));
	err = ops->call(request, answer);
	if (err == 0 && !ops->checks_self && calls % BENCH_CHECK_EVERY == 1) {
		checked++;
		if (memcmp(request, answer, options.bytes) != 0)
			err = -EBADMSG;
	}
	if (err < 0)
		tidy_up();
	return err;
}

static void
counters(void *context, struct bench_counters *counters)
{
	bench_count(counters, "calls", calls);
	bench_count(counters, "checked", ops->checks_self ? calls : checked);
	bench_count(counters, "bytes", calls * 2 * options.bytes);
	bench_count(counters, "errors", 0); /* the first one ends it */
}

static void
parse(int argc, char **argv)
{
	if (ops->parse)
		ops->parse(&argc, argv);
	bench_options(&argc, argv, &placement);
	bench_no_more_options(argc, argv);
	options.bytes = placement.bytes;
	if (ops->max_bytes && options.bytes > ops->max_bytes)
		bench_skip("%s carries %zu bytes at most: %s", ops->name, ops->max_bytes,
			   ops->max_why);
}

static int
prepare(void)
{
	size_t room = options.bytes < PEER_MIN_ROOM ? PEER_MIN_ROOM : options.bytes;

	request = malloc(room);
	answer = calloc(1, room);
	if (!request || !answer)
		return -ENOMEM;
	bench_fill(request, room, SEED);
	signal(SIGPIPE, SIG_IGN);
	/* Before the start: threads that a library makes are to be where their client is. */
	bench_pin(BENCH_CLIENT, &placement);
	return ops->start(&options);
}

int
peer_main(int argc, char **argv, const struct peer_ops *its_ops)
{
	int err, status;

	ops = its_ops;
	parse(argc, argv);
	err = prepare();
	if (err < 0) {
		tidy_up();
		bench_fail("%s", strerror(-err));
	}
	subject.operation = operate;
	subject.counters = counters;
	status = bench_main(&subject);
	subject.n_servers = 0;
	tidy_up();
	free(request);
	free(answer);
	return status;
}
