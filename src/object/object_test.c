/* SPDX-License-Identifier: MIT */
/* Records made by hand, in the shape of iig's glue: a base, a derived class, a proxy, an action
 * that redirects. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <mach/mig_errors.h>
#include <ambidext/runtime.h>

#include "base/rules.h"
#include "object/classes.h"
#include "object/message.h"
#include "object/remote.h"
#include "object/reply.h"

#define BASE(object) ((OSMetaClassBase *)(object))

struct animal {
	struct OSObject super;
	int legs;
};
struct animal_ops {
	struct OSObject_Ops super;
	int (*sound)(struct animal *self);
};
struct dog {
	struct animal super;
	int barks;
};

static int freed_animals, freed_dogs;

static int
animal_sound(struct animal *self)
{
	return self->legs;
}

static void
animal_free(OSObject *self)
{
	freed_animals++;
	/* References taken while it dies change nothing. */
	OSRetain(BASE(self));
	OSRelease(BASE(self));
	assert_false(OSTryRetain(BASE(self)));
	OSObject_free_Impl(self);
}

static void
dog_free(OSObject *self)
{
	freed_dogs++;
	animal_free(self);
}

static int
dog_sound(struct animal *self)
{
	return 100 + animal_sound(self);
}

/* --- methods: add(a) -> a + legs; note(object), one-way; later() answers when it is told to */

enum { ID_ADD = 10, ID_NOTE = 20, ID_LATER = 30, ID_KERNEL = 40 };

static uint64_t noted;
static OSAction *noted_action;
static struct OSReply *kept;

static void
invoke_add(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	typedef int (*impl_fn)(struct animal * self, int value);
	uint32_t cursor = 0;
	const uint64_t *in = OSMessageRead(message, &cursor, sizeof *in);
	uint64_t out;

	if (!in || cursor != message->content_size) {
		OSToldMalformed(method, "its size");
		OSMessageReply(message, kIOReturnBadArgument, NULL, 0, NULL, 0);
		return;
	}
	out = (uint64_t)((impl_fn)method->impl)((struct animal *)self, (int)*in);
	OSMessageReply(message, kIOReturnSuccess, (struct OSSpan[]){{&out, sizeof out}}, 1,
		       message->objects, message->n_objects);
}

static int
animal_add(struct animal *self, int value)
{
	return self->legs + value;
}

static int
dog_add(struct animal *self, int value)
{
	return 1000 + animal_add(self, value);
}

static void
invoke_note(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	uint32_t cursor = 0;
	const uint32_t *in = OSMessageRead(message, &cursor, sizeof *in);
	OS_OBJECT *object = NULL;

	assert_non_null(in);
	assert_true(OSMessageObject(message, 0, &OSObject_Class, &object));
	assert_ptr_equal(object, self);
	assert_false(OSMessageObject(message, 1, &OSObject_Class, &object));
	assert_false(OSMessageObject(message, 0, &OSString_Class, &object));
	assert_null(message->reply);
	noted += *in;
	noted_action = message->action;
}

static void
nothing(void)
{
}

static void
invoke_later(OS_OBJECT *self, const struct OSMethod *method, struct OSMessage *message)
{
	OSReplyCurrent(message);
	/* A call inside has its own. */
	OSReplyCurrent(&(struct OSMessage){0});
	assert_null(OSReplyDefer());
	OSReplyCurrent(NULL);
	__atomic_store_n(&kept, OSReplyDefer(), __ATOMIC_RELEASE);
	assert_non_null(kept);
	assert_null(OSReplyDefer());
	OSReplyCurrent(NULL);
	assert_null(OSReplyDefer());
}

static const struct OSMethod animal_methods[] = {
	{.id = ID_ADD,
	 .name = "Animal::Add",
	 .impl = (void (*)(void))animal_add,
	 .invoke = invoke_add},
	{.id = ID_NOTE,
	 .name = "Animal::Note",
	 .impl = nothing,
	 .invoke = invoke_note,
	 .queue = "Notes",
	 .flags = OS_METHOD_ONEWAY},
	{.id = ID_LATER, .name = "Animal::Later", .impl = nothing, .invoke = invoke_later},
	{.id = ID_KERNEL,
	 .name = "Animal::Kernel",
	 .invoke = invoke_add,
	 .flags = OS_METHOD_KERNEL},
};
static const struct OSMethod dog_methods[] = {
	{.id = ID_ADD, .name = "Dog::Add", .impl = (void (*)(void))dog_add, .invoke = invoke_add},
	{.id = ID_KERNEL, .name = "Dog::Kernel", .invoke = invoke_add},
};
static const char *const animal_queues[] = {"Notes"};

static struct animal_ops animal_ops = {
	.super.free = animal_free,
	.sound = animal_sound,
};
static struct animal_ops dog_ops = {
	.super.free = dog_free,
	.sound = dog_sound,
};
static struct OSMetaClass animal_class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_CAN_REMOTE,
	.name = "Animal",
	.super = &OSObject_Class,
	.instance_size = sizeof(struct animal),
	.ops_size = sizeof animal_ops,
	.ops = (void **)&animal_ops,
	.methods = animal_methods,
	.n_methods = 4,
	.n_queues = 1,
	.queues = animal_queues,
};
static struct OSMetaClass dog_class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_USER,
	.name = "Dog",
	.super = &animal_class,
	.instance_size = sizeof(struct dog),
	.ops_size = sizeof dog_ops,
	.ops = (void **)&dog_ops,
	.methods = dog_methods,
	.n_methods = 2,
};
static struct OSMetaClass puppy_class = {
	.abi = OS_METACLASS_ABI,
	.name = "Puppy",
	.super = &dog_class,
	.instance_size = sizeof(struct dog),
	.ops_size = sizeof dog_ops,
};

static struct animal *
new_animal(struct OSMetaClass *meta)
{
	struct animal *animal = (struct animal *)OSMetaClassAllocate(meta);

	assert_true(OSObject_init(&animal->super));
	animal->legs = 4;
	return animal;
}

static int
sound(struct animal *animal)
{
	return ((struct animal_ops *)(void *)BASE(animal)->meta->ops)->sound(animal);
}

static void
test_classes(void **state)
{
	struct animal *puppy = new_animal(&puppy_class); /* registers what it derives from */
	struct animal *animal = new_animal(&animal_class);

	assert_ptr_equal(OSMetaClassWithName("Dog"), &dog_class);
	assert_null(OSMetaClassWithName("Cat"));
	assert_null(OSMetaClassWithName(NULL));
	assert_int_equal(sound(puppy), 104);
	assert_int_equal(sound(animal), 4);
	assert_non_null(animal_ops.super.init); /* inherited */
	assert_true(OSMetaClassIsKindOf(&puppy_class, &animal_class));
	assert_false(OSMetaClassIsKindOf(&animal_class, &puppy_class));
	assert_false(OSMetaClassIsKindOf(NULL, &puppy_class));
	assert_true(OSMetaClassHasQueue(&puppy_class, "Notes"));
	assert_true(OSMetaClassHasQueue(&puppy_class, "Default"));
	assert_false(OSMetaClassHasQueue(&puppy_class, "Aux"));
	assert_string_equal(OSMetaClassRemoteName(&puppy_class), "Animal");
	assert_ptr_equal(OSMetaClassCast(BASE(puppy), &dog_class), puppy);
	assert_null(OSMetaClassCast(BASE(animal), &dog_class));
	assert_null(OSMetaClassCast(NULL, &dog_class));
	assert_null(OSMetaClassRequiredCast(NULL, &dog_class));
	assert_ptr_equal(OSMetaClassRequiredCast(BASE(puppy), &dog_class), puppy);

	freed_animals = freed_dogs = 0;
	OSRetain(BASE(puppy));
	assert_int_equal(OSGetRetainCount(BASE(puppy)), 2);
	OSRelease(BASE(puppy));
	assert_int_equal(freed_animals, 0);
	OSRelease(BASE(puppy));
	assert_int_equal(freed_dogs, 1);
	OSRelease(BASE(animal));
	assert_int_equal(freed_animals, 2);
	OSRelease(NULL);
}

static void
test_allocate(void **state)
{
	OSObject *object = (OSObject *)&animal_ops;
	IODispatchQueueName name = "Default";

	assert_int_equal(OSObjectAllocate(NULL, &object), kIOReturnBadArgument);
	assert_null(object);
	assert_int_equal(OSObjectAllocate(&animal_class, &object), kIOReturnSuccess);
	assert_true(BASE(object)->flags & OS_OBJECT_TYPE_ALLOCATED);
	assert_false(BASE(object)->flags & OS_OBJECT_INITIALISED);
	assert_true(OSObject_init(object));
	assert_true(BASE(object)->flags & OS_OBJECT_INITIALISED);
	assert_true(OSObject_isEqualTo(object, BASE(object)));
	assert_false(OSObject_isEqualTo(object, NULL));
	assert_false(OSIsRemote(BASE(object)));
	assert_int_equal(OSObject_CopyDispatchQueue(object, name, NULL), kIOReturnUnsupported);
	OSRelease(BASE(object));
}

static void
test_find_method(void **state)
{
	assert_ptr_equal(OSMetaClassFindMethod(&puppy_class, ID_ADD), &dog_methods[0]);
	assert_ptr_equal(OSMetaClassFindMethod(&animal_class, ID_ADD), &animal_methods[0]);
	assert_ptr_equal(OSMetaClassFindMethod(&puppy_class, ID_NOTE), &animal_methods[1]);
	assert_ptr_equal(OSMetaClassFindMethod(&puppy_class, ID_KERNEL), &dog_methods[1]);
	assert_null(OSMetaClassFindMethod(&puppy_class, 11));
	assert_ptr_equal(OSMetaClassImplementation(&animal_class, ID_ADD), animal_add);
	assert_null(OSMetaClassImplementation(&animal_class, ID_KERNEL));
}

static IOReturn
call_add(void *target, uint64_t id, uint64_t value, OS_OBJECT *object, uint64_t *ret_value)
{
	OS_OBJECT *objects[1], *given[1] = {object};
	struct OSSpan span = {&value, sizeof value};
	struct OSMessage reply;
	uint64_t content[1];
	struct OSCall call = {
		.target = target,
		.method = id,
		.n_spans = 1,
		.spans = &span,
		.n_objects = object ? 1 : 0,
		.objects = given,
		.name = "Animal::Add",
	};
	IOReturn status;

	OSMessageInit(&reply, content, sizeof content, objects, 1);
	status = OSInvoke(&call, &reply);
	if (status == kIOReturnSuccess) {
		uint32_t cursor = 0;
		const uint64_t *out = OSMessageRead(&reply, &cursor, sizeof *out);

		assert_non_null(out);
		assert_null(OSMessageRead(&reply, &cursor, 1));
		assert_int_equal(reply.n_objects, call.n_objects);
		*ret_value = *out;
	}
	OSMessageDone(&reply);
	return status;
}

static void
test_invoke_native(void **state)
{
	struct animal *dog = new_animal(&dog_class);
	uint8_t large[OS_MESSAGE_MAX_CONTENT + 1] = {0};
	struct OSSpan span = {large, sizeof large};
	struct OSCall call = {.target = BASE(dog),
			      .method = ID_NOTE,
			      .n_spans = 1,
			      .spans = &span,
			      .flags = OS_METHOD_ONEWAY};
	uint64_t value = 0;

	assert_int_equal(call_add(dog, ID_ADD, 5, BASE(dog), &value), kIOReturnSuccess);
	assert_int_equal(value, 1009);
	assert_int_equal(OSGetRetainCount(BASE(dog)), 1);
	assert_int_equal(call_add(dog, 77, 5, NULL, &value), kIOReturnUnsupported);
	assert_int_equal(call_add(dog, ID_KERNEL, 5, NULL, &value), kIOReturnUnsupported);
	assert_int_equal(call_add(NULL, ID_ADD, 5, NULL, &value), MACH_SEND_INVALID_DEST);
	assert_int_equal(OSInvoke(&call, NULL), kIOReturnMessageTooLarge);
	OSRelease(BASE(dog));
}

static void
test_oneway(void **state)
{
	struct animal *dog = new_animal(&dog_class);
	uint32_t word = 7;
	OS_OBJECT *objects[] = {BASE(dog)};
	struct OSSpan span = {&word, sizeof word};
	struct OSCall call = {.target = BASE(dog),
			      .method = ID_NOTE,
			      .n_spans = 1,
			      .spans = &span,
			      .n_objects = 1,
			      .objects = objects,
			      .flags = OS_METHOD_ONEWAY};

	noted = 0;
	assert_int_equal(OSInvoke(&call, NULL), kIOReturnSuccess);
	assert_int_equal(noted, 7);
	assert_null(noted_action);
	assert_int_equal(OSGetRetainCount(BASE(dog)), 1);
	OSRelease(BASE(dog));
}

/* --- an action: calls on it go to its target */

struct action {
	struct OSObject super;
	struct animal *target; /* borrowed */
};

static OS_OBJECT *
action_redirect(OS_OBJECT *self, uint64_t *method)
{
	*method = ID_NOTE;
	return BASE(((struct action *)self)->target);
}

static const struct OSClassHooks action_hooks = {.redirect = action_redirect};
static struct OSMetaClass action_class = {
	.abi = OS_METACLASS_ABI,
	.name = "TestAction",
	.super = &OSObject_Class,
	.instance_size = sizeof(struct action),
	.ops_size = sizeof(struct OSObject_Ops),
	.hooks = &action_hooks,
};

static void
test_redirect(void **state)
{
	struct animal *dog = new_animal(&dog_class);
	struct action *action = (struct action *)OSMetaClassAllocate(&action_class);
	uint32_t word = 5;
	OS_OBJECT *objects[] = {BASE(dog)};
	struct OSSpan span = {&word, sizeof word};
	struct OSCall call = {.target = BASE(action),
			      .method = 999,
			      .n_spans = 1,
			      .spans = &span,
			      .n_objects = 1,
			      .objects = objects,
			      .flags = OS_METHOD_ONEWAY};
	uint64_t value;

	noted = 0;
	action->target = dog;
	assert_int_equal(OSInvoke(&call, NULL), kIOReturnSuccess);
	assert_int_equal(noted, 5);
	assert_ptr_equal(noted_action, action);
	action->target = NULL;
	assert_int_equal(OSInvoke(&call, NULL), kIOReturnSuccess); /* dropped */
	assert_int_equal(noted, 5);
	assert_int_equal(call_add(action, 999, 1, NULL, &value), kIOReturnAborted);
	assert_int_equal(OSGetRetainCount(BASE(dog)), 1);
	assert_int_equal(OSGetRetainCount(BASE(action)), 1);
	OSRelease(BASE(action));
	OSRelease(BASE(dog));
}

/* --- answers that come later, from another thread */

static void *
answer(void *argument)
{
	uint64_t value = 33;

	while (!__atomic_load_n(&kept, __ATOMIC_ACQUIRE))
		;
	OSReplySend(kept, kIOReturnSuccess, (struct OSSpan[]){{&value, sizeof value}}, 1, NULL, 0);
	return NULL;
}

static void
async_done(void *context, IOReturn status, const struct OSMessage *reply)
{
	IOReturn *into = context;

	*into = status;
	if (status == kIOReturnSuccess) {
		assert_int_equal(reply->content_size, 8);
		assert_int_equal(*(const uint64_t *)(const void *)reply->content, 1005);
	}
}

static void
test_deferred(void **state)
{
	struct animal *dog = new_animal(&dog_class);
	uint64_t value = 1;
	struct OSSpan span = {&value, sizeof value};
	struct OSCall call = {.target = BASE(dog), .method = ID_ADD, .n_spans = 1, .spans = &span};
	IOReturn status = 1;
	pthread_t thread;

	kept = NULL;
	assert_int_equal(pthread_create(&thread, NULL, answer, NULL), 0);
	assert_int_equal(call_add(dog, ID_LATER, 0, NULL, &value), kIOReturnSuccess);
	assert_int_equal(value, 33);
	pthread_join(thread, NULL);

	value = 1;
	assert_int_equal(OSInvokeAsync(&call, async_done, &status), kIOReturnSuccess);
	assert_int_equal(status, kIOReturnSuccess);
	call.method = 77;
	assert_int_equal(OSInvokeAsync(&call, async_done, &status), kIOReturnSuccess);
	assert_int_equal(status, kIOReturnUnsupported);
	call.method = ID_LATER;
	assert_int_equal(OSInvokeAsync(&call, async_done, &status), kIOReturnSuccess);
	OSReplySend(kept, kIOReturnAborted, NULL, 0, NULL, 0);
	assert_int_equal(status, kIOReturnAborted);
	OSReplySend(NULL, 0, NULL, 0, NULL, 0);
	OSRelease(BASE(dog));
}

/* --- proxies */

struct remote {
	struct OSRemote remote;
	int invoked, released;
};

static IOReturn
remote_invoke(struct OSRemote *remote, const struct OSCall *call, struct OSMessage *ret_reply)
{
	uint64_t value = 66;

	((struct remote *)remote)->invoked++;
	if (!OSMessageFill(ret_reply, kIOReturnSuccess, (struct OSSpan[]){{&value, sizeof value}},
			   1, call->objects, call->n_objects))
		return kIOReturnIPCError;
	return ret_reply->status;
}

static void
remote_release(struct OSRemote *remote, OS_OBJECT *proxy)
{
	((struct remote *)remote)->released++;
}

static OS_OBJECT *watched;
static void
watch(OS_OBJECT *object)
{
	watched = object;
}

static void
test_proxy(void **state)
{
	static const struct OSRemoteOps ops = {.invoke = remote_invoke, .release = remote_release};
	struct remote remote = {.remote.ops = &ops};
	OS_OBJECT *proxy = OSRemoteCreateProxy(&animal_class, &remote.remote);
	struct OSMessage *message;
	uint64_t value = 0;

	assert_true(OSIsRemote(proxy));
	assert_int_equal(call_add(proxy, ID_ADD, 1, proxy, &value), kIOReturnSuccess);
	assert_int_equal(value, 66);
	assert_int_equal(remote.invoked, 1);

	/* Nothing runs here on what is elsewhere. */
	message = OSMessageFromCall(&(struct OSCall){.target = proxy, .method = ID_ADD}, NULL);
	OSDeliver(message);

	OSSetWatcher(watch);
	assert_true(OSTryRetain(proxy));
	OSRelease(proxy);
	assert_null(watched);
	proxy->flags |= OS_OBJECT_WATCHED;
	OSRetain(proxy);
	OSRelease(proxy);
	assert_ptr_equal(watched, proxy);
	OSSetWatcher(NULL);
	OSRelease(proxy);
	assert_int_equal(remote.released, 1);
}

static void
test_messages(void **state)
{
	static const char text[] = "12345";
	struct OSSpan spans[] = {{text, 5}, {text, 0}, {text, 3}};
	struct OSMessage reply, *message;
	uint64_t content[2];
	OS_OBJECT *objects[1];
	uint32_t cursor = 0;

	assert_int_equal(OSSpansSize(spans, 3), 16);
	message = OSMessageFromCall(&(struct OSCall){.n_spans = 3, .spans = spans}, NULL);
	assert_int_equal(message->content_size, 16);
	assert_memory_equal(OSMessageRead(message, &cursor, 5), "12345\0\0\0", 8);
	assert_non_null(OSMessageRead(message, &cursor, 0));
	assert_null(OSMessageRead(message, &cursor, 9));
	assert_null(OSMessageRead(message, &cursor, SIZE_MAX));
	assert_int_equal(cursor, 8);
	cursor = UINT32_MAX;
	assert_null(OSMessageRead(message, &cursor, 1));
	OSMessageFree(message);

	OSMessageInit(&reply, content, 8, objects, 1);
	assert_false(OSMessageFill(&reply, kIOReturnSuccess, spans, 3, NULL, 0));
	assert_int_equal(reply.status, kIOReturnIPCError);
	assert_int_equal(reply.content_size, 0);
	assert_true(OSMessageFill(&reply, kIOReturnNoSpace, spans, 1, NULL, 0));
	assert_int_equal(reply.status, kIOReturnNoSpace);
	OSMessageDone(&reply);
	OSMessageFree(NULL);
}

static void
test_told(void **state)
{
	struct animal *dog = new_animal(&dog_class);

	OSToldOverrun("Foo::Bar", "aCount", 40, 32);
	assert_non_null(
		strstr(adxi_told_last(), "[T42] Foo::Bar: aCount is 40, the .iig allows 32"));
	OSToldTruncated("Foo::Bar", "name", 140, 128);
	assert_non_null(strstr(adxi_told_last(), "name was cut from 140 to 127 bytes"));
	OSToldWrongClass("Foo::Bar", "out", BASE(dog), &OSString_Class);
	assert_non_null(
		strstr(adxi_told_last(), "[T43] Foo::Bar: out is of class Dog, expected OSString"));
	OSToldWrongAction(&animal_methods[1], BASE(dog));
	assert_non_null(
		strstr(adxi_told_last(), "[T33] action type Dog was delivered to Animal::Note"));
	OSToldMalformed(&animal_methods[1], "3 bytes left over");
	assert_non_null(strstr(adxi_told_last(), "message for Animal::Note: 3 bytes left over"));
	OSRelease(BASE(dog));
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *
retain_and_release(void *object)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		OSRetain(object);
		if (OSTryRetain(object))
			OSRelease(object);
		OSRelease(object);
	}
	OSRelease(object);
	return NULL;
}

static void
test_threads(void **state)
{
	struct animal *dog = new_animal(&dog_class);
	pthread_t threads[THREADS];
	int i;

	freed_dogs = 0;
	for (i = 0; i < THREADS; i++) {
		OSRetain(BASE(dog));
		assert_int_equal(pthread_create(&threads[i], NULL, retain_and_release, dog), 0);
	}
	OSRelease(BASE(dog));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(freed_dogs, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),     cmocka_unit_test(test_allocate),
		cmocka_unit_test(test_find_method), cmocka_unit_test(test_invoke_native),
		cmocka_unit_test(test_oneway),      cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_deferred),    cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_messages),    cmocka_unit_test(test_told),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
