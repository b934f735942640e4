/* SPDX-License-Identifier: MIT */
/* The few Mach calls of mach/mach.h. */

#include <sys/mman.h>

#include <mach/mach.h>

#include "base/ioreturn.h"
#include "iokit/iokit.h"

#define TASK_SELF 0x103u /* no handle has this value: slot 0 does not exist */

mach_port_t
mach_task_self(void)
{
	return TASK_SELF;
}

kern_return_t
mach_vm_deallocate(vm_map_t task, uint64_t address, uint64_t size)
{
	if (task != TASK_SELF)
		return KERN_INVALID_ARGUMENT;
	if (size == 0)
		return KERN_SUCCESS;
	return munmap((void *)(uintptr_t)address, size) == 0 ? KERN_SUCCESS : KERN_INVALID_ADDRESS;
}

kern_return_t
vm_deallocate(vm_map_t task, uintptr_t address, uintptr_t size)
{
	return mach_vm_deallocate(task, address, size);
}

char *
mach_error_string(int error)
{
	return (char *)(uintptr_t)adxi_ioreturn_name(error);
}

kern_return_t
mach_port_deallocate(task_t task, mach_port_name_t name)
{
	return task == TASK_SELF ? IOObjectRelease(name) : KERN_INVALID_TASK;
}
