/* SPDX-License-Identifier: MIT */
/* IOConnectMapMemory64, and the client's own memory in the driver. */

#include "rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static kern_return_t
map(uint32_t type, mach_vm_address_t *address, mach_vm_size_t *size)
{
	*address = 0;
	return IOConnectMapMemory64(connection_shared(), type, mach_task_self(), address, size,
				    kIOMapAnywhere);
}

static kern_return_t
unmap(uint32_t type, mach_vm_address_t address)
{
	return IOConnectUnmapMemory64(connection_shared(), type, mach_task_self(), address);
}

static uint64_t
sum(const uint8_t *bytes, size_t size)
{
	uint64_t result = 0;

	while (size--)
		result += *bytes++;
	return result;
}

static kern_return_t
writable(void)
{
	mach_vm_address_t address, again;
	mach_vm_size_t size, size_again;
	uint64_t driver_sum;
	uint32_t n = 1;

	assert_int_equal(map(kMemoryWritable, &address, &size), kIOReturnSuccess);
	assert_int_equal(map(kMemoryWritable, &again, &size_again), kIOReturnSuccess);
	assert_int_equal(size, CONFORMANCE_MEMORY);
	assert_int_equal(size_again, size);
	assert_int_equal(address % PAGE, 0);
	uint8_t *bytes = (uint8_t *)(uintptr_t)address;
	assert_int_equal(call1(connection_shared(), kWriteMemory, size), kIOReturnSuccess);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], CONFORMANCE_BYTE(i));
	memset(bytes, 9, size);
	assert_memory_equal(bytes, (const void *)(uintptr_t)again, size);
	assert_int_equal(IOConnectCallScalarMethod(connection_shared(), kSumMemory, NULL, 0,
						   &driver_sum, &n),
			 kIOReturnSuccess);
	assert_int_equal(driver_sum, 9 * size);
	assert_int_equal(unmap(kMemoryWritable, address), kIOReturnSuccess);
	if (again != address)
		assert_int_equal(unmap(kMemoryWritable, again), kIOReturnSuccess);
	/* It was there, and is no more. */
	return unmap(kMemoryWritable, address);
}

/* Whether writing there ends a process. */
static bool
write_kills(uint8_t *bytes)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		bytes[0] = 1;
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSEGV;
}

static kern_return_t
read_only(void)
{
	mach_vm_address_t address;
	mach_vm_size_t size;

	assert_int_equal(map(kMemoryReadOnly, &address, &size), kIOReturnSuccess);
	uint8_t *bytes = (uint8_t *)(uintptr_t)address;
	assert_int_equal(call1(connection_shared(), kWriteMemory, size), kIOReturnSuccess);
	assert_int_equal(bytes[100], CONFORMANCE_BYTE(100));
	assert_true(write_kills(bytes));
	return unmap(kMemoryReadOnly, address);
}

static kern_return_t
fails(uint32_t type)
{
	mach_vm_address_t address = 0x1230;
	mach_vm_size_t size = 77;
	kern_return_t ret = IOConnectMapMemory64(connection_shared(), type, mach_task_self(),
						 &address, &size, kIOMapAnywhere);

	assert_int_equal(address, 0x1230);
	assert_int_equal(size, 77);
	return ret;
}

static kern_return_t
refused(void)
{
	return fails(kMemoryRefused);
}

static kern_return_t
no_memory(void)
{
	return fails(kMemoryNone);
}

static kern_return_t
unknown_type(void)
{
	return fails(4711);
}

static kern_return_t
unmap_refused(void)
{
	mach_vm_address_t address;
	mach_vm_size_t size;

	assert_int_equal(map(kMemoryOnce, &address, &size), kIOReturnSuccess);
	return unmap(kMemoryOnce, address);
}

static kern_return_t
unmap_elsewhere(void)
{
	mach_vm_address_t address;
	mach_vm_size_t size;

	assert_int_equal(map(kMemoryWritable, &address, &size), kIOReturnSuccess);
	kern_return_t ret = unmap(kMemoryWritable, address + PAGE);
	assert_int_equal(unmap(kMemoryReadOnly, address), kIOReturnBadArgument); /* another type */
	assert_int_equal(unmap(kMemoryWritable, address), kIOReturnSuccess);
	return ret;
}

static kern_return_t
map_fixed(mach_vm_address_t at)
{
	mach_vm_address_t address = at;
	mach_vm_size_t size;
	kern_return_t ret = IOConnectMapMemory64(connection_shared(), kMemoryWritable,
						 mach_task_self(), &address, &size, 0);

	assert_int_equal(address, at);
	return ret;
}

static kern_return_t
fixed(void)
{
	void *hole = mmap(NULL, CONFORMANCE_MEMORY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(hole != MAP_FAILED);
	assert_int_equal(munmap(hole, CONFORMANCE_MEMORY), 0);
	assert_int_equal(map_fixed((uintptr_t)hole), kIOReturnSuccess);
	return unmap(kMemoryWritable, (uintptr_t)hole);
}

static kern_return_t
fixed_taken(void)
{
	uint8_t *taken = mmap(NULL, CONFORMANCE_MEMORY, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(taken != MAP_FAILED);
	taken[5] = 5;
	kern_return_t ret = map_fixed((uintptr_t)taken);
	assert_int_equal(taken[5], 5);
	assert_int_equal(munmap(taken, CONFORMANCE_MEMORY), 0);
	return ret;
}

static kern_return_t
fixed_zero(void)
{
	return map_fixed(0);
}

static kern_return_t
fixed_crooked(void)
{
	return map_fixed(0x7000001001);
}

static kern_return_t
another_task(void)
{
	mach_vm_address_t address;
	mach_vm_size_t size;

	return IOConnectMapMemory64(connection_shared(), kMemoryWritable, mach_task_self() + 1,
				    &address, &size, kIOMapAnywhere);
}

static kern_return_t
nowhere(void)
{
	mach_vm_size_t size;

	return IOConnectMapMemory64(connection_shared(), kMemoryWritable, mach_task_self(), NULL,
				    &size, kIOMapAnywhere);
}

static kern_return_t
connection_0(void)
{
	mach_vm_address_t address;
	mach_vm_size_t size;

	assert_int_equal(IOConnectUnmapMemory64(0, 0, mach_task_self(), 0), MACH_SEND_INVALID_DEST);
	return IOConnectMapMemory64(0, kMemoryWritable, mach_task_self(), &address, &size,
				    kIOMapAnywhere);
}

static kern_return_t
not_a_connection(void)
{
	io_service_t service = service_copy(DRIVER);
	mach_vm_address_t address;
	mach_vm_size_t size;
	kern_return_t ret = IOConnectMapMemory64(service, kMemoryWritable, mach_task_self(),
						 &address, &size, kIOMapAnywhere);

	assert_int_equal(IOObjectRelease(service), kIOReturnSuccess);
	return ret;
}

/* A mapping outlives IOServiceClose for as long as the handle is held; calls do not. */
static kern_return_t
after_close(void)
{
	io_connect_t connection = connection_open(DRIVER, kTypeNormal);
	mach_vm_address_t address;
	mach_vm_size_t size;

	assert_int_equal(IOConnectMapMemory64(connection, kMemoryWritable, mach_task_self(),
					      &address, &size, kIOMapAnywhere),
			 kIOReturnSuccess);
	assert_int_equal(call1(connection, kWriteMemory, size), kIOReturnSuccess);
	assert_int_equal(IOConnectAddRef(connection), kIOReturnSuccess);
	assert_int_equal(IOServiceClose(connection), kIOReturnSuccess);
	assert_int_equal(((const uint8_t *)(uintptr_t)address)[size - 1],
			 CONFORMANCE_BYTE(size - 1));
	kern_return_t ret = call0(connection, kCheckNothing);
	assert_int_equal(IOConnectRelease(connection), kIOReturnSuccess);
	assert_int_equal(call0(connection, kCheckNothing), MACH_SEND_INVALID_DEST);
	return ret;
}

/* ---- CreateMemoryDescriptorFromClient ---- */

enum { READS, WRITES, KEEPS };

static kern_return_t
client_memory(const void *address, uint64_t size, uint64_t options, uint64_t what,
	      uint64_t *ret_sum)
{
	const uint64_t in[4] = { (uintptr_t)address, size, options, what };
	uint32_t n = 1;

	return IOConnectCallScalarMethod(connection_shared(), kClientMemory, in, 4, ret_sum, &n);
}

static uint8_t *
pages(size_t size)
{
	uint8_t *bytes =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(bytes != MAP_FAILED);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 3);
	return bytes;
}

static kern_return_t
driver_reads(void)
{
	uint8_t *bytes = pages(3 * PAGE);
	uint64_t driver_sum;
	kern_return_t ret =
		client_memory(bytes + 100, 5000, kIOMemoryDirectionOut, READS, &driver_sum);

	assert_int_equal(driver_sum, sum(bytes + 100, 5000));
	assert_int_equal(munmap(bytes, 3 * PAGE), 0);
	return ret;
}

static kern_return_t
driver_writes_copy(void)
{
	uint8_t *bytes = pages(2 * PAGE);
	uint64_t before = sum(bytes, 2 * PAGE), unused;
	kern_return_t ret =
		client_memory(bytes, 2 * PAGE, kIOMemoryDirectionInOut, WRITES, &unused);

	assert_int_equal(sum(bytes, 2 * PAGE), before);
	assert_int_equal(munmap(bytes, 2 * PAGE), 0);
	return ret;
}

static kern_return_t
driver_writes(void)
{
	uint8_t *bytes = pages(2 * PAGE);
	uint64_t unused;
	kern_return_t ret = client_memory(bytes, 2 * PAGE,
					  kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite,
					  WRITES, &unused);

	for (size_t i = 0; i < 2 * PAGE; i++)
		assert_int_equal(bytes[i], CONFORMANCE_BYTE(i));
	assert_int_equal(munmap(bytes, 2 * PAGE), 0);
	return ret;
}

static bool
is_written(void *context)
{
	const volatile uint8_t *bytes = context;

	return bytes[2 * PAGE - 1] == CONFORMANCE_BYTE(2 * PAGE - 1);
}

static kern_return_t
driver_writes_later(void)
{
	uint8_t *bytes = pages(2 * PAGE);
	uint64_t unused;
	kern_return_t ret = client_memory(bytes, 2 * PAGE,
					  kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite,
					  KEEPS, &unused);

	memset(bytes, 0, 2 * PAGE);
	assert_int_equal(call1(connection_shared(), kWriteKept, 2 * PAGE), kIOReturnSuccess);
	assert_true(wait_until(is_written, bytes));
	assert_int_equal(munmap(bytes, 2 * PAGE), 0);
	return ret;
}

static kern_return_t
unmapped(void)
{
	uint8_t *bytes = pages(PAGE);
	uint64_t unused;

	assert_int_equal(munmap(bytes, PAGE), 0);
	return client_memory(bytes, PAGE, kIOMemoryDirectionOut, READS, &unused);
}

static kern_return_t
no_direction(void)
{
	uint64_t unused;

	return client_memory(&unused, 8, 0, READS, &unused);
}

static kern_return_t
unknown_option(void)
{
	uint64_t unused;

	return client_memory(&unused, 8, kIOMemoryDirectionOut | 0x8000, READS, &unused);
}

static kern_return_t
segments(uint32_t n, uint64_t out[2])
{
	uint8_t *bytes = pages(40 * PAGE);
	const uint64_t in[3] = { (uintptr_t)bytes, PAGE, n };
	uint32_t n_out = 2;
	kern_return_t ret;

	for (unsigned i = 0; i < 40; i++)
		bytes[i * PAGE] = (uint8_t)(i + 1);
	ret = IOConnectCallScalarMethod(connection_shared(), kClientSegments, in, 3, out, &n_out);
	assert_int_equal(munmap(bytes, 40 * PAGE), 0);
	return ret;
}

static kern_return_t
segments_32(void)
{
	uint64_t out[2];
	kern_return_t ret = segments(32, out);

	assert_int_equal(out[0], 32 * PAGE);
	assert_int_equal(out[1], 32); /* the last page comes first, as the driver asked */
	return ret;
}

/* ---- structures of external methods ---- */

#define LARGE (2 * PAGE)

/* Two pages, of which the second one has @p protection, or is not there. */
static uint8_t *
pages_get(int protection)
{
	uint8_t *pages = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	if (protection < 0)
		assert_int_equal(munmap(pages + PAGE, PAGE), 0);
	else
		assert_int_equal(mprotect(pages + PAGE, PAGE, protection), 0);
	return pages;
}

static kern_return_t
give(int protection)
{
	uint8_t *pages = pages_get(protection);
	kern_return_t ret = IOConnectCallStructMethod(connection_shared(), kCheckAnyCompletion, pages,
						      LARGE, NULL, NULL);

	assert_int_equal(munmap(pages, LARGE), 0);
	return ret;
}

static kern_return_t
take(int protection)
{
	uint8_t *pages = pages_get(protection);
	size_t size = LARGE;
	kern_return_t ret = IOConnectCallStructMethod(connection_shared(), kCheckAnyCompletion, NULL, 0,
						      pages, &size);

	assert_int_equal(size, LARGE);
	assert_int_equal(munmap(pages, LARGE), 0);
	return ret;
}

static kern_return_t
input_half(void)
{
	return give(-1);
}

static kern_return_t
input_unreadable(void)
{
	return give(PROT_NONE);
}

static kern_return_t
input_const(void)
{
	return give(PROT_READ);
}

static kern_return_t
input_wild(void)
{
	return IOConnectCallStructMethod(connection_shared(), kCheckNothing,
					 (const void *)(UINTPTR_MAX - PAGE), LARGE, NULL, NULL);
}

static kern_return_t
output_half(void)
{
	return take(-1);
}

static kern_return_t
output_const(void)
{
	return take(PROT_READ);
}

static kern_return_t
output_wild(void)
{
	size_t size = LARGE;

	return IOConnectCallStructMethod(connection_shared(), kCheckAnyCompletion, NULL, 0,
					 (void *)(UINTPTR_MAX - PAGE), &size);
}

/* A buffer that was passed before and is gone: of a file, which is never shared in place, or pages of its own. */
static kern_return_t
gone(int flags, int fd)
{
	uint8_t *bytes = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	size_t size = LARGE;

	assert_true(bytes != MAP_FAILED);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(IOConnectCallStructMethod(connection_shared(), kCheckAnyCompletion,
							   bytes, LARGE, bytes, &size),
				 kIOReturnSuccess);
	assert_int_equal(munmap(bytes, LARGE), 0);
	/* Its place is still free when a call looks for what to bring up to date. */
	assert_int_equal(call0(connection_shared(), kCheckNothing), kIOReturnSuccess);
	return IOConnectCallStructMethod(connection_shared(), kCheckAnyCompletion, NULL, 0, bytes,
					 &size);
}

static kern_return_t
output_gone(void)
{
	return gone(MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static kern_return_t
output_of_file_gone(void)
{
	int fd = memfd_create("output", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, LARGE), 0);
	kern_return_t ret = gone(MAP_SHARED, fd);
	assert_int_equal(close(fd), 0);
	return ret;
}

/* Other memory lies where a buffer was: that is what the driver writes, each time. */
static kern_return_t
output_replaced(void)
{
	const uint64_t n_written = LARGE;
	uint8_t *bytes = pages(LARGE);
	size_t size = LARGE;

	for (unsigned i = 0; i < 3; i++) {
		assert_true(mmap(bytes, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == bytes);
		kern_return_t ret = IOConnectCallMethod(connection_shared(), kWriteOutput, &n_written, 1, NULL, 0, NULL, NULL,
							bytes, &size);
		if (ret != kIOReturnSuccess)
			return ret;
		for (size_t at = 0; at < LARGE; at++)
			assert_int_equal(bytes[at], CONFORMANCE_BYTE(at));
	}
	assert_int_equal(munmap(bytes, LARGE), 0);
	return kIOReturnSuccess;
}

static kern_return_t
segments_33(void)
{
	uint64_t out[2];

	return segments(33, out);
}

static kern_return_t
segments_0(void)
{
	uint64_t out[2];

	return segments(0, out);
}

#define BAD kIOReturnBadArgument

const struct situation memory_rows[] = {
	{ "mapped twice, written on both sides, unmapped, and once too often", writable, BAD },
	{ "read-only", read_only, kIOReturnSuccess },
	{ "the driver refuses the type", refused, BAD, "T89", "CopyClientMemoryForType(2)",
	  SAID_BY_CLIENT },
	{ "success without memory", no_memory, BAD },
	{ "a type that the driver does not know", unknown_type, BAD, "T89",
	  "CopyClientMemoryForType(4711)", SAID_BY_CLIENT },
	{ "the driver refuses on unmap", unmap_refused, FAILURE },
	{ "unmap where nothing is mapped", unmap_elsewhere, BAD },
	{ "a fixed address", fixed, kIOReturnSuccess },
	{ "a fixed address that is in use", fixed_taken, BAD, "T88", NULL, SAID_BY_CLIENT },
	{ "address 0 without kIOMapAnywhere", fixed_zero, BAD, "T88", NULL, SAID_BY_CLIENT },
	{ "a fixed address inside a page", fixed_crooked, BAD, "T88", NULL, SAID_BY_CLIENT },
	{ "into another task", another_task, BAD },
	{ "no place for the address", nowhere, BAD },
	{ "connection 0", connection_0, MACH_SEND_INVALID_DEST },
	{ "a service", not_a_connection, BAD },
	{ "a mapping stays after close, calls are refused", after_close, BAD },
	{ "the driver reads its client's memory", driver_reads, kIOReturnSuccess },
	{ "the driver writes to a copy", driver_writes_copy, kIOReturnSuccess, "T64", NULL,
	  SAID_BY_DRIVER },
	{ "the driver writes to its client's memory", driver_writes, kIOReturnSuccess },
	{ "the driver writes to it after the call", driver_writes_later, kIOReturnSuccess },
	{ "memory that is not there", unmapped, kIOReturnVMError },
	{ "a large input that ends too early", input_half, MACH_SEND_INVALID_MEMORY, "CLI002",
	  "may not read all of the 8192 bytes of inputStruct", SAID_BY_CLIENT },
	{ "a large input that cannot be read", input_unreadable, MACH_SEND_INVALID_MEMORY,
	  "CLI002", NULL, SAID_BY_CLIENT },
	{ "a large input that can only be read", input_const, kIOReturnSuccess },
	{ "a large input at no address", input_wild, MACH_SEND_INVALID_MEMORY, "CLI002", NULL,
	  SAID_BY_CLIENT },
	{ "a large output that ends too early", output_half, MACH_SEND_INVALID_MEMORY, "CLI002",
	  "may not read and write all of the 8192 bytes of outputStruct", SAID_BY_CLIENT },
	{ "a large output that can only be read", output_const, MACH_SEND_INVALID_MEMORY, "CLI002",
	  NULL, SAID_BY_CLIENT },
	{ "a large output at no address", output_wild, MACH_SEND_INVALID_MEMORY, "CLI002", NULL,
	  SAID_BY_CLIENT },
	{ "a large output that was there before", output_gone, MACH_SEND_INVALID_MEMORY, "CLI002",
	  NULL, SAID_BY_CLIENT },
	{ "a large output in a file that was there before", output_of_file_gone,
	  MACH_SEND_INVALID_MEMORY, "CLI002", NULL, SAID_BY_CLIENT },
	{ "a large output with other memory in its place", output_replaced, kIOReturnSuccess },
	{ "no direction", no_direction, BAD },
	{ "an unknown option", unknown_option, BAD },
	{ "32 segments", segments_32, kIOReturnSuccess },
	{ "33 segments", segments_33, kIOReturnOverrun },
	{ "no segments", segments_0, BAD },
};
const unsigned n_memory_rows = N_ROWS(memory_rows);
