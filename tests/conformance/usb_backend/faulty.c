/* SPDX-License-Identifier: MIT */
/* What a misbehaving device does to a transfer. The model only: no real one misbehaves on
 * command. */
#include "rig.h"

#include <errno.h>
#include <string.h>

#define IN	0x81
#define OUT	0x01
#define PING	1
#define FAULT	0x10
#define LENGTH	640u

enum fault {
	FAULT_NONE,
	FAULT_STALL,
	FAULT_BABBLE,
	FAULT_SHORT,
	FAULT_SILENT,
	FAULT_ERROR,
	FAULT_VANISH,
	FAULT_LATE
};

static void
make(struct rig *rig, enum fault fault, uint8_t endpoint, uint16_t after, uint32_t value)
{
	uint8_t data[4] = { value, value >> 8, value >> 16, value >> 24 };

	assert_int_equal(rig_control(rig, 0x40, FAULT + fault, after, endpoint, data, 4, NULL),
			 USB_OK);
}

/* What the third transfer after the fault was planned for "after 2 more" comes to, and the
 * fourth. */
static const struct {
	enum fault fault;
	uint8_t endpoint;
	uint32_t value;
	enum usb_status status;
	uint32_t actual;
	enum usb_status next;
} rows[] = {
	{ FAULT_STALL, IN, 0, USB_STALL, 0, USB_STALL },
	{ FAULT_STALL, OUT, 0, USB_STALL, 0, USB_STALL },
	{ FAULT_BABBLE, IN, 0, USB_OVERFLOW, LENGTH, USB_OK },
	{ FAULT_SHORT, IN, 100, USB_OK, 100, USB_OK },
	{ FAULT_SHORT, IN, 64, USB_OK, 64, USB_OK },
	{ FAULT_SHORT, IN, 0, USB_OK, 0, USB_OK },
	{ FAULT_SHORT, OUT, 10, USB_IO_ERROR, 10, USB_OK },
	{ FAULT_SILENT, IN, 0, USB_TIMEOUT, 0, USB_TIMEOUT },
	{ FAULT_SILENT, OUT, 0, USB_TIMEOUT, 0, USB_TIMEOUT },
	{ FAULT_ERROR, IN, 0, USB_IO_ERROR, 0, USB_OK },
	{ FAULT_ERROR, OUT, 0, USB_IO_ERROR, 0, USB_OK },
	{ FAULT_LATE, IN, 49, USB_OK, LENGTH, USB_OK },
	{ FAULT_LATE, IN, 51, USB_TIMEOUT, 0, USB_OK },
	{ FAULT_LATE, OUT, 49, USB_OK, LENGTH, USB_OK },
};

static void
each_fault_ends_its_transfer_its_way(void **state)
{
	struct rig *rig = *state;
	struct item *item = item_new(rig, LENGTH);

	rig_claim(rig);
	for (size_t i = 0; i < N_OF(rows); i++) {
		make(rig, rows[i].fault, rows[i].endpoint, 2, rows[i].value);
		for (unsigned good = 0; good < 2; good++) {
			item_submit(item, rows[i].endpoint, LENGTH, 50);
			item_expect(item, USB_OK, LENGTH);
		}
		item_submit(item, rows[i].endpoint, LENGTH, 50);
		item_expect(item, rows[i].status, rows[i].actual);
		item_submit(item, rows[i].endpoint, LENGTH, 50);
		item_wait(item);
		if (item->status != rows[i].next)
			fail_msg("row %zu: the transfer after it ended with status %d, not %d", i,
				 item->status, rows[i].next);
		make(rig, FAULT_NONE, rows[i].endpoint, 0, 0);
		assert_int_equal(rig->ops->clear_halt(rig->device, rows[i].endpoint, true), 0);
		item_submit(item, rows[i].endpoint, LENGTH, 50);
		item_expect(item, USB_OK, LENGTH);
	}
	item_free(item);
}

static void
a_halt_ends_the_whole_queue(void **state)
{
	struct rig *rig = *state;
	struct item *items[8];

	rig_claim(rig);
	make(rig, FAULT_SILENT, IN, 0, 0);
	for (unsigned i = 0; i < N_OF(items); i++) {
		items[i] = item_new(rig, LENGTH);
		item_submit(items[i], IN, LENGTH, 0);
	}
	make(rig, FAULT_STALL, IN, 2, 0);
	for (unsigned i = 0; i < N_OF(items); i++) {
		if (i < 2)
			item_expect(items[i], USB_OK, LENGTH);
		else
			item_expect(items[i], USB_STALL, 0);
		if (i > 0)
			assert_true(items[i]->order > items[i - 1]->order);
	}
	/* Without the request the device does not know that it should go on. */
	assert_int_equal(rig->ops->clear_halt(rig->device, IN, false), 0);
	item_submit(items[0], IN, LENGTH, 0);
	item_expect(items[0], USB_STALL, 0);
	assert_int_equal(rig->ops->clear_halt(rig->device, IN, true), 0);
	item_submit(items[0], IN, LENGTH, 0);
	item_expect(items[0], USB_OK, LENGTH);
	for (unsigned i = 0; i < N_OF(items); i++)
		item_free(items[i]);
}

static void
control_has_faults_too(void **state)
{
	struct rig *rig = *state;
	struct item *item = item_new(rig, 8);
	uint8_t data[8];

	make(rig, FAULT_STALL, 0, 1, 0);
	assert_int_equal(rig_control(rig, 0xC0, PING, 0, 0, data, 8, NULL), USB_OK);
	assert_int_equal(rig_control(rig, 0xC0, PING, 0, 0, data, 8, NULL), USB_STALL);
	assert_int_equal(rig_control(rig, 0xC0, PING, 0, 0, data, 8, NULL), USB_OK);
	assert_int_equal(data[0], 1);
	/* A silent ping holds up what comes behind it, and may be cancelled. */
	make(rig, FAULT_SILENT, 0, 0, 0);
	memcpy(item->transfer.setup, (uint8_t[]){ 0xC0, PING, 0, 0, 0, 0, 8, 0 }, 8);
	item_submit_type(item, USB_CONTROL, 0, 8, 0, 0);
	assert_false(item_has_ended(item));
	rig->ops->cancel(rig->device, &item->transfer);
	item_expect(item, USB_CANCELLED, 0);
	item_submit_type(item, USB_CONTROL, 0, 8, 40, 0);
	item_expect(item, USB_TIMEOUT, 0);
	item_free(item);
}

static void
a_device_may_vanish_inside_submit(void **state)
{
	struct rig *rig = *state;
	struct item *item = item_new(rig, LENGTH);

	rig_claim(rig);
	make(rig, FAULT_VANISH, IN, 3, 0);
	for (unsigned i = 0; i < 3; i++) {
		item_submit(item, IN, LENGTH, 0);
		item_expect(item, USB_OK, LENGTH);
	}
	item_submit(item, IN, LENGTH, 0);
	item_expect(item, USB_NO_DEVICE, 0);
	assert_int_equal(rig->n_detached, 1);
	item_submit_type(item, USB_BULK, IN, LENGTH, 0, -ENODEV);
	rig_replug(rig);
	rig_claim(rig);
	item_submit(item, IN, LENGTH, 0);
	item_expect(item, USB_OK, LENGTH);
	item_free(item);
}

void
add_faulty_tests(struct test_list *list, const struct target *target)
{
	ADD(list, target, each_fault_ends_its_transfer_its_way);
	ADD(list, target, a_halt_ends_the_whole_queue);
	ADD(list, target, control_has_faults_too);
	ADD(list, target, a_device_may_vanish_inside_submit);
}
