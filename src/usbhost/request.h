/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_REQUEST_H
#define USBHOST_REQUEST_H

/**
 * @file usbhost/request.h
 * @brief Requests that drivers make: whose buffer, which action or reply, and what is told when one is refused.
 */

#include <DriverKit/IOMemoryDescriptor.h>
#include <DriverKit/OSAction.h>

#include "usbhost/core.h"

/* One that a driver waits for, by an action or a reply. Base of all of them. */
struct request {
	struct host_request base;
	OSAction *action;           /* owned reference, or NULL */
	struct OSReply *reply;      /* owned until the end, or NULL */
	IOMemoryDescriptor *buffer; /* owned reference, or NULL */
};

/** New, of @p size bytes, zeroed: retains buffer and action. NULL: no memory. */
struct request *request_new(size_t size, IOMemoryDescriptor *buffer, OSAction *action,
			    void (*end)(struct host_request *, IOReturn, uint32_t, uint64_t));
/** Releases what it holds, and its memory. */
void request_free(struct host_request *request);

/**
 * Address of @p length bytes of a driver's buffer, NULL for none. @p in: the device writes them.
 * kIOReturnBadArgument: USB003 or USB004 is told, for @p what.
 */
IOReturn request_buffer(IOMemoryDescriptor *buffer, uint32_t length, bool in, const char *what, uint8_t **ret_data);

/** The action of a request that ends, borrowed: it is free for the next one (T30). */
OSAction *request_action(const struct request *request);

/** Submit, and tell why when it is refused. @p request is taken. */
IOReturn request_submit(struct host_queue *queue, struct request *request, const char *what,
			struct host_device *device);

/** Tell why @p queue or its back end answered @p status to @p what, if it is a mistake of the driver's. */
void request_refused(struct host_queue *queue, IOReturn status, const char *what, struct host_device *device);

/* A control request, on a session's queue. */
struct control {
	uint8_t type, request;
	uint16_t value, index, length;
	uint32_t timeout_ms;
	IOMemoryDescriptor *buffer; /* borrowed */
};
/** @p completion, or @p answer with the reply that is deferred: exactly one of them. */
IOReturn request_control(struct host_device *device, struct host_queue *queue, const struct control *control,
			 OSAction *completion, void (*answer)(struct OSReply *, IOReturn, uint16_t));
/** kIOUSBAbortAsynchronous or …Synchronous. @p answer runs when it is done, if the reply could be deferred. */
IOReturn request_abort(struct host_queue *queue, IOOptionBits options, IOReturn error,
		       void (*answer)(struct OSReply *, IOReturn));
/** Success if the calling process has the session (and, unless it is NULL, @p client in it); else NotOpen or NoDevice,
 *  told. */
IOReturn request_device_open(struct host_device *device, IOService *client, const char *what);
IOReturn request_interface_open(struct host_interface *interface, const char *what);

/** Facts that devices and interfaces answer alike. */
IOReturn request_frame_number(struct host_device *device, uint64_t *frame, uint64_t *time);
IOReturn request_port_status(struct host_device *device, uint32_t *status);

#endif /* USBHOST_REQUEST_H */
