/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <DriverKit/IOLib.h>

/* Whether @p act ends its process by abort(), as a misuse must. */
static bool
dies(void (*act)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		act();
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGABRT;
}

/* What @p function answers in another thread. */
static void *
elsewhere(void *(*function)(void *), void *argument)
{
	pthread_t thread;
	void *answer = NULL;

	assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
	assert_int_equal(pthread_join(thread, &answer), 0);
	return answer;
}

static void
test_memory(void **state)
{
	uint64_t *numbers = IONewZero(uint64_t, 100);

	assert_non_null(numbers);
	for (int i = 0; i < 100; i++)
		assert_int_equal(numbers[i], 0);
	IOSafeDeleteNULL(numbers, uint64_t, 100);
	assert_null(numbers);
	assert_null(IONew(uint64_t, SIZE_MAX / 4)); /* overflows: no small block instead */
	assert_null(IONewZero(uint64_t, SIZE_MAX / 4));
	void *nothing = IOMalloc(0);
	assert_non_null(nothing);
	IOFree(nothing, 0);
	IOFree(NULL, 5);
	assert_true(IOVMPageSize >= 4096 && (IOVMPageSize & (IOVMPageSize - 1)) == 0);
}

static void *
try_lock(void *lock)
{
	bool got = IOLockTryLock(lock);

	if (got)
		IOLockUnlock(lock);
	return (void *)(uintptr_t)got;
}

static IOLock *shared_lock;

static void
lock_twice(void)
{
	IOLockLock(shared_lock);
	IOLockLock(shared_lock);
}

static void
unlock_free(void)
{
	IOLockUnlock(shared_lock);
}

static void
assert_not_owned(void)
{
	IOLockLock(shared_lock);
	IOLockAssert(shared_lock, kIOLockAssertNotOwned);
}

static void
assert_owned(void)
{
	IOLockAssert(shared_lock, kIOLockAssertOwned);
}

static void
free_held(void)
{
	IOLockLock(shared_lock);
	IOLockFree(shared_lock);
}

static void
test_lock(void **state)
{
	shared_lock = IOLockAlloc();
	IOLockAssert(shared_lock, kIOLockAssertNotOwned);
	IOLockLock(shared_lock);
	IOLockAssert(shared_lock, kIOLockAssertOwned);
	assert_null(elsewhere(try_lock, shared_lock));
	assert_false(IOLockTryLock(shared_lock));
	IOLockUnlock(shared_lock);
	assert_non_null(elsewhere(try_lock, shared_lock));
	assert_true(dies(lock_twice));
	assert_true(dies(unlock_free));
	assert_true(dies(assert_not_owned));
	assert_true(dies(assert_owned));
	assert_true(dies(free_held));
	IOLockFreeZero(shared_lock);
	assert_null(shared_lock);
	IOLockFreeZero(shared_lock);
}

static void *
have_recursive(void *lock)
{
	return (void *)(uintptr_t)(IORecursiveLockHaveLock(lock) || IORecursiveLockTryLock(lock));
}

static void
test_recursive(void **state)
{
	IORecursiveLock *lock = IORecursiveLockAlloc();
	IORecursiveConditionLock *condition = IORecursiveConditionLockAlloc();

	IORecursiveLockLock(lock);
	assert_true(IORecursiveLockTryLock(lock));
	assert_true(IORecursiveLockHaveLock(lock));
	IORecursiveLockUnlock(lock);
	assert_true(IORecursiveLockHaveLock(lock));
	assert_null(elsewhere(have_recursive, lock));
	IORecursiveLockUnlock(lock);
	assert_false(IORecursiveLockHaveLock(lock));
	IORecursiveConditionLockLock(condition);
	IORecursiveConditionLockLock(condition);
	IORecursiveConditionLockUnlock(condition);
	assert_true(IORecursiveConditionLockHaveLock(condition));
	IORecursiveConditionLockUnlock(condition);
	assert_false(IORecursiveConditionLockHaveLock(condition));
	IORecursiveLockFreeZero(lock);
	IORecursiveConditionLockFreeZero(condition);
}

static IORWLock *shared_rw;

static void *
read_and_leave(void *lock)
{
	IORWLockRead(lock);
	IORWLockAssert(lock, kIORWLockAssertRead);
	IORWLockUnlock(lock);
	return lock;
}

static void
assert_write(void)
{
	IORWLockAssert(shared_rw, kIORWLockAssertWrite);
}

static void
unlock_rw(void)
{
	IORWLockUnlock(shared_rw);
}

static void
test_rw(void **state)
{
	shared_rw = IORWLockAlloc();
	IORWLockAssert(shared_rw, kIORWLockAssertNotHeld);
	assert_true(dies(unlock_rw));
	IORWLockRead(shared_rw);
	IORWLockAssert(shared_rw, kIORWLockAssertHeld);
	assert_non_null(elsewhere(read_and_leave, shared_rw)); /* readers share it */
	assert_true(dies(assert_write));
	IORWLockUnlock(shared_rw);
	IORWLockWrite(shared_rw);
	IORWLockAssert(shared_rw, kIORWLockAssertWrite);
	IORWLockUnlock(shared_rw);
	IORWLockAssert(shared_rw, kIORWLockAssertNotHeld);
	IORWLockFreeZero(shared_rw);
}

static int n_runs; /* written once, by the winner */
static struct IOCallOnceFlag once;

static void
count(void *context)
{
	*(int *)context += 1;
}

static void *
call_once(void *context)
{
	IOCallOnce_f(&once, context, count);
	return (void *)(uintptr_t)n_runs; /* it has run when this returns */
}

static void
test_once(void **state)
{
	pthread_t threads[8];
	void *seen;

	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_once, &n_runs), 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], &seen), 0);
		assert_int_equal((uintptr_t)seen, 1);
	}
	/* A block, as a compiler with -fblocks lays one out. */
	struct IOCallOnceFlag flag = { 0 };
	struct {
		void *isa;
		int flags, reserved;
		void (*invoke)(void *);
		int n;
	} block = { .invoke = NULL };
	block.invoke = count; /* counts in isa's place: what it gets is the block itself */
	IOCallOnce(&flag, (IOCallOnceBlock)&block);
	IOCallOnce(&flag, (IOCallOnceBlock)&block);
	assert_int_equal((uintptr_t)block.isa, 1);
}

static uint64_t tls_key;

static void *
tls_elsewhere(void *unused)
{
	return IOThreadLocalStorageGet(tls_key);
}

static void
test_thread_local(void **state)
{
	int value;

	assert_int_equal(IOThreadLocalStorageKeyCreate(&tls_key), kIOReturnSuccess);
	assert_null(IOThreadLocalStorageGet(tls_key));
	assert_int_equal(IOThreadLocalStorageSet(tls_key, &value), kIOReturnSuccess);
	assert_ptr_equal(IOThreadLocalStorageGet(tls_key), &value);
	assert_null(elsewhere(tls_elsewhere, NULL));
	assert_int_equal(IOThreadLocalStorageKeyDelete(tls_key), kIOReturnSuccess);
	assert_int_equal(IOThreadLocalStorageKeyDelete(tls_key), kIOReturnBadArgument);
	assert_int_equal(IOThreadLocalStorageSet(UINT64_MAX, &value), kIOReturnBadArgument);
	assert_int_equal(IOThreadLocalStorageKeyCreate(NULL), kIOReturnBadArgument);
}

static void
test_bootargs(void **state)
{
	uint8_t byte = 0;
	uint64_t wide = 0;
	char text[8] = "before";

	(void)setenv("AMBIDEXT_BOOTARGS",
		     "debug=0x144 verbose name=usb longname=0123456789 bad=12x", 1);
	assert_true(IOParseBootArgNumber("debug", &wide, sizeof wide));
	assert_int_equal(wide, 0x144);
	assert_true(IOParseBootArgNumber("debug", &byte, sizeof byte));
	assert_int_equal(byte, 0x44);
	assert_true(IOParseBootArgNumber("verbose", &wide, sizeof wide));
	assert_int_equal(wide, 1);
	assert_false(IOParseBootArgNumber("deb", &wide, sizeof wide));
	assert_false(IOParseBootArgNumber("bad", &wide, sizeof wide));
	assert_false(IOParseBootArgNumber("debug", &wide, 3));
	assert_false(IOParseBootArgString("longname", text, sizeof text));
	assert_string_equal(text, "before");
	assert_true(IOParseBootArgString("name", text, sizeof text));
	assert_string_equal(text, "usb");
	(void)unsetenv("AMBIDEXT_BOOTARGS");
	assert_false(IOParseBootArgString("name", text, sizeof text));
}

static void
test_time(void **state)
{
	uint64_t before = mach_absolute_time();

	IODelay(1); /* "at least": a test of that, not a pause for others */
	assert_true(mach_absolute_time() - before >= 1000);
}

static void
test_arithmetic(void **state)
{
	assert_int_equal(crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32(crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
	assert_int_equal(IOFixedMultiply(0x18000, 0x20000), 0x30000);
	assert_int_equal(IOFixedDivide(0x30000, 0x20000), 0x18000);
	assert_int_equal(IOFixedMultiply(-0x10000, 0x8000), -0x8000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),     cmocka_unit_test(test_lock),
		cmocka_unit_test(test_recursive),  cmocka_unit_test(test_rw),
		cmocka_unit_test(test_once),       cmocka_unit_test(test_thread_local),
		cmocka_unit_test(test_bootargs),   cmocka_unit_test(test_time),
		cmocka_unit_test(test_arithmetic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
