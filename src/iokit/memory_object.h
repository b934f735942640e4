/* SPDX-License-Identifier: MIT */
#ifndef IOKIT_MEMORY_OBJECT_H
#define IOKIT_MEMORY_OBJECT_H

/** @file iokit/memory_object.h
 *  @brief IOMemoryDescriptor as a client has it: an object to pass memory by, without the driver's methods. */

#include <DriverKit/IOMemoryDescriptor.h>

#include "channel/memory.h"

/** New object on @p memory (taken, also on failure). NULL: no memory. */
IOMemoryDescriptor *adxi_memory_object(struct adxi_memory *memory);
/** Memory of an IOMemoryDescriptor (borrowed), or NULL: another class. */
struct adxi_memory *adxi_memory_of(const OS_OBJECT *object);

#endif /* IOKIT_MEMORY_OBJECT_H */
