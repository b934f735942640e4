/* SPDX-License-Identifier: MIT */
/* IOServiceOpen: every answer of NewUserClient, and every handle that is none. */

#include "rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static kern_return_t
open_type(const char *name, uint32_t type)
{
	io_service_t service = service_copy(name);
	io_connect_t connection = 0x55;
	kern_return_t ret = IOServiceOpen(service, mach_task_self(), type, &connection);

	if (ret == kIOReturnSuccess)
		assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
	else
		assert_int_equal(connection, IO_OBJECT_NULL);
	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return ret;
}

static kern_return_t
refused(void)
{
	return open_type(DRIVER, kTypeRefused);
}

static kern_return_t
none(void)
{
	return open_type(DRIVER, kTypeNone);
}

static kern_return_t
plain(void)
{
	return open_type(DRIVER, kTypePlain);
}

static bool
is_freed(void *context)
{
	uint64_t counts[4];

	counts_get(counts);
	return counts[2] > *(uint64_t *)context;
}

static kern_return_t
start_fails(void)
{
	uint64_t before[4];
	kern_return_t ret;

	counts_settle(before);
	ret = open_type(DRIVER, kTypeStartFails);
	assert_true(wait_until(is_freed, &before[2]));
	return ret;
}

static kern_return_t
bare(void)
{
	return open_type(BARE, kTypeNormal);
}

static kern_return_t
nothing(void)
{
	io_connect_t connection;

	return IOServiceOpen(IO_OBJECT_NULL, mach_task_self(), kTypeNormal, &connection);
}

static kern_return_t
a_connection(void)
{
	io_connect_t connection;

	return IOServiceOpen(connection_shared(), mach_task_self(), kTypeNormal, &connection);
}

static kern_return_t
another_task(void)
{
	io_service_t service = service_copy(DRIVER);
	io_connect_t connection;
	kern_return_t ret = IOServiceOpen(service, mach_task_self() + 1, kTypeNormal, &connection);

	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return ret;
}

static kern_return_t
nowhere(void)
{
	io_service_t service = service_copy(DRIVER);
	kern_return_t ret = IOServiceOpen(service, mach_task_self(), kTypeNormal, NULL);

	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return ret;
}

/* A nub of the system: no driver has it. */
static kern_return_t
no_server(void)
{
	io_service_t driver = service_copy(DRIVER), provider;
	io_connect_t connection;
	kern_return_t ret;

	assert_int_equal(IORegistryEntryGetParentEntry(driver, kIOServicePlane, &provider),
			 kIOReturnSuccess);
	ret = IOServiceOpen(provider, mach_task_self(), kTypeNormal, &connection);
	assert_int_equal(IOObjectRelease(provider), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(driver), kIOReturnSuccess);
	return ret;
}

/* Start has run when IOServiceOpen returns; the registry says who opened it. */
static kern_return_t
opened(void)
{
	io_service_t service = service_copy(DRIVER), client;
	uint64_t before[4], after[4];
	io_iterator_t children;
	bool found = false;
	char text[256], wanted[64];

	counts_settle(before);
	io_connect_t connection = connection_open(DRIVER, kTypeNormal);
	counts_get(after);
	assert_int_equal(after[0], before[0] + 1);
	assert_int_not_equal(connection, connection_shared());
	(void)snprintf(wanted, sizeof wanted, "pid %d, ", getpid());
	assert_int_equal(IORegistryEntryGetChildIterator(service, kIOServicePlane, &children),
			 kIOReturnSuccess);
	while ((client = IOIteratorNext(children))) {
		CFStringRef creator = IORegistryEntryCreateCFProperty(
			client, CFSTR(kIOUserClientCreatorKey), NULL, 0);

		/* What kTypePlain made went with its refusal, the nub of kPublish may be there. */
		assert_int_equal(creator != NULL, IOObjectConformsTo(client, "IOUserClient"));
		assert_false(IOObjectConformsTo(client, "ConformancePlain"));
		if (creator) {
			assert_true(CFStringGetCString(creator, text, sizeof text,
						       kCFStringEncodingUTF8));
			found = found || !strncmp(text, wanted, strlen(wanted));
			CFRelease(creator);
		}
		assert_int_equal(IOObjectRelease(client), kIOReturnSuccess);
	}
	assert_true(found);
	assert_int_equal(IOObjectRelease(children), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return IOServiceClose(connection);
}

static io_service_t
slow_copy(void)
{
	io_service_t found = IO_OBJECT_NULL;
	io_iterator_t entries;
	io_service_t entry;
	io_name_t name;

	assert_int_equal(IORegistryCreateIterator(kIOMainPortDefault, kIOServicePlane,
						  kIORegistryIterateRecursively, &entries),
			 kIOReturnSuccess);
	while ((entry = IOIteratorNext(entries))) {
		assert_int_equal(IORegistryEntryGetName(entry, name), kIOReturnSuccess);
		if (!strcmp(name, SLOW))
			found = entry;
		else
			assert_int_equal(IOObjectRelease(entry), kIOReturnSuccess);
	}
	assert_int_equal(IOObjectRelease(entries), kIOReturnSuccess);
	return found;
}

static bool
is_there(void *context)
{
	return (*(io_service_t *)context = slow_copy()) != IO_OBJECT_NULL;
}

static bool
is_gone(void *context)
{
	io_service_t service = slow_copy();

	if (service)
		assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return !service;
}

/* It is in the registry and its Start takes a while yet; then it fails. */
static kern_return_t
starting(void)
{
	io_service_t service = IO_OBJECT_NULL;
	io_connect_t connection;
	kern_return_t ret;

	assert_int_equal(call0(connection_shared(), kPublish), kIOReturnSuccess);
	assert_true(wait_until(is_there, &service));
	ret = IOServiceOpen(service, mach_task_self(), kTypeNormal, &connection);
	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	assert_true(wait_until(is_gone, NULL));
	return ret;
}

static kern_return_t
own_queue(void)
{
	io_connect_t connection = connection_open(DRIVER, kTypeOwnQueue);
	kern_return_t ret = call0(connection, kCheckNothing);

	assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
	return ret;
}

const struct situation open_rows[] = {
	{ "the driver's own code", refused, FAILURE },
	{ "success without a user client", none, kIOReturnError, "T61",
	  "NewUserClient returned success and no client", SAID_BY_DRIVER },
	{ "success with a service that is no user client", plain, kIOReturnUnsupported, "T43",
	  "userClient is of class ConformancePlain, expected IOUserClient", SAID_BY_DRIVER },
	{ "the user client's Start fails", start_fails, FAILURE },
	{ "a driver without NewUserClient", bare, kIOReturnError },
	{ "service 0", nothing, MACH_SEND_INVALID_DEST },
	{ "a connection", a_connection, kIOReturnBadArgument },
	{ "another task", another_task, kIOReturnBadArgument },
	{ "nowhere to put the connection", nowhere, kIOReturnBadArgument },
	{ "a service whose Start has not returned", starting, kIOReturnNotReady },
	{ "a service without a driver", no_server, kIOReturnUnsupported },
	{ "Start runs before, the registry has who opened it", opened, kIOReturnSuccess },
	{ "a queue for external methods", own_queue, kIOReturnSuccess },
};
const unsigned n_open_rows = N_ROWS(open_rows);
