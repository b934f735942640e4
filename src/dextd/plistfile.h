/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_PLISTFILE_H
#define DEXTD_PLISTFILE_H

/** @file dextd/plistfile.h
 *  @brief Property list files as values. */

#include <stddef.h>

#include "dextd/value.h"

/**
 * Read a property list (XML or binary) whose top is a dictionary.
 *
 * @param reterr_why  [out] a clause about what is wrong: "is no property list", "holds a date at …"
 * @retval -ENOENT  no such file
 * @retval -EINVAL  no property list, no dictionary, or holds what the registry cannot, or more of it
 *                than plistbounds.h allows
 * @retval -EFBIG   more than 256 KiB
 */
int plistfile_read(const char *path, OSDictionary **ret_dict, char *reterr_why, size_t why_size);

#endif /* DEXTD_PLISTFILE_H */
