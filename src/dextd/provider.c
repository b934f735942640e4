/* SPDX-License-Identifier: MIT */
/* Matching of drivers for one provider.
 *
 *   pass: candidates, best first --> one attempt a category, in parallel --> started, or the next
 * of the category all attempts ended --> matched crash: relaunch after a while, the category stays
 * taken --> pass for that personality alone
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/rules.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.provider"
#include "base/log.h"

#define CRASHES_KEPT 16u

/* One category in a pass. */
struct attempt {
	struct adxi_list link;      /* in provider->attempts */
	const char *category;       /* borrowed from the candidates' personalities */
	size_t next;                /* candidate to try after this one */
	struct personality *trying; /* borrowed */
};

/* What crashed on this provider. */
struct relaunch {
	struct adxi_list link;             /* in provider->relaunches */
	struct provider *provider;         /* borrowed */
	struct personality *personality;   /* owned reference */
	uint64_t crashes_ns[CRASHES_KEPT]; /* the last ones, by n_crashes modulo */
	unsigned n_crashes;
	struct adxi_source *timer; /* owned; set: the category is taken, the provider busy */
	bool quarantined;
};

struct provider {
	struct realm *realm; /* borrowed */
	struct entry *entry; /* borrowed: it owns this */
	struct adxi_list attempts;
	struct adxi_list relaunches;
	struct candidate *candidates; /* owned, each with a reference to its personality */
	size_t n_candidates;
	bool passing;
	bool beginning; /* attempts are being made: the pass cannot end yet */
	bool again;
};

static struct provider *
provider_get(struct realm *realm, struct entry *entry)
{
	struct provider *provider = entry->provider;

	if (provider)
		return provider;
	provider = calloc(1, sizeof *provider);
	if (!provider)
		return NULL;
	provider->realm = realm;
	provider->entry = entry;
	adxi_list_init(&provider->attempts);
	adxi_list_init(&provider->relaunches);
	entry->provider = provider;
	return provider;
}

static void
relaunch_free(struct relaunch *relaunch)
{
	adxi_list_remove(&relaunch->link);
	adxi_source_remove(relaunch->timer);
	personality_unref(relaunch->personality);
	free(relaunch);
}

static void
forget_candidates(struct provider *provider)
{
	size_t i;

	for (i = 0; i < provider->n_candidates; i++)
		personality_unref(provider->candidates[i].personality);
	free(provider->candidates);
	provider->candidates = NULL;
	provider->n_candidates = 0;
}

static void
attempt_free(struct attempt *attempt)
{
	adxi_list_remove(&attempt->link);
	free(attempt);
}

void
provider_end(struct entry *entry)
{
	struct provider *provider = entry->provider;
	struct relaunch *relaunch, *next_relaunch;
	struct attempt *attempt, *next;

	if (!provider)
		return;
	entry->provider = NULL;
	ADXI_LIST_EACH_SAFE(attempt, next, &provider->attempts, link)
		attempt_free(attempt);
	ADXI_LIST_EACH_SAFE(relaunch, next_relaunch, &provider->relaunches, link)
		relaunch_free(relaunch);
	forget_candidates(provider);
	free(provider);
}

/* ---------------------------------------------------------------------------------------------
 * Passes
 */

/* The driver that holds a category: started, starting, or ending. */
static struct service *
category_holder(const struct provider *provider, const char *category)
{
	const struct entry *child;

	ADXI_LIST_EACH(child, &provider->entry->links[PLANE_SERVICE].children,
		       links[PLANE_SERVICE].sibling)
		if (child->service && child->service->kind == SERVICE_DRIVER &&
		    !strcmp(child->service->personality->category, category))
			return child->service;
	return NULL;
}

static struct relaunch *
find_relaunch(const struct provider *provider, const struct personality *personality)
{
	struct relaunch *relaunch;

	ADXI_LIST_EACH(relaunch, &provider->relaunches, link)
		if (relaunch->personality == personality)
			return relaunch;
	return NULL;
}

static bool
category_waits_for_relaunch(const struct provider *provider, const char *category)
{
	const struct relaunch *relaunch;

	ADXI_LIST_EACH(relaunch, &provider->relaunches, link)
		if (relaunch->timer && !strcmp(relaunch->personality->category, category))
			return true;
	return false;
}

static struct attempt *
find_attempt(const struct provider *provider, const char *category)
{
	struct attempt *attempt;

	ADXI_LIST_EACH(attempt, &provider->attempts, link)
		if (!strcmp(attempt->category, category))
			return attempt;
	return NULL;
}

static void
pass_done(struct provider *provider)
{
	struct realm *realm = provider->realm;
	struct entry *entry = provider->entry;
	bool again = provider->again, first = !(entry->state & ENTRY_FIRST_MATCH);

	provider->passing = false;
	provider->again = false;
	forget_candidates(provider);
	entry->state |= ENTRY_MATCHED | ENTRY_FIRST_MATCH;
	entry_ref(entry);
	notify_entry(realm, NOTIFY_MATCHED, entry);
	if (first)
		notify_entry(realm, NOTIFY_FIRST_MATCH, entry);
	entry_adjust_busy(entry, -1);
	if (again)
		provider_match(realm, entry);
	entry_unref(entry);
}

/* On hardware IOResourceMatch waits for a resource. Only IOKit is ever published here, so that
 * waiting would be for ever. */
static bool
resource_is_there(const struct provider *provider, const struct personality *personality)
{
	const char *resource = value_get_cstr(personality->dict, "IOResourceMatch");

	if (!resource || entry_conforms(provider->entry, "IOUserResources") ||
	    entry_property(registry_user_resources(provider->realm->registry), resource))
		return true;
	adxi_tell(ADXI_RULE_T56, "personality '%s' of %s waits on %s for the resource '%s'",
		  personality->name, personality->bundle->id, entry_text(provider->entry),
		  resource);
	return false;
}

/* Next candidate of the attempt's category. False: there is none left. */
static bool
attempt_next(struct provider *provider, struct attempt *attempt)
{
	struct personality *personality;
	const struct relaunch *relaunch;
	int r;

	while (attempt->next < provider->n_candidates) {
		personality = provider->candidates[attempt->next++].personality;
		relaunch = find_relaunch(provider, personality);
		if (strcmp(personality->category, attempt->category) ||
		    !personality->bundle->loaded || (relaunch && relaunch->quarantined) ||
		    !resource_is_there(provider, personality))
			continue;
		attempt->trying = personality;
		r = service_start(provider->entry, personality, provider->realm);
		if (r == 0)
			return true;
		realm_log(provider->realm, NULL, "%s: personality '%s' of %s cannot be started: %s",
			  entry_text(provider->entry), personality->name, personality->bundle->id,
			  strerror(-r));
	}
	return false;
}

static void
tell_category_taken(const struct provider *provider, const struct candidate *candidate,
		    const struct service *holder)
{
	const struct personality *wants = candidate->personality;

	if (holder->personality == wants || holder->state != SERVICE_RUNNING)
		return;
	adxi_tell(ADXI_RULE_T53,
		  "personality '%s' of %s (score %d) waits: category '%s' of %s is held by %s",
		  wants->name, wants->bundle->id, candidate->score.score, wants->category,
		  entry_text(provider->entry), holder->personality->name);
}

static int
add_attempt(struct provider *provider, const char *category, size_t first)
{
	struct attempt *attempt = calloc(1, sizeof *attempt);

	if (!attempt)
		return -ENOMEM;
	attempt->category = category;
	attempt->next = first;
	adxi_list_append(&provider->attempts, &attempt->link);
	return 0;
}

/* Candidates are set: one attempt for each category that is free. An attempt may end inside
 * service_start(), so the pass counts as running until all are made. */
static void
pass_begin(struct provider *provider)
{
	const struct candidate *candidate;
	struct attempt *attempt, *next;
	struct service *holder;
	size_t i;

	provider->passing = true;
	entry_adjust_busy(provider->entry, 1);
	for (i = 0; i < provider->n_candidates; i++) {
		candidate = &provider->candidates[i];
		if (find_attempt(provider, candidate->personality->category))
			continue;
		holder = category_holder(provider, candidate->personality->category);
		if (holder) {
			tell_category_taken(provider, candidate, holder);
			continue;
		}
		if (!category_waits_for_relaunch(provider, candidate->personality->category))
			(void)add_attempt(provider, candidate->personality->category, i);
	}
	provider->beginning = true;
	ADXI_LIST_EACH_SAFE(attempt, next, &provider->attempts, link)
		if (!attempt_next(provider, attempt))
			attempt_free(attempt);
	provider->beginning = false;
	if (adxi_list_is_empty(&provider->attempts))
		pass_done(provider);
}

static bool
may_match(const struct realm *realm, const struct entry *entry)
{
	return realm->state == REALM_RUNNING && entry->registry &&
	       entry->state & ENTRY_REGISTERED && !(entry->state & ENTRY_INACTIVE);
}

void
provider_match(struct realm *realm, struct entry *entry)
{
	struct provider *provider;
	struct match_miss miss;
	ssize_t n, i;

	if (!may_match(realm, entry))
		return;
	provider = provider_get(realm, entry);
	if (!provider)
		return;
	if (provider->passing) {
		provider->again = true;
		return;
	}
	n = catalogue_candidates(realm->catalogue, entry, &provider->candidates, &miss);
	provider->n_candidates = n > 0 ? (size_t)n : 0;
	for (i = 0; i < n; i++)
		personality_ref(provider->candidates[i].personality);
	if (n == 0 && miss.stage >= 2 && entry->service && entry->service->kind == SERVICE_NUB)
		realm_log(realm, NULL, "%s: no personality fits; nearest: %s", entry_text(entry),
			  miss.text);
	pass_begin(provider);
}

void
provider_match_all(struct realm *realm)
{
	struct adxi_list *entries = registry_entries(realm->registry);
	struct entry *entry, *next;

	/* Matching attaches entries at the end; those are not registered yet. */
	ADXI_LIST_EACH_SAFE(entry, next, entries, link)
		provider_match(realm, entry);
}

void
provider_register(struct realm *realm, struct entry *entry)
{
	bool first = !(entry->state & ENTRY_FIRST_PUBLISH);

	if (entry->state & ENTRY_INACTIVE)
		return;
	entry_ref(entry);
	entry->state |= ENTRY_REGISTERED | ENTRY_FIRST_PUBLISH;
	notify_entry(realm, NOTIFY_PUBLISH, entry);
	if (first)
		notify_entry(realm, NOTIFY_FIRST_PUBLISH, entry);
	provider_match(realm, entry);
	entry_unref(entry);
}

/* ---------------------------------------------------------------------------------------------
 * Results
 */

void
provider_started(struct realm *realm, struct entry *entry, struct service *service, bool ok)
{
	struct provider *provider = entry->provider;
	struct attempt *attempt =
		provider ? find_attempt(provider, service->personality->category) : NULL;

	if (!attempt || attempt->trying != service->personality)
		return;
	if (!ok && may_match(realm, entry) && attempt_next(provider, attempt))
		return;
	attempt_free(attempt);
	if (!provider->beginning && adxi_list_is_empty(&provider->attempts))
		pass_done(provider);
}

/* Only the personality that crashed is tried again; the others have had their turn. */
static void
relaunch_now(struct adxi_source *source, void *userdata)
{
	struct relaunch *relaunch = userdata;
	struct provider *provider = relaunch->provider;
	struct realm *realm = provider->realm;
	struct entry *entry = entry_ref(provider->entry);

	relaunch->timer = adxi_source_remove(relaunch->timer);
	if (!may_match(realm, entry)) {
		entry_adjust_busy(entry, -1);
	} else if (provider->passing || !relaunch->personality->bundle->loaded) {
		provider_match(realm, entry);
		entry_adjust_busy(entry, -1);
	} else {
		provider->candidates = calloc(1, sizeof *provider->candidates);
		if (provider->candidates) {
			provider->candidates[0].personality =
				personality_ref(relaunch->personality);
			provider->n_candidates = 1;
		}
		/* When it cannot even start now, the others get their turn. */
		provider->again = true;
		pass_begin(provider);
		entry_adjust_busy(entry, -1);
	}
	entry_unref(entry);
}

static struct relaunch *
note_crash(struct provider *provider, struct personality *personality)
{
	const struct realm_config *config = &provider->realm->config;
	struct relaunch *relaunch = find_relaunch(provider, personality);
	uint64_t now = adxi_now_ns(), oldest;
	unsigned limit = config->crash_limit < CRASHES_KEPT ? config->crash_limit : CRASHES_KEPT;

	if (!relaunch) {
		relaunch = calloc(1, sizeof *relaunch);
		if (!relaunch)
			return NULL;
		relaunch->provider = provider;
		relaunch->personality = personality_ref(personality);
		adxi_list_append(&provider->relaunches, &relaunch->link);
	}
	/* Long peace starts the back-off anew. */
	if (relaunch->n_crashes &&
	    now - relaunch->crashes_ns[(relaunch->n_crashes - 1) % CRASHES_KEPT] >
		    config->crash_window_ns)
		relaunch->n_crashes = 0;
	relaunch->crashes_ns[relaunch->n_crashes++ % CRASHES_KEPT] = now;
	if (limit && relaunch->n_crashes >= limit) {
		oldest = relaunch->crashes_ns[(relaunch->n_crashes - limit) % CRASHES_KEPT];
		relaunch->quarantined = now - oldest <= config->crash_window_ns;
	}
	return relaunch;
}

static uint64_t
relaunch_delay(const struct realm_config *config, unsigned n_crashes)
{
	unsigned doublings = n_crashes - 2;

	if (n_crashes < 2)
		return 0;
	return config->relaunch_ns << (doublings < 8 ? doublings : 8);
}

static void
driver_crashed(struct provider *provider, struct service *service)
{
	struct realm *realm = provider->realm;
	struct entry *entry = provider->entry;
	struct relaunch *relaunch = note_crash(provider, service->personality);
	uint64_t delay;

	if (!relaunch)
		return;
	if (relaunch->quarantined) {
		adxi_tell(ADXI_RULE_SRV002,
			  "personality '%s' of %s crashed %u times on %s: not started again",
			  service->personality->name, service->personality->bundle->id,
			  relaunch->n_crashes, entry_text(entry));
		provider_match(realm, entry);
		return;
	}
	delay = relaunch_delay(&realm->config, relaunch->n_crashes);
	if (relaunch->n_crashes > 2)
		adxi_tell(ADXI_RULE_T70, "%s crashed %u times on %s, next start in %llu ms",
			  service->personality->user_class, relaunch->n_crashes, entry_text(entry),
			  delay / ADXI_NS_PER_MS);
	value_set_u64(entry->base, "IORematchCount", relaunch->n_crashes - 1);
	entry_adjust_busy(entry, 1);
	if (adxi_loop_add_timer(realm->loop, adxi_deadline_ns(delay), relaunch_now, relaunch,
				&relaunch->timer) < 0)
		entry_adjust_busy(entry, -1);
}

void
provider_driver_gone(struct realm *realm, struct entry *entry, struct service *service)
{
	struct provider *provider = provider_get(realm, entry);
	struct attempt *attempt =
		provider ? find_attempt(provider, service->personality->category) : NULL;

	if (attempt && attempt->trying == service->personality) {
		provider_started(realm, entry, service, false);
		return;
	}
	if (!may_match(realm, entry))
		return;
	if (!service->personality->bundle->loaded)
		provider_match(realm, entry);
	else if (provider && service->crashed && service->ran)
		driver_crashed(provider, service);
}

void
provider_forget_bundle(struct realm *realm, const struct bundle *bundle)
{
	struct relaunch *relaunch, *next;
	struct entry *entry;

	ADXI_LIST_EACH(entry, registry_entries(realm->registry), link) {
		if (!entry->provider)
			continue;
		ADXI_LIST_EACH_SAFE(relaunch, next, &entry->provider->relaunches, link) {
			if (relaunch->personality->bundle != bundle)
				continue;
			if (relaunch->timer)
				entry_adjust_busy(entry, -1);
			relaunch_free(relaunch);
		}
	}
}

void
provider_list_quarantine(struct realm *realm, const struct bundle *bundle, OSArray *array)
{
	const struct relaunch *relaunch;
	struct entry *entry;
	OSDictionary *dict;

	ADXI_LIST_EACH(entry, registry_entries(realm->registry), link) {
		if (!entry->provider)
			continue;
		ADXI_LIST_EACH(relaunch, &entry->provider->relaunches, link) {
			if (!relaunch->quarantined || relaunch->personality->bundle != bundle)
				continue;
			dict = value_dict_new();
			value_set_cstr(dict, "personality", relaunch->personality->name);
			value_set_cstr(dict, "provider", entry->name);
			value_set_u64(dict, "providerID", entry->id);
			value_set_u64(dict, "crashes", relaunch->n_crashes);
			value_append_new(array, dict);
		}
	}
}
