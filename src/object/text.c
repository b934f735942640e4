/* SPDX-License-Identifier: MIT */
/* Objects as text: one line, JSON, XML property list. */

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "object/containers.h"

enum { TEXT_MAX_DEPTH = 64 };

/* Width of the character at @p p in UTF-8; 0: none such. */
static size_t
utf8_width(const uint8_t *p, size_t left)
{
	static const struct {
		uint8_t mask, bits;
		uint32_t smallest;
	} forms[] = {
		{0x80, 0x00, 0},
		{0xe0, 0xc0, 0x80},
		{0xf0, 0xe0, 0x800},
		{0xf8, 0xf0, 0x10000},
	};
	uint32_t value;
	size_t i, k;

	for (i = 0; i < 4; i++) {
		if ((p[0] & forms[i].mask) != forms[i].bits || i >= left)
			continue;
		value = p[0] & (uint8_t)~forms[i].mask;
		for (k = 1; k <= i; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (p[k] & 0x3f);
		}
		if (value < forms[i].smallest || value > 0x10ffff ||
		    (value >= 0xd800 && value < 0xe000))
			return 0;
		return i + 1;
	}
	return 0;
}

static void
put_base64(const uint8_t *bytes, size_t len, struct adxi_buf *buf)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < len; i += 3) {
		uint32_t group = (uint32_t)bytes[i] << 16;
		char text[4];

		if (i + 1 < len)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < len)
			group |= bytes[i + 2];
		text[0] = digits[group >> 18];
		text[1] = digits[group >> 12 & 63];
		text[2] = i + 1 < len ? digits[group >> 6 & 63] : '=';
		text[3] = i + 2 < len ? digits[group & 63] : '=';
		(void)adxi_buf_append(buf, text, sizeof text);
	}
}

/* Numbers as people read them: unsigned in their own width; CF's reals with a point. */
static void
put_number(const OSNumber *number, struct adxi_buf *buf, bool json)
{
	double real = adxi_number_double(number);

	if (!adxi_number_is_real(number))
		(void)adxi_buf_printf(buf, "%" PRIu64, OSNumber_unsigned64BitValue(number));
	else if (json && !isfinite(real))
		(void)adxi_buf_append_string(buf, "null");
	else
		(void)adxi_buf_printf(buf, "%.17g", real);
}

/* ---------------------------------------------------------------------------------------------
 * One line
 */

static void
describe_string(const char *text, size_t len, struct adxi_buf *buf)
{
	size_t i;

	(void)adxi_buf_append_byte(buf, '"');
	for (i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c == '"' || c == '\\')
			(void)adxi_buf_printf(buf, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			(void)adxi_buf_printf(buf, "\\x%02x", c);
		else
			(void)adxi_buf_append_byte(buf, c);
	}
	(void)adxi_buf_append_byte(buf, '"');
}

static void
describe(const void *object, struct adxi_buf *buf, unsigned depth)
{
	uint32_t i;

	if (!object) {
		(void)adxi_buf_append_string(buf, "NULL");
	} else if (depth == TEXT_MAX_DEPTH) {
		(void)adxi_buf_append_string(buf, "...");
	} else if (OSDynamicCast(OSString, object)) {
		describe_string(OSString_getCStringNoCopy(object), OSString_getLength(object), buf);
	} else if (OSDynamicCast(OSNumber, object)) {
		put_number(object, buf, false);
	} else if (OSDynamicCast(OSBoolean, object)) {
		(void)adxi_buf_append_string(buf, OSBoolean_getValue(object) ? "Yes" : "No");
	} else if (OSDynamicCast(OSData, object)) {
		const uint8_t *bytes = OSData_getBytesNoCopy(object);
		size_t k, len = OSData_getLength(object);

		(void)adxi_buf_append_byte(buf, '<');
		for (k = 0; k < len && !adxi_buf_error(buf); k++)
			(void)adxi_buf_printf(buf, "%02x", bytes[k]);
		(void)adxi_buf_append_byte(buf, '>');
	} else if (OSDynamicCast(OSDictionary, object)) {
		(void)adxi_buf_append_byte(buf, '{');
		for (i = 0; i < adxi_dict_count(object) && !adxi_buf_error(buf); i++) {
			OSObject *value = NULL;
			const OSObject *key = adxi_dict_pair(object, i, &value);

			if (i)
				(void)adxi_buf_append_byte(buf, ',');
			describe(key, buf, depth + 1);
			(void)adxi_buf_append_byte(buf, '=');
			describe(value, buf, depth + 1);
		}
		(void)adxi_buf_append_byte(buf, '}');
	} else if (OSDynamicCast(OSArray, object)) {
		bool set = OSDynamicCast(OSSet, object) != NULL;

		(void)adxi_buf_append_byte(buf, set ? '[' : '(');
		for (i = 0; i < adxi_array_count(object) && !adxi_buf_error(buf); i++) {
			if (i)
				(void)adxi_buf_append_byte(buf, ',');
			describe(adxi_array_get(object, i), buf, depth + 1);
		}
		(void)adxi_buf_append_byte(buf, set ? ']' : ')');
	} else {
		(void)adxi_buf_printf(buf, "<%s %p>", adxi_class_name(object), object);
	}
}

int
adxi_object_describe(const void *object, struct adxi_buf *buf)
{
	describe(object, buf, 0);
	return adxi_buf_error(buf);
}

/* ---------------------------------------------------------------------------------------------
 * JSON
 */

void
adxi_text_harmless(char *to, const char *text, size_t len, const char *but, char instead)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t at = 0, width;

	while (at < len) {
		width = utf8_width(p + at, len - at);
		/* C0, DEL, and C1, which is two bytes: terminals take all three for commands. */
		if (width == 0 || (width == 1 && (p[at] < 0x20 || p[at] == 0x7f) && (!p[at] || !strchr(but, p[at]))) ||
		    (width == 2 && p[at] == 0xc2 && p[at + 1] < 0xa0)) {
			width = width ? width : 1;
			memset(to + at, instead, width);
		} else {
			memcpy(to + at, p + at, width);
		}
		at += width;
	}
	to[len] = '\0';
}

int
adxi_json_string(const char *text, size_t len, struct adxi_buf *buf)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t width;

	(void)adxi_buf_append_byte(buf, '"');
	while (len && !adxi_buf_error(buf)) {
		width = utf8_width(p, len);
		if (!width)
			(void)adxi_buf_append_string(buf, "\\ufffd");
		else if (*p == '"' || *p == '\\')
			(void)adxi_buf_printf(buf, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			(void)adxi_buf_printf(buf, "\\u%04x", *p);
		else
			(void)adxi_buf_append(buf, p, width);
		width = width ? width : 1;
		p += width;
		len -= width;
	}
	return adxi_buf_append_byte(buf, '"');
}

static void
json_break(struct adxi_buf *buf, unsigned indent, unsigned depth)
{
	if (!indent)
		return;
	(void)adxi_buf_append_byte(buf, '\n');
	(void)adxi_buf_printf(buf, "%*s", (int)(indent * depth), "");
}

static void json_value(const void *object, struct adxi_buf *buf, unsigned indent, unsigned depth);

static void
json_dictionary(const OSDictionary *dict, struct adxi_buf *buf, unsigned indent, unsigned depth)
{
	uint32_t i, count = adxi_dict_count(dict);

	(void)adxi_buf_append_byte(buf, '{');
	for (i = 0; i < count && !adxi_buf_error(buf); i++) {
		OSObject *value = NULL;
		const OSObject *key = adxi_dict_pair(dict, i, &value);
		const char *text = adxi_string_text(key);
		struct adxi_buf described = {0};

		if (i)
			(void)adxi_buf_append_byte(buf, ',');
		json_break(buf, indent, depth + 1);
		if (!text) {
			describe(key, &described, depth + 1);
			text = adxi_buf_text(&described);
		}
		(void)adxi_json_string(text, strlen(text), buf);
		adxi_buf_done(&described);
		(void)adxi_buf_append_string(buf, indent ? ": " : ":");
		json_value(value, buf, indent, depth + 1);
	}
	if (count)
		json_break(buf, indent, depth);
	(void)adxi_buf_append_byte(buf, '}');
}

static void
json_array(const OSArray *array, struct adxi_buf *buf, unsigned indent, unsigned depth)
{
	uint32_t i, count = adxi_array_count(array);

	(void)adxi_buf_append_byte(buf, '[');
	for (i = 0; i < count && !adxi_buf_error(buf); i++) {
		if (i)
			(void)adxi_buf_append_byte(buf, ',');
		json_break(buf, indent, depth + 1);
		json_value(adxi_array_get(array, i), buf, indent, depth + 1);
	}
	if (count)
		json_break(buf, indent, depth);
	(void)adxi_buf_append_byte(buf, ']');
}

static void
json_value(const void *object, struct adxi_buf *buf, unsigned indent, unsigned depth)
{
	if (!object) {
		(void)adxi_buf_append_string(buf, "null");
	} else if (depth == TEXT_MAX_DEPTH) {
		(void)adxi_buf_append_string(buf, "\"...\"");
	} else if (OSDynamicCast(OSString, object)) {
		(void)adxi_json_string(OSString_getCStringNoCopy(object),
				       OSString_getLength(object), buf);
	} else if (OSDynamicCast(OSNumber, object)) {
		put_number(object, buf, true);
	} else if (OSDynamicCast(OSBoolean, object)) {
		(void)adxi_buf_append_string(buf, OSBoolean_getValue(object) ? "true" : "false");
	} else if (OSDynamicCast(OSData, object)) {
		(void)adxi_buf_append_string(buf, "\"base64:");
		put_base64(OSData_getBytesNoCopy(object), OSData_getLength(object), buf);
		(void)adxi_buf_append_byte(buf, '"');
	} else if (OSDynamicCast(OSDictionary, object)) {
		json_dictionary(object, buf, indent, depth);
	} else if (OSDynamicCast(OSArray, object)) {
		json_array(object, buf, indent, depth);
	} else {
		(void)adxi_buf_printf(buf, "\"<%s>\"", adxi_class_name(object));
	}
}

int
adxi_object_json(const void *object, struct adxi_buf *buf, unsigned indent)
{
	json_value(object, buf, indent, 0);
	return adxi_buf_error(buf);
}

/* ---------------------------------------------------------------------------------------------
 * XML property list
 */

static void
plist_text(const char *element, const char *text, size_t len, struct adxi_buf *buf)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t width;

	(void)adxi_buf_printf(buf, "<%s>", element);
	while (len && !adxi_buf_error(buf)) {
		width = utf8_width(p, len);
		if (!width || (*p < 0x20 && *p != '\t' && *p != '\n' && *p != '\r'))
			(void)adxi_buf_append_string(buf, "\xef\xbf\xbd");
		else if (*p == '<')
			(void)adxi_buf_append_string(buf, "&lt;");
		else if (*p == '>')
			(void)adxi_buf_append_string(buf, "&gt;");
		else if (*p == '&')
			(void)adxi_buf_append_string(buf, "&amp;");
		else
			(void)adxi_buf_append(buf, p, width);
		width = width ? width : 1;
		p += width;
		len -= width;
	}
	(void)adxi_buf_printf(buf, "</%s>\n", element);
}

static void
plist_indent(struct adxi_buf *buf, unsigned depth)
{
	while (depth--)
		(void)adxi_buf_append_byte(buf, '\t');
}

static int plist_value(const void *object, struct adxi_buf *buf, unsigned depth);

static int
plist_dictionary(const OSDictionary *dict, struct adxi_buf *buf, unsigned depth)
{
	uint32_t i;
	int r = 0;

	if (!adxi_dict_count(dict))
		return adxi_buf_append_string(buf, "<dict/>\n");
	(void)adxi_buf_append_string(buf, "<dict>\n");
	for (i = 0; r == 0 && i < adxi_dict_count(dict); i++) {
		OSObject *value = NULL;
		const OSObject *key = adxi_dict_pair(dict, i, &value);
		const char *text = adxi_string_text(key);

		if (!text)
			return -EINVAL;
		plist_indent(buf, depth + 1);
		plist_text("key", text, strlen(text), buf);
		r = plist_value(value, buf, depth + 1);
	}
	plist_indent(buf, depth);
	(void)adxi_buf_append_string(buf, "</dict>\n");
	return r;
}

static int
plist_array(const OSArray *array, struct adxi_buf *buf, unsigned depth)
{
	uint32_t i;
	int r = 0;

	if (!adxi_array_count(array))
		return adxi_buf_append_string(buf, "<array/>\n");
	(void)adxi_buf_append_string(buf, "<array>\n");
	for (i = 0; r == 0 && i < adxi_array_count(array); i++)
		r = plist_value(adxi_array_get(array, i), buf, depth + 1);
	plist_indent(buf, depth);
	(void)adxi_buf_append_string(buf, "</array>\n");
	return r;
}

static int
plist_value(const void *object, struct adxi_buf *buf, unsigned depth)
{
	if (depth == TEXT_MAX_DEPTH)
		return -EINVAL;
	plist_indent(buf, depth);
	if (OSDynamicCast(OSString, object)) {
		plist_text("string", OSString_getCStringNoCopy(object), OSString_getLength(object),
			   buf);
	} else if (OSDynamicCast(OSNumber, object)) {
		const char *element = adxi_number_is_real(object) ? "real" : "integer";

		(void)adxi_buf_printf(buf, "<%s>", element);
		put_number(object, buf, false);
		(void)adxi_buf_printf(buf, "</%s>\n", element);
	} else if (OSDynamicCast(OSBoolean, object)) {
		(void)adxi_buf_append_string(buf, OSBoolean_getValue(object) ? "<true/>\n"
									     : "<false/>\n");
	} else if (OSDynamicCast(OSData, object)) {
		(void)adxi_buf_append_string(buf, "<data>");
		put_base64(OSData_getBytesNoCopy(object), OSData_getLength(object), buf);
		(void)adxi_buf_append_string(buf, "</data>\n");
	} else if (OSDynamicCast(OSDictionary, object)) {
		return plist_dictionary(object, buf, depth);
	} else if (OSDynamicCast(OSArray, object)) {
		return plist_array(object, buf, depth);
	} else {
		return -EINVAL;
	}
	return 0;
}

int
adxi_object_plist(const void *object, struct adxi_buf *buf)
{
	int r;

	(void)adxi_buf_append_string(buf, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
					  "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
					  "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
					  "<plist version=\"1.0\">\n");
	r = plist_value(object, buf, 0);
	if (r < 0)
		return r;
	(void)adxi_buf_append_string(buf, "</plist>\n");
	return adxi_buf_error(buf);
}
