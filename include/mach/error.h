/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_MACH_ERROR_H
#define AMBIDEXT_MACH_ERROR_H

/** @file mach/error.h
 *  @brief How a return code is composed: system in bits 31..26, subsystem in 25..14, code in 13..0. */

#include <mach/kern_return.h>

typedef kern_return_t mach_error_t;

#define err_none ((mach_error_t)0)
#define ERR_SUCCESS ((mach_error_t)0)
#define err_system(x) ((int)((((unsigned int)(x)) & 0x3fu) << 26))
#define err_sub(x) ((int)((((unsigned int)(x)) & 0xfffu) << 14))
#define err_get_system(err) ((int)((((unsigned int)(err)) >> 26) & 0x3fu))
#define err_get_sub(err) ((int)((((unsigned int)(err)) >> 14) & 0xfffu))
#define err_get_code(err) ((int)((err) & 0x3fff))

#define err_kern err_system(0x0)
#define err_mach_ipc err_system(0x4)
#define err_local err_system(0x3e)
#define err_max_system 0x3f

#endif /* AMBIDEXT_MACH_ERROR_H */
