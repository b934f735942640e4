/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DRIVERKIT_IOTYPES_H
#define AMBIDEXT_DRIVERKIT_IOTYPES_H

/** @file DriverKit/IOTypes.h
 *  @brief Types without classes, for drivers and for applications. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <string.h>

#include <ambidext/base.h>
#include <DriverKit/IOReturn.h>
#include <mach/port.h>

#ifndef NULL
#define NULL ((void *)0)
#endif

typedef uint64_t OSObjectRef;

typedef uint32_t IOOptionBits;
typedef int32_t IOFixed; /* 16.16 */
typedef uint32_t IOVersion;
typedef uint32_t IOItemCount;
typedef uint32_t IOCacheMode;

typedef uint32_t IOByteCount32;
typedef uint64_t IOByteCount64;
typedef uint32_t IOPhysicalAddress32;
typedef uint64_t IOPhysicalAddress64;
typedef uint32_t IOPhysicalLength32;
typedef uint64_t IOPhysicalLength64;
typedef uint64_t IOVirtualAddress;
typedef IOByteCount64 IOByteCount;
typedef IOPhysicalAddress64 IOPhysicalAddress;
typedef IOPhysicalLength64 IOPhysicalLength;
typedef uint64_t mach_vm_address_t;
typedef uint64_t mach_vm_size_t;
typedef uintptr_t vm_address_t;
typedef uintptr_t vm_size_t;

typedef char IODispatchQueueName[256];
typedef char IOServiceName[128];
typedef char IOPropertyName[128];
typedef char IORegistryPlaneName[128];

typedef struct IOAddressSegment {
	uint64_t address;
	uint64_t length;
} IOAddressSegment;

enum {
	kIOMemoryDirectionNone = 0x00000000,
	kIOMemoryDirectionIn = 0x00000001,  /* a device writes the memory */
	kIOMemoryDirectionOut = 0x00000002, /* a device reads the memory */
	kIOMemoryDirectionOutIn = 0x00000003,
	kIOMemoryDirectionInOut = 0x00000003,
	kIOMemoryDisableCopyOnWrite = 0x00000010,
};

enum {
	kIOMemoryMapFixedAddress = 0x00000001,
	kIOMemoryMapReadOnly = 0x00000002,
	kIOMemoryMapGuardedMask = 0x0000001c,
	kIOMemoryMapGuardedDefault = 0x00000000,
	kIOMemoryMapGuardedNone = 0x00000004,
	kIOMemoryMapGuardedSmall = 0x00000008,
	kIOMemoryMapGuardedLarge = 0x0000000c,
	kIOMemoryMapCacheModeDefault = 0x00000000,
	kIOMemoryMapCacheModeInhibit = 0x00000100,
	kIOMemoryMapCacheModeCopyback = 0x00000200,
	kIOMemoryMapCacheModeWriteThrough = 0x00000400,
	kIOMemoryMapCacheModeRealTime = 0x00000800,
};

enum {
	kNanosecondScale = 1,
	kMicrosecondScale = 1000,
	kMillisecondScale = 1000 * 1000,
	kSecondScale = 1000 * 1000 * 1000,
	kTickScale = (kSecondScale / 100),
};
#ifndef NSEC_PER_SEC
#define NSEC_PER_SEC 1000000000ull
#endif

/* Clocks of deadlines. Mach ticks are nanoseconds here. */
enum {
	kIOTimerClockUptimeRaw = 0x00000088,          /* stops in sleep */
	kIOTimerClockMonotonicRaw = 0x00000084,       /* runs in sleep */
	kIOTimerClockRealTime = 0x00000080,           /* since 1970 */
	kIOTimerClockWallTime = 0x00000080,
	kIOTimerClockMachAbsoluteTime = 0x000000c8,   /* ticks of mach_absolute_time() */
	kIOTimerClockMachContinuousTime = 0x000000c4, /* ticks of mach_continuous_time() */
};

/* ---------------------------------------------------------------------------------------------
 * Functions that the runtime is given. A block type is a plain pointer to a compiler without blocks;
 * each method that takes one has a twin that takes a function and its context.
 */

typedef void (*IODispatchFunction)(void *context);
typedef kern_return_t (*IODispatchActionFunction)(void *context);
typedef int (*IODispatchLogFunction)(const char *format, ...);

#ifdef __BLOCKS__
#define ADX_BLOCK_TYPE(result, name, ...) typedef result (^name)(__VA_ARGS__)
#else
#define ADX_BLOCK_TYPE(result, name, ...) typedef void *name
#endif

ADX_BLOCK_TYPE(void, IODispatchBlock, void);
ADX_BLOCK_TYPE(kern_return_t, IODispatchAction, void);
ADX_BLOCK_TYPE(void, IODispatchQueueCancelHandler, void);
ADX_BLOCK_TYPE(void, IODispatchSourceCancelHandler, void);
ADX_BLOCK_TYPE(void, OSActionCancelHandler, void);
ADX_BLOCK_TYPE(void, OSActionAbortedHandler, void);

#endif /* AMBIDEXT_DRIVERKIT_IOTYPES_H */
