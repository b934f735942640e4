/* SPDX-License-Identifier: MIT */
#ifndef RACES_HOST_H
#define RACES_HOST_H

/**
 * @file races/host.h
 * @brief usbhost's core over the model back end, with one loopback device that is plugged in again
 * where a schedule has unplugged it.
 */

#include "race.h"
#include "usbhost/core.h"

/* An answer that comes once: to an open, a close, an abort. */
struct answer {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned n;
	IOReturn status;
};

/** For each schedule: the device, +1, nothing opened. */
struct host_device *host_begin(void);
/** Wait until nothing is left to do, and let go of what host_begin() gave. */
void host_end(struct host_device *device);
/** Pull the plug. False: it is pulled already. */
bool host_unplug(struct host_device *device);
/** Let @p ns pass for the device. */
void host_pass(uint64_t ns);
/** References that sessions hold to clients. */
unsigned host_clients(void);

void answer_init(struct answer *answer);
/** host_done for an answer. Twice: the schedule fails. */
void answer_come(void *answer, IOReturn status);
IOReturn answer_wait(struct answer *answer);
unsigned answer_count(struct answer *answer);

#endif /* RACES_HOST_H */
