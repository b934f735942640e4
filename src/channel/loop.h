/* SPDX-License-Identifier: MIT */
#ifndef CHANNEL_LOOP_H
#define CHANNEL_LOOP_H

/**
 * @file channel/loop.h
 * @brief One thread's event loop: descriptors, channels, timers, children, posted work. For dextd, tools and tests.
 *
 * Sources may be removed from any callback, their own included; they are freed at the end of the turn.
 * Where an adder asked for the source (ret_source is not NULL) it removes it, also when the source is over by itself (a dead
 * channel, a reaped child); where it did not, that or the loop's end does.
 * Threads: [loop] except adxi_loop_post and adxi_loop_stop, which are [any].
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"

struct adxi_loop;
struct adxi_source;
struct adxi_channel;

int adxi_loop_new(struct adxi_loop **ret_loop);
struct adxi_loop *adxi_loop_free(struct adxi_loop *loop);
/** Until stop. @return 0, -errno */
int adxi_loop_run(struct adxi_loop *loop);
/** One turn: wait at most @p timeout_ms (-1: for ever). @return callbacks run */
int adxi_loop_turn(struct adxi_loop *loop, int timeout_ms);
void adxi_loop_stop(struct adxi_loop *loop);

typedef void adxi_fd_fn(struct adxi_source *source, int fd, uint32_t events, void *userdata);
/** @p events: EPOLLIN…; fd borrowed unless @p own. */
int adxi_loop_add_fd(struct adxi_loop *loop, int fd, bool own, uint32_t events, adxi_fd_fn *fn, void *userdata,
		     struct adxi_source **ret_source);
/** Dispatch a channel whenever something is there; silent once the channel is dead. References the channel. */
int adxi_loop_add_channel(struct adxi_loop *loop, struct adxi_channel *channel, struct adxi_source **ret_source);
typedef void adxi_timer_fn(struct adxi_source *source, void *userdata);
/** Fires once at @p deadline_ns (CLOCK_MONOTONIC); 0: not armed. All timers share one timerfd. */
int adxi_loop_add_timer(struct adxi_loop *loop, uint64_t deadline_ns, adxi_timer_fn *fn, void *userdata,
			struct adxi_source **ret_source);
void adxi_source_set_deadline(struct adxi_source *source, uint64_t deadline_ns);
typedef void adxi_child_fn(struct adxi_source *source, pid_t pid, int status, void *userdata);
/** Reaps @p pid (pidfd) and calls once with its wait status. */
int adxi_loop_add_child(struct adxi_loop *loop, pid_t pid, adxi_child_fn *fn, void *userdata, struct adxi_source **ret_source);
struct adxi_post {
	struct adxi_list link;
	void (*run)(struct adxi_post *post);
};
typedef void adxi_signal_fn(struct adxi_source *source, int signal, void *userdata);
/** Blocks the signal for the process and takes it by signalfd. */
int adxi_loop_add_signal(struct adxi_loop *loop, int signal, adxi_signal_fn *fn, void *userdata, struct adxi_source **ret_source);
/** Always NULL; NULL is allowed. */
struct adxi_source *adxi_source_remove(struct adxi_source *source);
/** Run @p fn in the loop's thread, soon. -ENOMEM. */
int adxi_loop_post(struct adxi_loop *loop, void (*fn)(void *userdata), void *userdata);
/** The same in the caller's memory, for what must not fail; @p post is in no list, and stays until @p run is called. */
void adxi_loop_post_own(struct adxi_loop *loop, struct adxi_post *post, void (*run)(struct adxi_post *post));

#endif /* CHANNEL_LOOP_H */
