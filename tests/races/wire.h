/* SPDX-License-Identifier: MIT */
#ifndef RACES_WIRE_H
#define RACES_WIRE_H

/**
 * @file races/wire.h
 * @brief Between a driver's end of a pipe (usbdriverkit/pipe.c) and usbhost's (usbhost/ring.c),
 * both in this process: two queues in the place of the channel. What goes one way keeps its order,
 * and arrives when a worker runs it.
 */

#include <USBDriverKit/IOUSBHostPipe.h>

#include "usbhost/core.h"

void wire_begin(void);
/** Everything has arrived, and nobody has an end any more. */
void wire_end(void);
/** A driver's proxy of @p pipe, +1. */
IOUSBHostPipe *wire_pipe(struct host_pipe *pipe);
/** usbhost lets go of its end of the ring, as when its pipe's object goes. */
void wire_drop(IOUSBHostPipe *proxy);
/** Looks that usbhost began. */
unsigned wire_looks(void);
/** Rings that usbhost has. */
unsigned wire_rings(void);

#endif /* RACES_WIRE_H */
