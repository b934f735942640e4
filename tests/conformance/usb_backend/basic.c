/* SPDX-License-Identifier: MIT */
/* Coming, control requests, claims and settings. */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
a_device_is_told_once_with_its_descriptors(void **state)
{
	struct rig *rig = *state;
	uint8_t device[18], configuration[4096];
	uint32_t actual;

	assert_int_equal(rig->n_attached, 1);
	assert_int_equal(rig->n_detached, 0);
	assert_int_not_equal(rig->location >> 24, 0);
	assert_int_not_equal(rig->location & 0xFFFFFF, 0);
	assert_int_not_equal(rig->speed, USB_SPEED_NONE);
	assert_true(rig->product[0]);
	assert_int_equal(rig->configuration_value, rig->configuration[5]);

	/* The device itself says the same. */
	assert_int_equal(rig_control(rig, 0x80, USB_REQUEST_GET_DESCRIPTOR,
				     USB_DESCRIPTOR_DEVICE << 8, 0, device, 18, &actual),
			 USB_OK);
	assert_int_equal(actual, 18);
	assert_memory_equal(device, rig->device_descriptor, 18);
	assert_int_equal(rig_control(rig, 0x80, USB_REQUEST_GET_DESCRIPTOR,
				     USB_DESCRIPTOR_CONFIGURATION << 8, 0, configuration,
				     sizeof configuration, &actual),
			 USB_OK);
	assert_int_equal(actual, rig->configuration_length);
	assert_memory_equal(configuration, rig->configuration, actual);
}

static void
a_control_answer_may_be_short_or_cut(void **state)
{
	struct rig *rig = *state;
	uint8_t data[255];
	uint32_t actual;

	/* Fewer bytes than there was room for. */
	assert_int_equal(rig_control(rig, 0x80, USB_REQUEST_GET_DESCRIPTOR,
				     USB_DESCRIPTOR_STRING << 8, 0, data, 255, &actual),
			 USB_OK);
	assert_int_equal(actual, data[0]);
	assert_true(actual >= 4 && actual < 255);
	/* As many as asked for. */
	assert_int_equal(rig_control(rig, 0x80, USB_REQUEST_GET_DESCRIPTOR,
				     USB_DESCRIPTOR_DEVICE << 8, 0, data, 8, &actual),
			 USB_OK);
	assert_int_equal(actual, 8);
	/* The product's name, as the host read it. */
	assert_int_equal(rig_control(rig, 0x80, USB_REQUEST_GET_DESCRIPTOR,
				     USB_DESCRIPTOR_STRING << 8 | rig->device_descriptor[15], 0x409,
				     data, 255, &actual),
			 USB_OK);
	assert_int_equal(data[0], actual);
	assert_int_equal((actual - 2) / 2, strlen(rig->product));
	for (size_t i = 0; rig->product[i]; i++)
		assert_int_equal(data[2 + 2 * i], rig->product[i]);
}

static void
a_refused_request_stalls_only_itself(void **state)
{
	struct rig *rig = *state;
	uint8_t data[64];
	uint32_t actual = 1;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_control(rig, 0xC0, 0xEE, 0, 0, data, sizeof data, &actual),
				 USB_STALL);
		assert_int_equal(actual, 0);
		assert_int_equal(
			rig_control(rig, 0x80, USB_REQUEST_GET_STATUS, 0, 0, data, 2, &actual),
			USB_OK);
		assert_int_equal(actual, 2);
	}
	if (!rig->is_model) /* QEMU gives an empty one */
		return;
	/* No string of that number. */
	assert_int_equal(rig_control(rig, 0x80, USB_REQUEST_GET_DESCRIPTOR,
				     USB_DESCRIPTOR_STRING << 8 | 0xF0, 0x409, data, sizeof data,
				     &actual),
			 USB_STALL);
}

static void
a_wrong_control_transfer_is_not_taken(void **state)
{
	struct rig *rig = *state;
	struct item *item = item_new(rig, 64);
	uint8_t setup[8] = { 0x80, USB_REQUEST_GET_STATUS, 0, 0, 0, 0, 2, 0 };

	memcpy(item->transfer.setup, setup, 8);
	item_submit_type(item, USB_CONTROL, 0, 3, 0, -EINVAL); /* wLength says 2 */
	item_submit_type(item, USB_BULK, 0, 2, 0, -EINVAL);
	assert_int_equal(item->n_ended, 0);
	item_free(item);
	assert_int_equal(rig_control(rig, 0x00, USB_REQUEST_SET_ADDRESS, 77, 0, NULL, 0, NULL),
			 USB_STALL);
}

/* The kernel driver that has the interface; "" for none, "usbfs" if we have it. */
static const char *
driver_of(struct rig *rig)
{
	static char link[256];
	char path[256];
	ssize_t n;

	snprintf(path, sizeof path, "/sys/bus/usb/devices/%s:%u.%u/driver",
		 rig->source + strlen("usb:"), rig->configuration_value, rig->target->interface);
	n = readlink(path, link, sizeof link - 1);
	if (n <= 0)
		return "";
	link[n] = '\0';
	return strrchr(link, '/') + 1;
}

/* Descriptor of the first IN endpoint of the first interface. */
static const uint8_t *
first_in_endpoint(struct rig *rig)
{
	for (uint32_t at = 0; at < rig->configuration_length; at += rig->configuration[at])
		if (rig->configuration[at + 1] == USB_DESCRIPTOR_ENDPOINT &&
		    rig->configuration[at + 2] & 0x80)
			return rig->configuration + at;
	fail_msg("no IN endpoint");
	return NULL;
}

static void
a_claim_is_exclusive_and_known(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	struct item *item = item_new(rig, 1024);
	const uint8_t *in = first_in_endpoint(rig);
	uint8_t endpoint = in[2], type = in[3] & 3;
	char driver[64] = "";

	if (target->driver) {
		snprintf(driver, sizeof driver, "%s", driver_of(rig));
		assert_string_equal(driver, target->driver);
	}
	item_submit_type(item, type, endpoint, target->packet, 100, -EINVAL);
	assert_int_equal(rig->ops->unclaim(rig->device, target->interface), -ENOENT);
	assert_int_equal(rig->ops->claim(rig->device, 200), -ENOENT);
	rig_claim(rig);
	assert_int_equal(rig->ops->claim(rig->device, target->interface), -EBUSY);
	if (target->driver)
		assert_string_equal(driver_of(rig), "usbfs");
	item_submit_type(item, type, endpoint ^ 0x0F, target->packet, 100,
			 -EINVAL); /* no such endpoint */
	item_submit_type(item, type == USB_BULK ? USB_INTERRUPT : USB_BULK, endpoint,
			 target->packet, 100, -EINVAL);
	item_submit_type(item, type, endpoint, target->packet, 100, 0);
	item_wait(item);
	assert_int_equal(rig->ops->unclaim(rig->device, target->interface), 0);
	item_submit_type(item, type, endpoint, target->packet, 100, -EINVAL);
	if (target->driver)
		assert_string_equal(driver_of(rig), driver);
	rig_claim(rig);
	assert_int_equal(rig->ops->unclaim(rig->device, target->interface), 0);
	item_free(item);
}

static void
a_device_has_one_user_at_a_time(void **state)
{
	struct rig *rig = *state, *other;
	void *second = (void *) rig->target;

	assert_int_equal(rig_setup(&second), 0);
	other = second;
	rig_claim(rig);
	assert_int_equal(other->ops->claim(other->device, rig->target->interface), -EBUSY);
	assert_int_equal(rig->ops->unclaim(rig->device, rig->target->interface), 0);
	rig_claim(other);
	assert_int_equal(rig->ops->claim(rig->device, rig->target->interface), -EBUSY);
	/* Closing gives it back, to the kernel's driver too. */
	assert_int_equal(rig_teardown(&second), 0);
	if (rig->target->driver)
		assert_string_equal(driver_of(rig), rig->target->driver);
	rig_claim(rig);
}

static void
a_configuration_changes_only_when_nothing_is_claimed(void **state)
{
	struct rig *rig = *state;
	uint8_t value = 99;

	rig_claim(rig);
	assert_int_equal(rig->ops->set_configuration(rig->device, rig->configuration_value),
			 -EBUSY);
	assert_int_equal(rig_control(rig, 0x00, USB_REQUEST_SET_CONFIGURATION, 0, 0, NULL, 0, NULL),
			 USB_STALL);
	assert_int_equal(rig->ops->unclaim(rig->device, rig->target->interface), 0);
	assert_int_equal(rig->ops->set_configuration(rig->device, 200), -ENOENT);
	assert_int_equal(rig->ops->set_configuration(rig->device, 0), 0);
	assert_int_equal(
		rig_control(rig, 0x80, USB_REQUEST_GET_CONFIGURATION, 0, 0, &value, 1, NULL),
		USB_OK);
	assert_int_equal(value, 0);
	assert_int_equal(rig->ops->claim(rig->device, rig->target->interface), -ENOENT);
	/* As a control request, with the same effect. */
	assert_int_equal(rig_control(rig, 0x00, USB_REQUEST_SET_CONFIGURATION,
				     rig->configuration_value, 0, NULL, 0, NULL),
			 USB_OK);
	assert_int_equal(
		rig_control(rig, 0x80, USB_REQUEST_GET_CONFIGURATION, 0, 0, &value, 1, NULL),
		USB_OK);
	assert_int_equal(value, rig->configuration_value);
	/* A kernel driver may have been quicker: claiming takes it from it. */
	rig_claim(rig);
}

static void
an_alternate_setting_changes_the_endpoints(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	uint8_t interface = target->interface, value = 99;

	assert_int_equal(rig->ops->set_alternate(rig->device, interface, target->other_alternate),
			 -EINVAL);
	rig_claim(rig);
	assert_int_equal(rig->ops->set_alternate(rig->device, interface, 77), -ENOENT);
	assert_int_equal(rig->ops->set_alternate(rig->device, interface, target->other_alternate),
			 0);
	assert_int_equal(
		rig_control(rig, 0x81, USB_REQUEST_GET_INTERFACE, 0, interface, &value, 1, NULL),
		USB_OK);
	assert_int_equal(value, target->other_alternate);
	/* Back, as a control request. */
	assert_int_equal(
		rig_control(rig, 0x01, USB_REQUEST_SET_INTERFACE, 0, interface, NULL, 0, NULL),
		USB_OK);
	assert_int_equal(
		rig_control(rig, 0x81, USB_REQUEST_GET_INTERFACE, 0, interface, &value, 1, NULL),
		USB_OK);
	assert_int_equal(value, 0);
	assert_int_equal(
		rig_control(rig, 0x01, USB_REQUEST_SET_INTERFACE, 77, interface, NULL, 0, NULL),
		USB_STALL);
	/* Unclaiming goes back by itself. */
	assert_int_equal(rig->ops->set_alternate(rig->device, interface, target->other_alternate),
			 0);
	assert_int_equal(rig->ops->unclaim(rig->device, interface), 0);
	assert_int_equal(
		rig_control(rig, 0x81, USB_REQUEST_GET_INTERFACE, 0, interface, &value, 1, NULL),
		USB_OK);
	assert_int_equal(value, 0);
}

static void
a_reset_keeps_claims_and_goes_to_alternate_0(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	struct item *item = item_new(rig, target->packet);
	uint8_t value = 99;

	rig_claim(rig);
	if (target->other_alternate)
		assert_int_equal(rig->ops->set_alternate(rig->device, target->interface,
							 target->other_alternate),
				 0);
	assert_int_equal(rig->ops->reset(rig->device), 0);
	assert_int_equal(rig->n_attached, 1);
	assert_int_equal(
		rig_control(rig, 0x80, USB_REQUEST_GET_CONFIGURATION, 0, 0, &value, 1, NULL),
		USB_OK);
	assert_int_equal(value, rig->configuration_value);
	if (target->source) {
		item_submit(item, target->source, target->packet, 0);
		item_expect(item, USB_OK, target->packet);
	}
	assert_int_equal(rig->ops->unclaim(rig->device, target->interface), 0);
	item_free(item);
}

void
add_basic_tests(struct test_list *list, const struct target *target)
{
	ADD(list, target, a_device_is_told_once_with_its_descriptors);
	ADD(list, target, a_control_answer_may_be_short_or_cut);
	ADD(list, target, a_refused_request_stalls_only_itself);
	ADD(list, target, a_wrong_control_transfer_is_not_taken);
	ADD(list, target, a_claim_is_exclusive_and_known);
	if (!target->model)
		ADD(list, target, a_device_has_one_user_at_a_time);
	ADD(list, target, a_configuration_changes_only_when_nothing_is_claimed);
	if (target->other_alternate)
		ADD(list, target, an_alternate_setting_changes_the_endpoints);
	ADD(list, target, a_reset_keeps_claims_and_goes_to_alternate_0);
}
