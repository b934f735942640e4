/* SPDX-License-Identifier: MIT */
/* Services: one that hands out clients, and as many others as a client asks for. */

#include <DriverKit/DriverKit.h>

#include "BenchDriver.h"

kern_return_t
BenchDriver_Start_Impl(BenchDriver *self, IOService *provider)
{
	kern_return_t ret = BenchDriver_Start_super(self, provider);

	return ret == kIOReturnSuccess ? BenchDriver_RegisterService(self) : ret;
}

kern_return_t
BenchNub_Start_Impl(BenchNub *self, IOService *provider)
{
	kern_return_t ret = BenchNub_Start_super(self, provider);

	return ret == kIOReturnSuccess ? BenchNub_RegisterService(self) : ret;
}

kern_return_t
BenchDevice_Start_Impl(BenchDevice *self, IOService *provider)
{
	kern_return_t ret = BenchDevice_Start_super(self, provider);

	return ret == kIOReturnSuccess ? BenchDevice_RegisterService(self) : ret;
}

kern_return_t
BenchLaunched_Start_Impl(BenchLaunched *self, IOService *provider)
{
	kern_return_t ret = BenchLaunched_Start_super(self, provider);

	return ret == kIOReturnSuccess ? BenchLaunched_RegisterService(self) : ret;
}

kern_return_t
BenchDriver_NewUserClient_Impl(BenchDriver *self, uint32_t type, IOUserClient **userClient)
{
	IOService *client = NULL;
	kern_return_t ret =
		BenchDriver_Create(self, (IOService *)self, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}
