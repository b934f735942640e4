/* SPDX-License-Identifier: MIT */
#include "channel/loop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "channel/channel.h"

#define EVENTS_A_TURN   64
#define MESSAGES_A_TURN 64 /* a channel: others want their turn */
#define NOT_ARMED       SIZE_MAX

struct adxi_source {
	struct adxi_list link; /* in adxi_loop::sources, then ::removed */
	struct adxi_loop *loop; /* borrowed */
	int (*ready)(struct adxi_source *source, uint32_t events); /* callbacks run */
	int fd;                /* -1: none */
	bool own;              /* fd is closed with it */
	bool is_removed, is_kept; /* kept: the adder has a handle and removes it */
	bool is_over;          /* does nothing any more, waits for its handle's end */
	void *userdata;
	union {
		adxi_fd_fn *fd_fn;
		adxi_timer_fn *timer_fn;
		adxi_child_fn *child_fn;
		adxi_signal_fn *signal_fn;
	};
	struct adxi_channel *channel; /* owned reference */
	pid_t pid;
	int signal;
	uint64_t deadline_ns;
	size_t heap_index; /* in adxi_loop::timers; NOT_ARMED */
};

struct posted {
	struct adxi_post post; /* first */
	void (*fn)(void *userdata);
	void *userdata;
};

struct adxi_loop {
	int epoll, timer, wake;           /* owned */
	struct adxi_list sources, removed; /* owned */
	struct adxi_source **timers;      /* owned: binary heap by deadline, of borrowed sources */
	size_t n_timers, timers_capacity;
	uint64_t timer_set_ns;            /* what timerfd is armed for; 0: not */
	bool in_turn;
	_Atomic bool stopped;
	pthread_mutex_t lock;             /* posts */
	struct adxi_list posts;
};

/* ---------------------------------------------------------------------------------------------
 * Sources
 */

static void
source_free(struct adxi_source *source)
{
	adxi_list_remove(&source->link);
	(void)adxi_channel_unref(source->channel);
	free(source);
}

static void heap_remove(struct adxi_loop *loop, struct adxi_source *source);

/* It calls nothing from here on. */
static void
source_end(struct adxi_source *source)
{
	if (source->is_over)
		return;
	source->is_over = true;
	heap_remove(source->loop, source);
	if (source->fd >= 0) {
		(void)epoll_ctl(source->loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
		if (source->own)
			(void)close(TAKE_FD(source->fd));
	}
}

static void
source_bury(struct adxi_source *source)
{
	source_end(source);
	source->is_removed = true;
	adxi_list_remove(&source->link);
	if (source->loop->in_turn)
		adxi_list_append(&source->loop->removed, &source->link);
	else
		source_free(source);
}

struct adxi_source *
adxi_source_remove(struct adxi_source *source)
{
	if (source)
		source_bury(source);
	return NULL;
}

/* A source that is through by itself. */
static void
source_over(struct adxi_source *source)
{
	if (source->is_removed)
		return;
	if (source->is_kept)
		source_end(source);
	else
		source_bury(source);
}

static int
source_new(struct adxi_loop *loop, int fd, bool own, uint32_t events, void *userdata,
	   struct adxi_source **ret_handle, struct adxi_source **ret_source)
{
	struct adxi_source *source = calloc(1, sizeof(*source));
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (!source || (fd >= 0 && epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)) {
		int r = source ? -errno : -ENOMEM;

		if (own && fd >= 0)
			(void)close(fd);
		free(source);
		return r;
	}
	source->loop = loop;
	source->fd = fd;
	source->own = own;
	source->userdata = userdata;
	source->heap_index = NOT_ARMED;
	source->is_kept = ret_handle != NULL;
	adxi_list_append(&loop->sources, &source->link);
	if (ret_handle)
		*ret_handle = source;
	*ret_source = source;
	return 0;
}

static int
fd_ready(struct adxi_source *source, uint32_t events)
{
	source->fd_fn(source, source->fd, events, source->userdata);
	return 1;
}

int
adxi_loop_add_fd(struct adxi_loop *loop, int fd, bool own, uint32_t events, adxi_fd_fn *fn, void *userdata,
		 struct adxi_source **ret_source)
{
	struct adxi_source *source;
	int r = source_new(loop, fd, own, events, userdata, ret_source, &source);

	if (r == 0) {
		source->ready = fd_ready;
		source->fd_fn = fn;
	}
	return r;
}

static int
channel_ready(struct adxi_source *source, uint32_t events)
{
	struct adxi_channel *channel = adxi_channel_ref(source->channel);
	int n = adxi_channel_dispatch(channel, MESSAGES_A_TURN);

	if (n < 0)
		source_over(source);
	else if (n == 0)
		(void)sched_yield(); /* another thread receives, and has yet to take the wake that came for it */
	(void)adxi_channel_unref(channel);
	return n > 0 ? n : 1;
}

int
adxi_loop_add_channel(struct adxi_loop *loop, struct adxi_channel *channel, struct adxi_source **ret_source)
{
	struct adxi_source *source;
	int fd = adxi_channel_fd(channel);
	int r;

	if (fd < 0) /* a source without one is never ready: the peer would wait for ever */
		return fd;
	r = source_new(loop, fd, false, EPOLLIN, NULL, ret_source, &source);
	if (r == 0) {
		source->ready = channel_ready;
		source->channel = adxi_channel_ref(channel);
	}
	return r;
}

static int
child_ready(struct adxi_source *source, uint32_t events)
{
	int status = 0;
	pid_t pid = waitpid(source->pid, &status, WNOHANG);

	if (pid == 0)
		return 0;
	source_end(source);
	source->child_fn(source, source->pid, status, source->userdata);
	source_over(source);
	return 1;
}

int
adxi_loop_add_child(struct adxi_loop *loop, pid_t pid, adxi_child_fn *fn, void *userdata,
		    struct adxi_source **ret_source)
{
	struct adxi_source *source;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = source_new(loop, fd, true, EPOLLIN, userdata, ret_source, &source);
	if (r == 0) {
		source->ready = child_ready;
		source->child_fn = fn;
		source->pid = pid;
	}
	return r;
}

static int
signal_ready(struct adxi_source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	source->signal_fn(source, source->signal, source->userdata);
	return 1;
}

int
adxi_loop_add_signal(struct adxi_loop *loop, int signal, adxi_signal_fn *fn, void *userdata,
		     struct adxi_source **ret_source)
{
	struct adxi_source *source;
	sigset_t set;
	int fd, r;

	(void)sigemptyset(&set);
	if (sigaddset(&set, signal) < 0)
		return -EINVAL;
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r != 0)
		return -r;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = source_new(loop, fd, true, EPOLLIN, userdata, ret_source, &source);
	if (r == 0) {
		source->ready = signal_ready;
		source->signal_fn = fn;
		source->signal = signal;
	}
	return r;
}

/* ---------------------------------------------------------------------------------------------
 * Timers: a heap, the timerfd armed for its top
 */

static void
heap_put(struct adxi_loop *loop, size_t index, struct adxi_source *source)
{
	loop->timers[index] = source;
	source->heap_index = index;
}

static void
heap_sift(struct adxi_loop *loop, size_t index, struct adxi_source *source)
{
	while (index > 0 && loop->timers[(index - 1) / 2]->deadline_ns > source->deadline_ns) {
		heap_put(loop, index, loop->timers[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * index + 1;

		if (child + 1 < loop->n_timers &&
		    loop->timers[child + 1]->deadline_ns < loop->timers[child]->deadline_ns)
			child++;
		if (child >= loop->n_timers || loop->timers[child]->deadline_ns >= source->deadline_ns)
			break;
		heap_put(loop, index, loop->timers[child]);
		index = child;
	}
	heap_put(loop, index, source);
}

static void
heap_remove(struct adxi_loop *loop, struct adxi_source *source)
{
	size_t index = source->heap_index;
	struct adxi_source *last;

	if (index == NOT_ARMED)
		return;
	source->heap_index = NOT_ARMED;
	last = loop->timers[--loop->n_timers];
	if (last != source)
		heap_sift(loop, index, last);
}

static void
timer_arm(struct adxi_loop *loop)
{
	uint64_t deadline_ns = loop->n_timers > 0 ? loop->timers[0]->deadline_ns : 0;
	struct itimerspec spec = {
		.it_value.tv_sec = (time_t)(deadline_ns / ADXI_NS_PER_S),
		.it_value.tv_nsec = (long)(deadline_ns % ADXI_NS_PER_S),
	};

	if (deadline_ns == loop->timer_set_ns)
		return;
	loop->timer_set_ns = deadline_ns;
	(void)timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

void
adxi_source_set_deadline(struct adxi_source *source, uint64_t deadline_ns)
{
	struct adxi_loop *loop = source->loop;

	if (source->is_over)
		return;
	heap_remove(loop, source);
	source->deadline_ns = deadline_ns;
	if (deadline_ns == 0 || deadline_ns == ADXI_NEVER)
		return;
	/* Room was made when the source was added. */
	loop->n_timers++;
	heap_sift(loop, loop->n_timers - 1, source);
}

int
adxi_loop_add_timer(struct adxi_loop *loop, uint64_t deadline_ns, adxi_timer_fn *fn, void *userdata,
		    struct adxi_source **ret_source)
{
	struct adxi_source *source;
	size_t n_sources = adxi_list_count(&loop->sources) + 1;
	int r;

	if (n_sources > loop->timers_capacity) {
		struct adxi_source **bigger = reallocarray(loop->timers, n_sources * 2, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		loop->timers = bigger;
		loop->timers_capacity = n_sources * 2;
	}
	r = source_new(loop, -1, false, 0, userdata, ret_source, &source);
	if (r == 0) {
		source->timer_fn = fn;
		/* Without a handle nobody could arm it again. */
		adxi_source_set_deadline(source, deadline_ns);
	}
	return r;
}

static int
timers_run(struct adxi_loop *loop)
{
	uint64_t expirations, now_ns = adxi_now_ns();
	int n = 0;

	(void)!read(loop->timer, &expirations, sizeof(expirations));
	loop->timer_set_ns = 0;
	while (loop->n_timers > 0 && loop->timers[0]->deadline_ns <= now_ns) {
		struct adxi_source *source = loop->timers[0];

		heap_remove(loop, source);
		source->timer_fn(source, source->userdata);
		if (!source->is_kept && source->heap_index == NOT_ARMED)
			source_over(source);
		n++;
	}
	return n;
}

/* ---------------------------------------------------------------------------------------------
 * The loop
 */

static void
loop_wake(struct adxi_loop *loop)
{
	const uint64_t one = 1;

	(void)!write(loop->wake, &one, sizeof(one));
}

static int
posts_run(struct adxi_loop *loop)
{
	struct adxi_list posts = ADXI_LIST_INIT(posts);
	struct adxi_post *post, *next;
	uint64_t count;
	int n = 0;

	(void)!read(loop->wake, &count, sizeof(count));
	(void)pthread_mutex_lock(&loop->lock);
	adxi_list_splice(&posts, &loop->posts);
	(void)pthread_mutex_unlock(&loop->lock);
	ADXI_LIST_EACH_SAFE(post, next, &posts, link) {
		adxi_list_remove(&post->link);
		post->run(post); /* it may be gone after that */
		n++;
	}
	return n;
}

static void
posted_run(struct adxi_post *post)
{
	struct posted *posted = (struct posted *)(void *)post;

	posted->fn(posted->userdata);
	free(posted);
}

void
adxi_loop_post_own(struct adxi_loop *loop, struct adxi_post *post, void (*run)(struct adxi_post *post))
{
	post->run = run;
	(void)pthread_mutex_lock(&loop->lock);
	adxi_list_append(&loop->posts, &post->link);
	(void)pthread_mutex_unlock(&loop->lock);
	loop_wake(loop);
}

int
adxi_loop_post(struct adxi_loop *loop, void (*fn)(void *userdata), void *userdata)
{
	struct posted *posted = malloc(sizeof(*posted));

	if (!posted)
		return -ENOMEM;
	posted->fn = fn;
	posted->userdata = userdata;
	adxi_list_init(&posted->post.link);
	adxi_loop_post_own(loop, &posted->post, posted_run);
	return 0;
}

int
adxi_loop_new(struct adxi_loop **ret_loop)
{
	struct adxi_loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event event = { .events = EPOLLIN };
	int r = 0;

	if (!loop)
		return -ENOMEM;
	adxi_list_init(&loop->sources);
	adxi_list_init(&loop->removed);
	adxi_list_init(&loop->posts);
	(void)pthread_mutex_init(&loop->lock, NULL);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll < 0 || loop->timer < 0 || loop->wake < 0)
		r = -errno;
	/* Told apart from sources by their addresses. */
	event.data.ptr = &loop->timer;
	if (r == 0 && epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->timer, &event) < 0)
		r = -errno;
	event.data.ptr = &loop->wake;
	if (r == 0 && epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) < 0)
		r = -errno;
	if (r < 0) {
		(void)adxi_loop_free(loop);
		return r;
	}
	*ret_loop = loop;
	return 0;
}

struct adxi_loop *
adxi_loop_free(struct adxi_loop *loop)
{
	struct adxi_source *source, *next;
	struct adxi_post *post, *next_post;

	if (!loop)
		return NULL;
	ADXI_LIST_EACH_SAFE(source, next, &loop->sources, link)
		source_bury(source);
	ADXI_LIST_EACH_SAFE(source, next, &loop->removed, link)
		source_free(source);
	ADXI_LIST_EACH_SAFE(post, next_post, &loop->posts, link)
		if (post->run == posted_run)
			free(post);
	if (loop->epoll >= 0)
		(void)close(loop->epoll);
	if (loop->timer >= 0)
		(void)close(loop->timer);
	if (loop->wake >= 0)
		(void)close(loop->wake);
	(void)pthread_mutex_destroy(&loop->lock);
	free(loop->timers);
	free(loop);
	return NULL;
}

int
adxi_loop_turn(struct adxi_loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENTS_A_TURN];
	struct adxi_source *source, *next;
	int n_events, n = 0;

	timer_arm(loop);
	n_events = epoll_wait(loop->epoll, events, EVENTS_A_TURN, timeout_ms);
	if (n_events < 0)
		return errno == EINTR ? 0 : -errno;
	loop->in_turn = true;
	for (int i = 0; i < n_events; i++) {
		if (events[i].data.ptr == &loop->timer) {
			n += timers_run(loop);
		} else if (events[i].data.ptr == &loop->wake) {
			n += posts_run(loop);
		} else {
			source = events[i].data.ptr;
			if (!source->is_over)
				n += source->ready(source, events[i].events);
		}
	}
	loop->in_turn = false;
	ADXI_LIST_EACH_SAFE(source, next, &loop->removed, link)
		source_free(source);
	return n;
}

int
adxi_loop_run(struct adxi_loop *loop)
{
	int r = 0;

	while (!atomic_exchange(&loop->stopped, false)) {
		r = adxi_loop_turn(loop, -1);
		if (r < 0)
			return r;
	}
	return 0;
}

void
adxi_loop_stop(struct adxi_loop *loop)
{
	atomic_store(&loop->stopped, true);
	loop_wake(loop);
}
