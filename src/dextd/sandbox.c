/* SPDX-License-Identifier: MIT */
/* One process's sandbox: the plan, the process, what it has come to. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rules.h"
#include "dextd/realm.h"
#include "dextd/sandbox_plan.h"

#define MIB (UINT64_C(1) << 20)

#define MEMORY_DEFAULT    (1024 * MIB)
#define PROCESSES_DEFAULT 512u
#define FILES_DEFAULT     4096u

/* One user for each process: they must not signal, trace or open each other's either. Numbers that
 * neither distributions, systemd nor containers give out. */
#define UID_FIRST 0x70000000u
#define UID_REALM 256u /* of one dextd */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED true
#endif
#endif
#if !defined(INSTRUMENTED) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define INSTRUMENTED true
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED false
#endif

static const char *const mode_names[] = { "auto", "require", "off" };

static const char *const layer_names[SANDBOX_LAYER_COUNT] = {
	[SANDBOX_PRIVILEGES] = "privileges",
	[SANDBOX_UID] = "uid",
	[SANDBOX_USER] = "user",
	[SANDBOX_MOUNT] = "mount",
	[SANDBOX_PID] = "pid",
	[SANDBOX_IPC] = "ipc",
	[SANDBOX_NET] = "net",
	[SANDBOX_UTS] = "uts",
	[SANDBOX_LANDLOCK] = "landlock",
	[SANDBOX_SECCOMP] = "seccomp",
	[SANDBOX_LIMITS] = "limits",
	[SANDBOX_CGROUP] = "cgroup",
};

int
sandbox_mode_parse(const char *text, enum sandbox_mode *ret_mode)
{
	unsigned i;

	for (i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++) {
		if (!strcmp(text, mode_names[i])) {
			*ret_mode = (enum sandbox_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *
sandbox_mode_name(enum sandbox_mode mode)
{
	return mode_names[mode];
}

static const char *
why_missing(int state, char *buf, size_t size)
{
	switch (state) {
	case LAYER_UNTRIED:
		return "not reached";
	case LAYER_NOT_WANTED:
		return "not wanted here";
	case LAYER_UNREADABLE:
		return "the bundle or a library cannot be read by all users";
	case LAYER_NO_CGROUP:
		return "no cgroup with controllers is delegated to dextd";
	case LAYER_OLD:
		return "active, but the kernel's Landlock has no scopes yet";
	case LAYER_KEPT_UID:
		return "it needs the devices of this user";
	case LAYER_NOT_ROOT:
		return "dextd is not root";
	default:
		(void)snprintf(buf, size, "%s", strerror(state));
		return buf;
	}
}

/* ---------------------------------------------------------------------------------------------
 * The init of a namespace, until it is reaped
 */

struct sandbox_guard {
	struct adxi_list link;      /* in realm->guards */
	struct sandbox *sandbox;    /* borrowed; NULL: its process has ended */
	struct adxi_source *source; /* owned */
	pid_t pid;
};

static void
guard_free(struct sandbox_guard *guard)
{
	if (guard->sandbox)
		guard->sandbox->guard = NULL;
	adxi_list_remove(&guard->link);
	adxi_source_remove(guard->source);
	free(guard);
}

static void
init_ended(struct adxi_source *source, pid_t pid, int status, void *userdata)
{
	guard_free(userdata);
}

static int
guard_new(struct sandbox *sandbox, pid_t pid)
{
	struct sandbox_guard *guard = calloc(1, sizeof *guard);
	int r = guard ? 0 : -ENOMEM;

	if (r == 0)
		adxi_list_init(&guard->link);
	if (r == 0)
		r = adxi_loop_add_child(sandbox->realm->loop, pid, init_ended, guard,
					&guard->source);
	if (r < 0) {
		free(guard);
		return r;
	}
	guard->sandbox = sandbox;
	guard->pid = pid;
	sandbox->guard = guard;
	adxi_list_append(&sandbox->realm->guards, &guard->link);
	return 0;
}

static void
guard_end(struct sandbox *sandbox)
{
	if (!sandbox->guard)
		return;
	(void)kill(sandbox->guard->pid, SIGKILL);
	sandbox->guard->sandbox = NULL;
	sandbox->guard = NULL;
}

void
sandbox_forget_all(struct realm *realm)
{
	struct sandbox_guard *guard, *next;

	ADXI_LIST_EACH_SAFE(guard, next, &realm->guards, link) {
		(void)kill(guard->pid, SIGKILL);
		(void)waitpid(guard->pid, NULL, WNOHANG); /* it may still end; so do we */
		guard_free(guard);
	}
}

/* ---------------------------------------------------------------------------------------------
 * Plan
 */

/* The folder of the libraries that we run with is where the process finds its own. */
static int
add_own_libraries(struct places *places)
{
	char path[PATH_MAX];
	Dl_info info;

	if (!dladdr((const void *)adxi_tell, &info) || !info.dli_fname ||
	    info.dli_fname[0] != '/' || strlen(info.dli_fname) >= sizeof path)
		return 0;
	strcpy(path, info.dli_fname);
	*strrchr(path, '/') = '\0';
	return places_add(places, path, PLACE_READ | PLACE_EXECUTE);
}

static int
add_system(struct places *places)
{
	static const struct {
		const char *path;
		unsigned rights;
	} system[] = {
		{ "/usr/lib", PLACE_READ | PLACE_EXECUTE },
		{ "/usr/lib32", PLACE_READ | PLACE_EXECUTE },
		{ "/usr/lib64", PLACE_READ | PLACE_EXECUTE },
		{ "/usr/local/lib", PLACE_READ | PLACE_EXECUTE },
		{ "/lib", PLACE_READ | PLACE_EXECUTE },
		{ "/lib32", PLACE_READ | PLACE_EXECUTE },
		{ "/lib64", PLACE_READ | PLACE_EXECUTE },
		{ "/usr/share/zoneinfo", PLACE_READ },
		{ "/etc/ld.so.cache", PLACE_READ },
		{ "/etc/localtime", PLACE_READ },
		{ "/dev/null", PLACE_READ | PLACE_WRITE | PLACE_DEVICE },
		{ "/dev/zero", PLACE_READ | PLACE_DEVICE },
		{ "/dev/urandom", PLACE_READ | PLACE_DEVICE },
		{ "/dev/random", PLACE_READ | PLACE_DEVICE },
		{ "/proc", PLACE_READ | PLACE_WRITE | PLACE_PROC }, /* names of threads */
	};
	const char *libraries = getenv("LD_LIBRARY_PATH");
	size_t i;
	int r = 0;

	for (i = 0; i < sizeof system / sizeof system[0] && r != -ENOMEM; i++)
		r = places_add(places, system[i].path, system[i].rights);
	if (r != -ENOMEM && libraries)
		r = places_add_list(places, libraries, PLACE_READ | PLACE_EXECUTE);
	if (r != -ENOMEM)
		r = add_own_libraries(places);
	return r == -ENOMEM ? r : 0;
}

/* What sanitizers' runtimes read and run. */
static int
add_debug(struct places *places)
{
	static const char *const paths[] = { "/usr", "/etc/alternatives" };
	size_t i;
	int r = 0;

	for (i = 0; i < sizeof paths / sizeof paths[0] && r != -ENOMEM; i++)
		r = places_add(places, paths[i], PLACE_READ | PLACE_EXECUTE);
	return r == -ENOMEM ? r : 0;
}

static bool
argument_has(const struct server *server, const char *text)
{
	char **argument;

	for (argument = server->argv; *argument; argument++)
		if (strstr(*argument, text))
			return true;
	return false;
}

/* Folders of simulated devices: usbhost's own rules of where it looks. */
static int
add_models(struct sandbox *sandbox, const char *program)
{
	const char *models = getenv("AMBIDEXT_MODELS"), *list;
	char path[2 * PATH_MAX], **argument;
	int r = 0;

	if (models)
		r = places_add_list(&sandbox->places, models, PLACE_READ | PLACE_EXECUTE);
	for (argument = sandbox->server->argv; *argument && r != -ENOMEM; argument++) {
		list = strstr(*argument, "models=");
		if (list)
			r = places_add_list(&sandbox->places, list + strlen("models="),
					    PLACE_READ | PLACE_EXECUTE);
	}
	(void)snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(program, '/') - program),
		       program, MODELS_FROM_USBHOST);
	if (r != -ENOMEM)
		r = places_add(&sandbox->places,
			       *MODELS_FROM_USBHOST == '/' ? MODELS_FROM_USBHOST : path,
			       PLACE_READ | PLACE_EXECUTE);
	return r == -ENOMEM ? r : 0;
}

#define USBFS "/dev/bus/usb"

static int
plan_host(struct sandbox *sandbox, unsigned *flags)
{
	const char *program = sandbox->server->argv[0];
	bool usb = argument_has(sandbox->server, "libusb") ||
		   (!argument_has(sandbox->server, "-backend") && access(USBFS, F_OK) == 0);
	int r = places_add(&sandbox->places, program, PLACE_READ | PLACE_EXECUTE);

	if (r == 0)
		r = add_models(sandbox, program);
	sandbox->profile = usb ? "usbhost" : "host";
	if (r < 0 || !usb)
		return r;
	*flags |= CALLS_USB | CALLS_DEVICES;
	/* The kernel's announcements of devices come to the machine's network namespace, from root.
	 */
	sandbox->own_net = false;
	sandbox->own_uid = false;
	sandbox->uid_state = geteuid() == 0 ? LAYER_KEPT_UID : LAYER_NOT_ROOT;
	sandbox->same_users = geteuid() != 0;
	r = places_add(&sandbox->places, USBFS, PLACE_READ | PLACE_WRITE | PLACE_DEVICE);
	if (r != -ENOMEM)
		r = places_add(&sandbox->places, "/sys", PLACE_READ);
	if (r != -ENOMEM)
		r = places_add(&sandbox->places, "/run/udev", PLACE_READ);
	return r == -ENOMEM ? r : 0;
}

static int
plan_bundle(struct sandbox *sandbox)
{
	const struct bundle *bundle = sandbox->server->bundle;
	int r;

	sandbox->profile = "driver";
	r = places_add(&sandbox->places, bundle->path, PLACE_READ | PLACE_EXECUTE);
	return r < 0 ? r : policy_apply(sandbox, bundle->id, bundle->info);
}

static void
add_limit(struct sandbox *sandbox, int resource, uint64_t value)
{
	sandbox->limits[sandbox->n_limits++] = (struct limit){ resource, value };
}

static void
plan_limits(struct sandbox *sandbox)
{
	const struct sandbox_grant *grant = &sandbox->grant;
	uint64_t memory = grant->memory ? grant->memory : MEMORY_DEFAULT;
	unsigned processes = grant->processes ? grant->processes : PROCESSES_DEFAULT;
	char name[48];

	sandbox->cgroup_state = LAYER_NOT_WANTED;
	add_limit(sandbox, RLIMIT_CORE, 0);
	add_limit(sandbox, RLIMIT_MSGQUEUE, 0);
	add_limit(sandbox, RLIMIT_RTPRIO, 0);
	add_limit(sandbox, RLIMIT_NOFILE, grant->files ? grant->files : FILES_DEFAULT);
	add_limit(sandbox, RLIMIT_NPROC, processes);
	if (grant->debug) /* shadow memory has no measure */
		return;
	/* Its own memory. What others share with it is limited where it is made. */
	add_limit(sandbox, RLIMIT_DATA, memory);
	add_limit(sandbox, RLIMIT_FSIZE, memory);
	add_limit(sandbox, RLIMIT_STACK, 64 * MIB);
	(void)snprintf(name, sizeof name, "%d-%llu", (int)getpid(),
		       (unsigned long long)sandbox->server->id);
	sandbox->cgroup_state = cgroup_make(name, 2 * memory, processes, &sandbox->cgroup);
}

static bool
readable_by_all(const struct places *places)
{
	struct stat st;
	size_t i;

	for (i = 0; i < places->n; i++) {
		const struct place *place = &places->list[i];
		mode_t wanted = S_IROTH | (place->is_dir ? S_IXOTH : 0);

		if (place->rights & PLACE_EXECUTE &&
		    (stat(place->source, &st) < 0 || (st.st_mode & wanted) != wanted))
			return false;
	}
	return true;
}

static void
plan_uid(struct sandbox *sandbox)
{
	const char *program = sandbox->server->argv[0];
	struct stat st;

	if (!sandbox->own_uid) {
		if (!sandbox->uid_state)
			sandbox->uid_state = LAYER_NOT_ROOT;
		return;
	}
	if (readable_by_all(&sandbox->places) && stat(program, &st) == 0 &&
	    (st.st_mode & (S_IROTH | S_IXOTH)) == (S_IROTH | S_IXOTH)) {
		sandbox->uid = UID_FIRST + ((unsigned)getpid() % 65536u) * UID_REALM +
			       (unsigned)(sandbox->server->id % UID_REALM);
		return;
	}
	sandbox->own_uid = false;
	sandbox->uid_state = LAYER_UNREADABLE;
	(void)adxi_tell(ADXI_RULE_SBX007, "%s, or a folder of its libraries, cannot be read by all",
			program);
}

static int
plan_calls(struct sandbox *sandbox, unsigned flags)
{
	unsigned i;
	int r = 0;

	if (sandbox->grant.debug)
		flags |= CALLS_DEBUG | CALLS_PROCESSES;
	if (sandbox->grant.processes)
		flags |= CALLS_PROCESSES;
	if (sandbox->grant.network)
		flags |= CALLS_NETWORK;
	for (i = 0; i < sandbox->places.n; i++) {
		const struct place *place = &sandbox->places.list[i];
		bool own = strncmp(place->path, "/dev/", 5) != 0 && !(place->rights & PLACE_PROC);

		if (own && place->rights & PLACE_WRITE)
			flags |= CALLS_WRITE;
		if (place->granted && place->rights & PLACE_DEVICE)
			flags |= CALLS_DEVICES;
	}
	for (i = 0; i < 4 && r == 0; i++)
		r = calls_filter(flags | (i & 1 ? CALLS_OWN_PID : 0) | (i & 2 ? 0 : CALLS_NOTIFY),
				 &sandbox->filters[i]);
	return r == -ENOMEM ? r : 0; /* the layer then says that it is missing */
}

static int
plan(struct sandbox *sandbox)
{
	struct server *server = sandbox->server;
	unsigned flags = 0;
	int r;

	sandbox->own_net = true;
	sandbox->own_uid = geteuid() == 0;
	sandbox->stage = sandbox->realm->config.dir;
	sandbox->grant.debug = INSTRUMENTED;
	r = add_system(&sandbox->places);
	if (r == 0)
		r = server->bundle ? plan_bundle(sandbox) : plan_host(sandbox, &flags);
	if (r == 0 && sandbox->grant.debug)
		r = add_debug(&sandbox->places);
	if (r < 0)
		return r;
	if (sandbox->grant.network)
		sandbox->own_net = false;
	places_order(&sandbox->places);
	plan_uid(sandbox);
	plan_limits(sandbox);
	return plan_calls(sandbox, flags);
}

int
sandbox_new(struct server *server, struct sandbox **ret_sandbox)
{
	struct sandbox *sandbox = calloc(1, sizeof *sandbox);
	unsigned i;
	int r = 0;

	if (!sandbox)
		return -ENOMEM;
	sandbox->realm = server->realm;
	sandbox->server = server;
	sandbox->mode = server->realm->config.sandbox;
	sandbox->control[0] = sandbox->control[1] = -1;
	sandbox->granted = value_array_new();
	sandbox->report = mmap(NULL, sizeof *sandbox->report, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sandbox->report == MAP_FAILED) {
		sandbox->report = NULL;
		r = -errno;
	}
	for (i = 0; r == 0 && i < SANDBOX_LAYER_COUNT; i++)
		sandbox->report->state[i] = LAYER_UNTRIED;
	if (r == 0 && sandbox->mode != SANDBOX_OFF)
		r = plan(sandbox);
	if (r < 0) {
		sandbox_free(sandbox);
		return r;
	}
	*ret_sandbox = sandbox;
	return 0;
}

struct sandbox *
sandbox_free(struct sandbox *sandbox)
{
	unsigned i;

	if (!sandbox)
		return NULL;
	guard_end(sandbox);
	denials_free(sandbox->denials);
	for (i = 0; i < 2; i++)
		if (sandbox->control[i] >= 0)
			(void)close(sandbox->control[i]);
	if (sandbox->cgroup)
		cgroup_remove(sandbox->cgroup);
	free(sandbox->cgroup);
	places_done(&sandbox->places);
	value_unref(sandbox->granted);
	if (sandbox->report)
		(void)munmap(sandbox->report, sizeof *sandbox->report);
	free(sandbox);
	return NULL;
}

/* ---------------------------------------------------------------------------------------------
 * The process
 */

static int
spawn_plain(void (*child)(void *), void *context, pid_t *ret_pid)
{
	pid_t pid = fork();

	if (pid == 0)
		child(context);
	if (pid < 0)
		return -errno;
	*ret_pid = pid;
	return 0;
}

int
sandbox_spawn(struct sandbox *sandbox, void (*child)(void *), void *context, pid_t *ret_pid)
{
	struct sandbox_report *report = sandbox->report;
	int status = 0, r;
	pid_t helper;

	if (sandbox->mode == SANDBOX_OFF)
		return spawn_plain(child, context, ret_pid);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sandbox->control) < 0)
		return -errno;
	r = denials_new(sandbox, &sandbox->denials);
	if (r < 0)
		return r;
	helper = fork();
	if (helper == 0)
		child_helper(sandbox, child, context);
	if (helper < 0)
		return -errno;
	while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
		;
	(void)close(sandbox->control[1]);
	sandbox->control[1] = -1;
	if (report->init > 0 && guard_new(sandbox, report->init) < 0) {
		(void)kill(report->init, SIGKILL);
		if (report->pid > 0)
			(void)waitpid(report->pid, NULL, 0);
		(void)waitpid(report->init, NULL, 0);
		return -ENOMEM;
	}
	if (report->pid <= 0) {
		guard_end(sandbox);
		return WIFEXITED(status) && WEXITSTATUS(status) ? -WEXITSTATUS(status) : -EAGAIN;
	}
	*ret_pid = report->pid;
	return 0;
}

void
sandbox_ended(struct sandbox *sandbox, int status)
{
	guard_end(sandbox);
	sandbox->denials = denials_free(sandbox->denials);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && sandbox->mode != SANDBOX_OFF)
		(void)adxi_tell(ADXI_RULE_SBX002,
				"%s (process %d) called the kernel as a program of another "
				"architecture, and was killed",
				sandbox->server->name, (int)sandbox->server->pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ && sandbox->mode != SANDBOX_OFF)
		(void)adxi_tell(
			ADXI_RULE_SBX009,
			"%s (process %d) made a file or a memory object larger than %" PRIu64
			" MiB, and was killed",
			sandbox->server->name, (int)sandbox->server->pid,
			(sandbox->grant.memory ? sandbox->grant.memory : MEMORY_DEFAULT) / MIB);
}

bool
sandbox_refused(const struct sandbox *sandbox)
{
	char missing[512], buf[64];
	size_t len = 0;
	unsigned i;

	if (!sandbox->report->refused)
		return false;
	missing[0] = '\0';
	for (i = 0; i < SANDBOX_LAYER_COUNT && len < sizeof missing; i++)
		if (sandbox->report->state[i] != 0 &&
		    sandbox->report->state[i] != LAYER_NOT_WANTED && i != SANDBOX_CGROUP)
			len += (size_t)snprintf(
				missing + len, sizeof missing - len, "%s%s (%s)", len ? ", " : "",
				layer_names[i],
				why_missing(sandbox->report->state[i], buf, sizeof buf));
	(void)adxi_tell(ADXI_RULE_SBX001, "%s is not run: its sandbox would be without %s",
			sandbox->server->name, missing);
	return true;
}

/* ---------------------------------------------------------------------------------------------
 * What it has come to
 */

bool
sandbox_hides_variable(const struct sandbox *sandbox, const char *variable)
{
	return sandbox->mode != SANDBOX_OFF && !sandbox->grant.debug &&
	       (!strncmp(variable, "HOME=", 5) || !strncmp(variable, "TMPDIR=", 7));
}

static uint64_t
hash_of(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	while (*text)
		hash = (hash ^ (uint8_t)*text++) * 0x100000001b3u;
	return hash;
}

void
sandbox_checked_in(struct sandbox *sandbox)
{
	const int *state = sandbox->report->state;
	struct realm *realm = sandbox->realm;
	char text[1024], buf[64];
	size_t len, i, n = 0;
	uint64_t hash;

	if (sandbox->mode == SANDBOX_OFF)
		return; /* said when the realm began */
	len = (size_t)snprintf(text, sizeof text, "sandbox of a %s:", sandbox->profile);
	for (i = 0; i < SANDBOX_LAYER_COUNT; i++)
		if (state[i] == 0 || state[i] == LAYER_OLD)
			len += (size_t)snprintf(text + len, sizeof text - len, " %s",
						layer_names[i]);
	for (i = 0; i < SANDBOX_LAYER_COUNT; i++)
		if (state[i] != 0 && len < sizeof text)
			len += (size_t)snprintf(text + len, sizeof text - len, "%s %s (%s)",
						n++ ? "," : "; not available:", layer_names[i],
						why_missing(state[i], buf, sizeof buf));
	hash = hash_of(text);
	for (i = 0; i < realm->n_said; i++)
		if (realm->said[i] == hash)
			return;
	if (realm->n_said < sizeof realm->said / sizeof realm->said[0])
		realm->said[realm->n_said++] = hash;
	realm_log(realm, sandbox->server, "%s", text);
}

OSDictionary *
sandbox_dict(const struct sandbox *sandbox)
{
	OSDictionary *dict = value_dict_new();
	OSArray *active = value_array_new(), *missing = value_array_new();
	const struct sandbox_report *report = sandbox->report;
	char buf[64];
	unsigned i;

	for (i = 0; i < SANDBOX_LAYER_COUNT && sandbox->mode != SANDBOX_OFF; i++) {
		OSDictionary *item;

		if (report->state[i] == 0 || report->state[i] == LAYER_OLD) {
			value_append_cstr(active, layer_names[i]);
			continue;
		}
		item = value_dict_new();
		value_set_cstr(item, "layer", layer_names[i]);
		value_set_cstr(item, "why", why_missing(report->state[i], buf, sizeof buf));
		value_append_new(missing, item);
	}
	value_set_cstr(dict, "mode", sandbox_mode_name(sandbox->mode));
	value_set_cstr(dict, "profile", sandbox->profile);
	value_set_new(dict, "active", active);
	value_set_new(dict, "missing", missing);
	value_set(dict, "granted", sandbox->granted);
	value_set_u64(dict, "denied", denials_count(sandbox->denials));
	if (sandbox->own_uid && report->state[SANDBOX_UID] == 0)
		value_set_u64(dict, "uid", sandbox->uid);
	return dict;
}
