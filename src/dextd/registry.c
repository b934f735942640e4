/* SPDX-License-Identifier: MIT */
/* Entries and planes. What happens to services is decided elsewhere; here is only what is the case.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "dextd/registry.h"
#include "object/containers.h"

#define PATH_DEPTH_MAX    512u
#define REGISTRY_BUCKETS  1024u
#define REGISTRY_FIRST_ID 0x100000100ull

struct registry {
	struct registry_ops ops;
	void *userdata; /* borrowed */
	uint64_t next_id;
	uint64_t generation;
	struct adxi_list entries;
	size_t n_entries;
	struct entry *root;           /* owned reference */
	struct entry *user_resources; /* owned reference */
	struct adxi_list by_id[REGISTRY_BUCKETS];
	struct entry *ended[REGISTRY_ENDED_MAX]; /* owned references; a ring, NULL: never filled */
	size_t n_ended;                          /* ever; the next one's place, modulo the size */
};

static const char *const plane_names[PLANE_COUNT] = {
	[PLANE_SERVICE] = "IOService", [PLANE_USB] = "IOUSB",
	[PLANE_POWER] = "IOPower",     [PLANE_DEVICE_TREE] = "IODeviceTree",
	[PLANE_AUDIO] = "IOAudio",     [PLANE_FIREWIRE] = "IOFireWire",
};

static struct adxi_list *
bucket(struct registry *registry, uint64_t id)
{
	return &registry->by_id[id % REGISTRY_BUCKETS];
}

int
registry_plane(const char *name)
{
	int i;

	for (i = 0; i < PLANE_COUNT; i++)
		if (!strcmp(plane_names[i], name))
			return i;
	return -ENOENT;
}

const char *
registry_plane_name(enum plane plane)
{
	return plane_names[plane];
}

static struct entry *
entry_free(struct entry *entry)
{
	value_unref(entry->classes);
	value_unref(entry->base);
	value_unref(entry->set);
	free(entry->name);
	free(entry->location);
	free(entry);
	return NULL;
}

struct entry *
entry_ref(struct entry *entry)
{
	entry->n_ref++;
	return entry;
}

struct entry *
entry_unref(struct entry *entry)
{
	if (entry && --entry->n_ref == 0)
		entry_free(entry);
	return NULL;
}

static bool
check_class(void *context, const OSObject *value)
{
	const char *name = value_cstr(value);

	return !name || !*name || strlen(name) >= REGISTRY_NAME_MAX;
}

int
entry_new(struct registry *registry, const OSArray *classes, const char *name, const char *location,
	  const OSDictionary *base, struct entry **ret_entry)
{
	struct entry *entry;
	size_t i;
	int r = -ENOMEM;

	if (value_count(classes) == 0 || value_each_member(classes, check_class, NULL))
		return -EINVAL;
	entry = calloc(1, sizeof *entry);
	if (!entry)
		return -ENOMEM;
	entry->n_ref = 1;
	adxi_list_init(&entry->link);
	adxi_list_init(&entry->hash);
	for (i = 0; i < PLANE_COUNT; i++) {
		adxi_list_init(&entry->links[i].children);
		adxi_list_init(&entry->links[i].sibling);
	}
	entry->classes = value_ref((OSArray *)classes);
	entry->base = base ? value_deep_copy(base) : value_dict_new();
	if (!entry->base)
		goto fail;
	r = entry_set_name(entry, name && *name ? name : entry_class(entry));
	if (r < 0)
		goto fail;
	r = entry_set_location(entry, location);
	if (r < 0)
		goto fail;
	entry->registry = registry;
	entry->id = registry->next_id++;
	adxi_list_append(&registry->entries, &entry->link);
	adxi_list_append(bucket(registry, entry->id), &entry->hash);
	registry->n_entries++;
	*ret_entry = entry;
	return 0;
fail:
	entry_free(entry);
	return r;
}

static int
make_builtin(struct registry *registry, const char *const *classes, const char *name,
	     struct entry *parent, struct entry **ret_entry)
{
	value_auto OSArray *list = value_array_new();
	struct entry *entry;
	int r;

	for (; *classes; classes++)
		if (!value_append_cstr(list, *classes))
			return -ENOMEM;
	r = entry_new(registry, list, name, NULL, NULL, &entry);
	if (r < 0)
		return r;
	if (parent) {
		r = entry_attach(entry, parent, PLANE_SERVICE);
		if (r < 0) {
			entry_detach_all(entry);
			return r;
		}
		if (!value_set_cstr(entry->base, "IOResourceMatch", "IOKit") ||
		    !value_set_bool(entry->base, "IOKit", true)) {
			entry_detach_all(entry);
			return -ENOMEM;
		}
		entry->state |=
			ENTRY_REGISTERED | ENTRY_MATCHED | ENTRY_FIRST_PUBLISH | ENTRY_FIRST_MATCH;
	}
	*ret_entry = entry;
	return 0;
}

int
registry_new(const struct registry_ops *ops, void *userdata, struct registry **ret_registry)
{
	static const char *const root_classes[] = { "IORegistryEntry", NULL };
	static const char *const resources_classes[] = { "IOResources", "IOService", NULL };
	static const char *const user_classes[] = { "IOUserResources", "IOService", NULL };
	struct registry *registry;
	struct entry *entry;
	size_t i;
	int r;

	registry = calloc(1, sizeof *registry);
	if (!registry)
		return -ENOMEM;
	if (ops)
		registry->ops = *ops;
	registry->userdata = userdata;
	registry->next_id = REGISTRY_FIRST_ID;
	registry->generation = 1;
	adxi_list_init(&registry->entries);
	for (i = 0; i < REGISTRY_BUCKETS; i++)
		adxi_list_init(&registry->by_id[i]);
	r = make_builtin(registry, root_classes, "Root", NULL, &entry);
	if (r < 0)
		goto fail;
	registry->root = entry_ref(entry);
	r = make_builtin(registry, resources_classes, "IOResources", registry->root, &entry);
	if (r < 0)
		goto fail;
	r = make_builtin(registry, user_classes, "IOUserResources", registry->root, &entry);
	if (r < 0)
		goto fail;
	registry->user_resources = entry_ref(entry);
	*ret_registry = registry;
	return 0;
fail:
	registry_free(registry);
	return r;
}

struct registry *
registry_free(struct registry *registry)
{
	struct entry *entry, *next;
	size_t i;

	if (!registry)
		return NULL;
	registry->ops.busy_changed = NULL;
	registry->root = entry_unref(registry->root);
	registry->user_resources = entry_unref(registry->user_resources);
	while ((entry = ADXI_LIST_FIRST(&registry->entries, struct entry, link))) {
		next = entry;
		while (!adxi_list_is_empty(&next->links[PLANE_SERVICE].children))
			next = ADXI_LIST_FIRST(&next->links[PLANE_SERVICE].children, struct entry,
					       links[PLANE_SERVICE].sibling);
		entry_detach_all(next);
	}
	for (i = 0; i < REGISTRY_ENDED_MAX; i++)
		entry_unref(registry->ended[i]);
	free(registry);
	return NULL;
}

struct entry *
registry_root(struct registry *registry)
{
	return registry->root;
}

struct entry *
registry_user_resources(struct registry *registry)
{
	return registry->user_resources;
}

uint64_t
registry_generation(const struct registry *registry)
{
	return registry->generation;
}

size_t
registry_count(const struct registry *registry)
{
	return registry->n_entries;
}

struct adxi_list *
registry_entries(struct registry *registry)
{
	return &registry->entries;
}

struct entry *
registry_find(struct registry *registry, uint64_t id)
{
	struct entry *entry;

	ADXI_LIST_EACH(entry, bucket(registry, id), hash)
		if (entry->id == id)
			return entry;
	return NULL;
}

const struct entry *
registry_find_readable(struct registry *registry, uint64_t id)
{
	const struct entry *entry = registry_find(registry, id);
	size_t i;

	for (i = 0; !entry && i < REGISTRY_ENDED_MAX && registry->ended[i]; i++)
		if (registry->ended[i]->id == id)
			entry = registry->ended[i];
	return entry;
}

bool
registry_was_used(const struct registry *registry, uint64_t id)
{
	return id >= REGISTRY_FIRST_ID && id < registry->next_id;
}

bool
entry_in_plane(const struct entry *entry, enum plane plane)
{
	return entry->links[plane].parent || (entry->registry && entry->registry->root == entry);
}

bool
entry_is_below(const struct entry *entry, const struct entry *ancestor, enum plane plane)
{
	for (; entry; entry = entry->links[plane].parent)
		if (entry == ancestor)
			return true;
	return false;
}

int
entry_attach(struct entry *entry, struct entry *parent, enum plane plane)
{
	struct plane_link *link = &entry->links[plane];

	if (link->parent)
		return -EEXIST;
	if (entry_is_below(parent, entry, plane))
		return -ELOOP;
	link->parent = entry_ref(parent);
	adxi_list_append(&parent->links[plane].children, &link->sibling);
	if (entry->registry)
		entry->registry->generation++;
	if (plane == PLANE_SERVICE && entry->busy)
		entry_adjust_busy(parent, 1);
	return 0;
}

static void
leave(struct entry *entry, enum plane plane)
{
	struct plane_link *link = &entry->links[plane];
	struct entry *parent = link->parent;

	if (!parent)
		return;
	adxi_list_remove(&link->sibling);
	link->parent = NULL;
	if (entry->registry)
		entry->registry->generation++;
	if (plane == PLANE_SERVICE && entry->busy)
		entry_adjust_busy(parent, -1);
	entry_unref(parent);
}

void
entry_detach_all(struct entry *entry)
{
	struct registry *registry = entry->registry;
	struct entry *child, *next, **place;
	int plane;

	if (!registry)
		return;
	for (plane = 0; plane < PLANE_COUNT; plane++) {
		ADXI_LIST_EACH_SAFE(child, next, &entry->links[plane].children,
				    links[plane].sibling)
			leave(child, (enum plane)plane);
		leave(entry, (enum plane)plane);
	}
	adxi_list_remove(&entry->link);
	adxi_list_remove(&entry->hash);
	registry->n_entries--;
	registry->generation++;
	entry->registry = NULL;
	place = &registry->ended[registry->n_ended++ % REGISTRY_ENDED_MAX];
	entry_unref(*place);
	*place = entry; /* the registry's reference goes there */
}

struct entry *
entry_parent(const struct entry *entry, enum plane plane)
{
	return entry->links[plane].parent;
}

size_t
entry_child_count(const struct entry *entry, enum plane plane)
{
	return adxi_list_count(&entry->links[plane].children);
}

const char *
entry_class(const struct entry *entry)
{
	const char *name = value_cstr(value_at(entry->classes, 0));

	return name ? name : "IORegistryEntry";
}

int
entry_class_distance(const struct entry *entry, const char *class_name)
{
	uint32_t i, n = value_count(entry->classes);
	const char *name;

	for (i = 0; i < n; i++) {
		name = value_cstr(value_at(entry->classes, i));
		if (name && !strcmp(name, class_name))
			return (int)i;
	}
	return -1;
}

bool
entry_conforms(const struct entry *entry, const char *class_name)
{
	return entry_class_distance(entry, class_name) >= 0;
}

/* Names come from drivers and devices, and go to terminals. */
static char *
harmless(const char *text)
{
	const size_t len = strlen(text);
	char *copy = malloc(len + 1);

	if (copy)
		adxi_text_harmless(copy, text, len, "", '_');
	return copy;
}

int
entry_set_name(struct entry *entry, const char *name)
{
	char *copy;

	if (!name || !*name || strlen(name) >= REGISTRY_NAME_MAX)
		return -EINVAL;
	copy = harmless(name);
	if (!copy)
		return -ENOMEM;
	free(entry->name);
	entry->name = copy;
	return 0;
}

int
entry_set_location(struct entry *entry, const char *location)
{
	char *copy = NULL;

	if (location && *location) {
		if (strlen(location) >= REGISTRY_NAME_MAX)
			return -EINVAL;
		copy = harmless(location);
		if (!copy)
			return -ENOMEM;
	}
	free(entry->location);
	entry->location = copy;
	return 0;
}

static void
append_escaped(struct adxi_buf *buf, const char *text)
{
	for (; *text; text++) {
		if (*text == '/' || *text == '%')
			adxi_buf_printf(buf, "%%%02X", (unsigned char)*text);
		else
			adxi_buf_append_byte(buf, (uint8_t)*text);
	}
}

static void
append_component(struct adxi_buf *buf, const struct entry *entry)
{
	append_escaped(buf, entry->name);
	if (entry->location) {
		adxi_buf_append_byte(buf, '@');
		append_escaped(buf, entry->location);
	}
}

char *
entry_component(const struct entry *entry)
{
	struct adxi_buf buf = { 0 };
	char *text;

	append_component(&buf, entry);
	text = adxi_buf_take(&buf, NULL);
	adxi_buf_done(&buf);
	return text;
}

static void
append_path(struct adxi_buf *buf, const struct entry *entry, enum plane plane)
{
	const struct entry *parent = entry->links[plane].parent;

	if (!parent)
		return;
	append_path(buf, parent, plane);
	adxi_buf_append_byte(buf, '/');
	append_component(buf, entry);
}

char *
entry_path(const struct entry *entry, enum plane plane)
{
	struct adxi_buf buf = { .limit = REGISTRY_PATH_MAX };
	const struct entry *top = entry;
	unsigned depth = 0;
	char *text;

	while (top->links[plane].parent) {
		top = top->links[plane].parent;
		if (++depth > PATH_DEPTH_MAX)
			return NULL;
	}
	if (!top->registry || top->registry->root != top)
		return NULL;
	adxi_buf_printf(&buf, "%s:%s", plane_names[plane], depth ? "" : "/");
	append_path(&buf, entry, plane);
	text = adxi_buf_take(&buf, NULL);
	adxi_buf_done(&buf);
	return text;
}

/* Name, name@location, or the location alone. */
static bool
is_component(const struct entry *entry, const char *text, size_t len)
{
	struct adxi_buf buf = { 0 };
	bool same;

	append_component(&buf, entry);
	same = buf.len == len && !memcmp(adxi_buf_text(&buf), text, len);
	adxi_buf_done(&buf);
	if (same)
		return true;
	append_escaped(&buf, entry->name);
	same = buf.len == len && !memcmp(adxi_buf_text(&buf), text, len);
	adxi_buf_done(&buf);
	if (same || !entry->location)
		return same;
	append_escaped(&buf, entry->location);
	same = buf.len == len && !memcmp(adxi_buf_text(&buf), text, len);
	adxi_buf_done(&buf);
	return same;
}

/* Brothers may have one name, and only one of them the child that comes next. */
static struct entry *
find_below(struct entry *entry, enum plane plane, const char *path, unsigned depth)
{
	struct entry *child, *found = NULL;
	size_t len;

	if (!*path || !strcmp(path, "/"))
		return entry;
	if (*path != '/' || depth == PATH_DEPTH_MAX)
		return NULL;
	len = strcspn(++path, "/");
	ADXI_LIST_EACH(child, &entry->links[plane].children, links[plane].sibling) {
		if (!found && is_component(child, path, len))
			found = find_below(child, plane, path + len, depth + 1);
	}
	return found;
}

struct entry *
registry_find_path(struct registry *registry, const char *path)
{
	const char *colon = strchr(path, ':');
	char name[32];
	int plane;

	if (!colon || (size_t)(colon - path) >= sizeof name)
		return NULL;
	memcpy(name, path, (size_t)(colon - path));
	name[colon - path] = '\0';
	plane = registry_plane(name);
	if (plane < 0 || colon[1] != '/')
		return NULL;
	return find_below(registry->root, (enum plane)plane, colon + 1, 0);
}

const char *
entry_text(const struct entry *entry)
{
	static char texts[2][REGISTRY_NAME_MAX + 24];
	static unsigned turn;
	char *text = texts[turn++ % 2];

	(void)snprintf(text, sizeof texts[0], "%s-0x%" PRIx64, entry->name, entry->id);
	return text;
}

OSDictionary *
entry_copy_properties(const struct entry *entry)
{
	return value_merged(entry->base, entry->set);
}

const OSObject *
entry_property(const struct entry *entry, const char *key)
{
	const OSObject *value = value_get(entry->set, key);

	return value ? value : value_get(entry->base, key);
}

const char *
entry_property_cstr(const struct entry *entry, const char *key)
{
	return value_cstr(entry_property(entry, key));
}

static const OSObject *
search_children(const struct entry *entry, const char *key, enum plane plane)
{
	const struct entry *child;
	const OSObject *found;

	ADXI_LIST_EACH(child, &entry->links[plane].children, links[plane].sibling) {
		found = entry_property(child, key);
		if (!found)
			found = search_children(child, key, plane);
		if (found)
			return found;
	}
	return NULL;
}

const OSObject *
entry_search_property(const struct entry *entry, const char *key, enum plane plane,
		      uint32_t options)
{
	const OSObject *found = entry_property(entry, key);

	if (found || !(options & 1u))
		return found;
	if (!(options & 2u))
		return search_children(entry, key, plane);
	while (!found && (entry = entry->links[plane].parent))
		found = entry_property(entry, key);
	return found;
}

int
entry_set_base(struct entry *entry, const char *key, const void *value)
{
	return value_set(entry->base, key, value) ? 0 : -ENOMEM;
}

void
entry_remove_base(struct entry *entry, const char *key)
{
	value_remove(entry->base, key);
}

int
entry_merge_set(struct entry *entry, const OSDictionary *properties)
{
	value_auto OSDictionary *copy = value_deep_copy(properties);
	OSDictionary *merged;

	if (!copy)
		return -ENOMEM;
	/* A new table each time: a message that carries the old one may be waiting to be sent. */
	merged = value_merged(entry->set, copy);
	if (!merged)
		return -ENOMEM;
	value_unref(entry->set);
	entry->set = merged;
	return 0;
}

int
entry_remove_set(struct entry *entry, const char *key)
{
	if (!entry->set)
		return -ENOENT;
	value_remove(entry->set, key);
	return 0;
}

int
entry_adjust_busy(struct entry *entry, int32_t delta)
{
	bool was = entry->busy > 0;
	int64_t now = (int64_t)entry->busy + delta;

	if (now < 0 || now > INT32_MAX)
		return -ERANGE;
	entry->busy = (uint32_t)now;
	if (was == (now > 0))
		return 0;
	if (entry->registry && entry->registry->ops.busy_changed)
		entry->registry->ops.busy_changed(entry->registry->userdata, entry, now > 0);
	if (entry->links[PLANE_SERVICE].parent)
		entry_adjust_busy(entry->links[PLANE_SERVICE].parent, now > 0 ? 1 : -1);
	return 0;
}
