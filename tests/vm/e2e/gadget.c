/* SPDX-License-Identifier: MIT */
/* The kernel's SourceSink and loopback gadgets, through the driver in gadget/. */
#include "client.h"

#include <string.h>
#include <unistd.h>

#include "gadget/GadgetMethods.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))

static void
start(uint64_t pipe, uint64_t n, uint64_t size, uint64_t fill, struct ending *ending)
{
	const uint64_t scalars[4] = { pipe, n, size, fill };

	CHECK(client_async(kGadgetRun, scalars, 4, ending), kIOReturnSuccess);
}

static void
run(uint64_t pipe, uint64_t n, uint64_t size, uint64_t fill, uint64_t words[static kGadgetWordCount])
{
	struct ending ending;

	start(pipe, n, size, fill, &ending);
	assert_true(client_wait_ending(&ending));
	assert_int_equal(ending.status, kIOReturnSuccess);
	assert_int_equal(ending.n_words, kGadgetWordCount);
	memcpy(words, ending.words, kGadgetWordCount * sizeof *words);
	assert_int_equal(words[kWordSubmitted], words[kWordCompleted]);
}

static kern_return_t
io(uint64_t pipe, uint64_t size, uint64_t limit_ms, uint64_t *ret_moved)
{
	const uint64_t scalars[3] = { pipe, size, limit_ms };
	uint32_t n = 1;

	return IOConnectCallScalarMethod(client.connection, kGadgetIO, scalars, 3, ret_moved, &n);
}

static void
progress(uint64_t words[static kGadgetWordCount])
{
	uint32_t n = kGadgetWordCount;

	CHECK(IOConnectCallScalarMethod(client.connection, kGadgetProgress, NULL, 0, words, &n), kIOReturnSuccess);
}

static void
many_transfers_move_all_their_bytes(uint64_t pipe)
{
	static const struct {
		uint64_t n, size;
	} rows[] = { { 64, 256 * 1024 }, { 32, 64 * 1024 }, { 100, 4096 } };
	uint64_t words[kGadgetWordCount];

	for (size_t i = 0; i < N_OF(rows); i++) {
		run(pipe, rows[i].n, rows[i].size, kFillPattern, words);
		assert_int_equal(words[kWordFailed], 0);
		assert_int_equal(words[kWordSubmitted], rows[i].n);
		assert_int_equal(words[kWordBytes], rows[i].n * rows[i].size);
		assert_int_equal(words[kWordDamaged], 0);
		assert_int_equal(words[kWordInFlight], kGadgetInFlight);
	}
}

static void
reads_hold_the_pattern(void **state)
{
	many_transfers_move_all_their_bytes(kPipeIn);
}

/* The gadget checks each byte and halts its endpoint at one that is wrong. */
static void
writes_arrive_as_the_pattern(void **state)
{
	many_transfers_move_all_their_bytes(kPipeOut);
}

static void
one_transfer_at_a_time(void **state)
{
	static const uint64_t sizes[] = { 1024, 65536, 4096, 262144 };
	uint64_t moved;

	for (size_t i = 0; i < N_OF(sizes); i++) {
		for (uint64_t pipe = 0; pipe < kPipeCount; pipe++) {
			CHECK(io(pipe, sizes[i], 0, &moved), kIOReturnSuccess);
			assert_int_equal(moved, sizes[i]);
		}
	}
}

static void
a_wrong_byte_halts_the_sink_until_it_is_cleared(void **state)
{
	const uint64_t out = kPipeOut;
	uint64_t words[kGadgetWordCount], moved;

	run(kPipeOut, 64, 4096, kFillWrong, words);
	assert_true(words[kWordFailed] > 0);
	assert_int_equal((uint32_t) words[kWordStatus], (uint32_t) 0xe0005000); /* kUSBHostReturnPipeStalled */
	CHECK(io(kPipeOut, 4096, 0, &moved), (kern_return_t) 0xe0005000);
	CHECK(io(kPipeIn, 4096, 0, &moved), kIOReturnSuccess); /* the other one is not concerned */
	CHECK(IOConnectCallScalarMethod(client.connection, kGadgetClear, &out, 1, NULL, NULL), kIOReturnSuccess);
	run(kPipeOut, 16, 65536, kFillPattern, words);
	assert_int_equal(words[kWordFailed], 0);
	assert_int_equal(words[kWordBytes], 16 * 65536);
}

static void
a_setting_brings_new_pipes(void **state)
{
	uint64_t words[kGadgetWordCount], setting = 1;

	/* Without isochronous endpoints in the controller the gadget has one setting only. */
	CHECK(IOConnectCallScalarMethod(client.connection, kGadgetSelect, &setting, 1, NULL, NULL), kIOReturnNotFound);
	one_transfer_at_a_time(state);
	setting = 0;
	CHECK(IOConnectCallScalarMethod(client.connection, kGadgetSelect, &setting, 1, NULL, NULL), kIOReturnSuccess);
	run(kPipeIn, 16, 65536, kFillPattern, words);
	assert_int_equal(words[kWordFailed], 0);
	assert_int_equal(words[kWordBytes], 16 * 65536);
	assert_int_equal(words[kWordDamaged], 0);
}

static void
what_goes_out_comes_in(void **state)
{
	uint8_t sent[kGadgetEchoSize], got[kGadgetEchoSize];

	for (unsigned round = 0; round < 50; round++) {
		size_t size = sizeof got;

		for (unsigned i = 0; i < sizeof sent; i++)
			sent[i] = (uint8_t) (i * 7 + i / 256 + round);
		memset(got, 0, sizeof got);
		CHECK(IOConnectCallStructMethod(client.connection, kGadgetEcho, sent, sizeof sent, got, &size),
		      kIOReturnSuccess);
		assert_int_equal(size, sizeof got);
		assert_memory_equal(got, sent, sizeof got);
	}
}

static void
a_read_without_data_times_out(void **state)
{
	uint64_t moved = 99;

	CHECK(io(kPipeIn, 4096, 200, &moved), kIOReturnTimeout);
	what_goes_out_comes_in(state); /* and nothing is lost by it */
}

/* The job ends, the driver stops, the service goes; plugged in again, a new one comes that works. */
static void
unplugged_and_back(uint64_t pipe, bool moves)
{
	uint64_t words[kGadgetWordCount] = { 0 };
	unsigned n_went = client.n_went;
	struct ending ending;

	start(pipe, 0, 65536, kFillPattern, &ending);
	for (unsigned i = 0; moves && words[kWordCompleted] < 10; i++) {
		assert_true(i < LIMIT_S * 1000);
		usleep(1000);
		progress(words);
	}
	progress(words);
	assert_true(words[kWordInFlight] == kGadgetInFlight);
	client_run(client.off);
	assert_true(client_wait(&client.n_went, n_went + 1));
	/* Either the driver's last word, or the driver was gone before it: then the action comes back aborted. */
	assert_true(client_wait_ending(&ending));
	if (ending.status == kIOReturnSuccess) {
		assert_int_equal(ending.words[kWordSubmitted], ending.words[kWordCompleted]);
		assert_true(ending.words[kWordFailed] > 0);
	} else {
		assert_int_equal(ending.status, kIOReturnAborted);
	}
	assert_int_not_equal(io(kPipeIn, 1024, 0, words), kIOReturnSuccess);
	CHECK(IOServiceClose(client.connection), kIOReturnSuccess);
	client.connection = 0;

	client_run(client.on);
	assert_int_equal(client_open(NULL), 0);
}

static void
a_source_is_unplugged_while_it_is_read(void **state)
{
	for (int round = 0; round < 3; round++) {
		unplugged_and_back(kPipeIn, true);
		one_transfer_at_a_time(state);
	}
}

static void
a_sink_is_unplugged_while_it_is_written(void **state)
{
	unplugged_and_back(kPipeOut, true);
	writes_arrive_as_the_pattern(state);
}

static void
a_silent_device_is_unplugged_while_reads_wait(void **state)
{
	for (int round = 0; round < 2; round++) {
		unplugged_and_back(kPipeIn, false);
		what_goes_out_comes_in(state);
	}
}

int
gadget_source_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_hold_the_pattern, client_open),
		cmocka_unit_test_setup(writes_arrive_as_the_pattern, client_open),
		cmocka_unit_test_setup(one_transfer_at_a_time, client_open),
		cmocka_unit_test_setup(a_wrong_byte_halts_the_sink_until_it_is_cleared, client_open),
		cmocka_unit_test_setup(a_setting_brings_new_pipes, client_open),
		cmocka_unit_test_setup(a_source_is_unplugged_while_it_is_read, client_open),
		cmocka_unit_test_setup(a_sink_is_unplugged_while_it_is_written, client_open),
	};

	return cmocka_run_group_tests_name("e2e source", tests, client_begin, client_end);
}

int
gadget_loopback_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_goes_out_comes_in, client_open),
		cmocka_unit_test_setup(a_read_without_data_times_out, client_open),
		cmocka_unit_test_setup(a_silent_device_is_unplugged_while_reads_wait, client_open),
	};

	return cmocka_run_group_tests_name("e2e loopback", tests, client_begin, client_end);
}
