/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

static uint64_t
clock_read(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts); /* both clocks exist on every Linux */
	return (uint64_t)ts.tv_sec * ADXI_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
adxi_now_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t
adxi_wall_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}

uint64_t
adxi_deadline_ns(uint64_t delay_ns)
{
	uint64_t now = adxi_now_ns();

	return delay_ns >= ADXI_NEVER - now ? ADXI_NEVER : now + delay_ns;
}

int
adxi_timeout_ms(uint64_t deadline_ns)
{
	uint64_t now, ms;

	if (deadline_ns == ADXI_NEVER)
		return -1;
	now = adxi_now_ns();
	if (deadline_ns <= now)
		return 0;
	ms = (deadline_ns - now) / ADXI_NS_PER_MS + 1;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}
