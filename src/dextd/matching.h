/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_MATCHING_H
#define DEXTD_MATCHING_H

/**
 * @file dextd/matching.h
 * @brief Passive matching: whether an entry fits a dictionary, and how well.
 *
 * The keys are tried in a fixed order, all must fit, the first that does not ends it. Keys that
 * nobody knows are ignored, so a dictionary without any known key fits everything. When every key
 * of the dictionary has been used up, the provider's family (USB) is not asked. Values are compared
 * with their types: the number 1 is not the string "1".
 */

#include <stdbool.h>
#include <stdint.h>

#include "dextd/registry.h"

struct match_score {
	int32_t score; /* IOProbeScore, or what the family says */
	int32_t tie;   /* IOProbeScore where the family said something */
};

/* Why an entry does not fit: the key that decided, and a sentence. */
struct match_miss {
	unsigned stage;    /* how far it came; higher is nearer */
	bool type_differs; /* same key, other type: rule T52 */
	char text[320];
};

/**
 * Whether @p entry fits @p dict.
 *
 * @param ret_score    [out] may be NULL
 * @param reterr_miss  [out] may be NULL
 */
bool match_passive(const struct entry *entry, const OSDictionary *dict,
		   struct match_score *ret_score, struct match_miss *reterr_miss);
/** -1, 0, 1: @p a is worse, as good, better. */
int match_score_compare(struct match_score a, struct match_score b);
/** The name in IONameMatch that fits @p entry, or NULL. */
const char *match_name(const struct entry *entry, const OSDictionary *dict);

/**
 * What is wrong with the family keys of a personality or dictionary, for its IOProviderClass: a set
 * of keys that is not one of the legal ones, or a value that is no number.
 *
 * @return false: nothing is wrong
 */
bool match_family_problem(const OSDictionary *dict, char *buf, size_t size);
/** The known matching or personality key that @p key is probably meant to be, or NULL (it is one,
 * or is like none). */
const char *match_misspelt(const char *key);
bool match_key_is_known(const char *key);

#endif /* DEXTD_MATCHING_H */
