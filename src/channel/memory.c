/* SPDX-License-Identifier: MIT */
/* Sealed pages, segments on them, and how they cross. */

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
#include "channel/memory_internal.h"

#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define MAX_LENGTH (UINT64_C(1) << 40)
#define WIRE_MAGIC 0x4d444158u /* "XADM" */

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
	int r = pages_new(fd, (uint64_t)st.st_size, false, ret_pages);
	if (r == 0)
		(*ret_pages)->immutable = seals & F_SEAL_WRITE;
	return r;
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
	memory->alignment = memory_page_size();
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

/* Pages of their own, one segment. fd: taken, also on failure. */
static int
memory_on(int fd, uint64_t size, uint64_t capacity, uint32_t flags, struct adxi_memory **ret_memory)
{
	adxi_cleanup(adxi_memory_unrefp) struct adxi_memory *memory = NULL;
	struct adxi_pages *pages;

	int r = pages_new(fd, size, !(flags & ADXI_MEMORY_SNAPSHOT), &pages);
	if (r < 0)
		return r;
	r = memory_new(1, flags, &memory);
	if (r == 0)
		memory_add(memory, pages, 0, capacity);
	pages_unref(pages);
	if (r < 0)
		return r;
	*ret_memory = TAKE(memory);
	return 0;
}

int
adxi_memory_create(uint64_t capacity, uint32_t flags, struct adxi_memory **ret_memory)
{
	if (capacity == 0 || capacity > MAX_LENGTH)
		return -EINVAL;

	adxi_cleanup(adxi_closep) int fd = -1;
	uint64_t size = memory_page_up(capacity);

	fd = memfd_create("adx-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Allocated now: running out of memory is an error here, and SIGBUS later. */
	if (ftruncate(fd, (off_t)size) < 0 || fallocate(fd, 0, 0, (off_t)size) < 0)
		return errno == ENOSPC ? -ENOMEM : -errno;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return memory_on(TAKE_FD(fd), size, capacity, flags, ret_memory);
}

static int
write_all(int fd, uintptr_t bytes, uint64_t size, uint64_t offset)
{
	for (uint64_t at = 0; at < size;) {
		ssize_t n = pwrite(fd, (const void *)(bytes + at), size - at, (off_t)(offset + at));
		if (n < 0 && errno != EINTR)
			return errno == ENOSPC ? -ENOMEM : -errno;
		at += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

int
adxi_memory_fill_at(struct adxi_memory *memory, uint64_t offset, const void *bytes, uint64_t size)
{
	uintptr_t from = (uintptr_t)bytes; /* no pointer until the kernel has said so */
	uint64_t length = adxi_memory_length(memory);
	int r = offset > length || size > length - offset ? -EINVAL : 0;

	for (unsigned i = 0; i < memory->n_segments && size > 0 && r == 0; i++) {
		const struct segment *segment = &memory->segments[i];
		uint64_t n;

		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		n = segment->length - offset < size ? segment->length - offset : size;
		r = write_all(segment->pages->fd, from, n, segment->offset + offset);
		from += n;
		size -= n;
		offset = 0;
	}
	return r;
}

int
adxi_memory_fill(struct adxi_memory *memory, const void *bytes, uint64_t size)
{
	return adxi_memory_fill_at(memory, 0, bytes, size);
}

int
adxi_memory_create_immutable(const void *bytes, uint64_t size, uint32_t flags,
			     struct adxi_memory **ret_memory)
{
	if (size == 0 || size > MAX_LENGTH)
		return -EINVAL;

	adxi_cleanup(adxi_closep) int fd = memfd_create("adx-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)memory_page_up(size)) < 0)
		return -errno;
	int r = write_all(fd, (uintptr_t)bytes, size, 0);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_WRITE) < 0)
		r = -errno;
	if (r == 0)
		r = memory_on(TAKE_FD(fd), memory_page_up(size), size, flags, ret_memory);
	if (r == 0)
		(*ret_memory)->segments[0].pages->immutable = true;
	return r;
}

bool
adxi_memory_is_immutable(struct adxi_memory *memory)
{
	for (unsigned i = 0; i < memory->n_segments; i++)
		if (!memory->segments[i].pages->immutable)
			return false;
	return true;
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
	if (!(memory->flags & (ADXI_MEMORY_BUFFER | ADXI_MEMORY_SNAPSHOT)) || length > memory->capacity)
		return -EINVAL;
	__atomic_store_n(&memory->length, length, __ATOMIC_RELEASE);
	return 0;
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
