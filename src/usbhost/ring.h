/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_RING_H
#define USBHOST_RING_H

/**
 * @file usbhost/ring.h
 * @brief A driver's requests on one pipe that come through shared memory: usbdriverkit/ring.h.
 *
 * A request that was put into the ring is accepted, as far as the driver knows: what the queue or the back end refuses ends with the
 * refusal as its status. What comes by messages on the same pipe comes after what is in the ring, so whoever serves one calls
 * host_ring_take() first.
 *
 * Threads: everything [any]. A ring counts references: host_ref(), host_unref(). It ends with its last request.
 */

#include <DriverKit/IOMemoryDescriptor.h>
#include <USBDriverKit/ADXUSBCompletions.h>

#include "usbhost/core.h"

struct host_ring;

/** @p completions: the driver's end, retained. NULL: no memory. */
struct host_ring *host_ring_new(struct host_pipe *pipe, ADXUSBCompletions *completions);
/** Whether it belongs to the process that has @p completions. */
bool host_ring_is_of(const struct host_ring *ring, ADXUSBCompletions *completions);
/** Borrowed. */
IOMemoryDescriptor *host_ring_memory(struct host_ring *ring);
/** Submit what is there. NULL is allowed. */
void host_ring_take(struct host_ring *ring);
/** Its bell was rung. NULL is allowed. */
void host_ring_rung(struct host_ring *ring);
/** One that came by a message: submit what was put in before, and then it. @p data: in @p buffer, NULL if @p length is 0. The queue's or the
 *  back end's refusal. */
IOReturn host_ring_submit(struct host_ring *ring, uint32_t cookie, IOMemoryDescriptor *buffer, uint8_t *data, uint32_t length,
			  uint32_t timeout_ms);
/** What submissions mean by @p index; NULL: nothing. kIOReturnBadArgument (perhaps told), kIOReturnVMError. */
IOReturn host_ring_set_buffer(struct host_ring *ring, uint32_t index, IOMemoryDescriptor *descriptor);

#endif /* USBHOST_RING_H */
