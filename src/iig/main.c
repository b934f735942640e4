/* SPDX-License-Identifier: MIT */
#include "emit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: iig --def X.iig --header X.h --impl X.iig.cpp [option]...\n"
	"\n"
	"Compile the classes of X.iig to a header and a glue source, each for C and C++.\n"
	"\n"
	"  --def FILE             the .iig file\n"
	"  --header FILE          header to write\n"
	"  --impl FILE            glue source to write\n"
	"  --framework-name NAME  the classes are a framework's: implemented in C, included as "
	"<NAME/X.h>\n"
	"  -I DIR, -D NAME[=V], -isystem DIR, -U NAME\n"
	"                         as for a compiler; -- passes all that follows to clang\n"
	"  --json FILE            write the checked model (- for standard output)\n"
	"  --emit-fuzzer FILE     write a fuzz target of the methods' messages (libFuzzer, C)\n"
	"  --depfile FILE         write what the outputs depend on, for make and ninja\n"
	"  --deployment-target V, --log-file FILE, -isysroot DIR\n"
	"                         accepted and ignored\n"
	"  --check                report mistakes, write nothing\n"
	"  --help, --version\n"
	"\n"
	"Errors are told as FILE:LINE:COLUMN: error[IIGnnn]: TEXT; `dext explain IIGnnn` tells "
	"more. On an error\n"
	"nothing is written. Exit status: 0 done, 1 mistakes in the .iig, 2 wrong usage.\n";

static int
wrong_usage(const char *what, const char *argument)
{
	fprintf(stderr, "iig: %s%s%s; see iig --help\n", what, argument[0] != '\0' ? " " : "",
		argument);
	return 2;
}

/* Value of option @p name at argv[*i]: the next word, or what stands after '='. NULL: not that
 * option. */
static const char *
option_value(char **argv, int argc, int *i, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(argv[*i], name, length) != 0)
		return NULL;
	if (argv[*i][length] == '=')
		return argv[*i] + length + 1;
	if (argv[*i][length] == '\0' && *i + 1 < argc)
		return argv[++*i];
	return NULL;
}

static void
add_include_dir(struct arena *arena, struct options *options, const char *directory)
{
	*ARENA_PUSH(arena, options->include_dirs, options->n_include_dirs) = directory;
	*ARENA_PUSH(arena, options->clang_args, options->n_clang_args) = "-I";
	*ARENA_PUSH(arena, options->clang_args, options->n_clang_args) = directory;
}

static int
parse_options(struct arena *arena, int argc, char **argv, struct options *options, bool *ret_check)
{
	for (int i = 1; i < argc; i++) {
		const struct {
			const char *name;
			const char **value;
		} files[] = {
			{"--def", &options->def},   {"--header", &options->header},
			{"--impl", &options->impl}, {"--framework-name", &options->framework},
			{"--json", &options->json}, {"--depfile", &options->depfile},
			{"--emit-fuzzer", &options->fuzzer},
		};
		const char *value = NULL;
		bool taken = false;

		for (size_t k = 0; k < sizeof files / sizeof files[0] && !taken; k++) {
			value = option_value(argv, argc, &i, files[k].name);
			if (value != NULL) {
				*files[k].value = value;
				taken = true;
			}
		}
		if (taken || option_value(argv, argc, &i, "--deployment-target") != NULL ||
		    option_value(argv, argc, &i, "--log-file") != NULL ||
		    option_value(argv, argc, &i, "-isysroot") != NULL)
			continue;
		if (strcmp(argv[i], "--check") == 0) {
			*ret_check = true;
		} else if (strcmp(argv[i], "--") == 0) {
			while (++i < argc) {
				if (strncmp(argv[i], "-I", 2) == 0 && argv[i][2] != '\0')
					add_include_dir(arena, options, argv[i] + 2);
				else if (strcmp(argv[i], "-I") == 0 && i + 1 < argc)
					add_include_dir(arena, options, argv[++i]);
				else
					*ARENA_PUSH(arena, options->clang_args,
						    options->n_clang_args) = argv[i];
			}
		} else if (strcmp(argv[i], "-I") == 0 && i + 1 < argc) {
			add_include_dir(arena, options, argv[++i]);
		} else if (strncmp(argv[i], "-I", 2) == 0 && argv[i][2] != '\0') {
			add_include_dir(arena, options, argv[i] + 2);
		} else if ((strcmp(argv[i], "-D") == 0 || strcmp(argv[i], "-U") == 0 ||
			    strcmp(argv[i], "-isystem") == 0) &&
			   i + 1 < argc) {
			*ARENA_PUSH(arena, options->clang_args, options->n_clang_args) = argv[i];
			*ARENA_PUSH(arena, options->clang_args, options->n_clang_args) = argv[++i];
		} else if (strncmp(argv[i], "-D", 2) == 0 || strncmp(argv[i], "-U", 2) == 0) {
			*ARENA_PUSH(arena, options->clang_args, options->n_clang_args) = argv[i];
		} else {
			return wrong_usage("cannot take", argv[i]);
		}
	}
#ifdef IIG_INCLUDEDIR
	/* The installed framework, after whatever was asked for. */
	if (access(IIG_INCLUDEDIR, X_OK) == 0)
		add_include_dir(arena, options, IIG_INCLUDEDIR);
#endif
	if (options->def == NULL)
		return wrong_usage("--def is missing", "");
	if (!*ret_check && options->json == NULL && options->fuzzer == NULL &&
	    (options->header == NULL || options->impl == NULL))
		return wrong_usage("--header and --impl are missing", "");
	if (options->impl != NULL && options->header == NULL)
		return wrong_usage("--header is missing: the glue includes it", "");
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Output: every file is written beside its name first, so that an error leaves no half of anything
 */

struct output {
	const char *path;
	const char *temporary;
	struct buffer buffer;
};

static bool
write_temporary(struct diags *diags, struct output *output)
{
	if (strcmp(output->path, "-") == 0)
		return true;
	output->temporary = arena_printf(diags->arena, "%s.%ld.tmp", output->path, (long)getpid());
	FILE *file = fopen(output->temporary, "wxe");
	int error = file == NULL ? errno : 0;

	if (file != NULL &&
	    fwrite(output->buffer.text, 1, output->buffer.length, file) != output->buffer.length)
		error = errno != 0 ? errno : EIO;
	if (file != NULL && fclose(file) != 0 && error == 0)
		error = errno;
	if (error == 0)
		return true;
	if (file == NULL)
		output->temporary = NULL;
	diag_add(diags, (struct where){0}, IIG_OUTPUT, "cannot write %s: %s", output->path,
		 strerror(error));
	return false;
}

static bool
write_outputs(struct diags *diags, struct output *outputs, size_t count)
{
	bool good = true;

	for (size_t i = 0; i < count; i++)
		if (outputs[i].path != NULL)
			good &= write_temporary(diags, &outputs[i]);
	for (size_t i = 0; i < count; i++) {
		struct output *o = &outputs[i];

		if (o->path == NULL)
			continue;
		if (good && strcmp(o->path, "-") == 0) {
			fwrite(o->buffer.text, 1, o->buffer.length, stdout);
		} else if (good && rename(o->temporary, o->path) != 0) {
			diag_add(diags, (struct where){0}, IIG_OUTPUT, "cannot write %s: %s",
				 o->path, strerror(errno));
			good = false;
		}
		if (!good && o->temporary != NULL)
			unlink(o->temporary);
	}
	return good;
}

static void
emit_depfile(const struct model *model, const struct options *options, struct buffer *out)
{
	const char *const made[] = {options->header, options->impl, options->fuzzer};
	bool any = false;

	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
		if (made[i] != NULL) {
			buffer_printf(out, "%s%s", any ? " " : "", made[i]);
			any = true;
		}
	buffer_puts(out, ":");
	for (size_t i = 0; i < model->n_inputs; i++) {
		buffer_puts(out, " \\\n  ");
		for (const char *c = model->inputs[i]; *c != '\0'; c++) {
			if (*c == ' ' || *c == '#')
				buffer_puts(out, "\\");
			else if (*c == '$')
				buffer_puts(out, "$");
			buffer_add(out, c, 1);
		}
	}
	buffer_puts(out, "\n");
}

static int
compile(struct arena *arena, const struct options *options, bool check_only)
{
	struct diags diags = {.arena = arena};
	struct model model = {.arena = arena,
			      .diags = &diags,
			      .def = options->def,
			      .framework = options->framework};
	enum { HEADER, IMPL, JSON, FUZZER, DEPFILE, N_OUTPUTS };
	struct output outputs[N_OUTPUTS] = {0};

	front_parse(&model, options);
	if (model.n_classes > 0)
		check_model(&model);
	if (diags.count == 0 && !check_only) {
		outputs[HEADER].path = options->header;
		outputs[IMPL].path = options->impl;
		outputs[JSON].path = options->json;
		outputs[FUZZER].path = options->fuzzer;
		outputs[DEPFILE].path = options->depfile;
		emit_header(&model, &outputs[HEADER].buffer);
		emit_impl(&model, options->header != NULL ? options->header : "",
			  &outputs[IMPL].buffer);
		emit_json(&model, &outputs[JSON].buffer);
		if (options->fuzzer != NULL)
			emit_fuzz(&model, &outputs[FUZZER].buffer);
		emit_depfile(&model, options, &outputs[DEPFILE].buffer);
		(void)write_outputs(&diags, outputs, N_OUTPUTS); /* told in diags */
	}
	diag_print(&diags, stderr);
	for (int i = 0; i < N_OUTPUTS; i++)
		buffer_fini(&outputs[i].buffer);
	return diags.count > 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
	struct arena arena = {0};
	struct options options = {0};
	bool check_only = false;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			return 0;
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts("iig " IIG_VERSION);
			return 0;
		}
	}
	int ret = parse_options(&arena, argc, argv, &options, &check_only);

	if (ret == 0)
		ret = compile(&arena, &options, check_only);
	arena_fini(&arena);
	return ret;
}
