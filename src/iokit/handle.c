/* SPDX-License-Identifier: MIT */
/* Names for objects, as Mach has them: small numbers with user reference counts. */

#include <stdlib.h>

#include "base/check.h"
#include "iokit/iokit.h"

/* A name is slot + 1 in the upper 20 bits and the slot's generation below, so that a number that was released is not soon
 * another object: slots are reused first in, first out, and only when MIN_FREE of them wait. */
#define GENERATION_BITS 12u
#define GENERATION_MASK ((1u << GENERATION_BITS) - 1u)
#define MIN_FREE 64u
#define N_BUCKETS 256u

struct iokit_entry {
	struct iokit_object object;
	uint64_t id;
};

struct slot {
	struct iokit_object *object; /* owned reference; NULL: free */
	uint32_t user_refs;
	uint32_t generation;
	uint32_t next;               /* free list, or entries' bucket: slot + 1, 0 ends */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct slot *slots;
static uint32_t n_slots, n_used;
static uint32_t free_head, free_tail, n_free;           /* slot + 1 */
static uint32_t buckets[N_BUCKETS];                     /* entries by id */

void
iokit_object_init(struct iokit_object *object, enum iokit_kind kind, void (*destroy)(struct iokit_object *))
{
	object->kind = kind;
	atomic_init(&object->n_ref, 1);
	object->name = 0;
	object->destroy = destroy;
	object->unnamed = NULL;
}

struct iokit_object *
iokit_ref(struct iokit_object *object)
{
	atomic_fetch_add_explicit(&object->n_ref, 1, memory_order_relaxed);
	return object;
}

void
iokit_put(struct iokit_object *object)
{
	if (!object)
		return;
	if (atomic_fetch_sub_explicit(&object->n_ref, 1, memory_order_acq_rel) == 1)
		object->destroy(object);
}

void
iokit_putp(struct iokit_object **object)
{
	iokit_put(*object);
}

static uint32_t
bucket_of(uint64_t entry_id)
{
	return (uint32_t)(entry_id * 0x9e3779b97f4a7c15u >> 56) % N_BUCKETS;
}

static struct slot *
slot_of_locked(io_object_t name)
{
	uint32_t index = name >> GENERATION_BITS;

	if (index == 0 || index > n_slots)
		return NULL;
	struct slot *slot = &slots[index - 1];
	if (!slot->object || slot->generation != (name & GENERATION_MASK))
		return NULL;
	return slot;
}

static bool
grow_locked(void)
{
	uint32_t n = n_slots ? n_slots * 2 : 128;

	if (n > 1u << (32 - GENERATION_BITS - 1))
		return false;
	struct slot *bigger = realloc(slots, n * sizeof *slots);
	if (!bigger)
		return false;
	slots = bigger;
	for (uint32_t i = n_slots; i < n; i++) {
		slots[i] = (struct slot){ .generation = 3 };
		if (free_tail)
			slots[free_tail - 1].next = i + 1;
		else
			free_head = i + 1;
		free_tail = i + 1;
		n_free++;
	}
	n_slots = n;
	return true;
}

/* Takes the caller's reference. */
static io_object_t
name_locked(struct iokit_object *object)
{
	if (n_free <= MIN_FREE && !grow_locked() && n_free == 0)
		return 0;
	uint32_t index = free_head;
	struct slot *slot = &slots[index - 1];
	free_head = slot->next;
	if (!free_head)
		free_tail = 0;
	n_free--;
	n_used++;
	slot->object = object;
	slot->user_refs = 1;
	slot->next = 0;
	object->name = index << GENERATION_BITS | slot->generation;
	return object->name;
}

io_object_t
iokit_name(struct iokit_object *object)
{
	pthread_mutex_lock(&lock);
	io_object_t name = name_locked(object);
	pthread_mutex_unlock(&lock);
	if (!name)
		iokit_put(object);
	return name;
}

static void
entry_destroy(struct iokit_object *object)
{
	free(object);
}

io_object_t
iokit_name_entry(uint64_t entry_id)
{
	uint32_t bucket = bucket_of(entry_id);
	io_object_t name = 0;

	pthread_mutex_lock(&lock);
	for (uint32_t i = buckets[bucket]; i; i = slots[i - 1].next) {
		struct slot *slot = &slots[i - 1];
		if (((struct iokit_entry *)slot->object)->id == entry_id) {
			slot->user_refs++;
			name = slot->object->name;
			break;
		}
	}
	if (!name) {
		struct iokit_entry *entry = calloc(1, sizeof *entry);
		if (entry) {
			iokit_object_init(&entry->object, IOKIT_ENTRY, entry_destroy);
			entry->id = entry_id;
			name = name_locked(&entry->object);
			if (name) {
				uint32_t index = name >> GENERATION_BITS;
				slots[index - 1].next = buckets[bucket];
				buckets[bucket] = index;
			} else {
				free(entry);
			}
		}
	}
	pthread_mutex_unlock(&lock);
	return name;
}

struct iokit_object *
iokit_get(io_object_t name, enum iokit_kind kind)
{
	struct iokit_object *object = NULL;

	pthread_mutex_lock(&lock);
	struct slot *slot = slot_of_locked(name);
	if (slot && (kind == IOKIT_NONE || slot->object->kind == kind))
		object = iokit_ref(slot->object);
	pthread_mutex_unlock(&lock);
	return object;
}

kern_return_t
iokit_entry_id(io_object_t name, uint64_t *ret_entry_id)
{
	iokit_auto struct iokit_object *object = iokit_get(name, IOKIT_NONE);

	if (!object)
		return MACH_SEND_INVALID_DEST;
	if (object->kind != IOKIT_ENTRY)
		return kIOReturnBadArgument;
	*ret_entry_id = ((struct iokit_entry *)object)->id;
	return kIOReturnSuccess;
}

static void
unlink_entry_locked(uint32_t index, uint64_t entry_id)
{
	for (uint32_t *link = &buckets[bucket_of(entry_id)]; *link; link = &slots[*link - 1].next) {
		if (*link == index) {
			*link = slots[index - 1].next;
			return;
		}
	}
}

kern_return_t
IOObjectRetain(io_object_t object)
{
	kern_return_t ret = KERN_INVALID_NAME;

	pthread_mutex_lock(&lock);
	struct slot *slot = slot_of_locked(object);
	if (slot) {
		ret = slot->user_refs == UINT32_MAX ? KERN_UREFS_OVERFLOW : KERN_SUCCESS;
		if (ret == KERN_SUCCESS)
			slot->user_refs++;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

kern_return_t
IOObjectRelease(io_object_t name)
{
	struct iokit_object *last = NULL;
	kern_return_t ret = KERN_INVALID_NAME;

	pthread_mutex_lock(&lock);
	struct slot *slot = slot_of_locked(name);
	if (slot) {
		ret = KERN_SUCCESS;
		if (--slot->user_refs == 0) {
			uint32_t index = name >> GENERATION_BITS;
			last = slot->object;
			if (last->kind == IOKIT_ENTRY)
				unlink_entry_locked(index, ((struct iokit_entry *)last)->id);
			slot->object = NULL;
			slot->generation = (slot->generation + 1) & GENERATION_MASK;
			slot->next = 0;
			if (free_tail)
				slots[free_tail - 1].next = index;
			else
				free_head = index;
			free_tail = index;
			n_free++;
			n_used--;
		}
	}
	pthread_mutex_unlock(&lock);
	if (last) {
		if (last->unnamed)
			last->unnamed(last);
		iokit_put(last);
	}
	return ret;
}

uint32_t
IOObjectGetUserRetainCount(io_object_t object)
{
	uint32_t n = 0;

	pthread_mutex_lock(&lock);
	struct slot *slot = slot_of_locked(object);
	if (slot)
		n = slot->user_refs;
	pthread_mutex_unlock(&lock);
	return n;
}

boolean_t
IOObjectIsEqualTo(io_object_t object, io_object_t anObject)
{
	return object == anObject;
}

unsigned
iokit_handle_count(void)
{
	pthread_mutex_lock(&lock);
	unsigned n = n_used;
	pthread_mutex_unlock(&lock);
	return n;
}
