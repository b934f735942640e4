/* SPDX-License-Identifier: MIT */
/* Every parameter form, both ways of a call, and every message that does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <Golden/Forms.h>
#include "fake.h"

_Static_assert(GOLDEN_ONLY_IN_THE_HEADER == 1, "text that iig does not see is in the header");

/* ---------------------------------------------------------------------------------------------
 * The implementation: what it was given last is kept
 */

static struct {
	unsigned calls;
	uint32_t what;
	char name[16];
	char text[32];
	uint32_t word_sum;
	unsigned bits;
	bool misbehave, may_defer;
} seen;

bool
Forms_init_Impl(Forms *self)
{
	return Forms_init_super(self);
}

kern_return_t
Forms_Scalars_Impl(Forms *self, bool flag, int8_t small, uint16_t half, int64_t large, float ratio,
		   double precise, GoldenColor color, bool *ret_flag, uint16_t *ret_half,
		   double *ret_precise, GoldenColor *ret_color)
{
	seen.calls++;
	*ret_flag = !flag;
	*ret_half = (uint16_t)(half + small);
	*ret_precise = precise + ratio + (double)large;
	*ret_color = color == kGoldenRed ? kGoldenBlue : kGoldenRed;
	return kIOReturnSuccess;
}

kern_return_t
Forms_Arrays_Impl(Forms *self, const uint32_t values[8], uint32_t valuesCount, const bool bits[4],
		  int bitsCount, uint64_t squares[8], uint32_t *squaresCount)
{
	uint32_t capacity = *squaresCount;

	seen.calls++;
	seen.word_sum = seen.bits = 0;
	for (uint32_t i = 0; i < valuesCount; i++) {
		seen.word_sum += values[i];
		if (i < capacity)
			squares[i] = (uint64_t)values[i] * values[i];
	}
	for (int i = 0; i < bitsCount && i < 4; i++)
		seen.bits |= (unsigned)bits[i] << i;
	*squaresCount = seen.misbehave ? 1000 : valuesCount;
	return kIOReturnSuccess;
}

kern_return_t
Forms_Strings_Impl(Forms *self, const GoldenName name, const char text[32], uint32_t *length)
{
	seen.calls++;
	strcpy(seen.name, name);
	strcpy(seen.text, text);
	*length = (uint32_t)(strlen(name) + strlen(text));
	return kIOReturnSuccess;
}

kern_return_t
Forms_Structs_Impl(Forms *self, const GoldenPoint *point, GoldenPoint *mirrored,
		   const uint64_t *stamp)
{
	seen.calls++;
	mirrored->x = point->y;
	mirrored->y = point->x;
	mirrored->at = point->at + *stamp;
	return kIOReturnSuccess;
}

kern_return_t
Forms_Points_Impl(Forms *self, const GoldenPoint points[4], uint32_t pointsCount,
		  GoldenPoint swapped[4], uint32_t *swappedCount)
{
	seen.calls++;
	for (uint32_t i = 0; i < pointsCount && i < *swappedCount; i++)
		swapped[i] = (GoldenPoint){.x = points[i].y, .y = points[i].x, .at = i};
	*swappedCount = pointsCount;
	return kIOReturnSuccess;
}

kern_return_t
Forms_Objects_Impl(Forms *self, OSObject *object, Forms *peer, OSObject **same, Forms **other)
{
	seen.calls++;
	OSRetain((OS_OBJECT *)object);
	OSRetain((OS_OBJECT *)peer);
	*same = object;
	*other = seen.misbehave ? (Forms *)(void *)object : peer;
	if (seen.misbehave) {
		OSRetain((OS_OBJECT *)object);
		OSRelease((OS_OBJECT *)peer);
	}
	return kIOReturnSuccess;
}

kern_return_t
Forms_Many_Impl(Forms *self, uint32_t objectsCount, OSObject *const objects[5], uint32_t *nulls)
{
	seen.calls++;
	*nulls = 0;
	for (uint32_t i = 0; i < objectsCount; i++)
		*nulls += objects[i] == NULL;
	return kIOReturnSuccess;
}

kern_return_t
Forms_Nothing_Impl(Forms *self)
{
	seen.calls++;
	return kIOReturnSuccess;
}

kern_return_t
Forms_Fail_Impl(Forms *self, uint32_t *never, OSObject **nothing)
{
	seen.calls++;
	*never = 99;
	*nothing = NULL;
	return kIOReturnNotFound;
}

void
Forms_Tell_Impl(Forms *self, uint32_t what, const GoldenName name)
{
	seen.calls++;
	seen.what = what;
	strcpy(seen.name, name);
}

kern_return_t
Forms_CheckForWork_Impl(Forms *self, bool synchronous, const IORPC rpc)
{
	seen.calls++;
	return rpc.ret_class == NULL && synchronous ? kIOReturnSuccess : kIOReturnNotReady;
}

static void
answer_later(struct OSReply *reply, OSObject *object)
{
	const GoldenPoint point = {.x = 1, .y = 2, .at = 3};
	const uint32_t values[2] = {10, 20};

	Forms_Later_Reply(reply, kIOReturnSuccess, 42, values, 2, &point, object);
}

kern_return_t
Forms_Later_Impl(Forms *self, uint32_t what, OSAction *action, uint64_t *answer, uint32_t values[4],
		 uint32_t *valuesCount, GoldenPoint *point, OSObject **object)
{
	seen.calls++;
	seen.what = what;
	if (what == 1 && seen.may_defer)
		fake_deferred = OSReplyDefer();
	*answer = 7;
	values[0] = 5;
	*valuesCount = 1;
	point->x = 11;
	*object = NULL;
	return what == 2 ? kIOReturnBusy : kIOReturnSuccess;
}

kern_return_t
Forms_Make_Impl(uint32_t tag, Forms **form)
{
	*form = (Forms *)OSMetaClassAllocate(&Forms_Class);
	seen.what = tag;
	return kIOReturnSuccess;
}

uint32_t
Forms_Weigh_Impl(const Forms *self, uint32_t factor)
{
	return 3 * factor;
}

uint32_t
Forms_Add(Forms *self, uint32_t value)
{
	return value + 1;
}

uint32_t
Forms_AddTwo(Forms *self, uint32_t value, uint32_t other)
{
	return value + other;
}

kern_return_t
Forms_Secret_Impl(Forms *self, uint32_t key)
{
	return key == 17 ? kIOReturnSuccess : kIOReturnNotPermitted;
}

/* ---------------------------------------------------------------------------------------------
 * The tests run each call twice: on the native object and on its proxy
 */

static Forms *native, *proxy, *each[2];

static int
setup(void **state)
{
	memset(&seen, 0, sizeof seen);
	fake_request = fake_reply = NULL;
	fake_malformed = fake_overrun = fake_truncated = fake_wrong_class = fake_wrong_action = 0;
	native = (Forms *)OSMetaClassAllocate(&Forms_Class);
	proxy = (Forms *)fake_proxy((OS_OBJECT *)native);
	each[0] = native;
	each[1] = proxy;
	return Forms_init(native) ? 0 : -1;
}

static int
teardown(void **state)
{
	fake_request = fake_reply = NULL;
	OSRelease((OS_OBJECT *)proxy);
	OSRelease((OS_OBJECT *)native);
	return fake_objects == 0 ? 0 : -1;
}

static void
scalars(void **state)
{
	for (int i = 0; i < 2; i++) {
		Forms *f = each[i];
		bool flag = false;
		uint16_t half = 0;
		double precise = 0;
		GoldenColor color = kGoldenBlue;

		assert_int_equal(Forms_Scalars(f, false, -2, 1000, INT64_C(1) << 40, 0.5f, 0.25,
					       kGoldenRed, &flag, &half, &precise, &color),
				 kIOReturnSuccess);
		assert_true(flag);
		assert_int_equal(half, 998);
		assert_true(precise == (double)(INT64_C(1) << 40) + 0.75);
		assert_int_equal(color, kGoldenBlue);
		assert_int_equal(
			Forms_Scalars(f, true, 0, 0, 0, 0, 0, kGoldenRed, NULL, NULL, NULL, NULL),
			kIOReturnSuccess);
	}
	assert_int_equal(seen.calls, 4);
}

static void
arrays(void **state)
{
	const uint32_t values[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	const bool bits[4] = {true, false, true, true};

	for (int i = 0; i < 2; i++) {
		Forms *f = each[i];
		uint64_t squares[8] = {0};
		uint32_t count = 8;

		assert_int_equal(Forms_Arrays(f, values, 3, bits, 4, squares, &count),
				 kIOReturnSuccess);
		assert_int_equal(count, 3);
		assert_int_equal(squares[2], 9);
		assert_int_equal(seen.word_sum, 6);
		assert_int_equal(seen.bits, 13);
		count = 2;
		squares[2] = 77;
		assert_int_equal(Forms_Arrays(f, values, 8, NULL, 0, squares, &count),
				 kIOReturnSuccess);
		assert_int_equal(count, 2); /* the implementation said 8 */
		assert_int_equal(squares[2], 77);
		assert_int_equal(seen.word_sum, 36);

		unsigned calls = seen.calls;

		count = 8;
		assert_int_equal(Forms_Arrays(f, values, 9, bits, 4, squares, &count),
				 kIOReturnOverrun);
		assert_string_equal(fake_what, "Forms::Arrays values 9 8");
		assert_int_equal(Forms_Arrays(f, values, 3, bits, -1, squares, &count),
				 kIOReturnOverrun);
		count = 9;
		assert_int_equal(Forms_Arrays(f, values, 3, bits, 4, squares, &count),
				 kIOReturnOverrun);
		count = 8;
		assert_int_equal(Forms_Arrays(f, NULL, 3, bits, 4, squares, &count),
				 kIOReturnBadArgument);
		assert_int_equal(Forms_Arrays(f, values, 3, bits, 4, NULL, &count),
				 kIOReturnBadArgument);
		assert_int_equal(Forms_Arrays(f, values, 3, bits, 4, squares, NULL),
				 kIOReturnBadArgument);
		assert_int_equal(seen.calls, calls);
		assert_int_equal(count, 8);
	}
	assert_string_equal(fake_queue, "Golden");
	assert_int_equal(fake_overrun, 6);
}

static void
strings(void **state)
{
	for (int i = 0; i < 2; i++) {
		Forms *f = each[i];
		uint32_t length = 0;

		assert_int_equal(Forms_Strings(f, "name", "", &length), kIOReturnSuccess);
		assert_int_equal(length, 4);
		assert_string_equal(seen.name, "name");
		assert_string_equal(seen.text, "");
		assert_int_equal(Forms_Strings(f, "fifteen letters", "x", &length),
				 kIOReturnSuccess);
		assert_string_equal(seen.name, "fifteen letters");
		assert_int_equal(Forms_Strings(f, "name", NULL, &length), kIOReturnBadArgument);
	}
	assert_int_equal(fake_truncated, 0);
	for (int i = 0; i < 2; i++) {
		Forms *f = each[i];
		const char *volatile long_name = "more than fifteen letters";
		uint32_t length = 0;

		assert_int_equal(Forms_Strings(f, long_name, "x", &length), kIOReturnSuccess);
		assert_string_equal(seen.name, "more than fifte");
		assert_int_equal(length, 16);
		assert_string_equal(fake_what, "Forms::Strings name 25 16");
	}
	assert_int_equal(fake_truncated, 2);
}

static void
structures(void **state)
{
	const GoldenPoint points[4] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {10, 11, 12}};
	const uint64_t stamp = 100;

	for (int i = 0; i < 2; i++) {
		Forms *f = each[i];
		GoldenPoint mirrored = {0}, swapped[4] = {{0}};
		uint32_t count = 4;

		assert_int_equal(Forms_Structs(f, &points[1], &mirrored, &stamp), kIOReturnSuccess);
		assert_int_equal(mirrored.x, 5);
		assert_int_equal(mirrored.y, 4);
		assert_int_equal(mirrored.at, 106);
		assert_int_equal(Forms_Structs(f, &points[1], NULL, &stamp), kIOReturnSuccess);
		assert_int_equal(Forms_Structs(f, NULL, &mirrored, &stamp), kIOReturnBadArgument);
		assert_int_equal(Forms_Structs(f, &points[1], &mirrored, NULL),
				 kIOReturnBadArgument);
		assert_int_equal(Forms_Points(f, points, 4, swapped, &count), kIOReturnSuccess);
		assert_int_equal(count, 4);
		assert_int_equal(swapped[3].x, 11);
		assert_int_equal(swapped[3].at, 3);
	}
}

static void
objects(void **state)
{
	OSObject *plain = (OSObject *)OSMetaClassAllocate(&OSObject_Class);

	for (int i = 0; i < 2; i++) {
		Forms *f = each[i];
		OSObject *same = NULL, *many[5] = {plain, NULL, plain, NULL, NULL};
		Forms *other = NULL;
		uint32_t nulls = 0;

		assert_int_equal(Forms_Objects(f, plain, native, &same, &other), kIOReturnSuccess);
		assert_ptr_equal(same, plain);
		assert_ptr_equal(other, native);
		OSRelease((OS_OBJECT *)same);
		OSRelease((OS_OBJECT *)other);
		assert_int_equal(Forms_Objects(f, NULL, NULL, &same, &other), kIOReturnSuccess);
		assert_null(same);
		assert_null(other);
		assert_int_equal(Forms_Objects(f, plain, native, NULL, &other),
				 kIOReturnBadArgument);
		assert_int_equal(Forms_Many(f, 5, many, &nulls), kIOReturnSuccess);
		assert_int_equal(nulls, 3);
		assert_int_equal(Forms_Many(f, 0, NULL, &nulls), kIOReturnSuccess);
		assert_int_equal(nulls, 0);
		assert_int_equal(Forms_Many(f, 6, many, &nulls), kIOReturnOverrun);

		/* An implementation that hands out another class: nothing is given, nothing leaks.
		 */
		seen.misbehave = true;
		other = (Forms *)(void *)&nulls;
		assert_int_equal(Forms_Objects(f, plain, native, &same, &other),
				 kIOReturnBadArgument);
		assert_ptr_equal(other, (Forms *)(void *)&nulls);
		assert_string_equal(fake_what, "Forms::Objects other OSObject Forms");
		seen.misbehave = false;
	}
	assert_int_equal(OSGetRetainCount((OS_OBJECT *)plain), 1);
	OSRelease((OS_OBJECT *)plain);
}

uint32_t
OSGetRetainCount(const OS_OBJECT *object)
{
	return (uint32_t)object->refcount;
}

static void
plain_methods(void **state)
{
	for (int i = 0; i < 2; i++) {
		Forms *f = each[i];
		uint32_t never = 1;
		OSObject *nothing = (OSObject *)(void *)&never;

		assert_int_equal(Forms_Nothing(f), kIOReturnSuccess);
		assert_int_equal(Forms_Fail(f, &never, &nothing), kIOReturnNotFound);
		assert_int_equal(never, 1);
		assert_ptr_equal(nothing, &never);
		assert_int_equal(Forms_CheckForWork(f, true), kIOReturnSuccess);
		assert_int_equal(Forms_CheckForWork(f, false), kIOReturnNotReady);
		assert_int_equal(Forms_Secret(f, 17), kIOReturnSuccess);
		assert_int_equal(Forms_Secret(f, 1), kIOReturnNotPermitted);
		assert_int_equal(Forms_Weigh(native, 5), 15);
		assert_int_equal(Forms_Unweighed(native), 0);
		seen.what = 0;
		Forms_Tell(f, 5, "five");
		assert_int_equal(seen.what, 5);
		assert_string_equal(seen.name, "five");
		/* Inherited, under this class's name and with the base's implementation. */
		assert_int_equal(Forms_SetDispatchQueue(f, "Default", NULL), kIOReturnSuccess);
		assert_int_equal(Forms_SetDispatchQueue(f, "", NULL), kIOReturnBadArgument);
	}
	Forms *made = NULL;

	assert_int_equal(Forms_Make(3, &made), kIOReturnSuccess);
	assert_int_equal(seen.what, 3);
	OSRelease((OS_OBJECT *)made);
	assert_int_equal(Forms_Nothing(NULL), kIOReturnBadArgument);
	assert_int_equal(Forms_Nothing_From(&OSObject_Class, native), kIOReturnUnsupported);
	assert_int_equal(Forms_Nothing_From(&Forms_Class, native), kIOReturnSuccess);
}

/* ---------------------------------------------------------------------------------------------
 * IIG_ASYNC
 */

static struct {
	unsigned calls;
	IOReturn status;
	uint64_t answer;
	uint32_t value, count;
	int32_t x;
	OSObject *object;
} done;

static void
later_done(void *context, IOReturn status, uint64_t answer, const uint32_t *values,
	   uint32_t valuesCount, const GoldenPoint *point, OSObject *object)
{
	assert_ptr_equal(context, &done);
	done.calls++;
	done.status = status;
	done.answer = answer;
	done.count = valuesCount;
	done.value = valuesCount > 0 ? values[valuesCount - 1] : 0;
	done.x = point != NULL ? point->x : -1;
	done.object = object;
}

static void
asynchronous(void **state)
{
	OSObject *plain = (OSObject *)OSMetaClassAllocate(&OSObject_Class);

	memset(&done, 0, sizeof done);
	assert_int_equal(Forms_Later_Async(native, 0, NULL, later_done, &done),
			 kIOReturnUnsupported);
	assert_int_equal(Forms_Later_Async(proxy, 0, NULL, later_done, &done), kIOReturnSuccess);
	assert_int_equal(done.calls, 1);
	assert_int_equal(done.answer, 7);
	assert_int_equal(done.value, 5);
	assert_int_equal(done.x, 11);

	assert_int_equal(Forms_Later_Async(proxy, 2, NULL, later_done, &done), kIOReturnSuccess);
	assert_int_equal(done.calls, 2);
	assert_int_equal(done.status, kIOReturnBusy);
	assert_int_equal(done.answer, 0);
	assert_int_equal(done.x, -1);

	/* Deferred: the implementation returns, the answer comes when it comes. */
	seen.may_defer = true;
	assert_int_equal(Forms_Later_Async(proxy, 1, NULL, later_done, &done), kIOReturnSuccess);
	assert_int_equal(done.calls, 2);
	assert_non_null(fake_deferred);
	answer_later(fake_deferred, plain);
	fake_deferred = NULL;
	assert_int_equal(done.calls, 3);
	assert_int_equal(done.status, kIOReturnSuccess);
	assert_int_equal(done.answer, 42);
	assert_int_equal(done.count, 2);
	assert_int_equal(done.value, 20);
	assert_int_equal(done.x, 1);
	assert_ptr_equal(done.object, plain);

	/* A synchronous call of the same method. */
	uint64_t answer = 0;
	uint32_t values[4], count = 4;
	OSObject *object = plain;

	assert_int_equal(Forms_Later(proxy, 0, NULL, &answer, values, &count, NULL, &object),
			 kIOReturnSuccess);
	assert_int_equal(answer, 7);
	assert_int_equal(count, 1);
	assert_null(object);
	OSRelease((OS_OBJECT *)plain);
}

/* ---------------------------------------------------------------------------------------------
 * Hostile messages
 */

static uint32_t wanted_size;
static int n_objects_change;
static uint64_t noise;
static OS_OBJECT *intruder;

static uint32_t
random_bits(void)
{
	noise ^= noise << 13;
	noise ^= noise >> 7;
	noise ^= noise << 17;
	return (uint32_t)(noise >> 16);
}

static void
cut(struct OSMessage *message, uint8_t *content)
{
	/* Longer than there is memory for: just longer, which is as wrong. */
	message->content_size = wanted_size < message->content_size + FAKE_SLACK
					? wanted_size
					: message->content_size + 8;
}

static void
change_objects(struct OSMessage *message, uint8_t *content)
{
	if (n_objects_change > 0) {
		message->objects[message->n_objects++] = NULL;
	} else if (message->n_objects > 0) {
		OSRelease(message->objects[--message->n_objects]);
		message->objects[message->n_objects] = NULL;
	}
}

static void
intrude(struct OSMessage *message, uint8_t *content)
{
	for (uint32_t i = 0; i < message->n_objects; i++) {
		OSRelease(message->objects[i]);
		OSRetain(intruder);
		message->objects[i] = intruder;
	}
}

static void
scribble(struct OSMessage *message, uint8_t *content)
{
	for (uint32_t i = 0; i < 1 + random_bits() % 4 && message->content_size > 0; i++)
		content[random_bits() % message->content_size] = (uint8_t)random_bits();
	if (random_bits() % 8 == 0)
		message->content_size = random_bits() % (message->content_size + FAKE_SLACK);
	if (random_bits() % 8 == 0)
		change_objects(message, content);
}

/* One call of each method on the proxy. Returns how many were refused. */
static unsigned
call_all(void)
{
	const uint32_t words[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	const bool bits[4] = {true, true, false, true};
	const GoldenPoint points[2] = {{1, 2, 3}, {4, 5, 6}};
	const uint64_t stamp = 1;
	bool flag;
	uint16_t half;
	double precise;
	GoldenColor color;
	uint64_t squares[8], answer;
	uint32_t count = 8, length, nulls, values[4], n_values = 4, n_swapped = 4;
	GoldenPoint mirrored, swapped[4], point;
	OSObject *same = NULL, *object = NULL,
		 *many[3] = {(OSObject *)native, NULL, (OSObject *)native};
	Forms *other = NULL;
	IOReturn ret[8];
	unsigned refused = 0;

	ret[0] = Forms_Scalars(proxy, true, 1, 2, 3, 4, 5, kGoldenRed, &flag, &half, &precise,
			       &color);
	ret[1] = Forms_Arrays(proxy, words, 8, bits, 4, squares, &count);
	ret[2] = Forms_Strings(proxy, "name", "text", &length);
	ret[3] = Forms_Structs(proxy, &points[0], &mirrored, &stamp);
	ret[4] = Forms_Points(proxy, points, 2, swapped, &n_swapped);
	ret[5] = Forms_Objects(proxy, (OSObject *)native, native, &same, &other);
	if (ret[5] == kIOReturnSuccess) {
		OSRelease((OS_OBJECT *)same);
		OSRelease((OS_OBJECT *)other);
	}
	ret[6] = Forms_Many(proxy, 3, many, &nulls);
	ret[7] = Forms_Later(proxy, 0, NULL, &answer, values, &n_values, &point, &object);
	if (ret[7] == kIOReturnSuccess)
		OSRelease((OS_OBJECT *)object);
	assert_true(count <= 8 && n_values <= 4 && n_swapped <= 4);
	Forms_Tell(proxy, 1, "one");
	for (int i = 0; i < 8; i++)
		refused += ret[i] != kIOReturnSuccess;
	return refused;
}

static void
truncated(void **state)
{
	assert_int_equal(call_all(), 0);
	assert_int_equal(seen.calls, 9);
	/* No request is longer than 160 bytes; each length but the right one is refused. */
	for (wanted_size = 0; wanted_size < 240; wanted_size++) {
		seen.calls = 0;
		fake_malformed = 0;
		fake_request = cut;
		unsigned refused = call_all();

		assert_int_equal(seen.calls + fake_malformed, 9);
		assert_true(refused >= 5);
		fake_request = NULL;
		fake_reply = cut;
		refused = call_all();
		assert_true(refused >= 5);
		fake_reply = NULL;
	}
}

static void
wrong_objects(void **state)
{
	intruder = OSMetaClassAllocate(&OSAction_Class);
	for (n_objects_change = -1; n_objects_change <= 1; n_objects_change += 2) {
		fake_request = change_objects;
		assert_int_equal(call_all(), n_objects_change > 0 ? 8 : 3);
		fake_request = NULL;
		fake_reply = change_objects;
		assert_int_equal(call_all(), n_objects_change > 0 ? 8 : 2);
		fake_reply = NULL;
	}
	fake_request = intrude;
	fake_malformed = 0;
	(void)call_all();
	assert_int_equal(fake_malformed, 1); /* Objects wants a Forms; an action is an OSObject */
	assert_string_equal(strchr(fake_what, ':'), "::Objects: peer is of another class");
	fake_request = NULL;
	fake_reply = intrude;
	assert_int_equal(call_all(), 1);
	assert_int_equal(fake_wrong_class, 1);
	fake_reply = NULL;
	OSRelease(intruder);
}

static void
scribbled(void **state)
{
	noise = UINT64_C(0x9e3779b97f4a7c15);
	for (int i = 0; i < 20000; i++) {
		fake_request = i % 3 != 1 ? scribble : NULL;
		fake_reply = i % 3 != 0 ? scribble : NULL;
		(void)call_all();
	}
	assert_true(fake_malformed > 1000);
	fake_request = fake_reply = NULL;
	assert_int_equal(call_all(), 0);
}

/* Values that are in range of their field and out of range of their type. */
static uint8_t poison_offset, poison_value;

static void
poison(struct OSMessage *message, uint8_t *content)
{
	content[poison_offset] = poison_value;
}

static void
poisoned(void **state)
{
	const bool bits[2] = {true, false};
	uint64_t squares[8];
	uint32_t count = 8, length;

	fake_request = poison;
	poison_offset = 0;
	poison_value = 2;
	assert_int_equal(Forms_CheckForWork(proxy, true), kIOReturnIPCError);
	assert_string_equal(fake_what, "Forms::CheckForWork: synchronous is not a bool");
	poison_offset = 16; /* past the three counts */
	assert_int_equal(Forms_Arrays(proxy, NULL, 0, bits, 2, squares, &count), kIOReturnIPCError);
	assert_string_equal(fake_what, "Forms::Arrays: bits has an element that is not a bool");
	poison_offset = 8; /* past the two lengths */
	poison_value = 0;
	assert_int_equal(Forms_Strings(proxy, "name", "text", &length), kIOReturnBadArgument);
	assert_string_equal(fake_what, "Forms::Strings: name is not a string");
	poison_offset = 0;
	poison_value = 17;
	assert_int_equal(Forms_Strings(proxy, "name", "text", &length), kIOReturnBadArgument);
	assert_string_equal(fake_what, "Forms::Strings: name is over its bound");
	assert_int_equal(seen.calls, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(scalars, setup, teardown),
		cmocka_unit_test_setup_teardown(arrays, setup, teardown),
		cmocka_unit_test_setup_teardown(strings, setup, teardown),
		cmocka_unit_test_setup_teardown(structures, setup, teardown),
		cmocka_unit_test_setup_teardown(objects, setup, teardown),
		cmocka_unit_test_setup_teardown(plain_methods, setup, teardown),
		cmocka_unit_test_setup_teardown(asynchronous, setup, teardown),
		cmocka_unit_test_setup_teardown(truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(scribbled, setup, teardown),
		cmocka_unit_test_setup_teardown(poisoned, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
