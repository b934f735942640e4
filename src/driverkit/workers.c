/* SPDX-License-Identifier: MIT */
/* Groups of threads, one a processor (or every n-th one), each with an epoll instance: channels (a bell each; edge-triggered,
 * so that one thread wakes), an eventfd that says "jobs"; the first group has the timers and the channels' hang-ups, too. */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "channel/channel.h"
#include "driverkit/job.h"
#include "driverkit/timer.h"
#include "driverkit/workers.h"

#define LOG_TOPIC "driverkit.workers"
#include "base/log.h"

#define MAX_GROUPS     ADXI_MAX_BELLS
#define MAX_THREADS    (64u * MAX_GROUPS)
#define GROUP_THREADS  64u
#define RECEIVE_BUDGET 32u /* messages a worker takes from a channel before it lets another thread at it */
#define RECEIVE_ROUNDS 4u  /* of them before it gives the job that it kept for itself to another worker */

/* A channel is polled, by a thread of another processor than its caller's, once HOT_CALLS calls came less than HOT_NS apart,
 * and until none came for POLL_NS, which is longer than a wake takes. */
#define HOT_CALLS 16u
#define HOT_NS    10000u
#define POLL_NS   20000u
/* For so long a thread sleeps for the next call of the channel that it answered last: one of a group. */
#define LINGER_NS (12u * 1000000u)

/* What an epoll event names: a word, not a pointer, because a worker may still have the event in
 * its hands when another one has found the channel dead. Channels: slot, which of its descriptors, generation. */
#define EVENT_JOBS         UINT64_C(0)
#define EVENT_TIMER(clock) (UINT64_C(1) + (clock))
#define EVENT_CHANNELS     UINT64_C(16)
#define EVENT_SLOT_MASK    UINT64_C(0xffffff)
#define EVENT_PART_SHIFT   24
#define EVENT_SOCKET       15u

/* Of one channel. Never freed while workers run: polling jobs name it. */
struct slot {
	struct adxi_channel *channel; /* owned reference; NULL: free */
	uint32_t generation;
	int bells[ADXI_MAX_BELLS], socket; /* borrowed from the channel */
	unsigned n_bells;
	/* How hot it is: hints, written by whoever receives */
	_Atomic uint64_t last_ns, n_requests;
	_Atomic unsigned streak;
	_Atomic bool polled;
};

struct group {
	pthread_mutex_t lock;    /* guards what follows; taken before pool.lock */
	struct adxi_list ready;  /* adxi_job::link */
	unsigned n_waiting, n_serving;
	_Atomic bool lingers;    /* some thread does */
	int epoll_fd, jobs_fd;   /* owned */
	cpu_set_t cpus;          /* as found at the start */
};

static struct group groups[MAX_GROUPS] = {
	[0 ... MAX_GROUPS - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER, .epoll_fd = -1, .jobs_fd = -1 },
};
static unsigned n_groups = 1; /* set before the first thread */

static struct {
	pthread_mutex_t lock; /* guards all below */
	struct slot **slots;  /* owned array of owned */
	unsigned n_slots;
	pthread_t threads[MAX_THREADS];
	unsigned n_threads;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };
static _Atomic bool running, stopping;

static _Thread_local struct {
	struct group *group;  /* NULL: not a worker */
	bool receiving;       /* in adxi_channel_dispatch as a worker */
	struct adxi_channel *channel; /* borrowed: where own came from, while it runs */
	struct adxi_job *own; /* what it will run when it has received */
} worker;

__attribute__((constructor(101))) static void
init_lists(void)
{
	for (unsigned i = 0; i < MAX_GROUPS; i++)
		adxi_list_init(&groups[i].ready);
}

/* ---------------------------------------------------------------------------------------------
 * Threads and jobs
 */

static void *worker_main(void *group);

/* [group.lock] */
static void
spawn_locked(struct group *group)
{
	pthread_attr_t attr;
	int r = EAGAIN;

	if (group->n_serving >= GROUP_THREADS || atomic_load(&stopping))
		return;
	(void)pthread_attr_init(&attr);
	if (n_groups > 1)
		(void)pthread_attr_setaffinity_np(&attr, sizeof(group->cpus), &group->cpus);
	pthread_mutex_lock(&pool.lock);
	if (pool.n_threads < MAX_THREADS) {
		pthread_t *thread = &pool.threads[pool.n_threads];

		r = pthread_create(thread, &attr, worker_main, group);
		if (r == EINVAL) /* the processors were taken away meanwhile */
			r = pthread_create(thread, NULL, worker_main, group);
	}
	if (r == 0) {
		pool.n_threads++;
		group->n_serving++;
	} else {
		log_warning("no new worker thread: the process has %u", pool.n_threads);
	}
	pthread_mutex_unlock(&pool.lock);
	(void)pthread_attr_destroy(&attr);
}

/* [group.lock] */
static void
wake_locked(struct group *group)
{
	uint64_t one = 1;

	if (group->n_waiting > 0)
		(void)!write(group->jobs_fd, &one, sizeof(one)); /* cannot fill up: it is read by each who wakes */
	else if (atomic_load(&running))
		spawn_locked(group);
}

static struct group *
group_here(void)
{
	return worker.group ? worker.group : &groups[adxi_bell_here(n_groups)];
}

static void
give(struct group *group, struct adxi_job *job)
{
	pthread_mutex_lock(&group->lock);
	adxi_list_append(&group->ready, &job->link);
	if (atomic_load(&running))
		wake_locked(group);
	pthread_mutex_unlock(&group->lock);
}

/* This thread's processor has its own job to run. */
static struct group *
group_next(void)
{
	return &groups[(unsigned)(group_here() - groups + 1) % n_groups];
}

void
adxi_job_push(struct adxi_job *job)
{
	if (!worker.receiving)
		give(group_here(), job);
	else if (worker.own)
		give(group_next(), job);
	else
		worker.own = job;
}

static struct adxi_job *
job_take(struct group *group)
{
	pthread_mutex_lock(&group->lock);
	struct adxi_job *job = ADXI_LIST_FIRST(&group->ready, struct adxi_job, link);
	if (job)
		adxi_list_remove(&job->link);
	pthread_mutex_unlock(&group->lock);
	return job;
}

static void
run_job(struct group *group, struct adxi_job *job)
{
	pthread_mutex_lock(&group->lock);
	/* Somebody has to receive while this thread runs a driver's code, and to take what else is
	 * ready: two pushes may have woken this thread alone. */
	if (atomic_load(&running) && (group->n_waiting == 0 || !adxi_list_is_empty(&group->ready)))
		wake_locked(group);
	pthread_mutex_unlock(&group->lock);
	job->run(job);
}

static unsigned
jobs_run(struct group *group)
{
	struct adxi_job *job;
	unsigned n = 0;

	while ((job = job_take(group))) {
		run_job(group, job);
		n++;
	}
	return n;
}

unsigned
adxi_jobs_run(void)
{
	unsigned n = 0, before;

	do {
		before = n;
		for (unsigned i = 0; i < MAX_GROUPS; i++)
			n += jobs_run(&groups[i]);
	} while (n != before);
	return n;
}

/* ---------------------------------------------------------------------------------------------
 * Channels
 */

/* +1, or NULL: it is gone. */
static struct adxi_channel *
channel_of_event(uint64_t event, struct slot **ret_slot)
{
	struct adxi_channel *channel = NULL;
	uint64_t index = (event & EVENT_SLOT_MASK) - EVENT_CHANNELS;

	pthread_mutex_lock(&pool.lock);
	if (index < pool.n_slots && pool.slots[index]->channel && pool.slots[index]->generation == event >> 32) {
		*ret_slot = pool.slots[index];
		channel = adxi_channel_ref(pool.slots[index]->channel);
	}
	pthread_mutex_unlock(&pool.lock);
	return channel;
}

static void
unwatch(const struct slot *slot)
{
	for (unsigned i = 0; i < slot->n_bells; i++)
		(void)epoll_ctl(groups[i % n_groups].epoll_fd, EPOLL_CTL_DEL, slot->bells[i], NULL);
	(void)epoll_ctl(groups[0].epoll_fd, EPOLL_CTL_DEL, slot->socket, NULL);
}

static void
forget_channel(struct slot *slot, struct adxi_channel *channel)
{
	struct adxi_channel *gone = NULL;

	pthread_mutex_lock(&pool.lock);
	if (slot->channel == channel) {
		unwatch(slot);
		gone = TAKE(slot->channel);
		slot->generation++;
	}
	pthread_mutex_unlock(&pool.lock);
	adxi_channel_unref(gone);
}

/* The caller is on this processor, and nobody polls: wait for its next call a little. */
static int
resume(const struct slot *slot, const struct adxi_channel *channel)
{
	struct group *group = worker.group;
	bool lingers = group && !atomic_load(&slot->polled) &&
		       adxi_channel_is_called_from(channel, (unsigned)(group - groups)) &&
		       !atomic_exchange_explicit(&group->lingers, true, memory_order_relaxed);
	int n = adxi_channel_resume(RECEIVE_BUDGET, lingers ? LINGER_NS : 0);

	if (lingers)
		atomic_store_explicit(&group->lingers, false, memory_order_relaxed);
	return n;
}

/* Take everything until the peer knows that this side sleeps. The first queue that got work stays with this thread.
 * @return messages, -EPIPE: it is dead, and forgotten */
static int
receive(struct slot *slot, struct adxi_channel *channel)
{
	unsigned rounds = 0;
	int n, all = 0;

	worker.receiving = true;
	do {
		n = adxi_channel_stayed() ? resume(slot, channel) : adxi_channel_dispatch(channel, RECEIVE_BUDGET);
		all += n > 0 ? n : 0;
		if (n > 0 && ++rounds >= RECEIVE_ROUNDS && worker.own)
			give(group_next(), TAKE(worker.own));
	} while (n >= (int)RECEIVE_BUDGET);
	worker.receiving = false;
	if (n < 0)
		forget_channel(slot, channel);
	return n < 0 ? n : all;
}

struct adxi_channel *
adxi_workers_channel(void)
{
	return worker.channel;
}

/* True: it answered a request of @p channel last and has the receiver's role; receive() goes on with it. */
static bool
run_own(struct adxi_channel *channel)
{
	if (!worker.own)
		return false;
	worker.channel = channel;
	run_job(worker.group, TAKE(worker.own));
	worker.channel = NULL;
	if (!atomic_load(&stopping))
		return adxi_channel_stayed() != NULL;
	adxi_channel_leave();
	return false;
}

/* ---------------------------------------------------------------------------------------------
 * Polling: the caller and the driver each keep a processor, and nobody sleeps
 */

static void serve_channel(struct slot *slot, struct adxi_channel *channel);

struct polling {
	struct adxi_job job;
	struct adxi_channel *channel; /* owned reference */
	struct slot *slot;
};

static void
poll_run(struct adxi_job *job)
{
	struct polling *polling = adxi_container_of(job, struct polling, job);
	struct adxi_channel *channel = polling->channel;
	uint64_t until = adxi_now_ns() + POLL_NS;
	int n = 0;

	if (worker.group && adxi_channel_set_polled(channel, (unsigned)(worker.group - groups))) {
		while (n >= 0 && !atomic_load(&stopping) &&
		       (adxi_channel_stayed() || adxi_channel_spin(channel, until))) {
			n = receive(polling->slot, channel);
			(void)run_own(channel);
			if (n > 0)
				until = adxi_now_ns() + POLL_NS;
			else if (adxi_now_ns() >= until)
				break; /* another thread is at it */
		}
		adxi_channel_end_polled(channel);
		/* What came for the poller while it was leaving. */
		if (n >= 0)
			serve_channel(polling->slot, channel);
	}
	atomic_store(&polling->slot->polled, false);
	adxi_channel_unref(channel);
	free(polling);
}

static void
poll_begin(struct slot *slot, struct adxi_channel *channel)
{
	struct polling *polling;

	if (n_groups < 2 || atomic_exchange(&slot->polled, true))
		return;
	polling = malloc(sizeof(*polling));
	if (!polling) {
		atomic_store(&slot->polled, false);
		return;
	}
	*polling = (struct polling){ .job.run = poll_run, .channel = adxi_channel_ref(channel), .slot = slot };
	give(group_next(), &polling->job);
}

/* One call, one wake, again and again: somebody calls in a loop. */
static void
note_heat(struct slot *slot, struct adxi_channel *channel)
{
	const uint64_t now = adxi_now_ns(), requests = adxi_channel_requests(channel);
	const uint64_t last = atomic_load_explicit(&slot->last_ns, memory_order_relaxed);
	const uint64_t before = atomic_load_explicit(&slot->n_requests, memory_order_relaxed);
	unsigned streak = 0;

	atomic_store_explicit(&slot->last_ns, now, memory_order_relaxed);
	atomic_store_explicit(&slot->n_requests, requests, memory_order_relaxed);

	if (now - last < HOT_NS && requests - before == 1)
		streak = atomic_load_explicit(&slot->streak, memory_order_relaxed) + 1;
	atomic_store_explicit(&slot->streak, streak >= HOT_CALLS ? 0 : streak, memory_order_relaxed);
	if (streak >= HOT_CALLS)
		poll_begin(slot, channel);
}

/* Receive and run, for as long as each reply is followed by the next request. Other channels of the group are another
 * thread's meanwhile. */
static void
serve_channel(struct slot *slot, struct adxi_channel *channel)
{
	do {
		if (receive(slot, channel) > 0)
			note_heat(slot, channel);
	} while (run_own(channel));
}

/* ---------------------------------------------------------------------------------------------
 * Events
 */

static void
channel_event(uint64_t event)
{
	const unsigned part = event >> EVENT_PART_SHIFT & 15u;
	struct slot *slot = NULL;
	struct adxi_channel *channel = channel_of_event(event, &slot);

	if (!channel)
		return;
	if (part == EVENT_SOCKET)
		adxi_channel_hung_up(channel);
	else
		adxi_channel_rung(channel, part);
	serve_channel(slot, channel);
	adxi_channel_unref(channel);
}

static void
handle(struct group *group, uint64_t event)
{
	uint64_t count;

	if (event >= EVENT_CHANNELS) {
		channel_event(event);
	} else if (event == EVENT_JOBS) {
		if (!atomic_load(&stopping)) /* else it stays readable for all */
			(void)!read(group->jobs_fd, &count, sizeof(count));
	} else {
		adxi_timers_run((enum adxi_clock)(event - EVENT_TIMER(0)));
	}
}

static void
serve(struct group *group)
{
	struct epoll_event event;

	worker.group = group;
	pthread_mutex_lock(&group->lock);
	while (!atomic_load(&stopping)) {
		if (!adxi_list_is_empty(&group->ready)) {
			pthread_mutex_unlock(&group->lock);
			jobs_run(group);
			pthread_mutex_lock(&group->lock);
			continue;
		}
		group->n_waiting++;
		pthread_mutex_unlock(&group->lock);
		int n = epoll_wait(group->epoll_fd, &event, 1, -1);
		pthread_mutex_lock(&group->lock);
		group->n_waiting--;
		pthread_mutex_unlock(&group->lock);
		if (n == 1)
			handle(group, event.data.u64);
		pthread_mutex_lock(&group->lock);
	}
	group->n_serving--;
	pthread_mutex_unlock(&group->lock);
	worker.group = NULL;
}

static void *
worker_main(void *group)
{
	serve(group);
	return NULL;
}

/* ---------------------------------------------------------------------------------------------
 * Start and stop
 */

static int
watch_fd(const struct group *group, int fd, uint64_t name, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = name };

	if (fd < 0)
		return fd;
	return epoll_ctl(group->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void
close_fds(void)
{
	for (unsigned i = 0; i < MAX_GROUPS; i++) {
		if (groups[i].epoll_fd >= 0)
			close(TAKE_FD(groups[i].epoll_fd));
		if (groups[i].jobs_fd >= 0)
			close(TAKE_FD(groups[i].jobs_fd));
	}
}

static int
open_fds(void)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n_groups; i++) {
		groups[i].epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		groups[i].jobs_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (groups[i].epoll_fd < 0 || groups[i].jobs_fd < 0)
			return -errno;
		r = watch_fd(&groups[i], groups[i].jobs_fd, EVENT_JOBS, EPOLLIN | EPOLLET);
	}
	for (unsigned i = 0; r == 0 && i < ADXI_CLOCK_COUNT; i++)
		r = watch_fd(&groups[0], adxi_timers_fd((enum adxi_clock)i), EVENT_TIMER(i), EPOLLIN | EPOLLET);
	return r;
}

/* Every n-th processor of those that the process may use; all of them where that is none. A driver's own threads are to run
 * anywhere, also those that it makes on a worker: the default for new threads is what the process was given. */
static void
divide_processors(void)
{
	cpu_set_t all;
	pthread_attr_t attr;

	CPU_ZERO(&all);
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	for (unsigned i = 0; i < n_groups; i++) {
		CPU_ZERO(&groups[i].cpus);
		for (unsigned cpu = i; cpu < CPU_SETSIZE; cpu += n_groups)
			if (CPU_ISSET(cpu, &all))
				CPU_SET(cpu, &groups[i].cpus);
		if (CPU_COUNT(&groups[i].cpus) == 0)
			groups[i].cpus = all;
	}
	if (n_groups < 2 || pthread_getattr_default_np(&attr) != 0)
		return;
	if (pthread_attr_setaffinity_np(&attr, sizeof(all), &all) == 0)
		(void)pthread_setattr_default_np(&attr);
	(void)pthread_attr_destroy(&attr);
}

int
adxi_workers_start(void)
{
	int r;

	if (atomic_load(&running))
		return -EALREADY;
	n_groups = adxi_bells();
	atomic_store(&stopping, false);
	divide_processors();
	r = open_fds();
	if (r < 0) {
		close_fds();
		return r;
	}
	atomic_store(&running, true);
	for (unsigned i = 0; r == 0 && i < n_groups; i++) {
		pthread_mutex_lock(&groups[i].lock);
		spawn_locked(&groups[i]);
		if (groups[i].n_serving == 0)
			r = -EAGAIN;
		pthread_mutex_unlock(&groups[i].lock);
	}
	if (r < 0)
		adxi_workers_stop();
	return r;
}

void
adxi_workers_join(void)
{
	struct group *group = &groups[0];

	if (n_groups > 1)
		(void)pthread_setaffinity_np(pthread_self(), sizeof(group->cpus), &group->cpus);
	pthread_mutex_lock(&group->lock);
	group->n_serving++;
	pthread_mutex_unlock(&group->lock);
	serve(group);
}

/* Level-triggered and not read any more: every thread that waits or comes to wait sees it. */
void
adxi_workers_quit(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = EVENT_JOBS };
	uint64_t one = 1;

	if (!atomic_load(&running) || atomic_exchange(&stopping, true))
		return;
	for (unsigned i = 0; i < n_groups; i++) {
		pthread_mutex_lock(&groups[i].lock);
		if (groups[i].jobs_fd >= 0) {
			(void)epoll_ctl(groups[i].epoll_fd, EPOLL_CTL_MOD, groups[i].jobs_fd, &event);
			(void)!write(groups[i].jobs_fd, &one, sizeof(one));
		}
		pthread_mutex_unlock(&groups[i].lock);
	}
}

void
adxi_workers_stop(void)
{
	adxi_workers_quit();
	for (unsigned i = 0; i < pool.n_threads; i++) /* nobody adds one while stopping */
		pthread_join(pool.threads[i], NULL);
	pool.n_threads = 0;
	for (unsigned i = 0; i < pool.n_slots; i++) {
		adxi_channel_unref(pool.slots[i]->channel);
		free(pool.slots[i]);
	}
	free(pool.slots);
	pool.slots = NULL;
	pool.n_slots = 0;
	close_fds();
	atomic_store(&running, false);
	atomic_store(&stopping, false);
}

static int
slot_free_locked(struct slot **ret_slot, unsigned *ret_index)
{
	struct slot **bigger, *slot;

	for (unsigned i = 0; i < pool.n_slots; i++) {
		if (!pool.slots[i]->channel) {
			*ret_slot = pool.slots[i];
			*ret_index = i;
			return 0;
		}
	}
	if (pool.n_slots >= EVENT_SLOT_MASK - EVENT_CHANNELS)
		return -EMFILE;
	bigger = reallocarray(pool.slots, pool.n_slots + 1, sizeof(pool.slots[0]));
	if (!bigger)
		return -ENOMEM;
	pool.slots = bigger;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*ret_index = pool.n_slots;
	*ret_slot = pool.slots[pool.n_slots++] = slot;
	return 0;
}

/* [pool.lock] */
static int
watch_locked(const struct slot *slot, unsigned index)
{
	const uint64_t name = (uint64_t)slot->generation << 32 | (EVENT_CHANNELS + index);
	int r = 0;

	for (unsigned i = 0; r == 0 && i < slot->n_bells; i++)
		r = watch_fd(&groups[i % n_groups], slot->bells[i], name | (uint64_t)i << EVENT_PART_SHIFT,
			     EPOLLIN | EPOLLET);
	if (r == 0)
		r = watch_fd(&groups[0], slot->socket, name | (uint64_t)EVENT_SOCKET << EVENT_PART_SHIFT, EPOLLET);
	if (r < 0)
		unwatch(slot);
	return r;
}

int
adxi_workers_add_channel(struct adxi_channel *channel)
{
	struct slot *slot;
	unsigned index;

	pthread_mutex_lock(&pool.lock);
	int r = atomic_load(&running) ? slot_free_locked(&slot, &index) : -ESRCH;
	if (r == 0) {
		slot->channel = adxi_channel_ref(channel);
		slot->n_bells = adxi_channel_take_edges(channel, slot->bells, &slot->socket);
		r = watch_locked(slot, index);
		if (r < 0)
			slot->channel = adxi_channel_unref(channel);
	}
	pthread_mutex_unlock(&pool.lock);
	return r;
}

void
adxi_workers_count(unsigned *ret_all, unsigned *ret_waiting)
{
	*ret_all = *ret_waiting = 0;
	for (unsigned i = 0; i < MAX_GROUPS; i++) {
		pthread_mutex_lock(&groups[i].lock);
		*ret_all += groups[i].n_serving;
		*ret_waiting += groups[i].n_waiting;
		pthread_mutex_unlock(&groups[i].lock);
	}
}
