/* SPDX-License-Identifier: MIT */
/* A message each way on a SOCK_SEQPACKET socket. A message has four bytes more: an empty one would
 * be the end. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../subject.h"

struct link {
	struct bench_options options;
	uint8_t *request, *reply; /* owned: sizeof(uint32_t) + bytes */
	int sockets[2];
	uint32_t calls;
	uint64_t checked;
};

static void
serve(void *context)
{
	struct link *link = context;
	size_t len = sizeof(uint32_t) + link->options.bytes;
	ssize_t n;

	close(link->sockets[0]);
	while ((n = recv(link->sockets[1], link->request, len, 0)) > 0)
		if (send(link->sockets[1], link->request, (size_t)n, MSG_NOSIGNAL) != n)
			return;
}

static int
call(void *context)
{
	struct link *link = context;
	size_t len = sizeof(uint32_t) + link->options.bytes;

	link->calls++;
	memcpy(link->request, &link->calls, sizeof link->calls);
	if (send(link->sockets[0], link->request, len, MSG_NOSIGNAL) != (ssize_t)len ||
	    recv(link->sockets[0], link->reply, len, 0) != (ssize_t)len)
		return errno ? -errno : -EPIPE;
	if (memcmp(link->reply, &link->calls, sizeof link->calls) != 0)
		return -EBADMSG;
	if (link->calls % BENCH_CHECK_EVERY == 0) {
		link->checked++;
		if (memcmp(link->request, link->reply, len) != 0)
			return -EBADMSG;
	}
	return 0;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct link *link = context;

	bench_count(counters, "calls", link->calls);
	bench_count(counters, "checked", link->checked);
}

int
main(int argc, char **argv)
{
	struct link link = { 0 };
	struct bench_subject subject = { .operation = call,
					 .counters = counters,
					 .context = &link };

	bench_options(&argc, argv, &link.options);
	bench_no_more_options(argc, argv);
	link.request = malloc(sizeof(uint32_t) + link.options.bytes);
	link.reply = malloc(sizeof(uint32_t) + link.options.bytes);
	if (!link.request || !link.reply)
		bench_fail("no memory");
	bench_fill(link.request, sizeof(uint32_t) + link.options.bytes, 1);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link.sockets) < 0)
		bench_fail("socketpair: %m");
	bench_add_server(&subject, bench_fork(BENCH_SERVER, &link.options, serve, &link));
	close(link.sockets[1]);
	bench_pin(BENCH_CLIENT, &link.options);
	return bench_main(&subject);
}
