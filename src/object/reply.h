/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_REPLY_H
#define OBJECT_REPLY_H

/**
 * @file object/reply.h
 * @brief The way back of a request. Made by whoever made the request, used once, through class.h's functions.
 */

#include <stdbool.h>

#include <ambidext/class.h>

struct OSReply {
	/* Answer and free @p reply. Spans and objects are borrowed. [any] */
	void (*send)(struct OSReply *reply, IOReturn status, const struct OSSpan *spans, uint32_t n_spans,
		     OS_OBJECT *const *objects, uint32_t n_objects);
	bool deferred; /* not answered by the method's return: OSReplyDefer() */
};

#endif /* OBJECT_REPLY_H */
