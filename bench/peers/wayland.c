/* SPDX-License-Identifier: MIT */
/* libwayland: a request to an object in the server, answered by an event. The protocol is
 * wayland_echo.xml. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wayland-client-core.h>
#include <wayland-server-core.h>

#include "peer.h"
#include "wayland_echo-client.h"
#include "wayland_echo-server.h"

/* A message: 4096 bytes with its header and the array's length. */
#define MAX_INLINE 4080

static size_t n_bytes;
static int fds[2]; /* client, server; each taken by its side's library */

/* Server */

struct server {
	uint8_t *buf;    /* owned: the server's own memory */
	uint8_t *mapped; /* owned; NULL: contents are in messages */
};

static void
on_map(struct wl_client *client, struct wl_resource *echo, int32_t fd, uint32_t size)
{
	struct server *server = wl_resource_get_user_data(echo);

	server->mapped = mmap(NULL, 2 * (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (size != n_bytes || server->mapped == MAP_FAILED)
		bench_fail("the client's memory cannot be mapped");
}

static void
on_call(struct wl_client *client, struct wl_resource *echo, struct wl_array *bytes)
{
	struct server *server = wl_resource_get_user_data(echo);
	struct wl_array answer = { .size = n_bytes, .alloc = n_bytes, .data = server->buf };

	if (bytes->size != n_bytes)
		bench_fail("%zu bytes came instead of %zu", bytes->size, n_bytes);
	memcpy(server->buf, bytes->data, n_bytes);
	bench_echo_send_answer(echo, &answer);
}

static void
on_call_mapped(struct wl_client *client, struct wl_resource *echo)
{
	struct server *server = wl_resource_get_user_data(echo);

	memcpy(server->buf, server->mapped, n_bytes);
	memcpy(server->mapped + n_bytes, server->buf, n_bytes);
	bench_echo_send_answer_mapped(echo);
}

static const struct bench_echo_interface requests = {
	.map = on_map,
	.call = on_call,
	.call_mapped = on_call_mapped,
};

static void
on_bind(struct wl_client *client, void *context, uint32_t version, uint32_t id)
{
	struct wl_resource *echo =
		wl_resource_create(client, &bench_echo_interface, (int)version, id);

	if (!echo)
		bench_fail("no memory");
	wl_resource_set_implementation(echo, &requests, context, NULL);
}

static int
serve(void *context)
{
	struct server server = { .buf = malloc(n_bytes + 1) };
	struct wl_display *display = wl_display_create();

	close(fds[0]);
	if (!server.buf || !display ||
	    !wl_global_create(display, &bench_echo_interface, 1, &server, on_bind) ||
	    !wl_client_create(display, fds[1]))
		return -ENOMEM;
	/* Until the process is ended. */
	wl_display_run(display);
	return 0;
}

/* Client */

static struct wl_display *display;
static struct bench_echo *echo;
static uint8_t *mapped; /* owned: request, then answer; NULL: contents are in messages */
static void *answer_to; /* where the answer under way shall be; NULL: it came */
static int answer_error;

static void
on_answer(void *context, struct bench_echo *from, struct wl_array *bytes)
{
	if (bytes->size != n_bytes)
		answer_error = -EBADMSG;
	else
		memcpy(answer_to, bytes->data, n_bytes);
	answer_to = NULL;
}

static void
on_answer_mapped(void *context, struct bench_echo *from)
{
	memcpy(answer_to, mapped + n_bytes, n_bytes);
	answer_to = NULL;
}

static const struct bench_echo_listener events = {
	.answer = on_answer,
	.answer_mapped = on_answer_mapped,
};

static void
on_global(void *context, struct wl_registry *registry, uint32_t name, const char *interface,
	  uint32_t version)
{
	if (strcmp(interface, bench_echo_interface.name) == 0)
		echo = wl_registry_bind(registry, name, &bench_echo_interface, 1);
}

static void
on_global_remove(void *context, struct wl_registry *registry, uint32_t name)
{
}

static int
find_echo(void)
{
	static const struct wl_registry_listener listener = { .global = on_global,
							      .global_remove = on_global_remove };
	struct wl_registry *registry = wl_display_get_registry(display);

	if (!registry || wl_registry_add_listener(registry, &listener, NULL) < 0 ||
	    wl_display_roundtrip(display) < 0)
		return -EIO;
	wl_registry_destroy(registry);
	return echo && bench_echo_add_listener(echo, &events, NULL) == 0 ? 0 : -EPROTO;
}

static int
share_memory(void)
{
	int err = 0, fd = memfd_create("bench", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)(2 * n_bytes)) == 0)
		mapped = mmap(NULL, 2 * n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!mapped || mapped == MAP_FAILED)
		err = -errno;
	else
		bench_echo_map(echo, fd, (uint32_t)n_bytes); /* keeps a descriptor of its own */
	close(fd);
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
	display = wl_display_connect_to_fd(fds[0]);
	if (!display)
		return -errno;
	err = find_echo();
	if (err < 0 || n_bytes <= MAX_INLINE)
		return err;
	return share_memory();
}

static int
call(const void *request, void *answer)
{
	/* Read only, but wl_array has no const. */
	struct wl_array bytes = { .size = n_bytes, .alloc = n_bytes, .data = (void *)request };

	answer_to = answer;
	if (mapped) {
		memcpy(mapped, request, n_bytes);
		bench_echo_call_mapped(echo);
	} else {
		bench_echo_call(echo, &bytes);
	}
	while (answer_to) {
		if (wl_display_dispatch(display) < 0)
			return -errno;
	}
	return answer_error;
}

static void
stop(void)
{
	if (echo)
		bench_echo_destroy(echo);
	if (display)
		wl_display_disconnect(display);
}

int
main(int argc, char **argv)
{
	static const struct peer_ops ops = {
		.name = "wayland", .start = start, .call = call, .stop = stop
	};

	return peer_main(argc, argv, &ops);
}
