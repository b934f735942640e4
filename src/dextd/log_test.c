/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/logline.h"
#include "dextd/log.h"

static const char *
text_of(const OSArray *lines, uint32_t i)
{
	return value_get_cstr((const OSDictionary *)value_at(lines, i), "text");
}

static void
test_bounds_and_order(void **state)
{
	value_auto OSArray *lines = NULL, *rest = NULL;
	struct journal *journal;
	uint64_t next = 0;
	char text[16];
	unsigned i;

	assert_int_equal(journal_new(4, 1 << 20, &journal), 0);
	for (i = 0; i < 10; i++) {
		text[0] = (char)('a' + i);
		text[1] = '\0';
		journal_add(journal, 7, i % 2 ? "odd" : "even", "", text);
	}
	lines = journal_copy(journal, 0, NULL, 100, &next);
	assert_int_equal(value_count(lines), 4);
	assert_string_equal(text_of(lines, 0), "g");
	assert_string_equal(text_of(lines, 3), "j");
	assert_int_equal(next, 10);
	rest = journal_copy(journal, 8, "odd", 100, &next);
	assert_int_equal(value_count(rest), 1);
	assert_string_equal(text_of(rest, 0), "j");
	assert_null(journal_free(journal));
}

/* What a process writes goes to terminals and into JSON. */
static void
test_harmless(void **state)
{
	value_auto OSArray *lines = NULL;
	struct journal *journal;
	uint64_t next = 0;

	assert_int_equal(journal_new(4, 1 << 20, &journal), 0);
	journal_add(journal, 7, "s", "", "a\tb\x1b[31m\x7f \xc3\xa9 \xff\xc3 \xc2\x9b" "1m \xed\xa0\x80 \xf0\x9f\x98\x80");
	lines = journal_copy(journal, 0, NULL, 100, &next);
	assert_string_equal(text_of(lines, 0), "a\tb [31m  \xc3\xa9      1m     \xf0\x9f\x98\x80");
	assert_null(journal_free(journal));
}

static void
test_pages(void **state)
{
	struct journal *journal;
	uint64_t after = 0, next = 0;
	unsigned n = 0, i;

	assert_int_equal(journal_new(100, 1 << 20, &journal), 0);
	for (i = 0; i < 50; i++)
		journal_add(journal, 1, i % 3 ? "a" : "b", NULL, "x");
	do {
		value_auto OSArray *lines = journal_copy(journal, after, "b", 4, &next);

		n += value_count(lines);
		if (next == after)
			break;
		after = next;
	} while (1);
	assert_int_equal(n, 17);
	journal_free(journal);
}

static void
test_bytes_are_bounded(void **state)
{
	value_auto OSArray *lines = NULL;
	struct journal *journal;
	char text[1001];
	uint64_t next;
	unsigned i;

	memset(text, 'x', 1000);
	text[1000] = '\0';
	assert_int_equal(journal_new(1000, 10000, &journal), 0);
	for (i = 0; i < 50; i++)
		journal_add(journal, 1, "s", "", text);
	lines = journal_copy(journal, 0, NULL, 1000, &next);
	assert_int_equal(value_count(lines), 9);
	journal_free(journal);
}

struct cut_lines {
	unsigned n;
	size_t longest;
	char last[8192];
};

static void
cut_line(void *userdata, const char *line)
{
	struct cut_lines *cut = userdata;

	cut->n++;
	if (strlen(line) > cut->longest)
		cut->longest = strlen(line);
	strcpy(cut->last, line);
}

static void
test_cutter(void **state)
{
	static struct line_cutter cutter;
	struct cut_lines cut = { 0 };
	char flood[10000];

	line_cutter_feed(&cutter, "one\ntw", 6, cut_line, &cut);
	assert_int_equal(cut.n, 1);
	assert_string_equal(cut.last, "one");
	line_cutter_feed(&cutter, "o\r\n\n\n", 5, cut_line, &cut);
	assert_int_equal(cut.n, 2);
	assert_string_equal(cut.last, "two");
	line_cutter_feed(&cutter, "a\0b\n", 4, cut_line, &cut);
	assert_string_equal(cut.last, "a b");
	line_cutter_feed(&cutter, "rest", 4, cut_line, &cut);
	assert_int_equal(cut.n, 3);
	line_cutter_feed(&cutter, "", 0, cut_line, &cut);
	assert_string_equal(cut.last, "rest");
	memset(flood, 'x', sizeof flood);
	line_cutter_feed(&cutter, flood, sizeof flood, cut_line, &cut);
	assert_int_equal(cut.n, 6);
	assert_int_equal(cut.longest, ADXI_LOGLINE_MAX);
}

static void
test_rules_in_lines(void **state)
{
	value_auto OSArray *lines = NULL;
	const OSDictionary *line;
	struct journal *journal;
	uint64_t next;

	assert_int_equal(journal_new(10, 10000, &journal), 0);
	journal_add_line(journal, 1, "s", "\x1eT27\x1f[T27] an object");
	journal_add_line(journal, 1, "s",
			 "\x1e"
			 "far too long for a rule's id\x1ftext");
	journal_add_line(journal, 1, "s", "plain \x1b[31mred");
	lines = journal_copy(journal, 0, NULL, 10, &next);
	line = (const OSDictionary *)value_at(lines, 0);
	assert_string_equal(value_get_cstr(line, "rule"), "T27");
	assert_string_equal(value_get_cstr(line, "text"), "[T27] an object");
	line = (const OSDictionary *)value_at(lines, 1);
	assert_string_equal(value_get_cstr(line, "rule"), "");
	/* What a driver writes must not move the reader's cursor. */
	assert_string_equal(text_of(lines, 2), "plain  [31mred");
	journal_free(journal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds_and_order),  cmocka_unit_test(test_harmless), cmocka_unit_test(test_pages),
		cmocka_unit_test(test_bytes_are_bounded), cmocka_unit_test(test_cutter),
		cmocka_unit_test(test_rules_in_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
