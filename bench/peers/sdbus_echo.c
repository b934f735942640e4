/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sdbus_echo.h"

#define OBJECT    "/org/ambidext/bench"
#define INTERFACE "org.ambidext.Bench"
#define METHOD    "Echo"

struct echo {
	size_t n_bytes;
	void *buf; /* owned: the server's own memory */
};

/* Bytes of a message to memory of the application. */
static int
take_bytes(sd_bus_message *message, void *buf, size_t n_bytes)
{
	const void *bytes;
	size_t len;
	int err = sd_bus_message_read_array(message, 'y', &bytes, &len);

	if (err < 0)
		return err;
	if (len != n_bytes)
		return -EBADMSG;
	memcpy(buf, bytes, n_bytes);
	return 0;
}

static int
on_echo(sd_bus_message *message, void *context, sd_bus_error *ret_error)
{
	struct echo *echo = context;
	sd_bus_message *reply = NULL;
	int err = take_bytes(message, echo->buf, echo->n_bytes);

	if (err >= 0)
		err = sd_bus_message_new_method_return(message, &reply);
	if (err >= 0)
		err = sd_bus_message_append_array(reply, 'y', echo->buf, echo->n_bytes);
	if (err >= 0)
		err = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return err;
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD(METHOD, "ay", "ay", on_echo, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

int
sdbus_echo_serve(sd_bus *bus, size_t n_bytes)
{
	struct echo echo = { .n_bytes = n_bytes, .buf = malloc(n_bytes + 1) };
	int err = echo.buf ? sd_bus_add_object_vtable(bus, NULL, OBJECT, INTERFACE, vtable, &echo)
			   : -ENOMEM;

	while (err >= 0) {
		err = sd_bus_process(bus, NULL);
		if (err == 0)
			err = sd_bus_wait(bus, UINT64_MAX);
	}
	free(echo.buf);
	return err == -ECONNRESET || err == -ENOTCONN ? 0 : err;
}

int
sdbus_echo_call(sd_bus *bus, const char *destination, const void *request, void *answer,
		size_t n_bytes)
{
	sd_bus_message *message = NULL, *reply = NULL;
	int err = sd_bus_message_new_method_call(bus, &message, destination, OBJECT, INTERFACE,
						 METHOD);

	if (err >= 0)
		err = sd_bus_message_append_array(message, 'y', request, n_bytes);
	if (err >= 0)
		err = sd_bus_call(bus, message, 0, NULL, &reply);
	if (err >= 0)
		err = take_bytes(reply, answer, n_bytes);
	sd_bus_message_unref(message);
	sd_bus_message_unref(reply);
	return err < 0 ? err : 0;
}
