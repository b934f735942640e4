/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fuse_client.h"

static size_t n_bytes;
static int file = -1;
static int mounted; /* or about to be */

/* Whatever happens, nothing stays mounted once these processes are gone. */
static int
own_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	return 0;
}

void
fuse_client_begin(const struct peer_options *options)
{
	int err;

	n_bytes = options->bytes;
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		peer_skip("/dev/fuse: %s", strerror(errno));
	err = own_mounts();
	if (err < 0)
		peer_skip("only root can mount a file system: %s", strerror(-err));
}

unsigned
fuse_client_number(void)
{
	return n_bytes ? _IOC(_IOC_READ | _IOC_WRITE, 'b', 1, n_bytes) : _IO('b', 1);
}

const char *
fuse_client_mount_point(void)
{
	mounted = 1;
	return peer_folder();
}

int
fuse_client_open(void)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/" FUSE_CLIENT_FILE, peer_folder());
	file = open(path, O_RDWR | O_CLOEXEC);
	return file < 0 ? -errno : 0;
}

int
fuse_client_call(const void *request, void *answer)
{
	if (n_bytes == 0)
		return ioctl(file, fuse_client_number()) < 0 ? -errno : 0;
	memcpy(answer, request, n_bytes);
	if (ioctl(file, fuse_client_number(), answer) < 0)
		return -errno;
	*(char *)answer ^= FUSE_CLIENT_MARK;
	return 0;
}

void
fuse_client_stop(void)
{
	if (file >= 0)
		close(file);
	if (mounted)
		umount2(peer_folder(), MNT_DETACH);
}
