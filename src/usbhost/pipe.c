/* SPDX-License-Identifier: MIT */
/* Endpoints of the current alternate setting. */

#include <errno.h>
#include <stdlib.h>

#include "usbhost/core.h"
#include "usbhost/status.h"

#define DESCRIPTOR_SS_COMPANION   0x30
#define DESCRIPTOR_SSP_COMPANION  0x31

static void
pipe_free(struct host_ref *ref)
{
	struct host_pipe *pipe = (struct host_pipe *)ref;
	struct host_device *device = pipe->interface->device;
	const struct host_counters *counters = &pipe->queue.counters;

	(void)pthread_mutex_lock(&device->lock);
	device->counters.submitted += counters->submitted;
	device->counters.completed += counters->completed;
	device->counters.refused += counters->refused;
	device->counters.bytes += counters->bytes;
	(void)pthread_mutex_unlock(&device->lock);
	host_queue_fini(&pipe->queue);
	(void)host_unref(pipe->interface);
	free(pipe);
}

IOReturn
host_interface_pipe(struct host_interface *interface, uint8_t address, struct host_pipe **ret_pipe)
{
	struct host_device *device = interface->device;
	const struct usb_setting_endpoint *endpoint;
	unsigned index = usb_endpoint_index(address);
	struct host_pipe *pipe;
	IOReturn r = kIOReturnSuccess;

	(void)pthread_mutex_lock(&device->lock);
	endpoint = &device->settings.endpoints[index];
	pipe = interface->pipes[index];
	if (device->gone || interface->gone) {
		r = kIOReturnNoDevice;
	} else if (interface->session.state != HOST_OPEN) {
		r = kIOReturnNotOpen;
	} else if (!endpoint->present || endpoint->address != address ||
		   endpoint->interface != interface->number) {
		r = kIOReturnNotFound;
	} else if (!pipe) {
		pipe = calloc(1, sizeof *pipe);
		if (pipe) {
			atomic_init(&pipe->ref.n, 1);
			pipe->ref.free = pipe_free;
			pipe->interface = host_ref(interface);
			pipe->endpoint = *endpoint;
			pipe->alternate = interface->alternate;
			host_queue_init(&pipe->queue, device->ops, device->backend, &pipe->ref,
					kIOReturnSuccess);
			interface->pipes[index] = pipe;
		} else {
			r = kIOReturnNoMemory;
		}
	}
	if (r == kIOReturnSuccess)
		*ret_pipe = host_ref(pipe);
	(void)pthread_mutex_unlock(&device->lock);
	return r;
}

void
host_pipes_end(struct host_interface *interface, IOReturn refuse, IOReturn error, bool kill,
	       struct host_barrier *barrier)
{
	struct host_device *device = interface->device;
	unsigned i;

	for (i = 0; i < USB_SETTINGS_ENDPOINTS; i++) {
		struct host_pipe *pipe;

		(void)pthread_mutex_lock(&device->lock);
		pipe = interface->pipes[i];
		if (kill)
			interface->pipes[i] = NULL;
		else if (pipe)
			(void)host_ref(pipe);
		(void)pthread_mutex_unlock(&device->lock);
		if (!pipe)
			continue;
		host_queue_refuse(&pipe->queue, kill ? kIOReturnNoDevice : refuse);
		host_queue_abort(&pipe->queue, error, barrier);
		(void)host_unref(pipe);
	}
}

bool
host_pipe_descriptors(const struct host_pipe *pipe, const uint8_t **ret_endpoint, const uint8_t **ret_ss,
		      const uint8_t **ret_ssp)
{
	const uint8_t *blob = pipe->interface->configuration;
	unsigned at, total = usb_get_u16(blob + 2);
	bool here = false, found = false;

	*ret_endpoint = *ret_ss = *ret_ssp = NULL;
	for (at = blob[0]; at < total; at += blob[at]) {
		const uint8_t *descriptor = blob + at;

		switch (descriptor[1]) {
		case USB_DESCRIPTOR_INTERFACE:
			if (found)
				return true;
			here = descriptor[2] == pipe->interface->number && descriptor[3] == pipe->alternate;
			break;
		case USB_DESCRIPTOR_ENDPOINT:
			if (found)
				return true;
			if (here && descriptor[2] == pipe->endpoint.address) {
				*ret_endpoint = descriptor;
				found = true;
			}
			break;
		case DESCRIPTOR_SS_COMPANION:
			if (found && descriptor[0] >= 6)
				*ret_ss = descriptor;
			break;
		case DESCRIPTOR_SSP_COMPANION:
			if (found && descriptor[0] >= 8)
				*ret_ssp = descriptor;
			break;
		default:
			break;
		}
	}
	return found;
}

/* ---------------------------------------------------------------------------------------------
 * What waits for aborted requests, and then perhaps for the bus
 */

struct step {
	struct host_barrier barrier;
	struct host_job job;              /* run NULL: nothing after the requests' end */
	struct host_interface *interface; /* owned reference */
	struct host_pipe *pipe;           /* owned reference, or NULL */
	uint8_t alternate;
	bool with_request;
	host_done *done;
	void *context;
};

static void
step_end(struct step *step, IOReturn status)
{
	step->done(step->context, status);
	(void)host_unref(step->pipe);
	(void)host_unref(step->interface);
	free(step);
}

static void
step_drained(struct host_barrier *barrier)
{
	struct step *step = (struct step *)barrier;
	int r;

	if (!step->job.run) {
		step_end(step, kIOReturnSuccess);
		return;
	}
	r = host_device_job(step->interface->device, &step->job);
	if (r < 0) /* else the job may have ended already, and the step with it */
		step_end(step, usb_error_return(r));
}

static struct step *
step_new(struct host_interface *interface, struct host_pipe *pipe, host_done *done, void *context)
{
	struct step *step = calloc(1, sizeof *step);

	if (!step) {
		done(context, kIOReturnNoMemory);
		return NULL;
	}
	host_barrier_init(&step->barrier, step_drained);
	step->interface = host_ref(interface);
	step->pipe = pipe ? host_ref(pipe) : NULL;
	step->done = done;
	step->context = context;
	return step;
}

void
host_pipe_abort(struct host_pipe *pipe, IOReturn error, host_done *done, void *context)
{
	struct step *step;

	if (!done) {
		host_queue_abort(&pipe->queue, error, NULL);
		return;
	}
	step = step_new(pipe->interface, pipe, done, context);
	if (!step)
		return;
	host_queue_abort(&pipe->queue, error, &step->barrier);
	host_barrier_leave(&step->barrier);
}

static IOReturn
pipe_state(struct host_pipe *pipe)
{
	IOReturn r;

	(void)pthread_mutex_lock(&pipe->queue.lock);
	r = pipe->queue.refuse;
	(void)pthread_mutex_unlock(&pipe->queue.lock);
	return r;
}

static void
clear_run(struct host_job *job)
{
	struct step *step = adxi_container_of(job, struct step, job);
	struct host_device *device = step->interface->device;
	IOReturn status = pipe_state(step->pipe);

	if (status == kIOReturnSuccess)
		status = usb_error_return(device->ops->clear_halt(device->backend, step->pipe->endpoint.address,
								  step->with_request));
	step_end(step, status);
}

void
host_pipe_clear_stall(struct host_pipe *pipe, bool with_request, host_done *done, void *context)
{
	IOReturn status = pipe_state(pipe);
	struct step *step;

	if (status != kIOReturnSuccess) {
		done(context, status);
		return;
	}
	step = step_new(pipe->interface, pipe, done, context);
	if (!step)
		return;
	step->job.run = clear_run;
	step->with_request = with_request;
	host_queue_abort(&pipe->queue, kIOReturnAborted, &step->barrier);
	host_barrier_leave(&step->barrier);
}

static void
select_run(struct host_job *job)
{
	struct step *step = adxi_container_of(job, struct step, job);
	struct host_interface *interface = step->interface;
	struct host_device *device = interface->device;
	int r = -ENODEV;

	if (interface->claimed)
		r = device->ops->set_alternate(device->backend, interface->number, step->alternate);
	if (r == 0) {
		(void)pthread_mutex_lock(&device->lock);
		if (!interface->gone) {
			interface->alternate = step->alternate;
			(void)usb_settings_alternate(&device->settings, interface->number, step->alternate);
		}
		(void)pthread_mutex_unlock(&device->lock);
	}
	step_end(step, usb_error_return(r));
}

void
host_interface_select(struct host_interface *interface, uint8_t alternate, host_done *done, void *context)
{
	IOReturn status = kIOReturnSuccess;
	struct step *step;

	(void)pthread_mutex_lock(&interface->device->lock);
	if (interface->gone || interface->device->gone)
		status = kIOReturnNoDevice;
	else if (interface->session.state != HOST_OPEN)
		status = kIOReturnNotOpen;
	else if (!usb_configuration_has(interface->configuration, interface->number, alternate))
		status = kIOReturnNotFound;
	(void)pthread_mutex_unlock(&interface->device->lock);
	if (status != kIOReturnSuccess) {
		done(context, status);
		return;
	}
	step = step_new(interface, NULL, done, context);
	if (!step)
		return;
	step->job.run = select_run;
	step->alternate = alternate;
	host_pipes_end(interface, kIOReturnNoDevice, kIOReturnAborted, true, &step->barrier);
	host_barrier_leave(&step->barrier);
}
