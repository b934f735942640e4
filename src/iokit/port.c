/* SPDX-License-Identifier: MIT */
/* Notification ports: where callbacks wait until their receiver (run loop, dispatch queue or descriptor) runs them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/rules.h"
#include "corefoundation/runloop.h"
#include "iokit/iokit.h"

/* Memory of small events: they come and go in a row, and many wait at a time. */
struct iokit_event_block {
	unsigned n_events; /* that live, and one more while it is filled */
	size_t used;
	_Alignas(16) uint8_t bytes[4096 - 16];
};

struct IONotificationPort {
	struct iokit_object object;
	pthread_mutex_t lock;           /* guards all below, and blocks */
	struct adxi_list events;        /* owned struct iokit_event::link, oldest first */
	unsigned n_events;
	struct iokit_event_block *filled; /* owned in part: the last one; NULL: none */
	struct iokit_event_block *spare;  /* owned; empty; may be NULL */
	bool destroyed, has_receiver, told_unreceived;
	bool signalled;                 /* wake_fd was written */
	unsigned n_takers;              /* threads that will take what is there before they sleep */
	int wake_fd;                    /* owned eventfd: events are there */
	int poll_fd;                    /* owned epoll: wake_fd and every channel; -1 until somebody receives */
	CFRunLoopSourceRef source;      /* owned */
	dispatch_queue_t queue;         /* owned reference; callbacks run there */
	struct receiver *receiver;      /* owned: the thread behind queue */
};

static struct IONotificationPort *
port_of(struct iokit_object *object)
{
	return (struct IONotificationPort *)object;
}

struct iokit_object *
iokit_port_object(struct IONotificationPort *port)
{
	return &port->object;
}

struct IONotificationPort *
iokit_port_get(mach_port_t name)
{
	struct iokit_object *object = iokit_get(name, IOKIT_PORT);
	return object ? port_of(object) : NULL;
}

/* ---- memory of small events ---- */

static void
block_put_locked(struct IONotificationPort *port, struct iokit_event_block *block, unsigned n_events)
{
	block->n_events -= n_events;
	if (block->n_events > 0)
		return;
	if (port->spare) {
		free(block);
		return;
	}
	block->used = 0;
	port->spare = block;
}

static struct iokit_event *
event_new_locked(struct IONotificationPort *port, size_t size)
{
	struct iokit_event_block *block = port->filled;

	size = (size + 15) & ~(size_t)15;
	if (block && size > sizeof block->bytes - block->used) {
		port->filled = NULL;
		block_put_locked(port, block, 1);
		block = NULL;
	}
	if (!block) {
		block = port->spare ? port->spare : malloc(sizeof *block);
		if (!block)
			return NULL;
		port->spare = NULL;
		block->n_events = 1;
		block->used = 0;
		port->filled = block;
	}
	struct iokit_event *event = (struct iokit_event *)(void *)(block->bytes + block->used);
	block->used += size;
	block->n_events++;
	memset(event, 0, sizeof *event);
	event->block = block;
	return event;
}

/* Events that have run, until their blocks are given back: many at a time. */
struct ended {
	struct iokit_event_block *block;
	unsigned n_events;
};

static void
ended_put(struct IONotificationPort *port, struct ended *ended)
{
	if (!ended->block)
		return;
	pthread_mutex_lock(&port->lock);
	block_put_locked(port, ended->block, ended->n_events);
	pthread_mutex_unlock(&port->lock);
	*ended = (struct ended){ 0 };
}

static void
event_end(struct IONotificationPort *port, struct iokit_event *event, struct ended *ended)
{
	struct iokit_event_block *block = event->block;

	if (event->done)
		event->done(event);
	iokit_put(event->source);
	if (!block) {
		free(event);
		return;
	}
	if (ended->block != block)
		ended_put(port, ended);
	ended->block = block;
	ended->n_events++;
}

static void
drop_events(struct IONotificationPort *port)
{
	struct ended ended = { 0 };
	struct adxi_list gone;

	adxi_list_init(&gone);
	pthread_mutex_lock(&port->lock);
	adxi_list_splice(&gone, &port->events);
	port->n_events = 0;
	pthread_mutex_unlock(&port->lock);
	while (!adxi_list_is_empty(&gone)) {
		struct iokit_event *event = ADXI_LIST_FIRST(&gone, struct iokit_event, link);
		adxi_list_remove(&event->link);
		event_end(port, event, &ended);
	}
	ended_put(port, &ended);
}

static void
port_destroy(struct iokit_object *object)
{
	struct IONotificationPort *port = port_of(object);

	drop_events(port);
	if (port->poll_fd >= 0)
		close(port->poll_fd);
	if (port->wake_fd >= 0)
		close(port->wake_fd);
	pthread_mutex_destroy(&port->lock);
	free(port->filled); /* no event is left, so nobody else has it */
	free(port->spare);
	free(port);
}

IONotificationPortRef
IONotificationPortCreate(mach_port_t mainPort)
{
	struct IONotificationPort *port;

	if (iokit_check_main_port(mainPort) != kIOReturnSuccess)
		return NULL;
	port = calloc(1, sizeof *port);
	if (!port)
		return NULL;
	iokit_object_init(&port->object, IOKIT_PORT, port_destroy);
	pthread_mutex_init(&port->lock, NULL);
	adxi_list_init(&port->events);
	port->poll_fd = -1;
	port->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (port->wake_fd < 0) {
		iokit_put(&port->object);
		return NULL;
	}
	iokit_ref(&port->object); /* the handle's; the caller's own ends in Destroy */
	if (!iokit_name(&port->object)) {
		iokit_put(&port->object);
		return NULL;
	}
	return port;
}

mach_port_t
IONotificationPortGetMachPort(IONotificationPortRef notify)
{
	return notify ? notify->object.name : MACH_PORT_NULL;
}

static void
signal_locked(struct IONotificationPort *port)
{
	uint64_t one = 1;
	/* EAGAIN: the counter is full, so it is readable all the same. */
	ssize_t n = write(port->wake_fd, &one, sizeof one);
	(void)n;
	port->signalled = true;
}

/* How many wait although nobody has ever received there, and for long. */
static unsigned
unreceived_locked(struct IONotificationPort *port, struct iokit_event *event)
{
	if (port->has_receiver || port->told_unreceived)
		return 0;
	event->time_ns = adxi_now_ns();
	struct iokit_event *oldest = ADXI_LIST_FIRST(&port->events, struct iokit_event, link);
	if (event->time_ns - oldest->time_ns <= adxi_patience_ns())
		return 0;
	port->told_unreceived = true;
	return port->n_events;
}

static unsigned
append_locked(struct IONotificationPort *port, struct iokit_event *event)
{
	adxi_list_append(&port->events, &event->link);
	port->n_events++;
	/* A thread that is about to take them needs no wake. */
	if (!port->signalled && port->n_takers == 0)
		signal_locked(port);
	return unreceived_locked(port, event);
}

static void
tell_unreceived(unsigned n)
{
	if (n > 0)
		(void)adxi_tell(ADXI_RULE_T20, "%u messages wait on a notification port that has neither a run loop "
				"source nor a dispatch queue nor a polled descriptor", n);
}

void
iokit_port_post(struct IONotificationPort *port, struct iokit_event *event)
{
	struct ended none = { 0 };
	unsigned n_unreceived = 0;

	pthread_mutex_lock(&port->lock);
	bool taken = !port->destroyed;
	if (taken)
		n_unreceived = append_locked(port, event);
	pthread_mutex_unlock(&port->lock);
	if (!taken)
		event_end(port, event, &none);
	tell_unreceived(n_unreceived);
}

bool
iokit_port_post_small(struct IONotificationPort *port, size_t size, void (*fill)(struct iokit_event *event, void *context),
		      void *context)
{
	unsigned n_unreceived = 0;

	adxi_assert(size <= IOKIT_EVENT_MAX);
	pthread_mutex_lock(&port->lock);
	struct iokit_event *event = port->destroyed ? NULL : event_new_locked(port, size);
	if (event) {
		fill(event, context);
		n_unreceived = append_locked(port, event);
	}
	pthread_mutex_unlock(&port->lock);
	tell_unreceived(n_unreceived);
	return event != NULL;
}

/* What is there, and what comes in now. */
static void
take_events(struct IONotificationPort *port, struct adxi_list *due)
{
	uint64_t count;

	pthread_mutex_lock(&port->lock);
	port->n_takers++;
	pthread_mutex_unlock(&port->lock);
	iokit_receive();
	adxi_list_init(due);
	pthread_mutex_lock(&port->lock);
	port->n_takers--;
	if (port->signalled)
		(void)!read(port->wake_fd, &count, sizeof count);
	port->signalled = false;
	adxi_list_splice(due, &port->events);
	port->n_events = 0;
	pthread_mutex_unlock(&port->lock);
}

int
adx_notification_port_dispatch(IONotificationPortRef notify)
{
	struct ended ended = { 0 };
	struct adxi_list due;
	int n = 0;

	if (!notify)
		return 0;
	iokit_ref(&notify->object);
	take_events(notify, &due);
	/* A callback may destroy the port, stop the run loop or make calls that queue more: those come next time. */
	while (!adxi_list_is_empty(&due)) {
		struct iokit_event *event = ADXI_LIST_FIRST(&due, struct iokit_event, link);
		adxi_list_remove(&event->link);
		if (!notify->destroyed) {
			event->run(event);
			n++;
		}
		event_end(notify, event, &ended);
	}
	ended_put(notify, &ended);
	iokit_put(&notify->object);
	return n;
}

int
adx_notification_port_get_fd(IONotificationPortRef notify)
{
	struct epoll_event event = { .events = EPOLLIN };
	int all = iokit_receive_fd();

	if (!notify || all < 0)
		return -1;
	pthread_mutex_lock(&notify->lock);
	if (notify->poll_fd < 0) {
		int fd = epoll_create1(EPOLL_CLOEXEC);
		if (fd >= 0 && (epoll_ctl(fd, EPOLL_CTL_ADD, notify->wake_fd, &event) < 0 ||
				epoll_ctl(fd, EPOLL_CTL_ADD, all, &event) < 0)) {
			close(fd);
			fd = -1;
		}
		notify->poll_fd = fd;
	}
	notify->has_receiver = true;
	int fd = notify->poll_fd;
	pthread_mutex_unlock(&notify->lock);
	return fd;
}

static void
fire_source(void *context)
{
	(void)adx_notification_port_dispatch(context);
}

CFRunLoopSourceRef
IONotificationPortGetRunLoopSource(IONotificationPortRef notify)
{
	int fd = adx_notification_port_get_fd(notify);

	if (fd < 0)
		return NULL;
	pthread_mutex_lock(&notify->lock);
	if (!notify->source)
		notify->source = adxi_runloop_source_for_fd(fd, fire_source, notify);
	CFRunLoopSourceRef source = notify->source;
	pthread_mutex_unlock(&notify->lock);
	return source;
}

/* ---- dispatch queue: the one case where somebody asked for a thread ---- */

struct receiver {
	pthread_t thread;
	int stop_fd;                       /* owned eventfd: the thread's end */
	int epoll_fd;                      /* owned: the port's descriptor (0) and stop_fd (1) */
	struct IONotificationPort *port;   /* owned reference */
	dispatch_queue_t queue;            /* owned reference */
};

static void
dispatch_on_queue(void *context)
{
	(void)adx_notification_port_dispatch(context);
}

static void
receiver_free(struct receiver *receiver)
{
	if (receiver->epoll_fd >= 0)
		close(receiver->epoll_fd);
	if (receiver->stop_fd >= 0)
		close(receiver->stop_fd);
	dispatch_release(receiver->queue);
	iokit_put(&receiver->port->object);
	free(receiver);
}

static void *
receiver_main(void *context)
{
	struct receiver *receiver = context;
	bool stopped = false;
	uint64_t one;

	while (!stopped) {
		struct epoll_event events[2];
		int n = epoll_wait(receiver->epoll_fd, events, 2, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.u32 == 1)
				stopped = true;
		/* Waits for the queue, so that the next turn sees what this one left. */
		if (!stopped && n > 0)
			dispatch_sync_f(receiver->queue, receiver->port, dispatch_on_queue);
	}
	(void)!read(receiver->stop_fd, &one, sizeof one); /* who wrote it is past its last use of the record */
	receiver_free(receiver);
	return NULL;
}

static struct receiver *
receiver_start(struct IONotificationPort *port, dispatch_queue_t queue)
{
	struct epoll_event from_port = { .events = EPOLLIN, .data.u32 = 0 }, stop = { .events = EPOLLIN, .data.u32 = 1 };
	struct receiver *receiver = calloc(1, sizeof *receiver);

	if (!receiver)
		return NULL;
	receiver->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	receiver->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	receiver->port = port;
	receiver->queue = queue;
	iokit_ref(&port->object);
	dispatch_retain(queue);
	if (receiver->epoll_fd < 0 || receiver->stop_fd < 0 ||
	    epoll_ctl(receiver->epoll_fd, EPOLL_CTL_ADD, adx_notification_port_get_fd(port), &from_port) < 0 ||
	    epoll_ctl(receiver->epoll_fd, EPOLL_CTL_ADD, receiver->stop_fd, &stop) < 0 ||
	    pthread_create(&receiver->thread, NULL, receiver_main, receiver) != 0) {
		receiver_free(receiver);
		return NULL;
	}
	pthread_detach(receiver->thread);
	return receiver;
}

void
IONotificationPortSetDispatchQueue(IONotificationPortRef notify, dispatch_queue_t queue)
{
	uint64_t one = 1;

	if (!notify)
		return;
	struct receiver *started = queue ? receiver_start(notify, queue) : NULL;
	pthread_mutex_lock(&notify->lock);
	struct receiver *old = notify->receiver;
	notify->receiver = started;
	if (started)
		notify->has_receiver = true;
	/* The thread frees the record when it sees this, so it is the last use of it. */
	if (old && write(old->stop_fd, &one, sizeof one) < 0)
		adxi_assert(errno == EAGAIN);
	pthread_mutex_unlock(&notify->lock);
}

kern_return_t
IONotificationPortSetImportanceReceiver(IONotificationPortRef notify)
{
	return notify ? kIOReturnSuccess : kIOReturnBadArgument;
}

void
IONotificationPortDestroy(IONotificationPortRef notify)
{
	if (!notify)
		return;
	IONotificationPortSetDispatchQueue(notify, NULL);
	pthread_mutex_lock(&notify->lock);
	notify->destroyed = true;
	CFRunLoopSourceRef source = notify->source;
	notify->source = NULL;
	pthread_mutex_unlock(&notify->lock);
	if (source) {
		CFRunLoopSourceInvalidate(source);
		CFRelease(source);
	}
	drop_events(notify);
	(void)IOObjectRelease(notify->object.name);
	iokit_put(&notify->object);
}

kern_return_t
IOCreateReceivePort(uint32_t msgType, mach_port_t *recvPort)
{
	if (!recvPort || (msgType != kOSNotificationMessageID && msgType != kOSAsyncCompleteMessageID))
		return kIOReturnBadArgument;
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	if (!port)
		return kIOReturnNoMemory;
	*recvPort = port->object.name;
	iokit_put(&port->object); /* lives as long as the name */
	return kIOReturnSuccess;
}

const char *
adx_last_explanation(void)
{
	return adxi_told_last();
}
