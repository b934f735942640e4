/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_MODEL_ENGINE_H
#define USBHOST_MODEL_ENGINE_H

/**
 * @file usbhost/model/engine.h
 * @brief Inside the model back end: a device, its pipes, and who calls whom.
 *
 *   backend.c   the ops table, devices coming and going, locations
 *   device.c    one device: submit, cancel, asking the model, delivering completions
 *   standard.c  standard requests, changes of settings
 *   load.c      names, options, shared objects, checks of a model's table
 *   timer.c     the clock, the heap of devices that wait for a time, the one thread
 *
 * Life of a transfer:
 *
 *   submit --> QUEUED --(the model answered, timeout, cancel, halt, flush, unplug)--> DONE -->
 *   complete()
 *              pipe.queue                                                            pipe.done
 *
 * Locks, in this order: device.lock (one device: model calls, queues), timer.lock (the heap).
 * backend.lock (list of devices) is never held together with another. All code that touches a
 * device is between model_device_enter() and model_device_leave(); leave delivers what became done,
 * with the lock released, one thread at a time per pipe.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <ambidext/usb_model.h>

#include "usbhost/backend.h"
#include "usbhost/settings.h"

/* One accepted transfer, from submit until its complete is about to be called. */
struct request {
	struct request *next, *prev;     /* in pipe::queue, pipe::done or (next only) device::spare */
	struct request *sooner, *later;  /* in device::deadlines, if deadline_ns */
	struct usb_transfer *transfer;   /* lent by the core */
	uint64_t deadline_ns;            /* 0: none */
	uint64_t time_ns;
	uint32_t actual;
	enum usb_status status;
	bool queued;
};

struct request_list {
	struct request *first, *last;    /* owned */
};

struct pipe {
	struct request_list queue;
	struct request_list done;
	bool halted;
};

enum device_state {
	DEVICE_ATTACHING, /* attached() has not returned */
	DEVICE_LIVE,      /* the core knows it */
	DEVICE_TOLD,      /* detached() is being or was called, or never will */
};

struct usb_device {
	struct usb_model_device handle;  /* what the model sees; first */
	struct usb_backend *backend;     /* owned reference */
	const struct usb_model *model;   /* borrowed from object */
	void *object;                    /* owned: dlopen handle, or NULL */
	void *state;                     /* owned: the model's */
	char *serial;                    /* owned: replaces the model's serial number string; or NULL */
	uint32_t location;
	_Atomic unsigned n_refs;         /* backend's list, the core, whoever is using it in between */
	struct usb_device *next;         /* in usb_backend::devices */
	bool closing;                    /* under backend.lock: close() has seen it */

	pthread_mutex_t lock;
	struct usb_settings settings;
	struct pipe pipes[USB_SETTINGS_ENDPOINTS];
	uint32_t done_mask;              /* pipes with something in done */
	uint32_t delivering_mask;        /* pipes whose completions some thread is calling */
	uint32_t claimed[8];             /* interfaces, a bit each */
	struct request_list deadlines;   /* by time, linked by sooner/later */
	struct request *spare;           /* owned: requests for reuse */
	uint64_t wake_ns;                /* what the model asked for; 0: nothing */
	uint64_t armed_ns;               /* what the timer has; 0: nothing */
	enum device_state life;
	bool gone;
	bool vanish;                     /* the model called unplug: done as soon as its function returned */
	bool remote_wakeup;
	bool telling;                    /* a thread is inside detached() */
	bool forgotten;                  /* gone, told, nobody inside the core's functions: out of the list */
	void *core_device;               /* borrowed from the core */
	_Atomic uint32_t ready;          /* pipes that the model called ready, also from other threads */

	/* Under timer.lock. */
	uint64_t heap_ns;
	size_t heap_at;                  /* place in the heap + 1; 0: not in it */
};

struct timer {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct usb_device **heap;        /* owned array of borrowed devices: unplugging takes them out */
	size_t n_heap, n_alloc;
	bool is_virtual;
	_Atomic uint64_t virtual_ns;
	bool stop, has_thread;
	pthread_t thread;
};

struct usb_backend {
	const struct usb_events *events; /* borrowed from the core */
	void *core;
	char *models;                    /* owned: colon list from the options, or NULL */
	_Atomic unsigned n_refs;         /* open, and each device */
	struct timer timer;

	_Atomic size_t n_devices;        /* that exist, in the list or not */

	pthread_mutex_t lock;
	pthread_cond_t emptied;          /* devices became NULL */
	struct usb_device *devices;      /* owned references */
	uint8_t next_address;
};

/* device.c */
struct usb_device *model_device_new(struct usb_backend *backend);
struct usb_device *model_device_ref(struct usb_device *device);
struct usb_device *model_device_unref(struct usb_device *device);
void model_device_enter(struct usb_device *device);
void model_device_leave(struct usb_device *device);
/* All below are called between enter and leave. */
void model_device_serve(struct usb_device *device, uint32_t pipes);
void model_device_flush(struct usb_device *device, uint32_t pipes, enum usb_status status);
void model_device_unplug(struct usb_device *device);
void model_device_due(struct usb_device *device, uint64_t now_ns);
bool model_device_is_claimed(const struct usb_device *device, uint8_t interface);
int model_device_submit(struct usb_device *device, struct usb_transfer *transfer);
void model_device_cancel(struct usb_device *device, struct usb_transfer *transfer);
extern const struct usb_model_host model_device_host;

/* backend.c */
struct usb_backend *model_backend_ref(struct usb_backend *backend);
struct usb_backend *model_backend_unref(struct usb_backend *backend);
/* Takes a device out of the list, whose reference goes; its location is free again. No lock
 * held. */
void model_backend_forget(struct usb_backend *backend, struct usb_device *device);

/* standard.c; between enter and leave. Bytes, USB_MODEL_*, or STANDARD_NOT_MINE. */
#define STANDARD_NOT_MINE (-100)
int model_standard_request(struct usb_device *device, const uint8_t setup[8], uint8_t *data, uint32_t length);
int model_standard_configure(struct usb_device *device, uint8_t value);
int model_standard_alternate(struct usb_device *device, uint8_t interface, uint8_t alternate);
void model_standard_clear_halt(struct usb_device *device, uint8_t endpoint);
void model_standard_reset(struct usb_device *device);

/* load.c */
/* "name,options": finds and opens the model; *ret_options points into @p what. *ret_object is
 * owned. */
int model_load(struct usb_backend *backend, const char *what, const struct usb_model **ret_model,
	       void **ret_object, const char **ret_options, const char **ret_why);
/* Sets the numbers of the model's options table in state, and device->serial. */
int model_load_options(struct usb_device *device, const char *options, const char **ret_why);
/* Composes a sentence that stays valid until this thread composes the next. */
const char *model_why(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* timer.c */
int model_timer_start(struct timer *timer, bool is_virtual);
void model_timer_stop(struct timer *timer);
void model_timer_fini(struct timer *timer);
uint64_t model_timer_now_ns(struct timer *timer);
/* Have model_device_due() called at deadline_ns, unless something sooner is set already. */
void model_timer_arm(struct timer *timer, struct usb_device *device, uint64_t deadline_ns);
void model_timer_remove(struct timer *timer, struct usb_device *device);
/* Makes room for so many devices, so that arming cannot fail. */
int model_timer_reserve(struct timer *timer, size_t n_devices);

#endif /* USBHOST_MODEL_ENGINE_H */
