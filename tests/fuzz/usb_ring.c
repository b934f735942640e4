/* SPDX-License-Identifier: MIT */
/* usbhost's end of a pipe's ring, with a driver that writes into the shared memory what the input says: every submission that is
 * taken ends once, completions stay in the ring, and nothing but known buffers is ever a transfer's memory. */
#include "fuzz.h"

#include <errno.h>
#include <semaphore.h>

#include <USBDriverKit/IOUSBHostDevice.h>

#include "channel/memory_object.h"
#include "driverkit/host.h"
#include "object/containers.h"
#include "usbdriverkit/ring.h"
#include "usbhost/look.h"
#include "usbhost/ring.h"

#define OPS_MAX 64u
#define PENDING 64u
#define BUFFERS 4u

static const uint8_t configuration[] = { 9, 2, 32, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 2, 0xff, 0, 0, 0,
					 7, 5, 0x81, 2, 0, 2, 0, 7, 5, 2, 2, 0, 2, 0 };
static const uint8_t descriptor[18] = { 18, 1, 0, 2, 0, 0, 0, 64, 1, 0, 2, 0, 0, 1, 0, 0, 0, 1 };

static struct {
	struct fuzz in;
	const struct usb_events *events;
	void *core;
	struct host_device *device; /* NULL: unplugged */
	struct usb_transfer *pending[PENDING];
	IOMemoryDescriptor *buffers[BUFFERS]; /* owned */
	uint8_t *data[BUFFERS];
	uint32_t sizes[BUFFERS];
	uint64_t submitted, completed;
	unsigned bells;
	sem_t released;
} rig;

/* The driver's bell, and the thread that looks: in the place of the glue and of look.c. */
void
ADXUSBCompletions_Completed(ADXUSBCompletions *self)
{
	rig.bells++;
}

bool
host_look_begin(unsigned not_on, void (*look)(void *context), void *context)
{
	return false;
}

/* What request.c has besides, for messages. */
struct adxi_channel *
adxi_host_caller(void)
{
	return NULL;
}

void
IOUSBHostDevice_CompleteAsyncDeviceRequest(IOUSBHostDevice *self, OSAction * action, IOReturn status, uint32_t bytesTransferred)
{
	FUZZ_CHECK(!"a control request");
}

static void
complete(struct usb_transfer *transfer, enum usb_status status, uint32_t actual)
{
	rig.completed++;
	transfer->complete(transfer, status, actual, 1);
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
end_pending(enum usb_status status)
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
	struct host_device *device = rig.device;

	if (!device)
		return;
	rig.device = NULL;
	rig.events->detached(rig.core, device);
	end_pending(USB_NO_DEVICE);
}

static void
fuzz_close(struct usb_backend *backend)
{
	unplug();
}

static void
fuzz_release(struct usb_device *device)
{
	FUZZ_CHECK(sem_post(&rig.released) == 0);
}

static int
fuzz_number(struct usb_device *device, uint8_t number)
{
	return 0;
}

static int
fuzz_two_numbers(struct usb_device *device, uint8_t interface, uint8_t alternate)
{
	return 0;
}

/* A transfer's memory is a known buffer's, all of it. */
static void
check_memory(const struct usb_transfer *transfer)
{
	bool known = transfer->length == 0;

	for (unsigned i = 0; i < BUFFERS && !known; i++)
		known = transfer->data && transfer->data == rig.data[i] && transfer->length <= rig.sizes[i];
	FUZZ_CHECK(known);
}

static int
fuzz_submit(struct usb_device *device, struct usb_transfer *transfer)
{
	const uint8_t how = fuzz_uint8(&rig.in);

	if (transfer->type == USB_CONTROL)
		return -ENODEV;
	check_memory(transfer);
	if (how % 8 == 0)
		return how & 8 ? -ENOMEM : -EINVAL;
	rig.submitted++;
	if (how % 8 < 4)
		for (unsigned i = 0; i < PENDING; i++) {
			if (!rig.pending[i]) {
				rig.pending[i] = transfer;
				return 0;
			}
		}
	if (transfer->length > 0)
		memset(transfer->data, how, transfer->length); /* all of it is there */
	complete(transfer, (enum usb_status)(how / 8 % 8), how & 0x40 ? transfer->length : transfer->length / 2);
	return 0;
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
	{ .name = (text), .open = fuzz_open, .close = fuzz_close, .release = fuzz_release, .claim = fuzz_number, \
	  .unclaim = fuzz_number, .set_configuration = fuzz_number, .set_alternate = fuzz_two_numbers, .submit = fuzz_submit, \
	  .cancel = fuzz_cancel }
const struct usb_backend_ops usb_backend_model = BACKEND("model");
const struct usb_backend_ops usb_backend_libusb = BACKEND("libusb");

static int
device_new(void *userdata, struct host_device *device)
{
	return 0;
}

static int
interface_new(void *userdata, struct host_interface *interface, bool match)
{
	return 0;
}

static void
device_gone(void *userdata, struct host_device *device)
{
}

static void
interface_gone(void *userdata, struct host_interface *interface)
{
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

static void
done(void *context, IOReturn status)
{
	*(IOReturn *)context = status;
}

static struct host_pipe *
open_pipe(uint8_t address)
{
	struct host_interface *interface = host_device_interface(rig.device, 0);
	struct host_pipe *pipe = NULL;
	IOReturn status = -1;

	FUZZ_CHECK(interface);
	host_interface_open(interface, &rig, 0, done, &status);
	host_device_wait(rig.device);
	FUZZ_CHECK(status == kIOReturnSuccess);
	FUZZ_CHECK(host_interface_pipe(interface, address, &pipe) == kIOReturnSuccess);
	(void)host_unref(interface);
	return pipe;
}

static void
new_buffer(unsigned i, uint32_t size)
{
	struct adxi_memory *memory;
	void *address;

	FUZZ_CHECK(adxi_memory_create(size, ADXI_MEMORY_IN | ADXI_MEMORY_OUT | ADXI_MEMORY_BUFFER, &memory) == 0);
	rig.buffers[i] = adxi_memory_object(memory);
	FUZZ_CHECK(rig.buffers[i] && adxi_memory_address(memory, &address) == 0);
	rig.data[i] = address;
	rig.sizes[i] = size;
}

static void
put_submission(struct usb_ring *shared)
{
	const uint32_t at = atomic_load(&shared->submitted);
	struct usb_ring_submission *to = &shared->submissions[at % USB_RING_SUBMISSIONS];
	const uint8_t how = fuzz_uint8(&rig.in);

	to->cookie = how;
	to->buffer = how & 0x80 ? fuzz_uint32(&rig.in) : how % (BUFFERS + 2);
	to->length = how & 0x40 ? fuzz_uint32(&rig.in) : fuzz_uint16(&rig.in) % 300;
	to->timeout_ms = 0;
	atomic_store(&shared->submitted, at + 1);
}

static void
step(struct host_pipe *pipe, struct host_ring *ring, struct usb_ring *shared)
{
	const unsigned which = fuzz_below(&rig.in, BUFFERS);
	IOReturn status = 0;

	switch (fuzz_below(&rig.in, 10)) {
	case 0:
	case 1:
	case 2:
		for (unsigned n = fuzz_below(&rig.in, 8) + 1; n > 0; n--)
			put_submission(shared);
		break;
	case 3:
		host_ring_take(ring);
		break;
	case 4:
		host_ring_rung(ring);
		break;
	case 5: /* any word, any time */
		((_Atomic uint32_t *)(void *)shared)[fuzz_uint16(&rig.in) % (sizeof(*shared) / 4)] = fuzz_uint32(&rig.in);
		break;
	case 6:
		(void)host_ring_set_buffer(ring, fuzz_uint8(&rig.in) & 0x80 ? fuzz_uint32(&rig.in) : which,
					   fuzz_uint8(&rig.in) & 3 ? rig.buffers[which] : NULL);
		break;
	case 7:
		(void)host_ring_submit(ring, 7, rig.buffers[which], rig.data[which], fuzz_uint16(&rig.in) % (rig.sizes[which] + 1), 0);
		break;
	case 8:
		end_pending((enum usb_status)fuzz_below(&rig.in, 8));
		break;
	default:
		if (fuzz_uint8(&rig.in) < 32)
			unplug();
		else
			host_pipe_abort(pipe, kIOReturnAborted, done, &status);
		break;
	}
	if (rig.device)
		host_device_wait(rig.device);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const uint8_t *const blobs[] = { configuration };
	const uint32_t lengths[] = { sizeof(configuration) };
	const struct usb_device_info info = {
		.location = 0x01100000,
		.speed = USB_SPEED_HIGH,
		.device_descriptor = descriptor,
		.configurations = blobs,
		.configuration_lengths = lengths,
		.source = "fuzz:ring",
	};
	ADXUSBCompletions *completions = (ADXUSBCompletions *)adxi_dict_new(); /* never looked at */
	struct host_ring *ring;
	struct host_pipe *pipe;
	struct usbhost host;
	void *shared;
	char *text;

	memset(&rig, 0, sizeof(rig));
	rig.in = (struct fuzz){ bytes, size };
	FUZZ_CHECK(sem_init(&rig.released, 0, 0) == 0);
	usbhost_init(&host, &nubs, NULL);
	FUZZ_CHECK(usbhost_add_backend(&host, "model", &text) == 0);
	free(text);
	FUZZ_CHECK(rig.events->attached(rig.core, (struct usb_device *)&rig, &info, (void **)&rig.device) == 0);
	host_device_wait(rig.device);
	pipe = open_pipe(fuzz_uint8(&rig.in) & 1 ? 0x81 : 0x02);
	for (unsigned i = 0; i < BUFFERS; i++)
		new_buffer(i, 64u << i);
	ring = host_ring_new(pipe, completions);
	FUZZ_CHECK(ring && adxi_memory_address(adxi_memory_of((OS_OBJECT *)host_ring_memory(ring)), &shared) == 0);
	for (unsigned i = 0; i < OPS_MAX && rig.in.left > 0; i++)
		step(pipe, ring, shared);
	unplug();
	(void)host_unref(ring);
	(void)host_unref(pipe);
	usbhost_close(&host);
	while (sem_wait(&rig.released) < 0)
		FUZZ_CHECK(errno == EINTR);
	for (unsigned i = 0; i < BUFFERS; i++)
		adxi_release(rig.buffers[i]);
	adxi_release(completions);
	FUZZ_CHECK(rig.submitted == rig.completed);
	(void)sem_destroy(&rig.released);
	(void)pthread_mutex_destroy(&host.lock);
	return 0;
}
