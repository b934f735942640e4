/* SPDX-License-Identifier: MIT */
#ifndef BASE_CRASH_RECORD_H
#define BASE_CRASH_RECORD_H

/**
 * @file base/crash_record.h
 * @brief What a hosted process leaves behind when it crashes: memory that dextd made and the
 * process writes.
 *
 * dextd makes a sealed memfd of CRASH_RECORD_SIZE for each process and passes it as descriptor
 * CRASH_RECORD_FD. libDriverKit maps it, notes the modules at its start and what each thread does
 * as it goes, and its signal handler writes the rest. dextd copies it when the process has crashed
 * and looks at state, signal and no_memory only; `dext crash show` reads the copy and believes none
 * of it: every offset and count is checked, every text is cut at its field's end.
 */

#include <stdint.h>

#define CRASH_RECORD_FD    4
#define CRASH_RECORD_MAGIC 0x3148534152434441ull /* "ADCRASH1" */
#define CRASH_RECORD_SIZE  (256u << 10)

#define CRASH_MODULES   48u
#define CRASH_PLACES    48u
#define CRASH_RING      16u
#define CRASH_REGISTERS 20u /* x86-64: in the order of DWARF's numbers, 16: rip, 17: flags */
#define CRASH_STACK     (64u << 10)
#define CRASH_MAPS      (48u << 10)
#define CRASH_NAME      80u
#define CRASH_CODE      64u

struct crash_module {
	uint64_t bias; /* added to the file's addresses */
	uint64_t start, end;
	uint8_t build_id[20];
	uint32_t build_id_size;
	char path[200];
};

/* A method that a thread entered. The pointers mean something in the process only. */
struct crash_entry {
	const char *method;
	const char *class_name;
	const char *client; /* of an external method, else NULL */
	uint64_t selector;
};

/* One thread: written by it alone. */
struct crash_place {
	int32_t tid;
	uint32_t n_entered; /* the last one is (n_entered - 1) % CRASH_RING */
	struct crash_entry ring[CRASH_RING];
};

enum crash_state { CRASH_NOTHING, CRASH_BEGUN, CRASH_WRITTEN };

struct crash_record {
	uint64_t magic;
	uint32_t size; /* of this struct */
	uint32_t n_modules;
	struct crash_module modules[CRASH_MODULES];
	struct crash_place places[CRASH_PLACES];

	/* The handler's. */
	uint32_t state;
	int32_t signal, code;
	int32_t tid;
	uint64_t address;
	uint32_t no_memory; /* not even 1 MiB could be mapped */
	uint32_t n_registers;
	uint64_t registers[CRASH_REGISTERS];
	char thread_name[16];
	char where[CRASH_NAME]; /* the method that ran */
	char abort_message[1024];
	uint32_t crashed_place; /* index + 1 of the thread's place; 0: none */
	uint32_t code_size, stack_size, maps_size;
	uint64_t code_address;
	uint8_t code_bytes[CRASH_CODE];
	/* Texts of the crashed thread's ring, and of what each other thread entered last. */
	char methods[CRASH_RING][CRASH_NAME];
	char clients[CRASH_RING][CRASH_NAME];
	char last[CRASH_PLACES][CRASH_NAME];
	uint64_t stack_address;
	uint8_t stack[CRASH_STACK];
	char maps[CRASH_MAPS];
};

_Static_assert(sizeof(struct crash_record) <= CRASH_RECORD_SIZE, "it fits");

#endif /* BASE_CRASH_RECORD_H */
