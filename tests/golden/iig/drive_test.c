/* SPDX-License-Identifier: MIT */
/* A driver's classes, in whichever language they are linked: drive.c with the glue as C, drive.cpp
 * with the same glue as C++. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "Drive.h"
#include "drive.h"
#include "fake.h"

static Turbo *turbo, *proxy;

static int
setup(void **state)
{
	memset(&drive_seen, 0, sizeof drive_seen);
	fake_wrong_action = fake_malformed = 0;
	turbo = OSTypeAlloc(Turbo);
	proxy = (Turbo *)fake_proxy((OS_OBJECT *)turbo);
	return turbo != NULL && Turbo_init(turbo) ? 0 : -1;
}

static int
teardown(void **state)
{
	OSRelease((OS_OBJECT *)proxy);
	OSRelease((OS_OBJECT *)turbo);
	return fake_objects == 0 ? 0 : -1;
}

static void
construction(void **state)
{
	uint32_t count = 0;

	assert_string_equal(drive_seen.trace, "ET");
	assert_int_equal(Engine_Count(&count), kIOReturnSuccess);
	assert_int_equal(count, 1);

	Engine *engine = OSTypeAlloc(Engine);

	assert_true(Engine_init(engine));
	OSRelease((OS_OBJECT *)engine);
	assert_string_equal(drive_seen.trace, "ETEf");
	assert_string_equal(Turbo_Class.super->name, "Engine");
	assert_true((Turbo_Class.flags & OS_CLASS_USER) != 0);
	assert_int_equal(Turbo_Class.instance_size, sizeof(Turbo));
	assert_int_equal(Engine_Class.n_queues, 1);
	assert_string_equal(Engine_Class.queues[0], "Notes");
}

static void
overrides(void **state)
{
	uint32_t speed = 0;

	memset(drive_seen.trace, 0, sizeof drive_seen.trace);
	assert_int_equal(Engine_Speed((Engine *)turbo, 2, &speed), kIOReturnSuccess);
	assert_int_equal(speed, 1000 + 20 + 101);
	assert_string_equal(drive_seen.trace, "eHht");
	speed = 0;
	assert_int_equal(Turbo_Speed(proxy, 3, &speed), kIOReturnSuccess);
	assert_int_equal(speed, 1000 + 30 + 101);
	assert_int_equal(Engine_Speed_From(&Engine_Class, (Engine *)turbo, 1, &speed),
			 kIOReturnSuccess);
	assert_int_equal(speed, 10 + 101);
	assert_string_equal(OSMetaClassFindMethod(&Turbo_Class, Engine_Speed_ID)->name,
			    "Turbo::Speed");
	assert_string_equal(OSMetaClassFindMethod(&Turbo_Class, Engine_Note_ID)->queue, "Notes");
}

static void
structures(void **state)
{
	DriveTrace trace = {0};

	assert_int_equal(Engine_Trace((Engine *)proxy, &trace), kIOReturnSuccess);
	assert_int_equal(trace.calls[5], 5);
	Engine_Note((Engine *)proxy, 9);
	assert_int_equal(drive_seen.note, 9);
	Engine_Note((Engine *)turbo, 10);
	assert_int_equal(drive_seen.note, 10);
}

static void
callbacks(void **state)
{
	OSAction *action = drive_create_action(turbo);
	const uint32_t data[3] = {1, 2, 3};

	assert_non_null(action);
	assert_string_equal(((OS_OBJECT *)action)->meta->name, "OSAction_Engine_Finished");
	assert_ptr_equal(((OS_OBJECT *)action)->meta->super, &OSAction_Class);
	Forms_Completed(NULL, action, kIOReturnAborted, data, 3, (OSObject *)turbo);
	assert_int_equal(drive_seen.status, kIOReturnAborted);
	assert_int_equal(drive_seen.data_sum, 6);
	assert_ptr_equal(drive_seen.target, turbo);
	assert_ptr_equal(drive_seen.object, turbo);

	/* An action that was made for something else: dropped and told. */
	memset(&drive_seen, 0, sizeof drive_seen);
	((OS_OBJECT *)action)->meta = &OSAction_Class;
	Forms_Completed(NULL, action, kIOReturnSuccess, data, 3, NULL);
	assert_int_equal(fake_wrong_action, 1);
	assert_string_equal(fake_what, "Engine::Finished OSAction");
	assert_null(drive_seen.target);

	/* Too much data: a void method tells and drops. */
	fake_overrun = 0;
	Forms_Completed(NULL, action, kIOReturnSuccess, data, 5, NULL);
	assert_int_equal(fake_overrun, 1);
	Forms_Completed(NULL, NULL, kIOReturnSuccess, data, 3, NULL);
	OSRelease((OS_OBJECT *)action);
}

static void
language(void **state)
{
	assert_int_equal(drive_language(turbo), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(construction, setup, teardown),
		cmocka_unit_test_setup_teardown(overrides, setup, teardown),
		cmocka_unit_test_setup_teardown(structures, setup, teardown),
		cmocka_unit_test_setup_teardown(callbacks, setup, teardown),
		cmocka_unit_test_setup_teardown(language, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
