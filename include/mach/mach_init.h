/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_MACH_INIT_H
#define AMBIDEXT_MACH_MACH_INIT_H
#include <mach/mach.h>
#endif
