/* SPDX-License-Identifier: MIT */
/* Who has a device or an interface. */

#include <errno.h>
#include <stdlib.h>

#include "usbhost/core.h"
#include "usbhost/status.h"

#define LOG_TOPIC "usb.session"
#include "base/log.h"

/* An open or a close on its way. Exactly one of interface and device is set. */
struct change {
	struct host_barrier barrier;
	struct host_job job;
	struct adxi_list link;            /* in session->waiting */
	void *client;                     /* an open's; owned reference while it waits */
	struct host_interface *interface; /* owned reference, or NULL */
	struct host_device *device;       /* owned reference; the interface's too */
	struct host_session *session;     /* inside one of them */
	uint8_t alternate;
	host_done *done;                  /* may be NULL */
	void *context;
};

static void
change_end(struct change *change, IOReturn status)
{
	if (change->done)
		change->done(change->context, status);
	(void)host_unref(change->interface);
	(void)host_unref(change->device);
	free(change);
}

static struct change *
change_new(struct host_device *device, struct host_interface *interface, host_done *done, void *context)
{
	struct change *change = calloc(1, sizeof *change);

	if (!change)
		return NULL;
	adxi_list_init(&change->link);
	if (interface)
		change->interface = host_ref(interface);
	change->device = host_ref(device);
	change->session = interface ? &interface->session : &device->session;
	change->done = done;
	change->context = context;
	return change;
}

static void begin_open(struct change *change);

/* The session is nobody's. Who waited for that is next. */
static void
leave(struct host_device *device, struct host_session *session)
{
	struct change *next;
	void *client;

	(void)pthread_mutex_lock(&device->lock);
	client = session->client;
	session->client = NULL;
	session->state = HOST_CLOSED;
	next = ADXI_LIST_FIRST(&session->waiting, struct change, link);
	if (next)
		adxi_list_remove(&next->link);
	(void)pthread_mutex_unlock(&device->lock);
	if (client)
		device->host->nubs->client_release(client);
	if (!next)
		return;
	client = next->client;
	begin_open(next);
	device->host->nubs->client_release(client);
}

static bool
is_gone_locked(const struct host_device *device, const struct host_interface *interface)
{
	return device->gone || (interface && interface->gone);
}

/* ---------------------------------------------------------------------------------------------
 * Open
 */

static int
claim(struct host_interface *interface, uint8_t alternate)
{
	struct host_device *device = interface->device;
	int r;

	r = device->ops->claim(device->backend, interface->number);
	if (r < 0)
		return r;
	interface->claimed = true;
	if (alternate)
		r = device->ops->set_alternate(device->backend, interface->number, alternate);
	if (r < 0) {
		interface->claimed = false;
		(void)device->ops->unclaim(device->backend, interface->number);
	}
	return r;
}

static void close_if_gone(struct host_device *device, struct host_interface *interface,
			  bool (*is_gone)(void *client, void *context), void *context);

static bool
is_gone_already(void *client, void *context)
{
	const struct host_nubs *nubs = context;

	return nubs->client_is_gone(client);
}

static void
open_run(struct host_job *job)
{
	struct change *change = adxi_container_of(job, struct change, job);
	struct host_interface *interface = change->interface;
	struct host_device *device = change->device;
	unsigned i;
	bool gone;
	int r;

	(void)pthread_mutex_lock(&device->lock);
	gone = is_gone_locked(device, interface);
	(void)pthread_mutex_unlock(&device->lock);
	r = gone ? -ENODEV : claim(interface, change->alternate);

	(void)pthread_mutex_lock(&device->lock);
	if (r == 0 && change->session->state == HOST_OPENING) {
		change->session->state = HOST_OPEN;
		interface->alternate = change->alternate;
		(void)usb_settings_alternate(&device->settings, interface->number, change->alternate);
		host_queue_refuse(&change->session->control, kIOReturnSuccess);
		for (i = 0; i < USB_SETTINGS_ENDPOINTS; i++)
			if (interface->pipes[i])
				host_queue_refuse(&interface->pipes[i]->queue, kIOReturnSuccess);
	}
	(void)pthread_mutex_unlock(&device->lock);
	if (r < 0) {
		log_debug("interface %u of %s is not claimed: error %d", interface->number, device->source, -r);
		leave(device, change->session);
	}
	/* The news of its death may have come while this was on its way, and found nothing open. */
	if (r == 0)
		close_if_gone(device, interface, is_gone_already, (void *)(uintptr_t)device->host->nubs);
	change_end(change, usb_error_return(r));
}

enum reserved { RESERVED, REFUSED, WAITS };

/* CLOSED --> OPENING for the change's client; or it waits until the session is closed. */
static enum reserved
reserve(struct change *change, IOReturn *ret_status)
{
	struct host_device *device = change->device;
	struct host_session *session = change->session;
	enum reserved reserved = REFUSED;

	(void)pthread_mutex_lock(&device->lock);
	if (is_gone_locked(device, change->interface)) {
		*ret_status = kIOReturnNoDevice;
	} else if (session->state == HOST_CLOSING) {
		device->host->nubs->client_retain(change->client);
		adxi_list_append(&session->waiting, &change->link);
		reserved = WAITS;
	} else if (session->state != HOST_CLOSED) {
		*ret_status = kIOReturnExclusiveAccess;
	} else {
		session->state = HOST_OPENING;
		session->client = change->client;
		device->host->nubs->client_retain(change->client);
		reserved = RESERVED;
	}
	(void)pthread_mutex_unlock(&device->lock);
	return reserved;
}

/* Nothing of the bus is taken with a device: interfaces have sessions of their own. */
static void
open_device(struct change *change)
{
	(void)pthread_mutex_lock(&change->device->lock);
	change->session->state = HOST_OPEN;
	(void)pthread_mutex_unlock(&change->device->lock);
	host_queue_refuse(&change->session->control, kIOReturnSuccess);
	change_end(change, kIOReturnSuccess);
}

/* @p change is taken. */
static void
begin_open(struct change *change)
{
	IOReturn status = kIOReturnSuccess;
	enum reserved reserved = reserve(change, &status);
	int r;

	if (reserved == REFUSED)
		change_end(change, status);
	if (reserved != RESERVED)
		return;
	if (!change->interface) {
		open_device(change);
		return;
	}
	r = host_device_job(change->device, &change->job);
	if (r < 0) {
		leave(change->device, change->session);
		change_end(change, usb_error_return(r));
	}
}


static void
open_session(struct host_device *device, struct host_interface *interface, void *client, uint8_t alternate,
	     host_done *done, void *context)
{
	struct change *change = change_new(device, interface, done, context);

	if (!change) {
		done(context, kIOReturnNoMemory);
		return;
	}
	/* A driver that is started again may be faster than the news of its predecessor's death. */
	close_if_gone(device, interface, is_gone_already, (void *)(uintptr_t)device->host->nubs);
	change->client = client;
	change->alternate = alternate;
	change->job.run = open_run;
	begin_open(change);
}

void
host_interface_open(struct host_interface *interface, void *client, uint8_t alternate, host_done *done, void *context)
{
	if (usb_configuration_has(interface->configuration, interface->number, alternate))
		open_session(interface->device, interface, client, alternate, done, context);
	else
		done(context, kIOReturnNotFound);
}

void
host_device_open(struct host_device *device, void *client, host_done *done, void *context)
{
	open_session(device, NULL, client, 0, done, context);
}

/* ---------------------------------------------------------------------------------------------
 * Close
 */

static void
close_run(struct host_job *job)
{
	struct change *change = adxi_container_of(job, struct change, job);
	struct host_interface *interface = change->interface;
	struct host_device *device = change->device;

	if (interface && interface->claimed) {
		interface->claimed = false;
		(void)device->ops->unclaim(device->backend, interface->number); /* gone: nothing to give back */
	}
	if (interface) {
		(void)pthread_mutex_lock(&device->lock);
		interface->alternate = 0;
		if (!interface->gone)
			(void)usb_settings_alternate(&device->settings, interface->number, 0);
		(void)pthread_mutex_unlock(&device->lock);
	}
	leave(device, change->session);
	change_end(change, kIOReturnSuccess);
}

static void
close_drained(struct host_barrier *barrier)
{
	struct change *change = (struct change *)barrier;

	if (host_device_job(change->device, &change->job) < 0)
		close_run(&change->job);
}

/* OPEN --> CLOSING by @p client. What is answered otherwise is in *ret_status. */
static bool
begin_close(struct host_device *device, struct host_interface *interface, struct host_session *session,
	    void *client, IOReturn *ret_status)
{
	bool begun = false;

	(void)pthread_mutex_lock(&device->lock);
	if (session->state == HOST_OPEN && session->client == client) {
		session->state = HOST_CLOSING;
		begun = true;
	} else if (is_gone_locked(device, interface)) {
		*ret_status = kIOReturnSuccess; /* closed when it went */
	} else {
		*ret_status = kIOReturnNotOpen;
	}
	(void)pthread_mutex_unlock(&device->lock);
	return begun;
}

static void
close_session(struct host_device *device, struct host_interface *interface, void *client, host_done *done,
	      void *context)
{
	struct change *change = change_new(device, interface, done, context);
	IOReturn status = kIOReturnNoMemory;
	bool other_setting = false;

	if (!change || !begin_close(device, interface, change->session, client, &status)) {
		if (change)
			change_end(change, status);
		else if (done)
			done(context, status);
		return;
	}
	host_barrier_init(&change->barrier, close_drained);
	change->job.run = close_run;
	host_queue_refuse(&change->session->control, kIOReturnNotOpen);
	host_queue_abort(&change->session->control, kIOReturnAborted, &change->barrier);
	if (interface) {
		(void)pthread_mutex_lock(&device->lock);
		other_setting = interface->alternate != 0; /* setting 0 comes back: the others' pipes are dead */
		(void)pthread_mutex_unlock(&device->lock);
		host_pipes_end(interface, kIOReturnNotOpen, kIOReturnAborted, other_setting, &change->barrier);
	}
	host_barrier_leave(&change->barrier);
}

void
host_interface_close(struct host_interface *interface, void *client, host_done *done, void *context)
{
	close_session(interface->device, interface, client, done, context);
}

void
host_device_close(struct host_device *device, void *client, host_done *done, void *context)
{
	close_session(device, NULL, client, done, context);
}

void
host_session_drop(struct host_device *device, struct host_session *session)
{
	void *client = NULL;

	(void)pthread_mutex_lock(&device->lock);
	if (session->state == HOST_OPEN) {
		client = session->client;
		session->client = NULL;
		session->state = HOST_CLOSED;
	}
	(void)pthread_mutex_unlock(&device->lock);
	if (client)
		device->host->nubs->client_release(client);
}

/* ---------------------------------------------------------------------------------------------
 * Clients that die
 */

/* The client of an open session, with a reference; or NULL. */
static void *
client_of(struct host_device *device, struct host_session *session)
{
	void *client = NULL;

	(void)pthread_mutex_lock(&device->lock);
	if (session->state == HOST_OPEN) {
		client = session->client;
		device->host->nubs->client_retain(client);
	}
	(void)pthread_mutex_unlock(&device->lock);
	return client;
}

static void
close_if_gone(struct host_device *device, struct host_interface *interface,
	      bool (*is_gone)(void *client, void *context), void *context)
{
	void *client = client_of(device, interface ? &interface->session : &device->session);

	if (!client)
		return;
	if (is_gone(client, context)) {
		log_info("the driver that had %s%s open at 0x%08x is gone: closed", device->source,
			 interface ? "'s interface" : "", device->location);
		close_session(device, interface, client, NULL, NULL);
	}
	device->host->nubs->client_release(client);
}

void
usbhost_clients_gone(struct usbhost *host, bool (*is_gone)(void *client, void *context), void *context)
{
	struct host_interface *interface;
	struct host_device **devices;
	size_t i, n;
	unsigned j;

	devices = usbhost_copy_devices(host, &n);
	for (i = 0; i < n; i++) {
		close_if_gone(devices[i], NULL, is_gone, context);
		for (j = 0; (interface = host_device_interface(devices[i], j)); j++) {
			close_if_gone(devices[i], interface, is_gone, context);
			(void)host_unref(interface);
		}
		(void)host_unref(devices[i]);
	}
	free(devices);
}

static bool
is_open(struct host_device *device, const struct host_session *session, const void *client)
{
	bool open;

	(void)pthread_mutex_lock(&device->lock);
	open = session->state == HOST_OPEN && (!client || session->client == client);
	(void)pthread_mutex_unlock(&device->lock);
	return open;
}

bool
host_device_is_open(struct host_device *device, void *client)
{
	return is_open(device, &device->session, client);
}

bool
host_interface_is_open(struct host_interface *interface, void *client)
{
	return is_open(interface->device, &interface->session, client);
}
