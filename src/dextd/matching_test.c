/* SPDX-License-Identifier: MIT */
/* Dictionaries are written as property lists in one line: key=value;… where 'text' is a string, 12
 * or 0x12 a number, {…} a dictionary, […] an array, yes/no a boolean. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dextd/matching.h"

static const char *at;

static OSMetaClassBase *parse_value(void);

static OSDictionary *
parse_pairs(char end)
{
	OSDictionary *dict = value_dict_new();
	char key[64];
	size_t len;

	while (*at && *at != end) {
		len = strcspn(at, "=");
		memcpy(key, at, len);
		key[len] = '\0';
		at += len + 1;
		assert_true(value_set_new(dict, key, parse_value()));
		if (*at == ';')
			at++;
	}
	if (end)
		at++;
	return dict;
}

static OSMetaClassBase *
parse_value(void)
{
	OSArray *array;
	char text[128], *end;
	uint64_t number;
	size_t len;

	if (*at == '\'') {
		len = strcspn(++at, "'");
		memcpy(text, at, len);
		text[len] = '\0';
		at += len + 1;
		return (OSMetaClassBase *)value_string_new(text);
	}
	if (*at == '{') {
		at++;
		return (OSMetaClassBase *)parse_pairs('}');
	}
	if (*at == '[') {
		array = value_array_new();
		for (at++; *at != ']'; at += *at == ',')
			assert_true(value_append_new(array, parse_value()));
		at++;
		return (OSMetaClassBase *)array;
	}
	if (*at == 'y' || *at == 'n') {
		number = *at == 'y';
		at += number ? 3 : 2;
		return (OSMetaClassBase *)OSBoolean_withBoolean(number);
	}
	number = strtoull(at, &end, 0);
	assert_ptr_not_equal(at, end);
	at = end;
	return (OSMetaClassBase *)value_number_new(number);
}

static OSDictionary *
parse(const char *text)
{
	at = text;
	return parse_pairs('\0');
}

struct world {
	struct registry *registry;
	struct entry *device, *interface, *child;
};

static struct entry *
make(struct world *world, struct entry *parent, const char *class_name, const char *name,
     const char *location, const char *properties)
{
	value_auto OSDictionary *base = parse(properties);
	value_auto OSArray *classes = value_array_new();
	struct entry *entry = NULL;

	value_append_cstr(classes, class_name);
	value_append_cstr(classes, "IOService");
	assert_int_equal(entry_new(world->registry, classes, name, location, base, &entry), 0);
	assert_int_equal(entry_attach(entry, parent, PLANE_SERVICE), 0);
	return entry;
}

static int
set_up(void **state)
{
	static struct world world;

	assert_int_equal(registry_new(NULL, NULL, &world.registry), 0);
	world.device =
		make(&world, registry_root(world.registry), "IOUSBHostDevice", "Sensor", "14100000",
		     "idVendor=0x1209;idProduct=0xa5b1;bcdDevice=0x100;bDeviceClass=0;"
		     "bDeviceSubClass=1;bDeviceProtocol=2;"
		     "USBSpeed=3;kUSBSerialNumberString='S1';Flag=yes;BSD Name='disk3'");
	world.interface = make(&world, world.device, "IOUSBHostInterface", "Sensor", "0",
			       "idVendor=0x1209;idProduct=0xa5b1;bcdDevice=0x100;"
			       "bConfigurationValue=1;bInterfaceNumber=0;"
			       "bInterfaceClass=255;bInterfaceSubClass=7;bInterfaceProtocol=9");
	world.child = make(&world, world.interface, "IOUserService", "SensorDriver", NULL,
			   "IOUserClass='SensorDriver';IOMatchCategory='IODefaultMatchCategory'");
	*state = &world;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *world = *state;

	registry_free(world->registry);
	return 0;
}

#define NO (-1)

struct row {
	char who; /* d, i, c, r (root), u (IOUserResources) */
	const char *dict;
	int32_t score; /* NO: does not fit */
	int32_t tie;
	const char *says; /* part of the miss */
};

static const struct row rows[] = {
	/* No known key: everything fits; the score is the probe score. */
	{ 'c', "", 0, 0, NULL },
	{ 'r', "Anything='x'", 0, 0, NULL },
	{ 'c', "IOProbeScore=500", 500, 0, NULL },
	{ 'c', "IOProbeScore=0xffffffffffffffff", -1 + 0, 0, NULL },
	/* 2: class */
	{ 'c', "IOProviderClass='IOUserService'", 0, 0, NULL },
	{ 'c', "IOProviderClass='IOService'", 0, 0, NULL },
	{ 'c', "IOProviderClass='SensorDriver'", NO, 0, "is the IOUserClass of SensorDriver" },
	{ 'c', "IOProviderClass='IOUSBHostDevice'", NO, 0, "wanted 'IOUSBHostDevice'" },
	{ 'c', "IOProviderClass=7", NO, 0, "wanted 'number'" },
	{ 'r', "IOProviderClass='IOService'", NO, 0, NULL },
	/* 3: name */
	{ 'd', "IONameMatch='Sensor'", 0, 0, NULL },
	{ 'd', "IONameMatch=['x','Sensor']", 0, 0, NULL },
	{ 'd', "IONameMatch=['x',7]", NO, 0, "the name is 'Sensor'" },
	/* 4: location */
	{ 'd', "IOLocationMatch='14100000'", 0, 0, NULL },
	{ 'd', "IOLocationMatch='1'", NO, 0, "is at '14100000'" },
	{ 'c', "IOLocationMatch='0'", NO, 0, NULL },
	/* 5: properties, with types */
	{ 'd', "IOPropertyMatch={kUSBSerialNumberString='S1'}", 0, 0, NULL },
	{ 'd', "IOPropertyMatch={kUSBSerialNumberString='S1';Flag=no}", NO, 0,
	  "Flag: wanted boolean false" },
	{ 'd', "IOPropertyMatch=[{Flag=no},{Flag=yes}]", 0, 0, NULL },
	{ 'd', "IOPropertyMatch=[]", NO, 0, NULL },
	{ 'd', "IOPropertyMatch={idVendor='0x1209'}", NO, 0, "wanted string '0x1209', Sensor-" },
	{ 'd', "IOPropertyMatch='Flag'", NO, 0, "takes a dictionary" },
	{ 'c', "IOPropertyMatch={IOUserClass='SensorDriver'}", 0, 0, NULL },
	/* 6: existence */
	{ 'd', "IOPropertyExistsMatch='Flag'", 0, 0, NULL },
	{ 'd', "IOPropertyExistsMatch=['None','Flag']", 0, 0, NULL },
	{ 'd', "IOPropertyExistsMatch=['None']", NO, 0, "no property 'None'" },
	/* 7, 8: path and id */
	{ 'd', "IOPathMatch='IOService:/Sensor@14100000'", 0, 0, NULL },
	{ 'd', "IOPathMatch='IOService:/'", NO, 0, "is not at" },
	{ 'r', "IORegistryEntryID=0x100000100", 0, 0, NULL },
	{ 'd', "IORegistryEntryID=0x100000100", NO, 0, "another entry" },
	/* 9: count of drivers */
	{ 'i', "IOMatchedServiceCountMatch=1", 0, 0, NULL },
	{ 'i', "IOMatchedServiceCountMatch=0", NO, 0, "has 1 matched" },
	/* 10: BSD */
	{ 'd', "BSD Name='disk3'", 0, 0, NULL },
	{ 'd', "BSD Name='disk4'", NO, 0, NULL },
	{ 'd', "BSD Unit=3", NO, 0, "has nothing" },
	/* Resources: a criterion on resources only. */
	{ 'u', "IOProviderClass='IOUserResources';IOResourceMatch='IOKit'", 0, 0, NULL },
	{ 'u', "IOProviderClass='IOUserResources';IOResourceMatch='Never'", NO, 0,
	  "resource 'Never'" },
	{ 'd', "IOProviderClass='IOUSBHostDevice';IOResourceMatch='Never'", 0, 0, NULL },
	/* 11: USB devices */
	{ 'd', "IOProviderClass='IOUSBHostDevice'", 0, 0, NULL },
	{ 'd', "idVendor=0x1209;idProduct=0xa5b1;bcdDevice=0x100", 100000, 0, NULL },
	{ 'd', "idVendor=0x1209;idProduct=0xa5b1", 90000, 0, NULL },
	{ 'd', "idVendor=0x1209;idProduct=0xa5b1;IOProbeScore=5", 90000, 5, NULL },
	{ 'd', "idVendor=0x1209;idProduct=0xa5b2", NO, 0, "idProduct: wanted number 42418" },
	{ 'd', "idVendor=0x1209;idProduct='0xa5b1'", NO, 0, "idProduct" },
	{ 'd', "idVendor='0x1209';idProduct=0xa5b1", NO, 0, "idVendor: wanted string" },
	{ 'd', "idVendor=0x1209", NO, 0, "is not a set of keys" },
	{ 'd', "idVendor=0x1209;idProduct=0xa5b1;bDeviceClass=0", NO, 0, "is not a set of keys" },
	{ 'd', "idVendor=0x1209;idProduct=0xa500;idProductMask=0xff00", 90000, 0, NULL },
	{ 'd', "idVendor=0x1209;idProductArray=[1,0xa5b1]", 90000, 0, NULL },
	{ 'd', "idVendor=0x1209;idProductArray=[1,2]", NO, 0, "idProductArray" },
	{ 'd', "idVendor=0x1209;idProductArray=0xa5b1", NO, 0, "takes an array" },
	{ 'd', "idVendor=0x1209;idProduct=0xa5b1;USBSpeed=3", 90000, 0, NULL },
	{ 'd', "idVendor=0x1209;idProduct=0xa5b1;USBSpeed=2", NO, 0, "USBSpeed" },
	{ 'd', "idVendor=0x1209;bDeviceSubClass=1;bDeviceProtocol=2", NO, 0, "is  255" },
	{ 'd', "bDeviceClass=0;bDeviceSubClass=1;bDeviceProtocol=2", 60000, 0, NULL },
	{ 'd', "bDeviceClass=0;bDeviceSubClass=1", 50000, 0, NULL },
	/* 11: USB interfaces */
	{ 'i',
	  "idVendor=0x1209;idProduct=0xa5b1;bInterfaceNumber=0;bConfigurationValue=1;bcdDevice="
	  "0x100",
	  100000, 0, NULL },
	{ 'i', "idVendor=0x1209;idProduct=0xa5b1;bInterfaceNumber=0;bConfigurationValue=1", 90000,
	  0, NULL },
	{ 'i', "idVendor=0x1209;idProduct=0xa5b1", NO, 0, "is not a set of keys" },
	{ 'i', "idVendor=0x1209;bInterfaceSubClass=7;bInterfaceProtocol=9", 80000, 0, NULL },
	{ 'i', "idVendor=0x1209;bInterfaceSubClass=7", 70000, 0, NULL },
	{ 'i', "bInterfaceClass=255;bInterfaceSubClass=7;bInterfaceProtocol=9", NO, 0,
	  "is not 255" },
	{ 'i', "bInterfaceClass=255;bInterfaceSubClass=7", NO, 0, "is not 255" },
	/* Other providers know nothing of USB: unknown keys are ignored. */
	{ 'c', "idVendor=1", 0, 0, NULL },
	/* When all keys are used up, the family is not asked. */
	{ 'd', "IOProviderClass='IOUSBHostDevice';IONameMatch='Sensor'", 0, 0, NULL },
	/* 12: parents */
	{ 'c', "IOParentMatch={IOProviderClass='IOUSBHostDevice'}", 0, 0, NULL },
	{ 'c',
	  "IOParentMatch={IOProviderClass='IOUSBHostDevice';IOPropertyMatch={"
	  "kUSBSerialNumberString="
	  "'S1'}}",
	  0, 0, NULL },
	{ 'd', "IOParentMatch={IOProviderClass='IOUSBHostDevice'}", NO, 0, "nothing above" },
	{ 'c', "IOParentMatch='x'", NO, 0, "takes a dictionary" },
	/* 13: location as a dictionary */
	{ 'c', "IOLocationMatch={IOProviderClass='IOUSBHostInterface'}", 0, 0, NULL },
	{ 'c', "IOLocationMatch={IOProviderClass='IOUSBHostDevice'}", NO, 0, "the provider of" },
};

static void
test_rows(void **state)
{
	struct world *world = *state;
	struct match_score score;
	struct match_miss miss;
	struct entry *entry;
	bool expected, fits;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		value_auto OSDictionary *dict = parse(row->dict);

		entry = row->who == 'd' ? world->device :
			row->who == 'i' ? world->interface :
			row->who == 'c' ? world->child :
			row->who == 'u' ? registry_user_resources(world->registry) :
					  registry_root(world->registry);
		score = (struct match_score){ 0 };
		fits = match_passive(entry, dict, &score, &miss);
		/* A probe score of -1 is a score. */
		expected = row->score != NO || strstr(row->dict, "IOProbeScore=0xf");
		if (fits != expected)
			fail_msg("row %zu (%c: %s): %s '%s'", i, row->who, row->dict,
				 fits ? "fits" : "does not fit:", miss.text);
		if (fits && (score.score != row->score || score.tie != row->tie))
			fail_msg("row %zu (%s): score %d/%d", i, row->dict, score.score, score.tie);
		if (!fits && !miss.text[0])
			fail_msg("row %zu (%s): no reason", i, row->dict);
		if (row->says && !strstr(miss.text, row->says))
			fail_msg("row %zu (%s): '%s' does not say '%s'", i, row->dict, miss.text,
				 row->says);
	}
}

static void
test_types_are_told(void **state)
{
	struct world *world = *state;
	value_auto OSDictionary *dict = parse("idVendor='4617';idProduct=0xa5b1");
	value_auto OSDictionary *other = parse("idVendor=1;idProduct=0xa5b1");
	struct match_miss miss;

	assert_false(match_passive(world->device, dict, NULL, &miss));
	assert_true(miss.type_differs);
	assert_non_null(strstr(miss.text, "string '4617'"));
	assert_non_null(strstr(miss.text, "number 4617 (0x1209)"));
	assert_false(match_passive(world->device, other, NULL, &miss));
	assert_false(miss.type_differs);
}

static void
test_inactive_clients_do_not_count(void **state)
{
	struct world *world = *state;
	value_auto OSDictionary *dict = parse("IOMatchedServiceCountMatch=0");

	world->child->state |= ENTRY_INACTIVE;
	assert_true(match_passive(world->interface, dict, NULL, NULL));
	world->child->state = 0;
}

static void
test_driver_set_properties_count(void **state)
{
	struct world *world = *state;
	value_auto OSDictionary *set = parse("Flag=no"), *dict = parse("IOPropertyMatch={Flag=no}");

	assert_false(match_passive(world->device, dict, NULL, NULL));
	assert_int_equal(entry_merge_set(world->device, set), 0);
	assert_true(match_passive(world->device, dict, NULL, NULL));
	assert_int_equal(entry_remove_set(world->device, "Flag"), 0);
}

static void
test_order_of_scores(void **state)
{
	struct match_score family = { 90000, 5 }, plain = { 90000, 0 }, more = { 100000, 0 };

	assert_int_equal(match_score_compare(family, plain), 1);
	assert_int_equal(match_score_compare(plain, more), -1);
	assert_int_equal(match_score_compare(more, more), 0);
}

static void
test_misspelt(void **state)
{
	assert_string_equal(match_misspelt("IOPropertyMach"), "IOPropertyMatch");
	assert_string_equal(match_misspelt("IOProviderclass"), "IOProviderClass");
	assert_string_equal(match_misspelt("idvendor"), "idVendor");
	assert_null(match_misspelt("IOProviderClass"));
	assert_null(match_misspelt("MyOwnProperty"));
	assert_null(match_misspelt("x"));
}

static void
test_family_problems(void **state)
{
	static const struct {
		const char *dict, *says;
	} cases[] = {
		{ "IOProviderClass='IOUSBHostDevice';idVendor=1", "idVendor is not a set" },
		{ "IOProviderClass='IOUSBHostInterface';idVendor=1;idProduct=2",
		  "bInterfaceNumber + bConfigurationValue" },
		{ "IOProviderClass='IOUSBHostDevice';idVendor='1';idProduct=2", "takes a number" },
		{ "IOProviderClass='IOUSBHostDevice';idVendor=1;idProductArray=2",
		  "an array of numbers" },
		{ "IOProviderClass='IOUSBHostDevice';idVendor=1;idProduct=2;USBSpeed=1", NULL },
		{ "IOProviderClass='IOUSBHostDevice'", NULL },
		{ "IOProviderClass='IOUserResources';idVendor=1", NULL },
	};
	char text[512];
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		value_auto OSDictionary *dict = parse(cases[i].dict);
		bool found = match_family_problem(dict, text, sizeof text);

		if (found != (cases[i].says != NULL) || (found && !strstr(text, cases[i].says)))
			fail_msg("%s: '%s'", cases[i].dict, found ? text : "no problem");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_types_are_told),
		cmocka_unit_test(test_inactive_clients_do_not_count),
		cmocka_unit_test(test_driver_set_properties_count),
		cmocka_unit_test(test_order_of_scores),
		cmocka_unit_test(test_misspelt),
		cmocka_unit_test(test_family_problems),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
