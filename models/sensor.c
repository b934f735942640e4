/* SPDX-License-Identifier: MIT */
/*
 * sensor: a measuring device with a stream of numbered samples, events, and commands.
 *
 *   idVendor 0x1209, idProduct 0x0001, high speed, one vendor-specific interface
 *
 *   alternate 0   bulk IN 0x81 samples, interrupt IN 0x82 events, bulk OUT 0x01 commands
 *   alternate 1   interrupt IN 0x82 events only ("standby")
 *
 * All numbers are little-endian.
 *
 * Sample, 16 bytes: { u64 number; u64 check }, check = number * 0x9E3779B97F4A7C15. Numbers count
 * 0, 1, 2 … from START; a gap is what a slow reader lost.
 * Event, 16 bytes: { u32 number; u8 kind; u8 zero; u16 value; u64 samples so far }. Kinds: 1 tick,
 * 2 command done (value: its code), 3 samples lost, 4 fired by command.
 * Command, 8 bytes (any number of them a transfer): { u8 code; u8 zero[3]; u32 value }. Codes: 1
 * START at number 0, 2 STOP, 3 FIRE value events, 4 RATE value, 5 BATCH value. Anything else halts
 * the endpoint.
 *
 * Vendor requests (bmRequestType 0x40, 0xC0):
 *   1 OUT  rate, u32       samples a second; 0: as fast as the host reads
 *   2 OUT  count, u64      samples after which the stream is silent; 0: endless
 *   3 IN   counters, eight u64: samples, bytes, transfers, samples lost, events, events lost,
 *          commands, NAKs of 0x81
 *   4 OUT  counters are 0 (nothing else changes)
 *   5 IN   settings, four u64: rate, count, batch, running
 *
 * Options: rate=N, count=N (as above), batch=N (samples that a transfer waits for, default 1),
 *          tick=N (an event every N samples, default 0: none), stopped=1 (waits for START)
 */

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <ambidext/usb_model.h>

#define SAMPLE_SIZE	16u
#define EVENT_SIZE	16u
#define COMMAND_SIZE	8u
#define CHECK_FACTOR	0x9E3779B97F4A7C15ull
#define NS_PER_S	1000000000ull
#define MAX_RATE	1000000000ull
#define BACKLOG		65536u         /* samples that the device keeps for a slow reader */
#define N_EVENTS	256u           /* events that it keeps */

enum event_kind { EVENT_TICK = 1, EVENT_COMMAND, EVENT_LOST, EVENT_FIRED };
enum command { COMMAND_START = 1, COMMAND_STOP, COMMAND_FIRE, COMMAND_RATE, COMMAND_BATCH };
enum request { REQUEST_RATE = 1, REQUEST_COUNT, REQUEST_COUNTERS, REQUEST_RESET, REQUEST_SETTINGS };

struct event {
	uint8_t kind;
	uint16_t value;
	uint64_t samples;
};

/* One sample, anywhere in memory. */
typedef uint64_t sample __attribute__((vector_size(16), aligned(1), may_alias));

struct sensor {
	uint64_t rate, count, batch, tick, stopped; /* options and settings */
	uint64_t start_ns;     /* when sample `start` was due at the current rate */
	uint64_t start;
	uint64_t next;         /* number of the next sample */
	uint64_t fire;         /* EVENT_FIRED still to be given */
	uint32_t event_number;
	uint32_t first_event, n_events;
	struct event events[N_EVENTS];
	struct {
		uint64_t samples, bytes, transfers, lost, events, events_lost, commands, naks;
	} counters;
};

static const uint8_t device_descriptor[] = {
	18, 1, USB_MODEL_U16(0x0200), 0, 0, 0, 64,
	USB_MODEL_U16(0x1209), USB_MODEL_U16(0x0001), USB_MODEL_U16(0x0100), 1, 2, 3, 1,
};

static const uint8_t configuration[] = {
	9, 2, USB_MODEL_U16(9 + 9 + 7 + 7 + 7 + 9 + 7), 1, 1, 0, 0x80, 50,
	9, 4, 0, 0, 3, 0xFF, 0, 0, 4,
	7, 5, 0x81, 2, USB_MODEL_U16(512), 0,
	7, 5, 0x82, 3, USB_MODEL_U16(16), 4,
	7, 5, 0x01, 2, USB_MODEL_U16(512), 0,
	9, 4, 0, 1, 1, 0xFF, 0, 1, 5,
	7, 5, 0x82, 3, USB_MODEL_U16(16), 4,
};

static void
post_event(struct usb_model_device *device, struct sensor *sensor, enum event_kind kind,
	   uint16_t value)
{
	if (sensor->n_events == N_EVENTS) {
		sensor->counters.events_lost++;
		return;
	}
	sensor->events[(sensor->first_event + sensor->n_events++) % N_EVENTS] = (struct event){
		.kind = kind, .value = value, .samples = sensor->next,
	};
	usb_model_ready(device, 0x82);
}

/* From now on samples fall due at sensor->rate, beginning with the next. */
static void
retime(struct usb_model_device *device, struct sensor *sensor)
{
	sensor->start_ns = usb_model_now_ns(device);
	sensor->start = sensor->next;
	usb_model_ready(device, 0x81);
}

static uint64_t
due_samples(const struct sensor *sensor, uint64_t now_ns)
{
	uint64_t passed = now_ns - sensor->start_ns;

	return sensor->start + passed / NS_PER_S * sensor->rate +
	       passed % NS_PER_S * sensor->rate / NS_PER_S;
}

static uint64_t
due_time_ns(const struct sensor *sensor, uint64_t number)
{
	uint64_t n = number - sensor->start;

	return sensor->start_ns + n / sensor->rate * NS_PER_S +
	       (n % sensor->rate * NS_PER_S + sensor->rate - 1) / sensor->rate;
}

static int
sensor_attach(struct usb_model_device *device, void *state)
{
	struct sensor *sensor = state;

	if (sensor->rate > MAX_RATE || sensor->stopped > 1 || sensor->batch > BACKLOG)
		return -EINVAL;
	if (sensor->batch == 0)
		sensor->batch = 1;
	retime(device, sensor);
	return 0;
}

static bool
set_rate(struct usb_model_device *device, struct sensor *sensor, uint64_t rate)
{
	if (rate > MAX_RATE)
		return false;
	sensor->rate = rate;
	retime(device, sensor);
	return true;
}

static int
give(uint8_t *data, uint32_t length, const void *bytes, uint32_t n_bytes)
{
	if (length > n_bytes)
		length = n_bytes;
	memcpy(data, bytes, length);
	return length;
}

static int
sensor_control(struct usb_model_device *device, void *state, const uint8_t setup[8], uint8_t *data,
	       uint32_t length)
{
	struct sensor *sensor = state;
	uint64_t settings[4] = { sensor->rate, sensor->count, sensor->batch, !sensor->stopped };
	uint64_t number = 0;

	if (setup[0] == 0xC0 && setup[1] == REQUEST_COUNTERS)
		return give(data, length, &sensor->counters, sizeof sensor->counters);
	if (setup[0] == 0xC0 && setup[1] == REQUEST_SETTINGS)
		return give(data, length, settings, sizeof settings);
	if (setup[0] != 0x40 || length > sizeof number)
		return USB_MODEL_STALL;
	if (length > 0)
		memcpy(&number, data, length);
	number = le64toh(number);
	if (setup[1] == REQUEST_RATE && length == 4)
		return set_rate(device, sensor, number) ? (int) length : USB_MODEL_STALL;
	if (setup[1] == REQUEST_COUNT && length == 8) {
		sensor->count = number;
		retime(device, sensor);
		return length;
	}
	if (setup[1] == REQUEST_RESET && length == 0) {
		memset(&sensor->counters, 0, sizeof sensor->counters);
		return 0;
	}
	return USB_MODEL_STALL;
}

static bool
obey(struct usb_model_device *device, struct sensor *sensor, uint8_t code, uint32_t value)
{
	switch (code) {
	case COMMAND_START:
		sensor->stopped = 0;
		sensor->next = 0;
		retime(device, sensor);
		break;
	case COMMAND_STOP:
		sensor->stopped = 1;
		break;
	case COMMAND_FIRE:
		sensor->fire += value;
		usb_model_ready(device, 0x82);
		break;
	case COMMAND_RATE:
		if (!set_rate(device, sensor, value))
			return false;
		break;
	case COMMAND_BATCH:
		if (value == 0 || value > BACKLOG)
			return false;
		sensor->batch = value;
		usb_model_ready(device, 0x81);
		break;
	default:
		return false;
	}
	sensor->counters.commands++;
	post_event(device, sensor, EVENT_COMMAND, code);
	return true;
}

static int
sensor_out(struct usb_model_device *device, void *state, uint8_t endpoint, const uint8_t *data,
	   uint32_t length)
{
	if (length % COMMAND_SIZE)
		return USB_MODEL_STALL;
	for (uint32_t at = 0; at < length; at += COMMAND_SIZE) {
		uint32_t value;

		memcpy(&value, data + at + 4, sizeof value);
		if (!obey(device, state, data[at], le32toh(value)))
			return USB_MODEL_STALL;
	}
	return length;
}

static int
give_event(struct sensor *sensor, uint8_t *data, uint32_t length)
{
	struct event event = { .kind = EVENT_FIRED, .samples = sensor->next };
	uint32_t number;
	uint64_t samples;

	if (sensor->n_events > 0) {
		event = sensor->events[sensor->first_event];
		sensor->first_event = (sensor->first_event + 1) % N_EVENTS;
		sensor->n_events--;
	} else if (sensor->fire > 0) {
		sensor->fire--;
	} else {
		return USB_MODEL_NAK;
	}
	if (length < EVENT_SIZE)
		return USB_MODEL_BABBLE;
	number = htole32(sensor->event_number++);
	samples = htole64(event.samples);
	memcpy(data, &number, 4);
	data[4] = event.kind;
	data[5] = 0;
	data[6] = event.value;
	data[7] = event.value >> 8;
	memcpy(data + 8, &samples, 8);
	sensor->counters.events++;
	return EVENT_SIZE;
}

static void
write_samples(uint8_t *data, uint64_t first, uint64_t n)
{
	const sample step = { 1, CHECK_FACTOR };
	sample a = { first, first * CHECK_FACTOR }, b = a + step, c = b + step, d = c + step;

	/* Four at a time is as fast as memcpy(). */
	for (; BYTE_ORDER == LITTLE_ENDIAN && n >= 4; n -= 4, first += 4, data += 4 * SAMPLE_SIZE) {
		sample *to = (sample *) data;

		to[0] = a, to[1] = b, to[2] = c, to[3] = d;
		a += 4 * step, b += 4 * step, c += 4 * step, d += 4 * step;
	}
	for (; n > 0; n--, first++, data += SAMPLE_SIZE) {
		uint64_t words[2] = { htole64(first), htole64(first * CHECK_FACTOR) };

		memcpy(data, words, sizeof words);
	}
}

/* How many samples a read of @p room may have now; 0: none yet. Sets the alarm for the time when
 * there are. */
static uint64_t
samples_for(struct usb_model_device *device, struct sensor *sensor, uint64_t room)
{
	uint64_t end = sensor->count ? sensor->count : UINT64_MAX;
	uint64_t want, due;

	if (sensor->stopped || sensor->next >= end)
		return 0;
	if (room > end - sensor->next)
		room = end - sensor->next;
	if (sensor->rate == 0)
		return room;
	due = due_samples(sensor, usb_model_now_ns(device));
	if (due > sensor->next + BACKLOG) {
		uint64_t lost = due - BACKLOG - sensor->next;

		sensor->counters.lost += lost;
		sensor->next += lost;
		post_event(device, sensor, EVENT_LOST, lost < UINT16_MAX ? lost : UINT16_MAX);
		if (sensor->next >= end)
			return 0;
	}
	want = room < sensor->batch ? room : sensor->batch;
	if (due < sensor->next + want) {
		usb_model_wake_at(device, due_time_ns(sensor, sensor->next + want));
		return 0;
	}
	return due - sensor->next < room ? due - sensor->next : room;
}

static int
sensor_in(struct usb_model_device *device, void *state, uint8_t endpoint, uint8_t *data,
	  uint32_t length)
{
	struct sensor *sensor = state;
	uint64_t n, ticks;

	if (endpoint == 0x82)
		return give_event(sensor, data, length);
	if (length < SAMPLE_SIZE)
		return USB_MODEL_BABBLE;
	n = samples_for(device, sensor, length / SAMPLE_SIZE);
	if (n == 0) {
		sensor->counters.naks++;
		return USB_MODEL_NAK;
	}
	write_samples(data, sensor->next, n);
	ticks = sensor->tick ? (sensor->next + n) / sensor->tick - sensor->next / sensor->tick : 0;
	sensor->next += n;
	sensor->counters.samples += n;
	sensor->counters.bytes += n * SAMPLE_SIZE;
	sensor->counters.transfers++;
	for (; ticks > 0; ticks--)
		post_event(device, sensor, EVENT_TICK, 0);
	return n * SAMPLE_SIZE;
}

static void
sensor_configured(struct usb_model_device *device, void *state, uint8_t value)
{
	struct sensor *sensor = state;

	sensor->next = 0;
	sensor->fire = 0;
	sensor->n_events = 0;
	retime(device, sensor);
}

static const struct usb_model sensor = {
	.abi = USB_MODEL_ABI,
	.state_size = sizeof(struct sensor),
	.name = "sensor",
	.summary = "measuring device: numbered samples, events, commands, and counters to compare with",
	.speed = 3,
	.device_descriptor = device_descriptor,
	.configurations = (const uint8_t *const[]){ configuration, NULL },
	.strings = (const char *const[]){ "Ambidext", "Sensor", "SENSOR-0001", "Measuring", "Standby", NULL },
	.options = (const struct usb_model_option[]){
		{ "rate", offsetof(struct sensor, rate), "samples a second; 0: as fast as the host reads" },
		{ "count", offsetof(struct sensor, count), "samples, then silence; 0: endless" },
		{ "batch", offsetof(struct sensor, batch), "samples that a transfer waits for" },
		{ "tick", offsetof(struct sensor, tick), "an event every so many samples; 0: none" },
		{ "stopped", offsetof(struct sensor, stopped), "1: waits for the command START" },
		{ NULL },
	},
	.attach = sensor_attach,
	.control = sensor_control,
	.in = sensor_in,
	.out = sensor_out,
	.configured = sensor_configured,
};

USB_MODEL_EXPORT(sensor);
