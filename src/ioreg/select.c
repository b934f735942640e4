/* SPDX-License-Identifier: MIT */
/* Which entries, and in which order. */

#include <stdlib.h>
#include <string.h>

#include <ambidext/realm.h>

#include "ioreg/ioreg.h"

bool
ioreg_is_selected(const struct ioreg_options *options, io_registry_entry_t entry,
		  CFDictionaryRef description)
{
	CFTypeRef classes = ioreg_get(description, "classes"), property;
	CFIndex i, n = classes && CFGetTypeID(classes) == CFArrayGetTypeID()
			       ? CFArrayGetCount(classes)
			       : 0;
	CFStringRef key;
	bool fits = !options->class_name;

	for (i = 0; i < n && !fits; i++)
		fits = !strcmp(ioreg_text(CFArrayGetValueAtIndex(classes, i)), options->class_name);
	if (!fits && !strcmp(ioreg_text(ioreg_get(description, "userClass")), options->class_name))
		fits = true;
	if (fits && options->name)
		fits = !strcmp(ioreg_text(ioreg_get(description, "name")), options->name);
	if (!fits || !options->key)
		return fits;
	key = CFStringCreateWithCString(NULL, options->key, kCFStringEncodingUTF8);
	property = key ? IORegistryEntryCreateCFProperty(entry, key, NULL, 0) : NULL;
	if (key)
		CFRelease(key);
	if (property)
		CFRelease(property);
	return property != NULL;
}

bool
ioreg_wants_properties(const struct ioreg_options *options, bool selected)
{
	if (options->all_properties)
		return true;
	return selected && (options->class_name || options->name || options->key);
}

void
ioreg_release(io_registry_entry_t *entries, size_t n)
{
	while (n--)
		IOObjectRelease(entries[n]);
	free(entries);
}

static io_registry_entry_t *
append(io_registry_entry_t *entries, size_t *n, io_registry_entry_t entry)
{
	io_registry_entry_t *grown = realloc(entries, (*n + 1) * sizeof *entries);

	if (!grown) {
		IOObjectRelease(entry);
		return entries;
	}
	grown[(*n)++] = entry;
	return grown;
}

static int
by_name(const void *a, const void *b)
{
	io_name_t left = "", right = "";

	(void)IORegistryEntryGetName(*(const io_registry_entry_t *)a, left);
	(void)IORegistryEntryGetName(*(const io_registry_entry_t *)b, right);
	return strcmp(left, right);
}

io_registry_entry_t *
ioreg_children(const struct ioreg_options *options, io_registry_entry_t entry, size_t *ret_n)
{
	io_registry_entry_t *children = NULL, child;
	io_iterator_t iterator = IO_OBJECT_NULL;
	io_name_t plane = "";
	size_t n = 0;

	strncpy(plane, options->plane, sizeof plane - 1);
	*ret_n = 0;
	if (IORegistryEntryGetChildIterator(entry, plane, &iterator) != kIOReturnSuccess)
		return NULL;
	while ((child = IOIteratorNext(iterator)))
		children = append(children, &n, child);
	IOObjectRelease(iterator);
	if (options->sort && n > 1)
		qsort(children, n, sizeof *children, by_name);
	*ret_n = n;
	return children;
}

static io_registry_entry_t *
find_tops(const struct ioreg_options *options, io_registry_entry_t entry, io_registry_entry_t *tops,
	  size_t *n)
{
	CFDictionaryRef description = NULL;
	io_registry_entry_t *children;
	size_t i, n_children;
	bool selected;

	if (adx_entry_copy(entry, &description) != kIOReturnSuccess)
		return tops;
	selected = ioreg_is_selected(options, entry, description);
	CFRelease(description);
	if (selected) {
		IOObjectRetain(entry);
		return append(tops, n, entry);
	}
	children = ioreg_children(options, entry, &n_children);
	for (i = 0; i < n_children; i++)
		tops = find_tops(options, children[i], tops, n);
	ioreg_release(children, n_children);
	return tops;
}

io_registry_entry_t *
ioreg_tops(const struct ioreg_options *options, size_t *ret_n)
{
	io_registry_entry_t root = IORegistryGetRootEntry(kIOMainPortDefault), *tops = NULL;

	*ret_n = 0;
	if (!root)
		return NULL;
	if (!options->roots)
		return append(NULL, ret_n, root);
	tops = find_tops(options, root, NULL, ret_n);
	IOObjectRelease(root);
	return tops;
}
