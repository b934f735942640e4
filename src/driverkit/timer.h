/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_TIMER_H
#define DRIVERKIT_TIMER_H

/**
 * @file driverkit/timer.h
 * @brief Timers on three clocks. They have no thread: workers poll a timerfd for each clock.
 *
 * Tests replace the clock (adxi_timers_set_clock) and move it; then nothing is armed in the kernel.
 * Threads: everything [any]. No lock is held while a timer's function runs.
 */

#include <stdbool.h>
#include <stdint.h>

enum adxi_clock {
	ADXI_CLOCK_UPTIME, /* CLOCK_MONOTONIC: stops in sleep */
	ADXI_CLOCK_BOOT,   /* CLOCK_BOOTTIME: runs in sleep */
	ADXI_CLOCK_WALL,   /* CLOCK_REALTIME */
	ADXI_CLOCK_COUNT,
};

struct adxi_timer {
	void (*fire)(
		struct adxi_timer *timer); /* on a worker; quick, or it hands over to a queue */
	uint64_t deadline_ns;              /* timer.c's, as the rest */
	uint32_t heap_index;               /* 1...; 0: not armed */
	uint8_t clock;
};

/** kIOTimerClock* option to a clock. -EINVAL: none of them. 0 means UPTIME. */
int adxi_clock_from_options(uint64_t options, enum adxi_clock *ret_clock);
uint64_t adxi_clock_now(enum adxi_clock clock);

/** Arm, or move. -ENOMEM (not armed any more). A deadline that has passed fires soon, never inside
 * this call. */
int adxi_timer_arm(struct adxi_timer *timer, enum adxi_clock clock, uint64_t deadline_ns);
/** @return true if it was armed: fire will not be called. False: it was called, is being called, or
 * never armed. */
bool adxi_timer_disarm(struct adxi_timer *timer);

/** Whether it will be called. */
bool adxi_timer_is_armed(const struct adxi_timer *timer);

/** Fire what is due on @p clock. @return timers fired */
unsigned adxi_timers_run(enum adxi_clock clock);
/** Descriptor that becomes readable when a timer of @p clock is due; owned by timer.c. -EMFILE...
 */
int adxi_timers_fd(enum adxi_clock clock);

/** NULL: the real ones. */
void adxi_timers_set_clock(uint64_t (*now)(enum adxi_clock clock));

#endif /* DRIVERKIT_TIMER_H */
