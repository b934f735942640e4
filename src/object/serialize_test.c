/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "object/containers.h"
#include "object/serialize.h"
#include "object/serialize_fuzz.h"

#define OWNED adxi_cleanup(adxi_releasep)

static OSDictionary *
make_everything(void)
{
	OSDictionary *dict = adxi_dict_new();
	OSArray *array = adxi_array_new();
	OSSet *set = OSSet_withCapacity(0);
	OSOrderedSet *ordered = OSOrderedSet_withCapacity_f(0, NULL, NULL);
	static const unsigned bits[] = {8, 16, 32, 64};
	unsigned i;

	adxi_dict_set_string(dict, "string", "text");
	adxi_dict_set_string(dict, "", "");
	adxi_dict_set_data(dict, "data", "\0\1\2", 3);
	adxi_dict_set_data(dict, "no data", NULL, 0);
	adxi_dict_set_bool(dict, "true", true);
	adxi_dict_set_bool(dict, "false", false);
	for (i = 0; i < 4; i++)
		adxi_array_append_take(array, OSNumber_withNumber(UINT64_MAX, bits[i]));
	adxi_array_append_take(array, adxi_number_real(-1.25, 32));
	adxi_array_append_take(array, adxi_dict_new());
	adxi_dict_set_take(dict, "array", array);
	OSSet_setObject(set, (OSMetaClassBase *)kOSBooleanTrue);
	OSOrderedSet_setObject(ordered, (OSMetaClassBase *)array);
	adxi_dict_set_take(dict, "set", set);
	adxi_dict_set_take(dict, "ordered", ordered);
	return dict;
}

static void
test_round_trip(void **state)
{
	OWNED OSDictionary *dict = make_everything();
	OWNED OSObject *back = NULL;
	OSObject *null = (OSObject *)dict;
	struct adxi_buf buf = {0}, again = {0};
	OSNumber *number;

	assert_int_equal(adxi_serialize((OSObject *)dict, &buf), 0);
	assert_int_equal(adxi_deserialize(buf.data, buf.len, &back), 0);
	assert_true(adxi_equal(dict, back));
	assert_int_equal(adxi_serialize(back, &again), 0);
	assert_int_equal(buf.len, again.len);
	assert_memory_equal(buf.data, again.data, buf.len);

	assert_ptr_equal(adxi_dict_get((OSDictionary *)back, "true"), kOSBooleanTrue);
	number = (OSNumber *)adxi_array_get(adxi_dict_get_array((OSDictionary *)back, "array"), 1);
	assert_int_equal(OSNumber_numberOfBits(number), 16);
	number = (OSNumber *)adxi_array_get(adxi_dict_get_array((OSDictionary *)back, "array"), 4);
	assert_true(adxi_number_is_real(number) && adxi_number_double(number) == -1.25);
	assert_non_null(
		OSDynamicCast(OSOrderedSet, adxi_dict_get((OSDictionary *)back, "ordered")));
	assert_null(OSDynamicCast(OSOrderedSet, adxi_dict_get((OSDictionary *)back, "set")));

	adxi_buf_done(&buf);
	assert_int_equal(adxi_serialize(NULL, &buf), 0);
	assert_int_equal(adxi_deserialize(buf.data, buf.len, &null), 0);
	assert_null(null);
	adxi_buf_done(&buf);
	adxi_buf_done(&again);
}

static void
test_refused(void **state)
{
	OWNED OSArray *array = adxi_array_new(), *outer = adxi_array_new();
	OWNED OSDictionary *odd = adxi_dict_new();
	OWNED OSData *large = OSData_withBytes(NULL, ADXI_SERIALIZE_MAX_BYTES / 2);
	struct adxi_buf buf = {0};
	OSArray *at = outer, *deeper;
	int i;

	adxi_array_append(array, array);
	assert_int_equal(adxi_serialize((OSObject *)array, &buf), -ELOOP);
	OSArray_flushCollection_Impl(array);
	adxi_buf_done(&buf);

	/* The same object twice is no cycle. */
	adxi_array_append(array, large);
	assert_int_equal(adxi_serialize((OSObject *)array, &buf), 0);
	adxi_buf_done(&buf);
	adxi_array_append(array, large);
	assert_int_equal(adxi_serialize((OSObject *)array, &buf), -EMSGSIZE);
	adxi_buf_done(&buf);

	for (i = 0; i < 64; i++) {
		deeper = adxi_array_new();
		adxi_array_append_take(at, deeper);
		at = deeper;
	}
	assert_int_equal(adxi_serialize((OSObject *)outer, &buf), -ELOOP);
	adxi_buf_done(&buf);
	assert_int_equal(adxi_serialize(adxi_array_get(outer, 0), &buf), 0);
	adxi_buf_done(&buf);

	OSDictionary_setObject(odd, (OSObject *)kOSBooleanTrue, (OSMetaClassBase *)kOSBooleanTrue);
	assert_int_equal(adxi_serialize((OSObject *)odd, &buf), -EINVAL);
	adxi_buf_done(&buf);
}

/* One row a way to lie. */
static void
test_hostile(void **state)
{
#define HEAD "AdxS\1\0\0\0"
	static const struct {
		const char *what, *bytes;
		size_t len;
	} rows[] = {
#define ROW(what, bytes) {what, bytes, sizeof(bytes) - 1}
		ROW("nothing", ""),
		ROW("no value", HEAD),
		ROW("another version", "AdxS\2\0\0\0t"),
		ROW("bytes left over", HEAD "tt"),
		ROW("unknown tag", HEAD "?"),
		ROW("NULL inside", HEAD "a\1\0\0\0z"),
		ROW("number of 7 bits", HEAD "n\7\0\0\0\0\0\0\0\0"),
		ROW("number wider than it says", HEAD "n\x08\0\1\0\0\0\0\0\0"),
		ROW("number cut", HEAD "n\x08\0\0\0"),
		ROW("real of 8 bits", HEAD "r\x08\0\0\0\0\0\0\0\0"),
		ROW("string longer than there is", HEAD "s\xff\xff\xff\xff"
							"a"),
		ROW("string with NUL", HEAD "s\2\0\0\0a\0"),
		ROW("data cut", HEAD "d\4\0\0\0abc"),
		ROW("count without elements", HEAD "a\xff\xff\xff\xfft"),
		ROW("one element too few", HEAD "a\2\0\0\0t"),
		ROW("set with a double", HEAD "e\2\0\0\0tt"),
		ROW("pairs without bytes", HEAD "m\xff\xff\xff\x7f"),
		ROW("key twice", HEAD "m\2\0\0\0\1\0\0\0kt\1\0\0\0kf"),
		ROW("key without value", HEAD "m\1\0\0\0\1\0\0\0k"),
		ROW("key with NUL", HEAD "m\1\0\0\0\1\0\0\0\0t"),
	};
	struct adxi_buf deep = {0};
	OSObject *object = NULL;
	size_t i;
	int r;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		r = adxi_deserialize(rows[i].bytes, rows[i].len, &object);
		if (r != -EBADMSG)
			fail_msg("%s: %d", rows[i].what, r);
		assert_null(object);
	}
	adxi_buf_append(&deep, HEAD, 8);
	for (i = 0; i < 65; i++)
		adxi_buf_append(&deep, "a\1\0\0\0", 5);
	adxi_buf_append_byte(&deep, 't');
	assert_int_equal(adxi_deserialize(deep.data, deep.len, &object), -EBADMSG);
	memmove(deep.data + 8, deep.data + 13, deep.len - 13);
	assert_int_equal(adxi_deserialize(deep.data, deep.len - 5, &object), 0);
	adxi_release(object);
	adxi_buf_done(&deep);
}

/* Whatever decodes encodes to something that decodes to an equal object; nothing leaks or reads
 * outside. */
static void
test_mutations(void **state)
{
	OWNED OSDictionary *dict = make_everything();
	struct adxi_buf buf = {0};
	uint64_t random = 0x243f6a8885a308d3u;
	unsigned decoded = 0, round, changes;
	uint8_t *copy;
	size_t len;

	assert_int_equal(adxi_serialize((OSObject *)dict, &buf), 0);
	for (round = 0; round < 50000; round++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		len = random >> 33 & 1 ? buf.len : (random >> 40) % (buf.len + 1);
		copy = malloc(len + 1); /* exact, so that ASan sees one byte too far */
		memcpy(copy, buf.data, len);
		for (changes = random >> 60 & 3; changes && len > 8; changes--) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			copy[8 + (random >> 32) % (len - 8)] = (uint8_t)(random >> 24);
		}
		copy = realloc(copy, len ? len : 1);
		decoded += (unsigned)adxi_serialize_fuzz(copy, len);
		free(copy);
	}
	assert_true(decoded > 1000 && decoded < 50000);
	adxi_buf_done(&buf);
}

static int freed;

static void
note_freed(void *context, const void *buffer, size_t length)
{
	assert_ptr_equal(context, &freed);
	free((void *)(uintptr_t)buffer);
	freed++;
}

static void
test_class(void **state)
{
	OWNED OSDictionary *dict = make_everything();
	OSSerialization *from, *to;
	const void *bytes;
	OSObject *back;
	size_t len;
	void *copy;

	from = OSSerialization_createFromObject((OSObject *)dict);
	bytes = OSSerialization_finalizeBuffer(from, &len);
	copy = malloc(len);
	memcpy(copy, bytes, len);
	adxi_release(from);
	to = OSSerialization_createFromBytes_f(copy, len, &freed, note_freed);
	back = OSSerialization_copyObject(to);
	assert_true(adxi_equal(back, dict));
	adxi_release(back);
	assert_int_equal(freed, 0);
	adxi_release(to);
	assert_int_equal(freed, 1);
	assert_null(OSSerialization_createFromObject(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hostile),    cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
