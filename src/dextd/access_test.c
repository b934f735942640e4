/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/rules.h"
#include "dextd/access.h"
#include "dextd/entitlements.h"
#include "dextd/plistfile.h"
#include "dextd/policy.h"
#include "dextd/realm.h"

static char dir[] = "/tmp/access_test.XXXXXX";
static char path[64];
static char told[512];

static void
note(void *context, const char *rule, const char *line)
{
	(void)snprintf(told, sizeof told, "%s", line);
}

static void
write_plist(const char *content, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "<plist version=\"1.0\">%s</plist>", content);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

/* NULL: it was taken. */
static const char *
read_access(struct access *access, const char *rules)
{
	value_auto OSDictionary *policy = NULL;
	static char why[256];
	char text[2048];

	(void)snprintf(text, sizeof text, "<dict><key>Access</key>%s</dict>", rules);
	write_plist(text, 0644);
	assert_int_equal(policy_read(path, &policy, why, sizeof why), 0);
	return access_read_policy(access, value_get(policy, "Access"), why, sizeof why) == 0 ? NULL
											     : why;
}

static struct entry *
make_entry(struct registry *registry, const char *class_name, const char *bundle)
{
	value_auto OSArray *classes = value_array_new();
	struct entry *entry = NULL;

	value_append_cstr(classes, class_name);
	value_append_cstr(classes, "IOService");
	assert_int_equal(entry_new(registry, classes, class_name, NULL, NULL, &entry), 0);
	assert_int_equal(entry_attach(entry, registry_root(registry), PLANE_SERVICE), 0);
	value_set_cstr(entry->base, "CFBundleIdentifier", bundle);
	return entry;
}

static IOReturn
check(const struct access *access, unsigned uid, unsigned group, const struct entry *entry)
{
	struct realm realm = { .config = { .access = (struct access *)access } };
	unsigned groups[] = { 12345, group };
	struct connection connection = {
		.realm = &realm, .pid = 7, .uid = uid, .groups = groups, .n_groups = 2
	};

	told[0] = '\0';
	return access_check(&connection, entry);
}

#define STRANGER (geteuid() + 4001)
#define FRIEND   (geteuid() + 4002)
#define GROUP    77001u

static void
test_who_may(void **state)
{
	struct registry *registry;
	struct access *access;
	struct entry *scanner, *printer;
	char who[32], why[128], rules[512];

	assert_int_equal(registry_new(NULL, NULL, &registry), 0);
	scanner = make_entry(registry, "Scanner", "com.acme.Scanner");
	printer = make_entry(registry, "Printer", "com.acme.Printer");
	assert_int_equal(check(NULL, STRANGER, GROUP, scanner), kIOReturnNotPermitted);
	assert_int_equal(access_new(&access), 0);
	assert_false(access_is_for_others(access));
	assert_int_equal(check(access, geteuid(), 1, scanner), kIOReturnSuccess);
	assert_int_equal(check(access, 0, 1, scanner), kIOReturnSuccess);
	assert_int_equal(check(access, STRANGER, GROUP, scanner), kIOReturnNotPermitted);
	assert_non_null(strstr(told, "ACC001"));
	assert_non_null(strstr(told, "nobody may"));

	(void)snprintf(who, sizeof who, "user:%u", (unsigned)FRIEND);
	assert_int_equal(access_open_to(access, who, why, sizeof why), 0);
	assert_true(access_is_for_others(access));
	assert_int_equal(check(access, FRIEND, 1, scanner), kIOReturnSuccess);
	assert_int_equal(check(access, STRANGER, GROUP, scanner), kIOReturnNotPermitted);
	assert_non_null(strstr(told, who + 5));

	/* The first rule that names the service decides, for better or worse. */
	(void)snprintf(
		rules, sizeof rules,
		"<array><dict><key>Bundle</key><string>com.acme.Scanner</string><key>OpenTo</key>"
		"<array><string>group:%u</string></array></dict>"
		"<dict><key>Class</key><string>IOService</string><key>OpenTo</key><array/></dict></"
		"array>",
		GROUP);
	assert_null(read_access(access, rules));
	assert_int_equal(check(access, STRANGER, GROUP, scanner), kIOReturnSuccess);
	assert_int_equal(check(access, FRIEND, 1, scanner), kIOReturnNotPermitted);
	assert_non_null(strstr(told, "as the policy says"));
	assert_int_equal(check(access, STRANGER, GROUP, printer), kIOReturnNotPermitted);
	assert_int_equal(check(access, FRIEND, 1, printer), kIOReturnNotPermitted);
	assert_int_equal(check(access, geteuid(), 1, printer), kIOReturnSuccess);
	access_free(access);

	assert_int_equal(access_new(&access), 0);
	assert_int_equal(access_open_to(access, "everyone", why, sizeof why), 0);
	assert_int_equal(check(access, STRANGER, 1, printer), kIOReturnSuccess);
	access_free(access);
	registry_free(registry);
}

static void
test_bad_rules(void **state)
{
	static const struct {
		const char *rules, *why;
	} bad[] = {
		{ "<dict/>", "Access is a dictionary, an array is wanted" },
		{ "<array><string>x</string></array>",
		  "rule 1 of Access: a dictionary with OpenTo is wanted" },
		{ "<array><dict><key>Bundle</key><string>b</string></dict></array>",
		  "with OpenTo" },
		{ "<array><dict><key>OpenTo</key><true/></dict></array>",
		  "OpenTo holds a boolean" },
		{ "<array><dict><key>OpenTo</key><string>all</string></dict></array>",
		  "not 'all'" },
		{ "<array><dict><key>OpenTo</key><string>everyone</string></dict>"
		  "<dict><key>OpenTo</key><array><string>user:no "
		  "such</string></array></dict></array>",
		  "rule 2 of Access: there is no user 'no such'" },
		{ "<array><dict><key>OpenTo</key><string>group:-1</string></dict></array>",
		  "no group '-1'" },
		{ "<array><dict><key>OpenTo</key><string>user:4294967295</string></dict></array>",
		  "no user" },
		{ "<array><dict><key>OpenTo</key><array/><key>bundle</key><string>b</string></"
		  "dict></array>",
		  "'bundle' is not known" },
		{ "<array><dict><key>OpenTo</key><array/><key>Class</key><integer>1</integer></"
		  "dict></array>",
		  "Class is a number" },
	};
	struct access *access;
	const char *why;
	size_t i;

	assert_int_equal(access_new(&access), 0);
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		why = read_access(access, bad[i].rules);
		assert_non_null(why);
		if (!strstr(why, bad[i].why))
			fail_msg("wanted '%s', got '%s'", bad[i].why, why);
	}
	/* The good one before a bad one was not taken. */
	assert_false(access_is_for_others(access));
	access_free(access);
}

static void
test_policy_file(void **state)
{
	OSDictionary *policy = NULL;
	char why[256];

	write_plist("<dict/>", 0664);
	assert_int_equal(policy_read(path, &policy, why, sizeof why), -EPERM);
	assert_non_null(strstr(why, "mode 664"));
	write_plist("<dict><key>Acces</key><array/></dict>", 0600);
	assert_int_equal(policy_read(path, &policy, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "'Acces', which is not known"));
	write_plist("<array/>", 0600);
	assert_int_equal(policy_read(path, &policy, why, sizeof why), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(policy_read(path, &policy, why, sizeof why), -ENOENT);
	assert_null(policy);
	write_plist("<dict><key>Access</key><array/></dict>", 0600);
	assert_int_equal(policy_read(path, &policy, why, sizeof why), 0);
	value_unref(policy);
}

static void
test_dext_entitlements(void **state)
{
	static const struct {
		const char *wanted;
		bool satisfied;
	} rows[] = {
		{ "<string>a</string>", true },
		{ "<string>x</string>", false },
		{ "<array><string>x</string><string>b</string></array>", true },
		{ "<array><string>x</string><string>y</string></array>", false },
		{ "<array><array><string>a</string><string>x</string></array></array>", false },
		{ "<array><array><string>a</string><string>x</string></array><array><string>a</"
		  "string>"
		  "<string>b</string></array></array>",
		  true },
		{ "<array/>", false },
		{ "<integer>1</integer>", false },
	};
	value_auto OSDictionary *own = value_dict_new();
	char text[512], why[128];
	size_t i;

	value_set_bool(own, "a", true);
	value_set_cstr(own, "b", "text");
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		value_auto OSDictionary *dict = NULL;

		(void)snprintf(text, sizeof text, "<dict><key>w</key>%s</dict>", rows[i].wanted);
		write_plist(text, 0600);
		assert_int_equal(plistfile_read(path, &dict, why, sizeof why), 0);
		if (entitlements_satisfy(own, value_get(dict, "w")) != rows[i].satisfied)
			fail_msg("%s: %d", rows[i].wanted, !rows[i].satisfied);
	}
	assert_false(entitlements_satisfy(NULL, value_get(own, "b")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may),
		cmocka_unit_test(test_bad_rules),
		cmocka_unit_test(test_policy_file),
		cmocka_unit_test(test_dext_entitlements),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(path, sizeof path, "%s/policy.plist", dir);
	adxi_tell_set_sink(note, NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	(void)rmdir(dir);
	return failed;
}
