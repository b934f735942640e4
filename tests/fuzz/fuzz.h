/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

/**
 * @file fuzz.h
 * @brief What the fuzz targets share: bytes taken from the front of an input, and what may never be.
 *
 * A target is one file with LLVMFuzzerTestOneInput(). In build-fuzz (./run fuzz) libFuzzer calls it; in every other tree
 * replay.c does, once for each file of tests/fuzz/corpus/NAME.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/** A finding. Always compiled in. */
#define FUZZ_CHECK(expr)                                                                           \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #expr);         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fuzz {
	const uint8_t *at; /* borrowed */
	size_t left;
};

/** Up to @p size bytes; *ret_size says how many there were. */
static inline const uint8_t *
fuzz_bytes(struct fuzz *in, size_t size, size_t *ret_size)
{
	const uint8_t *bytes = in->at;

	*ret_size = size < in->left ? size : in->left;
	in->at += *ret_size;
	in->left -= *ret_size;
	return bytes;
}

/** Into @p to, zeros where the input ends. */
static inline void
fuzz_fill(struct fuzz *in, void *to, size_t size)
{
	const uint8_t *bytes;
	size_t n;

	bytes = fuzz_bytes(in, size, &n);
	if (n > 0)
		memcpy(to, bytes, n);
	memset((uint8_t *)to + n, 0, size - n);
}

#define FUZZ_NUMBER(type)                                                                          \
	static inline type##_t fuzz_##type(struct fuzz *in)                                        \
	{                                                                                          \
		type##_t value;                                                                    \
		fuzz_fill(in, &value, sizeof(value));                                              \
		return value;                                                                      \
	}
FUZZ_NUMBER(uint8)
FUZZ_NUMBER(uint16)
FUZZ_NUMBER(uint32)
FUZZ_NUMBER(uint64)
#undef FUZZ_NUMBER

/** One byte, below @p n. */
static inline unsigned
fuzz_below(struct fuzz *in, unsigned n)
{
	return fuzz_uint8(in) % n;
}

/** A length byte and so many bytes, in memory of their own with a NUL after them: free(). The bytes hold no NUL. */
static inline char *
fuzz_text(struct fuzz *in)
{
	const uint8_t *bytes;
	size_t n;
	char *text;

	bytes = fuzz_bytes(in, fuzz_uint8(in), &n);
	text = malloc(n + 1);
	FUZZ_CHECK(text);
	if (n > 0)
		memcpy(text, bytes, n);
	text[n] = '\0';
	return text;
}

/** Memory of exactly @p size bytes, so that a read past its end is seen: free(). */
static inline void *
fuzz_exact(const void *bytes, size_t size)
{
	void *copy = malloc(size > 0 ? size : 1);

	FUZZ_CHECK(copy);
	if (size > 0)
		memcpy(copy, bytes, size);
	return copy;
}

#endif /* TESTS_FUZZ_H */
