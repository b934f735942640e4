/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_USB_MODEL_H
#define AMBIDEXT_USB_MODEL_H

/**
 * @file ambidext/usb_model.h
 * @brief A simulated USB device: one C file, one table.
 *
 * A model says what its descriptors are and what happens when the host asks. usbhost calls it; it never sleeps
 * and starts no thread. Time is what usbhost tells it (a virtual clock in tests). Standard requests
 * (descriptors, configuration, alternate settings, halt features) are answered for it from the descriptors.
 *
 * Threads: all functions of one device are called one at a time.
 */

#include <stddef.h>
#include <stdint.h>

#include <ambidext/base.h>

ADX_BEGIN_DECLS

#define USB_MODEL_ABI 1u

struct usb_model_device; /* usbhost's handle of one simulated device */

/* Results of the data functions, besides a byte count >= 0. */
enum {
	USB_MODEL_NAK = -1,    /* nothing yet: asked again after usb_model_ready() or usb_model_wake_at() */
	USB_MODEL_STALL = -2,  /* halt the endpoint (control: refuse the request) */
	USB_MODEL_BABBLE = -3, /* sent more than was asked for */
	USB_MODEL_ERROR = -4,  /* no answer or garbage on the wire */
	USB_MODEL_VANISH = -5, /* unplug now */
};

struct usb_model {
	uint32_t abi;          /* USB_MODEL_ABI */
	uint32_t state_size;   /* bytes of zeroed state that each device gets */
	const char *name;      /* "sensor": what `dext attach model:sensor` says */
	const char *summary;   /* one line for `dext attach --help` */
	uint8_t speed;         /* tIOUSBHostConnectionSpeed: 1 full, 2 low, 3 high, 4 super */
	const uint8_t *device_descriptor;             /* 18 bytes */
	const uint8_t *const *configurations;         /* whole blobs, NULL-terminated */
	const char *const *strings;                   /* index 1.., UTF-8, NULL-terminated */

	/* @p options: text after the name's comma, or NULL. 0 or -EINVAL. May be NULL. */
	int (*attach)(struct usb_model_device *device, void *state, const char *options);
	void (*detach)(struct usb_model_device *device, void *state);
	/* A class or vendor request (or a standard one that usbhost does not know). setup as on the wire. OUT: data holds
	 * length bytes. IN: fill up to length. Returns bytes (OUT: length), or USB_MODEL_*. NULL: all stall. */
	int (*control)(struct usb_model_device *device, void *state, const uint8_t setup[8], uint8_t *data,
		       uint32_t length);
	/* The host reads: fill up to length bytes of one transfer. Fewer: the transfer ends short. */
	int (*in)(struct usb_model_device *device, void *state, uint8_t endpoint, uint8_t *data, uint32_t length);
	/* The host wrote length bytes. Returns length, or USB_MODEL_*. */
	int (*out)(struct usb_model_device *device, void *state, uint8_t endpoint, const uint8_t *data,
		   uint32_t length);
	/* Host events; may be NULL. */
	void (*configured)(struct usb_model_device *device, void *state, uint8_t value);
	void (*alternate)(struct usb_model_device *device, void *state, uint8_t interface, uint8_t alternate);
	void (*halt_cleared)(struct usb_model_device *device, void *state, uint8_t endpoint);
	/* The time asked for with usb_model_wake_at() has come. */
	void (*woken)(struct usb_model_device *device, void *state, uint64_t now_ns);
};

/** An endpoint that answered NAK may have something now. [any] */
ADX_API void usb_model_ready(struct usb_model_device *device, uint8_t endpoint);
/** Call woken() at that time; a later call replaces it; 0: never. From model functions only. */
ADX_API void usb_model_wake_at(struct usb_model_device *device, uint64_t deadline_ns);
/** Now, on the clock that usbhost uses for this device. */
ADX_API uint64_t usb_model_now_ns(struct usb_model_device *device);

/* A model's .so exports exactly this. */
#define USB_MODEL_EXPORT(table) \
	ADX_API extern const struct usb_model *const usb_model_entry; \
	const struct usb_model *const usb_model_entry = &(table)

ADX_END_DECLS
#endif /* AMBIDEXT_USB_MODEL_H */
