/* SPDX-License-Identifier: MIT */
/* The process's objects that some channel holds: how many tables export one, and which imports keep one. */
#include "channel/internal.h"

#include <errno.h>
#include <stdlib.h>

struct held {
	OS_OBJECT *object;       /* borrowed: whoever made the entry has a reference */
	unsigned n_exports;
	struct import *accepted; /* borrowed from tables, by next_watched */
	struct held *next;
};

#define HELD_BUCKETS 1024u

static struct {
	pthread_mutex_t lock; /* innermost */
	struct held *buckets[HELD_BUCKETS];
} held = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct held **
held_find_locked(const OS_OBJECT *object)
{
	struct held **at = &held.buckets[hash_pointer(object) % HELD_BUCKETS];

	while (*at && (*at)->object != object)
		at = &(*at)->next;
	return at;
}

static struct held *
held_get_locked(OS_OBJECT *object)
{
	struct held **at = held_find_locked(object);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (*at)
			(*at)->object = object;
	}
	return *at;
}

static void
held_drop_locked(struct held **at)
{
	struct held *entry = *at;

	if (entry->n_exports > 0 || entry->accepted)
		return;
	*at = entry->next;
	free(entry);
}

int
held_export(OS_OBJECT *object)
{
	struct held *entry;

	(void)pthread_mutex_lock(&held.lock);
	entry = held_get_locked(object);
	if (entry && entry->n_exports++ == 0)
		__atomic_fetch_or(&object->flags, OS_OBJECT_EXPORTED, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&held.lock);
	return entry ? 0 : -ENOMEM;
}

bool
held_unexport(OS_OBJECT *object)
{
	struct held **at;
	bool last;

	(void)pthread_mutex_lock(&held.lock);
	at = held_find_locked(object);
	last = --(*at)->n_exports == 0;
	if (last) {
		__atomic_fetch_and(&object->flags, ~OS_OBJECT_EXPORTED, __ATOMIC_RELAXED);
		held_drop_locked(at);
	}
	(void)pthread_mutex_unlock(&held.lock);
	return last;
}

int
held_accept(struct import *import)
{
	struct held *entry;

	(void)pthread_mutex_lock(&held.lock);
	entry = held_get_locked(import->object);
	if (entry) {
		import->next_watched = entry->accepted;
		entry->accepted = import;
		__atomic_fetch_or(&import->object->flags, OS_OBJECT_WATCHED, __ATOMIC_RELAXED);
	}
	(void)pthread_mutex_unlock(&held.lock);
	return entry ? 0 : -ENOMEM;
}

void
held_forget(struct import *import)
{
	struct held **at;
	struct import **link;

	(void)pthread_mutex_lock(&held.lock);
	at = held_find_locked(import->object);
	for (link = &(*at)->accepted; *link != import; link = &(*link)->next_watched)
		;
	*link = import->next_watched;
	if (!(*at)->accepted)
		__atomic_fetch_and(&import->object->flags, ~OS_OBJECT_WATCHED, __ATOMIC_RELAXED);
	held_drop_locked(at);
	(void)pthread_mutex_unlock(&held.lock);
}

bool
held_is_accepted(OS_OBJECT *object, const struct adxi_channel *ch, struct wire_ref *ret_ref)
{
	struct held **at;
	struct import *import;

	(void)pthread_mutex_lock(&held.lock);
	at = held_find_locked(object);
	for (import = *at ? (*at)->accepted : NULL; import; import = import->next_watched) {
		if (import->channel == ch) {
			*ret_ref = import->ref;
			break;
		}
	}
	(void)pthread_mutex_unlock(&held.lock);
	return import != NULL;
}

struct adxi_channel *
held_accepted_by(OS_OBJECT *object, struct wire_ref *ret_ref)
{
	struct adxi_channel *ch = NULL;
	struct held **at;

	(void)pthread_mutex_lock(&held.lock);
	at = held_find_locked(object);
	if (*at && (*at)->accepted) {
		*ret_ref = (*at)->accepted->ref;
		ch = channel_try_ref((*at)->accepted->channel);
	}
	(void)pthread_mutex_unlock(&held.lock);
	return ch;
}
