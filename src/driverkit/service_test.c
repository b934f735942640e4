/* SPDX-License-Identifier: MIT */
/* Services and user clients with a dextd inside the process: queues, Start and Stop, Create, the
 * dispatch table's checks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <DriverKit/OSDictionary.h>
#include <DriverKit/OSNumber.h>
#include <DriverKit/OSString.h>

#include "driverkit/probe.h"
#include "driverkit/service.h"

static ProbeService *service;

static void
make_service(void)
{
	const struct adxi_service_identity identity = { .entry_id = 77 };
	IOService *made = NULL;

	assert_int_equal(adxi_service_new(&ProbeService_Class, &identity, &made), kIOReturnSuccess);
	service = (ProbeService *)made;
}

static int
setup(void **state)
{
	fake_dextd_begin();
	make_service();
	return 0;
}

static int
teardown(void **state)
{
	adxi_jobs_run();
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)service), 1);
	OSSafeReleaseNULL(service);
	fake_dextd_end();
	return 0;
}

static void
test_identity(void **state)
{
	uint64_t id = 0;

	assert_int_equal(ProbeService_GetRegistryEntryID(service, &id), kIOReturnSuccess);
	assert_int_equal(id, 77);
	assert_int_equal(ProbeService_RegisterService(service), kIOReturnSuccess);
	assert_int_equal(fake.registered[0], 77);
	assert_int_equal(ProbeService_Terminate(service, 1), kIOReturnUnsupported);
	assert_int_equal(ProbeService_Terminate(service, 0), kIOReturnSuccess);
	assert_int_equal(fake.terminated[0], 77);
}

static void
test_queues(void **state)
{
	IODispatchQueue *aux = NULL, *found = NULL;
	uint64_t where = 0;

	assert_int_equal(ProbeService_OnAux(service, &where), kIOReturnSuccess);
	assert_int_equal(where, 1); /* a named queue that is not set is Default */
	assert_int_equal(ProbeService_CopyDispatchQueue(service, "Aux", &found), kIOReturnNotFound);
	assert_int_equal(IODispatchQueue_Create("aux", 0, 0, &aux), kIOReturnSuccess);
	assert_int_equal(ProbeService_SetDispatchQueue(service, "Auxx", aux), kIOReturnBadArgument);
	assert_string_equal(told_rule(), "T34");
	assert_int_equal(ProbeService_SetDispatchQueue(service, "Aux", aux), kIOReturnSuccess);
	assert_int_equal(ProbeService_OnAux(service, &where), kIOReturnSuccess);
	assert_int_equal(where, 2);
	assert_int_equal(ProbeService_OnDefault(service, &where), kIOReturnSuccess);
	assert_int_equal(where, 1);
	assert_int_equal(ProbeService_CopyDispatchQueue(service, "Aux", &found), kIOReturnSuccess);
	assert_ptr_equal(found, aux);
	OSSafeReleaseNULL(found);
	OSSafeReleaseNULL(aux);
}

static void
test_stop_is_told_once(void **state)
{
	adxi_service_set_state((IOService *)service, SERVICE_STARTING);
	assert_int_equal(ProbeService_Start(service, NULL), kIOReturnSuccess);
	adxi_service_set_state((IOService *)service, SERVICE_STARTED);
	probe_stop_is_late = true;
	assert_int_equal(ProbeService_Stop(service, NULL), kIOReturnSuccess);
	assert_int_equal(fake.n_stopped, 0); /* super's Stop has not run */
	assert_true(adxi_service_accepts((IOService *)service));
	probe_stop_is_late = false;
	assert_int_equal(ProbeService_Stop(service, NULL), kIOReturnSuccess);
	assert_int_equal(fake.n_stopped, 1);
	assert_int_equal(fake.stopped[0], 77);
	assert_int_equal(ProbeService_Stop(service, NULL), kIOReturnSuccess);
	assert_int_equal(fake.n_stopped, 1);
	assert_false(adxi_service_accepts((IOService *)service));
}

static unsigned fired;

static void
on_fired(OSObject *self, OSAction *action, uint64_t time)
{
	fired++;
}

static void
test_callbacks_end_with_stop(void **state)
{
	OSAction *action = NULL;

	fired = 0;
	probe_fired = on_fired;
	assert_int_equal(ProbeService_CreateActionFired(service, 0, &action), kIOReturnSuccess);
	assert_string_not_equal(told_rule(), "T27"); /* it has an identity */
	IOTimerDispatchSource_TimerOccurred(NULL, action, 1);
	adxi_jobs_run();
	assert_int_equal(fired, 1);
	IOTimerDispatchSource_TimerOccurred(NULL, action, 2);
	adxi_service_set_state((IOService *)service, SERVICE_STOPPED);
	adxi_jobs_run();
	assert_int_equal(fired, 1);
	OSSafeReleaseNULL(action);
}

/* ---- Create ---- */

static void
put_string(OSDictionary *dict, const char *key, const char *value)
{
	OSString *string = OSString_withCString(value);

	assert_true(OSDictionary_setObjectForCString(dict, key, (OS_OBJECT *)string));
	OSSafeReleaseNULL(string);
}

/* fake.properties[name] = { IOClass, IOUserClass }, either may be NULL. */
static void
put_recipe(const char *name, const char *io_class, const char *user_class)
{
	OSDictionary *dict = OSDictionary_withCapacity(2);

	if (io_class)
		put_string(dict, "IOClass", io_class);
	if (user_class)
		put_string(dict, "IOUserClass", user_class);
	assert_true(OSDictionary_setObjectForCString(fake.properties, name, (OS_OBJECT *)dict));
	OSSafeReleaseNULL(dict);
}

static void
test_create(void **state)
{
	IOService *child = NULL;

	fake.properties = OSDictionary_withCapacity(8);
	put_recipe("Good", "IOUserService", "ProbeService");
	put_recipe("Client", "IOUserUserClient", "ProbeClient");
	put_recipe("NoClass", NULL, "ProbeService");
	put_recipe("NoUserClass", "IOUserService", NULL);
	put_recipe("Unknown", "IOUserService", "Nobody");
	put_recipe("NoService", "IOUserService", "Probe");
	put_string(fake.properties, "Text", "no dictionary");

	static const struct {
		const char *key;
		kern_return_t ret;
	} refused[] = {
		{ "Missing", kIOReturnBadArgument }, { "Text", kIOReturnBadArgument },
		{ "NoClass", kIOReturnBadArgument }, { "NoUserClass", kIOReturnUnsupported },
		{ "Unknown", kIOReturnUnsupported }, { "NoService", kIOReturnUnsupported },
	};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(
			ProbeService_Create(service, (IOService *)service, refused[i].key, &child),
			refused[i].ret);
		assert_string_equal(told_rule(), "T60");
		assert_null(child);
	}
	assert_int_equal(ProbeService_Create(service, NULL, "Good", &child), kIOReturnUnsupported);
	assert_int_equal(fake.n_published, 0);

	assert_int_equal(ProbeService_Create(service, (IOService *)service, "Good", &child),
			 kIOReturnSuccess);
	assert_int_equal(probe_starts, 1); /* started before it is returned */
	assert_int_equal(fake.published_below[0], 77);
	assert_ptr_equal(IOService_GetProvider(child), service);
	OSRelease((OS_OBJECT *)adxi_process_take(501));
	OSSafeReleaseNULL(child);

	probe_start_result = kIOReturnNoDevice;
	assert_int_equal(ProbeService_Create(service, (IOService *)service, "Good", &child),
			 kIOReturnNoDevice);
	assert_int_equal(fake.terminated[0], 502);
	OSRelease((OS_OBJECT *)adxi_process_take(502));

	*adxi_created() = (struct adxi_created){ 0 };
	assert_int_equal(ProbeService_Create(service, (IOService *)service, "Client", &child),
			 kIOReturnSuccess);
	assert_int_equal(adxi_created()->entry_id, 503);
	assert_true(adxi_created()->is_client); /* a client's Start comes later */
	assert_int_equal(adxi_service_state(child), SERVICE_NEW);
	OSRelease((OS_OBJECT *)adxi_process_take(503));
	OSSafeReleaseNULL(child);
	OSSafeReleaseNULL(fake.properties);
}

/* ---- user clients ---- */

static ProbeClient *client;
static IOUserClientMethodDispatch row;
static unsigned called;
static kern_return_t method_result;
static size_t output_size;
static uint32_t scalars_left;

static int
client_setup(void **state)
{
	const struct adxi_service_identity identity = { .entry_id = 78 };
	IOService *made = NULL;

	fake_dextd_begin();
	assert_int_equal(adxi_service_new(&ProbeClient_Class, &identity, &made), kIOReturnSuccess);
	client = (ProbeClient *)made;
	called = 0;
	method_result = kIOReturnSuccess;
	output_size = 0;
	scalars_left = UINT32_MAX;
	return 0;
}

static int
client_teardown(void **state)
{
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)client), 1);
	OSSafeReleaseNULL(client);
	fake_dextd_end();
	return 0;
}

static kern_return_t
method(OSObject *target, void *reference, IOUserClientMethodArguments *a)
{
	char bytes[64];

	called++;
	memset(bytes, 'o', sizeof(bytes));
	if (output_size)
		a->structureOutput = OSData_withBytes(bytes, output_size);
	for (uint32_t i = 0; i < a->scalarOutputCount; i++)
		a->scalarOutput[i] = a->scalarInputCount > i ? a->scalarInput[i] + 1 : 0;
	if (scalars_left != UINT32_MAX)
		a->scalarOutputCount = scalars_left;
	return method_result;
}

static kern_return_t
with_row(ProbeClient *self, uint64_t selector, IOUserClientMethodArguments *arguments)
{
	return ProbeClient_ExternalMethod_super(self, selector, arguments, &row, (OSObject *)self,
						NULL);
}

struct call {
	uint32_t n_in, struct_in, n_out, struct_out;
	OSAction *completion;
	uint64_t out[16];
	uint8_t bytes[4096];
};

static kern_return_t
make_call(struct call *call)
{
	uint64_t in[16] = { 41, 99 };
	uint8_t input[4096] = "input";
	OSData *variable = NULL;

	return IOUserClient__ExternalMethod((IOUserClient *)client, 3, in, call->n_in, input,
					    call->struct_in, NULL, 0, call->completion,
					    call->out, &call->n_out, call->bytes, &call->struct_out,
					    call->struct_out, NULL, &variable);
}

static void
test_checks(void **state)
{
	static const struct {
		IOUserClientMethodDispatch row;
		struct call call;
		const char *rule;
	} refused[] = {
		{ { method, 0, 1, 0, 0, 0 }, { .n_in = 2 }, "T9" },
		{ { method, 0, 0, 0, 0, 0 }, { .n_in = 2 }, "T8" },
		{ { method, 0, 0, 8, 0, 0 }, { .struct_in = 9 }, "T9" },
		{ { method, 0, 0, 8, 0, 0 }, { 0 }, "T9" },
		{ { method, 0, 0, 0, 1, 0 }, { .n_out = 2 }, "T9" },
		{ { method, 0, 0, 0, 0, 16 }, { .struct_out = 8 }, "T9" },
		{ { method, 1, 0, 0, 0, 0 }, { 0 }, "T10" },
		{ { method, 7, 0x41414141, 0, 0, 0 }, { 0 }, "T21" },
	};

	probe_external = with_row;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct call call = refused[i].call;

		row = refused[i].row;
		assert_int_equal(make_call(&call), kIOReturnBadArgument);
		assert_string_equal(told_rule(), refused[i].rule);
	}
	assert_int_equal(called, 0);

	struct call any = { .n_in = 2, .struct_in = 5, .n_out = 2, .struct_out = 8 };
	row = (IOUserClientMethodDispatch){ method,     UINT32_MAX, UINT32_MAX,
					    UINT32_MAX, UINT32_MAX, UINT32_MAX };
	assert_int_equal(make_call(&any), kIOReturnSuccess);
	assert_int_equal(any.out[0], 42);
	assert_int_equal(any.out[1], 100);
	assert_int_equal(called, 1);
	row.function = NULL;
	assert_int_equal(make_call(&any), kIOReturnNoCompletion);
}

static void
test_no_row(void **state)
{
	struct call call = { 0 };

	probe_external = NULL; /* the override answers Unsupported by itself */
	assert_int_equal(make_call(&call), kIOReturnUnsupported);
	assert_int_equal(IOUserClient_ExternalMethod_Impl((IOUserClient *)client, 3,
							  &(IOUserClientMethodArguments){ 0 }, NULL,
							  NULL, NULL),
			 kIOReturnUnsupported);
	assert_string_equal(told_rule(), "T21");
}

static void
test_results(void **state)
{
	struct call call = { .struct_out = 16, .n_out = 4 };

	probe_external = with_row;
	row = (IOUserClientMethodDispatch){ method,     0,          UINT32_MAX,
					    UINT32_MAX, UINT32_MAX, UINT32_MAX };
	output_size = 10;
	scalars_left = 2;
	assert_int_equal(make_call(&call), kIOReturnSuccess);
	assert_int_equal(call.struct_out, 10); /* what the driver made */
	assert_memory_equal(call.bytes, "oooooooooo", 10);
	assert_int_equal(call.n_out, 2);

	scalars_left = 9;
	call = (struct call){ .struct_out = 16, .n_out = 4 };
	assert_int_equal(make_call(&call), kIOReturnSuccess);
	assert_int_equal(call.n_out, 4); /* never more than was offered */

	output_size = 17;
	call = (struct call){ .struct_out = 16 };
	assert_int_equal(make_call(&call), kIOReturnBadArgument);
	assert_string_equal(told_rule(), "T3");

	output_size = 0;
	call = (struct call){ .struct_out = 16 };
	assert_int_equal(make_call(&call), kIOReturnSuccess);
	assert_int_equal(call.struct_out, 16); /* as macOS reports it */
	assert_string_equal(told_rule(), "T2");
}

static void
test_variable_output(void **state)
{
	uint32_t no_scalars = 0, no_bytes = 0;
	OSData *variable = NULL;

	probe_external = with_row;
	row = (IOUserClientMethodDispatch){ method, 0, 0, 0, 0, UINT32_MAX };
	assert_int_equal(IOUserClient__ExternalMethod((IOUserClient *)client, 1, NULL, 0, NULL, 0,
						      NULL, 0, NULL, NULL, &no_scalars, NULL,
						      &no_bytes, kIOUserClientVariableStructureSize,
						      NULL, &variable),
			 kIOReturnUnderrun);
	output_size = 60;
	assert_int_equal(IOUserClient__ExternalMethod((IOUserClient *)client, 1, NULL, 0, NULL, 0,
						      NULL, 0, NULL, NULL, &no_scalars, NULL,
						      &no_bytes, kIOUserClientVariableStructureSize,
						      NULL, &variable),
			 kIOReturnSuccess);
	assert_int_equal(OSData_getLength(variable), 60);
	OSSafeReleaseNULL(variable);
}

static void
test_client_memory_needs_a_client(void **state)
{
	const IOAddressSegment segment = { 0x1000, 16 };
	IOMemoryDescriptor *memory = NULL;

	assert_int_equal(ProbeClient_CreateMemoryDescriptorFromClient(client, kIOMemoryDirectionIn,
								      33, &segment, &memory),
			 kIOReturnOverrun);
	assert_int_equal(
		ProbeClient_CreateMemoryDescriptorFromClient(client, 0x80, 1, &segment, &memory),
		kIOReturnBadArgument);
	assert_int_equal(ProbeClient_CreateMemoryDescriptorFromClient(client, kIOMemoryDirectionIn,
								      1, &segment, &memory),
			 kIOReturnNotReady);
	assert_string_equal(told_rule(), "T63");
	assert_null(memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queues, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_callbacks_end_with_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checks, client_setup, client_teardown),
		cmocka_unit_test_setup_teardown(test_no_row, client_setup, client_teardown),
		cmocka_unit_test_setup_teardown(test_results, client_setup, client_teardown),
		cmocka_unit_test_setup_teardown(test_variable_output, client_setup,
						client_teardown),
		cmocka_unit_test_setup_teardown(test_client_memory_needs_a_client, client_setup,
						client_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
