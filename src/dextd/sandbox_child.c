/* SPDX-License-Identifier: MIT */
/* In the child: processes, namespaces, privileges, filter. Only what is async-signal-safe. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dextd/sandbox_plan.h"

/* ---------------------------------------------------------------------------------------------
 * Namespaces of users and processes
 */

/* An identifier as "7 7 1": inside, outside, how many. */
static size_t
print_map(char *text, unsigned id)
{
	char digits[12];
	size_t n = 0, len = 0;
	unsigned i;

	do
		digits[n++] = (char)('0' + id % 10);
	while (id /= 10);
	for (i = 0; i < 2; i++) {
		size_t k = n;

		while (k > 0)
			text[len++] = digits[--k];
		text[len++] = ' ';
	}
	text[len++] = '1';
	text[len++] = '\n';
	return len;
}

static int
write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, len) != (ssize_t)len)
		r = errno;
	(void)close(fd);
	return r;
}

int
child_user_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];
	int r;

	/* Without its maps it would be nobody. */
	if (access("/proc/self/uid_map", W_OK) < 0 || unshare(CLONE_NEWUSER) < 0)
		return errno;
	r = write_file("/proc/self/setgroups", "deny", 4);
	if (r == 0 || r == ENOENT)
		r = write_file("/proc/self/uid_map", map, print_map(map, uid));
	if (r == 0)
		r = write_file("/proc/self/gid_map", map, print_map(map, gid));
	return r;
}

static pid_t
sibling(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
}

/* The init of a namespace: it keeps it alive, and orphans end with it. It is a copy of dextd, which
 * has secrets: all memory goes but this page. */
#ifdef __x86_64__
#define PAGE_BYTES 4096ul
#define USER_END   0x7ffffffff000ul
__attribute__((noreturn, noinline, aligned(4096), section(".text.init_rest"))) static void
init_rest(void)
{
	const unsigned long here = (unsigned long)init_rest;

	__asm__ volatile("mov %[munmap], %%eax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "mov %[here], %%rsi\n\t"
			 "syscall\n\t"
			 "mov %[munmap], %%eax\n\t"
			 "mov %[next], %%rdi\n\t"
			 "mov %[rest], %%rsi\n\t"
			 "syscall\n"
			 "1:\n\t"
			 "mov %[pause], %%eax\n\t"
			 "syscall\n\t"
			 "jmp 1b\n"
			 :
			 : [munmap] "i"(SYS_munmap), [pause] "i"(SYS_pause), [here] "r"(here),
			   [next] "r"(here + PAGE_BYTES), [rest] "r"(USER_END - here - PAGE_BYTES)
			 : "rax", "rdi", "rsi", "rcx", "r11", "memory");
	__builtin_unreachable();
}

/* libc has given the kernel an address to write to whenever the thread changes processors. */
static bool
leave_rseq(void)
{
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;

	return __rseq_size == 0 ||
	       syscall(SYS_rseq, area, sizeof(struct rseq), RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0;
}
#else
static bool
leave_rseq(void)
{
	return false;
}

static void
init_rest(void)
{
}
#endif

static void
drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	unsigned long i;

	for (i = 0; i < 64 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0; i++)
		;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)syscall(SYS_capset, &header, none);
}

/* From here on the death of dextd is ours; if it came before, nobody has the other end. */
static void
die_with_dextd(const struct sandbox *sandbox)
{
	struct pollfd other = { .fd = sandbox->control[1] };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&other, 1, 0) > 0 && other.revents & (POLLHUP | POLLERR))
		_exit(126);
}

__attribute__((noreturn)) static void
init_main(const struct sandbox *sandbox)
{
	sigset_t all;

	(void)setpgid(0, 0);
	drop_capabilities();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	die_with_dextd(sandbox);
	(void)close_range(0, ~0u, 0);
	(void)signal(SIGCHLD, SIG_IGN); /* orphans need no wait() */
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)prctl(PR_SET_NAME, "dext-init", 0, 0, 0);
	if (leave_rseq())
		init_rest();
	for (;;)
		(void)pause();
}

/* A process that is the first of its namespace does not die from its own abort(), and its status
 * would be untrue: so the first is another. Both are dextd's children, as CLONE_PARENT makes them
 * this one's siblings; only one that stands outside of the namespace can. */
void
child_helper(struct sandbox *sandbox, void (*child)(void *), void *context)
{
	struct sandbox_report *report = sandbox->report;
	int r = ENOSYS;
	pid_t pid;

	(void)close(sandbox->control[0]); /* dextd's, and nobody else's */
	if (geteuid() == 0)
		r = unshare(CLONE_NEWPID) < 0 ? errno : 0;
	if (r != 0 && sandbox->same_users) {
		r = report->state[SANDBOX_USER] = LAYER_NOT_WANTED;
	} else if (r != 0) {
		report->state[SANDBOX_USER] = child_user_namespace();
		if (report->state[SANDBOX_USER] == 0)
			r = unshare(CLONE_NEWPID) < 0 ? errno : 0;
		else
			r = report->state[SANDBOX_USER];
	}
	if (r == 0) {
		pid = sibling();
		if (pid == 0)
			init_main(sandbox);
		if (pid < 0)
			_exit(errno); /* nobody could be made in the namespace now */
		report->init = pid;
	}
	report->state[SANDBOX_PID] = r;
	/* The report is shared: what clone() returns in the child must not go there. */
	pid = sibling();
	if (pid == 0) {
		child(context);
		_exit(127);
	}
	if (pid < 0)
		_exit(errno);
	report->pid = pid;
	_exit(0);
}

static const struct {
	int flag;
	enum sandbox_layer layer;
} kinds[] = {
	{ CLONE_NEWNS, SANDBOX_MOUNT },
	{ CLONE_NEWIPC, SANDBOX_IPC },
	{ CLONE_NEWUTS, SANDBOX_UTS },
	{ CLONE_NEWNET, SANDBOX_NET },
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

void
child_unshare(struct sandbox *sandbox)
{
	int *state = sandbox->report->state, flags = 0;
	size_t i;

	for (i = 0; i < N_KINDS; i++) {
		state[kinds[i].layer] = 0;
		if (kinds[i].flag == CLONE_NEWNET && !sandbox->own_net)
			state[kinds[i].layer] = LAYER_NOT_WANTED;
		else
			flags |= kinds[i].flag;
	}
	if (unshare(flags) == 0)
		return;
	for (i = 0; i < N_KINDS; i++)
		if (flags & kinds[i].flag && unshare(kinds[i].flag) < 0)
			state[kinds[i].layer] = errno;
}

/* ---------------------------------------------------------------------------------------------
 * Privileges
 */

static int
set_limits(const struct sandbox *sandbox)
{
	struct rlimit limit;
	unsigned i;
	int r = 0;

	for (i = 0; i < sandbox->n_limits; i++) {
		/* Counted for each user, or user namespace: otherwise others' would count. */
		if (sandbox->limits[i].resource == RLIMIT_NPROC && !sandbox->own_uid &&
		    sandbox->report->state[SANDBOX_USER] != 0)
			continue;
		if (getrlimit(sandbox->limits[i].resource, &limit) < 0)
			continue;
		if (limit.rlim_max > sandbox->limits[i].value)
			limit.rlim_max = sandbox->limits[i].value;
		if (limit.rlim_cur > limit.rlim_max)
			limit.rlim_cur = limit.rlim_max;
		if (setrlimit(sandbox->limits[i].resource, &limit) < 0)
			r = errno;
	}
	/* Where memory is short, it goes before what it serves. */
	(void)write_file("/proc/self/oom_score_adj", "1000", 4);
	return r;
}

static int
change_user(const struct sandbox *sandbox)
{
	gid_t none = (gid_t)sandbox->uid;

	if (!sandbox->own_uid)
		return sandbox->uid_state;
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, none, none, none) < 0 ||
	    syscall(SYS_setresuid, sandbox->uid, sandbox->uid, sandbox->uid) < 0)
		return errno;
	/* Cleared by the change; without it /proc/self is root's. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Filter
 */

static int
pass_listener(int control, int listener)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space = { .bytes = { 0 } };
	char nothing = 0;
	struct iovec io = { .iov_base = &nothing, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &io,
				  .msg_iovlen = 1,
				  .msg_control = space.bytes,
				  .msg_controllen = sizeof space.bytes };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &listener, sizeof listener);
	return sendmsg(control, &message, MSG_NOSIGNAL) == 1 ? 0 : errno;
}

static int
install_filter(struct sandbox *sandbox)
{
	unsigned own_pid = sandbox->report->state[SANDBOX_PID] == 0;
	const struct sock_fprog *filter = sandbox->filters[own_pid];
	long listener;
	int r;

	if (!filter)
		return ENOSYS;
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			   filter);
	if (listener >= 0) {
		sandbox->report->notifies = true;
		r = pass_listener(sandbox->control[1], (int)listener);
		/* With this one open, execve() would wait for a dextd that is gone. */
		(void)close((int)listener);
		return r;
	}
	/* A kernel before 5.0, or one that listens to all of us already. */
	filter = sandbox->filters[2 + own_pid];
	if (!filter || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) < 0)
		return errno;
	return 0;
}

static void
refuse_if_missing(const struct sandbox *sandbox)
{
	struct sandbox_report *report = sandbox->report;
	unsigned i;

	if (sandbox->mode != SANDBOX_REQUIRE)
		return;
	for (i = 0; i < SANDBOX_LAYER_COUNT; i++) {
		if (report->state[i] == 0 || report->state[i] == LAYER_NOT_WANTED ||
		    report->state[i] == LAYER_KEPT_UID || report->state[i] == LAYER_NOT_ROOT ||
		    i == SANDBOX_CGROUP || i == SANDBOX_SECCOMP)
			continue;
		report->refused = true;
		_exit(126);
	}
}

void
sandbox_enter(struct sandbox *sandbox)
{
	int *state = sandbox->report->state;
	bool new_root;

	if (sandbox->mode == SANDBOX_OFF)
		return;
	state[SANDBOX_CGROUP] =
		sandbox->cgroup ? cgroup_enter(sandbox->cgroup) : sandbox->cgroup_state;
	/* Before there is another root: it is /proc of the host that it is written to. */
	state[SANDBOX_LIMITS] = set_limits(sandbox);
	if (sandbox->same_users)
		state[SANDBOX_MOUNT] = state[SANDBOX_IPC] = state[SANDBOX_NET] =
			state[SANDBOX_UTS] = LAYER_NOT_WANTED;
	else
		child_unshare(sandbox);
	if (state[SANDBOX_MOUNT] == 0)
		state[SANDBOX_MOUNT] = child_new_root(sandbox);
	new_root = state[SANDBOX_MOUNT] == 0;
	state[SANDBOX_UID] = change_user(sandbox);
	if (state[SANDBOX_USER] == LAYER_UNTRIED)
		state[SANDBOX_USER] = child_user_namespace();
	drop_capabilities();
	state[SANDBOX_PRIVILEGES] = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
	state[SANDBOX_LANDLOCK] = child_landlock(sandbox, new_root);
	/* Here, as a change of the user clears it. */
	die_with_dextd(sandbox);
	state[SANDBOX_SECCOMP] = 0;
	refuse_if_missing(sandbox);
	state[SANDBOX_SECCOMP] = install_filter(sandbox);
	if (state[SANDBOX_SECCOMP] != 0 && sandbox->mode == SANDBOX_REQUIRE) {
		sandbox->report->refused = true;
		_exit(126);
	}
}
