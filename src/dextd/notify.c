/* SPDX-License-Identifier: MIT */
/* Who wants to know what. Messages are one-way: dextd never waits for an observer. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXObserver.h>

#include "base/rules.h"
#include "dextd/realm.h"

#define MESSAGE_BUSY_STATE_CHANGE 0xe0000120u /* kIOMessageServiceBusyStateChange */

enum interest { INTEREST_NONE, INTEREST_GENERAL, INTEREST_BUSY, INTEREST_SILENT };

struct notification {
	struct adxi_list link; /* in connection->notifications */
	uint64_t token;
	OSMetaClassBase *observer; /* owned reference: proxy of an ADXObserver */
	enum interest interest;    /* NONE: of matches */
	enum notify_type type;
	OSDictionary *matching; /* owned reference, or NULL */
	uint64_t entry_id;      /* interest */
};

static const struct {
	const char *name;
	uint32_t state; /* bits that an entry has which is told of at once */
	bool existing;
} types[NOTIFY_TYPE_COUNT] = {
	[NOTIFY_PUBLISH] = { "IOServicePublish", ENTRY_REGISTERED, true },
	[NOTIFY_FIRST_PUBLISH] = { "IOServiceFirstPublish", ENTRY_FIRST_PUBLISH, true },
	[NOTIFY_MATCHED] = { "IOServiceMatched", ENTRY_REGISTERED | ENTRY_MATCHED, true },
	[NOTIFY_FIRST_MATCH] = { "IOServiceFirstMatch", ENTRY_FIRST_MATCH, true },
	[NOTIFY_TERMINATED] = { "IOServiceTerminate", 0, false },
	[NOTIFY_WILL_TERMINATE] = { "IOServiceWillTerminate", 0, false },
};

static const struct {
	const char *name;
	enum interest interest;
} interests[] = {
	{ "IOGeneralInterest", INTEREST_GENERAL },
	{ "IOBusyInterest", INTEREST_BUSY },
	{ "IOAppPowerStateInterest", INTEREST_SILENT },
	{ "IOPriorityPowerStateInterest", INTEREST_SILENT },
	{ "IOConsoleSecurityInterest", INTEREST_SILENT },
};

int
notify_type(const char *name)
{
	int i;

	for (i = 0; i < NOTIFY_TYPE_COUNT; i++)
		if (!strcmp(types[i].name, name))
			return i;
	return -ENOENT;
}

/* ---------------------------------------------------------------------------------------------
 * Lookup
 */

static bool
tell_misspelt(void *context, const char *key, const OSObject *value)
{
	const char *meant = match_misspelt(key);

	if (meant)
		adxi_tell(ADXI_RULE_T51,
			  "a client's matching dictionary has the key '%s', which nobody reads; "
			  "'%s' is near",
			  key, meant);
	return false;
}

static void
tell_nothing_fits(const OSDictionary *matching, const struct match_miss *nearest)
{
	const char *class_name = value_get_cstr(matching, "IOProviderClass");

	if (nearest->type_differs)
		adxi_tell(ADXI_RULE_T52, "%s", nearest->text);
	else if (class_name && strstr(nearest->text, "is the IOUserClass of"))
		adxi_tell(ADXI_RULE_T48, "%s", nearest->text);
	else if (*nearest->text)
		adxi_tell(ADXI_RULE_T49, "%s", nearest->text);
}

OSArray *
notify_lookup(struct realm *realm, const OSDictionary *matching, uint32_t state, bool explain)
{
	struct match_miss miss, nearest = { 0 };
	OSArray *ids = value_array_new();
	const struct entry *entry, *unregistered = NULL;

	if (!ids)
		return NULL;
	ADXI_LIST_EACH(entry, registry_entries(realm->registry), link) {
		if (entry->state & ENTRY_INACTIVE)
			continue;
		if (!match_passive(entry, matching, NULL, &miss)) {
			if (miss.stage > nearest.stage)
				nearest = miss;
			continue;
		}
		if ((entry->state & state) != state || !entry_in_plane(entry, PLANE_SERVICE) ||
		    !entry_conforms(entry, "IOService")) {
			unregistered = entry;
			continue;
		}
		if (!value_append_u64(ids, entry->id))
			return value_unref(ids);
	}
	if (!explain)
		return ids;
	value_each(matching, tell_misspelt, NULL);
	if (value_count(ids) == 0 && unregistered && unregistered->service)
		adxi_tell(ADXI_RULE_T46,
			  "%s fits a client's lookup and is not registered (it is %s, busy %u)",
			  entry_text(unregistered),
			  service_state_name(unregistered->service->state), unregistered->busy);
	else if (value_count(ids) == 0)
		tell_nothing_fits(matching, &nearest);
	return ids;
}

/* ---------------------------------------------------------------------------------------------
 * Notifications of a connection
 */

static void
notification_free(struct connection *connection, struct notification *notification)
{
	adxi_list_remove(&notification->link);
	quota_give(connection->account, QUOTA_NOTIFICATIONS, 1);
	value_unref(notification->observer);
	value_unref(notification->matching);
	free(notification);
}

static struct notification *
find(struct connection *connection, uint64_t token)
{
	struct notification *notification;

	ADXI_LIST_EACH(notification, &connection->notifications, link)
		if (notification->token == token)
			return notification;
	return NULL;
}

static int
add(struct connection *connection, OSMetaClassBase *observer, uint64_t token,
    struct notification **ret_notification)
{
	struct notification *notification;
	int r;

	if (!observer)
		return -EINVAL;
	if (find(connection, token))
		return -EEXIST;
	r = quota_take(connection->account, QUOTA_NOTIFICATIONS, 1, connection_who(connection));
	if (r < 0)
		return r;
	notification = calloc(1, sizeof *notification);
	if (!notification) {
		quota_give(connection->account, QUOTA_NOTIFICATIONS, 1);
		return -ENOMEM;
	}
	notification->token = token;
	notification->observer = value_ref(observer);
	adxi_list_append(&connection->notifications, &notification->link);
	*ret_notification = notification;
	return 0;
}

int
notify_add(struct connection *connection, enum notify_type type, const OSDictionary *matching,
	   OSMetaClassBase *observer, uint64_t token, OSArray **ret_entries)
{
	value_auto OSArray *ids = NULL;
	struct notification *notification;
	int r;

	r = add(connection, observer, token, &notification);
	if (r < 0)
		return r;
	notification->type = type;
	notification->matching = value_deep_copy(matching);
	ids = types[type].existing
		      ? notify_lookup(connection->realm, matching, types[type].state, false)
		      : value_array_new();
	if (!ids || !notification->matching) {
		notification_free(connection, notification);
		return -ENOMEM;
	}
	value_each(matching, tell_misspelt, NULL);
	*ret_entries = TAKE(ids);
	return 0;
}

int
notify_add_interest(struct connection *connection, struct entry *entry, const char *type,
		    OSMetaClassBase *observer, uint64_t token)
{
	struct notification *notification;
	size_t i;
	int r;

	for (i = 0; i < sizeof interests / sizeof interests[0]; i++)
		if (!strcmp(interests[i].name, type))
			break;
	if (i == sizeof interests / sizeof interests[0] || entry->state & ENTRY_INACTIVE)
		return -ENOTSUP;
	r = add(connection, observer, token, &notification);
	if (r < 0)
		return r;
	notification->interest = interests[i].interest;
	notification->entry_id = entry->id;
	return 0;
}

int
notify_remove(struct connection *connection, uint64_t token)
{
	struct notification *notification = find(connection, token);

	if (!notification)
		return -ENOENT;
	notification_free(connection, notification);
	return 0;
}

void
notify_remove_all(struct connection *connection)
{
	struct notification *notification, *next;

	ADXI_LIST_EACH_SAFE(notification, next, &connection->notifications, link)
		notification_free(connection, notification);
}

/* ---------------------------------------------------------------------------------------------
 * Telling
 */

/* A connection that cannot take more is closed by connection_may_send(), which ends its
 * notifications and its clients: their termination would tell others while lists are walked, so
 * that is left to the end of the turn. */
void
notify_entry(struct realm *realm, enum notify_type type, struct entry *entry)
{
	struct notification *notification;
	struct connection *connection;
	OSArray *ids = NULL;

	ADXI_LIST_EACH(connection, &realm->connections, link) {
		ADXI_LIST_EACH(notification, &connection->notifications, link) {
			if (notification->interest != INTEREST_NONE || notification->type != type ||
			    !match_passive(entry, notification->matching, NULL, NULL))
				continue;
			if (!connection_may_send(connection))
				break;
			if (!ids) {
				ids = value_array_new();
				if (!value_append_u64(ids, entry->id)) {
					value_unref(ids);
					return;
				}
			}
			ADXObserver_Matched((ADXObserver *)notification->observer,
					    notification->token, ids);
		}
	}
	value_unref(ids);
}

void
notify_message(struct realm *realm, struct entry *entry, uint32_t message, uint64_t argument)
{
	enum interest wanted =
		message == MESSAGE_BUSY_STATE_CHANGE ? INTEREST_BUSY : INTEREST_GENERAL;
	static const uint8_t no_data[64];
	struct notification *notification;
	struct connection *connection;

	ADXI_LIST_EACH(connection, &realm->connections, link) {
		ADXI_LIST_EACH(notification, &connection->notifications, link) {
			if (notification->interest != wanted || notification->entry_id != entry->id)
				continue;
			if (!connection_may_send(connection))
				break;
			ADXObserver_Message((ADXObserver *)notification->observer,
					    notification->token, entry->id, message, argument,
					    no_data, 0);
		}
	}
}

void
notify_forget(struct realm *realm, const struct entry *entry)
{
	struct notification *notification, *next;
	struct connection *connection;

	ADXI_LIST_EACH(connection, &realm->connections, link)
		ADXI_LIST_EACH_SAFE(notification, next, &connection->notifications, link)
			if (notification->interest != INTEREST_NONE &&
			    notification->entry_id == entry->id)
				notification_free(connection, notification);
}
