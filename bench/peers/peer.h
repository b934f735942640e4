/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PEERS_PEER_H
#define BENCH_PEERS_PEER_H

/**
 * @file bench/peers/peer.h
 * @brief What the peers have in common: their main(), their servers, the check of what comes back.
 *
 * A peer is one file with one struct peer_ops: how its servers start, and how one operation goes.
 * On both sides the payload is copied once from and once into memory of the application's own, as
 * the floor's subjects do.
 *
 * Threads: [main thread] of a peer, and of each of its servers.
 */

#ifdef __cplusplus
extern "C" {
#endif

#include "../subject.h"

#define PEER_MIN_ROOM 64u

struct peer_options {
	size_t bytes; /* of a request, and of its answer */
};

struct peer_ops {
	const char *name;
	size_t max_bytes;     /* what one request can carry; 0: what subjects are asked for */
	const char *max_why;  /* what sets that limit */
	unsigned checks_self; /* 1: an answer is no copy of the request, and call() checks it */

	/** Take options of its own out of the command line: bench_option(). NULL: there are none.
	 */
	void (*parse)(int *argc, char **argv);

	/** Start the servers and connect; may end with peer_skip(). @return 0 or -errno */
	int (*start)(const struct peer_options *options);

	/**
	 * One operation.
	 *
	 * @param request  options.bytes to send; PEER_MIN_ROOM can be read
	 * @param answer   [out] options.bytes that came back; PEER_MIN_ROOM can be written
	 * @return 0 or -errno, which ends the peer
	 */
	int (*call)(const void *request, void *answer);

	/** Disconnect. The servers are ended afterwards. NULL: nothing to do. */
	void (*stop)(void);
};

/** The whole of main(). */
int peer_main(int argc, char **argv, const struct peer_ops *ops);

/** Say that this peer cannot run here, and why; the process ends. */
void peer_skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/**
 * Fork a server: placed as --pin says, ended with this process, its processor time is the servers'.
 *
 * @param serve    runs there; may return, 0 or -errno
 * @param context  lent to it
 */
void peer_fork(int (*serve)(void *context), void *context);

/** In a server of peer_fork(): clients can connect now. */
void peer_listening(void);

/** Wait for that: libraries that try again on their own take their time. @return 0 or -errno */
int peer_await_server(void);

/** The same with a program of its own; descriptors without CLOEXEC go along. */
void peer_spawn(const char *const argv[]);

/** Two ends of a Unix stream socket. @return 0 or -errno */
int peer_socketpair(int fds[2]);

/** A folder for sockets and mount points, removed at the end. NULL: it could not be made. */
const char *peer_folder(void);

#ifdef __cplusplus
}
#endif

#endif /* BENCH_PEERS_PEER_H */
