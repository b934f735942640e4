/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "usbhost/backend.h"
#include "usbhost/settings.h"

static const uint8_t two_interfaces[] = {
	9, 2, 62, 0, 2, 7, 0, 0x80, 50,
	9, 4, 0, 0, 1, 0xFF, 0, 0, 0,
	7, 5, 0x81, 2, 0x00, 0x02, 0,
	9, 4, 0, 1, 1, 0xFF, 0, 0, 0,
	7, 5, 0x81, 3, 0x08, 0x18, 1,
	3, 0x21, 0,
	9, 4, 3, 0, 1, 0xFF, 0, 0, 0,
	7, 5, 0x02, 2, 0x40, 0x00, 0,
	2, 0x30,
};

static void
a_good_configuration_passes(void **state)
{
	const char *why = NULL;

	assert_int_equal(usb_configuration_check(two_interfaces, sizeof two_interfaces, &why), 0);
	assert_true(usb_configuration_has(two_interfaces, 0, 1));
	assert_true(usb_configuration_has(two_interfaces, 3, 0));
	assert_false(usb_configuration_has(two_interfaces, 3, 1));
	assert_false(usb_configuration_has(two_interfaces, 1, 0));
}

/* Every byte set to every value: the check lets nothing pass that the walk could leave the blob
 * with. Run under ASan, the exact-size copy makes each wrong step fail. */
static void
no_single_wrong_byte_leads_astray(void **state)
{
	const char *why;
	unsigned refused = 0;

	for (size_t at = 0; at < sizeof two_interfaces; at++)
		for (unsigned value = 0; value < 256; value++) {
			uint8_t blob[sizeof two_interfaces];
			struct usb_settings settings;

			memcpy(blob, two_interfaces, sizeof blob);
			blob[at] = value;
			why = NULL;
			if (usb_configuration_check(blob, sizeof blob, &why) < 0) {
				assert_non_null(why);
				refused++;
				continue;
			}
			usb_settings_configure(&settings, blob);
			(void) usb_settings_alternate(&settings, 0, 1);
			assert_true(settings.length <= sizeof blob);
			assert_false(settings.endpoints[0].present);
		}
	assert_true(refused > 500);
}

static void
each_wrong_length_is_refused(void **state)
{
	const char *why;

	for (size_t length = 0; length < sizeof two_interfaces; length++)
		assert_int_equal(usb_configuration_check(two_interfaces, length, &why), -EINVAL);
}

static void
the_table_follows_the_settings(void **state)
{
	struct usb_settings settings;
	const struct usb_setting_endpoint *in = &settings.endpoints[usb_endpoint_index(0x81)];
	const struct usb_setting_endpoint *out = &settings.endpoints[usb_endpoint_index(0x02)];

	usb_settings_configure(&settings, two_interfaces);
	assert_int_equal(settings.value, 7);
	assert_true(in->present);
	assert_int_equal(in->type, USB_BULK);
	assert_int_equal(in->max_packet, 512);
	assert_int_equal(out->interface, 3);

	assert_int_equal(usb_settings_alternate(&settings, 0, 1), 0);
	assert_int_equal(in->type, USB_INTERRUPT);
	assert_int_equal(in->max_packet, 8);
	assert_true(out->present);

	assert_int_equal(usb_settings_alternate(&settings, 0, 2), -ENOENT);
	assert_int_equal(usb_settings_alternate(&settings, 1, 0), -ENOENT);
	assert_int_equal(settings.alternate[0], 1);

	usb_settings_configure(&settings, NULL);
	assert_false(in->present || out->present);
	assert_int_equal(usb_settings_alternate(&settings, 0, 0), -ENOENT);
}

static void
an_endpoint_index_goes_both_ways(void **state)
{
	for (unsigned address = 1; address < 256; address++) {
		if (address & 0x70 || !(address & 0xF))
			continue;
		assert_int_equal(usb_endpoint_address(usb_endpoint_index(address)), address);
	}
	assert_int_equal(usb_endpoint_index(0x80), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_configuration_passes),
		cmocka_unit_test(no_single_wrong_byte_leads_astray),
		cmocka_unit_test(each_wrong_length_is_refused),
		cmocka_unit_test(the_table_follows_the_settings),
		cmocka_unit_test(an_endpoint_index_goes_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
