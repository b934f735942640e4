/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_MACH_INTERFACE_H
#define AMBIDEXT_MACH_MACH_INTERFACE_H
#include <mach/mach.h>
#endif
