/* SPDX-License-Identifier: MIT */
#ifndef IOKIT_STAGING_H
#define IOKIT_STAGING_H

/** @file iokit/staging.h
 *  @brief Large input on its way to a driver: copied once, by the kernel, into memory that the
 * driver's process knows from earlier calls (it copies from there before the driver sees it) or,
 * above IOKIT_STAGING_MAX, into pages sealed against writing, made for the call. Threads:
 * everything [any]. */

#include <pthread.h>
#include <stddef.h>

#include <DriverKit/IOMemoryDescriptor.h>

#define IOKIT_STAGING_MAX                                                                          \
	((size_t)1 << 20) /* CLIENT_BUFFERS_COPIED of the driver's side is the same */
#define IOKIT_STAGING_SPARE 2u

struct iokit_staging {
	pthread_mutex_t lock;                           /* guards all below; taken alone */
	IOMemoryDescriptor *spare[IOKIT_STAGING_SPARE]; /* owned references: no call uses them */
};

void iokit_staging_init(struct iokit_staging *staging);
void iokit_staging_done(struct iokit_staging *staging);
/** A copy of @p size bytes, for one call; +1. The descriptor may be larger.
 * MACH_SEND_INVALID_MEMORY: they are not all there; kIOReturnNoMemory. */
kern_return_t iokit_staging_take(struct iokit_staging *staging, const void *bytes, size_t size,
				 IOMemoryDescriptor **ret_memory);
/** The call has returned: @p memory, which is taken, may be used for another one. NULL is allowed.
 */
void iokit_staging_give(struct iokit_staging *staging, IOMemoryDescriptor *memory);

#endif /* IOKIT_STAGING_H */
