/* SPDX-License-Identifier: MIT */
#include "channel/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "object/hash.h"
#include "base/rules.h"

/* ---------------------------------------------------------------------------------------------
 * Storage
 */

int
table_init(struct table *table)
{
	struct rlimit limit;

	(void)pthread_mutex_init(&table->lock, NULL);
	table->max_fds = CHANNEL_FDS;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 < table->max_fds)
		table->max_fds = (uint32_t)(limit.rlim_cur / 2);
	table->capacity = 16;
	table->by_object_size = 16;
	table->by_index_size = 16;
	table->by_index_seed = adxi_hash_bytes(&table, sizeof(table)) | 1;
	table->free_head = CHANNEL_NO_SLOT;
	table->n_slots = 1; /* the door */
	table->slots = calloc(table->capacity, sizeof(*table->slots));
	table->by_object = calloc(table->by_object_size, sizeof(struct export *));
	table->by_index = calloc(table->by_index_size, sizeof(struct import *));
	return table->slots && table->by_object && table->by_index ? 0 : -ENOMEM;
}

void
table_done(struct table *table)
{
	for (uint32_t i = 0; table->slots && i < table->n_slots; i++) {
		struct export *entry = table->slots[i].entry;

		if (!entry)
			continue;
		(void)held_unexport(entry->object);
		OSRelease(entry->object);
		free(entry);
	}
	free(table->slots);
	free(table->by_object);
	free(table->by_index);
	table->slots = NULL;
	(void)pthread_mutex_destroy(&table->lock);
}

static void
by_object_grow(struct table *table)
{
	uint32_t size = table->by_object_size * 2;
	struct export **bigger;

	if (table->n_exports < table->by_object_size)
		return;
	bigger = calloc(size, sizeof(struct export *));
	if (!bigger)
		return; /* longer chains */
	for (uint32_t i = 0; i < table->n_slots; i++) {
		struct export *entry = table->slots[i].entry;
		struct export **head;

		if (!entry)
			continue;
		head = &bigger[hash_pointer(entry->object) & (size - 1)];
		entry->next = *head;
		*head = entry;
	}
	free(table->by_object);
	table->by_object = bigger;
	table->by_object_size = size;
}

static struct export **
by_object_find(struct table *table, const OS_OBJECT *object)
{
	struct export **at = &table->by_object[hash_pointer(object) & (table->by_object_size - 1)];

	while (*at && (*at)->object != object)
		at = &(*at)->next;
	return at;
}

static struct import **
by_index_chain(const struct table *table, struct import **chains, uint32_t size, uint32_t index)
{
	return &chains[index * table->by_index_seed >> 32 & (size - 1)];
}

static void
by_index_grow(struct table *table)
{
	uint32_t size = table->by_index_size * 2;
	struct import **bigger;

	if (table->n_imports < table->by_index_size)
		return;
	bigger = calloc(size, sizeof(struct import *));
	if (!bigger)
		return;
	for (uint32_t i = 0; i < table->by_index_size; i++) {
		struct import *import, *next;

		for (import = table->by_index[i]; import; import = next) {
			struct import **head = by_index_chain(table, bigger, size, import->ref.index);

			next = import->next;
			import->next = *head;
			*head = import;
		}
	}
	free(table->by_index);
	table->by_index = bigger;
	table->by_index_size = size;
}

static struct import **
by_index_find(struct table *table, uint32_t index)
{
	struct import **at = by_index_chain(table, table->by_index, table->by_index_size, index);

	while (*at && (*at)->ref.index != index)
		at = &(*at)->next;
	return at;
}

static bool
same_ref(struct wire_ref a, struct wire_ref b)
{
	return a.index == b.index && a.generation == b.generation;
}

/* ---------------------------------------------------------------------------------------------
 * Exports
 */

static int
slot_new(struct table *table, uint32_t *ret_index)
{
	if (table->free_head != CHANNEL_NO_SLOT) {
		*ret_index = table->free_head;
		table->free_head = table->slots[*ret_index].next_free;
		return 0;
	}
	if (table->n_slots >= CHANNEL_EXPORTS)
		return -ENOSPC;
	if (table->n_slots == table->capacity) {
		struct export_slot *bigger =
			reallocarray(table->slots, table->capacity * 2, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		table->slots = bigger;
		table->capacity *= 2;
	}
	*ret_index = table->n_slots;
	table->slots[table->n_slots++] = (struct export_slot){ 0 };
	return 0;
}

static int
export_new(struct table *table, OS_OBJECT *object, uint32_t index, struct export **ret_entry)
{
	struct export *entry = calloc(1, sizeof(*entry));
	struct export **head;

	if (!entry || held_export(object) < 0) {
		free(entry);
		return -ENOMEM;
	}
	OSRetain(object);
	entry->object = object;
	entry->ref = (struct wire_ref){ index, table->slots[index].generation };
	table->slots[index].entry = entry;
	table->n_exports++;
	by_object_grow(table);
	head = by_object_find(table, object);
	if (!*head) /* the growing may have put it there */
		*head = entry;
	*ret_entry = entry;
	return 0;
}

/* Out of the table; the caller gets the entry and its reference. */
static struct export *
export_unlink(struct table *table, struct export *entry)
{
	struct export **at = by_object_find(table, entry->object);
	struct export_slot *slot = &table->slots[entry->ref.index];

	*at = entry->next;
	entry->next = NULL;
	slot->entry = NULL;
	slot->generation++;
	if (entry->ref.index != 0) {
		slot->next_free = table->free_head;
		table->free_head = entry->ref.index;
	}
	table->n_exports--;
	return entry;
}

/* Take @p entry, which is out of the table. No lock is held. */
static void
export_end(struct export *entry, bool tell)
{
	OS_OBJECT *object = entry->object;
	const struct OSClassHooks *hooks = objects_hooks(object->meta);
	bool last = held_unexport(object);

	if (last && tell && !object->remote && hooks && hooks->no_senders)
		hooks->no_senders(object);
	OSRelease(object);
	free(entry);
}

static void
export_end_item(struct adxi_channel *ch, struct item *item)
{
	struct export *entry = adxi_container_of(item, struct export, item);

	export_end(entry, true);
}

int
table_set_door(struct adxi_channel *ch, OS_OBJECT *door)
{
	struct table *table = &ch->table;
	struct export *entry;
	int r = -EEXIST;

	(void)pthread_mutex_lock(&table->lock);
	if (!table->slots[0].entry && !table->closed)
		r = export_new(table, door, 0, &entry);
	if (r == 0)
		entry->pinned = true;
	(void)pthread_mutex_unlock(&table->lock);
	return r;
}

int
table_export(struct adxi_channel *ch, OS_OBJECT *object, struct wire_ref *ret_ref, bool *ret_granted)
{
	struct table *table = &ch->table;
	struct export *entry;
	uint32_t index;
	int r = 0;

	(void)pthread_mutex_lock(&table->lock);
	entry = *by_object_find(table, object);
	if (table->closed) {
		r = -EPIPE;
	} else if (!entry) {
		r = slot_new(table, &index);
		if (r == 0) {
			r = export_new(table, object, index, &entry);
			if (r < 0) {
				table->slots[index].next_free = table->free_head;
				table->free_head = index;
			}
		}
	}
	if (r == 0) {
		entry->rights++;
		*ret_ref = entry->ref;
		*ret_granted = atomic_load(&entry->granted);
	}
	(void)pthread_mutex_unlock(&table->lock);
	return r;
}

bool
table_is_granted(struct adxi_channel *ch, OS_OBJECT *object)
{
	struct export *entry;
	bool granted;

	(void)pthread_mutex_lock(&ch->table.lock);
	entry = *by_object_find(&ch->table, object);
	granted = entry && atomic_load(&entry->granted);
	(void)pthread_mutex_unlock(&ch->table.lock);
	return granted;
}

static struct export *
export_find(struct table *table, struct wire_ref ref)
{
	struct export *entry = ref.index < table->n_slots ? table->slots[ref.index].entry : NULL;

	return entry && entry->ref.generation == ref.generation ? entry : NULL;
}

void
table_granted(struct adxi_channel *ch, struct wire_ref ref)
{
	struct export *entry;

	(void)pthread_mutex_lock(&ch->table.lock);
	entry = export_find(&ch->table, ref);
	if (entry)
		atomic_store(&entry->granted, true);
	(void)pthread_mutex_unlock(&ch->table.lock);
}

void
table_unexport(struct adxi_channel *ch, struct wire_ref ref)
{
	struct table *table = &ch->table;
	struct export *entry;

	(void)pthread_mutex_lock(&table->lock);
	entry = export_find(table, ref);
	if (entry) {
		entry->rights--;
		entry = entry->rights == 0 && !entry->pinned ? export_unlink(table, entry) : NULL;
	}
	(void)pthread_mutex_unlock(&table->lock);
	if (entry)
		export_end(entry, false);
}

/* How a reference that is not in the table came to be: once granted, or never. */
static int
ref_missing(const struct table *table, struct wire_ref ref)
{
	if (ref.index >= table->n_slots)
		return -EPROTO;
	if ((int32_t)(ref.generation - table->slots[ref.index].generation) > 0)
		return -EPROTO;
	/* A door that was not set yet, or a free place whose present generation nobody has. */
	if (ref.generation == table->slots[ref.index].generation && ref.index != 0)
		return -EPROTO;
	return -ESTALE;
}

int
table_resolve(struct adxi_channel *ch, struct wire_ref ref, OS_OBJECT **ret_object)
{
	struct table *table = &ch->table;
	struct export *entry;
	int r = 0;

	(void)pthread_mutex_lock(&table->lock);
	entry = export_find(table, ref);
	if (table->closed) {
		r = -ESTALE;
	} else if (entry) {
		OSRetain(entry->object);
		*ret_object = entry->object;
	} else {
		r = ref_missing(table, ref);
	}
	(void)pthread_mutex_unlock(&table->lock);
	return r;
}

int
table_released(struct adxi_channel *ch, struct wire_ref ref, uint32_t count, bool wants_freed)
{
	struct table *table = &ch->table;
	struct export *entry, *ended = NULL;
	bool freed = false;
	int r = 0;

	(void)pthread_mutex_lock(&table->lock);
	entry = export_find(table, ref);
	if (table->closed) {
		r = 0;
	} else if (!entry) {
		r = ref_missing(table, ref);
		freed = r == -ESTALE; /* revoked meanwhile */
		r = freed ? 0 : r;
	} else if (count > entry->rights) {
		r = -EPROTO;
	} else {
		entry->rights -= count;
		if (entry->rights == 0 && !entry->pinned) {
			ended = export_unlink(table, entry);
			freed = true;
		}
	}
	(void)pthread_mutex_unlock(&table->lock);
	if (freed && wants_freed)
		send_control(ch, WIRE_FREED, ref, 0, false);
	if (ended) {
		ended->item.run = export_end_item;
		channel_put(ch, &ended->item);
	}
	return r;
}

void
adxi_channel_revoke(struct adxi_channel *ch, OS_OBJECT *object)
{
	struct export *entry;

	(void)pthread_mutex_lock(&ch->table.lock);
	entry = *by_object_find(&ch->table, object);
	if (entry)
		(void)export_unlink(&ch->table, entry);
	(void)pthread_mutex_unlock(&ch->table.lock);
	if (entry)
		export_end(entry, false);
}

/* ---------------------------------------------------------------------------------------------
 * Imports
 */

static struct import *
import_new(struct adxi_channel *ch, struct wire_ref ref)
{
	struct import *import = calloc(1, sizeof(*import));

	if (import) {
		import->remote.ops = &channel_remote_ops;
		import->channel = ch;
		import->ref = ref;
	}
	return import;
}

static void
import_unlink(struct table *table, struct import *import)
{
	*by_index_find(table, import->ref.index) = import->next;
	table->n_fds -= import->n_fds;
	table->shared_bytes -= import->shared_bytes;
	import->next = NULL;
	import->linked = false;
	table->n_imports--;
}

/* Take an accepted import that is out of the table. */
static void
import_end(struct import *import)
{
	if (import->object) {
		held_forget(import);
		OSRelease(import->object);
	}
	free(import);
}

static void
import_end_item(struct adxi_channel *ch, struct item *item)
{
	import_end(adxi_container_of(item, struct import, item));
}

/* A place for @p ref: whatever had the index before belonged to an earlier generation or is being freed. Returns
 * what has to be ended, if anything. */
static struct import *
import_displace(struct table *table, struct wire_ref ref)
{
	struct import *old = *by_index_find(table, ref.index);

	if (!old)
		return NULL;
	import_unlink(table, old);
	return old->accepted ? old : NULL;
}

static void
import_link(struct table *table, struct import *import)
{
	struct import **head;

	by_index_grow(table);
	head = by_index_chain(table, table->by_index, table->by_index_size, import->ref.index);
	import->next = *head;
	*head = import;
	table->n_fds += import->n_fds;
	table->shared_bytes += import->shared_bytes;
	import->linked = true;
	table->n_imports++;
}

int
table_known(struct adxi_channel *ch, struct wire_ref ref, bool accepted, OS_OBJECT **ret_object)
{
	struct table *table = &ch->table;
	struct import *import;
	int r = -ENOENT;

	(void)pthread_mutex_lock(&table->lock);
	import = *by_index_find(table, ref.index);
	if (import && same_ref(import->ref, ref) && import->accepted == accepted) {
		if (!import->object) {
			r = -EBADMSG;
		} else if (accepted) {
			OSRetain(import->object);
			r = 0;
		} else if (OSTryRetain(import->object)) {
			r = 0;
		}
		if (r == 0) {
			import->received++;
			*ret_object = import->object;
		}
	}
	(void)pthread_mutex_unlock(&table->lock);
	return r;
}

void
adxi_channel_each_held(struct adxi_channel *ch, void (*each)(void *context, const OS_OBJECT *object), void *context)
{
	struct table *table = &ch->table;

	(void)pthread_mutex_lock(&table->lock);
	for (uint32_t i = 0; i < table->by_index_size; i++)
		for (const struct import *import = table->by_index[i]; import; import = import->next)
			if (import->object && OSGetRetainCount(import->object) > import->accepted)
				each(context, import->object);
	(void)pthread_mutex_unlock(&table->lock);
}

OS_OBJECT *
table_live_import(struct adxi_channel *ch, struct wire_ref ref, const struct OSMetaClass *meta)
{
	struct import *import;
	OS_OBJECT *object = NULL;

	(void)pthread_mutex_lock(&ch->table.lock);
	import = *by_index_find(&ch->table, ref.index);
	if (import && same_ref(import->ref, ref) && !import->accepted &&
	    OSMetaClassIsKindOf(import->object->meta, meta) && OSTryRetain(import->object))
		object = import->object;
	(void)pthread_mutex_unlock(&ch->table.lock);
	return object;
}

int
table_import(struct adxi_channel *ch, struct wire_ref ref, const struct OSMetaClass *meta, bool counted,
	     OS_OBJECT **ret_object)
{
	struct table *table = &ch->table;
	struct import *import = import_new(ch, ref);
	struct import *old = NULL;
	OS_OBJECT *proxy;
	int r = 0;

	if (!import)
		return -ENOMEM;
	proxy = OSRemoteCreateProxy(meta, &import->remote);
	if (!proxy) {
		free(import);
		return -ENOMEM;
	}
	(void)adxi_channel_ref(ch);
	import->object = proxy;
	(void)pthread_mutex_lock(&table->lock);
	if (table->closed) {
		r = -EPIPE;
	} else if (table->n_imports >= CHANNEL_IMPORTS) {
		r = -ENOSPC;
	} else {
		old = import_displace(table, ref);
		import->received = counted ? 1 : 0;
		import_link(table, import);
	}
	(void)pthread_mutex_unlock(&table->lock);
	if (old)
		import_end(old);
	if (r < 0) {
		OSRelease(proxy);
		return r;
	}
	*ret_object = proxy;
	return 0;
}

bool
table_has_room(struct adxi_channel *ch, unsigned n_fds, uint64_t shared_bytes)
{
	struct table *table = &ch->table;
	uint64_t used;
	uint32_t used_fds;

	(void)pthread_mutex_lock(&table->lock);
	used_fds = table->n_fds;
	used = table->shared_bytes;
	(void)pthread_mutex_unlock(&table->lock);
	if (n_fds > 0 && used_fds + n_fds > table->max_fds) {
		adxi_tell(ADXI_RULE_QUO009, "objects of %s keep %u descriptors here, and the next has %u", ch->name, used_fds,
			  n_fds);
		return false;
	}
	if (shared_bytes > CHANNEL_SHARED - used) {
		adxi_tell(ADXI_RULE_QUO010, "%s shares %llu bytes of memory here, and the next object has %llu", ch->name,
			  (unsigned long long)used, (unsigned long long)shared_bytes);
		return false;
	}
	return true;
}

void
adxi_channel_limit_descriptors(struct adxi_channel *ch, unsigned n)
{
	(void)pthread_mutex_lock(&ch->table.lock);
	ch->table.max_fds = n;
	(void)pthread_mutex_unlock(&ch->table.lock);
}

int
table_import_accepted(struct adxi_channel *ch, struct wire_ref ref, OS_OBJECT *object, unsigned n_fds, uint64_t shared_bytes)
{
	struct table *table = &ch->table;
	struct import *import = import_new(ch, ref);
	struct import *old = NULL;
	int r = 0;

	if (!import)
		return -ENOMEM;
	import->accepted = true;
	import->object = object;
	import->n_fds = n_fds;
	import->shared_bytes = shared_bytes;
	if (object) {
		if (held_accept(import) < 0) {
			free(import);
			return -ENOMEM;
		}
		OSRetain(object);
		import->received = 1;
	}
	(void)pthread_mutex_lock(&table->lock);
	if (table->closed) {
		r = -EPIPE;
	} else if (table->n_imports >= CHANNEL_IMPORTS) {
		r = -ENOSPC;
	} else {
		old = import_displace(table, ref);
		import_link(table, import);
	}
	(void)pthread_mutex_unlock(&table->lock);
	if (old)
		import_end(old);
	if (r < 0)
		import_end(import);
	return r;
}

bool
table_is_yours(struct adxi_channel *ch, OS_OBJECT *object, struct wire_ref *ret_ref)
{
	struct import *import;

	if (object->remote) {
		import = (struct import *)(void *)object->remote;
		if (object->remote->ops != &channel_remote_ops || import->channel != ch)
			return false;
		*ret_ref = import->ref;
		return true;
	}
	if (!(__atomic_load_n(&object->flags, __ATOMIC_RELAXED) & OS_OBJECT_WATCHED))
		return false;
	return held_is_accepted(object, ch, ret_ref);
}

int
table_freed(struct adxi_channel *ch, struct wire_ref ref)
{
	struct table *table = &ch->table;
	struct import *import;

	(void)pthread_mutex_lock(&table->lock);
	import = *by_index_find(table, ref.index);
	if (import && same_ref(import->ref, ref) && import->accepted && import->received == 0)
		import_unlink(table, import);
	else
		import = NULL;
	(void)pthread_mutex_unlock(&table->lock);
	if (import) {
		import->item.run = import_end_item;
		channel_put(ch, &import->item);
	}
	return 0;
}

/* The last reference to a proxy is gone. */
static void
import_release(struct OSRemote *remote, OS_OBJECT *proxy)
{
	struct import *import = (struct import *)(void *)remote;
	struct adxi_channel *ch = import->channel;
	bool give_back;

	(void)pthread_mutex_lock(&ch->table.lock);
	/* Not linked: a later generation has its place, so the peer has forgotten this one. */
	if (import->linked)
		import_unlink(&ch->table, import);
	give_back = import->received > 0;
	(void)pthread_mutex_unlock(&ch->table.lock);
	while (give_back && import->received > 0) {
		uint32_t count = import->received > UINT32_MAX ? UINT32_MAX : (uint32_t)import->received;

		send_control(ch, WIRE_RELEASE, import->ref, count, false);
		import->received -= count;
	}
	free(import);
	(void)adxi_channel_unref(ch);
}

/* Only a table's reference is left to an object that a peer granted: the peer may have its right back. */
static void
last_user_gone(OS_OBJECT *object)
{
	struct wire_ref ref;
	struct adxi_channel *ch = held_accepted_by(object, &ref);
	struct import *import;
	uint64_t count = 0;

	if (!ch)
		return;
	(void)pthread_mutex_lock(&ch->table.lock);
	import = *by_index_find(&ch->table, ref.index);
	if (import && same_ref(import->ref, ref) && import->object == object && OSGetRetainCount(object) == 1) {
		count = import->received;
		import->received = 0;
	}
	(void)pthread_mutex_unlock(&ch->table.lock);
	if (count > 0)
		send_control(ch, WIRE_RELEASE, ref, (uint32_t)count, true);
	(void)adxi_channel_unref(ch);
}

__attribute__((constructor)) static void
watch_objects(void)
{
	OSSetWatcher(last_user_gone);
}

const struct OSRemoteOps channel_remote_ops = {
	.invoke = call_invoke,
	.invoke_async = call_invoke_async,
	.release = import_release,
};

struct adxi_channel *
adxi_channel_of(const OS_OBJECT *object)
{
	if (!object || !object->remote || object->remote->ops != &channel_remote_ops)
		return NULL;
	return ((struct import *)(void *)object->remote)->channel;
}

void
table_close(struct adxi_channel *ch)
{
	struct table *table = &ch->table;
	struct import *ended = NULL;
	uint32_t n_slots;

	(void)pthread_mutex_lock(&table->lock);
	table->closed = true;
	n_slots = table->n_slots; /* does not grow any more */
	for (uint32_t i = 0; i < table->by_index_size; i++) {
		struct import *import, *next;

		for (import = table->by_index[i]; import; import = next) {
			next = import->next;
			import_unlink(table, import);
			if (import->accepted) {
				import->next = ended;
				ended = import;
			}
		}
	}
	(void)pthread_mutex_unlock(&table->lock);
	while (ended) {
		struct import *next = ended->next;

		import_end(ended);
		ended = next;
	}
	for (uint32_t i = 0; i < n_slots; i++) {
		struct export *entry;

		(void)pthread_mutex_lock(&table->lock);
		entry = table->slots[i].entry;
		if (entry)
			(void)export_unlink(table, entry);
		(void)pthread_mutex_unlock(&table->lock);
		if (entry)
			export_end(entry, true);
	}
}
