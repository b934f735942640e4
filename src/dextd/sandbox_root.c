/* SPDX-License-Identifier: MIT */
/* In the child: a root that holds the places and nothing else, and Landlock rules for the same
 * places. Only what is async-signal-safe. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dextd/landlock.h"
#include "dextd/sandbox_plan.h"

/* glibc's <sys/mount.h> and the kernel's header do not stand each other in Debian 12. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);
int umount2(const char *target, int flags);
#define MNT_DETACH 2

/* Folders on the way to @p path, under the current one; the last part, too, as it is. */
static int
make_target(const char *path, bool is_dir)
{
	char part[PATH_MAX];
	size_t i;
	int fd;

	for (i = 1; path[i]; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path + 1, i - 1);
		part[i - 1] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EROFS)
			return errno;
	}
	if (is_dir)
		return mkdir(path + 1, 0755) < 0 && errno != EEXIST && errno != EROFS ? errno : 0;
	fd = open(path + 1, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return errno == EROFS || errno == EACCES ? 0 : errno;
	(void)close(fd);
	return 0;
}

static int
attach(int tree, const struct place *place)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID };
	int r;

	if (!(place->rights & PLACE_WRITE))
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (!(place->rights & PLACE_DEVICE))
		attr.attr_set |= MOUNT_ATTR_NODEV;
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) <
	    0)
		return errno;
	r = make_target(place->path, place->is_dir);
	if (r == 0 && syscall(SYS_move_mount, tree, "", AT_FDCWD, place->path + 1,
			      MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = errno;
	return r;
}

#define TREES_MAX 64u

/* Where the distribution has links (/lib to usr/lib), so has the new root. */
static void
make_links(const char *const *links)
{
	size_t i;

	for (i = 0; links[i]; i += 2)
		(void)symlink(links[i + 1], links[i]);
}

static int
turn_to(void)
{
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ? errno : 0;
	/* A root that the kernel unpacked (initramfs) cannot be put away: it is covered. */
	if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return errno;
	return 0;
}

int
child_new_root(struct sandbox *sandbox)
{
	static const char *const names[] = {
		"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"
	};
	const char *links[2 * sizeof names / sizeof names[0] + 1] = { NULL };
	char targets[sizeof names / sizeof names[0]][64];
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	const struct places *places = &sandbox->places;
	int trees[TREES_MAX], r = 0;
	size_t i, n = 0;
	ssize_t len;

	if (places->n > TREES_MAX)
		return E2BIG;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return errno;
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		len = readlink(names[i], targets[i], sizeof targets[i] - 1);
		if (len <= 0 || targets[i][0] == '/')
			continue;
		targets[i][len] = '\0';
		links[n++] = names[i] + 1;
		links[n++] = targets[i];
	}
	/* All before the stage is covered: something may be inside of it. */
	for (i = 0; i < places->n; i++) {
		trees[i] = -1;
		if (places->list[i].rights & PLACE_PROC)
			continue;
		trees[i] = (int)syscall(SYS_open_tree, AT_FDCWD, places->list[i].source,
					OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (trees[i] < 0)
			return errno;
	}
	if (mount("ambidext", sandbox->stage, "tmpfs", MS_NOSUID | MS_NODEV,
		  "mode=0755,size=1m,nr_inodes=4096") < 0 ||
	    chdir(sandbox->stage) < 0)
		return errno;
	make_links(links);
	for (i = 0; i < places->n && r == 0; i++) {
		const struct place *place = &places->list[i];

		if (trees[i] >= 0) {
			r = attach(trees[i], place);
			(void)close(trees[i]);
			continue;
		}
		r = make_target(place->path, true);
		/* Without one of its own there is none. */
		if (r == 0)
			(void)mount("proc", place->path + 1, "proc",
				    MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid,hidepid=2");
	}
	if (r == 0)
		r = turn_to();
	/* What is mounted below has its own attribute: only the frame. */
	if (r == 0 &&
	    syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &read_only, sizeof read_only) < 0)
		r = errno;
	return r;
}

static int
allow(int ruleset, const struct place *place, uint64_t handled, bool new_root)
{
	struct ll_path_beneath rule = { .allowed = LL_FS_READ_FILE | LL_FS_READ_DIR };
	const char *path = new_root ? place->path : place->source;
	int r = 0;

	if (place->rights & PLACE_PROC && !new_root)
		path = "/proc/self";
	if (place->rights & PLACE_WRITE)
		rule.allowed |= LL_FS_WRITE_FILE | LL_FS_MAKE | LL_FS_REFER | LL_FS_TRUNCATE;
	if (place->rights & PLACE_DEVICE)
		rule.allowed |= LL_FS_IOCTL_DEV;
	if (place->rights & PLACE_EXECUTE)
		rule.allowed |= LL_FS_EXECUTE;
	rule.allowed &= place->is_dir ? handled : handled & LL_FS_OF_FILES;
	rule.parent = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent < 0)
		return 0; /* so it cannot be opened either */
	if (syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH, &rule, 0) < 0)
		r = errno;
	(void)close(rule.parent);
	return r;
}

int
child_landlock(const struct sandbox *sandbox, bool new_root)
{
	struct ll_ruleset set = { .fs = LL_FS_EXECUTE | LL_FS_WRITE_FILE | LL_FS_READ_FILE |
					LL_FS_READ_DIR | LL_FS_MAKE };
	size_t size = sizeof set.fs, i;
	int ruleset, r = 0;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_CREATE_RULESET_VERSION);

	if (abi < 0)
		return errno;
	if (abi >= 2)
		set.fs |= LL_FS_REFER;
	if (abi >= 3)
		set.fs |= LL_FS_TRUNCATE;
	if (abi >= 4)
		size = sizeof set.fs + sizeof set.net;
	if (abi >= 4 && !sandbox->grant.network)
		set.net = LL_NET_TCP;
	if (abi >= 5)
		set.fs |= LL_FS_IOCTL_DEV;
	if (abi >= 6) {
		size = sizeof set;
		set.scoped = LL_SCOPE_ABSTRACT | LL_SCOPE_SIGNAL;
	}
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
	if (ruleset < 0)
		return errno;
	for (i = 0; i < sandbox->places.n && r == 0; i++)
		r = allow(ruleset, &sandbox->places.list[i], set.fs, new_root);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = errno;
	(void)close(ruleset);
	return r == 0 && abi < LL_ABI_WANTED ? LAYER_OLD : r;
}
