/* SPDX-License-Identifier: MIT */
#ifndef IOKIT_ITERATOR_H
#define IOKIT_ITERATOR_H

/** @file iokit/iterator.h
 *  @brief The one iterator object behind io_iterator_t, in its three forms. */

#include "iokit/iokit.h"

#define IOKIT_MAX_PENDING 1024u /* undrained services of a notification; more are dropped and told (T81) */
#define IOKIT_MAX_DEPTH   64u

enum iterator_form {
	ITERATOR_SNAPSHOT,     /* what matched, fixed */
	ITERATOR_REGISTRY,     /* walks a plane; invalid when the registry changed under it */
	ITERATOR_NOTIFICATION, /* pending services, newest first; draining it arms it */
};

struct iokit_ids {
	uint64_t *values; /* owned */
	unsigned n, capacity;
};

struct iokit_token {
	struct adxi_list link;        /* in notify.c's tokens */
	uint64_t value;               /* 0: none */
	struct iokit_object *owner;   /* borrowed: the object that embeds it; NULL: not listed */
};

struct iokit_iterator {
	struct iokit_object object;
	enum iterator_form form;
	pthread_mutex_t lock;         /* guards ids, position, level, armed */
	struct iokit_ids ids;
	unsigned position;

	/* registry form: one level a folder that was entered */
	ADXName plane;
	IOOptionBits options;
	uint64_t root;                /* entry that it started at; 0: the plane's root, which it yields first */
	uint64_t generation;
	unsigned depth;
	struct { struct iokit_ids ids; unsigned position; } levels[IOKIT_MAX_DEPTH];

	/* notification form */
	struct iokit_token token;
	struct IONotificationPort *port; /* owned reference */
	IOServiceMatchingCallback callback;
	void *refcon;
	bool armed;
	_Atomic bool drained_once, released;
};

struct iokit_iterator *iokit_iterator_new(enum iterator_form form);
/** -ENOMEM, -ENOSPC (there are @p max). */
int iokit_ids_append(struct iokit_ids *ids, uint64_t id, unsigned max);
uint64_t iokit_number(CFTypeRef number);
void iokit_token_forget(struct iokit_token *token);

#endif /* IOKIT_ITERATOR_H */
