/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_AUDIT_H
#define DEXTD_AUDIT_H

/**
 * @file dextd/audit.h
 * @brief Who opened what, or was refused: a ring of its own, so that no driver's log pushes it out.
 */

#include <DriverKit/IOReturn.h>

struct connection;

/** Write down what the process behind @p connection asked for (@p fmt: "open Drv-0x100 type 0") and
 * what it got. */
void audit(const struct connection *connection, IOReturn status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* DEXTD_AUDIT_H */
