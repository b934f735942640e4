/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_PROBE_TEST_H
#define DRIVERKIT_PROBE_TEST_H

/** @file driverkit/probe.h
 *  @brief For unit tests: what the probe classes do, and a dextd inside the process. */

#include "driverkit/job.h"
#include "driverkit/process.h"
#include "probe.iig.h"

/* What Probe and ProbeService call back; set by the test. NULL: nothing. */
extern void (*probe_fired)(OSObject *self, OSAction *action, uint64_t time);
extern void (*probe_available)(Probe *self, OSAction *action);
extern void (*probe_serviced)(Probe *self, OSAction *action);
extern kern_return_t (*probe_external)(ProbeClient *self, uint64_t selector,
				       IOUserClientMethodArguments *arguments);
extern kern_return_t probe_start_result;
extern bool probe_stop_is_late; /* Stop returns without super's */
extern unsigned probe_starts, probe_stops;

/* dextd's objects, native: what they were asked. */
struct fake_dextd {
	uint64_t stopped[8], registered[8], terminated[8], published_below[8];
	unsigned n_stopped, n_registered, n_terminated, n_published;
	OSDictionary *properties; /* borrowed: what CopyProperty finds */
};
extern struct fake_dextd fake;
/** Make them the process's; forget what was asked. */
void fake_dextd_begin(void);
void fake_dextd_end(void);

Probe *probe_new(void); /* as drivers do: OSTypeAlloc, init */
/** Last rule told, "T27", or "". */
const char *told_rule(void);

#endif /* DRIVERKIT_PROBE_TEST_H */
