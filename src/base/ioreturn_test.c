/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/ioreturn.h"
#include <USBDriverKit/IOUSBHostFamilyDefinitions.h>

/* The numbers that programs have compiled in. */
static void
test_values(void **state)
{
	static const struct {
		int code;
		uint32_t value;
	} rows[] = {
		{ kIOReturnError, 0xe00002bc },         { kIOReturnBadArgument, 0xe00002c2 },
		{ kIOReturnExclusiveAccess, 0xe00002c5 }, { kIOReturnUnsupported, 0xe00002c7 },
		{ kIOReturnCannotLock, 0xe00002cc },    { kIOReturnTimeout, 0xe00002d6 },
		{ kIOReturnPortExists, 0xe00002dd },    { kIOReturnAborted, 0xe00002eb },
		{ kIOReturnNotFound, 0xe00002f0 },      { kIOReturnInvalid, 0xe0000001 },
		{ kUSBHostReturnPipeStalled, 0xe0005000 }, { kUSBHostReturnRedundant, 0xe0005002 },
		{ kIOUSBPipeStalled, 0xe000404f },      { MIG_SERVER_DIED, 0xfffffecc },
		{ MIG_ARRAY_TOO_LARGE, 0xfffffecd },    { MACH_SEND_INVALID_DEST, 0x10000003 },
		{ iokit_vendor_specific_err(1), 0xe3ff8001 }, { sys_iokit, 0xe0000000 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal((uint32_t)rows[i].code, rows[i].value);
	assert_int_equal(err_get_system(kIOUSBPipeStalled), 0x38);
	assert_int_equal(err_get_sub(kIOUSBPipeStalled), 1);
	assert_int_equal(err_get_code(kIOUSBPipeStalled), 0x4f);
}

static void
test_names(void **state)
{
	assert_string_equal(adxi_ioreturn_name(0), "kIOReturnSuccess");
	assert_string_equal(adxi_ioreturn_name(kIOReturnNotPermitted), "kIOReturnNotPermitted");
	assert_string_equal(adxi_ioreturn_name(kUSBHostReturnPipeStalled), "kUSBHostReturnPipeStalled");
	assert_string_equal(adxi_ioreturn_name(MIG_BAD_ID), "MIG_BAD_ID");
	assert_string_equal(adxi_ioreturn_name(MACH_SEND_INVALID_DEST), "MACH_SEND_INVALID_DEST");
	assert_string_equal(adxi_ioreturn_name(KERN_INVALID_NAME), "KERN_INVALID_NAME");
	assert_string_equal(adxi_ioreturn_text(kIOReturnTimeout), "time ran out");
}

static void
test_without_names(void **state)
{
	assert_string_equal(adxi_ioreturn_name(iokit_family_err(sub_iokit_usb, 0x123)),
			    "iokit/usb code 0x123 (0xe0004123)");
	assert_string_equal(adxi_ioreturn_name(iokit_vendor_specific_err(7)),
			    "iokit/vendor_specific code 0x7 (0xe3ff8007)");
	assert_string_equal(adxi_ioreturn_name(iokit_family_err(err_sub(0x333), 1)),
			    "iokit/0x333 code 0x1 (0xe0ccc001)");
	assert_string_equal(adxi_ioreturn_text(err_system(0x11) | 2), "system 0x11/0 code 0x2 (0x44000002)");
	assert_non_null(strstr(adxi_ioreturn_name(INT_MIN), "0x80000000"));
}

static const int all[] = {
#define CODE(constant, text) constant,
#include "base/ioreturn.def"
};
static const char *const all_texts[] = {
#define CODE(constant, text) text,
#include "base/ioreturn.def"
};

/* No two constants share a number, so each name can be told from its number. */
static void
test_unique(void **state)
{
	size_t n = sizeof all / sizeof all[0];

	for (size_t i = 0; i < n; i++) {
		assert_true(strlen(all_texts[i]) > 3);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(all[i], all[k]);
	}
}

static void
test_errno(void **state)
{
	assert_int_equal(adxi_ioreturn_from_errno(0), kIOReturnSuccess);
	assert_int_equal(adxi_ioreturn_from_errno(ENOMEM), kIOReturnNoMemory);
	assert_int_equal(adxi_ioreturn_from_errno(-ENOMEM), kIOReturnNoMemory);
	assert_int_equal(adxi_ioreturn_from_errno(-EWOULDBLOCK), kIOReturnNotReady);
	assert_int_equal(adxi_ioreturn_from_errno(EOPNOTSUPP), kIOReturnUnsupported);
	assert_int_equal(adxi_ioreturn_from_errno(-ETIMEDOUT), kIOReturnTimeout);
	assert_int_equal(adxi_ioreturn_from_errno(99999), kIOReturnError);
	assert_int_equal(adxi_ioreturn_from_errno(INT_MIN), kIOReturnError);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),        cmocka_unit_test(test_names),
		cmocka_unit_test(test_without_names), cmocka_unit_test(test_unique),
		cmocka_unit_test(test_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
