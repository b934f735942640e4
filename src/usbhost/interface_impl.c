/* SPDX-License-Identifier: MIT */
/* IOUSBHostInterface's methods. */

#include <stdlib.h>

#include "base/rules.h"
#include "object/containers.h"
#include "usbhost/nub.h"
#include "usbhost/request.h"

static struct host_interface *
interface_of(IOUSBHostInterface *self)
{
	return self->ivars->interface;
}

/* ---------------------------------------------------------------------------------------------
 * Session
 */

static void
open_done(void *context, IOReturn status)
{
	IOUSBHostInterface__Open_Reply(context, status);
}

static void
close_done(void *context, IOReturn status)
{
	IOUSBHostInterface_Close_Reply(context, status);
}

kern_return_t
IOUSBHostInterface__Open_Impl(IOUSBHostInterface *self, IOService *forClient, IOOptionBits options,
			      uint8_t bAlternateSetting)
{
	struct OSReply *reply;

	if (!forClient || options & ~(IOOptionBits)kUSBHostOpenOptionSelectAlternateSetting)
		return kIOReturnBadArgument;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_interface_open(interface_of(self), forClient,
			    options & kUSBHostOpenOptionSelectAlternateSetting ? bAlternateSetting : 0, open_done,
			    reply);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostInterface_Close_Impl(IOUSBHostInterface *self, IOService *forClient, IOOptionBits options)
{
	struct OSReply *reply;

	if (!forClient)
		return kIOReturnBadArgument;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_interface_close(interface_of(self), forClient, close_done, reply);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Requests on endpoint 0
 */

kern_return_t
IOUSBHostInterface_DeviceRequest_Impl(IOUSBHostInterface *self, uint8_t bmRequestType, uint8_t bRequest,
				      uint16_t wValue, uint16_t wIndex, uint16_t wLength,
				      IOMemoryDescriptor *dataBuffer, uint16_t *bytesTransferred,
				      uint32_t completionTimeoutMs)
{
	struct host_interface *interface = interface_of(self);
	struct control control = { bmRequestType, bRequest, wValue, wIndex, wLength, completionTimeoutMs, dataBuffer };
	IOReturn status = request_interface_open(interface, "DeviceRequest");

	if (status != kIOReturnSuccess)
		return status;
	return request_control(interface->device, &interface->session.control, &control, NULL,
			       IOUSBHostInterface_DeviceRequest_Reply);
}

kern_return_t
IOUSBHostInterface_AsyncDeviceRequest_Impl(IOUSBHostInterface *self, uint8_t bmRequestType, uint8_t bRequest,
					   uint16_t wValue, uint16_t wIndex, uint16_t wLength,
					   IOMemoryDescriptor *dataBuffer, OSAction *completion,
					   uint32_t completionTimeoutMs)
{
	struct host_interface *interface = interface_of(self);
	struct control control = { bmRequestType, bRequest, wValue, wIndex, wLength, completionTimeoutMs, dataBuffer };
	IOReturn status = completion ? request_interface_open(interface, "AsyncDeviceRequest") : kIOReturnBadArgument;

	if (status != kIOReturnSuccess)
		return status;
	return request_control(interface->device, &interface->session.control, &control, completion, NULL);
}

kern_return_t
IOUSBHostInterface_AbortDeviceRequests_Impl(IOUSBHostInterface *self, IOOptionBits options, IOReturn withError)
{
	struct host_interface *interface = interface_of(self);
	IOReturn status = request_interface_open(interface, "AbortDeviceRequests");

	if (status != kIOReturnSuccess)
		return status;
	return request_abort(&interface->session.control, options, withError,
			     IOUSBHostInterface_AbortDeviceRequests_Reply);
}

/* ---------------------------------------------------------------------------------------------
 * Pipes and settings
 */

kern_return_t
IOUSBHostInterface_CopyPipe_Impl(IOUSBHostInterface *self, uint8_t address, IOUSBHostPipe **pipe)
{
	struct host_interface *interface = interface_of(self);
	struct host_pipe *found;
	IOReturn status;

	*pipe = NULL;
	status = request_interface_open(interface, "CopyPipe");
	if (status != kIOReturnSuccess)
		return status;
	status = host_interface_pipe(interface, address, &found);
	if (status == kIOReturnNotFound)
		(void)adxi_tell(ADXI_RULE_USB006, "CopyPipe(0x%02x) on interface %u, alternate setting %u, of %s "
				"at 0x%08x", address, interface->number, interface->alternate,
				interface->device->source, interface->device->location);
	if (status != kIOReturnSuccess)
		return status;
	*pipe = nub_pipe_object(found);
	return *pipe ? kIOReturnSuccess : kIOReturnNoMemory;
}

static void
select_done(void *context, IOReturn status)
{
	IOUSBHostInterface_SelectAlternateSetting_Reply(context, status);
}

kern_return_t
IOUSBHostInterface_SelectAlternateSetting_Impl(IOUSBHostInterface *self, uint8_t bAlternateSetting)
{
	IOReturn status = request_interface_open(interface_of(self), "SelectAlternateSetting");
	struct OSReply *reply;

	if (status != kIOReturnSuccess)
		return status;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_interface_select(interface_of(self), bAlternateSetting, select_done, reply);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Facts
 */

kern_return_t
IOUSBHostInterface_GetIdlePolicy_Impl(IOUSBHostInterface *self, uint32_t *deviceIdleTimeoutInMs)
{
	struct host_interface *interface = interface_of(self);

	(void)pthread_mutex_lock(&interface->device->lock);
	*deviceIdleTimeoutInMs = interface->idle_ms;
	(void)pthread_mutex_unlock(&interface->device->lock);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostInterface_SetIdlePolicy_Impl(IOUSBHostInterface *self, uint32_t deviceIdleTimeoutInMs)
{
	struct host_interface *interface = interface_of(self);
	IOReturn status = request_interface_open(interface, "SetIdlePolicy");

	if (status != kIOReturnSuccess)
		return status;
	(void)pthread_mutex_lock(&interface->device->lock);
	interface->idle_ms = deviceIdleTimeoutInMs;
	(void)pthread_mutex_unlock(&interface->device->lock);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostInterface_GetPortStatus_Impl(IOUSBHostInterface *self, uint32_t *portStatus)
{
	return request_port_status(interface_of(self)->device, portStatus);
}

kern_return_t
IOUSBHostInterface_GetFrameNumber_Impl(IOUSBHostInterface *self, uint64_t *frameNumber, uint64_t *theTime)
{
	return request_frame_number(interface_of(self)->device, frameNumber, theTime);
}

kern_return_t
IOUSBHostInterface_CopyDevice_Impl(IOUSBHostInterface *self, IOUSBHostDevice **device)
{
	*device = nub_copy_device(interface_of(self)->device);
	return *device ? kIOReturnSuccess : kIOReturnNoDevice;
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
	IOUSBHostInterface__CopyDescriptor_Reply(context, status, data);
	adxi_release(data);
}

kern_return_t
IOUSBHostInterface__CopyDescriptor_Impl(IOUSBHostInterface *self, uint8_t type, uint8_t index, uint16_t languageID,
					uint8_t requestType, uint8_t requestRecipient, uint16_t maxLength,
					OSData **descriptor)
{
	struct OSReply *reply;

	if (requestType > kIOUSBDeviceRequestTypeValueVendor || requestRecipient > kIOUSBDeviceRequestRecipientValueOther)
		return kIOReturnBadArgument;
	reply = OSReplyDefer();
	if (!reply)
		return kIOReturnUnsupported;
	host_get_descriptor(interface_of(self)->device,
			    (uint8_t)(kIOUSBDeviceRequestDirectionIn | requestType << kIOUSBDeviceRequestTypePhase |
				      requestRecipient),
			    type, index, languageID, maxLength, descriptor_done, reply);
	return kIOReturnSuccess;
}

kern_return_t
IOUSBHostInterface__CopyConfiguration_Impl(IOUSBHostInterface *self, OSData **descriptor)
{
	const uint8_t *bytes = interface_of(self)->configuration;

	*descriptor = OSData_withBytes(bytes, usb_get_u16(bytes + 2));
	return *descriptor ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
IOUSBHostInterface__GetInterfaceDescriptorHeader_Impl(IOUSBHostInterface *self, uint8_t *bInterfaceNumber,
						      uint8_t *bAlternateSetting)
{
	struct host_interface *interface = interface_of(self);

	*bInterfaceNumber = interface->number;
	(void)pthread_mutex_lock(&interface->device->lock);
	*bAlternateSetting = interface->alternate;
	(void)pthread_mutex_unlock(&interface->device->lock);
	return kIOReturnSuccess;
}
