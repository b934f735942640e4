/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_DISPATCH_DISPATCH_H
#define AMBIDEXT_DISPATCH_DISPATCH_H

/** @file dispatch/dispatch.h
 *  @brief Serial queues for callbacks: what IONotificationPortSetDispatchQueue needs. Each queue that has work has one thread;
 *  the main queue runs in dispatch_main() or in the main run loop. Threads: [any]. */

#include <stddef.h>
#include <stdint.h>

#include <ambidext/base.h>

ADX_BEGIN_DECLS

typedef struct dispatch_queue_s *dispatch_queue_t;
typedef void *dispatch_queue_attr_t;
typedef void (*dispatch_function_t)(void *context);
#define DISPATCH_QUEUE_SERIAL NULL
#define DISPATCH_QUEUE_PRIORITY_DEFAULT 0

/** +1. NULL: no memory. */
ADX_API dispatch_queue_t dispatch_queue_create(const char *label, dispatch_queue_attr_t attr);
/** Borrowed. */
ADX_API dispatch_queue_t dispatch_get_main_queue(void);
/** Borrowed: one serial queue for all priorities here. */
ADX_API dispatch_queue_t dispatch_get_global_queue(long identifier, unsigned long flags);
ADX_API void dispatch_retain(dispatch_queue_t queue);
ADX_API void dispatch_release(dispatch_queue_t queue);
ADX_API const char *dispatch_queue_get_label(dispatch_queue_t queue);
ADX_API void dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
/** Runs before it returns; on the queue itself it would wait for ever, so it ends the process with a sentence. */
ADX_API void dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
/** Run the main queue for ever. [main thread] */
ADX_API void dispatch_main(void) __attribute__((noreturn));

#ifdef __BLOCKS__
typedef void (^dispatch_block_t)(void);
ADX_API void dispatch_async(dispatch_queue_t queue, dispatch_block_t block);
ADX_API void dispatch_sync(dispatch_queue_t queue, dispatch_block_t block);
#endif

ADX_END_DECLS
#endif /* AMBIDEXT_DISPATCH_DISPATCH_H */
