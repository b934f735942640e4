/* SPDX-License-Identifier: MIT */
/*
 * faulty: a device that misbehaves on command.
 *
 *   idVendor 0x1209, idProduct 0x0004, full speed, one vendor-specific interface, packets of 64
 *   bytes
 *
 * Behaves well until told otherwise: bulk IN 0x81 and interrupt IN 0x82 fill every transfer with
 * 64-bit little-endian numbers that count 0, 1, 2 … (each endpoint its own), bulk OUT 0x01 takes
 * all.
 *
 * Vendor requests (bmRequestType 0x40, 0xC0):
 *   1 IN   ping: 8 bytes, a number that counts; obeys the faults of endpoint 0
 *   2 IN   counters, five 64-bit numbers: transfers of 0x81, 0x82, 0x01, pings, faults that struck
 *   0x10 + fault OUT, wIndex = endpoint, wValue = transfers that still go well before it strikes,
 *          data (0 or 4 bytes) = value:
 *          0 none     well again
 *          1 stall    halts the endpoint (ping: refused), once
 *          2 babble   sends more than asked for, once
 *          3 short    ends after `value` bytes, once
 *          4 silent   answers nothing more until told "none"
 *          5 error    garbage on the wire, once
 *          6 vanish   leaves the bus
 *          7 late     every transfer is answered `value` milliseconds after it was first asked
 *
 * Options: fault=N, endpoint=N, after=N, value=N (the same, from the beginning);
 *          vanish_ms=N (leaves the bus so long after it came; default 0: stays)
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <ambidext/usb_model.h>

#define REQUEST_PING		1
#define REQUEST_COUNTERS	2
#define REQUEST_FAULT		0x10
#define NS_PER_MS		1000000ull

enum fault { FAULT_NONE, FAULT_STALL, FAULT_BABBLE, FAULT_SHORT, FAULT_SILENT, FAULT_ERROR, FAULT_VANISH,
	     FAULT_LATE, N_FAULTS };

enum place { PLACE_CONTROL, PLACE_IN, PLACE_EVENTS, PLACE_OUT, N_PLACES };

static const uint8_t addresses[N_PLACES] = { 0, 0x81, 0x82, 0x01 };

struct plan {
	enum fault fault;
	uint64_t after, value;
	uint64_t answer_ns;    /* late: when the transfer that was asked for is answered; 0: none was */
	uint64_t number;       /* next number of the pattern */
};

struct faulty {
	uint64_t fault, endpoint, after, value, vanish_ms; /* options */
	uint64_t leave_ns;
	struct plan plans[N_PLACES];
	struct {
		uint64_t transfers[N_PLACES - 1], pings, faults;
	} counters;
};

static const uint8_t device_descriptor[] = {
	18, 1, USB_MODEL_U16(0x0110), 0, 0, 0, 64,
	USB_MODEL_U16(0x1209), USB_MODEL_U16(0x0004), USB_MODEL_U16(0x0100), 1, 2, 3, 1,
};

static const uint8_t configuration[] = {
	9, 2, USB_MODEL_U16(9 + 9 + 7 + 7 + 7), 1, 1, 0, 0x80, 50,
	9, 4, 0, 0, 3, 0xFF, 0, 0, 0,
	7, 5, 0x81, 2, USB_MODEL_U16(64), 0,
	7, 5, 0x82, 3, USB_MODEL_U16(64), 1,
	7, 5, 0x01, 2, USB_MODEL_U16(64), 0,
};

static int
find_place(uint64_t endpoint)
{
	for (int i = 0; i < N_PLACES; i++)
		if (addresses[i] == endpoint)
			return i;
	return -1;
}

/* The alarm rings when the first of the late answers, or leaving, is due. */
static void
set_alarm(struct usb_model_device *device, const struct faulty *faulty)
{
	uint64_t at = faulty->leave_ns;

	for (int i = 0; i < N_PLACES; i++)
		if (faulty->plans[i].answer_ns && (!at || faulty->plans[i].answer_ns < at))
			at = faulty->plans[i].answer_ns;
	usb_model_wake_at(device, at);
}

static int
faulty_attach(struct usb_model_device *device, void *state)
{
	struct faulty *faulty = state;
	int place = find_place(faulty->endpoint);

	if (faulty->fault >= N_FAULTS || place < 0)
		return -EINVAL;
	faulty->plans[place].fault = faulty->fault;
	faulty->plans[place].after = faulty->after;
	faulty->plans[place].value = faulty->value;
	if (faulty->vanish_ms) {
		faulty->leave_ns = usb_model_now_ns(device) + faulty->vanish_ms * NS_PER_MS;
		set_alarm(device, faulty);
	}
	return 0;
}

/* May this transfer go well? @p limit is cut for a short one. 0: yes; else the answer to give. */
static int
strike(struct usb_model_device *device, struct faulty *faulty, enum place place, uint32_t *limit)
{
	static const int answers[N_FAULTS] = {
		[FAULT_STALL] = USB_MODEL_STALL, [FAULT_BABBLE] = USB_MODEL_BABBLE,
		[FAULT_ERROR] = USB_MODEL_ERROR, [FAULT_VANISH] = USB_MODEL_VANISH,
	};
	struct plan *plan = &faulty->plans[place];
	enum fault fault = plan->fault;
	uint64_t now_ns;

	if (fault == FAULT_NONE)
		return 0;
	if (plan->after > 0) {
		plan->after--;
		return 0;
	}
	switch (fault) {
	case FAULT_SILENT:
		return USB_MODEL_NAK;
	case FAULT_LATE:
		now_ns = usb_model_now_ns(device);
		if (!plan->answer_ns)
			plan->answer_ns = now_ns + plan->value * NS_PER_MS;
		if (plan->answer_ns > now_ns) {
			set_alarm(device, faulty);
			return USB_MODEL_NAK;
		}
		plan->answer_ns = 0;
		set_alarm(device, faulty);
		return 0;
	default:
		plan->fault = FAULT_NONE;
		faulty->counters.faults++;
		if (fault == FAULT_SHORT && *limit > plan->value)
			*limit = plan->value;
		return answers[fault];
	}
}

static int
fill(struct plan *plan, uint8_t *data, uint32_t length)
{
	for (uint32_t at = 0; at < length; at += 8) {
		uint64_t number = htole64(plan->number++);

		memcpy(data + at, &number, length - at < 8 ? length - at : 8);
	}
	return length;
}

static int
set_fault(struct usb_model_device *device, struct faulty *faulty, const uint8_t setup[8],
	  const uint8_t *data, uint32_t length)
{
	uint32_t value = 0, fault = setup[1] - REQUEST_FAULT;
	int place = find_place(setup[4] | setup[5] << 8);

	if (fault >= N_FAULTS || place < 0 || (length != 0 && length != sizeof value))
		return USB_MODEL_STALL;
	if (length > 0)
		memcpy(&value, data, sizeof value);
	faulty->plans[place].fault = fault;
	faulty->plans[place].after = setup[2] | setup[3] << 8;
	faulty->plans[place].value = le32toh(value);
	faulty->plans[place].answer_ns = 0;
	set_alarm(device, faulty);
	usb_model_ready(device, addresses[place]);
	return length;
}

static int
faulty_control(struct usb_model_device *device, void *state, const uint8_t setup[8], uint8_t *data,
	       uint32_t length)
{
	struct faulty *faulty = state;
	int r;

	if (setup[0] == 0x40 && setup[1] >= REQUEST_FAULT)
		return set_fault(device, faulty, setup, data, length);
	if (setup[0] == 0xC0 && setup[1] == REQUEST_COUNTERS) {
		if (length > sizeof faulty->counters)
			length = sizeof faulty->counters;
		memcpy(data, &faulty->counters, length);
		return length;
	}
	if (setup[0] != 0xC0 || setup[1] != REQUEST_PING)
		return USB_MODEL_STALL;
	if (length > 8)
		length = 8;
	r = strike(device, faulty, PLACE_CONTROL, &length);
	if (r < 0)
		return r;
	faulty->counters.pings++;
	return fill(&faulty->plans[PLACE_CONTROL], data, length);
}

static int
faulty_in(struct usb_model_device *device, void *state, uint8_t endpoint, uint8_t *data,
	  uint32_t length)
{
	struct faulty *faulty = state;
	enum place place = endpoint == 0x81 ? PLACE_IN : PLACE_EVENTS;
	int r = strike(device, faulty, place, &length);

	if (r < 0)
		return r;
	faulty->counters.transfers[place - 1]++;
	return fill(&faulty->plans[place], data, length);
}

static int
faulty_out(struct usb_model_device *device, void *state, uint8_t endpoint, const uint8_t *data,
	   uint32_t length)
{
	struct faulty *faulty = state;
	int r = strike(device, faulty, PLACE_OUT, &length);

	if (r < 0)
		return r;
	faulty->counters.transfers[PLACE_OUT - 1]++;
	return length;
}

static void
faulty_woken(struct usb_model_device *device, void *state, uint64_t now_ns)
{
	struct faulty *faulty = state;

	if (faulty->leave_ns && faulty->leave_ns <= now_ns)
		usb_model_unplug(device);
}

static const struct usb_model faulty = {
	.abi = USB_MODEL_ABI,
	.state_size = sizeof(struct faulty),
	.name = "faulty",
	.summary = "stalls, babbles, shortens, goes silent, is late and vanishes on command",
	.speed = 1,
	.device_descriptor = device_descriptor,
	.configurations = (const uint8_t *const[]){ configuration, NULL },
	.strings = (const char *const[]){ "Ambidext", "Faulty", "FAULTY-0001", NULL },
	.options = (const struct usb_model_option[]){
		{ "fault", offsetof(struct faulty, fault), "1 stall 2 babble 3 short 4 silent 5 error 6 vanish 7 late" },
		{ "endpoint", offsetof(struct faulty, endpoint), "where: 0, 0x81, 0x82 or 0x01" },
		{ "after", offsetof(struct faulty, after), "transfers that go well before" },
		{ "value", offsetof(struct faulty, value), "bytes of a short transfer, milliseconds of a late one" },
		{ "vanish_ms", offsetof(struct faulty, vanish_ms), "leaves the bus so long after it came" },
		{ NULL },
	},
	.attach = faulty_attach,
	.control = faulty_control,
	.in = faulty_in,
	.out = faulty_out,
	.woken = faulty_woken,
};

USB_MODEL_EXPORT(faulty);
