/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DRIVERKIT_IORPC_H
#define AMBIDEXT_DRIVERKIT_IORPC_H

/** @file DriverKit/IORPC.h
 *  @brief IORPC, so that signatures of REPLY methods compile. Sources have nothing to do with its members. */

#include <DriverKit/OSMetaClass.h>

#endif /* AMBIDEXT_DRIVERKIT_IORPC_H */
