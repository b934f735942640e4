/* SPDX-License-Identifier: MIT */
/* class OSDictionary: pairs in the order in which they came, and above a few an index by hash. */

#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "base/check.h"
#include "object/containers.h"
#include "object/hash.h"

enum { DICT_INDEXED_FROM = 9, DICT_SMALLEST = 8, DICT_HINT_MAX = 4096 };

struct pair {
	uint64_t hash;
	OSObject *key;   /* owned reference */
	OSObject *value; /* owned reference */
};

struct OSDictionary_IVars {
	struct pair *pairs; /* owned */
	uint32_t count;
	uint32_t capacity;
	uint32_t *index; /* owned: pair number + 1, 0 empty; NULL while there are few pairs */
	uint32_t index_mask;
};

/* What is looked for: an object, or text without an object. */
struct wanted {
	uint64_t hash;
	const OSObject *key;
	const char *text; /* when key is NULL */
	size_t len;
};

static struct wanted
wanted_object(const OSObject *key)
{
	return (struct wanted){.hash = adxi_hash(key), .key = key};
}

static struct wanted
wanted_text(const char *text)
{
	size_t len = strlen(text);

	return (struct wanted){.hash = adxi_hash_bytes(text, len), .text = text, .len = len};
}

static bool
pair_is(const struct pair *pair, const struct wanted *wanted)
{
	if (pair->hash != wanted->hash)
		return false;
	if (wanted->key)
		return adxi_equal(pair->key, wanted->key);
	return OSMetaClassCast((OSMetaClassBase *)pair->key, &OSString_Class) &&
	       OSString_getLength((OSString *)pair->key) == wanted->len &&
	       !memcmp(OSString_getCStringNoCopy((OSString *)pair->key), wanted->text, wanted->len);
}

static struct pair *
dict_find(const OSDictionary *self, const struct wanted *wanted)
{
	const struct OSDictionary_IVars *iv = self->ivars;
	uint32_t i, at;

	if (!iv)
		return NULL;
	if (!iv->index) {
		for (i = 0; i < iv->count; i++)
			if (pair_is(&iv->pairs[i], wanted))
				return &iv->pairs[i];
		return NULL;
	}
	for (at = (uint32_t)wanted->hash & iv->index_mask; iv->index[at];
	     at = (at + 1) & iv->index_mask)
		if (pair_is(&iv->pairs[iv->index[at] - 1], wanted))
			return &iv->pairs[iv->index[at] - 1];
	return NULL;
}

static void
index_put(struct OSDictionary_IVars *iv, uint32_t number)
{
	uint32_t at = (uint32_t)iv->pairs[number].hash & iv->index_mask;

	while (iv->index[at])
		at = (at + 1) & iv->index_mask;
	iv->index[at] = number + 1;
}

/* For the capacity that there is. Keeps the old one when memory runs out. */
static bool
index_rebuild(struct OSDictionary_IVars *iv)
{
	uint32_t *index, size = 32, i;

	if (iv->capacity < DICT_INDEXED_FROM)
		return true;
	while (size < 2 * iv->capacity)
		size *= 2;
	index = calloc(size, sizeof *index);
	if (!index)
		return false;
	free(iv->index);
	iv->index = index;
	iv->index_mask = size - 1;
	for (i = 0; i < iv->count; i++)
		index_put(iv, i);
	return true;
}

static bool
dict_reserve(struct OSDictionary_IVars *iv, uint32_t capacity)
{
	uint32_t old = iv->capacity;
	struct pair *pairs;

	if (capacity <= iv->capacity)
		return true;
	if (capacity > UINT32_MAX / 8)
		return false;
	pairs = reallocarray(iv->pairs, capacity, sizeof *pairs);
	if (!pairs)
		return false;
	iv->pairs = pairs;
	iv->capacity = capacity;
	if (index_rebuild(iv))
		return true;
	iv->capacity = old;
	return false;
}

OSDictionary *
OSDictionary_withCapacity(uint32_t capacity)
{
	OSDictionary *self = (OSDictionary *)OSMetaClassAllocate(&OSDictionary_Class);

	if (!self)
		return NULL;
	(void)OSObject_init((OSObject *)self);
	self->ivars = calloc(1, sizeof *self->ivars);
	if (!self->ivars ||
	    !dict_reserve(self->ivars, capacity < DICT_HINT_MAX ? capacity : DICT_HINT_MAX))
		return adxi_release(self);
	return self;
}

void
OSDictionary_free_Impl(OSDictionary *self)
{
	OSDictionary_flushCollection_Impl(self);
	free(self->ivars);
	OSObject_free_Impl((OSObject *)self);
}

void
OSDictionary_flushCollection_Impl(OSDictionary *self)
{
	struct OSDictionary_IVars old;
	uint32_t i;

	if (!self->ivars)
		return;
	/* Empty before the first release, which may run somebody's free(). */
	old = *self->ivars;
	*self->ivars = (struct OSDictionary_IVars){0};
	for (i = 0; i < old.count; i++) {
		adxi_release(old.pairs[i].key);
		adxi_release(old.pairs[i].value);
	}
	free(old.pairs);
	free(old.index);
}

OSDictionary *
OSDictionary_withObjects(const OSObject *values[], const OSObject *keys[], uint32_t count,
			 uint32_t capacity)
{
	OSDictionary *self = OSDictionary_withCapacity(capacity > count ? capacity : count);
	uint32_t i;

	for (i = 0; self && i < count; i++)
		if (!OSDictionary_setObject(self, keys[i], (const OSMetaClassBase *)values[i]))
			self = adxi_release(self);
	return self;
}

OSDictionary *
OSDictionary_withDictionary(const OSDictionary *dict, uint32_t capacity)
{
	uint32_t count = adxi_dict_count(dict);
	OSDictionary *self;

	if (!dict)
		return NULL;
	self = OSDictionary_withCapacity(capacity > count ? capacity : count);
	if (self && !OSDictionary_merge(self, dict))
		self = adxi_release(self);
	return self;
}

uint32_t
OSDictionary_getCount_Impl(const OSDictionary *self)
{
	return self->ivars ? self->ivars->count : 0;
}

uint32_t
OSDictionary_getCapacity_Impl(const OSDictionary *self)
{
	return self->ivars ? self->ivars->capacity : 0;
}

uint32_t
OSDictionary_ensureCapacity_Impl(OSDictionary *self, uint32_t newCapacity)
{
	if (!self->ivars)
		return 0;
	(void)dict_reserve(self->ivars, newCapacity); /* the return value says */
	return self->ivars->capacity;
}

OSObject *
adxi_dict_pair(const OSDictionary *dict, uint32_t index, OSObject **ret_value)
{
	if (index >= adxi_dict_count(dict))
		return NULL;
	*ret_value = dict->ivars->pairs[index].value;
	return dict->ivars->pairs[index].key;
}

bool
OSDictionary_iteratePairs_f(const OSDictionary *self, void *context,
			    OSDictionaryIterateObjectsCallback callback)
{
	bool stopped = false;
	uint32_t i;

	/* The callback may change the dictionary; what it looks at stays. */
	for (i = 0; !stopped && i < adxi_dict_count(self); i++) {
		OSObject *key = adxi_retain(self->ivars->pairs[i].key);
		OSObject *value = adxi_retain(self->ivars->pairs[i].value);

		stopped = callback(context, key, value);
		adxi_release(key);
		adxi_release(value);
	}
	return stopped;
}

bool
OSDictionary_iterateObjects_f_Impl(const OSDictionary *self, void *context,
				   OSCollectionIterateObjectsCallback callback)
{
	bool stopped = false;
	uint32_t i;

	for (i = 0; !stopped && i < adxi_dict_count(self); i++) {
		OSObject *key = adxi_retain(self->ivars->pairs[i].key);

		stopped = callback(context, key);
		adxi_release(key);
	}
	return stopped;
}

static bool
pair_by_block(void *context, OSObject *key, OSObject *value)
{
	bool (*invoke)(void *, OSObject *, OSObject *);

	invoke = (bool (*)(void *, OSObject *, OSObject *))adxi_block_invoke(context);
	return invoke(context, key, value);
}

bool
OSDictionary_iterateObjects(const OSDictionary *self, OSDictionaryIterateObjectsBlock block)
{
	return block && OSDictionary_iteratePairs_f(self, (void *)block, pair_by_block);
}

OSCollection *
OSDictionary_copyCollection_Impl(const OSDictionary *self, OSDictionary *cycleDict)
{
	OSDictionary *copy = OSDictionary_withCapacity(adxi_dict_count(self));
	uint32_t i;

	for (i = 0; copy && i < adxi_dict_count(self); i++) {
		const struct pair *pair = &self->ivars->pairs[i];
		adxi_cleanup(adxi_releasep) OSObject *value = adxi_copy_deep(pair->value);

		if (!value || !OSDictionary_setObject(copy, pair->key, (OSMetaClassBase *)value))
			copy = adxi_release(copy);
	}
	return (OSCollection *)copy;
}

bool
OSDictionary_isEqualToDictionary(const OSDictionary *self, const OSDictionary *aDictionary)
{
	uint32_t i;

	if (self == aDictionary)
		return true;
	if (!aDictionary || adxi_dict_count(self) != adxi_dict_count(aDictionary))
		return false;
	for (i = 0; i < adxi_dict_count(self); i++) {
		const struct pair *mine = &self->ivars->pairs[i];
		struct wanted wanted = {.hash = mine->hash, .key = mine->key};
		const struct pair *theirs = dict_find(aDictionary, &wanted);

		if (!theirs || !adxi_equal(mine->value, theirs->value))
			return false;
	}
	return true;
}

struct compare {
	const OSDictionary *left, *right;
};

static bool
pair_differs(void *context, OSObject *key)
{
	const struct compare *compare = context;

	return !adxi_equal(OSDictionary_getObject(compare->left, key),
			   OSDictionary_getObject(compare->right, key));
}

bool
OSDictionary_isEqualToDictionaryForKeys(const OSDictionary *self, const OSDictionary *aDictionary,
					const OSCollection *keys)
{
	struct compare compare = {self, aDictionary};

	return aDictionary && keys && !OSCollection_iterateObjects_f(keys, &compare, pair_differs);
}

bool
OSDictionary_isEqualTo_Impl(const OSDictionary *self, const OSMetaClassBase *anObject)
{
	return OSMetaClassCast(anObject, &OSDictionary_Class) &&
	       OSDictionary_isEqualToDictionary(self, (const OSDictionary *)anObject);
}

/* @p key is retained only if the pair is new. */
static bool
dict_put(OSDictionary *self, const struct wanted *wanted, OSObject *key,
	 const OSMetaClassBase *value)
{
	struct OSDictionary_IVars *iv = self->ivars;
	struct pair *pair = dict_find(self, wanted);
	OSObject *old;

	OSRetain(value);
	if (pair) {
		old = pair->value;
		pair->value = (OSObject *)(uintptr_t)value;
		adxi_release(old);
		return true;
	}
	if (iv->count == iv->capacity &&
	    !dict_reserve(iv, iv->capacity < DICT_SMALLEST ? DICT_SMALLEST : iv->capacity * 2)) {
		OSRelease(value);
		return false;
	}
	iv->pairs[iv->count] = (struct pair){
		.hash = wanted->hash,
		.key = adxi_retain(key),
		.value = (OSObject *)(uintptr_t)value,
	};
	iv->count++;
	if (iv->index)
		index_put(iv, iv->count - 1);
	return true;
}

bool
OSDictionary_setObject(OSDictionary *self, const OSObject *aKey, const OSMetaClassBase *anObject)
{
	struct wanted wanted;

	if (!self->ivars || !aKey || !anObject)
		return false;
	wanted = wanted_object(aKey);
	return dict_put(self, &wanted, (OSObject *)(uintptr_t)aKey, anObject);
}

bool
OSDictionary_setObjectForCString(OSDictionary *self, const char *aKey,
				 const OSMetaClassBase *anObject)
{
	adxi_cleanup(adxi_releasep) OSString *key = NULL;

	if (!aKey || !anObject)
		return false;
	key = OSString_withCString(aKey);
	return key && OSDictionary_setObject(self, (OSObject *)key, anObject);
}

OSObject *
OSDictionary_getObject(const OSDictionary *self, const OSObject *aKey)
{
	const struct pair *pair;
	struct wanted wanted;

	if (!self || !aKey)
		return NULL;
	wanted = wanted_object(aKey);
	pair = dict_find(self, &wanted);
	return pair ? pair->value : NULL;
}

OSObject *
OSDictionary_getObjectForCString(const OSDictionary *self, const char *aKey)
{
	const struct pair *pair;
	struct wanted wanted;

	if (!self || !aKey)
		return NULL;
	wanted = wanted_text(aKey);
	pair = dict_find(self, &wanted);
	return pair ? pair->value : NULL;
}

static void
dict_drop(OSDictionary *self, struct pair *pair)
{
	struct OSDictionary_IVars *iv = self->ivars;
	struct pair old;
	uint32_t number, i;

	if (!pair)
		return;
	old = *pair;
	number = (uint32_t)(pair - iv->pairs);
	iv->count--;
	memmove(pair, pair + 1, (iv->count - number) * sizeof *pair);
	if (iv->index) {
		memset(iv->index, 0, (iv->index_mask + 1) * sizeof *iv->index);
		for (i = 0; i < iv->count; i++)
			index_put(iv, i);
	}
	adxi_release(old.key);
	adxi_release(old.value);
}

void
OSDictionary_removeObject(OSDictionary *self, const OSObject *aKey)
{
	struct wanted wanted;

	if (!self || !aKey)
		return;
	wanted = wanted_object(aKey);
	dict_drop(self, dict_find(self, &wanted));
}

void
OSDictionary_removeObjectForCString(OSDictionary *self, const char *aKey)
{
	struct wanted wanted;

	if (!self || !aKey)
		return;
	wanted = wanted_text(aKey);
	dict_drop(self, dict_find(self, &wanted));
}

bool
OSDictionary_merge(OSDictionary *self, const OSDictionary *otherDict)
{
	uint32_t i, count = adxi_dict_count(otherDict);

	if (!otherDict)
		return false;
	for (i = 0; self != otherDict && i < count; i++) {
		const struct pair *pair = &otherDict->ivars->pairs[i];

		if (!OSDictionary_setObject(self, pair->key, (OSMetaClassBase *)pair->value))
			return false;
	}
	return true;
}
