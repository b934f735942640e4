/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_AVAILABILITYMACROS_H
#define AMBIDEXT_AVAILABILITYMACROS_H
#include <Availability.h>
#endif
