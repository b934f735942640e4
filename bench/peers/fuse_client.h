/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PEERS_FUSE_CLIENT_H
#define BENCH_PEERS_FUSE_CLIENT_H

/**
 * @file bench/peers/fuse_client.h
 * @brief The client of both FUSE peers: a mount of its own, one file in it, an ioctl on that.
 */

#include <linux/ioctl.h>

#include "peer.h"

/* What a file system of a FUSE peer holds. */
#define FUSE_CLIENT_INO  2
#define FUSE_CLIENT_FILE "device"

/* The size has 14 bits in an ioctl's number, and the kernel carries that many bytes. */
#define FUSE_CLIENT_MAX_BYTES 16383
#define FUSE_CLIENT_MAX_WHY   "an ioctl's number has 14 bits for the size"

/* An ioctl has one buffer for both ways. The server changes the first byte by this, or nobody could
 * tell that an answer came. */
#define FUSE_CLIENT_MARK 0x5a

/** Mounts of our own, and /dev/fuse; may end the process with peer_skip(). */
void fuse_client_begin(const struct peer_options *options);

/** The number of the ioctl. */
unsigned fuse_client_number(void);

/** Where to mount. NULL: there is no such folder. */
const char *fuse_client_mount_point(void);

/** Open the file; to be called when it is mounted and served. @return 0 or -errno */
int fuse_client_open(void);

/* struct peer_ops */
int fuse_client_call(const void *request, void *answer);
void fuse_client_stop(void);

#endif /* BENCH_PEERS_FUSE_CLIENT_H */
