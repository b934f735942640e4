/* SPDX-License-Identifier: MIT */
/* A stranger's matching dictionary against a registry with a stranger's properties, and paths: the same answer twice, a miss that
 * says why, and every entry found by the path that it gives. */
#include "fuzz.h"

#include "dextd/bundle.h"
#include "dextd/matching.h"
#include "object/serialize.h"

#define ENTRIES 5u

/* A u16 length and so many bytes of a serialized value; NULL unless it is a dictionary that may be stored. */
static OSDictionary *
take_dictionary(struct fuzz *in, uint32_t limit)
{
	OSObject *object = NULL;
	const uint8_t *bytes;
	uint8_t *copy;
	size_t n;

	bytes = fuzz_bytes(in, fuzz_uint16(in), &n);
	copy = fuzz_exact(bytes, n);
	if (adxi_deserialize(copy, n, &object) < 0)
		object = NULL;
	free(copy);
	if (object && (!value_is(OSDictionary, object) || !value_is_storable(object, limit)))
		object = value_unref(object);
	return (OSDictionary *)object;
}

static void
match(const struct entry *entry, const OSDictionary *dict)
{
	struct match_miss miss = { .text = "?" };
	struct match_score score, again;
	const bool fits = match_passive(entry, dict, &score, &miss);
	const char *name;
	char text[512];

	FUZZ_CHECK(match_passive(entry, dict, &again, NULL) == fits);
	FUZZ_CHECK(!fits || match_score_compare(score, again) == 0);
	FUZZ_CHECK(fits || memchr(miss.text, '\0', sizeof miss.text));
	name = match_name(entry, dict);
	FUZZ_CHECK(!name || strlen(name) < 65536);
	if (match_family_problem(dict, text, sizeof text))
		FUZZ_CHECK(memchr(text, '\0', sizeof text) && text[0]);
}

static bool
ask_key(void *context, const char *key, const OSObject *value)
{
	const char *meant = match_misspelt(key);

	(void)context;
	(void)value;
	FUZZ_CHECK(!meant || (match_key_is_known(meant) && !match_key_is_known(key)));
	return false;
}

static void
ask_paths(struct registry *registry, struct entry *const *entries, unsigned n, struct fuzz *in)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned plane = 0; plane < PLANE_COUNT; plane++) {
			char *path = entry_path(entries[i], (enum plane)plane);

			/* Itself, or a brother of that name or in that place. */
			FUZZ_CHECK(!path || registry_find_path(registry, path));
			free(path);
		}
	}
	while (in->left > 0) {
		char *text = fuzz_text(in);

		(void)registry_find_path(registry, text);
		(void)registry_plane(text);
		free(text);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz in = { bytes, size };
	value_auto OSDictionary *dict = take_dictionary(&in, 4096);
	struct entry *entries[ENTRIES];
	struct registry *registry;
	unsigned n = 0;

	FUZZ_CHECK(registry_new(NULL, NULL, &registry) == 0);
	while (n < ENTRIES && in.left > 0) {
		static const char *const classes_of[] = { "IOUSBHostDevice", "IOUSBHostInterface", "IOUserService", "Other" };
		const uint8_t what = fuzz_uint8(&in);
		value_auto OSDictionary *base = take_dictionary(&in, 65536), *set = NULL;
		value_auto OSArray *classes = class_names_new(classes_of[what % 4]);
		char *name = fuzz_text(&in), *location = fuzz_text(&in);
		struct entry *entry;

		if (what & 0x10)
			set = take_dictionary(&in, 65536);
		if (entry_new(registry, classes, name, what & 0x20 ? location : NULL, base, &entry) == 0) {
			struct entry *parent = n && what & 0x40 ? entries[n - 1] : registry_root(registry);

			FUZZ_CHECK(entry_attach(entry, parent, PLANE_SERVICE) == 0);
			if (what & 0x80)
				FUZZ_CHECK(entry_attach(entry, registry_root(registry), PLANE_USB) == 0);
			if (set)
				FUZZ_CHECK(entry_merge_set(entry, set) == 0);
			entries[n++] = entry;
		}
		free(name);
		free(location);
	}
	for (unsigned i = 0; dict && i < n; i++)
		match(entries[i], dict);
	(void)value_each(dict, ask_key, NULL);
	ask_paths(registry, entries, n, &in);
	while (n > 0)
		entry_detach_all(entries[--n]);
	(void)registry_free(registry);
	return 0;
}
