/* SPDX-License-Identifier: MIT */
#ifndef DRIVER_H
#define DRIVER_H

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "TransferC.h"
#include "TransferDriverC.h"
#include "../03-transfer/TransferMethods.h"

/* transfer.c */
bool transfer_setup(TransferC *self, TransferDriverC *driver, IOUSBHostInterface *interface);
bool transfer_submit(TransferC *self);
void transfer_cancel(TransferC *self);

/* driver.c: a read was accepted; has ended (true: submit again). */
void driver_submitted(TransferDriverC *self);
bool driver_completed(TransferDriverC *self, IOReturn status, const void *bytes, uint32_t n_bytes);

#endif
