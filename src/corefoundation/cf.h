/* SPDX-License-Identifier: MIT */
#ifndef COREFOUNDATION_CF_H
#define COREFOUNDATION_CF_H

/** @file corefoundation/cf.h
 *  @brief Between the files of this folder. */

#include <CoreFoundation/CFString.h>

/** The process's one string of that text. Borrowed; ends the process when there is no memory for it. [any] */
CFStringRef adxi_cf_constant(const char *text);
/** Entry of ambidext/realm.h that lives here because it is text of objects. */
ADX_API char *adx_json(CFTypeRef object);

#endif /* COREFOUNDATION_CF_H */
