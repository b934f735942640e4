/* SPDX-License-Identifier: MIT */
#ifndef BASE_IORETURN_H
#define BASE_IORETURN_H

/**
 * @file base/ioreturn.h
 * @brief Return codes as people read them, and as errno becomes them. Threads: [any].
 */

#include <DriverKit/IOReturn.h>

/**
 * The constant's name ("kIOReturnNotReady"). A code without one is taken apart: "iokit/usb code 0x123
 * (0xe0004123)", in storage of this thread that the next such call overwrites. Never NULL.
 */
const char *adxi_ioreturn_name(int code);
/** A few words that read after "it failed: "; for a code without a name, the same as the name. */
const char *adxi_ioreturn_text(int code);

/** What @p error, an errno or a negative one, is at the edge; 0 is success, an unknown one kIOReturnError. */
IOReturn adxi_ioreturn_from_errno(int error);

#endif /* BASE_IORETURN_H */
