/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_FORMAT_H
#define OBJECT_FORMAT_H

/** @file object/format.h
 *  @brief printf's conversions, %@ of objects, and os_log's annotations: for CFString and os_log.
 */

#include <stdarg.h>

#include "base/buf.h"

/**
 * Append. %@ takes an object: a string's text, others as containers.h describes them. %m is errno's
 * text.
 *
 * Annotations: %{public}s and %{private}s show the same; %{bool}d, %{BOOL}d, %{errno}d and
 * %{darwin.errno}d show words;
 * %{uuid_t}.16P and %.*P take bytes; others are skipped. Conversions that store (%n) or are unknown
 * end the text there.
 *
 * @return 0, -ENOMEM, -EMSGSIZE
 */
int adxi_format(struct adxi_buf *buf, const char *format, va_list arguments);

#endif /* OBJECT_FORMAT_H */
