/* SPDX-License-Identifier: MIT */
#ifndef GOLDEN_FAKE_H
#define GOLDEN_FAKE_H

/**
 * @file fake.h
 * @brief A process that is its own peer, for running what iig made.
 *
 * A proxy's `remote` is the real object. OSInvoke() gathers a call into memory of exactly its size
 * and gives it to the method's Invoke; what that answers comes back as the reply. A test may change
 * either message on its way, as a hostile peer would.
 */

#include <ambidext/runtime.h>

ADX_BEGIN_DECLS

/** The messages on their way; NULL: as they are. content_size may shrink, and grow up to
 * content_capacity. */
extern void (*fake_request)(struct OSMessage *message, uint8_t *content);
extern void (*fake_reply)(struct OSMessage *message, uint8_t *content);
enum { FAKE_SLACK = 64 }; /* zeroed bytes past a message that a hook may make part of it */

extern unsigned fake_malformed; /* times that OSToldMalformed was called */
extern unsigned fake_overrun, fake_truncated, fake_wrong_class, fake_wrong_action;
extern char fake_what[256];           /* what the last one said */
extern const char *fake_queue;        /* of the last method that ran here through OSRunLocal */
extern unsigned fake_objects;         /* that live */
extern struct OSReply *fake_deferred; /* owned by the test after OSReplyDefer */

/** Proxy of @p real (borrowed) with one reference. */
OS_OBJECT *fake_proxy(OS_OBJECT *real);

ADX_END_DECLS
#endif
