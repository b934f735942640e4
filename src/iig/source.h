/* SPDX-License-Identifier: MIT */
#ifndef IIG_SOURCE_H
#define IIG_SOURCE_H

/** @file source.h
 *  @brief .iig files as text: reading, include directives, attribute words, parameter lists. */

#include "model.h"

struct source {
	const char *path;   /* as clang names it */
	const char *text;   /* as read */
	const char *masked; /* what clang parses: same length, KERNEL in #if lines masked */
	size_t length;
	bool in_framework; /* reached through <…>, or --framework-name is given */
};

struct sources {
	struct source *items;
	size_t count;
};

/** Read @p options->def and every .iig that it includes, as far as they can be found. False: the
 * main file cannot be read (told in @p model->diags). */
bool sources_load(struct model *model, const struct options *options, struct sources *ret);
const struct source *sources_find(const struct sources *sources, const char *path);

/** Word at @p text if it is one of the language: flags, its length with IIG_, whether it takes (…).
 * 0: no. */
unsigned word_at(const char *text, size_t length, bool *ret_argument);
/** -D options that make clang see the words as annotations. */
void words_define(struct arena *arena, const char ***args, size_t *count);
/** Flags for an annotation's text, @p ret_value what stood in its (…). 0: not ours. */
unsigned word_of_annotation(const char *annotation, const char **ret_value);

/** @p text without attribute words and comments, blanks made single (not inside of {…} when @p
 * keep). */
char *text_strip(struct arena *arena, const char *text, size_t length, bool keep);
/** Index past the closing partner of the bracket at @p at; @p length when there is none. */
size_t text_match(const char *text, size_t length, size_t at);
/** Index past a comment, string or character that begins at @p at, or @p at when none does. */
size_t text_skip(const char *text, size_t length, size_t at);

/** Text for the header: #include <F/X.iig> made .h, __IIG in #if made 0. */
void text_pass(struct buffer *out, const char *text, size_t length);
/** What stands in @iig implementation … @iig end comments. */
void text_implementation(struct buffer *out, const char *text, size_t length);

#endif
