/* SPDX-License-Identifier: MIT */
/* usbredir, the protocol of QEMU and SPICE for USB devices elsewhere, by libusbredirparser over a
 * Unix socket.
 *
 *   --depth N    transfers under way at once, 1 when it is not given
 *   --buffered   see below
 *
 * An operation is a bulk transfer to a null device, which completes it at once. --bytes is what a
 * submission is on the wire, its headers of 26 bytes included, 48 when it is not given; a
 * completion is its headers alone.
 *
 * The parser asks for a header, for the rest of it, for the data, and writes packet by packet. As
 * in usbredirserver, the library's own program, each of these is a system call. --buffered is the
 * best that a program can make of the library: it reads what there is at once, and what was written
 * is sent at once before the next wait. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usbredirparser.h>

#include "peer.h"

#define HEADERS       (sizeof(struct usb_redir_header) + sizeof(struct usb_redir_bulk_packet_header))
#define DEFAULT_BYTES 48 /* no more than PEER_MIN_ROOM */
#define MAX_DEPTH     1024u
#define ENDPOINT      0x01
#define BUF_SIZE      (256u << 10)

/* What usbredirparser::priv of an end is. */
struct end {
	struct usbredirparser *parser; /* owned */
	int fd;                        /* owned */
	/* --buffered */
	uint8_t in[BUF_SIZE], out[BUF_SIZE];
	size_t in_begin, in_end; /* what was received and is not parsed */
	size_t out_end;          /* what was written and is not sent */
};

static struct end client, server;
static unsigned depth;
static int buffered;
static size_t n_data; /* of a submission */
static uint64_t submitted, completed;
static uint64_t taken; /* of those completed: the operations that call() has told of */
static int failure;

/* Both ends */

static void
on_log(void *priv, int level, const char *text)
{
	if (level <= usbredirparser_warning)
		fprintf(stderr, "redir: %s\n", text);
}

/* Of what the callbacks return, 0 means: not now. */

static int
read_socket(void *priv, uint8_t *data, int count)
{
	struct end *end = priv;
	ssize_t n = recv(end->fd, data, (size_t)count, MSG_DONTWAIT);

	if (n > 0)
		return (int)n;
	return n < 0 && errno == EAGAIN ? 0 : -1;
}

static int
write_socket(void *priv, uint8_t *data, int count)
{
	struct end *end = priv;

	return (int)send(end->fd, data, (size_t)count, MSG_NOSIGNAL);
}

static int
read_buffer(void *priv, uint8_t *data, int count)
{
	struct end *end = priv;
	size_t n = end->in_end - end->in_begin;

	if (n > (size_t)count)
		n = (size_t)count;
	memcpy(data, end->in + end->in_begin, n);
	end->in_begin += n;
	return (int)n;
}

static int
write_buffer(void *priv, uint8_t *data, int count)
{
	struct end *end = priv;
	size_t room = BUF_SIZE - end->out_end, n = (size_t)count < room ? (size_t)count : room;

	memcpy(end->out + end->out_end, data, n);
	end->out_end += n;
	return (int)n;
}

static int
send_out(struct end *end)
{
	size_t begin = 0;
	ssize_t n;

	while (begin < end->out_end) {
		n = send(end->fd, end->out + begin, end->out_end - begin, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		begin += (size_t)n;
	}
	end->out_end = 0;
	return 0;
}

static int
flush(struct end *end)
{
	int err = 0;

	while (!err && usbredirparser_has_data_to_write(end->parser)) {
		if (usbredirparser_do_write(end->parser) < 0)
			return -EIO;
		err = send_out(end);
	}
	return err;
}

static int
fill(struct end *end)
{
	ssize_t n = recv(end->fd, end->in, sizeof(end->in), 0);

	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	end->in_begin = 0;
	end->in_end = (size_t)n;
	return 0;
}

static int
await(struct end *end)
{
	struct pollfd what = { .fd = end->fd, .events = POLLIN };

	return poll(&what, 1, -1) < 0 ? -errno : 0;
}

/* Wait for packets, and have them parsed. */
static int
receive(struct end *end)
{
	int err = buffered ? fill(end) : await(end);

	if (err < 0)
		return err;
	return usbredirparser_do_read(end->parser) < 0 ? -EPROTO : 0;
}

static void
on_hello(void *priv, struct usb_redir_hello_header *hello)
{
}

typedef void (*bulk_fn)(void *priv, uint64_t id, struct usb_redir_bulk_packet_header *header,
			uint8_t *data, int len);

/* An end that knows what the other one can. */
static int
open_end(struct end *end, int fd, bulk_fn on_bulk, int flags)
{
	uint32_t caps[USB_REDIR_CAPS_SIZE] = { 0 };
	int err;

	end->fd = fd;
	end->parser = usbredirparser_create();
	if (!end->parser)
		return -ENOMEM;
	end->parser->priv = end;
	end->parser->log_func = on_log;
	end->parser->read_func = buffered ? read_buffer : read_socket;
	end->parser->write_func = buffered ? write_buffer : write_socket;
	end->parser->hello_func = on_hello;
	end->parser->bulk_packet_func = on_bulk;
	usbredirparser_caps_set_cap(caps, usb_redir_cap_64bits_ids);
	usbredirparser_caps_set_cap(caps, usb_redir_cap_32bits_bulk_length);
	usbredirparser_init(end->parser, "ambidext bench", caps, USB_REDIR_CAPS_SIZE, flags);
	err = flush(end);
	while (!err && !usbredirparser_have_peer_caps(end->parser))
		err = receive(end);
	return err;
}

/* Server: the host with the null device. */

static void
on_submission(void *priv, uint64_t id, struct usb_redir_bulk_packet_header *header, uint8_t *data,
	      int len)
{
	struct end *end = priv;

	if ((size_t)len != n_data)
		bench_fail("a submission of %d bytes instead of %zu", len, n_data);
	usbredirparser_free_packet_data(end->parser, data);
	/* As asked, with the length that was done. */
	header->status = usb_redir_success;
	usbredirparser_send_bulk_packet(end->parser, id, header, NULL, 0);
}

static int
serve(void *context)
{
	int err;

	close(client.fd);
	err = open_end(&server, server.fd, on_submission, usbredirparser_fl_usb_host);
	while (!err)
		err = flush(&server) ?: receive(&server);
	return err == -EPIPE ? 0 : err;
}

/* Client: the guest that drives it. */

static size_t
length_of(const struct usb_redir_bulk_packet_header *header)
{
	return (size_t)header->length_high << 16 | header->length;
}

static void
on_completion(void *priv, uint64_t id, struct usb_redir_bulk_packet_header *header, uint8_t *data,
	      int len)
{
	usbredirparser_free_packet_data(client.parser, data);
	if (id != ++completed || header->status != usb_redir_success ||
	    header->endpoint != ENDPOINT || length_of(header) != n_data)
		failure = -EBADMSG;
}

static void
parse(int *argc, char **argv)
{
	uint64_t wanted = bench_option_number(argc, argv, "--depth", 1);

	if (wanted < 1 || wanted > MAX_DEPTH)
		bench_fail("--depth: 1 to %u", MAX_DEPTH);
	depth = (unsigned)wanted;
	buffered = bench_option_flag(argc, argv, "--buffered");
}

static int
start(const struct peer_options *options)
{
	size_t n_wire = options->bytes ? options->bytes : DEFAULT_BYTES;
	int fds[2], err = peer_socketpair(fds);

	if (err < 0)
		return err;
	n_data = n_wire > HEADERS ? n_wire - HEADERS : 0;
	client.fd = fds[0];
	server.fd = fds[1];
	peer_fork(serve, NULL);
	close(fds[1]);
	return open_end(&client, fds[0], on_completion, 0);
}

static void
submit(const void *request)
{
	struct usb_redir_bulk_packet_header header = { .endpoint = ENDPOINT,
						       .length = (uint16_t)n_data,
						       .length_high = (uint16_t)(n_data >> 16) };

	/* The library copies the data and its type lacks a const. */
	usbredirparser_send_bulk_packet(client.parser, ++submitted, &header,
					n_data ? (uint8_t *)request : NULL, (int)n_data);
}

static int
call(const void *request, void *answer)
{
	int err = 0;

	while (submitted - taken < depth)
		submit(request);
	if (completed == taken)
		err = flush(&client);
	while (!err && completed == taken)
		err = receive(&client);
	taken++;
	return err ? err : failure;
}

static void
stop(void)
{
	if (client.parser)
		usbredirparser_destroy(client.parser);
}

int
main(int argc, char **argv)
{
	static const struct peer_ops ops = {
		.name = "redir",
		.checks_self = 1,
		.parse = parse,
		.start = start,
		.call = call,
		.stop = stop,
	};

	return peer_main(argc, argv, &ops);
}
