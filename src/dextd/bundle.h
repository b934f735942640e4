/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_BUNDLE_H
#define DEXTD_BUNDLE_H

/**
 * @file dextd/bundle.h
 * @brief One driver bundle: Foo.dext/Info.plist checked and turned into personalities.
 *
 *     Foo.dext/Info.plist  or  Foo.dext/Contents/Info.plist
 *     Foo.dext/Contents/MacOS/<CFBundleExecutable>  or  Foo.dext/<CFBundleExecutable>
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "dextd/value.h"

struct bundle;

/* Lives as long as its bundle: a reference to it is one to the bundle. */
struct personality {
	struct bundle *bundle; /* borrowed */
	struct adxi_list link; /* in bundle->personalities */
	char *name;            /* owned: its key under IOKitPersonalities */
	OSDictionary *dict;    /* owned reference: becomes the service's properties */
	bool duplicate;        /* the same as one that the catalogue had: not considered */
	/* Borrowed from dict. */
	const char *user_class;
	const char *class_name; /* IOClass */
	const char *server_name;
	const char *category; /* or "IODefaultMatchCategory" */
	bool one_process;
};

struct bundle {
	unsigned n_ref;
	struct adxi_list link;          /* in a catalogue */
	bool loaded;                    /* in a catalogue */
	char *path;                     /* owned, absolute */
	char *id;                       /* owned */
	char *version;                  /* owned, may be NULL */
	char *executable;               /* owned, absolute */
	OSDictionary *info;             /* owned reference: the whole Info.plist */
	struct adxi_list personalities; /* owned, in the order of the file */
};

/**
 * Read and check a bundle.
 *
 * @param problems  every problem is appended as a sentence that begins with its rule; also those
 * that are no obstacle
 * @retval -EINVAL  it cannot be used; @p problems says why
 * @retval -ENOMEM
 */
int bundle_read(const char *path, OSArray *problems, struct bundle **ret_bundle);
struct bundle *bundle_ref(struct bundle *bundle);
struct bundle *bundle_unref(struct bundle *bundle);
/** Its entitlements, from Foo.dext/Entitlements.plist (on macOS they are in the signature).
 * Borrowed, NULL: none. */
const OSDictionary *bundle_entitlements(const struct bundle *bundle);

struct personality *personality_ref(struct personality *personality);
struct personality *personality_unref(struct personality *personality);
/** K-side class names for an IOClass, nearest first. +1. NULL: no memory. Unknown ones are taken as
 * IOServices. */
OSArray *class_names_new(const char *class_name);
bool class_name_is_known(const char *class_name);

#endif /* DEXTD_BUNDLE_H */
