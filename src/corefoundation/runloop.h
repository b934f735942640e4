/* SPDX-License-Identifier: MIT */
#ifndef COREFOUNDATION_RUNLOOP_H
#define COREFOUNDATION_RUNLOOP_H

/** @file corefoundation/runloop.h
 *  @brief Run loop sources that are descriptors. */

#include <CoreFoundation/CFRunLoop.h>

/** New source (+1) that calls @p fire on the loop's thread while @p fd polls readable. fd is borrowed until the source is
 *  invalidated. NULL: no memory. */
CFRunLoopSourceRef adxi_runloop_source_for_fd(int fd, void (*fire)(void *context), void *context);

#endif /* COREFOUNDATION_RUNLOOP_H */
