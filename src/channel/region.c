/* SPDX-License-Identifier: MIT */
#include "channel/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define REGION_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define WAKE_BYTES   4096 /* one page: a wake is a byte, and few are ever unread */

static int
memory_create(void)
{
	int fd = memfd_create("ambidext-channel",
			      MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	/* Kernels before 6.3 do not know MFD_NOEXEC_SEAL. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("ambidext-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int
region_create(int *ret_fd)
{
	adxi_cleanup(adxi_closep) int fd = memory_create();
	struct wire_region header = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.ring_size = WIRE_RING_SIZE,
	};

	if (fd < 0)
		return fd;
	if (ftruncate(fd, WIRE_REGION_SIZE) < 0)
		return -errno;
	if (pwrite(fd, &header, offsetof(struct wire_region, direction), 0) !=
	    (ssize_t)offsetof(struct wire_region, direction))
		return -EIO;
	if (fcntl(fd, F_ADD_SEALS, REGION_SEALS) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int
region_map(int fd, struct wire_region **ret_region, const char **reterr_why)
{
	struct wire_region *region;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & REGION_SEALS) != REGION_SEALS) {
		*reterr_why = "its memory is not sealed against resizing";
		return -EPROTO;
	}
	if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) {
		*reterr_why = "its memory cannot be written";
		return -EPROTO;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != (off_t)WIRE_REGION_SIZE) {
		*reterr_why = "its memory does not have the size of a channel";
		return -EPROTO;
	}
	region = mmap(NULL, WIRE_REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region == MAP_FAILED)
		return -errno;
	if (region->magic != WIRE_MAGIC || region->version != WIRE_VERSION ||
	    region->ring_size != WIRE_RING_SIZE) {
		*reterr_why = "its memory does not hold a channel of this version";
		(void)region_unmap(region);
		return -EPROTO;
	}
	*ret_region = region;
	return 0;
}

struct wire_region *
region_unmap(struct wire_region *region)
{
	if (region)
		(void)munmap(region, WIRE_REGION_SIZE);
	return NULL;
}

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
	char bytes[64];

	return read(fd, bytes, sizeof(bytes)) > 0;
}
