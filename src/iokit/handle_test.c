/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "iokit/iokit.h"

struct thing {
	struct iokit_object object;
	int *n_destroyed, *n_unnamed;
};

static void
thing_destroy(struct iokit_object *object)
{
	struct thing *thing = (struct thing *)object;

	(*thing->n_destroyed)++;
	free(thing);
}

static void
thing_unnamed(struct iokit_object *object)
{
	(*((struct thing *)object)->n_unnamed)++;
}

static struct thing *
thing_new(enum iokit_kind kind, int *n_destroyed, int *n_unnamed)
{
	struct thing *thing = calloc(1, sizeof *thing);

	assert_non_null(thing);
	iokit_object_init(&thing->object, kind, thing_destroy);
	thing->object.unnamed = thing_unnamed;
	thing->n_destroyed = n_destroyed;
	thing->n_unnamed = n_unnamed;
	return thing;
}

static void
test_references(void **state)
{
	int n_destroyed = 0, n_unnamed = 0;
	struct thing *thing = thing_new(IOKIT_PORT, &n_destroyed, &n_unnamed);
	unsigned before = iokit_handle_count();
	io_object_t name = iokit_name(&thing->object);

	assert_int_not_equal(name, 0);
	assert_int_equal(iokit_handle_count(), before + 1);
	assert_int_equal(IOObjectGetUserRetainCount(name), 1);
	assert_int_equal(IOObjectRetain(name), KERN_SUCCESS);
	assert_int_equal(IOObjectGetUserRetainCount(name), 2);
	assert_null(iokit_get(name, IOKIT_CONNECTION)); /* of another kind */
	struct iokit_object *held = iokit_get(name, IOKIT_PORT);
	assert_ptr_equal(held, &thing->object);
	assert_int_equal(IOObjectRelease(name), KERN_SUCCESS);
	assert_int_equal(n_unnamed, 0);
	/* The name ends with its last reference, the object with whoever works on it. */
	assert_int_equal(IOObjectRelease(name), KERN_SUCCESS);
	assert_int_equal(n_unnamed, 1);
	assert_int_equal(n_destroyed, 0);
	assert_null(iokit_get(name, IOKIT_NONE));
	assert_int_equal(iokit_handle_count(), before);
	iokit_put(held);
	assert_int_equal(n_destroyed, 1);
	assert_int_equal(IOObjectRelease(name), KERN_INVALID_NAME);
	assert_int_equal(IOObjectRetain(name), KERN_INVALID_NAME);
	assert_int_equal(IOObjectGetUserRetainCount(name), 0);
}

static void
test_no_names(void **state)
{
	static const io_object_t names[] = { 0, 1, 0xfff, 0x7fffffff, UINT32_MAX };
	uint64_t id = 5;

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(IOObjectRelease(names[i]), KERN_INVALID_NAME);
		assert_int_equal(IOObjectRetain(names[i]), KERN_INVALID_NAME);
		assert_null(iokit_get(names[i], IOKIT_NONE));
		assert_int_equal(iokit_entry_id(names[i], &id), MACH_SEND_INVALID_DEST);
	}
	assert_int_equal(id, 5);
}

static void
test_entries(void **state)
{
	int n_destroyed = 0, n_unnamed = 0;
	io_object_t one = iokit_name_entry(0x100000101), other = iokit_name_entry(0x100000102);
	uint64_t id = 0;

	assert_int_not_equal(one, other);
	assert_int_equal(iokit_name_entry(0x100000101), one); /* the same entry is the same name */
	assert_int_equal(IOObjectGetUserRetainCount(one), 2);
	assert_true(IOObjectIsEqualTo(one, one));
	assert_false(IOObjectIsEqualTo(one, other));
	assert_int_equal(iokit_entry_id(other, &id), kIOReturnSuccess);
	assert_int_equal(id, 0x100000102);
	assert_int_equal(IOObjectRelease(one), KERN_SUCCESS);
	assert_int_equal(IOObjectRelease(one), KERN_SUCCESS);
	assert_int_equal(iokit_entry_id(one, &id), MACH_SEND_INVALID_DEST);
	/* After its last release an entry gets a new name. */
	io_object_t again = iokit_name_entry(0x100000101);
	assert_int_not_equal(again, one);
	io_object_t port = iokit_name(&thing_new(IOKIT_PORT, &n_destroyed, &n_unnamed)->object);
	assert_int_equal(iokit_entry_id(port, &id), kIOReturnBadArgument);
	assert_int_equal(IOObjectRelease(port), KERN_SUCCESS);
	assert_int_equal(n_destroyed, 1);
	assert_int_equal(IOObjectRelease(again), KERN_SUCCESS);
	assert_int_equal(IOObjectRelease(other), KERN_SUCCESS);
}

/* Entries of one bucket come and go in any order. */
static void
test_many_entries(void **state)
{
	enum { N = 3000 };
	io_object_t *names = calloc(N, sizeof *names);
	unsigned before = iokit_handle_count();
	uint64_t id;

	assert_non_null(names);
	for (unsigned i = 0; i < N; i++) {
		names[i] = iokit_name_entry(1000 + i);
		assert_int_not_equal(names[i], 0);
	}
	assert_int_equal(iokit_handle_count(), before + N);
	for (unsigned i = 0; i < N; i += 3)
		assert_int_equal(IOObjectRelease(names[i]), KERN_SUCCESS);
	for (unsigned i = 0; i < N; i++) {
		if (i % 3 == 0) {
			assert_int_equal(iokit_entry_id(names[i], &id), MACH_SEND_INVALID_DEST);
			continue;
		}
		assert_int_equal(iokit_entry_id(names[i], &id), kIOReturnSuccess);
		assert_int_equal(id, 1000 + i);
		assert_int_equal(iokit_name_entry(1000 + i), names[i]);
		assert_int_equal(IOObjectRelease(names[i]), KERN_SUCCESS);
		assert_int_equal(IOObjectRelease(names[i]), KERN_SUCCESS);
	}
	assert_int_equal(iokit_handle_count(), before);
	free(names);
}

/* A stale name is not soon another object's. */
static void
test_not_soon_again(void **state)
{
	io_object_t first = iokit_name_entry(77);

	assert_int_equal(IOObjectRelease(first), KERN_SUCCESS);
	for (unsigned i = 0; i < 100000; i++) {
		io_object_t name = iokit_name_entry(i + 1);

		assert_int_not_equal(name, first);
		assert_int_equal(IOObjectRelease(name), KERN_SUCCESS);
	}
}

static void *
churn(void *context)
{
	for (unsigned i = 0; i < 20000; i++) {
		io_object_t name = iokit_name_entry(1 + i % 7);
		uint64_t id = 0;

		if (iokit_entry_id(name, &id) != kIOReturnSuccess || id != 1 + i % 7 ||
		    IOObjectRelease(name) != KERN_SUCCESS)
			return context;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t threads[4];
	unsigned before = iokit_handle_count();
	void *failed;

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, threads), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(iokit_handle_count(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),     cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_entries),        cmocka_unit_test(test_many_entries),
		cmocka_unit_test(test_not_soon_again), cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
