/* SPDX-License-Identifier: MIT */
/* AsyncIO from the driver to the device and back, through the ring and by messages: while the pipe
 * is aborted and closed, actions are cancelled, the callbacks' queue ends, the driver or usbhost
 * lets go, and the plug is pulled. */

#include <string.h>

#include <DriverKit/IOBufferMemoryDescriptor.h>

#include "RaceTarget.iig.h"
#include "cases.h"
#include "driverkit/dispatch_queue.h"
#include "host.h"
#include "wire.h"

enum {
	ASKED,
	AGAIN,
	REFUSED,
	DONE,
	ABORTED,
	TIMED_OUT,
	GONE,
	LOST,
	CANCELLED,
	HANDLED,
	QUEUE_ENDED,
	ABORTS,
	CLOSED,
	DROPPED,
	UNPLUGGED,
	LOOKED,
};
enum { ACTIONS = 6, BUFFERS = 4, LENGTH = 512, CHAIN = 12, LONG_CHAIN = 60 };

struct io {
	OSAction *action; /* owned */
	_Atomic unsigned n_asked, n_ended;
	_Atomic bool in_flight, cancelled;
	_Atomic unsigned chain; /* times that the callback submits it again */
	bool handled;           /* on the queue, or after it */
	unsigned n_handled;
};

static struct {
	struct host_device *device;       /* owned */
	struct host_interface *interface; /* owned */
	struct host_pipe *pipe;           /* owned */
	IOUSBHostPipe *proxy;             /* owned by the driver */
	RaceTarget *target;               /* owned */
	struct adxi_queue *queue;         /* owned: the callbacks' */
	struct io io[ACTIONS];
	_Atomic bool unplugged, queue_ended, dropped;
	bool is_long; /* one transfer again and again, which usbhost looks at in the end */
	bool running;
	struct answer closed;
	bool closing;
	struct answer aborted;
	bool aborting;
} now;
static IOBufferMemoryDescriptor *buffers[BUFFERS]; /* owned */
static int alice;

static void
count_end(IOReturn status)
{
	switch ((uint32_t)status) {
	case (uint32_t)kIOReturnSuccess:
	case (uint32_t)kIOReturnOverrun: /* a read of no bytes where there are some */
		race_count(DONE);
		break;
	case (uint32_t)kIOReturnAborted:
		race_count(ABORTED);
		break;
	case (uint32_t)kIOReturnTimeout:
		race_count(TIMED_OUT);
		break;
	case (uint32_t)kIOReturnNoDevice:
		race_check(now.unplugged || now.dropped, "no device, and it is there");
		race_count(GONE);
		break;
	default:
		race_fail("a transfer ended with %#x", (unsigned)status);
	}
}

static void
ask(struct io *io)
{
	unsigned buffer = race_random(BUFFERS + 1);
	IOReturn status;

	io->in_flight = true;
	io->n_asked++; /* before: it may end before this returns */
	status = IOUSBHostPipe_AsyncIO(
		now.proxy, buffer < BUFFERS ? (IOMemoryDescriptor *)buffers[buffer] : NULL,
		buffer < BUFFERS ? LENGTH : 0, io->action, now.is_long ? 1 : race_random(3));
	if (status == kIOReturnSuccess) {
		race_count(ASKED);
		return;
	}
	io->n_asked--;
	io->in_flight = false;
	race_check(status == kIOReturnNotOpen || (status == kIOReturnNoDevice && now.unplugged) ||
			   (status == kIOReturnNotReady && now.dropped),
		   "AsyncIO: %#x", (unsigned)status);
	race_count(REFUSED);
}

void
RaceTarget_Ended_Impl(RaceTarget *self, OSAction *action, IOReturn status, uint32_t actual,
		      uint64_t time __attribute__((unused)))
{
	struct io *io = *(struct io **)OSAction_GetReference(action);

	race_check(self == now.target && io->action == action, "a callback of something else");
	race_check(!now.running, "two callbacks of one queue at once");
	now.running = true;
	race_check(!io->handled, "a callback runs after the cancel handler");
	race_check(io->in_flight && io->n_ended < io->n_asked,
		   "a transfer ends that is not in flight");
	race_check(actual <= LENGTH, "%u bytes", actual);
	count_end(status);
	io->n_ended++;
	io->in_flight = false;
	race_point();
	if (io->chain > 0) {
		io->chain--;
		race_count(AGAIN);
		ask(io);
	}
	now.running = false;
}

static void
handler(void *context)
{
	struct io *io = context;

	race_check(!io->handled, "a cancel handler runs twice");
	io->handled = true;
	io->n_handled++;
	race_count(HANDLED);
}

static void
create(void *unused __attribute__((unused)))
{
	for (unsigned i = 0; i < ACTIONS; i++) {
		race_check(RaceTarget_CreateActionEnded(now.target, sizeof(struct io *),
							&now.io[i].action) == kIOReturnSuccess,
			   "no action");
		*(struct io **)OSAction_GetReference(now.io[i].action) = &now.io[i];
	}
}

static void
begin(void)
{
	struct answer answer;

	for (unsigned i = 0; i < BUFFERS && !buffers[i]; i++)
		race_check(IOBufferMemoryDescriptor_Create(kIOMemoryDirectionInOut, LENGTH, 0,
							   &buffers[i]) == kIOReturnSuccess,
			   "no buffer");
	memset(&now, 0, sizeof now);
	now.device = host_begin();
	now.interface = host_device_interface(now.device, 0);
	answer_init(&answer);
	host_interface_open(now.interface, &alice, 0, answer_come, &answer);
	race_check(answer_wait(&answer) == kIOReturnSuccess, "open");
	host_device_wait(now.device);
	race_check(host_interface_pipe(now.interface, race_random(2) ? 0x81 : 0x01, &now.pipe) ==
			   kIOReturnSuccess,
		   "no pipe");
	wire_begin();
	now.proxy = wire_pipe(now.pipe);
	now.target = OSTypeAlloc(RaceTarget);
	race_check(now.target && RaceTarget_init(now.target), "no target");
	race_check(adxi_queue_new("callbacks", 0, &now.queue) == 0, "no queue");
	race_check(adxi_queue_sync(now.queue, create, NULL) == 0, "no actions");
	now.is_long = race_random(5) == 0;
	for (unsigned i = 0; i < ACTIONS; i++)
		now.io[i].chain = now.is_long           ? LONG_CHAIN
				  : race_random(3) == 0 ? race_random(CHAIN)
							: 0;
}

static void
end_requests(void)
{
	switch (race_random(3)) {
	case 0:
		now.closing = true;
		answer_init(&now.closed);
		host_interface_close(now.interface, &alice, answer_come, &now.closed);
		race_count(CLOSED);
		break;
	default:
		now.aborting = true;
		answer_init(&now.aborted);
		host_pipe_abort(now.pipe, kIOReturnAborted, answer_come, &now.aborted);
		race_count(ABORTS);
		break;
	}
}

static void
meddle(void)
{
	struct io *io = &now.io[race_random(ACTIONS)];

	switch (race_random(8)) {
	case 0:
		now.queue_ended = true;
		(void)adxi_queue_cancel(now.queue, NULL, NULL);
		race_count(QUEUE_ENDED);
		break;
	case 1:
		now.dropped = true;
		wire_drop(now.proxy);
		race_count(DROPPED);
		break;
	default:
		io->cancelled = true;
		io->chain = 0;
		race_check(OSAction_Cancel_f(io->action, io, handler) == kIOReturnSuccess,
			   "Cancel");
		race_count(CANCELLED);
		break;
	}
}

static void
actor(unsigned index)
{
	if (now.is_long && index != 0 && index != 3)
		return;
	switch (index) {
	case 0:
	case 1:
		for (unsigned i = index; i < (now.is_long ? 1 : ACTIONS); i += 2)
			ask(&now.io[i]);
		for (unsigned i = 0; now.is_long && i < 4 * LONG_CHAIN && now.io[0].chain > 0; i++)
			host_pass(1000000);
		break;
	case 2:
		end_requests();
		break;
	case 3:
		meddle();
		break;
	default:
		if (race_random(6) == 0) {
			now.unplugged = true;
			(void)host_unplug(now.device);
			race_count(UNPLUGGED);
		} else {
			host_pass((1 + race_random(3)) * 1000000);
		}
	}
}

static bool
pass(void)
{
	host_pass(1000000);
	return true;
}

/* Until nothing is under way. */
static void
settle(void)
{
	do {
		while (driver_work())
			;
		host_pipe_abort(now.pipe, kIOReturnAborted, NULL, NULL);
		host_device_wait(now.device);
	} while (driver_work() || host_queue_pending(&now.pipe->queue) > 0);
}

static void
check_io(unsigned index)
{
	struct io *io = &now.io[index];

	if (io->n_ended < io->n_asked) {
		race_check(io->cancelled || now.queue_ended,
			   "transfer %u was accepted %u times and ended %u times", index,
			   io->n_asked, io->n_ended);
		race_count(LOST);
	}
	race_check(io->n_ended <= io->n_asked,
		   "transfer %u was accepted %u times and ended %u times", index, io->n_asked,
		   io->n_ended);
	race_check(io->n_handled == io->cancelled, "%u cancel handlers", io->n_handled);
	race_check(OSGetRetainCount((OS_OBJECT *)io->action) == 1, "action %u has %u references",
		   index, (unsigned)OSGetRetainCount((OS_OBJECT *)io->action));
	OSSafeReleaseNULL(io->action);
}

static void
end(void)
{
	struct answer answer;

	for (unsigned i = 0; i < ACTIONS; i++)
		now.io[i].chain = 0;
	for (unsigned i = 0; i < wire_looks(); i++)
		race_count(LOOKED);
	settle();
	OSSafeReleaseNULL(now.proxy);
	settle();
	race_check(wire_rings() == 0, "%u rings are left", wire_rings());
	answer_init(&answer);
	host_interface_close(now.interface, &alice, answer_come, &answer);
	(void)answer_wait(&answer);
	race_check(!now.closing || answer_count(&now.closed) == 1, "close was answered %u times",
		   answer_count(&now.closed));
	race_check(!now.aborting || answer_count(&now.aborted) == 1, "abort was answered %u times",
		   answer_count(&now.aborted));
	for (unsigned i = 0; i < ACTIONS; i++)
		check_io(i);
	for (unsigned i = 0; i < BUFFERS; i++)
		race_check(OSGetRetainCount((OS_OBJECT *)buffers[i]) == 1,
			   "buffer %u has %u references", i,
			   (unsigned)OSGetRetainCount((OS_OBJECT *)buffers[i]));
	race_check(OSGetRetainCount((OS_OBJECT *)now.target) == 1, "the target has %u references",
		   (unsigned)OSGetRetainCount((OS_OBJECT *)now.target));
	OSSafeReleaseNULL(now.target);
	race_check(host_clients() == 0, "%u clients are held", host_clients());
	now.queue = adxi_queue_unref(now.queue);
	wire_end();
	race_check(now.pipe->queue.counters.submitted == now.pipe->queue.counters.completed,
		   "submitted and completed");
	(void)host_unref(now.pipe);
	(void)host_unref(now.interface);
	host_end(now.device);
}

const struct race_case race_ring = {
	.name = "ring",
	.n_actors = 5,
	.n_workers = 2,
	.begin = begin,
	.actor = actor,
	.work = driver_work,
	.time = pass,
	.end = end,
	.counters = { [ASKED] = "accepted",
		      [AGAIN] = "again by callbacks",
		      [REFUSED] = "refused",
		      [DONE] = "done",
		      [ABORTED] = "aborted",
		      [TIMED_OUT] = "timed out",
		      [GONE] = "gone",
		      [LOST] = "not called any more",
		      [CANCELLED] = "cancelled",
		      [HANDLED] = "cancel handlers",
		      [QUEUE_ENDED] = "queues ended",
		      [ABORTS] = "aborts",
		      [CLOSED] = "closes",
		      [DROPPED] = "let go by usbhost",
		      [UNPLUGGED] = "unplugs",
		      [LOOKED] = "looks" },
};
