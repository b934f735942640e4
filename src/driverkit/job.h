/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_JOB_H
#define DRIVERKIT_JOB_H

/**
 * @file driverkit/job.h
 * @brief Something for a worker thread to run. workers.c runs jobs; queues and timers make them.
 */

#include "base/list.h"

struct adxi_job {
	struct adxi_list link;             /* in workers.c's ready list */
	void (*run)(struct adxi_job *job); /* on a worker, once for each push; may free the job */
};

/**
 * Have a worker run @p job soon. The caller keeps it alive until run; it is pushed again only after
 * run began. A worker that is receiving keeps the first job for itself and runs it when it has
 * received: no thread is woken. Threads: [any], under any lock but workers.c's.
 */
void adxi_job_push(struct adxi_job *job);

/** Run what is ready in the calling thread, until nothing is. For tests without workers. @return
 * jobs run */
unsigned adxi_jobs_run(void);

#endif /* DRIVERKIT_JOB_H */
