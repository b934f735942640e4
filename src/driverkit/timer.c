/* SPDX-License-Identifier: MIT */
/* A binary heap for each clock; the earliest deadline is in that clock's timerfd. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "driverkit/timer.h"

struct heap {
	struct adxi_timer **items; /* owned array of borrowed timers; [0] is not used */
	uint32_t count, capacity;
	int fd; /* owned; 0: not made yet */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards heaps and the timers in them */
static struct heap heaps[ADXI_CLOCK_COUNT];
static uint64_t (*test_now)(enum adxi_clock clock); /* atomic */

static const clockid_t clock_ids[ADXI_CLOCK_COUNT] = {
	[ADXI_CLOCK_UPTIME] = CLOCK_MONOTONIC,
	[ADXI_CLOCK_BOOT] = CLOCK_BOOTTIME,
	[ADXI_CLOCK_WALL] = CLOCK_REALTIME,
};

static const struct {
	uint64_t option;
	enum adxi_clock clock;
} options_table[] = {
	{ 0x00, ADXI_CLOCK_UPTIME }, /* none given */
	{ 0x88, ADXI_CLOCK_UPTIME }, /* kIOTimerClockUptimeRaw */
	{ 0xc8, ADXI_CLOCK_UPTIME }, /* kIOTimerClockMachAbsoluteTime: ticks are nanoseconds */
	{ 0x84, ADXI_CLOCK_BOOT },   /* kIOTimerClockMonotonicRaw */
	{ 0xc4, ADXI_CLOCK_BOOT },   /* kIOTimerClockMachContinuousTime */
	{ 0x80, ADXI_CLOCK_WALL },   /* kIOTimerClockWallTime */
};

int
adxi_clock_from_options(uint64_t options, enum adxi_clock *ret_clock)
{
	for (unsigned i = 0; i < sizeof(options_table) / sizeof(options_table[0]); i++) {
		if (options_table[i].option == (options & 0xff)) {
			*ret_clock = options_table[i].clock;
			return 0;
		}
	}
	return -EINVAL;
}

uint64_t
adxi_clock_now(enum adxi_clock clock)
{
	uint64_t (*now)(enum adxi_clock) = __atomic_load_n(&test_now, __ATOMIC_ACQUIRE);
	struct timespec ts;

	if (now)
		return now(clock);
	clock_gettime(clock_ids[clock], &ts);
	return (uint64_t)ts.tv_sec * ADXI_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void
put_at(struct heap *heap, uint32_t index, struct adxi_timer *timer)
{
	heap->items[index] = timer;
	timer->heap_index = index;
}

static void
sift_up(struct heap *heap, uint32_t index)
{
	struct adxi_timer *timer = heap->items[index];

	while (index > 1 && heap->items[index / 2]->deadline_ns > timer->deadline_ns) {
		put_at(heap, index, heap->items[index / 2]);
		index /= 2;
	}
	put_at(heap, index, timer);
}

static void
sift_down(struct heap *heap, uint32_t index)
{
	struct adxi_timer *timer = heap->items[index];

	for (;;) {
		uint32_t child = index * 2;

		if (child > heap->count)
			break;
		if (child < heap->count &&
		    heap->items[child + 1]->deadline_ns < heap->items[child]->deadline_ns)
			child++;
		if (heap->items[child]->deadline_ns >= timer->deadline_ns)
			break;
		put_at(heap, index, heap->items[child]);
		index = child;
	}
	put_at(heap, index, timer);
}

static void
remove_locked(struct heap *heap, struct adxi_timer *timer)
{
	uint32_t index = timer->heap_index;
	struct adxi_timer *last = heap->items[heap->count--];

	timer->heap_index = 0;
	if (last == timer)
		return;
	put_at(heap, index, last);
	sift_up(heap, index);
	sift_down(heap, last->heap_index);
}

static int
insert_locked(struct heap *heap, struct adxi_timer *timer)
{
	if (heap->count + 1 >= heap->capacity) {
		uint32_t n = heap->capacity ? heap->capacity * 2 : 16;
		struct adxi_timer **bigger = realloc(heap->items, n * sizeof(heap->items[0]));

		if (!bigger)
			return -ENOMEM;
		heap->items = bigger;
		heap->capacity = n;
	}
	put_at(heap, ++heap->count, timer);
	sift_up(heap, heap->count);
	return 0;
}

static int
fd_locked(enum adxi_clock clock)
{
	if (heaps[clock].fd == 0) {
		int fd = timerfd_create(clock_ids[clock], TFD_CLOEXEC | TFD_NONBLOCK);
		if (fd < 0)
			return -errno;
		heaps[clock].fd = fd;
	}
	return heaps[clock].fd;
}

/* The earliest deadline into the timerfd. */
static void
program_locked(enum adxi_clock clock)
{
	struct heap *heap = &heaps[clock];
	struct itimerspec when = { 0 };
	int fd;

	if (__atomic_load_n(&test_now, __ATOMIC_ACQUIRE) || (fd = fd_locked(clock)) < 0)
		return;
	if (heap->count) {
		uint64_t at = heap->items[1]->deadline_ns ? heap->items[1]->deadline_ns : 1;

		when.it_value.tv_sec = (time_t)(at / ADXI_NS_PER_S);
		when.it_value.tv_nsec = (long)(at % ADXI_NS_PER_S);
		if (at / ADXI_NS_PER_S > INT32_MAX) /* for ever, on any kernel */
			when.it_value.tv_sec = INT32_MAX;
	}
	(void)timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL); /* values are in range */
}

int
adxi_timer_arm(struct adxi_timer *timer, enum adxi_clock clock, uint64_t deadline_ns)
{
	pthread_mutex_lock(&lock);
	if (timer->heap_index) {
		enum adxi_clock old = timer->clock;

		remove_locked(&heaps[old], timer);
		if (old != clock)
			program_locked(old);
	}
	timer->clock = clock;
	timer->deadline_ns = deadline_ns;
	int r = insert_locked(&heaps[clock], timer);
	program_locked(clock);
	pthread_mutex_unlock(&lock);
	return r;
}

bool
adxi_timer_disarm(struct adxi_timer *timer)
{
	pthread_mutex_lock(&lock);
	bool armed = timer->heap_index != 0;
	if (armed) {
		enum adxi_clock clock = timer->clock;
		bool first = timer->heap_index == 1;

		remove_locked(&heaps[clock], timer);
		if (first)
			program_locked(clock);
	}
	pthread_mutex_unlock(&lock);
	return armed;
}

bool
adxi_timer_is_armed(const struct adxi_timer *timer)
{
	pthread_mutex_lock(&lock);
	bool armed = timer->heap_index != 0;
	pthread_mutex_unlock(&lock);
	return armed;
}

unsigned
adxi_timers_run(enum adxi_clock clock)
{
	struct heap *heap = &heaps[clock];
	uint64_t expirations;
	unsigned n = 0;

	pthread_mutex_lock(&lock);
	if (heap->fd > 0)
		(void)!read(heap->fd, &expirations, sizeof(expirations)); /* clears readiness */
	while (heap->count && heap->items[1]->deadline_ns <= adxi_clock_now(clock)) {
		struct adxi_timer *timer = heap->items[1];

		remove_locked(heap, timer);
		pthread_mutex_unlock(&lock);
		timer->fire(timer);
		n++;
		pthread_mutex_lock(&lock);
	}
	program_locked(clock);
	pthread_mutex_unlock(&lock);
	return n;
}

int
adxi_timers_fd(enum adxi_clock clock)
{
	pthread_mutex_lock(&lock);
	int fd = fd_locked(clock);
	pthread_mutex_unlock(&lock);
	return fd;
}

void
adxi_timers_set_clock(uint64_t (*now)(enum adxi_clock clock))
{
	__atomic_store_n(&test_now, now, __ATOMIC_RELEASE);
}
