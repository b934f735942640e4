/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_FUZZ_H
#define AMBIDEXT_FUZZ_H

/**
 * @file ambidext/fuzz.h
 * @brief What the fuzz targets that `iig --emit-fuzzer` writes share. Not for people; one such target a program.
 *
 *   caller's stub --OSInvoke--> the request, changed --Invoke--> implementation --OSMessageReply--> the reply, changed --> stub
 *
 * The program is caller and peer in one: it defines the four functions through which messages leave, so the glue that
 * is linked with it talks to itself. Arguments, what the implementation answers, and how the messages are changed on their
 * way come from the input. Memory on the way is exactly as large as the message. What must hold is checked with IIG_FUZZ_CHECK:
 * one answer for each request, no reference lost or given twice, outputs untouched unless the call succeeded, objects of
 * their class, counts within their bounds.
 */

#ifndef __cplusplus /* C alone: it looks into objects */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ambidext/class.h>
#include <ambidext/runtime.h>

extern struct OSMetaClass OSObject_Class;

#define IIG_FUZZ_CHECK(expr)                                                                       \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			fprintf(stderr, "%s:%d: not so in %s: %s\n", __FILE__, __LINE__,           \
				iig_fuzz_now ? iig_fuzz_now->record->name : "no method", #expr);   \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define IIG_FUZZ_MARK	 0xa5u /* bytes of outputs before the call */
#define IIG_FUZZ_REFS	 1000  /* references of each object before and after */
#define IIG_FUZZ_OBJECTS 48u
#define IIG_FUZZ_CALLS	 8u    /* an input */

struct iig_fuzz_method {
	const struct OSMethod *record; /* with an implementation of the target's own */
	const struct OSMetaClass *self, *target; /* of the object that it runs on, and of what is called */
	void (*call)(OS_OBJECT *target);
};

static const struct iig_fuzz_method *iig_fuzz_now;
static const struct OSMetaClass *const *iig_fuzz_classes;
static unsigned iig_fuzz_n_classes;
static const uint8_t *iig_fuzz_at, *iig_fuzz_end;
static OS_OBJECT *iig_fuzz_objects[IIG_FUZZ_OBJECTS]; /* owned: given to anyone, counted at the end */
static unsigned iig_fuzz_n_objects;
static unsigned iig_fuzz_answers;
static volatile uint8_t iig_fuzz_sink;

/* ---------------------------------------------------------------------------------------------
 * The input
 */

static inline uint8_t
iig_fuzz_byte(void)
{
	return iig_fuzz_at < iig_fuzz_end ? *iig_fuzz_at++ : 0;
}

static inline unsigned
iig_fuzz_below(unsigned n)
{
	unsigned value = iig_fuzz_byte();

	if (n > 256)
		value |= (unsigned)iig_fuzz_byte() << 8;
	return n ? value % n : 0;
}

/** At most 64 bytes from the input, then zeros: large arrays need no large inputs. */
static inline void
iig_fuzz_fill(void *to, size_t size)
{
	size_t left = (size_t)(iig_fuzz_end - iig_fuzz_at), n = size < 64 ? size : 64;

	n = n < left ? n : left;
	memset(to, 0, size);
	if (n > 0)
		memcpy(to, iig_fuzz_at, n);
	iig_fuzz_at += n;
}

/** A string of up to @p size - 1 bytes. */
static inline void
iig_fuzz_string(char *to, size_t size)
{
	size_t n = iig_fuzz_below(size < 65536 ? (unsigned)size : 65535u);

	memset(to, 'x', size);
	iig_fuzz_fill(to, n < 16 ? n : 16);
	to[n] = '\0';
}

/** Every byte can be read. */
static inline void
iig_fuzz_touch(const void *from, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)from;
	uint8_t sum = 0;

	while (size--)
		sum ^= *bytes++;
	iig_fuzz_sink = sum;
}

static inline bool
iig_fuzz_is_marked(const void *from, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)from;

	while (size--)
		if (*bytes++ != IIG_FUZZ_MARK)
			return false;
	return true;
}

static inline IOReturn
iig_fuzz_status(void)
{
	const uint8_t what = iig_fuzz_byte();

	return what < 200 ? kIOReturnSuccess : (IOReturn)(kIOReturnError + what);
}

/* ---------------------------------------------------------------------------------------------
 * Objects
 */

static inline OS_OBJECT *
iig_fuzz_allocate(const struct OSMetaClass *meta)
{
	OS_OBJECT *object;

	if (iig_fuzz_n_objects == IIG_FUZZ_OBJECTS)
		return NULL;
	object = OSMetaClassAllocate(meta);
	IIG_FUZZ_CHECK(object);
	object->refcount = IIG_FUZZ_REFS;
	object->flags |= OS_OBJECT_INITIALISED;
	iig_fuzz_objects[iig_fuzz_n_objects++] = object;
	return object;
}

/** Borrowed: of @p meta, mostly; of another class, or NULL. */
static inline OS_OBJECT *
iig_fuzz_object(const struct OSMetaClass *meta)
{
	const uint8_t what = iig_fuzz_byte();

	if (what < 160)
		return iig_fuzz_allocate(meta);
	if (what < 200)
		return NULL;
	return iig_fuzz_allocate(iig_fuzz_classes[what % iig_fuzz_n_classes]);
}

static inline void
iig_fuzz_is(const OS_OBJECT *object, const struct OSMetaClass *meta)
{
	IIG_FUZZ_CHECK(!object || OSMetaClassIsKindOf(object->meta, meta));
}

static inline void
iig_fuzz_objects_done(void)
{
	while (iig_fuzz_n_objects > 0) {
		OS_OBJECT *object = iig_fuzz_objects[--iig_fuzz_n_objects];

		IIG_FUZZ_CHECK(object->refcount == IIG_FUZZ_REFS);
		object->remote = NULL;
		OSMetaClassDeallocate(object);
	}
}

/* ---------------------------------------------------------------------------------------------
 * Messages
 */

struct iig_fuzz_message {
	uint8_t *content; /* owned, exactly size bytes */
	uint32_t size, n_objects;
	OS_OBJECT *objects[OS_MESSAGE_MAX_OBJECTS]; /* references of their own */
	IOReturn status;
};

static struct iig_fuzz_message iig_fuzz_reply;

static inline void
iig_fuzz_message_done(struct iig_fuzz_message *message)
{
	for (uint32_t i = 0; i < message->n_objects; i++)
		OSRelease(message->objects[i]);
	free(message->content);
	memset(message, 0, sizeof *message);
}

static inline void
iig_fuzz_gather(struct iig_fuzz_message *message, const struct OSSpan *spans, uint32_t n_spans, OS_OBJECT *const *objects,
		uint32_t n_objects)
{
	size_t size = 0;
	uint8_t *to;

	for (uint32_t i = 0; i < n_spans; i++)
		size += (spans[i].size + 7) & ~(size_t)7;
	IIG_FUZZ_CHECK(size <= OS_MESSAGE_MAX_CONTENT && n_objects <= OS_MESSAGE_MAX_OBJECTS);
	message->size = (uint32_t)size;
	message->content = to = (uint8_t *)calloc(1, size ? size : 1);
	IIG_FUZZ_CHECK(to);
	for (uint32_t i = 0; i < n_spans; i++) {
		if (spans[i].size > 0)
			memcpy(to, spans[i].data, spans[i].size);
		to += (spans[i].size + 7) & ~(size_t)7;
	}
	for (message->n_objects = 0; message->n_objects < n_objects; message->n_objects++) {
		message->objects[message->n_objects] = objects[message->n_objects];
		OSRetain(objects[message->n_objects]);
	}
}

/* What a peer may send in the place of what was meant: other bytes, more, fewer, other objects. The channel lets only
 * multiples of 8 through. */
static inline void
iig_fuzz_change(struct iig_fuzz_message *message)
{
	for (unsigned n = iig_fuzz_below(8); n > 0 && n < 4; n--) {
		const uint8_t what = iig_fuzz_byte();
		uint32_t at = iig_fuzz_below(message->size + 1), i;
		uint32_t size = message->size;

		switch (what % 8) {
		case 0: /* cut off */
			size = at & ~7u;
			break;
		case 1: /* longer */
			size += 8 * (1 + iig_fuzz_below(8));
			break;
		case 2: /* something else altogether */
			size = 8 * iig_fuzz_below(64);
			break;
		case 3: /* fewer objects */
			if (message->n_objects > 0)
				OSRelease(message->objects[--message->n_objects]);
			break;
		case 4: /* more of them */
			if (message->n_objects < OS_MESSAGE_MAX_OBJECTS) {
				OS_OBJECT *object = iig_fuzz_object(&OSObject_Class);

				OSRetain(object);
				message->objects[message->n_objects++] = object;
			}
			break;
		case 5: /* another one */
			if (message->n_objects > 0) {
				i = at % message->n_objects;
				OSRelease(message->objects[i]);
				message->objects[i] = iig_fuzz_object(&OSObject_Class);
				OSRetain(message->objects[i]);
			}
			break;
		default: /* up to 8 bytes */
			for (i = 0; i < 1u + what / 32 && at + i < size; i++)
				message->content[at + i] = iig_fuzz_byte();
			break;
		}
		if (size != message->size) {
			uint8_t *content = (uint8_t *)calloc(1, size ? size : 1);

			IIG_FUZZ_CHECK(content);
			if (what % 8 == 2)
				iig_fuzz_fill(content, size);
			else
				memcpy(content, message->content, size < message->size ? size : message->size);
			free(message->content);
			message->content = content;
			message->size = size;
		}
	}
}

/* The four ways out of the glue. */

void
OSReplySend(struct OSReply *reply, IOReturn status, const struct OSSpan *spans, uint32_t n_spans, OS_OBJECT *const *objects,
	    uint32_t n_objects)
{
	IIG_FUZZ_CHECK(reply && iig_fuzz_answers++ == 0);
	iig_fuzz_gather(&iig_fuzz_reply, spans, n_spans, objects, n_objects);
	iig_fuzz_reply.status = status;
}

void
OSMessageReply(struct OSMessage *message, IOReturn status, const struct OSSpan *spans, uint32_t n_spans,
	       OS_OBJECT *const *objects, uint32_t n_objects)
{
	struct OSReply *reply = message->reply;

	message->reply = NULL;
	if (reply)
		OSReplySend(reply, status, spans, n_spans, objects, n_objects);
}

/* The request, on the other side. What it answers is in iig_fuzz_reply. */
static inline void
iig_fuzz_deliver(const struct OSCall *call, bool one_way)
{
	uint64_t reply[8] = { 0 }; /* as large as any struct OSReply, which is opaque here */
	struct iig_fuzz_message request;
	struct OSMessage message;
	OS_OBJECT *self = iig_fuzz_allocate(iig_fuzz_now->self);

	memset(&request, 0, sizeof request);
	iig_fuzz_gather(&request, call->spans, call->n_spans, call->objects, call->n_objects);
	iig_fuzz_change(&request);
	memset(&message, 0, sizeof message);
	message.method = iig_fuzz_now->record->id;
	message.flags = one_way ? OS_MESSAGE_ONEWAY : 0;
	message.content = request.content;
	message.content_size = request.size;
	message.objects = request.objects;
	message.n_objects = request.n_objects;
	message.target = self;
	if (iig_fuzz_now->record->flags & OS_METHOD_TARGET)
		message.action = (OSAction *)iig_fuzz_object(
			iig_fuzz_now->record->action_type ? *iig_fuzz_now->record->action_type : iig_fuzz_now->target);
	/* Only actions are invoked through: a channel sees to it. */
	if (message.action && !OSMetaClassIsKindOf(((OS_OBJECT *)message.action)->meta, iig_fuzz_now->target))
		message.action = NULL;
	message.reply = one_way ? NULL : (struct OSReply *)(void *)reply;
	iig_fuzz_answers = 0;
	if (self)
		iig_fuzz_now->record->invoke(self, iig_fuzz_now->record, &message);
	else
		OSMessageReply(&message, kIOReturnNoMemory, NULL, 0, NULL, 0);
	IIG_FUZZ_CHECK(iig_fuzz_answers == (one_way ? 0 : 1));
	request.n_objects = message.n_objects;
	iig_fuzz_message_done(&request);
}

IOReturn
OSInvoke(const struct OSCall *call, struct OSMessage *ret_reply)
{
	IOReturn status = kIOReturnSuccess;

	iig_fuzz_deliver(call, !ret_reply);
	if (!ret_reply)
		return kIOReturnSuccess;
	if (iig_fuzz_reply.status == kIOReturnSuccess)
		iig_fuzz_change(&iig_fuzz_reply);
	status = iig_fuzz_reply.status;
	if (iig_fuzz_reply.size > ret_reply->content_capacity || iig_fuzz_reply.n_objects > ret_reply->objects_capacity) {
		status = kIOReturnIPCError; /* as the channel does */
	} else {
		if (iig_fuzz_reply.size > 0)
			memcpy((void *)(uintptr_t)ret_reply->content, iig_fuzz_reply.content, iig_fuzz_reply.size);
		ret_reply->content_size = iig_fuzz_reply.size;
		if (iig_fuzz_reply.n_objects > 0)
			memcpy(ret_reply->objects, iig_fuzz_reply.objects, iig_fuzz_reply.n_objects * sizeof(OS_OBJECT *));
		ret_reply->n_objects = iig_fuzz_reply.n_objects;
		iig_fuzz_reply.n_objects = 0; /* the references are the stub's now */
	}
	ret_reply->status = status;
	iig_fuzz_message_done(&iig_fuzz_reply);
	return status;
}

IOReturn
OSInvokeAsync(const struct OSCall *call, OSInvokeDone *done, void *context)
{
	struct iig_fuzz_message taken;
	struct OSMessage reply;

	iig_fuzz_deliver(call, false);
	iig_fuzz_change(&iig_fuzz_reply);
	taken = iig_fuzz_reply;
	memset(&iig_fuzz_reply, 0, sizeof iig_fuzz_reply);
	memset(&reply, 0, sizeof reply);
	reply.status = taken.status;
	reply.content = taken.content;
	reply.content_size = taken.size;
	reply.objects = taken.objects;
	reply.n_objects = taken.n_objects;
	done(context, taken.status, &reply);
	iig_fuzz_message_done(&taken);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * One input: up to IIG_FUZZ_CALLS calls, each: which method, then what it asks for
 */

static inline void
iig_fuzz_run(const struct iig_fuzz_method *methods, unsigned n_methods, const struct OSMetaClass *const *classes,
	     unsigned n_classes, const uint8_t *bytes, size_t size)
{
	static struct OSRemote *const elsewhere = (struct OSRemote *)(void *)&iig_fuzz_reply; /* never followed */

	iig_fuzz_classes = classes;
	iig_fuzz_n_classes = n_classes;
	iig_fuzz_at = bytes;
	iig_fuzz_end = bytes + size;
	for (unsigned i = 0; i < IIG_FUZZ_CALLS && iig_fuzz_at < iig_fuzz_end; i++) {
		OS_OBJECT *target;

		iig_fuzz_now = &methods[iig_fuzz_below(n_methods)];
		target = iig_fuzz_allocate(iig_fuzz_now->target);
		target->remote = elsewhere;
		iig_fuzz_now->call(target);
		target->remote = NULL;
		iig_fuzz_objects_done();
		iig_fuzz_now = NULL;
	}
}

#endif /* __cplusplus */
#endif /* AMBIDEXT_FUZZ_H */
