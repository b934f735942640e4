/* SPDX-License-Identifier: MIT */
/* Who holds a queue, what waits for it, and who is next. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rules.h"
#include "channel/channel.h"
#include "driverkit/job.h"
#include "driverkit/queue.h"
#include "driverkit/timer.h"

#define DRAIN_BUDGET 64u /* works a job runs before it lets another job have the thread */

enum work_kind { WORK_ASYNC, WORK_SYNC, WORK_CONCURRENT };
enum queue_state { QUEUE_IDLE, QUEUE_READY, QUEUE_HELD, QUEUE_SHARED };

/* A thread, as far as queues know it. Never freed, so that a walk over waiters is safe: reused
 * after its end. */
struct thread {
	struct thread *next_free;   /* in free_threads */
	struct frame *top;          /* borrowed: on the thread's own stack */
	struct adxi_queue *waiting; /* atomic; borrowed: it blocks until it gets this queue */
};

/* One entry into a queue, on the stack of the thread that entered. */
struct frame {
	struct adxi_queue *queue;
	struct frame *outer;
};

struct waiter {
	struct adxi_work work; /* first; kind WORK_SYNC */
	struct thread *thread;
	pthread_cond_t cond;
	bool granted, cancelled;
	bool returning; /* from a sleep: it held the queue before, so a cancel leaves it in line */
};

struct sleeper {
	struct adxi_list link; /* in adxi_queue::sleepers */
	const void *event;
	struct adxi_timer timer; /* armed while it has a deadline */
	struct adxi_queue *queue;
	pthread_cond_t cond;
	bool woken, expired;
};

struct adxi_queue {
	unsigned n_ref; /* atomic */
	uint32_t flags;
	char *name;           /* owned */
	pthread_mutex_t lock; /* guards all below */
	enum queue_state state;
	struct thread *owner;  /* atomic reads without the lock; set in HELD */
	struct adxi_list work; /* adxi_work::link */
	struct adxi_list sleepers;
	unsigned n_concurrent; /* running beside each other */
	bool cancelled, done_pending;
	void (*done)(void *context); /* the cancel handler */
	void *done_context;
	struct adxi_job job;      /* pushed in READY; holds a reference then */
	struct adxi_job done_job; /* the cancel handler's; holds a reference from cancel on */
	struct adxi_list link;    /* in all_queues */
};

/* A concurrent work on its way to a worker. */
struct shared_job {
	struct adxi_job job;
	struct adxi_work *work;
	struct adxi_queue *queue; /* owned reference */
};

static pthread_mutex_t all_lock =
	PTHREAD_MUTEX_INITIALIZER; /* guards the two below; taken before queue.lock */
static struct adxi_list all_queues = ADXI_LIST_INIT(all_queues);
static struct thread *free_threads;

static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static _Thread_local struct thread *this_thread;

static void
thread_ended(void *value)
{
	struct thread *thread = value;

	pthread_mutex_lock(&all_lock);
	thread->next_free = free_threads;
	free_threads = thread;
	pthread_mutex_unlock(&all_lock);
}

static void
thread_key_new(void)
{
	adxi_assert(pthread_key_create(&thread_key, thread_ended) == 0);
}

static struct thread *
thread_get(void)
{
	if (__builtin_expect(this_thread != NULL, 1))
		return this_thread;
	pthread_once(&thread_once, thread_key_new);
	pthread_mutex_lock(&all_lock);
	struct thread *thread = free_threads;
	if (thread)
		free_threads = thread->next_free;
	pthread_mutex_unlock(&all_lock);
	if (!thread)
		thread = calloc(1, sizeof(*thread));
	if (!thread)
		adxi_die("no memory for a thread's record");
	thread->top = NULL;
	pthread_setspecific(thread_key, thread);
	this_thread = thread;
	return thread;
}

static void queue_job_run(struct adxi_job *job);
static void queue_done_run(struct adxi_job *job);

int
adxi_queue_new(const char *name, uint32_t flags, struct adxi_queue **ret_queue)
{
	struct adxi_queue *queue = calloc(1, sizeof(*queue));

	if (!queue || !(queue->name = strdup(name))) {
		free(queue);
		return -ENOMEM;
	}
	queue->n_ref = 1;
	queue->flags = flags;
	queue->job.run = queue_job_run;
	queue->done_job.run = queue_done_run;
	pthread_mutex_init(&queue->lock, NULL);
	adxi_list_init(&queue->work);
	adxi_list_init(&queue->sleepers);
	pthread_mutex_lock(&all_lock);
	adxi_list_append(&all_queues, &queue->link);
	pthread_mutex_unlock(&all_lock);
	*ret_queue = queue;
	return 0;
}

struct adxi_queue *
adxi_queue_ref(struct adxi_queue *queue)
{
	__atomic_fetch_add(&queue->n_ref, 1, __ATOMIC_RELAXED);
	return queue;
}

struct adxi_queue *
adxi_queue_unref(struct adxi_queue *queue)
{
	if (!queue || __atomic_fetch_sub(&queue->n_ref, 1, __ATOMIC_ACQ_REL) != 1)
		return NULL;
	adxi_assert(adxi_list_is_empty(&queue->work) && adxi_list_is_empty(&queue->sleepers));
	pthread_mutex_lock(&all_lock);
	adxi_list_remove(&queue->link);
	pthread_mutex_unlock(&all_lock);
	pthread_mutex_destroy(&queue->lock);
	free(queue->name);
	free(queue);
	return NULL;
}

const char *
adxi_queue_name(const struct adxi_queue *queue)
{
	return queue->name;
}

uint32_t
adxi_queue_flags(const struct adxi_queue *queue)
{
	return queue->flags;
}

static void
set_owner_locked(struct adxi_queue *queue, struct thread *owner)
{
	queue->state = QUEUE_HELD;
	__atomic_store_n(&queue->owner, owner, __ATOMIC_SEQ_CST);
}

static bool
thread_holds(const struct thread *thread, const struct adxi_queue *queue)
{
	for (const struct frame *f = thread->top; f; f = f->outer)
		if (f->queue == queue)
			return true;
	return false;
}

bool
adxi_queue_is_current(const struct adxi_queue *queue)
{
	return this_thread && thread_holds(this_thread, queue);
}

struct adxi_queue *
adxi_queue_current(void)
{
	return this_thread && this_thread->top ? this_thread->top->queue : NULL;
}

static void shared_job_run(struct adxi_job *job);

/* Start the concurrent work at the head beside what runs. False: no memory, so it runs one after
 * the other. */
static bool
start_shared_locked(struct adxi_queue *queue, struct adxi_work *work)
{
	struct shared_job *shared = calloc(1, sizeof(*shared));

	if (!shared) {
		work->kind = WORK_ASYNC;
		return false;
	}
	adxi_list_remove(&work->link);
	shared->job.run = shared_job_run;
	shared->work = work;
	shared->queue = adxi_queue_ref(queue);
	queue->n_concurrent++;
	adxi_job_push(&shared->job);
	return true;
}

/* Nobody holds the queue: decide who is next. */
static void
advance_locked(struct adxi_queue *queue)
{
	while (!adxi_list_is_empty(&queue->work)) {
		struct adxi_work *work = ADXI_LIST_FIRST(&queue->work, struct adxi_work, link);

		if (work->kind == WORK_CONCURRENT && start_shared_locked(queue, work))
			continue;
		if (queue->n_concurrent) {
			queue->state = QUEUE_SHARED;
			return;
		}
		if (work->kind == WORK_SYNC) {
			struct waiter *waiter = adxi_container_of(work, struct waiter, work);

			adxi_list_remove(&work->link);
			set_owner_locked(queue, waiter->thread);
			waiter->granted = true;
			pthread_cond_signal(&waiter->cond);
			return;
		}
		queue->state = QUEUE_READY;
		adxi_queue_ref(queue);
		adxi_job_push(&queue->job);
		return;
	}
	queue->state = queue->n_concurrent ? QUEUE_SHARED : QUEUE_IDLE;
	if (queue->done_pending && queue->state == QUEUE_IDLE &&
	    adxi_list_is_empty(&queue->sleepers)) {
		queue->done_pending = false;
		adxi_job_push(&queue->done_job);
	}
}

/* The holder's hold ends. */
static void
release_locked(struct adxi_queue *queue)
{
	__atomic_store_n(&queue->owner, NULL, __ATOMIC_SEQ_CST);
	advance_locked(queue);
}

static void
shared_job_run(struct adxi_job *job)
{
	struct shared_job *shared = adxi_container_of(job, struct shared_job, job);
	struct adxi_queue *queue = shared->queue;
	struct adxi_work *work = shared->work;
	struct thread *me = thread_get();
	struct frame frame = { .queue = queue, .outer = me->top };

	free(shared);
	me->top = &frame;
	work->run(work);
	me->top = frame.outer;
	pthread_mutex_lock(&queue->lock);
	if (--queue->n_concurrent == 0 && queue->state == QUEUE_SHARED)
		advance_locked(queue);
	pthread_mutex_unlock(&queue->lock);
	adxi_queue_unref(queue);
}

static void
queue_job_run(struct adxi_job *job)
{
	struct adxi_queue *queue = adxi_container_of(job, struct adxi_queue, job);
	struct thread *me = thread_get();
	struct frame frame = { .queue = queue, .outer = me->top };

	me->top = &frame;
	pthread_mutex_lock(&queue->lock);
	set_owner_locked(queue, me);
	for (unsigned budget = DRAIN_BUDGET; budget > 0; budget--) {
		struct adxi_work *work = ADXI_LIST_FIRST(&queue->work, struct adxi_work, link);

		if (!work || work->kind != WORK_ASYNC)
			break;
		adxi_list_remove(&work->link);
		pthread_mutex_unlock(&queue->lock);
		adxi_channel_leave(); /* what runs now may wait for anything */
		work->run(work);
		pthread_mutex_lock(&queue->lock);
	}
	release_locked(queue);
	pthread_mutex_unlock(&queue->lock);
	me->top = frame.outer;
	adxi_queue_unref(queue);
}

static void
enqueue(struct adxi_queue *queue, struct adxi_work *work, enum work_kind kind)
{
	work->kind = (uint8_t)kind;
	pthread_mutex_lock(&queue->lock);
	if (queue->cancelled) {
		pthread_mutex_unlock(&queue->lock);
		if (work->drop)
			work->drop(work);
		return;
	}
	adxi_list_append(&queue->work, &work->link);
	if (queue->state == QUEUE_IDLE || queue->state == QUEUE_SHARED)
		advance_locked(queue);
	pthread_mutex_unlock(&queue->lock);
}

void
adxi_queue_async(struct adxi_queue *queue, struct adxi_work *work)
{
	enqueue(queue, work, WORK_ASYNC);
}

void
adxi_queue_concurrent(struct adxi_queue *queue, struct adxi_work *work)
{
	enqueue(queue, work, WORK_CONCURRENT);
}

struct function_work {
	struct adxi_work work;
	void (*run)(void *context);
	void (*drop)(void *context); /* may be NULL */
	void *context;
};

static void
function_work_run(struct adxi_work *work)
{
	struct function_work *f = adxi_container_of(work, struct function_work, work);
	struct function_work copy = *f;

	free(f);
	copy.run(copy.context);
}

static void
function_work_drop(struct adxi_work *work)
{
	struct function_work *f = adxi_container_of(work, struct function_work, work);
	struct function_work copy = *f;

	free(f);
	if (copy.drop)
		copy.drop(copy.context);
}

int
adxi_queue_async_f(struct adxi_queue *queue, void (*run)(void *context),
		   void (*drop)(void *context), void *context)
{
	struct function_work *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	*f = (struct function_work){ .work.run = function_work_run,
				     .work.drop = function_work_drop,
				     .run = run,
				     .drop = drop,
				     .context = context };
	adxi_queue_async(queue, &f->work);
	return 0;
}

/* Whether the thread would wait for itself: follow holder and what it waits for. all_lock is held,
 * so no queue that is waited for can be freed. */
static bool
waits_for_itself_locked(const struct thread *me, const struct adxi_queue *queue)
{
	/* Links are read one by one. A thread in a true cycle cannot move, so a second walk that
	 * finds the same end proves it. */
	for (int pass = 0; pass < 2; pass++) {
		const struct adxi_queue *at = queue;
		const struct thread *owner;

		for (int hops = 0;; hops++) {
			owner = at ? __atomic_load_n(&at->owner, __ATOMIC_SEQ_CST) : NULL;
			if (!owner || hops == 64)
				return false;
			if (owner == me)
				break;
			at = __atomic_load_n(&owner->waiting, __ATOMIC_SEQ_CST);
		}
	}
	return true;
}

static bool
check_deadlock(struct thread *me, struct adxi_queue *queue)
{
	pthread_mutex_lock(&all_lock);
	bool dead = waits_for_itself_locked(me, queue);
	if (dead) /* under the lock, so that only one of the cycle gives up */
		__atomic_store_n(&me->waiting, NULL, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&all_lock);
	if (dead)
		adxi_tell(ADXI_RULE_T36,
			  "the holder of queue '%s' calls into queue '%s', whose holder waits for "
			  "'%s' in turn",
			  me->top ? me->top->queue->name : "?", queue->name,
			  me->top ? me->top->queue->name : "?");
	return dead;
}

/* Wait for the queue in line, as w. Called and returns with the lock. */
static int
wait_granted_locked(struct adxi_queue *queue, struct thread *me, struct waiter *w, bool may_fail)
{
	int r = 0;

	__atomic_store_n(&me->waiting, queue, __ATOMIC_SEQ_CST);
	if (may_fail) {
		pthread_mutex_unlock(&queue->lock);
		bool dead = check_deadlock(me, queue);
		pthread_mutex_lock(&queue->lock);
		if (dead && !w->granted && !w->cancelled) {
			adxi_list_remove(&w->work.link);
			r = -EDEADLK;
		}
	}
	while (r == 0 && !w->granted && !w->cancelled)
		pthread_cond_wait(&w->cond, &queue->lock);
	__atomic_store_n(&me->waiting, NULL, __ATOMIC_SEQ_CST);
	return r == 0 && !w->granted ? -ECANCELED : r;
}

static int
acquire_locked(struct adxi_queue *queue, struct thread *me)
{
	struct waiter w = { .work.kind = WORK_SYNC, .thread = me };

	if (queue->cancelled)
		return -ECANCELED;
	if (queue->state == QUEUE_IDLE) {
		set_owner_locked(queue, me);
		return 0;
	}
	pthread_cond_init(&w.cond, NULL);
	adxi_list_append(&queue->work, &w.work.link);
	int r = wait_granted_locked(queue, me, &w, true);
	pthread_cond_destroy(&w.cond);
	return r;
}

int
adxi_queue_sync(struct adxi_queue *queue, void (*run)(void *context), void *context)
{
	struct thread *me = thread_get();

	if (thread_holds(me, queue)) {
		run(context);
		return 0;
	}
	pthread_mutex_lock(&queue->lock);
	int r = acquire_locked(queue, me);
	pthread_mutex_unlock(&queue->lock);
	if (r < 0)
		return r;

	struct frame frame = { .queue = queue, .outer = me->top };
	me->top = &frame;
	adxi_queue_ref(queue); /* what runs may drop the caller's */
	run(context);
	me->top = frame.outer;
	pthread_mutex_lock(&queue->lock);
	release_locked(queue);
	pthread_mutex_unlock(&queue->lock);
	adxi_queue_unref(queue);
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Sleep and wake
 */

static void
sleeper_expired(struct adxi_timer *timer)
{
	struct sleeper *s = adxi_container_of(timer, struct sleeper, timer);
	struct adxi_queue *queue = adxi_queue_ref(s->queue);

	pthread_mutex_lock(&queue->lock);
	s->expired = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&queue->lock);
	adxi_queue_unref(queue);
}

/* The sleeper's turn again, before what is queued. */
static void
reacquire_locked(struct adxi_queue *queue, struct thread *me)
{
	struct waiter w = { .work.kind = WORK_SYNC, .thread = me, .returning = true };

	if (queue->state == QUEUE_IDLE) {
		set_owner_locked(queue, me);
		return;
	}
	pthread_cond_init(&w.cond, NULL);
	adxi_list_insert(&queue->work, &w.work.link);
	(void)wait_granted_locked(queue, me, &w, false); /* cannot fail */
	pthread_cond_destroy(&w.cond);
}

int
adxi_queue_sleep(struct adxi_queue *queue, const void *event, unsigned clock, uint64_t deadline_ns)
{
	struct thread *me = thread_get();
	struct sleeper s = { .event = event, .queue = queue, .timer.fire = sleeper_expired };
	bool timed = deadline_ns != UINT64_MAX;

	if (!thread_holds(me, queue)) {
		adxi_tell(ADXI_RULE_T37, "Sleep on queue '%s' from outside of it", queue->name);
		return -EPERM;
	}
	if (!(queue->flags & ADXI_QUEUE_REENTRANT) &&
	    adxi_tell(ADXI_RULE_T37,
		      "Sleep on queue '%s', which was made without kIODispatchQueueReentrant: on "
		      "macOS nothing "
		      "else enters it meanwhile",
		      queue->name))
		return -EPERM;
	pthread_cond_init(&s.cond, NULL);
	pthread_mutex_lock(&queue->lock);
	bool held = __atomic_load_n(&queue->owner, __ATOMIC_SEQ_CST) == me;
	adxi_list_append(&queue->sleepers, &s.link);
	if (timed && adxi_timer_arm(&s.timer, (enum adxi_clock)clock, deadline_ns) < 0) {
		s.expired = true; /* no memory for a timer: it ends at once */
		timed = false;
	}
	if (held && !s.expired)
		release_locked(queue);
	bool released = held && !s.expired;
	while (!s.woken && !s.expired && !queue->cancelled)
		pthread_cond_wait(&s.cond, &queue->lock);
	adxi_list_remove(&s.link);
	if (timed && !adxi_timer_disarm(&s.timer))
		while (!s.expired) /* it is being called, and is on this stack */
			pthread_cond_wait(&s.cond, &queue->lock);
	if (released)
		reacquire_locked(queue, me);
	int r = s.woken ? 0 : queue->cancelled ? -ECANCELED : -ETIMEDOUT;
	pthread_mutex_unlock(&queue->lock);
	pthread_cond_destroy(&s.cond);
	return r;
}

int
adxi_queue_wake(struct adxi_queue *queue, const void *event, bool all)
{
	struct sleeper *s;
	int n = 0;

	if (!adxi_queue_is_current(queue)) {
		adxi_tell(ADXI_RULE_T37, "Wakeup on queue '%s' from outside of it", queue->name);
		return -EPERM;
	}
	pthread_mutex_lock(&queue->lock);
	ADXI_LIST_EACH(s, &queue->sleepers, link) {
		if (s->event != event || s->woken)
			continue;
		s->woken = true;
		pthread_cond_signal(&s->cond);
		n++;
		if (!all)
			break;
	}
	pthread_mutex_unlock(&queue->lock);
	return n;
}

/* ---------------------------------------------------------------------------------------------
 * The end
 */

static void
queue_done_run(struct adxi_job *job)
{
	struct adxi_queue *queue = adxi_container_of(job, struct adxi_queue, done_job);

	if (queue->done)
		queue->done(queue->done_context);
	adxi_queue_unref(queue);
}

int
adxi_queue_cancel(struct adxi_queue *queue, void (*done)(void *context), void *context)
{
	struct adxi_list dropped;
	struct adxi_work *work, *next;
	struct sleeper *s;

	adxi_list_init(&dropped);
	pthread_mutex_lock(&queue->lock);
	if (queue->cancelled) {
		pthread_mutex_unlock(&queue->lock);
		return -EALREADY;
	}
	queue->cancelled = true;
	queue->done = done;
	queue->done_context = context;
	queue->done_pending = true;
	adxi_queue_ref(queue); /* the done job's */
	ADXI_LIST_EACH_SAFE(work, next, &queue->work, link) {
		struct waiter *waiter = adxi_container_of(work, struct waiter, work);

		if (work->kind != WORK_SYNC) {
			adxi_list_remove(&work->link);
			adxi_list_append(&dropped, &work->link);
		} else if (!waiter->returning) {
			adxi_list_remove(&work->link);
			waiter->cancelled = true;
			pthread_cond_signal(&waiter->cond);
		}
	}
	ADXI_LIST_EACH(s, &queue->sleepers, link)
		pthread_cond_signal(&s->cond);
	if (queue->state == QUEUE_IDLE)
		advance_locked(queue);
	pthread_mutex_unlock(&queue->lock);
	ADXI_LIST_EACH_SAFE(work, next, &dropped, link) {
		adxi_list_remove(&work->link);
		if (work->drop)
			work->drop(work);
	}
	return 0;
}

bool
adxi_queue_is_cancelled(struct adxi_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	bool cancelled = queue->cancelled;
	pthread_mutex_unlock(&queue->lock);
	return cancelled;
}

void
adxi_queue_each_busy(void (*each)(void *context, const char *name, unsigned queued, bool held),
		     void *context)
{
	struct adxi_queue *queue;

	pthread_mutex_lock(&all_lock);
	ADXI_LIST_EACH(queue, &all_queues, link) {
		pthread_mutex_lock(&queue->lock);
		unsigned queued = (unsigned)adxi_list_count(&queue->work);
		bool held = queue->state != QUEUE_IDLE;
		pthread_mutex_unlock(&queue->lock);
		if (held || queued)
			each(context, queue->name, queued, held);
	}
	pthread_mutex_unlock(&all_lock);
}
