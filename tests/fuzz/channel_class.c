/* SPDX-License-Identifier: MIT */
#include "channel_class.h"

#include "fuzz.h"

#define HELD 16u

struct fuzz_object {
	struct OSObject super;
	OS_OBJECT *kept;            /* owned */
	struct OSReply *held[HELD]; /* owned */
	unsigned n_held;
};

unsigned fuzz_objects_alive, fuzz_calls_begun, fuzz_calls_ended;

static void
object_free(OSObject *self)
{
	struct fuzz_object *object = (struct fuzz_object *)self;

	if (!((OS_OBJECT *)self)->remote) {
		fuzz_object_unhold((OS_OBJECT *)self);
		OSRelease(object->kept);
		fuzz_objects_alive--;
	}
	OSObject_free_Impl(self);
}

static void
called(void *context, IOReturn status, const struct OSMessage *reply)
{
	(void)context;
	(void)status;
	/* What came is whole: counts and memory fit each other. */
	for (uint32_t i = 0; reply && i < reply->n_objects; i++)
		if (reply->objects[i])
			FUZZ_CHECK(reply->objects[i]->meta);
	fuzz_calls_ended++;
}

void
fuzz_object_call(OS_OBJECT *target, const void *bytes, size_t size, OS_OBJECT *const *objects, unsigned n_objects)
{
	struct OSSpan span = { bytes, size };
	struct OSCall call = {
		.target = target,
		.method = FUZZ_ECHO,
		.spans = &span,
		.n_spans = 1,
		.objects = objects,
		.n_objects = n_objects,
		.name = "fuzz",
	};

	if (target && OSIsRemote(target) && OSInvokeAsync(&call, called, NULL) == kIOReturnSuccess)
		fuzz_calls_begun++;
}

static void
answer(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	struct fuzz_object *object = (struct fuzz_object *)self;
	struct OSSpan span = { message->content, message->content_size };
	OS_OBJECT *first = message->n_objects > 0 ? message->objects[0] : NULL;

	switch (method->id) {
	case FUZZ_ECHO:
		OSMessageReply(message, kIOReturnSuccess, &span, 1, message->objects, message->n_objects);
		break;
	case FUZZ_KEEP:
		/* Objects of its own class could keep each other for ever. */
		if (first && !OSIsRemote(first) && OSMetaClassCast(first, &fuzz_class))
			first = NULL;
		OSRetain(first);
		OSRelease(object->kept);
		object->kept = first;
		OSMessageReply(message, kIOReturnSuccess, NULL, 0, NULL, 0);
		break;
	case FUZZ_GET:
		OSMessageReply(message, kIOReturnSuccess, NULL, 0, &object->kept, 1);
		break;
	case FUZZ_HOLD:
		if (object->n_held == HELD)
			break; /* who frees it answers */
		object->held[object->n_held++] = message->reply;
		message->reply = NULL;
		break;
	case FUZZ_CALL:
		fuzz_object_call(first, message->content, message->content_size, message->objects, message->n_objects);
		OSMessageReply(message, kIOReturnSuccess, NULL, 0, NULL, 0);
		break;
	case FUZZ_POST:
		break;
	default:
		OSMessageReply(message, kIOReturnSuccess, NULL, 0, NULL, 0);
		break;
	}
}

void
fuzz_object_unhold(OS_OBJECT *self)
{
	struct fuzz_object *object = (struct fuzz_object *)self;

	while (object->n_held > 0)
		OSReplySend(object->held[--object->n_held], kIOReturnSuccess, NULL, 0, NULL, 0);
}

static void
implemented(void)
{
}

#define METHOD(number, how) { .id = (number), .name = #number, .impl = implemented, .invoke = answer, .flags = (how) }
static const struct OSMethod methods[] = {
	METHOD(FUZZ_NULL, 0), METHOD(FUZZ_ECHO, 0), METHOD(FUZZ_POST, OS_METHOD_ONEWAY), METHOD(FUZZ_KEEP, 0),
	METHOD(FUZZ_GET, 0),  METHOD(FUZZ_HOLD, 0), METHOD(FUZZ_CALL, 0),
};

static struct OSObject_Ops ops = { .free = object_free };

struct OSMetaClass fuzz_class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_CAN_REMOTE,
	.name = "FuzzObject",
	.super = &OSObject_Class,
	.instance_size = sizeof(struct fuzz_object),
	.ops_size = sizeof(ops),
	.ops = (void **)&ops,
	.methods = methods,
	.n_methods = sizeof(methods) / sizeof(methods[0]),
};

OS_OBJECT *
fuzz_object_new(void)
{
	OS_OBJECT *object;

	OSMetaClassRegister(&fuzz_class);
	object = OSMetaClassAllocate(&fuzz_class);
	FUZZ_CHECK(object);
	fuzz_objects_alive++;
	return object;
}
