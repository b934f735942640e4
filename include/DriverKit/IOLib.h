/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DRIVERKIT_IOLIB_H
#define AMBIDEXT_DRIVERKIT_IOLIB_H

/** @file DriverKit/IOLib.h
 *  @brief Memory, time, locks and small helpers of drivers. Threads: [any] unless said otherwise. */

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <DriverKit/IOTypes.h>
#include <ambidext/bsd.h>
#include <libkern/OSByteOrder.h>
#include <mach/mach_time.h>
#include <os/log.h>

ADX_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------------
 * Memory
 */

/** NULL: no memory. Aligned for any type. */
ADX_API void *IOMalloc(size_t length);
ADX_API void *IOMallocZero(size_t length);
/** @p length as it was allocated. NULL is allowed. */
ADX_API void IOFree(void *address, size_t length);

/** Bytes of @p count elements; SIZE_MAX when that overflows, which no allocation satisfies. */
static inline size_t
adx_array_size(size_t count, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

/** Storage without constructors or destructors. */
#define IONew(type, count) ((type *)IOMalloc(adx_array_size((count), sizeof(type))))
#define IONewZero(type, count) ((type *)IOMallocZero(adx_array_size((count), sizeof(type))))
#define IODelete(pointer, type, count) IOFree((pointer), adx_array_size((count), sizeof(type)))
#define IOSafeDeleteNULL(pointer, type, count)                  \
	do {                                                    \
		if ((pointer) != NULL) {                        \
			IODelete((pointer), type, (count));     \
			(pointer) = NULL;                       \
		}                                               \
	} while (0)

/** Bytes of a page. */
extern ADX_API const uint64_t IOVMPageSize;

/* ---------------------------------------------------------------------------------------------
 * Time
 */

/** At least that long; blocks the thread. */
ADX_API void IOSleep(uint64_t milliseconds);
ADX_API void IODelay(uint64_t microseconds);

/* ---------------------------------------------------------------------------------------------
 * Log
 */

ADX_API int IOLog(const char *format, ...) __attribute__((format(printf, 1, 2)));
ADX_API int IOLogv(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));
ADX_API void IOLogBuffer(const char *title, const void *buffer, size_t size);
ADX_API void OSReportWithBacktrace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---------------------------------------------------------------------------------------------
 * Locks. A lock is never NULL but for want of memory; unlocking another thread's lock ends the process.
 */

typedef struct IOLock IOLock;
typedef struct IORecursiveLock IORecursiveLock;
typedef struct IORecursiveConditionLock IORecursiveConditionLock;
typedef struct IORWLock IORWLock;

typedef enum IOLockAssertState {
	kIOLockAssertOwned = 1,
	kIOLockAssertNotOwned = 2,
} IOLockAssertState;

typedef enum IORWLockAssertState {
	kIORWLockAssertRead = 1,
	kIORWLockAssertWrite = 2,
	kIORWLockAssertHeld = 3,
	kIORWLockAssertNotHeld = 4,
} IORWLockAssertState;

ADX_API IOLock *IOLockAlloc(void);
ADX_API void IOLockFree(IOLock *lock);
ADX_API void IOLockLock(IOLock *lock);
ADX_API bool IOLockTryLock(IOLock *lock);
ADX_API void IOLockUnlock(IOLock *lock);
/** Ends the process when the lock is not in that state. */
ADX_API void IOLockAssert(IOLock *lock, IOLockAssertState type);

ADX_API IORecursiveLock *IORecursiveLockAlloc(void);
ADX_API void IORecursiveLockFree(IORecursiveLock *lock);
ADX_API void IORecursiveLockLock(IORecursiveLock *lock);
ADX_API bool IORecursiveLockTryLock(IORecursiveLock *lock);
ADX_API void IORecursiveLockUnlock(IORecursiveLock *lock);
ADX_API bool IORecursiveLockHaveLock(IORecursiveLock *lock);

ADX_API IORecursiveConditionLock *IORecursiveConditionLockAlloc(void);
ADX_API void IORecursiveConditionLockFree(IORecursiveConditionLock *lock);
ADX_API void IORecursiveConditionLockLock(IORecursiveConditionLock *lock);
ADX_API bool IORecursiveConditionLockTryLock(IORecursiveConditionLock *lock);
ADX_API void IORecursiveConditionLockUnlock(IORecursiveConditionLock *lock);
ADX_API bool IORecursiveConditionLockHaveLock(IORecursiveConditionLock *lock);

ADX_API IORWLock *IORWLockAlloc(void);
ADX_API void IORWLockFree(IORWLock *lock);
ADX_API void IORWLockRead(IORWLock *lock);
ADX_API void IORWLockWrite(IORWLock *lock);
ADX_API void IORWLockUnlock(IORWLock *lock);
ADX_API void IORWLockAssert(IORWLock *lock, IORWLockAssertState type);

#define ADX_FREE_ZERO(free_function, lock)       \
	do {                                     \
		if ((lock) != NULL) {            \
			free_function(lock);     \
			(lock) = NULL;           \
		}                                \
	} while (0)
#define IOLockFreeZero(lock) ADX_FREE_ZERO(IOLockFree, lock)
#define IORecursiveLockFreeZero(lock) ADX_FREE_ZERO(IORecursiveLockFree, lock)
#define IORecursiveConditionLockFreeZero(lock) ADX_FREE_ZERO(IORecursiveConditionLockFree, lock)
#define IORWLockFreeZero(lock) ADX_FREE_ZERO(IORWLockFree, lock)

/* ---------------------------------------------------------------------------------------------
 * Once, per thread, arguments
 */

struct IOCallOnceFlag {
	intptr_t opaque; /* begins as 0 */
};
ADX_BLOCK_TYPE(void, IOCallOnceBlock, void);
/** Runs once for a flag; others wait until it has. */
ADX_API void IOCallOnce(struct IOCallOnceFlag *flag, IOCallOnceBlock block);
ADX_API void IOCallOnce_f(struct IOCallOnceFlag *flag, void *context, IODispatchFunction function);

ADX_API kern_return_t IOThreadLocalStorageKeyCreate(uint64_t *key);
ADX_API kern_return_t IOThreadLocalStorageKeyDelete(uint64_t key);
ADX_API kern_return_t IOThreadLocalStorageSet(uint64_t key, const void *value);
ADX_API void *IOThreadLocalStorageGet(uint64_t key);

/** From the environment variable AMBIDEXT_BOOTARGS, "name=value name …". False: not there, or it does not fit. */
ADX_API bool IOParseBootArgNumber(const char *arg_string, void *arg_ptr, int max_len);
ADX_API bool IOParseBootArgString(const char *arg_string, char *arg_ptr, int max_len);

/* ---------------------------------------------------------------------------------------------
 * Arithmetic
 */

static inline IOFixed
IOFixedMultiply(IOFixed a, IOFixed b)
{
	return (IOFixed)((((int64_t)a) * ((int64_t)b)) >> 16);
}

static inline IOFixed
IOFixedDivide(IOFixed a, IOFixed b)
{
	return (IOFixed)((((int64_t)a) * 65536) / ((int64_t)b));
}

/** CRC-32 of IEEE 802.3 over more bytes; begin with 0. */
static inline uint32_t
crc32(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *byte = (const uint8_t *)data;

	crc = ~crc;
	for (size_t i = 0; i < size; i++) {
		crc ^= byte[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
	}
	return ~crc;
}

/** All memory accesses before it come before all after it. */
static inline void
OSSynchronizeIO(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

ADX_END_DECLS

#endif /* AMBIDEXT_DRIVERKIT_IOLIB_H */
