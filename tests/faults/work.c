/* SPDX-License-Identifier: MIT */
#include "work.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ambidext/realm.h>

#include "driver/SoakMethods.h"
#include "rig.h"

#define WORKERS_MAX 16u
#define LARGE       65536u

struct worker {
	pthread_t thread;
	uint64_t seed;
	io_connect_t connection; /* 0: none */
	IONotificationPortRef port;
	const char *_Atomic doing;
	uint8_t in[LARGE], out[LARGE];
};

/* One asynchronous call. */
struct asked {
	uint64_t cookie;
	unsigned told;
};

struct work_counts work_counts;
static struct worker workers[WORKERS_MAX];
static unsigned n_workers;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool going, ending;
static unsigned n_standing;

static uint64_t
draw(struct worker *worker, uint64_t bound)
{
	worker->seed ^= worker->seed << 13;
	worker->seed ^= worker->seed >> 7;
	worker->seed ^= worker->seed << 17;
	return worker->seed % bound;
}

static kern_return_t
returned(kern_return_t ret)
{
	atomic_fetch_add(&work_counts.returned, 1);
	if (ret != kIOReturnSuccess)
		atomic_fetch_add(&work_counts.refused, 1);
	return ret;
}

static kern_return_t
echo(struct worker *worker)
{
	uint64_t in[4], out[4] = { 0 };
	uint32_t n = 4;
	kern_return_t ret;

	for (unsigned i = 0; i < 4; i++)
		in[i] = draw(worker, UINT64_MAX);
	atomic_fetch_add(&work_counts.begun, 1);
	ret = returned(IOConnectCallScalarMethod(worker->connection, kSoakEcho, in, 4, out, &n));
	for (unsigned i = 0; ret == kIOReturnSuccess && i < 4; i++)
		if (n != 4 || out[i] != (in[i] ^ kSoakKey))
			atomic_fetch_add(&work_counts.wrong, 1);
	return ret;
}

static kern_return_t
echo_struct(struct worker *worker, size_t size)
{
	size_t n = size;
	uint8_t first = (uint8_t)draw(worker, 256);
	kern_return_t ret;

	for (size_t i = 0; i < size; i++)
		worker->in[i] = (uint8_t)(first + i * 7);
	memset(worker->out, 0, size);
	atomic_fetch_add(&work_counts.begun, 1);
	ret = returned(IOConnectCallStructMethod(worker->connection, kSoakEchoStruct, worker->in,
						 size, worker->out, &n));
	for (size_t i = 0; ret == kIOReturnSuccess && i < size; i++) {
		if (n == size && worker->out[i] == (worker->in[i] ^ 0xA5))
			continue;
		atomic_fetch_add(&work_counts.wrong, 1);
		break;
	}
	return ret;
}

static void
called_back(void *refcon, IOReturn result, void *first, void *second)
{
	struct asked *asked = refcon;

	atomic_fetch_add(&work_counts.told, 1);
	if (asked->told++ > 0)
		atomic_fetch_add(&work_counts.twice, 1);
	if (result != kIOReturnSuccess)
		atomic_fetch_add(&work_counts.aborted, 1);
	else if ((uintptr_t)first != (asked->cookie ^ kSoakKey) ||
		 (uintptr_t)second != asked->cookie)
		atomic_fetch_add(&work_counts.wrong, 1);
}

static void
dispatch(struct worker *worker)
{
	struct pollfd fd = { .fd = adx_notification_port_get_fd(worker->port), .events = POLLIN };

	if (fd.fd >= 0)
		(void)poll(&fd, 1, 1000);
	(void)adx_notification_port_dispatch(worker->port);
}

/* Accepted, so it is told once: with its answer, or that none will come. */
static kern_return_t
async(struct worker *worker)
{
	struct asked asked = { .cookie = draw(worker, UINT64_MAX) };
	uint64_t reference[kIOAsyncCalloutCount] = { 0, (uintptr_t)called_back, (uintptr_t)&asked };
	kern_return_t ret;

	atomic_fetch_add(&work_counts.begun, 1);
	ret = returned(IOConnectCallAsyncScalarMethod(
		worker->connection, kSoakAsync, IONotificationPortGetMachPort(worker->port),
		reference, kIOAsyncCalloutCount, &asked.cookie, 1, NULL, NULL));
	if (ret == kIOReturnSuccess) {
		atomic_fetch_add(&work_counts.accepted, 1);
		while (asked.told == 0)
			dispatch(worker);
		return ret;
	}
	/* Refused: nothing is promised, but its callback may have gone off before its answer was
	 * lost. */
	(void)IOServiceClose(worker->connection);
	worker->connection = IO_OBJECT_NULL;
	(void)adx_notification_port_dispatch(worker->port);
	if (asked.told > 0)
		atomic_fetch_add(&work_counts.accepted, 1);
	return ret;
}

static void
registry(void)
{
	CFMutableDictionaryRef properties = NULL;
	io_iterator_t iterator = IO_OBJECT_NULL;
	io_object_t object;

	if (IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("IOService"),
					 &iterator) != kIOReturnSuccess)
		return;
	while ((object = IOIteratorNext(iterator))) {
		if (IORegistryEntryCreateCFProperties(object, &properties, NULL, 0) ==
		    kIOReturnSuccess)
			CFRelease(properties);
		(void)IOObjectRelease(object);
	}
	(void)IOObjectRelease(iterator);
}

static void
arrived(void *refcon __attribute__((unused)), io_iterator_t iterator)
{
	io_object_t object;

	while ((object = IOIteratorNext(iterator)))
		(void)IOObjectRelease(object);
}

static void
watch(struct worker *worker)
{
	io_iterator_t iterator = IO_OBJECT_NULL;

	if (IOServiceAddMatchingNotification(worker->port, kIOFirstMatchNotification,
					     IOServiceNameMatching("SoakDriver"), arrived, NULL,
					     &iterator) != kIOReturnSuccess)
		return;
	arrived(NULL, iterator);
	(void)IOObjectRelease(iterator);
	(void)adx_notification_port_dispatch(worker->port);
}

static void
turn(struct worker *worker)
{
	uint64_t what = draw(worker, 16);
	kern_return_t ret = kIOReturnSuccess;

	if (!worker->connection) {
		worker->doing = "connecting";
		worker->connection = rig_connect_within("SoakDriver", 0.02);
		if (!worker->connection)
			return;
		atomic_fetch_add(&work_counts.connections, 1);
	}
	worker->doing = what < 6    ? "echo"
			: what < 10 ? "struct"
			: what < 13 ? "async"
			: what < 14 ? "closing"
				    : "registry";
	if (what < 6)
		ret = echo(worker);
	else if (what < 9)
		ret = echo_struct(worker, 1 + draw(worker, 4096));
	else if (what < 10)
		ret = echo_struct(worker, 4097 + draw(worker, LARGE - 4097));
	else if (what < 13)
		ret = async(worker);
	else if (what < 14)
		ret = kIOReturnAborted;
	else if (what < 15)
		registry();
	else
		watch(worker);
	if (ret != kIOReturnSuccess && worker->connection) {
		(void)IOServiceClose(worker->connection);
		worker->connection = IO_OBJECT_NULL;
	}
}

static void *
work(void *context)
{
	struct worker *worker = context;

	for (;;) {
		(void)pthread_mutex_lock(&lock);
		if (!going) {
			if (worker->connection)
				(void)IOServiceClose(worker->connection);
			worker->connection = IO_OBJECT_NULL;
			n_standing++;
			(void)pthread_cond_broadcast(&changed);
			while (!going && !ending)
				(void)pthread_cond_wait(&changed, &lock);
			n_standing--;
			(void)pthread_cond_broadcast(&changed);
		}
		(void)pthread_mutex_unlock(&lock);
		if (ending)
			return NULL;
		turn(worker);
	}
}

void
work_start(unsigned n, uint64_t seed)
{
	for (n_workers = 0; n_workers < n && n_workers < WORKERS_MAX; n_workers++) {
		struct worker *worker = &workers[n_workers];

		worker->seed = seed * 0x9e3779b97f4a7c15ull + n_workers + 1;
		worker->port = IONotificationPortCreate(kIOMainPortDefault);
		if (!worker->port || pthread_create(&worker->thread, NULL, work, worker) != 0)
			rig_failed("no thread or port for a worker");
	}
	work_go(false);
}

void
work_go(bool go)
{
	(void)pthread_mutex_lock(&lock);
	going = go;
	(void)pthread_cond_broadcast(&changed);
	while (n_standing != (go ? 0 : n_workers))
		(void)pthread_cond_wait(&changed, &lock);
	(void)pthread_mutex_unlock(&lock);
}

void
work_end(void)
{
	(void)pthread_mutex_lock(&lock);
	ending = true;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < n_workers; i++) {
		(void)pthread_join(workers[i].thread, NULL);
		IONotificationPortDestroy(workers[i].port);
	}
}

void
work_print_stuck(void)
{
	for (unsigned i = 0; i < n_workers; i++)
		fprintf(stderr, "worker %u: %s\n", i,
			workers[i].doing ? workers[i].doing : "nothing");
}
