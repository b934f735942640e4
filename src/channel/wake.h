/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_WAKE_H
#define CHANNEL_WAKE_H

/** @file channel/wake.h
 *  @brief The two ways to wake a peer: a byte in a pipe (a bell), a futex word in the shared memory. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden) /* not of libambidext's interface */

/**
 * New wake: two descriptions of one pipe, each open for reading and writing.
 *
 * A pipe, not an eventfd: the two ends of an eventfd share one description, so a hostile reader could fill the
 * counter, take O_NONBLOCK away and block the writer for ever. Open for both: a writer never meets SIGPIPE, and the
 * sleeper can wake its own other threads.
 *
 * @param ret_sleeper, ret_waker  [out] owned, CLOEXEC, O_NONBLOCK
 */
int wake_create(int *ret_sleeper, int *ret_waker);
/** 0 if @p fd is what wake_create() makes, else -EPROTO. */
int wake_check(int fd);
/** Wake whoever polls the pipe. */
void wake_write(int fd);
/** Take what is in it. True if there was something. */
bool wake_read(int fd);

/** Whether this kernel tells an epoll of each byte, and not only of the first in an empty pipe (Linux 5.15 and later). */
bool wake_tells_each(void);
/** Sleep while *word is @p value. False: @p timeout_ns have passed. The word is shared between processes: anything may be
 *  found in it. */
bool wake_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
/** Wake the one that sleeps on it. */
void wake_word(_Atomic uint32_t *word);

#pragma GCC visibility pop

#endif /* CHANNEL_WAKE_H */
