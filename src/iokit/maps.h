/* SPDX-License-Identifier: MIT */
#ifndef IOKIT_MAPS_H
#define IOKIT_MAPS_H

/** @file iokit/maps.h
 *  @brief What lies at an address of this process: from /proc/self/maps, one area at a time where
 * the system can (Linux 6.11), read from its beginning where it cannot. True when it is asked;
 * other threads may change it at once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Name of the memfds that stand in for pages of this process; how they are known again. */
#define IOKIT_MEMFD_NAME "ambidext-client"

enum iokit_area {
	IOKIT_AREA_PRIVATE = 1u << 0, /* anonymous memory of the process, not a stack */
	IOKIT_AREA_OURS = 1u << 1,    /* pages of one of our memfds */
	IOKIT_AREA_OTHER = 1u << 2,   /* anything else, or nothing */
};

/** What lies in [start, end), as a set. */
unsigned iokit_maps_areas(uintptr_t start, uintptr_t end);
/** Whether [start, end) is the file's pages from @p offset on, in a row. */
bool iokit_maps_are(uintptr_t start, uintptr_t end, dev_t device, ino_t inode, uint64_t offset);
/** Whether every page of a range can be read (and, with @p write, written) now. */
bool iokit_maps_are_there(const void *address, size_t size, bool write);

#endif /* IOKIT_MAPS_H */
