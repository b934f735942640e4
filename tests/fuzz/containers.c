/* SPDX-License-Identifier: MIT */
/* Operations on containers, and on plain lists beside them: both must agree after each one, and every reference that a
 * container took is given back. */
#include "fuzz.h"

#include "base/buf.h"
#include "object/containers.h"
#include "object/serialize.h"

#define LEAVES	   10u /* slots of strings, data, numbers, booleans */
#define CONTAINERS 6u  /* slots after them; one holds only what stands before it, so nothing holds itself */
#define SLOTS	   (LEAVES + CONTAINERS)
#define ITEMS	   64u
#define OPS	   96u

/* What a slot's object must be. Items are borrowed: slots of containers are only filled once. */
struct shadow {
	OSObject *object; /* owned */
	enum { NONE, STRING, DATA, NUMBER, BOOLEAN, ARRAY, DICTIONARY, SET, ORDERED } kind;
	uint8_t bytes[600]; /* STRING, DATA */
	size_t len;
	uint64_t value; /* NUMBER, BOOLEAN */
	unsigned n_items;
	OSObject *items[ITEMS], *keys[ITEMS]; /* borrowed from the object */
};

static struct shadow slots[SLOTS];

static struct shadow *
shadow_of(const OSObject *object)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].object == object)
			return &slots[i];
	return NULL;
}

static bool
same_text(const struct shadow *a, const struct shadow *b)
{
	return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

/* A data is a string if it is its bytes, with or without the NUL. */
static bool
data_is(const struct shadow *data, const struct shadow *string)
{
	if (same_text(data, string))
		return true;
	return data->len == string->len + 1 && data->bytes[string->len] == 0 && !memcmp(data->bytes, string->bytes, string->len);
}

static bool equal(const OSObject *left, const OSObject *right);
static unsigned find_key(const struct shadow *dict, const OSObject *key);

static bool
holds_equal(const struct shadow *list, const OSObject *object)
{
	for (unsigned i = 0; i < list->n_items; i++)
		if (equal(list->items[i], object))
			return true;
	return false;
}

/* The meaning of adxi_equal(), written plainly. */
static bool
equal(const OSObject *left, const OSObject *right)
{
	const struct shadow *a = shadow_of(left), *b = shadow_of(right);
	bool all = true;

	if (left == right)
		return true;
	FUZZ_CHECK(a && b);
	if (a->kind == STRING && b->kind == DATA)
		return data_is(b, a);
	if (a->kind == DATA && b->kind == STRING)
		return data_is(a, b);
	/* An ordered set is a set. */
	if (a->kind != b->kind && (a->kind < SET || b->kind < SET))
		return false;
	switch (a->kind) {
	case STRING:
	case DATA:
		return same_text(a, b);
	case NUMBER:
		return a->value == b->value;
	case ARRAY:
		if (a->n_items != b->n_items)
			return false;
		for (unsigned i = 0; all && i < a->n_items; i++)
			all = equal(a->items[i], b->items[i]);
		return all;
	case SET:
	case ORDERED:
		if (a->n_items != b->n_items)
			return false;
		for (unsigned i = 0; all && i < a->n_items; i++)
			all = holds_equal(b, a->items[i]);
		return all;
	case DICTIONARY:
		if (a->n_items != b->n_items)
			return false;
		for (unsigned i = 0; all && i < a->n_items; i++) {
			unsigned k = find_key(b, a->keys[i]);

			all = k < b->n_items && equal(a->items[i], b->items[k]);
		}
		return all;
	default:
		return false;
	}
}

static unsigned
find_key(const struct shadow *dict, const OSObject *key)
{
	unsigned i = 0;

	while (i < dict->n_items && !equal(dict->keys[i], key))
		i++;
	return i;
}

static unsigned
find_item(const struct shadow *list, const OSObject *object)
{
	unsigned i = 0;

	while (i < list->n_items && list->items[i] != object)
		i++;
	return i;
}

static void
cut_item(struct shadow *list, unsigned at)
{
	if (at >= list->n_items)
		return;
	list->n_items--;
	memmove(&list->items[at], &list->items[at + 1], (list->n_items - at) * sizeof(list->items[0]));
	memmove(&list->keys[at], &list->keys[at + 1], (list->n_items - at) * sizeof(list->keys[0]));
}

static void
put_item(struct shadow *list, unsigned at, OSObject *key, OSObject *item)
{
	memmove(&list->items[at + 1], &list->items[at], (list->n_items - at) * sizeof(list->items[0]));
	memmove(&list->keys[at + 1], &list->keys[at], (list->n_items - at) * sizeof(list->keys[0]));
	list->items[at] = item;
	list->keys[at] = key;
	list->n_items++;
}

/* ---------------------------------------------------------------------------------------------
 * Leaves
 */

static void
make_leaf(struct shadow *slot, struct fuzz *in)
{
	static const unsigned widths[] = { 8, 16, 32, 64 };
	const uint8_t what = fuzz_uint8(in);
	const uint8_t *bytes;
	char *text;

	slot->kind = (unsigned)(STRING + what % 4);
	switch (slot->kind) {
	case STRING:
		text = fuzz_text(in);
		slot->len = strlen(text);
		memcpy(slot->bytes, text, slot->len);
		slot->object = (OSObject *)OSString_withCString(text);
		free(text);
		break;
	case DATA:
		bytes = fuzz_bytes(in, fuzz_uint8(in), &slot->len);
		if (slot->len > 0)
			memcpy(slot->bytes, bytes, slot->len);
		slot->object = (OSObject *)OSData_withBytes(bytes, slot->len);
		break;
	case NUMBER: {
		const unsigned bits = widths[what / 4 % 4];

		slot->value = what & 0x80 ? fuzz_uint64(in) : fuzz_uint8(in);
		slot->object = (OSObject *)OSNumber_withNumber(slot->value, bits);
		if (bits < 64)
			slot->value &= (UINT64_C(1) << bits) - 1;
		break;
	}
	default:
		slot->value = what / 4 & 1;
		slot->object = adxi_retain(slot->value ? kOSBooleanTrue : kOSBooleanFalse);
		break;
	}
	FUZZ_CHECK(slot->object);
}

static void
check_leaf(const struct shadow *slot)
{
	const OSData *data = (const OSData *)slot->object;

	switch (slot->kind) {
	case STRING:
		FUZZ_CHECK(OSString_getLength((OSString *)slot->object) == slot->len);
		FUZZ_CHECK(!memcmp(OSString_getCStringNoCopy((OSString *)slot->object), slot->bytes, slot->len + 1));
		break;
	case DATA:
		FUZZ_CHECK(OSData_getLength(data) == slot->len);
		FUZZ_CHECK(slot->len == 0 || !memcmp(OSData_getBytesNoCopy(data), slot->bytes, slot->len));
		break;
	case NUMBER:
		FUZZ_CHECK(OSNumber_unsigned64BitValue((OSNumber *)slot->object) == slot->value);
		break;
	default:
		FUZZ_CHECK(OSBoolean_getValue((OSBoolean *)slot->object) == (slot->value != 0));
		break;
	}
}

static void
change_leaf(struct shadow *slot, struct fuzz *in)
{
	OSData *data = (OSData *)slot->object;
	const size_t start = fuzz_uint8(in), n = fuzz_uint8(in);
	const uint8_t *part;
	OSData *copy;

	if (slot->kind != DATA)
		return;
	if (start & 1 && slot->len + n < sizeof(slot->bytes)) {
		/* Also its own bytes. */
		part = n <= slot->len && start & 2 ? OSData_getBytesNoCopy(data) : NULL;
		FUZZ_CHECK(OSData_appendBytes(data, part, n));
		if (part)
			memmove(slot->bytes + slot->len, slot->bytes, n);
		else
			memset(slot->bytes + slot->len, 0, n);
		slot->len += n;
	} else if (start & 4 && slot->len + n < sizeof(slot->bytes)) {
		FUZZ_CHECK(adxi_data_set_length(data, n));
		if (n > slot->len)
			memset(slot->bytes + slot->len, 0, n - slot->len);
		slot->len = n;
	}
	part = OSData_getBytesNoCopyRange(data, start, n);
	FUZZ_CHECK((part != NULL) == (start < slot->len && n <= slot->len - start));
	FUZZ_CHECK(!part || !memcmp(part, slot->bytes + start, n));
	copy = OSData_withDataRange(data, start, n);
	FUZZ_CHECK(!copy || (OSData_getLength(copy) == n && start + n <= slot->len));
	adxi_release(copy);
}

/* ---------------------------------------------------------------------------------------------
 * Containers
 */

static void
make_container(struct shadow *slot, struct fuzz *in)
{
	const uint8_t what = fuzz_uint8(in);

	slot->kind = (unsigned)(ARRAY + what % 4);
	switch (slot->kind) {
	case ARRAY:
		slot->object = (OSObject *)OSArray_withCapacity(what / 4);
		break;
	case DICTIONARY:
		slot->object = (OSObject *)OSDictionary_withCapacity(what / 4);
		break;
	case SET:
		slot->object = (OSObject *)OSSet_withCapacity(what / 4);
		break;
	default:
		slot->object = (OSObject *)OSOrderedSet_withCapacity_f(what / 4, NULL, NULL);
		break;
	}
	FUZZ_CHECK(slot->object);
}

static void
check_container(const struct shadow *slot)
{
	OSObject *value;

	FUZZ_CHECK(OSCollection_getCount((OSCollection *)slot->object) == slot->n_items);
	FUZZ_CHECK(OSCollection_getCapacity((OSCollection *)slot->object) >= slot->n_items);
	for (unsigned i = 0; i < slot->n_items; i++) {
		if (slot->kind == DICTIONARY) {
			FUZZ_CHECK(adxi_dict_pair((OSDictionary *)slot->object, i, &value) == slot->keys[i]);
			FUZZ_CHECK(value == slot->items[i]);
			FUZZ_CHECK(OSDictionary_getObject((OSDictionary *)slot->object, slot->keys[i]) == value);
		} else {
			FUZZ_CHECK(adxi_array_get((OSArray *)slot->object, i) == slot->items[i]);
		}
	}
}

static void
change_array(struct shadow *slot, unsigned what, unsigned at, OSObject *item)
{
	OSArray *array = (OSArray *)slot->object;
	bool done;

	switch (what) {
	case 0:
		done = OSArray_setObject(array, (OSMetaClassBase *)item);
		FUZZ_CHECK(done);
		put_item(slot, slot->n_items, NULL, item);
		break;
	case 1:
		done = OSArray_setObjectAtIndex(array, at, (OSMetaClassBase *)item);
		FUZZ_CHECK(done == (at <= slot->n_items));
		if (done)
			put_item(slot, at, NULL, item);
		break;
	case 2:
		done = OSArray_replaceObject(array, at, (OSMetaClassBase *)item);
		FUZZ_CHECK(done == (at < slot->n_items));
		if (done)
			slot->items[at] = item;
		break;
	case 3:
		OSArray_removeObject(array, at);
		cut_item(slot, at);
		break;
	default:
		FUZZ_CHECK(OSArray_getObject(array, at) == (at < slot->n_items ? slot->items[at] : NULL));
		FUZZ_CHECK(OSArray_getLastObject(array) == (slot->n_items ? slot->items[slot->n_items - 1] : NULL));
		FUZZ_CHECK(OSArray_getNextIndexOfObject(array, (OSMetaClassBase *)item, 0) ==
			   (find_item(slot, item) < slot->n_items ? find_item(slot, item) : UINT32_MAX));
		break;
	}
}

static void
change_dictionary(struct shadow *slot, unsigned what, OSObject *key, OSObject *item)
{
	OSDictionary *dict = (OSDictionary *)slot->object;
	unsigned at;

	/* "a" and "a\0" as data are both equal to the string "a" and not to each other: which of them is found first is nobody's
	 * business, so data are no keys here. */
	if (shadow_of(key)->kind != STRING && shadow_of(key)->kind != NUMBER)
		return;
	at = find_key(slot, key);
	if (what < 3) {
		FUZZ_CHECK(OSDictionary_setObject(dict, key, (OSMetaClassBase *)item));
		if (at < slot->n_items)
			slot->items[at] = item; /* the key that was there stays */
		else
			put_item(slot, slot->n_items, key, item);
	} else if (what == 3) {
		OSDictionary_removeObject(dict, key);
		cut_item(slot, at);
	} else {
		FUZZ_CHECK(OSDictionary_getObject(dict, key) == (at < slot->n_items ? slot->items[at] : NULL));
		if (shadow_of(key)->kind == STRING)
			FUZZ_CHECK(adxi_dict_get(dict, OSString_getCStringNoCopy((OSString *)key)) ==
				   (at < slot->n_items ? slot->items[at] : NULL));
	}
}

static void
change_set(struct shadow *slot, unsigned what, OSObject *item)
{
	OSSet *set = (OSSet *)slot->object;
	const unsigned at = find_item(slot, item);
	const bool is_in = at < slot->n_items;
	const OSMetaClassBase *object = (OSMetaClassBase *)item;

	if (what < 3) {
		if (slot->kind == ORDERED && what == 1) {
			FUZZ_CHECK(OSOrderedSet_setFirstObject((OSOrderedSet *)set, object) == !is_in);
			if (!is_in)
				put_item(slot, 0, NULL, item);
			return;
		}
		FUZZ_CHECK(OSSet_setObject(set, object) == !is_in);
		if (!is_in)
			put_item(slot, slot->n_items, NULL, item);
	} else if (what == 3) {
		OSSet_removeObject(set, object);
		cut_item(slot, at);
	} else {
		FUZZ_CHECK(OSSet_containsObject(set, object) == is_in);
		FUZZ_CHECK(OSSet_getAnyObject(set) == (slot->n_items ? slot->items[0] : NULL));
	}
}

static void
check_copy(const struct shadow *slot)
{
	OSObject *copy = adxi_copy_deep(slot->object), *back = NULL;
	struct adxi_buf buf = { 0 };
	int r;

	FUZZ_CHECK(copy && adxi_equal(copy, slot->object) && adxi_equal(slot->object, copy));
	FUZZ_CHECK(adxi_hash(copy) == adxi_hash(slot->object));
	adxi_release(copy);
	FUZZ_CHECK(adxi_object_describe(slot->object, &buf) == 0);
	adxi_buf_done(&buf);
	r = adxi_serialize(slot->object, &buf);
	if (r == 0) {
		FUZZ_CHECK(adxi_deserialize(buf.data, buf.len, &back) == 0);
		FUZZ_CHECK(adxi_equal(back, slot->object));
		adxi_release(back);
	}
	adxi_buf_done(&buf);
}

static void
step(struct fuzz *in)
{
	const unsigned which = fuzz_below(in, SLOTS), what = fuzz_below(in, 8);
	struct shadow *slot = &slots[which];
	OSObject *item, *key;
	unsigned other;

	if (which < LEAVES) {
		change_leaf(slot, in);
		check_leaf(slot);
		other = fuzz_below(in, LEAVES);
		FUZZ_CHECK(adxi_equal(slot->object, slots[other].object) == equal(slot->object, slots[other].object));
		return;
	}
	item = slots[fuzz_below(in, which)].object;
	key = slots[fuzz_below(in, LEAVES)].object;
	if (what == 5) {
		check_copy(slot);
	} else if (what == 6) {
		OSCollection_flushCollection((OSCollection *)slot->object);
		slot->n_items = 0;
	} else if (what == 7) {
		other = LEAVES + fuzz_below(in, CONTAINERS);
		FUZZ_CHECK(adxi_equal(slot->object, slots[other].object) == equal(slot->object, slots[other].object));
	} else if (slot->n_items < ITEMS - 1) {
		if (slot->kind == ARRAY)
			change_array(slot, what, fuzz_uint8(in) % ITEMS, item);
		else if (slot->kind == DICTIONARY)
			change_dictionary(slot, what, key, item);
		else
			change_set(slot, what, item);
	}
	check_container(slot);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz in = { bytes, size };
	unsigned i;

	memset(slots, 0, sizeof(slots));
	for (i = 0; i < LEAVES; i++)
		make_leaf(&slots[i], &in);
	for (; i < SLOTS; i++)
		make_container(&slots[i], &in);
	for (i = 0; i < OPS && in.left > 0; i++)
		step(&in);
	/* From the last on: what holds goes before what is held, which then has its slot's reference alone. */
	for (i = SLOTS; i-- > 0;) {
		FUZZ_CHECK(slots[i].kind == BOOLEAN || OSGetRetainCount((OSMetaClassBase *)slots[i].object) == 1);
		adxi_release(slots[i].object);
	}
	return 0;
}
