/* SPDX-License-Identifier: MIT */
/* Real devices as usbhost sees them: the two threads, devices coming and going, the ops table. */

#include "usbhost/libusb/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_TOPIC "usbhost.libusb"
#include "base/log.h"

#define DESCRIPTOR_STRING_SIZE 512

struct usb_backend *
real_backend_ref(struct usb_backend *backend)
{
	atomic_fetch_add_explicit(&backend->n_refs, 1, memory_order_relaxed);
	return backend;
}

/* Copes with a half-built back end. libusb's context is gone before: this runs after close. */
struct usb_backend *
real_backend_unref(struct usb_backend *backend)
{
	if (!backend || atomic_fetch_sub_explicit(&backend->n_refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	pthread_mutex_destroy(&backend->lock);
	pthread_cond_destroy(&backend->changed);
	free(backend->path);
	free(backend);
	return NULL;
}

/*
 * Devices
 */

static bool
is_wanted(const struct usb_backend *backend, libusb_device *usb)
{
	struct libusb_device_descriptor descriptor;
	char name[64];

	/* Hubs are the kernel's: without them nothing below would be there. */
	if (libusb_get_device_descriptor(usb, &descriptor) < 0 ||
	    descriptor.bDeviceClass == LIBUSB_CLASS_HUB ||
	    real_sysfs_name(usb, name, sizeof name) < 0)
		return false;
	return (backend->vid < 0 || backend->vid == descriptor.idVendor) &&
	       (backend->pid < 0 || backend->pid == descriptor.idProduct) &&
	       (!backend->path || strcmp(backend->path, name) == 0);
}

static uint32_t
location_of(libusb_device *usb)
{
	uint8_t ports[6];
	int n = libusb_get_port_numbers(usb, ports, sizeof ports);
	uint32_t location = (uint32_t) libusb_get_bus_number(usb) << 24;

	for (int i = 0; i < n; i++)
		location |= (uint32_t) (ports[i] & 0xF) << (20 - 4 * i);
	return location;
}

static enum usb_speed
speed_of(libusb_device *usb)
{
	switch (libusb_get_device_speed(usb)) {
	case LIBUSB_SPEED_LOW:
		return USB_SPEED_LOW;
	case LIBUSB_SPEED_FULL:
		return USB_SPEED_FULL;
	case LIBUSB_SPEED_HIGH:
		return USB_SPEED_HIGH;
	case LIBUSB_SPEED_SUPER:
		return USB_SPEED_SUPER;
	case LIBUSB_SPEED_SUPER_PLUS:
		return USB_SPEED_SUPER_PLUS;
	default:
		return USB_SPEED_NONE;
	}
}

/* Bus thread. Tells the core of a device; 0: it took it. */
static int
announce(struct usb_device *device, libusb_device *usb, const char *name)
{
	struct usb_backend *backend = device->backend;
	char manufacturer[DESCRIPTOR_STRING_SIZE], product[DESCRIPTOR_STRING_SIZE];
	char serial[DESCRIPTOR_STRING_SIZE], source[80];
	struct usb_device_info info = {
		.location = device->location,
		.address = libusb_get_device_address(usb),
		.speed = speed_of(usb),
		.port = libusb_get_port_number(usb),
		.device_descriptor = device->descriptors,
		.configurations = device->configurations,
		.configuration_lengths = device->lengths,
		.configuration = device->settings.value,
		.source = source,
	};

	(void) snprintf(source, sizeof source, "usb:%s", name);
	if (real_sysfs_text(name, "manufacturer", manufacturer, sizeof manufacturer))
		info.manufacturer = manufacturer;
	if (real_sysfs_text(name, "product", product, sizeof product))
		info.product = product;
	if (real_sysfs_text(name, "serial", serial, sizeof serial))
		info.serial = serial;
	return backend->events->attached(backend->core, device, &info, &device->core_device);
}

static void
list_add(struct usb_backend *backend, struct usb_device *device)
{
	pthread_mutex_lock(&backend->lock);
	device->next = backend->devices;
	backend->devices = real_device_ref(device);
	pthread_mutex_unlock(&backend->lock);
}

/* Takes a device out of the list, with its reference: that of @p usb, or the first if NULL. */
static struct usb_device *
list_take(struct usb_backend *backend, libusb_device *usb)
{
	struct usb_device *device, **at;

	pthread_mutex_lock(&backend->lock);
	for (at = &backend->devices; (device = *at); at = &device->next)
		if (!usb || device->usb == usb)
			break;
	if (device)
		*at = device->next;
	pthread_mutex_unlock(&backend->lock);
	return device;
}

static bool
is_listed(struct usb_backend *backend, libusb_device *usb)
{
	bool found = false;

	pthread_mutex_lock(&backend->lock);
	for (struct usb_device *device = backend->devices; device && !found; device = device->next)
		found = device->usb == usb;
	pthread_mutex_unlock(&backend->lock);
	return found;
}

/* Bus thread. */
static void
arrive(struct usb_backend *backend, libusb_device *usb)
{
	struct usb_device *device;
	const char *why = "out of memory";
	char name[64];
	int r;

	/* The first listing and the first hotplug events may tell of the same device. */
	if (!is_wanted(backend, usb) || is_listed(backend, usb) ||
	    real_sysfs_name(usb, name, sizeof name) < 0)
		return;
	r = real_device_new(backend, usb, &device, &why);
	if (r < 0) {
		log_warning("device %s is left alone: %s", name, why);
		return;
	}
	device->location = location_of(usb);
	(void) real_device_ref(device); /* the core's, until release */
	r = announce(device, usb, name);
	if (r < 0) {
		log_warning("device %s is left alone: usbhost could not take it: %s", name,
			    strerror(-r));
		real_device_leave_bus(device);
		real_device_unref(device);
	} else {
		list_add(backend, device);
	}
	real_device_unref(device);
}

/* Bus thread. @p device: its reference is taken. */
static void
leave(struct usb_device *device)
{
	struct usb_backend *backend = device->backend;

	real_device_leave_bus(device);
	backend->events->detached(backend->core, device->core_device);
	real_device_unref(device);
}

/*
 * Threads
 */

static void
queue_change(struct usb_backend *backend, libusb_device *usb, bool arrived)
{
	struct change *change = malloc(sizeof *change);

	if (!change) {
		/* A device that came is not served; one that left answers -ENODEV to each op. */
		log_error("out of memory: a device that %s is overlooked",
			  arrived ? "came" : "left");
		return;
	}
	*change = (struct change){ .usb = libusb_ref_device(usb), .arrived = arrived };
	pthread_mutex_lock(&backend->lock);
	*backend->end_change = change;
	backend->end_change = &change->next;
	pthread_mutex_unlock(&backend->lock);
	pthread_cond_signal(&backend->changed);
}

static int LIBUSB_CALL
on_hotplug(libusb_context *context, libusb_device *usb, libusb_hotplug_event event, void *userdata)
{
	queue_change(userdata, usb, event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED);
	return 0; /* stay registered */
}

static void *
bus_main(void *userdata)
{
	struct usb_backend *backend = userdata;
	struct usb_device *device;

	pthread_mutex_lock(&backend->lock);
	for (;;) {
		struct change *change = backend->first_change;

		if (!change && backend->stop_bus)
			break;
		if (!change) {
			pthread_cond_wait(&backend->changed, &backend->lock);
			continue;
		}
		backend->first_change = change->next;
		if (!change->next)
			backend->end_change = &backend->first_change;
		if (change->arrived && backend->stop_bus) {
			/* Not worth the welcome. */
		} else {
			pthread_mutex_unlock(&backend->lock);
			if (change->arrived)
				arrive(backend, change->usb);
			else if ((device = list_take(backend, change->usb)))
				leave(device);
			pthread_mutex_lock(&backend->lock);
		}
		libusb_unref_device(change->usb);
		free(change);
	}
	pthread_mutex_unlock(&backend->lock);
	while ((device = list_take(backend, NULL)))
		leave(device);
	return NULL;
}

static void *
events_main(void *userdata)
{
	struct usb_backend *backend = userdata;

	while (!atomic_load(&backend->stop_events)) {
		/* An error is an interrupted poll: the loop comes back to it. */
		(void) libusb_handle_events(backend->context);
		real_transfer_deliver(backend);
	}
	real_transfer_deliver(backend);
	return NULL;
}

/*
 * Open, close
 */

static const char *
why_text(const char *fmt, const char *text, int length)
{
	static _Thread_local char why[256];

	(void) snprintf(why, sizeof why, fmt, length, text); /* cut off is good enough */
	return why;
}

static bool
parse_id(const char *text, size_t length, int *ret_id)
{
	char digits[8], *end;
	unsigned long id;

	if (length == 0 || length >= sizeof digits)
		return false;
	memcpy(digits, text, length);
	digits[length] = '\0';
	id = strtoul(digits, &end, 16);
	if (*end || id > 0xFFFF)
		return false;
	*ret_id = id;
	return true;
}

static int
parse_options(struct usb_backend *backend, const char *options, const char **ret_why)
{
	while (options && *options) {
		size_t length = strcspn(options, ",");
		bool good = false;

		if (length > 4 && memcmp(options, "vid=", 4) == 0) {
			good = parse_id(options + 4, length - 4, &backend->vid);
		} else if (length > 4 && memcmp(options, "pid=", 4) == 0) {
			good = parse_id(options + 4, length - 4, &backend->pid);
		} else if (length > 5 && memcmp(options, "path=", 5) == 0) {
			free(backend->path);
			backend->path = strndup(options + 5, length - 5);
			if (!backend->path)
				return -ENOMEM;
			good = true;
		}
		if (!good) {
			*ret_why = why_text("the libusb back end knows the options vid=HEX, "
					    "pid=HEX and path=BUS-PORT.PORT "
					    "(as in /sys/bus/usb/devices), not \"%.*s\"",
					    options, (int) length);
			return -EINVAL;
		}
		options += length + (options[length] == ',');
	}
	return 0;
}

static void
libusb_close_backend(struct usb_backend *backend)
{
	if (backend->has_hotplug)
		libusb_hotplug_deregister_callback(backend->context, backend->hotplug);
	if (backend->has_bus_thread) {
		pthread_mutex_lock(&backend->lock);
		backend->stop_bus = true;
		pthread_mutex_unlock(&backend->lock);
		pthread_cond_signal(&backend->changed);
		/* It still needs the events thread, which ends what flies. */
		pthread_join(backend->bus_thread, NULL);
	}
	if (backend->has_events_thread) {
		atomic_store(&backend->stop_events, true);
		libusb_interrupt_event_handler(backend->context);
		pthread_join(backend->events_thread, NULL);
	}
	for (struct change *change; (change = backend->first_change);) {
		backend->first_change = change->next;
		libusb_unref_device(change->usb);
		free(change);
	}
	real_transfer_free_spare(backend);
	if (backend->context)
		libusb_exit(backend->context);
	backend->context = NULL;
	real_backend_unref(backend);
}

/* What is there now; hotplug registered before, so nothing is missed and some are told twice. */
static int
list_present(struct usb_backend *backend)
{
	libusb_device **list;
	ssize_t n = libusb_get_device_list(backend->context, &list);

	if (n < 0)
		return real_errno_of(n);
	for (ssize_t i = 0; i < n; i++)
		queue_change(backend, list[i], true);
	libusb_free_device_list(list, 1);
	return 0;
}

static int
start(struct usb_backend *backend, const char **ret_why)
{
	int r = libusb_init(&backend->context);

	if (r < 0) {
		backend->context = NULL;
		*ret_why = "libusb cannot start: this kernel has no USB, or /dev/bus/usb and /sys/bus/usb are not there";
		return real_errno_of(r);
	}
	if (libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG))
		backend->has_hotplug =
			libusb_hotplug_register_callback(
				backend->context,
				LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED |
					LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
				0, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
				LIBUSB_HOTPLUG_MATCH_ANY, on_hotplug, backend,
				&backend->hotplug) == LIBUSB_SUCCESS;
	r = -pthread_create(&backend->events_thread, NULL, events_main, backend);
	if (r == 0) {
		backend->has_events_thread = true;
		(void) pthread_setname_np(backend->events_thread, "usb-events"); /* only a name */
		r = -pthread_create(&backend->bus_thread, NULL, bus_main, backend);
	}
	if (r < 0) {
		*ret_why = "cannot start a thread";
		return r;
	}
	backend->has_bus_thread = true;
	(void) pthread_setname_np(backend->bus_thread, "usb-bus");
	r = list_present(backend);
	if (r < 0)
		*ret_why = "libusb cannot list the devices";
	return r;
}

static int
libusb_open_backend(const char *options, const struct usb_events *events, void *core,
		    struct usb_backend **ret_backend, const char **ret_why)
{
	struct usb_backend *backend;
	int r;

	*ret_why = NULL;
	backend = calloc(1, sizeof *backend);
	if (!backend) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	*backend = (struct usb_backend){
		.events = events,
		.core = core,
		.vid = -1,
		.pid = -1,
		.done_end = &backend->done,
		.end_change = &backend->first_change,
	};
	atomic_init(&backend->n_refs, 1);
	pthread_mutex_init(&backend->lock, NULL);
	pthread_cond_init(&backend->changed, NULL);
	r = parse_options(backend, options, ret_why);
	if (r == 0)
		r = start(backend, ret_why);
	if (r < 0) {
		libusb_close_backend(backend);
		return r;
	}
	if (!backend->has_hotplug)
		*ret_why = "libusb has no hotplug here: only devices that are there now are served, until a restart";
	else if (access("/run/udev/control", F_OK) < 0)
		*ret_why = "udevd does not run, and libusb hears of new devices from it: only devices that are there "
			   "now are served, until a restart";
	*ret_backend = backend;
	return 0;
}

static void
libusb_release(struct usb_device *device)
{
	real_device_unref(device);
}

const struct usb_backend_ops usb_backend_libusb = {
	.name = "libusb",
	.open = libusb_open_backend,
	.close = libusb_close_backend,
	.release = libusb_release,
	.claim = real_device_claim,
	.unclaim = real_device_unclaim,
	.set_configuration = real_device_set_configuration,
	.set_alternate = real_device_set_alternate,
	.clear_halt = real_device_clear_halt,
	.reset = real_device_reset,
	.submit = real_transfer_submit,
	.cancel = real_transfer_cancel,
};
