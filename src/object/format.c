/* SPDX-License-Identifier: MIT */
#include "object/format.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "object/containers.h"

enum { SPEC_MAX = 32, UUID_SIZE = 16 };

enum length {
	LENGTH_INT,
	LENGTH_CHAR,
	LENGTH_SHORT,
	LENGTH_LONG,
	LENGTH_LONG_LONG,
	LENGTH_SIZE,
	LENGTH_LONG_DOUBLE
};

/* One conversion: "%-*.3ld" is flags "-", width from the arguments, precision 3, long, 'd'. */
struct spec {
	char text[SPEC_MAX]; /* as printf gets it, with * */
	size_t len;
	const char *annotation; /* "{public,uuid_t}" in the format, or NULL; borrowed */
	size_t annotation_len;
	int precision; /* -1: none */
	int stars[2];
	unsigned n_stars;
	enum length length;
	char conversion; /* 0: the format ended or is too long */
};

static void
spec_add(struct spec *spec, char c)
{
	if (spec->len < sizeof spec->text - 2)
		spec->text[spec->len++] = c;
}

static const char *
parse_number(const char *at, struct spec *spec, int *ret_number, va_list *arguments)
{
	*ret_number = 0;
	if (*at == '*') {
		*ret_number = spec->stars[spec->n_stars++] = va_arg(*arguments, int);
		spec_add(spec, *at++);
		return at;
	}
	for (; *at >= '0' && *at <= '9'; at++) {
		if (*ret_number < 100000)
			*ret_number = *ret_number * 10 + (*at - '0');
		spec_add(spec, *at);
	}
	return at;
}

static const char *
parse_length(const char *at, struct spec *spec)
{
	static const struct {
		const char *text;
		enum length length;
	} lengths[] = {
		{ "hh", LENGTH_CHAR }, { "h", LENGTH_SHORT },     { "ll", LENGTH_LONG_LONG },
		{ "l", LENGTH_LONG },  { "q", LENGTH_LONG_LONG }, { "j", LENGTH_LONG_LONG },
		{ "z", LENGTH_SIZE },  { "t", LENGTH_SIZE },      { "L", LENGTH_LONG_DOUBLE },
	};
	size_t i, n;

	for (i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		n = strlen(lengths[i].text);
		if (strncmp(at, lengths[i].text, n))
			continue;
		spec->length = lengths[i].length;
		for (; n; n--)
			spec_add(spec, *at++);
		break;
	}
	return at;
}

/* After the '%'. */
static const char *
parse(const char *at, struct spec *spec, va_list *arguments)
{
	const char *end;
	int width;

	*spec = (struct spec){ .text = "%", .len = 1, .precision = -1 };
	if (*at == '{' && (end = strchr(at, '}'))) {
		spec->annotation = at;
		spec->annotation_len = (size_t)(end - at) + 1;
		at = end + 1;
	}
	while (*at && strchr("-+ #0", *at))
		spec_add(spec, *at++);
	at = parse_number(at, spec, &width, arguments);
	if (*at == '.') {
		spec_add(spec, *at++);
		at = parse_number(at, spec, &spec->precision, arguments);
	}
	at = parse_length(at, spec);
	if (spec->len < sizeof spec->text - 2 && *at) {
		spec->conversion = *at;
		spec_add(spec, *at++);
	}
	return at;
}

/* Whether the annotation has @p word between '{', ',', ' ' and '}'. */
static bool
is_annotated(const struct spec *spec, const char *word)
{
	const char *at = spec->annotation;
	size_t n = strlen(word), len;

	for (; at && at < spec->annotation + spec->annotation_len; at += len + 1) {
		len = strcspn(at, "{, }");
		if (len == n && !strncmp(at, word, n))
			return true;
	}
	return false;
}

/* The stars' values come before the converted one. */
#define PRINT(value)                                                                               \
	(spec->n_stars == 0 ? adxi_buf_printf(buf, spec->text, (value))                            \
	 : spec->n_stars == 1                                                                      \
		 ? adxi_buf_printf(buf, spec->text, spec->stars[0], (value))                       \
		 : adxi_buf_printf(buf, spec->text, spec->stars[0], spec->stars[1], (value)))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the point of this file */
static int
put_integer(struct adxi_buf *buf, const struct spec *spec, va_list *arguments)
{
	int value;

	switch (spec->length) {
	case LENGTH_LONG:
		return PRINT(va_arg(*arguments, long));
	case LENGTH_LONG_LONG:
		return PRINT(va_arg(*arguments, long long));
	case LENGTH_SIZE:
		return PRINT(va_arg(*arguments, size_t));
	default:
		value = va_arg(*arguments, int);
		if (is_annotated(spec, "bool"))
			return adxi_buf_append_string(buf, value ? "true" : "false");
		if (is_annotated(spec, "BOOL"))
			return adxi_buf_append_string(buf, value ? "YES" : "NO");
		if (is_annotated(spec, "errno") || is_annotated(spec, "darwin.errno"))
			return adxi_buf_printf(buf, "[%d: %s]", value, strerror(value));
		return PRINT(value);
	}
}

/* %.16P: as many bytes as the precision says. */
static int
put_bytes(struct adxi_buf *buf, const struct spec *spec, const uint8_t *bytes)
{
	bool is_uuid = is_annotated(spec, "uuid_t");
	int i, size = spec->precision >= 0 ? spec->precision : is_uuid ? UUID_SIZE : 0;

	if (!bytes)
		return adxi_buf_append_string(buf, "(null)");
	if (is_uuid && size == UUID_SIZE) {
		for (i = 0; i < size; i++)
			(void)adxi_buf_printf(
				buf, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02X" : "%02X",
				bytes[i]);
		return adxi_buf_error(buf);
	}
	(void)adxi_buf_append_byte(buf, '<');
	for (i = 0; i < size; i++)
		(void)adxi_buf_printf(buf, "%02x", bytes[i]);
	return adxi_buf_append_byte(buf, '>');
}

static int
put_object(struct adxi_buf *buf, const void *object)
{
	const char *text = adxi_string_text(object);

	return text ? adxi_buf_append_string(buf, text) : adxi_object_describe(object, buf);
}

static int
put_text(struct adxi_buf *buf, const struct spec *spec, const char *text)
{
	return PRINT(text ? text : "(null)");
}

/* @return 1: not a conversion that is known here */
static int
put(struct adxi_buf *buf, const struct spec *spec, int error, va_list *arguments)
{
	switch (spec->conversion) {
	case '%':
		return adxi_buf_append_byte(buf, '%');
	case '@':
		return put_object(buf, va_arg(*arguments, const void *));
	case 's':
		return spec->length == LENGTH_INT
			       ? put_text(buf, spec, va_arg(*arguments, const char *))
			       : 1;
	case 'm':
		return adxi_buf_append_string(buf, strerror(error));
	case 'P':
		return put_bytes(buf, spec, va_arg(*arguments, const uint8_t *));
	case 'p':
		return PRINT(va_arg(*arguments, void *));
	case 'd':
	case 'i':
	case 'u':
	case 'x':
	case 'X':
	case 'o':
	case 'c':
		return put_integer(buf, spec, arguments);
	case 'a':
	case 'A':
	case 'e':
	case 'E':
	case 'f':
	case 'F':
	case 'g':
	case 'G':
		if (spec->length == LENGTH_LONG_DOUBLE)
			return PRINT(va_arg(*arguments, long double));
		return PRINT(va_arg(*arguments, double));
	default:
		return 1;
	}
}
#pragma GCC diagnostic pop

int
adxi_format(struct adxi_buf *buf, const char *format, va_list arguments)
{
	int r = 0, error = errno;
	va_list rest;

	va_copy(rest, arguments);
	while (*format && r == 0) {
		size_t plain = strcspn(format, "%");
		struct spec spec;

		r = adxi_buf_append(buf, format, plain);
		format += plain;
		if (r < 0 || !*format)
			break;
		format = parse(format + 1, &spec, &rest);
		r = put(buf, &spec, error, &rest);
	}
	va_end(rest);
	return adxi_buf_error(buf);
}
