/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SANDBOX_WORLD_H
#define TESTS_SANDBOX_WORLD_H

/** @file tests/sandbox/world.h
 *  @brief What the client tells the driver of the world around it: what there is to attack. */

#include <stdint.h>

struct world {
	int32_t victim;      /* a process of the client's */
	int32_t dextd, usbhost, other; /* other: another driver's process */
	uint16_t port;       /* the client listens on 127.0.0.1 */
	int32_t queue, semaphores, segment; /* System V, the client's */
	uint64_t victim_address; /* of a readable word in the victim */
	char home[256];      /* a folder of the user's, with .ssh/id_rsa in it */
	char bundle[256];    /* the driver's own */
	char other_bundle[256];
	char realm[256];     /* directory */
	char socket[108];    /* a path that the client listens on */
	char abstract[64];   /* and an abstract name */
	char shm[64];        /* name of a POSIX shared memory object */
};

/* A method of its user client: the selector is the attempt's number, or this. Input: struct world.
 * Output: 0 what was tried could be done, else an errno; and its flags. */
#define ESCAPE_COUNT 1000 /* output: how many attempts there are */
#define ESCAPE_NAME  2000 /* + number: its row, as struct escape_row */

#define ESCAPE_ROOT   1u /* works for root only, without a sandbox */
#define ESCAPE_ALWAYS 2u /* denied without one, too: something else holds it */
#define ESCAPE_TOLD   4u /* the log has a line about it */

#define ESCAPE_ABSENT 10000 /* answer: this machine has no such thing to attack */

struct escape_row {
	char name[48];
	char what[128];
	char rule[8]; /* why it is denied */
	uint32_t flags;
};

#endif /* TESTS_SANDBOX_WORLD_H */
