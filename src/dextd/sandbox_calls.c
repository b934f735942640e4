/* SPDX-License-Identifier: MIT */
/* Which system calls a process may make: the filters, by libseccomp. What is not named here is
 * denied. */

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dextd/sandbox_plan.h"

/* libDriverKit's, libc's, the C++ runtime's and a usual driver's. Without conditions: the kernel
 * remembers these, and does not run the filter for them. */
static const char *const always[] = {
	/* descriptors */
	"read",
	"write",
	"readv",
	"writev",
	"pread64",
	"pwrite64",
	"preadv",
	"pwritev",
	"close",
	"close_range",
	"lseek",
	"_llseek",
	"fstat",
	"fstat64",
	"newfstatat",
	"fstatat64",
	"stat",
	"stat64",
	"lstat",
	"lstat64",
	"statx",
	"fstatfs",
	"fstatfs64",
	"statfs", /* libudev asks whether /sys is one */
	"statfs64",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents",
	"getdents64",
	"getcwd",
	"dup",
	"dup2",
	"dup3",
	"fcntl",
	"fcntl64",
	"flock",
	"fsync",
	"fdatasync",
	"ftruncate",
	"ftruncate64",
	"fallocate",
	"fadvise64",
	"fadvise64_64",
	"umask",
	/* waiting */
	"poll",
	"ppoll",
	"ppoll_time64",
	"select",
	"_newselect",
	"pselect6",
	"pselect6_time64",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"eventfd",
	"eventfd2",
	"pipe",
	"pipe2",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_settime64",
	"timerfd_gettime",
	"timerfd_gettime64",
	"signalfd",
	"signalfd4",
	"futex",
	"futex_time64",
	"futex_waitv",
	"futex_wake",
	"futex_wait",
	"futex_requeue",
	"nanosleep",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"pause",
	"restart_syscall",
	/* messages on what it was given */
	"sendmsg",
	"recvmsg",
	"sendto",
	"recvfrom",
	"sendmmsg",
	"recvmmsg",
	"shutdown",
	"getsockopt",
	"setsockopt",
	"getsockname",
	"getpeername",
	/* memory */
	"mmap",
	"mmap2",
	"munmap",
	"mremap",
	"mprotect",
	"madvise",
	"brk",
	"msync",
	"mincore",
	"mlock",
	"mlock2",
	"munlock",
	"mlockall",
	"munlockall",
	"memfd_create",
	/* time */
	"clock_gettime",
	"clock_gettime64",
	"clock_getres",
	"clock_getres_time64",
	"gettimeofday",
	"time",
	"times",
	"getitimer",
	"setitimer",
	"alarm",
	"timer_create",
	"timer_settime",
	"timer_settime64",
	"timer_gettime",
	"timer_gettime64",
	"timer_getoverrun",
	"timer_delete",
	/* itself */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigreturn",
	"rt_sigpending",
	"rt_sigtimedwait",
	"rt_sigtimedwait_time64",
	"rt_sigsuspend",
	"sigaltstack",
	"arch_prctl",
	"set_thread_area",
	"get_thread_area",
	"set_tls",
	"set_tid_address",
	"set_robust_list",
	"get_robust_list",
	"rseq",
	"membarrier",
	"getrandom",
	"getcpu",
	"getpid",
	"gettid",
	"getppid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getresuid",
	"getresgid",
	"getgroups",
	"getpgrp",
	"getpgid",
	"getsid",
	"uname",
	"sysinfo",
	"getrlimit",
	"ugetrlimit",
	"getrusage",
	"getpriority",
	"setpriority",
	"sched_yield",
	"sched_getaffinity",
	"sched_setaffinity",
	"sched_getscheduler",
	"sched_setscheduler",
	"sched_getparam",
	"sched_setparam",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_rr_get_interval",
	"wait4",
	"waitid",
	"exit",
	"exit_group",
};

static const char *const processes[] = { "fork",     "vfork",   "clone",  "execve",
					 "execveat", "setpgid", "setsid", "kill" };

static const char *const network[] = { "connect", "bind", "listen", "accept", "accept4" };

static const char *const changes[] = {
	"creat",     "unlink",           "unlinkat",
	"rename",    "renameat",         "renameat2",
	"mkdir",     "mkdirat",          "rmdir",
	"link",      "linkat",           "symlink",
	"symlinkat", "truncate",         "truncate64",
	"utimensat", "utimensat_time64", "chmod",
	"fchmod",    "fchmodat",         "copy_file_range",
	"sendfile",  "sendfile64",       "sync_file_range",
};

/* Sanitizers stop threads to look for leaks, run themselves again to have their addresses, and run
 * a symboliser. */
static const char *const debug[] = { "ptrace", "process_vm_readv", "personality", "prctl",
				     "tkill",  "tgkill",           "pidfd_open",  "prlimit64",
				     "ioctl",  "openat",           "open",        "socket",
				     "chdir",  "sched_setattr" };

struct building {
	scmp_filter_ctx context; /* owned */
	unsigned flags;
	int r;
};

/* A call that this machine does not have is no mistake. */
static void
rule(struct building *b, uint32_t action, const char *name, unsigned n,
     const struct scmp_arg_cmp *conditions)
{
	int number = seccomp_syscall_resolve_name(name), r;

	if (number == __NR_SCMP_ERROR || number < 0 || b->r < 0)
		return;
	r = seccomp_rule_add_array(b->context, action, number, n, conditions);
	if (r < 0 && r != -EEXIST)
		b->r = r;
}

static void
allow_if(struct building *b, const char *name, struct scmp_arg_cmp condition)
{
	rule(b, SCMP_ACT_ALLOW, name, 1, &condition);
}

static void
allow_all(struct building *b, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		rule(b, SCMP_ACT_ALLOW, names[i], 0, NULL);
}

#define ALLOW_ALL(b, list)     allow_all(b, list, sizeof(list) / sizeof(list)[0])
#define MASKED(n, mask, value) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, mask, value)
/* Of an int: the kernel looks at no more, and the other half may hold anything. */
#define EQUAL(n, value) MASKED(n, 0xffffffff, value)

static void
build_threads(struct building *b)
{
	/* What pthread_create() passes; a namespace's bit is in none of it. */
	static const uint64_t thread =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	static const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
					   CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
					   CLONE_NEWNET | CLONE_PTRACE | CLONE_PARENT;

	/* Its arguments are in memory, where a filter cannot see them: libc then takes clone. */
	rule(b, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
	if (!(b->flags & CALLS_PROCESSES))
		allow_if(b, "clone", MASKED(0, thread | namespaces, thread));
	/* An own limit, never another's. */
	if (!(b->flags & CALLS_DEBUG)) {
		allow_if(b, "prlimit64", EQUAL(0, 0));
		allow_if(b, "personality", EQUAL(0, 0xffffffff));
	}
}

static void
build_signals(struct building *b)
{
	static const char *const names[] = { "kill", "tgkill", "rt_sigqueueinfo",
					     "rt_tgsigqueueinfo" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (b->flags & CALLS_OWN_PID)
			allow_if(b, names[i], EQUAL(0, SANDBOX_OWN_PID));
		else if (!(b->flags & CALLS_NOTIFY))
			/* Nobody could tell whose it is; Landlock's scope stands. */
			rule(b, SCMP_ACT_ALLOW, names[i], 0, NULL);
	}
}

static void
build_prctl(struct building *b)
{
	/* PR_SET_PDEATHSIG would let it outlive dextd; PR_SET_DUMPABLE, PR_SET_MM hide it. */
	static const int options[] = {
		PR_SET_NAME,        PR_GET_NAME,        PR_GET_DUMPABLE,     PR_GET_PDEATHSIG,
		PR_SET_TIMERSLACK,  PR_GET_TIMERSLACK,  PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS,
		PR_CAPBSET_READ,    PR_GET_SECCOMP,     PR_SET_VMA,          PR_GET_TID_ADDRESS,
		PR_SET_THP_DISABLE, PR_GET_THP_DISABLE,
	};
	size_t i;

	for (i = 0; i < sizeof options / sizeof options[0] && !(b->flags & CALLS_DEBUG); i++)
		allow_if(b, "prctl", EQUAL(0, (uint64_t)options[i]));
}

static void
build_files(struct building *b)
{
	static const uint64_t changing = O_ACCMODE | O_CREAT | O_TRUNC | O_PATH;

	if (b->flags & CALLS_DEBUG)
		return;
	/* Which files there are, the new root and Landlock decide. What goes to dextd goes there to
	 * be explained: the loader's and libc's own openings, which close on exec, do not. */
	if (b->flags & CALLS_NOTIFY) {
		allow_if(b, "openat", MASKED(2, changing | O_CLOEXEC, O_CLOEXEC));
		allow_if(b, "open", MASKED(1, changing | O_CLOEXEC, O_CLOEXEC));
		/* libudev follows the links of /sys with such descriptors; they open nothing. */
		if (b->flags & CALLS_USB)
			allow_if(b, "openat", MASKED(2, O_PATH, O_PATH));
	} else {
		rule(b, SCMP_ACT_ALLOW, "openat", 0, NULL);
		rule(b, SCMP_ACT_ALLOW, "open", 0, NULL);
	}
}

static void
build_ioctl(struct building *b)
{
	static const uint64_t plain[] = {
		FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ
	};
	size_t i;

	if (b->flags & CALLS_DEBUG)
		return;
	/* All but what types into a terminal or takes it. */
	for (i = 0; i < 256 && b->flags & CALLS_DEVICES; i++)
		if (i != TIOCSTI >> 8)
			allow_if(b, "ioctl", MASKED(1, 0xff00, (uint64_t)i << 8));
	for (i = 0; i < 256 && b->flags & CALLS_DEVICES; i++)
		if (i != (TIOCSTI & 0xff) && i != (TIOCSCTTY & 0xff) && i != (TIOCLINUX & 0xff) &&
		    i != (TIOCCONS & 0xff))
			allow_if(b, "ioctl", MASKED(1, 0xffff, (TIOCSTI & 0xff00) | i));
	for (i = 0; i < sizeof plain / sizeof plain[0] && !(b->flags & CALLS_DEVICES); i++)
		allow_if(b, "ioctl", MASKED(1, 0xffffffff, plain[i]));
	if (b->flags & CALLS_USB && !(b->flags & CALLS_DEVICES))
		allow_if(b, "ioctl", MASKED(1, 0xff00, 'U' << 8));
}

static void
build_sockets(struct building *b)
{
	const struct scmp_arg_cmp uevents[] = { EQUAL(0, AF_NETLINK), EQUAL(2, 15) };

	if (b->flags & CALLS_DEBUG)
		return;
	allow_if(b, "socketpair", EQUAL(0, AF_UNIX));
	if (b->flags & CALLS_NETWORK) {
		allow_if(b, "socket", EQUAL(0, AF_INET));
		allow_if(b, "socket", EQUAL(0, AF_INET6));
		ALLOW_ALL(b, network);
	}
	if (b->flags & CALLS_USB) { /* NETLINK_KOBJECT_UEVENT */
		rule(b, SCMP_ACT_ALLOW, "socket", 2, uevents);
		rule(b, SCMP_ACT_ALLOW, "bind", 0, NULL);
	}
}

static int
build(unsigned flags, scmp_filter_ctx *ret_context)
{
	struct building b = { .flags = flags };
	uint32_t denied = flags & CALLS_NOTIFY ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(EPERM);

	b.context = seccomp_init(denied);
	if (!b.context)
		return -ENOSYS;
	/* No honest program here calls as another architecture. */
	b.r = seccomp_attr_set(b.context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (b.r == 0)
		(void)seccomp_attr_set(b.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	ALLOW_ALL(&b, always);
	build_threads(&b);
	build_signals(&b);
	build_prctl(&b);
	build_files(&b);
	build_ioctl(&b);
	build_sockets(&b);
	if (flags & (CALLS_PROCESSES | CALLS_DEBUG))
		ALLOW_ALL(&b, processes);
	else if (!(flags & CALLS_NOTIFY)) /* with a listener dextd lets the first through */
		rule(&b, SCMP_ACT_ALLOW, "execve", 0, NULL);
	if (flags & CALLS_WRITE)
		ALLOW_ALL(&b, changes);
	if (flags & CALLS_DEBUG)
		ALLOW_ALL(&b, debug);
	if (b.r < 0) {
		seccomp_release(b.context);
		return b.r;
	}
	*ret_context = b.context;
	return 0;
}

static struct sock_fprog filters[CALLS_COMBINATIONS]; /* those that were asked for */

int
calls_filter(unsigned flags, const struct sock_fprog **ret_filter)
{
	adxi_cleanup(adxi_closep) int fd = -1;
	struct sock_fprog *filter = &filters[flags % CALLS_COMBINATIONS];
	scmp_filter_ctx context = NULL;
	struct stat st;
	int r;

	if (filter->filter) {
		*ret_filter = filter;
		return 0;
	}
	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = build(flags, &context);
	if (r == 0)
		r = seccomp_export_bpf(context, fd);
	seccomp_release(context);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	filter->filter = malloc((size_t)st.st_size);
	if (!filter->filter)
		return -ENOMEM;
	if (pread(fd, filter->filter, (size_t)st.st_size, 0) != st.st_size) {
		free(filter->filter);
		filter->filter = NULL;
		return -EIO;
	}
	filter->len = (unsigned short)((size_t)st.st_size / sizeof *filter->filter);
	*ret_filter = filter;
	return 0;
}

char *
calls_name(int number)
{
	return seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
}
