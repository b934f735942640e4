/* SPDX-License-Identifier: MIT */
/* The stubs of the pipe's and the completions' messages, replaced by the linker: what they say goes
 * through two queues. */

#include "wire.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <USBDriverKit/ADXUSBCompletions.h>

#include "channel/memory_object.h"
#include "driverkit/invoke.h"
#include "driverkit/queue.h"
#include "object/containers.h"
#include "object/remote.h"
#include "race.h"
#include "usbhost/look.h"
#include "usbhost/request.h"
#include "usbhost/ring.h"

/* What a driver's proxy stands for. */
struct end {
	struct OSRemote remote;
	struct host_pipe *pipe; /* owned */
	pthread_mutex_t lock;   /* guards the next */
	struct host_ring *ring; /* owned; NULL: none */
};

/* usbhost's right on a driver's completions. */
struct right {
	struct OSRemote remote;
	ADXUSBCompletions *completions; /* owned */
};

static struct adxi_queue *up, *down; /* owned: to usbhost, to the driver */
static _Atomic unsigned n_looks, n_rings, n_looking;
static uint64_t now_ns;

/* ---------------------------------------------------------------------------------------------
 * Clock, processors, the looking thread: drawn, so that a schedule can be had again
 */

uint64_t __wrap_adxi_now_ns(void);
int __wrap_sched_getcpu(void);

uint64_t
__wrap_adxi_now_ns(void)
{
	return __atomic_add_fetch(&now_ns, 500, __ATOMIC_RELAXED);
}

int
__wrap_sched_getcpu(void)
{
	return (int)race_random(2);
}

struct looker {
	void (*look)(void *context);
	void *context;
};

static void *
looker_main(void *context)
{
	struct looker looker = *(struct looker *)context;

	free(context);
	looker.look(looker.context);
	n_looking = 0;
	return NULL;
}

bool
host_look_begin(unsigned not_on __attribute__((unused)), void (*look)(void *context), void *context)
{
	struct looker *looker;

	if (!race_is_inside() || atomic_exchange(&n_looking, 1))
		return false;
	looker = malloc(sizeof *looker);
	race_check(looker, "no memory");
	*looker = (struct looker){ look, context };
	n_looks++;
	race_spawn(looker_main, looker);
	return true;
}

unsigned
wire_looks(void)
{
	return n_looks;
}

unsigned
wire_rings(void)
{
	return n_rings;
}

/* As usbhost's request.c does it, without its words. */
IOReturn
request_buffer(IOMemoryDescriptor *buffer, uint32_t length, bool in __attribute__((unused)),
	       const char *what __attribute__((unused)), uint8_t **ret_data)
{
	struct adxi_memory *memory = adxi_memory_of((OS_OBJECT *)buffer);
	void *address;

	*ret_data = NULL;
	if (length == 0)
		return kIOReturnSuccess;
	if (!memory || adxi_memory_capacity(memory) < length ||
	    adxi_memory_address(memory, &address) < 0)
		return kIOReturnBadArgument;
	*ret_data = address;
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * To the driver
 */

static void
right_released(void *context)
{
	ADXUSBCompletions *completions = context;

	((OS_OBJECT *)completions)->meta->hooks->no_senders((OS_OBJECT *)completions);
	OSRelease((OS_OBJECT *)completions);
	n_rings--;
}

static void
right_release(struct OSRemote *remote, OS_OBJECT *proxy __attribute__((unused)))
{
	struct right *right = (struct right *)remote;

	race_check(adxi_queue_async_f(down, right_released, NULL, right->completions) == 0,
		   "no memory");
	free(right);
}

static void
rung(void *context)
{
	ADXUSBCompletions_Completed_Impl(context);
	OSRelease(context);
}

void __wrap_ADXUSBCompletions_Completed(ADXUSBCompletions *self);

void
__wrap_ADXUSBCompletions_Completed(ADXUSBCompletions *self)
{
	struct right *right = (struct right *)((OS_OBJECT *)self)->remote;

	OSRetain((OS_OBJECT *)right->completions);
	race_check(adxi_queue_async_f(down, rung, NULL, right->completions) == 0, "no memory");
}

static ADXUSBCompletions *
right_new(ADXUSBCompletions *completions)
{
	static const struct OSRemoteOps ops = { .release = right_release };
	struct right *right = malloc(sizeof *right);

	race_check(right, "no memory");
	*right = (struct right){ { &ops }, completions };
	OSRetain((OS_OBJECT *)completions);
	n_rings++;
	return (ADXUSBCompletions *)OSRemoteCreateProxy(&ADXUSBCompletions_Class, &right->remote);
}

/* ---------------------------------------------------------------------------------------------
 * To usbhost
 */

static struct end *
end_of(IOUSBHostPipe *self)
{
	return (struct end *)((OS_OBJECT *)self)->remote;
}

static struct host_ring *
copy_ring(struct end *end)
{
	struct host_ring *ring;

	(void)pthread_mutex_lock(&end->lock);
	ring = end->ring ? host_ref(end->ring) : NULL;
	(void)pthread_mutex_unlock(&end->lock);
	return ring;
}

static void
drop(struct end *end)
{
	struct host_ring *ring;

	(void)pthread_mutex_lock(&end->lock);
	ring = end->ring;
	end->ring = NULL;
	(void)pthread_mutex_unlock(&end->lock);
	(void)host_unref(ring);
}

static void
end_free(void *context)
{
	struct end *end = context;

	drop(end);
	(void)host_unref(end->pipe);
	(void)pthread_mutex_destroy(&end->lock);
	free(end);
}

/* The driver's last reference to its proxy is gone. */
static void
end_release(struct OSRemote *remote, OS_OBJECT *proxy __attribute__((unused)))
{
	race_check(adxi_queue_async_f(up, end_free, NULL, remote) == 0, "no memory");
}

struct call {
	struct end *end;
	ADXUSBCompletions *completions;
	IOMemoryDescriptor **memory, *buffer;
	uint8_t *address;
	uint32_t number, length, timeout_ms;
	OSAction *action;
	IOReturn status;
};

static IOReturn
call_usbhost(void (*run)(void *context), struct call *call)
{
	race_check(adxi_queue_sync(up, run, call) == 0, "a call did not arrive");
	return call->status;
}

static void
create_ring(void *context)
{
	struct call *call = context;
	struct end *end = call->end;
	ADXUSBCompletions *right = right_new(call->completions);
	struct host_ring *ring = host_ring_new(end->pipe, right);

	OSRelease((OS_OBJECT *)right);
	race_check(ring && !end->ring, "no ring, or a second one");
	*call->memory = adxi_retain(host_ring_memory(ring));
	*call->address = end->pipe->endpoint.address;
	(void)pthread_mutex_lock(&end->lock);
	end->ring = ring;
	(void)pthread_mutex_unlock(&end->lock);
	call->status = kIOReturnSuccess;
}

kern_return_t __wrap_IOUSBHostPipe__CreateRing(IOUSBHostPipe *self, ADXUSBCompletions *completions,
					       IOMemoryDescriptor **memory, uint8_t *address);
kern_return_t __wrap_IOUSBHostPipe__SetBuffer(IOUSBHostPipe *self, uint32_t index,
					      IOMemoryDescriptor *buffer);
kern_return_t __wrap_IOUSBHostPipe__Submit(IOUSBHostPipe *self, uint32_t cookie,
					   IOMemoryDescriptor *buffer, uint32_t length,
					   uint32_t timeout_ms);
void __wrap_IOUSBHostPipe__Submitted(IOUSBHostPipe *self);
kern_return_t __wrap_IOUSBHostPipe__AsyncIO(IOUSBHostPipe *self, IOMemoryDescriptor *buffer,
					    uint32_t length, OSAction *action, uint32_t timeout_ms);

kern_return_t
__wrap_IOUSBHostPipe__CreateRing(IOUSBHostPipe *self, ADXUSBCompletions *completions,
				 IOMemoryDescriptor **memory, uint8_t *address)
{
	return call_usbhost(create_ring, &(struct call){ .end = end_of(self),
							 .completions = completions,
							 .memory = memory,
							 .address = address });
}

static void
set_buffer(void *context)
{
	struct call *call = context;
	struct host_ring *ring = copy_ring(call->end);

	call->status =
		ring ? host_ring_set_buffer(ring, call->number, call->buffer) : kIOReturnNotReady;
	(void)host_unref(ring);
}

kern_return_t
__wrap_IOUSBHostPipe__SetBuffer(IOUSBHostPipe *self, uint32_t index, IOMemoryDescriptor *buffer)
{
	return call_usbhost(
		set_buffer,
		&(struct call){ .end = end_of(self), .number = index, .buffer = buffer });
}

static void
submit(void *context)
{
	struct call *call = context;
	struct host_ring *ring = copy_ring(call->end);
	uint8_t *data;

	call->status = ring ? request_buffer(call->buffer, call->length, false, "", &data)
			    : kIOReturnNotReady;
	if (call->status == kIOReturnSuccess)
		call->status = host_ring_submit(ring, call->number, call->buffer, data,
						call->length, call->timeout_ms);
	(void)host_unref(ring);
}

kern_return_t
__wrap_IOUSBHostPipe__Submit(IOUSBHostPipe *self, uint32_t cookie, IOMemoryDescriptor *buffer,
			     uint32_t length, uint32_t timeout_ms)
{
	return call_usbhost(submit, &(struct call){ .end = end_of(self),
						    .number = cookie,
						    .buffer = buffer,
						    .length = length,
						    .timeout_ms = timeout_ms });
}

struct bell {
	struct end *end;
	IOUSBHostPipe *proxy; /* owned: keeps end */
};

static void
submitted(void *context)
{
	struct bell *bell = context;
	struct host_ring *ring = copy_ring(bell->end);

	host_ring_rung(ring);
	(void)host_unref(ring);
	OSRelease((OS_OBJECT *)bell->proxy);
	free(bell);
}

void
__wrap_IOUSBHostPipe__Submitted(IOUSBHostPipe *self)
{
	struct bell *bell = malloc(sizeof *bell);

	race_check(bell, "no memory");
	OSRetain((OS_OBJECT *)self);
	*bell = (struct bell){ end_of(self), self };
	race_check(adxi_queue_async_f(up, submitted, NULL, bell) == 0, "no memory");
}

/* A request by a message, whose completion is a message, too. */
struct message {
	struct host_request base;
	OSAction *action;           /* owned */
	IOMemoryDescriptor *buffer; /* owned */
};

static void
message_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	IOUSBHostPipe_CompleteAsyncIO(NULL, ((struct message *)base)->action, status, actual,
				      time_ns);
}

static void
message_free(struct host_request *base)
{
	struct message *message = (struct message *)base;

	adxi_release(message->action);
	adxi_release(message->buffer);
	free(message);
}

static void
async_io(void *context)
{
	struct call *call = context;
	struct host_pipe *pipe = call->end->pipe;
	struct host_ring *ring = copy_ring(call->end);
	struct message *message;
	uint8_t *data;

	host_ring_take(ring);
	(void)host_unref(ring);
	call->status = request_buffer(call->buffer, call->length, false, "", &data);
	if (call->status != kIOReturnSuccess)
		return;
	message = calloc(1, sizeof *message);
	race_check(message, "no memory");
	adxi_list_init(&message->base.link);
	message->base.end = message_end;
	message->base.free = message_free;
	message->base.transfer = (struct usb_transfer){
		.endpoint = pipe->endpoint.address,
		.type = pipe->endpoint.type,
		.length = call->length,
		.timeout_ms = call->timeout_ms,
		.data = data,
	};
	message->action = adxi_retain(call->action);
	message->buffer = adxi_retain(call->buffer);
	call->status = host_queue_submit(&pipe->queue, &message->base);
}

kern_return_t
__wrap_IOUSBHostPipe__AsyncIO(IOUSBHostPipe *self, IOMemoryDescriptor *buffer, uint32_t length,
			      OSAction *action, uint32_t timeout_ms)
{
	return call_usbhost(async_io, &(struct call){ .end = end_of(self),
						      .buffer = buffer,
						      .length = length,
						      .action = action,
						      .timeout_ms = timeout_ms });
}

/* ---------------------------------------------------------------------------------------------
 * Life
 */

void
wire_begin(void)
{
	n_looks = 0;
	race_check(adxi_queue_new("up", 0, &up) == 0 && adxi_queue_new("down", 0, &down) == 0,
		   "no queue");
}

void
wire_end(void)
{
	up = adxi_queue_unref(up);
	down = adxi_queue_unref(down);
}

IOUSBHostPipe *
wire_pipe(struct host_pipe *pipe)
{
	static const struct OSRemoteOps ops = { .release = end_release };
	struct end *end = calloc(1, sizeof *end);

	race_check(end, "no memory");
	end->remote.ops = &ops;
	end->pipe = host_ref(pipe);
	(void)pthread_mutex_init(&end->lock, NULL);
	return (IOUSBHostPipe *)OSRemoteCreateProxy(&IOUSBHostPipe_Class, &end->remote);
}

static void
dropped(void *context)
{
	IOUSBHostPipe *proxy = context;

	drop(end_of(proxy));
	OSRelease((OS_OBJECT *)proxy);
}

void
wire_drop(IOUSBHostPipe *proxy)
{
	OSRetain((OS_OBJECT *)proxy);
	race_check(adxi_queue_async_f(up, dropped, NULL, proxy) == 0, "no memory");
}
