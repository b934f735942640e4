/* SPDX-License-Identifier: MIT */
#include "corefoundation/format.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "object/containers.h"

enum { SPEC_MAX = 32 };

enum length { LENGTH_INT, LENGTH_CHAR, LENGTH_SHORT, LENGTH_LONG, LENGTH_LONG_LONG, LENGTH_SIZE, LENGTH_LONG_DOUBLE };

/* One conversion: "%-*.3ld" is flags "-", width from the arguments, precision 3, long, 'd'. */
struct spec {
	char text[SPEC_MAX]; /* as printf gets it, with * */
	size_t len;
	int stars[2];
	unsigned n_stars;
	enum length length;
	char conversion;     /* 0: the format ended or is too long */
};

static void
spec_add(struct spec *spec, char c)
{
	if (spec->len < sizeof spec->text - 2)
		spec->text[spec->len++] = c;
}

static const char *
parse_number(const char *at, struct spec *spec, va_list *arguments)
{
	if (*at == '*') {
		spec->stars[spec->n_stars++] = va_arg(*arguments, int);
		spec_add(spec, *at++);
	}
	while (*at >= '0' && *at <= '9')
		spec_add(spec, *at++);
	return at;
}

static const char *
parse_length(const char *at, struct spec *spec)
{
	static const struct {
		const char *text;
		enum length length;
	} lengths[] = {
		{ "hh", LENGTH_CHAR }, { "h", LENGTH_SHORT }, { "ll", LENGTH_LONG_LONG },
		{ "l", LENGTH_LONG },  { "q", LENGTH_LONG_LONG }, { "j", LENGTH_LONG_LONG },
		{ "z", LENGTH_SIZE },  { "t", LENGTH_SIZE },	  { "L", LENGTH_LONG_DOUBLE },
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
	*spec = (struct spec){ .text = "%", .len = 1 };
	while (*at && strchr("-+ #0", *at))
		spec_add(spec, *at++);
	at = parse_number(at, spec, arguments);
	if (*at == '.') {
		spec_add(spec, *at++);
		at = parse_number(at, spec, arguments);
	}
	at = parse_length(at, spec);
	if (spec->len < sizeof spec->text - 2 && *at) {
		spec->conversion = *at;
		spec_add(spec, *at++);
	}
	return at;
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
	switch (spec->length) {
	case LENGTH_LONG:
		return PRINT(va_arg(*arguments, long));
	case LENGTH_LONG_LONG:
		return PRINT(va_arg(*arguments, long long));
	case LENGTH_SIZE:
		return PRINT(va_arg(*arguments, size_t));
	default:
		return PRINT(va_arg(*arguments, int));
	}
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
put(struct adxi_buf *buf, const struct spec *spec, va_list *arguments)
{
	switch (spec->conversion) {
	case '%':
		return adxi_buf_append_byte(buf, '%');
	case '@':
		return put_object(buf, va_arg(*arguments, const void *));
	case 's':
		return spec->length == LENGTH_INT ? put_text(buf, spec, va_arg(*arguments, const char *))
						  : 1;
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
adxi_cf_format(struct adxi_buf *buf, const char *format, va_list arguments)
{
	va_list rest;
	int r = 0;

	va_copy(rest, arguments);
	while (*format && r == 0) {
		size_t plain = strcspn(format, "%");
		struct spec spec;

		r = adxi_buf_append(buf, format, plain);
		format += plain;
		if (r < 0 || !*format)
			break;
		format = parse(format + 1, &spec, &rest);
		r = put(buf, &spec, &rest);
	}
	va_end(rest);
	return adxi_buf_error(buf);
}
