/* SPDX-License-Identifier: MIT */
#include "dextd/quota.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/rules.h"

#define VALUE_BYTES 64u /* of a value besides its content */

static const struct {
	const char *name;
	uint64_t limit;
	enum adxi_rule rule;
	const char *what; /* "pid 12 wants more than 64 <what>" */
} rows[QUOTA_COUNT] = {
	[QUOTA_CONNECTIONS] = { "connections", 64, ADXI_RULE_QUO001, "connections to dextd" },
	[QUOTA_USER_CONNECTIONS] = { "userConnections", 1024, ADXI_RULE_QUO001,
				     "connections to dextd for one user's processes" },
	[QUOTA_NOTIFICATIONS] = { "notifications", 1024, ADXI_RULE_QUO002, "notifications" },
	[QUOTA_OPENINGS] = { "openings", 64, ADXI_RULE_QUO003,
			     "openings at once that no driver has answered" },
	[QUOTA_USER_CLIENTS] = { "userClients", 256, ADXI_RULE_QUO003, "open user clients" },
	[QUOTA_WAITS] = { "waits", 256, ADXI_RULE_QUO004, "waits for quiet" },
	[QUOTA_SERVICES] = { "services", 4096, ADXI_RULE_QUO005, "entries in the registry" },
	[QUOTA_PROPERTIES] = { "propertyBytes", 16u << 20, ADXI_RULE_QUO006,
			       "bytes of properties" },
};

static const struct {
	const char *name;
	uint64_t per_second, burst;
} rates[QUOTA_RATE_COUNT] = {
	[QUOTA_LOG_LINES] = { "logLines", 200, 2000 },
	[QUOTA_LOG_BYTES] = { "logBytes", 64u << 10, 512u << 10 },
	[QUOTA_MESSAGES] = { "messages", 1000, 256 },
};

/* A bucket that leaks: what was used lately, in units of a second's share of one. */
struct bucket {
	uint64_t level_ns; /* time that it takes to leak all */
	uint64_t at_ns;    /* when level_ns was true */
	uint64_t passed, refused;
};

struct quotas {
	struct adxi_list accounts;
};

struct quota_account {
	struct adxi_list link; /* in quotas->accounts */
	unsigned n_ref;
	enum quota_holder holder;
	uint64_t id;
	uint64_t used[QUOTA_COUNT], most[QUOTA_COUNT], refused[QUOTA_COUNT];
	struct bucket buckets[QUOTA_RATE_COUNT];
	uint64_t lines_left_out; /* since that was said */
	uint64_t say_again_ns;
};

struct quotas *
quotas_new(void)
{
	struct quotas *quotas = calloc(1, sizeof *quotas);

	if (quotas)
		adxi_list_init(&quotas->accounts);
	return quotas;
}

struct quotas *
quotas_free(struct quotas *quotas)
{
	struct quota_account *account;

	if (!quotas)
		return NULL;
	while ((account = ADXI_LIST_FIRST(&quotas->accounts, struct quota_account, link))) {
		adxi_list_remove(&account->link);
		free(account);
	}
	free(quotas);
	return NULL;
}

struct quota_account *
quota_account(struct quotas *quotas, enum quota_holder holder, uint64_t id)
{
	struct quota_account *account;

	ADXI_LIST_EACH(account, &quotas->accounts, link) {
		if (account->holder == holder && account->id == id) {
			account->n_ref++;
			return account;
		}
	}
	account = calloc(1, sizeof *account);
	if (!account)
		return NULL;
	account->n_ref = 1;
	account->holder = holder;
	account->id = id;
	adxi_list_append(&quotas->accounts, &account->link);
	return account;
}

struct quota_account *
quota_account_ref(struct quota_account *account)
{
	account->n_ref++;
	return account;
}

struct quota_account *
quota_account_unref(struct quota_account *account)
{
	if (!account || --account->n_ref)
		return NULL;
	adxi_list_remove(&account->link);
	free(account);
	return NULL;
}

uint64_t
quota_limit(enum quota quota)
{
	return rows[quota].limit;
}

uint64_t
quota_used(const struct quota_account *account, enum quota quota)
{
	return account->used[quota];
}

int
quota_take(struct quota_account *account, enum quota quota, uint64_t n, const char *who)
{
	if (n > rows[quota].limit - account->used[quota]) {
		account->refused[quota]++;
		adxi_tell(rows[quota].rule, "%s wants more than %" PRIu64 " %s", who,
			  rows[quota].limit, rows[quota].what);
		return -EDQUOT;
	}
	account->used[quota] += n;
	if (account->most[quota] < account->used[quota])
		account->most[quota] = account->used[quota];
	return 0;
}

void
quota_give(struct quota_account *account, enum quota quota, uint64_t n)
{
	account->used[quota] -= n < account->used[quota] ? n : account->used[quota];
}

bool
quota_pace(struct quota_account *account, enum quota_rate rate, uint64_t n, uint64_t now_ns)
{
	const uint64_t share_ns = ADXI_NS_PER_S / rates[rate].per_second;
	struct bucket *bucket = &account->buckets[rate];
	uint64_t leaked = now_ns - bucket->at_ns;

	bucket->level_ns -= leaked < bucket->level_ns ? leaked : bucket->level_ns;
	bucket->at_ns = now_ns;
	if (n > rates[rate].burst || bucket->level_ns > (rates[rate].burst - n) * share_ns) {
		bucket->refused++;
		return false;
	}
	bucket->level_ns += n * share_ns;
	bucket->passed += n;
	return true;
}

bool
quota_log_overflows(struct quota_account *account)
{
	return account->lines_left_out++ == 0;
}

uint64_t
quota_log_recovers(struct quota_account *account, uint64_t now_ns)
{
	uint64_t n = account->lines_left_out;

	if (n == 0 || now_ns < account->say_again_ns)
		return 0;
	account->lines_left_out = 0;
	account->say_again_ns = now_ns + ADXI_NS_PER_S;
	return n;
}

static bool
add_row(OSDictionary *dict, const char *name, uint64_t used, uint64_t limit, uint64_t refused)
{
	OSDictionary *row = value_dict_new();

	if (value_set_u64(row, "used", used) && value_set_u64(row, "limit", limit) &&
	    value_set_u64(row, "refused", refused))
		return value_set_new(dict, name, row);
	value_unref(row);
	return false;
}

OSDictionary *
quota_dict(const struct quota_account *account)
{
	OSDictionary *dict = value_dict_new();
	bool done = dict != NULL;
	unsigned i;

	for (i = 0; done && i < QUOTA_COUNT; i++)
		if (account->most[i] > 0 || account->refused[i] > 0)
			done = add_row(dict, rows[i].name, account->used[i], rows[i].limit,
				       account->refused[i]);
	for (i = 0; done && i < QUOTA_RATE_COUNT; i++)
		if (account->buckets[i].passed > 0 || account->buckets[i].refused > 0)
			done = add_row(dict, rates[i].name, account->buckets[i].passed,
				       rates[i].per_second, account->buckets[i].refused);
	return done ? dict : value_unref(dict);
}

/* ---------------------------------------------------------------------------------------------
 * Weight
 */

static bool weigh_member(void *context, const OSObject *value);

static bool
weigh_pair(void *context, const char *key, const OSObject *value)
{
	uint64_t *weight = context;

	*weight += strlen(key) + VALUE_BYTES;
	return weigh_member(context, value);
}

static bool
weigh_member(void *context, const OSObject *value)
{
	uint64_t *weight = context;

	*weight += VALUE_BYTES;
	if (value_is(OSString, value))
		*weight += strlen(value_cstr(value));
	else if (value_is(OSData, value))
		*weight += OSData_getLength(value_as(OSData, value));
	else if (value_is(OSDictionary, value))
		(void)value_each(value_as(OSDictionary, value), weigh_pair, weight);
	else if (value_is(OSCollection, value))
		(void)value_each_member(value, weigh_member, weight);
	return false;
}

uint64_t
quota_weigh(const void *value)
{
	uint64_t weight = 0;

	if (value)
		(void)weigh_member(&weight, value);
	return weight;
}
