/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_MEMORY_H
#define CHANNEL_MEMORY_H

/**
 * @file channel/memory.h
 * @brief Memory that processes share: what is behind IOMemoryDescriptor, on every side.
 *
 *   adxi_memory: direction, length, segments --> adxi_pages: a sealed memfd, shared by memories
 *        |
 *        `--> adxi_mapping: live ones are found again while somebody holds them
 *
 * A memory crosses as bytes and descriptors (adxi_memory_export, adxi_memory_import), so both sides
 * use the same pages. An importer checks seals and sizes first: memory that could shrink under it
 * is refused, since touching it would kill the importer. Segments never change; the length of a
 * buffer may be lowered and raised again within its capacity.
 *
 * Threads: everything [any].
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADXI_MEMORY_MAX_SEGMENTS 32u

enum {
	ADXI_MEMORY_IN = 1u << 0,  /* kIOMemoryDirectionIn: a device writes it */
	ADXI_MEMORY_OUT = 1u << 1, /* kIOMemoryDirectionOut: a device reads it */
	ADXI_MEMORY_DIRECTIONS = 3u,
	ADXI_MEMORY_COPY_ON_WRITE = 1u << 4, /* writes stay in the process that makes them */
	ADXI_MEMORY_SNAPSHOT = 1u << 5,      /* a private copy of another process's bytes, treated as
					      * that one's: not own, has a capacity; stays here */
	ADXI_MEMORY_BUFFER = 1u << 8,        /* an IOBufferMemoryDescriptor: has a capacity */
};

struct adxi_memory;
struct adxi_mapping;

/** New zeroed pages, one segment, length = @p capacity. -EINVAL: capacity 0 or more than a process
 * can map; -ENOMEM, -EMFILE. */
int adxi_memory_create(uint64_t capacity, uint32_t flags, struct adxi_memory **ret_memory);
/** Write @p size bytes from @p bytes to the beginning, by the kernel. -EFAULT: they are not all
 * there; -EINVAL: more than the length. Other threads may read meanwhile. */
int adxi_memory_fill(struct adxi_memory *memory, const void *bytes, uint64_t size);
int adxi_memory_fill_at(struct adxi_memory *memory, uint64_t offset, const void *bytes,
			uint64_t size);
/** Pages with a copy of @p size bytes, which nobody can change any more; copied by the kernel.
 * -EFAULT: they are not all there; -EINVAL, -ENOMEM, -EMFILE. */
int adxi_memory_create_immutable(const void *bytes, uint64_t size, uint32_t flags,
				 struct adxi_memory **ret_memory);
/** Have this process's mappings of the whole memory begin at a multiple of @p alignment, a power of
 * two up to ADXI_MEMORY_MAX_ALIGNMENT; before the first one. -EINVAL. */
int adxi_memory_align(struct adxi_memory *memory, uint64_t alignment);
#define ADXI_MEMORY_MAX_ALIGNMENT (UINT64_C(1) << 24)
/** Pages of a memfd that somebody else made. @p fd is taken, also on failure. -EPERM: not sealed
 * against shrinking; -ERANGE: the file is smaller than offset + length. */
int adxi_memory_wrap(int fd, uint64_t offset, uint64_t length, uint32_t flags,
		     struct adxi_memory **ret_memory);
/** A part of @p memory, on the same pages. -EINVAL: not inside; -EACCES: direction bits that @p
 * memory has not. */
int adxi_memory_sub(struct adxi_memory *memory, uint32_t flags, uint64_t offset, uint64_t length,
		    struct adxi_memory **ret_memory);
/** One after the other. -EINVAL: none or NULL; -E2BIG: more than ADXI_MEMORY_MAX_SEGMENTS segments
 * in all. */
int adxi_memory_concat(struct adxi_memory *const *memories, uint32_t n_memories, uint32_t flags,
		       struct adxi_memory **ret_memory);
struct adxi_memory *adxi_memory_ref(struct adxi_memory *memory);
/** Always NULL; NULL is allowed. */
struct adxi_memory *adxi_memory_unref(struct adxi_memory *memory);
/** References in this process to @p memory and its pages, mappings and parts included: grows when
 * somebody keeps any of them. */
uint64_t adxi_memory_holders(struct adxi_memory *memory);

uint64_t adxi_memory_length(struct adxi_memory *memory);
uint64_t adxi_memory_capacity(struct adxi_memory *memory);
uint32_t adxi_memory_flags(struct adxi_memory *memory);
/** Whether this process made the pages. */
bool adxi_memory_is_own(struct adxi_memory *memory);
/** Whether nobody can change the pages, whoever made them. */
bool adxi_memory_is_immutable(struct adxi_memory *memory);
/** Mappings of all of @p memory are made once and stay until it is gone: for memory that is used
 * again and again. They are as adxi_memory_address's, without a guard behind a lowered length. */
void adxi_memory_keep_mapped(struct adxi_memory *memory);
/** -EINVAL: more than the capacity, or neither buffer nor snapshot. */
int adxi_memory_set_length(struct adxi_memory *memory, uint64_t length);

enum {
	ADXI_MAP_READ_ONLY = 1u << 0,
	ADXI_MAP_FIXED = 1u << 1, /* at @p address, which must be page-aligned and free */
};
/**
 * Map [offset, offset + length); length 0: to the end. Guard pages stand on either side.
 *
 * @param address  used with ADXI_MAP_FIXED only
 * @retval -ERANGE     not inside the memory
 * @retval -ENOTSUP    segments do not meet on page boundaries, so they cannot be mapped in a row
 * @retval -EEXIST     the fixed address is in use
 * @retval -ENOMEM, -EINVAL
 */
int adxi_memory_map(struct adxi_memory *memory, uint64_t offset, uint64_t length, uint32_t flags,
		    uint64_t address, struct adxi_mapping **ret_mapping);
/** Address of the whole memory, mapped on the first call and until the memory is gone. 0, as
 * adxi_memory_map. */
int adxi_memory_address(struct adxi_memory *memory, void **ret_address);
struct adxi_mapping *adxi_mapping_ref(struct adxi_mapping *mapping);
/** The last one unmaps. Always NULL; NULL is allowed. */
struct adxi_mapping *adxi_mapping_unref(struct adxi_mapping *mapping);
void *adxi_mapping_address(const struct adxi_mapping *mapping);
uint64_t adxi_mapping_length(const struct adxi_mapping *mapping);
bool adxi_mapping_is_read_only(const struct adxi_mapping *mapping);

#define ADXI_MEMORY_WIRE_MAX (32u + ADXI_MEMORY_MAX_SEGMENTS * 24u) /* bytes */
#define ADXI_MEMORY_MAX_FDS  ADXI_MEMORY_MAX_SEGMENTS

/** Describe @p memory for a peer: *ret_size bytes into @p bytes (ADXI_MEMORY_WIRE_MAX), *ret_n_fds
 * descriptors into @p fds (ADXI_MEMORY_MAX_FDS), which are borrowed from the memory. */
void adxi_memory_export(struct adxi_memory *memory, void *bytes, size_t *ret_size, int *fds,
			unsigned *ret_n_fds);
/**
 * Build a memory from a peer's description, of which nothing is trusted.
 *
 * @param fds  descriptors that are taken are set to -1
 * @retval -EPROTO  the bytes are not a description
 * @retval -EPERM   a descriptor is not memory, or not sealed against shrinking
 * @retval -ERANGE  a segment is outside its file
 */
int adxi_memory_import(const void *bytes, size_t size, int *fds, unsigned n_fds,
		       struct adxi_memory **ret_memory);

#endif /* CHANNEL_MEMORY_H */
