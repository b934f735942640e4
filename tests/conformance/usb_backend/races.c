/* SPDX-License-Identifier: MIT */
/* Threads that submit, cancel, let time pass, change settings and unplug against each other, some
 * thousand times in different orders: each accepted transfer ends once, and each device that came
 * goes once. */
#include "rig.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "usbhost/model/model.h"

#define N_ROUNDS	6000
#define N_SLOTS		24
#define LENGTH		512u
#define CHAIN		3

enum { WRITER, READER, CANCELLER, MEDDLER, N_THREADS };

struct slot {
	struct usb_transfer transfer;
	struct race *race;
	uint8_t data[LENGTH];
	_Atomic unsigned n_accepted, n_ended;
	_Atomic unsigned chain;      /* times that complete submits it again */
};

struct race {
	struct usb_backend *backend;
	struct usb_device *device;
	_Atomic bool gone;
	uint32_t location;
	_Atomic unsigned n_attached, n_detached;
	_Atomic unsigned statuses[USB_NO_MEMORY + 1];
	struct slot slots[N_SLOTS];
	pthread_barrier_t barrier;
	unsigned round;              /* changed between barriers only */
	bool over;
};

static int
race_attached(void *core, struct usb_device *device, const struct usb_device_info *info,
	      void **ret_core_device)
{
	struct race *race = core;

	race->device = device;
	atomic_store(&race->gone, false);
	atomic_fetch_add(&race->n_attached, 1);
	*ret_core_device = device;
	return 0;
}

static void
race_detached(void *core, void *core_device)
{
	struct race *race = core;

	atomic_fetch_add(&race->n_detached, 1);
	atomic_store(&race->gone, true);
}

static void
race_submit(struct slot *slot)
{
	/* Counted before: it may end before submit returns. */
	atomic_fetch_add(&slot->n_accepted, 1);
	if (usb_backend_model.submit(slot->race->device, &slot->transfer) != 0)
		atomic_fetch_sub(&slot->n_accepted, 1);
}

static void
race_complete(struct usb_transfer *transfer, enum usb_status status, uint32_t actual,
	      uint64_t time_ns)
{
	struct slot *slot = transfer->core;

	atomic_fetch_add(&slot->race->statuses[status], 1);
	atomic_fetch_add(&slot->n_ended, 1);
	if (atomic_load(&slot->chain) > 0) {
		atomic_fetch_sub(&slot->chain, 1);
		race_submit(slot);
	}
}

static unsigned
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

static void
linger(uint64_t *seed)
{
	unsigned n = next_random(seed) % 8 ? next_random(seed) % 200 : next_random(seed) % 5000;

	for (volatile unsigned i = 0; i < n; i++)
		;
}

static void
meddle(struct race *race, uint64_t *seed)
{
	struct usb_device *device = race->device;

	linger(seed);
	switch (next_random(seed) % 8) {
	case 0:
		(void) usb_backend_model.reset(device);
		break;
	case 1:
		(void) usb_backend_model.set_alternate(device, 0, 0);
		break;
	case 2:
		(void) usb_backend_model.unclaim(device, 0);
		linger(seed);
		(void) usb_backend_model.claim(device, 0);
		break;
	case 3:
	case 4:
		(void) usb_backend_model.detach(race->backend, race->location);
		break;
	default:
		for (unsigned i = 0; i < 4; i++) {
			usb_model_pass(race->backend, 1000000);
			linger(seed);
		}
	}
}

static void
run_round(struct race *race, unsigned role, uint64_t *seed)
{
	switch (role) {
	case WRITER:
	case READER:
		for (unsigned i = role; i < N_SLOTS; i += 2) {
			race_submit(&race->slots[i]);
			linger(seed);
		}
		break;
	case CANCELLER:
		for (unsigned i = 0; i < N_SLOTS / 2; i++) {
			linger(seed);
			usb_backend_model.cancel(
				race->device, &race->slots[next_random(seed) % N_SLOTS].transfer);
		}
		break;
	case MEDDLER:
		meddle(race, seed);
		break;
	}
}

struct racer {
	pthread_t thread;
	struct race *race;
	unsigned role;
};

static void *
race_main(void *userdata)
{
	struct racer *racer = userdata;
	struct race *race = racer->race;

	for (;;) {
		uint64_t seed;

		pthread_barrier_wait(&race->barrier);
		if (race->over)
			return NULL;
		seed = race->round * 31ull + racer->role;
		(void) next_random(&seed);
		run_round(race, racer->role, &seed);
		pthread_barrier_wait(&race->barrier);
	}
}

static void
prepare(struct race *race, uint64_t *seed)
{
	const char *why;

	assert_int_equal(
		usb_backend_model.attach(race->backend, "loopback,depth=4", &race->location, &why),
		0);
	assert_int_equal(usb_backend_model.claim(race->device, 0), 0);
	for (unsigned i = 0; i < N_SLOTS; i++) {
		struct slot *slot = &race->slots[i];

		slot->transfer = (struct usb_transfer){
			.endpoint = i % 2 == WRITER ? 0x01 : 0x81,
			.type = USB_BULK,
			.data = slot->data,
			.length = LENGTH,
			.timeout_ms = next_random(seed) % 4,
			.complete = race_complete,
			.core = slot,
		};
		slot->race = race;
		atomic_store(&slot->n_accepted, 0);
		atomic_store(&slot->n_ended, 0);
		atomic_store(&slot->chain, next_random(seed) % CHAIN);
	}
}

static void
check(struct race *race)
{
	bool was_gone = atomic_load(&race->gone);

	for (unsigned i = 0; i < N_SLOTS; i++)
		atomic_store(&race->slots[i].chain, 0);
	if (was_gone)
		assert_int_equal(usb_backend_model.detach(race->backend, race->location), -ENOENT);
	else if (race->round % 2)
		for (unsigned i = 0; i < N_SLOTS; i++)
			usb_backend_model.cancel(race->device, &race->slots[i].transfer);
	if (!was_gone)
		assert_int_equal(usb_backend_model.detach(race->backend, race->location), 0);
	for (unsigned i = 0; i < N_SLOTS; i++)
		if (race->slots[i].n_accepted != race->slots[i].n_ended)
			fail_msg("round %u, transfer %u: accepted %u times, ended %u times",
				 race->round, i, race->slots[i].n_accepted, race->slots[i].n_ended);
	assert_int_equal(race->n_attached, race->round + 1);
	assert_int_equal(race->n_detached, race->round + 1);
	usb_backend_model.release(race->device);
}

static void
each_transfer_ends_once_whoever_wins(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct racer racers[N_THREADS];
	const struct usb_events events = { .attached = race_attached, .detached = race_detached };
	const char *why;

	assert_int_equal(
		usb_backend_model.open("clock=virtual", &events, race, &race->backend, &why), 0);
	pthread_barrier_init(&race->barrier, NULL, N_THREADS + 1);
	for (unsigned i = 0; i < N_THREADS; i++) {
		racers[i] = (struct racer){ .race = race, .role = i };
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race_main, &racers[i]), 0);
	}
	for (; race->round < N_ROUNDS; race->round++) {
		uint64_t seed = race->round;

		prepare(race, &seed);
		pthread_barrier_wait(&race->barrier);
		pthread_barrier_wait(&race->barrier);
		check(race);
	}
	race->over = true;
	pthread_barrier_wait(&race->barrier);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(racers[i].thread, NULL);
	usb_backend_model.close(race->backend);
	print_message("%u rounds: ok %u, time-out %u, cancelled %u, no device %u\n", N_ROUNDS,
		      race->statuses[USB_OK], race->statuses[USB_TIMEOUT],
		      race->statuses[USB_CANCELLED], race->statuses[USB_NO_DEVICE]);
	/* A test of races that were never run proves nothing. */
	assert_true(race->statuses[USB_OK] > N_ROUNDS);
	assert_true(race->statuses[USB_TIMEOUT] > 100);
	assert_true(race->statuses[USB_CANCELLED] > N_ROUNDS / 2);
	assert_true(race->statuses[USB_NO_DEVICE] > N_ROUNDS / 4);
	pthread_barrier_destroy(&race->barrier);
	free(race);
}

/* The real clock: a thread of the back end's own ends transfers while others submit and cancel
 * them. */
static void
the_clock_thread_joins_the_race(void **state)
{
	enum { ROUNDS = 40 };
	struct race *race = calloc(1, sizeof *race);
	const struct usb_events events = { .attached = race_attached, .detached = race_detached };
	const char *why;
	unsigned n_timeouts;

	assert_int_equal(usb_backend_model.open(NULL, &events, race, &race->backend, &why), 0);
	for (; race->round < ROUNDS; race->round++) {
		uint64_t seed = race->round;

		prepare(race, &seed);
		for (unsigned i = 0; i < N_SLOTS; i++)
			race->slots[i].transfer.timeout_ms = 1 + i % 3;
		for (unsigned i = READER; i < N_SLOTS; i += 2)
			race_submit(&race->slots[i]);
		if (race->round % 4) {
			struct timespec ms = { .tv_nsec = 250000 * (race->round % 16) };

			/* Not waiting for anything: the clock thread is given the chance to come in
			 * between. */
			(void) nanosleep(&ms, NULL);
			for (unsigned i = READER; i < N_SLOTS; i += 4)
				usb_backend_model.cancel(race->device, &race->slots[i].transfer);
		}
		check(race);
	}
	n_timeouts = race->statuses[USB_TIMEOUT];
	usb_backend_model.close(race->backend);
	assert_true(n_timeouts > 0);
	free(race);
}

/* Closing the back end under fire: no completion comes after close has returned. */
static void
closing_waits_for_completions(void **state)
{
	enum { ROUNDS = 300 };
	unsigned n_refused = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct race *race = calloc(1, sizeof *race);
		const struct usb_events events = { .attached = race_attached,
						   .detached = race_detached };
		uint64_t seed = round;
		const char *why;

		assert_int_equal(usb_backend_model.open("clock=virtual", &events, race,
							&race->backend, &why),
				 0);
		prepare(race, &seed);
		for (unsigned i = 0; i < N_SLOTS; i++)
			race_submit(&race->slots[i]);
		usb_backend_model.close(race->backend);
		for (unsigned i = 0; i < N_SLOTS; i++)
			assert_int_equal(race->slots[i].n_accepted, race->slots[i].n_ended);
		race_submit(&race->slots[0]);
		n_refused += race->slots[0].n_accepted == race->slots[0].n_ended;
		usb_backend_model.release(race->device);
		free(race);
	}
	assert_int_equal(n_refused, ROUNDS);
}

/* One thread is inside complete when another closes. */
struct gate {
	struct usb_transfer transfer;
	struct usb_backend *backend;
	struct usb_device *device;
	sem_t inside, detached, go;
	_Atomic bool completed;
	bool completed_at_close;
};

static int
gate_attached(void *core, struct usb_device *device, const struct usb_device_info *info,
	      void **ret_core_device)
{
	((struct gate *) core)->device = device;
	*ret_core_device = device;
	return 0;
}

static void
gate_detached(void *core, void *core_device)
{
	sem_post(&((struct gate *) core)->detached);
}

static void
gate_complete(struct usb_transfer *transfer, enum usb_status status, uint32_t actual,
	      uint64_t time_ns)
{
	struct gate *gate = transfer->core;

	sem_post(&gate->inside);
	sem_wait(&gate->go);
	atomic_store(&gate->completed, true);
}

static void *
gate_submit(void *userdata)
{
	struct gate *gate = userdata;

	assert_int_equal(usb_backend_model.submit(gate->device, &gate->transfer), 0);
	return NULL;
}

static void *
gate_close(void *userdata)
{
	struct gate *gate = userdata;

	usb_backend_model.close(gate->backend);
	gate->completed_at_close = atomic_load(&gate->completed);
	return NULL;
}

static void
closing_waits_for_who_is_inside_complete(void **state)
{
	const struct usb_events events = { .attached = gate_attached, .detached = gate_detached };
	struct gate gate = { .transfer = { .endpoint = 0x81, .type = USB_BULK } };
	pthread_t submitter, closer;
	uint8_t data[64];
	uint32_t location;
	const char *why;

	sem_init(&gate.inside, 0, 0);
	sem_init(&gate.detached, 0, 0);
	sem_init(&gate.go, 0, 0);
	gate.transfer.data = data;
	gate.transfer.length = sizeof data;
	gate.transfer.complete = gate_complete;
	gate.transfer.core = &gate;
	assert_int_equal(
		usb_backend_model.open("clock=virtual", &events, &gate, &gate.backend, &why), 0);
	assert_int_equal(usb_backend_model.attach(gate.backend, "source_sink", &location, &why), 0);
	assert_int_equal(usb_backend_model.claim(gate.device, 0), 0);
	assert_int_equal(pthread_create(&submitter, NULL, gate_submit, &gate), 0);
	sem_wait(&gate.inside);
	assert_int_equal(pthread_create(&closer, NULL, gate_close, &gate), 0);
	sem_wait(&gate.detached);
	/* A close that does not wait is given every chance to return. */
	for (unsigned i = 0; i < 10000; i++)
		(void) sched_yield();
	sem_post(&gate.go);
	pthread_join(submitter, NULL);
	pthread_join(closer, NULL);
	assert_true(gate.completed_at_close);
	usb_backend_model.release(gate.device);
	sem_destroy(&gate.inside);
	sem_destroy(&gate.detached);
	sem_destroy(&gate.go);
}

/* A core that submits again from inside complete is served by a loop, not by recursion. */
static void
submitting_from_complete_does_not_nest(void **state)
{
	enum { TIMES = 100000 };
	struct race *race = calloc(1, sizeof *race);
	const struct usb_events events = { .attached = race_attached, .detached = race_detached };
	const char *why;

	assert_int_equal(
		usb_backend_model.open("clock=virtual", &events, race, &race->backend, &why), 0);
	assert_int_equal(
		usb_backend_model.attach(race->backend, "source_sink", &race->location, &why), 0);
	assert_int_equal(usb_backend_model.claim(race->device, 0), 0);
	race->slots[0].race = race;
	race->slots[0].transfer = (struct usb_transfer){
		.endpoint = 0x81, .type = USB_BULK, .data = race->slots[0].data, .length = LENGTH,
		.complete = race_complete, .core = &race->slots[0],
	};
	race->slots[0].chain = TIMES;
	race_submit(&race->slots[0]);
	assert_int_equal(race->slots[0].n_ended, TIMES + 1);
	usb_backend_model.close(race->backend);
	usb_backend_model.release(race->device);
	free(race);
}

void
add_race_tests(struct test_list *list, const struct target *target)
{
	ADD(list, NULL, each_transfer_ends_once_whoever_wins);
	ADD(list, NULL, the_clock_thread_joins_the_race);
	ADD(list, NULL, closing_waits_for_completions);
	ADD(list, NULL, closing_waits_for_who_is_inside_complete);
	ADD(list, NULL, submitting_from_complete_does_not_nest);
}
