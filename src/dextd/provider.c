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

/* One category in a pass. */
struct attempt {
	struct adxi_list link;      /* in provider->attempts */
	const char *category;       /* borrowed from the candidates' personalities */
	size_t next;                /* candidate to try after this one */
	struct personality *trying; /* borrowed */
};

/* What crashed on this provider. */
struct relaunch {
	struct adxi_list link;           /* in provider->relaunches */
	struct provider *provider;       /* borrowed */
	struct personality *personality; /* owned reference */
	struct supervised
		*supervised; /* owned; waiting: the category is taken, the provider busy */
	uint64_t server_id;  /* its process is not reaped yet: the same; 0: not so */
	uint64_t ran_ns;     /* of that process's service */
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
	supervised_free(relaunch->supervised);
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
relaunch_is_coming(const struct relaunch *relaunch)
{
	return relaunch->server_id || supervised_is_waiting(relaunch->supervised, NULL);
}

static bool
is_quarantined(const struct relaunch *relaunch)
{
	return supervised_record(relaunch->supervised)->quarantined;
}

static bool
category_waits_for_relaunch(const struct provider *provider, const char *category)
{
	const struct relaunch *relaunch;

	ADXI_LIST_EACH(relaunch, &provider->relaunches, link)
		if (relaunch_is_coming(relaunch) &&
		    !strcmp(relaunch->personality->category, category))
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
		    !personality->bundle->loaded || (relaunch && is_quarantined(relaunch)) ||
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

	upgrade_started(realm, service, ok);
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
relaunch_now(void *userdata)
{
	struct relaunch *relaunch = userdata;
	struct provider *provider = relaunch->provider;
	struct realm *realm = provider->realm;
	struct entry *entry = entry_ref(provider->entry);

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
relaunch_get(struct provider *provider, struct personality *personality)
{
	struct relaunch *relaunch = find_relaunch(provider, personality);
	struct realm *realm = provider->realm;

	if (relaunch)
		return relaunch;
	relaunch = calloc(1, sizeof *relaunch);
	if (!relaunch)
		return NULL;
	if (supervised_new(realm->loop, &realm->config.restart, false, relaunch_now, relaunch,
			   &relaunch->supervised) < 0) {
		free(relaunch);
		return NULL;
	}
	relaunch->provider = provider;
	relaunch->personality = personality_ref(personality);
	adxi_list_append(&provider->relaunches, &relaunch->link);
	return relaunch;
}

static void
driver_ended(struct relaunch *relaunch, uint64_t ran_ns, enum ending_kind ending)
{
	struct provider *provider = relaunch->provider;
	struct personality *personality = relaunch->personality;
	struct entry *entry = provider->entry;
	int r = supervised_ended(relaunch->supervised, ran_ns, ending_is_fault(ending));
	const struct supervise_record *record = supervised_record(relaunch->supervised);

	if (r == -EPERM) {
		adxi_tell(ADXI_RULE_SRV002,
			  "personality '%s' of %s crashed %u times on %s: not started again",
			  personality->name, personality->bundle->id, record->n_faults,
			  entry_text(entry));
		provider_match(provider->realm, entry);
		return;
	}
	if (r < 0)
		return;
	value_set_u64(entry->base, "IORematchCount", record->n_ends - 1);
	entry_adjust_busy(entry, 1);
	if (record->n_faults > 2 && ending_is_fault(ending))
		adxi_tell(ADXI_RULE_T70, "%s crashed %u times on %s, next start in %llu ms",
			  personality->user_class, record->n_faults, entry_text(entry),
			  supervised_delay_ns(relaunch->supervised) / ADXI_NS_PER_MS);
}

/* What ended it decides, and that is known when it is reaped: the channel breaks just before. */
static void
driver_crashed(struct provider *provider, const struct service *service)
{
	struct relaunch *relaunch = relaunch_get(provider, service->personality);

	if (!relaunch || relaunch_is_coming(relaunch))
		return;
	if (service->server->ending) {
		driver_ended(relaunch, service->ran_ns, service->server->ending);
		return;
	}
	relaunch->server_id = service->server->id;
	relaunch->ran_ns = service->ran_ns;
	entry_adjust_busy(provider->entry, 1);
}

void
provider_server_ended(struct realm *realm, const struct server *server)
{
	struct relaunch *relaunch, *next;
	struct entry *entry, *next_entry;

	ADXI_LIST_EACH_SAFE(entry, next_entry, registry_entries(realm->registry), link) {
		if (!entry->provider)
			continue;
		ADXI_LIST_EACH_SAFE(relaunch, next, &entry->provider->relaunches, link) {
			if (relaunch->server_id != server->id)
				continue;
			relaunch->server_id = 0;
			driver_ended(relaunch, relaunch->ran_ns, server->ending);
			entry_adjust_busy(entry, -1);
		}
	}
}

unsigned
provider_unquarantine(struct realm *realm, const char *name)
{
	struct relaunch *relaunch;
	struct entry *entry, *next;
	unsigned n = 0, before;

	ADXI_LIST_EACH_SAFE(entry, next, registry_entries(realm->registry), link) {
		before = n;
		if (!entry->provider)
			continue;
		ADXI_LIST_EACH(relaunch, &entry->provider->relaunches, link) {
			if (!is_quarantined(relaunch) ||
			    (name && strcmp(name, relaunch->personality->name) &&
			     strcmp(name, relaunch->personality->bundle->id)))
				continue;
			supervised_pardon(relaunch->supervised);
			realm_log(realm, NULL, "personality '%s' of %s is out of quarantine on %s",
				  relaunch->personality->name, relaunch->personality->bundle->id,
				  entry_text(entry));
			n++;
		}
		if (n > before)
			provider_match(realm, entry);
	}
	return n;
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
			if (relaunch_is_coming(relaunch))
				entry_adjust_busy(entry, -1);
			relaunch_free(relaunch);
		}
	}
}

static OSDictionary *
restart_dict(const struct entry *entry, const struct relaunch *relaunch)
{
	const struct supervise_record *record = supervised_record(relaunch->supervised);
	OSDictionary *dict = value_dict_new();
	uint64_t left_ns = 0;
	bool waits = supervised_is_waiting(relaunch->supervised, &left_ns);

	value_set_cstr(dict, "personality", relaunch->personality->name);
	value_set_cstr(dict, "provider", entry->name);
	value_set_u64(dict, "providerID", entry->id);
	value_set_u64(dict, "crashes", record->n_faults);
	value_set_u64(dict, "ends", record->n_ends);
	value_set_cstr(dict, "state",
		       record->quarantined            ? "quarantined"
		       : relaunch->server_id || waits ? "waiting"
						      : "started");
	if (waits)
		value_set_u64(dict, "nextMs", left_ns / ADXI_NS_PER_MS);
	return dict;
}

void
provider_list_restarts(struct realm *realm, const struct bundle *bundle, bool quarantined,
		       OSArray *array)
{
	const struct relaunch *relaunch;
	struct entry *entry;

	ADXI_LIST_EACH(entry, registry_entries(realm->registry), link) {
		if (!entry->provider)
			continue;
		ADXI_LIST_EACH(relaunch, &entry->provider->relaunches, link)
			if (relaunch->personality->bundle == bundle &&
			    (!quarantined || is_quarantined(relaunch)))
				value_append_new(array, restart_dict(entry, relaunch));
	}
}
