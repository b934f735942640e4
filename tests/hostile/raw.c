/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "channel/packet.h"
#include "channel/region.h"
#include "channel/wake.h"

int
raw_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *realm = getenv("AMBIDEXT_REALM");
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/dextd.sock", realm ? realm : "");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	(void)close(fd);
	return -errno;
}

int
raw_open(struct raw *raw, struct adxi_endpoint *endpoint)
{
	const char *why;
	int r;

	*raw = (struct raw){ .end = *endpoint };
	*endpoint = ADXI_ENDPOINT_NONE;
	r = region_map(raw->end.memory, &raw->region, &why);
	if (r < 0) {
		adxi_endpoint_done(&raw->end);
		return r;
	}
	ring_tx_init(&raw->tx, raw->region, raw->end.side);
	ring_rx_init(&raw->rx, raw->region, !raw->end.side);
	return 0;
}

int
raw_connect(struct raw *raw)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	int r = raw_socket();

	*raw = (struct raw){ .end = ADXI_ENDPOINT_NONE };
	if (r < 0)
		return r;
	r = adxi_endpoint_connect(r, 10000, &endpoint);
	return r < 0 ? r : raw_open(raw, &endpoint);
}

void
raw_close(struct raw *raw)
{
	raw->region = region_unmap(raw->region);
	adxi_endpoint_done(&raw->end);
}

void
raw_ring_bell(struct raw *raw)
{
	for (unsigned i = 0; i < raw->end.n_send; i++)
		wake_write(raw->end.wake_send[i]);
}

static void
raw_wake(struct raw *raw)
{
	switch (ring_wake_consumer(raw->tx.shared)) {
	case WIRE_FUTEX:
		wake_word(&raw->tx.shared->consumer_sleeps);
		break;
	case WIRE_BELLS:
		wake_write(raw->end.wake_send[0]);
		break;
	default:
		break;
	}
}

bool
raw_put(struct raw *raw, const struct wire_header *header, const void *body, size_t size)
{
	uint8_t *place;

	if (sizeof *header + size > WIRE_MAX || ring_reserve(&raw->tx, (uint32_t)(sizeof *header + size), &place) < 0)
		return false;
	memcpy(place, header, sizeof *header);
	if (size > 0)
		memcpy(place + sizeof *header, body, size);
	ring_publish(&raw->tx);
	raw->n_sent++;
	raw_wake(raw);
	return true;
}

static bool
is_hung_up(struct raw *raw, int timeout_ms)
{
	struct pollfd fd = { .fd = raw->end.socket };

	return poll(&fd, 1, timeout_ms) > 0 && fd.revents & (POLLHUP | POLLERR);
}

int
raw_take(struct raw *raw, struct wire_header *ret_header, uint8_t *ret_body, int timeout_ms)
{
	const uint64_t until = adxi_deadline_ns((uint64_t)timeout_ms * ADXI_NS_PER_MS);

	for (;;) {
		struct pollfd fds[2] = { { .fd = raw->end.wake_receive[0], .events = POLLIN }, { .fd = raw->end.socket } };
		const uint8_t *body;
		bool hung_up = is_hung_up(raw, 0);

		atomic_store(&raw->rx.shared->consumer_sleeps, WIRE_BELLS);
		if (ring_peek(&raw->rx, ret_header, &body) == 1) {
			if (ret_body)
				ring_copy(ret_body, body, ret_header->size - sizeof *ret_header);
			if (ring_consume(&raw->rx))
				raw_wake(raw);
			return 1;
		}
		if (hung_up)
			return -EPIPE;
		if (adxi_now_ns() >= until)
			return 0;
		(void)poll(fds, 2, adxi_timeout_ms(until));
		(void)wake_read(raw->end.wake_receive[0]);
	}
}

bool
raw_is_evicted(struct raw *raw, int timeout_ms)
{
	return is_hung_up(raw, timeout_ms);
}

int
raw_send_fds(struct raw *raw, const int *fds, unsigned n_fds)
{
	const struct wire_packet packet = { .sequence = raw->fd_sequence, .n_fds = n_fds };
	int r = packet_send(raw->end.socket, &packet, sizeof packet, fds, n_fds);

	if (r == 0)
		raw->fd_sequence++;
	return r;
}

bool
raw_answers(struct raw *raw, uint64_t method)
{
	const struct wire_header request = { .size = 64, .kind = WIRE_REQUEST, .method = method, .transaction = 4711 };
	struct wire_header reply;

	/* Where nobody was woken yet, the ring may be full. */
	for (unsigned i = 0; !raw_put(raw, &request, NULL, 0); i++) {
		if (i == 500)
			return false;
		raw_ring_bell(raw);
		(void)raw_take(raw, &reply, NULL, 10);
	}
	while (raw_take(raw, &reply, NULL, 5000) == 1)
		if (reply.kind == WIRE_REPLY && reply.transaction == 4711)
			return true;
	return false;
}

static uint64_t random_state = 88172645463325252ull;

void
random_seed(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
}

uint64_t
random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

unsigned
random_below(unsigned n)
{
	return (unsigned)(random_word() % n);
}
