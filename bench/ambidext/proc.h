/* SPDX-License-Identifier: MIT */
#ifndef BENCH_AMBIDEXT_PROC_H
#define BENCH_AMBIDEXT_PROC_H

/**
 * @file bench/ambidext/proc.h
 * @brief What the kernel counts for a process.
 *
 * Threads: [any].
 */

#include <stdint.h>
#include <sys/types.h>

/* Of all threads. */
struct proc_switches {
	uint64_t voluntary, involuntary;
	unsigned threads;
};
/** 0, or -errno when the process is gone. */
int proc_switches(pid_t pid, struct proc_switches *ret_switches);
/** Pages that it was given or that were put in its tables without waiting for a disk; 0: unknown. */
uint64_t proc_faults(pid_t pid);
/** Its share of memory (Pss) in bytes; 0: unknown. */
uint64_t proc_memory(pid_t pid);
/** Memory of the kernel that belongs to nobody's address space: slabs, page tables, stacks.
 * Everybody's. */
uint64_t proc_kernel_memory(void);
/** Open descriptors. */
unsigned proc_descriptors(pid_t pid);

#endif /* BENCH_AMBIDEXT_PROC_H */
