/* SPDX-License-Identifier: MIT */
/* One usbhost for all schedules. */

#include "host.h"

#include <stdlib.h>

#include "usbhost/model/model.h"

/* models/loopback.c, linked in. */
extern const struct usb_model *const usb_model_entry;

static struct usbhost host;
static struct host_device *plugged; /* owned; NULL: not made yet */
static bool is_plugged;
static unsigned n_clients;
static pthread_mutex_t plug_lock = PTHREAD_MUTEX_INITIALIZER; /* is_plugged */
static pthread_mutex_t pass_lock = PTHREAD_MUTEX_INITIALIZER; /* one at a time */

static int
device_new(void *userdata __attribute__((unused)),
	   struct host_device *device __attribute__((unused)))
{
	return 0;
}

static int
interface_new(void *userdata __attribute__((unused)),
	      struct host_interface *interface __attribute__((unused)),
	      bool match __attribute__((unused)))
{
	return 0;
}

static void
device_gone(void *userdata __attribute__((unused)),
	    struct host_device *device __attribute__((unused)))
{
}

static void
interface_gone(void *userdata __attribute__((unused)),
	       struct host_interface *interface __attribute__((unused)))
{
}

static void
configured(void *userdata __attribute__((unused)),
	   struct host_device *device __attribute__((unused)),
	   uint8_t value __attribute__((unused)))
{
}

static void
client_retain(void *client __attribute__((unused)))
{
	(void)__atomic_fetch_add(&n_clients, 1, __ATOMIC_RELAXED);
}

static void
client_release(void *client __attribute__((unused)))
{
	(void)__atomic_fetch_sub(&n_clients, 1, __ATOMIC_RELAXED);
}

static bool
client_is_gone(void *client __attribute__((unused)))
{
	return false;
}

static const struct host_nubs nubs = {
	device_new, interface_new, device_gone,    interface_gone,
	configured, client_retain, client_release, client_is_gone,
};

static void
take(void *context, struct host_device *device)
{
	*(struct host_device **)context = host_ref(device);
}

static void
plug(void)
{
	uint32_t location;
	const char *why;
	char *text;

	if (host.n_backends == 0) {
		usbhost_init(&host, &nubs, NULL);
		race_check(usbhost_add_backend(&host, "model:clock=virtual", &text) == 0,
			   "no back end: %s", text);
	}
	(void)host_unref(plugged);
	plugged = NULL;
	race_check(usb_model_plug(host.backends[0].backend, usb_model_entry, "depth=4", &location,
				  &why) == 0,
		   "not plugged: %s", why);
	usbhost_each(&host, take, &plugged);
	race_check(plugged, "no device");
	host_device_wait(plugged);
	is_plugged = true;
}

struct host_device *
host_begin(void)
{
	if (!is_plugged)
		plug();
	return host_ref(plugged);
}

void
host_end(struct host_device *device)
{
	host_device_wait(device);
	(void)host_unref(device);
}

bool
host_unplug(struct host_device *device)
{
	bool mine;

	(void)pthread_mutex_lock(&plug_lock);
	mine = is_plugged;
	is_plugged = false;
	(void)pthread_mutex_unlock(&plug_lock);
	if (mine)
		race_check(device->ops->detach(host.backends[0].backend, device->location) == 0,
			   "not unplugged");
	return mine;
}

void
host_pass(uint64_t ns)
{
	(void)pthread_mutex_lock(&pass_lock);
	usb_model_pass(host.backends[0].backend, ns);
	(void)pthread_mutex_unlock(&pass_lock);
}

unsigned
host_clients(void)
{
	return __atomic_load_n(&n_clients, __ATOMIC_RELAXED);
}

void
answer_init(struct answer *answer)
{
	*answer = (struct answer){ PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0,
				   kIOReturnSuccess };
}

void
answer_come(void *context, IOReturn status)
{
	struct answer *answer = context;

	(void)pthread_mutex_lock(&answer->lock);
	race_check(answer->n == 0, "an answer came twice");
	answer->n++;
	answer->status = status;
	(void)pthread_cond_signal(&answer->cond);
	(void)pthread_mutex_unlock(&answer->lock);
}

IOReturn
answer_wait(struct answer *answer)
{
	IOReturn status;

	(void)pthread_mutex_lock(&answer->lock);
	while (answer->n == 0)
		(void)pthread_cond_wait(&answer->cond, &answer->lock);
	status = answer->status;
	(void)pthread_mutex_unlock(&answer->lock);
	return status;
}

unsigned
answer_count(struct answer *answer)
{
	unsigned n;

	(void)pthread_mutex_lock(&answer->lock);
	n = answer->n;
	(void)pthread_mutex_unlock(&answer->lock);
	return n;
}
