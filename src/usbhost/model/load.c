/* SPDX-License-Identifier: MIT */
/* From "sensor,rate=1000" to a checked table with its options set. */

#include "usbhost/model/engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usbhost/model/model.h"

#define MAX_STATE_SIZE (1u << 30)

const char *
model_why(const char *fmt, ...)
{
	static _Thread_local char text[512];
	va_list args;

	va_start(args, fmt);
	(void) vsnprintf(text, sizeof text, fmt, args); /* cut off is good enough */
	va_end(args);
	return text;
}

static int
check_settings(const uint8_t *blob, const char **ret_why)
{
	size_t total = usb_get_u16(blob + 2);
	int r = usb_configuration_check(blob, total, ret_why);

	if (r < 0)
		return r;
	for (size_t at = 0; at < total; at += blob[at]) {
		const uint8_t *d = blob + at;

		if (d[1] == USB_DESCRIPTOR_INTERFACE && !usb_configuration_has(blob, d[2], 0)) {
			*ret_why = model_why("interface %u has no alternate setting 0", d[2]);
			return -EINVAL;
		}
		if (d[1] == USB_DESCRIPTOR_ENDPOINT && (d[3] & 3) != USB_BULK &&
		    (d[3] & 3) != USB_INTERRUPT) {
			*ret_why = model_why("endpoint 0x%02x is of type %u; bulk (2) and interrupt (3) are simulated",
					    d[2], d[3] & 3);
			return -EINVAL;
		}
		if (d[1] == USB_DESCRIPTOR_ENDPOINT && !(usb_get_u16(d + 4) & 0x7FF)) {
			*ret_why = model_why("endpoint 0x%02x has wMaxPacketSize 0", d[2]);
			return -EINVAL;
		}
	}
	return 0;
}

static int
check_options(const struct usb_model *model, const char **ret_why)
{
	for (const struct usb_model_option *o = model->options; o && o->key; o++)
		if (o->offset % sizeof(uint64_t) ||
		    (uint64_t) o->offset + sizeof(uint64_t) > model->state_size) {
			*ret_why = model_why("option %s is at offset %u: not an aligned uint64_t inside the %u bytes "
					    "of state", o->key, o->offset, model->state_size);
			return -EINVAL;
		}
	return 0;
}

int
usb_model_check(const struct usb_model *model, const char **ret_why)
{
	const uint8_t *d = model->device_descriptor;
	unsigned n = 0, n_strings = 0;

	if (model->abi != USB_MODEL_ABI) {
		*ret_why = model_why("the model was built for version %u of ambidext/usb_model.h, this host has "
				    "version %u: build it again", model->abi, USB_MODEL_ABI);
		return -EINVAL;
	}
	if (!model->name || !d || !model->configurations || model->speed < USB_SPEED_FULL ||
	    model->speed > USB_SPEED_SUPER_PLUS_BY_2 || model->state_size > MAX_STATE_SIZE) {
		*ret_why = "the model's table lacks a name, a device descriptor or configurations, its speed is not "
			   "1 .. 6, or it asks for more than 1 GiB of state";
		return -EINVAL;
	}
	if (d[0] != 18 || d[1] != USB_DESCRIPTOR_DEVICE) {
		*ret_why = "the device descriptor does not begin with 18, 1";
		return -EINVAL;
	}
	for (; model->configurations[n]; n++) {
		int r = check_settings(model->configurations[n], ret_why);

		if (r < 0)
			return r;
		for (unsigned i = 0; i < n; i++)
			if (model->configurations[i][5] == model->configurations[n][5]) {
				*ret_why = model_why("two configurations have bConfigurationValue %u",
						    model->configurations[n][5]);
				return -EINVAL;
			}
	}
	if (n == 0 || n != d[17]) {
		*ret_why = model_why("bNumConfigurations is %u, but %u configurations are given", d[17], n);
		return -EINVAL;
	}
	while (model->strings && model->strings[n_strings])
		n_strings++;
	for (unsigned i = 14; i < 17; i++)
		if (d[i] > n_strings) {
			*ret_why = model_why("the device descriptor names string %u, but %u are given", d[i],
					    n_strings);
			return -EINVAL;
		}
	if (model->bos && (model->bos[0] != 5 || model->bos[1] != USB_DESCRIPTOR_BOS ||
			   usb_get_u16(model->bos + 2) < 5)) {
		*ret_why = "the BOS descriptor does not begin with 5, 15 and its total length";
		return -EINVAL;
	}
	return check_options(model, ret_why);
}

/* Opens one file. -ENOENT: no such file (no *ret_why); -EINVAL: it is no model. */
static int
open_file(const char *path, const struct usb_model **ret_model, void **ret_object,
	  const char **ret_why)
{
	const struct usb_model *const *entry;
	void *object;
	FILE *file;

	/* dlopen does not tell a missing file from a bad one. */
	file = fopen(path, "re");
	if (!file)
		return -ENOENT;
	fclose(file);
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		*ret_why = model_why("cannot load the model: %s", dlerror());
		return -EINVAL;
	}
	entry = dlsym(object, "usb_model_entry");
	if (!entry || !*entry) {
		*ret_why = model_why("%s exports no usb_model_entry: a model ends with USB_MODEL_EXPORT(table)", path);
		(void) dlclose(object);
		return -EINVAL;
	}
	*ret_model = *entry;
	*ret_object = object;
	return 0;
}

static int
find_file(const char *dirs, const char *name, int name_length, const struct usb_model **ret_model,
	  void **ret_object, const char **ret_why)
{
	char path[4096];

	for (const char *dir = dirs; *dir; dir += *dir == ':') {
		size_t length = strcspn(dir, ":");
		int n = snprintf(path, sizeof path, "%.*s/%.*s.so", (int) length, dir, name_length,
				 name);
		int r = -ENOENT;

		if (length > 0 && n > 0 && (size_t) n < sizeof path)
			r = open_file(path, ret_model, ret_object, ret_why);
		if (r != -ENOENT)
			return r;
		dir += length;
	}
	*ret_why = model_why("there is no model \"%.*s\" in %s; AMBIDEXT_MODELS names the directories to look in, "
			    "and a path with a slash is taken as it is", name_length, name, dirs);
	return -ENOENT;
}

int
model_load(struct usb_backend *backend, const char *what, const struct usb_model **ret_model,
	   void **ret_object, const char **ret_options, const char **ret_why)
{
	int length = strcspn(what, ",");
	const char *dirs = backend->models ? backend->models : getenv("AMBIDEXT_MODELS");
	char path[4096];
	int r;

	if (memchr(what, '/', length)) {
		if ((size_t) length >= sizeof path) {
			*ret_why = "the path of the model is too long";
			return -EINVAL;
		}
		memcpy(path, what, length);
		path[length] = '\0';
		r = open_file(path, ret_model, ret_object, ret_why);
		if (r == -ENOENT)
			*ret_why = model_why("there is no readable file %s", path);
	} else {
		r = find_file(dirs && *dirs ? dirs : AMBIDEXT_MODELS_DIR, what, length, ret_model,
			      ret_object, ret_why);
	}
	if (r == 0)
		*ret_options = what[length] ? what + length + 1 : NULL;
	return r;
}

static const char *
list_options(const struct usb_model *model, char *text, size_t size)
{
	size_t at = (size_t) snprintf(text, size, "serial");

	for (const struct usb_model_option *o = model->options; o && o->key && at < size; o++)
		at += (size_t) snprintf(text + at, size - at, ", %s", o->key);
	return text;
}

/* One "key=value" of @p length bytes. */
static int
set_option(struct usb_device *device, const char *text, size_t length, const char **ret_why)
{
	const struct usb_model *model = device->model;
	const char *equals = memchr(text, '=', length);
	size_t key_length = equals ? (size_t) (equals - text) : length;
	char known[256], value[64], *end;
	unsigned long long number;

	if (equals && key_length == 6 && memcmp(text, "serial", 6) == 0) {
		if (!model->device_descriptor[16]) {
			*ret_why = model_why("%s has no serial number to set", model->name);
			return -EINVAL;
		}
		free(device->serial);
		device->serial = strndup(equals + 1, length - key_length - 1);
		return device->serial ? 0 : -ENOMEM;
	}
	for (const struct usb_model_option *o = model->options; equals && o && o->key; o++) {
		if (strlen(o->key) != key_length || memcmp(o->key, text, key_length) != 0)
			continue;
		(void) snprintf(value, sizeof value, "%.*s", (int) (length - key_length - 1),
				equals + 1);
		errno = 0;
		number = strtoull(value, &end, 0);
		if (errno || end == value || *end || value[0] == '-') {
			*ret_why = model_why("option %s of %s is a number (decimal, or 0x…), not \"%s\"", o->key,
					    model->name, value);
			return -EINVAL;
		}
		*(uint64_t *) ((char *) device->state + o->offset) = number;
		return 0;
	}
	*ret_why = model_why("%s knows no option \"%.*s\"; it has: %s, each as key=value", model->name,
			    (int) key_length, text, list_options(model, known, sizeof known));
	return -EINVAL;
}

int
model_load_options(struct usb_device *device, const char *options, const char **ret_why)
{
	while (options && *options) {
		size_t length = strcspn(options, ",");
		int r = set_option(device, options, length, ret_why);

		if (r < 0)
			return r;
		options += length + (options[length] == ',');
	}
	return 0;
}
