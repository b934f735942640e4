/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_CHANNEL_CLASS_H
#define TESTS_FUZZ_CHANNEL_CLASS_H

/** @file channel_class.h
 *  @brief A class by hand, for the channel's targets: its objects answer, echo, keep, hold and call back. */

#include "channel/channel.h"
#include "object/classes.h"

/* Methods, in ascending order. */
enum {
	FUZZ_NULL = 1, /* answers nothing */
	FUZZ_ECHO,     /* answers what came */
	FUZZ_POST,     /* one-way */
	FUZZ_KEEP,     /* keeps the first object, or drops what it kept */
	FUZZ_GET,      /* answers the kept object */
	FUZZ_HOLD,     /* is answered by fuzz_object_unhold() */
	FUZZ_CALL,     /* calls ECHO on the first object, without waiting, with what came */
	FUZZ_METHODS,
};

/** New object, +1. */
OS_OBJECT *fuzz_object_new(void);
/** Answer what is held. */
void fuzz_object_unhold(OS_OBJECT *object);
/** Call FUZZ_ECHO on @p target without waiting. */
void fuzz_object_call(OS_OBJECT *target, const void *bytes, size_t size, OS_OBJECT *const *objects, unsigned n_objects);
extern struct OSMetaClass fuzz_class;

/* Since the process began. */
extern unsigned fuzz_objects_alive, fuzz_calls_begun, fuzz_calls_ended;

#endif /* TESTS_FUZZ_CHANNEL_CLASS_H */
