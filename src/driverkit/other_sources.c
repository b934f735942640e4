/* SPDX-License-Identifier: MIT */
/* Interrupts and state items. No provider of this system has either: creation says so, and the rest
 * is what an object that nobody can have would do. */

#include <DriverKit/IOInterruptDispatchSource.h>
#include <DriverKit/IOServiceStateNotificationDispatchSource.h>

kern_return_t
IOInterruptDispatchSource_Create(IOService *provider, uint32_t index, IODispatchQueue *queue,
				 IOInterruptDispatchSource **source)
{
	return provider && queue && source ? kIOReturnNoInterrupt : kIOReturnBadArgument;
}

kern_return_t
IOInterruptDispatchSource_GetInterruptType(IOService *provider, uint32_t index,
					   uint64_t *interruptType)
{
	return provider && interruptType ? kIOReturnNoInterrupt : kIOReturnBadArgument;
}

bool
IOInterruptDispatchSource_init_Impl(IOInterruptDispatchSource *self)
{
	return IOInterruptDispatchSource_init_super(self);
}

void
IOInterruptDispatchSource_free_Impl(IOInterruptDispatchSource *self)
{
	IOInterruptDispatchSource_free_super(self);
}

kern_return_t
IOInterruptDispatchSource_SetHandler(IOInterruptDispatchSource *self, OSAction *action)
{
	return kIOReturnNoInterrupt;
}

kern_return_t
IOInterruptDispatchSource_GetLastInterrupt(IOInterruptDispatchSource *self, uint64_t *count,
					   uint64_t *time)
{
	return kIOReturnNoInterrupt;
}

kern_return_t
IOInterruptDispatchSource_Cancel_f_Impl(IOInterruptDispatchSource *self, void *context,
					IODispatchFunction handler)
{
	return kIOReturnNoInterrupt;
}

kern_return_t
IOInterruptDispatchSource_SetEnableWithCompletion_f_Impl(IOInterruptDispatchSource *self,
							 bool enable, void *context,
							 IODispatchFunction handler)
{
	return kIOReturnNoInterrupt;
}

kern_return_t
IOServiceStateNotificationDispatchSource_Create(IOService *service, OSArray *items,
						IODispatchQueue *queue,
						IOServiceStateNotificationDispatchSource **source)
{
	return service && items && queue && source ? kIOReturnUnsupported : kIOReturnBadArgument;
}

bool
IOServiceStateNotificationDispatchSource_init_Impl(IOServiceStateNotificationDispatchSource *self)
{
	return IOServiceStateNotificationDispatchSource_init_super(self);
}

void
IOServiceStateNotificationDispatchSource_free_Impl(IOServiceStateNotificationDispatchSource *self)
{
	IOServiceStateNotificationDispatchSource_free_super(self);
}

kern_return_t
IOServiceStateNotificationDispatchSource_SetHandler(IOServiceStateNotificationDispatchSource *self,
						    OSAction *action)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOServiceStateNotificationDispatchSource_StateNotificationBegin(
	IOServiceStateNotificationDispatchSource *self)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOServiceStateNotificationDispatchSource_Cancel_f_Impl(
	IOServiceStateNotificationDispatchSource *self, void *context, IODispatchFunction handler)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOServiceStateNotificationDispatchSource_SetEnableWithCompletion_f_Impl(
	IOServiceStateNotificationDispatchSource *self, bool enable, void *context,
	IODispatchFunction handler)
{
	return kIOReturnUnsupported;
}
