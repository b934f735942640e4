/* SPDX-License-Identifier: MIT */
#ifndef USB_BACKEND_RIG_H
#define USB_BACKEND_RIG_H

/**
 * @file rig.h
 * @brief One back end, one device under test, and transfers that count how often they end.
 *
 * The same tests run on each back end: a target says which device to take and what its endpoints
 * do. Waiting is letting time pass on the model's virtual clock, or sleeping on a condition for a
 * real device.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "usbhost/backend.h"
#include "usbhost/settings.h"

enum pattern {
	PATTERN_ANY,      /* whatever it likes */
	PATTERN_ZEROS,    /* source gives zeros, sink wants them */
	PATTERN_COUNTED,  /* 64-bit numbers counting over all transfers */
	PATTERN_SAMPLES,  /* the sensor's */
};

struct target {
	const char *name;         /* --group */
	const char *backend;      /* "model", "libusb" */
	const char *model;        /* what to attach; NULL: it is there */
	uint16_t vid, pid;
	uint8_t interface;
	/* Endpoints, 0: it has none such. Bulk unless silent_type says otherwise. */
	uint8_t source;           /* IN, always has data */
	uint8_t sink;             /* OUT, takes the pattern */
	uint8_t loop_out, loop_in;/* what is written is read */
	uint8_t silent;           /* IN, never has data */
	uint8_t silent_type;      /* enum usb_endpoint_type */
	enum pattern pattern;
	uint32_t packet;          /* wMaxPacketSize */
	bool sink_halts;          /* a wrong pattern halts the sink */
	bool knows_halt;          /* obeys SET_FEATURE(ENDPOINT_HALT) */
	bool loop_by_packet;      /* loop: each packet comes back at once */
	bool exact_packets;       /* a read smaller than the packet that comes is a babble */
	uint8_t other_alternate;  /* a second setting of the interface; 0: none */
	const char *driver;       /* the kernel driver that takes it; NULL: none */
};

struct rig {
	const struct target *target;
	const struct usb_backend_ops *ops;
	struct usb_backend *backend;
	bool is_model;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct usb_device *device;   /* the one under test; kept after detached until rig_release() */
	bool gone;
	unsigned n_attached, n_detached;
	unsigned n_ended;            /* completions of all items */
	/* Copied from struct usb_device_info. */
	uint32_t location;
	uint8_t device_descriptor[18];
	uint8_t *configuration;      /* owned: the first */
	uint32_t configuration_length;
	uint8_t configuration_value;
	char product[128], source[128];
	enum usb_speed speed;
};

struct item {
	struct usb_transfer transfer;
	struct rig *rig;
	uint8_t *data;               /* owned */
	uint64_t submitted_ns;
	/* Under rig.lock. */
	unsigned n_ended;
	unsigned order;              /* rig.n_ended when it ended */
	enum usb_status status;
	uint32_t actual;
	uint64_t time_ns;
};

/* Set by the command line. */
extern const char *unplug_command, *replug_command, *key_command;

/* cmocka's set-up and tear-down; *state is a struct target, then the struct rig. Opens the back end
 * and waits for the device; tear-down closes it and checks that each thing that came went. */
int rig_setup(void **state);
int rig_teardown(void **state);
/* The part of tear-down that is left when the back end is closed and the device released. */
void rig_free(struct rig *rig);

void rig_claim(struct rig *rig);
void rig_unplug(struct rig *rig);
/* After rig_unplug: give the old one back and wait for the new. */
void rig_replug(struct rig *rig);
void rig_release(struct rig *rig);
uint64_t rig_now_ns(struct rig *rig);

/* Items are made with their memory, may be submitted again, and must have ended before they are
 * freed. */
struct item *item_new(struct rig *rig, uint32_t length);
void item_free(struct item *item);
/* Submits; fails the test unless that returns @p expected. type: enum usb_endpoint_type. */
void item_submit_type(struct item *item, uint8_t type, uint8_t endpoint, uint32_t length, uint32_t timeout_ms,
		      int expected);
/* The same for the target's bulk endpoints (or silent_type), expecting 0. */
void item_submit(struct item *item, uint8_t endpoint, uint32_t length, uint32_t timeout_ms);
bool item_has_ended(struct item *item);
void item_wait(struct item *item);
/* Waits, then checks that it ended once, so. */
void item_expect(struct item *item, enum usb_status status, uint32_t actual);

/* One control transfer. Fails the test unless it was taken. */
enum usb_status rig_control(struct rig *rig, uint8_t request_type, uint8_t request, uint16_t value,
			    uint16_t index, void *data, uint16_t length, uint32_t *ret_actual);
/* One transfer of @p length, waited for. */
enum usb_status rig_move(struct rig *rig, uint8_t endpoint, void *data, uint32_t length, uint32_t timeout_ms,
			 uint32_t *ret_actual);

/* Bytes a source gives or a sink takes, from byte @p at of the stream on. */
void pattern_fill(enum pattern pattern, uint64_t at, uint8_t *data, uint32_t length);
/* Fails the test unless @p data is that. */
void pattern_check(enum pattern pattern, uint64_t at, const uint8_t *data, uint32_t length);

#define N_OF(array) (sizeof(array) / sizeof *(array))

/* The test groups; each appends to a list. */
struct test_list {
	struct CMUnitTest tests[128];
	size_t n;
};
void test_add(struct test_list *list, const struct target *target, const char *name, CMUnitTestFunction function);
#define ADD(list, target, function) test_add(list, target, #function, function)

void add_basic_tests(struct test_list *list, const struct target *target);   /* basic.c */
void add_data_tests(struct test_list *list, const struct target *target);    /* data.c */
void add_ending_tests(struct test_list *list, const struct target *target);  /* ending.c */
void add_faulty_tests(struct test_list *list, const struct target *target);  /* faulty.c */
void add_race_tests(struct test_list *list, const struct target *target);    /* races.c */
void add_storage_tests(struct test_list *list, const struct target *target); /* devices.c */
void add_serial_tests(struct test_list *list, const struct target *target);
void add_keyboard_tests(struct test_list *list, const struct target *target);

#endif /* USB_BACKEND_RIG_H */
