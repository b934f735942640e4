/* SPDX-License-Identifier: MIT */
/* Attempts on files. */
#define _GNU_SOURCE


#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "escapes.h"

static int
try_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int
try_open_in(const char *folder, const char *name, int flags)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	return try_open(path, flags);
}

/* A file of the machine: where there is none, there is nothing to attack. The client has looked. */
static int
read_key(const struct world *world)
{
	char path[512], text[16];
	int fd;

	(void)snprintf(path, sizeof path, "%s/.ssh/id_rsa", world->home);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return errno;
	ssize_t len = read(fd, text, sizeof text);
	(void)close(fd);
	return len > 0 ? 0 : EIO;
}

static int
list_home(const struct world *world)
{
	DIR *folder = opendir(world->home);

	if (!folder)
		return errno;
	(void)closedir(folder);
	return 0;
}

static int
read_shadow(const struct world *world)
{
	return try_open("/etc/shadow", O_RDONLY);
}

static int
read_passwd(const struct world *world)
{
	FILE *file = fopen("/etc/passwd", "r");

	if (!file)
		return errno;
	(void)fclose(file);
	return 0;
}

static int
create_in_bundle(const struct world *world)
{
	return try_open_in(world->bundle, "planted", O_WRONLY | O_CREAT);
}

static int
change_bundle(const struct world *world)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/Info.plist", world->bundle);
	return try_open(path, O_RDWR);
}

static int
write_home(const struct world *world)
{
	return try_open_in(world->home, "planted", O_WRONLY | O_CREAT);
}

static int
write_realm(const struct world *world)
{
	return try_open_in(world->realm, "planted", O_WRONLY | O_CREAT);
}

static int
read_realm(const struct world *world)
{
	return try_open_in(world->realm, "dextd.pid", O_RDONLY);
}

static int
read_other_bundle(const struct world *world)
{
	return try_open_in(world->other_bundle, "Info.plist", O_RDONLY);
}

static int
make_folder(const struct world *world)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/folder", world->home);
	return TRIED(mkdir(path, 0700));
}

static int
unlink_key(const struct world *world)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/.ssh/known_hosts", world->home);
	return TRIED(unlink(path));
}

static int
link_file(const struct world *world)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/link", world->home);
	return TRIED(symlink("/etc/shadow", path));
}

static int
make_node(const struct world *world)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/node", world->home);
	return TRIED(mknod(path, S_IFCHR | 0600, 1 << 8 | 3));
}

static int
open_log(const struct world *world)
{
	return try_open("/dev/kmsg", O_WRONLY);
}

static int
open_disk(const struct world *world)
{
	return try_open("/dev/loop-control", O_RDWR);
}

static int
open_terminal(const struct world *world)
{
	return try_open("/dev/ptmx", O_RDWR);
}

static int
write_sys(const struct world *world)
{
	return try_open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY);
}

static int
write_sysrq(const struct world *world)
{
	return try_open("/proc/sysrq-trigger", O_WRONLY);
}

static int
write_core_pattern(const struct world *world)
{
	return try_open("/proc/sys/kernel/core_pattern", O_WRONLY);
}

static int
handle(const struct world *world)
{
	struct {
		struct file_handle head;
		unsigned char bytes[128];
	} space = { .head = { .handle_bytes = 128 } };
	int mount_id = 0;
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	(void)name_to_handle_at(AT_FDCWD, "/", &space.head, &mount_id, 0);
	fd = open_by_handle_at(root, &space.head, O_RDONLY);
	if (fd < 0 && (errno == ESTALE || errno == EINVAL || errno == EOPNOTSUPP))
		fd = root, root = -1;
	int r = fd < 0 ? errno : 0;
	(void)close(fd);
	(void)close(root);
	return r;
}

static int
watch_files(const struct world *world)
{
	long fd = syscall(SYS_fanotify_init, 0, O_RDONLY);
	int r = tried_until(fd, EINVAL);

	if (fd >= 0)
		(void)close((int)fd);
	return r;
}

static int
mount_something(const struct world *world)
{
	return tried_until(mount("none", world->home, "nosuchfs", 0, NULL), ENODEV);
}

static int
unmount(const struct world *world)
{
	return tried_until(umount2(world->home, 0), EINVAL);
}

static int
pivot(const struct world *world)
{
	int r = tried_until(syscall(SYS_pivot_root, world->home, world->home), EINVAL);

	return r == EBUSY ? 0 : r; /* so it is no mount point */
}

static int
change_root(const struct world *world)
{
	return TRIED(chroot("/"));
}

const struct escape file_escapes[] = {
	{ "read ~/.ssh/id_rsa", "a key of the user's is read", read_key, "SBX003", ESCAPE_TOLD },
	{ "list home", "the user's folder is listed", list_home, "SBX003", 0 },
	{ "read /etc/shadow", "passwords are read", read_shadow, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "read /etc/passwd", "users are read", read_passwd, "SBX003", ESCAPE_TOLD },
	{ "create in bundle", "a file is put into its own bundle", create_in_bundle, "SBX003", ESCAPE_TOLD },
	{ "change bundle", "its own Info.plist is opened for writing", change_bundle, "SBX003", ESCAPE_TOLD },
	{ "write home", "a file is made in the user's folder", write_home, "SBX003", ESCAPE_TOLD },
	{ "write realm", "a file is made in the realm's directory", write_realm, "SBX003", ESCAPE_TOLD },
	{ "read realm", "a file of the realm's directory is read", read_realm, "SBX003", ESCAPE_TOLD },
	{ "read other bundle", "another driver's Info.plist is read", read_other_bundle, "SBX003", ESCAPE_TOLD },
	{ "mkdir", "a folder is made in the user's", make_folder, "SBX003", ESCAPE_TOLD },
	{ "unlink", "a file of the user's is removed", unlink_key, "SBX003", ESCAPE_TOLD },
	{ "symlink", "a link is put into the user's folder", link_file, "SBX003", ESCAPE_TOLD },
	{ "mknod", "a device node is made", make_node, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "open /dev/kmsg", "the kernel's log is opened for writing", open_log, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "open loop-control", "a disk is made of a file", open_disk, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "open /dev/ptmx", "a terminal is made, to type into", open_terminal, "SBX003", ESCAPE_TOLD },
	{ "write /sys", "a setting below /sys is opened for writing", write_sys, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "open sysrq-trigger", "/proc/sysrq-trigger is opened for writing", write_sysrq, "SBX003", ESCAPE_ROOT },
	{ "open core_pattern", "a program for core dumps is set", write_core_pattern, "SBX003", ESCAPE_ROOT },
	{ "open_by_handle_at", "a file is opened by its handle", handle, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "fanotify_init", "openings of files are watched", watch_files, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "mount", "a file system is mounted", mount_something, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "umount", "a file system is unmounted", unmount, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "pivot_root", "the root is exchanged", pivot, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "chroot", "the root is changed", change_root, "SBX003", ESCAPE_TOLD | ESCAPE_ROOT },
};
const size_t n_file_escapes = sizeof file_escapes / sizeof file_escapes[0];
