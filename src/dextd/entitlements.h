/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_ENTITLEMENTS_H
#define DEXTD_ENTITLEMENTS_H

/**
 * @file dextd/entitlements.h
 * @brief What macOS's entitlements allow: told in any realm, and enforced in strict ones.
 *
 * On macOS they are in a program's signature. Here a program's are in PROGRAM.entitlements beside
 * it, a bundle's in its Entitlements.plist. Whoever may write there may claim anything, so they say
 * what would work on macOS; they keep nobody out who is of the realm's user. access.h does.
 *
 * Where neither side declares any, there is nothing to hold against either: that is told in strict
 * realms, and let in.
 */

#include <stdbool.h>

#include <DriverKit/IOReturn.h>

#include "dextd/value.h"

struct bundle;
struct connection;
struct entry;
struct personality;
struct realm;
struct service;

/** What the process behind @p connection declares, with what the system adds (IOUserClientCreator,
 * administrator), as the driver sees it. @p info: what it says of itself, or NULL. +1, NULL: no
 * memory. */
OSDictionary *entitlements_of_client(const struct connection *connection, const OSDictionary *info);

/** IOServiceDEXTEntitlements: a string is wanted; an array of strings: one of them; an array of
 * arrays: all of one. */
bool entitlements_satisfy(const OSDictionary *entitlements, const OSObject *wanted);

/**
 * May a client with @p entitlements open @p service? Before anything is made for it.
 *
 * @retval kIOReturnNotPermitted   no access to the driver's bundle
 * @retval kIOReturnNotPrivileged  IOUserClientEntitlements of the service
 */
IOReturn entitlements_check_open(const struct connection *connection, const struct service *service,
				 const OSDictionary *entitlements);
/** The same for what the user client that was made asks for: IOUserClientEntitlements,
 * IOServiceDEXTEntitlements. */
IOReturn entitlements_check_client(const struct connection *connection, const struct entry *client,
				   const OSDictionary *entitlements);
/** May a driver of @p personality start on @p provider? kIOReturnNotPermitted: what one of the two
 * asks of the bundle. */
IOReturn entitlements_check_driver(const struct realm *realm, const struct entry *provider,
				   const struct personality *personality);

#endif /* DEXTD_ENTITLEMENTS_H */
