/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_QUOTA_H
#define DEXTD_QUOTA_H

/**
 * @file dextd/quota.h
 * @brief How much of dextd a peer may use: one table of limits, and accounts of who uses what.
 *
 * An account belongs to a user, a client process, a hosted process, or a rule (its lines). What is
 * taken is given back when the thing itself goes, and all of it with the last reference: a peer
 * that dies keeps nothing. A refusal is told with the row's rule, and counted. docs/decisions/0011
 * has the reasons for the numbers. What a peer may have of a process through its channel is in
 * channel/internal.h. Threads: one, dextd's loop.
 */

#include <stdint.h>

#include "dextd/value.h"

enum quota {
	QUOTA_CONNECTIONS,      /* a client process's */
	QUOTA_USER_CONNECTIONS, /* of all processes of a user */
	QUOTA_NOTIFICATIONS,    /* a process's: matching and interest */
	QUOTA_OPENINGS,         /* a process's: IOServiceOpen that no driver has answered yet */
	QUOTA_USER_CLIENTS,     /* a process's: what it has open */
	QUOTA_WAITS,            /* a process's: IOKitWaitQuiet under way */
	QUOTA_SERVICES,         /* a hosted process's: entries */
	QUOTA_PROPERTIES,       /* a hosted process's: bytes, of all its entries */
	QUOTA_COUNT,
};

/* Of these so many a second, after so many at once. */
enum quota_rate {
	QUOTA_LOG_LINES, /* a process's, or a rule's */
	QUOTA_LOG_BYTES,
	QUOTA_MESSAGES, /* a hosted process's: MessageClients */
	QUOTA_RATE_COUNT,
};

/* Messages of dextd that may wait for a peer; beyond it the peer is cut off (rule SRV006). */
#define QUOTA_QUEUED 512u
/* The same for a hosted process: what it is sent follows from what others do. A Stop and a Release of each entry that it may have, which
 * is less than the channel lets one-way messages wait. */
#define QUOTA_QUEUED_SERVER 8192u

/* That objects which it passed may keep here: nothing that dextd is passed has any for long. */
#define QUOTA_DESCRIPTORS 64u

enum quota_holder { QUOTA_OF_USER, QUOTA_OF_CLIENT, QUOTA_OF_SERVER, QUOTA_OF_RULE };

struct quotas;
struct quota_account;

/** NULL: no memory. */
struct quotas *quotas_new(void);
/** All accounts are given up by then. */
struct quotas *quotas_free(struct quotas *quotas);

/** The account of that holder, +1, found or made. @p id: uid, pid, or a number of the realm.
 *  NULL: no memory. */
struct quota_account *quota_account(struct quotas *quotas, enum quota_holder holder, uint64_t id);
struct quota_account *quota_account_ref(struct quota_account *account);
struct quota_account *quota_account_unref(struct quota_account *account);

/** Use @p n more. -EDQUOT: told, as "@p who ...", and nothing is used. */
int quota_take(struct quota_account *account, enum quota quota, uint64_t n, const char *who);
void quota_give(struct quota_account *account, enum quota quota, uint64_t n);
uint64_t quota_limit(enum quota quota);
uint64_t quota_used(const struct quota_account *account, enum quota quota);

/** Use @p n of a rate at @p now_ns. False: too fast; it is counted. */
bool quota_pace(struct quota_account *account, enum quota_rate rate, uint64_t n, uint64_t now_ns);
/** A line was left out. True: the first since the last that was not: to be told. */
bool quota_log_overflows(struct quota_account *account);
/** A line is let through at @p now_ns: how many were left out before it, once a second at most; 0: nothing to say. */
uint64_t quota_log_recovers(struct quota_account *account, uint64_t now_ns);

/** What it uses, for `dext list --json`: {"services": {"used", "limit", "refused"}, ...}, rows of
 * which nothing was ever used left out. +1, NULL: no memory. */
OSDictionary *quota_dict(const struct quota_account *account);

/** Bytes that a value takes here, roughly: text and data, and a constant for each value. */
uint64_t quota_weigh(const void *value);

#endif /* DEXTD_QUOTA_H */
