/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_IOKIT_IORETURN_H
#define AMBIDEXT_IOKIT_IORETURN_H
#include <DriverKit/IOReturn.h>
#endif
