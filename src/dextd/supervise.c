/* SPDX-License-Identifier: MIT */
/* Restarts: the policy, and the timers that carry it out. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "channel/loop.h"
#include "dextd/supervise.h"

#define APPLE_RESTARTS 1001u /* IORematchCount 0 to 1000 */
#define DOUBLINGS_MAX  8u

static const char *const policy_names[SUPERVISE_POLICY_COUNT] = {
	[SUPERVISE_BACKOFF] = "backoff",
	[SUPERVISE_APPLE] = "apple",
	[SUPERVISE_AT_ONCE] = "at-once",
};

struct supervised {
	struct adxi_loop *loop;              /* borrowed */
	const struct supervise_rules *rules; /* borrowed */
	struct supervise_record record;
	bool indispensable;
	supervise_start_fn *start;
	void *userdata;            /* borrowed */
	struct adxi_source *timer; /* owned; set: it waits */
	uint64_t delay_ns, due_ns;
};

int
supervise_policy_find(const char *name)
{
	int i;

	for (i = 0; i < SUPERVISE_POLICY_COUNT; i++)
		if (!strcmp(policy_names[i], name))
			return i;
	return -EINVAL;
}

static bool
too_many_faults(struct supervise_record *record, const struct supervise_rules *rules, uint64_t now)
{
	unsigned limit =
		rules->limit < SUPERVISE_FAULTS_KEPT ? rules->limit : SUPERVISE_FAULTS_KEPT;
	uint64_t oldest;

	record->faults_ns[record->n_faults++ % SUPERVISE_FAULTS_KEPT] = now;
	if (!limit || record->n_faults < limit)
		return false;
	oldest = record->faults_ns[(record->n_faults - limit) % SUPERVISE_FAULTS_KEPT];
	return now - oldest <= rules->window_ns;
}

static uint64_t
delay_of(const struct supervise_rules *rules, unsigned n_row)
{
	unsigned doublings = n_row - 2;

	if (rules->policy != SUPERVISE_BACKOFF || n_row < 2)
		return 0;
	return rules->delay_ns << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
}

bool
supervise_decide(struct supervise_record *record, const struct supervise_rules *rules,
		 const struct supervise_end *end, bool indispensable, uint64_t *ret_delay_ns)
{
	bool bad = false;

	record->n_ends++;
	record->n_row = end->ran_ns >= rules->healthy_ns ? 1 : record->n_row + 1;
	if (end->fault)
		bad = too_many_faults(record, rules, end->now_ns);
	if (rules->policy == SUPERVISE_APPLE)
		bad = record->n_ends > APPLE_RESTARTS;
	else if (rules->policy == SUPERVISE_AT_ONCE)
		bad = false;
	record->quarantined = bad && !indispensable;
	if (record->quarantined)
		return false;
	*ret_delay_ns = delay_of(rules, record->n_row);
	return true;
}

/* ---------------------------------------------------------------------------------------------
 * With the realm's clock
 */

int
supervised_new(struct adxi_loop *loop, const struct supervise_rules *rules, bool indispensable,
	       supervise_start_fn *start, void *userdata, struct supervised **ret_supervised)
{
	struct supervised *supervised = calloc(1, sizeof *supervised);

	if (!supervised)
		return -ENOMEM;
	supervised->loop = loop;
	supervised->rules = rules;
	supervised->indispensable = indispensable;
	supervised->start = start;
	supervised->userdata = userdata;
	*ret_supervised = supervised;
	return 0;
}

struct supervised *
supervised_free(struct supervised *supervised)
{
	if (supervised)
		adxi_source_remove(supervised->timer);
	free(supervised);
	return NULL;
}

static void
time_has_come(struct adxi_source *source, void *userdata)
{
	struct supervised *supervised = userdata;

	supervised->timer = adxi_source_remove(supervised->timer);
	supervised->start(supervised->userdata);
}

int
supervised_ended(struct supervised *supervised, uint64_t ran_ns, bool fault)
{
	const struct supervise_end end = { adxi_now_ns(), ran_ns, fault };

	supervised->timer = adxi_source_remove(supervised->timer);
	if (!supervise_decide(&supervised->record, supervised->rules, &end,
			      supervised->indispensable, &supervised->delay_ns))
		return -EPERM;
	supervised->due_ns = end.now_ns + supervised->delay_ns;
	return adxi_loop_add_timer(supervised->loop, supervised->due_ns, time_has_come, supervised,
				   &supervised->timer);
}

bool
supervised_is_waiting(const struct supervised *supervised, uint64_t *ret_left_ns)
{
	uint64_t now = adxi_now_ns();

	if (!supervised->timer)
		return false;
	if (ret_left_ns)
		*ret_left_ns = supervised->due_ns > now ? supervised->due_ns - now : 0;
	return true;
}

void
supervised_pardon(struct supervised *supervised)
{
	supervised->record = (struct supervise_record){ 0 };
}

const struct supervise_record *
supervised_record(const struct supervised *supervised)
{
	return &supervised->record;
}

uint64_t
supervised_delay_ns(const struct supervised *supervised)
{
	return supervised->delay_ns;
}
