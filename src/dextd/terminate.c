/* SPDX-License-Identifier: MIT */
/* The end of a service: from the victim down to its clients and back up.
 *
 *   1   victim, then what is below it: inactive, busy, Terminated told
 *   2a  gate: nothing in the set is inside Start or NewUserClient
 *   2b  top-down: WillTerminate told, Stop asked; a service's Stop is asked before its clients'
 *   2c  bottom-up: stopped and without clients: IsTerminated told
 *   3   detached, released
 */

#include <inttypes.h>
#include <stdlib.h>

#include <Ambidext/ADXHost.h>

#include "base/clock.h"
#include "base/rules.h"
#include "dextd/service_internal.h"

#define MESSAGE_IS_TERMINATED 0xe0000010u /* kIOMessageServiceIsTerminated */

static struct service *
provider_service(const struct service *service)
{
	struct entry *provider = entry_parent(service->entry, PLANE_SERVICE);

	return provider ? provider->service : NULL;
}

void
service_remove(struct service *service)
{
	struct server *server = service->server;
	struct entry *entry = service->entry;
	struct realm *realm = service->realm;
	struct ADXHost *host = server_host(server);

	service_move(service, SERVICE_GONE);
	service->timer = adxi_source_remove(service->timer);
	open_left(service);
	quota_give(server->account, QUOTA_SERVICES, service->charged);
	quota_give(server->account, QUOTA_PROPERTIES, service->property_bytes);
	notify_forget(realm, entry);
	if (service->hosted && host)
		ADXHost_ReleaseService(host, entry->id);
	service->hosted = false;
	adxi_list_remove(&service->link);
	adxi_list_remove(&service->server_link);
	server->n_services--;
	entry->service = NULL;
	entry_ref(entry);
	entry_detach_all(entry);
	entry_unref(entry);
	server_ref(server);
	service_unref(service);
	server_check_leave(server);
	server_unref(server);
	wait_check_unloads(realm);
}

/* Steps 2c and 3. */
static void
finalize(struct service *service)
{
	struct entry *provider = entry_parent(service->entry, PLANE_SERVICE);
	struct realm *realm = service->realm;
	struct service *above = provider_service(service);

	if (service->state != SERVICE_STOPPED ||
	    entry_child_count(service->entry, PLANE_SERVICE) > 0)
		return;
	service_ref(service);
	entry_ref(provider);
	notify_message(realm, service->entry, MESSAGE_IS_TERMINATED, 0);
	realm_log(realm, service->server, "DK: %s::terminate(%s) done", entry_text(service->entry),
		  entry_text(provider));
	entry_adjust_busy(service->entry, -(int32_t)service->entry->busy);
	service_remove(service);
	if (service->kind == SERVICE_DRIVER && !(provider->state & ENTRY_INACTIVE))
		provider_driver_gone(realm, provider, service);
	if (above && above->state == SERVICE_STOPPED)
		finalize(above);
	entry_unref(provider);
	service_unref(service);
}

static void
advance_children(struct service *service)
{
	struct entry *child, *next;

	ADXI_LIST_EACH_SAFE(child, next, &service->entry->links[PLANE_SERVICE].children,
			    links[PLANE_SERVICE].sibling)
		if (child->service && child->service->state == SERVICE_WAITING)
			service_advance(child->service);
}

static void
stopped(struct service *service)
{
	service->timer = adxi_source_remove(service->timer);
	service_ref(service);
	service_move(service, SERVICE_STOPPED);
	advance_children(service);
	finalize(service);
	service_unref(service);
}

static void
stop_takes_long(struct adxi_source *source, void *userdata)
{
	struct service *service = userdata;
	const struct realm_config *config = &service->realm->config;

	if (!service->warned) {
		service->warned = true;
		adxi_tell(ADXI_RULE_T65, "%s: Stop was asked for %llu ms ago and has not ended",
			  entry_text(service->entry),
			  (adxi_now_ns() - service->since_ns) / ADXI_NS_PER_MS);
		adxi_source_set_deadline(
			source, adxi_deadline_ns(config->stop_limit_ns - config->stop_warning_ns));
		return;
	}
	adxi_tell(ADXI_RULE_SRV003, "%s (process %d of %s) has not stopped within %llu ms",
		  entry_text(service->entry), (int)service->server->pid, service->server->name,
		  config->stop_limit_ns / ADXI_NS_PER_MS);
	server_kill(service->server, ENDING_STOP);
	server_gone(service->server);
}

/* Step 2b for one service. */
static void
ask_to_stop(struct service *service)
{
	struct entry *provider = entry_parent(service->entry, PLANE_SERVICE);
	struct ADXHost *host = server_host(service->server);
	struct realm *realm = service->realm;

	service_ref(service);
	notify_entry(realm, NOTIFY_WILL_TERMINATE, service->entry);
	if (service->crashed || service->stop_done || !host || !service->hosted) {
		stopped(service);
		service_unref(service);
		return;
	}
	service_move(service, SERVICE_STOPPING);
	adxi_loop_add_timer(realm->loop, adxi_deadline_ns(realm->config.stop_warning_ns),
			    stop_takes_long, service, &service->timer);
	ADXHost_StopService(host, service->entry->id, !(provider->state & ENTRY_INACTIVE));
	if (service->state == SERVICE_STOPPING)
		advance_children(service);
	service_unref(service);
}

void
service_advance(struct service *service)
{
	struct service *above = provider_service(service);

	if (service->state != SERVICE_WAITING)
		return;
	if (service->start_pending && !service->crashed)
		return;
	if (service->n_openings > 0 && !service->crashed)
		return;
	if (above && above->state == SERVICE_WAITING)
		return;
	ask_to_stop(service);
}

void
service_gate_failed(struct service *service)
{
	service->hosted = false;
	service->stop_done = true;
	service_advance(service);
}

void
service_opening_done(struct service *service)
{
	if (service->n_openings > 0)
		service->n_openings--;
	service_advance(service);
}

/* Step 1 for one entry. What had not begun to start goes at once. */
static void
deactivate(struct service *service)
{
	struct entry *entry = service->entry;

	entry->state |= ENTRY_INACTIVE;
	provider_end(entry);
	entry_adjust_busy(entry, 1);
	notify_entry(service->realm, NOTIFY_TERMINATED, entry);
	service_move(service, SERVICE_WAITING);
}

/* The set, breadth first, as references; NULL: no memory. */
static struct service **
collect(struct service *victim, size_t *ret_n)
{
	struct service **set = malloc(sizeof *set), **grown;
	size_t n = 0, i, room = 1;
	struct entry *child;

	if (!set)
		return NULL;
	set[n++] = service_ref(victim);
	for (i = 0; i < n; i++) {
		ADXI_LIST_EACH(child, &set[i]->entry->links[PLANE_SERVICE].children,
			       links[PLANE_SERVICE].sibling) {
			if (!child->service)
				continue;
			if (n == room) {
				room *= 2;
				grown = realloc(set, room * sizeof *set);
				if (!grown)
					break;
				set = grown;
			}
			set[n++] = service_ref(child->service);
		}
	}
	*ret_n = n;
	return set;
}

void
service_terminate(struct service *victim)
{
	struct service **set, *alone = victim;
	size_t n = 0, i;

	if (victim->entry->state & ENTRY_INACTIVE)
		return;
	set = collect(victim, &n);
	if (!set) {
		/* No memory for the set: the victim at least; what is below follows when it is asked for. */
		service_ref(victim);
		set = &alone;
		n = 1;
	}
	for (i = 0; i < n; i++) {
		if (set[i]->entry->state & ENTRY_INACTIVE)
			continue;
		if (set[i]->state == SERVICE_LAUNCHING || set[i]->state == SERVICE_INTRODUCING)
			service_start_failed(set[i]);
		else
			deactivate(set[i]);
	}
	for (i = 0; i < n; i++) {
		service_advance(set[i]);
		service_unref(set[i]);
	}
	if (set != &alone)
		free(set);
}

void
service_stopped(struct service *service)
{
	if (service->state == SERVICE_STOPPING) {
		stopped(service);
	} else if (service->state == SERVICE_RUNNING || service->state == SERVICE_WAITING) {
		/* The object never started, or stopped itself: there is nothing to ask any more. */
		service_ref(service);
		service->stop_done = true;
		service_terminate(service);
		service_advance(service);
		service_unref(service);
	}
}

void
service_server_gone(struct service *service)
{
	service_ref(service);
	switch (service->state) {
	case SERVICE_STARTING:
		adxi_tell(ADXI_RULE_T71, "%s: process %d of %s ended while Start ran",
			  entry_text(service->entry), (int)service->server->pid,
			  service->server->name);
		service->start_pending = false;
		service->crashed = true;
		service_start_failed(service);
		break;
	case SERVICE_LAUNCHING:
	case SERVICE_INTRODUCING:
		service_start_failed(service);
		break;
	case SERVICE_RUNNING:
		service->crashed = true;
		service_terminate(service);
		break;
	case SERVICE_WAITING:
		service->crashed = true;
		service_advance(service);
		break;
	case SERVICE_STOPPING:
		service->crashed = true;
		stopped(service);
		break;
	case SERVICE_STOPPED:
	case SERVICE_GONE:
	case SERVICE_STATE_COUNT:
		break;
	}
	service_unref(service);
}
