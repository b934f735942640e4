/* SPDX-License-Identifier: MIT */
/* Peers: one channel and one door each. A door hands out what dextd granted, and nothing else. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXDoor.h>

#include "base/check.h"
#include "base/list.h"
#include "base/rules.h"
#include "channel/channel.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/process.h"
#include "driverkit/workers.h"

#define LOG_TOPIC "driverkit.peers"
#include "base/log.h"

/* An ADXDoor with storage of its own; to peers it is an ADXDoor. */
struct door {
	struct ADXDoor super;
	pthread_mutex_t lock; /* guards the grants; taken alone, or inside peers_lock */
	uint64_t *entry_ids;  /* owned array */
	unsigned n_entries;
};

struct peer {
	struct adxi_list link; /* in peers */
	uint64_t id;
	struct adxi_channel *channel; /* owned reference */
	struct door *door;            /* owned reference */
};

static pthread_mutex_t peers_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct adxi_list peers = ADXI_LIST_INIT(peers);
static void (*gone_hook)(struct adxi_channel *channel); /* atomic */

/* ---------------------------------------------------------------------------------------------
 * class ADXDoor
 */

static void
door_free(OSObject *self)
{
	struct door *door = (struct door *)self;

	pthread_mutex_destroy(&door->lock);
	free(door->entry_ids);
	((const struct OSObject_Ops *)OSObject_Class.ops)->free(self);
}

static struct OSObject_Ops door_ops = { .free = door_free };
static struct OSMetaClass door_class = {
	.abi = OS_METACLASS_ABI,
	.name = "ADXHostedDoor",
	.super = &ADXDoor_Class,
	.instance_size = sizeof(struct door),
	.ops_size = sizeof(door_ops),
	.ops = (void **)&door_ops,
	.remote_name = "ADXDoor",
};

static struct door *
door_new(void)
{
	struct door *door;

	OSMetaClassRegister(&door_class);
	door = (struct door *)OSMetaClassAllocate(&door_class);
	if (!door)
		return NULL;
	pthread_mutex_init(&door->lock, NULL);
	(void)OSObject_init((OSObject *)door); /* cannot say no */
	return door;
}

static int
door_grant(struct door *door, uint64_t entry_id)
{
	int r = 0;

	pthread_mutex_lock(&door->lock);
	uint64_t *bigger = realloc(door->entry_ids, (door->n_entries + 1) * sizeof(*bigger));
	if (bigger) {
		door->entry_ids = bigger;
		door->entry_ids[door->n_entries++] = entry_id;
	} else {
		r = -ENOMEM;
	}
	pthread_mutex_unlock(&door->lock);
	return r;
}

static void
door_revoke(struct door *door, uint64_t entry_id)
{
	pthread_mutex_lock(&door->lock);
	for (unsigned i = 0; i < door->n_entries;) {
		if (door->entry_ids[i] == entry_id)
			door->entry_ids[i] = door->entry_ids[--door->n_entries];
		else
			i++;
	}
	pthread_mutex_unlock(&door->lock);
}

kern_return_t
ADXDoor_CopyService_Impl(ADXDoor *self, uint64_t entryID, IOService **service)
{
	struct door *door = (struct door *)self; /* no other ADXDoor is made here */
	bool granted = false;

	pthread_mutex_lock(&door->lock);
	for (unsigned i = 0; i < door->n_entries; i++)
		granted |= door->entry_ids[i] == entryID;
	pthread_mutex_unlock(&door->lock);
	if (!granted)
		return kIOReturnNotPermitted;
	*service = adxi_process_find(entryID);
	return *service ? kIOReturnSuccess : kIOReturnOffline;
}

/* ---------------------------------------------------------------------------------------------
 * Peers
 */

static void
peer_free(struct peer *peer)
{
	adxi_channel_close(peer->channel);
	adxi_channel_unref(peer->channel);
	OSRelease((OS_OBJECT *)peer->door);
	free(peer);
}

static struct peer *
find_locked(uint64_t peer_id)
{
	struct peer *peer;

	ADXI_LIST_EACH(peer, &peers, link)
		if (peer->id == peer_id)
			return peer;
	return NULL;
}

static void
peer_gone(void *context)
{
	struct peer *peer = context;
	void (*hook)(struct adxi_channel *) = __atomic_load_n(&gone_hook, __ATOMIC_ACQUIRE);

	if (hook)
		hook(peer->channel);
	peer_free(peer);
}

static void
channel_closed(struct adxi_channel *channel, void *userdata, int reason)
{
	struct peer *peer, *found = NULL;

	pthread_mutex_lock(&peers_lock);
	ADXI_LIST_EACH(peer, &peers, link) {
		if (peer->channel == channel) {
			found = peer;
			break;
		}
	}
	if (found)
		adxi_list_remove(&found->link);
	pthread_mutex_unlock(&peers_lock);
	log_debug("%s is gone (%d)", adxi_channel_name(channel), reason);
	if (found && adxi_queue_async_f(adxi_queue_control(), peer_gone, NULL, found) < 0)
		peer_gone(found);
}

static const struct adxi_channel_ops peer_ops = { .closed = channel_closed };

/* Takes endpoint, also on failure. */
static int
peer_new(uint64_t peer_id, struct adxi_endpoint *endpoint, const char *name, struct peer **ret_peer)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	int r;

	if (!peer || !(peer->door = door_new())) {
		free(peer);
		adxi_endpoint_done(endpoint);
		return -ENOMEM;
	}
	adxi_list_init(&peer->link);
	peer->id = peer_id;
	r = adxi_channel_open(endpoint, name, &peer_ops, NULL, &peer->channel);
	if (r < 0) {
		OSRelease((OS_OBJECT *)peer->door);
		free(peer);
		return r;
	}
	adxi_channel_set_door(peer->channel, (OS_OBJECT *)peer->door);
	*ret_peer = peer;
	return 0;
}

int
adxi_peer_add(uint64_t peer_id, OS_OBJECT *object, const char *name)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	struct peer *peer = NULL;
	int r = adxi_endpoint_take(object, &endpoint);

	if (r == 0)
		r = peer_new(peer_id, &endpoint, name, &peer);
	if (r < 0)
		return r;
	pthread_mutex_lock(&peers_lock);
	bool known = find_locked(peer_id) != NULL;
	if (!known)
		adxi_list_append(&peers, &peer->link);
	pthread_mutex_unlock(&peers_lock);
	if (known) {
		peer_free(peer);
		return -EALREADY;
	}
	struct adxi_channel *channel = adxi_peer_channel(peer_id);
	r = channel ? adxi_workers_add_channel(channel)
		    : 0; /* gone already: nothing is left to do */
	if (r < 0)
		adxi_channel_close(channel);
	adxi_channel_unref(channel);
	return r;
}

struct adxi_channel *
adxi_peer_channel(uint64_t peer_id)
{
	pthread_mutex_lock(&peers_lock);
	struct peer *peer = find_locked(peer_id);
	struct adxi_channel *channel = peer ? adxi_channel_ref(peer->channel) : NULL;
	pthread_mutex_unlock(&peers_lock);
	return channel;
}

uint64_t
adxi_peer_id(struct adxi_channel *channel)
{
	struct peer *peer;
	uint64_t id = 0;

	pthread_mutex_lock(&peers_lock);
	ADXI_LIST_EACH(peer, &peers, link)
		if (peer->channel == channel)
			id = peer->id;
	pthread_mutex_unlock(&peers_lock);
	return id;
}

int
adxi_peer_grant(uint64_t peer_id, uint64_t entry_id)
{
	pthread_mutex_lock(&peers_lock);
	struct peer *peer = find_locked(peer_id);
	int r = peer ? door_grant(peer->door, entry_id) : -ENOENT;
	pthread_mutex_unlock(&peers_lock);
	return r;
}

void
adxi_peers_revoke(uint64_t entry_id, IOService *service)
{
	struct adxi_channel **channels;
	struct peer *peer;
	size_t n = 0;

	pthread_mutex_lock(&peers_lock);
	channels = calloc(adxi_list_count(&peers) + 1, sizeof(struct adxi_channel *));
	ADXI_LIST_EACH(peer, &peers, link) {
		door_revoke(peer->door, entry_id);
		if (channels)
			channels[n++] = adxi_channel_ref(peer->channel);
	}
	pthread_mutex_unlock(&peers_lock);
	while (n > 0) {
		adxi_channel_revoke(channels[--n], (OS_OBJECT *)service);
		adxi_channel_unref(channels[n]);
	}
	free(channels);
}

/* Classes of what is left, few in any driver; what does not fit is counted with the last. */
struct left {
	unsigned n;
	struct {
		const char *name;
		unsigned n;
	} classes[8];
};

static void
count_left(void *context, const OS_OBJECT *object)
{
	const char *name = OSMetaClassRemoteName(object->meta);
	struct left *left = context;
	unsigned i = 0;

	if (!strncmp(name, "ADX", 3)) /* the runtime's own */
		return;
	while (i < left->n && strcmp(left->classes[i].name, name) != 0)
		i++;
	if (i == sizeof(left->classes) / sizeof(*left->classes))
		i--;
	else if (i == left->n)
		left->classes[left->n++].name = name;
	left->classes[i].n++;
}

void
adxi_peers_report(void)
{
	struct left left = { 0 };
	struct peer *peer;

	pthread_mutex_lock(&peers_lock);
	ADXI_LIST_EACH(peer, &peers, link)
		adxi_channel_each_held(peer->channel, count_left, &left);
	pthread_mutex_unlock(&peers_lock);
	for (unsigned i = 0; i < left.n; i++)
		adxi_tell(ADXI_RULE_T45, "the driver ends and still holds %u %s of other processes",
			  left.classes[i].n, left.classes[i].name);
}

void
adxi_peers_on_gone(void (*gone)(struct adxi_channel *channel))
{
	__atomic_store_n(&gone_hook, gone, __ATOMIC_RELEASE);
}
