/* SPDX-License-Identifier: MIT */
/* Services, and every answer that NewUserClient can give. */

#include <stdlib.h>

#include <DriverKit/DriverKit.h>

#include "ConformanceDriver.h"
#include "ConformanceMethods.h"
#include "driver.h"

kern_return_t
ConformanceDriver_Start_Impl(ConformanceDriver *self, IOService *provider)
{
	kern_return_t ret = ConformanceDriver_Start_super(self, provider);

	return ret == kIOReturnSuccess ? ConformanceDriver_RegisterService(self) : ret;
}

kern_return_t
ConformanceBare_Start_Impl(ConformanceBare *self, IOService *provider)
{
	kern_return_t ret = ConformanceBare_Start_super(self, provider);

	return ret == kIOReturnSuccess ? ConformanceBare_RegisterService(self) : ret;
}

kern_return_t
ConformanceNub_Start_Impl(ConformanceNub *self, IOService *provider)
{
	kern_return_t ret = ConformanceNub_Start_super(self, provider);

	return ret == kIOReturnSuccess ? ConformanceNub_RegisterService(self) : ret;
}

kern_return_t
ConformanceSlow_Start_Impl(ConformanceSlow *self, IOService *provider)
{
	kern_return_t ret = ConformanceSlow_Start_super(self, provider);

	IOSleep(500);
	return ret == kIOReturnSuccess ? (kern_return_t)CONFORMANCE_FAILURE : ret;
}

kern_return_t
ConformanceDriver_NewUserClient_Impl(ConformanceDriver *self, uint32_t type,
				     IOUserClient **userClient)
{
	IOService *service = NULL;
	kern_return_t ret;

	switch (type) {
	case kTypeRefused:
		return (kern_return_t)CONFORMANCE_FAILURE;
	case kTypeNone:
		return kIOReturnSuccess;
	case kTypeDies:
		abort();
	default:
		break;
	}
	ret = ConformanceDriver_Create(
		self, (IOService *)self,
		type == kTypePlain ? "PlainProperties" : "UserClientProperties", &service);
	if (ret != kIOReturnSuccess)
		return ret;
	if (type != kTypePlain)
		conformance_client_set_type((ConformanceClient *)service, type);
	*userClient =
		(IOUserClient *)service; /* unchecked on purpose: kTypePlain makes another class */
	return kIOReturnSuccess;
}
