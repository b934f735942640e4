/* SPDX-License-Identifier: MIT */
/* Large structures: what the driver was given does not change, nothing is made twice, and what a
 * driver keeps is not used for another call. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <DriverKit/IOMemoryMap.h>

#include "channel/memory.h"
#include "channel/memory_object.h"
#include "driverkit/client_buffers.h"

#define SIZE 16384u

static struct adxi_client_buffers buffers;

static int
setup(void **state)
{
	adxi_client_buffers_init(&buffers);
	return 0;
}

static int
teardown(void **state)
{
	adxi_client_buffers_done(&buffers);
	return 0;
}

/* What came from a client: shared, and the client still writes it through *ret_bytes. */
static IOMemoryDescriptor *
from_client(uint64_t size, uint32_t flags, char **ret_bytes)
{
	struct adxi_memory *memory = NULL;
	void *address;

	assert_int_equal(adxi_memory_create(size, flags, &memory), 0);
	assert_int_equal(adxi_memory_address(memory, &address), 0);
	*ret_bytes = address;
	IOMemoryDescriptor *object = adxi_memory_object(memory);
	assert_non_null(object);
	return object;
}

/* As a driver does it. */
static char *
map(IOMemoryDescriptor *descriptor, IOMemoryMap **ret_map)
{
	assert_int_equal(IOMemoryDescriptor_CreateMapping(descriptor, 0, 0, 0, 0, 0, ret_map),
			 kIOReturnSuccess);
	return (char *)(uintptr_t)IOMemoryMap_GetAddress(*ret_map);
}

static void
test_input_does_not_change(void **state)
{
	IOMemoryDescriptor *input = NULL;
	struct adxi_memory *snapshot = NULL;
	IOMemoryMap *mapping = NULL;
	uint64_t length = 0;
	char *theirs;
	IOMemoryDescriptor *staging = from_client(SIZE, ADXI_MEMORY_OUT, &theirs);

	strcpy(theirs, "checked");
	assert_int_equal(adxi_client_buffers_input(&buffers, staging, 5000, &input, &snapshot),
			 kIOReturnSuccess);
	assert_non_null(snapshot);
	assert_int_equal(IOMemoryDescriptor_GetLength(input, &length), kIOReturnSuccess);
	assert_int_equal(length, 5000);
	const char *ours = map(input, &mapping);
	assert_int_equal(IOMemoryMap_GetLength(mapping), 5000);
	strcpy(theirs, "changed");
	assert_string_equal(ours, "checked");
	OSSafeReleaseNULL(mapping);
	adxi_client_buffers_end_input(&buffers, input, snapshot);
	OSSafeReleaseNULL(staging);
}

/* Any number of calls: the same memory at the same address, whatever the size. */
static void
test_input_is_mapped_once(void **state)
{
	const char *first = NULL;
	char *theirs;
	IOMemoryDescriptor *staging = from_client(SIZE, ADXI_MEMORY_OUT, &theirs);

	for (unsigned i = 0; i < 100; i++) {
		IOMemoryDescriptor *input = NULL;
		struct adxi_memory *snapshot = NULL;
		IOMemoryMap *mapping = NULL;

		theirs[0] = (char)i;
		assert_int_equal(adxi_client_buffers_input(&buffers, staging, 5000 + i * 100,
							   &input, &snapshot),
				 kIOReturnSuccess);
		const char *ours = map(input, &mapping);
		if (!first)
			first = ours;
		assert_ptr_equal(ours, first);
		assert_int_equal(ours[0], i);
		OSSafeReleaseNULL(mapping);
		adxi_client_buffers_end_input(&buffers, input, snapshot);
	}
	OSSafeReleaseNULL(staging);
}

static void
test_input_that_is_kept_stays(void **state)
{
	IOMemoryDescriptor *input = NULL, *next = NULL;
	struct adxi_memory *snapshot = NULL;
	IOMemoryMap *kept = NULL, *mapping = NULL;
	char *theirs;
	IOMemoryDescriptor *staging = from_client(SIZE, ADXI_MEMORY_OUT, &theirs);

	strcpy(theirs, "first");
	assert_int_equal(adxi_client_buffers_input(&buffers, staging, SIZE, &input, &snapshot),
			 kIOReturnSuccess);
	const char *ours = map(input, &kept);
	adxi_client_buffers_end_input(&buffers, input, snapshot);
	strcpy(theirs, "second");
	assert_int_equal(adxi_client_buffers_input(&buffers, staging, SIZE, &next, &snapshot),
			 kIOReturnSuccess);
	assert_string_equal(map(next, &mapping), "second");
	assert_string_equal(ours, "first");
	OSSafeReleaseNULL(mapping);
	OSSafeReleaseNULL(kept);
	adxi_client_buffers_end_input(&buffers, next, snapshot);
	OSSafeReleaseNULL(staging);
}

static void
test_input_that_nobody_changes_is_not_copied(void **state)
{
	static char bytes[SIZE] = "as it is";
	IOMemoryDescriptor *input = NULL;
	struct adxi_memory *memory = NULL, *snapshot = NULL;
	IOMemoryMap *mapping = NULL;

	assert_int_equal(adxi_memory_create_immutable(bytes, SIZE, ADXI_MEMORY_OUT, &memory), 0);
	IOMemoryDescriptor *sealed = adxi_memory_object(memory);
	assert_int_equal(adxi_client_buffers_input(&buffers, sealed, SIZE, &input, &snapshot),
			 kIOReturnSuccess);
	assert_ptr_equal(input, sealed);
	assert_null(snapshot);
	adxi_client_buffers_end_input(&buffers, input, snapshot);
	/* A part of it is copied, as of any other. */
	assert_int_equal(adxi_client_buffers_input(&buffers, sealed, 100, &input, &snapshot),
			 kIOReturnSuccess);
	assert_ptr_not_equal(input, sealed);
	assert_string_equal(map(input, &mapping), "as it is");
	OSSafeReleaseNULL(mapping);
	adxi_client_buffers_end_input(&buffers, input, snapshot);
	OSSafeReleaseNULL(sealed);
}

static void
test_input_that_is_not_there(void **state)
{
	static const uint64_t sizes[] = { 0, SIZE + 1, UINT64_MAX };
	IOMemoryDescriptor *input = NULL;
	struct adxi_memory *snapshot = NULL;
	char *theirs;
	IOMemoryDescriptor *staging = from_client(SIZE, ADXI_MEMORY_OUT, &theirs);

	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
		assert_int_equal(
			adxi_client_buffers_input(&buffers, staging, sizes[i], &input, &snapshot),
			kIOReturnBadArgument);
	OSSafeReleaseNULL(staging);
	/* Nobody makes a driver copy more than that. */
	staging = from_client(CLIENT_BUFFERS_COPIED + 4096, ADXI_MEMORY_OUT, &theirs);
	assert_int_equal(adxi_client_buffers_input(&buffers, staging, SIZE, &input, &snapshot),
			 kIOReturnBadArgument);
	OSSafeReleaseNULL(staging);
}

static void
test_output_is_the_clients_and_mapped_once(void **state)
{
	char *theirs, *first = NULL;
	IOMemoryDescriptor *shared = from_client(SIZE, ADXI_MEMORY_DIRECTIONS, &theirs);

	for (unsigned i = 0; i < 100; i++) {
		IOMemoryDescriptor *output = adxi_client_buffers_output(&buffers, shared);
		uint64_t holders = adxi_client_buffers_holders(output);
		IOMemoryMap *mapping = NULL;

		assert_ptr_not_equal(output, shared);
		char *ours = map(output, &mapping);
		if (!first)
			first = ours;
		assert_ptr_equal(ours, first);
		ours[i] = (char)i;
		assert_int_equal(theirs[i], i);
		OSSafeReleaseNULL(mapping);
		assert_false(adxi_client_buffers_end_output(output, holders));
	}
	OSSafeReleaseNULL(shared);
}

static void
test_output_that_is_kept_is_told(void **state)
{
	char *theirs;
	IOMemoryDescriptor *shared = from_client(SIZE, ADXI_MEMORY_DIRECTIONS, &theirs);

	for (unsigned what = 0; what < 3; what++) {
		IOMemoryDescriptor *output = adxi_client_buffers_output(&buffers, shared),
				   *kept = NULL;
		uint64_t holders = adxi_client_buffers_holders(output);
		IOMemoryMap *mapping = NULL;

		if (what == 0) {
			(void)map(output, &mapping);
		} else if (what == 1) {
			OSRetain((OS_OBJECT *)output);
			kept = output;
		} else {
			assert_int_equal(IOMemoryDescriptor_CreateSubMemoryDescriptor(
						 kIOMemoryDirectionIn, 0, 100, output, &kept),
					 kIOReturnSuccess);
		}
		assert_true(adxi_client_buffers_end_output(output, holders));
		OSSafeReleaseNULL(mapping);
		OSSafeReleaseNULL(kept);
	}
	OSSafeReleaseNULL(shared);
}

static void
test_only_so_many_stay_known(void **state)
{
	enum { N = CLIENT_BUFFERS_KNOWN + 5 };
	IOMemoryDescriptor *shared[N];
	char *theirs;

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < N; i++) {
			if (round == 0)
				shared[i] = from_client(SIZE, ADXI_MEMORY_DIRECTIONS, &theirs);
			IOMemoryDescriptor *output =
				adxi_client_buffers_output(&buffers, shared[i]);
			(void)adxi_client_buffers_end_output(output, 99);
			assert_int_equal(OSGetRetainCount((OS_OBJECT *)shared[i]), 2);
		}
	}
	/* Used again, it is the last to go. */
	(void)adxi_client_buffers_end_output(
		adxi_client_buffers_output(&buffers, shared[N - CLIENT_BUFFERS_KNOWN]), 99);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(OSGetRetainCount((OS_OBJECT *)shared[i]),
				 i < N - CLIENT_BUFFERS_KNOWN ? 1 : 2);
	(void)adxi_client_buffers_end_output(adxi_client_buffers_output(&buffers, shared[0]), 99);
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)shared[N - CLIENT_BUFFERS_KNOWN]), 2);
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)shared[N - CLIENT_BUFFERS_KNOWN + 1]), 1);
	for (unsigned i = 0; i < N; i++)
		OSSafeReleaseNULL(shared[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_input_does_not_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input_is_mapped_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input_that_is_kept_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input_that_nobody_changes_is_not_copied, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_input_that_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_is_the_clients_and_mapped_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_output_that_is_kept_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_so_many_stay_known, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
