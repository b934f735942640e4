/* SPDX-License-Identifier: MIT */
/* The interface's and the pipe's methods, against the model "faulty", which misbehaves on command (models/faulty.c). */

#include <string.h>

#include <DriverKit/DriverKit.h>
#include <USBDriverKit/USBDriverKit.h>

#include "UsbMethods.h"
#include "check.h"

static constexpr uint32_t kSize = 1024;
static constexpr uint32_t kAborted = 4;
static constexpr uint32_t kMany = 1300, kBuffers = 300; /* more than a pipe's ring has room for, and than it has numbers */
static constexpr uint32_t kRing = 8, kFirstSlot = 6, kSlots = 4;
static constexpr uint8_t kVendorOut = 0x40, kVendorIn = 0xC0;
static constexpr uint8_t kPing = 1, kNone = 0x10, kStall = 0x11, kBabble = 0x12, kShort = 0x13, kSilent = 0x14;

struct UsbMethods_IVars {
	IOUSBHostInterface *interface;
	IOUSBHostPipe *in, *events, *out;
	IOBufferMemoryDescriptor *input, *output;
	uint8_t *bytes, *outBytes;
	OSAction *ioAction, *bundleAction, *requestAction;
	uint32_t aborted, bundled;
	OSAction *many[kMany];
	IOBufferMemoryDescriptor *buffers[kBuffers];
	uint32_t manyDone;
	Checks checks;
};

bool
UsbMethods::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(UsbMethods_IVars, 1);
	return ivars != nullptr;
}

void
UsbMethods::free()
{
	if (ivars) {
		for (auto &action : ivars->many)
			OSSafeReleaseNULL(action);
		for (auto &buffer : ivars->buffers)
			OSSafeReleaseNULL(buffer);
		OSSafeReleaseNULL(ivars->ioAction);
		OSSafeReleaseNULL(ivars->bundleAction);
		OSSafeReleaseNULL(ivars->requestAction);
		OSSafeReleaseNULL(ivars->input);
		OSSafeReleaseNULL(ivars->output);
		OSSafeReleaseNULL(ivars->in);
		OSSafeReleaseNULL(ivars->events);
		OSSafeReleaseNULL(ivars->out);
	}
	IOSafeDeleteNULL(ivars, UsbMethods_IVars, 1);
	super::free();
}

void
UsbMethods::checkDescriptors()
{
	auto interface = ivars->interface;
	auto &c = ivars->checks;
	IOUSBHostDevice *device = nullptr;
	uint8_t speed = 0, address = 0;
	uint32_t port = 0;
	uint64_t frame = 0, later = 0, time = 0;

	auto configuration = interface->CopyConfigurationDescriptor();
	TRUE(c, configuration != nullptr);
	if (configuration) {
		auto descriptor = interface->GetInterfaceDescriptor(configuration);
		TRUE(c, descriptor != nullptr);
		if (descriptor) {
			EQUAL(c, descriptor->bNumEndpoints, 3);
			EQUAL(c, descriptor->bInterfaceClass, 0xFF);
		}
		IOUSBHostFreeDescriptor(configuration);
	}
	auto string = interface->CopyStringDescriptor(2);
	TRUE(c, string != nullptr && string->bDescriptorType == kIOUSBDescriptorTypeString && string->bLength > 2);
	IOUSBHostFreeDescriptor(string);
	TRUE(c, interface->CopyStringDescriptor(200) == nullptr);

	EQUAL(c, interface->CopyDevice(&device), kIOReturnSuccess);
	if (!device)
		return;
	auto descriptor = device->CopyDeviceDescriptor();
	TRUE(c, descriptor != nullptr);
	if (descriptor) {
		EQUAL(c, descriptor->idVendor, 0x1209);
		EQUAL(c, descriptor->idProduct, 4);
		IOUSBHostFreeDescriptor(descriptor);
	}
	auto byIndex = device->CopyConfigurationDescriptor((uint8_t)0);
	auto byValue = device->CopyConfigurationDescriptorWithValue(1);
	TRUE(c, byIndex && byValue && byIndex->wTotalLength == byValue->wTotalLength);
	IOUSBHostFreeDescriptor(byIndex);
	IOUSBHostFreeDescriptor(byValue);
	TRUE(c, device->CopyConfigurationDescriptor((uint8_t)7) == nullptr);
	TRUE(c, device->CopyConfigurationDescriptorWithValue(77) == nullptr);
	EQUAL(c, device->GetSpeed(&speed), kIOReturnSuccess);
	EQUAL(c, speed, kIOUSBHostConnectionSpeedFull);
	EQUAL(c, device->GetAddress(&address), kIOReturnSuccess);
	TRUE(c, address > 0);
	EQUAL(c, interface->GetPortStatus(&port), kIOReturnSuccess);
	EQUAL(c, port & kIOUSBHostPortStatusConnectedSpeedMask, kIOUSBHostPortStatusConnectedSpeedFull);
	EQUAL(c, interface->GetFrameNumber(&frame, &time), kIOReturnSuccess);
	EQUAL(c, interface->GetFrameNumber(&later, nullptr), kIOReturnSuccess);
	TRUE(c, time > 0 && later >= frame);
	device->release();
}

void
UsbMethods::checkSession()
{
	auto interface = ivars->interface;
	auto &c = ivars->checks;
	IOUSBHostPipe *pipe = nullptr;
	IOUSBHostDevice *device = nullptr;
	uint16_t n = 0;

	EQUAL(c, interface->CopyPipe(0x81, &pipe), kIOReturnNotOpen);
	TRUE(c, pipe == nullptr);
	EQUAL(c, interface->SelectAlternateSetting(0), kIOReturnNotOpen);
	EQUAL(c, interface->DeviceRequest(kVendorIn, kPing, 0, 0, 0, nullptr, &n, 0), kIOReturnNotOpen);
	EQUAL(c, interface->Open(this, kUSBHostOpenOptionSelectAlternateSetting, reinterpret_cast<uint8_t *>(9)),
	      kIOReturnNotFound);
	EQUAL(c, interface->Open(this, 0, nullptr), kIOReturnSuccess);
	EQUAL(c, interface->Open(this, 0, nullptr), kIOReturnExclusiveAccess);
	EQUAL(c, interface->Close(this, 0), kIOReturnSuccess);
	EQUAL(c, interface->Close(this, 0), kIOReturnNotOpen);
	EQUAL(c, interface->Open(this, kUSBHostOpenOptionSelectAlternateSetting, reinterpret_cast<uint8_t *>(0)),
	      kIOReturnSuccess);
	EQUAL(c, interface->CopyPipe(0x8F, &pipe), kIOReturnNotFound);
	EQUAL(c, interface->CopyPipe(0x81, &ivars->in), kIOReturnSuccess);
	EQUAL(c, interface->CopyPipe(0x81, &pipe), kIOReturnSuccess);
	TRUE(c, pipe == ivars->in);
	OSSafeReleaseNULL(pipe);
	EQUAL(c, interface->CopyPipe(0x82, &ivars->events), kIOReturnSuccess);
	EQUAL(c, interface->CopyPipe(0x01, &ivars->out), kIOReturnSuccess);
	if (interface->CopyDevice(&device) == kIOReturnSuccess) {
		EQUAL(c, device->DeviceRequest(this, kVendorIn, kPing, 0, 0, 0, nullptr, &n, 0), kIOReturnNotOpen);
		EQUAL(c, device->SetConfiguration(1, true), kIOReturnNotOpen);
		device->release();
	}
}

void
UsbMethods::checkControl()
{
	auto interface = ivars->interface;
	auto &c = ivars->checks;
	uint16_t n = 0;

	EQUAL(c, interface->DeviceRequest(kVendorIn, kPing, 0, 0, 8, ivars->input, &n, 5000), kIOReturnSuccess);
	EQUAL(c, n, 8);
	EQUAL(c, interface->DeviceRequest(kVendorIn, 99, 0, 0, 8, ivars->input, &n, 5000), kUSBHostReturnPipeStalled);
	EQUAL(c, interface->DeviceRequest(kVendorIn, kPing, 0, 0, 8, ivars->input, &n, 5000), kIOReturnSuccess);
	EQUAL(c, interface->DeviceRequest(kVendorIn, kPing, 0, 0, kSize + 1, ivars->input, &n, 0), kIOReturnBadArgument);
	EQUAL(c, interface->DeviceRequest(kVendorIn, kPing, 0, 0, 8, nullptr, &n, 0), kIOReturnBadArgument);
	EQUAL(c, interface->DeviceRequest(kVendorIn, kPing, 0, 0, 8, ivars->output, &n, 0), kIOReturnBadArgument);
	EQUAL(c, interface->DeviceRequest(0x01, kIOUSBDeviceRequestSetInterface, 0, 0, 0, nullptr, &n, 0),
	      kIOReturnNotPermitted);
	EQUAL(c, interface->DeviceRequest(0x00, kIOUSBDeviceRequestSetConfiguration, 1, 0, 0, nullptr, &n, 0),
	      kIOReturnNotPermitted);
	EQUAL(c, interface->AbortDeviceRequests(kIOUSBAbortSynchronous, kIOReturnAborted), kIOReturnSuccess);
}

void
UsbMethods::checkTransfers()
{
	IOUSBStandardEndpointDescriptors descriptors = {};
	auto &c = ivars->checks;
	uint32_t n = 0;
	uint64_t numbers[2];

	EQUAL(c, ivars->in->IO(ivars->input, kSize, &n, 0), kIOReturnSuccess);
	EQUAL(c, n, kSize);
	memcpy(numbers, ivars->bytes, sizeof numbers);
	EQUAL(c, numbers[1], numbers[0] + 1);
	EQUAL(c, ivars->in->IO(ivars->input, kSize + 1, &n, 0), kIOReturnBadArgument);
	EQUAL(c, ivars->in->IO(ivars->output, 64, &n, 0), kIOReturnBadArgument);
	EQUAL(c, ivars->in->IO(nullptr, 64, &n, 0), kIOReturnBadArgument);
	EQUAL(c, ivars->events->IO(ivars->input, 64, &n, 0), kIOReturnSuccess);
	EQUAL(c, ivars->out->IO(ivars->output, 128, &n, 0), kIOReturnSuccess);
	EQUAL(c, n, 128);
	EQUAL(c, ivars->out->IO(nullptr, 0, &n, 0), kIOReturnSuccess);
	EQUAL(c, n, 0);
	EQUAL(c, ivars->in->IsochIO(ivars->input, ivars->input, 0, nullptr), kIOReturnUnsupported);
	EQUAL(c, ivars->in->AsyncIO(ivars->input, 64, nullptr, 0), kIOReturnBadArgument);

	EQUAL(c, ivars->in->GetDescriptors(&descriptors, kIOUSBGetEndpointDescriptorOriginal), kIOReturnSuccess);
	EQUAL(c, descriptors.descriptor.bEndpointAddress, 0x81);
	EQUAL(c, descriptors.descriptor.wMaxPacketSize, 64);
	EQUAL(c, ivars->in->AdjustPipe(&descriptors), kIOReturnBadArgument);
	EQUAL(c, ivars->events->GetDescriptors(&descriptors, kIOUSBGetEndpointDescriptorOriginal), kIOReturnSuccess);
	descriptors.bcdUSB = 0x0110;
	descriptors.descriptor.bInterval = 8;
	EQUAL(c, ivars->events->AdjustPipe(&descriptors), kIOReturnSuccess);
	descriptors.descriptor.bInterval = 0;
	EQUAL(c, ivars->events->AdjustPipe(&descriptors), kIOReturnBadArgument);
	EQUAL(c, ivars->events->GetDescriptors(&descriptors, kIOUSBGetEndpointDescriptorCurrentPolicy), kIOReturnSuccess);
	EQUAL(c, descriptors.descriptor.bInterval, 8);
}

void
UsbMethods::checkFaults()
{
	auto interface = ivars->interface;
	auto in = ivars->in;
	auto &c = ivars->checks;
	uint16_t sent = 0;
	uint32_t n = 0, ten = 10;

	EQUAL(c, interface->DeviceRequest(kVendorOut, kStall, 0, 0x81, 0, nullptr, &sent, 0), kIOReturnSuccess);
	EQUAL(c, in->IO(ivars->input, 64, &n, 0), kUSBHostReturnPipeStalled);
	EQUAL(c, in->IO(ivars->input, 64, &n, 0), kUSBHostReturnPipeStalled);
	EQUAL(c, in->ClearStall(true), kIOReturnSuccess);
	EQUAL(c, in->IO(ivars->input, 64, &n, 0), kIOReturnSuccess);

	EQUAL(c, interface->DeviceRequest(kVendorOut, kBabble, 0, 0x81, 0, nullptr, &sent, 0), kIOReturnSuccess);
	EQUAL(c, in->IO(ivars->input, 64, &n, 0), kIOReturnOverrun);
	EQUAL(c, in->ClearStall(true), kIOReturnSuccess);

	memcpy(ivars->outBytes, &ten, sizeof ten);
	EQUAL(c, interface->DeviceRequest(kVendorOut, kShort, 0, 0x81, 4, ivars->output, &sent, 0), kIOReturnSuccess);
	EQUAL(c, sent, 4);
	EQUAL(c, in->IO(ivars->input, kSize, &n, 0), kIOReturnSuccess);
	EQUAL(c, n, 10);

	EQUAL(c, interface->DeviceRequest(kVendorOut, kSilent, 0, 0x81, 0, nullptr, &sent, 0), kIOReturnSuccess);
	EQUAL(c, in->IO(ivars->input, 64, &n, 5), kIOReturnTimeout);
	EQUAL(c, interface->DeviceRequest(kVendorOut, kNone, 0, 0x81, 0, nullptr, &sent, 0), kIOReturnSuccess);
	EQUAL(c, in->IO(ivars->input, 64, &n, 0), kIOReturnSuccess); /* a timeout halts nothing */
}

void
UsbMethods::checkSettings()
{
	auto interface = ivars->interface;
	auto &c = ivars->checks;
	auto old = ivars->in;
	uint32_t n = 0, ms = 1;

	EQUAL(c, interface->SelectAlternateSetting(3), kIOReturnNotFound);
	EQUAL(c, old->IO(ivars->input, 64, &n, 0), kIOReturnSuccess);
	EQUAL(c, interface->SelectAlternateSetting(0), kIOReturnSuccess);
	EQUAL(c, old->IO(ivars->input, 64, &n, 0), kIOReturnNoDevice);
	old->release();
	ivars->in = nullptr;
	EQUAL(c, interface->CopyPipe(0x81, &ivars->in), kIOReturnSuccess);
	EQUAL(c, ivars->in->IO(ivars->input, 64, &n, 0), kIOReturnSuccess);
	EQUAL(c, interface->SetIdlePolicy(100), kIOReturnSuccess);
	EQUAL(c, interface->GetIdlePolicy(&ms), kIOReturnSuccess);
	EQUAL(c, ms, 100);
}

/* Reads that nobody answers, aborted together: their completions come when Start has returned. */
void
UsbMethods::startAborted()
{
	auto &c = ivars->checks;
	uint16_t sent = 0;

	EQUAL(c, ivars->interface->DeviceRequest(kVendorOut, kSilent, 0, 0x81, 0, nullptr, &sent, 0), kIOReturnSuccess);
	EQUAL(c, CreateActionioDone(0, &ivars->ioAction), kIOReturnSuccess);
	for (uint32_t i = 0; i < kAborted; i++)
		EQUAL(c, ivars->in->AsyncIO(ivars->input, 64, ivars->ioAction, 0), kIOReturnSuccess);
	EQUAL(c, ivars->in->Abort(kIOUSBAbortSynchronous, kIOReturnOffline, nullptr), kIOReturnSuccess);
}

/* Each read completes once and in its turn, whichever way it went to the host. Calls between them keep their place, too. */
void
UsbMethods::startMany()
{
	auto &c = ivars->checks;

	for (auto &buffer : ivars->buffers)
		EQUAL(c, ivars->interface->CreateIOBuffer(kIOMemoryDirectionIn, 64, &buffer), kIOReturnSuccess);
	for (uint32_t i = 0; i < kMany; i++) {
		EQUAL(c, CreateActionmanyDone(sizeof(uint32_t), &ivars->many[i]), kIOReturnSuccess);
		*static_cast<uint32_t *>(ivars->many[i]->GetReference()) = i;
		EQUAL(c, ivars->in->AsyncIO(i % 7 ? ivars->buffers[i % kBuffers] : nullptr, i % 7 ? 64 : 0, ivars->many[i], 0),
		      kIOReturnSuccess);
		/* Refused at once, whatever is in flight. */
		if (i == kBuffers)
			EQUAL(c, ivars->in->AsyncIO(ivars->buffers[0], 65, ivars->ioAction, 0), kIOReturnBadArgument);
		if (i == kMany / 2)
			EQUAL(c, ivars->in->Abort(kIOUSBAbortAsynchronous, kIOReturnOffline, nullptr), kIOReturnSuccess);
	}
	EQUAL(c, ivars->in->Abort(kIOUSBAbortSynchronous, kIOReturnAborted, nullptr), kIOReturnSuccess);
}

void
IMPL(UsbMethods, manyDone)
{
	auto &c = ivars->checks;
	uint32_t number = *static_cast<uint32_t *>(action->GetReference());
	uint16_t sent = 0;

	EQUAL(c, number, ivars->manyDone);
	EQUAL(c, status, number <= kMany / 2 ? kIOReturnOffline : kIOReturnAborted);
	if (++ivars->manyDone < kMany)
		return;
	for (auto &each : ivars->many) {
		each->Cancel(nullptr);
		OSSafeReleaseNULL(each);
	}
	EQUAL(c, ivars->interface->DeviceRequest(kVendorOut, kNone, 0, 0x81, 0, nullptr, &sent, 0), kIOReturnSuccess);
	startBundle();
}

void
IMPL(UsbMethods, ioDone)
{
	auto &c = ivars->checks;

	EQUAL(c, status, kIOReturnOffline);
	EQUAL(c, actualByteCount, 0);
	TRUE(c, completionTimestamp > 0);
	if (++ivars->aborted == kAborted)
		startMany();
}

void
UsbMethods::startBundle()
{
	static const uint32_t lengths[kSlots] = { 64, 128, 64, 64 };
	auto &c = ivars->checks;
	uint32_t accepted = 0;

	EQUAL(c, CreateActionbundleDone(0, &ivars->bundleAction), kIOReturnSuccess);
	EQUAL(c, ivars->in->AsyncIOBundled(0, 1, &accepted, lengths, 1, ivars->bundleAction, 0), kIOReturnBadArgument);
	EQUAL(c, ivars->in->CreateMemoryDescriptorRing(kRing), kIOReturnSuccess);
	EQUAL(c, ivars->in->CreateMemoryDescriptorRing(kRing), kIOReturnBusy);
	EQUAL(c, ivars->in->AsyncIOBundled(0, 1, &accepted, lengths, 1, ivars->bundleAction, 0), kIOReturnBadArgument);
	EQUAL(c, ivars->in->SetMemoryDescriptor(ivars->input, kRing), kIOReturnBadArgument);
	for (uint32_t i = 0; i < kRing; i++)
		EQUAL(c, ivars->in->SetMemoryDescriptor(ivars->input, i), kIOReturnSuccess);
	EQUAL(c, ivars->in->AsyncIOBundled(0, 2, &accepted, lengths, 1, ivars->bundleAction, 0), kIOReturnBadArgument);
	EQUAL(c, ivars->in->AsyncIOBundled(kFirstSlot, kSlots, &accepted, lengths, kSlots, ivars->bundleAction, 0),
	      kIOReturnSuccess);
	EQUAL(c, accepted, kSlots);
}

void
IMPL(UsbMethods, bundleDone)
{
	auto &c = ivars->checks;

	EQUAL(c, ioCompletionIndex, (kFirstSlot + ivars->bundled) % kRing);
	EQUAL(c, actualByteCountArrayCount, ioCompletionCount);
	EQUAL(c, statusArrayCount, ioCompletionCount);
	for (uint32_t i = 0; i < ioCompletionCount; i++, ivars->bundled++) {
		EQUAL(c, statusArray[i], kIOReturnSuccess);
		EQUAL(c, actualByteCountArray[i], ivars->bundled == 1 ? 128 : 64);
	}
	if (ivars->bundled == kSlots)
		startRequest();
}

void
UsbMethods::startRequest()
{
	auto &c = ivars->checks;

	EQUAL(c, CreateActionrequestDone(0, &ivars->requestAction), kIOReturnSuccess);
	EQUAL(c, ivars->interface->AsyncDeviceRequest(kVendorIn, kPing, 0, 0, 8, ivars->input, nullptr, 0),
	      kIOReturnBadArgument);
	EQUAL(c, ivars->interface->AsyncDeviceRequest(kVendorIn, kPing, 0, 0, 8, ivars->input, ivars->requestAction, 5000),
	      kIOReturnSuccess);
}

void
IMPL(UsbMethods, requestDone)
{
	auto &c = ivars->checks;

	EQUAL(c, status, kIOReturnSuccess);
	EQUAL(c, bytesTransferred, 8);
	c.report("interface");
}

kern_return_t
IMPL(UsbMethods, Start)
{
	IOAddressSegment range = {};
	auto &c = ivars->checks;

	auto ret = Start(provider, SUPERDISPATCH);
	if (ret != kIOReturnSuccess)
		return ret;
	ivars->interface = OSDynamicCast(IOUSBHostInterface, provider);
	TRUE(c, ivars->interface != nullptr);
	if (!ivars->interface)
		return kIOReturnNoDevice;
	EQUAL(c, ivars->interface->CreateIOBuffer(kIOMemoryDirectionIn, kSize, &ivars->input), kIOReturnSuccess);
	EQUAL(c, ivars->interface->CreateIOBuffer(kIOMemoryDirectionOut, kSize, &ivars->output), kIOReturnSuccess);
	EQUAL(c, ivars->input->GetAddressRange(&range), kIOReturnSuccess);
	ivars->bytes = reinterpret_cast<uint8_t *>(range.address);
	EQUAL(c, ivars->output->GetAddressRange(&range), kIOReturnSuccess);
	ivars->outBytes = reinterpret_cast<uint8_t *>(range.address);
	checkDescriptors();
	checkSession();
	if (ivars->in && ivars->events && ivars->out) {
		checkControl();
		checkTransfers();
		checkFaults();
		checkSettings();
		startAborted();
	}
	RegisterService();
	return kIOReturnSuccess;
}

kern_return_t
IMPL(UsbMethods, Stop)
{
	OSAction *actions[] = { ivars->ioAction, ivars->bundleAction, ivars->requestAction };

	for (auto action : actions)
		if (action)
			action->Cancel(nullptr);
	ivars->interface->Close(this, 0); /* after an unplug there is nothing to close: any answer is right */
	return Stop(provider, SUPERDISPATCH);
}
