/* SPDX-License-Identifier: MIT */
/* ADXRegistry: what clients, tools and hosted processes call. One object a connection. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXHost.h>
#include <Ambidext/ADXRegistry.h>

#include "base/rules.h"
#include "dextd/access.h"
#include "dextd/audit.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.protocol"
#include "base/log.h"

#define MATCHING_VALUES_MAX 4096u
#define PROPERTY_VALUES_MAX 65536u
#define LOG_LINES_MAX       128u

struct ADXRegistry_IVars {
	struct connection *connection; /* borrowed; NULL: gone */
};

OSMetaClassBase *
protocol_registry_new(struct connection *connection)
{
	ADXRegistry *registry = (ADXRegistry *)OSMetaClassAllocate(&ADXRegistry_Class);
	struct ADXRegistry_IVars *ivars = calloc(1, sizeof *ivars);

	if (!registry || !ivars || !OSObject_init((OSObject *)registry)) {
		free(ivars);
		value_unref(registry);
		return NULL;
	}
	ivars->connection = connection;
	registry->ivars = ivars;
	return (OSMetaClassBase *)registry;
}

/* The object may live on in the channel's table; its state need not. */
void
protocol_registry_end(OSMetaClassBase *object)
{
	ADXRegistry *registry = (ADXRegistry *)object;

	if (!registry)
		return;
	free(registry->ivars);
	registry->ivars = NULL;
}

#define CONNECTION(self, ret_connection)                                                           \
	do {                                                                                       \
		if (!(self)->ivars)                                                                \
			return kIOReturnOffline;                                                   \
		(ret_connection) = (self)->ivars->connection;                                      \
	} while (0)

#define OWNER(connection, what)                                                                    \
	do {                                                                                       \
		if (!connection_is_owner(connection)) {                                            \
			audit((connection), kIOReturnNotPrivileged, "%s", (what));                 \
			adxi_tell(ADXI_RULE_ACC003, "pid %d of user %u may not %s",                \
				  (connection)->pid, (connection)->uid, (what));                   \
			return kIOReturnNotPrivileged;                                             \
		}                                                                                  \
	} while (0)

static IOReturn
from_errno(int r)
{
	switch (r) {
	case 0:
		return kIOReturnSuccess;
	case -ENOMEM:
		return kIOReturnNoMemory;
	case -ENOENT:
		return kIOReturnNotFound;
	case -ENOTSUP:
		return kIOReturnUnsupported;
	case -EACCES:
		return kIOReturnNotPermitted;
	case -EDQUOT:
		return kIOReturnNoResources;
	default:
		return kIOReturnBadArgument;
	}
}

static struct entry *
find_entry(ADXRegistry *self, uint64_t id)
{
	return registry_find(self->ivars->connection->realm->registry, id);
}

#define ENTRY(self, id, ret_entry)                                                                 \
	do {                                                                                       \
		if (!(self)->ivars)                                                                \
			return kIOReturnOffline;                                                   \
		(ret_entry) = find_entry((self), (id));                                            \
		if (!(ret_entry))                                                                  \
			return MACH_SEND_INVALID_DEST;                                             \
	} while (0)

/* A client holds an entry by its id: it may read what it was after it has left. */
#define READABLE_ENTRY(self, id, ret_entry)                                                        \
	do {                                                                                       \
		if (!(self)->ivars)                                                                \
			return kIOReturnOffline;                                                   \
		(ret_entry) =                                                                      \
			registry_find_readable((self)->ivars->connection->realm->registry, (id));  \
		if (!(ret_entry))                                                                  \
			return MACH_SEND_INVALID_DEST;                                             \
	} while (0)

/* ---------------------------------------------------------------------------------------------
 * Lookup
 */

kern_return_t
ADXRegistry_GetRoot_Impl(ADXRegistry *self, uint64_t *entryID)
{
	struct connection *connection;

	CONNECTION(self, connection);
	*entryID = registry_root(connection->realm->registry)->id;
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_CopyMatching_Impl(ADXRegistry *self, OSDictionary *matching, OSArray **entryIDs)
{
	struct connection *connection;

	CONNECTION(self, connection);
	if (!value_is_storable(matching, MATCHING_VALUES_MAX))
		return kIOReturnBadArgument;
	*entryIDs =
		notify_lookup(connection->realm, matching, ENTRY_REGISTERED | ENTRY_MATCHED, true);
	return *entryIDs ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
ADXRegistry_MatchEntry_Impl(ADXRegistry *self, uint64_t entryID, OSDictionary *matching,
			    bool *matches)
{
	struct entry *entry;

	ENTRY(self, entryID, entry);
	if (!value_is_storable(matching, MATCHING_VALUES_MAX))
		return kIOReturnBadArgument;
	*matches = match_passive(entry, matching, NULL, NULL);
	return kIOReturnSuccess;
}

OSDictionary *
protocol_entry_dict(const struct entry *entry)
{
	const struct service *service = entry->service;
	OSDictionary *dict = value_dict_new();
	bool done;

	done = value_set_u64(dict, "id", entry->id) &&
	       value_set_cstr(dict, "class", entry_class(entry)) &&
	       value_set(dict, "classes", entry->classes) &&
	       value_set_cstr(dict, "name", entry->name) &&
	       value_set_cstr(dict, "location", entry->location) &&
	       value_set_cstr(dict, "userClass", entry_property_cstr(entry, "IOUserClass")) &&
	       value_set_cstr(dict, "bundle", entry_property_cstr(entry, "CFBundleIdentifier")) &&
	       value_set_bool(dict, "registered", entry->state & ENTRY_REGISTERED) &&
	       value_set_bool(dict, "matched", entry->state & ENTRY_MATCHED) &&
	       value_set_bool(dict, "inactive", entry->state & ENTRY_INACTIVE) &&
	       value_set_u64(dict, "busy", entry->busy) &&
	       value_set_u64(dict, "retain", entry->n_ref);
	if (done && service)
		done = value_set_u64(dict, "server", (uint64_t)service->server->pid) &&
		       value_set_cstr(dict, "serverName", service->server->name) &&
		       value_set_cstr(dict, "state", service_state_name(service->state));
	if (done && service && service->openers)
		done = value_set(dict, "openers", service->openers);
	return done ? dict : value_unref(dict);
}

kern_return_t
ADXRegistry_CopyEntry_Impl(ADXRegistry *self, uint64_t entryID, OSDictionary **entry)
{
	const struct entry *found;

	READABLE_ENTRY(self, entryID, found);
	*entry = protocol_entry_dict(found);
	return *entry ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
ADXRegistry_CopyProperties_Impl(ADXRegistry *self, uint64_t entryID, OSDictionary **properties)
{
	const struct entry *entry;

	READABLE_ENTRY(self, entryID, entry);
	*properties = entry_copy_properties(entry);
	return *properties ? kIOReturnSuccess : kIOReturnNoMemory;
}

static bool
append_key(void *context, const char *key, const OSObject *value)
{
	return !value_append_cstr(context, key);
}

static OSArray *
property_keys(const struct entry *entry)
{
	value_auto OSDictionary *properties = entry_copy_properties(entry);
	OSArray *keys = value_array_new();

	if (!properties || !keys || value_each(properties, append_key, keys))
		return value_unref(keys);
	return keys;
}

kern_return_t
ADXRegistry_CopyProperty_Impl(ADXRegistry *self, uint64_t entryID, OSString *name,
			      const ADXName plane, uint32_t options, OSContainer **property)
{
	const char *key = value_cstr(name);
	const OSObject *value;
	const struct entry *entry;
	int p = PLANE_SERVICE;

	READABLE_ENTRY(self, entryID, entry);
	if (!key)
		return kIOReturnBadArgument;
	if (!strcmp(key, "IORegistryEntryPropertyKeys")) {
		*property = (OSContainer *)property_keys(entry);
		return *property ? kIOReturnSuccess : kIOReturnNoMemory;
	}
	if (options & 1u) {
		p = registry_plane(plane);
		if (p < 0)
			return kIOReturnBadArgument;
	}
	value = entry_search_property(entry, key, (enum plane)p, options);
	if (!value)
		return kIOReturnNotFound;
	*property = value_ref((OSContainer *)value);
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_CopyRelatives_Impl(ADXRegistry *self, uint64_t entryID, const ADXName plane,
			       uint32_t direction, OSArray **entryIDs)
{
	value_auto OSArray *ids = value_array_new();
	const struct entry *child, *parent;
	int p = registry_plane(plane);
	struct entry *entry;

	ENTRY(self, entryID, entry);
	if (p < 0 || direction > kADXRelativesParents)
		return kIOReturnBadArgument;
	if (!ids)
		return kIOReturnNoMemory;
	if (direction == kADXRelativesParents) {
		parent = entry_parent(entry, (enum plane)p);
		if (parent && !value_append_u64(ids, parent->id))
			return kIOReturnNoMemory;
	} else {
		ADXI_LIST_EACH(child, &entry->links[p].children, links[p].sibling)
			if (!value_append_u64(ids, child->id))
				return kIOReturnNoMemory;
	}
	*entryIDs = TAKE(ids);
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_CopyPath_Impl(ADXRegistry *self, uint64_t entryID, const ADXName plane, OSString **path)
{
	adxi_cleanup(adxi_freep) char *text = NULL;
	int p = registry_plane(plane);
	struct entry *entry;

	ENTRY(self, entryID, entry);
	text = p < 0 ? NULL : entry_path(entry, (enum plane)p);
	if (!text)
		return kIOReturnBadArgument;
	*path = value_string_new(text);
	return *path ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
ADXRegistry_FindPath_Impl(ADXRegistry *self, OSString *path, uint64_t *entryID)
{
	struct connection *connection;
	const struct entry *entry;

	CONNECTION(self, connection);
	if (!value_cstr(path))
		return kIOReturnBadArgument;
	entry = registry_find_path(connection->realm->registry, value_cstr(path));
	if (!entry)
		return kIOReturnNotFound;
	*entryID = entry->id;
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_GetGeneration_Impl(ADXRegistry *self, uint64_t *generation)
{
	struct connection *connection;

	CONNECTION(self, connection);
	*generation = registry_generation(connection->realm->registry);
	return kIOReturnSuccess;
}

struct allowed_check {
	const OSObject *allowed; /* IORegistryEntryAllowableSetProperties */
	const char *key;
};

static bool
is_key(void *context, const OSObject *value)
{
	const char *text = value_cstr(value);

	return text && !strcmp(text, context);
}

static bool
is_refused(void *context, const char *key, const OSObject *value)
{
	const struct allowed_check *check = context;

	return !value_each_member(check->allowed, is_key, (void *)key);
}

static void
set_properties_done(void *context, IOReturn status)
{
	ADXRegistry_SetProperties_Reply(context, status);
}

kern_return_t
ADXRegistry_SetProperties_Impl(ADXRegistry *self, uint64_t entryID, OSDictionary *properties)
{
	struct allowed_check check;
	struct ADXHost *host;
	struct OSReply *reply;
	struct entry *entry;
	IOReturn status;

	ENTRY(self, entryID, entry);
	if (!value_is_storable(properties, PROPERTY_VALUES_MAX))
		return kIOReturnBadArgument;
	status = access_check(self->ivars->connection, entry);
	audit(self->ivars->connection, status, "set properties of %s", entry_text(entry));
	if (status != kIOReturnSuccess)
		return kIOReturnNotPrivileged;
	check.allowed = entry_property(entry, "IORegistryEntryAllowableSetProperties");
	if (check.allowed && value_each(properties, is_refused, &check))
		return kIOReturnNotPermitted;
	host = entry->service && entry->service->state == SERVICE_RUNNING
		       ? server_host(entry->service->server)
		       : NULL;
	if (!host)
		return kIOReturnUnsupported;
	reply = OSReplyDefer();
	status = ADXHost_SetProperties_Async(host, entryID, properties, set_properties_done, reply);
	if (status != kIOReturnSuccess)
		ADXRegistry_SetProperties_Reply(reply, status);
	return status;
}

/* ---------------------------------------------------------------------------------------------
 * Notifications
 */

kern_return_t
ADXRegistry_AddNotification_Impl(ADXRegistry *self, const ADXName type, OSDictionary *matching,
				 ADXObserver *observer, uint64_t token, OSArray **entryIDs)
{
	struct connection *connection;
	int kind = notify_type(type);

	CONNECTION(self, connection);
	if (kind < 0)
		return kIOReturnUnsupported;
	if (!value_is_storable(matching, MATCHING_VALUES_MAX))
		return kIOReturnBadArgument;
	return from_errno(notify_add(connection, (enum notify_type)kind, matching,
				     (OSMetaClassBase *)observer, token, entryIDs));
}

kern_return_t
ADXRegistry_AddInterest_Impl(ADXRegistry *self, uint64_t entryID, const ADXName type,
			     ADXObserver *observer, uint64_t token)
{
	struct entry *entry;

	ENTRY(self, entryID, entry);
	if (!entry_conforms(entry, "IOService"))
		return kIOReturnBadArgument;
	return from_errno(notify_add_interest(self->ivars->connection, entry, type,
					      (OSMetaClassBase *)observer, token));
}

kern_return_t
ADXRegistry_RemoveNotification_Impl(ADXRegistry *self, uint64_t token)
{
	struct connection *connection;

	CONNECTION(self, connection);
	return from_errno(notify_remove(connection, token));
}

/* ---------------------------------------------------------------------------------------------
 * Connections, quiet
 */

kern_return_t
ADXRegistry_Open_Impl(ADXRegistry *self, uint64_t entryID, uint32_t type, OSDictionary *info,
		      uint64_t *clientID, ADXEndpoint **endpoint)
{
	struct connection *connection;

	CONNECTION(self, connection);
	open_begin(connection, entryID, type, info, OSReplyDefer());
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_Close_Impl(ADXRegistry *self, uint64_t clientID)
{
	struct connection *connection;
	struct service *client;

	CONNECTION(self, connection);
	client = service_find(connection->realm, clientID);
	if (!client) {
		/* Gone already: closing twice is no error. */
		return registry_was_used(connection->realm->registry, clientID)
			       ? kIOReturnSuccess
			       : kIOReturnBadArgument;
	}
	if (client->kind != SERVICE_USER_CLIENT)
		return kIOReturnBadArgument;
	if (client->opener != connection)
		return client->opener ? kIOReturnNotPermitted : kIOReturnSuccess;
	open_left(client);
	service_terminate(client);
	return kIOReturnSuccess;
}

void
ADXRegistry_Check_Impl(ADXRegistry *self, uint64_t clientID)
{
	struct connection *connection = self->ivars ? self->ivars->connection : NULL;
	struct service *client = connection ? service_find(connection->realm, clientID) : NULL;

	if (client && client->opener == connection)
		hang_check(client->server);
}

kern_return_t
ADXRegistry_GetBusyState_Impl(ADXRegistry *self, uint64_t entryID, uint32_t *busy)
{
	struct entry *entry;

	ENTRY(self, entryID, entry);
	*busy = entry->busy;
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_WaitQuiet_Impl(ADXRegistry *self, uint64_t entryID, uint64_t timeoutNs)
{
	struct connection *connection;
	struct entry *entry;

	CONNECTION(self, connection);
	entry = entryID ? find_entry(self, entryID) : registry_root(connection->realm->registry);
	if (!entry)
		return MACH_SEND_INVALID_DEST;
	wait_quiet(connection, entry, timeoutNs, OSReplyDefer());
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_CheckIn_Impl(ADXRegistry *self, const ADXName token, ADXHost *host, ADXServer **server,
			 OSDictionary **realm)
{
	struct connection *connection;
	struct server *found = NULL;
	OSDictionary *dict;
	int r;

	CONNECTION(self, connection);
	r = server_check_in(connection, token, (OSMetaClassBase *)host, &found);
	if (r == -EACCES) {
		adxi_tell(ADXI_RULE_SRV004, "pid %d checks in with a token that is not its own",
			  connection->pid);
		return kIOReturnBadArgument;
	}
	if (r < 0)
		return from_errno(r);
	dict = value_dict_new();
	value_set_cstr(dict, "dir", connection->realm->config.dir);
	value_set_bool(dict, "strict", connection->realm->config.strict);
	value_set_u64(dict, "pid", (uint64_t)getpid());
	value_set_u64(dict, "root", registry_root(connection->realm->registry)->id);
	value_set_cstr(dict, "server", found->name);
	*realm = dict;
	*server = value_ref((ADXServer *)found->object);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Tools
 */

kern_return_t
ADXRegistry_LoadBundle_Impl(ADXRegistry *self, OSString *path, OSString **bundleID,
			    OSArray **problems)
{
	struct connection *connection;
	const char *id = NULL;
	int r;

	CONNECTION(self, connection);
	OWNER(connection, "load a bundle");
	if (!value_cstr(path))
		return kIOReturnBadArgument;
	*problems = value_array_new();
	if (!*problems)
		return kIOReturnNoMemory;
	r = realm_load(connection->realm, value_cstr(path), *problems, &id);
	if (r == 0)
		*bundleID = value_string_new(id);
	audit(connection, from_errno(r), "load %s", value_cstr(path));
	return r == -EINVAL ? kIOReturnSuccess : from_errno(r);
}

kern_return_t
ADXRegistry_UpgradeBundle_Impl(ADXRegistry *self, OSString *path, OSString **bundleID,
			       OSArray **problems)
{
	struct connection *connection;

	CONNECTION(self, connection);
	OWNER(connection, "upgrade a bundle");
	if (!value_cstr(path))
		return kIOReturnBadArgument;
	audit(connection, kIOReturnSuccess, "upgrade to %s", value_cstr(path));
	upgrade_begin(connection->realm, value_cstr(path), OSReplyDefer());
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_UnloadBundle_Impl(ADXRegistry *self, OSString *bundleID)
{
	struct connection *connection;
	struct bundle *bundle;

	CONNECTION(self, connection);
	OWNER(connection, "unload a bundle");
	bundle = value_cstr(bundleID)
			 ? catalogue_find(connection->realm->catalogue, value_cstr(bundleID))
			 : NULL;
	if (!bundle)
		return kIOReturnNotFound;
	bundle_ref(bundle);
	audit(connection, kIOReturnSuccess, "unload %s", bundle->id);
	realm_unload(connection->realm, bundle);
	wait_unload(connection->realm, bundle, OSReplyDefer());
	bundle_unref(bundle);
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_CopyIncidents_Impl(ADXRegistry *self, uint64_t after, OSArray **incidents)
{
	struct connection *connection;

	CONNECTION(self, connection);
	OWNER(connection, "see what crashed");
	*incidents = incidents_copy(connection->realm->incidents, after);
	return *incidents ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
ADXRegistry_Unquarantine_Impl(ADXRegistry *self, OSString *name, uint32_t *count)
{
	struct connection *connection;

	CONNECTION(self, connection);
	OWNER(connection, "end a quarantine");
	*count = provider_unquarantine(connection->realm, value_cstr(name));
	audit(connection, kIOReturnSuccess, "end the quarantine of %s",
	      value_cstr(name) ? value_cstr(name) : "all");
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_CopyBundles_Impl(ADXRegistry *self, OSArray **bundles)
{
	struct connection *connection;

	CONNECTION(self, connection);
	*bundles = realm_copy_bundles(connection->realm);
	return *bundles ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
ADXRegistry_CopyServers_Impl(ADXRegistry *self, OSArray **servers)
{
	struct connection *connection;

	CONNECTION(self, connection);
	*servers = realm_copy_servers(connection->realm);
	return *servers ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
ADXRegistry_AttachDevice_Impl(ADXRegistry *self, OSString *what, uint64_t *entryID,
			      OSString **problem)
{
	struct connection *connection;

	CONNECTION(self, connection);
	OWNER(connection, "attach a device");
	if (!value_cstr(what))
		return kIOReturnBadArgument;
	audit(connection, kIOReturnSuccess, "attach %s", value_cstr(what));
	device_attach(connection->realm, what, OSReplyDefer());
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_DetachDevice_Impl(ADXRegistry *self, OSString *what, OSString **problem)
{
	struct connection *connection;

	CONNECTION(self, connection);
	OWNER(connection, "detach a device");
	if (!value_cstr(what))
		return kIOReturnBadArgument;
	audit(connection, kIOReturnSuccess, "detach %s", value_cstr(what));
	device_detach(connection->realm, what, OSReplyDefer());
	return kIOReturnSuccess;
}

kern_return_t
ADXRegistry_CopyLog_Impl(ADXRegistry *self, uint64_t after, OSString *filter, OSArray **lines,
			 uint64_t *next)
{
	struct connection *connection;

	CONNECTION(self, connection);
	OWNER(connection, "read the log");
	*lines = journal_copy(connection->realm->journal, after, value_cstr(filter), LOG_LINES_MAX,
			      next);
	return *lines ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
ADXRegistry_CopyAudit_Impl(ADXRegistry *self, uint64_t after, OSArray **lines, uint64_t *next)
{
	struct connection *connection;

	CONNECTION(self, connection);
	OWNER(connection, "read the audit");
	*lines = journal_copy(connection->realm->audit, after, NULL, LOG_LINES_MAX, next);
	return *lines ? kIOReturnSuccess : kIOReturnNoMemory;
}

void
ADXRegistry_Log_Impl(ADXRegistry *self, OSString *rule, OSString *text)
{
	struct connection *connection = self->ivars ? self->ivars->connection : NULL;
	char name[32];

	if (!connection || !value_cstr(text))
		return;
	(void)snprintf(name, sizeof name, "pid %d", connection->pid);
	realm_peer_log(connection->realm, connection->account, connection->pid,
		       connection->server ? connection->server->name : name, value_cstr(rule),
		       value_cstr(text));
}

static void
end_later(void *userdata)
{
	realm_end(userdata);
}

kern_return_t
ADXRegistry_Shutdown_Impl(ADXRegistry *self)
{
	struct connection *connection;

	CONNECTION(self, connection);
	OWNER(connection, "end the realm");
	audit(connection, kIOReturnSuccess, "end the realm");
	return from_errno(adxi_loop_post(connection->realm->loop, end_later, connection->realm));
}
