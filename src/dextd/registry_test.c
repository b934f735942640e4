/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dextd/registry.h"

struct seen {
	unsigned n;
	uint64_t last;
	bool busy;
};

static void
busy_changed(void *userdata, struct entry *entry, bool busy)
{
	struct seen *seen = userdata;

	seen->n++;
	seen->last = entry->id;
	seen->busy = busy;
}

static struct entry *
make(struct registry *registry, struct entry *parent, const char *class_name, const char *name,
     const char *location)
{
	value_auto OSArray *classes = value_array_new();
	struct entry *entry = NULL;

	value_append_cstr(classes, class_name);
	value_append_cstr(classes, "IOService");
	assert_int_equal(entry_new(registry, classes, name, location, NULL, &entry), 0);
	if (parent)
		assert_int_equal(entry_attach(entry, parent, PLANE_SERVICE), 0);
	return entry;
}

static void
assert_path(struct entry *entry, const char *expected)
{
	char *path = entry_path(entry, PLANE_SERVICE);

	assert_non_null(path);
	assert_string_equal(path, expected);
	assert_ptr_equal(registry_find_path(entry->registry, path), entry);
	free(path);
}

static void
test_builtin(void **state)
{
	struct registry *registry;
	struct entry *root, *resources;

	assert_int_equal(registry_new(NULL, NULL, &registry), 0);
	root = registry_root(registry);
	assert_string_equal(root->name, "Root");
	assert_int_equal(entry_child_count(root, PLANE_SERVICE), 2);
	assert_path(root, "IOService:/");
	resources = registry_user_resources(registry);
	assert_path(resources, "IOService:/IOUserResources");
	assert_true(entry_conforms(resources, "IOService"));
	assert_string_equal(entry_property_cstr(resources, "IOResourceMatch"), "IOKit");
	assert_int_equal(resources->state & (ENTRY_REGISTERED | ENTRY_MATCHED),
			 ENTRY_REGISTERED | ENTRY_MATCHED);
	assert_non_null(registry_find_path(registry, "IOService:/IOResources"));
	assert_ptr_equal(registry_find_path(registry, "IOUSB:/"), root);
	assert_null(registry_find_path(registry, "IOService:/IOResources/x"));
	assert_null(registry_find_path(registry, "Nowhere:/"));
	assert_null(registry_find_path(registry, "IOService"));
	assert_null(registry_free(registry));
}

/* Two brothers have one name; only the second has the child. */
static void
test_path_of_brothers(void **state)
{
	struct registry *registry;
	struct entry *second, *child;

	assert_int_equal(registry_new(NULL, NULL, &registry), 0);
	(void)make(registry, registry_root(registry), "X", "twin", NULL);
	second = make(registry, registry_root(registry), "X", "twin", NULL);
	child = make(registry, second, "Y", "child", NULL);
	assert_path(child, "IOService:/twin/child");
	assert_null(registry_find_path(registry, "IOService:/twin/other"));
	assert_null(registry_free(registry));
}

static void
test_paths_and_ids(void **state)
{
	struct registry *registry;
	struct entry *a, *b, *odd;
	uint64_t id, generation;
	unsigned i;

	assert_int_equal(registry_new(NULL, NULL, &registry), 0);
	generation = registry_generation(registry);
	a = make(registry, registry_root(registry), "IOUSBHostDevice", "Sensor", "14100000");
	b = make(registry, a, "IOUSBHostInterface", "", "0");
	odd = make(registry, a, "X", "a/b%", NULL);
	assert_true(registry_generation(registry) > generation);
	assert_string_equal(b->name, "IOUSBHostInterface");
	assert_path(b, "IOService:/Sensor@14100000/IOUSBHostInterface@0");
	assert_path(odd, "IOService:/Sensor@14100000/a%2Fb%25");
	assert_ptr_equal(registry_find_path(registry, "IOService:/Sensor/IOUSBHostInterface"), b);
	assert_ptr_equal(registry_find_path(registry, "IOService:/14100000/0"), b);
	assert_null(registry_find_path(registry, "IOService:/Sensor@1/IOUSBHostInterface"));

	assert_int_equal(entry_attach(a, b, PLANE_USB), 0);
	assert_int_equal(entry_attach(b, a, PLANE_USB), -ELOOP);
	assert_int_equal(entry_attach(a, b, PLANE_USB), -EEXIST);

	id = b->id;
	assert_ptr_equal(registry_find(registry, id), b);
	entry_ref(b);
	entry_detach_all(b);
	assert_null(registry_find(registry, id));
	assert_true(registry_was_used(registry, id));
	assert_false(registry_was_used(registry, id + 100));
	assert_null(entry_path(b, PLANE_SERVICE));
	entry_unref(b);
	/* What it was can be read until many more have left. */
	assert_string_equal(registry_find_readable(registry, id)->name, "IOUSBHostInterface");
	for (i = 0; i < REGISTRY_ENDED_MAX; i++) {
		assert_ptr_equal(registry_find_readable(registry, id), b);
		entry_detach_all(make(registry, a, "Z", "z", NULL));
	}
	assert_null(registry_find_readable(registry, id));
	assert_ptr_equal(registry_find_readable(registry, a->id), a);
	b = make(registry, a, "Y", "y", NULL);
	assert_true(b->id > id);
	registry_free(registry);
}

/* They come from drivers and devices, and go to terminals. */
static void
test_harmless_names(void **state)
{
	struct registry *registry;
	struct entry *root;

	assert_int_equal(registry_new(NULL, NULL, &registry), 0);
	root = registry_root(registry);
	assert_int_equal(entry_set_name(root, "a/b \x1b[31m\xff\xc2\x9b\xc3\xa9"), 0);
	assert_string_equal(root->name, "a/b _[31m___\xc3\xa9");
	assert_int_equal(entry_set_location(root, "1\n2"), 0);
	assert_string_equal(root->location, "1_2");
	registry_free(registry);
}

static void
test_names(void **state)
{
	value_auto OSArray *classes = value_array_new();
	struct registry *registry;
	struct entry *entry;
	char longest[129];

	memset(longest, 'n', 128);
	longest[128] = '\0';
	assert_int_equal(registry_new(NULL, NULL, &registry), 0);
	assert_int_equal(entry_new(registry, classes, "x", NULL, NULL, &entry), -EINVAL);
	value_append_u64(classes, 1);
	assert_int_equal(entry_new(registry, classes, "x", NULL, NULL, &entry), -EINVAL);
	entry = make(registry, NULL, "X", "x", NULL);
	assert_int_equal(entry_set_name(entry, longest), -EINVAL);
	assert_int_equal(entry_set_name(entry, longest + 1), 0);
	assert_int_equal(entry_set_name(entry, ""), -EINVAL);
	assert_int_equal(strlen(entry->name), 127);
	registry_free(registry);
}

static void
test_properties(void **state)
{
	value_auto OSDictionary *over = value_dict_new(), *copy = NULL;
	struct registry *registry;
	struct entry *a, *b;
	uint64_t number = 0;

	assert_int_equal(registry_new(NULL, NULL, &registry), 0);
	a = make(registry, registry_root(registry), "A", "a", NULL);
	b = make(registry, a, "B", "b", NULL);
	value_set_cstr(a->base, "Kind", "base");
	value_set_u64(a->base, "Only", 7);
	assert_int_equal(entry_remove_set(a, "Kind"), -ENOENT);
	value_set_cstr(over, "Kind", "driver");
	assert_int_equal(entry_merge_set(a, over), 0);
	/* What the caller does to its dictionary later is its own business. */
	value_set_cstr(over, "Kind", "changed");
	assert_string_equal(entry_property_cstr(a, "Kind"), "driver");
	copy = entry_copy_properties(a);
	assert_string_equal(value_get_cstr(copy, "Kind"), "driver");
	assert_true(value_u64(value_get(copy, "Only"), &number));
	assert_int_equal(number, 7);
	assert_int_equal(entry_remove_set(a, "Kind"), 0);
	assert_int_equal(entry_remove_set(a, "Absent"), 0);
	assert_string_equal(entry_property_cstr(a, "Kind"), "base");

	assert_null(entry_search_property(b, "Kind", PLANE_SERVICE, 0));
	assert_null(entry_search_property(b, "Kind", PLANE_SERVICE, 1));
	assert_non_null(entry_search_property(b, "Kind", PLANE_SERVICE, 3));
	assert_non_null(entry_search_property(registry_root(registry), "Kind", PLANE_SERVICE, 1));
	registry_free(registry);
}

static void
test_busy(void **state)
{
	static const struct registry_ops ops = { .busy_changed = busy_changed };
	struct seen seen = { 0 };
	struct registry *registry;
	struct entry *a, *b;

	assert_int_equal(registry_new(&ops, &seen, &registry), 0);
	a = make(registry, registry_root(registry), "A", "a", NULL);
	b = make(registry, a, "B", "b", NULL);
	assert_int_equal(entry_adjust_busy(b, 1), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.last, registry_root(registry)->id);
	assert_int_equal(entry_adjust_busy(b, 2), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(a->busy, 1);
	assert_int_equal(registry_root(registry)->busy, 1);
	assert_int_equal(entry_adjust_busy(b, -4), -ERANGE);
	assert_int_equal(b->busy, 3);
	assert_int_equal(entry_adjust_busy(b, -3), 0);
	assert_int_equal(seen.n, 6);
	assert_false(seen.busy);
	assert_int_equal(registry_root(registry)->busy, 0);
	/* A busy entry that leaves takes its share with it. */
	assert_int_equal(entry_adjust_busy(b, 1), 0);
	entry_detach_all(b);
	assert_int_equal(a->busy, 0);
	assert_int_equal(registry_root(registry)->busy, 0);
	registry_free(registry);
}

static void
test_storable(void **state)
{
	value_auto OSDictionary *dict = value_dict_new();
	OSDictionary *inner = dict, *next;
	unsigned i;

	assert_true(value_is_storable(dict, 10));
	for (i = 0; i < 40; i++) {
		next = value_dict_new();
		value_set_u64(next, "n", i);
		assert_true(value_set(inner, "inner", next));
		inner = next;
		value_unref(next);
	}
	assert_false(value_is_storable(dict, 1000));
	assert_false(value_is_storable(NULL, 1000));
	inner = value_dict_new();
	for (i = 0; i < 9; i++) {
		char key[8] = { 'k', (char)('0' + i), 0 };

		value_set_u64(inner, key, i);
	}
	assert_true(value_is_storable(inner, 10));
	assert_false(value_is_storable(inner, 9));
	value_unref(inner);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtin), cmocka_unit_test(test_path_of_brothers),
		cmocka_unit_test(test_paths_and_ids),
		cmocka_unit_test(test_harmless_names), cmocka_unit_test(test_names),   cmocka_unit_test(test_properties),
		cmocka_unit_test(test_busy),    cmocka_unit_test(test_storable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
