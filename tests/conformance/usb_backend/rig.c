/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "usbhost/model/model.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
/* A guest under emulation on a busy machine is slow. */
#define PATIENCE_MS 60000u
/* How long to wait for a device that may not be there. */
#define ARRIVAL_MS 15000u
#define CHECK_FACTOR 0x9E3779B97F4A7C15ull

const char *unplug_command, *replug_command, *key_command;

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* fails for no valid clock */
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t
rig_now_ns(struct rig *rig)
{
	uint64_t frame, ns;

	if (!rig->is_model)
		return monotonic_ns();
	/* Virtual time moves in whole milliseconds here, so a frame's beginning is now. */
	assert_int_equal(rig->ops->current_frame(rig->device, &frame, &ns), 0);
	return ns;
}

static int
on_attached(void *core, struct usb_device *device, const struct usb_device_info *info,
	    void **ret_core_device)
{
	struct rig *rig = core;
	const uint8_t *d = info->device_descriptor;
	int r = -EBUSY;

	pthread_mutex_lock(&rig->lock);
	if (!rig->device && usb_get_u16(d + 8) == rig->target->vid &&
	    usb_get_u16(d + 10) == rig->target->pid) {
		rig->device = device;
		rig->gone = false;
		rig->location = info->location;
		rig->speed = info->speed;
		rig->configuration_value = info->configuration;
		memcpy(rig->device_descriptor, d, 18);
		free(rig->configuration);
		rig->configuration_length = info->configuration_lengths[0];
		rig->configuration = malloc(rig->configuration_length);
		memcpy(rig->configuration, info->configurations[0], rig->configuration_length);
		snprintf(rig->product, sizeof rig->product, "%s",
			 info->product ? info->product : "");
		snprintf(rig->source, sizeof rig->source, "%s", info->source);
		rig->n_attached++;
		*ret_core_device = device;
		r = 0;
	}
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
	return r;
}

static void
on_detached(void *core, void *core_device)
{
	struct rig *rig = core;

	pthread_mutex_lock(&rig->lock);
	if (core_device == rig->device)
		rig->gone = true;
	rig->n_detached++;
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
}

static const struct usb_events events = { .attached = on_attached, .detached = on_detached };

static void
on_complete(struct usb_transfer *transfer, enum usb_status status, uint32_t actual,
	    uint64_t time_ns)
{
	struct item *item = transfer->core;
	struct rig *rig = item->rig;

	pthread_mutex_lock(&rig->lock);
	item->n_ended++;
	item->order = ++rig->n_ended;
	item->status = status;
	item->actual = actual;
	item->time_ns = time_ns;
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
}

/* Waits until *flag, which is under rig.lock, is at least @p wanted. */
static bool
wait_for(struct rig *rig, const unsigned *counter, unsigned wanted, unsigned ms)
{
	struct timespec until;
	bool reached;

	if (rig->is_model) {
		for (unsigned i = 0; i < ms; i++) {
			pthread_mutex_lock(&rig->lock);
			reached = *counter >= wanted;
			pthread_mutex_unlock(&rig->lock);
			if (reached)
				return true;
			usb_model_pass(rig->backend, NS_PER_MS);
		}
		return false;
	}
	(void) clock_gettime(CLOCK_MONOTONIC, &until); /* fails for no valid clock */
	until.tv_sec += ms / 1000 + 1;
	pthread_mutex_lock(&rig->lock);
	while (*counter < wanted &&
	       pthread_cond_timedwait(&rig->changed, &rig->lock, &until) != ETIMEDOUT)
		;
	reached = *counter >= wanted;
	pthread_mutex_unlock(&rig->lock);
	return reached;
}

int
rig_setup(void **state)
{
	const struct target *target = *state;
	struct rig *rig = calloc(1, sizeof *rig);
	pthread_condattr_t monotonic;
	char options[64];
	const char *why = NULL;
	uint32_t location;

	rig->target = target;
	rig->is_model = strcmp(target->backend, "model") == 0;
	rig->ops = rig->is_model ? &usb_backend_model : &usb_backend_libusb;
	pthread_mutex_init(&rig->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&rig->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (rig->is_model)
		strcpy(options, "clock=virtual");
	else
		snprintf(options, sizeof options, "vid=%04x,pid=%04x", target->vid, target->pid);
	if (rig->ops->open(options, &events, rig, &rig->backend, &why) < 0) {
		print_error("cannot open %s: %s\n", target->backend, why);
		return -1;
	}
	if (target->model && rig->ops->attach(rig->backend, target->model, &location, &why) < 0) {
		print_error("cannot attach %s: %s\n", target->model, why);
		return -1;
	}
	if (!wait_for(rig, &rig->n_attached, 1, ARRIVAL_MS)) {
		print_error("no device %04x:%04x came\n", target->vid, target->pid);
		return -1;
	}
	*state = rig;
	return 0;
}

int
rig_teardown(void **state)
{
	struct rig *rig = *state;
	int r = 0;

	rig->ops->close(rig->backend);
	if (rig->n_detached != rig->n_attached) {
		print_error("%u attached, %u detached\n", rig->n_attached, rig->n_detached);
		r = -1;
	}
	rig_release(rig);
	rig_free(rig);
	return r;
}

void
rig_free(struct rig *rig)
{
	pthread_cond_destroy(&rig->changed);
	pthread_mutex_destroy(&rig->lock);
	free(rig->configuration);
	free(rig);
}

void
rig_release(struct rig *rig)
{
	struct usb_device *device = rig->device;

	pthread_mutex_lock(&rig->lock);
	rig->device = NULL;
	pthread_mutex_unlock(&rig->lock);
	if (device)
		rig->ops->release(device);
}

static unsigned
read_counter(struct rig *rig, const unsigned *counter)
{
	unsigned n;

	pthread_mutex_lock(&rig->lock);
	n = *counter;
	pthread_mutex_unlock(&rig->lock);
	return n;
}

void
rig_claim(struct rig *rig)
{
	assert_int_equal(rig->ops->claim(rig->device, rig->target->interface), 0);
	/* A simulated device is new for each test. From a real one goes what the last test left in
	 * its queue. */
	if (!rig->is_model && rig->target->loop_in)
		assert_int_equal(rig->ops->set_alternate(rig->device, rig->target->interface, 0),
				 0);
}

void
rig_unplug(struct rig *rig)
{
	unsigned n = read_counter(rig, &rig->n_detached) + 1;

	if (rig->is_model)
		assert_int_equal(rig->ops->detach(rig->backend, rig->location), 0);
	else
		assert_int_equal(system(unplug_command), 0);
	if (!wait_for(rig, &rig->n_detached, n, PATIENCE_MS))
		fail_msg("nobody said that the device has gone");
}

void
rig_replug(struct rig *rig)
{
	unsigned n = read_counter(rig, &rig->n_attached) + 1;
	const char *why;
	uint32_t location;

	rig_release(rig);
	if (rig->is_model)
		assert_int_equal(
			rig->ops->attach(rig->backend, rig->target->model, &location, &why), 0);
	else
		assert_int_equal(system(replug_command), 0);
	if (!wait_for(rig, &rig->n_attached, n, PATIENCE_MS))
		fail_msg("the device did not come back");
}

struct item *
item_new(struct rig *rig, uint32_t length)
{
	struct item *item = calloc(1, sizeof *item);

	item->rig = rig;
	item->data = calloc(1, length ? length : 1);
	item->transfer = (struct usb_transfer){ .complete = on_complete, .core = item };
	return item;
}

void
item_free(struct item *item)
{
	free(item->data);
	free(item);
}

void
item_submit_type(struct item *item, uint8_t type, uint8_t endpoint, uint32_t length,
		 uint32_t timeout_ms, int expected)
{
	struct rig *rig = item->rig;
	int r;

	item->transfer.endpoint = endpoint;
	item->transfer.type = type;
	item->transfer.length = length;
	item->transfer.data = length ? item->data : NULL;
	item->transfer.timeout_ms = timeout_ms;
	item->n_ended = 0;
	item->submitted_ns = rig->gone ? 0 : rig_now_ns(rig);
	r = rig->ops->submit(rig->device, &item->transfer);
	if (r != expected)
		fail_msg("submit to 0x%02x of %u bytes: %d (%s), not %d", endpoint, length, r,
			 strerror(-r), expected);
}

void
item_submit(struct item *item, uint8_t endpoint, uint32_t length, uint32_t timeout_ms)
{
	const struct target *target = item->rig->target;

	item_submit_type(item, endpoint == target->silent ? target->silent_type : USB_BULK,
			 endpoint, length, timeout_ms, 0);
}

bool
item_has_ended(struct item *item)
{
	bool ended;

	pthread_mutex_lock(&item->rig->lock);
	ended = item->n_ended > 0;
	pthread_mutex_unlock(&item->rig->lock);
	return ended;
}

void
item_wait(struct item *item)
{
	if (!wait_for(item->rig, &item->n_ended, 1, PATIENCE_MS))
		fail_msg("transfer on 0x%02x of %u bytes did not end in %u s",
			 item->transfer.endpoint, item->transfer.length, PATIENCE_MS / 1000);
}

void
item_expect(struct item *item, enum usb_status status, uint32_t actual)
{
	item_wait(item);
	if (item->n_ended != 1 || item->status != status || item->actual != actual)
		fail_msg("transfer on 0x%02x of %u bytes ended %u times, status %d, %u bytes; "
			 "wanted status %d, %u bytes",
			 item->transfer.endpoint, item->transfer.length, item->n_ended,
			 item->status, item->actual, status, actual);
	assert_null(item->transfer.backend);
	assert_true(item->time_ns >= item->submitted_ns);
}

enum usb_status
rig_control(struct rig *rig, uint8_t request_type, uint8_t request, uint16_t value, uint16_t index,
	    void *data, uint16_t length, uint32_t *ret_actual)
{
	struct item *item = item_new(rig, length);
	enum usb_status status;

	memcpy(item->transfer.setup,
	       (uint8_t[]){ request_type, request, value, value >> 8, index, index >> 8, length,
			    length >> 8 },
	       8);
	if (!(request_type & 0x80) && length)
		memcpy(item->data, data, length);
	item_submit_type(item, USB_CONTROL, 0, length, 10000, 0);
	item_wait(item);
	status = item->status;
	assert_int_equal(item->n_ended, 1);
	assert_true(item->actual <= length);
	if (ret_actual)
		*ret_actual = item->actual;
	if (request_type & 0x80 && item->actual)
		memcpy(data, item->data, item->actual);
	item_free(item);
	return status;
}

enum usb_status
rig_move(struct rig *rig, uint8_t endpoint, void *data, uint32_t length, uint32_t timeout_ms,
	 uint32_t *ret_actual)
{
	struct item *item = item_new(rig, length);
	enum usb_status status;

	if (!(endpoint & 0x80) && length)
		memcpy(item->data, data, length);
	item_submit(item, endpoint, length, timeout_ms);
	item_wait(item);
	status = item->status;
	assert_int_equal(item->n_ended, 1);
	if (ret_actual)
		*ret_actual = item->actual;
	if (endpoint & 0x80 && item->actual)
		memcpy(data, item->data, item->actual);
	item_free(item);
	return status;
}

static uint8_t
pattern_byte(enum pattern pattern, uint64_t at)
{
	uint64_t number = at / 8;

	if (pattern == PATTERN_SAMPLES)
		number = number % 2 ? number / 2 * CHECK_FACTOR : number / 2;
	return pattern == PATTERN_ZEROS ? 0 : number >> at % 8 * 8;
}

void
pattern_fill(enum pattern pattern, uint64_t at, uint8_t *data, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		data[i] = pattern_byte(pattern, at + i);
}

void
pattern_check(enum pattern pattern, uint64_t at, const uint8_t *data, uint32_t length)
{
	for (uint32_t i = 0; pattern != PATTERN_ANY && i < length; i++)
		if (data[i] != pattern_byte(pattern, at + i))
			fail_msg("byte %llu of the stream is 0x%02x, not 0x%02x",
				 (unsigned long long) (at + i), data[i],
				 pattern_byte(pattern, at + i));
}
