/* SPDX-License-Identifier: MIT */
#ifndef USBDRIVERKIT_DESCRIPTORS_H
#define USBDRIVERKIT_DESCRIPTORS_H

/**
 * @file usbdriverkit/descriptors.h
 * @brief What a host sent as a descriptor becomes one that a driver may trust the lengths of.
 */

#include <ambidext/classes.h>
#include <USBDriverKit/AppleUSBDescriptorParsing.h>

/**
 * A copy that IOUSBHostFreeDescriptor() ends. Takes the caller's reference on @p data.
 *
 * The first descriptor in it has to be of @p type and whole; a configuration or BOS has as many bytes as its
 * wTotalLength says. NULL: it is not so, there is no memory, or data is NULL.
 */
const void *usb_adopt_descriptor(OSData *data, uint8_t type);
/** The check alone, on @p size bytes. */
bool usb_descriptor_is_whole(const void *bytes, size_t size, uint8_t type);

/** A class's _CopyDescriptor, so that device and interface share what is below. Status, *ret_data +1. */
typedef kern_return_t usb_fetch(void *self, uint8_t type, uint8_t index, uint16_t language, uint16_t max_length,
				OSData **ret_data);
const IOUSBStringDescriptor *usb_copy_string(usb_fetch *fetch, void *self, uint8_t index, uint16_t language);

#endif /* USBDRIVERKIT_DESCRIPTORS_H */
