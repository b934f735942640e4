/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_PLISTBOUNDS_H
#define DEXTD_PLISTBOUNDS_H

/**
 * @file dextd/plistbounds.h
 * @brief What a property list's bytes would make of libplist's memory and stack, found before it is asked.
 *
 * libplist recurses for each level, in XML when it frees and in binary also when it reads, and it copies an object of a binary
 * list for each reference to it. A few hundred bytes are enough for any amount of memory, and dextd is everybody's.
 */

#include <stddef.h>
#include <stdint.h>

#define PLIST_MAX_BYTES	     (256u << 10) /* time grows with the square of a text's entities */
#define PLIST_MAX_CONTAINERS 4096u	  /* XML: all; so none is deeper */
#define PLIST_MAX_DEPTH	     32u	  /* binary */
#define PLIST_MAX_VALUES     16384u	  /* binary: with every reference followed */

/** @p bytes: @p size of them, and a NUL. NULL: libplist may have it; else a clause that says what is too much. */
const char *plist_excess(const char *bytes, size_t size);

#endif /* DEXTD_PLISTBOUNDS_H */
