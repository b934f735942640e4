/* SPDX-License-Identifier: MIT */
#ifndef USBHOST_BACKEND_H
#define USBHOST_BACKEND_H

/**
 * @file usbhost/backend.h
 * @brief What a source of USB devices does for usbhost: the contract of libusb/, model/, usbip/,
 * replay/.
 *
 *                 attached                     detached (last word about the device)
 *   back end ------------------> [ device ] -------------------> every op: -ENODEV, then release
 *                                  |   ^
 *                           submit |   | complete: exactly once per submit that returned 0
 *                                  v   |
 *                               [ transfer ]
 *
 * usbhost (the "core") owns registry, sessions, pipes' rules and descriptors' cache; a back end
 * moves bytes.
 * Threads: ops marked [any] may be called from any thread, several at once, on different or the
 * same objects. Events and completions come from any thread, also from inside any op (submit:
 * docs/decisions/0005). No back end lock is held while one of the core's functions is called: the
 * core may call any op but close from inside it. In turn the core holds no lock that its own
 * functions take while it calls an op. Completions of one endpoint are called one at a time and in
 * order, so one that submits again does not nest.
 * A back end's NULL op means -ENOTSUP. Errors are negative errno; a transfer's end is
 * enum usb_status.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct usb_device;   /* a back end's device; embeds nothing of the core */
struct usb_backend;  /* an opened back end */
struct usb_transfer;

enum usb_speed { USB_SPEED_NONE, USB_SPEED_FULL, USB_SPEED_LOW, USB_SPEED_HIGH, USB_SPEED_SUPER,
		 USB_SPEED_SUPER_PLUS, USB_SPEED_SUPER_PLUS_BY_2 }; /* tIOUSBHostConnectionSpeed */

enum usb_endpoint_type { USB_CONTROL, USB_ISOCHRONOUS, USB_BULK, USB_INTERRUPT };

/* How a transfer ended. The table in core/status.c maps them to IOReturn. */
enum usb_status {
	USB_OK,          /* also a short IN packet: actual < length */
	USB_STALL,       /* the endpoint halted (control: this request was refused) */
	USB_TIMEOUT,     /* timeout_ms passed; actual bytes are reported */
	USB_CANCELLED,   /* cancel() was called */
	USB_NO_DEVICE,   /* unplugged; what the wire failed before anybody noticed may be USB_IO_ERROR */
	USB_OVERFLOW,    /* babble: the device sent more than asked for */
	USB_IO_ERROR,    /* no answer, CRC, bit stuffing, a split error ... */
	USB_NO_MEMORY,   /* the kernel or back end could not take it after all */
};

/* One transfer. The core fills the first part and keeps it unchanged from submit to complete. */
struct usb_transfer {
	uint8_t endpoint;         /* bEndpointAddress; 0: control on EP0 */
	uint8_t type;             /* enum usb_endpoint_type */
	uint8_t setup[8];         /* control: as on the wire; wLength says length and bit 7 of [0] direction */
	uint32_t length;          /* bytes */
	uint32_t timeout_ms;      /* 0: never; counted from submit */
	uint8_t *data;            /* length bytes, lent until complete; never NULL if length > 0 */
	uint32_t n_frames;        /* isochronous */
	struct usb_frame { uint32_t length, actual; enum usb_status status; } *frames; /* lent */
	uint64_t first_frame;     /* isochronous: 0 is as soon as possible */

	/* The end. Called exactly once per submit that returned 0; after it the back end has
	 * forgotten the transfer. time_ns: CLOCK_MONOTONIC when the data was there. */
	void (*complete)(struct usb_transfer *transfer, enum usb_status status, uint32_t actual,
			 uint64_t time_ns);
	/* Set before complete: another completion follows at once on this thread, so whoever is told of both
	 * may be woken once. */
	bool more;
	void *core;               /* the core's */
	void *backend;            /* the back end's, set between submit and complete */
};

/* What usbhost wants to know of a device when it comes; borrowed during attached(). */
struct usb_device_info {
	uint32_t location;        /* bus number in the top byte, one nibble per hub port below */
	uint8_t address;
	enum usb_speed speed;
	uint8_t port;
	const uint8_t *device_descriptor; /* 18 bytes */
	const uint8_t *const *configurations; /* bNumConfigurations blobs of wTotalLength bytes each, checked */
	const uint32_t *configuration_lengths;
	uint8_t configuration;    /* bConfigurationValue that is set now; 0: none */
	const char *manufacturer, *product, *serial; /* UTF-8, or NULL */
	const char *source;       /* "model:sensor", "usb:1-2.3": what `dext list` shows */
};

struct usb_events {
	/* A device is there and may be used at once, also from inside attached. *ret_core_device is
	 * the core's handle, given back in detached. 0; or -Exxx: the core cannot take it, the back
	 * end forgets it (neither detached nor release follows). */
	int (*attached)(void *core, struct usb_device *device, const struct usb_device_info *info,
			void **ret_core_device);
	/* It has gone. All its transfers have completed or will soon, as USB_NO_DEVICE says. The
	 * core calls ops->release when it has let go of it. Once per attached, and after attached
	 * returned. */
	void (*detached)(void *core, void *core_device);
};

struct usb_backend_ops {
	const char *name; /* "libusb", "model" ... */

	/* Start. Devices that are there already are announced, from any thread, also from inside
	 * open.
	 * @p options: "key=value,…" from the command line, may be NULL. On failure *ret_why is a
	 * sentence that says why; on success it may be one too: what the user should know (no
	 * hotplug here ...), else NULL. Texts are valid until the next call from the same
	 * thread. */
	int (*open)(const char *options, const struct usb_events *events, void *core,
		    struct usb_backend **ret_backend, const char **ret_why);
	/* Stop: every device is detached first. No event or completion comes after it returned, and
	 * no op but release may be running or called. Not from inside one of the core's
	 * functions. */
	void (*close)(struct usb_backend *backend);

	/* [any] Bring a device by name ("sensor", "sensor,serial=7"), as `dext attach` asks, or
	 * take it away. NULL: this back end's devices come by themselves. ret_location names it for
	 * detach. -ENOENT: no such model or location; -EINVAL: bad options; on failure *ret_why
	 * says it in a sentence. */
	int (*attach)(struct usb_backend *backend, const char *what, uint32_t *ret_location, const char **ret_why);
	int (*detach)(struct usb_backend *backend, uint32_t location);

	/* The core no longer uses the device; called exactly once, after detached. */
	void (*release)(struct usb_device *device);

	/* All below [any], may block for one bus operation (bounded by the kernel's own limits).
	 * -ENODEV when gone. */

	/* Sessions. Claiming takes the interface from a kernel driver, unclaiming, detaching and
	 * close give it back; so does a claim that failed. (When this process dies the kernel
	 * unclaims but binds no driver.) claim: -EBUSY: claimed already, here or by another
	 * process; -ENOENT: not in the current configuration; -EACCES: no permission for the
	 * device. unclaim: -ENOENT: was not claimed.
	 *
	 * unclaim, set_configuration, set_alternate and reset take endpoints away: what is queued
	 * on those completes with USB_CANCELLED. unclaim also goes back to alternate setting 0. */
	int (*claim)(struct usb_device *device, uint8_t interface);
	int (*unclaim)(struct usb_device *device, uint8_t interface);
	/* -EBUSY: an interface is claimed. -ENOENT: no such configuration. Value 0 unconfigures. */
	int (*set_configuration)(struct usb_device *device, uint8_t value);
	/* -EINVAL: not claimed. -ENOENT: no such setting. */
	int (*set_alternate)(struct usb_device *device, uint8_t interface, uint8_t alternate);
	/* Reset toggle; with_request also sends CLEAR_FEATURE(ENDPOINT_HALT), without which a
	 * device that halted the endpoint keeps it halted. A back end that cannot do one without
	 * the other does both. -EINVAL: as submit. */
	int (*clear_halt)(struct usb_device *device, uint8_t endpoint, bool with_request);
	/* Port reset. 0: same device, still configured, claims kept, alternate settings 0, nothing
	 * halted; -ENODEV: it will come back as another (detached, attached). */
	int (*reset)(struct usb_device *device);

	/* Queue. FIFO per endpoint. 0: complete will run once, or ran already. -ENODEV, -ENOMEM
	 * (quota: the caller may retry when something completed), -EINVAL (endpoint not in the
	 * current setting, not of that type, or not claimed; a control transfer whose wLength is
	 * not length), -EPIPE never: on a halted endpoint this one, and what was queued when it
	 * halted, completes with USB_STALL. Control requests that change what the host must know
	 * (SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE(ENDPOINT_HALT)) have the effect of their
	 * op; where the op refuses, USB_STALL. SET_ADDRESS is the bus's own: USB_STALL. */
	int (*submit)(struct usb_device *device, struct usb_transfer *transfer);
	/* Ask for an early end: complete comes soon, with USB_CANCELLED or what happened first.
	 * Returns at once. The caller guarantees that *transfer stays valid until cancel returned;
	 * one that has ended already, or is just ending, is left alone. */
	void (*cancel)(struct usb_device *device, struct usb_transfer *transfer);

	/* The bus's frame number and when it began. -ENOTSUP: this back end cannot know (usbfs has
	 * no such call). */
	int (*current_frame)(struct usb_device *device, uint64_t *ret_frame, uint64_t *ret_time_ns);
};

extern const struct usb_backend_ops usb_backend_model;
extern const struct usb_backend_ops usb_backend_libusb;

#endif /* USBHOST_BACKEND_H */
