/* SPDX-License-Identifier: MIT */
/* What is the model back end's own: names, options, checks of tables, its clock. The rules that all
 * back ends share are tested by tests/conformance/usb_backend. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "usbhost/model/model.h"

struct host {
	struct usb_backend *backend;
	struct usb_device *device;      /* the last that came, until it was released */
	unsigned n_attached, n_detached;
	int refuse;
	char serial[64], source[64];
	uint32_t location;
};

struct result {
	struct usb_transfer transfer;
	unsigned n;
	enum usb_status status;
	uint32_t actual;
	uint64_t time_ns;
};

static int
on_attached(void *core, struct usb_device *device, const struct usb_device_info *info,
	    void **ret_core_device)
{
	struct host *host = core;

	host->n_attached++;
	host->location = info->location;
	strncpy(host->serial, info->serial ? info->serial : "", sizeof host->serial - 1);
	strncpy(host->source, info->source, sizeof host->source - 1);
	if (host->refuse)
		return host->refuse;
	host->device = device;
	*ret_core_device = device;
	return 0;
}

static void
on_detached(void *core, void *core_device)
{
	struct host *host = core;

	host->n_detached++;
	if (host->device == core_device)
		host->device = NULL;
	usb_backend_model.release(core_device);
}

static const struct usb_events events = { .attached = on_attached, .detached = on_detached };

static void
on_complete(struct usb_transfer *transfer, enum usb_status status, uint32_t actual,
	    uint64_t time_ns)
{
	struct result *result = transfer->core;

	result->n++;
	result->status = status;
	result->actual = actual;
	result->time_ns = time_ns;
}

static int
setup(void **state)
{
	struct host *host = calloc(1, sizeof *host);
	const char *why;

	if (!host ||
	    usb_backend_model.open("clock=virtual", &events, host, &host->backend, &why) < 0)
		return -1;
	*state = host;
	return 0;
}

static int
teardown(void **state)
{
	struct host *host = *state;

	usb_backend_model.close(host->backend);
	free(host);
	return 0;
}

static int
plug(struct host *host, const char *what, const char **ret_why)
{
	uint32_t location;

	return usb_backend_model.attach(host->backend, what, &location, ret_why);
}

static void
submit(struct host *host, struct result *result, uint8_t endpoint, void *data, uint32_t length,
       uint32_t timeout_ms)
{
	*result = (struct result){
		.transfer = { .endpoint = endpoint,
			      .type = endpoint == 0x82 ? USB_INTERRUPT : USB_BULK,
			      .data = data,
			      .length = length,
			      .timeout_ms = timeout_ms,
			      .complete = on_complete,
			      .core = result },
	};
	assert_int_equal(usb_backend_model.submit(host->device, &result->transfer), 0);
}

static void
names_lead_to_models(void **state)
{
	struct host *host = *state;
	const char *why = NULL;
	char path[4096];
	uint32_t location;

	assert_int_equal(plug(host, "sensor", &why), 0);
	assert_string_equal(host->source, "model:sensor");
	assert_int_equal(host->location, 0x10100000);
	snprintf(path, sizeof path, "%s/loopback.so", getenv("AMBIDEXT_MODELS"));
	assert_int_equal(plug(host, path, &why), 0);
	assert_string_equal(host->source, "model:loopback");
	assert_int_equal(host->location, 0x10200000);
	/* The port that becomes free is the next to be taken. */
	assert_int_equal(usb_backend_model.detach(host->backend, 0x10100000), 0);
	assert_int_equal(usb_backend_model.detach(host->backend, 0x10100000), -ENOENT);
	assert_int_equal(
		usb_backend_model.attach(host->backend, "sensor,serial=Äß7", &location, &why), 0);
	assert_int_equal(location, 0x10100000);
	assert_string_equal(host->serial, "Äß7");
	assert_int_equal(host->n_attached, 3);
	assert_int_equal(host->n_detached, 1);
}

static void
a_refusal_says_what_to_do(void **state)
{
	static const struct {
		const char *what, *words[3];
		int error;
	} rows[] = {
		{ "nosuch", { "nosuch", "AMBIDEXT_MODELS" }, -ENOENT },
		{ "/no/such/file.so", { "/no/such/file.so" }, -ENOENT },
		{ "/etc/passwd", { "cannot load", "/etc/passwd" }, -EINVAL },
		{ "sensor,speed=3", { "speed", "rate", "serial" }, -EINVAL },
		{ "sensor,rate", { "rate", "key=value" }, -EINVAL },
		{ "sensor,rate=fast", { "rate", "number", "fast" }, -EINVAL },
		{ "sensor,rate=-1", { "rate", "number", "-1" }, -EINVAL },
		{ "sensor,rate=2000000000", { "sensor", "combination" }, -EINVAL },
		{ "faulty,endpoint=7", { "faulty", "combination" }, -EINVAL },
	};
	struct host *host = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *why = NULL;

		assert_int_equal(plug(host, rows[i].what, &why), rows[i].error);
		assert_non_null(why);
		for (unsigned w = 0; w < 3 && rows[i].words[w]; w++)
			if (!strstr(why, rows[i].words[w]))
				fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].what, why,
					 rows[i].words[w]);
	}
	assert_int_equal(host->n_attached, 0);
}

static void
a_refused_device_is_forgotten(void **state)
{
	struct host *host = *state;
	const char *why = NULL;

	host->refuse = -ENOSPC;
	assert_int_equal(plug(host, "sensor", &why), -ENOSPC);
	assert_non_null(why);
	host->refuse = 0;
	assert_int_equal(plug(host, "sensor", &why), 0);
	assert_int_equal(host->location, 0x10100000);
	assert_int_equal(host->n_detached, 0);
}

static void
unknown_options_of_open_are_refused(void **state)
{
	struct usb_backend *backend = NULL;
	const char *why = NULL;

	assert_int_equal(usb_backend_model.open("clock=sun", &events, NULL, &backend, &why),
			 -EINVAL);
	assert_non_null(strstr(why, "clock=sun"));
	assert_null(backend);
}

static void
many_devices_have_ports_of_their_own(void **state)
{
	enum { N = 400 };
	struct host *host = *state;
	uint32_t locations[N];
	const char *why;

	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(
			usb_backend_model.attach(host->backend, "faulty", &locations[i], &why), 0);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(locations[i], locations[j]);
	}
	for (unsigned i = 0; i < N; i += 2)
		assert_int_equal(usb_backend_model.detach(host->backend, locations[i]), 0);
	assert_int_equal(host->n_detached, N / 2);
	/* close in teardown detaches the rest. */
}

/* A thousand devices, a deadline each, in an order that has nothing to do with that of their
 * coming. */
static void
the_clock_serves_deadlines_in_order(void **state)
{
	enum { N = 1000 };
	struct host *host = *state;
	struct result *results = calloc(N, sizeof *results);
	struct usb_device **devices = calloc(N, sizeof *devices);
	uint8_t data[8];
	const char *why;
	uint64_t start = 0;

	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(plug(host, "faulty,fault=4,endpoint=0x81", &why), 0);
		devices[i] = host->device;
		assert_int_equal(usb_backend_model.claim(host->device, 0), 0);
		submit(host, &results[i], 0x81, data, 8, 1 + i * 617 % N);
	}
	usb_backend_model.current_frame(devices[0], &start, &start);
	for (unsigned ms = 1; ms <= N; ms++) {
		unsigned n = 0;

		usb_model_pass(host->backend, 1000000);
		for (unsigned i = 0; i < N; i++) {
			n += results[i].n;
			if (results[i].n) {
				assert_int_equal(results[i].status, USB_TIMEOUT);
				assert_int_equal(results[i].time_ns - start,
						 results[i].transfer.timeout_ms * 1000000ull);
			}
		}
		assert_int_equal(n, ms);
	}
	free(devices);
	free(results);
}

static void
a_rate_is_kept(void **state)
{
	struct host *host = *state;
	struct result result;
	uint8_t data[4096];
	uint64_t n = 0, number;
	const char *why;

	assert_int_equal(plug(host, "sensor,rate=1000,count=2500,batch=10", &why), 0);
	assert_int_equal(usb_backend_model.claim(host->device, 0), 0);
	for (unsigned ms = 0; n < 1990; ms += 10) {
		submit(host, &result, 0x81, data, sizeof data, 0);
		assert_int_equal(result.n, 0);
		usb_model_pass(host->backend, 10000000);
		assert_int_equal(result.n, 1);
		assert_int_equal(result.status, USB_OK);
		assert_int_equal(result.actual, 10 * 16);
		memcpy(&number, data, 8);
		assert_int_equal(number, n);
		n += 10;
		assert_int_equal(n, ms + 10);
	}
	/* What a reader leaves for long waits for him, up to the end of the stream. */
	usb_model_pass(host->backend, 5000000000);
	for (; n < 2500; n += result.actual / 16) {
		submit(host, &result, 0x81, data, sizeof data, 0);
		assert_int_equal(result.n, 1);
	}
	assert_int_equal(n, 2500);
	submit(host, &result, 0x81, data, sizeof data, 50);
	usb_model_pass(host->backend, 49999999);
	assert_int_equal(result.n, 0);
	usb_model_pass(host->backend, 1);
	assert_int_equal(result.n, 1);
	assert_int_equal(result.status, USB_TIMEOUT);
}

/* The next in line may want less than the one that goes. */
static void
who_moves_up_is_asked_at_once(void **state)
{
	struct host *host = *state;
	struct result large, small;
	uint8_t data[2][512];
	const char *why;

	for (unsigned by_timeout = 0; by_timeout < 2; by_timeout++) {
		assert_int_equal(plug(host, "sensor,rate=1000,batch=10", &why), 0);
		assert_int_equal(usb_backend_model.claim(host->device, 0), 0);
		submit(host, &large, 0x81, data[0], 512, by_timeout ? 5 : 0);
		submit(host, &small, 0x81, data[1], 3 * 16, 0);
		usb_model_pass(host->backend, 4999999);
		assert_int_equal(large.n + small.n, 0);
		if (by_timeout)
			usb_model_pass(host->backend, 1);
		else
			usb_backend_model.cancel(host->device, &large.transfer);
		assert_int_equal(large.n, 1);
		assert_int_equal(large.status, by_timeout ? USB_TIMEOUT : USB_CANCELLED);
		assert_int_equal(small.n, 1);
		assert_int_equal(small.status, USB_OK);
		assert_int_equal(small.actual, 3 * 16);
	}
}

static void
a_late_answer_beats_a_later_timeout(void **state)
{
	struct host *host = *state;
	struct result early, late;
	uint8_t data[64];
	const char *why;

	assert_int_equal(plug(host, "faulty,fault=7,endpoint=0x81,value=20", &why), 0);
	assert_int_equal(usb_backend_model.claim(host->device, 0), 0);
	submit(host, &early, 0x81, data, sizeof data, 21);
	usb_model_pass(host->backend, 30000000);
	assert_int_equal(early.n, 1);
	assert_int_equal(early.status, USB_OK);
	submit(host, &late, 0x81, data, sizeof data, 19);
	usb_model_pass(host->backend, 30000000);
	assert_int_equal(late.n, 1);
	assert_int_equal(late.status, USB_TIMEOUT);
}

static void
a_device_may_leave_by_itself(void **state)
{
	struct host *host = *state;
	struct result result;
	uint8_t data[64];
	const char *why;

	assert_int_equal(plug(host, "faulty,fault=4,endpoint=0x82,vanish_ms=100", &why), 0);
	assert_int_equal(usb_backend_model.claim(host->device, 0), 0);
	submit(host, &result, 0x82, data, sizeof data, 0);
	usb_model_pass(host->backend, 99000000);
	assert_int_equal(host->n_detached, 0);
	usb_model_pass(host->backend, 1000000);
	assert_int_equal(result.n, 1);
	assert_int_equal(result.status, USB_NO_DEVICE);
	assert_int_equal(host->n_detached, 1);
}

/* Tables with one thing wrong each. */
static void
a_wrong_table_is_refused(void **state)
{
	static const uint8_t device[] = {
		18, 1, 0, 2, 0xFF, 0, 0, 64, 9, 18, 1, 0, 0, 1, 1, 0, 0, 1
	};
	static const uint8_t good[] = { 9, 2, 25, 0, 1, 1, 0, 0x80, 0, 9, 4, 0, 0, 1, 0xFF, 0, 0, 0,
					7, 5, 0x81, 2, 64, 0, 0 };
	static const uint8_t iso[] = { 9, 2, 25, 0, 1, 1, 0, 0x80, 0, 9, 4, 0, 0, 1, 0xFF, 0, 0, 0,
				       7, 5, 0x81, 1, 64, 0, 1 };
	static const uint8_t no_alternate_0[] = { 9, 2, 18, 0, 1, 1,    0, 0x80, 0,
						  9, 4, 0,  1, 0, 0xFF, 0, 0,    0 };
	static const struct usb_model_option options[] = { { "x", 8, "beyond the state" },
							   { NULL } };
	static const uint8_t *const configurations[] = { good, NULL };
	static const char *const strings[] = { "only one", NULL };
	static const struct usb_model right = { /* as long as the device, which teardown unplugs */
		.abi = USB_MODEL_ABI,
		.name = "m",
		.speed = 2,
		.device_descriptor = device,
		.state_size = 8,
		.configurations = configurations,
		.strings = strings,
	};
	struct usb_model wrong[8];
	struct host *host = *state;
	const char *why = NULL;
	uint32_t location;
	size_t n = 0;

	assert_int_equal(usb_model_check(&right, &why), 0);
	assert_int_equal(usb_model_plug(host->backend, &right, NULL, &location, &why), 0);
	for (; n < 8; n++)
		wrong[n] = right;
	wrong[0].abi = 99;
	wrong[1].name = NULL;
	wrong[2].speed = 0;
	wrong[3].configurations = (const uint8_t *const[]){ iso, NULL };
	wrong[4].configurations = (const uint8_t *const[]){ good, good, NULL };
	wrong[5].configurations = (const uint8_t *const[]){ no_alternate_0, NULL };
	wrong[6].strings = NULL;
	wrong[7].options = options;
	for (n = 0; n < 8; n++) {
		why = NULL;
		assert_int_equal(usb_model_plug(host->backend, &wrong[n], NULL, &location, &why),
				 -EINVAL);
		assert_non_null(why);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_lead_to_models),
		TEST(a_refusal_says_what_to_do),
		TEST(a_refused_device_is_forgotten),
		TEST(unknown_options_of_open_are_refused),
		TEST(many_devices_have_ports_of_their_own),
		TEST(the_clock_serves_deadlines_in_order),
		TEST(a_rate_is_kept),
		TEST(who_moves_up_is_asked_at_once),
		TEST(a_late_answer_beats_a_later_timeout),
		TEST(a_device_may_leave_by_itself),
		TEST(a_wrong_table_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
