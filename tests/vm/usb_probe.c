/* SPDX-License-Identifier: MIT */
/*
 * usb_probe VVVV:PPPP…                  waits for these devices, then has each answer and refuse a request
 * usb_probe --replug VVVV:PPPP OFF ON   runs the command OFF, sees the device leave, runs ON, sees it come
 *
 * What the tests in a guest rest on: the kernel enumerates, libusb hears of it, control transfers work.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libusb.h>

enum {
	MAX_DEVICES = 8,
	ARRIVAL_S = 60, /* an emulated machine that shares its cores; a good one needs 3 */
	REQUEST_MS = 5000,
	REFUSED_REQUEST = 0x7e, /* a vendor's request that none of the devices knows */
};

struct device {
	uint16_t vendor, product;
	unsigned int n_arrived, n_left;
	libusb_device *device; /* owned reference; NULL while it is away */
};

static struct device devices[MAX_DEVICES];
static int n_devices;

static bool
parse(const char *text, struct device *device)
{
	char *end;
	unsigned long vendor = strtoul(text, &end, 16);

	if (*end != ':' || vendor > UINT16_MAX)
		return false;
	unsigned long product = strtoul(end + 1, &end, 16);
	if (*end || product > UINT16_MAX)
		return false;
	*device = (struct device){ .vendor = (uint16_t)vendor, .product = (uint16_t)product };
	return true;
}

static int
on_hotplug(libusb_context *context, libusb_device *usb, libusb_hotplug_event event, void *user)
{
	struct libusb_device_descriptor descriptor;

	if (libusb_get_device_descriptor(usb, &descriptor))
		return 0;
	for (int i = 0; i < n_devices; i++) {
		struct device *device = &devices[i];

		if (device->vendor != descriptor.idVendor || device->product != descriptor.idProduct)
			continue;
		if (device->device)
			libusb_unref_device(device->device);
		device->device = NULL;
		if (event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED) {
			device->n_arrived++;
			device->device = libusb_ref_device(usb);
		} else {
			device->n_left++;
		}
	}
	return 0;
}

static int64_t
now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Turns libusb's crank until *counter is at least wanted. */
static bool
wait_for(libusb_context *context, const unsigned int *counter, unsigned int wanted)
{
	int64_t end = now_ms() + ARRIVAL_S * 1000;

	while (*counter < wanted && now_ms() < end) {
		struct timeval slice = { .tv_usec = 100000 };

		libusb_handle_events_timeout_completed(context, &slice, NULL);
	}
	return *counter >= wanted;
}

/* The device descriptor by the wire is the one that the kernel read, and a foreign request stalls. */
static bool
probe(const struct device *device)
{
	struct libusb_device_descriptor cached;
	libusb_device_handle *handle;
	uint8_t bytes[LIBUSB_DT_DEVICE_SIZE];
	int got = libusb_open(device->device, &handle);

	if (got) {
		fprintf(stderr, "usb_probe: %04x:%04x: open: %s\n", device->vendor, device->product,
			libusb_error_name(got));
		return false;
	}
	libusb_get_device_descriptor(device->device, &cached);
	got = libusb_control_transfer(handle, LIBUSB_ENDPOINT_IN, LIBUSB_REQUEST_GET_DESCRIPTOR,
				      LIBUSB_DT_DEVICE << 8, 0, bytes, sizeof(bytes), REQUEST_MS);
	bool same = got == (int)sizeof(bytes) && bytes[8] == (device->vendor & 0xff) &&
		    bytes[9] == device->vendor >> 8 && bytes[17] == cached.bNumConfigurations;
	int refused = libusb_control_transfer(
		handle, LIBUSB_ENDPOINT_IN | LIBUSB_REQUEST_TYPE_VENDOR | LIBUSB_RECIPIENT_DEVICE,
		REFUSED_REQUEST, 0, 0, bytes, sizeof(bytes), REQUEST_MS);
	libusb_close(handle);
	printf("%04x:%04x: descriptor %s (%d bytes), unknown request: %s\n", device->vendor,
	       device->product, same ? "agrees" : "DIFFERS", got,
	       refused < 0 ? libusb_error_name(refused) : "ACCEPTED");
	return same && refused == LIBUSB_ERROR_PIPE;
}

static bool
probe_all(libusb_context *context)
{
	bool good = true;

	for (int i = 0; i < n_devices; i++) {
		if (!wait_for(context, &devices[i].n_arrived, 1)) {
			fprintf(stderr, "usb_probe: %04x:%04x did not come in %d s\n",
				devices[i].vendor, devices[i].product, ARRIVAL_S);
			good = false;
		} else if (!probe(&devices[i])) {
			good = false;
		}
	}
	return good;
}

static bool
replug(libusb_context *context, const char *off, const char *on)
{
	struct device *device = &devices[0];

	if (!wait_for(context, &device->n_arrived, 1)) {
		fprintf(stderr, "usb_probe: the device is not there to begin with\n");
		return false;
	}
	if (system(off) != 0 || !wait_for(context, &device->n_left, 1)) {
		fprintf(stderr, "usb_probe: the device did not leave after: %s\n", off);
		return false;
	}
	if (system(on) != 0 || !wait_for(context, &device->n_arrived, 2)) {
		fprintf(stderr, "usb_probe: the device did not come back after: %s\n", on);
		return false;
	}
	printf("%04x:%04x: left %u time, came %u times\n", device->vendor, device->product,
	       device->n_left, device->n_arrived);
	return device->n_left == 1 && device->n_arrived == 2 && probe(device);
}

int
main(int argc, char **argv)
{
	bool replugging = argc == 5 && strcmp(argv[1], "--replug") == 0;
	libusb_context *context;
	libusb_hotplug_callback_handle handle;
	bool good;

	for (int i = replugging ? 2 : 1; i < (replugging ? 3 : argc); i++) {
		if (n_devices == MAX_DEVICES || !parse(argv[i], &devices[n_devices++]))
			n_devices = MAX_DEVICES + 1;
	}
	if (n_devices == 0 || n_devices > MAX_DEVICES) {
		fprintf(stderr, "usage: usb_probe VVVV:PPPP… (up to %d) | usb_probe --replug VVVV:PPPP OFF ON\n",
			MAX_DEVICES);
		return 2;
	}
	if (libusb_init(&context)) {
		fprintf(stderr, "usb_probe: libusb does not start\n");
		return 1;
	}
	if (libusb_hotplug_register_callback(
		    context, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
		    LIBUSB_HOTPLUG_ENUMERATE, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
		    LIBUSB_HOTPLUG_MATCH_ANY, on_hotplug, NULL, &handle)) {
		fprintf(stderr, "usb_probe: libusb has no hotplug here\n");
		libusb_exit(context);
		return 1;
	}
	good = replugging ? replug(context, argv[3], argv[4]) : probe_all(context);
	libusb_hotplug_deregister_callback(context, handle);
	for (int i = 0; i < n_devices; i++) {
		if (devices[i].device)
			libusb_unref_device(devices[i].device);
	}
	libusb_exit(context);
	return good ? 0 : 1;
}
