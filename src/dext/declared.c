/* SPDX-License-Identifier: MIT */
/* Rule T39: implementations in a driver's sources that its .iig files do not declare. They compile, some of them, and are
 * never called. The sources are read as tokens: what is a definition is guessed from its place at the top level. */

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ambidext/realm.h>

#include "base/cleanup.h"
#include "dext/dext.h"

#define MAX_DEPTH 256
#define SUFFIX "_Impl"

struct scan {
	const char *path, *at;    /* borrowed; *at is the next character */
	unsigned line;
	bool line_start;          /* only white space since the last newline */
	bool open[MAX_DEPTH];     /* braces around this place; true: of extern "C" or a namespace, which do not count */
	unsigned depth, closed;   /* braces, and those that count */
	const char *token;        /* borrowed: the last one */
	size_t length;
};

/* Text of a whole file. Owned. */
static char *
read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (!file)
		return NULL;
	if (getdelim(&text, &room, '\0', file) < 0) {
		free(text);
		text = NULL;
	}
	(void)fclose(file);
	return text;
}

static void
step(struct scan *scan)
{
	if (*scan->at == '\n') {
		scan->line++;
		scan->line_start = true;
	} else if (!isspace((unsigned char)*scan->at)) {
		scan->line_start = false;
	}
	scan->at++;
}

static void
skip_line(struct scan *scan)
{
	while (*scan->at && *scan->at != '\n') {
		if (scan->at[0] == '\\' && scan->at[1])
			step(scan);
		step(scan);
	}
}

static bool
line_begins(const char *at, const char *word)
{
	at += *at == '#';
	while (*at == ' ' || *at == '\t')
		at++;
	return strncmp(at, word, strlen(word)) == 0;
}

/* A line of the preprocessor, and what an #if 0 hides. */
static void
skip_directive(struct scan *scan)
{
	unsigned nested = 1;

	if (!line_begins(scan->at, "if 0")) {
		skip_line(scan);
		return;
	}
	while (*scan->at) {
		skip_line(scan);
		if (*scan->at)
			step(scan);
		const char *at = scan->at + strspn(scan->at, " \t");
		if (*at != '#')
			continue;
		if (line_begins(at, "if"))
			nested++;
		else if (line_begins(at, "endif"))
			nested--;
		else if (nested == 1 && line_begins(at, "el"))
			nested = 0;
		if (nested == 0)
			break;
	}
	skip_line(scan);
}

static void
skip_quoted(struct scan *scan)
{
	char quote = *scan->at;

	step(scan);
	while (*scan->at && *scan->at != quote && *scan->at != '\n') {
		if (scan->at[0] == '\\' && scan->at[1])
			step(scan);
		step(scan);
	}
	if (*scan->at == quote)
		step(scan);
}

/* White space, comments, directives. */
static void
skip_blank(struct scan *scan)
{
	for (;;) {
		if (isspace((unsigned char)*scan->at)) {
			step(scan);
		} else if (scan->at[0] == '/' && scan->at[1] == '/') {
			skip_line(scan);
		} else if (scan->at[0] == '/' && scan->at[1] == '*') {
			step(scan);
			step(scan);
			while (*scan->at && !(scan->at[0] == '*' && scan->at[1] == '/'))
				step(scan);
			for (int i = 0; i < 2 && *scan->at; i++)
				step(scan);
		} else if (*scan->at == '#' && scan->line_start) {
			skip_directive(scan);
		} else {
			return;
		}
	}
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* The next token: a word, a string, "::", or one character. False at the end. */
static bool
next(struct scan *scan)
{
	skip_blank(scan);
	scan->token = scan->at;
	if (!*scan->at)
		return false;
	if (*scan->at == '"' || *scan->at == '\'') {
		skip_quoted(scan);
	} else if (is_word(*scan->at)) {
		while (is_word(*scan->at))
			step(scan);
	} else {
		if (scan->at[0] == ':' && scan->at[1] == ':')
			step(scan);
		step(scan);
	}
	scan->length = (size_t)(scan->at - scan->token);
	return true;
}

/* A word of the text that was read. */
struct word {
	const char *text;
	size_t length;
};

static bool
is(struct word word, const char *text)
{
	return word.length == strlen(text) && strncmp(word.text, text, word.length) == 0;
}

static void
brace(struct scan *scan, struct word before, struct word before_that)
{
	if (is((struct word){ scan->token, scan->length }, "{")) {
		bool transparent = before.length && (*before.text == '"' || is(before, "namespace") || is(before_that, "namespace"));
		if (scan->depth < MAX_DEPTH)
			scan->open[scan->depth] = transparent;
		scan->depth++;
		scan->closed += !transparent;
	} else if (scan->depth > 0) {
		scan->depth--;
		scan->closed -= scan->depth >= MAX_DEPTH || !scan->open[scan->depth] ? scan->closed > 0 : 0;
	}
}

/* ---- what the headers declare ---- */

static bool
contains_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += n)
		if ((at == text || !is_word(at[-1])) && !is_word(at[n]))
			return true;
	return false;
}

static bool __attribute__((format(printf, 2, 3)))
declares(const char *headers, const char *fmt, ...)
{
	char word[512];
	va_list arguments;

	va_start(arguments, fmt);
	int n = vsnprintf(word, sizeof word, fmt, arguments);
	va_end(arguments);
	return n > 0 && (size_t)n < sizeof word && contains_word(headers, word);
}

static bool
is_class(const char *headers, struct word name)
{
	return declares(headers, "%.*s_Class", (int)name.length, name.text);
}

/* The class as C++ sees it has a member m_Impl for messages only; C's functions are there for local virtuals as well. */
static bool
is_message(const char *headers, struct word class, struct word method)
{
	adxi_cleanup(adxi_freep) char *begin = NULL, *body = NULL;

	if (asprintf(&begin, "\nclass %.*s : public ", (int)class.length, class.text) < 0)
		begin = NULL;
	const char *from = begin ? strstr(headers, begin) : NULL;
	const char *to = from ? strstr(from, "\n};") : NULL;
	if (to)
		body = strndup(from, (size_t)(to - from));
	return body && declares(body, "%.*s_Impl", (int)method.length, method.text);
}

static unsigned
tell(const struct scan *scan, struct word class, struct word method, bool is_message)
{
	struct adx_rule rule = { .fix = "" };

	(void)adx_rule_find("T39", &rule);
	if (is_message)
		fprintf(stderr, "%s:%u: [T39] %.*s::%.*s is defined here, but messages run %.*s::%.*s_Impl; %s\n", scan->path, scan->line,
			(int)class.length, class.text, (int)method.length, method.text, (int)class.length, class.text,
			(int)method.length, method.text, rule.fix);
	else
		fprintf(stderr, "%s:%u: [T39] an implementation of %.*s::%.*s is defined here, but the .iig of class %.*s does not declare "
			"%.*s: it is never called; %s\n", scan->path, scan->line, (int)class.length, class.text, (int)method.length,
			method.text, (int)class.length, class.text, (int)method.length, method.text, rule.fix);
	return 1;
}

/* name of a definition in class, without the suffix if it has one. */
static unsigned
check_member(const struct scan *scan, const char *headers, struct word class, struct word name)
{
	size_t suffix = strlen(SUFFIX);
	bool has_suffix = name.length > suffix && strncmp(name.text + name.length - suffix, SUFFIX, suffix) == 0;

	if (!is_class(headers, class))
		return 0;
	if (has_suffix)
		name.length -= suffix;
	if (has_suffix && !is_message(headers, class, name))
		return tell(scan, class, name, false);
	if (!has_suffix && is_message(headers, class, name))
		return tell(scan, class, name, true);
	return 0;
}

/* Class_method_Impl: where the class ends and the method begins is known from the classes only. */
static unsigned
check_function(const struct scan *scan, const char *headers, struct word name)
{
	size_t suffix = strlen(SUFFIX);
	struct word class = { 0 }, method = { 0 };

	if (name.length <= suffix || strncmp(name.text + name.length - suffix, SUFFIX, suffix) != 0 ||
	    declares(headers, "%.*s", (int)name.length, name.text))
		return 0;
	for (size_t i = 1; i + 1 < name.length - suffix; i++)
		if (name.text[i] == '_' && is_class(headers, (struct word){ name.text, i })) {
			class = (struct word){ name.text, i };
			method = (struct word){ name.text + i + 1, name.length - suffix - i - 1 };
		}
	return class.length ? tell(scan, class, method, false) : 0;
}

static unsigned
check_source(const char *path, const char *text, const char *headers)
{
	struct scan scan = { .path = path, .at = text, .line = 1, .line_start = true };
	struct word w[6]; /* the last ones, the newest first */
	bool is_static = false;
	unsigned n = 0;

	for (unsigned i = 0; i < 6; i++)
		w[i] = (struct word){ "", 0 };
	while (next(&scan)) {
		memmove(&w[1], &w[0], 5 * sizeof *w);
		w[0] = (struct word){ scan.token, scan.length };
		if (is(w[0], "static"))
			is_static = true;
		else if (is(w[0], ";") || is(w[0], "}"))
			is_static = false;
		if (is(w[0], "{") || is(w[0], "}"))
			brace(&scan, w[1], w[2]);
		if (scan.closed > 0)
			continue;
		if (is(w[0], "(") && is(w[2], "::"))
			n += check_member(&scan, headers, w[3], w[1]);
		else if (is(w[0], "(") && !is_static && is_word(*w[1].text))
			n += check_function(&scan, headers, w[1]);
		else if (is(w[0], ")") && is(w[5], "IMPL") && is_class(headers, w[3]) && !is_message(headers, w[3], w[1]))
			n += tell(&scan, w[3], w[1], false);
	}
	return n;
}

unsigned
declared_check(const char *path, const char *headers)
{
	adxi_cleanup(adxi_freep) char *text = read_text(path);

	return text ? check_source(path, text, headers) : 0;
}

char *
declared_read(char *const *paths, size_t n)
{
	char *all = strdup("");

	for (size_t i = 0; i < n && all; i++) {
		adxi_cleanup(adxi_freep) char *text = read_text(paths[i]);
		char *more = NULL;

		if (asprintf(&more, "%s\n%s", all, text ? text : "") < 0)
			more = NULL;
		free(all);
		all = more;
	}
	return all;
}
