/* SPDX-License-Identifier: MIT */
/* Containers as C++ sees them, and as plain functions. */
#include <cstdarg>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
extern "C" {
#include <cmocka.h>
}

#include <DriverKit/OSCollections.h>
#include <DriverKit/OSSharedPtr.h>

/* The compilers' layout of a block, so that a compiler without them can call what takes one. */
struct block {
	void *isa;
	int flags;
	int reserved;
	void (*invoke)(void);
	int left;
};

static bool
count_objects(struct block *self, OSObject *)
{
	return --self->left == 0;
}

static bool
count_pairs(struct block *self, const char *key, OSObject *value)
{
	assert_non_null(key);
	assert_non_null(value);
	return --self->left == 0;
}

static void
test_cpp(void **)
{
	OSDictionary *dict = OSDictionary::withCapacity(4);
	OSString *text = OSString::withCString("text");
	OSNumber *number = OSNumber::withNumber(7ull, 32);
	OSArray *array = OSArray::withCapacity(0);
	OSSet *set = OSSet::withCapacity(0);

	assert_true(dict->setObject("text", text));
	assert_true(dict->setObject(text, number));
	assert_ptr_equal(dict->getObject("text"), number);
	assert_int_equal(dict->getCount(), 1);
	assert_true(dict->setObject("other", text));
	assert_true(text->isEqualTo("text"));
	assert_true(static_cast<OSObject *>(text)->isEqualTo(text));
	assert_true(array->setObject(text));
	assert_true(array->setObject(0, number));
	assert_true(set->setObject(text));
	assert_false(set->setObject(text));
	assert_true(set->containsObject(text));
	assert_non_null(OSDynamicCast(OSArray, set));
	assert_null(OSDynamicCast(OSSet, array));
	assert_int_equal(OSDynamicCast(OSNumber, array->getObject(0u))->unsigned8BitValue(), 7);
	assert_string_equal(array->GetClassName(), "OSArray");
	assert_int_equal(text->getRetainCount(), 4);

	OSSafeReleaseNULL(dict);
	OSSafeReleaseNULL(array);
	OSSafeReleaseNULL(set);
	assert_null(dict);
	assert_int_equal(text->getRetainCount(), 1);
	text->release();
	number->release();
	assert_true(kOSBooleanTrue->isTrue());
}

static void
test_functions(void **)
{
	OSDictionaryPtr dict = OSDictionaryCreate();
	OSArrayPtr array = OSArrayCreate();
	OSDataPtr data = OSDataCreate("abc", 3);
	OSSerializationPtr serialization;
	OSObjectPtr back;
	char bytes[8];

	assert_true(OSDictionarySetUInt64Value(dict, "n", 5));
	assert_true(OSDictionarySetStringValue(dict, "s", "five"));
	assert_true(OSDictionarySetValue(dict, "a", array));
	assert_int_equal(OSDictionaryGetUInt64Value(dict, "n"), 5);
	assert_int_equal(OSDictionaryGetUInt64Value(dict, "s"), 0);
	assert_string_equal(OSDictionaryGetStringValue(dict, "s"), "five");
	assert_null(OSDictionaryGetStringValue(dict, "n"));
	assert_true(OSArrayAppendValue(array, data));
	assert_true(OSArraySetUInt64Value(array, 0, 9));
	assert_true(OSArraySetStringValue(array, kOSArrayAppend, "end"));
	assert_false(OSArraySetStringValue(array, 9, "beyond"));
	assert_int_equal(OSArrayGetCount(array), 3);
	assert_int_equal(OSArrayGetUInt64Value(array, 0), 9);
	assert_string_equal(OSArrayGetStringValue(array, 2), "end");
	assert_int_equal(OSDataGetBytes(data, bytes, 1, sizeof bytes), 2);
	assert_memory_equal(bytes, "bc", 2);
	assert_int_equal(OSDataGetBytes(data, bytes, 3, 1), 0);
	assert_null(OSDataGetBytesPtr(data, 1, 3));
	assert_int_equal(OSCollectionTypeID(array), kOSCollectionTypeArray);
	assert_string_equal(OSCollectionTypeName(OSCollectionTypeID(dict)), "Dictionary");
	assert_int_equal(OSCollectionTypeID(nullptr), 0);
	assert_int_equal(OSArrayGetCount(nullptr), 0);
	assert_int_equal(OSDictionaryGetUInt64Value(nullptr, "n"), 0);

	serialization = OSCreateSerializationFromObject(dict);
	back = OSCreateObjectFromSerialization(serialization);
	assert_true(dict->isEqualTo(back));
	OSObjectSafeReleaseNULL(back);
	serialization->release();
	data->release();
	array->release();
	dict->release();
}

static void
test_blocks(void **)
{
	OSDictionaryPtr dict = OSDictionaryCreate();
	OSArrayPtr array = OSArrayCreate();
	struct block block = {nullptr, 0, 0, (void (*)(void))count_objects, 2};

	for (unsigned i = 0; i < 3; i++)
		OSArraySetUInt64Value(array, kOSArrayAppend, i);
	assert_true(OSArrayApply(array, (OSArrayApplier)&block));
	block.left = 9;
	assert_false(array->iterateObjects((OSCollectionIterateObjectsBlock)&block));
	assert_int_equal(block.left, 6);
	OSDictionarySetUInt64Value(dict, "a", 1);
	OSDictionarySetUInt64Value(dict, "b", 2);
	block.invoke = (void (*)(void))count_pairs;
	assert_false(OSDictionaryApply(dict, (OSDictionaryApplier)&block));
	assert_int_equal(block.left, 4);
	block.left = 1;
	assert_true(OSDictionaryApply(dict, (OSDictionaryApplier)&block));
	array->release();
	dict->release();
}

static void
test_shared(void **)
{
	OSSharedPtr<OSString> text(OSString::withCString("x"), OSNoRetain);
	OSSharedPtr<OSString> copy = text;

	assert_int_equal(text->getRetainCount(), 2);
	copy.reset();
	assert_int_equal(text->getRetainCount(), 1);
}

int
main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpp),
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
