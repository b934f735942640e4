/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "object/containers.h"

#define OWNED        adxi_cleanup(adxi_releasep)
#define BASE(object) ((OSMetaClassBase *)(object))

static void
test_string(void **state)
{
	OWNED OSString *a = OSString_withCString("hello");
	OWNED OSString *b = OSString_withCStringLength("hello world", 5);
	OWNED OSString *empty = OSString_withCString("");
	OWNED OSData *with_nul = OSData_withBytes("hello", 6);
	OWNED OSData *without = OSData_withBytes("hello", 5);
	OWNED OSString *made = adxi_string_format("%d-%s", 42, "x");

	assert_true(adxi_equal(a, b));
	assert_true(adxi_hash(a) == adxi_hash(b));
	assert_true(OSString_isEqualToCString(a, "hello"));
	assert_false(OSString_isEqualToCString(a, "hell"));
	assert_false(OSString_isEqualToCString(a, NULL));
	assert_true(adxi_equal(a, with_nul) && adxi_equal(with_nul, a));
	assert_true(adxi_equal(a, without) && adxi_equal(without, a));
	assert_true(adxi_hash(a) == adxi_hash(with_nul) && adxi_hash(a) == adxi_hash(without));
	assert_false(adxi_equal(with_nul, without));
	assert_string_equal(OSString_getCStringNoCopy(empty), "");
	assert_int_equal(OSString_getLength(empty), 0);
	assert_null(OSString_withCString(NULL));
	assert_string_equal(adxi_string_text(made), "42-x");
	assert_null(adxi_string_bytes("a\0b", 3));
	assert_null(adxi_string_text(with_nul));
}

static void
test_number(void **state)
{
	OWNED OSNumber *small = OSNumber_withNumber(0x1ff, 8);
	OWNED OSNumber *wide = OSNumber_withNumber(0xff, 64);
	OWNED OSNumber *text = OSNumber_withNumberString("0x10", 32);
	OWNED OSNumber *real = adxi_number_real(2.5, 64);
	OWNED OSNumber *two = adxi_number_real(2.0, 32);
	OWNED OSNumber *whole = OSNumber_withNumber(2, 16);
	OWNED OSNumber *huge = adxi_number_real(1e300, 64);
	uint64_t value = 1;

	assert_int_equal(OSNumber_unsigned64BitValue(small), 0xff);
	assert_int_equal(adxi_number_signed(small), 0xff);
	assert_int_equal(OSNumber_numberOfBits(small), 8);
	assert_true(adxi_equal(small, wide));
	assert_true(adxi_hash(small) == adxi_hash(wide));
	assert_int_equal(OSNumber_unsigned32BitValue(text), 16);
	assert_null(OSNumber_withNumber(1, 7));
	assert_null(OSNumber_withNumberString(NULL, 8));
	assert_true(adxi_number_is_real(real));
	assert_int_equal(OSNumber_unsigned8BitValue(real), 2);
	assert_false(adxi_equal(real, whole));
	assert_true(adxi_equal(two, whole) && adxi_equal(whole, two));
	assert_true(adxi_hash(two) == adxi_hash(whole));
	assert_int_equal(OSNumber_unsigned64BitValue(huge), 0);
	assert_false(adxi_number_value(kOSBooleanTrue, &value));
	assert_int_equal(value, 1);
}

static void
test_boolean(void **state)
{
	int i;

	assert_ptr_equal(OSBoolean_withBoolean(true), kOSBooleanTrue);
	assert_ptr_equal(OSBoolean_withBoolean(false), kOSBooleanFalse);
	assert_false(adxi_equal(kOSBooleanTrue, kOSBooleanFalse));
	for (i = 0; i < 10; i++)
		adxi_release(kOSBooleanTrue);
	assert_int_equal(OSGetRetainCount(BASE(kOSBooleanTrue)), 1);
	assert_true(OSBoolean_isTrue(kOSBooleanTrue) && OSBoolean_isFalse(kOSBooleanFalse));
	assert_non_null(OSDynamicCast(OSContainer, kOSBooleanTrue));
	assert_null(OSDynamicCast(OSNumber, kOSBooleanTrue));
}

static void
test_data(void **state)
{
	OWNED OSData *data = OSData_withCapacity(2);
	OWNED OSData *part = NULL, *none = NULL;

	assert_null(OSData_getBytesNoCopy(data));
	assert_true(OSData_appendBytes(data, "abc", 3));
	assert_true(OSData_appendBytes(data, NULL, 2));
	assert_true(OSData_appendData(data, data)); /* its own bytes */
	assert_int_equal(OSData_getLength(data), 10);
	assert_memory_equal(OSData_getBytesNoCopy(data), "abc\0\0abc\0\0", 10);
	assert_null(OSData_getBytesNoCopyRange(data, 8, 3));
	assert_null(OSData_getBytesNoCopyRange(data, 1, SIZE_MAX));
	part = OSData_withDataRange(data, 5, 3);
	assert_true(OSData_isEqualToBytes(part, "abc", 3));
	assert_null(OSData_withDataRange(data, 5, 6));
	none = OSData_withDataRange(data, 10, 0);
	assert_int_equal(OSData_getLength(none), 0);
	assert_true(adxi_data_set_length(data, 1));
	assert_true(OSData_isEqualToBytes(data, "a", 1));
	assert_true(OSData_getCapacity(data) >= 1);
}

static bool
count_until(void *context, OSObject *object)
{
	int *left = context;

	return --*left == 0;
}

static bool
empty_it(void *context, OSObject *object)
{
	OSArray_flushCollection_Impl(context);
	return adxi_string_text(object) == NULL; /* alive: true would stop and fail the test */
}

static void
test_array(void **state)
{
	OWNED OSArray *array = adxi_array_new(), *other = NULL;
	OWNED OSString *a = OSString_withCString("a");
	int left = 2;

	assert_false(OSArray_setObject(array, NULL));
	assert_int_equal(adxi_array_append(array, a), 0);
	assert_int_equal(adxi_array_append_string(array, "c"), 0);
	assert_int_equal(adxi_array_append_take(array, NULL), -ENOMEM);
	assert_int_equal(OSGetRetainCount(BASE(a)), 2);
	assert_true(OSArray_setObjectAtIndex(array, 1, BASE(kOSBooleanTrue)));
	assert_false(OSArray_setObjectAtIndex(array, 4, BASE(kOSBooleanTrue)));
	assert_int_equal(adxi_array_count(array), 3);
	assert_string_equal(adxi_array_get_string(array, 2), "c");
	assert_null(adxi_array_get(array, 3));
	assert_int_equal(OSArray_getNextIndexOfObject(array, BASE(kOSBooleanTrue), 0), 1);
	assert_int_equal(OSArray_getNextIndexOfObject(array, BASE(kOSBooleanTrue), 2), UINT32_MAX);
	other = OSArray_withArray(array, 0);
	assert_true(adxi_equal(array, other));
	assert_true(OSArray_replaceObject(array, 0, BASE(kOSBooleanFalse)));
	assert_int_equal(OSGetRetainCount(BASE(a)), 2);
	assert_false(adxi_equal(array, other));
	OSArray_removeObject(other, 0);
	OSArray_removeObject(other, 9);
	assert_int_equal(OSGetRetainCount(BASE(a)), 1);
	assert_true(OSArray_merge(other, other));
	assert_int_equal(adxi_array_count(other), 4);
	assert_true(OSCollection_iterateObjects_f((OSCollection *)other, &left, count_until));
	assert_int_equal(left, 0);
	OSCollection_flushCollection((OSCollection *)other);
	adxi_array_append_string(other, "gone while looked at");
	assert_false(OSCollection_iterateObjects_f((OSCollection *)other, other, empty_it));
	assert_int_equal(OSCollection_getCount((OSCollection *)other), 0);
	assert_true(OSCollection_ensureCapacity((OSCollection *)other, 100) >= 100);
}

static int
order_numbers(void *context, const OSMetaClassBase *left, const OSMetaClassBase *right)
{
	uint64_t a = 0, b = 0;

	adxi_number_value(left, &a);
	adxi_number_value(right, &b);
	return a < b ? -1 : a > b;
}

static void
test_sets(void **state)
{
	OWNED OSSet *set = OSSet_withCapacity(4), *same = NULL;
	OWNED OSOrderedSet *ordered = OSOrderedSet_withCapacity_f(0, NULL, order_numbers);
	OWNED OSOrderedSet *plain = OSOrderedSet_withCapacity_f(0, NULL, NULL);
	OWNED OSString *a = OSString_withCString("a");
	static const uint64_t values[] = {3, 9, 1, 9, 5}, sorted[] = {9, 9, 5, 3, 1};
	uint64_t value;
	uint32_t i;

	assert_true(OSSet_setObject(set, BASE(a)));
	assert_false(OSSet_setObject(set, BASE(a)));
	assert_false(OSSet_setObject(set, NULL));
	assert_true(OSSet_containsObject(set, BASE(a)) && OSSet_member(set, BASE(a)));
	assert_non_null(OSDynamicCast(OSArray, set));
	assert_true(OSSet_setObject(set, BASE(kOSBooleanTrue)));
	same = (OSSet *)adxi_copy_deep(set);
	{
		OWNED OSArray *array = OSArray_withCapacity(0), *empty = OSArray_withCapacity(0);
		OWNED OSSet *nothing = OSSet_withCapacity(0);

		assert_true(adxi_equal(array, empty));
		assert_false(adxi_equal(array, nothing));
		assert_false(adxi_equal(nothing, array));
	}
	assert_true(adxi_equal(set, same));
	OSSet_removeObject(set, BASE(a));
	assert_false(adxi_equal(set, same));
	assert_ptr_equal(OSSet_getAnyObject(set), kOSBooleanTrue);
	assert_true(OSSet_merge(set, (OSArray *)same));
	assert_int_equal(OSCollection_getCount((OSCollection *)set), 2);

	for (i = 0; i < 5; i++) {
		OWNED OSNumber *number = OSNumber_withNumber(values[i], 32);

		assert_true(OSOrderedSet_setObject(ordered, BASE(number)));
		assert_true(OSOrderedSet_setObject(plain, BASE(number)));
		assert_false(OSSet_setObject((OSSet *)ordered, BASE(number)));
	}
	for (i = 0; i < 5; i++) {
		assert_true(adxi_number_value(adxi_array_get((OSArray *)ordered, i), &value));
		assert_int_equal(value, sorted[i]);
		assert_true(adxi_number_value(adxi_array_get((OSArray *)plain, i), &value));
		assert_int_equal(value, values[i]);
	}
	assert_true(OSOrderedSet_setFirstObject(ordered, BASE(a)));
	assert_ptr_equal(OSOrderedSet_getFirstObject(ordered), a);
	assert_false(OSOrderedSet_setLastObject(ordered, BASE(a)));
	assert_true(OSOrderedSet_setLastObject(ordered, BASE(kOSBooleanTrue)));
	assert_ptr_equal(OSOrderedSet_getLastObject(ordered), kOSBooleanTrue);
}

static bool
stop_at_key(void *context, OSObject *key, OSObject *value)
{
	return !strcmp(adxi_string_text(key), context);
}

static void
test_dictionary(void **state)
{
	OWNED OSDictionary *dict = adxi_dict_new(), *other = NULL, *inner = adxi_dict_new();
	OWNED OSString *key = OSString_withCString("key7");
	OWNED OSArray *keys = adxi_array_new();
	uint64_t number;
	OSObject *value;
	char name[32];
	unsigned i;

	assert_int_equal(adxi_dict_set(dict, "x", NULL), -EINVAL);
	assert_int_equal(adxi_dict_set(NULL, "x", key), -EINVAL);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "key%u", i);
		assert_int_equal(adxi_dict_set_number(dict, name, i, 32), 0);
		assert_int_equal(adxi_dict_set_number(dict, name, i * 2, 32), 0);
	}
	assert_int_equal(adxi_dict_count(dict), 1000);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "key%u", i);
		assert_true(adxi_dict_get_number(dict, name, &number));
		assert_int_equal(number, i * 2);
		assert_string_equal(adxi_string_text(adxi_dict_pair(dict, i, &value)), name);
	}
	assert_ptr_equal(OSDictionary_getObject(dict, (OSObject *)key),
			 adxi_dict_get(dict, "key7"));
	for (i = 0; i < 1000; i += 2) {
		snprintf(name, sizeof name, "key%u", i);
		adxi_dict_remove(dict, name);
		adxi_dict_remove(dict, name);
	}
	assert_int_equal(adxi_dict_count(dict), 500);
	assert_null(adxi_dict_get(dict, "key0"));
	assert_non_null(adxi_dict_get(dict, "key999"));

	assert_int_equal(adxi_dict_set_bool(inner, "flag", true), 0);
	assert_int_equal(adxi_dict_set_string(inner, "text", "hello"), 0);
	assert_int_equal(adxi_dict_set(dict, "inner", inner), 0);
	other = (OSDictionary *)adxi_copy_deep(dict);
	assert_true(adxi_equal(dict, other));
	assert_ptr_not_equal(adxi_dict_get_dict(other, "inner"), inner);
	assert_int_equal(adxi_dict_set_bool(inner, "flag", false), 0);
	assert_false(adxi_equal(dict, other));
	assert_true(adxi_dict_get_bool(adxi_dict_get_dict(other, "inner"), "flag", false));
	assert_int_equal(adxi_array_append_string(keys, "key7"), 0);
	assert_true(OSDictionary_isEqualToDictionaryForKeys(dict, other, (OSCollection *)keys));
	assert_int_equal(adxi_array_append_string(keys, "inner"), 0);
	assert_false(OSDictionary_isEqualToDictionaryForKeys(dict, other, (OSCollection *)keys));
	assert_true(OSDictionary_iteratePairs_f(dict, (void *)(uintptr_t) "key7", stop_at_key));
	assert_false(OSDictionary_iteratePairs_f(dict, (void *)(uintptr_t) "key8", stop_at_key));
	assert_true(OSDictionary_merge(dict, other));
	assert_true(adxi_equal(dict, other));
	assert_null(adxi_dict_get_string(dict, "inner"));
	assert_null(adxi_dict_get(NULL, "inner"));
	assert_true(adxi_dict_get_bool(NULL, "inner", true));
	OSCollection_flushCollection((OSCollection *)dict);
	assert_int_equal(adxi_dict_count(dict), 0);
	assert_int_equal(adxi_dict_set_data(dict, "again", "x", 1), 0);
	assert_int_equal(OSData_getLength(adxi_dict_get_data(dict, "again")), 1);
}

static void
test_copy_too_deep(void **state)
{
	OWNED OSArray *outer = adxi_array_new();
	OSArray *at = outer, *deeper;
	int i;

	for (i = 0; i < 64; i++) {
		deeper = adxi_array_new();
		assert_int_equal(adxi_array_append_take(at, deeper), 0);
		at = deeper;
	}
	assert_null(adxi_copy_deep(outer));
	OSArray_flushCollection_Impl((OSArray *)adxi_array_get(outer, 0));
	adxi_release(adxi_copy_deep(outer));
}

static void
assert_text(int (*write)(const void *, struct adxi_buf *), const void *object, const char *expected)
{
	struct adxi_buf buf = {0};

	assert_int_equal(write(object, &buf), 0);
	assert_string_equal(adxi_buf_text(&buf), expected);
	adxi_buf_done(&buf);
}

static int
json_line(const void *object, struct adxi_buf *buf)
{
	return adxi_object_json(object, buf, 0);
}

static int
json_pretty(const void *object, struct adxi_buf *buf)
{
	return adxi_object_json(object, buf, 2);
}

static void
test_text(void **state)
{
	OWNED OSDictionary *dict = adxi_dict_new(), *odd = adxi_dict_new();
	OWNED OSArray *array = adxi_array_new();
	struct adxi_buf buf = {0};

	adxi_dict_set_string(dict, "s", "q\"\\\n\xff<\xc3\xa9");
	adxi_dict_set_number(dict, "n", UINT64_MAX, 64);
	adxi_dict_set_bool(dict, "b", true);
	adxi_dict_set_data(dict, "d", "\0\1\2\3", 4);
	adxi_dict_set(dict, "a", array);
	adxi_array_append_take(array, adxi_number_real(1.5, 64));
	adxi_array_append(array, kOSBooleanFalse);

	assert_text(adxi_object_describe, dict,
		    "{\"s\"=\"q\\\"\\\\\\x0a\xff<\xc3\xa9\",\"n\"=18446744073709551615,"
		    "\"b\"=Yes,\"d\"=<00010203>,\"a\"=(1.5,No)}");
	assert_text(json_line, dict,
		    "{\"s\":\"q\\\"\\\\\\u000a\\ufffd<\xc3\xa9\",\"n\":18446744073709551615,"
		    "\"b\":true,\"d\":\"base64:AAECAw==\",\"a\":[1.5,false]}");
	assert_text(json_pretty, array, "[\n  1.5,\n  false\n]");
	assert_text(json_line, NULL, "null");
	assert_int_equal(adxi_object_plist(dict, &buf), 0);
	assert_non_null(
		strstr(adxi_buf_text(&buf),
		       "<plist version=\"1.0\">\n<dict>\n\t<key>s</key>\n\t<string>q\"\\\n"
		       "\xef\xbf\xbd&lt;\xc3\xa9</string>\n\t<key>n</key>\n"
		       "\t<integer>18446744073709551615</integer>\n\t<key>b</key>\n\t<true/>\n"
		       "\t<key>d</key>\n\t<data>AAECAw==</data>\n\t<key>a</key>\n\t<array>\n"
		       "\t\t<real>1.5</real>\n\t\t<false/>\n\t</array>\n</dict>\n</plist>\n"));
	adxi_buf_done(&buf);
	OSDictionary_setObject(odd, (OSObject *)kOSBooleanTrue, BASE(array));
	assert_int_equal(adxi_object_plist(odd, &buf), -EINVAL);
	adxi_buf_done(&buf);
	assert_text(json_line, odd, "{\"Yes\":[1.5,false]}");

	/* A cycle ends. */
	adxi_array_append(array, array);
	assert_int_equal(adxi_object_describe(array, &buf), 0);
	adxi_buf_done(&buf);
	OSArray_flushCollection_Impl(array);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_string),     cmocka_unit_test(test_number),
		cmocka_unit_test(test_boolean),    cmocka_unit_test(test_data),
		cmocka_unit_test(test_array),      cmocka_unit_test(test_sets),
		cmocka_unit_test(test_dictionary), cmocka_unit_test(test_copy_too_deep),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
