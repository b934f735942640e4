/* SPDX-License-Identifier: MIT */
/* One real device: its kernel side opened, interfaces taken and given back, settings changed. */

#include "usbhost/libusb/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
real_errno_of(int error)
{
	static const struct {
		int libusb, error;
	} table[] = {
		{ LIBUSB_ERROR_IO, -EIO },
		{ LIBUSB_ERROR_INVALID_PARAM, -EINVAL },
		{ LIBUSB_ERROR_ACCESS, -EACCES },
		{ LIBUSB_ERROR_NO_DEVICE, -ENODEV },
		{ LIBUSB_ERROR_NOT_FOUND, -ENOENT },
		{ LIBUSB_ERROR_BUSY, -EBUSY },
		{ LIBUSB_ERROR_TIMEOUT, -ETIMEDOUT },
		{ LIBUSB_ERROR_OVERFLOW, -EOVERFLOW },
		{ LIBUSB_ERROR_PIPE, -EPIPE },
		{ LIBUSB_ERROR_INTERRUPTED, -EINTR },
		{ LIBUSB_ERROR_NO_MEM, -ENOMEM },
		{ LIBUSB_ERROR_NOT_SUPPORTED, -ENOTSUP },
	};

	if (error >= 0)
		return 0;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].libusb == error)
			return table[i].error;
	return -EIO;
}

struct usb_device *
real_device_ref(struct usb_device *device)
{
	atomic_fetch_add_explicit(&device->n_refs, 1, memory_order_relaxed);
	return device;
}

/* Copes with a half-built device. */
static struct usb_device *
device_free(struct usb_device *device)
{
	if (device->usb)
		libusb_unref_device(device->usb);
	free(device->descriptors);
	free(device->configurations);
	free(device->lengths);
	pthread_mutex_destroy(&device->ops_lock);
	pthread_mutex_destroy(&device->lock);
	pthread_cond_destroy(&device->landed);
	real_backend_unref(device->backend);
	free(device);
	return NULL;
}

struct usb_device *
real_device_unref(struct usb_device *device)
{
	if (!device || atomic_fetch_sub_explicit(&device->n_refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	return device_free(device);
}

/* Cuts the descriptors into configurations. */
static int
find_configurations(struct usb_device *device, size_t length, const char **ret_why)
{
	size_t at = 18;
	unsigned n;

	if (length < 18 || device->descriptors[0] != 18 ||
	    device->descriptors[1] != USB_DESCRIPTOR_DEVICE) {
		*ret_why = "the device descriptor is not 18 bytes of type 1";
		return -EINVAL;
	}
	n = device->descriptors[17];
	device->configurations = calloc(n + 1, sizeof *device->configurations);
	device->lengths = calloc(n + 1, sizeof *device->lengths);
	if (!device->configurations || !device->lengths)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *blob = device->descriptors + at;
		int r = usb_configuration_check(blob, length - at, ret_why);

		if (r < 0)
			return r;
		device->configurations[i] = blob;
		device->lengths[i] = usb_get_u16(blob + 2);
		at += device->lengths[i];
	}
	device->n_configurations = n;
	return 0;
}

static const uint8_t *
find_configuration(const struct usb_device *device, uint8_t value)
{
	for (unsigned i = 0; i < device->n_configurations; i++)
		if (device->configurations[i][5] == value)
			return device->configurations[i];
	return NULL;
}

/* Takes over the alternate settings that kernel drivers have chosen. */
static void
read_settings(struct usb_device *device)
{
	struct libusb_config_descriptor *active;
	char name[64];

	if (libusb_get_active_config_descriptor(device->usb, &active) != 0)
		return; /* unconfigured */
	usb_settings_configure(&device->settings,
			       find_configuration(device, active->bConfigurationValue));
	libusb_free_config_descriptor(active);
	if (!device->settings.configuration || real_sysfs_name(device->usb, name, sizeof name) < 0)
		return;
	for (unsigned i = 0; i < 256; i++)
		if (usb_configuration_has(device->settings.configuration, i, 0))
			/* -ENOENT: the kernel knows better, and alternate 0 stays. */
			(void) usb_settings_alternate(
				&device->settings, i,
				real_sysfs_alternate(name, device->settings.value, i));
}

int
real_device_new(struct usb_backend *backend, libusb_device *usb, struct usb_device **ret_device,
	   const char **ret_why)
{
	struct usb_device *device;
	size_t length;
	int r;

	device = calloc(1, sizeof *device);
	if (!device)
		return -ENOMEM;
	device->backend = real_backend_ref(backend);
	atomic_init(&device->n_refs, 1);
	pthread_mutex_init(&device->ops_lock, NULL);
	pthread_mutex_init(&device->lock, NULL);
	pthread_cond_init(&device->landed, NULL);
	device->usb = libusb_ref_device(usb);
	r = real_sysfs_descriptors(usb, &device->descriptors, &length);
	if (r < 0)
		*ret_why = "the kernel does not give its descriptors";
	else
		r = find_configurations(device, length, ret_why);
	if (r < 0) {
		real_device_unref(device);
		return r;
	}
	read_settings(device);
	*ret_device = device;
	return 0;
}

static bool
is_gone(struct usb_device *device)
{
	bool gone;

	pthread_mutex_lock(&device->lock);
	gone = device->gone;
	pthread_mutex_unlock(&device->lock);
	return gone;
}

int
real_device_open_locked(struct usb_device *device)
{
	if (!device->usb || is_gone(device))
		return -ENODEV;
	return device->handle ? 0 : real_errno_of(libusb_open(device->usb, &device->handle));
}

bool
real_device_is_claimed(const struct usb_device *device, uint8_t interface)
{
	return device->claimed[interface / 32] >> interface % 32 & 1;
}

static void
set_bit(uint32_t bits[8], uint8_t interface, bool on)
{
	bits[interface / 32] &= ~(1u << interface % 32);
	bits[interface / 32] |= (uint32_t) on << interface % 32;
}

static uint32_t
pipes_of(const struct usb_device *device, uint8_t interface)
{
	uint32_t pipes = 0;

	for (unsigned i = 1; i < USB_SETTINGS_ENDPOINTS; i++)
		if (device->settings.endpoints[i].present &&
		    device->settings.endpoints[i].interface == interface)
			pipes |= 1u << i;
	return pipes;
}

/* A kernel driver that cannot be bound again is none of the caller's business: the interface is
 * free. */
static void
give_back(struct usb_device *device, uint8_t interface)
{
	(void) libusb_attach_kernel_driver(device->handle, interface);
}

static int
claim_locked(struct usb_device *device, uint8_t interface)
{
	bool had_driver;
	int r;

	if (!device->settings.configuration ||
	    !usb_configuration_has(device->settings.configuration, interface, 0))
		return -ENOENT;
	if (real_device_is_claimed(device, interface))
		return -EBUSY;
	had_driver = libusb_kernel_driver_active(device->handle, interface) == 1;
	if (had_driver) {
		r = libusb_detach_kernel_driver(device->handle, interface);
		if (r < 0 && r != LIBUSB_ERROR_NOT_FOUND) /* not found: it left meanwhile */
			return real_errno_of(r);
	}
	r = libusb_claim_interface(device->handle, interface);
	if (r < 0) {
		if (had_driver)
			give_back(device, interface);
		return real_errno_of(r);
	}
	set_bit(device->claimed, interface, true);
	set_bit(device->took_driver, interface, had_driver);
	if (had_driver) /* the kernel put it back to 0 when the driver left */
		(void) usb_settings_alternate(&device->settings, interface, 0);
	return 0;
}

int
real_device_claim(struct usb_device *device, uint8_t interface)
{
	int r;

	pthread_mutex_lock(&device->ops_lock);
	r = real_device_open_locked(device);
	if (r == 0)
		r = claim_locked(device, interface);
	pthread_mutex_unlock(&device->ops_lock);
	return r;
}

static int
unclaim_locked(struct usb_device *device, uint8_t interface)
{
	int r;

	if (!real_device_is_claimed(device, interface))
		return -ENOENT;
	real_transfer_flush(device, pipes_of(device, interface));
	r = libusb_release_interface(device->handle, interface);
	set_bit(device->claimed, interface, false);
	if (device->took_driver[interface / 32] >> interface % 32 & 1)
		give_back(device, interface);
	set_bit(device->took_driver, interface, false);
	(void) usb_settings_alternate(&device->settings, interface, 0); /* it was in it */
	return real_errno_of(r);
}

int
real_device_unclaim(struct usb_device *device, uint8_t interface)
{
	int r;

	pthread_mutex_lock(&device->ops_lock);
	r = real_device_open_locked(device);
	if (r == 0)
		r = unclaim_locked(device, interface);
	pthread_mutex_unlock(&device->ops_lock);
	return r;
}

/* Takes kernel drivers off, so that the configuration may change; a new one gets its drivers from
 * the kernel. */
static void
detach_drivers(struct usb_device *device, bool detached[256])
{
	for (unsigned i = 0; device->settings.configuration && i < 256; i++)
		detached[i] = usb_configuration_has(device->settings.configuration, i, 0) &&
			      libusb_kernel_driver_active(device->handle, i) == 1 &&
			      libusb_detach_kernel_driver(device->handle, i) == 0;
}

static int
set_configuration_locked(struct usb_device *device, uint8_t value)
{
	const uint8_t *configuration = value ? find_configuration(device, value) : NULL;
	bool detached[256] = { false };
	int r;

	for (unsigned i = 0; i < 8; i++)
		if (device->claimed[i])
			return -EBUSY;
	if (value && !configuration)
		return -ENOENT;
	detach_drivers(device, detached);
	r = libusb_set_configuration(device->handle, value ? value : -1);
	if (r < 0) {
		for (unsigned i = 0; i < 256; i++)
			if (detached[i])
				give_back(device, i);
		return real_errno_of(r);
	}
	usb_settings_configure(&device->settings, configuration);
	return 0;
}

int
real_device_set_configuration(struct usb_device *device, uint8_t value)
{
	int r;

	pthread_mutex_lock(&device->ops_lock);
	r = real_device_open_locked(device);
	if (r == 0)
		r = set_configuration_locked(device, value);
	pthread_mutex_unlock(&device->ops_lock);
	return r;
}

static int
set_alternate_locked(struct usb_device *device, uint8_t interface, uint8_t alternate)
{
	int r;

	if (!real_device_is_claimed(device, interface))
		return -EINVAL;
	if (!device->settings.configuration ||
	    !usb_configuration_has(device->settings.configuration, interface, alternate))
		return -ENOENT;
	real_transfer_flush(device, pipes_of(device, interface));
	r = libusb_set_interface_alt_setting(device->handle, interface, alternate);
	if (r < 0)
		return real_errno_of(r);
	return usb_settings_alternate(&device->settings, interface, alternate);
}

int
real_device_set_alternate(struct usb_device *device, uint8_t interface, uint8_t alternate)
{
	int r;

	pthread_mutex_lock(&device->ops_lock);
	r = real_device_open_locked(device);
	if (r == 0)
		r = set_alternate_locked(device, interface, alternate);
	pthread_mutex_unlock(&device->ops_lock);
	return r;
}

int
real_device_clear_halt(struct usb_device *device, uint8_t address, bool with_request)
{
	const struct usb_setting_endpoint *endpoint;
	int r;

	pthread_mutex_lock(&device->ops_lock);
	endpoint = &device->settings.endpoints[usb_endpoint_index(address)];
	r = real_device_open_locked(device);
	if (r == 0 && (!endpoint->present || endpoint->address != address ||
		       !real_device_is_claimed(device, endpoint->interface)))
		r = -EINVAL;
	/* libusb has no way to reset the host's toggle alone; both sides' toggles agree after this,
	 * too. */
	if (r == 0)
		r = real_errno_of(libusb_clear_halt(device->handle, address));
	pthread_mutex_unlock(&device->ops_lock);
	return r;
}

int
real_device_reset(struct usb_device *device)
{
	int r;

	pthread_mutex_lock(&device->ops_lock);
	r = real_device_open_locked(device);
	if (r == 0) {
		real_transfer_flush(device, ~0u);
		r = libusb_reset_device(device->handle);
		if (r == 0)
			usb_settings_configure(&device->settings, device->settings.configuration);
		/* Not found: its descriptors have changed, or it cannot be had back: the kernel
		 * drops it. */
		r = r == LIBUSB_ERROR_NOT_FOUND ? -ENODEV : real_errno_of(r);
	}
	pthread_mutex_unlock(&device->ops_lock);
	return r;
}

void
real_device_leave_bus(struct usb_device *device)
{
	pthread_mutex_lock(&device->lock);
	device->gone = true;
	pthread_mutex_unlock(&device->lock);

	/* After this no op flies anything new: each looks at gone under ops_lock. */
	pthread_mutex_lock(&device->ops_lock);
	real_transfer_flush(device, ~0u);
	pthread_mutex_unlock(&device->ops_lock);

	pthread_mutex_lock(&device->lock);
	while (device->n_flying > 0)
		pthread_cond_wait(&device->landed, &device->lock);
	pthread_mutex_unlock(&device->lock);

	pthread_mutex_lock(&device->ops_lock);
	if (device->handle) {
		/* Harmless if it is unplugged, needed if we are only closing. */
		for (unsigned i = 0; i < 256; i++)
			if (real_device_is_claimed(device, i))
				(void) unclaim_locked(device, i);
		libusb_close(device->handle);
		device->handle = NULL;
	}
	libusb_unref_device(device->usb);
	device->usb = NULL;
	pthread_mutex_unlock(&device->ops_lock);
}
