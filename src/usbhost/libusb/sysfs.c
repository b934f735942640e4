/* SPDX-License-Identifier: MIT */
/* What the kernel has read of a device already: no device is opened, woken or asked twice for
 * it. */

#include "usbhost/libusb/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSFS "/sys/bus/usb/devices"
/* 256 configurations of 64 KiB are allowed; no device has a hundredth of it. */
#define MAX_DESCRIPTORS (1u << 20)

int
real_sysfs_name(libusb_device *usb, char *name, size_t size)
{
	uint8_t ports[7];
	int n = libusb_get_port_numbers(usb, ports, sizeof ports);
	size_t at;

	if (n <= 0)
		return -EINVAL;
	at = (size_t) snprintf(name, size, "%u-%u", libusb_get_bus_number(usb), ports[0]);
	for (int i = 1; i < n && at < size; i++)
		at += (size_t) snprintf(name + at, size - at, ".%u", ports[i]);
	return at < size ? 0 : -EINVAL;
}

/* Whole file; sysfs and usbfs do not tell its size in advance. */
static int
read_all(const char *path, uint8_t **ret_bytes, size_t *ret_length)
{
	int r = -ENOMEM, fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0, allocated = 4096;
	uint8_t *bytes = NULL;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && allocated <= MAX_DESCRIPTORS) {
		uint8_t *more = realloc(bytes, allocated);

		if (!more)
			goto out;
		bytes = more;
		while (length < allocated && (n = read(fd, bytes + length, allocated - length)) > 0)
			length += n;
		allocated *= 2;
	}
	r = n < 0 ? -errno : n > 0 ? -E2BIG : 0;
out:
	close(fd);
	if (r < 0) {
		free(bytes);
		return r;
	}
	*ret_bytes = bytes;
	*ret_length = length;
	return 0;
}

int
real_sysfs_descriptors(libusb_device *usb, uint8_t **ret_bytes, size_t *ret_length)
{
	char name[64], path[128];
	int r = -ENOENT;

	if (real_sysfs_name(usb, name, sizeof name) == 0) {
		(void) snprintf(path, sizeof path, SYSFS "/%s/descriptors", name);
		r = read_all(path, ret_bytes, ret_length);
	}
	if (r < 0) {
		(void) snprintf(path, sizeof path, "/dev/bus/usb/%03u/%03u",
				libusb_get_bus_number(usb), libusb_get_device_address(usb));
		r = read_all(path, ret_bytes, ret_length);
	}
	return r;
}

bool
real_sysfs_text(const char *name, const char *attribute, char *value, size_t size)
{
	char path[256];
	ssize_t n;
	int fd;

	(void) snprintf(path, sizeof path, SYSFS "/%s/%s", name, attribute);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, value, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	value[n] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return value[0];
}

uint8_t
real_sysfs_alternate(const char *name, uint8_t configuration, uint8_t interface)
{
	char attribute[64], value[16];

	(void) snprintf(attribute, sizeof attribute, "%s:%u.%u/bAlternateSetting", name,
			configuration, interface);
	/* Under the device's own folder. */
	return real_sysfs_text(name, attribute, value, sizeof value) ? strtoul(value, NULL, 10) : 0;
}
