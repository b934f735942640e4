/* SPDX-License-Identifier: MIT */
#ifndef CLIENT_H
#define CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <IOKit/IOKitLib.h>

/* An emulated machine that shares its cores needs a tenth of it on a good day. */
enum { LIMIT_S = 60 };

/* One driver that comes and goes with its device. */
struct client {
	const char *driver; /* its IOUserClass */
	int32_t product;
	const char *off, *on; /* commands that unplug and plug the device */
	IONotificationPortRef port;
	io_service_t service; /* 0: away */
	io_connect_t connection;
	unsigned n_came, n_went;
	io_iterator_t arrivals, departures;
};

/* The end of an asynchronous method. */
struct ending {
	bool done;
	IOReturn status;
	uint32_t n_words;
	uint64_t words[16];
};

extern struct client client;

/* Runs the run loop until *counter is no less than wanted; false: LIMIT_S have passed. */
bool client_wait(const volatile unsigned *counter, unsigned wanted);
bool client_wait_ending(struct ending *ending);
/* Fails the test, with the explanation, unless ret is wanted. */
void client_check(kern_return_t ret, kern_return_t wanted, const char *what);
#define CHECK(call, wanted) client_check((call), (wanted), #call)
kern_return_t client_async(uint32_t selector, const uint64_t *scalars, uint32_t n, struct ending *ending);
void client_run(const char *command);

/* cmocka's group setup and teardown; and a setup that has the driver's connection open. */
int client_begin(void **state);
int client_end(void **state);
int client_open(void **state);

int gadget_source_tests(void);
int gadget_loopback_tests(void);
int stick_tests(void);

#endif
