/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/rules.h"
#include "dextd/quota.h"

static uint64_t
row_number(const OSDictionary *dict, const char *row, const char *key)
{
	uint64_t number = UINT64_MAX;

	(void)value_u64(value_get((const OSDictionary *)value_get(dict, row), key), &number);
	return number;
}

static void
test_take_and_give(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota_account *account = quota_account(quotas, QUOTA_OF_CLIENT, 7);
	struct quota_account *same = quota_account(quotas, QUOTA_OF_CLIENT, 7);
	struct quota_account *other = quota_account(quotas, QUOTA_OF_USER, 7);
	value_auto OSDictionary *dict = NULL;
	unsigned i;

	assert_ptr_equal(account, same);
	assert_ptr_not_equal(account, other);
	for (i = 0; i < quota_limit(QUOTA_CONNECTIONS); i++)
		assert_int_equal(quota_take(account, QUOTA_CONNECTIONS, 1, "pid 7"), 0);
	assert_int_equal(quota_take(account, QUOTA_CONNECTIONS, 1, "pid 7"), -EDQUOT);
	assert_non_null(strstr(adxi_told_last(), "[QUO001] pid 7 wants more than 64 connections"));
	assert_int_equal(quota_take(other, QUOTA_CONNECTIONS, 1, "pid 8"), 0);
	/* No number of them wraps. */
	assert_int_equal(quota_take(account, QUOTA_PROPERTIES, UINT64_MAX, "pid 7"), -EDQUOT);
	assert_int_equal(quota_take(account, QUOTA_PROPERTIES, 100, "pid 7"), 0);
	assert_int_equal(quota_take(account, QUOTA_PROPERTIES, UINT64_MAX - 50, "pid 7"), -EDQUOT);
	quota_give(account, QUOTA_CONNECTIONS, 2);
	assert_int_equal(quota_take(account, QUOTA_CONNECTIONS, 1, "pid 7"), 0);
	dict = quota_dict(account);
	assert_int_equal(row_number(dict, "connections", "used"), 63);
	assert_int_equal(row_number(dict, "connections", "limit"), 64);
	assert_int_equal(row_number(dict, "connections", "refused"), 1);
	assert_int_equal(row_number(dict, "propertyBytes", "refused"), 2);
	assert_null(value_get(dict, "services"));
	quota_account_unref(account);
	quota_account_unref(same);
	/* All is given up with the last reference. */
	account = quota_account(quotas, QUOTA_OF_CLIENT, 7);
	assert_int_equal(quota_used(account, QUOTA_CONNECTIONS), 0);
	quota_account_unref(account);
	quota_account_unref(other);
	assert_null(quotas_free(quotas));
}

static unsigned
count_passed(struct quota_account *account, unsigned n, uint64_t now_ns)
{
	unsigned passed = 0;

	while (n-- > 0)
		passed += quota_pace(account, QUOTA_LOG_LINES, 1, now_ns);
	return passed;
}

static void
test_pace(void **state)
{
	struct quotas *quotas = quotas_new();
	struct quota_account *account = quota_account(quotas, QUOTA_OF_SERVER, 1);
	uint64_t now = 1000 * ADXI_NS_PER_S;

	assert_int_equal(count_passed(account, 5000, now), 2000);
	assert_int_equal(count_passed(account, 5000, now), 0);
	assert_int_equal(count_passed(account, 5000, now += ADXI_NS_PER_S), 200);
	assert_int_equal(count_passed(account, 5000, now += ADXI_NS_PER_S / 2), 100);
	assert_int_equal(count_passed(account, 5000, now += 3600 * ADXI_NS_PER_S), 2000);
	assert_false(quota_pace(account, QUOTA_LOG_BYTES, UINT64_MAX, now));
	assert_true(quota_log_overflows(account));
	assert_false(quota_log_overflows(account));
	assert_int_equal(quota_log_recovers(account, now), 2);
	assert_int_equal(quota_log_recovers(account, now), 0);
	/* Once a second is enough to say so. */
	assert_true(quota_log_overflows(account));
	assert_int_equal(quota_log_recovers(account, now + 1), 0);
	assert_int_equal(quota_log_recovers(account, now + ADXI_NS_PER_S), 1);
	quota_account_unref(account);
	assert_null(quotas_free(quotas));
}

static void
test_weight(void **state)
{
	value_auto OSDictionary *dict = value_dict_new();
	OSArray *array = value_array_new();
	uint64_t empty = quota_weigh(dict), before;
	char text[1001];

	assert_int_equal(quota_weigh(NULL), 0);
	memset(text, 'x', 1000);
	text[1000] = 0;
	assert_true(value_append_cstr(array, text));
	assert_true(value_set_new(dict, "array", array));
	before = quota_weigh(dict);
	assert_true(before > empty + 1000 && before < empty + 2000);
	assert_true(value_set_u64(dict, "number", 1));
	assert_true(quota_weigh(dict) > before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_and_give),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
