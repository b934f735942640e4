/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rules.h"

struct heard {
	int lines;
	char id[16];
	char line[2048];
};

static void
hear(void *context, const char *rule_id, const char *line)
{
	struct heard *heard = context;

	heard->lines++;
	(void)snprintf(heard->id, sizeof heard->id, "%s", rule_id);
	(void)snprintf(heard->line, sizeof heard->line, "%s", line);
}

/* Every row can be acted on: nothing empty, ids unique, the fix reads after "; ". */
static void
test_rows(void **state)
{
	unsigned i, k;

	assert_true(ADXI_RULE_COUNT >= 45);
	for (i = 0; i < ADXI_RULE_COUNT; i++) {
		const struct adxi_rule_info *info = adxi_rule_info((enum adxi_rule)i);

		if (strlen(info->title) < 5 || strlen(info->title) > 100 ||
		    strlen(info->wanted) < 20 || strlen(info->fix) < 10)
			fail_msg("%s: title, wanted or fix is too short to help", info->id);
		if (info->wanted[strlen(info->wanted) - 1] != '.')
			fail_msg("%s: what is wanted is no sentence", info->id);
		if (info->fix[strlen(info->fix) - 1] == '.')
			fail_msg("%s: the fix ends with a full stop", info->id);
		assert_true(!info->verdict || strlen(info->verdict) > 10);
		if (info->strict && !info->verdict)
			fail_msg("%s: strict without a verdict", info->id);
		for (k = 0; k < i; k++)
			assert_string_not_equal(info->id, adxi_rule_info((enum adxi_rule)k)->id);
		assert_ptr_equal(adxi_rule_find(info->id), info);
	}
	assert_string_equal(adxi_rule_find("t27")->id, "T27");
	assert_null(adxi_rule_find("T999"));
	assert_null(adxi_rule_find(NULL));
	assert_non_null(adxi_rule_info(ADXI_RULE_COUNT));
}

static void
test_tell(void **state)
{
	struct heard heard = {0};

	adxi_tell_set_sink(hear, &heard);
	/* Strict is on (main), so a strict rule must fail and another must not. */
	assert_true(adxi_strict());
	assert_true(adxi_tell(ADXI_RULE_T27, "object %s of class %s", "0x1", "Transfer"));
	assert_int_equal(heard.lines, 1);
	assert_string_equal(heard.id, "T27");
	assert_ptr_equal(strstr(heard.line, "[T27] object 0x1 of class Transfer; create it with"),
			 heard.line);
	assert_non_null(strstr(heard.line, "[macOS: the process aborts in OSCopyOutObjects"));
	assert_string_equal(adxi_told_last(), heard.line);

	assert_false(adxi_tell(ADXI_RULE_T7, "line\nbreak"));
	assert_non_null(strstr(heard.line, "[T7] line break; send"));
	assert_null(strstr(heard.line, "macOS"));
	adxi_tell_set_sink(NULL, NULL);
	assert_false(adxi_tell(ADXI_RULE_T7, "nobody hears"));
	assert_int_equal(heard.lines, 2);
	assert_non_null(strstr(adxi_told_last(), "nobody hears"));
}

static void
test_repeats(void **state)
{
	struct heard heard = {0};
	int i;

	adxi_tell_set_sink(hear, &heard);
	for (i = 0; i < 1000; i++)
		(void)adxi_tell(ADXI_RULE_T14, "asyncDataCount %d > 16", 20);
	assert_int_equal(heard.lines, 12); /* 1..10, 100, 1000 */
	assert_non_null(strstr(heard.line, "(told 1000 times)"));
	(void)adxi_tell(ADXI_RULE_T14, "asyncDataCount %d > 16", 21);
	assert_int_equal(heard.lines, 13);
	adxi_tell_set_sink(NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_tell),
		cmocka_unit_test(test_repeats),
	};

	setenv("AMBIDEXT_STRICT", "macos", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
