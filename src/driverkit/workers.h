/* SPDX-License-Identifier: MIT */
#ifndef DRIVERKIT_WORKERS_H
#define DRIVERKIT_WORKERS_H

/**
 * @file driverkit/workers.h
 * @brief The process's threads: each waits for channels, timers and jobs, and does what comes.
 *
 * They are in groups, one a processor up to four (adxi_bells()), each bound to its processor: a caller wakes the group of the
 * processor that it runs on and goes to sleep there, so no other processor has to be woken.
 *
 *   WAITING in epoll --channel readable--> RECEIVING --a queue got work--> RUNNING user code
 *       ^                                                                         |
 *       `-------------------------------------------------------------------------'
 *
 * A worker receives a channel without running anything of it: what arrives becomes work on queues.
 * The first queue that got work stays with the worker, which runs it when it has received; the
 * others go to the next group. When the last waiting worker of a group begins to run user code another
 * thread is started there, up to a bound, so that the process goes on receiving while drivers block.
 * After a reply a worker waits for the next call of the same channel (docs/channel.md, "Staying"), and calls in a loop are
 * polled by the next group ("Polling"). A driver's own threads may run anywhere. Nothing here starts before
 * adxi_workers_start().
 *
 * Threads: everything [any].
 */

struct adxi_channel;

/** Start the pool with one thread besides the caller's. 0, -EALREADY, -errno. */
int adxi_workers_start(void);
/** Serve in the calling thread until adxi_workers_stop(). */
void adxi_workers_join(void);
/** Have all workers end after what they run; waits for the pool's own threads, so not from one of
 * them. */
void adxi_workers_stop(void);
/** Ask all to end, without waiting: from a worker. adxi_workers_join() then returns. */
void adxi_workers_quit(void);

/** Receive on a channel; references it until it is dead or removed. 0, -errno. */
int adxi_workers_add_channel(struct adxi_channel *channel);

/** Channel that the calling worker received the work from that it runs first now, borrowed, or NULL: it returns to it. */
struct adxi_channel *adxi_workers_channel(void);

/** Threads now: all, and those that wait. For tests and `dext list`. */
void adxi_workers_count(unsigned *ret_all, unsigned *ret_waiting);

#endif /* DRIVERKIT_WORKERS_H */
