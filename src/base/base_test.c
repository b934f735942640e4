/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#define LOG_TOPIC "test.log"
#include "base/log.h"

struct item {
	int value;
	struct adxi_list link;
};

static void
test_list(void **state)
{
	struct adxi_list head = ADXI_LIST_INIT(head), other = ADXI_LIST_INIT(other);
	struct item items[4] = {{0}, {1}, {2}, {3}}, *item, *next;
	int expected = 0;

	assert_true(adxi_list_is_empty(&head));
	assert_null(ADXI_LIST_FIRST(&head, struct item, link));
	adxi_list_append(&head, &items[1].link);
	adxi_list_append(&head, &items[2].link);
	adxi_list_insert(&head, &items[0].link);
	adxi_list_append(&other, &items[3].link);
	adxi_list_splice(&head, &other);
	assert_true(adxi_list_is_empty(&other));
	assert_int_equal(adxi_list_count(&head), 4);
	ADXI_LIST_EACH(item, &head, link)
	assert_int_equal(item->value, expected++);
	assert_int_equal(expected, 4);
	ADXI_LIST_EACH_SAFE(item, next, &head, link)
	{
		if (item->value % 2)
			adxi_list_remove(&item->link);
	}
	assert_int_equal(adxi_list_count(&head), 2);
	adxi_list_remove(&items[1].link); /* twice is harmless */
	assert_ptr_equal(ADXI_LIST_FIRST(&head, struct item, link), &items[0]);
}

static void
test_buf(void **state)
{
	struct adxi_buf buf = {0};
	size_t len = 0;
	char *text;
	int i;

	assert_string_equal(adxi_buf_text(&buf), "");
	for (i = 0; i < 1000; i++)
		assert_int_equal(adxi_buf_printf(&buf, "%d,", i % 10), 0);
	assert_int_equal(buf.len, 2000);
	assert_memory_equal(adxi_buf_text(&buf) + 1990, "5,6,7,8,9,", 11);
	text = adxi_buf_take(&buf, &len);
	assert_non_null(text);
	assert_int_equal(len, 2000);
	assert_int_equal(strlen(text), 2000);
	free(text);
	assert_int_equal(buf.len, 0);

	buf.limit = 10;
	assert_int_equal(adxi_buf_append(&buf, "0123456789", 10), 0);
	assert_int_equal(adxi_buf_append_byte(&buf, 'x'), -EMSGSIZE);
	assert_int_equal(adxi_buf_append(&buf, "", 0), -EMSGSIZE); /* stays failed */
	assert_int_equal(adxi_buf_error(&buf), -EMSGSIZE);
	assert_null(adxi_buf_take(&buf, NULL));
	assert_int_equal(adxi_buf_append_string(&buf, "good"), 0);
	adxi_buf_done(&buf);
	adxi_buf_done(NULL);
}

static int closed_with;

static struct item *
item_free(struct item *item)
{
	closed_with = item->value;
	free(item);
	return NULL;
}
ADXI_DEFINE_CLEANUP(struct item, item_free)

static struct item *
make_item(int value, bool keep)
{
	adxi_cleanup(item_freep) struct item *item = calloc(1, sizeof *item);

	item->value = value;
	return keep ? TAKE(item) : NULL;
}

static void
test_cleanup(void **state)
{
	struct item *item;
	int fds[2];

	closed_with = 0;
	assert_null(make_item(7, false));
	assert_int_equal(closed_with, 7);
	item = make_item(8, true);
	assert_int_equal(closed_with, 7);
	item_free(item);

	assert_int_equal(pipe(fds), 0);
	{
		adxi_cleanup(adxi_closep) int fd = fds[1];
		(void)fd;
	}
	assert_int_equal(close(fds[1]), -1);
	{
		adxi_cleanup(adxi_closep) int fd = fds[0];
		assert_int_equal(TAKE_FD(fd), fds[0]);
	}
	assert_int_equal(close(fds[0]), 0);
}

static int
wants_even(int value)
{
	adxi_check_arg(value % 2 == 0, -EINVAL);
	return 0;
}

static void
test_check(void **state)
{
	adxi_assert(1 + 1 == 2);
	assert_int_equal(wants_even(2), 0);
	assert_int_equal(wants_even(3), -EINVAL);
}

static void
test_clock(void **state)
{
	uint64_t now = adxi_now_ns();

	assert_true(adxi_now_ns() >= now);
	assert_int_equal(adxi_deadline_ns(ADXI_NEVER), ADXI_NEVER);
	assert_true(adxi_deadline_ns(5 * ADXI_NS_PER_S) >= now + 5 * ADXI_NS_PER_S);
	assert_int_equal(adxi_timeout_ms(ADXI_NEVER), -1);
	assert_int_equal(adxi_timeout_ms(1), 0);
	assert_in_range(adxi_timeout_ms(adxi_deadline_ns(2 * ADXI_NS_PER_S)), 1, 2001);
}

static void
test_log(void **state)
{
	char line[512];
	int fds[2];
	ssize_t n;

	/* As main() leaves it: AMBIDEXT_LOG below. */
	assert_int_equal(adxi_log_threshold("test.log"), ADXI_LOG_DEBUG);
	assert_int_equal(adxi_log_threshold("test"), ADXI_LOG_DEBUG);
	assert_int_equal(adxi_log_threshold("testing"), ADXI_LOG_NONE);
	assert_int_equal(adxi_log_threshold("test.quiet"), ADXI_LOG_ERROR);
	adxi_log_setup("base_test", ADXI_LOG_INFO);
	assert_int_equal(adxi_log_threshold("testing"), ADXI_LOG_INFO);

	assert_int_equal(pipe(fds), 0);
	adxi_log_set_fd(fds[1]);
	log_trace("not wanted");
	log_debug("two\nlines %d", 42);
	n = read(fds[0], line, sizeof line - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_non_null(strstr(line, " base_test["));
	assert_non_null(strstr(line, " debug test.log: two lines 42\n"));
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	adxi_log_set_fd(STDERR_FILENO);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),    cmocka_unit_test(test_buf),
		cmocka_unit_test(test_cleanup), cmocka_unit_test(test_check),
		cmocka_unit_test(test_clock),   cmocka_unit_test(test_log),
	};

	setenv("AMBIDEXT_LOG", "test.*:debug,test.quiet:error,nonsense:what", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
