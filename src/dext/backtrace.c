/* SPDX-License-Identifier: MIT */
/* Unwinding of a dead thread with elfutils. The driver's files are read, its bytes never believed. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <elfutils/libdwfl.h>

#include "dext/backtrace.h"

#define FILE_MAX (512u << 20)

struct walk {
	const struct crash_record *record; /* borrowed */
	Dwfl *dwfl;                        /* owned */
	struct backtrace_frame *frames;    /* borrowed */
	unsigned n;
};

/* What crashed is all that is there: one thread. */
static pid_t
next_thread(Dwfl *dwfl, void *context, void **thread)
{
	struct walk *walk = context;

	if (*thread)
		return 0;
	*thread = walk;
	return 1;
}

/* A word of the stack's copy. */
static bool
read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *context)
{
	const struct walk *walk = context;
	const struct crash_record *record = walk->record;
	uint32_t size = record->stack_size < CRASH_STACK ? record->stack_size : CRASH_STACK;

	if (address < record->stack_address || size < sizeof *result ||
	    address - record->stack_address > size - sizeof *result)
		return false;
	memcpy(result, record->stack + (address - record->stack_address), sizeof *result);
	return true;
}

static bool
set_registers(Dwfl_Thread *thread, void *context)
{
	const struct walk *walk = context;
	const struct crash_record *record = walk->record;
	Dwarf_Word registers[17];

	if (record->n_registers < 17)
		return false;
	for (unsigned i = 0; i < 17; i++)
		registers[i] = record->registers[i];
	return dwfl_thread_state_registers(thread, 0, 17, registers);
}

static const struct crash_module *
module_at(const struct crash_record *record, uint64_t address)
{
	for (uint32_t i = 0; i < record->n_modules && i < CRASH_MODULES; i++)
		if (address >= record->modules[i].start && address < record->modules[i].end)
			return &record->modules[i];
	return NULL;
}

/* clang writes no table of addresses (.debug_aranges), so that its units have to be looked through. */
static Dwarf_Line *
find_line(Dwfl_Module *module, uint64_t address)
{
	Dwarf_Addr bias = 0;
	Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias);

	if (unit)
		return dwarf_getsrc_die(unit, address - bias);
	while ((unit = dwfl_module_nextcu(module, unit, &bias)))
		if (dwarf_haspc(unit, address - bias) == 1)
			return dwarf_getsrc_die(unit, address - bias);
	return NULL;
}

static void
name_source(Dwfl_Module *module, struct backtrace_frame *frame, uint64_t address)
{
	Dwarf_Line *line = find_line(module, address);
	const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	int number = 0;

	if (file && dwarf_lineno(line, &number) == 0)
		(void)snprintf(frame->source, sizeof frame->source, "%s:%d", file, number);
}

static void
name_frame(struct walk *walk, struct backtrace_frame *frame, uint64_t address)
{
	Dwfl_Module *module = dwfl_addrmodule(walk->dwfl, address);
	const struct crash_module *in = module_at(walk->record, address);
	const char *name;
	const unsigned char *build_id;
	GElf_Addr id_address;
	int len;

	if (in) {
		(void)snprintf(frame->module, sizeof frame->module, "%.*s", (int)sizeof in->path, in->path);
		frame->offset = address - in->bias;
	}
	if (!module)
		return;
	name = dwfl_module_addrname(module, address);
	if (name)
		(void)snprintf(frame->function, sizeof frame->function, "%s", name);
	name_source(module, frame, address);
	len = dwfl_module_build_id(module, &build_id, &id_address);
	if (in && len > 0 && in->build_id_size > 0 && in->build_id_size <= sizeof in->build_id)
		frame->other_build = (uint32_t)len < in->build_id_size || memcmp(build_id, in->build_id, in->build_id_size);
}

static int
add_frame(Dwfl_Frame *state, void *context)
{
	struct walk *walk = context;
	struct backtrace_frame *frame;
	bool activation;
	Dwarf_Addr pc;

	if (walk->n == BACKTRACE_FRAMES || !dwfl_frame_pc(state, &pc, &activation))
		return DWARF_CB_ABORT;
	frame = &walk->frames[walk->n++];
	*frame = (struct backtrace_frame){ .address = pc };
	/* A return address is the instruction after the call. */
	name_frame(walk, frame, activation ? pc : pc - 1);
	return DWARF_CB_OK;
}

/* A regular file of sane size: a driver could name a device that never answers. */
static bool
may_open(const char *path)
{
	struct stat status;

	return *path == '/' && stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
	       status.st_size < (off_t)FILE_MAX;
}

static void
report_modules(Dwfl *dwfl, const struct crash_record *record)
{
	char path[sizeof record->modules[0].path + 1];

	dwfl_report_begin(dwfl);
	for (uint32_t i = 0; i < record->n_modules && i < CRASH_MODULES; i++) {
		const struct crash_module *module = &record->modules[i];
		(void)snprintf(path, sizeof path, "%.*s", (int)sizeof module->path, module->path);
		if (may_open(path))
			(void)dwfl_report_elf(dwfl, path, path, -1, module->bias, true);
	}
	(void)dwfl_report_end(dwfl, NULL, NULL);
}

unsigned
backtrace_of(const struct crash_record *record, struct backtrace_frame frames[static BACKTRACE_FRAMES])
{
	static char no_path[] = "";
	static char *debug_path = no_path; /* what is beside the file, and nothing from the network */
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.debuginfo_path = &debug_path,
	};
	static const Dwfl_Thread_Callbacks threads = {
		.next_thread = next_thread,
		.memory_read = read_memory,
		.set_initial_registers = set_registers,
	};
	struct walk walk = { .record = record, .frames = frames };

	if (record->n_registers < 17)
		return 0;
	(void)unsetenv("DEBUGINFOD_URLS");
	walk.dwfl = dwfl_begin(&callbacks);
	if (!walk.dwfl)
		return 0;
	report_modules(walk.dwfl, record);
	if (dwfl_attach_state(walk.dwfl, NULL, 1, &threads, &walk))
		(void)dwfl_getthread_frames(walk.dwfl, 1, add_frame, &walk);
	if (walk.n == 0) { /* no unwinding, but the place itself is known */
		frames[walk.n] = (struct backtrace_frame){ .address = record->registers[16] };
		name_frame(&walk, &frames[walk.n++], record->registers[16]);
	}
	dwfl_end(walk.dwfl);
	return walk.n;
}
