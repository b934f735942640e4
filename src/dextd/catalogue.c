/* SPDX-License-Identifier: MIT */
/* Loaded bundles in order, and the choice among their personalities. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rules.h"
#include "dextd/catalogue.h"

struct catalogue {
	struct adxi_list bundles;
};

int
catalogue_new(struct catalogue **ret_catalogue)
{
	struct catalogue *catalogue = calloc(1, sizeof *catalogue);

	if (!catalogue)
		return -ENOMEM;
	adxi_list_init(&catalogue->bundles);
	*ret_catalogue = catalogue;
	return 0;
}

struct catalogue *
catalogue_free(struct catalogue *catalogue)
{
	struct bundle *bundle, *next;

	if (!catalogue)
		return NULL;
	ADXI_LIST_EACH_SAFE(bundle, next, &catalogue->bundles, link)
		catalogue_remove(catalogue, bundle);
	free(catalogue);
	return NULL;
}

static const struct personality *
find_same(struct catalogue *catalogue, const struct personality *personality)
{
	const struct personality *other;
	const struct bundle *bundle;

	ADXI_LIST_EACH(bundle, &catalogue->bundles, link)
		ADXI_LIST_EACH(other, &bundle->personalities, link)
			if (!other->duplicate && value_equal(other->dict, personality->dict))
				return other;
	return NULL;
}

int
catalogue_add(struct catalogue *catalogue, struct bundle *bundle, OSArray *problems)
{
	struct personality *personality;
	const struct personality *same;

	if (catalogue_find(catalogue, bundle->id))
		return -EEXIST;
	ADXI_LIST_EACH(personality, &bundle->personalities, link) {
		same = find_same(catalogue, personality);
		personality->duplicate = same != NULL;
		if (!same)
			continue;
		adxi_tell(ADXI_RULE_CAT014, "personality '%s' of %s is the same as '%s' of %s",
			  personality->name, bundle->id, same->name, same->bundle->id);
		value_append_cstr(problems, adxi_told_last());
	}
	bundle->loaded = true;
	adxi_list_append(&catalogue->bundles, &bundle_ref(bundle)->link);
	return 0;
}

void
catalogue_remove(struct catalogue *catalogue, struct bundle *bundle)
{
	if (!bundle->loaded)
		return;
	bundle->loaded = false;
	adxi_list_remove(&bundle->link);
	bundle_unref(bundle);
}

struct bundle *
catalogue_find(struct catalogue *catalogue, const char *id)
{
	struct bundle *bundle;

	ADXI_LIST_EACH(bundle, &catalogue->bundles, link)
		if (!strcmp(bundle->id, id))
			return bundle;
	return NULL;
}

struct adxi_list *
catalogue_bundles(struct catalogue *catalogue)
{
	return &catalogue->bundles;
}

static int
better_first(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;
	int order = match_score_compare(right->score, left->score);

	if (order)
		return order;
	if (left->distance != right->distance)
		return left->distance < right->distance ? -1 : 1;
	return left->order < right->order ? -1 : 1;
}

ssize_t
catalogue_candidates(struct catalogue *catalogue, const struct entry *provider,
		     struct candidate **ret_candidates, struct match_miss *reterr_miss)
{
	struct candidate *candidates = NULL, *grown, candidate;
	struct match_miss miss, nearest = { 0 };
	struct personality *personality;
	size_t n = 0, room = 0, order = 0;
	const char *class_name;
	struct bundle *bundle;

	ADXI_LIST_EACH(bundle, &catalogue->bundles, link) {
		ADXI_LIST_EACH(personality, &bundle->personalities, link) {
			order++;
			if (personality->duplicate)
				continue;
			if (!match_passive(provider, personality->dict, &candidate.score, &miss)) {
				if (miss.type_differs)
					adxi_tell(ADXI_RULE_T52,
						  "personality '%s' of %s does not fit: %s",
						  personality->name, bundle->id, miss.text);
				if (miss.stage > nearest.stage)
					nearest = miss;
				continue;
			}
			if (n == room) {
				room = room ? 2 * room : 8;
				grown = realloc(candidates, room * sizeof *candidates);
				if (!grown) {
					free(candidates);
					return -ENOMEM;
				}
				candidates = grown;
			}
			class_name = value_get_cstr(personality->dict, "IOProviderClass");
			candidate.personality = personality;
			candidate.distance =
				class_name ? entry_class_distance(provider, class_name) : 0;
			candidate.order = order;
			candidates[n++] = candidate;
		}
	}
	if (n)
		qsort(candidates, n, sizeof *candidates, better_first);
	else if (reterr_miss)
		*reterr_miss = nearest;
	*ret_candidates = candidates;
	return (ssize_t)n;
}
