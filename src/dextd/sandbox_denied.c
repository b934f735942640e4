/* SPDX-License-Identifier: MIT */
/* Calls that a filter does not allow come here: they are answered with an error, and explained.
 *
 * What is read from the process is for the sentence only, and for denying: it may change behind us.
 * What is let go on is decided by the kernel once more (Landlock, the root). */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rules.h"
#include "dextd/realm.h"
#include "dextd/sandbox_plan.h"

/* One that does nothing else is kept waiting: nobody else is. */
#define BURST_MAX 500u
#define PAUSE_NS  (100 * ADXI_NS_PER_MS)

struct denials {
	struct sandbox *sandbox;           /* borrowed */
	int listener;                      /* owned; -1: none yet */
	struct adxi_source *control;       /* owned: where the listener comes from */
	struct adxi_source *source;        /* owned; NULL while it pauses */
	struct adxi_source *timer;         /* owned */
	struct seccomp_notif *call;        /* owned */
	struct seccomp_notif_resp *answer; /* owned */
	bool executed;                     /* the program runs: what comes is its own */
	unsigned burst;
	uint64_t n_denied;
};

enum detail { PLAIN, PATH, SOCKET, ADDRESS, PROCESS, FLAGS, OPEN };

static const struct {
	const char *name;
	enum adxi_rule rule;
	enum detail detail;
	unsigned argument;
} known[] = {
	{ "openat", ADXI_RULE_SBX003, OPEN, 1 },
	{ "open", ADXI_RULE_SBX003, OPEN, 0 },
	{ "openat2", ADXI_RULE_SBX003, PATH, 1 },
	{ "creat", ADXI_RULE_SBX003, PATH, 0 },
	{ "unlink", ADXI_RULE_SBX003, PATH, 0 },
	{ "unlinkat", ADXI_RULE_SBX003, PATH, 1 },
	{ "mkdir", ADXI_RULE_SBX003, PATH, 0 },
	{ "mkdirat", ADXI_RULE_SBX003, PATH, 1 },
	{ "mknod", ADXI_RULE_SBX003, PATH, 0 },
	{ "mknodat", ADXI_RULE_SBX003, PATH, 1 },
	{ "rmdir", ADXI_RULE_SBX003, PATH, 0 },
	{ "rename", ADXI_RULE_SBX003, PATH, 0 },
	{ "renameat", ADXI_RULE_SBX003, PATH, 1 },
	{ "renameat2", ADXI_RULE_SBX003, PATH, 1 },
	{ "link", ADXI_RULE_SBX003, PATH, 1 },
	{ "linkat", ADXI_RULE_SBX003, PATH, 3 },
	{ "symlink", ADXI_RULE_SBX003, PATH, 1 },
	{ "symlinkat", ADXI_RULE_SBX003, PATH, 2 },
	{ "chmod", ADXI_RULE_SBX003, PATH, 0 },
	{ "fchmodat", ADXI_RULE_SBX003, PATH, 1 },
	{ "chown", ADXI_RULE_SBX003, PATH, 0 },
	{ "fchownat", ADXI_RULE_SBX003, PATH, 1 },
	{ "truncate", ADXI_RULE_SBX003, PATH, 0 },
	{ "utimensat", ADXI_RULE_SBX003, PATH, 1 },
	{ "setxattr", ADXI_RULE_SBX003, PATH, 0 },
	{ "name_to_handle_at", ADXI_RULE_SBX003, PATH, 1 },
	{ "open_by_handle_at", ADXI_RULE_SBX003, PLAIN, 0 },
	{ "fanotify_init", ADXI_RULE_SBX003, PLAIN, 0 },
	{ "inotify_add_watch", ADXI_RULE_SBX003, PATH, 1 },
	{ "chdir", ADXI_RULE_SBX003, PATH, 0 },
	{ "chroot", ADXI_RULE_SBX003, PATH, 0 },
	{ "mount", ADXI_RULE_SBX003, PATH, 1 },
	{ "umount2", ADXI_RULE_SBX003, PATH, 0 },
	{ "pivot_root", ADXI_RULE_SBX003, PATH, 0 },
	{ "swapon", ADXI_RULE_SBX002, PATH, 0 },
	{ "socket", ADXI_RULE_SBX004, SOCKET, 0 },
	{ "socketpair", ADXI_RULE_SBX004, SOCKET, 0 },
	{ "connect", ADXI_RULE_SBX004, ADDRESS, 1 },
	{ "bind", ADXI_RULE_SBX004, ADDRESS, 1 },
	{ "listen", ADXI_RULE_SBX004, PLAIN, 0 },
	{ "accept", ADXI_RULE_SBX004, PLAIN, 0 },
	{ "accept4", ADXI_RULE_SBX004, PLAIN, 0 },
	{ "kill", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "tkill", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "tgkill", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "rt_sigqueueinfo", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "rt_tgsigqueueinfo", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "ptrace", ADXI_RULE_SBX005, PROCESS, 1 },
	{ "process_vm_readv", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "process_vm_writev", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "process_madvise", ADXI_RULE_SBX005, PLAIN, 0 },
	{ "pidfd_open", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "pidfd_getfd", ADXI_RULE_SBX005, PLAIN, 0 },
	{ "pidfd_send_signal", ADXI_RULE_SBX005, PLAIN, 0 },
	{ "kcmp", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "prlimit64", ADXI_RULE_SBX005, PROCESS, 0 },
	{ "fork", ADXI_RULE_SBX006, PLAIN, 0 },
	{ "vfork", ADXI_RULE_SBX006, PLAIN, 0 },
	{ "clone", ADXI_RULE_SBX006, FLAGS, 0 },
	{ "unshare", ADXI_RULE_SBX002, FLAGS, 0 },
	{ "setns", ADXI_RULE_SBX002, FLAGS, 1 },
	{ "execve", ADXI_RULE_SBX006, PATH, 0 },
	{ "execveat", ADXI_RULE_SBX006, PATH, 1 },
	{ "prctl", ADXI_RULE_SBX002, FLAGS, 0 },
	{ "ioctl", ADXI_RULE_SBX002, FLAGS, 1 },
	{ "personality", ADXI_RULE_SBX002, FLAGS, 0 },
};

static const struct {
	int number;
	const char *name;
} families[] = {
	{ AF_UNIX, "AF_UNIX" },       { AF_INET, "AF_INET" },           { AF_INET6, "AF_INET6" },
	{ AF_NETLINK, "AF_NETLINK" }, { AF_PACKET, "AF_PACKET" },       { AF_VSOCK, "AF_VSOCK" },
	{ AF_ALG, "AF_ALG" },         { AF_BLUETOOTH, "AF_BLUETOOTH" },
};

static const char *
family_name(unsigned family, char *buf, size_t size)
{
	size_t i;

	for (i = 0; i < sizeof families / sizeof families[0]; i++)
		if ((unsigned)families[i].number == family)
			return families[i].name;
	(void)snprintf(buf, size, "family %u", family);
	return buf;
}

/* 0: nothing could be read, or the process is not there any more. */
static size_t
read_memory(struct denials *denials, uint64_t address, void *buf, size_t size)
{
	struct iovec here = { .iov_base = buf, .iov_len = size };
	struct iovec there[2];
	size_t first = 4096 - (size_t)(address % 4096); /* the next page may not be there */
	ssize_t r;

	if (first > size)
		first = size;
	there[0] = (struct iovec){ .iov_base = (void *)(uintptr_t)address, .iov_len = first };
	there[1] = (struct iovec){ .iov_base = (void *)(uintptr_t)(address + first),
				   .iov_len = size - first };
	r = process_vm_readv((pid_t)denials->call->pid, &here, 1, there, first < size ? 2 : 1, 0);
	/* Its number may be another's by now. */
	if (r <= 0 || seccomp_notify_id_valid(denials->listener, denials->call->id) != 0)
		return 0;
	return (size_t)r;
}

static bool
read_path(struct denials *denials, uint64_t address, char path[PATH_MAX])
{
	size_t len = read_memory(denials, address, path, PATH_MAX - 1);

	path[len] = '\0';
	return len > 0 && strlen(path) < len;
}

static void
describe_address(struct denials *denials, char *text, size_t size)
{
	struct sockaddr_un address = { 0 };
	size_t len = denials->call->data.args[2] < sizeof address
			     ? (size_t)denials->call->data.args[2]
			     : sizeof address;
	char name[32];

	if (read_memory(denials, denials->call->data.args[1], &address, len) < sizeof(sa_family_t))
		(void)snprintf(text, size, " to an address that cannot be read");
	else if (address.sun_family == AF_UNIX)
		(void)snprintf(text, size, " to the socket '%s%.*s'",
			       address.sun_path[0] ? "" : "@", (int)sizeof address.sun_path - 1,
			       address.sun_path + !address.sun_path[0]);
	else
		(void)snprintf(text, size, " to an address of %s",
			       family_name(address.sun_family, name, sizeof name));
}

static void
describe(struct denials *denials, enum detail detail, unsigned argument, char *text, size_t size)
{
	uint64_t value = denials->call->data.args[argument];
	char path[PATH_MAX], name[32];

	text[0] = '\0';
	if (detail == PATH || detail == OPEN) {
		if (read_path(denials, value, path))
			(void)snprintf(text, size, " of '%.400s'", path);
	} else if (detail == SOCKET) {
		(void)snprintf(text, size, " of %s",
			       family_name((unsigned)value, name, sizeof name));
	} else if (detail == ADDRESS) {
		describe_address(denials, text, size);
	} else if (detail == PROCESS) {
		(void)snprintf(text, size, " of process %d", (int)value);
	} else if (detail == FLAGS) {
		(void)snprintf(text, size, " with %#x", (unsigned)value);
	}
}

/* ---------------------------------------------------------------------------------------------
 * Verdicts
 */

/* Whether a path below /proc is of a process that it does not see. */
static bool
is_foreign(struct denials *denials, const char *path)
{
	char seen[64];
	int pid = 0;

	if (sscanf(path, "/proc/%d/", &pid) != 1)
		return false;
	(void)snprintf(seen, sizeof seen, "/proc/%d/root" "/proc/%d",
		       (int)denials->sandbox->server->pid, pid);
	return access(seen, F_OK) < 0;
}

/* Whether the file is one of its places; if nothing can be said, the kernel says it. */
static bool
may_open(struct denials *denials, unsigned argument)
{
	const __u64 *args = denials->call->data.args;
	int flags = (int)args[argument + 1];
	unsigned wanted = PLACE_READ, rights;
	char path[PATH_MAX + 1];

	path[0] = '/';
	if (!read_path(denials, args[argument], path + 1))
		return true;
	if (path[1] != '/' && argument == 1 && (int)args[0] != AT_FDCWD)
		return true;
	rights = places_rights(&denials->sandbox->places, path[1] == '/' ? path + 1 : path);
	if (is_foreign(denials, path[1] == '/' ? path + 1 : path))
		return false;
	if ((flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC))
		wanted |= PLACE_WRITE;
	return (wanted & ~rights) == 0;
}

static void
tell(struct denials *denials, enum adxi_rule rule, const char *name, const char *what)
{
	struct server *server = denials->sandbox->server;

	server->realm->teller = server;
	(void)adxi_tell(rule, "%s (process %d) called %s()%s", server->name, (int)server->pid, name,
			what);
	server->realm->teller = NULL;
}

/* 0: go on. */
static int
judge(struct denials *denials)
{
	const struct seccomp_data *data = &denials->call->data;
	adxi_cleanup(adxi_freep) char *name = calls_name(data->nr);
	enum adxi_rule rule = ADXI_RULE_SBX002;
	enum detail detail = PLAIN;
	unsigned argument = 0;
	char what[512], number[32];
	size_t i;

	if (name && !strcmp(name, "execve") && !denials->executed) {
		/* The child that was made here, before anything of the bundle has run. */
		denials->executed = true;
		return 0;
	}
	for (i = 0; name && i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(known[i].name, name) != 0)
			continue;
		rule = known[i].rule;
		detail = known[i].detail;
		argument = known[i].argument;
		break;
	}
	if (detail == OPEN && may_open(denials, argument))
		return 0;
	if (rule == ADXI_RULE_SBX005 && detail == PROCESS && strcmp(name, "ptrace") != 0 &&
	    (pid_t)data->args[argument] == denials->sandbox->server->pid &&
	    denials->sandbox->report->state[SANDBOX_PID] != 0)
		return 0; /* itself, by the number that it has everywhere */
	describe(denials, detail, argument, what, sizeof what);
	(void)snprintf(number, sizeof number, "system call %d", data->nr);
	denials->n_denied++;
	tell(denials, rule, name ? name : number, what);
	return !name ? -ENOSYS : rule == ADXI_RULE_SBX003 ? -EACCES : -EPERM;
}

/* ---------------------------------------------------------------------------------------------
 * The listener
 */

static void listen_again(struct adxi_source *source, void *userdata);

static void
pause_listening(struct denials *denials)
{
	denials->source = adxi_source_remove(denials->source);
	denials->timer = adxi_source_remove(denials->timer);
	(void)adxi_loop_add_timer(denials->sandbox->realm->loop, adxi_deadline_ns(PAUSE_NS),
				  listen_again, denials, &denials->timer);
}

static void
call_waits(struct adxi_source *source, int fd, uint32_t events, void *userdata)
{
	struct denials *denials = userdata;
	int r;

	if (!(events & EPOLLIN)) { /* everybody with this filter has ended */
		denials->source = adxi_source_remove(denials->source);
		return;
	}
	if (++denials->burst > BURST_MAX) {
		pause_listening(denials);
		return;
	}
	/* The kernel wants it empty. */
	memset(denials->call, 0, sizeof *denials->call);
	if (seccomp_notify_receive(fd, denials->call) != 0)
		return; /* the caller was killed meanwhile */
	r = judge(denials);
	denials->answer->id = denials->call->id;
	denials->answer->val = 0;
	denials->answer->error = r;
	denials->answer->flags = r == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
	(void)seccomp_notify_respond(fd, denials->answer);
}

static int
listen_on(struct denials *denials)
{
	denials->burst = 0;
	return adxi_loop_add_fd(denials->sandbox->realm->loop, denials->listener, false, EPOLLIN,
				call_waits, denials, &denials->source);
}

static void
listen_again(struct adxi_source *source, void *userdata)
{
	struct denials *denials = userdata;

	denials->timer = adxi_source_remove(denials->timer);
	(void)listen_on(denials);
}

static void
listener_comes(struct adxi_source *source, int fd, uint32_t events, void *userdata)
{
	struct denials *denials = userdata;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space = { .bytes = { 0 } };
	char nothing;
	struct iovec io = { .iov_base = &nothing, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &io,
				  .msg_iovlen = 1,
				  .msg_control = space.bytes,
				  .msg_controllen = sizeof space.bytes };
	struct cmsghdr *header;

	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) == 1) {
		header = CMSG_FIRSTHDR(&message);
		if (header && header->cmsg_type == SCM_RIGHTS &&
		    header->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&denials->listener, CMSG_DATA(header), sizeof(int));
	}
	denials->control = adxi_source_remove(denials->control);
	if (denials->listener >= 0 && listen_on(denials) < 0) {
		/* Its calls then fail with ENOSYS: nothing is let through. */
		(void)close(denials->listener);
		denials->listener = -1;
	}
}

int
denials_new(struct sandbox *sandbox, struct denials **ret_denials)
{
	struct denials *denials = calloc(1, sizeof *denials);
	int r;

	if (!denials)
		return -ENOMEM;
	denials->sandbox = sandbox;
	denials->listener = -1;
	r = seccomp_notify_alloc(&denials->call, &denials->answer);
	if (r == 0)
		r = adxi_loop_add_fd(sandbox->realm->loop, sandbox->control[0], false, EPOLLIN,
				     listener_comes, denials, &denials->control);
	if (r < 0) {
		denials_free(denials);
		return r;
	}
	*ret_denials = denials;
	return 0;
}

struct denials *
denials_free(struct denials *denials)
{
	if (!denials)
		return NULL;
	adxi_source_remove(denials->control);
	adxi_source_remove(denials->source);
	adxi_source_remove(denials->timer);
	if (denials->listener >= 0)
		(void)close(denials->listener);
	seccomp_notify_free(denials->call, denials->answer);
	free(denials);
	return NULL;
}

uint64_t
denials_count(const struct denials *denials)
{
	return denials ? denials->n_denied : 0;
}
