/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_UPGRADE_H
#define DEXTD_UPGRADE_H

/**
 * @file dextd/upgrade.h
 * @brief A loaded bundle is replaced by another version of it, which has to start, or the old one
 * comes back (docs/decisions/0009, "Upgrades").
 *
 *   CHECKED --old stopped, as an unplug does--> STARTING --a driver runs--> answered: the new
 * version
 *                                                  |--Start fails, crash, nothing fits--> BACK -->
 * answered: the old one
 */

#include "dextd/value.h"

struct OSReply;
struct bundle;
struct realm;
struct service;

/** Replace the bundle of the same id by that at @p path. @p reply is taken. */
void upgrade_begin(struct realm *realm, const char *path, struct OSReply *reply);
/** The start of a driver ended. */
void upgrade_started(struct realm *realm, const struct service *service, bool ok);
/** Nothing is busy any more. */
void upgrade_check(struct realm *realm);
/** The realm ends. */
void upgrade_forget_all(struct realm *realm);

#endif /* DEXTD_UPGRADE_H */
