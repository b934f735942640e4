/* SPDX-License-Identifier: MIT */
/* Memory between client and driver: snapshots, buffers shared where they lie, mappings of the driver's memory. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/rules.h"
#include "channel/memory.h"
#include "channel/memory_object.h"
#include "iokit/connection.h"
#include "iokit/maps.h"

/* Buffers that stay registered although no call or driver needs them. */
#define MAX_UNUSED 8u

/* A range that is not shared page by page: the beginning or end of a buffer on a page that holds other things too. */
struct edge {
	size_t offset, size;   /* in the buffer */
	uint8_t *seen;         /* owned: what the driver's pages held at the last sync */
};

/* A buffer of the client that a driver may write at any time. Its pages are replaced by pages of a memfd with the same
 * content, at the same address; docs/decisions/0004-shared-output.md. */
struct iokit_shared {
	struct adxi_list link;         /* in iokit_connection::shared */
	struct adxi_list in_place;     /* in in_place, when remapped */
	dev_t device;                  /* of the memfd */
	ino_t inode;
	uint8_t *address;
	size_t size;
	struct adxi_memory *pages;     /* owned reference: all of first_page on */
	struct adxi_memory *memory;    /* owned reference: the buffer */
	IOMemoryDescriptor *object;    /* owned reference: of memory; the one that the driver's process knows */
	bool writable;                 /* the client may write all of it, so what the driver wrote can be copied there */
	bool kept;                     /* the driver may have it still */
	unsigned n_users;              /* calls under way */
	uint8_t *view;                 /* owned mapping: the memfd as this process sees it, whole pages */
	uint8_t *first_page;           /* of the buffer */
	size_t view_size;
	uint8_t *remapped;             /* first page that is the memfd's in place; NULL: none */
	size_t remapped_size;
	struct edge edges[2];
	unsigned n_edges;
};

/* What is remapped now, of all connections: no other registration puts its pages there. A leaf lock. */
static pthread_mutex_t in_place_lock = PTHREAD_MUTEX_INITIALIZER;
static struct adxi_list in_place = ADXI_LIST_INIT(in_place);

static size_t
page_size(void)
{
	static size_t size;

	if (!size)
		size = (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

/* ---- sharing in place ---- */

/* Whole pages, with what lies beside the buffer: allocators' own bytes, which sanitizers let nobody read. The
 * words are volatile because a call of memcpy would be checked. */
__attribute__((no_sanitize("address", "thread"))) static void
copy_pages(void *to, const void *from, size_t size)
{
	const volatile unsigned long *source = from;
	volatile unsigned long *sink = to;

	for (size_t i = 0; i < size / sizeof *source; i++)
		sink[i] = source[i];
}

/* Whether the memfd's pages are still where they were put: the client may have unmapped them. */
static bool
is_in_place(const struct iokit_shared *shared)
{
	uintptr_t start = (uintptr_t)shared->remapped;

	return !shared->remapped || iokit_maps_are(start, start + shared->remapped_size, shared->device, shared->inode,
						   (uint64_t)(shared->remapped - shared->first_page));
}

/* Give the client private pages with the same content back. A write by another thread in between would be lost, so with
 * threads the pages stay what they are, without a driver. */
static void
restore(struct iokit_shared *shared)
{
	void *private;

	if (!shared->remapped || !__libc_single_threaded || !is_in_place(shared))
		return;
	private = mmap(NULL, shared->remapped_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (private == MAP_FAILED)
		return;
	copy_pages(private, shared->remapped, shared->remapped_size);
	if (mremap(private, shared->remapped_size, shared->remapped_size, MREMAP_MAYMOVE | MREMAP_FIXED, shared->remapped) ==
	    MAP_FAILED)
		(void)munmap(private, shared->remapped_size);
}

static struct iokit_shared *
shared_free(struct iokit_shared *shared)
{
	if (shared->remapped) {
		pthread_mutex_lock(&in_place_lock);
		adxi_list_remove(&shared->in_place);
		pthread_mutex_unlock(&in_place_lock);
		restore(shared);
	}
	if (shared->view)
		(void)munmap(shared->view, shared->view_size);
	for (unsigned i = 0; i < shared->n_edges; i++)
		free(shared->edges[i].seen);
	OSRelease((OSMetaClassBase *)shared->object);
	adxi_memory_unref(shared->memory);
	adxi_memory_unref(shared->pages);
	free(shared);
	return NULL;
}

ADXI_DEFINE_CLEANUP(struct iokit_shared, shared_free)

static int
add_edge(struct iokit_shared *shared, size_t offset, size_t size)
{
	struct edge *edge = &shared->edges[shared->n_edges];

	if (size == 0)
		return 0;
	edge->seen = malloc(size);
	if (!edge->seen)
		return -ENOMEM;
	memcpy(edge->seen, shared->address + offset, size);
	edge->offset = offset;
	edge->size = size;
	shared->n_edges++;
	return 0;
}

static bool
is_taken_locked(const uint8_t *start, const uint8_t *end)
{
	struct iokit_shared *other;

	ADXI_LIST_EACH (other, &in_place, in_place)
		if (start < other->remapped + other->remapped_size && other->remapped < end && is_in_place(other))
			return true;
	return false;
}

/* Put the memfd's pages at [start, end) of the client's own addresses, in one step. Between copy and step a write by
 * another thread would be lost, so pages that hold anything but the buffer are done only when there is no other thread. */
static int
remap_locked(struct iokit_shared *shared, int fd, uint8_t *start, uint8_t *end)
{
	size_t size = (size_t)(end - start);
	off_t offset = start - shared->first_page;
	void *pages;

	if (start >= end || iokit_maps_areas((uintptr_t)start, (uintptr_t)end) & IOKIT_AREA_OTHER)
		return -ENOTSUP;
	pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	if (pages == MAP_FAILED)
		return -ENOMEM;
	copy_pages(pages, start, size);
	if (mremap(pages, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, start) == MAP_FAILED) {
		(void)munmap(pages, size);
		return -ENOMEM;
	}
	shared->remapped = start;
	shared->remapped_size = size;
	adxi_list_append(&in_place, &shared->in_place);
	return 0;
}

static int
remap(struct iokit_shared *shared, int fd, uint8_t *start, uint8_t *end)
{
	pthread_mutex_lock(&in_place_lock);
	int r = is_taken_locked(start, end) ? -EBUSY : remap_locked(shared, fd, start, end);
	pthread_mutex_unlock(&in_place_lock);
	return r;
}

static uint8_t *
round_down(uint8_t *address)
{
	return address - (uintptr_t)address % page_size();
}

/* @p fd: borrowed. */
static int
shared_fill(struct iokit_shared *shared, int fd)
{
	size_t offset = (size_t)(shared->address - shared->first_page);
	int duplicate, r;
	struct stat stat;

	if (fstat(fd, &stat) < 0 || ftruncate(fd, (off_t)shared->view_size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	shared->device = stat.st_dev;
	shared->inode = stat.st_ino;
	void *view = mmap(NULL, shared->view_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (view == MAP_FAILED)
		return -ENOMEM;
	shared->view = view;
	duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (duplicate < 0)
		return -errno;
	r = adxi_memory_wrap(duplicate, 0, shared->view_size, ADXI_MEMORY_DIRECTIONS, &shared->pages);
	if (r == 0)
		r = adxi_memory_sub(shared->pages, ADXI_MEMORY_DIRECTIONS, offset, shared->size, &shared->memory);
	if (r == 0) {
		shared->object = adxi_memory_object(adxi_memory_ref(shared->memory));
		r = shared->object ? 0 : -ENOMEM;
	}
	return r == 0 ? adxi_memory_fill(shared->memory, shared->address, shared->size) : r;
}

/* Alone in the process: every page in place. Otherwise the whole pages inside the buffer. @p fd: borrowed. */
static int
shared_place(struct iokit_shared *shared, int fd)
{
	uint8_t *address = shared->address, *end = address + shared->size, *inner = shared->first_page,
		*inner_end = shared->first_page + shared->view_size;
	int r = 0;

	if (!__libc_single_threaded) {
		inner = round_down(address + page_size() - 1);
		inner_end = round_down(end);
	}
	if (remap(shared, fd, inner, inner_end) < 0)
		inner = inner_end = end; /* all of it is kept up to date by copying */
	if (inner > address)
		r = add_edge(shared, 0, (size_t)(inner - address));
	if (r == 0 && inner_end < end)
		r = add_edge(shared, (size_t)(inner_end - address), (size_t)(end - inner_end));
	return r;
}

static int
shared_new(uint8_t *address, size_t size, struct iokit_shared **ret_shared)
{
	adxi_cleanup(shared_freep) struct iokit_shared *shared = calloc(1, sizeof *shared);
	adxi_cleanup(adxi_closep) int fd = -1;

	if (!shared)
		return -ENOMEM;
	shared->address = address;
	shared->size = size;
	shared->first_page = round_down(address);
	shared->view_size = (size_t)(round_down(address + size + page_size() - 1) - shared->first_page);
	fd = memfd_create(IOKIT_MEMFD_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int r = shared_fill(shared, fd);
	if (r == 0)
		r = shared_place(shared, fd);
	if (r < 0)
		return r;
	*ret_shared = TAKE(shared);
	return 0;
}

static kern_return_t
return_of(int r)
{
	if (r == -EFAULT)
		return MACH_SEND_INVALID_MEMORY;
	return r == 0 ? kIOReturnSuccess : r == -ENOMEM || r == -EMFILE || r == -ENFILE ? kIOReturnNoMemory : kIOReturnError;
}

static const uint8_t *
edge_view(const struct iokit_shared *shared, const struct edge *edge)
{
	return shared->view + (shared->address - shared->first_page) + edge->offset;
}

/* Only what the driver changed: the client may have written its side. Memory that is no longer there gets nothing. */
static void
sync_edge(struct iokit_shared *shared, struct edge *edge)
{
	const uint8_t *now = edge_view(shared, edge);
	uint8_t *there = shared->address + edge->offset;

	if (memcmp(now, edge->seen, edge->size) == 0 || !iokit_maps_are_there(there, edge->size, true))
		return;
	for (size_t at = 0; at < edge->size; at++) {
		uint8_t byte = __atomic_load_n(&now[at], __ATOMIC_RELAXED);
		if (byte != edge->seen[at]) {
			edge->seen[at] = byte;
			there[at] = byte;
		}
	}
}

static void
sync_shared(struct iokit_shared *shared)
{
	for (unsigned i = 0; i < shared->n_edges; i++)
		sync_edge(shared, &shared->edges[i]);
}

static void
forget(struct iokit_connection *connection, struct iokit_shared *shared)
{
	adxi_list_remove(&shared->link);
	atomic_fetch_sub(&connection->n_shared, 1);
	shared_free(shared);
}

static bool
overlaps(const struct iokit_shared *shared, const uint8_t *address, size_t size)
{
	return address < shared->first_page + shared->view_size && shared->first_page < address + size;
}

static bool
is_inside(const struct iokit_shared *shared, const uint8_t *address, size_t size)
{
	return shared->remapped && shared->remapped <= address &&
	       address + size <= shared->remapped + shared->remapped_size;
}

/* What is registered for a range: the same one (*ret_same), or one whose pages in place contain it (*ret_around).
 * Others that are on its pages are given up if nobody needs them. */
static void
find_locked(struct iokit_connection *connection, uint8_t *address, size_t size, struct iokit_shared **ret_same,
	    struct iokit_shared **ret_around)
{
	uint8_t *first = round_down(address);
	size_t whole = (size_t)(round_down(address + size + page_size() - 1) - first);
	struct iokit_shared *shared, *after;

	*ret_same = *ret_around = NULL;
	ADXI_LIST_EACH_SAFE (shared, after, &connection->shared, link) {
		if (!overlaps(shared, first, whole))
			continue;
		bool needed = shared->kept || shared->n_users > 0;
		if (!is_in_place(shared)) {
			if (shared->n_users == 0)
				forget(connection, shared);
		} else if (shared->address == address && shared->size == size) {
			*ret_same = shared;
		} else if (needed && is_inside(shared, address, size)) {
			*ret_around = shared;
		} else if (!needed) {
			forget(connection, shared);
		}
	}
}

/* Registrations that nobody needs are a cache: buffers are used again. */
static void
trim_locked(struct iokit_connection *connection)
{
	struct iokit_shared *shared, *after;
	unsigned n = 0;

	ADXI_LIST_EACH (shared, &connection->shared, link)
		n += !shared->kept && shared->n_users == 0;
	ADXI_LIST_EACH_SAFE (shared, after, &connection->shared, link) {
		if (n <= MAX_UNUSED)
			break;
		if (shared->kept || shared->n_users > 0)
			continue;
		forget(connection, shared);
		n--;
	}
}

/* What the client wrote to edges since, if they are still there. */
static int
refresh(struct iokit_shared *shared)
{
	int r = 0;

	for (unsigned i = 0; i < shared->n_edges && r == 0; i++) {
		struct edge *edge = &shared->edges[i];

		r = adxi_memory_fill_at(shared->memory, edge->offset, shared->address + edge->offset, edge->size);
		memcpy(edge->seen, edge_view(shared, edge), edge->size);
	}
	return r;
}

static int
share_locked(struct iokit_connection *connection, uint8_t *address, size_t size, bool write,
	     struct iokit_shared **ret_shared, IOMemoryDescriptor **ret_memory)
{
	struct iokit_shared *shared, *around;
	struct adxi_memory *part;
	int r;

	if (size > UINTPTR_MAX - (uintptr_t)address - page_size())
		return -EFAULT;
	find_locked(connection, address, size, &shared, &around);
	if (!shared && around) {
		*ret_shared = NULL;
		r = adxi_memory_sub(around->pages, ADXI_MEMORY_DIRECTIONS, (uint64_t)(address - around->first_page), size,
				    &part);
		if (r < 0)
			return r;
		*ret_memory = adxi_memory_object(part);
		return *ret_memory ? 0 : -ENOMEM;
	}
	/* What is in place was looked at already. */
	if (write && !(shared && shared->writable && shared->n_edges == 0) && !iokit_maps_are_there(address, size, true))
		return -EFAULT;
	if (shared) {
		sync_shared(shared);
		r = refresh(shared);
		if (r < 0)
			return r;
		adxi_list_remove(&shared->link);
	} else {
		r = shared_new(address, size, &shared);
		if (r < 0)
			return r;
		atomic_fetch_add(&connection->n_shared, 1);
	}
	adxi_list_append(&connection->shared, &shared->link); /* the last used one is the last */
	shared->n_users++;
	shared->writable |= write;
	*ret_shared = shared;
	OSRetain((OSMetaClassBase *)shared->object);
	*ret_memory = shared->object;
	return 0;
}

kern_return_t
iokit_memory_share(struct iokit_connection *connection, void *address, size_t size, bool write,
		   struct iokit_shared **ret_shared, IOMemoryDescriptor **ret_memory)
{
	int r;

	*ret_shared = NULL;
	pthread_mutex_lock(&connection->lock);
	r = share_locked(connection, address, size, write, ret_shared, ret_memory);
	pthread_mutex_unlock(&connection->lock);
	return return_of(r);
}

void
iokit_memory_unshare(struct iokit_connection *connection, struct iokit_shared *shared, bool kept)
{
	if (!shared)
		return;
	pthread_mutex_lock(&connection->lock);
	shared->n_users--;
	shared->kept |= kept;
	trim_locked(connection);
	pthread_mutex_unlock(&connection->lock);
}

void
iokit_memory_sync(struct iokit_connection *connection)
{
	struct iokit_shared *shared;

	/* What a call shared before is counted before the driver has it. */
	if (atomic_load(&connection->n_shared) == 0)
		return;
	pthread_mutex_lock(&connection->lock);
	ADXI_LIST_EACH (shared, &connection->shared, link)
		sync_shared(shared);
	pthread_mutex_unlock(&connection->lock);
}

kern_return_t
iokit_memory_copy(const void *address, size_t size, uint32_t flags, IOMemoryDescriptor **ret_memory)
{
	struct adxi_memory *memory = NULL, *given = NULL;
	int r = adxi_memory_create(size, ADXI_MEMORY_DIRECTIONS, &memory);

	if (r == 0)
		r = adxi_memory_fill(memory, address, size);
	if (r == 0)
		r = adxi_memory_sub(memory, flags, 0, size, &given);
	if (r == 0) {
		*ret_memory = adxi_memory_object(given);
		r = *ret_memory ? 0 : -ENOMEM;
	}
	adxi_memory_unref(memory);
	return return_of(r);
}

/* ---- mappings of the driver's memory ---- */

static void
mapping_free(struct iokit_mapping *mapping)
{
	adxi_mapping_unref(mapping->mapping);
	free(mapping);
}

void
iokit_memory_done(struct iokit_connection *connection)
{
	struct iokit_mapping *mapping, *after_mapping;
	struct iokit_shared *shared, *after;

	ADXI_LIST_EACH_SAFE (mapping, after_mapping, &connection->mappings, link) {
		adxi_list_remove(&mapping->link);
		mapping_free(mapping);
	}
	ADXI_LIST_EACH_SAFE (shared, after, &connection->shared, link)
		forget(connection, shared);
}

static kern_return_t
copy_client_memory(struct iokit_connection *connection, uint32_t type, uint64_t *options, IOMemoryDescriptor **ret_memory)
{
	kern_return_t ret;

	pthread_rwlock_rdlock(&connection->calls);
	ret = atomic_load(&connection->closed) ? MACH_SEND_INVALID_DEST
						: IOUserClient__CopyClientMemory(connection->client, type, options, ret_memory);
	pthread_rwlock_unlock(&connection->calls);
	if (ret == kIOReturnSuccess && !*ret_memory)
		ret = kIOReturnBadArgument;
	return ret;
}

static int
map(struct iokit_connection *connection, uint32_t type, struct adxi_memory *memory, uint32_t flags,
    mach_vm_address_t *address, mach_vm_size_t *size)
{
	struct iokit_mapping *mapping = calloc(1, sizeof *mapping);

	if (!mapping)
		return -ENOMEM;
	int r = adxi_memory_map(memory, 0, 0, flags, *address, &mapping->mapping);
	if (r < 0) {
		free(mapping);
		return r;
	}
	mapping->type = type;
	pthread_mutex_lock(&connection->lock);
	adxi_list_append(&connection->mappings, &mapping->link);
	pthread_mutex_unlock(&connection->lock);
	*address = (mach_vm_address_t)(uintptr_t)adxi_mapping_address(mapping->mapping);
	*size = adxi_memory_length(memory);
	return 0;
}

kern_return_t
IOConnectMapMemory64(io_connect_t connect, uint32_t memoryType, task_port_t intoTask, mach_vm_address_t *atAddress,
		     mach_vm_size_t *ofSize, IOOptionBits options)
{
	struct iokit_connection *connection;
	IOMemoryDescriptor *memory = NULL;
	uint64_t driver_options = 0;
	kern_return_t ret = iokit_connection_get(connect, &connection);

	if (ret != kIOReturnSuccess)
		return ret;
	if (!atAddress || !ofSize || intoTask != mach_task_self()) {
		iokit_put(&connection->object);
		return kIOReturnBadArgument;
	}
	ret = copy_client_memory(connection, memoryType, &driver_options, &memory);
	if (ret != kIOReturnSuccess && ret != MACH_SEND_INVALID_DEST && ret != MIG_SERVER_DIED) {
		(void)adxi_tell(ADXI_RULE_T89, "CopyClientMemoryForType(%u) answered %#x", memoryType, (unsigned)ret);
		ret = kIOReturnBadArgument;
	}
	struct adxi_memory *pages = ret == kIOReturnSuccess ? adxi_memory_of((OSMetaClassBase *)memory) : NULL;
	if (ret == kIOReturnSuccess) {
		uint32_t flags = (driver_options & kIOUserClientMemoryReadOnly ? ADXI_MAP_READ_ONLY : 0) |
				 (options & kIOMapAnywhere ? 0 : ADXI_MAP_FIXED);
		/* The first page is never mapped, whatever this system's administrator may. */
		bool refused = !(options & kIOMapAnywhere) && *atAddress < page_size();
		int r = pages && !refused ? map(connection, memoryType, pages, flags, atAddress, ofSize) : -EINVAL;
		if (r < 0 && !(options & kIOMapAnywhere))
			(void)adxi_tell(ADXI_RULE_T88, "IOConnectMapMemory of type %u asked for the fixed address %#llx: %s", memoryType,
					(unsigned long long)*atAddress, strerror(-r));
		ret = r < 0 ? kIOReturnBadArgument : kIOReturnSuccess;
	}
	OSRelease((OSMetaClassBase *)memory);
	iokit_put(&connection->object);
	return ret;
}

kern_return_t
IOConnectMapMemory(io_connect_t connect, uint32_t memoryType, task_port_t intoTask, mach_vm_address_t *atAddress,
		   mach_vm_size_t *ofSize, IOOptionBits options)
{
	return IOConnectMapMemory64(connect, memoryType, intoTask, atAddress, ofSize, options);
}

kern_return_t
IOConnectUnmapMemory64(io_connect_t connect, uint32_t memoryType, task_port_t fromTask, mach_vm_address_t atAddress)
{
	struct iokit_connection *connection;
	struct iokit_mapping *mapping, *found = NULL;
	IOMemoryDescriptor *memory = NULL;
	uint64_t options = 0;
	kern_return_t ret = iokit_connection_get(connect, &connection);

	if (ret != kIOReturnSuccess)
		return ret;
	/* macOS asks the driver again, and passes its refusal on. */
	ret = fromTask == mach_task_self() ? copy_client_memory(connection, memoryType, &options, &memory) : kIOReturnBadArgument;
	OSRelease((OSMetaClassBase *)memory);
	if (ret == kIOReturnSuccess) {
		pthread_mutex_lock(&connection->lock);
		ADXI_LIST_EACH (mapping, &connection->mappings, link) {
			if (mapping->type == memoryType && (uintptr_t)adxi_mapping_address(mapping->mapping) == atAddress) {
				found = mapping;
				break;
			}
		}
		if (found)
			adxi_list_remove(&found->link);
		pthread_mutex_unlock(&connection->lock);
		if (found)
			mapping_free(found);
		else
			ret = kIOReturnBadArgument;
	}
	iokit_put(&connection->object);
	return ret;
}

kern_return_t
IOConnectUnmapMemory(io_connect_t connect, uint32_t memoryType, task_port_t fromTask, mach_vm_address_t atAddress)
{
	return IOConnectUnmapMemory64(connect, memoryType, fromTask, atAddress);
}
