/* SPDX-License-Identifier: MIT */
/* dext realm run: a private dextd around one command. */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dext/dext.h"

#define READY_TIMEOUT_MS 30000
#define QUIET_SECONDS 10u
#define MAX_ACTIONS 64
#define MAX_OPTIONS 32
#define SHOWN_MAX 3 /* incidents that are shown whole */

struct realm {
	char dir[PATH_MAX];
	bool own_dir;                /* made here, removed at the end */
	const char *strict, *log;
	bool allow_crashes;
	const char *options[MAX_OPTIONS]; /* borrowed: dextd's */
	unsigned n_options;
	uint64_t incident;           /* the newest when it began */
	bool verbose;                /* the log goes to standard error as it is written */
	struct { bool attach; const char *what; } actions[MAX_ACTIONS]; /* in the order they were given */
	unsigned n_actions;
	pid_t dextd;
};

static volatile sig_atomic_t stopped; /* a signal asked to end */

static void
on_signal(int number)
{
	stopped = number;
}

/* Wait until dextd says that its socket is there, or ends. */
static int
wait_ready(struct realm *realm, int ready_fd)
{
	struct pollfd pollfd = { .fd = ready_fd, .events = POLLIN };
	char byte;

	if (poll(&pollfd, 1, READY_TIMEOUT_MS) == 1 && read(ready_fd, &byte, 1) == 1)
		return EXIT_OK;
	return fail("realm", "dextd did not become ready in %s; what it said is above", realm->dir);
}

static int
start_dextd(struct realm *realm)
{
	int ready[2];
	char ready_number[16];

	if (pipe(ready) < 0)
		return fail("realm", "pipe: %s", strerror(errno));
	(void)snprintf(ready_number, sizeof ready_number, "%d", ready[1]);
	realm->dextd = fork();
	if (realm->dextd == 0) {
		char installed[PATH_MAX];
		close(ready[0]);
		(void)setpgid(0, 0); /* a terminal's interrupt is for the command; dextd is ended below */
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		const char *arguments[] = { own_program("AMBIDEXT_DEXTD", DEXTD_FROM_DEXT, installed),
					    "--realm", realm->dir, "--ready-fd", ready_number,
					    [5 + 3 + MAX_OPTIONS] = NULL };
		size_t n = 5;
		for (unsigned i = 0; i < realm->n_options; i++)
			arguments[n++] = realm->options[i];
		if (realm->verbose)
			arguments[n++] = "--foreground";
		if (realm->strict) {
			arguments[n++] = "--strict";
			arguments[n++] = realm->strict;
		}
		execvp(arguments[0], (char *const *)arguments);
		fprintf(stderr, "dext realm: %s: %s\n", arguments[0], strerror(errno));
		_exit(127);
	}
	close(ready[1]);
	int status = realm->dextd < 0 ? fail("realm", "fork: %s", strerror(errno)) : wait_ready(realm, ready[0]);
	close(ready[0]);
	return status;
}

/* What load and attach print goes to standard error here: standard output is the command's. */
static int
do_actions(struct realm *realm)
{
	int status = EXIT_OK, output = dup(STDOUT_FILENO);

	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	for (unsigned i = 0; i < realm->n_actions && status == EXIT_OK; i++) {
		char *arguments[] = { (char *)(realm->actions[i].attach ? "attach" : "load"),
				      (char *)(uintptr_t)realm->actions[i].what, NULL };
		status = realm->actions[i].attach ? command_attach(2, arguments) : command_load(2, arguments);
	}
	(void)fflush(stdout);
	if (output >= 0) {
		(void)dup2(output, STDOUT_FILENO);
		close(output);
	}
	/* Drivers that match start now; the command sees what they have become. */
	mach_timespec_t wait = { .tv_sec = QUIET_SECONDS };
	if (status == EXIT_OK && realm->n_actions > 0 && IOKitWaitQuiet(kIOMainPortDefault, &wait) == kIOReturnTimeout)
		progress("dext realm: drivers still start after %u s; the command is run all the same", QUIET_SECONDS);
	return status;
}

/* Exit status of the command, as a shell gives it. */
static int
run_command(char **command)
{
	char *shell[] = { getenv("SHELL") ? getenv("SHELL") : (char *)"/bin/sh", NULL };
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (!*command)
			command = shell;
		execvp(command[0], command);
		fprintf(stderr, "dext realm: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		return fail("realm", "fork: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		if (stopped)
			(void)kill(pid, stopped);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
write_log(const char *path)
{
	char *arguments[] = { (char *)"log", NULL };
	int saved = -1;

	if (strcmp(path, "-") == 0)
		path = "/dev/stderr";
	FILE *file = fopen(path, "ae");
	if (!file) {
		(void)fail("realm", "%s: %s", path, strerror(errno));
		return;
	}
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	if (saved >= 0 && dup2(fileno(file), STDOUT_FILENO) >= 0)
		(void)command_log(1, arguments);
	fflush(stdout);
	if (saved >= 0) {
		(void)dup2(saved, STDOUT_FILENO);
		close(saved);
	}
	(void)fclose(file);
}

/* Whole, to standard error. @return their number */
static unsigned
show_incidents(const struct realm *realm)
{
	unsigned n = crash_count(realm->dir, realm->incident);
	int output;

	if (n == 0)
		return 0;
	(void)fflush(stdout);
	output = dup(STDOUT_FILENO);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	crash_show_all(realm->dir, realm->incident, SHOWN_MAX);
	(void)fflush(stdout);
	if (output >= 0) {
		(void)dup2(output, STDOUT_FILENO);
		close(output);
	}
	return n;
}

/* @return incidents that nobody allowed */
static unsigned
end(struct realm *realm)
{
	unsigned n_incidents = 0;
	int status;

	if (realm->dextd > 0) {
		if (realm->log)
			write_log(realm->log);
		(void)kill(realm->dextd, SIGTERM);
		while (waitpid(realm->dextd, &status, 0) < 0 && errno == EINTR)
			;
		if (WIFSIGNALED(status))
			(void)fail("realm", "dextd ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	}
	/* Now: a sanitizer may have had its say when the drivers ended. */
	if (!realm->allow_crashes)
		n_incidents = show_incidents(realm);
	if (realm->own_dir)
		crash_remove_all(realm->dir);
	if (realm->own_dir && rmdir(realm->dir) < 0)
		(void)fail("realm", "%s is left over: %s", realm->dir, strerror(errno));
	return n_incidents;
}

int
command_realm(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },  { "load", required_argument, NULL, 'l' },
		{ "attach", required_argument, NULL, 'a' }, { "strict", required_argument, NULL, 's' },
		{ "log", required_argument, NULL, 'o' },  { "verbose", no_argument, NULL, 'v' },
		{ "dextd", required_argument, NULL, 'D' }, { "allow-crashes", no_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	struct realm realm = { 0 };
	int option, status;

	if (argc < 2 || strcmp(argv[1], "run") != 0)
		return usage_of("realm", "the one thing to do with a realm is 'run'");
	argc--;
	argv++;
	optind = 0;
	while ((option = getopt_long(argc, argv, "+v", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			if (snprintf(realm.dir, sizeof realm.dir, "%s", optarg) >= (int)sizeof realm.dir)
				return fail("realm", "the path is too long");
			break;
		case 'l':
		case 'a':
			if (realm.n_actions == MAX_ACTIONS)
				return fail("realm", "more than %d --load and --attach", MAX_ACTIONS);
			realm.actions[realm.n_actions].attach = option == 'a';
			realm.actions[realm.n_actions++].what = optarg;
			break;
		case 's':
			if (strcmp(optarg, "macos") != 0)
				return usage_of("realm", "--strict knows 'macos'");
			realm.strict = optarg;
			(void)setenv("AMBIDEXT_STRICT", optarg, 1); /* the command's side of each call is strict as well */
			break;
		case 'o':
			realm.log = optarg;
			break;
		case 'D':
			if (realm.n_options == MAX_OPTIONS)
				return fail("realm", "more than %d --dextd", MAX_OPTIONS);
			realm.options[realm.n_options++] = optarg;
			break;
		case 'c':
			realm.allow_crashes = true;
			break;
		case 'v':
			realm.verbose = true;
			break;
		default:
			return usage_of("realm", "wrong option");
		}
	}
	if (!*realm.dir) {
		const char *parent = getenv("XDG_RUNTIME_DIR");
		(void)snprintf(realm.dir, sizeof realm.dir, "%s/ambidext-XXXXXX", parent && *parent ? parent : "/tmp");
		if (!mkdtemp(realm.dir))
			return fail("realm", "%s: %s", realm.dir, strerror(errno));
		realm.own_dir = true;
	} else if (mkdir(realm.dir, 0700) == 0) {
		realm.own_dir = true;
	} else if (errno != EEXIST) {
		return fail("realm", "%s: %s", realm.dir, strerror(errno));
	}
	struct sigaction action = { .sa_handler = on_signal };
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)setenv("AMBIDEXT_REALM", realm.dir, 1);
	realm.incident = crash_newest(realm.dir);
	status = start_dextd(&realm);
	if (status == EXIT_OK)
		status = do_actions(&realm);
	if (status == EXIT_OK)
		status = run_command(argv + optind);
	if (status != EXIT_OK && !realm.log && !realm.verbose) {
		progress("dext realm: it ended with %d; the realm's log:", status);
		realm.log = "-";
	}
	unsigned n_incidents = end(&realm);
	if (n_incidents > 0) {
		int failed = fail("realm", "%u time%s something went wrong with a driver, and is shown above; --allow-crashes lets it pass",
				  n_incidents, n_incidents > 1 ? "s" : "");
		status = status == EXIT_OK ? failed : status;
	}
	return status;
}
