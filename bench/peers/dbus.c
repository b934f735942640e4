/* SPDX-License-Identifier: MIT */
/* D-Bus through a daemon: client and server are connections of a dbus-daemon that is started for
 * them alone. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sdbus_echo.h"

#define SERVICE "org.ambidext.Bench"

/* As the session bus, without the services and policies of this machine. */
static const char config[] =
	"<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN'\n"
	" 'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'>\n"
	"<busconfig><listen>unix:dir=%s</listen><auth>EXTERNAL</auth><policy context='default'>\n"
	"<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/>\n"
	"</policy></busconfig>\n";

static char address[256];
static size_t n_bytes;
static sd_bus *bus; /* owned */

static int
connect_bus(sd_bus **ret_bus)
{
	sd_bus *made = NULL;
	int err = sd_bus_new(&made);

	if (err >= 0)
		err = sd_bus_set_address(made, address);
	if (err >= 0)
		err = sd_bus_set_bus_client(made, 1);
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
	int err = connect_bus(&server);

	if (err < 0)
		return err;
	err = sd_bus_request_name(server, SERVICE, 0);
	if (err >= 0) {
		peer_listening();
		err = sdbus_echo_serve(server, n_bytes);
	}
	sd_bus_unref(server);
	return err;
}

static int
write_config(const char *path)
{
	FILE *file = fopen(path, "we");
	int err;

	if (!file)
		return -errno;
	err = fprintf(file, config, peer_folder()) < 0 ? -EIO : 0;
	return fclose(file) != 0 ? -errno : err;
}

/* The daemon tells its address when it listens. */
static int
start_daemon(void)
{
	char option[192], number[32];
	/* Syslog only: in a container it complains of a limit that even root cannot raise there. */
	const char *argv[] = { "dbus-daemon", "--nofork", "--nopidfile", "--syslog-only",
			       option,        number,     NULL };
	int fds[2], err;
	ssize_t n;

	if (!peer_folder())
		return -errno;
	snprintf(option, sizeof(option), "--config-file=%s/bus.conf", peer_folder());
	err = write_config(strchr(option, '=') + 1);
	if (err < 0)
		return err;
	if (pipe(fds) < 0)
		return -errno;
	snprintf(number, sizeof(number), "--print-address=%d", fds[1]);
	peer_spawn(argv);
	close(fds[1]);
	n = read(fds[0], address, sizeof(address) - 1);
	close(fds[0]);
	if (n <= 0)
		return -EPIPE;
	address[strcspn(address, "\n")] = '\0';
	return 0;
}

static int
start(const struct peer_options *options)
{
	int err;

	n_bytes = options->bytes;
	err = start_daemon();
	if (err < 0)
		return err;
	peer_fork(serve, NULL);
	err = peer_await_server();
	return err < 0 ? err : connect_bus(&bus);
}

static int
call(const void *request, void *answer)
{
	return sdbus_echo_call(bus, SERVICE, request, answer, n_bytes);
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
		.name = "dbus", .start = start, .call = call, .stop = stop
	};

	return peer_main(argc, argv, &ops);
}
