/* SPDX-License-Identifier: MIT */
/* Threads' places, and the watch over methods that callers wait for. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/rules.h"
#include "driverkit/flight.h"
#include "driverkit/queue.h"
#include "driverkit/timer.h"
#include "driverkit/underway.h"

struct place {
	struct place *next;         /* in places; never removed */
	bool taken;                 /* atomic: a living thread has it */
	uint64_t turn;              /* atomic: changes with every begin and end */
	struct adxi_underway now;   /* words read from outside, each atomic */
	uint64_t seen, told;        /* the watch's: turns */
	uint64_t seen_ns;           /* since when it has been seen at that turn; 0: never */
	struct crash_place *flight; /* what it did last; never NULL, perhaps nobody's */
	void *stack;                /* owned: of its signal handlers; NULL: none, or not ours */
};

static struct place *places;       /* atomic */
static struct crash_place nowhere; /* of threads that have no place in the record */
static _Thread_local struct place *mine;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

#define GET(word)        __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define SET(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELAXED)

static void
place_left(void *value)
{
	struct place *place = value;

	if (place->flight != &nowhere)
		adxi_flight_place_left(place->flight);
	place->flight = &nowhere;
	adxi_flight_stack_end(place->stack);
	place->stack = NULL;
	__atomic_store_n(&place->taken, false, __ATOMIC_RELEASE);
}

static void
key_new(void)
{
	(void)pthread_key_create(&key, place_left);
}

static struct place *
place_new(void)
{
	struct place *place;
	bool no = false;

	(void)pthread_once(&once, key_new);
	for (place = __atomic_load_n(&places, __ATOMIC_ACQUIRE); place;
	     place = place->next, no = false)
		if (__atomic_compare_exchange_n(&place->taken, &no, true, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			break;
	if (!place) {
		place = calloc(1, sizeof(*place));
		if (!place)
			return NULL;
		place->taken = true;
		place->next = __atomic_load_n(&places, __ATOMIC_ACQUIRE);
		while (!__atomic_compare_exchange_n(&places, &place->next, place, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			;
	}
	place->flight = adxi_flight_place();
	if (!place->flight)
		place->flight = &nowhere;
	place->stack = adxi_flight_stack();
	(void)pthread_setspecific(key, place);
	mine = place;
	return place;
}

/* ---------------------------------------------------------------------------------------------
 * The watch: a timer while somebody waits, which looks whether a thread still does what it did the
 * last time
 */

static bool watching;                                          /* atomic */
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER; /* guards places' seen and told */

static void
add_queue(void *context, const char *name, unsigned queued, bool held)
{
	if (held)
		adxi_buf_printf(context, ", queue '%s' is held and %u wait for it", name, queued);
}

static void
add_awaited(void *context, const char *name, unsigned queued, bool held)
{
	if (queued)
		add_queue(context, name, queued, held);
}

/* "Class::Method of a Class (selector 3 of a Client)" */
static void
describe(const struct place *place, char *text, size_t size)
{
	const char *client = GET(place->now.client), *method = GET(place->now.method),
		   *class_name = GET(place->now.class_name);
	int len = snprintf(text, size, "%s of a %s", method ? method : "?",
			   class_name ? class_name : "?");

	if (client && len > 0 && (size_t)len < size)
		(void)snprintf(text + len, size - (size_t)len, " (selector %llu of a %s)",
			       (unsigned long long)GET(place->now.selector), client);
}

static void
tell_slow(const struct place *place)
{
	struct adxi_buf queues = { .limit = 1024 };
	char what[256];

	describe(place, what, sizeof(what));
	adxi_queue_each_busy(add_queue, &queues);
	adxi_tell(ADXI_RULE_T23, "%s has been running for %llu ms or more, and its caller waits%s",
		  what, (unsigned long long)(adxi_patience_ns() / 1000000), adxi_buf_text(&queues));
	adxi_buf_done(&queues);
}

/* Since when the place has been seen where it is. [watch_lock] */
static uint64_t
look_locked(struct place *place, uint64_t now_ns)
{
	const uint64_t turn = GET(place->turn);

	if (turn != place->seen || !place->seen_ns) {
		place->seen = turn;
		place->seen_ns = now_ns;
	}
	return place->seen_ns;
}

static void watch_arm(struct adxi_timer *timer);

/* Fine enough to be late by a quarter of the patience, or half a second, at most. */
static uint64_t
watch_interval(void)
{
	const uint64_t quarter = adxi_patience_ns() / 4;

	return quarter < 500000000u ? quarter : 500000000u;
}

static void
watch_fired(struct adxi_timer *timer)
{
	const uint64_t now_ns = adxi_clock_now(ADXI_CLOCK_UPTIME);
	bool again = false;

	(void)pthread_mutex_lock(&watch_lock);
	for (struct place *place = __atomic_load_n(&places, __ATOMIC_ACQUIRE); place;
	     place = place->next) {
		uint64_t since_ns;

		if (!GET(place->now.callers) || !GET(place->now.method))
			continue;
		again = true;
		since_ns = look_locked(place, now_ns);
		if (now_ns - since_ns >= adxi_patience_ns() && place->seen != place->told) {
			place->told = place->seen;
			tell_slow(place);
		}
	}
	(void)pthread_mutex_unlock(&watch_lock);
	__atomic_store_n(&watching, false, __ATOMIC_RELEASE);
	if (again)
		watch_arm(timer);
}

uint64_t
adxi_underway_stuck(char *text, size_t size)
{
	const uint64_t now_ns = adxi_clock_now(ADXI_CLOCK_UPTIME);
	struct adxi_buf queues = { .limit = 1024 };
	const struct place *oldest = NULL;
	uint64_t oldest_ns = now_ns;
	char what[256];

	text[0] = '\0';
	(void)pthread_mutex_lock(&watch_lock);
	for (struct place *place = __atomic_load_n(&places, __ATOMIC_ACQUIRE); place;
	     place = place->next) {
		if (place == mine || !GET(place->now.method) ||
		    look_locked(place, now_ns) >= oldest_ns)
			continue;
		oldest = place;
		oldest_ns = place->seen_ns;
	}
	(void)pthread_mutex_unlock(&watch_lock);
	if (!oldest)
		return 0;
	describe(oldest, what, sizeof(what));
	adxi_queue_each_busy(add_awaited, &queues);
	(void)snprintf(text, size, "%s%s", what, adxi_buf_text(&queues));
	adxi_buf_done(&queues);
	return (now_ns - oldest_ns) / 1000000;
}

static void
watch_arm(struct adxi_timer *timer)
{
	if (__atomic_exchange_n(&watching, true, __ATOMIC_ACQ_REL))
		return;
	(void)adxi_timer_arm(timer, ADXI_CLOCK_UPTIME,
			     adxi_clock_now(ADXI_CLOCK_UPTIME) + watch_interval());
}

/* ---------------------------------------------------------------------------------------------
 * A thread's own side
 */

static void
set(struct place *place, const struct adxi_underway *now)
{
	SET(place->turn, place->turn + 1);
	SET(place->now.method, now->method);
	SET(place->now.class_name, now->class_name);
	SET(place->now.client, now->client);
	SET(place->now.selector, now->selector);
	SET(place->now.input_size, now->input_size);
	SET(place->now.input, now->input);
	SET(place->now.callers, now->callers);
}

/* For who looks at it when the process is no more. */
static void
note(struct crash_place *flight, const struct adxi_underway *now)
{
	const uint32_t n = GET(flight->n_entered);
	struct crash_entry *entry = &flight->ring[n % CRASH_RING];

	SET(entry->method, now->method);
	SET(entry->class_name, now->class_name);
	SET(entry->client, NULL);
	SET(flight->n_entered, n + 1);
}

void
adxi_underway_enter(const struct OSMethod *method, const OS_OBJECT *target, bool answers,
		    struct adxi_underway *ret_outer)
{
	static struct adxi_timer watch = { .fire = watch_fired };
	struct place *place = mine ? mine : place_new();
	struct adxi_underway now;

	*ret_outer = (struct adxi_underway){ 0 };
	if (!place)
		return;
	*ret_outer = now = place->now;
	now.method = method->name;
	now.class_name = target->meta->name;
	now.callers += answers;
	set(place, &now);
	note(place->flight, &now);
	if (answers && !__atomic_load_n(&watching, __ATOMIC_RELAXED))
		watch_arm(&watch);
}

void
adxi_underway_external(const char *client, uint64_t selector, uint64_t input_size,
		       enum adxi_input input)
{
	struct crash_entry *entry;

	if (!mine)
		return;
	entry = &mine->flight->ring[(GET(mine->flight->n_entered) - 1) % CRASH_RING];
	SET(entry->client, client);
	SET(entry->selector, selector);
	SET(mine->now.client, client);
	SET(mine->now.selector, selector);
	SET(mine->now.input_size, input_size);
	SET(mine->now.input, input);
}

void
adxi_underway_leave(const struct adxi_underway *outer)
{
	if (mine)
		set(mine, outer);
}

const struct crash_place *
adxi_underway_flight(void)
{
	return mine && mine->flight != &nowhere ? mine->flight : NULL;
}

struct adxi_underway
adxi_underway_now(void)
{
	return mine ? mine->now : (struct adxi_underway){ 0 };
}
