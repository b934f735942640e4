/* SPDX-License-Identifier: MIT */
/* The smallest driver: what a client sends comes back. */

#include <os/log.h>

#include <DriverKit/DriverKit.h>

#include "EchoDriver.h"
#include "EchoMethods.h"

kern_return_t
EchoDriver_Start_Impl(EchoDriver *self, IOService *provider)
{
	kern_return_t ret = EchoDriver_Start_super(self, provider);

	if (ret != kIOReturnSuccess)
		return ret;
	return EchoDriver_RegisterService(self);
}

kern_return_t
EchoDriver_NewUserClient_Impl(EchoDriver *self, uint32_t type, IOUserClient **userClient)
{
	IOService *client = NULL;
	kern_return_t ret = EchoDriver_Create(self, (IOService *)self, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

/* selector kEchoStruct: the structure comes back as it is. */
static kern_return_t
echo_struct(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	OSData *input = arguments->structureInput;

	if (input)
		arguments->structureOutput = OSData_withBytes(OSData_getBytesNoCopy(input), OSData_getLength(input));
	else
		arguments->structureOutput = OSData_withCapacity(0);
	return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

/* selector kEchoSum: two numbers in, their sum out. */
static kern_return_t
echo_sum(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	arguments->scalarOutput[0] = arguments->scalarInput[0] + arguments->scalarInput[1];
	return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch methods[kEchoMethodCount] = {
	[kEchoStruct] = { .function = echo_struct, .checkStructureInputSize = kIOUserClientVariableStructureSize,
			  .checkStructureOutputSize = kIOUserClientVariableStructureSize },
	[kEchoSum] = { .function = echo_sum, .checkScalarInputCount = 2, .checkScalarOutputCount = 1 },
};

kern_return_t
EchoUserClient_ExternalMethod_Impl(EchoUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
				   const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kEchoMethodCount)
		return kIOReturnUnsupported;
	return EchoUserClient_ExternalMethod_super(self, selector, arguments, &methods[selector], (OSObject *)self, NULL);
}
