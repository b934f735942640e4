/* SPDX-License-Identifier: MIT */
#include "base/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/ledger_file.h"

#define NO_SLOT UINT32_MAX

bool adxi_ledger_on;

/* Guards everything below; a leaf lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ledger_file *ledger; /* NULL: not made yet, or it cannot be */
static int held_fd = -1;           /* owned: its flock() says that this process lives */
static bool tried;
static uint8_t epoch; /* a forked child has a file of its own, and its parent's tickets mean nothing
			 to it */

static adxi_ticket
ticket_of(uint32_t index, uint32_t generation)
{
	return (uint64_t)epoch << 56 | (uint64_t)(generation & 0xffffff) << 32 | (index + 1);
}

static int
fill_file(int fd, const char *name)
{
	struct ledger_file *file;

	if (ftruncate(fd, sizeof(*file)) < 0)
		return -errno;
	file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return -errno;
	file->first_free = NO_SLOT;
	(void)snprintf(file->name, sizeof(file->name), "%s", name);
	file->magic = LEDGER_MAGIC;
	(void)munmap(file, sizeof(*file));
	return flock(fd, LOCK_SH) < 0 ? -errno : 0;
}

int
adxi_ledger_file_for(const char *name)
{
	const char *dir = getenv("AMBIDEXT_LEDGER");
	char path[4096];
	int fd, r;

	if (!adxi_ledger_on || !dir || !*dir)
		return -ENOENT;
	if (snprintf(path, sizeof(path), "%s/%.40s.XXXXXX", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (char *c = path + strlen(dir) + 1; *c; c++)
		if (*c == '/')
			*c = '_';
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill_file(fd, name);
	if (r < 0) {
		(void)unlink(path);
		(void)close(fd);
		return r;
	}
	return fd;
}

/* Takes @p fd. */
static void
use_file_locked(int fd)
{
	struct ledger_file *file =
		mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (file == MAP_FAILED || file->magic != LEDGER_MAGIC) {
		if (file != MAP_FAILED)
			(void)munmap(file, sizeof(*file));
		(void)close(fd);
		return;
	}
	(void)madvise(file, sizeof(*file), MADV_DONTFORK);
	file->pid = (int32_t)getpid();
	held_fd = fd;
	ledger = file;
}

/* NULL: there is none. */
static struct ledger_file *
ledger_locked(void)
{
	int fd;

	if (ledger || tried)
		return ledger;
	tried = true;
	fd = adxi_ledger_file_for(program_invocation_short_name);
	if (fd >= 0)
		use_file_locked(fd);
	return ledger;
}

adxi_ticket
adxi_ledger_write_open(enum adxi_ledger_kind kind, uint64_t key)
{
	struct ledger_file *file;
	struct ledger_slot *slot;
	adxi_ticket ticket = 0;
	uint32_t index;

	(void)pthread_mutex_lock(&lock);
	file = ledger_locked();
	if (file && (file->first_free != NO_SLOT || file->n_slots < LEDGER_SLOTS)) {
		index = file->first_free;
		if (index == NO_SLOT)
			index = file->n_slots++;
		else
			file->first_free = file->slots[index].next_free;
		slot = &file->slots[index];
		slot->key = key;
		slot->kind = (uint8_t)kind;
		slot->generation++;
		slot->open = 1;
		file->opened[kind]++;
		ticket = ticket_of(index, slot->generation);
	} else if (file) {
		file->overflows++;
	}
	(void)pthread_mutex_unlock(&lock);
	return ticket;
}

void
adxi_ledger_write_close(enum adxi_ledger_kind kind, adxi_ticket ticket, uint64_t key,
			enum adxi_ledger_how how)
{
	const uint32_t index = (uint32_t)ticket - 1;
	struct ledger_file *file;
	struct ledger_slot *slot;

	(void)pthread_mutex_lock(&lock);
	file = ledger_locked();
	if (!file || (ticket && (uint8_t)(ticket >> 56) != epoch)) {
		(void)pthread_mutex_unlock(&lock);
		return;
	}
	slot = &file->slots[index % LEDGER_SLOTS];
	if (!ticket) {
		if (file->overflows == 0)
			file->unopened[kind]++;
	} else if (!slot->open || slot->kind != kind ||
		   ticket_of(index, slot->generation) != ticket) {
		file->twice[kind]++;
	} else {
		if (slot->key != key)
			file->wrong[kind]++;
		file->closed[kind][how]++;
		slot->open = 0;
		slot->next_free = file->first_free;
		file->first_free = index;
	}
	(void)pthread_mutex_unlock(&lock);
}

void
adxi_ledger_write_unopened(enum adxi_ledger_kind kind)
{
	adxi_ledger_write_close(kind, 0, 0, ADXI_LEDGER_DONE);
}

void
adxi_ledger_end(void)
{
	(void)pthread_mutex_lock(&lock);
	if (ledger)
		atomic_store(&ledger->ended, 1);
	(void)pthread_mutex_unlock(&lock);
}

static void
before_fork(void)
{
	(void)pthread_mutex_lock(&lock);
}

static void
in_parent(void)
{
	(void)pthread_mutex_unlock(&lock);
}

static void
in_child(void)
{
	if (held_fd >= 0)
		(void)close(held_fd);
	held_fd = -1;
	ledger = NULL;
	tried = false;
	epoch++;
	(void)pthread_mutex_unlock(&lock);
}

/* Before what may call. A process that may open no file was given one. */
__attribute__((constructor(101))) static void
ledger_start(void)
{
	const char *dir = getenv("AMBIDEXT_LEDGER"), *fd = getenv("AMBIDEXT_LEDGER_FD");

	if (!dir || !*dir)
		return;
	adxi_ledger_on = true;
	(void)pthread_atfork(before_fork, in_parent, in_child);
	if (!fd || !*fd)
		return;
	(void)pthread_mutex_lock(&lock);
	tried = true;
	(void)fcntl(atoi(fd), F_SETFD, FD_CLOEXEC);
	use_file_locked(atoi(fd));
	(void)pthread_mutex_unlock(&lock);
	(void)unsetenv("AMBIDEXT_LEDGER_FD");
}

__attribute__((destructor)) static void
ledger_stop(void)
{
	adxi_ledger_end();
}
