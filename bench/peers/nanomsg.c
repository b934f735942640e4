/* SPDX-License-Identifier: MIT */
/* nanomsg: a REQ and a REP socket over ipc. */

#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

static char address[192];
static size_t n_bytes;
static int sock = -1; /* owned; each process has its own */

static int
serve(void *context)
{
	void *buf = malloc(n_bytes + 1);
	int n, err = buf ? 0 : -ENOMEM;

	sock = nn_socket(AF_SP, NN_REP);
	if (!err && (sock < 0 || nn_bind(sock, address) < 0))
		err = -errno;
	if (!err)
		peer_listening();
	while (!err) {
		n = nn_recv(sock, buf, n_bytes, 0);
		if (n < 0 || nn_send(sock, buf, (size_t)n, 0) < 0)
			err = -errno;
	}
	free(buf);
	return err;
}

static int
start(const struct peer_options *options)
{
	int err;

	if (!peer_folder())
		return -errno;
	snprintf(address, sizeof(address), "ipc://%s/nanomsg", peer_folder());
	n_bytes = options->bytes;
	/* Before the library has threads here. */
	peer_fork(serve, NULL);
	err = peer_await_server();
	if (err < 0)
		return err;
	sock = nn_socket(AF_SP, NN_REQ);
	return sock < 0 || nn_connect(sock, address) < 0 ? -errno : 0;
}

static int
call(const void *request, void *answer)
{
	int n;

	if (nn_send(sock, request, n_bytes, 0) < 0)
		return -errno;
	n = nn_recv(sock, answer, n_bytes, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == n_bytes ? 0 : -EBADMSG;
}

static void
stop(void)
{
	if (sock >= 0)
		nn_close(sock);
}

int
main(int argc, char **argv)
{
	static const struct peer_ops ops = {
		.name = "nanomsg", .start = start, .call = call, .stop = stop
	};

	return peer_main(argc, argv, &ops);
}
