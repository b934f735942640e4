/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_REGISTRY_H
#define DEXTD_REGISTRY_H

/**
 * @file dextd/registry.h
 * @brief The I/O Registry: entries, planes, properties, state bits, busy counts.
 *
 *   registry --entries (by id)--> entry --links[plane]--> parent, children in order of attachment
 *
 * An entry is referenced by the registry from entry_new() until entry_detach_all(), and by whoever
 * else holds it. After that its id finds nothing, but those who hold it may still read its
 * properties. The last REGISTRY_ENDED_MAX are held so for their clients: who is told of a
 * termination asks for the name when the entry has left. Threads: one, dextd's loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "dextd/value.h"

struct registry;
struct service;
struct provider;

enum plane {
	PLANE_SERVICE,
	PLANE_USB,
	PLANE_POWER,
	PLANE_DEVICE_TREE,
	PLANE_AUDIO,
	PLANE_FIREWIRE,
	PLANE_COUNT,
};

enum {
	ENTRY_INACTIVE = 1u << 0,
	ENTRY_REGISTERED = 1u << 1,
	ENTRY_MATCHED = 1u << 2,
	ENTRY_FIRST_PUBLISH = 1u << 3, /* its first publication was told */
	ENTRY_FIRST_MATCH = 1u << 4,   /* its first matching pass has ended */
};

#define REGISTRY_NAME_MAX 128u /* bytes with the NUL, as io_name_t */
#define REGISTRY_PATH_MAX 16384u
#define REGISTRY_ENDED_MAX 256u

struct plane_link {
	struct entry *parent; /* borrowed: the parent lives while it has children (referenced) */
	struct adxi_list children;
	struct adxi_list sibling; /* in the parent's children */
};

struct entry {
	uint64_t id;
	unsigned n_ref;
	struct registry *registry; /* borrowed; NULL after the registry is gone */
	struct adxi_list link;     /* in registry->entries, oldest first */
	struct adxi_list hash;     /* in a bucket of registry->by_id */
	struct plane_link links[PLANE_COUNT];

	uint32_t state; /* ENTRY_* */
	uint32_t busy;
	OSArray *classes;          /* owned reference: names, nearest first */
	char *name;                /* owned */
	char *location;            /* owned, or NULL */
	OSDictionary *base;        /* owned reference: personality, or what the host published */
	OSDictionary *set;         /* owned reference, or NULL: what the driver set; over base */
	struct service *service;   /* borrowed: the life of it; NULL: root and resources */
	struct provider *provider; /* owned by provider.c, or NULL: drivers that match it */
};

struct registry_ops {
	/* An entry's busy count went from 0 to 1 or back. */
	void (*busy_changed)(void *userdata, struct entry *entry, bool busy);
};

/** 0, -ENOMEM. Makes the root, IOResources and IOUserResources, both registered and matched. */
int registry_new(const struct registry_ops *ops, void *userdata, struct registry **ret_registry);
/** Always NULL. Entries that are still referenced elsewhere stay readable. */
struct registry *registry_free(struct registry *registry);

struct entry *registry_root(struct registry *registry);
/** Parent of virtual drivers. */
struct entry *registry_user_resources(struct registry *registry);
uint64_t registry_generation(const struct registry *registry);
size_t registry_count(const struct registry *registry);
/** Every entry, oldest first: ADXI_LIST_EACH(entry, registry_entries(r), link). */
struct adxi_list *registry_entries(struct registry *registry);
/** Borrowed, or NULL: never was, or is gone. */
struct entry *registry_find(struct registry *registry, uint64_t id);
/** The same, or one of the last that have left: to be read only, it is in no plane. Borrowed until
 * the next entry leaves. */
const struct entry *registry_find_readable(struct registry *registry, uint64_t id);
/** Whether that id was given out at some time. */
bool registry_was_used(const struct registry *registry, uint64_t id);
/** PLANE_*, or -ENOENT. */
int registry_plane(const char *name);
const char *registry_plane_name(enum plane plane);
/** "IOService:/IOUserResources/Echo", "IOService:/": the entry, borrowed, or NULL. */
struct entry *registry_find_path(struct registry *registry, const char *path);

/**
 * New entry, in no plane.
 *
 * @param classes  array of strings, nearest first (retained)
 * @param name     "": the class's name
 * @param base     copied; may be NULL
 * @retval -EINVAL  no classes, or one that is no string of 1 .. 127 bytes
 */
int entry_new(struct registry *registry, const OSArray *classes, const char *name,
	      const char *location, const OSDictionary *base, struct entry **ret_entry);
struct entry *entry_ref(struct entry *entry);
/** Always NULL; NULL is allowed. */
struct entry *entry_unref(struct entry *entry);

/** -EEXIST: it has a parent there. -ELOOP: @p parent is @p entry or below it. */
int entry_attach(struct entry *entry, struct entry *parent, enum plane plane);
/** Leave all planes; the id finds nothing from then on. Children must be gone from the service
 * plane (they are cut off otherwise). Gives up the registry's reference. */
void entry_detach_all(struct entry *entry);
struct entry *entry_parent(const struct entry *entry, enum plane plane);
bool entry_in_plane(const struct entry *entry, enum plane plane);
bool entry_is_below(const struct entry *entry, const struct entry *ancestor, enum plane plane);
size_t entry_child_count(const struct entry *entry, enum plane plane);

/** Nearest class name. */
const char *entry_class(const struct entry *entry);
bool entry_conforms(const struct entry *entry, const char *class_name);
/** How many steps up @p class_name is (0: nearest), or -1. */
int entry_class_distance(const struct entry *entry, const char *class_name);
/** -EINVAL: empty or longer than 127 bytes; -ENOMEM. */
int entry_set_name(struct entry *entry, const char *name);
int entry_set_location(struct entry *entry, const char *location);
/** Component of a path: name, or name@location; '/' and '%' are written %2F and %25. malloc'd. */
char *entry_component(const struct entry *entry);
/** "IOService:/a/b@1", malloc'd. NULL: not in that plane, longer than REGISTRY_PATH_MAX, or no
 * memory. */
char *entry_path(const struct entry *entry, enum plane plane);
/** "Echo-0x100000110", as the log names it. Static storage of two texts in turn. */
const char *entry_text(const struct entry *entry);

/** Own table with what the driver set over it. +1, NULL: no memory. */
OSDictionary *entry_copy_properties(const struct entry *entry);
/** One property: driver-set first. Borrowed, or NULL. */
const OSObject *entry_property(const struct entry *entry, const char *key);
const char *entry_property_cstr(const struct entry *entry, const char *key);
/** Own, and with the options its relatives' (kIORegistryIterateRecursively 1,
 * kIORegistryIterateParents 2). Borrowed. */
const OSObject *entry_search_property(const struct entry *entry, const char *key, enum plane plane,
				      uint32_t options);
/** Into the base table (dextd's own facts). -ENOMEM. */
int entry_set_base(struct entry *entry, const char *key, const void *value);
void entry_remove_base(struct entry *entry, const char *key);
/** Merge over the driver-set table. */
int entry_merge_set(struct entry *entry, const OSDictionary *properties);
/** -ENOENT: no driver-set table at all. A missing key is success. */
int entry_remove_set(struct entry *entry, const char *key);

/** 0↔1 crossings reach the provider. A count never falls below 0: -ERANGE. */
int entry_adjust_busy(struct entry *entry, int32_t delta);

#endif /* DEXTD_REGISTRY_H */
