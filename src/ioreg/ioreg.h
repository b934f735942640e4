/* SPDX-License-Identifier: MIT */
#ifndef IOREG_IOREG_H
#define IOREG_IOREG_H

/**
 * @file ioreg/ioreg.h
 * @brief What ioreg shows, and how: options, text of properties, the tree.
 */

#include <stdbool.h>
#include <stddef.h>

#include <IOKit/IOKitLib.h>

#include "base/buf.h"

struct ioreg_options {
	const char *plane;      /* -p */
	const char *class_name; /* -c */
	const char *name;       /* -n */
	const char *key;        /* -k */
	bool all_properties;    /* -l */
	bool roots;             /* -r */
	bool to_root;           /* -t */
	bool bold;              /* -b */
	bool hex;               /* -x */
	bool inheritance;       /* -i */
	bool sort;              /* -S */
	bool json;              /* --json */
	unsigned depth;         /* -d; 0: all */
	size_t width;           /* -w; 0: all */
};

/* ---- text.c ---- */

/** One value as macOS writes it: "text", 12, Yes, <0102>, ("a",1), {"k"=v}, [a,b]. */
void ioreg_value(struct adxi_buf *buf, CFTypeRef value, bool hex);
/** Text of a CFString, or "". Borrowed. */
const char *ioreg_text(CFTypeRef string);
/** Value of a dictionary at @p key, borrowed, or NULL. */
CFTypeRef ioreg_get(CFDictionaryRef dictionary, const char *key);
long long ioreg_number(CFDictionaryRef dictionary, const char *key);
bool ioreg_flag(CFDictionaryRef dictionary, const char *key);
/** Keys of a dictionary in byte order; malloc'd array of borrowed strings. NULL: no memory, or
 * none. */
CFStringRef *ioreg_sorted_keys(CFDictionaryRef dictionary, size_t *ret_n);

/* ---- tree.c ---- */

/** Print what the options ask for. 0, or 1 with a message. */
int ioreg_show(const struct ioreg_options *options);

/* ---- json.c ---- */

/** The same as JSON: entries with "properties" (-l) and "children". 0, or 1 with a message. */
int ioreg_show_json(const struct ioreg_options *options);

/* ---- select.c ---- */

/** Whether @p entry is what -c, -n and -k name; true without them. */
bool ioreg_is_selected(const struct ioreg_options *options, io_registry_entry_t entry,
		       CFDictionaryRef description);
/** Children of @p entry in the plane, each +1; malloc'd array. */
io_registry_entry_t *ioreg_children(const struct ioreg_options *options, io_registry_entry_t entry,
				    size_t *ret_n);
/** Where to begin, each +1: the root, or with -r the topmost entries that are selected. */
io_registry_entry_t *ioreg_tops(const struct ioreg_options *options, size_t *ret_n);
void ioreg_release(io_registry_entry_t *entries, size_t n);
/** Whether the properties of an entry are to be shown. */
bool ioreg_wants_properties(const struct ioreg_options *options, bool selected);

#endif /* IOREG_IOREG_H */
