// SPDX-License-Identifier: MIT
#include <os/log.h>
#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>
#include "SeedDriver.h"
#include "Transfer.h"

static constexpr int kTransfers = 8, kSize = 4096;
static uint64_t n_callbacks, n_bytes, n_failed; // callbacks and the user client run in this process only; read roughly

void
seed_completed(IOReturn status, uint32_t byteCount)
{
	__atomic_fetch_add(&n_callbacks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&n_bytes, byteCount, __ATOMIC_RELAXED);
	if (status != kIOReturnSuccess)
		__atomic_fetch_add(&n_failed, 1, __ATOMIC_RELAXED);
}

kern_return_t
IMPL(SeedDriver, Start)
{
	kern_return_t ret = Start(provider, SUPERDISPATCH);
	auto interface = OSDynamicCast(IOUSBHostInterface, provider);
	Transfer *transfers[kTransfers] = {};

	if (ret != kIOReturnSuccess || !interface)
		return kIOReturnNoDevice;
	ret = interface->Open(this, 0, NULL);
	for (auto &transfer : transfers) {
		if (ret != kIOReturnSuccess)
			break;
		transfer = OSTypeAlloc(Transfer);
		if (!transfer || !transfer->init() || !transfer->setup(interface, 0x81, kSize))
			ret = kIOReturnError;
	}
	for (auto transfer : transfers)
		if (ret == kIOReturnSuccess && !transfer->submit())
			ret = kIOReturnIOError;
	return ret == kIOReturnSuccess ? RegisterService() : ret;
}

kern_return_t
IMPL(SeedDriver, NewUserClient)
{
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret == kIOReturnSuccess)
		*userClient = OSDynamicCast(IOUserClient, client);
	return ret;
}

kern_return_t
SeedUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
			       const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector != 0 || arguments->scalarOutputCount < 3)
		return kIOReturnBadArgument;
	arguments->scalarOutput[0] = __atomic_load_n(&n_callbacks, __ATOMIC_RELAXED);
	arguments->scalarOutput[1] = __atomic_load_n(&n_bytes, __ATOMIC_RELAXED);
	arguments->scalarOutput[2] = __atomic_load_n(&n_failed, __ATOMIC_RELAXED);
	arguments->scalarOutputCount = 3;
	return kIOReturnSuccess;
}
