/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_RUNTIME_H
#define AMBIDEXT_RUNTIME_H

/** @file ambidext/runtime.h
 *  @brief Functions that iig's output calls besides those of class.h. Not for people. */

#include <ambidext/class.h>

ADX_BEGIN_DECLS

/** OSAction for a TYPE() method: an object of @p type (a direct subclass of OSAction) on @p target (may be
 *  NULL). kIOReturnNoMemory, kIOReturnBadArgument. Provided by libDriverKit. */
ADX_API kern_return_t OSAction_CreateOfClass(const struct OSMetaClass *type, OSObject *target,
					     uint64_t target_method, uint64_t method,
					     size_t reference_size, OSAction **action);

/** Rules that stubs tell: T42 (count over bound, string truncated), T43 (wrong class returned), T33. */
ADX_API void OSToldOverrun(const char *method, const char *parameter, uint64_t count, uint64_t bound);
ADX_API void OSToldTruncated(const char *method, const char *parameter, size_t length, size_t bound);
ADX_API void OSToldWrongClass(const char *method, const char *parameter, const OS_OBJECT *object,
			      const struct OSMetaClass *wanted);
ADX_API void OSToldWrongAction(const struct OSMethod *method, const OS_OBJECT *action);
/** A message that a peer sent does not fit its method's signature; told once a channel. */
ADX_API void OSToldMalformed(const struct OSMethod *method, const char *what);

ADX_END_DECLS
#endif /* AMBIDEXT_RUNTIME_H */
