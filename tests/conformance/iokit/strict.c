/* SPDX-License-Identifier: MIT */
/* What AMBIDEXT_STRICT=macos changes. Runs in a realm of its own. */

#include "rig.h"

#include <string.h>

static kern_return_t
entitlement(void)
{
	io_service_t service = service_copy(GUARDED);
	io_connect_t connection;
	kern_return_t ret = IOServiceOpen(service, mach_task_self(), kTypeNormal, &connection);

	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return ret;
}

/* Nothing comes for the one that was dropped. */
static kern_return_t
dropped(void)
{
	struct receiver receiver;

	receiver_init(&receiver);
	assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, 0), kIOReturnSuccess);
	assert_int_equal(call0(connection_shared(), kDrop), kIOReturnSuccess);
	assert_int_equal(receiver_call(&receiver, connection_shared(), kKeep, 1), kIOReturnSuccess);
	assert_int_equal(call3(connection_shared(), kComplete, 4, 1, 1), kIOReturnSuccess);
	assert_true(receiver_run(&receiver, 1));
	receiver_drain(&receiver);
	assert_int_equal(receiver.n_calls, 1);
	assert_int_equal(receiver.n_args, 1);
	receiver_done(&receiver);
	return receiver.results[0];
}

static kern_return_t
trap(void)
{
	return IOConnectTrap0(connection_shared(), 5);
}

const struct situation strict_rows[] = {
	{ "an entitlement that the client has not", entitlement, kIOReturnNotPrivileged, "T62",
	  "org.example.conformance.guarded", SAID_BY_DRIVER },
	{ "nothing comes for a completion that is dropped", dropped, 4, "T12", NULL,
	  SAID_BY_DRIVER },
	{ "a trap that nobody implements succeeds", trap, kIOReturnSuccess, "T25", "index 5",
	  SAID_BY_CLIENT },
};
const unsigned n_strict_rows = N_ROWS(strict_rows);
