/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_MACH_TIME_H
#define AMBIDEXT_MACH_MACH_TIME_H

/** @file mach/mach_time.h
 *  @brief The clocks of drivers. One tick is one nanosecond.
 *
 *  mach_absolute_time is CLOCK_MONOTONIC, which stops in sleep; mach_continuous_time is
 *  CLOCK_BOOTTIME, which does not. */

#include <stdint.h>
#include <time.h>

#include <mach/kern_return.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mach_timebase_info {
	uint32_t numer;
	uint32_t denom;
};
typedef struct mach_timebase_info *mach_timebase_info_t;
typedef struct mach_timebase_info mach_timebase_info_data_t;

#ifndef CLOCK_MONOTONIC /* a strict C library: it has the function all the same */
extern int clock_gettime(int clock, struct timespec *ret);
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_MONOTONIC_RAW 4
#endif

/* Numbers of this system where it has none of that name. */
#ifndef CLOCK_UPTIME_RAW
#define CLOCK_UPTIME_RAW CLOCK_MONOTONIC
#endif
#define ADX_CLOCK_BOOTTIME 7

static inline uint64_t
adx_clock_ns(int clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t
mach_absolute_time(void)
{
	return adx_clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t
mach_continuous_time(void)
{
	return adx_clock_ns(ADX_CLOCK_BOOTTIME);
}

static inline uint64_t
mach_approximate_time(void)
{
	return mach_absolute_time();
}

/** ns = ticks * numer / denom; 1 and 1. */
static inline kern_return_t
mach_timebase_info(mach_timebase_info_t info)
{
	info->numer = 1;
	info->denom = 1;
	return KERN_SUCCESS;
}

/** CLOCK_UPTIME_RAW, CLOCK_MONOTONIC_RAW (which counts sleep, as on macOS), CLOCK_REALTIME. */
static inline uint64_t
clock_gettime_nsec_np(int clock)
{
	return adx_clock_ns(clock == CLOCK_MONOTONIC_RAW ? ADX_CLOCK_BOOTTIME : clock);
}

#ifdef __cplusplus
}
#endif
#endif /* AMBIDEXT_MACH_MACH_TIME_H */
