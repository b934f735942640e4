/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_PACKET_H
#define CHANNEL_PACKET_H

/** @file channel/packet.h
 *  @brief Bytes with descriptors on a SOCK_SEQPACKET socket. Nothing here blocks. */

#include <stddef.h>

#pragma GCC visibility push(hidden) /* not of libambidext's interface */

/** 0; -EAGAIN: the peer must take earlier packets first; -EPIPE: it is gone; -errno. @p fds are borrowed. */
int packet_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds);

/**
 * Take one packet.
 *
 * @param ret_fds    [out] owned, CLOEXEC, the first *ret_n_fds of @p max_fds (at most WIRE_MAX_FDS); others are closed
 * @return bytes of the packet (0: the peer is gone), -EAGAIN: none, -EPROTO: longer than @p size or more descriptors
 *         than @p max_fds (all closed), -EMFILE: this process has no room for them, -errno
 */
int packet_receive(int socket, void *data, size_t size, int *ret_fds, unsigned max_fds, int *ret_n_fds);

#pragma GCC visibility pop

#endif /* CHANNEL_PACKET_H */
