/* SPDX-License-Identifier: MIT */
/* DriverKit/IOLib.h: memory, time, locks, once, boot arguments. */

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <DriverKit/IOLib.h>

#include "base/buf.h"
#include "base/check.h"
#include "driverkit/block.h"
#include "object/oslog.h"

const uint64_t IOVMPageSize = 4096;

/* ---------------------------------------------------------------------------------------------
 * Memory and time
 */

void *
IOMalloc(size_t length)
{
	return length == SIZE_MAX ? NULL : malloc(length ? length : 1);
}

void *
IOMallocZero(size_t length)
{
	return length == SIZE_MAX ? NULL : calloc(1, length ? length : 1);
}

void
IOFree(void *address, size_t length)
{
	free(address);
}

static void
sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u),
			       .tv_nsec = (long)(ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

void
IOSleep(uint64_t milliseconds)
{
	sleep_ns(milliseconds > UINT64_MAX / 1000000u ? UINT64_MAX : milliseconds * 1000000u);
}

void
IODelay(uint64_t microseconds)
{
	sleep_ns(microseconds > UINT64_MAX / 1000u ? UINT64_MAX : microseconds * 1000u);
}

/* ---------------------------------------------------------------------------------------------
 * Log
 */

int
IOLogv(const char *format, va_list ap)
{
	return adxi_oslog_write("", format, ap);
}

int
IOLog(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int n = IOLogv(format, ap);
	va_end(ap);
	return n;
}

void
IOLogBuffer(const char *title, const void *buffer, size_t size)
{
	const uint8_t *byte = buffer;

	for (size_t row = 0; row < size; row += 16) {
		struct adxi_buf line = { 0 };

		for (size_t i = row; i < size && i < row + 16; i++)
			adxi_buf_printf(&line, " %02x", byte[i]);
		IOLog("%s %04zx:%s", title ? title : "", row, adxi_buf_text(&line));
		adxi_buf_done(&line);
	}
}

void
OSReportWithBacktrace(const char *format, ...)
{
	void *frames[32];
	int n = backtrace(frames, 32);
	char **names = backtrace_symbols(frames, n);
	va_list ap;

	va_start(ap, format);
	(void)IOLogv(format, ap);
	va_end(ap);
	for (int i = 1; names && i < n; i++)
		IOLog("  %s", names[i]);
	free(names);
}

/* ---------------------------------------------------------------------------------------------
 * Locks. pthread's checking mutex knows its owner; a misuse ends the process, as the header says.
 */

struct IOLock {
	pthread_mutex_t mutex;
	pthread_t owner; /* atomic; valid while held */
	bool held;       /* atomic */
	unsigned depth;  /* recursive locks: the owner's */
};

struct IORecursiveLock {
	struct IOLock lock;
};

struct IORecursiveConditionLock {
	struct IOLock lock;
};

static void
lock_init(struct IOLock *lock, int kind)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, kind);
	pthread_mutex_init(&lock->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

static bool
lock_owned(const struct IOLock *lock)
{
	return __atomic_load_n(&lock->held, __ATOMIC_ACQUIRE) &&
	       pthread_equal(__atomic_load_n(&lock->owner, __ATOMIC_RELAXED), pthread_self());
}

static void
lock_taken(struct IOLock *lock)
{
	__atomic_store_n(&lock->owner, pthread_self(), __ATOMIC_RELAXED);
	lock->depth++;
	__atomic_store_n(&lock->held, true, __ATOMIC_RELEASE);
}

static void
lock_take(struct IOLock *lock, const char *what)
{
	int r = pthread_mutex_lock(&lock->mutex);

	if (r != 0)
		adxi_die("%s: %s", what,
			 r == EDEADLK ? "the thread holds it already" : strerror(r));
	lock_taken(lock);
}

static bool
lock_try(struct IOLock *lock)
{
	if (pthread_mutex_trylock(&lock->mutex) != 0)
		return false;
	lock_taken(lock);
	return true;
}

static void
lock_give(struct IOLock *lock, const char *what)
{
	if (!lock_owned(lock))
		adxi_die("%s: the thread does not hold it", what);
	if (--lock->depth == 0)
		__atomic_store_n(&lock->held, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock->mutex);
}

static void
lock_end(struct IOLock *lock, const char *what)
{
	if (pthread_mutex_destroy(&lock->mutex) != 0)
		adxi_die("%s: it is held", what);
}

IOLock *
IOLockAlloc(void)
{
	IOLock *lock = calloc(1, sizeof(*lock));

	if (lock)
		lock_init(lock, PTHREAD_MUTEX_ERRORCHECK);
	return lock;
}

void
IOLockFree(IOLock *lock)
{
	if (!lock)
		return;
	lock_end(lock, "IOLockFree");
	free(lock);
}

void
IOLockLock(IOLock *lock)
{
	lock_take(lock, "IOLockLock");
}

bool
IOLockTryLock(IOLock *lock)
{
	return lock_try(lock);
}

void
IOLockUnlock(IOLock *lock)
{
	lock_give(lock, "IOLockUnlock");
}

void
IOLockAssert(IOLock *lock, IOLockAssertState type)
{
	if (lock_owned(lock) != (type == kIOLockAssertOwned))
		adxi_die("IOLockAssert: the thread %s the lock",
			 lock_owned(lock) ? "holds" : "does not hold");
}

/* The two recursive kinds differ in name alone: condition waits are IODispatchQueue's Sleep. */
#define RECURSIVE_LOCK(type)                                                                       \
	type *type##Alloc(void)                                                                    \
	{                                                                                          \
		type *lock = calloc(1, sizeof(*lock));                                             \
                                                                                                   \
		if (lock)                                                                          \
			lock_init(&lock->lock, PTHREAD_MUTEX_RECURSIVE);                           \
		return lock;                                                                       \
	}                                                                                          \
	void type##Free(type *lock)                                                                \
	{                                                                                          \
		if (!lock)                                                                         \
			return;                                                                    \
		lock_end(&lock->lock, #type "Free");                                               \
		free(lock);                                                                        \
	}                                                                                          \
	void type##Lock(type *lock)                                                                \
	{                                                                                          \
		lock_take(&lock->lock, #type "Lock");                                              \
	}                                                                                          \
	bool type##TryLock(type *lock)                                                             \
	{                                                                                          \
		return lock_try(&lock->lock);                                                      \
	}                                                                                          \
	void type##Unlock(type *lock)                                                              \
	{                                                                                          \
		lock_give(&lock->lock, #type "Unlock");                                            \
	}                                                                                          \
	bool type##HaveLock(type *lock)                                                            \
	{                                                                                          \
		return lock_owned(&lock->lock);                                                    \
	}

RECURSIVE_LOCK(IORecursiveLock)
RECURSIVE_LOCK(IORecursiveConditionLock)

struct IORWLock {
	pthread_rwlock_t lock;
	pthread_t writer;   /* atomic; valid while written */
	bool written;       /* atomic */
	unsigned n_readers; /* atomic */
};

IORWLock *
IORWLockAlloc(void)
{
	IORWLock *lock = calloc(1, sizeof(*lock));

	if (lock)
		pthread_rwlock_init(&lock->lock, NULL);
	return lock;
}

void
IORWLockFree(IORWLock *lock)
{
	if (!lock)
		return;
	pthread_rwlock_destroy(&lock->lock);
	free(lock);
}

void
IORWLockRead(IORWLock *lock)
{
	int r = pthread_rwlock_rdlock(&lock->lock);

	if (r != 0)
		adxi_die("IORWLockRead: %s", strerror(r));
	__atomic_fetch_add(&lock->n_readers, 1, __ATOMIC_ACQ_REL);
}

void
IORWLockWrite(IORWLock *lock)
{
	int r = pthread_rwlock_wrlock(&lock->lock);

	if (r != 0)
		adxi_die("IORWLockWrite: %s", strerror(r));
	__atomic_store_n(&lock->writer, pthread_self(), __ATOMIC_RELAXED);
	__atomic_store_n(&lock->written, true, __ATOMIC_RELEASE);
}

static bool
rw_is_writer(IORWLock *lock)
{
	return __atomic_load_n(&lock->written, __ATOMIC_ACQUIRE) &&
	       pthread_equal(__atomic_load_n(&lock->writer, __ATOMIC_RELAXED), pthread_self());
}

void
IORWLockUnlock(IORWLock *lock)
{
	if (rw_is_writer(lock))
		__atomic_store_n(&lock->written, false, __ATOMIC_RELEASE);
	else if (__atomic_load_n(&lock->n_readers, __ATOMIC_ACQUIRE) > 0)
		__atomic_fetch_sub(&lock->n_readers, 1, __ATOMIC_ACQ_REL);
	else
		adxi_die("IORWLockUnlock: the thread does not hold it");
	pthread_rwlock_unlock(&lock->lock);
}

void
IORWLockAssert(IORWLock *lock, IORWLockAssertState type)
{
	bool write = rw_is_writer(lock),
	     read = __atomic_load_n(&lock->n_readers, __ATOMIC_ACQUIRE) > 0;
	bool ok = type == kIORWLockAssertRead    ? read
		  : type == kIORWLockAssertWrite ? write
		  : type == kIORWLockAssertHeld  ? read || write
						 : !write;

	if (!ok)
		adxi_die("IORWLockAssert: the lock is %s", write  ? "held for writing"
							   : read ? "held for reading"
								  : "free");
}

/* ---------------------------------------------------------------------------------------------
 * Once, per thread
 */

static pthread_mutex_t once_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t once_cond = PTHREAD_COND_INITIALIZER;

enum { ONCE_NEW, ONCE_RUNS, ONCE_DONE };

void
IOCallOnce_f(struct IOCallOnceFlag *flag, void *context, IODispatchFunction function)
{
	if (__atomic_load_n(&flag->opaque, __ATOMIC_ACQUIRE) == ONCE_DONE)
		return;
	pthread_mutex_lock(&once_lock);
	while (flag->opaque == ONCE_RUNS)
		pthread_cond_wait(&once_cond, &once_lock);
	bool mine = flag->opaque == ONCE_NEW;
	if (mine)
		__atomic_store_n(&flag->opaque, ONCE_RUNS, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&once_lock);
	if (!mine)
		return;
	function(context);
	pthread_mutex_lock(&once_lock);
	__atomic_store_n(&flag->opaque, ONCE_DONE, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&once_cond);
	pthread_mutex_unlock(&once_lock);
}

void
IOCallOnce(struct IOCallOnceFlag *flag, IOCallOnceBlock block)
{
	IOCallOnce_f(flag, (void *)block, adxi_block_call);
}

kern_return_t
IOThreadLocalStorageKeyCreate(uint64_t *key)
{
	pthread_key_t new_key;

	if (!key)
		return kIOReturnBadArgument;
	if (pthread_key_create(&new_key, NULL) != 0)
		return kIOReturnNoResources;
	*key = new_key;
	return kIOReturnSuccess;
}

kern_return_t
IOThreadLocalStorageKeyDelete(uint64_t key)
{
	return pthread_key_delete((pthread_key_t)key) == 0 ? kIOReturnSuccess
							   : kIOReturnBadArgument;
}

kern_return_t
IOThreadLocalStorageSet(uint64_t key, const void *value)
{
	return pthread_setspecific((pthread_key_t)key, value) == 0 ? kIOReturnSuccess
								   : kIOReturnBadArgument;
}

void *
IOThreadLocalStorageGet(uint64_t key)
{
	return pthread_getspecific((pthread_key_t)key);
}

/* ---------------------------------------------------------------------------------------------
 * Boot arguments: AMBIDEXT_BOOTARGS="name=value flag"
 */

/* Value of name: its bytes and their number; a flag without '=' has "1". */
static const char *
boot_arg(const char *name, size_t *ret_length)
{
	const char *at = getenv("AMBIDEXT_BOOTARGS");
	size_t length = name ? strlen(name) : 0;

	while (at && *at && length) {
		at += strspn(at, " ");
		size_t word = strcspn(at, " ");

		if (word >= length && strncmp(at, name, length) == 0) {
			if (word == length) {
				*ret_length = 1;
				return "1";
			}
			if (at[length] == '=') {
				*ret_length = word - length - 1;
				return at + length + 1;
			}
		}
		at += word;
	}
	return NULL;
}

bool
IOParseBootArgNumber(const char *arg_string, void *arg_ptr, int max_len)
{
	char text[32], *end;
	size_t length;
	const char *value = boot_arg(arg_string, &length);

	if (!value || !arg_ptr || length == 0 || length >= sizeof(text) ||
	    (max_len != 1 && max_len != 2 && max_len != 4 && max_len != 8))
		return false;
	memcpy(text, value, length);
	text[length] = '\0';
	uint64_t number = strtoull(text, &end, 0);
	if (*end)
		return false;
	memcpy(arg_ptr, &number, (size_t)max_len); /* little endian: the low bytes */
	return true;
}

bool
IOParseBootArgString(const char *arg_string, char *arg_ptr, int max_len)
{
	size_t length;
	const char *value = boot_arg(arg_string, &length);

	if (!value || !arg_ptr || max_len <= 0 || length >= (size_t)max_len)
		return false;
	memcpy(arg_ptr, value, length);
	arg_ptr[length] = '\0';
	return true;
}
