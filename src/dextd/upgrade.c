/* SPDX-License-Identifier: MIT */
/* One version of a bundle after another. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXRegistry.h>

#include "base/check.h"
#include "base/rules.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.upgrade"
#include "base/log.h"

enum upgrade_state { UPGRADE_STARTING, UPGRADE_BACK, UPGRADE_DONE, UPGRADE_STATE_COUNT };

static const unsigned upgrade_moves[UPGRADE_STATE_COUNT] = {
	[UPGRADE_STARTING] = 1u << UPGRADE_BACK | 1u << UPGRADE_DONE,
	[UPGRADE_BACK] = 1u << UPGRADE_DONE,
	[UPGRADE_DONE] = 0,
};

struct upgrade {
	struct adxi_list link; /* in realm->upgrades */
	struct realm *realm;   /* borrowed */
	enum upgrade_state state;
	struct bundle *old, *new; /* owned references */
	unsigned n_drivers;       /* that ran of the old one */
	bool posted;
	OSArray *problems;     /* owned reference */
	struct OSReply *reply; /* owned */
};

static void
upgrade_move(struct upgrade *upgrade, enum upgrade_state next)
{
	adxi_assert(upgrade_moves[upgrade->state] & 1u << next);
	upgrade->state = next;
}

/* @p id NULL: it was refused, or the old version is back; the problems say so. */
static void
answer(struct upgrade *upgrade, IOReturn status, const char *id)
{
	value_auto OSString *string = id ? value_string_new(id) : NULL;

	upgrade_move(upgrade, UPGRADE_DONE);
	adxi_list_remove(&upgrade->link);
	ADXRegistry_UpgradeBundle_Reply(upgrade->reply, status, string, upgrade->problems);
	bundle_unref(upgrade->old);
	bundle_unref(upgrade->new);
	value_unref(upgrade->problems);
	free(upgrade);
}

static unsigned
count_running(const struct realm *realm, const struct bundle *bundle)
{
	const struct service *service;
	unsigned n = 0;

	ADXI_LIST_EACH(service, &realm->services, link)
		n += service->personality && service->personality->bundle == bundle &&
		     service->state == SERVICE_RUNNING;
	return n;
}

static const char *
version(const struct bundle *bundle)
{
	return bundle->version ? bundle->version : "?";
}

/* The old version once more: it ran before, and nothing of it has changed. */
static void
go_back(struct upgrade *upgrade, const char *why)
{
	struct realm *realm = upgrade->realm;

	upgrade_move(upgrade, UPGRADE_BACK);
	adxi_tell(ADXI_RULE_SUP005, "version %s of %s %s: version %s is back",
		  version(upgrade->new), upgrade->new->id, why, version(upgrade->old));
	value_append_cstr(upgrade->problems, adxi_told_last());
	if (upgrade->new->loaded)
		realm_unload(realm, upgrade->new);
	if (catalogue_add(realm->catalogue, upgrade->old, upgrade->problems) == 0)
		provider_match_all(realm);
}

void
upgrade_begin(struct realm *realm, const char *path, struct OSReply *reply)
{
	struct upgrade *upgrade = calloc(1, sizeof *upgrade);
	struct bundle *old;
	char text[512];
	int r;

	if (!upgrade) {
		ADXRegistry_UpgradeBundle_Reply(reply, kIOReturnNoMemory, NULL, NULL);
		return;
	}
	upgrade->realm = realm;
	upgrade->reply = reply;
	adxi_list_append(&realm->upgrades, &upgrade->link);
	upgrade->problems = value_array_new();
	r = upgrade->problems ? bundle_read(path, upgrade->problems, &upgrade->new) : -ENOMEM;
	if (r < 0) {
		/* The old one stays as it is. */
		answer(upgrade, r == -EINVAL ? kIOReturnSuccess : kIOReturnNoMemory, NULL);
		return;
	}
	old = catalogue_find(realm->catalogue, upgrade->new->id);
	if (!old) {
		(void)snprintf(
			text, sizeof text,
			"%.200s is not loaded, so that there is nothing to upgrade: dext load",
			upgrade->new->id);
		value_append_cstr(upgrade->problems, text);
		answer(upgrade, kIOReturnSuccess, NULL);
		return;
	}
	upgrade->old = bundle_ref(old);
	upgrade->n_drivers = count_running(realm, old);
	realm_log(realm, NULL, "%s: version %s after version %s, of which %u drivers run", old->id,
		  version(upgrade->new), version(old), upgrade->n_drivers);
	realm_unload(realm, old);
	if (catalogue_add(realm->catalogue, upgrade->new, upgrade->problems) < 0) {
		go_back(upgrade, "cannot be loaded");
		return;
	}
	provider_match_all(realm);
	if (upgrade->n_drivers == 0)
		answer(upgrade, kIOReturnSuccess, upgrade->new->id);
}

static struct upgrade *
find(struct realm *realm, const struct bundle *bundle)
{
	struct upgrade *upgrade;

	ADXI_LIST_EACH(upgrade, &realm->upgrades, link)
		if (upgrade->new == bundle || upgrade->old == bundle)
			return upgrade;
	return NULL;
}

/* Not from inside the start's end: the pass that it belongs to goes on after it. */
static void
go_back_later(void *userdata)
{
	struct realm *realm = userdata;
	struct upgrade *upgrade, *next;

	ADXI_LIST_EACH_SAFE(upgrade, next, &realm->upgrades, link)
		if (upgrade->posted && upgrade->state == UPGRADE_STARTING)
			go_back(upgrade, "did not start");
}

void
upgrade_started(struct realm *realm, const struct service *service, bool ok)
{
	struct upgrade *upgrade =
		service->personality ? find(realm, service->personality->bundle) : NULL;

	if (!upgrade)
		return;
	if (ok && service->personality->bundle == upgrade->new &&
	    upgrade->state == UPGRADE_STARTING)
		answer(upgrade, kIOReturnSuccess, upgrade->new->id);
	else if (ok && service->personality->bundle == upgrade->old &&
		 upgrade->state == UPGRADE_BACK)
		answer(upgrade, kIOReturnSuccess, NULL);
	else if (!ok && service->personality->bundle == upgrade->new && !upgrade->posted)
		upgrade->posted = adxi_loop_post(realm->loop, go_back_later, realm) == 0;
}

/* Whoever was to start has, and no driver of it runs: what it matched no longer fits, or has gone.
 */
void
upgrade_check(struct realm *realm)
{
	struct upgrade *upgrade, *next;

	if (registry_root(realm->registry)->busy)
		return;
	ADXI_LIST_EACH_SAFE(upgrade, next, &realm->upgrades, link) {
		if (upgrade->state == UPGRADE_STARTING)
			go_back(upgrade, "fits no device that the old one drove");
		else
			answer(upgrade, kIOReturnSuccess, NULL);
	}
}

void
upgrade_forget_all(struct realm *realm)
{
	struct upgrade *upgrade, *next;

	ADXI_LIST_EACH_SAFE(upgrade, next, &realm->upgrades, link)
		answer(upgrade, kIOReturnOffline, NULL);
}
