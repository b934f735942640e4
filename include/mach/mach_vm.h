/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_MACH_VM_H
#define AMBIDEXT_MACH_MACH_VM_H
#include <mach/mach.h>
#endif
