/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_CATALOGUE_H
#define DEXTD_CATALOGUE_H

/**
 * @file dextd/catalogue.h
 * @brief The loaded bundles, and which of their personalities fit a provider.
 */

#include <stdbool.h>
#include <stddef.h>

#include "dextd/bundle.h"
#include "dextd/matching.h"
#include "dextd/registry.h"

struct catalogue;

int catalogue_new(struct catalogue **ret_catalogue);
struct catalogue *catalogue_free(struct catalogue *catalogue);
/** References @p bundle. Personalities that are there already are marked as duplicates. -EEXIST: a
 * bundle of that id is there. */
int catalogue_add(struct catalogue *catalogue, struct bundle *bundle, OSArray *problems);
void catalogue_remove(struct catalogue *catalogue, struct bundle *bundle);
/** Borrowed, or NULL. */
struct bundle *catalogue_find(struct catalogue *catalogue, const char *id);
/** Head of the bundles, in order of loading (link). */
struct adxi_list *catalogue_bundles(struct catalogue *catalogue);

struct candidate {
	struct personality *personality; /* borrowed from the catalogue */
	struct match_score score;
	int distance; /* steps from the provider's own class to IOProviderClass */
	size_t order; /* in the catalogue */
};

/**
 * Personalities that fit @p provider, best first: by score, then those for its own class before
 * those for a superclass, then in catalogue order.
 *
 * @param ret_candidates  [out] malloc'd array, NULL when there are none
 * @param reterr_miss     [out] the nearest miss when there are none (stage 0: there was nothing to
 * try); may be NULL
 * @return their number, -ENOMEM
 */
ssize_t catalogue_candidates(struct catalogue *catalogue, const struct entry *provider,
			     struct candidate **ret_candidates, struct match_miss *reterr_miss);

#endif /* DEXTD_CATALOGUE_H */
