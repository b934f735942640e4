/* SPDX-License-Identifier: MIT */
/* Compiled, not run: see Idioms.iig. Each line is a form that a published driver uses. */
#include <os/log.h>
#include <DriverKit/DriverKit.h>
#include <DriverKit/OSCollections.h>
#include <DriverKit/OSSharedPtr.h>
#include <DriverKit/IOUserServer.h>
#include <USBDriverKit/USBDriverKit.h>
#include "Idioms.h"
#define Log(fmt, ...) os_log(OS_LOG_DEFAULT, "Drv - " fmt "\n", ##__VA_ARGS__)

struct Drv_IVars {
	IOUSBHostInterface *interface; IOUSBHostPipe *pipe; OSAction *action; IOBufferMemoryDescriptor *buffer;
	IODispatchQueue *queue; IOTimerDispatchSource *timer; OSAction *timerAction; IOLock *lock; IOMemoryMap *map;
	IOServiceNotificationDispatchSource *notify;
};
struct DrvClient_IVars { OSAction *callback = nullptr; Drv *drv = nullptr; };

bool Drv::init() {
	auto result = super::init();
	if (!result) return false;
	ivars = IONewZero(Drv_IVars, 1);
	return ivars != nullptr;
}
void Drv::free() {
	OSSafeReleaseNULL(ivars->pipe);
	OSSafeReleaseNULL(ivars->action);
	IOLockFreeZero(ivars->lock);
	IOSafeDeleteNULL(ivars, Drv_IVars, 1);
	super::free();
}
kern_return_t IMPL(Drv, Start) {
	kern_return_t ret = Start(provider, SUPERDISPATCH);
	if (ret != kIOReturnSuccess) { Log("Start failed %{public}d 0x%08x", ret, ret); return ret; }
	ivars->interface = OSDynamicCast(IOUSBHostInterface, provider);
	if (ivars->interface == NULL) return kIOReturnNoDevice;
	ret = ivars->interface->Open(this, 0, NULL);
	const IOUSBConfigurationDescriptor *cfg = ivars->interface->CopyConfigurationDescriptor();
	const IOUSBInterfaceDescriptor *ifc = ivars->interface->GetInterfaceDescriptor(cfg);
	const IOUSBEndpointDescriptor *ep = nullptr;
	IOUSBHostDevice *device = nullptr;
	while ((ep = IOUSBGetNextEndpointDescriptor(cfg, ifc, (const IOUSBDescriptorHeader *)ep))) {
		if (IOUSBGetEndpointDirection(ep) == kIOUSBEndpointDirectionIn && IOUSBGetEndpointType(ep) == kIOUSBEndpointTypeBulk)
			ret = ivars->interface->CopyPipe(IOUSBGetEndpointAddress(ep), &ivars->pipe);
	}
	IOUSBHostFreeDescriptor(cfg);
	ret = ivars->interface->CopyDevice(&device);
	uint8_t speed; device->GetSpeed(&speed);
	const IOUSBDeviceDescriptor *dd = device->CopyDeviceDescriptor();
	Log("vid %04x %{public}s", USBToHost16(dd->idVendor), "x");
	IOUSBHostFreeDescriptor(dd);
	uint16_t n = 0;
	ret = device->DeviceRequest(this, kIOUSBDeviceRequestDirectionIn | kIOUSBDeviceRequestTypeVendor | kIOUSBDeviceRequestRecipientDevice, 1, 2, 3, 4, nullptr, &n, 5000);
	device->Open(this, 0, 0);
	ret = device->SetConfiguration(1, true);
	ret = ivars->interface->CreateIOBuffer(kIOMemoryDirectionInOut, 4096, &ivars->buffer);
	IOAddressSegment range;
	ret = ivars->buffer->GetAddressRange(&range);
	memset((void *)range.address, 0, range.length);
	uint64_t addr, len;
	ret = ivars->buffer->Map(0, 0, 0, 0, &addr, &len);
	ret = ivars->buffer->CreateMapping(0, 0, 0, 0, 0, &ivars->map);
	(void)ivars->map->GetAddress();
	ret = CreateActionReadComplete(sizeof(int), &ivars->action);
	int *ref = static_cast<int *>(ivars->action->GetReference()); *ref = 1;
	ret = ivars->pipe->AsyncIO(ivars->buffer, 512, ivars->action, 0);
	ret = IODispatchQueue::Create("q", 0, 0, &ivars->queue);
	ret = SetDispatchQueue("Default", ivars->queue);
	ret = CopyDispatchQueue(kIOServiceDefaultQueueName, &ivars->queue);
	__block int counter = 0;
	ivars->queue->DispatchSync(^{ counter++; });
	ivars->queue->DispatchAsync(^{ Log("async %d", counter); });
	ret = IOTimerDispatchSource::Create(ivars->queue, &ivars->timer);
	ret = CreateActionTimerOccurred(0, &ivars->timerAction);
	ivars->timer->SetHandler(ivars->timerAction);
	ivars->timer->SetEnable(true);
	ivars->timer->SetEnableWithCompletion(true, NULL);
	ivars->timer->WakeAtTime(kIOTimerClockMonotonicRaw, clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW) + NSEC_PER_SEC, 0);
	OSSharedPtr<OSDictionary> dict(OSDictionary::withCapacity(4), OSNoRetain);
	OSSharedPtr<OSString> str = OSSharedPtr(OSString::withCString("hello"), OSNoRetain);
	OSNumber *num = OSNumber::withNumber(3ull, 32);
	dict->setObject("a", num); dict->setObject(str.get(), kOSBooleanTrue);
	OSDictionarySetValue(dict.get(), "k", num); OSDictionarySetUInt64Value(dict.get(), "u", 3);
	OSDynamicCast(OSString, dict->getObject("a"));
	auto cast = OSDynamicPtrCast<OSString>(str);
	dict->iterateObjects(^bool(OSObject *k, OSObject *v) { return false; });
	OSArray *arr = OSArray::withCapacity(2); arr->setObject(num); (void)arr->getCount(); arr->iterateObjects(^bool(OSObject *o) { return false; });
	SetProperties(dict.get());
	OSDictionary *props = nullptr; CopyProperties(&props); provider->CopyProperties(&props);
	OSContainer *prop = nullptr; SearchProperty("locationID", "IOService", kIOServiceSearchPropertyParents, &prop);
	uint64_t id; GetRegistryEntryID(&id); SetName("x");
	mach_timebase_info_data_t tb; mach_timebase_info(&tb); uint64_t t = mach_absolute_time(); (void)t;
	OSDictionary *m = IOService::CreateNameMatchingDictionary("x", NULL);
	IOServiceNotificationDispatchSource::Create(m, 0, ivars->queue, &ivars->notify);
	OSAction *ra; CreateActionReady(0, &ra); ivars->notify->SetHandler(ra);
	ivars->notify->DeliverNotifications(^(uint64_t type, IOService *service, uint64_t options) { if (type == kIOServiceNotificationTypeTerminated) service->retain(); });
	OSAction *old; OSAction::Create(this, Drv_ReadComplete_ID, IOUSBHostPipe_CompleteAsyncIO_ID, 8, &old);
	ivars->lock = IOLockAlloc(); IOLockLock(ivars->lock); IOLockUnlock(ivars->lock);
	Helper *h = nullptr; (void)h;
	IOSleep(1);
	return RegisterService();
}
kern_return_t IMPL(Drv, Stop) {
	__block _Atomic uint32_t cancelCount = 2;
	retain(); provider->retain();
	void (^finalize)(void) = ^{
		if (__c11_atomic_fetch_sub(&cancelCount, 1U, __ATOMIC_RELAXED) <= 1) { Stop(provider, SUPERDISPATCH); this->release(); provider->release(); }
	};
	ivars->pipe->Abort(kIOUSBAbortSynchronous, kIOReturnAborted, this);
	ivars->action->Cancel(finalize);
	ivars->timer->Cancel(finalize);
	return kIOReturnSuccess;
}
kern_return_t Drv::NewUserClient_Impl(uint32_t type, IOUserClient **userClient) {
	IOService *client = nullptr;
	kern_return_t ret = Create(this, "UserClientProperties", &client);
	if (ret != kIOReturnSuccess) return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	if (*userClient == NULL) { client->release(); return kIOReturnError; }
	return ret;
}
kern_return_t IMPL(Drv, SetProperties) { return SetProperties(properties, SUPERDISPATCH); }
kern_return_t IMPL(Drv, SetPowerState) { return SetPowerState(powerFlags, SUPERDISPATCH); }
int Drv::helper(const Drv_Config &c, OSArray *list) { return (int)c.a + (int)list->getCount(); }
void IMPL(Drv, ReadComplete) {
	if (status == kIOReturnAborted) return;
	if (status == kUSBHostReturnPipeStalled) ivars->pipe->ClearStall(true);
	ivars->pipe->AsyncIO(ivars->buffer, 512, action, 0);
	Log("%u %llu", actualByteCount, completionTimestamp);
}
void IMPL(Drv, TimerOccurred) { ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, time + 1000, 0); }
void Drv::Ready_Impl(OSAction *action) {}
void IMPL(Drv, Ctl) {}

static const IOUserClientMethodDispatch methods[] = {
	[0] = { .function = (IOUserClientMethodFunction)&DrvClient::sMethod, .checkCompletionExists = false, .checkScalarInputCount = 0, .checkStructureInputSize = kIOUserClientVariableStructureSize, .checkScalarOutputCount = 0, .checkStructureOutputSize = 0 },
};
bool DrvClient::init() { if (!super::init()) return false; ivars = IONewZero(DrvClient_IVars, 1); return ivars != NULL; }
void DrvClient::free() { IOSafeDeleteNULL(ivars, DrvClient_IVars, 1); super::free(); }
kern_return_t IMPL(DrvClient, Start) { ivars->drv = OSDynamicCast(Drv, provider); ivars->drv->helper({1, 2}, nullptr); return Start(provider, SUPERDISPATCH); }
kern_return_t DrvClient::sMethod(OSObject *target, void *reference, IOUserClientMethodArguments *arguments) {
	DrvClient *self = OSDynamicCast(DrvClient, target);
	arguments->structureOutput = OSData::withBytes("abc", 3);
	arguments->completion->retain(); self->ivars->callback = arguments->completion;
	IOUserClientAsyncArgumentsArray data = { 1, 2 };
	self->AsyncCompletion(self->ivars->callback, kIOReturnSuccess, data, 2);
	uint64_t one[1] = {1}; self->AsyncCompletion(self->ivars->callback, kIOReturnSuccess, one, 1);
	const void *b = arguments->structureInput->getBytesNoCopy(); (void)b;
	return kIOReturnSuccess;
}
kern_return_t DrvClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments, const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference) {
	if (selector < 1) { dispatch = &methods[selector]; if (!target) target = this; }
	return super::ExternalMethod(selector, arguments, dispatch, target, reference);
}
kern_return_t IMPL(DrvClient, CopyClientMemoryForType) {
	IOBufferMemoryDescriptor *buffer;
	IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, 128, 0, &buffer);
	*memory = buffer; *options = kIOUserClientMemoryReadOnly;
	return kIOReturnSuccess;
}
