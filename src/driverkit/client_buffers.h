/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_CLIENT_BUFFERS_H
#define DRIVERKIT_CLIENT_BUFFERS_H

/**
 * @file driverkit/client_buffers.h
 * @brief What a user client keeps of its client's large structures from call to call.
 *
 * A client passes the same memory again and again: what it passed last stays known here, mapped, so
 * that neither descriptors nor mappings are made for a call. Input is copied into memory that only
 * this process has: on macOS a driver's view of it is copy-on-write, and here too the client cannot
 * change what the driver has checked.
 *
 * Threads: everything [any].
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <DriverKit/IOMemoryDescriptor.h>

#define CLIENT_BUFFERS_KNOWN     12u /* as many as a client's library keeps, and some */
#define CLIENT_BUFFERS_SNAPSHOTS 2u
/* Input up to here comes in memory that the client uses again; more comes in pages that nobody can
 * change. */
#define CLIENT_BUFFERS_COPIED (UINT64_C(1) << 20)

struct adxi_memory;

struct adxi_client_buffers {
	pthread_mutex_t lock;                            /* guards all below; taken alone */
	IOMemoryDescriptor *known[CLIENT_BUFFERS_KNOWN]; /* owned references, last used first */
	struct adxi_memory *snapshots[CLIENT_BUFFERS_SNAPSHOTS]; /* owned references: free ones */
};

void adxi_client_buffers_init(struct adxi_client_buffers *buffers);
void adxi_client_buffers_done(struct adxi_client_buffers *buffers);

/** What the driver gets of the first @p size bytes of @p input, which is the client's.
 *
 * @param ret_input     +1
 * @param ret_snapshot  for adxi_client_buffers_end_input(); NULL: none was needed
 * @retval kIOReturnBadArgument  they are not there, or too many for memory that can change
 * @retval kIOReturnNoMemory
 */
kern_return_t adxi_client_buffers_input(struct adxi_client_buffers *buffers,
					IOMemoryDescriptor *input, uint64_t size,
					IOMemoryDescriptor **ret_input,
					struct adxi_memory **ret_snapshot);
/** The call is over. Both are taken; NULL is allowed. */
void adxi_client_buffers_end_input(struct adxi_client_buffers *buffers, IOMemoryDescriptor *input,
				   struct adxi_memory *snapshot);

/** A descriptor for this call of the client's memory in @p output. +1; NULL: no memory. */
IOMemoryDescriptor *adxi_client_buffers_output(struct adxi_client_buffers *buffers,
					       IOMemoryDescriptor *output);
/** The call is over; @p given is taken. Whether the driver keeps it, or something on its memory. */
bool adxi_client_buffers_end_output(IOMemoryDescriptor *given, uint64_t holders);
/** How many hold the memory of @p given, for adxi_client_buffers_end_output(). */
uint64_t adxi_client_buffers_holders(IOMemoryDescriptor *given);

#endif /* DRIVERKIT_CLIENT_BUFFERS_H */
