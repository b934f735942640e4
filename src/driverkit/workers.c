/* SPDX-License-Identifier: MIT */
/* One epoll instance for all workers: channels (edge-triggered, so that one thread wakes), a
 * timerfd for each clock, and an eventfd that says "jobs". */

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "channel/channel.h"
#include "driverkit/job.h"
#include "driverkit/timer.h"
#include "driverkit/workers.h"

#define LOG_TOPIC "driverkit.workers"
#include "base/log.h"

#define MAX_THREADS 64u
#define RECEIVE_BUDGET                                                                             \
	32u /* messages a worker takes from a channel before it lets another thread at it */
#define RECEIVE_ROUNDS                                                                             \
	4u /* of them before it gives the job that it kept for itself to another worker */

/* What an epoll event names: a word, not a pointer, because a worker may still have the event in
 * its hands when another one has found the channel dead. Channels: slot and generation. */
#define EVENT_JOBS         UINT64_C(0)
#define EVENT_TIMER(clock) (UINT64_C(1) + (clock))
#define EVENT_CHANNELS     UINT64_C(16)

struct slot {
	struct adxi_channel *channel; /* owned reference; NULL: free */
	uint32_t generation;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct adxi_list ready = ADXI_LIST_INIT(ready);   /* adxi_job::link */
static struct slot *slots;                               /* owned array */
static unsigned n_slots;
static int epoll_fd = -1, jobs_fd = -1; /* owned */
static pthread_t threads[MAX_THREADS];
static unsigned n_threads, n_serving, n_waiting;
static bool running, stopping;

static _Thread_local struct {
	bool receiving;       /* in adxi_channel_dispatch as a worker */
	struct adxi_job *own; /* what it will run when it has received */
} worker;

static void *worker_main(void *unused);

static void
spawn_locked(void)
{
	if (n_threads >= MAX_THREADS || stopping)
		return;
	if (pthread_create(&threads[n_threads], NULL, worker_main, NULL) != 0) {
		log_warning("no new worker thread: the process has %u", n_threads);
		return;
	}
	n_threads++;
	n_serving++;
}

static void
wake_locked(void)
{
	uint64_t one = 1;

	if (n_waiting > 0)
		(void)!write(jobs_fd, &one,
			     sizeof(one)); /* cannot fill up: it is read by each who wakes */
	else if (running)
		spawn_locked();
}

static void
give_away(struct adxi_job *job)
{
	pthread_mutex_lock(&lock);
	adxi_list_append(&ready, &job->link);
	if (running)
		wake_locked();
	pthread_mutex_unlock(&lock);
}

void
adxi_job_push(struct adxi_job *job)
{
	if (worker.receiving && !worker.own)
		worker.own = job;
	else
		give_away(job);
}

static struct adxi_job *
job_take(void)
{
	pthread_mutex_lock(&lock);
	struct adxi_job *job = ADXI_LIST_FIRST(&ready, struct adxi_job, link);
	if (job)
		adxi_list_remove(&job->link);
	pthread_mutex_unlock(&lock);
	return job;
}

static void
run_job(struct adxi_job *job)
{
	pthread_mutex_lock(&lock);
	/* Somebody has to receive while this thread runs a driver's code, and to take what else is
	 * ready: two pushes may have woken this thread alone. */
	if (running && (n_waiting == 0 || !adxi_list_is_empty(&ready)))
		wake_locked();
	pthread_mutex_unlock(&lock);
	job->run(job);
}

unsigned
adxi_jobs_run(void)
{
	struct adxi_job *job;
	unsigned n = 0;

	while ((job = job_take())) {
		run_job(job);
		n++;
	}
	return n;
}

/* +1, or NULL: it is gone. */
static struct adxi_channel *
channel_of_event(uint64_t event)
{
	struct adxi_channel *channel = NULL;
	uint64_t slot = (uint32_t)event - EVENT_CHANNELS;

	pthread_mutex_lock(&lock);
	if (slot < n_slots && slots[slot].channel && slots[slot].generation == event >> 32)
		channel = adxi_channel_ref(slots[slot].channel);
	pthread_mutex_unlock(&lock);
	return channel;
}

static void
forget_channel(struct adxi_channel *channel)
{
	struct adxi_channel *gone = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_slots && !gone; i++) {
		if (slots[i].channel != channel)
			continue;
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, adxi_channel_fd(channel), NULL);
		gone = TAKE(slots[i].channel);
		slots[i].generation++;
	}
	pthread_mutex_unlock(&lock);
	adxi_channel_unref(gone);
}

/* Edge-triggered: everything must be taken until the peer knows that this side sleeps. */
static void
receive(uint64_t event)
{
	struct adxi_channel *channel = channel_of_event(event);
	unsigned rounds = 0;
	int n;

	if (!channel)
		return;
	worker.receiving = true;
	do {
		n = adxi_channel_dispatch(channel, RECEIVE_BUDGET);
		if (n > 0 && ++rounds >= RECEIVE_ROUNDS && worker.own)
			give_away(TAKE(worker.own));
	} while (n > 0 || (n == 0 && !adxi_channel_prepare_sleep(channel)));
	worker.receiving = false;
	if (n < 0)
		forget_channel(channel);
	adxi_channel_unref(channel);
}

static void
handle(uint64_t event)
{
	uint64_t count;

	if (event >= EVENT_CHANNELS) {
		receive(event);
	} else if (event == EVENT_JOBS) {
		pthread_mutex_lock(&lock);
		if (!stopping) /* else it stays readable for all */
			(void)!read(jobs_fd, &count, sizeof(count));
		pthread_mutex_unlock(&lock);
	} else {
		adxi_timers_run((enum adxi_clock)(event - EVENT_TIMER(0)));
	}
}

static void
serve(void)
{
	struct epoll_event event;

	pthread_mutex_lock(&lock);
	while (!stopping) {
		if (!adxi_list_is_empty(&ready)) {
			pthread_mutex_unlock(&lock);
			adxi_jobs_run();
			pthread_mutex_lock(&lock);
			continue;
		}
		n_waiting++;
		pthread_mutex_unlock(&lock);
		int n = epoll_wait(epoll_fd, &event, 1, -1);
		pthread_mutex_lock(&lock);
		n_waiting--;
		pthread_mutex_unlock(&lock);
		if (n == 1)
			handle(event.data.u64);
		if (worker.own)
			run_job(TAKE(worker.own));
		pthread_mutex_lock(&lock);
	}
	n_serving--;
	pthread_mutex_unlock(&lock);
}

static void *
worker_main(void *unused)
{
	serve();
	return NULL;
}

static int
watch_fd(int fd, uint64_t name, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = name };

	if (fd < 0)
		return fd;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void
close_fds(void)
{
	if (epoll_fd >= 0)
		close(epoll_fd);
	if (jobs_fd >= 0)
		close(jobs_fd);
	epoll_fd = jobs_fd = -1;
}

static int
open_fds(void)
{
	int r;

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	jobs_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (epoll_fd < 0 || jobs_fd < 0)
		return -errno;
	r = watch_fd(jobs_fd, EVENT_JOBS, EPOLLIN | EPOLLET);
	for (unsigned i = 0; r == 0 && i < ADXI_CLOCK_COUNT; i++)
		r = watch_fd(adxi_timers_fd((enum adxi_clock)i), EVENT_TIMER(i), EPOLLIN | EPOLLET);
	return r;
}

int
adxi_workers_start(void)
{
	pthread_mutex_lock(&lock);
	int r = running ? -EALREADY : open_fds();
	if (r == 0) {
		running = true;
		stopping = false;
		spawn_locked();
		if (n_threads == 0)
			r = -EAGAIN;
	}
	if (r < 0 && r != -EALREADY) {
		running = false;
		close_fds();
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void
adxi_workers_join(void)
{
	pthread_mutex_lock(&lock);
	n_serving++;
	pthread_mutex_unlock(&lock);
	serve();
}

/* Level-triggered and not read any more: every thread that waits or comes to wait sees it. */
void
adxi_workers_quit(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = EVENT_JOBS };
	uint64_t one = 1;

	pthread_mutex_lock(&lock);
	if (running && !stopping) {
		stopping = true;
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, jobs_fd, &event);
		(void)!write(jobs_fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&lock);
}

void
adxi_workers_stop(void)
{
	adxi_workers_quit();
	for (unsigned i = 0; i < n_threads; i++) /* nobody adds one while stopping */
		pthread_join(threads[i], NULL);
	n_threads = 0;
	for (unsigned i = 0; i < n_slots; i++)
		slots[i].channel = adxi_channel_unref(slots[i].channel);
	free(slots);
	slots = NULL;
	n_slots = 0;
	close_fds();
	running = false;
	stopping = false;
}

static int
slot_free_locked(unsigned *ret_slot)
{
	for (unsigned i = 0; i < n_slots; i++) {
		if (!slots[i].channel) {
			*ret_slot = i;
			return 0;
		}
	}
	unsigned n = n_slots ? n_slots * 2 : 8;
	struct slot *bigger = realloc(slots, n * sizeof(slots[0]));
	if (!bigger)
		return -ENOMEM;
	memset(bigger + n_slots, 0, (n - n_slots) * sizeof(slots[0]));
	slots = bigger;
	*ret_slot = n_slots;
	n_slots = n;
	return 0;
}

int
adxi_workers_add_channel(struct adxi_channel *channel)
{
	unsigned i = 0;

	pthread_mutex_lock(&lock);
	int r = running ? slot_free_locked(&i) : -ESRCH;
	if (r == 0) {
		slots[i].channel = adxi_channel_ref(channel);
		r = watch_fd(adxi_channel_fd(channel),
			     (uint64_t)slots[i].generation << 32 | (EVENT_CHANNELS + i),
			     EPOLLIN | EPOLLET);
		if (r < 0)
			slots[i].channel = adxi_channel_unref(channel);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void
adxi_workers_count(unsigned *ret_all, unsigned *ret_waiting)
{
	pthread_mutex_lock(&lock);
	*ret_all = n_serving;
	*ret_waiting = n_waiting;
	pthread_mutex_unlock(&lock);
}
