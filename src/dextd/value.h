/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_VALUE_H
#define DEXTD_VALUE_H

/**
 * @file dextd/value.h
 * @brief Property values: short names for the containers as dextd uses them.
 *
 * A value is a container object; dictionaries and arrays that other processes gave are never
 * changed, only copied. get: borrowed. new, copy: +1. Setters retain. NULL arguments are allowed
 * and mean "none".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <DriverKit/OSArray.h>
#include <DriverKit/OSBoolean.h>
#include <DriverKit/OSCollection.h>
#include <DriverKit/OSContainer.h>
#include <DriverKit/OSData.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSObject.h>
#include <DriverKit/OSOrderedSet.h>
#include <DriverKit/OSSet.h>
#include <DriverKit/OSString.h>

#include "base/cleanup.h"

#define value_ref(value)                                                                           \
	({                                                                                         \
		__typeof__(value) value_referenced_ = (value);                                     \
		if (value_referenced_)                                                             \
			OSRetain((const OSMetaClassBase *)value_referenced_);                      \
		value_referenced_;                                                                 \
	})
/** Always NULL. */
#define value_unref(value)                                                                         \
	({                                                                                         \
		if (value)                                                                         \
			OSRelease((const OSMetaClassBase *)(value));                               \
		NULL;                                                                              \
	})
static inline void
value_unrefp(void *pointer)
{
	OSMetaClassBase *value = *(OSMetaClassBase **)pointer;

	if (value)
		OSRelease(value);
}
#define value_auto adxi_cleanup(value_unrefp)

/** NULL when it is of another type. */
#define value_as(type, value)                                                                      \
	((type *)OSMetaClassCast((const OSMetaClassBase *)(value), &type##_Class))
#define value_is(type, value) (value_as(type, value) != NULL)

/** "string", "number", "boolean", "data", "array", "dictionary", "set", "nothing". */
const char *value_type(const void *value);
/** Content; types must be the same. */
bool value_equal(const void *a, const void *b);
/** For messages: strings in quotes, numbers in decimal and hex, containers by their size.
 * Truncates. */
const char *value_text(const void *value, char *buf, size_t size);

/** Text of a string value, or NULL. */
const char *value_cstr(const void *value);
/** A number of any width, signed in 64 bits after sign extension of its width when @p is_signed. */
bool value_u64(const void *value, uint64_t *ret_number);
bool value_is_true(const void *value);

OSString *value_string_new(const char *text);
OSNumber *value_number_new(uint64_t number);
OSArray *value_array_new(void);
OSDictionary *value_dict_new(void);

uint32_t value_count(const void *collection);
const OSObject *value_at(const void *array, uint32_t index);
/** Append; false: no memory. The _new forms take the reference of @p value (NULL: false). */
bool value_append(OSArray *array, const void *value);
bool value_append_new(OSArray *array, void *value);
bool value_append_cstr(OSArray *array, const char *text);
bool value_append_u64(OSArray *array, uint64_t number);

const OSObject *value_get(const OSDictionary *dict, const char *key);
const char *value_get_cstr(const OSDictionary *dict, const char *key);
bool value_set(OSDictionary *dict, const char *key, const void *value);
bool value_set_new(OSDictionary *dict, const char *key, void *value);
/** NULL text: nothing is set, true. */
bool value_set_cstr(OSDictionary *dict, const char *key, const char *text);
bool value_set_u64(OSDictionary *dict, const char *key, uint64_t number);
bool value_set_bool(OSDictionary *dict, const char *key, bool truth);
void value_remove(OSDictionary *dict, const char *key);

/** Each pair in order; true from @p fn stops and is returned. */
typedef bool value_pair_fn(void *context, const char *key, const OSObject *value);
bool value_each(const OSDictionary *dict, value_pair_fn *fn, void *context);
/** Each member of an array or a set; a single value of another type counts as one member. */
typedef bool value_member_fn(void *context, const OSObject *value);
bool value_each_member(const void *value, value_member_fn *fn, void *context);

/** New dictionary: @p base with @p over merged over it; either may be NULL. NULL: no memory. */
OSDictionary *value_merged(const OSDictionary *base, const OSDictionary *over);
/** Copy that shares no collection with @p dict. NULL: no memory, or NULL given. */
OSDictionary *value_deep_copy(const OSDictionary *dict);
/** Containers all the way down, none deeper than 32, at most @p limit values in all: what another
 * process may store here. */
bool value_is_storable(const void *value, uint32_t limit);

#endif /* DEXTD_VALUE_H */
