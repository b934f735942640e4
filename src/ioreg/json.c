/* SPDX-License-Identifier: MIT */
/* The tree as JSON: made of the same dictionaries, printed by the library. */

#include <stdio.h>
#include <stdlib.h>

#include <ambidext/realm.h>

#include "ioreg/ioreg.h"

static void
set(CFMutableDictionaryRef dictionary, const char *key, CFTypeRef value)
{
	CFStringRef name = CFStringCreateWithCString(NULL, key, kCFStringEncodingUTF8);

	if (name && value)
		CFDictionarySetValue(dictionary, name, value);
	if (name)
		CFRelease(name);
}

static CFMutableDictionaryRef
describe(const struct ioreg_options *options, io_registry_entry_t entry, unsigned depth)
{
	CFMutableDictionaryRef dictionary = NULL, properties = NULL, child;
	CFMutableArrayRef list = NULL;
	CFDictionaryRef description = NULL;
	io_registry_entry_t *children;
	size_t i, n = 0;

	if (adx_entry_copy(entry, &description) != kIOReturnSuccess)
		return NULL;
	dictionary = CFDictionaryCreateMutableCopy(NULL, 0, description);
	if (dictionary &&
	    ioreg_wants_properties(options, ioreg_is_selected(options, entry, description)) &&
	    IORegistryEntryCreateCFProperties(entry, &properties, NULL, 0) == kIOReturnSuccess) {
		set(dictionary, "properties", properties);
		CFRelease(properties);
	}
	CFRelease(description);
	if (!dictionary || (options->depth && depth + 1 >= options->depth))
		return dictionary;
	children = ioreg_children(options, entry, &n);
	list = n ? CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks) : NULL;
	for (i = 0; i < n; i++) {
		child = describe(options, children[i], depth + 1);
		if (child && list)
			CFArrayAppendValue(list, child);
		if (child)
			CFRelease(child);
	}
	ioreg_release(children, n);
	if (list) {
		set(dictionary, "children", list);
		CFRelease(list);
	}
	return dictionary;
}

int
ioreg_show_json(const struct ioreg_options *options)
{
	CFMutableArrayRef list = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
	CFMutableDictionaryRef entry;
	io_registry_entry_t *tops;
	char *text = NULL;
	size_t i, n;

	tops = ioreg_tops(options, &n);
	if ((n == 0 && !options->roots) || !list) {
		fprintf(stderr,
			"ioreg: no dextd answers; is AMBIDEXT_REALM set to its directory?\n");
		if (list)
			CFRelease(list);
		return 1;
	}
	for (i = 0; i < n; i++) {
		entry = describe(options, tops[i], 0);
		if (entry)
			CFArrayAppendValue(list, entry);
		if (entry)
			CFRelease(entry);
	}
	ioreg_release(tops, n);
	text = options->roots || CFArrayGetCount(list) == 0
		       ? adx_json(list)
		       : adx_json(CFArrayGetValueAtIndex(list, 0));
	CFRelease(list);
	if (text)
		puts(text);
	free(text);
	return text ? 0 : 1;
}
