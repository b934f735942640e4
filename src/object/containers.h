/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_CONTAINERS_H
#define OBJECT_CONTAINERS_H

/**
 * @file object/containers.h
 * @brief Containers in plain C, for the daemon, the channel and the client library.
 *
 * The classes' own functions (OSString_withCString, OSDictionary_setObject, ...) come from
 * interfaces/DriverKit; here are short forms for code that builds and reads property dictionaries.
 * Objects are given as void pointers, so that no casts are needed; NULL is allowed as the
 * dictionary or object that is read.
 *
 * Threads: as the containers: none of it locks. Different objects may be used on different threads.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "object/classes.h"

/* References. All NULL-safe. */
static inline void *
adxi_retain(const void *object)
{
	OSRetain((const OSMetaClassBase *)object);
	return (void *)(uintptr_t)object;
}

/** Always NULL. */
static inline void *
adxi_release(const void *object)
{
	OSRelease((const OSMetaClassBase *)object);
	return NULL;
}

/** adxi_cleanup(adxi_releasep) for any pointer to an object. */
static inline void
adxi_releasep(void *pointer)
{
	OSRelease(*(OSMetaClassBase **)pointer);
}

/** By content for containers, by identity for others. NULL equals NULL only. */
bool adxi_equal(const void *left, const void *right);
/** A hash that agrees with adxi_equal(). */
uint64_t adxi_hash(const void *object);
/** Class of @p object by name, for messages: "OSString", "NULL". */
const char *adxi_class_name(const void *object);

/* Dictionaries with C strings as keys. Setters: 0, -ENOMEM, -EINVAL (no key or no value). */
OSDictionary *adxi_dict_new(void);
int adxi_dict_set(OSDictionary *dict, const char *key, const void *value);
/** @p value is taken, also on failure. NULL value: -ENOMEM, so that factories can be nested. */
int adxi_dict_set_take(OSDictionary *dict, const char *key, void *value);
int adxi_dict_set_string(OSDictionary *dict, const char *key, const char *value);
int adxi_dict_set_number(OSDictionary *dict, const char *key, uint64_t value, unsigned bits);
int adxi_dict_set_bool(OSDictionary *dict, const char *key, bool value);
int adxi_dict_set_data(OSDictionary *dict, const char *key, const void *bytes, size_t len);
void adxi_dict_remove(OSDictionary *dict, const char *key);

/** Borrowed, or NULL. */
OSObject *adxi_dict_get(const OSDictionary *dict, const char *key);
/** Text of the OSString there, borrowed, or NULL when absent or of another class. */
const char *adxi_dict_get_string(const OSDictionary *dict, const char *key);
/** False: absent or no OSNumber; *ret_value untouched. */
bool adxi_dict_get_number(const OSDictionary *dict, const char *key, uint64_t *ret_value);
/** An OSBoolean, or an OSNumber that is not 0; @p otherwise when absent or of another class. */
bool adxi_dict_get_bool(const OSDictionary *dict, const char *key, bool otherwise);
OSDictionary *adxi_dict_get_dict(const OSDictionary *dict, const char *key);
OSArray *adxi_dict_get_array(const OSDictionary *dict, const char *key);
OSData *adxi_dict_get_data(const OSDictionary *dict, const char *key);

uint32_t adxi_dict_count(const OSDictionary *dict);
/** Pair @p index in insertion order: borrowed key, *ret_value borrowed. NULL: beyond the end. */
OSObject *adxi_dict_pair(const OSDictionary *dict, uint32_t index, OSObject **ret_value);

/* Arrays and sets. */
OSArray *adxi_array_new(void);
/** 0, -ENOMEM, -EINVAL. */
int adxi_array_append(OSArray *array, const void *value);
int adxi_array_append_take(OSArray *array, void *value);
int adxi_array_append_string(OSArray *array, const char *value);
uint32_t adxi_array_count(const OSArray *array);
/** Borrowed, or NULL. */
OSObject *adxi_array_get(const OSArray *array, uint32_t index);
const char *adxi_array_get_string(const OSArray *array, uint32_t index);
/** Whether an element equals @p value (sets: CF's meaning of membership). */
bool adxi_array_contains(const OSArray *array, const void *value);

/* Values. */
/** Borrowed text, or NULL when @p object is no OSString. "" for an empty one. */
const char *adxi_string_text(const void *object);
/** False: no OSNumber. */
bool adxi_number_value(const void *object, uint64_t *ret_value);
/** As an application sees it: numbers of 32 and 64 bits have a sign; those of 8 and 16, which a device's descriptors have, do not. */
int64_t adxi_number_signed(const OSNumber *number);
/** Numbers that came through CFNumberCreate() with a floating type. */
OSNumber *adxi_number_real(double value, unsigned bits);
bool adxi_number_is_real(const OSNumber *number);
double adxi_number_double(const OSNumber *number);
OSString *adxi_string_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
OSString *adxi_string_bytes(const char *bytes, size_t len);
/** Overwrites and resizes; false: no memory. For CFMutableData. */
bool adxi_data_set_length(OSData *data, size_t len);
void *adxi_data_bytes(OSData *data);

/** A copy of containers all the way down; values that cannot change are shared. +1. NULL: no memory
 * or nested deeper than 64. Objects of other classes are shared too. */
OSObject *adxi_copy_deep(const void *object);

/* Text. Nested deeper than 64: cut with "...". 0, -ENOMEM, -EMSGSIZE. */
/** One line as ioreg prints it: {"key"=1,"other"=("a","b"),"flag"=Yes,"data"=<0102>}. */
int adxi_object_describe(const void *object, struct adxi_buf *buf);
/** JSON; data as "base64:..." strings, sets as arrays, other objects as strings. @p indent: 0: one
 * line. */
int adxi_object_json(const void *object, struct adxi_buf *buf, unsigned indent);
/** A JSON string with quotes. Bytes that are no UTF-8 become U+FFFD. */
int adxi_json_string(const char *text, size_t len, struct adxi_buf *buf);
/** Copy @p len bytes that may go to a terminal afterwards: what is no UTF-8, and control characters but those in @p but, become
 * @p instead. The copy has the same length, and a NUL behind it. */
void adxi_text_harmless(char *to, const char *text, size_t len, const char *but, char instead);
/** XML property list, whole document. -EINVAL: holds an object that property lists know not. */
int adxi_object_plist(const void *object, struct adxi_buf *buf);

#endif /* OBJECT_CONTAINERS_H */
