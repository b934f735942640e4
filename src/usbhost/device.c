/* SPDX-License-Identifier: MIT */
/* Back ends, and their devices as they come and go. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rules.h"
#include "usbhost/core.h"

#define LOG_TOPIC "usb.device"
#include "base/log.h"

static const struct usb_backend_ops *const known_backends[] = {
	&usb_backend_model,
#if USBHOST_HAS_LIBUSB
	&usb_backend_libusb,
#endif
};

void
usbhost_init(struct usbhost *host, const struct host_nubs *nubs, void *userdata)
{
	*host = (struct usbhost){ .nubs = nubs, .userdata = userdata };
	(void)pthread_mutex_init(&host->lock, NULL);
	adxi_list_init(&host->devices);
}

static char *__attribute__((format(printf, 1, 2)))
sentence(const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : text;
}

/* ---------------------------------------------------------------------------------------------
 * A device's memory and its jobs
 */

static void
device_free(struct host_ref *ref)
{
	struct host_device *device = (struct host_device *)ref;
	struct host_descriptor *descriptor;
	unsigned i;

	log_debug("%s at 0x%08x is let go of", device->source, device->location);
	/* The last word: every request that a driver made has been answered, or it would hold the device. */
	if (device->counters.submitted > 0)
		log_info("%s at 0x%08x, transfers of this device: submitted=%llu completed=%llu bytes=%llu refused=%llu",
			 device->source, device->location, (unsigned long long)device->counters.submitted,
			 (unsigned long long)device->counters.completed, (unsigned long long)device->counters.bytes,
			 (unsigned long long)device->counters.refused);
	/* After detached(), which took the device from the list and with it the last way to it. */
	if (device->backend)
		device->ops->release(device->backend);
	while ((descriptor = ADXI_LIST_FIRST(&device->descriptors, struct host_descriptor, link))) {
		adxi_list_remove(&descriptor->link);
		free(descriptor);
	}
	for (i = 0; device->configurations && i < device->n_configurations; i++)
		free(device->configurations[i]);
	free(device->configurations);
	free(device->source);
	free(device->attached_as);
	free(device->manufacturer);
	free(device->product);
	free(device->serial);
	host_queue_fini(&device->own);
	host_queue_fini(&device->session.control);
	(void)pthread_cond_destroy(&device->idle);
	(void)pthread_mutex_destroy(&device->lock);
	free(device);
}

static void *
job_thread(void *argument)
{
	struct host_device *device = argument; /* a reference */
	struct host_job *job;

	(void)pthread_mutex_lock(&device->lock);
	while ((job = ADXI_LIST_FIRST(&device->jobs, struct host_job, link))) {
		adxi_list_remove(&job->link);
		(void)pthread_mutex_unlock(&device->lock);
		job->run(job);
		(void)pthread_mutex_lock(&device->lock);
	}
	device->job_running = false;
	(void)pthread_cond_broadcast(&device->idle);
	(void)pthread_mutex_unlock(&device->lock);
	(void)host_unref(device);
	return NULL;
}

int
host_device_job(struct host_device *device, struct host_job *job)
{
	pthread_t thread;
	bool start;
	int error;

	adxi_list_init(&job->link);
	(void)pthread_mutex_lock(&device->lock);
	adxi_list_append(&device->jobs, &job->link);
	start = !device->job_running;
	device->job_running = true;
	(void)pthread_mutex_unlock(&device->lock);
	if (!start)
		return 0;
	error = pthread_create(&thread, NULL, job_thread, host_ref(device));
	if (error == 0) {
		(void)pthread_detach(thread); /* it is joinable: it was made so */
		return 0;
	}
	(void)host_unref(device);
	/* Another thread may have added a job meanwhile, which nobody would run: they are run here, late but in order. */
	(void)pthread_mutex_lock(&device->lock);
	while ((job = ADXI_LIST_FIRST(&device->jobs, struct host_job, link))) {
		adxi_list_remove(&job->link);
		(void)pthread_mutex_unlock(&device->lock);
		job->run(job);
		(void)pthread_mutex_lock(&device->lock);
	}
	device->job_running = false;
	(void)pthread_cond_broadcast(&device->idle);
	(void)pthread_mutex_unlock(&device->lock);
	return 0;
}

void
host_device_wait(struct host_device *device)
{
	(void)pthread_mutex_lock(&device->lock);
	while (device->job_running)
		(void)pthread_cond_wait(&device->idle, &device->lock);
	(void)pthread_mutex_unlock(&device->lock);
}

bool
host_device_is_gone(struct host_device *device)
{
	bool gone;

	(void)pthread_mutex_lock(&device->lock);
	gone = device->gone;
	(void)pthread_mutex_unlock(&device->lock);
	return gone;
}

/* ---------------------------------------------------------------------------------------------
 * Coming and going
 */

static int
copy_text(const char *from, char **ret)
{
	if (!from)
		return 0;
	*ret = strdup(from);
	return *ret ? 0 : -ENOMEM;
}

static int
copy_configurations(struct host_device *device, const struct usb_device_info *info)
{
	const char *why;
	unsigned i, n = info->device_descriptor[17];

	device->configurations = calloc(n ? n : 1, sizeof *device->configurations);
	if (!device->configurations)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		uint32_t length = info->configuration_lengths[i];
		uint8_t *blob;

		if (!info->configurations[i] ||
		    usb_configuration_check(info->configurations[i], length, &why) < 0) {
			(void)adxi_tell(ADXI_RULE_USB001, "configuration %u of %s (%04x:%04x, location 0x%08x): %s; it is left out",
					i, info->source, usb_get_u16(info->device_descriptor + 8),
					usb_get_u16(info->device_descriptor + 10), info->location,
					info->configurations[i] ? why : "could not be read");
			continue;
		}
		length = usb_get_u16(info->configurations[i] + 2);
		blob = malloc(length);
		if (!blob)
			return -ENOMEM;
		memcpy(blob, info->configurations[i], length);
		device->configurations[device->n_configurations++] = blob;
	}
	return 0;
}

static int
device_new(struct usbhost *host, const struct usb_backend_ops *ops, struct usb_device *backend,
	   const struct usb_device_info *info, struct host_device **ret_device)
{
	struct host_device *device = calloc(1, sizeof *device);

	if (!device)
		return -ENOMEM;
	atomic_init(&device->ref.n, 1);
	device->ref.free = device_free;
	device->host = host;
	device->ops = ops;
	device->session_id = adxi_now_ns();
	device->location = info->location;
	device->address = info->address;
	device->port = info->port;
	device->speed = info->speed;
	memcpy(device->descriptor, info->device_descriptor, sizeof device->descriptor);
	(void)pthread_mutex_init(&device->lock, NULL);
	(void)pthread_cond_init(&device->idle, NULL);
	adxi_list_init(&device->link);
	adxi_list_init(&device->jobs);
	adxi_list_init(&device->descriptors);
	adxi_list_init(&device->session.waiting);
	host_queue_init(&device->own, ops, backend, &device->ref, kIOReturnSuccess);
	host_queue_init(&device->session.control, ops, backend, &device->ref, kIOReturnNotOpen);
	if (copy_configurations(device, info) < 0 || copy_text(info->source, &device->source) < 0 ||
	    copy_text(info->manufacturer, &device->manufacturer) < 0 ||
	    copy_text(info->product, &device->product) < 0 || copy_text(info->serial, &device->serial) < 0) {
		(void)host_unref(device);
		return -ENOMEM;
	}
	if (info->configuration) {
		unsigned i;

		for (i = 0; i < device->n_configurations; i++)
			if (device->configurations[i][5] == info->configuration)
				usb_settings_configure(&device->settings, device->configurations[i]);
	}
	*ret_device = device;
	return 0;
}

static int
attached(void *core, struct usb_device *backend, const struct usb_device_info *info, void **ret_core_device)
{
	struct usbhost *host = ((__typeof__(&host->backends[0]))core)->host;
	const struct usb_backend_ops *ops = ((__typeof__(&host->backends[0]))core)->ops;
	struct host_device *device;
	int r;

	r = device_new(host, ops, backend, info, &device);
	if (r < 0)
		return r;
	r = host->nubs->device_new(host->userdata, device);
	if (r < 0) {
		log_warning("%s at 0x%08x was not published: %s", info->source, info->location, strerror(-r));
		(void)host_unref(device); /* device->backend is not set: the back end forgets it by itself */
		return r;
	}
	device->backend = backend;
	device->published = true;
	(void)pthread_mutex_lock(&host->lock);
	adxi_list_append(&host->devices, &device->link);
	(void)pthread_mutex_unlock(&host->lock);
	log_info("%s: %04x:%04x \"%s\" at 0x%08x", device->source, usb_get_u16(device->descriptor + 8),
		 usb_get_u16(device->descriptor + 10), device->product ? device->product : "",
		 device->location);
	*ret_core_device = device;
	host_device_start(device);
	return 0;
}

static void
nothing(struct host_barrier *barrier)
{
	free(barrier);
}

static void
detached(void *core, void *core_device)
{
	struct host_device *device = core_device;
	struct usbhost *host = device->host;
	struct host_barrier *barrier;
	bool published;

	log_info("%s at 0x%08x has gone", device->source, device->location);
	(void)pthread_mutex_lock(&device->lock);
	device->gone = true;
	published = device->published;
	device->published = false;
	(void)pthread_mutex_unlock(&device->lock);
	host_queue_refuse(&device->own, kIOReturnNoDevice);
	host_queue_refuse(&device->session.control, kIOReturnNoDevice);

	/* Requests end by themselves: the back end completes them. Nobody waits for that here. */
	barrier = malloc(sizeof *barrier);
	if (barrier)
		host_barrier_init(barrier, nothing);
	host_interfaces_end(device, barrier);
	if (barrier)
		host_barrier_leave(barrier);
	host_session_drop(device, &device->session);
	if (published)
		host->nubs->device_gone(host->userdata, device);
	(void)pthread_mutex_lock(&host->lock);
	adxi_list_remove(&device->link);
	(void)pthread_mutex_unlock(&host->lock);
	(void)host_unref(device);
}

static const struct usb_events events = { .attached = attached, .detached = detached };

/* ---------------------------------------------------------------------------------------------
 * Back ends
 */

int
usbhost_add_backend(struct usbhost *host, const char *spec, char **ret_text)
{
	size_t length = strcspn(spec, ":"), i;
	const char *options = spec[length] ? spec + length + 1 : NULL;
	const struct usb_backend_ops *ops = NULL;
	const char *why = NULL;
	int r;

	*ret_text = NULL;
	for (i = 0; i < sizeof known_backends / sizeof known_backends[0]; i++)
		if (strlen(known_backends[i]->name) == length && !memcmp(known_backends[i]->name, spec, length))
			ops = known_backends[i];
	if (!ops) {
		*ret_text = sentence("there is no back end \"%.*s\": this usbhost has model%s", (int)length, spec,
				     USBHOST_HAS_LIBUSB ? " and libusb" : "");
		return -ENOENT;
	}
	if (host->n_backends == HOST_MAX_BACKENDS) {
		*ret_text = sentence("no more than %u back ends can be open", HOST_MAX_BACKENDS);
		return -E2BIG;
	}
	/* Before open: devices may be announced from inside it. */
	i = host->n_backends++;
	host->backends[i].host = host;
	host->backends[i].ops = ops;
	r = ops->open(options, &events, &host->backends[i], &host->backends[i].backend, &why);
	if (r < 0)
		host->n_backends--;
	*ret_text = why ? sentence("back end %s: %s", ops->name, why)
		  : r < 0 ? sentence("back end %s does not start: %s", ops->name, strerror(-r)) : NULL;
	return r;
}

void
usbhost_close(struct usbhost *host)
{
	while (host->n_backends > 0) {
		host->n_backends--;
		host->backends[host->n_backends].ops->close(host->backends[host->n_backends].backend);
	}
}

struct host_device **
usbhost_copy_devices(struct usbhost *host, size_t *ret_n)
{
	struct host_device **devices, *device;
	size_t n = 0;

	(void)pthread_mutex_lock(&host->lock);
	devices = calloc(adxi_list_count(&host->devices) + 1, sizeof(struct host_device *));
	if (devices)
		ADXI_LIST_EACH(device, &host->devices, link)
			devices[n++] = host_ref(device);
	(void)pthread_mutex_unlock(&host->lock);
	*ret_n = n;
	return devices;
}

void
usbhost_give_back(struct usbhost *host)
{
	struct host_interface *interface;
	struct host_device **devices;
	size_t n, at;
	unsigned i;

	/* Those that are there now: none hides behind another one that goes meanwhile. */
	devices = usbhost_copy_devices(host, &n);
	for (at = 0; at < n; at++) {
		for (i = 0; (interface = host_device_interface(devices[at], i)); i++) {
			(void)devices[at]->ops->unclaim(devices[at]->backend, interface->number); /* or was not claimed */
			(void)host_unref(interface);
		}
		(void)host_unref(devices[at]);
	}
	free(devices);
}

/* +1, or NULL. */
static struct host_device *
find_location(struct usbhost *host, uint32_t location)
{
	struct host_device *device, *found = NULL;

	(void)pthread_mutex_lock(&host->lock);
	ADXI_LIST_EACH(device, &host->devices, link)
		if (device->location == location)
			found = host_ref(device);
	(void)pthread_mutex_unlock(&host->lock);
	return found;
}

int
usbhost_attach(struct usbhost *host, const char *what, struct host_device **ret_device, char **ret_problem)
{
	size_t length = strcspn(what, ":");
	const char *why = NULL;
	struct host_device *device;
	uint32_t location = 0;
	char *old, *text;
	unsigned i;
	int r;

	*ret_problem = NULL;
	for (i = 0; i < host->n_backends; i++)
		if (strlen(host->backends[i].ops->name) == length &&
		    !memcmp(host->backends[i].ops->name, what, length))
			break;
	if (!what[length] || i == host->n_backends) {
		*ret_problem = sentence("\"%s\" names no device: write BACKEND:NAME, as in model:sensor or "
					"model:sensor,serial=7; back ends here: %s%s", what,
					host->n_backends > 0 ? host->backends[0].ops->name : "none",
					host->n_backends > 1 ? " and more" : "");
		return -EINVAL;
	}
	if (!host->backends[i].ops->attach) {
		*ret_problem = sentence("devices of back end %s come by themselves: plug it in",
					host->backends[i].ops->name);
		return -ENOTSUP;
	}
	r = host->backends[i].ops->attach(host->backends[i].backend, what + length + 1, &location, &why);
	if (r < 0) {
		*ret_problem = sentence("%s: %s", what, why ? why : strerror(-r));
		return r;
	}
	device = find_location(host, location);
	if (!device) {
		*ret_problem = sentence("%s was attached and is gone again", what);
		return -ENODEV;
	}
	text = strdup(what);
	(void)pthread_mutex_lock(&host->lock);
	old = device->attached_as;
	device->attached_as = text;
	(void)pthread_mutex_unlock(&host->lock);
	free(old);
	host_device_wait(device);
	*ret_device = device;
	return 0;
}

static bool
is_called(const struct host_device *device, const char *what)
{
	char *end;
	unsigned long number = strtoul(what, &end, 0);

	return (device->attached_as && !strcmp(device->attached_as, what)) || !strcmp(device->source, what) ||
	       (end != what && !*end && number == device->location);
}

int
usbhost_detach(struct usbhost *host, const char *what, char **ret_problem)
{
	const struct usb_backend_ops *ops = NULL;
	struct usb_backend *backend = NULL;
	uint32_t location = 0, other = 0;
	struct host_device *device;
	unsigned i, n = 0;
	int r;

	*ret_problem = NULL;
	(void)pthread_mutex_lock(&host->lock);
	ADXI_LIST_EACH(device, &host->devices, link) {
		if (!is_called(device, what))
			continue;
		n++;
		other = location;
		location = device->location;
		ops = device->ops;
	}
	(void)pthread_mutex_unlock(&host->lock);
	if (n == 0) {
		*ret_problem = sentence("there is no device \"%s\" (dext list shows what is attached)", what);
		return -ENOENT;
	}
	if (n > 1) {
		*ret_problem = sentence("%u devices are called \"%s\": name one by its location, as 0x%08x or 0x%08x",
					n, what, other, location);
		return -EINVAL;
	}
	for (i = 0; i < host->n_backends; i++)
		if (host->backends[i].ops == ops)
			backend = host->backends[i].backend;
	r = backend && ops->detach ? ops->detach(backend, location) : -ENOTSUP;
	if (r == -ENOTSUP)
		*ret_problem = sentence("devices of back end %s go by themselves: pull the plug", ops->name);
	else if (r < 0)
		*ret_problem = sentence("%s: %s", what, r == -ENOENT ? "it has just gone" : strerror(-r));
	return r;
}

void
usbhost_each(struct usbhost *host, void (*each)(void *context, struct host_device *device), void *context)
{
	struct host_device *device;

	(void)pthread_mutex_lock(&host->lock);
	ADXI_LIST_EACH(device, &host->devices, link)
		each(context, device);
	(void)pthread_mutex_unlock(&host->lock);
}
