/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_LAUNCH_H
#define DEXTD_LAUNCH_H

/**
 * @file dextd/launch.h
 * @brief A hosted process is made: environment, descriptors, output into the realm's log.
 */

#include <sys/resource.h>

#include "channel/loop.h"

struct server;

/** Soft limit of descriptors that hosted processes get; rlim_max 0: as ours. */
extern struct rlimit server_descriptor_limit;

/** Its process will have one more descriptor, whose number is in the environment as @p variable
 * (borrowed). @p fd is taken, and closed here once the process is made. -EMFILE. */
int launch_pass(struct server *server, const char *variable, int fd);
/** For a server that is never launched; launching has done it. */
void launch_close_passed(struct server *server);
/** Make @p server's process and watch it. @p ended: it was reaped. @p late: it has not checked in
 * within the realm's time. On failure what was made so far stays in @p server, for its owner to
 * end. -Exxx. */
int launch_spawn(struct server *server, adxi_child_fn *ended, adxi_timer_fn *late);
/** Its process has ended: what is left in the pipe goes into the log, with a last line that has no
 * end. */
void launch_end_output(struct server *server);
/** @p strings ends with NULL, and is owned with all in it; NULL does nothing. */
void launch_free_strings(char **strings);

#endif /* DEXTD_LAUNCH_H */
