/* SPDX-License-Identifier: MIT */
#include "channel/region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define REGION_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

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
