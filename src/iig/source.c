/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct word {
	const char *spelling;
	unsigned flag;
	bool argument, house;
} words[] = {
#define WORD(spelling, flag, argument, house) {spelling, flag, argument, house},
#include "words.def"
#undef WORD
};
enum { N_WORDS = sizeof words / sizeof words[0] };

unsigned
word_at(const char *text, size_t length, bool *ret_argument)
{
	bool is_long = length > 4 && memcmp(text, "IIG_", 4) == 0;

	if (is_long) {
		text += 4;
		length -= 4;
	}
	for (int i = 0; i < N_WORDS; i++) {
		if (strlen(words[i].spelling) != length ||
		    memcmp(words[i].spelling, text, length) != 0)
			continue;
		if (words[i].house && !is_long)
			return 0;
		*ret_argument = words[i].argument;
		return words[i].flag;
	}
	return 0;
}

void
words_define(struct arena *arena, const char ***args, size_t *count)
{
	for (int i = 0; i < N_WORDS; i++) {
		const char *s = words[i].spelling;

		for (int is_long = words[i].house; is_long <= 1; is_long++) {
			const char *prefix = is_long ? "IIG_" : "";

			*ARENA_PUSH(arena, *args, *count) =
				words[i].argument
					? arena_printf(arena,
						       "-D%s%s(x)=__attribute__((annotate(\"iig:%s="
						       "\" #x)))",
						       prefix, s, s)
					: arena_printf(
						  arena,
						  "-D%s%s=__attribute__((annotate(\"iig:%s\")))",
						  prefix, s, s);
		}
	}
}

unsigned
word_of_annotation(const char *annotation, const char **ret_value)
{
	*ret_value = NULL;
	if (strncmp(annotation, "iig:", 4) != 0)
		return 0;
	annotation += 4;
	size_t length = strcspn(annotation, "=");

	if (annotation[length] == '=')
		*ret_value = annotation + length + 1;
	for (int i = 0; i < N_WORDS; i++)
		if (strlen(words[i].spelling) == length &&
		    memcmp(words[i].spelling, annotation, length) == 0)
			return words[i].flag;
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Text
 */

size_t
text_skip(const char *text, size_t length, size_t at)
{
	if (at + 1 < length && text[at] == '/' && text[at + 1] == '/') {
		while (at < length && text[at] != '\n')
			at++;
		return at;
	}
	if (at + 1 < length && text[at] == '/' && text[at + 1] == '*') {
		at += 2;
		while (at + 1 < length && !(text[at] == '*' && text[at + 1] == '/'))
			at++;
		return at + 2 < length ? at + 2 : length;
	}
	/* 1'000 has no character in it. */
	if (at < length && at > 0 && text[at] == '\'' && isdigit((unsigned char)text[at - 1]))
		return at;
	if (at < length && (text[at] == '"' || text[at] == '\'')) {
		char quote = text[at++];

		while (at < length && text[at] != quote && text[at] != '\n')
			at += text[at] == '\\' ? 2 : 1;
		return at + 1 < length ? at + 1 : length;
	}
	return at;
}

size_t
text_match(const char *text, size_t length, size_t at)
{
	int depth = 0;

	while (at < length) {
		size_t next = text_skip(text, length, at);

		if (next != at) {
			at = next;
			continue;
		}
		char c = text[at++];

		if (c == '(' || c == '{' || c == '[')
			depth++;
		else if ((c == ')' || c == '}' || c == ']') && --depth == 0)
			return at;
	}
	return length;
}

static size_t
skip_space(const char *text, size_t length, size_t at)
{
	while (at < length && isspace((unsigned char)text[at]))
		at++;
	return at;
}

static size_t
word_end(const char *text, size_t length, size_t at)
{
	while (at < length && text_is_word(text[at]))
		at++;
	return at;
}

char *
text_strip(struct arena *arena, const char *text, size_t length, bool keep)
{
	struct buffer out = {0};
	size_t at = 0;

	buffer_puts(&out, "");
	while (at < length) {
		size_t next = text_skip(text, length, at);
		bool blank = isspace((unsigned char)text[at]);

		if (keep && text[at] == '{') {
			next = text_match(text, length, at);
			buffer_add(&out, text + at, next - at);
		} else if (next != at && text[at] != '/') {
			buffer_add(&out, text + at, next - at);
		} else if (next != at || blank) {
			if (blank)
				next = at + 1;
			if (out.length > 0 && out.text[out.length - 1] != ' ')
				buffer_puts(&out, " ");
		} else if (text_is_word(text[at])) {
			bool argument;

			next = word_end(text, length, at);
			if (word_at(text + at, next - at, &argument) != 0) {
				size_t open = skip_space(text, length, next);

				if (argument && open < length && text[open] == '(')
					next = text_match(text, length, open);
			} else {
				buffer_add(&out, text + at, next - at);
			}
		} else {
			next = at + 1;
			buffer_add(&out, text + at, 1);
		}
		at = next;
	}
	while (out.length > 0 && out.text[out.length - 1] == ' ')
		out.text[--out.length] = '\0';
	char *begin = out.text;

	while (*begin == ' ')
		begin++;
	char *copy = arena_strdup(arena, begin);

	buffer_fini(&out);
	return copy;
}

/* A preprocessor line that begins at @p at (its '#'): end of it, continuation lines included. */
static size_t
directive_end(const char *text, size_t length, size_t at)
{
	while (at < length && text[at] != '\n') {
		size_t next = text[at] == '/' ? text_skip(text, length, at) : at;

		if (next != at)
			at = next;
		else
			at += text[at] == '\\' && at + 1 < length ? 2 : 1;
	}
	return at < length ? at : length;
}

static bool
directive_is(const char *text, size_t length, size_t at, const char *name, size_t *ret_after)
{
	at = skip_space(text, length, at + 1);
	size_t end = word_end(text, length, at);

	*ret_after = end;
	return end - at == strlen(name) && memcmp(text + at, name, end - at) == 0;
}

static bool
directive_is_condition(const char *text, size_t length, size_t at, size_t *ret_after)
{
	return directive_is(text, length, at, "if", ret_after) ||
	       directive_is(text, length, at, "elif", ret_after);
}

/* KERNEL is an attribute to clang, so `#if KERNEL` would not parse: there it is an undefined name.
 */
static char *
mask(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_strndup(arena, text, length);
	bool line_start = true;

	for (size_t at = 0; at < length;) {
		size_t after, next = text_skip(text, length, at);

		if (next != at) {
			at = next;
			continue;
		}
		if (line_start && text[at] == '#' &&
		    (directive_is_condition(text, length, at, &after) ||
		     directive_is(text, length, at, "ifdef", &after) ||
		     directive_is(text, length, at, "ifndef", &after))) {
			size_t end = directive_end(text, length, at);

			for (size_t i = after; i < end; i++) {
				if (!text_is_word(text[i]))
					continue;
				size_t stop = word_end(text, end, i);

				if (stop - i == 6 && memcmp(text + i, "KERNEL", 6) == 0)
					memcpy(copy + i, "__KRNL", 6);
				i = stop;
			}
			at = end;
			continue;
		}
		if (text[at] == '\n')
			line_start = true;
		else if (!isspace((unsigned char)text[at]))
			line_start = false;
		at++;
	}
	return copy;
}

void
text_pass(struct buffer *out, const char *text, size_t length)
{
	bool line_start = true;

	for (size_t at = 0; at < length;) {
		size_t after, next = text_skip(text, length, at);

		if (next != at) {
			buffer_add(out, text + at, next - at);
			at = next;
			continue;
		}
		if (line_start && text[at] == '#') {
			size_t end = directive_end(text, length, at);

			if (directive_is(text, length, at, "include", &after) ||
			    directive_is(text, length, at, "import", &after)) {
				size_t dot = after;

				while (dot + 5 <= end &&
				       (memcmp(text + dot, ".iig", 4) != 0 ||
					(text[dot + 4] != '>' && text[dot + 4] != '"')))
					dot++;
				if (dot + 5 <= end) {
					buffer_printf(out, "#include%.*s.h", (int)(dot - after),
						      text + after);
					at = dot + 4;
				}
				buffer_add(out, text + at, end - at);
			} else if (directive_is_condition(text, length, at, &after)) {
				bool is_defined = false;

				buffer_add(out, text + at, after - at);
				for (size_t i = after; i < end;) {
					size_t stop = word_end(text, end, i);

					if (stop == i) {
						if (!isspace((unsigned char)text[i]) &&
						    text[i] != '(')
							is_defined = false;
						buffer_add(out, text + i++, 1);
						continue;
					}
					if (!is_defined && stop - i == 5 &&
					    memcmp(text + i, "__IIG", 5) == 0)
						buffer_puts(out, "0");
					else
						buffer_add(out, text + i, stop - i);
					is_defined = stop - i == 7 &&
						     memcmp(text + i, "defined", 7) == 0;
					i = stop;
				}
			} else {
				buffer_add(out, text + at, end - at);
			}
			at = end;
			continue;
		}
		if (text[at] == '\n')
			line_start = true;
		else if (!isspace((unsigned char)text[at]))
			line_start = false;
		buffer_add(out, text + at++, 1);
	}
}

/* The marks stand at the beginning of a comment's line: `@iig implementation`, ` * @iig end`. */
void
text_implementation(struct buffer *out, const char *text, size_t length)
{
	bool inside = false;

	for (size_t at = 0; at < length;) {
		size_t end = at;

		while (end < length && text[end] != '\n')
			end++;
		size_t first = at;

		while (first < end &&
		       (isspace((unsigned char)text[first]) || strchr("/*!", text[first]) != NULL))
			first++;
		size_t rest = end - first;

		if (rest >= 8 && memcmp(text + first, "@iig end", 8) == 0) {
			inside = false;
		} else if (rest >= 19 && memcmp(text + first, "@iig implementation", 19) == 0) {
			inside = true;
		} else if (inside) {
			size_t star = at;

			/* A comment's own stars are no code. */
			while (star < end && isspace((unsigned char)text[star]))
				star++;
			if (star < end && text[star] == '*' &&
			    (star + 1 == end || text[star + 1] == ' '))
				at = star + 1;
			buffer_add(out, text + at, end - at);
			buffer_puts(out, "\n");
		}
		at = end + 1;
	}
}

/* ---------------------------------------------------------------------------------------------
 * Files
 */

static char *
read_file(struct arena *arena, const char *path, size_t *ret_length)
{
	FILE *file = fopen(path, "re");
	struct buffer buffer = {0};
	char chunk[16384];
	size_t n;
	char *text = NULL;

	if (file == NULL)
		return NULL;
	buffer_puts(&buffer, "");
	while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
		buffer_add(&buffer, chunk, n);
	if (!ferror(file)) {
		text = arena_strndup(arena, buffer.text, buffer.length);
		*ret_length = buffer.length;
	}
	fclose(file);
	buffer_fini(&buffer);
	return text;
}

static bool
is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void load(struct model *model, const struct options *options, struct sources *sources,
		 const char *path, bool in_framework);

static void
load_include(struct model *model, const struct options *options, struct sources *sources,
	     const char *from, const char *name, size_t length, bool angled, bool in_framework)
{
	struct arena *arena = model->arena;

	if (!angled) {
		size_t folder = (size_t)(text_basename(from) - from);
		const char *path =
			arena_printf(arena, "%.*s%.*s", (int)folder, from, (int)length, name);

		if (is_file(path)) {
			load(model, options, sources, path, in_framework);
			return;
		}
	}
	for (size_t i = 0; i < options->n_include_dirs; i++) {
		const char *path =
			arena_printf(arena, "%s/%.*s", options->include_dirs[i], (int)length, name);

		if (is_file(path)) {
			load(model, options, sources, path, in_framework || angled);
			return;
		}
	}
}

static void
load(struct model *model, const struct options *options, struct sources *sources, const char *path,
     bool in_framework)
{
	if (sources_find(sources, path) != NULL)
		return;
	size_t length = 0;
	char *text = read_file(model->arena, path, &length);

	if (text == NULL)
		return;
	struct source *source = ARENA_PUSH(model->arena, sources->items, sources->count);

	source->path = path;
	source->text = text;
	source->length = length;
	source->masked = mask(model->arena, text, length);
	source->in_framework = in_framework;
	for (size_t at = 0; at < length;) {
		size_t end = at, after;

		while (end < length && text[end] != '\n')
			end++;
		size_t first = skip_space(text, end, at);

		if (first < end && text[first] == '#' &&
		    (directive_is(text, end, first, "include", &after) ||
		     directive_is(text, end, first, "import", &after))) {
			size_t open = skip_space(text, end, after);
			char close = open < end && text[open] == '<' ? '>' : '"';
			size_t stop = open + 1;

			while (stop < end && text[stop] != close)
				stop++;
			if (stop < end && stop > open + 5 &&
			    memcmp(text + stop - 4, ".iig", 4) == 0)
				load_include(model, options, sources, path, text + open + 1,
					     stop - open - 1, close == '>', in_framework);
		}
		at = end + 1;
	}
}

bool
sources_load(struct model *model, const struct options *options, struct sources *ret)
{
	*ret = (struct sources){0};
	errno = 0;
	load(model, options, ret, options->def, options->framework != NULL);
	if (ret->count > 0)
		return true;
	diag_add(model->diags, (struct where){0}, IIG_INPUT, "cannot read %s: %s", options->def,
		 errno != 0 ? strerror(errno) : "it is not a file");
	return false;
}

const struct source *
sources_find(const struct sources *sources, const char *path)
{
	char *wanted = realpath(path, NULL);
	const struct source *found = NULL;

	for (size_t i = 0; i < sources->count && found == NULL; i++) {
		if (strcmp(sources->items[i].path, path) == 0) {
			found = &sources->items[i];
		} else if (wanted != NULL) {
			char *have = realpath(sources->items[i].path, NULL);

			if (have != NULL && strcmp(have, wanted) == 0)
				found = &sources->items[i];
			free(have);
		}
	}
	free(wanted);
	return found;
}
