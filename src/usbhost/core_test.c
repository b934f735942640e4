/* SPDX-License-Identifier: MIT */
/* Devices, sessions and pipes over the model back end, with a publisher that only counts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "usbhost/core.h"
#include "usbhost/model/model.h"

/* A device of class 0xFF, which the host leaves to a driver of the whole device. */
static const uint8_t vendor_device[] = {
	18, 1, USB_MODEL_U16(0x0200), 0xFF, 0, 0, 64,
	USB_MODEL_U16(0x1209), USB_MODEL_U16(0x00FF), USB_MODEL_U16(0x0100), 0, 0, 0, 1,
};
static const uint8_t vendor_configuration[] = {
	9, 2, USB_MODEL_U16(9 + 9 + 9), 2, 1, 0, 0x80, 50,
	9, 4, 0, 0, 0, 0xFF, 0, 0, 0,
	9, 4, 1, 0, 0, 0xFF, 0, 0, 0,
};
static const uint8_t *const vendor_configurations[] = { vendor_configuration, NULL };
static const char *const no_strings[] = { NULL };
static const struct usb_model vendor_model = {
	.abi = USB_MODEL_ABI,
	.name = "vendor",
	.summary = "a device of class 0xFF",
	.speed = USB_SPEED_HIGH,
	.device_descriptor = vendor_device,
	.configurations = vendor_configurations,
	.strings = no_strings,
};

static struct {
	unsigned devices, interfaces, devices_gone, interfaces_gone, matched, clients;
	uint8_t configuration;
} seen;

static struct usbhost host;
static int alice, bob; /* clients */

static int
device_new(void *userdata, struct host_device *device)
{
	seen.devices++;
	return 0;
}

static int
interface_new(void *userdata, struct host_interface *interface, bool match)
{
	seen.interfaces++;
	seen.matched += match;
	return 0;
}

static void
device_gone(void *userdata, struct host_device *device)
{
	seen.devices_gone++;
}

static void
interface_gone(void *userdata, struct host_interface *interface)
{
	seen.interfaces_gone++;
}

static void
configured(void *userdata, struct host_device *device, uint8_t value)
{
	seen.configuration = value;
}

static void
client_retain(void *client)
{
	(void)__atomic_fetch_add(&seen.clients, 1, __ATOMIC_SEQ_CST);
}

static void
client_release(void *client)
{
	(void)__atomic_fetch_sub(&seen.clients, 1, __ATOMIC_SEQ_CST);
}

static void *dead; /* a client whose death nobody has told yet */

static bool
client_is_gone(void *client)
{
	return client == dead;
}

static const struct host_nubs nubs = {
	device_new, interface_new, device_gone, interface_gone, configured, client_retain, client_release,
	client_is_gone,
};

static int
setup(void **state)
{
	char *text;

	memset(&seen, 0, sizeof seen);
	usbhost_init(&host, &nubs, NULL);
	assert_int_equal(usbhost_add_backend(&host, "model:clock=virtual", &text), 0);
	assert_null(text);
	return 0;
}

static int
teardown(void **state)
{
	usbhost_close(&host);
	assert_int_equal(seen.devices_gone, seen.devices);
	assert_int_equal(seen.interfaces_gone, seen.interfaces);
	return 0;
}

static struct host_device *
plug(const char *what)
{
	struct host_device *device;
	char *problem = NULL;

	if (usbhost_attach(&host, what, &device, &problem) < 0)
		fail_msg("%s", problem);
	return device;
}

/* What an answer that comes later was. */
struct answer {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool came;
	IOReturn status;
};
#define ANSWER { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0 }

static void
answered(void *context, IOReturn status)
{
	struct answer *answer = context;

	(void)pthread_mutex_lock(&answer->lock);
	assert_false(answer->came);
	answer->came = true;
	answer->status = status;
	(void)pthread_cond_signal(&answer->cond);
	(void)pthread_mutex_unlock(&answer->lock);
}

static IOReturn
wait_answer(struct answer *answer)
{
	(void)pthread_mutex_lock(&answer->lock);
	while (!answer->came)
		(void)pthread_cond_wait(&answer->cond, &answer->lock);
	answer->came = false;
	(void)pthread_mutex_unlock(&answer->lock);
	return answer->status;
}

static IOReturn
open_interface(struct host_interface *interface, void *client, uint8_t alternate)
{
	struct answer answer = ANSWER;

	host_interface_open(interface, client, alternate, answered, &answer);
	return wait_answer(&answer);
}

static IOReturn
close_interface(struct host_interface *interface, void *client)
{
	struct answer answer = ANSWER;

	host_interface_close(interface, client, answered, &answer);
	return wait_answer(&answer);
}

/* A transfer, and its end. */
struct io {
	struct host_request base;
	unsigned *n_ended;
	IOReturn *status;
	uint32_t *actual;
	uint8_t bytes[512];
};

static void
io_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	struct io *io = (struct io *)base;

	*io->status = status;
	*io->actual = actual;
	(void)__atomic_fetch_add(io->n_ended, 1, __ATOMIC_SEQ_CST);
}

static void
io_free(struct host_request *base)
{
	free(base);
}

static unsigned n_ended;
static IOReturn last_status;
static uint32_t last_actual;

static IOReturn
transfer(struct host_pipe *pipe, uint32_t length, uint32_t timeout_ms)
{
	struct io *io = calloc(1, sizeof *io);

	assert_non_null(io);
	adxi_list_init(&io->base.link);
	io->base.end = io_end;
	io->base.free = io_free;
	io->n_ended = &n_ended;
	io->status = &last_status;
	io->actual = &last_actual;
	io->base.transfer = (struct usb_transfer){
		.endpoint = pipe->endpoint.address, .type = pipe->endpoint.type, .length = length,
		.timeout_ms = timeout_ms, .data = io->bytes,
	};
	return host_queue_submit(&pipe->queue, &io->base);
}

static void
a_composite_device_is_configured_and_matched(void **state)
{
	struct host_device *device = plug("model:sensor");
	struct host_interface *interface = host_device_interface(device, 0);

	assert_int_equal(seen.devices, 1);
	assert_int_equal(seen.interfaces, 1);
	assert_int_equal(seen.matched, 1);
	assert_non_null(interface);
	assert_non_null(interface->name); /* the string that iInterface names */
	assert_int_equal(interface->number, 0);
	(void)host_unref(interface);
	(void)host_unref(device);
}

static void
take(void *context, struct host_device *device)
{
	*(struct host_device **)context = host_ref(device);
}

static void
a_vendor_device_waits_for_its_driver(void **state)
{
	struct host_device *device = NULL;
	struct answer answer = ANSWER;
	uint32_t location;
	const char *why;

	assert_int_equal(usb_model_plug(host.backends[0].backend, &vendor_model, NULL, &location, &why), 0);
	usbhost_each(&host, take, &device);
	assert_non_null(device);

	assert_int_equal(seen.devices, 1);
	assert_int_equal(seen.interfaces, 0);
	host_device_open(device, &alice, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	host_device_open(device, &bob, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnExclusiveAccess);
	host_set_configuration(device, 77, true, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnNotFound);
	host_set_configuration(device, 1, true, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	assert_int_equal(seen.configuration, 1);
	assert_int_equal(seen.interfaces, 2);
	assert_int_equal(seen.matched, 2);
	host_set_configuration(device, 1, false, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	assert_int_equal(seen.interfaces_gone, 2);
	assert_int_equal(seen.interfaces, 4);
	assert_int_equal(seen.matched, 2);
	host_device_close(device, &alice, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	assert_int_equal(seen.clients, 0);
	(void)host_unref(device);
}

static void
an_interface_has_one_session(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct host_interface *interface = host_device_interface(device, 0);
	struct host_pipe *pipe;

	assert_int_equal(host_interface_pipe(interface, 0x81, &pipe), kIOReturnNotOpen);
	assert_int_equal(open_interface(interface, &alice, 9), kIOReturnNotFound);
	assert_int_equal(open_interface(interface, &alice, 0), kIOReturnSuccess);
	assert_int_equal(open_interface(interface, &bob, 0), kIOReturnExclusiveAccess);
	assert_int_equal(close_interface(interface, &bob), kIOReturnNotOpen);
	assert_int_equal(host_interface_pipe(interface, 0x8F, &pipe), kIOReturnNotFound);
	assert_int_equal(host_interface_pipe(interface, 0x81, &pipe), kIOReturnSuccess);
	assert_int_equal(close_interface(interface, &alice), kIOReturnSuccess);
	assert_int_equal(transfer(pipe, 16, 0), kIOReturnNotOpen);
	assert_int_equal(open_interface(interface, &bob, 0), kIOReturnSuccess);
	assert_int_equal(transfer(pipe, 16, 0), kIOReturnSuccess); /* the same setting: the pipe is good again */
	n_ended = 0;
	assert_int_equal(close_interface(interface, &bob), kIOReturnSuccess);
	assert_int_equal(n_ended, 1); /* before Close was answered */
	assert_int_equal(last_status, kIOReturnAborted);
	assert_int_equal(seen.clients, 0);
	(void)host_unref(pipe);
	(void)host_unref(interface);
	(void)host_unref(device);
}

static void
reads_bring_data_and_short_ones_are_success(void **state)
{
	struct host_device *device = plug("model:sensor,rate=0,count=3");
	struct host_interface *interface = host_device_interface(device, 0);
	struct host_pipe *pipe;

	assert_int_equal(open_interface(interface, &alice, 0), kIOReturnSuccess);
	assert_int_equal(host_interface_pipe(interface, 0x81, &pipe), kIOReturnSuccess);
	n_ended = 0;
	assert_int_equal(transfer(pipe, 512, 0), kIOReturnSuccess);
	assert_int_equal(n_ended, 1); /* the model answers inside submit */
	assert_int_equal(last_status, kIOReturnSuccess);
	assert_int_equal(last_actual, 48);
	(void)host_unref(pipe);
	assert_int_equal(close_interface(interface, &alice), kIOReturnSuccess);
	(void)host_unref(interface);
	(void)host_unref(device);
}

static void
a_halted_pipe_works_after_clear_stall(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct host_interface *interface = host_device_interface(device, 0);
	struct answer answer = ANSWER;
	struct host_pipe *pipe;

	assert_int_equal(open_interface(interface, &alice, 0), kIOReturnSuccess);
	assert_int_equal(host_interface_pipe(interface, 0x01, &pipe), kIOReturnSuccess);
	n_ended = 0;
	assert_int_equal(transfer(pipe, 3, 0), kIOReturnSuccess); /* no whole command: the device halts */
	assert_int_equal((uint32_t)last_status, 0xe0005000);
	assert_int_equal(transfer(pipe, 0, 0), kIOReturnSuccess);
	assert_int_equal((uint32_t)last_status, 0xe0005000);
	host_pipe_clear_stall(pipe, true, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	assert_int_equal(transfer(pipe, 0, 0), kIOReturnSuccess);
	assert_int_equal(last_status, kIOReturnSuccess);
	assert_int_equal(n_ended, 3);
	(void)host_unref(pipe);
	assert_int_equal(close_interface(interface, &alice), kIOReturnSuccess);
	(void)host_unref(interface);
	(void)host_unref(device);
}

static void
another_setting_ends_pipes(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct host_interface *interface = host_device_interface(device, 0);
	struct host_pipe *samples, *events;
	struct answer answer = ANSWER;

	assert_int_equal(open_interface(interface, &alice, 0), kIOReturnSuccess);
	assert_int_equal(host_interface_pipe(interface, 0x81, &samples), kIOReturnSuccess);
	n_ended = 0;
	assert_int_equal(transfer(samples, 16, 0), kIOReturnSuccess);
	host_interface_select(interface, 5, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnNotFound);
	assert_int_equal(n_ended, 0);
	host_interface_select(interface, 1, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	assert_int_equal(n_ended, 1);
	assert_int_equal(last_status, kIOReturnAborted);
	assert_int_equal(transfer(samples, 16, 0), kIOReturnNoDevice);
	(void)host_unref(samples);
	assert_int_equal(host_interface_pipe(interface, 0x81, &samples), kIOReturnNotFound);
	assert_int_equal(host_interface_pipe(interface, 0x82, &events), kIOReturnSuccess);
	(void)host_unref(events);
	assert_int_equal(close_interface(interface, &alice), kIOReturnSuccess);
	(void)host_unref(interface);
	(void)host_unref(device);
}

static void
unplugging_ends_everything(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct host_interface *interface = host_device_interface(device, 0);
	struct host_pipe *pipe;
	char *problem;

	assert_int_equal(open_interface(interface, &alice, 0), kIOReturnSuccess);
	assert_int_equal(host_interface_pipe(interface, 0x81, &pipe), kIOReturnSuccess);
	n_ended = 0;
	assert_int_equal(transfer(pipe, 16, 0), kIOReturnSuccess);
	assert_int_equal(usbhost_detach(&host, "model:sensor", &problem), 0); /* its source names it, too */
	assert_int_equal(n_ended, 1);
	assert_true(last_status == kIOReturnNoDevice || last_status == kIOReturnAborted);
	assert_int_equal(seen.interfaces_gone, 1);
	assert_int_equal(seen.devices_gone, 1);
	assert_int_equal(transfer(pipe, 16, 0), kIOReturnNoDevice);
	assert_int_equal(open_interface(interface, &bob, 0), kIOReturnNoDevice);
	(void)host_unref(pipe);
	assert_int_equal(close_interface(interface, &alice), kIOReturnSuccess);
	assert_int_equal(seen.clients, 0);
	(void)host_unref(interface);
	(void)host_unref(device);
}

static bool
is_alice(void *client, void *context)
{
	return client == &alice;
}

static void
a_client_that_dies_is_closed(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct host_interface *interface = host_device_interface(device, 0);
	struct host_pipe *pipe;

	assert_int_equal(open_interface(interface, &alice, 0), kIOReturnSuccess);
	assert_int_equal(host_interface_pipe(interface, 0x81, &pipe), kIOReturnSuccess);
	n_ended = 0;
	assert_int_equal(transfer(pipe, 16, 0), kIOReturnSuccess);
	usbhost_clients_gone(&host, is_alice, NULL);
	host_device_wait(device);
	assert_int_equal(n_ended, 1);
	assert_int_equal(seen.clients, 0);
	assert_int_equal(open_interface(interface, &bob, 0), kIOReturnSuccess);
	assert_int_equal(close_interface(interface, &bob), kIOReturnSuccess);
	(void)host_unref(pipe);
	(void)host_unref(interface);
	(void)host_unref(device);
}

static void
the_next_driver_need_not_wait_for_news_of_a_death(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct host_interface *interface = host_device_interface(device, 0);
	struct host_pipe *pipe;

	assert_int_equal(open_interface(interface, &alice, 0), kIOReturnSuccess);
	assert_int_equal(host_interface_pipe(interface, 0x81, &pipe), kIOReturnSuccess);
	n_ended = 0;
	assert_int_equal(transfer(pipe, 16, 0), kIOReturnSuccess);
	dead = &alice;
	assert_int_equal(open_interface(interface, &bob, 0), kIOReturnSuccess);
	dead = NULL;
	assert_int_equal(n_ended, 1);
	assert_int_equal(seen.clients, 1);
	usbhost_clients_gone(&host, is_alice, NULL); /* the news: old */
	assert_true(host_interface_is_open(interface, &bob));
	assert_int_equal(close_interface(interface, &bob), kIOReturnSuccess);
	(void)host_unref(pipe);
	(void)host_unref(interface);
	(void)host_unref(device);
}

/* Its news came while Open was on its way, and found nothing to close. */
static void
a_client_that_dies_while_it_opens_is_closed(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct host_interface *interface = host_device_interface(device, 0);

	dead = &alice;
	(void)open_interface(interface, &alice, 0);
	host_device_wait(device);
	dead = NULL;
	assert_false(host_interface_is_open(interface, NULL));
	assert_int_equal(seen.clients, 0);
	(void)host_unref(interface);
	(void)host_unref(device);
}

static void
however_many_devices_a_dead_client_had(void **state)
{
	struct host_device *devices[300];
	unsigned i;

	for (i = 0; i < 300; i++) {
		struct answer answer = ANSWER;

		devices[i] = plug("model:sensor,stopped=1");
		host_device_open(devices[i], &alice, answered, &answer);
		assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	}
	usbhost_clients_gone(&host, is_alice, NULL);
	for (i = 0; i < 300; i++) {
		host_device_wait(devices[i]);
		assert_false(host_device_is_open(devices[i], NULL));
		(void)host_unref(devices[i]);
	}
	assert_int_equal(seen.clients, 0);
}

static struct usb_backend_ops leaving_ops;
static const struct usb_backend_ops *model_ops;
static struct host_device *leaving; /* goes while its interface is given back */
static unsigned n_given_back;

static int
unclaim_and_leave(struct usb_device *device, uint8_t interface)
{
	char name[16], *problem = NULL;
	int r = model_ops->unclaim(device, interface);

	n_given_back++;
	if (leaving) {
		leaving->ops = model_ops; /* by which its back end is known */
		(void)snprintf(name, sizeof name, "0x%08x", leaving->location);
		leaving = NULL;
		assert_int_equal(usbhost_detach(&host, name, &problem), 0);
	}
	return r;
}

static void
none_is_missed_when_all_are_given_back(void **state)
{
	struct host_device *devices[3];
	unsigned i;

	for (i = 0; i < 3; i++) {
		devices[i] = plug("model:sensor,stopped=1");
		model_ops = devices[i]->ops;
		leaving_ops = *model_ops;
		leaving_ops.unclaim = unclaim_and_leave;
		devices[i]->ops = &leaving_ops;
	}
	leaving = devices[0];
	n_given_back = 0;
	usbhost_give_back(&host);
	assert_int_equal(n_given_back, 3);
	for (i = 0; i < 3; i++) {
		devices[i]->ops = model_ops;
		(void)host_unref(devices[i]);
	}
}

static void
a_reset_device_comes_again(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct answer answer = ANSWER;

	host_device_open(device, &alice, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	host_reset(device, answered, &answer);
	assert_int_equal(wait_answer(&answer), kIOReturnSuccess);
	assert_int_equal(seen.devices, 2);
	assert_int_equal(seen.devices_gone, 1);
	assert_int_equal(seen.interfaces, 2);
	assert_int_equal(seen.interfaces_gone, 1);
	assert_int_equal(seen.clients, 0);
	(void)host_unref(device);
}

struct got {
	IOReturn status;
	uint16_t length;
	uint8_t bytes[64];
};

static void
on_descriptor(void *context, IOReturn status, const uint8_t *bytes, uint16_t length)
{
	struct got *got = context;

	got->status = status;
	got->length = length;
	if (bytes)
		memcpy(got->bytes, bytes, length < sizeof got->bytes ? length : sizeof got->bytes);
}

static void
descriptors_are_read_once(void **state)
{
	struct host_device *device = plug("model:sensor,stopped=1");
	struct got got = { .status = 1 };

	host_get_descriptor(device, 0x80, USB_DESCRIPTOR_DEVICE, 0, 0, 18, on_descriptor, &got);
	assert_int_equal(got.status, kIOReturnSuccess);
	assert_int_equal(got.length, 18);
	assert_int_equal(usb_get_u16(got.bytes + 8), 0x1209);
	host_get_descriptor(device, 0x80, USB_DESCRIPTOR_CONFIGURATION, 0, 0, 9, on_descriptor, &got);
	assert_int_equal(got.length, 9);
	host_get_descriptor(device, 0x80, USB_DESCRIPTOR_STRING, 2, 0x0409, 255, on_descriptor, &got);
	assert_int_equal(got.status, kIOReturnSuccess);
	assert_int_equal(got.bytes[1], USB_DESCRIPTOR_STRING);
	assert_int_equal(got.bytes[0], got.length);
	host_get_descriptor(device, 0x80, USB_DESCRIPTOR_STRING, 200, 0x0409, 255, on_descriptor, &got);
	assert_int_not_equal(got.status, kIOReturnSuccess);
	(void)host_unref(device);
}

static void
names_that_mean_nothing_are_refused_with_a_sentence(void **state)
{
	static const char *const wrong[] = { "sensor", "none:sensor", "model:nothing_like_it", "model:sensor,colour=1" };
	struct host_device *device, *other;
	char *problem;
	size_t i;

	for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_true(usbhost_attach(&host, wrong[i], &device, &problem) < 0);
		assert_non_null(problem);
		assert_true(strlen(problem) > 20);
		free(problem);
	}
	assert_int_equal(usbhost_detach(&host, "model:sensor", &problem), -ENOENT);
	free(problem);
	device = plug("model:sensor");
	other = plug("model:sensor");
	assert_int_equal(usbhost_detach(&host, "model:sensor", &problem), -EINVAL); /* which one? */
	assert_non_null(strstr(problem, "0x"));
	free(problem);
	(void)host_unref(device);
	(void)host_unref(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_composite_device_is_configured_and_matched, setup, teardown),
		cmocka_unit_test_setup_teardown(a_vendor_device_waits_for_its_driver, setup, teardown),
		cmocka_unit_test_setup_teardown(an_interface_has_one_session, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_bring_data_and_short_ones_are_success, setup, teardown),
		cmocka_unit_test_setup_teardown(a_halted_pipe_works_after_clear_stall, setup, teardown),
		cmocka_unit_test_setup_teardown(another_setting_ends_pipes, setup, teardown),
		cmocka_unit_test_setup_teardown(unplugging_ends_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_dies_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_driver_need_not_wait_for_news_of_a_death, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_dies_while_it_opens_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(however_many_devices_a_dead_client_had, setup, teardown),
		cmocka_unit_test_setup_teardown(none_is_missed_when_all_are_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_device_comes_again, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_are_read_once, setup, teardown),
		cmocka_unit_test_setup_teardown(names_that_mean_nothing_are_refused_with_a_sentence, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
