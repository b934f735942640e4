/* SPDX-License-Identifier: MIT */
/* QEMU's USB stick, through the driver in stick/. */
#include "client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stick/StickMethods.h"

enum { BLOCK = 512, N_BLOCKS = (64 << 20) / BLOCK };

#define N_OF(array) (sizeof(array) / sizeof *(array))

static void
put_block(uint64_t command[3], uint8_t code, uint32_t block, uint32_t n_blocks)
{
	const uint8_t bytes[16] = { code, 0, (uint8_t) (block >> 24), (uint8_t) (block >> 16), (uint8_t) (block >> 8),
				    (uint8_t) block, 0, (uint8_t) (n_blocks >> 8), (uint8_t) n_blocks };

	memcpy(command, bytes, sizeof bytes);
	command[2] = 10;
}

/* Returns the status byte. */
static uint64_t
read_data(const uint64_t command[3], void *data, size_t length, uint64_t *ret_residue)
{
	uint64_t words[kStickWordCount] = { 99, 99 };
	uint32_t n = kStickWordCount;
	size_t size = length;

	CHECK(IOConnectCallMethod(client.connection, kStickRead, command, 3, NULL, 0, words, &n, data, &size), kIOReturnSuccess);
	assert_int_equal(size, length);
	*ret_residue = words[kWordResidue];
	return words[kWordStatus];
}

static uint64_t
write_data(const uint64_t command[3], const void *data, size_t length, uint64_t *ret_residue)
{
	uint64_t words[kStickWordCount] = { 99, 99 };
	uint32_t n = kStickWordCount;

	CHECK(IOConnectCallMethod(client.connection, kStickWrite, command, 3, data, length, words, &n, NULL, NULL),
	      kIOReturnSuccess);
	*ret_residue = words[kWordResidue];
	return words[kWordStatus];
}

/* A stick that was just plugged in has something to say first: until it is asked, it refuses. */
static void
wait_until_ready(void)
{
	const uint64_t test_unit_ready[3] = { 0x00, 0, 6 }, request_sense[3] = { 0x03 | 18ull << 32, 0, 6 };
	uint64_t residue;
	uint8_t sense[18];

	for (int i = 0; i < 10; i++) {
		if (write_data(test_unit_ready, NULL, 0, &residue) == 0)
			return;
		assert_int_equal(read_data(request_sense, sense, sizeof sense, &residue), 0);
	}
	fail_msg("the stick does not become ready");
}

static void
it_tells_who_it_is(void **state)
{
	const uint64_t inquiry[3] = { 0x12 | 36ull << 32, 0, 6 }, capacity[3] = { 0x25, 0, 10 };
	uint8_t data[36], size[8];
	uint64_t luns = 99, residue;
	uint32_t n = 1;

	CHECK(IOConnectCallScalarMethod(client.connection, kStickLuns, NULL, 0, &luns, &n), kIOReturnSuccess);
	assert_int_equal(luns, 0);
	assert_int_equal(read_data(inquiry, data, sizeof data, &residue), 0);
	assert_int_equal(data[0], 0);
	assert_memory_equal(data + 8, "QEMU    ", 8);
	wait_until_ready();
	assert_int_equal(read_data(capacity, size, sizeof size, &residue), 0);
	assert_int_equal(size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3], N_BLOCKS - 1);
	assert_int_equal(size[6] << 8 | size[7], BLOCK);
}

static void
fill(uint8_t *bytes, size_t length, uint32_t seed)
{
	for (size_t i = 0; i < length; i++) {
		seed = seed * 1664525u + 1013904223u;
		bytes[i] = (uint8_t) (seed >> 24);
	}
}

/* The smallest travel in the call, the others are the client's own pages. */
static void
what_is_written_is_read_back(void **state)
{
	static const uint32_t n_blocks[] = { 1, 8, 127, 512, 2048 };
	uint64_t command[3], residue;

	wait_until_ready();
	for (size_t i = 0; i < N_OF(n_blocks); i++) {
		size_t length = n_blocks[i] * BLOCK;
		uint8_t *written = malloc(length), *got = calloc(1, length);

		fill(written, length, (uint32_t) i);
		put_block(command, 0x2A, (uint32_t) (100 + 7 * i), n_blocks[i]);
		assert_int_equal(write_data(command, written, length, &residue), 0);
		assert_int_equal(residue, 0);
		put_block(command, 0x28, (uint32_t) (100 + 7 * i), n_blocks[i]);
		assert_int_equal(read_data(command, got, length, &residue), 0);
		assert_int_equal(residue, 0);
		assert_memory_equal(got, written, length);
		free(written);
		free(got);
	}
}

static void
what_it_does_not_have_is_refused(void **state)
{
	const uint64_t request_sense[3] = { 0x03 | 18ull << 32, 0, 6 };
	uint8_t data[BLOCK], sense[18];
	uint64_t command[3], residue;

	wait_until_ready();
	put_block(command, 0x28, 0x7FFFFFF0, 1);
	assert_int_equal(read_data(command, data, sizeof data, &residue), 1);
	assert_int_equal(read_data(request_sense, sense, sizeof sense, &residue), 0);
	assert_int_equal(sense[2] & 0xF, 5);
	wait_until_ready();
}

static void
start_shared(uint8_t code, uint32_t block, uint32_t n_blocks, uint64_t times, struct ending *ending)
{
	uint64_t scalars[6];

	put_block(scalars, code, block, n_blocks);
	scalars[3] = n_blocks * BLOCK;
	scalars[4] = code == 0x28 ? kDirectionIn : kDirectionOut;
	scalars[5] = times;
	CHECK(client_async(kStickShared, scalars, N_OF(scalars), ending), kIOReturnSuccess);
}

static void
run_shared(uint8_t code, uint32_t block, uint32_t n_blocks, uint64_t times)
{
	struct ending ending;

	start_shared(code, block, n_blocks, times, &ending);
	assert_true(client_wait_ending(&ending));
	CHECK(ending.status, kIOReturnSuccess);
	assert_int_equal(ending.n_words, kSharedWordCount);
	assert_int_equal(ending.words[kWordStatus], 0);
	assert_int_equal(ending.words[kWordResidue], 0);
	assert_int_equal(ending.words[kWordCommands], times);
}

/* Pages that client, driver and device share. */
static void
asynchronous_commands_through_shared_memory(void **state)
{
	static const uint32_t n_blocks[] = { 1, 100, 2048 };
	mach_vm_address_t address = 0;
	mach_vm_size_t size = 0;
	uint64_t command[3], residue;

	wait_until_ready();
	CHECK(IOConnectMapMemory64(client.connection, 0, mach_task_self(), &address, &size, kIOMapAnywhere), kIOReturnSuccess);
	assert_true(size >= kStickSharedSize);
	uint8_t *shared = (uint8_t *) (uintptr_t) address, *got = malloc(kStickSharedSize);
	for (size_t i = 0; i < N_OF(n_blocks); i++) {
		size_t length = n_blocks[i] * BLOCK;

		fill(shared, length, 77 + (uint32_t) i);
		run_shared(0x2A, 9000, n_blocks[i], 3);
		memset(shared, 0, length);
		put_block(command, 0x28, 9000, n_blocks[i]);
		assert_int_equal(read_data(command, got, length, &residue), 0);
		run_shared(0x28, 9000, n_blocks[i], 5);
		assert_memory_equal(shared, got, length);
		fill(got, length, 77 + (uint32_t) i);
		assert_memory_equal(shared, got, length);
	}
	free(got);
	CHECK(IOConnectUnmapMemory64(client.connection, 0, mach_task_self(), address), kIOReturnSuccess);
}

/* The command ends, the driver stops, the service goes; plugged in again, a new one comes that works. */
static void
unplugged_and_back(uint8_t code)
{
	unsigned n_went = client.n_went;
	uint64_t n_done = 0;
	uint32_t n = 1;
	struct ending ending;

	wait_until_ready();
	start_shared(code, 0, 2048, 0, &ending);
	for (unsigned i = 0; n_done < 3; i++) {
		assert_true(i < LIMIT_S * 1000);
		usleep(1000);
		CHECK(IOConnectCallScalarMethod(client.connection, kStickCount, NULL, 0, &n_done, &n), kIOReturnSuccess);
	}
	client_run(client.off);
	assert_true(client_wait(&client.n_went, n_went + 1));
	assert_true(client_wait_ending(&ending));
	assert_int_not_equal(ending.status, kIOReturnSuccess);
	assert_int_not_equal(IOConnectCallScalarMethod(client.connection, kStickCount, NULL, 0, &n_done, &n), kIOReturnSuccess);
	CHECK(IOServiceClose(client.connection), kIOReturnSuccess);
	client.connection = 0;

	client_run(client.on);
	assert_int_equal(client_open(NULL), 0);
}

static void
unplugged_while_it_is_read(void **state)
{
	for (int round = 0; round < 2; round++) {
		unplugged_and_back(0x28);
		it_tells_who_it_is(state);
	}
}

static void
unplugged_while_it_is_written(void **state)
{
	unplugged_and_back(0x2A);
	what_is_written_is_read_back(state);
}

int
stick_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_tells_who_it_is, client_open),
		cmocka_unit_test_setup(what_is_written_is_read_back, client_open),
		cmocka_unit_test_setup(what_it_does_not_have_is_refused, client_open),
		cmocka_unit_test_setup(asynchronous_commands_through_shared_memory, client_open),
		cmocka_unit_test_setup(unplugged_while_it_is_read, client_open),
		cmocka_unit_test_setup(unplugged_while_it_is_written, client_open),
	};

	return cmocka_run_group_tests_name("e2e stick", tests, client_begin, client_end);
}
