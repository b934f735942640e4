/* SPDX-License-Identifier: MIT */
/* Memory that crosses: same pages on both sides, and every lie in a description is refused. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "channel/memory.h"

struct crossing {
	uint8_t bytes[ADXI_MEMORY_WIRE_MAX];
	size_t size;
	int fds[ADXI_MEMORY_MAX_FDS];
	unsigned n_fds;
};

/* As a socket would: descriptors are duplicated. */
static void
cross(struct adxi_memory *memory, struct crossing *c)
{
	adxi_memory_export(memory, c->bytes, &c->size, c->fds, &c->n_fds);
	for (unsigned i = 0; i < c->n_fds; i++)
		c->fds[i] = fcntl(c->fds[i], F_DUPFD_CLOEXEC, 3);
}

static void
close_rest(struct crossing *c)
{
	for (unsigned i = 0; i < c->n_fds; i++)
		if (c->fds[i] >= 0)
			close(c->fds[i]);
}

static uint32_t
word(struct crossing *c, size_t offset)
{
	uint32_t value;

	memcpy(&value, c->bytes + offset, sizeof(value));
	return value;
}

static void
test_create(void **state)
{
	struct adxi_memory *memory = NULL;
	void *address;

	assert_int_equal(adxi_memory_create(0, 3, &memory), -EINVAL);
	assert_int_equal(adxi_memory_create(UINT64_MAX, 3, &memory), -EINVAL);
	assert_int_equal(adxi_memory_create(100, ADXI_MEMORY_IN | ADXI_MEMORY_BUFFER, &memory), 0);
	assert_int_equal(adxi_memory_length(memory), 100);
	assert_true(adxi_memory_is_own(memory));
	assert_int_equal(adxi_memory_address(memory, &address), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(((uint8_t *)address)[i], 0);
	assert_int_equal(adxi_memory_set_length(memory, 101), -EINVAL);
	assert_int_equal(adxi_memory_set_length(memory, 7), 0);
	assert_int_equal(adxi_memory_length(memory), 7);
	assert_int_equal(adxi_memory_set_length(memory, 100), 0);
	assert_null(adxi_memory_unref(memory));
}

static void
test_same_pages_on_both_sides(void **state)
{
	struct adxi_memory *ours = NULL, *theirs = NULL;
	struct crossing c;
	char *a, *b;

	assert_int_equal(adxi_memory_create(8192, ADXI_MEMORY_IN | ADXI_MEMORY_BUFFER, &ours), 0);
	cross(ours, &c);
	assert_int_equal(c.n_fds, 1);
	assert_int_equal(adxi_memory_import(c.bytes, c.size, c.fds, c.n_fds, &theirs), 0);
	assert_int_equal(c.fds[0], -1);
	assert_int_equal(adxi_memory_flags(theirs), ADXI_MEMORY_IN | ADXI_MEMORY_BUFFER);
	assert_false(adxi_memory_is_own(theirs));
	assert_int_equal(adxi_memory_address(ours, (void **)&a), 0);
	assert_int_equal(adxi_memory_address(theirs, (void **)&b), 0);
	assert_ptr_not_equal(a, b);
	strcpy(a + 5000, "from here");
	assert_string_equal(b + 5000, "from here");
	adxi_memory_unref(ours);
	assert_string_equal(b + 5000, "from here");
	adxi_memory_unref(theirs);
}

static void
test_sub_and_concat(void **state)
{
	struct adxi_memory *whole = NULL, *sub = NULL, *other = NULL, *both = NULL, *odd = NULL;
	struct adxi_mapping *map = NULL;
	struct crossing c;
	char *base, *at;

	assert_int_equal(adxi_memory_create(4 * 4096, 3, &whole), 0);
	assert_int_equal(adxi_memory_address(whole, (void **)&base), 0);
	assert_int_equal(adxi_memory_sub(whole, 1, 4096, 4 * 4096, &sub), -EINVAL);
	assert_int_equal(adxi_memory_sub(whole, 1, UINT64_MAX, 2, &sub), -EINVAL);
	assert_int_equal(adxi_memory_sub(whole, 1, 8192, 4096, &sub), 0);
	assert_int_equal(adxi_memory_sub(sub, 2, 0, 1, &odd), -EACCES);
	assert_int_equal(adxi_memory_sub(sub, 1, 100, 50, &odd), 0);
	assert_int_equal(adxi_memory_create(4096, 3, &other), 0);

	struct adxi_memory *parts[] = { other, sub };
	assert_int_equal(adxi_memory_concat(parts, 2, 3, &both), 0);
	assert_int_equal(adxi_memory_length(both), 8192);
	assert_int_equal(adxi_memory_map(both, 4000, 200, 0, 0, &map), 0);
	at = adxi_mapping_address(map);
	memset(at, 'x', 200);
	assert_int_equal(base[8192], 'x');
	assert_int_equal(base[8192 + 103], 'x');
	assert_int_equal(base[8192 + 104], 0);
	adxi_mapping_unref(map);

	/* Two memfds, three segments, and the order is kept. */
	cross(both, &c);
	assert_int_equal(c.n_fds, 2);
	close_rest(&c);

	struct adxi_memory *uneven[] = { odd, other };
	struct adxi_memory *bad = NULL;
	assert_int_equal(adxi_memory_concat(uneven, 2, 1, &bad), 0);
	assert_int_equal(adxi_memory_map(bad, 0, 0, 0, 0, &map), -ENOTSUP);
	adxi_memory_unref(bad);
	adxi_memory_unref(odd);
	adxi_memory_unref(both);
	adxi_memory_unref(other);
	adxi_memory_unref(sub);
	adxi_memory_unref(whole);
}

static void
test_mappings(void **state)
{
	struct adxi_memory *memory = NULL;
	struct adxi_mapping *a = NULL, *b = NULL, *ro = NULL, *fixed = NULL;

	assert_int_equal(adxi_memory_create(3 * 4096, 3, &memory), 0);
	assert_int_equal(adxi_memory_map(memory, 3 * 4096, 0, 0, 0, &a), -ERANGE);
	assert_int_equal(adxi_memory_map(memory, 4096, 2 * 4096 + 1, 0, 0, &a), -ERANGE);
	assert_int_equal(adxi_memory_map(memory, 10, 20, 0, 0, &a), 0);
	assert_int_equal(adxi_mapping_length(a), 20);
	assert_int_equal((uintptr_t)adxi_mapping_address(a) & 4095, 10);
	assert_int_equal(adxi_memory_map(memory, 10, 20, 0, 0, &b), 0);
	assert_ptr_equal(a, b); /* found again while somebody holds it */
	assert_int_equal(adxi_memory_map(memory, 0, 0, ADXI_MAP_READ_ONLY, 0, &ro), 0);
	assert_true(adxi_mapping_is_read_only(ro));
	assert_int_equal(mprotect(adxi_mapping_address(ro), 4096, PROT_READ), 0);
	adxi_mapping_unref(a);
	adxi_mapping_unref(b);

	uint64_t taken = (uintptr_t)adxi_mapping_address(ro);
	assert_int_equal(adxi_memory_map(memory, 0, 4096, ADXI_MAP_FIXED, taken, &fixed), -EEXIST);
	assert_int_equal(adxi_memory_map(memory, 0, 4096, ADXI_MAP_FIXED, taken + 1, &fixed),
			 -EINVAL);
	adxi_mapping_unref(ro);
	assert_int_equal(adxi_memory_map(memory, 0, 4096, ADXI_MAP_FIXED, taken, &fixed), 0);
	assert_int_equal((uintptr_t)adxi_mapping_address(fixed), taken);
	adxi_memory_unref(memory); /* the mapping holds it */
	*(char *)adxi_mapping_address(fixed) = 1;
	adxi_mapping_unref(fixed);
}

static void
test_alignment(void **state)
{
	struct adxi_memory *memory = NULL;
	void *address;

	assert_int_equal(adxi_memory_create(3 * 4096, 3, &memory), 0);
	assert_int_equal(adxi_memory_align(memory, 24576), -EINVAL);
	assert_int_equal(adxi_memory_align(memory, ADXI_MEMORY_MAX_ALIGNMENT * 2), -EINVAL);
	assert_int_equal(adxi_memory_align(memory, 0), 0);
	assert_int_equal(adxi_memory_align(memory, 65536), 0);
	assert_int_equal(adxi_memory_address(memory, &address), 0);
	assert_int_equal((uintptr_t)address % 65536, 0);
	memset(address, 1, 3 * 4096);
	adxi_memory_unref(memory);
}

static void
test_copy_on_write(void **state)
{
	struct adxi_memory *client = NULL, *seen = NULL;
	struct crossing c;
	char *theirs, *ours;

	assert_int_equal(adxi_memory_create(4096, 3 | ADXI_MEMORY_COPY_ON_WRITE, &client), 0);
	cross(client, &c);
	assert_int_equal(adxi_memory_import(c.bytes, c.size, c.fds, c.n_fds, &seen), 0);
	assert_int_equal(adxi_memory_address(seen, (void **)&ours), 0);
	assert_int_equal(adxi_memory_address(client, (void **)&theirs), 0);
	ours[0] = 7;
	assert_int_equal(theirs[0], 0);
	adxi_memory_unref(client);
	adxi_memory_unref(seen);
}

static void
test_lies_are_refused(void **state)
{
	struct adxi_memory *memory = NULL, *got = NULL;
	struct crossing good, c;
	static const struct {
		size_t offset;
		uint32_t value;
		int expect;
	} lies[] = {
		{ 0, 0x12345678, -EPROTO },  /* magic */
		{ 16, 0, -EPROTO },          /* no segments */
		{ 16, 33, -EPROTO },         /* more than there can be */
		{ 20, 2, -EPROTO },          /* descriptors that did not come */
		{ 24, 1, -EPROTO },          /* index of a descriptor that did not come */
		{ 32, 0x1000, -ERANGE },     /* begins where the file ends */
		{ 36, 0x80000000, -ERANGE }, /* offset + length wraps */
		{ 40, 4097, -ERANGE },       /* longer than the file */
		{ 44, 0x80000000, -EPROTO }, /* longer than any memory */
		{ 12, 1, -EPROTO },          /* length above the segments' sum */
	};

	assert_int_equal(adxi_memory_create(4096, 3, &memory), 0);
	adxi_memory_export(memory, good.bytes, &good.size, good.fds, &good.n_fds);
	assert_int_equal(word(&good, 40), 4096);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		cross(memory, &c);
		memcpy(c.bytes + lies[i].offset, &lies[i].value, sizeof(lies[i].value));
		assert_int_equal(adxi_memory_import(c.bytes, c.size, c.fds, c.n_fds, &got),
				 lies[i].expect);
		assert_null(got);
		close_rest(&c);
	}
	for (size_t size = 0; size < good.size; size++) {
		cross(memory, &c);
		assert_int_equal(adxi_memory_import(c.bytes, size, c.fds, c.n_fds, &got), -EPROTO);
		close_rest(&c);
	}
	adxi_memory_unref(memory);
}

static void
test_unsealed_is_refused(void **state)
{
	struct adxi_memory *got = NULL;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int pipes[2];

	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(adxi_memory_wrap(fcntl(fd, F_DUPFD_CLOEXEC, 3), 0, 4096, 3, &got), -EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(adxi_memory_wrap(fcntl(fd, F_DUPFD_CLOEXEC, 3), 0, 4097, 3, &got),
			 -ERANGE);
	assert_int_equal(adxi_memory_wrap(fd, 0, 4096, 3, &got), 0);
	adxi_memory_unref(got);
	got = NULL;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(adxi_memory_wrap(pipes[0], 0, 1, 3, &got), -EPERM);
	close(pipes[1]);
	assert_null(got);
}

static void
test_immutable(void **state)
{
	static const char bytes[5000] = "sealed";
	struct adxi_memory *ours = NULL, *theirs = NULL;
	struct adxi_mapping *map = NULL;
	struct crossing c;

	assert_int_equal(adxi_memory_create_immutable(bytes, 0, ADXI_MEMORY_OUT, &ours), -EINVAL);
	assert_int_equal(adxi_memory_create_immutable((const void *)8, 5000, ADXI_MEMORY_OUT, &ours),
			 -EFAULT);
	assert_int_equal(adxi_memory_create_immutable(bytes, 5000, ADXI_MEMORY_OUT, &ours), 0);
	assert_true(adxi_memory_is_immutable(ours));
	assert_int_equal(adxi_memory_fill(ours, "x", 1), -EPERM);
	cross(ours, &c);
	assert_int_equal(adxi_memory_import(c.bytes, c.size, c.fds, c.n_fds, &theirs), 0);
	assert_true(adxi_memory_is_immutable(theirs));
	assert_int_equal(adxi_memory_length(theirs), 5000);
	assert_int_equal(adxi_memory_map(theirs, 0, 0, ADXI_MAP_READ_ONLY, 0, &map), 0);
	assert_string_equal(adxi_mapping_address(map), "sealed");
	adxi_mapping_unref(map);
	adxi_memory_unref(theirs);
	adxi_memory_unref(ours);
	/* Anything that its maker can still write is not. */
	assert_int_equal(adxi_memory_create(4096, ADXI_MEMORY_OUT, &ours), 0);
	assert_false(adxi_memory_is_immutable(ours));
	adxi_memory_unref(ours);
}

static void
test_kept_mapped(void **state)
{
	struct adxi_memory *memory = NULL;
	struct adxi_mapping *map = NULL, *again = NULL, *part = NULL;
	char *first;

	assert_int_equal(adxi_memory_create(16384, ADXI_MEMORY_OUT | ADXI_MEMORY_SNAPSHOT, &memory),
			 0);
	assert_false(adxi_memory_is_own(memory));
	adxi_memory_keep_mapped(memory);
	assert_int_equal(adxi_memory_fill_at(memory, 5000, "text", 5), 0);
	assert_int_equal(adxi_memory_fill_at(memory, 16384, "", 1), -EINVAL);
	assert_int_equal(adxi_memory_fill_at(memory, 5, (const void *)8, 100), -EFAULT);
	assert_int_equal(adxi_memory_map(memory, 0, 0, ADXI_MAP_READ_ONLY, 0, &map), 0);
	first = adxi_mapping_address(map);
	assert_string_equal(first + 5000, "text");
	assert_int_equal(adxi_memory_holders(memory), 3);
	adxi_mapping_unref(map);
	assert_int_equal(adxi_memory_holders(memory), 2);
	/* Another length, the same place; a part of it has a place of its own. */
	assert_int_equal(adxi_memory_set_length(memory, 6000), 0);
	assert_int_equal(adxi_memory_map(memory, 0, 0, ADXI_MAP_READ_ONLY, 0, &again), 0);
	assert_ptr_equal(adxi_mapping_address(again), first);
	assert_int_equal(adxi_mapping_length(again), 6000);
	assert_int_equal(adxi_memory_map(memory, 4096, 0, ADXI_MAP_READ_ONLY, 0, &part), 0);
	assert_string_equal((char *)adxi_mapping_address(part) + 904, "text");
	/* A mapping is enough to hold it. */
	adxi_memory_unref(memory);
	assert_string_equal(first + 5000, "text");
	adxi_mapping_unref(part);
	adxi_mapping_unref(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_immutable),
		cmocka_unit_test(test_kept_mapped),
		cmocka_unit_test(test_same_pages_on_both_sides),
		cmocka_unit_test(test_sub_and_concat),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_copy_on_write),
		cmocka_unit_test(test_lies_are_refused),
		cmocka_unit_test(test_unsealed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
