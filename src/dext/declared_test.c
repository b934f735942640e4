/* SPDX-License-Identifier: MIT */
/* What counts as an implementation, and where. The sentences go to standard error, which is not looked at here: tests/traps does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dext/dext.h"

#include <cmocka.h> /* last: it has a macro fail() */

/* As iig writes it, for Foo with message Start and local virtual init, and Foo_Bar with message Stop. */
static const char headers[] =
	"\nextern struct OSMetaClass Foo_Class;\n"
	"kern_return_t Foo_Start_Impl(Foo *self, IOService *provider);\n"
	"bool Foo_init_Impl(Foo *self);\n"
	"\nclass Foo : public Foo_super\n{\npublic:\n\tkern_return_t Start_Impl(IOService *provider);\n\tbool init();\n};\n"
	"extern struct OSMetaClass Foo_Bar_Class;\n"
	"kern_return_t Foo_Bar_Stop_Impl(Foo_Bar *self, IOService *provider);\n"
	"\nclass Foo_Bar : public Foo_Bar_super\n{\npublic:\n\tkern_return_t Stop_Impl(IOService *provider);\n};\n";

static unsigned
check(const char *source)
{
	char path[] = "/tmp/declared-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, source, strlen(source)), (ssize_t)strlen(source));
	close(fd);
	unsigned n = declared_check(path, headers);
	unlink(path);
	return n;
}

static void
declared_are_fine(void **state)
{
	assert_int_equal(check("kern_return_t Foo_Start_Impl(Foo *self, IOService *provider) { }"), 0);
	assert_int_equal(check("bool Foo_init_Impl(Foo *self) { }"), 0);
	assert_int_equal(check("kern_return_t Foo::Start_Impl(IOService *provider) { }"), 0);
	assert_int_equal(check("kern_return_t IMPL(Foo, Start) { }"), 0);
	assert_int_equal(check("bool Foo::init() { return super::init(); }"), 0);
	assert_int_equal(check("kern_return_t Foo_Bar_Stop_Impl(Foo_Bar *self, IOService *provider) { }"), 0);
	assert_int_equal(check("kern_return_t Other_Start_Impl(void) { } void Other::Start(void) { }"), 0);
}

static void
undeclared_are_told(void **state)
{
	assert_int_equal(check("kern_return_t Foo_Stop_Impl(Foo *self, IOService *provider) { }"), 1);
	assert_int_equal(check("kern_return_t Foo::Stop_Impl(IOService *provider) { }"), 1);
	assert_int_equal(check("kern_return_t IMPL(Foo, Stop) { }"), 1);
	assert_int_equal(check("kern_return_t\nFoo_Bar_Start_Impl(Foo_Bar *self) { }"), 1);
	assert_int_equal(check("kern_return_t Foo::Start(IOService *provider) { }"), 1);
	assert_int_equal(check("extern \"C\" { void Foo_Stop_Impl(void) { } }"), 1);
	assert_int_equal(check("namespace { void IMPL(Foo, Stop) { } }"), 1);
	assert_int_equal(check("static int a; void Foo_Stop_Impl(void) { } void Foo_Quit_Impl(void) { }"), 2);
}

static void
only_definitions_count(void **state)
{
	assert_int_equal(check("void f(void) { Foo::Start(p); Foo_Stop_Impl(x); { IMPL(Foo, Stop); } }"), 0);
	assert_int_equal(check("static void Foo_help_Impl(Foo *self) { }"), 0);
	assert_int_equal(check("// Foo_Stop_Impl(\n/* Foo::Stop_Impl( */ const char *s = \"Foo_Stop_Impl(\";"), 0);
	assert_int_equal(check("#define X Foo_Stop_Impl(a) \\\n Foo_Stop_Impl(b)\n"), 0);
	assert_int_equal(check("#if 0\nvoid Foo_Stop_Impl(void) { }\n#if 1\n#endif\nvoid Foo_Stop_Impl(void) { }\n#endif\n"), 0);
	assert_int_equal(check("#if 0\n#else\nvoid Foo_Stop_Impl(void) { }\n#endif\n"), 1);
}

static void
broken_sources_end(void **state)
{
	static const char *const sources[] = { "", "/*", "\"", "'\\", "#", "#if 0", "#if 0\n", "{{{{", "}}}}", "Foo::", "Foo::(", "IMPL(Foo,",
					       "//\\", "#define A \\" };

	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
		assert_int_equal(check(sources[i]), 0);
	adxi_cleanup(adxi_freep) char *deep = malloc(2000);
	memset(deep, '{', 1999);
	deep[1999] = '\0';
	assert_int_equal(check(deep), 0);
	assert_int_equal(declared_check("/nonexistent/source.c", headers), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(declared_are_fine),
		cmocka_unit_test(undeclared_are_told),
		cmocka_unit_test(only_definitions_count),
		cmocka_unit_test(broken_sources_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
