/* SPDX-License-Identifier: MIT */
/* The tree as macOS's ioreg draws it:
 *
 *     +-o Root  <class IORegistryEntry, id 0x100000100, retain 5>
 *       +-o Sensor@14100000  <class IOUSBHostDevice, id 0x100000103, registered, matched, active,
 * busy 0, retain 3> | { |   "idVendor" = 4617 | }
 *       |
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ambidext/realm.h>

#include "ioreg/ioreg.h"

#define DEPTH_MAX 512u

struct drawing {
	const struct ioreg_options *options;
	struct adxi_buf line;
	bool more[DEPTH_MAX + 1]; /* the entry at this depth has siblings after it */
	unsigned depth;
};

static void
print_line(struct drawing *drawing, size_t bold_from, size_t bold_to)
{
	const char *text = adxi_buf_text(&drawing->line);
	size_t width = drawing->options->width, len = drawing->line.len;

	if (width && len > width)
		len = width;
	if (drawing->options->bold && bold_to > bold_from && bold_to <= len)
		printf("%.*s\033[1m%.*s\033[0m%.*s\n", (int)bold_from, text,
		       (int)(bold_to - bold_from), text + bold_from, (int)(len - bold_to),
		       text + bold_to);
	else
		printf("%.*s\n", (int)len, text);
	adxi_buf_done(&drawing->line);
}

static void
indent(struct drawing *drawing, bool has_children)
{
	unsigned i;

	for (i = 0; i <= drawing->depth; i++)
		adxi_buf_append_string(&drawing->line, i > 0 && drawing->more[i] ? "| " : "  ");
	adxi_buf_append_string(&drawing->line, has_children ? "| " : "  ");
}

static void
show_properties(struct drawing *drawing, io_registry_entry_t entry, bool has_children)
{
	CFMutableDictionaryRef properties = NULL;
	CFStringRef *keys;
	size_t i, n = 0;

	if (IORegistryEntryCreateCFProperties(entry, &properties, NULL, 0) != kIOReturnSuccess)
		return;
	indent(drawing, has_children);
	adxi_buf_append_string(&drawing->line, "{");
	print_line(drawing, 0, 0);
	keys = ioreg_sorted_keys(properties, &n);
	for (i = 0; i < n; i++) {
		indent(drawing, has_children);
		adxi_buf_append_string(&drawing->line, "  ");
		ioreg_value(&drawing->line, keys[i], false);
		adxi_buf_append_string(&drawing->line, " = ");
		ioreg_value(&drawing->line, CFDictionaryGetValue(properties, keys[i]),
			    drawing->options->hex);
		print_line(drawing, 0, 0);
	}
	free(keys);
	CFRelease(properties);
	indent(drawing, has_children);
	adxi_buf_append_string(&drawing->line, "}");
	print_line(drawing, 0, 0);
	indent(drawing, has_children);
	print_line(drawing, 0, 0);
}

static void
append_classes(struct drawing *drawing, CFDictionaryRef description)
{
	CFTypeRef classes = ioreg_get(description, "classes");
	CFIndex i = classes ? CFArrayGetCount(classes) : 0;

	if (!drawing->options->inheritance || i == 0) {
		adxi_buf_append_string(&drawing->line, ioreg_text(ioreg_get(description, "class")));
		return;
	}
	while (i-- > 0)
		adxi_buf_printf(&drawing->line, "%s%s",
				ioreg_text(CFArrayGetValueAtIndex(classes, i)), i ? ":" : "");
}

static bool
is_service(CFDictionaryRef description)
{
	CFTypeRef classes = ioreg_get(description, "classes");
	CFIndex n = classes ? CFArrayGetCount(classes) : 0;

	return n > 0 && !strcmp(ioreg_text(CFArrayGetValueAtIndex(classes, n - 1)), "IOService");
}

static void
show_head(struct drawing *drawing, CFDictionaryRef description)
{
	const char *location = ioreg_text(ioreg_get(description, "location"));
	const char *state = ioreg_text(ioreg_get(description, "state"));
	size_t from, to;
	unsigned i;

	for (i = 0; i < drawing->depth; i++)
		adxi_buf_append_string(&drawing->line, i > 0 && drawing->more[i] ? "| " : "  ");
	adxi_buf_append_string(&drawing->line, "+-o ");
	from = drawing->line.len;
	adxi_buf_append_string(&drawing->line, ioreg_text(ioreg_get(description, "name")));
	to = drawing->line.len;
	if (*location)
		adxi_buf_printf(&drawing->line, "@%s", location);
	adxi_buf_append_string(&drawing->line, "  <class ");
	append_classes(drawing, description);
	adxi_buf_printf(&drawing->line, ", id 0x%llx",
			(unsigned long long)ioreg_number(description, "id"));
	if (is_service(description))
		adxi_buf_printf(&drawing->line, ", %sregistered, %smatched, %sactive, busy %lld",
				ioreg_flag(description, "registered") ? "" : "!",
				ioreg_flag(description, "matched") ? "" : "!",
				ioreg_flag(description, "inactive") ? "in" : "",
				ioreg_number(description, "busy"));
	/* What macOS has no word for. */
	if (*state && strcmp(state, "running") != 0)
		adxi_buf_printf(&drawing->line, ", %s", state);
	adxi_buf_printf(&drawing->line, ", retain %lld>", ioreg_number(description, "retain"));
	print_line(drawing, from, to);
}

/* @p alone: only this entry, on the way down to what was asked for. */
static void
show_entry(struct drawing *drawing, io_registry_entry_t entry, bool alone)
{
	const struct ioreg_options *options = drawing->options;
	io_registry_entry_t *children = NULL;
	CFDictionaryRef description = NULL;
	size_t i, n = 0;

	/* It may have gone since it was listed. */
	if (adx_entry_copy(entry, &description) != kIOReturnSuccess)
		return;
	if (!alone && (!options->depth || drawing->depth + 1 < options->depth) &&
	    drawing->depth < DEPTH_MAX)
		children = ioreg_children(options, entry, &n);
	show_head(drawing, description);
	if (!alone &&
	    ioreg_wants_properties(options, ioreg_is_selected(options, entry, description)))
		show_properties(drawing, entry, n > 0);
	CFRelease(description);
	drawing->depth++;
	for (i = 0; i < n; i++) {
		drawing->more[drawing->depth] = i + 1 < n;
		show_entry(drawing, children[i], false);
	}
	drawing->depth--;
	ioreg_release(children, n);
}

/* -t: the providers first, one below the other. */
static unsigned
show_way(struct drawing *drawing, io_registry_entry_t entry)
{
	io_registry_entry_t parent = IO_OBJECT_NULL;
	io_name_t plane = "";

	strncpy(plane, drawing->options->plane, sizeof plane - 1);
	if (IORegistryEntryGetParentEntry(entry, plane, &parent) != kIOReturnSuccess || !parent)
		return 0;
	drawing->depth = show_way(drawing, parent);
	drawing->more[drawing->depth] = false;
	show_entry(drawing, parent, true);
	IOObjectRelease(parent);
	return drawing->depth + 1;
}

int
ioreg_show(const struct ioreg_options *options)
{
	struct drawing drawing = { .options = options };
	io_registry_entry_t *tops;
	size_t i, n;

	tops = ioreg_tops(options, &n);
	if (n == 0 && !options->roots) {
		fprintf(stderr,
			"ioreg: no dextd answers; is AMBIDEXT_REALM set to its directory?\n");
		return 1;
	}
	for (i = 0; i < n; i++) {
		if (options->to_root)
			drawing.depth = show_way(&drawing, tops[i]);
		drawing.more[drawing.depth] = false;
		show_entry(&drawing, tops[i], false);
		drawing.depth = 0;
		if (options->roots)
			puts("");
	}
	ioreg_release(tops, n);
	return 0;
}
