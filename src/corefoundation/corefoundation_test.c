/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <CoreFoundation/CoreFoundation.h>
#include <dispatch/dispatch.h>

#include "corefoundation/runloop.h"
#include "object/containers.h"

#define UTF8 kCFStringEncodingUTF8

static void
test_strings(void **state)
{
	CFStringRef a = CFStringCreateWithCString(NULL, "Hello", UTF8), b, array_text;
	CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
	char text[6];

	assert_ptr_equal(CFSTR("same"), CFSTR("same"));
	assert_true(CFEqual(a, CFSTR("Hello")));
	assert_true(CFHash(a) == CFHash(CFSTR("Hello")));
	assert_int_equal(CFStringGetLength(a), 5);
	assert_true(CFStringGetCString(a, text, 6, UTF8));
	assert_string_equal(text, "Hello");
	assert_false(CFStringGetCString(a, text, 5, UTF8));
	assert_int_equal(CFGetTypeID(a), CFStringGetTypeID());
	assert_int_equal(CFStringCompare(a, CFSTR("hello"), kCFCompareCaseInsensitive), 0);
	assert_int_equal(CFStringCompare(a, CFSTR("hello"), 0), kCFCompareLessThan);
	assert_true(CFStringHasPrefix(a, CFSTR("He")) && CFStringHasSuffix(a, CFSTR("lo")));
	assert_null(CFStringCreateWithCString(NULL, NULL, UTF8));
	assert_null(CFStringCreateWithCString(NULL, "x", 12345));

	CFArrayAppendValue(array, a);
	b = CFStringCreateWithFormat(NULL, NULL, CFSTR("%d %@|%5.2f|%-*s|%llx|%c%%|%zu|%@|%ld"), 7, a,
				     3.14159, 4, "x", 0x123456789abcull, 'y', sizeof text, array, -1l);
	array_text = CFCopyDescription(array);
	assert_string_equal(CFStringGetCStringPtr(b, UTF8),
			    "7 Hello| 3.14|x   |123456789abc|y%|6|(\"Hello\")|-1");
	assert_string_equal(CFStringGetCStringPtr(array_text, UTF8), "(\"Hello\")");
	CFRelease(array_text);
	CFRelease(b);
	b = CFStringCreateWithFormat(NULL, NULL, CFSTR("stops %n here"), text);
	assert_string_equal(CFStringGetCStringPtr(b, UTF8), "stops ");
	CFRelease(b);
	CFRelease(array);
	CFRelease(a);
}

static void
test_numbers(void **state)
{
	static const int64_t values[] = { 0, 1, -1, 127, -128, 255, 32767, 1ll << 31, INT64_MAX, INT64_MIN };
	int32_t small = -5, back32 = 0;
	float real = 2.5f;
	double back = 0;
	CFNumberRef number;
	int64_t wide = 0;
	int8_t narrow;
	size_t i;

	for (i = 0; i < sizeof values / sizeof values[0]; i++) {
		number = CFNumberCreate(NULL, kCFNumberSInt64Type, &values[i]);
		assert_true(CFNumberGetValue(number, kCFNumberLongLongType, &wide));
		assert_true(wide == values[i]);
		CFRelease(number);
	}
	number = CFNumberCreate(NULL, kCFNumberIntType, &small);
	assert_int_equal(CFNumberGetType(number), kCFNumberSInt32Type);
	assert_int_equal(CFNumberGetByteSize(number), 4);
	assert_true(CFNumberGetValue(number, kCFNumberSInt64Type, &wide));
	assert_true(wide == -5);
	assert_true(CFNumberGetValue(number, kCFNumberDoubleType, &back));
	assert_true(back == -5.0);
	assert_int_equal(CFGetTypeID(number), CFNumberGetTypeID());
	CFRelease(number);

	number = CFNumberCreate(NULL, kCFNumberFloatType, &real);
	assert_true(CFNumberIsFloatType(number));
	assert_true(CFNumberGetValue(number, kCFNumberSInt32Type, &back32));
	assert_int_equal(back32, 2);
	CFRelease(number);

	wide = 300;
	number = CFNumberCreate(NULL, kCFNumberSInt64Type, &wide);
	assert_false(CFNumberGetValue(number, kCFNumberSInt8Type, &narrow));
	CFRelease(number);
	assert_null(CFNumberCreate(NULL, 99, &wide));

	/* Small numbers of an application have a sign; a driver's, as idVendor and bInterfaceClass, do not. */
	narrow = -3;
	number = CFNumberCreate(NULL, kCFNumberSInt8Type, &narrow);
	assert_true(CFNumberGetValue(number, kCFNumberSInt64Type, &wide));
	assert_true(wide == -3);
	CFRelease(number);
	number = (CFNumberRef)OSNumber_withNumber(0x8087, 16);
	assert_int_equal(CFNumberGetType(number), kCFNumberSInt32Type);
	assert_int_equal(CFNumberGetByteSize(number), 4);
	assert_true(CFNumberGetValue(number, kCFNumberSInt32Type, &back32));
	assert_int_equal(back32, 0x8087);
	CFRelease(number);
	assert_ptr_equal(kCFBooleanTrue, kOSBooleanTrue);
	assert_true(CFBooleanGetValue(kCFBooleanTrue) && !CFBooleanGetValue(kCFBooleanFalse));
	assert_int_equal(CFGetTypeID(kCFBooleanTrue), CFBooleanGetTypeID());
}

static void
sum_pair(const void *key, const void *value, void *context)
{
	int32_t number = 0;

	assert_int_equal(CFGetTypeID(key), CFStringGetTypeID());
	assert_true(CFNumberGetValue(value, kCFNumberSInt32Type, &number));
	*(int32_t *)context += number;
}

static void
test_collections(void **state)
{
	CFMutableDictionaryRef dict = CFDictionaryCreateMutable(
		NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
	CFMutableSetRef set = CFSetCreateMutable(NULL, 0, &kCFTypeSetCallBacks);
	CFMutableDataRef data = CFDataCreateMutable(NULL, 0);
	CFStringRef same = CFStringCreateWithCString(NULL, "one", UTF8);
	int32_t one = 1, two = 2, sum = 0;
	CFNumberRef numbers[2] = { CFNumberCreate(NULL, kCFNumberSInt32Type, &one),
				   CFNumberCreate(NULL, kCFNumberSInt32Type, &two) };
	const void *values[2] = { numbers[0], numbers[1] }, *keys[2], *value = NULL;
	CFArrayRef array = CFArrayCreate(NULL, values, 2, &kCFTypeArrayCallBacks);
	CFDictionaryRef copy;
	UInt8 bytes[2];

	CFDictionarySetValue(dict, CFSTR("one"), numbers[0]);
	CFDictionarySetValue(dict, CFSTR("two"), numbers[1]);
	CFDictionaryAddValue(dict, same, numbers[1]); /* is there */
	assert_int_equal(CFDictionaryGetCount(dict), 2);
	assert_ptr_equal(CFDictionaryGetValue(dict, same), numbers[0]);
	assert_true(CFDictionaryGetValueIfPresent(dict, same, &value));
	assert_ptr_equal(value, numbers[0]);
	assert_false(CFDictionaryGetValueIfPresent(dict, CFSTR("three"), &value));
	CFDictionaryApplyFunction(dict, sum_pair, &sum);
	assert_int_equal(sum, 3);
	CFDictionaryGetKeysAndValues(dict, keys, values);
	assert_true(CFEqual(keys[1], CFSTR("two")));
	copy = CFDictionaryCreateCopy(NULL, dict);
	assert_true(CFEqual(copy, dict));
	CFDictionaryRemoveValue(dict, same);
	assert_false(CFEqual(copy, dict));
	assert_int_equal(CFDictionaryGetCount(copy), 2);

	/* One object, two faces. */
	assert_non_null(OSDynamicCast(OSDictionary, copy));
	assert_ptr_equal(adxi_dict_get((const OSDictionary *)copy, "two"), numbers[1]);

	assert_int_equal(CFArrayGetCount(array), 2);
	assert_ptr_equal(CFArrayGetValueAtIndex(array, 1), numbers[1]);
	assert_null(CFArrayGetValueAtIndex(array, 2));
	assert_null(CFArrayGetValueAtIndex(array, -1));
	assert_true(CFArrayContainsValue(array, CFRangeMake(0, 2), numbers[1]));
	assert_false(CFArrayContainsValue(array, CFRangeMake(0, 1), numbers[1]));

	CFSetAddValue(set, same);
	CFSetAddValue(set, CFSTR("one"));
	assert_int_equal(CFSetGetCount(set), 1);
	assert_true(CFSetContainsValue(set, CFSTR("one")));
	CFSetRemoveValue(set, CFSTR("one"));
	assert_int_equal(CFSetGetCount(set), 0);
	assert_int_equal(CFGetTypeID(set), CFSetGetTypeID());
	assert_int_equal(CFGetTypeID(array), CFArrayGetTypeID());

	CFDataAppendBytes(data, (const UInt8 *)"one", 3);
	assert_int_equal(CFDataGetLength(data), 3);
	CFDataGetBytes(data, CFRangeMake(1, 2), bytes);
	assert_memory_equal(bytes, "ne", 2);
	assert_false(CFEqual(data, CFSTR("one"))); /* equal to drivers only */
	assert_true(adxi_equal(data, same));

	CFRelease(copy);
	CFRelease(array);
	CFRelease(data);
	CFRelease(set);
	CFRelease(dict);
	assert_int_equal(CFGetRetainCount(numbers[0]), 1);
	CFRelease(numbers[0]);
	CFRelease(numbers[1]);
	CFRelease(same);
}

static int fired, pipe_ends[2];

static void
fire_pipe(void *context)
{
	char byte;

	assert_ptr_equal(context, &fired);
	assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
	fired++;
}

static void
test_descriptor_source(void **state)
{
	CFRunLoopRef loop = CFRunLoopGetCurrent();
	CFRunLoopSourceRef source;

	assert_ptr_equal(loop, CFRunLoopGetMain());
	assert_int_equal(pipe(pipe_ends), 0);
	source = adxi_runloop_source_for_fd(pipe_ends[0], fire_pipe, &fired);
	CFRunLoopAddSource(loop, source, kCFRunLoopDefaultMode);
	CFRunLoopAddSource(loop, source, kCFRunLoopDefaultMode); /* once */
	assert_true(CFRunLoopContainsSource(loop, source, kCFRunLoopDefaultMode));
	fired = 0;
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, TRUE), kCFRunLoopRunTimedOut);
	assert_int_equal(write(pipe_ends[1], "xy", 2), 2);
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, TRUE),
			 kCFRunLoopRunHandledSource);
	assert_int_equal(fired, 1);
	CFRunLoopRemoveSource(loop, source, kCFRunLoopDefaultMode);
	assert_false(CFRunLoopContainsSource(loop, source, kCFRunLoopDefaultMode));
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, TRUE), kCFRunLoopRunTimedOut);
	assert_int_equal(fired, 1);
	/* The common modes: the default one, and another that was added. */
	CFRunLoopAddSource(loop, source, kCFRunLoopCommonModes);
	CFRunLoopAddCommonMode(loop, CFSTR("mine"));
	assert_int_equal(CFRunLoopRunInMode(CFSTR("mine"), 10, TRUE), kCFRunLoopRunHandledSource);
	assert_int_equal(fired, 2);
	CFRunLoopSourceInvalidate(source);
	assert_false(CFRunLoopSourceIsValid(source));
	assert_int_equal(write(pipe_ends[1], "z", 1), 1);
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, TRUE), kCFRunLoopRunTimedOut);
	assert_int_equal(fired, 2);
	assert_int_equal(CFGetRetainCount(source), 1); /* the loop let it go */
	CFRelease(source);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

static void
perform(void *info)
{
	++*(int *)info;
}

static void
tick(CFRunLoopTimerRef timer, void *info)
{
	if (++*(int *)info == 3)
		CFRunLoopStop(CFRunLoopGetCurrent());
}

static void *
other_thread(void *result)
{
	CFRunLoopSourceContext context = { .info = &fired, .perform = perform };
	CFRunLoopTimerContext timer_context = { .info = &fired };
	CFRunLoopRef loop = CFRunLoopGetCurrent();
	CFRunLoopSourceRef source = CFRunLoopSourceCreate(NULL, 0, &context);
	CFRunLoopTimerRef timer;

	assert_ptr_not_equal(loop, CFRunLoopGetMain());
	/* Nothing in it: it ends at once. */
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, FALSE), kCFRunLoopRunFinished);
	fired = 0;
	CFRunLoopAddSource(loop, source, kCFRunLoopDefaultMode);
	CFRunLoopSourceSignal(source);
	assert_int_equal(CFRunLoopRunInMode(kCFRunLoopDefaultMode, 10, TRUE),
			 kCFRunLoopRunHandledSource);
	assert_int_equal(fired, 1);
	timer = CFRunLoopTimerCreate(NULL, CFAbsoluteTimeGetCurrent() - 1, 0.0001, 0, 0, tick,
				     &timer_context);
	CFRunLoopAddTimer(loop, timer, kCFRunLoopDefaultMode);
	CFRunLoopRun(); /* until the third */
	assert_int_equal(fired, 3);
	CFRunLoopTimerInvalidate(timer);
	CFRunLoopSourceInvalidate(source);
	CFRelease(timer);
	CFRelease(source);
	return result;
}

static void
test_thread_loop(void **state)
{
	pthread_t thread;
	void *result = NULL;

	assert_int_equal(pthread_create(&thread, NULL, other_thread, &fired), 0);
	pthread_join(thread, &result);
	assert_ptr_equal(result, &fired);
}

static void *
stop_main(void *unused)
{
	CFRunLoopStop(CFRunLoopGetMain());
	return unused;
}

static void
test_stop_from_elsewhere(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop_main, NULL), 0);
	CFRunLoopRun();
	pthread_join(thread, NULL);
}

enum { WORKS = 1000 };
static int order[WORKS], n_order;

static void
note_order(void *context)
{
	order[n_order++] = (int)(intptr_t)context;
}

static void
stop_loop(void *context)
{
	CFRunLoopStop(CFRunLoopGetMain());
}

static void
hop_to_main(void *context)
{
	dispatch_async_f(dispatch_get_main_queue(), NULL, stop_loop);
}

static void
nothing(void *context)
{
}

static void
test_dispatch(void **state)
{
	dispatch_queue_t queue = dispatch_queue_create("test", NULL);
	intptr_t i;

	assert_string_equal(dispatch_queue_get_label(queue), "test");
	for (i = 0; i < WORKS; i++)
		dispatch_async_f(queue, (void *)i, note_order);
	dispatch_sync_f(queue, NULL, nothing);
	assert_int_equal(n_order, WORKS);
	for (i = 0; i < WORKS; i++)
		assert_int_equal(order[i], i);
	/* Work on a queue sends work to the main queue, which the main loop runs. */
	dispatch_async_f(queue, NULL, hop_to_main);
	CFRunLoopRun();
	dispatch_sync_f(queue, NULL, nothing);
	dispatch_release(queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),		  cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_collections),	  cmocka_unit_test(test_descriptor_source),
		cmocka_unit_test(test_thread_loop),	  cmocka_unit_test(test_stop_from_elsewhere),
		cmocka_unit_test(test_dispatch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
