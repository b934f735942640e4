/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/**
 * @file base/log.h
 * @brief One line per event: "<time> <program>[<pid>] <level> <topic>: <text>".
 *
 * A file that logs defines LOG_TOPIC before it includes this. Libraries log at debug and trace
 * only; programs log each failure once, where it is handled. Nothing is written unless a program
 * asked with adxi_log_setup() or the user did: AMBIDEXT_LOG=channel:debug,usb.*:trace,info (pairs
 * topic:level; a level alone is the default for all topics; the most special topic wins).
 *
 * Threads: [any]. A line is one write(), newlines in the text become spaces.
 */

#include <stdarg.h>
#include <stdbool.h>

enum adxi_log_level {
	ADXI_LOG_NONE,
	ADXI_LOG_ERROR,
	ADXI_LOG_WARNING,
	ADXI_LOG_INFO,
	ADXI_LOG_DEBUG,
	ADXI_LOG_TRACE,
};

/** For main(): name shown in lines (copied), level for topics that AMBIDEXT_LOG does not name. */
void adxi_log_setup(const char *program, enum adxi_log_level level);
/** Descriptor that lines go to, borrowed. Default 2. */
void adxi_log_set_fd(int fd);

/** Level in force for @p topic. */
enum adxi_log_level adxi_log_threshold(const char *topic);
void adxi_log(enum adxi_log_level level, const char *topic, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void adxi_vlog(enum adxi_log_level level, const char *topic, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/* Highest level that any topic has: decides cheaply that a line is not wanted. */
extern int adxi_log_highest;
/** Parse AMBIDEXT_LOG once; called by the macros. */
int adxi_log_start(void);

#define adxi_log_at(level, ...)                                                                    \
	do {                                                                                       \
		int adxi_highest = __atomic_load_n(&adxi_log_highest, __ATOMIC_RELAXED);           \
		if (__builtin_expect(adxi_highest < 0, 0))                                         \
			adxi_highest = adxi_log_start();                                           \
		if (__builtin_expect((int)(level) <= adxi_highest, 0))                             \
			adxi_log(level, LOG_TOPIC, __VA_ARGS__);                                   \
	} while (0)

#define log_error(...)   adxi_log_at(ADXI_LOG_ERROR, __VA_ARGS__)
#define log_warning(...) adxi_log_at(ADXI_LOG_WARNING, __VA_ARGS__)
#define log_info(...)    adxi_log_at(ADXI_LOG_INFO, __VA_ARGS__)
#define log_debug(...)   adxi_log_at(ADXI_LOG_DEBUG, __VA_ARGS__)
#define log_trace(...)   adxi_log_at(ADXI_LOG_TRACE, __VA_ARGS__)

#endif /* BASE_LOG_H */
