/* SPDX-License-Identifier: MIT */
/* What a bundle asks for, and what the realm's owner grants it. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/rules.h"
#include "dextd/realm.h"
#include "dextd/sandbox_plan.h"

#define ASKS      "AmbidextSandbox"
#define ALL       "*"
#define COUNT_MAX 1048576u

enum kind { PATHS, TRUTH, COUNT };

static const struct key {
	const char *name;
	enum kind kind;
	unsigned rights;
} keys[] = {
	{ "ReadPaths", PATHS, PLACE_READ },
	{ "WritePaths", PATHS, PLACE_READ | PLACE_WRITE },
	{ "RunPaths", PATHS, PLACE_READ | PLACE_EXECUTE },
	{ "Network", TRUTH, 0 },
	{ "Debug", TRUTH, 0 },
	{ "Memory", COUNT, 0 }, /* MiB */
	{ "Processes", COUNT, 0 },
	{ "Files", COUNT, 0 },
};
#define N_KEYS (sizeof keys / sizeof keys[0])

struct asking {
	struct sandbox *sandbox;
	const char *id;             /* of the bundle */
	const OSDictionary *own;    /* borrowed: what the policy grants this bundle */
	const OSDictionary *common; /* and all */
	const struct key *key;
	const char *path; /* searched */
	int r;
};

static void
refuse(const struct asking *asking, const char *what)
{
	(void)adxi_tell(ADXI_RULE_SBX008, "%s asks for %s %s in " ASKS ", which %s", asking->id,
			asking->key->name, what,
			asking->sandbox->realm->config.grants
				? "the policy does not grant"
				: "nobody grants: dextd has no --policy with Sandbox");
}

static void
wrong(const struct asking *asking, const char *what)
{
	(void)adxi_tell(ADXI_RULE_SBX010, ASKS " of %s has %s", asking->id, what);
}

static void
note(const struct asking *asking, const char *what)
{
	char text[512];

	(void)snprintf(text, sizeof text, "%s %s", asking->key->name, what);
	value_append_cstr(asking->sandbox->granted, text);
}

static bool
covers(void *context, const OSObject *value)
{
	const struct asking *asking = context;
	const char *granted = value_cstr(value);
	size_t len = granted ? strlen(granted) : 0;

	return len > 1 && granted[0] == '/' && !strncmp(asking->path, granted, len) &&
	       (asking->path[len] == '\0' || asking->path[len] == '/');
}

static bool
path_granted(struct asking *asking)
{
	return value_each_member(value_get(asking->own, asking->key->name), covers, asking) ||
	       value_each_member(value_get(asking->common, asking->key->name), covers, asking);
}

static bool
ask_path(void *context, const OSObject *value)
{
	struct asking *asking = context;
	struct places *places = &asking->sandbox->places;
	unsigned rights = asking->key->rights;
	size_t before = places->n;
	int r;

	asking->path = value_cstr(value);
	if (!asking->path || asking->path[0] != '/' || strstr(asking->path, "/../") ||
	    strstr(asking->path, "/./") || strlen(asking->path) < 2) {
		wrong(asking, "a path that is no absolute one, without . and ..");
		return false;
	}
	if (!path_granted(asking)) {
		refuse(asking, asking->path);
		return false;
	}
	if (!strncmp(asking->path, "/dev/", 5))
		rights |= PLACE_DEVICE;
	r = places_add(places, asking->path, rights);
	for (; before < places->n; before++)
		places->list[before].granted = true;
	if (r == 0)
		note(asking, asking->path);
	else if (r == -ENOMEM)
		asking->r = r;
	return r == -ENOMEM;
}

static void
ask_truth(struct asking *asking, const OSObject *value)
{
	struct sandbox_grant *grant = &asking->sandbox->grant;
	const char *name = asking->key->name;

	if (!value_is_true(value))
		return;
	if (!value_is_true(value_get(asking->own, name)) &&
	    !value_is_true(value_get(asking->common, name))) {
		refuse(asking, "true");
		return;
	}
	if (!strcmp(name, "Network"))
		grant->network = true;
	else
		grant->debug = true;
	note(asking, "true");
}

static void
ask_count(struct asking *asking, const OSObject *value)
{
	struct sandbox_grant *grant = &asking->sandbox->grant;
	const char *name = asking->key->name;
	uint64_t wanted = 0, own = 0, common = 0;
	char text[32];

	if (!value_u64(value, &wanted) || wanted == 0 || wanted > COUNT_MAX) {
		wrong(asking, "a number that is none from 1 to 1048576");
		return;
	}
	(void)value_u64(value_get(asking->own, name), &own);
	(void)value_u64(value_get(asking->common, name), &common);
	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)wanted);
	if (wanted > own && wanted > common) {
		refuse(asking, text);
		return;
	}
	if (!strcmp(name, "Memory"))
		grant->memory = wanted << 20;
	else if (!strcmp(name, "Processes"))
		grant->processes = (uint32_t)wanted;
	else
		grant->files = (uint32_t)wanted;
	note(asking, text);
}

static bool
ask(void *context, const char *name, const OSObject *value)
{
	struct asking *asking = context;
	char text[160];
	size_t i;

	asking->key = NULL;
	for (i = 0; i < N_KEYS; i++)
		if (!strcmp(keys[i].name, name))
			asking->key = &keys[i];
	if (!asking->key) {
		(void)snprintf(text, sizeof text, "the key '%.100s', which is not known", name);
		wrong(asking, text);
		return false;
	}
	switch (asking->key->kind) {
	case PATHS:
		(void)value_each_member(value, ask_path, asking);
		break;
	case TRUTH:
		ask_truth(asking, value);
		break;
	case COUNT:
		ask_count(asking, value);
		break;
	}
	return asking->r < 0;
}

int
policy_apply(struct sandbox *sandbox, const char *bundle_id, const OSDictionary *info)
{
	const OSDictionary *asks = value_as(OSDictionary, value_get(info, ASKS));
	const OSDictionary *grants = sandbox->realm->config.grants;
	struct asking asking = { .sandbox = sandbox, .id = bundle_id };

	if (!asks)
		return 0;
	asking.own = value_as(OSDictionary, value_get(grants, bundle_id));
	asking.common = value_as(OSDictionary, value_get(grants, ALL));
	(void)value_each(asks, ask, &asking);
	return asking.r;
}
