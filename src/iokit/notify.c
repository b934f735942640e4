/* SPDX-License-Identifier: MIT */
/* Iterators, and the two kinds of notification: matching (an iterator) and interest. */

#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXRegistry.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/rules.h"
#include "iokit/iokit.h"
#include "iokit/iterator.h"

/* Every notification of the process by token, so that a message from dextd finds its notification, or nothing when it was
 * released meanwhile. Tokens are never used twice. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards tokens, next_token */
static struct adxi_list tokens = ADXI_LIST_INIT(tokens);
static uint64_t next_token = 1;

struct interest {
	struct iokit_object object;
	struct iokit_token token;
	struct IONotificationPort *port; /* owned reference */
	uint64_t entry_id;
	IOServiceInterestCallback callback;
	void *refcon;
	_Atomic bool released;
};

static void
token_add(struct iokit_token *token, struct iokit_object *owner)
{
	pthread_mutex_lock(&lock);
	token->value = next_token++;
	token->owner = owner;
	adxi_list_append(&tokens, &token->link);
	pthread_mutex_unlock(&lock);
}

/* Forget it here and at dextd; idempotent. */
static void
token_remove(struct iokit_token *token)
{
	bool was_there = false;

	pthread_mutex_lock(&lock);
	if (token->owner) {
		adxi_list_remove(&token->link);
		token->owner = NULL;
		was_there = true;
	}
	pthread_mutex_unlock(&lock);
	ADXRegistry *registry = was_there ? iokit_registry() : NULL;
	if (registry)
		(void)ADXRegistry_RemoveNotification(registry, token->value);
}

/* Owner of the notification, +1, or NULL. */
static struct iokit_object *
token_find(uint64_t value)
{
	struct iokit_object *owner = NULL;
	struct iokit_token *token;

	pthread_mutex_lock(&lock);
	ADXI_LIST_EACH (token, &tokens, link) {
		if (token->value == value) {
			owner = iokit_ref(token->owner);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return owner;
}

/* ---- matching notifications ---- */

struct match_event {
	struct iokit_event event;
};

static void
match_run(struct iokit_event *event)
{
	struct iokit_iterator *iterator = (struct iokit_iterator *)event->source;

	/* Released since: its callback must not run. */
	if (atomic_load(&iterator->released) || !iterator->callback)
		return;
	iterator->callback(iterator->refcon, iterator->object.name);
}

void
iokit_notify_matched(uint64_t token, CFArrayRef entry_ids)
{
	iokit_auto struct iokit_object *owner = token_find(token);
	if (!owner || owner->kind != IOKIT_ITERATOR)
		return;
	struct iokit_iterator *iterator = (struct iokit_iterator *)owner;
	bool fire = false;
	unsigned n_lost = 0;

	pthread_mutex_lock(&iterator->lock);
	for (CFIndex i = 0; i < CFArrayGetCount(entry_ids); i++) {
		uint64_t id = iokit_number(CFArrayGetValueAtIndex(entry_ids, i));
		if (iokit_ids_append(&iterator->ids, id, IOKIT_MAX_PENDING) < 0)
			n_lost++;
		else
			fire = true;
	}
	fire = fire && iterator->armed;
	if (fire)
		iterator->armed = false;
	pthread_mutex_unlock(&iterator->lock);
	if (n_lost)
		(void)adxi_tell(ADXI_RULE_T81, "%u services were not put into a matching notification that holds %u undrained ones",
				n_lost, IOKIT_MAX_PENDING);
	if (!fire)
		return;
	struct match_event *event = calloc(1, sizeof *event);
	if (!event)
		return;
	event->event.run = match_run;
	event->event.source = iokit_ref(owner);
	iokit_port_post(iterator->port, &event->event);
}

static void
notification_unnamed(struct iokit_object *object)
{
	struct iokit_iterator *iterator = (struct iokit_iterator *)object;

	atomic_store(&iterator->released, true);
	if (!atomic_load(&iterator->drained_once))
		(void)adxi_tell(ADXI_RULE_T82, "a matching notification's iterator was released before it was drained once: "
				"the iterator is the notification, and it ends here");
	token_remove(&iterator->token);
}

static kern_return_t
add_matching(struct IONotificationPort *port, const char *type, CFDictionaryRef matching,
	     IOServiceMatchingCallback callback, void *refcon, io_iterator_t *ret_iterator)
{
	ADXRegistry *registry = iokit_registry();
	OSArray *existing = NULL;
	ADXName name = { 0 };

	if (!registry)
		return kIOReturnNoDevice;
	struct iokit_iterator *iterator = iokit_iterator_new(ITERATOR_NOTIFICATION);
	if (!iterator)
		return kIOReturnNoMemory;
	iterator->object.unnamed = notification_unnamed;
	iterator->port = port;
	iokit_ref(iokit_port_object(port));
	iterator->callback = callback;
	iterator->refcon = refcon;
	strncpy(name, type, sizeof name - 1);
	token_add(&iterator->token, &iterator->object);
	iokit_ref(&iterator->object); /* for this function; the handle takes the other one */
	io_iterator_t handle = iokit_name(&iterator->object);
	kern_return_t ret = handle ? ADXRegistry_AddNotification(registry, name, (OSDictionary *)matching, iokit_observer(),
								 iterator->token.value, &existing)
				   : kIOReturnNoMemory;
	if (ret == kIOReturnSuccess && existing) {
		pthread_mutex_lock(&iterator->lock);
		for (CFIndex i = 0; i < CFArrayGetCount((CFArrayRef)existing); i++)
			(void)iokit_ids_append(&iterator->ids,
					       iokit_number(CFArrayGetValueAtIndex((CFArrayRef)existing, i)),
					       IOKIT_MAX_PENDING);
		pthread_mutex_unlock(&iterator->lock);
		CFRelease(existing);
	}
	if (ret == kIOReturnSuccess) {
		*ret_iterator = handle;
	} else {
		atomic_store(&iterator->drained_once, true);
		if (handle)
			(void)IOObjectRelease(handle);
		else
			token_remove(&iterator->token);
	}
	iokit_put(&iterator->object);
	return ret;
}

kern_return_t
IOServiceAddMatchingNotification(IONotificationPortRef notifyPort, const char *notificationType,
				 CFDictionaryRef matching, IOServiceMatchingCallback callback, void *refCon,
				 io_iterator_t *notification)
{
	kern_return_t ret = kIOReturnBadArgument;

	if (notifyPort && matching && notification && notificationType)
		ret = add_matching(notifyPort, notificationType, matching, callback, refCon, notification);
	if (matching)
		CFRelease(matching);
	return ret;
}

kern_return_t
IOServiceAddNotification(mach_port_t mainPort, const char *notificationType, CFDictionaryRef matching,
			 mach_port_t wakePort, uintptr_t reference, io_iterator_t *notification)
{
	kern_return_t ret = iokit_check_main_port(mainPort);
	struct IONotificationPort *port = iokit_port_get(wakePort);

	if (ret == kIOReturnSuccess)
		ret = port && matching && notification && notificationType ? kIOReturnSuccess : kIOReturnBadArgument;
	if (ret == kIOReturnSuccess)
		ret = add_matching(port, notificationType, matching, NULL, (void *)reference, notification);
	if (matching)
		CFRelease(matching);
	if (port)
		iokit_put(iokit_port_object(port));
	return ret;
}

/* ---- interest notifications ---- */

struct message_event {
	struct iokit_event event;
	uint64_t entry_id;
	uint32_t type;
	uint32_t n_data;
	uint64_t argument;
	_Alignas(8) uint8_t data[64];
};

static void
message_run(struct iokit_event *event)
{
	struct message_event *message = (struct message_event *)event;
	struct interest *interest = (struct interest *)event->source;

	if (atomic_load(&interest->released) || !interest->callback)
		return;
	io_service_t service = iokit_name_entry(message->entry_id);
	void *argument = message->n_data > sizeof(void *) ? (void *)message->data
							  : (void *)(uintptr_t)message->argument;
	interest->callback(interest->refcon, service, message->type, argument);
	if (service)
		(void)IOObjectRelease(service);
}

void
iokit_notify_message(uint64_t token, uint64_t entry_id, uint32_t type, uint64_t argument, const uint8_t *data,
		     uint32_t data_count)
{
	iokit_auto struct iokit_object *owner = token_find(token);
	if (!owner || owner->kind != IOKIT_INTEREST)
		return;
	struct message_event *event = calloc(1, sizeof *event);
	if (!event)
		return;
	event->event.run = message_run;
	event->event.source = iokit_ref(owner);
	event->entry_id = entry_id;
	event->type = type;
	event->argument = argument;
	event->n_data = data_count < sizeof event->data ? data_count : (uint32_t)sizeof event->data;
	if (event->n_data)
		memcpy(event->data, data, event->n_data);
	if (event->n_data && event->n_data <= sizeof event->argument)
		memcpy(&event->argument, data, event->n_data);
	iokit_port_post(((struct interest *)owner)->port, &event->event);
}

static void
interest_unnamed(struct iokit_object *object)
{
	struct interest *interest = (struct interest *)object;

	atomic_store(&interest->released, true);
	token_remove(&interest->token);
}

static void
interest_destroy(struct iokit_object *object)
{
	struct interest *interest = (struct interest *)object;

	token_remove(&interest->token);
	iokit_put(iokit_port_object(interest->port));
	free(interest);
}

static const char *const interest_types[] = {
	kIOGeneralInterest, kIOBusyInterest, kIOAppPowerStateInterest, kIOPriorityPowerStateInterest,
};

kern_return_t
IOServiceAddInterestNotification(IONotificationPortRef notifyPort, io_service_t service, const char *interestType,
				 IOServiceInterestCallback callback, void *refCon, io_object_t *notification)
{
	ADXName name = { 0 };
	uint64_t entry_id;
	bool known = false;

	if (!notifyPort || !interestType || !notification)
		return kIOReturnBadArgument;
	kern_return_t ret = iokit_entry_id(service, &entry_id);
	if (ret != kIOReturnSuccess)
		return ret;
	for (size_t i = 0; i < sizeof interest_types / sizeof *interest_types; i++)
		known = known || strcmp(interestType, interest_types[i]) == 0;
	if (!known)
		return kIOReturnUnsupported;
	ADXRegistry *registry = iokit_registry();
	if (!registry)
		return kIOReturnNoDevice;
	struct interest *interest = calloc(1, sizeof *interest);
	if (!interest)
		return kIOReturnNoMemory;
	iokit_object_init(&interest->object, IOKIT_INTEREST, interest_destroy);
	interest->object.unnamed = interest_unnamed;
	interest->port = notifyPort;
	iokit_ref(iokit_port_object(notifyPort));
	interest->entry_id = entry_id;
	interest->callback = callback;
	interest->refcon = refCon;
	strncpy(name, interestType, sizeof name - 1);
	token_add(&interest->token, &interest->object);
	iokit_ref(&interest->object);
	io_object_t handle = iokit_name(&interest->object);
	ret = handle ? ADXRegistry_AddInterest(registry, entry_id, name, iokit_observer(), interest->token.value)
		     : kIOReturnNoMemory;
	if (ret == kIOReturnSuccess)
		*notification = handle;
	else if (handle)
		(void)IOObjectRelease(handle);
	iokit_put(&interest->object);
	return ret;
}

void
iokit_token_forget(struct iokit_token *token)
{
	token_remove(token);
}
