/* SPDX-License-Identifier: MIT */
/*
 * source_sink: bulk IN 0x81 gives a counted stream as fast as it is asked, bulk OUT 0x01 takes one
 * and checks it.
 *
 *   idVendor 0x1209, idProduct 0x0003, SuperSpeed, one vendor-specific interface, packets of 1024
 *   bytes
 *
 * The stream is 64-bit little-endian numbers that count 0, 1, 2 … over all transfers since the
 * setting was chosen, so a reader can check order, loss and repetition of every byte. A transfer
 * whose length is no multiple of 8 is given (or expected) the first bytes of one more number; the
 * next transfer begins with the number after.
 *
 *   alternate 0   every 8 bytes hold a number
 *   alternate 1   the first 8 bytes of every 1024 hold a number, the others are not touched: faster
 *                 than copying,
 *                 for measurements where the device must cost nothing
 *
 * The sink halts OUT at the first number that is wrong; CLEAR_FEATURE(ENDPOINT_HALT) makes it
 * expect 0 again.
 *
 * Vendor requests (bmRequestType 0x40, 0xC0):
 *   1 IN   counters, eight 64-bit numbers: bytes given, transfers given, bytes taken, transfers
 *          taken, mismatches,
 *          and of the last mismatch: byte offset in its transfer, number expected, number found
 *   2 OUT  both streams begin at 0 again, counters are 0
 *
 * Option: limit=N   bytes to give, then the source is silent (default 0: endless)
 */

#include <endian.h>
#include <string.h>

#include <ambidext/usb_model.h>

#define PACKET	1024u
#define WORD	8u

/* Two numbers, anywhere in memory. Four of these a turn fill memory as fast as memcpy() does; wider
 * vectors are slower where the compiler has to take them apart. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(1), may_alias));
#define PAIRS	4u
#define TURN	(PAIRS * sizeof(pair))

struct source_sink {
	uint64_t limit;
	uint32_t stride;       /* bytes from number to number */
	uint64_t next_in, next_out;
	struct {
		uint64_t bytes_given, transfers_given, bytes_taken, transfers_taken;
		uint64_t mismatches, offset, expected, found;
	} counters;
};

static const uint8_t device_descriptor[] = {
	18, 1, USB_MODEL_U16(0x0300), 0xFF, 0, 0, 9,
	USB_MODEL_U16(0x1209), USB_MODEL_U16(0x0003), USB_MODEL_U16(0x0100), 1, 2, 3, 1,
};

#define ENDPOINTS \
	7, 5, 0x81, 2, USB_MODEL_U16(PACKET), 0, \
	6, 48, 15, 0, USB_MODEL_U16(0), \
	7, 5, 0x01, 2, USB_MODEL_U16(PACKET), 0, \
	6, 48, 15, 0, USB_MODEL_U16(0)

static const uint8_t configuration[] = {
	9, 2, USB_MODEL_U16(9 + 2 * (9 + 2 * (7 + 6))), 1, 1, 4, 0xC0, 0,
	9, 4, 0, 0, 2, 0xFF, 0, 0, 5,
	ENDPOINTS,
	9, 4, 0, 1, 2, 0xFF, 0, 1, 6,
	ENDPOINTS,
};

static const uint8_t bos[] = {
	5, 15, USB_MODEL_U16(5 + 7 + 10), 2,
	7, 16, 2, 0x02, 0, 0, 0,                      /* USB 2.0 extension: link power management */
	10, 16, 3, 0, USB_MODEL_U16(0x000E), 3, 10, USB_MODEL_U16(32), /* SuperSpeed */
};

/* Writes numbers from @p next on, every 8 bytes. */
static void
fill_words(uint8_t *data, uint32_t length, uint64_t next)
{
	pair a = { next, next + 1 }, b = a + 2, c = a + 4, d = a + 6;
	uint32_t at = 0;

	for (; BYTE_ORDER == LITTLE_ENDIAN && length - at >= TURN; at += TURN) {
		pair *to = (pair *) (data + at);

		to[0] = a, to[1] = b, to[2] = c, to[3] = d;
		a += 2 * PAIRS, b += 2 * PAIRS, c += 2 * PAIRS, d += 2 * PAIRS;
	}
	for (next += at / WORD; at < length; at += WORD) {
		uint64_t number = htole64(next++);

		memcpy(data + at, &number, length - at < WORD ? length - at : WORD);
	}
}

/* How many bytes from the beginning hold what fill_words() would write; a multiple of 8, or all. */
static uint32_t
count_good_words(const uint8_t *data, uint32_t length, uint64_t next)
{
	pair a = { next, next + 1 }, b = a + 2, c = a + 4, d = a + 6;
	uint32_t at = 0;

	for (; BYTE_ORDER == LITTLE_ENDIAN && length - at >= PACKET; at += PACKET) {
		pair wrong = { 0, 0 };

		for (uint32_t i = 0; i < PACKET; i += TURN) {
			const pair *found = (const pair *) (data + at + i);

			wrong |= found[0] ^ a;
			wrong |= found[1] ^ b;
			wrong |= found[2] ^ c;
			wrong |= found[3] ^ d;
			a += 2 * PAIRS, b += 2 * PAIRS, c += 2 * PAIRS, d += 2 * PAIRS;
		}
		if (wrong[0] | wrong[1])
			break;
	}
	for (next += at / WORD; at < length; at += WORD) {
		uint64_t number = htole64(next++);

		if (memcmp(data + at, &number, length - at < WORD ? length - at : WORD) != 0)
			return at;
	}
	return length;
}

static uint64_t
numbers_in(const struct source_sink *device, uint32_t length)
{
	return (length + device->stride - 1) / device->stride;
}

static void
restart(struct source_sink *device)
{
	device->next_in = device->next_out = 0;
	memset(&device->counters, 0, sizeof device->counters);
}

static int
source_sink_control(struct usb_model_device *device, void *state, const uint8_t setup[8],
		    uint8_t *data, uint32_t length)
{
	struct source_sink *self = state;

	if (setup[0] == 0xC0 && setup[1] == 1) {
		if (length > sizeof self->counters)
			length = sizeof self->counters;
		memcpy(data, &self->counters, length);
		return length;
	}
	if (setup[0] == 0x40 && setup[1] == 2) {
		restart(self);
		usb_model_ready(device, 0x81);
		return length;
	}
	return USB_MODEL_STALL;
}

static int
source_sink_in(struct usb_model_device *device, void *state, uint8_t endpoint, uint8_t *data,
	       uint32_t length)
{
	struct source_sink *self = state;

	if (self->limit && length > self->limit - self->counters.bytes_given) {
		length = self->limit - self->counters.bytes_given;
		if (length == 0)
			return USB_MODEL_NAK;
	}
	if (self->stride == WORD) {
		fill_words(data, length, self->next_in);
	} else {
		for (uint32_t at = 0, i = 0; at < length; at += self->stride, i++)
			fill_words(data + at, length - at < WORD ? length - at : WORD,
				   self->next_in + i);
	}
	self->next_in += numbers_in(self, length);
	self->counters.bytes_given += length;
	self->counters.transfers_given++;
	return length;
}

static int
source_sink_out(struct usb_model_device *device, void *state, uint8_t endpoint, const uint8_t *data,
		uint32_t length)
{
	struct source_sink *self = state;
	uint32_t good = 0;

	if (self->stride == WORD) {
		good = count_good_words(data, length, self->next_out);
	} else {
		for (uint32_t i = 0; good < length; good += self->stride, i++) {
			uint32_t n = length - good < WORD ? length - good : WORD;

			if (count_good_words(data + good, n, self->next_out + i) < n)
				break;
		}
	}
	if (good < length) {
		uint64_t found = 0;

		memcpy(&found, data + good, length - good < WORD ? length - good : WORD);
		self->counters.mismatches++;
		self->counters.offset = good;
		self->counters.expected = self->next_out + good / self->stride;
		self->counters.found = le64toh(found);
		return USB_MODEL_STALL;
	}
	self->next_out += numbers_in(self, length);
	self->counters.bytes_taken += length;
	self->counters.transfers_taken++;
	return length;
}

static void
source_sink_configured(struct usb_model_device *device, void *state, uint8_t value)
{
	((struct source_sink *) state)->stride = WORD;
	restart(state);
}

static void
source_sink_alternate(struct usb_model_device *device, void *state, uint8_t interface,
		      uint8_t alternate)
{
	((struct source_sink *) state)->stride = alternate ? PACKET : WORD;
	restart(state);
}

static void
source_sink_halt_cleared(struct usb_model_device *device, void *state, uint8_t endpoint)
{
	if (endpoint == 0x01)
		((struct source_sink *) state)->next_out = 0;
}

static const struct usb_model source_sink = {
	.abi = USB_MODEL_ABI,
	.state_size = sizeof(struct source_sink),
	.name = "source_sink",
	.summary = "bulk streams of counted numbers at full speed, in and (checked) out",
	.speed = 4,
	.device_descriptor = device_descriptor,
	.configurations = (const uint8_t *const[]){ configuration, NULL },
	.bos = bos,
	.strings = (const char *const[]){ "Ambidext", "Source and sink", "FLOW-0001", "Streams",
					  "Every word counted", "One word a packet", NULL },
	.options = (const struct usb_model_option[]){
		{ "limit", offsetof(struct source_sink, limit), "bytes to give, then silence; 0: endless" },
		{ NULL },
	},
	.control = source_sink_control,
	.in = source_sink_in,
	.out = source_sink_out,
	.configured = source_sink_configured,
	.alternate = source_sink_alternate,
	.halt_cleared = source_sink_halt_cleared,
};

USB_MODEL_EXPORT(source_sink);
