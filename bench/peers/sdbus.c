/* SPDX-License-Identifier: MIT */
/* sd-bus, peer to peer: D-Bus messages over a socket pair, without a daemon between. */

#include <errno.h>
#include <unistd.h>

#include "sdbus_echo.h"

static int fds[2]; /* owned: client, server; then the bus owns its one */
static size_t n_bytes;
static sd_bus *bus; /* owned */

/* A bus on @p fd that begins with what both sides must know of each other. */
static int
start_bus(int fd, int is_server, sd_bus **ret_bus)
{
	sd_bus *made = NULL;
	sd_id128_t id = { 0 };
	int err = sd_bus_new(&made);

	if (err >= 0)
		err = sd_bus_set_fd(made, fd, fd);
	if (err >= 0 && is_server)
		err = sd_id128_randomize(&id);
	if (err >= 0 && is_server)
		err = sd_bus_set_server(made, 1, id);
	if (err >= 0)
		err = sd_bus_set_anonymous(made, 1);
	if (err >= 0)
		err = sd_bus_start(made);
	if (err < 0) {
		sd_bus_unref(made);
		return err;
	}
	*ret_bus = made;
	return 0;
}

static int
serve(void *context)
{
	sd_bus *server;
	int err;

	close(fds[0]);
	err = start_bus(fds[1], 1, &server);
	if (err < 0)
		return err;
	err = sdbus_echo_serve(server, n_bytes);
	sd_bus_unref(server);
	return err;
}

static int
start(const struct peer_options *options)
{
	int err = peer_socketpair(fds);

	if (err < 0)
		return err;
	n_bytes = options->bytes;
	peer_fork(serve, NULL);
	close(fds[1]);
	return start_bus(fds[0], 0, &bus);
}

static int
call(const void *request, void *answer)
{
	return sdbus_echo_call(bus, NULL, request, answer, n_bytes);
}

static void
stop(void)
{
	bus = sd_bus_close_unref(bus);
}

int
main(int argc, char **argv)
{
	static const struct peer_ops ops = {
		.name = "sdbus", .start = start, .call = call, .stop = stop
	};

	return peer_main(argc, argv, &ops);
}
