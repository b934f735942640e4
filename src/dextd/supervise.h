/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_SUPERVISE_H
#define DEXTD_SUPERVISE_H

/**
 * @file dextd/supervise.h
 * @brief Whether and when something that ended is started again: drivers and hosts alike
 * (docs/decisions/0009).
 *
 * The policy is a function of times that are handed in; struct supervised adds the realm's clock
 * and a timer.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct adxi_loop;

enum supervise_policy {
	SUPERVISE_BACKOFF, /* 0, 50, 100, 200 ... ms; the sixth fault in half an hour: quarantine */
	SUPERVISE_APPLE,   /* always at once; the 1002nd end: quarantine */
	SUPERVISE_AT_ONCE, /* always at once, for ever */
	SUPERVISE_POLICY_COUNT,
};

struct supervise_rules {
	enum supervise_policy policy;
	uint64_t delay_ns;   /* wait after the second end in a row; doubles with each */
	uint64_t healthy_ns; /* a run of this length ends the row */
	uint64_t window_ns;  /* faults within this count ... */
	unsigned limit;      /* ... and so many of them mean quarantine; 0: never */
};
#define SUPERVISE_RULES_DEFAULT                                                                    \
	{                                                                                          \
		.policy = SUPERVISE_BACKOFF, .delay_ns = 50 * ADXI_NS_PER_MS,                      \
		.healthy_ns = ADXI_NS_PER_S, .window_ns = 30 * 60 * ADXI_NS_PER_S, .limit = 6,     \
	}

/** Policy by its name on the command line, or -EINVAL. */
int supervise_policy_find(const char *name);

/* One end of it. */
struct supervise_end {
	uint64_t now_ns;
	uint64_t ran_ns; /* since it had started */
	bool fault;      /* its own; not somebody's kill */
};

#define SUPERVISE_FAULTS_KEPT 16u

/* What has happened to it. Zeroed: nothing. */
struct supervise_record {
	uint64_t faults_ns[SUPERVISE_FAULTS_KEPT]; /* the last ones, by n_faults modulo */
	unsigned n_faults;
	unsigned n_ends;
	unsigned n_row; /* ends since the last healthy run */
	bool quarantined;
};

/**
 * Take down an end, and decide.
 *
 * @param indispensable  never quarantined: nothing else could bring it back
 * @param ret_delay_ns   [out] wait so long before the next start
 * @return false: it is in quarantine
 */
bool supervise_decide(struct supervise_record *record, const struct supervise_rules *rules,
		      const struct supervise_end *end, bool indispensable, uint64_t *ret_delay_ns);

/* Something that is kept alive. */
struct supervised;
typedef void supervise_start_fn(void *userdata);

/** @p rules and @p loop: borrowed, must outlive it. @p start: called when its time has come. */
int supervised_new(struct adxi_loop *loop, const struct supervise_rules *rules, bool indispensable,
		   supervise_start_fn *start, void *userdata, struct supervised **ret_supervised);
struct supervised *supervised_free(struct supervised *supervised);
/** It ended: start it later, unless this puts it into quarantine. 0, -EPERM: quarantine, -ENOMEM.
 */
int supervised_ended(struct supervised *supervised, uint64_t ran_ns, bool fault);
/** It waits for its next start; *ret_left_ns (may be NULL): how long yet. */
bool supervised_is_waiting(const struct supervised *supervised, uint64_t *ret_left_ns);
/** Out of quarantine, with a clean record. */
void supervised_pardon(struct supervised *supervised);
const struct supervise_record *supervised_record(const struct supervised *supervised);
/** The wait that the last end led to. */
uint64_t supervised_delay_ns(const struct supervised *supervised);

#endif /* DEXTD_SUPERVISE_H */
