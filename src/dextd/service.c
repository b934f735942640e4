/* SPDX-License-Identifier: MIT */
/* Birth of a service: entry, process, introduction, Start. Its death is in terminate.c. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXHost.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/rules.h"
#include "dextd/entitlements.h"
#include "dextd/service_internal.h"

/* Legal moves, one row a state. Everything else is a bug and aborts. */
static const unsigned service_moves[SERVICE_STATE_COUNT] = {
	[SERVICE_LAUNCHING] =
		1u << SERVICE_INTRODUCING | 1u << SERVICE_STARTING | 1u << SERVICE_GONE,
	[SERVICE_INTRODUCING] = 1u << SERVICE_STARTING | 1u << SERVICE_GONE,
	[SERVICE_STARTING] = 1u << SERVICE_RUNNING | 1u << SERVICE_WAITING | 1u << SERVICE_GONE,
	[SERVICE_RUNNING] = 1u << SERVICE_WAITING,
	[SERVICE_WAITING] = 1u << SERVICE_STOPPING | 1u << SERVICE_STOPPED,
	[SERVICE_STOPPING] = 1u << SERVICE_STOPPED,
	[SERVICE_STOPPED] = 1u << SERVICE_GONE,
	[SERVICE_GONE] = 0,
};

static const char *const service_state_names[SERVICE_STATE_COUNT] = {
	[SERVICE_LAUNCHING] = "launching", [SERVICE_INTRODUCING] = "introducing",
	[SERVICE_STARTING] = "starting",   [SERVICE_RUNNING] = "running",
	[SERVICE_WAITING] = "waiting",     [SERVICE_STOPPING] = "stopping",
	[SERVICE_STOPPED] = "stopped",     [SERVICE_GONE] = "gone",
};

const char *
service_state_name(enum service_state state)
{
	return service_state_names[state];
}

void
service_move(struct service *service, enum service_state next)
{
	adxi_assert(service_moves[service->state] & 1u << next);
	log_debug("%s: %s -> %s", entry_text(service->entry), service_state_names[service->state],
		  service_state_names[next]);
	if (service->state == SERVICE_RUNNING)
		service->ran_ns = adxi_now_ns() - service->since_ns;
	service->state = next;
	service->since_ns = adxi_now_ns();
}

struct service *
service_ref(struct service *service)
{
	service->n_ref++;
	return service;
}

struct service *
service_unref(struct service *service)
{
	if (!service || --service->n_ref)
		return NULL;
	adxi_source_remove(service->timer);
	value_unref(service->openers);
	personality_unref(service->personality);
	server_unref(service->server);
	entry_unref(service->entry);
	free(service);
	return NULL;
}

struct service *
service_find(struct realm *realm, uint64_t entry_id)
{
	struct entry *entry = registry_find(realm->registry, entry_id);

	return entry ? entry->service : NULL;
}

/* The realm's reference is the one that is returned. */
static struct service *
service_new(struct server *server, struct entry *entry, enum service_kind kind,
	    enum service_state state)
{
	struct service *service = calloc(1, sizeof *service);

	if (!service)
		return NULL;
	service->n_ref = 1;
	service->realm = server->realm;
	service->entry = entry_ref(entry);
	service->server = server_ref(server);
	service->kind = kind;
	service->state = state;
	service->since_ns = adxi_now_ns();
	adxi_list_init(&service->opener_link);
	adxi_list_append(&server->realm->services, &service->link);
	adxi_list_append(&server->services, &service->server_link);
	server->n_services++;
	entry->service = service;
	return service;
}

/* ---------------------------------------------------------------------------------------------
 * Drivers
 */

static int
fill_driver_entry(struct entry *entry, const struct entry *provider,
		  const struct personality *personality)
{
	const char *matched = match_name(provider, personality->dict);

	if (matched && !value_set_cstr(entry->base, "IONameMatched", matched))
		return -ENOMEM;
	if (!value_set_cstr(entry->base, "IOMatchCategory", personality->category) ||
	    !value_set_cstr(entry->base, "IOPersonalityPublisher", personality->bundle->id) ||
	    !value_set_cstr(entry->base, "IOMatchedPersonality", personality->name))
		return -ENOMEM;
	return 0;
}

int
service_start(struct entry *provider, struct personality *personality, struct realm *realm)
{
	value_auto OSArray *classes = class_names_new(personality->class_name);
	struct server *server = NULL;
	struct service *service;
	struct entry *entry = NULL;
	int r;

	if (!classes)
		return -ENOMEM;
	if (entitlements_check_driver(realm, provider, personality) != kIOReturnSuccess)
		return -EACCES;
	r = entry_new(realm->registry, classes, personality->user_class, NULL, personality->dict,
		      &entry);
	if (r < 0)
		return r;
	r = fill_driver_entry(entry, provider, personality);
	if (r == 0)
		r = server_for_personality(realm, personality, entry->id, &server);
	if (r == 0)
		r = entry_attach(entry, provider, PLANE_SERVICE);
	service = r == 0 ? service_new(server, entry, SERVICE_DRIVER, SERVICE_LAUNCHING) : NULL;
	if (!service) {
		entry_detach_all(entry);
		if (server) {
			server_check_leave(server);
			server_unref(server);
		}
		return r < 0 ? r : -ENOMEM;
	}
	service->personality = personality_ref(personality);
	server_unref(server);
	if (service->server->state == SERVER_RUNNING)
		service_server_ready(service);
	return 0;
}

/* It never started: leave no trace, and let the next candidate have its turn. */
void
service_start_failed(struct service *service)
{
	struct entry *provider = entry_parent(service->entry, PLANE_SERVICE);
	struct realm *realm = service->realm;

	service_ref(service);
	entry_ref(provider);
	if (entry_child_count(service->entry, PLANE_SERVICE) > 0) {
		/* What it published in Start has to be ended first. */
		service->stop_done = true;
		service_terminate(service);
		entry_unref(provider);
		service_unref(service);
		return;
	}
	service->entry->state |= ENTRY_INACTIVE;
	service_remove(service);
	provider_started(realm, provider, service, false);
	entry_unref(provider);
	service_unref(service);
}

static void
start_done(void *context, IOReturn status, OSArray *classes)
{
	struct service *service = context;
	struct entry *provider = entry_parent(service->entry, PLANE_SERVICE);

	service->start_pending = false;
	if (service->state == SERVICE_GONE) {
		service_unref(service);
		return;
	}
	if (status != kIOReturnSuccess) {
		service->hosted = false;
		if (status == MIG_SERVER_DIED)
			adxi_tell(ADXI_RULE_T71, "%s: process %d of %s ended while Start ran",
				  entry_text(service->entry), (int)service->server->pid,
				  service->server->name);
		realm_log(service->realm, service->server, "DK: %s::start(%s) fail (0x%08x)",
			  entry_text(service->entry), entry_text(provider), (unsigned)status);
		/* A service whose termination waits for this goes the way of all that never
		 * started. */
		if (service->state == SERVICE_WAITING)
			service_gate_failed(service);
		else if (service->state == SERVICE_STARTING)
			service_start_failed(service);
		service_unref(service);
		return;
	}
	realm_log(service->realm, service->server, "DK: %s::start(%s) ok",
		  entry_text(service->entry), entry_text(provider));
	if (classes && value_is_storable(classes, 64))
		entry_set_base(service->entry, "IOUserClasses", classes);
	if (service->state == SERVICE_WAITING) {
		service_advance(service);
		service_unref(service);
		return;
	}
	service_move(service, SERVICE_RUNNING);
	service->ran = true;
	if (service->register_pending) {
		service->register_pending = false;
		provider_register(service->realm, service->entry);
	}
	provider_started(service->realm, provider, service, true);
	service_unref(service);
}

static void
start(struct service *service)
{
	struct entry *provider = entry_parent(service->entry, PLANE_SERVICE);
	struct server *host = provider->service ? provider->service->server : NULL;
	value_auto OSDictionary *properties = entry_copy_properties(service->entry);
	value_auto OSDictionary *provider_dict = protocol_entry_dict(provider);
	value_auto OSDictionary *provider_properties = entry_copy_properties(provider);
	value_auto OSMetaClassBase *endpoint = NULL;
	struct ADXHost *to = server_host(service->server);
	uint64_t peer = host && host != service->server ? host->id : 0;
	struct pair *pair = peer ? server_pair(service->server, host) : NULL;
	char user_class[128] = "";
	IOReturn status;

	strncpy(user_class, service->personality->user_class, sizeof user_class - 1);
	if (pair && !pair->sent) {
		endpoint = adxi_endpoint_object(&pair->pending);
		pair->sent = true;
	}
	if (!to || !properties || !provider_properties ||
	    !value_set(provider_dict, "properties", provider_properties)) {
		service_start_failed(service);
		return;
	}
	service_move(service, SERVICE_STARTING);
	service->hosted = true;
	service->start_pending = true;
	status = ADXHost_StartService_Async(
		to, service->entry->id, user_class, properties, provider->id, provider_dict, peer,
		(ADXEndpoint *)endpoint, start_done, service_ref(service));
	if (status == kIOReturnSuccess) {
		hang_expect(service->server);
		return;
	}
	service_unref(service);
	service->start_pending = false;
	service->hosted = false;
	if (service->state == SERVICE_STARTING)
		service_start_failed(service);
}

static void
introduced(void *context, IOReturn status)
{
	struct service *service = context;

	if (service->state == SERVICE_INTRODUCING && status != kIOReturnSuccess) {
		realm_log(service->realm, service->server,
			  "%s: its provider's process refused it (0x%08x)",
			  entry_text(service->entry), (unsigned)status);
		service_start_failed(service);
	} else if (service->state == SERVICE_INTRODUCING) {
		start(service);
	}
	service_unref(service);
}

static OSDictionary *
introduction(const struct server *server)
{
	OSDictionary *info = value_dict_new();

	if (value_set_cstr(info, "procname", server->name) &&
	    value_set_u64(info, "pid", (uint64_t)server->pid) &&
	    value_set_cstr(info, "server", server->name))
		return info;
	return value_unref(info);
}

/* The process is there; its provider's process, if it is another one, must know first. */
void
service_server_ready(struct service *service)
{
	struct entry *provider = entry_parent(service->entry, PLANE_SERVICE);
	struct server *host = provider->service ? provider->service->server : NULL;
	struct adxi_endpoint host_end = ADXI_ENDPOINT_NONE;
	value_auto OSMetaClassBase *endpoint = NULL;
	value_auto OSDictionary *info = NULL;
	struct ADXHost *to;
	struct pair *pair;
	IOReturn status;

	if (service->state != SERVICE_LAUNCHING)
		return;
	if (!host || host == service->server) {
		start(service);
		return;
	}
	to = server_host(host);
	info = introduction(service->server);
	pair = server_pair(service->server, host);
	if (!to || !info ||
	    (!pair && server_pair_new(service->server, host, &host_end, &pair) < 0)) {
		service_start_failed(service);
		return;
	}
	if (host_end.socket >= 0) {
		endpoint = adxi_endpoint_object(&host_end);
		if (!endpoint) {
			server_pair_drop(pair);
			service_start_failed(service);
			return;
		}
	}
	service_move(service, SERVICE_INTRODUCING);
	status = ADXHost_Introduce_Async(to, service->server->id, (ADXEndpoint *)endpoint,
					 provider->id, info, introduced, service_ref(service));
	if (status == kIOReturnSuccess)
		return;
	service_unref(service);
	if (endpoint)
		server_pair_drop(pair);
	if (service->state == SERVICE_INTRODUCING)
		service_start_failed(service);
}

/* ---------------------------------------------------------------------------------------------
 * What processes publish
 */

static enum service_kind
kind_of(const struct entry *entry, const char *user_class)
{
	if (!user_class)
		return SERVICE_NUB;
	return entry_conforms(entry, "IOUserClient") ? SERVICE_USER_CLIENT : SERVICE_CHILD;
}

int
service_publish(struct server *server, struct entry *parent, const OSArray *classes,
		const char *user_class, const char *name, const char *location,
		const OSDictionary *properties, struct service **ret_service)
{
	static const char *const inherited[] = { "CFBundleIdentifier", "IOUserServerName" };
	struct realm *realm = server->realm;
	struct service *service = NULL;
	struct entry *entry = NULL;
	const OSObject *value;
	size_t i;
	int r;

	r = entry_new(realm->registry, classes, name && *name ? name : user_class, location,
		      properties, &entry);
	if (r < 0)
		return r;
	for (i = 0; user_class && i < sizeof inherited / sizeof inherited[0]; i++) {
		value = entry_property(parent, inherited[i]);
		if (value && !entry_property(entry, inherited[i]) &&
		    !value_set(entry->base, inherited[i], value))
			r = -ENOMEM;
	}
	if (user_class && !value_set_cstr(entry->base, "IOUserClass", user_class))
		r = -ENOMEM;
	if (r == 0)
		r = entry_attach(entry, parent, PLANE_SERVICE);
	if (r == 0)
		service = service_new(server, entry, kind_of(entry, user_class), SERVICE_RUNNING);
	if (!service) {
		entry_detach_all(entry);
		return r < 0 ? r : -ENOMEM;
	}
	/* The one plane besides IOService that has anything in it. */
	if (entry_conforms(entry, "IOUSBHostDevice"))
		(void)entry_attach(
			entry,
			entry_in_plane(parent, PLANE_USB) ? parent : registry_root(realm->registry),
			PLANE_USB);
	service->hosted = true;
	service->ran = true;
	*ret_service = service;
	return 0;
}

void
service_register(struct service *service)
{
	if (service->state == SERVICE_STARTING || service->state == SERVICE_INTRODUCING ||
	    service->state == SERVICE_LAUNCHING)
		service->register_pending = true;
	else if (service->state == SERVICE_RUNNING)
		provider_register(service->realm, service->entry);
}
