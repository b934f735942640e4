/* SPDX-License-Identifier: MIT */
/* class OSArray */

#include "object/array.h"

#include <stdlib.h>
#include <string.h>

#include "object/containers.h"

enum { ARRAY_SMALLEST = 8, ARRAY_HINT_MAX = 4096 };

static bool
array_reserve(struct OSArray_IVars *iv, uint32_t capacity)
{
	OSObject **items;

	if (capacity <= iv->capacity)
		return true;
	items = reallocarray(iv->items, capacity, sizeof *items);
	if (!items)
		return false;
	iv->items = items;
	iv->capacity = capacity;
	return true;
}

OSArray *
adxi_array_setup(OSArray *array, uint32_t capacity)
{
	if (!array)
		return NULL;
	(void)OSObject_init((OSObject *)array);
	array->ivars = calloc(1, sizeof *array->ivars);
	/* A hint may come from a stranger's count; it only saves growing. */
	if (!array->ivars ||
	    !array_reserve(array->ivars, capacity < ARRAY_HINT_MAX ? capacity : ARRAY_HINT_MAX))
		return adxi_release(array);
	return array;
}

bool
adxi_array_insert(OSArray *array, uint32_t index, const OSMetaClassBase *object)
{
	struct OSArray_IVars *iv = array->ivars;
	uint32_t larger;

	if (!iv || !object || index > iv->count || iv->count == UINT32_MAX / 2)
		return false;
	if (iv->count == iv->capacity) {
		larger = iv->capacity < ARRAY_SMALLEST ? ARRAY_SMALLEST : iv->capacity * 2;
		if (!array_reserve(iv, larger))
			return false;
	}
	memmove(iv->items + index + 1, iv->items + index, (iv->count - index) * sizeof *iv->items);
	OSRetain(object);
	iv->items[index] = (OSObject *)(uintptr_t)object;
	iv->count++;
	return true;
}

void
OSArray_free_Impl(OSArray *self)
{
	if (self->ivars) {
		OSArray_flushCollection_Impl(self);
		free(self->ivars->items);
		free(self->ivars);
	}
	OSObject_free_Impl((OSObject *)self);
}

OSArray *
OSArray_withCapacity(uint32_t capacity)
{
	return adxi_array_setup((OSArray *)OSMetaClassAllocate(&OSArray_Class), capacity);
}

OSArray *
OSArray_withObjects(const OSObject *values[], uint32_t count, uint32_t capacity)
{
	OSArray *self = OSArray_withCapacity(capacity > count ? capacity : count);
	uint32_t i;

	for (i = 0; self && i < count; i++)
		if (!OSArray_setObject(self, (const OSMetaClassBase *)values[i]))
			self = adxi_release(self);
	return self;
}

OSArray *
OSArray_withArray(const OSArray *array, uint32_t capacity)
{
	uint32_t count = adxi_array_count(array);
	OSArray *self;

	if (!array)
		return NULL;
	self = OSArray_withCapacity(capacity > count ? capacity : count);
	if (self && !OSArray_merge(self, array))
		self = adxi_release(self);
	return self;
}

uint32_t
OSArray_getCount_Impl(const OSArray *self)
{
	return self->ivars ? self->ivars->count : 0;
}

uint32_t
OSArray_getCapacity_Impl(const OSArray *self)
{
	return self->ivars ? self->ivars->capacity : 0;
}

uint32_t
OSArray_ensureCapacity_Impl(OSArray *self, uint32_t newCapacity)
{
	if (!self->ivars)
		return 0;
	(void)array_reserve(self->ivars, newCapacity); /* the return value says */
	return self->ivars->capacity;
}

void
OSArray_flushCollection_Impl(OSArray *self)
{
	struct OSArray_IVars *iv = self->ivars;
	OSObject **items;
	uint32_t i, count;

	if (!iv)
		return;
	/* Empty before the first release, which may run somebody's free(). */
	items = iv->items;
	count = iv->count;
	iv->items = NULL;
	iv->count = iv->capacity = 0;
	for (i = 0; i < count; i++)
		OSRelease((OSMetaClassBase *)items[i]);
	free(items);
}

bool
OSArray_iterateObjects_f_Impl(const OSArray *self, void *context,
			      OSCollectionIterateObjectsCallback callback)
{
	bool stopped = false;
	uint32_t i;

	/* The callback may change the array; what it looks at stays. */
	for (i = 0; !stopped && i < adxi_array_count(self); i++) {
		OSObject *item = adxi_retain(self->ivars->items[i]);

		stopped = callback(context, item);
		adxi_release(item);
	}
	return stopped;
}

bool
adxi_array_copy_elements(OSArray *to, const OSArray *from)
{
	uint32_t i;

	for (i = 0; i < adxi_array_count(from); i++) {
		adxi_cleanup(adxi_releasep) OSObject *copy = adxi_copy_deep(from->ivars->items[i]);

		if (!copy ||
		    !adxi_array_insert(to, adxi_array_count(to), (const OSMetaClassBase *)copy))
			return false;
	}
	return true;
}

OSCollection *
OSArray_copyCollection_Impl(const OSArray *self, OSDictionary *cycleDict)
{
	OSArray *copy = OSArray_withCapacity(adxi_array_count(self));

	if (copy && !adxi_array_copy_elements(copy, self))
		copy = adxi_release(copy);
	return (OSCollection *)copy;
}

bool
OSArray_isEqualToArray(const OSArray *self, const OSArray *anArray)
{
	uint32_t i, count = adxi_array_count(self);

	if (self == anArray)
		return true;
	if (!anArray || adxi_array_count(anArray) != count)
		return false;
	for (i = 0; i < count; i++)
		if (!adxi_equal(self->ivars->items[i], anArray->ivars->items[i]))
			return false;
	return true;
}

bool
OSArray_isEqualTo_Impl(const OSArray *self, const OSMetaClassBase *anObject)
{
	/* A set is no array, though it is kept as one: it would not be equal the other way round. */
	return OSMetaClassCast(anObject, &OSArray_Class) && !OSMetaClassCast(anObject, &OSSet_Class) &&
	       OSArray_isEqualToArray(self, (const OSArray *)anObject);
}

bool
OSArray_setObject(OSArray *self, const OSMetaClassBase *anObject)
{
	return adxi_array_insert(self, adxi_array_count(self), anObject);
}

bool
OSArray_setObjectAtIndex(OSArray *self, uint32_t index, const OSMetaClassBase *anObject)
{
	return adxi_array_insert(self, index, anObject);
}

bool
OSArray_replaceObject(OSArray *self, uint32_t index, const OSMetaClassBase *anObject)
{
	OSObject *old;

	if (!anObject || index >= adxi_array_count(self))
		return false;
	OSRetain(anObject);
	old = self->ivars->items[index];
	self->ivars->items[index] = (OSObject *)(uintptr_t)anObject;
	adxi_release(old);
	return true;
}

void
OSArray_removeObject(OSArray *self, uint32_t index)
{
	struct OSArray_IVars *iv = self->ivars;
	OSObject *old;

	if (index >= adxi_array_count(self))
		return;
	old = iv->items[index];
	iv->count--;
	memmove(iv->items + index, iv->items + index + 1, (iv->count - index) * sizeof *iv->items);
	adxi_release(old);
}

bool
OSArray_merge(OSArray *self, const OSArray *otherArray)
{
	uint32_t i, count = adxi_array_count(otherArray);

	if (!otherArray)
		return false;
	for (i = 0; i < count; i++)
		if (!OSArray_setObject(self, (OSMetaClassBase *)otherArray->ivars->items[i]))
			return false;
	return true;
}

OSObject *
OSArray_getObject(const OSArray *self, uint32_t index)
{
	return index < adxi_array_count(self) ? self->ivars->items[index] : NULL;
}

OSObject *
OSArray_getLastObject(const OSArray *self)
{
	uint32_t count = adxi_array_count(self);

	return count ? self->ivars->items[count - 1] : NULL;
}

uint32_t
OSArray_getNextIndexOfObject(const OSArray *self, const OSMetaClassBase *anObject, uint32_t index)
{
	uint32_t count = adxi_array_count(self);

	for (; index < count; index++)
		if ((const OSMetaClassBase *)self->ivars->items[index] == anObject)
			return index;
	return UINT32_MAX;
}
