/* SPDX-License-Identifier: MIT */
/* Property values as text. */

#include <stdlib.h>
#include <string.h>

#include "ioreg/ioreg.h"

const char *
ioreg_text(CFTypeRef string)
{
	const char *text = NULL;

	if (string && CFGetTypeID(string) == CFStringGetTypeID())
		text = CFStringGetCStringPtr(string, kCFStringEncodingUTF8);
	return text ? text : "";
}

CFTypeRef
ioreg_get(CFDictionaryRef dictionary, const char *key)
{
	CFStringRef name = CFStringCreateWithCString(NULL, key, kCFStringEncodingUTF8);
	CFTypeRef value = name ? CFDictionaryGetValue(dictionary, name) : NULL;

	if (name)
		CFRelease(name);
	return value;
}

long long
ioreg_number(CFDictionaryRef dictionary, const char *key)
{
	CFTypeRef number = ioreg_get(dictionary, key);
	long long value = 0;

	if (number && CFGetTypeID(number) == CFNumberGetTypeID())
		(void)CFNumberGetValue(number, kCFNumberSInt64Type, &value);
	return value;
}

bool
ioreg_flag(CFDictionaryRef dictionary, const char *key)
{
	CFTypeRef flag = ioreg_get(dictionary, key);

	return flag && CFGetTypeID(flag) == CFBooleanGetTypeID() && CFBooleanGetValue(flag);
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(ioreg_text(*(const CFStringRef *)a), ioreg_text(*(const CFStringRef *)b));
}

CFStringRef *
ioreg_sorted_keys(CFDictionaryRef dictionary, size_t *ret_n)
{
	size_t n = (size_t)CFDictionaryGetCount(dictionary);
	CFStringRef *keys = n ? calloc(n, sizeof *keys) : NULL;

	*ret_n = keys ? n : 0;
	if (!keys)
		return NULL;
	CFDictionaryGetKeysAndValues(dictionary, (const void **)keys, NULL);
	qsort(keys, n, sizeof *keys, compare_keys);
	return keys;
}

/* Quotes and what would move the cursor are escaped. */
static void
string_value(struct adxi_buf *buf, const char *text)
{
	adxi_buf_append_byte(buf, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			adxi_buf_append_byte(buf, '\\');
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			adxi_buf_printf(buf, "\\x%02x", (unsigned char)*text);
		else
			adxi_buf_append_byte(buf, (uint8_t)*text);
	}
	adxi_buf_append_byte(buf, '"');
}

static void
data_value(struct adxi_buf *buf, CFDataRef data)
{
	const UInt8 *bytes = CFDataGetBytePtr(data);
	CFIndex i, n = CFDataGetLength(data);

	adxi_buf_append_byte(buf, '<');
	for (i = 0; i < n; i++)
		adxi_buf_printf(buf, "%02x", bytes[i]);
	adxi_buf_append_byte(buf, '>');
}

static void
dictionary_value(struct adxi_buf *buf, CFDictionaryRef dictionary, bool hex)
{
	CFStringRef *keys;
	size_t i, n;

	keys = ioreg_sorted_keys(dictionary, &n);
	adxi_buf_append_byte(buf, '{');
	for (i = 0; i < n; i++) {
		if (i)
			adxi_buf_append_byte(buf, ',');
		string_value(buf, ioreg_text(keys[i]));
		adxi_buf_append_byte(buf, '=');
		ioreg_value(buf, CFDictionaryGetValue(dictionary, keys[i]), hex);
	}
	adxi_buf_append_byte(buf, '}');
	free(keys);
}

static void
members(struct adxi_buf *buf, const void **values, CFIndex n, const char *brackets, bool hex)
{
	CFIndex i;

	adxi_buf_append_byte(buf, (uint8_t)brackets[0]);
	for (i = 0; i < n; i++) {
		if (i)
			adxi_buf_append_byte(buf, ',');
		ioreg_value(buf, values[i], hex);
	}
	adxi_buf_append_byte(buf, (uint8_t)brackets[1]);
}

static void
collection_value(struct adxi_buf *buf, CFTypeRef value, bool hex)
{
	bool is_set = CFGetTypeID(value) == CFSetGetTypeID();
	CFIndex i, n = is_set ? CFSetGetCount(value) : CFArrayGetCount(value);
	const void **values = calloc((size_t)n + 1, sizeof *values);

	if (!values)
		return;
	if (is_set)
		CFSetGetValues(value, values);
	else
		for (i = 0; i < n; i++)
			values[i] = CFArrayGetValueAtIndex(value, i);
	members(buf, values, n, is_set ? "[]" : "()", hex);
	free(values);
}

void
ioreg_value(struct adxi_buf *buf, CFTypeRef value, bool hex)
{
	CFTypeID type = value ? CFGetTypeID(value) : 0;
	long long number = 0;

	if (!value) {
		adxi_buf_append_string(buf, "?");
	} else if (type == CFStringGetTypeID()) {
		string_value(buf, ioreg_text(value));
	} else if (type == CFNumberGetTypeID()) {
		(void)CFNumberGetValue(value, kCFNumberSInt64Type, &number);
		adxi_buf_printf(buf, hex ? "0x%llx" : "%llu", (unsigned long long)number);
	} else if (type == CFBooleanGetTypeID()) {
		adxi_buf_append_string(buf, CFBooleanGetValue(value) ? "Yes" : "No");
	} else if (type == CFDataGetTypeID()) {
		data_value(buf, value);
	} else if (type == CFDictionaryGetTypeID()) {
		dictionary_value(buf, value, hex);
	} else if (type == CFArrayGetTypeID() || type == CFSetGetTypeID()) {
		collection_value(buf, value, hex);
	} else {
		adxi_buf_append_string(buf, "<object>");
	}
}
