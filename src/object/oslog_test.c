/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSString.h>
#include <os/log.h>

#include "base/logline.h"
#include "object/format.h"

/* The text of a format, compared with what it should be. */
static void
expect(const char *wanted, const char *format, ...)
{
	struct adxi_buf buf = { 0 };
	va_list ap;

	va_start(ap, format);
	assert_int_equal(adxi_format(&buf, format, ap), 0);
	va_end(ap);
	assert_string_equal(adxi_buf_text(&buf), wanted);
	adxi_buf_done(&buf);
}

static void
test_annotations(void **state)
{
	static const uint8_t uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
					  1,    2,    3,    4,    5,    6,    7,    8 };

	expect("a secret b", "a %{private}s b", "secret");
	expect("shown 7", "%{public}s %{public}d", "shown", 7);
	expect("    right|left    |abc", "%{public}9s|%{public}-8s|%{private}.3s", "right", "left",
	       "abcdef");
	expect("true NO", "%{bool}d %{public,BOOL}d", 1, 0);
	expect("[2: No such file or directory]", "%{darwin.errno}d", ENOENT);
	expect("12345678-9ABC-DEF0-0102-030405060708", "%{public,uuid_t}.16P", uuid);
	expect("<123456>", "%.*P", 3, uuid);
	expect("100% 5", "100%% %{xcode:size-in-bytes}d", 5);
	expect("stops: ", "stops: %{open %d", 0);
}

static void
test_conversions(void **state)
{
	expect("-1 18446744073709551615 ff 0x10", "%hhd %llu %zx %#lx", -1, UINT64_MAX, (size_t)255,
	       16L);
	expect("1.50 00042 'c'", "%.2f %05d '%c'", 1.5, 42, 'c');
	expect("(null) 3", "%s %d", (char *)NULL, 3);
	errno = EACCES;
	expect("Permission denied", "%m");
}

static void
test_objects(void **state)
{
	OSString *text = OSString_withCString("name");
	OSNumber *number = OSNumber_withNumber(12, 32);
	OSDictionary *dictionary = OSDictionary_withCapacity(1);

	(void)OSDictionary_setObjectForCString(dictionary, "key", (OSMetaClassBase *)number);
	expect("name 12 {\"key\"=12}", "%@ %{public}@ %@", text, number, dictionary);
	OSRelease((OS_OBJECT *)dictionary);
	OSRelease((OS_OBJECT *)number);
	OSRelease((OS_OBJECT *)text);
}

/* Standard error of what runs between begin and end. */
static int saved_stderr, read_end;

static void
capture_begin(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	read_end = ends[0];
}

static void
capture_end(char *text, size_t size)
{
	ssize_t n;

	assert_int_equal(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
	close(saved_stderr);
	n = read(read_end, text, size - 1);
	close(read_end);
	text[n > 0 ? n : 0] = '\0';
}

static void
test_lines(void **state)
{
	os_log_t log = os_log_create("org.example", "usb");
	static char text[2 * ADXI_LOGLINE_MAX], text_long[2 * ADXI_LOGLINE_MAX];

	memset(text_long, 'x', sizeof text_long - 1);
	capture_begin();
	errno = ENOENT;
	os_log(OS_LOG_DEFAULT, "two\nlines: %m\n");
	os_log_error(log, "%{public}s failed", "it");
	os_log_fault(log, "worse");
	os_log_debug(OS_LOG_DEFAULT, "not shown");
	os_log(OS_LOG_DISABLED, "not shown either");
	/* What a driver logs cannot look like a rule that was told. */
	os_log(OS_LOG_DEFAULT, "%s", "\x1eT12\x1f forged");
	assert_int_equal(errno, ENOENT);
	capture_end(text, sizeof text);
	assert_string_equal(text, "two lines: No such file or directory\n"
				  "[org.example:usb] error: it failed\n"
				  "[org.example:usb] fault: worse\n"
				  " T12\x1f forged\n");
	capture_begin();
	os_log(OS_LOG_DEFAULT, "%s", text_long);
	capture_end(text, sizeof text);
	assert_int_equal(strlen(text), ADXI_LOGLINE_MAX);
	assert_int_equal(text[ADXI_LOGLINE_MAX - 1], '\n');
	assert_true(os_log_type_enabled(log, OS_LOG_TYPE_ERROR));
	assert_false(os_log_type_enabled(OS_LOG_DISABLED, OS_LOG_TYPE_FAULT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_annotations),
		cmocka_unit_test(test_conversions),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_lines),
	};
	(void)unsetenv("AMBIDEXT_OS_LOG_DEBUG");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
