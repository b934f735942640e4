/* SPDX-License-Identifier: MIT */
/* Class records: registration, lookup by name and by method id. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <ambidext/class.h>

#include "base/check.h"

#define LOG_TOPIC "object.class"
#include "base/log.h"

enum { CLASS_BUCKETS = 256 };

/* Guards the buckets and the filling of records; a record that carries OS_CLASS_REGISTERED does not
 * change. */
static pthread_rwlock_t class_lock = PTHREAD_RWLOCK_INITIALIZER;

struct class_entry {
	struct class_entry *next;
	struct OSMetaClass *meta; /* borrowed: as long as its library */
};
static struct class_entry *class_buckets[CLASS_BUCKETS];

static unsigned
bucket_of(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash % CLASS_BUCKETS;
}

static struct OSMetaClass *
find_locked(const char *name)
{
	const struct class_entry *entry;

	for (entry = class_buckets[bucket_of(name)]; entry; entry = entry->next)
		if (!strcmp(entry->meta->name, name))
			return entry->meta;
	return NULL;
}

/* A record that is wrong is a program that was built wrong: nothing could run with it. */
static void
check_record(const struct OSMetaClass *meta)
{
	const struct OSMetaClass *super = meta->super;
	uint32_t i;

	if (meta->abi != OS_METACLASS_ABI)
		adxi_die("ambidext: class %s was compiled for object model version %u, this "
			 "library has %u; "
			 "build it again with this iig",
			 meta->name, meta->abi, OS_METACLASS_ABI);
	if (super &&
	    (meta->ops_size < super->ops_size || meta->instance_size < super->instance_size))
		adxi_die("ambidext: class %s is smaller than its super class %s (object %u < %u or "
			 "ops %u < %u "
			 "bytes); build both with the same headers",
			 meta->name, super->name, meta->instance_size, super->instance_size,
			 meta->ops_size, super->ops_size);
	for (i = 1; i < meta->n_methods; i++)
		if (meta->methods[i - 1].id >= meta->methods[i].id)
			adxi_die("ambidext: methods of class %s are not sorted by id (%s after "
				 "%s); build it "
				 "again with iig",
				 meta->name, meta->methods[i].name, meta->methods[i - 1].name);
}

static void
inherit_locked(struct OSMetaClass *meta)
{
	const struct OSMetaClass *super = meta->super;
	size_t i, n;

	if (!super)
		return;
	if (!meta->ops && meta->ops_size == super->ops_size)
		meta->ops = super->ops;
	else if (meta->ops && super->ops)
		for (i = 0, n = super->ops_size / sizeof(void *); i < n; i++)
			if (!meta->ops[i])
				meta->ops[i] = super->ops[i];
	if (!meta->hooks)
		meta->hooks = super->hooks;
	if (!meta->construct)
		meta->construct = super->construct;
	if (!meta->destruct)
		meta->destruct = super->destruct;
}

static void
register_locked(struct OSMetaClass *meta)
{
	struct class_entry *entry;
	unsigned bucket;

	if (meta->flags & OS_CLASS_REGISTERED)
		return;
	if (meta->super)
		register_locked(meta->super);
	check_record(meta);
	inherit_locked(meta);
	if (find_locked(meta->name)) {
		/* The first one has the name; this one works all the same for who links with it. */
		log_debug("class %s is registered twice", meta->name);
	} else {
		entry = malloc(sizeof *entry);
		if (!entry)
			adxi_die("ambidext: no memory to register class %s", meta->name);
		bucket = bucket_of(meta->name);
		entry->meta = meta;
		entry->next = class_buckets[bucket];
		class_buckets[bucket] = entry;
	}
	__atomic_or_fetch(&meta->flags, OS_CLASS_REGISTERED, __ATOMIC_RELEASE);
}

void
OSMetaClassRegister(struct OSMetaClass *meta)
{
	if (__atomic_load_n(&meta->flags, __ATOMIC_ACQUIRE) & OS_CLASS_REGISTERED)
		return;
	(void)pthread_rwlock_wrlock(&class_lock);
	register_locked(meta);
	(void)pthread_rwlock_unlock(&class_lock);
}

const char *
OSMethodName(uint64_t id)
{
	const char *name = NULL;

	(void)pthread_rwlock_rdlock(&class_lock);
	for (unsigned i = 0; i < CLASS_BUCKETS && !name; i++)
		for (const struct class_entry *entry = class_buckets[i]; entry && !name; entry = entry->next)
			for (uint32_t j = 0; j < entry->meta->n_methods && !name; j++)
				if (entry->meta->methods[j].id == id)
					name = entry->meta->methods[j].name;
	(void)pthread_rwlock_unlock(&class_lock);
	return name ? name : "an unknown method";
}

const struct OSMetaClass *
OSMetaClassWithName(const char *name)
{
	const struct OSMetaClass *meta;

	if (!name)
		return NULL;
	(void)pthread_rwlock_rdlock(&class_lock);
	meta = find_locked(name);
	(void)pthread_rwlock_unlock(&class_lock);
	return meta;
}

bool
OSMetaClassIsKindOf(const struct OSMetaClass *meta, const struct OSMetaClass *ancestor)
{
	for (; meta; meta = meta->super)
		if (meta == ancestor)
			return true;
	return false;
}

bool
OSMetaClassHasQueue(const struct OSMetaClass *meta, const char *name)
{
	uint32_t i;

	if (!strcmp(name, "Default"))
		return true;
	for (; meta; meta = meta->super)
		for (i = 0; i < meta->n_queues; i++)
			if (!strcmp(meta->queues[i], name))
				return true;
	return false;
}

const char *
OSMetaClassRemoteName(const struct OSMetaClass *meta)
{
	for (; meta; meta = meta->super) {
		if (meta->remote_name)
			return meta->remote_name;
		if (meta->flags & OS_CLASS_CAN_REMOTE)
			return meta->name;
	}
	return "OSObject";
}

static const struct OSMethod *
find_introduced(const struct OSMetaClass *meta, uint64_t id)
{
	uint32_t low = 0, high = meta->n_methods;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (meta->methods[middle].id == id)
			return &meta->methods[middle];
		if (meta->methods[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static const struct OSMethod *
find_method(const struct OSMetaClass *meta, uint64_t id)
{
	const struct OSMethod *declared = NULL, *method;

	for (; meta; meta = meta->super) {
		method = find_introduced(meta, id);
		if (method && method->impl)
			return method;
		if (method && !declared)
			declared = method;
	}
	return declared;
}

const struct OSMethod *
OSMetaClassFindMethod(const struct OSMetaClass *meta, uint64_t id)
{
	/* What this thread found last: records stay as they were registered. */
	static _Thread_local struct {
		const struct OSMetaClass *meta;
		uint64_t id;
		const struct OSMethod *method;
	} last[4];
	unsigned at = (unsigned)(id ^ id >> 32) % 4;

	if (last[at].meta == meta && last[at].id == id && last[at].method)
		return last[at].method;
	const struct OSMethod *method = find_method(meta, id);
	if (method && method->impl) {
		last[at].meta = meta;
		last[at].id = id;
		last[at].method = method;
	}
	return method;
}

void (*OSMetaClassImplementation(const struct OSMetaClass *from, uint64_t id))(void)
{
	const struct OSMethod *method = OSMetaClassFindMethod(from, id);

	return method ? method->impl : NULL;
}

const struct OSMetaClass *
OSDispatchClass(OS_OBJECT *self, OSDispatchMethod supermethod)
{
	const struct OSMetaClass *class = NULL;
	const IORPC rpc = {.ret_class = &class};

	if (supermethod(self, rpc) != kIOReturnSuccess)
		return NULL;
	return class;
}
