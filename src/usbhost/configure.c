/* SPDX-License-Identifier: MIT */
/* Configurations, and the interfaces that they bring and take. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <USBDriverKit/IOUSBHostFamilyDefinitions.h>

#include "base/clock.h"
#include "usbhost/core.h"
#include "usbhost/status.h"

#define LOG_TOPIC "usb.device"
#include "base/log.h"

#define CLASS_COMPOSITE      0x00
#define CLASS_MISCELLANEOUS  0xEF

static void
interface_free(struct host_ref *ref)
{
	struct host_interface *interface = (struct host_interface *)ref;

	log_debug("interface %u is let go of", interface->number);

	host_queue_fini(&interface->session.control);
	free(interface->name);
	(void)host_unref(interface->device);
	free(interface);
}

static struct host_interface *
interface_new(struct host_device *device, const uint8_t *configuration, uint8_t number)
{
	struct host_interface *interface = calloc(1, sizeof *interface);

	if (!interface)
		return NULL;
	atomic_init(&interface->ref.n, 1);
	interface->ref.free = interface_free;
	interface->device = host_ref(device);
	interface->configuration = configuration;
	interface->number = number;
	adxi_list_init(&interface->session.waiting);
	host_queue_init(&interface->session.control, device->ops, device->own.device, &interface->ref,
			kIOReturnNotOpen);
	return interface;
}

/* Index of the string that names the interface's setting 0. */
static uint8_t
string_index(const uint8_t *configuration, uint8_t number)
{
	unsigned at, total = usb_get_u16(configuration + 2);

	for (at = configuration[0]; at < total; at += configuration[at])
		if (configuration[at + 1] == USB_DESCRIPTOR_INTERFACE && configuration[at + 2] == number &&
		    configuration[at + 3] == 0)
			return configuration[at + 8];
	return 0;
}

/* Make and publish what the current configuration has. Job thread. */
static void
publish_interfaces(struct host_device *device, bool match)
{
	const uint8_t *configuration = device->settings.configuration; /* changed on this thread only */
	unsigned number, string;

	for (number = 0; configuration && number < 256; number++) {
		struct host_interface *interface;
		bool late;

		if (!usb_configuration_has(configuration, (uint8_t)number, 0))
			continue;
		interface = interface_new(device, configuration, (uint8_t)number);
		if (!interface)
			break;
		string = string_index(configuration, interface->number);
		if (string)
			interface->name = host_copy_string(device, (uint8_t)string);
		(void)pthread_mutex_lock(&device->lock);
		if (device->gone || device->n_interfaces == HOST_MAX_INTERFACES) {
			(void)pthread_mutex_unlock(&device->lock);
			(void)host_unref(interface);
			break;
		}
		device->interfaces[device->n_interfaces++] = host_ref(interface);
		(void)pthread_mutex_unlock(&device->lock);

		if (device->host->nubs->interface_new(device->host->userdata, interface, match) == 0) {
			(void)pthread_mutex_lock(&device->lock);
			interface->published = true;
			late = interface->gone;
			(void)pthread_mutex_unlock(&device->lock);
			if (late)
				device->host->nubs->interface_gone(device->host->userdata, interface);
		}
		(void)host_unref(interface);
	}
}

static void
configure_locked(struct host_device *device, uint8_t value)
{
	unsigned i;

	usb_settings_configure(&device->settings, NULL);
	for (i = 0; value && i < device->n_configurations; i++)
		if (device->configurations[i][5] == value)
			usb_settings_configure(&device->settings, device->configurations[i]);
}

static int
set_configuration(struct host_device *device, uint8_t value)
{
	int r = device->ops->set_configuration(device->backend, value);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&device->lock);
	configure_locked(device, value);
	(void)pthread_mutex_unlock(&device->lock);
	device->host->nubs->configured(device->host->userdata, device, value);
	return 0;
}

struct start_job {
	struct host_job job;
	struct host_device *device; /* owned reference */
};

static void
start_run(struct host_job *job)
{
	struct start_job *start = (struct start_job *)job;
	struct host_device *device = start->device;
	int r = 0;

	if (!device->settings.configuration && device->n_configurations > 0)
		r = set_configuration(device, device->configurations[0][5]);
	if (r < 0)
		log_warning("%s at 0x%08x takes no configuration: %s", device->source, device->location,
			    strerror(-r));
	publish_interfaces(device, true);
	(void)host_unref(device);
	free(start);
}

/* Other classes wait for a driver of the whole device to configure them. */
static bool
is_composite(const struct host_device *device)
{
	return device->descriptor[4] == CLASS_COMPOSITE || device->descriptor[4] == CLASS_MISCELLANEOUS;
}

void
host_device_start(struct host_device *device)
{
	struct start_job *start;

	if (!is_composite(device))
		return;
	start = calloc(1, sizeof *start);
	if (!start)
		return;
	start->job.run = start_run;
	start->device = host_ref(device);
	if (host_device_job(device, &start->job) < 0) {
		(void)host_unref(device);
		free(start);
	}
}

struct host_interface *
host_device_interface(struct host_device *device, unsigned index)
{
	struct host_interface *interface = NULL;

	(void)pthread_mutex_lock(&device->lock);
	if (index < device->n_interfaces)
		interface = host_ref(device->interfaces[index]);
	(void)pthread_mutex_unlock(&device->lock);
	return interface;
}

void
host_interfaces_end(struct host_device *device, struct host_barrier *barrier)
{
	struct host_interface *interfaces[HOST_MAX_INTERFACES];
	struct usbhost *host = device->host;
	bool published;
	unsigned i, n;

	(void)pthread_mutex_lock(&device->lock);
	n = device->n_interfaces;
	memcpy(interfaces, device->interfaces, n * sizeof interfaces[0]);
	device->n_interfaces = 0;
	(void)pthread_mutex_unlock(&device->lock);
	for (i = 0; i < n; i++) {
		(void)pthread_mutex_lock(&device->lock);
		interfaces[i]->gone = true;
		published = interfaces[i]->published;
		(void)pthread_mutex_unlock(&device->lock);
		host_queue_refuse(&interfaces[i]->session.control, kIOReturnNoDevice);
		host_queue_abort(&interfaces[i]->session.control, kIOReturnAborted, barrier);
		host_pipes_end(interfaces[i], kIOReturnNoDevice, kIOReturnAborted, true, barrier);
		host_session_drop(device, &interfaces[i]->session);
		if (published)
			host->nubs->interface_gone(host->userdata, interfaces[i]);
		(void)host_unref(interfaces[i]);
	}
}

/* ---------------------------------------------------------------------------------------------
 * SetConfiguration, Reset: end the interfaces, wait for their requests, change, publish
 */

struct change {
	struct host_barrier barrier;
	struct host_job job;
	struct host_device *device;       /* owned reference */
	struct host_interface *old[HOST_MAX_INTERFACES]; /* owned references */
	unsigned n_old;
	bool reset, match;
	uint8_t value;
	host_done *done;
	void *context;
};

static void
change_end(struct change *change, IOReturn status)
{
	unsigned i;

	change->done(change->context, status);
	for (i = 0; i < change->n_old; i++)
		(void)host_unref(change->old[i]);
	(void)host_unref(change->device);
	free(change);
}

/* The same device after a reset: a new nub, as a new device would have. Job thread. */
static void
enumerate_again(struct host_device *device)
{
	struct usbhost *host = device->host;
	bool gone;

	(void)pthread_mutex_lock(&device->lock);
	gone = !device->published;
	device->published = false;
	configure_locked(device, device->settings.value);
	(void)pthread_mutex_unlock(&device->lock);
	host_queue_refuse(&device->session.control, kIOReturnNotOpen);
	host_queue_abort(&device->session.control, kIOReturnAborted, NULL);
	host_session_drop(device, &device->session);
	if (gone)
		return;
	host->nubs->device_gone(host->userdata, device);
	device->session_id = adxi_now_ns();
	if (host->nubs->device_new(host->userdata, device) < 0)
		return;
	(void)pthread_mutex_lock(&device->lock);
	device->published = true;
	gone = device->gone;
	if (gone)
		device->published = false;
	(void)pthread_mutex_unlock(&device->lock);
	if (gone)
		host->nubs->device_gone(host->userdata, device);
	else if (is_composite(device))
		publish_interfaces(device, true);
}

/* What the interfaces that ended had taken goes back. */
static void
release_old(struct change *change)
{
	struct host_device *device = change->device;

	while (change->n_old > 0) {
		struct host_interface *old = change->old[--change->n_old];

		if (old->claimed) {
			old->claimed = false;
			(void)device->ops->unclaim(device->backend, old->number); /* gone: nothing to give back */
		}
		(void)host_unref(old);
	}
}

static void
change_drained(struct host_barrier *barrier)
{
	struct change *change = (struct change *)barrier;
	int r = host_device_job(change->device, &change->job);

	if (r < 0)
		change_end(change, usb_error_return(r));
}

/* Job thread, once for each time that there are interfaces to end, and once when there are none any more. */
static void
change_run(struct host_job *job)
{
	struct change *change = adxi_container_of(job, struct change, job);
	struct host_device *device = change->device;
	int r;

	release_old(change);
	(void)pthread_mutex_lock(&device->lock);
	while (change->n_old < device->n_interfaces) {
		change->old[change->n_old] = host_ref(device->interfaces[change->n_old]);
		change->n_old++;
	}
	(void)pthread_mutex_unlock(&device->lock);
	if (change->n_old > 0) {
		host_barrier_init(&change->barrier, change_drained);
		host_interfaces_end(device, &change->barrier);
		host_barrier_leave(&change->barrier);
		return;
	}
	if (change->reset)
		r = device->ops->reset ? device->ops->reset(device->backend) : -ENOTSUP;
	else
		r = set_configuration(device, change->value);
	if (r == 0 && change->reset)
		enumerate_again(device);
	else if (r == 0)
		publish_interfaces(device, change->match);
	/* The device comes again by itself then, as a new one. */
	if (change->reset && r == -ENODEV)
		r = 0;
	change_end(change, usb_error_return(r));
}

static void
change_begin(struct host_device *device, bool reset, uint8_t value, bool match, host_done *done, void *context)
{
	struct change *change = calloc(1, sizeof *change);
	int r;

	if (!change) {
		done(context, kIOReturnNoMemory);
		return;
	}
	change->job.run = change_run;
	change->device = host_ref(device);
	change->reset = reset;
	change->value = value;
	change->match = match;
	change->done = done;
	change->context = context;
	r = host_device_job(device, &change->job);
	if (r < 0)
		change_end(change, usb_error_return(r));
}

void
host_set_configuration(struct host_device *device, uint8_t value, bool match, host_done *done, void *context)
{
	bool known = value == 0;
	unsigned i;

	for (i = 0; i < device->n_configurations; i++)
		known = known || device->configurations[i][5] == value;
	if (!known || host_device_is_gone(device))
		done(context, known ? kIOReturnNoDevice : kIOReturnNotFound);
	else
		change_begin(device, false, value, match, done, context);
}

void
host_reset(struct host_device *device, host_done *done, void *context)
{
	if (host_device_is_gone(device))
		done(context, kIOReturnNoDevice);
	else
		change_begin(device, true, 0, true, done, context);
}
