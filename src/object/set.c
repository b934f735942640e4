/* SPDX-License-Identifier: MIT */
/* classes OSSet and OSOrderedSet */

#include <stdlib.h>

#include "base/block.h"
#include "object/array.h"
#include "object/containers.h"

static OSArray *
array_of(const void *set)
{
	return (OSArray *)(uintptr_t)set;
}

OSSet *
OSSet_withCapacity(uint32_t capacity)
{
	return (OSSet *)adxi_array_setup((OSArray *)OSMetaClassAllocate(&OSSet_Class), capacity);
}

OSSet *
OSSet_withObjects(const OSObject *objects[], uint32_t count, uint32_t capacity)
{
	OSSet *self = OSSet_withCapacity(capacity > count ? capacity : count);
	uint32_t i;

	/* False for one that is in it already; NULL or no memory shows in membership. */
	for (i = 0; self && i < count; i++) {
		(void)OSSet_setObject(self, (const OSMetaClassBase *)objects[i]);
		if (!OSSet_containsObject(self, (const OSMetaClassBase *)objects[i]))
			self = adxi_release(self);
	}
	return self;
}

OSSet *
OSSet_withArray(const OSArray *array, uint32_t capacity)
{
	if (!array)
		return NULL;
	return OSSet_withObjects(array->ivars ? (const OSObject **)(uintptr_t)array->ivars->items
					      : NULL,
				 adxi_array_count(array), capacity);
}

bool
OSSet_isEqualTo_Impl(const OSSet *self, const OSMetaClassBase *anObject)
{
	const OSArray *other = array_of(anObject);
	uint32_t i, count = adxi_array_count(array_of(self));

	if (!OSMetaClassCast(anObject, &OSSet_Class) || adxi_array_count(other) != count)
		return false;
	for (i = 0; i < count; i++)
		if (!adxi_array_contains(other, adxi_array_get(array_of(self), i)))
			return false;
	return true;
}

OSCollection *
OSSet_copyCollection_Impl(const OSSet *self, OSDictionary *cycleDict)
{
	OSSet *copy = OSSet_withCapacity(adxi_array_count(array_of(self)));

	if (copy && !adxi_array_copy_elements(array_of(copy), array_of(self)))
		copy = adxi_release(copy);
	return (OSCollection *)copy;
}

bool
OSSet_containsObject(const OSSet *self, const OSMetaClassBase *anObject)
{
	return anObject && OSArray_getNextIndexOfObject(array_of(self), anObject, 0) != UINT32_MAX;
}

bool
OSSet_member(const OSSet *self, const OSMetaClassBase *anObject)
{
	return OSSet_containsObject(self, anObject);
}

bool
OSSet_setObject(OSSet *self, const OSMetaClassBase *anObject)
{
	/* An ordered set that is used as a set keeps its order. */
	if (OSMetaClassCast((OSMetaClassBase *)self, &OSOrderedSet_Class))
		return OSOrderedSet_setObject((OSOrderedSet *)self, anObject);
	return !OSSet_containsObject(self, anObject) && OSArray_setObject(array_of(self), anObject);
}

OSObject *
OSSet_getAnyObject(const OSSet *self)
{
	return adxi_array_get(array_of(self), 0);
}

void
OSSet_removeObject(OSSet *self, const OSMetaClassBase *anObject)
{
	uint32_t index = OSArray_getNextIndexOfObject(array_of(self), anObject, 0);

	if (anObject && index != UINT32_MAX)
		OSArray_removeObject(array_of(self), index);
}

bool
OSSet_merge(OSSet *self, const OSArray *array)
{
	uint32_t i, count = adxi_array_count(array);

	if (!array)
		return false;
	for (i = 0; i < count; i++) {
		OSMetaClassBase *object = (OSMetaClassBase *)adxi_array_get(array, i);

		if (!OSSet_containsObject(self, object) && !OSSet_setObject(self, object))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------------------------------------
 * class OSOrderedSet
 */

struct OSOrderedSet_IVars {
	OSOrderFunction order; /* NULL: in the order of arrival */
	void *context;         /* borrowed; or the block below */
	void *block;           /* owned copy */
};

static int
order_by_block(void *context, const OSMetaClassBase *left, const OSMetaClassBase *right)
{
	int (*invoke)(void *, const OSMetaClassBase *, const OSMetaClassBase *);

	invoke = (int (*)(void *, const OSMetaClassBase *,
			  const OSMetaClassBase *))adxi_block_invoke(context);
	return invoke(context, left, right);
}

static int
order_of(const OSOrderedSet *set, const OSMetaClassBase *left, const OSMetaClassBase *right)
{
	const struct OSOrderedSet_IVars *iv = set->ivars;

	return iv && iv->order ? iv->order(iv->context, left, right) : 0;
}

OSOrderedSet *
OSOrderedSet_withCapacity_f(uint32_t capacity, void *context, OSOrderFunction order)
{
	OSOrderedSet *self;

	self = (OSOrderedSet *)adxi_array_setup((OSArray *)OSMetaClassAllocate(&OSOrderedSet_Class),
						capacity);
	if (!self)
		return NULL;
	self->ivars = calloc(1, sizeof *self->ivars);
	if (!self->ivars)
		return adxi_release(self);
	self->ivars->order = order;
	self->ivars->context = context;
	return self;
}

OSOrderedSet *
OSOrderedSet_withCapacity(uint32_t capacity, OSOrderBlock orderBlock)
{
	OSOrderedSet *self = OSOrderedSet_withCapacity_f(capacity, NULL, NULL);

	if (!self || !orderBlock)
		return self;
	self->ivars->block = adxi_block_copy((const void *)orderBlock);
	if (!self->ivars->block)
		return adxi_release(self);
	self->ivars->context = self->ivars->block;
	self->ivars->order = order_by_block;
	return self;
}

void
OSOrderedSet_free_Impl(OSOrderedSet *self)
{
	if (self->ivars)
		adxi_block_release(self->ivars->block);
	free(self->ivars);
	OSArray_free_Impl((OSArray *)self);
}

OSCollection *
OSOrderedSet_copyCollection_Impl(const OSOrderedSet *self, OSDictionary *cycleDict)
{
	OSOrderedSet *copy =
		OSOrderedSet_withCapacity_f(adxi_array_count(array_of(self)), NULL, NULL);

	/* Copied in place, so that the order need not be asked again. */
	if (copy && !adxi_array_copy_elements(array_of(copy), array_of(self)))
		copy = adxi_release(copy);
	if (!copy || !self->ivars)
		return (OSCollection *)copy;
	copy->ivars->order = self->ivars->order;
	copy->ivars->context = self->ivars->context;
	if (self->ivars->block) {
		copy->ivars->block = adxi_block_copy(self->ivars->block);
		copy->ivars->context = copy->ivars->block;
	}
	return (OSCollection *)copy;
}

static bool
ordered_insert(OSOrderedSet *self, uint32_t index, const OSMetaClassBase *object)
{
	return !OSSet_containsObject((OSSet *)self, object) &&
	       adxi_array_insert(array_of(self), index, object);
}

bool
OSOrderedSet_setObject(OSOrderedSet *self, const OSMetaClassBase *anObject)
{
	uint32_t i, count = adxi_array_count(array_of(self));

	if (!anObject)
		return false;
	/* Behind those that are equal. */
	for (i = 0; i < count; i++)
		if (order_of(self, (OSMetaClassBase *)adxi_array_get(array_of(self), i), anObject) <
		    0)
			break;
	return ordered_insert(self, i, anObject);
}

bool
OSOrderedSet_setFirstObject(OSOrderedSet *self, const OSMetaClassBase *anObject)
{
	return ordered_insert(self, 0, anObject);
}

bool
OSOrderedSet_setLastObject(OSOrderedSet *self, const OSMetaClassBase *anObject)
{
	return ordered_insert(self, adxi_array_count(array_of(self)), anObject);
}

OSObject *
OSOrderedSet_getFirstObject(const OSOrderedSet *self)
{
	return adxi_array_get(array_of(self), 0);
}

OSObject *
OSOrderedSet_getLastObject(const OSOrderedSet *self)
{
	return OSArray_getLastObject(array_of(self));
}

int32_t
OSOrderedSet_orderObject(OSOrderedSet *self, const OSMetaClassBase *anObject)
{
	return order_of(self, anObject, NULL);
}
