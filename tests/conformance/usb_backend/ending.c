/* SPDX-License-Identifier: MIT */
/* The other ways for a transfer to end: time-out, cancel, halt, a changed setting, unplug, no
 * memory. */
#include "rig.h"

#include <errno.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define MANY 16

static struct item *
pending(struct rig *rig, uint32_t timeout_ms)
{
	struct item *item = item_new(rig, rig->target->packet);

	item_submit(item, rig->target->silent, rig->target->packet, timeout_ms);
	return item;
}

static void
a_timeout_comes_in_time(void **state)
{
	struct rig *rig = *state;
	struct item *item;
	uint64_t took_ms;

	rig_claim(rig);
	item = pending(rig, 120);
	item_expect(item, USB_TIMEOUT, 0);
	took_ms = (item->time_ns - item->submitted_ns) / NS_PER_MS;
	assert_true(took_ms >= 119);
	assert_true(took_ms <= (rig->is_model ? 121 : 10000));
	/* The pipe goes on. */
	item_submit(item, rig->target->silent, rig->target->packet, 30);
	item_expect(item, USB_TIMEOUT, 0);
	item_free(item);
}

static void
timeouts_in_a_queue_are_each_ones_own(void **state)
{
	static const uint32_t timeouts_ms[] = { 400, 100, 300, 200 };
	struct rig *rig = *state;
	struct item *items[N_OF(timeouts_ms)];
	uint64_t took_ms;

	rig_claim(rig);
	for (unsigned i = 0; i < N_OF(timeouts_ms); i++)
		items[i] = pending(rig, timeouts_ms[i]);
	for (unsigned i = 0; i < N_OF(timeouts_ms); i++) {
		item_expect(items[i], USB_TIMEOUT, 0);
		took_ms = (items[i]->time_ns - items[i]->submitted_ns) / NS_PER_MS;
		assert_true(took_ms + 1 >= timeouts_ms[i]);
		if (rig->is_model)
			assert_int_equal(took_ms, timeouts_ms[i]);
		item_free(items[i]);
	}
}

static void
a_timeout_reports_what_came(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	struct item *item = item_new(rig, 4096);
	uint8_t data[1024] = { 5 };

	rig_claim(rig);
	item_submit(item, target->loop_in, 3 * target->packet, 200);
	assert_int_equal(rig_move(rig, target->loop_out, data, target->packet, 0, NULL), USB_OK);
	item_expect(item, USB_TIMEOUT, target->packet);
	assert_memory_equal(item->data, data, target->packet);
	item_free(item);
}

static void
a_cancelled_transfer_ends_once(void **state)
{
	struct rig *rig = *state;
	struct item *item;

	rig_claim(rig);
	item = pending(rig, 0);
	assert_false(item_has_ended(item));
	rig->ops->cancel(rig->device, &item->transfer);
	item_expect(item, USB_CANCELLED, 0);
	/* Too late, and twice: nothing more happens. */
	rig->ops->cancel(rig->device, &item->transfer);
	rig->ops->cancel(rig->device, &item->transfer);
	item_submit(item, rig->target->silent, rig->target->packet, 50);
	item_expect(item, USB_TIMEOUT, 0);
	item_free(item);
}

static void
one_of_many_is_cancelled(void **state)
{
	struct rig *rig = *state;
	struct item *items[MANY];

	rig_claim(rig);
	for (unsigned i = 0; i < MANY; i++)
		items[i] = pending(rig, 0);
	rig->ops->cancel(rig->device, &items[MANY / 2]->transfer);
	item_expect(items[MANY / 2], USB_CANCELLED, 0);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(item_has_ended(items[i]), i == MANY / 2);
	for (unsigned i = MANY; i-- > 0;)
		if (i != MANY / 2)
			rig->ops->cancel(rig->device, &items[i]->transfer);
	for (unsigned i = 0; i < MANY; i++) {
		item_expect(items[i], USB_CANCELLED, 0);
		item_free(items[i]);
	}
}

/* A cancel that runs against data: each ends once, one way or the other, and the pipe is in order
 * afterwards. */
static void
cancel_may_lose_the_race(void **state)
{
	struct rig *rig = *state;
	uint32_t length = 16 * rig->target->packet;
	struct item *item = item_new(rig, length);
	unsigned n_ok = 0, n_cancelled = 0;

	rig_claim(rig);
	for (unsigned i = 0; i < 200; i++) {
		item_submit(item, rig->target->source, length, 0);
		rig->ops->cancel(rig->device, &item->transfer);
		item_wait(item);
		assert_int_equal(item->n_ended, 1);
		n_ok += item->status == USB_OK;
		n_cancelled += item->status == USB_CANCELLED;
	}
	assert_int_equal(n_ok + n_cancelled, 200);
	item_submit(item, rig->target->source, length, 0);
	item_expect(item, USB_OK, length);
	item_free(item);
}

static void
settings_end_what_is_queued(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	struct item *items[4];

	rig_claim(rig);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N_OF(items); i++)
			items[i] = pending(rig, 0);
		if (round == 0)
			assert_int_equal(rig->ops->set_alternate(rig->device, target->interface, 0),
					 0);
		else if (round == 1)
			assert_int_equal(rig->ops->reset(rig->device), 0);
		else
			assert_int_equal(rig->ops->unclaim(rig->device, target->interface), 0);
		for (unsigned i = 0; i < N_OF(items); i++) {
			item_expect(items[i], USB_CANCELLED, 0);
			item_free(items[i]);
		}
	}
	assert_int_equal(rig->n_detached, 0);
	rig_claim(rig);
	items[0] = pending(rig, 50);
	item_expect(items[0], USB_TIMEOUT, 0);
	item_free(items[0]);
}

static bool
device_says_halted(struct rig *rig, uint8_t endpoint)
{
	uint8_t status[2] = { 0xFF, 0xFF };

	assert_int_equal(
		rig_control(rig, 0x82, USB_REQUEST_GET_STATUS, 0, endpoint, status, 2, NULL),
		USB_OK);
	return status[0] & 1;
}

static void
a_halt_lasts_until_it_is_cleared(void **state)
{
	struct rig *rig = *state;
	uint8_t endpoint = rig->target->source;
	uint32_t packet = rig->target->packet;
	struct item *items[3];

	rig_claim(rig);
	assert_false(device_says_halted(rig, endpoint));
	assert_int_equal(rig_control(rig, 0x02, USB_REQUEST_SET_FEATURE, USB_FEATURE_ENDPOINT_HALT,
				     endpoint, NULL, 0, NULL),
			 USB_OK);
	assert_true(device_says_halted(rig, endpoint));
	for (unsigned i = 0; i < N_OF(items); i++) {
		items[i] = item_new(rig, packet);
		item_submit(items[i], endpoint, packet, 0);
	}
	for (unsigned i = 0; i < N_OF(items); i++)
		item_expect(items[i], USB_STALL, 0);
	assert_true(device_says_halted(rig, endpoint));
	assert_int_equal(rig->ops->clear_halt(rig->device, endpoint, true), 0);
	assert_false(device_says_halted(rig, endpoint));
	item_submit(items[0], endpoint, packet, 0);
	item_expect(items[0], USB_OK, packet);

	/* Cleared by a control request: the same. */
	assert_int_equal(rig_control(rig, 0x02, USB_REQUEST_SET_FEATURE, USB_FEATURE_ENDPOINT_HALT,
				     endpoint, NULL, 0, NULL),
			 USB_OK);
	item_submit(items[1], endpoint, packet, 0);
	item_expect(items[1], USB_STALL, 0);
	assert_int_equal(rig_control(rig, 0x02, USB_REQUEST_CLEAR_FEATURE,
				     USB_FEATURE_ENDPOINT_HALT, endpoint, NULL, 0, NULL),
			 USB_OK);
	item_submit(items[1], endpoint, packet, 0);
	item_expect(items[1], USB_OK, packet);
	assert_int_equal(rig->ops->clear_halt(rig->device, endpoint ^ 0x0F, true), -EINVAL);
	for (unsigned i = 0; i < N_OF(items); i++)
		item_free(items[i]);
}

static void
a_halt_ends_what_waits(void **state)
{
	struct rig *rig = *state;
	uint8_t endpoint = rig->target->silent;
	struct item *items[4];

	rig_claim(rig);
	for (unsigned i = 0; i < N_OF(items); i++)
		items[i] = pending(rig, 0);
	assert_int_equal(rig_control(rig, 0x02, USB_REQUEST_SET_FEATURE, USB_FEATURE_ENDPOINT_HALT,
				     endpoint, NULL, 0, NULL),
			 USB_OK);
	for (unsigned i = 0; i < N_OF(items); i++) {
		assert_true(item_has_ended(items[i]));
		item_expect(items[i], USB_STALL, 0);
		item_free(items[i]);
	}
	assert_int_equal(rig->ops->clear_halt(rig->device, endpoint, true), 0);
	items[0] = pending(rig, 20);
	item_expect(items[0], USB_TIMEOUT, 0);
	item_free(items[0]);
}

static void
a_sink_that_is_lied_to_halts(void **state)
{
	struct rig *rig = *state;
	uint8_t endpoint = rig->target->sink;
	uint32_t packet = rig->target->packet;
	struct item *item = item_new(rig, packet);

	rig_claim(rig);
	pattern_fill(rig->target->pattern, 0, item->data, packet);
	item_submit(item, endpoint, packet, 0);
	item_expect(item, USB_OK, packet);
	memset(item->data, 0xA5, packet);
	/* Gadgets look at a transfer when they take the next one out of the queue: the halt may
	 * come late. */
	for (unsigned i = 0; i < 64 && item->status == USB_OK; i++) {
		item_submit(item, endpoint, packet, 0);
		item_wait(item);
	}
	assert_int_equal(item->status, USB_STALL);
	item_submit(item, endpoint, packet, 0);
	item_wait(item);
	assert_int_equal(item->status, USB_STALL);
	assert_int_equal(rig->ops->clear_halt(rig->device, endpoint, true), 0);
	pattern_fill(rig->target->pattern, 0, item->data, packet);
	item_submit(item, endpoint, packet, 0);
	item_expect(item, USB_OK, packet);
	item_free(item);
}

static void
unplugging_ends_all(void **state)
{
	struct rig *rig = *state;
	const struct target *target = rig->target;
	struct item *items[MANY], *late = item_new(rig, 64);

	rig_claim(rig);
	for (unsigned i = 0; i < MANY; i++)
		items[i] = pending(rig, i % 2 ? 600000 : 0);
	rig_unplug(rig);
	for (unsigned i = 0; i < MANY; i++) {
		item_wait(items[i]);
		assert_int_equal(items[i]->n_ended, 1);
		/* A real wire may fail before the hub says that nobody is there. */
		if (items[i]->status != USB_IO_ERROR || rig->is_model)
			assert_int_equal(items[i]->status, USB_NO_DEVICE);
		item_free(items[i]);
	}
	assert_int_equal(rig->n_detached, 1);
	/* The device is held, but there is nothing behind it any more. */
	item_submit_type(late, target->silent_type, target->silent, 64, 0, -ENODEV);
	memcpy(late->transfer.setup, (uint8_t[]){ 0x80, USB_REQUEST_GET_STATUS, 0, 0, 0, 0, 2, 0 },
	       8);
	item_submit_type(late, USB_CONTROL, 0, 2, 0, -ENODEV);
	rig->ops->cancel(rig->device, &late->transfer);
	assert_int_equal(late->n_ended, 0);
	assert_int_equal(rig->ops->claim(rig->device, target->interface), -ENODEV);
	assert_int_equal(rig->ops->unclaim(rig->device, target->interface), -ENODEV);
	assert_int_equal(rig->ops->set_configuration(rig->device, 1), -ENODEV);
	assert_int_equal(rig->ops->set_alternate(rig->device, target->interface, 0), -ENODEV);
	assert_int_equal(rig->ops->clear_halt(rig->device, target->silent, true), -ENODEV);
	assert_int_equal(rig->ops->reset(rig->device), -ENODEV);

	rig_replug(rig);
	assert_int_equal(rig->n_attached, 2);
	assert_int_equal(rig->n_detached, 1);
	rig_claim(rig);
	items[0] = pending(rig, 50);
	item_expect(items[0], USB_TIMEOUT, 0);
	item_free(items[0]);
	item_free(late);
}

static void
closing_unplugs(void **state)
{
	struct rig *rig = *state;
	struct item *items[MANY];
	void *second = (void *) rig->target;

	/* The rig's own back end is closed by its tear-down; this is a second one. */
	assert_int_equal(rig_setup(&second), 0);
	rig = second;
	rig_claim(rig);
	for (unsigned i = 0; i < MANY; i++)
		items[i] = pending(rig, 0);
	rig->ops->close(rig->backend);
	assert_int_equal(rig->n_detached, 1);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(items[i]->n_ended, 1);
		assert_int_equal(items[i]->status, USB_NO_DEVICE);
		item_free(items[i]);
	}
	/* The core may let go of a device when the back end is long closed. */
	rig_release(rig);
	rig_free(rig);
}

/* More than usbfs takes: refused, not lost, and taken when there is room again. */
static void
too_much_in_flight_is_refused(void **state)
{
	enum { N = 64, LENGTH = 1 << 20 };
	struct rig *rig = *state;
	struct item *items[N];
	unsigned n = 0;
	int r = 0;

	rig_claim(rig);
	for (; n < N && r == 0; n++) {
		items[n] = item_new(rig, LENGTH);
		items[n]->transfer.endpoint = rig->target->silent;
		items[n]->transfer.type = rig->target->silent_type;
		items[n]->transfer.length = LENGTH;
		items[n]->transfer.data = items[n]->data;
		r = rig->ops->submit(rig->device, &items[n]->transfer);
	}
	assert_int_equal(r, -ENOMEM);
	assert_true(n > 4);
	item_free(items[--n]);
	for (unsigned i = 0; i < n; i++) {
		assert_false(item_has_ended(items[i]));
		rig->ops->cancel(rig->device, &items[i]->transfer);
	}
	for (unsigned i = 0; i < n; i++) {
		item_wait(items[i]);
		assert_int_equal(items[i]->n_ended, 1);
		assert_int_equal(items[i]->status, USB_CANCELLED);
	}
	item_submit(items[0], rig->target->silent, LENGTH, 50);
	item_wait(items[0]);
	assert_int_equal(items[0]->status, USB_TIMEOUT);
	for (unsigned i = 0; i < n; i++)
		item_free(items[i]);
}

void
add_ending_tests(struct test_list *list, const struct target *target)
{
	if (target->silent) {
		ADD(list, target, a_timeout_comes_in_time);
		ADD(list, target, timeouts_in_a_queue_are_each_ones_own);
		ADD(list, target, a_cancelled_transfer_ends_once);
		ADD(list, target, one_of_many_is_cancelled);
		ADD(list, target, settings_end_what_is_queued);
		ADD(list, target, closing_unplugs);
		if (!target->model && target->silent_type == USB_BULK)
			ADD(list, target, too_much_in_flight_is_refused);
		if (target->model)
			ADD(list, target, a_halt_ends_what_waits);
		if (target->model || unplug_command)
			ADD(list, target, unplugging_ends_all);
	}
	if (target->loop_by_packet)
		ADD(list, target, a_timeout_reports_what_came);
	if (target->source)
		ADD(list, target, cancel_may_lose_the_race);
	if (target->source && target->knows_halt)
		ADD(list, target, a_halt_lasts_until_it_is_cleared);
	if (target->sink_halts)
		ADD(list, target, a_sink_that_is_lied_to_halts);
}
