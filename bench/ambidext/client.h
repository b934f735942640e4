/* SPDX-License-Identifier: MIT */
#ifndef BENCH_AMBIDEXT_CLIENT_H
#define BENCH_AMBIDEXT_CLIENT_H

/**
 * @file bench/ambidext/client.h
 * @brief A client of BenchDriver in a private realm, as any application would be one: IOKitLib
 * only.
 *
 * Threads: [main thread].
 */

#include <sys/types.h>

#include <IOKit/IOKitLib.h>

#include "../subject.h"
#include "driver/BenchMethods.h"

struct bench_client {
	struct bench_options options;
	io_service_t service;    /* owned handle */
	io_connect_t connection; /* owned handle */
	pid_t driver;
};

/**
 * See to it that this process runs in a private realm with BenchDriver: if it does not, it becomes
 * `dext realm run … -- itself`.
 *
 * @param extra  more arguments for `dext realm run`, "--attach model:null"; NULL-terminated; NULL:
 * none
 */
void bench_enter_realm(char **argv, const char *const *extra);
/** Find the driver, open it, pin both sides as the options say. Never fails: bench_fail(). */
void bench_client_open(struct bench_client *client, const struct bench_options *options);
/** As many of its threads as there are by now. Threads that come later inherit. */
void bench_client_pin_driver(const struct bench_client *client);
/** A notification port whose callbacks run in this thread's run loop. Never fails. */
IONotificationPortRef bench_port(void);
/** Make an asynchronous call whose callback is called as @p callback. */
kern_return_t bench_call_async(const struct bench_client *client, IONotificationPortRef port,
			       uint32_t selector, IOAsyncCallback2 callback, void *refcon,
			       const uint64_t *input, uint32_t n_input);
/** Run the run loop until a callback stops it. 0, or -ETIMEDOUT when nothing came for 10 s. */
int bench_run_loop(void);
/** Parent of a process; 0: it is gone. */
pid_t bench_parent_of(pid_t pid);
/** pid of the process that has this service; 0: none. */
pid_t bench_server_of(io_service_t service);
/** bench_fail() with what the library says, unless @p ret is kIOReturnSuccess. */
void bench_expect(kern_return_t ret, const char *what);
/** -errno for bench_subject::operation: 0, or -EIO and the reason on standard error. */
int bench_result(kern_return_t ret, const char *what);

#endif /* BENCH_AMBIDEXT_CLIENT_H */
