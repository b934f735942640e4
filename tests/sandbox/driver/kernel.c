/* SPDX-License-Identifier: MIT */
/* Attempts on the kernel, and on limits. */
#define _GNU_SOURCE


#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/personality.h>
#include <sys/quota.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "escapes.h"

static int
opened(long fd, int reached)
{
	int r = tried_until(fd, reached);

	if (fd >= 0)
		(void)close((int)fd);
	return r;
}

static int
same_user(const struct world *world)
{
	return TRIED(syscall(SYS_setresuid, -1, -1, -1));
}

static int
groups(const struct world *world)
{
	gid_t list[64];
	int n = getgroups(64, list);

	return TRIED(syscall(SYS_setgroups, n, list));
}

static int
capabilities(const struct world *world)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return errno;
	return TRIED(syscall(SYS_capset, &header, data));
}

static int
bpf_map(const struct world *world)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };

	return opened(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr), 0);
}

static int
uring(const struct world *world)
{
	char parameters[120] = { 0 };

	return opened(syscall(SYS_io_uring_setup, 1, parameters), 0);
}

static int
faults(const struct world *world)
{
	return opened(syscall(SYS_userfaultfd, O_CLOEXEC), 0);
}

static int
perf(const struct world *world)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_CPU_CLOCK };

	attr.disabled = 1;
	return opened(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), 0);
}

static int
keys(const struct world *world)
{
	return tried_until(syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3, 1), 0);
}

static int
kexec(const struct world *world)
{
	return tried_until(syscall(SYS_kexec_load, 0, 17, NULL, 0), EINVAL);
}

static int
module(const struct world *world)
{
	return tried_until(syscall(SYS_finit_module, -1, "", 0), EBADF);
}

static int
layout(const struct world *world)
{
	int now = personality(0xffffffff);

	return TRIED(personality(now < 0 ? 0ul : (unsigned long)now | ADDR_NO_RANDOMIZE));
}

static int
ports(const struct world *world)
{
#ifdef SYS_ioperm
	return tried_until(syscall(SYS_ioperm, 0x80, 1, 1), 0);
#else
	return ESCAPE_ABSENT;
#endif
}

static int
swap(const struct world *world)
{
	return tried_until(swapon("/nonexistent", 0), ENOENT);
}

static int
restart(const struct world *world)
{
	return tried_until(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, 0x12345, NULL), EINVAL);
}

static int
host_name(const struct world *world)
{
	char name[128];

	if (gethostname(name, sizeof name) < 0)
		return errno;
	return TRIED(sethostname(name, strlen(name)));
}

static int
clock_set(const struct world *world)
{
	struct timex time = { 0 };

	if (adjtimex(&time) < 0)
		return errno;
	time.modes = ADJ_TICK;
	return TRIED(adjtimex(&time));
}

static int
quota(const struct world *world)
{
	return tried_until(quotactl(QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL), 0);
}

const struct escape kernel_escapes[] = {
	{ "setresuid", "the user is set", same_user, "SBX002", ESCAPE_TOLD },
	{ "setgroups", "groups are set", groups, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "capset", "capabilities are set", capabilities, "SBX002", ESCAPE_TOLD },
	{ "bpf", "a program for the kernel", bpf_map, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "io_uring_setup", "calls that no filter sees", uring, "SBX002", ESCAPE_TOLD },
	{ "userfaultfd", "page faults are held up", faults, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "perf_event_open", "the processor is watched", perf, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "keyctl", "the user's keys are looked at", keys, "SBX002", ESCAPE_TOLD },
	{ "kexec_load", "another kernel is loaded", kexec, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "finit_module", "a module is loaded", module, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "personality", "addresses are made predictable", layout, "SBX002", ESCAPE_TOLD },
	{ "ioperm", "ports of the machine are opened", ports, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "swapon", "swap is added", swap, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "reboot", "the machine is restarted", restart, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "sethostname", "the machine's name is set", host_name, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "adjtimex", "the clock is set", clock_set, "SBX002", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "quotactl", "quotas are written", quota, "SBX002", ESCAPE_TOLD },
};
const size_t n_kernel_escapes = sizeof kernel_escapes / sizeof kernel_escapes[0];

/* ---- limits, and what is left over ---- */

/* Not touched: it is the right to it that is asked for. */
static int
much_memory(const struct world *world)
{
	size_t size = (size_t)8 << 30;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return errno;
	(void)munmap(memory, size);
	return 0;
}

static void *
wait_for_end(void *argument)
{
	pthread_mutex_t *gate = argument;

	(void)pthread_mutex_lock(gate);
	(void)pthread_mutex_unlock(gate);
	return NULL;
}

static int
many_threads(const struct world *world)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	static pthread_t threads[1000];
	pthread_attr_t attr;
	size_t n = 0;
	int r = 0;

	(void)pthread_mutex_lock(&gate);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, 65536);
	while (n < 1000 && r == 0) {
		r = pthread_create(&threads[n], &attr, wait_for_end, &gate);
		n += r == 0;
	}
	(void)pthread_attr_destroy(&attr);
	(void)pthread_mutex_unlock(&gate);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	return r;
}

static int
many_descriptors(const struct world *world)
{
	static int descriptors[5000];
	struct rlimit before, limit;
	size_t n = 0;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &before) < 0)
		return errno;
	limit = before;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	while (n < 5000 && (descriptors[n] = dup(0)) >= 0)
		n++;
	r = n < 5000 ? errno : 0;
	while (n > 0)
		(void)close(descriptors[--n]);
	(void)setrlimit(RLIMIT_NOFILE, &before);
	return r;
}

static int
core_dump(const struct world *world)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	return TRIED(setrlimit(RLIMIT_CORE, &limit));
}

static int
home_variable(const struct world *world)
{
	return getenv("HOME") && strcmp(getenv("HOME"), "/") != 0 ? 0 : ENOENT;
}

/* Memory that is shared with another process, made smaller under it. */
static int
resize_shared(const struct world *world)
{
	struct stat st;
	int n = 0, r = ESCAPE_ABSENT;

	for (int fd = 3; fd < 1024; fd++) {
		int seals = fcntl(fd, F_GET_SEALS);

		if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 || st.st_size == 0)
			continue;
		n++;
		r = TRIED(ftruncate(fd, st.st_size - 1));
		if (r == 0) {
			(void)ftruncate(fd, st.st_size);
			return 0;
		}
	}
	return r;
}

/* A folder, a file of a file system, or a listening socket that was left open. Tests' ledger is given on purpose. */
static int
left_open(const struct world *world)
{
	const char *ledger = getenv("AMBIDEXT_LEDGER");
	char link[32], path[512];

	for (int fd = 3; fd < 1024; fd++) {
		int listening = 0;
		socklen_t size = sizeof listening;
		struct statfs system;
		struct stat st;

		if (fstat(fd, &st) < 0)
			continue;
		(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		if (readlink(link, path, sizeof path) < 0)
			path[0] = '\0';
		if (ledger && *ledger && !strncmp(path, ledger, strlen(ledger)))
			continue;
		if (fstatfs(fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC)
			continue; /* the runtime's own, of this process */
		if (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && fcntl(fd, F_GET_SEALS) < 0) ||
		    (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening))
			return 0;
	}
	return EBADF;
}

const struct escape limit_escapes[] = {
	{ "take memory", "8 GiB of memory are asked for", much_memory, "SBX009", 0 },
	{ "take threads", "1000 threads are made", many_threads, "SBX009", 0 },
	{ "take descriptors", "5000 descriptors are opened", many_descriptors, "SBX009", 0 },
	{ "dump core", "core dumps are turned on", core_dump, "SBX009", 0 },
	{ "read HOME", "the environment names the user's folder", home_variable, "SBX003", 0 },
	{ "resize shared memory", "memory that a peer has mapped is made smaller", resize_shared, "CHN002", ESCAPE_ALWAYS },
	{ "use what was left open", "descriptors of dextd's are looked for", left_open, "CHN008", ESCAPE_ALWAYS },
};
const size_t n_limit_escapes = sizeof limit_escapes / sizeof limit_escapes[0];
