/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_CORE_H
#define USBHOST_CORE_H

/**
 * @file usbhost/core.h
 * @brief Devices, interfaces, pipes and sessions, without objects and messages: those are in nub.c and *_impl.c.
 *
 *   usbhost --> device --configuration--> interface --current alternate setting--> pipe --> queue
 *                 |-- session, control queue  |-- session, control queue
 *                 `-- jobs: one thread, while there are any: what may block for the bus
 *
 *   session   CLOSED --open--> OPENING --claimed--> OPEN --close, client gone, unplug--> CLOSING --ended, unclaimed--> CLOSED
 *             an open that comes while it is CLOSING waits for CLOSED
 *
 * A pipe lives as long as the setting that it belongs to; afterwards everything on it answers kIOReturnNoDevice.
 * "Client" is an opaque pointer here: who has the session. Threads: everything [any]. Lock order: usbhost.lock,
 * device.lock, queue.lock; none is held while a back end op, an end() or a function of host_nubs runs.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "usbhost/queue.h"
#include "usbhost/settings.h"

#define HOST_MAX_INTERFACES 32u
#define HOST_MAX_BACKENDS   4u

struct usbhost;
struct host_device;
struct host_interface;

/* What the core tells who publishes. Each *_new is followed by its *_gone, once. */
struct host_nubs {
	/* Publish, with a reference of its own to the core's object if it keeps it. Errors: -Exxx. May block. */
	int (*device_new)(void *userdata, struct host_device *device);
	int (*interface_new)(void *userdata, struct host_interface *interface, bool match);
	void (*device_gone)(void *userdata, struct host_device *device);
	void (*interface_gone)(void *userdata, struct host_interface *interface);
	/* Another configuration is set (0: none). */
	void (*configured)(void *userdata, struct host_device *device, uint8_t value);
	void (*client_retain)(void *client);
	void (*client_release)(void *client);
	/* Its process is gone, though usbhost_clients_gone() has not come yet. */
	bool (*client_is_gone)(void *client);
};

enum host_session_state { HOST_CLOSED, HOST_OPENING, HOST_OPEN, HOST_CLOSING };

struct host_session {
	enum host_session_state state;
	void *client;                  /* owned reference, not CLOSED */
	struct adxi_list waiting;      /* opens that came while it was being closed */
	struct host_queue control;     /* requests on endpoint 0 */
};

/* An answer that comes once, perhaps from inside the call. */
typedef void host_done(void *context, IOReturn status);

struct host_job {
	struct adxi_list link;
	void (*run)(struct host_job *job); /* frees it */
};

/* A descriptor that was read once. */
struct host_descriptor {
	struct adxi_list link;
	uint8_t type, index;
	uint16_t language;
	uint16_t length;               /* 0: the device has none */
	uint8_t bytes[];
};

struct host_device {
	struct host_ref ref;
	struct usbhost *host;          /* borrowed */
	struct adxi_list link;         /* in host->devices, which holds a reference */
	const struct usb_backend_ops *ops;
	struct usb_device *backend;    /* the core's until release */
	void *nub;                     /* nub.c's */
	uint64_t session_id;           /* mach_absolute_time() of its coming */
	uint32_t location;
	uint8_t address, port;
	enum usb_speed speed;
	char *source;                  /* owned: "model:sensor" */
	char *attached_as;             /* owned: what `dext attach` said, or NULL; under host->lock */
	char *manufacturer, *product, *serial; /* owned, UTF-8, or NULL */
	uint8_t descriptor[18];
	uint8_t n_configurations;
	uint8_t **configurations;      /* owned, checked */
	struct host_queue own;         /* the host's own requests on endpoint 0 */

	pthread_mutex_t lock;
	pthread_cond_t idle;           /* no job is left */
	struct adxi_list jobs;
	bool job_running;
	bool gone, published;
	struct usb_settings settings;  /* what is configured */
	struct host_session session;
	struct host_interface *interfaces[HOST_MAX_INTERFACES]; /* owned references */
	unsigned n_interfaces;
	struct adxi_list descriptors;  /* struct host_descriptor */
	struct host_counters counters; /* of the pipes that are no more */
};

struct host_pipe {
	struct host_ref ref;
	void *nub;                        /* nub.c's: its object, while somebody has it */
	struct host_interface *interface; /* owned reference */
	struct usb_setting_endpoint endpoint;
	uint8_t alternate;
	struct host_queue queue;
};

struct host_interface {
	struct host_ref ref;
	struct host_device *device;    /* owned reference */
	void *nub;                     /* nub.c's */
	const uint8_t *configuration;  /* borrowed from the device */
	uint8_t number;
	char *name;                    /* owned: its string, or NULL */
	bool claimed;                  /* job thread only */
	/* Under device->lock. */
	bool gone, published;
	uint8_t alternate;
	struct host_session session;
	struct host_pipe *pipes[USB_SETTINGS_ENDPOINTS]; /* owned references */
	uint32_t idle_ms;
};

struct usbhost {
	const struct host_nubs *nubs;  /* borrowed */
	void *userdata;
	pthread_mutex_t lock;
	struct adxi_list devices;
	struct {
		struct usbhost *host;
		const struct usb_backend_ops *ops;
		struct usb_backend *backend;
	} backends[HOST_MAX_BACKENDS];
	unsigned n_backends;
};

/* device.c */
void usbhost_init(struct usbhost *host, const struct host_nubs *nubs, void *userdata);
/** "model", "libusb:option,…". 0, or -Exxx with a malloc'd sentence; on success too there may be one. */
int usbhost_add_backend(struct usbhost *host, const char *spec, char **ret_text);
/** Every claimed interface goes back to the kernel's driver, at the end of the process: what flies ends as
 * cancelled. Devices may come and go meanwhile. */
void usbhost_give_back(struct usbhost *host);
/** All that are there, each +1, in an array to be freed; NULL: no memory, and *ret_n is 0. */
struct host_device **usbhost_copy_devices(struct usbhost *host, size_t *ret_n);
/** Every device goes. */
void usbhost_close(struct usbhost *host);
/** "model:sensor,serial=7". *ret_device: +1. -Exxx: *ret_problem is a malloc'd sentence, or NULL (no memory). */
int usbhost_attach(struct usbhost *host, const char *what, struct host_device **ret_device, char **ret_problem);
/** The text that it was attached with, its source or its locationID. */
int usbhost_detach(struct usbhost *host, const char *what, char **ret_problem);
/** Call @p each for each device; it may not block. */
void usbhost_each(struct usbhost *host, void (*each)(void *context, struct host_device *device), void *context);
bool host_device_is_gone(struct host_device *device);
/** Run @p job on the device's thread. -ENOMEM and the like: it was not taken. */
int host_device_job(struct host_device *device, struct host_job *job);
/** Until no job is left. Not from a job. */
void host_device_wait(struct host_device *device);

/* configure.c */
/** Publish what a device with a class of its own interfaces has: as the system's composite driver does. */
void host_device_start(struct host_device *device);
/** Needs the session of @p client (NULL: anyone's). */
void host_set_configuration(struct host_device *device, uint8_t value, bool match, host_done *done, void *context);
void host_reset(struct host_device *device, host_done *done, void *context);
/** +1, or NULL: the @p index'th interface of the current configuration. */
struct host_interface *host_device_interface(struct host_device *device, unsigned index);
/** All nubs of interfaces go: unplugged, or another configuration. @p barrier: entered until their requests ended. */
void host_interfaces_end(struct host_device *device, struct host_barrier *barrier);

/* session.c */
/** kIOReturnExclusiveAccess, kIOReturnNoDevice, kIOReturnNotFound (no such alternate setting). */
void host_interface_open(struct host_interface *interface, void *client, uint8_t alternate, host_done *done, void *context);
void host_interface_close(struct host_interface *interface, void *client, host_done *done, void *context);
void host_device_open(struct host_device *device, void *client, host_done *done, void *context);
void host_device_close(struct host_device *device, void *client, host_done *done, void *context);
/** The device or interface is gone: nobody has it any more. Its Close will find nothing to do. */
void host_session_drop(struct host_device *device, struct host_session *session);
/** Close every session whose client @p is_gone says so of. */
void usbhost_clients_gone(struct usbhost *host, bool (*is_gone)(void *client, void *context), void *context);
/** Does @p client (NULL: anyone) have the session now? */
bool host_device_is_open(struct host_device *device, void *client);
bool host_interface_is_open(struct host_interface *interface, void *client);

/* pipe.c */
/** +1. kIOReturnNotOpen, kIOReturnNotFound, kIOReturnNoDevice. */
IOReturn host_interface_pipe(struct host_interface *interface, uint8_t address, struct host_pipe **ret_pipe);
void host_interface_select(struct host_interface *interface, uint8_t alternate, host_done *done, void *context);
/** Abort all; @p done when the aborted requests have ended. */
void host_pipe_abort(struct host_pipe *pipe, IOReturn error, host_done *done, void *context);
void host_pipe_clear_stall(struct host_pipe *pipe, bool with_request, host_done *done, void *context);
/** Pointers into the configuration; companions may be NULL. False: not there (it always is, in checked blobs). */
bool host_pipe_descriptors(const struct host_pipe *pipe, const uint8_t **ret_endpoint, const uint8_t **ret_ss,
			   const uint8_t **ret_ssp);
/** All pipes of the interface: refuse with @p refuse, abort, enter @p barrier; @p kill: drop them, they are dead. */
void host_pipes_end(struct host_interface *interface, IOReturn refuse, IOReturn error, bool kill,
		    struct host_barrier *barrier);

/* control.c */
/** Descriptors, cached. @p maximum bytes; done once. Status NotFound: the device has none. */
typedef void host_descriptor_done(void *context, IOReturn status, const uint8_t *bytes, uint16_t length);
void host_get_descriptor(struct host_device *device, uint8_t request_type, uint8_t type, uint8_t index, uint16_t language,
			 uint16_t maximum, host_descriptor_done *done, void *context);
/** A string descriptor as UTF-8, waiting at most a second. malloc'd, or NULL. Only on the device's job thread. */
char *host_copy_string(struct host_device *device, uint8_t index);

#endif /* USBHOST_CORE_H */
