/* SPDX-License-Identifier: MIT */
/* What this process will have left behind if it crashes. */

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "driverkit/flight.h"

#define PROBE_SIZE (1u << 20) /* what must be mappable for memory not to be the reason */
#define STACK_SIZE (64u << 10)

static struct crash_record *record; /* shared with dextd's copy; NULL: none */
static int record_fd = -1;
static int maps_fd = -1;                 /* opened while that is allowed */
static uint64_t places_taken;            /* atomic; a bit each */
static const char *const *abort_message; /* glibc's: { unsigned size; char text[]; } * */

_Static_assert(CRASH_PLACES <= 64, "a bit each");

/* ---------------------------------------------------------------------------------------------
 * At the start
 */

static void
note_build_id(const struct dl_phdr_info *info, const ElfW(Phdr) * header,
	      struct crash_module *module)
{
	const uint8_t *at = (const uint8_t *)(info->dlpi_addr + header->p_vaddr),
		      *end = at + header->p_memsz;

	while (end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		const uint8_t *name = at + sizeof(*note),
			      *data = name + ((note->n_namesz + 3) & ~3u);

		if (data > end || note->n_descsz > (size_t)(end - data))
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
		    !memcmp(name, "GNU", 4)) {
			module->build_id_size = note->n_descsz < sizeof(module->build_id)
							? note->n_descsz
							: sizeof(module->build_id);
			memcpy(module->build_id, data, module->build_id_size);
			return;
		}
		at = data + ((note->n_descsz + 3) & ~3u);
	}
}

static int
note_module(struct dl_phdr_info *info, size_t size, void *context)
{
	struct crash_module *module = &record->modules[record->n_modules];
	ssize_t len;

	if (record->n_modules == CRASH_MODULES)
		return 1;
	module->bias = info->dlpi_addr;
	module->start = UINT64_MAX;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + header->p_vaddr;

		if (header->p_type == PT_NOTE)
			note_build_id(info, header, module);
		if (header->p_type != PT_LOAD)
			continue;
		if (start < module->start)
			module->start = start;
		if (start + header->p_memsz > module->end)
			module->end = start + header->p_memsz;
	}
	if (info->dlpi_name && *info->dlpi_name) {
		strncpy(module->path, info->dlpi_name, sizeof(module->path) - 1);
	} else {
		len = readlink("/proc/self/exe", module->path, sizeof(module->path) - 1);
		if (len < 0)
			module->path[0] = '\0';
	}
	record->n_modules++;
	return 0;
}

void
adxi_flight_open(void)
{
	const char *number = getenv("AMBIDEXT_CRASH_FD");
	struct stat status;
	void *map;
	int fd;

	if (!number || record)
		return;
	fd = (int)strtol(number, NULL, 10);
	if (fstat(fd, &status) < 0 || status.st_size != CRASH_RECORD_SIZE)
		return;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	map = mmap(NULL, CRASH_RECORD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return;
	record_fd = fd;
	record = map;
	record->magic = CRASH_RECORD_MAGIC;
	record->size = sizeof(*record);
	(void)dl_iterate_phdr(note_module, NULL);
	maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	abort_message = dlvsym(RTLD_DEFAULT, "__abort_msg", "GLIBC_PRIVATE");
}

struct crash_place *
adxi_flight_place(void)
{
	uint64_t taken = __atomic_load_n(&places_taken, __ATOMIC_RELAXED);
	unsigned i;

	if (!record)
		return NULL;
	for (i = 0; i < CRASH_PLACES; i++) {
		uint64_t bit = 1ull << i;

		if (taken & bit ||
		    (taken = __atomic_fetch_or(&places_taken, bit, __ATOMIC_ACQ_REL)) & bit)
			continue;
		record->places[i].tid = (int32_t)syscall(SYS_gettid);
		record->places[i].n_entered = 0;
		return &record->places[i];
	}
	return NULL;
}

void
adxi_flight_place_left(struct crash_place *place)
{
	if (!place)
		return;
	place->tid = 0;
	(void)__atomic_fetch_and(&places_taken, ~(1ull << (place - record->places)),
				 __ATOMIC_ACQ_REL);
}

void *
adxi_flight_stack(void)
{
	stack_t now, stack = { .ss_size = STACK_SIZE };

	/* A sanitizer has given it one. */
	if (!record || sigaltstack(NULL, &now) < 0 || !(now.ss_flags & SS_DISABLE))
		return NULL;
	stack.ss_sp =
		mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return NULL;
	if (sigaltstack(&stack, NULL) == 0)
		return stack.ss_sp;
	(void)munmap(stack.ss_sp, STACK_SIZE);
	return NULL;
}

void
adxi_flight_stack_end(void *stack)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	if (!stack)
		return;
	(void)sigaltstack(&none, NULL);
	(void)munmap(stack, STACK_SIZE);
}

/* ---------------------------------------------------------------------------------------------
 * In the handler. Nothing here follows a pointer of the driver's: the kernel copies what it points
 * to into the record, or refuses.
 */

#define OFFSET(member) ((off_t)((const char *)&record->member - (const char *)record))

/* Bytes copied, 0: unmapped. The bare system call: a sanitizer's pwrite() would judge what is read.
 */
static size_t
copy_memory(off_t to, uint64_t address, size_t size)
{
	long r = syscall(SYS_pwrite64, record_fd, (const void *)(uintptr_t)address, size, to);

	return r > 0 ? (size_t)r : 0;
}

static void
copy_text(off_t to, const char *text, size_t size)
{
	size_t page_left;

	/* To the end of the page first: the text may be the last thing that is mapped. */
	if (!text)
		return;
	page_left = 4096u - (uintptr_t)text % 4096u;
	if (page_left < size)
		(void)copy_memory(to, (uint64_t)(uintptr_t)text, page_left);
	(void)copy_memory(to, (uint64_t)(uintptr_t)text, size - 1);
}

#ifdef __x86_64__
static void
write_registers(const ucontext_t *context)
{
	/* DWARF's order. */
	static const int order[] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
				     REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
				     REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP, REG_EFL };
	uint64_t pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP],
		 sp = (uint64_t)context->uc_mcontext.gregs[REG_RSP];

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		record->registers[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
	record->n_registers = sizeof(order) / sizeof(*order);
	record->code_address = pc;
	record->code_size = (uint32_t)copy_memory(OFFSET(code_bytes), pc, CRASH_CODE);
	record->stack_address = sp;
	record->stack_size = (uint32_t)copy_memory(OFFSET(stack), sp, CRASH_STACK);
}
#else
static void
write_registers(const ucontext_t *context)
{
}
#endif

static void
write_abort_message(void)
{
	const char *message =
		abort_message ? __atomic_load_n(abort_message, __ATOMIC_RELAXED) : NULL;

	if (message)
		copy_text(OFFSET(abort_message), message + sizeof(unsigned),
			  sizeof(record->abort_message));
}

static void
write_places(const struct crash_place *mine)
{
	unsigned i;

	for (i = 0; mine && i < CRASH_RING; i++) {
		copy_text(OFFSET(methods[i]), mine->ring[i].method, CRASH_NAME);
		copy_text(OFFSET(clients[i]), mine->ring[i].client, CRASH_NAME);
	}
	for (i = 0; i < CRASH_PLACES; i++) {
		const struct crash_place *place = &record->places[i];

		if (place->tid && place->n_entered)
			copy_text(OFFSET(last[i]),
				  place->ring[(place->n_entered - 1) % CRASH_RING].method,
				  CRASH_NAME);
	}
	record->crashed_place = mine ? (uint32_t)(mine - record->places) + 1 : 0;
}

static void
write_maps(void)
{
	ssize_t r = 1;

	if (maps_fd < 0 || lseek(maps_fd, 0, SEEK_SET) < 0)
		return;
	while (r > 0 && record->maps_size < CRASH_MAPS) {
		r = read(maps_fd, record->maps + record->maps_size, CRASH_MAPS - record->maps_size);
		record->maps_size += r > 0 ? (uint32_t)r : 0;
	}
}

static void
write_memory(void)
{
	void *probe =
		mmap(NULL, PROBE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	record->no_memory = probe == MAP_FAILED;
	if (probe != MAP_FAILED)
		(void)munmap(probe, PROBE_SIZE);
}

void
adxi_flight_crashed(int signal, const siginfo_t *info, const void *ucontext, const char *where,
		    const struct crash_place *mine)
{
	uint32_t nothing = CRASH_NOTHING;

	/* The first thread that crashes is the one. */
	if (!record || !__atomic_compare_exchange_n(&record->state, &nothing, CRASH_BEGUN, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	record->signal = signal;
	record->code = info->si_code;
	record->address = (uint64_t)(uintptr_t)info->si_addr;
	record->tid = (int32_t)syscall(SYS_gettid);
	(void)prctl(PR_GET_NAME, record->thread_name);
	copy_text(OFFSET(where), where, CRASH_NAME);
	write_memory();
	write_abort_message();
	write_registers(ucontext);
	write_places(mine);
	write_maps();
	__atomic_store_n(&record->state, CRASH_WRITTEN, __ATOMIC_RELEASE);
}
