/* SPDX-License-Identifier: MIT */
/* Messages in memory, and the answers to them. */

#include "object/message.h"

#include <stdlib.h>
#include <string.h>

#include <ambidext/runtime.h>

#include "base/check.h"
#include "base/rules.h"
#include "object/reply.h"

#define LOG_TOPIC "object.message"
#include "base/log.h"

#define PAD8(size) (((size_t)(size) + 7) & ~(size_t)7)

size_t
OSSpansSize(const struct OSSpan *spans, uint32_t n_spans)
{
	size_t size = 0;
	uint32_t i;

	for (i = 0; i < n_spans; i++) {
		if (spans[i].size > OS_MESSAGE_MAX_CONTENT)
			return SIZE_MAX;
		size += PAD8(spans[i].size);
		if (size > OS_MESSAGE_MAX_CONTENT)
			return SIZE_MAX;
	}
	return size;
}

void
OSSpansGather(void *content, const struct OSSpan *spans, uint32_t n_spans)
{
	uint8_t *p = content;
	uint32_t i;

	for (i = 0; i < n_spans; i++) {
		size_t size = spans[i].size, padded = PAD8(size);

		if (size)
			memcpy(p, spans[i].data, size);
		memset(p + size, 0, padded - size);
		p += padded;
	}
}

void
OSMessageInit(struct OSMessage *message, void *content, uint32_t content_capacity,
	      OS_OBJECT **objects, uint32_t objects_capacity)
{
	*message = (struct OSMessage){
		.content = content,
		.objects = objects,
		.content_capacity = content_capacity,
		.objects_capacity = objects_capacity,
	};
}

static void
release_objects(struct OSMessage *message)
{
	uint32_t i;

	for (i = 0; i < message->n_objects; i++) {
		OSRelease(message->objects[i]);
		message->objects[i] = NULL;
	}
	message->n_objects = 0;
}

void
OSMessageDone(struct OSMessage *message)
{
	release_objects(message);
}

void
OSMessageFree(struct OSMessage *message)
{
	if (!message)
		return;
	if (message->reply)
		OSMessageReply(message, kIOReturnIPCError, NULL, 0, NULL, 0);
	release_objects(message);
	OSRelease((OS_OBJECT *)message->action);
	OSRelease(message->target);
	if (message->dispose)
		message->dispose(message);
	else
		free(message);
}

bool
OSMessageFill(struct OSMessage *message, IOReturn status, const struct OSSpan *spans,
	      uint32_t n_spans, OS_OBJECT *const *objects, uint32_t n_objects)
{
	size_t size = OSSpansSize(spans, n_spans);
	uint32_t i;

	if (size > message->content_capacity || n_objects > message->objects_capacity) {
		message->status = kIOReturnIPCError;
		return false;
	}
	message->status = status;
	message->content_size = (uint32_t)size;
	/* The caller's buffer, given to OSMessageInit as writable. */
	OSSpansGather((void *)(uintptr_t)message->content, spans, n_spans);
	for (i = 0; i < n_objects; i++) {
		OSRetain(objects[i]);
		message->objects[i] = objects[i];
	}
	message->n_objects = n_objects;
	return true;
}

struct OSMessage *
OSMessageFromCall(const struct OSCall *call, struct OSReply *reply)
{
	size_t size = OSSpansSize(call->spans, call->n_spans);
	size_t objects_at = PAD8(sizeof(struct OSMessage));
	size_t content_at = objects_at + PAD8(call->n_objects * sizeof(OS_OBJECT *));
	struct OSMessage *message;
	uint8_t *block;
	uint32_t i;

	adxi_assert(size != SIZE_MAX && call->n_objects <= OS_MESSAGE_MAX_OBJECTS);
	block = calloc(1, content_at + size);
	if (!block)
		return NULL;
	message = (struct OSMessage *)(void *)block;
	message->method = call->method;
	message->flags = reply ? 0 : OS_MESSAGE_ONEWAY;
	message->content_size = (uint32_t)size;
	message->content = block + content_at;
	message->n_objects = call->n_objects;
	message->objects = (OS_OBJECT **)(void *)(block + objects_at);
	OSSpansGather(block + content_at, call->spans, call->n_spans);
	for (i = 0; i < call->n_objects; i++) {
		OSRetain(call->objects[i]);
		message->objects[i] = call->objects[i];
	}
	OSRetain(call->target);
	message->target = call->target;
	message->reply = reply;
	return message;
}

const void *
OSMessageRead(const struct OSMessage *message, uint32_t *cursor, size_t size)
{
	uint32_t at = *cursor;

	if (at > message->content_size || size > message->content_size - at ||
	    PAD8(size) > message->content_size - at)
		return NULL;
	*cursor = at + (uint32_t)PAD8(size);
	return message->content + at;
}

bool
OSMessageObject(const struct OSMessage *message, uint32_t index, const struct OSMetaClass *meta,
		OS_OBJECT **ret_object)
{
	OS_OBJECT *object;

	if (index >= message->n_objects)
		return false;
	object = message->objects[index];
	if (object && !OSMetaClassIsKindOf(object->meta, meta))
		return false;
	*ret_object = object;
	return true;
}

/* ---------------------------------------------------------------------------------------------
 * Replies
 */

void
OSReplySend(struct OSReply *reply, IOReturn status, const struct OSSpan *spans, uint32_t n_spans,
	    OS_OBJECT *const *objects, uint32_t n_objects)
{
	if (reply)
		reply->send(reply, status, spans, n_spans, objects, n_objects);
}

void
OSMessageReply(struct OSMessage *message, IOReturn status, const struct OSSpan *spans,
	       uint32_t n_spans, OS_OBJECT *const *objects, uint32_t n_objects)
{
	struct OSReply *reply = message->reply;

	message->reply = NULL;
	OSReplySend(reply, status, spans, n_spans, objects, n_objects);
}

/* Requests whose implementation runs on this thread, innermost last: an implementation may make
 * calls that run inline. Deeper ones than the stack holds cannot be deferred. */
enum { REPLY_STACK = 32 };
static _Thread_local struct {
	struct OSMessage *messages[REPLY_STACK];
	unsigned depth;
} reply_current;

void
OSReplyCurrent(struct OSMessage *message)
{
	if (!message) {
		if (reply_current.depth)
			reply_current.depth--;
		return;
	}
	if (reply_current.depth < REPLY_STACK)
		reply_current.messages[reply_current.depth] = message;
	reply_current.depth++;
}

struct OSReply *
OSReplyDefer(void)
{
	struct OSMessage *message;
	struct OSReply *reply;

	if (!reply_current.depth || reply_current.depth > REPLY_STACK)
		return NULL;
	message = reply_current.messages[reply_current.depth - 1];
	reply = message->reply;
	message->reply = NULL;
	if (reply)
		reply->deferred = true;
	return reply;
}

/* ---------------------------------------------------------------------------------------------
 * What stubs tell
 */

void
OSToldOverrun(const char *method, const char *parameter, uint64_t count, uint64_t bound)
{
	/* The one void method of the frameworks that drivers meet with: it has a rule of its own. */
	if (!strcmp(method, "IOUserClient::AsyncCompletion"))
		(void)adxi_tell(ADXI_RULE_T14, "%s with %llu words, of which it carries %llu: dropped", method,
				(unsigned long long)count, (unsigned long long)bound);
	else
		(void)adxi_tell(ADXI_RULE_T42, "%s: %s is %llu, the .iig allows %llu", method, parameter,
				(unsigned long long)count, (unsigned long long)bound);
}

void
OSToldTruncated(const char *method, const char *parameter, size_t length, size_t bound)
{
	(void)adxi_tell(ADXI_RULE_T42, "%s: %s was cut from %zu to %zu bytes", method, parameter,
			length, bound ? bound - 1 : 0);
}

void
OSToldWrongClass(const char *method, const char *parameter, const OS_OBJECT *object,
		 const struct OSMetaClass *wanted)
{
	(void)adxi_tell(ADXI_RULE_T43, "%s: %s is of class %s, expected %s", method, parameter,
			object ? object->meta->name : "NULL", wanted->name);
}

void
OSToldWrongAction(const struct OSMethod *method, const OS_OBJECT *action)
{
	(void)adxi_tell(ADXI_RULE_T33,
			"action type %s was delivered to %s, which expects %s: dropped",
			action ? action->meta->name : "NULL", method->name,
			method->action_type && *method->action_type ? (*method->action_type)->name
								    : "OSAction");
}

void
OSToldMalformed(const struct OSMethod *method, const char *what)
{
	(void)adxi_tell(ADXI_RULE_MSG001, "message for %s: %s: dropped", method->name, what);
}
