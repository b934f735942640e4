/* SPDX-License-Identifier: MIT */
#include "judge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOTAL_NAME ".total"

static const char *const kind_names[ADXI_LEDGER_KINDS] = {
	[ADXI_LEDGER_CALL] = "call",
	[ADXI_LEDGER_ASYNC] = "async call",
	[ADXI_LEDGER_REPLY] = "reply",
	[ADXI_LEDGER_ACTION] = "action",
	[ADXI_LEDGER_COMPLETION] = "completion",
	[ADXI_LEDGER_CALLBACK] = "callback",
	[ADXI_LEDGER_TRANSFER] = "transfer",
	[ADXI_LEDGER_REQUEST] = "USB request",
};

enum life { LIVING, ENDED, KILLED };

static void
ignore_alarm(int number __attribute__((unused)))
{
}

static bool
is_gone(int fd, unsigned wait_s)
{
	struct sigaction action = { .sa_handler = ignore_alarm }, before;
	int r;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (wait_s == 0)
		return false;
	(void)sigaction(SIGALRM, &action, &before);
	(void)alarm(wait_s);
	r = flock(fd, LOCK_EX);
	(void)alarm(0);
	(void)sigaction(SIGALRM, &before, NULL);
	return r == 0;
}

/* *ret_unborn: its maker was killed while making it; nothing was accepted. */
static const struct ledger_file *
map_file(int folder, const char *name, int *ret_fd, bool *ret_unborn)
{
	const struct ledger_file *file;
	struct stat st;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return NULL;
	*ret_unborn = fstat(fd, &st) == 0 && st.st_size == 0;
	if (*ret_unborn || st.st_size < (off_t)sizeof(*file)) {
		(void)close(fd);
		return NULL;
	}
	file = mmap(NULL, sizeof(*file), PROT_READ, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED || file->magic != LEDGER_MAGIC) {
		*ret_unborn = file != MAP_FAILED && file->magic == 0;
		if (file != MAP_FAILED)
			(void)munmap((void *)(uintptr_t)file, sizeof(*file));
		(void)close(fd);
		return NULL;
	}
	*ret_fd = fd;
	return file;
}

static void
unmap_file(const struct ledger_file *file, int fd)
{
	(void)munmap((void *)(uintptr_t)file, sizeof(*file));
	(void)close(fd);
}

/* A driver that ends takes its transfers along (usbhost aborts them), and a client what it does not
 * wait for any more. Who waits for a reply or a request of a process that ends hears of its end,
 * which that one's own ledger must say. */
static bool
may_be_given_up(unsigned kind)
{
	return kind == ADXI_LEDGER_TRANSFER || kind == ADXI_LEDGER_COMPLETION ||
	       kind == ADXI_LEDGER_REPLY || kind == ADXI_LEDGER_REQUEST;
}

static void
add(struct ledger_total *total, const struct ledger_file *file, enum life life)
{
	const uint32_t n = file->n_slots < LEDGER_SLOTS ? file->n_slots : LEDGER_SLOTS;

	total->living += life == LIVING;
	total->ended += life == ENDED;
	total->killed += life == KILLED;
	total->overflows += file->overflows;
	for (unsigned kind = 0; kind < ADXI_LEDGER_KINDS; kind++) {
		struct ledger_kind_total *sum = &total->kinds[kind];

		sum->opened += file->opened[kind];
		for (unsigned how = 0; how < ADXI_LEDGER_HOWS; how++)
			sum->closed[how] += file->closed[kind][how];
		sum->twice += file->twice[kind];
		sum->unopened += file->unopened[kind];
		sum->wrong += file->wrong[kind];
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct ledger_slot *slot = &file->slots[i];

		if (!slot->open || slot->kind >= ADXI_LEDGER_KINDS)
			continue;
		if (life == KILLED)
			total->kinds[slot->kind].voided++;
		else if (life == ENDED && may_be_given_up(slot->kind))
			total->kinds[slot->kind].given_up++;
		else
			total->kinds[slot->kind].lost++;
	}
}

static void
sum_up(struct ledger_total *sum, const struct ledger_total *more)
{
	const uint64_t *from = (const uint64_t *)(const void *)more;
	uint64_t *to = (uint64_t *)(void *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

static void
read_total(int folder, struct ledger_total *ret_total)
{
	int fd = openat(folder, TOTAL_NAME, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, ret_total, sizeof(*ret_total)) != sizeof(*ret_total))
		memset(ret_total, 0, sizeof(*ret_total));
	if (fd >= 0)
		(void)close(fd);
}

static int
write_total(int folder, const struct ledger_total *total)
{
	int fd = openat(folder, TOTAL_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = fd < 0 || write(fd, total, sizeof(*total)) != sizeof(*total) ? -EIO : 0;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

int
ledger_judge(const char *dir, bool fold, unsigned wait_s, struct ledger_total *ret_total)
{
	struct ledger_total now = { 0 }, folded = { 0 };
	DIR *folder = opendir(dir);
	struct dirent *entry;
	int r = 0;

	if (!folder)
		return -errno;
	read_total(dirfd(folder), &folded);
	while ((entry = readdir(folder))) {
		const struct ledger_file *file;
		bool unborn = false;
		enum life life;
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		file = map_file(dirfd(folder), entry->d_name, &fd, &unborn);
		if (!file) {
			now.unreadable += !unborn;
			continue;
		}
		life = !is_gone(fd, wait_s) ? LIVING : atomic_load(&file->ended) ? ENDED : KILLED;
		add(fold && life != LIVING ? &folded : &now, file, life);
		unmap_file(file, fd);
		if (fold && life != LIVING)
			(void)unlinkat(dirfd(folder), entry->d_name, 0);
	}
	if (fold)
		r = write_total(dirfd(folder), &folded);
	(void)closedir(folder);
	sum_up(&now, &folded);
	*ret_total = now;
	return r;
}

uint64_t
ledger_faults(const struct ledger_total *total)
{
	uint64_t n = total->overflows + total->unreadable;

	for (unsigned kind = 0; kind < ADXI_LEDGER_KINDS; kind++) {
		const struct ledger_kind_total *sum = &total->kinds[kind];

		n += sum->lost + sum->twice + sum->unopened + sum->wrong;
	}
	return n;
}

uint64_t
ledger_opened(const struct ledger_total *total)
{
	uint64_t n = 0;

	for (unsigned kind = 0; kind < ADXI_LEDGER_KINDS; kind++)
		n += total->kinds[kind].opened;
	return n;
}

void
ledger_print(const struct ledger_total *total, FILE *to)
{
	fprintf(to, "ledger: %" PRIu64 " processes ended, %" PRIu64 " killed, %" PRIu64 " alive",
		total->ended, total->killed, total->living);
	if (total->overflows || total->unreadable)
		fprintf(to, "; %" PRIu64 " entries too many, %" PRIu64 " files that cannot be read",
			total->overflows, total->unreadable);
	fprintf(to, "\n");
	for (unsigned kind = 0; kind < ADXI_LEDGER_KINDS; kind++) {
		const struct ledger_kind_total *sum = &total->kinds[kind];

		if (sum->opened + sum->unopened + sum->twice == 0)
			continue;
		fprintf(to,
			"ledger: %s: opened %" PRIu64 "; done %" PRIu64 ", failed %" PRIu64
			", refused %" PRIu64 ", dropped %" PRIu64 ", given up %" PRIu64
			", void %" PRIu64 "; lost %" PRIu64 ", twice %" PRIu64 ", unopened %" PRIu64
			", wrong %" PRIu64 "\n",
			kind_names[kind], sum->opened, sum->closed[ADXI_LEDGER_DONE],
			sum->closed[ADXI_LEDGER_FAILED], sum->closed[ADXI_LEDGER_REFUSED],
			sum->closed[ADXI_LEDGER_DROPPED], sum->given_up, sum->voided, sum->lost,
			sum->twice, sum->unopened, sum->wrong);
	}
}

void
ledger_print_open(const char *dir, FILE *to)
{
	DIR *folder = opendir(dir);
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		const struct ledger_file *file;
		unsigned shown = 0;
		bool unborn;
		int fd;

		file = entry->d_name[0] == '.'
			       ? NULL
			       : map_file(dirfd(folder), entry->d_name, &fd, &unborn);
		if (!file)
			continue;
		for (uint32_t i = 0; i < file->n_slots && i < LEDGER_SLOTS && shown < 20; i++) {
			const struct ledger_slot *slot = &file->slots[i];

			if (!slot->open || slot->kind >= ADXI_LEDGER_KINDS)
				continue;
			fprintf(to, "ledger: open in %.47s[%d]: %s %#" PRIx64 "\n", file->name,
				(int)file->pid, kind_names[slot->kind], slot->key);
			shown++;
		}
		unmap_file(file, fd);
	}
	if (folder)
		(void)closedir(folder);
}
