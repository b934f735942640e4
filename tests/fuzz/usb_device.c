/* SPDX-License-Identifier: MIT */
/* usbhost's core with a device whose every byte is the input's: descriptors, strings, refusals, at every point also unplugged.
 * What is published is taken back once, every request ends once, nothing is left when it is closed. */
#include "fuzz.h"

#include <errno.h>
#include <semaphore.h>

#include "usbhost/core.h"

#define CONFIGURATIONS 8u
#define OPS_MAX	       40u
#define PENDING	       16u

static struct {
	struct fuzz in;
	const struct usb_events *events;
	void *core, *core_device; /* core_device: NULL when it is not attached */
	struct usb_transfer *pending[PENDING];
	unsigned devices, interfaces; /* published */
	unsigned begun, ended;
	sem_t released; /* posted by the last reference, perhaps the job thread's */
	unsigned n_released;
} rig;

/* The back end. The core's thread and this one wait for each other, so the input is read by one at a time. */

static int
answer(void)
{
	static const int answers[] = { 0, 0, 0, 0, -ENODEV, -EBUSY, -ENOENT, -EINVAL };

	return answers[fuzz_below(&rig.in, 8)];
}

static int
fuzz_open(const char *options, const struct usb_events *events, void *core, struct usb_backend **ret_backend,
	  const char **ret_why)
{
	rig.events = events;
	rig.core = core;
	*ret_backend = (struct usb_backend *)&rig;
	*ret_why = NULL;
	return 0;
}

static void
complete(struct usb_transfer *transfer, enum usb_status status, uint32_t actual)
{
	transfer->complete(transfer, status, actual, 1);
}

static void
drop_pending(enum usb_status status)
{
	for (unsigned i = 0; i < PENDING; i++) {
		struct usb_transfer *transfer = rig.pending[i];

		rig.pending[i] = NULL;
		if (transfer)
			complete(transfer, status, 0);
	}
}

static void
unplug(void)
{
	void *device = rig.core_device;

	if (!device)
		return;
	host_device_wait(device);
	rig.core_device = NULL;
	rig.events->detached(rig.core, device);
	drop_pending(USB_NO_DEVICE);
}

static void
fuzz_close(struct usb_backend *backend)
{
	unplug();
}

static int
fuzz_attach(struct usb_backend *backend, const char *what, uint32_t *ret_location, const char **ret_why)
{
	*ret_location = 0x01100000;
	return answer();
}

static int
fuzz_detach(struct usb_backend *backend, uint32_t location)
{
	unplug();
	return 0;
}

static void
fuzz_release(struct usb_device *device)
{
	FUZZ_CHECK(rig.n_released++ == 0);
	FUZZ_CHECK(sem_post(&rig.released) == 0);
}

static int
fuzz_number(struct usb_device *device, uint8_t number)
{
	return answer();
}

static int
fuzz_two_numbers(struct usb_device *device, uint8_t interface, uint8_t alternate)
{
	return answer();
}

static int
fuzz_clear_halt(struct usb_device *device, uint8_t endpoint, bool with_request)
{
	return answer();
}

static int
fuzz_reset(struct usb_device *device)
{
	return answer();
}

static int
fuzz_submit(struct usb_device *device, struct usb_transfer *transfer)
{
	const uint8_t how = fuzz_uint8(&rig.in);
	const uint8_t *bytes;
	size_t n;

	FUZZ_CHECK(transfer->data || transfer->length == 0);
	if (!rig.core_device && how < 128)
		return -ENODEV;
	switch (how % 8) {
	case 0:
		return -EINVAL;
	case 1:
		complete(transfer, (enum usb_status)(1 + how / 8 % 7), 0);
		return 0;
	case 2: /* no answer: the core cancels it, or it ends with the device */
		for (unsigned i = 0; transfer->timeout_ms == 0 && i < PENDING; i++) {
			if (!rig.pending[i]) {
				rig.pending[i] = transfer;
				return 0;
			}
		}
		complete(transfer, USB_TIMEOUT, 0);
		return 0;
	default:
		bytes = fuzz_bytes(&rig.in, fuzz_uint8(&rig.in), &n);
		if (n > transfer->length)
			n = transfer->length;
		if (n > 0)
			memcpy(transfer->data, bytes, n);
		/* Honest enough to be looked at: the type that was asked for. */
		if (how & 0x40 && n >= 2 && transfer->type == USB_CONTROL) {
			transfer->data[0] = (uint8_t)n;
			transfer->data[1] = transfer->setup[3];
		}
		complete(transfer, USB_OK, (uint32_t)n);
		return 0;
	}
}

static void
fuzz_cancel(struct usb_device *device, struct usb_transfer *transfer)
{
	for (unsigned i = 0; i < PENDING; i++) {
		if (rig.pending[i] == transfer) {
			rig.pending[i] = NULL;
			complete(transfer, USB_CANCELLED, 0);
		}
	}
}

#define BACKEND(text) \
	{ .name = (text), .open = fuzz_open, .close = fuzz_close, .attach = fuzz_attach, .detach = fuzz_detach, \
	  .release = fuzz_release, .claim = fuzz_number, .unclaim = fuzz_number, .set_configuration = fuzz_number, \
	  .set_alternate = fuzz_two_numbers, .clear_halt = fuzz_clear_halt, .reset = fuzz_reset, .submit = fuzz_submit, \
	  .cancel = fuzz_cancel }

/* In the place of the true ones. */
const struct usb_backend_ops usb_backend_model = BACKEND("model");
const struct usb_backend_ops usb_backend_libusb = BACKEND("libusb");

/* Who publishes. */

static int
device_new(void *userdata, struct host_device *device)
{
	if (answer() < 0)
		return -ENOMEM;
	rig.devices++;
	return 0;
}

static int
interface_new(void *userdata, struct host_interface *interface, bool match)
{
	if (answer() < 0)
		return -ENOMEM;
	rig.interfaces++;
	return 0;
}

static void
device_gone(void *userdata, struct host_device *device)
{
	FUZZ_CHECK(rig.devices-- > 0);
}

static void
interface_gone(void *userdata, struct host_interface *interface)
{
	FUZZ_CHECK(rig.interfaces-- > 0);
}

static void
configured(void *userdata, struct host_device *device, uint8_t value)
{
}

static void
client_nothing(void *client)
{
}

static bool
client_is_gone(void *client)
{
	return false;
}

static const struct host_nubs nubs = {
	.device_new = device_new,
	.interface_new = interface_new,
	.device_gone = device_gone,
	.interface_gone = interface_gone,
	.configured = configured,
	.client_retain = client_nothing,
	.client_release = client_nothing,
	.client_is_gone = client_is_gone,
};

/* ---------------------------------------------------------------------------------------------
 * What is done with it
 */

static void
done(void *context, IOReturn status)
{
	rig.ended++;
}

static void
descriptor_done(void *context, IOReturn status, const uint8_t *bytes, uint16_t length)
{
	FUZZ_CHECK((status == kIOReturnSuccess) == (bytes != NULL));
	/* Every byte is there. */
	for (unsigned i = 0, sum = 0; i < length; i++)
		FUZZ_CHECK((sum += bytes[i]) <= 255u * 65536u);
	rig.ended++;
}

static void
use_interface(struct host_device *device, unsigned what)
{
	struct host_interface *interface = host_device_interface(device, fuzz_below(&rig.in, 4));
	const uint8_t *endpoint, *ss, *ssp;
	struct host_pipe *pipe;

	if (!interface)
		return;
	switch (what) {
	case 0:
		rig.begun++;
		host_interface_open(interface, &rig, fuzz_uint8(&rig.in) & 3, done, NULL);
		break;
	case 1:
		rig.begun++;
		host_interface_close(interface, &rig, done, NULL);
		break;
	case 2:
		rig.begun++;
		host_interface_select(interface, fuzz_uint8(&rig.in), done, NULL);
		break;
	default:
		if (host_interface_pipe(interface, fuzz_uint8(&rig.in), &pipe) != kIOReturnSuccess)
			break;
		FUZZ_CHECK(host_pipe_descriptors(pipe, &endpoint, &ss, &ssp));
		FUZZ_CHECK(endpoint[0] >= 7 && endpoint[1] == USB_DESCRIPTOR_ENDPOINT);
		FUZZ_CHECK(!ss || ss[0] >= 6);
		FUZZ_CHECK(!ssp || ssp[0] >= 8);
		rig.begun++;
		if (fuzz_uint8(&rig.in) & 1)
			host_pipe_abort(pipe, kIOReturnAborted, done, NULL);
		else
			host_pipe_clear_stall(pipe, true, done, NULL);
		(void)host_unref(pipe);
		break;
	}
	(void)host_unref(interface);
}

static void
step(struct usbhost *host)
{
	struct host_device *device = rig.core_device;
	const unsigned what = fuzz_below(&rig.in, 10);
	char *text, *problem = NULL;

	if (what == 9 || !device) {
		text = fuzz_text(&rig.in);
		(void)usbhost_detach(host, text, &problem);
		free(problem);
		free(text);
		return;
	}
	host_ref(device);
	switch (what) {
	case 0:
	case 1:
	case 2:
	case 3:
		use_interface(device, what);
		break;
	case 4:
		rig.begun++;
		host_set_configuration(device, fuzz_uint8(&rig.in), true, done, NULL);
		break;
	case 5:
		rig.begun++;
		host_reset(device, done, NULL);
		break;
	case 6: {
		const uint8_t type = fuzz_uint8(&rig.in), index = fuzz_uint8(&rig.in);

		rig.begun++;
		host_get_descriptor(device, fuzz_below(&rig.in, 4) ? 0x80 : 0x81, type, index, fuzz_uint8(&rig.in),
				    fuzz_uint16(&rig.in), descriptor_done, NULL);
		break;
	}
	case 7:
		rig.begun++;
		host_device_open(device, &rig, done, NULL);
		break;
	default:
		rig.begun++;
		host_device_close(device, &rig, done, NULL);
		break;
	}
	host_device_wait(device);
	(void)host_unref(device);
}

static void
plug(void)
{
	uint8_t descriptor[18], *blobs[CONFIGURATIONS];
	uint32_t lengths[CONFIGURATIONS];
	struct usb_device_info info = { .location = 0x01100000, .speed = USB_SPEED_HIGH, .source = "fuzz:device" };
	char *product = fuzz_text(&rig.in);
	unsigned n;

	fuzz_fill(&rig.in, descriptor, sizeof(descriptor));
	descriptor[17] %= CONFIGURATIONS + 1;
	n = descriptor[17];
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *bytes;
		size_t size;

		bytes = fuzz_bytes(&rig.in, fuzz_uint16(&rig.in) % 4096, &size);
		blobs[i] = size > 0 ? fuzz_exact(bytes, size) : NULL;
		lengths[i] = (uint32_t)size;
	}
	info.configuration = fuzz_uint8(&rig.in);
	info.device_descriptor = descriptor;
	info.configurations = (const uint8_t *const *)blobs;
	info.configuration_lengths = lengths;
	info.product = product;
	rig.core_device = NULL;
	if (rig.events->attached(rig.core, (struct usb_device *)&rig, &info, &rig.core_device) == 0)
		host_device_wait(rig.core_device);
	else
		FUZZ_CHECK(sem_post(&rig.released) == 0);
	for (unsigned i = 0; i < n; i++)
		free(blobs[i]);
	free(product);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct host_device *device = NULL;
	struct usbhost host;
	char *text, *problem = NULL;

	memset(&rig, 0, sizeof(rig));
	rig.in = (struct fuzz){ bytes, size };
	FUZZ_CHECK(sem_init(&rig.released, 0, 0) == 0);
	usbhost_init(&host, &nubs, NULL);
	FUZZ_CHECK(usbhost_add_backend(&host, "model", &text) == 0);
	free(text);
	plug();
	if (fuzz_uint8(&rig.in) & 1) {
		text = fuzz_text(&rig.in);
		if (usbhost_attach(&host, text, &device, &problem) == 0)
			(void)host_unref(device);
		free(problem);
		free(text);
	}
	for (unsigned i = 0; i < OPS_MAX && rig.in.left > 0; i++)
		step(&host);
	usbhost_close(&host);
	while (sem_wait(&rig.released) < 0)
		FUZZ_CHECK(errno == EINTR);
	FUZZ_CHECK(rig.devices == 0 && rig.interfaces == 0);
	FUZZ_CHECK(rig.begun == rig.ended);
	FUZZ_CHECK(rig.n_released <= 1);
	(void)sem_destroy(&rig.released);
	(void)pthread_mutex_destroy(&host.lock);
	return 0;
}
