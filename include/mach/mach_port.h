/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_MACH_PORT_H
#define AMBIDEXT_MACH_MACH_PORT_H
#include <mach/mach.h>
#endif
