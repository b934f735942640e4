/* SPDX-License-Identifier: MIT */
/* T27 to T45: objects, actions, queues. T39 and T40 are the compiler's: build/. */

#include <ambidext/realm.h>

#include "../objects/TrapObjectsMethods.h"
#include "rig.h"

#define DRIVER "TrapObjects"

/* Most plants are one call without arguments. */
#define CALL(function, selector)                                                                                       \
	static kern_return_t function(struct rig *rig)                                                                 \
	{                                                                                                              \
		return IOConnectCallScalarMethod(rig->connection, selector, NULL, 0, NULL, NULL);                      \
	}

CALL(type_alloc_target, kObjectsTypeAllocTarget)
CALL(no_init, kObjectsNoInit)
CALL(keep_action, kObjectsKeepAction)
CALL(cancel_late, kObjectsCancelLate)
CALL(other_action, kObjectsOtherAction)
CALL(other_type, kObjectsOtherType)
CALL(no_method, kObjectsNoMethod)
CALL(queue_name, kObjectsQueueName)
CALL(sync_on_itself, kObjectsSyncOnItself)
CALL(wait_on_itself, kObjectsWaitOnItself)
CALL(sleep_elsewhere, kObjectsSleepElsewhere)
CALL(wake_elsewhere, kObjectsWakeElsewhere)
CALL(late_timer, kObjectsLateTimer)
CALL(long_name, kObjectsLongName)
CALL(long_label, kObjectsLongLabel)
CALL(many_numbers, kObjectsManyNumbers)
CALL(required_cast, kObjectsRequiredCast)
CALL(twice, kPipeTwice)

static kern_return_t
type_alloc_client(struct rig *rig)
{
	io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching(DRIVER));
	io_connect_t connection = 0;
	kern_return_t ret = IOServiceOpen(service, mach_task_self(), kObjectsTypeAllocClient, &connection);

	want(rig, connection == 0, "there is a connection all the same");
	IOObjectRelease(service);
	return ret;
}

static kern_return_t
call_out(struct rig *rig, uint32_t selector, uint64_t *output)
{
	uint32_t n = 1;

	return IOConnectCallScalarMethod(rig->connection, selector, NULL, 0, output, &n);
}

static kern_return_t
no_reference(struct rig *rig)
{
	uint64_t is_null = 0;
	kern_return_t ret = call_out(rig, kObjectsNoReference, &is_null);

	want(rig, is_null == 1, "GetReference was not NULL");
	return ret;
}

static kern_return_t
two_queues(struct rig *rig)
{
	uint64_t shared = 1;
	kern_return_t ret = call_out(rig, kObjectsTwoQueues, &shared);

	want(rig, shared == 0, "driver and user client share a queue");
	return ret;
}

static kern_return_t
dynamic_cast(struct rig *rig)
{
	uint64_t is_null = 0;
	kern_return_t ret = call_out(rig, kObjectsDynamicCast, &is_null);

	want(rig, is_null == 1, "OSDynamicCast of a proxy found the user class");
	return ret;
}

static kern_return_t
map(struct rig *rig, uint32_t type)
{
	mach_vm_address_t address = 0;
	mach_vm_size_t size = 0;

	return IOConnectMapMemory64(rig->connection, type, mach_task_self(), &address, &size, kIOMapAnywhere);
}

static kern_return_t
memory_of_super(struct rig *rig)
{
	return map(rig, kObjectsMemoryOfSuper);
}

static kern_return_t
memory_of_other_class(struct rig *rig)
{
	return map(rig, kObjectsMemoryOfOtherClass);
}

/* Ends all of the bundle's drivers, so it is the last of the table. */
static kern_return_t
unload(struct rig *rig)
{
	IOServiceClose(rig->connection);
	rig->connection = 0;
	return adx_bundle_unload(CFSTR("org.example.Objects"));
}

const struct trap object_traps[] = {
	{ "T27: target by OSTypeAlloc", DRIVER, type_alloc_target, 0, kIOReturnBadArgument, "T27",
	  { "OSAction_TrapHelper_Tick", "TrapHelper made with OSTypeAlloc", "IOService::Create()" }, 0 },
	{ "T27: user client by OSTypeAlloc", DRIVER, type_alloc_client, kIOReturnUnsupported, 0, "T27",
	  { "NewUserClient of a TrapObjects", "returned a TrapObjectsClient", "Create()" }, 0 },
	{ "T28: no init", DRIVER, no_init, 0, kIOReturnBadArgument, "T28", { "TrapHelper", "was not initialised", "call init()" }, 0 },
	{ "T29: action left in ivars", DRIVER, keep_action, 0, 0, "T29",
	  { "OSAction_TrapObjectsClient_Tick", "TrapObjectsClient that has stopped" }, 0 },
	{ "T30: one action twice", "TrapPipe", twice, 0, 0, "T30", { "endpoint 0x81", "action" }, TRAP_DEVICE },
	{ "T31: no reference", DRIVER, no_reference, 0, 0, "T31", { "OSAction_TrapObjectsClient_Tick", "referenceSize is 0" }, 0 },
	{ "T32: cancelled late", DRIVER, cancel_late, 0, MIG_SERVER_DIED, "T32",
	  { "OSAction_TrapObjectsClient_Tick", "TrapObjectsClient is gone" }, TRAP_DIES },
	{ "T33: action of another type", DRIVER, other_action, 0, 0, "T33",
	  { "OSAction_TrapObjectsClient_Ready", "TimerOccurred" }, 0 },
	{ "T33: action for another class", DRIVER, other_type, 0, 0, "T33",
	  { "OSAction_TrapHelper_Tick", "TrapObjectsClient::Tick", "expects OSAction_TrapObjectsClient_Tick" }, 0 },
	{ "T33: no such method", DRIVER, no_method, kIOReturnBadArgument, 0, "T33",
	  { "class TrapObjectsClient has no method TrapPipe::Completed" }, 0 },
	{ "T34: unknown queue", DRIVER, queue_name, kIOReturnBadArgument, 0, "T34",
	  { "\"Axu\"", "TrapObjectsClient", "knows Default", "Aux" }, 0 },
	{ "T35: two queues", DRIVER, two_queues, 0, 0, NULL, { NULL }, 0 },
	{ "T36: DispatchSync on itself", DRIVER, sync_on_itself, 0, 0, "T36",
	  { "DispatchSync", "TrapObjectsClient.Default", "from itself" }, 0 },
	{ "T36: Wait on itself", DRIVER, wait_on_itself, kIOReturnCannotLock, 0, "T36",
	  { "OSAction_TrapObjectsClient_Tick", "Wait()", "which its callback needs" }, 0 },
	{ "T37: Sleep from outside", DRIVER, sleep_elsewhere, kIOReturnNotPermitted, 0, "T37", { "Sleep on queue 'elsewhere'" }, 0 },
	{ "T37: Wakeup from outside", DRIVER, wake_elsewhere, kIOReturnNotPermitted, 0, "T37", { "Wakeup on queue 'elsewhere'" }, 0 },
	{ "T38: super:: for SUPERDISPATCH", DRIVER, memory_of_super, kIOReturnBadArgument, 0, "T38",
	  { "CopyClientMemoryForType of a TrapObjectsClient", "called itself", "SUPERDISPATCH" }, 0 },
	{ "T41: timer after Stop", DRIVER, late_timer, 0, 0, "T41", { "TrapObjectsClient::Tick", "TrapObjectsClient that has stopped" }, 0 },
	{ "T42: long name", DRIVER, long_name, 0, 0, "T42", { "SetName", "140", "127" }, 0 },
	{ "T42: long string", DRIVER, long_label, 0, 0, "T42", { "TrapObjectsClient::Label", "text", "25", "15" }, 0 },
	{ "T42: long array", DRIVER, many_numbers, kIOReturnOverrun, 0, "T42", { "TrapObjectsClient::Numbers", "numbers", "5", "4" }, 0 },
	{ "T43: object of another class", DRIVER, memory_of_other_class, kIOReturnBadArgument, 0, "T43",
	  { "OSData", "expected IOMemoryDescriptor" }, 0 },
	{ "T44: OSRequiredCast", DRIVER, required_cast, MIG_SERVER_DIED, 0, "T44", { "OSRequiredCast of IOService", "to IOUserClient" }, TRAP_DIES },
	{ "T44: OSDynamicCast", DRIVER, dynamic_cast, 0, 0, NULL, { NULL }, 0 },
	{ "T45: pipe left", "TrapPipe", unload, 0, 0, "T45", { "the driver ends", "1 IOUSBHostPipe" }, TRAP_DEVICE },
};
const unsigned n_object_traps = sizeof object_traps / sizeof *object_traps;
