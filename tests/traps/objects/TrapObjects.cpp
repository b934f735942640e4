/* SPDX-License-Identifier: MIT */
/* Mistakes with objects, actions and queues. Every one of them is meant. */

#include <DriverKit/DriverKit.h>

#include "TrapObjects.h"
#include "TrapObjectsMethods.h"

struct TrapObjectsClient_IVars {
	OSAction *action; /* what Stop leaves */
	IOTimerDispatchSource *timer;
	IODispatchQueue *queue;
};

kern_return_t
IMPL(TrapObjects, Start)
{
	kern_return_t ret = Start(provider, SUPERDISPATCH);

	return ret == kIOReturnSuccess ? RegisterService() : ret;
}

kern_return_t
IMPL(TrapObjects, NewUserClient)
{
	IOService *client = nullptr;

	if (type == kObjectsTypeAllocClient) {
		*userClient = OSTypeAlloc(TrapObjectsClient);
		return *userClient && (*userClient)->init() ? kIOReturnSuccess : kIOReturnNoMemory;
	}
	kern_return_t ret = Create(this, "UserClientProperties", &client);

	if (ret == kIOReturnSuccess)
		*userClient = OSDynamicCast(IOUserClient, client);
	return ret;
}

kern_return_t
IMPL(TrapObjects, Where)
{
	*isHere = queue->OnQueue();
	return kIOReturnSuccess;
}

bool
TrapHelper::init()
{
	return super::init();
}

void
TrapHelper::free()
{
	super::free();
}

void
IMPL(TrapHelper, Tick)
{
}

bool
TrapObjectsClient::init()
{
	if (!super::init())
		return false;
	ivars = IONewZero(TrapObjectsClient_IVars, 1);
	return ivars != nullptr;
}

void
TrapObjectsClient::free()
{
	if (ivars) {
		OSSafeReleaseNULL(ivars->timer);
		OSSafeReleaseNULL(ivars->action);
		OSSafeReleaseNULL(ivars->queue);
	}
	IOSafeDeleteNULL(ivars, TrapObjectsClient_IVars, 1);
	super::free();
}

kern_return_t
IMPL(TrapObjectsClient, Stop)
{
	if (ivars->timer)
		ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time() + 1000000, 0);
	return Stop(provider, SUPERDISPATCH);
}

kern_return_t
IMPL(TrapObjectsClient, CopyClientMemoryForType)
{
	if (type == kObjectsMemoryOfSuper)
		return super::CopyClientMemoryForType(type, options, memory);
	if (type == kObjectsMemoryOfOtherClass) {
		OSObject *other = OSData::withCapacity(8);
		*memory = reinterpret_cast<IOMemoryDescriptor *>(other);
		return kIOReturnSuccess;
	}
	return kIOReturnUnsupported;
}

kern_return_t
IMPL(TrapObjectsClient, Numbers)
{
	return kIOReturnSuccess;
}

kern_return_t
IMPL(TrapObjectsClient, Label)
{
	return kIOReturnSuccess;
}

void
IMPL(TrapObjectsClient, Tick)
{
}

void
IMPL(TrapObjectsClient, Ready)
{
}

static kern_return_t
type_alloc_target(bool initialise)
{
	TrapHelper *helper = OSTypeAlloc(TrapHelper);
	OSAction *action = nullptr;

	if (!helper || (initialise && !helper->init()))
		return kIOReturnNoMemory;
	kern_return_t ret = helper->CreateActionTick(0, &action);
	OSSafeReleaseNULL(action);
	helper->release();
	return ret;
}

static kern_return_t
no_reference(TrapObjectsClient *client, uint64_t *isNull)
{
	OSAction *action = nullptr;
	kern_return_t ret = client->CreateActionTick(0, &action);

	if (ret == kIOReturnSuccess)
		*isNull = action->GetReference() == nullptr;
	OSSafeReleaseNULL(action);
	return ret;
}

static kern_return_t
cancel_late(TrapObjectsClient *client)
{
	IODispatchQueue *queue = nullptr;
	OSAction *action = nullptr;
	kern_return_t ret = IODispatchQueue::Create("aux", 0, 0, &queue);

	if (ret == kIOReturnSuccess)
		ret = client->SetDispatchQueue("Aux", queue);
	if (ret == kIOReturnSuccess)
		ret = client->CreateActionTick(0, &action);
	if (ret == kIOReturnSuccess)
		ret = queue->Cancel(nullptr);
	if (ret == kIOReturnSuccess)
		ret = action->Cancel(^{});
	OSSafeReleaseNULL(action);
	OSSafeReleaseNULL(queue);
	return ret;
}

/* A timer with a handler; TrapObjectsClient::free lets go of both. */
static kern_return_t
make_timer(TrapObjectsClient *client, TrapObjectsClient_IVars *ivars, bool wrong)
{
	kern_return_t ret = client->CopyDispatchQueue(kIOServiceDefaultQueueName, &ivars->queue);

	if (ret == kIOReturnSuccess)
		ret = IOTimerDispatchSource::Create(ivars->queue, &ivars->timer);
	if (ret == kIOReturnSuccess)
		ret = wrong ? client->CreateActionReady(0, &ivars->action) : client->CreateActionTick(0, &ivars->action);
	if (ret == kIOReturnSuccess)
		ret = ivars->timer->SetHandler(ivars->action);
	return ret;
}

static kern_return_t
fire(IOTimerDispatchSource *timer)
{
	return timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, mach_absolute_time(), 0);
}

static kern_return_t
other_action(TrapObjectsClient *client, TrapObjectsClient_IVars *ivars)
{
	kern_return_t ret = make_timer(client, ivars, true);

	return ret == kIOReturnSuccess ? fire(ivars->timer) : ret;
}

static kern_return_t
other_type(TrapObjectsClient *client, TrapObjectsClient_IVars *ivars)
{
	OSString *type = OSString::withCString("OSAction_TrapHelper_Tick");
	OSAction *action = nullptr;
	kern_return_t ret = make_timer(client, ivars, false);

	if (ret == kIOReturnSuccess)
		ret = OSAction::CreateWithTypeName(client, TrapObjectsClient_Tick_ID, IOTimerDispatchSource_TimerOccurred_ID, 0, type,
						   &action);
	if (ret == kIOReturnSuccess)
		ret = ivars->timer->SetHandler(action);
	if (ret == kIOReturnSuccess)
		ret = fire(ivars->timer);
	OSSafeReleaseNULL(action);
	OSSafeReleaseNULL(type);
	return ret;
}

static kern_return_t
no_method(TrapObjectsClient *client)
{
	OSAction *action = nullptr;
	kern_return_t ret = OSAction::Create(client, TrapPipe_Completed_ID, IOUSBHostPipe_CompleteAsyncIO_ID, 0, &action);

	OSSafeReleaseNULL(action);
	return ret;
}

static kern_return_t
with_other_queue(TrapObjectsClient *client, kern_return_t (*run)(TrapObjectsClient *, IODispatchQueue *))
{
	IODispatchQueue *queue = nullptr;
	kern_return_t ret = IODispatchQueue::Create("elsewhere", 0, 0, &queue);

	if (ret == kIOReturnSuccess)
		ret = run(client, queue);
	OSSafeReleaseNULL(queue);
	return ret;
}

static kern_return_t
with_own_queue(TrapObjectsClient *client, kern_return_t (*run)(TrapObjectsClient *, IODispatchQueue *))
{
	IODispatchQueue *queue = nullptr;
	kern_return_t ret = client->CopyDispatchQueue(kIOServiceDefaultQueueName, &queue);

	if (ret == kIOReturnSuccess)
		ret = run(client, queue);
	OSSafeReleaseNULL(queue);
	return ret;
}

static kern_return_t
two_queues(TrapObjectsClient *client, uint64_t *shared)
{
	TrapObjects *driver = OSDynamicCast(TrapObjects, client->GetProvider());
	IODispatchQueue *queue = nullptr;
	bool here = true;
	kern_return_t ret = driver ? driver->CopyDispatchQueue(kIOServiceDefaultQueueName, &queue) : kIOReturnNotAttached;

	if (ret == kIOReturnSuccess)
		ret = driver->Where(queue, &here);
	*shared = queue && queue->OnQueue();
	OSSafeReleaseNULL(queue);
	return ret == kIOReturnSuccess && !here ? kIOReturnInternalError : ret;
}

/* The callback's queue is Aux, which is not set and so is Default: the one on which this runs. */
static kern_return_t
wait_on_itself(TrapObjectsClient *client)
{
	OSActionWaitToken *token = nullptr;
	OSAction *action = nullptr;
	kern_return_t ret = client->CreateActionTick(0, &action);

	if (ret == kIOReturnSuccess)
		ret = action->WillWait(&token);
	if (ret == kIOReturnSuccess) {
		ret = action->Wait(token, 0, 0);
		action->EndWait(token);
	}
	OSSafeReleaseNULL(action);
	return ret;
}

static kern_return_t
long_name(TrapObjectsClient *client)
{
	char name[141];

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	return client->SetName(name);
}

kern_return_t
TrapObjectsClient::plant(uint64_t selector, IOUserClientMethodArguments *a)
{
	static const uint64_t numbers[5] = {};

	switch (selector) {
	case kObjectsTypeAllocTarget:
		return type_alloc_target(true);
	case kObjectsNoInit:
		return type_alloc_target(false);
	case kObjectsKeepAction:
		return CreateActionTick(0, &ivars->action);
	case kObjectsNoReference:
		return no_reference(this, a->scalarOutput);
	case kObjectsCancelLate:
		return cancel_late(this);
	case kObjectsOtherAction:
		return other_action(this, ivars);
	case kObjectsOtherType:
		return other_type(this, ivars);
	case kObjectsNoMethod:
		return no_method(this);
	case kObjectsQueueName:
		return with_other_queue(this, [](TrapObjectsClient *client, IODispatchQueue *queue) {
			return client->SetDispatchQueue("Axu", queue);
		});
	case kObjectsTwoQueues:
		return two_queues(this, a->scalarOutput);
	case kObjectsSyncOnItself:
		return with_own_queue(this, [](TrapObjectsClient *client, IODispatchQueue *queue) -> kern_return_t {
			queue->DispatchSync(^{});
			return kIOReturnSuccess;
		});
	case kObjectsWaitOnItself:
		return wait_on_itself(this);
	case kObjectsSleepElsewhere:
		return with_other_queue(this, [](TrapObjectsClient *client, IODispatchQueue *queue) {
			return queue->Sleep(client, 1);
		});
	case kObjectsWakeElsewhere:
		return with_other_queue(this, [](TrapObjectsClient *client, IODispatchQueue *queue) {
			return queue->Wakeup(client);
		});
	case kObjectsLateTimer:
		return make_timer(this, ivars, false);
	case kObjectsLongName:
		return long_name(this);
	case kObjectsLongLabel:
		return Label("longer than fifteen bytes");
	case kObjectsManyNumbers:
		return Numbers(numbers, 5);
	case kObjectsRequiredCast:
		return OSRequiredCast(IOUserClient, GetProvider()->GetProvider()) ? kIOReturnSuccess : kIOReturnError;
	case kObjectsDynamicCast:
		a->scalarOutput[0] = OSDynamicCast(IOUserClient, GetProvider()->GetProvider()) == nullptr;
		return kIOReturnSuccess;
	default:
		return kIOReturnUnsupported;
	}
}

kern_return_t
TrapObjectsClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
				  const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	return plant(selector, arguments);
}
