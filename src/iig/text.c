/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next; /* owned */
	size_t used, size;
	_Alignas(16) char data[];
};

enum { BLOCK_SIZE = 64 * 1024 };

static void
out_of_memory(void)
{
	fputs("iig: out of memory\n", stderr);
	exit(70);
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;

	size = (size + 15) & ~(size_t)15;
	if (block == NULL || block->size - block->used < size) {
		size_t wanted = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = malloc(sizeof *block + wanted);
		if (block == NULL)
			out_of_memory();
		block->next = arena->blocks;
		block->used = 0;
		block->size = wanted;
		arena->blocks = block;
	}
	void *memory = block->data + block->used;

	block->used += size;
	return memset(memory, 0, size);
}

char *
arena_strndup(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);

	memcpy(copy, text, length);
	return copy;
}

char *
arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
	va_list list, again;

	va_start(list, format);
	va_copy(again, list);
	int length = vsnprintf(NULL, 0, format, list);

	va_end(list);
	if (length < 0)
		out_of_memory();
	char *text = arena_alloc(arena, (size_t)length + 1);

	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

void
arena_fini(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
}

void *
arena_push(struct arena *arena, void *items, size_t *count, size_t size)
{
	void **array = items;

	/* Capacity is the next power of two: it grows when the count is one. */
	if ((*count & (*count - 1)) == 0) {
		size_t capacity = *count == 0 ? 1 : *count * 2;
		void *larger = arena_alloc(arena, capacity * size);

		if (*count != 0)
			memcpy(larger, *array, *count * size);
		*array = larger;
	}
	return (char *)*array + (*count)++ * size;
}

static void
buffer_reserve(struct buffer *buffer, size_t extra)
{
	if (buffer->capacity - buffer->length > extra)
		return;
	size_t capacity = (buffer->length + extra + 1) * 2;
	char *text = realloc(buffer->text, capacity);

	if (text == NULL)
		out_of_memory();
	buffer->text = text;
	buffer->capacity = capacity;
}

void
buffer_add(struct buffer *buffer, const char *text, size_t length)
{
	buffer_reserve(buffer, length);
	memcpy(buffer->text + buffer->length, text, length);
	buffer->length += length;
	buffer->text[buffer->length] = '\0';
}

void
buffer_puts(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, text, strlen(text));
}

void
buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list list, again;

	va_start(list, format);
	va_copy(again, list);
	int length = vsnprintf(NULL, 0, format, list);

	va_end(list);
	if (length < 0)
		out_of_memory();
	buffer_reserve(buffer, (size_t)length);
	vsnprintf(buffer->text + buffer->length, (size_t)length + 1, format, again);
	va_end(again);
	buffer->length += (size_t)length;
}

void
buffer_fini(struct buffer *buffer)
{
	free(buffer->text);
	*buffer = (struct buffer){0};
}

bool
text_is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

bool
text_ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), wanted = strlen(suffix);

	return length >= wanted && strcmp(text + length - wanted, suffix) == 0;
}

const char *
text_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}
