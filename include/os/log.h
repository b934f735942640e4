/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_OS_LOG_H
#define AMBIDEXT_OS_LOG_H

/** @file os/log.h
 *  @brief Logging with %{public}s and %{private}s. clang checks formats in C; in C++ it does not, because
 *  sources from macOS rightly print uint64_t with %llu there, and here that is another type.
 *
 *  Lines go where the process's log goes; a dext's are collected by dextd (`dext log`). Nothing is
 *  hidden: the annotations are accepted, and shown text is not replaced. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ambidext/base.h>

ADX_BEGIN_DECLS

typedef struct os_log_s *os_log_t;
typedef uint8_t os_log_type_t;

enum {
	OS_LOG_TYPE_DEFAULT = 0x00,
	OS_LOG_TYPE_INFO = 0x01,
	OS_LOG_TYPE_DEBUG = 0x02,
	OS_LOG_TYPE_ERROR = 0x10,
	OS_LOG_TYPE_FAULT = 0x11,
};

#define OS_LOG_DEFAULT ((os_log_t)NULL)
#define OS_LOG_DISABLED ((os_log_t)(uintptr_t)1)

#if defined(__clang__) && !defined(__cplusplus)
#define ADX_OS_LOG_FORMAT(fmt, first) __attribute__((format(os_log, fmt, first)))
#else
#define ADX_OS_LOG_FORMAT(fmt, first)
#endif

/** A log of that name. Never NULL; it lives as long as the process. */
ADX_API os_log_t os_log_create(const char *subsystem, const char *category);
ADX_API bool os_log_type_enabled(os_log_t log, os_log_type_t type);
/** One line. @p file may be NULL. errno is kept, and %m means it. */
ADX_API void adx_os_log(os_log_t log, os_log_type_t type, const char *file, int line,
			const char *format, ...) ADX_OS_LOG_FORMAT(5, 6);

ADX_END_DECLS

#define os_log_with_type(log, type, ...) adx_os_log((log), (type), __FILE__, __LINE__, __VA_ARGS__)
#define os_log(log, ...) os_log_with_type(log, OS_LOG_TYPE_DEFAULT, __VA_ARGS__)
#define os_log_info(log, ...) os_log_with_type(log, OS_LOG_TYPE_INFO, __VA_ARGS__)
#define os_log_debug(log, ...) os_log_with_type(log, OS_LOG_TYPE_DEBUG, __VA_ARGS__)
#define os_log_error(log, ...) os_log_with_type(log, OS_LOG_TYPE_ERROR, __VA_ARGS__)
#define os_log_fault(log, ...) os_log_with_type(log, OS_LOG_TYPE_FAULT, __VA_ARGS__)
#define os_log_info_enabled(log) os_log_type_enabled((log), OS_LOG_TYPE_INFO)
#define os_log_debug_enabled(log) os_log_type_enabled((log), OS_LOG_TYPE_DEBUG)

#endif /* AMBIDEXT_OS_LOG_H */
