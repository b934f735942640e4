/* SPDX-License-Identifier: MIT */
/* How a hosted process is made: environment, descriptors, output. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ledger.h"
#include "base/logline.h"
#include "dextd/launch.h"
#include "dextd/realm.h"

#define CHANNEL_FD 3

struct rlimit server_descriptor_limit;

void
launch_free_strings(char **strings)
{
	size_t i;

	for (i = 0; strings && strings[i]; i++)
		free(strings[i]);
	free(strings);
}

static bool
is_passed_on(const char *variable)
{
	static const char *const names[] = {
		"PATH=",
		"LANG=",
		"LC_",
		"TZ=",
		"TMPDIR=",
		"HOME=",
		"LD_LIBRARY_PATH=",
		"ASAN_OPTIONS=",
		"UBSAN_OPTIONS=",
		"LSAN_OPTIONS=",
		"TSAN_OPTIONS=",
		"LLVM_PROFILE_FILE=",
		"AMBIDEXT_",
	};
	static const char *const ours[] = { "AMBIDEXT_SOCKET_FD=", "AMBIDEXT_TOKEN=",
					    "AMBIDEXT_SERVER_NAME=", "AMBIDEXT_REALM=",
					    "AMBIDEXT_HOSTS=", "AMBIDEXT_LEDGER_FD=" };
	size_t i;

	for (i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (!strncmp(variable, ours[i], strlen(ours[i])))
			return false;
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

static char **
make_environment(const struct server *server)
{
	size_t n = 0, room = 8;
	char **env, **variable;
	unsigned i;
	bool done;

	for (variable = environ; *variable; variable++)
		room++;
	env = calloc(room + server->n_passed, sizeof *env);
	if (!env)
		return NULL;
	done = asprintf(&env[n++], "AMBIDEXT_SOCKET_FD=%d", CHANNEL_FD) >= 0 &&
	       asprintf(&env[n++], "AMBIDEXT_TOKEN=%s", server->token) >= 0 &&
	       asprintf(&env[n++], "AMBIDEXT_SERVER_NAME=%s", server->name) >= 0 &&
	       asprintf(&env[n++], "AMBIDEXT_REALM=%s", server->realm->config.dir) >= 0;
	if (done && server->realm->config.strict && !getenv("AMBIDEXT_STRICT"))
		done = (env[n++] = strdup("AMBIDEXT_STRICT=macos")) != NULL;
	for (i = 0; done && i < server->n_passed; i++)
		done = asprintf(&env[n++], "%s=%u", server->passed[i].variable,
				CHANNEL_FD + 1 + i) >= 0;
	for (variable = environ; done && *variable; variable++)
		if (is_passed_on(*variable) && !sandbox_hides_variable(server->sandbox, *variable))
			done = (env[n++] = strdup(*variable)) != NULL;
	if (done)
		return env;
	launch_free_strings(env);
	return NULL;
}

/* In the child. Only async-signal-safe calls. */
__attribute__((noreturn)) static void
become(const struct server *server, char *const *env, int channel, int output)
{
	static const char cannot[] = "cannot be executed: ";
	char *const *argv = server->argv;
	int null = open("/dev/null", O_RDONLY);
	int passed[LAUNCH_PASSED_MAX];
	const char *why;
	unsigned i;
	sigset_t none;
	int sig;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* The descriptors may stand in each other's way: up first. */
	channel = fcntl(channel, F_DUPFD, 10);
	output = fcntl(output, F_DUPFD, 10);
	null = fcntl(null, F_DUPFD, 10);
	for (i = 0; i < server->n_passed; i++)
		passed[i] = fcntl(server->passed[i].fd, F_DUPFD, 10);
	if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
	    dup2(channel, CHANNEL_FD) < 0)
		_exit(126);
	for (i = 0; i < server->n_passed; i++)
		if (dup2(passed[i], CHANNEL_FD + 1 + (int)i) < 0)
			_exit(126);
	(void)close_range(CHANNEL_FD + 1 + server->n_passed, ~0u, CLOSE_RANGE_CLOEXEC);
	if (server_descriptor_limit.rlim_max)
		(void)setrlimit(RLIMIT_NOFILE, &server_descriptor_limit);
	sandbox_enter(server->sandbox);
	(void)execve(argv[0], argv, env);
	why = strerrordesc_np(errno);
	if (write(2, argv[0], strlen(argv[0])) < 0 || write(2, " ", 1) < 0 ||
	    write(2, cannot, sizeof cannot - 1) < 0 || write(2, why, strlen(why)) < 0)
		_exit(126);
	_exit(127);
}

struct birth {
	const struct server *server;
	char *const *env;
	int channel, output;
};

static void
be_born(void *context)
{
	const struct birth *birth = context;

	become(birth->server, birth->env, birth->channel, birth->output);
}

static void
output_line(void *userdata, const char *line)
{
	struct server *server = userdata;

	char rule[ADXI_LOGLINE_RULE_MAX + 1];
	const char *text = adxi_logline_parse(line, rule);

	realm_peer_log(server->realm, server->account, (int)server->pid, server->name, rule, text);
	incident_line(server, line);
}

static void
output_ready(struct adxi_source *source, int fd, uint32_t events, void *userdata)
{
	struct server *server = userdata;
	unsigned turns;
	char data[4096];
	ssize_t r = 0;

	/* A process that floods its output must not keep the loop. */
	for (turns = 0; turns < 8; turns++) {
		r = read(fd, data, sizeof data);
		if (r <= 0)
			break;
		line_cutter_feed(server->cutter, data, (size_t)r, output_line, server);
	}
	if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR)) {
		line_cutter_feed(server->cutter, "", 0, output_line, server);
		server->output = adxi_source_remove(server->output);
	}
}

static void
drain_output(struct server *server)
{
	char data[4096];
	ssize_t r;

	while ((r = read(server->output_fd, data, sizeof data)) > 0)
		line_cutter_feed(server->cutter, data, (size_t)r, output_line, server);
}

void
launch_end_output(struct server *server)
{
	if (server->output)
		drain_output(server);
	line_cutter_feed(server->cutter, "", 0, output_line, server);
	server->output = adxi_source_remove(server->output);
}

int
launch_pass(struct server *server, const char *variable, int fd)
{
	if (server->n_passed == LAUNCH_PASSED_MAX)
		return -EMFILE;
	server->passed[server->n_passed].variable = variable;
	server->passed[server->n_passed++].fd = fd;
	return 0;
}

void
launch_close_passed(struct server *server)
{
	while (server->n_passed > 0)
		(void)close(server->passed[--server->n_passed].fd);
}

/* Tests' (base/ledger.h): without one the process is not judged, and its driver works all the same. */
static void
pass_ledger(struct server *server)
{
	int fd = adxi_ledger_file_for(server->name);

	if (fd >= 0 && launch_pass(server, "AMBIDEXT_LEDGER_FD", fd) < 0)
		(void)close(fd);
}

int
launch_spawn(struct server *server, adxi_child_fn *ended, adxi_timer_fn *late)
{
	adxi_cleanup(adxi_closep) int output_write = -1;
	adxi_cleanup(adxi_closep) int theirs = -1;
	struct realm *realm = server->realm;
	struct birth birth;
	int sockets[2], pipes[2], r;
	char **env;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	theirs = sockets[1];
	r = connection_new(realm, sockets[0], server, &server->connection);
	if (r < 0)
		return r;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	output_write = pipes[1];
	(void)fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	server->output_fd = pipes[0];
	r = adxi_loop_add_fd(realm->loop, pipes[0], true, EPOLLIN, output_ready, server,
			     &server->output);
	if (r < 0)
		return r;
	pass_ledger(server);
	r = sandbox_new(server, &server->sandbox);
	if (r < 0)
		return r;
	env = make_environment(server);
	if (!env)
		return -ENOMEM;
	birth = (struct birth){ server, env, theirs, output_write };
	r = sandbox_spawn(server->sandbox, be_born, &birth, &server->pid);
	launch_free_strings(env);
	launch_close_passed(server);
	if (r < 0) {
		server->pid = 0;
		return r;
	}
	(void)setpgid(server->pid, server->pid); /* also in the child: whoever comes first */
	server->connection->pid = server->pid;
	server->launched_ns = adxi_now_ns();
	r = adxi_loop_add_child(realm->loop, server->pid, ended, server, &server->child);
	if (r < 0) {
		(void)kill(-server->pid, SIGKILL);
		(void)waitpid(server->pid, NULL, 0);
		server->pid = 0;
		return r;
	}
	return adxi_loop_add_timer(realm->loop, adxi_deadline_ns(realm->config.checkin_ns), late,
				   server, &server->timer);
}
