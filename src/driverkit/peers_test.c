/* SPDX-License-Identifier: MIT */
/* A peer over a real channel, both ends in this process: doors, calls on queues, stopping,
 * revoking, death. */

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <Ambidext/ADXDoor.h>
#include <mach/message.h>

#include "channel/channel.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/probe.h"
#include "driverkit/runtime.h"
#include "driverkit/service.h"
#include "driverkit/workers.h"

#define PEER  5
#define ENTRY 77

static struct adxi_channel *far_end;
static ADXDoor *door;
static ProbeService *service;
static struct adxi_channel *gone_channel;
static sem_t gone;

static void
on_gone(struct adxi_channel *channel)
{
	gone_channel = channel;
	sem_post(&gone);
}

static int
setup(void **state)
{
	const struct adxi_service_identity identity = { .entry_id = ENTRY };
	struct adxi_endpoint ends[2];
	IOService *made = NULL;

	fake_dextd_begin();
	sem_init(&gone, 0, 0);
	adxi_peers_on_gone(on_gone);
	assert_int_equal(adxi_workers_start(), 0);
	assert_int_equal(adxi_endpoint_pair((const unsigned[2]){ adxi_bells(), adxi_bells() }, ends), 0);
	OS_OBJECT *endpoint = adxi_endpoint_object(&ends[0]);
	assert_int_equal(adxi_peer_add(PEER, endpoint, "peer"), 0);
	OSRelease(endpoint);
	assert_int_equal(adxi_channel_open(&ends[1], "far end", NULL, NULL, &far_end), 0);
	door = (ADXDoor *)adxi_channel_copy_door(far_end, &ADXDoor_Class);
	assert_non_null(door);
	assert_int_equal(adxi_service_new(&ProbeService_Class, &identity, &made), kIOReturnSuccess);
	service = (ProbeService *)made;
	return 0;
}

static int
teardown(void **state)
{
	OSSafeReleaseNULL(door);
	adxi_channel_close(far_end);
	sem_wait(&gone); /* the process noticed */
	assert_null(adxi_peer_channel(PEER));
	far_end = adxi_channel_unref(far_end);
	adxi_workers_stop();
	adxi_jobs_run();
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)service),
			 1); /* the peer's rights died with it */
	OSSafeReleaseNULL(service);
	sem_destroy(&gone);
	fake_dextd_end();
	return 0;
}

static void
test_door_hands_out_what_was_granted(void **state)
{
	IOService *proxy = NULL;

	assert_int_equal(adxi_peer_grant(PEER + 1, ENTRY), -ENOENT);
	assert_int_equal(ADXDoor_CopyService(door, ENTRY, &proxy), kIOReturnNotPermitted);
	assert_int_equal(adxi_process_add(ENTRY, (IOService *)service), 0);
	assert_int_equal(ADXDoor_CopyService(door, ENTRY, &proxy), kIOReturnNotPermitted);
	assert_int_equal(adxi_peer_grant(PEER, ENTRY), 0);
	assert_int_equal(ADXDoor_CopyService(door, ENTRY, &proxy), kIOReturnSuccess);
	assert_true(OSIsRemote((OS_OBJECT *)proxy));
	assert_string_equal(((OS_OBJECT *)proxy)->meta->name,
			    "IOService"); /* the nearest class that peers know */
	OSSafeReleaseNULL(proxy);
	OSRelease((OS_OBJECT *)adxi_process_take(ENTRY));
	assert_int_equal(ADXDoor_CopyService(door, ENTRY, &proxy), kIOReturnOffline);
}

static IOService *
open_service(void)
{
	IOService *proxy = NULL;

	assert_int_equal(adxi_process_add(ENTRY, (IOService *)service), 0);
	assert_int_equal(adxi_peer_grant(PEER, ENTRY), 0);
	assert_int_equal(ADXDoor_CopyService(door, ENTRY, &proxy), kIOReturnSuccess);
	OSRelease((OS_OBJECT *)adxi_process_take(ENTRY));
	return proxy;
}

static void
test_calls_run_on_the_service_s_queues(void **state)
{
	IOService *proxy = open_service();
	IODispatchQueue *aux = NULL;
	uint64_t where = 0, id = 0;

	assert_int_equal(IODispatchQueue_Create("aux", 0, 0, &aux), kIOReturnSuccess);
	assert_int_equal(ProbeService_SetDispatchQueue(service, "Aux", aux), kIOReturnSuccess);
	assert_int_equal(ProbeService_OnDefault((ProbeService *)proxy, &where), kIOReturnSuccess);
	assert_int_equal(where, 1);
	assert_int_equal(ProbeService_OnAux((ProbeService *)proxy, &where), kIOReturnSuccess);
	assert_int_equal(where, 2);
	/* A proxy asks its owner which entry it is. */
	assert_int_equal(IOService_GetRegistryEntryID(proxy, &id), kIOReturnSuccess);
	assert_int_equal(id, ENTRY);
	assert_int_equal(IOService_Terminate(proxy, 0), kIOReturnNotPermitted);
	assert_int_equal(fake.n_terminated, 0);
	OSSafeReleaseNULL(proxy);
	OSSafeReleaseNULL(aux);
}

static void
test_a_stopped_service_answers_not_ready(void **state)
{
	IOService *proxy = open_service();
	uint64_t where = 0;

	adxi_service_set_state((IOService *)service, SERVICE_STOPPED);
	assert_int_equal(ProbeService_OnDefault((ProbeService *)proxy, &where), kIOReturnNotReady);
	adxi_peers_revoke(ENTRY, (IOService *)service);
	assert_int_equal(ProbeService_OnDefault((ProbeService *)proxy, &where),
			 MACH_SEND_INVALID_DEST);
	OSSafeReleaseNULL(proxy);
}

/* A peer's SetProperties is not the driver's. */
static void
test_properties_of_another_process(void **state)
{
	IOService *proxy = open_service();
	OSDictionary *properties = OSDictionary_withCapacity(1);

	assert_int_equal(IOService_SetProperties(proxy, properties), kIOReturnUnsupported);
	OSSafeReleaseNULL(properties);
	OSSafeReleaseNULL(proxy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_door_hands_out_what_was_granted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_calls_run_on_the_service_s_queues, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_stopped_service_answers_not_ready, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_properties_of_another_process, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
