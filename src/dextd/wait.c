/* SPDX-License-Identifier: MIT */
/* Answers that come later: quiet, unloading, devices. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXHost.h>
#include <Ambidext/ADXRegistry.h>

#include "base/clock.h"
#include "dextd/realm.h"

/* ---------------------------------------------------------------------------------------------
 * WaitQuiet
 */

struct wait {
	struct adxi_list link;         /* in realm->waits */
	struct connection *connection; /* borrowed: wait_forget() ends it before it goes */
	struct entry *entry;           /* owned reference */
	struct adxi_source *timer; /* owned, or NULL: for ever */
	struct OSReply *reply;     /* owned */
};

static void
wait_end(struct wait *wait, IOReturn status)
{
	adxi_list_remove(&wait->link);
	adxi_source_remove(wait->timer);
	entry_unref(wait->entry);
	ADXRegistry_WaitQuiet_Reply(wait->reply, status);
	quota_give(wait->connection->account, QUOTA_WAITS, 1);
	free(wait);
}

static void
wait_timeout(struct adxi_source *source, void *userdata)
{
	wait_end(userdata, kIOReturnTimeout);
}

void
wait_quiet(struct connection *connection, struct entry *entry, uint64_t timeout_ns,
	   struct OSReply *reply)
{
	struct wait *wait;

	if (entry->busy == 0) {
		ADXRegistry_WaitQuiet_Reply(reply, kIOReturnSuccess);
		return;
	}
	if (quota_take(connection->account, QUOTA_WAITS, 1, connection_who(connection)) < 0) {
		ADXRegistry_WaitQuiet_Reply(reply, kIOReturnNoResources);
		return;
	}
	wait = calloc(1, sizeof *wait);
	if (!wait) {
		quota_give(connection->account, QUOTA_WAITS, 1);
		ADXRegistry_WaitQuiet_Reply(reply, kIOReturnNoMemory);
		return;
	}
	wait->connection = connection;
	wait->entry = entry_ref(entry);
	wait->reply = reply;
	adxi_list_append(&connection->realm->waits, &wait->link);
	if (timeout_ns && adxi_loop_add_timer(connection->realm->loop, adxi_deadline_ns(timeout_ns),
					      wait_timeout, wait, &wait->timer) < 0)
		wait_end(wait, kIOReturnNoMemory);
}

void
wait_check(struct realm *realm)
{
	struct wait *wait, *next;

	ADXI_LIST_EACH_SAFE(wait, next, &realm->waits, link)
		if (wait->entry->busy == 0)
			wait_end(wait, kIOReturnSuccess);
}

void
wait_forget(struct connection *connection)
{
	struct wait *wait, *next;

	ADXI_LIST_EACH_SAFE(wait, next, &connection->realm->waits, link)
		if (wait->connection == connection)
			wait_end(wait, kIOReturnAborted);
}

/* ---------------------------------------------------------------------------------------------
 * Unloading
 */

struct unload {
	struct adxi_list link; /* in realm->unloads */
	struct bundle *bundle; /* owned reference */
	struct OSReply *reply; /* owned */
};

static bool
is_in_use(const struct realm *realm, const struct bundle *bundle)
{
	const struct service *service;
	const struct server *server;

	ADXI_LIST_EACH(service, &realm->services, link)
		if (service->personality && service->personality->bundle == bundle)
			return true;
	ADXI_LIST_EACH(server, &realm->servers, link)
		if (server->bundle == bundle)
			return true;
	return false;
}

void
wait_check_unloads(struct realm *realm)
{
	struct unload *unload, *next;

	ADXI_LIST_EACH_SAFE(unload, next, &realm->unloads, link) {
		if (is_in_use(realm, unload->bundle))
			continue;
		adxi_list_remove(&unload->link);
		ADXRegistry_UnloadBundle_Reply(unload->reply, kIOReturnSuccess);
		bundle_unref(unload->bundle);
		free(unload);
	}
}

void
wait_unload(struct realm *realm, struct bundle *bundle, struct OSReply *reply)
{
	struct unload *unload = calloc(1, sizeof *unload);

	if (!unload) {
		ADXRegistry_UnloadBundle_Reply(reply, kIOReturnNoMemory);
		return;
	}
	unload->bundle = bundle_ref(bundle);
	unload->reply = reply;
	adxi_list_append(&realm->unloads, &unload->link);
	wait_check_unloads(realm);
}

/* ---------------------------------------------------------------------------------------------
 * Devices: each family host is asked in turn, until one knows the back end
 */

struct device_call {
	struct adxi_list link; /* in realm->device_calls */
	struct realm *realm;   /* borrowed */
	bool attach;
	bool under_way;        /* a host is asked */
	uint64_t after;        /* hosts up to this id were asked */
	OSString *what;        /* owned reference */
	OSString *problem;     /* owned reference: the last host's, or NULL */
	struct OSReply *reply; /* owned */
};

static void
device_end(struct device_call *call, IOReturn status, uint64_t entry_id, OSString *problem)
{
	adxi_list_remove(&call->link);
	if (call->attach)
		ADXRegistry_AttachDevice_Reply(call->reply, status, entry_id, problem);
	else
		ADXRegistry_DetachDevice_Reply(call->reply, status, problem);
	value_unref(call->what);
	value_unref(call->problem);
	free(call);
}

static void device_next(struct device_call *call);

static void
device_answered(struct device_call *call, IOReturn status, uint64_t entry_id, OSString *problem)
{
	value_auto OSString *died = NULL;

	call->under_way = false;
	if (status == kIOReturnUnsupported) {
		device_next(call);
		return;
	}
	if (status == MIG_SERVER_DIED) {
		died = value_string_new(
			"the host process ended while it worked on it; see dext log");
		problem = died;
		status = kIOReturnSuccess;
	}
	device_end(call, status, entry_id, problem);
}

static void
attach_done(void *context, IOReturn status, uint64_t entry_id, OSString *problem)
{
	device_answered(context, status, entry_id, problem);
}

static void
detach_done(void *context, IOReturn status, OSString *problem)
{
	device_answered(context, status, 0, problem);
}

static void
device_no_host(struct device_call *call, unsigned n_hosts)
{
	value_auto OSString *problem = NULL;
	char text[320];

	if (n_hosts == 0)
		(void)snprintf(text, sizeof text,
			       "no host process is running: start dextd with --host usbhost, or "
			       "set AMBIDEXT_HOSTS");
	else
		(void)snprintf(text, sizeof text, "no host process knows '%.200s'",
			       value_cstr(call->what));
	problem = value_string_new(text);
	device_end(call, kIOReturnSuccess, 0, problem);
}

static void
device_next(struct device_call *call)
{
	struct server *server;
	struct ADXHost *host;
	unsigned n_hosts = 0;
	IOReturn status;

	ADXI_LIST_EACH(server, &call->realm->servers, link) {
		if (!server->is_host)
			continue;
		if (server->state == SERVER_DEAD && call->realm->state == REALM_RUNNING)
			return; /* it is launched again, or not: device_check() goes on then */
		if (server->state > SERVER_RUNNING)
			continue;
		n_hosts++;
		if (server->id <= call->after)
			continue;
		if (server->state == SERVER_LAUNCHING)
			return; /* device_check() goes on when it is there */
		host = server_host(server);
		call->after = server->id;
		if (!host)
			continue;
		call->under_way = true;
		status = call->attach
				 ? ADXHost_AttachDevice_Async(host, call->what, attach_done, call)
				 : ADXHost_DetachDevice_Async(host, call->what, detach_done, call);
		if (status == kIOReturnSuccess)
			return;
		call->under_way = false;
	}
	if (!server_host_is_coming(call->realm) || call->realm->state != REALM_RUNNING)
		device_no_host(call, n_hosts);
}

void
device_check(struct realm *realm)
{
	struct device_call *call, *next;

	ADXI_LIST_EACH_SAFE(call, next, &realm->device_calls, link)
		if (!call->under_way)
			device_next(call);
}

static void
device_call(struct realm *realm, bool attach, OSString *what, struct OSReply *reply)
{
	struct device_call *call = calloc(1, sizeof *call);

	if (!call) {
		if (attach)
			ADXRegistry_AttachDevice_Reply(reply, kIOReturnNoMemory, 0, NULL);
		else
			ADXRegistry_DetachDevice_Reply(reply, kIOReturnNoMemory, NULL);
		return;
	}
	call->realm = realm;
	call->attach = attach;
	call->what = value_ref(what);
	call->reply = reply;
	adxi_list_append(&realm->device_calls, &call->link);
	device_next(call);
}

void
device_attach(struct realm *realm, OSString *what, struct OSReply *reply)
{
	device_call(realm, true, what, reply);
}

void
device_detach(struct realm *realm, OSString *what, struct OSReply *reply)
{
	device_call(realm, false, what, reply);
}

void
wait_forget_all(struct realm *realm)
{
	struct device_call *call, *next_call;
	struct unload *unload, *next_unload;
	struct wait *wait, *next;

	ADXI_LIST_EACH_SAFE(wait, next, &realm->waits, link)
		wait_end(wait, kIOReturnOffline);
	ADXI_LIST_EACH_SAFE(call, next_call, &realm->device_calls, link)
		if (!call->under_way)
			device_end(call, kIOReturnOffline, 0, NULL);
	ADXI_LIST_EACH_SAFE(unload, next_unload, &realm->unloads, link) {
		adxi_list_remove(&unload->link);
		ADXRegistry_UnloadBundle_Reply(unload->reply, kIOReturnOffline);
		bundle_unref(unload->bundle);
		free(unload);
	}
}
