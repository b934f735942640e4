/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include <DriverKit/OSAction.h>
#include <DriverKit/OSObject.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*fake_request)(struct OSMessage *message, uint8_t *content);
void (*fake_reply)(struct OSMessage *message, uint8_t *content);
unsigned fake_malformed, fake_overrun, fake_truncated, fake_wrong_class, fake_wrong_action;
char fake_what[256];
const char *fake_queue;
unsigned fake_objects;
struct OSReply *fake_deferred;

/* ---------------------------------------------------------------------------------------------
 * Classes and objects
 */

void
OSMetaClassRegister(struct OSMetaClass *meta)
{
	if ((meta->flags & OS_CLASS_REGISTERED) != 0)
		return;
	meta->flags |= OS_CLASS_REGISTERED;
	if (meta->super == NULL)
		return;
	OSMetaClassRegister(meta->super);
	for (size_t i = 0; i < meta->super->ops_size / sizeof(void *); i++)
		if (meta->ops[i] == NULL)
			meta->ops[i] = meta->super->ops[i];
}

bool
OSMetaClassIsKindOf(const struct OSMetaClass *meta, const struct OSMetaClass *ancestor)
{
	while (meta != NULL && meta != ancestor)
		meta = meta->super;
	return meta != NULL;
}

OS_OBJECT *
OSMetaClassAllocate(const struct OSMetaClass *meta)
{
	OS_OBJECT *object = calloc(1, meta->instance_size);
	const struct OSMetaClass *c = meta;

	if (object == NULL)
		return NULL;
	while (c != NULL && c->construct == NULL)
		c = c->super;
	if (c != NULL)
		c->construct(object);
	object->meta = meta;
	object->refcount = 1;
	fake_objects++;
	return object;
}

kern_return_t
OSObjectAllocate(const struct OSMetaClass *meta, OSObject **ret)
{
	*ret = (OSObject *)OSMetaClassAllocate(meta);
	return *ret != NULL ? kIOReturnSuccess : kIOReturnNoMemory;
}

void
OSRetain(const OS_OBJECT *object)
{
	if (object != NULL)
		((OS_OBJECT *)object)->refcount++;
}

void
OSRelease(const OS_OBJECT *object)
{
	if (object != NULL && --((OS_OBJECT *)object)->refcount == 0) {
		if (object->remote != NULL)
			OSMetaClassDeallocate((OS_OBJECT *)object);
		else
			OSObject_free((OSObject *)object);
	}
}

void
OSMetaClassDeallocate(OS_OBJECT *object)
{
	const struct OSMetaClass *c = object->meta;

	while (c != NULL && c->destruct == NULL)
		c = c->super;
	if (c != NULL)
		c->destruct(object);
	free(object);
	fake_objects--;
}

OS_OBJECT *
OSMetaClassCast(const OS_OBJECT *object, const struct OSMetaClass *meta)
{
	return object != NULL && OSMetaClassIsKindOf(object->meta, meta) ? (OS_OBJECT *)object
									 : NULL;
}

const struct OSMethod *
OSMetaClassFindMethod(const struct OSMetaClass *meta, uint64_t id)
{
	const struct OSMethod *declared = NULL;

	for (; meta != NULL; meta = meta->super) {
		uint32_t low = 0, high = meta->n_methods;

		while (low < high) {
			uint32_t middle = (low + high) / 2;
			const struct OSMethod *m = &meta->methods[middle];

			if (m->id == id) {
				if (m->impl != NULL)
					return m;
				declared = m;
			}
			if (m->id < id)
				low = middle + 1;
			else
				high = middle;
		}
	}
	return declared;
}

void (*OSMetaClassImplementation(const struct OSMetaClass *from, uint64_t id))(void)
{
	const struct OSMethod *method = OSMetaClassFindMethod(from, id);

	return method != NULL ? method->impl : NULL;
}

const struct OSMetaClass *
OSDispatchClass(OS_OBJECT *self, OSDispatchMethod supermethod)
{
	const struct OSMetaClass *meta = NULL;
	IORPC rpc = {.ret_class = &meta};

	supermethod(self, rpc);
	return meta;
}

OS_OBJECT *
fake_proxy(OS_OBJECT *real)
{
	OS_OBJECT *proxy = OSMetaClassAllocate(real->meta);

	proxy->remote = (struct OSRemote *)(void *)real;
	return proxy;
}

/* What OSObject and OSAction need of their library. */
bool
OSObject_init_Impl(OSObject *self)
{
	return self != NULL;
}

void
OSObject_free_Impl(OSObject *self)
{
	OSMetaClassDeallocate((OS_OBJECT *)self);
}

bool
OSObject_isEqualTo_Impl(const OSObject *self, const OSMetaClassBase *object)
{
	return (const OSMetaClassBase *)self == object;
}

kern_return_t
OSObject_SetDispatchQueue_Impl(OSObject *self, const IODispatchQueueName name,
			       IODispatchQueue *queue)
{
	return name[0] != '\0' && queue == NULL ? kIOReturnSuccess : kIOReturnBadArgument;
}

void
OSAction_free_Impl(OSAction *self)
{
	OSObject_free_Impl((OSObject *)self);
}

/* In the fake an action's target and method are kept in what OSAction has for its ivars. */
struct OSAction_IVars {
	OS_OBJECT *target;
	uint64_t method;
};

kern_return_t
OSAction_CreateOfClass(const struct OSMetaClass *type, OSObject *target, uint64_t target_method,
		       uint64_t method, size_t reference_size, OSAction **action)
{
	static struct OSAction_IVars ivars;

	ivars.target = (OS_OBJECT *)target;
	ivars.method = target_method;
	*action = (OSAction *)OSMetaClassAllocate(type);
	(*action)->ivars = &ivars;
	return method != 0 && reference_size == 0 ? kIOReturnSuccess : kIOReturnBadArgument;
}

extern struct OSMetaClass IODispatchQueue_Class;
struct OSMetaClass IODispatchQueue_Class = {
	.abi = OS_METACLASS_ABI, .name = "IODispatchQueue", .super = &OSObject_Class};

/* ---------------------------------------------------------------------------------------------
 * Messages
 */

struct OSReply {
	struct OSMessage *into; /* the caller's, borrowed; NULL: asynchronous */
	OSInvokeDone *done;
	void *context;
};

void
OSMessageInit(struct OSMessage *message, void *content, uint32_t content_capacity,
	      OS_OBJECT **objects, uint32_t objects_capacity)
{
	memset(message, 0, sizeof *message);
	message->content = content;
	message->content_capacity = content_capacity;
	message->objects = objects;
	message->objects_capacity = objects_capacity;
}

void
OSMessageDone(struct OSMessage *message)
{
	for (uint32_t i = 0; i < message->n_objects; i++) {
		OSRelease(message->objects[i]);
		message->objects[i] = NULL;
	}
	message->n_objects = 0;
}

const void *
OSMessageRead(const struct OSMessage *message, uint32_t *cursor, size_t size)
{
	const uint8_t *data = message->content + *cursor;
	size_t padded = (size + 7) & ~(size_t)7;

	if (padded < size || padded > message->content_size - *cursor)
		return NULL;
	*cursor += (uint32_t)padded;
	return data;
}

bool
OSMessageObject(const struct OSMessage *message, uint32_t index, const struct OSMetaClass *meta,
		OS_OBJECT **ret_object)
{
	if (index >= message->n_objects)
		return false;
	OS_OBJECT *object = message->objects[index];

	if (object != NULL && OSMetaClassCast(object, meta) == NULL)
		return false;
	*ret_object = object;
	return true;
}

static uint8_t *
gather(const struct OSSpan *spans, uint32_t n_spans, uint32_t *ret_size)
{
	size_t size = 0;

	for (uint32_t i = 0; i < n_spans; i++)
		size += (spans[i].size + 7) & ~(size_t)7;
	uint8_t *content = calloc(1, size + FAKE_SLACK), *at = content;

	for (uint32_t i = 0; i < n_spans; i++) {
		if (spans[i].size > 0)
			memcpy(at, spans[i].data, spans[i].size);
		at += (spans[i].size + 7) & ~(size_t)7;
	}
	*ret_size = (uint32_t)size;
	return content;
}

/* Memory of exactly the message's size: the sanitizer sees a read past its end. */
static uint8_t *
exact(uint8_t *content, uint32_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);

	memcpy(copy, content, size);
	free(content);
	return copy;
}

void
OSReplySend(struct OSReply *reply, IOReturn status, const struct OSSpan *spans, uint32_t n_spans,
	    OS_OBJECT *const *objects, uint32_t n_objects)
{
	if (reply == NULL)
		return;
	struct OSMessage answer = {.status = status};
	OS_OBJECT *list[OS_MESSAGE_MAX_OBJECTS] = {NULL};
	uint8_t *content = gather(spans, n_spans, &answer.content_size);

	answer.objects = list;
	for (answer.n_objects = 0; answer.n_objects < n_objects; answer.n_objects++) {
		list[answer.n_objects] = objects[answer.n_objects];
		OSRetain(list[answer.n_objects]);
	}
	if (fake_reply != NULL && status == kIOReturnSuccess)
		fake_reply(&answer, content);
	content = exact(content, answer.content_size);
	answer.content = content;
	if (reply->done != NULL) {
		reply->done(reply->context, status, &answer);
		OSMessageDone(&answer);
	} else if (answer.content_size > reply->into->content_capacity ||
		   answer.n_objects > reply->into->objects_capacity) {
		reply->into->status = kIOReturnIPCError;
		OSMessageDone(&answer);
	} else {
		if (answer.content_size > 0)
			memcpy((uint8_t *)(uintptr_t)reply->into->content, content,
			       answer.content_size);
		reply->into->content_size = answer.content_size;
		reply->into->status = answer.status;
		reply->into->n_objects = answer.n_objects;
		if (answer.n_objects > 0)
			memcpy(reply->into->objects, list, answer.n_objects * sizeof list[0]);
	}
	free(content);
	free(reply);
}

void
OSMessageReply(struct OSMessage *message, IOReturn status, const struct OSSpan *spans,
	       uint32_t n_spans, OS_OBJECT *const *objects, uint32_t n_objects)
{
	struct OSReply *reply = message->reply;

	message->reply = NULL;
	OSReplySend(reply, status, spans, n_spans, objects, n_objects);
}

static struct OSMessage *current;

void
OSReplyCurrent(struct OSMessage *message)
{
	current = message;
}

struct OSReply *
OSReplyDefer(void)
{
	if (current == NULL)
		return NULL;
	struct OSReply *reply = current->reply;

	current->reply = NULL;
	return reply;
}

static void
deliver(const struct OSCall *call, struct OSReply *reply)
{
	struct OSMessage message = {.method = call->method, .reply = reply};
	OS_OBJECT *list[OS_MESSAGE_MAX_OBJECTS + 1] = {NULL};
	OS_OBJECT *target = call->target->remote != NULL ? (OS_OBJECT *)(void *)call->target->remote
							 : call->target;
	uint64_t id = call->method;
	uint8_t *content = gather(call->spans, call->n_spans, &message.content_size);

	message.objects = list;
	for (; message.n_objects < call->n_objects; message.n_objects++) {
		list[message.n_objects] = call->objects[message.n_objects];
		OSRetain(list[message.n_objects]);
	}
	if ((call->flags & OS_METHOD_TARGET) != 0) {
		message.action = (OSAction *)call->target;
		id = message.action->ivars->method;
		target = message.action->ivars->target;
	}
	if (fake_request != NULL)
		fake_request(&message, content);
	content = exact(content, message.content_size);
	message.content = content;
	const struct OSMethod *method = OSMetaClassFindMethod(target->meta, id);

	if (method != NULL)
		method->invoke(target, method, &message);
	else
		OSMessageReply(&message, kIOReturnUnsupported, NULL, 0, NULL, 0);
	OSMessageDone(&message);
	free(content);
}

IOReturn
OSInvoke(const struct OSCall *call, struct OSMessage *ret_reply)
{
	struct OSReply *reply = NULL;

	if (ret_reply != NULL) {
		reply = calloc(1, sizeof *reply);
		reply->into = ret_reply;
		ret_reply->status = kIOReturnNotResponding;
	}
	deliver(call, reply);
	return ret_reply != NULL ? ret_reply->status : kIOReturnSuccess;
}

IOReturn
OSInvokeAsync(const struct OSCall *call, OSInvokeDone *done, void *context)
{
	struct OSReply *reply = calloc(1, sizeof *reply);

	reply->done = done;
	reply->context = context;
	deliver(call, reply);
	return kIOReturnSuccess;
}

IOReturn
OSRunLocal(OS_OBJECT *target, const struct OSMethod *method, void (*run)(void *frame), void *frame)
{
	(void)target;
	fake_queue = method->queue;
	run(frame);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * What stubs tell
 */

void
OSToldOverrun(const char *method, const char *parameter, uint64_t count, uint64_t bound)
{
	fake_overrun++;
	snprintf(fake_what, sizeof fake_what, "%s %s %llu %llu", method, parameter,
		 (unsigned long long)count, (unsigned long long)bound);
}

void
OSToldTruncated(const char *method, const char *parameter, size_t length, size_t bound)
{
	fake_truncated++;
	snprintf(fake_what, sizeof fake_what, "%s %s %zu %zu", method, parameter, length, bound);
}

void
OSToldWrongClass(const char *method, const char *parameter, const OS_OBJECT *object,
		 const struct OSMetaClass *wanted)
{
	fake_wrong_class++;
	snprintf(fake_what, sizeof fake_what, "%s %s %s %s", method, parameter, object->meta->name,
		 wanted->name);
}

void
OSToldWrongAction(const struct OSMethod *method, const OS_OBJECT *action)
{
	fake_wrong_action++;
	snprintf(fake_what, sizeof fake_what, "%s %s", method->name, action->meta->name);
}

void
OSToldMalformed(const struct OSMethod *method, const char *what)
{
	fake_malformed++;
	snprintf(fake_what, sizeof fake_what, "%s: %s", method->name, what);
}
