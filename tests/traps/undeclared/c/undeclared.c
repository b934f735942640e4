/* SPDX-License-Identifier: MIT */
/* T39 in C: it compiles, and Stop is never called. */

#include <DriverKit/DriverKit.h>

#include "Undeclared.h"

kern_return_t
Undeclared_Start_Impl(Undeclared *self, IOService *provider)
{
	return Undeclared_Start_super(self, provider);
}

#if 0
kern_return_t
Undeclared_SetPowerState_Impl(Undeclared *self, uint32_t powerFlags)
{
	return kIOReturnSuccess;
}
#endif

static kern_return_t
Undeclared_helper_Impl(Undeclared *self)
{
	return kIOReturnSuccess;
}

kern_return_t
Undeclared_Stop_Impl(Undeclared *self, IOService *provider)
{
	return Undeclared_helper_Impl(self);
}
