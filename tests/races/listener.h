/* SPDX-License-Identifier: MIT */
#ifndef RACES_LISTENER_H
#define RACES_LISTENER_H

/**
 * @file races/listener.h
 * @brief Processes that listen to services coming and going, and write down what they hear, in
 * memory that they share with their maker.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LISTENERS = 8, LISTENER_PROCESSES = 4 };

/* What a listener hears. */
enum heard { CAME, WENT, MESSAGE, HEARD };

/* Registry entry ids, in the order in which they came. */
struct sequence {
	_Atomic uint32_t n;
	uint64_t *ids; /* max, in shared memory */
};

struct listeners {
	uint32_t max;
	int told; /* owned eventfd: somebody heard something */
	_Atomic uint32_t n_ready;
	_Atomic bool stop;
	struct sequence heard[LISTENERS][HEARD];
};

/** Fork them, before the process uses IOKit; wait until all listen. They hear of @p max at most. */
struct listeners *listeners_start(uint32_t max);
/** Wait until @p is_done, or nobody heard anything for half a minute: false. */
bool listeners_wait(struct listeners *listeners,
		    bool (*is_done)(struct listeners *listeners, void *context), void *context);
/** Have them end, and see that all did so by themselves. */
bool listeners_end(struct listeners *listeners);
/** "IOServicePublish": what listener @p index asked for. */
const char *listener_kind(unsigned index);
/** Whether a service that goes at once may never be told to it: it waits for the end of matching.
 */
bool listener_is_late(unsigned index);
/** Whether it asks for messages of each service, too. */
bool listener_has_interest(unsigned index);

#endif /* RACES_LISTENER_H */
