/* SPDX-License-Identifier: MIT */
/* A stream of events over a SOCK_SEQPACKET socket: time an event. The client asks for so many at a
 * time, so that nothing is on its way between two slices. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../subject.h"

#define AT_A_TIME  2000u
#define EVENT_SIZE 64u /* what a message of two words has, with a header */

struct event {
	uint64_t number, word;
	uint8_t rest[EVENT_SIZE - 2 * sizeof(uint64_t)];
};

struct link {
	struct bench_options options;
	int sockets[2];
	uint64_t events;
};

static void
serve(void *context)
{
	struct link *link = context;
	struct event event = { 0 };
	uint64_t next = 0;
	uint32_t wanted;

	close(link->sockets[0]);
	while (recv(link->sockets[1], &wanted, sizeof wanted, 0) == sizeof wanted) {
		while (wanted-- > 0) {
			event.number = next++;
			if (send(link->sockets[1], &event, sizeof event, MSG_NOSIGNAL) !=
			    sizeof event)
				return;
		}
	}
}

static int
receive(void *context)
{
	struct link *link = context;
	uint32_t wanted = AT_A_TIME;
	struct event event;

	if (send(link->sockets[0], &wanted, sizeof wanted, MSG_NOSIGNAL) != sizeof wanted)
		return -errno;
	for (uint32_t i = 0; i < AT_A_TIME; i++) {
		if (recv(link->sockets[0], &event, sizeof event, 0) != sizeof event)
			return errno ? -errno : -EPIPE;
		if (event.number != link->events++)
			return -EBADMSG;
	}
	return (int)AT_A_TIME;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct link *link = context;

	bench_count(counters, "events", link->events);
}

int
main(int argc, char **argv)
{
	struct link link = { 0 };
	struct bench_subject subject = { .operation = receive,
					 .counters = counters,
					 .context = &link };

	bench_options(&argc, argv, &link.options);
	bench_no_more_options(argc, argv);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link.sockets) < 0)
		bench_fail("socketpair: %m");
	bench_add_server(&subject, bench_fork(BENCH_SERVER, &link.options, serve, &link));
	close(link.sockets[1]);
	bench_pin(BENCH_CLIENT, &link.options);
	return bench_main(&subject);
}
