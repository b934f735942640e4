/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_SMALLEST = 64 };

void
adxi_buf_done(struct adxi_buf *buf)
{
	if (!buf)
		return;
	free(buf->data);
	*buf = (struct adxi_buf){.limit = buf->limit};
}

int
adxi_buf_error(const struct adxi_buf *buf)
{
	return buf->error;
}

int
adxi_buf_reserve(struct adxi_buf *buf, size_t extra)
{
	size_t capacity, wanted;
	uint8_t *data;

	if (buf->error)
		return buf->error;
	if (extra > SIZE_MAX / 2 - buf->len)
		return buf->error = -ENOMEM;
	wanted = buf->len + extra;
	if (buf->limit && wanted > buf->limit)
		return buf->error = -EMSGSIZE;
	if (wanted < buf->capacity)
		return 0;

	capacity = buf->capacity ? buf->capacity : BUF_SMALLEST;
	while (capacity <= wanted) /* one more, for the NUL */
		capacity *= 2;
	data = realloc(buf->data, capacity);
	if (!data)
		return buf->error = -ENOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

int
adxi_buf_append(struct adxi_buf *buf, const void *data, size_t len)
{
	int r;

	r = adxi_buf_reserve(buf, len);
	if (r < 0)
		return r;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int
adxi_buf_append_byte(struct adxi_buf *buf, uint8_t byte)
{
	return adxi_buf_append(buf, &byte, 1);
}

int
adxi_buf_append_string(struct adxi_buf *buf, const char *string)
{
	return adxi_buf_append(buf, string, strlen(string));
}

int
adxi_buf_vprintf(struct adxi_buf *buf, const char *fmt, va_list ap)
{
	va_list again;
	int len, r;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0)
		return buf->error = -ENOMEM;
	r = adxi_buf_reserve(buf, (size_t)len);
	if (r < 0)
		return r;
	(void)vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, ap); /* length known */
	buf->len += (size_t)len;
	return 0;
}

int
adxi_buf_printf(struct adxi_buf *buf, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = adxi_buf_vprintf(buf, fmt, ap);
	va_end(ap);
	return r;
}

const char *
adxi_buf_text(const struct adxi_buf *buf)
{
	return buf->data ? (const char *)buf->data : "";
}

char *
adxi_buf_take(struct adxi_buf *buf, size_t *ret_len)
{
	char *data;

	if (adxi_buf_append(buf, NULL, 0) < 0) {
		adxi_buf_done(buf);
		return NULL;
	}
	data = (char *)buf->data;
	if (ret_len)
		*ret_len = buf->len;
	buf->data = NULL;
	adxi_buf_done(buf);
	return data;
}
