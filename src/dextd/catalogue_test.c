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

#include "dextd/catalogue.h"

#define HEAD                                                                                       \
	"<?xml version=\"1.0\"?><plist version=\"1.0\"><dict>"                                     \
	"<key>CFBundlePackageType</key><string>DEXT</string><key>CFBundleVersion</key><string>1</" \
	"string>"                                                                                  \
	"<key>CFBundleShortVersionString</key><string>1.0</string>"                                \
	"<key>OSBundleUsageDescription</key><string>test</string>"
#define TAIL           "</dict></plist>"
#define S(key, text)   "<key>" key "</key><string>" text "</string>"
#define N(key, number) "<key>" key "</key><integer>" number "</integer>"
#define COMPLETE                                                                                   \
	S("CFBundleIdentifier", "com.acme.echo")                                                   \
	S("IOClass", "IOUserService")                                                              \
	S("IOUserClass", "Echo") S("IOUserServerName", "com.acme.echo")
#define PERSONALITY(name, keys) "<key>" name "</key><dict>" keys "</dict>"
#define PERSONALITIES(list)     "<key>IOKitPersonalities</key><dict>" list "</dict>"

struct place {
	char dir[64];
	char bundle[96];
};

static int
set_up(void **state)
{
	static struct place place;

	strcpy(place.dir, "/tmp/catalogue_test.XXXXXX");
	assert_non_null(mkdtemp(place.dir));
	(void)snprintf(place.bundle, sizeof place.bundle, "%s/Echo.dext", place.dir);
	assert_int_equal(mkdir(place.bundle, 0700), 0);
	*state = &place;
	return 0;
}

static void
write_file(const struct place *place, const char *name, const char *text, size_t len, mode_t mode)
{
	char path[160];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s", place->bundle, name);
	(void)unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

/* This very program is an executable of this machine. */
static void
write_program(const struct place *place)
{
	static char bytes[4096];
	FILE *self = fopen("/proc/self/exe", "r");
	size_t len = fread(bytes, 1, sizeof bytes, self);

	fclose(self);
	write_file(place, "Echo", bytes, len, 0700);
}

static int
tear_down(void **state)
{
	struct place *place = *state;
	static const char *const names[] = { "Info.plist", "Echo", "Entitlements.plist", "" };
	char path[160];
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", place->bundle, names[i]);
		(void)remove(path);
	}
	assert_int_equal(rmdir(place->dir), 0);
	return 0;
}

static int
read_with(struct place *place, const char *plist, OSArray *problems, struct bundle **ret_bundle)
{
	write_file(place, "Info.plist", plist, strlen(plist), 0600);
	return bundle_read(place->bundle, problems, ret_bundle);
}

static bool
has_problem(const OSArray *problems, const char *rule, const char *text)
{
	uint32_t i, n = value_count(problems);
	const char *sentence;

	for (i = 0; i < n; i++) {
		sentence = value_cstr(value_at(problems, i));
		if (!strncmp(sentence + 1, rule, strlen(rule)) && strstr(sentence, text))
			return true;
	}
	return false;
}

static void
print_problems(const OSArray *problems)
{
	uint32_t i, n = value_count(problems);

	for (i = 0; i < n; i++)
		print_message("  %s\n", value_cstr(value_at(problems, i)));
}

#define assert_problem(problems, rule, text)                                                       \
	do {                                                                                       \
		if (!has_problem(problems, rule, text)) {                                          \
			print_problems(problems);                                                  \
			fail_msg("no %s with '%s'", rule, text);                                   \
		}                                                                                  \
	} while (0)

static const char good[] = HEAD S("CFBundleIdentifier", "com.acme.echo")
	S("CFBundleExecutable", "Echo") PERSONALITIES(PERSONALITY(
		"Echo",
		COMPLETE S("IOProviderClass", "IOUserResources") S("IOResourceMatch", "IOKit")
			S("IOMatchCategory", "com.acme.echo") N("Answer", "42"))) TAIL;

static void
test_good(void **state)
{
	value_auto OSArray *problems = value_array_new();
	struct place *place = *state;
	struct personality *personality;
	struct bundle *bundle = NULL;
	uint64_t number = 0;

	write_program(place);
	if (read_with(place, good, problems, &bundle) < 0 || value_count(problems)) {
		print_problems(problems);
		fail_msg("a good bundle has problems");
	}
	assert_string_equal(bundle->id, "com.acme.echo");
	assert_string_equal(bundle->version, "1.0");
	assert_int_equal(adxi_list_count(&bundle->personalities), 1);
	personality = ADXI_LIST_FIRST(&bundle->personalities, struct personality, link);
	assert_string_equal(personality->user_class, "Echo");
	assert_string_equal(personality->category, "com.acme.echo");
	assert_false(personality->one_process);
	assert_true(value_u64(value_get(personality->dict, "Answer"), &number));
	assert_int_equal(number, 42);
	assert_null(bundle_unref(bundle));
}

/* Every problem at once. */
static void
test_bad(void **state)
{
	static const char bad[] =
		HEAD S("CFBundleExecutable", "Missing") S("Extra", "$(PRODUCT_NAME)") PERSONALITIES(
			PERSONALITY("A",
				    S("IOProviderClass", "IOResources") N("IOUserClass", "7") S(
					    "IOProbeScore",
					    "high")) PERSONALITY("B", COMPLETE S("IOProviderClass",
										 "IOUSBHostDevice")
									      N("idVendor", "1"))
				PERSONALITY("C",
					    COMPLETE S("IOProviderClass", "IOUserResources") S(
						    "IOPropertyMach",
						    "x") "<key>IOUserServerOneProcess</key><false/"
							 ">") "<key>D</key><string>x</string>")
			TAIL;
	value_auto OSArray *problems = value_array_new();
	struct bundle *bundle = NULL;

	assert_int_equal(read_with(*state, bad, problems, &bundle), -EINVAL);
	assert_null(bundle);
	assert_problem(problems, "CAT003", "Info.plist has no CFBundleIdentifier");
	assert_problem(problems, "CAT005", "Missing");
	assert_problem(problems, "CAT009", "Info.plist.Extra is '$(PRODUCT_NAME)'");
	assert_problem(problems, "T55", "IOKitPersonalities.A.IOProviderClass is 'IOResources'");
	assert_problem(problems, "CAT004", "IOKitPersonalities.A.IOUserClass is a number 7");
	assert_problem(problems, "CAT003", "IOKitPersonalities.A has no IOUserServerName");
	assert_problem(problems, "CAT004", "A.IOProbeScore is a string 'high'");
	assert_problem(problems, "CAT010", "A has no IOClass");
	assert_problem(problems, "CAT013", "idVendor is not a set of keys");
	assert_problem(problems, "T51", "'IOPropertyMach'");
	assert_problem(problems, "T54", "C matches IOUserResources");
	assert_problem(problems, "T58", "C.IOUserServerOneProcess is false");
	assert_problem(problems, "CAT004", "IOKitPersonalities.D is a string 'x'");
}

static void
test_one_process(void **state)
{
	static const char plist[] = HEAD S("CFBundleIdentifier", "com.acme.echo")
		S("CFBundleExecutable", "Echo") PERSONALITIES(
			PERSONALITY("A", COMPLETE S("IOProviderClass",
						    "X") "<key>IOUserServerOneProcess</key><true/>")
				PERSONALITY(
					"B",
					S("CFBundleIdentifier", "com.acme.echo") S(
						"IOClass",
						"IOUserService") S("IOUserClass",
								   "E") S("IOUserServerName",
									  "org.other.echo")
						S("IOProviderClass",
						  "X") "<key>IOUserServerOneProcess</key><true/>"))
			TAIL;
	value_auto OSArray *problems = value_array_new();
	struct personality *personality;
	struct bundle *bundle = NULL;

	write_program(*state);
	assert_int_equal(read_with(*state, plist, problems, &bundle), 0);
	assert_int_equal(value_count(problems), 1);
	assert_problem(problems, "T59", "must begin with 'com.acme.'");
	ADXI_LIST_EACH(personality, &bundle->personalities, link)
		assert_int_equal(personality->one_process, !strcmp(personality->name, "A"));
	bundle_unref(bundle);
}

static void
test_files(void **state)
{
	struct place *place = *state;
	struct bundle *bundle = NULL;
	value_auto OSArray *none = value_array_new(), *garbage = value_array_new(),
			   *date = value_array_new(), *script = value_array_new(),
			   *mach = value_array_new(), *foreign = value_array_new();
	char elf[64] = "\177ELF\2\1\1";

	assert_int_equal(bundle_read("/nowhere/X.dext", none, &bundle), -EINVAL);
	assert_problem(none, "CAT001", "/nowhere/X.dext/Info.plist");
	assert_int_equal(read_with(place, "hello", garbage, &bundle), -EINVAL);
	assert_problem(garbage, "CAT002", "is no property list");
	assert_int_equal(read_with(place,
				   HEAD "<key>When</key><date>2020-01-01T00:00:00Z</date>" TAIL,
				   date, &bundle),
			 -EINVAL);
	assert_problem(date, "CAT002", "a date, which the registry has no type for, at 'When'");
	write_file(place, "Echo", "#!/bin/sh\nexit 0\n", 17, 0700);
	assert_int_equal(read_with(place, good, script, &bundle), -EINVAL);
	assert_problem(script, "CAT006", "is no ELF program");
	write_file(place, "Echo", "\xcf\xfa\xed\xfe", 4, 0700);
	assert_int_equal(read_with(place, good, mach, &bundle), -EINVAL);
	assert_problem(mach, "CAT006", "macOS");
	elf[16] = 3;
	elf[18] = 99;
	write_file(place, "Echo", elf, sizeof elf, 0700);
	assert_int_equal(read_with(place, good, foreign, &bundle), -EINVAL);
	assert_problem(foreign, "CAT006", "another machine");
}

/* Who is tried first. */
static void
test_candidates(void **state)
{
	static const char first[] = HEAD S("CFBundleIdentifier", "com.acme.first")
		S("CFBundleExecutable", "Echo") PERSONALITIES(
			PERSONALITY("General", COMPLETE S("IOProviderClass", "IOService"))
				PERSONALITY("Own", COMPLETE S("IOProviderClass", "Nub"))
					PERSONALITY("Other",
						    COMPLETE S("IOProviderClass", "Elsewhere"))
						PERSONALITY(
							"High",
							COMPLETE S("IOProviderClass", "IOService")
								N("IOProbeScore", "10"))) TAIL;
	static const char second[] = HEAD S("CFBundleIdentifier", "com.acme.second")
		S("CFBundleExecutable", "Echo") PERSONALITIES(
			PERSONALITY("Again", COMPLETE S("IOProviderClass", "Nub")) PERSONALITY(
				"Later", COMPLETE S("IOProviderClass", "Nub") N("Mine", "1"))) TAIL;
	static const char *const expected[] = { "High", "Own", "Later", "General" };
	value_auto OSArray *problems = value_array_new(), *classes = value_array_new();
	struct candidate *candidates = NULL;
	struct catalogue *catalogue;
	struct registry *registry;
	struct bundle *bundle;
	struct entry *entry;
	size_t i;

	write_program(*state);
	assert_int_equal(catalogue_new(&catalogue), 0);
	assert_int_equal(read_with(*state, first, problems, &bundle), 0);
	assert_int_equal(catalogue_add(catalogue, bundle, problems), 0);
	assert_int_equal(catalogue_add(catalogue, bundle, problems), -EEXIST);
	bundle_unref(bundle);
	assert_int_equal(read_with(*state, second, problems, &bundle), 0);
	assert_int_equal(catalogue_add(catalogue, bundle, problems), 0);
	bundle_unref(bundle);
	/* The bundle ids of the personalities differ from the bundles', which is told but no
	 * obstacle. */
	assert_problem(problems, "CAT008", "the bundle's is 'com.acme.first'");
	assert_problem(problems, "CAT014", "'Again' of com.acme.second is the same as 'Own'");

	value_append_cstr(classes, "Nub");
	value_append_cstr(classes, "IOService");
	assert_int_equal(registry_new(NULL, NULL, &registry), 0);
	assert_int_equal(entry_new(registry, classes, "nub", NULL, NULL, &entry), 0);
	assert_int_equal(catalogue_candidates(catalogue, entry, &candidates, NULL), 4);
	for (i = 0; i < 4; i++)
		assert_string_equal(candidates[i].personality->name, expected[i]);
	free(candidates);
	catalogue_remove(catalogue, catalogue_find(catalogue, "com.acme.first"));
	assert_int_equal(catalogue_candidates(catalogue, entry, &candidates, NULL), 1);
	assert_string_equal(candidates[0].personality->name, "Later");
	free(candidates);
	registry_free(registry);
	assert_null(catalogue_free(catalogue));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),        cmocka_unit_test(test_bad),
		cmocka_unit_test(test_one_process), cmocka_unit_test(test_files),
		cmocka_unit_test(test_candidates),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
