/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/**
 * @file base/clock.h
 * @brief Time. Deadlines are CLOCK_MONOTONIC in nanoseconds everywhere.
 */

#include <stdint.h>

#define ADXI_NS_PER_US 1000ull
#define ADXI_NS_PER_MS 1000000ull
#define ADXI_NS_PER_S  1000000000ull

/** Deadline that never comes. */
#define ADXI_NEVER UINT64_MAX

uint64_t adxi_now_ns(void);
/** Nanoseconds since 1970, for people. */
uint64_t adxi_wall_ns(void);
/** Now + @p delay_ns, never wrapping. */
uint64_t adxi_deadline_ns(uint64_t delay_ns);
/** What poll() wants: 0 when passed, -1 for ADXI_NEVER, rounded up. */
int adxi_timeout_ms(uint64_t deadline_ns);

#endif /* BASE_CLOCK_H */
