/* SPDX-License-Identifier: MIT */
#include "schedule.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MODULES_MAX 16u

struct module {
	uintptr_t begin, end, base;
	char name[40];
};

static struct fault_shared *shared; /* NULL: not under a schedule */
static int role = -1;
static struct module modules[MODULES_MAX];
static unsigned n_modules;
static _Thread_local bool deciding; /* naming a site allocates nothing, but its functions might */

int
schedule_role(void)
{
	return role;
}

struct fault_shared *
schedule_shared(void)
{
	return shared;
}

static bool
is_ours(const char *name)
{
	static const char *const libraries[] = { "libambidext.so", "libDriverKit.so",
						 "libUSBDriverKit.so", "libIOKit.so" };

	for (unsigned i = 0; i < sizeof libraries / sizeof *libraries; i++)
		if (strncmp(name, libraries[i], strlen(libraries[i])) == 0)
			return true;
	/* A driver's own code may do with its failures what it likes, a client's too. */
	return (role == ROLE_DEXTD && strcmp(name, "dextd") == 0) ||
	       (role == ROLE_USBHOST && strcmp(name, "usbhost") == 0);
}

static int
note_module(struct dl_phdr_info *info, size_t size __attribute__((unused)),
	    void *unused __attribute__((unused)))
{
	const char *path =
		info->dlpi_name && *info->dlpi_name ? info->dlpi_name : program_invocation_name;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	for (unsigned i = 0; i < info->dlpi_phnum && is_ours(name) && n_modules < MODULES_MAX;
	     i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		struct module *module = &modules[n_modules];

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		module->base = info->dlpi_addr;
		module->begin = info->dlpi_addr + segment->p_vaddr;
		module->end = module->begin + segment->p_memsz;
		(void)snprintf(module->name, sizeof module->name, "%.39s", name);
		n_modules++;
	}
	return 0;
}

static enum fault_role
own_role(void)
{
	const char *program = program_invocation_short_name;

	if (strcmp(program, "dextd") == 0)
		return ROLE_DEXTD;
	if (strcmp(program, "usbhost") == 0)
		return ROLE_USBHOST;
	return getenv("AMBIDEXT_SERVER_NAME") ? ROLE_DEXT : ROLE_CLIENT;
}

__attribute__((constructor(101))) static void
schedule_start(void)
{
	const char *number = getenv(FAULTS_VARIABLE);
	struct fault_shared *memory;

	if (!number || atoi(number) != FAULTS_FD)
		return;
	memory = mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED, FAULTS_FD, 0);
	if (memory == MAP_FAILED || memory->magic != FAULTS_MAGIC)
		return;
	role = (int)own_role();
	(void)dl_iterate_phdr(note_module, NULL);
	atomic_store(&memory->blocks[role], 0);
	shared = memory;
}

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t
hash_text(const char *text, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ seed;

	while (*text)
		hash = (hash ^ (uint8_t)*text++) * 0x100000001b3ull;
	return mix(hash) | 1;
}

static struct fault_site *
find_site(uint64_t id, enum fault_kind kind, const char *name, uint64_t offset)
{
	for (uint32_t i = 0; i < 64; i++) {
		struct fault_site *site = &shared->sites[(id + i) % FAULTS_SITES];
		uint64_t free_id = 0;

		if (atomic_load_explicit(&site->id, memory_order_acquire) == id)
			return site;
		if (atomic_load_explicit(&site->id, memory_order_acquire) != 0)
			continue;
		if (atomic_compare_exchange_strong(&site->id, &free_id, id)) {
			site->kind = (uint8_t)kind;
			site->role = (uint8_t)role;
			if (offset)
				(void)snprintf(site->name, sizeof site->name, "%s+0x%lx", name,
					       (unsigned long)offset);
			else
				(void)snprintf(site->name, sizeof site->name, "%s", name);
			atomic_store(&site->named, 1);
			return site;
		}
		if (free_id == id)
			return site;
	}
	atomic_fetch_add(&shared->sites_lost, 1);
	return NULL;
}

static void __attribute__((noreturn)) crash(uint32_t which)
{
	atomic_fetch_add(&shared->activated[role][FAULT_CRASH], 1);
	switch (which % 4) {
	case 0:
		(void)raise(SIGKILL);
		break;
	case 1:
		(void)raise(SIGSEGV);
		break;
	case 2:
		abort();
	default:
		break;
	}
	_exit(3);
}

/* In once mode: its turn, if there is one. */
static uint32_t
decide_once(struct fault_site *site)
{
	uint32_t armed = atomic_load(&shared->armed);
	uint64_t never = 0;

	if (armed == 0 || atomic_load(&site->failed) > 0)
		return 0;
	while (armed > 0)
		if (atomic_compare_exchange_weak(&shared->armed, &armed, armed - 1))
			break;
	if (armed == 0)
		return 0;
	if (atomic_compare_exchange_strong(&site->failed, &never, 1))
		return 1;
	atomic_fetch_add(&shared->armed, 1);
	return 0;
}

static uint32_t
decide(enum fault_kind kind, struct fault_site *site)
{
	const uint64_t n = atomic_fetch_add(&site->reached, 1);
	const uint32_t one_in = shared->one_in[role][kind],
		       one_in_crash = shared->one_in[role][FAULT_CRASH];
	uint64_t draw;

	if (!atomic_load_explicit(&shared->enabled, memory_order_relaxed))
		return 0;
	if (shared->once)
		return one_in ? decide_once(site) : 0;
	draw = mix(shared->seed ^ mix(site->id ^ mix(n)));
	if (one_in_crash && draw % one_in_crash == 0) {
		atomic_fetch_add(&shared->planned[role][FAULT_CRASH], 1);
		crash((uint32_t)(draw >> 40));
	}
	if (!one_in || (draw >> 20) % one_in != 0)
		return 0;
	atomic_fetch_add(&site->failed, 1);
	return (uint32_t)(draw >> 41) | 1;
}

uint32_t
schedule_at_seam(enum fault_kind kind, const char *name)
{
	struct fault_site *site;
	uint32_t fault;

	if (!shared || deciding)
		return 0;
	deciding = true;
	while (strncmp(name, "../", 3) == 0)
		name += 3;
	site = find_site(hash_text(name, (uint64_t)role << 8 | kind), kind, name, 0);
	fault = site ? decide(kind, site) : 0;
	deciding = false;
	if (fault)
		atomic_fetch_add(&shared->planned[role][kind], 1);
	return fault;
}

uint32_t
schedule_at(enum fault_kind kind, const void *caller)
{
	const uintptr_t address = (uintptr_t)caller;
	struct fault_site *site = NULL;
	uint32_t fault;

	if (!shared || deciding)
		return 0;
	deciding = true;
	for (unsigned i = 0; i < n_modules && !site; i++) {
		const struct module *module = &modules[i];

		if (address >= module->begin && address < module->end)
			site = find_site(mix(hash_text(module->name, (uint64_t)role << 8 | kind) +
					     (address - module->base)) |
						 1,
					 kind, module->name, address - module->base);
	}
	fault = site ? decide(kind, site) : 0;
	deciding = false;
	if (fault)
		atomic_fetch_add(&shared->planned[role][kind], 1);
	return fault;
}

void
schedule_count(enum fault_kind kind)
{
	atomic_fetch_add(&shared->activated[role][kind], 1);
}
