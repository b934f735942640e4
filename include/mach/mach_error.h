/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_MACH_ERROR_H
#define AMBIDEXT_MACH_MACH_ERROR_H

#include <mach/error.h>
#include <mach/mach.h>

#endif /* AMBIDEXT_MACH_MACH_ERROR_H */
