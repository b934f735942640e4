/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_HASH_H
#define OBJECT_HASH_H

/** @file object/hash.h
 *  @brief Hash of bytes, different in each process, so that no stranger can choose keys that
 * collide. */

#include <stddef.h>
#include <stdint.h>

uint64_t adxi_hash_bytes(const void *bytes, size_t len);

#endif /* OBJECT_HASH_H */
