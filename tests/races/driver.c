/* SPDX-License-Identifier: MIT */
/* The driver's runtime: jobs are run by the schedule's workers, and the clock is moved by whoever
 * races. */

#include "cases.h"
#include "driverkit/job.h"
#include "driverkit/timer.h"
#include "seam.h"

#define FAR_NS 10000u /* beyond every deadline of the cases */

static uint64_t now_ns;
static uint64_t end_ns;

void __real_adxi_job_push(struct adxi_job *job);
void __wrap_adxi_job_push(struct adxi_job *job);

/* The linker puts it in the place of the workers' own: they are the schedule's. */
void
__wrap_adxi_job_push(struct adxi_job *job)
{
	__real_adxi_job_push(job);
	race_wake_workers();
}

bool
driver_work(void)
{
	return adxi_jobs_run() > 0;
}

static uint64_t
clock_now(enum adxi_clock clock __attribute__((unused)))
{
	return __atomic_load_n(&now_ns, __ATOMIC_RELAXED);
}

void
driver_clock_set(void)
{
	adxi_timers_set_clock(clock_now);
	end_ns = driver_now() + FAR_NS;
}

uint64_t
driver_now(void)
{
	return clock_now(ADXI_CLOCK_UPTIME);
}

void
driver_pass(uint64_t ns)
{
	__atomic_fetch_add(&now_ns, ns, __ATOMIC_RELAXED);
	(void)adxi_timers_run(ADXI_CLOCK_UPTIME);
}

bool
driver_time(void)
{
	/* Stepped, time passes only when nobody can go on: more of it would help nobody. */
	if (driver_now() > end_ns && !(race_is_inside() && race_is_free()))
		return false;
	driver_pass(FAR_NS / 8);
	return true;
}

void
driver_rest(void)
{
	end_ns = driver_now() + FAR_NS;
	while (driver_time() || driver_work())
		;
}

const struct race_case *const race_cases[] = { &race_action, &race_timer, &race_data, &race_queue,
					       &race_pipe,   &race_ring,  NULL };
