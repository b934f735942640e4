/* SPDX-License-Identifier: MIT */
/* Who runs next. The threads are made once; what one schedule does is hidden from ThreadSanitizer
 * by relaxed atomics behind fences. */

#include "race.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seam.h"

#define MAX_TASKS  16u
#define MAX_STEPS  200000u
#define PATIENCE_S 60u

/* Not instrumented at all: what it touches is the scheduler's own, which one thread at a time has.
 */
#ifdef __clang__
#define HIDDEN __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define HIDDEN __attribute__((noinline))
#endif

/* ThreadSanitizer's, where it is there: what came before a release comes before what follows an
 * acquire. */
void __tsan_acquire(void *at) __attribute__((weak));
void __tsan_release(void *at) __attribute__((weak));

enum state { FREE, READY, ON_MUTEX, ON_COND, ON_WAKE, IDLE, ENDED };
static const char *const state_names[] = { "free",
					   "ready",
					   "waits for a mutex",
					   "waits for a condition",
					   "sleeps",
					   "has nothing to do",
					   "ended" };

struct task {
	pthread_t thread;
	uint32_t turn; /* futex: 1, it may run */
	enum state state;
	const void *object;  /* what it waits for */
	bool timed, expired; /* its wait may end by itself */
	bool time_due;       /* a worker's idleness ended for this */
	bool is_worker;
	unsigned in_once; /* who else came to it would wait beside the schedule */
	unsigned index;
	unsigned priority;
	uint64_t random;
	void *(*start)(void *context); /* a thread that was made; NULL: an actor or a worker */
	void *context;
	char made; /* a name: what its maker did before comes before what it does */
};

static struct {
	const struct race_case *which;
	uint64_t seed;
	bool free_running;
	struct task tasks[MAX_TASKS];
	unsigned n_threads, n_tasks;
	uint32_t main_turn;
	uint64_t random; /* the scheduler's */
	unsigned mean;   /* points between changes */
	unsigned until_change;
	bool by_priority;
	unsigned lowest;
	unsigned steps;
	unsigned n_wakes; /* of workers */
	bool over;
	/* Free running */
	uint32_t left;    /* actors and made threads that have not ended */
	uint32_t alive;   /* those, and workers */
	uint32_t working; /* workers that do something, and may need another one for it */
	uint64_t n_switches;
	uint64_t counters[RACE_COUNTERS];
	char began, ended; /* names for ThreadSanitizer */
} race;

static pthread_mutex_t time_lock = PTHREAD_MUTEX_INITIALIZER; /* free running: one at a time */
static pthread_mutex_t spawn_lock =
	PTHREAD_MUTEX_INITIALIZER;    /* free running: guards the table of tasks */
static _Thread_local struct task *me; /* inside a schedule */
static uint64_t main_random;

/* ---------------------------------------------------------------------------------------------
 * Hidden waiting
 */

HIDDEN static void
post(uint32_t *word)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(word, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* False: nobody posted for so long. */
HIDDEN static bool
await_for(uint32_t *word, const struct timespec *patience)
{
	while (!__atomic_load_n(word, __ATOMIC_RELAXED))
		if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, patience, NULL, 0) < 0 &&
		    errno == ETIMEDOUT)
			return false;
	__atomic_store_n(word, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return true;
}

HIDDEN static void
await(uint32_t *word)
{
	(void)await_for(word, NULL);
}

HIDDEN static void
happens_before(void *name)
{
	if (__tsan_release)
		__tsan_release(name);
}

HIDDEN static void
happens_after(void *name)
{
	if (__tsan_acquire)
		__tsan_acquire(name);
}

HIDDEN static uint32_t
draw(uint64_t *random, uint32_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)((*random >> 11) % below);
}

HIDDEN static uint64_t
seeded(uint64_t seed, uint64_t index)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + index * 0xbf58476d1ce4e5b9u + 0x94d049bb133111ebu;

	x ^= x >> 31;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	return x ? x : 1;
}

HIDDEN uint32_t
race_random(uint32_t below)
{
	return draw(me ? &me->random : &main_random, below);
}

bool
race_is_free(void)
{
	return race.free_running;
}

bool
race_is_inside(void)
{
	return me != NULL;
}

HIDDEN void
race_count(unsigned counter)
{
	__atomic_fetch_add(&race.counters[counter], 1, __ATOMIC_RELAXED);
}

uint64_t
race_switches(void)
{
	return race.n_switches;
}

uint64_t
race_counted(unsigned counter)
{
	return race.counters[counter];
}

void
race_reset_counters(void)
{
	memset(race.counters, 0, sizeof race.counters);
}

HIDDEN void
race_fail(const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout);
	fprintf(stderr, "case %s, seed %llu, %s: ", race.which->name, (unsigned long long)race.seed,
		race.free_running ? "free running" : "stepped");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	for (unsigned i = 0; !race.free_running && i < race.n_tasks; i++)
		fprintf(stderr, "  %s %u: %s %p\n",
			race.tasks[i].start       ? "made thread"
			: race.tasks[i].is_worker ? "worker"
						  : "actor",
			race.tasks[i].index, state_names[race.tasks[i].state],
			race.tasks[i].object);
	fprintf(stderr, "again: races_test --case %s --seed %llu --schedules 1%s\n",
		race.which->name, (unsigned long long)race.seed,
		race.free_running ? " --free" : "");
	abort();
}

/* ---------------------------------------------------------------------------------------------
 * Stepping
 */

HIDDEN static void
next_change(void)
{
	race.until_change = 1 + draw(&race.random, 2 * race.mean);
}

/* One that can go on, or NULL. */
HIDDEN static struct task *
choose(void)
{
	struct task *best = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < race.n_tasks; i++) {
		struct task *task = &race.tasks[i];

		if (task->state != READY)
			continue;
		n++;
		if (race.by_priority ? !best || task->priority > best->priority
				     : draw(&race.random, n) == 0)
			best = task;
	}
	return best;
}

/* Nobody can go on. What could end a wait: a deadline; time, which a worker lets pass. NULL:
 * everything has ended. */
HIDDEN static struct task *
choose_late(void)
{
	struct task *worker = NULL;
	bool all_ended = true;

	for (unsigned i = 0; i < race.n_tasks; i++) {
		struct task *task = &race.tasks[i];

		if (task->timed) {
			task->timed = false;
			task->expired = true;
			task->state = READY;
			return task;
		}
		if (task->state == IDLE)
			worker = task;
		else if (task->state != ENDED)
			all_ended = false;
	}
	if (all_ended) {
		race.over = true;
		for (unsigned i = 0; i < race.n_tasks; i++)
			if (race.tasks[i].state == IDLE)
				race.tasks[i].state = READY;
		return choose();
	}
	if (!worker)
		race_fail("nobody can go on");
	worker->time_due = true;
	worker->state = READY;
	return worker;
}

/* Until it is this thread's turn. Its state is set. */
HIDDEN static void
give_way(void)
{
	struct task *mine = me, *next = choose();
	bool ended = mine->state == ENDED; /* afterwards its record is the next schedule's */

	if (!next)
		next = choose_late();
	if (next == mine)
		return;
	race.n_switches++;
	post(next ? &next->turn : &race.main_turn);
	if (!ended)
		await(&mine->turn);
}

HIDDEN static void
free_delay(void)
{
	switch (draw(&me->random, 32)) {
	case 0:
		(void)sched_yield();
		break;
	case 1:
	case 2:
		for (volatile uint32_t n = draw(&me->random, 200); n > 0; n--)
			;
		break;
	default:
		break;
	}
}

HIDDEN void
race_point(void)
{
	if (!me)
		return;
	if (race.free_running) {
		free_delay();
		return;
	}
	if (++race.steps > MAX_STEPS)
		race_fail("it does not end");
	if (me->in_once || --race.until_change > 0)
		return;
	next_change();
	if (race.by_priority)
		me->priority = race.lowest--;
	give_way();
}

HIDDEN static void
wake(enum state state, const void *object, unsigned max)
{
	for (unsigned i = 0; i < race.n_tasks && max > 0; i++) {
		struct task *task = &race.tasks[i];

		if (task->state != state || task->object != object)
			continue;
		task->state = READY;
		task->object = NULL;
		task->timed = false;
		max--;
	}
}

HIDDEN void
race_wake_workers(void)
{
	if (me && !race.free_running) {
		race.n_wakes++;
		wake(IDLE, NULL, MAX_TASKS);
	}
}

HIDDEN static void
block(enum state state, const void *object, bool timed)
{
	me->state = state;
	me->object = object;
	me->timed = timed;
	me->expired = false;
	give_way();
	me->object = NULL;
}

HIDDEN bool
race_wait(bool timed)
{
	block(ON_WAKE, NULL, timed);
	return !me->expired;
}

HIDDEN void
race_wake(void)
{
	if (!me || race.free_running)
		return;
	wake(ON_WAKE, NULL, MAX_TASKS);
	race_wake_workers();
	race_point();
}

/* ---------------------------------------------------------------------------------------------
 * Seams: what the code under test calls
 */

HIDDEN static bool
is_stepped(void)
{
	return me && !race.free_running;
}

static int
lock_stepped(pthread_mutex_t *mutex, bool timed)
{
	int r;

	while ((r = seam_real.mutex_trylock(mutex)) == EBUSY) {
		block(ON_MUTEX, mutex, timed);
		if (me->expired)
			return ETIMEDOUT;
	}
	return r;
}

SEAM int
pthread_mutex_lock(pthread_mutex_t *mutex)
{
	race_point();
	return is_stepped() ? lock_stepped(mutex, false) : seam_real.mutex_lock(mutex);
}

SEAM int
pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	race_point();
	return seam_real.mutex_trylock(mutex);
}

SEAM int
pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
	race_point();
	return is_stepped() ? lock_stepped(mutex, true) : seam_real.mutex_timedlock(mutex, until);
}

SEAM int
pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int r = seam_real.mutex_unlock(mutex);

	if (is_stepped())
		wake(ON_MUTEX, mutex, MAX_TASKS);
	race_point();
	return r;
}

/* Some waits end without a signal, as POSIX allows. */
static int
wait_stepped(pthread_cond_t *cond, pthread_mutex_t *mutex, bool timed)
{
	bool expired = false;

	(void)seam_real.mutex_unlock(mutex);
	wake(ON_MUTEX, mutex, MAX_TASKS);
	if (race_random(64) > 0) {
		block(ON_COND, cond, timed);
		expired = me->expired;
	}
	(void)lock_stepped(mutex, false);
	return expired ? ETIMEDOUT : 0;
}

SEAM int
pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	return is_stepped() ? wait_stepped(cond, mutex, false) : seam_real.cond_wait(cond, mutex);
}

SEAM int
pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	return is_stepped() ? wait_stepped(cond, mutex, true)
			    : seam_real.cond_timedwait(cond, mutex, until);
}

SEAM int
pthread_cond_signal(pthread_cond_t *cond)
{
	if (!is_stepped())
		return seam_real.cond_signal(cond);
	wake(ON_COND, cond, 1);
	race_point();
	return 0;
}

SEAM int
pthread_cond_broadcast(pthread_cond_t *cond)
{
	if (!is_stepped())
		return seam_real.cond_broadcast(cond);
	wake(ON_COND, cond, MAX_TASKS);
	race_point();
	return 0;
}

HIDDEN static void
count_once(unsigned change)
{
	if (me)
		me->in_once += change;
}

SEAM int
pthread_once(pthread_once_t *once, void (*run)(void))
{
	int r;

	count_once(1);
	r = seam_real.once(once, run);
	count_once(-1u);
	return r;
}

/* ---------------------------------------------------------------------------------------------
 * Threads
 */

/* Unless something came since @p n_wakes was looked at. */
HIDDEN static enum state
idle(unsigned n_wakes, bool *ret_time)
{
	me->time_due = false;
	if (n_wakes == race.n_wakes) {
		me->state = IDLE;
		give_way();
	}
	*ret_time = me->time_due;
	return race.over ? ENDED : READY;
}

HIDDEN static unsigned
wakes_so_far(void)
{
	return race.n_wakes;
}

static void
work_stepped(void)
{
	bool time_due;

	for (;;) {
		unsigned n_wakes = wakes_so_far();

		if (race.which->work()) {
			race_point();
			continue;
		}
		if (idle(n_wakes, &time_due) == ENDED)
			return;
		if (time_due && !race.which->time())
			race_fail("nobody can go on, and no time passes");
	}
}

HIDDEN static void
count_working(int change)
{
	(void)__atomic_add_fetch(&race.working, (uint32_t)change, __ATOMIC_ACQ_REL);
}

/* Others may make work, or need a worker. */
HIDDEN static bool
others_are_at_it(void)
{
	return __atomic_load_n(&race.left, __ATOMIC_ACQUIRE) > 0 ||
	       __atomic_load_n(&race.working, __ATOMIC_ACQUIRE) > 0;
}

static bool
work_once(void)
{
	count_working(1);
	bool worked = race.which->work();
	count_working(-1);
	return worked;
}

static void
work_freely(void)
{
	unsigned nothing = 0;

	for (;;) {
		bool at_it = others_are_at_it(); /* before: what they left is found */

		if (work_once()) {
			nothing = 0;
			continue;
		}
		/* And after: another one may have taken the last work, and need this one for it. */
		if (!at_it && !others_are_at_it())
			return;
		(void)sched_yield();
		if (++nothing % 64 == 0 && seam_real.mutex_trylock(&time_lock) == 0) {
			count_working(1); /* what ends by it is work */
			(void)race.which->time();
			(void)seam_real.mutex_unlock(&time_lock);
			(void)work_once();
			count_working(-1);
		}
	}
}

HIDDEN static void
task_end_free(struct task *task)
{
	bool was_worker = task->is_worker;

	me = NULL;
	__atomic_store_n(&task->state, FREE, __ATOMIC_RELEASE);
	if (!was_worker)
		(void)__atomic_sub_fetch(&race.left, 1, __ATOMIC_ACQ_REL);
	if (__atomic_sub_fetch(&race.alive, 1, __ATOMIC_ACQ_REL) == 0)
		post(&race.main_turn);
}

HIDDEN static void
task_run(struct task *task)
{
	me = task;
	happens_after(&race.began);
	if (task->start)
		happens_after(&task->made);
	if (task->start)
		(void)task->start(task->context);
	else if (!task->is_worker)
		race.which->actor(task->index);
	else if (race.free_running)
		work_freely();
	else
		work_stepped();
	happens_before(&race.ended);
	if (race.free_running) {
		task_end_free(task);
		return;
	}
	task->state = ENDED;
	give_way();
	me = NULL;
}

static void *
task_main(void *context)
{
	struct task *task = context;

	for (;;) {
		await(&task->turn);
		task_run(task);
	}
	return NULL;
}

HIDDEN static struct task *
task_new(void)
{
	struct task *task = NULL;

	for (unsigned i = 0; i < race.n_tasks && !task; i++)
		if (race.tasks[i].start &&
		    race.tasks[i].state == (race.free_running ? FREE : ENDED) &&
		    !__atomic_load_n(&race.tasks[i].turn, __ATOMIC_RELAXED))
			task = &race.tasks[i];
	if (!task) {
		if (race.n_tasks == MAX_TASKS)
			race_fail("%u threads are too many", MAX_TASKS);
		task = &race.tasks[race.n_tasks++];
	}
	if (task == &race.tasks[race.n_threads]) {
		race.n_threads++;
		if (seam_real.create(&task->thread, NULL, task_main, task) != 0)
			race_fail("no thread");
	}
	task->start = NULL;
	task->is_worker = false;
	task->state = READY;
	task->object = NULL;
	task->timed = task->expired = false;
	task->priority = 1000 + draw(&race.random, 1000);
	return task;
}

HIDDEN void
race_spawn(void *(*start)(void *context), void *context)
{
	struct task *task;

	(void)seam_real.mutex_lock(&spawn_lock); /* nobody gives way with it */
	task = task_new();
	task->start = start;
	task->context = context;
	task->index = (unsigned)(task - race.tasks);
	task->random = seeded(race.seed, 100 + task->index);
	(void)__atomic_add_fetch(&race.left, 1, __ATOMIC_ACQ_REL);
	(void)__atomic_add_fetch(&race.alive, 1, __ATOMIC_ACQ_REL);
	happens_before(&task->made);
	(void)seam_real.mutex_unlock(&spawn_lock);
	if (race.free_running)
		post(&task->turn);
	else
		race_point();
}

SEAM int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *context)
{
	if (!me)
		return seam_real.create(thread, attr, start, context);
	*thread = pthread_self(); /* good for pthread_detach() alone */
	race_spawn(start, context);
	return 0;
}

SEAM int
pthread_detach(pthread_t thread)
{
	return me ? 0 : seam_real.detach(thread);
}

/* ---------------------------------------------------------------------------------------------
 * Schedules
 */

HIDDEN static void
add(unsigned index, bool is_worker)
{
	struct task *task = task_new();

	task->index = index;
	task->is_worker = is_worker;
	task->random = seeded(race.seed, (is_worker ? 50 : 1) + index);
}

HIDDEN static void
prepare(void)
{
	static const unsigned means[] = { 1, 2, 4, 8, 16, 64 };

	race.random = seeded(race.seed, 0);
	race.by_priority = draw(&race.random, 3) == 0;
	race.mean = means[draw(&race.random, sizeof means / sizeof means[0])] *
		    (race.by_priority ? 8 : 1);
	race.lowest = 999;
	race.steps = 0;
	race.over = false;
	race.n_tasks = 0;
	next_change();
	for (unsigned i = 0; i < race.which->n_actors; i++)
		add(i, false);
	for (unsigned i = 0; i < race.which->n_workers; i++)
		add(i, true);
	race.left = race.which->n_actors;
	race.alive = race.which->n_actors + race.which->n_workers;
}

HIDDEN static void
run_one(void)
{
	main_random = seeded(race.seed, 99);
	race.which->begin();
	prepare();
	happens_before(&race.began);
	if (race.free_running)
		for (unsigned i = 0, n = race.n_tasks; i < n; i++)
			post(&race.tasks[i].turn);
	else
		post(&choose()->turn);
	if (!await_for(&race.main_turn, &(struct timespec){ .tv_sec = PATIENCE_S }))
		race_fail("it hangs");
	happens_after(&race.ended);
	race.which->end();
}

void
race_run(const struct race_case *which, uint64_t seed, uint64_t n, bool free_running)
{
	race.which = which;
	race.free_running = free_running;
	for (uint64_t i = 0; i < n; i++) {
		race.seed = seed + i;
		run_one();
	}
}
