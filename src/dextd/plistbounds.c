/* SPDX-License-Identifier: MIT */
#include "dextd/plistbounds.h"

#include <stdbool.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------
 * Binary: header, objects, table of offsets, trailer of 32 bytes. What is malformed is left to libplist, which refuses it.
 */

struct binary {
	const uint8_t *bytes;
	size_t size;
	uint64_t n_objects, table;
	unsigned offset_size, reference_size;
	unsigned n_values; /* so far */
	const char *excess;
};

static uint64_t
big_endian(const uint8_t *bytes, unsigned n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | *bytes++;
	return value;
}

static bool
binary_open(struct binary *list)
{
	const uint8_t *trailer = list->bytes + list->size - 32;

	list->offset_size = trailer[6];
	list->reference_size = trailer[7];
	list->n_objects = big_endian(trailer + 8, 8);
	list->table = big_endian(trailer + 24, 8);
	return list->offset_size >= 1 && list->offset_size <= 8 && list->reference_size >= 1 &&
	       list->reference_size <= 8 && list->n_objects <= list->size && list->table <= list->size - 32 &&
	       list->n_objects * list->offset_size <= list->size - 32 - list->table;
}

/* References of a container at @p offset: their number, and where they begin. 0: no container, or a malformed one. */
static uint64_t
references(const struct binary *list, uint64_t offset, const uint8_t **ret_first)
{
	const uint8_t *at = list->bytes + offset, *end = list->bytes + list->size;
	const unsigned kind = *at >> 4;
	uint64_t n = *at++ & 15;

	if (kind != 0xa && kind != 0xc && kind != 0xd)
		return 0;
	if (n == 15) { /* an integer object has the number */
		unsigned width;

		if (at == end)
			return 0;
		width = 1u << (*at++ & 15);
		if (width > 8 || (size_t)(end - at) < width)
			return 0;
		n = big_endian(at, width);
		at += width;
	}
	*ret_first = at;
	if (n > list->size)
		return 0;
	if (kind == 0xd)
		n *= 2;
	return n * list->reference_size <= (size_t)(end - at) ? n : 0;
}

static void
follow(struct binary *list, uint64_t object, unsigned depth)
{
	const uint8_t *reference;
	uint64_t offset, n, i;

	if (object >= list->n_objects)
		return;
	if (++list->n_values > PLIST_MAX_VALUES) {
		list->excess = "refers to its values more than 16384 times";
		return;
	}
	offset = big_endian(list->bytes + list->table + object * list->offset_size, list->offset_size);
	n = offset < list->size ? references(list, offset, &reference) : 0;
	if (n > 0 && depth == PLIST_MAX_DEPTH) {
		list->excess = "holds containers that are nested too deeply";
		return;
	}
	for (i = 0; i < n && !list->excess; i++)
		follow(list, big_endian(reference + i * list->reference_size, list->reference_size), depth + 1);
}

static const char *
binary_excess(const char *bytes, size_t size)
{
	struct binary list = { .bytes = (const uint8_t *)bytes, .size = size };

	if (size >= 8 + 32 && binary_open(&list))
		follow(&list, big_endian(list.bytes + size - 16, 8), 0);
	return list.excess;
}

/* ---------------------------------------------------------------------------------------------
 * XML: comments could close what they did not open, so openings alone are counted
 */

static const char *
xml_excess(const char *bytes, size_t size)
{
	const char *at = bytes, *end = bytes + size;
	unsigned n = 0;

	while ((at = memchr(at, '<', (size_t)(end - at)))) {
		at++;
		if ((strncmp(at, "array", 5) == 0 || strncmp(at, "dict", 4) == 0) && ++n > PLIST_MAX_CONTAINERS)
			return "holds more than 4096 arrays and dictionaries";
	}
	return NULL;
}

const char *
plist_excess(const char *bytes, size_t size)
{
	if (size > PLIST_MAX_BYTES)
		return "has more than 256 KiB";
	return size >= 8 && !memcmp(bytes, "bplist00", 8) ? binary_excess(bytes, size) : xml_excess(bytes, size);
}
