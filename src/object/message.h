/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_MESSAGE_H
#define OBJECT_MESSAGE_H

/**
 * @file object/message.h
 * @brief Between the files of src/object, and for src/channel: how a call becomes a message.
 */

#include <ambidext/class.h>

/* What OSSetRuntime() set; zeroed before: everything runs inline. */
extern struct OSRuntime os_runtime;

/** Bytes that spans take in a message: each padded to 8. SIZE_MAX: more than
 * OS_MESSAGE_MAX_CONTENT. */
size_t OSSpansSize(const struct OSSpan *spans, uint32_t n_spans);
/** Copy them there, padding zeroed. */
void OSSpansGather(void *content, const struct OSSpan *spans, uint32_t n_spans);

/**
 * Fill a reply's buffers (OSMessageInit) from an answer: objects retained.
 * False: more than the caller's buffers hold; nothing is taken, status is kIOReturnIPCError.
 */
bool OSMessageFill(struct OSMessage *message, IOReturn status, const struct OSSpan *spans,
		   uint32_t n_spans, OS_OBJECT *const *objects, uint32_t n_objects);

/** A request in one block of memory, as @p call says; target and objects retained. @p reply: NULL
 * or owned by the message on success. NULL: no memory. The call's sizes have been checked. */
struct OSMessage *OSMessageFromCall(const struct OSCall *call, struct OSReply *reply);

/** @p object carries OS_OBJECT_DEAD: tell rule T11. @p what: "Class::Method" that was called on it. */
void object_tell_dead(const OS_OBJECT *object, const char *what);

#endif /* OBJECT_MESSAGE_H */
