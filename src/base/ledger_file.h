/* SPDX-License-Identifier: MIT */
#ifndef BASE_LEDGER_FILE_H
#define BASE_LEDGER_FILE_H

/**
 * @file base/ledger_file.h
 * @brief A process's ledger on disk: written through a shared mapping, so that what a killed
 * process had open can be read.
 *
 * Whoever has the file open holds a flock() on it: it is free when the process is gone, in whatever
 * pid namespace that lived.
 */

#include <stdatomic.h>

#include "base/ledger.h"

#define LEDGER_MAGIC 0x726567646c786461ull
#define LEDGER_SLOTS (1u << 16)

struct ledger_slot {
	uint64_t key;
	uint32_t generation;
	uint32_t next_free;
	uint8_t open, kind;
};

struct ledger_file {
	uint64_t magic;
	int32_t pid;            /* in its own namespace; 0: the process never came that far */
	_Atomic uint32_t ended; /* by its own will */
	char name[48];
	uint64_t opened[ADXI_LEDGER_KINDS];
	uint64_t closed[ADXI_LEDGER_KINDS][ADXI_LEDGER_HOWS];
	uint64_t twice[ADXI_LEDGER_KINDS]; /* closed and then closed again */
	uint64_t unopened[ADXI_LEDGER_KINDS];
	uint64_t wrong[ADXI_LEDGER_KINDS]; /* closed by the end of another one */
	uint64_t overflows;                /* accepted when all slots were taken: unknown */
	uint32_t n_slots;                  /* ever used */
	uint32_t first_free;
	struct ledger_slot slots[LEDGER_SLOTS];
};

#endif /* BASE_LEDGER_FILE_H */
