/* SPDX-License-Identifier: MIT */
/* dext build: iig, compilers, linker, Info.plist. */

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dext/dext.h"

enum kind { KIND_IIG, KIND_C, KIND_CPP, KIND_GLUE, KIND_PLIST, KIND_OTHER };

struct strings {
	char **each; /* owned, each owned; NULL-terminated when n > 0 */
	size_t n;
};

struct build {
	struct strings sources;       /* .iig, .c, .cpp */
	struct strings include;       /* -I folders */
	struct strings flags;         /* the user's */
	struct plist_variables variables;
	char *plist, *output, *work;  /* owned */
	char headers[PATH_MAX], libraries[PATH_MAX]; /* the installed ones; empty: none are */
	bool keep, verbose, is_cpp;
	unsigned jobs;
	struct { pid_t pid; char *what; } running[64];
	unsigned n_running, n_failed;
};

static bool
add(struct strings *strings, char *taken)
{
	char **bigger = taken ? realloc(strings->each, (strings->n + 2) * sizeof *bigger) : NULL;

	if (!bigger) {
		free(taken);
		return false;
	}
	strings->each = bigger;
	bigger[strings->n++] = taken;
	bigger[strings->n] = NULL;
	return true;
}

static bool __attribute__((format(printf, 2, 3)))
addf(struct strings *strings, const char *fmt, ...)
{
	va_list arguments;
	char *text = NULL;

	va_start(arguments, fmt);
	int n = vasprintf(&text, fmt, arguments);
	va_end(arguments);
	return n >= 0 && add(strings, text);
}

static void
done(struct strings *strings)
{
	for (size_t i = 0; i < strings->n; i++)
		free(strings->each[i]);
	free(strings->each);
	*strings = (struct strings){ 0 };
}

static enum kind
kind_of(const char *path)
{
	static const struct { const char *suffix; enum kind kind; } kinds[] = {
		{ ".iig", KIND_IIG }, { ".c", KIND_C },   { ".cpp", KIND_CPP }, { ".cc", KIND_CPP },
		{ ".cxx", KIND_CPP }, { ".mm", KIND_OTHER }, { ".plist", KIND_PLIST },
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(dot, kinds[i].suffix) == 0)
			return kinds[i].kind;
	return KIND_OTHER;
}

/* Name without folder and last suffix. Owned. */
static char *
stem_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *stem = strdup(slash ? slash + 1 : path);
	char *dot = stem ? strrchr(stem, '.') : NULL;

	if (dot && dot != stem)
		*dot = '\0';
	return stem;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
add_folder(struct build *build, const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	size_t first = build->sources.n;

	if (!folder)
		return fail("build", "%s: %s", path, strerror(errno));
	while ((entry = readdir(folder))) {
		enum kind kind = kind_of(entry->d_name);
		if (entry->d_name[0] == '.')
			continue;
		if (kind == KIND_IIG || kind == KIND_C || kind == KIND_CPP)
			(void)addf(&build->sources, "%s/%s", path, entry->d_name);
		else if (kind == KIND_PLIST && !build->plist && strcmp(entry->d_name, "Info.plist") == 0 &&
			 asprintf(&build->plist, "%s/%s", path, entry->d_name) < 0)
			build->plist = NULL;
	}
	(void)closedir(folder);
	if (build->sources.n > first)
		qsort(build->sources.each + first, build->sources.n - first, sizeof(char *), by_name);
	return addf(&build->include, "%s", path) ? EXIT_OK : EXIT_FAILED;
}

static int
add_input(struct build *build, const char *path)
{
	struct stat st;
	char *copy;

	if (stat(path, &st) < 0)
		return fail("build", "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return add_folder(build, path);
	switch (kind_of(path)) {
	case KIND_IIG:
	case KIND_C:
	case KIND_CPP:
		copy = strdup(path);
		if (copy && strrchr(copy, '/')) {
			*strrchr(copy, '/') = '\0';
			(void)addf(&build->include, "%s", *copy ? copy : "/");
		} else {
			(void)addf(&build->include, ".");
		}
		free(copy);
		return addf(&build->sources, "%s", path) ? EXIT_OK : EXIT_FAILED;
	case KIND_PLIST:
		free(build->plist);
		build->plist = strdup(path);
		return build->plist ? EXIT_OK : EXIT_FAILED;
	case KIND_GLUE:
	case KIND_OTHER:
		break;
	}
	return fail("build", "%s: is not a folder, .iig, .c, .cpp or .plist file", path);
}

/* ---- running compilers ---- */

static void
wait_one(struct build *build)
{
	int status = 0;
	pid_t pid = waitpid(-1, &status, 0);

	for (unsigned i = 0; i < build->n_running; i++) {
		if (build->running[i].pid != pid)
			continue;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			build->n_failed++;
		free(build->running[i].what);
		build->running[i] = build->running[--build->n_running];
		return;
	}
}

static void
wait_all(struct build *build)
{
	while (build->n_running > 0)
		wait_one(build);
}

/* Start @p command (NULL-terminated); @p what is what a person is told. Its failure is counted when it ends. */
static void
start(struct build *build, struct strings *command, const char *what)
{
	while (build->n_running >= build->jobs)
		wait_one(build);
	if (build->verbose) {
		for (size_t i = 0; i < command->n; i++)
			fprintf(stderr, "%s%s", i ? " " : "", command->each[i]);
		fputc('\n', stderr);
	} else {
		progress("  %s", what);
	}
	pid_t pid = fork();
	if (pid == 0) {
		execvp(command->each[0], command->each);
		fprintf(stderr, "dext build: %s: %s\n", command->each[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0) {
		(void)fail("build", "fork: %s", strerror(errno));
		build->n_failed++;
		return;
	}
	build->running[build->n_running].pid = pid;
	build->running[build->n_running++].what = strdup(what);
}

/* Every member of a colon list as @p prefix + member. */
static void
add_path_list(struct strings *command, const char *prefix, const char *list)
{
	while (list && *list) {
		size_t n = strcspn(list, ":");
		if (n > 0)
			(void)addf(command, "%s%.*s", prefix, (int)n, list);
		list += n + (list[n] == ':');
	}
}

static void
add_words(struct strings *words, const char *text)
{
	while (text && *(text += strspn(text, " \t"))) {
		size_t n = strcspn(text, " \t");
		(void)addf(words, "%.*s", (int)n, text);
		text += n;
	}
}

static const char *
from_environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static const char *
compiler(bool cpp)
{
	/* Drivers use blocks, so it is clang; AMBIDEXT_CC and AMBIDEXT_CXX name another one. */
	static const char *const versions[] = { "-14", "", "-19", "-18", "-17", "-16", "-15" };
	static char names[2][16];
	const char *chosen = getenv(cpp ? "AMBIDEXT_CXX" : "AMBIDEXT_CC");

	if (chosen && *chosen)
		return chosen;
	if (names[cpp][0])
		return names[cpp];
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
		char probe[64];
		(void)snprintf(names[cpp], sizeof names[cpp], "%s%s", cpp ? "clang++" : "clang", versions[i]);
		(void)snprintf(probe, sizeof probe, "command -v %s >/dev/null 2>&1", names[cpp]);
		if (system(probe) == 0)
			return names[cpp];
	}
	(void)snprintf(names[cpp], sizeof names[cpp], "%s", cpp ? "clang++" : "clang");
	return names[cpp];
}

static void
run_iig(struct build *build, const char *source)
{
	struct strings command = { 0 };
	char *stem = stem_of(source), *what = NULL, installed[PATH_MAX];

	(void)addf(&command, "%s", own_program("AMBIDEXT_IIG", "iig", installed));
	(void)addf(&command, "--def");
	(void)addf(&command, "%s", source);
	(void)addf(&command, "--header");
	(void)addf(&command, "%s/%s.h", build->work, stem);
	(void)addf(&command, "--impl");
	(void)addf(&command, "%s/%s.iig.cpp", build->work, stem);
	for (size_t i = 0; i < build->include.n; i++)
		(void)addf(&command, "-I%s", build->include.each[i]);
	add_path_list(&command, "-I", from_environment("AMBIDEXT_INTERFACES", build->headers));
	add_path_list(&command, "-I", from_environment("AMBIDEXT_INCLUDE", build->headers));
	if (asprintf(&what, "iig %s", source) > 0)
		start(build, &command, what);
	free(what);
	free(stem);
	done(&command);
}

static void
compile(struct build *build, const char *source, const char *object, bool cpp)
{
	struct strings command = { 0 };
	char *what = NULL;

	(void)addf(&command, "%s", compiler(cpp));
	(void)addf(&command, "-x%s", cpp ? "c++" : "c");
	(void)addf(&command, "-std=%s", cpp ? "gnu++20" : "gnu17");
	if (cpp) {
		(void)addf(&command, "-fno-exceptions");
		(void)addf(&command, "-fno-rtti");
	}
	static const char *const common[] = { "-fblocks", "-fPIC", "-g", "-O2", "-Wall", "-Wno-unused-function", "-Wno-c99-designator",
					      "-fvisibility=hidden", "-DDRIVERKIT=1", "-D__DRIVERKIT__=1" };
	for (size_t i = 0; i < sizeof common / sizeof *common; i++)
		(void)addf(&command, "%s", common[i]);
	(void)addf(&command, "-I%s", build->work);
	for (size_t i = 0; i < build->include.n; i++)
		(void)addf(&command, "-I%s", build->include.each[i]);
	add_path_list(&command, "-isystem", from_environment("AMBIDEXT_INCLUDE", build->headers));
	for (size_t i = 0; i < build->flags.n; i++)
		(void)addf(&command, "%s", build->flags.each[i]);
	(void)addf(&command, "-c");
	(void)addf(&command, "%s", source);
	(void)addf(&command, "-o");
	(void)addf(&command, "%s", object);
	const char *slash = strrchr(source, '/');
	if (asprintf(&what, "compile %s", slash && strncmp(source, build->work, strlen(build->work)) == 0 ? slash + 1 : source) > 0)
		start(build, &command, what);
	free(what);
	done(&command);
}

static void
link_all(struct build *build, const struct strings *objects, const char *executable)
{
	struct strings command = { 0 };
	const char *libraries = from_environment("AMBIDEXT_LIBRARY", build->libraries);

	(void)addf(&command, "%s", compiler(build->is_cpp));
	for (size_t i = 0; i < objects->n; i++)
		(void)addf(&command, "%s", objects->each[i]);
	for (size_t i = 0; i < build->flags.n; i++)
		if (strncmp(build->flags.each[i], "-fsanitize", 10) == 0)
			(void)addf(&command, "%s", build->flags.each[i]);
	add_path_list(&command, "-L", libraries);
	add_path_list(&command, "-Wl,-rpath,", libraries);
	(void)addf(&command, "-Wl,--no-as-needed");
	(void)addf(&command, "-ldriverkit_main");
	(void)addf(&command, "-lUSBDriverKit");
	(void)addf(&command, "-lDriverKit");
	(void)addf(&command, "-lambidext");
	(void)addf(&command, "-lBlocksRuntime");
	(void)addf(&command, "-o");
	(void)addf(&command, "%s", executable);
	start(build, &command, "link");
	done(&command);
}

/* ---- the steps ---- */

static bool
step_ended(struct build *build)
{
	wait_all(build);
	return build->n_failed == 0;
}

/* What iig made of the .iig files against what the sources define. Told before the compiler speaks; it decides. */
static void
check_declared(const struct build *build)
{
	struct strings headers = { 0 };

	for (size_t i = 0; i < build->sources.n; i++) {
		char *stem = stem_of(build->sources.each[i]);
		if (kind_of(build->sources.each[i]) == KIND_IIG)
			(void)addf(&headers, "%s/%s.h", build->work, stem);
		free(stem);
	}
	char *text = declared_read(headers.each, headers.n);
	for (size_t i = 0; text && i < build->sources.n; i++)
		if (kind_of(build->sources.each[i]) != KIND_IIG)
			(void)declared_check(build->sources.each[i], text);
	free(text);
	done(&headers);
}

static int
compile_all(struct build *build, const char *executable)
{
	struct strings objects = { 0 };

	for (size_t i = 0; i < build->sources.n; i++)
		if (kind_of(build->sources.each[i]) == KIND_IIG)
			run_iig(build, build->sources.each[i]);
	bool ok = step_ended(build);
	if (ok)
		check_declared(build);
	for (size_t i = 0; ok && i < build->sources.n; i++) {
		char *stem = stem_of(build->sources.each[i]);
		enum kind kind = kind_of(build->sources.each[i]);
		(void)addf(&objects, "%s/%zu-%s.o", build->work, i, stem);
		if (kind == KIND_IIG) {
			char *glue = NULL;
			if (asprintf(&glue, "%s/%s.iig.cpp", build->work, stem) > 0)
				compile(build, glue, objects.each[objects.n - 1], build->is_cpp);
			free(glue);
		} else {
			compile(build, build->sources.each[i], objects.each[objects.n - 1], kind == KIND_CPP);
		}
		free(stem);
	}
	ok = step_ended(build) && ok;
	if (ok)
		link_all(build, &objects, executable);
	ok = step_ended(build) && ok;
	done(&objects);
	return ok ? EXIT_OK : EXIT_FAILED;
}

/* Sources say <bundle or target name/X.h> as well as "X.h". */
static void
link_names(struct build *build)
{
	static const char *const names[] = { "PRODUCT_BUNDLE_IDENTIFIER", "TARGET_NAME", "PRODUCT_NAME" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (size_t j = 0; j < build->variables.n; j++)
			if (strcmp(build->variables.each[j].name, names[i]) == 0 &&
			    snprintf(path, sizeof path, "%s/%s", build->work, build->variables.each[j].value) < (int)sizeof path)
				(void)!symlink(".", path);
}

static void
set_default(struct plist_variables *variables, const char *name, const char *value)
{
	for (size_t i = 0; i < variables->n; i++)
		if (strcmp(variables->each[i].name, name) == 0)
			return;
	(void)plist_variables_set(variables, name, value);
}

static void
set_variables(struct build *build)
{
	char *name = stem_of(build->output);
	char identifier[256];

	(void)snprintf(identifier, sizeof identifier, "org.example.%s", name);
	set_default(&build->variables, "PRODUCT_NAME", name);
	set_default(&build->variables, "TARGET_NAME", name);
	set_default(&build->variables, "PRODUCT_BUNDLE_IDENTIFIER", strchr(name, '.') ? name : identifier);
	set_default(&build->variables, "EXECUTABLE_NAME", name);
	set_default(&build->variables, "PRODUCT_MODULE_NAME", name);
	set_default(&build->variables, "PRODUCT_BUNDLE_PACKAGE_TYPE", "DEXT");
	set_default(&build->variables, "DEVELOPMENT_LANGUAGE", "en");
	set_default(&build->variables, "MARKETING_VERSION", "1.0");
	set_default(&build->variables, "CURRENT_PROJECT_VERSION", "1");
	free(name);
}

static int
remove_tree(const char *path)
{
	struct strings command = { 0 };
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", path, NULL);
		_exit(127);
	}
	done(&command);
	int status = 1;
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	return status == 0 ? 0 : -1;
}

static int
make(struct build *build)
{
	char part[PATH_MAX], executable[PATH_MAX], plist[PATH_MAX];
	char *name = NULL;
	int status;

	/* The bundle appears whole or not at all: it is made beside its place. */
	if (snprintf(part, sizeof part, "%s.part", build->output) >= (int)sizeof part - 16)
		return fail("build", "%s: the path is too long", build->output);
	(void)remove_tree(part);
	if (mkdir(part, 0777) < 0)
		return fail("build", "%s: %s", part, strerror(errno));
	(void)snprintf(plist, sizeof plist, "%.*s/Info.plist", (int)sizeof plist - 16, part);
	if (plist_expand(build->plist, plist, &build->variables, &name) > 0) {
		(void)remove_tree(part);
		return EXIT_FAILED;
	}
	status = snprintf(executable, sizeof executable, "%s/%s", part, name) < (int)sizeof executable
			 ? compile_all(build, executable) : EXIT_FAILED;
	free(name);
	if (status == EXIT_OK) {
		(void)remove_tree(build->output);
		if (rename(part, build->output) < 0)
			status = fail("build", "%s: %s", build->output, strerror(errno));
	}
	if (status != EXIT_OK)
		(void)remove_tree(part);
	else
		progress("%s", build->output);
	return status;
}

static void
build_done(struct build *build)
{
	if (build->work && !build->keep)
		(void)remove_tree(build->work);
	done(&build->sources);
	done(&build->include);
	done(&build->flags);
	plist_variables_done(&build->variables);
	free(build->plist);
	free(build->output);
	free(build->work);
}

static int
parse(struct build *build, int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' }, { "plist", required_argument, NULL, 'p' },
		{ "define", required_argument, NULL, 'D' }, { "cflag", required_argument, NULL, 'c' },
		{ "keep", required_argument, NULL, 'k' },   { "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int option, status = EXIT_OK;
	char *equals;

	add_words(&build->flags, getenv("AMBIDEXT_CFLAGS"));
	optind = 0;
	while ((option = getopt_long(argc, argv, "o:D:I:j:v", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			free(build->output);
			build->output = strdup(optarg);
			break;
		case 'p':
			free(build->plist);
			build->plist = strdup(optarg);
			break;
		case 'D':
			equals = strchr(optarg, '=');
			if (!equals)
				return usage_of("build", "--define wants NAME=VALUE");
			*equals = '\0';
			(void)plist_variables_set(&build->variables, optarg, equals + 1);
			break;
		case 'I':
			(void)addf(&build->include, "%s", optarg);
			break;
		case 'c':
			(void)addf(&build->flags, "%s", optarg);
			break;
		case 'k':
			build->keep = true;
			build->work = strdup(optarg);
			break;
		case 'j':
			build->jobs = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'v':
			build->verbose = true;
			break;
		default:
			return usage_of("build", "wrong option");
		}
	}
	if (optind >= argc)
		return usage_of("build", "nothing to build: name a folder or files");
	for (int i = optind; i < argc && status == EXIT_OK; i++)
		status = add_input(build, argv[i]);
	if (status == EXIT_OK && !build->output) {
		char whole[PATH_MAX];
		char *stem = realpath(argv[optind], whole) ? stem_of(whole) : NULL;
		if (!stem || asprintf(&build->output, "%s.dext", stem) < 0)
			status = EXIT_FAILED;
		free(stem);
	}
	return status;
}

static int
check(struct build *build)
{
	if (!installed_path(INCLUDE_FROM_DEXT, build->headers))
		build->headers[0] = '\0';
	if (!installed_path(LIBRARY_FROM_DEXT, build->libraries))
		build->libraries[0] = '\0';
	if (!*from_environment("AMBIDEXT_INCLUDE", build->headers) || !*from_environment("AMBIDEXT_LIBRARY", build->libraries))
		return fail("build", "Ambidext's headers and libraries were not installed with this program, and AMBIDEXT_INCLUDE, "
				     "AMBIDEXT_INTERFACES and AMBIDEXT_LIBRARY do not name them; in a source tree start with "
				     "./run exec dext build");
	if (build->sources.n == 0)
		return fail("build", "there is no .iig, .c or .cpp file in what was named");
	if (!build->plist)
		return fail("build", "no Info.plist was found beside the sources; name one with --plist");
	size_t n = strlen(build->output);
	while (n > 1 && build->output[n - 1] == '/')
		build->output[--n] = '\0';
	if (n < 6 || strcmp(build->output + n - 5, ".dext") != 0)
		return fail("build", "%s: a bundle's name ends in .dext", build->output);
	for (size_t i = 0; i < build->sources.n; i++)
		build->is_cpp = build->is_cpp || kind_of(build->sources.each[i]) == KIND_CPP;
	if (build->jobs == 0)
		build->jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (build->jobs > sizeof build->running / sizeof *build->running)
		build->jobs = sizeof build->running / sizeof *build->running;
	if (build->work) {
		if (mkdir(build->work, 0777) < 0 && errno != EEXIST)
			return fail("build", "%s: %s", build->work, strerror(errno));
	} else {
		const char *parent = from_environment("TMPDIR", "/tmp");
		if (asprintf(&build->work, "%s/dext-build-XXXXXX", parent) < 0 || !mkdtemp(build->work))
			return fail("build", "%s: %s", parent, strerror(errno));
	}
	return EXIT_OK;
}

int
command_build(int argc, char **argv)
{
	struct build build = { 0 };
	int status = parse(&build, argc, argv);

	if (status == EXIT_OK)
		status = check(&build);
	if (status == EXIT_OK) {
		set_variables(&build);
		link_names(&build);
		status = make(&build);
	}
	build_done(&build);
	return status;
}
