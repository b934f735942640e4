/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_POLICY_H
#define DEXTD_POLICY_H

/**
 * @file dextd/policy.h
 * @brief The policy file: what the realm's owner grants beyond the defaults. dextd.8 describes it.
 */

#include <stddef.h>

#include "dextd/value.h"

/**
 * Read a policy: a property list whose keys are all known, in a file that nobody but its reader and
 * root may write.
 *
 * @param ret_why  [out] a clause about what is wrong
 * @retval -ENOENT  there is no such file
 * @retval -EPERM   somebody else may write it
 * @retval -EINVAL  no property list, or a key that is not known
 */
int policy_read(const char *path, OSDictionary **ret_policy, char *ret_why, size_t why_size);

#endif /* DEXTD_POLICY_H */
