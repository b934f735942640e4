/* SPDX-License-Identifier: MIT */
/* IOConnectCall: each check and each rule of counts and sizes, as a table. Every row runs in all
 * forms that can express it. */

#include "rig.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OFFER(n)   ((n) + 1) /* a count or size that is passed; 0: NULL */
#define MAX_STRUCT 65536u
#define CANARY     64u

enum target { TO_CONNECTION, TO_NOTHING, TO_SERVICE, TO_CLOSED, TO_GARBAGE };
enum wake { SYNC, WITH_PORT, WITH_ZERO, WITH_MAIN_PORT, WITH_SERVICE };
enum content { UNTOUCHED, ZEROS, WRITTEN };

struct call_row {
	const char *name;
	enum target target;
	uint32_t selector;
	uint32_t n_in;
	uint64_t in[4];
	size_t in_struct;
	uint32_t n_out;    /* OFFER() */
	size_t out_struct; /* OFFER() */
	bool null_buffers; /* counts and sizes with NULL where the buffers would be */
	enum wake wake;
	uint32_t n_reference; /* OFFER(); 0: kIOAsyncCalloutCount */
	/* wanted */
	kern_return_t ret;
	uint32_t n_out_after;
	size_t out_struct_after;
	enum content scalars, bytes; /* first n_out_after and n_written or out_struct_after; what
					follows is untouched */
	size_t n_written;            /* of bytes; 0: out_struct_after */
	const char *rule, *said;
	enum where where;
};

#define BAD                   kIOReturnBadArgument
#define DRIVER_SAYS(id, text) .rule = id, .said = text, .where = SAID_BY_DRIVER
#define CLIENT_SAYS(id, text) .rule = id, .said = text, .where = SAID_BY_CLIENT

static const struct call_row rows[] = {
	/* whom it goes to */
	{ "connection 0", TO_NOTHING, kSeen, .ret = MACH_SEND_INVALID_DEST },
	{ "a name that is none", TO_GARBAGE, kSeen, .ret = MACH_SEND_INVALID_DEST },
	{ "a closed connection", TO_CLOSED, kSeen, .ret = MACH_SEND_INVALID_DEST },
	{ "a service", TO_SERVICE, kSeen, .ret = BAD },
	{ "a selector that the driver does not know", .selector = kMethodCount, .ret = BAD },
	{ "a row without a function", .selector = kNoFunction, .ret = kIOReturnNoCompletion },
	{ "no row", .selector = kNoRow, .ret = kIOReturnUnsupported,
	  DRIVER_SAYS("T21", "no dispatch entry") },

	/* checkScalarInputCount */
	{ "2 scalars where 2 are asked for", .selector = kCheckScalarIn, .n_in = 2, .ret = 0 },
	{ "0 scalars where 2 are asked for", .selector = kCheckScalarIn, .ret = BAD,
	  DRIVER_SAYS(
		  "T9",
		  "scalarInputCount is 0, the dispatch entry's checkScalarInputCount requires 2") },
	{ "1 scalar where 2 are asked for", .selector = kCheckScalarIn, .n_in = 1, .ret = BAD,
	  DRIVER_SAYS(
		  "T9",
		  "scalarInputCount is 1, the dispatch entry's checkScalarInputCount requires 2") },
	{ "3 scalars where 2 are asked for, outputs", .selector = kCheckScalarIn, .n_in = 3,
	  .n_out = OFFER(2), .out_struct = OFFER(16), .ret = BAD, .n_out_after = 2,
	  .out_struct_after = 16,
	  DRIVER_SAYS(
		  "T9",
		  "scalarInputCount is 3, the dispatch entry's checkScalarInputCount requires 2") },
	/* checkStructureInputSize */
	{ "8 bytes where 8 are asked for", .selector = kCheckStructIn, .in_struct = 8, .ret = 0 },
	{ "no bytes where 8 are asked for", .selector = kCheckStructIn, .ret = BAD,
	  DRIVER_SAYS("T9", "input structure's size is 0, the dispatch entry's "
			    "checkStructureInputSize requires 8") },
	{ "7 bytes where 8 are asked for", .selector = kCheckStructIn, .in_struct = 7, .ret = BAD,
	  DRIVER_SAYS("T9", "input structure's size is 7, the dispatch entry's "
			    "checkStructureInputSize requires 8") },
	{ "5000 bytes where 8 are asked for", .selector = kCheckStructIn, .in_struct = 5000,
	  .ret = BAD,
	  DRIVER_SAYS("T9", "input structure's size is 5000, the dispatch entry's "
			    "checkStructureInputSize requires 8") },
	{ "8192 bytes where 8192 are asked for", .selector = kCheckBigIn, .in_struct = 8192,
	  .ret = 0 },
	{ "4096 bytes where 8192 are asked for", .selector = kCheckBigIn, .in_struct = 4096,
	  .ret = BAD,
	  DRIVER_SAYS("T9", "input structure's size is 4096, the dispatch entry's "
			    "checkStructureInputSize requires 8192") },
	/* checkScalarOutputCount */
	{ "room for 2 scalars where 2 are asked for", .selector = kCheckScalarOut,
	  .n_out = OFFER(2), .ret = 0, .n_out_after = 2, .scalars = ZEROS },
	{ "room for 1 scalar where 2 are asked for", .selector = kCheckScalarOut, .n_out = OFFER(1),
	  .ret = BAD, .n_out_after = 1,
	  DRIVER_SAYS("T9", "scalarOutputCount is 1, the dispatch entry's checkScalarOutputCount "
			    "requires 2") },
	{ "room for 3 scalars where 2 are asked for", .selector = kCheckScalarOut,
	  .n_out = OFFER(3), .ret = BAD, .n_out_after = 3,
	  DRIVER_SAYS("T9", "scalarOutputCount is 3, the dispatch entry's checkScalarOutputCount "
			    "requires 2") },
	{ "no scalar output where 2 are asked for", .selector = kCheckScalarOut, .ret = BAD,
	  DRIVER_SAYS("T9", "scalarOutputCount is 0, the dispatch entry's checkScalarOutputCount "
			    "requires 2") },
	/* checkStructureOutputSize */
	{ "room for 16 bytes where 16 are asked for", .selector = kCheckStructOut,
	  .out_struct = OFFER(16), .ret = 0, .out_struct_after = 16, .bytes = WRITTEN },
	{ "room for 15 bytes where 16 are asked for", .selector = kCheckStructOut,
	  .out_struct = OFFER(15), .ret = BAD, .out_struct_after = 15,
	  DRIVER_SAYS("T9", "structureOutputMaximumSize is 15, the dispatch entry's "
			    "checkStructureOutputSize requires 16") },
	{ "room for 5000 bytes where 16 are asked for", .selector = kCheckStructOut,
	  .out_struct = OFFER(5000), .ret = BAD, .out_struct_after = 5000,
	  DRIVER_SAYS("T9", "structureOutputMaximumSize is 5000, the dispatch entry's "
			    "checkStructureOutputSize requires 16") },
	{ "no structure output where 16 bytes are asked for", .selector = kCheckStructOut,
	  .ret = BAD,
	  DRIVER_SAYS("T9", "structureOutputMaximumSize is 0, the dispatch entry's "
			    "checkStructureOutputSize requires 16") },
	{ "room for 8192 bytes where 8192 are asked for", .selector = kCheckBigOut,
	  .out_struct = OFFER(8192), .ret = 0, .out_struct_after = 8192 },
	{ "room for 4096 bytes where 8192 are asked for", .selector = kCheckBigOut,
	  .out_struct = OFFER(4096), .ret = BAD, .out_struct_after = 4096,
	  DRIVER_SAYS("T9", "structureOutputMaximumSize is 4096") },
	/* checkCompletionExists */
	{ "a completion where one is asked for", .selector = kCheckCompletion, .wake = WITH_PORT,
	  .ret = 0 },
	{ "a synchronous call where a completion is asked for", .selector = kCheckCompletion,
	  .ret = BAD, DRIVER_SAYS("T10", "checkCompletionExists is 1") },
	{ "wake port 0 where a completion is asked for", .selector = kCheckCompletion,
	  .wake = WITH_ZERO, .ret = BAD, CLIENT_SAYS("T10", "wakePort 0") },
	{ "a completion where none is allowed", .selector = kCheckNoCompletion, .wake = WITH_PORT,
	  .ret = BAD, DRIVER_SAYS("T8", "checkCompletionExists") },
	{ "a synchronous call where no completion is allowed", .selector = kCheckNoCompletion,
	  .ret = 0 },
	{ "wake port 0 where no completion is allowed", .selector = kCheckNoCompletion,
	  .wake = WITH_ZERO, .ret = 0 },
	{ "a completion where either is allowed", .selector = kCheckAnyCompletion,
	  .wake = WITH_PORT, .ret = 0 },
	{ "a synchronous call where either is allowed", .selector = kCheckAnyCompletion, .ret = 0 },
	/* all fields left out */
	{ "nothing where nothing is asked for", .selector = kCheckNothing, .ret = 0 },
	{ "a scalar where the field was left out", .selector = kCheckNothing, .n_in = 1, .ret = BAD,
	  DRIVER_SAYS("T8", "checkScalarInputCount requires 0") },
	{ "bytes where the field was left out", .selector = kCheckNothing, .in_struct = 1,
	  .ret = BAD, DRIVER_SAYS("T8", "checkStructureInputSize requires 0") },
	{ "scalar output where the field was left out", .selector = kCheckNothing,
	  .n_out = OFFER(1), .ret = BAD, .n_out_after = 1,
	  DRIVER_SAYS("T8", "checkScalarOutputCount requires 0") },
	{ "structure output where the field was left out", .selector = kCheckNothing,
	  .out_struct = OFFER(1), .ret = BAD, .out_struct_after = 1,
	  DRIVER_SAYS("T8", "checkStructureOutputSize requires 0") },

	/* how much goes */
	{ "16 scalars in", .selector = kEcho, .n_in = 16, .ret = 0 },
	{ "17 scalars in", .selector = kEcho, .n_in = 17, .n_out = OFFER(4),
	  .ret = MIG_ARRAY_TOO_LARGE, .n_out_after = 4 },
	{ "room for 16 scalars", .selector = kFill, .n_out = OFFER(16), .ret = 0, .n_out_after = 16,
	  .scalars = WRITTEN },
	{ "room for 20 scalars is room for 16", .selector = kFill, .n_out = OFFER(20), .ret = 0,
	  .n_out_after = 16, .scalars = WRITTEN },
	{ "room for 0 scalars", .selector = kFill, .n_out = OFFER(0), .ret = 0, .n_out_after = 0 },
	{ "scalars counted, none there", .selector = kEcho, .n_in = 1, .null_buffers = true,
	  .ret = BAD },
	{ "bytes counted, none there", .selector = kEcho, .in_struct = 8, .null_buffers = true,
	  .ret = BAD },
	{ "room for scalars counted, none there", .selector = kFill, .n_out = OFFER(1),
	  .null_buffers = true, .ret = BAD, .n_out_after = 1 },
	{ "room for bytes counted, none there", .selector = kFill, .out_struct = OFFER(8),
	  .null_buffers = true, .ret = BAD, .out_struct_after = 8 },

	/* what comes back: structures up to 4096 */
	{ "all bytes that fit", .selector = kFill, .n_in = 1, .in = { 100 },
	  .out_struct = OFFER(100), .ret = 0, .out_struct_after = 100, .bytes = WRITTEN },
	{ "fewer bytes than fit", .selector = kFill, .n_in = 1, .in = { 10 },
	  .out_struct = OFFER(100), .ret = 0, .out_struct_after = 10, .bytes = WRITTEN },
	{ "no bytes though there is room", .selector = kFill, .n_in = 1, .in = { 0 },
	  .out_struct = OFFER(100), .ret = 0, .out_struct_after = 0 },
	{ "4096 bytes", .selector = kFill, .n_in = 1, .in = { 4096 }, .out_struct = OFFER(4096),
	  .ret = 0, .out_struct_after = 4096, .bytes = WRITTEN },
	{ "one byte more than fits", .selector = kFill, .n_in = 1, .in = { 101 }, .n_out = OFFER(2),
	  .out_struct = OFFER(100), .ret = BAD, .n_out_after = 2, .out_struct_after = 100,
	  DRIVER_SAYS("T3", "structureOutput is 101 bytes, the client offered 100") },
	{ "bytes though nobody asked", .selector = kFill, .n_in = 1, .in = { 8 }, .ret = BAD,
	  DRIVER_SAYS("T3", "the client offered 0") },
	{ "no structureOutput", .selector = kFill, .out_struct = OFFER(100), .ret = 0,
	  .out_struct_after = 100, .bytes = ZEROS,
	  DRIVER_SAYS("T2", "the client offered 100 output bytes, the driver produced none") },
	/* above 4096 */
	{ "4097 bytes that the driver does not write", .selector = kFill, .out_struct = OFFER(4097),
	  .ret = 0, .out_struct_after = 4097 },
	{ "4097 bytes, 10 of them written", .selector = kWriteOutput, .n_in = 1, .in = { 10 },
	  .out_struct = OFFER(4097), .ret = 0, .out_struct_after = 4097, .bytes = WRITTEN,
	  .n_written = 10 },
	{ "64 KiB, all written", .selector = kWriteOutput, .n_in = 1, .in = { 65536 },
	  .out_struct = OFFER(65536), .ret = 0, .out_struct_after = 65536, .bytes = WRITTEN },
	{ "structureOutput where there is a descriptor", .selector = kFill, .n_in = 1, .in = { 8 },
	  .out_struct = OFFER(5000), .ret = BAD, .out_struct_after = 5000,
	  DRIVER_SAYS("T6", "set a structureOutput of 8 bytes; the client offered 5000") },
	{ "an empty structureOutput where there is a descriptor", .selector = kFill, .n_in = 1,
	  .in = { 0 }, .out_struct = OFFER(5000), .ret = 0, .out_struct_after = 5000 },
	/* scalars */
	{ "the driver uses 1 of 4 scalars", .selector = kFewer, .n_in = 1, .in = { 1 },
	  .n_out = OFFER(4), .ret = 0, .n_out_after = 1, .scalars = WRITTEN },
	{ "the driver uses none of 4 scalars", .selector = kFewer, .n_in = 1, .in = { 0 },
	  .n_out = OFFER(4), .ret = 0, .n_out_after = 0 },
	{ "the driver claims more scalars than there are", .selector = kFewer, .n_in = 1,
	  .in = { 4000000000u }, .n_out = OFFER(2), .ret = 0, .n_out_after = 2,
	  .scalars = WRITTEN },
	/* an error: no outputs, counts as they were */
	{ "the driver's own code", .selector = kFail, .n_in = 1, .in = { CONFORMANCE_FAILURE },
	  .n_out = OFFER(4), .out_struct = OFFER(100), .ret = FAILURE, .n_out_after = 4,
	  .out_struct_after = 100 },
	{ "a code of the system", .selector = kFail, .n_in = 1,
	  .in = { (uint32_t)kIOReturnNotReady }, .n_out = OFFER(1), .out_struct = OFFER(5000),
	  .ret = kIOReturnNotReady, .n_out_after = 1, .out_struct_after = 5000 },
	{ "a small positive code", .selector = kFail, .n_in = 1, .in = { 5 }, .n_out = OFFER(1),
	  .ret = 5, .n_out_after = 1 },

	/* asynchronous calls */
	{ "the main port as wake port", .selector = kKeep, .wake = WITH_MAIN_PORT,
	  .out_struct = OFFER(64), .ret = MACH_SEND_INVALID_RIGHT, .out_struct_after = 64,
	  CLIENT_SAYS("T10", "not a notification port") },
	{ "a service as wake port", .selector = kKeep, .wake = WITH_SERVICE,
	  .ret = MACH_SEND_INVALID_RIGHT, CLIENT_SAYS("T10", "not a notification port") },
	{ "a reference of 8 words", .selector = kKeep, .wake = WITH_PORT, .n_reference = OFFER(8),
	  .ret = 0 },
	{ "a reference of 9 words", .selector = kKeep, .wake = WITH_PORT, .n_reference = OFFER(9),
	  .ret = MIG_ARRAY_TOO_LARGE },
	{ "a reference of 0 words", .selector = kKeep, .wake = WITH_PORT, .n_reference = OFFER(0),
	  .ret = BAD },
	{ "a reference that is too short for a callback", .selector = kKeep, .wake = WITH_PORT,
	  .n_reference = OFFER(2), .ret = BAD, CLIENT_SAYS("T16", "referenceCnt is 2") },
	{ "an asynchronous call has outputs, too", .selector = kKeep, .wake = WITH_PORT,
	  .n_out = OFFER(2), .out_struct = OFFER(4096), .ret = 0, .n_out_after = 2,
	  .scalars = ZEROS, .out_struct_after = 4096, .bytes = WRITTEN },
	{ "an asynchronous call that fails has none", .selector = kFail, .n_in = 1,
	  .in = { CONFORMANCE_FAILURE }, .wake = WITH_PORT, .n_out = OFFER(2),
	  .out_struct = OFFER(64), .ret = FAILURE, .n_out_after = 2, .out_struct_after = 64 },
	{ "an asynchronous call of any output size", .selector = kFill, .wake = WITH_PORT,
	  .out_struct = OFFER((size_t)-3), .ret = kIOReturnIPCError,
	  .out_struct_after = (size_t)-3 },
};

enum form { FORM_ALL, FORM_SCALAR, FORM_STRUCT, N_FORMS };
static const char *const form_names[N_FORMS] = { "IOConnectCall[Async]Method",
						 "IOConnectCall[Async]ScalarMethod",
						 "IOConnectCall[Async]StructMethod" };

struct buffers {
	uint64_t in[20], out[24];
	uint64_t reference[8 + 1];
	uint8_t in_struct[MAX_STRUCT], out_struct[MAX_STRUCT + CANARY];
	uint32_t n_out;
	size_t out_size;
};

static bool
has_form(const struct call_row *row, enum form form)
{
	if (form == FORM_SCALAR)
		return !row->in_struct && !row->out_struct;
	if (form == FORM_STRUCT)
		return !row->n_in && !row->n_out;
	return true;
}

static kern_return_t
do_call(const struct call_row *row, enum form form, mach_port_t connection, mach_port_t wake,
	struct buffers *b)
{
	const uint64_t *in = row->null_buffers ? NULL : b->in;
	const void *in_struct = row->null_buffers ? NULL : b->in_struct;
	uint64_t *out = row->null_buffers ? NULL : b->out;
	void *out_struct = row->null_buffers ? NULL : b->out_struct;
	uint32_t *n_out = row->n_out ? &b->n_out : NULL;
	size_t *out_size = row->out_struct ? &b->out_size : NULL;
	uint32_t n_reference = row->n_reference ? row->n_reference - 1 : kIOAsyncCalloutCount;

	b->n_out = row->n_out ? row->n_out - 1 : 0;
	b->out_size = row->out_struct - 1;
	if (row->wake == SYNC) {
		switch (form) {
		case FORM_SCALAR:
			return IOConnectCallScalarMethod(connection, row->selector, in, row->n_in,
							 out, n_out);
		case FORM_STRUCT:
			return IOConnectCallStructMethod(connection, row->selector, in_struct,
							 row->in_struct, out_struct, out_size);
		default:
			return IOConnectCallMethod(connection, row->selector, in, row->n_in,
						   in_struct, row->in_struct, out, n_out,
						   out_struct, out_size);
		}
	}
	switch (form) {
	case FORM_SCALAR:
		return IOConnectCallAsyncScalarMethod(connection, row->selector, wake, b->reference,
						      n_reference, in, row->n_in, out, n_out);
	case FORM_STRUCT:
		return IOConnectCallAsyncStructMethod(connection, row->selector, wake, b->reference,
						      n_reference, in_struct, row->in_struct,
						      out_struct, out_size);
	default:
		return IOConnectCallAsyncMethod(connection, row->selector, wake, b->reference,
						n_reference, in, row->n_in, in_struct,
						row->in_struct, out, n_out, out_struct, out_size);
	}
}

static mach_port_t
target_of(const struct call_row *row, io_service_t service)
{
	io_connect_t connection;

	switch (row->target) {
	case TO_NOTHING:
		return 0;
	case TO_SERVICE:
		return service;
	case TO_GARBAGE:
		return 0x7fffffff;
	case TO_CLOSED:
		connection = connection_open(DRIVER, kTypeNormal);
		assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
		return connection;
	default:
		return connection_shared();
	}
}

static mach_port_t
wake_of(const struct call_row *row, struct receiver *receiver, io_service_t service)
{
	mach_port_t port = 0;

	switch (row->wake) {
	case WITH_PORT:
		return IONotificationPortGetMachPort(receiver->port);
	case WITH_MAIN_PORT:
		assert_int_equal(IOMainPort(0, &port), kIOReturnSuccess);
		return port;
	case WITH_SERVICE:
		return service;
	default:
		return 0;
	}
}

static void
check_scalars(const struct call_row *row, const struct buffers *b)
{
	uint64_t untouched;

	memset(&untouched, BYTES_UNTOUCHED, sizeof untouched);
	if (row->n_out)
		assert_int_equal(b->n_out, row->n_out_after);
	for (unsigned i = 0; i < 24; i++) {
		if (row->scalars == UNTOUCHED || i >= row->n_out_after)
			assert_int_equal(b->out[i], untouched);
		else
			assert_int_equal(b->out[i],
					 row->scalars == ZEROS ? 0 : CONFORMANCE_WORD(i));
	}
}

static void
check_bytes(const struct call_row *row, const struct buffers *b)
{
	size_t n_written = row->n_written ? row->n_written : row->out_struct_after;

	if (row->out_struct)
		assert_int_equal(b->out_size, row->out_struct_after);
	for (size_t i = 0; i < sizeof b->out_struct; i++) {
		uint8_t wanted = row->bytes == UNTOUCHED || i >= n_written ? BYTES_UNTOUCHED
				 : row->bytes == ZEROS                     ? 0
									   : CONFORMANCE_BYTE(i);
		if (b->out_struct[i] != wanted)
			fail_msg("output byte %zu is %#x, wanted %#x", i, b->out_struct[i], wanted);
	}
}

static void
run_form(const struct call_row *row, enum form form, io_service_t service)
{
	struct buffers *b = malloc(sizeof *b);
	struct receiver receiver;
	mach_port_t wake;
	kern_return_t ret;

	assert_non_null(b);
	receiver_init(&receiver);
	memset(b, BYTES_UNTOUCHED, sizeof *b);
	memcpy(b->in, row->in, sizeof row->in);
	receiver_reference(&receiver, 0, b->reference);
	row_begin();
	wake = wake_of(row, &receiver, service);
	ret = do_call(row, form, target_of(row, service), wake, b);
	if (ret != row->ret)
		fail_msg("%s: 0x%08x (%s), wanted 0x%08x (%s)", form_names[form], (unsigned)ret,
			 mach_error_string(ret), (unsigned)row->ret, mach_error_string(row->ret));
	check_scalars(row, b);
	check_bytes(row, b);
	if (row->rule)
		assert_told(row->where, row->rule, row->said);
	if (row->wake == WITH_MAIN_PORT)
		assert_int_equal(mach_port_deallocate(mach_task_self(), wake), kIOReturnSuccess);
	receiver_done(&receiver);
	free(b);
}

static void
call_test(void **state)
{
	io_service_t service = service_copy(DRIVER);

	for (enum form form = 0; form < N_FORMS; form++)
		if (has_form(*state, form))
			run_form(*state, form, service);
	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
}

/* ---- what the driver sees ---- */

static void
see(struct receiver *receiver, size_t in_size, size_t out_size, uint64_t seen[kSeenCount],
    uint8_t first)
{
	uint8_t *in = malloc(in_size + 1), *out = calloc(1, out_size + 1);
	const uint64_t scalars[3] = { 1, 2, 3 };
	uint64_t reference[8];
	uint32_t n = kSeenCount;
	size_t size = out_size;

	assert_non_null(in);
	assert_non_null(out);
	memset(in, first, in_size);
	if (receiver) {
		receiver_reference(receiver, 0, reference);
		assert_int_equal(
			IOConnectCallAsyncMethod(connection_shared(), kSeen,
						 IONotificationPortGetMachPort(receiver->port),
						 reference, kIOAsyncCalloutCount, scalars, 3, in,
						 in_size, seen, &n, out, &size),
			kIOReturnSuccess);
	} else {
		assert_int_equal(IOConnectCallMethod(connection_shared(), kSeen, scalars, 3, in,
						     in_size, seen, &n, out, &size),
				 kIOReturnSuccess);
	}
	assert_int_equal(n, kSeenCount);
	assert_int_equal(seen[kSeenSelector], kSeen);
	assert_int_equal(seen[kSeenVersion], 2);
	assert_int_equal(seen[kSeenScalarInputs], 3);
	assert_int_equal(seen[kSeenScalarOutputs], kSeenCount);
	assert_int_equal(seen[kSeenStructInput], in_size);
	assert_int_equal(seen[kSeenSum], (uint64_t)first * in_size);
	assert_int_equal(seen[kSeenInputDescriptor], in_size > 4096);
	assert_int_equal(seen[kSeenOutputMaximum], out_size);
	assert_int_equal(seen[kSeenOutputDescriptor], out_size > 4096);
	assert_int_equal(seen[kSeenCompletion], receiver != NULL);
	free(in);
	free(out);
}

static kern_return_t
seen_sizes(void)
{
	static const size_t sizes[] = { 0, 1, 7, 4095, 4096, 4097, 8192, 1u << 20 };
	struct receiver receiver;
	uint64_t seen[kSeenCount];

	receiver_init(&receiver);
	for (unsigned i = 0; i < N_ROWS(sizes); i++) {
		for (unsigned k = 0; k < N_ROWS(sizes); k++) {
			see(NULL, sizes[i], sizes[k], seen, (uint8_t)(i + 1));
			see(&receiver, sizes[i], sizes[k], seen, (uint8_t)(i + 1));
		}
	}
	receiver_done(&receiver);
	return kIOReturnSuccess;
}

static kern_return_t
variable_output(void)
{
	static const uint64_t sizes[] = { 0, 1, 4096, 4097, 20000 };

	for (unsigned i = 0; i < N_ROWS(sizes); i++) {
		uint8_t *bytes = (uint8_t *)1;
		size_t size = (size_t)kIOConnectMethodVarOutputSize;

		assert_int_equal(IOConnectCallMethod(connection_shared(), kFill, &sizes[i], 1, NULL,
						     0, NULL, NULL, &bytes, &size),
				 kIOReturnSuccess);
		assert_int_equal(size, sizes[i]);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(bytes[k], CONFORMANCE_BYTE(k));
		if (size > 0)
			assert_int_equal(vm_deallocate(mach_task_self(), (uintptr_t)bytes, size),
					 kIOReturnSuccess);
	}
	return kIOReturnSuccess;
}

static kern_return_t
variable_output_none(void)
{
	void *bytes = (void *)1;
	size_t size = (size_t)kIOConnectMethodVarOutputSize;
	kern_return_t ret =
		IOConnectCallStructMethod(connection_shared(), kFill, NULL, 0, &bytes, &size);

	assert_ptr_equal(bytes, (void *)1);
	assert_int_equal(size, (size_t)kIOConnectMethodVarOutputSize);
	return ret;
}

/* ---- an output that is written later ---- */

static bool
is_written(void *context)
{
	const volatile uint8_t *bytes = context;

	return bytes[0] == CONFORMANCE_BYTE(0) && bytes[4096] == CONFORMANCE_BYTE(4096);
}

/* No callback, no call: the client looks at its own memory. */
static void
later(uint8_t *bytes, size_t size)
{
	size_t given = size;

	memset(bytes, BYTES_UNTOUCHED, size);
	assert_int_equal(
		IOConnectCallStructMethod(connection_shared(), kKeepOutput, NULL, 0, bytes, &given),
		kIOReturnSuccess);
	assert_int_equal(given, size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], BYTES_UNTOUCHED);
	/* Another connection's call has no output of ours to bring up to date. */
	assert_int_equal(call1(connection_shared(), kWriteKept, size), kIOReturnSuccess);
	assert_true(wait_until(is_written, bytes));
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], CONFORMANCE_BYTE(i));
}

static kern_return_t
later_page_aligned(void)
{
	uint8_t *bytes =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(bytes != MAP_FAILED);
	later(bytes, 8192);
	later(bytes, 4097);
	assert_int_equal(munmap(bytes, 8192), 0);
	return kIOReturnSuccess;
}

static kern_return_t
later_malloc(void)
{
	uint8_t *bytes = malloc(4097 + 16);

	assert_non_null(bytes);
	later(bytes + 16, 4097);
	free(bytes);
	return kIOReturnSuccess;
}

/* One buffer's pages are in another's, and in one that the driver kept. */
static kern_return_t
overlapping(void)
{
	enum { PAGE = 4096, SIZE = 8 * PAGE };
	uint8_t *bytes =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(bytes != MAP_FAILED);
	for (unsigned turn = 0; turn < 3; turn++) {
		later(bytes, SIZE);
		later(bytes + 100, 5000);
		later(bytes + 3 * PAGE, 2 * PAGE);
		later(bytes + PAGE - 1, PAGE + 2);
	}
	assert_int_equal(munmap(bytes, SIZE), 0);
	return kIOReturnSuccess;
}

static unsigned
n_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	assert_int_equal(closedir(dir), 0);
	return n;
}

/* Buffers that the driver does not keep cost nothing once they were used, but for a few that are
 * remembered. */
static kern_return_t
many_buffers(void)
{
	enum { N = 200, SIZE = 6000 };
	uint8_t *bytes = malloc((size_t)N * SIZE);
	const uint64_t n_written = SIZE;
	unsigned before = n_descriptors();

	assert_non_null(bytes);
	for (unsigned i = 0; i < N; i++) {
		size_t size = SIZE;

		assert_int_equal(IOConnectCallMethod(connection_shared(), kWriteOutput, &n_written,
						     1, NULL, 0, NULL, NULL,
						     bytes + (size_t)i * SIZE, &size),
				 kIOReturnSuccess);
	}
	for (size_t i = 0; i < (size_t)N * SIZE; i++)
		assert_int_equal(bytes[i], CONFORMANCE_BYTE(i % SIZE));
	assert_true(n_descriptors() <= before + 16);
	free(bytes);
	return kIOReturnSuccess;
}

static kern_return_t
not_later_4096(void)
{
	uint8_t *bytes =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t size = 4096;

	assert_true(bytes != MAP_FAILED);
	assert_int_equal(
		IOConnectCallStructMethod(connection_shared(), kKeepOutput, NULL, 0, bytes, &size),
		kIOReturnSuccess);
	assert_int_equal(size, 4096);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], CONFORMANCE_BYTE(i));
	memset(bytes, BYTES_UNTOUCHED, size);
	/* The driver has nothing that it could write to later. */
	kern_return_t ret = call1(connection_shared(), kWriteKept, 4096);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], BYTES_UNTOUCHED);
	assert_int_equal(munmap(bytes, 4096), 0);
	return ret;
}

static const struct situation more_rows[] = {
	{ "sizes, descriptors and counts as the driver sees them", seen_sizes, kIOReturnSuccess },
	{ "an output of any size", variable_output, kIOReturnSuccess },
	{ "an output of any size that the driver does not set", variable_output_none,
	  kIOReturnUnderrun },
	{ "8192 and 4097 bytes written later into whole pages", later_page_aligned,
	  kIOReturnSuccess },
	{ "4097 bytes written later into what malloc gave", later_malloc, kIOReturnSuccess },
	{ "buffers that share pages, written later", overlapping, kIOReturnSuccess },
	{ "many buffers, each used once", many_buffers, kIOReturnSuccess },
	{ "4096 bytes are copied when the method returns", not_later_4096, kIOReturnNotReady },
};

int
calls_run(void)
{
	static struct CMUnitTest tests[N_ROWS(rows)];

	for (unsigned i = 0; i < N_ROWS(rows); i++)
		tests[i] = (struct CMUnitTest){ .name = rows[i].name,
						.test_func = call_test,
						.initial_state = (void *)&rows[i] };
	return _cmocka_run_group_tests("calls", tests, N_ROWS(rows), NULL, NULL) +
	       situations_run("calls in detail", more_rows, N_ROWS(more_rows));
}
