/* SPDX-License-Identifier: MIT */
/* The model back end as usbhost sees it: devices coming and going, and the ops table. */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usbhost/model/engine.h"
#include "usbhost/model/model.h"

/* Locations: buses 0x10 .. 0xff, each with 15 ports and no hubs. */
#define FIRST_BUS	0x10u
#define PORTS_PER_BUS	15u
#define N_LOCATIONS	((0x100u - FIRST_BUS) * PORTS_PER_BUS)

struct usb_backend *
model_backend_ref(struct usb_backend *backend)
{
	atomic_fetch_add_explicit(&backend->n_refs, 1, memory_order_relaxed);
	return backend;
}

struct usb_backend *
model_backend_unref(struct usb_backend *backend)
{
	if (!backend || atomic_fetch_sub_explicit(&backend->n_refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	model_timer_fini(&backend->timer);
	pthread_cond_destroy(&backend->emptied);
	pthread_mutex_destroy(&backend->lock);
	free(backend->models);
	free(backend);
	return NULL;
}

void
model_backend_forget(struct usb_backend *backend, struct usb_device *device)
{
	struct usb_device **at;

	pthread_mutex_lock(&backend->lock);
	for (at = &backend->devices; *at != device; at = &(*at)->next)
		;
	*at = device->next;
	if (!backend->devices)
		pthread_cond_broadcast(&backend->emptied);
	pthread_mutex_unlock(&backend->lock);
	model_device_unref(device);
}

/* A reference to the device at @p location, or to any if that is 0; NULL: none. */
static struct usb_device *
find_device(struct usb_backend *backend, uint32_t location)
{
	struct usb_device *device;

	pthread_mutex_lock(&backend->lock);
	for (device = backend->devices; device; device = device->next)
		if (!location || device->location == location)
			break;
	if (device)
		(void) model_device_ref(device);
	pthread_mutex_unlock(&backend->lock);
	return device;
}

/* Gives the device the lowest free port and puts it into the list. */
static int
list_device(struct usb_backend *backend, struct usb_device *device, uint8_t *ret_address)
{
	uint8_t used[N_LOCATIONS] = { 0 };
	unsigned place = 0;

	pthread_mutex_lock(&backend->lock);
	for (struct usb_device *other = backend->devices; other; other = other->next)
		used[((other->location >> 24) - FIRST_BUS) * PORTS_PER_BUS +
		     (other->location >> 20 & 0xF) - 1] = 1;
	while (place < N_LOCATIONS && used[place])
		place++;
	if (place < N_LOCATIONS) {
		device->location = (FIRST_BUS + place / PORTS_PER_BUS) << 24 |
				   (place % PORTS_PER_BUS + 1) << 20;
		device->next = backend->devices;
		backend->devices = model_device_ref(device);
		*ret_address = backend->next_address = backend->next_address % 127 + 1;
	}
	pthread_mutex_unlock(&backend->lock);
	return place < N_LOCATIONS ? 0 : -ENOSPC;
}

static const char *
model_string(const struct usb_model *model, uint8_t index)
{
	return index ? model->strings[index - 1] : NULL;
}

/* Tells the core of a device that is in the list. On failure the device is on its way out of it. */
static int
announce(struct usb_device *device, uint8_t address)
{
	const struct usb_model *model = device->model;
	uint32_t lengths[256];
	char source[128];
	void *core_device = NULL;
	int r;

	for (unsigned i = 0; model->configurations[i]; i++)
		lengths[i] = usb_get_u16(model->configurations[i] + 2);
	(void) snprintf(source, sizeof source, "model:%s", model->name); /* a long name is cut */
	r = device->backend->events->attached(
		device->backend->core, device,
		&(struct usb_device_info){
			.location = device->location,
			.address = address,
			.speed = model->speed,
			.port = device->location >> 20 & 0xF,
			.device_descriptor = model->device_descriptor,
			.configurations = model->configurations,
			.configuration_lengths = lengths,
			.configuration = model->configurations[0][5],
			.manufacturer = model_string(model, model->device_descriptor[14]),
			.product = model_string(model, model->device_descriptor[15]),
			.serial = device->serial
					  ? device->serial
					  : model_string(model, model->device_descriptor[16]),
			.source = source,
		},
		&core_device);

	model_device_enter(device);
	device->core_device = core_device;
	device->life = r < 0 ? DEVICE_TOLD : DEVICE_LIVE;
	if (r < 0)
		model_device_unplug(device);
	model_device_leave(device); /* it may have vanished during attached() */
	return r;
}

/* Gives the device its model and state. */
static int
equip(struct usb_device *device, const struct usb_model *model, const char *options,
      const char **ret_why)
{
	int r = usb_model_check(model, ret_why);

	if (r < 0)
		return r;
	device->model = model;
	device->state = calloc(1, model->state_size ? model->state_size : 1);
	if (!device->state)
		return -ENOMEM;
	r = model_load_options(device, options, ret_why);
	if (r < 0)
		return r;
	model_device_enter(device);
	if (model->attach)
		r = model->attach(&device->handle, device->state);
	if (r < 0) {
		*ret_why = model_why("%s refuses this combination of options (see models/README.md)", model->name);
		device->gone = true;
		device->life = DEVICE_TOLD;
		device->forgotten = true;
	} else {
		(void) model_standard_configure(
			device, model->configurations[0][5]); /* nothing is claimed */
	}
	model_device_leave(device);
	return r < 0 ? r : 0;
}

/* @p object is taken. */
static int
plug(struct usb_backend *backend, const struct usb_model *model, void *object, const char *options,
     uint32_t *ret_location, const char **ret_why)
{
	struct usb_device *device;
	uint32_t location = 0;
	uint8_t address;
	int r;

	device = model_device_new(backend);
	if (!device) {
		if (object)
			(void) dlclose(object);
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	device->object = object;
	r = equip(device, model, options, ret_why);
	if (r < 0)
		goto out;
	(void) model_device_ref(device); /* the core's, until release */
	r = list_device(backend, device, &address);
	if (r < 0) {
		*ret_why = model_why("all %u ports are taken", N_LOCATIONS);
		model_device_enter(device);
		device->life = DEVICE_TOLD;
		device->forgotten = true;
		model_device_unplug(device);
		model_device_leave(device);
	} else {
		location = device->location;
		r = announce(device, address);
		if (r < 0)
			*ret_why = model_why("usbhost could not take the device: %s", strerror(-r));
	}
	if (r < 0)
		model_device_unref(device);
	else
		*ret_location = location;
out:
	model_device_unref(device);
	return r;
}

int
usb_model_plug(struct usb_backend *backend, const struct usb_model *model, const char *options,
	       uint32_t *ret_location, const char **ret_why)
{
	return plug(backend, model, NULL, options, ret_location, ret_why);
}

static int
model_attach(struct usb_backend *backend, const char *what, uint32_t *ret_location,
	     const char **ret_why)
{
	const struct usb_model *model;
	const char *options;
	void *object;
	int r;

	r = model_load(backend, what, &model, &object, &options, ret_why);
	if (r < 0)
		return r;
	return plug(backend, model, object, options, ret_location, ret_why);
}

static void
unplug(struct usb_device *device)
{
	model_device_enter(device);
	model_device_unplug(device);
	model_device_leave(device);
}

static int
model_detach(struct usb_backend *backend, uint32_t location)
{
	struct usb_device *device = location ? find_device(backend, location) : NULL;

	if (!device)
		return -ENOENT;
	unplug(device);
	model_device_unref(device);
	return 0;
}

static int
parse_options(struct usb_backend *backend, const char *options, bool *ret_virtual,
	      const char **ret_why)
{
	while (options && *options) {
		size_t length = strcspn(options, ",");

		if (length == 13 && memcmp(options, "clock=virtual", 13) == 0) {
			*ret_virtual = true;
		} else if (length > 7 && memcmp(options, "models=", 7) == 0) {
			free(backend->models);
			backend->models = strndup(options + 7, length - 7);
			if (!backend->models)
				return -ENOMEM;
		} else {
			*ret_why = model_why("the model back end knows the options clock=virtual and "
					    "models=DIR:DIR, not \"%.*s\"", (int) length, options);
			return -EINVAL;
		}
		options += length + (options[length] == ',');
	}
	return 0;
}

static int
model_open(const char *options, const struct usb_events *events, void *core,
	   struct usb_backend **ret_backend, const char **ret_why)
{
	struct usb_backend *backend;
	bool is_virtual = false;
	int r, started;

	*ret_why = NULL;
	backend = calloc(1, sizeof *backend);
	if (!backend) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	backend->events = events;
	backend->core = core;
	atomic_init(&backend->n_refs, 1);
	pthread_mutex_init(&backend->lock, NULL);
	pthread_cond_init(&backend->emptied, NULL);
	r = parse_options(backend, options, &is_virtual, ret_why);
	started = model_timer_start(&backend->timer, is_virtual || r < 0);
	if (r == 0 && started < 0) {
		*ret_why = "cannot start a thread for the clock";
		r = started;
	}
	if (r < 0) {
		model_backend_unref(backend);
		return r;
	}
	*ret_backend = backend;
	return 0;
}

static void
model_close(struct usb_backend *backend)
{
	/* What another thread is unplugging just now stays in the list until the core has been
	 * told. */
	for (;;) {
		struct usb_device *device;

		pthread_mutex_lock(&backend->lock);
		for (device = backend->devices; device; device = device->next)
			if (!device->closing)
				break;
		if (device) {
			device->closing = true;
			(void) model_device_ref(device);
		}
		pthread_mutex_unlock(&backend->lock);
		if (!device)
			break;
		unplug(device);
		model_device_unref(device);
	}
	pthread_mutex_lock(&backend->lock);
	while (backend->devices)
		pthread_cond_wait(&backend->emptied, &backend->lock);
	pthread_mutex_unlock(&backend->lock);
	model_timer_stop(&backend->timer);
	model_backend_unref(backend);
}

static void
model_release(struct usb_device *device)
{
	model_device_unref(device);
}

static int
model_claim(struct usb_device *device, uint8_t interface)
{
	int r = 0;

	model_device_enter(device);
	if (device->gone)
		r = -ENODEV;
	else if (!device->settings.configuration ||
		 !usb_configuration_has(device->settings.configuration, interface, 0))
		r = -ENOENT;
	else if (model_device_is_claimed(device, interface))
		r = -EBUSY;
	else
		device->claimed[interface / 32] |= 1u << interface % 32;
	model_device_leave(device);
	return r;
}

static int
model_unclaim(struct usb_device *device, uint8_t interface)
{
	uint32_t pipes = 0;
	int r = 0;

	model_device_enter(device);
	if (device->gone) {
		r = -ENODEV;
	} else if (!model_device_is_claimed(device, interface)) {
		r = -ENOENT;
	} else {
		for (unsigned i = 1; i < USB_SETTINGS_ENDPOINTS; i++)
			if (device->settings.endpoints[i].present &&
			    device->settings.endpoints[i].interface == interface)
				pipes |= 1u << i;
		model_device_flush(device, pipes, USB_CANCELLED);
		device->claimed[interface / 32] &= ~(1u << interface % 32);
		/* As the kernel does when a driver leaves. */
		if (device->settings.alternate[interface])
			(void) model_standard_alternate(device, interface,
							0); /* every interface has one */
	}
	model_device_leave(device);
	return r;
}

static int
model_set_configuration(struct usb_device *device, uint8_t value)
{
	int r;

	model_device_enter(device);
	r = device->gone ? -ENODEV : model_standard_configure(device, value);
	model_device_leave(device);
	return r;
}

static int
model_set_alternate(struct usb_device *device, uint8_t interface, uint8_t alternate)
{
	int r;

	model_device_enter(device);
	if (device->gone)
		r = -ENODEV;
	else if (!model_device_is_claimed(device, interface))
		r = -EINVAL;
	else
		r = model_standard_alternate(device, interface, alternate);
	model_device_leave(device);
	return r;
}

static int
model_clear_halt(struct usb_device *device, uint8_t address, bool with_request)
{
	const struct usb_setting_endpoint *endpoint;
	int r = 0;

	model_device_enter(device);
	endpoint = &device->settings.endpoints[usb_endpoint_index(address)];
	if (device->gone)
		r = -ENODEV;
	else if (!endpoint->present || endpoint->address != address ||
		 !model_device_is_claimed(device, endpoint->interface))
		r = -EINVAL;
	else if (with_request)
		model_standard_clear_halt(device, address);
	model_device_leave(device);
	return r;
}

static int
model_reset(struct usb_device *device)
{
	int r = 0;

	model_device_enter(device);
	if (device->gone)
		r = -ENODEV;
	else
		model_standard_reset(device);
	model_device_leave(device);
	return r;
}

static int
model_submit(struct usb_device *device, struct usb_transfer *transfer)
{
	int r;

	model_device_enter(device);
	r = model_device_submit(device, transfer);
	model_device_leave(device);
	return r;
}

static void
model_cancel(struct usb_device *device, struct usb_transfer *transfer)
{
	model_device_enter(device);
	model_device_cancel(device, transfer);
	model_device_leave(device);
}

static int
model_current_frame(struct usb_device *device, uint64_t *ret_frame, uint64_t *ret_time_ns)
{
	const uint64_t frame_ns = 1000000;
	uint64_t now_ns = model_timer_now_ns(&device->backend->timer);
	bool gone;

	model_device_enter(device);
	gone = device->gone;
	model_device_leave(device);
	if (gone)
		return -ENODEV;
	*ret_frame = now_ns / frame_ns;
	*ret_time_ns = *ret_frame * frame_ns;
	return 0;
}

const struct usb_backend_ops usb_backend_model = {
	.name = "model",
	.open = model_open,
	.close = model_close,
	.attach = model_attach,
	.detach = model_detach,
	.release = model_release,
	.claim = model_claim,
	.unclaim = model_unclaim,
	.set_configuration = model_set_configuration,
	.set_alternate = model_set_alternate,
	.clear_halt = model_clear_halt,
	.reset = model_reset,
	.submit = model_submit,
	.cancel = model_cancel,
	.current_frame = model_current_frame,
};
