/* SPDX-License-Identifier: MIT */
/* References, allocation, casts, and OSObject itself. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rules.h"
#include "object/classes.h"
#include "object/containers.h"
#include "object/message.h"
#include "object/remote.h"

#define LOG_TOPIC "object"
#include "base/log.h"

/* An object whose last reference is gone counts from here while free() runs, so that code which
 * retains and releases it meanwhile does not end it twice. */
#define REFCOUNT_DYING (INT32_MIN / 2)

static void (*object_watcher)(OS_OBJECT *object);

/* The last proxies that ended: who still uses one of them is told so (T11). Atomic slots of owned storage. */
enum { OBJECT_N_DEAD = 64 };
static OS_OBJECT *object_dead[OBJECT_N_DEAD];
static uint32_t object_next_dead;

/* The count is bookkeeping, not part of the value that const promises. */
static OS_OBJECT *
mutable_of(const OS_OBJECT *object)
{
	return (OS_OBJECT *)(uintptr_t)object;
}

static uint32_t
flags_of(const OS_OBJECT *object)
{
	return __atomic_load_n(&object->flags, __ATOMIC_RELAXED);
}

void
OSSetWatcher(void (*last)(OS_OBJECT *object))
{
	__atomic_store_n(&object_watcher, last, __ATOMIC_RELEASE);
}

void
object_tell_dead(const OS_OBJECT *object, const char *what)
{
	(void)adxi_tell(ADXI_RULE_T11, "%s for an %s that had been released: who stored it holds no reference",
			what, object->meta->name);
}

static void
bury(OS_OBJECT *object)
{
	uint32_t i = __atomic_fetch_add(&object_next_dead, 1, __ATOMIC_RELAXED) % OBJECT_N_DEAD;

	__atomic_store_n(&object->flags, OS_OBJECT_DEAD, __ATOMIC_RELAXED);
	OSMetaClassDeallocate(__atomic_exchange_n(&object_dead[i], object, __ATOMIC_ACQ_REL));
}

void
OSRetain(const OS_OBJECT *object)
{
	uint32_t flags = object ? flags_of(object) : OS_OBJECT_IMMORTAL;

	if (flags & OS_OBJECT_DEAD)
		object_tell_dead(object, "retain()");
	if (flags & (OS_OBJECT_IMMORTAL | OS_OBJECT_DEAD))
		return;
	(void)__atomic_fetch_add(&mutable_of(object)->refcount, 1, __ATOMIC_RELAXED);
}

bool
OSTryRetain(OS_OBJECT *object)
{
	int32_t count;

	if (flags_of(object) & OS_OBJECT_IMMORTAL)
		return true;
	count = __atomic_load_n(&object->refcount, __ATOMIC_RELAXED);
	while (count > 0)
		if (__atomic_compare_exchange_n(&object->refcount, &count, count + 1, true,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	return false;
}

void
OSRelease(const OS_OBJECT *borrowed)
{
	OS_OBJECT *object = mutable_of(borrowed);
	void (*last)(OS_OBJECT *);
	uint32_t flags;
	int32_t before;

	if (!object)
		return;
	/* Read before the count goes down: afterwards the object may be another thread's to free.
	 */
	flags = flags_of(object);
	if (flags & OS_OBJECT_DEAD)
		object_tell_dead(object, "release()");
	if (flags & (OS_OBJECT_IMMORTAL | OS_OBJECT_DEAD))
		return;
	before = __atomic_fetch_sub(&object->refcount, 1, __ATOMIC_ACQ_REL);
	if (before == 1) {
		__atomic_store_n(&object->refcount, REFCOUNT_DYING, __ATOMIC_RELAXED);
		OSObject_free((OSObject *)object);
		return;
	}
	if (before <= 0 && before > REFCOUNT_DYING / 2)
		adxi_die("ambidext: %s %p was released once too often", object->meta->name,
			 (void *)object);
	if (before == 2 && flags & OS_OBJECT_WATCHED) {
		last = __atomic_load_n(&object_watcher, __ATOMIC_ACQUIRE);
		if (last)
			last(object);
	}
}

uint32_t
OSGetRetainCount(const OS_OBJECT *object)
{
	int32_t count;

	if (!object)
		return 0;
	count = __atomic_load_n(&object->refcount, __ATOMIC_RELAXED);
	return count > 0 ? (uint32_t)count : 0;
}

void
OSObjectRetain(OSObjectPtr object)
{
	OSRetain((OS_OBJECT *)object);
}

void
OSObjectRelease(OSObjectPtr object)
{
	OSRelease((OS_OBJECT *)object);
}

bool
OSIsRemote(const OS_OBJECT *object)
{
	return object && object->remote;
}

OS_OBJECT *
OSMetaClassAllocate(const struct OSMetaClass *meta)
{
	OS_OBJECT *object;

	/* Records are registered by constructors; another constructor may be earlier. */
	if (!(__atomic_load_n(&meta->flags, __ATOMIC_ACQUIRE) & OS_CLASS_REGISTERED))
		OSMetaClassRegister((struct OSMetaClass *)(uintptr_t)meta);
	object = calloc(1, meta->instance_size);
	if (!object)
		return NULL;
	if (meta->construct)
		meta->construct(object);
	object->meta = meta;
	object->refcount = 1;
	object->flags = 0;
	object->remote = NULL;
	return object;
}

void
OSMetaClassDeallocate(OS_OBJECT *object)
{
	if (!object)
		return;
	if (object->meta->destruct)
		object->meta->destruct(object);
	free(object);
}

kern_return_t
OSObjectAllocate(const struct OSMetaClass *meta, OSObject **ret)
{
	OS_OBJECT *object;

	if (!ret)
		return kIOReturnBadArgument;
	*ret = NULL;
	if (!meta)
		return kIOReturnBadArgument;
	object = OSMetaClassAllocate(meta);
	if (!object)
		return kIOReturnNoMemory;
	object->flags |= OS_OBJECT_TYPE_ALLOCATED;
	*ret = (OSObject *)object;
	return kIOReturnSuccess;
}

OS_OBJECT *
OSRemoteCreateProxy(const struct OSMetaClass *meta, struct OSRemote *remote)
{
	OS_OBJECT *object = OSMetaClassAllocate(meta);

	if (!object)
		return NULL;
	object->flags = OS_OBJECT_INITIALISED;
	object->remote = remote;
	return object;
}

OS_OBJECT *
OSMetaClassCast(const OS_OBJECT *object, const struct OSMetaClass *meta)
{
	return object && OSMetaClassIsKindOf(object->meta, meta) ? mutable_of(object) : NULL;
}

OS_OBJECT *
OSMetaClassRequiredCast(const OS_OBJECT *object, const struct OSMetaClass *meta)
{
	if (!object || OSMetaClassIsKindOf(object->meta, meta))
		return mutable_of(object);
	(void)adxi_tell(ADXI_RULE_T44, "OSRequiredCast of %s %p (%s) to %s", object->meta->name,
			(const void *)object, object->remote ? "a proxy" : "native", meta->name);
	adxi_die("%s", adxi_told_last());
}

/* ---------------------------------------------------------------------------------------------
 * class OSObject
 */

bool
OSObject_init_Impl(OSObject *self)
{
	__atomic_or_fetch(&((OS_OBJECT *)self)->flags, OS_OBJECT_INITIALISED, __ATOMIC_RELAXED);
	return true;
}

void
OSObject_free_Impl(OSObject *self)
{
	OS_OBJECT *object = (OS_OBJECT *)self;
	struct OSRemote *remote = object->remote;

	if (remote) {
		remote->ops->release(remote, object);
		object->remote = NULL;
		bury(object);
		return;
	} else if (os_runtime.freeing) {
		os_runtime.freeing(self);
	}
	OSMetaClassDeallocate(object);
}

bool
OSObject_isEqualTo_Impl(const OSObject *self, const OSMetaClassBase *object)
{
	return (const OSMetaClassBase *)self == object;
}

kern_return_t
OSObject_SetDispatchQueue_Impl(OSObject *self, const IODispatchQueueName name,
			       IODispatchQueue *queue)
{
	/* Peers can call this, too: they can name no queue of ours, but nothing and proxies. */
	if (!queue || OSIsRemote((OS_OBJECT *)queue))
		return kIOReturnBadArgument;
	return os_runtime.set_queue ? os_runtime.set_queue(self, name, queue)
				    : kIOReturnUnsupported;
}

kern_return_t
OSObject_CopyDispatchQueue(OSObject *self, const char *name, IODispatchQueue **queue)
{
	return os_runtime.copy_queue ? os_runtime.copy_queue(self, name, queue)
				     : kIOReturnUnsupported;
}

void
OSObjectLog(OSObjectPtr object)
{
	const OS_OBJECT *base = (const OS_OBJECT *)object;
	struct adxi_buf buf = {.limit = 1024};

	if (!base) {
		log_info("object NULL");
		return;
	}
	(void)adxi_object_describe(object, &buf); /* cut when it is long */
	log_info("object %s %p references %u%s%s", base->meta->name, (const void *)base,
		 OSGetRetainCount(base), buf.len ? " " : "", adxi_buf_text(&buf));
	adxi_buf_done(&buf);
}
