/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_ARRAY_H
#define OBJECT_ARRAY_H

/** @file object/array.h
 *  @brief Shared by OSArray and what derives from it. */

#include "object/classes.h"

struct OSArray_IVars {
	OSObject **items; /* owned references, owned storage */
	uint32_t count;
	uint32_t capacity;
};

/** Storage for a new object of OSArray or a derived class, freshly allocated. NULL: released. */
OSArray *adxi_array_setup(OSArray *array, uint32_t capacity);
/** Insert at @p index <= count. False: NULL, or no memory. */
bool adxi_array_insert(OSArray *array, uint32_t index, const OSMetaClassBase *object);
/** A deep copy of every element into @p to. False: no memory or too deep; @p to is half filled. */
bool adxi_array_copy_elements(OSArray *to, const OSArray *from);

#endif /* OBJECT_ARRAY_H */
