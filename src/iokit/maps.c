/* SPDX-License-Identifier: MIT */
#include "iokit/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct area {
	uintptr_t from, to;
	bool read, write, shared;
	dev_t device;
	uint64_t inode, offset;
	bool ours, stack; /* by its name */
};

/* ---- one at a time ---- */

/* PROCMAP_QUERY of linux/fs.h, which Debian 12's headers do not have. */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint32_t vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};

enum { QUERY_READABLE = 1, QUERY_WRITABLE = 2, QUERY_SHARED = 8, QUERY_OR_NEXT = 16 };

#define QUERY _IOWR('f', 17, struct procmap_query)

#define OURS  "/memfd:" IOKIT_MEMFD_NAME
#define STACK "[stack"

/* /proc/self/maps, open for as long as the process is. A child opens its own. */
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;
static int file = -1;
static pid_t file_of;
static bool cannot_ask;

static bool
starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* 0: found; -ENOENT: nothing from there on; else this cannot be asked. */
static int
ask_locked(struct procmap_query *query)
{
	bool fresh = file < 0 || file_of != getpid();

	if (cannot_ask)
		return -ENOTTY;
	if (fresh) {
		file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
		file_of = getpid();
	}
	int r = file < 0 || ioctl(file, QUERY, query) < 0 ? -errno : 0;
	if (r == -ENOTTY && fresh) {
		cannot_ask = true;
		(void)close(file);
	}
	/* The program closes what it does not know; another file may be there now. */
	if (r == -EBADF || r == -ENOTTY)
		file = -1;
	return r;
}

static int
ask(struct procmap_query *query)
{
	pthread_mutex_lock(&file_lock);
	int r = ask_locked(query);
	pthread_mutex_unlock(&file_lock);
	return r;
}

static int
area_ask(uintptr_t address, bool named, struct area *area)
{
	char name[PATH_MAX] = "";
	struct procmap_query query = { .size = sizeof query,
				       .query_flags = QUERY_OR_NEXT,
				       .query_addr = address };

	if (named) {
		query.vma_name_addr = (uintptr_t)name;
		query.vma_name_size = sizeof name;
	}
	int r = ask(&query);
	if (r < 0)
		return r;
	*area = (struct area){ .from = query.vma_start,
			       .to = query.vma_end,
			       .read = query.vma_flags & QUERY_READABLE,
			       .write = query.vma_flags & QUERY_WRITABLE,
			       .shared = query.vma_flags & QUERY_SHARED,
			       .device = makedev(query.dev_major, query.dev_minor),
			       .inode = query.inode,
			       .offset = query.vma_offset,
			       .ours = starts_with(name, OURS),
			       .stack = starts_with(name, STACK) };
	return 0;
}

/* ---- all of them, line by line ---- */

static bool
area_parse(const char *line, struct area *area)
{
	unsigned long from, to, offset, inode;
	unsigned major, minor;
	char permissions[5];

	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &from, &to, permissions, &offset, &major,
		   &minor, &inode) != 7)
		return false;
	*area = (struct area){ .from = from,
			       .to = to,
			       .read = permissions[0] == 'r',
			       .write = permissions[1] == 'w',
			       .shared = permissions[3] == 's',
			       .device = makedev(major, minor),
			       .inode = inode,
			       .offset = offset,
			       .ours = strstr(line, OURS) != NULL,
			       .stack = strstr(line, STACK) != NULL };
	return true;
}

struct walk {
	bool named;  /* what wants to know names says so */
	FILE *lines; /* owned; NULL until areas cannot be asked for */
};

/* The area at @p address, or the next one. False: none. */
static bool
walk_next(struct walk *walk, uintptr_t address, struct area *area)
{
	char line[512];

	if (!walk->lines) {
		int r = area_ask(address, walk->named, area);
		if (r == 0 || r == -ENOENT)
			return r == 0;
		walk->lines = fopen("/proc/self/maps", "re");
	}
	while (walk->lines && fgets(line, sizeof line, walk->lines))
		if (area_parse(line, area) && area->to > address)
			return true;
	return false;
}

static void
walk_end(struct walk *walk)
{
	if (walk->lines)
		(void)fclose(walk->lines);
}

/* ---- questions ---- */

unsigned
iokit_maps_areas(uintptr_t start, uintptr_t end)
{
	struct walk walk = { .named = true };
	uintptr_t here = (uintptr_t)&walk, at = start;
	struct area area;
	unsigned found = 0;

	while (at < end && walk_next(&walk, at, &area) && area.from <= at) {
		bool plain = area.read && area.write && !area.shared && !area.stack &&
			     (here < area.from || here >= area.to);

		found |= area.ours ? IOKIT_AREA_OURS
			 : plain   ? IOKIT_AREA_PRIVATE
				   : IOKIT_AREA_OTHER;
		at = area.to;
	}
	walk_end(&walk);
	return at >= end ? found : found | IOKIT_AREA_OTHER;
}

bool
iokit_maps_are(uintptr_t start, uintptr_t end, dev_t device, ino_t inode, uint64_t offset)
{
	struct walk walk = { .named = false };
	uintptr_t at = start;
	struct area area;

	while (at < end && walk_next(&walk, at, &area) && area.from <= at &&
	       area.device == device && area.inode == inode &&
	       area.offset + (at - area.from) == offset + (at - start))
		at = area.to;
	walk_end(&walk);
	return at >= end;
}

bool
iokit_maps_are_there(const void *address, size_t size, bool write)
{
	uintptr_t at = (uintptr_t)address, end = size > UINTPTR_MAX - at ? UINTPTR_MAX : at + size;
	struct walk walk = { .named = false };
	struct area area;

	while (at < end && walk_next(&walk, at, &area) && area.from <= at && area.read &&
	       (area.write || !write))
		at = area.to;
	walk_end(&walk);
	return at >= end;
}
