/* SPDX-License-Identifier: MIT */
/* class IOService: birth, queues, Start and Stop. What asks dextd is in service_registry.c. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/rules.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/process.h"
#include "driverkit/runtime.h"
#include "driverkit/service.h"

#define LOG_TOPIC "driverkit.service"
#include "base/log.h"

static _Thread_local const struct adxi_service_identity *birth;

static const char *const state_names[] = {
	[SERVICE_NEW] = "new",         [SERVICE_STARTING] = "starting",
	[SERVICE_STARTED] = "started", [SERVICE_STOPPING] = "stopping",
	[SERVICE_STOPPED] = "stopped",
};

/* Legal moves, one row per state. A driver's super::Stop may come at any time after Start began. */
static const unsigned moves[] = {
	[SERVICE_NEW] = 1u << SERVICE_STARTING | 1u << SERVICE_STOPPED,
	[SERVICE_STARTING] = 1u << SERVICE_STARTED | 1u << SERVICE_STOPPED,
	[SERVICE_STARTED] = 1u << SERVICE_STOPPING | 1u << SERVICE_STOPPED,
	[SERVICE_STOPPING] = 1u << SERVICE_STOPPED,
	[SERVICE_STOPPED] = 0,
};

/* ---------------------------------------------------------------------------------------------
 * Birth and end
 */

static struct IOService_IVars *
ivars_new(void)
{
	struct IOService_IVars *ivars = calloc(1, sizeof(*ivars));

	if (ivars)
		pthread_mutex_init(&ivars->lock, NULL);
	return ivars;
}

static void
ivars_free(struct IOService_IVars *ivars)
{
	for (unsigned i = 0; i < ivars->n_queues; i++) {
		free(ivars->queues[i].name);
		OSRelease((OS_OBJECT *)ivars->queues[i].queue);
	}
	free(ivars->queues);
	OSRelease((OS_OBJECT *)ivars->provider);
	pthread_mutex_destroy(&ivars->lock);
	free(ivars);
}

static kern_return_t
install_default_queue(IOService *self)
{
	IODispatchQueue *queue = NULL;
	kern_return_t ret = IOService_CreateDefaultDispatchQueue(self, &queue);

	if (ret == kIOReturnSuccess && !queue)
		ret = kIOReturnNoMemory;
	if (ret == kIOReturnSuccess)
		ret = adxi_service_set_queue((OSObject *)self, kIOServiceDefaultQueueName, queue);
	OSRelease((OS_OBJECT *)queue);
	return ret;
}

bool
IOService_init_Impl(IOService *self)
{
	const struct adxi_service_identity *identity = birth;

	if (!IOService_init_super(self))
		return false;
	self->ivars = ivars_new();
	if (!self->ivars)
		return false;
	if (identity) {
		birth = NULL; /* a service that this one's init() makes has another identity */
		self->ivars->entry_id = identity->entry_id;
		self->ivars->provider = identity->provider;
		OSRetain((OS_OBJECT *)identity->provider);
		if (identity->entry_id)
			__atomic_or_fetch(&((OS_OBJECT *)self)->flags, OS_OBJECT_HOSTED,
					  __ATOMIC_RELAXED);
	}
	return install_default_queue(self) == kIOReturnSuccess;
}

void
IOService_free_Impl(IOService *self)
{
	if (self->ivars)
		ivars_free(self->ivars);
	IOService_free_super(self);
}

kern_return_t
adxi_service_new(const struct OSMetaClass *meta, const struct adxi_service_identity *identity,
		 IOService **ret_service)
{
	const struct adxi_service_identity *outer = birth;
	IOService *service = (IOService *)OSMetaClassAllocate(meta);

	if (!service)
		return kIOReturnNoMemory;
	birth = identity;
	bool ok = OSObject_init((OSObject *)service);
	birth = outer;
	if (ok && !service->ivars) {
		adxi_tell(ADXI_RULE_T28, "%s::init() does not call super::init()", meta->name);
		ok = false;
	}
	if (!ok) {
		OSRelease((OS_OBJECT *)service);
		return kIOReturnUnsupported;
	}
	*ret_service = service;
	return kIOReturnSuccess;
}

enum adxi_service_state
adxi_service_state(IOService *service)
{
	if (!service->ivars || OSIsRemote((OS_OBJECT *)service))
		return SERVICE_STOPPED;
	return __atomic_load_n(&service->ivars->state, __ATOMIC_ACQUIRE);
}

/* False: that is no move from where it is. */
static bool
move(IOService *service, enum adxi_service_state to)
{
	struct IOService_IVars *ivars = service->ivars;

	pthread_mutex_lock(&ivars->lock);
	enum adxi_service_state from = ivars->state;
	bool ok = moves[from] & 1u << to;
	if (ok)
		__atomic_store_n(&ivars->state, to, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&ivars->lock);
	log_debug("%s-0x%llx: %s -> %s%s", ((OS_OBJECT *)service)->meta->name,
		  (unsigned long long)ivars->entry_id, state_names[from], state_names[to],
		  ok ? "" : " refused");
	return ok;
}

void
adxi_service_set_state(IOService *service, enum adxi_service_state state)
{
	(void)move(service, state); /* a state that was passed already stays passed */
}

bool
adxi_service_accepts(IOService *service)
{
	return adxi_service_state(service) != SERVICE_STOPPED;
}

void
adxi_service_release_provider(IOService *service)
{
	pthread_mutex_lock(&service->ivars->lock);
	IOService *provider = service->ivars->provider;
	service->ivars->provider = NULL;
	pthread_mutex_unlock(&service->ivars->lock);
	OSRelease((OS_OBJECT *)provider);
}

/* ---------------------------------------------------------------------------------------------
 * Identity
 */

/* A proxy gets its storage when something is to be kept there; threads may race to be first. */
static struct IOService_IVars *
proxy_ivars(IOService *proxy)
{
	struct IOService_IVars *ivars = __atomic_load_n(&proxy->ivars, __ATOMIC_ACQUIRE), *mine;

	if (ivars)
		return ivars;
	mine = ivars_new();
	if (mine && !__atomic_compare_exchange_n(&proxy->ivars, &ivars, mine, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		ivars_free(mine);
		return ivars;
	}
	return mine;
}

void
adxi_service_set_entry_id(IOService *service, uint64_t entry_id)
{
	struct IOService_IVars *ivars = proxy_ivars(service);

	if (ivars)
		__atomic_store_n(&ivars->entry_id, entry_id, __ATOMIC_RELEASE);
}

uint64_t
adxi_service_entry_id(const IOService *service)
{
	struct IOService_IVars *ivars = __atomic_load_n(&service->ivars, __ATOMIC_ACQUIRE);
	uint64_t id = ivars ? __atomic_load_n(&ivars->entry_id, __ATOMIC_ACQUIRE) : 0;

	if (id || !OSIsRemote((const OS_OBJECT *)service))
		return id;
	if (IOService__GetEntryID((IOService *)service, &id) != kIOReturnSuccess)
		return 0;
	adxi_service_set_entry_id((IOService *)service, id);
	return id;
}

kern_return_t
IOService__GetEntryID_Impl(IOService *self, uint64_t *entryID)
{
	*entryID = self->ivars ? self->ivars->entry_id : 0;
	return *entryID ? kIOReturnSuccess : kIOReturnNotAttached;
}

kern_return_t
IOService_GetRegistryEntryID(IOService *self, uint64_t *registryEntryID)
{
	if (!registryEntryID)
		return kIOReturnBadArgument;
	*registryEntryID = adxi_service_entry_id(self);
	return *registryEntryID ? kIOReturnSuccess : kIOReturnNotAttached;
}

IOService *
IOService_GetProvider(const IOService *self)
{
	struct IOService_IVars *ivars = self->ivars;

	if (!ivars)
		return NULL;
	pthread_mutex_lock(&ivars->lock);
	IOService *provider = ivars->provider;
	pthread_mutex_unlock(&ivars->lock);
	return provider;
}

/* ---------------------------------------------------------------------------------------------
 * Queues
 */

static bool
is_default(const char *name)
{
	return !name || strcmp(name, kIOServiceDefaultQueueName) == 0;
}

static struct adxi_service_queue *
find_queue_locked(struct IOService_IVars *ivars, const char *name)
{
	bool wants_default = is_default(name);

	for (unsigned i = 0; i < ivars->n_queues; i++) {
		struct adxi_service_queue *q = &ivars->queues[i];

		if (wants_default ? !q->name : q->name && strcmp(q->name, name) == 0)
			return q;
	}
	return NULL;
}

struct adxi_queue *
adxi_service_queue(IOService *service, const char *name)
{
	struct IOService_IVars *ivars = service->ivars;
	struct adxi_service_queue *found;
	struct adxi_queue *queue = NULL;

	if (!ivars)
		return NULL;
	pthread_mutex_lock(&ivars->lock);
	found = find_queue_locked(ivars, name);
	if (!found)
		found = find_queue_locked(ivars, NULL);
	if (found && (queue = adxi_queue_of(found->queue)))
		adxi_queue_ref(queue);
	pthread_mutex_unlock(&ivars->lock);
	return queue;
}

static void
tell_unknown_queue(const OS_OBJECT *object, const char *name)
{
	struct adxi_buf known = { .limit = 1024 };

	for (const struct OSMetaClass *meta = object->meta; meta; meta = meta->super)
		for (uint32_t i = 0; i < meta->n_queues; i++)
			adxi_buf_printf(&known, ", %s", meta->queues[i]);
	adxi_tell(ADXI_RULE_T34, "SetDispatchQueue(\"%s\") on a %s, which knows Default%s", name,
		  object->meta->name, adxi_buf_text(&known));
	adxi_buf_done(&known);
}

static kern_return_t
put_queue_locked(struct IOService_IVars *ivars, const char *name, IODispatchQueue *queue,
		 IODispatchQueue **ret_old)
{
	struct adxi_service_queue *slot = find_queue_locked(ivars, name);

	if (!slot) {
		slot = realloc(ivars->queues, (ivars->n_queues + 1) * sizeof(*slot));
		if (!slot)
			return kIOReturnNoMemory;
		ivars->queues = slot;
		slot += ivars->n_queues;
		*slot = (struct adxi_service_queue){ .name = is_default(name) ? NULL
									      : strdup(name) };
		if (!is_default(name) && !slot->name)
			return kIOReturnNoMemory;
		ivars->n_queues++;
	}
	*ret_old = slot->queue;
	slot->queue = queue;
	OSRetain((OS_OBJECT *)queue);
	return kIOReturnSuccess;
}

kern_return_t
adxi_service_set_queue(OSObject *object, const char *name, IODispatchQueue *queue)
{
	IOService *service = (IOService *)OSMetaClassCast((OS_OBJECT *)object, &IOService_Class);
	IODispatchQueue *old = NULL;

	if (!service || OSIsRemote((OS_OBJECT *)object) || !service->ivars)
		return kIOReturnError;
	if (!name || !adxi_queue_of(queue))
		return kIOReturnBadArgument;
	if (!is_default(name) && !OSMetaClassHasQueue(((OS_OBJECT *)object)->meta, name)) {
		tell_unknown_queue((OS_OBJECT *)object, name);
		return kIOReturnBadArgument;
	}
	pthread_mutex_lock(&service->ivars->lock);
	kern_return_t ret = put_queue_locked(service->ivars, name, queue, &old);
	pthread_mutex_unlock(&service->ivars->lock);
	OSRelease((OS_OBJECT *)old);
	return ret;
}

kern_return_t
adxi_service_copy_queue(OSObject *object, const char *name, IODispatchQueue **ret_queue)
{
	IOService *service = (IOService *)OSMetaClassCast((OS_OBJECT *)object, &IOService_Class);
	struct adxi_service_queue *found;
	IODispatchQueue *queue = NULL;
	IOService *provider;

	if (!service || !service->ivars || OSIsRemote((OS_OBJECT *)object))
		return kIOReturnError;
	if (!name || !ret_queue)
		return kIOReturnBadArgument;
	pthread_mutex_lock(&service->ivars->lock);
	bool stopped = service->ivars->state == SERVICE_STOPPED;
	found = find_queue_locked(service->ivars, name);
	if (found && !stopped) {
		queue = found->queue;
		OSRetain((OS_OBJECT *)queue);
	}
	provider = service->ivars->provider;
	OSRetain((OS_OBJECT *)provider);
	pthread_mutex_unlock(&service->ivars->lock);
	kern_return_t ret = queue ? kIOReturnSuccess : stopped ? kIOReturnError : kIOReturnNotFound;
	if (queue)
		*ret_queue = queue;
	else if (!stopped && provider && !is_default(name) &&
		 !OSMetaClassHasQueue(((OS_OBJECT *)object)->meta, name) &&
		 !OSIsRemote((OS_OBJECT *)provider))
		ret = adxi_service_copy_queue((OSObject *)provider, name, ret_queue);
	OSRelease((OS_OBJECT *)provider);
	return ret;
}

kern_return_t
IOService_CreateDefaultDispatchQueue_Impl(IOService *self, IODispatchQueue **queue)
{
	char name[sizeof(IODispatchQueueName)] = "";

	strncat(name, ((OS_OBJECT *)self)->meta->name, sizeof(name) - sizeof(".Default"));
	strcat(name, ".Default");
	return IODispatchQueue_Create(name, 0, 0, queue);
}

/* ---------------------------------------------------------------------------------------------
 * Start and Stop
 */

kern_return_t
IOService_Start_Impl(IOService *self, IOService *provider)
{
	return kIOReturnSuccess;
}

kern_return_t
IOService_Stop_Impl(IOService *self, IOService *provider)
{
	ADXServer *server = adxi_process_server();
	uint64_t id = self->ivars->entry_id;

	if (!move(self, SERVICE_STOPPED))
		return kIOReturnSuccess; /* it was said before */
	return server && id ? ADXServer_Stopped(server, id) : kIOReturnSuccess;
}

kern_return_t
IOService_ClientCrashed_Impl(IOService *self, IOService *client, uint64_t options)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOService_NewUserClient_Impl(IOService *self, uint32_t type, IOUserClient **userClient)
{
	return kIOReturnError;
}

kern_return_t
IOService_SetPowerState_Impl(IOService *self, uint32_t powerFlags)
{
	return kIOReturnSuccess;
}

kern_return_t
IOService_ConfigureReport_Impl(IOService *self, OSData *channels, uint32_t action,
			       uint32_t *outCount)
{
	return kIOReturnUnsupported;
}

kern_return_t
IOService_UpdateReport_Impl(IOService *self, OSData *channels, uint32_t action, uint32_t *outCount,
			    uint64_t offset, uint64_t capacity, IOMemoryDescriptor *buffer)
{
	return kIOReturnUnsupported;
}
