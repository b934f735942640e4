/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_DISPATCH_QUEUE_H
#define DRIVERKIT_DISPATCH_QUEUE_H

#include <DriverKit/IODispatchQueue.h>

#include "driverkit/queue.h"

/** Queue of @p object, borrowed from it; NULL: @p object is NULL or was never made by Create. */
struct adxi_queue *adxi_queue_of(const IODispatchQueue *object);
/** New object, +1, for @p queue (a reference is taken). NULL: no memory. */
IODispatchQueue *adxi_queue_object(struct adxi_queue *queue);

/** Queue for what has none of its own: targets made with OSTypeAlloc, outside of any queue.
 * Borrowed; never NULL. */
struct adxi_queue *adxi_queue_root(void);
/** Queue for dextd's commands. Nothing of a driver runs on it. Borrowed; never NULL. */
struct adxi_queue *adxi_queue_control(void);

#endif /* DRIVERKIT_DISPATCH_QUEUE_H */
