/* SPDX-License-Identifier: MIT */
/* IOServiceOpen: check, NewUserClient, introduction, answer. The opening lives until its driver's
 * process has answered or died; who asked may be gone by then. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXHost.h>
#include <Ambidext/ADXRegistry.h>

#include "base/rules.h"
#include "dextd/access.h"
#include "dextd/audit.h"
#include "dextd/entitlements.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.open"
#include "base/log.h"

struct opening {
	struct adxi_list link;           /* in realm->openings */
	struct realm *realm;             /* borrowed */
	struct connection *connection;   /* borrowed; NULL: gone */
	struct quota_account *account;   /* owned reference: of who asked */
	struct service *service;         /* owned reference: what is opened */
	struct OSReply *reply;           /* owned */
	struct adxi_endpoint client_end; /* owned: the client's end of the direct channel */
	uint64_t client_id;
	OSDictionary *info;         /* owned reference */
	OSDictionary *entitlements; /* owned reference: the client's */
	uint32_t type;
};

static void
opening_end(struct opening *opening, IOReturn status)
{
	struct service *service = opening->service, *client = NULL;
	OSMetaClassBase *endpoint = NULL;

	if (opening->client_id)
		client = service_find(opening->realm, opening->client_id);
	if (status == kIOReturnSuccess && (!client || client->entry->state & ENTRY_INACTIVE))
		status = MIG_SERVER_DIED;
	if (status == kIOReturnSuccess && opening->connection) {
		endpoint = adxi_endpoint_object(&opening->client_end);
		if (!endpoint)
			status = kIOReturnNoMemory;
	}
	if (status == kIOReturnSuccess && opening->connection &&
	    quota_take(opening->account, QUOTA_USER_CLIENTS, 1, connection_who(opening->connection)) < 0)
		status = kIOReturnNoResources;
	if (status == kIOReturnSuccess && opening->connection) {
		client->opener = opening->connection;
		adxi_list_append(&opening->connection->clients, &client->opener_link);
	} else if (client) {
		service_terminate(client);
	}
	if (opening->connection)
		audit(opening->connection, status, "open %s type %u", entry_text(service->entry),
		      opening->type);
	ADXRegistry_Open_Reply(opening->reply, status,
			       status == kIOReturnSuccess ? opening->client_id : 0,
			       (ADXEndpoint *)endpoint);
	value_unref(endpoint);
	adxi_list_remove(&opening->link);
	adxi_endpoint_done(&opening->client_end);
	value_unref(opening->info);
	value_unref(opening->entitlements);
	quota_give(opening->account, QUOTA_OPENINGS, 1);
	quota_account_unref(opening->account);
	free(opening);
	service_opening_done(service);
	service_unref(service);
}

static void
introduced(void *context, IOReturn status)
{
	opening_end(context, status);
}

static void
introduce(struct opening *opening)
{
	struct adxi_endpoint ends[2];
	struct ADXHost *host = server_host(opening->service->server);
	OSMetaClassBase *endpoint;
	IOReturn status;

	if (!host || adxi_endpoint_pair((const unsigned[2]){ adxi_bells(), 1 }, ends) < 0) {
		opening_end(opening, host ? kIOReturnNoResources : MIG_SERVER_DIED);
		return;
	}
	opening->client_end = ends[1];
	endpoint = adxi_endpoint_object(&ends[0]);
	if (!endpoint) {
		opening_end(opening, kIOReturnNoMemory);
		return;
	}
	/* A peer for each connection: its door hands out this one client and nothing else. */
	status = ADXHost_Introduce_Async(host, opening->realm->next_peer++, (ADXEndpoint *)endpoint,
					 opening->client_id, opening->info, introduced, opening);
	value_unref(endpoint);
	if (status != kIOReturnSuccess)
		opening_end(opening, status);
}

/* What the driver says that it made has to be a user client of its own, below the service. */
static IOReturn
check_client(const struct opening *opening, const struct service *client)
{
	const struct service *service = opening->service;

	if (!client || client->server != service->server || client->kind != SERVICE_USER_CLIENT ||
	    client->opener || entry_parent(client->entry, PLANE_SERVICE) != service->entry) {
		adxi_tell(ADXI_RULE_SRV004,
			  "process %d of %s answered NewUserClient of %s with entry 0x%llx",
			  (int)service->server->pid, service->server->name,
			  entry_text(service->entry), (unsigned long long)opening->client_id);
		return kIOReturnUnsupported;
	}
	return kIOReturnSuccess;
}

static const char *
creator(const struct opening *opening, char *buf, size_t size)
{
	const char *name = value_get_cstr(opening->info, "procname");

	(void)snprintf(buf, size, "pid %d, %s", opening->connection ? opening->connection->pid : 0,
		       name ? name : "?");
	return buf;
}

static void
new_user_client_done(void *context, IOReturn status, uint64_t client_id)
{
	struct opening *opening = context;
	struct service *client;
	char text[160];

	if (status != kIOReturnSuccess) {
		opening_end(opening, status);
		return;
	}
	if (!client_id) {
		adxi_tell(ADXI_RULE_T61, "%s::NewUserClient returned success and no client",
			  entry_text(opening->service->entry));
		opening_end(opening, kIOReturnError);
		return;
	}
	opening->client_id = client_id;
	client = service_find(opening->realm, client_id);
	status = check_client(opening, client);
	if (status != kIOReturnSuccess) {
		opening->client_id = 0;
		opening_end(opening, status);
		return;
	}
	if (opening->connection) {
		status = entitlements_check_client(opening->connection, client->entry,
						   opening->entitlements);
		if (status != kIOReturnSuccess) {
			opening_end(opening, status);
			return;
		}
	}
	value_set_cstr(client->entry->base, "IOUserClientCreator",
		       creator(opening, text, sizeof text));
	introduce(opening);
}

/* ---------------------------------------------------------------------------------------------
 * Begin
 */

static IOReturn
find_service(struct connection *connection, uint64_t entry_id, struct service **ret_service)
{
	struct entry *entry = registry_find(connection->realm->registry, entry_id);

	if (!entry || entry->state & ENTRY_INACTIVE)
		return MACH_SEND_INVALID_DEST;
	if (!entry_conforms(entry, "IOService"))
		return kIOReturnBadArgument;
	if (!entry->service)
		return kIOReturnUnsupported;
	if (entry->service->state != SERVICE_RUNNING)
		return kIOReturnNotReady;
	*ret_service = entry->service;
	return kIOReturnSuccess;
}

static OSDictionary *
client_info(const struct connection *connection, const OSDictionary *info)
{
	OSDictionary *copy = info ? value_deep_copy(info) : value_dict_new();

	/* What the client says of itself, with what is known of it. */
	if (value_set_u64(copy, "pid", (uint64_t)connection->pid) &&
	    value_set_u64(copy, "uid", connection->uid))
		return copy;
	return value_unref(copy);
}

/* The quota was taken; it is the opening's, or given back. */
static IOReturn
opening_new(struct connection *connection, const OSDictionary *info, struct opening **ret_opening)
{
	struct opening *opening = calloc(1, sizeof *opening);

	if (!opening || !(opening->info = client_info(connection, info))) {
		quota_give(connection->account, QUOTA_OPENINGS, 1);
		free(opening);
		return kIOReturnNoMemory;
	}
	opening->realm = connection->realm;
	opening->connection = connection;
	/* The process may be gone before the driver answers: its account is held. */
	opening->account = quota_account_ref(connection->account);
	opening->client_end = ADXI_ENDPOINT_NONE;
	*ret_opening = opening;
	return kIOReturnSuccess;
}

void
open_begin(struct connection *connection, uint64_t entry_id, uint32_t type,
	   const OSDictionary *info, struct OSReply *reply)
{
	value_auto OSDictionary *entitlements = NULL;
	struct opening *opening = NULL;
	struct service *service = NULL;
	struct ADXHost *host;
	IOReturn status;

	status = find_service(connection, entry_id, &service);
	if (status == kIOReturnSuccess && info && !value_is_storable(info, 4096))
		status = kIOReturnBadArgument;
	if (status == kIOReturnSuccess)
		status = access_check(connection, service->entry);
	if (status == kIOReturnSuccess) {
		entitlements = entitlements_of_client(connection, info);
		status = entitlements ? entitlements_check_open(connection, service, entitlements)
				      : kIOReturnNoMemory;
	}
	host = status == kIOReturnSuccess ? server_host(service->server) : NULL;
	if (status == kIOReturnSuccess && !host)
		status = kIOReturnOffline; /* its process is on the way out */
	if (status == kIOReturnSuccess &&
	    quota_take(connection->account, QUOTA_OPENINGS, 1, connection_who(connection)) < 0)
		status = kIOReturnNoResources;
	else if (status == kIOReturnSuccess)
		status = opening_new(connection, info, &opening);
	if (status != kIOReturnSuccess) {
		if (service)
			audit(connection, status, "open %s type %u", entry_text(service->entry),
			      type);
		ADXRegistry_Open_Reply(reply, status, 0, NULL);
		return;
	}
	opening->service = service_ref(service);
	opening->type = type;
	opening->entitlements = value_ref(entitlements);
	opening->reply = reply;
	service->n_openings++;
	adxi_list_append(&connection->realm->openings, &opening->link);
	status = ADXHost_NewUserClient_Async(host, entry_id, type, entitlements,
					     new_user_client_done, opening);
	if (status == kIOReturnSuccess)
		hang_expect(service->server);
	else
		opening_end(opening, status);
}

void
open_left(struct service *client)
{
	if (!client->opener)
		return;
	quota_give(client->opener->account, QUOTA_USER_CLIENTS, 1);
	adxi_list_remove(&client->opener_link);
	client->opener = NULL;
}

void
open_forget(struct connection *connection)
{
	struct opening *opening;

	ADXI_LIST_EACH(opening, &connection->realm->openings, link)
		if (opening->connection == connection)
			opening->connection = NULL;
}
