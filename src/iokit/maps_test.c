/* SPDX-License-Identifier: MIT */
/* What lies at an address, asked for and read line by line: both say the same. */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "iokit/maps.h"

#define PAGE  4096u
#define PAGES 6u

static uint8_t *base;    /* PAGES pages, nothing before and behind them */
static struct stat ours; /* of the memfd that is in pages 2 and 3 */

static int
setup(void **state)
{
	int fd = memfd_create(IOKIT_MEMFD_NAME, MFD_CLOEXEC);

	base = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(base != MAP_FAILED);
	base += PAGE;
	assert_int_equal(munmap(base - PAGE, PAGE), 0);
	assert_int_equal(munmap(base + PAGES * PAGE, PAGE), 0);
	assert_int_equal(mprotect(base, PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	assert_int_equal(fstat(fd, &ours), 0);
	assert_true(mmap(base + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 fd, PAGE) != MAP_FAILED);
	assert_int_equal(mprotect(base + 5 * PAGE, PAGE, PROT_READ), 0);
	assert_int_equal(close(fd), 0);
	return 0;
}

static int
teardown(void **state)
{
	return munmap(base, PAGES * PAGE);
}

static unsigned
areas(unsigned from, unsigned to)
{
	return iokit_maps_areas((uintptr_t)base + from, (uintptr_t)base + to);
}

static bool
are(unsigned from, unsigned to, ino_t inode, uint64_t offset)
{
	return iokit_maps_are((uintptr_t)base + from, (uintptr_t)base + to, ours.st_dev, inode,
			      offset);
}

static void
test_areas(void **state)
{
	uint8_t here[16];

	assert_int_equal(areas(0, 2 * PAGE), IOKIT_AREA_PRIVATE);
	assert_int_equal(areas(10, 20), IOKIT_AREA_PRIVATE);
	assert_int_equal(areas(2 * PAGE, 4 * PAGE), IOKIT_AREA_OURS);
	assert_int_equal(areas(0, 5 * PAGE), IOKIT_AREA_PRIVATE | IOKIT_AREA_OURS);
	assert_int_equal(areas(4 * PAGE, 6 * PAGE), IOKIT_AREA_PRIVATE | IOKIT_AREA_OTHER);
	assert_int_equal(areas(5 * PAGE, 7 * PAGE), IOKIT_AREA_OTHER);
	assert_int_equal(iokit_maps_areas((uintptr_t)here, (uintptr_t)here + sizeof here),
			 IOKIT_AREA_OTHER);
}

static void
test_the_same_file(void **state)
{
	assert_true(are(2 * PAGE, 4 * PAGE, ours.st_ino, PAGE));
	assert_true(are(3 * PAGE, 4 * PAGE, ours.st_ino, 2 * PAGE));
	assert_false(are(2 * PAGE, 4 * PAGE, ours.st_ino, 0));
	assert_false(are(2 * PAGE, 4 * PAGE, ours.st_ino + 1, PAGE));
	assert_false(are(2 * PAGE, 5 * PAGE, ours.st_ino, PAGE));
	assert_false(are(0, PAGE, ours.st_ino, PAGE));
	/* Another page of the same file in between. */
	assert_ptr_equal(
		mremap(base + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, base + 3 * PAGE),
		base + 3 * PAGE);
	assert_false(are(3 * PAGE, 4 * PAGE, ours.st_ino, 2 * PAGE));
	assert_false(are(2 * PAGE, 4 * PAGE, ours.st_ino, PAGE));
}

static void
test_there(void **state)
{
	assert_true(iokit_maps_are_there(base, 5 * PAGE, true));
	assert_true(iokit_maps_are_there(base, 6 * PAGE, false));
	assert_false(iokit_maps_are_there(base, 6 * PAGE, true));
	assert_false(iokit_maps_are_there(base, 6 * PAGE + 1, false));
	assert_false(iokit_maps_are_there(base - 1, 2, false));
	assert_false(iokit_maps_are_there(base, SIZE_MAX, false));
	assert_true(iokit_maps_are_there(base + 6 * PAGE - 1, 1, false));
}

/* The program closes what it does not know, and opens something else: nothing of it is touched. */
static void
test_the_descriptor_is_lost(void **state)
{
	char path[64], name[64];
	int fds[2], found = -1;

	assert_true(iokit_maps_are_there(base, PAGE, true));
	for (int fd = 3; fd < 64 && found < 0; fd++) {
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, name, sizeof name - 1);
		name[n > 0 ? n : 0] = '\0';
		if (strstr(name, "/maps"))
			found = fd;
	}
	if (found < 0)
		skip(); /* the system answers no questions, so nothing stays open */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(close(found), 0);
		for (unsigned k = 0; k < 2; k++) /* the first one finds it gone */
			assert_true(iokit_maps_are_there(base, PAGE, true));
	}
	assert_int_equal(close(found), 0);
	assert_int_equal(pipe(fds), 0);
	for (unsigned k = 0; k < 2; k++)
		assert_true(iokit_maps_are_there(base, PAGE, true));
	assert_false(iokit_maps_are_there(base, 7 * PAGE, true));
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(read(fds[0], name, 1), 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* From here on as on Linux before 6.11, which knows no such question. */
static void
forget_the_question(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc0686611u, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_areas, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_same_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_descriptor_is_lost, setup, teardown),
	};

	if (argc > 1)
		forget_the_question();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
