/* SPDX-License-Identifier: MIT */
/* Passive matching. The order of the steps is the contract; the USB family's rules are a table. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dextd/matching.h"

#define MATCH_DEPTH_MAX 8

struct attempt {
	const struct entry *entry;
	const OSDictionary *dict;
	struct match_miss *miss; /* may be NULL */
	uint32_t used;           /* keys of dict that steps have consumed */
	unsigned stage;
	unsigned depth;
	int32_t score;
	int32_t tie;
};

__attribute__((format(printf, 2, 3))) static bool
fails(struct attempt *attempt, const char *fmt, ...)
{
	va_list ap;

	if (attempt->miss) {
		attempt->miss->stage = attempt->stage;
		va_start(ap, fmt);
		(void)vsnprintf(attempt->miss->text, sizeof attempt->miss->text, fmt, ap);
		va_end(ap);
	}
	return false;
}

/* ---------------------------------------------------------------------------------------------
 * Values
 */

static bool
differs(struct attempt *attempt, const char *key, const OSObject *wanted, const OSObject *found)
{
	char a[128], b[128];

	if (attempt->miss && found && strcmp(value_type(wanted), value_type(found)))
		attempt->miss->type_differs = true;
	return fails(attempt, "%s: wanted %s, %s has %s", key, value_text(wanted, a, sizeof a),
		     entry_text(attempt->entry), value_text(found, b, sizeof b));
}

static bool
property_fits(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	const OSObject *found = entry_property(attempt->entry, key);

	return (found && value_equal(wanted, found)) || differs(attempt, key, wanted, found);
}

struct any_of {
	struct attempt *attempt;
	bool usable;
};

static bool
pair_does_not_fit(void *context, const char *key, const OSObject *wanted)
{
	return !property_fits(context, key, wanted);
}

static bool
properties_fit(void *context, const OSObject *value)
{
	struct any_of *any = context;
	OSDictionary *dict = value_as(OSDictionary, value);

	if (!dict)
		return fails(
			any->attempt,
			"IOPropertyMatch holds a %s; it takes a dictionary, or an array of them",
			value_type(value));
	return !value_each(dict, pair_does_not_fit, any->attempt);
}

static bool
property_exists(void *context, const OSObject *value)
{
	struct any_of *any = context;
	const char *key = value_cstr(value);

	if (!key)
		return fails(
			any->attempt,
			"IOPropertyExistsMatch holds a %s; it takes a string, or an array of them",
			value_type(value));
	return entry_property(any->attempt->entry, key) ||
	       fails(any->attempt, "IOPropertyExistsMatch: %s has no property '%s'",
		     entry_text(any->attempt->entry), key);
}

static bool
resource_is_missing(void *context, const OSObject *value)
{
	struct any_of *any = context;
	const char *key = value_cstr(value);

	if (key && entry_property(any->attempt->entry, key))
		return false;
	fails(any->attempt, "resource '%s' is not published by %s", key ? key : value_type(value),
	      entry_text(any->attempt->entry));
	return true;
}

struct name_search {
	const char *name;
	const char *found;
};

static bool
is_name(void *context, const OSObject *value)
{
	struct name_search *search = context;
	const char *name = value_cstr(value);

	if (!name || strcmp(name, search->name))
		return false;
	search->found = name;
	return true;
}

const char *
match_name(const struct entry *entry, const OSDictionary *dict)
{
	struct name_search search = { .name = entry->name };

	value_each_member(value_get(dict, "IONameMatch"), is_name, &search);
	return search.found;
}

/* ---------------------------------------------------------------------------------------------
 * Steps
 */

static bool
step_class(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	const char *name = value_cstr(wanted);
	const char *user_class = entry_property_cstr(attempt->entry, "IOUserClass");

	if (name && entry_conforms(attempt->entry, name))
		return true;
	if (name && user_class && !strcmp(user_class, name)) {
		attempt->stage += 8;
		return fails(attempt,
			     "IOProviderClass '%s' is the IOUserClass of %s, whose class is %s; "
			     "match it by IONameMatch "
			     "(IOServiceNameMatching) or IOPropertyMatch {IOUserClass}",
			     name, entry_text(attempt->entry), entry_class(attempt->entry));
	}
	return fails(attempt, "IOProviderClass: wanted '%s', %s is a %s",
		     name ? name : value_type(wanted), entry_text(attempt->entry),
		     entry_class(attempt->entry));
}

static bool
step_name(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	char text[128];

	return match_name(attempt->entry, attempt->dict) ||
	       fails(attempt, "IONameMatch: wanted %s, the name is '%s'",
		     value_text(wanted, text, sizeof text), attempt->entry->name);
}

static bool
step_location(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	const char *text = value_cstr(wanted);

	if (value_is(OSDictionary, wanted))
		return true; /* comes last */
	if (text && attempt->entry->location && !strcmp(text, attempt->entry->location))
		return true;
	return fails(attempt, "IOLocationMatch: wanted '%s', %s is at '%s'",
		     text ? text : value_type(wanted), entry_text(attempt->entry),
		     attempt->entry->location ? attempt->entry->location : "");
}

static bool
step_properties(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	struct any_of any = { .attempt = attempt };

	return value_each_member(wanted, properties_fit, &any);
}

static bool
step_exists(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	struct any_of any = { .attempt = attempt };

	return value_each_member(wanted, property_exists, &any);
}

static bool
step_path(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	const char *path = value_cstr(wanted);

	if (path && attempt->entry->registry &&
	    registry_find_path(attempt->entry->registry, path) == attempt->entry)
		return true;
	return fails(attempt, "IOPathMatch: %s is not at '%s'", entry_text(attempt->entry),
		     path ? path : value_type(wanted));
}

static bool
step_id(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	uint64_t id;

	if (value_u64(wanted, &id) && id == attempt->entry->id)
		return true;
	return fails(attempt, "IORegistryEntryID: %s is another entry", entry_text(attempt->entry));
}

static bool
step_count(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	const struct entry *child;
	uint64_t count = 0, number;

	ADXI_LIST_EACH(child, &attempt->entry->links[PLANE_SERVICE].children,
		       links[PLANE_SERVICE].sibling)
		if (!(child->state & ENTRY_INACTIVE) && entry_property(child, "IOMatchCategory"))
			count++;
	if (value_u64(wanted, &number) && number == count)
		return true;
	return fails(attempt, "IOMatchedServiceCountMatch: %s has %" PRIu64 " matched services",
		     entry_text(attempt->entry), count);
}

static bool
step_property(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	return property_fits(attempt, key, wanted);
}

static bool
step_resource(struct attempt *attempt, const char *key, const OSObject *wanted)
{
	struct any_of any = { .attempt = attempt };

	/* On hardware it is no criterion: the start waits for it. */
	if (!entry_conforms(attempt->entry, "IOResources") &&
	    !entry_conforms(attempt->entry, "IOUserResources"))
		return true;
	return !value_each_member(wanted, resource_is_missing, &any);
}

static const struct match_step {
	const char *key;
	bool (*fits)(struct attempt *attempt, const char *key, const OSObject *wanted);
} steps[] = {
	{ "IOProviderClass", step_class },
	{ "IONameMatch", step_name },
	{ "IOLocationMatch", step_location },
	{ "IOPropertyMatch", step_properties },
	{ "IOPropertyExistsMatch", step_exists },
	{ "IOPathMatch", step_path },
	{ "IORegistryEntryID", step_id },
	{ "IOMatchedServiceCountMatch", step_count },
	{ "BSD Name", step_property },
	{ "BSD Major", step_property },
	{ "BSD Minor", step_property },
	{ "BSD Unit", step_property },
	{ "IOResourceMatch", step_resource },
	{ "IOResourceMatched", step_resource },
};

/* ---------------------------------------------------------------------------------------------
 * The USB family
 */

enum usb_key {
	USB_VENDOR,
	USB_PRODUCT,
	USB_RELEASE,
	USB_DEVICE_CLASS,
	USB_DEVICE_SUBCLASS,
	USB_DEVICE_PROTOCOL,
	USB_CONFIGURATION,
	USB_NUMBER,
	USB_CLASS,
	USB_SUBCLASS,
	USB_PROTOCOL,
	USB_PRODUCT_ARRAY, /* stands for USB_PRODUCT */
	USB_SPEED,         /* from here on: may be added to any set */
	USB_PORT_TYPE,
	USB_PRODUCT_MASK,
	USB_KEY_COUNT,
};

static const char *const usb_keys[USB_KEY_COUNT] = {
	[USB_VENDOR] = "idVendor",
	[USB_PRODUCT] = "idProduct",
	[USB_RELEASE] = "bcdDevice",
	[USB_DEVICE_CLASS] = "bDeviceClass",
	[USB_DEVICE_SUBCLASS] = "bDeviceSubClass",
	[USB_DEVICE_PROTOCOL] = "bDeviceProtocol",
	[USB_CONFIGURATION] = "bConfigurationValue",
	[USB_NUMBER] = "bInterfaceNumber",
	[USB_CLASS] = "bInterfaceClass",
	[USB_SUBCLASS] = "bInterfaceSubClass",
	[USB_PROTOCOL] = "bInterfaceProtocol",
	[USB_PRODUCT_ARRAY] = "idProductArray",
	[USB_SPEED] = "USBSpeed",
	[USB_PORT_TYPE] = "USBPortType",
	[USB_PRODUCT_MASK] = "idProductMask",
};

#define BIT(key) (1u << USB_##key)

enum usb_vendor_class { CLASS_ANY, CLASS_VENDOR, CLASS_STANDARD };

struct usb_row {
	uint32_t keys;
	int32_t score;
	enum usb_vendor_class class;
};

static const struct usb_row device_rows[] = {
	{ BIT(VENDOR) | BIT(PRODUCT) | BIT(RELEASE), 100000, CLASS_ANY },
	{ BIT(VENDOR) | BIT(PRODUCT), 90000, CLASS_ANY },
	{ BIT(VENDOR) | BIT(DEVICE_SUBCLASS) | BIT(DEVICE_PROTOCOL), 80000, CLASS_VENDOR },
	{ BIT(VENDOR) | BIT(DEVICE_SUBCLASS), 70000, CLASS_VENDOR },
	{ BIT(DEVICE_CLASS) | BIT(DEVICE_SUBCLASS) | BIT(DEVICE_PROTOCOL), 60000, CLASS_STANDARD },
	{ BIT(DEVICE_CLASS) | BIT(DEVICE_SUBCLASS), 50000, CLASS_STANDARD },
	{ 0, 0, CLASS_ANY },
};

#define NUMBERED (BIT(VENDOR) | BIT(PRODUCT) | BIT(NUMBER) | BIT(CONFIGURATION))

static const struct usb_row interface_rows[] = {
	{ NUMBERED | BIT(RELEASE), 100000, CLASS_ANY },
	{ NUMBERED, 90000, CLASS_ANY },
	{ BIT(VENDOR) | BIT(SUBCLASS) | BIT(PROTOCOL), 80000, CLASS_VENDOR },
	{ BIT(VENDOR) | BIT(SUBCLASS), 70000, CLASS_VENDOR },
	{ BIT(CLASS) | BIT(SUBCLASS) | BIT(PROTOCOL), 60000, CLASS_STANDARD },
	{ BIT(CLASS) | BIT(SUBCLASS), 50000, CLASS_STANDARD },
	{ 0, 0, CLASS_ANY },
};

static const struct usb_family {
	const char *provider_class;
	const struct usb_row *rows;
	enum usb_key class_key;
} usb_families[] = {
	{ "IOUSBHostDevice", device_rows, USB_DEVICE_CLASS },
	{ "IOUSBHostInterface", interface_rows, USB_CLASS },
};

static uint32_t
usb_keys_of(const OSDictionary *dict)
{
	uint32_t keys = 0;
	unsigned i;

	for (i = 0; i < USB_KEY_COUNT; i++)
		if (value_get(dict, usb_keys[i]))
			keys |= 1u << i;
	return keys;
}

/* The set that rows are compared with. */
static uint32_t
usb_set(uint32_t keys)
{
	if (keys & BIT(PRODUCT_ARRAY))
		keys |= BIT(PRODUCT);
	return keys & (BIT(PRODUCT_ARRAY) - 1u);
}

static void
usb_set_text(uint32_t keys, char *buf, size_t size)
{
	size_t len = 0;
	unsigned i;

	buf[0] = '\0';
	for (i = 0; i < USB_SPEED && len < size; i++)
		if (keys & 1u << i)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? " + " : "",
						usb_keys[i]);
}

static const struct usb_row *
usb_row(const struct usb_family *family, uint32_t set)
{
	const struct usb_row *row;

	for (row = family->rows; row->keys; row++)
		if (row->keys == set)
			return row;
	return NULL;
}

struct product_search {
	uint64_t mask;
	uint64_t found;
};

static bool
is_product(void *context, const OSObject *value)
{
	struct product_search *search = context;
	uint64_t number;

	return value_u64(value, &number) &&
	       (number & search->mask) == (search->found & search->mask);
}

static bool
usb_product_fits(struct attempt *attempt)
{
	struct product_search search = { .mask = UINT64_MAX };
	const OSObject *one = value_get(attempt->dict, "idProduct");
	const OSObject *array = value_get(attempt->dict, "idProductArray");
	const OSObject *mask = value_get(attempt->dict, "idProductMask");
	const OSObject *found = entry_property(attempt->entry, "idProduct");

	if (mask && !value_u64(mask, &search.mask))
		return fails(attempt, "idProductMask is a %s; it takes a number", value_type(mask));
	if (!value_u64(found, &search.found))
		return differs(attempt, "idProduct", one ? one : array, found);
	if (one && is_product(&search, one))
		return true;
	if (array && !value_is(OSArray, array))
		return fails(attempt, "idProductArray is a %s; it takes an array of numbers",
			     value_type(array));
	if (array && value_each_member(array, is_product, &search))
		return true;
	return differs(attempt, one ? "idProduct" : "idProductArray", one ? one : array, found);
}

static bool
usb_fits(struct attempt *attempt, const struct usb_family *family)
{
	uint32_t keys = usb_keys_of(attempt->dict), set = usb_set(keys);
	const struct usb_row *row = usb_row(family, set);
	const OSObject *wanted;
	uint64_t class_code = 0;
	char text[200];
	unsigned i;

	if (set && !row) {
		usb_set_text(keys, text, sizeof text);
		return fails(attempt, "%s is not a set of keys that %s matches by", text,
			     family->provider_class);
	}
	for (i = 0; i < USB_KEY_COUNT; i++) {
		wanted = value_get(attempt->dict, usb_keys[i]);
		if (!wanted || i == USB_PRODUCT || i == USB_PRODUCT_ARRAY || i == USB_PRODUCT_MASK)
			continue;
		if (!property_fits(attempt, usb_keys[i], wanted))
			return false;
	}
	if (set & BIT(PRODUCT) && !usb_product_fits(attempt))
		return false;
	if (!row)
		return true;
	if (row->class != CLASS_ANY) {
		value_u64(entry_property(attempt->entry, usb_keys[family->class_key]), &class_code);
		if ((class_code == 0xff) != (row->class == CLASS_VENDOR)) {
			usb_set_text(keys, text, sizeof text);
			return fails(attempt, "%s matches only where %s is %s 255; %s has %" PRIu64,
				     text, usb_keys[family->class_key],
				     row->class == CLASS_VENDOR ? "" : "not",
				     entry_text(attempt->entry), class_code);
		}
	}
	attempt->tie = attempt->score;
	attempt->score = row->score;
	return true;
}

static bool
family_fits(struct attempt *attempt)
{
	size_t i;

	for (i = 0; i < sizeof usb_families / sizeof usb_families[0]; i++)
		if (entry_conforms(attempt->entry, usb_families[i].provider_class))
			return usb_fits(attempt, &usb_families[i]);
	return true;
}

bool
match_family_problem(const OSDictionary *dict, char *buf, size_t size)
{
	const char *class_name = value_get_cstr(dict, "IOProviderClass");
	const struct usb_family *family = NULL;
	uint32_t keys = usb_keys_of(dict);
	const OSObject *value;
	char text[200];
	unsigned i;

	for (i = 0; class_name && i < sizeof usb_families / sizeof usb_families[0]; i++)
		if (!strcmp(class_name, usb_families[i].provider_class))
			family = &usb_families[i];
	if (!family)
		return false;
	for (i = 0; i < USB_KEY_COUNT; i++) {
		value = value_get(dict, usb_keys[i]);
		if (!value)
			continue;
		if (i == USB_PRODUCT_ARRAY ? value_is(OSArray, value) : value_is(OSNumber, value))
			continue;
		(void)snprintf(buf, size, "%s is %s; it takes %s, so it would never match",
			       usb_keys[i], value_text(value, text, sizeof text),
			       i == USB_PRODUCT_ARRAY ? "an array of numbers" : "a number");
		return true;
	}
	if (!usb_set(keys) || usb_row(family, usb_set(keys)))
		return false;
	usb_set_text(keys, text, sizeof text);
	(void)snprintf(
		buf, size,
		"%s is not a set of keys that %s matches by; use idVendor + idProduct%s, or one of "
		"the other sets (dext explain CAT013)",
		text, class_name,
		family->rows == interface_rows ? " + bInterfaceNumber + bConfigurationValue" : "");
	return true;
}

/* ---------------------------------------------------------------------------------------------
 * All together
 */

static bool
attempt_all(struct attempt *attempt)
{
	const OSObject *wanted;
	struct attempt parent;
	size_t i;

	if (attempt->depth > MATCH_DEPTH_MAX)
		return fails(attempt, "IOParentMatch is nested deeper than %d", MATCH_DEPTH_MAX);
	for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		wanted = value_get(attempt->dict, steps[i].key);
		if (!wanted)
			continue;
		attempt->stage = (unsigned)i + 1;
		if (!steps[i].fits(attempt, steps[i].key, wanted))
			return attempt->miss && !*attempt->miss->text
				       ? fails(attempt, "%s is empty", steps[i].key)
				       : false;
		if (!value_is(OSDictionary, wanted) || steps[i].fits != step_location)
			attempt->used++;
	}
	if (attempt->used == value_count(attempt->dict))
		return true;
	attempt->stage = 20;
	if (!family_fits(attempt))
		return false;
	attempt->stage = 21;
	wanted = value_get(attempt->dict, "IOParentMatch");
	if (wanted) {
		parent = *attempt;
		parent.dict = value_as(OSDictionary, wanted);
		parent.depth++;
		parent.miss = NULL;
		if (!parent.dict)
			return fails(attempt, "IOParentMatch is a %s; it takes a dictionary",
				     value_type(wanted));
		do {
			parent.entry = entry_parent(parent.entry, PLANE_SERVICE);
			parent.used = 0;
		} while (parent.entry && !attempt_all(&parent));
		if (!parent.entry)
			return fails(attempt, "IOParentMatch: nothing above %s fits it",
				     entry_text(attempt->entry));
	}
	attempt->stage = 22;
	wanted = value_get(attempt->dict, "IOLocationMatch");
	if (wanted && value_is(OSDictionary, wanted)) {
		parent = *attempt;
		parent.dict = value_as(OSDictionary, wanted);
		parent.depth++;
		parent.used = 0;
		parent.miss = NULL;
		parent.entry = entry_parent(attempt->entry, PLANE_SERVICE);
		if (!parent.entry || !attempt_all(&parent))
			return fails(attempt, "IOLocationMatch: the provider of %s does not fit it",
				     entry_text(attempt->entry));
	}
	return true;
}

bool
match_passive(const struct entry *entry, const OSDictionary *dict, struct match_score *ret_score,
	      struct match_miss *reterr_miss)
{
	struct attempt attempt = { .entry = entry, .dict = dict, .miss = reterr_miss };
	uint64_t probe = 0;

	if (reterr_miss)
		memset(reterr_miss, 0, sizeof *reterr_miss);
	value_u64(value_get(dict, "IOProbeScore"), &probe);
	attempt.score = (int32_t)probe;
	if (!attempt_all(&attempt))
		return false;
	if (ret_score)
		*ret_score = (struct match_score){ .score = attempt.score, .tie = attempt.tie };
	return true;
}

int
match_score_compare(struct match_score a, struct match_score b)
{
	if (a.score != b.score)
		return a.score < b.score ? -1 : 1;
	return a.tie < b.tie ? -1 : a.tie > b.tie;
}

/* ---------------------------------------------------------------------------------------------
 * Keys, for finding what was misspelt
 */

static const char *const other_keys[] = {
	"IOParentMatch",
	"IOClass",
	"IOUserClass",
	"IOUserServerName",
	"IOUserServerOneProcess",
	"IOUserServerPreserveUserspaceReboot",
	"IOUserServerCDHash",
	"IOProbeScore",
	"IOMatchCategory",
	"IOMatchDefer",
	"IOServiceDEXTEntitlements",
	"IOUserClientEntitlements",
	"IOUserClientSharedInstance",
	"IOUserClientDefaultLocking",
	"IOUserClientDefaultLockingSetProperties",
	"IOUserClientDefaultLockingSingleThreadExternalMethod",
	"IORegistryEntryAllowableSetProperties",
	"IOSupportedProperties",
	"IOPersonalityPublisher",
	"IOMatchedPersonality",
	"CFBundleIdentifier",
	"CFBundleIdentifierKernel",
	"UserClientProperties",
	"IOName",
	"IOLocation",
};

static const char *
key_at(size_t i)
{
	const size_t n_steps = sizeof steps / sizeof steps[0];

	if (i < n_steps)
		return steps[i].key;
	i -= n_steps;
	if (i < USB_KEY_COUNT)
		return usb_keys[i];
	i -= USB_KEY_COUNT;
	return i < sizeof other_keys / sizeof other_keys[0] ? other_keys[i] : NULL;
}

bool
match_key_is_known(const char *key)
{
	const char *known;
	size_t i;

	for (i = 0; (known = key_at(i)); i++)
		if (!strcmp(known, key))
			return true;
	return false;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Edits between two texts, case counting as none; stops being exact above 2. */
static unsigned
edit_distance(const char *a, const char *b)
{
	unsigned row[64], diagonal, above, best;
	size_t n = strlen(b), i, j;

	if (n >= sizeof row / sizeof row[0] || strlen(a) >= sizeof row / sizeof row[0])
		return 99;
	for (j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (i = 1; a[i - 1]; i++) {
		diagonal = row[0];
		row[0] = (unsigned)i;
		for (j = 1; j <= n; j++) {
			above = row[j];
			best = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[n];
}

const char *
match_misspelt(const char *key)
{
	const char *known, *nearest = NULL;
	unsigned distance, best = 3;
	size_t i;

	if (strlen(key) < 6 || match_key_is_known(key))
		return NULL;
	for (i = 0; (known = key_at(i)); i++) {
		distance = edit_distance(key, known);
		if (distance < best) {
			best = distance;
			nearest = known;
		}
	}
	return nearest;
}
