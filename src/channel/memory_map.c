/* SPDX-License-Identifier: MIT */
/* Mappings of a memory: made on demand, found again while they live, or kept with the memory. */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channel/memory_internal.h"

uint64_t
memory_page_size(void)
{
	static uint64_t size;
	uint64_t found = __atomic_load_n(&size, __ATOMIC_RELAXED);

	if (!found) {
		found = (uint64_t)sysconf(_SC_PAGESIZE);
		__atomic_store_n(&size, found, __ATOMIC_RELAXED);
	}
	return found;
}

uint64_t
memory_page_down(uint64_t value)
{
	return value & ~(memory_page_size() - 1);
}

uint64_t
memory_page_up(uint64_t value)
{
	return memory_page_down(value + memory_page_size() - 1);
}

/* Whether the range can be mapped in a row; *ret_lead: bytes of its first page before it. */
static int
check_contiguous(const struct adxi_memory *memory, uint64_t offset, uint64_t length,
		 uint64_t *ret_lead)
{
	uint64_t mask = memory_page_size() - 1;
	bool first = true;

	for (unsigned i = 0; i < memory->n_segments && length; i++) {
		const struct segment *s = &memory->segments[i];
		uint64_t n;

		if (offset >= s->length) {
			offset -= s->length;
			continue;
		}
		n = s->length - offset < length ? s->length - offset : length;
		if (first)
			*ret_lead = (s->offset + offset) & mask;
		else if ((s->offset + offset) & mask)
			return -ENOTSUP;
		length -= n;
		if (length && ((s->offset + offset + n) & mask))
			return -ENOTSUP;
		first = false;
		offset = 0;
	}
	return 0;
}

static int
map_segments(const struct adxi_memory *memory, uint64_t offset, uint64_t length, int prot,
	     uint8_t *at)
{
	int kind = memory->flags & ADXI_MEMORY_COPY_ON_WRITE ? MAP_PRIVATE : MAP_SHARED;

	/* Linux before 6.7 does not share what is sealed against writing, not even to read it. */
	if (!(prot & PROT_WRITE) && adxi_memory_is_immutable((struct adxi_memory *)memory))
		kind = MAP_PRIVATE;
	for (unsigned i = 0; i < memory->n_segments && length; i++) {
		const struct segment *s = &memory->segments[i];
		uint64_t n, start, size;

		if (offset >= s->length) {
			offset -= s->length;
			continue;
		}
		n = s->length - offset < length ? s->length - offset : length;
		start = memory_page_down(s->offset + offset);
		size = memory_page_up(s->offset + offset + n) - start;
		if (mmap(at, size, prot, kind | MAP_FIXED | MAP_POPULATE, s->pages->fd,
			 (off_t)start) == MAP_FAILED)
			return -errno;
		at += size;
		length -= n;
		offset = 0;
	}
	return 0;
}

/* Address space for size bytes with a guard page or more on either side, or exactly at address. */
static int
reserve(uint64_t size, uint64_t alignment, uint32_t flags, uint64_t address,
	struct adxi_mapping *mapping, uint8_t **ret_at)
{
	uint64_t guard = flags & ADXI_MAP_FIXED ? 0 : alignment;
	void *want = flags & ADXI_MAP_FIXED ? (void *)(uintptr_t)address : NULL;
	int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	if (flags & ADXI_MAP_FIXED)
		how |= MAP_FIXED_NOREPLACE;
	mapping->area_size = size + 2 * guard;
	mapping->area = mmap(want, mapping->area_size, PROT_NONE, how, -1, 0);
	if (mapping->area == MAP_FAILED) {
		mapping->area = NULL;
		return -errno;
	}
	*ret_at = (uint8_t *)mapping->area + guard;
	if (guard) /* down to the alignment; a page or more stays before it */
		*ret_at -= (uintptr_t)*ret_at & (alignment - 1);
	return 0;
}

static void
mapping_free(struct adxi_mapping *mapping)
{
	if (mapping->area)
		munmap(mapping->area, mapping->area_size);
	free(mapping);
}

static int
mapping_new(struct adxi_memory *memory, uint64_t offset, uint64_t length, uint32_t flags,
	    uint64_t address, struct adxi_mapping **ret_mapping)
{
	bool read_only = flags & ADXI_MAP_READ_ONLY;
	uint64_t lead = 0;
	uint8_t *at = NULL;

	int r = check_contiguous(memory, offset, length, &lead);
	if (r < 0)
		return r;
	if ((flags & ADXI_MAP_FIXED) && (address & (memory_page_size() - 1)) != lead)
		return -EINVAL;
	struct adxi_mapping *mapping = calloc(1, sizeof(*mapping));
	if (!mapping)
		return -ENOMEM;
	mapping->n_ref = 1;
	mapping->offset = offset;
	mapping->length = length;
	mapping->read_only = read_only;
	r = reserve(memory_page_up(lead + length), offset ? memory_page_size() : memory->alignment, flags,
		    address - lead, mapping, &at);
	if (r == 0)
		r = map_segments(memory, offset, length,
				 read_only ? PROT_READ : PROT_READ | PROT_WRITE, at);
	if (r < 0) {
		mapping_free(mapping);
		return r;
	}
	mapping->address = at + lead;
	*ret_mapping = mapping;
	return 0;
}

/* The live mapping, with one more reference, if it is of this range. */
static struct adxi_mapping *
find_live_locked(struct adxi_memory *memory, uint64_t offset, uint64_t length, bool read_only)
{
	struct adxi_mapping *found = memory->live[read_only];

	if (!found || found->offset != offset || found->length != length)
		return NULL;
	/* Its end takes the lock to leave live[]; a count of 0 means that it waits for that. */
	unsigned n = __atomic_load_n(&found->n_ref, __ATOMIC_RELAXED);
	while (n > 0)
		if (__atomic_compare_exchange_n(&found->n_ref, &n, n + 1, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return found;
	return NULL;
}

static bool
is_for_reading(struct adxi_memory *memory)
{
	return adxi_memory_is_immutable(memory) ||
	       (!adxi_memory_is_own(memory) &&
		(memory->flags & ADXI_MEMORY_DIRECTIONS) == ADXI_MEMORY_OUT);
}

static int
map_whole_locked(struct adxi_memory *memory)
{
	if (memory->whole)
		return 0;
	/* The capacity: a length that is raised later needs no second mapping. */
	return mapping_new(memory, 0, memory->capacity,
			   is_for_reading(memory) ? ADXI_MAP_READ_ONLY : 0, 0, &memory->whole);
}

void
adxi_memory_keep_mapped(struct adxi_memory *memory)
{
	pthread_mutex_lock(&memory->lock);
	memory->resident = !(memory->flags & ADXI_MEMORY_COPY_ON_WRITE);
	pthread_mutex_unlock(&memory->lock);
}

static int
part_of_whole_locked(struct adxi_memory *memory, uint64_t length, struct adxi_mapping **ret_mapping)
{
	int r = map_whole_locked(memory);
	struct adxi_mapping *mapping = r == 0 ? calloc(1, sizeof(*mapping)) : NULL;

	if (!mapping)
		return r < 0 ? r : -ENOMEM;
	mapping->n_ref = 1;
	mapping->memory = adxi_memory_ref(memory);
	mapping->address = memory->whole->address;
	mapping->length = length;
	mapping->read_only = memory->whole->read_only;
	*ret_mapping = mapping;
	return 0;
}

int
adxi_memory_map(struct adxi_memory *memory, uint64_t offset, uint64_t length, uint32_t flags,
		uint64_t address, struct adxi_mapping **ret_mapping)
{
	uint64_t whole = adxi_memory_length(memory);
	bool read_only = flags & ADXI_MAP_READ_ONLY;
	bool shareable = !(flags & ADXI_MAP_FIXED) && !(memory->flags & ADXI_MEMORY_COPY_ON_WRITE);
	struct adxi_mapping *mapping = NULL;
	int r = 0;

	if (offset >= whole || length > whole - offset)
		return -ERANGE;
	if (length == 0)
		length = whole - offset;
	pthread_mutex_lock(&memory->lock);
	if (shareable && memory->resident && offset == 0 && length == whole &&
	    read_only == is_for_reading(memory))
		r = part_of_whole_locked(memory, length, &mapping);
	else if (shareable)
		mapping = find_live_locked(memory, offset, length, read_only);
	if (!mapping && r == 0) {
		r = mapping_new(memory, offset, length, flags, address, &mapping);
		if (r == 0) {
			mapping->memory = adxi_memory_ref(memory);
			mapping->of = memory;
			if (shareable)
				memory->live[read_only] = mapping;
		}
	}
	pthread_mutex_unlock(&memory->lock);
	if (r == 0)
		*ret_mapping = mapping;
	return r;
}

int
adxi_memory_address(struct adxi_memory *memory, void **ret_address)
{
	pthread_mutex_lock(&memory->lock);
	int r = map_whole_locked(memory);
	if (r == 0)
		*ret_address = memory->whole->address;
	pthread_mutex_unlock(&memory->lock);
	return r;
}

struct adxi_mapping *
adxi_mapping_ref(struct adxi_mapping *mapping)
{
	__atomic_fetch_add(&mapping->n_ref, 1, __ATOMIC_RELAXED);
	return mapping;
}

struct adxi_mapping *
adxi_mapping_unref(struct adxi_mapping *mapping)
{
	if (!mapping || __atomic_fetch_sub(&mapping->n_ref, 1, __ATOMIC_ACQ_REL) != 1)
		return NULL;
	if (mapping->of) {
		pthread_mutex_lock(&mapping->of->lock);
		if (mapping->of->live[mapping->read_only] == mapping)
			mapping->of->live[mapping->read_only] = NULL;
		pthread_mutex_unlock(&mapping->of->lock);
	}
	struct adxi_memory *memory = mapping->memory;
	mapping_free(mapping);
	adxi_memory_unref(memory);
	return NULL;
}

void *
adxi_mapping_address(const struct adxi_mapping *mapping)
{
	return mapping->address;
}

uint64_t
adxi_mapping_length(const struct adxi_mapping *mapping)
{
	return mapping->length;
}

bool
adxi_mapping_is_read_only(const struct adxi_mapping *mapping)
{
	return mapping->read_only;
}
