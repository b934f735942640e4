/* SPDX-License-Identifier: MIT */
/* Property values over the containers of the object model. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dextd/value.h"

#define VALUE_DEPTH_MAX 32

const char *
value_type(const void *value)
{
	if (!value)
		return "nothing";
	if (value_is(OSString, value))
		return "string";
	if (value_is(OSNumber, value))
		return "number";
	if (value_is(OSBoolean, value))
		return "boolean";
	if (value_is(OSData, value))
		return "data";
	if (value_is(OSSet, value) || value_is(OSOrderedSet, value))
		return "set";
	if (value_is(OSArray, value))
		return "array";
	if (value_is(OSDictionary, value))
		return "dictionary";
	return "object";
}

bool
value_equal(const void *a, const void *b)
{
	if (!a || !b)
		return a == b;
	return OSObject_isEqualTo((const OSObject *)a, (const OSMetaClassBase *)b);
}

const char *
value_text(const void *value, char *buf, size_t size)
{
	const char *text = value_cstr(value);
	uint64_t number;

	if (text)
		(void)snprintf(buf, size, "string '%.100s'", text);
	else if (value_u64(value, &number))
		(void)snprintf(buf, size, "number %" PRIu64 " (0x%" PRIx64 ")", number, number);
	else if (value_is(OSBoolean, value))
		(void)snprintf(buf, size, "boolean %s", value_is_true(value) ? "true" : "false");
	else if (value_is(OSData, value))
		(void)snprintf(buf, size, "%zu bytes of data",
			       OSData_getLength(value_as(OSData, value)));
	else if (value)
		(void)snprintf(buf, size, "%s of %u", value_type(value), value_count(value));
	else
		(void)snprintf(buf, size, "nothing");
	return buf;
}

const char *
value_cstr(const void *value)
{
	OSString *string = value_as(OSString, value);
	const char *text;

	if (!string)
		return NULL;
	text = OSString_getCStringNoCopy(string);
	return text ? text : "";
}

bool
value_u64(const void *value, uint64_t *ret_number)
{
	OSNumber *number = value_as(OSNumber, value);

	if (!number)
		return false;
	*ret_number = OSNumber_unsigned64BitValue(number);
	return true;
}

bool
value_is_true(const void *value)
{
	OSBoolean *boolean = value_as(OSBoolean, value);

	return boolean && OSBoolean_isTrue(boolean);
}

OSString *
value_string_new(const char *text)
{
	return text ? OSString_withCString(text) : NULL;
}

OSNumber *
value_number_new(uint64_t number)
{
	return OSNumber_withNumber(number, 64);
}

OSArray *
value_array_new(void)
{
	return OSArray_withCapacity(4);
}

OSDictionary *
value_dict_new(void)
{
	return OSDictionary_withCapacity(8);
}

uint32_t
value_count(const void *collection)
{
	OSCollection *counted = value_as(OSCollection, collection);

	return counted ? OSCollection_getCount(counted) : 0;
}

const OSObject *
value_at(const void *array, uint32_t index)
{
	OSArray *from = value_as(OSArray, array);

	return from ? OSArray_getObject(from, index) : NULL;
}

bool
value_append(OSArray *array, const void *value)
{
	return array && value && OSArray_setObject(array, (const OSMetaClassBase *)value);
}

bool
value_append_new(OSArray *array, void *value)
{
	bool done = value_append(array, value);

	value_unref((OSMetaClassBase *)value);
	return done;
}

bool
value_append_cstr(OSArray *array, const char *text)
{
	return value_append_new(array, value_string_new(text));
}

bool
value_append_u64(OSArray *array, uint64_t number)
{
	return value_append_new(array, value_number_new(number));
}

const OSObject *
value_get(const OSDictionary *dict, const char *key)
{
	return dict ? OSDictionary_getObjectForCString((OSDictionary *)dict, key) : NULL;
}

const char *
value_get_cstr(const OSDictionary *dict, const char *key)
{
	return value_cstr(value_get(dict, key));
}

bool
value_set(OSDictionary *dict, const char *key, const void *value)
{
	return dict && value &&
	       OSDictionary_setObjectForCString(dict, key, (const OSMetaClassBase *)value);
}

bool
value_set_new(OSDictionary *dict, const char *key, void *value)
{
	bool done = value_set(dict, key, value);

	value_unref((OSMetaClassBase *)value);
	return done;
}

bool
value_set_cstr(OSDictionary *dict, const char *key, const char *text)
{
	return !text || value_set_new(dict, key, value_string_new(text));
}

bool
value_set_u64(OSDictionary *dict, const char *key, uint64_t number)
{
	return value_set_new(dict, key, value_number_new(number));
}

bool
value_set_bool(OSDictionary *dict, const char *key, bool truth)
{
	return value_set_new(dict, key, OSBoolean_withBoolean(truth));
}

void
value_remove(OSDictionary *dict, const char *key)
{
	if (dict)
		OSDictionary_removeObjectForCString(dict, key);
}

struct pair_walk {
	value_pair_fn *fn;
	void *context;
};

static bool
walk_pair(void *context, OSObject *key, OSObject *value)
{
	struct pair_walk *walk = context;
	const char *text = value_cstr(key);

	return text && walk->fn(walk->context, text, value);
}

bool
value_each(const OSDictionary *dict, value_pair_fn *fn, void *context)
{
	struct pair_walk walk = { .fn = fn, .context = context };

	return dict && OSDictionary_iteratePairs_f((OSDictionary *)dict, &walk, walk_pair);
}

struct member_walk {
	value_member_fn *fn;
	void *context;
};

static bool
walk_member(void *context, OSObject *value)
{
	struct member_walk *walk = context;

	return walk->fn(walk->context, value);
}

bool
value_each_member(const void *value, value_member_fn *fn, void *context)
{
	struct member_walk walk = { .fn = fn, .context = context };

	if (!value)
		return false;
	if (value_is(OSDictionary, value) || !value_is(OSCollection, value))
		return fn(context, value);
	return OSCollection_iterateObjects_f(value_as(OSCollection, value), &walk, walk_member);
}

OSDictionary *
value_merged(const OSDictionary *base, const OSDictionary *over)
{
	OSDictionary *merged;

	if (!base)
		base = over;
	if (!base)
		return value_dict_new();
	merged = OSDictionary_withDictionary((OSDictionary *)base, 0);
	if (merged && over && over != base && !OSDictionary_merge(merged, (OSDictionary *)over))
		merged = value_unref(merged);
	return merged;
}

OSDictionary *
value_deep_copy(const OSDictionary *dict)
{
	OSCollection *copy;

	if (!dict)
		return NULL;
	copy = OSCollection_copyCollection((OSCollection *)dict, NULL);
	return (OSDictionary *)copy;
}

struct storable {
	uint32_t left;
	unsigned depth;
};

static bool is_unstorable(void *context, const OSObject *value);

static bool
is_unstorable_pair(void *context, const char *key, const OSObject *value)
{
	return is_unstorable(context, value);
}

/* True stops the walk: something does not belong here. */
static bool
is_unstorable(void *context, const OSObject *value)
{
	struct storable *walk = context;
	bool bad;

	if (walk->left == 0 || OSIsRemote((const OSMetaClassBase *)value) ||
	    !value_is(OSContainer, value))
		return true;
	walk->left--;
	if (!value_is(OSCollection, value))
		return false;
	if (walk->depth == VALUE_DEPTH_MAX)
		return true;
	walk->depth++;
	if (value_is(OSDictionary, value))
		bad = value_each(value_as(OSDictionary, value), is_unstorable_pair, walk);
	else
		bad = value_each_member(value, is_unstorable, walk);
	walk->depth--;
	return bad;
}

bool
value_is_storable(const void *value, uint32_t limit)
{
	struct storable walk = { .left = limit };

	return value && !is_unstorable(&walk, value);
}
