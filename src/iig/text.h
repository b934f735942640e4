/* SPDX-License-Identifier: MIT */
#ifndef IIG_TEXT_H
#define IIG_TEXT_H

/**
 * @file text.h
 * @brief Memory and text of one run. iig is a short process: all of its strings and model nodes
 * live in one arena and end with it. Out of memory ends the process with a sentence.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena {
	struct arena_block *blocks; /* owned */
};

void *arena_alloc(struct arena *arena, size_t size); /* zeroed */
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void arena_fini(struct arena *arena);

struct buffer {
	char *text; /* owned; NUL-terminated when not NULL */
	size_t length, capacity;
};

void buffer_add(struct buffer *buffer, const char *text, size_t length);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void buffer_fini(struct buffer *buffer);

bool text_is_word(char c); /* of an identifier */
bool text_ends_with(const char *text, const char *suffix);
/** Part of @p path after its last slash. Borrowed from it. */
const char *text_basename(const char *path);

/** Append to a growing array in the arena: returns the zeroed new element. */
void *arena_push(struct arena *arena, void *items, size_t *count, size_t size);
#define ARENA_PUSH(arena, items, count)                                                            \
	((__typeof__(*(items)) *)arena_push((arena), &(items), &(count), sizeof *(items)))

#endif
