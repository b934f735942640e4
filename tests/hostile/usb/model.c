/* SPDX-License-Identifier: MIT */
/* A device that lies, with the ids of models/sensor.c, so that its drivers take it. What it does follows from the file's name:
 *
 *   descriptors-N.so   descriptors with N's random changes: lengths, types, counts, endpoints
 *   does-NAME.so       good descriptors; NAME is a row of `ways` below
 *   leaves-N.so        leaves the bus at the N-th thing that the host does
 *
 * It also changes its descriptors whenever the host does something: who reads them twice reads two things. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ambidext/usb_model.h>

struct hostile {
	uint64_t number, n_events;
};

static uint8_t device_descriptor[18] = {
	18, 1, USB_MODEL_U16(0x0200), 0, 0, 0, 64, USB_MODEL_U16(0x1209), USB_MODEL_U16(0x0001), USB_MODEL_U16(0x0100), 1, 2, 3, 1,
};
static uint8_t configuration[256] = {
	9, 2, USB_MODEL_U16(39), 1, 1, 0, 0x80, 50,
	9, 4, 0, 0, 3, 0xff, 0, 0, 0,
	7, 5, 0x81, 2, USB_MODEL_U16(512), 0,
	7, 5, 0x82, 3, USB_MODEL_U16(64), 4,
	7, 5, 0x01, 2, USB_MODEL_U16(512), 0,
};
static uint8_t good_configuration[256];
static unsigned leaves_at;
static const char *way = "";
static unsigned state_word = 1;

static unsigned
any(void)
{
	state_word = state_word * 1664525u + 1013904223u;
	return state_word >> 8;
}

/* Lies in one or two places, or anywhere. */
static void
spoil(unsigned seed)
{
	static const uint8_t values[] = { 0, 1, 2, 3, 4, 5, 8, 9, 0x7f, 0x80, 0x81, 0xfe, 0xff };

	state_word = seed * 2654435761u + 1;
	for (unsigned i = 1 + any() % 3; i > 0; i--)
		configuration[any() % 41] = any() % 4 ? values[any() % sizeof values] : (uint8_t)any();
	if (any() % 4 == 0)
		device_descriptor[any() % 18] = (uint8_t)any();
}

/* In the middle of anything. True: it leaves now. */
static int
event(struct usb_model_device *device, struct hostile *hostile)
{
	hostile->n_events++;
	if (!strcmp(way, "changing"))
		for (unsigned i = 9; i < 39; i++)
			configuration[i] = hostile->n_events % 2 ? (uint8_t)any() : good_configuration[i];
	if (!strcmp(way, "ready"))
		usb_model_ready(device, 0x81);
	if (leaves_at && hostile->n_events == leaves_at) {
		usb_model_unplug(device);
		return 1;
	}
	return 0;
}

static int
hostile_attach(struct usb_model_device *device, void *state)
{
	(void)event(device, state);
	if (!strcmp(way, "alarm"))
		usb_model_wake_at(device, 1);
	return 0;
}

static int
hostile_in(struct usb_model_device *device, void *state, uint8_t endpoint, uint8_t *data, uint32_t length)
{
	static const struct {
		const char *name;
		int answer;
	} ways[] = {
		{ "nak", USB_MODEL_NAK },
		{ "zlp", 0 },
		{ "stall", USB_MODEL_STALL },
		{ "babble", USB_MODEL_BABBLE },
		{ "error", USB_MODEL_ERROR },
		{ "vanish", USB_MODEL_VANISH },
		{ "nonsense", -77 },
		{ "more", USB_MODEL_MORE },          /* nothing moved, and it goes on */
		{ "beyond", 0x3fffffff },            /* more than the buffer has */
		{ "beyond-more", 0x3fffffff | USB_MODEL_MORE },
	};
	struct hostile *hostile = state;

	if (event(device, hostile))
		return USB_MODEL_VANISH;
	for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++)
		if (!strcmp(way, ways[i].name))
			return ways[i].answer;
	if (!strcmp(way, "odd"))
		return (int)(any() % (length + 1));
	memset(data, 0xee, length);
	return !strcmp(way, "one-more") ? (int)(length + 1) : (int)length;
}

static int
hostile_out(struct usb_model_device *device, void *state, uint8_t endpoint, const uint8_t *data, uint32_t length)
{
	return event(device, state) ? USB_MODEL_VANISH : (int)length;
}

static int
hostile_control(struct usb_model_device *device, void *state, const uint8_t setup[8], uint8_t *data, uint32_t length)
{
	return event(device, state) ? USB_MODEL_VANISH : (int)(any() % 2 ? length + 4096 : length);
}

static void
hostile_configured(struct usb_model_device *device, void *state, uint8_t value)
{
	(void)event(device, state);
}

static void
hostile_alternate(struct usb_model_device *device, void *state, uint8_t interface, uint8_t alternate)
{
	(void)event(device, state);
}

static void
hostile_woken(struct usb_model_device *device, void *state, uint64_t now_ns)
{
	(void)event(device, state);
	if (!strcmp(way, "alarm"))
		usb_model_wake_at(device, now_ns);
}

static const struct usb_model hostile = {
	.abi = USB_MODEL_ABI,
	.state_size = sizeof(struct hostile),
	.name = "hostile",
	.summary = "lies",
	.speed = 3,
	.device_descriptor = device_descriptor,
	.configurations = (const uint8_t *const[]){ configuration, NULL },
	.strings = (const char *const[]){ "a/b\x1b[31m", "\xff\xfe not text \xc2\x9b", "same serial", NULL },
	.attach = hostile_attach,
	.in = hostile_in,
	.out = hostile_out,
	.control = hostile_control,
	.configured = hostile_configured,
	.alternate = hostile_alternate,
	.woken = hostile_woken,
};

__attribute__((constructor)) static void
begin(void)
{
	static char name[128];
	Dl_info info;
	char *dot;

	memcpy(good_configuration, configuration, sizeof configuration);
	if (!dladdr((void *)begin, &info) || !info.dli_fname || !strrchr(info.dli_fname, '/'))
		return;
	(void)snprintf(name, sizeof name, "%s", strrchr(info.dli_fname, '/') + 1);
	dot = strrchr(name, '.');
	if (dot)
		*dot = '\0';
	if (!strncmp(name, "descriptors-", 12))
		spoil((unsigned)atoi(name + 12));
	else if (!strncmp(name, "leaves-", 7))
		leaves_at = (unsigned)atoi(name + 7);
	else if (!strncmp(name, "does-", 5))
		way = name + 5;
}

USB_MODEL_EXPORT(hostile);
