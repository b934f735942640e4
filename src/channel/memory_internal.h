/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_MEMORY_INTERNAL_H
#define CHANNEL_MEMORY_INTERNAL_H

/** @file channel/memory_internal.h
 *  @brief What memory.c and memory_map.c share. */

#include <pthread.h>

#include "channel/memory.h"

struct adxi_pages {
	unsigned n_ref; /* atomic */
	int fd;         /* owned */
	uint64_t size;  /* bytes; sealed, so it stays */
	bool own;       /* made by this process */
	bool immutable; /* sealed against writing, too */
};

struct segment {
	struct adxi_pages *pages; /* owned reference */
	uint64_t offset, length;
};

struct adxi_memory {
	unsigned n_ref; /* atomic */
	uint32_t flags;
	uint64_t capacity;
	uint64_t length;            /* atomic; <= capacity */
	uint64_t alignment;         /* of mappings from offset 0; a page or more */
	pthread_mutex_t lock;       /* guards the mappings below; taken alone */
	bool resident;              /* mappings of all of it are parts of whole */
	struct adxi_mapping *whole; /* owned reference: adxi_memory_address's */
	struct adxi_mapping
		*live[2]; /* borrowed: the last one made, [1] read-only; cleared by its end */
	unsigned n_segments;
	struct segment segments[];
};

struct adxi_mapping {
	unsigned n_ref; /* atomic */
	struct adxi_memory
		*memory;        /* owned reference; NULL when the memory itself owns the mapping */
	struct adxi_memory *of; /* borrowed: whose live[] may name it */
	uint8_t *address;
	uint64_t offset, length;
	void *area; /* owned: with guards; NULL: a part of the memory's whole */
	size_t area_size;
	bool read_only;
};

uint64_t memory_page_size(void);
uint64_t memory_page_down(uint64_t value);
uint64_t memory_page_up(uint64_t value);

#endif /* CHANNEL_MEMORY_INTERNAL_H */
