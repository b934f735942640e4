/* SPDX-License-Identifier: MIT */
/* Requests of one queue, over a back end that does what the test says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "usbhost/queue.h"

#define MAX 64

/* The back end: keeps what is submitted. */
static struct {
	struct usb_transfer *transfers[MAX];
	unsigned n;
	int refuse;                 /* what submit answers */
	bool at_once;               /* complete inside submit */
	bool cancel_completes;      /* inside cancel */
	unsigned n_cancels;
	void (*in_submit)(void);    /* what another thread does meanwhile */
} fake;

/* What ended, in order. */
static struct {
	int ids[MAX];
	IOReturn status[MAX];
	uint32_t actual[MAX];
	unsigned n, n_freed;
} ended;

struct test_request {
	struct host_request base;
	int id;
};

static struct host_ref owner;
static struct host_queue queue;
static struct host_barrier barrier;
static bool barrier_done;

static int
fake_submit(struct usb_device *device, struct usb_transfer *transfer)
{
	if (fake.in_submit)
		fake.in_submit();
	if (fake.refuse)
		return fake.refuse;
	if (fake.at_once) {
		transfer->complete(transfer, USB_OK, transfer->length, 5);
		return 0;
	}
	fake.transfers[fake.n++] = transfer;
	return 0;
}

static void
finish(unsigned index, enum usb_status status, uint32_t actual)
{
	struct usb_transfer *transfer = fake.transfers[index];

	assert_non_null(transfer);
	fake.transfers[index] = NULL;
	transfer->complete(transfer, status, actual, 7);
}

static void
fake_cancel(struct usb_device *device, struct usb_transfer *transfer)
{
	unsigned i;

	fake.n_cancels++;
	for (i = 0; fake.cancel_completes && i < fake.n; i++)
		if (fake.transfers[i] == transfer)
			finish(i, USB_CANCELLED, 0);
}

static const struct usb_backend_ops fake_ops = { .name = "fake", .submit = fake_submit, .cancel = fake_cancel };

static void
on_end(struct host_request *base, IOReturn status, uint32_t actual, uint64_t time_ns)
{
	ended.ids[ended.n] = ((struct test_request *)base)->id;
	ended.status[ended.n] = status;
	ended.actual[ended.n++] = actual;
}

static void
on_free(struct host_request *base)
{
	ended.n_freed++;
	free(base);
}

static void
on_owner_free(struct host_ref *ref)
{
	fail_msg("the owner was released once too often");
}

static void
on_barrier(struct host_barrier *unused)
{
	assert_false(barrier_done);
	barrier_done = true;
}

static int
setup(void **state)
{
	memset(&fake, 0, sizeof fake);
	memset(&ended, 0, sizeof ended);
	atomic_init(&owner.n, 1);
	owner.free = on_owner_free;
	barrier_done = false;
	host_queue_init(&queue, &fake_ops, NULL, &owner, kIOReturnSuccess);
	return 0;
}

/* All tests end with everything given back. */
static int
teardown(void **state)
{
	assert_int_equal(host_queue_pending(&queue), 0);
	assert_int_equal(atomic_load(&owner.n), 1);
	host_queue_fini(&queue);
	return 0;
}

static IOReturn
submit(int id)
{
	struct test_request *request = calloc(1, sizeof *request);

	assert_non_null(request);
	adxi_list_init(&request->base.link);
	request->base.end = on_end;
	request->base.free = on_free;
	request->base.transfer.length = 100;
	request->id = id;
	return host_queue_submit(&queue, &request->base);
}

static void
each_ends_once_in_order(void **state)
{
	unsigned i;

	for (i = 0; i < 3; i++)
		assert_int_equal(submit((int)i), kIOReturnSuccess);
	assert_int_equal(host_queue_pending(&queue), 3);
	finish(0, USB_OK, 100);
	finish(1, USB_STALL, 0);
	finish(2, USB_OVERFLOW, 4000);
	assert_int_equal(ended.n, 3);
	assert_int_equal(ended.n_freed, 3);
	assert_int_equal(ended.status[0], kIOReturnSuccess);
	assert_int_equal(ended.actual[0], 100);
	assert_int_equal((uint32_t)ended.status[1], 0xe0005000);
	assert_int_equal(ended.status[2], kIOReturnOverrun);
	assert_int_equal(ended.actual[2], 100); /* never beyond the buffer */
}

static void
one_that_completes_inside_submit_ends_there(void **state)
{
	fake.at_once = true;
	assert_int_equal(submit(1), kIOReturnSuccess);
	assert_int_equal(ended.n, 1);
	assert_int_equal(ended.n_freed, 1);
}

static void
one_that_is_refused_is_freed_and_does_not_end(void **state)
{
	fake.refuse = -ENOMEM;
	assert_int_equal(submit(1), kIOReturnNoMemory);
	host_queue_refuse(&queue, kIOReturnNotOpen);
	fake.refuse = 0;
	assert_int_equal(submit(2), kIOReturnNotOpen);
	assert_int_equal(ended.n, 0);
	assert_int_equal(ended.n_freed, 2);
}

static void
a_dead_queue_stays_dead(void **state)
{
	host_queue_refuse(&queue, kIOReturnNoDevice);
	host_queue_refuse(&queue, kIOReturnSuccess);
	assert_int_equal(submit(1), kIOReturnNoDevice);
}

static void
aborted_ones_end_in_order_with_the_error(void **state)
{
	unsigned i;

	fake.cancel_completes = true;
	for (i = 0; i < 8; i++)
		assert_int_equal(submit((int)i), kIOReturnSuccess);
	host_queue_abort(&queue, kIOReturnOffline, NULL);
	assert_int_equal(fake.n_cancels, 8);
	assert_int_equal(ended.n, 8);
	for (i = 0; i < 8; i++) {
		assert_int_equal(ended.ids[i], i);
		assert_int_equal(ended.status[i], kIOReturnOffline);
	}
}

static void
a_barrier_waits_for_the_ends_of_what_was_there(void **state)
{
	unsigned i;

	for (i = 0; i < 3; i++)
		assert_int_equal(submit((int)i), kIOReturnSuccess);
	host_barrier_init(&barrier, on_barrier);
	host_queue_abort(&queue, kIOReturnAborted, &barrier);
	host_barrier_leave(&barrier);
	assert_int_equal(submit(3), kIOReturnSuccess); /* later: not waited for */
	finish(2, USB_CANCELLED, 0);
	assert_int_equal(ended.n, 0);
	finish(0, USB_OK, 10); /* was faster than its cancelling */
	assert_false(barrier_done);
	finish(1, USB_CANCELLED, 0);
	assert_true(barrier_done);
	assert_int_equal(ended.n, 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(ended.ids[i], i);
	assert_int_equal(ended.status[0], kIOReturnSuccess);
	assert_int_equal(ended.status[1], kIOReturnAborted);
	finish(3, USB_OK, 1);
}

static void
a_barrier_of_an_empty_queue_is_done_at_once(void **state)
{
	host_barrier_init(&barrier, on_barrier);
	host_queue_abort(&queue, kIOReturnAborted, &barrier);
	assert_false(barrier_done);
	host_barrier_leave(&barrier);
	assert_true(barrier_done);
}

static void
abort_now(void)
{
	fake.in_submit = NULL;
	host_queue_abort(&queue, kIOReturnAborted, &barrier);
	host_barrier_leave(&barrier);
}

static void
one_aborted_while_it_is_submitted_is_cancelled_by_its_submitter(void **state)
{
	host_barrier_init(&barrier, on_barrier);
	fake.in_submit = abort_now;
	fake.cancel_completes = true;
	assert_int_equal(submit(1), kIOReturnSuccess);
	assert_int_equal(fake.n_cancels, 1);
	assert_int_equal(ended.n, 1);
	assert_int_equal(ended.status[0], kIOReturnAborted);
	assert_true(barrier_done);
}

static void
one_aborted_while_the_back_end_refuses_it_ends_nothing(void **state)
{
	host_barrier_init(&barrier, on_barrier);
	fake.in_submit = abort_now;
	fake.refuse = -ENODEV;
	assert_int_equal(submit(1), kIOReturnNoDevice);
	assert_int_equal(ended.n, 0);
	assert_true(barrier_done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_ends_once_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_completes_inside_submit_ends_there, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_is_refused_is_freed_and_does_not_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_queue_stays_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(aborted_ones_end_in_order_with_the_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_barrier_waits_for_the_ends_of_what_was_there, setup, teardown),
		cmocka_unit_test_setup_teardown(a_barrier_of_an_empty_queue_is_done_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(one_aborted_while_it_is_submitted_is_cancelled_by_its_submitter, setup,
						teardown),
		cmocka_unit_test_setup_teardown(one_aborted_while_the_back_end_refuses_it_ends_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
