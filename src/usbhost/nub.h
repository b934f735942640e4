/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_NUB_H
#define USBHOST_NUB_H

/**
 * @file usbhost/nub.h
 * @brief The core's things as objects that drivers call: IOUSBHostDevice, IOUSBHostInterface, IOUSBHostPipe.
 *
 * An object holds a reference to its part of the core, which names its nub only while that is published. Methods are in
 * device_impl.c, interface_impl.c and pipe_impl.c; what those share about requests is in request.h.
 */

#include <USBDriverKit/IOUSBHostDevice.h>
#include <USBDriverKit/IOUSBHostInterface.h>
#include <USBDriverKit/IOUSBHostPipe.h>

#include "usbhost/core.h"

#define NUB_ITERATORS 16u

struct IOUSBHostDevice_IVars {
	struct host_device *device;      /* owned reference */
	pthread_mutex_t lock;            /* guards the iterators */
	uintptr_t last_iterator;
	struct {
		uintptr_t id;            /* 0: free */
		unsigned next;
	} iterators[NUB_ITERATORS];
};

struct IOUSBHostInterface_IVars {
	struct host_interface *interface; /* owned reference */
};

struct host_ring;

struct IOUSBHostPipe_IVars {
	struct host_pipe *pipe;           /* owned reference */
	pthread_mutex_t lock;             /* guards all below */
	struct host_ring *requests;       /* owned reference, or NULL: AsyncIO's shared memory */
	IOMemoryDescriptor **ring;        /* owned references, NULL entries; NULL: no ring */
	uint32_t ring_size;
	uint32_t idle_ms;
	bool adjusted;
	IOUSBStandardEndpointDescriptors policy; /* adjusted */
};

/** Publishes through driverkit/host.h. */
extern const struct host_nubs nub_publisher;

/** Before any object is made: the classes free what their objects hold. */
void nub_setup(void);
/** +1, or NULL when it is not published now. */
IOUSBHostDevice *nub_copy_device(struct host_device *device);
IOUSBHostInterface *nub_copy_interface(struct host_interface *interface);
/** New objects, +1; NULL: no memory. */
IOUSBHostDevice *nub_device_object(struct host_device *device);
IOUSBHostInterface *nub_interface_object(struct host_interface *interface);
/** The one object of @p pipe, +1, new if nobody has it; its reference is taken, also on failure. NULL: no memory. */
IOUSBHostPipe *nub_pipe_object(struct host_pipe *pipe);
/** +1, or NULL: it has none. */
struct host_ring *nub_pipe_ring(IOUSBHostPipe *self);
/** What the driver has put into the pipe's ring is submitted, before what comes by a message. */
void nub_pipe_take(IOUSBHostPipe *self);
/** What the registry shows of them. +1; NULL: no memory. */
OSDictionary *nub_device_properties(struct host_device *device);
OSDictionary *nub_interface_properties(struct host_interface *interface);

#endif /* USBHOST_NUB_H */
