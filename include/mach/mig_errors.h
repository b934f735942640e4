/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_MIG_ERRORS_H
#define AMBIDEXT_MACH_MIG_ERRORS_H

#include <mach/kern_return.h>

#define MIG_TYPE_ERROR (-300)
#define MIG_REPLY_MISMATCH (-301)
#define MIG_REMOTE_ERROR (-302)
#define MIG_BAD_ID (-303)
#define MIG_BAD_ARGUMENTS (-304)
#define MIG_NO_REPLY (-305)
#define MIG_EXCEPTION (-306)
#define MIG_ARRAY_TOO_LARGE (-307)
#define MIG_SERVER_DIED (-308)
#define MIG_TRAILER_ERROR (-309)

#endif /* AMBIDEXT_MACH_MIG_ERRORS_H */
