/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_IOKIT_IOKITLIB_H
#define AMBIDEXT_IOKIT_IOKITLIB_H

/**
 * @file IOKit/IOKitLib.h
 * @brief What an application uses to find drivers and to talk to them.
 *
 * Names, types and behaviour are those of IOKitLib; docs/differences.md lists where we answer more or otherwise.
 * Handles (io_object_t) are references: every one that a function returns must be given to IOObjectRelease(). The same
 * object is the same number, and a number is not soon used again.
 *
 * Threads: every function may be called from any thread. The library starts no thread of its own, except one when
 * IONotificationPortSetDispatchQueue() asks for delivery on a dispatch queue. Nothing is printed; explanations of
 * refusals go to the realm's log (`dext log`), to standard error with AMBIDEXT_EXPLAIN=stderr, and to adx_last_explanation().
 */

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <ambidext/base.h>
#include <CoreFoundation/CoreFoundation.h>
#include <dispatch/dispatch.h>
#include <mach/mach.h>

#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>
#include <IOKit/IOKitKeys.h>
#include <IOKit/IOMessage.h>
#include <IOKit/OSMessageNotification.h>

ADX_BEGIN_DECLS

ADX_API extern const mach_port_t kIOMainPortDefault;
ADX_API extern const mach_port_t kIOMasterPortDefault;

ADX_API kern_return_t IOMainPort(mach_port_t bootstrapPort, mach_port_t *mainPort);
ADX_API kern_return_t IOMasterPort(mach_port_t bootstrapPort, mach_port_t *mainPort);

/* ---- callbacks ---- */

typedef void (*IOServiceMatchingCallback)(void *refcon, io_iterator_t iterator);
typedef void (*IOServiceInterestCallback)(void *refcon, io_service_t service, uint32_t messageType,
					  void *messageArgument);
typedef void (*IOAsyncCallback0)(void *refcon, IOReturn result);
typedef void (*IOAsyncCallback1)(void *refcon, IOReturn result, void *arg0);
typedef void (*IOAsyncCallback2)(void *refcon, IOReturn result, void *arg0, void *arg1);
typedef void (*IOAsyncCallback)(void *refcon, IOReturn result, void **args, uint32_t numArgs);

/* ---- notification ports ---- */

typedef struct IONotificationPort *IONotificationPortRef;

ADX_API IONotificationPortRef IONotificationPortCreate(mach_port_t mainPort);
ADX_API void IONotificationPortDestroy(IONotificationPortRef notify);
/** Borrowed; made on the first call. */
ADX_API CFRunLoopSourceRef IONotificationPortGetRunLoopSource(IONotificationPortRef notify);
/** What an asynchronous call wants as its wakePort. */
ADX_API mach_port_t IONotificationPortGetMachPort(IONotificationPortRef notify);
ADX_API void IONotificationPortSetDispatchQueue(IONotificationPortRef notify, dispatch_queue_t queue);
ADX_API kern_return_t IONotificationPortSetImportanceReceiver(IONotificationPortRef notify);
ADX_API kern_return_t IOCreateReceivePort(uint32_t msgType, mach_port_t *recvPort);

/** Ours: a descriptor that polls readable when callbacks are due. Borrowed. -1: no memory or descriptors. */
ADX_API int adx_notification_port_get_fd(IONotificationPortRef notify);
/** Ours: run the callbacks that are due, on this thread, without waiting. @return how many ran */
ADX_API int adx_notification_port_dispatch(IONotificationPortRef notify);
/** Ours: why the last call of this thread was refused, a sentence; "" when nothing was told. Borrowed. */
ADX_API const char *adx_last_explanation(void);

/* ---- objects ---- */

ADX_API kern_return_t IOObjectRelease(io_object_t object);
ADX_API kern_return_t IOObjectRetain(io_object_t object);
ADX_API kern_return_t IOObjectGetClass(io_object_t object, io_name_t className);
ADX_API CFStringRef IOObjectCopyClass(io_object_t object);
ADX_API CFStringRef IOObjectCopySuperclassForClass(CFStringRef classname);
ADX_API CFStringRef IOObjectCopyBundleIdentifierForClass(CFStringRef classname);
ADX_API boolean_t IOObjectConformsTo(io_object_t object, const char *className);
ADX_API boolean_t IOObjectIsEqualTo(io_object_t object, io_object_t anObject);
ADX_API uint32_t IOObjectGetKernelRetainCount(io_object_t object);
ADX_API uint32_t IOObjectGetUserRetainCount(io_object_t object);
ADX_API uint32_t IOObjectGetRetainCount(io_object_t object);

ADX_API io_object_t IOIteratorNext(io_iterator_t iterator);
ADX_API void IOIteratorReset(io_iterator_t iterator);
ADX_API boolean_t IOIteratorIsValid(io_iterator_t iterator);

/* ---- finding services. A matching dictionary is consumed by the call that takes it. ---- */

ADX_API CFMutableDictionaryRef IOServiceMatching(const char *name);
ADX_API CFMutableDictionaryRef IOServiceNameMatching(const char *name);
ADX_API CFMutableDictionaryRef IOBSDNameMatching(mach_port_t mainPort, uint32_t options, const char *bsdName);
ADX_API CFMutableDictionaryRef IOOpenFirmwarePathMatching(mach_port_t mainPort, uint32_t options, const char *path);
ADX_API CFMutableDictionaryRef IORegistryEntryIDMatching(uint64_t entryID);

ADX_API io_service_t IOServiceGetMatchingService(mach_port_t mainPort, CFDictionaryRef matching);
ADX_API kern_return_t IOServiceGetMatchingServices(mach_port_t mainPort, CFDictionaryRef matching,
						   io_iterator_t *existing);
ADX_API kern_return_t IOServiceMatchPropertyTable(io_service_t service, CFDictionaryRef matching, boolean_t *matches);
ADX_API kern_return_t IOServiceAddMatchingNotification(IONotificationPortRef notifyPort, const char *notificationType,
						       CFDictionaryRef matching, IOServiceMatchingCallback callback,
						       void *refCon, io_iterator_t *notification);
ADX_API kern_return_t IOServiceAddNotification(mach_port_t mainPort, const char *notificationType,
					       CFDictionaryRef matching, mach_port_t wakePort, uintptr_t reference,
					       io_iterator_t *notification);
ADX_API kern_return_t IOServiceAddInterestNotification(IONotificationPortRef notifyPort, io_service_t service,
						       const char *interestType, IOServiceInterestCallback callback,
						       void *refCon, io_object_t *notification);

ADX_API kern_return_t IOServiceGetBusyState(io_service_t service, uint32_t *busyState);
ADX_API kern_return_t IOServiceWaitQuiet(io_service_t service, mach_timespec_t *waitTime);
ADX_API kern_return_t IOKitGetBusyState(mach_port_t mainPort, uint32_t *busyState);
ADX_API kern_return_t IOKitWaitQuiet(mach_port_t mainPort, mach_timespec_t *waitTime);

/* ---- connections ---- */

ADX_API kern_return_t IOServiceOpen(io_service_t service, task_port_t owningTask, uint32_t type, io_connect_t *connect);
ADX_API kern_return_t IOServiceRequestProbe(io_service_t service, uint32_t options);
enum { kIOServiceInteractionAllowed = 0x00000001 };
ADX_API kern_return_t IOServiceAuthorize(io_service_t service, uint32_t options);
ADX_API kern_return_t IOServiceClose(io_connect_t connect);
ADX_API kern_return_t IOConnectAddRef(io_connect_t connect);
ADX_API kern_return_t IOConnectRelease(io_connect_t connect);
ADX_API kern_return_t IOConnectGetService(io_connect_t connect, io_service_t *service);
ADX_API kern_return_t IOConnectSetNotificationPort(io_connect_t connect, uint32_t type, mach_port_t port, uintptr_t reference);
ADX_API kern_return_t IOConnectAddClient(io_connect_t connect, io_connect_t client);
ADX_API kern_return_t IOConnectSetCFProperties(io_connect_t connect, CFTypeRef properties);
ADX_API kern_return_t IOConnectSetCFProperty(io_connect_t connect, CFStringRef propertyName, CFTypeRef property);

ADX_API kern_return_t IOConnectMapMemory(io_connect_t connect, uint32_t memoryType, task_port_t intoTask,
					 mach_vm_address_t *atAddress, mach_vm_size_t *ofSize, IOOptionBits options);
ADX_API kern_return_t IOConnectMapMemory64(io_connect_t connect, uint32_t memoryType, task_port_t intoTask,
					   mach_vm_address_t *atAddress, mach_vm_size_t *ofSize, IOOptionBits options);
ADX_API kern_return_t IOConnectUnmapMemory(io_connect_t connect, uint32_t memoryType, task_port_t fromTask,
					   mach_vm_address_t atAddress);
ADX_API kern_return_t IOConnectUnmapMemory64(io_connect_t connect, uint32_t memoryType, task_port_t fromTask,
					     mach_vm_address_t atAddress);

/* *outputStructCnt == kIOConnectMethodVarOutputSize: *(void **)outputStruct gets a new buffer, free it with vm_deallocate(). */
enum { kIOConnectMethodVarOutputSize = -3 };

ADX_API kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector, const uint64_t *input,
					  uint32_t inputCnt, const void *inputStruct, size_t inputStructCnt,
					  uint64_t *output, uint32_t *outputCnt, void *outputStruct,
					  size_t *outputStructCnt);
ADX_API kern_return_t IOConnectCallAsyncMethod(mach_port_t connection, uint32_t selector, mach_port_t wakePort,
					       uint64_t *reference, uint32_t referenceCnt, const uint64_t *input,
					       uint32_t inputCnt, const void *inputStruct, size_t inputStructCnt,
					       uint64_t *output, uint32_t *outputCnt, void *outputStruct,
					       size_t *outputStructCnt);
ADX_API kern_return_t IOConnectCallStructMethod(mach_port_t connection, uint32_t selector, const void *inputStruct,
						size_t inputStructCnt, void *outputStruct, size_t *outputStructCnt);
ADX_API kern_return_t IOConnectCallAsyncStructMethod(mach_port_t connection, uint32_t selector, mach_port_t wakePort,
						     uint64_t *reference, uint32_t referenceCnt, const void *inputStruct,
						     size_t inputStructCnt, void *outputStruct, size_t *outputStructCnt);
ADX_API kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector, const uint64_t *input,
						uint32_t inputCnt, uint64_t *output, uint32_t *outputCnt);
ADX_API kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector, mach_port_t wakePort,
						     uint64_t *reference, uint32_t referenceCnt, const uint64_t *input,
						     uint32_t inputCnt, uint64_t *output, uint32_t *outputCnt);
ADX_API kern_return_t IOConnectTrap0(io_connect_t connect, uint32_t index);
ADX_API kern_return_t IOConnectTrap1(io_connect_t connect, uint32_t index, uintptr_t p1);
ADX_API kern_return_t IOConnectTrap2(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2);
ADX_API kern_return_t IOConnectTrap3(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3);
ADX_API kern_return_t IOConnectTrap4(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3,
				     uintptr_t p4);
ADX_API kern_return_t IOConnectTrap5(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3,
				     uintptr_t p4, uintptr_t p5);
ADX_API kern_return_t IOConnectTrap6(io_connect_t connect, uint32_t index, uintptr_t p1, uintptr_t p2, uintptr_t p3,
				     uintptr_t p4, uintptr_t p5, uintptr_t p6);

/* ---- registry ---- */

enum {
	kIORegistryIterateRecursively = 0x00000001,
	kIORegistryIterateParents = 0x00000002,
};

ADX_API io_registry_entry_t IORegistryGetRootEntry(mach_port_t mainPort);
ADX_API io_registry_entry_t IORegistryEntryFromPath(mach_port_t mainPort, const char *path);
ADX_API io_registry_entry_t IORegistryEntryCopyFromPath(mach_port_t mainPort, CFStringRef path);
ADX_API kern_return_t IORegistryCreateIterator(mach_port_t mainPort, const char *plane, IOOptionBits options,
					       io_iterator_t *iterator);
ADX_API kern_return_t IORegistryEntryCreateIterator(io_registry_entry_t entry, const char *plane, IOOptionBits options,
						    io_iterator_t *iterator);
ADX_API kern_return_t IORegistryIteratorEnterEntry(io_iterator_t iterator);
ADX_API kern_return_t IORegistryIteratorExitEntry(io_iterator_t iterator);
ADX_API kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name);
ADX_API kern_return_t IORegistryEntryGetNameInPlane(io_registry_entry_t entry, const char *plane, io_name_t name);
ADX_API kern_return_t IORegistryEntryGetLocationInPlane(io_registry_entry_t entry, const char *plane, io_name_t location);
ADX_API kern_return_t IORegistryEntryGetPath(io_registry_entry_t entry, const char *plane, io_string_t path);
ADX_API CFStringRef IORegistryEntryCopyPath(io_registry_entry_t entry, const char *plane);
ADX_API kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *entryID);
ADX_API kern_return_t IORegistryEntryCreateCFProperties(io_registry_entry_t entry, CFMutableDictionaryRef *properties,
							CFAllocatorRef allocator, IOOptionBits options);
ADX_API CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t entry, CFStringRef key, CFAllocatorRef allocator,
						  IOOptionBits options);
ADX_API CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const char *plane, CFStringRef key,
						  CFAllocatorRef allocator, IOOptionBits options);
ADX_API kern_return_t IORegistryEntryGetProperty(io_registry_entry_t entry, const char *propertyName,
						 io_struct_inband_t buffer, uint32_t *size);
ADX_API kern_return_t IORegistryEntrySetCFProperties(io_registry_entry_t entry, CFTypeRef properties);
ADX_API kern_return_t IORegistryEntrySetCFProperty(io_registry_entry_t entry, CFStringRef propertyName, CFTypeRef property);
ADX_API kern_return_t IORegistryEntryGetChildIterator(io_registry_entry_t entry, const char *plane,
						      io_iterator_t *iterator);
ADX_API kern_return_t IORegistryEntryGetChildEntry(io_registry_entry_t entry, const char *plane,
						   io_registry_entry_t *child);
ADX_API kern_return_t IORegistryEntryGetParentIterator(io_registry_entry_t entry, const char *plane,
						       io_iterator_t *iterator);
ADX_API kern_return_t IORegistryEntryGetParentEntry(io_registry_entry_t entry, const char *plane,
						    io_registry_entry_t *parent);
ADX_API boolean_t IORegistryEntryInPlane(io_registry_entry_t entry, const char *plane);

ADX_END_DECLS
#endif /* AMBIDEXT_IOKIT_IOKITLIB_H */
