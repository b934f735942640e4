/* SPDX-License-Identifier: MIT */
/* Pipes of usbhost: transfers that are submitted while others abort them, close, open and reset,
 * time passes, and the plug is pulled. */

#include <string.h>

#include <USBDriverKit/IOUSBHostFamilyDefinitions.h>

#include "cases.h"
#include "host.h"

enum {
	SUBMITTED,
	NOT_OPEN,
	NO_DEVICE,
	DONE,
	ABORTED,
	TIMED_OUT,
	GONE,
	ABORTS,
	CLEARED,
	SELECTED,
	CLOSED,
	OPENED,
	REFUSED_OPEN,
	RESET,
	UNPLUGGED,
};
enum { PER_SENDER = 6, SENDERS = 2, LENGTH = 512, ANSWERS = 8 };

struct io {
	struct host_request base;
	_Atomic unsigned n_accepted, n_ended, n_freed;
	uint8_t data[LENGTH];
};

/* Something that ends requests, and what had been accepted when it began. */
struct asked {
	struct answer answer;
	bool accepted[SENDERS][PER_SENDER];
	bool drains;
};

static struct {
	struct host_device *device;       /* owned */
	struct host_interface *interface; /* owned */
	struct host_pipe *pipes[SENDERS]; /* owned */
	struct io io[SENDERS][PER_SENDER];
	struct asked asked[ANSWERS];
	_Atomic unsigned n_asked;
	_Atomic bool unplugged;
} now;
static int alice, bob; /* clients */

static void
ended(struct host_request *base, IOReturn status, uint32_t actual,
      uint64_t time_ns __attribute__((unused)))
{
	struct io *io = (struct io *)base;

	race_check(io->n_freed == 0 && io->n_ended == 0, "a transfer ends twice");
	io->n_ended++;
	race_check(actual <= LENGTH, "%u bytes", actual);
	switch ((uint32_t)status) {
	case (uint32_t)kIOReturnSuccess:
		race_count(DONE);
		break;
	case (uint32_t)kIOReturnAborted:
		race_count(ABORTED);
		break;
	case (uint32_t)kIOReturnTimeout:
		race_count(TIMED_OUT);
		break;
	case (uint32_t)kIOReturnNoDevice:
		race_check(now.unplugged, "no device, and it is there");
		race_count(GONE);
		break;
	default:
		race_fail("a transfer ended with %#x", (unsigned)status);
	}
}

static void
freed(struct host_request *base)
{
	struct io *io = (struct io *)base;

	race_check(io->n_freed == 0, "a request is freed twice");
	io->n_freed++;
}

static void
submit(unsigned sender)
{
	struct host_pipe *pipe = now.pipes[sender];

	for (unsigned i = 0; i < PER_SENDER; i++) {
		struct io *io = &now.io[sender][i];
		IOReturn status;

		adxi_list_init(&io->base.link);
		io->base.end = ended;
		io->base.free = freed;
		io->base.transfer = (struct usb_transfer){
			.endpoint = pipe->endpoint.address,
			.type = pipe->endpoint.type,
			.length = LENGTH,
			.timeout_ms = race_random(3),
			.data = io->data,
		};
		status = host_queue_submit(&pipe->queue, &io->base);
		if (status == kIOReturnSuccess) {
			io->n_accepted++;
			race_count(SUBMITTED);
			continue;
		}
		race_check(io->n_ended == 0, "a refused transfer ended");
		race_check(io->n_freed == 1, "a refused request was freed %u times", io->n_freed);
		race_check(status == kIOReturnNotOpen || status == kIOReturnNoDevice, "submit: %#x",
			   (unsigned)status);
		race_count(status == kIOReturnNotOpen ? NOT_OPEN : NO_DEVICE);
	}
}

/* What was accepted before is to have ended when the answer comes. */
static struct asked *
ask(bool drains)
{
	struct asked *asked = &now.asked[now.n_asked++];

	answer_init(&asked->answer);
	asked->drains = drains;
	for (unsigned s = 0; s < SENDERS; s++)
		for (unsigned i = 0; i < PER_SENDER; i++)
			asked->accepted[s][i] = now.io[s][i].n_accepted > 0;
	return asked;
}

static void
answered(void *context, IOReturn status)
{
	struct asked *asked = context;
	bool was_closed = status == kIOReturnSuccess && asked->drains;

	for (unsigned s = 0; s < SENDERS && was_closed && !now.unplugged; s++)
		for (unsigned i = 0; i < PER_SENDER; i++)
			race_check(!asked->accepted[s][i] || now.io[s][i].n_ended > 0,
				   "transfer %u of %u has not ended, and the answer comes", i, s);
	answer_come(&asked->answer, status);
}

static void
abort_one(unsigned sender)
{
	struct asked *asked = ask(false);

	for (unsigned i = 0; i < PER_SENDER; i++) /* the other pipe's are not concerned */
		asked->accepted[!sender][i] = false;
	asked->drains = true;
	if (race_random(3) == 0) {
		host_pipe_clear_stall(now.pipes[sender], true, answered, asked);
		race_count(CLEARED);
	} else {
		host_pipe_abort(now.pipes[sender], kIOReturnAborted, answered, asked);
		race_count(ABORTS);
	}
}

static void
open_as(void *client)
{
	struct asked *asked = ask(false);
	IOReturn status;

	host_interface_open(now.interface, client, 0, answered, asked);
	status = answer_wait(&asked->answer);
	race_check(status == kIOReturnSuccess || status == kIOReturnExclusiveAccess ||
			   (status == kIOReturnNoDevice && now.unplugged),
		   "open: %#x", (unsigned)status);
	race_count(status == kIOReturnSuccess ? OPENED : REFUSED_OPEN);
}

static void
close_as(void *client)
{
	struct asked *asked = ask(client == &alice);

	host_interface_close(now.interface, client, answered, asked);
	race_count(CLOSED);
}

static bool
is_alice(void *client, void *context __attribute__((unused)))
{
	return client == &alice;
}

static void
meddle(void)
{
	struct asked *asked;

	switch (race_random(6)) {
	case 0:
		asked = ask(false);
		host_interface_select(now.interface, 0, answered, asked);
		race_count(SELECTED);
		break;
	case 1:
		asked = ask(false);
		host_reset(now.device, answered, asked);
		race_count(RESET);
		break;
	case 2:
		usbhost_clients_gone(now.device->host, is_alice, NULL);
		break;
	case 3:
		open_as(&bob);
		close_as(&bob);
		break;
	default:
		close_as(&alice);
		if (race_random(2))
			open_as(&bob);
		break;
	}
}

static void
begin(void)
{
	static const uint8_t addresses[SENDERS] = { 0x01, 0x81 };
	struct answer answer;

	memset(&now, 0, sizeof now);
	now.device = host_begin();
	now.interface = host_device_interface(now.device, 0);
	race_check(now.interface, "no interface");
	answer_init(&answer);
	host_interface_open(now.interface, &alice, 0, answer_come, &answer);
	race_check(answer_wait(&answer) == kIOReturnSuccess, "open: %#x", (unsigned)answer.status);
	for (unsigned s = 0; s < SENDERS; s++)
		race_check(host_interface_pipe(now.interface, addresses[s], &now.pipes[s]) ==
				   kIOReturnSuccess,
			   "no pipe");
	host_device_wait(now.device); /* its thread is none of the schedule's */
}

static void
actor(unsigned index)
{
	switch (index) {
	case 0:
	case 1:
		submit(index);
		break;
	case 2:
		abort_one(race_random(2));
		break;
	case 3:
		meddle();
		break;
	default:
		if (race_random(4) == 0) {
			now.unplugged = true;
			(void)host_unplug(now.device);
			race_count(UNPLUGGED);
		} else {
			host_pass((1 + race_random(3)) * 1000000);
		}
	}
}

/* Answers may wait for the bus; nothing waits for a worker. */
static bool
work(void)
{
	return false;
}

static bool
pass(void)
{
	host_pass(1000000);
	return true;
}

static void
end(void)
{
	struct answer answer;
	IOReturn status = kIOReturnSuccess;

	for (unsigned s = 0; s < SENDERS; s++) {
		host_pipe_abort(now.pipes[s], kIOReturnAborted, NULL, NULL);
		race_check(host_queue_pending(&now.pipes[s]->queue) == 0,
			   "%u are pending after an abort",
			   host_queue_pending(&now.pipes[s]->queue));
	}
	host_device_wait(now.device);
	for (unsigned c = 0; c < 2; c++) {
		answer_init(&answer);
		host_interface_close(now.interface, c ? &bob : &alice, answer_come, &answer);
		status = answer_wait(&answer);
		race_check(status == kIOReturnSuccess || status == kIOReturnNotOpen, "close: %#x",
			   (unsigned)status);
	}
	for (unsigned s = 0; s < SENDERS; s++)
		for (unsigned i = 0; i < PER_SENDER; i++) {
			struct io *io = &now.io[s][i];

			race_check(io->n_ended == io->n_accepted,
				   "transfer %u of %u was accepted %u times and ended %u times", i,
				   s, io->n_accepted, io->n_ended);
			race_check(io->n_freed == 1, "transfer %u of %u was freed %u times", i, s,
				   io->n_freed);
		}
	for (unsigned i = 0; i < now.n_asked; i++)
		race_check(answer_count(&now.asked[i].answer) == 1, "answer %u came %u times", i,
			   answer_count(&now.asked[i].answer));
	race_check(host_clients() == 0, "%u clients are held", host_clients());
	for (unsigned s = 0; s < SENDERS; s++) {
		race_check(now.pipes[s]->queue.counters.submitted ==
				   now.pipes[s]->queue.counters.completed,
			   "submitted and completed");
		(void)host_unref(now.pipes[s]);
	}
	(void)host_unref(now.interface);
	host_end(now.device);
}

const struct race_case race_pipe = {
	.name = "pipe",
	.n_actors = 5,
	.n_workers = 1,
	.begin = begin,
	.actor = actor,
	.work = work,
	.time = pass,
	.end = end,
	.counters = { [SUBMITTED] = "submitted",
		      [NOT_OPEN] = "refused: not open",
		      [NO_DEVICE] = "refused: no device",
		      [DONE] = "done",
		      [ABORTED] = "aborted",
		      [TIMED_OUT] = "timed out",
		      [GONE] = "ended by the unplug",
		      [ABORTS] = "aborts",
		      [CLEARED] = "stalls cleared",
		      [SELECTED] = "settings",
		      [CLOSED] = "closes",
		      [OPENED] = "opens",
		      [REFUSED_OPEN] = "opens refused",
		      [RESET] = "resets",
		      [UNPLUGGED] = "unplugs" },
};
