/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_OSLOG_H
#define DRIVERKIT_OSLOG_H

#include <stdarg.h>

/** One line to standard error, which dextd collects: prefix, then the text. Annotations as %{public}s are taken out of
 *  @p format first; newlines in the text become spaces. @return bytes of text */
int adxi_oslog_write(const char *prefix, const char *format, va_list ap);

#endif /* DRIVERKIT_OSLOG_H */
