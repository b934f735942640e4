/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_ACCESS_H
#define DEXTD_ACCESS_H

/**
 * @file dextd/access.h
 * @brief Which users may open which services.
 *
 * The realm's owner (dextd's own user) and root always may. For others the first rule of the policy
 * file that names the service decides, and what the command line says where none does. What macOS's
 * entitlements say is in entitlements.h.
 */

#include <stdbool.h>
#include <stddef.h>

#include <DriverKit/IOReturn.h>

#include "dextd/value.h"

struct access;
struct connection;
struct entry;
struct realm;

/** @p ret_access lets in nobody but the owner and root. 0, -ENOMEM. */
int access_new(struct access **ret_access);
struct access *access_free(struct access *access);

/**
 * Let someone open every service that no rule of the policy names.
 *
 * @param who      "everyone", "user:NAME-or-number", "group:NAME-or-number"
 * @param ret_why  [out] a clause about what is wrong
 * @retval -EINVAL  it is none of these, or there is no such user or group
 */
int access_open_to(struct access *access, const char *who, char *ret_why, size_t why_size);
/**
 * Take the rules of a policy's "Access": an array of dictionaries {"Bundle": id, "Class": class of
 * the service, "OpenTo": a string or an array of them, as access_open_to() takes}. Bundle and Class
 * may be left out. All or nothing.
 *
 * @retval -EINVAL  with @p ret_why
 */
int access_read_policy(struct access *access, const OSObject *rules, char *ret_why,
		       size_t why_size);
/** Somebody besides the owner and root is let in somewhere: others have to reach the socket. */
bool access_is_for_others(const struct access *access);

/**
 * May the process behind @p connection open @p entry, as far as its user goes? A refusal is told
 * (ACC001).
 *
 * @retval kIOReturnNotPermitted  no
 */
IOReturn access_check(const struct connection *connection, const struct entry *entry);

#endif /* DEXTD_ACCESS_H */
