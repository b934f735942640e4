/* SPDX-License-Identifier: MIT */
#ifndef BASE_RULES_H
#define BASE_RULES_H

/**
 * @file base/rules.h
 * @brief Telling why: each refusal, drop and portability verdict is one numbered rule.
 *
 * rules.def holds one row a rule: id, title, what is wanted, the fix, and what macOS would do
 * (the verdict; empty where macOS behaves the same or the rule is ours). `dext explain ID` prints
 * the row. Telling writes one line to the log: "[T27] <what was found, with names, ids and both
 * values>; <fix>".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum adxi_rule {
#define RULE(id, ...) ADXI_RULE_##id,
#include "base/rules.def"
#undef RULE
	ADXI_RULE_COUNT,
};

struct adxi_rule_info {
	const char *id;      /* "T27" */
	const char *title;   /* a few words */
	const char *wanted;  /* what would be right: a sentence */
	const char *fix;     /* what to do: a sentence */
	const char *verdict; /* what macOS does instead, or NULL */
	bool strict;         /* AMBIDEXT_STRICT=macos makes it fail here too */
};

/** Row of @p rule. Never NULL. */
const struct adxi_rule_info *adxi_rule_info(enum adxi_rule rule);
/** Row with that id ("T27", any case), or NULL. */
const struct adxi_rule_info *adxi_rule_find(const char *id);

/**
 * Tell that @p rule was met. The text says what was found: object names, ids, the values that
 * disagree. Written where log lines go; repeats of the same rule with the same text are counted,
 * not repeated, after the 10th.
 *
 * @return true if strict mode is on and the caller must fail as macOS would
 * @thread [any]
 */
bool adxi_tell(enum adxi_rule rule, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** AMBIDEXT_STRICT=macos (read once). */
bool adxi_strict(void);

/** How long something waits before it is told (T20, T23): AMBIDEXT_PATIENCE_MS, or 5000, in nanoseconds (read once). */
uint64_t adxi_patience_ns(void);

/**
 * Where lines go. Default: none in a library (invariant: no library prints unless asked), except
 * when AMBIDEXT_EXPLAIN=stderr. dexts' and hosts' main() installs stderr, which dextd collects; the
 * client library installs one that sends the line to dextd.
 */
typedef void adxi_tell_sink(void *context, const char *rule_id, const char *line);
void adxi_tell_set_sink(adxi_tell_sink *sink, void *context);

/** The last line told on this thread, or "". For clients' error texts. Valid until the next one. */
const char *adxi_told_last(void);

#endif /* BASE_RULES_H */
