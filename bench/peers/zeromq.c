/* SPDX-License-Identifier: MIT */
/* ZeroMQ: a REQ and a REP socket over ipc, which are the ones for requests and answers. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "peer.h"

static char address[192];
static size_t n_bytes;
static void *zmq, *sock; /* owned; each process has its own */

static int
open_socket(int type)
{
	zmq = zmq_ctx_new();
	sock = zmq ? zmq_socket(zmq, type) : NULL;
	return sock ? 0 : -errno;
}

static int
serve(void *context)
{
	void *buf = malloc(n_bytes + 1);
	int n, err = buf ? open_socket(ZMQ_REP) : -ENOMEM;

	if (!err && zmq_bind(sock, address) < 0)
		err = -errno;
	if (!err)
		peer_listening();
	while (!err) {
		n = zmq_recv(sock, buf, n_bytes, 0);
		if (n < 0 || zmq_send(sock, buf, (size_t)n, 0) < 0)
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
	snprintf(address, sizeof(address), "ipc://%s/zeromq", peer_folder());
	n_bytes = options->bytes;
	/* Before the library has threads here. */
	peer_fork(serve, NULL);
	err = peer_await_server();
	if (err < 0)
		return err;
	err = open_socket(ZMQ_REQ);
	if (err < 0)
		return err;
	return zmq_connect(sock, address) < 0 ? -errno : 0;
}

static int
call(const void *request, void *answer)
{
	int n;

	if (zmq_send(sock, request, n_bytes, 0) < 0)
		return -errno;
	n = zmq_recv(sock, answer, n_bytes, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == n_bytes ? 0 : -EBADMSG;
}

static void
stop(void)
{
	if (sock)
		zmq_close(sock);
	if (zmq)
		zmq_ctx_term(zmq);
}

int
main(int argc, char **argv)
{
	static const struct peer_ops ops = {
		.name = "zeromq", .start = start, .call = call, .stop = stop
	};

	return peer_main(argc, argv, &ops);
}
