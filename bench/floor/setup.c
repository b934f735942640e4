/* SPDX-License-Identifier: MIT */
/* The least that a connection over shared memory needs: sealed memory, an eventfd each way, passed
 * over a socket that is there already, mapped by both, and the word that it is; then all is undone.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../subject.h"

#define SIZE  (4096u + 2 * 65536u) /* as Ambidext's channel */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define N_FDS 3u

struct link {
	struct bench_options options;
	int sockets[2];
	uint64_t connections;
};

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(N_FDS * sizeof(int))];
};

static int
pass(int socket, const int *fds)
{
	char byte = 1;
	struct iovec part = { &byte, 1 };
	union control control = { 0 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof control };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(N_FDS * sizeof(int));
	memcpy(CMSG_DATA(header), fds, N_FDS * sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int
take(int socket, int *ret_fds)
{
	char byte;
	struct iovec part = { &byte, 1 };
	union control control = { 0 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof control };
	struct cmsghdr *header;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
		return -EPIPE;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_len != CMSG_LEN(N_FDS * sizeof(int)))
		return -EBADMSG;
	memcpy(ret_fds, CMSG_DATA(header), N_FDS * sizeof(int));
	return 0;
}

static void
close_all(const int *fds)
{
	for (unsigned i = 0; i < N_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static uint32_t *
map(int fd)
{
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void
serve(void *context)
{
	struct link *link = context;
	int fds[N_FDS];
	char byte = 1;

	close(link->sockets[0]);
	while (take(link->sockets[1], fds) == 0) {
		uint32_t *memory = map(fds[0]);
		if (!memory || fcntl(fds[0], F_GET_SEALS) != SEALS)
			return;
		*memory += 1;
		if (send(link->sockets[1], &byte, 1, MSG_NOSIGNAL) != 1)
			return;
		/* It ends when the client has closed its side: that, too, is a word. */
		if (recv(link->sockets[1], &byte, 1, 0) != 1)
			return;
		(void)munmap(memory, SIZE);
		close_all(fds);
	}
}

static int
connect_once(void *context)
{
	struct link *link = context;
	int fds[N_FDS] = { memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING),
			   eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			   eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	uint32_t *memory = NULL;
	char byte = 1;
	int r = 0;

	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0 || ftruncate(fds[0], SIZE) < 0 ||
	    fcntl(fds[0], F_ADD_SEALS, SEALS) < 0 || !(memory = map(fds[0])))
		r = -errno;
	if (r == 0)
		*memory = 1;
	r = r < 0 ? r : pass(link->sockets[0], fds);
	if (r == 0 && recv(link->sockets[0], &byte, 1, 0) != 1)
		r = -EPIPE;
	if (r == 0 && *memory != 2)
		r = -EBADMSG;
	if (memory)
		(void)munmap(memory, SIZE);
	close_all(fds);
	if (r == 0 && send(link->sockets[0], &byte, 1, MSG_NOSIGNAL) != 1)
		r = -EPIPE;
	link->connections++;
	return r;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct link *link = context;

	bench_count(counters, "connections", link->connections);
}

int
main(int argc, char **argv)
{
	struct link link = { 0 };
	struct bench_subject subject = { .operation = connect_once,
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
