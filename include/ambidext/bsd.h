/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_BSD_H
#define AMBIDEXT_BSD_H

/** @file ambidext/bsd.h
 *  @brief Functions of libc that drivers take for granted, where this libc has none. */

#include <stddef.h>
#include <string.h>

/* In strict C11 mode glibc hides its own; then these are used as well. */
#if defined(__GLIBC__) && defined(_DEFAULT_SOURCE) && \
	(__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 38))
#define ADX_HAVE_STRLCPY 1
#endif

#ifndef ADX_HAVE_STRLCPY

/** Copies what fits, always with a NUL if size is not 0. Returns the length of source. */
static inline size_t
strlcpy(char *target, const char *source, size_t size)
{
	size_t length = strlen(source);

	if (size != 0) {
		size_t n = length < size ? length : size - 1;

		memcpy(target, source, n);
		target[n] = '\0';
	}
	return length;
}

/** Appends what fits. Returns the length that was tried to make. */
static inline size_t
strlcat(char *target, const char *source, size_t size)
{
	const char *end = (const char *)memchr(target, '\0', size);
	size_t used = end != NULL ? (size_t)(end - target) : size;

	return used + strlcpy(target + used, source, size - used);
}

#endif /* ADX_HAVE_STRLCPY */

#endif /* AMBIDEXT_BSD_H */
