/* SPDX-License-Identifier: MIT */
/* io_iterator_t. */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "iokit/iterator.h"

static void
iterator_destroy(struct iokit_object *object)
{
	struct iokit_iterator *iterator = (struct iokit_iterator *)object;

	if (iterator->form == ITERATOR_NOTIFICATION)
		iokit_token_forget(&iterator->token);
	if (iterator->port)
		iokit_put(iokit_port_object(iterator->port));
	for (unsigned i = 0; i < iterator->depth; i++)
		free(iterator->levels[i].ids.values);
	free(iterator->ids.values);
	pthread_mutex_destroy(&iterator->lock);
	free(iterator);
}

struct iokit_iterator *
iokit_iterator_new(enum iterator_form form)
{
	struct iokit_iterator *iterator = calloc(1, sizeof *iterator);

	if (!iterator)
		return NULL;
	iokit_object_init(&iterator->object, IOKIT_ITERATOR, iterator_destroy);
	iterator->form = form;
	pthread_mutex_init(&iterator->lock, NULL);
	return iterator;
}

int
iokit_ids_append(struct iokit_ids *ids, uint64_t id, unsigned max)
{
	if (ids->n >= max)
		return -ENOSPC;
	if (ids->n == ids->capacity) {
		unsigned n = ids->capacity ? ids->capacity * 2 : 16;
		uint64_t *bigger = realloc(ids->values, n * sizeof *bigger);
		if (!bigger)
			return -ENOMEM;
		ids->values = bigger;
		ids->capacity = n;
	}
	ids->values[ids->n++] = id;
	return 0;
}

uint64_t
iokit_number(CFTypeRef number)
{
	int64_t value = 0;

	if (number && CFGetTypeID(number) == CFNumberGetTypeID())
		(void)CFNumberGetValue(number, kCFNumberSInt64Type, &value);
	return (uint64_t)value;
}

static int
ids_from_array(struct iokit_ids *ids, CFArrayRef array)
{
	int r = 0;

	for (CFIndex i = 0; r == 0 && array && i < CFArrayGetCount(array); i++)
		r = iokit_ids_append(ids, iokit_number(CFArrayGetValueAtIndex(array, i)), UINT_MAX);
	return r;
}

io_iterator_t
iokit_iterator_over(CFArrayRef entry_ids)
{
	struct iokit_iterator *iterator = iokit_iterator_new(ITERATOR_SNAPSHOT);

	if (!iterator)
		return 0;
	if (ids_from_array(&iterator->ids, entry_ids) < 0) {
		iokit_put(&iterator->object);
		return 0;
	}
	return iokit_name(&iterator->object);
}

/* ---- walking the registry ---- */

/* The entries next to @p id, as a new level on top. */
static kern_return_t
enter_locked(struct iokit_iterator *iterator, uint64_t id)
{
	ADXRegistry *registry = iokit_registry();
	struct iokit_ids ids = { 0 };
	OSArray *array = NULL;

	if (!registry)
		return kIOReturnNoDevice;
	if (iterator->depth == IOKIT_MAX_DEPTH)
		return kIOReturnNoSpace;
	kern_return_t ret = ADXRegistry_CopyRelatives(registry, id, iterator->plane,
						      iterator->options & kIORegistryIterateParents ? kADXRelativesParents
												    : kADXRelativesChildren,
						      &array);
	if (ret != kIOReturnSuccess)
		return ret;
	int r = ids_from_array(&ids, (CFArrayRef)array);
	CFRelease(array);
	if (r < 0) {
		free(ids.values);
		return kIOReturnNoMemory;
	}
	iterator->levels[iterator->depth].ids = ids;
	iterator->levels[iterator->depth].position = 0;
	iterator->depth++;
	return kIOReturnSuccess;
}

static void
leave_locked(struct iokit_iterator *iterator)
{
	free(iterator->levels[--iterator->depth].ids.values);
	iterator->levels[iterator->depth].ids = (struct iokit_ids){ 0 };
}

static bool
is_current_locked(struct iokit_iterator *iterator)
{
	ADXRegistry *registry = iokit_registry();
	uint64_t generation;

	return registry && ADXRegistry_GetGeneration(registry, &generation) == kIOReturnSuccess &&
	       generation == iterator->generation;
}

static bool
seen_locked(struct iokit_iterator *iterator, uint64_t id)
{
	for (unsigned i = 0; i < iterator->ids.n; i++)
		if (iterator->ids.values[i] == id)
			return true;
	return iokit_ids_append(&iterator->ids, id, UINT_MAX) < 0;
}

/* Depth first, each entry once. 0: the end. */
static uint64_t
walk_locked(struct iokit_iterator *iterator)
{
	if (!is_current_locked(iterator))
		return 0;
	while (iterator->depth > 0) {
		unsigned top = iterator->depth - 1;
		struct iokit_ids *ids = &iterator->levels[top].ids;
		if (iterator->levels[top].position == ids->n) {
			/* Levels that the user entered are left by the user; those of a recursive walk end by themselves. */
			if (!(iterator->options & kIORegistryIterateRecursively) || top == 0)
				return 0;
			leave_locked(iterator);
			continue;
		}
		uint64_t id = ids->values[iterator->levels[top].position++];
		if (!(iterator->options & kIORegistryIterateRecursively))
			return id;
		if (seen_locked(iterator, id))
			continue;
		if (enter_locked(iterator, id) == kIOReturnNoMemory)
			return 0;
		return id;
	}
	return 0;
}

static kern_return_t
restart_locked(struct iokit_iterator *iterator)
{
	ADXRegistry *registry = iokit_registry();

	while (iterator->depth > 0)
		leave_locked(iterator);
	iterator->ids.n = 0;
	if (!registry)
		return kIOReturnNoDevice;
	kern_return_t ret = ADXRegistry_GetGeneration(registry, &iterator->generation);
	return ret == kIOReturnSuccess ? enter_locked(iterator, iterator->root) : ret;
}

kern_return_t
IORegistryEntryCreateIterator(io_registry_entry_t entry, const char *plane, IOOptionBits options,
			      io_iterator_t *iterator)
{
	uint64_t id;
	kern_return_t ret = iokit_entry_id(entry, &id);

	if (!iterator || !plane)
		return kIOReturnBadArgument;
	if (ret != kIOReturnSuccess)
		return ret;
	struct iokit_iterator *made = iokit_iterator_new(ITERATOR_REGISTRY);
	if (!made)
		return kIOReturnNoMemory;
	strncpy(made->plane, plane, sizeof made->plane - 1);
	made->options = options;
	made->root = id;
	ret = restart_locked(made);
	if (ret != kIOReturnSuccess) {
		iokit_put(&made->object);
		return ret;
	}
	io_iterator_t name = iokit_name(&made->object);
	if (!name)
		return kIOReturnNoMemory;
	*iterator = name;
	return kIOReturnSuccess;
}

kern_return_t
IORegistryCreateIterator(mach_port_t mainPort, const char *plane, IOOptionBits options, io_iterator_t *iterator)
{
	kern_return_t ret = iokit_check_main_port(mainPort);

	if (ret != kIOReturnSuccess)
		return ret;
	io_registry_entry_t root = IORegistryGetRootEntry(kIOMainPortDefault);
	if (!root)
		return kIOReturnNoDevice;
	ret = IORegistryEntryCreateIterator(root, plane, options, iterator);
	(void)IOObjectRelease(root);
	return ret;
}

kern_return_t
IORegistryEntryGetChildIterator(io_registry_entry_t entry, const char *plane, io_iterator_t *iterator)
{
	return IORegistryEntryCreateIterator(entry, plane, 0, iterator);
}

kern_return_t
IORegistryEntryGetParentIterator(io_registry_entry_t entry, const char *plane, io_iterator_t *iterator)
{
	return IORegistryEntryCreateIterator(entry, plane, kIORegistryIterateParents, iterator);
}

static struct iokit_iterator *
get_iterator(io_iterator_t name)
{
	return (struct iokit_iterator *)iokit_get(name, IOKIT_ITERATOR);
}

kern_return_t
IORegistryIteratorEnterEntry(io_iterator_t name)
{
	struct iokit_iterator *iterator = get_iterator(name);
	kern_return_t ret = kIOReturnBadArgument;

	if (!iterator)
		return name ? kIOReturnBadArgument : MACH_SEND_INVALID_DEST;
	pthread_mutex_lock(&iterator->lock);
	if (iterator->form == ITERATOR_REGISTRY && iterator->depth > 0) {
		unsigned top = iterator->depth - 1;
		unsigned position = iterator->levels[top].position;
		if (position > 0)
			ret = enter_locked(iterator, iterator->levels[top].ids.values[position - 1]);
	}
	pthread_mutex_unlock(&iterator->lock);
	iokit_put(&iterator->object);
	return ret;
}

kern_return_t
IORegistryIteratorExitEntry(io_iterator_t name)
{
	struct iokit_iterator *iterator = get_iterator(name);
	kern_return_t ret = kIOReturnBadArgument;

	if (!iterator)
		return name ? kIOReturnBadArgument : MACH_SEND_INVALID_DEST;
	pthread_mutex_lock(&iterator->lock);
	if (iterator->form == ITERATOR_REGISTRY) {
		ret = kIOReturnNoDevice;
		if (iterator->depth > 1) {
			leave_locked(iterator);
			ret = kIOReturnSuccess;
		}
	}
	pthread_mutex_unlock(&iterator->lock);
	iokit_put(&iterator->object);
	return ret;
}

/* ---- all forms ---- */

io_object_t
IOIteratorNext(io_iterator_t name)
{
	struct iokit_iterator *iterator = get_iterator(name);
	uint64_t id = 0;

	if (!iterator)
		return IO_OBJECT_NULL;
	pthread_mutex_lock(&iterator->lock);
	switch (iterator->form) {
	case ITERATOR_SNAPSHOT:
		if (iterator->position < iterator->ids.n)
			id = iterator->ids.values[iterator->position++];
		break;
	case ITERATOR_REGISTRY:
		id = walk_locked(iterator);
		break;
	case ITERATOR_NOTIFICATION:
		if (iterator->ids.n > 0) {
			id = iterator->ids.values[--iterator->ids.n];
		} else {
			iterator->armed = true;
			atomic_store(&iterator->drained_once, true);
		}
		break;
	}
	pthread_mutex_unlock(&iterator->lock);
	iokit_put(&iterator->object);
	return id ? iokit_name_entry(id) : IO_OBJECT_NULL;
}

void
IOIteratorReset(io_iterator_t name)
{
	struct iokit_iterator *iterator = get_iterator(name);

	if (!iterator)
		return;
	pthread_mutex_lock(&iterator->lock);
	if (iterator->form == ITERATOR_SNAPSHOT)
		iterator->position = 0;
	else if (iterator->form == ITERATOR_REGISTRY)
		(void)restart_locked(iterator);
	pthread_mutex_unlock(&iterator->lock);
	iokit_put(&iterator->object);
}

boolean_t
IOIteratorIsValid(io_iterator_t name)
{
	struct iokit_iterator *iterator = get_iterator(name);

	if (!iterator)
		return FALSE;
	pthread_mutex_lock(&iterator->lock);
	bool valid = iterator->form != ITERATOR_REGISTRY || is_current_locked(iterator);
	pthread_mutex_unlock(&iterator->lock);
	iokit_put(&iterator->object);
	return valid;
}
