/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_REGION_H
#define CHANNEL_REGION_H

/** @file channel/region.h
 *  @brief The memory and the wake pipes of a channel: made by one process, checked by each that maps or writes them. */

#include <stdbool.h>

#include "channel/wire.h"

#pragma GCC visibility push(hidden) /* not of libambidext's interface */

/** New sealed memory with its header filled. 0, -errno; *ret_fd is owned, CLOEXEC. */
int region_create(int *ret_fd);
/** Check seals, size and header, map. @p fd borrowed. 0, -EPROTO (reason in *reterr_why, static), -errno. */
int region_map(int fd, struct wire_region **ret_region, const char **reterr_why);
/** Always NULL; NULL is allowed. */
struct wire_region *region_unmap(struct wire_region *region);

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

#pragma GCC visibility pop

#endif /* CHANNEL_REGION_H */
