/* SPDX-License-Identifier: MIT */
/* A listener has a port of its own; two share a process and its thread. */

#include "listener.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>

#define PATIENCE_MS 30000
#define KEPT                                                                                       \
	400u /* interests a listener keeps after their service went: what waits in the port may be \
		their message */
#define BATCH 4096u /* more than a notification keeps */

static const char *const kinds[] = { kIOPublishNotification, kIOFirstPublishNotification,
				     kIOMatchedNotification, kIOFirstMatchNotification };
enum { KINDS = sizeof kinds / sizeof kinds[0] };

struct listener {
	struct listeners *all;
	unsigned index;
	IONotificationPortRef port; /* owned */
	io_iterator_t came, went;   /* owned */
	io_object_t
		*interests; /* owned: of the services in the order of their coming; 0: given back */
	uint32_t n_interests, n_given_back;
	uint64_t batch[BATCH];
};

static pid_t pids[LISTENER_PROCESSES];

const char *
listener_kind(unsigned index)
{
	return kinds[index % KINDS];
}

bool
listener_is_late(unsigned index)
{
	return index % KINDS >= 2;
}

bool
listener_has_interest(unsigned index)
{
	return index >= KINDS;
}

static void
hear(struct listener *listener, enum heard what, uint64_t id)
{
	struct sequence *sequence = &listener->all->heard[listener->index][what];
	uint32_t n = atomic_load(&sequence->n);
	uint64_t one = 1;

	if (n < listener->all->max)
		sequence->ids[n] = id;
	atomic_store(&sequence->n, n + 1);
	(void)!write(listener->all->told, &one, sizeof one);
}

static void
message(void *context, io_service_t service, uint32_t type, void *argument __attribute__((unused)))
{
	uint64_t id = 0;

	if (type != kIOMessageServiceIsTerminated)
		return;
	(void)IORegistryEntryGetRegistryEntryID(service, &id);
	hear(context, MESSAGE, id);
}

static void
ask_for_messages(struct listener *listener, io_service_t service)
{
	io_object_t interest = IO_OBJECT_NULL;

	/* One that is gone already cannot be listened to. */
	(void)IOServiceAddInterestNotification(listener->port, service, kIOGeneralInterest, message,
					       listener, &interest);
	if (listener->n_interests < listener->all->max)
		listener->interests[listener->n_interests++] = interest;
}

static int
by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What came together is handed out newest first (as on macOS); ids grow with time. */
static uint32_t
drain(struct listener *listener, io_iterator_t iterator, bool asks)
{
	io_service_t service;
	uint32_t n = 0;

	while ((service = IOIteratorNext(iterator)) && n < BATCH) {
		(void)IORegistryEntryGetRegistryEntryID(service, &listener->batch[n++]);
		if (asks)
			ask_for_messages(listener, service);
		(void)IOObjectRelease(service);
	}
	qsort(listener->batch, n, sizeof listener->batch[0], by_id);
	return n;
}

static void
came(void *context, io_iterator_t iterator)
{
	struct listener *listener = context;
	uint32_t n = drain(listener, iterator, listener_has_interest(listener->index));

	for (uint32_t i = 0; i < n; i++)
		hear(listener, CAME, listener->batch[i]);
}

static void
went(void *context, io_iterator_t iterator)
{
	struct listener *listener = context;
	uint32_t n = drain(listener, iterator, false);

	for (uint32_t i = 0; i < n; i++)
		hear(listener, WENT, listener->batch[i]);
	/* Those of services that went long ago: their message has come. */
	while (listener->n_given_back + KEPT < listener->n_interests) {
		io_object_t *interest = &listener->interests[listener->n_given_back++];

		if (*interest)
			(void)IOObjectRelease(*interest);
		*interest = IO_OBJECT_NULL;
	}
}

static bool
listener_begin(struct listener *listener)
{
	listener->interests = calloc(listener->all->max, sizeof *listener->interests);
	listener->port = IONotificationPortCreate(kIOMainPortDefault);
	if (!listener->interests || !listener->port ||
	    IOServiceAddMatchingNotification(listener->port, listener_kind(listener->index),
					     IOServiceMatching("IOUSBHostDevice"), came, listener,
					     &listener->came) != kIOReturnSuccess ||
	    IOServiceAddMatchingNotification(listener->port, kIOTerminatedNotification,
					     IOServiceMatching("IOUSBHostDevice"), went, listener,
					     &listener->went) != kIOReturnSuccess)
		return false;
	came(listener, listener->came);
	went(listener, listener->went);
	return true;
}

static void __attribute__((noreturn)) listen_two(struct listeners *all, unsigned first)
{
	struct listener listeners[2] = { { .all = all, .index = first },
					 { .all = all, .index = first + 1 } };
	struct pollfd fds[2];
	uint64_t one = 1;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0; i < 2; i++) {
		if (!listener_begin(&listeners[i]))
			_exit(1);
		fds[i] = (struct pollfd){ .fd = adx_notification_port_get_fd(listeners[i].port),
					  .events = POLLIN };
	}
	atomic_fetch_add(&all->n_ready, 1);
	(void)!write(all->told, &one, sizeof one);
	while (!atomic_load(&all->stop)) {
		(void)poll(fds, 2, 100);
		for (unsigned i = 0; i < 2; i++)
			(void)adx_notification_port_dispatch(listeners[i].port);
	}
	_exit(0);
}

static bool
all_ready(struct listeners *listeners, void *unused __attribute__((unused)))
{
	return atomic_load(&listeners->n_ready) == LISTENER_PROCESSES;
}

struct listeners *
listeners_start(uint32_t max)
{
	size_t ids = (size_t)max * sizeof(uint64_t),
	       size = sizeof(struct listeners) + LISTENERS * HEARD * ids;
	struct listeners *all =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *at = (uint8_t *)(all + 1);

	if (all == MAP_FAILED)
		return NULL;
	all->max = max;
	all->told = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (unsigned i = 0; i < LISTENERS; i++)
		for (unsigned what = 0; what < HEARD; what++, at += ids)
			all->heard[i][what].ids = (uint64_t *)at;
	for (unsigned i = 0; i < LISTENER_PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			listen_two(all, i * LISTENERS / LISTENER_PROCESSES);
	}
	return listeners_wait(all, all_ready, NULL) ? all : NULL;
}

bool
listeners_wait(struct listeners *listeners,
	       bool (*is_done)(struct listeners *listeners, void *context), void *context)
{
	struct pollfd fd = { .fd = listeners->told, .events = POLLIN };
	uint64_t n;

	for (;;) {
		(void)!read(listeners->told, &n, sizeof n);
		if (is_done(listeners, context))
			return true;
		if (poll(&fd, 1, PATIENCE_MS) == 0)
			return is_done(listeners, context);
	}
}

bool
listeners_end(struct listeners *listeners)
{
	bool good = true;
	int status;

	atomic_store(&listeners->stop, true);
	for (unsigned i = 0; i < LISTENER_PROCESSES; i++)
		good = waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) &&
		       WEXITSTATUS(status) == 0 && good;
	return good;
}
