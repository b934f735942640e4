/* SPDX-License-Identifier: MIT */
#ifndef COREFOUNDATION_FORMAT_H
#define COREFOUNDATION_FORMAT_H

/** @file corefoundation/format.h
 *  @brief printf's conversions and %@. */

#include <stdarg.h>

#include "base/buf.h"

/** Append. %@ takes an object: a string's text, others as CFCopyDescription has them. Conversions that store (%n)
 *  or are unknown end the text there. 0, -ENOMEM. */
int adxi_cf_format(struct adxi_buf *buf, const char *format, va_list arguments);

#endif /* COREFOUNDATION_FORMAT_H */
