/* SPDX-License-Identifier: MIT */
/* What a back end says, as a driver hears it. */

#include <errno.h>

#include <USBDriverKit/IOUSBHostFamilyDefinitions.h>

#include "base/ioreturn.h"
#include "usbhost/status.h"

static const IOReturn by_status[] = {
	[USB_OK] = kIOReturnSuccess,
	[USB_STALL] = kUSBHostReturnPipeStalled,
	[USB_TIMEOUT] = kIOReturnTimeout,
	[USB_CANCELLED] = kIOReturnAborted,
	[USB_NO_DEVICE] = kIOReturnNoDevice,
	[USB_OVERFLOW] = kIOReturnOverrun,
	[USB_IO_ERROR] = kIOReturnNotResponding,
	[USB_NO_MEMORY] = kIOReturnNoMemory,
};

/* Where a back end's errno means something else than adxi_ioreturn_from_errno() says. */
static const struct {
	int error;
	IOReturn status;
} by_error[] = {
	{ -ENODEV, kIOReturnNoDevice },
	{ -EBUSY, kIOReturnExclusiveAccess },
	{ -EACCES, kIOReturnNotPermitted },
	{ -ENOENT, kIOReturnNotFound },
	{ -EINVAL, kIOReturnBadArgument },
	{ -ENOMEM, kIOReturnNoMemory },
	{ -ENOTSUP, kIOReturnUnsupported },
	{ -ENOSPC, kIOReturnNoBandwidth },
	{ -EPIPE, kUSBHostReturnPipeStalled },
	{ -ETIMEDOUT, kIOReturnTimeout },
};

IOReturn
usb_status_return(enum usb_status status)
{
	if ((unsigned)status >= sizeof by_status / sizeof by_status[0])
		return kIOReturnError;
	return by_status[status];
}

IOReturn
usb_error_return(int error)
{
	size_t i;

	for (i = 0; i < sizeof by_error / sizeof by_error[0]; i++)
		if (by_error[i].error == error)
			return by_error[i].status;
	return adxi_ioreturn_from_errno(error);
}
