/* SPDX-License-Identifier: MIT */
/* Objects of the core's things, and their registry entries. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/ioreturn.h"
#include "channel/channel.h"
#include "driverkit/host.h"
#include "object/containers.h"
#include "object/remote.h"
#include "usbhost/nub.h"
#include "usbhost/ring.h"

#define LOG_TOPIC "usb.nub"
#include "base/log.h"

static pthread_mutex_t pipes_lock = PTHREAD_MUTEX_INITIALIZER; /* guards host_pipe::nub */
static void (*service_destruct)(void *self);
static void (*object_destruct)(void *self);

static void
device_destruct(void *self)
{
	IOUSBHostDevice *object = self;

	if (object->ivars) {
		(void)host_unref(object->ivars->device);
		(void)pthread_mutex_destroy(&object->ivars->lock);
		free(object->ivars);
	}
	if (service_destruct)
		service_destruct(self);
}

static void
interface_destruct(void *self)
{
	IOUSBHostInterface *object = self;

	if (object->ivars) {
		(void)host_unref(object->ivars->interface);
		free(object->ivars);
	}
	if (service_destruct)
		service_destruct(self);
}

static void
pipe_destruct(void *self)
{
	IOUSBHostPipe *object = self;
	uint32_t i;

	if (object->ivars) {
		(void)pthread_mutex_lock(&pipes_lock);
		if (object->ivars->pipe->nub == object)
			object->ivars->pipe->nub = NULL;
		(void)pthread_mutex_unlock(&pipes_lock);
		host_ring_take(object->ivars->requests);
		(void)host_unref(object->ivars->requests);
		for (i = 0; i < object->ivars->ring_size; i++)
			OSRelease((OS_OBJECT *)object->ivars->ring[i]);
		free(object->ivars->ring);
		(void)host_unref(object->ivars->pipe);
		(void)pthread_mutex_destroy(&object->ivars->lock);
		free(object->ivars);
	}
	if (object_destruct)
		object_destruct(self);
}

void
nub_setup(void)
{
	service_destruct = IOUSBHostDevice_Class.super->destruct;
	object_destruct = IOUSBHostPipe_Class.super->destruct;
	IOUSBHostDevice_Class.destruct = device_destruct;
	IOUSBHostInterface_Class.destruct = interface_destruct;
	IOUSBHostPipe_Class.destruct = pipe_destruct;
}

IOUSBHostDevice *
nub_device_object(struct host_device *device)
{
	IOUSBHostDevice *object = (IOUSBHostDevice *)OSMetaClassAllocate(&IOUSBHostDevice_Class);

	if (!object)
		return NULL;
	object->ivars = calloc(1, sizeof *object->ivars);
	if (object->ivars) {
		object->ivars->device = host_ref(device);
		(void)pthread_mutex_init(&object->ivars->lock, NULL);
	}
	if (!object->ivars || !IOUSBHostDevice_init(object))
		return adxi_release(object);
	return object;
}

IOUSBHostInterface *
nub_interface_object(struct host_interface *interface)
{
	IOUSBHostInterface *object = (IOUSBHostInterface *)OSMetaClassAllocate(&IOUSBHostInterface_Class);

	if (!object)
		return NULL;
	object->ivars = calloc(1, sizeof *object->ivars);
	if (object->ivars)
		object->ivars->interface = host_ref(interface);
	if (!object->ivars || !IOUSBHostInterface_init(object))
		return adxi_release(object);
	return object;
}

static IOUSBHostPipe *
pipe_object_new(struct host_pipe *pipe)
{
	IOUSBHostPipe *object = (IOUSBHostPipe *)OSMetaClassAllocate(&IOUSBHostPipe_Class);

	if (object)
		object->ivars = calloc(1, sizeof *object->ivars);
	if (!object || !object->ivars) {
		(void)host_unref(pipe);
		return adxi_release(object);
	}
	object->ivars->pipe = pipe;
	(void)pthread_mutex_init(&object->ivars->lock, NULL);
	if (!IOUSBHostPipe_init(object))
		return adxi_release(object);
	return object;
}

/* One object an endpoint, or a driver that copies its pipe twice had two rings, whose requests would overtake each other. */
IOUSBHostPipe *
nub_pipe_object(struct host_pipe *pipe)
{
	IOUSBHostPipe *object = NULL, *made = NULL;

	for (;;) {
		(void)pthread_mutex_lock(&pipes_lock);
		if (pipe->nub && OSTryRetain(pipe->nub))
			object = pipe->nub;
		else if (made)
			pipe->nub = object = TAKE(made);
		(void)pthread_mutex_unlock(&pipes_lock);
		if (object)
			break;
		made = pipe_object_new(host_ref(pipe));
		if (!made)
			break;
	}
	(void)adxi_release(made);
	(void)host_unref(pipe);
	return object;
}

struct host_ring *
nub_pipe_ring(IOUSBHostPipe *self)
{
	struct host_ring *ring;

	(void)pthread_mutex_lock(&self->ivars->lock);
	ring = self->ivars->requests ? host_ref(self->ivars->requests) : NULL;
	(void)pthread_mutex_unlock(&self->ivars->lock);
	return ring;
}

void
nub_pipe_take(IOUSBHostPipe *self)
{
	struct host_ring *ring = nub_pipe_ring(self);

	host_ring_take(ring);
	(void)host_unref(ring);
}

void
IOUSBHostPipe__Submitted_Impl(IOUSBHostPipe *self)
{
	struct host_ring *ring = nub_pipe_ring(self);

	host_ring_rung(ring);
	(void)host_unref(ring);
}

/* ---------------------------------------------------------------------------------------------
 * Properties
 */

/* The legacy scale of "Device Speed". */
static const uint8_t legacy_speed[] = {
	[USB_SPEED_NONE] = 1, [USB_SPEED_FULL] = 1, [USB_SPEED_LOW] = 0, [USB_SPEED_HIGH] = 2,
	[USB_SPEED_SUPER] = 3, [USB_SPEED_SUPER_PLUS] = 4, [USB_SPEED_SUPER_PLUS_BY_2] = 5,
};

static const struct {
	const char *key;
	uint8_t at, bits;
} device_fields[] = {
	{ "bcdUSB", 2, 16 }, { "bDeviceClass", 4, 8 }, { "bDeviceSubClass", 5, 8 }, { "bDeviceProtocol", 6, 8 },
	{ "bMaxPacketSize0", 7, 8 }, { "idVendor", 8, 16 }, { "idProduct", 10, 16 }, { "bcdDevice", 12, 16 },
	{ "iManufacturer", 14, 8 }, { "iProduct", 15, 8 }, { "iSerialNumber", 16, 8 },
	{ "bNumConfigurations", 17, 8 },
}, interface_fields[] = {
	{ "bInterfaceNumber", 2, 8 }, { "bAlternateSetting", 3, 8 }, { "bNumEndpoints", 4, 8 },
	{ "bInterfaceClass", 5, 8 }, { "bInterfaceSubClass", 6, 8 }, { "bInterfaceProtocol", 7, 8 },
	{ "iInterface", 8, 8 },
};

/* Adds what went wrong to *error, so that a run of them is checked once. */
static void
put_number(OSDictionary *dict, const char *key, uint64_t value, unsigned bits, int *error)
{
	*error |= adxi_dict_set_number(dict, key, value, bits);
}

static void
put_string(OSDictionary *dict, const char *key, const char *legacy_key, const char *value, int *error)
{
	if (!value || !*value)
		return;
	*error |= adxi_dict_set_string(dict, key, value);
	if (legacy_key)
		*error |= adxi_dict_set_string(dict, legacy_key, value);
}

static uint64_t
field(const uint8_t *bytes, uint8_t at, uint8_t bits)
{
	return bits == 16 ? usb_get_u16(bytes + at) : bytes[at];
}

static OSDictionary *
finished(OSDictionary *dict, int error)
{
	return error ? adxi_release(dict) : dict;
}

OSDictionary *
nub_device_properties(struct host_device *device)
{
	OSDictionary *dict = adxi_dict_new();
	int error = 0;
	size_t i;

	if (!dict)
		return NULL;
	for (i = 0; i < sizeof device_fields / sizeof device_fields[0]; i++)
		put_number(dict, device_fields[i].key,
			   field(device->descriptor, device_fields[i].at, device_fields[i].bits),
			   device_fields[i].bits, &error);
	put_string(dict, "kUSBVendorString", "USB Vendor Name", device->manufacturer, &error);
	put_string(dict, "kUSBProductString", "USB Product Name", device->product, &error);
	put_string(dict, "kUSBSerialNumberString", "USB Serial Number", device->serial, &error);
	put_string(dict, "AmbidextSource", NULL, device->source, &error);
	put_number(dict, "locationID", device->location, 32, &error);
	put_number(dict, "kUSBAddress", device->address, 8, &error);
	put_number(dict, "USB Address", device->address, 8, &error);
	put_number(dict, "USBSpeed", device->speed, 8, &error);
	put_number(dict, "Device Speed", legacy_speed[device->speed], 8, &error);
	put_number(dict, "USBPortType", kIOUSBHostPortTypeStandard, 8, &error);
	put_number(dict, "PortNum", device->port, 8, &error);
	put_number(dict, "sessionID", device->session_id, 64, &error);
	put_number(dict, "kUSBCurrentConfiguration", device->settings.value, 8, &error);
	if (device->n_configurations > 0) {
		put_number(dict, "kUSBPreferredConfiguration", device->configurations[0][5], 8, &error);
		put_number(dict, "Requested Power", device->configurations[0][8], 8, &error);
	}
	return finished(dict, error);
}

/* The descriptor of the interface's setting 0: checked blobs have it, or there were no such interface. */
static const uint8_t *
interface_descriptor(const struct host_interface *interface)
{
	const uint8_t *blob = interface->configuration;
	unsigned at, total = usb_get_u16(blob + 2);

	for (at = blob[0]; at < total; at += blob[at])
		if (blob[at + 1] == USB_DESCRIPTOR_INTERFACE && blob[at + 2] == interface->number &&
		    blob[at + 3] == 0)
			return blob + at;
	return NULL;
}

OSDictionary *
nub_interface_properties(struct host_interface *interface)
{
	static const char *const from_device[] = { "idVendor", "idProduct", "bcdDevice" };
	const struct host_device *device = interface->device;
	const uint8_t *descriptor = interface_descriptor(interface);
	OSDictionary *dict = adxi_dict_new();
	int error = descriptor ? 0 : -EINVAL;
	size_t i, j;

	if (!dict)
		return NULL;
	for (i = 0; descriptor && i < sizeof interface_fields / sizeof interface_fields[0]; i++)
		put_number(dict, interface_fields[i].key, descriptor[interface_fields[i].at],
			   interface_fields[i].bits, &error);
	for (i = 0; i < sizeof from_device / sizeof from_device[0]; i++)
		for (j = 0; j < sizeof device_fields / sizeof device_fields[0]; j++)
			if (!strcmp(device_fields[j].key, from_device[i]))
				put_number(dict, device_fields[j].key,
					   field(device->descriptor, device_fields[j].at, 16), 16, &error);
	put_number(dict, "bConfigurationValue", interface->configuration[5], 8, &error);
	put_string(dict, "kUSBString", NULL, interface->name, &error);
	put_string(dict, "USB Vendor Name", NULL, device->manufacturer, &error);
	put_string(dict, "USB Product Name", NULL, device->product, &error);
	put_string(dict, "USB Serial Number", NULL, device->serial, &error);
	put_number(dict, "locationID", device->location, 32, &error);
	put_number(dict, "USBSpeed", device->speed, 8, &error);
	put_number(dict, "USBPortType", kIOUSBHostPortTypeStandard, 8, &error);
	return finished(dict, error);
}

/* ---------------------------------------------------------------------------------------------
 * Publishing
 */

static void *
copy_nub(struct host_device *device, void *const *nub)
{
	void *object;

	(void)pthread_mutex_lock(&device->lock);
	object = adxi_retain(*nub);
	(void)pthread_mutex_unlock(&device->lock);
	return object;
}

/* @p object is taken; gives back what was there. */
static void *
exchange_nub(struct host_device *device, void **nub, void *object)
{
	void *old;

	(void)pthread_mutex_lock(&device->lock);
	old = *nub;
	*nub = object;
	(void)pthread_mutex_unlock(&device->lock);
	return old;
}

IOUSBHostDevice *
nub_copy_device(struct host_device *device)
{
	return copy_nub(device, &device->nub);
}

IOUSBHostInterface *
nub_copy_interface(struct host_interface *interface)
{
	return copy_nub(interface->device, &interface->nub);
}

static int
publish(IOService *nub, IOService *provider, const char *name, uint32_t number, OSDictionary *properties, bool match)
{
	char location[16];
	IOReturn status = kIOReturnNoMemory;

	(void)snprintf(location, sizeof location, "%x", number); /* fits */
	if (nub && properties)
		status = adxi_host_publish(nub, provider, name, location, properties, NULL);
	if (status == kIOReturnSuccess && match)
		status = IOService_RegisterService(nub);
	if (status != kIOReturnSuccess)
		log_warning("%s@%s is not in the registry: %s", name, location, adxi_ioreturn_name(status));
	return status == kIOReturnSuccess ? 0 : status == kIOReturnNoMemory ? -ENOMEM : -EIO;
}

static int
publish_device(void *userdata, struct host_device *device)
{
	IOUSBHostDevice *nub = nub_device_object(device);
	OSDictionary *properties = nub_device_properties(device);
	int r;

	/* Named before it is published: a driver may call at once. */
	(void)exchange_nub(device, &device->nub, adxi_retain(nub));
	r = publish((IOService *)nub, NULL,
		    device->product && *device->product ? device->product : "IOUSBHostDevice", device->location,
		    properties, true);
	adxi_release(properties);
	if (r < 0)
		adxi_release(exchange_nub(device, &device->nub, NULL));
	adxi_release(nub);
	return r;
}

static int
publish_interface(void *userdata, struct host_interface *interface, bool match)
{
	IOUSBHostInterface *nub = nub_interface_object(interface);
	OSDictionary *properties = nub_interface_properties(interface);
	IOUSBHostDevice *provider = nub_copy_device(interface->device);
	int r;

	(void)exchange_nub(interface->device, &interface->nub, adxi_retain(nub));
	r = publish((IOService *)nub, (IOService *)provider,
		    interface->name && *interface->name ? interface->name : "IOUSBHostInterface",
		    interface->number, properties, match);
	adxi_release(properties);
	if (r < 0)
		adxi_release(exchange_nub(interface->device, &interface->nub, NULL));
	adxi_release(provider);
	adxi_release(nub);
	return r;
}

static void
unpublish(struct host_device *device, void **where)
{
	IOService *nub = exchange_nub(device, where, NULL);

	if (!nub)
		return;
	(void)adxi_host_terminate(nub); /* no dextd: the process ends anyway */
	adxi_release(nub);
}

static void
unpublish_device(void *userdata, struct host_device *device)
{
	unpublish(device, &device->nub);
}

static void
unpublish_interface(void *userdata, struct host_interface *interface)
{
	unpublish(interface->device, &interface->nub);
}

static void
configured(void *userdata, struct host_device *device, uint8_t value)
{
	IOUSBHostDevice *nub = nub_copy_device(device);
	OSDictionary *dict = adxi_dict_new();

	if (nub && dict && adxi_dict_set_number(dict, "kUSBCurrentConfiguration", value, 8) == 0)
		(void)adxi_host_set_properties((IOService *)nub, dict); /* only what ioreg shows */
	adxi_release(dict);
	adxi_release(nub);
}

static void
client_retain(void *client)
{
	(void)adxi_retain(client);
}

static void
client_release(void *client)
{
	(void)adxi_release(client);
}

static bool
client_is_gone(void *client)
{
	struct adxi_channel *channel = adxi_channel_of(client);

	return channel && adxi_channel_is_dead(channel);
}

const struct host_nubs nub_publisher = {
	.device_new = publish_device,
	.interface_new = publish_interface,
	.device_gone = unpublish_device,
	.interface_gone = unpublish_interface,
	.configured = configured,
	.client_retain = client_retain,
	.client_release = client_release,
	.client_is_gone = client_is_gone,
};
