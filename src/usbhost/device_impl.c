/* SPDX-License-Identifier: MIT */
/* IOUSBHostDevice's methods. */

#include <stdlib.h>

#include "object/containers.h"
#include "usbhost/nub.h"
#include "usbhost/request.h"
#include "usbhost/status.h"

static struct host_device *
device_of(IOUSBHostDevice *self)
{
	return self->ivars->device;
}

/* ---------------------------------------------------------------------------------------------
 * Session
 */

static void
open_done(void *context, IOReturn status)
{
	IOUSBHostDevice_Open_Reply(context, status);
}

static void
close_done(void *context, IOReturn status)
{
	IOUSBHostDevice_Close_Reply(context, status);
}

kern_return_t
IOUSBHostDevice_Open_Impl(IOUSBHostDevice *self, IOService *forClient, IOOptionBits options, uintptr_t arg)
{
	struct OSReply *reply;

	if (!forClient || options)
		return kIOReturnBadArgument;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_device_open(device_of(self), forClient, open_done, reply);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostDevice_Close_Impl(IOUSBHostDevice *self, IOService *forClient, IOOptionBits options)
{
	struct OSReply *reply;

	if (!forClient)
		return kIOReturnBadArgument;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_device_close(device_of(self), forClient, close_done, reply);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Requests
 */

kern_return_t
IOUSBHostDevice_AbortDeviceRequests_Impl(IOUSBHostDevice *self, IOService *forClient, IOOptionBits options,
					 IOReturn withError)
{
	struct host_device *device = device_of(self);
	IOReturn status = forClient ? request_device_open(device, forClient, "AbortDeviceRequests") : kIOReturnBadArgument;

	if (status != kIOReturnSuccess)
		return status;
	return request_abort(&device->session.control, options, withError,
			     IOUSBHostDevice_AbortDeviceRequests_Reply);
}

kern_return_t
IOUSBHostDevice_AsyncDeviceRequest_Impl(IOUSBHostDevice *self, IOService *forClient, uint8_t bmRequestType,
					uint8_t bRequest, uint16_t wValue, uint16_t wIndex, uint16_t wLength,
					IOMemoryDescriptor *dataBuffer, OSAction *completion,
					uint32_t completionTimeoutMs)
{
	struct host_device *device = device_of(self);
	struct control control = { bmRequestType, bRequest, wValue, wIndex, wLength, completionTimeoutMs, dataBuffer };
	IOReturn status = forClient ? request_device_open(device, forClient, "AsyncDeviceRequest") : kIOReturnBadArgument;

	if (status != kIOReturnSuccess)
		return status;
	if (!completion)
		return kIOReturnBadArgument;
	return request_control(device, &device->session.control, &control, completion, NULL);
}

kern_return_t
IOUSBHostDevice_DeviceRequest_Impl(IOUSBHostDevice *self, IOService *forClient, uint8_t bmRequestType,
				   uint8_t bRequest, uint16_t wValue, uint16_t wIndex, uint16_t wLength,
				   IOMemoryDescriptor *dataBuffer, uint16_t *bytesTransferred,
				   uint32_t completionTimeoutMs)
{
	struct host_device *device = device_of(self);
	struct control control = { bmRequestType, bRequest, wValue, wIndex, wLength, completionTimeoutMs, dataBuffer };
	IOReturn status = forClient ? request_device_open(device, forClient, "DeviceRequest") : kIOReturnBadArgument;

	if (status != kIOReturnSuccess)
		return status;
	return request_control(device, &device->session.control, &control, NULL, IOUSBHostDevice_DeviceRequest_Reply);
}

/* ---------------------------------------------------------------------------------------------
 * Configurations and interfaces
 */

static void
configuration_done(void *context, IOReturn status)
{
	IOUSBHostDevice_SetConfiguration_Reply(context, status);
}

static void
reset_done(void *context, IOReturn status)
{
	IOUSBHostDevice_Reset_Reply(context, status);
}

kern_return_t
IOUSBHostDevice_SetConfiguration_Impl(IOUSBHostDevice *self, uint8_t bConfigurationValue, bool matchInterfaces)
{
	struct host_device *device = device_of(self);
	IOReturn status = request_device_open(device, NULL, "SetConfiguration");
	struct OSReply *reply;

	if (status != kIOReturnSuccess)
		return status;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_set_configuration(device, bConfigurationValue, matchInterfaces, configuration_done, reply);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostDevice_Reset_Impl(IOUSBHostDevice *self)
{
	struct host_device *device = device_of(self);
	IOReturn status = request_device_open(device, NULL, "Reset");
	struct OSReply *reply;

	if (status != kIOReturnSuccess)
		return status;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_reset(device, reset_done, reply);
	return kIOReturnSuccess;
}

/* An iterator that was not destroyed is taken over when all are in use, the oldest first. */
kern_return_t
IOUSBHostDevice_CreateInterfaceIterator_Impl(IOUSBHostDevice *self, uintptr_t *ref)
{
	struct IOUSBHostDevice_IVars *ivars = self->ivars;
	uintptr_t id;

	(void)pthread_mutex_lock(&ivars->lock);
	id = ++ivars->last_iterator;
	ivars->iterators[id % NUB_ITERATORS].id = id;
	ivars->iterators[id % NUB_ITERATORS].next = 0;
	(void)pthread_mutex_unlock(&ivars->lock);
	*ref = id;
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostDevice_CopyInterface_Impl(IOUSBHostDevice *self, uintptr_t ref, IOUSBHostInterface **interface)
{
	struct IOUSBHostDevice_IVars *ivars = self->ivars;
	struct host_interface *found;
	unsigned index = 0;
	bool known;

	*interface = NULL;
	do {
		(void)pthread_mutex_lock(&ivars->lock);
		known = ref && ivars->iterators[ref % NUB_ITERATORS].id == ref;
		if (known)
			index = ivars->iterators[ref % NUB_ITERATORS].next++;
		(void)pthread_mutex_unlock(&ivars->lock);
		if (!known)
			return kIOReturnBadArgument;
		found = host_device_interface(ivars->device, index);
		if (found) {
			*interface = nub_copy_interface(found); /* NULL: it was not published, or is just going */
			(void)host_unref(found);
		}
	} while (found && !*interface);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostDevice_DestroyInterfaceIterator_Impl(IOUSBHostDevice *self, uintptr_t ref)
{
	struct IOUSBHostDevice_IVars *ivars = self->ivars;
	bool known;

	(void)pthread_mutex_lock(&ivars->lock);
	known = ref && ivars->iterators[ref % NUB_ITERATORS].id == ref;
	if (known)
		ivars->iterators[ref % NUB_ITERATORS].id = 0;
	(void)pthread_mutex_unlock(&ivars->lock);
	return known ? kIOReturnSuccess : kIOReturnBadArgument;
}

/* ---------------------------------------------------------------------------------------------
 * Facts
 */

kern_return_t
IOUSBHostDevice_GetFrameNumber_Impl(IOUSBHostDevice *self, uint64_t *frameNumber, uint64_t *theTime)
{
	return request_frame_number(device_of(self), frameNumber, theTime);
}

kern_return_t
IOUSBHostDevice_GetPortStatus_Impl(IOUSBHostDevice *self, uint32_t *portStatus)
{
	return request_port_status(device_of(self), portStatus);
}

kern_return_t
IOUSBHostDevice_GetSpeed_Impl(IOUSBHostDevice *self, uint8_t *speed)
{
	*speed = device_of(self)->speed;
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostDevice_GetAddress_Impl(IOUSBHostDevice *self, uint8_t *address)
{
	*address = device_of(self)->address;
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Descriptors
 */

static void
descriptor_done(void *context, IOReturn status, const uint8_t *bytes, uint16_t length)
{
	OSData *data = status == kIOReturnSuccess ? OSData_withBytes(bytes, length) : NULL;

	if (status == kIOReturnSuccess && !data)
		status = kIOReturnNoMemory;
	IOUSBHostDevice__CopyDescriptor_Reply(context, status, data);
	adxi_release(data);
}

kern_return_t
IOUSBHostDevice__CopyDescriptor_Impl(IOUSBHostDevice *self, uint8_t type, uint8_t index, uint16_t languageID,
				     uint8_t requestType, uint8_t requestRecipient, uint16_t maxLength,
				     OSData **descriptor)
{
	struct OSReply *reply;

	if (requestType > kIOUSBDeviceRequestTypeValueVendor || requestRecipient > kIOUSBDeviceRequestRecipientValueOther)
		return kIOReturnBadArgument;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_get_descriptor(device_of(self),
			    (uint8_t)(kIOUSBDeviceRequestDirectionIn | requestType << kIOUSBDeviceRequestTypePhase |
				      requestRecipient),
			    type, index, languageID, maxLength, descriptor_done, reply);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostDevice__CopyConfiguration_Impl(IOUSBHostDevice *self, uint8_t which, uint8_t value, OSData **descriptor)
{
	struct host_device *device = device_of(self);
	const uint8_t *bytes = NULL;
	unsigned i;

	if (which > kADXUSBConfigurationWithValue)
		return kIOReturnBadArgument;
	(void)pthread_mutex_lock(&device->lock);
	if (which == kADXUSBConfigurationCurrent)
		bytes = device->settings.configuration;
	(void)pthread_mutex_unlock(&device->lock);
	for (i = 0; i < device->n_configurations; i++)
		if ((which == kADXUSBConfigurationWithIndex && i == value) ||
		    (which == kADXUSBConfigurationWithValue && device->configurations[i][5] == value))
			bytes = device->configurations[i];
	if (!bytes)
		return kIOReturnNotFound;
	*descriptor = OSData_withBytes(bytes, usb_get_u16(bytes + 2));
	return *descriptor ? kIOReturnSuccess : kIOReturnNoMemory;
}
