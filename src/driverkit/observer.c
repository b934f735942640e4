/* SPDX-License-Identifier: MIT */
/* What dextd tells of services that come and go, to whom asked for it. */

#include <pthread.h>
#include <stdlib.h>

#include <DriverKit/OSArray.h>
#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>

#include "base/list.h"
#include "driverkit/process.h"

struct adxi_observation {
	struct adxi_list link; /* in observations */
	uint64_t token;
	adxi_matched_fn *matched;
	void *context;
	bool calling;      /* matched() runs */
	pthread_t caller;  /* then, in this thread */
	bool ended_inside; /* by matched() itself: freed when it returns */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;   /* a call ended */
static struct adxi_list observations = ADXI_LIST_INIT(observations);
static uint64_t last_token;
static ADXObserver *observer; /* owned reference: one for the process */

static ADXObserver *
observer_locked(void)
{
	if (!observer) {
		observer = (ADXObserver *)OSMetaClassAllocate(&ADXObserver_Class);
		if (observer)
			(void)OSObject_init((OSObject *)observer); /* cannot say no */
	}
	return observer;
}

static struct adxi_observation *
find_locked(uint64_t token)
{
	struct adxi_observation *o;

	ADXI_LIST_EACH(o, &observations, link)
		if (o->token == token)
			return o;
	return NULL;
}

static void
call(uint64_t token, OSArray *entries)
{
	uint32_t n = entries ? OSCollection_getCount((OSCollection *)entries) : 0, n_ids = 0;
	uint64_t *ids = calloc(n + 1, sizeof(*ids));
	struct adxi_observation *o;

	if (!ids)
		return;
	for (uint32_t i = 0; i < n; i++) {
		OSNumber *id = OSDynamicCast(OSNumber, OSArray_getObject(entries, i));

		if (id)
			ids[n_ids++] = OSNumber_unsigned64BitValue(id);
	}
	pthread_mutex_lock(&lock);
	o = find_locked(token);
	while (o && o->calling) { /* one at a time */
		pthread_cond_wait(&idle, &lock);
		o = find_locked(token);
	}
	if (o) {
		o->calling = true;
		o->caller = pthread_self();
		pthread_mutex_unlock(&lock);
		o->matched(o->context, ids, n_ids);
		pthread_mutex_lock(&lock);
		o->calling = false;
		pthread_cond_broadcast(&idle);
		if (o->ended_inside)
			free(o);
	}
	pthread_mutex_unlock(&lock);
	free(ids);
}

void
ADXObserver_Matched_Impl(ADXObserver *self, uint64_t token, OSArray *entryIDs)
{
	call(token, entryIDs);
}

void
ADXObserver_Message_Impl(ADXObserver *self, uint64_t token, uint64_t entryID, uint32_t messageType,
			 uint64_t argument, const uint8_t data[64], uint32_t dataCount)
{
	/* Nothing here asks for messages. */
}

kern_return_t
adxi_observe(const char *type, OSDictionary *matching, adxi_matched_fn *matched, void *context,
	     struct adxi_observation **ret_observation)
{
	ADXRegistry *registry = adxi_process_registry();
	struct adxi_observation *o = calloc(1, sizeof(*o));
	OSArray *entries = NULL;
	kern_return_t ret;

	if (!registry || !o) {
		free(o);
		return registry ? kIOReturnNoMemory : kIOReturnOffline;
	}
	o->matched = matched;
	o->context = context;
	pthread_mutex_lock(&lock);
	ADXObserver *to = observer_locked();
	uint64_t token = o->token = ++last_token;
	adxi_list_append(&observations, &o->link);
	pthread_mutex_unlock(&lock);
	ret = to ? ADXRegistry_AddNotification(registry, type, matching, to, token, &entries)
		 : kIOReturnNoMemory;
	if (ret != kIOReturnSuccess) {
		adxi_observe_end(o);
		return ret;
	}
	*ret_observation = o;
	call(token, entries);
	OSRelease((OS_OBJECT *)entries);
	return kIOReturnSuccess;
}

struct adxi_observation *
adxi_observe_end(struct adxi_observation *o)
{
	ADXRegistry *registry = adxi_process_registry();
	uint64_t token;

	if (!o)
		return NULL;
	pthread_mutex_lock(&lock);
	token = o->token;
	adxi_list_remove(&o->link);
	while (o->calling && !pthread_equal(o->caller, pthread_self()))
		pthread_cond_wait(&idle, &lock);
	o->ended_inside = o->calling;
	bool last = !o->calling;
	pthread_mutex_unlock(&lock);
	if (last)
		free(o);
	if (registry)
		(void)ADXRegistry_RemoveNotification(registry,
						     token); /* it may be gone with its dextd */
	return NULL;
}
