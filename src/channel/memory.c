/* SPDX-License-Identifier: MIT */
/* Sealed pages, segments on them, mappings of them. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "channel/memory.h"

#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define MAX_LENGTH (UINT64_C(1) << 40)
#define WIRE_MAGIC 0x4d444158u /* "XADM" */

struct adxi_pages {
	unsigned n_ref; /* atomic */
	int fd;         /* owned */
	uint64_t size;  /* bytes; sealed, so it stays */
	bool own;       /* made by this process */
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
	void *area; /* owned: with guards */
	size_t area_size;
	bool read_only;
};

struct wire_segment {
	uint32_t fd_index;
	uint32_t reserved;
	uint64_t offset, length;
};

struct wire {
	uint32_t magic;
	uint32_t flags;
	uint64_t length;
	uint32_t n_segments;
	uint32_t n_fds;
	struct wire_segment segments[ADXI_MEMORY_MAX_SEGMENTS];
};

static uint64_t
page_size(void)
{
	static uint64_t size;
	uint64_t found = __atomic_load_n(&size, __ATOMIC_RELAXED);

	if (!found) {
		found = (uint64_t)sysconf(_SC_PAGESIZE);
		__atomic_store_n(&size, found, __ATOMIC_RELAXED);
	}
	return found;
}

static uint64_t
page_down(uint64_t value)
{
	return value & ~(page_size() - 1);
}

static uint64_t
page_up(uint64_t value)
{
	return page_down(value + page_size() - 1);
}

static struct adxi_pages *
pages_ref(struct adxi_pages *pages)
{
	__atomic_fetch_add(&pages->n_ref, 1, __ATOMIC_RELAXED);
	return pages;
}

static void
pages_unref(struct adxi_pages *pages)
{
	if (__atomic_fetch_sub(&pages->n_ref, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	close(pages->fd);
	free(pages);
}

/* Takes fd, also on failure. */
static int
pages_new(int fd, uint64_t size, bool own, struct adxi_pages **ret_pages)
{
	struct adxi_pages *pages = calloc(1, sizeof(*pages));

	if (!pages) {
		close(fd);
		return -ENOMEM;
	}
	*pages = (struct adxi_pages){ .n_ref = 1, .fd = fd, .size = size, .own = own };
	*ret_pages = pages;
	return 0;
}

/* Takes fd, also on failure. What a peer gave: must be sealed memory. */
static int
pages_adopt(int fd, struct adxi_pages **ret_pages)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 || st.st_size < 0) {
		close(fd);
		return -EPERM;
	}
	return pages_new(fd, (uint64_t)st.st_size, false, ret_pages);
}

static int
memory_new(unsigned n_segments, uint32_t flags, struct adxi_memory **ret_memory)
{
	struct adxi_memory *memory =
		calloc(1, sizeof(*memory) + n_segments * sizeof(memory->segments[0]));

	if (!memory)
		return -ENOMEM;
	memory->n_ref = 1;
	memory->flags = flags;
	memory->alignment = page_size();
	pthread_mutex_init(&memory->lock, NULL);
	*ret_memory = memory;
	return 0;
}

ADXI_DEFINE_CLEANUP(struct adxi_memory, adxi_memory_unref)

/* pages: borrowed, a reference is taken. */
static void
memory_add(struct adxi_memory *memory, struct adxi_pages *pages, uint64_t offset, uint64_t length)
{
	memory->segments[memory->n_segments++] =
		(struct segment){ pages_ref(pages), offset, length };
	memory->capacity += length;
	memory->length = memory->capacity;
}

int
adxi_memory_create(uint64_t capacity, uint32_t flags, struct adxi_memory **ret_memory)
{
	if (capacity == 0 || capacity > MAX_LENGTH)
		return -EINVAL;

	adxi_cleanup(adxi_memory_unrefp) struct adxi_memory *memory = NULL;
	adxi_cleanup(adxi_closep) int fd = -1;
	struct adxi_pages *pages;
	uint64_t size = page_up(capacity);

	int r = memory_new(1, flags, &memory);
	if (r < 0)
		return r;
	fd = memfd_create("adx-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Allocated now: running out of memory is an error here, and SIGBUS later. */
	if (ftruncate(fd, (off_t)size) < 0 || fallocate(fd, 0, 0, (off_t)size) < 0)
		return errno == ENOSPC ? -ENOMEM : -errno;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	r = pages_new(TAKE_FD(fd), size, true, &pages);
	if (r < 0)
		return r;
	memory_add(memory, pages, 0, capacity);
	pages_unref(pages);
	*ret_memory = TAKE(memory);
	return 0;
}

static int
segment_fill(const struct segment *segment, uintptr_t bytes, uint64_t size)
{
	for (uint64_t at = 0; at < size;) {
		ssize_t n = pwrite(segment->pages->fd, (const void *)(bytes + at), size - at,
				   (off_t)(segment->offset + at));
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

int
adxi_memory_fill(struct adxi_memory *memory, const void *bytes, uint64_t size)
{
	uintptr_t from = (uintptr_t)bytes; /* no pointer until the kernel has said so */
	int r = size > adxi_memory_length(memory) ? -EINVAL : 0;

	for (unsigned i = 0; i < memory->n_segments && size > 0 && r == 0; i++) {
		const struct segment *segment = &memory->segments[i];
		uint64_t n = segment->length < size ? segment->length : size;

		r = segment_fill(segment, from, n);
		from += n;
		size -= n;
	}
	return r;
}

int
adxi_memory_wrap(int fd, uint64_t offset, uint64_t length, uint32_t flags,
		 struct adxi_memory **ret_memory)
{
	adxi_cleanup(adxi_memory_unrefp) struct adxi_memory *memory = NULL;
	struct adxi_pages *pages;

	int r = pages_adopt(fd, &pages);
	if (r < 0)
		return r;
	if (length == 0 || offset > pages->size || length > pages->size - offset)
		r = -ERANGE;
	else
		r = memory_new(1, flags, &memory);
	if (r == 0)
		memory_add(memory, pages, offset, length);
	pages_unref(pages);
	if (r < 0)
		return r;
	*ret_memory = TAKE(memory);
	return 0;
}

/* Append the segments of [offset, offset + length) of from. */
static void
memory_add_range(struct adxi_memory *memory, const struct adxi_memory *from, uint64_t offset,
		 uint64_t length)
{
	for (unsigned i = 0; i < from->n_segments && length; i++) {
		const struct segment *s = &from->segments[i];
		uint64_t n;

		if (offset >= s->length) {
			offset -= s->length;
			continue;
		}
		n = s->length - offset < length ? s->length - offset : length;
		memory_add(memory, s->pages, s->offset + offset, n);
		length -= n;
		offset = 0;
	}
}

int
adxi_memory_sub(struct adxi_memory *memory, uint32_t flags, uint64_t offset, uint64_t length,
		struct adxi_memory **ret_memory)
{
	adxi_cleanup(adxi_memory_unrefp) struct adxi_memory *sub = NULL;
	uint64_t whole = adxi_memory_length(memory);

	if (length == 0 || offset > whole || length > whole - offset)
		return -EINVAL;
	if (flags & ADXI_MEMORY_DIRECTIONS & ~memory->flags)
		return -EACCES;
	int r = memory_new(memory->n_segments, flags | (memory->flags & ADXI_MEMORY_COPY_ON_WRITE),
			   &sub);
	if (r < 0)
		return r;
	memory_add_range(sub, memory, offset, length);
	*ret_memory = TAKE(sub);
	return 0;
}

int
adxi_memory_concat(struct adxi_memory *const *memories, uint32_t n_memories, uint32_t flags,
		   struct adxi_memory **ret_memory)
{
	adxi_cleanup(adxi_memory_unrefp) struct adxi_memory *all = NULL;
	unsigned n = 0;

	if (n_memories == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < n_memories; i++) {
		if (!memories[i])
			return -EINVAL;
		n += memories[i]->n_segments;
		if (n > ADXI_MEMORY_MAX_SEGMENTS)
			return -E2BIG;
	}
	int r = memory_new(n, flags, &all);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n_memories; i++)
		memory_add_range(all, memories[i], 0, adxi_memory_length(memories[i]));
	*ret_memory = TAKE(all);
	return 0;
}

struct adxi_memory *
adxi_memory_ref(struct adxi_memory *memory)
{
	__atomic_fetch_add(&memory->n_ref, 1, __ATOMIC_RELAXED);
	return memory;
}

struct adxi_memory *
adxi_memory_unref(struct adxi_memory *memory)
{
	if (!memory || __atomic_fetch_sub(&memory->n_ref, 1, __ATOMIC_ACQ_REL) != 1)
		return NULL;
	adxi_mapping_unref(memory->whole);
	for (unsigned i = 0; i < memory->n_segments; i++)
		pages_unref(memory->segments[i].pages);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
	return NULL;
}

int
adxi_memory_align(struct adxi_memory *memory, uint64_t alignment)
{
	if (alignment & (alignment - 1) || alignment > ADXI_MEMORY_MAX_ALIGNMENT)
		return -EINVAL;
	if (alignment > memory->alignment)
		memory->alignment = alignment;
	return 0;
}

uint64_t
adxi_memory_holders(struct adxi_memory *memory)
{
	uint64_t n = __atomic_load_n(&memory->n_ref, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < memory->n_segments; i++)
		n += __atomic_load_n(&memory->segments[i].pages->n_ref, __ATOMIC_ACQUIRE);
	return n;
}

uint64_t
adxi_memory_length(struct adxi_memory *memory)
{
	return __atomic_load_n(&memory->length, __ATOMIC_ACQUIRE);
}

uint64_t
adxi_memory_capacity(struct adxi_memory *memory)
{
	return memory->capacity;
}

uint32_t
adxi_memory_flags(struct adxi_memory *memory)
{
	return memory->flags;
}

bool
adxi_memory_is_own(struct adxi_memory *memory)
{
	for (unsigned i = 0; i < memory->n_segments; i++)
		if (!memory->segments[i].pages->own)
			return false;
	return true;
}

int
adxi_memory_set_length(struct adxi_memory *memory, uint64_t length)
{
	if (!(memory->flags & ADXI_MEMORY_BUFFER) || length > memory->capacity)
		return -EINVAL;
	__atomic_store_n(&memory->length, length, __ATOMIC_RELEASE);
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Mappings
 */

/* Whether the range can be mapped in a row; *ret_lead: bytes of its first page before it. */
static int
check_contiguous(const struct adxi_memory *memory, uint64_t offset, uint64_t length,
		 uint64_t *ret_lead)
{
	uint64_t mask = page_size() - 1;
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

	for (unsigned i = 0; i < memory->n_segments && length; i++) {
		const struct segment *s = &memory->segments[i];
		uint64_t n, start, size;

		if (offset >= s->length) {
			offset -= s->length;
			continue;
		}
		n = s->length - offset < length ? s->length - offset : length;
		start = page_down(s->offset + offset);
		size = page_up(s->offset + offset + n) - start;
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
	if ((flags & ADXI_MAP_FIXED) && (address & (page_size() - 1)) != lead)
		return -EINVAL;
	struct adxi_mapping *mapping = calloc(1, sizeof(*mapping));
	if (!mapping)
		return -ENOMEM;
	mapping->n_ref = 1;
	mapping->offset = offset;
	mapping->length = length;
	mapping->read_only = read_only;
	r = reserve(page_up(lead + length), offset ? page_size() : memory->alignment, flags,
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
	if (shareable)
		mapping = find_live_locked(memory, offset, length, read_only);
	if (!mapping) {
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
	int r = 0;

	pthread_mutex_lock(&memory->lock);
	if (!memory->whole) {
		bool read_only = !adxi_memory_is_own(memory) &&
				 (memory->flags & ADXI_MEMORY_DIRECTIONS) == ADXI_MEMORY_OUT;
		/* The capacity: a length that is raised later needs no second mapping. */
		r = mapping_new(memory, 0, memory->capacity, read_only ? ADXI_MAP_READ_ONLY : 0, 0,
				&memory->whole);
	}
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

/* ---------------------------------------------------------------------------------------------
 * Crossing
 */

void
adxi_memory_export(struct adxi_memory *memory, void *bytes, size_t *ret_size, int *fds,
		   unsigned *ret_n_fds)
{
	const struct adxi_pages *known[ADXI_MEMORY_MAX_SEGMENTS];
	struct wire wire = { .magic = WIRE_MAGIC,
			     .flags = memory->flags,
			     .length = adxi_memory_length(memory),
			     .n_segments = memory->n_segments };

	for (unsigned i = 0; i < memory->n_segments; i++) {
		const struct segment *s = &memory->segments[i];
		uint32_t k = 0;

		while (k < wire.n_fds && known[k] != s->pages)
			k++;
		if (k == wire.n_fds) {
			known[k] = s->pages;
			fds[wire.n_fds++] = s->pages->fd;
		}
		wire.segments[i] = (struct wire_segment){ .fd_index = k,
							  .offset = s->offset,
							  .length = s->length };
	}
	_Static_assert(sizeof(wire) <= ADXI_MEMORY_WIRE_MAX, "the buffer that callers bring");
	*ret_size = offsetof(struct wire, segments) + wire.n_segments * sizeof(struct wire_segment);
	memcpy(bytes, &wire, *ret_size);
	*ret_n_fds = wire.n_fds;
}

static int
import_check(const struct wire *wire, size_t size, unsigned n_fds)
{
	uint64_t capacity = 0;

	if (wire->magic != WIRE_MAGIC || wire->n_segments == 0 ||
	    wire->n_segments > ADXI_MEMORY_MAX_SEGMENTS || wire->n_fds != n_fds ||
	    size != offsetof(struct wire, segments) +
			    wire->n_segments * sizeof(struct wire_segment))
		return -EPROTO;
	for (uint32_t i = 0; i < wire->n_segments; i++) {
		const struct wire_segment *s = &wire->segments[i];

		if (s->fd_index >= n_fds || s->length == 0 || s->length > MAX_LENGTH)
			return -EPROTO;
		capacity += s->length;
	}
	return wire->length <= capacity ? 0 : -EPROTO;
}

int
adxi_memory_import(const void *bytes, size_t size, int *fds, unsigned n_fds,
		   struct adxi_memory **ret_memory)
{
	adxi_cleanup(adxi_memory_unrefp) struct adxi_memory *memory = NULL;
	struct adxi_pages *pages[ADXI_MEMORY_MAX_FDS];
	struct wire wire = { 0 };
	unsigned n_pages = 0;
	int r;

	if (size < offsetof(struct wire, segments) || size > sizeof(wire) ||
	    n_fds > ADXI_MEMORY_MAX_FDS)
		return -EPROTO;
	memcpy(&wire, bytes, size);
	r = import_check(&wire, size, n_fds);
	if (r < 0)
		return r;
	r = memory_new(wire.n_segments,
		       wire.flags & (ADXI_MEMORY_DIRECTIONS | ADXI_MEMORY_COPY_ON_WRITE |
				     ADXI_MEMORY_BUFFER),
		       &memory);
	while (r == 0 && n_pages < n_fds) {
		r = pages_adopt(TAKE_FD(fds[n_pages]), &pages[n_pages]);
		if (r == 0)
			n_pages++;
	}
	for (uint32_t i = 0; r == 0 && i < wire.n_segments; i++) {
		const struct wire_segment *s = &wire.segments[i];
		struct adxi_pages *on = pages[s->fd_index];

		if (s->offset > on->size || s->length > on->size - s->offset)
			r = -ERANGE;
		else
			memory_add(memory, on, s->offset, s->length);
	}
	while (n_pages > 0)
		pages_unref(pages[--n_pages]);
	if (r < 0)
		return r;
	memory->length = wire.length;
	*ret_memory = TAKE(memory);
	return 0;
}
