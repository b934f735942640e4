/* SPDX-License-Identifier: MIT */
/* CFRunLoop: sources, timers and the main queue of one thread, over poll(). */

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <CoreFoundation/CoreFoundation.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "corefoundation/cf.h"
#include "corefoundation/dispatch.h"
#include "corefoundation/runloop.h"
#include "object/containers.h"

#define MAX_POLLED      256u
#define EPOCH_2001      978307200.0 /* seconds between 1970 and 2001 */
#define NS_PER_SECOND   1000000000.0

/* Loops, sources and timers are objects like all of CF's, so that CFRetain and CFRelease take them. */
struct __CFRunLoop {
	OSObject super;
	pthread_mutex_t lock;            /* guards members, common, stopped */
	struct adxi_list members;        /* owned struct member::link */
	OSDictionary *common;            /* owned: names of the common modes */
	int wake_fd;                     /* owned eventfd */
	bool is_main;
	_Atomic bool stopped, waiting;
};

struct __CFRunLoopSource {
	OSObject super;
	CFRunLoopSourceContext context;
	int fd;                          /* borrowed; -1: signalled by hand */
	void (*fire)(void *context);     /* of a descriptor */
	_Atomic bool valid, signalled;
};

struct __CFRunLoopTimer {
	OSObject super;
	CFRunLoopTimerContext context;
	CFRunLoopTimerCallBack callout;
	CFTimeInterval interval;         /* 0: once */
	_Atomic uint64_t due_ns;         /* CLOCK_MONOTONIC */
	_Atomic bool valid;
};

/* A source or timer in a mode of a loop. */
struct member {
	struct adxi_list link;           /* in __CFRunLoop::members */
	OSObject *object;                /* owned reference */
	OSString *mode;                  /* owned reference; kCFRunLoopCommonModes: in all common ones */
	bool is_timer;
};

CFRunLoopMode kCFRunLoopDefaultMode, kCFRunLoopCommonModes;
CFBooleanRef kCFBooleanTrue, kCFBooleanFalse;

static void free_loop(OSObject *object);
static void free_source(OSObject *object);
static void free_timer(OSObject *object);

static struct OSObject_Ops loop_ops = { .free = free_loop }, source_ops = { .free = free_source }, timer_ops = { .free = free_timer };

#define CF_CLASS(record, class_name, type, table)                                                                      \
	static struct OSMetaClass record = {                                                                           \
		.abi = OS_METACLASS_ABI, .name = class_name, .super = &OSObject_Class, .instance_size = sizeof(struct type), \
		.ops_size = sizeof table, .ops = (void **)&table,                                                      \
	}
CF_CLASS(loop_class, "CFRunLoop", __CFRunLoop, loop_ops);
CF_CLASS(source_class, "CFRunLoopSource", __CFRunLoopSource, source_ops);
CF_CLASS(timer_class, "CFRunLoopTimer", __CFRunLoopTimer, timer_ops);

static pthread_key_t loop_key;
static pthread_mutex_t main_lock = PTHREAD_MUTEX_INITIALIZER;
static CFRunLoopRef main_loop; /* owned; never freed */

static void
thread_ended(void *loop)
{
	CFRelease(loop);
}

/* Constants that are objects get their values before main(). */
static void __attribute__((constructor))
set_up(void)
{
	OSMetaClassRegister(&loop_class);
	OSMetaClassRegister(&source_class);
	OSMetaClassRegister(&timer_class);
	(void)pthread_key_create(&loop_key, thread_ended);
	kCFRunLoopDefaultMode = adxi_cf_constant("kCFRunLoopDefaultMode");
	kCFRunLoopCommonModes = adxi_cf_constant("kCFRunLoopCommonModes");
	kCFBooleanTrue = (CFBooleanRef)kOSBooleanTrue;
	kCFBooleanFalse = (CFBooleanRef)kOSBooleanFalse;
}

static void
finish(OSObject *object)
{
	((const struct OSObject_Ops *)OSObject_Class.ops)->free(object);
}

/* ---- loops ---- */

static void
member_free(struct member *member)
{
	adxi_list_remove(&member->link);
	adxi_release(member->object);
	adxi_release(member->mode);
	free(member);
}

static void
free_loop(OSObject *object)
{
	CFRunLoopRef loop = (CFRunLoopRef)object;

	while (!adxi_list_is_empty(&loop->members))
		member_free(ADXI_LIST_FIRST(&loop->members, struct member, link));
	adxi_release(loop->common);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	finish(object);
}

static CFRunLoopRef
new_loop(void)
{
	CFRunLoopRef loop = (CFRunLoopRef)OSMetaClassAllocate(&loop_class);

	if (!loop)
		adxi_die("CFRunLoop: no memory");
	pthread_mutex_init(&loop->lock, NULL);
	adxi_list_init(&loop->members);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->common = adxi_dict_new();
	if (loop->wake_fd < 0 || !loop->common)
		adxi_die("CFRunLoop: no descriptor or memory for a loop: %s", strerror(errno));
	return loop;
}

CFTypeID
CFRunLoopGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&loop_class;
}

CFRunLoopRef
CFRunLoopGetMain(void)
{
	pthread_mutex_lock(&main_lock);
	if (!main_loop) {
		main_loop = new_loop();
		main_loop->is_main = true;
	}
	CFRunLoopRef loop = main_loop;
	pthread_mutex_unlock(&main_lock);
	return loop;
}

CFRunLoopRef
CFRunLoopGetCurrent(void)
{
	if (syscall(SYS_gettid) == getpid())
		return CFRunLoopGetMain();
	CFRunLoopRef loop = pthread_getspecific(loop_key);
	if (!loop) {
		loop = new_loop();
		(void)pthread_setspecific(loop_key, loop);
	}
	return loop;
}

void
CFRunLoopWakeUp(CFRunLoopRef rl)
{
	uint64_t one = 1;
	ssize_t n = write(rl->wake_fd, &one, sizeof one); /* EAGAIN: it is awake already */
	(void)n;
}

void
CFRunLoopStop(CFRunLoopRef rl)
{
	atomic_store(&rl->stopped, true);
	CFRunLoopWakeUp(rl);
}

Boolean
CFRunLoopIsWaiting(CFRunLoopRef rl)
{
	return atomic_load(&rl->waiting);
}

void
CFRunLoopAddCommonMode(CFRunLoopRef rl, CFRunLoopMode mode)
{
	pthread_mutex_lock(&rl->lock);
	(void)OSDictionary_setObject(rl->common, (const OSObject *)mode, (const OSMetaClassBase *)mode);
	pthread_mutex_unlock(&rl->lock);
}

static struct member *
find_locked(CFRunLoopRef loop, const void *object, CFRunLoopMode mode)
{
	struct member *member;

	ADXI_LIST_EACH (member, &loop->members, link)
		if (member->object == object && adxi_equal(member->mode, mode))
			return member;
	return NULL;
}

static void
add_member(CFRunLoopRef loop, OSObject *object, CFRunLoopMode mode, bool is_timer)
{
	struct member *member;

	pthread_mutex_lock(&loop->lock);
	if (!find_locked(loop, object, mode)) {
		member = calloc(1, sizeof *member);
		if (!member)
			adxi_die("CFRunLoop: no memory for a source");
		member->object = adxi_retain(object);
		member->mode = adxi_retain(mode);
		member->is_timer = is_timer;
		adxi_list_append(&loop->members, &member->link);
	}
	pthread_mutex_unlock(&loop->lock);
	CFRunLoopWakeUp(loop);
}

static void
remove_member(CFRunLoopRef loop, const void *object, CFRunLoopMode mode)
{
	pthread_mutex_lock(&loop->lock);
	struct member *member = find_locked(loop, object, mode);
	OSObject *removed = NULL;
	if (member) {
		removed = member->object;
		adxi_list_remove(&member->link);
		adxi_release(member->mode);
		free(member);
	}
	pthread_mutex_unlock(&loop->lock);
	adxi_release(removed);
	CFRunLoopWakeUp(loop);
}

/* ---- sources ---- */

CFTypeID
CFRunLoopSourceGetTypeID(void)
{
	return (CFTypeID)(uintptr_t)&source_class;
}

CFRunLoopSourceRef
CFRunLoopSourceCreate(CFAllocatorRef allocator, CFIndex order, CFRunLoopSourceContext *context)
{
	if (!context || context->version != 0)
		return NULL;
	CFRunLoopSourceRef source = (CFRunLoopSourceRef)OSMetaClassAllocate(&source_class);
	if (!source)
		return NULL;
	source->context = *context;
	source->fd = -1;
	atomic_init(&source->valid, true);
	if (context->retain)
		source->context.info = (void *)(uintptr_t)context->retain(context->info);
	return source;
}

CFRunLoopSourceRef
adxi_runloop_source_for_fd(int fd, void (*fire)(void *context), void *context)
{
	CFRunLoopSourceContext plain = { .info = context };
	CFRunLoopSourceRef source = CFRunLoopSourceCreate(NULL, 0, &plain);

	if (source) {
		source->fd = fd;
		source->fire = fire;
	}
	return source;
}

static void
free_source(OSObject *object)
{
	CFRunLoopSourceRef source = (CFRunLoopSourceRef)object;

	if (source->context.release)
		source->context.release(source->context.info);
	finish(object);
}

void
CFRunLoopSourceInvalidate(CFRunLoopSourceRef source)
{
	atomic_store(&source->valid, false);
}

Boolean
CFRunLoopSourceIsValid(CFRunLoopSourceRef source)
{
	return atomic_load(&source->valid);
}

void
CFRunLoopSourceSignal(CFRunLoopSourceRef source)
{
	atomic_store(&source->signalled, true);
}

Boolean
CFRunLoopContainsSource(CFRunLoopRef rl, CFRunLoopSourceRef source, CFRunLoopMode mode)
{
	pthread_mutex_lock(&rl->lock);
	bool found = find_locked(rl, source, mode) != NULL;
	pthread_mutex_unlock(&rl->lock);
	return found;
}

void
CFRunLoopAddSource(CFRunLoopRef rl, CFRunLoopSourceRef source, CFRunLoopMode mode)
{
	if (!rl || !source || !CFRunLoopSourceIsValid(source))
		return;
	add_member(rl, &source->super, mode, false);
	if (source->context.schedule)
		source->context.schedule(source->context.info, rl, mode);
}

void
CFRunLoopRemoveSource(CFRunLoopRef rl, CFRunLoopSourceRef source, CFRunLoopMode mode)
{
	if (!rl || !source)
		return;
	remove_member(rl, source, mode);
	if (source->context.cancel)
		source->context.cancel(source->context.info, rl, mode);
}

/* ---- timers ---- */

CFAbsoluteTime
CFAbsoluteTimeGetCurrent(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / NS_PER_SECOND - EPOCH_2001;
}

/* Point on the monotonic clock that is @p date now. */
static uint64_t
due_of(CFAbsoluteTime date)
{
	double left = date - CFAbsoluteTimeGetCurrent();

	if (!(left > 0))
		return 1;
	return left > 1e9 ? UINT64_MAX / 2 : adxi_now_ns() + (uint64_t)(left * NS_PER_SECOND);
}

CFRunLoopTimerRef
CFRunLoopTimerCreate(CFAllocatorRef allocator, CFAbsoluteTime fireDate, CFTimeInterval interval, CFOptionFlags flags,
		     CFIndex order, CFRunLoopTimerCallBack callout, CFRunLoopTimerContext *context)
{
	CFRunLoopTimerRef timer = callout ? (CFRunLoopTimerRef)OSMetaClassAllocate(&timer_class) : NULL;

	if (!timer)
		return NULL;
	if (context)
		timer->context = *context;
	if (context && context->retain)
		timer->context.info = (void *)(uintptr_t)context->retain(context->info);
	timer->callout = callout;
	timer->interval = interval > 0 ? interval : 0;
	atomic_init(&timer->due_ns, due_of(fireDate));
	atomic_init(&timer->valid, true);
	return timer;
}

static void
free_timer(OSObject *object)
{
	CFRunLoopTimerRef timer = (CFRunLoopTimerRef)object;

	if (timer->context.release)
		timer->context.release(timer->context.info);
	finish(object);
}

void
CFRunLoopTimerInvalidate(CFRunLoopTimerRef timer)
{
	atomic_store(&timer->valid, false);
}

Boolean
CFRunLoopTimerIsValid(CFRunLoopTimerRef timer)
{
	return atomic_load(&timer->valid);
}

void
CFRunLoopTimerSetNextFireDate(CFRunLoopTimerRef timer, CFAbsoluteTime fireDate)
{
	atomic_store(&timer->due_ns, due_of(fireDate));
}

void
CFRunLoopAddTimer(CFRunLoopRef rl, CFRunLoopTimerRef timer, CFRunLoopMode mode)
{
	if (rl && timer && CFRunLoopTimerIsValid(timer))
		add_member(rl, &timer->super, mode, true);
}

void
CFRunLoopRemoveTimer(CFRunLoopRef rl, CFRunLoopTimerRef timer, CFRunLoopMode mode)
{
	if (rl && timer)
		remove_member(rl, timer, mode);
}

static void
fire_timer(CFRunLoopTimerRef timer, uint64_t now)
{
	if (timer->interval > 0)
		atomic_store(&timer->due_ns, now + (uint64_t)(timer->interval * NS_PER_SECOND));
	else
		CFRunLoopTimerInvalidate(timer);
	timer->callout(timer, timer->context.info);
}

/* ---- running ---- */

static bool
is_in_mode(CFRunLoopRef loop, const struct member *member, CFRunLoopMode mode)
{
	if (adxi_equal(member->mode, mode))
		return true;
	return adxi_equal(member->mode, kCFRunLoopCommonModes) &&
	       (adxi_equal(mode, kCFRunLoopDefaultMode) || OSDictionary_getObject(loop->common, (const OSObject *)mode));
}

struct turn {
	OSObject *objects[MAX_POLLED]; /* owned references: what is in the mode now */
	bool is_timer[MAX_POLLED];
	struct pollfd polled[MAX_POLLED + 1];
	unsigned n;
	uint64_t next_due_ns;
	bool ready;                    /* something was signalled by hand */
};

/* What takes part in this turn; members that became invalid are dropped. */
static void
gather(CFRunLoopRef loop, CFRunLoopMode mode, struct turn *turn)
{
	struct adxi_list dropped = ADXI_LIST_INIT(dropped);
	struct member *member, *after;

	turn->n = 0;
	turn->next_due_ns = UINT64_MAX;
	turn->ready = false;
	pthread_mutex_lock(&loop->lock);
	ADXI_LIST_EACH_SAFE (member, after, &loop->members, link) {
		CFRunLoopSourceRef source = (CFRunLoopSourceRef)member->object;
		CFRunLoopTimerRef timer = (CFRunLoopTimerRef)member->object;
		bool valid = member->is_timer ? atomic_load(&timer->valid) : atomic_load(&source->valid);
		if (!valid) {
			adxi_list_remove(&member->link);
			adxi_list_append(&dropped, &member->link);
			continue;
		}
		if (turn->n == MAX_POLLED || !is_in_mode(loop, member, mode))
			continue;
		turn->objects[turn->n] = adxi_retain(member->object);
		turn->is_timer[turn->n] = member->is_timer;
		turn->polled[turn->n] = (struct pollfd){ .fd = member->is_timer ? -1 : source->fd, .events = POLLIN };
		if (member->is_timer && atomic_load(&timer->due_ns) < turn->next_due_ns)
			turn->next_due_ns = atomic_load(&timer->due_ns);
		if (!member->is_timer && source->fd < 0 && atomic_load(&source->signalled))
			turn->ready = true;
		turn->n++;
	}
	pthread_mutex_unlock(&loop->lock);
	/* Without the lock: a context's release function may use the loop. */
	while (!adxi_list_is_empty(&dropped))
		member_free(ADXI_LIST_FIRST(&dropped, struct member, link));
}

static void
wait_turn(CFRunLoopRef loop, struct turn *turn, uint64_t deadline_ns)
{
	uint64_t until = turn->next_due_ns < deadline_ns ? turn->next_due_ns : deadline_ns, now = adxi_now_ns(), count;
	struct timespec left = { 0 };

	if (!turn->ready && until > now) {
		uint64_t ns = until - now;
		left.tv_sec = ns / 1000000000u > 1000000 ? 1000000 : (time_t)(ns / 1000000000u);
		left.tv_nsec = (long)(ns % 1000000000u);
	}
	turn->polled[turn->n] = (struct pollfd){ .fd = loop->wake_fd, .events = POLLIN };
	atomic_store(&loop->waiting, true);
	if (ppoll(turn->polled, turn->n + 1, &left, NULL) < 0)
		for (unsigned i = 0; i <= turn->n; i++)
			turn->polled[i].revents = 0;
	atomic_store(&loop->waiting, false);
	if (turn->polled[turn->n].revents) {
		ssize_t n = read(loop->wake_fd, &count, sizeof count);
		(void)n;
	}
}

/* @return sources handled */
static unsigned
handle(CFRunLoopRef loop, struct turn *turn)
{
	uint64_t now = adxi_now_ns();
	unsigned n = 0;

	for (unsigned i = 0; i < turn->n; i++) {
		CFRunLoopSourceRef source = (CFRunLoopSourceRef)turn->objects[i];
		CFRunLoopTimerRef timer = (CFRunLoopTimerRef)turn->objects[i];
		if (turn->is_timer[i]) {
			if (atomic_load(&timer->valid) && atomic_load(&timer->due_ns) <= now)
				fire_timer(timer, now);
		} else if (!atomic_load(&source->valid)) {
			continue;
		} else if (source->fd >= 0) {
			if (turn->polled[i].revents) {
				source->fire(source->context.info);
				n++;
			}
		} else if (atomic_exchange(&source->signalled, false)) {
			if (source->context.perform)
				source->context.perform(source->context.info);
			n++;
		}
	}
	if (loop->is_main && adxi_dispatch_drain_main())
		n++;
	return n;
}

CFRunLoopRunResult
CFRunLoopRunInMode(CFRunLoopMode mode, CFTimeInterval seconds, Boolean returnAfterSourceHandled)
{
	CFRunLoopRef loop = CFRunLoopGetCurrent();
	uint64_t deadline = seconds > 1e8 ? UINT64_MAX / 2 : adxi_now_ns() + (uint64_t)(fmax(seconds, 0) * NS_PER_SECOND);
	CFRunLoopRunResult result = 0;
	struct turn *turn = malloc(sizeof *turn); /* per nesting level; large for a stack */

	if (!turn)
		adxi_die("CFRunLoopRun: no memory");
	while (!result) {
		gather(loop, mode, turn);
		/* The main queue keeps the main loop alive, as it does on macOS. */
		if (turn->n == 0 && !loop->is_main) {
			result = kCFRunLoopRunFinished;
			break;
		}
		if (!atomic_load(&loop->stopped))
			wait_turn(loop, turn, deadline);
		unsigned n = atomic_load(&loop->stopped) ? 0 : handle(loop, turn);
		for (unsigned i = 0; i < turn->n; i++)
			adxi_release(turn->objects[i]);
		if (atomic_exchange(&loop->stopped, false))
			result = kCFRunLoopRunStopped;
		else if (n > 0 && returnAfterSourceHandled)
			result = kCFRunLoopRunHandledSource;
		else if (adxi_now_ns() >= deadline)
			result = kCFRunLoopRunTimedOut;
	}
	free(turn);
	return result;
}

void
CFRunLoopRun(void)
{
	CFRunLoopRunResult result;

	do
		result = CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1e9, FALSE);
	while (result != kCFRunLoopRunStopped && result != kCFRunLoopRunFinished);
}
