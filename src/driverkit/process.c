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

ADXRegistry *
adxi_process_registry(void)
{
	return __atomic_load_n(&registry, __ATOMIC_ACQUIRE);
}

ADXServer *
adxi_process_server(void)
{
	return __atomic_load_n(&server, __ATOMIC_ACQUIRE);
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
