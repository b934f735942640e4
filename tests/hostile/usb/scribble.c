/* SPDX-License-Identifier: MIT */
/* A thread that writes into the rings which a driver and usbhost share, inside one of the two: linked into a driver, or preloaded into
 * usbhost. What it writes follows from HOSTILE_FIELD, or from the end of the driver's server name: a word of struct usb_ring, "entries"
 * or "all". It writes a wrong value, waits for a moment that changes, and often puts the old one back: so a value differs between
 * check and use. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

#define MAX_RINGS 16

static struct usb_ring *rings[MAX_RINGS];
static unsigned n_rings;
static uint32_t state = 2463534242u;

static uint32_t
any(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Shared memory of exactly a ring's size. */
static void
find_rings(void)
{
	const unsigned long size = (sizeof(struct usb_ring) + 4095) & ~4095ul;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	n_rings = 0;
	while (maps && fgets(line, sizeof line, maps) && n_rings < MAX_RINGS) {
		unsigned long from, to;

		if (strstr(line, "memfd:adx-memory") && strstr(line, "rw-s") && sscanf(line, "%lx-%lx", &from, &to) == 2 && to - from == size)
			rings[n_rings++] = (struct usb_ring *)from;
	}
	if (maps)
		(void)fclose(maps);
}

static void
write_word(_Atomic uint32_t *word)
{
	static const uint32_t far[] = { 0, 1, 2, 255, 256, 257, 4095, 4096, 0x7fffffff, 0x80000000, 0xffffffff };
	uint32_t old = atomic_load(word), value = any() % 3 ? far[any() % 11] : any() % 2 ? old + any() % 600 - 300 : any();

	atomic_store(word, value);
	for (volatile unsigned i = any() % 2000; i > 0; i--)
		;
	if (any() % 4)
		atomic_store(word, old);
}

static void
write_entries(struct usb_ring *ring)
{
	for (unsigned i = 0; i < 64; i++) {
		volatile uint32_t *submission = (volatile uint32_t *)&ring->submissions[any() % USB_RING_SUBMISSIONS];
		volatile uint32_t *completion = (volatile uint32_t *)&ring->completions[any() % 64];

		submission[any() % 4] = any() % 2 ? any() : any() % 300;
		completion[any() % 8] = any() % 2 ? any() : any() % 300;
	}
}

static void
scribble(struct usb_ring *ring, const char *field)
{
	const struct {
		const char *name;
		_Atomic uint32_t *word;
	} words[] = {
		{ "submitted", &ring->submitted },       { "driver_cpu", &ring->driver_cpu },
		{ "taken", &ring->taken },               { "submission_bell", &ring->submission_bell },
		{ "completed", &ring->completed },       { "completion_bell", &ring->completion_bell },
		{ "driver_knows", &ring->driver_knows }, { "refuse", &ring->refuse },
		{ "host_looks", &ring->host_looks },
	};
	const unsigned n = sizeof words / sizeof words[0];

	if (!strcmp(field, "entries") || (!strcmp(field, "all") && any() % 10 == 0))
		write_entries(ring);
	else if (!strcmp(field, "all"))
		write_word(words[any() % n].word);
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(field, words[i].name))
			write_word(words[i].word);
}

static void *
run(void *context)
{
	const char *field = context;

	for (unsigned long n = 0;; n++) {
		const struct timespec pause = { .tv_nsec = 20000 };

		/* Rings come and go; one that has gone is not touched, or it is this process that dies. */
		if (n % 10 == 0) {
			find_rings();
			if (n_rings > 0 && n % 5000 == 0) {
				(void)fprintf(stderr, "scribbled %s into %u rings, %lu times\n", field, n_rings, n);
				(void)fflush(stderr);
			}
		}
		for (unsigned i = 0; i < n_rings; i++)
			scribble(rings[i], field);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *field = getenv("HOSTILE_FIELD"), *name = getenv("AMBIDEXT_SERVER_NAME");
	static char copy[64];
	pthread_t thread;

	if (!field && name)
		field = strrchr(name, '.') + 1;
	if (!field)
		return;
	(void)snprintf(copy, sizeof copy, "%s", field);
	if (pthread_create(&thread, NULL, run, copy) == 0)
		(void)pthread_detach(thread);
}
