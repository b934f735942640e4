/* SPDX-License-Identifier: MIT */
/* FUSE over io_uring: as the peer fuse, but a request goes from the calling cpu to the server's
 * thread of the same cpu, and an answer and the wait for the next request are one system call.
 * Written down to the kernel's interface (Documentation/filesystems/fuse/fuse-io-uring.rst): Debian
 * 12's libfuse and linux/fuse.h are older than it. */

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuse_client.h"

#ifndef FUSE_OVER_IO_URING
#define FUSE_OVER_IO_URING (1ULL << 41)

struct fuse_uring_ent_in_out {
	uint64_t flags;
	uint64_t commit_id; /* to be given back with the answer */
	uint32_t payload_sz;
	uint32_t padding;
	uint64_t reserved;
};

struct fuse_uring_req_header {
	char in_out[128]; /* struct fuse_in_header, then struct fuse_out_header */
	char op_in[128];  /* the operation's own, as struct fuse_ioctl_in */
	struct fuse_uring_ent_in_out ring_ent_in_out;
};

enum fuse_uring_cmd {
	FUSE_IO_URING_CMD_REGISTER = 1,
	FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2,
};

struct fuse_uring_cmd_req {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t qid;
	uint8_t padding[6];
};
#endif

#define SWITCH    "/sys/module/fuse/parameters/enable_uring"
#define MAX_WRITE 16384
/* The kernel wants room for max_pages, 32 when a server does not say, at least. */
#define PAYLOAD_SIZE (256u << 10)
#define ATTR_SECONDS 3600

/* One a cpu: the kernel uses none before all are there. */
struct queue {
	pthread_t thread;
	struct io_uring ring;
	unsigned cpu;
	/* The kernel writes a request to these two, the server its answer. */
	struct fuse_uring_req_header *header; /* owned */
	uint8_t *payload;                     /* owned: PAYLOAD_SIZE */
	struct iovec memory[2];               /* both */
};

static size_t n_bytes;
static int fuse = -1; /* owned: the connection; the client's end of it is the mount */

/* Server: operations. Each returns the length of its answer in the payload, or -errno. */

static void
fill(uint64_t ino, struct fuse_attr *ret_attr)
{
	*ret_attr = (struct fuse_attr){ .ino = ino, .nlink = 1 };
	ret_attr->mode = ino == FUSE_CLIENT_INO ? S_IFREG | 0600 : S_IFDIR | 0700;
}

static int
do_lookup(uint64_t parent, const char *name, void *payload)
{
	struct fuse_entry_out out = { .nodeid = FUSE_CLIENT_INO,
				      .entry_valid = ATTR_SECONDS,
				      .attr_valid = ATTR_SECONDS };

	if (parent != FUSE_ROOT_ID || strcmp(name, FUSE_CLIENT_FILE) != 0)
		return -ENOENT;
	fill(FUSE_CLIENT_INO, &out.attr);
	memcpy(payload, &out, sizeof(out));
	return sizeof(out);
}

static int
do_getattr(uint64_t ino, void *payload)
{
	struct fuse_attr_out out = { .attr_valid = ATTR_SECONDS };

	fill(ino, &out.attr);
	memcpy(payload, &out, sizeof(out));
	return sizeof(out);
}

static int
do_open(void *payload)
{
	struct fuse_open_out out = { 0 };

	memcpy(payload, &out, sizeof(out));
	return sizeof(out);
}

static int
do_ioctl(const void *op_in, uint8_t *payload)
{
	struct fuse_ioctl_out out = { 0 };
	struct fuse_ioctl_in in;
	/* More than one thread answers. */
	uint8_t buf[FUSE_CLIENT_MAX_BYTES];

	memcpy(&in, op_in, sizeof(in));
	if (in.cmd != fuse_client_number() || in.in_size != n_bytes || in.out_size != n_bytes)
		return -ENOTTY;
	memcpy(buf, payload, n_bytes);
	buf[0] ^= FUSE_CLIENT_MARK;
	memcpy(payload, &out, sizeof(out));
	memcpy(payload + sizeof(out), buf, n_bytes);
	return (int)(sizeof(out) + n_bytes);
}

static int
operate(const struct queue *queue, const struct fuse_in_header *in)
{
	switch (in->opcode) {
	case FUSE_LOOKUP:
		/* The kernel's names end with 0. */
		return do_lookup(in->nodeid, (const char *)queue->payload, queue->payload);
	case FUSE_GETATTR:
		return do_getattr(in->nodeid, queue->payload);
	case FUSE_OPEN:
		return do_open(queue->payload);
	case FUSE_IOCTL:
		return do_ioctl(queue->header->op_in, queue->payload);
	case FUSE_RELEASE:
		return 0;
	default:
		return -ENOSYS;
	}
}

/* Server: queues */

static struct fuse_uring_cmd_req *
prepare(struct queue *queue, uint32_t command)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&queue->ring);
	struct fuse_uring_cmd_req *req;

	/* One is under way at a time, in a ring of more. */
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fuse, queue->memory, 2, 0);
	sqe->cmd_op = command;
	req = (struct fuse_uring_cmd_req *)sqe->cmd;
	*req = (struct fuse_uring_cmd_req){ .qid = (uint16_t)queue->cpu };
	return req;
}

static void
answer(struct queue *queue)
{
	struct fuse_uring_ent_in_out *entry = &queue->header->ring_ent_in_out;
	struct fuse_out_header out = { 0 };
	struct fuse_in_header in;
	int len;

	memcpy(&in, queue->header->in_out, sizeof(in));
	len = operate(queue, &in);
	out.unique = in.unique;
	out.error = len < 0 ? len : 0;
	entry->payload_sz = len < 0 ? 0 : (uint32_t)len;
	out.len = (uint32_t)sizeof(out) + entry->payload_sz;
	memcpy(queue->header->in_out, &out, sizeof(out));
	prepare(queue, FUSE_IO_URING_CMD_COMMIT_AND_FETCH)->commit_id = entry->commit_id;
}

static int
serve_queue(struct queue *queue)
{
	struct io_uring_cqe *cqe;
	int res;

	prepare(queue, FUSE_IO_URING_CMD_REGISTER);
	for (;;) {
		res = io_uring_submit_and_wait(&queue->ring, 1);
		if (res < 0 && res != -EINTR)
			return res;
		if (io_uring_peek_cqe(&queue->ring, &cqe) < 0)
			continue;
		res = cqe->res;
		io_uring_cqe_seen(&queue->ring, cqe);
		if (res < 0)
			return res;
		answer(queue);
	}
}

/* A request is taken by the thread when it comes for it, not whenever it is in the kernel: 5 % less
 * a round trip. */
static int
open_ring(struct io_uring *ring)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 |
						   IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_DEFER_TASKRUN };

	return io_uring_queue_init_params(4, ring, &params);
}

static int
open_queue(struct queue *queue)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(queue->cpu, &set);
	/* A cpu that is not on now has a queue all the same. */
	(void)sched_setaffinity(0, sizeof(set), &set);
	queue->header = calloc(1, sizeof(*queue->header));
	queue->payload = aligned_alloc(4096, PAYLOAD_SIZE);
	if (!queue->header || !queue->payload)
		return -ENOMEM;
	queue->memory[0] = (struct iovec){ queue->header, sizeof(*queue->header) };
	queue->memory[1] = (struct iovec){ queue->payload, PAYLOAD_SIZE };
	return open_ring(&queue->ring);
}

static void *
run_queue(void *context)
{
	struct queue *queue = context;
	int err = open_queue(queue);

	if (!err)
		err = serve_queue(queue);
	/* The file system is gone. */
	if (err == -ENOTCONN || err == -ECONNABORTED)
		return NULL;
	bench_fail("the queue of cpu %u: %s", queue->cpu, strerror(-err));
}

/* Server: the connection */

/* The first request and its answer still go by read() and write(). */
static int
negotiate(void)
{
	_Alignas(uint64_t) static uint8_t buf[FUSE_MIN_READ_BUFFER + MAX_WRITE];
	struct fuse_in_header *in = (struct fuse_in_header *)buf;
	struct fuse_init_in *init = (struct fuse_init_in *)(in + 1);
	struct {
		struct fuse_out_header header;
		struct fuse_init_out init;
	} out = { .header = { .len = sizeof(out) },
		  .init = { .major = FUSE_KERNEL_VERSION,
			    .minor = FUSE_KERNEL_MINOR_VERSION,
			    .flags = FUSE_INIT_EXT,
			    .flags2 = FUSE_OVER_IO_URING >> 32,
			    .max_write = MAX_WRITE } };
	ssize_t n = read(fuse, buf, sizeof(buf));

	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(*in) + sizeof(*init) || in->opcode != FUSE_INIT ||
	    init->major != FUSE_KERNEL_VERSION)
		return -EPROTO;
	if (!(init->flags & FUSE_INIT_EXT) || !(init->flags2 & (FUSE_OVER_IO_URING >> 32)))
		return -EOPNOTSUPP;
	out.header.unique = in->unique;
	return write(fuse, &out, sizeof(out)) < 0 ? -errno : 0;
}

static int
serve(void *context)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);
	struct queue *queues = calloc((size_t)n, sizeof(*queues));
	int err = queues ? negotiate() : -ENOMEM;

	for (long i = 0; !err && i < n; i++) {
		queues[i].cpu = (unsigned)i;
		err = -pthread_create(&queues[i].thread, NULL, run_queue, &queues[i]);
	}
	for (long i = 0; !err && i < n; i++)
		err = -pthread_join(queues[i].thread, NULL);
	free(queues);
	return err;
}

/* Client */

static int
write_switch(const char *text)
{
	int fd = open(SWITCH, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
	int err = n < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

/* Turn the kernel's switch on. @return 1 when it was off, 0 when it was on */
static int
switch_on(void)
{
	char state = 'N';
	int err, fd = open(SWITCH, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		peer_skip("this kernel has no FUSE over io_uring: " SWITCH ": %s", strerror(errno));
	if (read(fd, &state, 1) < 0)
		peer_skip(SWITCH ": %s", strerror(errno));
	close(fd);
	if (state == 'Y')
		return 0;
	err = write_switch("Y");
	if (err < 0)
		peer_skip("FUSE over io_uring is off, and only root can set " SWITCH ": %s",
			  strerror(-err));
	return 1;
}

static void
check_uring(void)
{
	struct io_uring ring;
	int err = open_ring(&ring);

	if (err < 0)
		peer_skip("no io_uring for this process: %s", strerror(-err));
	io_uring_queue_exit(&ring);
}

static int
mount_connection(void)
{
	const char *where = fuse_client_mount_point();
	char data[96];

	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0 || !where)
		return -errno;
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fuse, getuid(),
		 getgid());
	return mount("fuse_uring", where, "fuse", MS_NOSUID | MS_NODEV, data) < 0 ? -errno : 0;
}

static int
start(const struct peer_options *options)
{
	int err, was_off;

	n_bytes = options->bytes;
	fuse_client_begin(options);
	check_uring();
	was_off = switch_on();
	err = mount_connection();
	if (!err) {
		peer_fork(serve, NULL);
		/* The connection is the server's alone: it ends with it, and no request of ours is
		 * left waiting. */
		close(fuse);
		err = fuse_client_open();
	}
	/* A connection keeps what was agreed when it began. */
	if (was_off)
		(void)write_switch("N");
	return err;
}

int
main(int argc, char **argv)
{
	static const struct peer_ops ops = {
		.name = "fuse_uring",
		.max_bytes = FUSE_CLIENT_MAX_BYTES,
		.max_why = FUSE_CLIENT_MAX_WHY,
		.start = start,
		.call = fuse_client_call,
		.stop = fuse_client_stop,
	};

	return peer_main(argc, argv, &ops);
}
