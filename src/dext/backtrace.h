/* SPDX-License-Identifier: MIT */
#ifndef DEXT_BACKTRACE_H
#define DEXT_BACKTRACE_H

/**
 * @file dext/backtrace.h
 * @brief The calls on a crashed thread's stack, from its registers, a copy of its stack, and the files
 * that it ran.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/crash_record.h"

#define BACKTRACE_FRAMES 64u

struct backtrace_frame {
	uint64_t address;
	char function[160]; /* "": not known */
	char source[200];   /* "file.c:12"; "": not known */
	char module[208];   /* path; "": in none */
	uint64_t offset;    /* in the module's file */
	bool other_build;   /* the module's file has changed since: names may be wrong */
};

/** Frames of @p record, innermost first. The record is another process' bytes. @return their number */
unsigned backtrace_of(const struct crash_record *record, struct backtrace_frame frames[static BACKTRACE_FRAMES]);

#endif /* DEXT_BACKTRACE_H */
