/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_SERIALIZE_FUZZ_H
#define OBJECT_SERIALIZE_FUZZ_H

/** @file object/serialize_fuzz.h
 *  @brief The decoder's promise, checked on any bytes: for the unit test and for
 *  tests/fuzz/serialize.c. */

#include <stddef.h>
#include <stdint.h>

/** Decode; if that works, encode again: the same bytes, else abort. 1: decoded, 0: refused. */
int adxi_serialize_fuzz(const uint8_t *bytes, size_t len);

#endif /* OBJECT_SERIALIZE_FUZZ_H */
