/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_SERIALIZE_H
#define OBJECT_SERIALIZE_H

/**
 * @file object/serialize.h
 * @brief Containers as bytes, and back.
 *
 *   bytes   = magic "AdxS", version 1, three zero bytes, value, nothing after it
 *   value   = tag byte, then by tag:
 *     'z' NULL   't' true   'f' false
 *     'n' number: width in bits (1 byte), value (8)         'r' real: width in bits (1), IEEE
 * double (8) 's' string: length (4), bytes, none of them 0         'd' data: length (4), bytes 'a'
 * array, 'e' set, 'o' ordered set: count (4), values 'm' dictionary: count (4), then that many
 * strings' lengths and bytes (without tag), each with a value All numbers little-endian. NULL only
 * at the top.
 *
 * The decoder takes bytes from strangers: each length and count is held against what is left,
 * nesting against 64, keys against doubles.
 */

#include <stddef.h>

#include "base/buf.h"
#include "object/classes.h"

#define ADXI_SERIALIZE_MAX_DEPTH 64u
#define ADXI_SERIALIZE_MAX_BYTES (4u << 20)

/**
 * Append @p object's bytes to @p buf.
 * @retval -ELOOP     a container holds itself, or they nest deeper than 64
 * @retval -EINVAL    an object in it has no serialized form, or a key is no string
 * @retval -EMSGSIZE  more than 4 MiB
 * @retval -ENOMEM
 */
int adxi_serialize(const OSObject *object, struct adxi_buf *buf);

/**
 * @param ret_object  +1; NULL for serialized NULL
 * @retval -EBADMSG  not such bytes
 * @retval -ENOMEM
 */
int adxi_deserialize(const void *bytes, size_t len, OSObject **ret_object);

#endif /* OBJECT_SERIALIZE_H */
