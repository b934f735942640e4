/* SPDX-License-Identifier: MIT */
#ifndef FAULTS_SHARED_H
#define FAULTS_SHARED_H

/**
 * @file faults/inject/shared.h
 * @brief What the processes of a run with injected faults share: the schedule, and each site's
 * counts. In memory whose descriptor all of them inherit (FAULTS_FD).
 *
 * The n-th arrival at a site fails or not by a hash of seed, site and n alone. So the same seed
 * fails the same arrivals, whatever the order in which threads come to different sites; which
 * thread is the n-th is the scheduler's.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FAULTS_MAGIC    0x73746c7561667861ull
#define FAULTS_FD       900 /* above what anybody counts on, and below every limit */
#define FAULTS_VARIABLE "AMBIDEXT_TEST_FAULTS_FD"
#define FAULTS_SITES    4096u

enum fault_role { ROLE_CLIENT, ROLE_DEXTD, ROLE_USBHOST, ROLE_DEXT, ROLES };

enum fault_kind {
	FAULT_ALLOC,    /* no memory */
	FAULT_FD,       /* no descriptor, no mapping, no process, no thread */
	FAULT_MESSAGE,  /* refused, cut off, or without its descriptors */
	FAULT_DELAY,    /* a message later than it would be */
	FAULT_TRANSFER, /* a transfer that is refused, stalls, fails or times out */
	FAULT_CRASH,    /* SIGKILL, SIGSEGV, abort() or _exit() on the way through a site */
	FAULT_KINDS
};

struct fault_site {
	_Atomic uint64_t id; /* 0: free */
	_Atomic uint32_t named;
	uint8_t kind, role;
	char name[88]; /* module+offset, or file:line */
	_Atomic uint64_t reached, failed;
};

struct fault_shared {
	uint64_t magic;
	uint64_t seed;
	_Atomic uint32_t enabled;
	uint32_t once; /* each site fails once, while armed is not used up */
	_Atomic uint32_t armed;
	uint32_t one_in[ROLES][FAULT_KINDS];            /* 0: never */
	_Atomic uint64_t planned[ROLES][FAULT_KINDS];   /* decided */
	_Atomic uint64_t activated[ROLES][FAULT_KINDS]; /* and given back to the caller, or done to
							   the process */
	_Atomic int64_t blocks[ROLES]; /* allocated in the process of that role that started last;
					  drivers: not counted */
	_Atomic uint32_t sites_lost;   /* that found no room */
	struct fault_site sites[FAULTS_SITES];
};

#endif /* FAULTS_SHARED_H */
