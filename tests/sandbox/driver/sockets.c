/* SPDX-License-Identifier: MIT */
/* Attempts on the network and on other processes' endpoints. */
#define _GNU_SOURCE


#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "escapes.h"

static int
try_connect(int family, int type, const void *address, socklen_t size)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	int r = TRIED(connect(fd, address, size));
	(void)close(fd);
	return r;
}

static int
connect_tcp(const struct world *world)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(world->port) };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return try_connect(AF_INET, SOCK_STREAM, &address, sizeof address);
}

static int
listen_tcp(const struct world *world)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	int r = TRIED(listen(fd, 1));
	(void)close(fd);
	return r;
}

static int
connect_path(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	return try_connect(AF_UNIX, SOCK_SEQPACKET, &address, sizeof address);
}

static int
connect_unix(const struct world *world)
{
	return connect_path(world->socket);
}

static int
connect_dextd(const struct world *world)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/dextd.sock", world->realm);
	return connect_path(path);
}

static int
connect_abstract(const struct world *world)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(world->abstract);

	memcpy(address.sun_path + 1, world->abstract, len);
	return try_connect(AF_UNIX, SOCK_SEQPACKET, &address,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len));
}

static int
try_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return errno == EAFNOSUPPORT ? ESCAPE_ABSENT : errno;
	(void)close(fd);
	return 0;
}

static int
netlink(const struct world *world)
{
	return try_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int
packet(const struct world *world)
{
	return try_socket(AF_PACKET, SOCK_RAW, 0);
}

static int
vsock(const struct world *world)
{
	return try_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int
shared_name(const struct world *world)
{
	int fd = shm_open(world->shm, O_RDWR, 0);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int
message_queue(const struct world *world)
{
	struct msqid_ds status;

	return TRIED(msgctl(world->queue, IPC_STAT, &status));
}

static int
semaphores(const struct world *world)
{
	return TRIED(semctl(world->semaphores, 0, GETVAL));
}

static int
segment(const struct world *world)
{
	void *memory = shmat(world->segment, NULL, 0);

	if (memory == (void *)-1)
		return errno;
	(void)shmdt(memory);
	return 0;
}

const struct escape socket_escapes[] = {
	{ "connect TCP", "a server of this machine is called", connect_tcp, "SBX004", ESCAPE_TOLD },
	{ "listen TCP", "a server is opened", listen_tcp, "SBX004", ESCAPE_TOLD },
	{ "connect to a socket", "a socket that another program made", connect_unix, "SBX004", ESCAPE_TOLD },
	{ "connect to dextd", "dextd's own socket, as a client", connect_dextd, "SBX004", ESCAPE_TOLD },
	{ "connect to an abstract socket", "a socket without a file", connect_abstract, "SBX004", ESCAPE_TOLD },
	{ "netlink", "the kernel's routing is asked", netlink, "SBX004", ESCAPE_TOLD },
	{ "packet socket", "the network is listened to", packet, "SBX004", ESCAPE_TOLD | ESCAPE_ROOT },
	{ "vsock", "the machine's host is called", vsock, "SBX004", ESCAPE_TOLD },
	{ "shm_open", "shared memory of another program is opened", shared_name, "SBX003", ESCAPE_TOLD },
	{ "message queue", "a System V queue of another program", message_queue, "SBX002", ESCAPE_TOLD },
	{ "semaphores", "System V semaphores of another program", semaphores, "SBX002", ESCAPE_TOLD },
	{ "shared segment", "a System V segment of another program", segment, "SBX002", ESCAPE_TOLD },
};
const size_t n_socket_escapes = sizeof socket_escapes / sizeof socket_escapes[0];
