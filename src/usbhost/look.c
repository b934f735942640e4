/* SPDX-License-Identifier: MIT */
#include "usbhost/look.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t lock; /* guards the three below */
	pthread_cond_t cond;
	bool started, busy;
	unsigned not_on;
	void (*look)(void *context);
	void *context;
} looker = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static cpu_set_t processors; /* of the process, before its threads were given one each */

__attribute__((constructor)) static void
note_processors(void)
{
	const char *value = getenv("AMBIDEXT_SPIN");

	if ((value && !strcmp(value, "off")) || sched_getaffinity(0, sizeof processors, &processors) < 0)
		CPU_ZERO(&processors);
}

static bool
move_off(unsigned processor)
{
	cpu_set_t others = processors;

	if (processor < CPU_SETSIZE)
		CPU_CLR(processor, &others);
	return CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0;
}

static void *
looker_main(void *unused)
{
	(void)pthread_mutex_lock(&looker.lock);
	for (;;) {
		void (*look)(void *) = looker.look;
		void *context = looker.context;
		unsigned not_on = looker.not_on;

		(void)pthread_mutex_unlock(&looker.lock);
		(void)move_off(not_on); /* else it finds itself on the driver's processor, and ends */
		look(context);
		(void)pthread_mutex_lock(&looker.lock);
		looker.busy = false;
		while (!looker.busy)
			(void)pthread_cond_wait(&looker.cond, &looker.lock);
	}
	return NULL;
}

static bool
start_locked(void)
{
	pthread_t thread;

	if (looker.started) {
		(void)pthread_cond_signal(&looker.cond);
		return true;
	}
	if (pthread_create(&thread, NULL, looker_main, NULL) != 0)
		return false;
	(void)pthread_detach(thread); /* it ends with the process */
	looker.started = true;
	return true;
}

bool
host_look_begin(unsigned not_on, void (*look)(void *context), void *context)
{
	bool begun = false;

	if (CPU_COUNT(&processors) < 2)
		return false;
	(void)pthread_mutex_lock(&looker.lock);
	if (!looker.busy) {
		looker.busy = true;
		looker.not_on = not_on;
		looker.look = look;
		looker.context = context;
		begun = start_locked();
		looker.busy = begun;
	}
	(void)pthread_mutex_unlock(&looker.lock);
	return begun;
}
