/* SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H

/**
 * @file base/buf.h
 * @brief Growable bytes. Zeroed storage is an empty buffer.
 *
 * Once an allocation failed the buffer stays failed: writers need not check each append, only
 * adxi_buf_error() at the end.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct adxi_buf {
	uint8_t *
		data; /* owned; len bytes, and a NUL that is not counted once anything was put in */
	size_t len;
	size_t capacity;
	size_t limit; /* appends that would exceed it fail with -EMSGSIZE; 0: none */
	int error;    /* 0, -ENOMEM, -EMSGSIZE */
};

/** Free the storage; the buffer is empty and good again (limit kept). NULL is allowed. */
void adxi_buf_done(struct adxi_buf *buf);
/** 0, or why an append failed. */
int adxi_buf_error(const struct adxi_buf *buf);

/** All: 0, -ENOMEM, -EMSGSIZE. */
int adxi_buf_reserve(struct adxi_buf *buf, size_t extra);
int adxi_buf_append(struct adxi_buf *buf, const void *data, size_t len);
int adxi_buf_append_byte(struct adxi_buf *buf, uint8_t byte);
int adxi_buf_append_string(struct adxi_buf *buf, const char *string);
int adxi_buf_printf(struct adxi_buf *buf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int adxi_buf_vprintf(struct adxi_buf *buf, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/** Text so far, NUL-terminated, borrowed until the next append. "" when empty. */
const char *adxi_buf_text(const struct adxi_buf *buf);
/** Move the bytes out: malloc'd and NUL-terminated, the caller frees. NULL if failed; empty
 * afterwards. */
char *adxi_buf_take(struct adxi_buf *buf, size_t *ret_len);

#endif /* BASE_BUF_H */
