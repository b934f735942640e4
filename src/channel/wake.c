/* SPDX-License-Identifier: MIT */
#include "channel/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "channel/channel.h"

#define WAKE_BYTES 4096 /* one page: a wake is a byte */

static int
pipe_reopen(int fd)
{
	char path[32];
	int again;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

int
wake_create(int *ret_sleeper, int *ret_waker)
{
	adxi_cleanup(adxi_closep) int reader = -1;
	adxi_cleanup(adxi_closep) int writer = -1;
	adxi_cleanup(adxi_closep) int sleeper = -1;
	int ends[2], waker;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	reader = ends[0];
	writer = ends[1];
	(void)fcntl(reader, F_SETPIPE_SZ, WAKE_BYTES); /* saves memory only */
	sleeper = pipe_reopen(reader);
	if (sleeper < 0)
		return sleeper;
	waker = pipe_reopen(reader);
	if (waker < 0)
		return waker;
	*ret_sleeper = TAKE_FD(sleeper);
	*ret_waker = waker;
	return 0;
}

int
wake_check(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) != O_RDWR || !(flags & O_NONBLOCK))
		return -EPROTO;
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return -EPROTO;
	return 0;
}

void
wake_write(int fd)
{
	/* A full pipe is as good: it is readable. */
	(void)!write(fd, "", 1);
}

bool
wake_read(int fd)
{
	char bytes[WAKE_BYTES];
	bool any = false;
	ssize_t n;

	do {
		n = read(fd, bytes, sizeof(bytes));
		any |= n > 0;
	} while (n == (ssize_t)sizeof(bytes));
	return any;
}

bool
wake_tells_each(void)
{
	static _Atomic int tells = -1;
	int known = atomic_load_explicit(&tells, memory_order_relaxed);

	if (known < 0) {
		struct utsname name;
		unsigned major = 0, minor = 0;

		known = uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
			(major > 5 || (major == 5 && minor >= 15));
		atomic_store_explicit(&tells, known, memory_order_relaxed);
	}
	return known;
}

bool
wake_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	const struct timespec timeout = {
		.tv_sec = (time_t)(timeout_ns / 1000000000u),
		.tv_nsec = (long)(timeout_ns % 1000000000u),
	};

	return syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0) == 0 || errno != ETIMEDOUT;
}

void
wake_word(_Atomic uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

unsigned
adxi_bells(void)
{
	static _Atomic unsigned bells;
	unsigned n = atomic_load_explicit(&bells, memory_order_relaxed);

	if (!n) {
		long cpus = sysconf(_SC_NPROCESSORS_CONF);

		n = cpus < 1 ? 1 : cpus > ADXI_MAX_BELLS ? ADXI_MAX_BELLS : (unsigned)cpus;
		atomic_store_explicit(&bells, n, memory_order_relaxed);
	}
	return n;
}

unsigned
adxi_bell_here(unsigned n_bells)
{
	int cpu = n_bells > 1 ? sched_getcpu() : 0;

	return cpu < 0 ? 0 : (unsigned)cpu % n_bells;
}
