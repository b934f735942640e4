/* SPDX-License-Identifier: MIT */
/* Devices that nobody here wrote: mass storage, a serial adapter, a keyboard. */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512u

/* The first bulk endpoint of that direction. */
static uint8_t
find_bulk(struct rig *rig, uint8_t direction)
{
	const uint8_t *blob = rig->configuration;

	for (uint32_t at = 0; at < rig->configuration_length; at += blob[at])
		if (blob[at + 1] == USB_DESCRIPTOR_ENDPOINT && (blob[at + 3] & 3) == USB_BULK &&
		    (blob[at + 2] & 0x80) == direction)
			return blob[at + 2];
	fail_msg("no bulk endpoint of direction 0x%02x", direction);
	return 0;
}

/* One command of the Bulk-Only Transport. Returns the status byte of its end. @p data is read or
 * written. */
static int
bot_command(struct rig *rig, const uint8_t *command, uint8_t command_length, uint8_t direction,
	    void *data, uint32_t length, uint32_t *ret_residue)
{
	static uint32_t tag;
	uint8_t in = find_bulk(rig, 0x80), out = find_bulk(rig, 0);
	uint8_t cbw[31] = { 'U', 'S', 'B', 'C' }, csw[13];
	enum usb_status status;
	uint32_t actual;

	tag++;
	memcpy(cbw + 4, &tag, 4);
	memcpy(cbw + 8, &length, 4);
	cbw[12] = direction;
	cbw[14] = command_length;
	memcpy(cbw + 15, command, command_length);
	assert_int_equal(rig_move(rig, out, cbw, sizeof cbw, 10000, &actual), USB_OK);
	assert_int_equal(actual, sizeof cbw);
	if (length > 0) {
		status = rig_move(rig, direction ? in : out, data, length, 10000, NULL);
		if (status == USB_STALL)
			assert_int_equal(
				rig->ops->clear_halt(rig->device, direction ? in : out, true), 0);
		else
			assert_int_equal(status, USB_OK);
	}
	status = rig_move(rig, in, csw, sizeof csw, 10000, &actual);
	if (status == USB_STALL) {
		assert_int_equal(rig->ops->clear_halt(rig->device, in, true), 0);
		status = rig_move(rig, in, csw, sizeof csw, 10000, &actual);
	}
	assert_int_equal(status, USB_OK);
	assert_int_equal(actual, sizeof csw);
	assert_memory_equal(csw, "USBS", 4);
	assert_memory_equal(csw + 4, &tag, 4);
	if (ret_residue)
		memcpy(ret_residue, csw + 8, 4);
	return csw[12];
}

static void
wait_until_ready(struct rig *rig)
{
	static const uint8_t test_unit_ready[6] = { 0x00 },
			     request_sense[6] = { 0x03, 0, 0, 0, 18 };
	uint8_t sense[18];

	for (unsigned i = 0; i < 10; i++) {
		if (bot_command(rig, test_unit_ready, 6, 0, NULL, 0, NULL) == 0)
			return;
		(void) bot_command(rig, request_sense, 6, 0x80, sense, sizeof sense,
				   NULL); /* clears it */
	}
	fail_msg("the stick does not become ready");
}

static void
a_stick_tells_who_it_is(void **state)
{
	static const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 36 }, read_capacity[10] = { 0x25 };
	struct rig *rig = *state;
	uint8_t data[36], capacity[8], luns = 99;

	rig_claim(rig);
	assert_int_equal(rig_control(rig, 0xA1, 0xFE, 0, rig->target->interface, &luns, 1, NULL),
			 USB_OK);
	assert_int_equal(luns, 0);
	assert_int_equal(bot_command(rig, inquiry, 6, 0x80, data, sizeof data, NULL), 0);
	assert_int_equal(data[0], 0);
	assert_memory_equal(data + 8, "QEMU", 4);
	wait_until_ready(rig);
	assert_int_equal(bot_command(rig, read_capacity, 10, 0x80, capacity, 8, NULL), 0);
	assert_int_equal(capacity[6] << 8 | capacity[7], BLOCK);
}

static void
put_block(uint8_t command[10], uint8_t code, uint32_t block, uint16_t n_blocks)
{
	memcpy(command,
	       (uint8_t[]){ code, 0, block >> 24, block >> 16, block >> 8, block, 0, n_blocks >> 8,
			    n_blocks, 0 },
	       10);
}

static void
what_is_written_to_a_stick_is_read_back(void **state)
{
	static const uint16_t n_blocks[] = { 1, 8, 127, 512, 2048 };
	struct rig *rig = *state;
	uint8_t command[10];
	uint32_t residue;

	rig_claim(rig);
	wait_until_ready(rig);
	for (unsigned i = 0; i < N_OF(n_blocks); i++) {
		uint32_t length = n_blocks[i] * BLOCK;
		uint8_t *written = malloc(length), *read = calloc(1, length);

		pattern_fill(PATTERN_COUNTED, i * 1000003, written, length);
		put_block(command, 0x2A, 100 + 7 * i, n_blocks[i]);
		assert_int_equal(bot_command(rig, command, 10, 0, written, length, &residue), 0);
		assert_int_equal(residue, 0);
		put_block(command, 0x28, 100 + 7 * i, n_blocks[i]);
		assert_int_equal(bot_command(rig, command, 10, 0x80, read, length, &residue), 0);
		assert_int_equal(residue, 0);
		assert_memory_equal(read, written, length);
		free(written);
		free(read);
	}
}

static void
a_stick_refuses_what_it_does_not_have(void **state)
{
	static const uint8_t request_sense[6] = { 0x03, 0, 0, 0, 18 };
	struct rig *rig = *state;
	uint8_t command[10], data[BLOCK], sense[18];

	rig_claim(rig);
	wait_until_ready(rig);
	put_block(command, 0x28, 0x7FFFFFF0, 1);
	assert_int_equal(bot_command(rig, command, 10, 0x80, data, BLOCK, NULL), 1);
	assert_int_equal(bot_command(rig, request_sense, 6, 0x80, sense, sizeof sense, NULL), 0);
	assert_int_equal(sense[2] & 0xF, 5);
	assert_int_equal(sense[12], 0x21);
}

void
add_storage_tests(struct test_list *list, const struct target *target)
{
	ADD(list, target, a_stick_tells_who_it_is);
	ADD(list, target, what_is_written_to_a_stick_is_read_back);
	ADD(list, target, a_stick_refuses_what_it_does_not_have);
}

#define SERIAL_PACKET 64u

static void
what_is_sent_on_the_line_comes_back(void **state)
{
	enum { LENGTH = 2048, IN_LENGTH = 512 };
	struct rig *rig = *state;
	uint8_t in = find_bulk(rig, 0x80), out = find_bulk(rig, 0);
	uint8_t sent[LENGTH], got[LENGTH + IN_LENGTH], data[IN_LENGTH];
	uint32_t actual, n = 0;

	rig_claim(rig);
	/* Reset, 115200 baud, 1 ms latency. */
	assert_int_equal(rig_control(rig, 0x40, 0, 0, 0, NULL, 0, NULL), USB_OK);
	assert_int_equal(rig_control(rig, 0x40, 3, 0x001A, 0, NULL, 0, NULL), USB_OK);
	assert_int_equal(rig_control(rig, 0x40, 9, 1, 0, NULL, 0, NULL), USB_OK);
	for (unsigned i = 0; i < LENGTH; i++)
		sent[i] = i * 31 + (i >> 8);
	/* Little at a time: the adapter's own buffer holds few hundred bytes and drops the rest. */
	for (unsigned done = 0; done < LENGTH; done += 128) {
		assert_int_equal(rig_move(rig, out, sent + done, 128, 10000, &actual), USB_OK);
		assert_int_equal(actual, 128);
		for (unsigned tries = 0; n < done + 128 && tries < 100000; tries++) {
			assert_int_equal(rig_move(rig, in, data, sizeof data, 10000, &actual),
					 USB_OK);
			/* Each packet begins with two bytes of modem status. */
			for (uint32_t at = 0; at < actual; at += SERIAL_PACKET) {
				uint32_t size =
					actual - at < SERIAL_PACKET ? actual - at : SERIAL_PACKET;

				assert_true(size >= 2);
				memcpy(got + n, data + at + 2, size - 2);
				n += size - 2;
				assert_true(n <= LENGTH);
			}
		}
		assert_int_equal(n, done + 128);
	}
	assert_memory_equal(got, sent, LENGTH);
}

void
add_serial_tests(struct test_list *list, const struct target *target)
{
	ADD(list, target, what_is_sent_on_the_line_comes_back);
}

static void
a_key_ends_a_waiting_read(void **state)
{
	struct rig *rig = *state;
	struct item *item = item_new(rig, 8);
	bool pressed = false;

	rig_claim(rig);
	for (unsigned i = 0; i < 4 && !pressed; i++) {
		item_submit(item, rig->target->silent, 8, 0);
		assert_false(item_has_ended(item));
		if (i == 0)
			assert_int_equal(system(key_command), 0);
		item_wait(item);
		assert_int_equal(item->n_ended, 1);
		assert_int_equal(item->status, USB_OK);
		assert_int_equal(item->actual, 8);
		pressed = item->data[2] == 0x04; /* "a" */
	}
	assert_true(pressed);
	/* The release. */
	item_submit(item, rig->target->silent, 8, 0);
	item_expect(item, USB_OK, 8);
	assert_int_equal(item->data[2], 0);
	item_free(item);
}

void
add_keyboard_tests(struct test_list *list, const struct target *target)
{
	if (key_command)
		ADD(list, target, a_key_ends_a_waiting_read);
}
