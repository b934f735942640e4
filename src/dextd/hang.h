/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_HANG_H
#define DEXTD_HANG_H

/**
 * @file dextd/hang.h
 * @brief Hosted processes that do not go on: a method that does not return, a process that is
 * stopped.
 *
 *   QUIET --somebody has waited long--> ASKED --answers, nothing stands still--> QUIET
 *                                         |--answers: a method stands still----> HUNG --goes on-->
 * QUIET
 *                                         `--does not answer-------------------> HUNG --limit-->
 * killed
 *
 * Nobody is asked while nobody waits: a client's library reports a call that waits
 * (ADXRegistry::Check), and dextd watches what it waits for itself (Start, NewUserClient). Stop has
 * limits of its own (terminate.c).
 */

#include <stdbool.h>
#include <stdint.h>

struct adxi_source;
struct server;

enum hang_state { HANG_QUIET, HANG_ASKED, HANG_HUNG, HANG_STATE_COUNT };

/* A server's part; zeroed storage is QUIET. */
struct hang {
	enum hang_state state;
	bool asking;                 /* a Ping is not answered */
	bool last;                   /* HUNG: that one decides */
	struct adxi_source *timer;   /* owned: of the answer, then of the kill */
	struct adxi_source *expects; /* owned: dextd waits for something itself */
	uint64_t noticed_ns;         /* HUNG since */
	char what[320];              /* why it is HUNG */
};

/** Somebody has waited long for it. */
void hang_check(struct server *server);
/** dextd has asked it for something that runs a driver's code. */
void hang_expect(struct server *server);
/** It is gone: stop watching. */
void hang_end(struct server *server);

#endif /* DEXTD_HANG_H */
