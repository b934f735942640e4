/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_LIBUSB_INTERNAL_H
#define USBHOST_LIBUSB_INTERNAL_H

/**
 * @file usbhost/libusb/internal.h
 * @brief Inside the libusb back end.
 *
 *   backend.c    open, close, the two threads, devices coming and going, the ops table
 *   device.c     one device: opening, claims, settings, halts, reset
 *   transfer.c   submit, cancel, completion
 *   sysfs.c      what the kernel has already read of a device
 *
 * Threads:
 *   usb-events   libusb's events. Its callbacks only put ended transfers into backend.done; when
 *                libusb has
 *                returned, and holds no lock any more, the thread calls their completions in order.
 *   usb-bus      comings and goings, one after the other: reads sysfs, calls attached() and
 *                detached(). A thread of
 *                its own, so that attached() may wait for a transfer.
 *
 * Locks, in this order: device.ops_lock (one op at a time; libusb calls that open, close, submit,
 * cancel, ioctl), then libusb's own, then device.lock (counters and lists, taken by libusb's
 * callbacks, so nothing is called with it but libusb_cancel_transfer, which calls nobody back).
 * backend.lock is the innermost. No lock is held when one of the core's functions is called.
 */

#include <libusb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "usbhost/backend.h"
#include "usbhost/settings.h"

/* One accepted transfer, until its complete is about to be called. */
struct flight {
	struct flight *next, *prev;      /* in usb_device::flying, then (next only) usb_backend::done, ::spare */
	struct usb_device *device;       /* owned reference while in use */
	struct usb_transfer *core;       /* lent by the core */
	struct libusb_transfer *usb;     /* owned */
	uint8_t *control;                /* owned: setup and data of a control transfer; NULL: the core's memory */
	uint64_t time_ns;
	uint32_t actual;
	enum usb_status status;
	bool flushed;                    /* cancelled because its endpoint is taken away */
};

struct usb_device {
	struct usb_backend *backend;     /* owned reference */
	_Atomic unsigned n_refs;         /* backend's list, the core, each flight, whoever is using it */
	struct usb_device *next;         /* in usb_backend::devices */
	uint32_t location;
	void *core_device;               /* borrowed from the core; bus thread only */

	/* The kernel's copy of the descriptors: device, then configurations. Not changed after
	 * attach. */
	uint8_t *descriptors;            /* owned */
	const uint8_t **configurations;  /* owned array into descriptors */
	uint32_t *lengths;               /* owned array */
	unsigned n_configurations;

	pthread_mutex_t ops_lock;
	libusb_device *usb;              /* owned reference; NULL after detach */
	libusb_device_handle *handle;    /* owned; NULL: not opened yet, or gone */
	struct usb_settings settings;
	uint32_t claimed[8];             /* interfaces, a bit each */
	uint32_t took_driver[8];         /* interfaces that a kernel driver had */

	pthread_mutex_t lock;
	pthread_cond_t landed;           /* n_flying became 0 */
	struct flight *flying;           /* owned */
	unsigned n_flying;               /* submitted and not completed: flying, or in usb_backend::done */
	bool gone;
};

/* A coming or going that the bus thread has not handled yet. */
struct change {
	struct change *next;
	libusb_device *usb;              /* owned reference */
	bool arrived;
};

struct usb_backend {
	const struct usb_events *events; /* borrowed from the core */
	void *core;
	_Atomic unsigned n_refs;         /* open, and each device */
	libusb_context *context;         /* owned until close */
	int vid, pid;                    /* filter; -1: any */
	char *path;                      /* owned: filter "1-2.3"; NULL: any */
	libusb_hotplug_callback_handle hotplug;
	bool has_hotplug, has_events_thread, has_bus_thread;
	pthread_t events_thread, bus_thread;
	_Atomic bool stop_events;

	pthread_mutex_t lock;
	struct flight *done, **done_end; /* owned; ended, complete not called yet */
	pthread_cond_t changed;          /* first_change or stop_bus */
	struct change *first_change, **end_change; /* owned */
	struct usb_device *devices;      /* owned references */
	struct flight *spare;            /* owned: for reuse, without control memory */
	bool stop_bus;
};

/* backend.c */
struct usb_backend *real_backend_ref(struct usb_backend *backend);
struct usb_backend *real_backend_unref(struct usb_backend *backend);

/* device.c */
/* Takes its own reference to @p usb. -EINVAL: unusable descriptors; the sentence is in *ret_why. */
int real_device_new(struct usb_backend *backend, libusb_device *usb, struct usb_device **ret_device,
	       const char **ret_why);
struct usb_device *real_device_ref(struct usb_device *device);
struct usb_device *real_device_unref(struct usb_device *device);
/* Says that it is gone, ends what flies and waits until that has completed; gives drivers back;
 * closes. Blocks; not from the events thread. */
void real_device_leave_bus(struct usb_device *device);
/* ops_lock held. Opens the device if need be. -ENODEV, -EACCES ... */
int real_device_open_locked(struct usb_device *device);
bool real_device_is_claimed(const struct usb_device *device, uint8_t interface);
int real_device_claim(struct usb_device *device, uint8_t interface);
int real_device_unclaim(struct usb_device *device, uint8_t interface);
int real_device_set_configuration(struct usb_device *device, uint8_t value);
int real_device_set_alternate(struct usb_device *device, uint8_t interface, uint8_t alternate);
int real_device_clear_halt(struct usb_device *device, uint8_t endpoint, bool with_request);
int real_device_reset(struct usb_device *device);
int real_errno_of(int libusb_error);

/* transfer.c */
int real_transfer_submit(struct usb_device *device, struct usb_transfer *transfer);
void real_transfer_cancel(struct usb_device *device, struct usb_transfer *transfer);
/* Cancels what flies on endpoints that are taken away, as USB_CANCELLED even if the kernel says
 * that the device is gone. pipes: a bit per usb_endpoint_index(). */
void real_transfer_flush(struct usb_device *device, uint32_t pipes);
/* Events thread, outside libusb: calls the completions of all that ended. */
void real_transfer_deliver(struct usb_backend *backend);
void real_transfer_free_spare(struct usb_backend *backend);

/* sysfs.c */
/* "1-2.3"; -EINVAL for a root hub. */
int real_sysfs_name(libusb_device *usb, char *name, size_t size);
/* The descriptors as the kernel read them. *ret_bytes is owned. */
int real_sysfs_descriptors(libusb_device *usb, uint8_t **ret_bytes, size_t *ret_length);
/* "manufacturer", "product", "serial": text without newline into @p value; false: there is none. */
bool real_sysfs_text(const char *name, const char *attribute, char *value, size_t size);
/* Current setting of an interface, "bAlternateSetting"; 0 if unknown. */
uint8_t real_sysfs_alternate(const char *name, uint8_t configuration, uint8_t interface);

#endif /* USBHOST_LIBUSB_INTERNAL_H */
