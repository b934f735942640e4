/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_OSLOG_H
#define OBJECT_OSLOG_H

/** @file object/oslog.h
 *  @brief Where os_log and IOLog meet: one line an event on standard error, which dextd collects
 * from its drivers. */

#include <stdarg.h>

/** One line: prefix, then the text as adxi_format() makes it; newlines in it become spaces. errno
 * is kept.
 *  @return bytes written, without the newline */
int adxi_oslog_write(const char *prefix, const char *format, va_list ap);

#endif /* OBJECT_OSLOG_H */
