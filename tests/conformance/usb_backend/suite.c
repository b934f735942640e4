/* SPDX-License-Identifier: MIT */
/*
 * usb_backend_test --backend NAME --group NAME [--device VID:PID] [--unplug CMD --replug CMD]
 * [--key CMD]
 *
 * The rules of usbhost/backend.h, on a simulated or a real device. 77: the device is not there (why
 * is the last line). --unplug, --replug: shell commands that return when it is done, without which
 * no real device is unplugged.
 */
#include "rig.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIP 77

static struct target targets[] = {
	{ .name = "sensor", .backend = "model", .model = "sensor", .vid = 0x1209, .pid = 0x0001,
	  .source = 0x81, .pattern = PATTERN_SAMPLES, .silent = 0x82, .silent_type = USB_INTERRUPT, .packet = 512,
	  .knows_halt = true, .other_alternate = 1 },
	{ .name = "loopback", .backend = "model", .model = "loopback", .vid = 0x1209, .pid = 0x0002,
	  .loop_out = 0x01, .loop_in = 0x81, .silent = 0x81, .silent_type = USB_BULK, .packet = 512,
	  .loop_by_packet = true, .exact_packets = true },
	{ .name = "source_sink", .backend = "model", .model = "source_sink", .vid = 0x1209, .pid = 0x0003,
	  .source = 0x81, .sink = 0x01, .pattern = PATTERN_COUNTED, .packet = 1024, .sink_halts = true,
	  .knows_halt = true, .other_alternate = 1 },
	{ .name = "faulty", .backend = "model", .model = "faulty", .vid = 0x1209, .pid = 0x0004,
	  .source = 0x81, .sink = 0x01, .pattern = PATTERN_COUNTED, .packet = 64, .knows_halt = true },
	{ .name = "races", .backend = "model" },

	/* tests/vm: QEMU's devices and the kernel's gadgets. Endpoint numbers say that there is
	 * one: which, the descriptors tell. */
	{ .name = "storage", .backend = "libusb", .vid = 0x46F4, .pid = 0x0001, .packet = 512,
	  .driver = "usb-storage" },
	{ .name = "serial", .backend = "libusb", .vid = 0x0403, .pid = 0x6001, .packet = 64, .driver = "ftdi_sio" },
	{ .name = "keyboard", .backend = "libusb", .vid = 0x0627, .pid = 0x0001, .silent = 0x81,
	  .silent_type = USB_INTERRUPT, .packet = 8, .driver = "usbhid" },
	{ .name = "gadget-source", .backend = "libusb", .vid = 0x1D6B, .pid = 0x0011, .source = 0x81, .sink = 0x01,
	  .pattern = PATTERN_ZEROS, .packet = 1024, .sink_halts = true, .knows_halt = true, .exact_packets = true },
	{ .name = "gadget-loopback", .backend = "libusb", .vid = 0x1D6B, .pid = 0x0012, .loop_out = 0x01,
	  .loop_in = 0x81, .silent = 0x81, .silent_type = USB_BULK, .packet = 1024 },
	{ .name = "gadget-source-high", .backend = "libusb", .vid = 0x1D6B, .pid = 0x0013, .source = 0x81,
	  .sink = 0x01, .pattern = PATTERN_ZEROS, .packet = 512, .sink_halts = true, .knows_halt = true,
	  .exact_packets = true },
};

void
test_add(struct test_list *list, const struct target *target, const char *name,
	 CMUnitTestFunction function)
{
	if (list->n == N_OF(list->tests))
		abort();
	list->tests[list->n++] = (struct CMUnitTest){
		.name = name,
		.test_func = function,
		.setup_func = target ? rig_setup : NULL,
		.teardown_func = target ? rig_teardown : NULL,
		.initial_state = (void *) target,
	};
}

static struct target *
find_target(const char *backend, const char *group)
{
	for (size_t i = 0; i < N_OF(targets); i++)
		if (strcmp(targets[i].backend, backend) == 0 && strcmp(targets[i].name, group) == 0)
			return &targets[i];
	return NULL;
}

static void
add_tests(struct test_list *list, const struct target *target)
{
	if (!target->vid) {
		add_race_tests(list, target);
		return;
	}
	add_basic_tests(list, target);
	add_data_tests(list, target);
	add_ending_tests(list, target);
	if (strcmp(target->name, "faulty") == 0)
		add_faulty_tests(list, target);
	else if (strcmp(target->name, "storage") == 0)
		add_storage_tests(list, target);
	else if (strcmp(target->name, "serial") == 0)
		add_serial_tests(list, target);
	else if (strcmp(target->name, "keyboard") == 0)
		add_keyboard_tests(list, target);
}

/* The kernel numbers its gadgets' endpoints as it likes. */
static void
take_bulk_endpoints(struct target *target, const struct rig *rig)
{
	const uint8_t *blob = rig->configuration;

	for (uint32_t at = 0; at < rig->configuration_length; at += blob[at]) {
		bool in = blob[at + 2] & 0x80;

		if (blob[at + 1] == USB_DESCRIPTOR_INTERFACE && blob[at + 3] != 0)
			break;
		if (blob[at + 1] != USB_DESCRIPTOR_ENDPOINT || (blob[at + 3] & 3) != USB_BULK)
			continue;
		if (in && target->silent == target->loop_in)
			target->silent = target->loop_in ? blob[at + 2] : 0;
		if (target->source && in)
			target->source = blob[at + 2];
		if (target->sink && !in)
			target->sink = blob[at + 2];
		if (target->loop_in && in)
			target->loop_in = blob[at + 2];
		if (target->loop_out && !in)
			target->loop_out = blob[at + 2];
	}
}

/* Real devices may be missing; simulated ones not. */
static bool
is_there(struct target *target)
{
	void *state = target;

	if (target->model || !target->vid)
		return true;
	if (rig_setup(&state) < 0)
		return false;
	take_bulk_endpoints(target, state);
	return rig_teardown(&state) == 0;
}

static int
usage(void)
{
	fprintf(stderr,
		"usage: usb_backend_test --backend model|libusb --group NAME [--device VID:PID]\n"
		"       [--unplug COMMAND --replug COMMAND] [--key COMMAND]\n"
		"groups:");
	for (size_t i = 0; i < N_OF(targets); i++)
		fprintf(stderr, " %s/%s", targets[i].backend, targets[i].name);
	fputc('\n', stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "backend", required_argument, NULL, 'b' }, { "group", required_argument, NULL, 'g' },
		{ "device", required_argument, NULL, 'd' },  { "unplug", required_argument, NULL, 'u' },
		{ "replug", required_argument, NULL, 'r' },  { "key", required_argument, NULL, 'k' },
		{ NULL },
	};
	const char *backend = "model", *group = "", *device = NULL;
	static struct test_list list;
	struct target *target;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'b':
			backend = optarg;
			break;
		case 'g':
			group = optarg;
			break;
		case 'd':
			device = optarg;
			break;
		case 'u':
			unplug_command = optarg;
			break;
		case 'r':
			replug_command = optarg;
			break;
		case 'k':
			key_command = optarg;
			break;
		default:
			return usage();
		}
	target = find_target(backend, group);
	if (!target || optind < argc || !unplug_command != !replug_command ||
	    (device && sscanf(device, "%4hx:%4hx", &target->vid, &target->pid) != 2))
		return usage();
	if (!is_there(target)) {
		printf("skipped: there is no %s device %04x:%04x\n", group, target->vid,
		       target->pid);
		return SKIP;
	}
	add_tests(&list, target);
	return _cmocka_run_group_tests(group, list.tests, list.n, NULL, NULL) ? 1 : 0;
}
