/* SPDX-License-Identifier: MIT */
#ifndef BASE_LEDGER_H
#define BASE_LEDGER_H

/**
 * @file base/ledger.h
 * @brief What was accepted and has not ended yet, for the proof that everything ends exactly once
 * (decision 0010).
 *
 * The side that awaits an end writes it down: open when it is accepted, close at its end. The
 * entries are in a file that outlives the process; tests/ledger/check judges it. Off unless
 * AMBIDEXT_LEDGER names a directory: then a call is one branch.
 */

#include <stdbool.h>
#include <stdint.h>

enum adxi_ledger_kind {
	ADXI_LEDGER_CALL,   /* a call over a channel whose thread waits */
	ADXI_LEDGER_ASYNC,  /* one whose answer is told to a function */
	ADXI_LEDGER_REPLY,  /* a request that came over a channel and wants an answer */
	ADXI_LEDGER_ACTION, /* an OSAction with invocations under way: from the first claim to the
			       last done */
	ADXI_LEDGER_COMPLETION, /* a client's asynchronous call: until its first completion, or word
				   that none will come */
	ADXI_LEDGER_CALLBACK,   /* a completion in a notification port */
	ADXI_LEDGER_TRANSFER,   /* AsyncIO through the ring, in the driver */
	ADXI_LEDGER_REQUEST,    /* a USB request that a queue of usbhost accepted */
	ADXI_LEDGER_KINDS
};

enum adxi_ledger_how {
	ADXI_LEDGER_DONE,    /* answered, or ran */
	ADXI_LEDGER_FAILED,  /* the peer or the device is gone */
	ADXI_LEDGER_REFUSED, /* was not accepted after all */
	ADXI_LEDGER_DROPPED, /* cancelled, closed: its end was not wanted any more */
	ADXI_LEDGER_HOWS
};

typedef uint64_t adxi_ticket; /* 0: none */

extern bool adxi_ledger_on;

adxi_ticket adxi_ledger_write_open(enum adxi_ledger_kind kind, uint64_t key);
void adxi_ledger_write_close(enum adxi_ledger_kind kind, adxi_ticket ticket, uint64_t key,
			     enum adxi_ledger_how how);
void adxi_ledger_write_unopened(enum adxi_ledger_kind kind);

static inline adxi_ticket
adxi_ledger_open(enum adxi_ledger_kind kind, uint64_t key)
{
	return __builtin_expect(adxi_ledger_on, 0) ? adxi_ledger_write_open(kind, key) : 0;
}

/** @p key is what its end names: another one than it was opened with is a wrong completion. */
static inline void
adxi_ledger_close(enum adxi_ledger_kind kind, adxi_ticket ticket, uint64_t key,
		  enum adxi_ledger_how how)
{
	if (__builtin_expect(adxi_ledger_on, 0))
		adxi_ledger_write_close(kind, ticket, key, how);
}

/** An end came of what nobody waits for. */
static inline void
adxi_ledger_unopened(enum adxi_ledger_kind kind)
{
	if (__builtin_expect(adxi_ledger_on, 0))
		adxi_ledger_write_unopened(kind);
}

/** This process ends by its own will: what is open now was given up by it. Also a destructor of the
 * library. */
void adxi_ledger_end(void);
/** A new file for a process that may open none itself: its descriptor, to be passed as
 * AMBIDEXT_LEDGER_FD. -ENOENT: off. -Exxx. */
int adxi_ledger_file_for(const char *name);

#endif /* BASE_LEDGER_H */
