/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_STATUS_H
#define USBHOST_STATUS_H

/** @file usbhost/status.h
 *  @brief How back ends' ends and errors read at the edge. Threads: [any]. */

#include <DriverKit/IOReturn.h>

#include "usbhost/backend.h"

/** How a transfer ended. */
IOReturn usb_status_return(enum usb_status status);
/** What an op answered: 0 or a negative errno. */
IOReturn usb_error_return(int error);

#endif /* USBHOST_STATUS_H */
