/* SPDX-License-Identifier: MIT */
/* libvfio-user: a PCI device in a process, for a virtual machine monitor that is another one.
 *
 * An operation is a write to a region of the device: the bytes go to the device's callback, and its
 * answer is that they were taken. That is half of what the other peers do, to its advantage; each
 * thousandth time they are read back. The library is the server's only, so the client speaks the
 * protocol itself. */

#include <errno.h>
#include <libvfio-user.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "peer.h"

/* Without bytes to carry: a register. */
#define MIN_BYTES 4u

static const char capabilities[] =
	"{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":1048576}}";

static char path[108]; /* of the socket */
static size_t n_bytes;
static int fd = -1; /* owned: the client's end */

/* Server */

static ssize_t
on_access(vfu_ctx_t *device, char *buf, size_t count, loff_t offset, bool is_write)
{
	uint8_t *memory = vfu_get_private(device);

	if (offset < 0 || (size_t)offset > n_bytes || count > n_bytes - (size_t)offset) {
		errno = EINVAL;
		return -1;
	}
	if (is_write)
		memcpy(memory + offset, buf, count);
	else
		memcpy(buf, memory + offset, count);
	return (ssize_t)count;
}

static int
run_device(vfu_ctx_t *device)
{
	if (vfu_pci_init(device, VFU_PCI_TYPE_CONVENTIONAL, PCI_HEADER_TYPE_NORMAL, 0) < 0)
		return -errno;
	if (vfu_setup_region(device, VFU_PCI_DEV_BAR0_REGION_IDX, n_bytes, on_access,
			     VFU_REGION_FLAG_RW | VFU_REGION_FLAG_MEM, NULL, 0, -1, 0) < 0)
		return -errno;
	if (vfu_realize_ctx(device) < 0)
		return -errno;
	peer_listening();
	if (vfu_attach_ctx(device) < 0)
		return -errno;
	while (vfu_run_ctx(device) >= 0 || errno == EINTR)
		;
	return errno == ENOTCONN ? 0 : -errno;
}

static int
serve(void *context)
{
	void *memory = calloc(1, n_bytes);
	vfu_ctx_t *device =
		memory ? vfu_create_ctx(VFU_TRANS_SOCK, path, 0, memory, VFU_DEV_TYPE_PCI) : NULL;
	int err = device ? run_device(device) : -errno;

	if (device)
		vfu_destroy_ctx(device);
	free(memory);
	return err;
}

/* Client */

static int
receive(void *buf, size_t len)
{
	ssize_t n = recv(fd, buf, len, MSG_WAITALL);

	return n < 0 ? -errno : (size_t)n == len ? 0 : -EPIPE;
}

/* Send a command whose parts are parts[1] on; the header is filled in. */
static int
command(uint16_t cmd, struct iovec *parts, int n_parts)
{
	static uint16_t last_id;
	struct vfio_user_header header = { .msg_id = ++last_id, .cmd = cmd };
	ssize_t n;

	parts[0] = (struct iovec){ &header, sizeof(header) };
	for (int i = 0; i < n_parts; i++)
		header.msg_size += (uint32_t)parts[i].iov_len;
	n = writev(fd, parts, n_parts);
	if (n < 0)
		return -errno;
	if ((size_t)n != header.msg_size)
		return -EPIPE;
	cmd = header.msg_id;
	n = receive(&header, sizeof(header));
	if (n < 0)
		return (int)n;
	if (header.msg_id != cmd || header.flags.type != VFIO_USER_F_TYPE_REPLY)
		return -EPROTO;
	return header.flags.error ? -(int)header.error_no : (int)(header.msg_size - sizeof(header));
}

static int
negotiate(void)
{
	struct vfio_user_version version = { .major = LIB_VFIO_USER_MAJOR,
					     .minor = LIB_VFIO_USER_MINOR };
	struct iovec parts[3] = { [1] = { &version, sizeof(version) },
				  [2] = { (void *)capabilities, sizeof(capabilities) } };
	char reply[4096];
	int len = command(VFIO_USER_VERSION, parts, 3);

	if (len < 0)
		return len;
	return (size_t)len > sizeof(reply) ? -EPROTO : receive(reply, (size_t)len);
}

/* Write @p bytes to the device's memory, or read them. */
static int
access_region(int is_write, void *bytes)
{
	struct vfio_user_region_access access = { .region = VFU_PCI_DEV_BAR0_REGION_IDX,
						  .count = (uint32_t)n_bytes };
	struct iovec parts[3] = { [1] = { &access, sizeof(access) }, [2] = { bytes, n_bytes } };
	size_t back = sizeof(access) + (is_write ? 0 : n_bytes);
	int len = is_write ? command(VFIO_USER_REGION_WRITE, parts, 3)
			   : command(VFIO_USER_REGION_READ, parts, 2);

	if (len < 0)
		return len;
	if ((size_t)len != back)
		return -EPROTO;
	len = receive(&access, sizeof(access));
	if (len < 0)
		return len;
	if (access.count != n_bytes)
		return -EBADMSG;
	return is_write ? 0 : receive(bytes, n_bytes);
}

static int
connect_device(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, sizeof(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return negotiate();
}

static int
start(const struct peer_options *options)
{
	int err;

	n_bytes = options->bytes < MIN_BYTES ? MIN_BYTES : options->bytes;
	if (!peer_folder() ||
	    snprintf(path, sizeof(path), "%s/device", peer_folder()) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	peer_fork(serve, NULL);
	err = peer_await_server();
	return err < 0 ? err : connect_device();
}

static int
call(const void *request, void *answer)
{
	static uint64_t n_calls;
	/* struct iovec is for reading too, so it has no const. */
	int err = access_region(1, (void *)request);

	if (err < 0 || n_calls++ % BENCH_CHECK_EVERY)
		return err;
	err = access_region(0, answer);
	if (err < 0)
		return err;
	return memcmp(request, answer, n_bytes) == 0 ? 0 : -EBADMSG;
}

static void
stop(void)
{
	if (fd >= 0)
		close(fd);
}

int
main(int argc, char **argv)
{
	static const struct peer_ops ops = {
		.name = "vfio_user",
		.max_bytes = 1u << 20,
		.max_why = "the protocol's max_data_xfer_size",
		.checks_self = 1,
		.start = start,
		.call = call,
		.stop = stop,
	};

	return peer_main(argc, argv, &ops);
}
