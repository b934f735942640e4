/* SPDX-License-Identifier: MIT */
/* class IOServiceNotificationDispatchSource: services of this process that come and go. */

#include <stdlib.h>

#include <DriverKit/IOServiceNotificationDispatchSource.h>

#include "base/list.h"
#include "base/rules.h"
#include "driverkit/block.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/process.h"
#include "driverkit/service.h"
#include "driverkit/source.h"

enum { TERMINATED, MATCHED, N_TYPES };

struct pending {
	struct adxi_list link; /* in pending[] */
	IOService *service;    /* owned reference */
};

/* A service that was told as matched, so that its end can be told with the same object. */
struct known {
	struct adxi_list link; /* in known */
	uint64_t entry_id;
	IOService *service; /* owned reference */
};

struct IOServiceNotificationDispatchSource_IVars {
	struct adxi_source_state state;
	IOServiceNotificationDispatchSource *self;
	struct adxi_list pending[N_TYPES]; /* guarded by state.lock, as the next */
	struct adxi_list known;
	struct adxi_observation *matched, *terminated; /* owned */
};

static void
drop_pending(struct adxi_list *list)
{
	struct pending *p, *next;

	ADXI_LIST_EACH_SAFE(p, next, list, link) {
		adxi_list_remove(&p->link);
		OSRelease((OS_OBJECT *)p->service);
		free(p);
	}
}

static void
call_ready(OS_OBJECT *self, OSAction *action)
{
	IOServiceNotificationDispatchSource_ServiceNotificationReady(
		(IOServiceNotificationDispatchSource *)self, action);
}

static void
send_ready(IOServiceNotificationDispatchSource *self)
{
	struct adxi_source_state *state = &self->ivars->state;

	adxi_source_send(state, (OS_OBJECT *)self, adxi_source_action(state), call_ready);
}

static bool
has_pending(struct IOServiceNotificationDispatchSource_IVars *ivars)
{
	pthread_mutex_lock(&ivars->state.lock);
	bool has = !adxi_list_is_empty(&ivars->pending[TERMINATED]) ||
		   !adxi_list_is_empty(&ivars->pending[MATCHED]);
	pthread_mutex_unlock(&ivars->state.lock);
	return has;
}

/* @return whether the list of that type was empty before */
static bool
append_locked(struct IOServiceNotificationDispatchSource_IVars *ivars, int type, IOService *service)
{
	bool was_empty = adxi_list_is_empty(&ivars->pending[type]);
	struct pending *p = calloc(1, sizeof(*p));

	if (!p)
		return false;
	p->service = service;
	OSRetain((OS_OBJECT *)service);
	adxi_list_append(&ivars->pending[type], &p->link);
	return was_empty;
}

static void
services_matched(void *context, const uint64_t *ids, uint32_t n)
{
	IOServiceNotificationDispatchSource *self = context;
	struct IOServiceNotificationDispatchSource_IVars *ivars = self->ivars;
	bool ready = false;

	for (uint32_t i = 0; i < n; i++) {
		IOService *service = adxi_process_find(ids[i]);
		struct known *known = service ? calloc(1, sizeof(*known)) : NULL;

		if (!known) { /* another process's: macOS shows no such services either */
			OSRelease((OS_OBJECT *)service);
			continue;
		}
		known->entry_id = ids[i];
		known->service = service;
		pthread_mutex_lock(&ivars->state.lock);
		adxi_list_append(&ivars->known, &known->link);
		ready |= append_locked(ivars, MATCHED, service);
		pthread_mutex_unlock(&ivars->state.lock);
	}
	if (ready)
		send_ready(self);
}

static void
services_terminated(void *context, const uint64_t *ids, uint32_t n)
{
	IOServiceNotificationDispatchSource *self = context;
	struct IOServiceNotificationDispatchSource_IVars *ivars = self->ivars;
	struct known *known, *next;
	bool ready = false;

	for (uint32_t i = 0; i < n; i++) {
		struct known *gone = NULL;

		pthread_mutex_lock(&ivars->state.lock);
		ADXI_LIST_EACH_SAFE(known, next, &ivars->known, link)
			if (known->entry_id == ids[i])
				gone = known;
		if (gone) {
			adxi_list_remove(&gone->link);
			ready |= append_locked(ivars, TERMINATED, gone->service);
		}
		pthread_mutex_unlock(&ivars->state.lock);
		if (gone) {
			OSRelease((OS_OBJECT *)gone->service);
			free(gone);
		}
	}
	if (ready)
		send_ready(self);
}

kern_return_t
IOServiceNotificationDispatchSource_Create(OSDictionary *matching, uint64_t options,
					   IODispatchQueue *queue,
					   IOServiceNotificationDispatchSource **notification)
{
	IOServiceNotificationDispatchSource *self;
	kern_return_t ret;

	if (!matching || options || !adxi_queue_of(queue) || !notification)
		return kIOReturnBadArgument;
	self = adxi_source_object(&IOServiceNotificationDispatchSource_Class);
	if (!self)
		return kIOReturnNoMemory;
	self->ivars->state.queue = adxi_queue_ref(adxi_queue_of(queue));
	ret = adxi_observe("IOServiceTerminate", matching, services_terminated, self,
			   &self->ivars->terminated);
	if (ret == kIOReturnSuccess)
		ret = adxi_observe("IOServiceMatched", matching, services_matched, self,
				   &self->ivars->matched);
	if (ret != kIOReturnSuccess) {
		OSRelease((OS_OBJECT *)self);
		return ret == kIOReturnNoMemory || ret == kIOReturnBadArgument ? ret
									       : kIOReturnError;
	}
	*notification = self;
	return kIOReturnSuccess;
}

bool
IOServiceNotificationDispatchSource_init_Impl(IOServiceNotificationDispatchSource *self)
{
	if (!IOServiceNotificationDispatchSource_init_super(self))
		return false;
	self->ivars = calloc(1, sizeof(*self->ivars));
	if (!self->ivars)
		return false;
	adxi_source_state_init(&self->ivars->state);
	self->ivars->self = self;
	adxi_list_init(&self->ivars->known);
	for (int i = 0; i < N_TYPES; i++)
		adxi_list_init(&self->ivars->pending[i]);
	return true;
}

void
IOServiceNotificationDispatchSource_free_Impl(IOServiceNotificationDispatchSource *self)
{
	struct IOServiceNotificationDispatchSource_IVars *ivars = self->ivars;
	struct known *known, *next;

	if (ivars) {
		adxi_observe_end(ivars->matched);
		adxi_observe_end(ivars->terminated);
		for (int i = 0; i < N_TYPES; i++)
			drop_pending(&ivars->pending[i]);
		ADXI_LIST_EACH_SAFE(known, next, &ivars->known, link) {
			OSRelease((OS_OBJECT *)known->service);
			free(known);
		}
		adxi_source_state_done(&ivars->state);
		free(ivars);
	}
	IOServiceNotificationDispatchSource_free_super(self);
}

kern_return_t
IOServiceNotificationDispatchSource_SetHandler(IOServiceNotificationDispatchSource *self,
					       OSAction *action)
{
	struct IOServiceNotificationDispatchSource_IVars *ivars = self->ivars;

	if (!action) {
		adxi_tell(ADXI_RULE_T95, "IOServiceNotificationDispatchSource::SetHandler(NULL)");
		return kIOReturnBadArgument;
	}
	kern_return_t ret = adxi_source_set_action(&ivars->state, action);
	if (ret == kIOReturnSuccess && has_pending(ivars))
		send_ready(self);
	return ret;
}

kern_return_t
IOServiceNotificationDispatchSource_Cancel_f_Impl(IOServiceNotificationDispatchSource *self,
						  void *context, IODispatchFunction handler)
{
	return adxi_source_cancel(&self->ivars->state, (OS_OBJECT *)self, context, handler);
}

kern_return_t
IOServiceNotificationDispatchSource_SetEnableWithCompletion_f_Impl(
	IOServiceNotificationDispatchSource *self, bool enable, void *context,
	IODispatchFunction handler)
{
	kern_return_t ret =
		adxi_source_enable(&self->ivars->state, (OS_OBJECT *)self, enable, context, handler);

	if (ret == kIOReturnSuccess && enable && has_pending(self->ivars))
		send_ready(self); /* what came meanwhile was not told */
	return ret;
}

/* First of what is pending, terminations first. Service +1; NULL: nothing. */
static IOService *
take_next(struct IOServiceNotificationDispatchSource_IVars *ivars, uint64_t *type)
{
	struct pending *p = NULL;
	IOService *service;

	pthread_mutex_lock(&ivars->state.lock);
	for (int i = 0; i < N_TYPES && !p; i++) {
		p = ADXI_LIST_FIRST(&ivars->pending[i], struct pending, link);
		*type = (uint64_t)i;
	}
	if (p)
		adxi_list_remove(&p->link);
	pthread_mutex_unlock(&ivars->state.lock);
	if (!p)
		return NULL;
	service = p->service;
	free(p);
	return service;
}

kern_return_t
IOServiceNotificationDispatchSource_CopyNextNotification(IOServiceNotificationDispatchSource *self,
							 uint64_t *type, IOService **service,
							 uint64_t *options)
{
	*service = take_next(self->ivars, type);
	*options = 0;
	if (!*service)
		*type = kIOServiceNotificationTypeNone;
	return kIOReturnSuccess;
}

kern_return_t
IOServiceNotificationDispatchSource_DeliverNotifications_f(
	IOServiceNotificationDispatchSource *self, void *context,
	IOServiceNotificationFunction function)
{
	IOService *service;
	uint64_t type;

	if (!function)
		return kIOReturnBadArgument;
	while ((service = take_next(self->ivars, &type))) {
		function(context, type, service, 0);
		OSRelease((OS_OBJECT *)service);
	}
	return kIOReturnSuccess;
}

static void
notification_block(void *block, uint64_t type, IOService *service, uint64_t options)
{
	ADXI_BLOCK_INVOKE(block, void (*)(void *, uint64_t, IOService *, uint64_t))
	(block, type, service, options);
}

kern_return_t
IOServiceNotificationDispatchSource_DeliverNotifications(IOServiceNotificationDispatchSource *self,
							 IOServiceNotificationBlock block)
{
	return IOServiceNotificationDispatchSource_DeliverNotifications_f(
		self, (void *)block, block ? notification_block : NULL);
}
