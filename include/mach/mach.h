/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_MACH_H
#define AMBIDEXT_MACH_MACH_H

/** @file mach/mach.h
 *  @brief The few Mach names that IOKitLib clients use. There are no Mach messages here. */

#include <stddef.h>
#include <stdint.h>

#include <ambidext/base.h>
#include <mach/kern_return.h>
#include <mach/message.h>
#include <mach/mig_errors.h>
#include <mach/port.h>

ADX_BEGIN_DECLS

typedef int boolean_t;
typedef mach_port_t task_t;
typedef mach_port_t task_port_t;
typedef mach_port_t vm_map_t;

typedef struct mach_timespec {
	unsigned int tv_sec;
	int tv_nsec;
} mach_timespec_t;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

/** Name for this process; the only task that anything here can be done to. */
ADX_API mach_port_t mach_task_self(void);
/** Free a buffer that a variable-size output made. @p size as it was returned. */
ADX_API kern_return_t vm_deallocate(vm_map_t task, uintptr_t address, uintptr_t size);
ADX_API kern_return_t mach_vm_deallocate(vm_map_t task, uint64_t address, uint64_t size);
/** Name of an error of any family (IOKit, USB, MIG, Mach, kern). Static text. */
ADX_API char *mach_error_string(int error);
ADX_API kern_return_t mach_port_deallocate(task_t task, mach_port_name_t name);

ADX_END_DECLS
#endif /* AMBIDEXT_MACH_MACH_H */
