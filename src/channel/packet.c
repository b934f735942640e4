/* SPDX-License-Identifier: MIT */
#include "channel/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/wire.h"

#define CONTROL_SIZE CMSG_SPACE(sizeof(int) * WIRE_MAX_FDS)

int
packet_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CONTROL_SIZE];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > WIRE_MAX_FDS)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		memset(control.bytes, 0, msg.msg_controllen);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	for (;;) {
		if (sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		switch (errno) {
		case EINTR:
			continue;
		case EAGAIN:
		case ENOBUFS:
		case ETOOMANYREFS: /* too many descriptors are on their way; the peer takes them with its messages */
			return -EAGAIN;
		case EPIPE:
		case ECONNRESET:
		case ENOTCONN:
			return -EPIPE;
		default:
			return -errno;
		}
	}
}

static void
fds_close(const int *fds, unsigned n_fds)
{
	for (unsigned i = 0; i < n_fds; i++)
		(void)close(fds[i]);
}

int
packet_receive(int socket, void *data, size_t size, int *ret_fds, unsigned max_fds, int *ret_n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CONTROL_SIZE];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *cmsg;
	int fds[WIRE_MAX_FDS];
	unsigned n_fds = 0;
	ssize_t n;

	*ret_n_fds = 0;
	do
		n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		unsigned count;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		if (count > WIRE_MAX_FDS - n_fds)
			count = WIRE_MAX_FDS - n_fds; /* cannot be: the buffer has no more room */
		memcpy(&fds[n_fds], CMSG_DATA(cmsg), count * sizeof(int));
		n_fds += count;
	}
	if (n_fds > max_fds || (msg.msg_flags & MSG_TRUNC)) {
		fds_close(fds, n_fds);
		return -EPROTO;
	}
	if (msg.msg_flags & MSG_CTRUNC) {
		fds_close(fds, n_fds);
		/* More than the buffer holds is the peer's fault; less than that is this process's limit. */
		return n_fds == WIRE_MAX_FDS ? -EPROTO : -EMFILE;
	}
	memcpy(ret_fds, fds, n_fds * sizeof(int));
	*ret_n_fds = (int)n_fds;
	return (int)n;
}
