/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_USB_MODEL_H
#define AMBIDEXT_USB_MODEL_H

/**
 * @file ambidext/usb_model.h
 * @brief A simulated USB device: one C file, one table.
 *
 * A model says what its descriptors are and what happens when the host asks. usbhost calls it; it
 * never sleeps and starts no thread. Time is what usbhost tells it (a virtual clock in tests).
 * Standard requests (descriptors, configuration, alternate settings, halt features) are answered
 * for it from the descriptors.
 *
 * Threads: all functions of one device are called one at a time. A model links against nothing:
 * what usbhost does for it comes through the device's host table. models/README.md shows how to
 * write one.
 */

#include <stddef.h>
#include <stdint.h>

#include <ambidext/base.h>

ADX_BEGIN_DECLS

#define USB_MODEL_ABI 1u

/* Results of the data functions, besides a byte count >= 0. */
enum {
	USB_MODEL_NAK = -1,    /* nothing yet: asked again after usb_model_ready() or when woken */
	USB_MODEL_STALL = -2,  /* halt the endpoint (control: refuse the request) */
	USB_MODEL_BABBLE = -3, /* sent more than was asked for */
	USB_MODEL_ERROR = -4,  /* no answer or garbage on the wire */
	USB_MODEL_VANISH = -5, /* unplug now */
};

/* Or-ed to a byte count: so many bytes have moved and the transfer goes on, because what moved was
 * whole packets and no short one. Asked again for the rest as after USB_MODEL_NAK. */
#define USB_MODEL_MORE 0x40000000

/* A 16-bit number inside a descriptor. */
#define USB_MODEL_U16(n) (n) & 0xFF, (n) >> 8 & 0xFF

struct usb_model_device;

/* What usbhost does for models; see the functions at the end. */
struct usb_model_host {
	void (*ready)(struct usb_model_device *device, uint8_t endpoint);
	void (*wake_at)(struct usb_model_device *device, uint64_t deadline_ns);
	uint64_t (*now_ns)(struct usb_model_device *device);
	void (*unplug)(struct usb_model_device *device);
};

/* usbhost's handle of one simulated device. A model looks at nothing in it. */
struct usb_model_device {
	const struct usb_model_host *host;
};

/* A number that may be given when the device is attached: "sensor,rate=1000". */
struct usb_model_option {
	const char *key;       /* NULL ends the table */
	uint32_t offset;       /* of a uint64_t in the state; set before attach() if the option was given */
	const char *help;      /* one line */
};

struct usb_model {
	uint32_t abi;          /* USB_MODEL_ABI */
	uint32_t state_size;   /* bytes of zeroed state that each device gets */
	const char *name;      /* "sensor": what `dext attach model:sensor` says */
	const char *summary;   /* one line for people who choose */
	uint8_t speed;         /* tIOUSBHostConnectionSpeed: 1 full, 2 low, 3 high, 4 super */
	const uint8_t *device_descriptor;             /* 18 bytes */
	const uint8_t *const *configurations;         /* whole blobs, NULL-terminated */
	const uint8_t *bos;                           /* whole blob; NULL: none */
	const char *const *strings;                   /* index 1.., UTF-8, NULL-terminated */
	const struct usb_model_option *options;       /* may be NULL; unknown ones are refused before attach() */

	/* Any function may be NULL. attach: 0, or -EINVAL for options that do not fit together. */
	int (*attach)(struct usb_model_device *device, void *state);
	/* Unplugged, or usbhost ends. The state is freed after it. Not called if attach failed. */
	void (*detach)(struct usb_model_device *device, void *state);
	/* A class or vendor request (or a standard one that usbhost does not know). setup as on the
	 * wire; length is its wLength. OUT: data holds length bytes. IN: fill up to length. Returns
	 * bytes (OUT: length) or USB_MODEL_*. NULL: all stall. */
	int (*control)(struct usb_model_device *device, void *state, const uint8_t setup[8], uint8_t *data,
		       uint32_t length);
	/* The host reads: fill up to length bytes of one transfer, in place. Fewer: it ends
	 * short. */
	int (*in)(struct usb_model_device *device, void *state, uint8_t endpoint, uint8_t *data, uint32_t length);
	/* The host wrote length bytes (0: an empty packet). Returns length, fewer with
	 * USB_MODEL_MORE, or USB_MODEL_*. */
	int (*out)(struct usb_model_device *device, void *state, uint8_t endpoint, const uint8_t *data,
		   uint32_t length);
	/* Host events. configured: also alternate 0 everywhere; value 0 on unconfigure and on bus
	 * reset. */
	void (*configured)(struct usb_model_device *device, void *state, uint8_t value);
	void (*alternate)(struct usb_model_device *device, void *state, uint8_t interface, uint8_t alternate);
	void (*halt_cleared)(struct usb_model_device *device, void *state, uint8_t endpoint);
	/* The time asked for with usb_model_wake_at() has come. Endpoints that answered NAK are
	 * asked again after it. */
	void (*woken)(struct usb_model_device *device, void *state, uint64_t now_ns);
};

/** An endpoint (0: control) that answered NAK may have something now. From this device's own
 * functions, or
 *  from any thread that holds no lock of the model, until detach() returned. */
static inline void
usb_model_ready(struct usb_model_device *device, uint8_t endpoint)
{
	device->host->ready(device, endpoint);
}

/** Call woken() at that time; a later call replaces it; 0: never. From the device's own functions
 * only. */
static inline void
usb_model_wake_at(struct usb_model_device *device, uint64_t deadline_ns)
{
	device->host->wake_at(device, deadline_ns);
}

/** Leave the bus as soon as the function that calls this has returned. From the device's own
 * functions only. */
static inline void
usb_model_unplug(struct usb_model_device *device)
{
	device->host->unplug(device);
}

/** Now, on the clock that usbhost uses for this device. */
static inline uint64_t
usb_model_now_ns(struct usb_model_device *device)
{
	return device->host->now_ns(device);
}

/* A model's .so exports exactly this. */
#define USB_MODEL_EXPORT(table) \
	ADX_API extern const struct usb_model *const usb_model_entry; \
	const struct usb_model *const usb_model_entry = &(table)

ADX_END_DECLS
#endif /* AMBIDEXT_USB_MODEL_H */
