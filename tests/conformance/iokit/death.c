/* SPDX-License-Identifier: MIT */
/* A driver's process that ends in a call. It ends twice here, which its supervisor forgives. */

#include "rig.h"

#include <string.h>

struct witness {
	struct receiver receiver;         /* of an asynchronous call that is outstanding */
	IONotificationPortRef port;       /* owned: of the two below */
	unsigned n_terminated, n_matched; /* matching notifications */
	unsigned n_messages;
	uint32_t message;
};

static void
drain(io_iterator_t iterator, unsigned *n)
{
	io_service_t service;

	for (; (service = IOIteratorNext(iterator)); (*n)++)
		(void)IOObjectRelease(service);
}

static void
terminated(void *refcon, io_iterator_t iterator)
{
	drain(iterator, &((struct witness *)refcon)->n_terminated);
}

static void
matched(void *refcon, io_iterator_t iterator)
{
	drain(iterator, &((struct witness *)refcon)->n_matched);
}

static void
message(void *refcon, io_service_t service, uint32_t type, void *argument)
{
	struct witness *witness = refcon;

	if (type != kIOMessageServiceIsTerminated)
		return;
	witness->n_messages++;
	witness->message = type;
}

static bool
has_seen_all(void *context)
{
	struct witness *witness = context;

	(void)adx_notification_port_dispatch(witness->port);
	return witness->n_terminated >= 1 && witness->n_matched >= 1 && witness->n_messages >= 1;
}

static kern_return_t
in_a_call(void)
{
	io_service_t service = service_copy(MORTAL), again;
	io_connect_t connection = connection_open(MORTAL, kTypeNormal),
		     other = connection_open(MORTAL, kTypeNormal);
	struct witness witness = { .port = IONotificationPortCreate(kIOMainPortDefault) };
	io_iterator_t ended, began;
	io_object_t interest;
	uint64_t id, id_again, scalars[4], untouched;
	uint32_t n = 4;
	kern_return_t ret, first;

	memset(scalars, BYTES_UNTOUCHED, sizeof scalars);
	memset(&untouched, BYTES_UNTOUCHED, sizeof untouched);
	assert_int_equal(IORegistryEntryGetRegistryEntryID(service, &id), kIOReturnSuccess);
	receiver_init(&witness.receiver);
	assert_int_equal(receiver_call(&witness.receiver, connection, kKeep, 0), kIOReturnSuccess);
	assert_int_equal(IOServiceAddMatchingNotification(witness.port, kIOTerminatedNotification,
							  IOServiceNameMatching(MORTAL), terminated,
							  &witness, &ended),
			 kIOReturnSuccess);
	assert_int_equal(IOServiceAddMatchingNotification(witness.port, kIOFirstMatchNotification,
							  IOServiceNameMatching(MORTAL), matched,
							  &witness, &began),
			 kIOReturnSuccess);
	assert_int_equal(IOServiceAddInterestNotification(witness.port, service, kIOGeneralInterest,
							  message, &witness, &interest),
			 kIOReturnSuccess);
	drain(ended, &(unsigned){ 0 });
	drain(began, &(unsigned){ 0 });

	ret = IOConnectCallScalarMethod(connection, kAbort, NULL, 0, scalars, &n);
	assert_int_equal(n, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(scalars[i], untouched);
	assert_int_equal(call0(connection, kCheckNothing), MACH_SEND_INVALID_DEST);
	/* A call on another connection may have been on its way. */
	first = call0(other, kCheckNothing);
	assert_true(first == MIG_SERVER_DIED || first == MACH_SEND_INVALID_DEST);
	assert_int_equal(call0(other, kCheckNothing), MACH_SEND_INVALID_DEST);
	/* The call that was outstanding ends, and the client is told of the end and of the new
	 * instance. */
	assert_true(receiver_run(&witness.receiver, 1));
	assert_int_equal(witness.receiver.results[0], kIOReturnAborted);
	assert_true(wait_until(has_seen_all, &witness));
	assert_int_equal(witness.n_terminated, 1);
	assert_int_equal(witness.n_matched, 1);
	assert_int_equal(witness.n_messages, 1);
	/* The service is another one. */
	assert_int_equal(
		IOServiceOpen(service, mach_task_self(), kTypeNormal, &(io_connect_t){ 0 }),
		MACH_SEND_INVALID_DEST);
	again = service_copy(MORTAL);
	assert_int_equal(IORegistryEntryGetRegistryEntryID(again, &id_again), kIOReturnSuccess);
	assert_true(id_again > id);
	assert_int_equal(IOObjectRelease(again), kIOReturnSuccess);
	assert_int_equal(call0(connection_shared(), kCheckNothing),
			 kIOReturnSuccess); /* another process */

	assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
	assert_int_equal(IOServiceClose(other), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(interest), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(ended), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(began), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	receiver_done(&witness.receiver);
	IONotificationPortDestroy(witness.port);
	return ret;
}

static kern_return_t
in_open(void)
{
	io_service_t service = service_copy(MORTAL);
	io_connect_t connection;
	kern_return_t ret = IOServiceOpen(service, mach_task_self(), kTypeDies, &connection);

	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return ret;
}

static kern_return_t
opened_again(void)
{
	io_connect_t connection = connection_open(MORTAL, kTypeNormal);
	kern_return_t ret = call0(connection, kCheckNothing);

	assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
	return ret;
}

const struct situation death_rows[] = {
	{ "in an external method", in_a_call, MIG_SERVER_DIED },
	{ "in NewUserClient", in_open, MIG_SERVER_DIED },
	{ "the next instance works", opened_again, kIOReturnSuccess },
};
const unsigned n_death_rows = N_ROWS(death_rows);
