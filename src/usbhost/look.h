/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_LOOK_H
#define USBHOST_LOOK_H

/**
 * @file usbhost/look.h
 * @brief One thread of the process that may look at memory instead of sleeping, on another processor than the driver's.
 *
 * Threads: everything [any].
 */

#include <stdbool.h>
#include <stdint.h>

/**
 * Have @p look called on that thread.
 *
 * @param not_on  a processor where it must not run
 * @return false: it is busy, there is no other processor, or AMBIDEXT_SPIN=off
 */
bool host_look_begin(unsigned not_on, void (*look)(void *context), void *context);

#endif /* USBHOST_LOOK_H */
