/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_REGION_H
#define CHANNEL_REGION_H

/** @file channel/region.h
 *  @brief The memory of a channel: made by one process, checked by each that maps it. */

#include "channel/wire.h"

#pragma GCC visibility push(hidden) /* not of libambidext's interface */

/** New sealed memory with its header filled. 0, -errno; *ret_fd is owned, CLOEXEC. */
int region_create(int *ret_fd);
/** Check seals, size and header, map. @p fd borrowed. 0, -EPROTO (reason in *reterr_why, static), -errno. */
int region_map(int fd, struct wire_region **ret_region, const char **reterr_why);
/** Always NULL; NULL is allowed. */
struct wire_region *region_unmap(struct wire_region *region);

#pragma GCC visibility pop

#endif /* CHANNEL_REGION_H */
