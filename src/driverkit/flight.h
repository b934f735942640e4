/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_FLIGHT_H
#define DRIVERKIT_FLIGHT_H

/**
 * @file driverkit/flight.h
 * @brief This process's crash record (base/crash_record.h), if dextd gave it one.
 */

#include <signal.h>
#include <stdint.h>

#include "base/crash_record.h"

/** Map the record and note the modules. Once, before there are threads. */
void adxi_flight_open(void);
/** A place for the calling thread, or NULL: none is left, or there is no record. */
struct crash_place *adxi_flight_place(void);
/** The thread ends: another may have it. */
void adxi_flight_place_left(struct crash_place *place);

/**
 * Write down the crash. Async-signal-safe, and sound when heap and stack are not: what may be
 * unmapped is read by the kernel.
 *
 * @param where  the method that ran, or NULL
 * @param mine   the thread's place, or NULL
 */
void adxi_flight_crashed(int signal, const siginfo_t *info, const void *ucontext, const char *where,
			 const struct crash_place *mine);

/** The calling thread's handlers run on a stack of their own; @return it, for _end(), or NULL: it
 * had one, or there is no memory. */
void *adxi_flight_stack(void);
void adxi_flight_stack_end(void *stack);

#endif /* DRIVERKIT_FLIGHT_H */
