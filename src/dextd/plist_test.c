/* SPDX-License-Identifier: MIT */
/* Property lists that are written to harm: each of them ended dextd, or kept it for many seconds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "dextd/plistfile.h"

static char path[] = "/tmp/plist_test.XXXXXX";

static int
read_bytes(const void *bytes, size_t size, char *reterr_why, size_t why_size)
{
	value_auto OSDictionary *dict = NULL;
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	return plistfile_read(path, &dict, reterr_why, why_size);
}

static void
repeat(struct adxi_buf *buf, const char *text, unsigned n)
{
	while (n--)
		assert_int_equal(adxi_buf_append_string(buf, text), 0);
}

static void
test_xml(void **state)
{
	static const struct {
		const char *open, *close;
		unsigned n;
		int r;
	} rows[] = {
		{ "<array>", "</array>", 30, 0 },
		{ "<array>", "</array>", 32, -EINVAL },
		{ "<array>", "", 600000, -EFBIG },
		{ "<array>", "", 35000, -EINVAL },
		{ "<array>", "</array>", 17000, -EINVAL },
		{ "<array><!--</array>-->", "</array>", 8000, -EINVAL },
		{ "<dict><key>a</key>", "</dict>", 10000, -EINVAL },
		{ "<array></array>", "", 4000, 0 },
		{ "&amp;", "", 700000, -EFBIG },
	};
	char why[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct adxi_buf buf = { 0 };
		const bool text = rows[i].open[0] == '&';
		int r;

		repeat(&buf, "<plist version=\"1.0\"><dict><key>a</key>", 1);
		repeat(&buf, text ? "<string>" : "<array>", 1);
		repeat(&buf, rows[i].open, rows[i].n);
		repeat(&buf, rows[i].close, rows[i].n);
		repeat(&buf, text ? "</string></dict></plist>" : "</array></dict></plist>", 1);
		r = read_bytes(buf.data, buf.len, why, sizeof why);
		if (r != rows[i].r)
			fail_msg("row %zu: %d (%s), not %d", i, r, why, rows[i].r);
		assert_true(r == 0 || why[0]);
		adxi_buf_done(&buf);
	}
}

/* {"a": [[[...]]]}: each of @p n arrays but the last refers to the next one @p references times. */
static size_t
binary(uint8_t *bytes, unsigned n, unsigned references)
{
	static uint32_t offsets[20000];
	const unsigned n_objects = n + 3;
	uint8_t *at = bytes;
	uint8_t *table;

	memcpy(at, "bplist00", 8);
	at += 8;
	for (unsigned i = 0; i < n_objects; i++) {
		offsets[i] = (uint32_t)(at - bytes);
		if (i == 0) {
			memcpy(at, "\xd1\0\1\0\2", 5);
			at += 5;
		} else if (i == 1) {
			memcpy(at, "\x51" "a", 2);
			at += 2;
		} else if (i < n_objects - 1) {
			*at++ = (uint8_t)(0xa0 | references);
			for (unsigned k = 0; k < references; k++) {
				*at++ = (uint8_t)((i + 1) >> 8);
				*at++ = (uint8_t)(i + 1);
			}
		} else {
			*at++ = 9;
		}
	}
	table = at;
	for (unsigned i = 0; i < n_objects; i++)
		for (int shift = 24; shift >= 0; shift -= 8)
			*at++ = (uint8_t)(offsets[i] >> shift);
	memset(at, 0, 32);
	at[6] = 4;
	at[7] = 2;
	at[14] = (uint8_t)(n_objects >> 8);
	at[15] = (uint8_t)n_objects;
	for (unsigned i = 0; i < 4; i++)
		at[28 + i] = (uint8_t)((table - bytes) >> (24 - 8 * i));
	return (size_t)(at + 32 - bytes);
}

static void
test_binary(void **state)
{
	static const struct {
		unsigned n, references;
		int r;
	} rows[] = {
		{ 1, 1, 0 },
		{ 30, 1, 0 },
		{ 33, 1, -EINVAL },
		{ 15000, 1, -EINVAL }, /* deeper than the stack */
		{ 3, 10, 0 },
		{ 12, 10, -EINVAL },   /* 10^12 values from 700 bytes */
		{ 30, 14, -EINVAL },
	};
	static uint8_t bytes[256u << 10];
	char why[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t size = binary(bytes, rows[i].n, rows[i].references);
		const int r = read_bytes(bytes, size, why, sizeof why);

		if (r != rows[i].r)
			fail_msg("row %zu: %d (%s), not %d", i, r, why, rows[i].r);
		/* Cut anywhere, and with each byte changed. */
		for (size_t cut = 8; size < 1000 && cut < size; cut++)
			(void)read_bytes(bytes, cut, why, sizeof why);
		for (size_t at = 8; size < 1000 && at < size; at++) {
			bytes[at] ^= 0xff;
			(void)read_bytes(bytes, size, why, sizeof why);
			bytes[at] ^= 0xff;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_xml), cmocka_unit_test(test_binary) };
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	(void)close(fd);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return r;
}
