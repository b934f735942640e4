/* SPDX-License-Identifier: MIT */
/* Handles, lookup, notifications, the registry, and what no driver's connection has (semantics 5.2
 * to 5.8, 5.11). */

#include "rig.h"

#include <stdio.h>
#include <string.h>

#include <ambidext/realm.h>

#define GARBAGE 0x7fffffffu

static io_service_t
driver(void)
{
	return service_copy(DRIVER);
}

/* Releases @p service and passes @p ret on. */
static kern_return_t
done(io_object_t object, kern_return_t ret)
{
	assert_int_equal(IOObjectRelease(object), kIOReturnSuccess);
	return ret;
}

/* ---- references ---- */

static kern_return_t
release_0(void)
{
	return IOObjectRelease(IO_OBJECT_NULL);
}

static kern_return_t
release_garbage(void)
{
	return IOObjectRelease(GARBAGE);
}

static kern_return_t
release_twice(void)
{
	io_service_t service = driver();

	return IOObjectRelease(done(service, service));
}

static kern_return_t
retain_garbage(void)
{
	return IOObjectRetain(GARBAGE);
}

static kern_return_t
same_name(void)
{
	io_service_t one = driver(), other = driver();

	assert_int_equal(one, other);
	assert_true(IOObjectIsEqualTo(one, other));
	assert_int_equal(IOObjectGetUserRetainCount(one), 2);
	assert_int_equal(IOObjectRetain(one), kIOReturnSuccess);
	assert_int_equal(IOObjectGetUserRetainCount(one), 3);
	assert_int_equal(IOObjectRelease(one), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(one), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(one), kIOReturnSuccess);
	assert_int_equal(IOObjectGetUserRetainCount(one), 0);
	return IOObjectRetain(other);
}

/* ---- classes ---- */

static kern_return_t
class_of(void)
{
	io_service_t service = driver();
	io_name_t name;
	kern_return_t ret = IOObjectGetClass(service, name);

	assert_string_equal(name, "IOUserService");
	assert_true(IOObjectConformsTo(service, "IOService"));
	assert_true(IOObjectConformsTo(service, "IOUserService"));
	assert_false(IOObjectConformsTo(
		service, DRIVER)); /* T48's reason: the system knows no class of a driver */
	assert_false(IOObjectConformsTo(GARBAGE, "IOService"));
	assert_int_equal(IORegistryEntryGetName(service, name), kIOReturnSuccess);
	assert_string_equal(name, DRIVER);
	return done(service, ret);
}

static kern_return_t
class_of_0(void)
{
	io_name_t name;

	return IOObjectGetClass(IO_OBJECT_NULL, name);
}

/* ---- lookup ---- */

static kern_return_t
no_dictionary(void)
{
	io_iterator_t iterator;

	assert_int_equal(IOServiceGetMatchingService(kIOMainPortDefault, NULL), IO_OBJECT_NULL);
	return IOServiceGetMatchingServices(kIOMainPortDefault, NULL, &iterator);
}

static kern_return_t
not_a_dictionary(void)
{
	io_iterator_t iterator;

	return IOServiceGetMatchingServices(kIOMainPortDefault,
					    (CFDictionaryRef)CFRetain(CFSTR("text")), &iterator);
}

static kern_return_t
another_main_port(void)
{
	io_iterator_t iterator;

	return IOServiceGetMatchingServices(GARBAGE, IOServiceMatching("IOService"), &iterator);
}

static kern_return_t
no_match(void)
{
	io_iterator_t iterator = 0x55;
	kern_return_t ret = IOServiceGetMatchingServices(
		kIOMainPortDefault, IOServiceNameMatching("NobodysDriver"), &iterator);

	assert_int_equal(iterator, IO_OBJECT_NULL);
	return ret;
}

static kern_return_t
class_of_driver(void)
{
	io_iterator_t iterator = 0x55;
	kern_return_t ret = IOServiceGetMatchingServices(kIOMainPortDefault,
							 IOServiceMatching(DRIVER), &iterator);

	assert_int_equal(iterator, IO_OBJECT_NULL);
	return ret;
}

static kern_return_t
property_table(void)
{
	CFMutableDictionaryRef right = IOServiceNameMatching(DRIVER),
			       wrong = IOServiceNameMatching(BARE);
	io_service_t service = driver();
	boolean_t matches = 2;

	assert_int_equal(IOServiceMatchPropertyTable(service, right, &matches), kIOReturnSuccess);
	assert_int_equal(matches, TRUE);
	assert_int_equal(IOServiceMatchPropertyTable(service, wrong, &matches), kIOReturnSuccess);
	assert_int_equal(matches, FALSE);
	CFRelease(right); /* not consumed */
	CFRelease(wrong);
	return done(service, IOServiceMatchPropertyTable(service, NULL, &matches));
}

static kern_return_t
iterate(void)
{
	io_iterator_t iterator;
	io_service_t service;
	unsigned n = 0;

	assert_int_equal(IOServiceGetMatchingServices(
				 kIOMainPortDefault, IOServiceMatching("IOUserService"), &iterator),
			 kIOReturnSuccess);
	for (int turn = 0; turn < 2; turn++) {
		n = 0;
		for (; (service = IOIteratorNext(iterator)); n++)
			assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
		assert_true(n >= 3);
		assert_true(IOIteratorIsValid(iterator));
		IOIteratorReset(iterator);
	}
	assert_int_equal(IOIteratorNext(GARBAGE), IO_OBJECT_NULL);
	return IOObjectRelease(iterator);
}

/* ---- notifications ---- */

struct matched {
	unsigned n_calls, n_services;
};

static void
matched(void *refcon, io_iterator_t iterator)
{
	struct matched *m = refcon;
	io_service_t service;

	m->n_calls++;
	for (; (service = IOIteratorNext(iterator)); m->n_services++)
		(void)IOObjectRelease(service);
}

static kern_return_t
matching_type(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	io_iterator_t iterator;
	kern_return_t ret = IOServiceAddMatchingNotification(port, "IOServiceSometimes",
							     IOServiceMatching("IOService"),
							     matched, NULL, &iterator);

	IONotificationPortDestroy(port);
	return ret;
}

static kern_return_t
matching_nothing(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	io_iterator_t iterator;
	kern_return_t ret = IOServiceAddMatchingNotification(port, kIOFirstMatchNotification, NULL,
							     matched, NULL, &iterator);

	IONotificationPortDestroy(port);
	return ret;
}

/* What is there is in the iterator, not in a callback. */
static kern_return_t
matching_existing(void)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	struct matched m = { 0 };
	io_iterator_t iterator, terminated;

	assert_int_equal(IOServiceAddMatchingNotification(port, kIOFirstMatchNotification,
							  IOServiceNameMatching(DRIVER), matched,
							  &m, &iterator),
			 kIOReturnSuccess);
	assert_int_equal(IOServiceAddMatchingNotification(port, kIOTerminatedNotification,
							  IOServiceNameMatching(DRIVER), matched,
							  &m, &terminated),
			 kIOReturnSuccess);
	assert_int_equal(IOIteratorNext(terminated), IO_OBJECT_NULL);
	matched(&m, iterator);
	assert_int_equal(m.n_services, 1);
	assert_int_equal(adx_notification_port_dispatch(port), 0);
	assert_int_equal(m.n_calls, 1);
	assert_int_equal(IOObjectRelease(terminated), kIOReturnSuccess);
	assert_int_equal(IOObjectRelease(iterator), kIOReturnSuccess);
	IONotificationPortDestroy(port);
	return kIOReturnSuccess;
}

static void
interested(void *refcon, io_service_t service, uint32_t type, void *argument)
{
}

static kern_return_t
interest(io_service_t service, const char *type)
{
	IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
	io_object_t notification;
	kern_return_t ret = IOServiceAddInterestNotification(port, service, type, interested, NULL,
							     &notification);

	if (ret == kIOReturnSuccess)
		assert_int_equal(IOObjectRelease(notification), kIOReturnSuccess);
	IONotificationPortDestroy(port);
	return ret;
}

static kern_return_t
interest_type(void)
{
	io_service_t service = driver();

	assert_int_equal(interest(service, kIOGeneralInterest), kIOReturnSuccess);
	assert_int_equal(interest(service, kIOBusyInterest), kIOReturnSuccess);
	return done(service, interest(service, "IOIdleInterest"));
}

static kern_return_t
interest_0(void)
{
	return interest(IO_OBJECT_NULL, kIOGeneralInterest);
}

static kern_return_t
interest_connection(void)
{
	return interest(connection_shared(), kIOGeneralInterest);
}

/* ---- registry ---- */

static kern_return_t
property_missing(void)
{
	io_service_t service = driver();
	io_struct_inband_t buffer;
	uint32_t size = sizeof buffer;

	assert_null(IORegistryEntryCreateCFProperty(service, CFSTR("Nothing"), NULL, 0));
	return done(service, IORegistryEntryGetProperty(service, "Nothing", buffer, &size));
}

static kern_return_t
property_too_small(void)
{
	io_service_t service = driver();
	io_struct_inband_t buffer;
	uint32_t size = sizeof buffer;

	assert_int_equal(IORegistryEntryGetProperty(service, kIOUserClassKey, buffer, &size),
			 kIOReturnSuccess);
	assert_int_equal(size, sizeof DRIVER); /* with its NUL */
	assert_string_equal(buffer, DRIVER);
	size = sizeof DRIVER - 1;
	return done(service, IORegistryEntryGetProperty(service, kIOUserClassKey, buffer, &size));
}

static kern_return_t
unknown_plane(void)
{
	io_service_t service = driver();
	io_registry_entry_t entry;
	io_iterator_t iterator;
	io_string_t path;

	assert_int_equal(IORegistryEntryGetPath(service, "IOAeroplane", path),
			 kIOReturnBadArgument);
	assert_int_equal(IORegistryCreateIterator(kIOMainPortDefault, "IOAeroplane", 0, &iterator),
			 kIOReturnBadArgument);
	assert_int_equal(IORegistryEntryGetChildIterator(service, "IOAeroplane", &iterator),
			 kIOReturnBadArgument);
	assert_false(IORegistryEntryInPlane(service, "IOAeroplane"));
	return done(service, IORegistryEntryGetParentEntry(service, "IOAeroplane", &entry));
}

static kern_return_t
no_child(void)
{
	io_service_t service = service_copy(BARE);
	io_registry_entry_t entry;

	return done(service, IORegistryEntryGetChildEntry(service, kIOServicePlane, &entry));
}

static kern_return_t
no_location(void)
{
	io_service_t service = driver();
	io_name_t location;

	return done(service, IORegistryEntryGetLocationInPlane(service, kIOServicePlane, location));
}

static kern_return_t
paths(void)
{
	io_service_t service = driver();
	io_registry_entry_t found;
	io_string_t path;

	assert_int_equal(IORegistryEntryGetPath(service, kIOServicePlane, path), kIOReturnSuccess);
	found = IORegistryEntryFromPath(kIOMainPortDefault, path);
	assert_int_equal(found, service);
	strcat(path, "/x");
	assert_int_equal(IORegistryEntryFromPath(kIOMainPortDefault, path), IO_OBJECT_NULL);
	assert_int_equal(IORegistryEntryFromPath(kIOMainPortDefault, "nowhere"), IO_OBJECT_NULL);
	assert_int_equal(IOObjectRelease(found), kIOReturnSuccess);
	return done(service, kIOReturnSuccess);
}

static kern_return_t
exit_at_top(void)
{
	io_iterator_t iterator;

	assert_int_equal(
		IORegistryCreateIterator(kIOMainPortDefault, kIOServicePlane, 0, &iterator),
		kIOReturnSuccess);
	return done(iterator, IORegistryIteratorExitEntry(iterator));
}

static kern_return_t
not_an_entry(void)
{
	io_name_t name;

	assert_int_equal(IORegistryEntryGetName(IO_OBJECT_NULL, name), MACH_SEND_INVALID_DEST);
	return IORegistryEntryGetName(connection_shared(), name);
}

static kern_return_t
set_property(void)
{
	io_service_t service = driver();

	return done(service, IORegistryEntrySetCFProperty(service, CFSTR("Colour"), CFSTR("red")));
}

static kern_return_t
entry_id(void)
{
	uint64_t id = 7;
	kern_return_t ret = IORegistryEntryGetRegistryEntryID(GARBAGE, &id);

	assert_int_equal(id, 0);
	return ret;
}

/* ---- what a driver's connection does not have ---- */

static kern_return_t
get_service(void)
{
	io_service_t service;

	return IOConnectGetService(connection_shared(), &service);
}

static kern_return_t
set_port(void)
{
	return IOConnectSetNotificationPort(connection_shared(), 0, 0, 0);
}

static kern_return_t
add_client(void)
{
	return IOConnectAddClient(connection_shared(), connection_shared());
}

static kern_return_t
set_properties(void)
{
	return IOConnectSetCFProperty(connection_shared(), CFSTR("Colour"), CFSTR("red"));
}

static kern_return_t
trap(void)
{
	return IOConnectTrap0(connection_shared(), 5);
}

static kern_return_t
trap_0(void)
{
	return IOConnectTrap6(IO_OBJECT_NULL, 5, 1, 2, 3, 4, 5, 6);
}

static kern_return_t
probe(void)
{
	io_service_t service = driver();

	return done(service, IOServiceRequestProbe(service, 0));
}

static kern_return_t
busy(void)
{
	io_service_t service = driver();
	mach_timespec_t patience = { 10, 0 };
	uint32_t state = 7;

	assert_int_equal(IOServiceGetBusyState(GARBAGE, &state), MACH_SEND_INVALID_DEST);
	assert_int_equal(state, 0);
	assert_int_equal(IOServiceGetBusyState(service, &state), kIOReturnSuccess);
	assert_int_equal(state, 0);
	return done(service, IOServiceWaitQuiet(service, &patience));
}

#define BAD kIOReturnBadArgument

const struct situation object_rows[] = {
	{ "release of 0", release_0, KERN_INVALID_NAME },
	{ "release of a name that is none", release_garbage, KERN_INVALID_NAME },
	{ "release once too often", release_twice, KERN_INVALID_NAME },
	{ "retain of a name that is none", retain_garbage, KERN_INVALID_NAME },
	{ "the same service is the same name, counted", same_name, KERN_INVALID_NAME },
	{ "a driver's class is the system's", class_of, kIOReturnSuccess },
	{ "the class of 0", class_of_0, MACH_SEND_INVALID_DEST },
	{ "a lookup without a dictionary", no_dictionary, BAD },
	{ "a lookup with a string", not_a_dictionary, kIOReturnUnsupported },
	{ "a lookup on another port", another_main_port, kIOReturnNotPrivileged },
	{ "a lookup that finds nothing", no_match, kIOReturnSuccess },
	{ "a lookup by the driver's class", class_of_driver, kIOReturnSuccess, "T48", DRIVER,
	  SAID_BY_DRIVER },
	{ "a property table that is none", property_table, BAD },
	{ "an iterator runs out and starts again", iterate, kIOReturnSuccess },
	{ "a matching notification of an unknown type", matching_type, kIOReturnUnsupported },
	{ "a matching notification without a dictionary", matching_nothing, BAD },
	{ "services that are there already", matching_existing, kIOReturnSuccess },
	{ "an interest of an unknown type", interest_type, kIOReturnUnsupported },
	{ "an interest in 0", interest_0, MACH_SEND_INVALID_DEST },
	{ "an interest in a connection", interest_connection, BAD },
	{ "a property that is not there", property_missing, kIOReturnNoResources },
	{ "a property that is larger than its buffer", property_too_small, kIOReturnIPCError },
	{ "a plane that is none", unknown_plane, BAD },
	{ "no child", no_child, kIOReturnNoDevice },
	{ "no location", no_location, kIOReturnNotFound },
	{ "a path there and back", paths, kIOReturnSuccess },
	{ "exit at the top", exit_at_top, kIOReturnNoDevice },
	{ "a connection is no registry entry", not_an_entry, BAD },
	{ "a property of another's service", set_property, kIOReturnUnsupported },
	{ "the id of a name that is none", entry_id, MACH_SEND_INVALID_DEST },
	{ "IOConnectGetService", get_service, kIOReturnUnsupported, "T25", "IOConnectGetService",
	  SAID_BY_CLIENT },
	{ "IOConnectSetNotificationPort", set_port, kIOReturnUnsupported, "T25",
	  "IOConnectSetNotificationPort", SAID_BY_CLIENT },
	{ "IOConnectAddClient", add_client, kIOReturnUnsupported, "T25", "IOConnectAddClient",
	  SAID_BY_CLIENT },
	{ "IOConnectSetCFProperty", set_properties, kIOReturnUnsupported, "T25",
	  "IOConnectSetCFProperty", SAID_BY_CLIENT },
	{ "IOConnectTrap0", trap, kIOReturnUnsupported, "T25", "index 5", SAID_BY_CLIENT },
	{ "IOConnectTrap6 of connection 0", trap_0, MACH_SEND_INVALID_DEST },
	{ "IOServiceRequestProbe", probe, kIOReturnUnsupported },
	{ "busy state", busy, kIOReturnSuccess },
};
const unsigned n_object_rows = N_ROWS(object_rows);
