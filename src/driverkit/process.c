/* SPDX-License-Identifier: MIT */
/* dextd's objects and the table of hosted services. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "driverkit/process.h"

struct hosted {
	uint64_t entry_id;
	IOService *service; /* owned reference */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the table */
static struct hosted *table;                             /* owned array, in no order */
static unsigned n_hosted, table_capacity;

static ADXRegistry *registry; /* atomic; owned reference */
static ADXServer *server;     /* atomic; owned reference */
static bool checking_in;      /* atomic; changed under lock */
static pthread_cond_t checked_in = PTHREAD_COND_INITIALIZER;

ADXRegistry *
adxi_process_registry(void)
{
	return __atomic_load_n(&registry, __ATOMIC_ACQUIRE);
}

/* dextd may command this process before the thread that checks in has seen the answer: who needs the server then waits. */
ADXServer *
adxi_process_server(void)
{
	ADXServer *ret = __atomic_load_n(&server, __ATOMIC_ACQUIRE);

	if (ret || !__atomic_load_n(&checking_in, __ATOMIC_ACQUIRE))
		return ret;
	pthread_mutex_lock(&lock);
	while (checking_in)
		pthread_cond_wait(&checked_in, &lock);
	pthread_mutex_unlock(&lock);
	return __atomic_load_n(&server, __ATOMIC_ACQUIRE);
}

void
adxi_process_set_checking_in(bool is)
{
	pthread_mutex_lock(&lock);
	__atomic_store_n(&checking_in, is, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&checked_in);
	pthread_mutex_unlock(&lock);
}

void
adxi_process_set_dextd(ADXRegistry *new_registry, ADXServer *new_server)
{
	OSRetain((OS_OBJECT *)new_registry);
	OSRetain((OS_OBJECT *)new_server);
	OSRelease((OS_OBJECT *)__atomic_exchange_n(&registry, new_registry, __ATOMIC_ACQ_REL));
	OSRelease((OS_OBJECT *)__atomic_exchange_n(&server, new_server, __ATOMIC_ACQ_REL));
}

IOService *
adxi_process_find(uint64_t entry_id)
{
	IOService *found = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_hosted && !found; i++)
		if (table[i].entry_id == entry_id)
			found = table[i].service;
	OSRetain((OS_OBJECT *)found);
	pthread_mutex_unlock(&lock);
	return found;
}

static int
grow_locked(void)
{
	unsigned n = table_capacity ? table_capacity * 2 : 8;
	struct hosted *bigger = realloc(table, n * sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	table = bigger;
	table_capacity = n;
	return 0;
}

int
adxi_process_add(uint64_t entry_id, IOService *service)
{
	int r = 0;

	pthread_mutex_lock(&lock);
	if (n_hosted == table_capacity)
		r = grow_locked();
	if (r == 0) {
		table[n_hosted++] = (struct hosted){ entry_id, service };
		OSRetain((OS_OBJECT *)service);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

IOService *
adxi_process_take(uint64_t entry_id)
{
	IOService *taken = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_hosted; i++) {
		if (table[i].entry_id == entry_id) {
			taken = table[i].service;
			table[i] = table[--n_hosted];
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return taken;
}
