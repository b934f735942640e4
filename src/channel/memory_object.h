/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_MEMORY_OBJECT_H
#define CHANNEL_MEMORY_OBJECT_H

/**
 * @file channel/memory_object.h
 * @brief IOMemoryDescriptor, IOBufferMemoryDescriptor and IOMemoryMap: memory.h's things as objects
 * that cross.
 *
 * The same implementation in drivers, hosts and clients. A descriptor that crosses becomes a native
 * object of the receiver, on the same pages.
 */

#include <ambidext/class.h>

#include "channel/memory.h"

#ifndef __cplusplus
typedef struct IOMemoryDescriptor IOMemoryDescriptor;
#endif

/** New descriptor, +1, that owns @p memory (taken, also on failure); an IOBufferMemoryDescriptor if
 * the memory is flagged so. NULL: no memory. */
IOMemoryDescriptor *adxi_memory_object(struct adxi_memory *memory);
/** Memory of a descriptor, borrowed from it; NULL: @p object is NULL or not one. */
struct adxi_memory *adxi_memory_of(const OS_OBJECT *object);

#endif /* CHANNEL_MEMORY_OBJECT_H */
