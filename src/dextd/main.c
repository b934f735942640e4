/* SPDX-License-Identifier: MIT */
/* dextd: options, the realm's directory, its socket. */

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rules.h"
#include "dextd/access.h"
#include "dextd/launch.h"
#include "dextd/policy.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd"
#include "base/log.h"

#define PLACES_MAX    64u
#define SYSTEM_REALM  "/run/ambidext"
#define SYSTEM_POLICY "/etc/ambidext/policy.plist"

struct options {
	const char *dir;
	const char *bundles[PLACES_MAX];
	size_t n_bundles;
	const char *hosts[PLACES_MAX];
	size_t n_hosts;
	const char *policy; /* or NULL */
	bool foreground;
	int ready_fd;
	enum adxi_log_level level;
	struct realm_config config;
};

struct daemon {
	struct options options;
	char dir[PATH_MAX];
	int lock_fd;
	int listen_fd;
	int spare_fd; /* given up for a moment when none is left */
	bool has_socket;
	struct adxi_loop *loop;         /* owned */
	struct adxi_source *listener;   /* owned */
	struct adxi_source *signals[2]; /* owned */
	struct realm *realm;            /* owned */
};

static void
usage(FILE *to)
{
	fputs("usage: dextd --realm DIR [OPTION...]\n"
	      "Keep an I/O Registry: match, launch and supervise drivers, and introduce clients to "
	      "them.\n"
	      "\n"
	      "  --realm DIR          directory of the socket (dextd.sock), made if it is not "
	      "there;\n"
	      "                       default $AMBIDEXT_REALM, else /run/ambidext\n"
	      "  --bundles DIR        load the bundles (*.dext) in DIR; may be repeated\n"
	      "  --host PATH[=ARGS]   a family host to run, as usbhost; may be repeated; default "
	      "$AMBIDEXT_HOSTS\n"
	      "                       (a list with colons; 'none': none), else the installed "
	      "usbhost\n"
	      "  --strict macos       what macOS refuses is refused here\n"
	      "  --open-to WHO        everyone, user:NAME or group:NAME may open services, besides "
	      "dextd's\n"
	      "                       user and root; may be repeated\n"
	      "  --policy FILE        what is granted beyond that, as a property list; the "
	      "system's "
	      "realm\n"
	      "                       reads /etc/ambidext/policy.plist where it is\n"
	      "  --sandbox MODE       of drivers and hosts: auto (every layer that there is), "
	      "require (all, or\n"
	      "                       they are not run), off; default $AMBIDEXT_SANDBOX, else "
	      "auto\n"
	      "  --stop-limit MS      kill a driver whose Stop takes longer (15000)\n"
	      "  --crashes N          folders of crashes that are kept in DIR/crashes (20); 0: none\n"
	      "  --hang-limit MS      tell of a driver that keeps a caller waiting longer and does "
	      "not go on\n"
	      "                       ($AMBIDEXT_PATIENCE_MS, else 5000)\n"
	      "  --hang-kill MS       kill a driver that has hung so long (60000); 0: never\n"
	      "  --checkin-limit MS   kill a driver that has not checked in by then (120000)\n"
	      "  --restart POLICY     of drivers that end: backoff (0, 50, 100 ... ms; "
	      "quarantine), apple "
	      "(at once,\n"
	      "                       1001 times), at-once\n"
	      "  --restart-delay MS   the second wait of backoff (50)\n"
	      "  --healthy-after MS   a driver that ran so long begins with no wait again (1000)\n"
	      "  --crash-limit N      crashes that lead to quarantine (6); 0: none does\n"
	      "  --crash-window MS    the time within which they are counted (1800000)\n"
	      "  --foreground         write the realm's log to standard error\n"
	      "  --log-level LEVEL    error, warning, info, debug or trace, for dextd's own "
	      "messages\n"
	      "  --ready-fd N         write READY=1 to descriptor N, and close it, when clients "
	      "can connect\n"
	      "  --help, --version\n",
	      to);
}

static int
parse_level(const char *text, enum adxi_log_level *ret_level)
{
	static const char *const names[] = { "none", "error", "warning", "info", "debug", "trace" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!strcmp(names[i], text)) {
			*ret_level = (enum adxi_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int
parse_ms(const char *text, uint64_t *ret_ns)
{
	char *end;
	unsigned long ms;

	errno = 0;
	ms = strtoul(text, &end, 10);
	if (errno || *end || end == text || ms == 0 || ms > 3600000)
		return -EINVAL;
	*ret_ns = ms * ADXI_NS_PER_MS;
	return 0;
}

static int
add_place(const char **places, size_t *n, const char *place)
{
	if (*n == PLACES_MAX)
		return -E2BIG;
	places[(*n)++] = place;
	return 0;
}

static int
wrong(const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "dextd: %s '%s': %s (dextd --help lists the options)\n", option, value,
		wanted);
	return 2;
}

static const char *
option_name(const struct option *table, int value)
{
	while (table->val != value)
		table++;
	return table->name;
}

/* 0: go on, 1: done, 2: refused. */
static int
parse(int argc, char **argv, struct options *options)
{
	enum {
		REALM = 256,
		BUNDLES,
		HOST,
		STRICT,
		OPEN_TO,
		POLICY,
		SANDBOX,
		STOP_LIMIT,
		CHECKIN_LIMIT,
		HANG_LIMIT,
		HANG_KILL,
		RESTART,
		RESTART_DELAY,
		HEALTHY_AFTER,
		CRASH_LIMIT,
		CRASH_WINDOW,
		CRASHES,
		FOREGROUND,
		LEVEL,
		READY,
		HELP,
		VERSION
	};
	static const struct option table[] = {
		{ "realm", required_argument, NULL, REALM },
		{ "bundles", required_argument, NULL, BUNDLES },
		{ "host", required_argument, NULL, HOST },
		{ "strict", required_argument, NULL, STRICT },
		{ "open-to", required_argument, NULL, OPEN_TO },
		{ "policy", required_argument, NULL, POLICY },
		{ "sandbox", required_argument, NULL, SANDBOX },
		{ "stop-limit", required_argument, NULL, STOP_LIMIT },
		{ "checkin-limit", required_argument, NULL, CHECKIN_LIMIT },
		{ "hang-limit", required_argument, NULL, HANG_LIMIT },
		{ "hang-kill", required_argument, NULL, HANG_KILL },
		{ "restart", required_argument, NULL, RESTART },
		{ "restart-delay", required_argument, NULL, RESTART_DELAY },
		{ "healthy-after", required_argument, NULL, HEALTHY_AFTER },
		{ "crash-limit", required_argument, NULL, CRASH_LIMIT },
		{ "crashes", required_argument, NULL, CRASHES },
		{ "crash-window", required_argument, NULL, CRASH_WINDOW },
		{ "foreground", no_argument, NULL, FOREGROUND },
		{ "log-level", required_argument, NULL, LEVEL },
		{ "ready-fd", required_argument, NULL, READY },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ NULL, 0, NULL, 0 },
	};
	char *end, why[160];
	long fd;
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case REALM:
			options->dir = optarg;
			break;
		case BUNDLES:
			if (add_place(options->bundles, &options->n_bundles, optarg) < 0)
				return wrong("--bundles", optarg, "more than 64 directories");
			break;
		case HOST:
			if (add_place(options->hosts, &options->n_hosts, optarg) < 0)
				return wrong("--host", optarg, "more than 64 hosts");
			break;
		case STRICT:
			if (strcmp(optarg, "macos"))
				return wrong("--strict", optarg, "only 'macos' is known");
			options->config.strict = true;
			break;
		case OPEN_TO:
			if (access_open_to(options->config.access, optarg, why, sizeof why) < 0)
				return wrong("--open-to", optarg, why);
			break;
		case POLICY:
			options->policy = optarg;
			break;
		case SANDBOX:
			if (sandbox_mode_parse(optarg, &options->config.sandbox) < 0)
				return wrong("--sandbox", optarg,
					     "auto, require or off is wanted");
			break;
		case STOP_LIMIT:
			if (parse_ms(optarg, &options->config.stop_limit_ns) < 0)
				return wrong("--stop-limit", optarg,
					     "milliseconds, 1 to 3600000, are wanted");
			if (options->config.stop_warning_ns > options->config.stop_limit_ns / 2)
				options->config.stop_warning_ns = options->config.stop_limit_ns / 2;
			break;
		case CHECKIN_LIMIT:
			if (parse_ms(optarg, &options->config.checkin_ns) < 0)
				return wrong("--checkin-limit", optarg,
					     "milliseconds, 1 to 3600000, are wanted");
			break;
		case HANG_LIMIT:
			if (parse_ms(optarg, &options->config.hang_ns) < 0)
				return wrong("--hang-limit", optarg,
					     "milliseconds, 1 to 3600000, are wanted");
			break;
		case HANG_KILL:
			if (!strcmp(optarg, "0"))
				options->config.hang_kill_ns = 0;
			else if (parse_ms(optarg, &options->config.hang_kill_ns) < 0)
				return wrong("--hang-kill", optarg,
					     "milliseconds, 0 to 3600000, are wanted");
			break;
		case RESTART:
			if (supervise_policy_find(optarg) < 0)
				return wrong("--restart", optarg,
					     "backoff, apple or at-once is wanted");
			options->config.restart.policy =
				(enum supervise_policy)supervise_policy_find(optarg);
			break;
		case RESTART_DELAY:
		case HEALTHY_AFTER:
		case CRASH_WINDOW:
			if (parse_ms(optarg, c == RESTART_DELAY ? &options->config.restart.delay_ns
					     : c == HEALTHY_AFTER
						     ? &options->config.restart.healthy_ns
						     : &options->config.restart.window_ns) < 0)
				return wrong(option_name(table, c), optarg,
					     "milliseconds, 1 to 3600000, are wanted");
			break;
		case CRASHES:
			errno = 0;
			fd = strtol(optarg, &end, 10);
			if (errno || *end || end == optarg || fd < 0 || fd > 1000)
				return wrong("--crashes", optarg, "a number from 0 to 1000 is wanted");
			options->config.crashes_kept = (unsigned)fd;
			break;
		case CRASH_LIMIT:
			errno = 0;
			fd = strtol(optarg, &end, 10);
			if (errno || *end || end == optarg || fd < 0 || fd > SUPERVISE_FAULTS_KEPT)
				return wrong("--crash-limit", optarg,
					     "a number from 0 to 16 is wanted");
			options->config.restart.limit = (unsigned)fd;
			break;
		case FOREGROUND:
			options->foreground = true;
			break;
		case LEVEL:
			if (parse_level(optarg, &options->level) < 0)
				return wrong("--log-level", optarg,
					     "error, warning, info, debug or trace is wanted");
			break;
		case READY:
			errno = 0;
			fd = strtol(optarg, &end, 10);
			if (errno || *end || end == optarg || fd < 0 || fd > INT_MAX ||
			    fcntl((int)fd, F_GETFD) < 0)
				return wrong("--ready-fd", optarg, "an open descriptor is wanted");
			options->ready_fd = (int)fd;
			break;
		case HELP:
			usage(stdout);
			return 1;
		case VERSION:
			puts("dextd " AMBIDEXT_VERSION);
			return 1;
		default:
			return 2;
		}
	}
	if (optind < argc)
		return wrong("argument", argv[optind], "dextd takes options only");
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Directory and socket
 */

static int
fail(const struct daemon *daemon, const char *what, int r)
{
	fprintf(stderr, "dextd: %s: %s: %s\n", daemon->dir, what, strerror(-r));
	return r;
}

static int
read_policy(struct daemon *daemon, const char *dir)
{
	value_auto OSDictionary *policy = NULL;
	const char *path = daemon->options.policy;
	struct access *access = daemon->options.config.access;
	char why[512];
	int r;

	if (!path && strcmp(dir, SYSTEM_REALM) == 0)
		path = SYSTEM_POLICY;
	r = path ? policy_read(path, &policy, why, sizeof why) : 0;
	if (r == -ENOENT && !daemon->options.policy)
		r = 0;
	if (r == 0 && value_get(policy, "Access"))
		r = access_read_policy(access, value_get(policy, "Access"), why, sizeof why);
	if (r == 0 && value_get(policy, "Sandbox")) {
		daemon->options.config.grants =
			value_ref(value_as(OSDictionary, value_get(policy, "Sandbox")));
		if (!daemon->options.config.grants) {
			(void)snprintf(why, sizeof why, "has a Sandbox that is no dictionary");
			r = -EINVAL;
		}
	}
	if (r < 0) {
		fprintf(stderr, "dextd: the policy %s %s\n", path, why);
		return r;
	}
	if (access_is_for_others(access))
		daemon->options.config.socket_mode = 0666;
	return 0;
}

/* The lock is held as long as the process lives, whatever becomes of the file. */
static int
take_directory(struct daemon *daemon)
{
	const char *dir = daemon->options.dir;
	char path[PATH_MAX + 16], number[24];
	int len, r;

	if (!dir)
		dir = getenv("AMBIDEXT_REALM");
	if (!dir || !*dir)
		dir = SYSTEM_REALM;
	r = read_policy(daemon, dir);
	if (r < 0)
		return r;
	(void)snprintf(daemon->dir, sizeof daemon->dir, "%s", dir);
	if (mkdir(dir, daemon->options.config.socket_mode == 0666 ? 0755 : 0700) < 0 &&
	    errno != EEXIST)
		return fail(daemon, "the realm's directory cannot be made", -errno);
	if (!realpath(dir, daemon->dir))
		return fail(daemon, "the realm's directory cannot be used", -errno);
	(void)snprintf(path, sizeof path, "%s/dextd.pid", daemon->dir);
	daemon->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (daemon->lock_fd < 0)
		return fail(daemon, "dextd.pid cannot be opened", -errno);
	if (flock(daemon->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		len = (int)read(daemon->lock_fd, number, sizeof number - 1);
		number[len > 0 ? len : 0] = '\0';
		number[strcspn(number, "\n")] = '\0';
		fprintf(stderr,
			"dextd: %s: another dextd (pid %s) keeps this realm; end it, or name "
			"another directory with --realm\n",
			daemon->dir, number);
		(void)close(daemon->lock_fd);
		daemon->lock_fd = -1;
		return -EBUSY;
	}
	len = snprintf(number, sizeof number, "%d\n", (int)getpid());
	if (ftruncate(daemon->lock_fd, 0) < 0 || write(daemon->lock_fd, number, (size_t)len) != len)
		return fail(daemon, "dextd.pid cannot be written", -errno);
	return 0;
}

/* Each connection has several descriptors, each process more. Children get the limit that we were
 * started with. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	server_descriptor_limit = limit;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("the limit of descriptors stays at %llu",
			    (unsigned long long)server_descriptor_limit.rlim_cur);
}

/* Out of descriptors: turn the client away, since the socket would be ready for ever. */
static void
turn_away(struct daemon *daemon, int fd)
{
	int socket;

	if (daemon->spare_fd < 0)
		return;
	(void)close(daemon->spare_fd);
	socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (socket >= 0)
		(void)close(socket);
	daemon->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_warning("a client is turned away: no descriptor is left");
}

static void
client_connects(struct adxi_source *source, int fd, uint32_t events, void *userdata)
{
	struct daemon *daemon = userdata;
	struct connection *connection;
	int socket, r;

	socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (socket < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away(daemon, fd);
		return;
	}
	r = connection_new(daemon->realm, socket, NULL, &connection);
	if (r < 0)
		log_info("a client could not be served: %s", strerror(-r));
}

static int
listen_on(struct daemon *daemon)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int r;

	r = snprintf(address.sun_path, sizeof address.sun_path, "%s/dextd.sock", daemon->dir);
	if (r < 0 || (size_t)r >= sizeof address.sun_path)
		return fail(daemon, "the path is too long for a socket", -ENAMETOOLONG);
	daemon->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (daemon->listen_fd < 0)
		return fail(daemon, "no socket", -errno);
	/* We hold the lock: what is there is left over. */
	(void)unlink(address.sun_path);
	mask = umask(0777 & ~daemon->options.config.socket_mode);
	r = bind(daemon->listen_fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return fail(daemon, "dextd.sock cannot be made", r);
	daemon->has_socket = true;
	daemon->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (listen(daemon->listen_fd, 128) < 0)
		return fail(daemon, "dextd.sock", -errno);
	r = adxi_loop_add_fd(daemon->loop, daemon->listen_fd, false, EPOLLIN, client_connects,
			     daemon, &daemon->listener);
	return r < 0 ? fail(daemon, "the loop", r) : 0;
}

static void
leave_directory(struct daemon *daemon)
{
	char path[PATH_MAX + 16];

	if (daemon->has_socket) {
		(void)snprintf(path, sizeof path, "%s/dextd.sock", daemon->dir);
		(void)unlink(path);
	}
	if (daemon->lock_fd >= 0) {
		(void)snprintf(path, sizeof path, "%s/dextd.pid", daemon->dir);
		(void)unlink(path);
		(void)close(daemon->lock_fd);
	}
	if (daemon->listen_fd >= 0)
		(void)close(daemon->listen_fd);
	if (daemon->spare_fd >= 0)
		(void)close(daemon->spare_fd);
}

/* ---------------------------------------------------------------------------------------------
 * Hosts and bundles
 */

/* argv of "PATH=ARG ARG"; PATH without a slash is sought in $PATH. */
static int
launch_host(struct daemon *daemon, const char *spec)
{
	adxi_cleanup(adxi_freep) char *copy = strdup(spec);
	char found[PATH_MAX], *argv[PLACES_MAX], *args, *save = NULL, *dir, *arg;
	adxi_cleanup(adxi_freep) char *path =
		strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
	size_t n = 0;
	int r;

	if (!copy || !path)
		return -ENOMEM;
	args = strchr(copy, '=');
	if (args)
		*args++ = '\0';
	found[0] = '\0';
	if (strchr(copy, '/')) {
		if (!realpath(copy, found))
			found[0] = '\0';
	} else {
		for (dir = strtok_r(path, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
			(void)snprintf(found, sizeof found, "%s/%s", dir, copy);
			if (access(found, X_OK) == 0)
				break;
			found[0] = '\0';
		}
	}
	if (!found[0]) {
		fprintf(stderr, "dextd: there is no host program '%s'\n", copy);
		return -ENOENT;
	}
	argv[n++] = found;
	save = NULL;
	for (arg = args ? strtok_r(args, " ", &save) : NULL; arg && n < PLACES_MAX - 1;
	     arg = strtok_r(NULL, " ", &save))
		argv[n++] = arg;
	argv[n] = NULL;
	r = server_keep_host(daemon->realm, (const char *const *)argv);
	if (r < 0)
		fprintf(stderr, "dextd: host '%s' cannot be launched: %s\n", found, strerror(-r));
	return r;
}

/* Path of the host that was installed with this program; empty where none was. */
static void
find_installed_host(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	path[0] = '\0';
	if (len <= 0)
		return;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	len = snprintf(path, size, "%s/" USBHOST_FROM_DEXTD, self);
	if (len < 0 || (size_t)len >= size || access(path, X_OK) < 0)
		path[0] = '\0';
}

static int
launch_hosts(struct daemon *daemon)
{
	const struct options *options = &daemon->options;
	adxi_cleanup(adxi_freep) char *list = NULL;
	const char *from = getenv("AMBIDEXT_HOSTS");
	char *save = NULL, *host, installed[PATH_MAX];
	size_t i;
	int r;

	for (i = 0; i < options->n_hosts; i++) {
		r = strcmp(options->hosts[i], "none") ? launch_host(daemon, options->hosts[i]) : 0;
		if (r < 0)
			return r;
	}
	if (options->n_hosts || (from && !strcmp(from, "none")))
		return 0;
	if (!from || !*from) {
		find_installed_host(installed, sizeof installed);
		return installed[0] ? launch_host(daemon, installed) : 0;
	}
	list = strdup(from);
	for (host = list ? strtok_r(list, ":", &save) : NULL; host;
	     host = strtok_r(NULL, ":", &save)) {
		r = launch_host(daemon, host);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
is_bundle(const struct dirent *item)
{
	size_t len = strlen(item->d_name);

	return len > 5 && !strcmp(item->d_name + len - 5, ".dext");
}

static void
load_bundles(struct daemon *daemon, const char *dir)
{
	struct dirent **items = NULL;
	int i, n = scandir(dir, &items, is_bundle, alphasort);
	const char *id;

	if (n < 0) {
		log_warning("no bundles from %s: %s", dir, strerror(errno));
		return;
	}
	for (i = 0; i < n; i++) {
		value_auto OSArray *problems = value_array_new();
		adxi_cleanup(adxi_freep) char *path = NULL;

		/* The problems are in the log already. */
		if (asprintf(&path, "%s/%s", dir, items[i]->d_name) < 0)
			path = NULL;
		else if (realm_load(daemon->realm, path, problems, &id) < 0)
			log_warning("%s was not loaded", path);
		free(items[i]);
	}
	free(items);
}

/* ---------------------------------------------------------------------------------------------
 * Run
 */

static void
end_asked(struct adxi_source *source, int signal, void *userdata)
{
	struct daemon *daemon = userdata;

	realm_end(daemon->realm);
}

static void
tee_line(void *userdata, int pid, const char *server, const char *rule, const char *text)
{
	if (pid)
		fprintf(stderr, "%s[%d]: %s\n", server, pid, text);
	else
		fprintf(stderr, "%s: %s\n", server, text);
}

static int
set_up(struct daemon *daemon)
{
	static const int signals[] = { SIGTERM, SIGINT };
	size_t i;
	int r;

	r = take_directory(daemon);
	if (r < 0)
		return r;
	daemon->options.config.dir = daemon->dir;
	r = adxi_loop_new(&daemon->loop);
	if (r == 0)
		r = realm_new(&daemon->options.config, daemon->loop, &daemon->realm);
	for (i = 0; r == 0 && i < 2; i++)
		r = adxi_loop_add_signal(daemon->loop, signals[i], end_asked, daemon,
					 &daemon->signals[i]);
	if (r < 0)
		return fail(daemon, "cannot start", r);
	if (daemon->options.foreground)
		journal_set_tee(daemon->realm->journal, tee_line, daemon);
	r = listen_on(daemon);
	if (r < 0)
		return r;
	r = launch_hosts(daemon);
	if (r < 0)
		return r;
	for (i = 0; i < daemon->options.n_bundles; i++)
		load_bundles(daemon, daemon->options.bundles[i]);
	if (daemon->options.ready_fd >= 0) {
		if (write(daemon->options.ready_fd, "READY=1\n", 8) < 0)
			log_warning("nobody reads --ready-fd: %s", strerror(errno));
		(void)close(daemon->options.ready_fd);
		daemon->options.ready_fd = -1;
	}
	return 0;
}

static void
tear_down(struct daemon *daemon)
{
	size_t i;

	adxi_source_remove(daemon->listener);
	for (i = 0; i < 2; i++)
		adxi_source_remove(daemon->signals[i]);
	daemon->realm = realm_free(daemon->realm);
	daemon->loop = adxi_loop_free(daemon->loop);
	value_unref(daemon->options.config.grants);
	leave_directory(daemon);
}

int
main(int argc, char **argv)
{
	static struct daemon daemon = { .lock_fd = -1, .listen_fd = -1, .spare_fd = -1 };
	int r;

	daemon.options.ready_fd = -1;
	daemon.options.level = ADXI_LOG_WARNING;
	daemon.options.config = realm_config_default;
	daemon.options.config.hang_ns = adxi_patience_ns();
	if (access_new(&daemon.options.config.access) < 0)
		return 1;
	if (getenv("AMBIDEXT_SANDBOX") && *getenv("AMBIDEXT_SANDBOX") &&
	    sandbox_mode_parse(getenv("AMBIDEXT_SANDBOX"), &daemon.options.config.sandbox) < 0)
		return wrong("AMBIDEXT_SANDBOX", getenv("AMBIDEXT_SANDBOX"),
			     "auto, require or off is wanted");
	r = parse(argc, argv, &daemon.options);
	if (r)
		return r == 1 ? 0 : 2;
	adxi_log_setup("dextd", daemon.options.level);
	if (getenv("AMBIDEXT_STRICT") && !strcmp(getenv("AMBIDEXT_STRICT"), "macos"))
		daemon.options.config.strict = true;
	else if (daemon.options.config.strict)
		(void)setenv("AMBIDEXT_STRICT", "macos", 1);
	(void)signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	if (daemon.options.ready_fd >= 0)
		(void)fcntl(daemon.options.ready_fd, F_SETFD, FD_CLOEXEC);
	r = set_up(&daemon);
	if (r == 0)
		r = adxi_loop_run(daemon.loop);
	else if (daemon.realm) {
		/* Processes that run already end as they do otherwise. */
		realm_end(daemon.realm);
		if (!adxi_list_is_empty(&daemon.realm->servers))
			(void)adxi_loop_run(daemon.loop);
	}
	tear_down(&daemon);
	access_free(daemon.options.config.access);
	return r < 0 ? 1 : 0;
}
