/* SPDX-License-Identifier: MIT */
/* A control group for each process, where dextd may make one: version 2, delegated, with
 * controllers. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dextd/sandbox_plan.h"

#define CGROUP2_MAGIC 0x63677270

static int
put(const char *dir, const char *file, const char *text)
{
	adxi_cleanup(adxi_closep) int fd = -1;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	return write(fd, text, strlen(text)) < 0 ? errno : 0;
}

static bool
has_controller(const char *dir, const char *name)
{
	adxi_cleanup(adxi_closep) int fd = -1;
	char path[PATH_MAX], text[256];
	ssize_t len;

	(void)snprintf(path, sizeof path, "%s/cgroup.controllers", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	text[len > 0 ? len : 0] = '\0';
	return strstr(text, name) != NULL;
}

/* systemd marks what it has delegated (Delegate=yes); nothing else is ours to divide. */
static bool
is_delegated(const char *dir)
{
	char yes[2] = "";

	return (getxattr(dir, "trusted.delegate", yes, 1) == 1 && yes[0] == '1') ||
	       (getxattr(dir, "user.delegate", yes, 1) == 1 && yes[0] == '1');
}

/* Our own group's folder. 0, LAYER_NO_CGROUP. */
static int
find_own(char *dir, size_t size)
{
	adxi_cleanup(adxi_closep) int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	char text[4096], *line, *save = NULL;
	struct statfs fs;
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	text[len > 0 ? len : 0] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "0::", 3) != 0)
			continue;
		(void)snprintf(dir, size, "/sys/fs/cgroup%s", line + 3);
		return statfs(dir, &fs) == 0 && fs.f_type == CGROUP2_MAGIC && is_delegated(dir)
			       ? 0
			       : LAYER_NO_CGROUP;
	}
	return LAYER_NO_CGROUP;
}

/* A group has processes or groups with controllers: dextd moves into one of its own, once. */
static int
prepare(char *dir, size_t size)
{
	static char parent[PATH_MAX - 64]; /* empty: not prepared */
	static int result;
	char own[PATH_MAX], pid[16];

	if (!parent[0] && result == 0) {
		result = find_own(parent, sizeof parent);
		if (result == 0 &&
		    !(has_controller(parent, "memory") && has_controller(parent, "pids")))
			result = LAYER_NO_CGROUP;
		if (result == 0) {
			(void)snprintf(own, sizeof own, "%s/dextd", parent);
			(void)snprintf(pid, sizeof pid, "%d", (int)getpid());
			if (mkdir(own, 0755) < 0 && errno != EEXIST)
				result = errno;
			if (result == 0)
				result = put(own, "cgroup.procs", pid);
			if (result == 0)
				result = put(parent, "cgroup.subtree_control", "+memory +pids");
			if (result == 0 && has_controller(parent, "cpu"))
				(void)put(parent, "cgroup.subtree_control", "+cpu");
		}
	}
	(void)snprintf(dir, size, "%s", parent);
	return result;
}

int
cgroup_make(const char *name, uint64_t memory, uint32_t processes, char **ret_dir)
{
	char parent[PATH_MAX - 64], dir[PATH_MAX], number[24];
	int r = prepare(parent, sizeof parent);

	if (r != 0)
		return r;
	(void)snprintf(dir, sizeof dir, "%s/dext-%.40s", parent, name);
	if (mkdir(dir, 0755) < 0)
		return errno;
	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)memory);
	r = put(dir, "memory.max", number);
	(void)put(dir, "memory.swap.max", "0");
	(void)snprintf(number, sizeof number, "%u", processes);
	if (r == 0)
		r = put(dir, "pids.max", number);
	/* All drivers together share what is left to the others. */
	(void)put(dir, "cpu.weight", "50");
	if (r == 0 && !(*ret_dir = strdup(dir)))
		r = ENOMEM;
	if (r != 0)
		(void)rmdir(dir);
	return r;
}

int
cgroup_enter(const char *dir)
{
	return put(dir, "cgroup.procs", "0");
}

void
cgroup_remove(const char *dir)
{
	(void)rmdir(dir);
}
