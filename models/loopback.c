/* SPDX-License-Identifier: MIT */
/*
 * loopback: what the host writes to bulk OUT 0x01 it reads from bulk IN 0x81.
 *
 *   idVendor 0x1209, idProduct 0x0002, high speed, one vendor-specific interface, packets of 512
 *   bytes
 *
 * Packets keep their borders: a transfer that ends with a short or an empty packet ends the read
 * that meets it. A full queue holds the writer back, an empty one the reader. A read that has less
 * room than the next packet needs gets a babble, as on the wire, and the packet is lost.
 *
 * Vendor requests (bmRequestType 0x40, 0xC0):
 *   1 OUT  empty the queue
 *   2 IN   counters, five 64-bit numbers: bytes written, bytes read, packets written, packets read,
 *          babbles
 *
 * Option: depth=N   packets in the queue, 1 .. 512 (default 512)
 */

#include <errno.h>
#include <string.h>

#include <ambidext/usb_model.h>

#define PACKET		512u
#define MAX_DEPTH	512u

struct loopback {
	uint64_t depth;
	struct {
		uint64_t bytes_written, bytes_read, packets_written, packets_read, babbles;
	} counters;
	uint32_t first, n_packets;
	uint16_t lengths[MAX_DEPTH];
	uint8_t packets[MAX_DEPTH][PACKET];
};

static const uint8_t device_descriptor[] = {
	18, 1, USB_MODEL_U16(0x0200), 0, 0, 0, 64,
	USB_MODEL_U16(0x1209), USB_MODEL_U16(0x0002), USB_MODEL_U16(0x0100), 1, 2, 3, 1,
};

static const uint8_t configuration[] = {
	9, 2, USB_MODEL_U16(9 + 9 + 7 + 7), 1, 1, 0, 0xC0, 0,
	9, 4, 0, 0, 2, 0xFF, 0, 0, 4,
	7, 5, 0x01, 2, USB_MODEL_U16(PACKET), 0,
	7, 5, 0x81, 2, USB_MODEL_U16(PACKET), 0,
};

static int
loopback_attach(struct usb_model_device *device, void *state)
{
	struct loopback *loop = state;

	if (loop->depth == 0)
		loop->depth = MAX_DEPTH;
	return loop->depth <= MAX_DEPTH ? 0 : -EINVAL;
}

static int
loopback_control(struct usb_model_device *device, void *state, const uint8_t setup[8],
		 uint8_t *data, uint32_t length)
{
	struct loopback *loop = state;

	if (setup[0] == 0x40 && setup[1] == 1) {
		loop->n_packets = 0;
		usb_model_ready(device, 0x01);
		return length;
	}
	if (setup[0] == 0xC0 && setup[1] == 2) {
		if (length > sizeof loop->counters)
			length = sizeof loop->counters;
		memcpy(data, &loop->counters, length);
		return length;
	}
	return USB_MODEL_STALL;
}

static int
loopback_out(struct usb_model_device *device, void *state, uint8_t endpoint, const uint8_t *data,
	     uint32_t length)
{
	struct loopback *loop = state;
	uint32_t moved = 0;

	do {
		uint32_t n = length - moved < PACKET ? length - moved : PACKET;
		uint32_t slot = (loop->first + loop->n_packets) % MAX_DEPTH;

		if (loop->n_packets == loop->depth)
			return moved ? (int) moved | USB_MODEL_MORE : USB_MODEL_NAK;
		if (n > 0)
			memcpy(loop->packets[slot], data + moved, n);
		loop->lengths[slot] = n;
		loop->n_packets++;
		loop->counters.packets_written++;
		loop->counters.bytes_written += n;
		moved += n;
		usb_model_ready(device, 0x81);
	} while (moved < length);
	return moved;
}

static int
loopback_in(struct usb_model_device *device, void *state, uint8_t endpoint, uint8_t *data,
	    uint32_t length)
{
	struct loopback *loop = state;
	uint32_t moved = 0;

	while (loop->n_packets > 0) {
		uint32_t slot = loop->first, n = loop->lengths[slot];

		loop->first = (slot + 1) % MAX_DEPTH;
		loop->n_packets--;
		usb_model_ready(device, 0x01);
		if (n > length - moved) {
			loop->counters.babbles++;
			return USB_MODEL_BABBLE;
		}
		if (n > 0)
			memcpy(data + moved, loop->packets[slot], n);
		loop->counters.packets_read++;
		loop->counters.bytes_read += n;
		moved += n;
		if (n < PACKET || moved == length)
			return moved;
	}
	return moved ? (int) moved | USB_MODEL_MORE : USB_MODEL_NAK;
}

static void
loopback_configured(struct usb_model_device *device, void *state, uint8_t value)
{
	((struct loopback *) state)->n_packets = 0;
}

static const struct usb_model loopback = {
	.abi = USB_MODEL_ABI,
	.state_size = sizeof(struct loopback),
	.name = "loopback",
	.summary = "bulk loopback: reads return what was written, packet by packet",
	.speed = 3,
	.device_descriptor = device_descriptor,
	.configurations = (const uint8_t *const[]){ configuration, NULL },
	.strings = (const char *const[]){ "Ambidext", "Loopback", "LOOP-0001", "Loopback pipes", NULL },
	.options = (const struct usb_model_option[]){
		{ "depth", offsetof(struct loopback, depth), "packets in the queue, 1 .. 512" },
		{ NULL },
	},
	.attach = loopback_attach,
	.control = loopback_control,
	.in = loopback_in,
	.out = loopback_out,
	.configured = loopback_configured,
};

USB_MODEL_EXPORT(loopback);
